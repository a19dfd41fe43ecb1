//! What can be wrong with a tar. Offsets count bytes from its beginning, uncompressed.

use super::pax::RecordError;
use super::sparse::SparseError;
use crate::content::ContentError;

/// Why a tar cannot be read, or not further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TarError {
    /// Its bytes cannot be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It does not begin like a tar.
    #[error("not a tar: the first block has no header's checksum (it begins with `{found}`)")]
    NotTar {
        /// The first bytes, escaped.
        found: String,
    },
    /// A header's checksum is not that of its bytes.
    #[error("the tar header at byte {offset} has the checksum {found:o}, expected {expected:o}")]
    Checksum {
        /// Where the header begins.
        offset: u64,
        /// The sum of its bytes.
        expected: u32,
        /// What it says.
        found: u32,
    },
    /// A field that should be a number is none, or is out of range.
    #[error(
        "the tar header at byte {offset} has `{found}` as its {field}, expected an octal or base-256 number"
    )]
    Field {
        /// Where the header begins.
        offset: u64,
        /// The field's name.
        field: &'static str,
        /// Its bytes, escaped.
        found: String,
    },
    /// The data of an `x` or `g` header is not made of records.
    #[error("malformed PAX record at byte {offset}: {reason}")]
    Record {
        /// Where the record begins.
        offset: u64,
        /// What is wrong.
        reason: RecordError,
    },
    /// The value of a PAX record is not what its keyword asks for.
    #[error("the PAX record of the entry at byte {offset} has {keyword}=`{found}`, expected {expected}")]
    Value {
        /// Where the entry's first header begins.
        offset: u64,
        /// The record's keyword.
        keyword: &'static str,
        /// Its value, escaped.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A name or extended header of unreasonable length.
    #[error("the tar header at byte {offset} announces {length} bytes of {what}; at most {limit} are taken")]
    TooLong {
        /// Where the header begins.
        offset: u64,
        /// What it announces.
        what: &'static str,
        /// How many bytes.
        length: u64,
        /// How many are taken.
        limit: u64,
    },
    /// More headers of long names and records than one entry can need.
    #[error("more than {limit} headers in a row up to byte {offset} describe the entry that follows")]
    Headers {
        /// Where the last of them ends.
        offset: u64,
        /// How many are taken.
        limit: usize,
    },
    /// The tar ends before an entry does.
    #[error("the tar ends at byte {length}, inside {inside}, which begins at byte {offset}")]
    Truncated {
        /// Where what is incomplete begins.
        offset: u64,
        /// How long the tar is.
        length: u64,
        /// What is incomplete.
        inside: &'static str,
    },
    /// A header that belongs to the next entry, and no entry after it.
    #[error("the tar header at byte {offset} describes the entry that follows, but no entry follows")]
    Dangling {
        /// Where the header begins.
        offset: u64,
    },
    /// A sparse file whose map makes no file.
    #[error("the sparse map of the tar entry at byte {offset} cannot be followed: {reason}")]
    Sparse {
        /// Where the entry's header begins, or the record that is wrong.
        offset: u64,
        /// What is wrong.
        reason: SparseError,
    },
    /// Global headers that say unreasonably much.
    #[error(
        "the global tar headers up to byte {offset} have {length} bytes of records; at most {limit} are taken"
    )]
    Globals {
        /// Where the last of them begins.
        offset: u64,
        /// How many bytes they have together.
        length: u64,
        /// How many are taken.
        limit: u64,
    },
}

impl TarError {
    /// Whether it is no fault of the tar's: the bytes could not be read, or are more than are taken here.
    pub fn is_limit(&self) -> bool {
        match self {
            Self::Content(_) | Self::TooLong { .. } | Self::Headers { .. } | Self::Globals { .. } => true,
            Self::Sparse { reason, .. } => {
                matches!(reason, SparseError::TooMany | SparseError::TooLarge { .. })
            }
            _ => false,
        }
    }
}
