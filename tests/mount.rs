//! Mounting for real: the kernel's overlayfs from the library, and images by `handroll mount`, as root and as
//! somebody else, beside what containerd and umoci make of them.
//!
//! Runs as root, on a tmpfs. Each test has mounts of its own, which are gone with its thread.

mod rig;
mod support;
#[path = "../src/layer/dialect/cases.rs"]
mod cases;
#[path = "mount/end.rs"]
mod end;
#[path = "mount/image.rs"]
mod image;
#[path = "mount/overlay.rs"]
mod overlay;
#[path = "mount/prune.rs"]
mod prune;
#[path = "dialects/runtimes.rs"]
mod runtimes;
#[path = "mount/stage.rs"]
mod stage;
#[path = "mount/trouble.rs"]
mod trouble;
#[path = "mount/user.rs"]
mod user;

use std::fs;
use std::path::{Path, PathBuf};

// For `cases`, which is written for its place in the crate.
use handroll::content::Content;
use handroll::layer::dialect::{Dialect, Failure, Fs, Kind, Remains, apply};
use handroll::native::unshare_mounts;
use handroll::text::escape;
use support::tmpfs;
use tempfile::TempDir;

use cases::Case;

/// A tmpfs directory, in mounts of this thread's own.
fn space() -> TempDir {
    unshare_mounts().expect("root may");
    tmpfs()
}

fn directory(path: PathBuf) -> PathBuf {
    fs::create_dir_all(&path).unwrap();
    path
}

/// The line of the mount that is seen at `target`, from the number of its device on.
fn mount_line(target: &Path) -> Option<String> {
    let all = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    let is_here = |line: &&str| line.split(' ').nth(4) == target.to_str();
    let line = all.lines().rfind(is_here)?;
    Some(line.splitn(6, ' ').nth(5).unwrap().to_owned())
}

/// An OCI layout with one image of these layers, bottom first, each of lines as `dialects/cases.txt` has them.
fn layout(at: &Path, layers: &[&str]) -> PathBuf {
    let lines = |layer: &&str| {
        layer
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    };
    let case = Case {
        layers: layers.iter().map(lines).collect(),
        ..Case::default()
    };
    runtimes::write_layout(at, &[case.tars()]);
    at.to_owned()
}
