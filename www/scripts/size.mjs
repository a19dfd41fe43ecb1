/** The budget of the first load, gzipped: fails when a kind of file is over it. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

// `wasm` is the lean core, `whole core` the one that takes over; ARCHITECTURE.md ("Size") has the figures.
const BUDGET = { 'HTML and CSS': 20_000, JS: 60_000, wasm: 230_000, 'whole core': 790_000 };
const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const assets = readdirSync(join(dist, 'assets'));
const gzipped = (file) => gzipSync(readFileSync(join(dist, file)), { level: 9 }).length;

// First load is what index.html names, the worker, and the lean core. The rest is fetched when it is used, or when
// the page has come to rest.
const html = readFileSync(join(dist, 'index.html'), 'utf8');
const first = assets.filter(
  (name) => html.includes(name) || /^worker-.*\.js$/.test(name) || /^lean_bg-.*\.wasm$/.test(name),
);
const later = assets.filter((name) => !first.includes(name));
const ending = (names, end) => names.filter((name) => name.endsWith(end)).map((name) => `assets/${name}`);

const kinds = {
  'HTML and CSS': ['index.html', ...ending(first, '.css')],
  JS: ending(first, '.js'),
  wasm: ending(first, '.wasm'),
  'whole core': ending(later, '.wasm'),
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
const rest = later.filter((name) => !name.endsWith('.wasm')).map((name) => `assets/${name}`);
console.log(
  `later         ${(rest.reduce((sum, file) => sum + gzipped(file), 0) / 1000).toFixed(1).padStart(7)} kB in ${rest.length} files`,
);
process.exitCode = over ? 1 : 0;
