/** What is looked at. Going somewhere writes the address; Back and links read it. */
import { arrive, formatPlace, parsePlace, type Place, type View } from './address';
import { session } from './session.svelte';

export { VIEWS, type Page, type View } from './address';

class Selection {
  #place = $state.raw<Place>(parsePlace(location.hash));

  constructor() {
    this.#take(this.#place);
    const read = () => this.#take(parsePlace(location.hash, this.#place));
    window.addEventListener('popstate', read);
    window.addEventListener('hashchange', read);
  }

  get view() {
    return this.#place.view;
  }
  get page() {
    return this.#place.page;
  }
  get path() {
    return this.#place.path;
  }
  get document() {
    return this.#place.document;
  }
  /** The whole of it, for the views that are about more. */
  get place(): Readonly<Place> {
    return this.#place;
  }

  /** The layer in hand: the chosen one while it exists, else the topmost. */
  get layer(): number | null {
    const chosen = session.sheets.find(({ id }) => id === this.#place.layer);
    return chosen?.id ?? session.sheets.at(-1)?.id ?? null;
  }

  show(view: View): void {
    this.go({ view, page: 'stage' });
  }

  /** Goes somewhere: one step for Back when it is another place. */
  go(to: Partial<Place>): void {
    this.#take(arrive(this.#place, to));
    const hash = formatPlace(this.#place);
    if (hash !== location.hash) history.pushState(null, '', hash);
  }

  /** The same place, said more exactly: no step of its own for Back. */
  settle(to: Partial<Place>): void {
    this.#take(arrive(this.#place, to));
    history.replaceState(null, '', formatPlace(this.#place));
  }

  /** The address of where `go` would lead, for links. */
  href(to: Partial<Place>): string {
    return formatPlace(arrive(this.#place, to));
  }

  #take(place: Place): void {
    this.#place = place;
    session.choose(place.image, place.archive, place.view === 'container' ? place.container : null);
  }
}

export const selection = new Selection();
