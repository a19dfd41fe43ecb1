//! Files of tars of all kinds, and links in them.

use super::*;
use crate::compress::inflate::Packing;
use crate::content::ScratchSpace;
use crate::scratch::MemorySpace;
use crate::tar::{EntryHeader, EntryType, Format, encode};
use crate::tree::Time;

/// A tar of these entries, each with its path, its type flag, and what is in it or what it leads to.
pub(in crate::image) fn tar(entries: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, flag, content) in entries {
        let entry_type = match flag {
            b'0' => EntryType::Regular,
            b'1' => EntryType::HardLink,
            b'2' => EntryType::Symlink,
            b'5' => EntryType::Directory,
            _ => panic!("no type of these tests"),
        };
        let (content, link_name) = match entry_type {
            EntryType::Regular => (*content, &b""[..]),
            _ => (&b""[..], *content),
        };
        let header = EntryHeader {
            name: path.as_bytes(),
            entry_type,
            link_name,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Time::at(0),
            size: content.len() as u64,
            device: (0, 0),
            xattrs: &BTreeMap::new(),
        };
        encode(&header, Format::Gnu, &mut out);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn index(bytes: &[u8]) -> Result<Indexed, FilesError> {
    IndexJob::new(&Content::inline(bytes), &MemorySpace)?.run()
}

fn text(files: &Files, path: &str) -> String {
    match files.find(path.as_bytes()) {
        Lookup::Found(found) => String::from_utf8(found.content.read_all(100).unwrap()).unwrap(),
        Lookup::Missing => "missing".to_owned(),
        Lookup::Circle => "circle".to_owned(),
    }
}

#[test]
fn links_are_followed_inside() {
    let files = index(&tar(&[
        ("one/layer.tar", b'0', b"one"),
        ("two/layer.tar", b'2', b"../one/layer.tar"),
        ("three/layer.tar", b'2', b"../two/layer.tar"),
        ("hard", b'1', b"./one/layer.tar"),
        ("out", b'2', b"../../one/layer.tar"),
        ("absolute", b'2', b"/one/layer.tar"),
        ("directory", b'2', b"one"),
        ("nowhere", b'2', b"gone"),
        ("a", b'2', b"b"),
        ("b", b'2', b"a"),
        ("grows", b'2', b"grows/grows"),
    ]))
    .unwrap()
    .files;
    for path in [
        "one/layer.tar",
        "./one//layer.tar",
        "two/layer.tar",
        "three/layer.tar",
        "hard",
        "out",
        "absolute",
        "directory/layer.tar",
    ] {
        assert_eq!(text(&files, path), "one", "{path}");
    }
    for (path, expected) in [
        ("nowhere", "missing"),
        ("a", "circle"),
        ("grows", "circle"),
        ("one", "missing"),
        ("", "missing"),
    ] {
        assert_eq!(text(&files, path), expected, "{path}");
    }
    let Lookup::Found(found) = files.find(b"three/layer.tar") else {
        panic!("it is there");
    };
    assert_eq!(
        (&found.path[..], found.offset, found.via),
        (&b"one/layer.tar"[..], Some(0), Some(Via::Symlink))
    );
}

#[test]
fn paths_are_cleaned() {
    for (path, cleaned) in [
        ("./a//b/", "a/b"),
        ("/a/../b", "b"),
        ("../../a", "a"),
        ("x/../../y", "y"),
    ] {
        assert_eq!(clean(path.as_bytes()), cleaned.as_bytes());
    }
}

#[test]
fn of_two_files_the_last_is_taken() {
    let files = index(&tar(&[("x", b'0', b"first"), ("./x", b'0', b"last")]))
        .unwrap()
        .files;
    assert_eq!(text(&files, "x"), "last");
    let duplicate = Fault::Duplicate {
        path: b"x".to_vec(),
        first: Some(0),
        last: Some(1024),
    };
    assert_eq!(files.faults(), (&[duplicate][..], 0));
}

#[test]
fn what_stands_before_damage_is_there() {
    let good = tar(&[("a", b'0', b"one"), ("b", b'0', &[7; 2000])]);
    for end in 0..good.len() {
        match index(&good[..end]) {
            Err(_) => assert!(end < 512, "{end}"),
            Ok(indexed) => {
                assert_eq!(
                    text(&indexed.files, "a"),
                    if end < 515 { "missing" } else { "one" }
                );
                // Padding is not missed, and one block of zeros is an end: by a cut at a file's end nothing is
                // damaged, but there may have been more.
                let between = (515..=1024).contains(&end).then_some(end);
                let between = between.or((3536..3584 + 512).contains(&end).then_some(end.min(3584)));
                match indexed.files.faults().0 {
                    [] => assert!(end >= 3584 + 512, "{end}"),
                    [Fault::NoEnd { offset }] => assert_eq!(Some(*offset as usize), between, "{end}"),
                    [Fault::Damaged { .. }] => assert_eq!(between, None, "{end}"),
                    faults => panic!("{faults:?}"),
                }
            }
        }
    }
    // The same in gzip, cut anywhere: whatever could be inflated.
    let packed = gzip(&good);
    for end in 1..packed.len() {
        if let Ok(indexed) = index(&packed[..end]) {
            assert!(!indexed.files.faults().0.is_empty());
            assert_eq!(indexed.packing, Packing::Gzip);
        }
    }
    assert_eq!(text(&index(&packed).unwrap().files, "a"), "one");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = crate::compress::gz1::HEADER.to_vec();
    let mut deflater = crate::compress::gz1::SegmentDeflater::new();
    deflater.push(bytes, &mut out);
    let sum = deflater.finish(&mut out);
    out.extend_from_slice(&sum.trailer());
    out
}

#[test]
fn what_is_no_tar_is_an_error() {
    assert!(matches!(index(b""), Err(FilesError::Empty)));
    for bytes in [&b"hello"[..], &[7; 2048], b"{\"schemaVersion\":2}"] {
        assert!(matches!(index(bytes), Err(FilesError::Tar(_))));
    }
    // An empty tar is one.
    let empty = index(&[0; 1024]).unwrap();
    assert!(empty.files.is_empty() && empty.entries == 0);
}

#[test]
fn the_directory_that_holds_all() {
    let common = |paths: &[&str]| {
        let mut files = Files::new();
        for path in paths {
            files.file(path.as_bytes(), Content::inline(&b""[..]));
        }
        let common = files.common_directory();
        let below = files.below(&common);
        let paths = below
            .paths()
            .map(|path| String::from_utf8_lossy(path).into_owned());
        (String::from_utf8(common).unwrap(), paths.collect::<Vec<_>>())
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        common(&["i/x/a", "i/x/b", "._i"]),
        ("i/x/".to_owned(), names(&["a", "b"]))
    );
    assert_eq!(common(&["i/a", "i/b/c"]), ("i/".to_owned(), names(&["a", "b/c"])));
    assert_eq!(common(&["ia/x", "ib/x"]).0, "");
    assert_eq!(common(&["a", "b/c"]).0, "");
    assert_eq!(common(&[]).0, "");
}

#[test]
fn limits_hold() {
    let mut files = Files::new();
    files.file(&[b'x'; PATH_LIMIT + 1], Content::inline(&b""[..]));
    assert!(files.is_empty());
    assert!(matches!(files.faults().0, [Fault::LongPath { length: 4097, .. }]));
    for number in 0..FILE_LIMIT + 10 {
        files.file(format!("f{number}").as_bytes(), Content::inline(&b""[..]));
    }
    files.file(b"index.json", Content::inline(&b"late"[..]));
    assert_eq!(files.len(), FILE_LIMIT + 1);
    assert_eq!(text(&files, "index.json"), "late");
    assert_eq!(files.faults().0.len(), 2);
}

#[test]
fn work_can_be_done_in_the_smallest_steps() {
    let good = gzip(&tar(&[("a", b'0', b"one"), ("b", b'0', b"two")]));
    let space: &dyn ScratchSpace = &MemorySpace;
    let mut job = IndexJob::new(&Content::inline(good), space).unwrap();
    let mut stages = Vec::new();
    let indexed = loop {
        match job.step(1).unwrap() {
            Indexing::Working { stage, done, total } => {
                assert!(done <= total);
                stages.push(stage);
            }
            Indexing::Done(indexed) => break indexed,
        }
    };
    stages.dedup();
    assert_eq!(stages, [Stage::Unpacking, Stage::Indexing]);
    assert_eq!(indexed.files.len(), 2);
}

#[test]
fn paths_are_bounded_together() {
    let mut files = Files::new();
    for number in 0..20_000 {
        files.file(
            format!("{number}{}", "/n".repeat(2000)).as_bytes(),
            Content::inline([]),
        );
    }
    let kept = files.len();
    assert!(kept < 20_000 && files.paths().map(<[u8]>::len).sum::<usize>() <= PATHS_LIMIT);
    files.symlink(b"a", &[b'x'; 5000]);
    assert_eq!(files.len(), kept);
    // What makes it an image is kept all the same.
    files.file(b"index.json", Content::inline([]));
    assert_eq!(files.len(), kept + 1);
    assert!(matches!(files.faults(), ([Fault::Files { .. }], 0)));
}

#[test]
fn damage_is_told_however_much_else_is() {
    let mut entries = vec![("same", b'0', &b""[..]); FAULT_LIMIT + 10];
    entries.push(("cut", b'0', b"cut"));
    let mut bytes = tar(&entries);
    bytes.truncate(bytes.len() - 1024 - 512);
    let files = index(&bytes).unwrap().files;
    assert!(matches!(files.faults().0.last(), Some(Fault::Damaged { .. })));
}

#[test]
fn what_is_packed_twice_is_no_tar() {
    let once = gzip(&tar(&[("a", b'0', b"a")]));
    let twice = gzip(&once);
    assert!(index(&once).is_ok());
    let error = index(&twice)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    assert!(error.starts_with("this is packed twice, gzip in gzip"), "{error}");
}
