/**
 * A copy of what was done, outside the core. The page has one: the core's memory is lost when it panics, and this
 * brings it back. The worker has one until the whole core takes the lean one's place. Files that were opened stay
 * referenced here for the same reason.
 */
import type { Replay } from './messages';
import type { Operation, SourceId } from './protocol';

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

  /** A file that has its id already. */
  keepSource(id: SourceId, file: File): void {
    this.#sources.set(id, file);
  }

  /** All of another one, in place of what was done; files that were opened stay. */
  take({ sources, done, undone }: Replay): void {
    for (const [id, file] of sources) this.keepSource(id, file);
    this.#done = [...done];
    this.#undone = [...undone];
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
