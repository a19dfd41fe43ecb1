/** What the ids of findings mean: the rows of the tables in docs/checks.md, so that both say the same. */
import source from '../../../docs/checks.md?raw';
import { tableRows } from '../lib/markdown-table';

export interface Explanation {
  /** Why it matters. */
  why: string;
  /** Who reads it differently. */
  who: string;
}

const explanations = new Map<string, Explanation>(
  tableRows(source).flatMap((row) => {
    const id = /^`(\w+)`$/.exec(row['id'] ?? '')?.[1];
    return id ? [[id, { why: row['why it matters'] ?? '', who: row['who differs'] ?? '' }] as const] : [];
  }),
);

export function explanation(id: string): Explanation | null {
  return explanations.get(id) ?? null;
}
