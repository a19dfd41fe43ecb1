//! Between a layer and an upperdir: what a runtime makes of a layer's tree when it unpacks it for overlayfs.

use imbl::OrdMap;

use super::data::Data;
use super::mark::Marks;
use super::upper::{Attributes, FileName, Upper, UpperKind};
use crate::tree::{Device, Directory, Ino, Inode, Metadata, Node, Time, Tree};

impl Upper {
    /// A layer as an upperdir: whiteouts are devices 0:0, opaque directories have the mark, and everything was
    /// last touched at `now` but for the times that the layer says.
    pub fn from_layer(tree: &Tree, marks: Marks, now: Time) -> Self {
        let root = tree.inode(Ino::ROOT);
        let mut upper = Self::new(attributes(&root.metadata, now));
        let mut numbers = std::collections::BTreeMap::new();
        let mut pending = vec![(Ino::ROOT, Self::ROOT)];
        while let Some((ino, number)) = pending.pop() {
            let Some(directory) = tree.directory(ino) else {
                continue;
            };
            upper.mark_layer(number, directory, marks);
            // Made in the reverse order of the names, so that they are listed in order, the newest first.
            let entries = directory.entries().iter().map(|(name, ino)| (name, Some(*ino)));
            let whiteouts = directory.whiteouts().iter().map(|name| (name, None));
            let mut names: Vec<_> = entries.chain(whiteouts).collect();
            names.sort();
            for (name, child) in names.into_iter().rev() {
                let made = match child {
                    None => upper.make_whiteout(Time::at(tree.whiteout_time()), now),
                    Some(child) => *numbers.entry(child).or_insert_with(|| {
                        let inode = tree.inode(child);
                        upper.make(kind(inode), attributes(&inode.metadata, now))
                    }),
                };
                upper.put(number, &FileName::from(name.as_bytes()), made);
                if let Some(child) = child.filter(|child| tree.directory(*child).is_some()) {
                    pending.push((child, made));
                }
            }
        }
        upper
    }

    fn make_whiteout(&mut self, mtime: Time, now: Time) -> u64 {
        let kind = UpperKind::CharDevice(Device { major: 0, minor: 0 });
        self.make(kind, attributes(&Metadata::new(0, 0, 0, mtime), now))
    }

    fn mark_layer(&mut self, number: u64, directory: &Directory, marks: Marks) {
        if directory.opaque() {
            self.set_xattr(number, &marks.name(b"opaque"), Some(b"y"));
        }
    }
}

fn attributes(metadata: &Metadata, now: Time) -> Attributes {
    Attributes {
        mode: metadata.mode,
        uid: metadata.uid,
        gid: metadata.gid,
        atime: metadata.mtime,
        mtime: metadata.mtime,
        ctime: now,
        xattrs: metadata.xattrs.clone(),
    }
}

fn kind(inode: &Inode) -> UpperKind {
    match &inode.node {
        Node::Directory(_) => UpperKind::Directory(OrdMap::new()),
        Node::File(content) => UpperKind::File(Data::new(content.clone())),
        Node::Symlink(target) => UpperKind::Symlink(target.clone()),
        Node::CharDevice(device) => UpperKind::CharDevice(*device),
        Node::BlockDevice(device) => UpperKind::BlockDevice(*device),
        Node::Fifo => UpperKind::Fifo,
    }
}
