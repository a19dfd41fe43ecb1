//! What a session holds: images with their settings and layers, as values that are cheap to clone, so that
//! undo is keeping the value from before.

use std::sync::Arc;

use crate::image::{Reference, Settings};
use crate::layer::{Compression, Layer, Note};

use super::error::WorkbenchError;
use super::operation::{ImageId, LayerId};

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
}

/// All of a session that undo takes back.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The images, in the order of their making.
    pub images: Vec<Arc<ImageState>>,
}

impl State {
    /// An image.
    pub fn image(&self, image: ImageId) -> Result<&Arc<ImageState>, WorkbenchError> {
        self.images
            .iter()
            .find(|state| state.id == image)
            .ok_or(WorkbenchError::NoImage { image })
    }

    /// An image, to be changed.
    pub fn image_mut(&mut self, image: ImageId) -> Result<&mut ImageState, WorkbenchError> {
        let state = self.images.iter_mut().find(|state| state.id == image);
        state.map(Arc::make_mut).ok_or(WorkbenchError::NoImage { image })
    }

    /// All layers of all images.
    pub fn layers(&self) -> impl Iterator<Item = &Arc<LayerState>> {
        self.images.iter().flat_map(|image| &image.layers)
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
