//! Small archives for tests: blobs by their digests, and the documents that name them.

use std::collections::BTreeMap;

use super::{Catalog, OpenError, OpenJob};
use crate::content::Content;
use crate::digest::Digest;
use crate::image::files::tests::tar;
use crate::image::manifest::{CONFIG, INDEX, LAYER_TAR, LAYOUT, MANIFEST, blob_path};
use crate::scratch::MemorySpace;

/// The files of an archive, by their paths.
#[derive(Clone, Default)]
pub(crate) struct Archive(pub(crate) BTreeMap<String, Vec<u8>>);

/// A descriptor's text.
pub(crate) fn descriptor(media_type: &str, bytes: &[u8], more: &str) -> String {
    format!(
        r#"{{"mediaType":"{media_type}","digest":"{}","size":{}{more}}}"#,
        Digest::of(bytes),
        bytes.len()
    )
}

/// A configuration's text for plain layers.
pub(crate) fn config(layers: &[&str]) -> String {
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| format!("\"{}\"", Digest::of(layer.as_bytes())))
        .collect();
    format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    )
}

/// A manifest's text for plain layers.
pub(crate) fn manifest(config: &str, layers: &[&str]) -> String {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| descriptor(LAYER_TAR, layer.as_bytes(), ""))
        .collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]}}"#,
        descriptor(CONFIG, config.as_bytes(), ""),
        layers.join(",")
    )
}

/// An index's text.
pub(crate) fn index(entries: &[String]) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#,
        entries.join(",")
    )
}

/// What a descriptor in `index.json` has besides: a name that no tool finds fault with, and the platform.
pub(crate) const NAMED: &str = r#","annotations":{"io.containerd.image.name":"docker.io/library/x:1","org.opencontainers.image.ref.name":"1"},"platform":{"architecture":"amd64","os":"linux"}"#;

impl Archive {
    /// An archive with no more than the marker.
    pub(crate) fn new() -> Self {
        let mut archive = Self::default();
        archive.0.insert("oci-layout".to_owned(), LAYOUT.to_vec());
        archive
    }

    /// An image of these plain layers, which nothing is wrong with.
    pub(crate) fn image(layers: &[&str]) -> Self {
        let config = config(layers);
        let manifest = manifest(&config, layers);
        Self::of(layers, &config, &manifest)
    }

    /// An image of these documents.
    pub(crate) fn of(layers: &[&str], config: &str, manifest: &str) -> Self {
        let entry = descriptor(MANIFEST, manifest.as_bytes(), NAMED);
        let mut archive = Self::new().file("index.json", index(&[entry]));
        for blob in layers.iter().chain([&config, &manifest]) {
            archive = archive.blob(*blob);
        }
        archive
    }

    /// With this blob.
    pub(crate) fn blob(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.0.insert(blob_path(Digest::of(&bytes)), bytes);
        self
    }

    /// With this file.
    pub(crate) fn file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.to_owned(), bytes.into());
        self
    }

    /// Without this file.
    pub(crate) fn without(mut self, path: &str) -> Self {
        assert!(self.0.remove(path).is_some(), "{path} was there");
        self
    }

    pub(crate) fn tar(&self) -> Vec<u8> {
        let entries: Vec<_> = self
            .0
            .iter()
            .map(|(path, bytes)| (&path[..], b'0', &bytes[..]))
            .collect();
        tar(&entries)
    }

    pub(crate) fn open(&self) -> Catalog {
        open(self.tar()).unwrap()
    }
}

pub(crate) fn open(bytes: impl Into<std::sync::Arc<[u8]>>) -> Result<Catalog, OpenError> {
    OpenJob::archive(&Content::inline(bytes), &MemorySpace)?.run()
}

/// What was found: names of problems, each with its pointer.
pub(crate) fn found(catalog: &Catalog) -> Vec<(&'static str, String)> {
    let found = catalog.problems.iter().map(|problem| {
        let sentence = problem.sentence();
        assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{sentence}");
        assert!(!problem.clause().is_empty());
        (problem.id(), problem.place.pointer.clone().unwrap_or_default())
    });
    found.collect()
}

#[track_caller]
pub(crate) fn expect(catalog: &Catalog, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(id, at)| (*id, (*at).to_owned())).collect();
    assert_eq!(found(catalog), expected);
}

pub(crate) const LAYERS: [&str; 2] = ["one", "two"];

/// An image whose configuration is this one after `edit`.
pub(crate) fn with_config(edit: impl Fn(String) -> String) -> Catalog {
    let config = edit(config(&LAYERS));
    let manifest = manifest(&config, &LAYERS);
    Archive::of(&LAYERS, &config, &manifest).open()
}

pub(crate) fn with_manifest(edit: impl Fn(String) -> String) -> Catalog {
    let config = config(&LAYERS);
    let manifest = edit(manifest(&config, &LAYERS));
    Archive::of(&LAYERS, &config, &manifest).open()
}

pub(crate) fn with_index(edit: impl Fn(String) -> String) -> Catalog {
    let mut archive = Archive::image(&LAYERS);
    let index = archive.0.get_mut("index.json").unwrap();
    *index = edit(String::from_utf8(index.clone()).unwrap()).into_bytes();
    archive.open()
}

pub(crate) fn digest(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}
