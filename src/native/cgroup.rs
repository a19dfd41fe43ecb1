//! The cgroups of a container (cgroups(7)), where runc makes them: at its `cgroupsPath`, else with its id for a name
//! beside this process's own, in every hierarchy that is mounted.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::mountinfo::{self, MountLine};

/// How long the last process of a container has to be gone.
const PATIENCE: Duration = Duration::from_millis(500);

/// Removes those that are left of a container with this configuration. One with a process in it, or with another
/// cgroup, stays.
pub(super) fn remove(config: &Path, id: &OsStr) {
    let start = Instant::now();
    for directory in directories(config, id) {
        let is_busy =
            || fs::remove_dir(&directory).is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy);
        while is_busy() && start.elapsed() < PATIENCE {
            sleep(Duration::from_millis(10));
        }
    }
}

fn directories(config: &Path, id: &OsStr) -> Vec<PathBuf> {
    let (Ok(mounts), Ok(own)) = (mountinfo::read(), fs::read_to_string("/proc/self/cgroup")) else {
        return Vec::new();
    };
    let config: serde_json::Value = match fs::read(config) {
        Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
        Err(_) => return Vec::new(),
    };
    let given = config["linux"]["cgroupsPath"].as_str().map(Path::new);
    let directory = |line: &str| {
        let (controllers, own) = line.split_once(':')?.1.split_once(':')?;
        let mount = mounts.iter().rfind(|mount| mount.has_cgroups(controllers))?;
        let path = path(given, controllers, Path::new(own), id)?;
        directory_at(mount, &path)
    };
    own.lines().filter_map(directory).collect()
}

/// The path of a container's cgroup in the hierarchy of these controllers, of which version 2 names none: there no
/// cgroup that has processes has others in it, so that runc goes beside its own.
fn path(given: Option<&Path>, controllers: &str, own: &Path, id: &OsStr) -> Option<PathBuf> {
    match given {
        Some(path) => (path.is_absolute() && path.file_name() == Some(id)).then(|| path.to_owned()),
        None if controllers.is_empty() => Some(own.parent().unwrap_or(own).join(id)),
        None => Some(own.join(id)),
    }
}

/// Where this path of a hierarchy is seen.
fn directory_at(mount: &MountLine, path: &Path) -> Option<PathBuf> {
    let inside = path.strip_prefix(&mount.root).ok()?;
    let is_plain = |part| matches!(part, Component::Normal(_));
    (inside.components().next().is_some() && inside.components().all(is_plain))
        .then(|| mount.target.join(inside))
}
