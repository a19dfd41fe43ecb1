//! What each dialect says of a stack of layers is what the runtime does with it: umoci, and containerd with the
//! overlayfs and the native snapshotter. The cases are in `dialects/cases.txt`; then come random ones, small
//! and hostile. A failing random case is shrunk and printed as it would stand in the file.
//!
//! Runs as root, on a tmpfs, with Debian's umoci and containerd. `HANDROLL_SEED` repeats a run,
//! `HANDROLL_PAIRS` says how many random stacks there are, `HANDROLL_UPDATE=1` writes what is shown into the file.

mod rig;
mod support;
#[path = "../src/layer/dialect/cases.rs"]
mod cases;
#[path = "dialects/generate.rs"]
mod generate;
#[path = "dialects/runtimes.rs"]
mod runtimes;

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use cases::Case;
use handroll::content::Content;
use handroll::layer::dialect::{Dialect, Failure, Fs, Kind, Remains, apply};
use handroll::native::{LayerBlob, OverlayMount, OverlayOptions, Place, PlaceError, Powers, unshare_mounts};
use handroll::text::escape;
use runtimes::{Found, JUDGED, Runtimes, look};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialects/cases.txt");

/// In what a dialect and its runtime differ; nothing if they agree.
fn difference(dialect: Dialect, case: &Case, found: &Found) -> Option<String> {
    let layers = case.tars().into_iter().map(Content::inline).collect();
    let said = apply(dialect, layers).result;
    match (said, found) {
        (Ok(fs), Found::Shown(lines)) => {
            let said = cases::describe(&fs, true);
            let mut text = String::new();
            let paths: std::collections::BTreeSet<_> = said.keys().chain(lines.keys()).collect();
            for path in paths {
                let (ours, theirs) = (said.get(path), lines.get(path));
                if ours != theirs {
                    text += &format!("  {path}: we say {ours:?}, it shows {theirs:?}\n");
                }
            }
            (!text.is_empty()).then_some(text)
        }
        (Ok(_), Found::Failed { text, .. }) => Some(format!("  we say nothing is wrong, it says: {text}\n")),
        (Err(failure), Found::Shown(_)) => Some(format!("  we say: {failure}; it shows something\n")),
        (Err(failure), Found::Failed { text, remains }) => {
            let is_same = text.contains(&failure.why.to_string())
                && *remains == (failure.remains != Remains::LessThanNothing);
            (!is_same).then(|| {
                format!(
                    "  we say: {failure}, {:?}; it says: {text}, {remains}\n",
                    failure.remains
                )
            })
        }
    }
}

/// What is wrong with our reading of these cases, by case and dialect. A runtime can fail for reasons of its own
/// on a machine that is busy: what differs is asked about once more.
fn differences(runtimes: &Runtimes, cases: &[Case]) -> Vec<(usize, Dialect, String)> {
    let wrong = differences_once(runtimes, cases);
    let mut again = Vec::new();
    for (number, dialect, text) in wrong {
        let case = &cases[number];
        let confirmed = differences_once(runtimes, std::slice::from_ref(case))
            .into_iter()
            .find(|(_, whose, _)| *whose == dialect);
        match confirmed {
            Some((_, _, text)) => again.push((number, dialect, text)),
            None => println!("{} ({dialect}) only once:\n{text}", case.name),
        }
    }
    again
}

fn differences_once(runtimes: &Runtimes, cases: &[Case]) -> Vec<(usize, Dialect, String)> {
    let mut wrong = Vec::new();
    for (number, found) in runtimes.read(cases).into_iter().enumerate() {
        for (dialect, found) in JUDGED.into_iter().zip(&found) {
            if let Some(text) = difference(dialect, &cases[number], found) {
                wrong.push((number, dialect, text));
            }
        }
    }
    wrong
}

#[test]
fn runtimes_do_what_the_file_says() {
    let mut cases = cases::parse(&std::fs::read_to_string(FILE).unwrap());
    if std::env::var_os("HANDROLL_UPDATE").is_some() {
        update(&mut cases);
    }
    let runtimes = Runtimes::start();
    let mut unexpected = String::new();
    let mut explained: BTreeMap<(&str, &str), bool> = cases
        .iter()
        .flat_map(|case| {
            case.differs
                .iter()
                .map(|(who, _)| ((&case.name[..], &who[..]), false))
        })
        .collect();
    for (number, dialect, text) in differences(&runtimes, &cases) {
        let case = &cases[number];
        match explained.get_mut(&(&case.name[..], dialect.id())) {
            Some(seen) => *seen = true,
            None => unexpected += &format!("{} ({dialect}):\n{text}", case.name),
        }
    }
    let stale: Vec<_> = explained.iter().filter(|(_, seen)| !**seen).collect();
    println!(
        "{} cases, {} readings compared, {} explained differences",
        cases.len(),
        cases.len() * JUDGED.len(),
        explained.len()
    );
    assert!(unexpected.is_empty(), "\n{unexpected}");
    assert!(stale.is_empty(), "these agree after all: {stale:?}");
}

/// Writes what dialects show into the file, one line for those that show the same.
fn update(cases: &mut [Case]) {
    let text = std::fs::read_to_string(FILE).unwrap();
    for case in cases.iter_mut() {
        let mut shows: Vec<(Vec<String>, String)> = Vec::new();
        for dialect in Dialect::ALL {
            let answer = cases::answer(dialect, case);
            match shows.iter_mut().find(|(_, what)| *what == answer) {
                Some((who, _)) => who.push(dialect.id().to_owned()),
                None => shows.push((vec![dialect.id().to_owned()], answer)),
            }
        }
        case.shows = shows;
    }
    let mut out = String::new();
    let mut case = cases.iter();
    let mut is_skipping = false;
    for line in text.lines() {
        if line.starts_with("== ") {
            out += &case.next().expect("as parsed").text();
            out.push('\n');
            is_skipping = true;
        } else if line.starts_with('#') {
            if is_skipping {
                is_skipping = false;
            }
            out += line;
            out.push('\n');
        } else if !is_skipping {
            out += line;
            out.push('\n');
        } else if line.is_empty() {
            continue;
        }
    }
    std::fs::write(FILE, out.trim_end().to_owned() + "\n").unwrap();
}

#[test]
fn runtimes_do_with_random_stacks_what_dialects_say() {
    let seed = support::random::seed();
    let count = std::env::var("HANDROLL_PAIRS").map_or(200, |text| text.parse().expect("a number"));
    let runtimes = Runtimes::start();
    let (mut done, mut failed, mut parted) = (0, 0, 0);
    while done < count {
        let batch: Vec<Case> = (done..count.min(done + 200))
            .map(|number| generate::case(seed.wrapping_add(number)))
            .collect();
        for case in &batch {
            let answers: Vec<_> = Dialect::ALL
                .iter()
                .map(|dialect| cases::answer(*dialect, case))
                .collect();
            failed += usize::from(answers.iter().any(|answer| answer.starts_with("fails")));
            parted += usize::from(answers.iter().any(|answer| *answer != answers[0]));
        }
        if let Some((number, dialect, text)) = differences(&runtimes, &batch).into_iter().next() {
            let small = generate::shrink(batch[number].clone(), |case| {
                let wrong = differences(&runtimes, std::slice::from_ref(case));
                wrong.into_iter().any(|(_, whose, _)| whose == dialect)
            });
            let again = differences(&runtimes, std::slice::from_ref(&small));
            panic!(
                "HANDROLL_SEED={seed}, stack {}, {dialect}:\n{text}shrunk to\n{}{again:?}",
                done + number as u64,
                small.text()
            );
        }
        done += batch.len() as u64;
    }
    println!(
        "{done} random stacks, on {parted} of which dialects differ, {failed} of which somebody refuses"
    );
}

/// `handroll mount` takes the steps of the dialect, on a real directory and under the real overlayfs.
#[test]
fn layers_unpacked_here_show_what_the_dialect_says() {
    unshare_mounts().unwrap();
    let seed = support::random::seed();
    let count = std::env::var("HANDROLL_PAIRS").map_or(500, |text| text.parse().expect("a number"));
    let mut cases = cases::parse(&std::fs::read_to_string(FILE).unwrap());
    cases.extend((0..count).map(|number| generate::case(seed.wrapping_add(number))));
    let space = support::tmpfs();
    let started = SystemTime::now() - Duration::from_secs(1);
    let mut unexpected = String::new();
    let mut failed = 0;
    for (number, case) in cases.iter().enumerate() {
        let found = mounted_here(case, &space.path().join(number.to_string()), started);
        failed += usize::from(matches!(found, Found::Failed { .. }));
        // Where containerd itself is known to do otherwise than the dialect, it is the system, and so here.
        let is_explained = case.differs.iter().any(|(who, _)| who == "overlayfs");
        let text = difference(Dialect::ContainerdOverlayfs, case, &found);
        if text.is_some() != is_explained {
            let text = text.unwrap_or_else(|| "  no difference after all".to_owned());
            unexpected += &format!("HANDROLL_SEED={seed}, {}:\n{text}", case.text());
        }
    }
    println!("{} stacks, {failed} of which are refused", cases.len());
    assert!(unexpected.is_empty(), "\n{unexpected}");
}

/// What shows of a case that is unpacked and mounted in a directory, which is removed again.
fn mounted_here(case: &Case, directory: &std::path::Path, started: SystemTime) -> Found {
    let [upper, work] = ["upper", "work"].map(|name| directory.join(name));
    std::fs::create_dir_all(&upper).unwrap();
    std::fs::create_dir(&work).unwrap();
    let powers = Powers {
        userxattr: false,
        is_confined: false,
    };
    let place = Place::open(directory, "place", powers).unwrap();
    let blob = |tar: Vec<u8>| LayerBlob {
        diff_id: None,
        blob: Content::inline(tar),
    };
    let blobs: Vec<LayerBlob> = case.tars().into_iter().map(blob).collect();
    let found = match place.stack(&blobs, &mut |_| {}) {
        Err(PlaceError::Entry { why, .. }) => Found::Failed {
            text: why.to_string(),
            remains: true,
        },
        Err(error) => panic!("{}: {error}", case.name),
        Ok(stack) => {
            let lowers = stack.iter().rev().map(|layer| &layer.directory);
            let overlay = OverlayMount::new(OverlayOptions::default()).upper(&upper, &work);
            let overlay = lowers.fold(overlay, |overlay, lower| overlay.lower(lower));
            let mounted = overlay.detached().unwrap();
            look(
                &PathBuf::from(format!("/proc/self/fd/{}/.", mounted.as_fd().as_raw_fd())),
                started,
            )
        }
    };
    std::fs::remove_dir_all(directory).unwrap();
    found
}
