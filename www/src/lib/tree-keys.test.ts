/** The tree's keys: where each leads from a folded, an open, a plain and no row. */
import { expect, it } from 'vitest';
import { treeMove, type TreePlace } from './tree-keys';

const plain: TreePlace = { active: 5, total: 10, page: 4, expandable: false, open: false, depth: 1 };
const folded: TreePlace = { ...plain, expandable: true };
const open: TreePlace = { ...folded, open: true };

it.each([
  ['ArrowDown', plain, { to: 6 }],
  ['ArrowUp', plain, { to: 4 }],
  ['PageDown', plain, { to: 9 }],
  ['PageUp', plain, { to: 1 }],
  ['PageUp', { ...plain, active: 2 }, { to: 0 }],
  ['Home', plain, { to: 0 }],
  ['End', plain, { to: 9 }],
  ['ArrowDown', { ...plain, active: -1 }, { to: 0 }],
  ['ArrowRight', plain, null],
  ['ArrowRight', folded, 'open'],
  ['ArrowRight', open, { to: 6 }],
  ['ArrowLeft', open, 'fold'],
  ['ArrowLeft', folded, 'parent'],
  ['ArrowLeft', { ...plain, depth: 0 }, null],
  ['Enter', folded, 'toggle'],
  [' ', plain, null],
  ['a', open, null],
])('%s', (key, place, move) => expect(treeMove(key, place)).toEqual(move));
