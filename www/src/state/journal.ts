/**
 * The page's own copy of what was done: the core's memory is lost when it panics, and this brings it back.
 * Files that were opened stay referenced here as long as the page lives, for the same reason.
 */
import type { Operation, SourceId } from '../core/protocol';
import type { Replay } from '../core/messages';

export class Journal {
  #done: Operation[] = [];
  #undone: Operation[] = [];
  #sources = new Map<SourceId, File>();
  #nextSource = 1;

  applied(operation: Operation): void {
    this.#done.push(operation);
    this.#undone = [];
  }

  undid(): void {
    const operation = this.#done.pop();
    if (operation) this.#undone.unshift(operation);
  }

  redid(): void {
    const operation = this.#undone.shift();
    if (operation) this.#done.push(operation);
  }

  /** Forgets the newest operation: it is the one that a core died of. */
  dropLast(): Operation | undefined {
    this.#undone = [];
    return this.#done.pop();
  }

  clear(): void {
    this.#done = [];
    this.#undone = [];
  }

  addSource(file: File): SourceId {
    const id = this.#nextSource++;
    this.#sources.set(id, file);
    return id;
  }

  get last(): Operation | undefined {
    return this.#done.at(-1);
  }

  get length(): number {
    return this.#done.length;
  }

  replay(): Replay {
    return { sources: [...this.#sources], done: this.#done, undone: this.#undone };
  }
}
