/** What differs at a path, from what to what. */
import type { ComparedPath, ShownPath } from '../core/protocol';
import { formatSize } from '../lib/bytes';
import { octal, rwx } from '../lib/mode';
import { formatTime } from '../lib/time';

export function signOf({ before, after }: ComparedPath): '+' | '−' | '~' {
  return !before ? '+' : !after ? '−' : '~';
}

export const SIGNS = { '+': 'added', '−': 'removed', '~': 'changed' } as const;

const WORDS: Record<string, string> = {
  content_unread: 'content perhaps',
  links: 'names of the file',
};

/** In what, in the words of the list. */
export function inWords(changed: string[]): string {
  return changed.map((change) => WORDS[change] ?? change).join(', ');
}

/** In what, and where it is short, from what to what. */
export function told({ before, after, changed }: ComparedPath): string {
  if (!before || !after) return '';
  const say = (change: string): string => {
    if (change === 'mode') return `mode ${octal(before.mode)} → ${octal(after.mode)}`;
    if (change === 'owner') return `owner ${before.uid}:${before.gid} → ${after.uid}:${after.gid}`;
    if (change === 'kind') return `${kindOf(before)} → ${kindOf(after)}`;
    if (change === 'target') return `target ${before.target} → ${after.target}`;
    return WORDS[change] ?? change;
  };
  return changed.map(say).join(', ');
}

export function kindOf({ kind }: ShownPath): string {
  return kind.replace('_', ' ');
}

export function sizeOf(shown: ShownPath | null): string {
  return shown?.kind === 'file' ? formatSize(shown.size) : '';
}

export interface Line {
  what: string;
  before: string;
  after: string;
  differs: boolean;
}

/** All that is known of a path before and after, line by line. */
export function linesOf({ before, after, changed }: ComparedPath): Line[] {
  const line = (what: string, change: string, say: (shown: ShownPath) => string): Line => ({
    what,
    before: before ? say(before) : '',
    after: after ? say(after) : '',
    differs: changed.includes(change),
  });
  const all = [
    line('Kind', 'kind', kindOf),
    line('Size', 'content', (shown) => (shown.kind === 'file' ? `${shown.size} B` : '')),
    line('Mode', 'mode', ({ mode, kind }) => `${octal(mode)}  ${rwx(mode, kind)}`),
    line('Owner', 'owner', ({ uid, gid }) => `${uid}:${gid}`),
    line('Modified', 'time', ({ mtime }) => formatTime(mtime)),
    line('Target', 'target', ({ target }) => target ?? ''),
    line('Device', 'device', ({ device }) => device?.join(':') ?? ''),
    line('Xattrs', 'xattrs', ({ xattrs }) => xattrs.map(([name, value]) => `${name}=${value}`).join('\n')),
  ];
  return all.filter(({ before, after }) => before !== '' || after !== '');
}
