//! A file system in memory, with the system calls that runtimes make when they unpack, and the kernel's
//! answers to them, for a caller who is root. Paths are absolute and clean: whoever calls has resolved
//! symbolic links, as runtimes do before they dare to touch anything.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::errno::Errno;
use super::rule::EntryPlace;
use super::xattr;
use crate::content::Content;
use crate::tree::{NAME_MAX, Time};

/// The longest path that the kernel takes, its terminating zero included (PATH_MAX).
pub(super) const PATH_MAX: usize = 4096;

/// The number of an inode in its file system.
pub type Number = u64;

/// Numbers by names or paths. All maps here are of this one type, as the page pays for each of its own.
pub type ByBytes = BTreeMap<Vec<u8>, u64>;

const ROOT: Number = 0;

/// How many symbolic links the kernel follows in one path (MAXSYMLINKS).
const MAX_LINKS: u32 = 40;

/// What an inode is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Names of other inodes.
    Directory(ByBytes),
    /// Bytes.
    File(Content),
    /// A path.
    Symlink(Box<[u8]>),
    /// Major and minor number.
    CharDevice(u32, u32),
    /// Major and minor number.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
    /// A name that a directory lists, though nothing is there: a whiteout that overlayfs does not filter.
    Ghost,
}

/// An inode and its attributes.
#[derive(Clone, Debug)]
pub struct Inode {
    /// What it is.
    pub kind: Kind,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The owner's group.
    pub gid: u32,
    /// When it was modified; none for the moment of unpacking.
    pub mtime: Option<Time>,
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The entry that made it or, of a directory, that last said how it is; of one without an entry, the first
    /// that needed it.
    pub entry: EntryPlace,
    links: u32,
}

impl Inode {
    /// How many names it has.
    pub fn links(&self) -> u32 {
        self.links
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }

    fn directory(&self) -> Option<&ByBytes> {
        match &self.kind {
            Kind::Directory(names) => Some(names),
            _ => None,
        }
    }
}

/// The file system. Its first inode is the root directory, which can be removed like any other.
#[derive(Clone, Debug)]
pub struct Fs {
    inodes: Vec<Inode>,
    has_root: bool,
    /// Whether a directory's time becomes now when its names change. A kernel's does.
    is_alive: bool,
    /// How many names were looked up: the measure of work.
    lookups: Cell<u64>,
    /// About how many bytes of names and attributes were ever put here: the measure of memory.
    bytes: u64,
    /// The entry at hand, which makes what is made.
    at: EntryPlace,
    /// The files that were removed or replaced, by the entries that made them, if somebody wants to know.
    gone: Option<Vec<EntryPlace>>,
}

impl Fs {
    /// An empty file system. In one that `is_alive`, changes of a directory's names change its time.
    pub(super) fn new(is_alive: bool) -> Self {
        let mut fs = Self {
            inodes: Vec::new(),
            has_root: true,
            is_alive,
            lookups: Cell::new(0),
            bytes: 0,
            at: EntryPlace::default(),
            gone: None,
        };
        fs.add(Kind::Directory(ByBytes::new()), 0o755);
        fs
    }

    /// The entry that is worked on from now on.
    pub(super) fn work_on(&mut self, entry: EntryPlace) {
        self.at = entry;
    }

    /// A directory that is there is said again.
    pub(super) fn restate(&mut self, number: Number) {
        self.inode_mut(number).entry = self.at;
    }

    /// From now on the files that go are remembered, and given by this function once.
    pub(super) fn take_gone(&mut self) -> Vec<EntryPlace> {
        self.gone.replace(Vec::new()).unwrap_or_default()
    }

    pub(super) fn lookups(&self) -> u64 {
        self.lookups.get()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.inodes.len()
    }

    /// The root directory, if it is still there.
    pub fn root(&self) -> Option<Number> {
        self.has_root.then_some(ROOT)
    }

    /// Makes a root directory again where there is none.
    pub(super) fn revive_root(&mut self) {
        self.has_root = true;
        let names = Kind::Directory(ByBytes::new());
        let number = self.add(names, 0o755);
        self.inodes.swap(ROOT as usize, number as usize);
    }

    /// One inode.
    pub fn inode(&self, number: Number) -> &Inode {
        &self.inodes[number as usize]
    }

    pub(super) fn inode_mut(&mut self, number: Number) -> &mut Inode {
        &mut self.inodes[number as usize]
    }

    /// The names in a directory, in the order of their bytes; none in anything else.
    pub fn names(&self, number: Number) -> impl Iterator<Item = (&[u8], Number)> {
        let names = self.inode(number).directory().into_iter().flatten();
        names.map(|(name, &number)| (&name[..], number))
    }

    /// All paths, without a leading slash, directories before what is in them; the root first, as no bytes.
    pub fn walk(&self) -> impl Iterator<Item = (Vec<u8>, Number)> {
        let mut pending: Vec<(Vec<u8>, Number)> =
            self.root().map(|root| (Vec::new(), root)).into_iter().collect();
        std::iter::from_fn(move || {
            let (path, number) = pending.pop()?;
            let children = self.names(number).map(|(name, number)| {
                let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
                ([&path[..], slash, name].concat(), number)
            });
            let first = pending.len();
            pending.extend(children);
            pending[first..].reverse();
            Some((path, number))
        })
    }

    fn add(&mut self, kind: Kind, mode: u32) -> Number {
        let number = self.inodes.len() as Number;
        self.bytes += match &kind {
            Kind::Directory(_) => DIRECTORY_BYTES,
            Kind::Symlink(target) => target.len() as u64,
            _ => 0,
        };
        self.inodes.push(Inode {
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: None,
            xattrs: BTreeMap::new(),
            entry: self.at,
            links: 0,
        });
        number
    }

    /// Adds a copy of an inode of another file system, without names.
    pub(super) fn adopt(&mut self, inode: &Inode) -> Number {
        let kind = match &inode.kind {
            Kind::Directory(_) => Kind::Directory(ByBytes::new()),
            kind => kind.clone(),
        };
        let number = self.add(kind, inode.mode);
        *self.inode_mut(number) = Inode {
            kind: std::mem::replace(&mut self.inode_mut(number).kind, Kind::Ghost),
            xattrs: BTreeMap::new(),
            links: 0,
            ..*inode
        };
        self.replace_xattrs(number, inode.xattrs.clone());
        number
    }

    /// Gives an inode these attributes in place of all that it has, whatever the kernel would say of them.
    pub(super) fn replace_xattrs(&mut self, number: Number, xattrs: BTreeMap<Vec<u8>, Vec<u8>>) {
        self.bytes += xattrs
            .iter()
            .map(|(name, value)| kept(name) + value.len() as u64)
            .sum::<u64>();
        self.inode_mut(number).xattrs = xattrs;
    }

    pub(super) fn add_ghost(&mut self) -> Number {
        self.add(Kind::Ghost, 0)
    }

    /// Gives an inode a name in a directory, as it is: no time changes.
    pub(super) fn put(&mut self, parent: Number, name: &[u8], number: Number) {
        if let Kind::Directory(names) = &mut self.inode_mut(parent).kind {
            names.insert(name.to_vec(), number);
            self.bytes += kept(name);
            self.inode_mut(number).links += 1;
        }
    }

    /// Makes a name in a directory mean another inode; no time changes.
    pub(super) fn relink(&mut self, parent: Number, name: &[u8], number: Number) {
        if let Kind::Directory(names) = &mut self.inode_mut(parent).kind
            && let Some(old) = names.insert(name.to_vec(), number)
        {
            self.inode_mut(number).links += 1;
            self.inode_mut(old).links -= 1;
        }
    }

    /// What a name means in a directory.
    pub fn child_of(&self, parent: Number, name: &[u8]) -> Option<Number> {
        self.inode(parent).directory()?.get(name).copied()
    }

    fn touch(&mut self, number: Number) {
        if self.is_alive {
            self.inode_mut(number).mtime = None;
        }
    }

    fn child(&self, parent: Number, name: &[u8]) -> Result<Number, Errno> {
        self.lookups.set(self.lookups.get() + 1);
        let names = self.inode(parent).directory().ok_or(Errno::ENOTDIR)?;
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        names.get(name).copied().ok_or(Errno::ENOENT)
    }

    /// lstat(2): the inode at a path.
    pub(super) fn lstat(&self, path: &[u8]) -> Result<Number, Errno> {
        self.find(path, false)
    }

    /// The inode at a path. Links on the way are followed as the kernel follows them for a process that is
    /// not confined to this root: what lies outside is taken to be empty.
    fn find(&self, path: &[u8], follows_last: bool) -> Result<Number, Errno> {
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let mut above = vec![self.root().ok_or(Errno::ENOENT)?];
        let mut pending: Vec<&[u8]> = components(path).collect();
        pending.reverse();
        let mut links = 0;
        while let Some(name) = pending.pop() {
            let parent = *above.last().ok_or(Errno::ENOENT)?;
            if !self.inode(parent).is_directory() {
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
            if let Kind::Symlink(target) = &self.inode(number).kind {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::ELOOP);
                }
                if target.starts_with(b"/") {
                    return Err(Errno::ENOENT);
                }
                above.pop();
                let first = pending.len();
                pending.extend(components(target));
                pending[first..].reverse();
            }
        }
        above.last().copied().ok_or(Errno::ENOENT)
    }

    /// The inode at a path, of which no name but the last may be a symbolic link.
    pub fn at(&self, path: &[u8]) -> Option<Number> {
        let mut parts = components(path);
        parts.try_fold(self.root()?, |parent, name| self.child(parent, name).ok())
    }

    /// The directory in which the last name of `path` stands, and that name.
    fn parent<'a>(&self, path: &'a [u8]) -> Result<(Number, &'a [u8]), Errno> {
        let cut = path.iter().rposition(|&byte| byte == b'/').ok_or(Errno::ENOENT)?;
        let parent = self.find(&path[..cut], true)?;
        if !self.inode(parent).is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        Ok((parent, &path[cut + 1..]))
    }

    /// Makes something new: the owner's group, and for directories setgid, come from a setgid directory.
    fn make(&mut self, path: &[u8], kind: Kind, mode: u32) -> Result<Number, Errno> {
        let (parent, name) = self.parent(path)?;
        match self.child(parent, name) {
            Ok(_) => return Err(Errno::EEXIST),
            Err(Errno::ENOENT) if !name.is_empty() => {}
            Err(Errno::ENOENT) => return Err(Errno::EEXIST),
            Err(error) => return Err(error),
        }
        let is_directory = matches!(kind, Kind::Directory(_));
        let number = self.add(kind, mode);
        let Inode { mode, gid, .. } = *self.inode(parent);
        if mode & SETGID != 0 {
            let new = self.inode_mut(number);
            new.gid = gid;
            if is_directory {
                new.mode |= SETGID;
            }
        }
        self.put(parent, name, number);
        self.touch(parent);
        Ok(number)
    }

    /// mkdir(2).
    pub(super) fn mkdir(&mut self, path: &[u8], mode: u32) -> Result<Number, Errno> {
        self.make(path, Kind::Directory(ByBytes::new()), mode)
    }

    /// open(2) with O_CREAT of what is not there, and the writing of all its bytes.
    pub(super) fn create(&mut self, path: &[u8], data: Content) -> Result<Number, Errno> {
        self.make(path, Kind::File(data), 0o644)
    }

    /// symlink(2).
    pub(super) fn symlink(&mut self, target: &[u8], path: &[u8]) -> Result<Number, Errno> {
        match target.len() {
            0 => Err(Errno::ENOENT),
            PATH_MAX.. => Err(Errno::ENAMETOOLONG),
            _ => self.make(path, Kind::Symlink(target.into()), 0o777),
        }
    }

    /// mknod(2).
    pub(super) fn mknod(&mut self, path: &[u8], kind: Kind, mode: u32) -> Result<Number, Errno> {
        self.make(path, kind, mode)
    }

    /// link(2): one more name for what is at `old`, a symbolic link included.
    pub(super) fn link(&mut self, old: &[u8], new: &[u8]) -> Result<Number, Errno> {
        let number = self.lstat(old)?;
        let (parent, name) = self.parent(new)?;
        match self.child(parent, name) {
            Ok(_) => return Err(Errno::EEXIST),
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(error),
        }
        if self.inode(number).is_directory() {
            return Err(Errno::EPERM);
        }
        self.put(parent, name, number);
        self.touch(parent);
        Ok(number)
    }

    /// Removes a path with all that is in it, as `rm -rf` does; what is not there is removed already.
    pub(super) fn remove_all(&mut self, path: &[u8]) -> Result<(), Errno> {
        if components(path).next().is_none() {
            self.has_root = false;
            return Ok(());
        }
        let (parent, name) = match self.parent(path) {
            Err(Errno::ENOENT) => return Ok(()),
            found => found?,
        };
        match self.child(parent, name) {
            Err(Errno::ENOENT) => return Ok(()),
            found => found?,
        };
        self.remove(parent, name);
        Ok(())
    }

    /// Removes one name of a directory, and what is under it.
    pub(super) fn remove(&mut self, parent: Number, name: &[u8]) {
        let Kind::Directory(names) = &mut self.inode_mut(parent).kind else {
            return;
        };
        let mut pending: Vec<Number> = names.remove(name).into_iter().collect();
        self.touch(parent);
        while let Some(number) = pending.pop() {
            let inode = &mut self.inodes[number as usize];
            inode.links = inode.links.saturating_sub(1);
            if let Kind::Directory(names) = &mut inode.kind {
                pending.extend(std::mem::take(names).into_values());
            }
            if inode.links == 0 {
                if let (Some(gone), Kind::File(_)) = (&mut self.gone, &inode.kind) {
                    gone.push(inode.entry);
                }
                inode.kind = Kind::Ghost;
                inode.xattrs = BTreeMap::new();
            }
        }
    }

    /// lchown(2). The largest id, which is -1, leaves what is there. It takes away capabilities, and setuid
    /// and setgid, which all callers set again afterwards.
    pub(super) fn lchown(&mut self, number: Number, uid: u32, gid: u32) {
        let inode = self.inode_mut(number);
        if uid != u32::MAX {
            inode.uid = uid;
        }
        if gid != u32::MAX {
            inode.gid = gid;
        }
        if !inode.is_directory() {
            inode.xattrs.remove(xattr::CAPABILITY);
        }
    }

    /// lsetxattr(2).
    pub(super) fn set_xattr(&mut self, number: Number, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        let inode = self.inode_mut(number);
        let can_hold_user = matches!(inode.kind, Kind::Directory(_) | Kind::File(_));
        let is_symlink = matches!(inode.kind, Kind::Symlink(_));
        if xattr::check(name, value, can_hold_user, is_symlink)? {
            inode.xattrs.insert(name.to_vec(), value.to_vec());
            self.bytes += kept(name) + value.len() as u64;
        }
        Ok(())
    }
}

const SETGID: u32 = 0o2000;

/// About how many bytes the map of a directory takes beside its names.
const DIRECTORY_BYTES: u64 = 512;

/// About how many bytes a name or path takes in a map.
pub(super) fn kept(name: &[u8]) -> u64 {
    name.len() as u64 + 32
}

/// The names of a path.
pub(super) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty())
}
