/** The gallery: images and containers that show how overlayfs is not what one expects, made with one click. */
import type { Action, ContainerView, LayerId, NewEntry } from '../core/protocol';
import { attempt } from './actions';
import { selection } from './selection.svelte';
import { session } from './session.svelte';

/** An entry of a layer: a file's text, zeros, a further name, or what a whiteout hides. */
type Entry =
  | { file: string; text: string }
  | { zeros: string; size: number }
  | { link: string; to: string }
  | { whiteout: string };

export interface Quirk {
  id: string;
  title: string;
  /** What happens, for the gallery. */
  brief: string;
  /** Why, beside the container. */
  text: string;
  options?: string;
  /** Bottom first. */
  layers: Entry[][];
  /** Lines of the shell, or calls. */
  steps: (string | { call: string })[];
  /** The path to look at. */
  path: string;
}

const GIB = 1024 ** 3;

export const QUIRKS: readonly Quirk[] = [
  {
    id: 'opaque',
    title: 'Opaque, or a whiteout?',
    brief: 'A directory is deleted, and made again.',
    text: 'Deleted, the directory is one whiteout that hides it with all that is in it. Made again, the new directory takes the whiteout’s place, and the old files would show in it: so it is marked opaque.',
    layers: [
      [
        { file: '/data/config.txt', text: 'old\n' },
        { file: '/data/log.txt', text: 'old\n' },
      ],
    ],
    steps: ['rm -r /data', 'mkdir /data', 'ls -la /data', 'echo new > /data/config.txt'],
    path: '/data',
  },
  {
    id: 'exdev',
    title: 'A directory that cannot be renamed',
    brief: 'rename(2) gives EXDEV, as if it were another disk; mv copies.',
    text: 'A directory of a lower layer cannot be moved without moving all that is in it: rename fails with EXDEV. mv knows that error from moving between disks, and does the same here: it copies everything, then deletes the old.',
    layers: [
      [
        { file: '/srv/app/main', text: 'program\n' },
        { file: '/srv/app/data', text: 'x'.repeat(5000) },
      ],
    ],
    steps: [{ call: 'rename /srv/app /srv/new' }, 'mv /srv/app /srv/new', 'ls -la /srv'],
    path: '/srv/app',
  },
  {
    id: 'redirect',
    title: 'The same with redirect_dir=on',
    brief: 'The rename works, and no file is copied.',
    text: 'Mounted with redirect_dir=on, the directory is made anew in the upperdir with a mark, redirect, that says where its lower part is. Such an upperdir can only be read with redirects followed; as a layer it travels whole.',
    options: 'redirect_dir=on',
    layers: [
      [
        { file: '/srv/app/main', text: 'program\n' },
        { file: '/srv/app/data', text: 'x'.repeat(5000) },
      ],
    ],
    steps: [{ call: 'rename /srv/app /srv/new' }, 'ls -la /srv', 'cat /srv/new/main'],
    path: '/srv/new',
  },
  {
    id: 'link',
    title: 'The hard link that breaks',
    brief: 'Two names of one file; after a write through one they are two files.',
    text: 'Only the name that is written to is copied up. The other keeps the old file in its layer, and from now on they are different files, though nobody has unlinked anything.',
    layers: [
      [
        { file: '/etc/one', text: 'the same file\n' },
        { link: '/etc/two', to: '/etc/one' },
      ],
    ],
    steps: ['ls -li /etc', 'echo changed > /etc/one', 'cat /etc/two', 'ls -li /etc'],
    path: '/etc/two',
  },
  {
    id: 'chmod',
    title: 'chmod copies a gigabyte',
    brief: 'Not a byte of the file is changed, all of them are copied.',
    text: 'Attributes lie with the bytes. To change the mode the whole file is copied up, even if the mode is the same as before. Committed as a layer, that is another gigabyte in the image.',
    layers: [[{ zeros: '/var/db', size: GIB }]],
    steps: ['ls -l /var', 'chmod 600 /var/db', 'du -h /var'],
    path: '/var/db',
  },
  {
    id: 'ghost',
    title: 'The ghost',
    brief: 'A name that is listed, though there is nothing.',
    text: 'A whiteout in the lowest layer hides nothing. A directory that one layer alone has is listed as it lies there, whiteouts and all, and so the name shows; looked up, it counts as deleted. Once the directory is merged with the upperdir’s, the ghost is gone.',
    layers: [[{ file: '/tmp/here', text: 'here\n' }, { whiteout: '/tmp/ghost' }]],
    steps: [{ call: 'readdir /tmp' }, 'ls -l /tmp', 'touch /tmp/new', 'ls -l /tmp'],
    path: '/tmp/ghost',
  },
  {
    id: 'resurfaces',
    title: 'The whiteout that comes back',
    brief: 'Deleted, made again, deleted again: sometimes with a whiteout, sometimes without.',
    text: 'What is new takes the whiteout’s place in the upperdir. When it is deleted, the layer below would show again, so the whiteout comes back. /b is hidden by a layer’s own whiteout: that one does its work again, and none is made.',
    layers: [
      [
        { file: '/a', text: 'below\n' },
        { file: '/b', text: 'below\n' },
      ],
      [{ whiteout: '/b' }],
    ],
    steps: ['rm /a', 'echo new > /a', 'rm /a', 'echo new > /b', 'rm /b', 'ls -la /'],
    path: '/a',
  },
  {
    id: 'failed',
    title: 'It failed, and left a mark',
    brief: 'A rename that fails makes the directory opaque all the same.',
    text: 'One new directory is to take the place of another, which is not empty. Before it tries, overlayfs marks the first one opaque, lest something below show in it at its new place. Then the upperdir’s own file system refuses with ENOTEMPTY. The mark stays.',
    layers: [[{ file: '/file', text: 'of the layer\n' }]],
    steps: ['mkdir /new /full', 'touch /full/file', { call: 'rename /new /full' }, 'ls -la /'],
    path: '/new',
  },
  {
    id: 'truncate',
    title: 'Reading that empties',
    brief: 'open(O_RDONLY|O_TRUNC) copies up, without the bytes.',
    text: 'Opened for reading only, but with O_TRUNC, the file is emptied. Overlayfs copies it up without its bytes, since they are to go anyway: ten kilobytes below, none above.',
    layers: [[{ file: '/log', text: 'line\n'.repeat(2000) }]],
    steps: [{ call: 'open /log read truncate' }, 'ls -l /log'],
    path: '/log',
  },
];

/** Which quirk a container shows: its image's name says it, in a recipe that is opened later too. */
export function quirkOf({ image }: ContainerView): Quirk | null {
  const name = session.images.find(({ id }) => id === image)?.reference.familiar;
  return QUIRKS.find(({ id }) => name === `quirk-${id}:latest`) ?? null;
}

/** A file of nothing but zeros, as a source: no such bytes are held anywhere. */
async function zeros(size: number): Promise<number> {
  const piece = new Blob([new Uint8Array(1 << 20)]);
  return session.openSource(new File(Array<Blob>(size >> 20).fill(piece), 'zeros'));
}

async function entryActions(layer: LayerId, entry: Entry): Promise<Action> {
  if ('whiteout' in entry) return { op: 'whiteout', layer, path: entry.whiteout, parents: true };
  const make = (path: string, entry: NewEntry): Action => ({ op: 'make', layer, path, entry, parents: true });
  if ('link' in entry) return make(entry.link, { kind: 'hard_link', target: entry.to });
  if ('file' in entry) return make(entry.file, { kind: 'file', content: { text: entry.text } });
  const source = await zeros(entry.size);
  return make(entry.zeros, { kind: 'file', content: { source, offset: 0, length: entry.size } });
}

/** Makes the image and the container, does all its steps, and shows it after the first. */
export async function showQuirk(id: string): Promise<void> {
  const quirk = QUIRKS.find((one) => one.id === id);
  if (!quirk) return;
  const image = session.ids.image();
  const container = session.ids.image();
  const actions: Action[] = [{ op: 'create_image', image, name: `quirk-${id}:latest` }];
  for (const [position, entries] of quirk.layers.entries()) {
    const layer = session.ids.layer();
    actions.push({
      op: 'add_layer',
      image,
      layer,
      name: ['base', 'second'][position] ?? `layer-${position}`,
    });
    for (const entry of entries) actions.push(await entryActions(layer, entry));
  }
  const options = quirk.options ?? '';
  actions.push({ op: 'start_container', container, image, layer: session.ids.layer(), options });
  for (const step of quirk.steps) {
    if (typeof step === 'string') actions.push({ op: 'run_line', container, line: step });
    else actions.push({ op: 'call_in', container, call: step.call });
  }
  if (!(await attempt({ op: 'group', label: `the quirk “${quirk.title}”`, actions }))) return;
  selection.go({ view: 'container', page: 'stage', image, container, path: quirk.path, look: null });
  await session.showStep(1);
}
