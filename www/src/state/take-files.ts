/** Files and folders from this computer become entries of a layer. */
import type { Action, NewEntry } from '../core/protocol';
import { toBase64 } from '../lib/base64';
import { byteText } from '../lib/byte-text';
import { count } from '../lib/bytes';
import { looksExecutable, markOf, type Dropped } from '../lib/drop';
import { join, parentOf } from '../lib/path';
import { attempt, reveal } from './actions';
import { notices } from './notices.svelte';
import { session } from './session.svelte';

/** A read of a file costs about a millisecond, every time a layer is hashed: small ones are taken in whole. */
const INLINE = 8 * 1024;
/** Many small files are read as one, which is a good deal faster than one by one. */
const AT_ONCE = 256;

/** Takes files and directories into a layer, as one step of undo, and says what modes they got. */
export async function takeFiles(layer: number, directory: string, dropped: Dropped[]): Promise<void> {
  if (dropped.length === 0 || !session.image) return;
  if (dropped.length > 500) notices.say(`Reading ${count(dropped.length, 'file')}…`);
  const actions: Action[] = [];
  const inside = new Set(dropped.map((one) => parentOf(`/${one.path}`)));
  try {
    for (let at = 0; at < dropped.length; at += AT_ONCE) {
      const some = dropped.slice(at, at + AT_ONCE);
      const small = await readTogether(
        some.flatMap((one) => (one.file && one.file.size <= INLINE ? one.file : [])),
      );
      for (const one of some) {
        const action =
          mark(layer, directory, one) ??
          (await take(layer, join(directory, byteText(one.path)), one, small, inside));
        if (action) actions.push(action);
      }
    }
  } catch (error) {
    notices.say(`A file could not be read: ${error instanceof Error ? error.message : String(error)}`, true);
    return;
  }
  let executable = 0;
  for (const action of actions) if (action.op === 'make' && action.attributes?.mode === 0o755) executable++;
  const files = dropped.filter((one) => one.file).length;
  const label = `${count(files, 'file')} taken into ${session.layer(layer)?.name ?? 'the layer'}`;
  if (actions.length > 0 && !(await attempt({ op: 'group', label, actions }))) return;
  const marks = dropped.filter((one) => one.file && markOf(one.path)).length;
  notices.say(
    `${label}${marks ? `, ${count(marks, 'of them a whiteout or opaque mark', 'of them whiteouts or opaque marks')}` : ''}. A browser tells no permissions: ` +
      (executable === 0
        ? `${files === 1 ? 'it' : 'they'} got 0644.`
        : `${executable} that ${executable === 1 ? 'begins' : 'begin'} as a program or script got 0755, the rest 0644.`),
  );
  const shown = dropped.find((one) => !markOf(one.path));
  if (shown) await reveal(join(directory, byteText(shown.path)), layer);
}

/** Whiteouts in the specification's spelling are understood, whatever is in the file. */
function mark(layer: number, directory: string, { path, file }: Dropped): Action | null {
  const found = file && markOf(path);
  if (!found) return null;
  if ('whiteout' in found)
    return { op: 'whiteout', layer, path: join(directory, byteText(found.whiteout)), parents: true };
  const at = found.opaque ? join(directory, byteText(found.opaque)) : directory;
  return { op: 'set_opaque', layer, path: at, opaque: true, parents: true };
}

async function readTogether(files: File[]): Promise<Map<File, Uint8Array>> {
  const all = new Uint8Array(await new Blob(files).arrayBuffer());
  let at = 0;
  return new Map(files.map((file) => [file, all.subarray(at, (at += file.size))]));
}

async function take(
  layer: number,
  path: string,
  dropped: Dropped,
  small: Map<File, Uint8Array>,
  inside: Set<string>,
): Promise<Action | null> {
  const { file } = dropped;
  if (file === null) {
    // Directories with something in them come with it; an empty one is made, unless it is there.
    if (inside.has(`/${dropped.path}`) || (await isThere(layer, path))) return null;
    return { op: 'make', layer, path, entry: { kind: 'directory' }, parents: true };
  }
  const whole = small.get(file);
  const mode = looksExecutable(whole ?? new Uint8Array(await file.slice(0, 4).arrayBuffer())) ? 0o755 : 0o644;
  const content = whole
    ? { base64: toBase64(whole) }
    : { source: await session.openSource(file), offset: 0, length: file.size };
  const entry: NewEntry = { kind: 'file', content };
  return { op: 'make', layer, path, entry, attributes: { mode }, parents: true, replace: true };
}

async function isThere(layer: number, path: string): Promise<boolean> {
  const column = await session.client.query({ query: 'column', image: session.image!.id, path });
  return column.layers.some((stratum) => stratum.layer === layer && stratum.entry !== null);
}
