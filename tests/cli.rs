//! The command line as scripts see it: what it writes, what it prints, how it ends.

mod rig;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use handroll::digest::Digest;
use handroll::tree::Time;
use handroll::workbench::{Action, Caller, Export, Operation, Workbench, sample};
use rig::{
    ARTICLE_TIME, article, article_diff_id, article_files, exported, fails, handroll, json, ok, program,
    text, write,
};
use tempfile::TempDir;

/// `handroll build` in a directory, of the layers `base` and `delta`.
fn build(directory: &Path) -> Command {
    let mut command = handroll();
    command
        .args([
            "build", "--layer", "base", "--layer", "delta", "--name", "handroll",
        ])
        .current_dir(directory);
    command
}

fn files() -> TempDir {
    let directory = TempDir::new().unwrap();
    article_files(directory.path());
    directory
}

#[test]
fn the_articles_layers_have_the_articles_diff_ids() {
    let directory = TempDir::new().unwrap();
    article(directory.path());
    let mut command = build(directory.path());
    let built = json(command.args([
        "--cmd",
        "/bin/sh",
        "--mtime",
        ARTICLE_TIME,
        "-o",
        "handroll.tar",
        "--json",
    ]));
    for (index, layer) in ["base", "delta"].into_iter().enumerate() {
        let expected = article_diff_id(&directory.path().join(layer));
        assert_eq!(built["layers"][index]["diff_id"], expected, "{layer}");
    }
}

#[test]
fn what_json_says() {
    let directory = files();
    let mut command = build(directory.path());
    command.args([
        "--cmd",
        "/bin/sh",
        "--mtime",
        ARTICLE_TIME,
        "-o",
        "image.tar",
        "--json",
    ]);
    let printed = text(&mut command);
    let expected = include_str!("golden/build.json");
    assert_eq!(printed, expected);
    // The files that the digests name are there, and are what they say.
    let built: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let members = text(program("tar").arg("-tf").arg(directory.path().join("image.tar")));
    for digest in [
        &built["config_digest"],
        &built["manifest_digest"],
        &built["layers"][0]["digest"],
    ] {
        let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
        assert!(members.contains(&format!("blobs/sha256/{hex}\n")));
        let blob = ok(program("tar")
            .arg("-xOf")
            .arg(directory.path().join("image.tar"))
            .arg(format!("blobs/sha256/{hex}")));
        assert_eq!(Digest::of(&blob.stdout).hex(), hex);
    }
}

#[test]
fn the_same_input_is_the_same_archive() {
    let directory = files();
    let make = |options: &[&str]| ok(build(directory.path()).args(options).args(["-o", "-"])).stdout;
    let first = make(&[]);
    assert_eq!(
        first,
        make(&[
            "--mtime",
            "0",
            "--owner",
            "0:0",
            "--compression",
            "gzip",
            "--platform",
            "linux/amd64"
        ])
    );
    assert_ne!(first, make(&["--mtime", "1"]));
    assert_ne!(first, make(&["--owner", "1:1"]));
    assert_ne!(first, make(&["--compression", "none"]));
    ok(build(directory.path()).args(["-o", "image.tar"]));
    assert_eq!(fs::read(directory.path().join("image.tar")).unwrap(), first);
}

#[test]
fn source_date_epoch_pins_files_and_creation() {
    let directory = files();
    let inspect = |epoch: &str, options: &[&str]| {
        let output = "image.tar";
        ok(build(directory.path())
            .args(options)
            .args(["-o", output])
            .env("SOURCE_DATE_EPOCH", epoch));
        let mut command = handroll();
        let seen = json(
            command
                .args(["inspect", "--json", output])
                .current_dir(directory.path()),
        );
        let image = &seen["images"][0];
        (
            image["config"]["created"].clone(),
            image["layers"][0]["diff_id"].clone(),
        )
    };
    let (created, diff_id) = inspect(ARTICLE_TIME, &[]);
    assert_eq!(created, "2025-01-01T00:00:00Z");
    assert_eq!(diff_id, article_diff_id(&directory.path().join("base")));
    // What is asked for on the command line wins.
    let (created, other) = inspect(
        "7",
        &["--mtime", ARTICLE_TIME, "--created", "2001-02-03T04:05:06Z"],
    );
    assert_eq!((created.as_str(), other), (Some("2001-02-03T04:05:06Z"), diff_id));
    for bad in ["yesterday", "", "1.5", "99999999999999"] {
        fails(
            build(directory.path())
                .args(["-o", "x.tar"])
                .env("SOURCE_DATE_EPOCH", bad),
            2,
            "SOURCE_DATE_EPOCH",
        );
    }
}

#[test]
fn owners_times_and_xattrs_are_kept_on_demand() {
    let directory = files();
    let file = directory.path().join("base/hello.txt");
    ok(program("touch").args(["-d", "2001-02-03T04:05:06.5Z"]).arg(&file));
    ok(program("chown").arg("12:34").arg(&file));
    ok(program("setfattr")
        .args(["-n", "user.note", "-v", "hi"])
        .arg(&file));
    let diff_id = |options: &[&str]| {
        let mut command = handroll();
        command
            .args(["build", "--layer", "base", "--name", "x", "-o", "x.tar", "--json"])
            .args(options);
        json(command.current_dir(directory.path()))["layers"][0]["diff_id"].clone()
    };
    let by_tar = |options: &str| {
        let script =
            format!("tar -C base --sort=name --numeric-owner {options} -cf - . | sha256sum | cut -d' ' -f1");
        format!(
            "sha256:{}",
            text(program("sh").args(["-c", &script]).current_dir(directory.path())).trim()
        )
    };
    assert_eq!(diff_id(&["--owner", "keep"]), by_tar("--mtime=@0"));
    assert_eq!(
        diff_id(&["--owner", "5:6", "--mtime", "7"]),
        by_tar("--mtime=@7 --owner=5 --group=6")
    );
    let exact = "--format=posix --pax-option=delete=atime,delete=ctime --xattrs --xattrs-include='*'";
    assert_eq!(
        diff_id(&["--owner", "keep", "--mtime", "keep", "--xattrs"]),
        by_tar(exact)
    );
}

#[test]
fn whiteouts_have_one_spelling_whatever_they_came_as() {
    let directory = files();
    let at = |name: &str| directory.path().join(name);
    write(at("plain/hello.txt"), "hello from delta\n");
    fs::create_dir_all(at("plain/data")).unwrap();
    write(at("device/hello.txt"), "hello from delta\n");
    fs::create_dir_all(at("device/data")).unwrap();
    ok(program("mknod")
        .arg(at("device/data/.wh.config.txt"))
        .args(["c", "0", "0"]));
    write(at("overlay/hello.txt"), "hello from delta\n");
    fs::create_dir_all(at("overlay/data")).unwrap();
    ok(program("mknod")
        .arg(at("overlay/data/config.txt"))
        .args(["c", "0", "0"]));
    let built = |layer: &str, options: &[&str]| -> (serde_json::Value, Output) {
        let mut command = handroll();
        command.args(["build", "--layer", layer]).args(options);
        command.args(["--mtime", ARTICLE_TIME, "--name", "x", "-o", "x.tar", "--json"]);
        let output = ok(command.current_dir(directory.path()));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (json["layers"][0]["diff_id"].clone(), output)
    };
    let expected = article_diff_id(&at("delta"));
    assert_eq!(built("delta", &[]).0, expected);
    assert_eq!(built("plain", &["--whiteout", "data/config.txt"]).0, expected);
    for layer in ["device", "overlay"] {
        let (diff_id, output) = built(layer, &[]);
        assert_eq!(diff_id, expected, "{layer}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("config.txt"),
            "told that the spelling changed: {said}"
        );
    }
}

#[test]
fn layers_from_tars_keep_their_bytes() {
    let directory = files();
    // Sorted otherwise and with names: nothing that handroll would write.
    let script =
        "tar -C base --mtime=@5 --owner=me:7 --group=us:8 -cf base.tar data hello.txt && gzip -k9 base.tar";
    ok(program("sh").args(["-c", script]).current_dir(directory.path()));
    let tar = fs::read(directory.path().join("base.tar")).unwrap();
    for name in ["base.tar", "base.tar.gz"] {
        let mut command = handroll();
        command.args(["build", "--layer", name, "--name", "x", "-o", "x.tar", "--json"]);
        let built = json(command.current_dir(directory.path()));
        assert_eq!(
            built["layers"][0]["diff_id"],
            Digest::of(&tar).to_string(),
            "{name}"
        );
    }
}

#[test]
fn a_directory_can_be_put_elsewhere() {
    let directory = files();
    ok(program("sh")
        .args(["-c", "mkdir -p moved/opt/app && cp -r base/. moved/opt/app/"])
        .current_dir(directory.path()));
    let diff_id = |layer: &str| {
        let mut command = handroll();
        command.args(["build", "--layer", layer, "--name", "x", "-o", "x.tar", "--json"]);
        json(command.current_dir(directory.path()))["layers"][0]["diff_id"].clone()
    };
    assert_eq!(diff_id("base:/opt/app"), diff_id("moved"));
    assert_eq!(diff_id("base/:/opt/app/"), diff_id("moved"));
}

#[test]
fn wrong_usage_ends_with_2() {
    let directory = files();
    let none = handroll().output().unwrap();
    assert_eq!(none.status.code(), Some(2));
    for (options, says) in [
        (&["--bogus"][..], "--bogus"),
        (&["--owner", "root"], "--owner root"),
        (&["--owner", "0:-1"], "--owner 0:-1"),
        (&["--owner", "0:4294967296"], "--owner"),
        (&["--mtime", "noon"], "--mtime noon"),
        (&["--platform", "linux"], "--platform linux"),
        (&["--compression", "lzma"], "lzma"),
        (&["--label", "x"], "--label x"),
        (&["--cmd", "[\"a\""], "JSON"),
    ] {
        fails(
            build(directory.path()).args(options).args(["-o", "x.tar"]),
            2,
            says,
        );
    }
    fails(
        build(directory.path()).args(["-o", "-", "--json"]),
        2,
        "standard output",
    );
    fails(
        handroll()
            .args(["build", "--layer", "base", "-o", "x.tar"])
            .current_dir(directory.path()),
        2,
        "--name",
    );
    fails(
        handroll().args(["build", "--whiteout", "/x", "--layer", "base", "-o", "x.tar"]),
        2,
        "--whiteout /x",
    );
    assert!(!directory.path().join("x.tar").exists());
}

#[test]
fn bad_input_ends_with_3_and_leaves_nothing() {
    let directory = files();
    let at = |name: &str| directory.path().join(name);
    write(at("no.tar"), "this is no tar".repeat(100));
    write(at("cut.tar.gz"), [0x1f, 0x8b, 8, 0, 0]);
    write(at("reserved/.wh.."), "");
    for (layer, options, says) in [
        ("missing", &[][..], "missing"),
        ("no.tar", &[], "no.tar"),
        ("cut.tar.gz", &[], "cut.tar.gz"),
        ("reserved", &[], ".wh.."),
        ("base", &["--name", "Upper"], "Upper"),
        ("base", &["--name", "x@sha256:00"], "digest"),
        ("base", &["--env", "x"], "Env"),
        ("base", &["--working-dir", "x"], "WorkingDir"),
        ("base", &["--user", "a b"], "User"),
        ("base", &["--stop-signal", "TERM"], "StopSignal"),
        ("base", &["--created", "now"], "created"),
        ("base", &["--expose", "0"], "ExposedPorts"),
        ("base", &["--volume", "x"], "Volumes"),
        ("base", &["--platform", "linux/x86_64"], "amd64"),
        ("base", &["--whiteout", "/a/../b"], ".."),
        ("base", &["--whiteout", "/.wh.x"], ".wh."),
        ("base", &["--whiteout", "/hello.txt"], "hello.txt"),
        ("base", &["--opaque", "/hello.txt"], "hello.txt"),
        ("base", &["--recipe", "no.tar"], "no.tar"),
    ] {
        let mut command = handroll();
        command
            .args(["build", "--layer", layer])
            .args(options)
            .current_dir(directory.path());
        if !options.contains(&"--name") {
            command.args(["--name", "x"]);
        }
        fails(command.args(["-o", "x.tar"]), 3, says);
        let left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        let stray =
            |name: &&std::ffi::OsString| name.to_string_lossy().contains(".handroll") || *name == "x.tar";
        assert_eq!(left.iter().find(stray), None);
    }
    fails(
        build(directory.path()).args(["-o", "nowhere/x.tar"]),
        3,
        "nowhere/x.tar",
    );
    fails(build(directory.path()).args(["-o", "base/"]), 3, "no OCI layout");
}

#[test]
fn an_output_that_is_there_is_replaced_whole() {
    let directory = files();
    let at = |name: &str| directory.path().join(name);
    write(at("image.tar"), "old");
    ok(build(directory.path()).args(["-o", "image.tar"]));
    let image = fs::read(at("image.tar")).unwrap();
    assert!(image.starts_with(b"oci-layout\0"));
    assert_eq!(fs::metadata(at("image.tar")).unwrap().mode() & 0o777, 0o644);
    // A failure leaves the old one as it was.
    fails(
        build(directory.path()).args(["--user", ":", "-o", "image.tar"]),
        3,
        "User",
    );
    assert_eq!(fs::read(at("image.tar")).unwrap(), image);
    // A layout takes the place of a layout, through a link too.
    symlink("layout", at("link")).unwrap();
    for output in ["layout/", "layout", "link/", "link"] {
        fs::create_dir_all(at("layout")).unwrap();
        ok(build(directory.path()).args(["-o", output]));
        assert!(at("layout/index.json").is_file());
        write(at("layout/stray"), "");
        ok(build(directory.path()).args(["--mtime", "9", "-o", output]));
        assert!(!at("layout/stray").exists());
    }
    assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
}

#[test]
fn inspect_reads_what_build_writes() {
    let directory = files();
    let dir = directory.path();
    ok(build(dir).args(["--cmd", "/bin/sh", "--mtime", ARTICLE_TIME, "-o", "image.tar"]));
    ok(build(dir).args(["--cmd", "/bin/sh", "--mtime", ARTICLE_TIME, "-o", "layout/"]));
    ok(program("gzip").args(["-k", "image.tar"]).current_dir(dir));
    let inspect = |image: &str| ok(handroll().args(["inspect", "--json", image]).current_dir(dir)).stdout;
    let expected = include_str!("golden/inspect.json");
    let printed = String::from_utf8(inspect("image.tar")).unwrap();
    assert_eq!(printed, expected);
    for image in ["image.tar.gz", "layout", "layout/"] {
        assert_eq!(String::from_utf8(inspect(image)).unwrap(), expected, "{image}");
    }
    let mut piped = handroll();
    piped
        .args(["inspect", "--json", "-"])
        .stdin(Stdio::from(fs::File::open(dir.join("image.tar")).unwrap()));
    assert_eq!(text(&mut piped), expected);
    let shown = text(handroll().args(["inspect", "image.tar"]).current_dir(dir));
    for line in [
        "name      docker.io/library/handroll:latest",
        "platform  linux/amd64",
        "  Cmd: [\"/bin/sh\"]",
        "  verified",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
}

#[test]
fn inspect_finds_what_was_tampered_with() {
    let directory = files();
    let dir = directory.path();
    let built = json(build(dir).args(["-o", "image.tar", "--json"]));
    ok(build(dir).args(["-o", "layout/"]));
    let blob = built["layers"][0]["digest"]
        .as_str()
        .unwrap()
        .replace("sha256:", "layout/blobs/sha256/");
    let mut bytes = fs::read(dir.join(&blob)).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(dir.join(&blob), bytes).unwrap();
    let output = handroll()
        .args(["inspect", "layout", "--json"])
        .current_dir(dir)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["images"][0]["layers"][0]["verified"], false);
    assert_eq!(seen["images"][0]["layers"][1]["verified"], true);
    fs::remove_file(dir.join(&blob)).unwrap();
    let output = handroll()
        .args(["inspect", "layout"])
        .current_dir(dir)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("NOT VERIFIED: A layer is missing"));

    for (name, bytes) in [
        ("empty.tar", &b""[..]),
        ("text.tar", b"hello"),
        ("short.tar.gz", &[0x1f, 0x8b, 8]),
    ] {
        write(dir.join(name), bytes);
        fails(handroll().args(["inspect", name]).current_dir(dir), 3, name);
    }
    fails(
        handroll().args(["inspect", "base"]).current_dir(dir),
        3,
        "no image",
    );
    // A tar without an image is a layer, even an empty one.
    write(dir.join("layer.tar"), [0; 1024]);
    let layer = json(
        handroll()
            .args(["inspect", "layer.tar", "--json"])
            .current_dir(dir),
    );
    assert_eq!(layer["format"], "layer");
    let empty = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    assert_eq!(layer["images"][0]["layers"][0]["diff_id"], empty);
    fails(
        handroll().args(["inspect", "missing.tar"]).current_dir(dir),
        3,
        "missing.tar",
    );
    fails(handroll().args(["inspect"]).current_dir(dir), 2, "IMAGE");
}

fn apply(workbench: &mut Workbench, action: Action) {
    let (time, caller) = (Time::at(ARTICLE_TIME.parse().unwrap()), Caller::ROOT);
    workbench.apply(Operation { time, caller, action }).unwrap();
}

#[test]
fn a_recipe_gives_the_bytes_of_the_session_that_saved_it() {
    let directory = files();
    let dir = directory.path();
    let mut workbench = Workbench::new();
    apply(&mut workbench, sample(5, 7, "arm64").unwrap());
    write(dir.join("recipe.tar"), exported(&mut workbench, &Export::Recipe));
    let archive = exported(&mut workbench, &Export::Image { image: 5 });
    let mut command = handroll();
    command
        .args(["build", "--recipe", "recipe.tar", "-o", "-"])
        .current_dir(dir);
    assert!(ok(&mut command).stdout == archive);
    // What is given with it comes on top.
    command.args([
        "--name",
        "other:1",
        "--layer",
        "delta:/opt",
        "--user",
        "7",
        "--compression",
        "none",
    ]);
    write(dir.join("other.tar"), ok(&mut command).stdout);
    let seen = json(
        handroll()
            .args(["inspect", "--json", "other.tar"])
            .current_dir(dir),
    );
    let image = &seen["images"][0];
    assert_eq!(image["names"][0], "docker.io/library/other:1");
    assert_eq!(image["platform"], "linux/arm64");
    assert_eq!(image["config"]["config"]["User"], "7");
    assert_eq!(image["config"]["config"]["Cmd"][0], "/bin/show");
    assert_eq!(image["layers"].as_array().unwrap().len(), 3);
    assert_eq!(image["layers"][0]["digest"], image["layers"][0]["diff_id"]);
}

#[test]
fn a_recipe_of_several_images_needs_a_name_and_a_bad_one_is_refused() {
    let directory = files();
    let dir = directory.path();
    let mut workbench = Workbench::new();
    apply(&mut workbench, sample(5, 7, "amd64").unwrap());
    write(dir.join("recipe.tar"), exported(&mut workbench, &Export::Recipe));
    let (image, name) = (9, "second".to_owned());
    apply(&mut workbench, Action::CreateImage { image, name });
    write(dir.join("two.tar"), exported(&mut workbench, &Export::Recipe));
    let two = |options: &[&str]| {
        let mut command = handroll();
        command
            .args(["build", "--recipe", "two.tar", "-o", "x.tar"])
            .args(options)
            .current_dir(dir);
        command
    };
    fails(
        &mut two(&[]),
        2,
        "docker.io/library/handroll:latest, docker.io/library/second:latest",
    );
    ok(&mut two(&["--name", "second", "--layer", "base"]));
    // A recipe that names what is not in it.
    let script = "mkdir x && tar -C x -xf recipe.tar && tar -C x -cf cut.tar .";
    ok(program("sh").args(["-c", script]).current_dir(dir));
    ok(handroll()
        .args(["build", "--recipe", "cut.tar", "-o", "y.tar"])
        .current_dir(dir));
    write(dir.join("x/recipe.json"), r#"{"version":2,"operations":[]}"#);
    ok(program("tar")
        .args(["-C", "x", "-cf", "cut.tar", "."])
        .current_dir(dir));
    fails(
        handroll()
            .args(["build", "--recipe", "cut.tar", "-o", "y.tar"])
            .current_dir(dir),
        3,
        "version",
    );
}

#[test]
fn directories_above_a_whiteout_look_as_they_do_below() {
    let directory = files();
    let dir = directory.path();
    let script = "mkdir -p base/tmp/a && chmod 1777 base/tmp && touch base/tmp/a/b";
    ok(program("sh").args(["-c", script]).current_dir(dir));
    ok(build(dir).args(["--whiteout", "tmp/a/b", "-o", "layout/"]));
    let seen = json(handroll().args(["inspect", "--json", "layout"]).current_dir(dir));
    let blob = seen["images"][0]["layers"][1]["digest"]
        .as_str()
        .unwrap()
        .replace("sha256:", "layout/blobs/sha256/");
    let listed = text(
        program("tar")
            .args(["--numeric-owner", "-tvzf", &blob])
            .current_dir(dir),
    );
    let line = |name: &str| {
        listed
            .lines()
            .find(|line| line.ends_with(name))
            .unwrap_or_else(|| panic!("{listed}"))
    };
    assert!(line(" ./tmp/").starts_with("drwxrwxrwt 0/0"), "{listed}");
    assert!(line(" ./tmp/a/").starts_with("drwxr-xr-x 0/0"), "{listed}");
    assert!(line(" ./tmp/a/.wh.b").starts_with("-rw-r--r-- 0/0"), "{listed}");
}

#[test]
fn what_cannot_be_read_is_named() {
    // As somebody who is not root, in a directory that is open to all.
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let dir = directory.path();
    article_files(dir);
    let copy = dir.join("handroll");
    fs::copy(env!("CARGO_BIN_EXE_handroll"), &copy).unwrap();
    let nobody = |arguments: &[&str]| {
        let mut command = program("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&copy)
            .args(arguments);
        command.current_dir(dir);
        command
    };
    let arguments = ["build", "--layer", "base", "--name", "x", "-o", "x.tar"];
    ok(&mut nobody(&arguments));
    fs::remove_file(dir.join("x.tar")).unwrap();
    for (path, mode) in [("base/hello.txt", 0o000), ("base/data", 0o311)] {
        let before = fs::metadata(dir.join(path)).unwrap().permissions();
        fs::set_permissions(dir.join(path), fs::Permissions::from_mode(mode)).unwrap();
        fails(&mut nobody(&arguments), 3, path.strip_prefix("base/").unwrap());
        fs::set_permissions(dir.join(path), before).unwrap();
        assert!(!dir.join("x.tar").exists());
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    fails(&mut nobody(&arguments), 3, "x.tar");
}

#[test]
fn a_real_directory_has_gnu_tars_diff_id() {
    // As large as directories get on any machine: tens of thousands of files, hundreds of megabytes.
    let source = Path::new("/usr/share");
    let directory = TempDir::new().unwrap();
    let mut command = handroll();
    command
        .args(["build", "--layer"])
        .arg(source)
        .args(["--name", "x", "--mtime", ARTICLE_TIME]);
    command
        .args(["--compression", "none", "-o", "/dev/null", "--json"])
        .current_dir(directory.path());
    let start = std::time::Instant::now();
    let built = json(&mut command);
    println!("{} bytes in {:?}", built["layers"][0]["size"], start.elapsed());
    assert_eq!(built["layers"][0]["diff_id"], article_diff_id(source));
}

/// What stands between two lines of the README that begin so.
fn readme(from: &str, to: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with(from));
    let lines: Vec<_> = lines.take_while(|line| !line.starts_with(to)).collect();
    assert!(!lines.is_empty());
    lines.join("\n")
}

#[test]
fn the_readme_runs_as_written() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    article(dir);
    fs::remove_file(dir.join("delta/data/.wh.config.txt")).unwrap();
    ok(program("tar")
        .args(["-cf", "more-files.tar", "base"])
        .current_dir(dir));
    let text = readme("## The command line", "## Host the page");
    let path = Path::new(env!("CARGO_BIN_EXE_handroll")).parent().unwrap();
    let path = format!("{}:{}", path.display(), std::env::var("PATH").unwrap());
    let mut blocks = 0;
    for block in text.split("```sh\n").skip(1) {
        let script = block.split("\n```").next().unwrap();
        ok(program("sh")
            .args(["-euxc", script])
            .env("PATH", &path)
            .current_dir(dir));
        blocks += 1;
    }
    assert_eq!(blocks, 5);
    let mut operations = 0;
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let Some((_, operation)) = line.split_once("`{\"op\":") else {
            continue;
        };
        let operation = operation.strip_suffix("` |").unwrap();
        let recipe = format!("{{\"version\":1,\"operations\":[{{\"op\":{operation}]}}");
        write(dir.join("one.json"), recipe);
        let mut command = handroll();
        command.args(["edit", "handroll.tar", "--recipe", "one.json", "-o", "one.tar"]);
        ok(command.current_dir(dir));
        let same = fs::read(dir.join("one.tar")).unwrap() == fs::read(dir.join("handroll.tar")).unwrap();
        assert!(!same, "{operation} changes something");
        operations += 1;
    }
    assert!(operations > 20, "{operations}");
}

/// Every member that `--json` prints is in the README.
#[test]
fn the_readme_names_what_json_has() {
    fn members(value: &serde_json::Value, names: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(object) => {
                for (name, value) in object {
                    names.insert(name.clone());
                    // What is in these has names of its own.
                    if !matches!(name.as_str(), "config" | "operation" | "more") {
                        members(value, names);
                    }
                }
            }
            serde_json::Value::Array(values) => values.iter().for_each(|value| members(value, names)),
            _ => {}
        }
    }
    let directory = files();
    let dir = directory.path();
    ok(program("setfattr")
        .args(["-n", "user.a", "-v", "b", "base/hello.txt"])
        .current_dir(dir));
    ok(program("mknod")
        .args(["base/null", "c", "1", "3"])
        .current_dir(dir));
    let mut build = build(dir);
    build.args(["--xattrs", "--created-by", "x", "-o", "image.tar", "--json"]);
    let run = |arguments: &[&str]| json(handroll().args(arguments).current_dir(dir));
    ok(program("sh")
        .args([
            "-c",
            "mkdir d && echo x > d/.wh.a && echo y > d/a && tar -cf trap.tar d/.wh.a d/a d/a",
        ])
        .current_dir(dir));
    let checked = handroll()
        .args(["check", "--json", "trap.tar"])
        .current_dir(dir)
        .output()
        .unwrap();
    let built = json(&mut build);
    let mut diff = handroll();
    diff.args(["diff", "--json", "image.tar", "image.tar", "--layers-a", "1"]);
    let diff = diff.current_dir(dir).output().unwrap();
    let (make, look) = (readme("### Make", "### Look"), readme("### Look", "### Compare"));
    let compare = look.clone() + &readme("### Compare", "### Check");
    let (check, change) = (
        readme("### Check", "### Change"),
        readme("### Change", "### Mount"),
    );
    let unpack = readme("### Unpack", "### Run");
    for (text, printed) in [
        (make.clone(), built),
        (make + &look, run(&["inspect", "--json", "image.tar"])),
        (look.clone(), run(&["ls", "--json", "image.tar"])),
        (look, run(&["why", "--json", "image.tar", "/data/config.txt"])),
        (compare, serde_json::from_slice(&diff.stdout).unwrap()),
        (check, serde_json::from_slice(&checked.stdout).unwrap()),
        (
            change,
            run(&["edit", "--json", "image.tar", "--drop", "1", "-o", "out.tar"]),
        ),
        (unpack, run(&["unpack", "--json", "image.tar", "root"])),
    ] {
        let mut names = BTreeSet::new();
        members(&printed, &mut names);
        assert!(names.len() > 5, "{names:?}");
        let named =
            |name: &String| text.contains(&format!("`{name}`")) || text.contains(&format!("`{name}[]`"));
        let missing: Vec<_> = names.iter().filter(|name| !named(name)).collect();
        assert!(missing.is_empty(), "{missing:?} in {text}");
    }
}
