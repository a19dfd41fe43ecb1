/** The story of a path, layer by layer, in the words of `handroll why`. */
import type { ColumnLayer, LayerId } from '../core/protocol';
import { count, formatSize } from '../lib/bytes';

const WORDS: Record<string, string> = { xattrs: 'extended attributes', content_unread: 'perhaps content' };

export interface Told {
  /** What the layer did, in a word or two. */
  does: string;
  /** And the rest of the sentence. */
  more: string;
  /** What became of what it has there; empty while that shows. */
  fate: string;
}

/** `nameOf` gives the letters that layers go by. */
export function tellLayer(
  { cell, entry, deed }: ColumnLayer,
  nameOf: (layer: LayerId) => string,
): Told | null {
  if (!deed) return null;
  const kind = (entry?.kind ?? '').replace('_', ' ');
  const what = [
    entry?.kind === 'file' ? formatSize(entry.size) : kind,
    entry?.target ? `to ${entry.target}` : '',
    cell?.opaque ? 'opaque: nothing of it below shows' : '',
  ];
  const has = what.filter(Boolean).join(', ');
  const left = deed.files > 0 ? `: ${formatSize(deed.bytes)}` : '';
  const inFiles = entry?.kind === 'directory' && deed.files > 0 ? ` in ${count(deed.files, 'file')}` : '';
  const fate =
    deed.hidden_by === null
      ? ''
      : `hidden by ${nameOf(deed.hidden_by)}, and still in the image${left}${inFiles}`;
  const changed = deed.changed.map((one) => WORDS[one] ?? one).join(', ');
  switch (deed.does) {
    case 'makes':
      return { does: 'makes it', more: has, fate };
    case 'changes':
      if (deed.merges) return { does: 'adds to it', more: changed ? `other ${changed}` : has, fate };
      return {
        does: changed ? 'changes it' : 'has the same again',
        more: changed ? `${changed}; ${has}` : has,
        fate,
      };
    case 'passes':
      return { does: 'passes through', more: 'only a directory on the way to something', fate };
    case 'deletes':
      return { does: 'deletes it', more: 'a whiteout', fate };
    case 'deletes_nothing':
      return { does: 'deletes nothing', more: 'a whiteout of what no layer below shows', fate };
    case 'hides': {
      const at = deed.at ?? '';
      if (deed.how === 'whiteout') return { does: 'takes it away', more: `a whiteout of ${at}`, fate };
      if (deed.how === 'opaque') return { does: 'takes it away', more: `${at} is opaque here`, fate };
      return { does: 'takes it away', more: `something else is in the place of ${at}`, fate };
    }
  }
}

/** How tall a stratum is drawn, in pixels: more for more bytes, but nothing so tall that it hides the rest. */
export function depthOf(bytes: number): number {
  return 30 + Math.min(34, Math.round(5 * Math.log10(1 + bytes)));
}
