/** A container on the stack: started, worked in, stepped through, committed, thrown away; by pointer and by keys. */
import { expect, test, type Page } from '@playwright/test';
import { LAYERS, ociArchive } from './archives';
import { digests, fits, layer, noBarriers, open, openArchive, settled } from './page';
import type { Entry } from './tar';

const dock = (page: Page) => page.getByRole('region', { name: 'Shell of the container' });
const prompt = (page: Page) => page.getByRole('textbox', { name: /^Command/ });
const log = (page: Page) => page.getByRole('log');
const step = (page: Page, number: number) =>
  page.getByRole('article', { name: `Step ${number}`, exact: true });
const history = (page: Page) => page.getByRole('group', { name: 'History' });
const inspector = (page: Page) => page.getByRole('region', { name: 'Inspector' });
/** What stands on the writable sheet at a path. */
const onSheet = (page: Page, path: string) =>
  page
    .locator('.film')
    .filter({ has: page.locator('.head .tag', { hasText: /^U$/ }) })
    .locator(`[data-path="${path}"] .label`);

async function start(page: Page, options = 'As containerd mounts'): Promise<void> {
  await page.getByRole('button', { name: 'Start a container' }).click();
  await page.getByRole('menuitem', { name: options }).click();
  await expect(prompt(page)).toBeVisible();
}
/** Runs a line, and waits until it was done. */
async function run(page: Page, line: string): Promise<void> {
  const before = await log(page).getByRole('article').count();
  await prompt(page).fill(line);
  await prompt(page).press('Enter');
  await expect(log(page).getByRole('article')).toHaveCount(before + 1);
  await expect(prompt(page)).toHaveValue('');
}

test('what is written fills the upper sheet, and the trace says why', async ({ page }) => {
  await open(page);
  const before = await digests(page);
  await start(page);
  await expect(page).toHaveURL(/#container\?image=1&container=2/);
  await expect(page.getByRole('link', { name: /container 1/ })).toContainText('nothing written');
  // Who starts a container means to type.
  await expect(prompt(page)).toBeFocused();

  await run(page, 'cat /hello.txt');
  await expect(step(page, 1)).toContainText('hello from delta');
  await expect(step(page, 1)).toContainText('1 call that only looked');

  await run(page, 'echo more >> /hello.txt');
  const copied = step(page, 2).locator('[data-rule="copy_up.file"]');
  await expect(copied).toContainText('/hello.txt: 17 bytes and all attributes are copied from layer B');
  await expect(copied.getByRole('link')).toHaveAttribute('href', /^https:\/\/docs\.kernel\.org\//);
  await expect(onSheet(page, '/hello.txt')).toContainText('copied up in this step');

  await run(page, 'rm /bin/cat');
  await expect(step(page, 3).locator('[data-rule="whiteout.unlink"]')).toContainText('character device 0:0');
  await expect(onSheet(page, '/bin/cat')).toContainText('whiteout');
  await expect(inspector(page).getByRole('heading', { name: '/bin/cat' })).toBeVisible();
  await expect(onSheet(page, '/hello.txt')).not.toContainText('in this step');

  await run(page, 'rmdir /nothing');
  await expect(step(page, 4).locator('.stderr')).toContainText(
    "rmdir: failed to remove '/nothing': No such file or directory",
  );
  await expect(step(page, 4)).toContainText('exit 1');
  await expect(step(page, 4)).toContainText('ENOENT');

  // The layers of the image are as they were.
  expect(await digests(page)).toEqual(before);
});

test('paths of the trace light their row, and lead there', async ({ page }) => {
  await open(page);
  await start(page);
  await run(page, 'echo more >> /hello.txt; mkdir /new');
  await expect(inspector(page).getByRole('heading', { name: '/new' })).toBeVisible();
  const link = step(page, 1)
    .locator('[data-rule="copy_up.file"]')
    .getByRole('button', { name: '/hello.txt' });
  await link.focus();
  await expect(page.getByTestId('says')).toContainText('/hello.txt');
  await link.press('Enter');
  await expect(inspector(page).getByRole('heading', { name: '/hello.txt' })).toBeVisible();
});

test('the history is gone through by buttons, slider and keys', async ({ page }) => {
  await open(page);
  await start(page);
  await run(page, 'rm /hello.txt');
  await run(page, 'mkdir /hello.txt');
  await expect(onSheet(page, '/hello.txt')).toContainText('opaque');
  await history(page).getByRole('button', { name: 'A step back' }).click();
  await expect(onSheet(page, '/hello.txt')).toContainText('whiteout');
  await expect(step(page, 1).getByRole('button', { name: 'After step 1' })).toHaveAttribute(
    'aria-pressed',
    'true',
  );
  // What was is looked at, not changed.
  await expect(inspector(page)).toContainText('This is how it was after step 1');

  await history(page).getByRole('slider').focus();
  await page.keyboard.press('ArrowLeft');
  await expect(onSheet(page, '/hello.txt')).toHaveCount(0);
  await expect(history(page).getByRole('slider')).toHaveAttribute('aria-valuetext', 'after step 0 of 2');
  await page.getByRole('treegrid', { name: 'The stack' }).focus();
  await page.keyboard.press('.');
  await expect(onSheet(page, '/hello.txt')).toContainText('whiteout');
  await page.keyboard.press(',');
  await expect(onSheet(page, '/hello.txt')).toHaveCount(0);
  await history(page).getByRole('button', { name: 'Now' }).click();
  await expect(onSheet(page, '/hello.txt')).toContainText('opaque');
  // What is done next is seen, wherever one looked.
  await page.keyboard.press(',');
  await run(page, 'touch /new');
  await expect(onSheet(page, '/new')).toBeVisible();
  await expect(history(page).getByRole('slider')).toHaveAttribute('aria-valuetext', 'after step 3 of 3');
});

test('the prompt recalls lines and completes names, and Tab leaves it when it is empty', async ({ page }) => {
  await open(page);
  await start(page);
  await run(page, 'cd /bin');
  await expect(dock(page).locator('label')).toContainText('/bin #');
  await run(page, 'pwd');
  await prompt(page).press('ArrowUp');
  await expect(prompt(page)).toHaveValue('pwd');
  await prompt(page).press('ArrowUp');
  await expect(prompt(page)).toHaveValue('cd /bin');
  await prompt(page).press('ArrowDown');
  await prompt(page).press('ArrowDown');
  await expect(prompt(page)).toHaveValue('');

  await prompt(page).fill('stat /hel');
  await prompt(page).press('Tab');
  await expect(prompt(page)).toHaveValue('stat /hello.txt ');
  await prompt(page).fill('r');
  await prompt(page).press('Tab');
  await expect(dock(page).getByRole('status').filter({ hasText: 'rmdir' })).toContainText('rm');
  await prompt(page).press('Escape');
  await expect(prompt(page)).toHaveValue('');
  await prompt(page).press('Tab');
  await expect(prompt(page)).not.toBeFocused();
});

test('the merged view is edited by calls, and what fails says the rule', async ({ page }) => {
  await open(page);
  await start(page);
  await inspector(page).getByRole('textbox', { name: 'Mode' }).fill('0600');
  await page.keyboard.press('Enter');
  await expect(log(page)).toContainText('chmod /hello.txt 0600');
  await expect(onSheet(page, '/hello.txt')).toBeVisible();

  const contents = inspector(page).getByRole('textbox', { name: 'Contents of /hello.txt' });
  await contents.click();
  await inspector(page)
    .getByRole('textbox', { name: 'Contents of /hello.txt' })
    .fill('a "word" \\n\nof two lines\n');
  await expect(log(page)).toContainText('write /hello.txt');
  await run(page, 'cat /hello.txt');
  await expect(log(page).getByRole('article').last().locator('pre')).toHaveText(
    'a "word" \\n\nof two lines\n',
  );

  await page.getByRole('button', { name: 'New…' }).click();
  await page.getByRole('menuitem', { name: 'Directory' }).click();
  await page.getByRole('form').getByRole('textbox').fill('/bin/new dir');
  await page.getByRole('button', { name: 'Make', exact: true }).click();
  await expect(onSheet(page, '/bin/new dir')).toBeVisible();
  await expect(log(page)).toContainText('mkdir "/bin/new dir"');

  // A directory of a lower layer is not renamed.
  await page.getByRole('treegrid', { name: 'The stack' }).focus();
  await page.locator('[data-path="/bin"] .label .name').first().click();
  await inspector(page).getByRole('button', { name: 'Rename…' }).click();
  await page.getByRole('form').getByRole('textbox').fill('/sbin');
  await page.getByRole('button', { name: 'Move' }).click();
  await expect(page.getByRole('alert').filter({ hasText: 'EXDEV' })).toContainText(
    'a layer below has this directory, and without redirect_dir=on overlayfs does not move it',
  );
  await page.getByRole('button', { name: 'Cancel' }).click();

  await inspector(page).getByRole('button', { name: 'Delete' }).click();
  await expect(log(page)).toContainText('rm -r /bin');
  await expect(onSheet(page, '/bin')).toContainText('whiteout');
});

test('commit makes a layer; thrown away it is gone; each can be undone', async ({ page }) => {
  await open(page);
  await start(page);
  await run(page, 'rm /hello.txt; echo new > /new');
  await page.getByRole('button', { name: 'Commit…' }).click();
  await page.getByRole('textbox', { name: 'Name of the new layer' }).fill('written');
  await page.getByRole('button', { name: 'Commit', exact: true }).click();
  await expect(layer(page, 'written')).toContainText('1 entry · 1 whiteout');
  await settled(page);
  await expect(page).toHaveURL(/#stack/);

  await page.getByRole('link', { name: /container 1/ }).click();
  await expect(dock(page)).toContainText('on the layers of its start');
  await expect(page.locator('.film')).toHaveCount(3);
  await page.getByRole('button', { name: 'Throw away' }).click();
  await expect(dock(page)).toHaveCount(0);
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByRole('link', { name: /container 1/ }).click();
  await expect(step(page, 1)).toContainText('echo new > /new');
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(layer(page, 'written')).toHaveCount(0);
  await expect(dock(page)).not.toContainText('on the layers of its start');
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(log(page).getByRole('article')).toHaveCount(0);
  await page.getByRole('button', { name: 'Redo' }).click();
  await expect(onSheet(page, '/new')).toBeVisible();
});

test('a container has an address, and Back leads out of it', async ({ page }) => {
  await open(page);
  await start(page);
  await run(page, 'mkdir /one');
  const address = page.url();
  await page.getByRole('tab', { name: 'Files' }).click();
  await expect(dock(page)).toHaveCount(0);
  await page.goBack();
  await expect(step(page, 1)).toBeVisible();
  expect(page.url()).toBe(address);
  await dock(page).getByRole('link', { name: 'All containers' }).click();
  await start(page, 'redirect_dir=on');
  await expect(page.getByRole('link', { name: /container 2/ })).toHaveAttribute('aria-current', 'page');
  await page.goBack();
  await page.goBack();
  await expect(step(page, 1)).toBeVisible();
  // In another session nothing has these ids: one is told how to start a container.
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Gallery of quirks' })).toBeVisible();
});

test('the upperdir as it lies on the disk, and the options of the mount', async ({ page }) => {
  await open(page);
  await start(page, 'userxattr');
  await run(page, 'rm /bin/cat; echo more >> /hello.txt');
  await page.getByRole('button', { name: 'Upperdir' }).click();
  const table = page.getByRole('table');
  await expect(table.getByRole('row').filter({ hasText: '/bin/cat' })).toContainText('whiteout');
  await expect(table.getByRole('row').filter({ hasText: '/hello.txt' })).toContainText(
    'user.overlay.origin=handle the inode below that it was copied from',
  );
  await noBarriers(page);
  await page.getByRole('button', { name: 'Mount', exact: true }).click();
  await expect(page.getByRole('region', { name: 'As containerd mounts it' })).toContainText(
    /index=off,userxattr,workdir=\S+,upperdir=\S+,lowerdir=\S+\/2\/fs:\S+\/1\/fs/,
  );
  await expect(page.getByRole('region', { name: 'In /proc/self/mountinfo' })).toContainText('userxattr');
  await expect(page.getByRole('button', { name: 'Copy Docker’s line' })).toBeVisible();
});

const GALLERY: [title: string, step: number, rule: string][] = [
  ['Opaque, or a whiteout?', 2, 'opaque.mkdir_over_whiteout'],
  ['A directory that cannot be renamed', 1, 'errno.rename_lower_directory'],
  ['The same with redirect_dir=on', 1, 'xattr.redirect'],
  ['The hard link that breaks', 2, 'copy_up.link_broken'],
  ['chmod copies a gigabyte', 2, 'copy_up.file'],
  ['The ghost', 1, 'readdir.ghost'],
  ['The whiteout that comes back', 3, 'whiteout.unlink'],
  ['It failed, and left a mark', 3, 'opaque.rename'],
  ['Reading that empties', 1, 'copy_up.without_data'],
];

test('every quirk of the gallery is one click, and its trace shows what its text says', async ({ page }) => {
  await open(page);
  await page.getByRole('tab', { name: 'Container' }).click();
  await expect(page.locator('section[aria-labelledby="quirks"] li')).toHaveCount(GALLERY.length);
  for (const [title, number, rule] of GALLERY) {
    await page.getByRole('button', { name: title }).click();
    await expect(page.getByRole('complementary', { name: 'What this shows' })).toContainText(title);
    await expect(history(page).getByRole('slider')).toHaveAttribute('aria-valuetext', /^after step 1 of/);
    await expect(step(page, number).locator(`[data-rule="${rule}"]`).first()).toBeAttached();
    if (title.startsWith('chmod'))
      await expect(step(page, 2)).toContainText('1073741824 bytes and all attributes are copied');
    if (title.startsWith('The whiteout'))
      await expect(step(page, 5).locator('[data-rule="whiteout.not_needed"]')).toBeAttached();
    await dock(page).getByRole('link', { name: 'All containers' }).click();
  }
});

test('whoever hears the page, and both themes', async ({ page }) => {
  await open(page);
  await page.getByRole('tab', { name: 'Container' }).click();
  await expect(page.getByRole('heading', { name: 'Gallery of quirks' })).toBeVisible();
  await noBarriers(page, 'the gallery');
  await start(page);
  await run(page, 'rm /hello.txt; rmdir /nothing; mkdir /a; ls -la');
  await history(page).getByRole('button', { name: 'Before the first step' }).click();
  await expect(step(page, 1)).toHaveClass(/later/);
  await noBarriers(page, 'a history');
});

test('on a phone the shell stands under the table', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page);
  await start(page);
  await run(page, 'echo more >> /hello.txt');
  await expect(page.locator('[role="row"][data-path="/hello.txt"]')).toBeInViewport();
  await expect(step(page, 1)).toBeInViewport();
  await fits(page);
  await noBarriers(page);
});

test('names that would run, turn round or break out are text in the terminal', async ({ page }) => {
  const script = '<img src=x onerror=window.ran=1>';
  const hostile: Entry[] = [
    { name: './', type: '5' },
    { name: `./${script}`, data: `${script}\u001b[31m\u202e` },
    { name: './a\u202egnp.exe', data: 'x' },
    { name: "./it's $HOME `x` \\", data: 'quoted' },
    { name: Buffer.from([0x2e, 0x2f, 0xff, 0xfe]), data: 'no text' },
  ];
  await open(page);
  await openArchive(
    page,
    'h.tar',
    ociArchive([{ name: 'docker.io/library/h:1', layers: [LAYERS[0]!, hostile] }]),
  );
  await page.getByRole('button', { name: 'Dismiss' }).first().click();
  await start(page);
  await run(page, 'ls -la');
  await run(page, 'cat *img*; rm *');
  await expect(log(page)).toContainText('onerror=window.ran=1');
  expect(await log(page).textContent()).not.toMatch(/[\u001b\u202e]/);
  expect(await page.evaluate(() => (window as { ran?: number }).ran)).toBeUndefined();
  await page.getByRole('button', { name: 'Undo' }).click();
  // The form quotes what the shell needs quoted.
  await page.locator('.label', { hasText: 'HOME' }).first().click();
  await inspector(page).getByRole('button', { name: 'Copy…' }).click();
  await page.getByRole('form').getByRole('textbox').fill('/co\'py "2"');
  await page.getByRole('button', { name: 'Copy', exact: true }).click();
  await expect(onSheet(page, '/co\'py \\"2\\"')).toBeVisible();
});
