//! The canonical layer is what GNU tar writes, byte for byte: random trees on a tmpfs, in the three comparisons
//! pinned, kept and exact.
//!
//! Runs as root. `HANDROLL_SEED` repeats a run, `HANDROLL_TREES` says how many trees, `HANDROLL_TMPFS` where.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use handroll::content::{Content, ContentError};
use handroll::layer::{Format, Layer, Walk, format_of, write_tar};
use handroll::native::{DiskOptions, Times, read_dir};
use handroll::scratch::MemorySpace;
use handroll::tar::{Entries, EntryHeader, EntryType, ReadType, encode, end_padding, padding};
use handroll::tree::{Time, Tree};
use support::random::seed;
use support::{GNU, Maker, POSIX, Wishes, gnu_tar, gnu_tar_of_names, names, tmpfs};

/// The time of the pinned comparison, the article's.
const PINNED: i64 = 1_735_689_600;

fn trees() -> usize {
    std::env::var("HANDROLL_TREES").map_or(1000, |text| {
        text.parse().expect("HANDROLL_TREES must be a number")
    })
}

fn write(tree: &Tree) -> Vec<u8> {
    let mut tar = Vec::new();
    let write = |bytes: &[u8]| -> Result<(), ContentError> {
        tar.extend_from_slice(bytes);
        Ok(())
    };
    write_tar(Walk::new(tree), write).unwrap();
    tar
}

/// Reads a directory and writes it as a tar.
fn ours(directory: &Path, options: &DiskOptions) -> (Vec<u8>, Format) {
    let read = read_dir(directory, options).unwrap();
    (write(&read.tree), format_of(&read.tree))
}

fn same(ours: &[u8], gnu: &[u8], what: &str) {
    if ours == gnu {
        return;
    }
    let at = ours.iter().zip(gnu).take_while(|(a, b)| a == b).count();
    let show = |tar: &[u8]| {
        let block = &tar[(at / 512 * 512).min(tar.len())..((at / 512 + 1) * 512).min(tar.len())];
        handroll::text::escape(block)
    };
    panic!(
        "{what}: {} bytes of ours, {} of GNU tar's, first difference at byte {at}\nours: {}\nGNU tar's: {}",
        ours.len(),
        gnu.len(),
        show(ours),
        show(gnu)
    );
}

/// What our reader reads, written again, is what was read.
fn reads_back(tar: &[u8], format: Format, what: &str) {
    let mut again = Vec::new();
    for entry in Entries::new(Content::inline(tar)) {
        let entry = entry.unwrap_or_else(|error| panic!("{what}: {error}"));
        let header = EntryHeader {
            name: &entry.name,
            entry_type: match entry.entry_type {
                ReadType::Regular => EntryType::Regular,
                ReadType::HardLink => EntryType::HardLink,
                ReadType::Symlink => EntryType::Symlink,
                ReadType::CharDevice => EntryType::CharDevice,
                ReadType::BlockDevice => EntryType::BlockDevice,
                ReadType::Directory => EntryType::Directory,
                ReadType::Fifo => EntryType::Fifo,
                ReadType::Other(flag) => panic!("{what}: type {flag}"),
            },
            link_name: &entry.link_name,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            size: entry.size,
            device: entry.device,
            xattrs: &entry.xattrs,
        };
        encode(&header, format, &mut again);
        again.extend(entry.content.read_all(1 << 30).unwrap());
        again.resize(again.len() + padding(entry.size) as usize, 0);
    }
    again.resize(again.len() + end_padding(again.len() as u64) as usize, 0);
    same(&again, tar, what);
    let layer = Layer::read(&Content::inline(tar), &MemorySpace).unwrap();
    let read = layer.as_read().unwrap();
    assert_eq!((&read.notes[..], &read.damage), (&[][..], &None), "{what}");
    if format_of(layer.tree()) == format {
        same(&write(layer.tree()), tar, &format!("{what}, through a tree"));
    }
}

/// Runs `test` on as many random trees, on two threads.
fn for_each_tree(count: usize, seed: u64, wishes: Wishes, test: impl Fn(&Path, &str) + Sync) {
    let space = tmpfs();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            let root = space.path().join(number.to_string());
            std::fs::create_dir(&root).unwrap();
            Maker::new(seed.wrapping_add(number as u64), wishes).fill(&root);
            test(&root, &format!("HANDROLL_SEED={seed}, tree {number}"));
            std::fs::remove_dir_all(&root).unwrap();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
}

#[test]
fn random_trees() {
    let wishes = Wishes {
        extended: true,
        marks_at: None,
        endless_paths: true,
        odd: true,
    };
    let seen = Mutex::new(BTreeMap::new());
    for_each_tree(trees(), seed(), wishes, |root, what| {
        let mtime = format!("--mtime=@{PINNED}");
        let pinned = [GNU, &[&mtime, "--owner=0", "--group=0"]].concat();
        let kept = DiskOptions {
            times: Times::KeepSeconds,
            ..DiskOptions::kept()
        };
        for (kind, options, gnu) in [
            ("pinned", DiskOptions::pinned(Time::at(PINNED)), &pinned[..]),
            ("kept", kept, GNU),
            ("exact", DiskOptions::exact(), POSIX),
        ] {
            let what = format!("{what}, {kind}");
            let (tar, format) = ours(root, &options);
            let gnu = if format == Format::Gnu {
                gnu_tar(root, &gnu_of(gnu))
            } else {
                gnu_tar(root, gnu)
            };
            same(&tar, &gnu, &what);
            reads_back(&tar, format, &what);
            count(&tar, format, &mut seen.lock().unwrap());
        }
    });
    let seen = seen.into_inner().unwrap();
    println!("{seen:?}");
    if trees() >= 1000 {
        let missing: Vec<_> = KINDS.iter().filter(|kind| !seen.contains_key(*kind)).collect();
        assert!(missing.is_empty(), "the trees had no {missing:?}");
    }
}

/// What a thousand trees must have had.
const KINDS: &[&str] = &[
    "format gnu",
    "format posix",
    "Regular",
    "HardLink",
    "Symlink",
    "CharDevice",
    "BlockDevice",
    "Directory",
    "Fifo",
    "name of 100 bytes",
    "name over 100 bytes",
    "name over 4096 bytes",
    "name not UTF-8",
    "target of 100 bytes",
    "target over 100 bytes",
    "long hard link",
    "uid beyond octal",
    "mtime before 1970",
    "mtime beyond octal",
    "fraction of a second",
    "xattr",
    "acl",
    "content",
];

/// Counts what is in a tar, so that a generator which makes nothing is noticed.
fn count(tar: &[u8], format: Format, seen: &mut BTreeMap<&'static str, usize>) {
    let mut see = |is: bool, kind: &'static str| {
        assert!(KINDS.contains(&kind));
        if is {
            *seen.entry(kind).or_default() += 1;
        }
    };
    see(
        true,
        if format == Format::Gnu {
            "format gnu"
        } else {
            "format posix"
        },
    );
    for entry in Entries::new(Content::inline(tar)) {
        let entry = entry.unwrap();
        let kind = format!("{:?}", entry.entry_type);
        see(true, KINDS.iter().find(|known| **known == kind).unwrap());
        see(entry.name.len() == 100, "name of 100 bytes");
        see(entry.name.len() > 100, "name over 100 bytes");
        see(entry.name.len() > 4096, "name over 4096 bytes");
        see(str::from_utf8(&entry.name).is_err(), "name not UTF-8");
        see(entry.link_name.len() == 100, "target of 100 bytes");
        see(entry.link_name.len() > 100, "target over 100 bytes");
        see(
            entry.link_name.len() > 100 && entry.entry_type == ReadType::HardLink,
            "long hard link",
        );
        see(entry.uid >= 1 << 21, "uid beyond octal");
        see(entry.mtime.seconds < 0, "mtime before 1970");
        see(entry.mtime.seconds >= 1 << 33, "mtime beyond octal");
        see(entry.mtime.nanos > 0, "fraction of a second");
        see(!entry.xattrs.is_empty(), "xattr");
        see(
            entry
                .xattrs
                .keys()
                .any(|name| name.starts_with(b"system.posix_acl")),
            "acl",
        );
        see(entry.size > 0, "content");
    }
}

/// A tree without xattrs and fractions is written in the format `gnu`, in the comparison `exact` too.
fn gnu_of<'a>(options: &[&'a str]) -> Vec<&'a str> {
    if options == POSIX {
        GNU.to_vec()
    } else {
        options.to_vec()
    }
}

#[test]
fn trees_with_whiteouts() {
    let wishes = Wishes {
        extended: true,
        marks_at: Some(PINNED),
        endless_paths: false,
        odd: true,
    };
    for_each_tree(trees().div_ceil(5), seed(), wishes, |root, what| {
        let mtime = format!("--mtime=@{PINNED}");
        let pinned = [GNU, &[&mtime, "--owner=0", "--group=0"]].concat();
        let names = names(root);
        let (tar, format) = ours(root, &DiskOptions::pinned(Time::at(PINNED)));
        same(&tar, &gnu_tar_of_names(root, &pinned, &names), what);
        reads_back(&tar, format, what);
        let read = read_dir(root, &DiskOptions::pinned(Time::at(PINNED))).unwrap();
        let respelled: Vec<_> = read
            .notes
            .iter()
            .filter(|note| !note.to_string().contains("a socket"))
            .collect();
        assert!(respelled.is_empty(), "{what}: {respelled:?}");
    });
}

/// Sizes that no test writes to disk: only the headers.
#[test]
fn sizes_beyond_octal() {
    let space = tmpfs();
    let none = BTreeMap::new();
    for size in [(1u64 << 33) - 1, 1 << 33, (1 << 33) + 1, 1 << 40] {
        let path = space.path().join("f");
        std::fs::File::create(&path).unwrap().set_len(size).unwrap();
        std::os::unix::fs::chown(&path, Some(3_000_000), Some(0)).unwrap();
        support::set_time(rustix::fs::CWD, path.to_str().unwrap().as_bytes(), 7, 0);
        let header = EntryHeader {
            name: b"f",
            entry_type: EntryType::Regular,
            link_name: b"",
            mode: 0o644,
            uid: 3_000_000,
            gid: 0,
            mtime: Time::at(7),
            size,
            device: (0, 0),
            xattrs: &none,
        };
        for (format, name) in [
            (Format::Gnu, "gnu"),
            (Format::Pax, "posix --pax-option=delete=atime,delete=ctime"),
        ] {
            let mut ours = Vec::new();
            encode(&header, format, &mut ours);
            let script = format!(
                "tar -C {} --format={name} --numeric-owner --mode=0644 -cf - f | head -c {}",
                space.path().display(),
                ours.len()
            );
            let gnu = support::output(std::process::Command::new("sh").args(["-c", &script]), b"");
            same(&ours, &gnu, &format!("{size} bytes, {name}"));
        }
    }
}
