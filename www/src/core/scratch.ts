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
}

export interface Scratch {
  handle: SyncFile;
  /** How many bytes the browser gives this page, as it says. */
  quota: number;
}

type FileHandle = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncFile> };

/** A new file, nobody else's; null where the browser has none for us (a private window, an old browser). */
export async function openScratch(): Promise<Scratch | null> {
  try {
    const handle = await navigator.locks.request(LOCK, async () => {
      const directory = await open();
      const file = (await directory.getFileHandle(crypto.randomUUID(), { create: true })) as FileHandle;
      return await file.createSyncAccessHandle();
    });
    return { handle, quota: (await navigator.storage.estimate()).quota ?? 0 };
  } catch {
    return null;
  }
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
