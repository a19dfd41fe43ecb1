//! Dialects: what each reader makes of the same stack of layers. The image specification leaves things open,
//! and runtimes differ where it does not; a layer is portable when all dialects agree on it.
//!
//! Each dialect reads the tars itself, since where headers contradict each other its own reader decides, and
//! applies the entries to a file system in memory ([`Fs`]) by the steps that its source takes. What counts is
//! what a container sees: for containerd, the layers under the empty one that a container gets.
//!
//! umoci 0.4.7 and containerd 1.6.20 with both snapshotters judge theirs, on Linux 6.18, run by root with the
//! umask 022 (`tests/dialects.rs`). Nobody judges the specification's.

mod apply;
mod archive;
mod containerd;
mod errno;
mod fs;
mod go_number;
mod go_sparse;
mod go_tar;
mod go_types;
mod overlayfs;
pub(crate) mod path;
mod rule;
mod spec;
mod system;
mod umoci;
mod view;
pub(crate) mod xattr;
#[cfg(test)]
pub(crate) mod cases;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::content::Content;
use crate::tar::TarError;
#[cfg(test)]
use crate::text::escape;

pub use apply::{Apply, Applying};
pub(crate) use archive::{Act, Watch, apply_layer};
pub use errno::Errno;
pub use fs::{ByBytes, Fs, Inode, Kind, Number};
use go_tar::GoEntry;
pub use go_tar::GoError;
pub use path::Unresolved;
pub use rule::{EntryPlace, Notes, Rule};
pub(crate) use system::{Attributes, FileSystem, Sort};
pub use view::View;

/// A reader of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// The image specification itself.
    Spec,
    /// containerd with its default snapshotter.
    ContainerdOverlayfs,
    /// containerd with the snapshotter that copies.
    ContainerdNative,
    /// umoci.
    Umoci,
}

impl Dialect {
    /// All of them, the specification first.
    pub const ALL: [Self; 4] = [
        Self::Spec,
        Self::ContainerdOverlayfs,
        Self::ContainerdNative,
        Self::Umoci,
    ];

    /// A stable short name.
    pub fn id(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::ContainerdOverlayfs => "overlayfs",
            Self::ContainerdNative => "native",
            Self::Umoci => "umoci",
        }
    }
}

impl Dialect {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spec => "the image specification",
            Self::ContainerdOverlayfs => "containerd (overlayfs)",
            Self::ContainerdNative => "containerd (native)",
            Self::Umoci => "umoci",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What comes of a stack.
#[derive(Debug)]
pub struct Outcome {
    /// Whose reading it is.
    pub dialect: Dialect,
    /// What a container sees, or why there is nothing to see.
    pub result: Result<Fs, Failure>,
    /// The rules that counted on the way.
    pub notes: Notes,
}

/// Where a dialect gave up.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("layer {layer}, byte {offset}: {why}")]
pub struct Failure {
    /// The layer, bottom first.
    pub layer: usize,
    /// Where the entry begins in the layer's tar; of a broken tar, how far it was read.
    pub offset: u64,
    /// The entry's name as it stands there; empty for a broken tar.
    pub name: Vec<u8>,
    /// What was wrong.
    pub why: Why,
    /// What is there afterwards.
    pub remains: Remains,
}

/// What a failed unpacking leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    /// Nothing.
    Nothing,
    /// As many layers, from the bottom, as snapshots of their own.
    Layers(usize),
    /// Not even the directory in which the root file system was to stand.
    LessThanNothing,
}

/// What was wrong with an entry, or with an archive. The text is, or has in it, what the runtime prints.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Why {
    /// Our reader, which is the specification's, cannot read the tar.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// Go cannot.
    #[error(transparent)]
    Go(#[from] GoError),
    /// A system call failed.
    #[error(transparent)]
    Errno(#[from] Errno),
    /// containerd follows 255 symbolic links and no more.
    #[error("too many links")]
    TooManyLinks,
    /// A whiteout of nothing, of `.` or of `..`.
    #[error("invalid whiteout name")]
    InvalidWhiteout,
    /// The root is not a directory.
    #[error("refusing to change type of root directory")]
    RootType,
    /// umoci has lost the directory that it was working in.
    #[error("restore parent directory")]
    ParentLost,
    /// containerd knows no such type of entry.
    #[error("unhandled tar header type {0}")]
    UnhandledType(u8),
    /// umoci knows none.
    #[error("unknown typeflag '\\x{0:x}'")]
    UnknownTypeflag(u8),
    /// Our own limit.
    #[error("more than {limit} {what}, at which handroll stops")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is taken.
        limit: u64,
    },
}

impl Why {
    /// Whether it is no fault of the layer's, and nothing that the reader would stop at: we do.
    pub fn is_limit(&self) -> bool {
        match self {
            Self::Tar(error) => error.is_limit(),
            Self::Go(error) => matches!(
                error,
                GoError::TooManyPieces | GoError::TooLarge | GoError::Content(_)
            ),
            Self::Limit { .. } => true,
            _ => false,
        }
    }
}

impl From<Unresolved> for Why {
    fn from(error: Unresolved) -> Self {
        match error {
            Unresolved::Errno(errno) => Self::Errno(errno),
            Unresolved::TooManyLinks => Self::TooManyLinks,
        }
    }
}

/// A failure in the layer at hand.
pub(crate) struct Fault {
    /// Where the entry begins in the tar; of a broken tar, how far it was read.
    pub offset: u64,
    /// The entry's name; empty for a broken tar.
    pub name: Vec<u8>,
    /// What was wrong.
    pub why: Why,
}

impl Fault {
    fn of_archive(offset: u64, why: Why) -> Self {
        Self {
            offset,
            name: Vec::new(),
            why,
        }
    }

    fn in_layer(self, layer: usize, remains: Remains) -> Failure {
        Failure {
            layer,
            offset: self.offset,
            name: self.name,
            why: self.why,
            remains,
        }
    }
}

/// One reader at work, which is handed the entries of each layer as Go gives them.
trait Unpack {
    /// Begins the next layer.
    fn start(&mut self, notes: &mut Notes);
    /// Applies one entry.
    fn entry(&mut self, entry: &GoEntry, notes: &mut Notes) -> Result<(), Why>;
    /// Ends the layer.
    fn end(&mut self, notes: &mut Notes) -> Result<(), Fault>;
    /// What a failure leaves.
    fn remains(&self) -> Remains;
    /// How many names were looked up so far.
    fn cost(&self) -> u64;
    /// How many inodes there are.
    fn inodes(&self) -> usize;
    /// About how many bytes of names, paths and attributes are kept.
    fn bytes(&self) -> u64;
    /// What a container sees.
    fn finish(self: Box<Self>, notes: &mut Notes) -> Fs;
}

/// The most inodes that are made, in all layers together, the most bytes of names, paths and attributes that
/// are ever put there, and the most names that are looked up: what is beyond is no image, but an attack on memory or time.
const MAX_INODES: usize = 1 << 20;
const MAX_BYTES: u64 = 256 << 20;
const MAX_LOOKUPS: u64 = 1 << 28;

fn within_limits(inodes: usize, bytes: u64, lookups: u64) -> Result<(), Why> {
    let limit = |what, limit| Err(Why::Limit { what, limit });
    match () {
        () if inodes > MAX_INODES => limit("files", MAX_INODES as u64),
        () if bytes > MAX_BYTES => limit("bytes of names and attributes", MAX_BYTES),
        () if lookups > MAX_LOOKUPS => limit("names to look up", MAX_LOOKUPS),
        () => Ok(()),
    }
}

/// What a dialect makes of these layers, uncompressed tars, bottom first.
pub fn apply(dialect: Dialect, layers: Vec<Content>) -> Outcome {
    let mut outcomes = Apply::new(&[dialect], layers).run();
    outcomes.pop().expect("one was asked for")
}

/// A file of an archive, as containerd's importer sees it.
pub(crate) struct ArchivedFile {
    /// Its name as it stands there.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Archived,
}

/// What an entry of an archive is.
pub(crate) enum Archived {
    /// A regular file.
    File(Content),
    /// A symbolic link.
    Symlink(Vec<u8>),
    /// Anything else.
    Other,
}

/// The next file of a tar that `entries` goes through, as Go reads it.
pub(crate) struct Archive(go_tar::GoEntries);

impl Archive {
    /// Before the first.
    pub(crate) fn new(tar: Content) -> Self {
        Self(go_tar::GoEntries::new(tar))
    }

    /// The next; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<ArchivedFile>, GoError> {
        let Some(entry) = self.0.next()? else {
            return Ok(None);
        };
        let kind = match entry.typeflag {
            b'0' => Archived::File(entry.data?),
            b'2' => Archived::Symlink(entry.link_name),
            _ => Archived::Other,
        };
        Ok(Some(ArchivedFile {
            name: entry.name,
            kind,
        }))
    }
}
