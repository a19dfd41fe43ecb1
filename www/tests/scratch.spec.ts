/** What the core has no memory for lies in the browser's private file system, a file for every tab. */
import { gzipSync } from 'node:zlib';
import { expect, test, type Page } from '@playwright/test';
import { ociArchive } from './archives';
import { archiveCard, open, openArchive, settled, treeRow } from './page';

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

/** Layers that inflate to a little and to 40 MiB. */
const LARGE = ociArchive([
  {
    layers: [
      [{ name: 'small.txt', data: 'small' }],
      [
        { name: 'first.txt', data: 'first' },
        { name: 'zeros', data: Buffer.alloc(40 * MIB) },
      ],
    ],
  },
]);

/** The page with a worker that begins with this. */
async function openWith(page: Page, script: string) {
  await page.route(/worker-[^/]*\.js$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${script};${await response.text()}` });
  });
  await open(page, '#files');
}

for (const [what, script, words] of [
  [
    'a browser that keeps the file in memory is asked for a safe part of it',
    `StorageManager.prototype.estimate = async () => ({ quota: ${64 * MIB}, usage: 0 })`,
    /\d\d MB are wanted for all that is open, and the browser has \d\d MB that are safe to take\./,
  ],
  [
    'a file that the browser lets grow no further',
    `const truncate = FileSystemSyncAccessHandle.prototype.truncate;
     FileSystemSyncAccessHandle.prototype.truncate = function (length) {
       if (length > ${16 * MIB}) throw new DOMException('no', 'QuotaExceededError');
       return truncate.call(this, length);
     }`,
    /\d\d MB are wanted for all that is open, and the browser has no room for them\./,
  ],
] as const) {
  test(`${what}: said, and what was read is there`, async ({ page }) => {
    await openWith(page, script);
    await openArchive(page, 'large.tar', LARGE);
    const large = page.getByRole('group', { name: /^Layer B/ });
    await expect(large).toContainText('No room for all of it.');
    await expect(large).toContainText(words);
    await expect(large).toContainText('an ordinary window');
    await expect(large).toContainText('unpack the file first');
    await expect(treeRow(page, '/small.txt').or(treeRow(page, '/first.txt')).first()).toBeVisible();
    expect(await size(page)).toBeLessThan(24 * MIB);
  });
}

test('an image that is packed as a whole, and has no room, opens as far as it goes', async ({ page }) => {
  await openWith(page, `StorageManager.prototype.estimate = async () => ({ quota: ${64 * MIB}, usage: 0 })`);
  await openArchive(
    page,
    'large.tar.gz',
    gzipSync(Buffer.concat([LARGE.subarray(0, -1024), Buffer.alloc(60 * MIB)])),
  );
  await expect(archiveCard(page)).toContainText(/\d errors?/);
  await expect(page.getByRole('group', { name: /^Layer B/ })).toContainText('No room for all of it.');
});
