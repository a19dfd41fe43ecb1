//! Tars of others, read by us and by those who are asked what is in them: GNU tar and Python's tarfile.
//!
//! `HANDROLL_SEED` repeats a run.

mod support;

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use handroll::content::Content;
use handroll::tar::{Entries, Entry, Oddity, SparseForm};
use support::output;
use support::random::Random;
use tempfile::TempDir;

fn read(tar: &[u8]) -> Vec<Entry> {
    let entries: Result<_, _> = Entries::new(Content::inline(tar)).collect();
    entries.unwrap_or_else(|error| panic!("{error}"))
}

/// A file with holes of all kinds: at its beginning, at its end, none, nothing but one.
fn sparse_file(path: &Path, random: &mut Random) -> Vec<u8> {
    const BLOCK: usize = 4096;
    let blocks = random.below(200);
    let mut bytes = vec![0; blocks * BLOCK + random.pick(&[0, 1, 4095])];
    let file = File::create(path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    let rare = 1 + random.below(8);
    for block in 0..blocks {
        if random.once_in(rare) {
            let at = block * BLOCK;
            bytes[at..at + BLOCK].fill_with(|| random.next() as u8);
            file.write_all_at(&bytes[at..at + BLOCK], at as u64).unwrap();
        }
    }
    bytes
}

#[test]
fn sparse_files_of_gnu_tar_are_expanded() {
    let mut random = Random::of_run();
    let space = TempDir::new_in("/dev/shm").unwrap();
    let mut seen = Vec::new();
    for _ in 0..30 {
        let bytes = sparse_file(&space.path().join("a"), &mut random);
        let mut after = File::create(space.path().join("b")).unwrap();
        after.write_all(b"behind it").unwrap();
        for (arguments, form) in [
            (&["--format=gnu"][..], SparseForm::OldGnu),
            (&["--format=posix", "--sparse-version=0.0"], SparseForm::Pax00),
            (&["--format=posix", "--sparse-version=0.1"], SparseForm::Pax01),
            (&["--format=posix", "--sparse-version=1.0"], SparseForm::Pax10),
        ] {
            let mut tar = Command::new("tar");
            tar.arg("-C")
                .arg(space.path())
                .arg("-Scf-")
                .args(arguments)
                .args(["a", "b"]);
            let entries = read(&output(&mut tar, b""));
            assert_eq!([&entries[0].name[..], &entries[1].name], [b"a", b"b"], "{form:?}");
            let content = &entries[0].content;
            assert!(
                content.read_all(1 << 30).unwrap() == bytes,
                "{form:?} of {} bytes",
                bytes.len()
            );
            assert_eq!(entries[0].size, bytes.len() as u64);
            for _ in 0..20 {
                let from = random.below(bytes.len() + 1);
                let length = random.below(bytes.len() - from + 1);
                let mut part = vec![1; length];
                content.read_at(from as u64, &mut part).unwrap();
                assert!(part == bytes[from..from + length], "{form:?}: {length} at {from}");
                let slice = content.slice(from as u64, length as u64);
                assert!(slice.read_all(1 << 30).unwrap() == part);
            }
            assert_eq!(entries[1].content.read_all(99).unwrap(), b"behind it", "{form:?}");
            for oddity in &entries[0].oddities {
                let &Oddity::Sparse { form: found, .. } = oddity else {
                    panic!("{form:?}: {oddity:?}");
                };
                assert_eq!(found, form);
                let lies = entries[0].data..entries[0].data + entries[0].stored;
                assert!(lies.start > entries[0].header && lies.end <= entries[0].end);
                seen.push(form);
            }
        }
    }
    assert!(seen.len() > 40, "nearly all of them have holes: {}", seen.len());
}
