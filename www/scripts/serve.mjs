/** `node scripts/serve.mjs [PORT]`: the built page on loopback, until it is stopped. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from './static-server.mjs';

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');
const { url } = await serve(dist, Number(process.argv[2] ?? 0));
console.log(url);
