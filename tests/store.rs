//! The store is what containerd makes of the same archives: images, blobs with their labels, snapshots with their parents,
//! numbers and mounts, and every directory path by path with attributes and overlay marks. Both then collect garbage, and
//! fail in the same words.
//!
//! Runs as root, on a tmpfs, with Debian's containerd, skopeo and zstd. Times, and what containerd makes of chance, are not
//! compared.

mod rig;
mod support;
#[path = "store/archive.rs"]
mod archive;
#[path = "store/both.rs"]
mod both;
#[path = "../src/layer/dialect/cases.rs"]
mod cases;
#[path = "dialects/runtimes.rs"]
mod runtimes;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use archive::{Layer, Layout, article_image};
use both::{Both, outcome};
use handroll::content::{Content, Source as _};
use handroll::image::json::read;
use handroll::layer::dialect::{Dialect, Failure, Fs, Kind, Remains, apply};
use handroll::native::FileSource;
use handroll::store::{Client, Descriptor, Import, Labels, Platforms};
use handroll::text::escape;
use handroll::tree::Time;
use handroll::workbench::{Caller, Export, Operation, Workbench};
use rig::{ok, program};
use serde_json::json;
use support::tmpfs;

/// What ctr labels the snapshots with that it makes, so that they stay.
fn root() -> Labels {
    Labels::from([("containerd.io/gc.root".to_owned(), "2022".to_owned())])
}

fn digest_of(both: &mut Both, number: u64) -> String {
    let here = both.client().here();
    let mut snapshots = here.snapshots.iter();
    let found = snapshots.find(|(_, snapshot)| snapshot.number == number);
    found.expect("it was unpacked").0.to_owned()
}

#[test]
fn the_store_is_what_containerd_makes_of_the_same() {
    let mut both = Both::start();
    articles_image_and_another_on_its_base(&mut both);
    everything_that_a_layer_can_hold(&mut both);
    three_platforms_and_nameless(&mut both);
    docker_archives(&mut both);
    what_is_wrong_is_told_and_leaves_the_same(&mut both);
    cases_of_layers(&mut both);
    what_a_container_wrote(&mut both);
}

fn articles_image_and_another_on_its_base(both: &mut Both) {
    let directory = tmpfs();
    both.imports(&article_image(directory.path(), "handroll", "delta"));
    assert_eq!(*both.store.directories, [1, 2]);
    both.imports(&article_image(
        directory.path(),
        "quay.io/someone/other:1",
        "other",
    ));
    assert_eq!(*both.store.directories, [1, 2, 3]);
    // The same once more changes nothing but times.
    both.imports(&directory.path().join("delta.tar"));
    assert_eq!(*both.store.directories, [1, 2, 3]);

    // A container's snapshot, as `ctr run` prepares it, and a view.
    let chain = digest_of(both, 2);
    let prepare = |key: &'static str, parent: &str| {
        let parent = parent.to_owned();
        move |client: &mut Client<'_>| client.prepare(key, &parent, root()).map(drop)
    };
    both.does(&["snapshots", "prepare", "demo", &chain], prepare("demo", &chain))
        .unwrap();
    both.does(&["snapshots", "prepare", "demo"], prepare("demo", ""))
        .unwrap_err();
    both.does(&["snapshots", "prepare", "alone"], prepare("alone", ""))
        .unwrap();
    for (key, parent) in [("seen", digest_of(both, 1)), ("over", chain.clone())] {
        both.does(&["snapshots", "view", key, &parent], |client| {
            client.view(key, &parent, Labels::new()).map(drop)
        })
        .unwrap();
    }
    for parent in ["never", "demo", "seen"] {
        both.does(&["snapshots", "prepare", "q", parent], prepare("q", parent))
            .unwrap_err();
    }
    for (name, key) in [
        (&chain[..], "demo"),
        ("new", "never"),
        ("new", "seen"),
        ("new", &chain),
    ] {
        both.does(&["snapshots", "commit", name, key], |client| {
            client.commit(name, key, Labels::new())
        })
        .unwrap_err();
    }
    let here = both.client().here();
    both.compare_snapshots(&here);
    both.does(&["snapshots", "commit", "written", "demo"], |client| {
        client.commit("written", "demo", root())
    })
    .unwrap();
    for key in [&chain[..], "never"] {
        let theirs = outcome(&mut both.containerd.ctr(&["snapshots", "rm", key])).unwrap_err();
        let ours = both.client().remove_snapshot(key).unwrap_err();
        assert_eq!(theirs, format!("failed to remove {key:?}: {ours}"));
    }
    let here = both.client().here();
    both.compare_snapshots(&here);

    // A name that is taken.
    let (image, other) = ("docker.io/library/handroll:latest", "quay.io/someone/other:1");
    both.does(&["images", "tag", image, other], |client| {
        let target = client.image(image)?.target;
        client.create_image(other, target, Labels::new())
    })
    .unwrap_err();

    // Of two images that share, one goes; what only it had is garbage, and what nobody named.
    ok(&mut both.containerd.ctr(&["images", "rm", image]));
    both.client().remove_image(image).unwrap();
    both.compare();
    assert_eq!(*both.store.directories, [1, 2, 3, 4, 5]);
    for key in ["written", "alone"] {
        both.does(&["snapshots", "rm", key], |client| client.remove_snapshot(key))
            .unwrap();
    }
    both.compare();
    assert_eq!(*both.store.directories, [1, 3]);
    both.clear();
}

fn everything_that_a_layer_can_hold(both: &mut Both) {
    let directory = tmpfs();
    let mut layout = Layout::new(directory.path());
    let base = Layer::of(
        "dir d mode=0700 uid=3 gid=4 mtime=5\nfile d/a content=x mode=4755 uid=1 gid=2 mtime=7.000000009\nlink d/b -> d/a\n\
         file d/below\ndir gone\nfile gone/x\nsymlink l -> d/a\nchar c 1:3 mode=0666\nblock b 7:0\nfifo p\n\
         file cap xattr.user.note=hello\ndir o\nfile o/hidden\nfile .wh.nothing\nfile name\\xff content=y",
    );
    let middle = Layer::of(
        "dir d mode=0711\nfile d/.wh.below\nfile .wh.gone\ndir o\nfile o/.wh..wh..opq\nfile o/shown content=z\nfile implied/deep/f content=1",
    );
    let top = Layer::of("file d/.wh.a uid=5 gid=6\nfile implied/deep/g content=2\nfile d/new content=n");
    let layers = [base.clone(), middle.clone(), top.clone()];
    layout.image("docker.io/library/plain:1", &layers);
    let packed = [
        base.clone().packed("gzip"),
        middle.clone().packed("zstd"),
        top.clone().packed("zstd"),
    ];
    layout.image("docker.io/library/packed:1", &packed);
    // The same layers in another order are other snapshots, the same layer twice too.
    layout.image("docker.io/library/order:1", &[middle, base, top.clone(), top]);
    both.imports(&layout.archive(&directory.path().join("image.tar")));
    assert_eq!(both.client().here().snapshots.len(), 7);
    both.clear();
}

fn three_platforms_and_nameless(both: &mut Both) {
    let directory = tmpfs();
    let mut layout = Layout::new(directory.path());
    let mut platforms = Vec::new();
    for (number, (architecture, variant)) in [("arm64", "v8"), ("amd64", ""), ("arm", "v7")]
        .into_iter()
        .enumerate()
    {
        let layer = Layer::of(&format!("file for-{architecture} content={number}"));
        let mut manifest = layout.manifest(&[layer.packed("gzip")], architecture);
        manifest["platform"] = json!({"os": "linux", "architecture": architecture});
        if !variant.is_empty() {
            manifest["platform"]["variant"] = variant.into();
        }
        platforms.push(manifest);
    }
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": platforms});
    let index = layout.put(media_type, index.to_string().as_bytes());
    let ref_name = "org.opencontainers.image.ref.name";
    layout.name(index.clone(), ref_name, "latest");
    layout.name(index, ref_name, "example.org/multi:1");
    layout.name(platforms[1].clone(), "", "");
    let archive = layout.archive(&directory.path().join("multi.tar"));
    let base = Import {
        base_name: Some("example.org/multi".to_owned()),
        digests: true,
        ..Import::default()
    };
    let flags = ["--base-name", "example.org/multi", "--digests"];
    both.import(&archive, &flags, &base, true).unwrap();
    both.compare();
    let skipping = Import {
        skip_digest_for_named: true,
        platforms: Platforms::All,
        index_name: Some("all".to_owned()),
        ..base.clone()
    };
    let flags = [
        &flags[..],
        &[
            "--skip-digest-for-named",
            "--all-platforms",
            "--index-name",
            "all",
        ],
    ]
    .concat();
    both.import(&archive, &flags, &skipping, false).unwrap();
    both.compare();
    both.clear();
    let other = Import {
        base_name: Some("elsewhere".to_owned()),
        ..Import::default()
    };
    both.import(&archive, &["--base-name", "elsewhere"], &other, true)
        .unwrap();
    both.compare();
    both.clear();
}

fn docker_archives(both: &mut Both) {
    let directory = tmpfs();
    let image = article_image(directory.path(), "handroll", "delta");
    let docker = directory.path().join("docker.tar");
    ok(program("skopeo")
        .args(["copy", &format!("oci-archive:{}", image.display())])
        .arg(format!("docker-archive:{}:some/name:2", docker.display())));
    both.imports(&docker);
    assert!(both.client().here().images.has("docker.io/some/name:2"));
    // The layers of a docker archive are plain, but what is known packed is taken from the store.
    both.imports(&image);
    both.imports(&docker);
    both.clear();
}

fn what_is_wrong_is_told_and_leaves_the_same(both: &mut Both) {
    let fails = |both: &mut Both, archive: &Path, says: &str| {
        let error = both
            .import(archive, &[], &Import::default(), true)
            .expect_err(says);
        assert!(error.contains(says), "{error}");
        both.compare();
        both.clear();
    };
    let layer = |number: u32| Layer::of(&format!("file f{number} content={number}"));
    let fresh = |name: &str| {
        let directory = tmpfs();
        let mut layout = Layout::new(directory.path());
        let mut layers: Vec<Layer> = (0..3).map(layer).collect();
        if name == "diff-id" {
            layers[1].diff_id = layers[0].diff_id.clone();
        }
        if name == "tar" {
            layers[1] = Layer::of_tar(layers[1].blob[..512].to_vec());
        }
        if name == "link" {
            layers[1] = Layer::of("file ok content=1\nlink z -> missing");
        }
        layout.image(&format!("docker.io/library/{name}:1"), &layers);
        let digest = handroll::digest::Digest::of(&layers[1].blob).to_string();
        (directory, layout, digest)
    };
    for (name, says) in [
        ("diff-id", "wrong diff id calculated on extraction"),
        ("tar", "unexpected EOF"),
        ("link", "no such file or directory"),
        ("blob", "not found"),
        ("manifest", "not found"),
        ("layout", "missing index.json"),
        ("version", "unsupported OCI version 2.0.0"),
        ("nothing", "unrecognized image format"),
    ] {
        let (directory, layout, digest) = fresh(name);
        let file = directory.path().join("image.tar");
        layout.archive(&file);
        let remove = |path: &Path| fs::remove_file(path).unwrap();
        match name {
            "blob" => remove(&layout.blob(&digest)),
            "manifest" => remove(&layout.blob(layout.manifests[0]["digest"].as_str().unwrap())),
            "layout" => remove(&directory.path().join("index.json")),
            "nothing" => remove(&directory.path().join("oci-layout")),
            "version" => fs::write(
                directory.path().join("oci-layout"),
                r#"{"imageLayoutVersion":"2.0.0"}"#,
            )
            .unwrap(),
            _ => {}
        }
        fs::remove_file(&file).unwrap();
        ok(program("tar")
            .arg("-C")
            .arg(directory.path())
            .args(["--exclude=image.tar", "-cf"])
            .arg(&file)
            .arg("."));
        fails(both, &file, says);
    }
}

/// A container of the simulated machine, written in and committed: its image is imported by containerd, unpacked as the
/// store unpacks it, and what runs of it sees what was written.
fn what_a_container_wrote(both: &mut Both) {
    let directory = tmpfs();
    let archive = article_image(directory.path(), "handroll", "delta");
    let mut workbench = Workbench::new();
    let source = FileSource::open(&archive).unwrap();
    let length = source.len();
    workbench.open_source(1, Arc::new(source)).unwrap();
    let name = "docker.io/library/handroll:latest";
    for action in [
        json!({"op": "open_archive", "archive": 1, "name": "delta.tar", "first_image": 1, "first_layer": 1,
            "from": {"content": {"source": 1, "offset": 0, "length": length}}}),
        json!({"op": "import_image", "image": 1, "unpack": true}),
        json!({"op": "run_on_machine", "line": format!("ctr run -t {name} demo"), "container": 2, "layer": 3}),
        json!({"op": "run_line", "container": 2, "line": "echo written > /hello.txt && rm /bin/cat && mkdir /new"}),
        json!({"op": "commit_container", "container": 2, "layer": 4, "name": "written"}),
        json!({"op": "remove_container_of_machine", "id": "demo"}),
    ] {
        let operation = Operation {
            time: Time::at(1_640_000_000),
            caller: Caller::ROOT,
            action: read(action.to_string().as_bytes(), 10_000).unwrap(),
        };
        workbench.apply(operation).unwrap();
    }
    let committed = directory.path().join("committed.tar");
    fs::write(
        &committed,
        rig::exported(&mut workbench, &Export::Image { image: 1 }),
    )
    .unwrap();
    both.imports(&committed);
    let script = "busybox cat /hello.txt; ls -d /bin/* /new";
    let printed = both.containerd.run(name, &["/bin/busybox", "sh", "-c", script]);
    assert_eq!(printed, "written\n/bin/busybox\n/bin/ls\n/bin/sh\n/new\n");
}

/// The layers on which readers differ: each image is unpacked by itself, in both, with the same directories or the same
/// error.
fn cases_of_layers(both: &mut Both) {
    let directory = tmpfs();
    let mut all = cases::parse(include_str!("dialects/cases.txt"));
    // What is known to come out otherwise does so here too.
    all.retain(|case| case.differs.iter().all(|(who, _)| who != "overlayfs"));
    let stacks: Vec<Vec<Vec<u8>>> = all.iter().map(cases::Case::tars).collect();
    let images = runtimes::write_layout(directory.path(), &stacks);
    let archive = directory.path().join("cases.tar");
    ok(program("tar")
        .arg("-C")
        .arg(directory.path())
        .args(["--exclude=cases.tar", "-cf"])
        .arg(&archive)
        .arg("."));
    both.import(&archive, &[], &Import::default(), false).unwrap();
    let (mut unpacked, mut failed) = (0, 0);
    for image in &images {
        let name = format!("docker.io/library/cases:{}", image.tag);
        let target: Descriptor = both.client().image(&name).unwrap().target;
        let digest = target.digest.clone();
        let done = both.does(&["snapshots", "unpack", &digest], |client| {
            client.unpack(&target, &Platforms::default()).map(drop)
        });
        match done {
            Ok(()) => unpacked += 1,
            Err(_) => {
                failed += 1;
                // What is left of it is garbage, which containerd collects when it likes; a later case may begin with the
                // same layers.
                both.collect();
            }
        }
    }
    assert!(unpacked > 100 && failed > 10, "{unpacked} and {failed}");
    both.compare();
    both.clear();
}
