//! What was read: an entry, and what stands behind the last one.

use std::collections::BTreeMap;

use super::oddity::Oddity;
use crate::content::Content;
use crate::tree::Time;

/// What kind of file an entry makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of `EntryType`")]
pub enum ReadType {
    Regular,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
    /// Something that is not a file of a layer, by its type flag. Its content was skipped.
    Other(u8),
}

impl ReadType {
    pub(super) fn has_content(self) -> bool {
        matches!(self, Self::Regular | Self::Other(_))
    }
}

/// One entry as it was read. Names are bytes as they stand there: nothing is cleaned.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where its first header block begins.
    pub offset: u64,
    /// Where its own header block is, behind those of long names and records.
    pub header: u64,
    /// Where its stored content begins, or would.
    pub data: u64,
    /// Where it ends, padding included.
    pub end: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// What it is.
    pub entry_type: ReadType,
    /// The target of a symlink, the other name of a hard link; else empty as a rule.
    pub link_name: Vec<u8>,
    /// Permission bits with setuid, setgid and sticky; the file type that some write is dropped.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The owner's group.
    pub gid: u32,
    /// The owner's name, to be shown: the number counts.
    pub uname: Vec<u8>,
    /// The group's name, likewise.
    pub gname: Vec<u8>,
    /// When it was modified.
    pub mtime: Time,
    /// Major and minor number; 0 for what is no device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// How many bytes of content it has, holes included.
    pub size: u64,
    /// How many of them lie in the tar, from `data` on.
    pub stored: u64,
    /// The content.
    pub content: Content,
    /// What other readers take otherwise, in no special order; [`super::ODDITY_LIMIT`] at most.
    pub oddities: Vec<Oddity>,
}

/// What stands behind the last entry. All of it is part of the DiffID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Where the last entry ends. What stands from here to `offset` are global headers that no entry follows,
    /// of which Python complains.
    pub start: u64,
    /// Where the end begins.
    pub offset: u64,
    /// How many zero blocks end the archive: two by POSIX, one or none where readers do not mind. Behind a
    /// single one that does not end the bytes Go refuses the tar; all others stop at it.
    pub marker: u8,
    /// Where what follows the marker begins: the rest of a record as a rule, zeros.
    pub rest: u64,
    /// How many bytes follow the marker.
    pub length: u64,
    /// The first of them that is no zero. Nobody reads what is there; tools that look for more archives do.
    pub data: Option<u64>,
}
