/** What the page and the worker post to each other. The worker adds nothing to the core but the loop. */
import type {
  Answers,
  ArchiveFiles,
  ArchiveView,
  ContentRef,
  CoreError,
  Export,
  ImageId,
  Operation,
  Overview,
  Path,
  Query,
  SourceId,
  Action,
} from './protocol';

/** Everything that is needed to make a session again in a new worker. */
export interface Replay {
  sources: [SourceId, File][];
  done: Operation[];
  /** Undone operations, the next to be redone first. */
  undone: Operation[];
}

export type Call =
  | { kind: 'apply'; operation: Operation }
  | { kind: 'undo' }
  | { kind: 'redo' }
  | { kind: 'query'; query: Query }
  | { kind: 'set_open'; image: ImageId; path: Path; open: boolean }
  | { kind: 'show_step'; container: ImageId; step: number }
  | { kind: 'show_event'; number: number }
  | { kind: 'open_source'; id: SourceId; file: File }
  | { kind: 'content'; layer: number; path: Path; offset: number; length: number }
  | { kind: 'export'; what: Export }
  | { kind: 'sample'; image: ImageId; firstLayer: number; architecture: string }
  | { kind: 'switch_platform'; image: ImageId; os: string; architecture: string; variant: string | null }
  /** A slice of the reading that `add_layer_tar` needs; null drops it. */
  | { kind: 'read_ahead'; content: ContentRef | null }
  /** A slice of the reading that `open_archive` needs; null drops it. */
  | { kind: 'open_ahead'; from: ArchiveFiles | null }
  | { kind: 'tar_bytes'; layer: number; offset: number; length: number }
  | { kind: 'load_recipe'; source: SourceId }
  | { kind: 'replay'; replay: Replay }
  /** Only for the test of the crash dialog: makes the core panic. */
  | { kind: 'provoke-panic' };

export interface Results {
  apply: void;
  undo: boolean;
  redo: boolean;
  query: Answers[keyof Answers];
  set_open: void;
  show_step: void;
  show_event: void;
  open_source: void;
  content: Uint8Array;
  export: Blob;
  sample: Action;
  switch_platform: Action;
  read_ahead: { done: number; total: number } | null;
  /** How far it is, and at the end what it was found to be. */
  open_ahead:
    | { done: number; total: number; stage?: 'unpacking' | 'indexing' }
    | { format: ArchiveView['format'] }
    | null;
  tar_bytes: Uint8Array;
  load_recipe: Operation[];
  replay: void;
  'provoke-panic': void;
}

export type ToWorker = { id: number; call: Call };

export type ScratchKind = 'opfs' | 'memory';

export type FromWorker =
  /** `scratch`: where the core keeps what it has no memory for, a private file or memory all the same. */
  | { type: 'ready'; scratch: ScratchKind }
  | { type: 'reply'; id: number; ok: true; value: unknown }
  | { type: 'reply'; id: number; ok: false; error: CoreError }
  /** `again`: told by the core that has just taken over, of the same state. */
  | { type: 'overview'; overview: Overview; again: boolean }
  /** The core is gone; `id` is the call that it died in, null when it died in a step. */
  | { type: 'panic'; id: number | null; message: string };
