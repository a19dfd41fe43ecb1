/** The article's image is there at first paint, with the digests that never change. */
import { expect, test } from '@playwright/test';
import { digests, open, rail, settled, tab } from './page';
import data from './golden.json' with { type: 'json' };

const golden: Record<'amd64' | 'arm64', Record<string, string>> = data;

test('shows the sample with its known digests', async ({ page }) => {
  await open(page);
  expect(await digests(page)).toEqual(golden.amd64);
  await expect(page.getByLabel('Name of the image')).toHaveValue('docker.io/library/handroll:latest');
  await expect(page.getByRole('gridcell', { name: 'config.txt whiteout' })).toBeVisible();
});

test('the program follows the platform', async ({ page }) => {
  await open(page);
  await page.getByLabel('Platform').selectOption('linux/arm64');
  await expect(page.getByLabel('Platform')).toHaveValue('linux/arm64');
  await expect
    .poll(() => rail(page).locator('[data-card="diff:1"] [data-digest]').getAttribute('data-digest'))
    .toBe(golden.arm64['diff:1']);
  await settled(page);
  expect(await digests(page)).toEqual(golden.arm64);
});

test('a shell stands before the script has run', async ({ browser, baseURL }) => {
  const page = await browser.newPage({ javaScriptEnabled: false, baseURL });
  await page.goto('./');
  await expect(page.getByText('Container images by hand')).toBeVisible();
  await page.close();
});

test('the documents hold the digests that the rail shows', async ({ page }) => {
  await open(page);
  const shown = await digests(page);
  await tab(page, 'Documents');
  for (const [name, holds] of [
    ['manifest', ['config', 'blob:1', 'blob:2']],
    ['config', ['diff:1', 'diff:2']],
    ['index.json', ['manifest']],
  ] as const) {
    await page
      .getByRole('navigation', { name: 'Documents and blobs' })
      .getByRole('link', { name: new RegExp(`^${name} `) })
      .click();
    const json = page.getByRole('region', { name: /laid out$/ });
    for (const card of holds) await expect(json.locator(`[data-digest="${shown[card]}"]`)).toHaveCount(1);
  }
  // A digest leads to what it names.
  await page
    .getByRole('region', { name: /laid out$/ })
    .locator(`[data-digest="${shown.manifest}"]`)
    .click();
  await expect(page).toHaveURL(/doc=manifest/);
});

test('the exact bytes hash to the digest', async ({ page }) => {
  await open(page, '#documents?doc=config');
  await page.getByRole('button', { name: 'as it stands' }).click();
  const text = (await page.getByRole('region', { name: 'config, exact bytes' }).textContent())!;
  const hash = await page.evaluate(async (body) => {
    const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(body));
    return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  }, text);
  expect(`sha256:${hash}`).toBe((await digests(page)).config);
});
