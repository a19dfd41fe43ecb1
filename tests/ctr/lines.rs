//! The lines of `lines.txt`, by both.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::archives::{self, Made};
use super::rig::containerd::Containerd;

const LINES: &str = include_str!("lines.txt");

/// What came of a line.
#[derive(PartialEq, Eq)]
struct Seen {
    stdout: String,
    stderr: String,
    status: Option<i32>,
}

/// Each in its own directory with the same files.
struct Side {
    directory: TempDir,
    /// What `ctr` stands for.
    command: String,
    /// What is shown as ROOT.
    root: String,
}

impl Side {
    fn run(&self, line: &str, namespace: &str, made: &Made) -> Seen {
        let script = format!("ctr() {{ {} -n {namespace} \"$@\"; }}\n{line}", self.command);
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).current_dir(self.directory.path());
        command
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("NAMESPACE", namespace);
        made.set(&mut command);
        let output = command.output().expect("sh is there");
        let shown = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            normal(&text.replace(&self.root, "ROOT").replace(namespace, "NAMESPACE"))
        };
        Seen {
            stdout: shown(&output.stdout),
            stderr: shown(&output.stderr),
            status: output.status.code(),
        }
    }
}

/// What no two runs have in common: times, ages, random keys, and orders that Go leaves to chance.
pub fn normal(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(|line| normal_line(line) + "\n").collect();
    if text.contains("msg=\"Removing label\"") {
        lines.sort();
    }
    lines.concat()
}

fn normal_line(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        words.push(normal_word(word));
    }
    let line = words.join(" ");
    // The columns of `content ls`, whose widths depend on how old the blobs are.
    let mut cells: Vec<&str> = line.split('\t').filter(|cell| !cell.is_empty()).collect();
    match cells[..] {
        ["DIGEST", ..] => cells.join("\t"),
        [digest, _, _, ..] if digest.starts_with("sha256:") => {
            cells[2] = "AGE";
            cells.join("\t")
        }
        _ => line,
    }
}

fn normal_word(word: &str) -> String {
    let cells = word.split('\t').map(|cell| {
        let mut pairs: Vec<String> = cell.split(',').map(normal_pair).collect();
        // The order of labels is chance, that of options of a mount is not.
        if pairs.iter().all(|pair| pair.contains('=')) && !cell.starts_with("index=off") {
            pairs.sort();
        }
        pairs.join(",")
    });
    cells.collect::<Vec<_>>().join("\t")
}

fn normal_pair(pair: &str) -> String {
    if let Some(at) = pair.find("extract-") {
        return format!("{}extract-KEY", &pair[..at]);
    }
    let bytes = pair.as_bytes();
    let is_date = |at: usize| {
        let date = bytes.get(at..at + 11);
        date.is_some_and(|date| {
            date[4] == b'-' && date[7] == b'-' && date[10] == b'T' && date[..4].iter().all(u8::is_ascii_digit)
        })
    };
    match (0..bytes.len()).find(|at| is_date(*at)) {
        None => pair.to_owned(),
        Some(at) => {
            let end = pair[at..].find('Z').map_or(pair.len(), |end| at + end + 1);
            format!("{}TIME{}", &pair[..at], &pair[end..])
        }
    }
}

/// Lines after which containerd collects garbage by itself, within a second or so; here it is asked to at once.
fn removes(line: &str, status: Option<i32>) -> bool {
    let words = [" rm", " delete", " prune", " tag", " tasks start", "unpack "];
    line.contains(" import") || status == Some(0) && words.iter().any(|word| line.contains(word))
}

/// handroll's help says what handroll has: of it only the first lines are compared.
pub fn without_help(text: &str) -> String {
    match text.find("\nOPTIONS:") {
        Some(end) if text.starts_with("NAME:") || text.contains("\nNAME:") => {
            text[..end].trim_end().to_owned()
        }
        _ => text.trim_end().to_owned(),
    }
}

#[test]
fn lines_are_as_containerds_ctr_has_them() {
    let containerd = Containerd::start_collecting();
    let store = TempDir::new().expect("a directory for tests");
    let root = store.path().join("store");
    let handroll = env!("CARGO_BIN_EXE_handroll");
    let (real, made) = archives::make();
    let own = TempDir::new().expect("a directory for tests");
    copy(real.path(), own.path());
    let sides = [
        Side {
            directory: real,
            command: format!("command ctr -a {}", containerd.socket().display()),
            root: containerd.root().display().to_string(),
        },
        Side {
            directory: own,
            command: format!("{handroll} ctr --root {}", root.display()),
            root: root.display().to_string(),
        },
    ];
    let (mut count, mut section, mut differences) = (0, 0, Vec::new());
    for line in LINES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if line.starts_with("==") {
            section += 1;
            continue;
        }
        count += 1;
        // runc's containers are the whole machine's.
        let namespace = format!("ctr{}-{section}", std::process::id());
        let run = |side: usize| sides[side].run(line, &namespace, &made);
        let expected = run(0);
        let found = run(1);
        if removes(line, expected.status) {
            containerd.collect_garbage();
        }
        if let Some(difference) = difference(&expected, &found) {
            differences.push(format!("$ {line}\n{difference}"));
        }
    }
    assert!(count >= 250, "only {count} lines");
    let report = differences.join("\n");
    assert!(
        differences.is_empty(),
        "{} of {count} lines differ:\n{report}",
        differences.len()
    );
}

fn difference(expected: &Seen, found: &Seen) -> Option<String> {
    let mut report = String::new();
    if expected.status != found.status {
        report += &format!("status {:?}, expected {:?}\n", found.status, expected.status);
    }
    for (stream, expected, found) in [
        ("stdout", &expected.stdout, &found.stdout),
        ("stderr", &expected.stderr, &found.stderr),
    ] {
        let (expected, found) = (without_help(expected), without_help(found));
        if expected != found {
            report += &format!("{stream}:\n{}", changed_lines(&expected, &found));
        }
    }
    (!report.is_empty()).then_some(report)
}

/// The lines of two texts between what they have in common at their ends.
fn changed_lines(expected: &str, found: &str) -> String {
    let (mut expected, mut found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    while !expected.is_empty() && expected.last() == found.last() {
        expected.pop();
        found.pop();
    }
    let same = expected
        .iter()
        .zip(&found)
        .take_while(|(one, other)| one == other)
        .count();
    let shown = |sign: char, lines: &[&str]| {
        let lines = lines.iter().map(|line| format!("  {sign} {line}\n"));
        lines.collect::<String>()
    };
    shown('-', &expected[same..]) + &shown('+', &found[same..])
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it can be read");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("there is room");
    }
}
