/**
 * Why a path is as it is: short cards, chosen by what the column through the layers shows. Each states one
 * rule and links the clause of the specification that says it.
 */
import type { Cell, Column, EntryView } from '../core/protocol';

export interface Card {
  title: string;
  text: string;
  link: { text: string; href: string };
}

const LAYER = 'https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md';
const rule = (text: string, anchor: string) => ({ text, href: `${LAYER}#${anchor}` });

export function explain(column: Column, entry: EntryView | null, layer: number | null): Card {
  const cells = column.layers.map((stratum) => stratum.cell);
  const at = column.layers.findIndex((stratum) => stratum.layer === layer);
  const here: Cell | null = cells[at] ?? null;
  const entries = cells.filter((cell) => cell?.what === 'entry');
  const link = rule('layer.md', 'representing-changes');

  if (here?.what === 'whiteout' || (entries.length > 0 && cells.some((cell) => cell?.what === 'whiteout'))) {
    return {
      title: 'Why is it gone, and still there?',
      text: 'A layer cannot reach into the one below. It can only say “not this name”: an empty file called .wh.NAME in its tar, a whiteout. The bytes below still ship with the image.',
      link: rule('layer.md, whiteouts', 'whiteouts'),
    };
  }
  if (cells.some((cell) => cell?.opaque)) {
    return {
      title: 'Why does nothing below show?',
      text: 'An opaque directory is a fresh start: whatever the layers below have in it is hidden. In the tar that is a file called .wh..wh..opq beside its children.',
      link: rule('layer.md, opaque whiteout', 'opaque-whiteout'),
    };
  }
  if (entry?.kind === 'directory' && entries.length > 1) {
    return {
      title: 'Why is it in both?',
      text: 'Directories are merged: their names add up through the layers. Mode, owner and time come from the topmost layer that has the directory.',
      link,
    };
  }
  if (entries.length > 1) {
    return {
      title: 'Why two?',
      text: 'A layer never changes the one below. It holds a whole copy of its own, and the merged view shows the topmost. The copy below still ships with the image, changed bytes or not.',
      link,
    };
  }
  if (entry && entry.names.length > 1) {
    return {
      title: 'Why several names?',
      text: 'A hard link is one file with more than one name. The tar holds the bytes once, at the first name; the others point to it. Links never reach into another layer.',
      link: rule('layer.md, hardlinks', 'hardlinks'),
    };
  }
  if (entry && layer !== null && entry.layer !== layer) {
    return {
      title: 'How does one change it here?',
      text: 'By copying it. To change a file of a lower layer, this layer gets a full copy with the change in it; to delete it, a whiteout.',
      link,
    };
  }
  if (entry?.kind === 'symlink') {
    return {
      title: 'Where does it lead?',
      text: 'The target is only text. It is followed when a container runs, in the merged view, so it may lead into another layer, or nowhere.',
      link: rule('layer.md, file attributes', 'file-attributes'),
    };
  }
  return {
    title: 'What goes into the hash?',
    text: 'All of it: name, mode, owner, time, bytes, and the order in the tar. Change any and the DiffID of this layer is another. That is why this page pins the times.',
    link: rule('layer.md, file attributes', 'file-attributes'),
  };
}
