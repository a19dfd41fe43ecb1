//! What an image from outside says of itself, and whether it is true: names, platform, configuration, and each
//! layer's digests computed again from its bytes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::manifest::{CONTAINERD_NAME, INDEX, MANIFEST, REF_NAME, blob_path};
use super::open::{Files, OpenError};
use crate::compress::inflate::{InflateError, LIMIT, Packing, for_each_inflated};
use crate::content::{Content, ContentError};
use crate::digest::{Digest, Hasher, chain_id};

/// Most bytes of a document; containerd takes no more either.
const DOCUMENT_LIMIT: u64 = 20 << 20;
/// How deep an index may lie in an index. Digests make circles impossible, but not towers.
const MAX_DEPTH: usize = 8;

/// Why no image could be read at all. What is wrong inside of one is said in its place.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The files could not be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Neither `index.json` nor `manifest.json` is there.
    #[error("this is no image: it holds neither index.json (OCI layout) nor manifest.json (docker save)")]
    NoImage,
    /// A document is not there.
    #[error("{path} is named by the image, but is not in it")]
    Missing {
        /// Where it should be.
        path: String,
    },
    /// A document is not what it should be.
    #[error("{path} is damaged: {reason}")]
    Document {
        /// Where it stands.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<ContentError> for InspectError {
    fn from(error: ContentError) -> Self {
        Self::Open(error.into())
    }
}

/// All that an archive or a layout holds.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// `oci` or `docker`.
    pub format: &'static str,
    /// Its images.
    pub images: Vec<ImageReport>,
}

/// One image.
#[derive(Debug, Clone, Serialize)]
pub struct ImageReport {
    /// The names it has there.
    pub names: Vec<String>,
    /// `os/architecture[/variant]`, from the configuration.
    pub platform: Option<String>,
    /// Digest of the manifest; `docker save` archives of old have none.
    pub manifest_digest: Option<Digest>,
    /// Digest of the configuration: the image's id.
    pub config_digest: Digest,
    /// The configuration as it stands in the image.
    pub config: Value,
    /// Layers, bottom first.
    pub layers: Vec<LayerReport>,
}

/// One layer, as it is named and as it is.
#[derive(Debug, Clone, Serialize)]
pub struct LayerReport {
    /// What the manifest says it is; found by looking where there is no manifest.
    pub media_type: String,
    /// The blob's digest by the manifest; computed where there is no manifest.
    pub digest: String,
    /// The blob's size.
    pub size: u64,
    /// Digest of the uncompressed tar by the configuration.
    pub diff_id: Option<String>,
    /// Digest of the stack up to here, by the configuration's DiffIDs.
    pub chain_id: Option<Digest>,
    /// Whether digest, size and DiffID are what the bytes give.
    pub verified: bool,
    /// What does not fit, or could not be looked at.
    pub problem: Option<String>,
}

impl Inspection {
    /// Whether every layer of every image is what it says it is.
    pub fn verified(&self) -> bool {
        self.images
            .iter()
            .all(|image| image.layers.iter().all(|layer| layer.verified))
    }
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// Reads and verifies all images. An OCI layout wins where both formats are there, as containerd has it.
pub fn inspect(files: &dyn Files) -> Result<Inspection, InspectError> {
    if files.open("index.json")?.is_some() {
        let index: Index = document(files, "index.json")?.0;
        let mut images = Vec::new();
        for descriptor in index.manifests.into_iter().flatten() {
            oci(files, &descriptor, &[], 0, &mut images)?;
        }
        return Ok(Inspection {
            format: "oci",
            images,
        });
    }
    if files.open("manifest.json")?.is_some() {
        let list: Vec<DockerImage> = document(files, "manifest.json")?.0;
        let images = list
            .into_iter()
            .map(|image| docker(files, image))
            .collect::<Result<_, _>>()?;
        return Ok(Inspection {
            format: "docker",
            images,
        });
    }
    Err(InspectError::NoImage)
}

fn oci(
    files: &dyn Files,
    descriptor: &Descriptor,
    above: &[String],
    depth: usize,
    images: &mut Vec<ImageReport>,
) -> Result<(), InspectError> {
    let names = match names(descriptor) {
        own if own.is_empty() => above.to_vec(),
        own => own,
    };
    let path = path_of(descriptor)?;
    let damaged = |reason: String| InspectError::Document {
        path: path.clone(),
        reason,
    };
    match descriptor.media_type.as_str() {
        INDEX | "application/vnd.docker.distribution.manifest.list.v2+json" => {
            if depth == MAX_DEPTH {
                return Err(damaged(format!("an index {MAX_DEPTH} deep in others")));
            }
            let (index, digest): (Index, _) = document(files, &path)?;
            check_digest(descriptor, digest).map_err(damaged)?;
            for inner in index.manifests.into_iter().flatten() {
                oci(files, &inner, &names, depth + 1, images)?;
            }
            Ok(())
        }
        MANIFEST | "application/vnd.docker.distribution.manifest.v2+json" => {
            let (manifest, digest): (Manifest, _) = document(files, &path)?;
            check_digest(descriptor, digest).map_err(damaged)?;
            let config_path = path_of(&manifest.config)?;
            let (config, config_digest): (Value, _) = document(files, &config_path)?;
            check_digest(&manifest.config, config_digest).map_err(|reason| InspectError::Document {
                path: config_path,
                reason,
            })?;
            let mut stack = Stack::new(&config);
            let blobs = manifest.layers.unwrap_or_default();
            let layers = blobs
                .iter()
                .map(|blob| stack.layer(files, blob))
                .collect::<Result<_, _>>()?;
            images.push(ImageReport {
                names,
                platform: platform(&config),
                manifest_digest: Some(digest),
                config_digest,
                config,
                layers,
            });
            Ok(())
        }
        // image-index.md: what isn't known is passed over.
        _ => Ok(()),
    }
}

fn docker(files: &dyn Files, image: DockerImage) -> Result<ImageReport, InspectError> {
    let (config, config_digest): (Value, _) = document(files, &image.config)?;
    let mut stack = Stack::new(&config);
    let mut layers = Vec::new();
    for path in image.layers.into_iter().flatten() {
        let Some(content) = files.open(&path)? else {
            return Err(InspectError::Missing { path });
        };
        layers.push(stack.file(&content)?);
    }
    Ok(ImageReport {
        names: image.repo_tags.unwrap_or_default(),
        platform: platform(&config),
        manifest_digest: None,
        config_digest,
        config,
        layers,
    })
}

/// The whole name if there is one, else what stands as the tag.
fn names(descriptor: &Descriptor) -> Vec<String> {
    let annotations = descriptor.annotations.as_ref();
    let name = |key: &str| annotations.and_then(|map| map.get(key)).cloned();
    name(CONTAINERD_NAME)
        .or_else(|| name(REF_NAME))
        .into_iter()
        .collect()
}

fn platform(config: &Value) -> Option<String> {
    let field = |name: &str| config.get(name).and_then(Value::as_str);
    let variant = field("variant")
        .map(|variant| format!("/{variant}"))
        .unwrap_or_default();
    Some(format!("{}/{}{variant}", field("os")?, field("architecture")?))
}

fn path_of(descriptor: &Descriptor) -> Result<String, InspectError> {
    let digest: Digest = descriptor
        .digest
        .parse()
        .map_err(|error| InspectError::Document {
            path: "a descriptor".to_owned(),
            reason: format!("{error}"),
        })?;
    Ok(blob_path(digest))
}

fn check_digest(descriptor: &Descriptor, digest: Digest) -> Result<(), String> {
    if descriptor.digest == digest.to_string() {
        return Ok(());
    }
    Err(format!("its bytes have the digest {digest}"))
}

fn document<T: for<'de> Deserialize<'de>>(
    files: &dyn Files,
    path: &str,
) -> Result<(T, Digest), InspectError> {
    let Some(content) = files.open(path)? else {
        return Err(InspectError::Missing {
            path: path.to_owned(),
        });
    };
    let bytes = content.read_all(DOCUMENT_LIMIT)?;
    let value = serde_json::from_slice(&bytes).map_err(|error| InspectError::Document {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok((value, Digest::of(&bytes)))
}

/// The layers of one image while they are read, bottom first.
struct Stack {
    diff_ids: std::vec::IntoIter<String>,
    chain: Option<Digest>,
    broken: bool,
}

/// What a blob's bytes give.
struct Seen {
    digest: Digest,
    diff_id: Result<Digest, String>,
    media_type: &'static str,
}

impl Stack {
    fn new(config: &Value) -> Self {
        let list = config.pointer("/rootfs/diff_ids").and_then(Value::as_array);
        let texts = list
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned);
        Self {
            diff_ids: texts.collect::<Vec<_>>().into_iter(),
            chain: None,
            broken: false,
        }
    }

    /// The layer's DiffID by the configuration, and its ChainID.
    fn next_id(&mut self) -> (Option<String>, Option<Digest>) {
        let diff_id = self.diff_ids.next();
        let parsed = diff_id.as_ref().and_then(|text| text.parse().ok());
        self.chain = match parsed {
            Some(id) if !self.broken => Some(chain_id(self.chain, id)),
            _ => None,
        };
        self.broken |= self.chain.is_none();
        (diff_id, self.chain)
    }

    /// A layer that a manifest names.
    fn layer(&mut self, files: &dyn Files, blob: &Descriptor) -> Result<LayerReport, InspectError> {
        let (diff_id, chain_id) = self.next_id();
        let content = match blob.digest.parse::<Digest>() {
            Ok(digest) => files
                .open(&blob_path(digest))?
                .ok_or_else(|| "the blob is not here".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let problem = match content {
            Err(problem) => Some(problem),
            Ok(content) if content.len() != blob.size => Some(format!(
                "the manifest says {} bytes, the blob has {}",
                blob.size,
                content.len()
            )),
            Ok(content) => {
                let seen = look(&content)?;
                let digest = seen.digest.to_string();
                match digest == blob.digest {
                    true => diff_problem(&seen, diff_id.as_deref()),
                    false => Some(format!("the blob's bytes have the digest {digest}")),
                }
            }
        };
        Ok(LayerReport {
            media_type: blob.media_type.clone(),
            digest: blob.digest.clone(),
            size: blob.size,
            diff_id,
            chain_id,
            verified: problem.is_none(),
            problem,
        })
    }

    /// A layer that is only a file in the archive.
    fn file(&mut self, content: &Content) -> Result<LayerReport, InspectError> {
        let (diff_id, chain_id) = self.next_id();
        let seen = look(content)?;
        let problem = diff_problem(&seen, diff_id.as_deref());
        Ok(LayerReport {
            media_type: seen.media_type.to_owned(),
            digest: seen.digest.to_string(),
            size: content.len(),
            diff_id,
            chain_id,
            verified: problem.is_none(),
            problem,
        })
    }
}

fn diff_problem(seen: &Seen, expected: Option<&str>) -> Option<String> {
    let Some(expected) = expected else {
        return Some("the configuration has no DiffID for this layer".to_owned());
    };
    match &seen.diff_id {
        Ok(digest) if digest.to_string() == expected => None,
        Ok(digest) => Some(format!("its uncompressed bytes have the DiffID {digest}")),
        Err(problem) => Some(problem.clone()),
    }
}

fn look(content: &Content) -> Result<Seen, InspectError> {
    let digest = content.digest()?;
    let media_type = match Packing::of(content)? {
        Packing::Plain => {
            return Ok(Seen {
                digest,
                diff_id: Ok(digest),
                media_type: super::manifest::LAYER_TAR,
            });
        }
        Packing::Gzip => super::manifest::LAYER_GZIP,
        Packing::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    };
    let mut hasher = Hasher::new();
    let inflated = for_each_inflated(content, LIMIT, |bytes| {
        hasher.update(bytes);
        Ok(())
    });
    let diff_id = match inflated {
        Ok(()) => Ok(hasher.finish()),
        Err(InflateError::Content(error)) => return Err(error.into()),
        Err(error) => Err(error.to_string()),
    };
    Ok(Seen {
        digest,
        diff_id,
        media_type,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::archive::{LayerBlob, Part, documents, layout};
    use crate::image::{Reference, Settings};
    use std::collections::BTreeMap;

    struct Map(BTreeMap<String, Vec<u8>>);

    impl Files for Map {
        fn open(&self, path: &str) -> Result<Option<Content>, ContentError> {
            Ok(self.0.get(path).map(|bytes| Content::inline(&bytes[..])))
        }
    }

    fn image() -> Map {
        let blobs: [&[u8]; 2] = [b"one", b"two"];
        let layers: Vec<_> = blobs.iter().map(|bytes| LayerBlob::of_tests(bytes)).collect();
        let reference = Reference::parse("handroll").unwrap();
        let documents = documents(&Settings::default(), &reference, &layers);
        let files = layout(&documents, &layers).into_iter().filter_map(|entry| {
            let bytes = match entry.content? {
                Part::Bytes(bytes) => bytes,
                Part::Blob(index) => blobs[index].to_vec(),
            };
            Some((entry.path, bytes))
        });
        Map(files.collect())
    }

    #[test]
    fn what_was_written_is_verified() {
        let mut files = image();
        let seen = inspect(&files).unwrap();
        assert!(seen.verified());
        assert_eq!(seen.images[0].names, ["docker.io/library/handroll:latest"]);
        assert_eq!(seen.images[0].platform.as_deref(), Some("linux/amd64"));
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        assert_eq!(seen.images[0].layers[1].chain_id, Some(chain_id(Some(one), two)));

        files.0.remove("index.json");
        let docker = inspect(&files).unwrap();
        assert!(docker.verified());
        assert_eq!(
            (docker.format, &docker.images[0].names[0][..]),
            ("docker", "handroll:latest")
        );
        assert_eq!(docker.images[0].layers[1].digest, two.to_string());
    }

    #[test]
    fn what_was_changed_is_told() {
        let path = blob_path(Digest::of(b"two"));
        for (bytes, problem) in [
            (&b"two!"[..], "the manifest says 3 bytes, the blob has 4"),
            (b"owt", "the blob's bytes have the digest"),
        ] {
            let mut files = image();
            files.0.insert(path.clone(), bytes.to_vec());
            let seen = inspect(&files).unwrap();
            let layer = &seen.images[0].layers[1];
            assert!(!seen.verified() && layer.problem.as_ref().unwrap().starts_with(problem));
        }
        let mut files = image();
        files.0.remove(&path);
        assert_eq!(
            inspect(&files).unwrap().images[0].layers[1].problem.as_deref(),
            Some("the blob is not here")
        );
    }

    #[test]
    fn damaged_documents_are_errors() {
        assert!(matches!(
            inspect(&Map(BTreeMap::new())),
            Err(InspectError::NoImage)
        ));
        let names: Vec<String> = image()
            .0
            .into_keys()
            .filter(|name| name != "manifest.json")
            .collect();
        for name in names {
            let mut files = image();
            files.0.insert(name.clone(), b"{".to_vec());
            let seen = inspect(&files);
            let layer = name == blob_path(Digest::of(b"one")) || name == blob_path(Digest::of(b"two"));
            assert_eq!(seen.is_ok(), layer || name == "oci-layout", "{name}");
        }
    }
}
