//! Docker's list of an edited archive, and the layout that a docker archive becomes when it is edited.

use std::collections::{BTreeMap, BTreeSet};

use super::config::{ConfigEdits, edit_config};
use super::manifest::edit_manifest;
use super::{Body, ImageDocuments, LayerSlot, NewLayer, Output, Rebuild, RebuildError, Rebuilt, put_marker};
use crate::compress::inflate::Packing;
use crate::digest::Digest;
use crate::image::archive::Document;
use crate::image::catalog::link::text_of;
use crate::image::catalog::{Claim, Format, LinkId, NodeId, NodeKind};
use crate::image::config::{Platform, Settings};
use crate::image::json::{self, Edits, Item, Node, Value};
use crate::image::manifest::{self, CONTAINERD_NAME, REF_NAME, blob_path};
use crate::image::reference::Reference;

/// The images that the entries of Docker's list are.
fn images_of_entries(rebuild: &Rebuild<'_>) -> BTreeMap<usize, usize> {
    let images = rebuild.catalog.images.iter().enumerate();
    images
        .filter_map(|(number, image)| Some((image.docker?, number)))
        .collect()
}

/// The links of the entries of Docker's list whose images are edited or removed.
pub(super) fn entries_of_edited(rebuild: &Rebuild<'_>) -> BTreeSet<LinkId> {
    let images = images_of_entries(rebuild);
    let is_edited = |entry: &usize| {
        images
            .get(entry)
            .is_some_and(|image| rebuild.edits.contains_key(image) || rebuild.removed.contains(image))
    };
    let entries = rebuild.catalog.docker.iter().enumerate();
    let entries = entries.filter(|(number, _)| is_edited(number));
    entries
        .flat_map(|(_, entry)| entry.config.into_iter().chain(entry.layers.iter().copied()))
        .collect()
}

/// Docker's list beside an OCI layout, if an image in it was edited; `None` if it stays as it is.
pub(super) fn edit_list(
    rebuild: &Rebuild<'_>,
    list: NodeId,
    images: &[Option<ImageDocuments>],
) -> Result<Option<Document>, RebuildError> {
    let catalog = rebuild.catalog;
    let Some(document) = &catalog.node(list).document else {
        return Ok(None);
    };
    let mut edits = Edits::new(document).map_err(|error| rebuild.error(list, error))?;
    let elements: Vec<_> = document.root().iter().flat_map(Node::elements).collect();
    let in_list = images_of_entries(rebuild);
    for entry in 0..catalog.docker.len() {
        let Some(&image) = in_list.get(&entry) else {
            continue;
        };
        let Some(&element) = elements.get(entry) else {
            continue;
        };
        if rebuild.removed.contains(&image) {
            edits.remove(element);
            continue;
        }
        let (Some(edit), Some(documents)) = (rebuild.edits.get(&image), &images[image]) else {
            continue;
        };
        if let Some(config) = documents.config.as_ref().filter(|_| edit.config.is_some()) {
            set_text(&mut edits, element, "Config", blob_path(config.digest));
        }
        if let Some(slots) = &edit.layers {
            let paths = slots.iter().enumerate().map(|(layer, slot)| {
                let path = layer_path(rebuild, image, slot);
                path.ok_or(RebuildError::Digest { image, layer })
            });
            set_layers(&mut edits, element, paths.collect::<Result<_, _>>()?);
        }
        if let Some(reference) = &edit.reference {
            let tags = Value::Array(vec![reference.familiar().into()]);
            edits.set_member(element, "RepoTags", tags);
        }
    }
    let bytes = edits.finish();
    Ok((*bytes != **document.bytes()).then(|| bytes.into()))
}

/// Where the blob of a layer lies in the layout that is written.
fn layer_path(rebuild: &Rebuild<'_>, image: usize, slot: &LayerSlot) -> Option<String> {
    match slot {
        LayerSlot::New(layer) => Some(blob_path(layer.digest)),
        LayerSlot::Keep(number) => {
            let layer = rebuild.catalog.images[image].layers.get(*number)?;
            let claim = rebuild.catalog.link(layer.link?).digest.as_ref()?;
            claim.path()
        }
    }
}

/// Sets a text, unless it is that already.
fn set_text<'a>(edits: &mut Edits<'a>, object: Node<'a>, name: &str, text: String) {
    let old = object.get(name).and_then(|node| node.as_str());
    if old.is_none_or(|old| old != text) {
        edits.set_member(object, name, text);
    }
}

fn set_layers<'a>(edits: &mut Edits<'a>, element: Node<'a>, paths: Vec<String>) {
    let Some(list) = element.field("Layers") else {
        let values = paths.into_iter().map(Value::String).collect();
        return edits.set_member(element, "Layers", Value::Array(values));
    };
    let old: BTreeMap<_, _> = (list.elements())
        .filter_map(|node| Some((node.as_str()?.into_owned(), node)))
        .collect();
    let items = paths.into_iter().map(|path| {
        let known = old.get(&path);
        known.map_or(Item::New(Value::String(path)), |&node| Item::Keep(node))
    });
    let items: Vec<_> = items.collect();
    edits.set_elements(list, items);
}

/// A layer with all that a manifest says of it.
struct Blob {
    layer: NewLayer,
    /// The node that it is, if it came.
    node: Option<NodeId>,
}

/// A docker archive that was edited, or a bare layer that was given a configuration, as a layout that is both.
pub(super) fn rebuild(rebuild: &Rebuild<'_>) -> Result<Rebuilt, RebuildError> {
    let catalog = rebuild.catalog;
    let mut out = Output::default();
    put_marker(&mut out, catalog);
    let (mut images, mut entries) = (Vec::new(), Vec::new());
    let mut list = Vec::new();
    let mut kept = BTreeSet::new();
    let mut changed = BTreeMap::new();
    for number in 0..catalog.images.len() {
        if rebuild.removed.contains(&number) {
            images.push(None);
            continue;
        }
        let blobs = blobs(rebuild, number)?;
        let config = config(rebuild, number, &blobs)?;
        let manifest = manifest(rebuild, number, &config, &blobs)?;
        for document in [&manifest, &config] {
            out.document(document);
        }
        for blob in &blobs {
            let body = match blob.node.and_then(|node| catalog.node(node).content.clone()) {
                Some(content) => Body::Kept(content),
                None => Body::Layer(blob.layer.digest, blob.layer.size),
            };
            out.put(blob_path(blob.layer.digest), body);
            kept.extend(blob.node);
        }
        let names = names(rebuild, number);
        entries.extend(index_entries(&manifest, &config, &names));
        list.push(list_entry(rebuild, number, &config, &blobs));
        let image = &catalog.images[number];
        for (node, document) in [(image.config, &config), (image.manifest, &manifest)] {
            let Some(node) = node else { continue };
            match catalog.node(node).actual == Some(document.digest) {
                true => drop(kept.insert(node)),
                false => drop(changed.insert(node, document.clone())),
            }
        }
        images.push(Some(ImageDocuments {
            manifest: Some(manifest),
            config: Some(config),
        }));
    }
    let index = Value::object([
        ("schemaVersion", 2.into()),
        ("mediaType", manifest::INDEX.into()),
        ("manifests", Value::Array(entries)),
    ]);
    out.put("index.json", Body::Bytes(index.to_bytes()));
    let list = Document::from(Value::Array(list).to_bytes());
    out.put("manifest.json", Body::Bytes(list.bytes.clone()));
    let old = catalog.root("manifest.json");
    let old = old.filter(|&id| catalog.node(id).kind == NodeKind::DockerManifest);
    changed.extend(old.map(|id| (id, list)));
    let named: BTreeSet<_> = catalog.nodes.iter().map(|node| &node.path[..]).collect();
    for path in catalog
        .files
        .paths_under(b"blobs/")
        .filter(|path| !named.contains(path))
    {
        out.keep(catalog, path);
    }
    let gone = catalog.node_ids().map(|(id, _)| id);
    let gone = gone.filter(|id| !kept.contains(id) && !changed.contains_key(id));
    Ok(Rebuilt {
        files: out.files(catalog),
        gone: gone.collect(),
        changed,
        images,
        dropped: Vec::new(),
    })
}

/// The layers of an image with digests and sizes.
fn blobs(rebuild: &Rebuild<'_>, image: usize) -> Result<Vec<Blob>, RebuildError> {
    let slots = rebuild.slots(image).into_iter().enumerate();
    let blobs = slots.map(|(layer, slot)| match slot {
        LayerSlot::New(layer) => Ok(Blob { layer, node: None }),
        LayerSlot::Keep(number) => {
            let error = RebuildError::Digest { image, layer };
            kept_blob(rebuild, image, number).ok_or(error)
        }
    });
    blobs.collect()
}

fn kept_blob(rebuild: &Rebuild<'_>, image: usize, number: usize) -> Option<Blob> {
    let layer = rebuild.catalog.images[image].layers.get(number)?;
    let (id, node) = (layer.node, rebuild.catalog.node(layer.node));
    let claimed = layer
        .link
        .and_then(|link| rebuild.catalog.link(link).digest.as_ref());
    let digest = rebuild
        .digests
        .get(&id)
        .copied()
        .or(claimed.and_then(Claim::sha256))?;
    Some(Blob {
        layer: NewLayer {
            digest,
            size: node.size()?,
            packing: node.packing.unwrap_or(Packing::Plain),
            like: None,
        },
        node: Some(id),
    })
}

/// The configuration: what was given, else what came. One from before there were DiffIDs gets them.
fn config(rebuild: &Rebuild<'_>, image: usize, blobs: &[Blob]) -> Result<Document, RebuildError> {
    if let Some(bytes) = rebuild.edits.get(&image).and_then(|edit| edit.config.clone()) {
        return Ok(bytes.into());
    }
    let no_config = || RebuildError::NoConfig { image };
    let node = rebuild.catalog.images[image].config.ok_or_else(no_config)?;
    let document = rebuild
        .catalog
        .node(node)
        .document
        .as_ref()
        .ok_or_else(no_config)?;
    if rebuild.catalog.format != Format::DockerLegacy {
        return Ok(document.bytes().to_vec().into());
    }
    let diff_ids = blobs.iter().enumerate().map(|(layer, blob)| {
        let is_plain = blob.layer.packing == Packing::Plain;
        is_plain
            .then_some(blob.layer.digest)
            .ok_or(RebuildError::Digest { image, layer })
    });
    let edits = ConfigEdits {
        diff_ids: Some(diff_ids.collect::<Result<_, _>>()?),
        ..ConfigEdits::default()
    };
    let bytes = edit_config(document, &edits).map_err(|error| rebuild.error(node, error))?;
    Ok(bytes.into())
}

fn descriptor(media_type: &str, digest: Digest, size: u64) -> Vec<(&'static str, Value)> {
    vec![
        ("mediaType", media_type.into()),
        ("digest", digest.to_string().into()),
        ("size", size.into()),
    ]
}

/// The manifest that came, with what is other now; else one as handroll writes its own.
fn manifest(
    rebuild: &Rebuild<'_>,
    image: usize,
    config: &Document,
    blobs: &[Blob],
) -> Result<Document, RebuildError> {
    let node = rebuild.catalog.images[image].manifest;
    let came = node.and_then(|node| Some((node, rebuild.catalog.node(node).document.as_ref()?)));
    let Some((node, document)) = came else {
        return Ok(new_manifest(config, blobs));
    };
    let is_new = |_: &&Document| rebuild.config(image).is_some_and(|(_, is_new)| is_new);
    let layers = rebuild.edits.get(&image).and_then(|edit| edit.layers.as_deref());
    let bytes = edit_manifest(document, Some(config).filter(is_new), layers);
    Ok(bytes.map_err(|error| rebuild.error(node, error))?.into())
}

/// The manifest as handroll writes its own.
fn new_manifest(config: &Document, blobs: &[Blob]) -> Document {
    let layers = blobs.iter().map(|blob| {
        let media_type = super::manifest::media_type(blob.layer.packing, false);
        Value::object(descriptor(media_type, blob.layer.digest, blob.layer.size))
    });
    let config = descriptor(manifest::CONFIG, config.digest, config.bytes.len() as u64);
    let manifest = Value::object([
        ("schemaVersion", 2.into()),
        ("mediaType", manifest::MANIFEST.into()),
        ("config", Value::object(config)),
        ("layers", Value::Array(layers.collect())),
    ]);
    manifest.to_bytes().into()
}

/// The names of an image, as they are written: the new one, or those of Docker's list that are names.
fn names(rebuild: &Rebuild<'_>, image: usize) -> Vec<Reference> {
    match rebuild.edits.get(&image).and_then(|edit| edit.reference.clone()) {
        Some(reference) => vec![reference],
        None => {
            let names = rebuild.catalog.images[image].names.iter();
            names
                .filter_map(|name| Reference::parse(&name.text).ok())
                .collect()
        }
    }
}

/// The descriptors of an image in the index: one for each of its names, or one without.
fn index_entries(manifest: &Document, config: &Document, names: &[Reference]) -> Vec<Value> {
    let settings = json::Document::parse(&config.bytes[..]);
    let platform = settings
        .root()
        .map(Settings::from_config)
        .unwrap_or_default()
        .platform;
    let entry = |annotations: Option<Value>| {
        let size = manifest.bytes.len() as u64;
        let own = json::Document::parse(&manifest.bytes[..]);
        let own = own.root().and_then(|root| text_of(root, "mediaType"));
        let media_type = own.as_deref().unwrap_or(manifest::MANIFEST);
        let mut members = descriptor(media_type, manifest.digest, size);
        members.extend(annotations.map(|value| ("annotations", value)));
        members.push(("platform", platform_value(&platform)));
        Value::object(members)
    };
    if names.is_empty() {
        return vec![entry(None)];
    }
    let annotations = names.iter().map(|name| {
        let names = [
            (CONTAINERD_NAME, name.canonical().into()),
            (REF_NAME, name.tag().into()),
        ];
        entry(Some(Value::object(names)))
    });
    annotations.collect()
}

fn platform_value(platform: &Platform) -> Value {
    let variant = platform
        .variant
        .as_ref()
        .map(|text| ("variant", text.clone().into()));
    let members = [
        ("architecture", platform.architecture.clone().into()),
        ("os", platform.os.clone().into()),
    ];
    Value::object(members.into_iter().chain(variant))
}

/// An image's element of Docker's list: the one that came with other paths, or a new one.
fn list_entry(rebuild: &Rebuild<'_>, image: usize, config: &Document, blobs: &[Blob]) -> Value {
    let catalog = rebuild.catalog;
    let paths: Vec<_> = blobs.iter().map(|blob| blob_path(blob.layer.digest)).collect();
    let reference = rebuild.edits.get(&image).and_then(|edit| edit.reference.as_ref());
    let came = catalog.root("manifest.json").zip(catalog.images[image].docker);
    let came = came.and_then(|(list, entry)| {
        let root = catalog.node(list).document.as_ref()?.root()?;
        root.at(entry)
    });
    if let Some(element) = came {
        let document = json::Document::parse(element.raw());
        if let (Ok(mut edits), Some(root)) = (Edits::new(&document), document.root()) {
            set_text(&mut edits, root, "Config", blob_path(config.digest));
            set_layers(&mut edits, root, paths);
            if let Some(reference) = reference {
                edits.set_member(root, "RepoTags", Value::Array(vec![reference.familiar().into()]));
            }
            return Value::Raw(edits.finish());
        }
    }
    let tags = names(rebuild, image)
        .iter()
        .map(|name| name.familiar().into())
        .collect();
    Value::object([
        ("Config", blob_path(config.digest).into()),
        ("RepoTags", Value::Array(tags)),
        (
            "Layers",
            Value::Array(paths.into_iter().map(Value::String).collect()),
        ),
    ])
}
