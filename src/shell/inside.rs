//! The shell of a container's process: what dash, bash and BusyBox's shell make of a line, with their words, and the
//! programs that it runs. Knows no files but by the system calls of the process.

use super::busybox;
use super::help::COMMANDS;
use super::job::Job;
use super::lex::Variable;
use super::option;
use super::parse::{self, ParseError};
use super::program::{Run, command, find, load, run};
use crate::overlay::mount::Errno;

/// What a shell knows that is a container's process.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    pub env: Vec<Vec<u8>>,
    /// What it was called, and the arguments behind: `$0`, `$1`, ….
    words: Vec<Vec<u8>>,
    pub kind: Kind,
    /// Programs that are run by programs.
    pub depth: usize,
}

impl Inside {
    /// A process that was just started, with its environment.
    pub fn new(env: Vec<Vec<u8>>) -> Self {
        Self {
            env,
            words: Vec::new(),
            kind: Kind::Dash,
            depth: 0,
        }
    }
}

/// Which shell, or whose commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// BusyBox, with its own shell: commands need no file.
    Busybox,
    Dash,
    Bash,
}

/// As how many shells at most one is run by another.
const MAX_DEPTH: usize = 20;
/// The longest script that is run.
const SCRIPT_LIMIT: u64 = 1 << 20;
/// What of a shell's language is not known here, or belongs to what is not.
const NOT_KNOWN: [&str; 26] = [
    "!", "{", "}", "[[", "while", "until", "case", "esac", "function", "select", "set", "read", "eval",
    "source", ".", "trap", "wait", "alias", "shift", "local", "readonly", "command", "break", "continue",
    "return", "declare",
];

/// The value of a variable of the environment.
pub(super) fn variable<'j>(job: &'j Job<'_>, name: &[u8]) -> Option<&'j [u8]> {
    let env = job.shell.inside.iter().flat_map(|inside| inside.env.iter().rev());
    let mut values = env.filter_map(|variable| variable.strip_prefix(name)?.strip_prefix(b"="));
    values.next()
}

pub(super) fn env(job: &mut Job<'_>) -> u8 {
    let env = job.shell.inside.as_ref().map(|inside| inside.env.clone());
    for variable in env.unwrap_or_default() {
        job.print([&variable[..], b"\n"].concat());
    }
    0
}

/// What a variable of a line holds: what was assigned, one of the environment, or an argument.
pub(super) fn value(job: &Job<'_>, variable: &Variable) -> Option<Vec<u8>> {
    let of = |name: &[u8]| {
        let assigned = job.shell.variables.get(name).map(Vec::as_slice);
        assigned.or_else(|| self::variable(job, name)).map(<[u8]>::to_vec)
    };
    match variable {
        Variable::Status => Some(job.shell.status.to_string().into_bytes()),
        Variable::Cwd => Some(job.shell.cwd.clone()),
        Variable::Home => of(b"HOME").or_else(|| job.kind().is_none().then(|| b"/root".to_vec())),
        Variable::Named(name) => match std::str::from_utf8(name)
            .ok()
            .and_then(|text| text.parse::<usize>().ok())
        {
            Some(number) => job.shell.inside.as_ref()?.words.get(number).cloned(),
            None if name == b"OLDPWD" => job.shell.previous.clone(),
            None => of(name),
        },
    }
}

/// A shell with its arguments.
pub(super) fn shell(job: &mut Job<'_>, kind: Kind, argv: &[Vec<u8>]) -> Run {
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
        // What comes through a pipe is its script.
        (false, None) if !job.stdin.is_empty() => {
            let text = job.take_stdin().read_all(SCRIPT_LIMIT).unwrap_or_default();
            Run::Ended(script(job, kind, &text, vec![argv[0].clone()]))
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
    let variables = std::mem::take(&mut job.shell.variables);
    let status = match parse::parse(text) {
        Ok(list) => super::run::list(job, &list),
        Err(error) => {
            match parse_error(kind, &error) {
                Some(text) => job.shell_error(&text),
                None => job.error_line(&format!("handroll: {error}")),
            }
            2
        }
    };
    job.shell.variables = variables;
    let status = job.exits.take().unwrap_or(status);
    job.shell.inside = Some(outer);
    (job.shell.cwd, job.shell.previous) = (cwd, previous);
    status
}

/// Whether a word in front of a command is the shell's language, of which this one does not know it.
pub(super) fn is_unknown(word: &str) -> bool {
    NOT_KNOWN.contains(&word)
}

/// What dash and BusyBox say of a line that ends too soon.
fn ended(kind: Kind, expected: Option<&str>) -> String {
    let expected = expected.map_or_else(String::new, |word| format!(" (expecting \"{word}\")"));
    match kind {
        Kind::Busybox => format!("syntax error: unexpected end of file{expected}"),
        _ => format!("Syntax error: end of file unexpected{expected}"),
    }
}

/// What a shell says of a line that is none; nothing if this one alone does not know it.
fn parse_error(kind: Kind, error: &ParseError) -> Option<String> {
    Some(match (kind, error) {
        (
            _,
            ParseError::NotSupported { .. }
            | ParseError::NotKnown { .. }
            | ParseError::NotAName { .. }
            | ParseError::NotAnIdentifier { .. }
            | ParseError::TooDeep,
        ) => return None,
        (Kind::Bash, _) => error.to_string(),
        (Kind::Dash, ParseError::Unexpected { token }) => format!("Syntax error: \"{token}\" unexpected"),
        (Kind::Busybox, ParseError::Unexpected { token }) => format!("syntax error: unexpected \"{token}\""),
        (_, ParseError::Unclosed { quote: ')' }) => ended(kind, Some(")")),
        (_, ParseError::Unfinished { expected }) => ended(kind, *expected),
        (Kind::Dash, ParseError::Unclosed { .. }) => "Syntax error: Unterminated quoted string".to_owned(),
        (Kind::Busybox, ParseError::Unclosed { .. }) => "syntax error: unterminated quoted string".to_owned(),
    })
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

    /// What a file says that input cannot come from, and the status.
    pub fn cannot_open(&self, shown: &str, errno: Errno) -> (String, u8) {
        let why = |missing| reason(errno, missing);
        match self.kind() {
            Some(Kind::Busybox) => (format!("can't open {shown}: {}", why("no such file")), 1),
            Some(Kind::Dash) => (format!("cannot open {shown}: {}", why("No such file")), 2),
            Some(Kind::Bash) | None => (format!("{shown}: {}", errno.text()), 1),
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
            let status = execute(job, kind, &name, arguments, true);
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
    );
    if is_own && let Some(command) = COMMANDS.iter().find(|known| known.name.as_bytes() == name) {
        return option::run(job, command, arguments);
    }
    execute(job, kind, name, arguments, false)
}

/// Runs a program for a shell, as a process of its own or, by `exec`, in its place.
fn execute(job: &mut Job<'_>, kind: Kind, name: &[u8], mut arguments: Vec<Vec<u8>>, by_exec: bool) -> u8 {
    // BusyBox has its commands in itself.
    if kind == Kind::Busybox
        && busybox::has(name)
        && let Some(command) = command(name)
    {
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
        Err(errno) => not_executed(job, kind, name, errno, by_exec),
    }
}

fn restore(job: &mut Job<'_>, kind: Kind) {
    if let Some(inside) = &mut job.shell.inside {
        inside.kind = kind;
    }
}

/// What a shell says of a program that cannot be run, and the status.
fn not_executed(job: &mut Job<'_>, kind: Kind, name: &[u8], errno: Errno, by_exec: bool) -> u8 {
    let shown = String::from_utf8_lossy(name).into_owned();
    let is_missing = errno == Errno::ENOENT;
    let text = match (kind, is_missing) {
        (Kind::Busybox | Kind::Dash, true) => format!("{shown}: not found"),
        (Kind::Bash, true) if by_exec => format!("{shown}: not found"),
        (Kind::Bash, true) if !name.contains(&b'/') => format!("{shown}: command not found"),
        _ => format!("{shown}: {}", errno.text()),
    };
    let text = match (kind, by_exec) {
        (_, false) => text,
        (Kind::Busybox, true) => format!("exec: line 0: {text}"),
        (Kind::Bash, true) if !is_missing => {
            job.shell_error(&text);
            format!("exec: {shown}: cannot execute: {}", errno.text())
        }
        (Kind::Dash | Kind::Bash, true) => format!("exec: {text}"),
    };
    job.shell_error(&text);
    if is_missing { 127 } else { 126 }
}
