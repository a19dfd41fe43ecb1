//! Contents: bytes that are here, or lie elsewhere and are read in windows. Knows nothing of what they mean.
//!
//! Files and blobs can be larger than memory, so whatever holds one holds a [`Content`]: small bytes
//! themselves, or a range of a [`Source`]. A source is the browser's `File` or a file on disk, and lives as
//! long as some content refers to it. A [`Scratch`] is a source that the core itself fills: a spill file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::{Digest, Hasher};

/// How many bytes are read at once when a content is passed through: large enough that a read's fixed cost
/// vanishes (a browser's takes about a millisecond), small enough to hold.
pub const WINDOW: usize = 1 << 20;

/// Reading bytes failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// The source could not be read, or is no longer what it was when it was opened.
    #[error("cannot read {length} bytes at byte {offset} of {name}: {reason}")]
    Read {
        /// What the source is called.
        name: String,
        /// Where in the source.
        offset: u64,
        /// How many bytes were wanted.
        length: u64,
        /// What the system said.
        reason: String,
    },
    /// The scratch space could not take more.
    #[error("cannot keep {length} bytes for later: {reason}")]
    Write {
        /// How many bytes were to be kept.
        length: u64,
        /// What the system said.
        reason: String,
    },
    /// The content is larger than the caller can take.
    #[error("{length} bytes are more than the {limit} allowed here")]
    TooLarge {
        /// The content's length.
        length: u64,
        /// What was allowed.
        limit: u64,
    },
}

/// Bytes that lie elsewhere: a file that was opened or dropped.
pub trait Source: Send + Sync {
    /// A number that is this source's alone for as long as the session lives.
    fn id(&self) -> u64;
    /// What people call it, for errors: a file name.
    fn name(&self) -> &str;
    /// How many bytes it has.
    fn len(&self) -> u64;
    /// Fills `into` with the bytes at `offset`; an error if they are not all there.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError>;
    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A source that the core fills: appended to, then read back.
pub trait Scratch: Source {
    /// Adds `bytes` at the end and returns where they begin.
    fn append(&self, bytes: &[u8]) -> Result<u64, ContentError>;
}

/// Where scratches come from: memory, a temporary directory, the browser's private file system.
pub trait ScratchSpace: Send + Sync {
    /// A new, empty scratch.
    fn create(&self) -> Result<Arc<dyn Scratch>, ContentError>;
}

/// An id for a source that the core makes itself: hosts count theirs up from the bottom, these stand far above.
pub(crate) fn own_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 63);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// How many bytes of `left` are read at once: at most [`WINDOW`]. Computed in 64 bits, since a browser's `usize`
/// has 32 and files are larger.
pub(crate) fn window(left: u64) -> usize {
    left.min(WINDOW as u64) as usize
}

/// Some bytes. Cloning is cheap and shares them.
#[derive(Clone)]
pub enum Content {
    /// Small bytes, held here.
    Inline(Arc<[u8]>),
    /// `length` bytes of `source` from `offset`.
    Range {
        /// Where the bytes lie.
        source: Arc<dyn Source>,
        /// First byte in the source.
        offset: u64,
        /// Number of bytes.
        length: u64,
    },
}

impl Content {
    /// A content that holds its bytes.
    pub fn inline(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::Inline(bytes.into())
    }

    /// All of a source.
    pub fn whole(source: Arc<dyn Source>) -> Self {
        let length = source.len();
        Self::Range {
            source,
            offset: 0,
            length,
        }
    }

    /// Number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Range { length, .. } => *length,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A part of this content. Panics if it is not inside: callers check what comes from input.
    pub fn slice(&self, from: u64, length: u64) -> Self {
        assert!(from.checked_add(length).is_some_and(|end| end <= self.len()));
        match self {
            Self::Inline(bytes) => Self::inline(&bytes[from as usize..(from + length) as usize]),
            Self::Range { source, offset, .. } => Self::Range {
                source: source.clone(),
                offset: offset + from,
                length,
            },
        }
    }

    /// Fills `into` with the bytes at `offset`. Panics if they are not all inside the content.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        assert!(
            offset
                .checked_add(into.len() as u64)
                .is_some_and(|end| end <= self.len())
        );
        match self {
            Self::Inline(bytes) => {
                into.copy_from_slice(&bytes[offset as usize..offset as usize + into.len()]);
                Ok(())
            }
            Self::Range {
                source,
                offset: start,
                ..
            } => source.read_at(start + offset, into),
        }
    }

    /// All bytes at once, if there are at most `limit`.
    pub fn read_all(&self, limit: u64) -> Result<Vec<u8>, ContentError> {
        if self.len() > limit {
            return Err(ContentError::TooLarge {
                length: self.len(),
                limit,
            });
        }
        let mut bytes = vec![0; self.len() as usize];
        self.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Passes all bytes, window by window, to `take`.
    pub fn for_each_window(&self, mut take: impl FnMut(&[u8])) -> Result<(), ContentError> {
        if let Self::Inline(bytes) = self {
            take(bytes);
            return Ok(());
        }
        let mut buffer = vec![0; window(self.len())];
        let mut offset = 0;
        while offset < self.len() {
            let length = window(self.len() - offset);
            self.read_at(offset, &mut buffer[..length])?;
            take(&buffer[..length]);
            offset += length as u64;
        }
        Ok(())
    }

    /// The digest of the bytes; reads them all.
    pub fn digest(&self) -> Result<Digest, ContentError> {
        let mut hasher = Hasher::new();
        self.for_each_window(|bytes| hasher.update(bytes))?;
        Ok(hasher.finish())
    }

    /// Whether two contents are the same bytes, told without reading a source: the same range of the same
    /// source, or equal bytes held here.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline(a), Self::Inline(b)) => a == b,
            (
                Self::Range {
                    source: a,
                    offset: at,
                    length: n,
                },
                Self::Range {
                    source: b,
                    offset: bt,
                    length: m,
                },
            ) => (a.id(), at, n) == (b.id(), bt, m),
            _ => false,
        }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Range {
                source,
                offset,
                length,
            } => {
                write!(f, "Range({} {offset}+{length})", source.name())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_more_than_32_bits() {
        assert_eq!([window(0), window(7)], [0, 7]);
        assert_eq!([window(1 << 32), window((1 << 32) + 5)], [WINDOW; 2]);
    }
}
