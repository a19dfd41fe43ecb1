//! Lines by bash and by the shell, each in a tree of its own at the same path, and in an overlay mounted on one:
//! there the upperdir tells whether the system calls were the same too.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use handroll::native::{Mounted, OverlayMount, OverlayOptions, Process, unshare_mounts};
use handroll::overlay::mount::Caller;
use handroll::shell::{MountInfo, Shell, Stream};
use handroll::tree::{Device, Time};

const LINES: &str = include_str!("lines.txt");
const TREE: &str = include_str!("tree.sh");

/// What came of a line: standard output, standard error, exit status, files.
#[derive(PartialEq, Eq)]
struct Seen {
    stdout: String,
    stderr: String,
    status: i32,
    files: String,
}

pub fn compare_all(place: Place) {
    unshare_mounts().expect("root may");
    let base = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory for tests");
    let master = base.path().join("master");
    fs::create_dir(&master).expect("a new directory");
    let script = base.path().join("tree.sh");
    fs::write(&script, TREE).expect("a new file");
    let made = in_bash(&master).arg(&script).status().expect("bash is there");
    assert!(made.success(), "tree.sh failed");
    let lines = LINES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut count, mut differences) = (0, Vec::new());
    for line in lines {
        count += 1;
        // A minute or a second can turn between the two.
        if compare(base.path(), place, line).is_some()
            && let Some(difference) = compare(base.path(), place, line)
        {
            differences.push(difference);
        }
    }
    let report = differences.join("\n");
    assert!(count >= 150, "only {count} lines");
    assert!(
        differences.is_empty(),
        "{} of {count} lines differ:\n{report}",
        differences.len()
    );
}

fn in_bash(directory: &Path) -> Command {
    let mut command = Command::new("bash");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a PATH"));
    command.env("LC_ALL", "C").env("TZ", "UTC").env("HOME", "/root");
    command.current_dir(directory);
    command
}

/// Where a line runs: in a copy of the tree, or in an overlay on it.
#[derive(Clone, Copy)]
pub enum Place {
    Plain,
    Overlay,
}

/// A tree that a line runs in, and what holds it there.
struct Work {
    path: PathBuf,
    upper: Option<PathBuf>,
    _mounted: Option<Mounted>,
}

fn remove(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        removed => removed.expect("it is ours"),
    }
}

fn new_work(base: &Path, place: Place) -> Work {
    let work = base.join("work");
    remove(&work);
    if let Place::Overlay = place {
        let (upper, scratch) = (base.join("upper"), base.join("scratch"));
        for path in [&upper, &scratch] {
            remove(path);
            fs::create_dir(path).expect("a new directory");
        }
        fs::create_dir(&work).expect("a new directory");
        let overlay = OverlayMount::new(OverlayOptions::default());
        let overlay = overlay.lower(base.join("master")).upper(&upper, scratch);
        return Work {
            _mounted: Some(overlay.mount(&work).expect("root may")),
            path: work,
            upper: Some(upper),
        };
    }
    let copied = Command::new("cp")
        .arg("-a")
        .arg(base.join("master"))
        .arg(&work)
        .status();
    assert!(copied.expect("cp is there").success());
    Work {
        path: work,
        upper: None,
        _mounted: None,
    }
}

fn compare(base: &Path, place: Place, line: &str) -> Option<String> {
    let work = new_work(base, place);
    let expected = by_bash(&work, line);
    drop(work);
    let work = new_work(base, place);
    let ours = by_shell(&work, line);
    drop(work);
    if ours == expected {
        return None;
    }
    let mut text = format!("$ {line}\n");
    for (what, ours, bash) in [
        ("stdout", &ours.stdout, &expected.stdout),
        ("stderr", &ours.stderr, &expected.stderr),
        ("status", &ours.status.to_string(), &expected.status.to_string()),
        ("files", &ours.files, &expected.files),
    ] {
        if ours != bash {
            text += &only(what, "here", ours, bash);
            text += &only(what, "bash", bash, ours);
        }
    }
    Some(text)
}

/// The lines that only one has.
fn only(what: &str, whose: &str, text: &str, other: &str) -> String {
    let others: Vec<&str> = other.lines().collect();
    let lines = text.lines().filter(|line| !others.contains(line));
    let lines: String = lines.map(|line| format!("    {line}\n")).collect();
    format!("  {what} {whose}:\n{lines}")
}

fn by_bash(work: &Work, line: &str) -> Seen {
    let script = format!("tree() {{ command tree -N --charset utf-8 \"$@\"; }}; umask 022; {line}");
    let output = in_bash(&work.path)
        .arg("--norc")
        .arg("-c")
        .arg(&script)
        .output()
        .expect("bash is there");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let mut lines = Vec::new();
    for line in stderr.lines() {
        let own = [
            "bash: line 1: ",
            "bash: -c: line 1: ",
            "bash: -c: line 2: ",
            "bash: ",
        ];
        let stripped = own.iter().find_map(|prefix| line.strip_prefix(prefix));
        match stripped {
            // The line in question, once more.
            Some(text) if text.starts_with('`') => {}
            text => lines.push(text.unwrap_or(line).to_owned() + "\n"),
        }
    }
    let (inodes, files) = files_of(work);
    Seen {
        stdout: comparable(&output.stdout, &inodes),
        stderr: lines.concat(),
        status: output.status.code().expect("bash ends by itself"),
        files,
    }
}

fn by_shell(work: &Work, line: &str) -> Seen {
    use std::os::unix::ffi::OsStrExt as _;
    let path = &work.path;
    let now = UNIX_EPOCH.elapsed().expect("after 1970");
    // What the line makes is not to be newer than now.
    let now = Time {
        seconds: now.as_secs() as i64 + 2,
        nanos: now.subsec_nanos(),
    };
    let device = fs::metadata(path).expect("it was made").dev();
    let mut shell = Shell::new(MountInfo {
        options: Vec::new(),
        device: Device {
            major: rustix::fs::major(device),
            minor: rustix::fs::minor(device),
        },
    });
    let caller = Caller::root(now);
    let entered = shell.run(
        &mut Process,
        caller,
        &[b"cd ", path.as_os_str().as_bytes()].concat(),
    );
    assert_eq!(entered.status, 0);
    let ran = shell.run(&mut Process, caller, line.as_bytes());
    let (inodes, files) = files_of(work);
    Seen {
        stdout: comparable(&ran.bytes(Stream::Stdout), &inodes),
        stderr: String::from_utf8_lossy(&ran.bytes(Stream::Stderr)).into_owned(),
        status: ran.status.into(),
        files,
    }
}

/// The inode numbers in a tree, and all of it as text: every attribute, times before this year, contents.
fn files_of(work: &Work) -> (BTreeSet<u64>, String) {
    let (inodes, mut files) = tree_of(&work.path);
    if let Some(upper) = &work.upper {
        let (_, in_upper) = tree_of(upper);
        files += &format!("\nin the upperdir:\n{in_upper}\n");
        // What overlayfs noted; both overlays have the same lower layer, so handles are equal too.
        let script = "getfattr -R -h -d -e hex -m ^trusted.overlay . | grep -v overlay.uuid | sort";
        let marks = Command::new("bash")
            .arg("-c")
            .arg(script)
            .current_dir(upper)
            .output();
        files += &String::from_utf8_lossy(&marks.expect("bash is there").stdout);
    }
    (inodes, files)
}

fn tree_of(work: &Path) -> (BTreeSet<u64>, String) {
    let format = "%p %y %m %U:%G %n %l %i %T@\\0";
    let output = Command::new("find")
        .arg(".")
        .arg("-printf")
        .arg(format)
        .current_dir(work)
        .output();
    let output = output.expect("find is there").stdout;
    let mut inodes = BTreeSet::new();
    let mut lines = BTreeSet::new();
    for row in output.split(|&byte| byte == 0).filter(|row| !row.is_empty()) {
        let row = String::from_utf8_lossy(row);
        let (rest, time) = row.rsplit_once(' ').expect("as in the format");
        let (rest, inode) = rest.rsplit_once(' ').expect("as in the format");
        inodes.insert(inode.parse().expect("a number"));
        let seconds: f64 = time.parse().expect("a number");
        let time = if seconds > 1_700_000_000.0 { "now" } else { time };
        lines.insert(format!("{rest} {time}"));
    }
    let sums = Command::new("bash")
        .arg("-c")
        .arg(
            "find . -type f -print0 | sort -z | xargs -0 -r sha256sum; getfattr -R -d -m ^user . 2>/dev/null",
        )
        .current_dir(work)
        .output();
    let sums = String::from_utf8_lossy(&sums.expect("bash is there").stdout).into_owned();
    let mut text: Vec<String> = lines.into_iter().collect();
    text.push(sums);
    (inodes, text.join("\n"))
}

/// Without inode numbers, the mount's own number, times of now, and the time of birth, which system calls of an overlay do not tell.
fn comparable(output: &[u8], inodes: &BTreeSet<u64>) -> String {
    let text = String::from_utf8_lossy(output);
    let mut lines = Vec::new();
    for line in text.split('\n') {
        if line.starts_with(" Birth: ") {
            continue;
        }
        // Each mount has a number of its own.
        let line = match line
            .strip_prefix("Device: ")
            .and_then(|rest| rest.split_once('\t'))
        {
            Some((_, rest)) => rest,
            None => line,
        };
        let is_digit = |c: char| c.is_ascii_digit();
        let mut rest = line;
        let mut new = String::new();
        while let Some(start) = rest.find(is_digit) {
            new.push_str(&rest[..start]);
            rest = &rest[start..];
            let is_time =
                rest.len() >= 29 && &rest[4..5] == "-" && &rest[19..20] == "." && rest.starts_with("202");
            let length = match is_time && &rest[..4] > "2023" {
                true => 29,
                false => rest.find(|c| !is_digit(c)).unwrap_or(rest.len()),
            };
            let number: Option<u64> = rest[..length].parse().ok();
            match (length, number) {
                (29, None) => new.push_str("<now>"),
                (_, Some(number)) if inodes.contains(&number) => new.push_str("<inode>"),
                _ => new.push_str(&rest[..length]),
            }
            rest = &rest[length..];
        }
        new.push_str(rest);
        // Numbers of other lengths have other blanks around them.
        let new = match new.contains("<inode>") {
            true => new.split_whitespace().collect::<Vec<_>>().join(" "),
            false => new,
        };
        lines.push(new);
    }
    lines.join("\n")
}
