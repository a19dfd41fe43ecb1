//! The place where layers lie unpacked, each in a directory named by its ChainID, so that images share them.
//!
//! ```text
//! PLACE/KIND/lock          held while something is unpacked
//!            users         held together by those who use layers: see `prune`
//!            layers/CHAIN/fs      a layer, complete
//!                         lost    what a user namespace could not keep of it
//!            work/            what is being unpacked: whatever lies here without the lock held is swept
//!            mounts/          what belongs to mounts: see `session`
//!            empty/1, 2       directories without anything, where the kernel wants more layers than there are
//! ```
//!
//! KIND says for whom layers were unpacked: the same tar gives other owners in a user namespace, and other marks
//! with `userxattr`. A layer gets its name when all of it is on disk; so what a killed process leaves has none.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock, syncfs};
use rustix::io::Errno;
use rustix::process::Signal;

use super::TemporaryFiles;
use super::layer_root::{LayerRoot, LeftOut, Powers};
use super::left_out;
use super::mount_error::MountError;
use super::overlay_mount::MAX_LOWERS;
use super::remove::remove_all;
use super::signal::Held;
use crate::compress::inflate::{Inflate, InflateError, Packing, limit_for};
use crate::content::{Content, ContentError, Scratch, ScratchSpace as _};
use crate::digest::{Digest, Hasher, chain_id};
use crate::layer::dialect::{self, Why, apply_layer};
use crate::text::escape;

/// A layer to be unpacked.
#[derive(Clone, Debug)]
pub struct LayerBlob {
    /// The digest of its tar, as the image's configuration says it; none if nothing says it.
    pub diff_id: Option<Digest>,
    /// The tar, which may be compressed.
    pub blob: Content,
}

/// A layer that lies unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpackedLayer {
    /// The digest of this layer and all below it.
    pub chain_id: Digest,
    /// Its directory.
    pub directory: PathBuf,
    /// What a user namespace could not keep.
    pub left_out: LeftOut,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpacking {
    /// Another process unpacks; this one waits for it.
    Waiting,
    /// Bytes of all tars that are passed, and of all blobs that are to be unpacked.
    Working {
        /// Bytes passed.
        done: u64,
        /// All bytes.
        total: u64,
    },
}

/// Layers could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// A file or directory of the place itself.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// More layers than can be mounted.
    #[error(transparent)]
    TooMany(MountError),
    /// A blob can't be inflated or read.
    #[error("layer {layer}: {error}")]
    Blob {
        /// The layer, from 1 on, bottom first.
        layer: usize,
        /// Why.
        error: InflateError,
    },
    /// A layer is not what the image says.
    #[error(
        "layer {layer} is not the one that the image was made of: its DiffID is {found}, the configuration says \
         {expected}"
    )]
    DiffId {
        /// The layer, from 1 on, bottom first.
        layer: usize,
        /// What the configuration says.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// An entry can't be unpacked.
    #[error("layer {layer}, {} at byte {offset}: {}", shown(name), reason(why))]
    Entry {
        /// The layer, from 1 on, bottom first.
        layer: usize,
        /// Where in the tar.
        offset: u64,
        /// The entry's name; empty for a broken tar.
        name: Vec<u8>,
        /// Why.
        why: Why,
    },
    /// A signal came that asks the process to end.
    #[error("ended by {}", signal_name(*signal))]
    Signal {
        /// Its number.
        signal: i32,
    },
}

impl PlaceError {
    /// The signal that came, if one has: then it is why the work failed.
    pub(super) fn or_signal(self, held: &Held) -> Self {
        match held.stopped() {
            None => self,
            Some(signal) => Self::Signal {
                signal: signal.as_raw(),
            },
        }
    }
}

fn signal_name(number: i32) -> String {
    match Signal::from_named_raw(number) {
        Some(signal) => format!("{signal:?}"),
        None => format!("signal {number}"),
    }
}

fn shown(name: &[u8]) -> String {
    match name {
        b"" => "the tar".to_owned(),
        name => format!("`{}`", escape(name)),
    }
}

fn reason(why: &Why) -> String {
    match why {
        Why::Errno(dialect::Errno::Other(number)) => io::Error::from_raw_os_error(*number).to_string(),
        why => why.to_string(),
    }
}

/// Adds the path to an error.
pub(super) fn at<T>(path: &Path, result: Result<T, impl Into<io::Error>>) -> Result<T, PlaceError> {
    result.map_err(|error| PlaceError::Io {
        path: path.to_owned(),
        error: error.into(),
    })
}

/// A private, content-addressed place for layers.
pub struct Place {
    root: PathBuf,
    powers: Powers,
}

/// The right to unpack, which one process has at a time. It is gone with the value, however the process ends.
struct Locked(#[allow(dead_code, reason = "the lock lives as long as the descriptor")] File);

impl Place {
    /// Opens the part of `base` for layers that are unpacked with these powers; makes it where there is none.
    /// `kind` names it.
    pub fn open(base: &Path, kind: &str, powers: Powers) -> Result<Self, PlaceError> {
        make_private(base)?;
        let base = at(base, fs::canonicalize(base))?;
        let root = base.join(kind);
        for path in [
            root.clone(),
            root.join("layers"),
            root.join("work"),
            root.join("empty"),
        ] {
            make_private(&path)?;
        }
        Ok(Self { root, powers })
    }

    /// Where it is: absolute, without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A directory without anything in it: the first or the second.
    pub fn empty(&self, number: usize) -> Result<PathBuf, PlaceError> {
        let path = self.root.join("empty").join(number.to_string());
        match DirBuilder::new().mode(0o755).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => at(&path, Err(error)),
            _ => Ok(path),
        }
    }

    /// The layers of an image, bottom first, unpacked: those that lie there already, and the others now. `tell` is
    /// told how far it is. Signals that ask the process to end are held back while layers are unpacked, and end the
    /// work. The process must have no other threads.
    pub fn stack(
        &self,
        layers: &[LayerBlob],
        tell: &mut dyn FnMut(Unpacking),
    ) -> Result<Vec<UnpackedLayer>, PlaceError> {
        if layers.len() > MAX_LOWERS {
            let count = layers.len();
            return Err(PlaceError::TooMany(MountError::TooManyLowers { count }));
        }
        let mut stack = Vec::new();
        self.take_known(layers, &mut stack)?;
        if stack.len() == layers.len() {
            return Ok(stack);
        }
        let _locked = self.lock(tell)?;
        let held = Rc::new(at(&self.root, Held::new())?);
        // Another process may have unpacked them meanwhile.
        self.take_known(layers, &mut stack)?;
        let missing = &layers[stack.len()..];
        let total = missing.iter().map(|layer| layer.blob.len()).sum();
        let mut before = 0;
        for layer in missing {
            let length = layer.blob.len();
            tell(Unpacking::Working { done: before, total });
            let mut part = |done: u64| {
                let done = before + done.min(length);
                tell(Unpacking::Working { done, total });
                match held.stopped() {
                    None => Ok(()),
                    Some(_) => at(&self.root, Err(Errno::INTR)),
                }
            };
            let unpacked = self.unpack(layer, &stack, &held, &mut part);
            stack.push(unpacked.map_err(|error| error.or_signal(&held))?);
            before += length;
        }
        Ok(stack)
    }

    /// Adds to the stack the layers that lie there, up to the first that does not or that has no digest.
    fn take_known(&self, layers: &[LayerBlob], stack: &mut Vec<UnpackedLayer>) -> Result<(), PlaceError> {
        while let Some(diff_id) = layers.get(stack.len()).and_then(|layer| layer.diff_id) {
            let below = stack.last().map(|layer| layer.chain_id);
            match self.known(chain_id(below, diff_id))? {
                Some(layer) => stack.push(layer),
                None => break,
            }
        }
        Ok(())
    }

    fn known(&self, chain_id: Digest) -> Result<Option<UnpackedLayer>, PlaceError> {
        let layer = self.layer_path(chain_id);
        let directory = layer.join("fs");
        if !directory.is_dir() {
            return Ok(None);
        }
        let lost = layer.join("lost");
        let left_out = match fs::read(&lost) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => LeftOut::default(),
            text => left_out::parse(&at(&lost, text)?),
        };
        Ok(Some(UnpackedLayer {
            chain_id,
            directory,
            left_out,
        }))
    }

    fn layer_path(&self, chain_id: Digest) -> PathBuf {
        self.root.join("layers").join(chain_id.hex())
    }

    /// Waits until no other process unpacks here, and sweeps what those that were killed left.
    fn lock(&self, tell: &mut dyn FnMut(Unpacking)) -> Result<Locked, PlaceError> {
        let path = self.root.join("lock");
        let file = lock_file(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                tell(Unpacking::Waiting);
                at(&path, retry(|| flock(&file, FlockOperation::LockExclusive)))?;
            }
            result => at(&path, result)?,
        }
        empty_directory(&self.root.join("work"))?;
        Ok(Locked(file))
    }

    fn unpack(
        &self,
        layer: &LayerBlob,
        stack: &[UnpackedLayer],
        held: &Rc<Held>,
        tell: &mut dyn FnMut(u64) -> Result<(), PlaceError>,
    ) -> Result<UnpackedLayer, PlaceError> {
        let number = stack.len() + 1;
        let (tar, found) = checked_tar(layer, number, tell)?;
        let below = stack.last().map(|layer| layer.chain_id);
        let chain_id = chain_id(below, found);
        if let Some(known) = self.known(chain_id)? {
            return Ok(known);
        }
        let work = self.root.join("work").join(chain_id.hex());
        let left_out = self.fill(&work, &tar, number, stack, held).inspect_err(|_| {
            // The next run sweeps what cannot be removed now.
            let _ = remove_directory(&work);
        })?;
        let done = self.layer_path(chain_id);
        at(&done, fs::rename(&work, &done))?;
        let layers = self.root.join("layers");
        at(
            &layers,
            File::open(&layers).and_then(|directory| directory.sync_all()),
        )?;
        Ok(UnpackedLayer {
            chain_id,
            directory: done.join("fs"),
            left_out,
        })
    }

    /// Unpacks a tar into a directory that is not there yet, and waits until all is on disk.
    fn fill(
        &self,
        work: &Path,
        tar: &Content,
        layer: usize,
        stack: &[UnpackedLayer],
        held: &Rc<Held>,
    ) -> Result<LeftOut, PlaceError> {
        let root = work.join("fs");
        for path in [work, &root] {
            at(path, DirBuilder::new().mode(0o700).create(path))?;
        }
        // The mode that containerd gives the root of a layer, whatever the umask.
        at(&root, fs::set_permissions(&root, Permissions::from_mode(0o755)))?;
        let mut fs_root = at(&root, LayerRoot::open(&root, self.powers))?.stopping_at(held.clone());
        let open =
            |layer: &UnpackedLayer| at(&layer.directory, LayerRoot::open(&layer.directory, self.powers));
        let below: Vec<LayerRoot> = stack.iter().map(open).collect::<Result<_, _>>()?;
        apply_to(tar, &mut fs_root, &below, layer)?;
        let left_out = fs_root.into_left_out();
        if left_out != LeftOut::default() {
            let lost = work.join("lost");
            at(&lost, fs::write(&lost, left_out::text(&left_out)))?;
        }
        at(
            work,
            File::open(work).and_then(|directory| Ok(syncfs(&directory)?)),
        )?;
        Ok(left_out)
    }
}

/// Applies a layer's tar to a directory, with the layers below it if they are kept apart.
pub(super) fn apply_to(
    tar: &Content,
    root: &mut LayerRoot,
    below: &[LayerRoot],
    layer: usize,
) -> Result<(), PlaceError> {
    apply_layer(tar, root, below, None).map_err(|fault| PlaceError::Entry {
        layer,
        offset: fault.offset,
        name: fault.name,
        why: fault.why,
    })
}

/// The tar of a layer, counted from 1 on, and its digest, which is the one that the image says. `tell` is told how far
/// it is, and can end it.
pub(super) fn checked_tar(
    layer: &LayerBlob,
    number: usize,
    tell: &mut dyn FnMut(u64) -> Result<(), PlaceError>,
) -> Result<(Content, Digest), PlaceError> {
    let failed = |error| PlaceError::Blob { layer: number, error };
    let (mut inflate, scratch) = begin(&layer.blob).map_err(failed)?;
    let mut hasher = Hasher::new();
    let mut take = |bytes: &[u8]| -> Result<(), ContentError> {
        hasher.update(bytes);
        match &scratch {
            Some(scratch) => scratch.append(bytes).map(drop),
            None => Ok(()),
        }
    };
    while inflate.step(&mut take).map_err(failed)? {
        tell(inflate.offset())?;
    }
    let tar = scratch.map_or_else(|| layer.blob.clone(), |scratch| Content::whole(scratch));
    let found = hasher.finish();
    match layer.diff_id.filter(|&expected| expected != found) {
        None => Ok((tar, found)),
        Some(expected) => Err(PlaceError::DiffId {
            layer: number,
            expected,
            found,
        }),
    }
}

/// Begins to read the tar of a blob; one that is compressed goes into a file without a name.
fn begin(blob: &Content) -> Result<(Inflate, Option<Arc<dyn Scratch>>), InflateError> {
    let (scratch, limit) = match Packing::of(blob)? {
        Packing::Plain => (None, u64::MAX),
        Packing::Gzip | Packing::Zstd => (Some(TemporaryFiles.create()?), limit_for(blob.len())),
    };
    Ok((Inflate::new(blob, limit)?, scratch))
}

/// A file to be locked, for its owner only.
pub(super) fn lock_file(path: &Path) -> Result<File, PlaceError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    at(path, options.open(path))
}

pub(super) fn retry(mut call: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Makes a directory for its owner only, and those above it, where there is none.
pub(super) fn make_private(path: &Path) -> Result<(), PlaceError> {
    at(path, DirBuilder::new().recursive(true).mode(0o700).create(path))
}

/// Removes what is in a directory.
pub(super) fn empty_directory(path: &Path) -> Result<(), PlaceError> {
    let directory = at(path, File::open(path))?;
    for entry in at(path, fs::read_dir(path))? {
        let name = at(path, entry)?.file_name();
        at(path, remove_all(&directory, name.as_bytes()))?;
    }
    Ok(())
}

/// Removes a directory with all that is in it.
pub(super) fn remove_directory(path: &Path) -> Result<(), PlaceError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let parent = at(parent, File::open(parent))?;
    at(path, remove_all(&parent, name.as_bytes()))
}
