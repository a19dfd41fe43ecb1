/** Numbers that move to where they are sent as a hand would move them; at once where motion is not wanted. */
import { still } from './media.svelte';

export class Travel {
  now = $state.raw<number[]>([]);
  #goal: number[] = [];
  #frame = 0;

  constructor(private readonly milliseconds: number) {}

  to(goal: number[], atOnce = false): void {
    if (goal.length === this.#goal.length && goal.every((value, i) => value === this.#goal[i]) && !atOnce)
      return;
    cancelAnimationFrame(this.#frame);
    const from = this.now;
    this.#goal = goal;
    if (atOnce || still.matches || from.length !== goal.length) return void (this.now = goal);
    const start = performance.now();
    const frame = (now: number) => {
      const part = Math.min(1, Math.max(0, (now - start) / this.milliseconds));
      const eased = part * part * (3 - 2 * part);
      this.now = part < 1 ? goal.map((value, i) => from[i]! + (value - from[i]!) * eased) : goal;
      if (part < 1) this.#frame = requestAnimationFrame(frame);
    };
    this.#frame = requestAnimationFrame(frame);
  }
}
