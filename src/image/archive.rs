//! The archive: an OCI layout in a tar that is also what `docker load` reads. Knows the documents and the
//! digests of layers; gives a plan of parts, so that whoever writes it streams the blobs.

use std::collections::{BTreeMap, BTreeSet};

use super::config::Settings;
use super::manifest::{self, Descriptor, blob_path};
use super::reference::Reference;
use crate::digest::Digest;
use crate::tar::{EntryHeader, EntryType, Format, encode};
use crate::tree::Time;

/// A layer as the documents see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerBlob {
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Digest of the blob.
    pub digest: Digest,
    /// Bytes of the blob.
    pub size: u64,
    /// [`manifest::LAYER_TAR`] or [`manifest::LAYER_GZIP`].
    pub media_type: &'static str,
    /// What made it, for the history.
    pub created_by: Option<String>,
    /// A remark, for the history.
    pub comment: Option<String>,
}

/// A document and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
}

impl From<Vec<u8>> for Document {
    fn from(bytes: Vec<u8>) -> Self {
        let digest = Digest::of(&bytes);
        Self { bytes, digest }
    }
}

/// All documents of an image. Only `config` and `manifest` are blobs; the others are files of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// How to run it, and its DiffIDs.
    pub config: Document,
    /// The configuration and the layers.
    pub manifest: Document,
    /// `index.json`.
    pub index: Document,
    /// `oci-layout`.
    pub layout: Document,
    /// `manifest.json`, Docker's list.
    pub docker: Document,
}

/// Makes the documents. The same settings, name and layers give the same bytes.
pub fn documents(settings: &Settings, reference: &Reference, layers: &[LayerBlob]) -> Documents {
    let config = Document::from(settings.document(layers));
    let descriptor = Descriptor::of(manifest::CONFIG, &config.bytes);
    let document = Document::from(manifest::manifest(descriptor, layers));
    let descriptor = Descriptor::of(manifest::MANIFEST, &document.bytes);
    Documents {
        index: manifest::index(descriptor, &settings.platform, reference).into(),
        layout: manifest::LAYOUT.to_vec().into(),
        docker: manifest::docker_manifest(config.digest, reference, layers).into(),
        manifest: document,
        config,
    }
}

/// A piece of the archive, or the content of a file of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The blob of the layer with this index, bottom first.
    Blob(usize),
}

/// A file or a directory of the layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutEntry {
    /// Its path in the layout; a directory's ends in `/`.
    pub path: String,
    /// What is in it; `None` for a directory.
    pub content: Option<Part>,
    /// Bytes of the content.
    pub size: u64,
}

/// The layout's files and directories, in the archive's order: the marker, the documents in the order in
/// which a reader follows them, the blobs in the order of the manifest.
///
/// Readers that unpack the whole archive first (docker, skopeo and podman for OCI archives), or that keep every
/// blob as it comes (containerd), take any order. Those that scan for `manifest.json` and then for what it
/// names (skopeo and podman for docker archives, and tools that read from a pipe) are served best by small
/// things first: they pass over no layer to find a document. And since the largest blobs stand last, an archive
/// that was cut off still says what it should have held.
///
/// A blob that two layers share is there once.
pub fn layout(documents: &Documents, layers: &[LayerBlob]) -> Vec<LayoutEntry> {
    let file = |path: &str, document: &Document| LayoutEntry {
        path: path.to_owned(),
        size: document.bytes.len() as u64,
        content: Some(Part::Bytes(document.bytes.clone())),
    };
    let directory = |path: &str| LayoutEntry {
        path: path.to_owned(),
        content: None,
        size: 0,
    };
    let mut entries = vec![
        file("oci-layout", &documents.layout),
        file("index.json", &documents.index),
        file("manifest.json", &documents.docker),
        directory("blobs/"),
        directory("blobs/sha256/"),
        file(&blob_path(documents.manifest.digest), &documents.manifest),
        file(&blob_path(documents.config.digest), &documents.config),
    ];
    let mut written = BTreeSet::from([documents.manifest.digest, documents.config.digest]);
    for (index, layer) in layers.iter().enumerate() {
        if written.insert(layer.digest) {
            entries.push(LayoutEntry {
                path: blob_path(layer.digest),
                content: Some(Part::Blob(index)),
                size: layer.size,
            });
        }
    }
    entries
}

/// The archive as a sequence of parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// What follows what. Bytes between two blobs are one part.
    pub parts: Vec<Part>,
    /// Bytes of the whole archive.
    pub size: u64,
}

/// Plans the archive: a tar with nothing in it that the image doesn't say (owner 0:0, time 0, no names).
pub fn archive_plan(documents: &Documents, layers: &[LayerBlob]) -> Archive {
    let mut parts = Vec::new();
    let mut bytes = Vec::new();
    let mut size = 0;
    for entry in layout(documents, layers) {
        bytes.extend_from_slice(&header(&entry));
        match entry.content {
            None => {}
            Some(Part::Bytes(content)) => bytes.extend_from_slice(&content),
            Some(blob @ Part::Blob(_)) => {
                size += bytes.len() as u64 + entry.size;
                parts.push(Part::Bytes(std::mem::take(&mut bytes)));
                parts.push(blob);
            }
        }
        bytes.resize(bytes.len() + padding(entry.size), 0);
    }
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    size += bytes.len() as u64;
    parts.push(Part::Bytes(bytes));
    Archive { parts, size }
}

const BLOCK: usize = 512;

/// Zeros that fill the last block of `size` bytes.
fn padding(size: u64) -> usize {
    (size.wrapping_neg() % BLOCK as u64) as usize
}

/// The header of an entry. Every path is shorter than 100 bytes, so one block always does; a blob of 8 GiB and
/// more has its size in base 256, as GNU tar writes it and all readers take it.
/// The header of a file in an archive; before it one of its name, if that is long.
pub fn file_header(path: &[u8], size: u64) -> Vec<u8> {
    let header = EntryHeader {
        name: path,
        entry_type: EntryType::Regular,
        link_name: b"",
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Time::at(0),
        size,
        device: (0, 0),
        xattrs: &BTreeMap::new(),
    };
    let mut blocks = Vec::new();
    encode(&header, Format::Gnu, &mut blocks);
    blocks
}

fn header(entry: &LayoutEntry) -> [u8; BLOCK] {
    let mut header = tar::Header::new_gnu();
    let (kind, mode) = match entry.content {
        None => (tar::EntryType::Directory, 0o755),
        Some(_) => (tar::EntryType::Regular, 0o644),
    };
    let path = entry.path.as_bytes();
    header.as_old_mut().name[..path.len()].copy_from_slice(path);
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(entry.size);
    header.set_cksum();
    *header.as_bytes()
}

#[cfg(test)]
impl LayerBlob {
    /// A plain layer whose blob is `bytes`.
    pub(super) fn of_tests(bytes: &[u8]) -> Self {
        Self {
            diff_id: Digest::of(bytes),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            media_type: manifest::LAYER_TAR,
            created_by: None,
            comment: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn sample() -> (Documents, Vec<LayerBlob>, [&'static [u8]; 3]) {
        let blobs: [&[u8]; 3] = [b"one", b"two, which is longer", b"one"];
        let layers: Vec<_> = blobs.iter().map(|bytes| LayerBlob::of_tests(bytes)).collect();
        let reference = Reference::parse("handroll").unwrap();
        (
            documents(&Settings::default(), &reference, &layers),
            layers,
            blobs,
        )
    }

    #[test]
    fn the_archive_reads_back() {
        let (documents, layers, blobs) = sample();
        let plan = archive_plan(&documents, &layers);
        let mut bytes = Vec::new();
        for part in &plan.parts {
            match part {
                Part::Bytes(part) => bytes.extend_from_slice(part),
                Part::Blob(index) => bytes.extend_from_slice(blobs[*index]),
            }
        }
        assert_eq!(bytes.len() as u64, plan.size);
        assert_eq!(bytes.len() % BLOCK, 0);
        let mut names = Vec::new();
        for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 0);
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            if let Some(hex) = name.strip_prefix("blobs/sha256/").filter(|hex| !hex.is_empty()) {
                assert_eq!(Digest::of(&content).hex(), hex);
            }
            names.push(name);
        }
        let blob = |bytes: &[u8]| blob_path(Digest::of(bytes));
        let expected = [
            "oci-layout".to_owned(),
            "index.json".to_owned(),
            "manifest.json".to_owned(),
            "blobs/".to_owned(),
            "blobs/sha256/".to_owned(),
            blob_path(documents.manifest.digest),
            blob_path(documents.config.digest),
            blob(b"one"),
            blob(b"two, which is longer"),
        ];
        assert_eq!(names, expected, "the blob that occurs twice is there once");
    }

    #[test]
    fn the_documents_are_these() {
        let (documents, _, _) = sample();
        let text = |document: &Document| String::from_utf8(document.bytes.clone()).unwrap();
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two, which is longer"));
        let layer = "application/vnd.oci.image.layer.v1.tar";
        assert_eq!(
            text(&documents.manifest),
            format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[{{"mediaType":"{layer}","digest":"{one}","size":3}},{{"mediaType":"{layer}","digest":"{two}","size":20}},{{"mediaType":"{layer}","digest":"{one}","size":3}}]}}"#,
                documents.config.digest,
                documents.config.bytes.len()
            )
        );
        assert_eq!(
            text(&documents.index),
            format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{},"annotations":{{"io.containerd.image.name":"docker.io/library/handroll:latest","org.opencontainers.image.ref.name":"latest"}},"platform":{{"architecture":"amd64","os":"linux"}}}}]}}"#,
                documents.manifest.digest,
                documents.manifest.bytes.len()
            )
        );
        assert_eq!(
            text(&documents.docker),
            format!(
                r#"[{{"Config":"blobs/sha256/{}","RepoTags":["handroll:latest"],"Layers":["blobs/sha256/{}","blobs/sha256/{}","blobs/sha256/{}"]}}]"#,
                documents.config.digest.hex(),
                one.hex(),
                two.hex(),
                one.hex()
            )
        );
        assert_eq!(text(&documents.layout), r#"{"imageLayoutVersion":"1.0.0"}"#);
    }

    #[test]
    fn a_large_blob_has_its_size_in_base_256() {
        let entry = LayoutEntry {
            path: "x".into(),
            content: Some(Part::Blob(0)),
            size: 1 << 33,
        };
        let header = header(&entry);
        assert_eq!(header[124], 0x80);
        assert_eq!(
            tar::Header::from_byte_slice(&header).entry_size().unwrap(),
            1 << 33
        );
    }
}
