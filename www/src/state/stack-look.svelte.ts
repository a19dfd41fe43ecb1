/** How the stack is looked at: as sheets, apart or straight through, or as a table. The address says which; the
 *  lever is where the sheets are on their way (1 apart, 0 through). */
import { untrack } from 'svelte';
import { Media } from '../lib/media.svelte';
import { Travel } from '../lib/travel.svelte';
import { selection } from './selection.svelte';
import { session } from './session.svelte';

/** On a screen so small sheets would not be readable. */
const small = new Media('(max-width: 700px)');
/** More sheets than this hide each other: unless it is asked for, the stack is a table then. */
const MOST_SHEETS = 10;
const TRAVEL_MS = 550;

class StackLook {
  readonly #lever = new Travel(TRAVEL_MS);

  /** Can it be chosen how the stack is looked at? */
  get free(): boolean {
    return !small.matches;
  }

  get shown(): 'apart' | 'through' | 'table' {
    if (small.matches) return 'table';
    return selection.place.look ?? (session.sheets.length > MOST_SHEETS ? 'table' : 'apart');
  }

  get apart(): number {
    return this.#lever.now[0] ?? 1;
  }

  /** Call in an effect: brings the lever to where the address has it. */
  follow(): void {
    const goal = this.shown === 'through' ? 0 : 1;
    untrack(() => this.#lever.to([goal], this.#lever.now.length === 0));
  }

  /** As a hand holds the lever. */
  hold(apart: number): void {
    this.#lever.to([apart], true);
  }

  /** The hand lets go: the sheets fall to the nearer side. */
  release(): void {
    const look = this.apart < 0.5 ? 'through' : 'apart';
    if (look === this.shown) this.#lever.to([look === 'through' ? 0 : 1]);
    else selection.go({ look });
  }
}

export const stackLook = new StackLook();
