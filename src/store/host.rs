//! The file system of the machine that a store is on, to be read: containerd's directories as they lie there, the
//! archives that can be imported, and nothing else. A [`Disk`](super::Disk) in memory is looked into, nothing is
//! copied.

use std::collections::BTreeMap;

use super::{MemoryDisk, SnapshotKind, Store};
use crate::content::Content;
use crate::overlay::mount::{Call, Errno, FileName, FileType, Io, OpenFlags, Reply, Stat, Upper, UpperKind};
use crate::tree::{NAME_MAX, Time};

const BLOBS: &str = "/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256";
const INGEST: &str = "/var/lib/containerd/io.containerd.content.v1.content/ingest";
const SNAPSHOTS: &str = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";
/// Where the archives are: the home of root, where one works.
pub const HOME: &str = "/root";
/// Who root is.
const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n";
const GROUP: &[u8] = b"root:x:0:\n";

/// The kernel's limits: links in one path, and bytes of one.
const MAX_LINKS: u32 = 40;
const PATH_MAX: usize = 4096;

/// The file system, as it is now.
#[derive(Clone, Copy)]
pub struct HostFiles<'a> {
    /// What containerd has.
    pub store: &'a Store,
    /// Where it has it.
    pub disk: &'a MemoryDisk,
    /// The archives by their names in [`HOME`].
    pub archives: &'a BTreeMap<String, Content>,
    /// The time of what has none.
    pub now: Time,
}

/// Something on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A directory that is there whatever the store holds, by its path without a slash at its end.
    Fixed(String),
    /// A file of its own.
    File(String, &'static [u8]),
    /// A blob, by its digest.
    Blob(String),
    /// An archive, by its name.
    Archive(String),
    /// `snapshots/N`.
    Snapshot(u64),
    /// `snapshots/N/work`.
    Work(u64),
    /// An inode of `snapshots/N/fs`.
    Inside(u64, u64),
}

/// The directories that are always there, with what stands in them.
const FIXED: [&str; 13] = [
    "",
    "/etc",
    "/root",
    "/var",
    "/var/lib",
    "/var/lib/containerd",
    "/var/lib/containerd/io.containerd.content.v1.content",
    "/var/lib/containerd/io.containerd.content.v1.content/blobs",
    BLOBS,
    INGEST,
    "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs",
    SNAPSHOTS,
    "/tmp",
];

impl<'a> HostFiles<'a> {
    /// Answers a system call that reads; whatever writes fails with EROFS, as nobody but containerd writes here.
    pub fn call(&self, call: &Call) -> Result<Reply, Errno> {
        match call {
            Call::Stat { path, follow } => Ok(Reply::Stat(self.stat(&self.find(path, *follow)?))),
            Call::Readdir { path } => self.names(&self.find(path, true)?).map(Reply::Names),
            Call::Readlink { path } => match self.link(&self.find(path, false)?) {
                Some(target) => Ok(Reply::Bytes(target.to_vec())),
                None => Err(Errno::EINVAL),
            },
            Call::Open { path, flags, io, .. } => self.open(path, *flags, io),
            Call::Getxattr { path, name, follow } => {
                let place = self.find(path, *follow)?;
                let value = self
                    .inode(&place)
                    .and_then(|(upper, number)| upper.xattr(number, name));
                value
                    .map(|value| Reply::Bytes(value.to_vec()))
                    .ok_or(Errno::ENODATA)
            }
            Call::Listxattr { path, follow } => {
                let place = self.find(path, *follow)?;
                let names = self.inode(&place).map(|(upper, number)| {
                    let names = upper.inode(number).attributes.xattrs.keys();
                    names.map(|name| FileName::from(&name[..])).collect()
                });
                Ok(Reply::Names(names.unwrap_or_default()))
            }
            Call::Mkdir { path, .. } | Call::Mknod { path, .. } | Call::Symlink { path, .. } => {
                self.refuse_new(path)
            }
            Call::Link { old, new, .. } | Call::Rename { old, new, .. } => {
                self.find(old, false)?;
                match self.find(new, false) {
                    Ok(_) | Err(Errno::ENOENT) => Err(Errno::EROFS),
                    Err(errno) => Err(errno),
                }
            }
            Call::Truncate { path, .. }
            | Call::Unlink { path }
            | Call::Rmdir { path }
            | Call::Chmod { path, .. }
            | Call::Chown { path, .. }
            | Call::Utimes { path, .. }
            | Call::Setxattr { path, .. }
            | Call::Removexattr { path, .. } => self.find(path, false).and(Err(Errno::EROFS)),
            _ => Err(Errno::EROFS),
        }
    }

    /// Something new cannot be made; what is there already, or has no directory to be in, is told first.
    fn refuse_new(&self, path: &[u8]) -> Result<Reply, Errno> {
        let trimmed = match path.iter().rposition(|&byte| byte != b'/') {
            Some(end) => &path[..=end],
            None => return Err(Errno::EEXIST),
        };
        if self.find(trimmed, false).is_ok() {
            return Err(Errno::EEXIST);
        }
        let parent = trimmed.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        self.find(&trimmed[..parent], true).and(Err(Errno::EROFS))
    }

    fn open(&self, path: &[u8], flags: OpenFlags, io: &Io) -> Result<Reply, Errno> {
        let writes = flags.write || flags.truncate || flags.append;
        let place = match self.find(path, !flags.nofollow) {
            Err(Errno::ENOENT) if flags.create => return self.refuse_new(path),
            place => place?,
        };
        let file_type = self.stat(&place).file_type;
        match file_type {
            FileType::Directory if writes => Err(Errno::EISDIR),
            _ if writes => Err(Errno::EROFS),
            file_type if flags.directory && file_type != FileType::Directory => Err(Errno::ENOTDIR),
            FileType::Directory if matches!(io, Io::Read) => Err(Errno::EISDIR),
            FileType::Symlink => Err(Errno::ELOOP),
            // A whiteout is a device that no driver has.
            FileType::CharDevice | FileType::BlockDevice if flags.read => Err(Errno::ENXIO),
            _ => match io {
                Io::Read => Ok(Reply::Content(self.content(&place))),
                _ => Ok(Reply::Done),
            },
        }
    }

    fn inode(&self, place: &Place) -> Option<(&'a Upper, u64)> {
        match place {
            Place::Inside(number, inode) => Some((self.disk.directory(*number)?, *inode)),
            _ => None,
        }
    }

    fn content(&self, place: &Place) -> Content {
        let found = match place {
            Place::File(_, bytes) => Some(Content::inline(*bytes)),
            Place::Blob(digest) => self.disk.content(digest).cloned(),
            Place::Archive(name) => self.archives.get(name).cloned(),
            place => self
                .inode(place)
                .and_then(|(upper, number)| match &upper.inode(number).kind {
                    UpperKind::File(data) => Some(data.content()),
                    _ => None,
                }),
        };
        found.unwrap_or_else(|| Content::inline(*b""))
    }

    fn link(&self, place: &Place) -> Option<&'a [u8]> {
        let (upper, number) = self.inode(place)?;
        match &upper.inode(number).kind {
            UpperKind::Symlink(target) => Some(target),
            _ => None,
        }
    }

    /// What is at a path. Links lead through the machine's file system: those of an image, which mean the image's own,
    /// lead elsewhere or nowhere.
    fn find(&self, path: &[u8], follows_last: bool) -> Result<Place, Errno> {
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut above = vec![Place::Fixed(String::new())];
        let mut pending: Vec<Vec<u8>> = names_of(path).rev().collect();
        let mut links = 0;
        while let Some(name) = pending.pop() {
            let here = above.last().expect("the root is never left");
            if self.stat(here).file_type != FileType::Directory {
                return Err(Errno::ENOTDIR);
            }
            match &name[..] {
                b"." => continue,
                b".." => {
                    above.truncate(above.len().saturating_sub(1).max(1));
                    continue;
                }
                name if name.len() > NAME_MAX => return Err(Errno::ENAMETOOLONG),
                name => {
                    let child = self.child(here, name).ok_or(Errno::ENOENT)?;
                    above.push(child);
                }
            }
            let here = above.last().expect("it was just put there");
            if (!pending.is_empty() || follows_last)
                && let Some(target) = self.link(here)
            {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::ELOOP);
                }
                above.pop();
                if target.starts_with(b"/") {
                    above.truncate(1);
                }
                pending.extend(names_of(target).rev());
            }
        }
        let last = above.pop().expect("the root is never left");
        let wants_directory = path.ends_with(b"/");
        match wants_directory && self.stat(&last).file_type != FileType::Directory {
            true => Err(Errno::ENOTDIR),
            false => Ok(last),
        }
    }

    fn child(&self, place: &Place, name: &[u8]) -> Option<Place> {
        let text = || std::str::from_utf8(name).ok();
        match place {
            Place::Inside(number, _) => {
                let (upper, inode) = self.inode(place)?;
                upper
                    .child(inode, name)
                    .map(|child| Place::Inside(*number, child))
            }
            Place::Snapshot(number) => match name {
                b"fs" => Some(Place::Inside(*number, Upper::ROOT)),
                b"work" => self.has_work(*number).then_some(Place::Work(*number)),
                _ => None,
            },
            Place::Fixed(path) if path == BLOBS => {
                let digest = format!("sha256:{}", text()?);
                self.disk.content(&digest).map(|_| Place::Blob(digest))
            }
            Place::Fixed(path) if path == SNAPSHOTS => {
                let number = text()?.parse().ok()?;
                let is_it = self.disk.directory(number).is_some() && number.to_string().as_bytes() == name;
                is_it.then_some(Place::Snapshot(number))
            }
            Place::Fixed(path) => {
                let name = text()?;
                let path = format!("{path}/{name}");
                match path.as_str() {
                    "/etc/passwd" => return Some(Place::File(path, PASSWD)),
                    "/etc/group" => return Some(Place::File(path, GROUP)),
                    _ => {}
                }
                let in_home = path.strip_prefix(HOME).and_then(|rest| rest.strip_prefix('/'));
                if in_home.is_some_and(|name| self.archives.contains_key(name)) {
                    return Some(Place::Archive(name.to_owned()));
                }
                FIXED.contains(&path.as_str()).then_some(Place::Fixed(path))
            }
            Place::File(..) | Place::Blob(_) | Place::Archive(_) | Place::Work(_) => None,
        }
    }

    /// What can be read only was never written to.
    fn has_work(&self, number: u64) -> bool {
        let namespaces = self.store.namespaces.iter();
        let mut snapshots = namespaces.flat_map(|(_, namespace)| namespace.snapshots.iter());
        !snapshots.any(|(_, snapshot)| snapshot.number == number && snapshot.kind == SnapshotKind::View)
    }

    fn names(&self, place: &Place) -> Result<Vec<FileName>, Errno> {
        let texts = |names: Vec<&str>| names.into_iter().map(|name| name.as_bytes().into()).collect();
        Ok(match place {
            Place::Inside(..) => match self.inode(place) {
                Some((upper, number)) if upper.inode(number).entries().is_some() => upper.listing(number),
                _ => return Err(Errno::ENOTDIR),
            },
            Place::Snapshot(number) => match self.has_work(*number) {
                true => texts(vec!["fs", "work"]),
                false => texts(vec!["fs"]),
            },
            Place::Work(_) => Vec::new(),
            Place::Fixed(path) if path == BLOBS => {
                let digests = self.store.blobs.iter().map(|(digest, _)| digest);
                texts(
                    digests
                        .filter_map(|digest| digest.strip_prefix("sha256:"))
                        .collect(),
                )
            }
            Place::Fixed(path) if path == SNAPSHOTS => {
                let numbers = self.store.directories.iter();
                numbers
                    .map(|number| number.to_string().as_bytes().into())
                    .collect()
            }
            Place::Fixed(path) => {
                let inside = |fixed: &&'static str| {
                    let rest = fixed.strip_prefix(path.as_str())?.strip_prefix('/')?;
                    (!rest.contains('/')).then_some(rest)
                };
                let mut names: Vec<&str> = FIXED.iter().filter_map(inside).collect();
                match path.as_str() {
                    "/etc" => names.extend(["group", "passwd"]),
                    HOME => names.extend(self.archives.keys().map(String::as_str)),
                    _ => {}
                }
                texts(names)
            }
            Place::File(..) | Place::Blob(_) | Place::Archive(_) => return Err(Errno::ENOTDIR),
        })
    }

    fn stat(&self, place: &Place) -> Stat {
        let (file_type, mode) = match place {
            Place::Fixed(path) => (FileType::Directory, fixed_mode(path)),
            Place::Snapshot(_) => (FileType::Directory, 0o700),
            Place::Work(_) => (FileType::Directory, 0o711),
            Place::Blob(_) => (FileType::File, 0o444),
            Place::File(..) | Place::Archive(_) => (FileType::File, 0o644),
            Place::Inside(..) => match self.inode(place) {
                Some((upper, number)) => return stat_inside(place, upper, number),
                None => (FileType::Directory, 0),
            },
        };
        Stat {
            file_type,
            mode,
            uid: 0,
            gid: 0,
            size: match file_type {
                FileType::File => self.content(place).len(),
                _ => 0,
            },
            ino: number_of(place),
            nlink: match file_type {
                FileType::Directory => 2 + self.names(place).map_or(0, |names| names.len() as u32),
                _ => 1,
            },
            device: None,
            atime: self.now,
            mtime: self.now,
            ctime: self.now,
        }
    }
}

/// As containerd makes its directories.
fn fixed_mode(path: &str) -> u16 {
    match path {
        SNAPSHOTS | HOME => 0o700,
        "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs" => 0o700,
        "/var/lib/containerd" => 0o711,
        "/tmp" => 0o1777,
        _ => 0o755,
    }
}

fn stat_inside(place: &Place, upper: &Upper, number: u64) -> Stat {
    let inode = upper.inode(number);
    let attributes = &inode.attributes;
    let (file_type, size, device) = match &inode.kind {
        UpperKind::Directory(_) => (FileType::Directory, 0, None),
        UpperKind::File(data) => (FileType::File, data.len(), None),
        UpperKind::Symlink(target) => (FileType::Symlink, target.len() as u64, None),
        UpperKind::CharDevice(device) => (FileType::CharDevice, 0, Some(*device)),
        UpperKind::BlockDevice(device) => (FileType::BlockDevice, 0, Some(*device)),
        UpperKind::Fifo => (FileType::Fifo, 0, None),
        UpperKind::Socket => (FileType::Socket, 0, None),
    };
    Stat {
        file_type,
        mode: attributes.mode,
        uid: attributes.uid,
        gid: attributes.gid,
        size,
        ino: number_of(place),
        nlink: match file_type {
            FileType::Directory => 2 + upper.subdirectories(number),
            _ => inode.links,
        },
        device,
        atime: attributes.atime,
        mtime: attributes.mtime,
        ctime: attributes.ctime,
    }
}

/// A number that is one thing's alone: inodes of directory N are counted from N times 2^32 on, and what stands
/// outside of them has a number by its name.
fn number_of(place: &Place) -> u64 {
    let named = |name: &str, kind: u64| {
        let hash = name.bytes().fold(kind, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3) & 0xffff_ffff
        });
        hash | 1 << 63
    };
    match place {
        Place::Inside(number, inode) => (number << 32) + inode + 2,
        Place::Snapshot(number) => number << 32,
        Place::Work(number) => (number << 32) + 1,
        Place::Fixed(path) | Place::File(path, _) => named(path, 1),
        Place::Blob(digest) => named(digest, 2),
        Place::Archive(name) => named(name, 3),
    }
}

fn names_of(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    let names = path.split(|&byte| byte == b'/');
    names.filter(|name| !name.is_empty()).map(<[u8]>::to_vec)
}
