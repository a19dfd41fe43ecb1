//! Layouts with one image, edited by hand: the same layers packed in the other ways that the formats allow, or further
//! layers on top.

use std::fs;
use std::path::{Path, PathBuf};

use handroll::digest::Digest;
use serde_json::{Value, json};

use super::rig::{ok, program};

/// How a tar is packed in pieces.
#[derive(Clone, Copy, Debug)]
pub enum Pieces {
    /// gzip members of 16 MiB of tar each, as tools write that work in parallel.
    Members,
    /// zstd frames of as much each, then a skippable frame, as zstd:chunked has one.
    Frames,
}

impl Pieces {
    /// A shell command that packs standard input.
    fn command(self) -> &'static str {
        match self {
            Self::Members => "split -b 16M --filter='gzip -n1'",
            Self::Frames => r"split -b 16M --filter='zstd -qc' && printf 'P*M\030\010\000\000\000skipped!'",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Members => GZIP,
            Self::Frames => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A layout directory whose only image is taken apart.
struct Layout {
    root: PathBuf,
    index: Value,
    manifest: Value,
    config: Value,
}

impl Layout {
    /// Copies a layout and takes its documents out.
    fn copy(from: &Path, to: &Path) -> Self {
        ok(program("cp").arg("-a").arg(from).arg(to));
        let mut layout = Self {
            root: to.to_owned(),
            index: Value::Null,
            manifest: Value::Null,
            config: Value::Null,
        };
        layout.index = serde_json::from_slice(&fs::read(to.join("index.json")).unwrap()).unwrap();
        layout.manifest = layout.take(&layout.index["manifests"][0]);
        layout.config = layout.take(&layout.manifest["config"]);
        layout
    }

    fn path(&self, descriptor: &Value) -> PathBuf {
        let digest = descriptor["digest"].as_str().unwrap();
        self.root.join("blobs").join(digest.replace(':', "/"))
    }

    fn take(&self, descriptor: &Value) -> Value {
        let path = self.path(descriptor);
        let value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        fs::remove_file(path).unwrap();
        value
    }

    fn put(&self, descriptor: &mut Value, bytes: &[u8]) {
        descriptor["digest"] = json!(Digest::of(bytes).to_string());
        descriptor["size"] = json!(bytes.len());
        fs::write(self.path(descriptor), bytes).unwrap();
    }

    fn finish(mut self) {
        let mut manifest = self.manifest.take();
        self.put(&mut manifest["config"], self.config.to_string().as_bytes());
        let mut index = self.index.take();
        self.put(&mut index["manifests"][0], manifest.to_string().as_bytes());
        fs::write(self.root.join("index.json"), index.to_string()).unwrap();
    }
}

/// Copies a layout of gzip layers, with each of them packed in pieces.
pub fn in_pieces(from: &Path, to: &Path, pieces: Pieces) {
    let mut layout = Layout::copy(from, to);
    let mut layers = layout.manifest["layers"].take();
    for layer in layers.as_array_mut().unwrap() {
        let old = layout.path(layer);
        let script = format!("gzip -dc \"$1\" | {{ {}; }}", pieces.command());
        let bytes = ok(program("bash")
            .args(["-o", "pipefail", "-c", &script, "bash"])
            .arg(&old))
        .stdout;
        fs::remove_file(old).unwrap();
        layout.put(layer, &bytes);
        layer["mediaType"] = json!(pieces.media_type());
    }
    layout.manifest["layers"] = layers;
    layout.finish();
}

/// Copies a layout and puts gzip layers on top.
pub fn with_layers(from: &Path, to: &Path, layers: &[Vec<u8>]) {
    let mut layout = Layout::copy(from, to);
    for blob in layers {
        let tar = super::support::output(program("gzip").arg("-dc"), blob);
        let mut descriptor = json!({"mediaType": GZIP});
        layout.put(&mut descriptor, blob);
        let push = |list: &mut Value, value| list.as_array_mut().unwrap().push(value);
        push(&mut layout.manifest["layers"], descriptor);
        push(
            &mut layout.config["rootfs"]["diff_ids"],
            json!(Digest::of(&tar).to_string()),
        );
        push(
            &mut layout.config["history"],
            json!({"created_by": "ctr snapshots diff"}),
        );
    }
    layout.finish();
}
