/**
 * What the page and the core say to each other. The core is Rust (`src/workbench/`, serde's JSON shapes);
 * this file is its mirror in TypeScript, and a test holds the two together.
 *
 * Rules: bytes that are names, targets or xattr values cross as `ByteText`; contents never cross inside an
 * operation when they are big, they are ranges of a source (a File) that was opened before.
 */

/**
 * Bytes as text, without loss: UTF-8 stands for itself, but a backslash is `\\`, and a control character or
 * a byte that is not UTF-8 is `\xNN`. What a person types passes through `byteText()` before it is sent.
 */
export type ByteText = string;
/** An absolute path in a layer: `/` is its root. Components are ByteText, joined by `/`. */
export type Path = ByteText;
/** Ids are chosen by whoever makes the operation, never reused in a session, and are not positions. */
export type ImageId = number;
export type LayerId = number;
export type SourceId = number;
/** `sha256:` and 64 hex digits. */
export type Digest = string;
export type Time = { seconds: number; nanos: number };

// ---------------------------------------------------------------- operations

/** The one way to change anything. `time` becomes the mtime of what is made or written. */
export interface Operation {
  time: Time;
  /** Who does it: owner and permissions of what is made (files 0666 & ~umask, directories 0777 & ~umask). */
  caller: { uid: number; gid: number; umask: number };
  action: Action;
}

export type ContentRef =
  | { text: string }
  | { base64: string }
  | { source: SourceId; offset: number; length: number }
  /** In recipes: a blob of the recipe file. */
  | { blob: Digest; size: number };

export interface Attributes {
  mode?: number; // 0o7777
  uid?: number;
  gid?: number;
  mtime?: Time;
}

export type Place = { layer: LayerId; path: Path };

export type NewEntry =
  | { kind: 'file'; content: ContentRef }
  | { kind: 'directory' }
  | { kind: 'symlink'; target: ByteText }
  | { kind: 'hard_link'; target: Path } // an entry of the same layer
  | { kind: 'fifo' }
  | { kind: 'char_device' | 'block_device'; major: number; minor: number };

export type Compression = 'none' | 'gz1';

export type ConfigField =
  | { field: 'cmd' | 'entrypoint'; value: string[] | null }
  | { field: 'env'; value: string[] } // KEY=VALUE
  | { field: 'working_dir' | 'user' | 'stop_signal' | 'author'; value: string | null }
  | { field: 'labels'; value: Record<string, string> }
  | { field: 'exposed_ports' | 'volumes'; value: string[] } // "80/tcp", "/data"
  | { field: 'created'; value: string | null } // RFC 3339
  | { field: 'platform'; value: { os: string; architecture: string; variant: string | null } };

export type Action =
  | { op: 'create_image'; image: ImageId; name: string }
  | { op: 'set_name'; image: ImageId; name: string }
  | { op: 'set_config'; image: ImageId; set: ConfigField }
  /** An empty layer on top, or at `position` from the bottom (0). */
  | { op: 'add_layer'; image: ImageId; layer: LayerId; name: string; position?: number }
  /** A layer from a tar (plain or gzip). Until it is edited, its bytes stay as they are. */
  | { op: 'add_layer_tar'; image: ImageId; layer: LayerId; name: string; content: ContentRef; position?: number }
  | { op: 'duplicate_layer'; layer: LayerId; copy: LayerId; name: string }
  | { op: 'remove_layer'; layer: LayerId }
  | { op: 'rename_layer'; layer: LayerId; name: string }
  | { op: 'move_layer'; layer: LayerId; position: number }
  | { op: 'set_compression'; layer: LayerId; compression: Compression }
  | { op: 'set_history'; layer: LayerId; created_by: string | null; comment: string | null }
  /** Makes an entry; missing parent directories are an error unless `parents` is true. A whiteout of that
   *  name in this layer gives way. With `replace`, an entry that is there gives way too. */
  | { op: 'make'; layer: LayerId; path: Path; entry: NewEntry; attributes?: Attributes; parents?: boolean; replace?: boolean }
  /** New bytes for a file that is there. */
  | { op: 'write'; layer: LayerId; path: Path; content: ContentRef }
  | { op: 'set_target'; layer: LayerId; path: Path; target: ByteText }
  | { op: 'delete'; layer: LayerId; path: Path }
  | { op: 'move'; from: Place; to: Place } // rename, move, also between layers
  | { op: 'copy'; from: Place; to: Place } // deep
  | { op: 'set_attributes'; layer: LayerId; path: Path; attributes: Attributes }
  | { op: 'set_xattr'; layer: LayerId; path: Path; name: ByteText; value: ByteText | null } // null removes
  /** Marks the name as deleted from the layers below. `parents` makes directories that are missing. */
  | { op: 'whiteout'; layer: LayerId; path: Path; parents?: boolean }
  | { op: 'clear_whiteout'; layer: LayerId; path: Path }
  | { op: 'set_opaque'; layer: LayerId; path: Path; opaque: boolean; parents?: boolean }
  /** Several actions, one step of undo; if one fails, none is done. */
  | { op: 'group'; label: string; actions: Action[] };

// ---------------------------------------------------------------- answers

export interface CoreError {
  /** Stable, e.g. `name_reserved`, `exists`, `not_found`, `name_too_long`. */
  code: string;
  /** One sentence that names the thing and the rule. */
  message: string;
}

/** The name an image has, taken apart by the distribution reference grammar. */
export interface Reference {
  text: string; // as typed
  registry: string; // docker.io
  repository: string; // library/handroll
  tag: string; // latest
  canonical: string; // docker.io/library/handroll:latest
  familiar: string; // handroll:latest
}

export type BlobState =
  | { state: 'stale' }
  | { state: 'working'; done: number; total: number } // bytes of the tar, total is an estimate
  | { state: 'failed'; message: string }
  | {
      state: 'known';
      diff_id: Digest;
      diff_size: number; // of the uncompressed tar
      chain_id: Digest | null; // null while a layer below is not known
      digest: Digest;
      size: number; // of the blob
      media_type: string;
      /** Pieces of the canonical gzip: how many there are, how many came from the cache. */
      segments: number;
      segments_reused: number;
    };

export interface LayerView {
  id: LayerId;
  name: string;
  /** Names in the tree, whiteouts and opaque directories apart. */
  entries: number;
  whiteouts: number;
  opaques: number;
  compression: Compression;
  /** `gnu`, `pax` (a fraction of a second or an xattr makes it so), or `original`: the bytes it came with. */
  format: 'gnu' | 'pax' | 'original';
  history: { created_by: string | null; comment: string | null };
  /** Of a layer from a tar: what would be written otherwise once it is edited, a sentence each. */
  notes: string[];
  blob: BlobState;
}

export type DocumentName = 'config' | 'manifest' | 'index' | 'oci-layout' | 'manifest.json';

export interface ImageView {
  id: ImageId;
  reference: Reference;
  config: {
    cmd: string[] | null;
    entrypoint: string[] | null;
    env: string[];
    working_dir: string | null;
    user: string | null;
    stop_signal: string | null;
    author: string | null;
    created: string | null;
    labels: Record<string, string>;
    exposed_ports: string[];
    volumes: string[];
    platform: { os: string; architecture: string; variant: string | null };
  };
  layers: LayerView[]; // bottom first
  /** null while a layer that it stands on is not known. */
  documents: Record<DocumentName, { digest: Digest; size: number } | null>;
  /** Bytes of the archive, when all is known. */
  archive_size: number | null;
}

export interface Overview {
  /** Counts every apply, undo and redo. */
  revision: number;
  images: ImageView[];
  undo: string | null; // the label of what would be undone
  redo: string | null;
  /** Is there work left for `step`? */
  busy: boolean;
}

export type Kind = 'directory' | 'file' | 'symlink' | 'char_device' | 'block_device' | 'fifo';

/** What one layer says of one path. */
export interface Cell {
  /** `implied`: no entry of this layer, only a directory on the way to one (never written by handroll). */
  what: 'entry' | 'whiteout';
  kind: Kind | null; // null for a whiteout
  size: number; // bytes of a file, else 0
  mode: number;
  target: ByteText | null; // of a symlink
  opaque: boolean;
  links: number; // names of the inode in this layer
  /** Does it show in the merged view? (A directory that is merged shows.) */
  visible: boolean;
  /** The layer that hides it. */
  hidden_by: LayerId | null;
  /** Against the entry that it covers below: which of content, mode, owner, time, xattrs, target, device, kind;
   *  `content_unread` when large contents of one size were not compared. */
  changed: string[];
}

/** One path of the stack: the same row on every sheet. */
export interface Row {
  path: Path;
  name: ByteText; // the last component, `/` for the root
  depth: number; // 0 for the root's children; the root itself has no row
  expandable: boolean;
  open: boolean;
  /** The topmost layer that shows something here; null when the merged view has nothing here. */
  visible: LayerId | null;
  kind: Kind | null; // of what is visible, else of the topmost entry
  cells: (Cell | null)[]; // one per layer, bottom first
}

export interface Rows {
  revision: number;
  total: number;
  from: number;
  rows: Row[];
}

export interface EntryView {
  layer: LayerId;
  path: Path;
  kind: Kind;
  mode: number;
  uid: number;
  gid: number;
  mtime: Time;
  xattrs: { name: ByteText; value: ByteText }[];
  size: number;
  target: ByteText | null;
  device: { major: number; minor: number } | null;
  opaque: boolean;
  /** All names of this inode in the layer, this one included, in the order of the tar. */
  names: Path[];
  /** Children, of a directory. */
  children: number;
}

/** A path through the whole stack, bottom first. */
export interface Column {
  path: Path;
  visible: LayerId | null;
  layers: { layer: LayerId; cell: Cell | null; entry: EntryView | null }[];
}

export interface Found {
  layer: LayerId;
  path: Path;
  kind: Kind | null; // null: a whiteout
  visible: boolean;
}

export interface Finding {
  id: string; // e.g. `command_not_found`
  severity: 'error' | 'warning' | 'info' | 'ok';
  message: string; // one sentence a beginner understands
  path: Path | null;
}

// ---------------------------------------------------------------- questions

/** Pure questions, answered by `Session.query`. */
export type Query =
  | { query: 'overview' }
  /** Rows of the whole stack. `layer`: only the rows that this layer has something at. `filter`: only paths
   *  whose name contains it (and their parents). */
  | { query: 'rows'; image: ImageId; from: number; to: number; layer?: LayerId; filter?: string; merged?: boolean }
  /** The number of the row of a path, or null; opens the directories above it first when `reveal`. */
  | { query: 'row_of'; image: ImageId; path: Path; layer?: LayerId; merged?: boolean }
  | { query: 'column'; image: ImageId; path: Path }
  | { query: 'document'; image: ImageId; document: DocumentName }
  | { query: 'find'; image: ImageId; text: string; limit: number }
  | { query: 'preflight'; image: ImageId }
  | { query: 'journal' };

export interface Answers {
  overview: Overview;
  rows: Rows;
  row_of: number | null;
  column: Column;
  document: { text: string; digest: Digest; size: number } | null;
  find: Found[];
  preflight: Finding[];
  journal: { labels: string[]; done: number };
}

export type Export =
  | { export: 'image'; image: ImageId }
  | { export: 'layer_tar'; layer: LayerId } // uncompressed: what the DiffID names
  | { export: 'layer_blob'; layer: LayerId } // as stored: what the digest names
  | { export: 'file'; layer: LayerId; path: Path }
  | { export: 'directory_tar'; layer: LayerId; path: Path }
  | { export: 'recipe' };

/**
 * The class that wasm-bindgen makes of `src/wasm/`. Every method that can fail throws a `CoreError` object.
 *
 * new Session()                            an empty session
 * apply(operation: Operation): void
 * undo(): boolean, redo(): boolean         false when there is nothing
 * query(query: Query): Answers[...]
 * set_open(image, path, open): void        expands or folds a directory's rows; not journaled
 * open_source(id: SourceId, file: File): void
 * read_ahead(content, budget): {done, total} | null   reads a tar before `add_layer_tar`; null: it can come
 * drop_read_ahead(): void
 * step(budget: number): boolean            does about `budget` KiB of pending work; true while some is left
 * content(layer, path, offset, length): Uint8Array
 * export(what: Export): Blob               needs known digests for image and layer_blob; else CoreError `busy`
 * sample(image, firstLayer, architecture): Action   the article's image, as a group for `apply`
 * switch_platform(image, os, architecture, variant): Action   another platform, and its sample program with it
 * provoke_panic(): never                   for the test of the crash dialog
 * load_recipe(source: SourceId): Operation[]        the operations of a recipe file that was opened as a source
 */
