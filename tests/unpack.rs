//! `handroll unpack`: what it makes of images beside umoci, containerd and what its dialect says; layers that want to
//! get out of it, looked at from outside; and how it ends.
//!
//! Runs as root, on a tmpfs, with Debian's umoci and containerd. `HANDROLL_SEED` repeats a run, `HANDROLL_PAIRS` says
//! how many random stacks there are.

mod rig;
mod support;
#[path = "../src/layer/dialect/cases.rs"]
mod cases;
#[path = "unpack/end.rs"]
mod end;
#[allow(dead_code, reason = "nothing is shrunk here")]
#[path = "dialects/generate.rs"]
mod generate;
#[path = "unpack/hostile.rs"]
mod hostile;
#[path = "dialects/runtimes.rs"]
mod runtimes;
#[path = "unpack/same.rs"]
mod same;
#[path = "unpack/user.rs"]
mod user;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

// For `cases`, which is written for its place in the crate.
use handroll::content::Content;
use handroll::layer::dialect::{Dialect, Failure, Fs, Kind, Remains, apply};
use handroll::text::escape;
use tempfile::TempDir;

use cases::Case;
use runtimes::{Found, look};

/// Room for an image, and a directory in which one is unpacked.
struct Room {
    space: TempDir,
    image: PathBuf,
    /// Not there yet.
    target: PathBuf,
}

impl Room {
    /// With an image of these layers, bottom first, each of lines as `dialects/cases.txt` has them.
    fn new(layers: &[&str]) -> Self {
        let space = support::tmpfs();
        let image = space.path().join("layout");
        let inner = space.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let room = Self {
            target: inner.join("target"),
            space,
            image,
        };
        room.write(layers);
        room
    }

    /// Writes another image.
    fn write(&self, layers: &[&str]) {
        let lines = |layer: &&str| {
            let lines = layer.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.map(str::to_owned).collect()
        };
        let case = Case {
            layers: layers.iter().map(lines).collect(),
            ..Case::default()
        };
        let _ = fs::remove_dir_all(&self.image);
        runtimes::write_layout(&self.image, &[case.tars()]);
    }

    fn unpack(&self) -> Command {
        let mut run = rig::handroll();
        run.arg("unpack").arg(&self.image).arg(&self.target);
        run
    }

    /// What lies where the image is unpacked.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.target.parent().unwrap()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// A moment before now: what is younger was made by the test.
fn now() -> SystemTime {
    SystemTime::now() - Duration::from_secs(1)
}

/// What shows under a directory, a line for each path.
fn shown(root: &Path, started: SystemTime) -> BTreeMap<String, String> {
    match look(root, started) {
        Found::Shown(lines) => lines,
        Found::Failed { text, .. } => panic!("{text}"),
    }
}

/// The paths in which two differ, with both lines.
fn differences(ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) -> Vec<String> {
    let paths: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differ = paths
        .into_iter()
        .filter(|path| ours.get(*path) != theirs.get(*path));
    differ
        .map(|path| format!("{path}: {:?} and {:?}", ours.get(path), theirs.get(path)))
        .collect()
}
