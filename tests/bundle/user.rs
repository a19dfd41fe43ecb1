//! Bundles and containers of somebody who is not root.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// A user that no system has.
const UID: u32 = 54_321;

struct Home {
    room: Room,
    image: PathBuf,
    home: PathBuf,
    program: PathBuf,
}

impl Home {
    /// With subordinate ids, or none: in these mounts alone, in which files of /etc are covered.
    fn new(subordinate: &str) -> Self {
        let room = Room::new();
        let image = room.article(&[]);
        fs::set_permissions(room.space.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let users = format!("{users}\nhandroll-test:x:{UID}:{UID}::/nowhere:/bin/sh\n");
        for (file, text) in [
            ("passwd", &users[..]),
            ("subuid", subordinate),
            ("subgid", subordinate),
        ] {
            let own = room.path(file);
            fs::write(&own, text).unwrap();
            let system = Path::new("/etc").join(file);
            if !system.exists() {
                fs::write(&system, "").unwrap();
            }
            ok(program("mount").arg("--bind").arg(own).arg(system));
        }
        let home = room.path("home");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(UID), Some(UID)).unwrap();
        let program = room.path("handroll");
        ok(rig::program("cp")
            .arg(env!("CARGO_BIN_EXE_handroll"))
            .arg(&program));
        Self {
            image,
            home,
            program,
            room,
        }
    }

    fn user(&self, program: &Path) -> Command {
        let mut run = Command::new("setpriv");
        run.args([format!("--reuid={UID}"), format!("--regid={UID}")]);
        run.arg("--clear-groups").arg(program);
        run.env_remove("HANDROLL_PLACE")
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_RUNTIME_DIR");
        run.env("HOME", &self.home).current_dir(&self.home);
        run
    }

    fn command(&self, script: &str) -> Command {
        let mut run = self.user(&self.program);
        run.arg("run")
            .arg(&self.image)
            .args(["--", "/bin/sh", "-c", script]);
        run
    }

    fn run(&self, script: &str) -> Output {
        self.command(script).output().unwrap()
    }

    /// How many mounts the places hold.
    fn sessions(&self) -> usize {
        let places = fs::read_dir(self.home.join(".local/share/handroll")).unwrap();
        let in_place = |place: PathBuf| {
            let entries = fs::read_dir(place.join("mounts")).unwrap();
            entries
                .filter(|entry| entry.as_ref().unwrap().path().is_dir())
                .count()
        };
        places.map(|place| in_place(place.unwrap().path())).sum()
    }
}

fn printed(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

fn runs_in_a_user_namespace(subordinate: &str) {
    let home = Home::new(subordinate);
    let script = "ls /; cat /hello.txt; echo x > /new; ls /data; cat /proc/self/uid_map; exit 5";
    let output = home.run(script);
    let (out, error) = printed(&output);
    assert_eq!(output.status.code(), Some(5), "{out}{error}");
    let listed = "bin\ndata\ndev\nhello.txt\nproc\nrun\nsys\nhello from delta\n";
    assert!(out.starts_with(listed), "{out}");
    let map: Vec<&str> = out[listed.len()..].split_whitespace().collect();
    assert_eq!(map[..3], ["0", &UID.to_string(), "1"], "{out}");
    assert_eq!(map.len() > 3, !subordinate.is_empty(), "{out}");
    let is_told = error.contains("only your own user and group are mapped");
    assert_eq!(is_told, subordinate.is_empty(), "{error}");
    assert_eq!(home.sessions(), 0);
    // Killed, it leaves nothing either.
    let mut killed = home.command("echo ready; read end");
    let mut child = killed
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    assert_eq!(home.sessions(), 1);
    let input = child.stdin.take();
    child.kill().unwrap();
    child.wait().unwrap();
    output.read_to_string(&mut String::new()).unwrap();
    let start = Instant::now();
    while home.sessions() > 0 {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(input);
}

#[test]
fn a_container_runs_in_a_user_namespace() {
    runs_in_a_user_namespace("");
}

#[test]
fn a_container_has_subordinate_ids() {
    runs_in_a_user_namespace(&format!("{UID}:200000:65536\n"));
}

#[test]
fn a_bundle_asks_for_a_user_namespace() {
    let home = Home::new("");
    let mut make = home.user(&home.program);
    make.arg("bundle").arg(&home.image).arg("bundle");
    let output = make
        .args([
            "--",
            "/bin/sh",
            "-c",
            "echo x > /new; cat /proc/self/uid_map; exit 6",
        ])
        .output()
        .unwrap();
    let (out, error) = printed(&output);
    assert!(
        output.status.success() && out.contains("rootfs: unpacked"),
        "{out}{error}"
    );
    let rootfs = home.home.join("bundle/rootfs");
    assert_eq!(fs::metadata(rootfs.join("bin/busybox")).unwrap().uid(), UID);
    let mut runc = home.user(Path::new("runc"));
    runc.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = runc
        .args(["--root", "state", "run", "-b", "bundle"])
        .arg(format!("own-{}", std::process::id()))
        .output()
        .unwrap();
    let (out, error) = printed(&output);
    assert_eq!(output.status.code(), Some(6), "{out}{error}");
    assert_eq!(
        out.split_whitespace().collect::<Vec<_>>(),
        ["0", &UID.to_string(), "1"]
    );
    assert_eq!(fs::metadata(rootfs.join("new")).unwrap().uid(), UID);
    // Who is not there cannot be who runs it.
    let image = home.room.path("other.tar");
    home.room.build(&image, "other", &["base"], &["--user", "7"]);
    let output = home
        .user(&home.program)
        .arg("bundle")
        .arg(&image)
        .arg("other")
        .output()
        .unwrap();
    let (_, error) = printed(&output);
    assert_eq!(output.status.code(), Some(3));
    assert!(error.contains("the user namespace maps no user 7"), "{error}");
    assert!(!home.home.join("other").exists());
}
