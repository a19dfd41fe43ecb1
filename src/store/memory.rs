//! A disk in memory, a persistent value: blobs are contents that may lie elsewhere, directories are upperdirs. A clone
//! costs nothing.

use std::sync::Arc;

use super::directory::{Unpacking, empty, tree, usage};
use super::disk::{Applied, ApplyError, Disk, DiskError, Effects};
use super::snapshot::Usage;
use super::table::Table;
use crate::compress::inflate::plain;
use crate::content::{Content, ScratchSpace};
use crate::digest::Digest;
use crate::layer::dialect::apply_layer;
use crate::overlay::mount::Upper;
use crate::tree::{Time, Tree};

/// The disk.
#[derive(Clone)]
pub struct MemoryDisk {
    blobs: Table<Content>,
    directories: Table<Upper>,
    /// Where layers are unpacked to.
    scratches: Arc<dyn ScratchSpace>,
    /// Contents whose digests are known already, each with what it is unpacked.
    known: Table<(Content, Content)>,
}

/// Where containerd keeps everything.
pub const CONTAINERD: &str = "/var/lib/containerd";

impl MemoryDisk {
    /// An empty disk, which unpacks layers to such scratches.
    pub fn new(scratches: Arc<dyn ScratchSpace>) -> Self {
        Self {
            blobs: Table::default(),
            directories: Table::default(),
            scratches,
            known: Table::default(),
        }
    }

    /// Takes for granted what was computed elsewhere: the digest of a blob, and what it is without its packing. Both
    /// are not computed again.
    pub fn know(&mut self, digest: Digest, content: Content, unpacked: Content) {
        self.known.put(&digest.to_string(), (content, unpacked));
    }

    /// Forgets what was taken for granted.
    pub fn forget(&mut self) {
        self.known = Table::default();
    }

    /// A blob, if it is there.
    pub fn content(&self, digest: &str) -> Option<&Content> {
        self.blobs.get(digest).map(|content| &**content)
    }

    /// `fs` of a directory, if there is one of this number.
    pub fn directory(&self, number: u64) -> Option<&Upper> {
        self.directories.get(&number.to_string()).map(|upper| &**upper)
    }

    /// Puts `fs` of a directory in place of what it was: whoever has it mounted has written to it.
    pub fn set_directory(&mut self, number: u64, upper: Upper) {
        let key = number.to_string();
        if self.directories.has(&key) {
            self.directories.put(&key, upper);
        }
    }

    /// A directory as the tree of a layer, as which overlayfs reads it.
    pub fn tree(&self, number: u64) -> Option<Tree> {
        self.directory(number).map(tree)
    }

    fn found(&self, number: u64) -> Result<&Upper, DiskError> {
        self.directory(number).ok_or_else(|| DiskError::Failed {
            path: format!("directory {number}"),
            reason: "no such file or directory".to_owned(),
        })
    }

    fn applied(
        &mut self,
        number: u64,
        parents: &[u64],
        layer: &Content,
        now: Time,
        effects: &mut Effects,
    ) -> Result<(Digest, u64), String> {
        let said = |error: DiskError| error.to_string();
        let mut known = self.known.iter();
        let tar = match known.find(|(_, known)| known.0.is_same(layer)) {
            Some((_, known)) => known.1.clone(),
            None => plain(layer, &*self.scratches).map_err(|error| error.to_string())?,
        };
        let below: Result<Vec<Unpacking>, DiskError> = parents
            .iter()
            .rev()
            .map(|&parent| Ok(Unpacking::new(self.found(parent)?.clone(), now)))
            .collect();
        let mut directory = Unpacking::new(self.found(number).map_err(said)?.clone(), now);
        let done = apply_layer(&tar, &mut directory, &below.map_err(said)?, Some(effects));
        // What was done before a failure lies on the disk.
        self.directories.put(&number.to_string(), directory.upper);
        done.map_err(|fault| fault.why.to_string())?;
        let diff_id = tar.digest().map_err(|error| error.to_string())?;
        Ok((diff_id, tar.len()))
    }
}

impl Disk for MemoryDisk {
    fn add_blob(&mut self, content: &Content) -> Result<Digest, DiskError> {
        let known = self.known.iter().find(|(_, known)| known.0.is_same(content));
        let known = known.and_then(|(digest, _)| digest.parse().ok());
        let digest = match known {
            Some(digest) => digest,
            None => content.digest()?,
        };
        let key = digest.to_string();
        if !self.blobs.has(&key) {
            self.blobs.put(&key, content.clone());
        }
        Ok(digest)
    }

    fn blob(&self, digest: Digest) -> Result<Content, DiskError> {
        let found = self.blobs.get(&digest.to_string());
        let found = found.ok_or_else(|| DiskError::Failed {
            path: digest.to_string(),
            reason: "no such file or directory".to_owned(),
        })?;
        Ok(Content::clone(found))
    }

    fn remove_blob(&mut self, digest: Digest) -> Result<(), DiskError> {
        self.blobs.remove(&digest.to_string());
        Ok(())
    }

    fn make(&mut self, number: u64, parent: Option<u64>, _: bool, now: Time) -> Result<(), DiskError> {
        let owner = match parent {
            None => (0, 0),
            Some(parent) => {
                let root = &self.found(parent)?.inode(Upper::ROOT).attributes;
                (root.uid, root.gid)
            }
        };
        self.directories
            .put(&number.to_string(), empty(0o755, owner, now));
        Ok(())
    }

    fn apply(
        &mut self,
        number: u64,
        parents: &[u64],
        layer: &Content,
        now: Time,
    ) -> Result<Applied, ApplyError> {
        let mut effects = Effects::default();
        let done = self.applied(number, parents, layer, now, &mut effects);
        let Effects { entries, changes } = effects;
        match done {
            Ok((diff_id, size)) => Ok(Applied {
                diff_id,
                size,
                entries,
                changes,
            }),
            Err(why) => Err(ApplyError {
                why,
                entries,
                changes,
            }),
        }
    }

    fn usage(&self, number: u64) -> Result<Usage, DiskError> {
        Ok(usage(self.found(number)?))
    }

    fn remove(&mut self, number: u64) -> Result<(), DiskError> {
        self.directories.remove(&number.to_string());
        Ok(())
    }

    fn root(&self) -> &str {
        CONTAINERD
    }
}

impl std::fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (blobs, directories) = (self.blobs.len(), self.directories.len());
        write!(f, "MemoryDisk({blobs} blobs, {directories} directories)")
    }
}
