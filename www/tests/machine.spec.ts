/** The machine: an image imported event by event, the prompt, what images share, garbage, a container that runs. */
import { expect, test, type Page } from '@playwright/test';
import { LAYERS, ociArchive } from './archives';
import { digests, fits, noBarriers, open, openArchive } from './page';

const NAME = 'docker.io/library/handroll:latest';
const SNAPSHOTS = '/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots';

const player = (page: Page) => page.getByRole('group', { name: 'Events' });
const handle = (page: Page) => player(page).getByRole('slider');
const held = (page: Page, what: string) => page.getByRole('region', { name: what, exact: true });
const items = (page: Page, what: string) => held(page, what).locator('li[data-key]');
const item = (page: Page, what: string, key: string) => held(page, what).locator(`li[data-key="${key}"]`);
const prompt = (page: Page) => page.getByRole('textbox', { name: /^Command on the machine/ });
const log = (page: Page) => page.getByRole('log', { name: 'What was run' });

async function imported(page: Page): Promise<void> {
  await open(page);
  await page.keyboard.press('m');
  await page.getByRole('button', { name: 'Import handroll:latest' }).click();
  await expect(item(page, 'Images', NAME)).toBeVisible();
}
async function run(page: Page, line: string): Promise<void> {
  const before = await log(page).getByRole('article').count();
  await prompt(page).fill(line);
  await prompt(page).press('Enter');
  await expect(log(page).getByRole('article')).toHaveCount(before + 1);
}
/** The form that runs a container of the image, opened. */
const runForm = (page: Page) => page.getByRole('form', { name: `Run a container of ${NAME}` });
async function openRunForm(page: Page): Promise<void> {
  await item(page, 'Images', NAME).getByRole('button', { name: /^Run…/ }).click();
}
const last = (page: Page) => log(page).getByRole('article').last();

test('an image is imported, and every event can be gone through', async ({ page }) => {
  await open(page);
  const known = await digests(page);
  await page.getByRole('tab', { name: 'Machine' }).click();
  await expect(page.getByText('This is a machine with a containerd on it')).toBeVisible();
  await page.getByRole('tab', { name: 'Stack' }).click();
  await page.getByRole('button', { name: 'Import into containerd' }).click();
  await expect(item(page, 'Images', NAME)).toContainText('linux/amd64');
  for (const card of ['manifest', 'config', 'blob:1', 'blob:2'])
    await expect(item(page, 'Content store', known[card]!)).toBeVisible();
  await expect(items(page, 'Snapshots')).toHaveCount(2);
  // The ChainID of the lowest layer is its DiffID.
  await expect(item(page, 'Snapshots', known['diff:1']!)).toContainText('committed');

  // What was done has its chapters, and each event its reason.
  const chapters = page.getByRole('list', { name: 'Events: chapters' });
  await expect(chapters.getByRole('listitem')).toHaveText(
    'lease blobs name lease prepare apply commit prepare apply commit lease'.split(' '),
  );
  await chapters.getByRole('button', { name: 'apply' }).last().click();
  await expect(page.locator('.happened')).toContainText('A whiteout becomes a character device 0:0');
  await expect(page.getByRole('list', { name: 'Changes' })).toContainText('/data/config.txt');
  await expect(chapters.locator('[aria-current]')).toHaveText('apply');
  await item(page, 'Snapshots', known['diff:1']!).getByRole('link', { name: 'A, the layer' }).click();
  await expect(page).toHaveURL(/#files/);
  await page.goBack();

  await player(page).getByRole('button', { name: 'To the beginning' }).click();
  await expect(page.getByText('A fresh containerd')).toBeVisible();
  await expect(items(page, 'Content store')).toHaveCount(0);
  const happened = page.locator('.happened');
  await expect(async () => {
    await player(page).getByRole('button', { name: 'A step on' }).click();
    await expect(happened).toContainText('content.ingested', { timeout: 300 });
  }).toPass();
  await expect(items(page, 'Content store')).toHaveCount(1);
  await expect(items(page, 'Content store')).toHaveClass(/new/);
  await expect(page.getByRole('list', { name: 'Changes' })).toContainText('/blobs/sha256/');
  await page.keyboard.press(',');
  await expect(items(page, 'Content store')).toHaveCount(0);
  await page.keyboard.press('.');
  await expect(items(page, 'Content store')).toHaveCount(1);

  // Its last event is that of the import.
  await handle(page).focus();
  await page.keyboard.press('End');
  await expect(items(page, 'Snapshots')).toHaveCount(2);
  // A digest leads to what it names.
  await item(page, 'Content store', known['config']!).getByRole('button').first().click();
  await expect(page).toHaveURL(/#documents/);
  await page.goBack();
  await expect(items(page, 'Snapshots')).toHaveCount(2);
});

test('events play, pause, and stop at the end', async ({ page }) => {
  await imported(page);
  // The button that was pressed is gone; the keys go on at the player.
  await expect(player(page).getByRole('button', { name: 'Play' })).toBeFocused();
  await player(page).getByRole('combobox', { name: 'Speed' }).selectOption('4×');
  await player(page).getByRole('button', { name: 'To the beginning' }).click();
  await page.keyboard.press('p');
  await expect(player(page).getByRole('button', { name: 'Pause' })).toBeVisible();
  await expect(handle(page)).toHaveAttribute('aria-valuetext', /^after ([3-9]|\d\d) of/);
  await player(page).getByRole('button', { name: 'Pause' }).click();
  await expect(player(page).getByRole('button', { name: 'Play' })).toBeVisible();
  const end = Number(await handle(page).getAttribute('max'));
  await handle(page).fill(String(end - 1));
  await player(page).getByRole('button', { name: 'Play' }).click();
  await expect(handle(page)).toHaveAttribute('aria-valuetext', new RegExp(`^after ${end} of`));
  await expect(player(page).getByRole('button', { name: 'Play' })).toBeVisible();
});

test('the prompt has ctr and the disk; what a line does is an event', async ({ page }) => {
  await open(page);
  await page.keyboard.press('m');
  // Nothing is there yet: the article's line brings it.
  await page.getByRole('button', { name: 'ctr images import handroll.tar' }).click();
  await expect(last(page)).toContainText(`unpacking ${NAME} (sha256:`);
  await expect(items(page, 'Snapshots')).toHaveCount(2);
  await page.getByRole('button', { name: 'ctr images ls' }).click();
  await expect(last(page)).toContainText(/REF\s+TYPE\s+DIGEST\s+SIZE\s+PLATFORMS\s+LABELS/);
  await expect(last(page)).toContainText(NAME);
  await run(page, `cat ${SNAPSHOTS}/1/fs/hello.txt ${SNAPSHOTS}/2/fs/hello.txt`);
  await expect(last(page)).toContainText('hello from base\nhello from delta');
  await run(page, 'ctr images tag nothing:1 other:1');
  await expect(last(page)).toContainText('exit 1');
  await run(page, `ctr images tag ${NAME} example.org/again:1`);
  await expect(item(page, 'Images', 'example.org/again:1')).toBeVisible();
  await handle(page).fill('1');
  await expect(items(page, 'Images')).toHaveCount(0);
  await last(page)
    .getByRole('button', { name: /^\d+ events?$/ })
    .click();
  await expect(page.locator('.happened')).toContainText(`ctr images tag ${NAME}`);
  await player(page).getByRole('button', { name: 'A step on' }).click();
  await expect(page.locator('.happened')).toContainText('image.created');
  await expect(item(page, 'Images', 'example.org/again:1')).toHaveClass(/new/);
  await prompt(page).press('ArrowUp');
  await expect(prompt(page)).toHaveValue(`ctr images tag ${NAME} example.org/again:1`);
  await prompt(page).fill('cat /var/lib/conta');
  await prompt(page).press('Tab');
  await expect(prompt(page)).toHaveValue('cat /var/lib/containerd/');
  await run(page, `ctr run -d ${NAME} mine`);
  await expect(item(page, 'Containers of the machine', 'mine')).toContainText('running');
  await expect(page.getByRole('link', { name: /mine/ })).toBeVisible();
});

test('the article’s loop is pasted as it stands', async ({ page }) => {
  await imported(page);
  const pasted = `SNAPSHOTS_ROOT="${SNAPSHOTS}"
# inspect each snapshot's contents
for snap in $(sudo ls "$SNAPSHOTS_ROOT"); do
  echo "--- snapshot $snap ---"
  sudo ls "$SNAPSHOTS_ROOT/$snap/fs/"
  if sudo test -f "$SNAPSHOTS_ROOT/$snap/fs/hello.txt"; then
    echo "hello.txt = $(sudo cat "$SNAPSHOTS_ROOT/$snap/fs/hello.txt")"
  fi
done`;
  await run(page, pasted);
  await expect(last(page)).toContainText('--- snapshot 2 ---');
  // The lines themselves fill the log.
  await expect(last(page).locator('pre')).toBeInViewport();
  await expect(last(page)).toContainText('hello.txt = hello from base');
  await expect(last(page)).toContainText('hello.txt = hello from delta');
  await expect(prompt(page)).toHaveValue('');
  // All of it comes back, and its lines are gone through before the ones that were typed earlier.
  await prompt(page).press('ArrowUp');
  await expect(prompt(page)).toHaveValue(pasted);
  await prompt(page).press('ArrowUp');
  await expect(prompt(page)).toHaveValue(pasted);
  await prompt(page).press('Escape');
  await expect(prompt(page)).toHaveValue('');
  await prompt(page).pressSequentially('for x in 1 2; do');
  await prompt(page).press('Shift+Enter');
  await prompt(page).pressSequentially('echo "<$x>"; done | grep 2');
  await prompt(page).press('Enter');
  await expect(last(page)).toContainText('<2>');
  await run(page, `ctr run --rm ${NAME} once cat /proc/1/mountinfo | grep overlay`);
  await expect(last(page)).toContainText(`/ / rw,relatime - overlay overlay rw,lowerdir=${SNAPSHOTS}/2/fs:`);
});

test('a program runs at the prompt as in containerd, and is gone with --rm', async ({ page }) => {
  await imported(page);
  await page.getByRole('button', { name: 'ctr run --rm …/handroll:latest once ls /' }).click();
  await expect(last(page)).toContainText('no code of an image is executed here');
  await expect(last(page)).toContainText('bin\ndata\ndev\nhello.txt\nproc\nrun\nsys');
  await run(page, `ctr run --rm ${NAME} once cat /hello.txt /nope`);
  await expect(last(page)).toContainText('hello from delta\nerror: cat: /nope: No such file or directory');
  await expect(last(page)).not.toContainText('no code of an image');
  await expect(last(page)).toContainText('exit 1');
  // The sample has no shell, and the runtime says so.
  await run(page, `ctr run --rm ${NAME} once /bin/sh -c 'ls /'`);
  await expect(last(page)).toContainText('exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown');
  await expect(items(page, 'Containers of the machine')).toHaveCount(0);
  await last(page)
    .getByRole('button', { name: /^\d+ events$/ })
    .click();
  await expect(player(page)).toBeVisible();
  await expect(page.locator('.happened')).toContainText('ctr run --rm');
});

test('a container is run by a form: its name, its command, what becomes of it', async ({ page }) => {
  await imported(page);
  await openRunForm(page);
  const form = runForm(page);
  await expect(form.getByRole('textbox', { name: 'Name' })).toHaveValue('demo');
  await form.getByRole('textbox', { name: 'Name' }).fill('my own');
  await form.getByRole('textbox', { name: 'Command' }).fill('ls /data /hello.txt');
  await form.getByRole('checkbox', { name: 'work in it by hand' }).uncheck();
  await form.getByRole('checkbox', { name: 'remove it when it ends' }).check();
  await expect(form).toContainText(`ctr run --rm ${NAME} 'my own' ls /data /hello.txt`);
  await form.getByRole('textbox', { name: 'Name' }).press('Enter');
  await expect(form.getByRole('status')).toContainText('identifier "my own" must match');
  await expect(form.getByRole('status')).toContainText('exit 1');
  await form.getByRole('textbox', { name: 'Name' }).fill('mine');
  await form.getByRole('textbox', { name: 'Command' }).press('Enter');
  await expect(form.getByRole('status')).toContainText('/hello.txt\n\n/data:');
  await expect(form.getByRole('status')).toContainText('exit 0');
  await expect(items(page, 'Containers of the machine')).toHaveCount(0);
  await form.getByRole('textbox', { name: 'Command' }).fill('');
  await form.getByRole('checkbox', { name: 'remove it when it ends' }).uncheck();
  await form.getByRole('button', { name: 'Run' }).click();
  // What the image says: its program shows what each layer brings.
  await expect(form.getByRole('status')).toContainText('hello from delta\n/data:\n  (empty)');
  await expect(item(page, 'Containers of the machine', 'demo')).toContainText('created');
  await expect(form.getByRole('textbox', { name: 'Name' })).toHaveValue('demo-2');
  await noBarriers(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await form.scrollIntoViewIfNeeded();
  await fits(page);
});

test('two images on one base: who stands on whose shoulders', async ({ page }) => {
  await open(page);
  const top = (text: string) => [{ name: 'top', data: text }];
  const images = ['one', 'two'].map((name) => ({
    name: `docker.io/library/${name}:1`,
    layers: [LAYERS[0]!, top(name)],
  }));
  await openArchive(page, 'pair.tar', ociArchive(images));
  await page.getByRole('tab', { name: 'Machine' }).click();
  await page.getByRole('combobox', { name: 'Image' }).selectOption({ label: 'one:1, linux/amd64' });
  await page.getByRole('button', { name: 'Import', exact: true }).click();
  await expect(items(page, 'Images')).toHaveCount(2);
  await expect(items(page, 'Snapshots')).toHaveCount(3);
  await page.getByRole('button', { name: 'Who shares' }).click();
  await expect(page).toHaveURL(/of=sharing/);
  const ground = page.getByRole('region', { name: 'Snapshots on each other' });
  await expect(ground.locator('.shared')).toHaveCount(1);
  await expect(ground.locator('.shared')).toContainText('carries 2 images');
  await expect(ground.locator('.shared')).toHaveAttribute('data-number', '1');
  await expect(ground.locator('.flag')).toHaveText(['one:1', 'two:1']);
  await expect(page.getByRole('status').filter({ hasText: 'Sharing saves' })).toContainText(/[1-9]/);
  await noBarriers(page);
  await page.goBack();
  await expect(items(page, 'Snapshots')).toHaveCount(3);
});

test('garbage is shown before it is collected, with the reason', async ({ page }) => {
  await imported(page);
  const before = await items(page, 'Content store').count();
  await item(page, 'Images', NAME).getByRole('button', { name: 'Remove' }).click();
  await expect(items(page, 'Images')).toHaveCount(0);
  // The name is gone, and nothing else.
  await expect(items(page, 'Content store')).toHaveCount(before);
  const collect = page.getByRole('button', { name: /^Collect garbage/ });
  await collect.click();
  const dialog = page.getByRole('dialog');
  const goes = dialog.getByRole('region', { name: 'What goes' }).getByRole('listitem');
  await expect(goes).toHaveCount(before + 2);
  await noBarriers(page);
  await dialog.getByRole('button', { name: 'Collect it' }).click();
  await expect(items(page, 'Content store')).toHaveCount(0);
  await expect(items(page, 'Snapshots')).toHaveCount(0);
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(items(page, 'Images')).toHaveCount(1);
  // Of what was imported only the index is named by nobody; the rest is kept, with the reason.
  await collect.click();
  await expect(goes).toHaveCount(1);
  await expect(dialog.getByRole('region', { name: 'What stays' })).toContainText(
    `The image ${NAME} names it`,
  );
  await dialog.getByRole('button', { name: 'Collect it' }).click();
  await expect(items(page, 'Content store')).toHaveCount(before - 1);
  await collect.click();
  await expect(dialog).toContainText('Nothing: everything is reached from a root');
  await expect(dialog.getByRole('button', { name: 'Collect it' })).toBeDisabled();
});

test('a container runs: the start by runc, the shell in it, its end', async ({ page }) => {
  await imported(page);
  await openRunForm(page);
  await runForm(page).getByRole('button', { name: 'Run' }).click();
  const start = page.getByRole('group', { name: 'The start of demo' });
  await start.getByRole('button', { name: 'To the end' }).click();
  // It ends with the process, and with it the namespaces.
  await expect(page.getByRole('region', { name: 'Namespaces' })).toContainText('those of the machine');
  await expect(async () => {
    await start.getByRole('button', { name: 'A step back' }).click();
    await expect(page.getByText('the container’s root alone')).toBeVisible({ timeout: 300 });
  }).toPass();
  await expect(page.getByRole('region', { name: 'Mounts' })).toContainText('/proc proc');
  await expect(page.getByRole('region', { name: 'In the upperdir' })).toContainText('/proc');
  await expect(page.getByRole('region', { name: 'Namespaces' })).toContainText('mount');
  await noBarriers(page);
  await page.getByRole('button', { name: 'Work in it' }).click();
  const line = page.getByRole('textbox', { name: 'Command, in the directory' });
  await expect(line).toBeFocused();
  await line.fill('cat /hello.txt; touch /written');
  await line.press('Enter');
  await expect(page.getByRole('log')).toContainText('hello from delta');
  await page.keyboard.press('Escape');
  await page.getByRole('tab', { name: 'Machine' }).click();
  await expect(item(page, 'Containers of the machine', 'demo')).toContainText('running');
  await item(page, 'Containers of the machine', 'demo').getByRole('button', { name: 'Remove' }).click();
  await expect(items(page, 'Containers of the machine')).toHaveCount(0);
});

test('whoever hears it, in both themes, and on a phone', async ({ page }) => {
  await imported(page);
  await noBarriers(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.reload();
  await page.getByRole('button', { name: 'Import handroll:latest' }).click();
  await expect(handle(page)).toBeVisible();
  // The prompt is folded where there is no room for it.
  await expect(prompt(page)).toHaveCount(0);
  await page.getByRole('button', { name: /Prompt/ }).click();
  await expect(prompt(page)).toBeVisible();
  await fits(page);
  await noBarriers(page);
});
