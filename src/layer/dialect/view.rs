//! The specification's view of a stack while it grows: what is below a layer, and what the layer does to it.

use super::spec::Spec;
use super::{EntryPlace, Failure, Fs, Notes, Unpack, within_limits};
use crate::content::Content;

/// The layers so far.
pub struct View {
    spec: Spec,
    notes: Notes,
    layer: usize,
}

impl Default for View {
    fn default() -> Self {
        Self::new()
    }
}

impl View {
    /// No layers.
    pub fn new() -> Self {
        let mut spec = Spec::new();
        spec.take_gone();
        Self {
            spec,
            notes: Notes::default(),
            layer: 0,
        }
    }

    /// What shows.
    pub fn fs(&self) -> &Fs {
        self.spec.fs()
    }

    /// What shows, to be kept.
    pub fn into_fs(self) -> Fs {
        self.spec.into_fs()
    }

    /// Begins the next layer, an uncompressed tar.
    pub fn start(&mut self, layer: usize, tar: &Content) {
        self.layer = layer;
        self.notes.enter(layer);
        self.spec.start(tar, &mut self.notes);
    }

    /// Applies one entry of it; true at its end.
    pub fn step(&mut self) -> Result<bool, Box<Failure>> {
        let done = self.spec.step(&mut self.notes);
        let done = done.and_then(|done| within_limits(&self.spec).map(|()| done));
        done.map_err(|fault| Box::new(fault.in_layer(self.layer, self.spec.remains())))
    }

    /// How many bytes of the layer are done.
    pub fn position(&self) -> u64 {
        self.spec.position()
    }

    /// The files that went since this was asked last: removed or replaced, by the entries that made them.
    pub fn take_gone(&mut self) -> Vec<EntryPlace> {
        self.spec.take_gone()
    }
}
