/**
 * The worker: owns the one `Session`, answers calls in order, and between them does the core's pending
 * work in slices of about a frame, so that a call never waits longer than that.
 *
 * It starts with the lean core, which builds images. The first call that this one refuses as `needs_whole` waits
 * for the whole core; that is told all that was done, takes the lean one's place, and answers.
 */
import { later } from '../lib/later';
import { Journal } from './journal';
import * as lean from './pkg-lean/lean.js';
import type { Session } from './pkg/core.js';
import wholeGlue from './pkg/core.js?url';
import wholeWasm from './pkg/core_bg.wasm?url';
import type { Call, FromWorker, Replay, Results, ToWorker } from './messages';
import type { ArchiveFiles, ContentRef, CoreError, Export } from './protocol';
import { openScratch, scratchLimit, sweepScratch, type SyncFile } from './scratch';

const SLICE_MS = 16;
const STEP_KIB = 128;
const READ_KIB = 1024;
/** Progress is worth telling about ten times a second; what is finished is told at once. */
const PROGRESS_MS = 100;
/** What else the browser keeps may grow meanwhile. */
const MEASURE_MS = 1000;
/** Until then the page has the network. */
const REST_MS = 1500;
/** How long a core that takes over computes hashes first: those of small images are then never seen to be missing. */
const SETTLE_MS = 300;

/** What both cores are to JavaScript. */
interface Core {
  default(from?: { module_or_path: string }): Promise<{ memory: WebAssembly.Memory }>;
  Session: new () => Session;
  use_scratch(handle: SyncFile): void;
  limit_scratch(bytes: number): void;
}

const scope = self as unknown as {
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
};

let core: Core = lean;
let session: Session | null = null;
let scratch: SyncFile | null = null;
/** How many bytes it may have, and when the browser was asked for that. */
let limit = Infinity;
let measured = 0;
/** What the whole core will be told: what was done, and which directories were folded or unfolded. */
let journal: Journal | null = new Journal();
const folds = new Map<string, Extract<Call, { kind: 'set_open' }>>();
let tries = 0;
const exporting = new Set<Promise<unknown>>();
let dead = false;
let lastPanic = '';
let told = 0;
let stepping = false;
const early: ToWorker[] = [];

// The core's panic hook writes to the console; the text belongs into the dialog as well.
const consoleError = console.error.bind(console);
console.error = (...words: unknown[]) => {
  lastPanic = words.map(String).join(' ');
  consoleError(...words);
};

const tick = new MessageChannel();
tick.port1.onmessage = () => step();

function post(message: FromWorker, transfer: Transferable[] = []): void {
  scope.postMessage(message, transfer);
}

function tell(again = false): void {
  told = performance.now();
  post({ type: 'overview', overview: session!.query({ query: 'overview' }), again });
}

/** A trap is the end of this core: its memory may be in any state. */
function die(error: unknown, id: number | null): void {
  dead = true;
  post({ type: 'panic', id, message: lastPanic || String(error) });
}

function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
}

function asCoreError(error: unknown): CoreError {
  if (error && typeof error === 'object' && 'code' in error && 'message' in error) {
    return { code: String(error.code), message: String(error.message) };
  }
  return { code: 'unexpected', message: error instanceof Error ? error.message : String(error) };
}

function wake(): void {
  if (stepping || dead) return;
  stepping = true;
  tick.port2.postMessage(0);
}

/** Asks how far the scratch file may grow. */
async function measure(): Promise<void> {
  if (!scratch) return;
  measured = performance.now();
  try {
    limit = await scratchLimit(scratch);
    if (session) core.limit_scratch(limit);
  } catch {
    // What was known stands; a browser that says nothing refuses writes itself.
  }
}

/** While the core works, now and then. */
function measureAgain(): void {
  if (performance.now() - measured > MEASURE_MS) void measure();
}

function step(): void {
  stepping = false;
  if (dead || !session) return;
  measureAgain();
  try {
    const until = performance.now() + SLICE_MS;
    let left = true;
    while (left && performance.now() < until) left = session.step(STEP_KIB);
    if (!left || performance.now() - told > PROGRESS_MS) tell();
    if (left) wake();
  } catch (error) {
    die(error, null);
  }
}

function replay(what: Replay): void {
  const fresh = new core.Session();
  for (const [id, file] of what.sources) fresh.open_source(id, file);
  for (const operation of [...what.done, ...what.undone]) fresh.apply(operation);
  for (let i = 0; i < what.undone.length; i++) fresh.undo();
  // Only what could be done wholly takes the old one's place.
  session?.free();
  session = fresh;
  journal?.take(what);
}

/**
 * The whole core, fetched once; after a failure, again. An address that gave no module once gives none ever after
 * (HTML, "module map"), so every further try has its own.
 */
const fetchWhole = later(async () => {
  const address = tries++ === 0 ? wholeGlue : `${wholeGlue}?${tries}`;
  const whole = (await import(/* @vite-ignore */ address)) as Core;
  return { whole, memory: (await whole.default({ module_or_path: wholeWasm })).memory };
});

/** Puts the whole core in the lean one's place. */
const grow = later(async () => {
  const { whole, memory } = await fetchWhole().catch((error: unknown) => {
    throw {
      code: 'no_whole_core',
      message: `This takes a part of the program that could not be fetched: ${String(error)}. All that was done is kept; try again when there is a connection.`,
    };
  });
  // What is on its way out may lie in the lean core's scratch.
  while (exporting.size > 0) await Promise.allSettled(exporting);
  start(whole, memory);
  const { done, undone } = journal!.replay();
  replay(journal!.replay());
  for (const { image, path, open } of folds.values()) session!.set_open(image, path, open);
  journal = null;
  folds.clear();
  const until = performance.now() + SETTLE_MS;
  while (performance.now() < until && session!.step(STEP_KIB));
  if (done.length + undone.length > 0) tell(true);
  wake();
});

/** From now on sessions are made by this core. */
function start(fresh: Core, memory: WebAssembly.Memory): void {
  core = fresh;
  // For whoever wants to know, tests too: which core it is, and how many bytes of memory it has taken.
  Object.assign(self, {
    coreKind: fresh === lean ? 'lean' : 'whole',
    coreMemory: () => memory.buffer.byteLength,
  });
  if (scratch) core.use_scratch(scratch);
  core.limit_scratch(limit);
}

/** Notes what the whole core must be told; called for what was done. */
function note(call: Call, value: unknown): void {
  if (!journal) return;
  if (call.kind === 'apply') journal.applied(call.operation);
  else if (call.kind === 'undo' && value) journal.undid();
  else if (call.kind === 'redo' && value) journal.redid();
  else if (call.kind === 'open_source') journal.keepSource(call.id, call.file);
  else if (call.kind === 'set_open') folds.set(`${call.image}:${call.path}`, call);
}

/** Reads a tar for one slice, so that other calls come in between. */
function readAhead(core: Session, content: ContentRef | null) {
  if (!content) return core.drop_read_ahead() ?? null;
  const until = performance.now() + SLICE_MS;
  let left;
  do left = core.read_ahead(content, READ_KIB);
  while (left && performance.now() < until);
  return left;
}

/** Looks into an archive for one slice. */
function openAhead(core: Session, from: ArchiveFiles | null): Results['open_ahead'] {
  if (!from) return core.drop_read_ahead() ?? null;
  const until = performance.now() + SLICE_MS;
  let left: Results['open_ahead'];
  do left = core.open_ahead(from, READ_KIB);
  while (left && 'done' in left && performance.now() < until);
  return left;
}

/** Copies what must be copied of an export, slice by slice, so that other calls come in between. */
async function exported(core: Session, what: Export): Promise<Blob> {
  const parts = core.export(what);
  let until = performance.now() + SLICE_MS;
  try {
    while (parts.step()) {
      if (performance.now() < until) continue;
      await pause();
      until = performance.now() + SLICE_MS;
    }
  } catch (error) {
    // Not whenever garbage is collected: the scratch may be another core's by then.
    parts.free();
    throw error;
  }
  return parts.blob();
}

/** Notes that it is at work, as long as it is. */
function whileExporting(blob: Promise<Blob>): Promise<Blob> {
  exporting.add(blob);
  const done = () => void exporting.delete(blob);
  blob.then(done, done);
  return blob;
}

/** Until the messages that wait have been handled. */
function pause(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

/** Does one call. True in `changed` when the overview is another now; a value may be a promise. */
function answer(call: Call): { value: unknown; changed: boolean } {
  const it = session!;
  switch (call.kind) {
    case 'apply':
      return { value: it.apply(call.operation), changed: true };
    case 'undo':
      return { value: it.undo(), changed: true };
    case 'redo':
      return { value: it.redo(), changed: true };
    case 'query':
      return { value: it.query(call.query), changed: false };
    case 'set_open':
      return { value: it.set_open(call.image, call.path, call.open), changed: false };
    case 'show_step':
      return { value: it.show_step(call.container, call.step), changed: true };
    case 'show_event':
      return { value: it.show_event(call.number), changed: true };
    case 'open_source':
      return { value: it.open_source(call.id, call.file), changed: false };
    case 'content':
      return { value: it.content(call.layer, call.path, call.offset, call.length), changed: false };
    case 'export':
      return { value: whileExporting(exported(it, call.what)), changed: false };
    case 'sample':
      return { value: it.sample(call.image, call.firstLayer, call.architecture), changed: false };
    case 'switch_platform':
      return {
        value: it.switch_platform(call.image, call.os, call.architecture, call.variant ?? undefined),
        changed: false,
      };
    case 'read_ahead':
      return { value: readAhead(it, call.content), changed: false };
    case 'open_ahead':
      return { value: openAhead(it, call.from), changed: false };
    case 'tar_bytes':
      return { value: it.tar_bytes(call.layer, call.offset, call.length), changed: false };
    case 'load_recipe':
      return { value: it.load_recipe(call.source), changed: false };
    case 'replay':
      return { value: replay(call.replay), changed: true };
    case 'provoke-panic':
      return { value: it.provoke_panic(), changed: false };
  }
}

function handle(message: ToWorker): void {
  if (dead) return;
  const { id, call } = message;
  measureAgain();
  try {
    const { value, changed } = answer(call);
    note(call, value);
    if (changed) {
      tell();
      wake();
    }
    if (value instanceof Promise)
      value.then((later) => reply(id, later)).catch((error) => refuse(message, error));
    else reply(id, value);
  } catch (error) {
    refuse(message, error);
  }
}

/** What only the whole core can do is done by that one; calls that come meanwhile do not wait for it. */
function refuse(message: ToWorker, error: unknown): void {
  if (!journal || asCoreError(error).code !== 'needs_whole') return fail(message.id, error);
  grow().then(
    () => handle(message),
    (reason: unknown) => fail(message.id, reason),
  );
}

function reply(id: number, value: unknown): void {
  post({ type: 'reply', id, ok: true, value }, value instanceof Uint8Array ? [value.buffer] : []);
}

function fail(id: number, error: unknown): void {
  if (isTrap(error)) die(error, id);
  else post({ type: 'reply', id, ok: false, error: asCoreError(error) });
}

scope.onmessage = ({ data }) => {
  if (session) handle(data);
  else early.push(data);
};

async function prepareScratch(): Promise<void> {
  scratch = await openScratch();
  await measure();
}

Promise.all([lean.default(), prepareScratch()])
  .then(([{ memory }]) => {
    start(lean, memory);
    session = new core.Session();
    post({ type: 'ready', scratch: scratch ? 'opfs' : 'memory' });
    early.splice(0).forEach(handle);
    // What cannot be deleted now can be the next time.
    if (scratch) sweepScratch().catch(() => {});
    // So that it is there when it is asked for, without a network too.
    setTimeout(() => void fetchWhole().catch(() => null), REST_MS);
  })
  .catch((error: unknown) => die(error, null));
