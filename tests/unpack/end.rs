//! How unpacking ends: by errors, signals and kills; and what stays.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::time::Instant;

use super::rig::{fails, mortal, ok, program, text};
use super::*;

/// Layers that take some time.
fn slow() -> Vec<String> {
    let files = |layer: usize| {
        let line = |number: usize| format!("file f{layer}-{number} content=\\*2000*x");
        (0..4_000).map(line).collect::<Vec<_>>().join("\n")
    };
    (0..3).map(files).collect()
}

fn slow_room() -> Room {
    let layers = slow();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    Room::new(&layers)
}

/// Starts, and waits until it is in the middle.
fn start(room: &Room) -> Child {
    let mut child = mortal(&room.unpack()).spawn().unwrap();
    let begun = room.target.with_file_name(".target.handroll").join("root/f1-0");
    let start = Instant::now();
    while !begun.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        assert!(start.elapsed() < Duration::from_secs(60), "it never was so");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

#[test]
fn what_a_killed_one_leaves_has_another_name_and_goes_with_the_next() {
    let room = slow_room();
    let mut child = start(&room);
    let work = room.target.with_file_name(".target.handroll");
    assert_eq!(
        fs::metadata(&work).unwrap().mode() & 0o7777,
        0o700,
        "nobody else may look"
    );
    // Not two at a time.
    fails(&mut room.unpack(), 3, "another handroll is unpacking there");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(room.names(), [".target.handroll"]);
    ok(&mut room.unpack());
    assert_eq!(room.names(), ["target"]);
    assert_eq!(fs::read_dir(&room.target).unwrap().count(), 12_000);
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    let room = slow_room();
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let mut child = start(&room);
        ok(program("kill")
            .arg(format!("-{name}"))
            .arg(child.id().to_string()));
        assert_eq!(child.wait().unwrap().signal(), Some(number), "{name}");
        assert_eq!(room.names(), [""; 0], "{name}");
    }
}

#[test]
fn what_cannot_be_unpacked_leaves_nothing() {
    let room = Room::new(&["file a", "link b -> nowhere"]);
    fails(
        &mut room.unpack(),
        3,
        "layer 2, `b` at byte 0: no such file or directory",
    );
    assert_eq!(room.names(), [""; 0]);
    // What was there stays as it is.
    fs::create_dir(&room.target).unwrap();
    fails(&mut room.unpack(), 3, "layer 2");
    assert_eq!(room.names(), ["target"]);
    // A layer that is another than the image says.
    room.write(&["file a content=right"]);
    let blobs = fs::read_dir(room.image.join("blobs/sha256")).unwrap();
    for blob in blobs.map(|entry| entry.unwrap().path()) {
        let mut bytes = fs::read(&blob).unwrap();
        if let Some(at) = bytes.windows(5).position(|window| window == b"right") {
            bytes[at..at + 5].copy_from_slice(b"wrong");
            fs::write(&blob, bytes).unwrap();
        }
    }
    fails(
        &mut room.unpack(),
        3,
        "layer 1 is not the one that the image was made of",
    );
    assert_eq!(room.names(), ["target"]);
}

#[test]
fn a_full_disk_is_said_and_left_as_it_was() {
    let room = Room::new(&["file small", "file big content=\\*3000000*x"]);
    handroll::native::unshare_mounts().unwrap();
    let parent = room.target.parent().unwrap();
    ok(program("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(parent));
    fails(
        &mut room.unpack(),
        3,
        "layer 2, `big` at byte 0: No space left on device",
    );
    assert_eq!(room.names(), [""; 0]);
    ok(program("umount").arg(parent));
}

#[test]
fn where_it_cannot_go() {
    let room = Room::new(&["file a"]);
    let to = |path: &Path| {
        let mut run = rig::handroll();
        run.arg("unpack").arg(&room.image).arg(path);
        run
    };
    let file = room.space.path().join("file");
    fs::write(&file, "").unwrap();
    fails(&mut to(&file), 3, "it is there, and no directory");
    fails(
        &mut to(&room.image),
        3,
        "it is not empty; expected an empty directory, or none",
    );
    fails(
        &mut to(&room.space.path().join("no/such")),
        3,
        "No such file or directory",
    );
    fails(&mut to(Path::new("/")), 3, "not empty");
    handroll::native::unshare_mounts().unwrap();
    let mounted = room.space.path().join("mounted");
    fs::create_dir(&mounted).unwrap();
    ok(program("mount").args(["-t", "tmpfs", "none"]).arg(&mounted));
    fails(&mut to(&mounted), 3, "something is mounted there");
    ok(program("umount").arg(&mounted));
    // What others put in the way is not followed, nor taken over.
    let outside = room.space.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("canary"), "").unwrap();
    let work = room.target.with_file_name(".target.handroll");
    symlink(&outside, &work).unwrap();
    fails(&mut room.unpack(), 3, "Not a directory");
    fs::remove_file(&work).unwrap();
    fs::create_dir(&work).unwrap();
    fs::set_permissions(&work, Permissions::from_mode(0o777)).unwrap();
    fails(&mut room.unpack(), 3, "somebody else made it");
    assert!(outside.join("canary").exists() && work.exists());
    fs::remove_dir(&work).unwrap();
    // A directory that is there keeps its owner and its mode; through a link too.
    fs::create_dir(&room.target).unwrap();
    ok(program("chown").arg("7:8").arg(&room.target));
    fs::set_permissions(&room.target, Permissions::from_mode(0o710)).unwrap();
    let link = room.space.path().join("link");
    symlink(&room.target, &link).unwrap();
    let printed = text(&mut to(&link));
    assert!(printed.contains("inner/target: 1 layer unpacked"), "{printed}");
    let metadata = fs::metadata(&room.target).unwrap();
    assert_eq!(
        (metadata.mode() & 0o7777, metadata.uid(), metadata.gid()),
        (0o710, 7, 8)
    );
    assert!(room.target.join("a").exists() && link.is_symlink());
}
