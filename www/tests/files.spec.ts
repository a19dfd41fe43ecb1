/** Files that come in (dropped folders, picked files) and go out (the image, layers, files, recipes). */
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { expect, test, type Page } from '@playwright/test';
import { digests, layer, open, settled, treeRow } from './page';

async function download(page: Page, act: () => Promise<void>): Promise<{ name: string; bytes: Buffer }> {
  const [saved] = await Promise.all([page.waitForEvent('download'), act()]);
  return { name: saved.suggestedFilename(), bytes: readFileSync(await saved.path()) };
}

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

test('a dropped folder comes with its empty directories, and programs may run', async ({ page }) => {
  await open(page, '#files?layer=2');
  // A drop cannot be made by the test driver: a list of entries as the browser would give it can.
  await page.evaluate(() => {
    const file = (path: string, text: string) => ({
      isFile: true,
      isDirectory: false,
      fullPath: path,
      file: (done: (file: File) => void) => done(new File([text], path.split('/').at(-1)!)),
    });
    const directory = (path: string, children: unknown[]) => ({
      isFile: false,
      isDirectory: true,
      fullPath: path,
      createReader() {
        const batches = [children.slice(0, 2), children.slice(2), []];
        return { readEntries: (done: (some: unknown[]) => void) => done(batches.shift() ?? []) };
      },
    });
    const tree = directory('/app', [
      file('/app/run', '#!/bin/sh\necho hi\n'),
      file('/app/notes.txt', 'notes'),
      directory('/app/empty', []),
    ]);
    const transfer = { types: ['Files'], items: [{ kind: 'file', webkitGetAsEntry: () => tree }], files: [] };
    const event = new Event('drop', { bubbles: true, cancelable: true });
    Object.defineProperty(event, 'dataTransfer', { value: transfer });
    document.querySelector('[role="region"][aria-label^="Files of layer"]')!.dispatchEvent(event);
  });
  await expect(page.getByText(/A browser tells no permissions: 1 that begins/)).toBeVisible();
  await expect(treeRow(page, '/app/run')).toContainText('-rwxr-xr-x');
  await expect(treeRow(page, '/app/notes.txt')).toContainText('-rw-r--r--');
  await expect(treeRow(page, '/app/empty')).toBeVisible();
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(treeRow(page, '/app')).toHaveCount(0);
});

test('a file dropped on a row goes to that directory', async ({ page }) => {
  await open(page, '#files?layer=1');
  for (const [row, name] of [
    ['/bin', 'one'],
    ['/bin/show', 'two'],
    ['/hello.txt', 'three'],
  ] as const) {
    await treeRow(page, row).evaluate((element, name) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(['text'], name));
      element.dispatchEvent(
        new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: transfer }),
      );
    }, name);
    await expect(treeRow(page, row === '/hello.txt' ? `/${name}` : `/bin/${name}`)).toBeVisible();
  }
});

test('picked files', async ({ page }) => {
  await open(page, '#files?layer=2');
  await page
    .getByRole('region', { name: /^Files of/ })
    .locator('input[type=file]')
    .first()
    .setInputFiles({
      name: 'tool',
      mimeType: 'application/octet-stream',
      buffer: Buffer.from('\x7fELF\x02\x01\x01 and so on', 'latin1'),
    });
  await expect(treeRow(page, '/tool')).toContainText('-rwxr-xr-x');
});

test('whiteouts as files, in the specification’s spelling', async ({ page }) => {
  await open(page, '#files?layer=2');
  const empty = (name: string) => ({ name, mimeType: 'application/octet-stream', buffer: Buffer.alloc(0) });
  await page
    .getByRole('region', { name: /^Files of/ })
    .locator('input[type=file]')
    .first()
    .setInputFiles([empty('.wh.bin'), empty('.wh..wh..opq')]);
  await expect(layer(page, 'delta')).toContainText('2 whiteouts · 1 opaque');
  await expect(page.getByText(/2 of them whiteouts or opaque marks/)).toBeVisible();
});

test('what is saved hashes to what is shown', async ({ page }) => {
  await open(page, '#files?layer=2&path=/hello.txt');
  const shown = await digests(page);
  await page.getByRole('button', { name: 'Download image' }).click();
  const image = await download(page, () => page.getByRole('button', { name: /^handroll\.tar/ }).click());
  expect(image.name).toBe('handroll.tar');
  for (const card of ['config', 'manifest', 'blob:1', 'blob:2']) {
    expect(image.bytes.includes(`blobs/sha256/${shown[card]!.slice(7)}`)).toBe(true);
  }
  const tar = await download(page, () => page.getByRole('button', { name: /save the tar of delta/ }).click());
  expect(sha256(tar.bytes)).toBe(shown['diff:2']);
  const blob = await download(page, () =>
    page.getByRole('button', { name: /save the blob of delta/ }).click(),
  );
  expect(sha256(blob.bytes)).toBe(shown['blob:2']);
  await page.getByRole('button', { name: 'Close' }).click();
  const file = await download(page, () => page.getByRole('button', { name: 'Save', exact: true }).click());
  expect(file.bytes.toString()).toBe('hello from delta\n');
});

test('a recipe replays to the same digests', async ({ page }) => {
  await open(page);
  await page.getByRole('textbox', { name: 'Contents of /hello.txt' }).fill('by recipe\n');
  await expect(page.getByText('5 of 7')).toBeVisible();
  const shown = await digests(page);
  await page.getByRole('button', { name: 'Recipe' }).click();
  const recipe = await download(page, () => page.getByRole('menuitem', { name: 'Save recipe' }).click());
  await page.reload();
  await settled(page);
  await page
    .getByLabel('Recipe file')
    .setInputFiles({ name: recipe.name, mimeType: 'application/x-tar', buffer: recipe.bytes });
  await expect(page.getByText(/replayed/)).toBeVisible();
  await expect.poll(() => digests(page)).toEqual(shown);
  await expect(layer(page, 'delta')).toBeVisible();
});

test('another beginning, and a recipe that is none', async ({ page }) => {
  await open(page, '#files?layer=1');
  const article = await digests(page);
  const begin = async (item: string) => {
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    await page.getByRole('menuitem', { name: item }).click();
  };
  await begin('An empty image');
  await expect(page.getByText('base is empty.')).toBeVisible();
  const empty = await digests(page);
  expect(Object.keys(empty)).toHaveLength(5);
  const broken = { name: 'broken.tar', mimeType: 'application/x-tar', buffer: Buffer.from('no recipe') };
  await page.getByLabel('Recipe file').setInputFiles(broken);
  await expect(page.getByRole('status').filter({ hasText: 'broken.tar' }).first()).toBeVisible();
  expect(await digests(page)).toEqual(empty);
  await begin('The article’s image');
  await expect(layer(page, 'base')).toContainText('7 entries');
  expect(Object.values(await digests(page))).toEqual(Object.values(article));
  // All three stand beside each other.
  await page.getByRole('button', { name: /^\d+ images?$/ }).click();
  await expect(page.getByRole('menuitemradio')).toHaveCount(3);
  await page.getByRole('menuitemradio').nth(1).click();
  expect(Object.values(await digests(page))).toEqual(Object.values(empty));
});
