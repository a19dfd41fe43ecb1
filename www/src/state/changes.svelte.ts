/**
 * What the last change did to the digests: which are new, which stayed. Compared are the last two states
 * in which every digest was known, so that typing on does not make the comparison flicker.
 */
import type { Action, ImageView } from '../core/protocol';
import { letter } from '../lib/letters';
import { sayAction } from '../text/say-action';

/** Keys: `diff:ID`, `blob:ID`, `config`, `manifest`, `index`. */
type Digests = Map<string, string>;

class Changes {
  /** Before the last change; null until something was changed. */
  before = $state.raw<Digests | null>(null);
  current = $state.raw<Digests>(new Map());
  /** Is the comparison done, or are digests still being worked on? */
  settled = $state(false);
  /** What was done, in a few words. */
  words = $state('');
  /** Which step of the cascade is shown; null: all at once. */
  step = $state<number | null>(null);

  #image: number | null = null;
  #lastSettled: Digests | null = null;
  #next = '';
  #together = 0;

  expect(action: Action, says?: string): void {
    this.#next = says ?? sayAction(action);
  }

  expectWords(words: string): void {
    this.#next = words;
  }

  forget(): void {
    this.#next = '';
  }

  reset(): void {
    this.before = null;
    this.#lastSettled = null;
    this.words = '';
    this.step = null;
  }

  see(image: ImageView | null, moved: boolean): void {
    if (image?.id !== this.#image) {
      this.#image = image?.id ?? null;
      this.reset();
    }
    if (!image) return;
    const digests = digestsOf(image);
    if (moved && this.#lastSettled) {
      // Changes that come while digests are still worked on are summed up together.
      this.#together = this.settled || this.words === this.#next ? 1 : this.#together + 1;
      this.before = this.#lastSettled;
      this.words = this.#together > 1 ? `${this.#together} changes.` : this.#next;
      this.step = null;
    }
    this.current = digests;
    // What failed, or is missing, has no digest and will have none.
    this.settled = image.layers.every(({ blob }) => blob.state === 'known' || blob.state === 'failed');
    if (this.settled) this.#lastSettled = digests;
  }

  /** The digest that stood here before, when it is another now. */
  old(key: string): string | null {
    const old = this.before?.get(key) ?? null;
    return old && old !== this.current.get(key) ? old : null;
  }

  /** Was this made or remade by the last change? */
  fresh(key: string): boolean {
    return this.before !== null && this.current.has(key) && this.before.get(key) !== this.current.get(key);
  }

  /** `5 of 7 hashes are new; layer A is reused.` */
  sum(image: ImageView): { fresh: number; all: number; reused: string[] } {
    const keys = [...this.current.keys()];
    return {
      fresh: keys.filter((key) => this.fresh(key)).length,
      all: keys.length,
      reused: image.layers
        .map((layer, position) => (this.fresh(`blob:${layer.id}`) ? '' : letter(position)))
        .filter(Boolean),
    };
  }
}

function digestsOf(image: ImageView): Digests {
  const digests: Digests = new Map();
  for (const { id, blob } of image.layers) {
    if (blob.state !== 'known') continue;
    digests.set(`diff:${id}`, blob.diff_id);
    digests.set(`blob:${id}`, blob.digest);
  }
  for (const name of ['config', 'manifest', 'index'] as const) {
    const document = image.documents[name];
    if (document) digests.set(name, document.digest);
  }
  return digests;
}

export const changes = new Changes();
