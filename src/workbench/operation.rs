//! Operations: everything that can change a session, as data. They are what the journal keeps, what a recipe
//! stores and what the page sends, in one JSON form (mirrored in `www/src/core/protocol.ts`): written by serde,
//! read by the tables of `from_json`.
//!
//! Paths, names and targets are texts in the form of [`crate::text`]; they are read when the operation is
//! applied, so that a wrong one gives an error that names the rule.

use serde::Serialize;

use crate::digest::Digest;
use crate::image::config::ConfigField;
use crate::layer::Compression;
use crate::tree::Time;

use super::compare::Point;

/// A change, when it was made and by whom. The core has no clock and no user: it is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Operation {
    /// The mtime of what is made or written.
    pub time: Time,
    /// Whose it will be.
    pub caller: Caller,
    /// What is done.
    pub action: Action,
}

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// Owner of what is made.
    pub uid: u32,
    /// Group of what is made.
    pub gid: u32,
    /// Taken off the permissions of what is made: files 0666, directories 0777.
    pub umask: u16,
}

impl Caller {
    /// root, with the umask that most systems give it.
    pub const ROOT: Self = Self {
        uid: 0,
        gid: 0,
        umask: 0o022,
    };
}

/// Which image. Ids are chosen by whoever makes the operation, and are not used twice in a session.
pub type ImageId = u32;
/// Which layer, of all images.
pub type LayerId = u32;
/// Which opened file.
pub type SourceId = u32;
/// Which opened archive.
pub type ArchiveId = u32;

/// Where the bytes of a content come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ContentRef {
    /// These characters, as UTF-8.
    Text {
        /// The characters.
        text: String,
    },
    /// These bytes.
    Base64 {
        /// RFC 4648, section 4, with padding.
        base64: String,
    },
    /// A range of a file that was opened.
    Source {
        /// Which.
        source: SourceId,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u64,
    },
    /// A blob of the recipe that the operation stands in.
    Blob {
        /// Which.
        blob: Digest,
        /// Number of bytes.
        size: u64,
    },
}

/// What is opened as an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ArchiveFiles {
    /// A tar, plain or packed.
    Tar {
        /// Its bytes.
        content: ContentRef,
    },
    /// The files of a directory.
    Directory {
        /// Each with its path.
        files: Vec<ArchiveFile>,
    },
}

/// A file of a directory that is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArchiveFile {
    /// Where it lies in the directory.
    pub path: String,
    /// Its bytes.
    pub content: ContentRef,
}

/// Attributes to set; those that are absent stay, or get their defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Attributes {
    /// Permissions, 0 to 0o7777.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<i64>,
    /// Owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<i64>,
    /// Group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<i64>,
    /// Time of the last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtime: Option<Time>,
}

/// An entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Which layer.
    pub layer: LayerId,
    /// Where in it.
    pub path: String,
}

/// What is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "the kinds of inodes, and a further name of one that is there"
)]
pub enum NewEntry {
    File { content: ContentRef },
    Directory,
    Symlink { target: String },
    HardLink { target: String },
    Fifo,
    CharDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
}

/// What is done. Every action either is done wholly or changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "fields are what their names and the variant's line say"
)]
pub enum Action {
    /// A new image without layers.
    CreateImage { image: ImageId, name: String },
    /// Renames an image.
    SetName { image: ImageId, name: String },
    /// Sets one field of the configuration.
    SetConfig { image: ImageId, set: ConfigField },
    /// An empty layer, on top or at a position from the bottom.
    AddLayer {
        image: ImageId,
        layer: LayerId,
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<usize>,
    },
    /// A layer from a tar, plain or gzip; until it is edited, the tar's bytes stay as they are.
    AddLayerTar {
        image: ImageId,
        layer: LayerId,
        name: String,
        content: ContentRef,
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<usize>,
    },
    /// Opens whatever was given: an OCI layout, a docker archive, both in one, or a bare layer. Its images get the ids
    /// from `first_image` on, their layers those from `first_layer` on, bottom first.
    OpenArchive {
        archive: ArchiveId,
        name: String,
        from: ArchiveFiles,
        first_image: ImageId,
        first_layer: LayerId,
    },
    /// Takes an archive and its images out of the session.
    CloseArchive { archive: ArchiveId },
    /// Takes an image out of the session, and out of the archive that it came in.
    RemoveImage { image: ImageId },
    /// Takes a path and all that is in it out of every layer of an image: entries, whiteouts, what later entries
    /// replaced.
    RemovePath { image: ImageId, path: String },
    /// Merges neighbouring layers into the lowest of them, with the same view.
    SquashLayers { bottom: LayerId, top: LayerId },
    /// Moves paths of a layer, with all that is in them, into a new layer right above it.
    SplitLayer {
        layer: LayerId,
        new_layer: LayerId,
        name: String,
        paths: Vec<String>,
    },
    /// Gives every entry of a layer the operation's time.
    StripTimes { layer: LayerId },
    /// A copy of a layer, right above it.
    DuplicateLayer {
        layer: LayerId,
        copy: LayerId,
        name: String,
    },
    /// Takes a layer out of its image.
    RemoveLayer { layer: LayerId },
    /// Renames a layer. Names of layers are for people: no digest knows them.
    RenameLayer { layer: LayerId, name: String },
    /// Moves a layer within its image.
    MoveLayer { layer: LayerId, position: usize },
    /// How a layer is stored.
    SetCompression {
        layer: LayerId,
        compression: Compression,
    },
    /// A layer's line in the history.
    SetHistory {
        layer: LayerId,
        created_by: Option<String>,
        comment: Option<String>,
    },
    /// Writes a layer canonically from now on: what only the bytes that it came with had is dropped.
    Normalise { layer: LayerId },
    /// Makes an entry. A whiteout of that name in this layer gives way, and with `replace` an entry too;
    /// with `parents`, missing directories above it are made.
    Make {
        layer: LayerId,
        path: String,
        entry: NewEntry,
        attributes: Attributes,
        parents: bool,
        replace: bool,
    },
    /// New bytes for a file.
    Write {
        layer: LayerId,
        path: String,
        content: ContentRef,
    },
    /// A new target for a symbolic link.
    SetTarget {
        layer: LayerId,
        path: String,
        target: String,
    },
    /// Deletes an entry from the layer.
    Delete { layer: LayerId, path: String },
    /// Moves an entry within a layer or between two.
    Move { from: Place, to: Place },
    /// Copies an entry within a layer or between two, with its attributes and all that is in it.
    Copy { from: Place, to: Place },
    /// Changes attributes.
    SetAttributes {
        layer: LayerId,
        path: String,
        attributes: Attributes,
    },
    /// Sets an extended attribute, or removes it.
    SetXattr {
        layer: LayerId,
        path: String,
        name: String,
        value: Option<String>,
    },
    /// Marks a name as deleted from the layers below.
    Whiteout {
        layer: LayerId,
        path: String,
        parents: bool,
    },
    /// Takes a whiteout away.
    ClearWhiteout { layer: LayerId, path: String },
    /// Says whether a directory hides all that the layers below have in it.
    SetOpaque {
        layer: LayerId,
        path: String,
        opaque: bool,
        parents: bool,
    },
    /// Mounts the layers of an image with an empty upperdir on top, which stands among the layers as `layer`; ids
    /// of containers and images are from one place. `options` are those of mount(8): `redirect_dir=on`, `userxattr`.
    StartContainer {
        container: ImageId,
        image: ImageId,
        layer: LayerId,
        options: String,
    },
    /// Runs a line of the shell in a container.
    RunLine { container: ImageId, line: String },
    /// Makes one system call in a container, written as in a script: `rename /a /b`.
    CallIn { container: ImageId, call: String },
    /// Throws a container away, with all that was written in it.
    DiscardContainer { container: ImageId },
    /// Makes what was written in a container a new layer on top of its image.
    CommitContainer {
        container: ImageId,
        layer: LayerId,
        name: String,
    },
    /// Puts the smallest layer that makes `after` of `before` on top of an image.
    AddDifference {
        image: ImageId,
        layer: LayerId,
        name: String,
        before: Point,
        after: Point,
    },
    /// Imports an image to the machine, as its download would be by `ctr images import`: one that was made here alone,
    /// one that was opened with all of its archive. `platforms` are `default` (linux/amd64) or `all`. Not in a group.
    ImportImage {
        image: ImageId,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        platforms: Option<String>,
        unpack: bool,
    },
    /// Runs a line of the shell on the machine, where `ctr` is. A container that it starts is one of the session's, with
    /// ids as in [`Action::StartContainer`]; without them none can be started. Not in a group.
    RunOnMachine {
        line: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        container: Option<ImageId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        layer: Option<LayerId>,
    },
    /// Takes a name of an image off the machine.
    RemoveImageOfMachine { name: String },
    /// Collects garbage on the machine.
    CollectGarbage,
    /// Ends a container of the machine, and removes it with what was written in it.
    RemoveContainerOfMachine { id: String },
    /// Several actions as one.
    Group { label: String, actions: Vec<Action> },
}
