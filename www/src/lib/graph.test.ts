/** Trees by ranks, texts side by side, tables in texts. */
import { describe, expect, it } from 'vitest';
import { lineDiff } from './line-diff';
import { tableRows } from './markdown-table';
import { rankLayout } from './rank-layout';

interface Node {
  id: string;
  children: Node[];
}
const tree = (id: string, ...children: Node[]): Node => ({ id, children });

describe('ranks', () => {
  const index = tree('index', tree('m1', tree('c1'), tree('l1')), tree('m2', tree('c2')));
  const layout = (isOpen: (node: Node) => boolean, limit = 99, list = false) =>
    rankLayout(
      [index],
      (node) => node.children,
      isOpen,
      () => limit,
      list,
    );
  const places = (shape: ReturnType<typeof layout>) =>
    shape.placed.map(({ node, rank, row }) => `${node.id} ${rank},${row}`);

  it('puts a parent on the row of its first child', () => {
    const shape = layout(() => true);
    expect(places(shape)).toEqual(['index 0,0', 'm1 1,0', 'c1 2,0', 'l1 2,1', 'm2 1,2', 'c2 2,2']);
    expect([shape.rows, shape.ranks]).toEqual([3, 3]);
  });
  it('leaves out what is folded, and what is too much', () => {
    const folded = layout((node) => node.id !== 'm1');
    expect(places(folded)).toEqual(['index 0,0', 'm1 1,0', 'm2 1,1', 'c2 2,1']);
    const some = layout(() => true, 1);
    expect(places(some)).toEqual(['index 0,0', 'm1 1,0', 'c1 2,0']);
    expect(some.placed.map((one) => one.more)).toEqual([1, 1, 0]);
  });
  it('gives every node a row in a list', () => {
    expect(layout(() => true, 99, true).placed.map((one) => one.row)).toEqual([0, 1, 2, 3, 4, 5]);
  });
  it('takes a chain that is deeper than calls can be, up to a limit', () => {
    let deep = tree('leaf');
    for (let i = 0; i < 100_000; i++) deep = tree('n', deep);
    const { placed, ranks } = rankLayout(
      [deep],
      (node) => node.children,
      () => true,
      () => 9,
    );
    expect([placed.length, ranks]).toEqual([3000, 3000]);
    expect(placed.at(-1)?.more).toBe(1);
  });
  it('takes what is shared below so many that there is no end', () => {
    let wide = tree('leaf');
    for (let i = 0; i < 60; i++) wide = tree('n', wide, wide);
    const { placed } = rankLayout(
      [wide],
      (node) => node.children,
      () => true,
      () => 9,
    );
    expect(placed.length).toBeLessThanOrEqual(3000);
  });
});

describe('lines side by side', () => {
  it.each([
    ['', '', []],
    ['a b c', 'a b c', ['a|a', 'b|b', 'c|c']],
    ['a b c', 'a x c', ['a|a', 'b|x', 'c|c']],
    ['a b c d', 'a c d e', ['a|a', 'b|', 'c|c', 'd|d', '|e']],
    ['a a b', 'a b b', ['a|a', 'a|b', 'b|b']],
  ])('%j and %j', (left, right, expected) => {
    const [before, after] = [left, right].map((text) => text.split(' ').filter(Boolean)) as [
      string[],
      string[],
    ];
    const shown = lineDiff(before, after).map(
      ([i, j]) => `${i === null ? '' : before[i]}|${j === null ? '' : after[j]}`,
    );
    expect(shown).toEqual(expected);
  });
  it('says of what is too long that all of it is other', () => {
    const long = (word: string) => Array.from({ length: 5000 }, (_, i) => `${word}${i}`);
    const pairs = lineDiff(['same', ...long('a')], ['same', ...long('b')]);
    expect(pairs).toHaveLength(5001);
    expect(pairs[0]).toEqual([0, 0]);
  });
});

it('reads tables', () => {
  const text =
    'words\n\n| id | what |\n|---|:-:|\n| `a` | one \\| two |\n| `b` |  |\n\n| id |\n|---|\n| `c` |\n';
  expect(tableRows(text)).toEqual([{ id: '`a`', what: 'one | two' }, { id: '`b`', what: '' }, { id: '`c`' }]);
});
