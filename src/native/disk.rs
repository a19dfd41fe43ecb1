//! A directory on disk as a tree: what `tar -C DIR .` would take, with whiteouts understood in every spelling.
//!
//! Links are not followed, sockets are skipped, mount points are entered, as GNU tar does. What pins owner and
//! time, or drops xattrs and fractions of seconds, are the options of the reader; the writer pins nothing.
//!
//! Whiteouts on disk: a name `.wh.X` of any file type (image-spec, layer.md, asks for an empty regular file;
//! people make devices), and overlayfs' own: a character device 0:0, or in a directory whose opaque mark is
//! `x` an empty file with the xattr `overlay.whiteout`. Opaque marks: `.wh..wh..opq`, and the xattr
//! `overlay.opaque` = `y` (Documentation/filesystems/overlayfs.rst). The xattrs of overlayfs are never carried.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, major, minor, openat, readlinkat, statat,
};

use super::file::{Stamp, mtime};
use super::note::{Note, Spelling};
use super::root::{DiskFile, Root};
use super::xattr;
use crate::content::Content;
use crate::layer::OPAQUE_NAME;
use crate::text::escape;
use crate::tree::{
    Device, Directory, EditError, Metadata, Name, NameError, Node, Time, Tree, TreePath, WHITEOUT_PREFIX,
    Xattrs,
};

/// Whose the entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// As on disk.
    Keep,
    /// The same for all.
    Pinned {
        /// The owner.
        uid: u32,
        /// The group.
        gid: u32,
    },
}

/// When the entries were modified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// As on disk, to the nanosecond.
    Keep,
    /// As on disk, to the second below.
    KeepSeconds,
    /// The same for all.
    Pinned(Time),
}

/// What of the disk goes into the tree.
#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// Whose the entries are.
    pub owner: Owner,
    /// When the entries were modified.
    pub times: Times,
    /// Whether extended attributes are read.
    pub xattrs: bool,
    /// Where in the tree the directory goes. The directories above it are made, 0755, with the owner 0:0 or
    /// the pinned one, and the time of whiteouts.
    pub destination: TreePath,
}

impl DiskOptions {
    /// Owner 0:0, one time, no xattrs: `tar --format=gnu --mtime=… --owner=0 --group=0`.
    pub fn pinned(time: Time) -> Self {
        Self {
            owner: Owner::Pinned { uid: 0, gid: 0 },
            times: Times::Pinned(time),
            xattrs: false,
            destination: TreePath::ROOT,
        }
    }

    /// What headers without PAX records hold: `tar --format=gnu`.
    pub fn kept() -> Self {
        Self {
            owner: Owner::Keep,
            times: Times::KeepSeconds,
            ..Self::pinned(Time::default())
        }
    }

    /// Everything: `tar --format=posix --xattrs`.
    pub fn exact() -> Self {
        Self {
            times: Times::Keep,
            xattrs: true,
            ..Self::kept()
        }
    }
}

/// A directory, read.
#[derive(Clone, Debug)]
pub struct DiskTree {
    /// What is in it. Contents are read from the disk when they are needed.
    pub tree: Tree,
    /// What a person should know.
    pub notes: Vec<Note>,
}

/// Why a directory cannot be read. Paths are escaped, and relative to the directory.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The system said no.
    #[error("cannot {action} `{path}`: {error}")]
    System {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// A name that a tree cannot hold.
    #[error("in `{directory}`: {error}")]
    Name {
        /// Where.
        directory: String,
        /// Which, and why not.
        error: NameError,
    },
    /// The tree does not take what was found.
    #[error(transparent)]
    Edit(#[from] EditError),
}

/// Reads the directory `root` with all that is in it, files' contents not yet.
pub fn read_dir(root: &Path, options: &DiskOptions) -> Result<DiskTree, DiskError> {
    let open = || -> io::Result<(Root, Stat)> {
        let open = Root::open(root)?;
        let stat = fstat(open.directory(&TreePath::ROOT)?)?;
        Ok((open, stat))
    };
    let (open, stat) = open().map_err(|error| DiskError::System {
        action: "open the directory",
        path: root.to_string_lossy().into_owned(),
        error,
    })?;
    let reader = Reader {
        root: Arc::new(open),
        options,
        label: root.to_string_lossy().into_owned(),
        tree: Tree::new(Metadata::default(), 0),
        first_names: BTreeMap::new(),
        notes: Vec::new(),
        pending: vec![TreePath::ROOT],
    };
    reader.read(&stat)
}

struct Reader<'a> {
    root: Arc<Root>,
    options: &'a DiskOptions,
    label: String,
    tree: Tree,
    /// Where inodes with more than one name were first seen, by device and number.
    first_names: BTreeMap<(u64, u64), TreePath>,
    notes: Vec<Note>,
    /// Directories that are in the tree, but not what is in them; paths on disk.
    pending: Vec<TreePath>,
}

/// A directory while it is read.
struct Place {
    /// On disk, from the root.
    path: Arc<TreePath>,
    fd: Arc<OwnedFd>,
    /// Whether empty files with an overlayfs xattr are whiteouts here.
    has_xattr_whiteouts: bool,
    /// Found, but not applied yet: where, and whose they are.
    whiteouts: Vec<(String, Option<Spelling>, Name)>,
    subdirectories: Vec<TreePath>,
}

impl Place {
    fn found(&self, name: &[u8]) -> String {
        match self.path.is_root() {
            true => escape(name),
            false => escape(&[&self.path.to_bytes(), &b"/"[..], name].concat()),
        }
    }

    fn error(&self, action: &'static str, name: &[u8]) -> impl FnOnce(io::Error) -> DiskError {
        let path = self.found(name);
        move |error| DiskError::System { action, path, error }
    }
}

impl Reader<'_> {
    fn read(mut self, root: &Stat) -> Result<DiskTree, DiskError> {
        let whiteout_time = self.time(root).seconds;
        let mut metadata = self.metadata(root);
        if self.options.xattrs {
            let place = self.open(TreePath::ROOT)?;
            let directory = open_to_read(&place.fd).map_err(place.error("open", b"."))?;
            let xattrs = directory.fd().map_err(io::Error::from).and_then(xattr::of_open);
            let xattrs = xattrs.map_err(place.error("read the xattrs of", b"."))?;
            metadata.xattrs = self.without_overlay(xattrs, ".");
        }
        self.make_root(metadata, whiteout_time)?;
        while let Some(path) = self.pending.pop() {
            let mut place = self.open(path)?;
            self.read_directory(&mut place)?;
        }
        Ok(DiskTree {
            tree: self.tree,
            notes: self.notes,
        })
    }

    fn make_root(&mut self, metadata: Metadata, whiteout_time: i64) -> Result<(), DiskError> {
        let destination = &self.options.destination;
        if destination.is_root() {
            self.tree = Tree::new(metadata, whiteout_time);
            return Ok(());
        }
        let (uid, gid) = match self.options.owner {
            Owner::Keep => (0, 0),
            Owner::Pinned { uid, gid } => (uid, gid),
        };
        let above = Metadata::new(0o755, uid, gid, Time::at(whiteout_time));
        self.tree = Tree::new(above.clone(), whiteout_time);
        self.tree.make_parents(destination, |_| above.clone())?;
        self.tree
            .make(destination, Node::Directory(Directory::default()), metadata)?;
        Ok(())
    }

    fn open(&self, path: TreePath) -> Result<Place, DiskError> {
        let fd = self.root.directory(&path).map_err(|error| DiskError::System {
            action: "open the directory",
            path: escape(&path.to_bytes()),
            error,
        })?;
        Ok(Place {
            path: Arc::new(path),
            fd,
            has_xattr_whiteouts: false,
            whiteouts: Vec::new(),
            subdirectories: Vec::new(),
        })
    }

    fn read_directory(&mut self, place: &mut Place) -> Result<(), DiskError> {
        let (directory, names) = list(place)?;
        let fd = directory
            .fd()
            .map_err(|errno| place.error("open", b".")(errno.into()))?;
        self.read_opaque_xattr(place, fd)?;
        for name in names {
            self.read_entry(place, &name)?;
        }
        for (found, spelling, name) in std::mem::take(&mut place.whiteouts) {
            self.apply_whiteout(place, found, spelling, name)?;
        }
        self.pending.extend(place.subdirectories.drain(..).rev());
        Ok(())
    }

    fn read_opaque_xattr(&mut self, place: &mut Place, fd: BorrowedFd<'_>) -> Result<(), DiskError> {
        let mark = xattr::overlay_mark(fd, b"opaque").map_err(place.error("read the xattrs of", b"."))?;
        match mark.as_deref() {
            Some(b"x") => place.has_xattr_whiteouts = true,
            Some(b"y") => {
                let directory = self.in_tree(&place.path);
                self.tree.set_opaque(&directory, true)?;
                self.notes.push(Note::Opaque {
                    found: place.found(b"."),
                    spelling: Spelling::Xattr,
                    directory,
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn read_entry(&mut self, place: &mut Place, name: &[u8]) -> Result<(), DiskError> {
        let stat = statat(&place.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| place.error("read the attributes of", name)(errno.into()))?;
        if let Some(hidden) = name.strip_prefix(WHITEOUT_PREFIX) {
            return self.read_marker(place, name, hidden, &stat);
        }
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let checked = || {
            Name::new(name).map_err(|error| DiskError::Name {
                directory: escape(&place.path.to_bytes()),
                error,
            })
        };
        let name = checked()?;
        if let Some(spelling) = self.overlay_whiteout(place, &name, &stat)? {
            let found = place.found(name.as_bytes());
            place.whiteouts.push((found, Some(spelling), name));
            return Ok(());
        }
        if file_type == FileType::Socket {
            let path = place.found(name.as_bytes());
            self.notes.push(Note::SocketSkipped { path });
            return Ok(());
        }
        self.make(place, name, &stat, file_type)
    }

    fn overlay_whiteout(
        &self,
        place: &Place,
        name: &Name,
        stat: &Stat,
    ) -> Result<Option<Spelling>, DiskError> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice if device(stat) == (Device { major: 0, minor: 0 }) => {
                Ok(Some(Spelling::Device))
            }
            FileType::RegularFile if place.has_xattr_whiteouts && stat.st_size == 0 => {
                let name = name.as_bytes();
                let mark = xattr::overlay_mark_of_entry(&place.fd, name, b"whiteout")
                    .map_err(place.error("read the xattrs of", name))?;
                Ok(mark.map(|_| Spelling::Xattr))
            }
            _ => Ok(None),
        }
    }

    /// Makes the inode, or one more name of it.
    fn make(&mut self, place: &mut Place, name: Name, stat: &Stat, kind: FileType) -> Result<(), DiskError> {
        let path = self.in_tree(&place.path).join(name.clone());
        let key = (stat.st_dev, stat.st_ino);
        if kind != FileType::Directory && stat.st_nlink > 1 {
            if let Some(first) = self.first_names.get(&key) {
                return Ok(self.tree.link(&path, first)?);
            }
            self.first_names.insert(key, path.clone());
        }
        let node = match kind {
            FileType::Directory => {
                place.subdirectories.push(place.path.join(name.clone()));
                Node::Directory(Directory::default())
            }
            FileType::Symlink => {
                let target = readlinkat(&place.fd, name.as_bytes(), Vec::new())
                    .map_err(|errno| place.error("read the link", name.as_bytes())(errno.into()))?;
                Node::Symlink(target.as_bytes().into())
            }
            FileType::CharacterDevice => Node::CharDevice(device(stat)),
            FileType::BlockDevice => Node::BlockDevice(device(stat)),
            FileType::Fifo => Node::Fifo,
            _ => Node::File(self.content(place, &name, stat)),
        };
        let mut metadata = self.metadata(stat);
        if self.options.xattrs {
            let xattrs = xattr::of_entry(&place.fd, name.as_bytes())
                .map_err(place.error("read the xattrs of", name.as_bytes()))?;
            metadata.xattrs = self.without_overlay(xattrs, &place.found(name.as_bytes()));
        }
        self.tree.make(&path, node, metadata)?;
        Ok(())
    }

    fn content(&self, place: &Place, name: &Name, stat: &Stat) -> Content {
        if stat.st_size == 0 {
            return Content::inline([]);
        }
        let label = format!("{}/{}", self.label, place.found(name.as_bytes()));
        let (root, path) = (self.root.clone(), place.path.clone());
        Content::whole(Arc::new(DiskFile::new(
            root,
            path,
            name.clone(),
            Stamp::of(stat),
            label,
        )))
    }

    /// A file whose name begins with `.wh.`, and goes on with `hidden`.
    fn read_marker(
        &mut self,
        place: &mut Place,
        name: &[u8],
        hidden: &[u8],
        stat: &Stat,
    ) -> Result<(), DiskError> {
        let found = place.found(name);
        let spelling = self.spelling(place, name, stat)?;
        if name == OPAQUE_NAME {
            let directory = self.in_tree(&place.path);
            self.tree.set_opaque(&directory, true)?;
            self.notes.extend(spelling.map(|spelling| Note::Opaque {
                found,
                spelling,
                directory,
            }));
        } else if hidden.starts_with(WHITEOUT_PREFIX) {
            self.notes.push(Note::AufsSkipped { path: found });
        } else {
            let hidden = Name::new(hidden).map_err(|error| DiskError::Name {
                directory: found.clone(),
                error,
            })?;
            place.whiteouts.push((found, spelling, hidden));
        }
        Ok(())
    }

    /// In what a marker differs from the one that will be written; none if in nothing.
    fn spelling(&self, place: &Place, name: &[u8], stat: &Stat) -> Result<Option<Spelling>, DiskError> {
        let has_xattrs = || -> Result<bool, DiskError> {
            if !self.options.xattrs {
                return Ok(false);
            }
            let xattrs = xattr::of_entry(&place.fd, name).map_err(place.error("read the xattrs of", name))?;
            Ok(!xattrs.is_empty())
        };
        let metadata = self.metadata(stat);
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::CharacterDevice => "a character device",
            FileType::BlockDevice => "a block device",
            FileType::Directory => "a directory",
            FileType::Symlink => "a symbolic link",
            FileType::Fifo => "a fifo",
            FileType::Socket => "a socket",
            _ if stat.st_size > 0 => "a file that is not empty",
            _ if stat.st_nlink > 1 => "a file with more than one name",
            _ if metadata.mode != 0o644 => "a file whose mode is not 0644",
            _ if (metadata.uid, metadata.gid) != (0, 0) => "a file whose owner is not 0:0",
            _ if metadata.mtime != Time::at(self.tree.whiteout_time()) => "a file with a time of its own",
            _ if has_xattrs()? => "a file with xattrs",
            _ => return Ok(None),
        };
        Ok(Some(Spelling::Name { kind }))
    }

    fn apply_whiteout(
        &mut self,
        place: &Place,
        found: String,
        spelling: Option<Spelling>,
        name: Name,
    ) -> Result<(), DiskError> {
        let target = self.in_tree(&place.path).join(name);
        if let Some(own) = self.tree.lookup(&target) {
            let made_opaque = self.tree.directory(own).is_some();
            if made_opaque {
                self.tree.set_opaque(&target, true)?;
            }
            self.notes.push(Note::WhiteoutOfOwn {
                found,
                target,
                made_opaque,
            });
            return Ok(());
        }
        self.tree.whiteout(&target)?;
        self.notes.extend(spelling.map(|spelling| Note::Whiteout {
            found,
            spelling,
            target,
        }));
        Ok(())
    }

    fn without_overlay(&mut self, mut xattrs: xattr::Map, path: &str) -> Xattrs {
        xattrs.retain(|name, _| {
            let keep = !xattr::OVERLAY.iter().any(|prefix| name.starts_with(prefix));
            // The opaque mark has a note of its own.
            if !keep && !name.ends_with(b".overlay.opaque") {
                self.notes.push(Note::OverlayXattrDropped {
                    path: path.to_owned(),
                    name: escape(name),
                });
            }
            keep
        });
        Arc::new(xattrs)
    }

    fn in_tree(&self, path: &TreePath) -> TreePath {
        let destination = self.options.destination.names();
        destination.iter().chain(path.names()).cloned().collect()
    }

    fn metadata(&self, stat: &Stat) -> Metadata {
        let (uid, gid) = match self.options.owner {
            Owner::Keep => (stat.st_uid, stat.st_gid),
            Owner::Pinned { uid, gid } => (uid, gid),
        };
        Metadata::new((stat.st_mode & 0o7777) as u16, uid, gid, self.time(stat))
    }

    fn time(&self, stat: &Stat) -> Time {
        match self.options.times {
            Times::Keep => mtime(stat),
            Times::KeepSeconds => Time::at(mtime(stat).seconds),
            Times::Pinned(time) => time,
        }
    }
}

/// A handle that can be read, of a directory of which we have one that cannot (`O_PATH`).
fn open_to_read(fd: &OwnedFd) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Dir::new(openat(fd, ".", flags, Mode::empty())?)?)
}

/// Opens a directory for reading; its names, sorted.
fn list(place: &Place) -> Result<(Dir, Vec<Vec<u8>>), DiskError> {
    let read = || -> io::Result<(Dir, Vec<Vec<u8>>)> {
        let mut directory = open_to_read(&place.fd)?;
        let mut names = Vec::new();
        while let Some(entry) = directory.read() {
            match entry?.file_name().to_bytes() {
                b"." | b".." => {}
                name => names.push(name.to_vec()),
            }
        }
        names.sort_unstable();
        Ok((directory, names))
    };
    read().map_err(|error| DiskError::System {
        action: "read the directory",
        path: escape(&place.path.to_bytes()),
        error,
    })
}

fn device(stat: &Stat) -> Device {
    Device {
        major: major(stat.st_rdev),
        minor: minor(stat.st_rdev),
    }
}
