//! Tars of others, read by us and by those who are asked what is in them: GNU tar, Python's tarfile, and umoci,
//! which reads as Go does. Where they differ from us, an oddity says so, or an error.
//!
//! Runs as root, on a tmpfs. `HANDROLL_SEED` repeats a run, `HANDROLL_TARS` says how many random tars.

#[path = "foreign/chance.rs"]
mod chance;
#[path = "foreign/maker.rs"]
mod maker;
#[path = "foreign/readers.rs"]
mod readers;
mod support;
#[path = "foreign/table.rs"]
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use handroll::content::Content;
use handroll::tar::{Entries, Entry, Oddity, ReadType, SparseForm};
use readers::{Facts, Ours, facts, ours};
use support::random::Random;
use support::{output, tmpfs};
use table::View;

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
    let space = tmpfs();
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

/// What an oddity is called.
fn kind(oddity: &Oddity) -> String {
    let text = format!("{oddity:?}");
    text.split([' ', '{']).next().unwrap().to_owned()
}

/// How a list of entries compares with ours.
fn compare(ours: &[Facts], theirs: &readers::View) -> View {
    let known = |ours: &Facts, theirs: &Facts| Facts {
        digest: theirs.digest.as_ref().and(ours.digest.clone()),
        xattrs: theirs.xattrs.as_ref().and(ours.xattrs.clone()),
        ..ours.clone()
    };
    let pairs = ours.iter().zip(&theirs.entries);
    if theirs.error.is_some() {
        View::Refuses
    } else if ours.len() == theirs.entries.len() && pairs.clone().all(|(a, b)| known(a, b) == *b) {
        View::Same
    } else {
        View::Differs
    }
}

/// How the files that umoci made compare with our entries, as they would be on a disk.
fn compare_files(ours: &[Facts], files: &Result<BTreeMap<Vec<u8>, Facts>, String>) -> View {
    let Ok(files) = files else {
        return View::Refuses;
    };
    let mut expected: BTreeMap<Vec<u8>, Facts> = BTreeMap::new();
    for entry in ours {
        let mut file = match entry.kind.as_str() {
            "HardLink" => expected[&entry.link].clone(),
            _ => entry.clone(),
        };
        file.name = entry.name.clone();
        expected.insert(entry.name.clone(), file);
    }
    let is_parent = |name: &[u8]| {
        expected
            .keys()
            .any(|path| path.starts_with(&[name, b"/"].concat()))
    };
    let same = files.iter().all(|(name, file)| match expected.get(name) {
        None => is_parent(name),
        Some(expected) => {
            let mut file = file.clone();
            if file.kind == "Symlink" {
                file.mode = expected.mode;
            }
            file == *expected
        }
    });
    match same && expected.keys().all(|name| files.contains_key(name)) {
        true => View::Same,
        false => View::Differs,
    }
}

/// Python stops in silence where it refuses a header that is not the first one.
fn python_refuses(ours: &[Facts], python: &readers::View) -> bool {
    python.error.is_some() || ours.starts_with(&python.entries) && python.entries.len() < ours.len()
}

#[test]
fn what_readers_take_differently_is_told() {
    let space = tmpfs();
    let cases = table::cases();
    let paths: Vec<PathBuf> = (0..cases.len())
        .map(|index| space.path().join(format!("{index}.tar")))
        .collect();
    for (case, path) in cases.iter().zip(&paths) {
        fs::write(path, &case.tar).unwrap();
    }
    let python = readers::python(&paths);
    let mut wrong = Vec::new();
    for ((case, path), python) in cases.iter().zip(&paths).zip(&python) {
        let Ours {
            entries,
            error,
            ending,
        } = ours(&case.tar);
        assert_eq!(error, None, "{}", case.what);
        assert!(ending.unwrap().marker > 0);
        let facts: Vec<Facts> = entries.iter().map(facts).collect();
        let last = &facts.last().unwrap().name;
        assert!(last == b"next" || last == b"global", "{}: {last:?}", case.what);
        let mut kinds: Vec<String> = entries
            .iter()
            .flat_map(|entry| &entry.oddities)
            .map(kind)
            .collect();
        let mut seen = BTreeSet::new();
        kinds.retain(|kind| seen.insert(kind.clone()));
        let (mut found, mut expected) = (kinds.clone(), case.oddities.to_vec());
        found.sort();
        expected.sort();
        let gnu = readers::gnu(path);
        let umoci = readers::umoci(space.path(), path);
        let seen = [
            compare(&facts, &gnu),
            match compare(&facts, python) {
                View::Differs if python_refuses(&facts, python) => View::Refuses,
                view => view,
            },
            compare_files(&facts, &umoci),
        ];
        if found != expected || seen != [case.gnu, case.python, case.umoci] {
            wrong.push(format!(
                "{}: {found:?}, {seen:?}\n  {facts:?}\n  {gnu:?}\n  {python:?}\n  {umoci:?}",
                case.what
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// By reader, the kinds of oddities that make it see something else, as the table has them.
fn explanations() -> [BTreeSet<&'static str>; 2] {
    let mut explained = [BTreeSet::new(), BTreeSet::new()];
    for case in table::cases() {
        for (reader, view) in [case.gnu, case.python].into_iter().enumerate() {
            if view != View::Same {
                explained[reader].insert(case.oddities[0]);
            }
        }
    }
    explained
}

/// Why a reader's view may be another one than ours: an oddity of the first entry that differs, or of one
/// before; or that we refuse the tar there. None if nothing says so.
fn explanation(ours: &Ours, theirs: &readers::View, explained: &BTreeSet<&str>) -> Option<String> {
    let facts: Vec<Facts> = ours.entries.iter().map(facts).collect();
    let agrees = |count: usize| {
        let theirs = readers::View {
            entries: theirs.entries.iter().take(count).cloned().collect(),
            error: None,
        };
        compare(&facts[..count], &theirs) == View::Same
    };
    let agreed = (0..facts.len()).take_while(|&count| agrees(count + 1)).count();
    if agreed == facts.len() && (agreed == theirs.entries.len() && theirs.error.is_none()) {
        return Some("the same".to_owned());
    }
    let until = match theirs.error {
        Some(_) => facts.len(),
        None => facts.len().min(agreed + 1),
    };
    let odd = ours.entries[..until].iter().flat_map(|entry| &entry.oddities);
    let mut reasons = odd.map(kind).filter(|kind| explained.contains(&kind[..]));
    if let Some(reason) = reasons.next() {
        return Some(reason);
    }
    match (&ours.error, ours.ending) {
        _ if agreed < facts.len() => None,
        (Some(error), _) => Some(format!("{error:?}").split([' ', '(']).next()?.to_owned()),
        (None, ending) => (ending?.start < ending?.offset).then(|| "global header at the end".to_owned()),
    }
}

#[test]
fn random_tars_are_read_alike_or_it_is_told_why() {
    let count =
        std::env::var("HANDROLL_TARS").map_or(1000, |text| text.parse().expect("HANDROLL_TARS is a number"));
    let seed = support::random::seed();
    let space = tmpfs();
    let explained = explanations();
    let (mut tars, mut paths) = (Vec::new(), Vec::new());
    for index in 0..count {
        let tar = chance::tar(&mut Random::new(seed.wrapping_add(index)));
        paths.push(space.path().join(format!("{index}.tar")));
        fs::write(paths.last().unwrap(), &tar).unwrap();
        tars.push(tar);
    }
    let python = readers::python(&paths);
    let mut reasons: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for (((tar, path), python), index) in tars.iter().zip(&paths).zip(&python).zip(0..) {
        let ours = ours(tar);
        let gnu = readers::gnu(path);
        for (reader, view, explained) in [
            ("GNU tar", &gnu, &explained[0]),
            ("Python", python, &explained[1]),
        ] {
            let reason = explanation(&ours, view, explained).unwrap_or_else(|| {
                let kept = std::env::temp_dir().join("handroll-foreign.tar");
                fs::copy(path, &kept).unwrap();
                let facts: Vec<Facts> = ours.entries.iter().map(facts).collect();
                let odd: Vec<_> = ours.entries.iter().map(|entry| &entry.oddities).collect();
                panic!(
                    "HANDROLL_SEED={}, kept as {}: {reader} reads otherwise, and nothing says why\nours: {facts:#?}\n{:?}\n{odd:?}\ntheirs: {view:#?}",
                    seed.wrapping_add(index),
                    kept.display(),
                    ours.error,
                )
            });
            let mut odd = ours.entries.iter().flat_map(|entry| &entry.oddities);
            let is_plain = !odd.any(|oddity| explained.contains(&kind(oddity)[..]));
            if reader == "GNU tar" && reason == "the same" && is_plain {
                let regular = ours
                    .entries
                    .iter()
                    .filter(|entry| entry.entry_type == ReadType::Regular);
                let contents = regular.map(|entry| entry.content.read_all(1 << 20).unwrap());
                let kept = std::env::temp_dir().join("handroll-foreign.tar");
                fs::copy(path, &kept).unwrap();
                let contents = contents.collect::<Vec<_>>().concat();
                assert!(
                    readers::gnu_contents(path) == contents,
                    "{}: contents",
                    kept.display()
                );
            }
            *reasons.entry((reader, reason)).or_default() += 1;
        }
    }
    println!("{reasons:#?}");
    for reader in ["GNU tar", "Python"] {
        let same = reasons[&(reader, "the same".to_owned())] as u64;
        assert!(
            same > count / 5,
            "{reader}: only {same} of {count} are read alike"
        );
    }
}
