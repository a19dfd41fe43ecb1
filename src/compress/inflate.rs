//! A content without its packing, be it gzip, zstd or none. Knows where contents lie and where scratch is to be
//! had, not what is in them.

use super::Progress;
use super::gzip::{self, Gunzip, GzipError};
use super::offsets::Offsets;
use super::zstd::{self, Skipped, Unzstd, ZstdError};
use crate::content::{Content, ContentError, ScratchSpace};

/// The most bytes that are kept of what something inflates to: no layer is so large, but a few MiB can claim
/// to be.
pub const LIMIT: u64 = 64 << 30;

/// The most bytes that a blob of `packed` bytes is unpacked to: 2 GiB, and 64 for each of its own, up to [`LIMIT`].
/// Layers shrink to a tenth at best; what makes more is a bomb, or nearly one, and would fill a disk.
pub fn limit_for(packed: u64) -> u64 {
    LIMIT.min((2 << 30) + packed.saturating_mul(64))
}
/// Bytes read at a time.
const READ: usize = 128 << 10;
/// The most bytes given at a time.
const GIVEN: usize = 64 << 10;

/// How a content is packed, which its first bytes tell as they do for runtimes: never its name or media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all, or in no way that is known here.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// zstd (RFC 8878); the first frame may be a skippable one.
    Zstd,
}

impl Packing {
    /// What it is called: `plain`, `gzip`, `zstd`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// How `content` is packed.
    pub fn of(content: &Content) -> Result<Self, ContentError> {
        let mut start = [0; 4];
        let length = content.len().min(4) as usize;
        content.read_at(0, &mut start[..length])?;
        Ok(Self::of_start(&start[..length]))
    }

    /// How what begins with `start` is packed; four bytes suffice.
    pub fn of_start(start: &[u8]) -> Self {
        if start.starts_with(&gzip::MAGIC) {
            Self::Gzip
        } else if start.starts_with(&zstd::MAGIC) || zstd::is_skippable(start) {
            Self::Zstd
        } else {
            Self::Plain
        }
    }
}

/// A content could not be inflated. What came before the error was passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// Its bytes could not be read, or what they inflate to could not be kept.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It begins as gzip, but is damaged.
    #[error("the gzip stream is damaged: {0}")]
    Gzip(#[from] GzipError),
    /// It begins as zstd, but is damaged.
    #[error("the zstd stream is damaged: {0}")]
    Zstd(#[from] ZstdError),
    /// It makes more than the caller takes.
    #[error("the first {offset} compressed bytes inflate to more than the {limit} bytes allowed here")]
    TooLarge {
        /// How many compressed bytes were taken.
        offset: u64,
        /// What the caller takes.
        limit: u64,
    },
}

/// Something about a packed content that is read here, and that other readers may refuse or pass over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackingNote {
    /// More or fewer gzip members or zstd frames than one. Readers that stop after the first see less.
    Pieces {
        /// How many.
        count: u64,
    },
    /// Zeros behind the last gzip member: gzip(1) passes over them; containerd, umoci and skopeo refuse.
    Padding {
        /// Where they begin.
        offset: u64,
        /// How many bytes.
        length: u64,
    },
    /// Skippable zstd frames, which hold data that is no part of the content (zstd:chunked puts its table of
    /// contents there).
    Skippable(Skipped),
}

/// A content on its way to its bytes, step by step.
pub struct Inflate {
    content: Content,
    decoder: Decoder,
    window: Vec<u8>,
    /// What of the window was not taken yet.
    rest: std::ops::Range<usize>,
    /// How many bytes were read into windows.
    read: u64,
    output: Vec<u8>,
    written: u64,
    limit: u64,
    offsets: Offsets,
}

enum Decoder {
    Plain,
    Gzip(Gunzip),
    Zstd(Box<Unzstd>),
}

impl Inflate {
    /// Before the first byte. At most `limit` bytes will be given; what makes more is an error.
    pub fn new(content: &Content, limit: u64) -> Result<Self, ContentError> {
        let decoder = match Packing::of(content)? {
            Packing::Plain => Decoder::Plain,
            Packing::Gzip => Decoder::Gzip(Gunzip::new()),
            Packing::Zstd => Decoder::Zstd(Box::default()),
        };
        Ok(Self {
            content: content.clone(),
            decoder,
            window: vec![0; content.len().min(READ as u64) as usize],
            rest: 0..0,
            read: 0,
            output: vec![0; GIVEN],
            written: 0,
            limit,
            offsets: Offsets::default(),
        })
    }

    /// How the content is packed.
    pub fn packing(&self) -> Packing {
        match self.decoder {
            Decoder::Plain => Packing::Plain,
            Decoder::Gzip(_) => Packing::Gzip,
            Decoder::Zstd(_) => Packing::Zstd,
        }
    }

    /// How many compressed bytes were taken.
    pub fn offset(&self) -> u64 {
        self.read - self.rest.len() as u64
    }

    /// How many bytes were given.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Which compressed bytes became which of those given.
    pub fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// What other readers may see otherwise; complete at the end.
    pub fn notes(&self) -> Vec<PackingNote> {
        let mut notes = Vec::new();
        let mut pieces = |count| {
            if count != 1 {
                notes.push(PackingNote::Pieces { count });
            }
        };
        match &self.decoder {
            Decoder::Plain => {}
            Decoder::Gzip(gunzip) => {
                pieces(gunzip.members());
                let length = gunzip.padding();
                if length > 0 {
                    let offset = gunzip.offset() - length;
                    notes.push(PackingNote::Padding { offset, length });
                }
            }
            Decoder::Zstd(unzstd) => {
                pieces(unzstd.frames());
                if unzstd.skipped().count > 0 {
                    notes.push(PackingNote::Skippable(unzstd.skipped()));
                }
            }
        }
        notes
    }

    /// Inflates some more, and passes that on: at most 128 KiB are taken, and at most 64 KiB are given. False
    /// at the end, after which it must not be called again.
    pub fn step(
        &mut self,
        take: impl FnOnce(&[u8]) -> Result<(), ContentError>,
    ) -> Result<bool, InflateError> {
        if self.rest.is_empty() {
            let length = (self.content.len() - self.read).min(READ as u64) as usize;
            self.content.read_at(self.read, &mut self.window[..length])?;
            self.read += length as u64;
            self.rest = 0..length;
        }
        let is_last = self.rest.is_empty();
        if let (true, Decoder::Zstd(unzstd)) = (is_last, &mut self.decoder) {
            unzstd.end();
        }
        let progress = self.decode()?;
        self.rest.start += progress.consumed;
        self.written += progress.written as u64;
        if self.written > self.limit {
            return Err(InflateError::TooLarge {
                offset: self.offset(),
                limit: self.limit,
            });
        }
        let (uncompressed, compressed) = match &self.decoder {
            Decoder::Zstd(unzstd) => unzstd.reached(),
            _ => (self.written, self.offset()),
        };
        self.offsets.reach(uncompressed, compressed);
        if progress.written > 0 {
            take(&self.output[..progress.written])?;
            return Ok(true);
        }
        if let (true, Decoder::Gzip(gunzip)) = (is_last, &self.decoder) {
            gunzip.finish()?;
        }
        Ok(!is_last)
    }

    fn decode(&mut self) -> Result<Progress, InflateError> {
        let input = &self.window[self.rest.clone()];
        match &mut self.decoder {
            Decoder::Plain => {
                let length = input.len().min(GIVEN);
                self.output[..length].copy_from_slice(&input[..length]);
                Ok(Progress {
                    consumed: length,
                    written: length,
                })
            }
            Decoder::Gzip(gunzip) => Ok(gunzip.step(input, &mut self.output)?),
            Decoder::Zstd(unzstd) => Ok(unzstd.step(input, &mut self.output)?),
        }
    }
}

/// Inflates a content, of at most `limit` bytes then, and passes its bytes on. Bytes that are not packed are
/// passed on as they are.
pub fn for_each_inflated(
    content: &Content,
    limit: u64,
    mut take: impl FnMut(&[u8]) -> Result<(), ContentError>,
) -> Result<(), InflateError> {
    let mut inflate = Inflate::new(content, limit)?;
    while inflate.step(&mut take)? {}
    Ok(())
}

/// A content without its packing: itself if it has none, else what it inflates to, at most [`limit_for`] it,
/// kept in scratch.
pub fn plain(content: &Content, space: &dyn ScratchSpace) -> Result<Content, InflateError> {
    if Packing::of(content)? == Packing::Plain {
        return Ok(content.clone());
    }
    let scratch = space.create()?;
    for_each_inflated(content, limit_for(content.len()), |bytes| {
        scratch.append(bytes).map(drop)
    })?;
    Ok(Content::whole(scratch))
}

#[cfg(test)]
#[path = "inflate_tests.rs"]
mod tests;
