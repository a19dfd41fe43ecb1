//! Images that real tools made open, say what those tools say of them, and are written back so that the tools
//! take them: skopeo in all its formats, umoci, buildah with an index for several platforms, containerd.
//!
//! Runs as root on Linux. Nothing is skipped: a program that is missing is a failure.

mod rig;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use handroll::compress::inflate::Packing;
use handroll::content::Content;
use handroll::digest::Digest;
use handroll::image::catalog::rebuild::{
    Body, ConfigEdits, ImageEdit, OutFile, Rebuild, Rebuilt, TarPart, edit_config, tar_plan,
};
use handroll::image::catalog::{Catalog, Format, OpenJob, Severity};
use handroll::image::inspect::inspect;
use handroll::image::{Reference, Settings};
use handroll::native::{FileSource, TemporaryFiles, read_files};
use rig::containerd::Containerd;
use rig::judges::{bytes, compare_with_skopeo, in_transport, layout, skopeo, umoci_unpacks};
use rig::{ARTICLE_TIME, article, handroll, ok, program, text};
use serde_json::Value;
use tempfile::TempDir;

/// Opens a file or a directory.
fn open(path: &Path) -> Catalog {
    let job = match path.is_dir() {
        true => OpenJob::files(read_files(path).unwrap()),
        false => {
            let source = FileSource::open(path).unwrap();
            OpenJob::archive(&Content::whole(Arc::new(source)), &TemporaryFiles)
        }
    };
    job.and_then(OpenJob::run).unwrap()
}

/// Opens an image with which nothing is wrong; its layers are what the documents say.
fn open_good(path: &Path) -> Catalog {
    let catalog = open(path);
    let errors: Vec<_> = (catalog.problems.iter())
        .filter(|problem| problem.severity() > Severity::Info)
        .map(|problem| problem.sentence())
        .collect();
    assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    let inspection = inspect(&catalog, &mut |_, _| ()).unwrap();
    assert!(
        inspection.verified(),
        "{}: {:?}",
        path.display(),
        inspection.problems
    );
    assert!(inspection.images.iter().all(|image| !image.layers.is_empty()));
    catalog
}

/// An archive built by handroll of the article's layers.
fn built(directory: &Path) -> PathBuf {
    article(directory);
    let archive = directory.join("built.tar");
    ok(handroll()
        .current_dir(directory)
        .args([
            "build",
            "--layer",
            "base",
            "--layer",
            "delta",
            "--name",
            "handroll:1",
        ])
        .args([
            "--cmd",
            "/bin/sh",
            "--env",
            "A=b",
            "--mtime",
            ARTICLE_TIME,
            "-o",
            "built.tar",
        ]));
    archive
}

#[test]
fn what_skopeo_copies_in_every_format() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let source = in_transport("oci-archive", &built(directory.path()));
    for (transport, name, tag, format) in [
        ("oci", "oci", ":1", Format::Oci),
        ("oci-archive", "oci.tar", ":1", Format::Oci),
        ("docker-archive", "docker.tar", ":handroll:1", Format::Docker),
        ("dir", "dir", "", Format::Dir),
    ] {
        for compression in ["gzip", "zstd"] {
            let path = at(&format!("{compression}-{name}"));
            let target = in_transport(transport, &path);
            // A docker archive is never compressed; an OCI manifest is asked for where zstd is.
            let zstd: &[&str] = match (compression, transport) {
                ("zstd", "docker-archive") => continue,
                ("zstd", _) => &[
                    "--dest-compress",
                    "--dest-compress-format",
                    "zstd",
                    "--format",
                    "oci",
                ],
                _ => &[],
            };
            let copy = format!("{target}{tag}");
            ok(program("skopeo").arg("copy").args(zstd).args([&source, &copy]));
            let catalog = open_good(&path);
            assert_eq!((catalog.format, catalog.images.len()), (format, 1));
            let tag = if transport == "docker-archive" { "" } else { tag };
            compare_with_skopeo(&catalog, 0, &format!("{target}{tag}"));
            let packing = match (compression, transport) {
                ("zstd", _) => Packing::Zstd,
                (_, "docker-archive") => Packing::Plain,
                _ => Packing::Gzip,
            };
            let layer = catalog.node(catalog.images[0].layers[0].node);
            assert_eq!(layer.packing, Some(packing), "{target}");
            written_back(&path, &catalog);
        }
    }
    // The archive itself in gzip and in zstd.
    for (program_name, suffix, packing) in [("gzip", "gz", Packing::Gzip), ("zstd", "zst", Packing::Zstd)] {
        ok(program(program_name).arg("-kq").arg(at("gzip-oci.tar")));
        let path = at(&format!("gzip-oci.tar.{suffix}"));
        let (packed, plain) = (open_good(&path), open(&at("gzip-oci.tar")));
        assert_eq!(packed.packing, packing);
        assert_eq!(digests(&packed), digests(&plain));
    }
}

/// The digests of all documents, by their paths.
fn digests(catalog: &Catalog) -> BTreeMap<Vec<u8>, Digest> {
    let nodes = catalog.nodes.iter();
    nodes
        .filter_map(|node| Some((node.path.clone(), node.actual?)))
        .collect()
}

/// Rebuilds an archive, the digests of its layers computed.
fn rebuild(catalog: &Catalog, edits: impl FnOnce(&mut Rebuild<'_>)) -> Rebuilt {
    let layers = catalog.node_ids().filter(|(_, node)| node.packing.is_some());
    let digests = layers.filter_map(|(id, node)| Some((id, node.content.as_ref()?.digest().unwrap())));
    let digests = digests.collect();
    let mut rebuild = Rebuild::new(catalog, &digests);
    edits(&mut rebuild);
    rebuild.finish().unwrap()
}

fn file_bytes(file: &OutFile) -> Vec<u8> {
    match &file.body {
        Body::Bytes(bytes) => bytes.clone(),
        Body::Kept(content) => content.read_all(1 << 30).unwrap(),
        Body::Layer(..) => panic!("no layer is made here"),
    }
}

fn write_tar(rebuilt: &Rebuilt, path: &Path) {
    let mut out = fs::File::create(path).unwrap();
    for part in tar_plan(&rebuilt.files) {
        match part {
            TarPart::Bytes(bytes) => out.write_all(&bytes).unwrap(),
            TarPart::File(number) => out.write_all(&file_bytes(&rebuilt.files[number])).unwrap(),
        }
    }
}

/// Without an edit, the files that are written are those that came.
fn written_back(path: &Path, catalog: &Catalog) {
    let rebuilt = rebuild(catalog, |_| {});
    assert!(rebuilt.changed.is_empty() && rebuilt.gone.is_empty());
    let ours: BTreeMap<_, _> = rebuilt
        .files
        .iter()
        .map(|file| (file.path.clone(), Digest::of(&file_bytes(file))))
        .collect();
    let unpacked = TempDir::new().unwrap();
    let root = match path.is_dir() {
        true => path,
        false => {
            ok(program("tar").arg("-C").arg(unpacked.path()).arg("-xf").arg(path));
            unpacked.path()
        }
    };
    let mut theirs = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            // Links are followed: what is written is files.
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
                theirs.insert(name, Digest::of(&fs::read(path).unwrap()));
            }
        }
    }
    assert_eq!(ours, theirs, "{}", path.display());
    let copy = unpacked.path().join("written-back.tar");
    write_tar(&rebuilt, &copy);
    assert_eq!(digests(&open(&copy)), digests(catalog));
}

/// An edit of the environment, as the workbench would make it.
fn with_env(catalog: &Catalog, image: usize, reference: Option<&str>) -> ImageEdit {
    let document = catalog
        .node(catalog.images[image].config.unwrap())
        .document
        .as_ref()
        .unwrap();
    let before = Settings::from_config(document.root().unwrap());
    let mut after = before.clone();
    after.env.push("NEW=1".to_owned());
    let edits = ConfigEdits {
        settings: Some((&before, &after)),
        ..ConfigEdits::default()
    };
    ImageEdit {
        config: Some(edit_config(document, &edits).unwrap()),
        reference: reference.map(|name| Reference::parse(name).unwrap()),
        ..ImageEdit::default()
    }
}

/// Every field of the configuration but the environment is what it was, in the bytes too.
fn only_env_changed(before: &[u8], after: &[u8]) {
    let strip = |bytes: &[u8]| {
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        let env = value["config"]["Env"].take();
        (value, env)
    };
    let ((old, old_env), (new, new_env)) = (strip(before), strip(after));
    assert_eq!(old, new);
    let count = old_env.as_array().map_or(0, Vec::len);
    assert_eq!(new_env.as_array().unwrap().len(), count + 1);
    let start = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let end = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    assert!(start + end >= before.len(), "one piece was put in");
}

#[test]
fn edited_images_run() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let source = in_transport("oci-archive", &built(directory.path()));
    let containerd = Containerd::start();
    for (number, (transport, suffix)) in [
        ("oci-archive", ":1"),
        ("docker-archive", ":handroll:1"),
        ("dir", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let path = at(&format!("{transport}.img"));
        ok(program("skopeo")
            .args(["copy", &source])
            .arg(in_transport(transport, &path) + suffix));
        let catalog = open(&path);
        let name = format!("docker.io/library/edited:{number}");
        let rebuilt = rebuild(&catalog, |rebuild| {
            rebuild.edit(0, with_env(&catalog, 0, Some(&name)))
        });
        let edited = at(&format!("edited-{number}.tar"));
        write_tar(&rebuilt, &edited);
        let again = open_good(&edited);
        let (before, after) = (
            bytes(&catalog, catalog.images[0].config),
            bytes(&again, again.images[0].config),
        );
        only_env_changed(&before, &after);
        compare_with_skopeo(&again, 0, &in_transport("oci-archive", &edited));
        containerd.import(&edited);
        assert_eq!(
            containerd.run(&name, &["/bin/sh", "-c", "echo $NEW; cat /hello.txt"]),
            "1\nhello from delta\n"
        );
    }
}

#[test]
fn what_umoci_makes() {
    let directory = TempDir::new().unwrap();
    article(directory.path());
    let at = |name: &str| directory.path().join(name);
    let image = format!("{}:one", at("layout").display());
    let umoci = |arguments: &[&str]| ok(program("umoci").current_dir(directory.path()).args(arguments));
    umoci(&["init", "--layout", "layout"]);
    umoci(&["new", "--image", &image]);
    umoci(&["insert", "--image", &image, "base", "/"]);
    umoci(&["insert", "--image", &image, "--whiteout", "/data/config.txt"]);
    umoci(&["insert", "--image", &image, "delta/hello.txt", "/hello.txt"]);
    umoci(&[
        "config",
        "--image",
        &image,
        "--config.cmd",
        "/bin/sh",
        "--config.volume",
        "/v",
    ]);
    umoci(&["gc", "--layout", "layout"]);
    open_good(&at("layout"));
    umoci(&["tag", "--image", &image, "two"]);
    let catalog = open(&at("layout"));
    let warnings = catalog
        .problems
        .iter()
        .filter(|problem| problem.severity() > Severity::Info);
    assert_eq!(
        warnings.map(|problem| problem.id()).collect::<Vec<_>>(),
        ["several_images"]
    );
    assert_eq!(catalog.images.len(), 1, "one image of two names");
    let names: Vec<_> = catalog.images[0]
        .names
        .iter()
        .map(|name| &name.text[..])
        .collect();
    assert_eq!(names, ["one", "two"]);
    compare_with_skopeo(&catalog, 0, &format!("oci:{image}"));
    written_back(&at("layout"), &catalog);
    // umoci's own account of the history, with the layers beside it.
    let stat: Value = serde_json::from_slice(&umoci(&["stat", "--image", &image, "--json"]).stdout).unwrap();
    let theirs: Vec<_> = stat["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["layer"]["digest"].as_str().map(str::to_owned))
        .collect();
    let ours: Vec<_> = catalog.images[0]
        .history
        .iter()
        .map(|entry| {
            let link = catalog.images[0].layers[entry.layer?].link?;
            Some(catalog.link(link).digest.as_ref()?.text().to_owned())
        })
        .collect();
    assert_eq!(ours, theirs);
    // Edited, it is still umoci's.
    let rebuilt = rebuild(&catalog, |rebuild| rebuild.edit(0, with_env(&catalog, 0, None)));
    write_tar(&rebuilt, &at("edited.tar"));
    let edited = layout(directory.path(), &at("edited.tar"));
    for name in ["one", "two"] {
        let image = format!("{}:{name}", edited.display());
        let config = skopeo(&["--config", "--raw"], &format!("oci:{image}"));
        only_env_changed(&bytes(&catalog, catalog.images[0].config), &config);
    }
}

/// buildah with a store of its own.
fn buildah(directory: &Path) -> Command {
    let mut command = program("buildah");
    command
        .arg("--root")
        .arg(directory.join("store"))
        .arg("--runroot")
        .arg(directory.join("run"))
        .args(["--storage-driver", "vfs"]);
    command
}

#[test]
fn an_index_for_several_platforms() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    article(path);
    for (number, architecture) in ["amd64", "arm64", "s390x"].into_iter().enumerate() {
        let container = text(buildah(path).args(["from", "scratch"]));
        let container = container.trim();
        let base = path.join(["base", "delta", "delta"][number]);
        ok(buildah(path).args(["copy", container]).arg(base).arg("/"));
        ok(buildah(path)
            .args([
                "config",
                "--arch",
                architecture,
                "--cmd",
                "/bin/sh",
                "--env",
                "A=b",
            ])
            .args([
                "--port",
                "80",
                "--volume",
                "/v",
                "--label",
                "l=1",
                "--healthcheck",
                "CMD true",
                container,
            ]));
        let name = format!("made:{architecture}");
        // Docker's format has the health check; OCI's has none.
        let format = if architecture == "arm64" { "docker" } else { "oci" };
        ok(buildah(path).args(["commit", "--format", format, container, &name]));
        if number == 0 {
            ok(buildah(path).args(["manifest", "create", "many"]));
        }
        ok(buildah(path).args(["manifest", "add", "many", &name]));
    }
    for transport in ["oci", "oci-archive", "dir"] {
        let target = path.join(transport);
        let suffix = if transport == "dir" { "" } else { ":many" };
        ok(buildah(path)
            .args(["manifest", "push", "--all", "many"])
            .arg(in_transport(transport, &target) + suffix));
        let catalog = open_good(&target);
        let platforms: Vec<_> = catalog
            .images
            .iter()
            .map(|image| image.platform.as_ref().unwrap().to_string())
            .collect();
        assert_eq!(
            platforms,
            ["linux/amd64", "linux/arm64", "linux/s390x"],
            "{transport}"
        );
        let index = skopeo(&["--raw"], &(in_transport(transport, &target) + suffix));
        let digests = digests(&catalog);
        assert!(
            digests.values().any(|digest| *digest == Digest::of(&index)),
            "{transport}"
        );
        for (image, architecture) in ["amd64", "arm64", "s390x"].into_iter().enumerate() {
            let name = in_transport(transport, &target) + suffix;
            let choose = [
                "--override-arch",
                architecture,
                "inspect",
                "--config",
                "--raw",
                &name,
            ];
            let config = ok(program("skopeo").args(choose)).stdout;
            assert_eq!(
                bytes(&catalog, catalog.images[image].config),
                config,
                "{transport} {architecture}"
            );
        }
        written_back(&target, &catalog);
    }
    // One of three is edited: the other two, and the annotations of all, are what they were.
    let catalog = open(&path.join("oci"));
    let rebuilt = rebuild(&catalog, |rebuild| rebuild.edit(1, with_env(&catalog, 1, None)));
    let changed: Vec<_> = rebuilt.changed.keys().map(|&id| catalog.node(id).kind).collect();
    assert_eq!(
        changed.len(),
        4,
        "{changed:?}: configuration, manifest, and two indexes"
    );
    write_tar(&rebuilt, &path.join("edited.tar"));
    let again = open_good(&path.join("edited.tar"));
    for image in [0, 2] {
        let before = catalog.node(catalog.images[image].manifest.unwrap()).actual;
        assert_eq!(again.node(again.images[image].manifest.unwrap()).actual, before);
    }
    let name = in_transport("oci-archive", &path.join("edited.tar"));
    let config =
        ok(program("skopeo").args(["--override-arch", "arm64", "inspect", "--config", "--raw", &name]))
            .stdout;
    only_env_changed(&bytes(&catalog, catalog.images[1].config), &config);
}

#[test]
fn what_containerd_exports() {
    let directory = TempDir::new().unwrap();
    let archive = built(directory.path());
    let containerd = Containerd::start();
    containerd.import(&archive);
    let name = "docker.io/library/handroll:1";
    let exported = directory.path().join("exported.tar");
    ok(containerd.ctr(&["images", "export"]).arg(&exported).arg(name));
    let catalog = open_good(&exported);
    assert_eq!(catalog.format, Format::OciAndDocker);
    let image = &catalog.images[0];
    assert_eq!((&image.names[0].text[..], image.docker), (name, Some(0)));
    let listed = text(&mut containerd.ctr(&["images", "ls"]));
    let digest = catalog.node(image.manifest.unwrap()).actual.unwrap();
    assert!(listed.contains(&digest.to_string()), "{listed}");
    // What containerd stored is what handroll wrote.
    assert_eq!(digest, {
        let own = open(&archive);
        own.node(own.images[0].manifest.unwrap()).actual.unwrap()
    });
    written_back(&exported, &catalog);
}

#[test]
fn what_umoci_unpacks_of_an_edited_archive() {
    let directory = TempDir::new().unwrap();
    let archive = built(directory.path());
    let catalog = open(&archive);
    let rebuilt = rebuild(&catalog, |rebuild| {
        rebuild.edit(
            0,
            with_env(&catalog, 0, Some("docker.io/library/handroll:latest")),
        );
    });
    let edited = directory.path().join("edited.tar");
    write_tar(&rebuilt, &edited);
    let again = open_good(&edited);
    assert_eq!(again.format, Format::OciAndDocker);
    assert_eq!(again.docker[0].tags, ["handroll:latest"]);
    compare_with_skopeo(&again, 0, &in_transport("oci-archive", &edited));
    let config = skopeo(&["--config", "--raw"], &in_transport("docker-archive", &edited));
    assert_eq!(bytes(&again, again.images[0].config), config);
    let root = umoci_unpacks(directory.path(), &layout(directory.path(), &edited));
    assert_eq!(
        fs::read_to_string(root.join("hello.txt")).unwrap(),
        "hello from delta\n"
    );
}
