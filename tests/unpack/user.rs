//! Unpacking by somebody who is not root: everything belongs to that user, and what could not be kept is told.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use super::rig::{json, ok, program};
use super::*;

/// A user that no system has.
pub const UID: u32 = 54_321;

/// A program, run by that user.
pub fn as_user(path: &Path) -> Command {
    let mut run = Command::new("setpriv");
    run.args([format!("--reuid={UID}"), format!("--regid={UID}")]);
    run.arg("--clear-groups").arg(path);
    run.env_remove("SOURCE_DATE_EPOCH")
        .env_remove("HANDROLL_PLACE")
        .current_dir("/");
    run
}

const LAYERS: [&str; 2] = [
    r"
    dir etc mode=0500
    file etc/passwd content=p mode=0600 mtime=1234.5
    file etc/shadow content=s mode=0000 gid=42
    dir home uid=1000 gid=1000 mode=0700
    file home/mine content=mine uid=1000 gid=1000 xattr.user.color=blue
    link home/same -> home/mine uid=1000 gid=1000
    dir dev
    char dev/null 1:3 mode=0666
    link dev/zero -> dev/null mode=0666
    block dev/gone 7:1
    file su content=x mode=4755
    file ping content=x xattr.security.capability=\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00
    file mark content=x xattr.user.overlay.opaque=y
    fifo pipe mode=0620
    symlink link -> etc/passwd
    dir closed mode=0000
    file closed/below
    ",
    r"
    file dev/.wh.gone
    file closed/inner content=inner
    file etc/added content=added
    ",
];

#[test]
fn what_cannot_be_kept_is_listed() {
    let room = Room::new(&LAYERS);
    fs::set_permissions(room.space.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(room.target.parent().unwrap(), Some(UID), Some(UID)).unwrap();
    let copy = room.space.path().join("handroll");
    ok(program("cp").arg(env!("CARGO_BIN_EXE_handroll")).arg(&copy));
    let unpack = || {
        let mut run = as_user(&copy);
        run.arg("unpack").arg(&room.image).arg(&room.target);
        run
    };
    let report = json(unpack().arg("--json"));
    let left_out = &report["left_out"];
    assert_eq!(left_out["devices"], serde_json::json!(["/dev/null", "/dev/zero"]));
    let owners = serde_json::json!([
        {"uid": 0, "gid": 42, "files": 1},
        {"uid": 1000, "gid": 1000, "files": 3},
    ]);
    assert_eq!(left_out["owners"], owners);
    // The kernel notes whose capability it is.
    assert_eq!(left_out["xattrs"], serde_json::json!([]));
    assert!(shown(&room.target, now())["ping"].contains("security.capability"));
    // As root unpacks it, but for owners and devices.
    let started = now();
    let root = room.target.with_file_name("by-root");
    ok(rig::handroll().arg("unpack").arg(&room.image).arg(&root));
    let mine = |lines: BTreeMap<String, String>| -> BTreeMap<String, String> {
        let owners = ["54321:54321", "0:42", "1000:1000"];
        let change = |line: String| {
            let (kind, facts) = match line.split_once('[') {
                Some((kind, facts)) => (kind, facts.trim_end_matches(']')),
                None => (&line[..], ""),
            };
            let is_kept = |fact: &&str| !owners.contains(fact);
            let facts: Vec<&str> = facts.split(' ').filter(is_kept).collect();
            format!("{kind}[{}]", facts.join(" "))
        };
        lines
            .into_iter()
            .map(|(path, line)| (path, change(line)))
            .collect()
    };
    let [ours, theirs] = [&room.target, &root].map(|root| {
        let mut lines = mine(shown(root, started));
        // Where a device was never made, none was removed.
        let differs = |path: &str| matches!(path, "dev" | "dev/null" | "dev/zero" | "ping");
        lines.retain(|path, _| !differs(path));
        lines
    });
    assert_eq!(differences(&ours, &theirs), [""; 0]);
    for path in ["etc/shadow", "home/same", "closed/inner", "su"] {
        let metadata = fs::symlink_metadata(room.target.join(path)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (UID, UID), "{path}");
    }
    // The second time it is told in words.
    ok(program("rm").arg("-rf").arg(&room.target));
    let output = unpack().output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    assert!(
        error.contains("handroll: devices that could not be kept: /dev/null, /dev/zero\n"),
        "{error}"
    );
    assert!(
        error.contains("handroll: owners that could not be kept: 0:42 (1 file), 1000:1000 (3 files)\n"),
        "{error}"
    );
}
