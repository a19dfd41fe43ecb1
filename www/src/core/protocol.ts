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
/** One opened file or folder; it may hold several images. */
export type ArchiveId = number;
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

/** `original`: the blob as it came, while the layer is not edited; then gz1, or none if it was a plain tar. */
export type Compression = 'none' | 'gz1' | 'original';

/** What is opened as an archive: one file (a tar, plain or packed), or the files of a folder by their paths. */
export type ArchiveFiles = { content: ContentRef } | { files: { path: ByteText; content: ContentRef }[] };

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
  /** Opens whatever was dropped: an OCI layout, a docker archive, both in one, or a bare layer. Its images get
   *  the ids from `first_image` on, their layers those from `first_layer` on, in the order of the archive,
   *  bottom first; the overview tells how many there are. Layers are read afterwards, in steps. */
  | { op: 'open_archive'; archive: ArchiveId; name: string; from: ArchiveFiles; first_image: ImageId; first_layer: LayerId }
  /** Takes an archive and its images out of the session. */
  | { op: 'close_archive'; archive: ArchiveId }
  /** Takes one image out of the session; its archive is then written without it. */
  | { op: 'remove_image'; image: ImageId }
  // Surgery. Each is one step of undo.
  /** Takes a path, and all that is in it, out of every layer of the image: its entries, its whiteouts. */
  | { op: 'remove_path'; image: ImageId; path: Path }
  /** Merges the layers from `bottom` to `top` (neighbours, bottom first) into `bottom`: same view, one layer. */
  | { op: 'squash_layers'; bottom: LayerId; top: LayerId }
  /** Moves these paths of a layer, with all that is in them, into a new layer right above it. */
  | { op: 'split_layer'; layer: LayerId; new_layer: LayerId; name: string; paths: Path[] }
  /** Gives every entry of a layer one time: the operation's. */
  | { op: 'strip_times'; layer: LayerId }
  /** Writes a layer canonically from now on, and drops what only its original bytes had. */
  | { op: 'normalise'; layer: LayerId }
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
  /** Mounts the layers of an image with an empty upperdir on top. `container` is an id among the images', `layer`
   *  one among the layers': rows, columns and searches take `container` for an image that has one layer more, the
   *  writable sheet. `options` as for mount(8): `redirect_dir=on`, `redirect_dir=nofollow`, `userxattr`, or none. */
  | { op: 'start_container'; container: ImageId; image: ImageId; layer: LayerId; options: string }
  /** Runs a line of the shell. Whatever it prints, it was done: errors are output, and the status says so. */
  | { op: 'run_line'; container: ImageId; line: ByteText }
  /** Makes one system call, written as in a script (docs/scripts.md): `rename /a /b`. */
  | { op: 'call_in'; container: ImageId; call: string }
  /** Imports an image to the machine, as its download would be by `ctr images import`: one that was made here alone,
   *  one that was opened with all of its archive. `name`: one more name for the first image. `platforms`: without it,
   *  or `default`, what runs on linux/amd64. What fails midway is done as far as it went, and told as
   *  `MachineGlance.error`. Not in a group. */
  | { op: 'import_image'; image: ImageId; name?: string; platforms?: 'default' | 'all'; unpack: boolean }
  /** Runs a line of the shell on the machine, where `ctr` is, and the session's images lie as /root/NAME.tar. A
   *  container that it starts, and that stays, is one of the session too, with ids as for `start_container`; without
   *  them none can go on. Not in a group. */
  | { op: 'run_on_machine'; line: ByteText; container?: ImageId; layer?: LayerId }
  | { op: 'remove_image_of_machine'; name: string }
  | { op: 'collect_garbage' }
  /** Ends it and removes it with what was written. `discard_container` does the same. */
  | { op: 'remove_container_of_machine'; id: string }
  | { op: 'discard_container'; container: ImageId }
  /** What was written in it becomes a new layer on top of its image. */
  | { op: 'commit_container'; container: ImageId; layer: LayerId; name: string }
  /** Puts the smallest layer that makes `after` of `before` on top of an image. */
  | { op: 'add_difference'; image: ImageId; layer: LayerId; name: string; before: Point; after: Point }
  /** Several actions, one step of undo; if one fails, none is done. */
  | { op: 'group'; label: string; actions: Action[] };

/** A file system at one point of its making: the lowest layers of an image, or a container after some of its steps. */
export type Point = { image: ImageId; layers: number } | { container: ImageId; step: number };

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

/** How far a layer that was opened is read. Until it is read its tree is empty. */
export type ReadingView =
  | { state: 'read' }
  | { state: 'waiting' }
  /** `unpacking` a gzip or zstd, then `indexing` its entries; bytes. */
  | { state: 'working'; stage: 'unpacking' | 'indexing'; done: number; total: number }
  /** Read as far as it could be; it cannot be edited. `no_room`: not its own fault, it unpacks to too much. */
  | { state: 'damaged'; message: string; no_room: boolean }
  /** Its blob is not in the archive (`foreign`: to be had elsewhere); it cannot be edited. */
  | { state: 'missing'; message: string; foreign: boolean };

/** Where an opened layer comes from. */
export interface LayerOrigin {
  archive: ArchiveId;
  /** Its node in the graph; null for a bare layer. */
  node: number | null;
  media_type: string;
  packing: 'plain' | 'gzip' | 'zstd' | null; // null: missing
  /** What the documents claim; null where none does. */
  digest: Digest | null;
  diff_id: Digest | null;
  size: number;
  annotations: Record<string, string>;
}

export interface LayerView {
  id: LayerId;
  name: string;
  reading: ReadingView;
  /** null for a layer that was made here. */
  origin: LayerOrigin | null;
  /** Is its blob written as it came, byte for byte? */
  reused: boolean;
  /** Names in the tree, whiteouts and opaque directories apart. */
  entries: number;
  whiteouts: number;
  opaques: number;
  compression: Compression;
  /** `gnu`, `pax` (a fraction of a second or an xattr makes it so), `original`: the bytes it came with, or
   *  `mixed`: edited entries among those that stayed as they came. */
  format: 'gnu' | 'pax' | 'original' | 'mixed';
  history: { created_by: string | null; comment: string | null };
  /** Of a layer from a tar: what would be written otherwise once it is edited, a sentence each. */
  notes: string[];
  blob: BlobState;
}

export type DocumentName = 'config' | 'manifest' | 'index' | 'oci-layout' | 'manifest.json';

export interface ImageView {
  id: ImageId;
  /** The archive it was opened from; null for an image made here. */
  archive: ArchiveId | null;
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

export interface ArchiveView {
  id: ArchiveId;
  name: string;
  /** What it was found to be. */
  format: 'oci' | 'docker' | 'oci+docker' | 'dir' | 'layer';
  images: ImageId[];
  /** How many problems its documents have, by severity; the findings name them. */
  errors: number;
  warnings: number;
  /** Does every blob come out as it came? */
  untouched: boolean;
}

export interface Overview {
  /** Counts every apply, undo and redo. */
  revision: number;
  archives: ArchiveView[];
  images: ImageView[];
  containers: ContainerView[];
  /** The machine to which images were imported; null until one was. */
  machine: MachineGlance | null;
  undo: string | null; // the label of what would be undone
  redo: string | null;
  /** Is there work left for `step`? */
  busy: boolean;
}

export type Kind = 'directory' | 'file' | 'symlink' | 'char_device' | 'block_device' | 'fifo';

/** What one layer says of one path. */
export interface Cell {
  /** `implied`: no entry of this layer, only a directory on the way to one (never written by handroll). */
  what: 'entry' | 'implied' | 'whiteout';
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
  /** The layers in which this, or a directory that it is in, is opaque. */
  frosted: LayerId[];
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
  layers: ColumnLayer[];
}

export interface ColumnLayer {
  layer: LayerId;
  cell: Cell | null;
  entry: EntryView | null;
  /** What it did to the path, as `handroll why` tells it; null when it has nothing to do with it. */
  deed: Deed | null;
}

/** What one layer did to a path that the layers below it show, or do not show. */
export interface Deed {
  /** `passes`: has only a directory on the way to something. `deletes`: a whiteout of just that name.
   *  `deletes_nothing`: the same, of what no layer below shows. `hides`: by what it does to a directory above. */
  does: 'makes' | 'changes' | 'passes' | 'deletes' | 'deletes_nothing' | 'hides';
  /** Of `changes`: in what it differs from what shows below, as in `Cell`. */
  changed: string[];
  /** Of `changes`: both are directories, and what is in them adds up. */
  merges: boolean;
  /** Of `hides`: that directory, and what the layer does to it. */
  at: Path | null;
  how: 'whiteout' | 'opaque' | 'replaced' | null;
  /** The first layer above that hides what this one has there. */
  hidden_by: LayerId | null;
  /** What it has there: bytes and number of files; of a directory, of all that is in it. */
  bytes: number;
  files: number;
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

/** What `check` found. */
export interface CheckFinding {
  id: string; // docs/checks.md explains each
  severity: 'error' | 'warning' | 'info';
  message: string; // one sentence a beginner understands
  place: {
    image: ImageId | null;
    layer: LayerId | null;
    /** A node of the graph and an RFC 6901 pointer into its document. */
    node: number | null;
    pointer: string | null;
    /** An entry of the layer's tar: its name as it stands there, and the byte where it begins. */
    entry: ByteText | null;
    path: Path | null;
    offset: number | null;
  };
  clause: string; // "image-spec, layer.md, Whiteouts"
  /** How runtimes read it, where they differ. */
  runtimes: { runtime: string; reads: string }[];
  /** What would mend it, to be applied; null where nothing can. */
  fix: { label: string; action: Action } | null;
}

export interface Check {
  /** null when it is done. */
  progress: { done: number; total: number } | null;
  findings: CheckFinding[];
  /** More of the same id than are listed, by id. */
  more: Record<string, number>;
}

/** The documents and blobs of an archive: index → manifest → config and layers. */
export interface Graph {
  nodes: GraphNode[];
  /** Every place that names a node, in the order of the documents: a blob may be named many times, and what is
   *  not what its digest says may even name what stands above it. */
  links: { from: number; to: number; pointer: string; platform: string | null }[];
}

export interface GraphNode {
  node: number;
  /** Where it lies in the archive, or would. */
  path: ByteText;
  /** The first that names it. null for the roots: `index.json`, `manifest.json`. */
  parent: number | null;
  /** Where in the parent's document it is named (RFC 6901). */
  pointer: string;
  kind: 'index' | 'docker_manifest' | 'manifest' | 'config' | 'layer' | 'attestation' | 'other';
  media_type: string;
  /** As it is claimed; null for roots. */
  digest: Digest | null;
  size: number | null;
  /** As its bytes give it; null when they are missing or not hashed yet. */
  actual: Digest | null;
  /** `uncomputed`: the claimed digest is none that handroll computes, which is SHA-256. */
  state: 'verified' | 'mismatch' | 'unverified' | 'uncomputed' | 'missing' | 'foreign';
  platform: string | null;
  names: string[];
  annotations: Record<string, string>;
  image: ImageId | null;
  layer: LayerId | null;
  /** Is it written as it came? */
  reused: boolean;
  problems: number;
}

/** A document as it came, and as it would be written now. */
export interface RawDocument {
  /** The first MiB at most; `truncated` says so. Not UTF-8: shown with U+FFFD. */
  text: string;
  truncated: boolean;
  digest: Digest;
  size: number;
  /** What it would be written as, if that is another text. */
  now: { text: string; digest: Digest; size: number } | null;
}

/** A line of the configuration's history, the oldest first. */
export interface HistoryRow {
  created: string | null;
  created_by: string | null;
  comment: string | null;
  author: string | null;
  /** It made no layer. */
  empty: boolean;
  layer: LayerId | null;
}

/** What a layer does to those below it. */
export interface LayerSummary {
  added: number; // entries where nothing below shows
  changed: number; // entries in the place of one that shows below; directories only with other attributes
  hidden: number; // names of lower layers that no longer show, nor anything in their place
  added_bytes: number;
  changed_bytes: number;
  /** Bytes of its own that a later layer hides. */
  wasted_bytes: number;
}

export type BlockKind =
  | 'header' | 'long_name' | 'pax_header' | 'pax_records' | 'global_header' | 'sparse_map'
  | 'data' | 'end' | 'trailing';

/** Blocks of 512 bytes that belong together, of a layer's tar as it would be written. */
export interface BlockRun {
  kind: BlockKind;
  offset: number; // byte of the tar
  blocks: number;
  /** Bytes used in the last block; the rest is padding. */
  used: number;
  /** Where the entry begins that it belongs to; null for the end. */
  entry: number | null;
  /** The name of that entry. */
  name: ByteText | null;
  path: Path | null;
  /** Where in the packed blob these bytes come from, roughly: [from, to); null for a plain tar. */
  packed: [number, number] | null;
}

export interface Blocks {
  /** Bytes of the tar. */
  size: number;
  /** Bytes of the blob. */
  packed_size: number;
  /** How many entries there are; `runs` are those of entries `from` and on. */
  entries: number;
  from: number;
  runs: BlockRun[];
}

/** A field of a header block or a PAX record. */
export interface BlockField {
  name: string; // `uid`, `SCHILY.xattr.user.x`, …
  offset: number; // byte of the tar
  length: number;
  value: string; // decoded
  /** The attribute of the entry that it sets. */
  attribute: 'path' | 'kind' | 'mode' | 'uid' | 'gid' | 'mtime' | 'size' | 'target' | 'device' | 'xattr' | null;
  /** Another field says it instead. */
  overridden: boolean;
}

/** A blob before and after what was done to an image. */
export interface Change {
  what: 'layer' | 'config' | 'manifest' | 'index';
  layer: LayerId | null;
  name: string;
  before: { digest: Digest; size: number } | null;
  after: { digest: Digest; size: number } | null; // null while it is not known, or if it is gone
  state: 'reused' | 'changed' | 'new' | 'gone' | 'unknown';
}

/** What differs between two points, directories before what is in them. */
export interface Comparison {
  total: number;
  /** There are more than are listed (100,000). */
  more: boolean;
  added: number;
  removed: number;
  changed: number;
  /** Of how many the contents have one size and were not compared: they are large, or there are too many (2,000). */
  unread: number;
  from: number;
  rows: ComparedPath[];
}

export interface ComparedPath {
  path: Path;
  /** Which of content, mode, owner, time, xattrs, target, device, kind; `links`: it shares its inode with other names
   *  than before; `content_unread` when large contents of one size were not compared to their end. */
  changed: string[];
  /** It is gone only because the directory is gone that it was in. */
  within: boolean;
  before: ShownPath | null; // null: only after, it was added
  after: ShownPath | null; // null: only before, it was removed
}

export interface ShownPath {
  layer: LayerId;
  kind: Kind;
  size: number;
  mode: number;
  uid: number;
  gid: number;
  mtime: Time;
  target: ByteText | null;
  device: [number, number] | null;
  xattrs: [ByteText, ByteText][];
}

/** A container: a writable mount on the layers that an image had when it was started. */
export interface ContainerView {
  id: ImageId;
  image: ImageId;
  /** The id of its writable sheet. */
  layer: LayerId;
  /** The layers below it, bottom first, and what they are called. */
  layers: LayerId[];
  names: string[];
  /** How many steps were done in it, and after how many it is looked at (`show_step`). */
  steps: number;
  shown: number;
  /** The image has other layers by now; the container keeps those that it was started with. */
  moved_on: boolean;
  /** The shell's working directory. */
  cwd: ByteText;
  /** How many files, directories and whiteouts its upperdir holds. */
  written: number;
  /** What it is called on the machine, if it runs there. */
  on_machine: string | null;
}

export interface ContainerDetail {
  /** How engines would mount it: the options for mount(8). */
  mounts: { engine: 'containerd' | 'docker' | 'podman'; options: string }[];
  /** The options as /proc/self/mountinfo shows them. */
  shown_options: string;
  /** What was done, in order: lines of the shell, or calls. `changed`: the upperdir is another than before. */
  steps: { input: ByteText; by_shell: boolean; status: number; changed: boolean }[];
}

/** A step with all that happened. */
export interface StepView {
  input: ByteText;
  /** A line of the shell, else a call. */
  by_shell: boolean;
  status: number;
  output: { stream: 'stdout' | 'stderr'; text: string }[];
  /** The system calls, as many as are kept; `call_count` is how many there were. */
  calls: CallView[];
  call_count: number;
}

export interface CallView {
  /** As in a script. */
  call: string;
  /** null: it succeeded. */
  errno: string | null;
  events: TraceEvent[];
}

export interface TraceEvent {
  /** A stable name, as `copy_up.file`. */
  rule: string;
  path: ByteText;
  layer: LayerId | null;
  bytes: number | null;
  /** What happened, in one sentence. */
  sentence: string;
  /** Where it is written down. */
  source: string;
}

/** Something in the upperdir as it lies on the disk, overlayfs' own marks among the xattrs. At most 5,000 are
 *  told, the root first; `ContainerView.written` says how many there are below it. */
export interface UpperRow {
  path: Path;
  what: string;
  mode: number;
  uid: number;
  gid: number;
  nlink: number | null;
  mtime: Time;
  xattrs: [ByteText, ByteText][];
}

// ---------------------------------------------------------------- the machine

/** The machine in the overview: what there is now. `shown`: after how many events it is looked at (`show_event`). */
export interface MachineGlance {
  events: number;
  shown: number;
  images: number;
  snapshots: number;
  blobs: number;
  /** What garbage collection would free. */
  garbage_bytes: number;
  /** Why the last operation on it was not done to its end. */
  error: string | null;
}

/** The machine's prompt: where it stands, and the lines that were typed. */
export interface PromptView {
  cwd: ByteText;
  lines: PromptLine[];
}

/** A line that was typed at the machine's prompt. */
export interface PromptLine {
  input: ByteText;
  status: number;
  /** What it printed; nothing of all lines but the last hundred. */
  output: { stream: 'stdout' | 'stderr'; text: string }[];
  /** The events that it caused, as `events` is asked for them: how many there were before it, and after it. */
  events: [number, number];
}

/** The machine as it was `at` an event. `new`: made or changed by that event. */
export interface MachineView {
  at: number;
  events: number;
  /** Containerd's namespace that was worked in then; only what is in it is told. */
  namespace: string;
  content: BlobRow[];
  images: ImageRow[];
  snapshots: SnapshotRow[];
  containers: ContainerRow[];
  leases: LeaseRow[];
}

export type Labels = [string, string][];

export interface BlobRow {
  digest: Digest;
  size: number;
  labels: Labels;
  what: 'index' | 'manifest' | 'config' | 'layer' | 'blob';
  /** The names of the images that lead to it. */
  images: string[];
  new: boolean;
}

export interface ImageRow {
  name: string;
  digest: Digest;
  media_type: string;
  size: number;
  platforms: string[];
  labels: Labels;
  new: boolean;
}

export interface SnapshotRow {
  key: string;
  parent: string; // empty: none
  kind: 'committed' | 'active' | 'view';
  /** The number of its directory, and its path on the machine. */
  number: number;
  directory: string;
  labels: Labels;
  size: number;
  inodes: number;
  /** The command that mounts it at DIR; empty for a committed one, which nobody mounts. */
  mounts: string;
  /** The layer of the session that it was unpacked from, if that still is the same; a container's sheet. */
  layer: LayerId | null;
  images: string[];
  /** How many it stands on. */
  depth: number;
  new: boolean;
}

export interface ContainerRow {
  id: string;
  image: string;
  snapshot: string;
  runtime: string;
  status: 'CREATED' | 'RUNNING' | 'STOPPED';
  pid: number | null;
  /** The container of the session that it is. */
  container: ImageId | null;
  new: boolean;
}

export interface LeaseRow {
  id: string;
  labels: Labels;
  /** How many blobs and snapshots it keeps. */
  content: number;
  snapshots: number;
  new: boolean;
}

/** An event; `docs/store.md` has the rules. Numbers begin with 1: event n leads to what is shown by `show_event(n)`. */
export interface MachineEvent {
  number: number;
  rule: string;
  /** The operation that it belongs to, from 0 on, the command that does it, and why that was not done to its end. */
  group: number;
  group_title: string;
  group_error: string | null;
  sentence: string;
  source: string;
  subject: { kind: 'blob' | 'image' | 'snapshot' | 'container' | 'lease'; key: string } | null;
  /** What it did on the disk: paths from the root of the machine, those of `layer.applied` from the root of the layer.
   *  `more`: how many changes are not listed. */
  disk: { sign: '+' | '-' | '~'; path: ByteText; what: string }[];
  more: number;
  /** The number that the sentence has: bytes, entries, the number of a directory. */
  bytes: number;
}

/** A step by which runc started a container. */
export interface RuntimeStep {
  step: string;
  sentence: string;
  source: string;
  /** System calls, as strace prints them. */
  calls: string[];
  /** What `/` is for the process after it. */
  root: 'host' | 'host_copy' | 'stacked' | 'container';
  /** Lines of mountinfo, without their numbers. */
  mounts: string[];
  /** Calls that change the root file system, and so the upperdir. */
  upper: string[];
  namespaces: string[];
}

/** What images share; sizes in bytes, `wire`: what is downloaded, `disk`: what directories take. */
export interface Sharing {
  images: {
    name: string;
    unique_wire: number;
    shared_wire: number;
    unique_disk: number;
    shared_disk: number;
  }[];
  layers: {
    chain_id: Digest;
    diff_id: Digest;
    /** The blobs that it came as. */
    digests: Digest[];
    number: number;
    images: string[];
    parent: string;
    size_disk: number;
    size_wire: number;
  }[];
  saved_wire: number;
  saved_disk: number;
  /** What is the same but for one thing: two ChainIDs, or, for `compression`, two digests. */
  near: {
    a: Digest;
    b: Digest;
    reason: 'compression' | 'parent' | 'owner' | 'mode' | 'xattrs' | 'mtime' | 'order';
    sentence: string;
  }[];
}

/** What garbage collection makes of something, and why. `file`, `directory`: only the disk still has it. */
export interface GarbageRow {
  kind: 'blob' | 'snapshot' | 'lease' | 'file' | 'directory';
  key: string;
  size: number;
  removed: boolean;
  reason: string;
}

// ---------------------------------------------------------------- questions

/** Pure questions, answered by `Session.query`. */
export type Query =
  | { query: 'overview' }
  /** Rows of the whole stack. `layer`: only the rows that this layer has something at. `filter`: only paths
   *  whose name contains it (and their parents). `only`, with `layer`: only what the layer adds, changes or
   *  hides (and the parents), counted as in `summary`. */
  | { query: 'rows'; image: ImageId; from: number; to: number; layer?: LayerId; filter?: string; merged?: boolean; only?: 'added' | 'changed' | 'hides' }
  /** The number of the row of a path, or null; opens the directories above it first when `reveal`. */
  | { query: 'row_of'; image: ImageId; path: Path; layer?: LayerId; merged?: boolean }
  | { query: 'column'; image: ImageId; path: Path }
  | { query: 'document'; image: ImageId; document: DocumentName }
  | { query: 'find'; image: ImageId; text: string; limit: number }
  | { query: 'preflight'; image: ImageId }
  | { query: 'journal' }
  | { query: 'graph'; archive: ArchiveId }
  | { query: 'raw'; archive: ArchiveId; node: number }
  | { query: 'history'; image: ImageId }
  /** Starts or goes on with the check of an image (its documents and its layers). Asked again until done. */
  | { query: 'check'; image: ImageId }
  | { query: 'summary'; layer: LayerId }
  /** The blocks of the entries number `from` and on of the layer's tar, at most `limit` entries. */
  | { query: 'blocks'; layer: LayerId; from: number; limit: number }
  /** The number of the entry at a path; null if the tar has none. */
  | { query: 'entry_of'; layer: LayerId; path: Path }
  /** The number of the entry that this byte of the tar belongs to; null for the end. */
  | { query: 'entry_at'; layer: LayerId; offset: number }
  /** The header fields of the entry that begins at this byte. */
  | { query: 'fields'; layer: LayerId; offset: number }
  | { query: 'changes'; image: ImageId }
  /** In what `after` differs from `before`, rows `from` up to `to`. */
  | { query: 'compare'; before: Point; after: Point; from: number; to: number }
  | { query: 'container'; container: ImageId }
  /** The step of that number, from 0 on; null if there is none. */
  | { query: 'step'; container: ImageId; step: number }
  | { query: 'upper'; container: ImageId }
  /** What the word that ends at the byte `cursor` of a line could be: candidates for the bytes from `from` on. */
  | { query: 'complete'; container: ImageId; line: string; cursor: number }
  /** The machine, as it was after the event that is shown. The next ones answer for that moment too. */
  | { query: 'machine' }
  /** What was typed at its prompt, as of now. */
  | { query: 'prompt' }
  /** As `complete`, for its prompt. */
  | { query: 'complete_on_machine'; line: string; cursor: number }
  /** Its events from number `from` + 1 up to `to`, at most 1,000. */
  | { query: 'events'; from: number; to: number }
  /** The steps by which runc started a container of the machine. */
  | { query: 'runtime_steps'; id: string }
  | { query: 'sharing' }
  | { query: 'garbage' };

export interface Answers {
  overview: Overview;
  rows: Rows;
  row_of: number | null;
  column: Column;
  document: { text: string; digest: Digest; size: number } | null;
  find: Found[];
  preflight: Finding[];
  journal: { labels: string[]; done: number };
  graph: Graph;
  raw: RawDocument;
  history: HistoryRow[];
  check: Check;
  summary: LayerSummary;
  blocks: Blocks;
  entry_of: number | null;
  entry_at: number | null;
  fields: BlockField[];
  changes: Change[];
  compare: Comparison;
  container: ContainerDetail;
  step: StepView | null;
  upper: UpperRow[];
  complete: { from: number; words: ByteText[] };
  machine: MachineView;
  prompt: PromptView;
  complete_on_machine: { from: number; words: ByteText[] };
  events: MachineEvent[];
  runtime_steps: RuntimeStep[];
  sharing: Sharing;
  garbage: GarbageRow[];
}

export type Export =
  | { export: 'image'; image: ImageId }
  /** All of an opened archive, with what was changed; what was not is written as it came. */
  | { export: 'archive'; archive: ArchiveId }
  /** A blob of an opened archive as it came. */
  | { export: 'node'; archive: ArchiveId; node: number }
  | { export: 'layer_tar'; layer: LayerId } // uncompressed: what the DiffID names
  | { export: 'layer_blob'; layer: LayerId } // as stored: what the digest names
  | { export: 'file'; layer: LayerId; path: Path }
  | { export: 'directory_tar'; layer: LayerId; path: Path }
  /** The tar of the smallest layer that makes `after` of `before`. */
  | { export: 'difference_tar'; before: Point; after: Point }
  | { export: 'recipe' };

/**
 * The class that wasm-bindgen makes of `src/wasm/`. Every method that can fail throws a `CoreError` object.
 *
 * new Session()                            an empty session
 * apply(operation: Operation): void
 * undo(): boolean, redo(): boolean         false when there is nothing
 * query(query: Query): Answers[...]
 * set_open(image, path, open): void        expands or folds a directory's rows; not journaled
 * show_step(container, step): void         after which of its steps a container is looked at; not journaled
 * show_event(number): void                 after which of its events the machine is looked at; not journaled
 * open_source(id: SourceId, file: File): void
 * read_ahead(content, budget): {done, total} | null   reads a tar before `add_layer_tar`; null: it can come
 * open_ahead(from: ArchiveFiles, budget): {stage, done, total} | {format}   opens an archive before `open_archive`;
 *                                          {format}: it can come
 * tar_bytes(layer, offset, length): Uint8Array     bytes of a layer's tar as it came
 * drop_read_ahead(): void
 * step(budget: number): boolean            does about `budget` KiB of pending work; true while some is left
 * content(layer, path, offset, length): Uint8Array
 * export(what: Export): Blob               needs known digests for image and layer_blob; else CoreError `busy`
 * sample(image, firstLayer, architecture): Action   the article's image, as a group for `apply`
 * switch_platform(image, os, architecture, variant): Action   another platform, and its sample program with it
 * provoke_panic(): never                   for the test of the crash dialog
 * load_recipe(source: SourceId): Operation[]        the operations of a recipe file that was opened as a source
 */
