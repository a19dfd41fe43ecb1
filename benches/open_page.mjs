#!/usr/bin/env node
/**
 * What the page takes to open large archives, in a headless Chromium.
 *
 *   cargo xtask build && benches/image.py large.tar && gzip -kn large.tar && benches/open_page.mjs large.tar large.tar.gz
 *
 * Each file is opened three times, each time by a new browser. Prints the least seconds until there are rows in the
 * tree of the first layer and until all layers are read and their digests known; and the most memory that the core
 * took, and the tab's process, of which the browser's own share is what it had before.
 */
import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '../www/scripts/static-server.mjs';

const { chromium } = createRequire(new URL('../www/package.json', import.meta.url))('@playwright/test');
const RUNS = 3;
const TIMEOUT = 120_000;

/** The most memory that a renderer process had so far, in MiB. */
async function peak(devtools) {
  const { processInfo } = await devtools.send('SystemInfo.getProcessInfo');
  const peaks = processInfo
    .filter(({ type }) => type === 'renderer')
    .map(({ id }) => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))[1]) / 1024);
  return Math.max(...peaks);
}

async function opened(url, file) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  });
  try {
    const devtools = await browser.newBrowserCDPSession();
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    page.setDefaultTimeout(TIMEOUT);
    await page.goto(`${url}#files`);
    const settled = page.locator('section[aria-label="Digests"][data-state="settled"]');
    await settled.waitFor();
    const before = await peak(devtools);
    const input = page.getByLabel('Image file');
    const start = performance.now();
    await input.setInputFiles(file);
    await page.locator('[role="treeitem"][data-path^="/usr"]').first().waitFor();
    const tree = (performance.now() - start) / 1000;
    await page.locator('progress').first().waitFor({ state: 'detached' });
    await settled.waitFor();
    const all = (performance.now() - start) / 1000;
    const core = (await page.workers()[0].evaluate('coreMemory()')) / 2 ** 20;
    return { tree, all, core, before, tab: await peak(devtools) };
  } finally {
    await browser.close();
  }
}

const server = await serve(fileURLToPath(new URL('../www/dist', import.meta.url)));
try {
  for (const file of process.argv.slice(2)) {
    const runs = [];
    for (let run = 0; run < RUNS; run++) runs.push(await opened(server.url, file));
    const of = (name, choose, digits) => choose(...runs.map((run) => run[name])).toFixed(digits);
    console.log(
      `${basename(file)}, ${(statSync(file).size / 1e6).toFixed()} MB: first tree ${of('tree', Math.min, 1)} s, ` +
        `all ${of('all', Math.min, 1)} s, core ${of('core', Math.max, 0)} MiB, ` +
        `tab ${of('tab', Math.max, 0)} MiB, before ${of('before', Math.min, 0)} MiB`,
    );
  }
} finally {
  server.close();
}
