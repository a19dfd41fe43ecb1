/** What hangs in the stack: the layers, and of a container its writable sheet on top. */
import { session } from '../../state/session.svelte';

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

export function sheetOf({ id, name }: { id: number; name: string }): Sheet {
  const reading = session.layer(id)?.reading;
  const state = reading?.state;
  const note =
    state === 'waiting' || state === 'working'
      ? 'being read…'
      : state === 'missing'
        ? 'missing'
        : reading?.state === 'damaged'
          ? reading.no_room
            ? 'not all of it'
            : 'damaged'
          : '';
  return { id, letter: session.letterOf(id), name, tint: session.tintOf(id), note };
}
