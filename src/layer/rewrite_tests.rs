//! Random tars, edited at random: what is written is read as the edited tree, and every entry that the edits did
//! not come near is there byte for byte, in its order.

use std::collections::BTreeMap;

use crate::content::Content;
use crate::layer::{Bytes, Layer};
use crate::random::Random;
use crate::scratch::MemorySpace;
use crate::tar::{Entries, EntryHeader, EntryType, Format, encode, end_padding};
use crate::tree::{Directory, Ino, Metadata, Node, Time, Tree, TreePath};

/// Parents first.
const NAMES: [&str; 10] = ["a", "b", "a/b", "a/c", "a/b/c", "b/c", "c", "d", "b/d", "d/e"];

/// A tar with all that an edit could trip over: names twice, links of all kinds, whiteouts beside what they hide,
/// directories without an entry, types nobody knows, global headers.
fn random_tar(random: &mut Random) -> Vec<u8> {
    let mut tar = Vec::new();
    // In every second tar no entry undoes another.
    let is_calm = random.once_in(2);
    let mut left = NAMES.to_vec();
    for number in 0..random.below(14) {
        let name = match is_calm {
            true if left.is_empty() => break,
            true => left.remove(0),
            false => random.pick(&NAMES),
        };
        let (parent, base) = name.rsplit_once('/').unwrap_or(("", name));
        let marked = |mark: &str| match parent {
            "" => mark.to_owned(),
            parent => format!("{parent}/{mark}"),
        };
        let target = random.pick(&NAMES);
        let mut content: &[u8] = b"";
        let (name, entry_type, link_name) = match random.below(14) {
            0..=3 => (format!("{name}/"), EntryType::Directory, ""),
            4..=6 => {
                content = random.pick(&[&b""[..], b"x", b"some more"]);
                (name.to_owned(), EntryType::Regular, "")
            }
            7 => (name.to_owned(), EntryType::Symlink, "nowhere"),
            8 | 9 => (name.to_owned(), EntryType::HardLink, target),
            10 => (marked(&format!(".wh.{base}")), EntryType::Regular, ""),
            11 => (marked(".wh..wh..opq"), EntryType::Regular, ""),
            12 => (name.to_owned(), EntryType::CharDevice, ""),
            _ => (name.to_owned(), EntryType::Fifo, ""),
        };
        // A symbolic link is never a parent here, so that every name is a path.
        if entry_type == EntryType::Symlink && !matches!(base, "c" | "d") {
            continue;
        }
        let xattrs = match random.once_in(6) {
            true => BTreeMap::from([(b"user.x".to_vec(), vec![number as u8])]),
            false => BTreeMap::new(),
        };
        let header = EntryHeader {
            name: name.as_bytes(),
            entry_type,
            link_name: link_name.as_bytes(),
            mode: 0o600 + number as u32,
            uid: 1000,
            gid: 0,
            mtime: Time::at(number as i64),
            size: content.len() as u64,
            device: (1, random.below(2) as u32),
            xattrs: &xattrs,
        };
        let format = if xattrs.is_empty() {
            Format::Gnu
        } else {
            Format::Pax
        };
        encode(&header, format, &mut tar);
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
        if random.once_in(20) {
            // A type that is a file's as far as its size goes, and means nothing.
            let mut odd = tar::Header::new_gnu();
            odd.set_size(0);
            odd.as_old_mut().name[0] = b'o';
            odd.as_old_mut().linkflag[0] = b'Q';
            odd.set_cksum();
            tar.extend_from_slice(odd.as_bytes());
        }
    }
    if !random.once_in(6) {
        tar.resize(tar.len() + end_padding(tar.len() as u64) as usize, 0);
    }
    tar
}

fn path(name: &str) -> TreePath {
    TreePath::from_bytes(name.as_bytes()).unwrap()
}

/// Edits a tree; returns the paths that were named, or none if it could not be done.
fn edit(tree: &mut Tree, random: &mut Random) -> Option<[TreePath; 2]> {
    let (at, other) = (path(random.pick(&NAMES)), path(random.pick(&NAMES)));
    let metadata = Metadata::new(0o700, 7, 7, Time::at(99));
    let text = Content::inline(&b"edited"[..]);
    let done = match random.below(12) {
        0 | 1 => tree.delete(&at),
        2 | 3 => tree.write(&at, text).map(|_| ()),
        4 => tree.set_metadata(&at, |old| old.uid += 1),
        5 => tree.make(&at, Node::File(text), metadata).map(|_| ()),
        6 => tree
            .make(&at, Node::Directory(Directory::default()), metadata)
            .map(|_| ()),
        7 => tree.link(&at, &other),
        8 => tree.rename(&at, &other),
        9 => tree.whiteout(&at),
        10 => tree.clear_whiteout(&at),
        _ => {
            let is_opaque = random.once_in(2);
            tree.set_opaque(&at, is_opaque)
        }
    };
    done.is_ok().then_some([at, other])
}

/// All that a tree says, path by path. Directories without an entry are there for what is in them only.
fn listing(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    let mut first_names: BTreeMap<Ino, String> = BTreeMap::new();
    let mut pending = vec![(TreePath::ROOT, Ino::ROOT)];
    while let Some((path, ino)) = pending.pop() {
        let inode = tree.inode(ino);
        let metadata = &inode.metadata;
        let what = match &inode.node {
            Node::Directory(directory) => {
                lines.extend(
                    directory
                        .whiteouts()
                        .iter()
                        .map(|name| format!("{path}/{name} whited out")),
                );
                let entries = directory.entries().iter();
                pending.extend(entries.map(|(name, ino)| (path.join(name.clone()), *ino)));
                if directory.implied() && !directory.opaque() {
                    continue;
                }
                let implied = directory.implied();
                lines.push(format!("{path} opaque {}", directory.opaque()));
                if implied {
                    continue;
                }
                "directory".to_owned()
            }
            Node::File(content) => String::from_utf8(content.read_all(100).unwrap()).unwrap(),
            Node::Symlink(target) => format!("{target:?}"),
            node => format!("{:?}", node.device()),
        };
        let links = match inode.node {
            Node::File(_) | Node::Symlink(_) => inode.links(),
            // Devices and fifos are written once a name.
            _ => 1,
        };
        let first = first_names.entry(ino).or_insert_with(|| path.to_string());
        lines.push(format!(
            "{path} {what} {metadata:?} {links} {}",
            if links > 1 { first } else { "" }
        ));
        pending.sort();
        pending.reverse();
    }
    lines.sort();
    lines
}

fn bytes_of(layer: &Layer) -> Vec<u8> {
    let mut tar = Vec::new();
    for chunk in layer.chunks() {
        match chunk.bytes {
            Bytes::Owned(bytes) => tar.extend(bytes),
            Bytes::Content(content) => tar.extend(content.read_all(1 << 20).unwrap()),
            Bytes::Zeros(count) => tar.resize(tar.len() + count as usize, 0),
        }
    }
    tar
}

/// The entries of a tar with their paths, names of whiteouts without what marks them.
fn entries(tar: &[u8]) -> Vec<(TreePath, Vec<u8>, Vec<u8>)> {
    let read = Entries::new(Content::inline(tar)).map(|entry| {
        let entry = entry.unwrap();
        let name = String::from_utf8(entry.name).unwrap();
        let names = name
            .split('/')
            .filter(|name| !matches!(*name, "" | "." | ".wh..wh..opq"));
        let names: Vec<_> = names.map(|name| name.trim_start_matches(".wh.")).collect();
        let raw = tar[entry.offset as usize..entry.end as usize].to_vec();
        (path(&names.join("/")), entry.link_name, raw)
    });
    read.collect()
}

/// The names of a tar, for messages.
fn names(tar: &[u8]) -> String {
    let named = Entries::new(Content::inline(tar)).map(|entry| {
        let entry = entry.unwrap();
        let (name, link) = (
            crate::text::escape(&entry.name),
            crate::text::escape(&entry.link_name),
        );
        format!("{name} {:?} {link}", entry.entry_type)
    });
    named.collect::<Vec<_>>().join(", ")
}

#[test]
fn edits_change_their_own_entries_only() {
    let mut random = Random::of_run();
    let (mut kept, mut edited) = (0, 0);
    for number in 0..4000 {
        let tar = random_tar(&mut random);
        let mut layer = Layer::read(&Content::inline(&tar[..]), &MemorySpace).unwrap();
        assert!(bytes_of(&layer) == tar, "tar {number}");
        let mut touched: Vec<TreePath> = Vec::new();
        for _ in 0..1 + random.below(4) {
            let mut edited = layer.clone();
            // What fails is dropped, as the workbench does.
            if let Some(paths) = edit(edited.edit().unwrap(), &mut random) {
                layer = edited;
                touched.extend(paths);
            }
        }
        if touched.is_empty() {
            assert!(layer.is_original(), "tar {number}: what fails changes nothing");
            continue;
        }
        edited += 1;
        let written = bytes_of(&layer);
        let again = Layer::read(&Content::inline(&written[..]), &MemorySpace).unwrap();
        assert_eq!(again.as_read().unwrap().damage, None, "tar {number}");
        assert_eq!(
            listing(again.tree()),
            listing(layer.tree()),
            "tar {number}: {touched:?}\n{}",
            names(&tar)
        );

        // Names of one file are touched together, whichever of them was named, and all that is under them.
        let before = entries(&tar);
        let mut near: Vec<bool> = before
            .iter()
            .map(|(path, _, _)| touched.iter().any(|touched| path.starts_with(touched)))
            .collect();
        for _ in 0..before.len() {
            for (at, (path, link, _)) in before.iter().enumerate() {
                let is_linked = |(to, far, _): &(TreePath, Vec<u8>, Vec<u8>)| {
                    to.to_bytes() == *link
                        || *far == path.to_bytes()
                        || (!link.is_empty() && far == link)
                        || path.starts_with(to)
                };
                near[at] |= before
                    .iter()
                    .zip(&near)
                    .any(|(other, near)| *near && is_linked(other));
            }
        }
        // Of entries that undo each other only those stay that count.
        let is_tangled = layer.as_read().unwrap().is_tangled;
        let untouched = before.iter().zip(near).filter(|(_, near)| !near && !is_tangled);
        let after = entries(&written);
        let mut after = after.iter();
        for ((path, _, raw), _) in untouched {
            kept += 1;
            let is_kept = after.any(|entry| entry.2 == *raw);
            assert!(
                is_kept,
                "tar {number}: {path} after {touched:?}\n{}\n{}",
                names(&tar),
                names(&written)
            );
        }
    }
    assert!(kept > 3000 && edited > 1500, "{kept} kept, {edited} edited");
}

#[test]
fn what_is_scrubbed_is_gone_where_the_tree_does_not_show_it() {
    let layer = |files: &[(&str, &[u8])]| {
        let mut tar = Vec::new();
        for (name, content) in files {
            let header = EntryHeader {
                name: name.as_bytes(),
                entry_type: EntryType::Regular,
                link_name: b"",
                mode: 0o644,
                uid: 0,
                gid: 0,
                mtime: Time::at(0),
                size: content.len() as u64,
                device: (0, 0),
                xattrs: &BTreeMap::new(),
            };
            encode(&header, Format::Gnu, &mut tar);
            tar.extend_from_slice(content);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        Layer::read(&Content::inline(tar), &MemorySpace).unwrap()
    };
    let holds = |layer: &Layer, text: &[u8]| bytes_of(layer).windows(text.len()).any(|window| window == text);
    let mut replaced = layer(&[("d/key", b"secret"), ("d", b"file")]);
    assert!(holds(&replaced, b"secret"));
    replaced.scrub(path("d/key")).unwrap();
    assert!(!holds(&replaced, b"secret") && holds(&replaced, b"file"));
    let mut twice = layer(&[("key", b"secret"), ("key", b"kept"), ("f", b"text")]);
    twice.edit().unwrap().delete(&path("f")).unwrap();
    assert!(
        holds(&twice, b"secret") && holds(&twice, b"kept"),
        "nobody touched it"
    );
    twice.edit().unwrap().delete(&path("key")).unwrap();
    assert!(!holds(&twice, b"secret") && !holds(&twice, b"kept"));
}
