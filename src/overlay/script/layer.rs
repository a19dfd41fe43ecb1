//! The entries of a layer in a script.

use std::sync::Arc;

use super::NOW;
use super::parse::{Arguments, couple, mode, time};
use crate::content::Content;
use crate::text::escape;
use crate::tree::{Device, Directory, Ino, Kind, Metadata, Node, Tree, TreePath};

/// The directives that put something into a layer.
pub(super) const ENTRIES: [&[u8]; 10] = [
    b"dir",
    b"file",
    b"slink",
    b"link",
    b"char",
    b"block",
    b"fifo",
    b"whiteout",
    b"opaque",
    b"attributes",
];

/// Whether a directive puts something into a layer.
pub(super) fn is_entry(directive: &[u8]) -> bool {
    ENTRIES.contains(&directive)
}

/// Puts an entry into a layer.
pub(super) fn put(tree: &mut Tree, directive: &[u8], a: &mut Arguments) -> Result<(), String> {
    let word = a.next("a path")?;
    let path = TreePath::from_bytes(word).map_err(|error| error.to_string())?;
    let failed = |error: crate::tree::EditError| error.to_string();
    let node = match directive {
        b"whiteout" => return tree.whiteout(&path).map_err(failed),
        b"opaque" => return tree.set_opaque(&path, true).map(|_| ()).map_err(failed),
        b"link" => {
            let target = a.next("the path of what it is a further name of")?;
            let target = TreePath::from_bytes(target).map_err(|error| error.to_string())?;
            return tree.link(&path, &target).map_err(failed);
        }
        b"attributes" => None,
        b"dir" => Some(Node::Directory(Directory::default())),
        b"file" => Some(Node::File(Content::inline(a.next("the file's text")?))),
        b"slink" => Some(Node::Symlink(a.next("the link's target")?.into())),
        b"fifo" => Some(Node::Fifo),
        _ => {
            let (major, minor) = couple(a.next("a device, as 1:3")?, "device, as 1:3")?;
            let device = Device { major, minor };
            Some(match directive {
                b"char" => Node::CharDevice(device),
                _ => Node::BlockDevice(device),
            })
        }
    };
    let before = tree.lookup(&path).filter(|_| node.is_none());
    let metadata = before.map_or_else(
        || {
            let mode = match &node {
                Some(Node::Directory(_)) => 0o755,
                Some(Node::Symlink(_)) => 0o777,
                _ => 0o644,
            };
            Metadata::new(mode, 0, 0, NOW)
        },
        |ino| tree.inode(ino).metadata.clone(),
    );
    let metadata = attributes(metadata, a)?;
    match node {
        Some(node) => tree.make(&path, node, metadata).map(|_| ()).map_err(failed),
        None => {
            let ino = before.ok_or_else(|| format!("`{path}` is not in the layer yet"))?;
            tree.set_metadata_of(ino, |old| *old = metadata);
            Ok(())
        }
    }
}

/// `mode=0755 owner=0:0 mtime=5 NAME=VALUE`: any other name is that of an xattr.
fn attributes(mut metadata: Metadata, a: &mut Arguments) -> Result<Metadata, String> {
    while let Some((key, value)) = a.pair() {
        match key {
            b"mode" => metadata.mode = mode(value)?,
            b"owner" => (metadata.uid, metadata.gid) = couple(value, "owner, as 0:0")?,
            b"mtime" => metadata.mtime = time(value)?,
            _ if key.contains(&b'.') => {
                Arc::make_mut(&mut metadata.xattrs).insert(key.to_vec(), value.to_vec());
            }
            _ => {
                return Err(format!(
                    "`{}` is none of mode, owner, mtime, nor an xattr, as user.name",
                    escape(key)
                ));
            }
        }
    }
    Ok(metadata)
}

/// A layer as the lines that make it.
pub(super) fn print(tree: &Tree) -> Vec<String> {
    use super::words::quote;
    let mut lines = Vec::new();
    let mut seen: std::collections::BTreeMap<Ino, TreePath> = Default::default();
    let mut pending = vec![(TreePath::ROOT, Ino::ROOT)];
    while let Some((path, ino)) = pending.pop() {
        let inode = tree.inode(ino);
        let shown = quote(&[b"/", &path.to_bytes()[..]].concat());
        if let Some(first) = seen.get(&ino) {
            let first = quote(&[b"/", &first.to_bytes()[..]].concat());
            lines.push(format!("link {shown} {first}"));
            continue;
        }
        seen.insert(ino, path.clone());
        let what = match &inode.node {
            _ if path.is_root() => format!("attributes {shown}"),
            Node::Directory(_) => format!("dir {shown}"),
            Node::File(content) => {
                format!(
                    "file {shown} {}",
                    quote(&content.read_all(1 << 20).unwrap_or_default())
                )
            }
            Node::Symlink(target) => format!("slink {shown} {}", quote(target)),
            Node::CharDevice(device) => format!("char {shown} {}:{}", device.major, device.minor),
            Node::BlockDevice(device) => format!("block {shown} {}:{}", device.major, device.minor),
            Node::Fifo => format!("fifo {shown}"),
        };
        lines.push(what + &print_attributes(&inode.metadata, inode.node.kind()));
        let Some(directory) = inode.node.as_directory() else {
            continue;
        };
        if directory.opaque() {
            lines.push(format!("opaque {shown}"));
        }
        for name in directory.whiteouts() {
            let path = path.join(name.clone()).to_bytes();
            lines.push(format!("whiteout {}", quote(&[b"/", &path[..]].concat())));
        }
        let children = directory.entries().iter().rev();
        pending.extend(children.map(|(name, ino)| (path.join(name.clone()), *ino)));
    }
    lines
}

fn print_attributes(metadata: &Metadata, kind: Kind) -> String {
    use super::words::quote;
    let usual = match kind {
        Kind::Directory => 0o755,
        Kind::Symlink => 0o777,
        _ => 0o644,
    };
    let mut text = String::new();
    if metadata.mode != usual {
        text += &format!(" mode={:04o}", metadata.mode);
    }
    if (metadata.uid, metadata.gid) != (0, 0) {
        text += &format!(" owner={}:{}", metadata.uid, metadata.gid);
    }
    for (name, value) in metadata.xattrs.iter() {
        text += &format!(" {}", quote(&[&name[..], b"=", value].concat()));
    }
    text
}
