//! The store's directory: what killed processes leave, several at once, what is no store, and layers that mean harm.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tempfile::TempDir;

use super::archives;
use super::rig::containerd::Containerd;
use super::rig::{self, handroll, ok, text, tree};

const CONTENT: &str = "io.containerd.content.v1.content";
const SNAPSHOTS: &str = "io.containerd.snapshotter.v1.overlayfs/snapshots";
const METADATA: &str = "io.containerd.metadata.v1.handroll/meta.json";

fn ctr(root: &Path, line: &[&str]) -> Command {
    let mut command = handroll();
    command.arg("ctr").arg("--root").arg(root).args(line);
    command
}

fn names(path: PathBuf) -> BTreeSet<String> {
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    names.map(|name| name.into_string().expect("UTF-8")).collect()
}

/// What is on the disk is what the store says, and nothing else.
fn check_consistent(root: &Path) {
    let listed = text(&mut ctr(root, &["content", "ls", "-q"]));
    let digests = listed.lines().map(|digest| digest.replace("sha256:", ""));
    assert_eq!(names(root.join(CONTENT).join("blobs/sha256")), digests.collect());
    assert!(names(root.join(CONTENT).join("ingest")).is_empty());
    let snapshots = text(&mut ctr(root, &["snapshots", "ls"]));
    assert_eq!(
        names(root.join(SNAPSHOTS)).len(),
        snapshots.lines().count() - 1,
        "{snapshots}"
    );
    for digest in listed.lines() {
        let bytes = ok(&mut ctr(root, &["content", "get", digest])).stdout;
        assert_eq!(handroll::digest::Digest::of(&bytes).to_string(), digest);
    }
}

#[test]
fn what_a_killed_process_leaves_is_swept() {
    let (archives, _) = archives::make();
    let import = ["images", "import", "hybrid.tar"];
    let space = TempDir::new().expect("a directory for tests");
    let begun = Instant::now();
    ok(ctr(&space.path().join("whole"), &import).current_dir(archives.path()));
    let took = begun.elapsed();
    for part in 0..12 {
        let root = space.path().join(part.to_string());
        let mut child = spawn(ctr(&root, &import).current_dir(archives.path()));
        std::thread::sleep(took * part / 12);
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        if root.exists() {
            check_consistent(&root);
        }
        ok(ctr(&root, &import).current_dir(archives.path()));
        check_consistent(&root);
        let said = text(&mut ctr(&root, &["images", "check", "-q"]));
        assert_eq!(said, "docker.io/library/handroll:latest\n");
    }
}

/// What could be left at the worst moments, put there by hand.
#[test]
fn what_the_metadata_does_not_name_is_not_there() {
    let (archives, _) = archives::make();
    let space = TempDir::new().expect("a directory for tests");
    let root = space.path().join("store");
    ok(ctr(&root, &["images", "import", "hybrid.tar"]).current_dir(archives.path()));
    fs::write(root.join(CONTENT).join("ingest/begun"), "half").expect("a new file");
    fs::write(
        root.join(CONTENT).join("blobs/sha256").join("0".repeat(64)),
        "whole",
    )
    .expect("a new file");
    fs::create_dir_all(root.join(SNAPSHOTS).join("99/fs/deep")).expect("a new directory");
    let tasks = root.join("io.containerd.runtime.v2.task");
    fs::create_dir_all(tasks.join("default/c/rootfs")).expect("a new directory");
    fs::create_dir_all(tasks.join("other/c/rootfs")).expect("a new directory");
    let metadata = root.join(METADATA);
    fs::write(metadata.with_extension("json.new"), "{").expect("a new file");
    check_consistent(&root);
    let number = text(&mut ctr(&root, &["snapshots", "prepare", "-t", "/t", "next"]));
    assert!(number.contains("/snapshots/3/fs "), "{number}");
    assert_eq!(names(tasks.clone()), ["default".to_owned()].into());
    assert!(names(tasks.join("default")).is_empty());
}

/// On a disk without any room what was begun is swept, and what is there can be removed.
#[test]
fn a_full_disk_can_be_emptied() {
    let (archives, _) = archives::make();
    let script = r#"set -e
        mount -t tmpfs -o size=8m tmpfs "$place"
        ctr() { "$handroll" ctr --root "$place/store" "$@"; }
        ctr images import hybrid.tar > /dev/null
        dd if=/dev/zero of="$place/rest" bs=4k 2> /dev/null || :
        if ctr images import other.tar; then exit 9; fi
        ctr images ls -q
        ctr images rm docker.io/library/handroll:latest
        ctr content ls -q
        ls "$place/store/io.containerd.content.v1.content/blobs/sha256""#;
    let space = TempDir::new().expect("a directory for tests");
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "sh", "-c", script]);
    shell.env("place", space.path());
    shell.env("handroll", env!("CARGO_BIN_EXE_handroll"));
    let name = "docker.io/library/handroll:latest\n";
    assert_eq!(text(shell.current_dir(archives.path())), [name, name].concat());
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("handroll is built")
}

#[test]
fn several_work_on_a_store_one_after_the_other() {
    let (archives, _) = archives::make();
    let space = TempDir::new().expect("a directory for tests");
    let root = space.path().join("store");
    let files = [
        "hybrid.tar",
        "other.tar",
        "ref.tar",
        "full.tar",
        "docker.tar",
        "platforms.tar",
    ];
    let children = files.map(|file| {
        spawn(ctr(&root, &["images", "import", "--base-name", "base", file]).current_dir(archives.path()))
    });
    for child in children {
        let output = child.wait_with_output().expect("it is ours");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let listed = text(&mut ctr(&root, &["images", "ls", "-q"]));
    let expected = [
        "base:latest",
        "docker.io/library/handroll:latest",
        "docker.io/library/many:latest",
        "docker.io/library/other:latest",
    ];
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
    check_consistent(&root);
}

fn refused(output: &Output, says: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains(says), "should say `{says}`: {error}");
}

#[test]
fn what_is_no_store_is_refused() {
    let space = TempDir::new().expect("a directory for tests");
    let list = |root: &Path| ctr(root, &["images", "ls"]).output().expect("handroll is built");
    let root = space.path().join("store");
    ok(&mut ctr(&root, &["images", "ls"]));
    let metadata = root.join(METADATA);
    ok(&mut ctr(&root, &["leases", "create", "--id", "l"]));
    for (text, says) in [
        (
            "{\"handroll_store\": 2}",
            "its version is 2, and this handroll knows 1",
        ),
        ("{}", "not a handroll store's"),
        ("{\"handroll_store\": 1}", "at /namespaces: expected an object"),
        ("", "not a handroll store's"),
    ] {
        fs::write(&metadata, text).expect("it can be written");
        refused(&list(&root), says);
        assert_eq!(
            fs::read_to_string(&metadata).expect("it is there"),
            text,
            "it is left as it was"
        );
    }
    let other = space.path().join("other");
    fs::create_dir(&other).expect("a new directory");
    fs::write(other.join("mine"), "").expect("a new file");
    refused(&list(&other), "is not empty and holds no store");
    assert_eq!(names(other.clone()).len(), 1);
    fs::create_dir(other.join("io.containerd.metadata.v1.bolt")).expect("a new directory");
    refused(&list(&other), "is containerd's own root");
    refused(
        &list(&space.path().join("a,b")),
        "must be UTF-8, without commas and colons",
    );
    let mut command = ctr(&root, &["images", "ls"]);
    let mut copy = Command::new("cp");
    let program = space.path().join("handroll");
    ok(copy.arg(env!("CARGO_BIN_EXE_handroll")).arg(&program));
    ok(Command::new("chmod").arg("-R").arg("a+rX").arg(space.path()));
    command = {
        let mut other = Command::new(&program);
        other.args(command.get_args());
        other
    };
    refused(
        &command.uid(65534).gid(65534).output().expect("it is built"),
        "that takes root",
    );
}

#[test]
fn a_blob_that_is_gone_is_told() {
    let (archives, _) = archives::make();
    let space = TempDir::new().expect("a directory for tests");
    let root = space.path().join("store");
    ok(ctr(&root, &["images", "import", "--no-unpack", "hybrid.tar"]).current_dir(archives.path()));
    for name in names(root.join(CONTENT).join("blobs/sha256")) {
        fs::remove_file(root.join(CONTENT).join("blobs/sha256").join(&name)).expect("it is there");
        let output = ctr(&root, &["content", "get", &format!("sha256:{name}")]).output();
        let output = output.expect("handroll is built");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            error.contains("No such file") && output.status.code() == Some(1),
            "{error}"
        );
    }
}

/// Whoever waits for a container is killed: the container ends with the next line, and can be removed.
#[test]
fn a_container_that_nobody_waits_for_is_ended() {
    let (archives, _) = archives::make();
    let space = TempDir::new().expect("a directory for tests");
    let root = space.path().join("store");
    ok(ctr(&root, &["images", "import", "hybrid.tar"]).current_dir(archives.path()));
    let namespace = format!("lost{}", std::process::id());
    let line = |line: &[&str]| ctr(&root, &[&["-n", &namespace], line].concat());
    ok(line(&["images", "import", "hybrid.tar"]).current_dir(archives.path()));
    let image = "docker.io/library/handroll:latest";
    let script = "busybox sleep 1000";
    let mut child = spawn(&mut line(&["run", image, "c", "/bin/sh", "-c", script]));
    let begun = Instant::now();
    let pid = loop {
        let listed = text(&mut line(&["tasks", "ls"]));
        let row = listed
            .lines()
            .nth(1)
            .map(|row| row.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        if let Some([_, pid, status]) = row.as_deref() {
            assert_eq!(status, "RUNNING");
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if command.contains("sleep") {
                break pid.clone();
            }
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it does not start: {listed}"
        );
        std::thread::sleep(Duration::from_millis(20));
    };
    let refused = line(&["containers", "rm", "c"])
        .output()
        .expect("handroll is built");
    assert!(!refused.status.success());
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    let listed = text(&mut line(&["tasks", "ls"]));
    assert!(listed.ends_with("STOPPED\n"), "{listed}");
    assert!(
        !Path::new(&format!("/proc/{pid}")).exists(),
        "the container is still there"
    );
    ok(&mut line(&["containers", "rm", "c"]));
    assert_eq!(text(&mut line(&["containers", "ls", "-q"])), "");
    check_consistent_in(&root, &namespace);
}

/// A runtime that is killed before it has written its state knows nothing of the cgroups that it has made; those of
/// others stay.
#[test]
fn a_runtime_that_is_killed_early_leaves_no_cgroups() {
    let (archives, _) = archives::make();
    let space = TempDir::new().expect("a directory for tests");
    let root = space.path().join("store");
    let namespace = format!("early{}", std::process::id());
    let runc = rig::killed_runc(space.path());
    let line = |line: &[&str]| ctr(&root, &[&["-n", &namespace], line].concat());
    ok(line(&["images", "import", "hybrid.tar"]).current_dir(archives.path()));
    let own = Path::new("/sys/fs/cgroup/pids").join(&namespace);
    fs::create_dir_all(own.join("other")).expect("root may");
    let path = std::env::var("PATH").expect("there is one");
    let path = format!("{}:{path}", runc.parent().expect("a directory").display());
    let mut run = line(&[
        "run",
        "--rm",
        "docker.io/library/handroll:latest",
        "c",
        "/bin/true",
    ]);
    rig::fails(run.env("PATH", path), 1, "the runtime was ended by signal 9");
    assert_eq!(text(&mut line(&["containers", "ls", "-q"])), "");
    let left = Command::new("find")
        .arg("/sys/fs/cgroup")
        .args(["-type", "d", "-path", &format!("*/{namespace}/*")])
        .output();
    let left = String::from_utf8(left.expect("findutils").stdout).expect("UTF-8");
    assert_eq!(left, format!("{}\n", own.join("other").display()));
    ok(Command::new("find")
        .args(["/sys/fs/cgroup", "-depth", "-type", "d"])
        .args(["-path", &format!("*/{namespace}*"), "-delete"]));
    check_consistent_in(&root, &namespace);
}

/// A container ends while somebody else works on the store: until its end is noted, nobody takes it for one that was
/// lost.
#[test]
fn a_container_is_waited_for_until_its_end_is_noted() {
    let (archives, _) = archives::make();
    let space = TempDir::new().expect("a directory for tests");
    let root = space.path().join("store");
    let namespace = format!("noted{}", std::process::id());
    let line = |line: &[&str]| ctr(&root, &[&["-n", &namespace], line].concat());
    ok(line(&["images", "import", "hybrid.tar"]).current_dir(archives.path()));
    let image = "docker.io/library/handroll:latest";
    let script = "echo begun; read end; exit 3";
    let mut run = line(&["run", image, "c", "/bin/sh", "-c", script]);
    let run = run
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = run.spawn().expect("handroll is built");
    let first = |stream: &mut dyn Read| {
        BufReader::new(stream)
            .lines()
            .next()
            .expect("a line")
            .expect("UTF-8")
    };
    assert_eq!(first(child.stdout.as_mut().expect("a pipe")), "begun");
    let store = File::open(root.join("io.containerd.metadata.v1.handroll/lock")).expect("it is there");
    flock(&store, FlockOperation::LockExclusive).expect("nobody works on it");
    drop(child.stdin.take());
    let waits = first(child.stderr.as_mut().expect("a pipe"));
    assert_eq!(
        waits,
        "handroll: waiting for another handroll that works on this store"
    );
    let task = root
        .join("io.containerd.runtime.v2.task")
        .join(&namespace)
        .join("c/lock");
    let task = File::open(task).expect("it is there");
    let lock = FlockOperation::NonBlockingLockExclusive;
    assert_eq!(flock(&task, lock), Err(Errno::WOULDBLOCK));
    drop(store);
    assert_eq!(child.wait().expect("it is ours").code(), Some(3));
    assert_eq!(text(&mut line(&["tasks", "ls", "-q"])), "");
}

/// A container has ended, but before that is noted its task is deleted by force and started anew: that one is left
/// alone.
#[test]
fn a_task_is_told_from_the_next() {
    let (archives, _) = archives::make();
    let space = TempDir::new().expect("a directory for tests");
    let root = space.path().join("store");
    let namespace = format!("next{}", std::process::id());
    let line = |line: &[&str]| ctr(&root, &[&["-n", &namespace], line].concat());
    ok(line(&["images", "import", "hybrid.tar"]).current_dir(archives.path()));
    let first_line = |stream: &mut dyn Read| {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("UTF-8");
        line
    };
    let begun = |mut command: Command| {
        let mut child = spawn(command.stdin(Stdio::piped()));
        assert_eq!(first_line(child.stdout.as_mut().expect("a pipe")), "begun\n");
        child
    };
    let script = "echo begun; read end; exit 3";
    let image = "docker.io/library/handroll:latest";
    let mut first = begun(line(&["run", "--rm", image, "c", "/bin/sh", "-c", script]));
    let store = File::open(root.join("io.containerd.metadata.v1.handroll/lock")).expect("it is there");
    flock(&store, FlockOperation::LockExclusive).expect("nobody works on it");
    drop(first.stdin.take());
    let waits = first_line(first.stderr.as_mut().expect("a pipe"));
    assert!(waits.contains("waiting for another handroll"), "{waits}");
    let signal = |name: &str| ok(Command::new("kill").arg(name).arg(first.id().to_string()));
    signal("-STOP");
    drop(store);
    ok(&mut line(&["tasks", "rm", "-f", "c"]));
    let mut next = begun(line(&["tasks", "start", "c"]));
    signal("-CONT");
    assert_eq!(first.wait().expect("it is ours").code(), Some(3));
    let listed = text(&mut line(&["tasks", "ls"]));
    assert!(listed.ends_with("RUNNING\n"), "{listed}");
    drop(next.stdin.take());
    assert_eq!(next.wait().expect("it is ours").code(), Some(3));
    ok(&mut line(&["containers", "rm", "c"]));
    check_consistent_in(&root, &namespace);
}

fn check_consistent_in(root: &Path, namespace: &str) {
    let snapshots = text(&mut ctr(root, &["-n", namespace, "snapshots", "ls"]));
    assert_eq!(snapshots.lines().count(), 3, "{snapshots}");
    let tasks = root.join("io.containerd.runtime.v2.task").join(namespace);
    assert!(names(tasks).is_empty());
}

/// Layers whose names and links lead out: what lies outside is as it was, whatever becomes of the import.
#[test]
fn layers_do_not_reach_outside() {
    let space = TempDir::new().expect("a directory for tests");
    let outside = space.path().join("outside");
    fs::create_dir(&outside).expect("a new directory");
    fs::write(outside.join("canary"), "alive").expect("a new file");
    let out = outside.display().to_string();
    let up = "../".repeat(20);
    let layers: [&[(&str, char, &str)]; 7] = [
        &[("link", '2', &out), ("link/planted", '0', "")],
        &[("link", '2', &out), ("link/.wh.canary", '0', "")],
        &[("link", '2', &out), ("link/.wh..wh..opq", '0', "")],
        &[("link", '2', &out), ("link/canary", '0', "")],
        &[("stolen", '1', &format!("{up}{out}/canary"))],
        &[("d/", '5', ""), ("d/up", '2', &up), ("d/up/planted", '0', "")],
        &[(&format!("{up}{out}/planted"), '0', "")],
    ];
    for (number, entries) in layers.iter().enumerate() {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, target) in *entries {
            let mut header = tar::Header::new_gnu();
            let old = header.as_old_mut();
            old.name[..name.len()].copy_from_slice(name.as_bytes());
            old.linkname[..target.len()].copy_from_slice(target.as_bytes());
            header.set_entry_type(tar::EntryType::new(*kind as u8));
            header.set_mode(0o4777);
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, &b""[..]).expect("there is room");
        }
        let layer = builder.into_inner().expect("there is room");
        let archive = space.path().join(format!("{number}.tar"));
        archives::of_layer(&layer, &archive);
        let root = space.path().join(format!("store{number}"));
        let output = ctr(&root, &["images", "import"])
            .arg(&archive)
            .output()
            .expect("it is built");
        assert!(matches!(output.status.code(), Some(0 | 1)), "{entries:?}");
        check_consistent(&root);
        assert_eq!(
            names(outside.clone()),
            ["canary".to_owned()].into(),
            "{entries:?}"
        );
        assert_eq!(fs::read(outside.join("canary")).expect("it is there"), b"alive");
        let planted = space.path().join("planted").exists() || Path::new("/planted").exists();
        assert!(!planted, "{entries:?}");
    }
}

/// Everything that a layer can hold, whiteouts and opaque directories among it: every snapshot's directory is
/// containerd's, path by path with all attributes and marks.
#[test]
fn directories_are_as_containerd_makes_them() {
    let space = TempDir::new().expect("a directory for tests");
    rig::everything(space.path());
    let mut build = handroll();
    build.args([
        "build",
        "--layer",
        "base",
        "--layer",
        "delta",
        "--whiteout",
        "/gone",
    ]);
    build.args([
        "--whiteout",
        "/sticky/su",
        "--opaque",
        "/replaced",
        "--name",
        "all",
        "--cmd",
        "/x",
    ]);
    build.args(["--owner", "keep", "--mtime", "1735689600", "-o", "all.tar"]);
    ok(build.current_dir(space.path()));
    let archive = space.path().join("all.tar");
    let containerd = Containerd::start();
    containerd.import(&archive);
    let root = space.path().join("store");
    ok(ctr(&root, &["images", "import"]).arg(&archive));
    for number in ["1", "2"] {
        let [expected, found] = [containerd.root(), root.clone()].map(|root| {
            let directory = root.join(SNAPSHOTS).join(number);
            let mode = |name: &str| {
                let metadata = fs::metadata(directory.join(name)).expect("it is there");
                (name.to_owned(), format!("{:o}", metadata.permissions().mode()))
            };
            let mut described = tree::describe(&directory.join("fs"));
            // A whiteout is made when it is unpacked, which may be a second later.
            for text in described.values_mut().filter(|text| text.starts_with("char 0x0")) {
                text.truncate(text.rfind(' ').expect("the time is its last word"));
            }
            described.extend([mode("fs"), mode("work"), mode("")]);
            described
        });
        assert!(expected.len() > 5);
        assert_eq!(found, expected, "directory {number}");
    }
    let marked = tree::describe(&root.join(SNAPSHOTS).join("2/fs"));
    assert!(
        marked["gone"].contains("0:0") || marked["gone"].contains("char"),
        "{}",
        marked["gone"]
    );
}
