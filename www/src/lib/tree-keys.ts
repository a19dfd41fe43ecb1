/** The keys of the ARIA tree pattern, as what they ask for. Knows rows only by number. */
export interface TreePlace {
  /** The active row, -1 when none is. */
  active: number;
  total: number;
  /** Rows that fit on a page. */
  page: number;
  expandable: boolean;
  open: boolean;
  depth: number;
}

export type TreeMove = { to: number } | 'open' | 'fold' | 'toggle' | 'parent' | null;

export function treeMove(key: string, { active, total, page, expandable, open, depth }: TreePlace): TreeMove {
  const to = (index: number): TreeMove => ({ to: Math.max(0, Math.min(total - 1, index)) });
  switch (key) {
    case 'ArrowDown':
      return to(active + 1);
    case 'ArrowUp':
      return to(active - 1);
    case 'PageDown':
      return to(active + page);
    case 'PageUp':
      return to(active - page);
    case 'Home':
      return to(0);
    case 'End':
      return to(total - 1);
    case 'ArrowRight':
      return !expandable ? null : open ? to(active + 1) : 'open';
    case 'ArrowLeft':
      return expandable && open ? 'fold' : depth > 0 ? 'parent' : null;
    case 'Enter':
    case ' ':
      return expandable ? 'toggle' : null;
    default:
      return null;
  }
}

export const TREE_KEYS = [
  'ArrowDown',
  'ArrowUp',
  'PageDown',
  'PageUp',
  'Home',
  'End',
  'ArrowRight',
  'ArrowLeft',
  'Enter',
  ' ',
];
