//! An OCI layout whose images were edited: from the manifests up to `index.json`, then Docker's list, if there
//! is one.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::{edit_manifest, point};
use super::{Body, ImageDocuments, LayerSlot, Output, Rebuild, RebuildError, Rebuilt, docker, put_marker};
use crate::digest::Digest;
use crate::image::archive::Document;
use crate::image::catalog::{LinkId, NodeId, NodeKind, Role};
use crate::image::config::Platform;
use crate::image::json::{Edits, Kind, Node, Value};
use crate::image::manifest::{CONTAINERD_NAME, REF_NAME};
use crate::image::media::REFERENCE_DIGEST;
use crate::image::reference::Reference;

/// What becomes of a node.
#[derive(Clone)]
enum Outcome {
    Same,
    Changed(Digest, u64),
    Gone,
}

struct Walk<'a, 'b> {
    rebuild: &'b Rebuild<'a>,
    outcomes: BTreeMap<NodeId, Outcome>,
    changed: BTreeMap<NodeId, Document>,
    dropped: Vec<LinkId>,
    images: Vec<Option<ImageDocuments>>,
    /// The images whose configuration is another one now.
    new_configs: BTreeSet<usize>,
    /// What is to be said anew of the image that a link leads to.
    renamed: BTreeMap<LinkId, Reference>,
    platforms: BTreeMap<LinkId, Platform>,
}

pub(super) fn rebuild(rebuild: &Rebuild<'_>) -> Result<Rebuilt, RebuildError> {
    let catalog = rebuild.catalog;
    let mut walk = Walk {
        rebuild,
        outcomes: BTreeMap::new(),
        changed: BTreeMap::new(),
        dropped: Vec::new(),
        images: Vec::new(),
        new_configs: BTreeSet::new(),
        renamed: BTreeMap::new(),
        platforms: BTreeMap::new(),
    };
    for image in 0..catalog.images.len() {
        walk.image(image)?;
    }
    let root = catalog.root("index.json");
    if let Some(root) = root {
        walk.index(root)?;
    }
    let list = catalog.root("manifest.json");
    if let Some(list) = list
        && let Some(document) = docker::edit_list(rebuild, list, &walk.images)?
    {
        walk.changed.insert(list, document);
    }
    Ok(walk.output())
}

impl Walk<'_, '_> {
    /// An image's own documents, and what becomes of its manifest.
    fn image(&mut self, number: usize) -> Result<(), RebuildError> {
        let catalog = self.rebuild.catalog;
        let image = &catalog.images[number];
        let Some(id) = image.manifest else {
            self.images.push(None);
            return Ok(());
        };
        if self.rebuild.removed.contains(&number) {
            self.outcomes.insert(id, Outcome::Gone);
            self.images.push(None);
            return Ok(());
        }
        let config = self.rebuild.config(number);
        let node = catalog.node(id);
        let old = node.document.as_ref();
        let mut manifest = old.map(|document| Document::from(document.bytes().to_vec()));
        if let (Some(edit), Some(old)) = (self.rebuild.edits.get(&number), old) {
            let new_config = config.as_ref().filter(|(_, is_new)| *is_new);
            let slots = edit
                .layers
                .as_deref()
                .filter(|slots| !is_same(slots, image.layers.len()));
            if new_config.is_some() || slots.is_some() {
                let bytes = edit_manifest(old, new_config.map(|(document, _)| document), slots);
                let document = Document::from(bytes.map_err(|error| self.rebuild.error(id, error))?);
                if *document.bytes != **old.bytes() {
                    let outcome = Outcome::Changed(document.digest, document.bytes.len() as u64);
                    self.outcomes.insert(id, outcome);
                    self.changed.insert(id, document.clone());
                    manifest = Some(document);
                }
            }
            // Names count in `index.json` only.
            if let (Some(reference), Some(&link)) = (&edit.reference, image.path.first()) {
                self.renamed.insert(link, reference.clone());
            }
            if let (Some(platform), Some(&link)) = (&edit.platform, image.path.last())
                && catalog
                    .link(link)
                    .platform
                    .as_ref()
                    .is_some_and(|old| old != platform)
            {
                self.platforms.insert(link, platform.clone());
            }
        }
        if let (Some((document, true)), Some(node)) = (&config, image.config) {
            self.changed.insert(node, document.clone());
            self.new_configs.insert(number);
        }
        let config = config.map(|(document, _)| document);
        self.images.push(Some(ImageDocuments { manifest, config }));
        Ok(())
    }

    /// What becomes of an index; recursion is as deep as indexes lie in each other, which the catalog limits.
    fn index(&mut self, id: NodeId) -> Result<Outcome, RebuildError> {
        if let Some(outcome) = self.outcomes.get(&id) {
            return Ok(outcome.clone());
        }
        let node = self.rebuild.catalog.node(id);
        let links = node.links_out.iter().copied();
        let entries = links.filter(|&link| self.rebuild.catalog.link(link).role == Role::Entry);
        let mut outcomes = Vec::new();
        for link in entries.collect::<Vec<_>>() {
            let to = self.rebuild.catalog.link(link).to;
            let outcome = match self.rebuild.catalog.node(to).kind {
                NodeKind::Index => self.index(to)?,
                _ => self.outcomes.get(&to).cloned().unwrap_or(Outcome::Same),
            };
            outcomes.push((link, outcome));
        }
        self.drop_attestations(&mut outcomes);
        let outcome = self.edit_index(id, &outcomes)?;
        self.outcomes.insert(id, outcome.clone());
        Ok(outcome)
    }

    /// What tells of a manifest that is no more is no longer true.
    fn drop_attestations(&mut self, outcomes: &mut [(LinkId, Outcome)]) {
        let catalog = self.rebuild.catalog;
        let digest = |link: LinkId| catalog.link(link).digest.as_ref().map(|claim| claim.text());
        let was = outcomes
            .iter()
            .filter(|(_, outcome)| !matches!(outcome, Outcome::Same));
        let was: BTreeSet<_> = was.filter_map(|&(link, _)| digest(link)).collect();
        for (link, outcome) in outcomes {
            let about = catalog.link(*link).annotation(REFERENCE_DIGEST);
            if about.is_some_and(|about| was.contains(about)) {
                *outcome = Outcome::Gone;
                self.dropped.push(*link);
            }
        }
    }

    fn edit_index(&mut self, id: NodeId, outcomes: &[(LinkId, Outcome)]) -> Result<Outcome, RebuildError> {
        let catalog = self.rebuild.catalog;
        let node = catalog.node(id);
        let is_root = node.links_in.is_empty();
        let is_edited = |(link, outcome): &(LinkId, Outcome)| {
            !matches!(outcome, Outcome::Same)
                || self.renamed.contains_key(link)
                || self.platforms.contains_key(link)
        };
        let Some(document) = node.document.as_ref().filter(|_| outcomes.iter().any(is_edited)) else {
            return Ok(Outcome::Same);
        };
        if !is_root
            && outcomes
                .iter()
                .all(|(_, outcome)| matches!(outcome, Outcome::Gone))
        {
            return Ok(Outcome::Gone);
        }
        let mut edits = Edits::new(document).map_err(|error| self.rebuild.error(id, error))?;
        let list = document.at("/manifests");
        // Links are in the order of the list, and each element has at most one.
        let descriptors: BTreeMap<String, Node<'_>> = (list.iter().flat_map(Node::elements).enumerate())
            .map(|(number, node)| (format!("/manifests/{number}"), node))
            .collect();
        for (link, outcome) in outcomes {
            let Some(&descriptor) = descriptors.get(&catalog.link(*link).pointer) else {
                continue;
            };
            match outcome {
                Outcome::Same => {}
                Outcome::Gone => {
                    edits.remove(descriptor);
                    continue;
                }
                Outcome::Changed(digest, size) => point(&mut edits, descriptor, *digest, *size),
            }
            if let Some(reference) = self.renamed.get(link) {
                rename(&mut edits, descriptor, reference);
            }
            if let Some(platform) = self.platforms.get(link) {
                set_platform(&mut edits, descriptor, platform);
            }
        }
        let document = Document::from(edits.finish());
        let outcome = Outcome::Changed(document.digest, document.bytes.len() as u64);
        self.changed.insert(id, document);
        Ok(outcome)
    }

    fn output(self) -> Rebuilt {
        let catalog = self.rebuild.catalog;
        let mut out = Output::default();
        put_marker(&mut out, catalog);
        for (&id, document) in &self.changed {
            let node = catalog.node(id);
            match node.links_in.is_empty() {
                // A file of the layout itself keeps its name; a blob is called by its new digest.
                true => out.put(node.path.clone(), Body::Bytes(document.bytes.clone())),
                false if node.kind == NodeKind::Config => {}
                false => out.document(document),
            }
        }
        for (number, image) in self.images.iter().enumerate() {
            let config = image.as_ref().and_then(|image| image.config.as_ref());
            if let Some(config) = config.filter(|_| self.new_configs.contains(&number)) {
                out.document(config);
            }
            if image.is_some() {
                out.layers(&self.rebuild.slots(number));
            }
        }
        let named = self.named();
        let left: Vec<_> = (catalog.node_ids())
            .filter(|(id, node)| !catalog.roots.contains(id) && !named.contains(&node.path[..]))
            .collect();
        let mut paths: BTreeSet<Vec<u8>> = left.iter().map(|(_, node)| node.path.clone()).collect();
        // The links in the archive that led there.
        let links = left.iter().flat_map(|(_, node)| &node.links_in);
        let claims = links.filter_map(|&link| catalog.link(link).digest.as_ref()?.path());
        paths.extend(claims.map(String::into_bytes));
        for path in catalog.files.paths().filter(|path| !paths.contains(*path)) {
            out.keep(catalog, path);
        }
        Rebuilt {
            files: out.files(catalog),
            gone: (left.into_iter().map(|(id, _)| id))
                .filter(|id| !self.changed.contains_key(id))
                .collect(),
            changed: self.changed,
            images: self.images,
            dropped: self.dropped,
        }
    }

    /// The layers that edited images keep: the image's number, and the layer's.
    fn kept_layers(&self) -> BTreeSet<(usize, usize)> {
        let edited = self.rebuild.edits.keys();
        let kept = edited.flat_map(|&image| {
            let slots = self.rebuild.slots(image).into_iter();
            slots.filter_map(move |slot| match slot {
                LayerSlot::Keep(layer) => Some((image, layer)),
                LayerSlot::New(_) => None,
            })
        });
        kept.collect()
    }

    /// The paths of all that the documents still name, of what came.
    fn named(&self) -> BTreeSet<&[u8]> {
        let catalog = self.rebuild.catalog;
        let mut images = BTreeMap::new();
        for (number, image) in catalog.images.iter().enumerate() {
            images.extend(image.manifest.map(|id| (id, number)));
        }
        let list = catalog.root("manifest.json");
        let kept = self.kept_layers();
        let in_list = docker::entries_of_edited(self.rebuild);
        let (mut named, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut stack = catalog.roots.clone();
        while let Some(id) = stack.pop() {
            if !seen.insert(id) {
                continue;
            }
            let edited = images
                .get(&id)
                .filter(|&image| self.rebuild.edits.contains_key(image));
            for &link in &catalog.node(id).links_out {
                let to = catalog.link(link).to;
                let outcome = self.outcomes.get(&to);
                let is_dropped = self.dropped.contains(&link) || matches!(outcome, Some(Outcome::Gone));
                let is_replaced = match (catalog.link(link).role, edited) {
                    (Role::Layer(layer), Some(&image)) => !kept.contains(&(image, layer)),
                    (Role::Config, Some(image)) => self.new_configs.contains(image),
                    // Of images that are edited, Docker's list says no more than their manifests.
                    _ => Some(id) == list && in_list.contains(&link),
                };
                if is_dropped || is_replaced {
                    continue;
                }
                if !matches!(outcome, Some(Outcome::Changed(..))) {
                    named.insert(&catalog.node(to).path[..]);
                }
                stack.push(to);
            }
        }
        named
    }
}

/// Whether the layers are those that the image had, in their order.
fn is_same(slots: &[LayerSlot], count: usize) -> bool {
    slots.len() == count && (slots.iter().enumerate()).all(|(number, slot)| *slot == LayerSlot::Keep(number))
}

/// The names by which containerd and those that look tags up find the image.
fn rename<'a>(edits: &mut Edits<'a>, descriptor: Node<'a>, reference: &Reference) {
    let names = [
        (CONTAINERD_NAME, reference.canonical()),
        (REF_NAME, reference.tag().to_owned()),
    ];
    match descriptor
        .field("annotations")
        .filter(|node| node.kind() == Kind::Object)
    {
        Some(annotations) => {
            for (key, name) in names {
                edits.set_member(annotations, key, name);
            }
        }
        None => {
            let names = names.map(|(key, name)| (key, Value::String(name)));
            edits.set_member(descriptor, "annotations", Value::object(names));
        }
    }
}

fn set_platform<'a>(edits: &mut Edits<'a>, descriptor: Node<'a>, platform: &Platform) {
    let Some(object) = descriptor.field("platform") else {
        return;
    };
    edits.set_member(object, "architecture", platform.architecture.clone());
    edits.set_member(object, "os", platform.os.clone());
    match &platform.variant {
        Some(variant) => edits.set_member(object, "variant", variant.clone()),
        None => edits.remove_member(object, "variant"),
    }
}
