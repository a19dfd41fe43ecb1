/**
 * Makes an image in the built page as a person would, in a real Chromium, and saves the download:
 *
 *   node scripts/download-sample.mjs OUT.tar [--busybox PATH] [--recipe RECIPE.tar]
 *
 * Without --busybox: edits /hello.txt in delta, makes /data/extra.txt in base, marks it as deleted in delta.
 * With it: puts that program into base as /bin/busybox, with sh, ls and cat as links to it, and sets Cmd to /bin/sh.
 * With --recipe: saves the recipe of all that too.
 * Prints, as JSON, what the page showed of the image that it saved.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from '@playwright/test';
import { serve } from './static-server.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { busybox: { type: 'string' }, recipe: { type: 'string' } },
});
const [out] = positionals;
const { busybox, recipe } = values;
if (!out) {
  console.error('usage: node scripts/download-sample.mjs OUT.tar [--busybox PATH] [--recipe RECIPE.tar]');
  process.exit(2);
}

const TEXT = 'hello from a browser tab\n';
const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const server = await serve(dist);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
  ],
});

try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(30_000);
  await page.goto(`${server.url}#files?layer=2&path=/hello.txt`);
  await settled(page);
  if (busybox) await putBusybox(page);
  else await editSample(page);
  await settled(page);
  const shown = await digests(page);
  if (recipe) {
    await page.getByRole('button', { name: 'Recipe', exact: true }).click();
    await saving(page, recipe, () => page.getByRole('menuitem', { name: 'Save recipe' }).click());
  }
  await page.getByRole('button', { name: 'Download image' }).click();
  const save = page.getByRole('dialog').getByRole('button', { name: /\.tar · / });
  await saving(page, out, () => save.click());
  console.log(JSON.stringify({ ...shown, file: out, hello: busybox ? 'hello from delta\n' : TEXT }, null, 2));
} finally {
  await browser.close();
  server.close();
}

async function editSample(page) {
  await changing(page, () => page.getByRole('textbox', { name: 'Contents of /hello.txt' }).fill(TEXT));
  await choose(page, 'base');
  await changing(page, () => make(page, 'File', '/data/extra.txt'));
  await choose(page, 'delta');
  await changing(page, () => make(page, 'Whiteout', '/data/extra.txt'));
}

async function putBusybox(page) {
  await choose(page, 'base');
  await row(page, '/bin').click();
  await page.getByText('base /bin', { exact: false }).waitFor();
  const picker = page
    .getByRole('region', { name: /^Files of layer A/ })
    .locator('input[type=file]')
    .first();
  await changing(page, () => picker.setInputFiles(busybox));
  await row(page, '/bin/busybox').waitFor();
  await changing(page, () => make(page, 'Symlink', '/bin/sh', 'busybox'));
  // These two are links to the sample's program.
  for (const name of ['ls', 'cat']) {
    await row(page, `/bin/${name}`).click();
    const target = page.getByLabel('Target');
    // Not yet the link that was looked at before.
    while ((await target.inputValue()) !== 'show') await page.waitForTimeout(20);
    await target.fill('busybox');
    await changing(page, () => target.press('Enter'));
  }
  await page.getByLabel('Cmd').fill('/bin/sh');
  await changing(page, () => page.keyboard.press('Enter'));
}

function row(page, path) {
  return page.locator(`[role="treeitem"][data-path="${path}"]`);
}

async function choose(page, name) {
  await page
    .getByRole('group', { name: new RegExp(`^Layer [A-Z]+, ${name}$`) })
    .getByRole('button')
    .first()
    .click();
  await page.getByRole('tree', { name: new RegExp(`, ${name}$`) }).waitFor();
}

async function make(page, kind, path, target) {
  await page.getByRole('button', { name: 'New…' }).click();
  await page.getByRole('menuitem', { name: kind, exact: kind !== 'Whiteout' }).click();
  const form = page.getByRole('form');
  await form.getByRole('textbox').first().fill(path);
  if (target) await form.getByLabel('points to').fill(target);
  await form.getByRole('button', { name: /Make|Mark/ }).click();
  await form.waitFor({ state: 'detached' });
}

/** Does it, and waits until the digests of the result are there. */
async function changing(page, act) {
  const before = await page.locator('[data-card="index"] [data-digest]').getAttribute('data-digest');
  await act();
  await page.waitForFunction(
    (old) => {
      const now = document.querySelector('[data-card="index"] [data-digest]')?.getAttribute('data-digest');
      return now && now !== old;
    },
    before,
    { timeout: 120_000 },
  );
  await settled(page);
}

/** Does it, and saves the download that comes of it. */
async function saving(page, file, act) {
  const [download] = await Promise.all([page.waitForEvent('download'), act()]);
  await download.saveAs(file);
}

async function settled(page) {
  await page.locator('[data-state="settled"]').waitFor({ timeout: 120_000 });
}

async function digests(page) {
  const card = (id) => page.locator(`[data-card="${id}"] [data-digest]`).getAttribute('data-digest');
  const ids = await page
    .locator('[data-card^="diff:"]')
    .evaluateAll((cards) => cards.map((one) => one.dataset.card.slice('diff:'.length)));
  const layers = [];
  for (const id of ids) layers.push({ diff_id: await card(`diff:${id}`), digest: await card(`blob:${id}`) });
  return {
    config: await card('config'),
    manifest: await card('manifest'),
    index: await card('index'),
    layers,
  };
}
