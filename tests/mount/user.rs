//! `handroll mount IMAGE DIR -- CMD` by somebody who is not root, with and without subordinate ids.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::rig::{fails, ok, program};
use super::{directory, layout, mount_line, space};

/// A user that no system has, and that user's own directory.
const UID: u32 = 54_321;

struct Home {
    space: TempDir,
    program: PathBuf,
    target: PathBuf,
}

impl Home {
    /// The user and the subordinate ids are there in these mounts alone, in which files of /etc are covered.
    fn new(subordinate: &str) -> Self {
        let space = space();
        fs::set_permissions(space.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let users = fs::read_to_string("/etc/passwd").unwrap();
        // newuidmap asks for the name.
        let users = format!("{users}\nhandroll-test:x:{UID}:{UID}::/nowhere:/bin/sh\n");
        for (file, text) in [
            ("passwd", &users[..]),
            ("subuid", subordinate),
            ("subgid", subordinate),
        ] {
            let own = space.path().join(file);
            fs::write(&own, text).unwrap();
            let system = Path::new("/etc").join(file);
            if !system.exists() {
                fs::write(&system, "").unwrap();
            }
            ok(program("mount").arg("--bind").arg(own).arg(system));
        }
        // Where the build lies, others may not be allowed to look.
        let program = space.path().join("handroll");
        copy(Path::new(env!("CARGO_BIN_EXE_handroll")), &program);
        let home = directory(space.path().join("home"));
        chown(&home, Some(UID), Some(UID)).unwrap();
        let target = directory(space.path().join("target"));
        Self {
            space,
            program,
            target,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.space.path().join(name)
    }

    fn mount(&self, image: &Path) -> Command {
        let mut run = self.run("mount");
        run.arg(image).arg(&self.target);
        run
    }

    fn run(&self, command: &str) -> Command {
        let mut run = Command::new("setpriv");
        run.args([
            format!("--reuid={UID}"),
            format!("--regid={UID}"),
            "--clear-groups".to_owned(),
        ]);
        run.arg(&self.program).arg(command);
        run.env_remove("HANDROLL_PLACE")
            .env_remove("XDG_DATA_HOME")
            .env("HOME", self.path("home"))
            .current_dir(self.space.path());
        run
    }

    /// What a shell sees and does in the mount, which is `$1`.
    fn shell(&self, image: &Path, script: &str) -> Output {
        let mut run = self.mount(image);
        let output = run
            .args(["--", "sh", "-c", script, "sh"])
            .arg(&self.target)
            .output()
            .unwrap();
        assert_eq!(mount_line(&self.target), None);
        let places = self.path("home/.local/share/handroll");
        for place in fs::read_dir(places).unwrap() {
            let mounts = place.unwrap().path().join("mounts");
            assert_eq!(fs::read_dir(mounts).unwrap().count(), 1, "only the lock stays");
        }
        output
    }
}

/// Copies a program. Not by this process: another thread that starts something meanwhile would inherit the open
/// file, and a program that is open for writing cannot be run.
fn copy(from: &Path, to: &Path) {
    ok(program("cp").arg(from).arg(to));
}

fn printed(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{error}");
    (out, error)
}

const LAYERS: [&str; 2] = [
    r"
    dir etc
    file etc/passwd content=p mode=0600 mtime=1234
    file etc/shadow content=s mode=0640 gid=42
    dir home uid=1000 gid=1000 mode=0700
    file home/mine content=mine uid=1000 gid=1000 xattr.user.color=blue
    link home/same -> home/mine uid=1000 gid=1000
    dir veiled uid=33 gid=33
    file veiled/old content=old
    dir both
    file both/below content=below
    file both/stays content=stays xattr.user.overlay.opaque=y
    file bin content=program mode=4755
    fifo pipe mode=0620
    symlink link -> etc/passwd
    ",
    r"
    dir veiled uid=33 gid=33
    file veiled/.wh..wh..opq
    file veiled/new content=new uid=33 gid=33
    dir both
    file both/.wh.below
    ",
];

const DEVICES: &str = "dir dev\nchar dev/null 1:3 mode=0666\nlink dev/zero -> dev/null\nfile dev/file";

/// Every path with type, mode, owner and time.
const LIST: &str =
    r#"cd "$1" && find . -mindepth 1 -printf '%P %y %m %U:%G %T@ %n %l\n' && cat veiled/* both/*"#;

fn lines(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .collect()
}

#[test]
fn with_subordinate_ids_everything_but_devices_is_kept() {
    let home = Home::new(&format!("{UID}:200000:65536\n"));
    let image = layout(&home.path("layout"), &LAYERS);
    let (ours, error) = printed(&home.shell(&image, LIST));
    assert_eq!(error, "");
    // Root sees the same.
    let mut root = super::rig::handroll();
    root.args(["mount", "--place"])
        .arg(home.path("place"))
        .arg(&image)
        .arg(&home.target);
    let (theirs, _) = printed(
        &root
            .args(["--", "sh", "-c", LIST, "sh"])
            .arg(&home.target)
            .output()
            .unwrap(),
    );
    assert_eq!(lines(&ours), lines(&theirs));
    assert!(ours.contains("home/mine f 644 1000:1000 1000.0"), "{ours}");
    // What looks like a mark of overlayfs is an xattr like any other.
    let script = r#"cd "$1" && getfattr -m - --absolute-names -d both/stays home/mine"#;
    let (seen, _) = printed(&home.shell(&image, script));
    assert!(
        seen.contains(r#"user.overlay.opaque="y""#) && seen.contains(r#"user.color="blue""#),
        "{seen}"
    );
    let image = layout(&home.path("devices"), &[DEVICES]);
    let (seen, error) = printed(&home.shell(&image, r#"ls "$1/dev""#));
    assert_eq!(seen, "file\n");
    assert_eq!(
        error,
        "handroll: devices that could not be kept: /dev/null, /dev/zero\n"
    );
    // Layers belong to other ids outside, so they are removed where they were made.
    let pruned = home.run("umount").arg("--prune").output().unwrap();
    assert_eq!(printed(&pruned).0, "removed 3 layers, 0 in use\n");
}

#[test]
fn without_them_owners_that_could_not_be_kept_are_listed() {
    let home = Home::new("somebody:200000:65536\n");
    let image = layout(&home.path("layout"), &LAYERS);
    // The second time layers are there already, and what they lack is still told.
    for _ in 0..2 {
        let (seen, error) = printed(&home.shell(&image, LIST));
        assert!(
            error.contains("/etc/subuid gives this user no subordinate ids"),
            "{error}"
        );
        let owners = "owners that could not be kept: 0:42 (1 file), 33:33 (3 files), 1000:1000 (3 files)";
        assert!(error.contains(owners), "{error}");
        assert!(seen.contains("home/mine f 644 0:0 1000.0"), "{seen}");
        assert!(
            seen.contains("bin f 4755 0:0") && seen.ends_with("newstays"),
            "{seen}"
        );
        assert!(
            !seen.contains("veiled/old") && !seen.contains("both/below"),
            "{seen}"
        );
    }
}

#[test]
fn newuidmap_that_fails_is_told_and_not_fatal() {
    let home = Home::new(&format!("{UID}:200000:65536\n"));
    // It is found before the real one.
    let script = home.path("script");
    fs::write(&script, "#!/bin/sh\necho it is broken >&2; exit 1\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    copy(&script, &home.path("newuidmap"));
    let image = layout(&home.path("layout"), &LAYERS);
    let mut run = home.mount(&image);
    let path = format!("{}:/usr/bin:/bin", home.space.path().display());
    let output = run
        .env("PATH", path)
        .args(["--", "cat"])
        .arg(home.target.join("veiled/new"))
        .output()
        .unwrap();
    let (seen, error) = printed(&output);
    assert_eq!(seen, "new");
    assert!(error.contains("newuidmap failed: it is broken"), "{error}");
    assert!(error.contains("owners that could not be kept"), "{error}");
}

#[test]
fn what_is_written_and_the_exit_code() {
    let home = Home::new(&format!("{UID}:200000:65536\n"));
    let image = layout(&home.path("layout"), &LAYERS);
    let script = r#"
        cd "$1" && rm -r home both && mkdir both && echo new > both/new && echo more >> etc/passwd && chown 7:7 etc/shadow
        ls both && grep " $1 " /proc/self/mountinfo && exit 9
    "#;
    let output = home.shell(&image, script);
    assert_eq!(output.status.code(), Some(9));
    let seen = String::from_utf8(output.stdout).unwrap();
    assert!(seen.starts_with("new\n"), "{seen}");
    assert!(
        seen.contains("redirect_dir=nofollow") && seen.contains("userxattr"),
        "{seen}"
    );
    // Nothing of it is left, and an upper directory that is given stays.
    let upper = home.path("home/upper");
    let (seen, _) = printed(&home.shell(&image, r#"cat "$1/etc/passwd""#));
    assert_eq!(seen, "p");
    let mut run = home.mount(&image);
    let run = run
        .arg("--upper")
        .arg(&upper)
        .args(["--", "rm", "-r"])
        .arg(home.target.join("etc"));
    assert!(run.status().unwrap().success());
    let names = fs::read_dir(&upper)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["etc"]);
    assert!(!home.path("home/.upper.handroll-work").exists());
}

#[test]
fn in_a_user_namespace_no_command_is_needed() {
    let home = Home::new("");
    let image = layout(&home.path("layout"), &LAYERS);
    let script = r#"
        "$1" mount "$2" "$3" && ls "$3/veiled" && findmnt -no OPTIONS "$3" && "$1" umount "$3" && ls -A "$3"
    "#;
    let mut run = Command::new("setpriv");
    run.args([
        format!("--reuid={UID}"),
        format!("--regid={UID}"),
        "--clear-groups".to_owned(),
    ]);
    run.args(["unshare", "-Urm", "sh", "-c", script, "sh"])
        .arg(&home.program)
        .arg(&image)
        .arg(&home.target);
    run.env("HANDROLL_PLACE", home.path("home/place"))
        .current_dir(home.space.path());
    let (seen, error) = printed(&run.output().unwrap());
    assert!(
        seen.contains("\nnew\n") && seen.contains("userxattr") && seen.contains(": unmounted"),
        "{seen}"
    );
    assert!(error.contains("owners that could not be kept"), "{error}");
}

#[test]
fn without_a_command_the_way_is_told() {
    let home = Home::new("");
    let image = layout(&home.path("layout"), &["file a"]);
    fails(
        &mut home.mount(&image),
        3,
        "needs root (CAP_SYS_ADMIN): run this as root, or give a command",
    );
    assert!(!home.path("home/.local").exists());
}
