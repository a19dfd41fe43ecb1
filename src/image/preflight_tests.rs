//! Images that run, and all the ways in which one doesn't.

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
