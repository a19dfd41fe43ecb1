//! The entries of a tar as Go's `archive/tar` 1.19 gives them, by which containerd and umoci read: more
//! lenient here and stricter there than [`crate::tar::Entries`], with other answers where headers contradict
//! each other.
//!
//! - A GNU long name wins over a PAX `path`, whatever stands first.
//! - A global PAX header is an entry of type `g`, and its records hold for nothing that follows.
//! - Every number field must be one, devices' too; a PAX header with one bad record is an error.
//! - Directories, links, devices and fifos have no data, whatever their size says.
//! - One block of zeros and then something else is an error; only one at the end is an end.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::go_number::{numeric, octal, parse_int, pax_time};
use super::go_sparse::{self, Map};
use crate::content::{Content, ContentError};
use crate::tar::{BLOCK, FILE_LIMIT, Window, expand, padding};
use crate::tree::Time;

/// Why Go cannot read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoError {
    /// `tar.ErrHeader`: a header, or what belongs to one, is malformed.
    #[error("archive/tar: invalid tar header")]
    Header,
    /// `tar.ErrFieldTooLong`: over 1 MiB of PAX records, or a name as long.
    #[error("archive/tar: header field too long")]
    FieldTooLong,
    /// `io.ErrUnexpectedEOF`: the archive ends inside of something.
    #[error("unexpected EOF")]
    UnexpectedEof,
    /// A map of a sparse file that names more data than there is.
    #[error("archive/tar: sparse file references non-existent data")]
    MissingData,
    /// A map of a sparse file that names less.
    #[error("archive/tar: sparse file contains unreferenced data")]
    UnreferencedData,
    /// Our own limit: a sparse file in over a million pieces.
    #[error("a sparse file of over {} pieces", go_sparse::MAX_PIECES)]
    TooManyPieces,
    /// Our own limit: a sparse file that claims to be larger than any layer has them.
    #[error("a sparse file of over {FILE_LIMIT} bytes")]
    TooLarge,
    /// The bytes themselves cannot be read.
    #[error(transparent)]
    Content(#[from] ContentError),
}

/// `tar.Header`, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct GoEntry {
    /// Where its first header block begins.
    pub offset: u64,
    pub typeflag: u8,
    pub name: Vec<u8>,
    pub link_name: Vec<u8>,
    /// Of a sparse file the logical one.
    pub size: i64,
    pub mode: i64,
    pub uid: i64,
    pub gid: i64,
    pub mtime: Time,
    pub device: (i64, i64),
    /// PAX records; `SCHILY.xattr.` of old GNU sparse entries too.
    pub records: Records,
    /// What reading the file's bytes gives.
    pub data: Result<Content, GoError>,
}

/// PAX records by keyword: the last of each.
pub(super) type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// Before a name of an xattr in a PAX keyword.
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

/// The most bytes of a PAX header or a GNU long name.
const SPECIAL_LIMIT: u64 = 1 << 20;

impl GoEntry {
    /// `Header.FileInfo().Mode()` without the type: permissions, setuid, setgid and sticky.
    pub(super) fn permissions(&self) -> u32 {
        self.mode as u32 & 0o7777
    }

    /// The extended attributes, by `Header.Xattrs` if `skip_empty`, else by `PAXRecords`.
    pub(super) fn xattrs(&self, skip_empty: bool) -> impl Iterator<Item = (&[u8], &[u8])> {
        let named = self
            .records
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(XATTR)?, &value[..])));
        named.filter(move |(_, value)| !(skip_empty && value.is_empty()))
    }
}

/// The entries of a tar, one by one.
pub(super) struct GoEntries {
    window: Window,
    length: u64,
    offset: u64,
    /// Where the data ends before that, without its padding.
    data_end: u64,
}

/// A header block as it is parsed, before what other blocks say about it.
struct Header {
    block: [u8; BLOCK as usize],
    format: Format,
    entry: GoEntry,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

impl GoEntries {
    pub(super) fn new(content: Content) -> Self {
        Self {
            length: content.len(),
            window: Window::new(content),
            offset: 0,
            data_end: 0,
        }
    }

    /// How far reading is.
    pub(super) fn offset(&self) -> u64 {
        self.offset.min(self.length)
    }

    /// The next entry; none at the end. After an error there is nothing more to ask for.
    pub(super) fn next(&mut self) -> Result<Option<GoEntry>, GoError> {
        let mut first = None;
        let mut records = Records::new();
        let (mut long_name, mut long_link) = (Vec::new(), Vec::new());
        loop {
            if self.offset > self.length {
                // Data that is missing is missed; padding is not.
                return match self.data_end > self.length {
                    true => Err(GoError::UnexpectedEof),
                    false => Ok(None),
                };
            }
            let at = self.offset;
            let Some(mut header) = self.header()? else {
                return Ok(None);
            };
            let offset = *first.get_or_insert(at);
            header.entry.offset = offset;
            match header.entry.typeflag {
                b'x' => records = self.records(&header.entry)?,
                b'g' => {
                    let own = self.records(&header.entry)?;
                    merge(&mut header.entry, &own)?;
                    let name = header.entry.name;
                    return Ok(Some(GoEntry::global(offset, name, own)));
                }
                b'L' => long_name = self.special(&header.entry)?,
                b'K' => long_link = self.special(&header.entry)?,
                _ => {
                    merge(&mut header.entry, &records)?;
                    header.entry.records = records;
                    for (long, field) in [
                        (long_name, &mut header.entry.name),
                        (long_link, &mut header.entry.link_name),
                    ] {
                        let text = until_nul(&long);
                        if !text.is_empty() {
                            *field = text.to_vec();
                        }
                    }
                    return self.finish(header).map(Some);
                }
            }
        }
    }

    /// Decides between file and directory where only the name says it, and finds the data.
    fn finish(&mut self, header: Header) -> Result<GoEntry, GoError> {
        let Header {
            block,
            format,
            mut entry,
        } = header;
        if entry.typeflag == 0 {
            entry.typeflag = if entry.name.ends_with(b"/") { b'5' } else { b'0' };
        }
        let is_header_only = matches!(entry.typeflag, b'1'..=b'6');
        let stored = match entry.size {
            _ if is_header_only => 0,
            size => u64::try_from(size).map_err(|_| GoError::Header)?,
        };
        let mut start = self.offset;
        let map = match entry.typeflag {
            b'S' if format != Format::Gnu => return Err(GoError::Header),
            b'S' => Some(go_sparse::old_gnu(
                &block,
                &mut entry,
                &mut self.window,
                &mut start,
            )?),
            _ => go_sparse::pax(&mut entry, &mut self.window, start, stored)?,
        };
        // The blocks of an old map stand before the data and are not counted in its size.
        let end = start.checked_add(stored).ok_or(GoError::Header)?;
        self.skip_to(end, stored);
        entry.data = match map {
            None => self.slice(start, stored),
            Some(_) if is_header_only => return Err(GoError::Header),
            Some(map) => self.pieces(&map, &entry, start, stored)?,
        };
        Ok(entry)
    }

    fn slice(&self, start: u64, size: u64) -> Result<Content, GoError> {
        match start.checked_add(size).is_some_and(|end| end <= self.length) {
            true => Ok(self.window.content().slice(start, size)),
            false => Err(GoError::UnexpectedEof),
        }
    }

    /// The pieces of a sparse file, of whose `stored` bytes its map may take some itself.
    #[allow(
        clippy::type_complexity,
        reason = "the outer error ends the archive, the inner one the file"
    )]
    fn pieces(
        &self,
        map: &Map,
        entry: &GoEntry,
        start: u64,
        stored: u64,
    ) -> Result<Result<Content, GoError>, GoError> {
        let size = u64::try_from(entry.size).map_err(|_| GoError::Header)?;
        go_sparse::validate(&map.pieces, size)?;
        let stored = stored - map.taken;
        let named: u64 = map.pieces.iter().map(|(_, length)| length).sum();
        Ok(match named.cmp(&stored) {
            Ordering::Greater => Err(GoError::MissingData),
            Ordering::Less => Err(GoError::UnreferencedData),
            Ordering::Equal if size > FILE_LIMIT => Err(GoError::TooLarge),
            Ordering::Equal => {
                let content = self.slice(start + map.taken, stored);
                content.map(|content| expand(size, map.pieces.iter().copied(), content))
            }
        })
    }

    /// A block of the archive; none if it ends before it begins.
    fn block(&mut self) -> Result<Option<[u8; BLOCK as usize]>, GoError> {
        let from = self.offset;
        match self.length - from {
            0 => Ok(None),
            1..BLOCK => Err(GoError::UnexpectedEof),
            _ => {
                let bytes = self.window.get(from..from + BLOCK)?.expect("inside the content");
                self.offset += BLOCK;
                Ok(Some(bytes.try_into().expect("a block")))
            }
        }
    }

    fn header(&mut self) -> Result<Option<Header>, GoError> {
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block == [0; BLOCK as usize] {
            return match self.block()? {
                None => Ok(None),
                Some(second) if second == block => Ok(None),
                Some(_) => Err(GoError::Header),
            };
        }
        parse(block).ok_or(GoError::Header).map(Some)
    }

    /// The data of a header that is about the next entry.
    fn special(&mut self, entry: &GoEntry) -> Result<Vec<u8>, GoError> {
        let size = u64::try_from(entry.size).map_err(|_| GoError::Header)?;
        let start = self.offset;
        let wanted = size.min(SPECIAL_LIMIT + 1);
        let end = start.checked_add(wanted).ok_or(GoError::Header)?;
        let data = self
            .window
            .get(start..end)?
            .ok_or(GoError::UnexpectedEof)?
            .to_vec();
        if size > SPECIAL_LIMIT {
            return Err(GoError::FieldTooLong);
        }
        self.skip_to(end, size);
        Ok(data)
    }

    /// Goes on behind data of `size` bytes that ends at `end`.
    fn skip_to(&mut self, end: u64, size: u64) {
        self.data_end = end;
        self.offset = end.saturating_add(padding(size));
    }

    fn records(&mut self, entry: &GoEntry) -> Result<Records, GoError> {
        let data = self.special(entry)?;
        let mut records = Records::new();
        let mut sparse: Vec<Vec<u8>> = Vec::new();
        let mut rest = &data[..];
        while !rest.is_empty() {
            let (key, value, after) = record(rest).ok_or(GoError::Header)?;
            rest = after;
            // Format 0.0 of sparse files repeats two keywords; Go makes one of 0.1 of them.
            let is_offset = match key {
                b"GNU.sparse.offset" => true,
                b"GNU.sparse.numbytes" => false,
                _ => {
                    records.insert(key.to_vec(), value.to_vec());
                    continue;
                }
            };
            if sparse.len().is_multiple_of(2) != is_offset || value.contains(&b',') {
                return Err(GoError::Header);
            }
            sparse.push(value.to_vec());
        }
        if !sparse.is_empty() {
            records.insert(go_sparse::MAP.to_vec(), sparse.join(&b','));
        }
        Ok(records)
    }
}

impl GoEntry {
    fn global(offset: u64, name: Vec<u8>, records: Records) -> Self {
        Self {
            offset,
            typeflag: b'g',
            name,
            link_name: Vec::new(),
            size: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: ZERO_TIME,
            device: (0, 0),
            records,
            data: Ok(Content::inline([])),
        }
    }
}

/// Go's zero `time.Time`: the first of January of the year 1.
pub(super) const ZERO_TIME: Time = Time::at(-62_135_596_800);

/// One record of a PAX header: its keyword, its value, and what follows it.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().position(|&byte| byte == b' ')?;
    let length = usize::try_from(parse_int(&data[..space])?).ok()?;
    if length < 5 || length > data.len() || length <= space + 1 {
        return None;
    }
    let (record, after) = data.split_at(length);
    let record = record[space + 1..].strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    let text = match key {
        b"path" | b"linkpath" | b"uname" | b"gname" => value,
        key => key,
    };
    (!key.is_empty() && !text.contains(&0)).then_some((key, value, after))
}

/// Go's `mergePAX`: an empty value says nothing.
fn merge(entry: &mut GoEntry, records: &Records) -> Result<(), GoError> {
    for (key, value) in records.iter().filter(|(_, value)| !value.is_empty()) {
        let number = || parse_int(value).ok_or(GoError::Header);
        match &key[..] {
            b"path" => entry.name = value.clone(),
            b"linkpath" => entry.link_name = value.clone(),
            b"uid" => entry.uid = number()?,
            b"gid" => entry.gid = number()?,
            b"size" => entry.size = number()?,
            b"mtime" => entry.mtime = pax_time(value).ok_or(GoError::Header)?,
            b"atime" | b"ctime" => drop(pax_time(value).ok_or(GoError::Header)?),
            _ => {}
        }
    }
    Ok(())
}

fn checksum_fits(block: &[u8; BLOCK as usize]) -> bool {
    let Some(found) = octal(&block[148..156]) else {
        return false;
    };
    let summed = || {
        let bytes = block.iter().enumerate();
        bytes.map(|(at, &byte)| if (148..156).contains(&at) { b' ' } else { byte })
    };
    let unsigned: i64 = summed().map(i64::from).sum();
    let signed: i64 = summed().map(|byte| i64::from(byte.cast_signed())).sum();
    found == unsigned || found == signed
}

fn format_of(block: &[u8; BLOCK as usize]) -> Format {
    match &block[257..265] {
        [b'u', b's', b't', b'a', b'r', 0, ..] if block.ends_with(b"tar\0") => Format::Star,
        [b'u', b's', b't', b'a', b'r', 0, ..] => Format::Ustar,
        b"ustar  \0" => Format::Gnu,
        _ => Format::V7,
    }
}

fn parse(block: [u8; BLOCK as usize]) -> Option<Header> {
    if !checksum_fits(&block) {
        return None;
    }
    let format = format_of(&block);
    let mut name = until_nul(&block[..100]).to_vec();
    let mut device = (0, 0);
    if format != Format::V7 {
        device = (numeric(&block[329..337])?, numeric(&block[337..345])?);
        let prefix = match format {
            Format::Ustar => until_nul(&block[345..500]),
            Format::Star => {
                numeric(&block[476..488])?;
                numeric(&block[488..500])?;
                until_nul(&block[345..476])
            }
            _ => gnu_prefix(&block),
        };
        if !prefix.is_empty() {
            name = [prefix, b"/", &name].concat();
        }
    }
    let entry = GoEntry {
        offset: 0,
        typeflag: block[156],
        name,
        link_name: until_nul(&block[157..257]).to_vec(),
        size: numeric(&block[124..136])?,
        mode: numeric(&block[100..108])?,
        uid: numeric(&block[108..116])?,
        gid: numeric(&block[116..124])?,
        mtime: Time::at(numeric(&block[136..148])?),
        device,
        records: Records::new(),
        data: Ok(Content::inline([])),
    };
    let has_data = !matches!(entry.typeflag, b'1'..=b'6');
    (!has_data || entry.size >= 0).then_some(Header { block, format, entry })
}

/// Old Go wrote a prefix into GNU headers, where times stand: what is no time and is ASCII, is taken for one.
fn gnu_prefix(block: &[u8; BLOCK as usize]) -> &[u8] {
    let is_time = |field: &[u8]| field[0] == 0 || numeric(field).is_some();
    let prefix = until_nul(&block[345..500]);
    match is_time(&block[345..357]) && is_time(&block[357..369]) {
        false if prefix.is_ascii() => prefix,
        _ => b"",
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}
