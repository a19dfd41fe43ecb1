/** What the browser says of its window and of what its user wants, as state. */
export class Media {
  #query: MediaQueryList;
  #matches: boolean = $state(false);

  constructor(query: string) {
    this.#query = matchMedia(query);
    this.#matches = this.#query.matches;
    this.#query.addEventListener('change', () => (this.#matches = this.#query.matches));
  }

  get matches(): boolean {
    return this.#matches;
  }
}

/** On a phone one part is the page. */
export const narrow = new Media('(max-width: 900px)');
export const still = new Media('(prefers-reduced-motion: reduce)');
