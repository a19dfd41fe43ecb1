//! Lists of commands at work: what is run after what, what a pipe carries, and what variables hold. Knows no command.

use super::Job;
use super::glob::{expand, expand_whole};
use super::lex::Word;
use super::option;
use super::parse::{Command, Compound, Joint, List, Pipeline, Simple};

/// How many bytes variables hold together.
const VARIABLES_LIMIT: usize = 4 << 20;

/// Runs a list; its status is that of the last command that was run.
pub(super) fn list(job: &mut Job<'_>, list: &List) -> u8 {
    let mut status = 0;
    if !job.enters() {
        return super::job::STOPPED;
    }
    for (joint, commands) in list {
        let is_run = match joint {
            Joint::Always => true,
            Joint::IfFine => status == 0,
            Joint::IfFailed => status != 0,
        };
        if is_run && goes_on(job) {
            status = pipeline(job, commands);
            job.shell.status = status;
        }
    }
    job.leaves();
    status
}

fn goes_on(job: &Job<'_>) -> bool {
    !job.is_stopped() && job.exits.is_none()
}

/// Commands one after another, each in a shell of its own, with all that the one before it printed.
fn pipeline(job: &mut Job<'_>, commands: &Pipeline) -> u8 {
    if let [one] = &commands[..] {
        return command(job, one);
    }
    let stdin = job.stdin.clone();
    let mut status = 0;
    for (position, one) in commands.iter().enumerate() {
        if job.is_stopped() {
            break;
        }
        let is_last = position + 1 == commands.len();
        status = in_subshell(job, |job| match is_last {
            true => command(job, one),
            false => {
                let (status, printed) = job.capture(|job| command(job, one));
                job.stdin = printed;
                status
            }
        });
    }
    job.stdin = stdin;
    status
}

/// What changes a shell changes one that is thrown away.
fn in_subshell(job: &mut Job<'_>, work: impl FnOnce(&mut Job<'_>) -> u8) -> u8 {
    let (status, before) = (job.shell.status, job.shell.clone());
    let ended = work(job);
    *job.shell = before;
    job.shell.status = status;
    job.exits.take().unwrap_or(ended)
}

/// What a list prints, as a word takes it: without the new lines at its end, and without NULs.
pub(super) fn substitution(job: &mut Job<'_>, commands: &List) -> Result<Vec<u8>, String> {
    let limit = super::glob::WORDS_LIMIT;
    let (status, printed) = job.capture(|job| in_subshell(job, |job| list(job, commands)));
    job.substituted = status;
    job.shell.status = status;
    if printed.len() > limit as u64 {
        return Err(format!("a substitution of more than {limit} bytes"));
    }
    let mut bytes = (printed.read_all(limit as u64)).map_err(|error| error.to_string())?;
    bytes.retain(|byte| *byte != 0);
    let end = bytes.iter().rposition(|&byte| byte != b'\n');
    bytes.truncate(end.map_or(0, |end| end + 1));
    Ok(bytes)
}

fn command(job: &mut Job<'_>, command: &Command) -> u8 {
    match command {
        Command::Simple(command) => simple(job, command),
        Command::Compound { compound, redirects } => match job.redirect(redirects) {
            Err(status) => status,
            Ok(before) => {
                let status = run_compound(job, compound);
                job.end_redirects(before);
                status
            }
        },
    }
}

fn run_compound(job: &mut Job<'_>, compound: &Compound) -> u8 {
    match compound {
        Compound::If { arms, otherwise } => {
            for (condition, then) in arms {
                let status = list(job, condition);
                if !goes_on(job) {
                    return status;
                }
                if status == 0 {
                    return list(job, then);
                }
            }
            list(job, otherwise)
        }
        Compound::For { name, words, body } => {
            let words = match expand_all(job, words) {
                Ok(words) => words,
                Err(status) => return status,
            };
            let mut status = 0;
            for word in words {
                // A loop whose body makes no call is work too.
                if !job.works_on() || !goes_on(job) {
                    break;
                }
                if let Err(error) = assign(job, name, word) {
                    return failed(job, &error);
                }
                status = list(job, body);
            }
            status
        }
    }
}

fn failed(job: &mut Job<'_>, error: &str) -> u8 {
    job.shell_error(error);
    1
}

fn expand_all(job: &mut Job<'_>, words: &[Word]) -> Result<Vec<Vec<u8>>, u8> {
    let mut expanded = Vec::new();
    let mut length = 0;
    for word in words {
        let found = expand(job, word).map_err(|error| failed(job, &error))?;
        length += found.iter().map(Vec::len).sum::<usize>();
        if length > super::glob::WORDS_LIMIT {
            return Err(failed(job, "Argument list too long"));
        }
        expanded.extend(found);
    }
    Ok(expanded)
}

fn simple(job: &mut Job<'_>, simple: &Simple) -> u8 {
    if !job.works_on() {
        return super::job::STOPPED;
    }
    job.substituted = 0;
    let words = match expand_all(job, &simple.words) {
        Ok(words) => words,
        Err(status) => return status,
    };
    let mut assignments = Vec::new();
    for (name, value) in &simple.assignments {
        let value = expand_whole(job, value);
        // One that stands alone is seen by the next.
        let assigned = value.and_then(|value| match words.is_empty() {
            true => assign(job, name, value),
            false => {
                assignments.push((name.clone(), value));
                Ok(())
            }
        });
        if let Err(error) = assigned {
            return failed(job, &error);
        }
    }
    let before = match job.redirect(&simple.redirects) {
        Ok(before) => before,
        Err(status) => return status,
    };
    let status = match words.split_first() {
        None => job.substituted,
        Some((name, names)) if name == b"export" => export(job, assignments, names),
        Some((name, names)) if name == b"unset" => {
            names.iter().for_each(|name| unset(job, name));
            0
        }
        Some((name, arguments)) => {
            let env = job.shell.inside.as_ref().map(|inside| inside.env.clone());
            if let Some(inside) = &mut job.shell.inside {
                let assigned = assignments.into_iter();
                inside
                    .env
                    .extend(assigned.map(|(name, value)| joined(&name, &value)));
            }
            let status = option::dispatch(job, name, arguments.to_vec());
            if let (Some(inside), Some(env)) = (&mut job.shell.inside, env) {
                inside.env = env;
            }
            status
        }
    };
    job.end_redirects(before);
    status
}

fn joined(name: &[u8], value: &[u8]) -> Vec<u8> {
    [name, b"=", value].concat()
}

/// Sets a variable; one of the environment stays one.
fn assign(job: &mut Job<'_>, name: &[u8], value: Vec<u8>) -> Result<(), String> {
    if super::inside::variable(job, name).is_some() {
        set_env(job, name, &value);
        return Ok(());
    }
    let variables = std::sync::Arc::make_mut(&mut job.shell.variables);
    variables.insert(name.to_vec(), value);
    let held: usize = variables
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if held > VARIABLES_LIMIT {
        variables.remove(name);
        return Err(format!("variables hold more than {VARIABLES_LIMIT} bytes"));
    }
    Ok(())
}

fn set_env(job: &mut Job<'_>, name: &[u8], value: &[u8]) {
    if let Some(inside) = &mut job.shell.inside {
        let is_it = |variable: &Vec<u8>| {
            variable
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(b"="))
        };
        inside.env.retain(|variable| !is_it(variable));
        inside.env.push(joined(name, value));
    }
}

/// Makes variables a part of the environment of what is run, where there is one.
fn export(job: &mut Job<'_>, assignments: Vec<(Vec<u8>, Vec<u8>)>, names: &[Vec<u8>]) -> u8 {
    let names: Vec<_> = assignments
        .iter()
        .map(|(name, _)| name)
        .chain(names)
        .cloned()
        .collect();
    for (name, value) in assignments {
        if let Err(error) = assign(job, &name, value) {
            return failed(job, &error);
        }
    }
    for name in names {
        if job.shell.inside.is_some()
            && let Some(value) = std::sync::Arc::make_mut(&mut job.shell.variables).remove(&name)
        {
            set_env(job, &name, &value);
        }
    }
    0
}

fn unset(job: &mut Job<'_>, name: &[u8]) {
    std::sync::Arc::make_mut(&mut job.shell.variables).remove(name);
    if let Some(inside) = &mut job.shell.inside {
        inside.env.retain(|variable| {
            !variable
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(b"="))
        });
    }
}
