//! A lower layer: the tree of a layer, read as overlayfs reads the directory that it was unpacked to.

use crate::tree::{Device, Ino, Inode, Metadata, Name, Node, Tree};

use super::mark::Marks;
use super::upper::FileName;

/// A lower layer.
#[derive(Clone, Debug)]
pub struct Lower {
    tree: Tree,
}

/// What a layer has at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    /// Nothing.
    None,
    /// A whiteout; whether it is one by an xattr.
    Whiteout { by_xattr: bool },
    /// The inode of that number.
    Inode(u64),
}

impl Lower {
    /// The layer as its tree says. Whiteouts and opaque directories of the tree are what an unpacking runtime
    /// makes of them; marks as overlayfs itself writes them, in xattrs and devices 0:0, count as well.
    pub fn new(tree: Tree) -> Self {
        Self { tree }
    }

    pub(super) fn inode(&self, number: u64) -> &Inode {
        self.tree.inode(Ino::of(number))
    }

    pub(super) fn child(&self, directory: u64, name: &[u8], marks: Marks) -> Child {
        let Some(directory) = self.inode(directory).node.as_directory() else {
            return Child::None;
        };
        if directory.whiteouts().contains(name) {
            return Child::Whiteout { by_xattr: false };
        }
        let Some(ino) = directory.entries().get(name) else {
            return Child::None;
        };
        let inode = self.tree.inode(*ino);
        match &inode.node {
            Node::CharDevice(Device { major: 0, minor: 0 }) => Child::Whiteout { by_xattr: false },
            Node::File(content)
                if content.is_empty() && marks.get(&inode.metadata, b"whiteout").is_some() =>
            {
                Child::Whiteout { by_xattr: true }
            }
            _ => Child::Inode(ino.number()),
        }
    }

    /// The names in a directory, whiteouts too, in the order of their bytes: what order a real file system has
    /// them in, an image does not say.
    pub(super) fn listing(&self, directory: u64) -> Vec<FileName> {
        let Some(directory) = self.inode(directory).node.as_directory() else {
            return Vec::new();
        };
        let entries = directory.entries().keys();
        let mut names: Vec<&Name> = entries.chain(directory.whiteouts()).collect();
        names.sort();
        names.dedup();
        names.into_iter().map(|name| name.as_bytes().into()).collect()
    }

    /// The mark that says how a directory treats what lies below: `y` hides it.
    pub(super) fn opaque(&self, number: u64, marks: Marks) -> Option<u8> {
        let inode = self.inode(number);
        if inode
            .node
            .as_directory()
            .is_some_and(|directory| directory.opaque())
        {
            return Some(b'y');
        }
        match marks.get(&inode.metadata, b"opaque") {
            Some([value]) => Some(*value),
            _ => None,
        }
    }

    /// How many directories stand in a directory.
    pub(super) fn subdirectories(&self, number: u64) -> u32 {
        let directory = self.inode(number).node.as_directory();
        let entries = directory.into_iter().flat_map(|directory| directory.entries());
        entries
            .filter(|(_, ino)| self.tree.directory(**ino).is_some())
            .count() as u32
    }

    pub(super) fn metadata(&self, number: u64) -> &Metadata {
        &self.inode(number).metadata
    }
}
