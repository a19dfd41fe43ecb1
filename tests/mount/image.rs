//! What an image shows that `handroll mount` mounted as root, and how it is mounted.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::cases::Case;
use super::rig::tree::describe;
use super::rig::{fails, handroll, ok, program, text};
use super::runtimes::{Found, Runtimes, look};
use super::stage::Stage;
use super::{directory, layout, mount_line};

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
