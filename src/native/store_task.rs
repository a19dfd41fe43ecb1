//! Containers of a store at work. Each has a bundle, where containerd has it, that lives as long as its task:
//!
//! ```text
//! ROOT/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json, rootfs, pid    the bundle
//!                                                 runtime/                    the runtime's own state
//!                                                 lock      held by whoever waits for the container, till its end is
//!                                                           noted
//!                                                 running   held till the runtime has come to its end
//! ```
//!
//! The root file system is mounted where only the container and whoever waits for it see it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::mount::mount_bind;

use super::container::{Bundle, Ended, Runtime, find_runtime};
use super::namespace::unshare_mounts;
use super::overlay_mount::{MountApi, Mounted, OverlayMount, OverlayOptions};
use super::place::remove_directory;
use super::signal::Held;
use super::store_place::StorePlace;
use crate::store::{Container, Namespace, Store, Task};

const LOCK: &str = "lock";
const RUNNING: &str = "running";
/// The exit code of a container whose end nobody saw: it was killed with whoever waited for it.
const LOST: u32 = 137;
/// How long a runtime has to come to its end once its container is killed; one that is stopped does not.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container that is about to be started.
pub struct StoreTask {
    id: String,
    bundle: Bundle,
    runtime: Runtime,
    rootfs: Rootfs,
    lock: TaskLock,
    _running: File,
}

/// That a container's end is still to be noted: as long as the value lives, no other process takes it for one whose
/// end nobody saw.
pub struct TaskLock {
    file: File,
    path: PathBuf,
}

impl TaskLock {
    /// Whether the container's task still is the one that this is of: another process may have deleted it by force,
    /// and the next may run by now.
    pub fn is_current(&self) -> bool {
        let inode =
            |metadata: io::Result<fs::Metadata>| metadata.ok().map(|found| (found.dev(), found.ino()));
        inode(fs::metadata(&self.path)) == inode(self.file.metadata())
    }
}

/// What has to be mounted.
enum Rootfs {
    /// A directory as it is.
    Bind(PathBuf),
    /// Directories on each other, the topmost first, with one to write to and its work directory.
    Overlay(Vec<PathBuf>, PathBuf, PathBuf),
}

impl StorePlace {
    fn runtime(&self, namespace: &str, id: &str) -> Result<Runtime, String> {
        let program = find_runtime(None)?;
        let bundle = self.task(namespace, id);
        Ok(Runtime::new(program, bundle.join("runtime"), bundle))
    }

    /// Makes ready what a container is started from: its bundle, with `parents` for the numbers of the directories
    /// that its snapshot stands on, the topmost first. The store can be left to others then.
    pub fn make_task(
        &self,
        namespace: &str,
        id: &str,
        container: &Container,
        number: u64,
        parents: &[u64],
    ) -> Result<StoreTask, String> {
        let directory = self.task(namespace, id);
        let said = |error: io::Error| format!("{}: {error}", directory.display());
        let (file, running) = (|| {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory.join("rootfs"))?;
            let locks = (locked(&directory.join(LOCK))?, locked(&directory.join(RUNNING))?);
            let spec = container.spec.read_all(u64::MAX).map_err(io::Error::other)?;
            fs::write(directory.join("config.json"), spec)?;
            Ok(locks)
        })()
        .map_err(said)?;
        let rootfs = match parents {
            [] => Rootfs::Bind(self.fs(number)),
            parents => {
                let lowers = parents.iter().map(|&parent| self.fs(parent)).collect();
                Rootfs::Overlay(lowers, self.fs(number), self.work(number))
            }
        };
        Ok(StoreTask {
            id: id.to_owned(),
            bundle: Bundle::at(&directory),
            runtime: self.runtime(namespace, id)?,
            rootfs,
            lock: TaskLock {
                file,
                path: directory.join(LOCK),
            },
            _running: running,
        })
    }

    /// Sends a signal to a container, if it has not ended: that may not have been noted yet.
    pub fn signal_task(&self, namespace: &str, id: &str, signal: u8) -> Result<(), String> {
        match is_locked(&self.task(namespace, id).join(RUNNING)) {
            true => self.runtime(namespace, id)?.kill(id, signal),
            false => Ok(()),
        }
    }

    /// Removes what belonged to a task that has ended, once its runtime needs it no more.
    pub fn remove_task(&self, namespace: &str, id: &str) {
        let directory = self.task(namespace, id);
        let start = Instant::now();
        while is_locked(&directory.join(RUNNING)) && start.elapsed() < PATIENCE {
            sleep(Duration::from_millis(5));
        }
        // What cannot be removed now is in nobody's way: the next task of this name uses it.
        let _ = remove_directory(&directory);
    }

    /// What has become of the tasks that run: their process ids, and those whose end nobody saw are ended.
    pub(super) fn look_after_tasks(&self, store: &mut Store) {
        let namespaces: Vec<(String, Arc<Namespace>)> = store
            .namespaces
            .iter()
            .map(|(name, namespace)| (name.to_owned(), namespace.clone()))
            .collect();
        for (name, mut namespace) in namespaces {
            let running = namespace.containers.iter().filter_map(|(id, container)| {
                let task = container.task.filter(|task| task.exit.is_none())?;
                Some((id.to_owned(), task))
            });
            let seen: Vec<_> = running
                .map(|(id, task)| {
                    let now = self.look_after(&name, &id, task);
                    (id, task, now)
                })
                .filter(|(_, before, now)| before != now)
                .collect();
            if seen.is_empty() {
                continue;
            }
            for (id, _, now) in seen {
                if let Some(container) = Arc::make_mut(&mut namespace).containers.get_mut(&id) {
                    container.task = Some(now);
                }
            }
            store.namespaces.put(&name, Namespace::clone(&namespace));
        }
    }

    fn look_after(&self, namespace: &str, id: &str, task: Task) -> Task {
        let directory = self.task(namespace, id);
        if !is_locked(&directory.join(LOCK)) {
            if let Ok(runtime) = self.runtime(namespace, id) {
                runtime.end_all();
            }
            return Task {
                exit: Some(LOST),
                ..task
            };
        }
        let pid = fs::read_to_string(directory.join("pid")).ok();
        let pid = pid.and_then(|pid| pid.trim().parse().ok());
        Task {
            pid: pid.unwrap_or(task.pid),
            ..task
        }
    }
}

/// An error of the runtime in containerd's words, which lets it create the container first and then start it.
fn as_created(noted: &str) -> String {
    let noted = noted.trim_end();
    match noted.strip_prefix("runc run failed: ") {
        Some(why) => format!("runc create failed: {why}: unknown"),
        None => format!("{noted}: unknown"),
    }
}

/// Makes a file, and locks it.
fn locked(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

fn is_locked(path: &Path) -> bool {
    let lock = FlockOperation::NonBlockingLockExclusive;
    File::open(path).is_ok_and(|file| flock(&file, lock) == Err(rustix::io::Errno::WOULDBLOCK))
}

impl StoreTask {
    /// Runs the container and waits for its end; its exit code, and what to hold until that is noted.
    pub fn run(self) -> (Result<u32, String>, TaskLock) {
        (self.run_to_end(), self.lock)
    }

    fn run_to_end(&self) -> Result<u32, String> {
        unshare_mounts().map_err(|errno| format!("mounts of its own: {}", io::Error::from(errno)))?;
        let target = self.bundle.rootfs();
        let mounted = self.rootfs.mount(&target)?;
        let ended = Held::new().and_then(|held| self.runtime.run_noting(&self.id, &held));
        drop(mounted);
        match ended {
            Ok((Ended::Container(code), _)) => Ok(u32::from(code)),
            Ok((Ended::NotStarted, noted)) => {
                let why = noted.map_or_else(
                    || "the runtime has said why".to_owned(),
                    |noted| as_created(&noted),
                );
                Err(format!(
                    "failed to create shim task: OCI runtime create failed: {why}"
                ))
            }
            Ok((Ended::Killed(signal), _)) => Err(format!("the runtime was ended by signal {signal}")),
            Err(error) => Err(format!("failed to create shim task: {error}")),
        }
    }
}

impl Rootfs {
    /// Mounts it as containerd does; the kernel then shows the layers as one list of paths. None if it is a bind
    /// mount, which goes with this process's mounts.
    fn mount(&self, target: &PathBuf) -> Result<Option<Mounted>, String> {
        let (lowers, upper, work) = match self {
            Self::Bind(source) => {
                let bound = mount_bind(source, target);
                let bound =
                    bound.map_err(|errno| format!("{}: {}", target.display(), io::Error::from(errno)));
                return bound.map(|()| None);
            }
            Self::Overlay(lowers, upper, work) => (lowers, upper, work),
        };
        let mount = |api| {
            let options = OverlayOptions {
                api,
                ..OverlayOptions::default()
            };
            let overlay = OverlayMount::new(options).upper(upper, work);
            let overlay = lowers.iter().fold(overlay, |overlay, lower| overlay.lower(lower));
            overlay.mount(target)
        };
        // Only so many fit into the one string that mount(2) takes.
        let mounted = mount(MountApi::OptionString).or_else(|_| mount(MountApi::Best));
        mounted.map(Some).map_err(|error| error.to_string())
    }
}
