//! What a session holds: images with their settings and layers, as values that are cheap to clone, so that
//! undo is keeping the value from before.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::LEAN;
use crate::image::catalog::{Catalog, ImageEntry};
use crate::image::{Reference, Settings};
use crate::layer::{Compression, Layer, Note};

use super::container::ContainerState;
use super::error::WorkbenchError;
use super::lean::whole;
use super::machine::MachineState;
use super::operation::{ArchiveId, ImageId, LayerId};

/// One layer of an image.
#[derive(Clone, Debug)]
pub struct LayerState {
    /// Which.
    pub id: LayerId,
    /// What people call it; no digest knows it.
    pub name: String,
    /// What is in it.
    pub layer: Layer,
    /// How it is stored.
    pub compression: Compression,
    /// Its line in the history: what made it.
    pub created_by: Option<String>,
    /// Its line in the history: a remark.
    pub comment: Option<String>,
    /// Where it comes from, if it was opened with an image.
    pub came: Option<Arc<Came>>,
    /// Lines in the history of what was squashed into it, by their numbers in the configuration that came.
    pub absorbed: Vec<usize>,
}

/// What an opened image says of a layer.
#[derive(Clone, Debug)]
pub struct Came {
    /// Which archive.
    pub archive: ArchiveId,
    /// Which of its images.
    pub image: usize,
    /// Which of that one's layers, from the bottom.
    pub layer: usize,
    /// What made it, as the history had it.
    pub created_by: Option<String>,
    /// The remark that the history had.
    pub comment: Option<String>,
}

impl LayerState {
    /// If it was opened: what was read otherwise than it stands there.
    pub fn notes(&self) -> &[Note] {
        self.layer.as_read().map_or(&[], |read| &read.notes)
    }
}

/// One image.
#[derive(Clone, Debug)]
pub struct ImageState {
    /// Which.
    pub id: ImageId,
    /// Its name.
    pub reference: Reference,
    /// Its configuration.
    pub settings: Settings,
    /// Its layers, bottom first.
    pub layers: Vec<Arc<LayerState>>,
    /// Where it comes from, if it was opened.
    pub(super) opened: Option<Arc<Opened>>,
}

/// Where an opened image comes from, and what it was.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Which archive.
    pub archive: ArchiveId,
    /// Which of its images.
    pub number: usize,
    /// All that came with it.
    pub catalog: Arc<Catalog>,
    /// The name that it was given here, or came with.
    pub reference: Reference,
    /// Its settings.
    pub settings: Settings,
}

impl Opened {
    /// What the catalog says of the image.
    pub fn entry(&self) -> &ImageEntry {
        &self.catalog.images[self.number]
    }
}

/// An archive that was opened.
#[derive(Clone, Debug)]
pub struct ArchiveState {
    /// Which.
    pub id: ArchiveId,
    /// What the file or the directory is called.
    pub name: String,
    /// All that came with it.
    pub catalog: Arc<Catalog>,
}

/// All of a session that undo takes back.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The images, in the order of their making.
    pub images: Vec<Arc<ImageState>>,
    /// The archives that were opened, in that order.
    pub archives: Vec<Arc<ArchiveState>>,
    /// The containers that were started and not thrown away, in that order.
    pub containers: Vec<Arc<ContainerState>>,
    /// The machine to which images were imported, if any were.
    pub(super) machine: Option<Arc<MachineState>>,
}

impl ImageState {
    /// Where it comes from, if it was opened.
    pub fn opened(&self) -> Option<&Arc<Opened>> {
        match LEAN {
            true => None,
            false => self.opened.as_ref(),
        }
    }
}

impl State {
    /// An image.
    pub fn image(&self, image: ImageId) -> Result<&Arc<ImageState>, WorkbenchError> {
        self.images
            .iter()
            .find(|state| state.id == image)
            .ok_or(WorkbenchError::NoImage { image })
    }

    /// Whether an image or a container has this id.
    pub fn has_image(&self, id: ImageId) -> bool {
        self.image(id).is_ok() || self.container(id).is_ok()
    }

    /// Whether a layer, or the writable sheet of a container, has this id.
    pub fn has_layer(&self, id: LayerId) -> bool {
        self.layer(id).is_ok() || self.containers().iter().any(|state| state.layer == id)
    }

    /// An image, to be changed.
    pub fn image_mut(&mut self, image: ImageId) -> Result<&mut ImageState, WorkbenchError> {
        let state = self.images.iter_mut().find(|state| state.id == image);
        state.map(Arc::make_mut).ok_or(WorkbenchError::NoImage { image })
    }

    /// An archive.
    pub fn archive(&self, archive: ArchiveId) -> Result<&Arc<ArchiveState>, WorkbenchError> {
        whole()?;
        let found = self.archives.iter().find(|state| state.id == archive);
        found.ok_or(WorkbenchError::NoArchive { archive })
    }

    /// The archives that are open.
    pub fn archives(&self) -> &[Arc<ArchiveState>] {
        match LEAN {
            true => &[],
            false => &self.archives,
        }
    }

    /// The containers that there are.
    pub fn containers(&self) -> &[Arc<ContainerState>] {
        match LEAN {
            true => &[],
            false => &self.containers,
        }
    }

    /// The machine to which images were imported, if any were.
    pub fn machine(&self) -> Option<&Arc<MachineState>> {
        match LEAN {
            true => None,
            false => self.machine.as_ref(),
        }
    }

    /// A container.
    pub fn container(&self, container: ImageId) -> Result<&Arc<ContainerState>, WorkbenchError> {
        whole()?;
        let found = self.containers().iter().find(|state| state.id == container);
        found.ok_or(WorkbenchError::NoContainer { container })
    }

    /// A container, to be changed.
    pub fn container_mut(&mut self, container: ImageId) -> Result<&mut ContainerState, WorkbenchError> {
        whole()?;
        let found = self.containers.iter_mut().find(|state| state.id == container);
        found
            .map(Arc::make_mut)
            .ok_or(WorkbenchError::NoContainer { container })
    }

    /// The images of an archive that are in the session, each with its number in the archive.
    pub fn images_of(&self, archive: ArchiveId) -> impl Iterator<Item = (usize, &Arc<ImageState>)> {
        self.images.iter().filter_map(move |image| {
            let opened = image.opened().filter(|opened| opened.archive == archive)?;
            Some((opened.number, image))
        })
    }

    /// All layers of all images.
    pub fn layers(&self) -> impl Iterator<Item = &Arc<LayerState>> {
        self.images.iter().flat_map(|image| &image.layers)
    }

    /// For how many entries the layers that were opened and read take memory.
    pub(super) fn held(&self) -> usize {
        let origins = self.layers().filter_map(|layer| layer.layer.origin());
        let distinct: BTreeMap<_, _> = origins.map(|origin| (Arc::as_ptr(origin), origin)).collect();
        let reads = distinct.values().filter_map(|origin| origin.read());
        reads.map(|read| read.held).sum()
    }

    /// A layer.
    pub fn layer(&self, layer: LayerId) -> Result<&Arc<LayerState>, WorkbenchError> {
        self.layers()
            .find(|state| state.id == layer)
            .ok_or(WorkbenchError::NoLayer { layer })
    }

    /// A layer, to be changed.
    pub fn layer_mut(&mut self, layer: LayerId) -> Result<&mut LayerState, WorkbenchError> {
        let (image, position) = self.place_of(layer)?;
        Ok(Arc::make_mut(&mut self.image_mut(image)?.layers[position]))
    }

    /// The image that a layer is in, and its position from the bottom.
    pub fn place_of(&self, layer: LayerId) -> Result<(ImageId, usize), WorkbenchError> {
        self.images
            .iter()
            .find_map(|image| {
                let position = image.layers.iter().position(|state| state.id == layer)?;
                Some((image.id, position))
            })
            .ok_or(WorkbenchError::NoLayer { layer })
    }
}
