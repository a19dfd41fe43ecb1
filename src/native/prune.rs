//! Removing unpacked layers that no mount needs.
//!
//! A layer is needed by what is mounted, which the mount tables of all processes say; by a mount that is being
//! made; and by a command that runs in a mount of its own. The last two hold the lock `PLACE/KIND/users` together;
//! who prunes holds it alone.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, FdFlags};

use super::mountinfo;
use super::place::{Place, PlaceError, at, empty_directory, lock_file, remove_directory, retry};

/// The right to use layers, which nobody removes as long as the value lives.
pub struct Users(File);

impl Users {
    /// Leaves it to the commands that this process starts, too: as long as one of them lives, no layer goes.
    pub fn share(&self) -> Result<(), Errno> {
        rustix::io::fcntl_setfd(&self.0, FdFlags::empty())
    }
}

/// What pruning did with the layers of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pruned {
    /// How many layers are gone, and how many stay since something is mounted with them.
    Done {
        /// Gone.
        removed: usize,
        /// Needed.
        kept: usize,
    },
    /// Nothing: layers are used by a command in a mount of its own, or a mount is being made.
    InUse,
    /// Nothing: what is mounted here does not say with which layers.
    Unknown(PathBuf),
}

impl Place {
    /// Says that layers will be used. Waits while somebody prunes.
    pub fn users(&self) -> Result<Users, PlaceError> {
        let path = self.root().join("users");
        let file = lock_file(&path)?;
        at(&path, retry(|| flock(&file, FlockOperation::LockShared)))?;
        Ok(Users(file))
    }
}

/// Removes the layers of one kind in the place `base` that nothing needs. Waits while somebody unpacks.
pub fn prune(base: &Path, kind: &str) -> Result<Pruned, PlaceError> {
    let root = at(base, fs::canonicalize(base))?.join(kind);
    let users = root.join("users");
    let alone = lock_file(&users)?;
    match flock(&alone, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(Pruned::InUse),
        result => at(&users, result)?,
    }
    let lock = root.join("lock");
    let unpacking = lock_file(&lock)?;
    at(&lock, retry(|| flock(&unpacking, FlockOperation::LockExclusive)))?;
    empty_directory(&root.join("work"))?;
    let layers = root.join("layers");
    let needed = match needed(&layers) {
        Ok(needed) => needed,
        Err(target) => return Ok(Pruned::Unknown(target)),
    };
    let (mut removed, mut kept) = (0, 0);
    for entry in at(&layers, fs::read_dir(&layers))? {
        let name = at(&layers, entry)?.file_name();
        if needed.contains(&name) {
            kept += 1;
            continue;
        }
        // First it loses its name, so that what is killed meanwhile leaves no half layer.
        let work = root.join("work").join(&name);
        at(&work, fs::rename(layers.join(&name), &work))?;
        remove_directory(&work)?;
        removed += 1;
    }
    Ok(Pruned::Done { removed, kept })
}

/// The kinds of layers that there are in a place.
pub fn kinds(base: &Path) -> Result<Vec<String>, PlaceError> {
    let mut kinds = Vec::new();
    for entry in at(base, fs::read_dir(base))? {
        let entry = at(base, entry)?;
        if let (true, Ok(kind)) = (
            entry.path().join("layers").is_dir(),
            entry.file_name().into_string(),
        ) {
            kinds.push(kind);
        }
    }
    kinds.sort();
    Ok(kinds)
}

/// The names of the layers that something is mounted with, in any process's mounts. The error is where something
/// is mounted that does not say.
fn needed(layers: &Path) -> Result<BTreeSet<OsString>, PathBuf> {
    let mut needed = BTreeSet::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        // Of other users' processes a user learns nothing; nor do they mount this user's layers.
        let Ok(lines) = mountinfo::read_of(&process.path().join("mountinfo")) else {
            continue;
        };
        for line in lines {
            for lower in line.lowers() {
                if lower.starts_with("/proc/self/fd") {
                    return Err(line.target);
                }
                let inside = lower.strip_prefix(layers).ok();
                needed.extend(inside.and_then(|path| Some(path.iter().next()?.to_owned())));
            }
        }
    }
    Ok(needed)
}
