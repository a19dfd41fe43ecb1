/** Which lines of two texts are the same: pairs of line numbers, null where the other side has none. */
export type LinePair = [left: number | null, right: number | null];

/** Beyond this many comparisons the middle is called different as a whole. */
const MOST = 4_000_000;

export function lineDiff(left: string[], right: string[]): LinePair[] {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start++;
  let end = 0;
  const room = Math.min(left.length, right.length) - start;
  while (end < room && left.at(-1 - end) === right.at(-1 - end)) end++;
  const pairs: LinePair[] = Array.from({ length: start }, (_, i) => [i, i]);
  const [n, m] = [left.length - start - end, right.length - start - end];
  pairs.push(...middle(left.slice(start, start + n), right.slice(start, start + m), start));
  for (let i = 0; i < end; i++) pairs.push([start + n + i, start + m + i]);
  return pairs;
}

/** The longest common subsequence, by the table of its lengths. */
function middle(left: string[], right: string[], offset: number): LinePair[] {
  const [n, m] = [left.length, right.length];
  const common = new Uint32Array(n * m <= MOST ? (n + 1) * (m + 1) : 0);
  const at = (i: number, j: number) => common[i * (m + 1) + j] ?? 0;
  if (common.length > 0) {
    for (let i = n - 1; i >= 0; i--)
      for (let j = m - 1; j >= 0; j--)
        common[i * (m + 1) + j] =
          left[i] === right[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  }
  const pairs: LinePair[] = [];
  // What went and what came stand beside each other.
  let [went, came]: [number[], number[]] = [[], []];
  const flush = () => {
    for (let k = 0; k < Math.max(went.length, came.length); k++)
      pairs.push([went[k] ?? null, came[k] ?? null]);
    [went, came] = [[], []];
  };
  let [i, j] = [0, 0];
  while (i < n || j < m) {
    if (common.length > 0 && i < n && j < m && left[i] === right[j]) {
      flush();
      pairs.push([offset + i++, offset + j++]);
    } else if (j >= m || (i < n && at(i + 1, j) >= at(i, j + 1))) went.push(offset + i++);
    else came.push(offset + j++);
  }
  flush();
  return pairs;
}
