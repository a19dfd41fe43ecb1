/** A window of entries onto a layer's tar: asks the core for the blocks that are in sight. */
import type { BlockRun, Blocks, LayerId } from '../core/protocol';
import { session } from './session.svelte';

/** The runs of blocks of one entry; the last row of all has the end of the tar. */
export interface EntryBlocks {
  /** Where its first block begins. */
  start: number;
  end: number;
  name: string | null;
  path: string | null;
  runs: BlockRun[];
}

const MARGIN = 30;

export class BlockWindow {
  blocks = $state.raw<Blocks | null>(null);
  rows = $state.raw<EntryBlocks[]>([]);
  failed = $state<string | null>(null);
  #asked = 0;

  constructor(private readonly layer: () => LayerId | null) {}

  /** Entries, and the end. */
  get total(): number {
    return this.blocks ? this.blocks.entries + 1 : 0;
  }

  /** Call in an effect. */
  async load(first: number, last: number): Promise<void> {
    const layer = this.layer();
    void session.tick;
    const asked = ++this.#asked;
    if (layer === null) return void (this.blocks = null);
    // The end comes with the last entry.
    const from = Math.max(0, first - MARGIN - 1);
    try {
      const blocks = await blocksOf(layer, from, last + MARGIN - from);
      if (asked !== this.#asked) return;
      this.blocks = blocks;
      this.rows = byEntry(blocks.runs);
      this.failed = null;
    } catch (error) {
      if (asked !== this.#asked) return;
      this.blocks = null;
      this.rows = [];
      this.failed = error instanceof Error ? error.message : String(error);
    }
  }

  at(index: number): EntryBlocks | undefined {
    return this.blocks ? this.rows[index - this.blocks.from] : undefined;
  }

  /** The row that holds a byte, if it is in the window. */
  indexAt(offset: number | null): number {
    if (offset === null || !this.blocks) return -1;
    const found = this.rows.findIndex((row) => offset >= row.start && offset < row.end);
    return found < 0 ? -1 : found + this.blocks.from;
  }
}

export function blocksOf(layer: LayerId, from: number, limit: number): Promise<Blocks> {
  return session.client.query({ query: 'blocks', layer, from, limit });
}

export function byEntry(runs: BlockRun[]): EntryBlocks[] {
  const rows: EntryBlocks[] = [];
  let entry: number | null | undefined;
  for (const run of runs) {
    if (rows.length === 0 || run.entry !== entry) {
      rows.push({ start: run.offset, end: 0, name: null, path: null, runs: [] });
      entry = run.entry;
    }
    const row = rows.at(-1)!;
    row.runs.push(run);
    row.end = run.offset + run.blocks * 512;
    row.name ??= run.name;
    row.path ??= run.path;
  }
  return rows;
}

/** The number of the row that holds a byte of the tar; behind the last entry is the end. */
export async function rowAt(layer: LayerId, offset: number): Promise<number> {
  const entry = await session.client.query({ query: 'entry_at', layer, offset });
  return entry ?? (await blocksOf(layer, 0, 1)).entries;
}
