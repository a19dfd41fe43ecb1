/** Findings: each a sentence with a way to its place, an explanation, and where there is one, a mend. */
import { expect, test, type Page } from '@playwright/test';
import { ociArchive, sha256 } from './archives';
import { open, openArchive, tab, treeRow } from './page';
import type { Entry } from './tar';

const ODD: Entry[] = [
  { name: './', type: '5' },
  { name: './etc/', type: '5' },
  { name: './etc/passwd', data: 'root:x:0:0::/:/bin/sh\n' },
  { name: './etc/passwd', data: 'root::0:0::/:/bin/sh\n' },
  { name: '/absolute', data: 'x' },
  { name: './tool', data: 'x', mode: 0o4755 },
];

async function look(page: Page, buffer: Buffer) {
  await open(page);
  await openArchive(page, 'odd.tar', buffer);
  await tab(page, 'Check');
  await expect(page.getByRole('progressbar', { name: 'Checking' })).toHaveCount(0);
}

const finding = (page: Page, text: RegExp) =>
  page.getByRole('tabpanel').getByRole('listitem').filter({ hasText: text });

test('a finding leads to its place, and Back to the finding', async ({ page }) => {
  await look(page, ociArchive([{ layers: [ODD] }]));
  const twice = finding(page, /twice/).first();
  await twice.getByRole('button', { expanded: false }).click();
  await expect(page).toHaveURL(/finding=\d+/);
  await expect(twice).toContainText(/duplicate_path/);
  await expect(twice).toContainText(/It matters because/);
  await twice.getByRole('link', { name: /byte [\d,]+ of its tar/ }).click();
  await expect(page.getByRole('listbox').getByRole('option', { selected: true })).toContainText('passwd');
  await page.goBack();
  await expect(twice).toContainText(/duplicate_path/);
  await twice.getByRole('link', { name: '/etc/passwd', exact: true }).click();
  await expect(treeRow(page, '/etc/passwd')).toHaveAttribute('aria-selected', 'true');
});

test('what can be mended is, and can be undone', async ({ page }) => {
  await look(page, ociArchive([{ layers: [ODD] }]));
  const absolute = finding(page, /begins with a slash/);
  await absolute.getByRole('button', { name: /canonical/i }).click();
  await expect(absolute).toHaveCount(0);
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(absolute).toHaveCount(1);
});

test('a digest that does not hold is an error in its document', async ({ page }) => {
  await look(
    page,
    ociArchive([{ layers: [ODD.slice(0, 3)] }], ({ blobs }) => {
      const [name, bytes] = [...blobs].find(([, body]) => body.includes('"rootfs"'))!;
      blobs.set(name, Buffer.concat([bytes, Buffer.from('\n')]));
      expect(sha256(blobs.get(name)!)).not.toBe(name);
    }),
  );
  const errors = page.getByRole('region', { name: 'Errors' });
  await errors.getByRole('link').first().click();
  await expect(page).toHaveURL(/#documents/);
  await expect(page.getByRole('navigation', { name: 'Documents and blobs' })).toContainText('wrong digest');
});

test('an image with nothing to say about it', async ({ page }) => {
  await open(page, '#check');
  await expect(page.getByRole('progressbar', { name: 'Checking' })).toHaveCount(0);
  await expect(page.getByRole('region', { name: 'Errors' })).toHaveCount(0);
});

test('an archive without an image still has documents', async ({ page }) => {
  await open(page);
  await openArchive(page, 'none.tar', ociArchive([]));
  await expect(page.getByRole('navigation', { name: 'Documents and blobs' })).toContainText('index.json');
  await page.getByRole('tab', { name: 'Stack' }).click();
  await page.getByRole('button', { name: /^\d+ images?$/ }).click();
  await page.getByRole('menuitemradio', { name: 'Its documents' }).click();
  await expect(page.getByRole('navigation', { name: 'Documents and blobs' })).toContainText('index.json');
});
