//! What can go wrong with a store, in containerd's words: what follows the last colon is its class of error
//! (errdefs/errors.go).

use crate::content::ContentError;

/// An operation on a store that was not done. What was done before it in the same import or unpacking stays, as
/// containerd leaves it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "fields are what the variant's text names")]
pub enum StoreError {
    #[error("content digest {digest}: not found")]
    NoContent { digest: String },
    #[error("image {name:?}: not found")]
    NoImage { name: String },
    #[error("image {name:?}: already exists")]
    ImageTaken { name: String },
    #[error("image name must not be empty: invalid argument")]
    NoImageName,
    #[error("snapshot {key} does not exist: not found")]
    NoSnapshot { key: String },
    #[error("parent snapshot {parent} does not exist: not found")]
    NoParent { parent: String },
    #[error("snapshot {key:?}: already exists")]
    SnapshotTaken { key: String },
    #[error("cannot remove snapshot with child: failed precondition")]
    HasChildren { key: String },
    #[error("failed to create snapshot: parent {name:?} is not committed snapshot: invalid argument")]
    ParentNotCommitted { name: String },
    #[error("failed to commit snapshot: snapshot {name:?} is not active: failed precondition")]
    NotActive { name: String },
    #[error("failed to get active mount: requested snapshot {name} not active or view: failed precondition")]
    NoMounts { name: String },
    #[error("container {id:?} in namespace {namespace:?}: not found")]
    NoContainer { id: String, namespace: String },
    #[error("container {id:?}: already exists")]
    ContainerTaken { id: String },
    #[error("no running task found: task {id} not found: not found")]
    NoTask { id: String },
    #[error("task {id}: already exists")]
    TaskTaken { id: String },
    #[error("cannot delete a running process: failed precondition")]
    TaskRunning { id: String },
    #[error("lease {id:?}: not found")]
    NoLease { id: String },
    #[error("lease {id:?}: already exists")]
    LeaseTaken { id: String },
    #[error("{what}identifier must not be empty: invalid argument")]
    NoIdentifier { what: &'static str },
    #[error(
        "{what}identifier {text:?} must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$: invalid argument"
    )]
    Identifier { what: &'static str, text: String },
    #[error("{what}identifier {text:?} greater than maximum length (76 characters): invalid argument")]
    LongIdentifier { what: &'static str, text: String },
    #[error("label key and value greater than maximum size (4096 bytes), key: {key}: invalid argument")]
    LongLabel { key: String },
    #[error("unrecognized image format")]
    NoImageFormat,
    #[error("unsupported OCI version {version}")]
    LayoutVersion { version: String },
    #[error("missing index.json in OCI layout 1.0.0")]
    NoIndex,
    #[error("image config {path:?} not found")]
    NoConfigFile { path: String },
    #[error("failed to resolve layers: layer {path:?} not found")]
    NoLayerFile { path: String },
    #[error("no target for symlink layer from {path:?} to {target:?}")]
    NoLinkTarget { path: String, target: String },
    #[error("invalid checksum digest format")]
    BadDigest { text: String },
    #[error("{what} {digest}: {reason}")]
    Document {
        what: &'static str,
        digest: String,
        reason: String,
    },
    #[error("unexpected media type {media_type} for {digest}: not found")]
    MediaType { media_type: String, digest: String },
    #[error("no match for platform in manifest {digest}: not found")]
    NoPlatform { digest: String },
    #[error("manifest {digest}: not found")]
    NoManifest { digest: String },
    #[error("failed to resolve rootfs: {0}")]
    Rootfs(Box<StoreError>),
    #[error("mismatched image rootfs and manifest layers")]
    Mismatched { diff_ids: usize, layers: usize },
    #[error("failed to extract layer {diff_id}: {why}")]
    Extract { diff_id: String, why: String },
    #[error("wrong diff id calculated on extraction \"{computed}\"")]
    WrongDiffId { computed: String, expected: String },
    #[error("more than {limit} {what}, at which handroll stops")]
    TooMuch { what: &'static str, limit: u64 },
    #[error("image might be filtered out")]
    Filtered,
    #[error("{reason}")]
    Archive { reason: String },
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("{path}: {reason}")]
    Disk { path: String, reason: String },
}

/// containerd's classes of errors: what a caller decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// There is no such thing.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// It is not in the state that this takes.
    FailedPrecondition,
    /// The request makes no sense.
    InvalidArgument,
    /// Anything else.
    Unknown,
}

impl StoreError {
    /// Its class, by the words at its end.
    pub fn class(&self) -> Class {
        let text = self.to_string();
        let classes = [
            (": not found", Class::NotFound),
            (": already exists", Class::AlreadyExists),
            (": failed precondition", Class::FailedPrecondition),
            (": invalid argument", Class::InvalidArgument),
        ];
        let found = classes.iter().find(|(end, _)| text.ends_with(end));
        found.map_or(Class::Unknown, |(_, class)| *class)
    }
}
