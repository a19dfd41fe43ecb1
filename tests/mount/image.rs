//! `handroll mount` and `umount` as root.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

use super::cases::Case;
use super::rig::tree::describe;
use super::rig::{fails, handroll, ok, program, text};
use super::runtimes::{Found, Runtimes, look};
use super::{directory, layout, mount_line, space};

/// Room for images, a place for layers, and a mount point.
struct Stage {
    space: TempDir,
    target: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let space = space();
        let target = directory(space.path().join("target"));
        Self { space, target }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.space.path().join(name)
    }

    fn layout(&self, layers: &[&str]) -> PathBuf {
        layout(&self.path("layout"), layers)
    }

    fn run(&self, command: &str) -> Command {
        let mut run = handroll();
        run.env("HANDROLL_PLACE", self.path("place")).arg(command);
        run
    }

    /// `handroll mount IMAGE` at the target.
    fn mount(&self, image: &Path) -> Command {
        let mut run = self.run("mount");
        run.arg(image).arg(&self.target);
        run
    }

    fn umount(&self) -> Command {
        let mut run = self.run("umount");
        run.arg(&self.target);
        run
    }

    /// The names in a directory of the place.
    fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path("place/trusted").join(path))
            .into_iter()
            .flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| name != "lock");
        names.sort();
        names
    }

    /// Nothing is mounted, half done, or left of a mount.
    fn is_clean(&self) {
        assert_eq!(mount_line(&self.target), None);
        assert_eq!((self.names("work"), self.names("mounts")), (vec![], vec![]));
    }
}

const BASE: &str = r"
    dir etc
    file etc/passwd content=root mode=0600 mtime=1234.123456789
    file etc/shadow content=secret mode=0000 uid=0 gid=42
    dir home uid=1000 gid=1000 mode=0700 mtime=5
    file home/mine content=mine uid=1000 gid=1000 xattr.user.color=blue
    link home/same -> home/mine uid=1000 gid=1000
    file home/high content=h uid=4000000 gid=3000000
    dir bin
    file bin/su content=program mode=4755
    file bin/ping content=ping mode=0755 xattr.security.capability=\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00
    dir dev
    char dev/null 1:3 mode=0666
    block dev/loop 7:1 mode=0660 gid=6
    fifo dev/pipe mode=0620
    dir tmp mode=1777
    dir gone
    file gone/deep content=x
    dir veiled mode=0750 uid=3
    file veiled/old content=old
    dir both
    file both/below content=below
    file both/replaced content=old
    file becomes-directory content=file
    dir becomes-file
    file becomes-file/inner content=inner
    symlink link -> etc/passwd mtime=77.5
    symlink dangling -> /nowhere
    file sparse content=data sparse=1.0
";

const DELTA: &str = r"
    file .wh.gone
    dir veiled mode=0700 uid=4 xattr.user.kind=new
    file veiled/.wh..wh..opq
    file veiled/new content=new
    dir both
    file both/replaced content=new mode=0640 mtime=99.000000001
    link both/also -> both/replaced mode=0640 mtime=99.000000001
    file both/.wh.below
    dir becomes-directory
    file becomes-directory/inner content=inner
    file becomes-file content=file
    file home/added content=added
";

#[test]
fn a_mounted_image_shows_what_containerd_and_umoci_make_of_it() {
    let stage = Stage::new();
    let lines = |layer: &str| layer.lines().skip(1).map(|line| line.trim().to_owned()).collect();
    let case = Case {
        layers: vec![lines(BASE), lines(DELTA)],
        ..Case::default()
    };
    let [overlayfs, _, umoci] = Runtimes::start().read(&[case]).pop().unwrap();
    let image = stage.layout(&[BASE, DELTA]);
    let started = SystemTime::now() - Duration::from_secs(1);
    let shown = |found| match found {
        Found::Shown(lines) => lines,
        Found::Failed { text, .. } => panic!("{text}"),
    };
    let (overlayfs, mut umoci) = (shown(overlayfs), shown(umoci));
    for api in ["descriptors", "paths", "string"] {
        ok(stage.mount(&image).args(["--mount-api", api]));
        let ours = shown(look(&stage.target, started));
        ok(&mut stage.umount());
        let differences = |theirs: &BTreeMap<String, String>| -> Vec<String> {
            let paths: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            let differ = paths
                .into_iter()
                .filter(|path| ours.get(*path) != theirs.get(*path));
            differ
                .map(|path| format!("{path}: {:?} and {:?}", ours.get(path), theirs.get(path)))
                .collect()
        };
        assert_eq!(differences(&overlayfs), [""; 0]);
        // The upper directory is new, and its root is what shows as root; `home` has got an entry.
        for path in [".", "home"] {
            umoci.insert(path.to_owned(), ours[path].clone());
        }
        assert_eq!(differences(&umoci), [""; 0]);
        assert!(ours.len() > 25, "{}", ours.len());
    }
    stage.is_clean();
}

#[test]
fn the_mount_line_is_containerds_with_the_layers_one_by_one() {
    let stage = Stage::new();
    let image = stage.layout(&["file a", "file b"]);
    let printed = text(&mut stage.mount(&image));
    let layers = stage.names("layers");
    assert_eq!(layers.len(), 2);
    let place = stage.path("place/trusted");
    let line = mount_line(&stage.target).unwrap();
    let with = |name: &str| {
        let mut paths = layers
            .iter()
            .map(|layer| place.join("layers").join(layer).join("fs"));
        paths.find(|path| path.join(name).exists()).unwrap()
    };
    let expected = format!(
        "rw,nosuid,nodev,relatime - overlay overlay rw,lowerdir+={},lowerdir+={},upperdir={place}/mounts/1/upper,\
         workdir={place}/mounts/1/work,uuid=on",
        with("b").display(),
        with("a").display(),
        place = place.display()
    );
    assert_eq!(line, expected);
    assert!(
        printed.contains("2 layers mounted") && printed.contains("mounts/1/upper"),
        "{printed}"
    );
    fs::write(stage.target.join("new"), "new").unwrap();
    assert_eq!(fs::read(place.join("mounts/1/upper/new")).unwrap(), b"new");
    let printed = text(&mut stage.umount());
    assert!(
        printed.contains("private upper directory is removed"),
        "{printed}"
    );
    stage.is_clean();
    // Layers stay for the next time.
    assert_eq!(stage.names("layers"), layers);
}

#[test]
fn options_are_in_the_mount_line() {
    let stage = Stage::new();
    let image = stage.layout(&["file a", "file b"]);
    for (options, before, after) in [
        (&["--trusted"][..], "rw,relatime ", ",uuid=on"),
        (&["--read-only"], "ro,nosuid,nodev,relatime ", ",redirect_dir=on"),
        (
            &["--redirect-dir", "on"],
            "rw,nosuid,nodev,relatime ",
            ",redirect_dir=on,uuid=on",
        ),
        (
            &["--redirect-dir", "nofollow"],
            "rw,nosuid,nodev,relatime ",
            ",redirect_dir=nofollow,uuid=on",
        ),
        (
            &["--userxattr"],
            "rw,nosuid,nodev,relatime ",
            ",redirect_dir=nofollow,uuid=on,userxattr",
        ),
    ] {
        ok(stage.mount(&image).args(options));
        let line = mount_line(&stage.target).unwrap();
        assert!(
            line.starts_with(before) && line.ends_with(after),
            "{options:?}: {line}"
        );
        ok(&mut stage.umount());
    }
    stage.is_clean();
}

#[test]
fn hundreds_of_layers_are_mounted() {
    let stage = Stage::new();
    let text_of = |number: usize| match number {
        299 => "file .wh.f0\nfile .wh.f150\nfile top content=299".to_owned(),
        number => format!("file f{number}\nfile top content={number}"),
    };
    let layers: Vec<String> = (0..300).map(text_of).collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let image = stage.layout(&layers);
    ok(&mut stage.mount(&image));
    let expected: Vec<usize> = (0..299).filter(|number| ![0, 150].contains(number)).collect();
    assert!(
        expected
            .iter()
            .all(|number| stage.target.join(format!("f{number}")).exists())
    );
    assert_eq!(fs::read_dir(&stage.target).unwrap().count(), expected.len() + 1);
    assert_eq!(fs::read(stage.target.join("top")).unwrap(), b"299");
    ok(&mut stage.umount());
    fails(
        stage.mount(&image).args(["--mount-api", "string"]),
        3,
        "4096 are too many",
    );
    stage.is_clean();
    let many = vec!["file f"; 501];
    let image = layout(&stage.path("many"), &many);
    fails(&mut stage.mount(&image), 3, "501 layers");
    stage.is_clean();
}

#[test]
fn any_byte_is_taken_in_the_paths_of_a_mount() {
    for api in ["descriptors", "paths", "string"] {
        for name in ["a:b", "a,b", "a\\b", "a b", "a\nb", ":,\\ \n=", "\\040"] {
            let mut stage = Stage::new();
            let base = directory(stage.path(name));
            stage.target = directory(base.join("target"));
            let image = stage.layout(&["file a content=a", "file b"]);
            let upper = base.join("upper");
            let place = base.join("place");
            let run =
                |command: &mut Command| ok(command.arg("--place").arg(&place).env_remove("HANDROLL_PLACE"));
            run(stage
                .mount(&image)
                .arg("--upper")
                .arg(&upper)
                .args(["--mount-api", api]));
            assert_eq!(fs::read(stage.target.join("a")).unwrap(), b"a", "{api} {name:?}");
            fs::remove_file(stage.target.join("b")).unwrap();
            run(&mut stage.umount());
            assert_eq!(describe(&upper).len(), 1, "{api} {name:?}");
            assert!(fs::read_dir(&stage.target).unwrap().next().is_none());
            // The work directory beside the upper one is gone.
            assert_eq!(fs::read_dir(&base).unwrap().count(), 3, "{api} {name:?}");
            run(stage.mount(&image).arg("--read-only").args(["--mount-api", api]));
            assert!(stage.target.join("b").exists());
            assert!(fs::write(stage.target.join("c"), "").is_err());
            run(&mut stage.umount());
        }
    }
}

#[test]
fn what_a_layer_says_stays_inside() {
    let outside_link = r"
        dir d
        symlink d/up -> ../../../../../../../..
        symlink away -> OUTSIDE
        symlink relative -> ../../../../../outside
    ";
    let hostile = [
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
    for (number, line) in hostile.iter().enumerate() {
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
    assert!(mounted > 10 && mounted < 2 * hostile.len(), "{mounted}");
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
fn images_of_one_layer_and_of_none_are_mounted() {
    let stage = Stage::new();
    for (layers, names) in [(&["file a\nfile .wh.b"][..], 1), (&[], 0)] {
        let image = layout(&stage.path(&format!("layout-{names}")), layers);
        for option in [&[][..], &["--read-only"]] {
            ok(stage.mount(&image).args(option));
            assert_eq!(fs::read_dir(&stage.target).unwrap().count(), names);
            assert_eq!(fs::write(stage.target.join("new"), "").is_ok(), option.is_empty());
            ok(&mut stage.umount());
            stage.is_clean();
        }
    }
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
        let mut child = run(&script).stdout(Stdio::piped()).spawn().unwrap();
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

#[test]
fn the_articles_image_is_mounted_as_it_says() {
    let stage = Stage::new();
    let at = |name: &str| stage.path(name);
    super::rig::article_files(stage.space.path());
    let mut build = handroll();
    build.args(["build", "--name", "x"]);
    for layer in ["base", "delta"] {
        build.arg("--layer").arg(at(layer));
    }
    ok(build.arg("-o").arg(at("image.tar")));
    ok(&mut stage.mount(&at("image.tar")));
    let read = |path: &str| fs::read_to_string(stage.target.join(path));
    // The one on top shows, and the whiteout hides.
    assert_eq!(read("hello.txt").unwrap(), "hello from delta\n");
    assert!(read("data/config.txt").is_err());
    assert_eq!(fs::read_dir(stage.target.join("data")).unwrap().count(), 0);
    // The base is whole, and the whiteout is a device.
    let layers = stage
        .names("layers")
        .into_iter()
        .map(|layer| stage.path("place/trusted/layers").join(layer).join("fs"));
    let holds = |text: &str| {
        let mut layers = layers.clone();
        layers
            .find(|layer| fs::read_to_string(layer.join("hello.txt")).unwrap() == text)
            .unwrap()
    };
    let [base, delta] = ["hello from base\n", "hello from delta\n"].map(holds);
    assert_eq!(
        fs::read_to_string(base.join("data/config.txt")).unwrap(),
        "base config\n"
    );
    let whiteout = fs::symlink_metadata(delta.join("data/config.txt")).unwrap();
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(
        &whiteout.file_type()
    ));
    assert_eq!(std::os::unix::fs::MetadataExt::rdev(&whiteout), 0);
    let line = mount_line(&stage.target).unwrap();
    assert!(
        line.contains(&format!(
            "lowerdir+={},lowerdir+={}",
            delta.display(),
            base.display()
        )),
        "{line}"
    );
    ok(&mut stage.umount());
    stage.is_clean();
}

#[test]
fn holes_stay_holes_and_packed_layers_are_verified_too() {
    let stage = Stage::new();
    let base = directory(stage.path("base"));
    let huge = fs::File::create(base.join("huge")).unwrap();
    huge.set_len(1 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&huge, b"end", (1 << 30) - 3).unwrap();
    ok(program("tar")
        .args(["--format=posix", "--sparse", "-C"])
        .arg(&base)
        .arg("-cf")
        .arg(stage.path("sparse.tar"))
        .arg("."));
    let mut build = handroll();
    build
        .args(["build", "--name", "x", "--layer"])
        .arg(stage.path("sparse.tar"))
        .arg("-o")
        .arg(stage.path("image.tar"));
    ok(&mut build);
    ok(&mut stage.mount(&stage.path("image.tar")));
    let seen = fs::File::open(stage.target.join("huge")).unwrap();
    let metadata = seen.metadata().unwrap();
    assert_eq!(metadata.len(), 1 << 30);
    let kept = std::os::unix::fs::MetadataExt::blocks(&metadata) * 512;
    assert!(kept < 1 << 20, "{kept}");
    let mut end = [0; 4];
    std::os::unix::fs::FileExt::read_exact_at(&seen, &mut end, (1 << 30) - 4).unwrap();
    assert_eq!(&end, b"\0end");
    drop(seen);
    ok(&mut stage.umount());
    // The blob is gzip; half of it is refused.
    let image = stage.path("cut");
    ok(program("tar")
        .arg("-C")
        .arg(directory(image.clone()))
        .arg("-xf")
        .arg(stage.path("image.tar")));
    let blobs = fs::read_dir(image.join("blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let gzip = blobs
        .into_iter()
        .find(|path| fs::read(path).unwrap().starts_with(&[0x1f, 0x8b]))
        .unwrap();
    let bytes = fs::read(&gzip).unwrap();
    fs::write(&gzip, &bytes[..bytes.len() / 2]).unwrap();
    let mut again = stage.mount(&image);
    fails(
        again.arg("--place").arg(stage.path("other-place")),
        3,
        "layer 1: the gzip stream is damaged",
    );
    stage.is_clean();
}
