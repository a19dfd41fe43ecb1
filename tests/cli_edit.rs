//! `edit` and `build --from`, judged by those who read images: skopeo, umoci, GNU tar and containerd.
//!
//! Runs as root on Linux. Nothing is skipped: a program that is missing is a failure.

mod rig;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use handroll::native::FileSource;
use handroll::tree::Time;
use handroll::workbench::{Action, ArchiveFiles, Caller, ContentRef, Export, Operation, Workbench, sample};
use rig::containerd::Containerd;
use rig::judges::{in_transport, layout, umoci_unpacks};
use rig::tree::describe;
use rig::{ARTICLE_TIME, article, everything, exported, fails, handroll, json, ok, program, text, write};
use serde_json::{Value, json as value};
use tempfile::TempDir;

/// `handroll` in a directory.
fn run(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = handroll();
    command.args(arguments).current_dir(directory);
    command
}

/// An image of three layers, `image.tar`: two with everything that a layer can hold, and a small one.
fn image(directory: &Path) {
    everything(directory);
    write(directory.join("third/etc/conf"), "third\n");
    write(directory.join("third/links/a"), "third\n");
    let mut build = run(
        directory,
        &["build", "--name", "handroll:1", "--mtime", ARTICLE_TIME],
    );
    build.args([
        "--layer",
        "base",
        "--created-by",
        "COPY base /",
        "--layer",
        "delta",
        "--whiteout",
        "/gone",
    ]);
    build.args([
        "--opaque",
        "/replaced",
        "--layer",
        "third",
        "--comment",
        "the third",
    ]);
    ok(build.args([
        "--env",
        "A=b",
        "--cmd",
        "/bin/sh",
        "--label",
        "l=1",
        "-o",
        "image.tar",
    ]));
}

/// All layers' digests, bottom first. The image is verified.
fn digests(image: &Path) -> Vec<String> {
    let seen = json(handroll().args(["inspect", "--json"]).arg(image));
    let layers = seen["images"][0]["layers"].as_array().unwrap();
    layers
        .iter()
        .map(|layer| layer["digest"].as_str().unwrap().to_owned())
        .collect()
}

/// What umoci makes of an image.
fn unpack(image: &Path) -> BTreeMap<String, String> {
    let directory = TempDir::new().unwrap();
    let layout = match image.is_dir() {
        true => image.to_owned(),
        false => layout(directory.path(), image),
    };
    // umoci finds an image by its tag.
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let tag = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
        .as_str()
        .unwrap();
    let bundle = directory.path().join("bundle");
    let name = format!("{}:{tag}", layout.display());
    ok(program("umoci").args(["unpack", "--image", &name]).arg(&bundle));
    describe(&bundle.join("rootfs"))
}

/// The names in each layer's tar, as GNU tar lists them.
fn names(directory: &Path, image: &str) -> Vec<Vec<String>> {
    let unpacked = TempDir::new_in(directory).unwrap();
    let layout = layout(unpacked.path(), &directory.join(image));
    let list = |digest: &String| {
        let blob = layout.join("blobs").join(digest.replace(':', "/"));
        text(program("tar").arg("-tf").arg(blob))
            .lines()
            .map(str::to_owned)
            .collect()
    };
    digests(&directory.join(image)).iter().map(list).collect()
}

/// Applies a recipe of these operations to `image.tar`; the path of the result.
fn edit(directory: &Path, operations: &Value) -> PathBuf {
    let recipe = value!({ "version": 1, "operations": operations });
    write(directory.join("recipe.json"), recipe.to_string());
    ok(&mut run(
        directory,
        &["edit", "image.tar", "--recipe", "recipe.json", "-o", "out.tar"],
    ));
    directory.join("out.tar")
}

#[test]
fn what_is_not_edited_is_written_as_it_came() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    image(dir);
    let source = in_transport("oci-archive", &dir.join("image.tar"));
    ok(program("gzip").arg("-k").arg(dir.join("image.tar")));
    for (name, target) in [
        ("oci", "oci:oci:1"),
        ("oci.tar", "oci-archive:oci.tar:1"),
        ("docker.tar", "docker-archive:docker.tar:handroll:1"),
        ("dir", "dir:dir"),
    ] {
        ok(program("skopeo")
            .args(["copy", "-q", &source, target])
            .current_dir(dir));
        for (output, transport) in [("out.tar", "out.tar"), ("out/", "out")] {
            let before = text(run(dir, &["inspect", "--json"]).arg(name));
            let report = json(run(dir, &["edit", name, "--json", "-o", output]).stdin(Stdio::null()));
            assert_eq!(
                text(run(dir, &["inspect", "--json", transport]).stdin(Stdio::null())),
                before
            );
            let changes = report["images"][0]["changes"].as_array().unwrap();
            assert!(
                changes
                    .iter()
                    .all(|change| change["state"] == "reused" && change["before"] == change["after"])
            );
            let raw = |image: &str| {
                ok(program("skopeo")
                    .args(["inspect", "--raw", image])
                    .current_dir(dir))
                .stdout
            };
            match (target.split(':').next().unwrap(), output) {
                ("oci-archive" | "oci", "out.tar") => assert_eq!(raw("oci-archive:out.tar"), raw(target)),
                ("docker-archive", "out.tar") => {
                    assert_eq!(raw("docker-archive:out.tar"), raw("docker-archive:docker.tar"))
                }
                ("oci-archive" | "oci", _) => assert_eq!(raw("oci:out"), raw(target)),
                ("dir", "out/") => assert_eq!(raw("dir:out"), raw(target)),
                _ => {}
            }
            let _ = fs::remove_dir_all(dir.join("out"));
        }
    }
    // A compressed archive, by standard input, to standard output.
    let mut piped = run(dir, &["edit", "-", "-o", "-"]);
    piped.stdin(fs::File::open(dir.join("image.tar.gz")).unwrap());
    write(dir.join("piped.tar"), ok(&mut piped).stdout);
    assert_eq!(digests(&dir.join("piped.tar")), digests(&dir.join("image.tar")));
    // In the place of what is read.
    let before = digests(&dir.join("oci"));
    ok(&mut run(dir, &["edit", "oci", "--drop", "3", "-o", "oci/"]));
    assert_eq!(digests(&dir.join("oci")), before[..2]);
    ok(&mut run(
        dir,
        &["edit", "oci.tar", "--drop", "1", "-o", "oci.tar"],
    ));
    assert_eq!(digests(&dir.join("oci.tar")), before[1..]);
    ok(&mut run(dir, &["edit", "oci.tar", "-o", "by-option", "--dir"]));
    assert_eq!(digests(&dir.join("by-option")), before[1..]);
}

#[test]
fn a_path_goes_out_of_every_layer() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    image(dir);
    let (before, blobs) = (unpack(&dir.join("image.tar")), digests(&dir.join("image.tar")));
    let by_recipe = edit(
        dir,
        &value!([
            { "op": "remove_path", "image": 1, "path": "/etc" },
            { "op": "remove_path", "image": 1, "path": "/replaced" },
        ]),
    );
    ok(&mut run(
        dir,
        &[
            "edit",
            "image.tar",
            "--remove",
            "etc/",
            "--remove",
            "/replaced",
            "-o",
            "other.tar",
        ],
    ));
    assert_eq!(
        fs::read(&by_recipe).unwrap(),
        fs::read(dir.join("other.tar")).unwrap()
    );
    let after = unpack(&by_recipe);
    let is_gone = |path: &str| {
        ["etc", "replaced"]
            .iter()
            .any(|top| path == *top || path.starts_with(&format!("{top}/")))
    };
    let expected: BTreeMap<_, _> = before.into_iter().filter(|(path, _)| !is_gone(path)).collect();
    assert_eq!(after, expected);
    for (layer, names) in names(dir, "out.tar").iter().enumerate() {
        assert!(
            !names.iter().any(|name| is_gone(name.trim_start_matches("./"))),
            "layer {layer}: {names:?}"
        );
    }
    // Each layer had one of them.
    assert!(digests(&by_recipe).iter().zip(&blobs).all(|(is, was)| is != was));
    let one = edit(
        dir,
        &value!([{ "op": "remove_path", "image": 1, "path": "/etc" }]),
    );
    assert_eq!(digests(&one)[..2], blobs[..2]);
}

#[test]
fn layers_are_dropped_moved_squashed_and_split() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    image(dir);
    let whole = unpack(&dir.join("image.tar"));
    let blobs = digests(&dir.join("image.tar"));
    // Dropped: as if it had never been there.
    let dropped = edit(dir, &value!([{ "op": "remove_layer", "layer": 3 }]));
    assert_eq!(digests(&dropped), blobs[..2]);
    let without_third = unpack(&dropped);
    assert!(!without_third.contains_key("etc") && whole.contains_key("etc"));
    // Moved: the layer below wins no longer.
    let moved = edit(dir, &value!([{ "op": "move_layer", "layer": 3, "position": 0 }]));
    assert_eq!(
        digests(&moved),
        [&blobs[2], &blobs[0], &blobs[1]].map(String::clone)
    );
    assert_eq!(unpack(&moved)["links/a"], without_third["links/a"]);
    // Squashed and split: the same view.
    let squashed = edit(dir, &value!([{ "op": "squash_layers", "bottom": 1, "top": 3 }]));
    assert_eq!(digests(&squashed).len(), 1);
    assert_eq!(unpack(&squashed), whole);
    ok(&mut run(
        dir,
        &["edit", "image.tar", "--squash", "2..3", "-o", "two.tar"],
    ));
    assert_eq!(digests(&dir.join("two.tar")).len(), 2);
    assert_eq!(digests(&dir.join("two.tar"))[0], blobs[0]);
    assert_eq!(unpack(&dir.join("two.tar")), whole);
    assert!(!names(dir, "two.tar")[1].iter().any(|name| name == "./gone"));
    let split = edit(
        dir,
        &value!([
            { "op": "split_layer", "layer": 1, "new_layer": 9, "name": "devices", "paths": ["/dev", "/keep"] },
            { "op": "set_history", "layer": 9, "created_by": "split off", "comment": null },
        ]),
    );
    assert_eq!(digests(&split).len(), 4);
    assert_eq!(digests(&split)[2..], blobs[1..]);
    assert_eq!(unpack(&split), whole);
    let listed = names(dir, "out.tar");
    assert!(
        listed[1].iter().any(|name| name == "./dev/null")
            && !listed[0].iter().any(|name| name == "./dev/null")
    );
    // What the history says goes with the layers.
    let config = json(
        program("skopeo")
            .args(["inspect", "--config"])
            .arg(in_transport("oci-archive", &split)),
    );
    let made: Vec<_> = config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["created_by"].as_str())
        .collect();
    assert_eq!(made, [Some("COPY base /"), Some("split off"), None, None]);
}

#[test]
fn layers_are_recompressed_stripped_of_times_and_added() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    image(dir);
    let whole = unpack(&dir.join("image.tar"));
    let diff_ids = |image: &Path| -> Vec<Value> {
        let seen = json(handroll().args(["inspect", "--json"]).arg(image));
        let layers = seen["images"][0]["layers"].as_array().unwrap();
        layers.iter().map(|layer| layer["diff_id"].clone()).collect()
    };
    let plain = edit(
        dir,
        &value!([{ "op": "set_compression", "layer": 2, "compression": "none" }]),
    );
    let (before, after) = (digests(&dir.join("image.tar")), digests(&plain));
    assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
    assert_eq!(diff_ids(&plain), diff_ids(&dir.join("image.tar")));
    assert_eq!(diff_ids(&plain)[1], after[1]);
    ok(&mut run(
        dir,
        &["edit", "image.tar", "--compression", "none", "-o", "none.tar"],
    ));
    ok(&mut run(
        dir,
        &["edit", "none.tar", "--compression", "gzip", "-o", "gzip.tar"],
    ));
    assert_eq!(
        digests(&dir.join("gzip.tar")),
        before,
        "gz1 is the same bytes again"
    );
    // Times.
    let time = |image: &Path| -> Vec<String> {
        unpack(image)
            .values()
            .map(|line| {
                line.split(' ')
                    .rev()
                    .find(|word| word.parse::<i64>().is_ok())
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    ok(
        run(dir, &["edit", "image.tar", "--strip-times", "-o", "stripped.tar"])
            .env("SOURCE_DATE_EPOCH", "77"),
    );
    assert!(time(&dir.join("stripped.tar")).iter().all(|time| time == "77"));
    let at_5 =
        value!([{ "action": { "op": "strip_times", "layer": 3 }, "time": { "seconds": 5, "nanos": 0 } }]);
    let times = unpack(&edit(dir, &at_5));
    assert!(times["etc/conf"].ends_with(" 5") && times["keep/file"].ends_with(&format!(" {ARTICLE_TIME}")));
    // Layers on top: a tar as it is, and files by name.
    ok(program("tar")
        .args([
            "-C",
            "third",
            "--owner=5",
            "--group=5",
            "-czf",
            "more.tar.gz",
            ".",
        ])
        .current_dir(dir));
    let added = edit(
        dir,
        &value!([
            { "op": "add_layer_tar", "image": 1, "layer": 4, "name": "tar", "content": { "file": "more.tar.gz" } },
            { "op": "set_compression", "layer": 4, "compression": "original" },
            { "op": "group", "label": "one more", "actions": [
                { "op": "add_layer", "image": 1, "layer": 5, "name": "files" },
                { "op": "make", "layer": 5, "path": "/etc/motd", "entry": { "kind": "file", "content": { "text": "hi\n" } }, "parents": true },
                { "op": "make", "layer": 5, "path": "/opt/tar", "entry": { "kind": "file", "content": { "file": "more.tar.gz" } }, "parents": true },
                { "op": "whiteout", "layer": 5, "path": "/keep", "parents": false },
            ] },
        ]),
    );
    let sum = handroll::digest::Digest::of(&fs::read(dir.join("more.tar.gz")).unwrap()).to_string();
    assert_eq!(
        (digests(&added).len(), &digests(&added)[3]),
        (5, &sum),
        "the blob is the file"
    );
    let after = unpack(&added);
    assert!(
        after["opt/tar"].starts_with(&format!("file {sum}")),
        "{}",
        after["opt/tar"]
    );
    assert!(after["etc/conf"].contains(" 5:5 "));
    assert!(after.contains_key("etc/motd") && !after.contains_key("keep") && whole.contains_key("keep"));
}

#[test]
fn configuration_and_names_change_alone() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    image(dir);
    let config = |image: &str| -> Value {
        json(
            program("skopeo")
                .args(["inspect", "--config", &format!("oci-archive:{image}")])
                .current_dir(dir),
        )
    };
    let before = config("image.tar");
    let options = [
        "--env", "A=c", "--env", "B=d", "--label", "m=2", "--user", "7", "--name", "other:2", "--expose",
        "80/tcp",
    ];
    let mut command = run(dir, &["edit", "image.tar", "-o", "options.tar", "--json"]);
    let report = json(command.args(options));
    let states: Vec<_> = report["images"][0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            format!(
                "{} {}",
                change["what"].as_str().unwrap(),
                change["state"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        states,
        [
            "layer reused",
            "layer reused",
            "layer reused",
            "config changed",
            "manifest changed",
            "index changed"
        ]
    );
    assert_eq!(report["images"][0]["name"], "docker.io/library/other:2");
    let mut expected = before.clone();
    expected["config"]["Env"] = value!(["A=c", "B=d"]);
    expected["config"]["Labels"] = value!({ "l": "1", "m": "2" });
    expected["config"]["User"] = value!("7");
    expected["config"]["ExposedPorts"] = value!({ "80/tcp": {} });
    assert_eq!(config("options.tar"), expected);
    assert_eq!(digests(&dir.join("options.tar")), digests(&dir.join("image.tar")));
    let set = |field: &str, to: Value| value!({ "op": "set_config", "image": 1, "set": { "field": field, "value": to } });
    let by_recipe = edit(
        dir,
        &value!([
            { "op": "set_name", "image": 1, "name": "other:2" },
            set("env", value!(["A=c", "B=d"])), set("labels", value!({ "l": "1", "m": "2" })), set("user", value!("7")),
            set("exposed_ports", value!(["80/tcp"])),
        ]),
    );
    assert_eq!(
        fs::read(by_recipe).unwrap(),
        fs::read(dir.join("options.tar")).unwrap()
    );
    let containerd = Containerd::start();
    containerd.import(&dir.join("options.tar"));
    assert_eq!(containerd.names(), ["docker.io/library/other:2"]);
}

#[test]
fn containerd_runs_what_was_edited() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    article(dir);
    write(dir.join("secret/etc/key"), "not for you\n");
    let mut build = run(
        dir,
        &[
            "build", "--layer", "base", "--layer", "secret", "--layer", "delta",
        ],
    );
    build.args([
        "--whiteout",
        "/etc/key",
        "--name",
        "handroll:1",
        "--cmd",
        "/bin/sh",
        "-o",
        "image.tar",
    ]);
    ok(&mut build);
    let source = in_transport("oci-archive", &dir.join("image.tar"));
    ok(program("skopeo")
        .args(["copy", "-q", &source, "docker-archive:docker.tar:handroll:1"])
        .current_dir(dir));
    let containerd = Containerd::start();
    for (number, image) in ["image.tar", "docker.tar"].into_iter().enumerate() {
        let name = format!("docker.io/library/edited:{number}");
        let mut edit = run(
            dir,
            &[
                "edit", image, "--remove", "/etc", "--squash", "1..2", "--env", "WHO=me",
            ],
        );
        ok(edit.args(["--name", &name, "-o", "out.tar"]));
        containerd.import(&dir.join("out.tar"));
        let script = "cat /hello.txt; echo $WHO; ls /etc 2>&1 | busybox head -c 3";
        let said = containerd.run(&name, &["/bin/sh", "-c", script]);
        assert_eq!(said, "hello from delta\nme\nls:", "{image}");
        let bytes = fs::read(dir.join("out.tar")).unwrap();
        let blobs = TempDir::new().unwrap();
        let layout = layout(blobs.path(), &dir.join("out.tar"));
        let unpacked: Vec<u8> = digests(&dir.join("out.tar"))
            .iter()
            .flat_map(|digest| {
                ok(program("zcat")
                    .arg("-f")
                    .arg(layout.join("blobs").join(digest.replace(':', "/"))))
                .stdout
            })
            .collect();
        assert!(
            !unpacked.windows(11).any(|part| part == b"not for you") && !bytes.is_empty(),
            "{image}: it is gone"
        );
    }
}

/// A session that opens an archive with ids of its own, as the page does.
fn open(path: &Path) -> Workbench {
    let mut workbench = Workbench::new();
    let source = Arc::new(FileSource::open(path).unwrap());
    let content = ContentRef::Source {
        source: 8,
        offset: 0,
        length: fs::metadata(path).unwrap().len(),
    };
    workbench.open_source(8, source).unwrap();
    apply(&mut workbench, sample(70, 71, "amd64").unwrap());
    apply(
        &mut workbench,
        Action::OpenArchive {
            archive: 3,
            name: "some.tar".to_owned(),
            from: ArchiveFiles::Tar { content },
            first_image: 40,
            first_layer: 50,
        },
    );
    workbench
}

fn apply(workbench: &mut Workbench, action: Action) {
    let (time, caller) = (Time::at(3), Caller::ROOT);
    workbench.apply(Operation { time, caller, action }).unwrap();
}

#[test]
fn a_recipe_of_the_page_does_the_same_to_another_image() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    image(dir);
    let mut workbench = open(&dir.join("image.tar"));
    apply(
        &mut workbench,
        Action::RemovePath {
            image: 40,
            path: "/etc".to_owned(),
        },
    );
    apply(&mut workbench, Action::StripTimes { layer: 51 });
    write(dir.join("recipe.tar"), exported(&mut workbench, &Export::Recipe));
    let expected = exported(&mut workbench, &Export::Archive { archive: 3 });
    ok(&mut run(
        dir,
        &["edit", "image.tar", "--recipe", "recipe.tar", "-o", "out.tar"],
    ));
    assert!(fs::read(dir.join("out.tar")).unwrap() == expected);
    // The image that was opened in the page is in the recipe, but another one is edited.
    let mut build = run(
        dir,
        &[
            "build",
            "--layer",
            "third",
            "--layer",
            "delta",
            "--name",
            "another",
            "-o",
            "another.tar",
        ],
    );
    ok(&mut build);
    ok(&mut run(
        dir,
        &[
            "edit",
            "another.tar",
            "--recipe",
            "recipe.tar",
            "--name",
            "renamed",
            "-o",
            "out.tar",
        ],
    ));
    let listed = text(&mut run(dir, &["ls", "out.tar"]));
    assert!(
        !listed.contains(" /etc") && listed.contains("1970-01-01T00:00:03Z /keep"),
        "{listed}"
    );
    let seen = json(&mut run(dir, &["inspect", "--json", "out.tar"]));
    assert_eq!(
        seen["images"][0]["names"],
        value!(["docker.io/library/renamed:latest"])
    );
}

#[test]
fn layers_that_are_not_touched_are_not_read() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    image(dir);
    ok(&mut run(dir, &["edit", "image.tar", "-o", "layout/"]));
    let blobs = digests(&dir.join("layout"));
    let blob = |digest: &str| dir.join("layout/blobs").join(digest.replace(':', "/"));
    fs::write(blob(&blobs[1]), "no layer at all").unwrap();
    fs::remove_file(blob(&blobs[0])).unwrap();
    ok(&mut run(
        dir,
        &["edit", "layout", "--env", "X=y", "--drop", "3", "-o", "out/"],
    ));
    assert_eq!(
        fs::read(dir.join("out/blobs").join(blobs[1].replace(':', "/"))).unwrap(),
        b"no layer at all"
    );
    // What cannot be read cannot be edited, and is not written as something else.
    for options in [
        &["--remove", "/keep"][..],
        &["--strip-times"],
        &["--compression", "none"],
        &["--squash", "1..2"],
    ] {
        let mut command = run(dir, &["edit", "layout", "-o", "no.tar"]);
        fails(command.args(options), 3, "layer");
        assert!(!dir.join("no.tar").exists(), "{options:?}");
    }
}

#[test]
fn an_archive_of_several_images_is_edited_as_one() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    article(dir);
    for (name, layers) in [("one", &["base"][..]), ("two", &["base", "delta"])] {
        let mut build = run(dir, &["build", "--name", name, "-o", "one.tar"]);
        for layer in layers {
            build.args(["--layer", layer]);
        }
        ok(&mut build);
        let copy = ["copy", "-q", "oci-archive:one.tar", &format!("oci:both:{name}")];
        ok(program("skopeo").args(copy).current_dir(dir));
    }
    fails(
        &mut run(dir, &["edit", "both", "--remove", "/data", "-o", "x/"]),
        2,
        "1 one (linux/amd64), 2 two (linux/amd64)",
    );
    ok(&mut run(
        dir,
        &[
            "edit", "both", "--image", "two", "--remove", "/data", "-o", "out/",
        ],
    ));
    let raw = |image: &str| {
        ok(program("skopeo")
            .args(["inspect", "--raw", image])
            .current_dir(dir))
        .stdout
    };
    assert_eq!(raw("oci:out:one"), raw("oci:both:one"));
    assert_ne!(raw("oci:out:two"), raw("oci:both:two"));
    // Layers are counted on from image to image, as `inspect` shows.
    let shown = text(&mut run(dir, &["inspect", "both"]));
    assert!(
        shown.contains("image     2 of 2") && shown.contains("\n  id      3\n"),
        "{shown}"
    );
    write(
        dir.join("recipe.json"),
        r#"{"version":1,"operations":[{"op":"remove_layer","layer":3}]}"#,
    );
    ok(&mut run(
        dir,
        &["edit", "both", "--recipe", "recipe.json", "-o", "out/"],
    ));
    assert_eq!(raw("oci:out:one"), raw("oci:both:one"));
    assert_eq!(
        json(
            program("skopeo")
                .args(["inspect", "oci:out:two"])
                .current_dir(dir)
        )["Layers"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    write(
        dir.join("recipe.json"),
        r#"{"version":1,"operations":[{"op":"remove_image","image":1}]}"#,
    );
    let report = json(&mut run(
        dir,
        &["edit", "both", "--recipe", "recipe.json", "--json", "-o", "out/"],
    ));
    assert_eq!(
        (&report["removed"], &report["images"][0]["image"]),
        (&value!([1]), &value!(2))
    );
    let left = json(&mut run(dir, &["inspect", "--json", "out"]));
    assert_eq!(left["images"].as_array().unwrap().len(), 1);
    assert_eq!(left["images"][0]["names"], value!(["two"]));
}

#[test]
fn an_image_is_built_on_another() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    article(dir);
    let mut build = run(
        dir,
        &[
            "build", "--layer", "base", "--name", "base:1", "--cmd", "/bin/sh", "--env", "A=1",
        ],
    );
    ok(build.args([
        "--env",
        "B=1",
        "--working-dir",
        "/data",
        "--compression",
        "none",
        "-o",
        "base.tar",
    ]));
    ok(program("skopeo")
        .args([
            "copy",
            "-q",
            "oci-archive:base.tar",
            "docker-archive:docker.tar:base:1",
        ])
        .current_dir(dir));
    ok(program("skopeo")
        .args(["copy", "-q", "oci-archive:base.tar", "oci:oci:1"])
        .current_dir(dir));
    let containerd = Containerd::start();
    for (number, from) in ["base.tar", "docker.tar", "oci"].into_iter().enumerate() {
        let base = digests(&dir.join(from));
        let name = format!("docker.io/library/app:{number}");
        let mut build = run(
            dir,
            &[
                "build",
                "--from",
                from,
                "--layer",
                "delta",
                "--created-by",
                "COPY delta /",
            ],
        );
        build.args([
            "--env", "B=2", "--env", "C=3", "--name", &name, "--json", "-o", "app.tar",
        ]);
        let built = json(&mut build);
        let layers = digests(&dir.join("app.tar"));
        assert_eq!(
            (layers.len(), &layers[..1]),
            (2, &base[..]),
            "{from}: the blob is the same"
        );
        let seen = json(&mut run(dir, &["inspect", "--json", "app.tar"]));
        let image = &seen["images"][0];
        for key in ["manifest_digest", "config_digest"] {
            assert_eq!(built[key], image[key], "{from}");
        }
        for (built, seen) in built["layers"]
            .as_array()
            .unwrap()
            .iter()
            .zip(image["layers"].as_array().unwrap())
        {
            for key in ["diff_id", "chain_id", "digest", "size", "media_type"] {
                assert_eq!(built[key], seen[key], "{from} {key}");
            }
        }
        let config = &image["config"];
        assert_eq!(config["config"]["Env"], value!(["A=1", "B=2", "C=3"]));
        assert_eq!(config["config"]["WorkingDir"], "/data");
        assert_eq!(config["history"][1]["created_by"], "COPY delta /");
        containerd.import(&dir.join("app.tar"));
        let said = containerd.run(
            &name,
            &[
                "/bin/sh",
                "-c",
                "cat /hello.txt; ls -a /data; echo $A$B$C; busybox pwd",
            ],
        );
        assert_eq!(said, "hello from delta\n.\n..\n123\n/data\n", "{from}");
    }
    // Nothing on top is the image itself; a whiteout looks at what is below.
    ok(&mut run(dir, &["build", "--from", "base.tar", "-o", "same.tar"]));
    assert_eq!(
        text(&mut run(dir, &["inspect", "--json", "same.tar"])),
        text(&mut run(dir, &["inspect", "--json", "base.tar"]))
    );
    fs::create_dir(dir.join("empty")).unwrap();
    let mut build = run(
        dir,
        &[
            "build",
            "--from",
            "base.tar",
            "--layer",
            "empty",
            "--whiteout",
            "/data",
            "-o",
            "less.tar",
        ],
    );
    ok(build.env("SOURCE_DATE_EPOCH", "86400"));
    assert!(!text(&mut run(dir, &["ls", "less.tar"])).contains(" /data"));
    let seen = json(&mut run(dir, &["inspect", "--json", "less.tar"]));
    assert_eq!(seen["images"][0]["config"]["created"], "1970-01-02T00:00:00Z");
    assert_eq!(seen["images"][0]["names"], value!(["docker.io/library/base:1"]));
    // One of several, and a layout as output.
    let mut build = run(
        dir,
        &[
            "build",
            "--layer",
            "delta",
            "--name",
            "arm",
            "--platform",
            "linux/arm64",
            "-o",
            "arm.tar",
        ],
    );
    ok(&mut build);
    ok(program("skopeo")
        .args([
            "copy",
            "-q",
            "--override-arch",
            "arm64",
            "oci-archive:arm.tar",
            "oci:oci:arm",
        ])
        .current_dir(dir));
    fails(
        &mut run(dir, &["build", "--from", "oci", "-o", "x/"]),
        2,
        "2 arm (linux/arm64)",
    );
    for choice in [&["--platform", "linux/arm64"][..], &["--image", "arm"]] {
        ok(run(dir, &["build", "--from", "oci", "-o", "x/"]).args(choice));
        let seen = json(&mut run(dir, &["inspect", "--json", "x"]));
        assert_eq!(seen["images"].as_array().unwrap().len(), 1);
        assert_eq!(seen["images"][0]["platform"], "linux/arm64");
    }
    ok(&mut run(
        dir,
        &[
            "build",
            "--from",
            "base.tar",
            "--platform",
            "linux/arm64",
            "-o",
            "x/",
        ],
    ));
    let seen = json(&mut run(dir, &["inspect", "--json", "x"]));
    assert_eq!(
        seen["images"][0]["config"]["architecture"], "arm64",
        "with one image, it is what it will run on"
    );
    fails(
        &mut run(
            dir,
            &[
                "build", "--image", "1", "--layer", "base", "--name", "x", "-o", "x.tar",
            ],
        ),
        2,
        "--from",
    );
    fails(
        &mut run(
            dir,
            &["build", "--from", "base.tar", "--recipe", "x", "-o", "x.tar"],
        ),
        2,
        "--recipe",
    );
}

#[test]
fn what_cannot_be_done_is_one_sentence_and_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    article(dir);
    ok(&mut run(
        dir,
        &[
            "build",
            "--layer",
            "base",
            "--layer",
            "delta",
            "--name",
            "x",
            "-o",
            "image.tar",
        ],
    ));
    symlink("image.tar", dir.join("link.tar")).unwrap();
    let refused = |options: &[&str], code, says: &str| {
        fails(
            run(dir, &["edit", "image.tar", "-o", "out.tar"]).args(options),
            code,
            says,
        );
        assert!(!dir.join("out.tar").exists(), "{options:?}");
    };
    refused(&["--drop", "3"], 2, "there is no layer 3: the image has 2 layers");
    refused(&["--squash", "2..1"], 2, "2..4");
    refused(&["--squash", "1..3"], 2, "there is no layer 3");
    refused(&["--remove", "/nothing"], 3, "`/nothing` is in no layer");
    refused(&["--remove", "/"], 3, "root");
    refused(&["--env", "x"], 3, "Env");
    refused(&["--name", "Upper"], 3, "Upper");
    refused(&["--compression", "xz"], 2, "xz");
    refused(&["--image", "y"], 2, "1 docker.io/library/x:latest");
    refused(&["--recipe", "missing"], 3, "missing: ");
    refused(&["--recipe", "image.tar"], 3, "image.tar: this is not a recipe");
    let recipe = |text: &str, says: &str| {
        write(dir.join("r.json"), text);
        refused(&["--recipe", "r.json"], 3, &format!("r.json: {says}"));
    };
    recipe("{", "byte 1 (line 1, column 2)");
    recipe(
        r#"{"version":2,"operations":[]}"#,
        "a recipe has the member `version`, which is 1",
    );
    recipe(
        r#"{"version":1}"#,
        "a recipe has the member `operations`, which is a list",
    );
    recipe(
        r#"{"version":1,"operations":[],"x":0}"#,
        "a recipe has `version` and `operations`, no `x`",
    );
    recipe(
        r#"{"version":1,"version":1,"operations":[]}"#,
        "byte 13: this member was there before",
    );
    let operations =
        |text: &str, says: &str| recipe(&format!(r#"{{"version":1,"operations":[{text}]}}"#), says);
    operations("7", "operation 1: an object is wanted here");
    operations(
        r#"{"op":"remove_layer","layer":2},{"op":"remove"}"#,
        "operation 2: op `remove` is unknown",
    );
    operations(
        r#"{"op":"remove_layer","layer":"2"}"#,
        "operation 1: `/layer`: a whole number",
    );
    operations(
        r#"{"op":"remove_layer","layer":2,"x":0}"#,
        "operation 1: `/x`: there should be no such member",
    );
    operations(
        r#"{"op":"remove_layer","layer":7}"#,
        "operation 1: there is no layer 7",
    );
    operations(
        r#"{"op":"remove_path","image":2,"path":"/x"}"#,
        "operation 1: there is no image 2",
    );
    operations(
        r#"{"op":"add_layer_tar","image":1,"layer":3,"name":"n","content":{"file":"missing"}}"#,
        "operation 1: missing: ",
    );
    operations(
        r#"{"op":"add_layer_tar","image":1,"layer":2,"name":"n","content":{"file":"image.tar"}}"#,
        "operation 1: there is a layer 2 already",
    );
    fails(&mut run(dir, &["edit", "image.tar"]), 2, "--output");
    fails(
        &mut run(dir, &["edit", "image.tar", "--json", "-o", "-"]),
        2,
        "standard output",
    );
    fails(
        &mut run(dir, &["edit", "image.tar", "-o", "base/"]),
        3,
        "no OCI layout",
    );
    fails(
        &mut run(dir, &["edit", "base", "-o", "out.tar"]),
        3,
        "base: this is no image",
    );
    let other = umoci_unpacks(dir, &layout(dir, &dir.join("link.tar")));
    assert!(
        other.join("hello.txt").is_file(),
        "what is read is left as it was"
    );
}
