//! A line at work: its system calls, counted and recorded, and what it prints.
//!
//! When the line is stopped, every further call fails and nothing more is printed, so every loop of a command
//! comes to its end by itself.

use super::inside::Kind;
use super::lex::Word;
use super::names::NameTable;
use super::output::{Held, OutFile, Shown, Sink, Stream};
use super::parse::Redirect;
use super::{Ran, Shell, busybox, quote};
use crate::content::{Content, WINDOW};
use crate::overlay::mount::{
    Call, Caller, Errno, FileName, FileType, Io, OpenFlags, Path, Reply, Stat, System,
};

/// A system call that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The call, with paths from the root.
    pub call: Call,
    /// Whether it succeeded.
    pub result: Result<(), Errno>,
}

/// What a stopped line's calls fail with; nobody is shown it.
const ECANCELED: Errno = Errno(125);

pub(super) const STOPPED: u8 = 130;

/// How many lists are run in each other: a browser's stack is a MiB.
const MAX_LISTS: usize = 100;

/// The most bytes that a program prints to standard error at once.
const ERROR_LIMIT: u64 = 1 << 20;

/// Where the streams led before a command's redirections.
pub(super) struct Streams {
    sinks: [Sink; 2],
    /// How many files were open.
    files: usize,
    /// What could be read, if that was led elsewhere.
    stdin: Option<Content>,
}

pub(super) struct Job<'a> {
    pub shell: &'a mut Shell,
    pub caller: Caller,
    /// The command at work, for its messages.
    pub command: &'static str,
    system: &'a mut dyn System,
    goes_on: &'a mut dyn FnMut() -> bool,
    made: Vec<Made>,
    count: u64,
    work: u64,
    stopped: Option<&'static str>,
    /// With what the shell has ended, if a line has said so.
    pub exits: Option<u8>,
    shown: Shown,
    /// What the command at work can read.
    pub stdin: Content,
    /// The status of the last substitution.
    pub substituted: u8,
    /// How many lists are run in each other.
    depth: usize,
    sinks: [Sink; 2],
    files: Vec<OutFile>,
    held: Vec<Held>,
    pub users: Option<NameTable>,
    pub groups: Option<NameTable>,
}

impl<'a> Job<'a> {
    pub fn new(
        shell: &'a mut Shell,
        system: &'a mut dyn System,
        caller: Caller,
        goes_on: &'a mut dyn FnMut() -> bool,
    ) -> Self {
        Self {
            shown: Shown {
                pieces: Vec::new(),
                left: shell.limits.output,
                is_cut: false,
            },
            shell,
            caller,
            command: "",
            system,
            goes_on,
            made: Vec::new(),
            count: 0,
            work: 0,
            stopped: None,
            exits: None,
            stdin: Content::inline(*b""),
            substituted: 0,
            depth: 0,
            sinks: [Sink::Shown(Stream::Stdout), Sink::Shown(Stream::Stderr)],
            files: Vec::new(),
            held: Vec::new(),
            users: None,
            groups: None,
        }
    }

    /// What came of the line.
    pub fn end(mut self, status: u8) -> Ran {
        let mut notes = String::new();
        if self.shown.is_cut {
            let limit = self.shell.limits.output;
            notes += &format!("[what is printed beyond {limit} bytes is left out]\n");
        }
        if let Some(reason) = self.stopped {
            let count = self.count;
            notes += &format!("[stopped after {count} system calls: {reason}]\n");
        }
        self.shown.push_always(Stream::Stderr, notes.as_bytes());
        Ran {
            output: self.shown.pieces,
            status: if self.stopped.is_some() { STOPPED } else { status },
            calls: self.made,
            call_count: self.count,
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// One unit of work; false if there is to be no more.
    pub fn works_on(&mut self) -> bool {
        if self.stopped.is_none() && self.work >= self.shell.limits.calls {
            self.stopped = Some("a line's work has a limit");
        }
        if self.stopped.is_none() && !(self.goes_on)() {
            self.stopped = Some("it was asked to");
        }
        self.work += 1;
        self.stopped.is_none()
    }

    /// One list in others: false if there are too many, however scripts call each other.
    pub fn enters(&mut self) -> bool {
        if self.depth == MAX_LISTS {
            self.stopped.get_or_insert("commands in commands have a limit");
            return false;
        }
        self.depth += 1;
        true
    }

    pub fn leaves(&mut self) {
        self.depth -= 1;
    }

    /// Makes a system call.
    pub fn call(&mut self, call: Call) -> Result<Reply, Errno> {
        if !self.works_on() {
            return Err(ECANCELED);
        }
        self.count += 1;
        let result = self.system.call(self.caller, &call);
        if self.made.len() < self.shell.limits.recorded {
            let result = result.as_ref().map(|_| ()).map_err(|errno| *errno);
            self.made.push(Made { call, result });
        }
        result
    }

    /// Whether the system has programs of its own.
    pub fn has_programs(&self) -> bool {
        !self.system.programs().is_empty()
    }

    /// The system's programs.
    pub fn programs(&self) -> &'static [&'static str] {
        self.system.programs()
    }

    /// Whether one of them has this name.
    pub fn has_program(&self, name: &[u8]) -> bool {
        self.programs().iter().any(|program| program.as_bytes() == name)
    }

    /// Executes a program of the system's.
    pub fn execute(&mut self, name: &[u8], arguments: Vec<Vec<u8>>) -> u8 {
        if !self.works_on() {
            return STOPPED;
        }
        let mut argv = arguments;
        argv.insert(0, name.to_vec());
        let executed = self.system.execute(self.caller, &self.shell.cwd, &argv);
        for (is_error, content) in executed.output {
            let printed = match is_error {
                false => self.print_content(&content),
                true => content
                    .read_all(ERROR_LIMIT)
                    .map_err(|_| Errno::EIO)
                    .map(|bytes| self.write(1, &bytes)),
            };
            if let Err(errno) = printed {
                self.error_line(&errno.text());
                return 1;
            }
        }
        executed.status
    }

    /// What a program's next argument could be.
    pub fn complete_program(&self, argv: &[Vec<u8>], start: &[u8]) -> Option<Vec<Vec<u8>>> {
        self.system.complete(argv, start)
    }

    /// A path as it was typed, from the root. No path stays none.
    pub fn path(&self, typed: &[u8]) -> Path {
        match typed {
            b"" => Path::from(&b""[..]),
            [b'/', ..] => typed.into(),
            _ => join(&self.shell.cwd, typed).into(),
        }
    }

    pub fn stat(&mut self, typed: &[u8], follow: bool) -> Result<Stat, Errno> {
        let path = self.path(typed);
        match self.call(Call::Stat { path, follow })? {
            Reply::Stat(stat) => Ok(stat),
            _ => Err(Errno::EIO),
        }
    }

    pub fn is_directory(&mut self, typed: &[u8]) -> bool {
        self.stat(typed, true)
            .is_ok_and(|stat| stat.file_type == FileType::Directory)
    }

    /// The names in a directory, in its order.
    pub fn names(&mut self, typed: &[u8]) -> Result<Vec<FileName>, Errno> {
        let path = self.path(typed);
        match self.call(Call::Readdir { path })? {
            Reply::Names(names) => Ok(names),
            _ => Err(Errno::EIO),
        }
    }

    pub fn target(&mut self, typed: &[u8]) -> Result<Vec<u8>, Errno> {
        let path = self.path(typed);
        match self.call(Call::Readlink { path })? {
            Reply::Bytes(target) => Ok(target),
            _ => Err(Errno::EIO),
        }
    }

    /// The bytes of a file, not yet read.
    pub fn content(&mut self, typed: &[u8]) -> Result<Content, Errno> {
        let flags = OpenFlags {
            read: true,
            ..OpenFlags::default()
        };
        // What every system has there, an image's layers do not.
        if &*self.path(typed) == b"/dev/null" {
            return Ok(Content::inline(*b""));
        }
        match self.open(typed, flags, 0, Io::Read)? {
            Reply::Content(content) => Ok(content),
            _ if self.is_directory(typed) => Err(Errno::EISDIR),
            _ => Err(Errno::ENXIO),
        }
    }

    /// Whether something printed would still be seen.
    pub fn has_room(&self) -> bool {
        !matches!(self.sinks[0], Sink::Shown(_)) || !self.shown.is_cut
    }

    /// What can be read from standard input; it can be once.
    pub fn take_stdin(&mut self) -> Content {
        std::mem::replace(&mut self.stdin, Content::inline(*b""))
    }

    /// Holds what is printed meanwhile.
    pub fn capture(&mut self, work: impl FnOnce(&mut Self) -> u8) -> (u8, Content) {
        let sinks = self.sinks.clone();
        self.sinks[0] = Sink::Held(self.held.len());
        self.held.push(Held::default());
        let status = work(self);
        self.sinks = sinks;
        let held = self.held.pop().unwrap_or_default();
        (status, held.content())
    }

    pub fn open(&mut self, typed: &[u8], flags: OpenFlags, mode: u16, io: Io) -> Result<Reply, Errno> {
        let path = self.path(typed);
        self.call(Call::Open {
            path,
            flags,
            mode,
            io,
        })
    }

    /// Passes a content window by window; `take` says whether it wants more.
    pub fn read(&mut self, content: &Content, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), Errno> {
        let mut buffer = vec![0; content.len().min(WINDOW as u64) as usize];
        let mut offset = 0;
        while offset < content.len() {
            if !self.works_on() {
                return Err(ECANCELED);
            }
            let length = (content.len() - offset).min(WINDOW as u64) as usize;
            let read = content.read_at(offset, &mut buffer[..length]);
            read.map_err(|_| Errno::EIO)?;
            if !take(&buffer[..length]) {
                break;
            }
            offset += length as u64;
        }
        Ok(())
    }

    /// Prints to standard output.
    pub fn print(&mut self, bytes: impl AsRef<[u8]>) {
        self.write(0, bytes.as_ref());
    }

    /// Prints all of a content: a file that output goes to gets it without its being read.
    pub fn print_content(&mut self, content: &Content) -> Result<(), Errno> {
        match self.sinks[0] {
            Sink::Nowhere => Ok(()),
            Sink::File(number) => {
                self.flush(number);
                self.write_file(number, content.clone());
                Ok(())
            }
            Sink::Held(number) if self.held[number].takes(content) => Ok(()),
            Sink::Held(_) => {
                let bytes = content.read_all(content.len()).map_err(|_| Errno::EIO)?;
                self.write(0, &bytes);
                Ok(())
            }
            Sink::Shown(stream) => {
                let mut buffer = vec![0; content.len().min(WINDOW as u64) as usize];
                let mut offset = 0;
                while offset < content.len() && !self.shown.is_cut && self.works_on() {
                    let length = (content.len() - offset).min(WINDOW as u64) as usize;
                    let read = content.read_at(offset, &mut buffer[..length]);
                    read.map_err(|_| Errno::EIO)?;
                    self.shown.push(stream, &buffer[..length]);
                    offset += length as u64;
                }
                Ok(())
            }
        }
    }

    /// A message of the command at work.
    pub fn complain(&mut self, text: &str) {
        let line = format!("{}: {text}", self.command);
        self.error_line(&line);
    }

    /// A message about a name, with what the system said.
    pub fn complain_of(&mut self, text: &str, errno: Errno) {
        match self.kind() {
            Some(Kind::Busybox) => {
                let text = busybox::words(self.command, text, errno);
                self.complain(&text);
            }
            _ => self.complain(&format!("{text}: {}", errno.text())),
        }
    }

    /// A message about the use of a command, with where to read on.
    pub fn misused(&mut self, text: &str) {
        self.complain(text);
        let command = self.command;
        self.error_line(&format!("Try '{command} --help' for more information."));
    }

    pub fn error_line(&mut self, text: &str) {
        let line = format!("{text}\n");
        self.write(1, line.as_bytes());
    }

    fn write(&mut self, stream: usize, bytes: &[u8]) {
        if self.is_stopped() {
            return;
        }
        match self.sinks[stream] {
            Sink::Nowhere => {}
            Sink::Shown(stream) => self.shown.push(stream, bytes),
            Sink::Held(number) => {
                if !self.held[number].push(bytes) {
                    self.stopped = Some("what goes through a pipe has a limit");
                }
            }
            Sink::File(number) => {
                self.files[number].pending.extend_from_slice(bytes);
                if self.files[number].is_full() {
                    self.flush(number);
                }
            }
        }
    }

    fn flush(&mut self, number: usize) {
        if let Some(content) = self.files[number].take() {
            self.write_file(number, content);
        }
    }

    fn write_file(&mut self, number: usize, content: Content) {
        let file = &mut self.files[number];
        let (path, offset) = (file.path.clone(), file.written);
        file.written += content.len();
        let flags = OpenFlags {
            write: true,
            append: file.append,
            ..OpenFlags::default()
        };
        // A file that was removed meanwhile takes what is written, and nobody sees it.
        let _ = self.call(Call::Open {
            path,
            flags,
            mode: 0,
            io: Io::Write(offset, content),
        });
    }

    /// The number of the file that standard output goes to.
    pub fn stdout_ino(&self) -> Option<u64> {
        match self.sinks[0] {
            Sink::File(number) => self.files[number].ino,
            _ => None,
        }
    }

    /// Leads the streams of the next command elsewhere; where they led before is to be given back.
    pub fn redirect(&mut self, redirects: &[Redirect]) -> Result<Streams, u8> {
        let mut before = Streams {
            sinks: self.sinks.clone(),
            files: self.files.len(),
            stdin: None,
        };
        for redirect in redirects {
            let led = match redirect {
                Redirect::Same { stream, other } => {
                    self.sinks[stream - 1] = self.sinks[other - 1].clone();
                    Ok(())
                }
                Redirect::File {
                    streams,
                    append,
                    target,
                } => self.one_word(target).and_then(|target| {
                    let sink = self.sink(&target, *append)?;
                    streams.iter().for_each(|s| self.sinks[s - 1] = sink.clone());
                    Ok(())
                }),
                Redirect::Input { source } => self.one_word(source).and_then(|source| {
                    let content = self.source(&source)?;
                    let stdin = std::mem::replace(&mut self.stdin, content);
                    before.stdin.get_or_insert(stdin);
                    Ok(())
                }),
            };
            if let Err((text, status)) = led {
                self.end_redirects(before);
                self.shell_error(&text);
                return Err(status);
            }
        }
        Ok(before)
    }

    /// The one word that a redirection's target becomes.
    fn one_word(&mut self, word: &Word) -> Result<Vec<u8>, (String, u8)> {
        match super::glob::expand(self, word) {
            Ok(mut words) if words.len() == 1 => Ok(words.remove(0)),
            Ok(_) => Err(("ambiguous redirect".to_owned(), 1)),
            Err(error) => Err((error, 1)),
        }
    }

    fn source(&mut self, source: &[u8]) -> Result<Content, (String, u8)> {
        match self.content(source) {
            Ok(content) => Ok(content),
            // It can be opened, and not be read.
            Err(Errno::EISDIR) => Ok(Content::inline(*b"")),
            Err(errno) => Err(self.cannot_open(&String::from_utf8_lossy(source), errno)),
        }
    }

    fn sink(&mut self, target: &[u8], append: bool) -> Result<Sink, (String, u8)> {
        let path = self.path(target);
        if &*path == b"/dev/null" {
            return Ok(Sink::Nowhere);
        }
        let flags = OpenFlags {
            write: true,
            create: true,
            truncate: !append,
            append,
            ..OpenFlags::default()
        };
        let opened = self.open(target, flags, 0o666, Io::Nothing);
        opened.map_err(|errno| self.cannot_create(&String::from_utf8_lossy(target), errno))?;
        self.files.push(OutFile {
            path,
            append,
            written: 0,
            pending: Vec::new(),
            ino: None,
        });
        let number = self.files.len() - 1;
        if let Ok(stat) = self.stat(target, true) {
            self.files[number].ino = Some(stat.ino);
        }
        Ok(Sink::File(number))
    }

    /// Writes what redirected streams still hold, and leads them back.
    pub fn end_redirects(&mut self, before: Streams) {
        for number in 0..self.files.len() {
            self.flush(number);
        }
        self.files.truncate(before.files);
        self.sinks = before.sinks;
        if let Some(stdin) = before.stdin {
            self.stdin = stdin;
        }
    }
}

/// A path and a name in it.
pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory.ends_with(b"/") || directory.is_empty() {
        true => [directory, name].concat(),
        false => [directory, b"/", name].concat(),
    }
}

/// The last name of a path, without slashes after it; of a path of slashes, a slash.
pub(super) fn base_name(path: &[u8]) -> &[u8] {
    let trimmed = trim_slashes(path);
    match trimmed {
        b"/" => trimmed,
        _ => trimmed.rsplit(|&byte| byte == b'/').next().unwrap_or(trimmed),
    }
}

/// Without slashes at its end, unless it is one.
pub(super) fn trim_slashes(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte != b'/');
    match end {
        Some(end) => &path[..=end],
        None => &path[..path.len().min(1)],
    }
}

/// Something found on the way through directories.
pub(super) enum Visit {
    /// Met, before what is in it.
    Enter { path: Vec<u8>, stat: Stat, depth: usize },
    /// A directory, after what is in it.
    Leave { path: Vec<u8>, stat: Stat, depth: usize },
    /// It could not be looked at, or not be listed.
    Failed {
        path: Vec<u8>,
        is_listing: bool,
        errno: Errno,
        depth: usize,
    },
}

enum Step {
    Enter(Vec<u8>, usize),
    Leave(Vec<u8>, Stat, usize),
    Failed(Vec<u8>, Errno, usize),
}

/// A walk through directories in the order in which they list their names, links not followed. Paths are as
/// long as the kernel takes them, so it is never deeper than that.
pub(super) struct Walk {
    steps: Vec<Step>,
    /// Whether the top may be a link to a directory.
    follows_top: bool,
    entered: Option<(Vec<u8>, Stat, usize)>,
}

impl Walk {
    pub fn new(top: &[u8]) -> Self {
        Self {
            steps: vec![Step::Enter(top.to_vec(), 0)],
            follows_top: false,
            entered: None,
        }
    }

    /// A walk whose top may be a link to what is walked through.
    pub fn following(top: &[u8]) -> Self {
        Self {
            follows_top: true,
            ..Self::new(top)
        }
    }

    /// Does not go into what was just entered; it is not left either.
    pub fn skip(&mut self) {
        self.entered = None;
    }

    pub fn next(&mut self, job: &mut Job<'_>) -> Option<Visit> {
        if let Some((path, stat, depth)) = self.entered.take() {
            self.list(job, path, stat, depth);
        }
        Some(match self.steps.pop()? {
            Step::Enter(path, depth) => match job.stat(&path, self.follows_top && depth == 0) {
                Ok(stat) => {
                    if stat.file_type == FileType::Directory {
                        self.entered = Some((path.clone(), stat.clone(), depth));
                    }
                    Visit::Enter { path, stat, depth }
                }
                Err(errno) => Visit::Failed {
                    path,
                    is_listing: false,
                    errno,
                    depth,
                },
            },
            Step::Leave(path, stat, depth) => Visit::Leave { path, stat, depth },
            Step::Failed(path, errno, depth) => Visit::Failed {
                path,
                is_listing: true,
                errno,
                depth,
            },
        })
    }

    fn list(&mut self, job: &mut Job<'_>, path: Vec<u8>, stat: Stat, depth: usize) {
        let listed = job.names(&path);
        self.steps.push(Step::Leave(path.clone(), stat, depth));
        match listed {
            Ok(names) => {
                let children = names
                    .iter()
                    .rev()
                    .map(|name| Step::Enter(join(&path, name), depth + 1));
                self.steps.extend(children);
            }
            Err(errno) => self.steps.push(Step::Failed(path, errno, depth)),
        }
    }
}

/// `quote::always`, which nearly every message needs.
pub(super) fn q(name: &[u8]) -> String {
    quote::always(name)
}
