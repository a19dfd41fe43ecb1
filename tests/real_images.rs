//! Images on a real Debian that several real tools made open, and are what the tools say, path by path with all
//! attributes; what runtimes show otherwise is what their dialects say. They are written back unchanged.
//!
//! Runs as root on Linux; the first run makes the Debian, which takes minutes. Nothing is skipped: a program that is
//! missing is a failure.

mod rig;
mod support;
#[path = "store/both.rs"]
mod both;
#[path = "../src/layer/dialect/cases.rs"]
mod cases;
#[path = "real_images/debian.rs"]
mod debian;
#[path = "real_images/judge.rs"]
mod judge;
#[path = "real_images/layout.rs"]
mod layout;
#[path = "real_images/listing.rs"]
mod listing;
#[path = "real_images/opened.rs"]
mod opened;
#[path = "real_images/store.rs"]
mod store;
#[path = "dialects/runtimes.rs"]
mod runtimes;
#[path = "real_images/view.rs"]
mod view;

use std::path::{Path, PathBuf};

use both::Both;
use handroll::compress::inflate::{Packing, PackingNote};
use handroll::content::Content;
use handroll::layer::dialect::{Dialect, Failure, Fs, Kind, Remains, apply};
use handroll::store::Import;
use handroll::text::escape;
use judge::{Court, Made};
use layout::Pieces;
use rig::containerd::Containerd;
use rig::{ok, program, text};
use store::Store;
use tempfile::TempDir;

/// Two rounds of changes to a root file system.
const ROUNDS: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_images/first.sh"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_images/second.sh"),
];

/// The time of the root, which no snapshot has, and that of a file from before 1970.
const BY_CONTAINERD: [&str; 2] = [
    "containerd (overlayfs): mtime of /",
    "containerd (overlayfs): mtime of /etc/group",
];

/// Changes a root file system.
fn change(script: &str, root: &Path) {
    ok(program("sh").args(["-eu", script]).arg(root));
}

fn copy(from: &str, to: &str, options: &[&str]) {
    ok(program("skopeo").args(["copy", from, to]).args(options));
}

/// Debian with one round of changes and with both, by buildah, for a platform each: a layout with an index of them.
fn by_buildah(directory: &Path) -> PathBuf {
    let store = Store::new(directory);
    let mut image = format!("oci-archive:{}", debian::image().display());
    ok(&mut store.buildah(&["manifest", "create", "many"]));
    for (round, architecture) in [(ROUNDS[0], "amd64"), (ROUNDS[1], "arm64")] {
        let container = store.from(&image);
        store.changed(&container, |root| change(round, root));
        ok(&mut store.buildah(&["config", "--arch", architecture, &container]));
        image = format!("localhost/debian:{architecture}");
        store.commit(&container, &image, &["--format", "oci"]);
        ok(&mut store.buildah(&["manifest", "add", "many", &image]));
    }
    let index = directory.join("index");
    let target = format!("oci:{}:many", index.display());
    ok(&mut store.buildah(&["manifest", "push", "--all", "many", &target]));
    index
}

#[test]
fn what_buildah_commits_and_skopeo_copies() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let index = by_buildah(directory.path());
    let many = format!("oci:{}:many", index.display());
    // Both as images of their own in one layout.
    let layout = at("layout");
    let tags = ["amd64", "arm64"];
    let references = tags.map(|tag| format!("oci:{}:{tag}", layout.display()));
    for (tag, reference) in tags.into_iter().zip(&references) {
        ok(program("skopeo").args(["--override-arch", tag, "copy", &many, reference]));
    }
    let mut court = Court::new();
    let made = Made {
        references: references.to_vec(),
        warnings: &["several_images"],
        ..Made::new("oci", layout, "")
    };
    let opened = court.unpack_and_judge(&made, &tags);
    let debian = opened.blob(opened.layers().next().unwrap());
    assert!(debian.diff_size > 150_000_000);
    court.judge(&Made {
        references: vec![many; 2],
        ..Made::new("oci", index, ":many")
    });
    // All formats that skopeo writes.
    let zstd = &["--dest-compress", "--dest-compress-format", "zstd"][..];
    for (transport, path, name, packing, options) in [
        (
            "docker-archive",
            "docker.tar",
            ":localhost/debian:1",
            Packing::Plain,
            &[][..],
        ),
        ("oci-archive", "zstd.tar", ":zstd", Packing::Zstd, zstd),
        ("dir", "dir", "", Packing::Gzip, &[]),
        ("oci", "oci", ":one", Packing::Gzip, &[]),
    ] {
        let made = Made::new(transport, at(path), name);
        copy(&references[1], &made.references[0], options);
        let opened = court.judge(&made);
        assert!(
            opened.packings().iter().all(|(found, _)| *found == packing),
            "{transport}"
        );
    }
    // Layers in pieces, as tools write them that work in parallel or for readers who want single files.
    for pieces in [Pieces::Members, Pieces::Frames] {
        let path = at(&format!("{pieces:?}"));
        layout::in_pieces(&at("oci"), &path, pieces);
        let opened = court.judge(&Made::new("oci", path, ":one"));
        let is_noted = match (pieces, opened.packings()[0]) {
            (Pieces::Members, (Packing::Gzip, [PackingNote::Pieces { count }])) => *count > 10,
            (Pieces::Frames, (Packing::Zstd, [PackingNote::Pieces { count }, PackingNote::Skippable(_)])) => {
                *count > 10
            }
            _ => false,
        };
        assert!(is_noted, "{pieces:?}: {:?}", opened.packings()[0]);
    }
    assert_eq!(court.differing(), BY_CONTAINERD);
}

#[test]
fn what_umoci_repacks() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("layout");
    let debian = format!("oci-archive:{}", debian::image().display());
    copy(&debian, &format!("oci:{}:base", path.display()), &[]);
    let umoci = |arguments: &[&str]| ok(program("umoci").current_dir(&path).args(arguments));
    let bundle = directory.path().join("bundle");
    let bundle = bundle.to_str().unwrap();
    umoci(&["unpack", "--image", ".:base", bundle]);
    for script in ROUNDS {
        change(script, &Path::new(bundle).join("rootfs"));
        umoci(&["repack", "--image", ".:base", "--refresh-bundle", bundle]);
    }
    // Layers of umoci's that have no entries for the directories above what they hold.
    rig::write(directory.path().join("certificates/mine"), "mine\n");
    let certificates = directory.path().join("certificates");
    let certificates = certificates.to_str().unwrap();
    // umoci rounds times up: those of now would lie in the future.
    let touch = "touch -d @1700000000 certificates certificates/mine";
    ok(program("sh").args(["-c", touch]).current_dir(directory.path()));
    umoci(&[
        "insert",
        "--image",
        ".:base",
        "--opaque",
        certificates,
        "/etc/ssl/certs",
    ]);
    umoci(&["insert", "--image", ".:base", "--whiteout", "/usr/share/keyrings"]);
    umoci(&[
        "config",
        "--image",
        ".:base",
        "--config.env",
        "A=b",
        "--config.label",
        "made=by umoci",
    ]);
    umoci(&["gc", "--layout", "."]);
    let mut court = Court::new();
    // umoci whites out what was in a directory that has become a file, after that file.
    let notes = &["`issue` is not a directory, so nothing can be in it"];
    let made = Made {
        notes,
        ..Made::new("oci", path, ":base")
    };
    let opened = court.unpack_and_judge(&made, &["base"]);
    assert_eq!(opened.layers().count(), 5);
    assert_eq!(court.differing(), ["containerd (overlayfs) refuses 5 layers"]);
}

#[test]
fn what_podman_saves() {
    let directory = TempDir::new().unwrap();
    let store = Store::new(directory.path());
    let loaded = text(store.podman(&["load", "-i"]).arg(debian::image()));
    let mut image = loaded.trim().rsplit(' ').next().unwrap().to_owned();
    for (number, script) in ROUNDS.into_iter().enumerate() {
        let container = text(&mut store.podman(&["create", &image, "/bin/sh"]));
        let container = container.trim();
        let root = text(&mut store.podman(&["mount", container]));
        change(script, Path::new(root.trim()));
        ok(&mut store.podman(&["unmount", container]));
        image = format!("localhost/podman:{number}");
        let settings = ["--change", "ENV A=b", "--author", "handroll"];
        ok(store.podman(&["commit"]).args(settings).args([container, &image]));
        ok(&mut store.podman(&["rm", container]));
    }
    let saved = |format: &str, transport: &str, name: &str| {
        let path = directory.path().join(format);
        ok(store
            .podman(&["save", "--format", format, "-o"])
            .arg(&path)
            .arg(&image));
        Made::new(transport, path, name)
    };
    let name = format!(":{image}");
    let layout = saved("oci-dir", "oci", &name);
    let mut court = Court::new();
    court.unpack_and_judge(&layout, &[&image]);
    court.judge(&saved("docker-archive", "docker-archive", &name));
    court.judge(&saved("docker-dir", "dir", ""));
    assert_eq!(court.differing(), BY_CONTAINERD);
}

#[test]
fn what_containerd_diffs_exports_and_converts() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let containerd = Containerd::start();
    let ctr = |arguments: &[&str], path: &Path| drop(ok(containerd.ctr(arguments).arg(path)));
    ctr(
        &["images", "import", "--base-name", "handroll.test/debian"],
        &debian::image(),
    );
    let layers = containerd.diffs(&at("changed"), &ROUNDS, change);
    let debian = format!("oci-archive:{}", debian::image().display());
    copy(&debian, &format!("oci:{}:base", at("debian").display()), &[]);
    layout::with_layers(&at("debian"), &at("layout"), &layers);
    ok(program("tar")
        .arg("-C")
        .arg(at("layout"))
        .arg("-cf")
        .arg(at("made.tar"))
        .arg("."));
    let (image, converted) = ("handroll.test/changed:base", "handroll.test/changed:plain");
    ctr(
        &["images", "import", "--base-name", "handroll.test/changed"],
        &at("made.tar"),
    );
    // The store unpacks the same directories of it.
    let mut both = Both::start();
    let how = Import {
        base_name: Some("handroll.test/changed".to_owned()),
        ..Import::default()
    };
    let flags = ["--base-name", "handroll.test/changed"];
    both.import(&at("made.tar"), &flags, &how, true).unwrap();
    both.compare();
    assert_eq!(*both.store.directories, [1, 2, 3]);
    drop(both);
    ok(&mut containerd.ctr(&["images", "convert", "--oci", "--uncompress", image, converted]));
    let mut court = Court::new();
    court.unpack_and_judge(&Made::new("oci", at("layout"), ":base"), &["base"]);
    for (name, tag, packing) in [
        (image, "base", Packing::Gzip),
        (converted, "plain", Packing::Plain),
    ] {
        ok(containerd.ctr(&["images", "export"]).arg(at(tag)).arg(name));
        let opened = court.judge(&Made::new("oci-archive", at(tag), &format!(":{tag}")));
        assert!(opened.packings().iter().all(|(found, _)| *found == packing));
    }
    assert_eq!(court.differing(), BY_CONTAINERD);
}
