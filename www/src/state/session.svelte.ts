/**
 * The session as the page knows it: the newest overview from the core, and the one way to change anything,
 * `apply`. Rows, documents and entries are asked for by who shows them, again whenever `tick` moves.
 */
import { Client, Refused, type Panic } from '../core/client';
import { Journal } from '../core/journal';
import type {
  Action,
  ArchiveId,
  ArchiveView,
  ContainerView,
  CoreError,
  ImageId,
  ImageView,
  LayerId,
  LayerView,
  Operation,
  Overview,
} from '../core/protocol';
import { later } from '../lib/later';
import { letter } from '../lib/letters';
import { now } from '../lib/time';
import { nameAction } from '../text/say-action';
import { changes } from './changes.svelte';
import { Ids } from './ids';
import { settings } from './settings.svelte';

/** Fetched when something is changed in a container. */
const inside = later(() => import('./inside'));

/** The article's pinned time, 2025-01-01T00:00:00Z. */
export const PINNED = { seconds: 1735689600, nanos: 0 };
const CALLER = { uid: 0, gid: 0, umask: 0o022 };

export interface Crash {
  message: string;
  /** What was lost, in words; null when nothing was. */
  lost: string | null;
  recovered: boolean;
  /** It could not even be started again. */
  failed?: boolean;
}

class Session {
  overview = $state.raw<Overview | null>(null);
  /** Moves when rows may have changed: another revision, or a directory folded or unfolded. */
  tick = $state(0);
  crash = $state.raw<Crash | null>(null);

  /** How many operations are done, the one that made the image included. */
  done = $state(0);

  readonly client = new Client({
    overview: (overview, again) => this.#take(overview, again),
    panic: (panic) => void this.#recover(panic),
  });
  readonly journal = new Journal();
  readonly ids = new Ids();
  #recovering = false;

  get images(): ImageView[] {
    return this.overview?.images ?? [];
  }

  /** The image in hand: the chosen one while it exists, else the first. */
  get image(): ImageView | null {
    return this.images.find((image) => image.id === this.#chosen) ?? this.images[0] ?? null;
  }
  #chosen = $state<ImageId | null>(null);

  /** Takes an image in hand: what is looked at, and changed, from now on. */
  choose(image: ImageId | null, archive: ArchiveId | null, container: ImageId | null): void {
    this.#archive = archive;
    this.#container = container;
    if (image === this.#chosen) return;
    this.#chosen = image;
    changes.see(this.image, false);
  }

  /** What the image in hand was opened from, or an archive that was chosen without an image. */
  get archive(): ArchiveView | null {
    const id = this.#archive ?? this.image?.archive ?? null;
    return this.overview?.archives.find((archive) => archive.id === id) ?? null;
  }
  #archive = $state<ArchiveId | null>(null);

  get layers(): LayerView[] {
    return this.image?.layers ?? [];
  }

  layer(id: number | null): LayerView | null {
    return this.layers.find((layer) => layer.id === id) ?? null;
  }

  /** The container in hand. */
  get container(): ContainerView | null {
    return this.overview?.containers.find((container) => container.id === this.#container) ?? null;
  }
  #container = $state<ImageId | null>(null);

  /** What rows and columns are asked of: the container in hand, else the image. */
  get stack(): ImageId | null {
    return this.container?.id ?? this.image?.id ?? null;
  }

  /** What hangs there, bottom first: the layers, and of a container its writable sheet. */
  get sheets(): { id: LayerId; name: string }[] {
    const container = this.container;
    if (!container) return this.layers;
    const layers = container.layers.map((id, position) => ({ id, name: container.names[position]! }));
    return [...layers, { id: container.layer, name: 'container' }];
  }

  position(id: number | null): number {
    return this.sheets.findIndex((sheet) => sheet.id === id);
  }

  /** What a sheet is called for short, and the class of its colour. */
  letterOf(id: number | null): string {
    return id === this.container?.layer ? 'U' : letter(Math.max(0, this.position(id)));
  }
  tintOf(id: number | null): string {
    return id === this.container?.layer ? 'ku' : `k${Math.max(0, this.position(id)) % 8}`;
  }

  /** Does it, or gives the reason why not; what is refused has changed nothing. */
  async apply(
    action: Action,
    says?: string,
    time = settings.times === 'now' ? now() : PINNED,
  ): Promise<CoreError | null> {
    const container = this.container;
    if (container && touches(action, container.layer)) return (await inside()).edit(container, action);
    const operation: Operation = { time, caller: CALLER, action };
    changes.expect(action, says);
    try {
      await this.client.call({ kind: 'apply', operation });
      this.journal.applied(operation);
      this.done = this.journal.length;
      return null;
    } catch (error) {
      changes.forget();
      return refusal(error);
    }
  }

  /** The image itself is not undone: there would be nothing to look at. */
  get canUndo(): boolean {
    return this.done > 1 && Boolean(this.overview?.undo);
  }

  async undo(): Promise<void> {
    if (!this.canUndo) return;
    changes.expectWords(this.overview?.undo ? `Undone: ${this.overview.undo}.` : '');
    if (await this.client.call({ kind: 'undo' })) this.journal.undid();
    this.done = this.journal.length;
  }

  async redo(): Promise<void> {
    changes.expectWords(this.overview?.redo ? `Redone: ${this.overview.redo}.` : '');
    if (await this.client.call({ kind: 'redo' })) this.journal.redid();
    this.done = this.journal.length;
  }

  async openSource(file: File): Promise<number> {
    const id = this.journal.addSource(file);
    await this.client.call({ kind: 'open_source', id, file });
    return id;
  }

  async setOpen(path: string, open: boolean): Promise<void> {
    if (this.stack === null) return;
    await this.client.call({ kind: 'set_open', image: this.stack, path, open });
    this.tick++;
  }

  /** After which of its steps the container in hand is looked at. */
  async showStep(step: number): Promise<void> {
    if (!this.container) return;
    this.#looking = true;
    await this.client.call({ kind: 'show_step', container: this.container.id, step });
    this.#looking = false;
  }
  /** After which of its events the machine is looked at. */
  async showEvent(event: number): Promise<void> {
    this.#looking = true;
    await this.client.call({ kind: 'show_event', number: event });
    this.#looking = false;
  }
  /** What was done, or is going to be, is to be seen. */
  async showNow(): Promise<void> {
    const container = this.container;
    if (container && container.shown < container.steps) await this.showStep(container.steps);
  }
  /** Is the next revision only another look at what is there? */
  #looking = false;

  /** These operations in place of all that was done. */
  async startOver(operations: Operation[]): Promise<void> {
    changes.reset();
    const { sources } = this.journal.replay();
    await this.client.call({ kind: 'replay', replay: { sources, done: operations, undone: [] } });
    this.journal.clear();
    for (const operation of operations) this.journal.applied(operation);
    this.done = this.journal.length;
    // Another session may be at the same revision.
    this.tick++;
  }

  /** `again`: by another core, which counts its revisions anew, of what is there already. */
  #take(overview: Overview, again: boolean): void {
    const moved = !again && overview.revision !== this.overview?.revision;
    this.overview = overview;
    changes.see(this.image, moved && !this.#looking);
    this.ids.see(overview);
    if (moved) this.tick++;
  }

  #giveUpLast(): string | null {
    const last = this.journal.dropLast();
    return last ? nameAction(last.action) : null;
  }

  /** A dead core is replaced and told everything again, but for what killed it. */
  async #recover(panic: Panic): Promise<void> {
    if (this.#recovering && panic.call?.kind !== 'replay') {
      if (this.crash) this.crash = { ...this.crash, failed: true };
      return;
    }
    const again = this.#recovering;
    this.#recovering = true;
    let lost = this.crash?.lost ?? null;
    if (panic.call?.kind === 'apply') lost = nameAction(panic.call.operation.action);
    // It died of what was there already: give up the newest operation, one at a time.
    if (again || panic.call === null) lost = this.#giveUpLast() ?? lost;
    this.crash = { message: panic.message, lost, recovered: false };
    this.client.start();
    try {
      await this.client.call({ kind: 'replay', replay: this.journal.replay() });
      this.crash = { ...this.crash, recovered: true };
      this.#recovering = false;
      this.tick++;
    } catch (error) {
      if (error instanceof Refused && error.error.code === 'restarted') return;
      this.crash = { ...this.crash, message: `${panic.message}\n${String(error)}` };
      this.#recovering = false;
    }
  }
}

/** Would this change a layer? Of a container that is a system call. */
function touches(action: Action, layer: LayerId): boolean {
  if (action.op === 'move' || action.op === 'copy') return action.to.layer === layer;
  return 'layer' in action && action.layer === layer;
}

/** The core's reason; what is no reason is thrown on. */
export function refusal(error: unknown): CoreError {
  if (error instanceof Refused) return error.error;
  throw error;
}

export const session = new Session();
