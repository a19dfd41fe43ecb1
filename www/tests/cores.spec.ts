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

test.describe('the worker alone', () => {
  // The page's policy would not let a test start a worker.
  test.use({ bypassCSP: true });

  test('an export that is on its way when the whole core comes is whole', async ({ page }) => {
    await open(page);
    const address = page.workers()[0]!.url();
    const result = await page.evaluate(async (address) => {
      const worker = new Worker(address, { type: 'module' });
      const waiting = new Map<number, (reply: { ok: boolean; value: unknown }) => void>();
      const order: string[] = [];
      let blob: { state: string; digest: string } | null = null;
      worker.onmessage = ({ data }) => {
        if (data.type === 'reply') waiting.get(data.id)!(data);
        if (data.type === 'overview') blob = data.overview.images[0]?.layers[0]?.blob;
      };
      let next = 1;
      const call = (call: object) =>
        new Promise<{ ok: boolean; value: unknown }>((resolve) => {
          waiting.set(next, resolve);
          worker.postMessage({ id: next++, call });
        });
      const apply = (action: object) => {
        const [time, caller] = [
          { seconds: 0, nanos: 0 },
          { uid: 0, gid: 0, umask: 0o022 },
        ];
        return call({ kind: 'apply', operation: { time, caller, action } });
      };
      // What cannot be compressed, so that there is much to copy.
      const bytes = new Uint8Array(48 << 20);
      for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
      await call({ kind: 'open_source', id: 1, file: new File([bytes], 'noise') });
      await apply({ op: 'create_image', image: 1, name: 'noise' });
      await apply({ op: 'add_layer', image: 1, layer: 1, name: 'noise' });
      const content = { source: 1, offset: 0, length: bytes.length };
      const entry = { kind: 'file', content };
      await apply({ op: 'make', layer: 1, path: '/noise', entry, attributes: {} });
      const known = () => (blob?.state === 'known' ? blob.digest : null);
      while (!known()) await new Promise((resume) => setTimeout(resume, 50));
      const wanted = known();

      const exported = call({ kind: 'export', what: { export: 'layer_blob', layer: 1 } });
      void exported.then(() => order.push('export'));
      const blocks = call({ kind: 'query', query: { query: 'blocks', layer: 1, from: 0, limit: 9 } });
      void blocks.then(() => order.push('blocks'));
      const taken = (await exported).value as Blob;
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await taken.arrayBuffer()));
      const found = [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      const answered = (await blocks).ok;
      worker.terminate();
      return { found: `sha256:${found}`, wanted, answered, order, size: taken.size };
    }, address);
    expect(result.size).toBeGreaterThan(48 << 20);
    expect(result.found).toBe(result.wanted);
    expect(result).toMatchObject({ answered: true, order: ['export', 'blocks'] });
  });
});
