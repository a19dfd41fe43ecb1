/** How the stack is looked at: as sheets or a table, and where the lever stands (0 apart, 100 through). */
import { still } from '../lib/media.svelte';

const TRAVEL_MS = 700;

class StackLook {
  choice = $state<'auto' | 'sheets' | 'table'>('auto');
  lever = $state(0);
  #frame = 0;

  /** Moves the lever as a hand would; at once where motion is not wanted. */
  moveTo(goal: number): void {
    cancelAnimationFrame(this.#frame);
    const from = this.lever;
    const start = performance.now();
    const frame = (now: number) => {
      const part = still.matches ? 1 : Math.min(1, Math.max(0, (now - start) / TRAVEL_MS));
      this.lever = Math.round(from + (goal - from) * part * part * (3 - 2 * part));
      if (part < 1) this.#frame = requestAnimationFrame(frame);
    };
    frame(start);
    this.#frame = requestAnimationFrame(frame);
  }
}

export const stackLook = new StackLook();
