//! Bundles as root: mounted and unpacked, started by runc, and taken away.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::rig::{fails, text};
use super::*;

/// runc runs what is in a bundle; its exit code and what it printed.
fn runc(room: &Room, bundle: &Path) -> (Option<i32>, String) {
    let name = bundle.file_name().unwrap().to_str().unwrap();
    let output = program("runc")
        .arg("--root")
        .arg(room.path("runc"))
        .args(["run", "-b"])
        .arg(bundle)
        .arg(format!("{name}-{}", std::process::id()))
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap() + &error,
    )
}

#[test]
fn a_mounted_one_runs_and_is_taken_away_by_umount() {
    let room = Room::new();
    let image = room.article(&[]);
    let bundle = room.path("bundle");
    let script = "cat /hello.txt; ls /data; [ -e /own ] && echo again; echo x > /own; exit 3";
    let printed = text(
        room.handroll("bundle")
            .arg(&image)
            .arg(&bundle)
            .args(["--", "/bin/sh", "-c", script]),
    );
    let rootfs = bundle.join("rootfs");
    let says = format!("`handroll umount {}` takes it away", rootfs.display());
    assert!(
        printed.contains("2 layers") && printed.contains(&says),
        "{printed}"
    );
    assert_eq!(
        fs::metadata(&bundle).unwrap().mode() & 0o7777,
        0o700,
        "its programs are for root alone"
    );
    assert_eq!(runc(&room, &bundle), (Some(3), "hello from delta\n".to_owned()));
    // What was written stays as long as it is mounted.
    assert_eq!(
        runc(&room, &bundle),
        (Some(3), "hello from delta\nagain\n".to_owned())
    );
    assert_eq!(fs::read(rootfs.join("own")).unwrap(), b"x\n");
    fails(
        room.handroll("bundle").arg(&image).arg(&bundle),
        3,
        "it is not empty",
    );
    ok(room.handroll("umount").arg(&rootfs));
    assert_eq!(fs::read_dir(&rootfs).unwrap().count(), 0);
    room.is_clean();
}

#[test]
fn an_unpacked_one_runs_as_the_image_says() {
    let room = Room::new();
    let script = "umask 022; mkdir -p more/etc more/vol more/home; printf 'anna:x:1000:1001::/home:/bin/sh\\n' > more/etc/passwd
        printf 'anna:x:1001:\\naudio:x:29:anna\\n' > more/etc/group; echo seed > more/vol/file; chmod 1777 more/vol";
    room.article(&[]);
    ok(program("sh").args(["-ec", script]).current_dir(room.space.path()));
    let image = room.path("more.tar");
    let own = [
        "--user",
        "anna",
        "--env",
        "A=1",
        "--working-dir",
        "/home",
        "--volume",
        "/vol",
    ];
    room.build(&image, "more", &["base", "more"], &own);
    let bundle = room.path("bundle");
    let script = "pwd; echo $A $HOME; cat /vol/file; echo new > /vol/new && ls /vol; cat /proc/self/status";
    let command = ["--unpack", "--", "/bin/sh", "-c", script];
    ok(room.handroll("bundle").arg(&image).arg(&bundle).args(command));
    let (code, printed) = runc(&room, &bundle);
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.starts_with("/home\n1 /home\nseed\nfile\nnew\n"),
        "{printed}"
    );
    for line in [
        "Uid:\t1000\t1000",
        "Gid:\t1001\t1001",
        "Groups:\t29 1001",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
    ] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    // What is written to a volume is not written to the root file system.
    assert!(!bundle.join("rootfs/vol/new").exists());
    assert_eq!(room.sessions(), Vec::<PathBuf>::new());
    // Another user, other variables, and nobody writes.
    let bundle = room.path("other");
    let mut make = room.handroll("bundle");
    make.arg(&image).arg(&bundle).args([
        "--unpack",
        "--read-only",
        "-u",
        "0:29",
        "-e",
        "A=2",
        "-e",
        "B=3",
        "-w",
        "/",
    ]);
    ok(make.args(["--", "/bin/sh", "-c", "echo $A $B; pwd; echo x > /new"]));
    let (code, printed) = runc(&room, &bundle);
    assert!(
        printed.starts_with("2 3\n/\n") && printed.contains("Read-only file system"),
        "{printed}"
    );
    assert_eq!(code, Some(1));
}

#[test]
fn what_fails_leaves_nothing() {
    let room = Room::new();
    room.article(&[]);
    let image = room.path("none.tar");
    room.build(&image, "none", &["base"], &["--user", "anna"]);
    let bundle = room.path("bundle");
    for options in [&[][..], &["--unpack"]] {
        let mut make = room.handroll("bundle");
        fails(make.arg(&image).arg(&bundle).args(options), 3, "no user `anna`");
        assert!(!bundle.exists());
        room.is_clean();
    }
    // A directory that was there stays.
    fs::create_dir(&bundle).unwrap();
    fs::set_permissions(&bundle, fs::Permissions::from_mode(0o755)).unwrap();
    fails(
        room.handroll("bundle").arg(&image).arg(&bundle),
        3,
        "no user `anna`",
    );
    assert_eq!(fs::read_dir(&bundle).unwrap().count(), 0);
    fails(
        room.handroll("bundle").arg(&image).arg(room.path("no/such")),
        3,
        "No such file or directory",
    );
    room.is_clean();
}
