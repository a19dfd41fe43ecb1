//! Archives to import, written document by document, so that they can be wrong where a test wants it.

use std::fs;
use std::path::{Path, PathBuf};

use handroll::digest::Digest;
use serde_json::{Value, json};

use super::rig::{handroll, ok, program};
use super::{cases, rig, support};

/// A layer as an image's documents tell of it.
#[derive(Clone)]
pub struct Layer {
    pub media_type: String,
    pub blob: Vec<u8>,
    /// What the configuration says.
    pub diff_id: String,
}

impl Layer {
    /// The tar that lines of `tests/dialects/cases.txt` describe, plain.
    pub fn of(lines: &str) -> Self {
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        Self::of_tar(cases::tar(&lines).unwrap())
    }

    pub fn of_tar(tar: Vec<u8>) -> Self {
        Self {
            media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
            diff_id: Digest::of(&tar).to_string(),
            blob: tar,
        }
    }

    /// The same, packed by gzip(1) or zstd(1).
    pub fn packed(mut self, tool: &str) -> Self {
        let mut command = program(tool);
        command.arg("-c");
        self.blob = support::output(&mut command, &self.blob);
        self.media_type += &format!("+{tool}");
        self
    }
}

/// An OCI layout that grows.
pub struct Layout {
    directory: PathBuf,
    pub manifests: Vec<Value>,
}

impl Layout {
    pub fn new(directory: &Path) -> Self {
        fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        Self {
            directory: directory.to_owned(),
            manifests: Vec::new(),
        }
    }

    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        self.directory.join("blobs/sha256").join(hex)
    }

    pub fn put(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes).to_string();
        fs::write(self.blob(&digest), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// What names a manifest of such layers.
    pub fn manifest(&self, layers: &[Layer], architecture: &str) -> Value {
        let diff_ids: Vec<&String> = layers.iter().map(|layer| &layer.diff_id).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = self.put(
            "application/vnd.oci.image.config.v1+json",
            config.to_string().as_bytes(),
        );
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| self.put(&layer.media_type, &layer.blob))
            .collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
        self.put(media_type, manifest.to_string().as_bytes())
    }

    /// Puts a manifest or an index into index.json, under a name or under none.
    pub fn name(&mut self, mut descriptor: Value, annotation: &str, name: &str) {
        if !annotation.is_empty() {
            descriptor["annotations"] = json!({ annotation: name });
        }
        self.manifests.push(descriptor);
    }

    /// An image of one platform with a full name.
    pub fn image(&mut self, name: &str, layers: &[Layer]) {
        let manifest = self.manifest(layers, "amd64");
        self.name(manifest, "io.containerd.image.name", name);
    }

    /// The archive of all.
    pub fn archive(&self, path: &Path) -> PathBuf {
        let index = json!({"schemaVersion": 2, "manifests": self.manifests});
        fs::write(self.directory.join("index.json"), index.to_string()).unwrap();
        fs::write(
            self.directory.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        let mut tar = program("tar");
        ok(tar.arg("-C").arg(&self.directory).arg("-cf").arg(path).arg("."));
        path.to_owned()
    }
}

/// The article's image, built by handroll; or one that has another delta on the same base.
pub fn article_image(directory: &Path, name: &str, delta: &str) -> PathBuf {
    if !directory.join("base").exists() {
        rig::article(directory);
        rig::write(directory.join("other/only-here"), "a second image\n");
    }
    let file = directory.join(format!("{delta}.tar"));
    let mut build = handroll();
    build.args(["build", "--layer", "base", "--layer", delta, "--name", name]);
    build.args(["--cmd", "/bin/sh", "--mtime", rig::ARTICLE_TIME, "-o"]);
    ok(build.arg(&file).current_dir(directory));
    file
}
