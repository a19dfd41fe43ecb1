/** What hangs in the stack: the layers, and what may come on top of them. */
import type { LayerView } from '../../core/protocol';
import { letter } from '../../lib/letters';

export interface Sheet {
  /** The layer's id. */
  id: number;
  letter: string;
  name: string;
  /** The class that sets its colour. */
  tint: string;
  /** What is to be said of it beside its name. */
  note: string;
}

export function sheetOf(layer: LayerView, position: number): Sheet {
  const state = layer.reading.state;
  const note =
    state === 'waiting' || state === 'working'
      ? 'being read…'
      : state === 'missing'
        ? 'missing'
        : state === 'damaged'
          ? 'damaged'
          : '';
  return { id: layer.id, letter: letter(position), name: layer.name, tint: `k${position % 8}`, note };
}
