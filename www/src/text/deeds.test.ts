import { describe, expect, it } from 'vitest';
import type { ColumnLayer, Deed, EntryView } from '../core/protocol';
import { depthOf, tellLayer } from './deeds';

const deed = (more: Partial<Deed>): Deed => ({
  does: 'makes',
  changed: [],
  merges: false,
  at: null,
  how: null,
  hidden_by: null,
  bytes: 0,
  files: 0,
  ...more,
});
const entry = (kind: EntryView['kind'], size = 0) => ({ kind, size, target: null }) as EntryView;
const layer = (has: EntryView | null, did: Deed | null): ColumnLayer => ({
  layer: 1,
  cell: null,
  entry: has,
  deed: did,
});
const say = (one: ColumnLayer) => {
  const told = tellLayer(one, (id) => 'ABC'[id - 1]!);
  return told && [told.does, told.more, told.fate].filter(Boolean).join(' | ');
};

describe('what a layer did', () => {
  it.each<[ColumnLayer, string | null]>([
    [layer(null, null), null],
    [layer(entry('file', 17), deed({ bytes: 17, files: 1 })), 'makes it | 17 B'],
    [
      layer(entry('file', 17), deed({ bytes: 17, files: 1, hidden_by: 2 })),
      'makes it | 17 B | hidden by B, and still in the image: 17 B',
    ],
    [
      layer(entry('directory'), deed({ bytes: 5000, files: 2, hidden_by: 3 })),
      'makes it | directory | hidden by C, and still in the image: 5.00 kB in 2 files',
    ],
    [
      layer(entry('file', 1), deed({ does: 'changes', changed: ['content', 'xattrs'] })),
      'changes it | content, extended attributes; 1 B',
    ],
    [layer(entry('file', 1), deed({ does: 'changes' })), 'has the same again | 1 B'],
    [
      layer(entry('directory'), deed({ does: 'changes', merges: true, changed: ['mode'] })),
      'adds to it | other mode',
    ],
    [layer(null, deed({ does: 'deletes' })), 'deletes it | a whiteout'],
    [layer(null, deed({ does: 'hides', at: '/d', how: 'opaque' })), 'takes it away | /d is opaque here'],
    [
      layer(null, deed({ does: 'hides', at: '/d', how: 'replaced' })),
      'takes it away | something else is in the place of /d',
    ],
  ])('%#', (given, said) => expect(say(given)).toBe(said));

  it('draws more for more bytes, within bounds', () => {
    const depths = [0, 10, 1e3, 1e6, 1e9, 1e12].map(depthOf);
    expect(depths).toEqual([...depths].sort((a, b) => a - b));
    expect([depths[0], depths.at(-1)]).toEqual([30, 64]);
  });
});
