//! The hashes of a session's layers: which are known, which are stale, and the work that makes them known.
//!
//! Applying an operation only marks what became stale; [`Blobs::step`] does the work in small steps. A layer
//! that returns to a value it had before, by undo for instance, is known again at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::layer::{Blob, BlobJob, Compression, Layer, LayerError, Progress, SegmentCache};

use super::operation::LayerId;
use super::state::{LayerState, State};

/// How many blobs of earlier values are remembered.
const REMEMBERED: usize = 64;

/// Where the hashes of one layer stand.
pub enum BlobState {
    /// The layer changed; nothing was done yet.
    Stale,
    /// Bytes of the tar that were passed, and about how many there are.
    Working {
        /// Bytes passed.
        done: u64,
        /// Bytes expected.
        total: u64,
    },
    /// A content could not be read.
    Failed(LayerError),
    /// All is known.
    Known(Arc<Blob>),
}

struct Work {
    layer: Layer,
    compression: Compression,
    state: BlobState,
    job: Option<BlobJob>,
    /// What the layer was before, to go on from.
    previous: Option<Arc<Blob>>,
}

/// The work on all layers of a session.
#[derive(Default)]
pub struct Blobs {
    cache: SegmentCache,
    works: BTreeMap<LayerId, Work>,
    remembered: VecDeque<(Layer, Compression, Arc<Blob>)>,
}

impl Blobs {
    /// Work whose compressed segments are kept by `cache`.
    pub fn new(cache: SegmentCache) -> Self {
        Self {
            cache,
            ..Self::default()
        }
    }

    /// Takes notice of what changed.
    pub fn follow(&mut self, state: &State) {
        let mut works = std::mem::take(&mut self.works);
        for layer in state.layers() {
            let work = works.remove(&layer.id);
            let work = self.work_for(layer, work);
            self.works.insert(layer.id, work);
        }
    }

    fn work_for(&self, state: &LayerState, work: Option<Work>) -> Work {
        let LayerState {
            layer, compression, ..
        } = state;
        let previous = match work {
            // What failed is tried again with every operation: whatever could not be read may be there again.
            Some(work)
                if work.compression == *compression
                    && work.layer.is_same(layer)
                    && !matches!(work.state, BlobState::Failed(_)) =>
            {
                return work;
            }
            Some(Work {
                state: BlobState::Known(blob),
                ..
            }) => Some(blob),
            Some(work) => work.previous,
            None => None,
        };
        let known = self
            .remembered
            .iter()
            .find(|(value, stored, _)| stored == compression && value.is_same(layer));
        let state = known.map_or(BlobState::Stale, |(_, _, blob)| BlobState::Known(blob.clone()));
        Work {
            layer: layer.clone(),
            compression: *compression,
            state,
            job: None,
            previous,
        }
    }

    /// Where the hashes of a layer stand.
    pub fn state(&self, layer: LayerId) -> &BlobState {
        self.works
            .get(&layer)
            .map_or(&BlobState::Stale, |work| &work.state)
    }

    /// The blob of a layer, if it is known.
    pub fn known(&self, layer: LayerId) -> Option<&Arc<Blob>> {
        match self.state(layer) {
            BlobState::Known(blob) => Some(blob),
            _ => None,
        }
    }

    /// Whether there is work left.
    pub fn busy(&self) -> bool {
        self.works
            .values()
            .any(|work| matches!(work.state, BlobState::Stale | BlobState::Working { .. }))
    }

    /// Deflates what can be deflated ahead, several segments at a time, for hosts with threads.
    pub fn fill(
        &mut self,
        run: impl Fn(
            Vec<crate::layer::DeflateTask>,
        ) -> Vec<Result<crate::layer::Task, crate::content::ContentError>>,
    ) -> Result<(), LayerError> {
        let stale = self
            .works
            .values()
            .filter(|work| matches!(work.state, BlobState::Stale));
        for work in stale.filter(|work| work.compression.of(&work.layer) == Compression::Gz1) {
            self.cache.fill(&work.layer, &run)?;
        }
        Ok(())
    }

    /// Works for about as long as `budget` bytes take to be deflated, on what was begun first, else on the
    /// first layer that is stale. Returns whether work is left.
    pub fn step(&mut self, budget: u64) -> bool {
        let begun = self
            .works
            .values_mut()
            .position(|work| matches!(work.state, BlobState::Working { .. }));
        let stale = self
            .works
            .values_mut()
            .position(|work| matches!(work.state, BlobState::Stale) && work.layer.is_read());
        let Some(work) = begun.or(stale).and_then(|at| self.works.values_mut().nth(at)) else {
            return false;
        };
        let job = work
            .job
            .get_or_insert_with(|| BlobJob::new(&work.layer, work.compression, work.previous.clone()));
        match job.step(budget, &mut self.cache) {
            Ok(Progress::Working { done, total }) => work.state = BlobState::Working { done, total },
            Ok(Progress::Done(blob)) => {
                work.state = BlobState::Known(blob.clone());
                work.job = None;
                let value = (work.layer.clone(), work.compression, blob);
                self.remembered.push_front(value);
                self.remembered.truncate(REMEMBERED);
            }
            Err(error) => {
                work.state = BlobState::Failed(error);
                work.job = None;
            }
        }
        self.busy()
    }
}
