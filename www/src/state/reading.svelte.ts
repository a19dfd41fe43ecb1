/**
 * What is on its way in: read slice by slice, with its progress, until it is done or stopped; and what has to
 * be asked about it. One thing at a time.
 */
export interface Progress {
  stage?: 'unpacking' | 'indexing';
  /** Bytes. */
  done: number;
  total: number;
}

export interface Choice {
  label: string;
  says: string;
}

export interface Question {
  text: string;
  choices: Choice[];
}

export const STOPPED = Symbol('stopped');

class Reading {
  now = $state.raw<(Progress & { name: string }) | null>(null);
  question = $state.raw<Question | null>(null);
  #stopped = false;
  #answer: (choice: number | null) => void = () => {};
  #last: Promise<unknown> = Promise.resolve();

  /** Takes slices until one is no progress, and gives that; after what was begun before. */
  read<T extends object | null>(
    name: string,
    slice: () => Promise<Progress | T>,
    drop: () => Promise<unknown>,
  ): Promise<T | typeof STOPPED> {
    const turn = this.#last.then(() => this.#read(name, slice, drop));
    this.#last = turn.catch(() => null);
    return turn;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** The number of the choice that was made; null when none was. */
  ask(question: Question): Promise<number | null> {
    this.#answer(null);
    this.question = question;
    return new Promise((resolve) => (this.#answer = resolve));
  }

  answer(choice: number | null): void {
    this.question = null;
    this.#answer(choice);
  }

  async #read<T extends object | null>(
    name: string,
    slice: () => Promise<Progress | T>,
    drop: () => Promise<unknown>,
  ): Promise<T | typeof STOPPED> {
    this.#stopped = false;
    this.now = { name, done: 0, total: 0 };
    try {
      for (;;) {
        const left = await slice();
        if (this.#stopped) {
          await drop();
          return STOPPED;
        }
        if (left === null || !('done' in left)) return left;
        this.now = { name, ...left };
      }
    } finally {
      this.now = null;
    }
  }
}

export const reading = new Reading();
