//! How a mount ends: by `umount`, with a command, by kills; and what stays.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::rig::{fails, mortal, ok, program, text};
use super::stage::Stage;
use super::{directory, mount_line};

#[test]
fn only_what_handroll_mounted_is_unmounted() {
    let stage = Stage::new();
    let image = stage.layout(&["file a"]);
    fails(
        &mut stage.umount(),
        3,
        "is not a mount of handroll: nothing is mounted there",
    );
    ok(program("mount").args(["-t", "tmpfs", "none"]).arg(&stage.target));
    fails(&mut stage.umount(), 3, "something else is mounted there");
    ok(program("umount").arg(&stage.target));
    // In use: by a process that works there.
    ok(&mut stage.mount(&image));
    let mut user = Command::new("sleep")
        .arg("60")
        .current_dir(&stage.target)
        .spawn()
        .unwrap();
    fails(
        &mut stage.umount(),
        3,
        &format!("in use by process {} (sleep)", user.id()),
    );
    assert!(mount_line(&stage.target).is_some());
    user.kill().unwrap();
    user.wait().unwrap();
    // Two on top of each other: the last comes off first.
    ok(stage.mount(&image).arg("--read-only"));
    ok(&mut stage.umount());
    fs::write(stage.target.join("still"), "").unwrap();
    // Somebody else unmounted it: what was written is removed when it is asked for, and not before.
    ok(program("umount").arg(&stage.target));
    ok(stage.run("mount").arg(&image).arg(directory(stage.path("other"))));
    assert_eq!(stage.names("mounts"), ["1", "2"]);
    let printed = text(&mut stage.umount());
    assert!(
        printed.contains("nothing was mounted there any more"),
        "{printed}"
    );
    ok(stage.run("umount").arg(stage.path("other")));
    stage.is_clean();
}

#[test]
fn an_upper_directory_that_is_given_stays_and_is_used_once_at_a_time() {
    let stage = Stage::new();
    let image = stage.layout(&["file a", "file b"]);
    let upper = stage.path("upper");
    let mount = || {
        let mut run = stage.mount(&image);
        run.arg("--upper").arg(&upper);
        run
    };
    ok(&mut mount());
    fs::remove_file(stage.target.join("a")).unwrap();
    fails(&mut mount(), 3, "it is the upper directory of what is mounted at");
    let printed = text(&mut stage.umount());
    assert!(
        printed.contains(&format!("what was written is in {}", upper.display())),
        "{printed}"
    );
    stage.is_clean();
    assert!(!stage.path(".upper.handroll-work").exists());
    ok(&mut mount());
    assert!(!stage.target.join("a").exists() && stage.target.join("b").exists());
    ok(&mut stage.umount());
    stage.is_clean();
}

#[test]
fn a_command_runs_in_mounts_of_its_own() {
    let stage = Stage::new();
    let image = stage.layout(&["file a content=inside", "dir d"]);
    let run = |script: &str| {
        let mut run = stage.mount(&image);
        run.args(["--", "sh", "-c", script, "sh"]).arg(&stage.target);
        run
    };
    let output = run("cat $1/a; touch $1/new; grep -c \" $1 \" /proc/self/mountinfo; exit 7")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, b"inside1\n");
    stage.is_clean();
    // A signal reaches the command, not only handroll.
    for (signal, code) in [("TERM", 43), ("INT", 43), ("HUP", 43)] {
        let script =
            format!("trap 'exit 43' {signal}; echo ready; for i in $(seq 400); do sleep 0.05; done; exit 1");
        let mut child = mortal(&run(&script)).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        assert_eq!(mount_line(&stage.target), None, "nobody else sees it");
        assert_eq!(stage.names("mounts"), ["1"]);
        ok(program("kill")
            .arg(format!("-{signal}"))
            .arg(child.id().to_string()));
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        stage.is_clean();
    }
    // A command that knows nothing of signals ends by them.
    for (signal, code) in [("TERM", 143), ("USR1", 138)] {
        let mut sleep = stage.mount(&image);
        let mut child = sleep.args(["--", "sleep", "60"]).spawn().unwrap();
        let start = Instant::now();
        let is_running = |pid: u32| {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            let name = children
                .split_whitespace()
                .map(|child| fs::read_to_string(format!("/proc/{child}/comm")));
            name.flatten().any(|name| name.trim() == "sleep")
        };
        while !is_running(child.id()) {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
        ok(program("kill")
            .arg(format!("-{signal}"))
            .arg(child.id().to_string()));
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        stage.is_clean();
    }
    // Whoever started handroll does not want to hear of children.
    let mut deaf = program("sh");
    deaf.args(["-c", r#"trap '' CHLD; exec "$@""#, "sh"])
        .arg(env!("CARGO_BIN_EXE_handroll"));
    deaf.arg("mount")
        .arg(&image)
        .arg(&stage.target)
        .arg("--place")
        .arg(stage.path("place"));
    assert_eq!(
        deaf.args(["--", "sh", "-c", "exit 5"]).status().unwrap().code(),
        Some(5)
    );
    // It is killed by a signal of its own, or is not there.
    assert_eq!(run("kill -KILL $$").status().unwrap().code(), Some(137));
    let mut missing = stage.mount(&image);
    assert_eq!(
        missing
            .args(["--", "no-such-program"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(127)
    );
    stage.is_clean();
}

#[test]
fn what_a_killed_handroll_leaves_is_swept_once_its_command_ended() {
    let stage = Stage::new();
    let image = stage.layout(&["file a"]);
    let mut run = stage.mount(&image);
    run.args(["--", "sh", "-c", "touch $1/new; echo; read end", "sh"])
        .arg(&stage.target);
    let mut child = run.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    let input = child.stdin.take();
    child.kill().unwrap();
    child.wait().unwrap();
    // The command lives on, and so does what it writes to.
    ok(stage.mount(&image).args(["--", "true"]));
    assert_eq!(stage.names("mounts"), ["1"]);
    assert!(stage.path("place/trusted/mounts/1/upper/new").exists());
    drop(input);
    // Its end is seen by the end of its output.
    std::io::Read::read_to_end(&mut reader, &mut Vec::new()).unwrap();
    let start = Instant::now();
    while !stage.names("mounts").is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20));
        ok(stage.mount(&image).args(["--", "true"]));
    }
    stage.is_clean();
}
