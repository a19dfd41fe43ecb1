/** A window of rows onto the stack, one layer, or the merged view: asks the core for what is in sight. */
import type { Row } from '../core/protocol';
import { session } from './session.svelte';

export interface RowsOf {
  layer?: number;
  merged?: boolean;
  filter?: string;
}

/** Asked for around what is in sight, so that scrolling meets rows. */
const MARGIN = 40;

export class RowWindow {
  total = $state(0);
  from = $state(0);
  rows = $state.raw<Row[]>([]);
  /** Has an answer come for the present question? */
  ready = $state(false);
  #asked = 0;

  constructor(private readonly of: () => RowsOf) {}

  /** Call in an effect: reads what it depends on. */
  async load(first: number, last: number): Promise<void> {
    const image = session.image?.id;
    void session.tick;
    const { layer, merged, filter } = this.of();
    if (image === undefined) return;
    const asked = ++this.#asked;
    const from = Math.max(0, first - MARGIN);
    const what = {
      ...(layer === undefined ? {} : { layer }),
      ...(merged ? { merged } : {}),
      ...(filter ? { filter } : {}),
    };
    const rows = await session.client
      .query({ query: 'rows', image, from, to: last + MARGIN, ...what })
      .catch(() => null);
    if (!rows || asked !== this.#asked) return;
    this.total = rows.total;
    this.from = rows.from;
    this.rows = rows.rows;
    this.ready = true;
  }

  at(index: number): Row | undefined {
    return this.rows[index - this.from];
  }

  indexOf(path: string | null): number {
    const found = this.rows.findIndex((row) => row.path === path);
    return found < 0 ? -1 : found + this.from;
  }
}
