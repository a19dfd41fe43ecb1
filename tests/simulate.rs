//! `handroll simulate`: every script of `tests/overlay/scripts`, run by the simulator and by the kernel; what the
//! trace can say is all said by them, and is all in `docs/overlay.md`. Runs as root.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use handroll::overlay::mount::Rule;
use serde_json::Value;

const HANDROLL: &str = env!("CARGO_BIN_EXE_handroll");

fn scripts() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/overlay/scripts");
    let entries = std::fs::read_dir(directory).expect("it is in the repository");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 15, "scripts are missing");
    paths
}

/// Those of a user namespace run in one.
fn run(script: &Path, arguments: &[&str]) -> Output {
    let name = script.file_name().unwrap().to_str().unwrap();
    let mut command = match name.starts_with("userns-") {
        true => {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--mount", HANDROLL]);
            command
        }
        false => Command::new(HANDROLL),
    };
    command.arg("simulate").args(arguments).arg(script);
    command.output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_kernel_does_what_the_simulator_does() {
    for script in scripts() {
        let output = run(&script, &["--compare"]);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(
            (&out[..], &err[..], output.status.code()),
            ("no difference\n", "", Some(0)),
            "{}",
            script.display()
        );
    }
}

#[test]
fn every_rule_is_told_of() {
    let mut told = BTreeSet::new();
    for script in scripts() {
        let output = run(&script, &["--json"]);
        assert!(
            output.status.success(),
            "{}: {}",
            script.display(),
            text(&output.stderr)
        );
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        for call in report["calls"].as_array().unwrap() {
            for event in call["events"].as_array().unwrap() {
                let sentence = event["sentence"].as_str().unwrap();
                assert!(!sentence.contains('{'), "{sentence}");
                told.insert(event["rule"].as_str().unwrap().to_owned());
            }
        }
    }
    let all: BTreeSet<String> = Rule::ALL.iter().map(|rule| rule.id().to_owned()).collect();
    assert_eq!(told, all);
}

#[test]
fn the_documentation_has_every_rule() {
    let page = include_str!("../docs/overlay.md");
    let row = |rule: &Rule| {
        let errno = rule.errno().map_or_else(String::new, |errno| errno.name());
        let sentence = rule.sentence().replace('{', "<").replace('}', ">");
        format!("| `{}` | {errno} | {sentence} | {} |", rule.id(), rule.source())
    };
    let expected: Vec<String> = Rule::ALL.iter().map(row).collect();
    let written: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(
        written,
        expected,
        "docs/overlay.md must have:\n{}",
        expected.join("\n")
    );
}

/// A difference is shown, and is exit code 1: here the script claims a user namespace, and there is none.
#[test]
fn what_differs_is_told() {
    let mut child = Command::new(HANDROLL)
        .args(["simulate", "--compare", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let script = b"layer\nfile /f 1\nmount in-user-namespace userxattr\nmknod /dev char 1:3\n";
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), script).unwrap();
    let output = child.wait_with_output().unwrap();
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(
        out.starts_with("line 4: mknod /dev char 1:3 mode=0666\n  simulated EPERM\n  kernel    0\n"),
        "{out}"
    );
}

#[test]
fn scripts_as_json_and_scripts_that_make_no_sense() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let json = write(
        "a.json",
        r#"[["layer"],["file","/a b","text"],["mount"],["read","/a b"]]"#,
    );
    let output = run(&json, &[]);
    assert!(text(&output.stdout).starts_with("open \"/a b\" read mode=0000 all → ok text\n"));
    let failing = write(
        "failing",
        "layer\nfile /f 1\nmount\nsetxattr /f user.x 1 replace\n",
    );
    let out = text(&run(&failing, &[]).stdout);
    assert!(
        out.contains(" → ENODATA, and yet the upper directory has changed\n"),
        "{out}"
    );
    for (script, error) in [
        ("fly", "line 1: `fly` is no directive"),
        (
            "layer\nfly",
            "line 2: `fly` is no entry of a layer; calls come after `mount`",
        ),
        ("layer\nfile", "line 2: expected a path"),
        ("layer\nfile /a b mode=9", "line 2: `9` is no mode, as 0755"),
        ("layer\ndir /a/b", "line 2: `/a` does not exist in this layer"),
        (
            "layer\nmount metacopy=on",
            "line 2: `metacopy=on` is not simulated: a copy of attributes without the content is read only by mounts with that option",
        ),
        (
            "layer\nmount color=red",
            "line 2: overlayfs has no option `color=red`",
        ),
        (
            "layer\nmount\nmkdir /a /b",
            "line 3: `/b` is one argument too many",
        ),
        ("layer\nmount\nmkdir \"/a", "line 3: a closing quote is missing"),
        (
            "layer\nmount\nmkdir /a\nlayer",
            "line 4: `layer` has to stand before the calls",
        ),
        ("layer\nmount redirect_dir=on,userxattr", "exclude each other"),
        (
            "layer\nmount read-only",
            "needs at least two lower layers, there are 1",
        ),
        ("mount", "an overlay needs at least one lower layer"),
        ("[[1]]", "invalid type: integer"),
    ] {
        let output = run(&write("bad", script), &[]);
        let err = text(&output.stderr);
        assert!(err.contains(error), "{script}: {err}");
        assert_eq!(
            (output.status.code(), &output.stdout[..]),
            (Some(3), &b""[..]),
            "{script}"
        );
    }
    let many = "layer\n".repeat(501) + "mount\n";
    let err = text(&run(&write("many", &many), &[]).stderr);
    assert!(
        err.contains("501 lower layers, but the kernel takes at most 500"),
        "{err}"
    );
}
