/** What a file looks like by its first bytes: enough to ask the core about it, or not to. */
import type { Dropped } from './drop';

/** Could this be a tar, plain or packed? The core has the last word. */
export async function looksLikeTar(file: Blob): Promise<boolean> {
  return isTarHead(new Uint8Array(await file.slice(0, 512).arrayBuffer()));
}

export function isTarHead(head: Uint8Array): boolean {
  const begins = (...bytes: number[]) => bytes.every((byte, i) => head[i] === byte);
  if (begins(0x1f, 0x8b) || begins(0x28, 0xb5, 0x2f, 0xfd)) return true;
  // A skippable frame of zstd: sixteen magic numbers.
  if (head[0]! >> 4 === 5 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18) return true;
  return head.length === 512 && (head.every((byte) => byte === 0) || checksumHolds(head));
}

/** The sum of a header's bytes, its own field taken as spaces, in octal at 148. */
function checksumHolds(head: Uint8Array): boolean {
  const claimed = /^[ \0]*([0-7]{1,8})/.exec(String.fromCharCode(...head.subarray(148, 156)))?.[1];
  const sum = head.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  return claimed !== undefined && parseInt(claimed, 8) === sum;
}

/** The image layout or unpacked docker archive that a dropped folder is, with paths from its root. */
export function layoutIn(dropped: Dropped[]): { name: string; files: { path: string; file: File }[] } | null {
  const roots = dropped.flatMap(({ path, file }) => {
    const [, root, name] = /^(?:([^/]+)\/)?([^/]+)$/.exec(path) ?? [];
    return file && /^(oci-layout|index\.json|manifest\.json)$/.test(name ?? '') ? [root ?? ''] : [];
  });
  const root = roots[0];
  // Everything that was dropped is in it, else it is a folder among others.
  if (root === undefined) return null;
  const prefix = root ? `${root}/` : '';
  const inside = dropped.filter(({ path }) => path === root || path.startsWith(prefix));
  if (inside.length < dropped.length || inside.length < 2) return null;
  const files = inside.flatMap(({ path, file }) => (file ? [{ path: path.slice(prefix.length), file }] : []));
  return { name: root || 'folder', files };
}
