/**
 * Places a tree by ranks: a node stands right of its parent, on the row of its parent's first child, and every
 * leaf has a row of its own. As a list, every node has a row of its own. Never more than `MOST` are placed: what
 * is shared below many can be as many as there are ways to it.
 */
const MOST = 3000;

export interface Placed<T> {
  node: T;
  rank: number;
  row: number;
  /** Index of the parent among the placed; -1 for a root. */
  parent: number;
  children: number;
  open: boolean;
  /** Children beyond the limit. */
  more: number;
}

export interface Shape<T> {
  placed: Placed<T>[];
  rows: number;
  ranks: number;
}

export function rankLayout<T>(
  roots: T[],
  childrenOf: (node: T) => T[],
  isOpen: (node: T) => boolean,
  limitOf: (node: T) => number,
  list = false,
): Shape<T> {
  const placed: Placed<T>[] = [];
  let rows = 0;
  let ranks = 0;
  // A stack of its own: documents can nest deeper than calls can.
  const todo = roots.toReversed().map((node) => ({ node, rank: 0, parent: -1, first: true }));
  for (let next = todo.pop(); next; next = todo.pop()) {
    const { node, rank, parent, first } = next;
    const children = childrenOf(node);
    const open = children.length > 0 && isOpen(node);
    // The first child shares its parent's row.
    const row = first && parent >= 0 && !list ? placed[parent]!.row : rows;
    rows = Math.max(rows, row + 1);
    ranks = Math.max(ranks, rank + 1);
    const room = Math.max(0, MOST - placed.length - 1 - todo.length);
    const shown = open ? children.slice(0, Math.min(limitOf(node), room)) : [];
    const more = open ? children.length - shown.length : 0;
    const at = placed.push({ node, rank, row, parent, children: children.length, open, more }) - 1;
    for (let i = shown.length - 1; i >= 0; i--) {
      todo.push({ node: shown[i]!, rank: rank + 1, parent: at, first: i === 0 });
    }
  }
  return { placed, rows, ranks };
}
