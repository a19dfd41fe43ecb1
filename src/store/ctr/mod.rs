//! `ctr`, containerd's own command, on a [`Store`](super::Store): the same words, options, columns and errors as
//! containerd 1.6.20's, so that what one learns here holds there. What containerd's has beyond that is refused in
//! words. Knows the store and no machine: files and the starting of programs are a [`Host`]'s.
//!
//! [`run()`] takes a line's arguments and gives what is printed. Judge: the real `ctr` (`tests/ctr.rs`).

mod command;
mod complete;
mod containers;
mod content;
mod export;
mod filter;
mod format;
mod images;
mod import;
mod leases;
mod namespaces;
mod option;
mod run;
mod snapshots;
mod table;
mod tasks;
#[cfg(test)]
mod tests;

use super::{
    ArchiveFile, Client, DEFAULT_NAMESPACE, Descriptor, Labels, Platforms, SNAPSHOTTER, StoreError,
    check_identifier,
};
use crate::content::Content;
use crate::digest::chain_id;
use crate::image::root::Root;
use crate::layer::Bytes;
use command::{COMMAND, Command, Run, refused};
use option::{Flag, flag, text};

pub use complete::complete;
pub use run::{CREATE_FAILED, EXEC_FAILED, NewProcess, NewTask, ended};

/// Which of a command's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// What a line did.
#[derive(Default)]
pub struct Ran {
    /// What it printed, in order.
    pub output: Vec<(Stream, Bytes)>,
    /// With what it ended.
    pub status: u8,
    /// What is to be started now: [`Client::start_task`] notes it, and when it has ended, or could not be started, the
    /// line goes on with [`ended`].
    pub task: Option<NewTask>,
    /// What is to be started beside a task that runs: only where [`Host::check_exec`] has nothing against it.
    pub exec: Option<NewProcess>,
}

impl Ran {
    /// Adds what the line did next.
    pub fn go_on(&mut self, next: Self) {
        self.output.extend(next.output);
        self.status = next.status;
    }
}

/// An archive to be imported.
pub enum Archive {
    /// A tar.
    Tar(Content),
    /// What would be in the tar.
    Files(Vec<ArchiveFile>),
}

/// The machine that `ctr` is called on, as far as it needs one.
pub trait Host {
    /// Opens a file. An error says the call, the path and the reason: `open a.tar: no such file or directory`.
    fn open(&mut self, path: &str) -> Result<Archive, String>;
    /// Writes a file, in place of the one that is there. Errors are as those of `open`.
    fn write(&mut self, path: &str, parts: &[Bytes]) -> Result<(), String>;
    /// What is seen through an active snapshot: the number of its directory and of those that it stands on, the
    /// topmost first.
    fn view(&mut self, number: u64, parents: &[u64]) -> Result<Box<dyn Root + '_>, String>;
    /// Whether a task can go on without anybody who waits for it; if not, why.
    fn check_detach(&self) -> Result<(), String>;
    /// Whether one more process can be started in a container that runs; if not, why.
    fn check_exec(&self) -> Result<(), String>;
    /// Sends a signal to the first process of a task. Whether that has ended it, so that nobody else will tell.
    fn signal(&mut self, namespace: &str, id: &str, pid: u32, signal: u8) -> Result<bool, String>;
    /// A task is deleted: what the machine has of it goes.
    fn forget(&mut self, namespace: &str, id: &str);
}

/// Why a command ends before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exit {
    /// `ctr: …`, with 1.
    Failed(String),
    /// There is no such command, with 3.
    NoTopic(String),
    /// The arguments are not as the command wants them: its help, and perhaps an error.
    Help { otherwise: Option<String> },
}

impl Exit {
    fn failed(message: impl std::fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// The help and nothing else, with 0.
    const fn help() -> Self {
        Self::Help { otherwise: None }
    }
}

impl From<StoreError> for Exit {
    fn from(error: StoreError) -> Self {
        Self::failed(error)
    }
}

/// A command at work.
struct Job<'c, 's> {
    client: &'c mut Client<'s>,
    host: &'c mut dyn Host,
    /// The one that is asked for.
    snapshotter: String,
    output: Vec<(Stream, Bytes)>,
    task: Option<NewTask>,
    exec: Option<NewProcess>,
}

impl Job<'_, '_> {
    fn print(&mut self, text: &str) {
        self.print_bytes(Bytes::Owned(text.as_bytes().to_vec()));
    }

    fn print_bytes(&mut self, bytes: Bytes) {
        self.output.push((Stream::Out, bytes));
    }

    /// A line of the log, on standard error.
    fn log(&mut self, level: &str, message: &str, fields: &[(&str, &str)]) {
        let line = format::log_line(self.client.now, level, message, fields);
        self.output.push((Stream::Error, Bytes::Owned(line.into_bytes())));
    }

    /// Works under a lease, as [`Client::with_lease`] does.
    fn under_lease<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Exit>) -> Result<T, Exit> {
        let id = self.client.begin_lease()?;
        let done = work(self);
        self.client.end_lease(&id)?;
        done
    }

    /// Why nothing can be done in the namespace, if that is so; what tells of namespaces can be done in any.
    fn namespace_error(&self, path: &str) -> Option<Exit> {
        let namespace = &self.client.namespace;
        if path.starts_with("ctr namespaces") || path == "ctr version" {
            return None;
        }
        if namespace.is_empty() {
            return Some(Exit::failed("namespace is required: failed precondition"));
        }
        let checked = check_identifier("", namespace);
        checked
            .err()
            .map(|error| Exit::failed(format_args!("namespace validation: {error}")))
    }

    /// Forgets a task that has ended; its exit code.
    fn delete_task(&mut self, id: &str) -> Result<u32, StoreError> {
        let code = self.client.delete_task(id)?;
        self.host.forget(&self.client.namespace, id);
        Ok(code)
    }

    /// The work with snapshots can begin: the snapshotter that is asked for is the one that there is.
    fn check_snapshotter(&self) -> Result<(), Exit> {
        match self.snapshotter.as_str() {
            "" | SNAPSHOTTER => Ok(()),
            other => Err(Exit::failed(format_args!(
                "snapshotter not loaded: {other}: invalid argument"
            ))),
        }
    }
}

const ROOT: Command = Command {
    name: "ctr",
    about: "containerd's command, on handroll's store",
    flags: option::Flags {
        offered: &[
            flag(&["debug"], "enable debug output in logs"),
            Flag {
                default: "\"default\"",
                ..text(&["namespace", "n"], "namespace to use with commands")
            },
            flag(&["version", "v"], "print the version"),
        ],
        refused: &["address", "a", "timeout", "connect-timeout"],
    },
    run: Run::Group(&[
        VERSION,
        containers::GROUP,
        content::GROUP,
        images::GROUP,
        leases::GROUP,
        namespaces::GROUP,
        run::RUN,
        snapshots::GROUP,
        tasks::GROUP,
        refused("plugins", "there are none"),
        refused("events", "what happens is told as it happens"),
        refused("pprof", "there is no daemon"),
        refused("install", "nothing is fetched from anywhere"),
        refused("oci", "see `handroll bundle`"),
        refused("shim", "there is none"),
    ]),
    ..COMMAND
};

/// Which most commands that unpack take.
const SNAPSHOTTER_FLAG: Flag = text(
    &["snapshotter"],
    "snapshotter name. Empty value stands for the default value.",
);

const VERSION: Command = Command {
    name: "version",
    about: "print the client and server versions",
    run: Run::Action(|job, _| {
        job.print(&format!(
            "handroll {VERSION_NUMBER}, with the words of containerd 1.6.20's ctr\n"
        ));
        Ok(())
    }),
    ..COMMAND
};

const VERSION_NUMBER: &str = env!("CARGO_PKG_VERSION");

/// Runs a line: `argv` is what stands behind `ctr`. Garbage is collected at its end if it removed something, as
/// containerd does soon after.
pub fn run(client: &mut Client<'_>, host: &mut dyn Host, argv: &[String]) -> Ran {
    let mut job = Job {
        client,
        host,
        snapshotter: String::new(),
        output: Vec::new(),
        task: None,
        exec: None,
    };
    let ended = run_line(&mut job, argv);
    let mut ran = Ran {
        output: job.output,
        status: 0,
        task: job.task,
        exec: job.exec,
    };
    match ended {
        Ok(()) => {}
        Err(Exit::Failed(message)) => fail(&mut ran, &message),
        Err(Exit::NoTopic(name)) => {
            let text = format!("No help topic for '{name}'\n");
            ran.output.push((Stream::Error, Bytes::Owned(text.into_bytes())));
            ran.status = 3;
        }
        Err(Exit::Help { .. }) => unreachable!("whoever runs a command prints its help"),
    }
    if let Err(error) = client.collect_if_dirty() {
        fail(&mut ran, &error.to_string());
    }
    ran
}

/// The error that a line ends with.
fn fail(ran: &mut Ran, message: &str) {
    let text = format!("ctr: {message}\n");
    ran.output.push((Stream::Error, Bytes::Owned(text.into_bytes())));
    ran.status = 1;
}

fn run_line(job: &mut Job<'_, '_>, argv: &[String]) -> Result<(), Exit> {
    // What is wrong with these is found by whoever reads them again.
    let global = ROOT.flags.parse(argv).unwrap_or_default();
    if global.has("version") {
        return command::run_group(job, &ROOT, ROOT.name, &["version".to_owned()]);
    }
    let namespace = global.value("namespace").unwrap_or(DEFAULT_NAMESPACE);
    namespace.clone_into(&mut job.client.namespace);
    command::run_group(job, &ROOT, ROOT.name, argv)
}

/// Labels in one column, sorted; `empty` if there are none.
fn joined(labels: &Labels, empty: &str) -> String {
    match labels.is_empty() {
        true => empty.to_owned(),
        false => {
            let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
            pairs.collect::<Vec<_>>().join(",")
        }
    }
}

/// The ChainID of all layers of an image, by what its configuration says.
fn chain_of(job: &Job<'_, '_>, target: &Descriptor, wanted: &Platforms) -> Result<String, StoreError> {
    let manifest = job.client.manifest(target, wanted)?;
    let mut chain = None;
    for text in job.client.diff_ids(&manifest.config)? {
        let diff_id = text
            .parse()
            .map_err(|_| StoreError::BadDigest { text: text.clone() })?;
        chain = Some(chain_id(chain, diff_id));
    }
    Ok(chain.map_or_else(String::new, |chain| chain.to_string()))
}
