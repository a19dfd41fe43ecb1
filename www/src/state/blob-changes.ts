/** Asks which blobs of the image in hand are written as they came; for an effect, which ends what it began. */
import type { Change } from '../core/protocol';
import { session } from './session.svelte';

export function loadChanges(take: (changes: Change[] | null) => void): () => void {
  let wanted = true;
  const image = session.image?.id;
  if (image !== undefined)
    void session.client.query({ query: 'changes', image }).then(
      (changes) => wanted && take(changes),
      () => wanted && take(null),
    );
  return () => (wanted = false);
}
