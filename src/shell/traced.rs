//! A mounted overlay that keeps the trace of every call which somebody else makes.

use crate::overlay::mount::{Call, Caller, Errno, Event, Overlay, Reply, System};

/// An overlay as a [`System`], with the events of its calls in their order: those of a line's calls stand
/// beside [`super::Ran::calls`].
pub struct Traced<'a> {
    overlay: &'a mut Overlay,
    limit: usize,
    /// The events of each call, of the first ones as many as are kept.
    pub events: Vec<Vec<Event>>,
}

impl<'a> Traced<'a> {
    /// Keeps the events of the first `limit` calls: [`super::Limits::recorded`] for a line.
    pub fn new(overlay: &'a mut Overlay, limit: usize) -> Self {
        Self {
            overlay,
            limit,
            events: Vec::new(),
        }
    }
}

impl System for Traced<'_> {
    fn call(&mut self, caller: Caller, call: &Call) -> Result<Reply, Errno> {
        let outcome = self.overlay.call(caller, call);
        if self.events.len() < self.limit {
            self.events.push(outcome.events);
        }
        outcome.result
    }
}
