/** What is under the pointer, or in focus: every place that shows the same thing lights up. */
import type { BlockField } from '../core/protocol';

class Lit {
  digest = $state<string | null>(null);
  /** A path of which something is told. */
  path = $state<string | null>(null);
  /** An attribute of the path in hand: the field in the tar that sets it, and the field in the inspector. */
  attribute = $state<BlockField['attribute']>(null);
  /** The same, of the field that was chosen. */
  chosen = $state<BlockField['attribute']>(null);

  sets(...attributes: BlockField['attribute'][]): boolean {
    return attributes.some((one) => one !== null && (one === this.attribute || one === this.chosen));
  }
}

export const lit = new Lit();
