/** Containers: started, committed, thrown away. */
import type { ContainerView, CoreError } from '../core/protocol';
import { attempt } from './actions';
import { inContainer } from './in-container.svelte';
import { notices } from './notices.svelte';
import { selection } from './selection.svelte';
import { session } from './session.svelte';

export const OPTIONS = [
  { options: '', label: 'As containerd mounts', says: 'No option: lower directories cannot be renamed.' },
  {
    options: 'redirect_dir=on',
    label: 'redirect_dir=on',
    says: 'A renamed directory remembers where its lower part is.',
  },
  {
    options: 'userxattr',
    label: 'userxattr',
    says: 'The marks are user.overlay.* instead of trusted.overlay.*, as for unprivileged users.',
  },
] as const;

export async function startContainer(options = ''): Promise<void> {
  const image = session.image?.id;
  if (image === undefined) return;
  const container = session.ids.image();
  const layer = session.ids.layer();
  if (!(await attempt({ op: 'start_container', container, image, layer, options }))) return;
  inContainer.started = container;
  selection.go({ view: 'container', page: 'stage', image, container, path: selection.path });
}

/** What it is called: on the machine by its id, else by its number. */
export function titleOf(container: ContainerView): string {
  return container.on_machine ?? `container ${numberOf(container)}`;
}

/** By how many of the image's containers this one is called. */
export function numberOf({ id }: ContainerView): number {
  const all = session.overview?.containers ?? [];
  return all.findIndex((one) => one.id === id) + 1;
}

export async function throwAway({ id }: ContainerView): Promise<void> {
  if (!(await attempt({ op: 'discard_container', container: id }))) return;
  if (selection.place.container === id) selection.go({ container: null });
  notices.say('The container is gone, with all that was written in it. Undo brings it back.');
}

export async function commit({ id, image }: ContainerView, name: string): Promise<CoreError | null> {
  const layer = session.ids.layer();
  const refused = await session.apply({ op: 'commit_container', container: id, layer, name });
  if (refused) return refused;
  selection.go({ view: 'stack', image, layer });
  notices.say(`What was written is layer ${name} now. The container is still there.`);
  return null;
}
