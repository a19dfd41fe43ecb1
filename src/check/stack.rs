//! A whole stack: its layers one after the other, each beside what is below, and then what readers make of all.

use super::differ::differ;
use super::layer::{LayerCheck, StoredFile};
use super::secret::Secret;
use super::{Check, Finding, Findings, Fix, Place, relative};
use crate::compress::inflate::PackingNote;
use crate::content::Content;
use crate::layer::dialect::{Apply, Applying, Dialect, EntryPlace, Failure, Outcome, Remains, View};
use crate::tar::Entries;

/// A layer to be checked.
#[derive(Clone, Debug)]
pub struct LayerInput {
    /// Its uncompressed tar.
    pub tar: Content,
    /// Whether that is only a part: the blob is not there, is damaged, or inflates to more than is allowed.
    pub is_cut: bool,
    /// Its blob, if that is compressed.
    pub packed: Option<Packed>,
}

/// How a layer is packed.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    /// How many bytes the blob has.
    pub size: u64,
    /// What is peculiar about it.
    pub notes: Vec<PackingNote>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Findings, by layer and place.
    pub findings: Vec<Finding>,
    /// How many there are of those kinds of which not all are listed.
    pub more: Vec<(Check, u64)>,
    /// How many bytes of each layer nobody sees.
    pub wasted: Vec<u64>,
}

/// How far a check is.
#[derive(Debug)]
pub enum Checking {
    /// Work done, and all, in bytes that are passed.
    Working {
        /// What is done.
        done: u64,
        /// All of it.
        total: u64,
    },
    /// It is done.
    Done(Report),
}

/// The check of a stack, in small steps. Dropping it drops the work.
pub struct StackCheck {
    layers: Vec<LayerInput>,
    stage: Stage,
    at: usize,
    /// Whether all layers up to this one could be read to their ends.
    is_whole: bool,
    view: View,
    /// Why the view could not be followed further.
    failure: Option<Failure>,
    findings: Findings,
    /// Of each layer, in the order of its tar.
    secrets: Vec<Vec<Secret>>,
    files: Vec<Vec<StoredFile>>,
    wasted: Vec<u64>,
    /// How many bytes the readers have read.
    read: u64,
    outcomes: Vec<Outcome>,
}

enum Stage {
    /// Looks at the entries of a layer.
    Entries(Box<(Entries, LayerCheck)>),
    /// Applies a layer to the view.
    View,
    /// Lets the other dialects read all.
    Readers(Box<Apply>),
    /// There is nothing more to do.
    End,
}

/// The dialects that read the stack when the specification's view is there.
const READERS: [Dialect; 3] = [
    Dialect::ContainerdOverlayfs,
    Dialect::ContainerdNative,
    Dialect::Umoci,
];

/// overlayfs of Docker takes so many layers.
const MAX_LAYERS: usize = 127;

/// A layer is told of if it unpacks to so many bytes, and so many for each that it has packed.
const HUGE: u64 = 1 << 30;
const HUGE_RATIO: u64 = 200;

/// From how many bytes on it is said that nobody sees them.
const WASTE: u64 = 1 << 20;

/// What is found because something is not there: not to be said where not all could be read.
const WHAT_IS_MISSED: [Check; 6] = [
    Check::WhiteoutOfNothing,
    Check::WhiteoutGhost,
    Check::WhiteoutInMissing,
    Check::OpaqueInMissing,
    Check::ParentWithoutEntry,
    Check::LinkMissing,
];

impl StackCheck {
    /// The check of these layers, bottom first.
    pub fn new(layers: Vec<LayerInput>) -> Self {
        let mut check = Self {
            stage: Stage::End,
            at: 0,
            is_whole: true,
            view: View::new(),
            failure: None,
            findings: Findings::default(),
            secrets: Vec::new(),
            files: Vec::new(),
            wasted: vec![0; layers.len()],
            read: 0,
            outcomes: Vec::new(),
            layers,
        };
        check.stage = check.begin(0);
        check
    }

    fn begin(&mut self, layer: usize) -> Stage {
        match self.layers.get(layer) {
            Some(input) => {
                self.view.enter(layer);
                Stage::Entries(Box::new((
                    Entries::new(input.tar.clone()),
                    LayerCheck::new(layer),
                )))
            }
            None => {
                // What the tools would make of the part of a layer is nothing that they would ever see.
                let whole = self.layers.iter().take_while(|layer| !layer.is_cut);
                let tars = whole.map(|layer| layer.tar.clone()).collect();
                Stage::Readers(Box::new(Apply::new(&READERS, tars)))
            }
        }
    }

    /// Works for about as long as `budget` entries take. After [`Checking::Done`] there is nothing more to do.
    pub fn step(&mut self, budget: u64) -> Checking {
        for _ in 0..budget {
            match std::mem::replace(&mut self.stage, Stage::End) {
                Stage::Entries(work) => self.stage = self.one_entry(work),
                Stage::View => self.stage = self.one_step_of_view(),
                Stage::Readers(mut apply) => match apply.step(COST) {
                    Applying::Working { done, .. } => {
                        self.read = done;
                        self.stage = Stage::Readers(apply);
                    }
                    Applying::Done(outcomes) => self.outcomes = outcomes,
                },
                Stage::End => return Checking::Done(self.report()),
            }
        }
        self.progress()
    }

    /// Works until the end, for hosts that have nothing else to do.
    pub fn run(mut self) -> Report {
        loop {
            if let Checking::Done(report) = self.step(u64::MAX) {
                return report;
            }
        }
    }

    fn progress(&self) -> Checking {
        let all: u64 = self.layers.iter().map(|layer| layer.tar.len()).sum();
        let before: u64 = self.layers[..self.at].iter().map(|layer| layer.tar.len()).sum();
        // Entries and the view are two passes over each layer, the readers one over all.
        let done = match &self.stage {
            Stage::Entries(work) => 2 * before + work.0.offset(),
            Stage::View => 2 * before + self.layers[self.at].tar.len() + self.view.position(),
            Stage::Readers(_) => 2 * all + self.read,
            Stage::End => 3 * all,
        };
        let total = 3 * all;
        Checking::Working {
            done: done.min(total),
            total,
        }
    }

    fn one_entry(&mut self, mut work: Box<(Entries, LayerCheck)>) -> Stage {
        let (entries, check) = &mut *work;
        match entries.next() {
            Some(Ok(entry)) => {
                check.entry(&entry, self.view.fs());
                self.view.see(&entry);
                return Stage::Entries(work);
            }
            Some(Err(error)) => {
                let offset = entries.offset();
                self.is_whole = false;
                if !self.layers[self.at].is_cut {
                    check.damaged(offset, &error);
                }
                check.finish(None, self.view.fs());
                self.failure = Some(Failure {
                    layer: self.at,
                    offset,
                    name: Vec::new(),
                    why: error.into(),
                    remains: Remains::Nothing,
                });
            }
            None => {
                let ending = entries.ending().ok().flatten();
                let is_cut = self.layers[self.at].is_cut;
                check.finish(ending.filter(|_| !is_cut), self.view.fs());
            }
        }
        self.take(work.1);
        if self.failure.is_some() {
            return self.next_layer();
        }
        match self.view.start_seen(&self.layers[self.at].tar) {
            Ok(()) => Stage::View,
            Err(failure) => self.failed(*failure),
        }
    }

    /// The view cannot be followed further; the layers above are looked at beside what there is of it.
    fn failed(&mut self, failure: Failure) -> Stage {
        self.failure = Some(failure);
        self.next_layer()
    }

    /// Takes over what was found in a layer.
    fn take(&mut self, mut check: LayerCheck) {
        let layer = self.at;
        self.is_whole &= !self.layers[layer].is_cut;
        if !self.is_whole {
            check.findings.forget(&WHAT_IS_MISSED);
        }
        let tar = self.layers[layer].tar.len();
        let Packed { size, notes } = self.layers[layer].packed.clone().unwrap_or_default();
        if size > 0 && tar >= HUGE && tar / size >= HUGE_RATIO {
            let detail = format!("{tar} bytes from {size}");
            self.find(Check::HugeRatio, layer, None, None, Some(detail), None);
        }
        for note in notes {
            let (check, detail) = match note {
                PackingNote::Padding { offset, length } => (
                    Check::PackedPadding,
                    format!("{length} bytes at byte {offset} of the blob"),
                ),
                PackingNote::Pieces { count } => (Check::PackedPieces, format!("{count} of them")),
                PackingNote::Skippable(skipped) => {
                    (Check::PackedSkippable, format!("{} bytes", skipped.bytes))
                }
            };
            self.find(check, layer, None, None, Some(detail), None);
        }
        if layer == MAX_LAYERS {
            let detail = format!("{} layers", self.layers.len());
            self.find(Check::TooManyLayers, layer, None, None, Some(detail), None);
        }
        self.findings.append(layer, std::mem::take(&mut check.findings));
        self.secrets.push(check.secrets);
        self.files.push(check.files);
    }

    fn one_step_of_view(&mut self) -> Stage {
        match self.view.step() {
            Ok(false) => Stage::View,
            Ok(true) => {
                self.hidden();
                self.next_layer()
            }
            Err(failure) => self.failed(*failure),
        }
    }

    fn next_layer(&mut self) -> Stage {
        self.at += 1;
        self.begin(self.at)
    }

    /// What this layer has hidden of those below, and of itself.
    fn hidden(&mut self) {
        for place in self.view.take_gone() {
            let by = match place.layer == self.at {
                true => "by a later entry of the same layer".to_owned(),
                false => format!("by layer {}", self.at + 1),
            };
            let EntryPlace { layer, offset } = place;
            let secrets = &mut self.secrets[layer];
            if let Ok(at) = secrets.binary_search_by_key(&offset, |secret| secret.offset) {
                let secret = secrets.remove(at);
                let detail = format!("{}, hidden {by}", secret.what);
                let path = relative(&secret.path);
                let fix = Fix::RemovePath { path: path.clone() };
                self.find(
                    Check::SecretHidden,
                    layer,
                    Some(offset),
                    Some(path),
                    Some(detail),
                    Some(fix),
                );
            }
            let files = &mut self.files[layer];
            let Ok(at) = files.binary_search_by_key(&offset, |file| file.offset) else {
                continue;
            };
            let (stored, path) = (files[at].stored, files[at].path.take());
            self.wasted[layer] += stored;
            if let Some(path) = path {
                let path = relative(&path);
                let detail = format!("{stored} bytes, hidden {by}");
                let fix = Fix::DeletePath {
                    layer,
                    path: path.clone(),
                };
                self.find(
                    Check::HiddenFile,
                    layer,
                    Some(offset),
                    Some(path),
                    Some(detail),
                    Some(fix),
                );
            }
        }
    }

    fn find(
        &mut self,
        check: Check,
        layer: usize,
        offset: Option<u64>,
        path: Option<Vec<u8>>,
        detail: Option<String>,
        fix: Option<Fix>,
    ) {
        self.findings.push(Finding {
            check,
            detail,
            place: Place {
                layer,
                offset,
                entry: None,
                path,
            },
            readings: Vec::new(),
            fix,
        });
    }

    fn report(&mut self) -> Report {
        for (layer, secrets) in std::mem::take(&mut self.secrets).into_iter().enumerate() {
            for secret in secrets {
                let (path, what) = (relative(&secret.path), secret.what.to_owned());
                let fix = Fix::RemovePath { path: path.clone() };
                self.find(
                    Check::SecretVisible,
                    layer,
                    Some(secret.offset),
                    Some(path),
                    Some(what),
                    Some(fix),
                );
            }
        }
        for layer in 0..self.wasted.len() {
            if self.wasted[layer] >= WASTE {
                let detail = format!("{} bytes of layer {}", self.wasted[layer], layer + 1);
                self.find(Check::WastedBytes, layer, None, None, Some(detail), None);
            }
        }
        let view = std::mem::take(&mut self.view);
        let (fs, notes) = view.into_parts();
        let specification = Outcome {
            dialect: Dialect::Spec,
            result: self.failure.take().map_or(Ok(fs), Err),
            notes,
        };
        // With a layer cut off, the view has other layers than the readers had.
        if !self.layers.iter().any(|layer| layer.is_cut) {
            self.outcomes.insert(0, specification);
        }
        differ(&std::mem::take(&mut self.outcomes), &mut self.findings);
        let Findings { list, mut counts, .. } = std::mem::take(&mut self.findings);
        for finding in &list {
            counts[finding.check as usize] -= 1;
        }
        Report {
            more: Check::all().zip(counts).filter(|(_, more)| *more > 0).collect(),
            findings: in_order(list),
            wasted: std::mem::take(&mut self.wasted),
        }
    }
}

/// Findings by layer and place.
fn in_order(list: Vec<Finding>) -> Vec<Finding> {
    let mut order: Vec<(u64, u64)> = Vec::new();
    for (number, finding) in list.iter().enumerate() {
        let Place { layer, offset, .. } = finding.place;
        // What is about a layer as a whole stands before what is in it.
        let offset = offset.map_or(0, |offset| offset + 1);
        let place = (layer as u64) << 44 | offset.min((1 << 44) - 1);
        order.push((place, (finding.check as u64) << 32 | number as u64));
    }
    order.sort_unstable();
    let mut list: Vec<Option<Finding>> = list.into_iter().map(Some).collect();
    let sorted = order
        .into_iter()
        .filter_map(|(_, number)| list[number as u32 as usize].take());
    sorted.collect()
}

/// How many lookups of names take about as long as one entry.
const COST: u64 = 16;
