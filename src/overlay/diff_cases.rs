//! Random file trees and what they show, for tests here and in `tests/`.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Content, Device, Directory, Metadata, Node, Random, Seen, Stack, Time, Tree, TreePath, escape, short,
};

const NAMES: [&str; 5] = ["a", "b", "b.c", "d", "z\u{e9}"];

fn random_path(random: &mut Random) -> TreePath {
    let depth = 1 + random.below(4);
    let text: String = (0..depth).map(|_| format!("/{}", random.pick(&NAMES))).collect();
    TreePath::parse(&text).expect("a path")
}

fn metadata(random: &mut Random) -> Metadata {
    let mode = random.pick(&[0o644, 0o755, 0o700, 0o4755, 0o2775, 0o1777]);
    let owner = |random: &mut Random| random.pick(&[0, 0, 1, 70_000]);
    let time = Time {
        seconds: random.pick(&[0, 1_000_000, 1_000_000, 1_500_000_000]),
        nanos: random.pick(&[0, 0, 7, 999_999_999]),
    };
    let mut metadata = Metadata::new(mode, owner(random), owner(random), time);
    if random.once_in(6) {
        let value = random.pick(&[&b"1"[..], b"2", b"\0\xff"]).to_vec();
        Arc::make_mut(&mut metadata.xattrs).insert(b"user.x".to_vec(), value);
    }
    metadata
}

/// What can only be set on files and directories is left out.
fn plain(mut metadata: Metadata, mode: u16) -> Metadata {
    metadata.mode = mode;
    metadata.xattrs = Arc::default();
    metadata
}

/// A tree without a mark of layers: every kind of file, every attribute, and hard links.
pub fn tree(random: &mut Random) -> Tree {
    let mut tree = Tree::new(metadata(random), 0);
    for _ in 0..random.below(60) {
        change(random, &mut tree);
    }
    tree
}

/// A tree after some changes.
pub fn changed(random: &mut Random, tree: &Tree) -> Tree {
    let mut tree = tree.clone();
    for _ in 0..1 + random.below(6) {
        change(random, &mut tree);
    }
    tree
}

/// What cannot be done is not done: other changes will do.
fn change(random: &mut Random, tree: &mut Tree) {
    let path = random_path(random);
    if random.once_in(3) {
        // In the place of what is there.
        let _ = tree.delete(&path);
    }
    let attributes = metadata(random);
    if random.once_in(2) {
        let _ = tree.make_parents(&path, |_| attributes.clone());
    }
    let bytes = random.pick(&[&b""[..], b"one", b"two"]);
    let device = Device {
        major: 1,
        minor: 1 + random.below(2) as u32,
    };
    let _ = match random.below(16) {
        0..=3 => tree
            .make(&path, Node::Directory(Directory::default()), attributes)
            .map(drop),
        4..=6 => tree
            .make(&path, Node::File(Content::inline(bytes)), attributes)
            .map(drop),
        7 => {
            let target = random.pick(&[&b"a"[..], b"../b", b"/nowhere"]);
            let attributes = plain(attributes, 0o777);
            tree.make(&path, Node::Symlink(target.into()), attributes)
                .map(drop)
        }
        8 => {
            let node = match random.below(3) {
                0 => Node::Fifo,
                1 => Node::CharDevice(device),
                _ => Node::BlockDevice(device),
            };
            tree.make(&path, node, plain(attributes, 0o600)).map(drop)
        }
        9 => tree.link(&path, &random_path(random)),
        10 => tree.link(&random_path(random), &path),
        11 => tree.rename(&path, &random_path(random)),
        12 => tree.write(&path, Content::inline(bytes)).map(drop),
        13 => {
            // A file that has the same content and attributes as another, but is not it.
            let copy = tree.clone();
            tree.copy(&copy, &path, &random_path(random))
        }
        14 => tree.set_metadata(&path, |metadata| metadata.mtime.nanos = 5),
        _ => match tree.lookup(&path).map(|ino| &tree.inode(ino).node) {
            Some(Node::Directory(_) | Node::File(_)) => {
                tree.set_metadata(&path, |metadata| *metadata = attributes)
            }
            _ => Ok(()),
        },
    };
}

/// What a view shows, path by path; the root is `.`. Of devices and fifos it does not say which are one: a tar cannot
/// either. In a `copy` by containerd's native snapshotter directories have other times, and no links to symlinks.
pub fn describe(view: &Stack, copy: bool) -> BTreeMap<String, String> {
    let mut firsts = BTreeMap::new();
    let mut lines = BTreeMap::new();
    for (path, spot) in view.listing(&TreePath::ROOT, true) {
        let path = match path.strip_prefix(b"/") {
            Some(path) => escape(path),
            None => ".".to_owned(),
        };
        let (position, ino) = spot.visible().expect("only what shows is listed");
        let inode = view.trees()[position].inode(ino);
        let number = |device: &Device| format!("{}:{}", device.major, device.minor);
        let (kind, what) = match &inode.node {
            Node::Directory(_) => ('d', String::new()),
            Node::File(content) => (
                'f',
                short(content.len(), || content.read_all(u64::MAX).expect("it is there")),
            ),
            Node::Symlink(target) => ('l', escape(target)),
            Node::CharDevice(device) => ('c', number(device)),
            Node::BlockDevice(device) => ('b', number(device)),
            Node::Fifo => ('p', String::new()),
        };
        let first = match kind {
            'l' if copy => path.clone(),
            'f' | 'l' => firsts
                .entry((position, ino))
                .or_insert_with(|| path.clone())
                .clone(),
            _ => path.clone(),
        };
        let metadata = &inode.metadata;
        let seen = Seen {
            kind,
            mode: metadata.mode.into(),
            uid: metadata.uid,
            gid: metadata.gid,
            mtime: Some((metadata.mtime.seconds, metadata.mtime.nanos)),
            xattrs: (*metadata.xattrs).clone(),
            what,
            same_as: (first != path).then_some(first),
        };
        lines.insert(path, seen.line(escape, !copy));
    }
    lines
}
