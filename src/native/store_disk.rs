//! A store on a disk: directories and blobs where containerd has them under its root, and the metadata in one file
//! of ours in place of its databases.
//!
//! ```text
//! ROOT/io.containerd.content.v1.content/blobs/sha256/HEX
//!                                       ingest/            blobs on their way
//!      io.containerd.snapshotter.v1.overlayfs/snapshots/N/fs, work
//!      io.containerd.metadata.v1.handroll/meta.json        what is there, of which the others are but the bytes
//!                                         meta.json.new    room for the next, so that what is to go can go from a
//!                                                          disk that is full
//!                                         lock             held while the store is worked on
//! ```
//!
//! What `meta.json` does not name is not there: it is written last, in one rename, after all else is on disk. So
//! what a killed process began lies about unnamed, and the next one sweeps it; and files go only when the metadata
//! without them is written.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown,
};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock, syncfs};
use rustix::io::Errno;

use super::layer_root::{LayerRoot, Powers};
use super::namespace::user_namespace;
use super::place::{empty_directory, remove_directory, retry};
use super::store_place::StorePlace;
use super::store_state::{StateError, decode, encode};
use super::{FileSource, TemporaryFiles, disk_usage};
use crate::compress::inflate::plain;
use crate::content::{Content, ContentError};
use crate::digest::Digest;
use crate::layer::dialect::apply_layer;
use crate::store::{Applied, ApplyError, Disk, DiskError, Effects, Store, Usage};
use crate::tree::Time;

/// The file of the metadata, and where the next comes to be.
const METADATA: &str = "meta.json";
const NEXT: &str = "meta.json.new";
/// What is there where containerd itself keeps its metadata.
const CONTAINERDS: &str = "io.containerd.metadata.v1.bolt";

/// A store cannot be opened, or not be written.
#[derive(Debug, thiserror::Error)]
pub enum StoreDiskError {
    /// A file or directory of it.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Owners, devices and marks take root's rights.
    #[error(
        "a store keeps layers as containerd does, with their owners, devices and trusted.overlay marks: that takes \
         root (in no user namespace)"
    )]
    NotRoot,
    /// containerd works here.
    #[error("{} is containerd's own root: give a directory of handroll's", root.display())]
    Containerds {
        /// Which.
        root: PathBuf,
    },
    /// There are other things in it.
    #[error("{} is not empty and holds no store: give an empty directory, or one that is not there yet", root.display())]
    NotEmpty {
        /// Which.
        root: PathBuf,
    },
    /// Mounts could not name it.
    #[error("{}: the path of a store must be UTF-8, without commas and colons, as mounts name it", root.display())]
    Path {
        /// Which.
        root: PathBuf,
    },
    /// The metadata is not as it must be.
    #[error("{}: {reason}", path.display())]
    Metadata {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

type Result<T> = std::result::Result<T, StoreDiskError>;

fn at<T>(path: &Path, result: std::result::Result<T, impl Into<io::Error>>) -> Result<T> {
    result.map_err(|error| StoreDiskError::Io {
        path: path.to_owned(),
        error: error.into(),
    })
}

/// The disk of a store that this process works on alone.
pub struct StoreDisk {
    place: StorePlace,
    /// What is to be deleted once the metadata does without it.
    removed: Vec<PathBuf>,
    /// The metadata as it was read.
    loaded: Option<Vec<u8>>,
    _lock: File,
}

impl StoreDisk {
    /// Opens the store in a directory, or makes one where there is nothing yet; waits while another process works on
    /// it (`wait` is called before), and sweeps what a killed one left.
    pub fn open(root: &Path, wait: &mut dyn FnMut()) -> Result<(Store, Self)> {
        let is_confined = !matches!(user_namespace(), Ok(None));
        if !rustix::process::geteuid().is_root() || is_confined {
            return Err(StoreDiskError::NotRoot);
        }
        check_place(root)?;
        make_directory(root, 0o711)?;
        let root = at(root, fs::canonicalize(root))?;
        let text = root.to_str().filter(|text| !text.contains([',', ':', '\\', '"']));
        let text = text
            .ok_or_else(|| StoreDiskError::Path { root: root.clone() })?
            .to_owned();
        let place = StorePlace::new(text);
        make_directory(&place.metadata(), 0o700)?;
        let lock = lock(&place.metadata().join("lock"), wait)?;
        for (path, mode) in [
            (place.blobs(), 0o755),
            (place.ingest(), 0o755),
            (place.snapshots(), 0o700),
            (place.tasks(), 0o700),
        ] {
            make_directory(&path, mode)?;
        }
        let mut disk = Self {
            place,
            removed: Vec::new(),
            loaded: None,
            _lock: lock,
        };
        let mut store = disk.load()?;
        disk.sweep(&store)?;
        disk.place.look_after_tasks(&mut store);
        Ok((store, disk))
    }

    /// Where it is.
    pub fn place(&self) -> StorePlace {
        self.place.clone()
    }

    fn load(&mut self) -> Result<Store> {
        let path = self.place.metadata().join(METADATA);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Store::default()),
            bytes => at(&path, bytes)?,
        };
        let store = decode(&bytes).map_err(|error: StateError| StoreDiskError::Metadata {
            path,
            reason: error.to_string(),
        })?;
        self.loaded = Some(bytes);
        Ok(store)
    }

    /// Deletes what the metadata does not name.
    fn sweep(&self, store: &Store) -> Result<()> {
        let clean = |path: &Path| {
            empty_directory(path).map_err(|error| StoreDiskError::Metadata {
                path: path.to_owned(),
                reason: error.to_string(),
            })
        };
        clean(&self.place.ingest())?;
        let blobs = self.place.blobs();
        for name in names_in(&blobs)? {
            if !store.blobs.has(&format!("sha256:{name}")) {
                self.delete(&blobs.join(name))?;
            }
        }
        for name in names_in(&self.place.snapshots())? {
            let number = name.parse().ok();
            if number.is_none_or(|number| store.directories.binary_search(&number).is_err()) {
                self.delete(&self.place.snapshots().join(name))?;
            }
        }
        self.sweep_tasks(store)
    }

    /// Deletes the bundles of tasks that the metadata does not name: they were never started.
    fn sweep_tasks(&self, store: &Store) -> Result<()> {
        let tasks = self.place.tasks();
        for name in names_in(&tasks)? {
            let Some(namespace) = store.namespace(&name) else {
                self.delete(&tasks.join(name))?;
                continue;
            };
            for id in names_in(&tasks.join(&name))? {
                let container = namespace.containers.get(&id);
                if container.is_none_or(|container| container.task.is_none()) {
                    self.delete(&tasks.join(&name).join(id))?;
                }
            }
        }
        Ok(())
    }

    fn delete(&self, path: &Path) -> Result<()> {
        remove_directory(path).map_err(|error| StoreDiskError::Metadata {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Writes the metadata if it has changed: after all that it names, and before what it no longer names goes.
    pub fn save(&mut self, store: &Store) -> Result<()> {
        let path = self.place.metadata().join(METADATA);
        let bytes = encode(store).map_err(|error| StoreDiskError::Metadata {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        if self.loaded.as_ref() == Some(&bytes) {
            return Ok(());
        }
        let root = self.place.root();
        at(root, File::open(root).and_then(|root| Ok(syncfs(&root)?)))?;
        let beside = self.place.metadata().join(NEXT);
        let written = open_to_write(&beside).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.set_len(bytes.len() as u64)?;
            file.sync_all()
        });
        at(&beside, written)?;
        at(&path, fs::rename(&beside, &path))?;
        let directory = self.place.metadata();
        at(
            &directory,
            File::open(&directory).and_then(|opened| opened.sync_all()),
        )?;
        for path in std::mem::take(&mut self.removed) {
            self.delete(&path)?;
        }
        // Where there is no room for it now, or it cannot be kept, none was promised.
        let _ = open_to_write(&beside)
            .and_then(|file| Ok(fallocate(&file, FallocateFlags::empty(), 0, bytes.len() as u64)?));
        Ok(())
    }
}

/// Whether a store may be where it is wanted.
fn check_place(root: &Path) -> Result<()> {
    let has = |name: &str| root.join(name).exists();
    if has(CONTAINERDS) {
        return Err(StoreDiskError::Containerds {
            root: root.to_owned(),
        });
    }
    let names = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => at(root, names)?,
    };
    // In this order: another process may begin a store there just now, and what it makes first is this directory.
    match names.count() == 0 || has("io.containerd.metadata.v1.handroll") {
        true => Ok(()),
        false => Err(StoreDiskError::NotEmpty {
            root: root.to_owned(),
        }),
    }
}

fn make_directory(path: &Path, mode: u32) -> Result<()> {
    at(path, DirBuilder::new().recursive(true).mode(mode).create(path))
}

/// Opens a file as it is, or makes one, for its owner only.
fn open_to_write(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path)
}

fn lock(path: &Path, wait: &mut dyn FnMut()) -> Result<File> {
    let file = at(path, open_to_write(path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => {
            wait();
            at(path, retry(|| flock(&file, FlockOperation::LockExclusive)))?;
        }
        result => at(path, result)?,
    }
    Ok(file)
}

/// The names in a directory that only this program makes names in: others are passed over.
fn names_in(path: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in at(path, fs::read_dir(path))? {
        let name = at(path, entry)?.file_name();
        names.extend(name.into_string().ok());
    }
    Ok(names)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    let path = path.display().to_string();
    move |error| DiskError::Failed {
        path,
        reason: error.to_string(),
    }
}

impl Disk for StoreDisk {
    fn add_blob(&mut self, content: &Content) -> std::result::Result<Digest, DiskError> {
        let digest = content.digest()?;
        let path = self.place.blob(digest);
        self.removed.retain(|removed| *removed != path);
        if path.exists() {
            return Ok(digest);
        }
        let beside = self.place.ingest().join(digest.hex());
        let mut file = File::create(&beside).map_err(failed(&beside))?;
        let mut result = Ok(());
        content.for_each_window(|bytes| {
            if result.is_ok() {
                result = file.write_all(bytes);
            }
        })?;
        let result = result.and_then(|()| file.set_permissions(Permissions::from_mode(0o444)));
        result.map_err(failed(&beside))?;
        fs::rename(&beside, &path).map_err(failed(&path))?;
        Ok(digest)
    }

    fn blob(&self, digest: Digest) -> std::result::Result<Content, DiskError> {
        let path = self.place.blob(digest);
        let source = FileSource::open(&path).map_err(failed(&path))?;
        Ok(Content::whole(std::sync::Arc::new(source)))
    }

    fn remove_blob(&mut self, digest: Digest) -> std::result::Result<(), DiskError> {
        self.removed.push(self.place.blob(digest));
        Ok(())
    }

    fn make(
        &mut self,
        number: u64,
        parent: Option<u64>,
        has_work: bool,
        _: Time,
    ) -> std::result::Result<(), DiskError> {
        let path = self.place.directory(number);
        let make = || -> io::Result<()> {
            DirBuilder::new().mode(0o700).create(&path)?;
            let fs_path = self.place.fs(number);
            fs::create_dir(&fs_path)?;
            // Whatever the umask.
            fs::set_permissions(&fs_path, Permissions::from_mode(0o755))?;
            if let Some(parent) = parent {
                let owner = fs::symlink_metadata(self.place.fs(parent))?;
                chown(&fs_path, Some(owner.uid()), Some(owner.gid()))?;
            }
            if has_work {
                let work = self.place.work(number);
                fs::create_dir(&work)?;
                fs::set_permissions(&work, Permissions::from_mode(0o711))?;
            }
            Ok(())
        };
        make().map_err(failed(&path))
    }

    fn apply(
        &mut self,
        number: u64,
        parents: &[u64],
        layer: &Content,
        _: Time,
    ) -> std::result::Result<Applied, ApplyError> {
        let mut effects = Effects::default();
        let done = self.applied(number, parents, layer, &mut effects);
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

    fn usage(&self, number: u64) -> std::result::Result<Usage, DiskError> {
        let path = self.place.fs(number);
        disk_usage::of_tree(&path).map_err(failed(&path))
    }

    fn remove(&mut self, number: u64) -> std::result::Result<(), DiskError> {
        self.removed.push(self.place.directory(number));
        Ok(())
    }

    fn root(&self) -> &str {
        self.place.text()
    }
}

impl StoreDisk {
    fn applied(
        &self,
        number: u64,
        parents: &[u64],
        layer: &Content,
        effects: &mut Effects,
    ) -> std::result::Result<(Digest, u64), String> {
        let tar = plain(layer, &TemporaryFiles).map_err(|error| error.to_string())?;
        let powers = Powers {
            userxattr: false,
            is_confined: false,
        };
        let open = |number: u64| {
            let path = self.place.fs(number);
            LayerRoot::open(&path, powers).map_err(|error| format!("{}: {error}", path.display()))
        };
        let below: Vec<LayerRoot> = parents
            .iter()
            .rev()
            .map(|&parent| open(parent))
            .collect::<std::result::Result<_, _>>()?;
        let mut directory = open(number)?;
        apply_layer(&tar, &mut directory, &below, Some(effects)).map_err(|fault| fault.why.to_string())?;
        let diff_id = tar.digest().map_err(|error: ContentError| error.to_string())?;
        Ok((diff_id, tar.len()))
    }
}
