//! The judge of the workbench: layers as plain maps from whole paths, edited in the most obvious way. An inode is
//! a place in a list, and names that share it are hard links.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::content::Content;
use crate::overlay::naive::{Listing, flatten};
use crate::tree::{Counts, Device, Directory, Ino, Metadata, Node, Time, Tree, TreePath};

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Device(u32, u32),
    Fifo,
}

/// One layer.
#[derive(Clone, Debug)]
pub struct Model {
    pub id: u32,
    pub time: i64,
    pub names: BTreeMap<TreePath, usize>,
    pub inodes: Vec<(What, Metadata)>,
    pub whiteouts: BTreeSet<TreePath>,
    pub opaque: BTreeSet<TreePath>,
}

/// What cannot be done gives nothing, and the model is then to be dropped.
type Done = Option<()>;

impl Model {
    pub fn new(id: u32, time: Time) -> Self {
        Self {
            id,
            time: time.seconds,
            names: [(TreePath::ROOT, 0)].into(),
            inodes: vec![(What::Directory, Metadata::new(0o755, 0, 0, time))],
            whiteouts: BTreeSet::new(),
            opaque: BTreeSet::new(),
        }
    }

    pub fn is_directory(&self, path: &TreePath) -> bool {
        let ino = self.names.get(path);
        ino.is_some_and(|&ino| self.inodes[ino].0 == What::Directory)
    }

    pub fn inode(&mut self, path: &TreePath) -> Option<&mut (What, Metadata)> {
        let ino = *self.names.get(path)?;
        Some(&mut self.inodes[ino])
    }

    fn free(&self, path: &TreePath) -> Done {
        let (parent, _) = path.split_last()?;
        (self.is_directory(&parent) && !self.names.contains_key(path)).then_some(())
    }

    fn name(&mut self, path: &TreePath, ino: usize) {
        self.names.insert(path.clone(), ino);
        self.whiteouts.remove(path);
    }

    pub fn make(&mut self, path: &TreePath, what: What, metadata: Metadata) -> Done {
        self.free(path)?;
        self.inodes.push((what, metadata));
        self.name(path, self.inodes.len() - 1);
        Some(())
    }

    pub fn link(&mut self, path: &TreePath, target: &TreePath) -> Done {
        let ino = *self.names.get(target)?;
        self.free(path)?;
        self.name(path, ino);
        (!self.is_directory(target)).then_some(())
    }

    pub fn delete(&mut self, path: &TreePath) -> Done {
        self.names.get(path)?;
        self.names.retain(|name, _| !name.starts_with(path));
        self.whiteouts.retain(|name| !name.starts_with(path));
        self.opaque.retain(|name| !name.starts_with(path));
        (!path.is_root()).then_some(())
    }

    /// Puts what `from` has at `origin` to `path`.
    pub fn copy(&mut self, from: &Self, origin: &TreePath, path: &TreePath) -> Done {
        from.names.get(origin)?;
        self.free(path)?;
        let moved = |name: &TreePath| -> Option<TreePath> {
            let rest = name.names().strip_prefix(origin.names())?;
            Some(path.names().iter().chain(rest).cloned().collect())
        };
        let mut copies = BTreeMap::new();
        for (name, ino) in &from.names {
            let Some(name) = moved(name) else { continue };
            let copy = *copies.entry(*ino).or_insert_with(|| {
                self.inodes.push(from.inodes[*ino].clone());
                self.inodes.len() - 1
            });
            self.name(&name, copy);
        }
        self.whiteouts.extend(from.whiteouts.iter().filter_map(moved));
        self.opaque.extend(from.opaque.iter().filter_map(moved));
        (!origin.is_root()).then_some(())
    }

    pub fn rename(&mut self, from: &TreePath, to: &TreePath) -> Done {
        let before = self.clone();
        self.copy(&before, from, to)?;
        // All names of an inode stay names of it, wherever they are.
        for (name, ino) in &before.names {
            if let Some(rest) = name.names().strip_prefix(from.names()) {
                self.names
                    .insert(to.names().iter().chain(rest).cloned().collect(), *ino);
            }
        }
        self.delete(from)?;
        (!to.starts_with(from)).then_some(())
    }

    pub fn whiteout(&mut self, path: &TreePath) -> Done {
        self.free(path)?;
        self.whiteouts.insert(path.clone());
        Some(())
    }

    pub fn set_opaque(&mut self, path: &TreePath, opaque: bool) -> Done {
        match opaque {
            true => self.opaque.insert(path.clone()),
            false => self.opaque.remove(path),
        };
        self.is_directory(path).then_some(())
    }

    /// Makes the directories above `path`, with the attributes that the layers `below` show, or else `metadata`.
    pub fn parents(&mut self, path: &TreePath, below: &[Self], metadata: &Metadata) -> Done {
        let listings: Vec<_> = below.iter().map(Self::listing).collect();
        let shown = flatten(&listings);
        for depth in 1..path.names().len() {
            let parent: TreePath = path.names()[..depth].iter().cloned().collect();
            if !self.names.contains_key(&parent) {
                let shown = shown.get(&parent).filter(|(is_directory, _)| *is_directory);
                let metadata = shown.map_or(metadata, |(_, metadata)| metadata);
                self.make(&parent, What::Directory, metadata.clone())?;
            }
        }
        Some(())
    }

    fn listing(&self) -> Listing<Metadata> {
        let names = self.names.iter().filter(|(path, _)| !path.is_root());
        let entry = |(path, ino): (&TreePath, &usize)| {
            let (what, metadata) = &self.inodes[*ino];
            (path.clone(), (*what == What::Directory, metadata.clone()))
        };
        Listing {
            entries: names.map(entry).collect(),
            whiteouts: self.whiteouts.clone(),
            opaque: self.opaque.clone(),
        }
    }

    pub fn counts(&self) -> Counts {
        let used: BTreeSet<usize> = self.names.values().copied().collect();
        let inodes = || used.iter().map(|ino| &self.inodes[*ino]);
        let length = |what: &What| match what {
            What::File(bytes) => bytes.len() as u64,
            _ => 0,
        };
        Counts {
            entries: self.names.len() as u64 - 1,
            whiteouts: self.whiteouts.len() as u64,
            opaques: self.opaque.len() as u64,
            content_bytes: inodes().map(|(what, _)| length(what)).sum(),
            need_pax: inodes().filter(|(_, metadata)| metadata.needs_pax()).count() as u64,
        }
    }

    /// A tree of it, made without the history that led here.
    pub fn tree(&self) -> Tree {
        let mut tree = Tree::new(self.inodes[self.names[&TreePath::ROOT]].1.clone(), self.time);
        let mut first: BTreeMap<usize, &TreePath> = BTreeMap::new();
        for (path, ino) in self.names.iter().filter(|(path, _)| !path.is_root()) {
            if let Some(first) = first.get(ino) {
                tree.link(path, first).unwrap();
                continue;
            }
            let (what, metadata) = &self.inodes[*ino];
            let node = match what {
                What::Directory => Node::Directory(Directory::default()),
                What::File(bytes) => Node::File(Content::inline(&bytes[..])),
                What::Symlink(target) => Node::from(&target[..]),
                &What::Device(major, minor) => Node::CharDevice(Device { major, minor }),
                What::Fifo => Node::Fifo,
            };
            tree.make(path, node, metadata.clone()).unwrap();
            first.insert(*ino, path);
        }
        for path in self.whiteouts.iter().rev() {
            tree.whiteout(path).unwrap();
        }
        for path in &self.opaque {
            tree.set_opaque(path, true).unwrap();
        }
        tree
    }

    /// Asserts that `tree` is the same file system.
    pub fn compare(&self, tree: &Tree, at: &str) {
        assert_eq!(tree.counts(), self.counts(), "{at}");
        assert_eq!(tree.whiteout_time(), self.time, "{at}");
        let mut inos: BTreeMap<usize, Ino> = BTreeMap::new();
        for (path, ino) in &self.names {
            let found = tree
                .lookup(path)
                .unwrap_or_else(|| panic!("{at}: {path} is missing"));
            assert_eq!(
                *inos.entry(*ino).or_insert(found),
                found,
                "{at}: {path} is one of several names"
            );
            let (inode, (what, metadata)) = (tree.inode(found), &self.inodes[*ino]);
            let links = self.names.values().filter(|other| *other == ino).count();
            assert_eq!(inode.links() as usize, links, "{at}: {path}");
            assert_eq!(&inode.metadata, metadata, "{at}: {path}");
            let is = match &inode.node {
                Node::Directory(directory) => {
                    assert_eq!(directory.opaque(), self.opaque.contains(path), "{at}: {path}");
                    What::Directory
                }
                Node::File(content) => What::File(content.read_all(u64::MAX).unwrap()),
                Node::Symlink(target) => What::Symlink(target.to_vec()),
                Node::CharDevice(device) | Node::BlockDevice(device) => {
                    What::Device(device.major, device.minor)
                }
                Node::Fifo => What::Fifo,
            };
            assert!(is == *what, "{at}: {path} is of another kind or content");
        }
        let distinct: BTreeSet<&Ino> = inos.values().collect();
        assert_eq!(
            distinct.len(),
            inos.len(),
            "{at}: what was copied is an inode of its own"
        );
        for path in &self.whiteouts {
            assert!(tree.is_whiteout(path), "{at}: {path}");
        }
    }
}

/// An extended attribute set or taken away.
pub fn set_xattr(metadata: &mut Metadata, name: &[u8], value: Option<&[u8]>) {
    let xattrs = Arc::make_mut(&mut metadata.xattrs);
    match value {
        Some(value) => xattrs.insert(name.to_vec(), value.to_vec()),
        None => xattrs.remove(name),
    };
}
