//! The work of reading what was opened: layers one after another, in the order of the images, each usable as soon as
//! it is read.

use std::sync::Arc;

use crate::content::ScratchSpace;
use crate::layer::{Layer, Origin, ReadJob, Reading};

use super::state::State;

/// The work at hand.
#[derive(Default)]
pub(super) struct Readings {
    job: Option<(Arc<Origin>, ReadJob)>,
    at: Option<Reading>,
}

impl Readings {
    /// Reads on for about as long as `budget` bytes take to be inflated. None when there is nothing to read; true
    /// when a layer has just been read.
    pub(super) fn step(&mut self, state: &State, space: &dyn ScratchSpace, budget: u64) -> Option<bool> {
        let is_wanted = |origin: &Arc<Origin>| {
            let mut layers = state.layers();
            layers.any(|layer| {
                layer
                    .layer
                    .origin()
                    .is_some_and(|wanted| Arc::ptr_eq(wanted, origin))
            })
        };
        self.job = self
            .job
            .take()
            .filter(|(origin, _)| origin.read().is_none() && is_wanted(origin));
        if self.job.is_none() {
            let mut unread = state.layers().filter(|layer| !layer.layer.is_read());
            let origin = unread.find_map(|layer| layer.layer.origin().cloned())?;
            match ReadJob::new(&origin, state.held(), space) {
                Ok(job) => self.job = Some((origin, job)),
                Err(error) => {
                    origin.set_unreadable(error);
                    return Some(true);
                }
            }
        }
        let (_, job) = self.job.as_mut().expect("it was just made");
        let at = job.step(budget);
        self.at = Some(at);
        if at == Reading::Done {
            self.job = None;
        }
        Some(at == Reading::Done)
    }

    /// How far a layer is, if it is being read.
    pub(super) fn at(&self, layer: &Layer) -> Option<Reading> {
        let (origin, _) = self.job.as_ref()?;
        let is_it = layer.origin().is_some_and(|wanted| Arc::ptr_eq(wanted, origin));
        self.at.filter(|_| is_it)
    }
}
