import { describe, expect, it } from 'vitest';
import type { Cell, Row } from '../core/protocol';
import { sayRow } from './stack-says';

const cell = (more: Partial<Cell> = {}): Cell => ({
  what: 'entry',
  kind: 'file',
  size: 0,
  mode: 0o644,
  target: null,
  opaque: false,
  links: 1,
  visible: true,
  hidden_by: null,
  changed: [],
  ...more,
});
const row = (visible: number | null, cells: (Cell | null)[], kind: Row['kind'] = 'file'): Row => ({
  path: '/x',
  name: 'x',
  depth: 0,
  expandable: false,
  open: false,
  visible,
  kind,
  cells,
  frosted: [],
});
const dir = { kind: 'directory' } as const;

describe('a sentence for a path', () => {
  it.each<[Row, string]>([
    [row(1, [cell(), null]), 'Shows from A.'],
    [
      row(2, [cell({ size: 16, hidden_by: 2 }), cell()]),
      'Shows from B. What A has lies hidden, and still in the image: 16 B.',
    ],
    [
      row(null, [cell({ size: 16, hidden_by: 2 }), cell({ what: 'whiteout', kind: null })]),
      'Gone: B takes it away. What A has lies hidden, and still in the image: 16 B.',
    ],
    [
      row(2, [cell(dir), cell(dir), cell({ ...dir, what: 'implied' })], 'directory'),
      'The names in it add up from A, B and C; mode, owner and time are B’s.',
    ],
    [row(null, [null, cell({ what: 'whiteout', kind: null })]), 'A whiteout of what no layer has.'],
    [
      row(3, [cell({ hidden_by: 3 }), cell({ size: 2000, hidden_by: 3 }), cell()]),
      'Shows from C. What A and B have lie hidden, and still in the image: 2.00 kB.',
    ],
  ])('%#', (given, said) => {
    expect(sayRow(given, (layer) => 'ABC'[layer - 1]!, [1, 2, 3])).toBe(said);
  });
});
