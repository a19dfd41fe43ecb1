/** A sentence of the machine in pieces: digests that can be followed, paths and options as they are typed. */
export type Piece = { text: string } | { digest: string; text: string } | { code: string };

const DIGEST = /sha256:[0-9a-f]{12,64}…?/;
/** A path of the machine's disk, a mount's options, or a label with its value. */
const CODE =
  /(?:(?<![\w./])[a-z]*\/|[a-z]+=)[\w./:=,@+-]*[\w/]…?|\b(?:containerd\.io\/[\w.-]+[\w])(?:=\S+\w)?/;

/** `find` gives the whole of a digest that begins like this, if there is one. */
export function pieces(sentence: string, find: (beginning: string) => string | null): Piece[] {
  const all: Piece[] = [];
  const add = (text: string) => text && all.push({ text });
  // The name of a file that is a digest is long enough without its end.
  let rest = sentence.replace(/(?<=\/)([0-9a-f]{12})[0-9a-f]{52}\b/g, '$1…');
  for (;;) {
    const found = new RegExp(`(${DIGEST.source})|(${CODE.source})`).exec(rest);
    if (!found) break;
    add(rest.slice(0, found.index));
    const [text] = found;
    const digest = found[1] ? find(text.replace('…', '')) : null;
    if (digest) all.push({ digest, text: `${digest.slice(7, 19)}` });
    else if (found[1]) add(text);
    else all.push({ code: text });
    rest = rest.slice(found.index + text.length);
  }
  add(rest);
  return all;
}

/** What a key of containerd is called where there is little room: a digest by its first digits. */
export function shortKey(key: string): string {
  return /^sha256:[0-9a-f]{64}$/.test(key) ? key.slice(7, 15) : key;
}

/** An image's name without what every name of Docker Hub begins with. */
export function shortName(name: string): string {
  return name.replace(/^docker\.io\/(library\/)?/, '');
}

/** A directory of the snapshotter by its number, without the long way there. */
export function shortPaths(text: string): string {
  return text.replace(
    /\/var\/lib\/containerd\/io\.containerd\.snapshotter\.v1\.overlayfs\/snapshots\//g,
    '…/',
  );
}

/** A part of a path or of options may end a line. */
export function breakable(text: string): string[] {
  return text.split(/(?<=[/:,=])/);
}
