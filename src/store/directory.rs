//! A snapshot's directory in memory: an upperdir with the system calls that unpacking makes, and the kernel's answers
//! to them, for a caller who is root.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;

use super::snapshot::Usage;
use crate::content::Content;
use crate::layer::dialect::xattr;
use crate::layer::dialect::{self, Errno, FileSystem, Kind, Sort, Why};
use crate::overlay::mount::{Attributes, Data, FileName, Upper, UpperKind};
use crate::tree::{Device, Directory, Ino, Metadata, NAME_MAX, Name, Node, Time, Tree, Xattrs};

/// PATH_MAX, the terminating zero included, and how many symbolic links the kernel follows in one path.
const PATH_MAX: usize = 4096;
const MAX_LINKS: u32 = 40;
const SETGID: u16 = 0o2000;
/// What makes a directory opaque for overlayfs, with the value `y`.
const OPAQUE: &[u8] = b"trusted.overlay.opaque";

/// A directory that a layer is applied to, or one below it.
pub(super) struct Unpacking {
    pub(super) upper: Upper,
    now: Time,
    lookups: Cell<u64>,
}

/// An empty directory with this mode and owner.
pub(super) fn empty(mode: u16, owner: (u32, u32), now: Time) -> Upper {
    Upper::new(attributes(mode, owner, now))
}

fn attributes(mode: u16, (uid, gid): (u32, u32), now: Time) -> Attributes {
    Attributes {
        mode,
        uid,
        gid,
        atime: now,
        mtime: now,
        ctime: now,
        xattrs: Xattrs::default(),
    }
}

impl Unpacking {
    pub(super) fn new(upper: Upper, now: Time) -> Self {
        Self {
            upper,
            now,
            lookups: Cell::new(0),
        }
    }

    fn child(&self, parent: u64, name: &[u8]) -> Result<u64, Errno> {
        self.lookups.set(self.lookups.get() + 1);
        if self.upper.inode(parent).entries().is_none() {
            return Err(Errno::ENOTDIR);
        }
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        self.upper.child(parent, name).ok_or(Errno::ENOENT)
    }

    /// The inode at a path. Links on the way are followed as the kernel follows them for a process that is not
    /// confined to this root: what lies outside is taken to be empty.
    fn find(&self, path: &[u8], follows_last: bool) -> Result<u64, Errno> {
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut above = vec![Upper::ROOT];
        let mut pending: Vec<&[u8]> = names_of(path).collect();
        pending.reverse();
        let mut links = 0;
        while let Some(name) = pending.pop() {
            let parent = *above.last().ok_or(Errno::ENOENT)?;
            if self.upper.inode(parent).entries().is_none() {
                return Err(Errno::ENOTDIR);
            }
            match name {
                b"." => continue,
                b".." => drop(above.pop()),
                name => above.push(self.child(parent, name)?),
            }
            let is_last = pending.is_empty() && !follows_last;
            let Some(&number) = above.last().filter(|_| !is_last) else {
                continue;
            };
            if let UpperKind::Symlink(target) = &self.upper.inode(number).kind {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::ELOOP);
                }
                if target.starts_with(b"/") {
                    return Err(Errno::ENOENT);
                }
                above.pop();
                let first = pending.len();
                pending.extend(names_of(target));
                pending[first..].reverse();
            }
        }
        above.last().copied().ok_or(Errno::ENOENT)
    }

    /// The directory in which the last name of `path` stands, and that name.
    fn parent<'a>(&self, path: &'a [u8]) -> Result<(u64, &'a [u8]), Errno> {
        let cut = path.iter().rposition(|&byte| byte == b'/').ok_or(Errno::ENOENT)?;
        let parent = self.find(&path[..cut], true)?;
        if self.upper.inode(parent).entries().is_none() {
            return Err(Errno::ENOTDIR);
        }
        match path.len() {
            PATH_MAX.. => Err(Errno::ENAMETOOLONG),
            _ => Ok((parent, &path[cut + 1..])),
        }
    }

    /// A place where nothing stands.
    fn free<'a>(&self, path: &'a [u8]) -> Result<(u64, &'a [u8]), Errno> {
        let (parent, name) = self.parent(path)?;
        match self.child(parent, name) {
            Err(Errno::ENOENT) if !name.is_empty() => Ok((parent, name)),
            Ok(_) | Err(Errno::ENOENT) => Err(Errno::EEXIST),
            Err(error) => Err(error),
        }
    }

    fn put(&mut self, parent: u64, name: &[u8], number: u64) {
        let name: FileName = name.into();
        self.upper.put(parent, &name, number);
        self.touch(parent);
    }

    /// A directory's time is now when its names change.
    fn touch(&mut self, directory: u64) {
        let now = self.now;
        self.upper.change(directory, |inode| {
            (inode.attributes.mtime, inode.attributes.ctime) = (now, now);
        });
    }

    /// Makes something new: the owner's group, and for directories setgid, come from a setgid directory.
    fn make(&mut self, path: &[u8], kind: UpperKind, mode: u16) -> Result<u64, Errno> {
        let (parent, name) = self.free(path)?;
        let above = &self.upper.inode(parent).attributes;
        let (mut mode, mut gid) = (mode, 0);
        if above.mode & SETGID != 0 {
            gid = above.gid;
            if matches!(kind, UpperKind::Directory(_)) {
                mode |= SETGID;
            }
        }
        let number = self.upper.make(kind, attributes(mode, (0, gid), self.now));
        self.put(parent, name, number);
        Ok(number)
    }

    fn change(&mut self, number: u64, change: impl FnOnce(&mut Attributes)) {
        self.upper.change(number, |inode| change(&mut inode.attributes));
    }
}

impl FileSystem for Unpacking {
    type Node = u64;

    fn lstat(&self, path: &[u8]) -> Result<u64, Errno> {
        self.find(path, false)
    }

    fn sort(&self, &node: &u64) -> Sort {
        match self.upper.inode(node).kind {
            UpperKind::Directory(_) => Sort::Directory,
            UpperKind::File(_) => Sort::File,
            UpperKind::Symlink(_) => Sort::Symlink,
            _ => Sort::Other,
        }
    }

    fn readlink(&self, &node: &u64) -> Result<Vec<u8>, Errno> {
        match &self.upper.inode(node).kind {
            UpperKind::Symlink(target) => Ok(target.to_vec()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn names(&self, &node: &u64) -> Result<Vec<Vec<u8>>, Errno> {
        let entries = self.upper.inode(node).entries().into_iter().flatten();
        Ok(entries.map(|(name, _)| name.to_vec()).collect())
    }

    fn attributes(&self, &node: &u64) -> Result<dialect::Attributes, Errno> {
        let attributes = &self.upper.inode(node).attributes;
        Ok(dialect::Attributes {
            mode: u32::from(attributes.mode),
            uid: attributes.uid,
            gid: attributes.gid,
            mtime: Some(attributes.mtime),
            xattrs: (*attributes.xattrs).clone(),
        })
    }

    fn has_xattrs(&self, &node: &u64) -> bool {
        !self.upper.inode(node).attributes.xattrs.is_empty()
    }

    fn lookups(&self) -> u64 {
        self.lookups.get()
    }

    fn mkdir(&mut self, path: &[u8], mode: u32) -> Result<u64, Errno> {
        self.make(path, UpperKind::Directory(OrdMap::new()), mode as u16)
    }

    fn create(&mut self, path: &[u8], data: Content) -> Result<u64, Why> {
        Ok(self.make(path, UpperKind::File(Data::new(data)), 0o644)?)
    }

    fn symlink(&mut self, target: &[u8], path: &[u8]) -> Result<u64, Errno> {
        match target.len() {
            0 => Err(Errno::ENOENT),
            PATH_MAX.. => Err(Errno::ENAMETOOLONG),
            _ => self.make(path, UpperKind::Symlink(target.into()), 0o777),
        }
    }

    fn mknod(&mut self, path: &[u8], kind: Kind, mode: u32) -> Result<Option<u64>, Errno> {
        let kind = match kind {
            Kind::CharDevice(major, minor) => UpperKind::CharDevice(Device { major, minor }),
            Kind::BlockDevice(major, minor) => UpperKind::BlockDevice(Device { major, minor }),
            Kind::Fifo => UpperKind::Fifo,
            Kind::File(data) => UpperKind::File(Data::new(data)),
            Kind::Directory(_) | Kind::Symlink(_) | Kind::Ghost => return Err(Errno::EINVAL),
        };
        self.make(path, kind, mode as u16).map(Some)
    }

    fn link(&mut self, old: &[u8], new: &[u8]) -> Result<Option<u64>, Errno> {
        let number = self.find(old, false)?;
        let (parent, name) = self.free(new)?;
        if self.upper.inode(number).entries().is_some() {
            return Err(Errno::EPERM);
        }
        self.put(parent, name, number);
        Ok(Some(number))
    }

    fn remove_all(&mut self, path: &[u8]) -> Result<(), Errno> {
        let (parent, name) = match self.parent(path) {
            Err(Errno::ENOENT) => return Ok(()),
            found => found?,
        };
        match self.child(parent, name) {
            Err(Errno::ENOENT) => return Ok(()),
            found => found?,
        };
        self.upper.remove(parent, name);
        self.touch(parent);
        Ok(())
    }

    fn lchown(&mut self, &node: &u64, uid: u32, gid: u32) -> Result<(), Errno> {
        let is_directory = self.upper.inode(node).entries().is_some();
        self.change(node, |attributes| {
            if uid != u32::MAX {
                attributes.uid = uid;
            }
            if gid != u32::MAX {
                attributes.gid = gid;
            }
            if !is_directory && attributes.xattrs.contains_key(xattr::CAPABILITY) {
                Arc::make_mut(&mut attributes.xattrs).remove(xattr::CAPABILITY);
            }
        });
        Ok(())
    }

    fn chmod(&mut self, &node: &u64, mode: u32) -> Result<(), Errno> {
        self.change(node, |attributes| attributes.mode = mode as u16);
        Ok(())
    }

    fn set_mtime(&mut self, &node: &u64, mtime: Time) -> Result<(), Errno> {
        self.change(node, |attributes| attributes.mtime = mtime);
        Ok(())
    }

    fn set_xattr(&mut self, &node: &u64, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        let sort = self.sort(&node);
        let can_hold_user = matches!(sort, Sort::Directory | Sort::File);
        if xattr::check(name, value, can_hold_user, sort == Sort::Symlink)? {
            self.upper.set_xattr(node, name, Some(value));
        }
        Ok(())
    }

    fn mark_opaque(&mut self, node: &u64) -> Result<(), Errno> {
        self.set_xattr(node, OPAQUE, b"y")
    }

    fn restate(&mut self, _: &u64) {}
}

fn names_of(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty())
}

/// How much a directory takes on a file system with blocks of 4 KiB, such as ext4: directories one, files as many as
/// they fill, links of 60 bytes and more one.
pub(super) fn usage(upper: &Upper) -> Usage {
    const BLOCK: u64 = 4096;
    let mut usage = Usage::default();
    let mut seen = BTreeSet::new();
    let mut pending = vec![Upper::ROOT];
    while let Some(number) = pending.pop() {
        let inode = upper.inode(number);
        if inode.links > 1 && !seen.insert(number) {
            continue;
        }
        usage.inodes += 1;
        usage.size += match &inode.kind {
            UpperKind::Directory(_) => BLOCK,
            UpperKind::File(data) => data.len().div_ceil(BLOCK) * BLOCK,
            UpperKind::Symlink(target) if target.len() >= 60 => BLOCK,
            _ => 0,
        };
        let entries = inode.entries().into_iter().flatten();
        pending.extend(entries.map(|(_, slot)| slot.number));
    }
    usage
}

/// The directory as the tree of a lower layer: devices 0:0 are its whiteouts, and what is marked opaque is opaque. Names
/// that begin with `.wh.`, which no layer can mean, and sockets are not in it.
pub(super) fn tree(upper: &Upper) -> Tree {
    let mut tree = Tree::new(Metadata::default(), 0);
    let root = metadata(upper, Upper::ROOT);
    tree.set_opaque_of(Ino::ROOT, root.1);
    tree.set_metadata_of(Ino::ROOT, |own| *own = root.0);
    let mut linked: OrdMap<u64, u64> = OrdMap::new();
    let mut pending = vec![(Upper::ROOT, Ino::ROOT)];
    while let Some((directory, parent)) = pending.pop() {
        for (name, slot) in upper.inode(directory).entries().into_iter().flatten() {
            let Ok(name) = Name::new(name) else { continue };
            if let Some(ino) = linked.get(&slot.number) {
                tree.add_link(parent, name, Ino::of(*ino));
                continue;
            }
            let inode = upper.inode(slot.number);
            let node = match &inode.kind {
                _ if inode.is_whiteout() => {
                    tree.add_whiteout(parent, name);
                    continue;
                }
                UpperKind::Directory(_) => Node::Directory(Directory::default()),
                UpperKind::File(data) => Node::File(data.content()),
                UpperKind::Symlink(target) => Node::Symlink(target.clone()),
                UpperKind::CharDevice(device) => Node::CharDevice(*device),
                UpperKind::BlockDevice(device) => Node::BlockDevice(*device),
                UpperKind::Fifo => Node::Fifo,
                UpperKind::Socket => continue,
            };
            let is_directory = matches!(node, Node::Directory(_));
            let (metadata, is_opaque) = metadata(upper, slot.number);
            let ino = tree.add(parent, name, node, metadata);
            if is_directory {
                tree.set_opaque_of(ino, is_opaque);
                pending.push((slot.number, ino));
            } else {
                linked.insert(slot.number, ino.number());
            }
        }
    }
    tree
}

/// The attributes of an inode as a layer has them, and whether it is marked opaque.
fn metadata(upper: &Upper, number: u64) -> (Metadata, bool) {
    let Attributes {
        mode,
        uid,
        gid,
        mtime,
        xattrs,
        ..
    } = upper.inode(number).attributes.clone();
    let mut metadata = Metadata {
        mode,
        uid,
        gid,
        mtime,
        xattrs,
    };
    let is_opaque = metadata.xattrs.get(OPAQUE).is_some_and(|value| value == b"y");
    if is_opaque {
        Arc::make_mut(&mut metadata.xattrs).remove(OPAQUE);
    }
    (metadata, is_opaque)
}
