//! Where the bytes are: blobs by digest, snapshots' directories by number. Knows no names, labels or parents.

use super::StoreError;
use super::event::{Changes, Sign};
use super::snapshot::Usage;
use crate::content::{Content, ContentError};
use crate::digest::Digest;
use crate::layer::dialect::{Act, Watch};
use crate::tree::Time;

/// What a disk cannot do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DiskError {
    /// A content cannot be read or kept.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// Something else.
    #[error("{path}: {reason}")]
    Failed {
        /// Where.
        path: String,
        /// What the system said.
        reason: String,
    },
}

impl From<DiskError> for StoreError {
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Content(error) => Self::Content(error),
            DiskError::Failed { path, reason } => Self::Disk { path, reason },
        }
    }
}

/// A layer was applied to a directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The digest of its tar without packing.
    pub diff_id: Digest,
    /// How many bytes that has.
    pub size: u64,
    /// How many entries.
    pub entries: u64,
    /// What they did.
    pub changes: Changes,
}

/// A layer could not be applied, or not wholly: what was done is in the directory.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplyError {
    /// What was wrong, in containerd's words.
    pub why: String,
    /// How many entries were applied before.
    pub entries: u64,
    /// What they did.
    pub changes: Changes,
}

/// What applying a layer does, noted while it goes on.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// How many entries were applied, or begun.
    pub entries: u64,
    /// What they did.
    pub changes: Changes,
}

impl Watch for Effects {
    fn entry(&mut self) {
        self.entries += 1;
    }

    fn did(&mut self, act: Act, path: &[u8], what: String) {
        let sign = match act {
            Act::Made => Sign::Added,
            Act::Changed => Sign::Changed,
            Act::Removed => Sign::Removed,
        };
        self.changes.add(sign, path.to_vec(), what);
    }
}

/// Blobs and directories, numbered as containerd's overlayfs snapshotter numbers them. Directory N is
/// `snapshots/N` with `fs`, and with `work` beside it for what is written to.
pub trait Disk {
    /// Keeps a blob, hashing it on the way; what is there is not written again.
    fn add_blob(&mut self, content: &Content) -> Result<Digest, DiskError>;
    /// The bytes of a blob.
    fn blob(&self, digest: Digest) -> Result<Content, DiskError>;
    /// Deletes a blob.
    fn remove_blob(&mut self, digest: Digest) -> Result<(), DiskError>;

    /// Makes directory `number` with an empty `fs` of mode 0755, that has the owner of `fs` in directory `parent`,
    /// else root; with `has_work` also a `work` of mode 0711.
    fn make(&mut self, number: u64, parent: Option<u64>, has_work: bool, now: Time) -> Result<(), DiskError>;
    /// Applies a layer, packed as it may be, to a directory that is on top of `parents`, the topmost first
    /// ([`crate::layer::dialect`]).
    fn apply(
        &mut self,
        number: u64,
        parents: &[u64],
        layer: &Content,
        now: Time,
    ) -> Result<Applied, ApplyError>;
    /// How much is in `fs` of a directory.
    fn usage(&self, number: u64) -> Result<Usage, DiskError>;
    /// Deletes a directory.
    fn remove(&mut self, number: u64) -> Result<(), DiskError>;

    /// The directory of containerd itself, as mounts name it: `/var/lib/containerd`.
    fn root(&self) -> &str;
}
