/** Digests for people: the first eight digits, and a little bar code of them, the same stamp everywhere. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 8);
}

/** Eight heights from 2 to 12. */
export function barHeights(digest: string): number[] {
  return [...shortDigest(digest)].map((digit) => 2 + Math.round((parseInt(digit, 16) / 15) * 10));
}
