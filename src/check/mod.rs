//! What is wrong or unportable in layers, each with its place, its clause, how readers take it and, where one
//! exists, what would mend it. Knows layers and what readers make of them; nothing of who asks.
//!
//! [`LayerCheck`] looks at the entries of one layer as they come; [`StackCheck`] does so for a whole stack,
//! lets all dialects read it ([`crate::layer::dialect`]), and tells what only shows there: secrets that are
//! hidden but not gone, bytes that nobody sees, and paths on which readers differ. What was not foreseen is
//! still found: a difference that no other finding is about becomes one itself.

mod attributes;
mod differ;
mod layer;
mod links;
mod marks;
mod names;
mod oddities;
mod secret;
mod stack;
mod table;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::layer::dialect::ByBytes;
use crate::text::escape;

pub use crate::image::catalog::Severity;
pub use layer::LayerCheck;
pub use stack::{Checking, LayerInput, Packed, Report, StackCheck};
pub use table::Check;

/// Something found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub check: Check,
    /// What the sentence does not say: numbers, the other name.
    pub detail: Option<String>,
    /// Where.
    pub place: Place,
    /// How readers take it, if they differ.
    pub readings: Vec<Reading>,
    /// What would mend it.
    pub fix: Option<Fix>,
}

/// Where something is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The layer, bottom first.
    pub layer: usize,
    /// The byte in its uncompressed tar: where the entry begins, or the header that it is about.
    pub offset: Option<u64>,
    /// The entry's name as it stands there.
    pub entry: Option<Vec<u8>>,
    /// The path that it is about, from the root, without a slash before it.
    pub path: Option<Vec<u8>>,
}

/// How one reader takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Who, such as `containerd (overlayfs)`.
    pub reader: &'static str,
    /// What it makes of it.
    pub reads: Cow<'static, str>,
}

/// What would mend a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Write the layer canonically, which spells everything in the way that all read alike.
    Normalise {
        /// The layer.
        layer: usize,
    },
    /// Take the path, or the deletion of it, out of this layer.
    DeletePath {
        /// The layer.
        layer: usize,
        /// The path, from the root.
        path: Vec<u8>,
    },
    /// Take the path out of every layer.
    RemovePath {
        /// The path, from the root.
        path: Vec<u8>,
    },
    /// Give the file other permissions.
    SetMode {
        /// The layer.
        layer: usize,
        /// The path, from the root.
        path: Vec<u8>,
        /// The permissions.
        mode: u32,
    },
    /// Take one extended attribute away.
    RemoveXattr {
        /// The layer.
        layer: usize,
        /// The path, from the root.
        path: Vec<u8>,
        /// Its name.
        name: Vec<u8>,
    },
    /// Give all entries of the layer one time.
    StripTimes {
        /// The layer.
        layer: usize,
    },
}

impl Finding {
    /// What it means, in one sentence or two.
    pub fn message(&self) -> String {
        match &self.detail {
            None => self.check.sentence().to_owned(),
            Some(detail) => format!("{} ({detail})", self.check.sentence()),
        }
    }
}

/// How many findings of one kind are kept; the others are counted.
pub const MAX_FINDINGS: u64 = 100;

/// How many bytes of paths with findings are remembered, so that what readers make of them is not told again.
const MAX_ABOUT: usize = 64 << 20;

/// Findings, as many as are kept.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    pub list: Vec<Finding>,
    /// By the number of the check.
    pub counts: Vec<u64>,
    /// The paths that anything was found about, kept or not; with 1, those that stand for all under them too.
    about: ByBytes,
    /// How many bytes these have.
    about_bytes: usize,
    /// The layer at which there were too many of them to be remembered.
    pub full_at: Option<usize>,
    /// The entries likewise.
    pub offsets: Vec<(usize, u64)>,
}

impl Default for Findings {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            counts: vec![0; Check::COUNT],
            about: ByBytes::new(),
            about_bytes: 0,
            full_at: None,
            offsets: Vec::new(),
        }
    }
}

impl Findings {
    /// Drops all of these kinds.
    pub fn forget(&mut self, kinds: &[Check]) {
        self.list.retain(|finding| !kinds.contains(&finding.check));
        for kind in kinds {
            self.counts[*kind as usize] = 0;
        }
    }

    /// Takes over what was found in a layer.
    pub fn append(&mut self, layer: usize, mut other: Self) {
        // The other has kept as many of a kind as all together may be; what is not kept is only counted.
        for finding in std::mem::take(&mut other.list) {
            other.counts[finding.check as usize] -= 1;
            self.push(finding);
        }
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.full_at = self.full_at.or(other.full_at);
        for (path, is_tree) in other.about {
            self.remember(path, is_tree > 0, layer);
        }
        self.offsets.extend(other.offsets);
    }

    /// Remembers a path that something was found about, as many as are remembered.
    pub fn remember(&mut self, path: Vec<u8>, is_tree: bool, layer: usize) {
        if let Some(known) = self.about.get_mut(&path) {
            *known |= u64::from(is_tree);
        } else if self.about_bytes + path.len() > MAX_ABOUT {
            self.full_at = self.full_at.or(Some(layer));
        } else {
            self.about_bytes += path.len();
            self.about.insert(path, u64::from(is_tree));
        }
    }

    /// Whether something was found about a path.
    pub fn is_about(&self, path: &[u8]) -> bool {
        self.about.contains_key(path)
    }

    /// Whether something was found about a path and all that is under it.
    pub fn is_about_tree(&self, path: &[u8]) -> bool {
        self.about.get(path) == Some(&1)
    }

    pub fn push(&mut self, finding: Finding) {
        if let Some(path) = &finding.place.path {
            let is_tree = finding.check.severity() != Severity::Info;
            self.remember(path.clone(), is_tree, finding.place.layer);
        }
        let place = finding.place.offset.map(|offset| (finding.place.layer, offset));
        if let Some(place) = place
            && self.offsets.last() != Some(&place)
        {
            self.offsets.push(place);
        }
        let count = &mut self.counts[finding.check as usize];
        *count += 1;
        if *count <= MAX_FINDINGS {
            self.list.push(finding);
        }
    }
}

/// A path as findings have it: without the slash before it.
fn relative(path: &[u8]) -> Vec<u8> {
    path.strip_prefix(b"/").unwrap_or(path).to_vec()
}

/// A name in a detail.
fn quoted(name: &[u8]) -> String {
    format!("`{}`", escape(name))
}
