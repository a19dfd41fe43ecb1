//! How much a directory takes on its disk, as continuity counts it (fs/du_unix.go): the blocks of every inode once.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, statat};

use crate::store::Usage;

/// The unit of `st_blocks`, whatever the file system's own is (stat(3type)).
const BLOCK: u64 = 512;

/// What is in a directory, itself included. No link is followed.
pub(super) fn of_tree(path: &Path) -> io::Result<Usage> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = openat(CWD, path, flags, Mode::empty())?;
    let mut usage = Usage::default();
    let mut seen = BTreeSet::new();
    let mut add = |stat: &rustix::fs::Stat| {
        if seen.insert((stat.st_dev, stat.st_ino)) {
            usage.inodes += 1;
            usage.size += stat.st_blocks.cast_unsigned() * BLOCK;
        }
    };
    add(&fstat(&root)?);
    let mut pending = vec![b".".to_vec()];
    while let Some(path) = pending.pop() {
        let directory = open_beneath(&root, &path, flags)?;
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let stat = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
            add(&stat);
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                pending.push([&path[..], b"/", name].concat());
            }
        }
    }
    Ok(usage)
}

fn open_beneath(root: &OwnedFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(openat2(root, path, flags, Mode::empty(), resolve)?)
}
