/** The core dies, the work does not. */
import { expect, test } from '@playwright/test';
import { digests, open } from './page';

test('a panic shows a dialog, and the work is still there', async ({ page }) => {
  await open(page, '?panic-test');
  await page.getByRole('textbox', { name: 'Contents of /hello.txt' }).fill('precious\n');
  await expect(page.getByText('5 of 7')).toBeVisible();
  const before = await digests(page);
  await page.evaluate(() => (window as unknown as { provokePanic(): void }).provokePanic());
  const dialog = page.getByRole('dialog', { name: 'The core has crashed' });
  await expect(dialog).toContainText('Your work is still here');
  await dialog.getByRole('button', { name: 'Go on' }).click();
  await expect(dialog).toHaveCount(0);
  expect(await digests(page)).toEqual(before);
  await expect(page.getByRole('textbox', { name: 'Contents of /hello.txt' })).toContainText('precious');
  // And it goes on: undo knows what was done.
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(page.getByRole('textbox', { name: 'Contents of /hello.txt' })).toContainText(
    'hello from delta',
  );
});
