//! The specification's view of a stack while it grows: what is below a layer, and what the layer does to it.

use super::spec::Spec;
use super::{EntryPlace, Failure, Fs, Notes, Remains, Why, within_limits};
use crate::content::Content;
use crate::tar::{Entries, Entry};

/// The layers so far.
pub struct View {
    spec: Spec,
    notes: Notes,
    layer: usize,
    /// The marks of the layer, which are applied before its entries.
    marks: Vec<(u64, Vec<u8>)>,
    /// The layer's tar while its marks are looked for.
    tar: Option<Content>,
    entries: Option<Entries>,
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
            marks: Vec::new(),
            tar: None,
            entries: None,
        }
    }

    /// What shows.
    pub fn fs(&self) -> &Fs {
        self.spec.fs()
    }

    /// What shows, to be kept, and the rules that counted.
    pub fn into_parts(self) -> (Fs, Notes) {
        (self.spec.into_fs(), self.notes)
    }

    /// Begins the next layer, an uncompressed tar, which is read twice.
    pub fn start(&mut self, layer: usize, tar: &Content) {
        self.enter(layer);
        self.entries = Some(Entries::new(tar.clone()));
        self.tar = Some(tar.clone());
    }

    /// Begins the next layer, whose entries somebody reads anyway and passes to [`View::see`] before
    /// [`View::start_seen`].
    pub fn enter(&mut self, layer: usize) {
        self.layer = layer;
        self.notes.enter(layer);
        self.marks.clear();
    }

    /// Remembers an entry if it is a mark.
    pub fn see(&mut self, entry: &Entry) {
        if Spec::is_mark(&entry.name) {
            self.marks.push((entry.offset, entry.name.clone()));
        }
    }

    /// Goes on with a layer whose entries were all seen: it is read once.
    pub fn start_seen(&mut self, tar: &Content) -> Result<(), Box<Failure>> {
        self.entries = Some(Entries::new(tar.clone()));
        for (offset, name) in std::mem::take(&mut self.marks) {
            self.notes.at(offset);
            let done = self.spec.mark(&name, &mut self.notes);
            done.map_err(|why| self.failure(offset, name, why))?;
        }
        Ok(())
    }

    /// Applies one entry of it; true at its end.
    pub fn step(&mut self) -> Result<bool, Box<Failure>> {
        let Some(entries) = &mut self.entries else {
            return Ok(true);
        };
        let at = entries.offset();
        match (entries.next(), self.tar.take()) {
            (Some(Err(error)), _) => Err(self.failure(at, Vec::new(), Why::Tar(error))),
            (Some(Ok(entry)), Some(tar)) => {
                self.see(&entry);
                self.tar = Some(tar);
                Ok(false)
            }
            (None, Some(tar)) => self.start_seen(&tar).map(|()| false),
            (None, None) => Ok(true),
            (Some(Ok(entry)), None) => {
                if Spec::is_mark(&entry.name) {
                    return Ok(false);
                }
                let done = self.spec.entry(&entry, &mut self.notes);
                let done = done
                    .and_then(|()| within_limits(self.fs().len(), self.fs().bytes(), self.fs().lookups()));
                done.map_err(|why| self.failure(entry.offset, entry.name, why))?;
                Ok(false)
            }
        }
    }

    fn failure(&self, offset: u64, name: Vec<u8>, why: Why) -> Box<Failure> {
        Box::new(Failure {
            layer: self.layer,
            offset,
            name,
            why,
            remains: Remains::Nothing,
        })
    }

    /// How many bytes of the layer are done: half of them when its marks are known.
    pub fn position(&self) -> u64 {
        let Some(entries) = &self.entries else { return 0 };
        match &self.tar {
            Some(_) => entries.offset() / 2,
            None => (entries.length() + entries.offset()) / 2,
        }
    }

    /// The files that went since this was asked last: removed or replaced, by the entries that made them.
    pub fn take_gone(&mut self) -> Vec<EntryPlace> {
        self.spec.take_gone()
    }
}
