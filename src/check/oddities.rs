//! What readers of tars take differently in an entry's headers, as the reader tells it.

use std::borrow::Cow;

use super::layer::LayerCheck;
use super::{Check, Reading};
use crate::tar::{Entry, Oddity, SparseForm};

/// What an oddity is.
fn check_of(oddity: &Oddity) -> Option<Check> {
    Some(match oddity {
        Oddity::TwoNames { .. } => Check::TwoNames,
        Oddity::TwoHeaders { .. } => Check::TwoHeaders,
        Oddity::TwoRecords { .. } => Check::TwoRecords,
        Oddity::GlobalBetween { .. }
        | Oddity::GlobalNotRepeated { .. }
        | Oddity::LooseNumber { .. }
        | Oddity::NegativeId { .. }
        | Oddity::ForeignField { .. }
        | Oddity::EscapedXattr { .. }
        | Oddity::NulInRecord { .. }
        | Oddity::SparseIgnored { .. } => Check::OddHeader,
        Oddity::GlobalRecord { .. } => Check::GlobalRecord,
        Oddity::SolarisHeader { .. } => Check::SolarisHeader,
        Oddity::TwoSizes { .. } => Check::TwoSizes,
        Oddity::SizeWithoutContent { .. } => Check::SizeWithoutContent,
        // An xattr without a value is told of as one.
        Oddity::EmptyValue { keyword, .. } if keyword.starts_with(b"SCHILY.xattr.") => return None,
        Oddity::EmptyValue { .. } => Check::EmptyRecord,
        Oddity::UnreadRecord { .. } => Check::UnreadRecord,
        Oddity::RareType { .. } => Check::UnknownType,
        Oddity::TrailingSlash { .. } => Check::TrailingSlash,
        Oddity::Sparse {
            form: SparseForm::OldGnu,
            ..
        } => Check::SparseOld,
        Oddity::Sparse { .. } => Check::Sparse,
        // Told of by its place, an entry behind it or not.
        Oddity::GlobalHeader { .. } => return None,
        // Told of by what they are: empty names, owners that change nothing.
        Oddity::EmptyName { .. } | Oddity::UnsetId { .. } => return None,
        // All read these alike.
        Oddity::SignedSum { .. } | Oddity::BehindNul { .. } | Oddity::More => return None,
    })
}

impl LayerCheck {
    pub(super) fn oddities(&mut self, entry: &Entry, path: &[u8]) {
        for oddity in &entry.oddities {
            let Some(check) = check_of(oddity) else {
                continue;
            };
            let readings = oddity.readings().iter().map(|&(reader, reads)| Reading {
                reader,
                reads: Cow::Borrowed(reads),
            });
            let offset = oddity.offset().unwrap_or(entry.offset);
            self.find_read(check, offset, Some(path), self.normalise(), readings.collect());
            // Findings are matched with what dialects refuse by where the entry begins, too.
            self.findings.offsets.push((self.layer, entry.offset));
        }
    }
}
