//! The maps of sparse files, as Go's `archive/tar` reads them: GNU's old one in header blocks, and 0.0, 0.1 and
//! 1.0 in PAX records (GNU tar manual, "Storing Sparse Files").

use super::go_number::{numeric, parse_int};
use super::go_tar::{GoEntry, GoError};
use crate::tar::{BLOCK, Window};

/// Where the data of a sparse file belongs: offset and length, and how many bytes before the data are the
/// map itself.
pub(super) struct Map {
    pub pieces: Vec<(u64, u64)>,
    pub taken: u64,
}

/// The keyword of the map in format 0.1.
pub(super) const MAP: &[u8] = b"GNU.sparse.map";

/// Go has no limit but memory.
pub(super) use crate::tar::PIECE_LIMIT as MAX_PIECES;

/// Longer lines are no numbers.
const MAX_LINE: usize = 64;

fn piece(offset: Option<i64>, length: Option<i64>) -> Result<(u64, u64), GoError> {
    let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    Ok((
        number(offset).ok_or(GoError::Header)?,
        number(length).ok_or(GoError::Header)?,
    ))
}

/// Whether pieces stand in their order, apart from each other, and inside the file.
pub(super) fn validate(pieces: &[(u64, u64)], size: u64) -> Result<(), GoError> {
    let mut before = 0;
    for &(offset, length) in pieces {
        let end = offset.checked_add(length).ok_or(GoError::Header)?;
        if end > size || before > offset {
            return Err(GoError::Header);
        }
        before = end;
    }
    Ok(())
}

/// The map in a header block of type `S` and the blocks after it, behind which `start` is moved.
pub(super) fn old_gnu(
    block: &[u8; BLOCK as usize],
    entry: &mut GoEntry,
    window: &mut Window,
    start: &mut u64,
) -> Result<Map, GoError> {
    entry.size = numeric(&block[483..495]).ok_or(GoError::Header)?;
    let mut pieces = Vec::new();
    let mut fields = block[386..386 + 4 * 24 + 1].to_vec();
    loop {
        let (entries, more) = fields.split_at(fields.len() - 1);
        for entry in entries.chunks_exact(24).take_while(|entry| entry[0] != 0) {
            pieces.push(piece(numeric(&entry[..12]), numeric(&entry[12..]))?);
        }
        if pieces.len() > MAX_PIECES {
            return Err(GoError::TooManyPieces);
        }
        if more[0] == 0 {
            return Ok(Map { pieces, taken: 0 });
        }
        let next = window
            .get(*start..*start + BLOCK)?
            .ok_or(GoError::UnexpectedEof)?;
        fields = next[..21 * 24 + 1].to_vec();
        *start += BLOCK;
    }
}

/// The map that PAX records announce, if they do; of format 1.0 it stands before the data.
pub(super) fn pax(
    entry: &mut GoEntry,
    window: &mut Window,
    start: u64,
    stored: u64,
) -> Result<Option<Map>, GoError> {
    let value = |keyword: &str| {
        entry
            .records
            .get(keyword.as_bytes())
            .map_or(&b""[..], |value| value)
    };
    let version = (value("GNU.sparse.major"), value("GNU.sparse.minor"));
    let in_data = match version {
        (b"0", b"0" | b"1") => false,
        (b"1", b"0") => true,
        (b"", b"") if !value("GNU.sparse.map").is_empty() => false,
        _ => return Ok(None),
    };
    let name = value("GNU.sparse.name").to_vec();
    let size = match value("GNU.sparse.size") {
        b"" => value("GNU.sparse.realsize"),
        size => size,
    };
    if !size.is_empty() {
        entry.size = parse_int(size).ok_or(GoError::Header)?;
    }
    if !name.is_empty() {
        entry.name = name;
    }
    match in_data {
        true => map_1_0(window, start, stored).map(Some),
        false => map_0_1(entry).map(Some),
    }
}

fn map_0_1(entry: &GoEntry) -> Result<Map, GoError> {
    let value = |keyword: &str| {
        entry
            .records
            .get(keyword.as_bytes())
            .map_or(&b""[..], |value| value)
    };
    let count = parse_int(value("GNU.sparse.numblocks")).ok_or(GoError::Header)?;
    let numbers: Vec<&[u8]> = match value("GNU.sparse.map") {
        b"" => Vec::new(),
        map => map.split(|&byte| byte == b',').collect(),
    };
    if i64::try_from(numbers.len()).ok() != count.checked_mul(2) {
        return Err(GoError::Header);
    }
    let pieces = numbers
        .chunks_exact(2)
        .map(|pair| piece(parse_int(pair[0]), parse_int(pair[1])))
        .collect::<Result<_, _>>()?;
    Ok(Map { pieces, taken: 0 })
}

/// Numbers in lines, in whole blocks: how many pieces, then two for each.
fn map_1_0(window: &mut Window, start: u64, stored: u64) -> Result<Map, GoError> {
    let mut lines = Lines {
        window,
        at: start,
        end: start + stored,
        rest: Vec::new(),
    };
    let count = lines.next()?.filter(|&count| count >= 0).ok_or(GoError::Header)?;
    let mut pieces = Vec::new();
    for _ in 0..count {
        if pieces.len() == MAX_PIECES {
            return Err(GoError::TooManyPieces);
        }
        pieces.push(piece(lines.next()?, lines.next()?)?);
    }
    Ok(Map {
        pieces,
        taken: lines.at - start,
    })
}

struct Lines<'a> {
    window: &'a mut Window,
    at: u64,
    end: u64,
    /// What is read and not yet taken, last byte first.
    rest: Vec<u8>,
}

impl Lines<'_> {
    /// The number of the next line, if it is one.
    fn next(&mut self) -> Result<Option<i64>, GoError> {
        let mut line = Vec::new();
        loop {
            match self.rest.pop() {
                Some(b'\n') => return Ok(parse_int(&line)),
                Some(_) if line.len() > MAX_LINE => return Err(GoError::Header),
                Some(byte) => line.push(byte),
                None => {
                    if self.end - self.at < BLOCK {
                        return Err(GoError::UnexpectedEof);
                    }
                    let block = self.window.get(self.at..self.at + BLOCK)?;
                    self.rest
                        .extend(block.ok_or(GoError::UnexpectedEof)?.iter().rev());
                    self.at += BLOCK;
                }
            }
        }
    }
}
