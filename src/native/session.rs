//! What belongs to one mount: its upper directory, if nobody gave one, and a record of it, so that it can be
//! unmounted and freed later.
//!
//! ```text
//! PLACE/KIND/mounts/lock         held while this directory changes
//!                   N/lock       held while the mount is being made, and by the command that runs in it
//!                     upper      a directory, or a link to the one that was given
//!                     work       likewise
//!                     target     a link to where it is mounted; none for a command's own
//!                     runtime    a link to the program that runs a container in it; its state is in `state`,
//!                                its bundle in `bundle`
//! ```
//!
//! A record is a link, since a link holds any path.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::FdFlags;
use rustix::mount::{UnmountFlags, unmount};

use super::container::{Bundle, Runtime};
use super::mountinfo::{self, MountLine};
use super::place::{Place, PlaceError, at, lock_file, make_private, remove_directory, retry};
use super::watcher::Watcher;

const BUNDLE: &str = "bundle";
/// How long the container of a killed process has to come to its end; its runtime may be stopped.
const PATIENCE: Duration = Duration::from_secs(30);

/// A mount's own directory. It is removed with the value, unless it is kept.
pub struct Session {
    directory: PathBuf,
    lock: File,
    is_kept: bool,
    /// Dropped after the session is freed.
    watcher: Option<Watcher>,
}

/// A directory that a mount writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upper {
    /// The upper directory.
    pub upper: PathBuf,
    /// Its work directory.
    pub work: PathBuf,
}

impl Place {
    /// A new session with an upper directory of its own, or with the one that is given: then the work directory
    /// is made beside it. Sweeps what killed processes left.
    pub fn session(&self, upper: Option<&Path>) -> Result<(Session, Upper), PlaceError> {
        let mounts = self.root().join("mounts");
        make_private(&mounts)?;
        let changing = change(&mounts)?;
        sweep(&mounts)?;
        let mut number = 1_u64;
        let directory = loop {
            let directory = mounts.join(number.to_string());
            match fs::create_dir(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                made => break at(&directory, made).map(|()| directory)?,
            }
        };
        let own = lock_file(&directory.join("lock"))?;
        at(&directory, flock(&own, FlockOperation::NonBlockingLockExclusive))?;
        let session = Session {
            directory,
            lock: own,
            is_kept: false,
            watcher: None,
        };
        drop(changing);
        let upper = session.make_upper(upper)?;
        Ok((session, upper))
    }
}

impl Session {
    fn make_upper(&self, given: Option<&Path>) -> Result<Upper, PlaceError> {
        let [upper, work] = ["upper", "work"].map(|name| self.directory.join(name));
        let Some(given) = given else {
            make_private(&upper)?;
            make_private(&work)?;
            // As a container's root is.
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            at(&upper, fs::set_permissions(&upper, mode))?;
            return Ok(Upper { upper, work });
        };
        match fs::create_dir(given) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => at(given, made)?,
        }
        let given = at(given, fs::canonicalize(given))?;
        let users = at(&given, mountinfo::read())?;
        if let Some(user) = users.iter().find(|line| line.has_upper(&given)) {
            let text = format!(
                "it is the upper directory of what is mounted at {} already",
                user.target.display()
            );
            return at(&given, Err(io::Error::new(io::ErrorKind::ResourceBusy, text)));
        }
        let name = [
            ".".as_ref(),
            given.file_name().unwrap_or_default(),
            ".handroll-work".as_ref(),
        ];
        let beside = given.with_file_name(name.join(OsStr::new("")));
        make_private(&beside)?;
        at(&upper, symlink(&given, &upper))?;
        at(&work, symlink(&beside, &work))?;
        Ok(Upper {
            upper: given,
            work: beside,
        })
    }

    /// Writes down where it is to be mounted.
    pub fn record(&self, target: &Path) -> Result<(), PlaceError> {
        let link = self.directory.join("target");
        at(&link, symlink(target, &link))
    }

    /// Its own directory, for whatever goes with it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A runtime for a container that goes with it, with its bundle in `bundle`: whoever removes the session ends the
    /// container first.
    pub fn runtime(&self, program: &Path) -> Result<Runtime, PlaceError> {
        let program = at(program, fs::canonicalize(program))?;
        let link = self.directory.join("runtime");
        at(&link, symlink(&program, &link))?;
        Ok(runtime_of(program, &self.directory))
    }

    /// Leaves the lock open for the commands that this process starts: as long as one of them lives, nobody
    /// sweeps the session.
    pub fn share_lock(&self) -> Result<(), PlaceError> {
        at(
            &self.directory,
            rustix::io::fcntl_setfd(&self.lock, FdFlags::empty()),
        )
    }

    /// Has another process end the session, container and all, if this one is killed. It lives in the mounts that this
    /// process has now.
    pub fn watch(&mut self) -> Result<(), PlaceError> {
        // A lock of its own: it is free when this process and the runtime are gone.
        let lock = lock_file(&self.directory.join("lock"))?;
        let started = Watcher::start(self.lock.as_fd(), || end_abandoned(&self.directory, &lock));
        self.watcher = Some(at(&self.directory, started)?);
        Ok(())
    }

    /// Lets it be when the value goes.
    pub fn keep(mut self) {
        self.is_kept = true;
    }

    /// Removes it.
    pub fn free(mut self) -> Result<(), PlaceError> {
        self.is_kept = true;
        free(&self.directory)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.is_kept {
            // The next run sweeps what could not be removed.
            let _ = free(&self.directory);
        }
    }
}

fn runtime_of(program: PathBuf, session: &Path) -> Runtime {
    Runtime::new(program, session.join("state"), session.join(BUNDLE))
}

/// The path that a session has under a name: of a link, where it leads.
fn path_of(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    fs::read_link(&path).unwrap_or(path)
}

/// The right to add sessions and to remove them, which one process has at a time.
fn change(mounts: &Path) -> Result<File, PlaceError> {
    let lock = lock_file(&mounts.join("lock"))?;
    at(mounts, retry(|| flock(&lock, FlockOperation::LockExclusive)))?;
    Ok(lock)
}

/// Removes a session.
fn free(directory: &Path) -> Result<(), PlaceError> {
    let _changing = directory.parent().map(change).transpose()?;
    remove(directory)
}

/// Removes a session, and the work directory beside an upper one that was given. Nobody else may change sessions
/// meanwhile.
fn remove(directory: &Path) -> Result<(), PlaceError> {
    end_containers(directory);
    if let Ok(work) = fs::read_link(directory.join("work")) {
        remove_directory(&work)?;
    }
    remove_directory(directory)
}

/// Ends the session of a process that was killed: its container first, and then its runtime has ended too, as it does
/// of itself. What cannot be done is left to the next sweep.
fn end_abandoned(directory: &Path, lock: &File) {
    let Some(Ok(_changing)) = directory.parent().map(change) else {
        return;
    };
    let inode = |metadata: io::Result<fs::Metadata>| metadata.ok().map(|found| (found.dev(), found.ino()));
    if inode(fs::metadata(directory.join("lock"))) != inode(lock.metadata()) {
        // It is swept, and another one may be in its place.
        return;
    }
    let start = Instant::now();
    loop {
        end_containers(directory);
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(_) if start.elapsed() > PATIENCE => return,
            Err(_) => sleep(Duration::from_millis(10)),
        }
    }
    let rootfs = Bundle::at(&directory.join(BUNDLE)).rootfs();
    // It may not have been mounted yet.
    let _ = unmount(&rootfs, UnmountFlags::NOFOLLOW);
    let _ = remove(directory);
}

fn end_containers(directory: &Path) {
    if let Ok(program) = fs::read_link(directory.join("runtime")) {
        runtime_of(program, directory).end_all();
    }
}

/// Removes the sessions that nobody holds and that are mounted nowhere, if nothing is lost with them.
fn sweep(mounts: &Path) -> Result<(), PlaceError> {
    for directory in sessions(mounts)? {
        let lock = File::open(directory.join("lock"));
        let is_held = |lock: &File| flock(lock, FlockOperation::NonBlockingLockExclusive).is_err();
        if lock.as_ref().is_ok_and(is_held) {
            continue;
        }
        // Only now: before, it may have been about to be mounted.
        let lines = at(mounts, mountinfo::read())?;
        let upper = path_of(&directory, "upper");
        let is_mounted = lines.iter().any(|line| line.has_upper(&upper));
        let is_recorded = directory.join("target").is_symlink();
        // Another namespace may have a recorded one: it goes by itself only if nothing was written to it.
        let is_empty = || fs::read_dir(&upper).map_or(true, |mut entries| entries.next().is_none());
        if !is_mounted && (!is_recorded || is_empty()) {
            remove(&directory)?;
        }
    }
    Ok(())
}

fn sessions(mounts: &Path) -> Result<Vec<PathBuf>, PlaceError> {
    let mut directories = Vec::new();
    for entry in at(mounts, fs::read_dir(mounts))? {
        let path = at(mounts, entry)?.path();
        if path.is_dir() {
            directories.push(path);
        }
    }
    Ok(directories)
}

/// What unmounting did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmounted {
    /// Where: absolute, without links.
    pub target: PathBuf,
    /// Whether something was mounted; if not, only a session was left of it.
    pub was_mounted: bool,
    /// The upper directory that was given and stays.
    pub kept_upper: Option<PathBuf>,
    /// Whether a private upper directory was removed.
    pub freed_upper: bool,
}

/// A mount could not be unmounted.
#[derive(Debug, thiserror::Error)]
pub enum UnmountError {
    /// A file or directory of the place, or the mount point.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Nothing of ours is there.
    #[error("{} is not a mount of handroll{}; `findmnt` lists what is mounted", target.display(), other_place(*is_mount))]
    NotOurs {
        /// Where.
        target: PathBuf,
        /// Whether something else is mounted there.
        is_mount: bool,
    },
    /// The kernel refused.
    #[error("cannot unmount {}: {}{}", target.display(), super::mount_error::words(*errno), hint(*errno, users))]
    Refused {
        /// Where.
        target: PathBuf,
        /// What it answered.
        errno: rustix::io::Errno,
        /// Who uses it: process ids and names.
        users: Vec<String>,
    },
}

fn other_place(is_mount: bool) -> &'static str {
    match is_mount {
        true => " with this --place: something else is mounted there",
        false => ": nothing is mounted there",
    }
}

fn hint(errno: rustix::io::Errno, users: &[String]) -> String {
    match (errno, users) {
        (rustix::io::Errno::BUSY, []) => "; something in it is open or mounted".to_owned(),
        (rustix::io::Errno::BUSY, users) => format!("; it is in use by {}", users.join(", ")),
        (rustix::io::Errno::PERM, _) => "; unmounting needs root".to_owned(),
        _ => String::new(),
    }
}

/// Unmounts what is mounted at `target` from the place `base`, and frees what belongs to it.
pub fn unmount_at(base: &Path, target: &Path) -> Result<Unmounted, UnmountError> {
    let target = at(target, fs::canonicalize(target))?;
    let base = fs::canonicalize(base).unwrap_or_else(|_| base.to_owned());
    let line = at(&target, mountinfo::at(&target))?;
    let session = session_of(&base, &target, line.as_ref())?;
    match &line {
        Some(line) if line.is_of(&base) => {
            unmount(&target, UnmountFlags::NOFOLLOW).map_err(|errno| UnmountError::Refused {
                users: users_of(&target),
                target: target.clone(),
                errno,
            })?;
        }
        None if session.is_some() => {}
        line => {
            return Err(UnmountError::NotOurs {
                is_mount: line.is_some(),
                target,
            });
        }
    }
    let kept_upper = session
        .as_ref()
        .and_then(|path| fs::read_link(path.join("upper")).ok());
    if let Some(session) = &session {
        free(session)?;
    }
    Ok(Unmounted {
        was_mounted: line.is_some(),
        freed_upper: session.is_some() && kept_upper.is_none(),
        kept_upper,
        target,
    })
}

/// The session of what is mounted at a target; if nothing is, one that was mounted there.
fn session_of(base: &Path, target: &Path, line: Option<&MountLine>) -> Result<Option<PathBuf>, PlaceError> {
    let Ok(kinds) = fs::read_dir(base) else {
        return Ok(None);
    };
    let mut here = Vec::new();
    for kind in kinds {
        let mounts = at(base, kind)?.path().join("mounts");
        if mounts.is_dir() {
            let is_here =
                |session: &PathBuf| fs::read_link(session.join("target")).is_ok_and(|path| path == target);
            here.extend(sessions(&mounts)?.into_iter().filter(is_here));
        }
    }
    let Some(line) = line else {
        return Ok(here.pop());
    };
    if line.has_unknown_upper() && here.len() == 1 {
        return Ok(here.pop());
    }
    let mut here = here.into_iter();
    Ok(here.find(|session| line.has_upper(&path_of(session, "upper"))))
}

/// The processes that have something under a path open, or work in it, as far as this one may know.
fn users_of(target: &Path) -> Vec<String> {
    const NAMED: usize = 10;
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let processes = processes.flatten().map(|entry| entry.path());
    let is_process = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let uses = |path: &PathBuf| {
        let open = fs::read_dir(path.join("fd")).into_iter().flatten().flatten();
        let open = open.map(|entry| entry.path());
        let mut links = ["cwd", "root", "exe"]
            .map(|name| path.join(name))
            .into_iter()
            .chain(open);
        links.any(|link| fs::read_link(link).is_ok_and(|leads| leads.starts_with(target)))
    };
    let named = |path: PathBuf| {
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        let id = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        format!("process {id} ({})", name.trim_end())
    };
    processes
        .filter(is_process)
        .filter(uses)
        .map(named)
        .take(NAMED)
        .collect()
}
