/** What the core has no memory for lies in the browser's private file system, a file for every tab. */
import { expect, test, type Page } from '@playwright/test';
import { open, settled } from './page';

const MIB = 2 ** 20;

/** The names of the files there. */
function names(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const directory = await root.getDirectoryHandle('scratch');
    const names: string[] = [];
    for await (const name of directory.keys()) names.push(name);
    return names;
  });
}

/** How many bytes the files there have. */
function size(page: Page): Promise<number> {
  return page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const directory = await root.getDirectoryHandle('scratch');
    let size = 0;
    for await (const name of directory.keys())
      size += (await (await directory.getFileHandle(name)).getFile()).size;
    return size;
  });
}

test('tabs have files of their own, and those of closed tabs go', async ({ context }) => {
  const [one, other] = [await context.newPage(), await context.newPage()];
  await open(one);
  await open(other);
  await expect.poll(() => names(one)).toHaveLength(2);
  await other.reload();
  await settled(other);
  // The reloaded tab has a new file; its old one is nobody's.
  await expect.poll(() => names(one)).toHaveLength(2);
  await other.close();
  await one.reload();
  await expect.poll(() => names(one)).toHaveLength(1);
});

test('a deflated layer lies there, not in memory', async ({ page }) => {
  await open(page);
  // The sample's segments.
  await expect.poll(() => size(page)).toBe(MIB);
});
