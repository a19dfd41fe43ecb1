//! What can be taken out of a session: archives, tars and files, as parts that need not be in memory.

use std::collections::BTreeSet;

use crate::image::archive::{Part, archive_plan};
use crate::image::manifest::blob_path;
use crate::layer::{Bytes, Chunks, Walk};
use crate::tree::{Ino, Node, Tree, TreePath};

use super::Workbench;
use super::blobs::BlobState;
use super::error::WorkbenchError;
use super::operation::{ImageId, LayerId};
use super::state::{ImageState, LayerState};

/// What is wanted.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "fields are what their names say")]
pub enum Export {
    /// The image archive: an OCI layout in a tar that is also what `docker load` reads.
    Image { image: ImageId },
    /// A layer's tar, which the DiffID names.
    LayerTar { layer: LayerId },
    /// A layer as it is stored, which the digest names.
    LayerBlob { layer: LayerId },
    /// One file's content.
    File { layer: LayerId, path: String },
    /// A directory of one layer as a tar of its own.
    DirectoryTar { layer: LayerId, path: String },
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

    fn export_image(&self, image: &ImageState) -> Result<Exported, WorkbenchError> {
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
