/**
 * The worker: owns the one `Session`, answers calls in order, and between them does the core's pending
 * work in slices of about a frame, so that a call never waits longer than that.
 */
import init, { Session, use_scratch } from './pkg/core.js';
import type { Call, FromWorker, Replay, Results, ToWorker } from './messages';
import type { ArchiveFiles, ContentRef, CoreError, Export } from './protocol';
import { openScratch, sweepScratch } from './scratch';

const SLICE_MS = 16;
const STEP_KIB = 128;
const READ_KIB = 1024;
/** Progress is worth telling about ten times a second; what is finished is told at once. */
const PROGRESS_MS = 100;

const scope = self as unknown as {
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
};

let session: Session | null = null;
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

function tell(): void {
  told = performance.now();
  post({ type: 'overview', overview: session!.query({ query: 'overview' }) });
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

function step(): void {
  stepping = false;
  if (dead || !session) return;
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
  const fresh = new Session();
  for (const [id, file] of what.sources) fresh.open_source(id, file);
  for (const operation of [...what.done, ...what.undone]) fresh.apply(operation);
  for (let i = 0; i < what.undone.length; i++) fresh.undo();
  // Only what could be done wholly takes the old one's place.
  session?.free();
  session = fresh;
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
  while (parts.step()) {
    if (performance.now() < until) continue;
    await pause();
    until = performance.now() + SLICE_MS;
  }
  return parts.blob();
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
  const core = session!;
  switch (call.kind) {
    case 'apply':
      return { value: core.apply(call.operation), changed: true };
    case 'undo':
      return { value: core.undo(), changed: true };
    case 'redo':
      return { value: core.redo(), changed: true };
    case 'query':
      return { value: core.query(call.query), changed: false };
    case 'set_open':
      return { value: core.set_open(call.image, call.path, call.open), changed: false };
    case 'show_step':
      return { value: core.show_step(call.container, call.step), changed: true };
    case 'open_source':
      return { value: core.open_source(call.id, call.file), changed: false };
    case 'content':
      return { value: core.content(call.layer, call.path, call.offset, call.length), changed: false };
    case 'export':
      return { value: exported(core, call.what), changed: false };
    case 'sample':
      return { value: core.sample(call.image, call.firstLayer, call.architecture), changed: false };
    case 'switch_platform':
      return {
        value: core.switch_platform(call.image, call.os, call.architecture, call.variant ?? undefined),
        changed: false,
      };
    case 'read_ahead':
      return { value: readAhead(core, call.content), changed: false };
    case 'open_ahead':
      return { value: openAhead(core, call.from), changed: false };
    case 'tar_bytes':
      return { value: core.tar_bytes(call.layer, call.offset, call.length), changed: false };
    case 'load_recipe':
      return { value: core.load_recipe(call.source), changed: false };
    case 'replay':
      return { value: replay(call.replay), changed: true };
    case 'provoke-panic':
      return { value: core.provoke_panic(), changed: false };
  }
}

function handle({ id, call }: ToWorker): void {
  if (dead) return;
  try {
    const { value, changed } = answer(call);
    if (changed) {
      tell();
      wake();
    }
    if (value instanceof Promise) value.then((later) => reply(id, later)).catch((error) => fail(id, error));
    else reply(id, value);
  } catch (error) {
    fail(id, error);
  }
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

Promise.all([init(), openScratch()])
  .then(([core, scratch]) => {
    // For whoever wants to know, tests too: how many bytes of memory the core has taken.
    Object.assign(self, { coreMemory: () => core.memory.buffer.byteLength });
    if (scratch) use_scratch(scratch.handle, scratch.quota);
    session = new Session();
    post({ type: 'ready', scratch: scratch ? 'opfs' : 'memory' });
    early.splice(0).forEach(handle);
    // What cannot be deleted now can be the next time.
    if (scratch) sweepScratch().catch(() => {});
  })
  .catch((error: unknown) => die(error, null));
