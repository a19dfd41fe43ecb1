/** Ids for what is made: never one that anything in the session has or had. */
import type { ArchiveId, ImageId, LayerId, Overview } from '../core/protocol';

export class Ids {
  #archive = 1;
  #image = 1;
  #layer = 1;

  archive(): ArchiveId {
    return this.#archive++;
  }
  image(): ImageId {
    return this.#image++;
  }
  layer(): LayerId {
    return this.#layer++;
  }

  /** Takes note of what there is: an archive brings as many images and layers as it holds. */
  see({ archives, images, containers }: Overview): void {
    const after = (next: number, all: { id: number }[]) =>
      all.reduce((n, { id }) => Math.max(n, id + 1), next);
    this.#archive = after(this.#archive, archives);
    this.#image = after(after(this.#image, images), containers);
    this.#layer = containers.reduce((next, { layer }) => Math.max(next, layer + 1), this.#layer);
    for (const { layers } of images) this.#layer = after(this.#layer, layers);
  }
}
