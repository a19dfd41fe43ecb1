//! What tars of all kinds mean as layers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::*;
use crate::compress::inflate::Packing;
use crate::content::ContentError;
use crate::layer::{HELD_LIMIT, Layer, Origin, ReadJob, Walk, write_tar};
use crate::overlay::naive::random_tree;
use crate::random::Random;
use crate::scratch::MemorySpace;
use crate::tar::{EntryHeader, EntryType, Format, encode, end_padding};

/// A tar of words: `dir/`, `file`, `link>target`, `hard=target`, `char:1` or `char:0`.
fn tar(words: &str) -> Content {
    let mut tar = Vec::new();
    for (number, word) in words.split_whitespace().enumerate() {
        let (name, link_name, entry_type) = match (word.split_once('>'), word.split_once('=')) {
            (Some((name, target)), _) => (name, target, EntryType::Symlink),
            (_, Some((name, target))) => (name, target, EntryType::HardLink),
            _ if word.ends_with('/') => (word, "", EntryType::Directory),
            _ if word.contains(':') => (word, "", EntryType::CharDevice),
            _ => (word, "", EntryType::Regular),
        };
        let (name, minor) = name.split_once(':').unwrap_or((name, "0"));
        let header = EntryHeader {
            name: name.as_bytes(),
            entry_type,
            link_name: link_name.as_bytes(),
            mode: 0o755,
            uid: 1,
            gid: 1,
            mtime: Time::at(number as i64 + 1),
            size: 0,
            device: (0, minor.parse().unwrap()),
            xattrs: &BTreeMap::new(),
        };
        encode(&header, Format::Gnu, &mut tar);
    }
    tar.resize(tar.len() + end_padding(tar.len() as u64) as usize, 0);
    Content::inline(tar)
}

/// What a tree holds, in the order of the tar: `dir/`, `dir/!` opaque, `file`, `-whiteout`. Names of one inode
/// are followed by its number of names.
fn shown(tree: &Tree) -> String {
    let mut words = Vec::new();
    let mut pending = vec![(TreePath::ROOT, Ino::ROOT)];
    while let Some((path, ino)) = pending.pop() {
        let inode = tree.inode(ino);
        let name = String::from_utf8(path.to_bytes()).unwrap();
        let links = match inode.links() {
            1 => String::new(),
            links => format!("*{links}"),
        };
        let Some(directory) = tree.directory(ino) else {
            words.push(format!("{name}{links}"));
            continue;
        };
        let mark = if directory.opaque() { "/!" } else { "/" };
        words.push(format!("{name}{mark}"));
        let whiteouts = directory.whiteouts().iter();
        words.extend(whiteouts.map(|name| format!("-{}", path.join(name.clone())).replace("-/", "-")));
        let entries = directory.entries().iter().rev();
        pending.extend(entries.map(|(name, ino)| (path.join(name.clone()), *ino)));
    }
    words.join(" ")
}

fn read(tar: &Content) -> Layer {
    Layer::read(tar, &MemorySpace).unwrap()
}

#[test]
fn every_spelling_of_a_layer() {
    for (words, expected, notes) in [
        ("./ ./d/ d/f", "/ d/ d/f", 0),
        ("d/f", "/ d/ d/f", 0),
        ("d/f d/", "/ d/ d/f", 0),
        ("f .wh.g", "/ -g f", 0),
        ("d/ d/.wh.f", "/ d/ -d/f", 0),
        ("d/.wh.f", "/ d/ -d/f", 0),
        ("d/ d/f d/.wh..wh..opq", "/ d/! d/f", 0),
        (".wh..wh..opq f", "/! f", 0),
        // Whiteouts of any type, and as overlayfs has them on disk.
        (".wh.a:1 .wh.b/ .wh.c>x", "/ -a -b -c", 3),
        ("d/.wh.f d/", "/ d/ -d/f", 0),
        ("d/ d/f:0", "/ d/ -d/f", 1),
        (".wh..wh.plnk .wh..wh.aufs/", "/", 2),
        // A name and its whiteout: the whiteout is for the layers below only.
        ("f .wh.f", "/ f", 1),
        (".wh.d d/ d/f", "/ d/! d/f", 1),
        ("d/f .wh.d", "/ d/! d/f", 1),
        // What is under a whiteout is gone with it, and must not bring it back.
        (".wh.d d/.wh.f", "/ -d", 1),
        ("d/.wh.e d/e/f/.wh.g", "/ d/ -d/e", 1),
        (".wh.d d/e/.wh.f d/g", "/ d/! d/e/ -d/e/f d/g", 1),
        // Later entries of a name replace earlier ones; directories keep what is in them.
        ("f f", "/ f", 1),
        ("d/ d/f d/", "/ d/ d/f", 0),
        ("d/ d/f d", "/ d", 1),
        ("f g=f f", "/ f g", 1),
        ("f g=f h=g", "/ f*3 g*3 h*3", 0),
        ("f g h=f h=g", "/ f g*2 h*2", 1),
        ("f f=f", "/ f", 0),
        ("s>f t=s", "/ s*2 t*2", 0),
        // Names are cleaned as runtimes do, inside the root.
        ("../f d/../../g //h/./i", "/ f g h/ h/i", 0),
        // Through symbolic links of this layer, which never lead out of it.
        ("d/ s>d s/f", "/ d/ d/f s", 0),
        ("s>/x/y s/f", "/ s x/ x/y/ x/y/f", 0),
        ("d/ d/s>../../e d/s/.wh.f", "/ d/ d/s e/ -e/f", 0),
        ("d/ s>d f=s/g s/g h=s/g", "/ d/ d/g*2 h*2 s", 1),
    ] {
        let layer = read(&tar(words));
        let read = layer.as_read().unwrap();
        assert_eq!(
            (shown(layer.tree()), &read.damage),
            (expected.to_owned(), &None),
            "{words}"
        );
        assert_eq!(read.notes.len(), notes, "{words}: {:?}", read.notes);
    }
}

#[test]
fn what_has_no_place_in_a_tree_is_left_out_with_its_reason() {
    for (words, expected, text) in [
        (".wh. f", "/ f", "whiteout of nothing"),
        ("d/.wh.. f", "/ f", "whiteout of nothing"),
        (".wh... f", "/ f", "whiteout of nothing"),
        ("./>x f", "/ f", "only be a directory"),
        ("f=g h", "/ h", "not in this layer before it"),
        ("d/ f=d", "/ d/", "that is a directory"),
        ("f f/g", "/ f", "`f` is not a directory"),
        ("f f/.wh.g", "/ f", "`f` is not a directory"),
        (".wh.d/f g", "/ g", "`.wh.d`"),
        ("d/ d/f d=d/f", "/", "in what it replaces"),
        ("f=f g", "/ g", "not in this layer before it"),
        ("s>t t>s s/f", "/ s t", "too many symbolic links"),
        ("f=x/y g", "/ g", "`x` is not in this layer"),
    ] {
        let layer = read(&tar(words));
        let read = layer.as_read().unwrap();
        assert_eq!(shown(layer.tree()), expected, "{words}");
        let found = read.notes.iter().any(|note| note.text.contains(text));
        assert!(found, "{words}: {:?}", read.notes);
    }
}

#[test]
fn what_came_before_the_damage_is_there() {
    let whole = tar("./ d/ d/f g");
    let bytes = whole.read_all(1 << 20).unwrap();
    for length in 0..4 * 512 {
        let layer = read(&Content::inline(&bytes[..length]));
        let read = layer.as_read().unwrap();
        assert_eq!(read.damage.is_none(), length % 512 == 0, "{length}");
        let expected = ["/", "/", "/ d/", "/ d/ d/f"][length / 512];
        assert_eq!(shown(layer.tree()), expected, "{length}");
        assert_eq!(layer.clone().edit().is_ok(), read.damage.is_none());
    }
}

#[test]
fn whiteouts_keep_the_time_of_the_first() {
    assert_eq!(read(&tar("f .wh.a .wh.b")).tree().whiteout_time(), 2);
}

#[test]
fn random_trees_are_read_as_they_were_written() {
    let mut random = Random::of_run();
    for number in 0..300 {
        let tree = random_tree(&mut random);
        let written = tar_of(&tree);
        let layer = read(&Content::inline(written.clone()));
        let read = layer.as_read().unwrap();
        assert!(read.notes.is_empty(), "tree {number}: {:?}", read.notes);
        assert_eq!(shown(layer.tree()), shown(&tree), "tree {number}");
        let rewritten = tar_of(layer.tree());
        assert!(rewritten == written, "tree {number}");
    }
}

fn tar_of(tree: &Tree) -> Vec<u8> {
    let mut tar = Vec::new();
    let taken = write_tar::<ContentError>(Walk::new(tree), |bytes| {
        tar.extend_from_slice(bytes);
        Ok(())
    });
    taken.unwrap();
    tar
}

#[test]
fn the_longest_names_are_read_and_longer_ones_are_left_out() {
    let began = Instant::now();
    for (directories, is_read) in [(8191, true), (200_000, false)] {
        for end in ["f", ".wh.f"] {
            let layer = read(&tar(&("d/".repeat(directories) + end)));
            let counts = layer.tree().counts();
            let is_there = counts.entries + counts.whiteouts == directories as u64 + 1;
            assert_eq!(is_there, is_read && end == "f", "{directories} {end}");
        }
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn extremes_are_written_and_read() {
    for nanos in [0, 999_999_999] {
        for seconds in [i64::MIN, i64::MIN + 1, -1, 0, 1 << 33, i64::MAX] {
            let metadata = Metadata::new(0o7777, u32::MAX, u32::MAX, Time { seconds, nanos });
            let mut tree = Tree::new(metadata.clone(), seconds);
            let path = |text: &str| TreePath::parse(text).unwrap();
            let device = Device {
                major: u32::MAX,
                minor: u32::MAX,
            };
            for (name, node) in [("/c", Node::CharDevice(device)), ("/f", Node::Fifo)] {
                tree.make(&path(name), node, metadata.clone()).unwrap();
            }
            tree.whiteout(&path("/w")).unwrap();
            let layer = read(&Content::inline(tar_of(&tree)));
            assert_eq!(shown(layer.tree()), shown(&tree));
            assert_eq!(layer.tree().inode(Ino::ROOT).metadata, metadata);
            assert_eq!(layer.tree().whiteout_time(), seconds);
        }
    }
}

#[test]
fn what_is_kept_of_layers_is_bounded_together() {
    let name = |text: &str| {
        let header = EntryHeader {
            name: text.as_bytes(),
            entry_type: EntryType::Regular,
            link_name: b"",
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Time::at(0),
            size: 0,
            device: (0, 0),
            xattrs: &BTreeMap::new(),
        };
        let mut out = Vec::new();
        encode(&header, Format::Gnu, &mut out);
        out
    };
    let kept = |names: &[&str], held: usize| {
        let tar: Vec<u8> = names
            .iter()
            .flat_map(|text| name(text))
            .chain([0; 1024])
            .collect();
        let origin = Arc::new(Origin::new(Content::inline(tar), Packing::Plain));
        ReadJob::new(&origin, held, &MemorySpace).unwrap().run();
        let read = origin.read().unwrap();
        let is_full = matches!(read.damage, Some(ReadError::TooMany { .. }));
        assert!(is_full || read.damage.is_none());
        (read.tree.counts().entries, read.held, is_full)
    };
    let deep = "n/".repeat(1000) + "n";
    let mark = "w/".repeat(1000) + ".wh.n";
    assert_eq!(kept(&["a", "b", "c"], 0), (3, 3, false));
    assert_eq!(kept(&["a", "b", "c"], HELD_LIMIT - 2), (2, 2, true));
    assert_eq!(kept(&["a"], HELD_LIMIT + 1), (0, 0, true));
    // The directories above it are kept too, and its name.
    assert_eq!(kept(&[&deep, "a"], HELD_LIMIT - 900), (1001, 1004, true));
    // A whiteout makes its directories at the end.
    let (_, held, is_full) = kept(&[&mark, "a", &mark], HELD_LIMIT - 900);
    assert!(is_full && held < 2000, "{held}");
}
