//! Whiteouts and opaque marks, beside the entries of their own layer and what is below.

use super::layer::{Implied, Known, LayerCheck, Way, base, parent};
use super::{Check, relative};
use crate::layer::OPAQUE_NAME;
use crate::layer::dialect::path::{join, secure_join};
use crate::layer::dialect::{ByBytes, Fs, Kind};
use crate::tar::{Entry, ReadType};
use crate::tree::WHITEOUT_PREFIX;

/// The marks of a layer: what they are about, and where they stand.
#[derive(Default)]
pub(super) struct Marks {
    whiteouts: ByBytes,
    opaques: ByBytes,
    /// Whether one was told of that stands behind its siblings.
    is_late_told: bool,
}

impl Marks {
    /// Whether a path is whited out itself, or something above it.
    pub fn hides(&self, path: &[u8]) -> bool {
        self.whiteouts.contains_key(path)
            || super::layer::ancestors(path).any(|above| self.whiteouts.contains_key(above))
            || super::layer::ancestors(path).any(|above| self.opaques.contains_key(above))
            || self.opaques.contains_key(&b"/"[..])
    }
}

/// Whether a map has something under a directory.
fn has_under(map: &ByBytes, directory: &[u8]) -> bool {
    let inside = match directory {
        b"/" => b"/".to_vec(),
        _ => [directory, b"/"].concat(),
    };
    let next = map.range(inside.clone()..).next();
    next.is_some_and(|(path, _)| path.starts_with(&inside))
}

impl LayerCheck {
    /// Looks at an entry whose last name begins with `.wh.`.
    pub(super) fn mark(&mut self, entry: &Entry, path: &[u8], way: Way, below: &Fs) {
        let (directory, name) = (parent(path), base(path));
        let hidden = &name[WHITEOUT_PREFIX.len()..];
        if matches!(hidden, b"" | b"." | b"..") {
            return self.find(Check::WhiteoutInvalid, entry, path, None);
        }
        let is_opaque = name == OPAQUE_NAME;
        let about = match is_opaque {
            true => directory.to_vec(),
            false => join(directory, hidden),
        };
        match way {
            Way::OwnLink | Way::LowerLink => {
                self.find(Check::WhiteoutThroughLink, entry, &about, None);
                self.findings.remember(relative(directory), true, self.layer);
                if let Ok(resolved) = secure_join(below, &about) {
                    self.findings.remember(relative(&resolved), true, self.layer);
                }
                return;
            }
            way => self.obstacle(entry, &about, way, below),
        }
        if !is_opaque && hidden.starts_with(WHITEOUT_PREFIX) {
            return self.find(Check::AufsMark, entry, &about, self.normalise());
        }
        if entry.entry_type != ReadType::Regular || entry.size > 0 {
            self.find(Check::WhiteoutNotEmptyFile, entry, &about, self.normalise());
        }
        if !self.marks.is_late_told && has_under(&self.known.index, directory) {
            self.marks.is_late_told = true;
            self.find(Check::MarkAfterSiblings, entry, &about, self.normalise());
        }
        if !is_opaque {
            if self.marks.whiteouts.insert(about.clone(), entry.offset).is_some() {
                self.find(Check::WhiteoutTwice, entry, &about, self.normalise());
            }
            return;
        }
        if directory == b"/" {
            self.find(Check::OpaqueRoot, entry, &about, None);
        }
        if self.marks.opaques.insert(about.clone(), entry.offset).is_some() {
            self.find(Check::DuplicatePath, entry, &about, self.normalise());
        }
    }

    /// What marks do to the entries of their own layer, and whether they hide anything.
    pub(super) fn end_of_marks(&mut self, below: &Fs) {
        // A whiteout must not hide from itself what it hides.
        let whiteouts = std::mem::take(&mut self.marks.whiteouts);
        for (target, &offset) in &whiteouts {
            let check = match self.known.get(target) {
                Some(&known) => Some(beside(known, offset)),
                None if has_under(&self.known.index, target) || has_under(&whiteouts, target) => {
                    Some(Check::WhiteoutAndChildren)
                }
                None if self.marks.opaques.contains_key(parent(target)) => Some(Check::OpaqueAndWhiteout),
                None => self.of_nothing(target, below),
            };
            if check == Some(Check::WhiteoutInMissing) {
                self.findings.remember(relative(parent(target)), true, self.layer);
            }
            if let Some(check) = check {
                let fix = match check {
                    Check::OpaqueAndWhiteout | Check::WhiteoutOfNothing | Check::WhiteoutGhost => {
                        self.delete(target)
                    }
                    _ => self.normalise(),
                };
                self.find_at(check, offset, Some(target), fix);
            }
        }
        self.marks.whiteouts = whiteouts;
        self.end_of_opaques(below);
        self.end_of_implied();
    }

    /// What to say of a whiteout that hides nothing.
    fn of_nothing(&self, target: &[u8], below: &Fs) -> Option<Check> {
        if self.below(target, below).is_some() {
            return None;
        }
        let directory = parent(target);
        let is_lower = directory == b"/" || matches!(self.below(directory, below), Some(Kind::Directory(_)));
        let is_own = self.known.get(directory).is_some();
        Some(match () {
            // The lowest layer is unpacked without an overlay.
            () if is_lower || self.layer == 0 => Check::WhiteoutOfNothing,
            () if is_own || has_under(&self.known.index, directory) => Check::WhiteoutGhost,
            () => Check::WhiteoutInMissing,
        })
    }

    fn end_of_opaques(&mut self, below: &Fs) {
        let opaques: Vec<(Vec<u8>, u64)> = self
            .marks
            .opaques
            .iter()
            .map(|(path, offset)| (path.clone(), *offset))
            .collect();
        for (directory, offset) in opaques {
            if directory == b"/" {
                continue;
            }
            let is_there = self.known.get(&directory).is_some() || below.at(&directory).is_some();
            if !is_there && !has_under(&self.known.index, &directory) {
                self.find_at(Check::OpaqueInMissing, offset, Some(&directory), self.normalise());
            }
            let inside = [&directory[..], b"/"].concat();
            let implied = self.implied.index.range(inside.clone()..).map(|(path, _)| path);
            let mut implied = implied.take_while(|path| path.starts_with(&inside));
            let is_before = |path: &Vec<u8>| {
                self.implied
                    .get(path)
                    .is_some_and(|implied| implied.offset < offset)
            };
            if implied.any(|path| is_before(path) && self.known.get(path).is_none()) {
                self.find_at(
                    Check::OpaqueAfterChildren,
                    offset,
                    Some(&directory),
                    self.normalise(),
                );
            }
        }
    }

    fn end_of_implied(&mut self) {
        let implied = std::mem::take(&mut self.implied);
        for path in implied.index.keys() {
            let Some(&Implied { offset, is_below }) = implied.get(path) else {
                continue;
            };
            // Directories that only marks need are the marks' matter, as are those of AUFS.
            let is_mark = base(path).starts_with(WHITEOUT_PREFIX);
            if self.known.get(path).is_some() || !has_under(&self.known.index, path) || is_mark {
                continue;
            }
            let check = match is_below {
                true => Check::ParentOnlyBelow,
                false => Check::ParentWithoutEntry,
            };
            self.find_at(check, offset, Some(path), None);
        }
    }
}

/// What to say of a whiteout of what its own layer has.
fn beside(known: Known, whiteout: u64) -> Check {
    match known.kind {
        _ if known.offset < whiteout => Check::WhiteoutOfOwnEntry,
        ReadType::Directory => Check::WhiteoutThenDirectory,
        _ => Check::WhiteoutBesideEntry,
    }
}
