//! The preflight: would a runtime be able to start this image? Looks at the merged view through [`Root`], as the
//! kernel and runc would look: root-scoped, links followed. Knows the settings; runs nothing.

use serde::Serialize;

use super::config::{Platform, Settings};
use super::elf;
use super::root::{Dead, resolve};
pub use super::root::{Root, RootEntry, RootKind};
use crate::content::Content;
use crate::text::escape;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// All is well.
    Ok,
    /// Good to know.
    Info,
    /// It may not be what was meant.
    Warning,
    /// It won't run.
    Error,
}

/// Something that was found, in words for someone who sees images for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable: `command_not_found`.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// The path that it is about, as escaped text.
    pub path: Option<String>,
}

/// The kernel's limit for scripts that are run by scripts.
const MAX_SCRIPTS: usize = 5;
/// How much of a script the kernel looks at (`BINPRM_BUF_SIZE`).
const SCRIPT_WINDOW: u64 = 256;
/// Most that is read of a file with users or groups.
const ACCOUNTS_LIMIT: u64 = 4 << 20;
/// Where containerd and Docker look when the image has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Looks everything up that a runtime needs, and says what is missing; one finding `ready` if nothing is.
pub fn preflight(settings: &Settings, root: &dyn Root) -> Vec<Finding> {
    if settings.platform.os != "linux" {
        let message = format!(
            "The image is for {}: handroll can only say of linux images whether they would start.",
            settings.platform.os
        );
        return vec![finding("platform_unchecked", Severity::Info, message, None)];
    }
    let mut flight = Flight {
        root,
        settings,
        findings: Vec::new(),
        identity: Identity { uid: 0, gid: 0 },
    };
    flight.user();
    flight.working_dir();
    let command = flight.command();
    if let Some(command) = command
        && flight.findings.iter().all(|f| f.severity < Severity::Warning)
    {
        let message = format!(
            "A runtime finds the command {} and can run it on {}.",
            escape(&command),
            settings.platform
        );
        flight.add("ready", Severity::Ok, message, Some(&command));
    }
    flight.findings
}

fn finding(id: &'static str, severity: Severity, message: String, path: Option<&[u8]>) -> Finding {
    Finding {
        id,
        severity,
        message,
        path: path.map(escape),
    }
}

#[derive(Clone, Copy)]
struct Identity {
    uid: u32,
    gid: u32,
}

struct Flight<'a> {
    root: &'a dyn Root,
    settings: &'a Settings,
    findings: Vec<Finding>,
    identity: Identity,
}

impl Flight<'_> {
    fn add(&mut self, id: &'static str, severity: Severity, message: String, path: Option<&[u8]>) {
        self.findings.push(finding(id, severity, message, path));
    }

    /// Looks the user and the group up (config.md, `User`): numbers need no entry, names do.
    fn user(&mut self) {
        let Some(text) = self.settings.user.as_deref() else {
            return;
        };
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        // name:password:uid:gid:… and name:password:gid:…
        let line = self.account(b"/etc/passwd", user, 2);
        match (user.parse::<u32>(), &line) {
            (Ok(uid), _) => self.identity.uid = uid,
            (Err(_), Some(fields)) => self.identity.uid = number(fields, 2),
            (Err(_), None) => {
                let message = format!(
                    "The user {user} isn't in the image's /etc/passwd: add it there, or set User to a number."
                );
                self.add("user_not_found", Severity::Error, message, Some(b"/etc/passwd"));
            }
        }
        self.identity.gid = line.as_ref().map_or(0, |fields| number(fields, 3));
        let Some(group) = group else { return };
        if let Ok(gid) = group.parse::<u32>() {
            self.identity.gid = gid;
        } else if let Some(fields) = self.account(b"/etc/group", group, 2) {
            self.identity.gid = number(&fields, 2);
        } else {
            let message = format!(
                "The group {group} isn't in the image's /etc/group: add it there, or set User to numbers."
            );
            self.add("group_not_found", Severity::Error, message, Some(b"/etc/group"));
        }
    }

    /// The fields of the first line with this name, or this number in the field `id`.
    fn account(&self, file: &[u8], name: &str, id: usize) -> Option<Vec<Vec<u8>>> {
        let (_, entry) = resolve(self.root, file).ok()?;
        let RootKind::File(content) = entry.kind else {
            return None;
        };
        let bytes = content.read_all(ACCOUNTS_LIMIT).ok()?;
        bytes
            .split(|&byte| byte == b'\n')
            .map(|line| line.split(|&byte| byte == b':').map(<[u8]>::to_vec).collect())
            .find(|fields: &Vec<Vec<u8>>| {
                let is = |at: usize| fields.get(at).is_some_and(|field| field == name.as_bytes());
                fields.len() > id && (is(0) || is(id))
            })
    }

    fn working_dir(&mut self) {
        let Some(path) = self.settings.working_dir.as_deref() else {
            return;
        };
        let shown = escape(path.as_bytes());
        match resolve(self.root, path.as_bytes()) {
            Ok((_, entry)) if matches!(entry.kind, RootKind::Directory) => {}
            Ok((at, _)) => {
                let message = format!("WorkingDir is {shown}, which is not a directory.");
                self.add("working_dir_not_directory", Severity::Error, message, Some(&at));
            }
            Err(Dead::Missing(at)) => {
                let message = format!(
                    "WorkingDir is {shown}, which is not in the image: runtimes create it, owned by root."
                );
                self.add("working_dir_missing", Severity::Info, message, Some(&at));
            }
            Err(dead) => {
                let message = format!(
                    "WorkingDir is {shown}, which can't be reached: {}.",
                    dead.reason()
                );
                self.add(
                    "working_dir_not_directory",
                    Severity::Error,
                    message,
                    Some(path.as_bytes()),
                );
            }
        }
    }

    /// Finds what would be run; its path if it would be tried at all.
    fn command(&mut self) -> Option<Vec<u8>> {
        let lists = [&self.settings.entrypoint, &self.settings.cmd];
        let Some(name) = lists.into_iter().flatten().flatten().next() else {
            let message =
                "Neither Entrypoint nor Cmd is set: the image runs only if a command is given by hand.";
            self.add("command_missing", Severity::Warning, message.to_owned(), None);
            return None;
        };
        let path = self.find_program(name.as_bytes())?;
        self.program(&path, 0);
        Some(path)
    }

    /// The path of the program `name`: itself if it has a slash, else the first that PATH leads to.
    fn find_program(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        if name.contains(&b'/') {
            let path = self.beside_working_dir(name);
            return match resolve(self.root, &path) {
                Ok(_) => Some(path),
                Err(dead) => {
                    let message = format!(
                        "The command {} isn't in the image: {}.",
                        escape(name),
                        dead.reason()
                    );
                    self.add("command_not_found", Severity::Error, message, Some(&path));
                    None
                }
            };
        }
        let (found, list) = self.search(name);
        if found.is_none() {
            let message = match name.is_empty() {
                true => "The command is an empty text: there is nothing to run.".to_owned(),
                false => format!(
                    "The command {} isn't in any directory of PATH ({list}).",
                    escape(name)
                ),
            };
            self.add("command_not_found", Severity::Error, message, None);
        }
        found
    }

    /// The first executable file of PATH, else the first file that has the name.
    fn search(&self, name: &[u8]) -> (Option<Vec<u8>>, String) {
        let list = self
            .settings
            .env
            .iter()
            .find_map(|variable| variable.strip_prefix("PATH="));
        let list = list.unwrap_or(DEFAULT_PATH);
        let mut second_best = None;
        for directory in list.split(':') {
            let path = self.beside_working_dir(&[directory.as_bytes(), b"/", name].concat());
            match resolve(self.root, &path) {
                Ok((_, entry)) if matches!(entry.kind, RootKind::File(_)) && !name.is_empty() => {
                    if self.may_run(&entry) {
                        return (Some(path), list.to_owned());
                    }
                    second_best.get_or_insert(path);
                }
                _ => {}
            }
        }
        (second_best, list.to_owned())
    }

    fn beside_working_dir(&self, path: &[u8]) -> Vec<u8> {
        if path.starts_with(b"/") {
            return path.to_vec();
        }
        let directory = self.settings.working_dir.as_deref().unwrap_or("");
        [directory.trim_end_matches('/').as_bytes(), b"/", path].concat()
    }

    /// Root needs any executable bit, others the one of their class.
    fn may_run(&self, entry: &RootEntry) -> bool {
        let Identity { uid, gid } = self.identity;
        let class = match () {
            () if uid == 0 => 0o111,
            () if uid == entry.uid => 0o100,
            () if gid == entry.gid => 0o010,
            () => 0o001,
        };
        entry.mode & class != 0
    }

    /// Checks one file that is to be executed, and what it needs in turn.
    fn program(&mut self, path: &[u8], depth: usize) {
        let shown = escape(path);
        let (at, entry) = match resolve(self.root, path) {
            Ok(found) => found,
            Err(_) => return, // whoever looked for it has said so
        };
        let RootKind::File(content) = &entry.kind else {
            let message = format!("{shown} is not a regular file: it can't be run.");
            return self.add("command_not_file", Severity::Error, message, Some(&at));
        };
        if !self.may_run(&entry) {
            let message = format!(
                "{shown} may not be executed by {}: its mode is {:04o}.",
                self.settings.user.as_deref().unwrap_or("root"),
                entry.mode & 0o7777
            );
            self.add("command_not_executable", Severity::Error, message, Some(&at));
        }
        let mut start = vec![0; SCRIPT_WINDOW.min(content.len()) as usize];
        if let Err(error) = content.read_at(0, &mut start) {
            let message = format!("{shown} can't be read: {error}.");
            return self.add("command_unreadable", Severity::Error, message, Some(&at));
        }
        if start.starts_with(elf::MAGIC) {
            self.elf(&at, content);
        } else if start.starts_with(b"#!") {
            self.script(&at, &start, depth);
        } else {
            let message = format!("{shown} is no program: it begins neither as ELF nor with `#!`.");
            self.add("command_no_program", Severity::Error, message, Some(&at));
        }
    }

    fn elf(&mut self, path: &[u8], content: &Content) {
        let shown = escape(path);
        let program = match elf::read(content) {
            Ok(program) => program,
            Err(error) => {
                let message = format!("{shown} is a damaged program: {error}.");
                return self.add("elf_damaged", Severity::Error, message, Some(path));
            }
        };
        self.machine(path, program.machine);
        let Some(interpreter) = program.interpreter else {
            return;
        };
        let target = self.beside_working_dir(&interpreter);
        match resolve(self.root, &target) {
            Ok((_, entry)) if matches!(entry.kind, RootKind::File(_)) && self.may_run(&entry) => {}
            Ok((at, _)) => {
                let message = format!(
                    "{shown} needs the loader {}, which can't be executed.",
                    escape(&interpreter)
                );
                self.add("interpreter_not_executable", Severity::Error, message, Some(&at));
            }
            Err(dead) => {
                let message = format!(
                    "{shown} is linked dynamically and needs the loader {}, which isn't in the image: {}.",
                    escape(&interpreter),
                    dead.reason()
                );
                self.add("interpreter_not_found", Severity::Error, message, Some(&target));
            }
        }
    }

    fn machine(&mut self, path: &[u8], machine: elf::Machine) {
        let Platform { architecture, .. } = &self.settings.platform;
        let shown = escape(path);
        if !elf::is_known(architecture) {
            let message = format!(
                "handroll doesn't know the architecture {architecture}, and can't say whether {shown} is for it."
            );
            return self.add("architecture_unknown", Severity::Info, message, Some(path));
        }
        let made_for = match machine.architecture() {
            Some(name) if name == architecture => return,
            Some(name) => name.to_owned(),
            None => format!("another machine (ELF number {})", machine.number),
        };
        let (severity, remark) = match (architecture.as_str(), made_for.as_str()) {
            ("amd64", "386") => (
                Severity::Warning,
                ": that works where the kernel has 32-bit support",
            ),
            _ => (Severity::Error, ""),
        };
        let message = format!(
            "{shown} is a program for {made_for}, but the image's platform says {architecture}{remark}."
        );
        self.add("architecture_mismatch", severity, message, Some(path));
    }

    /// The first line of a script: `#!`, blanks, the interpreter, and perhaps one argument (execve(2)).
    fn script(&mut self, path: &[u8], start: &[u8], depth: usize) {
        let shown = escape(path);
        if depth == MAX_SCRIPTS {
            let message =
                format!("{shown} is run by a script that is run by a script, deeper than the kernel goes.");
            return self.add("script_too_deep", Severity::Error, message, Some(path));
        }
        let line = start[2..].split(|&byte| byte == b'\n').next().unwrap_or_default();
        let mut words = line
            .split(|byte| b" \t\0".contains(byte))
            .filter(|word| !word.is_empty());
        let Some(interpreter) = words.next() else {
            let message = format!("{shown} begins with `#!`, but names no program after it.");
            return self.add("script_empty", Severity::Error, message, Some(path));
        };
        let target = self.beside_working_dir(interpreter);
        if let Err(dead) = resolve(self.root, &target) {
            let message = match interpreter.strip_suffix(b"\r") {
                Some(name) => format!(
                    "{shown} has Windows line ends, so it asks for {} with a carriage return in its name.",
                    escape(name)
                ),
                None => {
                    let name = escape(interpreter);
                    format!(
                        "{shown} is a script for {name}, which isn't in the image: {}.",
                        dead.reason()
                    )
                }
            };
            return self.add(
                "script_interpreter_not_found",
                Severity::Error,
                message,
                Some(&target),
            );
        }
        self.program(&target, depth + 1);
        if interpreter.ends_with(b"/env")
            && let Some(name) = words
                .next()
                .filter(|word| !word.starts_with(b"-") && !word.contains(&b'='))
            && !name.contains(&b'/')
            && self.search(name).0.is_none()
        {
            let name = escape(name);
            let message = format!("{shown} is a script for {name}, which isn't in any directory of PATH.");
            self.add(
                "script_interpreter_not_found",
                Severity::Error,
                message,
                Some(path),
            );
        }
    }
}

fn number(fields: &[Vec<u8>], at: usize) -> u32 {
    let text = fields.get(at).map(|field| str::from_utf8(field));
    text.and_then(|text| text.ok()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[path = "preflight_tests.rs"]
mod tests;
