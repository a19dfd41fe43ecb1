/**
 * The machine: what a containerd does with the images of the session, and holds after each event. Which event is looked
 * at is said by `session.showEvent`; all else is asked for again when the session moves.
 */
import type {
  Digest,
  GarbageRow,
  MachineEvent,
  MachineView,
  PromptLine,
  RuntimeStep,
  Sharing,
} from '../core/protocol';
import { byteText } from '../lib/byte-text';
import { attempt } from './actions';
import { inContainer } from './in-container.svelte';
import { selection } from './selection.svelte';
import { session } from './session.svelte';

/** So many events are asked for at once. */
const LOT = 200;

class MachineState {
  now = $state.raw<MachineView | null>(null);
  events = $state.raw<MachineEvent[]>([]);
  sharing = $state.raw<Sharing | null>(null);
  playing = $state(false);
  #told = '';
  #asked = 0;

  get sums() {
    return session.overview?.machine ?? null;
  }

  /** The event that is looked at: the last that has happened then. */
  get event(): MachineEvent | null {
    return this.events[(this.sums?.shown ?? 0) - 1] ?? null;
  }

  /** What the event is about, if it is of that kind. */
  subject(kind: NonNullable<MachineEvent['subject']>['kind']): string | null {
    const subject = this.event?.subject;
    return subject?.kind === kind ? subject.key : null;
  }

  /** Call in an effect. */
  async load(): Promise<void> {
    void session.tick;
    const { sums } = this;
    const asked = ++this.#asked;
    if (!sums) {
      this.now = null;
      this.events = [];
      this.#told = '';
      return;
    }
    const now = await session.client.query({ query: 'machine' }).catch(() => null);
    if (asked !== this.#asked) return;
    this.now = now;
    // Looking at another event tells nothing new; another operation does.
    const told = `${sums.events} ${session.done} ${session.overview?.undo}`;
    if (told === this.#told) return;
    const events: MachineEvent[] = [];
    while (events.length < sums.events) {
      const lot = await session.client
        .query({ query: 'events', from: events.length, to: events.length + LOT })
        .catch(() => []);
      if (asked !== this.#asked) return;
      if (lot.length === 0) break;
      events.push(...lot);
    }
    this.events = events;
    this.#told = told;
  }

  async loadSharing(): Promise<void> {
    void session.tick;
    this.sharing = this.sums ? await session.client.query({ query: 'sharing' }).catch(() => null) : null;
  }

  /** What was just done is to be seen, if it was more than a look. */
  async seeNew(before: number): Promise<void> {
    this.playing = false;
    const { sums } = this;
    if (sums && sums.events > before && sums.shown < sums.events) await session.showEvent(sums.events);
  }

  garbage(): Promise<GarbageRow[]> {
    return session.client.query({ query: 'garbage' });
  }

  startOf(id: string): Promise<RuntimeStep[]> {
    return session.client.query({ query: 'runtime_steps', id });
  }

  /** A digest of the machine, or of a layer of the session, by its beginning. */
  digest(beginning: string): Digest | null {
    const blobs = session.images.flatMap(({ layers, documents }) => [
      ...layers.flatMap(({ blob }) =>
        blob.state === 'known' ? [blob.digest, blob.diff_id, blob.chain_id] : [],
      ),
      ...Object.values(documents).map((document) => document?.digest),
    ]);
    const known = [
      ...(this.now?.content ?? []).map(({ digest }) => digest),
      ...(this.now?.snapshots ?? []).map(({ key }) => key),
      ...blobs,
    ];
    return known.find((digest) => digest?.startsWith(beginning)) ?? null;
  }
}

export const machine = new MachineState();

export async function importImage(
  image: number,
  platforms: 'all' | 'default',
  unpack: boolean,
): Promise<void> {
  const before = machine.sums?.events ?? 0;
  if (!(await attempt({ op: 'import_image', image, platforms, unpack }))) return;
  await machine.seeNew(before);
  selection.go({ view: 'machine', page: 'stage', holds: 'store', start: null });
}

/** Runs a line at the prompt of the machine; what it printed, or null if it was not run. */
export async function runLine(line: string): Promise<PromptLine | null> {
  const before = machine.sums?.events ?? 0;
  const ids = { container: session.ids.image(), layer: session.ids.layer() };
  if (!(await attempt({ op: 'run_on_machine', line: byteText(line), ...ids }))) return null;
  await machine.seeNew(before);
  await machine.load();
  const { lines } = await session.client.query({ query: 'prompt' });
  return lines.at(-1) ?? null;
}

/** To the container's own view, with its shell. */
export function workIn(container: number): void {
  const view = session.overview?.containers.find(({ id }) => id === container);
  if (!view) return;
  inContainer.started = container;
  selection.go({ view: 'container', page: 'stage', image: view.image, container, start: null });
}
