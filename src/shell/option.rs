//! Commands as a table, and their options as getopt_long(3) reads them.

use super::job::Job;
use super::quote;

/// An option of a command.
pub(super) struct Opt {
    /// Its letter.
    pub short: char,
    pub long: &'static str,
    /// What its value is called; empty if it has none.
    pub value: &'static str,
    pub about: &'static str,
}

pub(super) const fn flag(short: char, long: &'static str, about: &'static str) -> Opt {
    Opt {
        short,
        long,
        value: "",
        about,
    }
}

pub(super) const fn valued(short: char, long: &'static str, value: &'static str, about: &'static str) -> Opt {
    Opt {
        short,
        long,
        value,
        about,
    }
}

/// How a command takes its arguments.
pub(super) enum Run {
    /// Options apart.
    Parsed(fn(&mut Job<'_>, Args) -> u8),
    /// As they are.
    Raw(fn(&mut Job<'_>, &[Vec<u8>]) -> u8),
}

/// A command.
pub(super) struct Command {
    pub name: &'static str,
    /// What follows the name: `[OPTION]... FILE...`.
    pub usage: &'static str,
    pub about: &'static str,
    pub options: &'static [Opt],
    pub run: Run,
    /// The exit status of wrong usage.
    pub misuse: u8,
}

/// What a command was given.
#[derive(Debug, Default)]
pub(super) struct Args {
    pub options: Vec<(char, Vec<u8>)>,
    pub operands: Vec<Vec<u8>>,
}

impl Args {
    pub fn has(&self, short: char) -> bool {
        self.options.iter().any(|(given, _)| *given == short)
    }

    /// The value that was given last.
    pub fn value(&self, short: char) -> Option<&[u8]> {
        let found = self.options.iter().rfind(|(given, _)| *given == short);
        found.map(|(_, value)| &value[..])
    }

    /// Which of some options was given last.
    pub fn last_of(&self, shorts: &str) -> Option<char> {
        let given = self.options.iter().map(|(given, _)| *given);
        given.rev().find(|given| shorts.contains(*given))
    }
}

/// Runs a command with its arguments.
pub(super) fn dispatch(job: &mut Job<'_>, name: &[u8], arguments: Vec<Vec<u8>>) -> u8 {
    if job.kind().is_some() {
        return super::inside::dispatch(job, name, arguments);
    }
    if job.has_program(name) {
        return job.execute(name, arguments);
    }
    if name == b"sudo" && job.has_programs() {
        return sudo(job, arguments);
    }
    let Some(command) = super::help::COMMANDS.iter().find(|c| c.name.as_bytes() == name) else {
        return not_found(job, name);
    };
    run(job, command, arguments)
}

/// Runs a command of this shell's.
pub(super) fn run(job: &mut Job<'_>, command: &'static Command, arguments: Vec<Vec<u8>>) -> u8 {
    job.command = command.name;
    let takes_help = !matches!(command.name, "echo" | "true" | "false" | "test" | "[");
    if takes_help && arguments.iter().any(|argument| argument == b"--help") {
        let text = super::help::text(command);
        job.print(text);
        return 0;
    }
    match command.run {
        Run::Raw(run) => run(job, &arguments),
        Run::Parsed(run) => match parse(job, command.options, arguments) {
            Ok(args) => run(job, args),
            Err(()) => command.misuse,
        },
    }
}

/// Where there are programs one works as root: sudo(8) changes nothing.
fn sudo(job: &mut Job<'_>, mut arguments: Vec<Vec<u8>>) -> u8 {
    if arguments.is_empty() {
        job.error_line("usage: sudo COMMAND [ARGUMENT]...");
        return 1;
    }
    let name = arguments.remove(0);
    match &name[..] {
        [b'-', ..] => {
            job.error_line("sudo: options are not known here");
            1
        }
        name => dispatch(job, name, arguments),
    }
}

/// As bash says it: a path is tried, a name is looked for.
fn not_found(job: &mut Job<'_>, name: &[u8]) -> u8 {
    let shown = String::from_utf8_lossy(name).into_owned();
    if !name.contains(&b'/') {
        job.error_line(&format!("{shown}: command not found"));
        return 127;
    }
    let (text, status) = match job.stat(name, true) {
        Err(errno) => (errno.text(), if errno.0 == 2 { 127 } else { 126 }),
        Ok(stat) if stat.file_type == crate::overlay::mount::FileType::Directory => {
            ("Is a directory".to_owned(), 126)
        }
        Ok(stat) if stat.mode & 0o111 == 0 => ("Permission denied".to_owned(), 126),
        Ok(_) => (
            "programs are not run here, only what `help` lists".to_owned(),
            126,
        ),
    };
    job.error_line(&format!("{shown}: {text}"));
    status
}

pub(super) fn parse(job: &mut Job<'_>, options: &[Opt], arguments: Vec<Vec<u8>>) -> Result<Args, ()> {
    let mut args = Args::default();
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        match &argument[..] {
            b"--" => {
                args.operands.extend(rest);
                break;
            }
            [b'-', b'-', long @ ..] => long_option(job, options, long, &mut rest, &mut args)?,
            [b'-', shorts @ ..] if !shorts.is_empty() => {
                short_options(job, options, shorts, &mut rest, &mut args)?;
            }
            _ => args.operands.push(argument),
        }
    }
    Ok(args)
}

type Rest = std::vec::IntoIter<Vec<u8>>;

fn long_option(
    job: &mut Job<'_>,
    options: &[Opt],
    long: &[u8],
    rest: &mut Rest,
    args: &mut Args,
) -> Result<(), ()> {
    let mut parts = long.splitn(2, |&byte| byte == b'=');
    let name = parts.next().unwrap_or_default();
    let value = parts.next();
    let shown = crate::text::escape(name);
    let exact = options.iter().find(|option| option.long.as_bytes() == name);
    let found: Vec<&Opt> = match exact {
        Some(option) => vec![option],
        None => {
            let begins = |option: &&Opt| option.long.as_bytes().starts_with(name) && !name.is_empty();
            options.iter().filter(begins).collect()
        }
    };
    let [option] = found[..] else {
        let given = crate::text::escape(long);
        match found.is_empty() {
            true => job.misused(&format!("unrecognized option '--{given}'")),
            false => {
                let names = found.iter().map(|option| format!(" '--{}'", option.long));
                let names: String = names.collect();
                job.misused(&format!("option '--{shown}' is ambiguous; possibilities:{names}"));
            }
        }
        return Err(());
    };
    let long = option.long;
    let value = match (option.value.is_empty(), value) {
        (true, Some(_)) => {
            job.misused(&format!("option '--{long}' doesn't allow an argument"));
            return Err(());
        }
        (true, None) => Vec::new(),
        (false, Some(value)) => value.to_vec(),
        (false, None) => match rest.next() {
            Some(value) => value,
            None => {
                job.misused(&format!("option '--{long}' requires an argument"));
                return Err(());
            }
        },
    };
    args.options.push((option.short, value));
    Ok(())
}

fn short_options(
    job: &mut Job<'_>,
    options: &[Opt],
    mut shorts: &[u8],
    rest: &mut Rest,
    args: &mut Args,
) -> Result<(), ()> {
    while let Some((&letter, after)) = shorts.split_first() {
        let Some(option) = options.iter().find(|option| option.short == letter as char) else {
            let shown = match letter.is_ascii_graphic() {
                true => (letter as char).to_string(),
                false => crate::text::escape(&[letter]),
            };
            job.misused(&format!("invalid option -- '{shown}'"));
            return Err(());
        };
        shorts = after;
        if option.value.is_empty() {
            args.options.push((option.short, Vec::new()));
            continue;
        }
        let value = match after.is_empty() {
            false => Some(after.to_vec()),
            true => rest.next(),
        };
        let Some(value) = value else {
            job.misused(&format!("option requires an argument -- '{}'", letter as char));
            return Err(());
        };
        args.options.push((option.short, value));
        return Ok(());
    }
    Ok(())
}

/// Complains of operands that are missing: none at all, or one more after `last`.
pub(super) fn missing(job: &mut Job<'_>, what: &str, last: Option<&[u8]>) -> u8 {
    let text = match last {
        None => format!("missing {what}operand"),
        Some(last) => format!("missing {what}operand after {}", quote::word(last)),
    };
    job.misused(&text);
    1
}
