//! Containers by an OCI runtime of this machine: bundles, and one container from its start to its end.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::cgroup;
use super::command::run_to_end;
use super::place::{PlaceError, at};
use super::signal::Held;
use crate::runtime::Spec;

/// A directory with `config.json` and `rootfs` (runtime-spec, bundle.md).
pub struct Bundle {
    directory: PathBuf,
}

impl Bundle {
    /// The bundle in this directory, which is there.
    pub fn at(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Where its root file system is.
    pub fn rootfs(&self) -> PathBuf {
        self.directory.join("rootfs")
    }

    /// Writes `config.json`, all of it or nothing.
    pub fn write(&self, spec: &Spec) -> Result<(), PlaceError> {
        let path = self.directory.join("config.json");
        let beside = self.directory.join(".config.json.handroll");
        let mut text = serde_json::to_vec_pretty(spec).expect("texts, numbers and lists are always JSON");
        text.push(b'\n');
        at(&path, fs::write(&beside, text))?;
        at(&path, fs::rename(&beside, &path))
    }
}

/// An OCI runtime, runc or one that is called like it, for the containers of one bundle, with its state in a directory
/// of its own.
pub struct Runtime {
    program: PathBuf,
    state: PathBuf,
    bundle: PathBuf,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code, by a signal with 128 and its number.
    Container(u8),
    /// The runtime could not start it, and has said why.
    NotStarted,
    /// The runtime was ended by this signal before its container was.
    Killed(i32),
}

impl Runtime {
    /// A runtime for this bundle, whose state is kept here.
    pub(super) fn new(program: PathBuf, state: PathBuf, bundle: PathBuf) -> Self {
        Self {
            program,
            state,
            bundle,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.state);
        command
    }

    /// Runs the bundle and waits for its end, passing on signals, which are held back till then. Whatever happens, no
    /// container is left.
    pub fn run(&self, id: &str, held: &Held) -> io::Result<Ended> {
        self.run_by(self.command(), id, held)
    }

    /// The same; and why it was not started, if the runtime has noted that.
    pub(super) fn run_noting(&self, id: &str, held: &Held) -> io::Result<(Ended, Option<String>)> {
        let log = self.bundle.join("log.json");
        let mut command = self.command();
        command.arg("--log").arg(&log).args(["--log-format", "json"]);
        let ended = self.run_by(command, id, held)?;
        let noted = fs::read_to_string(&log).unwrap_or_default();
        let message = |line: &str| {
            let note: serde_json::Value = serde_json::from_str(line).ok()?;
            (note["level"] == "error").then(|| note["msg"].as_str().map(str::to_owned))?
        };
        Ok((ended, noted.lines().filter_map(message).next_back()))
    }

    fn run_by(&self, mut command: Command, id: &str, held: &Held) -> io::Result<Ended> {
        let pid_file = self.bundle.join("pid");
        command.arg("run").arg("--bundle").arg(&self.bundle);
        command.arg("--pid-file").arg(&pid_file).arg(id);
        let status = run_to_end(&mut command, held)?;
        self.end_all();
        Ok(ended(status, pid_file.exists()))
    }

    /// Sends a signal to a container's first process.
    pub(super) fn kill(&self, id: &str, signal: u8) -> Result<(), String> {
        let mut command = self.command();
        command
            .arg("kill")
            .arg(id)
            .arg(signal.to_string())
            .stdin(Stdio::null());
        let output = command.output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }

    /// Ends all containers that are left.
    pub fn end_all(&self) {
        let Ok(entries) = fs::read_dir(&self.state) else {
            return;
        };
        for entry in entries.flatten() {
            let mut command = self.command();
            command.arg("delete").arg("--force").arg(entry.file_name());
            // What it says is of no use to anybody: all that counts is what is left.
            let _ = command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            // Of a container whose runtime was killed before it had written its state, a runtime knows no cgroups.
            cgroup::remove(&self.bundle.join("config.json"), &entry.file_name());
        }
    }
}

/// A runtime writes the process id when the program runs; what fails before that is its own failure.
fn ended(status: ExitStatus, has_run: bool) -> Ended {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Ended::Killed(signal),
        (None, Some(code)) if has_run => Ended::Container(code.try_into().unwrap_or(u8::MAX)),
        (None, _) => Ended::NotStarted,
    }
}

/// The runtime of this name or path; without one runc, else crun. Runtimes lie where only root looks, on some systems.
pub fn find_runtime(given: Option<&OsStr>) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let places: Vec<PathBuf> = std::env::split_paths(&path).chain(more).collect();
    let find = |name: &OsStr| match Path::new(name).components().count() {
        // As shells have it: what has a slash in it is a path.
        1 => places
            .iter()
            .map(|place| place.join(name))
            .find(|path| path.is_file()),
        _ => Some(PathBuf::from(name)).filter(|path| path.is_file()),
    };
    match given {
        Some(name) => find(name).ok_or_else(|| format!("there is no runtime {}", name.display())),
        None => ["runc", "crun"]
            .into_iter()
            .find_map(|name| find(name.as_ref()))
            .ok_or_else(|| {
                "there is neither runc nor crun: install one, or name another by --runtime".to_owned()
            }),
    }
}
