/**
 * The picture of the README: `node scripts/screenshot.mjs [OUT.png]`, from the built page, right after hello.txt
 * was changed.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from '@playwright/test';
import { serve } from './static-server.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const server = await serve(join(root, 'www', 'dist'));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 860 }, colorScheme: 'light' });
  await page.goto(server.url);
  await page.locator('[data-state="settled"]').waitFor();
  await page.getByRole('textbox', { name: 'Contents of /hello.txt' }).fill('hello from a browser tab\n');
  await page.getByText('5 of 7').waitFor();
  await page.mouse.move(720, 800);
  await page.waitForTimeout(1000);
  await page.screenshot({ path: process.argv[2] ?? join(root, 'docs', 'screenshot.png') });
} finally {
  await browser.close();
  server.close();
}
