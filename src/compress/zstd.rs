//! Reading the zstd of anyone (RFC 8878): frames one after another, skippable ones between them, checksums
//! and sizes checked. Keeps one block of input and one window of output.
//!
//! Frames and blocks are taken apart here, and the crate `ruzstd` decodes the blocks. It is given a frame
//! header of our making, with the smallest window that takes every block: so it does not set aside what a
//! hostile header asks for, and tells how much each block made. The window that a frame really has is kept
//! here, by not taking more out of the decoder than what lies before that window.
//!
//! Dictionaries are refused: a layer has nowhere to keep one.

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::io::Read;

use super::Progress;

/// What a frame begins with.
pub const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest window that is taken: what `zstd -d` takes without being asked for more, and what
/// `zstd --ultra -22` uses (RFC 8878, 3.1.1.1.2, recommends 8 MiB at least).
pub const WINDOW_LIMIT: u64 = 128 << 20;

/// The most bytes that a block has, and makes (RFC 8878, 3.1.1.2.4).
const BLOCK_LIMIT: u64 = 128 << 10;
const CHECKSUM: u8 = 4;
/// The window descriptor of a window of [`BLOCK_LIMIT`]: the exponent 7 above 10, no mantissa.
const SMALL_WINDOW: u8 = 7 << 3;

/// Why a stream is not zstd, or is damaged. Offsets count compressed bytes from the stream's beginning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZstdError {
    /// What should be a frame is none.
    #[error("no zstd frame at byte {offset}: found {found:#010x}, expected 0xfd2fb528 or 0x184d2a5?")]
    Magic {
        /// Where.
        offset: u64,
        /// What is there, as a little-endian number.
        found: u32,
    },
    /// A bit of a frame's header that must be 0.
    #[error("the zstd frame at byte {offset} has a reserved bit set")]
    Reserved {
        /// Where the frame begins.
        offset: u64,
    },
    /// A frame wants more memory than is given.
    #[error(
        "the zstd frame at byte {offset} needs a window of {window} bytes; at most {WINDOW_LIMIT} are given"
    )]
    Window {
        /// Where the frame begins.
        offset: u64,
        /// What it needs.
        window: u64,
    },
    /// A frame needs a dictionary.
    #[error("the zstd frame at byte {offset} needs the dictionary {id}, and a blob brings none")]
    Dictionary {
        /// Where the frame begins.
        offset: u64,
        /// Its number.
        id: u32,
    },
    /// A block cannot be decoded.
    #[error("damaged zstd block at byte {offset}")]
    Block {
        /// Where the block begins.
        offset: u64,
    },
    /// A frame's content is not as long as its header says.
    #[error("the zstd frame that ends at byte {offset} has {found} bytes of content, expected {expected}")]
    ContentSize {
        /// Where the frame ends.
        offset: u64,
        /// What its header says.
        expected: u64,
        /// What was counted; counting stops where it is too much.
        found: u64,
    },
    /// The checksum of a frame's content.
    #[error("the zstd checksum before byte {offset} is {expected:#010x}, but the content has {found:#010x}")]
    Checksum {
        /// Where the checksum ends.
        offset: u64,
        /// What the stream says.
        expected: u32,
        /// What was computed.
        found: u32,
    },
    /// The stream ends too early.
    #[error("the zstd stream ends at byte {offset}, inside {inside}")]
    Truncated {
        /// Its length.
        offset: u64,
        /// What is incomplete.
        inside: &'static str,
    },
}

/// Skippable frames, which decoders pass over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Where the first begins.
    pub offset: u64,
    /// How many there are.
    pub count: u64,
    /// How many bytes they have, headers included.
    pub bytes: u64,
}

/// Decodes a zstd stream, step by step, into buffers of the caller's.
pub struct Unzstd {
    decoder: FrameDecoder,
    state: State,
    /// What is gathered of a header or block.
    pending: Vec<u8>,
    frame: Frame,
    offset: u64,
    frames: u64,
    skipped: Skipped,
    written: u64,
    reached: (u64, u64),
}

/// What is being gathered, or done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Magic,
    SkipLength,
    Skip {
        left: u64,
    },
    Descriptor,
    Header {
        length: usize,
    },
    BlockHeader,
    Block {
        length: usize,
        is_last: bool,
    },
    Draining,
    /// The error comes when all that was decoded before it is written, but for the last block's worth, which
    /// the decoder does not hand out.
    Failed(ZstdError),
}

/// What the header of the frame in work says.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    offset: u64,
    window: u64,
    content_size: Option<u64>,
    has_checksum: bool,
    written: u64,
}

impl Default for Unzstd {
    fn default() -> Self {
        Self::new()
    }
}

impl Unzstd {
    /// Before the first byte.
    pub fn new() -> Self {
        Self {
            decoder: FrameDecoder::new(),
            state: State::Magic,
            pending: Vec::new(),
            frame: Frame::default(),
            offset: 0,
            frames: 0,
            skipped: Skipped::default(),
            written: 0,
            reached: (0, 0),
        }
    }

    /// How many compressed bytes were taken.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many frames with content were begun.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// The skippable frames so far.
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// How many uncompressed bytes were decoded, written or not, and the compressed bytes they took.
    pub fn reached(&self) -> (u64, u64) {
        self.reached
    }

    /// Takes from `input` and fills `output`, as far as both go, but at most to the end of a block. To be
    /// called again, with what was not consumed, for as long as it consumes or writes anything: output may be
    /// pending when no input is left. An error comes when what was decoded before it is written.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, ZstdError> {
        let mut progress = Progress {
            consumed: 0,
            written: 0,
        };
        let reached = self.reached;
        loop {
            let waiting = self.waiting();
            let room = &mut output[progress.written..];
            let rest = &input[progress.consumed..];
            let done = if waiting > 0 {
                if room.is_empty() {
                    return Ok(progress);
                }
                self.drain(room, waiting)
                    .map(|written| progress.written += written)
            } else {
                match &self.state {
                    State::Failed(_) if progress.written > 0 => return Ok(progress),
                    State::Failed(error) => return Err(error.clone()),
                    State::Draining => self.end_frame(),
                    _ if rest.is_empty() || self.reached != reached => return Ok(progress),
                    _ => {
                        let taken = self.gather(rest);
                        progress.consumed += taken;
                        self.offset += taken as u64;
                        self.advance()
                    }
                }
            };
            if let Err(error) = done {
                self.state = State::Failed(error);
            }
        }
    }

    /// Says that no more input comes. What is wrong with that is told by the steps that follow.
    pub fn end(&mut self) {
        let inside = match self.state {
            State::Magic if self.pending.is_empty() => return,
            State::Draining | State::Failed(_) => return,
            State::SkipLength | State::Skip { .. } => "a skippable frame",
            State::Magic | State::Descriptor | State::Header { .. } => "the header of a frame",
            State::BlockHeader | State::Block { .. } => "a frame",
        };
        self.state = State::Failed(ZstdError::Truncated {
            offset: self.offset,
            inside,
        });
    }

    /// How many decoded bytes can be written: all at a frame's end, before that those that no later block
    /// can refer to.
    fn waiting(&self) -> u64 {
        match self.state {
            State::Draining | State::Failed(_) => self.decoder.can_collect() as u64,
            State::BlockHeader | State::Block { .. } => self.held().saturating_sub(self.frame.window),
            _ => 0,
        }
    }

    /// How many bytes the decoder of an unfinished frame holds; 0 while that is not known, which is while
    /// they are not more than a block.
    fn held(&self) -> u64 {
        match self.decoder.can_collect() as u64 {
            0 => 0,
            more => more + BLOCK_LIMIT,
        }
    }

    fn drain(&mut self, room: &mut [u8], waiting: u64) -> Result<usize, ZstdError> {
        let length = waiting.min(room.len() as u64) as usize;
        let damaged = ZstdError::Block { offset: self.offset };
        let written = self.decoder.read(&mut room[..length]).map_err(|_| damaged)?;
        self.frame.written += written as u64;
        self.written += written as u64;
        match self.frame.content_size {
            Some(expected) if self.frame.written > expected => Err(self.wrong_size(expected)),
            _ => Ok(written),
        }
    }

    /// Takes what is missing of the header or block; how much that was.
    fn gather(&mut self, input: &[u8]) -> usize {
        let length = match self.state {
            State::Skip { left } => {
                let taken = left.min(input.len() as u64);
                self.state = State::Skip { left: left - taken };
                return taken as usize;
            }
            State::Magic => 4,
            State::SkipLength => 8,
            State::Descriptor => 5,
            State::Header { length } | State::Block { length, .. } => length,
            State::BlockHeader => 3,
            State::Draining | State::Failed(_) => 0,
        };
        let taken = (length - self.pending.len()).min(input.len());
        self.pending.extend_from_slice(&input[..taken]);
        taken
    }

    /// Goes on to the next state, if this one has all its bytes.
    fn advance(&mut self) -> Result<(), ZstdError> {
        let had = self.pending.len();
        self.state = match self.state {
            State::Magic if had == 4 => self.begin()?,
            State::SkipLength if had == 8 => {
                let left = u64::from(little_endian(&self.pending[4..]) as u32);
                self.skipped.bytes += 8 + left;
                self.pending.clear();
                State::Skip { left }
            }
            State::Skip { left: 0 } => State::Magic,
            State::Descriptor if had == 5 => State::Header {
                length: header_length(self.pending[4]),
            },
            State::Header { length } if had == length => self.begin_frame()?,
            State::BlockHeader if had == 3 => self.begin_block()?,
            State::Block { length, is_last } if had == length => self.decode_block(is_last)?,
            _ => return Ok(()),
        };
        // A header or block may be complete with what it began with.
        match self.state {
            State::Header { length } | State::Block { length, .. } if length == self.pending.len() => {
                self.advance()
            }
            State::Skip { left: 0 } => self.advance(),
            _ => Ok(()),
        }
    }

    fn begin(&mut self) -> Result<State, ZstdError> {
        let offset = self.offset - 4;
        let found = little_endian(&self.pending) as u32;
        if is_skippable(&self.pending) {
            if self.skipped.count == 0 {
                self.skipped.offset = offset;
            }
            self.skipped.count += 1;
            return Ok(State::SkipLength);
        }
        if self.pending != MAGIC {
            return Err(ZstdError::Magic { offset, found });
        }
        self.frames += 1;
        self.frame = Frame {
            offset,
            ..Frame::default()
        };
        Ok(State::Descriptor)
    }

    /// Reads the header (RFC 8878, 3.1.1.1), and gives the decoder its own.
    fn begin_frame(&mut self) -> Result<State, ZstdError> {
        let offset = self.frame.offset;
        let descriptor = self.pending[4];
        let (id_size, size_size) = field_sizes(descriptor);
        let (window, fields) = match is_single_segment(descriptor) {
            true => (None, &self.pending[5..]),
            false => (Some(window_size(self.pending[5])), &self.pending[6..]),
        };
        let (id, size) = fields.split_at(id_size);
        let content_size = match size_size {
            0 => None,
            2 => Some(little_endian(size) + 256),
            _ => Some(little_endian(size)),
        };
        if descriptor & 8 != 0 {
            return Err(ZstdError::Reserved { offset });
        }
        let id = little_endian(id) as u32;
        if id != 0 {
            return Err(ZstdError::Dictionary { offset, id });
        }
        let window = window.or(content_size).unwrap_or_default();
        if window > WINDOW_LIMIT {
            return Err(ZstdError::Window { offset, window });
        }
        self.frame.window = window;
        self.frame.content_size = content_size;
        self.frame.has_checksum = descriptor & CHECKSUM != 0;
        let [a, b, c, d] = MAGIC;
        let header = [a, b, c, d, descriptor & CHECKSUM, SMALL_WINDOW];
        let damaged = |_| ZstdError::Block { offset };
        self.decoder.reset(&header[..]).map_err(damaged)?;
        self.pending.clear();
        Ok(State::BlockHeader)
    }

    /// Reads a block's header (RFC 8878, 3.1.1.2).
    fn begin_block(&self) -> Result<State, ZstdError> {
        let header = little_endian(&self.pending);
        let (is_last, block_type, size) = (header & 1 == 1, header >> 1 & 3, header >> 3);
        if block_type == 3 || size > BLOCK_LIMIT.min(self.frame.window) {
            let offset = self.offset - 3;
            return Err(ZstdError::Block { offset });
        }
        let body = if block_type == 1 { 1 } else { size as usize };
        // The decoder wants the checksum together with the last block.
        let checksum = if is_last && self.frame.has_checksum { 4 } else { 0 };
        Ok(State::Block {
            length: 3 + body + checksum,
            is_last,
        })
    }

    fn decode_block(&mut self, is_last: bool) -> Result<State, ZstdError> {
        let offset = self.offset - self.pending.len() as u64;
        let decoded = self
            .decoder
            .decode_blocks(&self.pending[..], BlockDecodingStrategy::UptoBlocks(1));
        if !matches!(decoded, Ok(ended) if ended == is_last) {
            return Err(ZstdError::Block { offset });
        }
        self.pending.clear();
        let held = match is_last {
            true => self.decoder.can_collect() as u64,
            false => self.held(),
        };
        if held > 0 || is_last {
            self.reached = (self.written + held, self.offset);
        }
        Ok(match is_last {
            true => State::Draining,
            false => State::BlockHeader,
        })
    }

    fn end_frame(&mut self) -> Result<(), ZstdError> {
        if let Some(expected) = self.frame.content_size
            && expected != self.frame.written
        {
            return Err(self.wrong_size(expected));
        }
        let found = self.decoder.get_calculated_checksum();
        if let (Some(expected), Some(found)) = (self.decoder.get_checksum_from_data(), found)
            && expected != found
        {
            return Err(ZstdError::Checksum {
                offset: self.offset,
                expected,
                found,
            });
        }
        self.state = State::Magic;
        Ok(())
    }

    fn wrong_size(&self, expected: u64) -> ZstdError {
        ZstdError::ContentSize {
            offset: self.offset,
            expected,
            found: self.frame.written,
        }
    }
}

/// Whether some bytes begin a frame that is to be passed over (RFC 8878, 3.1.2).
pub fn is_skippable(bytes: &[u8]) -> bool {
    matches!(bytes, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

fn is_single_segment(descriptor: u8) -> bool {
    descriptor & 0x20 != 0
}

/// How many bytes the dictionary's number and the content's size have.
fn field_sizes(descriptor: u8) -> (usize, usize) {
    let id = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = match descriptor >> 6 {
        0 => usize::from(is_single_segment(descriptor)),
        flag => 1 << flag,
    };
    (id, size)
}

/// How long a frame's header is, the magic included.
fn header_length(descriptor: u8) -> usize {
    let (id, size) = field_sizes(descriptor);
    5 + usize::from(!is_single_segment(descriptor)) + id + size
}

fn window_size(descriptor: u8) -> u64 {
    let base = 1u64 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 7)
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
#[path = "zstd_tests.rs"]
mod tests;
