//! A root file system of this machine, mounted or unpacked, as the merged view that conversions ask for paths.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};
use rustix::io::Errno;

use crate::content::Content;
use crate::image::root::{Root, RootEntry, RootKind};

/// Files are read up to here; what is longer counts as no file at all.
const LIMIT: u64 = 16 << 20;

/// A directory that is looked into, and never out of.
pub struct RootView {
    fd: OwnedFd,
}

impl RootView {
    /// Takes a directory for a root.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { fd })
    }

    fn find(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let start = path.iter().position(|&byte| byte != b'/');
        let path = start.map_or(&b"."[..], |start| &path[start..]);
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        openat2(
            &self.fd,
            path,
            flags | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Mode::empty(),
            resolve,
        )
    }

    fn content(&self, path: &[u8]) -> Option<Content> {
        // What took the file's place meanwhile must not make this wait.
        let file = self
            .find(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
            .ok()?;
        let mut bytes = Vec::new();
        File::from(file).take(LIMIT + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= LIMIT).then(|| Content::inline(bytes))
    }
}

impl Root for RootView {
    fn lookup(&self, path: &[u8]) -> Option<RootEntry> {
        // A link itself is opened as a place; only links on the way are none.
        let fd = self.find(path, OFlags::PATH).ok()?;
        let stat = fstat(&fd).ok()?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => RootKind::Directory,
            FileType::RegularFile => self.content(path).map_or(RootKind::Other, RootKind::File),
            FileType::Symlink => RootKind::Symlink(readlinkat(&fd, "", Vec::new()).ok()?.into_bytes()),
            _ => RootKind::Other,
        };
        Some(RootEntry {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::root::resolve;

    #[test]
    fn paths_are_found_inside_and_nowhere_else() {
        let space = tempfile::tempdir().unwrap();
        let root = space.path().join("root");
        std::fs::create_dir_all(root.join("private/etc")).unwrap();
        std::fs::write(root.join("private/etc/passwd"), "inside").unwrap();
        std::fs::write(space.path().join("passwd"), "outside").unwrap();
        std::os::unix::fs::symlink("/private/etc", root.join("etc")).unwrap();
        std::os::unix::fs::symlink("../passwd", root.join("out")).unwrap();
        let view = RootView::open(&root).unwrap();
        let (path, entry) = resolve(&view, b"/etc/passwd").unwrap();
        assert_eq!(path, b"/private/etc/passwd");
        assert!(matches!(entry.kind, RootKind::File(content) if content.read_all(9).unwrap() == b"inside"));
        assert!(matches!(view.lookup(b"/etc").unwrap().kind, RootKind::Symlink(_)));
        assert!(view.lookup(b"/etc/passwd").is_none() && view.lookup(b"/../passwd").is_none());
        assert!(resolve(&view, b"/out").is_err());
        assert!(matches!(view.lookup(b"/").unwrap().kind, RootKind::Directory));
    }
}
