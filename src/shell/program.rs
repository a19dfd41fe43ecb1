//! A container's process, as far as this shell can stand in for it: the program is looked up, and refused, as runc
//! and the kernel do it; what runs then is a command of this shell with the same name, or the shell itself. No code of
//! an image is executed.

use super::busybox;
use super::help::COMMANDS;
use super::inside::{Inside, Kind, env, shell, variable};
use super::job::{Job, base_name, join};
use super::option::{self, Command};
use super::{MountInfo, Ran, Shell, show};
use crate::content::{Content, WINDOW};
use crate::image::elf;
use crate::overlay::mount::{Caller, Errno, FileType, Stat, System};

/// What the process is told (execve(2)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its environment, `KEY=VALUE`; the last of a name counts.
    pub env: Vec<Vec<u8>>,
    /// Where it starts, which must be there.
    pub cwd: Vec<u8>,
}

/// What came of a program.
#[derive(Debug)]
pub enum Execution {
    /// The runtime does not start it, and says why: `exec: "/bin/x": permission denied`.
    NotStarted(String),
    /// A shell that waits for lines.
    Waits,
    /// It would be started; this shell has nothing that does the same as the program at this path.
    Unknown(Vec<u8>),
    /// It has ended.
    Ended(Ran),
}

/// A file that can be executed.
pub(super) struct Image {
    /// Where it is.
    path: Vec<u8>,
    argv: Vec<Vec<u8>>,
    content: Content,
}

/// How many scripts lead to each other at most: the kernel's own limit.
const MAX_SCRIPTS: usize = 5;
/// How much of a script the kernel looks at (`BINPRM_BUF_SIZE`).
const SCRIPT_WINDOW: u64 = 256;
/// How far a program is looked through for what it is.
const PROGRAM_LIMIT: u64 = 8 << 20;
/// The machine that containers run on here.
const ARCHITECTURES: [&str; 2] = ["amd64", "386"];

impl Shell {
    /// A shell that stands in for a process.
    pub fn of_process(process: Process, mount: MountInfo) -> Self {
        let mut shell = Self::new(mount).starting_in(&process.cwd);
        shell.inside = Some(Inside::new(process.env));
        shell
    }

    /// Whether a program can be started; if not, what the runtime says: `exec: "x": permission denied`.
    pub fn find_program(
        &mut self,
        system: &mut dyn System,
        caller: Caller,
        args: &[Vec<u8>],
    ) -> Result<(), String> {
        let mut goes_on = || true;
        let mut job = Job::new(self, system, runtime(caller), &mut goes_on);
        let name = args.first().map(Vec::as_slice).unwrap_or_default();
        look_up(&mut job, name).map(drop)
    }

    /// Executes a program with its arguments, the first of which names it.
    pub fn execute(&mut self, system: &mut dyn System, caller: Caller, args: &[Vec<u8>]) -> Execution {
        let mut goes_on = || true;
        let mut job = Job::new(self, system, runtime(caller), &mut goes_on);
        let name = args.first().map(Vec::as_slice).unwrap_or_default();
        let path = match look_up(&mut job, name) {
            Ok(path) => path,
            Err(reason) => return Execution::NotStarted(reason),
        };
        let image = match load(&mut job, &path, args.to_vec(), 0) {
            Ok(image) => image,
            Err(errno) => {
                let shown = String::from_utf8_lossy(&path).into_owned();
                job.error_line(&format!("exec {shown}: {}", errno.text().to_ascii_lowercase()));
                return Execution::Ended(job.end(1));
            }
        };
        job.caller = caller;
        match run(&mut job, image) {
            Run::Ended(status) => Execution::Ended(job.end(status)),
            Run::Waits => Execution::Waits,
            Run::Unknown(path) => Execution::Unknown(path),
        }
    }
}

/// runc executes the first program with the capabilities of the container, whoever the user is; the program itself has
/// them only if that is root.
fn runtime(caller: Caller) -> Caller {
    Caller::root(caller.now)
}

/// Where Go's `exec.LookPath` finds a program, as runc asks it; or what it says.
fn look_up(job: &mut Job<'_>, name: &[u8]) -> Result<Vec<u8>, String> {
    let found = match name.contains(&b'/') {
        true => match job.stat(name, true) {
            Err(errno) => {
                let shown = String::from_utf8_lossy(name);
                Err(format!("stat {shown}: {}", errno.text().to_ascii_lowercase()))
            }
            Ok(stat) if is_program(&stat) => Ok(name.to_vec()),
            Ok(_) => Err("permission denied".to_owned()),
        },
        false => find(job, name).ok_or_else(|| "executable file not found in $PATH".to_owned()),
    };
    found.map_err(|reason| format!("exec: {:?}: {reason}", String::from_utf8_lossy(name)))
}

/// A name in the directories of PATH.
pub(super) fn find(job: &mut Job<'_>, name: &[u8]) -> Option<Vec<u8>> {
    if name.is_empty() {
        return None;
    }
    let path = match variable(job, b"PATH") {
        Some(path) => path.to_vec(),
        None => default_path(job)?.to_vec(),
    };
    if path.is_empty() {
        return None;
    }
    for directory in path.split(|&byte| byte == b':') {
        let directory: &[u8] = if directory.is_empty() { b"." } else { directory };
        let candidate = join(directory, name);
        if job.stat(&candidate, true).is_ok_and(|stat| is_program(&stat)) {
            return Some(candidate);
        }
    }
    None
}

/// Where a shell looks if nobody told it.
fn default_path(job: &Job<'_>) -> Option<&'static [u8]> {
    let inside = job.shell.inside.as_ref().filter(|inside| inside.depth > 0)?;
    Some(match inside.kind {
        Kind::Busybox => b"/sbin:/usr/sbin:/bin:/usr/bin",
        Kind::Dash | Kind::Bash => b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    })
}

fn is_program(stat: &Stat) -> bool {
    stat.file_type != FileType::Directory && stat.mode & 0o111 != 0
}

/// Whether the caller may execute it (inode(7)).
fn may_execute(caller: Caller, stat: &Stat) -> bool {
    let bits = match caller.uid {
        0 => 0o111,
        uid if uid == stat.uid => 0o100,
        _ if caller.gid == stat.gid => 0o010,
        _ => 0o001,
    };
    stat.file_type == FileType::File && stat.mode & bits != 0
}

/// What execve(2) would make of a file.
pub(super) fn load(
    job: &mut Job<'_>,
    path: &[u8],
    argv: Vec<Vec<u8>>,
    scripts: usize,
) -> Result<Image, Errno> {
    let stat = job.stat(path, true)?;
    if !may_execute(job.caller, &stat) {
        return Err(Errno::EACCES);
    }
    // Nobody needs to be able to read what is executed.
    let caller = job.caller;
    job.caller = Caller::root(caller.now);
    let content = job.content(path);
    job.caller = caller;
    let content = content?;
    let start = start_of(&content)?;
    if start.starts_with(elf::MAGIC) {
        let program = elf::read(&content).map_err(|_| Errno::ENOEXEC)?;
        let is_ours = program.machine.architecture();
        if !is_ours.is_some_and(|name| ARCHITECTURES.contains(&name)) {
            return Err(Errno::ENOEXEC);
        }
        if let Some(loader) = program.interpreter {
            let stat = job.stat(&loader, true)?;
            if !may_execute(job.caller, &stat) {
                return Err(Errno::EACCES);
            }
        }
        return Ok(Image {
            path: path.to_vec(),
            argv,
            content,
        });
    }
    let Some(line) = start.strip_prefix(b"#!") else {
        return Err(Errno::ENOEXEC);
    };
    if scripts == MAX_SCRIPTS {
        return Err(Errno::ELOOP);
    }
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.trim_ascii();
    let blank = line.iter().position(|byte| b" \t".contains(byte));
    let (interpreter, argument) = line.split_at(blank.unwrap_or(line.len()));
    if interpreter.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let mut words = vec![interpreter.to_vec()];
    words.extend(Some(argument.trim_ascii().to_vec()).filter(|argument| !argument.is_empty()));
    words.push(path.to_vec());
    words.extend(argv.into_iter().skip(1));
    load(job, interpreter, words, scripts + 1)
}

fn start_of(content: &Content) -> Result<Vec<u8>, Errno> {
    let mut start = vec![0; content.len().min(SCRIPT_WINDOW) as usize];
    content.read_at(0, &mut start).map_err(|_| Errno::EIO)?;
    Ok(start)
}

/// What a program does.
pub(super) enum Run {
    Ended(u8),
    Waits,
    Unknown(Vec<u8>),
}

pub(super) fn run(job: &mut Job<'_>, image: Image) -> Run {
    let Image {
        path,
        mut argv,
        content,
    } = image;
    if show::is_it(&content) {
        return Run::Ended(show::run(job, &argv));
    }
    let file = super::read::resolved(job, &path).unwrap_or_else(|_| path.clone());
    let is_busybox = base_name(&file) == b"busybox" || has_text(job, &content, b"BusyBox v");
    // BusyBox goes by what it is called, others by the name of their file.
    let mut name = match is_busybox {
        true => base_name(&argv[0]).to_vec(),
        false => base_name(&path).to_vec(),
    };
    if name == b"busybox" && argv.len() > 1 {
        argv.remove(0);
        name.clone_from(&argv[0]);
    }
    let kind = match (is_busybox, base_name(&file)) {
        (true, _) => Kind::Busybox,
        (_, b"bash") => Kind::Bash,
        _ => Kind::Dash,
    };
    if let Some(inside) = &mut job.shell.inside {
        inside.kind = kind;
    }
    match &name[..] {
        b"sh" | b"dash" | b"bash" | b"ash" => shell(job, kind, &argv),
        // A shell would have put variables of its own there.
        b"env" if argv.len() == 1 && job.shell.inside.as_ref().is_some_and(|inside| inside.depth == 0) => {
            Run::Ended(env(job))
        }
        name => match command(name).filter(|_| !is_busybox || busybox::has(name)) {
            Some(command) => Run::Ended(option::run(job, command, argv.split_off(1))),
            None => Run::Unknown(path),
        },
    }
}

pub(super) fn command(name: &[u8]) -> Option<&'static Command> {
    // What is the shell's alone is no program.
    let is_program = !matches!(name, b"cd" | b"help");
    let mut commands = COMMANDS.iter();
    commands.find(|command| command.name.as_bytes() == name && is_program)
}

/// Whether a program holds a text.
fn has_text(job: &mut Job<'_>, content: &Content, text: &[u8]) -> bool {
    let mut offset = 0;
    let mut window = vec![0; WINDOW];
    while offset < content.len().min(PROGRAM_LIMIT) && job.works_on() {
        let length = (content.len() - offset).min(WINDOW as u64) as usize;
        if content.read_at(offset, &mut window[..length]).is_err() {
            return false;
        }
        if window[..length].windows(text.len()).any(|bytes| bytes == text) {
            return true;
        }
        // What lies across two windows is in the next.
        offset += (length - text.len().min(length - 1)) as u64;
    }
    false
}
