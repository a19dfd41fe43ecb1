/** Getting around: Back, links, keys, the phone, and the gate of accessibility. */
import { expect, test } from '@playwright/test';
import { noBarriers, open, settled, tab, treeRow } from './page';

test('Back works, and a place can be linked to', async ({ page }) => {
  await open(page);
  await tab(page, 'Files');
  await treeRow(page, '/data').click();
  await tab(page, 'Documents');
  await expect(page).toHaveURL(/#documents/);
  await page.goBack();
  await expect(page.getByRole('tab', { name: 'Files' })).toHaveAttribute('aria-selected', 'true');
  await page.goBack();
  await expect(page.getByRole('region', { name: 'Inspector' }).getByRole('heading').first()).toHaveText(
    '/hello.txt',
  );
  await page.goBack();
  await expect(page.getByRole('tab', { name: 'Stack' })).toHaveAttribute('aria-selected', 'true');
  await page.goto('about:blank');
  await open(page, '#merged?layer=1&path=/bin/show');
  await expect(treeRow(page, '/bin/show')).toHaveAttribute('aria-selected', 'true');
});

test('everything by keys', async ({ page }) => {
  await open(page, '#files?layer=1');
  // A click leaves the keys with the tree.
  await treeRow(page, '/hello.txt').click();
  await page.keyboard.press('Home');
  await expect(treeRow(page, '/bin')).toHaveAttribute('aria-selected', 'true');
  await page.keyboard.press('ArrowLeft');
  await expect(treeRow(page, '/bin')).toHaveAttribute('aria-expanded', 'false');
  await page.keyboard.press('ArrowRight');
  await expect(treeRow(page, '/bin')).toHaveAttribute('aria-expanded', 'true');
  await page.keyboard.press('ArrowRight');
  await expect(treeRow(page, '/bin/cat')).toHaveAttribute('aria-selected', 'true');
  await page.keyboard.press('End');
  await expect(treeRow(page, '/hello.txt')).toHaveAttribute('aria-selected', 'true');
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible();
  await page.keyboard.press('Escape');
  await page.keyboard.press('5');
  await expect(page).toHaveURL(/#documents/);
});

test('a phone has pages', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page);
  await expect(page.getByRole('treegrid')).toBeVisible();
  for (const [name, shows] of [
    ['Layers', 'Runs as'],
    ['Path', 'Inspector'],
    ['Digests', 'Digests'],
  ] as const) {
    await page.getByRole('navigation').getByRole('button', { name }).click();
    await expect(page.getByRole('region', { name: shows })).toBeVisible();
  }
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  expect(overflow).toBe(false);
});

test('no barriers: the views', async ({ page }) => {
  await open(page);
  await noBarriers(page, 'sheets');
  await page.getByRole('button', { name: 'Table', exact: true }).click();
  await page.getByRole('textbox', { name: 'Contents of /hello.txt' }).fill('other\n');
  await expect(page.getByText('5 of 7')).toBeVisible();
  await page.getByLabel('Mode', { exact: true }).fill('9');
  await page.keyboard.press('Enter');
  await noBarriers(page, 'the table, an edit, a refusal');
  for (const [hash, shows] of [
    ['#files?layer=1&path=/bin/show', 'treeitem'],
    ['#merged?path=/hello.txt', 'treeitem'],
    ['#documents?doc=manifest', 'navigation'],
  ] as const) {
    await page.goto(`./${hash}`);
    await settled(page);
    await expect(page.getByRole('tabpanel').getByRole(shows).first()).toBeVisible();
    await noBarriers(page, hash);
  }
});

test('no barriers: what opens over the page', async ({ page }) => {
  await open(page);
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Download image' }).click();
  await expect(dialog).toBeVisible();
  await noBarriers(page, 'the download');
  await page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  await page.keyboard.press('?');
  await expect(dialog).toBeVisible();
  await noBarriers(page, 'the keys');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Open', exact: true }).click();
  await expect(page.getByRole('menu')).toBeVisible();
  await noBarriers(page, 'a menu');
});

test('no barriers: a phone', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page, '#stack?page=digests');
  await noBarriers(page, 'digests');
  for (const name of ['Layers', 'Path', 'View']) {
    await page.getByRole('navigation').getByRole('button', { name }).click();
    await noBarriers(page, name);
  }
});
