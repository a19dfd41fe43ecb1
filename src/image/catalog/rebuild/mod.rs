//! The way back: the files of an archive whose images were edited. Only what must change does: the digests and
//! sizes from an edited image up to `index.json`, and Docker's list where it names what is no more. All other
//! bytes come out as they came; with no edit, all do.
//!
//! A docker archive that is edited becomes an OCI layout that is a docker archive too: its manifests and its
//! index are made canonically, and its configurations stay what they were. So does a bare layer, and what
//! skopeo calls `dir`, which has a manifest to keep.

mod config;
mod docker;
mod index;
mod manifest;
mod plan;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use super::{Catalog, Format, LinkId, NodeId, State};
use crate::compress::inflate::Packing;
use crate::content::Content;
use crate::digest::Digest;
use crate::image::archive::Document;
use crate::image::config::Platform;
use crate::image::files::Lookup;
use crate::image::json::EditError;
use crate::image::manifest::{LAYOUT, blob_path};
use crate::image::reference::Reference;

pub use config::{ConfigEdits, HistorySlot, NewHistory, edit_config};
pub use manifest::edit_manifest;
pub use plan::{TarPart, tar_plan};

/// What becomes of an image. What is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct ImageEdit {
    /// The new configuration: what [`edit_config`] gave.
    pub config: Option<Vec<u8>>,
    /// The layers, bottom first.
    pub layers: Option<Vec<LayerSlot>>,
    /// A new name.
    pub reference: Option<Reference>,
    /// What the descriptor in the index is to say of the platform.
    pub platform: Option<Platform>,
}

/// A layer of an edited image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerSlot {
    /// The layer that had this number, with its blob and its descriptor as they stand there.
    Keep(usize),
    /// A new blob.
    New(NewLayer),
}

/// A blob of a layer that is made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLayer {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// How it is packed.
    pub packing: Packing,
    /// The number of the layer that it was made from: its descriptor's annotations stay, but for those that
    /// tell of the old blob's bytes.
    pub like: Option<usize>,
}

/// Why an archive cannot be written with these edits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    /// A document that must change is damaged.
    #[error("{path}: {error}")]
    Document {
        /// The node.
        node: NodeId,
        /// Where it lies.
        path: String,
        /// What is wrong.
        error: EditError,
    },
    /// A layer that stays has no blob in the archive, or its digest is not known.
    #[error("layer {layer} of image {image}: its blob's digest is not known")]
    Digest {
        /// The image's number.
        image: usize,
        /// The layer's number.
        layer: usize,
    },
    /// The image has no configuration, and none was given.
    #[error("image {image} has no configuration")]
    NoConfig {
        /// The image's number.
        image: usize,
    },
}

/// A file of the archive that is written.
#[derive(Debug, Clone)]
pub struct OutFile {
    /// Its path.
    pub path: Vec<u8>,
    /// What is in it.
    pub body: Body,
}

/// What is in a file.
#[derive(Debug, Clone)]
pub enum Body {
    /// These bytes: a document.
    Bytes(Vec<u8>),
    /// What came, as it came.
    Kept(Content),
    /// The blob that a [`NewLayer`] of this digest stands for; of this size.
    Layer(Digest, u64),
}

impl OutFile {
    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        match &self.body {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::Kept(content) => content.len(),
            Body::Layer(_, size) => *size,
        }
    }
}

/// An image's own documents as they are written.
#[derive(Debug, Clone)]
pub struct ImageDocuments {
    /// Its manifest; none in a docker archive that is not changed.
    pub manifest: Option<Document>,
    /// Its configuration.
    pub config: Option<Document>,
}

/// An archive as it is written.
#[derive(Debug, Clone)]
pub struct Rebuilt {
    /// Its files, in order: marker, index and Docker's list, then the blobs, documents first.
    pub files: Vec<OutFile>,
    /// The documents that are written otherwise than they came, indexes and lists included.
    pub changed: BTreeMap<NodeId, Document>,
    /// The documents and layers that nothing names any more, and that are not written.
    pub gone: BTreeSet<NodeId>,
    /// Each image's documents; none of one that was removed.
    pub images: Vec<Option<ImageDocuments>>,
    /// Attestations that told of a manifest that is no more: they are no longer in the index.
    pub dropped: Vec<LinkId>,
}

/// Edits to the images of an archive.
pub struct Rebuild<'a> {
    catalog: &'a Catalog,
    /// The digests of blobs whose documents do not tell them, as they were computed.
    digests: &'a BTreeMap<NodeId, Digest>,
    edits: BTreeMap<usize, ImageEdit>,
    removed: BTreeSet<usize>,
}

impl<'a> Rebuild<'a> {
    /// No edits yet. `digests` are those that were computed of layers; only docker archives need them.
    pub fn new(catalog: &'a Catalog, digests: &'a BTreeMap<NodeId, Digest>) -> Self {
        Self {
            catalog,
            digests,
            edits: BTreeMap::new(),
            removed: BTreeSet::new(),
        }
    }

    /// Edits the image with this number.
    pub fn edit(&mut self, image: usize, edit: ImageEdit) {
        self.edits.insert(image, edit);
    }

    /// Takes the image with this number out.
    pub fn remove(&mut self, image: usize) {
        self.removed.insert(image);
    }

    /// The files of the archive with the edits made. Of a bare layer that is not edited, only the file
    /// `layer.tar`: the archive itself.
    pub fn finish(self) -> Result<Rebuilt, RebuildError> {
        if self.edits.is_empty() && self.removed.is_empty() {
            return Ok(self.unchanged());
        }
        match self.catalog.format {
            Format::Oci | Format::OciAndDocker => index::rebuild(&self),
            Format::Docker | Format::DockerLegacy | Format::Dir | Format::Layer => docker::rebuild(&self),
        }
    }

    fn unchanged(&self) -> Rebuilt {
        let mut out = Output::default();
        for path in self.catalog.files.paths() {
            out.keep(self.catalog, path);
        }
        if let (Format::Layer, Some(node)) = (self.catalog.format, self.catalog.nodes.first()) {
            out.0.extend(
                node.content
                    .clone()
                    .map(|tar| (b"layer.tar".to_vec(), Body::Kept(tar))),
            );
        }
        let document = |id: NodeId| {
            let document = self.catalog.node(id).document.as_ref()?;
            Some(Document::from(document.bytes().to_vec()))
        };
        let images = self.catalog.images.iter().map(|image| {
            Some(ImageDocuments {
                manifest: image.manifest.and_then(document),
                config: image.config.and_then(document),
            })
        });
        Rebuilt {
            images: images.collect(),
            files: out.files(self.catalog),
            changed: BTreeMap::new(),
            gone: BTreeSet::new(),
            dropped: Vec::new(),
        }
    }

    fn error(&self, node: NodeId, error: EditError) -> RebuildError {
        let path = crate::text::escape(&self.catalog.node(node).path);
        RebuildError::Document { node, path, error }
    }

    /// The layers of an edited image: those that it has, if they were not edited.
    fn slots(&self, image: usize) -> Vec<LayerSlot> {
        let edited = self.edits.get(&image).and_then(|edit| edit.layers.clone());
        edited.unwrap_or_else(|| {
            let layers = 0..self.catalog.images[image].layers.len();
            layers.map(LayerSlot::Keep).collect()
        })
    }

    /// An edited image's configuration, and whether it is another one than it was.
    fn config(&self, image: usize) -> Option<(Document, bool)> {
        let node = self.catalog.images[image].config?;
        let old = self.catalog.node(node).document.as_ref()?.bytes();
        let edited = self.edits.get(&image).and_then(|edit| edit.config.as_ref());
        match edited {
            Some(bytes) if **bytes != **old => Some((bytes.clone().into(), true)),
            _ => Some((old.to_vec().into(), false)),
        }
    }
}

/// The files to be written, by their paths.
#[derive(Default)]
struct Output(BTreeMap<Vec<u8>, Body>);

impl Output {
    fn put(&mut self, path: impl Into<Vec<u8>>, body: Body) {
        self.0.insert(path.into(), body);
    }

    fn document(&mut self, document: &Document) {
        self.put(blob_path(document.digest), Body::Bytes(document.bytes.clone()));
    }

    fn layers(&mut self, slots: &[LayerSlot]) {
        for slot in slots {
            if let LayerSlot::New(layer) = slot {
                let body = Body::Layer(layer.digest, layer.size);
                self.0.entry(blob_path(layer.digest).into_bytes()).or_insert(body);
            }
        }
    }

    /// A file that came, unless one of this path is written already.
    fn keep(&mut self, catalog: &Catalog, path: &[u8]) {
        if let Lookup::Found(found) = catalog.files.find(path) {
            self.0.entry(path.to_vec()).or_insert(Body::Kept(found.content));
        }
    }

    /// All files: the marker, what points, the documents among the blobs, and the layers last.
    fn files(self, catalog: &Catalog) -> Vec<OutFile> {
        const FIRST: [&[u8]; 4] = [b"oci-layout", b"index.json", b"manifest.json", b"repositories"];
        let documents: BTreeSet<&[u8]> = catalog
            .nodes
            .iter()
            .filter(|node| node.kind.is_document())
            .map(|node| node.path.as_slice())
            .collect();
        let rank = |file: &OutFile| match FIRST.iter().position(|path| *path == file.path) {
            Some(position) => position,
            None if matches!(file.body, Body::Bytes(_)) || documents.contains(&file.path[..]) => FIRST.len(),
            None => FIRST.len() + 1,
        };
        let files = self.0.into_iter().map(|(path, body)| OutFile { path, body });
        let mut files: Vec<_> = files.collect();
        files.sort_by_key(rank);
        files
    }
}

/// The marker of a layout: the one that came, if it is there.
fn put_marker(out: &mut Output, catalog: &Catalog) {
    match catalog.root("oci-layout").map(|id| catalog.node(id)) {
        Some(node) if node.state == State::Present => out.keep(catalog, b"oci-layout"),
        _ => out.put("oci-layout", Body::Bytes(LAYOUT.to_vec())),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
