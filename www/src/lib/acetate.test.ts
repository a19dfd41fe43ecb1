/** Sheets stay in the room that there is, in order, and lie on one another when one looks through. */
import { describe, expect, it } from 'vitest';
import { depthAt, gaps, hang, seen, type Hang } from './acetate';

const ROOMS = [
  { width: 620, height: 400 },
  { width: 760, height: 560 },
  { width: 1500, height: 900 },
];
const stacks = ROOMS.flatMap((room) =>
  [1, 2, 3, 6, 8, 12, 20].flatMap((sheets) =>
    [0, Math.floor(sheets / 2), sheets - 1].map((hand): Hang => ({ ...room, sheets, hand, tallest: 1e6 })),
  ),
);

describe('sheets', () => {
  it.each(stacks)('$sheets in $width x $height, $hand in hand, are all in sight', (stack) => {
    const offsets = gaps(stack.width, stack);
    for (const apart of [1, 0.5, 0]) {
      const sheets = hang(stack, offsets, apart);
      expect(sheets).toHaveLength(stack.sheets);
      for (const sheet of sheets) {
        const corners = [0, sheet.width].flatMap((x) =>
          [0, sheet.height].map((y) => seen(sheet, x, y - sheet.inset)),
        );
        for (const [x, y] of corners) {
          expect(x).toBeGreaterThanOrEqual(0);
          expect(x).toBeLessThanOrEqual(stack.width + 0.01);
          expect(y).toBeGreaterThanOrEqual(-0.01);
          expect(y).toBeLessThanOrEqual(stack.height + 0.01);
        }
        expect(sheet.height).toBeGreaterThan(stack.height * 0.65);
      }
    }
    for (let i = 1; i < offsets.length; i++) expect(offsets[i]! - offsets[i - 1]!).toBeGreaterThan(14);
  });

  it('lie on one another, seen through', () => {
    const stack: Hang = { width: 800, height: 500, sheets: 5, hand: 2, tallest: 1e6 };
    const sheets = hang(stack, gaps(800, stack), 0);
    for (const sheet of sheets) expect(sheet).toEqual({ ...sheets[0]!, across: 1, slope: 0, height: 500 });
  });

  it('a row is one line through all of them', () => {
    const stack: Hang = { width: 800, height: 500, sheets: 5, hand: 2, tallest: 1e6 };
    for (const apart of [1, 0.7, 0]) {
      const sheets = hang(stack, gaps(800, stack), apart);
      const ends = sheets.flatMap((sheet) => [0, sheet.width].map((x) => seen(sheet, x, 100)));
      for (const [x, y] of ends) expect(depthAt(sheets, x, y)).toBeCloseTo(100, 1);
      const slope = sheets[0]!.slope / sheets[0]!.across;
      for (const [x, y] of ends) expect(y - slope * x).toBeCloseTo(ends[0]![1] - slope * ends[0]![0], 1);
    }
  });

  it('nothing hangs before the one in hand', () => {
    for (const hand of [0, 1, 2, 3, 4]) {
      const stack: Hang = { width: 800, height: 500, sheets: 6, hand, tallest: 1e6 };
      const sheets = hang(stack, gaps(800, stack), 1);
      const [held, next] = [sheets[hand]!, sheets[hand + 1]!];
      expect(seen(held, held.width, 0)[0]).toBeLessThanOrEqual(next.x);
    }
  });

  it('are no taller than their rows', () => {
    const stack: Hang = { width: 800, height: 500, sheets: 2, hand: 0, tallest: 200 };
    for (const { height, inset } of hang(stack, gaps(800, stack), 1)) expect(height - 2 * inset).toBe(200);
  });
});
