//! The tree of one layer: a virtual file system as a persistent value. Knows contents only as handles, and
//! nothing of tar, stacks or users.
//!
//! Inodes stand in a shared map by number and directories are shared maps from names to numbers, so that a
//! clone costs nothing, an edit costs the depth of the maps, hard links are names of one inode, and two
//! versions of a tree share all that the edit between them left alone. Whoever wants to take an edit back
//! keeps the clone from before it.

mod edit;
mod inode;
mod name;
mod time;

use std::sync::Arc;

use imbl::OrdMap;

pub use edit::EditError;
pub use inode::{Device, Directory, Ino, Inode, Kind, Metadata, Node, Xattrs};
pub use name::{NAME_MAX, Name, NameError, NameRule, PathError, TreePath, WHITEOUT_PREFIX};
pub use time::Time;

/// The file system of one layer.
#[derive(Clone, Debug)]
pub struct Tree {
    inodes: OrdMap<Ino, Arc<Inode>>,
    next: u64,
    counts: Counts,
    whiteout_time: i64,
}

/// How much a tree holds, kept up to date by every edit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Names, hard links each; the root has none.
    pub entries: u64,
    /// Names deleted from the layers below.
    pub whiteouts: u64,
    /// Directories that hide what the layers below have in them.
    pub opaques: u64,
    /// Bytes of the files, hard-linked ones once.
    pub content_bytes: u64,
    /// Inodes whose attributes plain tar headers cannot hold: with these, a layer is written with PAX records.
    pub need_pax: u64,
}

impl Tree {
    /// An empty tree whose root has these attributes. Whiteouts have no attributes of their own; a tar gives
    /// theirs the time `whiteout_time`, in seconds.
    pub fn new(root: Metadata, whiteout_time: i64) -> Self {
        let mut tree = Self {
            inodes: OrdMap::new(),
            next: 0,
            counts: Counts::default(),
            whiteout_time,
        };
        tree.add_inode(Inode {
            metadata: root,
            node: Node::Directory(Directory::default()),
            links: 1,
        });
        tree
    }

    /// The time that whiteouts get in a tar, in seconds since 1970.
    pub fn whiteout_time(&self) -> i64 {
        self.whiteout_time
    }

    /// Gives all whiteouts another time.
    pub fn set_whiteout_time(&mut self, seconds: i64) {
        self.whiteout_time = seconds;
    }

    /// How much the tree holds.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// An inode. Panics if there is none of that number: inos come from this tree.
    pub fn inode(&self, ino: Ino) -> &Inode {
        &self.inodes[&ino]
    }

    /// An inode, if this tree has one of that number.
    pub fn get(&self, ino: Ino) -> Option<&Arc<Inode>> {
        self.inodes.get(&ino)
    }

    /// The directory of that number, if it is one.
    pub fn directory(&self, ino: Ino) -> Option<&Directory> {
        self.inode(ino).node.as_directory()
    }

    /// The inode of a name in a directory, if it is one of this tree and has it.
    pub fn child(&self, directory: Ino, name: &Name) -> Option<Ino> {
        let inode = self.inodes.get(&directory)?;
        inode.node.as_directory()?.entries.get(name).copied()
    }

    /// What stands at a path; symbolic links are not followed.
    pub fn lookup(&self, path: &TreePath) -> Option<Ino> {
        let mut names = path.names().iter();
        names.try_fold(Ino::ROOT, |ino, name| self.child(ino, name))
    }

    /// Whether a path is whited out by this very layer.
    pub fn is_whiteout(&self, path: &TreePath) -> bool {
        path.split_last().is_some_and(|(parent, name)| {
            self.lookup(&parent)
                .and_then(|ino| self.directory(ino))
                .is_some_and(|directory| directory.whiteouts.contains(name))
        })
    }

    /// Whether any inode has several names. Looks at all of them.
    pub fn has_links(&self) -> bool {
        self.inodes.values().any(|inode| inode.links > 1)
    }

    /// Whether two trees are the same value: made from one another without an edit between them.
    pub fn is_same(&self, other: &Self) -> bool {
        self.inodes.ptr_eq(&other.inodes) && self.whiteout_time == other.whiteout_time
    }

    fn add_inode(&mut self, inode: Inode) -> Ino {
        let ino = Ino(self.next);
        self.next += 1;
        self.count(&inode, 1);
        self.inodes.insert(ino, Arc::new(inode));
        ino
    }

    /// Adds what one inode holds to the counts (`sign` 1) or takes it off (−1).
    fn count(&mut self, inode: &Inode, sign: i64) {
        let add = |count: &mut u64, n: u64| *count = count.wrapping_add_signed(sign * n as i64);
        let counts = &mut self.counts;
        add(&mut counts.need_pax, inode.metadata.needs_pax().into());
        match &inode.node {
            Node::Directory(directory) => {
                add(&mut counts.entries, directory.entries.len() as u64);
                add(&mut counts.whiteouts, directory.whiteouts.len() as u64);
                add(&mut counts.opaques, directory.opaque.into());
            }
            Node::File(content) => add(&mut counts.content_bytes, content.len()),
            _ => {}
        }
    }

    /// Changes one inode, and the counts with it.
    fn change<T>(&mut self, ino: Ino, change: impl FnOnce(&mut Inode) -> T) -> T {
        let mut inode = Inode::clone(&self.inodes[&ino]);
        self.count(&inode, -1);
        let result = change(&mut inode);
        self.count(&inode, 1);
        self.inodes.insert(ino, Arc::new(inode));
        result
    }

    fn change_directory<T>(&mut self, ino: Ino, change: impl FnOnce(&mut Directory) -> T) -> T {
        self.change(ino, |inode| match &mut inode.node {
            Node::Directory(directory) => change(directory),
            _ => unreachable!("callers looked it up as a directory"),
        })
    }
}
