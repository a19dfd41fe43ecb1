/** What of a trace is told at once, and where its rules are written down. */
import type { CallView, TraceEvent } from '../core/protocol';

/** Only said when one asks: how names were found. */
export function isLookup({ rule }: TraceEvent): boolean {
  return rule.startsWith('resolve.');
}

const LOOKS = /^(stat|readlink|readdir|getxattr|listxattr) |^open \S+ read /;

/** Did the call change something, or fail? That a program looked for what is not there is no failure of a line
 *  that went well. */
export function isWorthTelling({ call, errno, events }: CallView, status: number): boolean {
  if (errno !== null) return status !== 0 || !LOOKS.test(call);
  return events.some((event) => !isLookup(event));
}

/** Where a source can be read: the kernel's documentation or a manual page; null for a function of the kernel. */
export function addressOf(source: string): string | null {
  if (source.startsWith('overlayfs.rst')) return 'https://docs.kernel.org/filesystems/overlayfs.html';
  const page = /^([\w-]+)\((\d)\)/.exec(source);
  return page ? `https://man7.org/linux/man-pages/man${page[2]}/${page[1]}.${page[2]}.html` : null;
}

/** A sentence around the path that it is about. The layer, which the core counts, by its letter as on its sheet. */
export function around(
  { sentence, path }: TraceEvent,
  position: number,
  letter: string,
): [string, string, string] {
  const at = path === '' ? -1 : sentence.indexOf(path);
  const named = (text: string) => text.replace(new RegExp(`\\blayer ${position + 1}\\b`), `layer ${letter}`);
  if (at < 0) return [named(sentence), '', ''];
  return [named(sentence.slice(0, at)), path, named(sentence.slice(at + path.length))];
}
