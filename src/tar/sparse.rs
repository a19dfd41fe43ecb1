//! Files with holes, in the four ways in which GNU tar has written them (GNU tar manual, "Storing Sparse
//! Files"): a map says where the pieces that lie in the tar belong in the file, and all else is zeros.
//!
//! The file that results is a [`Source`]: windows of it are filled when they are asked for, so a hole costs
//! nothing. What a map may say is bounded: pieces in order, inside the file, as long together as what is
//! stored, which is what Go asks too; at most [`PIECE_LIMIT`] of them, in a file of at most [`FILE_LIMIT`].

use std::sync::Arc;

use super::error::TarError;
use super::oddity::SparseForm;
use super::raw::{self, Dialect, Raw};
use super::records::Records;
use super::window::Window;
use super::{BLOCK, field, pax};
use crate::content::{Content, ContentError, Source, own_id};

/// The largest file that is expanded, in bytes: a header of 512 can claim any size, but no layer has such
/// files.
pub const FILE_LIMIT: u64 = 64 << 30;
/// The most pieces of one file: 16 MiB of memory.
pub const PIECE_LIMIT: usize = 1 << 20;

/// Why a sparse map makes no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SparseError {
    /// Something that should be a number is none.
    #[error("something in it is no number")]
    Number,
    /// An offset without a length, or the other way round.
    #[error("an offset has no length, or a length no offset")]
    Unpaired,
    /// Not so many pieces as it announces.
    #[error("it has {found} pieces, but announces {expected}")]
    Count {
        /// What it announces.
        expected: u64,
        /// What there are.
        found: u64,
    },
    /// More pieces than are taken.
    #[error("it has more than {PIECE_LIMIT} pieces")]
    TooMany,
    /// A larger file than is expanded.
    #[error("the file would have {length} bytes; at most {FILE_LIMIT} are expanded")]
    TooLarge {
        /// Its size.
        length: u64,
    },
    /// A piece that begins before the end of the one before, or ends behind the file.
    #[error("the piece of {length} bytes at {at} is not behind the one before, or not inside the file")]
    Order {
        /// Where it belongs in the file.
        at: u64,
        /// How many bytes it has.
        length: u64,
    },
    /// The pieces are not what is stored.
    #[error("its pieces have {pieces} bytes, but {stored} are stored")]
    Stored {
        /// All pieces together.
        pieces: u64,
        /// What the tar has.
        stored: u64,
    },
    /// A type `S` whose header is not GNU's: star has another layout, which is not read (nor by Go).
    #[error("its header is not GNU's")]
    Foreign,
    /// The tar, or the data, ends inside the map.
    #[error("it does not end")]
    Truncated,
}

/// What the map of an entry says.
pub(super) struct Map {
    pub(super) form: SparseForm,
    /// Offsets and lengths, by turns.
    numbers: Vec<u64>,
    /// How long the file is.
    length: u64,
    /// Where the stored pieces begin in the tar.
    pub(super) data: u64,
}

impl Map {
    /// The map of an entry of type `S`. Blocks with more of it stand behind the header.
    pub(super) fn old_gnu(raw: &Raw, window: &mut Window) -> Result<Self, Wrong> {
        const MORE_IN_EXTENSION: usize = 504;
        if raw.dialect() != Dialect::Gnu {
            return Err(SparseError::Foreign.into());
        }
        let length = field::number(raw.field(raw::REAL_SIZE));
        let length = length.and_then(|length| u64::try_from(length).ok());
        let mut map = Self {
            form: SparseForm::OldGnu,
            numbers: Vec::new(),
            length: length.ok_or(SparseError::Number)?,
            data: raw.offset + BLOCK,
        };
        map.take_old(raw.field(raw::SPARSE))?;
        let mut more = raw.block[raw::SPARSE_MORE] != 0;
        while more {
            let block = window.get(map.data..map.data + BLOCK)?;
            let block = block.ok_or(SparseError::Truncated)?;
            more = block[MORE_IN_EXTENSION] != 0;
            map.data += BLOCK;
            map.take_old(&block[..MORE_IN_EXTENSION])?;
        }
        Ok(map)
    }

    /// Pieces of 12 bytes each for offset and length; an empty one is the last of its block.
    fn take_old(&mut self, pieces: &[u8]) -> Result<(), SparseError> {
        for piece in pieces.chunks_exact(24) {
            if piece[0] == 0 || piece[12] == 0 {
                break;
            }
            for number in [&piece[..12], &piece[12..]] {
                let number = field::number(number).and_then(|number| u64::try_from(number).ok());
                self.push(number.ok_or(SparseError::Number)?)?;
            }
        }
        Ok(())
    }

    /// The map that PAX records say or announce; none if they do not, or of a version that nobody knows.
    pub(super) fn of_records(
        records: &Records,
        window: &mut Window,
        data: u64,
        stored: u64,
    ) -> Result<Option<Self>, Wrong> {
        let form = match (records.sparse("major"), records.sparse("minor")) {
            (Some(b"1"), Some(b"0")) => SparseForm::Pax10,
            (None, None) | (Some(b"0"), Some(b"0" | b"1")) => match records.sparse("map") {
                Some(_) => SparseForm::Pax01,
                None if records.sparse("numblocks").is_some() => SparseForm::Pax00,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        let length = records.sparse("size").or_else(|| records.sparse("realsize"));
        let mut map = Self {
            form,
            numbers: Vec::new(),
            length: match length {
                Some(length) => pax::decimal(length).ok_or(SparseError::Number)?,
                None => stored,
            },
            data,
        };
        match form {
            SparseForm::Pax10 => map.read_leading(window, stored)?,
            _ => map.take_records(records)?,
        }
        Ok(Some(map))
    }

    fn take_records(&mut self, records: &Records) -> Result<(), SparseError> {
        match records.sparse("map") {
            Some(map) => {
                for number in map.split(|&byte| byte == b',') {
                    self.push(pax::decimal(number).ok_or(SparseError::Number)?)?;
                }
            }
            None => {
                for &number in &records.pieces {
                    self.push(number)?;
                }
            }
        }
        if let Some(count) = records.sparse("numblocks") {
            self.expect(pax::decimal(count).ok_or(SparseError::Number)?)?;
        }
        Ok(())
    }

    /// Reads the map that stands before the data: lines of one decimal number, first the count of pieces; the
    /// rest of its last block is not looked at.
    fn read_leading(&mut self, window: &mut Window, stored: u64) -> Result<(), Wrong> {
        let end = self.data + stored;
        let mut left: Option<u64> = None;
        let mut line = Vec::new();
        while left != Some(0) {
            if end - self.data < BLOCK {
                return Err(SparseError::Truncated.into());
            }
            let block = window.get(self.data..self.data + BLOCK)?;
            let block = block.ok_or(SparseError::Truncated)?;
            self.data += BLOCK;
            for &byte in block {
                if left == Some(0) {
                    break;
                }
                if byte != b'\n' {
                    line.push(byte);
                    // A number of 64 bits has 20 digits.
                    if line.len() > 20 {
                        return Err(SparseError::Number.into());
                    }
                    continue;
                }
                let number = pax::decimal(&line).ok_or(SparseError::Number)?;
                line.clear();
                left = Some(match left {
                    None if number > PIECE_LIMIT as u64 => return Err(SparseError::TooMany.into()),
                    None => 2 * number,
                    Some(left) => {
                        self.push(number)?;
                        left - 1
                    }
                });
            }
        }
        Ok(())
    }

    fn push(&mut self, number: u64) -> Result<(), SparseError> {
        if self.numbers.len() >= 2 * PIECE_LIMIT {
            return Err(SparseError::TooMany);
        }
        self.numbers.push(number);
        Ok(())
    }

    fn expect(&self, expected: u64) -> Result<(), SparseError> {
        let found = self.numbers.len() as u64 / 2;
        match expected == found {
            true => Ok(()),
            false => Err(SparseError::Count { expected, found }),
        }
    }

    /// The file, of which `stored` is what the tar has.
    pub(super) fn expand(self, stored: Content) -> Result<Content, SparseError> {
        let length = self.length;
        if length > FILE_LIMIT {
            return Err(SparseError::TooLarge { length });
        }
        let (pairs, []) = self.numbers.as_chunks::<2>() else {
            return Err(SparseError::Unpaired);
        };
        let (mut end, mut from) = (0, 0);
        for &[at, length] in pairs {
            let behind = at.checked_add(length).filter(|&behind| behind <= self.length);
            let Some(behind) = behind.filter(|_| at >= end) else {
                return Err(SparseError::Order { at, length });
            };
            (end, from) = (behind, from + length);
        }
        if from != stored.len() {
            return Err(SparseError::Stored {
                pieces: from,
                stored: stored.len(),
            });
        }
        Ok(expand(
            length,
            pairs.iter().map(|&[at, length]| (at, length)),
            stored,
        ))
    }
}

/// A file of `length` bytes with these pieces, offset and length of each, and zeros elsewhere. They are in
/// order, inside the file, and together what is `stored`.
pub(crate) fn expand(length: u64, pairs: impl Iterator<Item = (u64, u64)>, stored: Content) -> Content {
    let (mut pieces, mut from) = (Vec::new(), 0);
    for (at, length) in pairs {
        if length > 0 {
            pieces.push(Piece { at, from });
        }
        from += length;
    }
    if from == length {
        return stored;
    }
    Content::whole(Arc::new(Sparse {
        id: own_id(),
        stored,
        pieces,
        length,
    }))
}

/// What went wrong with a map: it, or reading it.
pub(super) enum Wrong {
    Map(SparseError),
    Content(ContentError),
}

impl From<SparseError> for Wrong {
    fn from(error: SparseError) -> Self {
        Self::Map(error)
    }
}

impl From<ContentError> for Wrong {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}

impl Wrong {
    /// As an error of the entry whose header begins at `offset`.
    pub(super) fn at(self, offset: u64) -> TarError {
        match self {
            Self::Map(reason) => TarError::Sparse { offset, reason },
            Self::Content(error) => error.into(),
        }
    }
}

/// A file with holes, made of what is stored of it.
struct Sparse {
    id: u64,
    stored: Content,
    pieces: Vec<Piece>,
    length: u64,
}

/// Bytes that belong at `at` in the file and lie at `from` in what is stored, where the next piece follows.
struct Piece {
    at: u64,
    from: u64,
}

impl Source for Sparse {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        "a sparse file"
    }

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        let end = offset
            .checked_add(into.len() as u64)
            .filter(|&end| end <= self.length);
        let end = end.ok_or_else(|| ContentError::Read {
            name: self.name().to_owned(),
            offset,
            length: into.len() as u64,
            reason: "there are not so many bytes".to_owned(),
        })?;
        into.fill(0);
        let first = self.pieces.partition_point(|piece| piece.at <= offset);
        for (index, piece) in self.pieces.iter().enumerate().skip(first.saturating_sub(1)) {
            if piece.at >= end {
                break;
            }
            let next = self
                .pieces
                .get(index + 1)
                .map_or(self.stored.len(), |next| next.from);
            let behind = (piece.at + (next - piece.from)).min(end);
            let start = piece.at.max(offset);
            if start < behind {
                let part = &mut into[(start - offset) as usize..(behind - offset) as usize];
                self.stored.read_at(piece.from + (start - piece.at), part)?;
            }
        }
        Ok(())
    }
}
