/**
 * A place in the page as an address: what is looked at, and where in it. It lives in the location hash, so
 * that Back works and a place can be linked to. Ids are those of the session: in another one they lead to what
 * there is.
 */
import type { DocumentName, Point } from '../core/protocol';
import { formatHash, natural, oneOf, parseHash, text, type Codec } from '../lib/hash-params';

export const VIEWS = [
  'stack',
  'container',
  'files',
  'merged',
  'documents',
  'history',
  'bytes',
  'check',
  'changes',
  'compare',
  'machine',
] as const;
export type View = (typeof VIEWS)[number];
/** On a phone the parts are pages. */
export const PAGES = ['stage', 'digests', 'layers', 'inspector'] as const;
export type Page = (typeof PAGES)[number];
const DOCUMENTS: DocumentName[] = ['config', 'manifest', 'index', 'oci-layout', 'manifest.json'];
/** What a layer does to those below it: the rows that are shown of it. */
export const ONLY = ['added', 'changed', 'hides'] as const;
export type Only = (typeof ONLY)[number];

/** How the stack is looked at; without a word as is best for what is in it. */
export const LOOKS = ['apart', 'through', 'table'] as const;
export type Look = (typeof LOOKS)[number];

/** What of the machine is looked at: what containerd holds, or what its images share. */
export const HOLDS = ['store', 'sharing'] as const;
export type Holds = (typeof HOLDS)[number];

/** How a node's bytes are shown. */
export type Shown = 'json' | 'text' | 'bytes';

export interface Place {
  view: View;
  page: Page;
  image: number | null;
  /** Of an archive that holds no image. */
  archive: number | null;
  /** A container of the image. */
  container: number | null;
  layer: number | null;
  path: string | null;
  /** Of the stack: how it is looked at, and what its paths are searched for. */
  look: Look | null;
  find: string | null;
  /** The two points that are compared; null: what the image in hand suggests. */
  before: Point | null;
  after: Point | null;
  /** Of the machine; and a container of it, by its id there, whose start is gone through. */
  holds: Holds;
  start: string | null;
  /** Of an image that was made here. */
  document: DocumentName;
  /** A node of the archive's graph, a place in its document, and how it is shown. */
  node: number | null;
  pointer: string | null;
  as: Shown;
  only: Only | null;
  /** A byte of the layer's tar, and where the field in hand begins. */
  offset: number | null;
  field: number | null;
  /** The number of a finding. */
  finding: number | null;
}

/** Where a fresh page is. */
export const HOME: Place = {
  view: 'stack',
  page: 'stage',
  image: null,
  archive: null,
  container: null,
  layer: null,
  path: '/hello.txt',
  look: null,
  find: null,
  before: null,
  after: null,
  holds: 'store',
  start: null,
  document: 'config',
  node: null,
  pointer: null,
  as: 'json',
  only: null,
  offset: null,
  field: null,
  finding: null,
};

/** `1.2`: two layers of image 1. `c3.4`: container 3 after four steps. */
const point: Codec<Point | null> = {
  format: (value) =>
    value && ('image' in value ? `${value.image}.${value.layers}` : `c${value.container}.${value.step}`),
  parse: (value) => {
    const [, container, id, count] = /^(c?)(\d{1,9})\.(\d{1,9})$/.exec(value ?? '') ?? [];
    if (id === undefined) return null;
    return container
      ? { container: Number(id), step: Number(count) }
      : { image: Number(id), layers: Number(count) };
  },
};

/** A key of the place, its name in the address, how it is written, and the views that it belongs to. */
type Param = { [K in keyof Place]: [K, string, Codec<Place[K]>, View[] | null] }[Exclude<
  keyof Place,
  'view'
>];
const PARAMS: Param[] = [
  ['image', 'image', natural, null],
  ['archive', 'archive', natural, null],
  ['container', 'container', natural, ['container']],
  ['look', 'look', oneOf<Look | null>([...LOOKS], null), ['stack', 'container']],
  ['find', 'find', text, ['stack', 'container']],
  ['before', 'before', point, ['compare']],
  ['after', 'after', point, ['compare']],
  ['holds', 'of', oneOf<Holds>([...HOLDS], 'store'), ['machine']],
  ['start', 'start', text, ['machine']],
  ['document', 'doc', oneOf(DOCUMENTS, 'config'), ['documents']],
  ['node', 'node', natural, ['documents']],
  ['pointer', 'pointer', text, ['documents']],
  ['as', 'as', oneOf<Shown>(['json', 'text', 'bytes'], 'json'), ['documents']],
  ['layer', 'layer', natural, null],
  ['only', 'only', oneOf<Only | null>([...ONLY], null), ['files']],
  ['offset', 'at', natural, ['bytes']],
  ['field', 'field', natural, ['bytes']],
  ['finding', 'finding', natural, ['check']],
  ['path', 'path', text, null],
  ['page', 'page', oneOf<Page>([...PAGES], 'stage'), null],
];

/** What goes with something else: another image has other layers, another node another document. */
const WITH: Partial<Record<keyof Place, (keyof Place)[]>> = {
  image: ['archive', 'container', 'layer', 'path', 'find', 'node', 'finding'],
  archive: ['node'],
  container: ['layer', 'find'],
  layer: ['offset', 'only'],
  node: ['pointer', 'as'],
  document: ['pointer', 'as'],
  offset: ['field'],
};

/** The place that one comes to from `from` by going to `to`. */
export function arrive(from: Place, to: Partial<Place>): Place {
  const place = { ...from };
  const forget = (key: keyof Place): void =>
    WITH[key]?.forEach((other) => {
      if (other in to) return;
      Object.assign(place, { [other]: other === 'path' ? null : HOME[other] });
      forget(other);
    });
  for (const key of Object.keys(to) as (keyof Place)[]) if (to[key] !== from[key]) forget(key);
  return Object.assign(place, to);
}

export function formatPlace(place: Place): string {
  const params: Record<string, string> = {};
  for (const [key, name, codec, views] of PARAMS) {
    if (views && !views.includes(place.view)) continue;
    const value = (codec as Codec<unknown>).format(place[key]);
    if (value !== null) params[name] = value;
  }
  return formatHash({ view: place.view, params });
}

/** Reads an address; what it does not speak of stays as it is `now`. */
export function parsePlace(hash: string, now: Place = HOME): Place {
  const { view: name, params } = parseHash(hash);
  if (!name) return { ...HOME };
  const view = VIEWS.find((one) => one === name) ?? 'stack';
  const place: Place = { ...now, view };
  for (const [key, name, codec, views] of PARAMS) {
    if (views && !views.includes(view)) continue;
    Object.assign(place, { [key]: codec.parse(params[name] ?? null) });
  }
  return place;
}
