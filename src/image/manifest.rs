//! The documents that point: descriptors, the manifest, the index, the layout's marker, and Docker's list
//! (image-spec, descriptor.md, manifest.md, image-index.md, image-layout.md, annotations.md). Knows digests
//! and sizes, not bytes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::archive::LayerBlob;
use super::config::Platform;
use super::reference::Reference;
use crate::digest::Digest;

/// Media type of an image's configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of a layer that is a plain tar.
pub const LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of a layer that is a tar in gzip.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Media type of a layer that is a tar in zstd.
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// The annotation by which an archive's reader finds a tag (annotations.md). Only the tag: with the whole name
/// in it, tools that select by tag find nothing.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// containerd's own annotation for the whole name, taken as it stands, so it must be canonical. podman and
/// BuildKit read it too.
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The file that marks a directory as an OCI layout (image-layout.md, "oci-layout file").
pub const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// What points to a blob: what it is, its digest, its size (descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: &'static str,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// Notes on this use of the blob.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<&'static str, String>,
    /// What it runs on; only in an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformDocument>,
}

/// A platform as an index has it (image-index.md), without the variant when there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlatformDocument {
    /// The processor.
    pub architecture: String,
    /// The operating system.
    pub os: String,
    /// The processor's variant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl From<&Platform> for PlatformDocument {
    fn from(platform: &Platform) -> Self {
        Self {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
        }
    }
}

impl Descriptor {
    /// A descriptor of `bytes`.
    pub fn of(media_type: &'static str, bytes: &[u8]) -> Self {
        Self {
            media_type,
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

impl From<&LayerBlob> for Descriptor {
    fn from(layer: &LayerBlob) -> Self {
        Self {
            media_type: layer.media_type,
            digest: layer.digest,
            size: layer.size,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

/// The path of a blob in a layout.
pub fn blob_path(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The manifest: the configuration and the layers, bottom first.
pub fn manifest(config: Descriptor, layers: &[LayerBlob]) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Manifest {
        schema_version: u32,
        media_type: &'static str,
        config: Descriptor,
        layers: Vec<Descriptor>,
    }
    json(&Manifest {
        schema_version: 2,
        media_type: MANIFEST,
        config,
        layers: layers.iter().map(Descriptor::from).collect(),
    })
}

/// The index of a layout with one image: its manifest, platform and name.
pub fn index(mut manifest: Descriptor, platform: &Platform, reference: &Reference) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Index {
        schema_version: u32,
        media_type: &'static str,
        manifests: [Descriptor; 1],
    }
    manifest.annotations = BTreeMap::from([
        (CONTAINERD_NAME, reference.canonical()),
        (REF_NAME, reference.tag().to_owned()),
    ]);
    manifest.platform = Some(platform.into());
    json(&Index {
        schema_version: 2,
        media_type: INDEX,
        manifests: [manifest],
    })
}

/// Docker's list of the images in an archive, which `docker load` and readers of `docker save` want. The name is
/// the familiar one, as `docker save` writes it; layers are blobs of the layout, and their readers look at the
/// bytes to tell gzip.
pub fn docker_manifest(config: Digest, reference: &Reference, layers: &[LayerBlob]) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Image {
        config: String,
        repo_tags: [String; 1],
        layers: Vec<String>,
    }
    json(&[Image {
        config: blob_path(config),
        repo_tags: [reference.familiar()],
        layers: layers.iter().map(|layer| blob_path(layer.digest)).collect(),
    }])
}

fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("texts, numbers, lists and maps of texts are always JSON")
}
