/** The page starts with the lean core; the whole one takes its place when it is needed, and nothing is lost. */
import { expect, test, type Page } from '@playwright/test';
import { LAYERS, ociArchive } from './archives';
import { archiveCard, digests, fresh, layer, open, openArchive, rail, tab, treeRow } from './page';

const WHOLE = /\/core(_bg)?-[^/]*\.(js|wasm)(\?\d+)?$/;
const contents = (page: Page) => page.getByRole('textbox', { name: 'Contents of /hello.txt' });
const undo = (page: Page) => page.getByRole('button', { name: 'Undo' });
const redo = (page: Page) => page.getByRole('button', { name: 'Redo' });

/** Which core the worker has. */
function kind(page: Page): Promise<string> {
  return page.workers()[0]!.evaluate(() => (self as unknown as { coreKind: string }).coreKind);
}

/** Writes a text over hello.txt, and waits until the core has it. */
async function write(page: Page, text: string): Promise<Record<string, string>> {
  const before = await digests(page);
  await contents(page).fill(text);
  await expect.poll(async () => (await digests(page))['diff:2']).not.toBe(before['diff:2']);
  return digests(page);
}

test('building an image is done by the lean core alone', async ({ page, context }) => {
  const asked: string[] = [];
  await context.route(WHOLE, (route) => {
    asked.push(route.request().url());
    return route.abort();
  });
  await open(page);
  await write(page, 'one\n');
  for (const name of ['Merged', 'Documents', 'History', 'Stack']) await tab(page, name);
  await undo(page).click();
  await page.getByRole('button', { name: 'Download image' }).click();
  await expect(page.getByRole('dialog')).toBeVisible();
  // It is fetched ahead; that this fails is nobody's concern.
  await expect.poll(() => asked.length).toBeGreaterThan(0);
  expect(await kind(page)).toBe('lean');
});

test('what was done, undone and folded is there after the change', async ({ page }) => {
  await open(page);
  const first = await digests(page);
  const one = await write(page, 'one\n');
  const two = await write(page, 'two\n');
  await undo(page).click();
  await expect.poll(() => digests(page)).toEqual(one);
  const before = await fresh(page);
  await tab(page, 'Merged');
  await treeRow(page, '/bin').click();
  await page.keyboard.press('ArrowLeft');
  await expect(treeRow(page, '/bin')).toHaveAttribute('aria-expanded', 'false');
  expect(await kind(page)).toBe('lean');

  // A look at the bytes is a question for the whole core. No digest moves, not even the account of the last change.
  await tab(page, 'Bytes');
  await expect.poll(() => kind(page)).toBe('whole');
  await expect(page.getByRole('list', { name: 'Kinds of blocks' })).toBeVisible();
  expect(await digests(page)).toEqual(one);
  expect(await fresh(page)).toEqual(before);
  await tab(page, 'Merged');
  await expect(treeRow(page, '/bin')).toHaveAttribute('aria-expanded', 'false');

  await redo(page).click();
  await expect.poll(() => digests(page)).toEqual(two);
  await undo(page).click();
  await undo(page).click();
  await expect.poll(() => digests(page)).toEqual(first);
  await redo(page).click();
  await expect.poll(() => digests(page)).toEqual(one);
});

test('an image is opened by the whole core, and undone', async ({ page }) => {
  await open(page);
  const first = await digests(page);
  const one = await write(page, 'one\n');
  await openArchive(page, 'other.tar', ociArchive([{ name: 'docker.io/library/other:1', layers: LAYERS }]));
  expect(await kind(page)).toBe('whole');
  await expect(archiveCard(page)).toContainText('1 image');
  await undo(page).click();
  await expect(archiveCard(page)).toHaveCount(0);
  await expect(layer(page, 'delta')).toBeVisible();
  await expect.poll(() => digests(page)).toEqual(one);
  await undo(page).click();
  await expect.poll(() => digests(page)).toEqual(first);
  await redo(page).click();
  await redo(page).click();
  await expect(page.getByRole('button', { name: /^2 images$/ })).toBeVisible();
});

test('without a network it says so, and works when there is one again', async ({ page, context }) => {
  await context.route(WHOLE, (route) => route.abort());
  await open(page);
  await tab(page, 'Check');
  await expect(page.getByText('This takes a part of the program that could not be fetched')).toBeVisible();
  const one = await write(page, 'one\n');
  expect(await kind(page)).toBe('lean');
  await context.unroute(WHOLE);
  await tab(page, 'Stack');
  await tab(page, 'Check');
  await expect.poll(() => kind(page)).toBe('whole');
  await expect(page.getByText('could not be fetched')).toHaveCount(0);
  expect(await digests(page)).toEqual(one);
});

test('once at rest, the page has all that it needs', async ({ page, context }) => {
  // The last of the page's parts too.
  const fetched = [/\/core_bg-/, /\/CrashDialog-.*js/].map((name) =>
    page.waitForResponse((response) => name.test(response.url())),
  );
  await open(page);
  for (const response of await Promise.all(fetched)) await response.finished();
  await context.setOffline(true);
  await openArchive(page, 'other.tar', ociArchive([{ name: 'docker.io/library/other:1', layers: LAYERS }]));
  await expect(archiveCard(page)).toContainText('1 image');
  expect(await kind(page)).toBe('whole');
});

test('a panic of the whole core brings back an opened image', async ({ page }) => {
  await open(page, '?panic-test');
  await openArchive(page, 'other.tar', ociArchive([{ name: 'docker.io/library/other:1', layers: LAYERS }]));
  const before = await digests(page);
  await page.evaluate(() => (window as unknown as { provokePanic(): void }).provokePanic());
  const dialog = page.getByRole('dialog', { name: 'The core has crashed' });
  await expect(dialog).toContainText('Your work is still here');
  await dialog.getByRole('button', { name: 'Go on' }).click();
  await expect(archiveCard(page)).toContainText('1 image');
  await expect(rail(page)).toHaveAttribute('data-state', 'settled');
  expect(await digests(page)).toEqual(before);
});
