//! `handroll umount --prune`: which layers go, and which stay.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::rig::{ok, text};
use super::stage::Stage;
use super::{directory, layout};

fn prune(stage: &Stage) -> String {
    text(stage.run("umount").arg("--prune"))
}

/// Starts a command that says a line when it is ready, and ends with its input.
fn until_ready(command: &mut Command) -> (Child, String) {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    (child, line)
}

#[test]
fn layers_that_nothing_is_mounted_with_go() {
    let stage = Stage::new();
    assert_eq!(prune(&stage), "no layers are unpacked\n");
    let shared = "file a content=shared";
    let first = layout(&stage.path("first"), &[shared, "file b"]);
    let second = layout(&stage.path("second"), &[shared, "file c", "file d"]);
    let other = directory(stage.path("other"));
    for api in ["descriptors", "paths", "string"] {
        ok(stage.mount(&first).args(["--mount-api", api]));
        ok(stage.run("mount").arg(&second).arg(&other));
        ok(stage.run("umount").arg(&other));
        assert_eq!(stage.names("layers").len(), 4);
        assert_eq!(prune(&stage), "removed 2 layers, 2 in use\n", "{api}");
        assert_eq!(stage.names("layers").len(), 2);
        assert_eq!(fs::read(stage.target.join("a")).unwrap(), b"shared");
        let printed = text(stage.umount().arg("--prune"));
        assert!(printed.ends_with("removed 2 layers, 0 in use\n"), "{printed}");
        assert_eq!(stage.names("layers"), [""; 0]);
    }
    // What was unpacked with other marks goes, too, and what a killed prune left.
    ok(stage.mount(&first).arg("--userxattr"));
    ok(&mut stage.umount());
    directory(stage.path("place/trusted/work").join("half/fs"));
    assert_eq!(prune(&stage), "removed 2 layers, 0 in use\n");
    assert_eq!(
        fs::read_dir(stage.path("place/userxattr/layers"))
            .unwrap()
            .count(),
        0
    );
    stage.is_clean();
}

#[test]
fn layers_stay_as_long_as_a_command_or_other_mounts_need_them() {
    let stage = Stage::new();
    let image = stage.layout(&["file a content=kept"]);
    // A command has mounts of its own, and lives on when handroll is killed.
    let script = r#"echo ready; read end; cat "$1/a""#;
    let mut run = stage.mount(&image);
    run.args(["--", "sh", "-c", script, "sh"]).arg(&stage.target);
    let (mut child, _) = until_ready(&mut run);
    // Waiting would close it, and end the command.
    let input = child.stdin.take();
    child.kill().unwrap();
    child.wait().unwrap();
    let printed = prune(&stage);
    assert!(
        printed.starts_with("trusted: nothing is removed: a command runs"),
        "{printed}"
    );
    assert_eq!(stage.names("layers").len(), 1);
    drop(input);
    // A mount that lasts, in mounts that this thread does not see.
    let script = r#""$@" >&2 && echo ready && read end"#;
    let mount = stage.mount(&image);
    let mut run = Command::new("unshare");
    run.args(["--mount", "sh", "-c", script, "sh"])
        .arg(mount.get_program());
    run.args(mount.get_args())
        .env("HANDROLL_PLACE", stage.path("place"));
    let (mut child, line) = until_ready(run.stderr(Stdio::null()));
    assert_eq!(line, "ready\n");
    let start = std::time::Instant::now();
    // The command from before ends by itself.
    while prune(&stage) != "removed 0 layers, 1 in use\n" {
        assert!(start.elapsed().as_secs() < 20);
    }
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(prune(&stage), "removed 1 layer, 0 in use\n");
}
