//! An image's root file system in a directory: all layers applied one on the other to plain files, as containerd's
//! native snapshotter has it, with nothing of overlayfs.
//!
//! It is filled under another name beside its place, `.NAME.handroll`, where nobody else can look into, and moved
//! when it is complete: a directory of the name that was asked for never holds half an image, and what a killed
//! process leaves is found and removed by the next.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::layer_root::{LayerRoot, LeftOut, Powers};
use super::place::{LayerBlob, PlaceError, apply_to, at, checked_tar, empty_directory, remove_directory};
use super::signal::Held;
use crate::digest::{Digest, chain_id};

/// What was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpackedRoot {
    /// Where: an absolute path without links.
    pub directory: PathBuf,
    /// The digest of all layers together; none if there are none.
    pub chain_id: Option<Digest>,
    /// What could not be kept.
    pub left_out: LeftOut,
}

/// A root file system could not be unpacked. What was unpacked before is removed, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The directory is none to unpack to.
    #[error("{}: {reason}", path.display())]
    Target {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A layer could not be unpacked.
    #[error(transparent)]
    Layer(#[from] PlaceError),
    /// What was unpacked before could not be removed.
    #[error("{error}; what was unpacked so far is left in {}: {reason}", path.display())]
    Remains {
        /// What went wrong.
        error: Box<UnpackError>,
        /// Where it is.
        path: PathBuf,
        /// Why it could not be removed.
        reason: Box<PlaceError>,
    },
}

/// Unpacks layers, bottom first, to a directory that is empty or not there. `tell` is told how many bytes of how many
/// are done. Signals that ask the process to end are held back, and end the work. The process must have no other
/// threads.
pub fn unpack(
    layers: &[LayerBlob],
    target: &Path,
    powers: Powers,
    tell: &mut dyn FnMut(u64, u64),
) -> Result<UnpackedRoot, UnpackError> {
    let target = Target::new(target)?;
    let held = Rc::new(at(&target.work, Held::new())?);
    let _lock = target.make_work()?;
    let done = fill(layers, &target.root(), powers, &held, tell).and_then(|done| {
        target.finish()?;
        Ok(done)
    });
    let error = match done {
        Ok((chain_id, left_out)) => {
            return Ok(UnpackedRoot {
                directory: target.path,
                chain_id,
                left_out,
            });
        }
        Err(error) => error.or_signal(&held).into(),
    };
    match remove_directory(&target.work) {
        Ok(()) => Err(error),
        Err(reason) => Err(UnpackError::Remains {
            error: Box::new(error),
            path: target.work,
            reason: Box::new(reason),
        }),
    }
}

/// Applies all layers to a new directory.
fn fill(
    layers: &[LayerBlob],
    directory: &Path,
    powers: Powers,
    held: &Rc<Held>,
    tell: &mut dyn FnMut(u64, u64),
) -> Result<(Option<Digest>, LeftOut), PlaceError> {
    let total = layers.iter().map(|layer| layer.blob.len()).sum();
    let mut before = 0;
    let mut chain = None;
    let mut root = at(directory, LayerRoot::open(directory, powers))?.stopping_at(held.clone());
    for (number, layer) in (1..).zip(layers) {
        let length = layer.blob.len();
        let mut part = |done: u64| {
            tell(before + done.min(length), total);
            match held.stopped() {
                None => Ok(()),
                Some(_) => at(directory, Err(Errno::INTR)),
            }
        };
        let (tar, diff_id) = checked_tar(layer, number, &mut part)?;
        // A plain directory has no layers below: what is there is removed, not hidden.
        apply_to(&tar, &mut root, &[], number)?;
        chain = Some(chain_id(chain, diff_id));
        before += length;
    }
    Ok((chain, root.into_left_out()))
}

/// Where it goes.
struct Target {
    /// An absolute path without links.
    path: PathBuf,
    /// What is there: a directory without anything in it.
    is_there: Option<fs::Metadata>,
    /// Beside it, where it is filled.
    work: PathBuf,
}

impl Target {
    fn new(given: &Path) -> Result<Self, UnpackError> {
        let fail = |reason: String| UnpackError::Target {
            path: given.to_owned(),
            reason,
        };
        let (path, is_there) = match fs::metadata(given) {
            Ok(metadata) => (fs::canonicalize(given), Some(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (in_parent(given), None),
            Err(error) => (Err(error), None),
        };
        let path = path.map_err(|error| fail(error.to_string()))?;
        if let Some(metadata) = &is_there {
            if !metadata.is_dir() {
                return Err(fail("it is there, and no directory".to_owned()));
            }
            let parent = path.parent().and_then(|parent| fs::metadata(parent).ok());
            if parent.is_some_and(|parent| parent.dev() != metadata.dev()) {
                return Err(fail(
                    "something is mounted there; expected a directory that can be replaced".to_owned(),
                ));
            }
            let mut entries = fs::read_dir(&path).map_err(|error| fail(error.to_string()))?;
            if entries.next().is_some() {
                return Err(fail(
                    "it is not empty; expected an empty directory, or none".to_owned(),
                ));
            }
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(fail("it is the root of this machine".to_owned()));
        };
        let hidden = [".".as_ref(), name, ".handroll".as_ref()].join("".as_ref());
        Ok(Self {
            work: parent.join(hidden),
            path,
            is_there,
        })
    }

    fn root(&self) -> PathBuf {
        self.work.join("root")
    }

    /// Makes the directory to work in, or takes over what a killed process left, with a lock on it.
    fn make_work(&self) -> Result<File, UnpackError> {
        let fail = |reason: &str| UnpackError::Target {
            path: self.work.clone(),
            reason: reason.to_owned(),
        };
        match DirBuilder::new().mode(0o700).create(&self.work) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => at(&self.work, Err(error))?,
            _ => {}
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = File::from(at(&self.work, openat(CWD, &self.work, flags, Mode::empty()))?);
        let metadata = at(&self.work, lock.metadata())?;
        if metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o077 != 0 {
            return Err(fail(
                "somebody else made it; it is where a root file system is put together",
            ));
        }
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(fail("another handroll is unpacking there")),
            locked => at(&self.work, locked)?,
        }
        empty_directory(&self.work)?;
        let root = self.root();
        at(&root, DirBuilder::new().create(&root))?;
        at(&root, fs::set_permissions(&root, Permissions::from_mode(0o755)))?;
        Ok(lock)
    }

    /// Moves what is complete to its place. A directory that was there keeps its owner and its mode.
    fn finish(&self) -> Result<(), PlaceError> {
        let root = self.root();
        if let Some(metadata) = &self.is_there {
            let mode = Permissions::from_mode(metadata.mode() & 0o7777);
            at(
                &self.path,
                chown(&root, Some(metadata.uid()), Some(metadata.gid())),
            )?;
            at(&self.path, fs::set_permissions(&root, mode))?;
        }
        at(&self.path, fs::rename(&root, &self.path))?;
        at(&self.work, fs::remove_dir(&self.work))
    }
}

/// The absolute path of something that is not there, in a directory that is.
fn in_parent(path: &Path) -> io::Result<PathBuf> {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(fs::canonicalize(parent)?.join(name))
}
