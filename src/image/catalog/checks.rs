//! What the documents of an archive say together: names, platforms, media types, and what nobody names.

use std::collections::{BTreeMap, BTreeSet};

use super::link::text_of;
use super::problem::{BlobProblem, DocumentProblem, LayerProblem, LayoutProblem, NameProblem, Place};
use super::walk::Walk;
use super::{Claim, Format, ImageEntry, LinkId, NameSource, NodeId, NodeKind, Role};
use crate::compress::inflate::Packing;
use crate::digest::Digest;
use crate::image::config::Platform;
use crate::image::json;
use crate::image::manifest::{CONTAINERD_NAME, INDEX, REF_NAME};
use crate::image::media::{Media, REFERENCE_DIGEST};
use crate::image::reference::Reference;

/// What registries take of one manifest (distribution-spec, "Pushing Manifests").
const REGISTRY_LIMIT: u64 = 4 << 20;

/// Looks at all that was found.
pub(super) fn check(walk: &mut Walk) {
    for index in 0..walk.catalog.nodes.len() {
        document(walk, NodeId(index as u32));
    }
    for index in 0..walk.catalog.links.len() {
        link(walk, LinkId(index as u32));
    }
    index_names(walk);
    blobs(walk);
    for index in 0..walk.catalog.images.len() {
        let image = walk.catalog.images[index].clone();
        names(walk, &image);
        platform(walk, &image);
        layers(walk, &image);
    }
    docker(walk);
}

/// A document by itself.
fn document(walk: &mut Walk, id: NodeId) {
    let node = walk.catalog.node(id);
    let (kind, size) = (node.kind, node.size().unwrap_or(0));
    let Some(document) = node.document.clone() else {
        return;
    };
    let Some(root) = document.root().filter(|root| root.kind() == json::Kind::Object) else {
        return;
    };
    let is_index_json = walk.catalog.root("index.json") == Some(id);
    if kind != NodeKind::Index && !kind.is_manifest() {
        return;
    }
    if size > REGISTRY_LIMIT {
        walk.problem(DocumentProblem::LargeForRegistries { size }, Place::of(id));
    }
    match text_of(root, "mediaType") {
        None => walk.problem(DocumentProblem::NoMediaType, Place::of(id)),
        Some(own) if is_index_json && own != INDEX => {
            let claimed = INDEX.to_owned();
            let value = root.field("mediaType").unwrap_or(root);
            walk.problem_at(BlobProblem::MediaTypeMismatch { claimed, own }, id, value);
        }
        Some(_) => {}
    }
    if kind == NodeKind::Index {
        return attestations_and_platforms(walk, id);
    }
    let layers = root.field("layers");
    if let Some(layers) = layers.filter(|layers| layers.elements().next().is_none()) {
        walk.problem_at(DocumentProblem::NoLayers, id, layers);
    }
    let config_type = root
        .field("config")
        .and_then(|config| text_of(config, "mediaType"));
    let is_empty = config_type.is_some_and(|text| Media::of(&text) == Media::Empty);
    if is_empty && root.field("artifactType").is_none() {
        walk.problem_at(DocumentProblem::NoArtifactType, id, root);
    }
}

/// A descriptor, beside what it points to.
fn link(walk: &mut Walk, id: LinkId) {
    let link = walk.catalog.link(id);
    let to = walk.catalog.node(link.to);
    let mut found = Vec::new();
    let media = link.media_type.as_deref().map(Media::of);
    let document = to
        .document
        .as_ref()
        .filter(|_| to.kind == NodeKind::Index || to.kind.is_manifest());
    let own = document.and_then(|document| text_of(document.root()?, "mediaType"));
    if let (Some(claimed), Some(own)) = (&link.media_type, own)
        && *claimed != own
    {
        let claimed = claimed.clone();
        found.push(BlobProblem::MediaTypeMismatch { claimed, own });
    }
    if media == Some(Media::OldManifest) {
        found.push(BlobProblem::OldManifest);
    }
    let empty = Digest::of(b"{}");
    if media == Some(Media::Empty)
        && link
            .digest
            .as_ref()
            .is_some_and(|claim| claim.sha256() != Some(empty))
    {
        found.push(BlobProblem::NotEmpty);
    }
    let is_root_entry = walk.catalog.roots.contains(&link.from) && link.role == Role::Entry;
    if let Some(name) = link.annotation(REF_NAME) {
        if !is_root_entry {
            found.push(BlobProblem::RefNameMisplaced);
        } else if !is_ref_name(name) {
            let name = name.to_owned();
            found.push(BlobProblem::RefNameForm { name });
        }
    }
    if let Some(platform) = &link.platform
        && let Some(go_name) = go_name(&platform.architecture)
    {
        let name = platform.architecture.clone();
        found.push(BlobProblem::PlatformAlias { name, go_name });
    }
    let place = Place::of_link(link);
    for kind in found {
        walk.problem(kind, place.clone());
    }
}

/// annotations.md: components of letters and digits, joined by single separators, or by `--`.
fn is_ref_name(name: &str) -> bool {
    let is_component = |component: &str| {
        let bytes = component.replace("--", "-").into_bytes();
        let is_separator = |byte: u8| b"-._:@+".contains(&byte);
        let joined = bytes
            .windows(2)
            .all(|pair| !is_separator(pair[0]) || !is_separator(pair[1]));
        let ends = [bytes.first(), bytes.last()];
        joined
            && bytes
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || is_separator(byte))
            && ends
                .into_iter()
                .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
    };
    name.split('/').all(is_component)
}

/// Go's name of a processor that is called by another (containerd, platforms, `normalizeArch`).
fn go_name(architecture: &str) -> Option<&'static str> {
    Some(match architecture.to_ascii_lowercase().as_str() {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "armhf" => "arm with the variant v7",
        "armel" => "arm with the variant v6",
        "i386" | "i486" | "i586" | "i686" | "x86" => "386",
        _ => return None,
    })
}

/// A platform as tools compare it: by Go's names, with the variant that is meant where none is said
/// (containerd, platforms, `Normalize`).
fn normal(platform: &Platform) -> Platform {
    let os = match platform.os.to_ascii_lowercase().as_str() {
        "macos" => "darwin".to_owned(),
        os => os.to_owned(),
    };
    let variant = platform.variant.as_ref().map(|text| text.to_ascii_lowercase());
    let (architecture, variant) = match (
        platform.architecture.to_ascii_lowercase().as_str(),
        variant.as_deref(),
    ) {
        ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64".to_owned(), None),
        ("x86_64" | "x86-64", _) => ("amd64".to_owned(), variant),
        ("aarch64" | "arm64", None | Some("8" | "v8")) => ("arm64".to_owned(), None),
        ("aarch64", _) => ("arm64".to_owned(), variant),
        ("armhf", _) | ("arm", None | Some("7")) => ("arm".to_owned(), Some("v7".to_owned())),
        ("armel", _) | ("arm", Some("6")) => ("arm".to_owned(), Some("v6".to_owned())),
        ("arm", Some("5")) => ("arm".to_owned(), Some("v5".to_owned())),
        ("i386", _) => ("386".to_owned(), None),
        (other, _) => (other.to_owned(), variant),
    };
    Platform {
        os,
        architecture,
        variant,
    }
}

/// What attestations are about, and platforms that occur twice.
fn attestations_and_platforms(walk: &mut Walk, id: NodeId) {
    let is_root = walk.catalog.roots.contains(&id);
    let links: Vec<LinkId> = walk.catalog.node(id).links_out.clone();
    let digests: BTreeSet<String> = (links.iter())
        .filter_map(|&link| Some(walk.catalog.link(link).digest.as_ref()?.text().to_owned()))
        .collect();
    let mut platforms = BTreeSet::new();
    for id in links {
        let link = walk.catalog.link(id);
        if link.role != Role::Entry {
            continue;
        }
        let place = Place::of_link(link);
        match walk.catalog.node(link.to).kind {
            NodeKind::Attestation => {
                let digest = link.annotation(REFERENCE_DIGEST).map(str::to_owned);
                if digest.as_ref().is_none_or(|digest| !digests.contains(digest)) {
                    walk.problem(BlobProblem::AttestationSubject { digest }, place);
                }
            }
            // In index.json are images of all names.
            NodeKind::Manifest if !is_root => {
                // Windows has many images of one platform that differ in its version.
                let platform = link.platform.as_ref().filter(|platform| platform.os != "windows");
                let platform = platform.map(|platform| normal(platform).to_string());
                if let Some(platform) = platform
                    && !platforms.insert(platform.clone())
                {
                    walk.problem(BlobProblem::SamePlatform { platform }, place);
                }
            }
            _ => {}
        }
    }
}

/// The entries of `index.json` as tools look for them.
fn index_names(walk: &mut Walk) {
    let Some(root) = walk.catalog.root("index.json") else {
        return;
    };
    let links = walk.catalog.node(root).links_out.clone();
    if links.len() > 1 && walk.catalog.format == Format::Oci {
        let count = links.len();
        walk.problem(LayoutProblem::SeveralImages { count }, Place::of(root));
    }
    let mut names = BTreeSet::new();
    for id in links {
        let link = walk.catalog.link(id);
        let name = link.annotation(CONTAINERD_NAME).or(link.annotation(REF_NAME));
        if let Some(name) = name.map(str::to_owned)
            && !names.insert(name.clone())
        {
            let place = Place::of_link(link);
            walk.problem(NameProblem::SameName { name }, place);
        }
    }
}

/// The blobs that no document names.
fn blobs(walk: &mut Walk) {
    let catalog = &walk.catalog;
    if matches!(catalog.format, Format::Layer | Format::DockerLegacy) {
        return;
    }
    let named: BTreeSet<&[u8]> = walk.known.keys().map(|(path, _)| &path[..]).collect();
    let (mut unnamed, mut stray) = (Vec::new(), Vec::new());
    for path in catalog
        .files
        .paths_under(b"blobs/")
        .filter(|path| !named.contains(path))
    {
        let claim = str::from_utf8(&path[b"blobs/".len()..]).ok();
        let claim = claim.map(|text| Claim::new(text.replacen('/', ":", 1)));
        match claim.and_then(|claim| claim.path()) {
            Some(own) if own.as_bytes() == path => unnamed.push(path.to_vec()),
            _ => stray.push(path.to_vec()),
        }
    }
    for (paths, is_stray) in [(unnamed, false), (stray, true)] {
        let count = paths.len();
        let Some(first) = paths.into_iter().next() else {
            continue;
        };
        let kind = match is_stray {
            false => LayoutProblem::UnnamedBlobs { count, first },
            true => LayoutProblem::StrayFiles { count, first },
        };
        walk.problem(kind, Place::default());
    }
}

/// Where an image is named: its descriptor, Docker's list, or else its configuration.
fn place_of(walk: &Walk, image: &ImageEntry) -> Place {
    if let Some(&link) = image.path.last() {
        return Place::of_link(walk.catalog.link(link));
    }
    let layer = image.layers.first().and_then(|layer| layer.link);
    let list = layer.map(|link| walk.catalog.link(link).from);
    list.or(image.config).map_or_else(Place::default, Place::of)
}

fn names(walk: &mut Walk, image: &ImageEntry) {
    if matches!(walk.catalog.format, Format::Layer | Format::Dir) {
        return;
    }
    let place = place_of(walk, image);
    if image.names.is_empty() {
        walk.problem(NameProblem::Unnamed, place.clone());
    }
    for name in &image.names {
        let text = name.text.clone();
        let canonical = Reference::parse(&text)
            .ok()
            .map(|reference| reference.canonical());
        match name.source {
            NameSource::RefName if !text.contains([':', '/']) => {
                walk.problem(NameProblem::BareTag { tag: text }, place.clone());
            }
            NameSource::Containerd if canonical.as_ref() != Some(&text) => {
                let kind = NameProblem::NameNotCanonical {
                    name: text,
                    canonical,
                };
                walk.problem(kind, place.clone());
            }
            _ => {}
        }
    }
}

fn platform(walk: &mut Walk, image: &ImageEntry) {
    let Some(config) = image.config else { return };
    let Some(document) = walk.catalog.node(config).document.clone() else {
        return;
    };
    let Some(root) = document.root() else { return };
    if let Some(name) = text_of(root, "architecture")
        && let Some(go_name) = go_name(&name)
    {
        let value = root.field("architecture").unwrap_or(root);
        walk.problem_at(BlobProblem::PlatformAlias { name, go_name }, config, value);
    }
    let own = super::images::platform(root);
    let claimed = image
        .path
        .last()
        .and_then(|&link| walk.catalog.link(link).platform.clone());
    if let (Some(own), Some(claimed)) = (own, claimed)
        && normal(&own) != normal(&claimed)
    {
        let kind = NameProblem::PlatformMismatch {
            claimed: claimed.to_string(),
            config: own.to_string(),
        };
        let place = place_of(walk, image);
        walk.problem(kind, place);
    }
}

fn layers(walk: &mut Walk, image: &ImageEntry) {
    for layer in &image.layers {
        let Some(link) = layer.link.map(|link| walk.catalog.link(link)) else {
            continue;
        };
        let Some(media_type) = link.media_type.clone() else {
            continue;
        };
        let place = Place::of_link(link);
        let Media::Layer(claimed) = Media::of(&media_type) else {
            walk.problem(LayerProblem::LayerType { media_type }, place);
            continue;
        };
        let actual = walk.catalog.node(layer.node).packing;
        if claimed.is_foreign {
            walk.problem(LayerProblem::NonDistributable, place.clone());
        }
        match actual {
            Some(actual) if actual != claimed.packing => {
                let (claimed, is_docker) = (claimed.packing, claimed.is_docker);
                let kind = LayerProblem::Packing {
                    claimed,
                    actual,
                    is_docker,
                };
                walk.problem(kind, place);
            }
            Some(Packing::Zstd) => walk.problem(LayerProblem::ZstdLayer, place),
            _ => {}
        }
    }
}

/// Docker's list: its names, and whether it says what the index says.
fn docker(walk: &mut Walk) {
    let Some(list) = walk.catalog.root("manifest.json") else {
        return;
    };
    let mut images: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for image in &walk.catalog.images {
        let layers = image.layers.iter().map(|layer| layer.node);
        images.extend(image.config.map(|config| (config, layers.collect())));
    }
    for number in 0..walk.catalog.docker.len() {
        let entry = walk.catalog.docker[number].clone();
        for (tag, text) in entry.tags.iter().enumerate() {
            let name = text.rsplit('/').next().unwrap_or_default();
            let reason = match Reference::parse(text) {
                Ok(_) if name.contains(':') => continue,
                Ok(_) => "it has no tag".to_owned(),
                Err(error) => error.to_string(),
            };
            let tag_text = text.clone();
            let pointer = format!("/{number}/RepoTags/{tag}");
            let kind = LayoutProblem::DockerTag {
                tag: tag_text,
                reason,
            };
            walk.problem(kind, Place::pointer(list, pointer));
        }
        let to = |link: LinkId| walk.catalog.link(link).to;
        let config = entry.config.map(to);
        let layers: Vec<_> = entry.layers.iter().map(|&link| to(link)).collect();
        let agrees = config.is_some_and(|config| images.get(&config) == Some(&layers));
        if walk.catalog.format == Format::OciAndDocker && !agrees {
            let place = Place::pointer(list, format!("/{number}"));
            walk.problem(LayoutProblem::ViewsDisagree, place);
        }
    }
}
