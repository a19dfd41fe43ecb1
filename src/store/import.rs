//! Importing an archive of images: its files become blobs, what it calls them becomes names (containerd, import.go and
//! images/archive/importer.go).

use std::collections::BTreeMap;

use super::content::UNCOMPRESSED;
use super::document::Budget;
use super::{Client, Descriptor, Platforms, Result, StoreError};
use crate::compress::inflate::Packing;
use crate::content::Content;
use crate::image::created;
use crate::image::json::{Document, Node, SIZE_LIMIT};
use crate::image::manifest::{CONTAINERD_NAME, INDEX, REF_NAME};
use crate::image::reference::Reference;
use crate::layer::dialect::path::join;
use crate::layer::dialect::{Archive, Archived};
use crate::text::escape;

/// A file of an archive.
#[derive(Clone, Debug)]
pub enum ArchiveFile {
    /// A regular file.
    File(Vec<u8>, Content),
    /// A symbolic link, and where it leads.
    Symlink(Vec<u8>, Vec<u8>),
}

/// The files of a tar, in order, as Go's archive/tar reads them: containerd takes no packed archives.
pub fn files_of(tar: &Content) -> Result<Vec<ArchiveFile>> {
    let mut archive = Archive::new(tar.clone());
    let mut files = Vec::new();
    loop {
        let next = archive.next().map_err(|error| StoreError::Archive {
            reason: error.to_string(),
        })?;
        let Some(file) = next else {
            return Ok(files);
        };
        match file.kind {
            Archived::File(content) => files.push(ArchiveFile::File(file.name, content)),
            Archived::Symlink(target) => files.push(ArchiveFile::Symlink(file.name, target)),
            Archived::Other => {}
        }
        check_count(files.len())?;
    }
}

fn check_count(files: usize) -> Result<()> {
    match files > FILES {
        false => Ok(()),
        true => Err(StoreError::TooMuch {
            what: "files in an archive",
            limit: FILES as u64,
        }),
    }
}

/// How an archive is imported: the flags of `ctr images import`.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// `--base-name`: what stands before names that are tags only; full names must begin with it.
    pub base_name: Option<String>,
    /// `--digests`: names with digests are made too.
    pub digests: bool,
    /// `--skip-digest-for-named`: but not for what has a name.
    pub skip_digest_for_named: bool,
    /// `--index-name`: a name for the archive's index.
    pub index_name: Option<String>,
    /// `--platform` or `--all-platforms`: what of an index is kept.
    pub platforms: Platforms,
}

/// Files by their paths, with what names them.
type Blobs = BTreeMap<Vec<u8>, Descriptor>;
/// Packed blobs by the digests of what is in them.
type Packed = BTreeMap<String, Descriptor>;

impl Client<'_> {
    /// Imports an archive: the names that it made, each with its target, in order.
    pub fn import(&mut self, files: &[ArchiveFile], how: &Import) -> Result<Vec<(String, Descriptor)>> {
        check_count(files.len())?;
        self.with_lease(|client| {
            let index = client.import_index(files)?;
            let images = client.follow_index(&index, how)?;
            client.check_reach(&images)?;
            for (name, target) in &images {
                client.set_image(name, target.clone())?;
            }
            Ok(images)
        })
    }

    /// Keeps all files of an archive, and gives the index of what is in it (`ImportIndex`).
    fn import_index(&mut self, files: &[ArchiveFile]) -> Result<Descriptor> {
        let mut blobs = Blobs::new();
        let (mut layout, mut docker) = (None, None);
        let mut links = Vec::new();
        for file in files {
            match file {
                ArchiveFile::Symlink(path, target) => {
                    let directory = path.iter().rposition(|&byte| byte == b'/');
                    let directory = directory.map_or(&b""[..], |end| &path[..=end]);
                    links.push((path, clean(&[directory, target].concat())));
                }
                ArchiveFile::File(path, content) => match &clean(path)[..] {
                    b"oci-layout" => layout = Some(read_json(path, content)?),
                    b"manifest.json" => docker = Some(read_json(path, content)?),
                    name => {
                        let digest = self.add_content(&escape(name), content)?;
                        blobs.insert(name.to_vec(), blob(digest.to_string(), content.len()));
                    }
                },
            }
        }
        let version = layout.as_ref().and_then(|layout| {
            let version = layout.at("/imageLayoutVersion")?;
            version.as_str().map(|version| version.into_owned())
        });
        match version.unwrap_or_default().as_str() {
            "" => {}
            "1.0.0" => {
                let index = blobs.remove(&b"index.json"[..]).ok_or(StoreError::NoIndex)?;
                return Ok(Descriptor {
                    media_type: INDEX.to_owned(),
                    ..index
                });
            }
            version => {
                return Err(StoreError::LayoutVersion {
                    version: version.to_owned(),
                });
            }
        }
        let docker = docker.ok_or(StoreError::NoImageFormat)?;
        for (path, target) in links {
            let found = blobs.get(&target).cloned();
            let found = found.ok_or_else(|| StoreError::NoLinkTarget {
                path: escape(path),
                target: escape(&target),
            })?;
            blobs.insert(path.clone(), found);
        }
        self.docker_index(&docker, &blobs)
    }

    /// Writes a manifest for each image of a docker archive, and an index of them.
    fn docker_index(&mut self, docker: &Document, blobs: &Blobs) -> Result<Descriptor> {
        let mut manifests = Vec::new();
        let mut budget = Budget::new();
        let packed = self.packed();
        for image in docker.root().into_iter().flat_map(|root| root.elements()) {
            let (manifest, config) = self.docker_manifest(image, blobs, &packed, &mut budget)?;
            let platform = self.platform_json(&config)?;
            let tags = image
                .field("RepoTags")
                .into_iter()
                .flat_map(|tags| tags.elements());
            let tags: Vec<_> = tags.filter_map(|tag| tag.as_str()).collect();
            if tags.is_empty() {
                manifests.push(descriptor_json(&manifest, "", &platform));
            }
            for tag in tags {
                let name = Reference::parse(&tag).map_err(|error| StoreError::Archive {
                    reason: format!("normalize image ref {tag:?}: {error}"),
                })?;
                let annotations = format!(
                    r#","annotations":{{"{CONTAINERD_NAME}":"{}","{REF_NAME}":"{}"}}"#,
                    name.canonical(),
                    name.tag()
                );
                manifests.push(descriptor_json(&manifest, &annotations, &platform));
            }
        }
        let list = match manifests.is_empty() {
            true => "null".to_owned(),
            false => format!("[{}]", manifests.join(",")),
        };
        let json = format!(r#"{{"schemaVersion":2,"manifests":{list}}}"#);
        self.write_document("an index for the docker archive", INDEX, json)
    }

    /// The blobs that are known to be others packed, by the digests of those.
    fn packed(&self) -> Packed {
        let here = self.here();
        let known = here.content.iter().filter_map(|(digest, found)| {
            let unpacked = found.labels.get(UNCOMPRESSED)?;
            Some((unpacked.clone(), blob(digest.to_owned(), found.size)))
        });
        known.collect()
    }

    fn docker_manifest(
        &mut self,
        image: Node<'_>,
        blobs: &Blobs,
        packed: &Packed,
        budget: &mut Budget,
    ) -> Result<(Descriptor, Descriptor)> {
        let config = image.field("Config").and_then(|config| config.as_str());
        let config = config.unwrap_or_default();
        let found = blobs.get(config.as_bytes()).cloned();
        let found = found.ok_or_else(|| StoreError::NoConfigFile {
            path: config.to_string(),
        })?;
        let config = Descriptor {
            media_type: DOCKER_CONFIG.to_owned(),
            ..found
        };
        let mut layers = Vec::new();
        let paths = image.field("Layers").into_iter().flat_map(|list| list.elements());
        for path in paths.filter_map(|path| path.as_str()) {
            let found = blobs.get(path.as_bytes()).cloned();
            let found = found.ok_or_else(|| StoreError::NoLayerFile {
                path: path.to_string(),
            })?;
            budget.take(&found, self)?;
            layers.push(self.docker_layer(found, packed)?);
        }
        let layers: Vec<String> = layers
            .iter()
            .map(|layer| descriptor_json(layer, "", ""))
            .collect();
        let json = format!(
            r#"{{"schemaVersion":2,"mediaType":"{DOCKER_MANIFEST}","config":{},"layers":[{}]}}"#,
            descriptor_json(&config, "", ""),
            layers.join(",")
        );
        let manifest = self.write_document("a manifest for the docker archive", DOCKER_MANIFEST, json)?;
        Ok((manifest, config))
    }

    /// What names a layer of a docker archive: if a blob is known to be the same packed, that one (`resolveLayers`).
    fn docker_layer(&self, layer: Descriptor, packed: &Packed) -> Result<Descriptor> {
        let layer = packed.get(&layer.digest).cloned().unwrap_or(layer);
        let media_type = match Packing::of(&self.content(&layer.digest)?)? {
            Packing::Plain => "application/vnd.docker.image.rootfs.diff.tar",
            _ => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        };
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            ..layer
        })
    }

    /// The platform that a configuration says, as the member of a descriptor.
    fn platform_json(&self, config: &Descriptor) -> Result<String> {
        let platform = self.config_platform(config)?;
        let quoted = |text: &str| serde_json::to_string(text).expect("a text is always JSON");
        let variant = platform.variant.iter();
        let variant: String = variant
            .map(|text| format!(r#","variant":{}"#, quoted(text)))
            .collect();
        Ok(format!(
            r#","platform":{{"architecture":{},"os":{}{variant}}}"#,
            quoted(&platform.architecture),
            quoted(&platform.os)
        ))
    }

    fn write_document(&mut self, what: &str, media_type: &str, json: String) -> Result<Descriptor> {
        let content = Content::inline(json.into_bytes());
        let digest = self.add_content(what, &content)?;
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            ..blob(digest.to_string(), content.len())
        })
    }

    /// Labels all that an index leads to, and gives the names that it makes (`Import`).
    fn follow_index(&mut self, index: &Descriptor, how: &Import) -> Result<Vec<(String, Descriptor)>> {
        let mut images = Vec::new();
        if let Some(name) = &how.index_name {
            images.push((name.clone(), index.clone()));
        }
        let mut is_empty = true;
        let mut pending = vec![index.clone()];
        let mut budget = Budget::new();
        while let Some(descriptor) = pending.pop() {
            budget.take(&descriptor, self)?;
            let children = self.children(&descriptor)?;
            if descriptor.digest == index.digest {
                for child in &children {
                    self.name_images(child, how, &mut images);
                }
            }
            let is_wanted = |child: &Descriptor| {
                let platform = child.platform.as_ref();
                platform.is_none_or(|platform| how.platforms.rank(platform).is_some())
            };
            let children: Vec<Descriptor> = children.into_iter().filter(is_wanted).collect();
            is_empty &= children.is_empty();
            self.label_children(&descriptor, &children)?;
            pending.extend(children.into_iter().rev());
        }
        match is_empty {
            true => Err(StoreError::Filtered),
            false => Ok(images),
        }
    }

    /// Names cost nothing, what they lead to is told of each: that of all of them together is limited too. An index
    /// can name a manifest that it follows once as often as it likes, for platforms that are not wanted.
    fn check_reach(&self, images: &[(String, Descriptor)]) -> Result<()> {
        let here = self.here();
        let mut budget = Budget::new();
        for (_, target) in images {
            budget.take(target, self)?;
            budget.spend(here.reach_of(&target.digest) as u64 - 1, 0)?;
        }
        Ok(())
    }

    /// The names that an entry of the index has.
    fn name_images(&self, entry: &Descriptor, how: &Import, images: &mut Vec<(String, Descriptor)>) {
        let said = |key: &str| entry.annotations.get(key).filter(|name| !name.is_empty());
        let prefix = how.base_name.clone().unwrap_or_else(|| {
            let now = created::from_seconds(self.now.seconds).unwrap_or_default();
            format!("import-{}", now.get(..10).unwrap_or_default())
        });
        let name = match (said(CONTAINERD_NAME), said(REF_NAME)) {
            (Some(name), _) => name.clone(),
            (None, Some(name)) => translate(name, &prefix, how.base_name.is_some()),
            (None, None) => String::new(),
        };
        if !name.is_empty() {
            images.push((name.clone(), entry.clone()));
        }
        if how.digests && (name.is_empty() || !how.skip_digest_for_named) {
            images.push((format!("{prefix}@{}", entry.digest), entry.clone()));
        }
    }

    /// Labels a blob with those that it names, so that garbage collection follows (`SetChildrenLabels`).
    fn label_children(&mut self, descriptor: &Descriptor, children: &[Descriptor]) -> Result<()> {
        if children.is_empty() {
            return Ok(());
        }
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let mut labels = Vec::new();
        for child in children {
            let label = child.gc_label();
            let count = counts.entry(label).or_default();
            let label = match *count > 0 || label.ends_with('.') {
                true => format!("{label}{count}"),
                false => label.to_owned(),
            };
            *count += 1;
            labels.push((label, child.digest.clone()));
        }
        self.label_content(&descriptor.digest, &labels)
    }
}

const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The most files of an archive: every one becomes a blob, and what has more is none of images.
const FILES: usize = 10_000;

fn blob(digest: String, size: u64) -> Descriptor {
    Descriptor {
        digest,
        size: size.try_into().unwrap_or(i64::MAX),
        ..Descriptor::default()
    }
}

/// A descriptor as Go's encoding/json writes it; nothing in it needs an escape.
fn descriptor_json(descriptor: &Descriptor, annotations: &str, platform: &str) -> String {
    let Descriptor {
        media_type,
        digest,
        size,
        ..
    } = descriptor;
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}{annotations}{platform}}}"#)
}

/// What `--base-name`, or the date in its place, makes of a name (images/archive/reference.go, `refTranslator`).
fn translate(name: &str, prefix: &str, must_have_prefix: bool) -> String {
    if !name.contains(['/', ':', '@']) {
        return format!("{prefix}:{name}");
    }
    let rest = name.strip_prefix(prefix);
    let has_prefix = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']));
    match must_have_prefix && !has_prefix {
        true => String::new(),
        false => name.to_owned(),
    }
}

/// A path without `.`, `..` and double slashes.
fn clean(path: &[u8]) -> Vec<u8> {
    join(b"", path)
}

fn read_json(path: &[u8], content: &Content) -> Result<Document> {
    let document = Document::parse(content.read_all(SIZE_LIMIT)?);
    match document.error() {
        None => Ok(document),
        Some(error) => Err(StoreError::Archive {
            reason: format!("untar {:?}: {error}", escape(path)),
        }),
    }
}
