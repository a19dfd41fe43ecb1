//! Docker's lists: `manifest.json` of `docker save`, and what it wrote before: `repositories` and a directory
//! for each layer.

use std::collections::{BTreeMap, BTreeSet};

use super::link::{NewLink, text_of};
use super::problem::{LayoutProblem, Place};
use super::walk::{Class, Target, Walk};
use super::{Claim, DockerEntry, NodeId, NodeKind, Role};
use crate::image::json::{Document, Kind, Node, escape_step};

/// The most layers that one image of old may have: Docker took 127.
const CHAIN_LIMIT: usize = 512;

/// `manifest.json`: a list of images, each with the paths of its configuration and its layers.
pub(super) fn list(walk: &mut Walk, id: NodeId, document: &Document) {
    let Some(root) = document.root() else { return };
    for (number, image) in root.elements().enumerate() {
        let config = image.field("Config").and_then(|config| {
            let path = config.as_str()?;
            let pointer = format!("/{number}/Config");
            let link = NewLink::path(id, pointer, config, Role::Config, claim(&path, true));
            walk.link(link, target(&path, Class::Config, NodeKind::Config))
        });
        let layers = image.field("Layers");
        let layers = layers.iter().flat_map(Node::elements).enumerate();
        let layers = layers.filter_map(|(layer, value)| {
            let path = value.as_str()?;
            let pointer = format!("/{number}/Layers/{layer}");
            let link = NewLink::path(id, pointer, value, Role::Layer(layer), claim(&path, false));
            walk.link(link, target(&path, Class::Layer, NodeKind::Layer))
        });
        let layers = layers.collect();
        let tags = image.field("RepoTags");
        let tags = tags.iter().flat_map(Node::elements);
        let tags = tags.filter_map(|tag| Some(tag.as_str()?.into_owned())).collect();
        walk.catalog.docker.push(DockerEntry { config, layers, tags });
    }
}

fn target(path: &str, class: Class, kind: NodeKind) -> Target {
    Target {
        class,
        kind,
        path: path.as_bytes().to_vec(),
        depth: 0,
    }
}

/// The digest that a file is named by: a blob's in a layout, a configuration's `<digest>.json`.
fn claim(path: &str, is_config: bool) -> Option<Claim> {
    let hex = match path.strip_prefix("blobs/sha256/") {
        Some(hex) => hex,
        None if is_config => path.strip_suffix(".json")?,
        None => return None,
    };
    let claim = Claim::new(format!("sha256:{hex}"));
    claim.sha256().is_some().then_some(claim)
}

/// `repositories`: names, tags, and the id of the topmost layer of each. Layers name their parents.
pub(super) fn repositories(walk: &mut Walk, id: NodeId, document: &Document) {
    let Some(root) = document.root() else { return };
    let mut tops: Vec<(String, Node<'_>, String, Vec<String>)> = Vec::new();
    for repository in root.children().filter(|value| value.kind() == Kind::Object) {
        let name = repository.key().unwrap_or_default();
        for tag in repository.children() {
            let (Some(key), Some(top)) = (tag.key(), tag.as_str()) else {
                continue;
            };
            let text = format!("{name}:{key}");
            match tops.iter_mut().find(|(_, _, known, _)| *known == top) {
                Some((.., names)) => names.push(text),
                None => {
                    let pointer = format!("/{}/{}", escape_step(&name), escape_step(&key));
                    tops.push((pointer, tag, top.into_owned(), vec![text]));
                }
            }
        }
    }
    let mut parents = Parents::default();
    for (pointer, value, top, tags) in tops {
        if walk.is_full() {
            break;
        }
        let mut layers = Vec::new();
        for layer in parents.chain(walk, id, &top) {
            let path = format!("{layer}/layer.tar");
            let role = Role::Layer(layers.len());
            let link = NewLink::path(id, pointer.clone(), value, role, None);
            layers.extend(walk.link(link, target(&path, Class::Layer, NodeKind::Layer)));
        }
        let link = NewLink::path(id, pointer, value, Role::Config, None);
        let config = walk.link(
            link,
            target(&format!("{top}/json"), Class::Config, NodeKind::Config),
        );
        walk.catalog.docker.push(DockerEntry { config, layers, tags });
    }
}

/// Which layer each layer stands on, by its `<id>/json`.
#[derive(Default)]
struct Parents(BTreeMap<String, Option<String>>);

impl Parents {
    fn of(&mut self, walk: &mut Walk, layer: &str) -> Option<String> {
        if let Some(parent) = self.0.get(layer) {
            return parent.clone();
        }
        let document = walk.small_document(&format!("{layer}/json"));
        let parent = document.and_then(|document| text_of(document.root()?, "parent"));
        self.0.insert(layer.to_owned(), parent.clone());
        parent
    }

    /// The layers from the bottom up to this one. Ends at a parent that is not there, and at a circle, and says
    /// so.
    fn chain(&mut self, walk: &mut Walk, id: NodeId, top: &str) -> Vec<String> {
        let (mut layers, mut seen) = (Vec::new(), BTreeSet::new());
        let mut next = Some(top.to_owned());
        while let Some(layer) = next {
            let is_there = layers.is_empty()
                || walk
                    .catalog
                    .files
                    .get(format!("{layer}/json").as_bytes())
                    .is_some();
            if !is_there || layers.len() == CHAIN_LIMIT || !seen.insert(layer.clone()) {
                let layer = layers.pop().unwrap_or(layer);
                walk.problem(
                    LayoutProblem::ParentMissing { layer: layer.clone() },
                    Place::of(id),
                );
                layers.push(layer);
                break;
            }
            next = self.of(walk, &layer);
            layers.push(layer);
        }
        layers.reverse();
        layers
    }
}
