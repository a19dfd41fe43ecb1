//! Images that came from outside: from a catalog to images and layers of the session, and from these back to the
//! files of the archive. What nobody changed is written as it came.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::compress::inflate::Packing;
use crate::digest::Digest;
use crate::image::catalog::rebuild::{
    ConfigEdits, HistorySlot, ImageEdit, LayerSlot, NewHistory, NewLayer, Rebuild, Rebuilt, edit_config,
};
use crate::image::catalog::{Catalog, Format, ImageEntry, LayerEntry, NodeId, State as NodeState};
use crate::image::{Reference, Settings};
use crate::layer::{Blob, Compression, Layer, Origin};

use super::Workbench;
use super::apply::layer_name;
use super::error::WorkbenchError;
use super::operation::{ArchiveId, ImageId, LayerId};
use super::state::{ArchiveState, Came, ImageState, LayerState, Opened};

/// Gives ids to the images and layers of an archive.
pub(super) struct Arrival<'a> {
    pub(super) archive: ArchiveId,
    pub(super) name: &'a str,
    pub(super) catalog: Arc<Catalog>,
    pub(super) next_image: ImageId,
    pub(super) next_layer: LayerId,
    /// A blob that several images have is read once.
    origins: BTreeMap<NodeId, Arc<Origin>>,
}

impl<'a> Arrival<'a> {
    pub(super) fn new(
        archive: ArchiveId,
        name: &'a str,
        catalog: Arc<Catalog>,
        next_image: ImageId,
        next_layer: LayerId,
    ) -> Self {
        Self {
            archive,
            name,
            catalog,
            next_image,
            next_layer,
            origins: BTreeMap::new(),
        }
    }

    /// All images of the archive.
    pub(super) fn images(&mut self) -> Vec<ImageState> {
        let catalog = self.catalog.clone();
        let images = catalog.images.iter().enumerate();
        images.map(|(number, entry)| self.image(number, entry)).collect()
    }

    fn image(&mut self, number: usize, entry: &ImageEntry) -> ImageState {
        let id = self.next_image;
        self.next_image += 1;
        let catalog = self.catalog.clone();
        let config = entry
            .config
            .and_then(|node| catalog.node(node).document.as_ref()?.root());
        let mut settings = config.map(Settings::from_config).unwrap_or_default();
        if config.is_none()
            && let Some(platform) = &entry.platform
        {
            settings.platform = platform.clone();
        }
        let reference = reference_of(entry, self.name);
        let layers = entry.layers.iter().enumerate();
        let layers = layers.map(|(layer, came)| Arc::new(self.layer(number, entry, layer, came)));
        ImageState {
            id,
            layers: layers.collect(),
            opened: Some(Arc::new(Opened {
                archive: self.archive,
                number,
                catalog,
                reference: reference.clone(),
                settings: settings.clone(),
            })),
            reference,
            settings,
        }
    }

    fn layer(&mut self, image: usize, entry: &ImageEntry, number: usize, came: &LayerEntry) -> LayerState {
        let id = self.next_layer;
        self.next_layer += 1;
        let history = came.history.and_then(|at| entry.history.get(at));
        let created_by = history.and_then(|line| line.created_by.clone());
        let comment = history.and_then(|line| line.comment.clone());
        LayerState {
            id,
            name: title(number, created_by.as_deref()),
            layer: Layer::from_origin(self.origin(came.node)),
            compression: Compression::Original,
            created_by: created_by.clone(),
            comment: comment.clone(),
            came: Some(Arc::new(Came {
                archive: self.archive,
                image,
                layer: number,
                created_by,
                comment,
            })),
            absorbed: Vec::new(),
        }
    }

    fn origin(&mut self, node: NodeId) -> Arc<Origin> {
        let catalog = &self.catalog;
        let make = || {
            let node = catalog.node(node);
            Arc::new(match (&node.content, &node.state) {
                (Some(content), _) => Origin::new(content.clone(), node.packing.unwrap_or(Packing::Plain)),
                (None, NodeState::Foreign { urls }) => Origin::missing(format!(
                    "the layer is not in the archive; it can be had from {}",
                    urls.join(", ")
                )),
                (None, NodeState::Unreadable { reason }) => Origin::missing(reason.clone()),
                (None, _) => {
                    Origin::missing("the layer is named, but its blob is not in the archive".to_owned())
                }
            })
        };
        self.origins.entry(node).or_insert_with(make).clone()
    }
}

/// The name that an image came with, or one made of the archive's.
fn reference_of(entry: &ImageEntry, archive: &str) -> Reference {
    let stem = archive.rsplit('/').next().unwrap_or(archive);
    let stem = stem.split(".tar").next().unwrap_or(stem).to_ascii_lowercase();
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let stem: String = stem.chars().map(allowed).take(60).collect();
    let stem = stem.trim_matches('-');
    // A name as it stands; a tag of an image that has no other name.
    let names = entry
        .names
        .iter()
        .flat_map(|name| match name.text.contains(['/', ':']) {
            true => vec![name.text.clone()],
            false => vec![format!("{stem}:{}", name.text), name.text.clone()],
        });
    let made = [stem.to_owned(), "image".to_owned()];
    let mut parsed = names.chain(made).filter_map(|name| Reference::parse(&name).ok());
    parsed.next().expect("`image` is a name")
}

/// How many characters of what made a layer are its name in lists.
const TITLE: usize = 60;

/// What people see of a layer in a list: what made it, in short.
fn title(number: usize, created_by: Option<&str>) -> String {
    let made = created_by.unwrap_or_default();
    let made = made
        .trim_start_matches("/bin/sh -c ")
        .trim_start_matches("#(nop) ");
    let made = made.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut made: String = made.chars().filter(|c| !c.is_control()).take(TITLE + 1).collect();
    if let Some((cut, _)) = made.char_indices().nth(TITLE) {
        made.truncate(cut);
        made.push('…');
    }
    layer_name(&made).unwrap_or_else(|_| format!("layer {}", number + 1))
}

/// Whether a layer's blob is written as it came.
pub(super) fn is_reused(layer: &LayerState) -> bool {
    layer.came.is_some() && layer.compression.of(&layer.layer) == Compression::Original
}

impl Workbench {
    /// The archive of an opened image as it would be written, `only` this image or all that are left; none while
    /// hashes that it needs are not known.
    pub(super) fn rebuild(
        &self,
        archive: &ArchiveState,
        only: Option<ImageId>,
    ) -> Result<Option<Arc<Rebuilt>>, WorkbenchError> {
        let known = self
            .state
            .layers()
            .filter(|layer| self.blobs.known(layer.id).is_some())
            .count();
        let key = (archive.id, only);
        if let Some((revision, count, rebuilt)) = self.rebuilt.borrow().get(&key)
            && (*revision, *count) == (self.revision, known)
        {
            return Ok(rebuilt.clone());
        }
        let rebuilt = self.rebuild_now(archive, only)?.map(Arc::new);
        let mut kept = self.rebuilt.borrow_mut();
        kept.retain(|_, (revision, ..)| *revision == self.revision);
        kept.insert(key, (self.revision, known, rebuilt.clone()));
        Ok(rebuilt)
    }

    fn rebuild_now(
        &self,
        archive: &ArchiveState,
        only: Option<ImageId>,
    ) -> Result<Option<Rebuilt>, WorkbenchError> {
        let catalog = &archive.catalog;
        let digests = self.digests_of(archive);
        let mut rebuild = Rebuild::new(catalog, &digests);
        let left: BTreeMap<usize, &Arc<ImageState>> = self.state.images_of(archive.id).collect();
        for number in 0..catalog.images.len() {
            match left
                .get(&number)
                .filter(|image| only.is_none_or(|only| image.id == only))
            {
                None => rebuild.remove(number),
                Some(image) => match self.edit_of(image)? {
                    Edited::Unknown => return Ok(None),
                    Edited::No => {}
                    Edited::Yes(edit) => rebuild.edit(number, *edit),
                },
            }
        }
        match rebuild.finish() {
            Ok(rebuilt) => Ok(Some(rebuilt)),
            // A docker archive does not tell its layers' digests: they are being computed.
            Err(crate::image::catalog::rebuild::RebuildError::Digest { .. }) if self.blobs.busy() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The digests of an archive's blobs as their bytes give them, as far as they are known.
    pub(super) fn digests_of(&self, archive: &ArchiveState) -> BTreeMap<NodeId, Digest> {
        let layers = self
            .state
            .images_of(archive.id)
            .flat_map(|(_, image)| &image.layers);
        let known = layers.filter_map(|layer| {
            let came = layer.came.as_ref().filter(|came| came.archive == archive.id)?;
            let node = archive.catalog.images[came.image].layers[came.layer].node;
            let read = layer
                .layer
                .as_read()
                .and_then(|read| read.sums.map(|sums| sums.digest));
            let blob = self.blobs.known(layer.id).filter(|_| is_reused(layer));
            Some((node, read.or_else(|| blob.map(|blob| blob.digest))?))
        });
        known.collect()
    }

    fn edit_of(&self, image: &ImageState) -> Result<Edited, WorkbenchError> {
        let Some(opened) = image.opened() else {
            return Ok(Edited::No);
        };
        let entry = opened.entry();
        let Some(layers) = self.slots(image, opened) else {
            return Ok(Edited::Unknown);
        };
        let same_layers = layers.len() == entry.layers.len()
            && layers
                .iter()
                .enumerate()
                .all(|(at, slot)| *slot == LayerSlot::Keep(at));
        let history = history(image, entry);
        let settings = (image.settings != opened.settings).then_some((&opened.settings, &image.settings));
        let reference =
            (image.reference.canonical() != opened.reference.canonical()).then(|| image.reference.clone());
        let is_bare = opened.catalog.format == Format::Layer || entry.config.is_none();
        if same_layers && history.is_none() && settings.is_none() && reference.is_none() && !is_bare {
            return Ok(Edited::No);
        }
        let mut edit = ImageEdit {
            reference: reference.or_else(|| is_bare.then(|| image.reference.clone())),
            platform: (image.settings.platform != opened.settings.platform || is_bare)
                .then(|| image.settings.platform.clone()),
            layers: (!same_layers).then_some(layers),
            config: None,
        };
        let document = entry
            .config
            .and_then(|node| opened.catalog.node(node).document.as_ref());
        let Some(document) = document else {
            let Some(described) = self.described(image) else {
                return Ok(Edited::Unknown);
            };
            edit.config = Some(image.settings.document(&described));
            return Ok(Edited::Yes(Box::new(edit)));
        };
        let diff_ids = match same_layers {
            true => None,
            false => match self.diff_ids(image, entry) {
                Some(diff_ids) => Some(diff_ids),
                None => return Ok(Edited::Unknown),
            },
        };
        let edits = ConfigEdits {
            diff_ids,
            history,
            settings,
        };
        let bytes = edit_config(document, &edits).map_err(|error| {
            let node = entry.config.expect("it has a document");
            let path = crate::text::escape(&opened.catalog.node(node).path);
            crate::image::catalog::rebuild::RebuildError::Document { node, path, error }
        })?;
        edit.config = Some(bytes);
        Ok(Edited::Yes(Box::new(edit)))
    }

    /// The layers of an opened image: those that came with it as they came, and blobs of ours. None while a digest
    /// is not known.
    fn slots(&self, image: &ImageState, opened: &Opened) -> Option<Vec<LayerSlot>> {
        let came_here = |layer: &LayerState| {
            let came = layer.came.as_ref()?;
            let here = (came.archive, came.image) == (opened.archive, opened.number);
            here.then_some(came.layer)
        };
        let slot = |layer: &Arc<LayerState>| {
            let like = came_here(layer);
            match like.filter(|_| is_reused(layer)) {
                Some(number) => Some(LayerSlot::Keep(number)),
                None => {
                    let blob = self.blobs.known(layer.id)?;
                    Some(LayerSlot::New(NewLayer {
                        digest: blob.digest,
                        size: blob.size,
                        packing: packing_of(blob, layer),
                        like,
                    }))
                }
            }
        };
        image.layers.iter().map(slot).collect()
    }

    /// The DiffIDs of an image's layers: what the configuration claimed, where a layer is as it came.
    fn diff_ids(&self, image: &ImageState, entry: &ImageEntry) -> Option<Vec<Digest>> {
        let diff_id = |layer: &Arc<LayerState>| {
            let came = layer.came.as_ref().filter(|_| is_reused(layer));
            let claimed = came.and_then(|came| entry.layers.get(came.layer)?.diff_id.as_ref()?.sha256());
            claimed.or_else(|| self.blobs.known(layer.id).map(|blob| blob.diff_id))
        };
        image.layers.iter().map(diff_id).collect()
    }
}

/// What became of an opened image.
enum Edited {
    No,
    Yes(Box<ImageEdit>),
    /// Hashes are missing.
    Unknown,
}

fn packing_of(blob: &Blob, layer: &LayerState) -> Packing {
    match blob.compression {
        Compression::None => Packing::Plain,
        Compression::Gz1 => Packing::Gzip,
        Compression::Original => layer
            .layer
            .origin()
            .map_or(Packing::Plain, |origin| origin.packing()),
    }
}

/// The history of an opened image, if it is to be another: each layer's line with those after it that made no
/// layer. None if it stays, or if it never fitted the layers.
fn history(image: &ImageState, entry: &ImageEntry) -> Option<Vec<HistorySlot>> {
    let aligned = entry.layers.iter().all(|layer| layer.history.is_some());
    if entry.history.is_empty() || !aligned {
        return None;
    }
    // The lines that belong to each layer that came: its own, then those that made none.
    let mut leading = Vec::new();
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); entry.layers.len()];
    let mut at: Option<usize> = None;
    for (number, line) in entry.history.iter().enumerate() {
        at = line.layer.or(at);
        match at {
            None => leading.push(number),
            Some(layer) => groups[layer].push(number),
        }
    }
    let mut slots: Vec<HistorySlot> = leading.into_iter().map(HistorySlot::Keep).collect();
    let here = |layer: &LayerState| {
        let opened = image.opened()?;
        let came = layer.came.clone()?;
        ((came.archive, came.image) == (opened.archive, opened.number)).then_some(came)
    };
    let mut left: Vec<bool> = vec![false; groups.len()];
    for layer in &image.layers {
        if let Some(came) = here(layer) {
            left[came.layer] = true;
        }
    }
    let absorbed: Vec<usize> = image
        .layers
        .iter()
        .flat_map(|layer| layer.absorbed.clone())
        .collect();
    // Lines of layers that are gone go with them; those after them, which made none, stay where they were.
    let orphans = |from: usize| {
        let gone = (from..groups.len()).take_while(|layer| !left[*layer]);
        let lines = gone.flat_map(|layer| groups[layer].iter().skip(1));
        lines
            .copied()
            .filter(|line| !absorbed.contains(line))
            .map(HistorySlot::Keep)
            .collect::<Vec<_>>()
    };
    slots.extend(orphans(0));
    for layer in &image.layers {
        let came = here(layer);
        let said = (&layer.created_by, &layer.comment);
        let own = came.as_ref().map(|came| groups[came.layer][0]);
        slots.push(match (&came, own) {
            (Some(came), Some(line)) if said == (&came.created_by, &came.comment) => HistorySlot::Keep(line),
            (_, line) => HistorySlot::New(NewHistory {
                created: line.and_then(|line| entry.history[line].created.clone()),
                created_by: layer.created_by.clone(),
                comment: layer.comment.clone(),
                empty_layer: false,
            }),
        });
        slots.extend(layer.absorbed.iter().map(|line| HistorySlot::Emptied(*line)));
        if let Some(came) = came {
            let empties = groups[came.layer]
                .iter()
                .skip(1)
                .filter(|line| !absorbed.contains(line));
            slots.extend(empties.map(|line| HistorySlot::Keep(*line)));
            slots.extend(orphans(came.layer + 1));
        }
    }
    let same = slots.len() == entry.history.len()
        && slots
            .iter()
            .enumerate()
            .all(|(at, slot)| *slot == HistorySlot::Keep(at));
    (!same).then_some(slots)
}

/// The lines of the history that a squashed layer stood for.
pub(super) fn lines_of(image: &ImageState, layer: &LayerState) -> Vec<usize> {
    let Some((opened, came)) = image.opened().zip(layer.came.as_ref()) else {
        return Vec::new();
    };
    if (came.archive, came.image) != (opened.archive, opened.number) {
        return Vec::new();
    }
    let own = opened.entry().layers[came.layer].history;
    own.into_iter().chain(layer.absorbed.iter().copied()).collect()
}
