/** What a digest names in the images of the session, and the way there. */
import type { DocumentName, ImageView } from '../core/protocol';
import { letter } from '../lib/letters';
import { selection } from './selection.svelte';
import { session } from './session.svelte';

export interface Named {
  /** `config, the image ID`, `DiffID of layer B`. */
  what: string;
  go: () => void;
}

/** In the image in hand, else in any that there is. */
export function named(digest: string): Named | null {
  const images = session.image ? [session.image, ...session.images] : [];
  for (const image of images) {
    const found = namedIn(image, digest);
    if (found) return found;
  }
  return null;
}

function namedIn(image: ImageView, digest: string): Named | null {
  for (const name of ['config', 'manifest', 'index'] as DocumentName[]) {
    if (image.documents[name]?.digest !== digest) continue;
    const what = name === 'config' ? 'the config; its digest is the image ID' : `the ${name}`;
    return {
      what,
      go: () =>
        selection.go({ image: image.id, view: 'documents', document: name, node: null, page: 'stage' }),
    };
  }
  for (const [position, { id, name, blob }] of image.layers.entries()) {
    if (blob.state !== 'known') continue;
    const of = `layer ${letter(position)}, ${name}`;
    const go = () => selection.go({ image: image.id, view: 'files', layer: id, page: 'stage' });
    if (blob.diff_id === digest) return { what: `DiffID of ${of}`, go };
    if (blob.digest === digest) return { what: `blob of ${of}`, go };
    if (blob.chain_id === digest) return { what: `ChainID up to ${of}`, go };
  }
  return null;
}
