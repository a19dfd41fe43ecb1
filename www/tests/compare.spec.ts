/** Any two points compared: layers, steps of a container, other images; and the layer that it takes. */
import { expect, test, type Page } from '@playwright/test';
import { execFileSync } from 'node:child_process';
import { fits, layer, noBarriers, open, settled } from './page';

const grid = (page: Page) => page.getByRole('grid', { name: 'What differs' });
const row = (page: Page, path: string) => grid(page).locator(`[data-path="${path}"]`);
const handle = (page: Page, which: 'Before' | 'After') => page.getByRole('slider', { name: `${which}:` });
const sum = (page: Page) => page.getByRole('tabpanel').getByRole('status').first();

/** Starts a container and runs lines in it. */
async function lived(page: Page, lines: string[]): Promise<void> {
  await open(page);
  await page.getByRole('button', { name: 'Start a container' }).click();
  await page.getByRole('menuitem', { name: 'As containerd mounts' }).click();
  const prompt = page.getByRole('textbox', { name: /^Command/ });
  for (const [number, line] of lines.entries()) {
    await prompt.fill(line);
    await prompt.press('Enter');
    await expect(page.getByRole('log').getByRole('article')).toHaveCount(number + 1);
  }
}

test('what a layer does to those below, from its menu; handles by the keyboard; Back', async ({ page }) => {
  await open(page);
  await layer(page, 'delta')
    .getByRole('button', { name: /^More for/ })
    .click();
  await page.getByRole('menuitem', { name: 'Compare with what is below' }).click();
  await expect(page).toHaveURL(/#compare\?.*before=1\.1&after=1\.2/);
  await expect(sum(page)).toHaveText(/0 added\s*1 removed\s*1 changed/);
  await expect(row(page, '/data/config.txt')).toContainText('removed');
  await expect(row(page, '/hello.txt')).toContainText('content');
  await expect(row(page, '/hello.txt')).toContainText(/16 B\s*A\s*17 B\s*B/);

  await grid(page).focus();
  await page.keyboard.press('End');
  await expect(row(page, '/hello.txt')).toHaveAttribute('aria-selected', 'true');
  const detail = page.getByRole('region', { name: 'Before and after of /hello.txt' });
  await expect(detail.getByRole('row', { name: 'Size' })).toContainText(/16 B\s*17 B/);
  await page.keyboard.press('ArrowUp');
  await expect(row(page, '/data/config.txt')).toHaveAttribute('aria-selected', 'true');

  await handle(page, 'Before').focus();
  await page.keyboard.press('ArrowLeft');
  await expect(handle(page, 'Before')).toHaveAttribute('aria-valuetext', 'no layer at all');
  await expect(sum(page)).toHaveText(/[1-9] added\s*0 removed/);
  await page.getByRole('button', { name: 'Swap' }).click();
  await expect(sum(page)).toHaveText(/0 added\s*[1-9] removed/);
  await page.goBack();
  await page.goBack();
  await expect(sum(page)).toHaveText(/1 removed\s*1 changed/);
  await handle(page, 'After').focus();
  await page.keyboard.press('ArrowLeft');
  await expect(sum(page)).toContainText('No difference');
});

test('steps of a container, with mode, owner and the names of a file', async ({ page }) => {
  await lived(page, ['chmod 600 /hello.txt; ln /hello.txt /again', 'chown 7:8 /hello.txt', 'rm -r /data']);
  await page.getByRole('link', { name: 'Compare' }).click();
  await expect(page).toHaveURL(/before=c2\.0&after=c2\.3/);
  await expect(row(page, '/hello.txt')).toContainText('mode 0644 → 0600, owner 0:0 → 7:8, names of the file');
  await expect(row(page, '/again')).toContainText('added');
  await expect(row(page, '/data')).toContainText('removed');
  await handle(page, 'Before').focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await expect(handle(page, 'Before')).toHaveAttribute('aria-valuetext', 'after step 2 of 3');
  await expect(sum(page)).toHaveText(/0 added\s*1 removed\s*0 changed/);
  // The image against what the container made of it.
  await page.getByRole('combobox', { name: 'Before' }).selectOption('handroll:latest');
  await expect(page).toHaveURL(/before=1\.2&after=c2\.3/);
  await expect(sum(page)).toHaveText(/1 added\s*1 removed/);
});

test('the difference becomes a layer, and a tar', async ({ page }) => {
  await lived(page, ['rm /hello.txt; echo new > /new']);
  await page.getByRole('link', { name: 'Compare' }).click();
  const put = page.getByRole('button', { name: 'Put it on the image' });
  await expect(sum(page)).toHaveText(/1 added\s*1 removed/);
  // No layer lies on a container.
  await expect(put).toBeDisabled();
  await page.getByRole('combobox', { name: 'Before' }).selectOption('handroll:latest');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save as a layer' }).click(),
  ]);
  expect(download.suggestedFilename()).toBe('difference.tar');
  const names = execFileSync('tar', ['-tf', await download.path()], { encoding: 'utf8' });
  expect(names.split('\n')).toEqual(expect.arrayContaining(['./.wh.hello.txt', './new']));
  await put.click();
  await expect(layer(page, 'difference')).toContainText('1 entry · 1 whiteout');
  await settled(page);
  await page.goBack();
  // The image is now what the container made of it.
  await page.getByRole('combobox', { name: 'Before' }).selectOption('handroll:latest');
  await expect(sum(page)).toContainText('No difference');
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(sum(page)).toHaveText(/1 added\s*1 removed/);
});

test('whoever hears it, in both themes, and on a phone', async ({ page }) => {
  await open(page);
  await page.keyboard.press('0');
  await row(page, '/hello.txt').click();
  await noBarriers(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await expect(row(page, '/hello.txt')).toContainText('content');
  await expect(handle(page, 'After')).toBeVisible();
  await fits(page);
});
