/** What the sheets say of one path, in a sentence: which shows, what lies under it, what took it away. */
import type { LayerId, Row } from '../core/protocol';
import { formatSize } from '../lib/bytes';

function list(names: string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

/** `nameOf` gives the letters that layers go by. */
export function sayRow(row: Row, nameOf: (layer: LayerId) => string, layers: LayerId[]): string {
  const at = (wanted: (cell: NonNullable<Row['cells'][number]>) => boolean) =>
    layers.filter((_, position) => {
      const cell = row.cells[position];
      return cell && wanted(cell);
    });
  const entries = at((cell) => cell.what !== 'whiteout');
  const hidden = at((cell) => cell.what !== 'whiteout' && cell.hidden_by !== null);
  const bytes = row.cells.reduce(
    (sum, cell) => sum + (cell && cell.what !== 'whiteout' && cell.hidden_by !== null ? cell.size : 0),
    0,
  );
  const lies = hidden.length === 1 ? 'lies' : 'lie';
  const below =
    hidden.length > 0
      ? ` What ${list(hidden.map(nameOf))} ${hidden.length === 1 ? 'has' : 'have'} ${lies} hidden, and still in the image${bytes > 0 ? `: ${formatSize(bytes)}` : ''}.`
      : '';
  if (row.visible !== null) {
    const merged = entries.filter((layer) => !hidden.includes(layer));
    if (row.kind === 'directory' && merged.length > 1)
      return `The names in it add up from ${list(merged.map(nameOf))}; mode, owner and time are ${nameOf(row.visible)}’s.${below}`;
    return `Shows from ${nameOf(row.visible)}.${below}`;
  }
  const hider = hiderOf(row);
  if (entries.length === 0) return 'A whiteout of what no layer has.';
  return `Gone${hider === null ? '' : `: ${nameOf(hider)} takes it away`}.${below}`;
}

/** The layer that a path ends at, of which nothing shows: what hides its topmost entry. */
export function hiderOf(row: Row): LayerId | null {
  return row.cells.findLast((cell) => cell && cell.what !== 'whiteout')?.hidden_by ?? null;
}
