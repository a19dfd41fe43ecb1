//! The system calls that unpacking makes, so that the same steps run on the file system in memory and on a
//! directory of a machine. Paths are absolute and clean, and lead nowhere but into the root.

use std::collections::BTreeMap;

use super::Why;
use super::errno::Errno;
use super::fs::{Fs, Kind, Number};
use super::xattr;
use crate::content::Content;
use crate::tree::Time;

/// What something is, as far as unpacking asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A device, a fifo or a socket.
    Other,
}

/// What a directory hands on to one that is made above it.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// None for the moment of unpacking.
    pub mtime: Option<Time>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A file system that layers are applied to. Symbolic links on the way to the last name are followed, as long
/// as they stay inside of the root; what they lead to outside of it is not there (ENOENT).
pub(crate) trait FileSystem {
    /// Something in it.
    type Node;

    /// lstat(2).
    fn lstat(&self, path: &[u8]) -> Result<Self::Node, Errno>;
    /// What it is.
    fn sort(&self, node: &Self::Node) -> Sort;
    /// Where a symbolic link leads.
    fn readlink(&self, node: &Self::Node) -> Result<Vec<u8>, Errno>;
    /// The names in a directory; none in anything else.
    fn names(&self, node: &Self::Node) -> Result<Vec<Vec<u8>>, Errno>;
    /// What a directory looks like.
    fn attributes(&self, node: &Self::Node) -> Result<Attributes, Errno>;
    /// Whether it has extended attributes, if that is known.
    fn has_xattrs(&self, node: &Self::Node) -> bool;
    /// How many names were looked up: the measure of work.
    fn lookups(&self) -> u64;

    /// mkdir(2).
    fn mkdir(&mut self, path: &[u8], mode: u32) -> Result<Self::Node, Errno>;
    /// open(2) with O_CREAT and O_EXCL, and the writing of all bytes.
    fn create(&mut self, path: &[u8], data: Content) -> Result<Self::Node, Why>;
    /// symlink(2).
    fn symlink(&mut self, target: &[u8], path: &[u8]) -> Result<Self::Node, Errno>;
    /// mknod(2); none if it is left out, which the file system remembers.
    fn mknod(&mut self, path: &[u8], kind: Kind, mode: u32) -> Result<Option<Self::Node>, Errno>;
    /// link(2), symbolic links not followed; none if what `old` names was left out.
    fn link(&mut self, old: &[u8], new: &[u8]) -> Result<Option<Self::Node>, Errno>;
    /// Removes a path with all that is in it, as `rm -rf` does; what is not there is removed already.
    fn remove_all(&mut self, path: &[u8]) -> Result<(), Errno>;

    /// lchown(2). The largest id, which is -1, leaves what is there.
    fn lchown(&mut self, node: &Self::Node, uid: u32, gid: u32) -> Result<(), Errno>;
    /// chmod(2) of what is no symbolic link.
    fn chmod(&mut self, node: &Self::Node, mode: u32) -> Result<(), Errno>;
    /// utimensat(2), links not followed.
    fn set_mtime(&mut self, node: &Self::Node, mtime: Time) -> Result<(), Errno>;
    /// lsetxattr(2).
    fn set_xattr(&mut self, node: &Self::Node, name: &[u8], value: &[u8]) -> Result<(), Errno>;
    /// Marks a directory as opaque for overlayfs.
    fn mark_opaque(&mut self, node: &Self::Node) -> Result<(), Errno>;
    /// A directory that is there is said again.
    fn restate(&mut self, node: &Self::Node);
}

impl FileSystem for Fs {
    type Node = Number;

    fn lstat(&self, path: &[u8]) -> Result<Number, Errno> {
        self.lstat(path)
    }

    fn sort(&self, &node: &Number) -> Sort {
        match self.inode(node).kind {
            Kind::Directory(_) => Sort::Directory,
            Kind::File(_) => Sort::File,
            Kind::Symlink(_) => Sort::Symlink,
            Kind::CharDevice(..) | Kind::BlockDevice(..) | Kind::Fifo | Kind::Ghost => Sort::Other,
        }
    }

    fn readlink(&self, &node: &Number) -> Result<Vec<u8>, Errno> {
        match &self.inode(node).kind {
            Kind::Symlink(target) => Ok(target.to_vec()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn names(&self, &node: &Number) -> Result<Vec<Vec<u8>>, Errno> {
        Ok(self.names(node).map(|(name, _)| name.to_vec()).collect())
    }

    fn attributes(&self, &node: &Number) -> Result<Attributes, Errno> {
        let inode = self.inode(node);
        Ok(Attributes {
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            mtime: inode.mtime,
            xattrs: inode.xattrs.clone(),
        })
    }

    fn has_xattrs(&self, &node: &Number) -> bool {
        !self.inode(node).xattrs.is_empty()
    }

    fn lookups(&self) -> u64 {
        self.lookups()
    }

    fn mkdir(&mut self, path: &[u8], mode: u32) -> Result<Number, Errno> {
        self.mkdir(path, mode)
    }

    fn create(&mut self, path: &[u8], data: Content) -> Result<Number, Why> {
        Ok(self.create(path, data)?)
    }

    fn symlink(&mut self, target: &[u8], path: &[u8]) -> Result<Number, Errno> {
        self.symlink(target, path)
    }

    fn mknod(&mut self, path: &[u8], kind: Kind, mode: u32) -> Result<Option<Number>, Errno> {
        self.mknod(path, kind, mode).map(Some)
    }

    fn link(&mut self, old: &[u8], new: &[u8]) -> Result<Option<Number>, Errno> {
        self.link(old, new).map(Some)
    }

    fn remove_all(&mut self, path: &[u8]) -> Result<(), Errno> {
        self.remove_all(path)
    }

    fn lchown(&mut self, &node: &Number, uid: u32, gid: u32) -> Result<(), Errno> {
        self.lchown(node, uid, gid);
        Ok(())
    }

    fn chmod(&mut self, &node: &Number, mode: u32) -> Result<(), Errno> {
        self.inode_mut(node).mode = mode;
        Ok(())
    }

    fn set_mtime(&mut self, &node: &Number, mtime: Time) -> Result<(), Errno> {
        self.inode_mut(node).mtime = Some(mtime);
        Ok(())
    }

    fn set_xattr(&mut self, &node: &Number, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        self.set_xattr(node, name, value)
    }

    fn mark_opaque(&mut self, &node: &Number) -> Result<(), Errno> {
        self.set_xattr(node, xattr::OPAQUE, b"y")
    }

    fn restate(&mut self, &node: &Number) {
        self.restate(node);
    }
}
