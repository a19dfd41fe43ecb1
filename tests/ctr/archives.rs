//! The archives that the lines import: the article's image and what can be wrong with it, made by `handroll build`
//! and then changed.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use handroll::digest::{Digest, chain_id};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::rig::{self, handroll, ok, program};

/// What lines name by `$MANIFEST`, `$CONFIG`, `$CHAIN1` and `$CHAIN2`, of `hybrid.tar`.
pub struct Made(Vec<(&'static str, String)>);

impl Made {
    pub fn set(&self, command: &mut Command) {
        command.envs(self.0.iter().map(|(name, value)| (name, value)));
    }
}

/// The files of an archive by their names.
#[derive(Clone)]
struct Archive(BTreeMap<String, Vec<u8>>);

fn blob(digest: &Value) -> String {
    let digest = digest.as_str().expect("a digest");
    format!("blobs/{}", digest.replace(':', "/"))
}

impl Archive {
    fn read(path: &Path) -> Self {
        let mut archive = tar::Archive::new(fs::File::open(path).expect("it was made"));
        let mut files = BTreeMap::new();
        for entry in archive.entries().expect("a tar") {
            let mut entry = entry.expect("a tar");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("a tar");
            let name = String::from_utf8(entry.path_bytes().into_owned()).expect("a name");
            if !name.ends_with('/') {
                files.insert(name, bytes);
            }
        }
        Self(files)
    }

    fn write(&self, path: &Path) {
        let mut builder = tar::Builder::new(fs::File::create(path).expect("a new file"));
        for (name, bytes) in &self.0 {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder
                .append_data(&mut header, name, &bytes[..])
                .expect("there is room");
        }
        builder.finish().expect("there is room");
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.0[name]).expect("JSON")
    }

    fn index(&self) -> Value {
        self.json("index.json")
    }

    fn set_index(&mut self, index: &Value) {
        self.0
            .insert("index.json".to_owned(), index.to_string().into_bytes());
    }

    /// Adds a document as a blob; a descriptor's digest and size.
    fn add(&mut self, document: &Value) -> (Value, Value) {
        let bytes = document.to_string().into_bytes();
        let digest = Digest::of(&bytes).to_string();
        let size = bytes.len();
        self.0.insert(blob(&json!(digest)), bytes);
        (json!(digest), json!(size))
    }

    fn without(&self, name: &str) -> Self {
        let mut changed = self.clone();
        changed.0.remove(name);
        // Otherwise containerd finds the image there.
        changed.0.remove("manifest.json");
        changed
    }

    fn annotated(&self, annotations: Value) -> Self {
        let mut changed = self.clone();
        let mut index = self.index();
        index["manifests"][0]["annotations"] = annotations;
        changed.set_index(&index);
        changed
    }
}

fn build(directory: &Path, name: &str, top: &str, platform: &str) -> Archive {
    let path = directory.join(format!("{name}.built"));
    let mut command = handroll();
    command.arg("build").current_dir(directory);
    command.args([
        "--layer",
        "base",
        "--layer",
        top,
        "--name",
        name,
        "--platform",
        platform,
    ]);
    command
        .args(["--cmd", "/bin/sh", "--mtime", rig::ARTICLE_TIME, "-o"])
        .arg(&path);
    ok(&mut command);
    Archive::read(&path)
}

/// An archive of an image that is one layer, a tar.
pub fn of_layer(layer: &[u8], path: &Path) {
    let mut archive = Archive(
        [(
            "oci-layout".to_owned(),
            br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
        )]
        .into(),
    );
    let digest = Digest::of(layer).to_string();
    archive.0.insert(blob(&json!(digest)), layer.to_vec());
    let config = json!({"os": "linux", "architecture": "amd64", "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [digest]}});
    let (config, config_size) = archive.add(&config);
    let kind = |kind: &str| format!("application/vnd.oci.image.{kind}");
    let manifest = json!({"schemaVersion": 2,
        "config": {"mediaType": kind("config.v1+json"), "digest": config, "size": config_size},
        "layers": [{"mediaType": kind("layer.v1.tar"), "digest": digest, "size": layer.len()}]});
    let (manifest, size) = archive.add(&manifest);
    archive.set_index(
        &json!({"schemaVersion": 2, "manifests": [{"mediaType": kind("manifest.v1+json"),
        "digest": manifest, "size": size, "annotations": {"io.containerd.image.name": "harm"}}]}),
    );
    archive.write(path);
}

/// A directory with all archives.
pub fn make() -> (TempDir, Made) {
    let work = TempDir::new().expect("a directory for tests");
    let made = TempDir::new().expect("a directory for tests");
    rig::article(work.path());
    rig::write(work.path().join("change/added.txt"), "added\n");
    let to = |name: &str| made.path().join(name);
    let hybrid = build(work.path(), "handroll", "delta", "linux/amd64");
    hybrid.write(&to("hybrid.tar"));
    build(work.path(), "other", "change", "linux/amd64").write(&to("other.tar"));
    let ref_name = "org.opencontainers.image.ref.name";
    hybrid
        .annotated(json!({ref_name: "latest"}))
        .write(&to("ref.tar"));
    let full = hybrid.annotated(json!({ref_name: "handroll:latest"}));
    full.write(&to("full.tar"));
    hybrid.annotated(Value::Null).write(&to("unnamed.tar"));
    let mut docker = hybrid.clone();
    docker
        .0
        .retain(|name, _| !matches!(name.as_str(), "index.json" | "oci-layout"));
    docker.write(&to("docker.tar"));
    fs::write(to("empty.tar"), "").expect("a new file");
    Archive([("x".to_owned(), b"y".to_vec())].into()).write(&to("layer.tar"));
    article_archive(work.path(), &full, &to("handroll-image.tar"));
    platforms(work.path()).write(&to("platforms.tar"));
    let made_of = broken(&hybrid, &to);
    (made, made_of)
}

/// As the article makes it: a directory, packed by GNU tar.
fn article_archive(work: &Path, full: &Archive, path: &Path) {
    let layout = work.join("oci");
    for (name, bytes) in &full.0 {
        if name != "manifest.json" {
            rig::write(layout.join(name), bytes);
        }
    }
    ok(program("tar")
        .arg("-C")
        .arg(&layout)
        .arg("-cf")
        .arg(path)
        .arg("."));
}

/// An image for three platforms in one index, in the archive's index.
fn platforms(work: &Path) -> Archive {
    let mut all = Archive(BTreeMap::new());
    let mut manifests = Vec::new();
    for (platform, top) in [
        ("linux/arm64", "delta"),
        ("linux/amd64", "delta"),
        ("linux/s390x", "change"),
    ] {
        let one = build(work, "many", top, platform);
        let mut manifest = one.index()["manifests"][0].clone();
        manifest.as_object_mut().expect("an object").remove("annotations");
        manifests.push(manifest);
        all.0.extend(one.0);
    }
    all.0.remove("manifest.json");
    let media_type = "application/vnd.oci.image.index.v1+json";
    let nested = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
    let (digest, size) = all.add(&nested);
    let annotations = json!({"io.containerd.image.name": "docker.io/library/many:latest"});
    let entry = json!({"mediaType": media_type, "digest": digest, "size": size, "annotations": annotations});
    all.set_index(&json!({"schemaVersion": 2, "manifests": [entry]}));
    all
}

/// What is not as the documents say.
fn broken(hybrid: &Archive, to: &dyn Fn(&str) -> std::path::PathBuf) -> Made {
    let mut index = hybrid.index();
    let manifest_digest = index["manifests"][0]["digest"].clone();
    let mut manifest = hybrid.json(&blob(&manifest_digest));
    let config_digest = manifest["config"]["digest"].clone();
    let mut config = hybrid.json(&blob(&config_digest));
    let top = blob(&manifest["layers"][1]["digest"]);
    hybrid.without(&top).write(&to("missing.tar"));
    let mut corrupt = hybrid.without("");
    corrupt.0.get_mut(&top).expect("a layer")[20] ^= 1;
    corrupt.write(&to("corrupt.tar"));
    hybrid.without(&blob(&config_digest)).write(&to("no-config.tar"));
    hybrid
        .without(&blob(&manifest_digest))
        .write(&to("no-manifest.tar"));

    let diff_ids = config["rootfs"]["diff_ids"].as_array().expect("a list").clone();
    let [first, second] = [0, 1].map(|at: usize| {
        let text = diff_ids[at].as_str().expect("a digest");
        text.parse::<Digest>().expect("a digest")
    });
    let made = Made(vec![
        ("MANIFEST", manifest_digest.as_str().expect("a digest").to_owned()),
        ("CONFIG", config_digest.as_str().expect("a digest").to_owned()),
        ("CHAIN1", chain_id(None, first).to_string()),
        (
            "CHAIN2",
            chain_id(Some(chain_id(None, first)), second).to_string(),
        ),
    ]);

    let mut wrong = hybrid.without("");
    config["rootfs"]["diff_ids"][1] = json!(format!("sha256:{}", "0".repeat(64)));
    let (digest, size) = wrong.add(&config);
    (manifest["config"]["digest"], manifest["config"]["size"]) = (digest, size);
    let (digest, size) = wrong.add(&manifest);
    (index["manifests"][0]["digest"], index["manifests"][0]["size"]) = (digest, size);
    wrong.set_index(&index);
    wrong.write(&to("wrong-diff-id.tar"));
    made
}
