//! A manifest with other layers or another configuration, all else as it stands.

use super::{LayerSlot, NewLayer};
use crate::compress::inflate::Packing;
use crate::digest::Digest;
use crate::image::archive::Document;
use crate::image::json::{self, EditError, Edits, Item, Node, Value};
use crate::image::media::{LayerType, Media};

/// Annotations that tell of the bytes of a layer's blob, and are false of another: the tables of contents of
/// eStargz and zstd:chunked.
const OF_BYTES: [&str; 3] = [
    "containerd.io/snapshot/stargz/",
    "io.containers.estargz.",
    "io.github.containers.zstd-chunked.",
];

/// The manifest with a new configuration, and with these layers, if they are given.
pub fn edit_manifest(
    manifest: &json::Document,
    config: Option<&Document>,
    layers: Option<&[LayerSlot]>,
) -> Result<Vec<u8>, EditError> {
    let mut edits = Edits::new(manifest)?;
    let Some(root) = manifest.root() else {
        return Ok(edits.finish());
    };
    if let (Some(descriptor), Some(config)) = (root.field("config"), config) {
        point(&mut edits, descriptor, config.digest, config.bytes.len() as u64);
    }
    if let Some(layers) = layers {
        let list = root.field("layers");
        let old: Vec<_> = list.iter().flat_map(Node::elements).collect();
        let is_docker = is_docker(root, &old);
        let items: Vec<_> = layers
            .iter()
            .map(|slot| item(slot, &old, is_docker))
            .collect::<Result<_, _>>()?;
        match list {
            Some(list) => edits.set_elements(list, items),
            None => {
                let values = items.into_iter().map(|item| match item {
                    Item::Keep(node) => node.into(),
                    Item::New(value) => value,
                });
                edits.set_member(root, "layers", Value::Array(values.collect()));
            }
        }
    }
    Ok(edits.finish())
}

/// Makes a descriptor point to other bytes. Bytes that it holds itself are false then.
pub(super) fn point<'a>(edits: &mut Edits<'a>, descriptor: Node<'a>, digest: Digest, size: u64) {
    edits.set_member(descriptor, "digest", digest.to_string());
    edits.set_member(descriptor, "size", size);
    edits.remove_member(descriptor, "data");
}

/// Whether a manifest speaks of media types as Docker does.
fn is_docker(root: Node<'_>, layers: &[Node<'_>]) -> bool {
    let is_docker = |node: Node<'_>| {
        let text = node.field("mediaType")?.as_str()?;
        Some(text.starts_with("application/vnd.docker."))
    };
    is_docker(root)
        .or_else(|| layers.first().copied().and_then(is_docker))
        .unwrap_or(false)
}

fn item<'a>(slot: &LayerSlot, old: &[Node<'a>], is_docker: bool) -> Result<Item<'a>, EditError> {
    let layer = match slot {
        LayerSlot::Keep(number) => {
            return match old.get(*number) {
                Some(node) => Ok(Item::Keep(*node)),
                None => Err(EditError::NotThere {
                    pointer: format!("/layers/{number}"),
                }),
            };
        }
        LayerSlot::New(layer) => layer,
    };
    let like = layer.like.and_then(|number| old.get(number));
    match like {
        Some(node) if is_same(*node, layer) => Ok(Item::Keep(*node)),
        Some(node) => Ok(Item::New(Value::Raw(changed(*node, layer, is_docker)?))),
        None => Ok(Item::New(Value::object([
            ("mediaType", media_type(layer.packing, is_docker).into()),
            ("digest", layer.digest.to_string().into()),
            ("size", layer.size.into()),
        ]))),
    }
}

fn is_same(descriptor: Node<'_>, layer: &NewLayer) -> bool {
    let digest = descriptor.field("digest").and_then(|node| node.as_str());
    let size = descriptor.field("size").and_then(|node| node.as_u64());
    digest.is_some_and(|digest| digest == layer.digest.to_string()) && size == Some(layer.size)
}

/// The descriptor of the layer that the new one was made from, without what is false of it now.
fn changed(old: Node<'_>, layer: &NewLayer, is_docker: bool) -> Result<Vec<u8>, EditError> {
    let document = json::Document::parse(old.raw());
    let mut edits = Edits::new(&document)?;
    let Some(root) = document.root() else {
        return Ok(edits.finish());
    };
    let old_type = root.field("mediaType").and_then(|node| node.as_str());
    let is_packed_so = old_type.is_some_and(|text| match Media::of(&text) {
        Media::Layer(LayerType {
            packing, is_foreign, ..
        }) => packing == layer.packing && !is_foreign,
        _ => false,
    });
    if !is_packed_so {
        edits.set_member(root, "mediaType", media_type(layer.packing, is_docker));
    }
    point(&mut edits, root, layer.digest, layer.size);
    // The new bytes are not to be had where the old ones are.
    edits.remove_member(root, "urls");
    if let Some(annotations) = root.field("annotations") {
        for annotation in annotations.children() {
            let is_false = |key: &str| OF_BYTES.iter().any(|prefix| key.starts_with(prefix));
            if annotation.key().is_some_and(|key| is_false(&key)) {
                edits.remove(annotation);
            }
        }
    }
    Ok(edits.finish())
}

pub(super) fn media_type(packing: Packing, is_docker: bool) -> &'static str {
    match (packing, is_docker) {
        (Packing::Plain, false) => "application/vnd.oci.image.layer.v1.tar",
        (Packing::Gzip, false) => "application/vnd.oci.image.layer.v1.tar+gzip",
        (Packing::Zstd, false) => "application/vnd.oci.image.layer.v1.tar+zstd",
        (Packing::Plain, true) => "application/vnd.docker.image.rootfs.diff.tar",
        (Packing::Gzip, true) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        (Packing::Zstd, true) => "application/vnd.docker.image.rootfs.diff.tar.zstd",
    }
}
