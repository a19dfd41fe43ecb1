/** The views of an opened image: what they show, where they lead, and that every place has an address. */
import { readFileSync } from 'node:fs';
import { expect, test, type Page } from '@playwright/test';
import { LAYERS, ociArchive, sha256, type Image } from './archives';
import {
  archiveCard,
  digests,
  fits,
  noBarriers,
  open,
  openArchive,
  rail,
  settled,
  tab,
  take,
  treeRow,
} from './page';
import { tar } from './tar';

const IMAGES: Image[] = [
  {
    name: 'docker.io/library/two:1',
    layers: LAYERS,
    history: [
      { created: '2024-05-14T01:28:24Z', created_by: '/bin/sh -c #(nop) ADD file:1 in / ' },
      { created_by: '/bin/sh -c #(nop)  CMD ["bash"]', empty_layer: true },
      { created_by: 'RUN /bin/sh -c make install # buildkit', comment: 'buildkit.dockerfile.v0' },
    ],
  },
  { name: 'docker.io/library/two:1', architecture: 'arm64', layers: [LAYERS[0]!] },
];
const ARCHIVE = ociArchive(IMAGES);

async function start(page: Page, hash = '') {
  await open(page, hash);
  await openArchive(page, 'two.tar', ARCHIVE);
}

function graph(page: Page) {
  return page.getByRole('navigation', { name: 'Documents and blobs' });
}

test('the graph leads from document to document', async ({ page }) => {
  await start(page, '#documents');
  // A blob that two manifests share stands under both.
  await expect(graph(page).getByRole('link')).toHaveCount(9);
  await expect(graph(page).getByRole('link', { name: /verified$/ })).toHaveCount(9);
  await graph(page)
    .getByRole('link', { name: /^index\.json/ })
    .click();
  const json = page.getByRole('region', { name: 'index, laid out' });
  await expect(json).toContainText('io.containerd.image.name');
  // In its JSON the digest, the size and the media type of a manifest lead to it.
  await json.getByRole('link').first().click();
  await expect(page.getByRole('region', { name: 'manifest, laid out' })).toContainText('"layers"');
  await page.getByRole('button', { name: 'bytes', exact: true }).click();
  await expect(page.getByRole('region', { name: /^Bytes as they lie/ })).toContainText('{"schemaV');
  await page.goBack();
  await page.goBack();
  await expect(json).toBeVisible();

  // By keys.
  await graph(page).locator('[aria-current]').focus();
  await page.keyboard.press('ArrowRight');
  await expect(graph(page).locator('[aria-current]')).toContainText('linux/amd64');
  await page.keyboard.press('ArrowDown');
  await expect(graph(page).locator('[aria-current]')).toContainText('linux/arm64');
  await page.keyboard.press('ArrowRight');
  await expect(graph(page).locator('[aria-current]')).toContainText('config');
  await page.getByRole('button', { name: 'Fold manifest: 3 in it' }).click();
  await expect(graph(page).getByRole('link')).toHaveCount(6);
});

test('what will be written otherwise stands beside what came', async ({ page }) => {
  await start(page, '#documents');
  await page.getByLabel('Env').fill('GREETING=hello');
  await page.keyboard.press('Control+Enter');
  await settled(page);
  await graph(page)
    .getByRole('link', { name: /^config/ })
    .first()
    .click();
  await page.getByRole('button', { name: 'what will change' }).click();
  const compare = page.getByRole('region', { name: /as it will be written$/ });
  await expect(compare.locator('.new')).toContainText(['GREETING=hello']);
  await expect(compare.locator('.old')).toHaveCount(0);
});

test('the history stands beside its layers', async ({ page }) => {
  await start(page, '#history');
  await tab(page, 'History');
  const lines = page.getByRole('tabpanel').getByRole('listitem');
  await expect(lines).toHaveCount(3);
  await expect(lines.nth(0)).toContainText('ADD file:1 in /');
  await expect(lines.nth(1)).toContainText(/no layer.*CMD \["bash"\]/s);
  await expect(lines.nth(2)).toContainText('RUN make install');
  await lines.nth(2).getByText('as it stands').first().click();
  await expect(lines.nth(2)).toContainText('RUN /bin/sh -c make install # buildkit');
  await lines.nth(2).getByRole('link').click();
  await expect(page.getByRole('region', { name: 'Files of layer B' })).toBeVisible();
});

test('what a layer does is counted and marked', async ({ page }) => {
  await start(page, '#files');
  await tab(page, 'Files');
  const facts = page.getByRole('group', { name: 'What the layer does' });
  await expect(facts).toContainText('2 added');
  await expect(treeRow(page, '/srv/data')).toContainText('added');
  await expect(treeRow(page, '/etc/hosts')).toContainText('changed');
  await expect(treeRow(page, '/etc/motd')).toContainText('hides what is below');
  // Each number shows what it counts, by an address of its own.
  for (const [name, only, paths] of [
    [/^1 changed/, 'changed', ['/etc', '/etc/hosts']],
    [/^1 hidden/, 'hides', ['/etc', '/etc/motd']],
    [/^2 added/, 'added', ['/srv', '/srv/data']],
  ] as const) {
    await facts.getByRole('button', { name }).click();
    await expect(page).toHaveURL(new RegExp(`only=${only}`));
    await expect(page.getByRole('treeitem')).toHaveCount(2);
    for (const path of paths) await expect(treeRow(page, path)).toBeVisible();
  }
  await page.goBack();
  await expect(treeRow(page, '/etc/motd')).toBeVisible();
});

test('the ribbon: from a path to its blocks, from a field to its attribute', async ({ page }) => {
  await start(page, '#files?path=/srv/data');
  await tab(page, 'Files');
  await treeRow(page, '/srv/data').click();
  await page.getByRole('link', { name: 'its blocks and header fields' }).click();
  const entries = page.getByRole('listbox', { name: 'Entries of the tar of layer B' });
  await expect(entries.getByRole('option', { selected: true })).toContainText('./srv/data');
  const block = page.getByRole('region', { name: 'Bytes of the block' });
  await expect(block).toContainText('ustar');

  const fields = page.getByRole('list', { name: 'Fields' });
  await fields
    .getByRole('button', { name: /^mode 0/ })
    .nth(1)
    .click();
  await expect(page).toHaveURL(/field=\d+/);
  await expect(block.locator('.pairs .hot')).toHaveCount(8);
  await expect(page.locator('[data-attribute="mode"]')).toHaveClass(/lit/);
  // And the other way round.
  await fields
    .getByRole('button', { name: /^mode 0/ })
    .nth(1)
    .click();
  await page.getByLabel('Modified').focus();
  await expect(fields.getByRole('button', { pressed: true })).toContainText('mtime');
  await expect(block.locator('.pairs .hot')).toHaveCount(12);
  // A pax record stands in a block of its own.
  await fields.getByRole('button', { name: /^SCHILY\.xattr\.user\.note/ }).click();
  await expect(page.getByRole('region', { name: 'The block in hand' })).toContainText(
    'pax records Records that',
  );

  await entries.focus();
  await page.keyboard.press('Home');
  await expect(entries.getByRole('option', { selected: true })).toContainText('./');
  await page.keyboard.press('End');
  await expect(entries.getByRole('option', { selected: true })).toContainText('the end');
  await page.goBack();
  await page.goBack();
  await expect(page).toHaveURL(/field=\d+/);
});

test('the bytes of a layer made here move when only a time does', async ({ page }) => {
  await open(page, '#bytes?layer=2&path=/hello.txt');
  const block = page.getByRole('region', { name: 'Bytes of the block' });
  await expect(block).toContainText('ustar');
  const before = await block.innerText();
  await page.getByLabel('Modified').fill('2025-01-01 00:00:01');
  await page.keyboard.press('Enter');
  await expect.poll(() => block.innerText()).not.toBe(before);
});

test('before and after, and what is downloaded', async ({ page }) => {
  await start(page, '#changes');
  await tab(page, 'Changes');
  const table = page.getByRole('tabpanel').getByRole('table');
  await expect(page.getByText('Nothing is changed.')).toBeVisible();
  await expect(table.getByText('as it came')).toHaveCount(5);
  const download = async (name: string) => {
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name }).click(),
    ]);
    return readFileSync(await saved.path());
  };
  // Not touched, it comes out with the same blobs.
  const same = await download('Download the whole archive');
  for (const blob of [tar(LAYERS[0]!)]) expect(ARCHIVE.length).toBeGreaterThan(blob.length);
  for (const digest of Object.values(await digests(page))) {
    const path = `blobs/sha256/${digest.slice(7)}`;
    if (ARCHIVE.includes(path)) expect(same.includes(path)).toBe(true);
  }
  await page
    .getByRole('group', { name: /^Layer B/ })
    .getByRole('button', { name: /^More/ })
    .click();
  await page.getByRole('menuitem', { name: 'One time for every entry' }).click();
  await settled(page);
  await expect(table.getByText('as it came')).toHaveCount(1);
  const changed = await download('Download the whole archive');
  expect(changed.includes(sha256(tar(LAYERS[1]!)).slice(7))).toBe(false);
  // It opens again, to what is shown.
  const shown = await digests(page);
  await openArchive(page, 'again.tar', changed);
  expect(Object.values(await digests(page))).toEqual(Object.values(shown));
});

test('surgery, each one step of undo', async ({ page }) => {
  await start(page, '#merged');
  const before = await digests(page);
  const menu = async (name: RegExp, item: RegExp) => {
    await page.getByRole('group', { name }).getByRole('button', { name: /^More/ }).click();
    await page.getByRole('menuitem', { name: item }).click();
  };
  await menu(/^Layer B/, /^Squash into A/);
  await expect(page.getByRole('group', { name: /^Layer [A-Z]/ })).toHaveCount(1);
  await tab(page, 'Merged');
  await expect(treeRow(page, '/etc/motd')).toHaveCount(0);
  await expect(treeRow(page, '/srv/data')).toBeVisible();
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect.poll(() => digests(page)).toEqual(before);

  await tab(page, 'Files');
  await take(page, 'B');
  await treeRow(page, '/srv').click();
  await menu(/^Layer B/, /^Split srv off/);
  await expect(page.getByRole('group', { name: /^Layer C/ })).toBeVisible();
  await expect(treeRow(page, '/srv/data')).toBeVisible();
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect.poll(() => digests(page)).toEqual(before);

  await tab(page, 'Merged');
  await treeRow(page, '/etc/hosts').click();
  await page.getByRole('button', { name: 'Remove from every layer' }).click();
  await expect(treeRow(page, '/etc/hosts')).toHaveCount(0);
  await settled(page);
  await expect(rail(page)).toContainText('7 of 7');
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect.poll(() => digests(page)).toEqual(before);
});

const PLACES = [
  ['Files', '#files'],
  ['Merged', '#merged'],
  ['Documents', '#documents'],
  ['History', '#history'],
  ['Bytes', '#bytes'],
  ['Check', '#check'],
  ['Changes', '#changes'],
] as const;

test('Back and Forward go through all views', async ({ page }) => {
  await start(page);
  for (const [name] of PLACES) await tab(page, name);
  const selected = page.getByRole('tab', { selected: true });
  for (const [name] of PLACES.toReversed()) {
    await expect(selected).toHaveText(name);
    await page.goBack();
  }
  await expect(selected).toHaveText('Stack');
  for (const [name, hash] of PLACES) {
    await page.goForward();
    await expect(selected).toHaveText(name);
    expect(page.url()).toContain(`${hash}?image=`);
  }
});

test('every view fits on a phone', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await start(page);
  for (const [name] of PLACES) {
    await tab(page, name);
    await page.waitForTimeout(200);
    await fits(page);
  }
  await page.getByRole('button', { name: 'Layers' }).click();
  await expect(archiveCard(page)).toBeVisible();
  await fits(page);
});

test('no barriers in any view', async ({ page }) => {
  await start(page, '#files?path=/etc/hosts');
  await take(page, 'B');
  await tab(page, 'Files');
  await treeRow(page, '/etc/hosts').click();
  await page.getByRole('button', { name: 'Dismiss' }).first().click();
  for (const [name] of PLACES) {
    await tab(page, name);
    await page.waitForTimeout(500);
    await noBarriers(page, name);
  }
});
