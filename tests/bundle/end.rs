//! How `handroll run` ends, and that nothing is left, whatever ended it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::rig::{fails, mortal, text};
use super::*;

/// Starts a container that says `ready`, and then waits for the end of its input.
fn started(room: &Room, image: &Path, script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    starts(room, image, &format!("{script}; echo ready; read end"))
}

/// Starts a container, and waits until it says `ready`.
fn starts(room: &Room, image: &Path, script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut run = mortal(&room.run(image, &["/bin/sh", "-c", script]));
    let mut child = run
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, output)
}

fn code(mut child: Child) -> Option<i32> {
    child.wait().unwrap().code()
}

/// The processes whose command line holds all of this, by their ids.
fn processes(words: &[&str]) -> Vec<u32> {
    let of = |entry: fs::DirEntry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        words.iter().all(|word| line.contains(word)).then_some(pid)
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| of(entry.ok()?))
        .collect()
}

/// The only process of this name that has the mark on its command line.
fn named(name: &str, mark: &str) -> u32 {
    let mut found = processes(&[mark]);
    found.retain(|pid| {
        let found = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        found.trim() == name
    });
    assert_eq!(found.len(), 1, "{name} {mark}");
    found[0]
}

/// The only process of the container in which this is run.
fn inside(mark: &str) -> u32 {
    named("sh", mark)
}

/// Waits till no session is left.
fn wait_for_the_end(room: &Room) {
    let start = Instant::now();
    while !room.sessions().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", room.sessions());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A text that no other process has.
fn mark(name: &str) -> String {
    format!("mark-{}-{name}", std::process::id())
}

fn kill(signal: &str, pid: u32) {
    ok(program("kill").arg(format!("-{signal}")).arg(pid.to_string()));
}

/// Cgroups that containers of this test had.
fn cgroups(child: u32) -> String {
    let find = program("find")
        .args(["/sys/fs/cgroup", "-name", &format!("handroll-{child}")])
        .output()
        .unwrap();
    String::from_utf8(find.stdout).unwrap()
}

#[test]
fn exit_codes_are_the_containers() {
    let room = Room::new();
    let image = room.article(&[]);
    for (script, code) in [
        ("true", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -9 $$; exit 4", 4),
    ] {
        let status = room.run(&image, &["/bin/sh", "-c", script]).status().unwrap();
        assert_eq!(status.code(), Some(code), "{script}");
        room.is_clean();
    }
    // A signal from outside: process 1 hears of none from inside.
    let mark = mark("killed");
    let (child, _output) = started(&room, &image, &format!(": {mark}"));
    kill("KILL", inside(&mark));
    assert_eq!(code(child), Some(137));
    room.is_clean();
    // Without a command the image's own is run.
    let mut child = room
        .handroll("run")
        .arg(&image)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"exit 9\n").unwrap();
    assert_eq!(code(child), Some(9));
    room.is_clean();
}

#[test]
fn its_own_failures_are_125_and_say_what_is_wrong() {
    let room = Room::new();
    let image = room.article(&[]);
    let none = room.path("none.tar");
    room.build(&none, "none", &["base"], &["--user", "anna"]);
    let mut missing = room.run(&image, &["/bin/missing"]);
    fails(&mut missing, 125, "stat /bin/missing: no such file or directory");
    fails(&mut room.run(&none, &["/bin/ls"]), 125, "no user `anna`");
    fails(
        &mut room.run(&room.path("nothing"), &["/bin/ls"]),
        125,
        "No such file or directory",
    );
    fails(room.handroll("run").arg(room.path("base")), 125, "");
    let run = |options: &[&str]| {
        let mut run = room.handroll("run");
        run.arg(&image).args(options);
        run
    };
    fails(
        &mut run(&["--runtime", "no-such-runtime"]),
        125,
        "there is no runtime no-such-runtime",
    );
    fails(
        &mut run(&["--workdir", "here"]),
        125,
        "the directory to start in: `here` is relative",
    );
    fails(&mut run(&["--user", "a:b:c"]), 125, "`a:b:c` is no user");
    fails(&mut run(&["--env", "=x"]), 125, "expected KEY=VALUE");
    fails(
        run(&["--tty"]).stdin(Stdio::null()),
        2,
        "standard input is no terminal",
    );
    // A bare layer says nothing of what to run.
    let layer = room.path("layer.tar");
    ok(program("tar")
        .arg("-C")
        .arg(room.path("base"))
        .arg("-cf")
        .arg(&layer)
        .arg("."));
    fails(room.handroll("run").arg(&layer), 125, "there is nothing to run");
    let listed = text(&mut room.run(&layer, &["/bin/ls", "/"]));
    assert!(listed.starts_with("bin\ndata\n"), "{listed}");
    // Something that runtimes are not.
    fails(&mut run(&["--runtime", "/bin/false"]), 125, "");
    room.is_clean();
}

/// Before the runtime starts, at chosen system calls: while layers are unpacked, when that is done, while the mount's
/// directory is made, when it is mounted, and when all is ready.
#[test]
fn a_signal_before_the_start_leaves_nothing() {
    let room = Room::new();
    let image = room.article(&[]);
    for (name, number, call) in [
        ("TERM", 15, "mkdirat:when=1"),
        ("INT", 2, "mkdirat:when=2"),
        ("HUP", 1, "syncfs:when=1"),
        ("TERM", 15, "symlink:when=1"),
        ("INT", 2, "mount:when=2"),
        ("HUP", 1, "umount2:when=1"),
        ("TERM", 15, "umount2:when=1"),
    ] {
        let run = mortal(&room.run(&image, &["/bin/sh", "-c", "echo started"]));
        let mut traced = program("strace");
        let (traces, when) = call.split_once(':').unwrap();
        traced.arg("-o").arg(room.path("log"));
        traced.args(["-e", &format!("trace={traces}")]);
        traced.args(["-e", &format!("inject={traces}:signal={name}:{when}")]);
        traced.arg(run.get_program()).args(run.get_args());
        let output = traced.env("HANDROLL_PLACE", room.path("place")).output().unwrap();
        // strace ends as what it traces.
        assert_eq!(output.status.signal(), Some(number), "{name} {call}: {output:?}");
        assert!(output.stdout.is_empty(), "{name} {call}: {output:?}");
        room.is_clean();
    }
}

#[test]
fn a_damaged_layer_is_said_and_nothing_is_left() {
    let room = Room::new();
    let image = room.article(&[]);
    let layout = rig::judges::layout(room.space.path(), &image);
    let seen = json(handroll().args(["inspect", "--json"]).arg(&image));
    let digest = seen["images"][0]["layers"][1]["digest"].as_str().unwrap();
    let blob = layout.join("blobs").join(digest.replace(':', "/"));
    let whole = fs::read(&blob).unwrap();
    let middle = whole.len() / 2;
    let mut flipped = whole.clone();
    flipped[middle] ^= 0xff;
    let mut other = whole.clone();
    other[..2].copy_from_slice(b"no");
    for bytes in [&flipped[..], &other, &whole[..middle], b""] {
        fs::write(&blob, bytes).unwrap();
        fails(&mut room.run(&layout, &["/bin/ls"]), 125, "layer 2");
        room.is_clean();
    }
    fs::write(&blob, &whole).unwrap();
    ok(&mut room.run(&layout, &["/bin/ls"]));
}

#[test]
fn signals_are_passed_on() {
    let room = Room::new();
    let image = room.article(&[]);
    for signal in ["TERM", "INT", "HUP", "USR1"] {
        let wait = "while :; do /bin/busybox sleep 0.02; done";
        let script = format!("trap 'exit 43' {signal}; echo ready; {wait}");
        let (child, _output) = starts(&room, &image, &script);
        kill(signal, child.id());
        assert_eq!(code(child), Some(43), "{signal}");
        room.is_clean();
    }
}

#[test]
fn a_killed_runtime_leaves_no_container() {
    let room = Room::new();
    let image = room.article(&[]);
    let mark = mark("runtime");
    let (child, mut output) = started(&room, &image, &format!(": {mark}"));
    let id = child.id();
    let runtime = processes(&[&format!("run --bundle {}", room.path("place").display())]);
    assert_eq!(runtime.len(), 1);
    kill("KILL", runtime[0]);
    let result = child.wait_with_output().unwrap();
    let error = String::from_utf8(result.stderr).unwrap();
    assert_eq!(result.status.code(), Some(125), "{error}");
    assert!(
        error.contains("ended by signal 9; its container is removed"),
        "{error}"
    );
    // Its output ends as its last process does.
    output.read_to_string(&mut String::new()).unwrap();
    room.is_clean();
    assert_eq!(cgroups(id), "");
}

/// Such a runtime knows nothing of the cgroups that it has made.
#[test]
fn a_runtime_that_is_killed_early_leaves_no_cgroups() {
    let room = Room::new();
    let image = room.article(&[]);
    let runtime = rig::killed_runc(room.space.path());
    let mut run = room.handroll("run");
    run.arg(&image).arg("--runtime").arg(runtime);
    let child = run
        .args(["--", "/bin/ls"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let id = child.id();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(125), "{error}");
    assert!(
        error.contains("ended by signal 9; its container is removed"),
        "{error}"
    );
    room.is_clean();
    assert_eq!(cgroups(id), "");
}

/// Alone, and with all of its process group.
#[test]
fn a_killed_handroll_leaves_nothing() {
    let room = Room::new();
    let image = room.article(&[]);
    for whom in ["handroll", "group"] {
        let mark = mark(whom);
        let script = format!("echo x > /written; : {mark}; echo ready; read end");
        let mut run = mortal(&room.run(&image, &["/bin/sh", "-c", &script]));
        let run = run.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = run.spawn().unwrap();
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        assert_eq!(room.sessions().len(), 1);
        match whom {
            "handroll" => kill("KILL", child.id()),
            _ => drop(ok(program("kill").args([
                "-KILL",
                "--",
                &format!("-{}", child.id()),
            ]))),
        }
        child.wait().unwrap();
        // Its output ends as its last process does.
        output.read_to_string(&mut String::new()).unwrap();
        wait_for_the_end(&room);
        room.is_clean();
        assert_eq!(processes(&[&mark]), [0; 0]);
        assert_eq!(cgroups(child.id()), "");
        drop(input);
    }
}

/// While the mount's directory is made, when it is mounted, when the runtime is started, while it runs, and while all
/// is removed.
#[test]
fn a_kill_at_any_moment_leaves_nothing() {
    let room = Room::new();
    let image = room.article(&[]);
    for call in [
        "symlink:when=1",
        "fork,clone,clone3,vfork:when=2",
        "mount:when=2",
        "umount2:when=1",
        "mount:when=3",
        "rename:when=1",
        "umount2:when=2",
        "unlinkat:when=1",
        "unlinkat:when=2",
        "unlinkat:when=3",
        "unlinkat:when=4",
        "unlinkat:when=5",
        "unlinkat:when=6",
        "wait4:when=1",
    ] {
        let run = mortal(&room.run(&image, &["/bin/sh", "-c", "echo started"]));
        let mut traced = program("strace");
        let (traces, when) = call.split_once(':').unwrap();
        traced.arg("-o").arg(room.path("log"));
        traced.args(["-e", &format!("trace={traces}")]);
        traced.args(["-e", &format!("inject={traces}:signal=KILL:{when}")]);
        traced.arg(run.get_program()).args(run.get_args());
        let output = traced.env("HANDROLL_PLACE", room.path("place")).output().unwrap();
        assert_eq!(output.status.signal(), Some(9), "{call}: {output:?}");
        wait_for_the_end(&room);
        room.is_clean();
    }
}

#[test]
fn what_nobody_watches_over_is_ended_by_the_next() {
    let room = Room::new();
    let image = room.article(&[]);
    let mark = mark("handroll");
    let (mut child, mut output) = started(&room, &image, &format!("echo x > /written; : {mark}"));
    let id = child.id();
    let input = child.stdin.take();
    kill("KILL", named("handroll-watch", &mark));
    child.kill().unwrap();
    child.wait().unwrap();
    // The container lives on, as long as its runtime watches over it, and so does what it has written.
    ok(&mut room.run(&image, &["/bin/ls"]));
    assert_eq!(room.sessions().len(), 1);
    assert_eq!(
        fs::read(room.sessions()[0].join("upper/written")).unwrap(),
        b"x\n"
    );
    // Once nobody watches over it, the next one ends it.
    let runtime = processes(&[&format!("run --bundle {}", room.path("place").display())]);
    assert_eq!(runtime.len(), 1);
    kill("KILL", runtime[0]);
    let start = Instant::now();
    while !room.sessions().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20));
        ok(&mut room.run(&image, &["/bin/ls"]));
    }
    output.read_to_string(&mut String::new()).unwrap();
    drop(input);
    room.is_clean();
    assert_eq!(cgroups(id), "");
}

#[test]
fn containers_at_the_same_time_have_a_layer_each() {
    let room = Room::new();
    let image = room.article(&[]);
    let (one, _output) = started(&room, &image, "echo one > /own; [ ! -e /other ]");
    let (other, _other_output) = started(&room, &image, "echo two > /other; [ ! -e /own ]");
    assert_eq!(room.sessions().len(), 2);
    for mut child in [one, other] {
        drop(child.stdin.take());
        // `read` at the end of its input.
        assert_eq!(code(child), Some(1));
    }
    room.is_clean();
}
