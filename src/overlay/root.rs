//! The merged view as it is asked for single paths: by the preflight, and by whoever follows links in it.

use super::Stack;
use crate::image::root::{Root, RootEntry, RootKind};
use crate::tree::{Node, TreePath};

impl Root for Stack<'_> {
    fn lookup(&self, path: &[u8]) -> Option<RootEntry> {
        let inode = Stack::lookup(self, &TreePath::from_bytes(path).ok()?)?;
        let kind = match &inode.node {
            Node::Directory(_) => RootKind::Directory,
            Node::File(content) => RootKind::File(content.clone()),
            Node::Symlink(target) => RootKind::Symlink(target.to_vec()),
            _ => RootKind::Other,
        };
        let metadata = &inode.metadata;
        Some(RootEntry {
            kind,
            mode: metadata.mode.into(),
            uid: metadata.uid,
            gid: metadata.gid,
        })
    }
}
