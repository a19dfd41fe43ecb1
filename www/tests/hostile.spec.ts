/** Nothing that a file holds can run in the page: names, JSON and text are data. */
import { expect, test, type Page } from '@playwright/test';
import { LAYERS, Layout, tarOfFiles, type Image } from './archives';
import { open, openArchive, tab } from './page';
import type { Entry } from './tar';

const SCRIPT = '<img src=x onerror=window.ran=1>';
const LINK = 'javascript:window.ran=1';
const RTL = 'invoice\u202egnp.exe';
const LONG = 'n'.repeat(250);

const HOSTILE: Entry[] = [
  { name: './', type: '5' },
  { name: `./${SCRIPT}`, data: SCRIPT },
  { name: './"><script>window.ran=1<', data: 'script' },
  { name: './{@html 1}', data: '{@html 1}' },
  { name: `./${RTL}`, data: 'mirrored' },
  { name: './link', type: '2', link: LINK },
  { name: './escape\u001b[31m\u0007', data: 'bells' },
  { name: './new\nline', data: 'two' },
  { name: Buffer.from([0x2e, 0x2f, 0xff, 0xfe, 0x80]), data: 'no text' },
  { name: `./${LONG}`, data: 'long' },
  { name: `./${`${LONG}/`.repeat(40)}deep`, data: 'ten thousand bytes of a name' },
  { name: './xattr', data: 'x', pax: { 'SCHILY.xattr.user.<b>': SCRIPT, [`APP.${SCRIPT}`]: LINK } },
  { name: './page.html', data: `<html><body onload="window.ran=1">${SCRIPT}` },
  { name: './__proto__', data: 'prototype' },
  { name: './constructor', data: 'constructor' },
];

function hostile(): Buffer {
  const layout = new Layout();
  const image: Image = {
    name: `docker.io/library/${SCRIPT}`,
    layers: [LAYERS[0]!, HOSTILE],
    history: [
      { created_by: SCRIPT, comment: SCRIPT, author: LINK, created: SCRIPT },
      { created_by: `RUN ${SCRIPT} ${RTL} \u0000 ${'h'.repeat(20_000)}` },
    ],
    config: { Cmd: [SCRIPT], Env: [`A=${SCRIPT}`], Labels: { [SCRIPT]: LINK, __proto__: 'x' }, User: RTL },
    annotations: { [SCRIPT]: SCRIPT, 'org.opencontainers.image.url': LINK, __proto__: SCRIPT },
  };
  const manifest = layout.image(image);
  manifest.urls = [LINK];
  manifest.mediaType = manifest.mediaType.toString();
  const other = layout.add(SCRIPT, Buffer.from(`{"${SCRIPT}": "${LINK}"}`), {
    annotations: { [SCRIPT]: RTL },
  });
  return tarOfFiles(layout.files([manifest, other]));
}

/** What the browser refused, and what it asked for. */
async function watch(page: Page) {
  const seen = { refused: [] as string[], foreign: [] as string[], dialogs: [] as string[] };
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/i.test(message.text())) seen.refused.push(message.text());
  });
  page.on('dialog', (dialog) => {
    seen.dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.hostname !== '127.0.0.1' && url.protocol !== 'blob:' && url.protocol !== 'data:')
      seen.foreign.push(request.url());
  });
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return seen;
}

async function nothingRan(page: Page) {
  expect(await page.evaluate(() => (window as unknown as { ran?: number }).ran)).toBe(undefined);
  // No element came out of a name: no image, no script beside the page's own, no way to javascript.
  const made = await page.evaluate(() => ({
    images: document.querySelectorAll('img, iframe, object, embed, form[action]').length,
    scripts: [...document.querySelectorAll('script')].filter((one) => !one.src.includes('/assets/')).length,
    links: [...document.querySelectorAll('a')]
      .filter((one) => !/^(#|https:\/\/github\.com\/opencontainers\/)/.test(one.getAttribute('href') ?? '#'))
      .map((one) => one.outerHTML),
    handlers: [...document.querySelectorAll('*')].filter((one) =>
      [...one.attributes].some((at) => at.name.startsWith('on')),
    ).length,
  }));
  expect(made).toEqual({ images: 0, scripts: 0, links: [], handlers: 0 });
}

test('names, contents and documents that want to run do not', async ({ page }) => {
  const seen = await watch(page);
  await open(page);
  await openArchive(page, `${SCRIPT}.tar`, hostile());
  for (const name of ['Stack', 'Files', 'Merged', 'Documents', 'History', 'Bytes', 'Check', 'Changes']) {
    await tab(page, name);
    await page.waitForTimeout(250);
    await nothingRan(page);
  }
  await tab(page, 'Files');
  const rows = page.getByRole('treeitem');
  const count = await rows.count();
  expect(count).toBeGreaterThan(10);
  for (let i = 0; i < count; i++) {
    await rows.nth(i).click();
    await page.waitForTimeout(60);
  }
  await nothingRan(page);
  // What turns the writing round is spelled out.
  await expect(page.getByRole('tree')).toContainText('invoice\\u{202e}gnp.exe');
  await expect(page.getByRole('tree')).not.toContainText('\u202e');

  await tab(page, 'Documents');
  for (const link of await page
    .getByRole('navigation', { name: 'Documents and blobs' })
    .getByRole('link')
    .all()) {
    await link.click();
    await page.waitForTimeout(80);
    const more = page.getByRole('button', { name: /names? (and|or) annotations?$/ });
    if (await more.isVisible()) await more.click();
  }
  await nothingRan(page);
  await tab(page, 'History');
  for (const summary of await page.getByText('as it stands').all()) await summary.click();
  await tab(page, 'Bytes');
  await page.getByRole('listbox').focus();
  for (let i = 0; i < 16; i++) await page.keyboard.press('ArrowDown');
  await page.getByRole('button', { name: 'Download image' }).click();
  await page.getByRole('button', { name: 'Close' }).last().click();
  await nothingRan(page);
  expect(seen).toEqual({ refused: [], foreign: [], dialogs: [] });
  expect(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)).toBe(false);
});

test('documents that are none', async ({ page }) => {
  const seen = await watch(page);
  await open(page);
  const layout = new Layout();
  const manifest = layout.image({ layers: [LAYERS[0]!] });
  const config = [...layout.blobs].find(([, bytes]) => bytes.includes('"rootfs"'))!;
  layout.blobs.set(config[0], Buffer.from(`{"rootfs": ${'['.repeat(20_000)}`));
  const files = layout.files([manifest]);
  files.set('manifest.json', Buffer.from([0xff, 0x00, 0x7b]));
  await openArchive(page, 'none.tar', tarOfFiles(files));
  await tab(page, 'Documents');
  const nodes = page.getByRole('navigation', { name: 'Documents and blobs' }).getByRole('link');
  for (const node of await nodes.all()) {
    await node.click();
    for (const as of ['as it stands', 'bytes', 'laid out']) {
      const button = page.getByRole('button', { name: as, exact: true });
      if (await button.isVisible()) await button.click();
    }
  }
  for (const name of ['History', 'Bytes', 'Check', 'Changes', 'Merged']) await tab(page, name);
  await nothingRan(page);
  expect(seen).toEqual({ refused: [], foreign: [], dialogs: [] });
});
