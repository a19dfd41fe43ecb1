/** What overlayfs' own extended attributes mean, in a few words. */
const MARKS: Record<string, string> = {
  opaque: 'opaque: nothing of the layers below shows in it',
  origin: 'the inode below that it was copied from, so that its number stays',
  impure: 'holds something that was copied up',
  redirect: 'where the layers below have what is in it',
  metacopy: 'attributes only, the bytes are below',
  whiteout: 'counts as a whiteout',
  protattr: 'attributes that may not be changed',
  nlink: 'how many names it has with those below',
};

export function sayMark(name: string): string | null {
  return MARKS[/^(?:trusted|user)\.overlay\.(\w+)$/.exec(name)?.[1] ?? ''] ?? null;
}
