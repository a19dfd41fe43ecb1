/** What is dropped or picked is looked at, and becomes what it is: an image, a layer, files. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test, type Page } from '@playwright/test';
import { dockerArchive, LAYERS, Layout, ociArchive, sha256 } from './archives';
import { archiveCard, digests, drop, layer, open, openArchive, settled, tab, take, treeRow } from './page';
import { tar } from './tar';

const TWO = [
  { name: 'docker.io/library/two:1', layers: LAYERS },
  { name: 'docker.io/library/two:1', architecture: 'arm64', layers: [LAYERS[0]!] },
];

function question(page: Page) {
  return page.getByRole('region', { name: 'A question' });
}

test('an index with two platforms opens beside the sample', async ({ page }) => {
  await open(page);
  await openArchive(page, 'two.tar', ociArchive(TWO));
  await expect(page.getByLabel('Name of the image')).toHaveValue('docker.io/library/two:1');
  await expect(archiveCard(page)).toContainText('an OCI image layout, 2 images · as it came');
  const shown = await digests(page);
  expect(Object.values(shown).slice(0, 4)).toContain(sha256(tar(LAYERS[0]!)));
  expect(Object.values(shown).slice(0, 4)).toContain(sha256(gzipSync(tar(LAYERS[1]!))));

  // The platform is one of the archive's, not a field to change.
  await page.getByLabel('Platform').selectOption('linux/arm64');
  await expect(page.getByRole('group', { name: /^Layer B/ })).toHaveCount(0);
  await page.goBack();
  await expect(page.getByRole('group', { name: /^Layer B/ })).toBeVisible();

  await page.getByRole('button', { name: /^\d+ images?$/ }).click();
  await expect(page.getByRole('menuitemradio')).toHaveCount(3);
  await page.getByRole('menuitemradio', { name: /handroll:latest/ }).click();
  await expect(layer(page, 'delta')).toBeVisible();
  await expect(archiveCard(page)).toHaveCount(0);
  await page.goBack();

  await page.getByRole('button', { name: 'Close two.tar' }).click();
  await expect(layer(page, 'delta')).toBeVisible();
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByRole('button', { name: /^\d+ images?$/ }).click();
  await expect(page.getByRole('menuitemradio')).toHaveCount(3);
});

for (const [what, name, buffer] of [
  ['a docker archive', 'old.tar', dockerArchive({ layers: LAYERS })],
  ['an OCI image layout', 'packed.tar.gz', gzipSync(ociArchive([{ layers: LAYERS }]))],
] as const) {
  test(`${name} is ${what}`, async ({ page }) => {
    await open(page);
    await openArchive(page, name, buffer);
    await expect(archiveCard(page)).toContainText(`${what}, 1 image`);
    await tab(page, 'Merged');
    await expect(treeRow(page, '/srv/data')).toBeVisible();
    await expect(treeRow(page, '/etc/motd')).toHaveCount(0);
  });
}

test('a layout in a folder', async ({ page }, info) => {
  const layout = new Layout();
  for (const [path, bytes] of layout.files([layout.image({ layers: LAYERS })])) {
    const file = info.outputPath('layout', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  await open(page);
  await page.getByLabel('Image folder').setInputFiles(info.outputPath('layout'));
  await expect(archiveCard(page)).toContainText('an OCI image layout, 1 image');
  await settled(page);
});

test('a tar that is no image is asked about', async ({ page }) => {
  await open(page, '#files?layer=2');
  const files = [{ name: 'root.tar', buffer: tar(LAYERS[0]!) }];
  await drop(page, files);
  await expect(question(page)).toContainText('root.tar is a tar that is no image.');
  await page.keyboard.press('Escape');
  await expect(question(page)).toHaveCount(0);

  await drop(page, files);
  await question(page)
    .getByRole('button', { name: /^Add it as a layer on top of handroll:latest/ })
    .click();
  await expect(layer(page, 'root')).toContainText('6 entries · as it came');

  await drop(page, files);
  await question(page)
    .getByRole('button', { name: /^Put the file into root/ })
    .click();
  await expect(treeRow(page, '/root.tar')).toBeVisible();

  await drop(page, files);
  await question(page)
    .getByRole('button', { name: /^Open it as an image of one layer/ })
    .click();
  await expect(archiveCard(page)).toContainText('one layer, 1 image');
  await settled(page);
  await expect(page.getByRole('group', { name: /^Layer [A-Z]/ })).toHaveCount(1);
});

test('an image dropped on the files of a layer may be meant as a file', async ({ page }) => {
  await open(page, '#files?layer=2');
  const files = page.getByRole('region', { name: /^Files of layer/ });
  await drop(page, [{ name: 'image.tar', buffer: ociArchive([{ layers: LAYERS }]) }], files);
  await question(page)
    .getByRole('button', { name: /^Put the file into delta/ })
    .click();
  await expect(treeRow(page, '/image.tar')).toBeVisible();
});

test('what is neither goes into the layer in hand', async ({ page }) => {
  await open(page, '#files?layer=1');
  await drop(page, [
    { name: 'notes.txt', buffer: Buffer.from('notes') },
    { name: 'packed.gz', buffer: gzipSync('no tar in it') },
  ]);
  await expect(treeRow(page, '/notes.txt')).toBeVisible();
  await expect(treeRow(page, '/packed.gz')).toBeVisible();
});

test('what is missing or damaged says so, and the rest is there', async ({ page }) => {
  const bottom = gzipSync(tar(LAYERS[0]!));
  const top = gzipSync(tar(LAYERS[1]!));
  await open(page, '#files');
  await openArchive(
    page,
    'spoilt.tar',
    ociArchive([{ layers: [LAYERS[0]!, LAYERS[1]!, [{ name: 'fine.txt', data: 'fine' }]] }], ({ blobs }) => {
      blobs.delete(sha256(bottom));
      blobs.set(sha256(top), top.subarray(0, top.length - 30));
    }),
  );
  await expect(page.getByRole('group', { name: /^Layer A/ })).toContainText('Missing.');
  await expect(page.getByRole('group', { name: /^Layer B/ })).toContainText('Damaged.');
  await expect(treeRow(page, '/fine.txt')).toBeVisible();
  await expect(archiveCard(page)).toContainText(/\d errors?/);
});

test('layers of an opened image can be edited like others', async ({ page }) => {
  await open(page, '#files');
  await openArchive(page, 'two.tar', ociArchive(TWO));
  await take(page, 'B');
  await treeRow(page, '/etc/hosts').click();
  const before = await digests(page);
  await page.getByRole('textbox', { name: 'Contents of /etc/hosts' }).fill('edited\n');
  await expect(page.getByText('5 of 7')).toBeVisible();
  const after = await digests(page);
  expect(Object.keys(after).filter((card) => after[card] === before[card])).toHaveLength(2);
  await expect(archiveCard(page)).toContainText('changed');
});

test('a large archive shows how far it is read, and can be given up', async ({ page }) => {
  await open(page);
  const buffer = gzipSync(tar([{ name: 'zeros', data: Buffer.alloc(400 * 2 ** 20) }]), { level: 1 });
  await page
    .getByLabel('Image file')
    .setInputFiles({ name: 'zeros.tar.gz', mimeType: 'application/gzip', buffer });
  const card = page.getByRole('region', { name: 'Reading zeros.tar.gz' });
  await expect(card).toContainText(/\d+ % of/);
  // The page stays in use.
  await tab(page, 'Merged');
  await expect(treeRow(page, '/bin/show')).toBeVisible();
  await card.getByRole('button', { name: 'Cancel' }).click();
  await expect(card).toHaveCount(0);
  await expect(question(page)).toHaveCount(0);
});

test('a layer is read while another is looked at', async ({ page }) => {
  await open(page, '#files');
  const layout = join('large', 'zeros');
  const buffer = ociArchive([
    { layers: [LAYERS[0]!, [{ name: layout, data: Buffer.alloc(300 * 2 ** 20) }]] },
  ]);
  await drop(page, [{ name: 'large.tar', buffer }]);
  const top = page.getByRole('group', { name: /^Layer B/ });
  await expect(top).toContainText(/(Unpacking|Reading its entries)\s+\d+ % of/);
  await page
    .getByRole('group', { name: /^Layer A/ })
    .getByRole('button')
    .first()
    .click();
  await expect(treeRow(page, '/bin/show')).toBeVisible();
  await expect(top).toContainText('2 entries · as it came', { timeout: 40_000 });
});
