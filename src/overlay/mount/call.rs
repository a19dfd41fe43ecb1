//! System calls as values: what a process asks of the mount, and what it gets.

use std::sync::Arc;

use super::event::Event;
use super::upper::FileName;
use super::{Errno, Options};
use crate::content::Content;
use crate::tree::{Device, Time};

/// Who asks, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user, who owns what is made: 0 with all rights of root, anybody else with none.
    pub uid: u32,
    /// The group, the only one that the user is in.
    pub gid: u32,
    /// Taken off the permissions of what is made.
    pub umask: u16,
    /// The time of the call.
    pub now: Time,
}

impl Caller {
    /// root with the usual umask, at a time.
    pub fn root(now: Time) -> Self {
        Self {
            uid: 0,
            gid: 0,
            umask: 0o022,
            now,
        }
    }
}

/// How a file is opened: open(2). Without `read` and `write` it is opened with `O_PATH`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the flags of open(2)")]
pub struct OpenFlags {
    pub read: bool,
    pub write: bool,
    pub create: bool,
    pub exclusive: bool,
    pub truncate: bool,
    pub append: bool,
    pub directory: bool,
    pub nofollow: bool,
}

/// What is done with a file between open(2) and close(2).
#[derive(Clone, Debug)]
pub enum Io {
    /// Nothing.
    Nothing,
    /// It is read to its end.
    Read,
    /// These bytes are written at an offset, or at the end when it was opened to append.
    Write(u64, Content),
    /// It is not closed: a plain file stays open as the descriptor of that number, in place of what had it.
    Keep(u8),
}

/// What is done with a descriptor.
#[derive(Clone, Debug)]
pub enum OnDescriptor {
    /// pread(2), from the beginning to the end.
    Read,
    /// pwrite(2) of these bytes at an offset, or at the end when it was opened to append.
    Write(u64, Content),
    /// fstat(2)
    Stat,
    /// ftruncate(2)
    Truncate(i64),
    /// fchmod(2)
    Chmod(u16),
    /// close(2)
    Close,
}

impl OnDescriptor {
    fn name(&self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write(..) => "write",
            Self::Stat => "fstat",
            Self::Truncate(_) => "ftruncate",
            Self::Chmod(_) => "fchmod",
            Self::Close => "close",
        }
    }
}

/// What mknod(2) makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the types of mknod(2)")]
pub enum NodeType {
    File,
    Fifo,
    Socket,
    CharDevice(Device),
    BlockDevice(Device),
}

/// A time that utimensat(2) sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// The time of the call.
    Now,
    /// None: it stays (UTIME_OMIT).
    Omit,
    /// This one.
    At(Time),
}

/// How an extended attribute is set: setxattr(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetXattr {
    /// Whether it is there or not.
    #[default]
    Any,
    /// Only if it is not there yet (XATTR_CREATE).
    Create,
    /// Only if it is there (XATTR_REPLACE).
    Replace,
}

/// A path as a process gives it: relative ones begin at the root of the mount.
pub type Path = Arc<[u8]>;

/// A system call. `follow` says whether a symbolic link at the end of the path is followed.
#[derive(Clone, Debug)]
#[allow(
    missing_docs,
    reason = "each is a system call, its fields are the call's arguments"
)]
pub enum Call {
    Open {
        path: Path,
        flags: OpenFlags,
        mode: u16,
        io: Io,
    },
    /// A call on a file that stayed open: [`Io::Keep`].
    Descriptor {
        number: u8,
        what: OnDescriptor,
    },
    Truncate {
        path: Path,
        length: i64,
    },
    Mkdir {
        path: Path,
        mode: u16,
    },
    Mknod {
        path: Path,
        node: NodeType,
        mode: u16,
    },
    Symlink {
        target: Path,
        path: Path,
    },
    Link {
        old: Path,
        new: Path,
        follow: bool,
    },
    Unlink {
        path: Path,
    },
    Rmdir {
        path: Path,
    },
    /// renameat2(2); `flags` are its bits: 1 NOREPLACE, 2 EXCHANGE, 4 WHITEOUT.
    Rename {
        old: Path,
        new: Path,
        flags: u32,
    },
    Chmod {
        path: Path,
        mode: u16,
    },
    /// chown(2); without a value the owner or group stays.
    Chown {
        path: Path,
        uid: Option<u32>,
        gid: Option<u32>,
        follow: bool,
    },
    Utimes {
        path: Path,
        atime: SetTime,
        mtime: SetTime,
        follow: bool,
    },
    Setxattr {
        path: Path,
        name: Vec<u8>,
        value: Vec<u8>,
        how: SetXattr,
        follow: bool,
    },
    Removexattr {
        path: Path,
        name: Vec<u8>,
        follow: bool,
    },
    Getxattr {
        path: Path,
        name: Vec<u8>,
        follow: bool,
    },
    Listxattr {
        path: Path,
        follow: bool,
    },
    Readdir {
        path: Path,
    },
    Stat {
        path: Path,
        follow: bool,
    },
    Readlink {
        path: Path,
    },
    /// umount(2) and mount(2) again, for which all files are closed, with other options if there are any.
    Remount {
        options: Option<Options>,
    },
}

impl Call {
    /// The call's name, as strace(1) prints it without `at` and numbers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Descriptor { what, .. } => what.name(),
            Self::Truncate { .. } => "truncate",
            Self::Mkdir { .. } => "mkdir",
            Self::Mknod { .. } => "mknod",
            Self::Symlink { .. } => "symlink",
            Self::Link { .. } => "link",
            Self::Unlink { .. } => "unlink",
            Self::Rmdir { .. } => "rmdir",
            Self::Rename { .. } => "rename",
            Self::Chmod { .. } => "chmod",
            Self::Chown { .. } => "chown",
            Self::Utimes { .. } => "utimes",
            Self::Setxattr { .. } => "setxattr",
            Self::Removexattr { .. } => "removexattr",
            Self::Getxattr { .. } => "getxattr",
            Self::Listxattr { .. } => "listxattr",
            Self::Readdir { .. } => "readdir",
            Self::Stat { .. } => "stat",
            Self::Readlink { .. } => "readlink",
            Self::Remount { .. } => "remount",
        }
    }
}

/// What kind of file something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the types of inode(7)")]
pub enum FileType {
    Directory,
    File,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
}

/// What stat(2) tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The type.
    pub file_type: FileType,
    /// Permissions.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of a file or of a link's target; of a directory 0, since that is the file system's own affair.
    pub size: u64,
    /// A number that is this file's alone. As on layers of one file system it stays when the file is copied up.
    pub ino: u64,
    /// How many names it has; 1 for directories that merge.
    pub nlink: u32,
    /// The device's number.
    pub device: Option<Device>,
    /// Times of reading, of changing the content, of changing anything.
    pub atime: Time,
    /// When the content was changed.
    pub mtime: Time,
    /// When anything of it was changed.
    pub ctime: Time,
}

/// What a call gives when it succeeds.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Nothing.
    Done,
    /// The bytes of a file that was read.
    Content(Content),
    /// A link's target or an attribute's value.
    Bytes(Vec<u8>),
    /// Names in a directory, in order, or of attributes.
    Names(Vec<FileName>),
    /// Attributes.
    Stat(Stat),
}

/// What came of a call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it gives, or why it failed. A call that fails can have changed something all the same.
    pub result: Result<Reply, Errno>,
    /// What happened, in order; the last one of a failed call is why.
    pub events: Vec<Event>,
}
