//! Removing trees that strangers made: no link is followed, and neither memory nor descriptors grow with the depth.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
use rustix::io::Errno;

/// Removes a directory with all that is in it.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    Ok(remove_all(File::open(parent)?, name.as_bytes())?)
}

/// Removes what `name` is in a directory, with all that is in it, without following links and without a stack
/// that grows with the depth: what lies deeper than a level is moved up first.
pub(super) fn remove_all(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    let parent = parent.as_fd();
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(Errno::NOENT) => return Ok(()),
        result => return result,
    }
    let mut open = vec![(open_directory(parent, name)?, name.to_vec())];
    while let Some((directory, _)) = open.last() {
        let mut inner = None;
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let child = entry.file_name().to_bytes();
            if matches!(child, b"." | b"..") {
                continue;
            }
            match unlinkat(directory, child, AtFlags::empty()) {
                Err(Errno::ISDIR | Errno::PERM) => match unlinkat(directory, child, AtFlags::REMOVEDIR) {
                    Err(Errno::NOTEMPTY | Errno::EXIST) => {
                        inner = Some(child.to_vec());
                        break;
                    }
                    result => result?,
                },
                result => result?,
            }
        }
        match inner {
            Some(child) if open.len() < DEPTH => {
                let next = open_directory(directory.as_fd(), &child)?;
                open.push((next, child));
            }
            // Too deep for open descriptors: what is below goes up to the top and comes later.
            Some(child) => lift(&open, &child)?,
            None => {
                let (_, name) = open.pop().expect("it was the last");
                let above = open.last().map_or(parent, |(directory, _)| directory.as_fd());
                unlinkat(above, &name[..], AtFlags::REMOVEDIR)?;
            }
        }
    }
    Ok(())
}

/// How many directories are held open while a tree is removed.
const DEPTH: usize = 100;

/// Opens a directory for reading.
pub(super) fn open_directory(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

fn lift(open: &[(OwnedFd, Vec<u8>)], child: &[u8]) -> Result<(), Errno> {
    let (top, _) = open.first().expect("there are many");
    let (deepest, _) = open.last().expect("there are many");
    let mut number = 0_u64;
    loop {
        let name = format!("{number:x}.lifted");
        let flags = RenameFlags::NOREPLACE;
        match renameat_with(deepest, child, top, name, flags) {
            Err(Errno::EXIST) => number += 1,
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{mkdirat, symlinkat};

    use super::*;

    #[test]
    fn deep_and_crowded_trees_are_removed_and_links_are_not_followed() {
        let space = tempfile::tempdir().unwrap();
        std::fs::write(space.path().join("stays"), "").unwrap();
        let top = File::open(space.path()).unwrap();
        mkdirat(&top, "tree", Mode::from_raw_mode(0o755)).unwrap();
        let mut at = open_directory(top.as_fd(), b"tree").unwrap();
        for _ in 0..3 * DEPTH {
            symlinkat("../stays", &at, "link").unwrap();
            symlinkat("..", &at, "up").unwrap();
            for name in ["same", "other"] {
                mkdirat(&at, name, Mode::from_raw_mode(0o700)).unwrap();
                mkdirat(&at, format!("{name}/inner"), Mode::from_raw_mode(0o700)).unwrap();
            }
            at = open_directory(at.as_fd(), b"same").unwrap();
        }
        remove_all(&top, b"tree").unwrap();
        remove_all(&top, b"tree").unwrap();
        let left = std::fs::read_dir(space.path()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["stays"]);
    }
}
