//! A mounted overlay that keeps the trace of every call which somebody else makes.

use crate::overlay::mount::{Call, Caller, Errno, Event, Overlay, Reply, System};
use crate::runtime::ProcMounts;

/// An overlay as a [`System`], with the events of its calls in their order: those of a line's calls stand
/// beside [`super::Ran::calls`].
pub struct Traced<'a> {
    overlay: &'a mut Overlay,
    limit: usize,
    proc: Option<&'a ProcMounts>,
    /// The events of each call, of the first ones as many as are kept.
    pub events: Vec<Vec<Event>>,
}

impl<'a> Traced<'a> {
    /// Keeps the events of the first `limit` calls: [`super::Limits::recorded`] for a line.
    pub fn new(overlay: &'a mut Overlay, limit: usize) -> Self {
        Self {
            overlay,
            limit,
            proc: None,
            events: Vec::new(),
        }
    }

    /// The same with what is mounted at `/proc`.
    pub fn with_proc(mut self, proc: Option<&'a ProcMounts>) -> Self {
        self.proc = proc;
        self
    }
}

impl System for Traced<'_> {
    fn call(&mut self, caller: Caller, call: &Call) -> Result<Reply, Errno> {
        if let Some(answer) = self.proc.and_then(|proc| proc.call(call)) {
            // It never reaches the overlay.
            if self.events.len() < self.limit {
                self.events.push(Vec::new());
            }
            return answer;
        }
        let outcome = self.overlay.call(caller, call);
        if self.events.len() < self.limit {
            self.events.push(outcome.events);
        }
        outcome.result
    }
}
