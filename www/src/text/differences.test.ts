/** What differs, in words. */
import { expect, it } from 'vitest';
import type { ShownPath } from '../core/protocol';
import { linesOf, signOf, told } from './differences';

const file: ShownPath = {
  layer: 1,
  kind: 'file',
  size: 5,
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanos: 0 },
  target: null,
  device: null,
  xattrs: [],
};

it('says in what, and from what to what', () => {
  const row = {
    path: '/a',
    changed: ['content', 'mode', 'owner', 'links'],
    within: false,
    before: file,
    after: { ...file, size: 6, mode: 0o4755, uid: 7 },
  };
  expect(signOf(row)).toBe('~');
  expect(told(row)).toBe('content, mode 0644 → 4755, owner 0:0 → 7:0, names of the file');
  expect(linesOf(row).filter(({ differs }) => differs)).toEqual([
    { what: 'Size', before: '5 B', after: '6 B', differs: true },
    { what: 'Mode', before: '0644  -rw-r--r--', after: '4755  -rwsr-xr-x', differs: true },
    { what: 'Owner', before: '0:0', after: '7:0', differs: true },
  ]);
});

it('has one side of what is only there', () => {
  const row = { path: '/a', changed: [], within: false, before: null, after: file };
  expect(signOf(row)).toBe('+');
  expect(told(row)).toBe('');
  expect(linesOf(row)[0]).toEqual({ what: 'Kind', before: '', after: 'file', differs: false });
});
