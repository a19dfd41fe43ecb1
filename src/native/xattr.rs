//! Extended attributes of files on disk, of all namespaces, as `--xattrs --xattrs-include='*'` takes them.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{fgetxattr, flistxattr, lgetxattr, llistxattr};
use rustix::io::Errno;

/// The most bytes that the kernel keeps in a list of names or in a value (XATTR_LIST_MAX, XATTR_SIZE_MAX).
const LIMIT: usize = 65_536;

pub(super) type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// The prefixes under which overlayfs keeps its own marks: as root, and in a user namespace.
pub(super) const OVERLAY: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// All xattrs of `name` in `directory`, links not followed. There is no call that takes both, so this goes
/// through /proc.
pub(super) fn of_entry(directory: impl AsFd, name: &[u8]) -> io::Result<Map> {
    let path = entry_path(directory, name);
    collect(
        |into| llistxattr(&path, into),
        |xattr, into| lgetxattr(&path, xattr, into),
    )
}

/// All xattrs of an open file.
pub(super) fn of_open(fd: impl AsFd) -> io::Result<Map> {
    let fd = fd.as_fd();
    collect(
        |into| flistxattr(fd, into),
        |xattr, into| fgetxattr(fd, xattr, into),
    )
}

/// The value of an overlayfs mark of an open directory.
pub(super) fn overlay_mark(fd: impl AsFd, mark: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let fd = fd.as_fd();
    first_mark(mark, |xattr, into| fgetxattr(fd, xattr, into))
}

/// The value of an overlayfs mark of an entry.
pub(super) fn overlay_mark_of_entry(
    directory: impl AsFd,
    name: &[u8],
    mark: &[u8],
) -> io::Result<Option<Vec<u8>>> {
    let path = entry_path(directory, name);
    first_mark(mark, |xattr, into| lgetxattr(&path, xattr, into))
}

fn entry_path(directory: impl AsFd, name: &[u8]) -> Vec<u8> {
    let prefix = format!("/proc/self/fd/{}/", directory.as_fd().as_raw_fd());
    [prefix.as_bytes(), name].concat()
}

fn first_mark(
    mark: &[u8],
    get: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
) -> io::Result<Option<Vec<u8>>> {
    let mut value = [0; 16];
    for prefix in OVERLAY {
        match get(&[prefix, mark].concat(), &mut value) {
            Ok(length) => return Ok(Some(value[..length].to_vec())),
            // `PERM`: without CAP_SYS_ADMIN nothing of `trusted.` is seen. `RANGE`: not one of the short marks.
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM | Errno::RANGE) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(None)
}

fn collect(
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
) -> io::Result<Map> {
    let mut names = vec![0; LIMIT];
    let length = match list(&mut names) {
        Err(Errno::OPNOTSUPP) => 0,
        result => result?,
    };
    if length == 0 {
        return Ok(Map::new());
    }
    let mut value = vec![0; LIMIT];
    let mut xattrs = Map::new();
    for name in names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        match get(name, &mut value) {
            Ok(length) => {
                xattrs.insert(name.to_vec(), value[..length].to_vec());
            }
            // It went away since it was listed, or is listed but not for us.
            Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(xattrs)
}
