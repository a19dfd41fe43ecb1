//! A layer's tar as chunks of bytes that need not be in memory, and where its segments begin.
//!
//! The rule of profile gz1 is local, so that an insertion re-cuts nothing but its neighbourhood. A segment
//! begins before an entry if `crc32(name) * 2^20 < size(entry before it) * 2^32`: a coin that falls once a
//! MiB on average, decided by this entry's name and its neighbour's size in the tar. And a segment begins at
//! every whole MiB inside one file's content. An entry that stayed as it came has its offset in the tar it came
//! from for a name, and its bytes for a content.

use std::sync::Arc;

use crate::compress::crc32::Crc32;
use crate::content::Content;
use crate::digest::{Digest, Hasher};
use crate::tar::{end_padding, padding};
use crate::tree::{Tree, TreePath};

use super::origin::Origin;
use super::rewrite::{Part, Rewrite};
use super::walk::{Piece, Walk};

/// What a segment is on average, in bytes, and the stride at which a large content is cut.
pub const SEGMENT: u64 = 1 << 20;

/// Bytes of a tar.
pub enum Bytes {
    /// Headers: they exist nowhere else.
    Owned(Vec<u8>),
    /// A part of a file's content.
    Content(Content),
    /// So many zeros.
    Zeros(u64),
}

impl Bytes {
    /// How many bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Owned(bytes) => bytes.len() as u64,
            Self::Content(content) => content.len(),
            Self::Zeros(count) => *count,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bytes of a tar that are never cut inside.
pub struct Chunk {
    /// Whether a segment begins with it.
    pub begins_segment: bool,
    /// The bytes.
    pub bytes: Bytes,
}

/// The chunks of one layer, in order.
pub struct Chunks {
    source: Source,
    /// Chunks that were made and not yet given out, last first.
    pending: Vec<Chunk>,
    size_before: u64,
    written: u64,
}

enum Source {
    Entries(Walk),
    /// A tar that is kept as it came; what is left of it.
    Original(Content),
    Edited(Box<Rewrite>),
    Done,
}

impl Chunks {
    /// The canonical layer.
    pub fn of_walk(walk: Walk) -> Self {
        Self::new(Source::Entries(walk))
    }

    /// A tar as it came.
    pub fn of_original(tar: Content) -> Self {
        Self::new(Source::Original(tar))
    }

    /// The tar of a layer that was opened and edited.
    pub(super) fn of_edited(origin: &Arc<Origin>, tree: &Tree, scrubbed: &Arc<[TreePath]>) -> Self {
        let rewrite = Rewrite::new(origin, tree, scrubbed);
        Self::new(Source::Edited(Box::new(rewrite)))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            pending: Vec::new(),
            size_before: 0,
            written: 0,
        }
    }

    fn push_entry(&mut self, piece: Piece) {
        let size = piece.size();
        let begins_segment = cuts_before(&piece.name, self.size_before);
        (self.size_before, self.written) = (size, self.written + size);
        if let Some(content) = piece.content {
            let zeros = padding(content.len());
            if zeros > 0 {
                self.pending.push(Chunk {
                    begins_segment: false,
                    bytes: Bytes::Zeros(zeros),
                });
            }
            self.push_content(&content, false);
        }
        self.pending.push(Chunk {
            begins_segment,
            bytes: Bytes::Owned(piece.header),
        });
    }

    /// An entry as it came. Its place in the tar it came from is its name: no edit changes that.
    fn push_raw(&mut self, offset: u64, bytes: &Content) {
        let begins_segment = cuts_before(&offset.to_le_bytes(), self.size_before);
        (self.size_before, self.written) = (bytes.len(), self.written + bytes.len());
        self.push_content(bytes, begins_segment);
    }

    fn push_content(&mut self, content: &Content, begins_segment: bool) {
        let length = content.len();
        for index in (0..length.div_ceil(SEGMENT)).rev() {
            let from = index * SEGMENT;
            let part = content.slice(from, SEGMENT.min(length - from));
            self.pending.push(Chunk {
                begins_segment: index > 0 || begins_segment,
                bytes: Bytes::Content(part),
            });
        }
    }
}

impl Iterator for Chunks {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        if let Some(chunk) = self.pending.pop() {
            return Some(chunk);
        }
        match &mut self.source {
            Source::Entries(walk) => match walk.next() {
                Some(piece) => {
                    self.push_entry(piece);
                    self.pending.pop()
                }
                None => {
                    self.source = Source::Done;
                    let zeros = end_padding(self.written);
                    Some(Chunk {
                        begins_segment: false,
                        bytes: Bytes::Zeros(zeros),
                    })
                }
            },
            Source::Edited(rewrite) => {
                match rewrite.next() {
                    Some(Part::Raw(offset, bytes)) => self.push_raw(offset, &bytes),
                    Some(Part::Entry(piece)) => self.push_entry(piece),
                    Some(Part::Zeros(zeros)) => self.pending.push(Chunk {
                        begins_segment: false,
                        bytes: Bytes::Zeros(zeros),
                    }),
                    None => self.source = Source::Done,
                }
                self.pending.pop()
            }
            Source::Original(rest) => {
                let length = SEGMENT.min(rest.len());
                if length == 0 {
                    self.source = Source::Done;
                    return None;
                }
                let part = rest.slice(0, length);
                *rest = rest.slice(length, rest.len() - length);
                let begins_segment = std::mem::replace(&mut self.written, 1) > 0;
                Some(Chunk {
                    begins_segment,
                    bytes: Bytes::Content(part),
                })
            }
            Source::Done => None,
        }
    }
}

fn cuts_before(name: &[u8], size_before: u64) -> bool {
    u64::from(Crc32::of(name).sum()) * SEGMENT < size_before.min(SEGMENT) << 32
}

/// A name for the bytes of a segment that is had without reading the contents in it: equal keys mean equal
/// bytes for as long as the sources live.
pub(super) struct KeyHasher(Hasher);

impl KeyHasher {
    pub(super) fn new() -> Self {
        Self(Hasher::new())
    }

    pub(super) fn take(&mut self, bytes: &Bytes) {
        let (tag, length) = match bytes {
            Bytes::Owned(_) | Bytes::Content(Content::Inline(_)) => (b"b", bytes.len()),
            Bytes::Content(Content::Range { .. }) => (b"r", bytes.len()),
            Bytes::Zeros(_) => (b"z", bytes.len()),
        };
        self.0.update(tag);
        self.0.update(&length.to_le_bytes());
        match bytes {
            Bytes::Owned(bytes) => self.0.update(bytes),
            Bytes::Content(Content::Inline(bytes)) => self.0.update(bytes),
            Bytes::Content(Content::Range { source, offset, .. }) => {
                self.0.update(&source.id().to_le_bytes());
                self.0.update(&offset.to_le_bytes());
            }
            Bytes::Zeros(_) => {}
        }
    }

    pub(super) fn finish(self) -> Digest {
        self.0.finish()
    }
}
