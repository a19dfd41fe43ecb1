/** The selected path through the whole stack, kept fresh. */
import type { Column, EntryView } from '../core/protocol';
import { selection } from './selection.svelte';
import { session } from './session.svelte';

class ColumnState {
  column = $state.raw<Column | null>(null);
  #asked = 0;

  /** Call in an effect. */
  async load(): Promise<void> {
    const image = session.stack ?? undefined;
    const path = selection.path;
    void session.tick;
    const asked = ++this.#asked;
    if (image === undefined || path === null) {
      this.column = null;
      return;
    }
    const column = await session.client.query({ query: 'column', image, path }).catch(() => null);
    if (asked === this.#asked) this.column = column;
  }

  /** What the layer in hand has there; else what shows, else the topmost. */
  get entry(): EntryView | null {
    const layers = this.column?.layers ?? [];
    return (
      layers.find((stratum) => stratum.layer === selection.layer)?.entry ??
      layers.find((stratum) => stratum.layer === this.column?.visible)?.entry ??
      layers.findLast((stratum) => stratum.entry)?.entry ??
      null
    );
  }
}

export const column = new ColumnState();
