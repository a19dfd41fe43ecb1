/**
 * What was dropped or picked, as a flat list with relative paths. A browser tells no modes and no links;
 * it does tell directories, empty ones included (when dropped).
 */
export type Dropped = { path: string; file: File } | { path: string; file: null };

/** Must be called in the drop handler itself: the items are gone after it. */
export function readDrop(transfer: DataTransfer): Promise<Dropped[]> {
  const entries = [...transfer.items]
    .filter((item) => item.kind === 'file')
    .map((item) => item.webkitGetAsEntry?.() ?? null);
  if (entries.length === 0 || entries.some((entry) => entry === null)) {
    return Promise.resolve([...transfer.files].map((file) => ({ path: file.name, file })));
  }
  return walk(entries as FileSystemEntry[]);
}

/** From an `<input type="file">`, with or without `webkitdirectory`. */
export function readPicked(files: Iterable<File>): Dropped[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

async function walk(entries: FileSystemEntry[]): Promise<Dropped[]> {
  const found: Dropped[] = [];
  const queue = [...entries];
  for (let entry = queue.shift(); entry; entry = queue.shift()) {
    const path = entry.fullPath.replace(/^\//, '');
    if (entry.isFile) {
      found.push({ path, file: await fileOf(entry as FileSystemFileEntry) });
    } else {
      found.push({ path, file: null });
      queue.push(...(await childrenOf(entry as FileSystemDirectoryEntry)));
    }
  }
  return found;
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** `readEntries` gives a hundred at a time, and says the end by giving none. */
async function childrenOf(entry: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = entry.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** What a file's name says when it is a mark of the image specification: `.wh.NAME`, `.wh..wh..opq`. */
export function markOf(path: string): { whiteout: string } | { opaque: string } | null {
  const cut = path.lastIndexOf('/') + 1;
  const name = path.slice(cut);
  if (name === '.wh..wh..opq') return { opaque: path.slice(0, Math.max(0, cut - 1)) };
  const hidden = name.startsWith('.wh.') ? name.slice(4) : '';
  return hidden && !hidden.startsWith('.wh.') ? { whiteout: path.slice(0, cut) + hidden } : null;
}

/** Files that begin as a program or a script are meant to be run. */
export function looksExecutable(head: Uint8Array): boolean {
  const elf = head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46;
  return elf || (head[0] === 0x23 && head[1] === 0x21);
}
