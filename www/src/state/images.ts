/** Images and archives come into the session, are switched between, and leave it. */
import type { Action, ArchiveView, ImageView } from '../core/protocol';
import { attempt } from './actions';
import { selection } from './selection.svelte';
import { PINNED, session } from './session.svelte';

/** The article's image, beside what is there. */
export async function addSample(architecture = 'amd64'): Promise<void> {
  const image = session.ids.image();
  const first = session.image === null;
  const action = await session.client.call({
    kind: 'sample',
    image,
    firstLayer: session.ids.layer(),
    architecture,
  });
  await session.apply(action, undefined, PINNED);
  if (!first) selection.go({ image });
}

/** An image with one empty layer. */
export async function addEmpty(): Promise<void> {
  const image = session.ids.image();
  const actions: Action[] = [
    { op: 'create_image', image, name: 'handroll:latest' },
    { op: 'add_layer', image, layer: session.ids.layer(), name: 'base' },
  ];
  if (await attempt({ op: 'group', label: 'a new image', actions })) selection.go({ image });
}

export function closeArchive(archive: ArchiveView): Promise<boolean> {
  return attempt({ op: 'close_archive', archive: archive.id }, `${archive.name} closed.`);
}

export function removeImage(image: ImageView): Promise<boolean> {
  return attempt({ op: 'remove_image', image: image.id }, `${image.reference.familiar} removed.`);
}

/** `linux/arm64/v8` */
export function platformOf({ config: { platform } }: ImageView): string {
  return [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/');
}
