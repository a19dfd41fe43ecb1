/**
 * A file of the browser's private file system for what the core cannot hold in memory: layers that it inflated,
 * segments that it deflated. Each worker has a file of its own; those of workers that are gone are deleted.
 */
const DIRECTORY = 'scratch';
/** Held while a file is made or deleted, so that none is deleted that was just made. */
const LOCK = 'handroll scratch';

/** A file that can be read and written without waiting: a `FileSystemSyncAccessHandle`, which workers alone have. */
export interface SyncFile {
  close(): void;
  getSize(): number;
}

/** What Chromium says of every window that may write to a disk; of a private one it says less. */
const ON_DISK = 10 * 2 ** 30;
/** Chromium ends when a file in its memory outgrows a GiB. */
const IN_MEMORY = 768 * 2 ** 20;

type FileHandle = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncFile> };

/** A new file, nobody else's; null where the browser has none for us (most private windows, an old browser). */
export async function openScratch(): Promise<SyncFile | null> {
  try {
    return await navigator.locks.request(LOCK, async () => {
      const directory = await open();
      const file = (await directory.getFileHandle(crypto.randomUUID(), { create: true })) as FileHandle;
      return await file.createSyncAccessHandle();
    });
  } catch {
    return null;
  }
}

/**
 * How many bytes the file may have: its own and what is left, but in a window whose file seems to lie in the browser's
 * memory, a quarter of that. What such a window is said to have left is not what the computer has left.
 */
export async function scratchLimit(file: SyncFile): Promise<number> {
  const { quota, usage } = await navigator.storage.estimate();
  if (quota === undefined || usage === undefined) return Infinity;
  const left = Math.max(0, quota - usage);
  // Of the browsers, Chromium alone gives private windows such a file; and it alone has `userAgentData`.
  const isInMemory = 'userAgentData' in navigator && left < ON_DISK;
  // What it has counts: a quarter of what is left, asked for again and again, would come to all of it.
  const room = file.getSize() + left;
  return isInMemory ? Math.min(IN_MEMORY, room / 4) : room;
}

/** Deletes the files of workers that are gone: those that can be opened, as a file is open in one place only. */
export async function sweepScratch(): Promise<void> {
  await navigator.locks.request(LOCK, async () => {
    const directory = await open();
    const names: string[] = [];
    for await (const name of directory.keys()) names.push(name);
    for (const name of names) {
      try {
        const file = (await directory.getFileHandle(name)) as FileHandle;
        (await file.createSyncAccessHandle()).close();
        await directory.removeEntry(name);
      } catch {
        // Somebody has it open.
      }
    }
  });
}

async function open(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return await root.getDirectoryHandle(DIRECTORY, { create: true });
}
