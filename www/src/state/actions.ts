/** What a person does, in terms of the core's actions. Each gives the core's refusal, or null. */
import type { Action, Compression, ContentRef, CoreError, EntryView, NewEntry } from '../core/protocol';
import { count } from '../lib/bytes';
import { parentOf } from '../lib/path';
import { fileName, saveFile } from '../lib/save-file';
import { notices } from './notices.svelte';
import { refusal, session } from './session.svelte';
import { reading, STOPPED } from './reading.svelte';
import { selection } from './selection.svelte';

/** For actions without a field to stand beside: says a refusal as a notice. */
export async function attempt(action: Action, says?: string): Promise<boolean> {
  const refused = await session.apply(action, says);
  if (refused) notices.say(refused.message, true);
  return refused === null;
}

export async function addLayer(): Promise<void> {
  const image = session.image;
  if (!image) return;
  const layer = session.ids.layer();
  if (await attempt({ op: 'add_layer', image: image.id, layer, name: `layer-${image.layers.length + 1}` })) {
    selection.go({ layer });
  }
}

export async function addLayerFromTar(file: File): Promise<void> {
  const image = session.image;
  if (!image) return;
  const layer = session.ids.layer();
  const source = await session.openSource(file);
  const name = file.name.replace(/\.(tar|tgz|tar\.gz)$/i, '');
  const content = { source, offset: 0, length: file.size };
  const call = (what: ContentRef | null) => session.client.call({ kind: 'read_ahead', content: what });
  // A fault that is met here is met again by the operation that follows, which says it.
  const read = reading.read(
    name,
    () => call(content),
    () => call(null),
  );
  if ((await read.catch(() => null)) === STOPPED) return;
  if (await attempt({ op: 'add_layer_tar', image: image.id, layer, name, content })) selection.go({ layer });
}

export async function duplicateLayer(id: number): Promise<void> {
  const layer = session.layer(id);
  const copy = session.ids.layer();
  if (layer && (await attempt({ op: 'duplicate_layer', layer: id, copy, name: `${layer.name}-copy` }))) {
    selection.go({ layer: copy });
  }
}

export function moveLayer(layer: number, position: number): Promise<boolean> {
  if (position < 0 || position >= session.layers.length) return Promise.resolve(false);
  return attempt({ op: 'move_layer', layer, position });
}

export function setCompression(layer: number, compression: Compression): Promise<boolean> {
  return attempt({ op: 'set_compression', layer, compression });
}

export async function makeEntry(
  layer: number,
  path: string,
  entry: NewEntry,
  parents: boolean,
): Promise<CoreError | null> {
  const refused = await session.apply({ op: 'make', layer, path, entry, parents });
  if (!refused) await reveal(path, layer);
  return refused;
}

/** Selects a path and unfolds what stands above it. */
export async function reveal(path: string, layer?: number): Promise<void> {
  if (session.stack !== null) {
    await session.client.query({ query: 'row_of', image: session.stack, path });
    session.tick++;
  }
  selection.go(layer === undefined ? { path } : { path, layer });
}

/** Delete: an entry of this layer goes; a whiteout is lifted; what is only below gets a whiteout. */
export async function deletePath(layer: number, path: string): Promise<void> {
  if (session.stack === null || path === '/') return;
  if (session.container) return void (await attempt({ op: 'delete', layer: session.container.layer, path }));
  const column = await session.client.query({ query: 'column', image: session.stack, path });
  const here = column.layers.find((stratum) => stratum.layer === layer);
  if (here?.entry) await attempt({ op: 'delete', layer, path });
  else if (here?.cell?.what === 'whiteout') await attempt({ op: 'clear_whiteout', layer, path });
  else {
    const done = await attempt({ op: 'whiteout', layer, path, parents: true });
    const name = session.layer(layer)?.name ?? '';
    if (done) notices.say(`${path} is in a layer below. ${name} now says that it is deleted: a whiteout.`);
  }
}

/** Takes a path out of the whole image, not only out of sight. */
export async function removeEverywhere(path: string): Promise<void> {
  const image = session.image?.id;
  if (image !== undefined) await attempt({ op: 'remove_path', image, path });
}

/** A copy of what is visible below, into this layer, to be changed there. */
export async function copyUp(from: number, to: number, entry: EntryView): Promise<void> {
  const parent = parentOf(entry.path);
  const column = await session.client.query({ query: 'column', image: session.image!.id, path: parent });
  const actions: Action[] = [];
  if (!column.layers.some((stratum) => stratum.layer === to && stratum.entry)) {
    const made: Action = { op: 'make', layer: to, path: parent, entry: { kind: 'directory' }, parents: true };
    actions.push(made);
  }
  actions.push({ op: 'copy', from: { layer: from, path: entry.path }, to: { layer: to, path: entry.path } });
  await attempt({ op: 'group', label: `${entry.path} copied into ${session.layer(to)?.name}`, actions });
}

export async function save(what: Parameters<typeof exportBlob>[0], name: string): Promise<void> {
  const blob = await exportBlob(what);
  if (blob) saveFile(blob, fileName(name));
}

async function exportBlob(what: import('../core/protocol').Export): Promise<Blob | null> {
  try {
    return await session.client.call({ kind: 'export', what });
  } catch (error) {
    notices.say(refusal(error).message, true);
    return null;
  }
}

export async function openRecipe(file: File): Promise<void> {
  try {
    const source = await session.openSource(file);
    const operations = await session.client.call({ kind: 'load_recipe', source });
    await session.startOver(operations);
    selection.go({ image: null });
    notices.say(`${file.name}: ${count(operations.length, 'operation')} replayed.`);
  } catch (error) {
    notices.say(`${file.name}: ${refusal(error).message}`, true);
  }
}
