//! Images of the session as the archives that a machine imports: without writing them anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::content::{Content, ContentError, Source, own_id};
use crate::digest::chain_id;
use crate::image::manifest::blob_path;
use crate::layer::Bytes;
use crate::store::ArchiveFile;

use super::Workbench;
use super::blobs::BlobState;
use super::error::WorkbenchError;
use super::export::{Export, Exported};
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

/// Parts that follow one another as one content, which reads them where they are.
pub(super) fn joined(parts: Exported) -> Content {
    let mut joined = Joined {
        id: own_id(),
        parts: Vec::new(),
        length: 0,
    };
    for part in parts {
        joined.length += part.len();
        joined.parts.push((joined.length, part));
    }
    match &joined.parts[..] {
        [(_, Bytes::Content(content))] => content.clone(),
        [(_, Bytes::Owned(bytes))] => Content::inline(&bytes[..]),
        _ => Content::whole(Arc::new(joined)),
    }
}

/// Parts as a source.
struct Joined {
    id: u64,
    /// Each with where it ends.
    parts: Vec<(u64, Bytes)>,
    length: u64,
}

impl Source for Joined {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        "a blob of the session"
    }

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, mut into: &mut [u8]) -> Result<(), ContentError> {
        let first = self.parts.partition_point(|(end, _)| *end <= offset);
        let mut offset = offset;
        for (end, part) in &self.parts[first..] {
            if into.is_empty() {
                break;
            }
            let from = offset - (end - part.len());
            let length = (end - offset).min(into.len() as u64) as usize;
            let (here, rest) = into.split_at_mut(length);
            match part {
                Bytes::Owned(bytes) => here.copy_from_slice(&bytes[from as usize..][..length]),
                Bytes::Content(content) => content.read_at(from, here)?,
                Bytes::Zeros(_) => here.fill(0),
            }
            (into, offset) = (rest, offset + length as u64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_one() {
        let parts = vec![
            Bytes::Owned(b"ab".to_vec()),
            Bytes::Zeros(2),
            Bytes::Owned(Vec::new()),
            Bytes::Content(Content::inline(*b"cdef").slice(1, 2)),
        ];
        let (content, all) = (joined(parts), b"ab\0\0de");
        for from in 0..=all.len() {
            for to in from..=all.len() {
                let mut read = vec![1; to - from];
                content.read_at(from as u64, &mut read).unwrap();
                assert_eq!(read, all[from..to]);
            }
        }
    }
}
