//! The workbench: one person's session. Images and their layers, one door for changes, the journal with undo,
//! the work on hashes, and what a user interface asks. Knows everything above it, and no host: it has no
//! clock, no user and no files but the sources it is handed.

mod apply;
mod blobs;
mod checking;
mod column;
mod compare;
#[cfg(test)]
mod compare_tests;
mod container;
#[cfg(test)]
mod container_tests;
mod container_view;
mod effects;
mod error;
mod export;
#[cfg(test)]
mod fix_tests;
mod from_json;
mod import;
mod journal;
mod lean;
mod machine;
mod machine_archive;
mod machine_prompt;
mod machine_task;
#[cfg(test)]
mod machine_tests;
mod machine_view;
#[cfg(test)]
mod large_tests;
#[cfg(test)]
mod model;
mod opened;
#[cfg(test)]
mod opened_tests;
mod opened_view;
mod operation;
mod query;
#[cfg(test)]
mod random_tests;
mod reading;
mod recipe;
mod ribbon;
mod rows;
mod sample;
mod state;
mod surgery;
#[cfg(test)]
mod tests;
mod view;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::LEAN;
use crate::base64;
use crate::compress::inflate::Packing;
use crate::content::{Content, ContentError, ScratchSpace, Source};
use crate::image::archive::{self, Documents, LayerBlob};
use crate::image::catalog::rebuild::Rebuilt;
use crate::image::catalog::{Catalog, Format, OpenJob, Opening};
use crate::image::files::{Files, Stage};
use crate::layer::{Blob, DeflateTask, Layer, LayerError, Origin, ReadJob, Reading, SegmentCache, Task};
use crate::scratch::MemorySpace;
use crate::text::unescape;

use apply::{Applier, Contents};
use journal::Journal;
use lean::whole;
use machine::Importable;
use machine_prompt::AtHand;

pub use blobs::{BlobState, Blobs};
pub use checking::{CheckFinding, CheckView, RuntimeReads};
pub use compare::Point;
pub use container::{ContainerState, ContainerStep, Done};
pub use error::WorkbenchError;
pub use export::{Export, Exported};
pub use import::import_tree;
pub use machine::{Group, MachineState, OnMachine};
pub use opened_view::{BlobName, Change};
pub use operation::{
    Action, ArchiveFile, ArchiveFiles, ArchiveId, Attributes, Caller, ContentRef, ImageId, LayerId, NewEntry,
    Operation, Place, SourceId,
};
pub use query::{Answer, Query};
pub use recipe::{RECIPE_LIMIT, Recipe};
pub use sample::{sample, sample_program, switch_platform};
pub use state::{ArchiveState, Came, ImageState, LayerState, Opened, State};
pub use view::BlobView;

/// One session.
pub struct Workbench {
    state: State,
    journal: Journal,
    blobs: Blobs,
    sources: BTreeMap<SourceId, Arc<dyn Source>>,
    scratches: Arc<dyn ScratchSpace>,
    rows: rows::Rows,
    read_ahead: Option<ReadAhead>,
    open_ahead: Option<OpenAhead>,
    readings: reading::Readings,
    ribbon: Option<ribbon::Ribbon>,
    layers_check: Option<checking::LayersCheck>,
    rebuilt: RefCell<RebuiltCache>,
    shown_steps: BTreeMap<ImageId, usize>,
    shown_event: Option<usize>,
    sheeted: Option<container_view::Sheeted>,
    compared: Option<compare::Compared>,
    revision: u64,
}

/// The archives as they would be written, at a revision and with so many hashes known.
type RebuiltCache = BTreeMap<(ArchiveId, Option<ImageId>), (u64, usize, Option<Arc<Rebuilt>>)>;

impl Workbench {
    /// An empty session that keeps in memory what it must keep.
    pub fn new() -> Self {
        Self::with(SegmentCache::in_memory(), Arc::new(MemorySpace))
    }

    /// An empty session that keeps inflated layers and deflated segments in scratches.
    pub fn with_scratches(scratches: Arc<dyn ScratchSpace>) -> Self {
        Self::with(SegmentCache::in_scratches(scratches.clone()), scratches)
    }

    fn with(cache: SegmentCache, scratches: Arc<dyn ScratchSpace>) -> Self {
        Self {
            state: State::default(),
            journal: Journal::default(),
            blobs: Blobs::new(cache),
            sources: BTreeMap::new(),
            scratches,
            rows: rows::Rows::default(),
            read_ahead: None,
            open_ahead: None,
            readings: reading::Readings::default(),
            ribbon: None,
            layers_check: None,
            rebuilt: RefCell::default(),
            shown_steps: BTreeMap::new(),
            shown_event: None,
            sheeted: None,
            compared: None,
            revision: 0,
        }
    }

    /// What the session holds now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Makes a file's bytes available to operations, as source `id`. An id is used once: the journal's operations
    /// mean the file that it was when they were applied.
    pub fn open_source(&mut self, id: SourceId, source: Arc<dyn Source>) -> Result<(), WorkbenchError> {
        match self.sources.entry(id) {
            Entry::Occupied(_) => Err(WorkbenchError::SourceTaken { source_id: id }),
            Entry::Vacant(place) => {
                place.insert(source);
                Ok(())
            }
        }
    }

    /// The one door for changes: does all of an operation, or nothing of it and says why.
    pub fn apply(&mut self, operation: Operation) -> Result<(), WorkbenchError> {
        apply::check_time(operation.time)?;
        match &operation.action {
            Action::ImportImage { image, .. } => self.hash_image(*image)?,
            Action::RunOnMachine { line, .. } => self.hash_named(line)?,
            _ => {}
        }
        let mut state = self.state.clone();
        Applier {
            state: &mut state,
            contents: self,
            time: operation.time,
            caller: operation.caller,
        }
        .apply(&operation.action, 0)?;
        let before = std::mem::replace(&mut self.state, state);
        self.journal.push(operation, before);
        self.changed();
        Ok(())
    }

    /// Takes the last operation back. False when there is none.
    pub fn undo(&mut self) -> bool {
        let done = self.journal.undo(&mut self.state);
        if done {
            self.changed();
        }
        done
    }

    /// Does again what was taken back last. False when there is nothing.
    pub fn redo(&mut self) -> bool {
        let done = self.journal.redo(&mut self.state);
        if done {
            self.changed();
        }
        done
    }

    fn changed(&mut self) {
        self.revision += 1;
        self.blobs.follow(&self.state);
    }

    /// Does about `budget` bytes' worth of the work that is left: reading what was opened, then hashes. Returns
    /// whether there is more.
    pub fn step(&mut self, budget: u64) -> bool {
        if LEAN {
            return self.blobs.step(budget);
        }
        match self.readings.step(&self.state, &*self.scratches, budget) {
            None => self.blobs.step(budget),
            Some(is_read) => {
                if is_read {
                    // There is more to see in the same state.
                    self.revision += 1;
                }
                true
            }
        }
    }

    /// Deflates ahead what is stale, several segments at a time; see [`Blobs::fill`].
    pub fn fill(
        &mut self,
        run: impl Fn(Vec<DeflateTask>) -> Vec<Result<Task, ContentError>>,
    ) -> Result<(), LayerError> {
        self.blobs.fill(run)
    }

    /// Where the hashes of a layer stand.
    pub fn blob_state(&self, layer: LayerId) -> &BlobState {
        self.blobs.state(layer)
    }

    /// The blobs of an image's layers, bottom first, once all of them are known.
    pub fn blobs_of(&self, image: &ImageState) -> Option<Vec<Arc<Blob>>> {
        image
            .layers
            .iter()
            .map(|layer| self.blobs.known(layer.id).cloned())
            .collect()
    }

    /// The documents of an image that was made here, and what they say of its layers, once all blobs are known.
    pub fn documents(&self, image: &ImageState) -> Option<(Documents, Vec<LayerBlob>)> {
        let layers = self.described(image)?;
        Some((
            archive::documents(&image.settings, &image.reference, &layers),
            layers,
        ))
    }

    /// What documents of ours say of an image's layers, once all blobs are known.
    fn described(&self, image: &ImageState) -> Option<Vec<LayerBlob>> {
        let blobs = self.blobs_of(image)?;
        let layers = image.layers.iter().zip(blobs).map(|(layer, blob)| LayerBlob {
            diff_id: blob.diff_id,
            digest: blob.digest,
            size: blob.size,
            media_type: blob.media_type,
            created_by: layer.created_by.clone(),
            comment: layer.comment.clone(),
        });
        Some(layers.collect())
    }

    /// A layer of a tar, plain or packed, which must be readable to its end.
    pub fn read_layer(&self, tar: &Content) -> Result<Layer, WorkbenchError> {
        whole()?;
        let ahead = self.read_ahead.as_ref().filter(|ahead| ahead.tar.is_same(tar));
        let layer = match ahead {
            Some(ReadAhead {
                origin, job: None, ..
            }) => Layer::from_origin(origin.clone()),
            _ => {
                let origin = Arc::new(Origin::new(tar.clone(), Packing::of(tar)?));
                ReadJob::new(&origin, self.state.held(), &*self.scratches)?.run();
                Layer::from_origin(origin)
            }
        };
        match layer.as_read().and_then(|read| read.damage.clone()) {
            Some(damage) => Err(damage.into()),
            None => Ok(layer),
        }
    }

    /// Reads a tar ahead of the operation that will make a layer of it, for about as long as `budget` bytes
    /// take to be inflated. Returns the bytes passed and all bytes; nothing when the operation can come. Another
    /// tar takes the place of the one before.
    pub fn read_ahead(
        &mut self,
        content: &ContentRef,
        budget: u64,
    ) -> Result<Option<(u64, u64)>, WorkbenchError> {
        whole()?;
        let tar = self.content(content)?;
        let mut ahead = match self.read_ahead.take() {
            Some(ahead) if ahead.tar.is_same(&tar) => ahead,
            _ => {
                let origin = Arc::new(Origin::new(tar.clone(), Packing::of(&tar)?));
                let job = Some(ReadJob::new(&origin, self.state.held(), &*self.scratches)?);
                ReadAhead { tar, origin, job }
            }
        };
        let mut progress = None;
        if let Some(job) = &mut ahead.job {
            match job.step(budget) {
                Reading::Unpacking { done, total } | Reading::Indexing { done, total } => {
                    progress = Some((done, total));
                }
                Reading::Done => ahead.job = None,
            }
        }
        if let Some(damage) = ahead.origin.read().and_then(|read| read.damage.clone()) {
            return Err(damage.into());
        }
        self.read_ahead = Some(ahead);
        Ok(progress)
    }

    /// Drops what was read ahead, or is being read.
    pub fn drop_read_ahead(&mut self) {
        self.read_ahead = None;
        self.open_ahead = None;
    }

    /// Goes on with the hashes of what has been read, and reads nothing. Returns whether there may be more.
    pub fn hash(&mut self, budget: u64) -> bool {
        self.blobs.step(budget)
    }

    /// Takes an archive that the host opened itself for what the operation that asks for `from` will open: a
    /// directory whose links only the host can list.
    pub fn opened_ahead(&mut self, from: ArchiveFiles, catalog: Arc<Catalog>) {
        let work = OpenWork::Done(catalog);
        self.open_ahead = Some(OpenAhead { from, work });
    }

    /// Opens an archive ahead of the operation that asks for it, for about as long as `budget` bytes take to be
    /// inflated. Another archive takes the place of the one before.
    pub fn open_ahead(&mut self, from: &ArchiveFiles, budget: u64) -> Result<OpeningAhead, WorkbenchError> {
        whole()?;
        let mut ahead = match self.open_ahead.take() {
            Some(ahead) if ahead.from == *from => ahead,
            _ => OpenAhead {
                from: from.clone(),
                work: OpenWork::Opening(self.open_job(from)?),
            },
        };
        let found = match &mut ahead.work {
            OpenWork::Done(catalog) => OpeningAhead::Done(catalog.format),
            OpenWork::Opening(job) => match job.step(budget)? {
                Opening::Working { stage, done, total } => OpeningAhead::Working { stage, done, total },
                Opening::Done(catalog) => {
                    let format = catalog.format;
                    ahead.work = OpenWork::Done(Arc::from(catalog));
                    OpeningAhead::Done(format)
                }
            },
        };
        self.open_ahead = Some(ahead);
        Ok(found)
    }

    fn open_job(&self, from: &ArchiveFiles) -> Result<OpenJob, WorkbenchError> {
        match from {
            ArchiveFiles::Tar { content } => Ok(OpenJob::archive(&self.content(content)?, &*self.scratches)?),
            ArchiveFiles::Directory { files } => {
                let mut found = Files::new();
                for file in files {
                    found.file(&unescape(&file.path)?, self.content(&file.content)?);
                }
                Ok(OpenJob::files(found)?)
            }
        }
    }
}

/// How far opening an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpeningAhead {
    /// Not there yet.
    Working {
        /// What is being done.
        stage: Stage,
        /// How much of it is done.
        done: u64,
        /// How much of it there is.
        total: u64,
    },
    /// The operation can come: it is this.
    Done(Format),
}

/// An archive that is opened before the operation that asks for it.
struct OpenAhead {
    from: ArchiveFiles,
    work: OpenWork,
}

enum OpenWork {
    Opening(OpenJob),
    Done(Arc<Catalog>),
}

/// A tar that is read before the operation that asks for it.
struct ReadAhead {
    tar: Content,
    origin: Arc<Origin>,
    /// None when all is read.
    job: Option<ReadJob>,
}

impl Default for Workbench {
    fn default() -> Self {
        Self::new()
    }
}

impl Contents for Workbench {
    fn content(&self, content: &ContentRef) -> Result<Content, WorkbenchError> {
        match content {
            ContentRef::Text { text } => Ok(Content::inline(text.as_bytes())),
            ContentRef::Base64 { base64 } => {
                let bytes = base64::decode(base64).map_err(|reason| WorkbenchError::Base64 { reason })?;
                Ok(Content::inline(bytes))
            }
            &ContentRef::Source {
                source,
                offset,
                length,
            } => {
                let source = self
                    .sources
                    .get(&source)
                    .ok_or(WorkbenchError::NoSource { source_id: source })?;
                let whole = Content::whole(source.clone());
                match offset.checked_add(length) {
                    Some(end) if end <= whole.len() => Ok(whole.slice(offset, length)),
                    _ => Err(WorkbenchError::OutsideSource {
                        name: source.name().to_owned(),
                        offset,
                        length,
                        size: whole.len(),
                    }),
                }
            }
            ContentRef::Blob { blob, .. } => Err(WorkbenchError::NoBlob { blob: *blob }),
        }
    }

    fn read_layer(&self, tar: &Content) -> Result<Layer, WorkbenchError> {
        self.read_layer(tar)
    }

    fn read(&self, origin: &Arc<Origin>) -> Result<(), WorkbenchError> {
        whole()?;
        if origin.read().is_none() {
            ReadJob::new(origin, self.state.held(), &*self.scratches)?.run();
        }
        Ok(())
    }

    fn open(&self, from: &ArchiveFiles) -> Result<Arc<Catalog>, WorkbenchError> {
        whole()?;
        match &self.open_ahead {
            Some(OpenAhead {
                from: opened,
                work: OpenWork::Done(catalog),
            }) if opened == from => Ok(catalog.clone()),
            _ => Ok(Arc::new(self.open_job(from)?.run()?)),
        }
    }

    fn importable(&self, image: &ImageState) -> Result<Importable, WorkbenchError> {
        self.importable_image(image)
    }

    fn at_hand(&self) -> BTreeMap<String, AtHand> {
        self.archives_at_hand()
    }

    fn scratches(&self) -> Arc<dyn ScratchSpace> {
        self.scratches.clone()
    }
}
