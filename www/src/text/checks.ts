/** What the ids of findings mean: the rows of the tables in the repository's docs, so that both say the same. */
import layers from '../../../docs/checks.md?raw';
import documents from '../../../docs/documents.md?raw';
import { tableRows } from '../lib/markdown-table';

export interface Explanation {
  text: string;
  /** Who reads it differently, where that is told. */
  who: string;
}

const explanations = new Map<string, Explanation>(
  tableRows(`${layers}\n\n${documents}`).flatMap((row) => {
    const id = /^`(\w+)`$/.exec(row['id'] ?? '')?.[1];
    if (!id) return [];
    const why = row['why it matters'];
    const text = why ? `It matters because ${why}.` : (row['what it means'] ?? '');
    const who = row['who differs'] ?? 'none';
    return [[id, { text, who: who === 'none' ? '' : who }] as const];
  }),
);

export function explanation(id: string): Explanation | null {
  return explanations.get(id) ?? null;
}
