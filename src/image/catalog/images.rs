//! The images of a catalog: what a runtime could run, with names, layers and the history beside them.

use std::collections::{BTreeMap, BTreeSet};

use super::link::text_of;
use super::problem::{LayerProblem, Place};
use super::walk::Walk;
use super::{
    Catalog, Claim, Format, HistoryEntry, ImageEntry, LayerEntry, LinkId, Name, NameSource, NodeId, NodeKind,
    Role,
};
use crate::digest::{Digest, chain_id};
use crate::image::config::Platform;
use crate::image::json;
use crate::image::manifest::{CONTAINERD_NAME, REF_NAME};

/// An image of one layer without documents.
pub(super) fn of_bare_layer(node: NodeId) -> ImageEntry {
    ImageEntry {
        names: Vec::new(),
        manifest: None,
        config: None,
        platform: None,
        layers: vec![LayerEntry {
            node,
            link: None,
            diff_id: None,
            chain_id: None,
            history: None,
        }],
        history: Vec::new(),
        path: Vec::new(),
        docker: None,
    }
}

/// Finds all images, and says what does not fit in them.
pub(super) fn find(walk: &mut Walk) {
    let images = match walk.catalog.format {
        Format::Oci | Format::OciAndDocker | Format::Dir => of_index(&walk.catalog),
        Format::Docker | Format::DockerLegacy => of_docker_list(&walk.catalog),
        Format::Layer => return,
    };
    let mut in_list = BTreeMap::new();
    for (number, entry) in walk.catalog.docker.iter().enumerate() {
        let config = entry.config.map(|link| walk.catalog.link(link).to);
        if let Some(config) = config {
            in_list.entry(config).or_insert(number);
        }
    }
    for mut image in images {
        image.docker = image.docker.or_else(|| in_list.get(&image.config?).copied());
        let image = complete(walk, image);
        walk.catalog.images.push(image);
    }
}

/// The manifests that `index.json` leads to, and that can be read, in the order of the documents. One that
/// several links lead to is one image.
fn of_index(catalog: &Catalog) -> Vec<ImageEntry> {
    let mut images: Vec<ImageEntry> = Vec::new();
    let mut seen = BTreeSet::new();
    let Some(root) = catalog.root("index.json").or(catalog.root("manifest.json")) else {
        return images;
    };
    if catalog.node(root).kind == NodeKind::Manifest {
        images.push(of_manifest(catalog, root, Vec::new(), Vec::new()));
    }
    // Links that are to be followed, the next one last; with the links that lead there.
    let mut stack: Vec<Vec<LinkId>> = Vec::new();
    let push = |stack: &mut Vec<Vec<LinkId>>, node: NodeId, path: &[LinkId]| {
        for &link in catalog.node(node).links_out.iter().rev() {
            if catalog.link(link).role == Role::Entry {
                stack.push([path, &[link]].concat());
            }
        }
    };
    push(&mut stack, root, &[]);
    let mut steps = NAME_STEPS;
    while let Some(path) = stack.pop() {
        let Some(&last) = path.last() else { continue };
        let id = catalog.link(last).to;
        match catalog.node(id).kind {
            NodeKind::Index if seen.insert(id) => push(&mut stack, id, &path),
            NodeKind::Manifest if catalog.node(id).document.is_some() && seen.insert(id) => {
                let names = names(catalog, root, id, &mut steps);
                images.push(of_manifest(catalog, id, path, names));
            }
            _ => {}
        }
    }
    images
}

/// How many links are followed, for all images of an archive, to find their names.
const NAME_STEPS: usize = 1 << 20;

/// The names of all entries of `index.json` that lead to a manifest, in their order: names count there only.
/// containerd takes its own annotation as it stands, else the other.
fn names(catalog: &Catalog, root: NodeId, manifest: NodeId, steps: &mut usize) -> Vec<Name> {
    let mut entries = BTreeSet::new();
    let (mut stack, mut seen) = (vec![manifest], BTreeSet::new());
    while let Some(id) = stack.pop() {
        for &link in &catalog.node(id).links_in {
            let from = catalog.link(link).from;
            if *steps == 0 || catalog.link(link).role != Role::Entry {
                continue;
            }
            *steps -= 1;
            if from == root {
                entries.insert(link);
            } else if seen.insert(from) {
                stack.push(from);
            }
        }
    }
    let name = |link: LinkId| {
        let annotation = |key, source| {
            let text = catalog.link(link).annotation(key)?.to_owned();
            Some(Name { text, source })
        };
        annotation(CONTAINERD_NAME, NameSource::Containerd)
            .or_else(|| annotation(REF_NAME, NameSource::RefName))
    };
    entries.into_iter().filter_map(name).collect()
}

fn of_manifest(catalog: &Catalog, id: NodeId, path: Vec<LinkId>, names: Vec<Name>) -> ImageEntry {
    let mut image = ImageEntry {
        names,
        manifest: Some(id),
        config: None,
        platform: path.last().and_then(|&link| catalog.link(link).platform.clone()),
        layers: Vec::new(),
        history: Vec::new(),
        path,
        docker: None,
    };
    for &link in &catalog.node(id).links_out {
        let to = catalog.link(link).to;
        match catalog.link(link).role {
            Role::Config => image.config = Some(to),
            Role::Layer(_) => image.layers.push(layer(to, link)),
            _ => {}
        }
    }
    image
}

fn layer(node: NodeId, link: LinkId) -> LayerEntry {
    LayerEntry {
        node,
        link: Some(link),
        diff_id: None,
        chain_id: None,
        history: None,
    }
}

fn of_docker_list(catalog: &Catalog) -> Vec<ImageEntry> {
    let entries = catalog.docker.iter().enumerate();
    entries
        .map(|(number, entry)| ImageEntry {
            names: (entry.tags.iter().cloned())
                .map(|text| Name {
                    text,
                    source: NameSource::Docker,
                })
                .collect(),
            manifest: None,
            config: entry.config.map(|link| catalog.link(link).to),
            platform: None,
            layers: (entry.layers.iter())
                .map(|&link| layer(catalog.link(link).to, link))
                .collect(),
            history: Vec::new(),
            path: Vec::new(),
            docker: Some(number),
        })
        .collect()
}

/// Adds to an image what its configuration says.
fn complete(walk: &mut Walk, mut image: ImageEntry) -> ImageEntry {
    let Some(id) = image.config else { return image };
    let Some(document) = walk.catalog.node(id).document.clone() else {
        return image;
    };
    let Some(root) = document.root() else { return image };
    image.platform = image.platform.or_else(|| platform(root));
    let diff_ids = root.field("rootfs").and_then(|rootfs| rootfs.field("diff_ids"));
    let mut chain: Option<Digest> = None;
    let mut is_whole = true;
    let mut elements = diff_ids.iter().flat_map(json::Node::elements);
    for layer in &mut image.layers {
        let diff_id = elements.next().and_then(|value| value.as_str());
        layer.diff_id = diff_id.map(Claim::new);
        let digest = layer.diff_id.as_ref().and_then(Claim::sha256);
        is_whole &= digest.is_some();
        chain = digest.filter(|_| is_whole).map(|digest| chain_id(chain, digest));
        layer.chain_id = chain;
    }
    let is_legacy = walk.catalog.format == Format::DockerLegacy;
    let count = diff_ids.map_or(0, |list| list.elements().count());
    if count != image.layers.len() && !is_legacy {
        let layers = image.layers.len();
        let place = Place::at(id, diff_ids.unwrap_or(root));
        let kind = LayerProblem::DiffIdCount {
            diff_ids: count,
            layers,
        };
        walk.problem(kind, place);
    }
    history(walk, &mut image, id, root);
    image
}

/// The platform that a configuration claims.
pub(super) fn platform(root: json::Node<'_>) -> Option<Platform> {
    Some(Platform {
        os: text_of(root, "os")?,
        architecture: text_of(root, "architecture")?,
        variant: text_of(root, "variant").filter(|variant| !variant.is_empty()),
    })
}

/// Aligns the history with the layers: each entry that is not empty made the next layer.
fn history(walk: &mut Walk, image: &mut ImageEntry, config: NodeId, root: json::Node<'_>) {
    let Some(list) = root.field("history") else { return };
    let mut made = 0;
    for (number, entry) in list.elements().enumerate() {
        let empty_layer = entry.field("empty_layer").and_then(|value| value.as_bool()) == Some(true);
        let mut layer = None;
        if !empty_layer {
            if let Some(entry) = image.layers.get_mut(made) {
                entry.history = Some(number);
                layer = Some(made);
            }
            made += 1;
        }
        image.history.push(HistoryEntry {
            created: text_of(entry, "created"),
            created_by: text_of(entry, "created_by"),
            author: text_of(entry, "author"),
            comment: text_of(entry, "comment"),
            empty_layer,
            layer,
        });
    }
    let layers = image.layers.len();
    if made != layers && list.elements().next().is_some() {
        let kind = LayerProblem::HistoryCount {
            history: made,
            layers,
        };
        walk.problem(kind, Place::at(config, list));
    }
}
