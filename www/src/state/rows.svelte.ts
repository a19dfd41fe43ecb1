/** A window of rows onto the stack, one layer, or the merged view: asks the core for what is in sight. */
import type { Row, Rows } from '../core/protocol';
import type { Only } from './address';
import { session } from './session.svelte';

export interface RowsOf {
  layer?: number;
  merged?: boolean;
  filter?: string;
  only?: Only | null;
}

/** Asked for around what is in sight, so that scrolling meets rows. */
const MARGIN = 60;

export class RowWindow {
  total = $state(0);
  from = $state(0);
  rows = $state.raw<Row[]>([]);
  /** Has an answer come for the present question? */
  ready = $state(false);
  /** What the rows are the answer to. */
  #key = '';
  #busy = false;
  #next: [number, number] | null = null;

  constructor(private readonly of: () => RowsOf) {}

  /** Call in an effect: reads what it depends on. While one question is on its way only the newest waits. */
  async load(first: number, last: number): Promise<void> {
    if (this.#keyNow() === this.#key && this.#holds(first, last)) return;
    this.#next = [first, last];
    if (this.#busy) return;
    this.#busy = true;
    while (this.#next) {
      const [first, last] = this.#next;
      this.#next = null;
      const key = this.#keyNow();
      const rows = await this.#query(Math.max(0, first - MARGIN), last + MARGIN);
      if (rows && key === this.#keyNow()) this.#take(rows, key);
    }
    this.#busy = false;
  }

  #keyNow(): string {
    return JSON.stringify([session.stack, session.tick, this.of()]);
  }

  #holds(first: number, last: number): boolean {
    return first >= this.from && Math.min(last, this.total) <= this.from + this.rows.length;
  }

  #take(rows: Rows, key: string): void {
    this.total = rows.total;
    this.from = rows.from;
    this.rows = rows.rows;
    this.ready = true;
    this.#key = key;
  }

  /** The number of a path's row. The directories that it is in open, so other rows may be there now. */
  async reveal(path: string): Promise<number | null> {
    const { layer, merged } = this.of();
    const what = { ...(layer === undefined ? {} : { layer }), ...(merged ? { merged } : {}) };
    const index = await session.client
      .query({ query: 'row_of', image: session.stack ?? 0, path, ...what })
      .catch(() => null);
    if (index !== null && this.at(index)?.path !== path) {
      this.#key = '';
      await this.load(index, index + 1);
    }
    return index;
  }

  /** The row at an index that may be out of sight. */
  async one(index: number): Promise<Row | undefined> {
    return this.at(index) ?? (await this.#query(index, index + 1))?.rows[0];
  }

  #query(from: number, to: number): Promise<Rows | null> {
    const { layer, merged, filter, only } = this.of();
    const what = {
      ...(layer === undefined ? {} : { layer }),
      ...(merged ? { merged } : {}),
      ...(filter ? { filter } : {}),
      ...(only ? { only } : {}),
    };
    return session.client
      .query({ query: 'rows', image: session.stack ?? 0, from, to, ...what })
      .catch(() => null);
  }

  at(index: number): Row | undefined {
    return this.rows[index - this.from];
  }

  indexOf(path: string | null): number {
    const found = this.rows.findIndex((row) => row.path === path);
    return found < 0 ? -1 : found + this.from;
  }
}
