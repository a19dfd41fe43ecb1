/** Ten thousand paths and a dozen layers: the page stays itself. */
import { gzipSync } from 'node:zlib';
import { expect, test } from '@playwright/test';
import { layer, open, rail, settled, treeRow } from './page';

/** A tar of empty files, with ustar headers written by hand. */
function tarOf(names: string[]): Buffer {
  const blocks = names.map((name) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000644\0', 100);
    header.write('0000000\0', 108);
    header.write('0000000\0', 116);
    header.write('00000000000\0', 124);
    header.write('14735311200\0', 136);
    header.write('        0', 148);
    header.write('ustar\x0000', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return header;
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

test('a layer of ten thousand files, from a tar', async ({ page }) => {
  await open(page, '#files');
  const names = Array.from({ length: 10_000 }, (_, i) => `file-${String(i).padStart(5, '0')}`);
  await page
    .getByRole('region', { name: 'Layers' })
    .locator('input[type=file]')
    .setInputFiles({ name: 'many.tar', mimeType: 'application/x-tar', buffer: tarOf(names) });
  await expect(layer(page, 'many')).toContainText('10,000 entries');
  await settled(page);
  const tree = page.getByRole('tree');
  await tree.focus();
  await page.keyboard.press('End');
  await expect(treeRow(page, '/file-09999')).toHaveAttribute('aria-selected', 'true');
  await page.keyboard.press('Home');
  await page.keyboard.press('PageDown');
  await expect(page.locator('[role="treeitem"][aria-selected="true"]')).toBeInViewport();
  // Only what is in sight is drawn.
  expect(await tree.getByRole('treeitem').count()).toBeLessThan(120);
});

test('a large tar is read with its progress, and can be stopped', async ({ page }) => {
  await open(page, '#files');
  const header = tarOf(['zeros']).subarray(0, 512);
  const size = 300 * 2 ** 20;
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        ', 148);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const buffer = gzipSync(Buffer.concat([header, Buffer.alloc(size + 1024)]), { level: 1 });
  const layers = page.getByRole('region', { name: 'Layers' });
  const pick = () =>
    layers
      .locator('input[type=file]')
      .setInputFiles({ name: 'zeros.tar.gz', mimeType: 'application/gzip', buffer });
  await pick();
  const card = page.getByRole('region', { name: 'Reading zeros' });
  await card.getByRole('button', { name: 'Cancel' }).click();
  await expect(card).toHaveCount(0);
  await expect(layer(page, 'zeros')).toHaveCount(0);
  await pick();
  await expect(layer(page, 'zeros')).toContainText('1 entry · as it came', { timeout: 30_000 });
  // None of it stays in the core's memory: it lies in a private file, and is read in windows.
  const memory: unknown = await page.workers()[0]!.evaluate('coreMemory()');
  expect(memory).toBeLessThan(80 * 2 ** 20);
});

test('twelve layers', async ({ page }) => {
  await open(page);
  for (let i = 3; i <= 12; i++) {
    await page.getByRole('button', { name: 'Add a layer' }).click();
    await expect(layer(page, `layer-${i}`)).toBeVisible();
  }
  await expect(rail(page)).toContainText('5 of 27');
  // Sheets would hide each other: from here on the stack is a table.
  await expect(page.getByRole('treegrid').getByRole('columnheader')).toHaveCount(14);
  const wider = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  expect(wider).toBe(false);
});
