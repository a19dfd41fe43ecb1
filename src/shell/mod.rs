//! A small shell on a mounted file system: one line in, what it prints and the system calls it made out.
//!
//! It runs on any [`System`]: the simulated overlay, or the kernel's own. Commands do what those of Debian 12 do
//! (coreutils 9.1, findutils, tree, attr), with the same system calls where the file system can tell, and the
//! same words when they fail, as in the locale C and the time zone UTC. `tests/shell.rs` compares them.
//!
//! Lists, pipes, substitutions, `if`, `for` and variables are as POSIX has them; what a pipe carries is held until the
//! command behind it reads it. Jobs, subshells, functions and arithmetic stay out. The working directory is a
//! path, so it does not move along with a directory that is renamed. A line's work is bounded ([`Limits`]), and
//! whoever runs it can end it at every system call.

mod attribute;
mod busybox;
mod complete;
mod copy;
mod create;
mod disk_usage;
mod find;
mod glob;
mod grep;
mod help;
mod inside;
mod job;
mod lex;
mod list;
mod mode;
mod names;
mod option;
mod output;
mod parse;
mod program;
mod quote;
mod read;
mod regex;
mod remove;
mod rename;
mod run;
mod show;
mod stat;
#[cfg(test)]
mod tests;
mod time;
mod traced;
mod tree;
mod words;
mod xattr;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use complete::Completion;
pub use job::Made;
pub use output::{Piece, Stream};
pub use program::{Execution, Process};
pub use traced::Traced;

use crate::overlay::mount::{Caller, System};
use crate::tree::Device;
use job::Job;

/// What `mount` and `stat` tell of the file system, which system calls do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountInfo {
    /// The options as the mount's line shows them, as `rw,relatime,lowerdir=…,upperdir=…,workdir=…`.
    pub options: Vec<u8>,
    /// The number that the kernel gave the mounted file system.
    pub device: Device,
}

/// How much one line may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// System calls, and windows of a MiB of what is read.
    pub calls: u64,
    /// Bytes that are printed; what is more is left out, with a note.
    pub output: usize,
    /// System calls of which a record is kept, from the first on.
    pub recorded: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 2_000_000,
            output: 1 << 20,
            recorded: 10_000,
        }
    }
}

/// A shell between two lines.
#[derive(Clone, Debug)]
pub struct Shell {
    mount: MountInfo,
    cwd: Vec<u8>,
    /// Where `cd -` goes.
    previous: Option<Vec<u8>>,
    status: u8,
    /// What was assigned and is no part of an environment.
    variables: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// What it knows if it stands in for a container's process.
    inside: Option<inside::Inside>,
    /// How much a line may do.
    pub limits: Limits,
}

/// What came of a line.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// What was printed, in order.
    pub output: Vec<Piece>,
    /// The exit status of the last command; 130 if the line was stopped.
    pub status: u8,
    /// The system calls in order, as many as are recorded.
    pub calls: Vec<Made>,
    /// How many there were.
    pub call_count: u64,
}

impl Ran {
    /// All bytes that went to one stream.
    pub fn bytes(&self, stream: Stream) -> Vec<u8> {
        let pieces = self.output.iter().filter(|piece| piece.stream == stream);
        pieces.flat_map(|piece| piece.bytes.iter().copied()).collect()
    }
}

impl Shell {
    /// A shell in the root directory.
    pub fn new(mount: MountInfo) -> Self {
        Self {
            mount,
            cwd: b"/".to_vec(),
            previous: None,
            status: 0,
            variables: Arc::default(),
            inside: None,
            limits: Limits::default(),
        }
    }

    /// The same shell in another directory, which need not be there.
    pub fn starting_in(mut self, directory: &[u8]) -> Self {
        self.cwd = directory.to_vec();
        self
    }

    /// The same shell with a variable.
    pub fn knowing(mut self, name: &[u8], value: &[u8]) -> Self {
        Arc::make_mut(&mut self.variables).insert(name.to_vec(), value.to_vec());
        self
    }

    /// The working directory.
    pub fn cwd(&self) -> &[u8] {
        &self.cwd
    }

    /// Runs a line.
    pub fn run(&mut self, system: &mut dyn System, caller: Caller, line: &[u8]) -> Ran {
        self.run_while(system, caller, line, &mut || true)
    }

    /// Runs a line as long as `goes_on` says so; it is asked before every system call.
    pub fn run_while(
        &mut self,
        system: &mut dyn System,
        caller: Caller,
        line: &[u8],
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Ran {
        let parsed = parse::parse(line);
        let mut job = Job::new(self, system, caller, goes_on);
        let status = match parsed {
            Ok(list) => run::list(&mut job, &list),
            Err(error) => {
                job.error_line(&error.to_string());
                2
            }
        };
        let ran = job.end(status);
        self.status = ran.status;
        ran
    }

    /// What the word that ends at the byte `cursor` of the line could go on as.
    pub fn complete(
        &mut self,
        system: &mut dyn System,
        caller: Caller,
        line: &[u8],
        cursor: usize,
    ) -> Completion {
        let mut goes_on = || true;
        let mut job = Job::new(self, system, caller, &mut goes_on);
        complete::complete(&mut job, &line[..cursor.min(line.len())])
    }
}
