/** Edits, and what they touch: exactly the digests that stand on them, and no other. */
import { expect, test } from '@playwright/test';
import { choose, digests, fresh, layer, make, open, rail, settled, tab, treeRow } from './page';

const TEXT = 'Contents of /hello.txt';
const OF_DELTA = ['diff:2', 'blob:2', 'config', 'manifest', 'index'];

test('one byte of hello.txt: five of seven', async ({ page }) => {
  await open(page);
  const before = await digests(page);
  await page.getByRole('textbox', { name: TEXT }).fill('hello from me\n');
  await expect(rail(page)).toContainText('5 of 7');
  expect((await fresh(page)).sort()).toEqual([...OF_DELTA].sort());
  await expect(rail(page)).toContainText('layer A is reused');
  const after = await digests(page);
  expect(after['diff:1']).toBe(before['diff:1']);
  expect(after['blob:1']).toBe(before['blob:1']);
  await page.getByRole('button', { name: 'Step through' }).click();
  expect(await fresh(page)).toEqual(['diff:2']);
  await page.getByRole('button', { name: 'Next' }).click();
  expect((await fresh(page)).sort()).toEqual(['blob:2', 'diff:2']);
  await page.getByRole('button', { name: 'Done' }).click();

  await page.getByRole('button', { name: 'Undo' }).click();
  await expect.poll(() => digests(page)).toEqual(before);
  await page.getByRole('button', { name: 'Redo' }).click();
  await expect.poll(() => digests(page)).toEqual(after);
});

test('another compression: the config stays', async ({ page }) => {
  await open(page);
  await choose(page, 'delta');
  await page.getByLabel('Stored as').selectOption('none');
  await expect(rail(page)).toContainText('3 of 7');
  expect((await fresh(page)).sort()).toEqual(['blob:2', 'index', 'manifest']);
});

test('a field of the config: no layer moves', async ({ page }) => {
  await open(page);
  await page.getByLabel('Env').fill('GREETING=hello');
  await page.getByLabel('WorkingDir').click();
  await expect(rail(page)).toContainText('3 of 7');
  expect((await fresh(page)).sort()).toEqual(['config', 'index', 'manifest']);
});

test('a whiteout hides the name below', async ({ page }) => {
  await open(page, '#merged?path=/bin/show');
  await expect(treeRow(page, '/bin/show')).toBeVisible();
  await page.getByRole('button', { name: 'Mark as deleted in B' }).click();
  await expect(treeRow(page, '/bin/show')).toHaveCount(0);
  await expect(layer(page, 'delta')).toContainText('2 whiteouts');
  await page.getByRole('button', { name: 'Take the whiteout off' }).click();
  await expect(treeRow(page, '/bin/show')).toBeVisible();
});

test('create, rename, copy, delete, undo, redo', async ({ page }) => {
  await open(page, '#files?layer=2');
  await make(page, 'Directory', '/etc');
  await make(page, 'File', '/etc/motd');
  await expect(treeRow(page, '/etc/motd')).toBeVisible();
  await make(page, 'Symlink', '/etc/issue', { label: 'points to', value: 'motd' });
  await expect(treeRow(page, '/etc/issue')).toContainText('→ motd');
  await make(page, 'Hard link', '/etc/other', { label: 'same file as', value: '/etc/motd' });
  await expect(treeRow(page, '/etc/other')).toContainText('2 names');

  await treeRow(page, '/etc/motd').click();
  await page.getByRole('tree').press('F2');
  const form = page.getByRole('form', { name: 'Rename or move' });
  await form.getByRole('textbox').fill('/etc/welcome');
  await form.getByRole('button', { name: 'Move' }).click();
  await expect(treeRow(page, '/etc/welcome')).toBeVisible();
  await expect(treeRow(page, '/etc/motd')).toHaveCount(0);

  await page.getByRole('button', { name: 'Copy…' }).click();
  const copy = page.getByRole('form', { name: 'Copy' });
  await copy.getByRole('textbox').fill('/welcome');
  await copy.getByLabel('in layer').selectOption({ label: 'A base' });
  await copy.getByRole('button', { name: 'Copy' }).click();
  await expect(page.getByRole('tree', { name: /Layer A/ })).toBeVisible();
  await expect(treeRow(page, '/welcome')).toBeVisible();

  await treeRow(page, '/welcome').click();
  await page.getByRole('tree').press('Delete');
  await expect(treeRow(page, '/welcome')).toHaveCount(0);
  await page.keyboard.press('Control+z');
  await expect(treeRow(page, '/welcome')).toBeVisible();
  await page.keyboard.press('Control+Shift+z');
  await expect(treeRow(page, '/welcome')).toHaveCount(0);
});

test('attributes: mode, owner, time, xattr', async ({ page }) => {
  await open(page, '#files?layer=2&path=/hello.txt');
  const commit = async (label: string, value: string) => {
    await page.getByLabel(label, { exact: true }).fill(value);
    await page.keyboard.press('Enter');
  };
  await commit('Mode', '4755');
  await expect(page.getByLabel('Mode', { exact: true })).toHaveValue('4755  -rwsr-xr-x');
  await commit('Owner', '1000:100');
  await expect(page.getByLabel('Owner')).toHaveValue('1000:100');
  await commit('Modified', '@0.5');
  await expect(page.getByLabel('Modified')).toHaveValue('1970-01-01 00:00:00.5 UTC');
  await expect(layer(page, 'delta')).toContainText('pax');
  await page.getByText('Extended attributes').click();
  await page.getByLabel('Name of the attribute').fill('user.note');
  await page.getByLabel('Its value').fill('by hand');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(page.getByLabel('Value of user.note')).toHaveValue('by hand');
});

test('layers: add, rename, duplicate, move, remove', async ({ page }) => {
  await open(page);
  await page.getByRole('button', { name: 'Add a layer' }).click();
  await expect(layer(page, 'layer-3')).toBeVisible();
  await expect(rail(page)).toContainText('of 9');
  await layer(page, 'layer-3').getByLabel('Name').fill('top');
  await page.keyboard.press('Enter');
  await expect(layer(page, 'top')).toBeVisible();
  const menu = async (name: string, item: string) => {
    await layer(page, name).getByRole('button', { name: /^More/ }).click();
    await page.getByRole('menuitem', { name: new RegExp(`^${item}`) }).click();
  };
  await menu('top', 'Move down');
  await expect(page.getByRole('group', { name: 'Layer B, top' })).toBeVisible();
  await menu('top', 'Duplicate');
  await expect(layer(page, 'top-copy')).toBeVisible();
  await layer(page, 'top-copy').dragTo(layer(page, 'base'), { sourcePosition: { x: 3, y: 20 } });
  await expect(page.getByRole('group', { name: 'Layer A, top-copy' })).toBeVisible();
  await menu('top-copy', 'Remove');
  await menu('top', 'Remove');
  await expect(rail(page)).toContainText('of 7');
  await settled(page);
});

test('find looks in all layers, also at what is hidden', async ({ page }) => {
  await open(page, '#files');
  await page.keyboard.press('/');
  await page.getByRole('searchbox').fill('config');
  await expect(page.getByRole('status').filter({ hasText: '2 found' })).toBeVisible();
  await tab(page, 'Files');
});

test('what is typed reaches the file that it was typed into', async ({ page }) => {
  await open(page, '#files?layer=2&path=/hello.txt');
  const before = await digests(page);
  await page.getByRole('textbox', { name: TEXT }).fill('typed, and gone at once\n');
  await page.evaluate(() => (location.hash = '#files?layer=1&path=/data/config.txt'));
  await expect(page.getByRole('textbox', { name: 'Contents of /data/config.txt' })).toHaveValue(
    'base config\n',
  );
  await expect(rail(page)).toContainText('5 of 7');
  const after = await digests(page);
  expect(after['diff:1']).toBe(before['diff:1']);
  expect(after['diff:2']).not.toBe(before['diff:2']);
});

test('typing faster than the core answers loses no letter', async ({ page }) => {
  await open(page, '#files?layer=2&path=/hello.txt');
  const editor = page.getByRole('textbox', { name: TEXT });
  await editor.click();
  await page.keyboard.press('Control+a');
  const typed = 'the quick brown fox jumps over the lazy dog, twice, and then once more';
  for (const word of typed.split(' ')) {
    await page.keyboard.type(`${word} `, { delay: 12 });
    await page.waitForTimeout(90);
  }
  await expect(editor).toContainText(typed);
  await expect(rail(page)).toContainText('5 of 7');
});
