/** The container in hand as it is told: its steps, what each did, and which of them is looked at. */
import type { ContainerDetail, ImageId, StepView } from '../core/protocol';
import { session } from './session.svelte';

/** So many of the newest steps are told at once. */
const TOLD = 60;

export type Mark = 'risen' | 'taped' | 'made';

class InContainer {
  detail = $state.raw<ContainerDetail | null>(null);
  /** What the steps did, by their numbers; those that were not asked for are missing. */
  steps = $state.raw<ReadonlyMap<number, StepView>>(new Map());
  /** The container that was just started: its prompt is for the keyboard. */
  started: ImageId | null = null;
  /** The first of the steps that are told. */
  from = $state(0);
  #of: number | null = null;
  #asked = 0;

  /** Asks for what is not known yet. */
  async load(): Promise<void> {
    const container = session.container;
    if (!container) return;
    const asked = ++this.#asked;
    const another = this.#of !== container.id;
    if (another) {
      this.#of = container.id;
      this.detail = null;
      this.steps = new Map();
      this.from = 0;
    }
    const detail = await session.client
      .query({ query: 'container', container: container.id })
      .catch(() => null);
    if (asked !== this.#asked || !detail) return;
    this.from = Math.min(Math.max(this.from, detail.steps.length - TOLD), container.shown || Infinity);
    // The same inputs from the same start have done the same: up to the first that is another, all is known.
    const same = new Map<number, StepView>();
    for (const [number, { input }] of detail.steps.entries()) {
      const known = this.steps.get(number);
      if (known && known.input !== input) break;
      if (known) same.set(number, known);
    }
    for (let step = this.from; step < detail.steps.length; step++) {
      if (same.has(step)) continue;
      const told = await session.client.query({ query: 'step', container: container.id, step });
      if (asked !== this.#asked) return;
      if (told) same.set(step, told);
    }
    this.detail = detail;
    this.steps = same;
  }

  /** Tells older steps too. */
  more(): void {
    this.from = Math.max(0, this.from - TOLD);
    void this.load();
  }

  /** What the step that is looked at did to which paths of the sheet. */
  marks = $derived.by(() => {
    const marks = new Map<string, Mark>();
    const container = session.container;
    if (!container || container.id !== this.#of || container.shown === 0) return marks;
    for (const { events } of this.steps.get(container.shown - 1)?.calls ?? []) {
      for (const { rule, path } of events) {
        if (rule.startsWith('copy_up.')) marks.set(path, 'risen');
        else if (/^whiteout\.(unlink|rmdir|rename|exchange)$/.test(rule)) marks.set(path, 'taped');
        else if (rule.startsWith('upper.') && !marks.has(path)) marks.set(path, 'made');
      }
    }
    return marks;
  });
}

export const inContainer = new InContainer();
