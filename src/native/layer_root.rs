//! A directory of this machine as the file system that a layer is applied to. Every path is resolved by the
//! kernel inside of the directory (openat2(2), `RESOLVE_BENEATH`): whatever a tar says, nothing outside of it
//! is touched.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags,
    chmod, chownat, fstat, linkat, makedev, mkdirat, mknodat, openat, openat2, readlinkat, setxattr,
    symlinkat, utimensat,
};

use super::overlay_mount::proc_path;
use super::remove::{open_directory, remove_all};
use super::signal::Held;
use super::xattr;
use crate::content::Content;
use crate::layer::dialect::{Attributes, Errno, FileSystem, GoError, Kind, Sort, Why};
use crate::tree::Time;

/// The longest path, its terminating zero included.
const PATH_MAX: usize = 4096;
/// Bytes of contents that are written at a time; if all of them are zero, a hole is left.
const BLOCK: usize = 64 << 10;
static ZEROS: [u8; BLOCK] = [0; BLOCK];
/// How overlayfs names its marks with `userxattr`, and how it wants names of that kind escaped which are none.
const USER_MARKS: &[u8] = b"user.overlay.";
const USER_MARKS_ESCAPED: &[u8] = b"user.overlay.overlay.";

type Result<T, E = Errno> = std::result::Result<T, E>;

/// What the machine keeps of owners, devices and xattrs, and how overlayfs is told what is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Powers {
    /// Marks are xattrs `user.overlay.*` instead of `trusted.overlay.*`.
    pub userxattr: bool,
    /// This is a user namespace: ids that it does not map, devices, and some xattrs are left out and counted.
    pub is_confined: bool,
}

/// What a user namespace could not keep of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How often each owner, user and group, was replaced by those that are mapped.
    pub owners: BTreeMap<(u32, u32), u64>,
    /// The paths of devices that are missing.
    pub devices: BTreeSet<Vec<u8>>,
    /// How often each xattr was dropped.
    pub xattrs: BTreeMap<Vec<u8>, u64>,
}

/// The directory of a layer.
pub(super) struct LayerRoot {
    fd: OwnedFd,
    powers: Powers,
    left_out: LeftOut,
    lookups: Cell<u64>,
    /// Signals that end the work.
    held: Option<Rc<Held>>,
}

/// Something in it: open, but only as a place.
pub(super) struct Node {
    fd: OwnedFd,
    sort: Sort,
}

fn ours(errno: rustix::io::Errno) -> Errno {
    use rustix::io::Errno as E;
    match errno {
        // What leads out of the root is not there.
        E::XDEV | E::NOENT => Errno::ENOENT,
        E::PERM => Errno::EPERM,
        E::TOOBIG => Errno::E2BIG,
        E::ACCESS => Errno::EACCES,
        E::EXIST => Errno::EEXIST,
        E::NOTDIR => Errno::ENOTDIR,
        E::INVAL => Errno::EINVAL,
        E::RANGE => Errno::ERANGE,
        E::NAMETOOLONG => Errno::ENAMETOOLONG,
        E::LOOP => Errno::ELOOP,
        E::OPNOTSUPP => Errno::ENOTSUP,
        other => Errno::Other(other.raw_os_error()),
    }
}

fn sort_of(fd: impl AsFd) -> Result<Sort> {
    let mode = fstat(fd).map_err(ours)?.st_mode;
    Ok(match FileType::from_raw_mode(mode) {
        FileType::Directory => Sort::Directory,
        FileType::RegularFile => Sort::File,
        FileType::Symlink => Sort::Symlink,
        _ => Sort::Other,
    })
}

impl LayerRoot {
    /// Takes a directory for a root.
    pub(super) fn open(path: &Path, powers: Powers) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self {
            fd: openat(CWD, path, flags, Mode::empty())?,
            powers,
            left_out: LeftOut::default(),
            lookups: Cell::new(0),
            held: None,
        })
    }

    /// The same, with calls that fail with EINTR once one of these signals has come.
    pub(super) fn stopping_at(self, held: Rc<Held>) -> Self {
        Self {
            held: Some(held),
            ..self
        }
    }

    fn go_on(&self) -> Result<()> {
        match self.held.as_ref().and_then(|held| held.stopped()) {
            None => Ok(()),
            Some(_) => Err(ours(rustix::io::Errno::INTR)),
        }
    }

    /// What could not be kept.
    pub(super) fn into_left_out(self) -> LeftOut {
        self.left_out
    }

    fn find(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        self.go_on()?;
        self.lookups.set(self.lookups.get() + 1);
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let start = path.iter().position(|&byte| byte != b'/').unwrap_or(path.len());
        let path = match &path[start..] {
            [] => b".",
            path => path,
        };
        let flags = OFlags::PATH | OFlags::CLOEXEC | flags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        loop {
            match openat2(&self.fd, path, flags, Mode::empty(), resolve) {
                // Something on the machine was renamed while `..` was looked up.
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                result => return result.map_err(ours),
            }
        }
    }

    /// The directory in which the last name of a path stands, and that name.
    fn parent<'a>(&self, path: &'a [u8]) -> Result<(OwnedFd, &'a [u8])> {
        let cut = path.iter().rposition(|&byte| byte == b'/').ok_or(Errno::ENOENT)?;
        let parent = self.find(&path[..cut], OFlags::DIRECTORY)?;
        match path.len() {
            PATH_MAX.. => Err(Errno::ENAMETOOLONG),
            _ => Ok((parent, &path[cut + 1..])),
        }
    }

    /// Where something new comes: its directory and its name, of which there is one.
    fn place<'a>(&self, path: &'a [u8]) -> Result<(OwnedFd, &'a [u8])> {
        match self.parent(path)? {
            (_, b"") => Err(Errno::EEXIST),
            place => Ok(place),
        }
    }

    /// Makes something new.
    fn make(
        &self,
        path: &[u8],
        make: impl FnOnce(BorrowedFd<'_>, &[u8]) -> Result<(), rustix::io::Errno>,
    ) -> Result<Node> {
        let (parent, name) = self.place(path)?;
        make(parent.as_fd(), name).map_err(ours)?;
        node_at(&parent, name)
    }

    fn write(&self, path: &[u8], data: &Content) -> Result<Node, Why> {
        let (parent, name) = self.place(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&parent, name, flags, Mode::from_raw_mode(0o600)).map_err(ours)?;
        self.write_content(&File::from(file), data)?;
        Ok(node_at(&parent, name)?)
    }

    /// Writes all bytes into a new file, with holes for blocks of zeros.
    fn write_content(&self, file: &File, data: &Content) -> Result<(), Why> {
        let failed = |error: io::Error| Errno::Other(error.raw_os_error().unwrap_or(0));
        let mut buffer = vec![0; (data.len().min(16 * BLOCK as u64)) as usize];
        let mut offset = 0;
        while offset < data.len() {
            let length = (data.len() - offset).min(buffer.len() as u64) as usize;
            let window = &mut buffer[..length];
            self.go_on()?;
            data.read_at(offset, window).map_err(GoError::Content)?;
            for (number, block) in window.chunks(BLOCK).enumerate() {
                if block != &ZEROS[..block.len()] {
                    let at = offset + (number * BLOCK) as u64;
                    file.write_all_at(block, at).map_err(failed)?;
                }
            }
            offset += length as u64;
        }
        file.set_len(data.len()).map_err(failed)?;
        Ok(())
    }
}

fn node_at(parent: &OwnedFd, name: &[u8]) -> Result<Node> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = openat(parent, name, flags, Mode::empty()).map_err(ours)?;
    Ok(Node {
        sort: sort_of(&fd)?,
        fd,
    })
}

fn id<T>(raw: u32, of: impl Fn(u32) -> T) -> Option<T> {
    (raw != u32::MAX).then(|| of(raw))
}

impl FileSystem for LayerRoot {
    type Node = Node;

    fn lstat(&self, path: &[u8]) -> Result<Node> {
        let fd = self.find(path, OFlags::NOFOLLOW)?;
        Ok(Node {
            sort: sort_of(&fd)?,
            fd,
        })
    }

    fn sort(&self, node: &Node) -> Sort {
        node.sort
    }

    fn readlink(&self, node: &Node) -> Result<Vec<u8>> {
        let target = readlinkat(&node.fd, "", Vec::new()).map_err(ours)?;
        Ok(target.into_bytes())
    }

    fn names(&self, node: &Node) -> Result<Vec<Vec<u8>>> {
        if node.sort != Sort::Directory {
            return Ok(Vec::new());
        }
        let directory = open_directory(node.fd.as_fd(), b".").map_err(ours)?;
        let mut names = Vec::new();
        for entry in Dir::new(directory).map_err(ours)? {
            let entry = entry.map_err(ours)?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(name.to_vec());
            }
        }
        Ok(names)
    }

    fn attributes(&self, node: &Node) -> Result<Attributes> {
        let stat = fstat(&node.fd).map_err(ours)?;
        let directory = open_directory(node.fd.as_fd(), b".").map_err(ours)?;
        let failed = |error: io::Error| Errno::Other(error.raw_os_error().unwrap_or(0));
        let xattrs = xattr::of_open(&directory).map_err(failed)?;
        let xattrs = xattrs.into_iter().filter_map(|(name, value)| {
            match (self.powers.userxattr, name.strip_prefix(USER_MARKS_ESCAPED)) {
                (true, Some(rest)) => Some(([USER_MARKS, rest].concat(), value)),
                (true, None) if name.starts_with(USER_MARKS) => None,
                _ => Some((name, value)),
            }
        });
        Ok(Attributes {
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: Some(super::file::mtime(&stat)),
            xattrs: xattrs.collect(),
        })
    }

    fn has_xattrs(&self, _: &Node) -> bool {
        // Only for the notes, which nobody reads here.
        false
    }

    fn lookups(&self) -> u64 {
        self.lookups.get()
    }

    fn mkdir(&mut self, path: &[u8], mode: u32) -> Result<Node> {
        let mode = Mode::from_raw_mode(mode);
        self.make(path, |parent, name| mkdirat(parent, name, mode))
    }

    fn create(&mut self, path: &[u8], data: Content) -> Result<Node, Why> {
        self.write(path, &data)
    }

    fn symlink(&mut self, target: &[u8], path: &[u8]) -> Result<Node> {
        self.make(path, |parent, name| symlinkat(target, parent, name))
    }

    fn mknod(&mut self, path: &[u8], kind: Kind, mode: u32) -> Result<Option<Node>> {
        let (file_type, device) = match kind {
            Kind::CharDevice(major, minor) => (FileType::CharacterDevice, makedev(major, minor)),
            Kind::BlockDevice(major, minor) => (FileType::BlockDevice, makedev(major, minor)),
            _ => (FileType::Fifo, 0),
        };
        let mode = Mode::from_raw_mode(mode);
        match self.make(path, |parent, name| {
            mknodat(parent, name, file_type, mode, device)
        }) {
            Err(Errno::EPERM) if self.powers.is_confined => {
                self.left_out.devices.insert(path.to_vec());
                Ok(None)
            }
            made => made.map(Some),
        }
    }

    fn link(&mut self, old: &[u8], new: &[u8]) -> Result<Option<Node>> {
        let (parent, name) = self.parent(old)?;
        if name.is_empty() {
            return Err(Errno::EPERM);
        }
        let (place, new_name) = self.place(new)?;
        match linkat(&parent, name, &place, new_name, AtFlags::empty()).map_err(ours) {
            Err(Errno::ENOENT) if self.left_out.devices.contains(old) => {
                self.left_out.devices.insert(new.to_vec());
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(()) => node_at(&place, new_name).map(Some),
        }
    }

    fn remove_all(&mut self, path: &[u8]) -> Result<()> {
        let (parent, name) = match self.parent(path) {
            Err(Errno::ENOENT) => return Ok(()),
            found => found?,
        };
        match name {
            // The root itself is not ours to remove: nothing asks for it.
            b"" => return Err(Errno::EINVAL),
            name => remove_all(&parent, name).map_err(ours)?,
        }
        let is_under = |device: &[u8]| {
            device
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        self.left_out.devices.retain(|device| !is_under(device));
        Ok(())
    }

    fn lchown(&mut self, node: &Node, uid: u32, gid: u32) -> Result<()> {
        let (user, group) = (id(uid, Uid::from_raw), id(gid, Gid::from_raw));
        let chown = |user, group| chownat(&node.fd, "", user, group, AtFlags::EMPTY_PATH).map_err(ours);
        match chown(user, group) {
            Err(Errno::EINVAL) if self.powers.is_confined => {
                *self.left_out.owners.entry((uid, gid)).or_default() += 1;
                for (user, group) in [(user, None), (None, group)] {
                    match chown(user, group) {
                        Err(Errno::EINVAL) => {}
                        result => result?,
                    }
                }
                Ok(())
            }
            result => result,
        }
    }

    fn chmod(&mut self, node: &Node, mode: u32) -> Result<()> {
        // fchmod(2) takes no place that is only that, and fchmodat(2) no flag for it.
        chmod(proc_path(node.fd.as_fd()), Mode::from_raw_mode(mode)).map_err(ours)
    }

    fn set_mtime(&mut self, node: &Node, mtime: Time) -> Result<()> {
        let time = Timespec {
            tv_sec: mtime.seconds,
            tv_nsec: mtime.nanos.into(),
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        utimensat(&node.fd, "", &times, AtFlags::EMPTY_PATH).map_err(ours)
    }

    fn set_xattr(&mut self, node: &Node, name: &[u8], value: &[u8]) -> Result<()> {
        let escaped = match name.strip_prefix(USER_MARKS) {
            Some(rest) if self.powers.userxattr => &[USER_MARKS_ESCAPED, rest].concat(),
            _ => name,
        };
        // The link of /proc leads to the node itself, even if that is a symbolic link.
        match setxattr(proc_path(node.fd.as_fd()), escaped, value, XattrFlags::empty()).map_err(ours) {
            Err(Errno::EPERM) if self.powers.is_confined && !name.starts_with(b"user.") => {
                *self.left_out.xattrs.entry(name.to_vec()).or_default() += 1;
                Ok(())
            }
            result => result,
        }
    }

    fn mark_opaque(&mut self, node: &Node) -> Result<()> {
        let name: &[u8] = match self.powers.userxattr {
            true => b"user.overlay.opaque",
            false => b"trusted.overlay.opaque",
        };
        setxattr(proc_path(node.fd.as_fd()), name, b"y", XattrFlags::empty()).map_err(ours)
    }

    fn restate(&mut self, _: &Node) {}
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Whoever calls resolves links first; should that ever fail, the kernel still leads nowhere.
    #[test]
    fn paths_lead_out_by_no_link() {
        let space = tempfile::tempdir().unwrap();
        let outside = space.path().join("outside");
        let inside = space.path().join("inside");
        std::fs::create_dir_all(inside.join("d")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("file"), "canary").unwrap();
        for (target, link) in [
            (&outside, "absolute"),
            (&PathBuf::from("../../outside"), "d/relative"),
        ] {
            std::os::unix::fs::symlink(target, inside.join(link)).unwrap();
        }
        std::os::unix::fs::symlink("d", inside.join("stays")).unwrap();
        let powers = Powers {
            userxattr: false,
            is_confined: false,
        };
        let mut root = LayerRoot::open(&inside, powers).unwrap();
        for link in [
            "/absolute",
            "/d/relative",
            "/stays/relative",
            "/stays/../../outside",
        ] {
            let at = |name: &str| format!("{link}/{name}").into_bytes();
            let data = Content::inline(*b"new");
            assert_eq!(root.lstat(&at("file")).err(), Some(Errno::ENOENT), "{link}");
            assert_eq!(root.mkdir(&at("new"), 0o755).err(), Some(Errno::ENOENT));
            assert_eq!(root.create(&at("new"), data).err(), Some(Errno::ENOENT.into()));
            assert_eq!(root.symlink(b"x", &at("new")).err(), Some(Errno::ENOENT));
            assert_eq!(root.mknod(&at("new"), Kind::Fifo, 0).err(), Some(Errno::ENOENT));
            assert_eq!(root.link(&at("file"), b"/stolen").err(), Some(Errno::ENOENT));
            assert_eq!(root.remove_all(&at("file")), Ok(()));
        }
        root.mkdir(b"/stays/new", 0o755).unwrap();
        let names = |path: &Path| std::fs::read_dir(path).unwrap().count();
        assert_eq!(
            (names(&outside), names(&inside), names(&inside.join("d"))),
            (1, 3, 2)
        );
        assert_eq!(std::fs::read(outside.join("file")).unwrap(), b"canary");
    }
}
