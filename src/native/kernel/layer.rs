//! A layer's tree as a directory on the disk that overlayfs takes, and back as rows.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType as RawType, Gid, Mode, OFlags, Timestamps, Uid, XattrFlags};
use rustix::io::Errno as RawErrno;

use super::system_call::{c, getxattr, listxattr, names_in, raw_device, stat_of, timespec};
use super::{KernelError, at};
use crate::content::Content;
use crate::overlay::mount::{Detail, FileType, Marks, Row, SetTime};
use crate::tree::{Ino, Inode, Metadata, Node, Tree};

/// Reads a directory of the disk, without following anything.
pub(super) fn read_rows(top: &Path, rows: &mut Vec<Row>) -> Result<(), KernelError> {
    let mut pending = vec![b"/".to_vec()];
    while let Some(path) = pending.pop() {
        let real = top.join(OsStr::from_bytes(&path[1..]));
        let raw = at(&real, rustix::fs::lstat(&real))?;
        let stat = stat_of(&raw);
        let c_path = at(&real, c(real.as_os_str().as_bytes()))?;
        let detail = match stat.file_type {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = at(&real, rustix::fs::open(&real, flags, Mode::empty()))?;
                let mut names = at(&real, names_in(directory))?;
                names.sort();
                let prefix = path.strip_suffix(b"/").unwrap_or(&path).to_vec();
                let children = names.iter().rev().map(|name| [&prefix[..], b"/", name].concat());
                pending.extend(children);
                Detail::Directory
            }
            FileType::File => {
                let bytes = std::fs::read(&real).map_err(|source| KernelError::Io {
                    path: real.display().to_string(),
                    source,
                })?;
                Detail::File(Content::inline(bytes))
            }
            FileType::Symlink => {
                let target = at(&real, rustix::fs::readlink(&real, Vec::new()))?;
                Detail::Symlink(target.into_bytes())
            }
            FileType::CharDevice if raw.st_rdev == 0 => Detail::Whiteout,
            FileType::CharDevice => Detail::CharDevice(stat.device.expect("it is one")),
            FileType::BlockDevice => Detail::BlockDevice(stat.device.expect("it is one")),
            FileType::Fifo => Detail::Fifo,
            FileType::Socket => Detail::Socket,
        };
        let mut names = at(&real, listxattr(&c_path, false))?;
        names.sort();
        let mut xattrs = Vec::new();
        for name in names {
            let value = match getxattr(&c_path, &at(&real, c(&name))?, false) {
                // Capabilities that are none: anybody can set empty ones, and nobody can read them.
                Err(RawErrno::INVAL) => Vec::new(),
                value => at(&real, value)?,
            };
            xattrs.push((name, value));
        }
        rows.push(Row {
            nlink: (stat.file_type != FileType::Directory).then_some(stat.nlink),
            path,
            detail,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            mtime: stat.mtime,
            ino: stat.ino,
            xattrs,
        });
    }
    Ok(())
}

/// Writes a layer's tree to a new directory, as a runtime does that unpacks it for overlayfs: whiteouts as
/// devices 0:0, opaque directories with the mark.
///
/// Names are made in the reverse order of their bytes: tmpfs lists the newest first, so it lists them in order.
pub(super) fn write_layer(top: &Path, tree: &Tree, marks: Marks) -> Result<(), KernelError> {
    let mut made: BTreeMap<Ino, PathBuf> = BTreeMap::new();
    let mut directories = Vec::new();
    let mut pending = vec![(Some(Ino::ROOT), top.to_owned())];
    while let Some((ino, path)) = pending.pop() {
        let Some(ino) = ino else {
            let made = rustix::fs::mknodat(CWD, &path, RawType::CharacterDevice, Mode::empty(), 0);
            at(&path, made)?;
            continue;
        };
        let inode = tree.inode(ino);
        if let Some(first) = made.get(&ino) {
            at(&path, rustix::fs::link(first, &path))?;
            continue;
        }
        made.insert(ino, path.clone());
        make_node(&path, inode)?;
        let Some(directory) = inode.node.as_directory() else {
            set_metadata(&path, &inode.metadata)?;
            continue;
        };
        if directory.opaque() {
            let name = at(&path, c(&marks.name(b"opaque")))?;
            at(
                &path,
                rustix::fs::lsetxattr(&path, name, b"y", XattrFlags::empty()),
            )?;
        }
        let child = |name: &[u8]| path.join(OsStr::from_bytes(name));
        let entries = directory.entries().iter().map(|(name, ino)| (name, Some(*ino)));
        let whiteouts = directory.whiteouts().iter().map(|name| (name, None));
        let mut names: Vec<_> = entries.chain(whiteouts).collect();
        names.sort();
        // The last one pushed is made first.
        pending.extend(names.into_iter().map(|(name, ino)| (ino, child(name.as_bytes()))));
        directories.push((path.clone(), inode.metadata.clone()));
    }
    // What is made in a directory changes its times, so they come last, the innermost first.
    for (path, metadata) in directories.iter().rev() {
        set_metadata(path, metadata)?;
    }
    Ok(())
}

fn make_node(path: &Path, inode: &Inode) -> Result<(), KernelError> {
    let mode = Mode::from_raw_mode(0o700);
    let made = match &inode.node {
        Node::Directory(_) => rustix::fs::mkdir(path, mode),
        Node::File(content) => {
            let bytes = content.read_all(1 << 30).unwrap_or_default();
            std::fs::write(path, bytes).map_err(|source| KernelError::Io {
                path: path.display().to_string(),
                source,
            })?;
            Ok(())
        }
        Node::Symlink(target) => rustix::fs::symlink(&**target, path),
        Node::CharDevice(device) => {
            rustix::fs::mknodat(CWD, path, RawType::CharacterDevice, mode, raw_device(*device))
        }
        Node::BlockDevice(device) => {
            rustix::fs::mknodat(CWD, path, RawType::BlockDevice, mode, raw_device(*device))
        }
        Node::Fifo => rustix::fs::mknodat(CWD, path, RawType::Fifo, mode, 0),
    };
    at(path, made)
}

fn set_metadata(path: &Path, metadata: &Metadata) -> Result<(), KernelError> {
    let is_link = path.is_symlink();
    let (uid, gid) = (Uid::from_raw(metadata.uid), Gid::from_raw(metadata.gid));
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    at(path, rustix::fs::chownat(CWD, path, Some(uid), Some(gid), flags))?;
    if !is_link {
        let mode = Mode::from_raw_mode(metadata.mode.into());
        at(path, rustix::fs::chmod(path, mode))?;
    }
    for (name, value) in metadata.xattrs.iter() {
        let name = at(path, c(name))?;
        at(
            path,
            rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()),
        )?;
    }
    let time = timespec(SetTime::At(metadata.mtime));
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    at(path, rustix::fs::utimensat(CWD, path, &times, flags))
}
