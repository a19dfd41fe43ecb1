/** The budget of the first load, gzipped: fails when a kind of file is over it. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

// wasm: 350 kB was meant, for a core that builds images. With the reader of everyone's images, zstd, four runtimes
// the checks, the simulated mount and its shell it takes this much; ARCHITECTURE.md ("Size") has the figures and what could be done.
const BUDGET = { 'HTML and CSS': 20_000, JS: 60_000, wasm: 590_000 };
const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const assets = readdirSync(join(dist, 'assets'));
const gzipped = (file) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).length;

// First load is what index.html names, the worker, and the worker's wasm. The rest is fetched when it is used.
const html = readFileSync(join(dist, 'index.html'), 'utf8');
const first = assets.filter(
  (name) => html.includes(name) || /^worker-.*\.js$/.test(name) || name.endsWith('.wasm'),
);

const kinds = {
  'HTML and CSS': [
    'index.html',
    ...first.filter((name) => name.endsWith('.css')).map((name) => `assets/${name}`),
  ],
  JS: first.filter((name) => name.endsWith('.js')).map((name) => `assets/${name}`),
  wasm: first.filter((name) => name.endsWith('.wasm')).map((name) => `assets/${name}`),
};

let over = false;
for (const [kind, files] of Object.entries(kinds)) {
  const size = files.reduce((sum, file) => sum + gzipped(file), 0);
  const budget = BUDGET[kind];
  const missing = files.length === 0;
  over ||= size > budget || missing;
  console.log(
    `${kind.padEnd(13)} ${(size / 1000).toFixed(1).padStart(7)} kB of ${budget / 1000} kB${size > budget ? '  OVER BUDGET' : missing ? '  MISSING' : ''}`,
  );
}
const later = assets.filter((name) => !first.includes(name)).map((name) => `assets/${name}`);
console.log(
  `later         ${(later.reduce((sum, file) => sum + gzipped(file), 0) / 1000).toFixed(1).padStart(7)} kB in ${later.length} files`,
);
process.exitCode = over ? 1 : 0;
