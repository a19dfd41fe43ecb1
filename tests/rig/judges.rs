//! The tools that judge an archive: podman, skopeo and umoci. Each panics with what the tool said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use handroll::digest::Digest;
use handroll::image::catalog::{Catalog, Node, NodeId};
use serde_json::Value;

use super::{handroll, json, ok, program, text};

/// `transport:path`, as skopeo and podman name what is in a file.
pub fn in_transport(transport: &str, path: &Path) -> String {
    format!("{transport}:{}", path.display())
}

/// What `handroll inspect` says of the only image in a file; it is verified.
pub fn inspect(archive: &Path) -> Value {
    let mut seen = json(handroll().args(["inspect", "--json"]).arg(archive));
    assert_eq!(seen["images"].as_array().map(Vec::len), Some(1));
    seen["images"][0].take()
}

fn podman(directory: &Path) -> Command {
    let mut command = program("podman");
    command.arg("--root").arg(directory.join("podman-root"));
    command
        .arg("--runroot")
        .arg(directory.join("podman-run"))
        .args(["--storage-driver", "vfs"]);
    command
}

/// `podman load`, in a store of its own: it says that it loaded the image under this name. What
/// `podman image inspect` says of it.
pub fn podman_loads(directory: &Path, archive: &Path, name: &str) -> Value {
    let loaded = text(podman(directory).args(["load", "-i"]).arg(archive));
    assert_eq!(loaded.trim(), format!("Loaded image: {name}"));
    let mut inspected = json(podman(directory).args(["image", "inspect", name]));
    inspected[0].take()
}

/// `skopeo inspect` and `skopeo copy` take the archive for an OCI and for a docker archive, and make both of it;
/// handroll reads what skopeo wrote.
pub fn skopeo_reads_and_copies(directory: &Path, archive: &Path) {
    let own = inspect(archive);
    for transport in ["oci-archive", "docker-archive"] {
        let source = in_transport(transport, archive);
        let inspected = json(program("skopeo").args(["inspect", &source]));
        assert_eq!(inspected["Architecture"], "amd64");
        if transport == "oci-archive" {
            assert_eq!(inspected["Digest"], own["manifest_digest"]);
            assert_eq!(inspected["Layers"][1], own["layers"][1]["digest"]);
        }
        for target in ["oci-archive", "docker-archive"] {
            let copy = directory.join("copy.tar");
            let name = if target == "docker-archive" {
                ":copy:latest"
            } else {
                ""
            };
            ok(program("skopeo")
                .args(["copy", &source])
                .arg(in_transport(target, &copy) + name));
            let again = inspect(&copy);
            for index in 0..own["layers"].as_array().expect("a list").len() {
                assert_eq!(again["layers"][index]["diff_id"], own["layers"][index]["diff_id"]);
                assert_eq!(again["layers"][index]["verified"], true);
            }
            fs::remove_file(&copy).unwrap();
        }
    }
    // The tag is found as a tag.
    ok(program("skopeo").args(["inspect", &(in_transport("oci-archive", archive) + ":latest")]));
}

/// A document of a catalog as it came.
pub fn bytes(catalog: &Catalog, node: Option<NodeId>) -> Vec<u8> {
    let document = catalog.node(node.unwrap()).document.as_ref();
    document.unwrap().bytes().to_vec()
}

/// What `skopeo inspect` says of an image, byte for byte.
pub fn skopeo(arguments: &[&str], image: &str) -> Vec<u8> {
    ok(program("skopeo").arg("inspect").args(arguments).arg(image)).stdout
}

/// The documents of a catalog's image are those that skopeo reads of the image that it calls so, or of the image for
/// the same platform in such an index. A docker archive has no manifest to compare.
pub fn compare_with_skopeo(catalog: &Catalog, image: usize, reference: &str) {
    let image = &catalog.images[image];
    let platform = image.platform.as_ref().unwrap();
    let skopeo = |arguments: &[&str]| {
        let command = ["--override-arch", &platform.architecture, "inspect"];
        ok(program("skopeo").args(command).args(arguments).arg(reference)).stdout
    };
    let config = skopeo(&["--config", "--raw"]);
    assert_eq!(bytes(catalog, image.config), config, "{reference}");
    if image.manifest.is_some() {
        let raw = skopeo(&["--raw"]);
        let manifest = bytes(catalog, image.manifest);
        let index: Value = serde_json::from_slice(&raw).unwrap();
        match index["manifests"].as_array() {
            None => assert_eq!(manifest, raw, "{reference}"),
            Some(manifests) => {
                let is_asked =
                    |found: &&Value| found["platform"]["architecture"] == platform.architecture[..];
                let found = manifests.iter().find(is_asked).unwrap();
                assert_eq!(found["digest"], Digest::of(&manifest).to_string(), "{reference}");
                let is_same = |node: &Node| node.actual == Some(Digest::of(&raw));
                assert!(catalog.nodes.iter().any(is_same), "{reference}");
            }
        }
    }
    let said: Value = serde_json::from_slice(&skopeo(&[])).unwrap();
    let said: Vec<_> = said["Layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer.as_str().unwrap())
        .collect();
    let ours = image.layers.iter().map(|layer| match layer.link {
        Some(link) if image.manifest.is_some() => catalog.link(link).digest.as_ref().unwrap().text(),
        // skopeo shows the digest of what it would make of a docker archive's layer: its tar's.
        _ => layer.diff_id.as_ref().unwrap().text(),
    });
    assert_eq!(ours.collect::<Vec<_>>(), said, "{reference}");
}

/// Unpacks an archive to a layout directory.
pub fn layout(directory: &Path, archive: &Path) -> PathBuf {
    let layout = directory.join("layout");
    fs::create_dir_all(&layout).unwrap();
    ok(program("tar").arg("-C").arg(&layout).arg("-xf").arg(archive));
    layout
}

/// `umoci unpack` of a layout; the root file system that it made.
pub fn umoci_unpacks(directory: &Path, layout: &Path) -> PathBuf {
    let bundle = directory.join("bundle");
    let image = format!("{}:latest", layout.display());
    ok(program("umoci").args(["unpack", "--image", &image]).arg(&bundle));
    bundle.join("rootfs")
}
