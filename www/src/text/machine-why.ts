/** What a beginner asks at an event of the machine: why containerd does that. By the event's rule. */
const WHY: Record<string, string> = {
  'lease.created':
    'Garbage collection may run at any moment and takes what nothing leads to. A lease keeps what is being made for as long as the work lasts.',
  'lease.removed':
    'The work is done: now the names and labels that it has written keep what they lead to. What none of them reaches, like the index.json of an archive, is garbage.',
  'content.ingested':
    'The same bytes always have the same name, so they are kept once, and nobody can change them unnoticed.',
  'content.exists':
    'Equal digest, equal bytes. This is half of what sharing saves: a blob that is there is not fetched again.',
  'content.removed':
    'Deleting is done in two steps: first the record, later, by garbage collection, the bytes.',
  'label.gc_ref':
    'To the store a blob is bytes; it does not read in a manifest what belongs to it. The label tells garbage collection.',
  'label.uncompressed':
    'The digest is that of the packed bytes, the DiffID that of the tar in them. Written down, nobody has to unpack the blob again to know it.',
  'label.gc_snapshot':
    'An image names no snapshot. Its config, which it does lead to, keeps the topmost one, and each snapshot keeps the one that it stands on.',
  'label.set': 'Labels are containerd’s own notes on blobs, images and snapshots. No digest changes by them.',
  'label.removed': 'What this label kept is garbage now, if nothing else keeps it.',
  'image.created':
    'That is all an image is here: a name, and the digest at which to begin. Everything else is found from there.',
  'image.updated': 'A name can be moved, a digest cannot: it always means the same bytes.',
  'image.removed': 'The bytes may belong to other images too. Garbage collection finds out.',
  'snapshot.exists':
    'The ChainID is made of the DiffIDs of this layer and all below, in order. Equal ChainID, equal directories: this is the other half of what sharing saves.',
  'snapshot.prepared_bind':
    'Prepare, the first of three steps: a directory that only the one who is at work knows. Its key is for the moment.',
  'snapshot.prepared_overlay':
    'An overlay mount shows the directories of lowerdir, the topmost first, as one. They are only read; what is written lands in upperdir. workdir is overlayfs’s own.',
  'snapshot.viewed': 'A view is for looking: it has no upperdir, so nothing can be written.',
  'layer.applied':
    'Apply, the second step: the tar is unpacked entry by entry. A whiteout becomes a character device 0:0, an opaque mark an xattr: that is how overlayfs hides what lies below.',
  'layer.failed':
    'The snapshots of the layers below are whole and stay. Nothing leads to them, so garbage collection takes them.',
  'diffid.verified':
    'The config promises a DiffID for every layer. It is checked on the way, so nothing but these very files can come of it.',
  'diffid.wrong': 'Files that are not those which the config promises must not be run.',
  'snapshot.committed':
    'Commit, the third step: the ChainID, made of the DiffIDs of this layer and all below, becomes its name, by which any other image finds it. It is never written to again.',
  'snapshot.removed':
    'What stands on another snapshot has to go first; the directory itself goes with the garbage.',
  'container.created':
    'A container is a record: the image it was made of, the snapshot it writes into, and the config.json that tells runc what to start. Nothing runs yet.',
  'container.removed':
    'What was written went into its own snapshot, so nothing is left of it. The image is as it was.',
  'task.started':
    'The container is the record, the task is its process. How runc got there, namespace by namespace and mount by mount, is behind “How runc starts it”.',
  'task.exited':
    'The process is gone, what it wrote is not: it stays in the upperdir until the container is removed.',
  'task.deleted':
    'What is left of a process that has ended is its exit code, until somebody has asked for it. The container can be started again.',
  'task.wrote':
    'The layers below are read-only, so every write goes to the upperdir: what is changed is copied there first, what is deleted gets a whiteout there.',
  'gc.marked': 'Mark and sweep: whatever is not reached from a root goes.',
  'gc.removed': 'It leaves the lists first; the bytes go when nothing lists them any more.',
  'gc.blob': 'Namespaces share their blobs: the file goes when the last one has let go of it.',
  'gc.directory': 'This is where the space on the disk comes back.',
};

export function whyOf(rule: string): string | null {
  return WHY[rule] ?? null;
}

/** What an event is a part of, in a word: the chapters of an operation. */
const CHAPTERS: [RegExp, string][] = [
  [/^content\.|^label\.gc_ref$/, 'blobs'],
  [/^image\./, 'name'],
  [/^snapshot\.(prepared|viewed)/, 'prepare'],
  [/^layer\.|^diffid\./, 'apply'],
  [/^snapshot\.(committed|exists)$|^label\.(uncompressed|gc_snapshot)$/, 'commit'],
  [/^snapshot\./, 'snapshot'],
  [/^lease\./, 'lease'],
  [/^container\./, 'container'],
  [/^task\./, 'task'],
  [/^gc\./, 'garbage'],
];

export function chapterOf(rule: string): string {
  return CHAPTERS.find(([which]) => which.test(rule))?.[1] ?? 'labels';
}

/** What the lists of the machine are, in a line each. */
export const HOLDS_TEXTS = {
  content: 'Blobs as they came: tars of layers and JSON, each in a file named by its digest.',
  snapshots:
    'Layers unpacked, each a numbered directory on the one it stands on. Its name is the ChainID: one hash for it and all below.',
  images: 'An image is a name for a digest; from there the labels lead on.',
  containers:
    'A container: a writable snapshot, its upperdir, on top of an image’s, a config.json, a process.',
  leases: 'Who is at work keeps what has no name yet; with the lease that ends.',
};
