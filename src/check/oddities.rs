//! What readers of tars take differently in an entry's headers, as the reader tells it.

use std::borrow::Cow;

use super::layer::LayerCheck;
use super::{Check, Reading};
use crate::tar::{Entry, Oddity, SparseForm};

type Readings = &'static [(&'static str, &'static str)];

const GO: &str = "Go: containerd, umoci, Docker";

/// What an oddity is, and how readers take it.
fn facts(oddity: &Oddity) -> Option<(Check, Readings)> {
    Some(match oddity {
        Oddity::TwoNames { .. } => (
            Check::TwoNames,
            &[
                ("GNU tar, libarchive", "the PAX record"),
                (GO, "the GNU long name"),
                ("Python", "whichever stands first"),
            ],
        ),
        Oddity::TwoHeaders { .. } => (
            Check::TwoHeaders,
            &[("GNU tar, Go", "the last header"), ("Python", "the first header")],
        ),
        Oddity::TwoRecords { .. } => (Check::TwoRecords, &[]),
        Oddity::GlobalBetween { .. } => (
            Check::OddHeader,
            &[
                ("GNU tar, Python", "both headers count"),
                (GO, "forgets the entry's own header"),
            ],
        ),
        Oddity::GlobalNotRepeated { .. } => (
            Check::OddHeader,
            &[
                ("Python", "the global record still holds"),
                ("GNU tar", "a later global header ends it"),
            ],
        ),
        Oddity::GlobalRecord { .. } => (
            Check::GlobalRecord,
            &[
                ("GNU tar, Python", "the global record"),
                (GO, "the entry's own header"),
            ],
        ),
        Oddity::SolarisHeader { .. } => (
            Check::SolarisHeader,
            &[
                ("GNU tar, Python, libarchive", "records of the next entry"),
                (GO, "an entry of an unknown type"),
            ],
        ),
        Oddity::TwoSizes { .. } => (
            Check::TwoSizes,
            &[
                ("current readers", "the record"),
                ("some Rust readers until 2025", "the header"),
            ],
        ),
        Oddity::SizeWithoutContent { .. } => (
            Check::SizeWithoutContent,
            &[
                ("Go, Python", "no content"),
                ("GNU tar, libarchive", "so many bytes are skipped"),
            ],
        ),
        Oddity::LooseNumber { .. } => (
            Check::OddHeader,
            &[("GNU tar", "the number"), ("Go, Python", "refuses the layer")],
        ),
        Oddity::NegativeId { .. } => (
            Check::OddHeader,
            &[(GO, "an owner of 32 bits"), ("GNU tar", "refuses it")],
        ),
        Oddity::ForeignField { .. } => (
            Check::OddHeader,
            &[
                ("Python", "a prefix of the name, or a device's numbers"),
                ("Go, GNU tar, libarchive", "nothing"),
            ],
        ),
        Oddity::EscapedXattr { .. } => (
            Check::OddHeader,
            &[
                ("GNU tar", "`%` or `=` in the xattr's name"),
                ("Go, Python, libarchive", "the name as it stands"),
            ],
        ),
        Oddity::NulInRecord { keyword, .. } if keyword.contains(&0) => (
            Check::OddHeader,
            &[
                ("GNU tar", "finds no `=` in the record"),
                (GO, "refuses the layer"),
            ],
        ),
        Oddity::NulInRecord { .. } => (
            Check::OddHeader,
            &[("GNU tar", "the name up to there"), (GO, "refuses the layer")],
        ),
        Oddity::SparseIgnored { .. } => (Check::OddHeader, &[(GO, "may refuse the layer")]),
        // An xattr without a value is told of as one.
        Oddity::EmptyValue { keyword, .. } if keyword.starts_with(b"SCHILY.xattr.") => return None,
        Oddity::EmptyValue { .. } => (
            Check::EmptyRecord,
            &[
                ("Go", "the header's field holds"),
                ("GNU tar, Python", "an empty name, or 0"),
            ],
        ),
        Oddity::UnreadRecord { .. } => (Check::UnreadRecord, &[]),
        Oddity::RareType { .. } => (
            Check::UnknownType,
            &[
                ("GNU tar, libarchive", "a regular file"),
                ("containerd, umoci", "refuses the layer"),
            ],
        ),
        Oddity::TrailingSlash { .. } => (
            Check::TrailingSlash,
            &[("Go, Python", "a file"), ("GNU tar, libarchive", "a directory")],
        ),
        Oddity::Sparse {
            form: SparseForm::OldGnu,
            ..
        } => (
            Check::SparseOld,
            &[
                ("GNU tar, Python, libarchive", "the file"),
                ("containerd, umoci", "refuses the layer"),
            ],
        ),
        Oddity::Sparse { .. } => (Check::Sparse, &[]),
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
            let Some((check, readings)) = facts(oddity) else {
                continue;
            };
            let readings = readings.iter().map(|&(reader, reads)| Reading {
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
