//! Reading the gzip of anyone (RFC 1952): members one after another, every optional field of their headers,
//! checksums checked. Keeps no input and no more output than deflate's window.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use super::Progress;
use super::crc32::Crc32;

/// What a stream begins with: the two bytes of a member's magic, and deflate, the only method (RFC 1952,
/// 2.3.1). Runtimes tell gzip by these three too.
pub const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// Why a stream is not gzip, or is damaged. Offsets count compressed bytes from the stream's beginning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GzipError {
    /// The first two bytes of a member.
    #[error("not gzip at byte {offset}: expected {expected:#04x}, found {found:#04x}")]
    Magic {
        /// Where.
        offset: u64,
        /// What gzip has there.
        expected: u8,
        /// What is there.
        found: u8,
    },
    /// The compression method.
    #[error("gzip header, byte {offset}: method {method} is unknown, expected 8 (deflate)")]
    Method {
        /// Where.
        offset: u64,
        /// What is there.
        method: u8,
    },
    /// Flags that RFC 1952 reserves: they could mean fields that cannot be skipped.
    #[error("gzip header, byte {offset}: reserved flags in {flags:#04x}, expected none of 0xe0")]
    Flags {
        /// Where.
        offset: u64,
        /// What is there.
        flags: u8,
    },
    /// The header's own checksum.
    #[error(
        "gzip header: the CRC-16 before byte {offset} is {expected:#06x}, but the header has {found:#06x}"
    )]
    HeaderCrc {
        /// Where the checksum ends.
        offset: u64,
        /// What the stream says.
        expected: u16,
        /// What was computed.
        found: u16,
    },
    /// The compressed data.
    #[error("damaged deflate data near byte {offset}")]
    Deflate {
        /// Close behind the damage.
        offset: u64,
    },
    /// The checksum of a member's content.
    #[error("the CRC-32 before byte {offset} is {expected:#010x}, but the content has {found:#010x}")]
    Crc {
        /// Where the checksum ends.
        offset: u64,
        /// What the stream says.
        expected: u32,
        /// What was computed.
        found: u32,
    },
    /// The length of a member's content, modulo 2^32.
    #[error("the length before byte {offset} is {expected}, but the content has {found} bytes (modulo 2^32)")]
    Length {
        /// Where the length ends.
        offset: u64,
        /// What the stream says.
        expected: u32,
        /// What was counted.
        found: u32,
    },
    /// Something behind the last member that is neither a member nor zeros.
    #[error(
        "junk behind the gzip stream at byte {offset}: {found:#04x}, expected its end, zeros or a member"
    )]
    Junk {
        /// Where.
        offset: u64,
        /// What is there.
        found: u8,
    },
    /// The stream ends too early.
    #[error("the gzip stream ends at byte {offset}, inside {inside}")]
    Truncated {
        /// Its length.
        offset: u64,
        /// What is incomplete.
        inside: &'static str,
    },
}

/// Inflates a gzip stream, step by step, into buffers of the caller's.
pub struct Gunzip {
    state: State,
    inflater: Box<InflateState>,
    /// Of the member's header.
    header_crc: Crc32,
    flags: u8,
    /// Of the member's content.
    crc: Crc32,
    length: u32,
    /// A little-endian number whose bytes come one by one.
    number: u32,
    offset: u64,
    members: u64,
    padding: u64,
    /// What is wrong behind the output that was written last.
    failed: Option<GzipError>,
}

/// What comes next. Counts are of bytes taken already, but for `Extra`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fixed(u8),
    ExtraLength(u8),
    Extra { left: u32 },
    Name,
    Comment,
    HeaderCrc(u8),
    Body,
    Crc(u8),
    Length(u8),
    Between,
    Padding,
}

const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

impl Default for Gunzip {
    fn default() -> Self {
        Self::new()
    }
}

impl Gunzip {
    /// Before the first byte.
    pub fn new() -> Self {
        Self {
            state: State::Fixed(0),
            inflater: InflateState::new_boxed(DataFormat::Raw),
            header_crc: Crc32::default(),
            flags: 0,
            crc: Crc32::default(),
            length: 0,
            number: 0,
            offset: 0,
            members: 1,
            padding: 0,
            failed: None,
        }
    }

    /// How many compressed bytes were taken.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many members were begun.
    pub fn members(&self) -> u64 {
        self.members
    }

    /// How many zeros were found behind the last member. gzip(1) passes over them; image tools do not.
    pub fn padding(&self) -> u64 {
        self.padding
    }

    /// Takes from `input` and fills `output`, as far as both go. To be called again, with what was not
    /// consumed, for as long as it consumes or writes anything: output may be pending when no input is left.
    /// An error comes when what was inflated before it is written.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, GzipError> {
        let mut progress = Progress {
            consumed: 0,
            written: 0,
        };
        let result = match self.failed.take() {
            Some(error) => Err(error),
            None => self.run(input, output, &mut progress),
        };
        match result {
            Err(error) => {
                self.failed = Some(error.clone());
                if progress.written > 0 {
                    Ok(progress)
                } else {
                    Err(error)
                }
            }
            Ok(()) => Ok(progress),
        }
    }

    fn run(&mut self, input: &[u8], output: &mut [u8], progress: &mut Progress) -> Result<(), GzipError> {
        loop {
            let rest = &input[progress.consumed..];
            if self.state == State::Body {
                let (consumed, written) = (progress.consumed, progress.written);
                self.inflate(rest, &mut output[written..], progress)?;
                if self.state == State::Body && (consumed, written) == (progress.consumed, progress.written) {
                    return Ok(());
                }
            } else if let Some(&byte) = rest.first() {
                self.take(byte)?;
                progress.consumed += 1;
                self.offset += 1;
            } else {
                return Ok(());
            }
        }
    }

    /// Checks that the stream may end here.
    pub fn finish(&self) -> Result<(), GzipError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let inside = match self.state {
            State::Between | State::Padding => return Ok(()),
            State::Body => "the compressed data",
            State::Crc(_) | State::Length(_) => "the checksum and length at the end of a member",
            _ => "the header of a member",
        };
        Err(GzipError::Truncated {
            offset: self.offset,
            inside,
        })
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8], progress: &mut Progress) -> Result<(), GzipError> {
        let result = inflate(&mut self.inflater, input, output, MZFlush::None);
        progress.consumed += result.bytes_consumed;
        progress.written += result.bytes_written;
        self.offset += result.bytes_consumed as u64;
        let written = &output[..result.bytes_written];
        self.crc.update(written);
        self.length = self.length.wrapping_add(written.len() as u32);
        match result.status {
            Ok(MZStatus::StreamEnd) => self.state = State::Crc(0),
            // `Buf` is no error: no input or no room is left.
            Ok(_) | Err(MZError::Buf) => {}
            Err(_) => return Err(GzipError::Deflate { offset: self.offset }),
        }
        Ok(())
    }

    /// Takes one byte of what is not compressed data.
    fn take(&mut self, byte: u8) -> Result<(), GzipError> {
        match self.state {
            State::Body => unreachable!("taken by `inflate`"),
            State::Crc(at) => self.take_crc(byte, at)?,
            State::Length(at) => self.take_length(byte, at)?,
            State::Between | State::Padding if byte == 0 => {
                self.padding += 1;
                self.state = State::Padding;
            }
            State::Between if byte == 0x1f => {
                self.begin_member();
                self.take(byte)?;
            }
            State::Between | State::Padding => {
                return Err(GzipError::Junk {
                    offset: self.offset,
                    found: byte,
                });
            }
            State::HeaderCrc(at) => self.take_header_crc(byte, at)?,
            _ => self.take_header(byte)?,
        }
        Ok(())
    }

    fn begin_member(&mut self) {
        self.state = State::Fixed(0);
        self.members += 1;
        self.inflater.reset(DataFormat::Raw);
        self.header_crc = Crc32::default();
        self.crc = Crc32::default();
        self.length = 0;
    }

    fn take_header(&mut self, byte: u8) -> Result<(), GzipError> {
        let offset = self.offset;
        self.header_crc.update(&[byte]);
        self.state = match self.state {
            State::Fixed(at) => {
                match (at, byte) {
                    (0, 0x1f) | (1, 0x8b) | (2, 8) => {}
                    (0 | 1, found) => {
                        let expected = [0x1f, 0x8b][usize::from(at)];
                        return Err(GzipError::Magic {
                            offset,
                            expected,
                            found,
                        });
                    }
                    (2, method) => return Err(GzipError::Method { offset, method }),
                    (3, flags) if flags & RESERVED != 0 => return Err(GzipError::Flags { offset, flags }),
                    (3, flags) => self.flags = flags,
                    _ => {}
                }
                match at {
                    9 => self.after_field(0),
                    at => State::Fixed(at + 1),
                }
            }
            State::ExtraLength(at) => match self.little_endian(byte, at, 2) {
                None => State::ExtraLength(at + 1),
                Some(0) => self.after_field(FEXTRA),
                Some(left) => State::Extra { left },
            },
            State::Extra { left: 1 } => self.after_field(FEXTRA),
            State::Extra { left } => State::Extra { left: left - 1 },
            State::Name if byte == 0 => self.after_field(FNAME),
            State::Comment if byte == 0 => self.after_field(FCOMMENT),
            state => state,
        };
        Ok(())
    }

    /// The optional field that follows the one of the flag `last` in the header's order, or the data.
    fn after_field(&self, last: u8) -> State {
        let next = |flag| last < flag && self.flags & flag != 0;
        if next(FEXTRA) {
            State::ExtraLength(0)
        } else if next(FNAME) {
            State::Name
        } else if next(FCOMMENT) {
            State::Comment
        } else if self.flags & FHCRC != 0 {
            State::HeaderCrc(0)
        } else {
            State::Body
        }
    }

    fn take_header_crc(&mut self, byte: u8, at: u8) -> Result<(), GzipError> {
        self.state = State::HeaderCrc(at + 1);
        let Some(expected) = self.little_endian(byte, at, 2) else {
            return Ok(());
        };
        let (expected, found) = (expected as u16, self.header_crc.sum() as u16);
        if expected != found {
            return Err(GzipError::HeaderCrc {
                offset: self.offset + 1,
                expected,
                found,
            });
        }
        self.state = State::Body;
        Ok(())
    }

    fn take_crc(&mut self, byte: u8, at: u8) -> Result<(), GzipError> {
        self.state = State::Crc(at + 1);
        let Some(expected) = self.little_endian(byte, at, 4) else {
            return Ok(());
        };
        let found = self.crc.sum();
        if expected != found {
            return Err(GzipError::Crc {
                offset: self.offset + 1,
                expected,
                found,
            });
        }
        self.state = State::Length(0);
        Ok(())
    }

    fn take_length(&mut self, byte: u8, at: u8) -> Result<(), GzipError> {
        self.state = State::Length(at + 1);
        let Some(expected) = self.little_endian(byte, at, 4) else {
            return Ok(());
        };
        if expected != self.length {
            return Err(GzipError::Length {
                offset: self.offset + 1,
                expected,
                found: self.length,
            });
        }
        self.state = State::Between;
        Ok(())
    }

    /// Adds byte `at` of a number of `size` bytes; the number, when it is complete.
    fn little_endian(&mut self, byte: u8, at: u8, size: u8) -> Option<u32> {
        if at == 0 {
            self.number = 0;
        }
        self.number |= u32::from(byte) << (8 * at);
        (at + 1 == size).then_some(self.number)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::compress::gz1::{HEADER, SegmentDeflater};

    /// Bytes that repeat themselves a little, the same for the same seed (xorshift64).
    pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut random = random(seed);
        let mut bytes = Vec::with_capacity(length + 300);
        while bytes.len() < length {
            let from = (random() % (bytes.len() as u64 + 1)) as usize;
            let many = (random() % 40) as usize;
            if random().is_multiple_of(3) {
                let copied = bytes[from..bytes.len().min(from + 8 * many)].to_vec();
                bytes.extend_from_slice(&copied);
            } else {
                bytes.extend((0..many).map(|_| random() as u8));
            }
        }
        bytes.truncate(length);
        bytes
    }

    pub(crate) fn random(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state >> 11
        }
    }

    /// Inflates with windows of these sizes.
    pub(crate) fn gunzip(stream: &[u8], window: usize, room: usize) -> Result<Vec<u8>, GzipError> {
        let (mut gunzip, mut out, mut buffer) = (Gunzip::new(), Vec::new(), vec![0; room]);
        for mut input in stream.chunks(window).chain([&[][..]]) {
            loop {
                let step = gunzip.step(input, &mut buffer)?;
                out.extend_from_slice(&buffer[..step.written]);
                input = &input[step.consumed..];
                if (step.consumed, step.written) == (0, 0) {
                    assert!(input.is_empty());
                    break;
                }
            }
        }
        gunzip.finish().map(|()| out)
    }

    fn member(flags: u8, optional: &[u8], content: &[u8]) -> Vec<u8> {
        let mut out = HEADER.to_vec();
        out[3] = flags;
        out.extend_from_slice(optional);
        if flags & FHCRC != 0 {
            let crc = Crc32::of(&out).sum() as u16;
            out.extend_from_slice(&crc.to_le_bytes());
        }
        let mut deflater = SegmentDeflater::new();
        deflater.push(content, &mut out);
        let sum = deflater.finish(&mut out);
        out.extend_from_slice(&sum.trailer());
        out
    }

    #[test]
    fn members_with_all_fields_in_windows_of_all_sizes() {
        let content = noise(1, 3000);
        let stream = [
            member(0, b"", &content),
            member(0x1f, b"\x03\0abcname\0comment\0", b"second"),
            member(FEXTRA, b"\0\0", b""),
            member(FNAME, b"\0", b"x"),
            member(FHCRC | FCOMMENT, b"c\0", &content),
            vec![0; 5],
        ]
        .concat();
        let expected = [&content[..], b"second", b"x", &content].concat();
        for window in [1, 2, 3, 7, 10, 100, 4096, stream.len()] {
            for room in [1, 5, 1000, 100_000] {
                assert_eq!(
                    gunzip(&stream, window, room).as_ref(),
                    Ok(&expected),
                    "{window} {room}"
                );
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let good = member(0x1f, b"\x03\0abcname\0comment\0", b"content");
        let last = good.len();
        let damaged = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            gunzip(&bytes, 5, 50).unwrap_err()
        };
        let magic = |offset, expected, found| GzipError::Magic {
            offset,
            expected,
            found,
        };
        assert_eq!(damaged(0, b'P'), magic(0, 0x1f, b'P'));
        assert_eq!(damaged(1, 9), magic(1, 0x8b, 9));
        assert_eq!(damaged(2, 9), GzipError::Method { offset: 2, method: 9 });
        let flags = GzipError::Flags {
            offset: 3,
            flags: 0x3f,
        };
        assert_eq!(damaged(3, 0x3f), flags);
        assert!(matches!(damaged(4, 1), GzipError::HeaderCrc { offset: 30, .. }));
        assert!(matches!(damaged(30, 7), GzipError::Deflate { .. }));
        let (crc, length) = (damaged(last - 8, 1), damaged(last - 1, 1));
        assert!(matches!(crc, GzipError::Crc { offset, .. } if offset == last as u64 - 4));
        assert!(matches!(length, GzipError::Length { offset, found: 7, .. } if offset == last as u64));
        let junk = GzipError::Junk {
            offset: last as u64 + 2,
            found: 0x1f,
        };
        assert_eq!(gunzip(&[&good[..], &[0, 0], &good].concat(), 9, 9), Err(junk));
        for end in 0..last {
            let error = gunzip(&good[..end], 9, 9).unwrap_err();
            assert!(
                matches!(error, GzipError::Truncated { offset, .. } if offset == end as u64),
                "{error}"
            );
        }
    }

    /// A change anywhere is an error, or in a place that means nothing: never other content, never a panic.
    #[test]
    fn mutations_are_noticed() {
        let content = noise(2, 2000);
        let good = [member(0, b"", &content), member(FHCRC, b"", b"end")].concat();
        let expected = [&content[..], b"end"].concat();
        let mut random = random(3);
        for _ in 0..10_000 {
            let mut bytes = good.clone();
            for _ in 0..1 + random() % 3 {
                let at = random() as usize % bytes.len();
                bytes[at] = random() as u8;
            }
            let window = 1 + random() as usize % 3000;
            if let Ok(content) = gunzip(&bytes, window, 1 << 16) {
                assert!(content == expected);
            }
        }
    }
}
