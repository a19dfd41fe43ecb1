//! Files as lines of text: how upperdirs and merged views are printed and compared.

use std::fmt;

use super::mark::Marks;
use super::upper::{Upper, UpperKind};
use super::{Data, Errno};
use crate::content::Content;
use crate::text::escape;
use crate::tree::{Device, Time};

/// How many bytes of a file are shown.
const SHOWN: usize = 60;

/// What something is.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the types of inode(7)")]
pub enum Detail {
    Directory,
    File(Content),
    Symlink(Vec<u8>),
    CharDevice(Device),
    BlockDevice(Device),
    Fifo,
    Socket,
    /// A character device 0:0 in an upperdir.
    Whiteout,
    /// A name that is listed, but asked for gives an error.
    Missing(Errno),
}

/// A path and what is there.
#[derive(Clone, Debug)]
pub struct Row {
    /// From the root, with a slash in front.
    pub path: Vec<u8>,
    /// What it is.
    pub detail: Detail,
    /// Permissions.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// How many names it has, where that says something.
    pub nlink: Option<u32>,
    /// When its content was changed.
    pub mtime: Time,
    /// A number that is this file's alone, in the upperdir or in the mount.
    pub ino: u64,
    /// Its extended attributes, in the order of their names.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Row {
    /// A name that leads nowhere.
    pub fn missing(path: Vec<u8>, errno: Errno) -> Self {
        Self {
            path,
            detail: Detail::Missing(errno),
            mode: 0,
            uid: 0,
            gid: 0,
            nlink: None,
            mtime: Time::default(),
            ino: 0,
            xattrs: Vec::new(),
        }
    }

    /// The extended attributes as text, with the file handles in overlayfs' marks as the word for what they are.
    pub fn shown_xattrs(&self, marks: Marks) -> Vec<(String, String)> {
        let xattrs = self.xattrs.iter().map(|(name, value)| {
            let mark = name.strip_prefix(marks.prefix()).unwrap_or_default();
            let value = match (mark, &value[..]) {
                (b"origin", b"") => "unknown".to_owned(),
                (b"origin" | b"uuid", _) => "handle".to_owned(),
                _ => escape(value),
            };
            (escape(name), value)
        });
        xattrs.collect()
    }

    /// The line; extended attributes as in [`Self::shown_xattrs`].
    pub fn line(&self, marks: Marks) -> String {
        let xattrs = self.shown_xattrs(marks);
        let xattrs = xattrs.iter().map(|(name, value)| format!(" {name}={value}"));
        let nlink = self.nlink.map(|nlink| format!(" ×{nlink}")).unwrap_or_default();
        match &self.detail {
            Detail::Whiteout => format!("{} whiteout", escape(&self.path)),
            Detail::Missing(errno) => format!("{} listed, but {}", escape(&self.path), errno.name()),
            detail => format!(
                "{} {detail} {:04o} {}:{}{nlink}{}",
                escape(&self.path),
                self.mode,
                self.uid,
                self.gid,
                xattrs.collect::<String>()
            ),
        }
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("directory"),
            Self::File(content) => {
                let shown = content.slice(0, content.len().min(SHOWN as u64));
                let bytes = shown.read_all(SHOWN as u64).unwrap_or_default();
                let rest = if content.len() > SHOWN as u64 { "…" } else { "" };
                write!(f, "file {} \"{}{rest}\"", content.len(), escape(&bytes))
            }
            Self::Symlink(target) => write!(f, "symlink → {}", escape(target)),
            Self::CharDevice(device) => write!(f, "char {}:{}", device.major, device.minor),
            Self::BlockDevice(device) => write!(f, "block {}:{}", device.major, device.minor),
            Self::Fifo => f.write_str("fifo"),
            Self::Socket => f.write_str("socket"),
            Self::Whiteout => f.write_str("whiteout"),
            Self::Missing(errno) => write!(f, "missing: {}", errno.name()),
        }
    }
}

impl Upper {
    /// All that the upperdir holds, each directory before what is in it, names in the order of their bytes.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut pending = vec![(b"/".to_vec(), Self::ROOT)];
        while let Some((path, number)) = pending.pop() {
            let inode = self.inode(number);
            let detail = match &inode.kind {
                UpperKind::Directory(_) => Detail::Directory,
                UpperKind::File(data) => Detail::File(Data::content(data)),
                UpperKind::Symlink(target) => Detail::Symlink(target.to_vec()),
                UpperKind::CharDevice(_) if inode.is_whiteout() => Detail::Whiteout,
                UpperKind::CharDevice(device) => Detail::CharDevice(*device),
                UpperKind::BlockDevice(device) => Detail::BlockDevice(*device),
                UpperKind::Fifo => Detail::Fifo,
                UpperKind::Socket => Detail::Socket,
            };
            let entries = inode.entries();
            let attributes = &inode.attributes;
            let xattrs = attributes.xattrs.iter();
            rows.push(Row {
                detail,
                mode: attributes.mode,
                uid: attributes.uid,
                gid: attributes.gid,
                nlink: entries.is_none().then_some(inode.links),
                mtime: attributes.mtime,
                ino: number,
                xattrs: xattrs
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
                path: path.clone(),
            });
            let prefix = path.strip_suffix(b"/").unwrap_or(&path);
            let children = entries.into_iter().flatten().rev();
            pending.extend(children.map(|(name, slot)| ([prefix, b"/", name].concat(), slot.number)));
        }
        rows
    }
}
