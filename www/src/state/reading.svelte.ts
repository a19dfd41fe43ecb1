/** A tar on its way to be a layer: read slice by slice, with its progress, until it is done or stopped. */
import type { ContentRef } from '../core/protocol';
import { session } from './session.svelte';

class Reading {
  now = $state<{ name: string; done: number; total: number } | null>(null);
  #stopped = false;
  #last: Promise<unknown> = Promise.resolve();

  /** Reads a tar ahead, after those that were asked for before. False when it was stopped. */
  read(name: string, content: ContentRef): Promise<boolean> {
    const turn = this.#last.then(() => this.#read(name, content));
    this.#last = turn;
    return turn;
  }

  stop(): void {
    this.#stopped = true;
  }

  async #read(name: string, content: ContentRef): Promise<boolean> {
    this.#stopped = false;
    this.now = { name, done: 0, total: 1 };
    try {
      for (;;) {
        const left = await session.client.call({ kind: 'read_ahead', content });
        if (this.#stopped) {
          await session.client.call({ kind: 'read_ahead', content: null });
          return false;
        }
        if (!left) return true;
        this.now = { name, ...left };
      }
    } catch {
      // The operation that follows meets the same fault, and says it where faults are said.
      return true;
    } finally {
      this.now = null;
    }
  }
}

export const reading = new Reading();
