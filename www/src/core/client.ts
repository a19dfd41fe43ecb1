/** The page's end of the worker: calls become promises, events become callbacks, a dead worker is replaced. */
import workerUrl from './worker.ts?worker&url';
import type { Call, FromWorker, Results, ScratchKind, ToWorker } from './messages';
import type { Answers, CoreError, Overview, Query } from './protocol';

export interface Panic {
  /** The call that the core died in; null when it died in background work. */
  call: Call | null;
  message: string;
}

export interface Listener {
  /** `again`: nothing has changed, but another core tells it, with a revision of its own. */
  overview(overview: Overview, again: boolean): void;
  panic(panic: Panic): void;
}

/** What a refused call rejects with. */
export class Refused extends Error {
  constructor(readonly error: CoreError) {
    super(error.message);
  }
}

interface Waiting {
  call: Call;
  resolve(value: unknown): void;
  reject(error: Refused): void;
}

/** Under trusted types a worker's address must come from a policy; this one knows a single address. */
function workerAddress(): string {
  const factory = (globalThis as { trustedTypes?: { createPolicy(name: string, rules: object): unknown } })
    .trustedTypes;
  if (!factory) return workerUrl;
  policy ??= factory.createPolicy('core-worker', { createScriptURL: () => workerUrl }) as typeof policy;
  return policy!.createScriptURL('') as string;
}
let policy: { createScriptURL(url: string): unknown } | null = null;

export class Client {
  /** Where the core keeps what it has no memory for; null until it is there. */
  scratch: ScratchKind | null = null;
  #worker: Worker | null = null;
  #waiting = new Map<number, Waiting>();
  #next = 1;

  constructor(private readonly listener: Listener) {
    this.start();
  }

  /** Ends the worker that there is and starts a new one with an empty session. */
  start(): void {
    this.#worker?.terminate();
    const lost: CoreError = { code: 'restarted', message: 'The core was restarted before it could answer.' };
    for (const waiting of this.#waiting.values()) waiting.reject(new Refused(lost));
    this.#waiting.clear();
    const worker = new Worker(workerAddress(), { type: 'module', name: 'core' });
    worker.onmessage = (event: MessageEvent<FromWorker>) => this.#receive(event.data);
    worker.onerror = (event) =>
      this.listener.panic({ call: null, message: event.message || 'the worker failed' });
    this.#worker = worker;
  }

  call<K extends Call['kind']>(call: Extract<Call, { kind: K }>): Promise<Results[K]> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { call, resolve: resolve as (value: unknown) => void, reject });
      this.#worker!.postMessage({ id, call } satisfies ToWorker);
    });
  }

  query<Q extends Query['query']>(query: Extract<Query, { query: Q }>): Promise<Answers[Q]> {
    return this.call({ kind: 'query', query }) as Promise<Answers[Q]>;
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case 'ready':
        this.scratch = message.scratch;
        return;
      case 'overview':
        return this.listener.overview(message.overview, message.again);
      case 'panic': {
        const call = message.id === null ? null : (this.#waiting.get(message.id)?.call ?? null);
        return this.listener.panic({ call, message: message.message });
      }
      case 'reply': {
        const waiting = this.#waiting.get(message.id);
        this.#waiting.delete(message.id);
        if (message.ok) waiting?.resolve(message.value);
        else waiting?.reject(new Refused(message.error));
      }
    }
  }
}
