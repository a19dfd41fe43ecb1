//! The upperdir: a file system that can be written to, as the one below overlayfs sees it, marks and all.
//!
//! A persistent value: a clone costs nothing, so every step of a container's history keeps its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;

use super::data::Data;
use crate::tree::{Device, Time, Xattrs};

/// A name in a directory: any bytes but `/` and zero, at most 255. Unlike those of a layer's tree they can begin
/// with `.wh.`: the kernel knows nothing of that.
pub type FileName = Arc<[u8]>;

/// The attributes of an inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Permissions with setuid, setgid and sticky: 0 to 0o7777.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When it was last read, as far as overlayfs sets it.
    pub atime: Time,
    /// When the content was last changed.
    pub mtime: Time,
    /// When anything of it was last changed.
    pub ctime: Time,
    /// Extended attributes, overlayfs' own marks among them.
    pub xattrs: Xattrs,
}

/// What an inode is.
#[derive(Clone, Debug)]
pub enum UpperKind {
    /// Names of other inodes.
    Directory(OrdMap<FileName, Slot>),
    /// Bytes.
    File(Data),
    /// A path.
    Symlink(Arc<[u8]>),
    /// A character device; 0:0 is a whiteout.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// Where a name leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The inode's number.
    pub number: u64,
    /// Names are listed with the highest first: tmpfs lists the newest first.
    pub order: u64,
}

/// One inode.
#[derive(Clone, Debug)]
pub struct UpperInode {
    /// What it is.
    pub kind: UpperKind,
    /// Its attributes.
    pub attributes: Attributes,
    /// How many names it has; of a directory 1.
    pub links: u32,
}

impl UpperInode {
    /// The names in it, if it is a directory.
    pub fn entries(&self) -> Option<&OrdMap<FileName, Slot>> {
        match &self.kind {
            UpperKind::Directory(entries) => Some(entries),
            _ => None,
        }
    }

    /// Whether it is a whiteout: a character device 0:0.
    pub fn is_whiteout(&self) -> bool {
        matches!(self.kind, UpperKind::CharDevice(Device { major: 0, minor: 0 }))
    }
}

/// The file system.
#[derive(Clone, Debug)]
pub struct Upper {
    inodes: OrdMap<u64, Arc<UpperInode>>,
    /// How often inodes are held open: they stay without a name.
    held: BTreeMap<u64, u32>,
    next: u64,
}

impl Upper {
    /// The number of the root directory.
    pub const ROOT: u64 = 0;

    /// An empty directory with these attributes.
    pub fn new(root: Attributes) -> Self {
        let mut upper = Self {
            inodes: OrdMap::new(),
            held: BTreeMap::new(),
            next: 0,
        };
        upper.make(UpperKind::Directory(OrdMap::new()), root);
        upper.change(Self::ROOT, |root| root.links = 1);
        upper
    }

    /// Whether two uppers are the same value: nothing was changed between them.
    pub fn is_same(&self, other: &Self) -> bool {
        self.inodes.ptr_eq(&other.inodes)
    }

    /// How many inodes it has, the root directory too.
    pub fn len(&self) -> usize {
        self.inodes.len()
    }

    /// Whether nothing was written to it.
    pub fn is_empty(&self) -> bool {
        self.inodes.len() == 1
    }

    /// An inode. Panics if there is none of that number.
    pub fn inode(&self, number: u64) -> &UpperInode {
        &self.inodes[&number]
    }

    /// The inode of a name.
    pub fn child(&self, directory: u64, name: &[u8]) -> Option<u64> {
        let slot = self.inode(directory).entries()?.get(name)?;
        Some(slot.number)
    }

    /// The names in a directory, in the order in which they are listed: the newest first.
    pub fn listing(&self, directory: u64) -> Vec<FileName> {
        let entries = self.inode(directory).entries();
        let mut names: Vec<_> = entries.into_iter().flatten().collect();
        names.sort_by_key(|(_, slot)| std::cmp::Reverse(slot.order));
        names.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// A new inode that has no name yet.
    pub fn make(&mut self, kind: UpperKind, attributes: Attributes) -> u64 {
        let number = self.next;
        self.next += 1;
        let inode = UpperInode {
            kind,
            attributes,
            links: 0,
        };
        self.inodes.insert(number, Arc::new(inode));
        number
    }

    /// Changes one inode.
    pub fn change(&mut self, number: u64, change: impl FnOnce(&mut UpperInode)) {
        let inode = self.inodes.get_mut(&number).expect("callers have it from here");
        change(Arc::make_mut(inode));
    }

    fn change_entries(&mut self, directory: u64, change: impl FnOnce(&mut OrdMap<FileName, Slot>)) {
        self.change(directory, |inode| match &mut inode.kind {
            UpperKind::Directory(entries) => change(entries),
            _ => unreachable!("callers looked it up as a directory"),
        });
    }

    /// Gives an inode a name, in place of what had it, and returns what had it and has a name less now.
    pub fn put(&mut self, directory: u64, name: &FileName, number: u64) -> Option<u64> {
        let slot = Slot {
            number,
            order: self.next,
        };
        self.next += 1;
        let before = self.child(directory, name);
        self.change_entries(directory, |entries| {
            entries.insert(name.clone(), slot);
        });
        self.change(number, |inode| inode.links += 1);
        if let Some(before) = before {
            self.let_go(before);
        }
        before
    }

    /// Takes a name away; the inode goes with its last one.
    pub fn remove(&mut self, directory: u64, name: &[u8]) {
        if let Some(number) = self.child(directory, name) {
            self.change_entries(directory, |entries| {
                entries.remove(name);
            });
            self.let_go(number);
        }
    }

    /// Makes an inode one name poorer. The names in a directory go with it.
    fn let_go(&mut self, number: u64) {
        let mut pending = vec![number];
        while let Some(number) = pending.pop() {
            self.change(number, |inode| inode.links -= 1);
            if self.inode(number).links == 0 && !self.held.contains_key(&number) {
                let entries = self.inode(number).entries().into_iter().flatten();
                pending.extend(entries.map(|(_, slot)| slot.number));
                self.inodes.remove(&number);
            }
        }
    }

    /// Lets an inode stay until it is released, even if it loses its last name.
    pub(super) fn hold(&mut self, number: u64) {
        *self.held.entry(number).or_insert(0) += 1;
    }

    /// Takes back one [`Upper::hold`].
    pub(super) fn release(&mut self, number: u64) {
        match self.held.get(&number) {
            Some(2..) => *self.held.entry(number).or_insert(0) -= 1,
            _ => {
                self.held.remove(&number);
                if self.inode(number).links == 0 {
                    self.inodes.remove(&number);
                }
            }
        }
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.inodes.contains_key(&number)
    }

    /// Moves a name, in place of what the target was.
    pub fn rename(&mut self, from: (u64, &FileName), to: (u64, &FileName)) {
        let number = self.child(from.0, from.1).expect("callers looked it up");
        // First the new name, so that the inode never is without one.
        self.put(to.0, to.1, number);
        self.remove(from.0, from.1);
    }

    /// Makes two names change places.
    pub fn exchange(&mut self, a: (u64, &FileName), b: (u64, &FileName)) {
        let numbers = [a, b].map(|(directory, name)| self.child(directory, name));
        let [Some(first), Some(second)] = numbers else {
            unreachable!("callers looked both up");
        };
        self.change(first, |inode| inode.links += 1);
        self.put(a.0, a.1, second);
        self.put(b.0, b.1, first);
        self.change(first, |inode| inode.links -= 1);
    }

    /// The value of an extended attribute.
    pub fn xattr(&self, number: u64, name: &[u8]) -> Option<&[u8]> {
        let xattrs = &self.inode(number).attributes.xattrs;
        xattrs.get(name).map(Vec::as_slice)
    }

    /// Sets an extended attribute, or removes it.
    pub fn set_xattr(&mut self, number: u64, name: &[u8], value: Option<&[u8]>) {
        self.change(number, |inode| {
            let xattrs = Arc::make_mut(&mut inode.attributes.xattrs);
            match value {
                Some(value) => drop(xattrs.insert(name.to_vec(), value.to_vec())),
                None => drop(xattrs.remove(name)),
            }
        });
    }

    /// How many directories stand in a directory.
    pub fn subdirectories(&self, directory: u64) -> u32 {
        let entries = self.inode(directory).entries().into_iter().flatten();
        let is_directory = |slot: &Slot| self.inode(slot.number).entries().is_some();
        entries.filter(|(_, slot)| is_directory(slot)).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes() -> Attributes {
        let time = Time::at(1);
        Attributes {
            mode: 0o755,
            uid: 0,
            gid: 0,
            atime: time,
            mtime: time,
            ctime: time,
            xattrs: Xattrs::default(),
        }
    }

    #[test]
    fn inodes_live_as_long_as_they_have_a_name() {
        let mut upper = Upper::new(attributes());
        let [a, b, d]: [FileName; 3] = [b"a", b"b", b"d"].map(|name| name[..].into());
        let directory = upper.make(UpperKind::Directory(OrdMap::new()), attributes());
        upper.put(Upper::ROOT, &d, directory);
        let file = upper.make(UpperKind::Fifo, attributes());
        upper.put(directory, &a, file);
        upper.put(Upper::ROOT, &b, file);
        assert_eq!(upper.inode(file).links, 2);
        upper.exchange((directory, &a), (Upper::ROOT, &b));
        upper.exchange((Upper::ROOT, &b), (Upper::ROOT, &d));
        assert_eq!(upper.child(Upper::ROOT, b"b"), Some(directory));
        assert_eq!(upper.listing(Upper::ROOT), [d.clone(), b.clone()]);
        assert_eq!(upper.inode(file).links, 2);
        upper.rename((Upper::ROOT, &d), (directory, &b));
        assert_eq!(
            (upper.inode(file).links, upper.child(Upper::ROOT, b"d")),
            (2, None)
        );
        upper.remove(Upper::ROOT, b"b");
        assert_eq!(upper.inodes.len(), 1);
    }
}
