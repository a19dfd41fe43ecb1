/**
 * What is looked at: the view, the layer in hand, the path, the document. It lives in the location hash,
 * so that Back works and a place can be linked to.
 */
import { formatHash, parseHash } from '../lib/hash-params';
import type { DocumentName } from '../core/protocol';
import { session } from './session.svelte';

export const VIEWS = ['stack', 'files', 'merged', 'documents'] as const;
export type View = (typeof VIEWS)[number];
/** On a phone the parts are pages. */
export type Page = 'digests' | 'layers' | 'stage' | 'inspector';
const DOCUMENTS: DocumentName[] = ['config', 'manifest', 'index', 'oci-layout', 'manifest.json'];

class Selection {
  view = $state<View>('stack');
  page = $state<Page>('stage');
  path = $state<string | null>('/hello.txt');
  document = $state<DocumentName>('config');
  #layer = $state<number | null>(null);

  /** The layer in hand: the chosen one while it exists, else the topmost. */
  get layer(): number | null {
    const chosen = session.layer(this.#layer);
    return chosen?.id ?? session.layers.at(-1)?.id ?? null;
  }

  constructor() {
    this.#read();
    window.addEventListener('popstate', () => this.#read());
    window.addEventListener('hashchange', () => this.#read());
  }

  show(view: View): void {
    this.go({ view, page: 'stage' });
  }

  /** Goes somewhere: one step for Back when it is another place. */
  go(to: { view?: View; page?: Page; path?: string | null; layer?: number; document?: DocumentName }): void {
    if (to.view) this.view = to.view;
    if (to.page) this.page = to.page;
    if (to.path !== undefined) this.path = to.path;
    if (to.layer !== undefined) this.#layer = to.layer;
    if (to.document) this.document = to.document;
    const hash = this.#format();
    if (hash !== location.hash) history.pushState(null, '', hash);
  }

  #format(): string {
    const params: Record<string, string> = {};
    if (this.view === 'documents') params.doc = this.document;
    if (this.#layer !== null) params.layer = String(this.#layer);
    if (this.path !== null) params.path = this.path;
    if (this.page !== 'stage') params.page = this.page;
    return formatHash({ view: this.view, params });
  }

  #read(): void {
    const { view, params } = parseHash(location.hash);
    this.view = VIEWS.find((name) => name === view) ?? 'stack';
    this.page = (['digests', 'layers', 'inspector'] as const).find((name) => name === params.page) ?? 'stage';
    this.path = params.path ?? (view ? null : '/hello.txt');
    this.#layer = params.layer ? Number(params.layer) : null;
    this.document = DOCUMENTS.find((name) => name === params.doc) ?? 'config';
  }
}

export const selection = new Selection();
