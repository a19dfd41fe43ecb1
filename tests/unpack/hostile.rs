//! Layers that want to get out of the directory in which they are unpacked. Whatever comes of them, nothing outside of
//! it is touched: not a byte, not a mode, not a time.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use super::rig::{ok, program};
use super::*;

/// Stacks, layers parted by a line `--`. `OUT` is the directory outside, as an absolute path; from the directory that is
/// filled it is `../../../outside`.
const STACKS: &[(&str, &str)] = &[
    ("names with ..", "
        file ../../../outside/canary content=evil
        file ../../../outside/new content=evil
        dir ../../../outside mode=0777 uid=9
        dir .. mode=0777 uid=9
        file d/../../../../../../../outside/new content=evil
        file ../../../outside/d/.wh.inner
        file ../../../outside/.wh.canary
        file ../../../outside/.wh..wh..opq
    "),
    ("absolute names", "
        file OUT/canary content=evil
        dir OUT mode=0777 uid=9
        file OUT/.wh.d
        file /OUT/new content=evil
        dir / mode=0777 uid=9
        symlink / -> OUT
    "),
    ("the root itself", "
        symlink . -> OUT
        file canary content=evil
        file ./ content=evil
        symlink ./.. -> OUT
    "),
    ("a link out, and files through it", "
        symlink up -> ../../../outside
        symlink abs -> OUT
        file up/canary content=evil
        file abs/canary content=evil
        file up/new content=evil
        dir abs/d mode=0777 uid=9
        dir abs/new
        symlink abs/link -> /etc/passwd
        char abs/device 1:3
        fifo abs/fifo
    "),
    ("links in a row", "
        symlink a -> ..
        symlink b -> a/../..
        symlink c -> b/outside
        symlink d -> c/d
        file c/canary content=evil
        file d/inner content=evil
        file d/../canary content=evil
        file a/../../outside/canary content=evil
    "),
    ("a link out, in a layer below", "
        symlink abs -> OUT
        dir dir
        file dir/file
        --
        file abs/canary content=evil
        dir abs/d mode=0777 mtime=5
        file abs/.wh.canary
        file abs/d/.wh..wh..opq
        file abs/.wh..wh..opq
        --
        dir abs mode=0777 mtime=5
        file abs/canary content=evil
    "),
    ("a directory that becomes a link", "
        dir d
        file d/canary content=own
        --
        symlink d -> OUT
        file d/canary content=evil
        dir d/d mode=0777 mtime=5
        --
        dir d/d
        file d/.wh.canary
    "),
    ("a directory whose time is set when it is a link already", "
        dir d mtime=5
        dir d/d mode=0777 mtime=5 xattr.user.evil=1
        file d/d/file
        file d/.wh.d
        symlink d/d -> OUT/d
        symlink e -> OUT
        dir f mtime=7
        symlink f -> OUT
    "),
    ("hard links to what is outside", "
        link a -> ../../../outside/canary mode=0777 uid=9
        --
        link a -> OUT/canary mode=0777 uid=9
        --
        symlink up -> ../../../outside
        link a -> up/canary mode=0777 uid=9
        --
        symlink abs -> OUT
        link a -> abs/canary mode=0777 uid=9
    "),
    ("a hard link to a link out", "
        symlink s -> OUT/canary
        link h -> s mode=0777 uid=9 mtime=5 xattr.user.evil=1
        file h content=evil
        symlink t -> OUT
        link u -> t mode=0777 uid=9
        file u/canary content=evil
        dir t mode=0777 uid=9 mtime=5
    "),
    ("hard links made through a link out", "
        file own content=own
        symlink abs -> OUT
        link abs/new -> own mode=0777
        link abs/canary -> own mode=0777
    "),
    ("attributes of links", "
        symlink s -> OUT/canary mode=0777 uid=9 gid=9 mtime=5 xattr.user.evil=1 xattr.security.evil=1 xattr.trusted.evil=1
        symlink d -> OUT mode=0777 uid=9 mtime=5
        --
        symlink s -> OUT/d mode=0000 uid=9 mtime=5
    "),
    ("files over links", "
        symlink f -> OUT/canary
        symlink g -> OUT/new
        symlink h -> OUT/d
        file f content=evil mode=4777
        file g content=evil
        dir h mode=0777 uid=9
        file h/inner content=evil
    "),
    ("whiteouts of links, and through them", "
        symlink f -> OUT/canary
        symlink d -> OUT/d
        --
        file .wh.f
        file d/.wh.inner
        file .wh.d
        file .wh...
    "),
    ("links of /proc", "
        symlink root -> /proc/self/root
        symlink cwd -> /proc/self/cwd
        symlink fd -> /proc/self/fd/3
        file root/OUT/canary content=evil
        file cwd/canary content=evil
        file fd/canary content=evil
        file root/OUT/.wh.canary
    "),
    ("names by other means", "
        file x pax.path=../../../outside/canary content=evil
        file x longname=../../../outside/canary content=evil
        file canary prefix=../../../outside content=evil
        symlink y -> z pax.linkpath=OUT
        file y/canary content=evil
        link z -> y pax.linkpath=../../../outside/canary mode=0777
    "),
    ("devices and fifos in the way", "
        char null 1:3 mode=0666
        block disk 254:0 mode=0666
        fifo pipe
        file null content=evil
        file disk content=evil
        file pipe content=evil
        char disk 254:0 mode=0666
        link again -> disk mode=0777
        char whiteout 0:0
        char evil 1:1 mode=6777
    "),
    ("marks of overlayfs", "
        dir d xattr.trusted.overlay.opaque=y xattr.trusted.overlay.redirect=/../../../outside
        dir e xattr.user.overlay.redirect=/../../../outside xattr.user.overlay.opaque=y
        file f xattr.trusted.overlay.metacopy= xattr.trusted.overlay.redirect=OUT/canary
        file g xattr.user.overlay.whiteout=y
        --
        file d/canary content=evil
        file e/canary content=evil
        file f/canary content=evil
    "),
    ("rights", "
        file su content=evil mode=6755
        dir t mode=7777 uid=9 gid=9
        file nobody uid=4294967295 gid=4294967295
        dir closed mode=0000
        file closed/inner content=x
        file capable xattr.security.capability=\\x01\\x00\\x00\\x02\\x00\\x20\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00
    "),
    ("a long way", "
        file \\*90*../\\*20*d/outside/canary content=evil
        file \\*400*d/\\*200*../canary content=evil
        symlink loop -> loop
        file loop/canary content=evil
    "),
];

/// All that is outside of the target, with the times of changes; but for the directory that it appears in, which its
/// coming changes.
fn outside(room: &Room) -> BTreeMap<String, String> {
    let root = room.space.path();
    let mut lines = shown(root, SystemTime::UNIX_EPOCH);
    lines.retain(|path, _| !path.starts_with("inner") && path != ".");
    for (path, line) in &mut lines {
        let metadata = fs::symlink_metadata(root.join(path)).unwrap();
        *line += &format!(
            " {}+{} {}",
            metadata.ctime(),
            metadata.ctime_nsec(),
            metadata.nlink()
        );
    }
    assert!(lines.contains_key("outside/d/inner"), "{lines:?}");
    lines
}

/// Something outside that can be written by `uid`, and what is found of it.
fn prepare(room: &Room, uid: u32) {
    let out = room.space.path().join("outside");
    fs::create_dir_all(out.join("d")).unwrap();
    for file in ["canary", "d/inner"] {
        fs::write(out.join(file), "canary").unwrap();
    }
    for path in [
        "outside",
        "outside/canary",
        "outside/d",
        "outside/d/inner",
        "inner",
    ] {
        chown(room.space.path().join(path), Some(uid), Some(uid)).unwrap();
    }
    fs::set_permissions(room.space.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

fn nothing_outside_is_touched(uid: u32, mut run: impl FnMut(&Room) -> Command) {
    let room = Room::new(&["file a"]);
    prepare(&room, uid);
    let out = room.space.path().join("outside");
    let (mut refused, mut unexpected) = (0, String::new());
    for (name, layers) in STACKS {
        let layers = layers.replace("OUT", out.to_str().unwrap());
        // What a reader stops at must not keep what comes after it from being tried: each line alone, too.
        let all: Vec<&str> = layers.split("--\n").collect();
        let setup: Vec<&str> = all[0]
            .lines()
            .filter(|line| line.trim().starts_with("symlink"))
            .collect();
        let setup = setup.join("\n");
        let lines = all
            .iter()
            .flat_map(|layer| layer.lines())
            .filter(|line| !line.trim().is_empty());
        let singles: Vec<[&str; 2]> = lines.map(|line| [&setup[..], line]).collect();
        for stack in [&all[..]]
            .into_iter()
            .chain(singles.iter().map(|stack| &stack[..]))
        {
            room.write(stack);
            let before = outside(&room);
            let output = run(&room).output().unwrap();
            let changed = differences(&before, &outside(&room));
            match output.status.code() {
                Some(0) => assert_eq!(room.names(), ["target"], "{name}"),
                Some(3) => {
                    refused += 1;
                    assert_eq!(room.names(), [""; 0], "{name}");
                }
                code => panic!("{name}: {code:?} {}", String::from_utf8_lossy(&output.stderr)),
            }
            if !changed.is_empty() {
                unexpected += &format!("{name}: {stack:?}: {changed:?}\n");
            }
            if room.target.exists() {
                without_marks(&room.target);
                let removed = program("rm").arg("-rf").arg(&room.target).status().unwrap();
                assert!(removed.success());
            }
        }
    }
    println!("{} stacks, {refused} readings refused", STACKS.len());
    assert!(unexpected.is_empty(), "\n{unexpected}");
    assert!(refused > 5);
}

/// No trusted attribute of an image gets to disk.
fn without_marks(target: &Path) {
    let lines = shown(target, SystemTime::UNIX_EPOCH);
    let marked: Vec<_> = lines
        .iter()
        .filter(|(_, line)| line.contains("trusted."))
        .collect();
    assert!(marked.is_empty(), "{marked:?}");
}

#[test]
fn as_root_nothing_outside_is_touched() {
    nothing_outside_is_touched(0, Room::unpack);
}

#[test]
fn as_somebody_else_nothing_outside_is_touched() {
    let program = support::tmpfs();
    fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = program.path().join("handroll");
    ok(super::rig::program("cp")
        .arg(env!("CARGO_BIN_EXE_handroll"))
        .arg(&copy));
    nothing_outside_is_touched(user::UID, |room| {
        let mut run = user::as_user(&copy);
        run.arg("unpack").arg(&room.image).arg(&room.target);
        run
    });
}

/// A program of an image that is set-user-id cannot be run by others while the rest is unpacked, nor is it where a
/// bundle is unpacked: see `bundle.rs`. What is unpacked to a directory that all may look into is theirs, too: that is
/// what the image says.
#[test]
fn set_user_id_is_kept_as_the_image_says() {
    let room = Room::new(&["file su content=x mode=6755\nfile sticky content=x uid=9 mode=4711"]);
    ok(&mut room.unpack());
    let mode = |name: &str| fs::metadata(room.target.join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("su"), mode("sticky")), (0o6755, 0o4711));
    assert_eq!(fs::metadata(&room.target).unwrap().mode() & 0o7777, 0o755);
}
