/** Getting around: Back, links, keys, the phone, and the gate of accessibility. */
import AxeBuilder from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import { open, tab, treeRow } from './page';

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

async function gate(page: Page) {
  await page.waitForTimeout(600); // Colours fade; they are judged when they rest.
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join('\n')}`)).toEqual([]);
}

for (const colorScheme of ['light', 'dark'] as const) {
  test.describe(`no barriers, ${colorScheme}`, () => {
    test.use({ colorScheme });
    for (const hash of [
      '',
      '#files?layer=1&path=/bin/show',
      '#merged?path=/hello.txt',
      '#documents?doc=manifest',
    ]) {
      test(hash || 'sheets', async ({ page }) => {
        await open(page, hash);
        await gate(page);
      });
    }
    test('the table, an edit, a refusal', async ({ page }) => {
      await open(page);
      await page.getByRole('button', { name: 'Table', exact: true }).click();
      await page.getByRole('textbox', { name: 'Contents of /hello.txt' }).fill('other\n');
      await expect(page.getByText('5 of 7')).toBeVisible();
      await page.getByLabel('Mode', { exact: true }).fill('9');
      await page.keyboard.press('Enter');
      await gate(page);
    });
    test('the download', async ({ page }) => {
      await open(page);
      await page.getByRole('button', { name: 'Download image' }).click();
      await expect(page.getByRole('dialog')).toBeVisible();
      await gate(page);
    });
    test('on a phone', async ({ page }) => {
      await page.setViewportSize({ width: 390, height: 844 });
      await open(page, '#stack?page=digests');
      await gate(page);
      await page.getByRole('button', { name: 'Layers' }).click();
      await gate(page);
    });
  });
}
