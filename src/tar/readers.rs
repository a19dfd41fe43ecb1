//! What each reader makes of what readers take differently, and whether that is another set of files.

use super::oddity::{Oddity, SparseForm};

const GO: &str = "Go: containerd, umoci, Docker";

impl Oddity {
    /// Who reads what: the readers, and what it is to them. Empty if they differ in nothing that they give.
    pub fn readings(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::TwoNames { .. } => &[
                ("GNU tar, libarchive", "the PAX record"),
                (GO, "the GNU long name"),
                ("Python", "whichever stands first"),
            ],
            Self::TwoHeaders { .. } => &[("GNU tar, Go", "the last header"), ("Python", "the first header")],
            Self::GlobalBetween { .. } => &[
                ("GNU tar, Python", "both headers count"),
                (GO, "forgets the entry's own header"),
            ],
            Self::GlobalNotRepeated { .. } => &[
                ("Python", "the global record still holds"),
                ("GNU tar", "a later global header ends it"),
            ],
            Self::GlobalRecord { .. } => &[
                ("GNU tar, Python", "the global record"),
                (GO, "the entry's own header"),
            ],
            Self::SolarisHeader { .. } => &[
                ("GNU tar, Python, libarchive", "records of the next entry"),
                (GO, "an entry of an unknown type"),
            ],
            Self::TwoSizes { .. } => &[
                ("current readers", "the record"),
                ("some Rust readers until 2025", "the header"),
            ],
            Self::SizeWithoutContent { .. } => &[
                ("Go, Python", "no content"),
                ("GNU tar, libarchive", "so many bytes are skipped"),
            ],
            Self::LooseNumber { .. } => &[("GNU tar", "the number"), ("Go, Python", "refuses the tar")],
            Self::NegativeId { .. } => &[(GO, "an owner of 32 bits"), ("GNU tar", "refuses it")],
            Self::ForeignField { .. } => &[
                ("Python", "a prefix of the name, or a device's numbers"),
                ("Go, GNU tar, libarchive", "nothing"),
            ],
            Self::EscapedXattr { .. } => &[
                ("GNU tar", "`%` or `=` in the xattr's name"),
                ("Go, Python, libarchive", "the name as it stands"),
            ],
            Self::NulInRecord { keyword, .. } if keyword.contains(&0) => {
                &[("GNU tar", "finds no `=` in the record"), (GO, "refuses the tar")]
            }
            Self::NulInRecord { .. } => &[("GNU tar", "the name up to there"), (GO, "refuses the tar")],
            Self::SparseIgnored { .. } => &[(GO, "may refuse the tar")],
            // An xattr without a value is told of as one.
            Self::EmptyValue { keyword, .. } if keyword.starts_with(b"SCHILY.xattr.") => &[],
            Self::EmptyValue { .. } => &[
                ("Go", "the header's field holds"),
                ("GNU tar, Python", "an empty name, or 0"),
            ],
            Self::RareType { .. } => &[
                ("GNU tar, libarchive", "a regular file"),
                ("containerd, umoci", "refuses a layer with it"),
            ],
            Self::TrailingSlash { .. } => &[("Go, Python", "a file"), ("GNU tar, libarchive", "a directory")],
            Self::Sparse {
                form: SparseForm::OldGnu,
                ..
            } => &[
                ("GNU tar, Python, libarchive", "the file"),
                ("containerd, umoci", "refuses a layer with it"),
            ],
            _ => &[],
        }
    }

    /// Whether some reader sees a file of another name, kind, length or place because of it, or no file at all; not
    /// only other attributes.
    pub fn changes_files(&self) -> bool {
        let is_of_file = |keyword: &[u8]| {
            matches!(keyword, b"path" | b"linkpath" | b"size") || keyword.starts_with(b"GNU.sparse.")
        };
        match self {
            Self::TwoNames { .. }
            | Self::TwoHeaders { .. }
            | Self::GlobalBetween { .. }
            | Self::SolarisHeader { .. }
            | Self::TwoSizes { .. }
            | Self::SizeWithoutContent { .. }
            | Self::RareType { .. }
            | Self::TrailingSlash { .. }
            | Self::SparseIgnored { .. }
            | Self::NulInRecord { .. } => true,
            Self::GlobalRecord { keyword, .. }
            | Self::GlobalNotRepeated { keyword, .. }
            | Self::EmptyValue { keyword, .. } => is_of_file(keyword),
            Self::LooseNumber { field, .. } | Self::ForeignField { field, .. } => {
                matches!(*field, "size" | "prefix")
            }
            Self::Sparse { form, .. } => *form == SparseForm::OldGnu,
            _ => false,
        }
    }
}
