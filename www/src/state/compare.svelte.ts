/** Two points of the session held against each other: which there are, which are chosen, and what differs. */
import type { ComparedPath, Comparison, ImageId, LayerId, Point } from '../core/protocol';
import { letter } from '../lib/letters';
import { attempt, save } from './actions';
import { titleOf } from './containers';
import { selection } from './selection.svelte';
import { refusal, session } from './session.svelte';

/** A line of points: an image from nothing to all its layers, or a container from its start to its last step. */
export interface Line {
  key: string;
  name: string;
  /** What each point adds to the one before; the first adds nothing. */
  pieces: { letter: string; tint: string; name: string }[];
  at(n: number): Point;
}

export function lines(): Line[] {
  const images = session.images.map(({ id, reference, layers }) => ({
    key: `i${id}`,
    name: reference.familiar,
    pieces: layers.map(({ name }, position) => ({
      letter: letter(position),
      tint: `k${position % 8}`,
      name,
    })),
    at: (n: number): Point => ({ image: id, layers: n }),
  }));
  const containers = (session.overview?.containers ?? []).map((container) => ({
    key: `c${container.id}`,
    name: titleOf(container),
    pieces: Array.from({ length: container.steps }, (_, step) => ({
      letter: String(step + 1),
      tint: 'ku',
      name: `step ${step + 1}`,
    })),
    at: (n: number): Point => ({ container: container.id, step: n }),
  }));
  return [...images, ...containers];
}

export const keyOf = (point: Point) => ('image' in point ? `i${point.image}` : `c${point.container}`);
export const countOf = (point: Point) => ('image' in point ? point.layers : point.step);

/** The point, or the nearest that there is; null if its image or container is gone. */
function existing(point: Point | null): Point | null {
  const line = point && lines().find(({ key }) => key === keyOf(point));
  return line ? line.at(Math.min(countOf(point), line.pieces.length)) : null;
}

/** Without a choice: what the topmost layer of the image in hand does. */
export function chosenPoints(): { before: Point; after: Point } | null {
  const { image } = session;
  if (!image) return null;
  const top = image.layers.length;
  return {
    before: existing(selection.place.before) ?? { image: image.id, layers: Math.max(0, top - 1) },
    after: existing(selection.place.after) ?? { image: image.id, layers: top },
  };
}

/** The letter and the colour of a layer or a sheet, of whatever image it is. */
export function markOf(layer: LayerId): { letter: string; tint: string } {
  for (const { layers } of session.images) {
    const position = layers.findIndex(({ id }) => id === layer);
    if (position >= 0) return { letter: letter(position), tint: `k${position % 8}` };
  }
  for (const container of session.overview?.containers ?? []) {
    if (container.layer === layer) return { letter: 'U', tint: 'ku' };
    const position = container.layers.indexOf(layer);
    if (position >= 0) return { letter: letter(position), tint: `k${position % 8}` };
  }
  return { letter: '?', tint: 'k0' };
}

/** Asked for around what is in sight. */
const MARGIN = 60;

/** A window onto what differs. */
export class Differences {
  answer = $state.raw<Comparison | null>(null);
  error = $state<string | null>(null);
  #key = '';
  #asked = 0;

  /** Call in an effect: reads what it depends on. */
  async load(before: Point, after: Point, first: number, last: number): Promise<void> {
    const key = JSON.stringify([before, after, session.tick]);
    const { answer } = this;
    const holds =
      answer && first >= answer.from && Math.min(last, answer.total) <= answer.from + answer.rows.length;
    if (key === this.#key && holds) return;
    const asked = ++this.#asked;
    const from = Math.max(0, first - MARGIN);
    try {
      const answer = await session.client.query({ query: 'compare', before, after, from, to: last + MARGIN });
      if (asked !== this.#asked) return;
      this.#key = key;
      this.answer = answer;
      this.error = null;
    } catch (error) {
      if (asked !== this.#asked) return;
      this.answer = null;
      this.error = refusal(error).message;
    }
  }

  /** The row at an index that may be out of sight. */
  async one(before: Point, after: Point, index: number): Promise<ComparedPath | undefined> {
    const known = this.at(index);
    if (known) return known;
    const answer = await session.client
      .query({ query: 'compare', before, after, from: index, to: index + 1 })
      .catch(() => null);
    return answer?.rows[0];
  }

  at(index: number): ComparedPath | undefined {
    return this.answer?.rows[index - this.answer.from];
  }
}

/** The image that a layer from `before` on can be put on: the one that `before` is the top of. */
export function imageUnder(before: Point): ImageId | null {
  if (!('image' in before)) return null;
  const image = session.images.find(({ id }) => id === before.image);
  return image && image.layers.length === before.layers ? image.id : null;
}

export function saveDifference(before: Point, after: Point): Promise<void> {
  return save({ export: 'difference_tar', before, after }, 'difference.tar');
}

export async function addDifference(image: ImageId, before: Point, after: Point): Promise<void> {
  const layer = session.ids.layer();
  if (await attempt({ op: 'add_difference', image, layer, name: 'difference', before, after }))
    selection.go({ view: 'files', page: 'stage', image, layer });
}
