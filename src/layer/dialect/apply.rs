//! The work of applying a stack: the specification reads it by itself, the others share one reading, as all of
//! them read as Go does.

use super::containerd::{Containerd, Snapshotter};
use super::go_tar::GoEntries;
use super::umoci::Umoci;
use super::{Dialect, Failure, Fault, Notes, Outcome, Unpack, View, Why, within_limits};
use crate::content::Content;

/// How far applying is.
#[derive(Debug)]
pub enum Applying {
    /// Bytes of the layers that are done, and all.
    Working {
        /// Bytes done.
        done: u64,
        /// All bytes.
        total: u64,
    },
    /// It is done: the outcomes, in the order of [`Dialect::ALL`].
    Done(Vec<Outcome>),
}

/// The work of applying a stack by some dialects, in small steps. Dropping it drops the work.
pub struct Apply {
    layers: Vec<Content>,
    /// The layer at hand.
    at: usize,
    /// The specification's reading, until it is done.
    view: Option<View>,
    is_viewing: bool,
    entries: Option<GoEntries>,
    readers: Vec<Reader>,
    outcomes: Vec<Outcome>,
    passes: u64,
}

struct Reader {
    dialect: Dialect,
    /// What it has at work, until it gives up.
    work: Result<Box<dyn Unpack>, Failure>,
    notes: Notes,
    /// The work that was done when it gave up.
    spent: u64,
}

impl Reader {
    fn of(dialect: Dialect) -> Option<Self> {
        let unpack: Box<dyn Unpack> = match dialect {
            Dialect::Spec => return None,
            Dialect::ContainerdOverlayfs => Box::new(Containerd::new(Snapshotter::Overlayfs)),
            Dialect::ContainerdNative => Box::new(Containerd::new(Snapshotter::Native)),
            Dialect::Umoci => Box::new(Umoci::new()),
        };
        Some(Self {
            dialect,
            work: Ok(unpack),
            notes: Notes::default(),
            spent: 0,
        })
    }

    fn outcome(mut self) -> Outcome {
        Outcome {
            dialect: self.dialect,
            result: self.work.map(|unpack| unpack.finish(&mut self.notes)),
            notes: self.notes,
        }
    }
}

impl Apply {
    /// The work of these dialects for these layers, uncompressed tars, bottom first.
    pub fn new(dialects: &[Dialect], layers: Vec<Content>) -> Self {
        let all = Dialect::ALL
            .into_iter()
            .filter(|dialect| dialects.contains(dialect));
        let readers: Vec<Reader> = all.filter_map(Reader::of).collect();
        let view = dialects.contains(&Dialect::Spec).then(View::new);
        Self {
            layers,
            at: 0,
            passes: u64::from(view.is_some()) + u64::from(!readers.is_empty()),
            view,
            is_viewing: false,
            entries: None,
            readers,
            outcomes: Vec::new(),
        }
    }

    /// Works for about as long as `budget` names take to be looked up. After [`Applying::Done`] there is
    /// nothing more to do.
    pub fn step(&mut self, budget: u64) -> Applying {
        let end = self.cost().saturating_add(budget);
        let mut entries = 0;
        while self.cost() + entries < end {
            entries += 1;
            if !self.one_view() && !self.one_entry() {
                let readers = std::mem::take(&mut self.readers);
                let mut outcomes = std::mem::take(&mut self.outcomes);
                outcomes.extend(readers.into_iter().map(Reader::outcome));
                return Applying::Done(outcomes);
            }
        }
        let all: u64 = self.layers.iter().map(Content::len).sum();
        let before: u64 = self.layers[..self.at].iter().map(Content::len).sum();
        let inside = match (&self.view, &self.entries) {
            (Some(view), _) if self.is_viewing => view.position(),
            (None, Some(entries)) => entries.offset(),
            _ => 0,
        };
        let passed = self.outcomes.len() as u64;
        Applying::Working {
            done: passed * all + before + inside,
            total: self.passes * all,
        }
    }

    /// Works until the end, for hosts that have nothing else to do.
    pub fn run(mut self) -> Vec<Outcome> {
        loop {
            if let Applying::Done(outcomes) = self.step(u64::MAX) {
                return outcomes;
            }
        }
    }

    fn cost(&self) -> u64 {
        let readers = self.readers.iter();
        let readers = readers.map(|reader| reader.work.as_ref().map_or(reader.spent, |work| work.cost()));
        let view = self.view.as_ref().map_or(0, |view| view.fs().lookups());
        readers.sum::<u64>() + view
    }

    /// One step of the specification's reading; false when it is done.
    fn one_view(&mut self) -> bool {
        let Some(view) = &mut self.view else {
            return false;
        };
        let result = match self.layers.get(self.at) {
            None => Ok(true),
            Some(layer) => {
                if !self.is_viewing {
                    view.start(self.at, layer);
                    self.is_viewing = true;
                }
                view.step().map(|is_end| {
                    if is_end {
                        self.at += 1;
                        self.is_viewing = false;
                    }
                    false
                })
            }
        };
        if !matches!(result, Ok(false)) {
            self.at = 0;
            let (fs, notes) = self.view.take().unwrap_or_default().into_parts();
            self.outcomes.push(Outcome {
                dialect: Dialect::Spec,
                result: result.map(|_| fs).map_err(|failure| *failure),
                notes,
            });
        }
        true
    }

    /// One entry for all who still read; false when there is nobody or nothing more.
    fn one_entry(&mut self) -> bool {
        let layer = self.at;
        let is_active = self.readers.iter().any(|reader| reader.work.is_ok());
        let Some(tar) = self.layers.get(layer).filter(|_| is_active) else {
            return false;
        };
        let entries = self.entries.get_or_insert_with(|| {
            for reader in &mut self.readers {
                if let Ok(unpack) = &mut reader.work {
                    reader.notes.enter(layer);
                    unpack.start(&mut reader.notes);
                }
            }
            GoEntries::new(tar.clone())
        });
        let at = entries.offset();
        let next = entries.next();
        for reader in &mut self.readers {
            let Ok(unpack) = &mut reader.work else { continue };
            let done = match &next {
                Err(error) => Err(Fault::of_archive(at, Why::from(error.clone()))),
                Ok(None) => unpack.end(&mut reader.notes),
                Ok(Some(entry)) => {
                    let done = unpack.entry(entry, &mut reader.notes);
                    let done =
                        done.and_then(|()| within_limits(unpack.inodes(), unpack.bytes(), unpack.cost()));
                    done.map_err(|why| Fault {
                        offset: entry.offset,
                        name: entry.name.clone(),
                        why,
                    })
                }
            };
            if let Err(fault) = done {
                reader.spent = unpack.cost();
                reader.work = Err(fault.in_layer(layer, unpack.remains()));
            }
        }
        if !matches!(next, Ok(Some(_))) {
            self.entries = None;
            self.at += 1;
        }
        true
    }
}
