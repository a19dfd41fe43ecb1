//! The documents of images as containerd reads them: what a manifest or an index names, for which platform.

use std::collections::BTreeMap;

use super::{Client, Result, StoreError};
use crate::image::Platform;
use crate::image::json::{Document, Node, SIZE_LIMIT};
use crate::image::media::Media;

/// What names a blob, as containerd keeps it (image-spec, descriptor.md).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// Its digest, as it is written: it need not be one.
    pub digest: String,
    /// Its size in bytes, as it is written.
    pub size: i64,
    /// For whom it is.
    pub platform: Option<Platform>,
    /// What else is said of it.
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    fn of(node: Node<'_>) -> Self {
        let annotations = node.field("annotations");
        let annotations = annotations.into_iter().flat_map(|node| node.children());
        Self {
            media_type: text(node, "mediaType"),
            digest: text(node, "digest"),
            size: node
                .field("size")
                .and_then(|size| size.as_i64())
                .unwrap_or_default(),
            platform: node.field("platform").map(platform),
            annotations: annotations
                .map(|member| {
                    let value = member.as_str().unwrap_or_default().into_owned();
                    (member.key().unwrap_or_default().into_owned(), value)
                })
                .collect(),
        }
    }

    /// What it is, in words.
    pub fn what(&self) -> &'static str {
        match Media::of(&self.media_type) {
            Media::Index => "an index",
            Media::Manifest => "a manifest",
            Media::Config => "a configuration",
            Media::Layer(_) => "a layer",
            Media::OldManifest | Media::Empty | Media::Other => "a blob",
        }
    }

    /// The label by which whoever keeps its parent keeps it; with a number behind it if it ends in a dot
    /// (images/mediatypes.go, `ChildGCLabels`).
    pub(super) fn gc_label(&self) -> &'static str {
        match Media::of(&self.media_type) {
            Media::Config => "containerd.io/gc.ref.content.config",
            Media::Manifest => "containerd.io/gc.ref.content.m.",
            Media::Layer(_) => "containerd.io/gc.ref.content.l.",
            _ => "containerd.io/gc.ref.content.",
        }
    }
}

fn text(node: Node<'_>, name: &str) -> String {
    let value = node.field(name).and_then(|value| value.as_str());
    value.unwrap_or_default().into_owned()
}

fn platform(node: Node<'_>) -> Platform {
    Platform {
        os: text(node, "os"),
        architecture: text(node, "architecture"),
        variant: Some(text(node, "variant")).filter(|variant| !variant.is_empty()),
    }
}

/// Which platforms are wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Platforms {
    /// All.
    All,
    /// One, or others whose programs run on it, in the order in which they are preferred (platforms/compare.go, `Only`).
    Only(Platform),
    /// One and no other.
    Strict(Platform),
}

impl Default for Platforms {
    fn default() -> Self {
        Self::Only(Platform::default())
    }
}

impl Platforms {
    /// How well a platform fits, 0 the best; none if it does not.
    pub fn rank(&self, platform: &Platform) -> Option<usize> {
        let platform = normal(platform);
        match self {
            Self::All => Some(0),
            Self::Strict(wanted) => (normal(wanted) == platform).then_some(0),
            Self::Only(wanted) => compatible(&normal(wanted))
                .iter()
                .position(|one| *one == platform),
        }
    }
}

/// A platform in its usual words (platforms/database.go).
pub fn normal(platform: &Platform) -> Platform {
    let lower = |text: &str| text.to_ascii_lowercase();
    let os = match &lower(&platform.os)[..] {
        "" => "linux".to_owned(),
        "macos" => "darwin".to_owned(),
        os => os.to_owned(),
    };
    let variant = lower(platform.variant.as_deref().unwrap_or_default());
    let architecture = lower(&platform.architecture);
    let (architecture, variant) = match (&architecture[..], &variant[..]) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    };
    Platform {
        os,
        architecture: architecture.to_owned(),
        variant: Some(variant.to_owned()).filter(|variant| !variant.is_empty()),
    }
}

/// What runs on a platform, the best first (platforms/compare.go, `platformVector`).
fn compatible(platform: &Platform) -> Vec<Platform> {
    let with = |architecture: &str, variant: Option<String>| Platform {
        os: platform.os.clone(),
        architecture: architecture.to_owned(),
        variant,
    };
    let version = |variant: &Option<String>| -> u32 {
        let digits = variant.as_deref().and_then(|variant| variant.strip_prefix('v'));
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0).min(9)
    };
    let mut found = vec![platform.clone()];
    let below = |architecture: &str, from: u32, to: u32| -> Vec<Platform> {
        let versions = (to..from).rev();
        let all = versions.map(|version| normal(&with(architecture, Some(format!("v{version}")))));
        all.collect()
    };
    match &platform.architecture[..] {
        "amd64" => {
            found.extend(below("amd64", version(&platform.variant), 1));
            found.push(with("386", None));
        }
        "arm" => found.extend(below("arm", version(&platform.variant), 5)),
        "arm64" => {
            let variant = platform.variant.clone().or_else(|| Some("v8".to_owned()));
            let top = version(&variant);
            found.push(with("arm", variant));
            found.extend(below("arm", top, 5));
        }
        _ => {}
    }
    found
}

/// A platform in one word (platforms/platforms.go, `Format`).
pub fn platform_text(platform: &Platform) -> String {
    if platform.os.is_empty() {
        return "unknown".to_owned();
    }
    let parts = [
        Some(&platform.os),
        Some(&platform.architecture),
        platform.variant.as_ref(),
    ];
    let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
    parts.map(String::as_str).collect::<Vec<_>>().join("/")
}

/// A manifest of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// What names it.
    pub descriptor: Descriptor,
    /// What names the configuration.
    pub config: Descriptor,
    /// What names the layers, bottom first.
    pub layers: Vec<Descriptor>,
}

/// What may be followed from one blob on. containerd has no limits; what has more is no image, but an attack on time.
pub(super) struct Budget {
    descriptors: u64,
    bytes: u64,
}

const DESCRIPTORS: u64 = 65_536;
/// Bytes of documents.
const BYTES: u64 = 128 << 20;

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            descriptors: DESCRIPTORS,
            bytes: BYTES,
        }
    }

    /// One more descriptor is followed.
    pub(super) fn take(&mut self, descriptor: &Descriptor, client: &Client<'_>) -> Result<()> {
        let is_document = matches!(Media::of(&descriptor.media_type), Media::Index | Media::Manifest);
        let here = client.store.namespace(&client.namespace);
        let blob = here.and_then(|here| here.content.get(&descriptor.digest));
        let size = blob.filter(|_| is_document).map_or(0, |blob| blob.size);
        self.spend(1, size)
    }

    /// So many descriptors are followed, and documents of so many bytes read.
    pub(super) fn spend(&mut self, descriptors: u64, size: u64) -> Result<()> {
        let spent = |what, limit| StoreError::TooMuch { what, limit };
        let left = self.descriptors.checked_sub(descriptors);
        self.descriptors = left.ok_or_else(|| spent("descriptors", DESCRIPTORS))?;
        let left = self.bytes.checked_sub(size);
        self.bytes = left.ok_or_else(|| spent("bytes of documents", BYTES))?;
        Ok(())
    }
}

impl Client<'_> {
    fn document(&self, descriptor: &Descriptor) -> Result<Document> {
        let content = self.content(&descriptor.digest)?;
        let document = Document::parse(content.read_all(SIZE_LIMIT)?);
        match document.error() {
            None => Ok(document),
            Some(error) => Err(StoreError::Document {
                what: descriptor.what(),
                digest: descriptor.digest.clone(),
                reason: error.to_string(),
            }),
        }
    }

    /// What a blob names, in order (images/image.go, `Children`).
    pub fn children(&self, descriptor: &Descriptor) -> Result<Vec<Descriptor>> {
        let media = Media::of(&descriptor.media_type);
        if !matches!(media, Media::Index | Media::Manifest) {
            return Ok(Vec::new());
        }
        let document = self.document(descriptor)?;
        let Some(root) = document.root() else {
            return Ok(Vec::new());
        };
        check_media(descriptor, root)?;
        let named = |name: &str| {
            let list = root.field(name).into_iter();
            list.flat_map(|list| list.elements()).map(Descriptor::of)
        };
        if media == Media::Index {
            return Ok(named("manifests").collect());
        }
        let config = root.field("config").map(Descriptor::of).unwrap_or_default();
        Ok(std::iter::once(config).chain(named("layers")).collect())
    }

    /// What an image's manifest is for a platform (images/image.go, `Manifest`).
    pub fn manifest(&self, target: &Descriptor, wanted: &Platforms) -> Result<Manifest> {
        let mut pending = vec![target.clone()];
        let mut was_index = false;
        let mut budget = Budget::new();
        while let Some(descriptor) = pending.pop() {
            budget.take(&descriptor, self)?;
            match Media::of(&descriptor.media_type) {
                Media::Manifest => {
                    let mut children = self.children(&descriptor)?.into_iter();
                    let config = children.next().unwrap_or_default();
                    let layers = children.collect();
                    let fits = match &descriptor.platform {
                        _ if descriptor.digest == target.digest => true,
                        Some(platform) => wanted.rank(platform).is_some(),
                        None => wanted.rank(&self.config_platform(&config)?).is_some(),
                    };
                    if fits {
                        return Ok(Manifest {
                            descriptor,
                            config,
                            layers,
                        });
                    }
                }
                Media::Index => {
                    was_index = true;
                    pending.extend(self.best(&descriptor, wanted)?);
                }
                _ => {
                    return Err(StoreError::MediaType {
                        media_type: descriptor.media_type,
                        digest: descriptor.digest,
                    });
                }
            }
        }
        let digest = target.digest.clone();
        Err(match was_index {
            true => StoreError::NoPlatform { digest },
            false => StoreError::NoManifest { digest },
        })
    }

    /// Of what an index names, what fits best; of equals the first. One without a platform goes before those after it.
    fn best(&self, index: &Descriptor, wanted: &Platforms) -> Result<Option<Descriptor>> {
        let rank = |descriptor: &Descriptor| match &descriptor.platform {
            None => Some(usize::MAX),
            Some(platform) => wanted.rank(platform),
        };
        let children = self.children(index)?.into_iter();
        let fitting = children.filter_map(|child| Some((rank(&child)?, child)));
        let best = fitting.min_by_key(|(rank, _)| *rank);
        Ok(best.map(|(_, child)| child))
    }

    pub(super) fn config_platform(&self, config: &Descriptor) -> Result<Platform> {
        let document = self.document(config)?;
        let root = document.root();
        Ok(normal(&Platform {
            os: root.map(|root| text(root, "os")).unwrap_or_default(),
            architecture: root.map(|root| text(root, "architecture")).unwrap_or_default(),
            variant: None,
        }))
    }

    /// The DiffIDs that a configuration says, as they are written.
    pub fn diff_ids(&self, config: &Descriptor) -> Result<Vec<String>> {
        let document = self.document(config)?;
        let list = document.at("/rootfs/diff_ids").into_iter();
        let ids = list.flat_map(|list| list.elements());
        Ok(ids
            .map(|id| id.as_str().unwrap_or_default().into_owned())
            .collect())
    }

    /// The configuration of an image for a platform, as it is written, with what names it.
    pub fn config(&self, target: &Descriptor, wanted: &Platforms) -> Result<(Descriptor, Document)> {
        let config = self.manifest(target, wanted)?.config;
        let document = self.document(&config)?;
        Ok((config, document))
    }

    /// Goes through what a blob leads to, itself first, in the order in which containerd walks. `enter` says whether to
    /// follow what it is shown, `choose` which of what that names.
    fn walk(
        &self,
        target: &Descriptor,
        mut enter: impl FnMut(&Descriptor) -> bool,
        mut choose: impl FnMut(&Descriptor, Vec<Descriptor>) -> Vec<Descriptor>,
    ) -> Result<()> {
        self.walk_by(target, &mut enter, &mut choose, &mut |descriptor| {
            self.children(descriptor)
        })
    }

    /// The same, asking somebody else what a blob names.
    pub(super) fn walk_by(
        &self,
        target: &Descriptor,
        enter: &mut dyn FnMut(&Descriptor) -> bool,
        choose: &mut dyn FnMut(&Descriptor, Vec<Descriptor>) -> Vec<Descriptor>,
        children: &mut dyn FnMut(&Descriptor) -> Result<Vec<Descriptor>>,
    ) -> Result<()> {
        let mut pending = vec![target.clone()];
        let mut budget = Budget::new();
        while let Some(descriptor) = pending.pop() {
            budget.take(&descriptor, self)?;
            if !enter(&descriptor) {
                continue;
            }
            let chosen = choose(&descriptor, children(&descriptor)?);
            pending.extend(chosen.into_iter().rev());
        }
        Ok(())
    }

    /// The manifests of an image, for all platforms, as far as they can be followed.
    pub(super) fn manifests(&self, target: &Descriptor) -> Vec<Manifest> {
        let mut found = Vec::new();
        let choose = |descriptor: &Descriptor, children: Vec<Descriptor>| {
            if Media::of(&descriptor.media_type) != Media::Manifest {
                return children;
            }
            let mut children = children.into_iter();
            found.push(Manifest {
                descriptor: descriptor.clone(),
                config: children.next().unwrap_or_default(),
                layers: children.collect(),
            });
            Vec::new()
        };
        // What stops the walk stops the picture there, and is told where the image is used.
        let _ = self.walk(target, |_| true, choose);
        found
    }
}

/// A manifest is no index, and an index no manifest (images/image.go, `validateMediaType`).
fn check_media(descriptor: &Descriptor, root: Node<'_>) -> Result<()> {
    let has = |name: &str| root.get(name).is_some();
    let said = Media::of(&text(root, "mediaType"));
    let reason = match Media::of(&descriptor.media_type) {
        _ if has("fsLayers") => "media-type: schema 1 not supported".to_owned(),
        Media::Manifest if has("manifests") || said == Media::Index => {
            format!(
                "media-type: expected manifest but found index ({})",
                descriptor.media_type
            )
        }
        Media::Index if has("config") || has("layers") || said == Media::Manifest => {
            format!(
                "media-type: expected index but found manifest ({})",
                descriptor.media_type
            )
        }
        _ => return Ok(()),
    };
    Err(StoreError::Document {
        what: "children: invalid desc",
        digest: descriptor.digest.clone(),
        reason,
    })
}
