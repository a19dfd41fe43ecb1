//! Commands as a tree, how a line finds its way through it, and the help: as urfave/cli v1 has them.

use super::option::{Args, Flag, Flags, HELP, Misuse, Takes};
use super::table;
use super::{Exit, Job};

/// A command, or a group of them.
pub(super) struct Command {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub about: &'static str,
    /// What its arguments are, in the help.
    pub arguments: &'static str,
    pub description: &'static str,
    pub flags: Flags,
    /// Whether options are only what stands before the first argument.
    pub keeps_order: bool,
    pub run: Run,
}

pub(super) enum Run {
    Group(&'static [Command]),
    Action(fn(&mut Job<'_, '_>, &Args) -> Result<(), Exit>),
    /// containerd's `ctr` has it; why this one has not.
    Refused(&'static str),
}

/// What most commands are made of.
pub(super) const COMMAND: Command = Command {
    name: "",
    aliases: &[],
    about: "",
    arguments: "",
    description: "",
    flags: NO_FLAGS,
    keeps_order: false,
    run: Run::Refused(""),
};

pub(super) const NO_FLAGS: Flags = flags(&[]);

pub(super) const fn flags(offered: &'static [Flag]) -> Flags {
    Flags {
        offered,
        refused: &[],
    }
}

/// A command that is refused with a reason.
pub(super) const fn refused(name: &'static str, reason: &'static str) -> Command {
    Command {
        name,
        run: Run::Refused(reason),
        ..COMMAND
    }
}

/// Finds the command of a group's arguments and runs it. `path` is the group's name with those above it.
pub(super) fn run_group(
    job: &mut Job<'_, '_>,
    group: &'static Command,
    path: &str,
    arguments: &[String],
) -> Result<(), Exit> {
    let Run::Group(commands) = group.run else {
        return run_command(job, group, path, arguments);
    };
    let args = match group.flags.parse(arguments) {
        Ok(args) => args,
        Err(misuse @ Misuse::Refused { .. }) => return Err(Exit::failed(misuse)),
        Err(misuse) => {
            job.print(&format!("Incorrect Usage. {misuse}\n\n{}", help(group, path)));
            return Err(Exit::failed(misuse));
        }
    };
    let (name, rest) = match args.rest.split_first() {
        Some((name, rest)) if !args.has("help") => (name.as_str(), rest),
        _ => {
            job.print(&help(group, path));
            return Ok(());
        }
    };
    if let Some(snapshotter) = args.value("snapshotter") {
        job.snapshotter = snapshotter.to_owned();
    }
    let find = |name: &str| {
        let is_named = |command: &&Command| command.name == name || command.aliases.contains(&name);
        let found = commands.iter().find(is_named);
        found.ok_or_else(|| Exit::NoTopic(name.to_owned()))
    };
    if !matches!(name, "help" | "h") {
        let command = find(name)?;
        return run_group(job, command, &format!("{path} {}", command.name), rest);
    }
    let text = match rest.first() {
        None => help(group, path),
        Some(topic) => {
            let command = find(topic)?;
            help(command, &format!("{path} {}", command.name))
        }
    };
    job.print(&text);
    Ok(())
}

fn run_command(
    job: &mut Job<'_, '_>,
    command: &'static Command,
    path: &str,
    arguments: &[String],
) -> Result<(), Exit> {
    let action = match command.run {
        Run::Action(action) => action,
        Run::Refused(reason) => {
            return Err(Exit::failed(format_args!("{path} is not offered here: {reason}")));
        }
        Run::Group(_) => unreachable!("groups are run as such"),
    };
    let parsed = match command.keeps_order {
        true => command.flags.parse(arguments),
        false => command.flags.parse(&command.flags.reordered(arguments)),
    };
    let args = match parsed {
        Ok(args) => args,
        Err(misuse @ Misuse::Refused { .. }) => return Err(Exit::failed(misuse)),
        Err(misuse) => {
            job.print(&format!("Incorrect Usage: {misuse}\n\n{}", help(command, path)));
            return Err(Exit::failed(misuse));
        }
    };
    if args.has("help") {
        job.print(&help(command, path));
        return Ok(());
    }
    if let Some(snapshotter) = args.value("snapshotter") {
        job.snapshotter = snapshotter.to_owned();
    }
    if let Some(error) = job.namespace_error(path) {
        return Err(error);
    }
    match action(job, &args) {
        Err(Exit::Help { otherwise }) => {
            job.print(&help(command, path));
            otherwise.map_or(Ok(()), |message| Err(Exit::Failed(message)))
        }
        ended => ended,
    }
}

/// The help of a command or a group: its name, how it is used, what it does, what it takes.
fn help(command: &Command, path: &str) -> String {
    let is_group = matches!(command.run, Run::Group(_));
    let has_options = is_group || !command.flags.offered.is_empty();
    let options = if has_options { " [command options]" } else { "" };
    let arguments = match command.arguments {
        "" => "[arguments...]",
        arguments => arguments,
    };
    let group = if is_group { " command" } else { "" };
    let about = command.about;
    let mut text = format!("NAME:\n   {path} - {about}\n\nUSAGE:\n   {path}{group}{options} {arguments}");
    if !command.description.is_empty() && !is_group {
        text += &format!("\n\nDESCRIPTION:\n   {}", command.description);
    }
    if let Run::Group(commands) = command.run {
        text += "\n\nCOMMANDS:";
        for command in commands
            .iter()
            .filter(|command| !matches!(command.run, Run::Refused(_)))
        {
            let names: Vec<_> = [command.name]
                .into_iter()
                .chain(command.aliases.iter().copied())
                .collect();
            text += &format!("\n   {}\t{}", names.join(", "), command.about);
        }
    }
    if has_options {
        text += "\n\nOPTIONS:\n   ";
        let offered = command.flags.offered.iter();
        for flag in offered.chain(is_group.then_some(&HELP)) {
            text += &format!("{}\n   ", option_line(flag));
        }
    }
    table::HELP.format(&(text + "\n"))
}

fn option_line(flag: &Flag) -> String {
    let value = match flag.takes {
        Takes::Nothing => "",
        _ => " value",
    };
    let names = flag.names.iter().map(|name| match name.len() {
        1 => format!("-{name}{value}"),
        _ => format!("--{name}{value}"),
    });
    let default = match flag.default {
        "" => String::new(),
        default => format!(" (default: {default})"),
    };
    format!(
        "{}\t{}{default}",
        names.collect::<Vec<_>>().join(", "),
        flag.about
    )
}

/// How a line of `ctr` could go on after these words: names of commands and of options, or what the command is
/// given arguments of.
pub(super) fn follow(root: &'static Command, words: &[String]) -> (&'static Command, Vec<String>) {
    let (mut at, mut rest) = (root, words);
    loop {
        // Options that are not finished stay what they are.
        let Ok(args) = at.flags.parse(rest) else {
            return (at, Vec::new());
        };
        let Run::Group(commands) = at.run else {
            return (at, args.rest);
        };
        let Some((name, after)) = args.rest.split_first() else {
            return (at, Vec::new());
        };
        let is_named = |command: &&Command| command.name == *name || command.aliases.contains(&name.as_str());
        let Some(command) = commands.iter().find(is_named) else {
            return (at, args.rest);
        };
        at = command;
        if after.is_empty() {
            return (at, Vec::new());
        }
        rest = &words[words.len() - after.len()..];
    }
}
