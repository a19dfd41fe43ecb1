//! Directories of the disk as trees: every spelling of a whiteout, what is told about it, and what fails.
//!
//! Runs as root, on a tmpfs.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use handroll::content::Content;
use handroll::native::{DiskError, DiskOptions, Owner, read_dir};
use handroll::tree::{Node, Time, Tree, TreePath};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};
use support::tmpfs;

fn path(text: &str) -> TreePath {
    TreePath::parse(text).unwrap()
}

fn is_opaque(tree: &Tree, at: &str) -> bool {
    tree.directory(tree.resolve(&path(at)).unwrap()).unwrap().opaque()
}

fn node(at: &Path, kind: FileType, device: (u32, u32)) {
    mknodat(CWD, at, kind, Mode::from(0o644), makedev(device.0, device.1)).unwrap();
}

fn xattr(at: &Path, name: &str, value: &[u8]) {
    lsetxattr(at, name, value, XattrFlags::empty()).unwrap();
}

#[test]
fn every_spelling_of_a_whiteout() {
    let space = tmpfs();
    let root = space.path();
    for directory in [
        "d",
        "d/.wh.directory",
        "opaque",
        "marked",
        "user",
        "x",
        "own",
        "own/kept",
    ] {
        fs::create_dir(root.join(directory)).unwrap();
    }
    fs::write(root.join("d/.wh.full"), "not empty").unwrap();
    fs::write(root.join("d/.wh.plain"), "").unwrap();
    fs::write(root.join("d/.wh.mode"), "").unwrap();
    fs::set_permissions(root.join("d/.wh.mode"), fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("d/.wh.link")).unwrap();
    node(&root.join("d/.wh.fifo"), FileType::Fifo, (0, 0));
    node(&root.join("d/.wh.char"), FileType::CharacterDevice, (0, 0));
    node(&root.join("d/.wh.block"), FileType::BlockDevice, (1, 2));
    node(&root.join("d/overlay"), FileType::CharacterDevice, (0, 0));
    node(&root.join("d/null"), FileType::CharacterDevice, (1, 3));
    node(&root.join("d/socket"), FileType::Socket, (0, 0));
    fs::write(root.join("d/.wh..wh.plnk"), "").unwrap();
    fs::write(root.join("marked/.wh..wh..opq"), "").unwrap();
    xattr(&root.join("opaque"), "trusted.overlay.opaque", b"y");
    xattr(&root.join("opaque"), "trusted.overlay.origin", b"...");
    xattr(&root.join("user"), "user.overlay.opaque", b"y");
    xattr(&root.join("x"), "trusted.overlay.opaque", b"x");
    fs::write(root.join("x/gone"), "").unwrap();
    fs::write(root.join("x/there"), "").unwrap();
    xattr(&root.join("x/gone"), "trusted.overlay.whiteout", b"");
    fs::write(root.join("own/.wh.kept"), "").unwrap();
    fs::write(root.join("own/.wh.file"), "").unwrap();
    fs::write(root.join("own/file"), "").unwrap();

    let options = DiskOptions {
        xattrs: true,
        ..DiskOptions::pinned(Time::at(7))
    };
    let read = read_dir(root, &options).unwrap();
    let tree = &read.tree;
    for name in [
        "directory",
        "full",
        "plain",
        "mode",
        "link",
        "fifo",
        "char",
        "block",
        "overlay",
    ] {
        assert!(tree.is_whiteout(&path(&format!("/d/{name}"))), "{name}");
    }
    assert!(tree.is_whiteout(&path("/x/gone")) && tree.lookup(&path("/x/there")).is_some());
    let null = tree.inode(tree.resolve(&path("/d/null")).unwrap());
    assert!(matches!(null.node, Node::CharDevice(device) if (device.major, device.minor) == (1, 3)));
    for (at, opaque) in [
        ("/opaque", true),
        ("/marked", true),
        ("/user", true),
        ("/x", false),
        ("/d", false),
    ] {
        assert_eq!(is_opaque(tree, at), opaque, "{at}");
        let directory = tree.inode(tree.resolve(&path(at)).unwrap());
        assert!(directory.metadata.xattrs.is_empty(), "{at}");
    }
    // A name that is both: the directory hides what is below, the file does so by itself.
    assert!(is_opaque(tree, "/own/kept") && tree.lookup(&path("/own/file")).is_some());
    assert_eq!(tree.counts().whiteouts, 10);

    let notes: Vec<String> = read.notes.iter().map(ToString::to_string).collect();
    for part in [
        "read `d/.wh.directory`, a directory, as",
        "read `d/.wh.full`, a file that is not empty, as",
        "read `d/.wh.mode`, a file whose mode is not 0644, as",
        "read `d/.wh.link`, a symbolic link, as",
        "read `d/.wh.fifo`, a fifo, as",
        "read `d/.wh.char`, a character device, as",
        "read `d/.wh.block`, a block device, as",
        "read `d/overlay`, the character device 0:0, as the whiteout of `d/overlay`",
        "skipped `d/socket`, a socket",
        "skipped `d/.wh..wh.plnk`",
        "read `opaque/.`, by its overlayfs xattr, as the mark that makes `opaque` opaque",
        "read `user/.`, by its overlayfs xattr",
        "dropped the xattr `trusted.overlay.origin` of `opaque`",
        "read `x/gone`, by its overlayfs xattr, as the whiteout of `x/gone`",
        "read `own/.wh.kept` beside the directory `own/kept`",
        "dropped `own/.wh.file`",
    ] {
        assert_eq!(
            notes.iter().filter(|note| note.contains(part)).count(),
            1,
            "{part}: {notes:#?}"
        );
    }
    assert_eq!(notes.len(), 16, "{notes:#?}");
}

#[test]
fn a_destination() {
    let space = tmpfs();
    fs::write(space.path().join("f"), "content").unwrap();
    let options = DiskOptions {
        owner: Owner::Pinned { uid: 5, gid: 6 },
        destination: path("/srv/www"),
        ..DiskOptions::pinned(Time::at(7))
    };
    let tree = read_dir(space.path(), &options).unwrap().tree;
    let file = tree.inode(tree.resolve(&path("/srv/www/f")).unwrap());
    assert_eq!((file.metadata.uid, file.metadata.gid), (5, 6));
    let above = &tree.inode(tree.resolve(&path("/srv")).unwrap()).metadata;
    assert_eq!((above.mode, above.uid, above.mtime), (0o755, 5, Time::at(7)));
}

fn content(tree: &Tree, at: &str) -> Content {
    match &tree.inode(tree.resolve(&path(at)).unwrap()).node {
        Node::File(content) => content.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_changes_after_it_was_listed_is_an_error() {
    let space = tmpfs();
    let root = space.path();
    for file in ["same", "grown", "shrunk", "replaced", "fifo", "link", "gone"] {
        fs::write(root.join(file), "content").unwrap();
    }
    let tree = read_dir(root, &DiskOptions::kept()).unwrap().tree;
    fs::write(root.join("grown"), "content and more").unwrap();
    fs::write(root.join("shrunk"), "con").unwrap();
    fs::write(root.join("other"), "CONTENT").unwrap();
    fs::rename(root.join("other"), root.join("replaced")).unwrap();
    for file in ["fifo", "link", "gone"] {
        fs::remove_file(root.join(file)).unwrap();
    }
    node(&root.join("fifo"), FileType::Fifo, (0, 0));
    std::os::unix::fs::symlink("same", root.join("link")).unwrap();
    assert_eq!(content(&tree, "/same").read_all(99).unwrap(), b"content");
    for file in ["grown", "shrunk", "replaced", "fifo", "link", "gone"] {
        let error = content(&tree, &format!("/{file}"))
            .read_all(99)
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("/{file}: ")), "{error}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let space = tmpfs();
    let missing = read_dir(&space.path().join("missing"), &DiskOptions::kept()).unwrap_err();
    assert!(
        missing.to_string().starts_with("cannot open the directory `"),
        "{missing}"
    );
    fs::write(space.path().join("f"), "").unwrap();
    let file = read_dir(&space.path().join("f"), &DiskOptions::kept()).unwrap_err();
    assert!(file.to_string().contains("Not a directory"), "{file}");
    fs::create_dir(space.path().join("d")).unwrap();
    fs::write(space.path().join("d/.wh."), "").unwrap();
    let name = read_dir(space.path(), &DiskOptions::kept()).unwrap_err();
    assert!(
        matches!(&name, DiskError::Name { directory, .. } if directory == "d/.wh."),
        "{name}"
    );
}
