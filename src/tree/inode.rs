//! What a tree is made of: inodes with their attributes, and directories that give them names.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::{Name, Time};
use crate::content::Content;

/// The number of an inode, alone in its tree and never used again in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(pub(super) u64);

impl Ino {
    /// The root directory of every tree.
    pub const ROOT: Self = Self(0);

    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The inode of a number that came from [`Ino::number`].
    pub(crate) fn of(number: u64) -> Self {
        Self(number)
    }
}

/// Extended attributes: names to values, both bytes, in the order of the names.
pub type Xattrs = Arc<BTreeMap<Vec<u8>, Vec<u8>>>;

/// The attributes that every inode has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permissions with setuid, setgid and sticky: 0 to 0o7777.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When the content was last changed.
    pub mtime: Time,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl Metadata {
    /// Attributes without xattrs.
    pub fn new(mode: u16, uid: u32, gid: u32, mtime: Time) -> Self {
        Self {
            mode,
            uid,
            gid,
            mtime,
            xattrs: Xattrs::default(),
        }
    }

    /// Whether a tar needs PAX records for them: fractions of a second, or xattrs.
    pub fn needs_pax(&self) -> bool {
        self.mtime.nanos != 0 || !self.xattrs.is_empty()
    }
}

/// A device's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

/// One file of any kind: what it is and its attributes. Its names are in directories.
#[derive(Clone, Debug)]
pub struct Inode {
    /// Attributes.
    pub metadata: Metadata,
    /// What it is.
    pub node: Node,
    /// How many names it has in this tree.
    pub(super) links: u32,
}

impl Inode {
    /// How many names it has in this tree.
    pub fn links(&self) -> u32 {
        self.links
    }
}

/// What an inode is.
#[derive(Clone, Debug)]
pub enum Node {
    /// Names of other inodes.
    Directory(Directory),
    /// Bytes.
    File(Content),
    /// A path, not followed.
    Symlink(Arc<[u8]>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

impl Node {
    /// What it is, without what is in it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Directory(_) => Kind::Directory,
            Self::File(_) => Kind::File,
            Self::Symlink(_) => Kind::Symlink,
            Self::CharDevice(_) => Kind::CharDevice,
            Self::BlockDevice(_) => Kind::BlockDevice,
            Self::Fifo => Kind::Fifo,
        }
    }

    /// The directory, if it is one.
    pub fn as_directory(&self) -> Option<&Directory> {
        match self {
            Self::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    /// The device's number, if it is one.
    pub fn device(&self) -> Option<Device> {
        match self {
            Self::CharDevice(device) | Self::BlockDevice(device) => Some(*device),
            _ => None,
        }
    }
}

/// The kinds of inodes that a layer can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names of `Node`")]
pub enum Kind {
    Directory,
    File,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
}

/// A directory of a layer: what it adds, and what it takes away from the layers below.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    pub(super) entries: OrdMap<Name, Ino>,
    pub(super) whiteouts: OrdSet<Name>,
    pub(super) opaque: bool,
    pub(super) implied: bool,
}

impl Directory {
    /// The names and their inodes, in the order of the names.
    pub fn entries(&self) -> &OrdMap<Name, Ino> {
        &self.entries
    }

    /// The names that are deleted from the layers below; none of them is in `entries`.
    pub fn whiteouts(&self) -> &OrdSet<Name> {
        &self.whiteouts
    }

    /// Whether it hides all that the layers below have in this directory.
    pub fn opaque(&self) -> bool {
        self.opaque
    }

    /// Whether it has no entry of its own in the layer's tar and is only there for what is in it. Its attributes
    /// are then those that the layers below show, else 0755, root's.
    pub fn implied(&self) -> bool {
        self.implied
    }
}

impl Inode {
    /// Whether two inodes are alike but for the names in them: attributes, kind and content, told without
    /// reading; of directories whether they are opaque and have an entry.
    pub fn is_like(&self, other: &Self) -> bool {
        let nodes = match (&self.node, &other.node) {
            (Node::Directory(a), Node::Directory(b)) => (a.opaque, a.implied) == (b.opaque, b.implied),
            (Node::File(a), Node::File(b)) => a.is_same(b),
            (Node::Symlink(a), Node::Symlink(b)) => a == b,
            (a, b) => a.kind() == b.kind() && a.device() == b.device(),
        };
        nodes && self.metadata == other.metadata
    }
}
