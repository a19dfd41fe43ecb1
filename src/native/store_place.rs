//! Where things are in a store's directory (see `store_disk`).

use std::path::{Path, PathBuf};

use super::store_view::snapshot_view;
use crate::digest::Digest;
use crate::image::root::Root;
use crate::store::snapshots_of;

const CONTENT: &str = "io.containerd.content.v1.content";
const METADATA: &str = "io.containerd.metadata.v1.handroll";
const TASKS: &str = "io.containerd.runtime.v2.task";

/// The directory of a store: an absolute path without links.
#[derive(Clone, Debug)]
pub struct StorePlace {
    root: String,
}

impl StorePlace {
    pub(super) fn new(root: String) -> Self {
        Self { root }
    }

    pub(super) fn text(&self) -> &str {
        &self.root
    }

    fn path(&self, names: &[&str]) -> PathBuf {
        let mut path = PathBuf::from(&self.root);
        path.extend(names);
        path
    }

    pub(super) fn root(&self) -> &Path {
        Path::new(&self.root)
    }

    /// Where the metadata and the lock are.
    pub(super) fn metadata(&self) -> PathBuf {
        self.path(&[METADATA])
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.path(&[CONTENT, "blobs", "sha256"])
    }

    pub(super) fn ingest(&self) -> PathBuf {
        self.path(&[CONTENT, "ingest"])
    }

    pub(super) fn blob(&self, digest: Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    pub(super) fn snapshots(&self) -> PathBuf {
        PathBuf::from(snapshots_of(&self.root))
    }

    /// `snapshots/N`.
    pub(super) fn directory(&self, number: u64) -> PathBuf {
        self.snapshots().join(number.to_string())
    }

    /// `snapshots/N/fs`.
    pub(super) fn fs(&self, number: u64) -> PathBuf {
        self.directory(number).join("fs")
    }

    /// `snapshots/N/work`.
    pub(super) fn work(&self, number: u64) -> PathBuf {
        self.directory(number).join("work")
    }

    /// Where the tasks are.
    pub(super) fn tasks(&self) -> PathBuf {
        self.path(&[TASKS])
    }

    /// The directory of a task.
    pub(super) fn task(&self, namespace: &str, id: &str) -> PathBuf {
        self.path(&[TASKS, namespace, id])
    }

    /// What is seen through an active snapshot: the number of its directory and of those that it stands on, the
    /// topmost first.
    pub fn view(&self, number: u64, parents: &[u64]) -> Result<Box<dyn Root>, String> {
        let lowers: Vec<PathBuf> = parents.iter().map(|&number| self.fs(number)).collect();
        snapshot_view(&lowers, &self.fs(number), &self.work(number))
    }
}
