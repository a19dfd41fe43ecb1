//! Hostile layers, kills, several runs at a time, and what cannot be mounted.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::rig::tree::describe;
use super::rig::{fails, ok, program};
use super::stage::Stage;
use super::{directory, layout, mount_line};

/// What leads out, each beside links that lead out too. OUTSIDE is a directory that is there.
const HOSTILE: &[&str] = &[
    "file ../../../../../outside/new content=x",
    "file ../outside/file content=x",
    "file OUTSIDE/new content=x",
    "file d/up/OUTSIDE/file content=x",
    "file away/file content=x",
    "file away/deep/new content=x",
    "file relative/new content=x",
    "dir away mode=0777",
    "file d/../../../../../../outside/file content=x",
    "link stolen -> ../../../../../outside/file",
    "link stolen -> OUTSIDE/file",
    "link stolen -> away/file",
    "link stolen -> d/up/OUTSIDE/file",
    "link away/new -> d",
    "symlink away/new -> file",
    "char away/null 1:3",
    "fifo relative/pipe",
    "file away/.wh.file",
    "file away/.wh..wh..opq",
    "file .wh...",
    "file relative/.wh.file",
    "dir away/deep/er xattr.user.a=b mode=0777 uid=7",
];

#[test]
fn what_a_layer_says_stays_inside() {
    let outside_link = r"
        dir d
        symlink d/up -> ../../../../../../../..
        symlink away -> OUTSIDE
        symlink relative -> ../../../../../outside
    ";
    let stage = Stage::new();
    let outside = directory(stage.path("outside"));
    fs::write(outside.join("file"), "canary").unwrap();
    // It would be found from everywhere above the layer's directory too.
    for at in [
        "place",
        "place/trusted",
        "place/trusted/work",
        "place/trusted/layers",
    ] {
        let place = directory(stage.path(at));
        symlink(&outside, place.join("outside")).unwrap();
    }
    let before = describe(&outside);
    let mut mounted = 0;
    for (number, line) in HOSTILE.iter().enumerate() {
        let named = |text: &str| text.replace("OUTSIDE", outside.to_str().unwrap());
        let [link, line] = [named(outside_link), named(line)];
        let one = format!("{link}\n{line}");
        for (layers, how) in [(vec![&one[..]], "one"), (vec![&link[..], &line[..]], "two")] {
            let image = layout(&stage.path(&format!("{number}-{how}")), &layers);
            let output = stage.mount(&image).output().unwrap();
            if output.status.success() {
                mounted += 1;
                assert_eq!(describe(&outside), before, "{line}");
                for path in ["stolen", "away/stolen"] {
                    let found = fs::symlink_metadata(stage.target.join(path));
                    assert!(found.is_err(), "{line}: {path} is there");
                }
                ok(&mut stage.umount());
            } else {
                let error = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(
                    error.contains("handroll: layer ") && error.contains("at byte"),
                    "{error}"
                );
            }
            assert_eq!(describe(&outside), before, "{line}");
        }
    }
    // Both happened.
    assert!(mounted > 10 && mounted < 2 * HOSTILE.len(), "{mounted}");
}

#[test]
fn a_killed_unpacking_is_swept() {
    let stage = Stage::new();
    let files: Vec<String> = (0..30_000)
        .map(|number| format!("file f{number} content={number}"))
        .collect();
    let image = stage.layout(&["file small", &files.join("\n")]);
    let mut child = stage.mount(&image).stdout(Stdio::null()).spawn().unwrap();
    let begun = || {
        let work = stage.names("work");
        let names = |layer: &String| stage.names(&format!("work/{layer}/fs")).len();
        work.iter().map(names).sum::<usize>() > 100
    };
    wait_for(&mut child, begun);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None);
    // What was complete stays; what was not has no name.
    assert_eq!((stage.names("layers").len(), stage.names("work").len()), (1, 1));
    assert_eq!(mount_line(&stage.target), None);
    // Whoever unpacks next sweeps, whatever it is.
    let other = layout(&stage.path("other"), &["file other"]);
    ok(stage.mount(&other).args(["--", "true"]));
    stage.is_clean();
    ok(&mut stage.mount(&image));
    assert_eq!(fs::read_dir(&stage.target).unwrap().count(), 30_001);
    ok(&mut stage.umount());
    assert_eq!(stage.names("layers").len(), 3);
    stage.is_clean();
}

/// Waits until something is so, while the child lives.
fn wait_for(child: &mut Child, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        assert!(start.elapsed() < Duration::from_secs(60), "it never was so");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn mounts_at_the_same_time_share_their_layers() {
    let stage = Stage::new();
    let files: Vec<String> = (0..3_000).map(|number| format!("file f{number}")).collect();
    let image = stage.layout(&["file small", &files.join("\n")]);
    // Each comes and goes while others do.
    let targets: Vec<PathBuf> = (0..6)
        .map(|number| directory(stage.path(&format!("target-{number}"))))
        .collect();
    let start = |target: &PathBuf| {
        let mut run = stage.run("mount");
        run.arg(&image).arg(target).stdout(Stdio::null()).spawn().unwrap()
    };
    let children: Vec<Child> = targets.iter().map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let lowers = |target: &PathBuf| {
        let line = mount_line(target).unwrap();
        line.split(',')
            .filter(|option| option.starts_with("lowerdir+="))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for target in &targets {
        assert_eq!(lowers(target), lowers(&targets[0]));
        assert_eq!(fs::read_dir(target).unwrap().count(), 3_001);
        fs::write(target.join("own"), "").unwrap();
    }
    assert_eq!(stage.names("layers").len(), 2);
    for target in &targets {
        ok(stage.run("umount").arg(target));
    }
    stage.is_clean();
}

#[test]
fn a_layer_that_is_not_the_images_is_refused() {
    let stage = Stage::new();
    let image = stage.layout(&["file a content=true", "file b content=right"]);
    let blobs = fs::read_dir(image.join("blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let holds = |path: &PathBuf| fs::read(path).unwrap().windows(5).any(|bytes| bytes == b"right");
    let blob = blobs.into_iter().find(holds).unwrap();
    let bytes = fs::read(&blob).unwrap();
    let at = bytes.windows(5).position(|bytes| bytes == b"right").unwrap();
    fs::write(&blob, [&bytes[..at], b"wrong", &bytes[at + 5..]].concat()).unwrap();
    fails(
        &mut stage.mount(&image),
        3,
        "layer 2 is not the one that the image was made of",
    );
    stage.is_clean();
    assert_eq!(stage.names("layers").len(), 1);
}

#[test]
fn what_cannot_be_mounted_is_said_and_leaves_nothing() {
    let stage = Stage::new();
    let image = stage.layout(&["file a", "file b"]);
    fs::write(stage.path("file"), "").unwrap();
    let mount_at = |name: &str| {
        let mut run = stage.run("mount");
        run.arg(&image).arg(stage.path(name));
        run
    };
    fails(&mut mount_at("file"), 3, "it is not a directory");
    fails(&mut mount_at("missing"), 3, "make the directory first");
    let both = ["--redirect-dir", "on", "--userxattr"];
    fails(
        stage.mount(&image).args(both),
        3,
        "redirect_dir=on and userxattr exclude each other",
    );
    fails(
        stage.mount(&image).arg("--upper").arg(stage.path("file")),
        3,
        "Not a directory",
    );
    fails(
        stage.mount(&image).arg("--upper").arg(stage.path("no/such")),
        3,
        "No such file or directory",
    );
    stage.is_clean();
    // An upper directory that is a mount of its own has no place beside it for the work directory.
    let apart = directory(stage.path("apart"));
    ok(program("mount").args(["-t", "tmpfs", "none"]).arg(&apart));
    fails(
        stage.mount(&image).arg("--upper").arg(&apart),
        3,
        "the kernel refuses to",
    );
    stage.is_clean();
    assert!(!stage.path(".apart.handroll-work").exists());
    ok(program("umount").arg(&apart));
    // Capabilities are what counts, not the name.
    let mut without = Command::new("setpriv");
    without
        .args(["--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"])
        .arg(env!("CARGO_BIN_EXE_handroll"));
    fails(
        without.arg("mount").arg(&image).arg(&stage.target),
        3,
        "needs root (CAP_SYS_ADMIN)",
    );
    stage.is_clean();
}

#[test]
fn a_full_disk_is_said_and_left_as_it_was() {
    let stage = Stage::new();
    let place = directory(stage.path("place"));
    ok(program("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(&place));
    let content = "x".repeat(3 << 20);
    let image = stage.layout(&["file small", &format!("file big content={content}")]);
    fails(
        &mut stage.mount(&image),
        3,
        "layer 2, `big` at byte 0: No space left on device",
    );
    stage.is_clean();
    assert_eq!(stage.names("layers").len(), 1);
    ok(program("umount").arg(&place));
}

#[test]
fn on_an_overlay_the_upper_directory_has_to_be_elsewhere() {
    let stage = Stage::new();
    let image = stage.layout(&["file a", "dir target"]);
    ok(&mut stage.mount(&image));
    let inner = stage.target.join("target");
    let place = stage.target.join("place");
    let run = |command: &str| {
        let mut run = stage.run(command);
        run.arg("--place").arg(&place);
        run
    };
    fails(
        run("mount").arg(&image).arg(&inner),
        3,
        "has to be on another file system",
    );
    assert_eq!(mount_line(&inner), None);
    ok(run("mount")
        .arg(&image)
        .arg(&inner)
        .arg("--upper")
        .arg(stage.path("upper")));
    assert!(inner.join("a").exists());
    ok(run("umount").arg(&inner));
    ok(&mut stage.umount());
    stage.is_clean();
}
