//! The preflight: would a runtime be able to start this image? Looks at the merged view through [`Root`], as the
//! kernel and runc would look: root-scoped, links followed. Knows the settings; runs nothing.

use serde::Serialize;

use super::config::{Platform, Settings};
use super::elf;
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

/// What stands at a path of the merged view.
#[derive(Debug, Clone)]
pub enum RootKind {
    /// A directory.
    Directory,
    /// A regular file with its bytes.
    File(Content),
    /// A symbolic link with its target.
    Symlink(Vec<u8>),
    /// A device or a fifo.
    Other,
}

/// An entry of the merged view.
#[derive(Debug, Clone)]
pub struct RootEntry {
    /// What it is.
    pub kind: RootKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A merged view that can be asked for a path.
pub trait Root {
    /// The entry at `path`, which is absolute, has no empty, `.` or `..` component and no slash at its end
    /// (the root itself is `/`). Follows no link: the preflight asks component by component.
    fn lookup(&self, path: &[u8]) -> Option<RootEntry>;
}

/// The kernel's limit for links on the way to one file (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// The kernel's limit for scripts that are run by scripts.
const MAX_SCRIPTS: usize = 5;
/// How much of a script the kernel looks at (`BINPRM_BUF_SIZE`).
const SCRIPT_WINDOW: u64 = 256;
/// Most that is read of a file with users or groups.
const ACCOUNTS_LIMIT: u64 = 4 << 20;
/// Where containerd and Docker look when the image has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Dead {
    /// Nothing has this name.
    Missing(Vec<u8>),
    /// Something on the way is no directory.
    NotDirectory(Vec<u8>),
    /// Links that lead to each other.
    Loop,
}

impl Dead {
    fn reason(&self) -> String {
        match self {
            Self::Missing(path) => format!("there is no {}", escape(path)),
            Self::NotDirectory(path) => format!("{} is not a directory", escape(path)),
            Self::Loop => "its symbolic links lead in circles".to_owned(),
        }
    }
}

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

/// Follows `path` through the merged view as the kernel would inside a container: links are followed from the
/// image's own root, and `..` of the root is the root.
fn resolve(root: &dyn Root, path: &[u8]) -> Result<(Vec<u8>, RootEntry), Dead> {
    let directory = RootEntry {
        kind: RootKind::Directory,
        mode: 0o755,
        uid: 0,
        gid: 0,
    };
    let mut at: Vec<u8> = Vec::new();
    let mut entry = directory.clone();
    // What is left to walk, last component first.
    let mut rest: Vec<Vec<u8>> = components(path);
    let mut links = 0;
    while let Some(name) = rest.pop() {
        if !matches!(entry.kind, RootKind::Directory) {
            return Err(Dead::NotDirectory(at));
        }
        match &name[..] {
            b"" | b"." => continue,
            b".." => {
                at.truncate(at.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                entry = if at.is_empty() {
                    directory.clone()
                } else {
                    root.lookup(&at).ok_or_else(|| Dead::Missing(at.clone()))?
                };
                continue;
            }
            _ => {}
        }
        let parent = at.len();
        at.push(b'/');
        at.extend_from_slice(&name);
        entry = root.lookup(&at).ok_or_else(|| Dead::Missing(at.clone()))?;
        if let RootKind::Symlink(target) = &entry.kind {
            links += 1;
            if links > MAX_LINKS || target.is_empty() {
                return Err(Dead::Loop);
            }
            at.truncate(if target.starts_with(b"/") { 0 } else { parent });
            rest.extend(components(target));
            entry = directory.clone();
        }
    }
    if at.is_empty() {
        at.push(b'/');
    }
    Ok((at, entry))
}

/// The components of a path, last first. One that ends in a slash asks for a directory: its `""` is kept.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::image::elf::{Machine, of_tests};

    #[derive(Default)]
    struct Files(BTreeMap<Vec<u8>, RootEntry>);

    impl Root for Files {
        fn lookup(&self, path: &[u8]) -> Option<RootEntry> {
            self.0.get(path).cloned()
        }
    }

    impl Files {
        fn with(mut self, path: &str, mode: u32, kind: RootKind) -> Self {
            for (at, _) in path.match_indices('/').skip(1) {
                let parent = path.as_bytes()[..at].to_vec();
                let kind = RootKind::Directory;
                self.0.entry(parent).or_insert(RootEntry {
                    kind,
                    mode: 0o755,
                    uid: 0,
                    gid: 0,
                });
            }
            self.0.insert(
                path.into(),
                RootEntry {
                    kind,
                    mode,
                    uid: 0,
                    gid: 0,
                },
            );
            self
        }
        fn file(self, path: &str, mode: u32, bytes: impl AsRef<[u8]>) -> Self {
            self.with(path, mode, RootKind::File(Content::inline(bytes.as_ref())))
        }
        fn link(self, path: &str, target: &str) -> Self {
            self.with(path, 0o777, RootKind::Symlink(target.into()))
        }
    }

    const AMD64: Machine = Machine {
        number: 62,
        wide: true,
        big_endian: false,
    };
    const I386: Machine = Machine {
        number: 3,
        wide: false,
        big_endian: false,
    };

    fn shell() -> Files {
        Files::default()
            .file("/bin/busybox", 0o755, of_tests(AMD64, None))
            .link("/bin/sh", "busybox")
    }

    fn cmd(words: &[&str]) -> Settings {
        Settings {
            cmd: Some(words.iter().map(|word| (*word).to_owned()).collect()),
            ..Settings::default()
        }
    }

    fn ids(settings: &Settings, files: &Files) -> Vec<&'static str> {
        preflight(settings, files)
            .iter()
            .map(|finding| finding.id)
            .collect()
    }

    #[test]
    fn an_image_that_runs() {
        for name in ["/bin/sh", "sh", "bin/sh", "/bin/../bin/./sh"] {
            assert_eq!(ids(&cmd(&[name]), &shell()), ["ready"], "{name}");
        }
        let both = Settings {
            entrypoint: Some(vec!["sh".into()]),
            ..cmd(&["nothing"])
        };
        assert_eq!(ids(&both, &shell()), ["ready"]);
        let json = serde_json::to_string(&preflight(&cmd(&["sh"]), &shell())).unwrap();
        assert_eq!(
            json,
            r#"[{"id":"ready","severity":"ok","message":"A runtime finds the command /bin/sh and can run it on linux/amd64.","path":"/bin/sh"}]"#
        );
    }

    #[test]
    fn commands_that_cannot_run() {
        let files = || {
            shell()
                .file("/plain", 0o755, "echo hi\n")
                .file("/empty", 0o755, "")
                .file("/secret", 0o644, of_tests(AMD64, None))
                .file("/cut", 0o755, b"\x7fELF\x02\x01")
                .file("/dynamic", 0o755, of_tests(AMD64, Some(b"/lib64/ld.so")))
                .file("/old", 0o755, of_tests(I386, None))
                .file("/alien", 0o755, of_tests(Machine { number: 999, ..AMD64 }, None))
                .link("/loop", "loop")
                .link("/dangling", "/nowhere/x")
                .link("/many", "/bin/sh/x")
                .with("/fifo", 0o755, RootKind::Other)
        };
        for (name, id) in [
            ("/bin/zsh", "command_not_found"),
            ("zsh", "command_not_found"),
            ("", "command_not_found"),
            ("/loop", "command_not_found"),
            ("/dangling", "command_not_found"),
            ("/many", "command_not_found"),
            ("/bin/sh/", "command_not_found"),
            ("/bin", "command_not_file"),
            ("/", "command_not_file"),
            ("/fifo", "command_not_file"),
            ("/plain", "command_no_program"),
            ("/empty", "command_no_program"),
            ("/secret", "command_not_executable"),
            ("/cut", "elf_damaged"),
            ("/dynamic", "interpreter_not_found"),
            ("/old", "architecture_mismatch"),
            ("/alien", "architecture_mismatch"),
        ] {
            assert_eq!(ids(&cmd(&[name]), &files()), [id], "{name}");
        }
        assert_eq!(ids(&Settings::default(), &shell()), ["command_missing"]);
        let loader = files().file("/lib64/ld.so", 0o755, of_tests(AMD64, None));
        assert_eq!(ids(&cmd(&["/dynamic"]), &loader), ["ready"]);
        let loader = files().file("/lib64/ld.so", 0o644, of_tests(AMD64, None));
        assert_eq!(ids(&cmd(&["/dynamic"]), &loader), ["interpreter_not_executable"]);
    }

    #[test]
    fn links_are_counted() {
        let mut files = shell();
        for n in 0..41 {
            files = files.link(&format!("/l{n}"), &format!("l{}", n + 1));
        }
        let files = files.link("/l41", "/bin/busybox");
        assert_eq!(ids(&cmd(&["/l2"]), &files), ["ready"]);
        assert_eq!(ids(&cmd(&["/l1"]), &files), ["command_not_found"]);
    }

    #[test]
    fn scripts() {
        let files = || {
            shell()
                .file("/ok", 0o755, "#! /bin/sh -e\necho\n")
                .file("/crlf", 0o755, "#!/bin/sh\r\necho\r\n")
                .file("/none", 0o755, "#!  \n")
                .file("/gone", 0o755, "#!/bin/bash")
                .file("/again", 0o755, "#!/again\n")
                .file("/python", 0o755, "#!/usr/bin/env python3\n")
                .link("/usr/bin/env", "/bin/busybox")
        };
        for (name, id) in [
            ("/ok", "ready"),
            ("/crlf", "script_interpreter_not_found"),
            ("/none", "script_empty"),
            ("/gone", "script_interpreter_not_found"),
            ("/again", "script_too_deep"),
            ("/python", "script_interpreter_not_found"),
        ] {
            assert_eq!(ids(&cmd(&[name]), &files()), [id], "{name}");
        }
        let python = files().link("/usr/bin/python3", "env");
        assert_eq!(ids(&cmd(&["/python"]), &python), ["ready"]);
    }

    #[test]
    fn users_and_groups() {
        let files = || {
            shell()
                .file(
                    "/etc/passwd",
                    0o644,
                    "root:x:0:0::/:/bin/sh\nbad\nme:x:1000:100::/:\n",
                )
                .file("/etc/group", 0o644, "wheel:x:10:me\n")
        };
        let with = |user: &str| Settings {
            user: Some(user.into()),
            ..cmd(&["sh"])
        };
        for (user, id) in [
            ("me", "ready"),
            ("me:wheel", "ready"),
            ("1234:4321", "ready"),
            ("10:wheel", "ready"),
            ("you", "user_not_found"),
            ("bad", "user_not_found"),
            ("me:users", "group_not_found"),
        ] {
            assert_eq!(ids(&with(user), &files()), [id], "{user}");
        }
        assert_eq!(ids(&with("me"), &shell()), ["user_not_found"]);
        let private = files().file("/bin/busybox", 0o700, of_tests(AMD64, None));
        assert_eq!(ids(&with("root"), &private), ["ready"]);
        assert_eq!(ids(&with("me"), &private), ["command_not_executable"]);
    }

    #[test]
    fn places_and_platforms() {
        let at = |path: &str| Settings {
            working_dir: Some(path.into()),
            ..cmd(&["bin/sh"])
        };
        assert_eq!(ids(&at("/"), &shell()), ["ready"]);
        assert_eq!(ids(&at("/bin/.."), &shell()), ["ready"]);
        let missing = Settings {
            cmd: Some(vec!["sh".into()]),
            ..at("/srv")
        };
        assert_eq!(ids(&missing, &shell()), ["working_dir_missing", "ready"]);
        let file = Settings {
            cmd: Some(vec!["sh".into()]),
            ..at("/bin/sh")
        };
        assert_eq!(ids(&file, &shell()), ["working_dir_not_directory"]);
        let path = Settings {
            env: vec!["PATH=/sbin:bin".into()],
            ..cmd(&["sh"])
        };
        assert_eq!(ids(&path, &shell()), ["ready"]);
        let platform = |os: &str, architecture: &str| Settings {
            platform: Platform {
                os: os.into(),
                architecture: architecture.into(),
                variant: None,
            },
            ..cmd(&["sh"])
        };
        assert_eq!(
            ids(&platform("linux", "arm64"), &shell()),
            ["architecture_mismatch"]
        );
        assert_eq!(
            ids(&platform("linux", "z80"), &shell()),
            ["architecture_unknown", "ready"]
        );
        assert_eq!(
            ids(&platform("windows", "amd64"), &shell()),
            ["platform_unchecked"]
        );
    }
}
