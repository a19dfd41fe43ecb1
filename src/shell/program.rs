//! A container's process, as far as this shell can stand in for it: the program is looked up, and refused, as runc
//! and the kernel do it; what runs then is a command of this shell with the same name, or the shell itself. No code of
//! an image is executed.

use super::busybox;
use super::help::COMMANDS;
use super::job::{Job, base_name, join};
use super::option::{self, Command};
use super::parse::{self, ParseError, Part, Simple, Variable, Word};
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

/// What a shell knows that is a container's process.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    env: Vec<Vec<u8>>,
    /// What it was called, and the arguments behind: `$0`, `$1`, ….
    words: Vec<Vec<u8>>,
    pub kind: Kind,
    /// Programs that are run by programs.
    depth: usize,
}

/// Which shell, or whose commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// BusyBox, with its own shell: commands need no file.
    Busybox,
    Dash,
    Bash,
}

/// A file that can be executed.
struct Image {
    /// Where it is.
    path: Vec<u8>,
    argv: Vec<Vec<u8>>,
    content: Content,
}

/// As how many programs at most one is run by another; the kernel's own limit is that of scripts.
const MAX_DEPTH: usize = 20;
const MAX_SCRIPTS: usize = 5;
/// How much of a script the kernel looks at (`BINPRM_BUF_SIZE`).
const SCRIPT_WINDOW: u64 = 256;
/// The longest script that is run.
const SCRIPT_LIMIT: u64 = 1 << 20;
/// How far a program is looked through for what it is.
const PROGRAM_LIMIT: u64 = 8 << 20;
/// The machine that containers run on here.
const ARCHITECTURES: [&str; 2] = ["amd64", "386"];

/// What of a shell's language is not known here, or belongs to what is not.
const NOT_KNOWN: [&str; 34] = [
    "!", "{", "}", "[[", "for", "if", "while", "until", "case", "do", "done", "then", "else", "elif", "fi",
    "esac", "in", "function", "select", "export", "set", "unset", "read", "eval", "source", ".", "trap",
    "wait", "alias", "shift", "local", "readonly", "command", "break",
];

impl Shell {
    /// A shell that stands in for a process.
    pub fn of_process(process: Process, mount: MountInfo) -> Self {
        let mut shell = Self::new(mount).starting_in(&process.cwd);
        shell.inside = Some(Inside {
            env: process.env,
            words: Vec::new(),
            kind: Kind::Dash,
            depth: 0,
        });
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
fn find(job: &mut Job<'_>, name: &[u8]) -> Option<Vec<u8>> {
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
fn load(job: &mut Job<'_>, path: &[u8], argv: Vec<Vec<u8>>, scripts: usize) -> Result<Image, Errno> {
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
enum Run {
    Ended(u8),
    Waits,
    Unknown(Vec<u8>),
}

fn run(job: &mut Job<'_>, image: Image) -> Run {
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

fn command(name: &[u8]) -> Option<&'static Command> {
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

/// The value of a variable of the environment.
fn variable<'j>(job: &'j Job<'_>, name: &[u8]) -> Option<&'j [u8]> {
    let env = job.shell.inside.iter().flat_map(|inside| inside.env.iter().rev());
    let mut values = env.filter_map(|variable| variable.strip_prefix(name)?.strip_prefix(b"="));
    values.next()
}

fn env(job: &mut Job<'_>) -> u8 {
    let env = job.shell.inside.as_ref().map(|inside| inside.env.clone());
    for variable in env.unwrap_or_default() {
        job.print([&variable[..], b"\n"].concat());
    }
    0
}

/// What a variable of a line stands for: one of the environment, or an argument.
pub(super) fn value(job: &Job<'_>, name: &[u8]) -> Vec<u8> {
    let number = std::str::from_utf8(name).ok().and_then(|text| text.parse().ok());
    let found = match number {
        Some(number) => {
            let inside = job.shell.inside.as_ref();
            inside.and_then(|inside| inside.words.get::<usize>(number).map(Vec::as_slice))
        }
        None if name == b"OLDPWD" => job.shell.previous.as_deref(),
        None => variable(job, name),
    };
    found.map(<[u8]>::to_vec).unwrap_or_default()
}

/// The name of a variable outside of quotes whose value a shell would split, or match with names.
pub(super) fn unsplit(job: &Job<'_>, word: &Word) -> Option<String> {
    let is_special = |byte: &u8| b" \t\n*?[".contains(byte);
    word.iter().find_map(|part| match part {
        Part::Variable(Variable::Named {
            name,
            is_quoted: false,
        }) => {
            let is_split = value(job, name).iter().any(is_special);
            is_split.then(|| String::from_utf8_lossy(name).into_owned())
        }
        _ => None,
    })
}

/// A shell with its arguments.
fn shell(job: &mut Job<'_>, kind: Kind, argv: &[Vec<u8>]) -> Run {
    let mut words = argv[1..].iter();
    let mut is_line = false;
    while let Some([b'-', letters @ ..]) = words.as_slice().first().map(Vec::as_slice) {
        words.next();
        for letter in letters {
            match letter {
                b'c' => is_line = true,
                b'i' | b'l' | b's' => {}
                _ => {
                    let option = String::from_utf8_lossy(letters).into_owned();
                    job.error_line(&format!("handroll: -{option} of a shell is not known here"));
                    return Run::Ended(2);
                }
            }
        }
    }
    let rest: Vec<Vec<u8>> = words.cloned().collect();
    match (is_line, rest.split_first()) {
        (true, None) => {
            say(job, argv, "-c requires an argument");
            Run::Ended(2)
        }
        (true, Some((line, names))) => {
            let names = match names {
                [] => vec![argv[0].clone()],
                names => names.to_vec(),
            };
            Run::Ended(script(job, kind, line, names))
        }
        (false, None) => Run::Waits,
        (false, Some((file, _))) => {
            let text = job
                .content(file)
                .and_then(|content| content.read_all(SCRIPT_LIMIT).map_err(|_| Errno::EIO));
            match text {
                Ok(text) => Run::Ended(script(job, kind, &text, rest)),
                Err(errno) => {
                    let shown = String::from_utf8_lossy(file).into_owned();
                    let (text, status) = match kind {
                        Kind::Busybox => (format!("can't open '{shown}': {}", errno.text()), 2),
                        Kind::Dash => (
                            format!("0: cannot open {shown}: {}", reason(errno, "No such file")),
                            2,
                        ),
                        Kind::Bash => (format!("{shown}: {}", errno.text()), 127),
                    };
                    say(job, argv, &text);
                    Run::Ended(status)
                }
            }
        }
    }
}

fn say(job: &mut Job<'_>, argv: &[Vec<u8>], text: &str) {
    let name = String::from_utf8_lossy(&argv[0]).into_owned();
    job.error_line(&format!("{name}: {text}"));
}

/// dash's own words for a name that is not there.
fn reason(errno: Errno, missing: &str) -> String {
    match errno {
        Errno::ENOENT => missing.to_owned(),
        errno => errno.text(),
    }
}

/// Runs a text as a shell of its own, called by the first of the words.
fn script(job: &mut Job<'_>, kind: Kind, text: &[u8], words: Vec<Vec<u8>>) -> u8 {
    let Some(outer) = job.shell.inside.clone() else {
        return 1;
    };
    if outer.depth == MAX_DEPTH {
        job.error_line(&format!("handroll: {MAX_DEPTH} shells in each other are enough"));
        return 1;
    }
    let inner = Inside {
        words,
        kind,
        depth: outer.depth + 1,
        env: outer.env.clone(),
    };
    job.shell.inside = Some(inner);
    let (cwd, previous) = (job.shell.cwd.clone(), job.shell.previous.clone());
    job.shell.status = 0;
    let status = match parse::parse_inside(text) {
        Err(error) => {
            let text = parse_error(kind, &error);
            job.shell_error(&text);
            2
        }
        Ok(list) => match list.iter().find_map(|(_, simple)| not_known(simple)) {
            Some(word) => {
                job.error_line(&format!(
                    "handroll: `{word}` is not known here, so nothing of the line is run"
                ));
                2
            }
            None => super::run_list(job, &list),
        },
    };
    let status = job.exits.take().unwrap_or(status);
    job.shell.inside = Some(outer);
    (job.shell.cwd, job.shell.previous) = (cwd, previous);
    status
}

/// A word in front of a command that this shell would take for a program.
fn not_known(simple: &Simple) -> Option<String> {
    let first = simple.words.first()?;
    let bytes = first.iter().map_while(|part| match part {
        Part::Byte {
            byte,
            is_quoted: false,
        } => Some(*byte),
        _ => None,
    });
    let text = String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned();
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match text.split_once('=') {
        Some((name, _)) if is_name(name) => Some(format!("{name}=")),
        _ => NOT_KNOWN.contains(&&text[..]).then_some(text),
    }
}

/// What a shell says of a line that is none.
fn parse_error(kind: Kind, error: &ParseError) -> String {
    match (kind, error) {
        (Kind::Bash, _) | (_, ParseError::NotSupported { .. } | ParseError::UnknownVariable { .. }) => {
            error.to_string()
        }
        (Kind::Dash, ParseError::Unclosed { .. }) => "Syntax error: Unterminated quoted string".to_owned(),
        (Kind::Dash, ParseError::Unexpected { token }) => format!("Syntax error: \"{token}\" unexpected"),
        (Kind::Dash, ParseError::Unfinished) => "Syntax error: end of file unexpected".to_owned(),
        (_, ParseError::Unclosed { .. }) => "syntax error: unterminated quoted string".to_owned(),
        (_, ParseError::Unexpected { token }) => format!("syntax error: unexpected \"{token}\""),
        (_, ParseError::Unfinished) => "syntax error: unexpected end of file".to_owned(),
    }
}

impl Job<'_> {
    /// An error of the shell itself, with its name in front.
    pub fn shell_error(&mut self, text: &str) {
        let name = |inside: &Inside| {
            let name = inside.words.first().map(|name| String::from_utf8_lossy(name));
            name.unwrap_or_default().into_owned()
        };
        let line = match &self.shell.inside {
            None => text.to_owned(),
            Some(inside) => match inside.kind {
                Kind::Busybox => format!("{}: {text}", name(inside)),
                Kind::Dash => format!("{}: 1: {text}", name(inside)),
                Kind::Bash => format!("{}: line 1: {text}", name(inside)),
            },
        };
        self.error_line(&line);
    }

    /// Whose commands they are, in a container's process.
    pub fn kind(&self) -> Option<Kind> {
        self.shell.inside.as_ref().map(|inside| inside.kind)
    }

    /// What cd says of a directory that cannot be gone to; the status.
    pub fn cannot_go(&mut self, shown: &str, errno: Errno) -> u8 {
        let errno = errno.text();
        match self.kind() {
            Some(Kind::Busybox) => self.shell_error(&format!("cd: line 0: can't cd to {shown}: {errno}")),
            Some(Kind::Dash) => self.shell_error(&format!("cd: can't cd to {shown}")),
            Some(Kind::Bash) | None => self.shell_error(&format!("cd: {shown}: {errno}")),
        }
        match self.kind() {
            Some(Kind::Busybox | Kind::Dash) => 2,
            Some(Kind::Bash) | None => 1,
        }
    }

    /// What a file says that output cannot go to, and the status.
    pub fn cannot_create(&self, shown: &str, errno: Errno) -> (String, u8) {
        match self.kind() {
            Some(Kind::Busybox) => {
                let reason = reason(errno, "nonexistent directory");
                (format!("can't create {shown}: {reason}"), 1)
            }
            Some(Kind::Dash) => {
                let reason = reason(errno, "Directory nonexistent");
                (format!("cannot create {shown}: {reason}"), 2)
            }
            Some(Kind::Bash) | None => (format!("{shown}: {}", errno.text()), 1),
        }
    }
}

/// Runs a command of a line in a container's process.
pub(super) fn dispatch(job: &mut Job<'_>, name: &[u8], mut arguments: Vec<Vec<u8>>) -> u8 {
    let kind = job.kind().unwrap_or(Kind::Dash);
    match name {
        b":" => return 0,
        b"exit" => {
            let given = arguments.first().and_then(|text| std::str::from_utf8(text).ok());
            let code = given.and_then(|text| text.parse::<u64>().ok());
            let status = code.map_or(job.shell.status, |code| (code & 0xff) as u8);
            job.exits = Some(status);
            return status;
        }
        b"exec" if !arguments.is_empty() => {
            let name = arguments.remove(0);
            let status = dispatch(job, &name, arguments);
            job.exits = Some(status);
            return status;
        }
        // Its echo understands escapes without being asked.
        b"echo" if kind == Kind::Dash => arguments.insert(0, b"-e".to_vec()),
        _ => {}
    }
    let is_own = matches!(
        name,
        b"cd" | b"pwd" | b"echo" | b"true" | b"false" | b"test" | b"["
    ) || kind == Kind::Busybox && busybox::has(name);
    if is_own && let Some(command) = COMMANDS.iter().find(|known| known.name.as_bytes() == name) {
        return option::run(job, command, arguments);
    }
    if kind == Kind::Busybox && matches!(name, b"sh" | b"ash") {
        arguments.insert(0, name.to_vec());
        return match shell(job, kind, &arguments) {
            Run::Ended(status) => status,
            Run::Waits | Run::Unknown(_) => 0,
        };
    }
    let path = match name.contains(&b'/') {
        true => Ok(name.to_vec()),
        false => find(job, name).ok_or(Errno::ENOENT),
    };
    let loaded = path.and_then(|path| {
        let mut argv = arguments.clone();
        argv.insert(0, name.to_vec());
        load(job, &path, argv, 0)
    });
    match loaded {
        Ok(image) => match run(job, image) {
            Run::Ended(status) => {
                restore(job, kind);
                status
            }
            Run::Waits => {
                restore(job, kind);
                // Its input is empty.
                0
            }
            Run::Unknown(path) => {
                restore(job, kind);
                let shown = String::from_utf8_lossy(&path).into_owned();
                job.error_line(&format!("handroll: {shown} is a program that cannot be run here"));
                126
            }
        },
        // What is no program is taken for a script.
        Err(Errno::ENOEXEC) => {
            let text = job
                .content(name)
                .and_then(|content| content.read_all(SCRIPT_LIMIT).map_err(|_| Errno::EIO));
            arguments.insert(0, name.to_vec());
            script(job, kind, &text.unwrap_or_default(), arguments)
        }
        Err(errno) => not_executed(job, kind, name, errno),
    }
}

fn restore(job: &mut Job<'_>, kind: Kind) {
    if let Some(inside) = &mut job.shell.inside {
        inside.kind = kind;
    }
}

fn not_executed(job: &mut Job<'_>, kind: Kind, name: &[u8], errno: Errno) -> u8 {
    let shown = String::from_utf8_lossy(name).into_owned();
    let is_missing = errno == Errno::ENOENT;
    let text = match (kind, is_missing) {
        (Kind::Busybox | Kind::Dash, true) => format!("{shown}: not found"),
        (Kind::Bash, true) if !name.contains(&b'/') => format!("{shown}: command not found"),
        _ => format!("{shown}: {}", errno.text()),
    };
    job.shell_error(&text);
    if is_missing { 127 } else { 126 }
}
