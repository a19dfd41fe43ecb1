/** What is refused is said beside the field, names the rule, and changes nothing. */
import { expect, test, type Page } from '@playwright/test';
import { digests, open } from './page';

async function refused(page: Page, kind: string, path: string, says: RegExp, target?: [string, string]) {
  await page.getByRole('button', { name: 'New…' }).click();
  await page.getByRole('menuitem', { name: kind }).click();
  const form = page.getByRole('form');
  await form.getByRole('textbox').first().fill(path);
  if (target) await form.getByLabel(target[0]).fill(target[1]);
  await form.getByRole('button', { name: /Make|Mark/ }).click();
  await expect(form.getByRole('alert')).toHaveText(says);
  await form.getByRole('button', { name: 'Cancel' }).click();
}

test('names', async ({ page }) => {
  await open(page, '#files?layer=2&path=/hello.txt');
  const before = await digests(page);
  await refused(page, 'File', '/hello.txt', /hello\.txt/);
  await refused(page, 'File', '/.wh.hello', /\.wh\./);
  await refused(page, 'File', '/a/..', /\.\./);
  await refused(page, 'File', '/a//b', /./);
  await refused(page, 'Directory', `/${'n'.repeat(256)}`, /255/);
  await refused(page, 'Hard link', '/alias', /./, ['same file as', '/data']);
  expect(await digests(page)).toEqual(before);
  await expect(page.getByRole('button', { name: 'Undo' })).toBeDisabled();
});

test('a directory into itself', async ({ page }) => {
  await open(page, '#files?layer=2&path=/data');
  await page.getByRole('button', { name: 'Rename…' }).click();
  const form = page.getByRole('form', { name: 'Rename or move' });
  await form.getByRole('textbox').fill('/data/inner');
  await form.getByRole('button', { name: 'Move' }).click();
  await expect(form.getByRole('alert')).toHaveText(/itself/);
});

test('mode, owner, time', async ({ page }) => {
  await open(page, '#files?layer=2&path=/hello.txt');
  for (const [label, bad, says] of [
    ['Mode', '999', /octal/],
    ['Owner', 'root', /uid:gid/],
    ['Modified', 'yesterday', /no time/],
  ] as const) {
    const field = page.getByLabel(label, { exact: true });
    await field.fill(bad);
    await page.keyboard.press('Enter');
    await expect(page.getByRole('alert').filter({ hasText: says })).toBeVisible();
    await expect(field).toHaveAttribute('aria-invalid', 'true');
    await page.keyboard.press('Escape');
    await expect(page.getByRole('alert').filter({ hasText: says })).toHaveCount(0);
  }
});

test('the name of the image, and a variable', async ({ page }) => {
  await open(page);
  await page.getByLabel('Name of the image').fill('Not A Name');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('alert').filter({ hasText: /Not A Name/ })).toBeVisible();
  await page.keyboard.press('Escape');
  await page.getByLabel('Env').fill('no equals sign');
  await page.getByLabel('User', { exact: true }).focus();
  await expect(page.getByRole('alert').filter({ hasText: /./ }).first()).toBeVisible();
  await expect(page.getByRole('button', { name: 'Undo' })).toBeDisabled();
});

test('a layer file that is no tar', async ({ page }) => {
  await open(page);
  await page
    .getByRole('region', { name: 'Layers' })
    .locator('input[type=file]')
    .setInputFiles({
      name: 'not.tar',
      mimeType: 'application/x-tar',
      buffer: Buffer.from('this is no tar'.repeat(99)),
    });
  await expect(page.getByRole('status').filter({ hasText: /tar/ }).first()).toBeVisible();
  await expect(page.getByRole('group', { name: /^Layer C/ })).toHaveCount(0);
});
