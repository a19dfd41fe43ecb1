//! What containerd keeps of images and containers, and by which rules: the content store, images, snapshots,
//! containers, leases, garbage collection. Knows the documents of images and how a layer is unpacked, and no disk:
//! bytes and directories are a [`Disk`]'s.
//!
//! [`Store`] is containerd's database, a persistent value; [`Client`] is whoever works in one of its namespaces, and
//! tells each step as an [`Event`]. containerd 1.6.20 with its overlayfs snapshotter is the judge (`tests/store.rs`).

mod container;
mod content;
mod directory;
pub mod ctr;
mod disk;
mod document;
mod error;
mod event;
mod gc;
pub mod host;
mod image;
mod import;
mod lease;
mod memory;
mod sharing;
mod snapshot;
mod summary;
mod table;
#[cfg(test)]
mod tests;
mod unpack;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::tree::Time;

pub use container::{Container, RUNTIME, Task};
pub use content::{Blob, UNCOMPRESSED, blob_path};
pub use disk::{Applied, ApplyError, Disk, DiskError, Effects};
pub use document::{Descriptor, Manifest, Platforms, normal, platform_text};
pub use error::{Class, StoreError};
pub use event::{CHANGES, Change, Changes, Event, Kind, Rule, Sign};
pub use gc::{Reason, Resource, Verdict};
pub use image::Image;
pub use import::{ArchiveFile, Import, files_of};
pub use lease::Lease;
pub use memory::{CONTAINERD, MemoryDisk};
pub use sharing::{ImageShare, LayerShare, Near, Sharing, sharing};
pub use snapshot::{Mount, Snapshot, SnapshotKind, Usage, snapshots_of};
pub use summary::{Summaries, Summary};
pub use table::{Keys, Table};

/// The snapshotter, the only one here.
pub const SNAPSHOTTER: &str = "overlayfs";
/// The namespace that `ctr` works in if it is told nothing else.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Labels: what garbage collection and others go by.
pub type Labels = BTreeMap<String, String>;

/// A result of an operation on a store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// containerd's database (`meta.db` and the snapshotter's `metadata.db`), with what lies on the disk. A clone costs
/// nothing.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Each by its name.
    pub namespaces: Table<Namespace>,
    /// The digests of the files in the content store: those of all namespaces, and what waits for garbage collection;
    /// each with its size in bytes.
    pub blobs: Table<u64>,
    /// The numbers of the snapshots' directories, in order: those of all namespaces, and what waits for garbage
    /// collection.
    pub directories: Arc<Vec<u64>>,
    /// The last number that a directory was given.
    pub last_directory: u64,
    /// What makes the next key unlike all others.
    pub last_unique: u64,
    /// Whether something was removed since garbage was collected: containerd then collects it within a second.
    pub is_dirty: bool,
}

/// What one namespace has.
#[derive(Clone, Debug, Default)]
pub struct Namespace {
    /// Its labels.
    pub labels: Labels,
    /// By digest.
    pub content: Table<Blob>,
    /// By name.
    pub images: Table<Image>,
    /// By key: those of committed ones are their names.
    pub snapshots: Table<Snapshot>,
    /// By id.
    pub containers: Table<Container>,
    /// By id.
    pub leases: Table<Lease>,
    /// The last number that made a snapshot's key the snapshotter's own.
    pub last_snapshot: u64,
}

impl Store {
    /// What a namespace has, if there is one of that name.
    pub fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces.get(name)
    }
}

/// The store after something happened.
#[derive(Clone, Debug)]
pub struct Moment {
    /// What happened.
    pub event: Event,
    /// What there was then.
    pub after: Store,
}

/// Whoever works in a namespace of a store: containerd's client and its services in one.
pub struct Client<'a> {
    /// What there is.
    pub store: &'a mut Store,
    /// Where the bytes are.
    pub disk: &'a mut dyn Disk,
    /// The namespace that is worked in; it is made when something is put into it.
    pub namespace: String,
    /// The time: the core has no clock.
    pub now: Time,
    /// The lease that keeps what is made, while there is one.
    pub lease: Option<String>,
    /// What has happened, in order.
    pub moments: Vec<Moment>,
}

impl<'a> Client<'a> {
    /// Nothing has happened yet.
    pub fn new(store: &'a mut Store, disk: &'a mut dyn Disk, namespace: &str, now: Time) -> Self {
        Self {
            store,
            disk,
            namespace: namespace.to_owned(),
            now,
            lease: None,
            moments: Vec::new(),
        }
    }

    /// What the namespace has; nothing if there is none.
    pub fn here(&self) -> Namespace {
        let found = self.store.namespace(&self.namespace);
        found
            .map(|namespace| Namespace::clone(namespace))
            .unwrap_or_default()
    }

    /// The namespace, to be changed, if there is one.
    fn found_mut(&mut self) -> Option<&mut Namespace> {
        self.store.namespaces.get_mut(&self.namespace)
    }

    /// The namespace, to be changed; made if there is none.
    fn here_mut(&mut self) -> &mut Namespace {
        if !self.store.namespaces.has(&self.namespace) {
            self.store.namespaces.put(&self.namespace, Namespace::default());
        }
        let found = self.store.namespaces.get_mut(&self.namespace);
        found.expect("it was made if it was not there")
    }

    fn tell(&mut self, event: Event) {
        self.moments.push(Moment {
            event,
            after: self.store.clone(),
        });
    }

    /// What makes a key unlike all others. containerd has the nanoseconds of the time and three random bytes; here a
    /// counter stands for chance (rootfs/apply.go, `uniquePart`).
    fn unique(&mut self) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        self.store.last_unique += 1;
        let number = self.store.last_unique;
        let digit = |place: u32| char::from(DIGITS[(number >> (6 * place)) as usize & 63]);
        let digits: String = (0..4).rev().map(digit).collect();
        format!("{}-{digits}", self.now.nanos)
    }
}

/// A label and its value have at most 4096 bytes together (labels/validate.go).
fn check_labels(labels: &Labels) -> Result<()> {
    const LIMIT: usize = 4096;
    match labels.iter().find(|(key, value)| key.len() + value.len() > LIMIT) {
        None => Ok(()),
        Some((key, _)) => Err(StoreError::LongLabel {
            key: key.chars().take(10).collect(),
        }),
    }
}

/// Sets labels; an empty value takes one off (metadata/boltutil/helpers.go, `WriteLabels`).
fn set_labels(labels: &mut Labels, set: &[(String, String)]) -> Result<()> {
    for (key, value) in set {
        match value.is_empty() {
            true => labels.remove(key),
            false => labels.insert(key.clone(), value.clone()),
        };
    }
    check_labels(labels)
}

/// Whether a text can name a container or a namespace (identifiers/validate.go). `what` stands before the error.
pub fn check_identifier(what: &'static str, text: &str) -> Result<()> {
    const LIMIT: usize = 76;
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let given = || text.to_owned();
    match text.len() {
        0 => Err(StoreError::NoIdentifier { what }),
        length if length > LIMIT => Err(StoreError::LongIdentifier { what, text: given() }),
        _ if text.split(['.', '_', '-']).all(is_part) => Ok(()),
        _ => Err(StoreError::Identifier { what, text: given() }),
    }
}
