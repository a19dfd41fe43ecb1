//! What can be taken out of a session: archives, tars and files, as parts that need not be in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::image::archive::{self, Part, archive_plan};
use crate::image::catalog::rebuild::Body;
use crate::image::manifest::blob_path;
use crate::layer::{Bytes, Chunks, Walk};
use crate::tar::{end_padding, padding};
use crate::tree::{Ino, Node, Tree, TreePath};

use super::Workbench;
use super::blobs::BlobState;
use super::compare::Point;
use super::error::WorkbenchError;
use super::operation::{ArchiveId, ImageId, LayerId};
use super::state::{ImageState, LayerState};

/// What is wanted.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are what their names say")]
pub enum Export {
    /// The image archive: an OCI layout in a tar that is also what `docker load` reads.
    Image { image: ImageId },
    /// All of an opened archive, with what was changed.
    Archive { archive: ArchiveId },
    /// A file of an opened archive, as it came.
    Node { archive: ArchiveId, node: u32 },
    /// A layer's tar, which the DiffID names.
    LayerTar { layer: LayerId },
    /// A layer as it is stored, which the digest names.
    LayerBlob { layer: LayerId },
    /// One file's content.
    File { layer: LayerId, path: String },
    /// A directory of one layer as a tar of its own.
    DirectoryTar { layer: LayerId, path: String },
    /// The tar of the smallest layer that makes `after` of `before`.
    DifferenceTar { before: Point, after: Point },
    /// The operations and their contents.
    Recipe,
}

/// Parts, in order.
pub type Exported = Vec<Bytes>;

impl Workbench {
    /// The parts of what is wanted. An image or a blob must be known; else the error is `busy`.
    pub fn export(&self, what: &Export) -> Result<Exported, WorkbenchError> {
        match what {
            Export::Image { image } => self.export_image(self.state.image(*image)?),
            Export::Archive { archive } => self.export_archive(*archive, None),
            Export::Node { archive, node } => {
                let nodes = &self.state.archive(*archive)?.catalog.nodes;
                let content = nodes.get(*node as usize).and_then(|node| node.content.clone());
                let content = content.ok_or(WorkbenchError::NoNode { node: *node })?;
                Ok(vec![Bytes::Content(content)])
            }
            Export::LayerTar { layer } => Ok(self
                .state
                .layer(*layer)?
                .layer
                .chunks()
                .map(|chunk| chunk.bytes)
                .collect()),
            Export::LayerBlob { layer } => {
                let state = self.state.layer(*layer)?;
                let blob = self.blobs.known(*layer);
                let blob = blob.ok_or_else(|| self.not_known(state))?;
                Ok(blob.bytes(&state.layer).collect())
            }
            Export::File { layer, path } => {
                let (tree, ino) = self.entry(*layer, path)?;
                match &tree.inode(ino).node {
                    Node::File(content) => Ok(vec![Bytes::Content(content.clone())]),
                    _ => Err(self.not_there(*layer, path)),
                }
            }
            Export::DirectoryTar { layer, path } => {
                let (tree, ino) = self.entry(*layer, path)?;
                match tree.directory(ino) {
                    Some(_) => Ok(Chunks::of_walk(Walk::of_directory(tree, ino))
                        .map(|chunk| chunk.bytes)
                        .collect()),
                    None => Err(self.not_there(*layer, path)),
                }
            }
            Export::DifferenceTar { before, after } => {
                let layer = self.difference_layer(*before, *after)?;
                Ok(layer.chunks().map(|chunk| chunk.bytes).collect())
            }
            Export::Recipe => self.export_recipe(),
        }
    }

    fn entry(&self, layer: LayerId, path: &str) -> Result<(&Tree, Ino), WorkbenchError> {
        let tree = self.state.layer(layer)?.layer.tree();
        Ok((tree, tree.resolve(&TreePath::parse(path)?)?))
    }

    fn not_there(&self, layer: LayerId, path: &str) -> WorkbenchError {
        let layer = self
            .state
            .layer(layer)
            .map_or(String::new(), |state| state.name.clone());
        WorkbenchError::NotThere {
            path: path.to_owned(),
            layer,
        }
    }

    /// The files of an opened archive, `only` with this image or with all that are left, each with its path.
    fn archive_files(
        &self,
        archive: ArchiveId,
        only: Option<ImageId>,
    ) -> Result<Vec<(Vec<u8>, Exported)>, WorkbenchError> {
        let state = self.state.archive(archive)?;
        let rebuilt = self.rebuild(state, only)?;
        let images = self.state.images_of(archive).map(|(_, image)| image);
        let Some(rebuilt) = rebuilt else {
            let mut busy = images.filter(|image| only.is_none_or(|only| image.id == only));
            let error = busy.next().map(|image| self.busy_layer(image));
            return Err(error.unwrap_or(WorkbenchError::Busy { layer: String::new() }));
        };
        let layers: Vec<&Arc<LayerState>> = images.flat_map(|image| &image.layers).collect();
        let blob_of = |digest| {
            let known = layers.iter().find_map(|layer| {
                let blob = self.blobs.known(layer.id).filter(|blob| blob.digest == digest)?;
                Some(blob.bytes(&layer.layer).collect::<Exported>())
            });
            known.unwrap_or_default()
        };
        let files = rebuilt.files.iter().map(|file| {
            let parts = match &file.body {
                Body::Bytes(bytes) => vec![Bytes::Owned(bytes.clone())],
                Body::Kept(content) => vec![Bytes::Content(content.clone())],
                Body::Layer(digest, _) => blob_of(*digest),
            };
            (file.path.clone(), parts)
        });
        Ok(files.collect())
    }

    /// The files of an opened archive, with what was changed, for a host that writes a directory: `only` this
    /// image, or all that are left. No path leads out of the directory.
    pub fn archive_layout(
        &self,
        archive: ArchiveId,
        only: Option<ImageId>,
    ) -> Result<Vec<(String, Exported)>, WorkbenchError> {
        let files = self.archive_files(archive, only)?.into_iter();
        let text = |path: Vec<u8>| String::from_utf8_lossy(&path).into_owned();
        Ok(files.map(|(path, parts)| (text(path), parts)).collect())
    }

    fn export_archive(&self, archive: ArchiveId, only: Option<ImageId>) -> Result<Exported, WorkbenchError> {
        let mut parts = Exported::new();
        let mut size = 0;
        for (path, content) in self.archive_files(archive, only)? {
            let length = content.iter().map(Bytes::len).sum();
            let header = archive::file_header(&path, length);
            size += header.len() as u64 + length + padding(length);
            parts.push(Bytes::Owned(header));
            parts.extend(content);
            parts.push(Bytes::Zeros(padding(length)));
        }
        parts.push(Bytes::Zeros(end_padding(size)));
        Ok(parts)
    }

    /// How large the archive of an image is, if that is known.
    pub(super) fn archive_size(&self, image: &ImageState) -> Option<u64> {
        if let Some(opened) = image.opened() {
            let archive = self.state.archive(opened.archive).ok()?;
            let rebuilt = self.rebuild(archive, None).ok()??;
            let sizes = rebuilt.files.iter().map(|file| {
                let header = archive::file_header(&file.path, file.size()).len() as u64;
                header + file.size() + padding(file.size())
            });
            let size: u64 = sizes.sum();
            return Some(size + end_padding(size));
        }
        let (documents, layers) = self.documents(image)?;
        Some(archive_plan(&documents, &layers).size)
    }

    fn export_image(&self, image: &ImageState) -> Result<Exported, WorkbenchError> {
        if let Some(opened) = image.opened() {
            return self.export_archive(opened.archive, Some(image.id));
        }
        let (documents, layers) = self.documents(image).ok_or_else(|| self.busy_layer(image))?;
        let plan = archive_plan(&documents, &layers);
        let mut parts = Exported::new();
        for part in plan.parts {
            match part {
                Part::Bytes(bytes) => parts.push(Bytes::Owned(bytes)),
                Part::Blob(index) => parts.extend(self.blob_parts(image, index)),
            }
        }
        Ok(parts)
    }

    /// The files of the image's layout with their paths, for a host that writes a directory. Directories are
    /// implied by the paths; a blob that two layers share is there once.
    pub fn export_layout(&self, image: ImageId) -> Result<Vec<(String, Exported)>, WorkbenchError> {
        let image = self.state.image(image)?;
        if let Some(opened) = image.opened() {
            return self.archive_layout(opened.archive, Some(image.id));
        }
        let (documents, layers) = self.documents(image).ok_or_else(|| self.busy_layer(image))?;
        let files = [
            ("oci-layout".to_owned(), &documents.layout),
            ("index.json".to_owned(), &documents.index),
            ("manifest.json".to_owned(), &documents.docker),
            (blob_path(documents.manifest.digest), &documents.manifest),
            (blob_path(documents.config.digest), &documents.config),
        ];
        let mut written = BTreeSet::new();
        let files = files
            .into_iter()
            .map(|(path, document)| (path, vec![Bytes::Owned(document.bytes.clone())]));
        let blobs = layers
            .iter()
            .enumerate()
            .filter(|(_, layer)| written.insert(layer.digest));
        let blobs = blobs.map(|(index, layer)| (blob_path(layer.digest), self.blob_parts(image, index)));
        Ok(files.chain(blobs).collect())
    }

    fn blob_parts(&self, image: &ImageState, index: usize) -> Exported {
        let layer = &image.layers[index];
        self.blobs
            .known(layer.id)
            .map_or_else(Vec::new, |blob| blob.bytes(&layer.layer).collect())
    }

    /// Why the image's blobs are not all there.
    fn busy_layer(&self, image: &ImageState) -> WorkbenchError {
        let mut unknown = image
            .layers
            .iter()
            .filter(|layer| self.blobs.known(layer.id).is_none());
        let error = unknown.next().map(|layer| self.not_known(layer));
        error.unwrap_or(WorkbenchError::Busy { layer: String::new() })
    }

    fn not_known(&self, layer: &LayerState) -> WorkbenchError {
        match self.blobs.state(layer.id) {
            BlobState::Failed(error) => error.clone().into(),
            _ => WorkbenchError::Busy {
                layer: layer.name.clone(),
            },
        }
    }
}
