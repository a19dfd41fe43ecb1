//! What a directory on disk holds, as text lines that compare well.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use handroll::digest::Digest;
use handroll::text::escape;

/// Every path below `root` (without the root itself) with all that an image can say of it.
pub fn describe(root: &Path) -> BTreeMap<String, String> {
    let mut inodes = BTreeMap::new();
    let mut lines = BTreeMap::new();
    walk(root, root, &mut inodes, &mut lines);
    lines
}

fn walk(
    root: &Path,
    directory: &Path,
    inodes: &mut BTreeMap<(u64, u64), String>,
    lines: &mut BTreeMap<String, String>,
) {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    for path in names {
        let name = escape(path.strip_prefix(root).unwrap().as_os_str().as_bytes());
        let metadata = fs::symlink_metadata(&path).unwrap();
        let kind = metadata.file_type();
        let what = match () {
            () if kind.is_dir() => "directory".to_owned(),
            () if kind.is_symlink() => {
                format!(
                    "symlink {}",
                    escape(fs::read_link(&path).unwrap().as_os_str().as_bytes())
                )
            }
            () if kind.is_file() => format!("file {}", Digest::of(&fs::read(&path).unwrap())),
            () if kind.is_char_device() => format!("char {:#x}", metadata.rdev()),
            () if kind.is_block_device() => format!("block {:#x}", metadata.rdev()),
            () if kind.is_fifo() => "fifo".to_owned(),
            () => "socket".to_owned(),
        };
        // Names of one inode are told by the first of them.
        let inode = (metadata.dev(), metadata.ino());
        let first = inodes.entry(inode).or_insert_with(|| name.clone()).clone();
        let link = if first == name {
            String::new()
        } else {
            format!(" = {first}")
        };
        lines.insert(
            name,
            format!(
                "{what} {:o} {}:{} {}{link}",
                metadata.mode() & 0o7777,
                metadata.uid(),
                metadata.gid(),
                metadata.mtime()
            ),
        );
        if kind.is_dir() {
            walk(root, &path, inodes, lines);
        }
    }
}
