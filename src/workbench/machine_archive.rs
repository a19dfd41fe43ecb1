//! Images of the session as the archives that a machine imports: without writing them anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::content::Content;
use crate::digest::chain_id;
use crate::image::manifest::blob_path;
use crate::layer::joined;
use crate::store::ArchiveFile;

use super::Workbench;
use super::blobs::BlobState;
use super::error::WorkbenchError;
use super::export::Export;
use super::lean::whole;
use super::machine::{Chain, Importable};
use super::machine_prompt::AtHand;
use super::operation::ImageId;
use super::state::ImageState;

/// About how many bytes are hashed before it is asked whether that was enough.
const BUDGET: u64 = 64 << 20;

impl Workbench {
    /// Reads and hashes the layers of an image, and what else is imported with it, now.
    pub(super) fn hash_image(&mut self, image: ImageId) -> Result<(), WorkbenchError> {
        whole()?;
        let image = self.state.image(image)?.clone();
        loop {
            let layers = self.imported_with(&image);
            let layers = layers.iter().flat_map(|image| &image.layers);
            let is_left = layers.clone().any(|layer| {
                let state = self.blobs.state(layer.id);
                !matches!(state, BlobState::Known(_) | BlobState::Failed(_))
            });
            if !is_left || !self.step(BUDGET) {
                return Ok(());
            }
        }
    }

    /// An image, or all images of the archive that it came in.
    fn imported_with(&self, image: &ImageState) -> Vec<Arc<ImageState>> {
        match image.opened() {
            None => self.state.image(image.id).into_iter().cloned().collect(),
            Some(opened) => {
                let images = self.state.images_of(opened.archive);
                images.map(|(_, image)| image.clone()).collect()
            }
        }
    }

    /// The archives of the session by their names, as they lie in the home of the machine's root: of each image that
    /// was made here, and of each that was opened. One that is not hashed yet has nothing in it.
    pub(super) fn archives_at_hand(&self) -> BTreeMap<String, AtHand> {
        let mut found = BTreeMap::new();
        for image in &self.state.images {
            let (title, parts) = match image.opened() {
                None => (
                    file_name(image.reference.repository()).to_owned(),
                    self.export(&Export::Image { image: image.id }),
                ),
                Some(opened) => {
                    let archive = self.state.archive(opened.archive);
                    let name = archive.map_or_else(|_| String::new(), |archive| archive.name.clone());
                    let archive = opened.archive;
                    (
                        file_name(&name).to_owned(),
                        self.export(&Export::Archive { archive }),
                    )
                }
            };
            // What lies there is not packed.
            let stem = [".gz", ".zst", ".tgz", ".tar"]
                .iter()
                .fold(&title[..], |title, end| title.strip_suffix(end).unwrap_or(title));
            let content = parts.map_or_else(|_| Content::inline(*b""), joined);
            found.entry(format!("{stem}.tar")).or_insert(AtHand {
                image: image.id,
                content,
            });
        }
        found
    }

    /// An image as an archive, whose blobs must be known.
    pub(super) fn importable_image(&self, image: &ImageState) -> Result<Importable, WorkbenchError> {
        let (title, parts) = match image.opened() {
            None => (
                format!("{}.tar", file_name(image.reference.repository())),
                self.export_layout(image.id)?,
            ),
            Some(opened) => {
                let archive = self.state.archive(opened.archive)?;
                (archive.name.clone(), self.archive_layout(opened.archive, None)?)
            }
        };
        let mut files: Vec<(String, Content)> = parts
            .into_iter()
            .map(|(path, parts)| (path, joined(parts)))
            .collect();
        let images = self.imported_with(image);
        let mut known = Vec::new();
        for layer in images.iter().flat_map(|image| &image.layers) {
            let Some(blob) = self.blobs.known(layer.id) else {
                continue;
            };
            let path = blob_path(blob.digest);
            let Some((_, content)) = files.iter_mut().find(|(name, _)| *name == path) else {
                continue;
            };
            // Of a file that was opened, its name is only a claim: it is taken for what the layer is.
            *content = joined(blob.bytes(&layer.layer).collect());
            let unpacked = joined(layer.layer.chunks().map(|chunk| chunk.bytes).collect());
            known.push((blob.digest, content.clone(), unpacked));
        }
        let images = images.iter().map(|image| (image.id, self.chain(image)));
        Ok(Importable {
            title,
            images: images.collect(),
            known,
            files: files
                .into_iter()
                .map(|(path, content)| ArchiveFile::File(path.into_bytes(), content))
                .collect(),
        })
    }

    /// The layers of an image that are known, by their ChainIDs, bottom first.
    fn chain(&self, image: &ImageState) -> Chain {
        let mut below = None;
        let layers = image.layers.iter().map_while(|layer| {
            let blob = self.blobs.known(layer.id)?;
            let chain = chain_id(below, blob.diff_id);
            below = Some(chain);
            Some((chain, layer.clone()))
        });
        layers.collect()
    }
}

fn file_name(repository: &str) -> &str {
    repository.rsplit('/').next().unwrap_or(repository)
}
