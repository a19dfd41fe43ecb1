//! What the blocks of a tar are, and what the fields in them say: how the page shows where each attribute of a
//! file comes from. Reads one entry at a time, and lists no more of it than [`FIELD_LIMIT`] fields.

use std::collections::BTreeMap;

use super::entry::{Ending, Entry, ReadType};
use super::error::TarError;
use super::oddity::Oddity;
use super::raw::{self, Dialect, Raw, until_nul};
use super::read::{Entries, Place};
use super::records::{Facts, Record, Records};
use super::{BLOCK, field, padding, pax};
use crate::content::{Content, ContentError};
use crate::text::escape;

/// What some blocks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// The header of an entry.
    Header,
    /// A GNU header of a long name (`L`, `K`), and the name.
    LongName,
    /// The header of PAX records (`x`).
    PaxHeader,
    /// A global header (`g`).
    GlobalHeader,
    /// PAX records, of either.
    PaxRecords,
    /// Where the pieces of a sparse file belong.
    SparseMap,
    /// Content.
    Data,
    /// The zero blocks that end the archive.
    End,
    /// What stands behind them.
    Trailing,
}

/// Blocks of one kind in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// What they are.
    pub kind: BlockKind,
    /// Where the first begins.
    pub offset: u64,
    /// How many there are; the last may be cut short by the end of the tar.
    pub blocks: u64,
    /// How many bytes of the last one are used; the rest is padding.
    pub used: u64,
}

/// An attribute of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Attribute {
    Path,
    Kind,
    Mode,
    Uid,
    Gid,
    Mtime,
    Size,
    Target,
    Device,
    /// The xattr of this name.
    Xattr(Vec<u8>),
    /// Whether the header is one.
    Checksum,
}

/// A field of a header, a long name, or a PAX record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it is called: `uid`, or a record's keyword, escaped.
    pub name: String,
    /// Where it begins in the tar: its bytes can be read there.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
    /// What it says, escaped, and cut where it is long; numbers in decimal but for the mode.
    pub value: String,
    /// The attribute that it sets, or would.
    pub attribute: Option<Attribute>,
    /// Whether another field sets that attribute instead.
    pub overridden: bool,
}

/// The fields of one entry, in the order of the tar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// The fields.
    pub fields: Vec<Field>,
    /// Whether there are more than are listed.
    pub more: bool,
}

/// The most fields that are listed of one entry.
pub const FIELD_LIMIT: usize = 2000;
/// The most bytes of a value that are shown: as long as a path can be.
const VALUE_LIMIT: usize = 4096;

/// The blocks of an entry and of the headers before it. `start` is where the entry before ends; behind it may
/// stand global headers, which belong to none.
pub fn runs(tar: &Content, start: u64, entry: &Entry) -> Result<Vec<Run>, TarError> {
    let mut runs = header_runs(tar, start, entry.header)?;
    let behind = entry.header + BLOCK;
    push(&mut runs, BlockKind::Header, entry.header, BLOCK);
    push(&mut runs, BlockKind::SparseMap, behind, entry.data - behind);
    push(&mut runs, BlockKind::Data, entry.data, entry.stored);
    Ok(runs)
}

/// The blocks behind the last entry.
pub fn ending_runs(tar: &Content, ending: &Ending) -> Result<Vec<Run>, TarError> {
    let mut runs = header_runs(tar, ending.start, ending.offset)?;
    push(
        &mut runs,
        BlockKind::End,
        ending.offset,
        ending.rest - ending.offset,
    );
    // Zeros fill the last record, as a rule.
    let rest = match ending.data {
        None => BlockKind::End,
        Some(_) => BlockKind::Trailing,
    };
    push(&mut runs, rest, ending.rest, ending.length);
    Ok(runs)
}

/// The blocks of headers that describe what follows them.
fn header_runs(tar: &Content, start: u64, end: u64) -> Result<Vec<Run>, TarError> {
    let mut runs = Vec::new();
    for raw in headers(tar, start, end)? {
        let (kind, data) = match raw.flag() {
            b'L' | b'K' => (BlockKind::LongName, BlockKind::LongName),
            b'g' => (BlockKind::GlobalHeader, BlockKind::PaxRecords),
            _ => (BlockKind::PaxHeader, BlockKind::PaxRecords),
        };
        push(&mut runs, kind, raw.offset, BLOCK);
        push(&mut runs, data, raw.offset + BLOCK, raw.size()?);
    }
    Ok(runs)
}

fn push(runs: &mut Vec<Run>, kind: BlockKind, offset: u64, length: u64) {
    if length > 0 {
        runs.push(Run {
            kind,
            offset,
            blocks: length.div_ceil(BLOCK),
            used: (length - 1) % BLOCK + 1,
        });
    }
}

/// The headers between `start` and the entry's own, which were all read before.
fn headers(tar: &Content, start: u64, end: u64) -> Result<Vec<Raw>, TarError> {
    let mut headers = Vec::new();
    let mut at = start;
    while at < end {
        let raw = header(tar, at)?;
        let size = raw.size()?;
        at += BLOCK + size + padding(size);
        headers.push(raw);
    }
    Ok(headers)
}

fn header(tar: &Content, offset: u64) -> Result<Raw, TarError> {
    let block: [u8; BLOCK as usize] = bytes(tar, offset, BLOCK)?.try_into().expect("a block");
    Raw::new(block, offset)
}

fn bytes(tar: &Content, offset: u64, length: u64) -> Result<Vec<u8>, ContentError> {
    tar.slice(offset, length).read_all(length)
}

/// The fields of the entry that follows a place, and of the headers before it.
pub fn fields(tar: &Content, place: &Place) -> Result<Fields, TarError> {
    let mut entries = Entries::resume(tar.clone(), place.clone());
    let Some(entry) = entries.next().transpose()? else {
        return Ok(Fields::default());
    };
    let headers = headers(tar, place.offset, entry.header)?;
    let raw = header(tar, entry.header)?;
    let mut own = Records::default();
    let (mut path, mut target) = (None, None);
    for raw in &headers {
        match raw.flag() {
            b'L' => path = Some(raw.offset),
            b'K' => target = Some(raw.offset),
            b'x' | b'X' => own = Records::parse(&data_of(tar, raw)?, raw.offset + BLOCK, &mut Vec::new())?,
            _ => {}
        }
    }
    let facts = Facts {
        own: &own,
        globals: &entries.place().globals,
        offset: entry.offset,
    };
    let mut list = List {
        xattrs: facts.xattr_records(),
        facts: &facts,
        long: (path, target),
        raw: &raw,
        is_sparse: entry
            .oddities
            .iter()
            .any(|odd| matches!(odd, Oddity::Sparse { .. })),
        entry: &entry,
        listed: Fields::default(),
    };
    for raw in &headers {
        list.header(raw);
        list.data(raw, &data_of(tar, raw)?);
    }
    list.header(&raw);
    Ok(list.listed)
}

fn data_of(tar: &Content, raw: &Raw) -> Result<Vec<u8>, TarError> {
    Ok(bytes(tar, raw.offset + BLOCK, raw.size()?)?)
}

/// Fields that are being listed, and what decides which of them count.
struct List<'a> {
    facts: &'a Facts<'a>,
    xattrs: BTreeMap<Vec<u8>, &'a Record>,
    /// Where the GNU headers of name and target begin that would count.
    long: (Option<u64>, Option<u64>),
    raw: &'a Raw,
    is_sparse: bool,
    entry: &'a Entry,
    listed: Fields,
}

impl List<'_> {
    fn add(&mut self, field: Field) {
        match self.listed.fields.len() < FIELD_LIMIT {
            true => self.listed.fields.push(field),
            false => self.listed.more = true,
        }
    }

    /// Where the header or record begins that says this attribute.
    fn winner(&self, attribute: &Attribute) -> u64 {
        let record = |keyword| self.facts.record(keyword).map(|record| record.offset);
        let sparse = |name| {
            let found = self.facts.own.get(name).filter(|record| !record.value.is_empty());
            found.filter(|_| self.is_sparse).map(|record| record.offset)
        };
        let found = match attribute {
            Attribute::Path => sparse("GNU.sparse.name").or(record("path")).or(self.long.0),
            Attribute::Target => record("linkpath").or(self.long.1),
            Attribute::Uid => record("uid"),
            Attribute::Gid => record("gid"),
            Attribute::Mtime => record("mtime"),
            Attribute::Size => sparse("GNU.sparse.size")
                .or(sparse("GNU.sparse.realsize"))
                .or(record("size")),
            Attribute::Xattr(name) => self.xattrs.get(name).map(|record| record.offset),
            Attribute::Kind | Attribute::Mode | Attribute::Device | Attribute::Checksum => None,
        };
        found.unwrap_or(self.raw.offset)
    }

    /// A field that is part of the header or record at `of`.
    fn field(
        &mut self,
        name: &str,
        of: u64,
        offset: u64,
        length: usize,
        value: String,
        sets: Option<Attribute>,
    ) {
        let overridden = sets
            .as_ref()
            .is_some_and(|attribute| self.winner(attribute) != of);
        self.add(Field {
            name: name.to_owned(),
            offset,
            length: length as u64,
            value,
            attribute: sets,
            overridden,
        });
    }

    fn header(&mut self, raw: &Raw) {
        let kind = self.entry.entry_type;
        let has_content = matches!(kind, ReadType::Regular | ReadType::Other(_));
        let is_link = matches!(kind, ReadType::Symlink | ReadType::HardLink);
        let is_device = matches!(kind, ReadType::CharDevice | ReadType::BlockDevice);
        // What headers before the entry's own say, they say of themselves.
        let is_own = raw.offset == self.raw.offset;
        let own = |attribute: Attribute| Some(attribute).filter(|_| is_own);
        let of_what = |applies: bool, attribute: Attribute| own(attribute).filter(|_| applies);
        let old_sparse = raw.flag() == b'S';
        let text = |place: raw::Place| escape(until_nul(raw.field(place)));
        let mut put = |name, place: raw::Place, value, sets| {
            let offset = raw.offset + place.start as u64;
            self.field(name, raw.offset, offset, place.len(), value, sets);
        };
        put("name", raw::NAME, text(raw::NAME), own(Attribute::Path));
        put(
            "mode",
            raw::MODE,
            number(raw, raw::MODE, true),
            own(Attribute::Mode),
        );
        put("uid", raw::UID, number(raw, raw::UID, false), own(Attribute::Uid));
        put("gid", raw::GID, number(raw, raw::GID, false), own(Attribute::Gid));
        let size = of_what(has_content && !old_sparse, Attribute::Size);
        put("size", raw::SIZE, number(raw, raw::SIZE, false), size);
        put(
            "mtime",
            raw::MTIME,
            number(raw, raw::MTIME, false),
            own(Attribute::Mtime),
        );
        put(
            "chksum",
            raw::CHECKSUM,
            number(raw, raw::CHECKSUM, false),
            own(Attribute::Checksum),
        );
        let flag = raw::TYPE_FLAG..raw::TYPE_FLAG + 1;
        put("typeflag", flag, escape(&[raw.flag()]), own(Attribute::Kind));
        let target = of_what(is_link, Attribute::Target);
        put("linkname", raw::LINK_NAME, text(raw::LINK_NAME), target);
        put("magic", raw::MAGIC, escape(raw.field(raw::MAGIC)), None);
        let dialect = raw.dialect();
        if dialect == Dialect::V7 {
            return;
        }
        put("uname", raw::UNAME, text(raw::UNAME), None);
        put("gname", raw::GNAME, text(raw::GNAME), None);
        let device = of_what(is_device, Attribute::Device);
        put(
            "devmajor",
            raw::DEV_MAJOR,
            number(raw, raw::DEV_MAJOR, false),
            device.clone(),
        );
        put(
            "devminor",
            raw::DEV_MINOR,
            number(raw, raw::DEV_MINOR, false),
            device,
        );
        let prefix = of_what(!raw.prefix().is_empty(), Attribute::Path);
        match dialect {
            Dialect::Gnu => {
                put("atime", raw::GNU_ATIME, number(raw, raw::GNU_ATIME, false), None);
                put("ctime", raw::GNU_CTIME, number(raw, raw::GNU_CTIME, false), None);
            }
            Dialect::Star => put("prefix", raw::STAR_PREFIX, text(raw::STAR_PREFIX), prefix),
            _ => put("prefix", raw::PREFIX, text(raw::PREFIX), prefix),
        }
        if old_sparse {
            put("sparse", raw::SPARSE, String::new(), None);
            let real = number(raw, raw::REAL_SIZE, false);
            put("realsize", raw::REAL_SIZE, real, own(Attribute::Size));
        }
    }

    /// The name or the records behind a header.
    fn data(&mut self, raw: &Raw, data: &[u8]) {
        let start = raw.offset + BLOCK;
        let part = match raw.flag() {
            b'L' => Some(Attribute::Path),
            b'K' => Some(Attribute::Target),
            _ => None,
        };
        if let Some(attribute) = part {
            let name = until_nul(data);
            return self.field(
                "long name",
                raw.offset,
                start,
                name.len(),
                shown(name),
                Some(attribute),
            );
        }
        let mut records = pax::records(data);
        let mut from = 0;
        while let Some(Ok((keyword, value))) = records.next() {
            if self.listed.more {
                return;
            }
            let (at, length) = (start + from as u64, records.offset() - from);
            from = records.offset();
            let sets = self
                .attribute_of(keyword)
                .filter(|attribute| matches!(attribute, Attribute::Xattr(_)) || !value.is_empty());
            self.field(&escape(keyword), at, at, length, shown(value), sets);
        }
    }

    /// The attribute that a record of this keyword sets in this entry.
    fn attribute_of(&self, keyword: &[u8]) -> Option<Attribute> {
        let kind = self.entry.entry_type;
        Some(match keyword {
            b"path" => Attribute::Path,
            b"linkpath" if matches!(kind, ReadType::Symlink | ReadType::HardLink) => Attribute::Target,
            b"uid" => Attribute::Uid,
            b"gid" => Attribute::Gid,
            b"mtime" => Attribute::Mtime,
            b"size" if matches!(kind, ReadType::Regular | ReadType::Other(_)) => Attribute::Size,
            b"GNU.sparse.name" if self.is_sparse => Attribute::Path,
            b"GNU.sparse.size" | b"GNU.sparse.realsize" if self.is_sparse => Attribute::Size,
            _ => Attribute::Xattr(pax::xattr_name(keyword)?),
        })
    }
}

/// A number of a header as text; what is none, escaped.
fn number(raw: &Raw, place: raw::Place, octal: bool) -> String {
    let bytes = raw.field(place);
    match field::number(bytes) {
        Some(number) if octal => format!("{number:04o}"),
        Some(number) => number.to_string(),
        None => escape(bytes),
    }
}

fn shown(value: &[u8]) -> String {
    escape(&value[..value.len().min(VALUE_LIMIT)])
}

#[cfg(test)]
#[path = "anatomy_tests.rs"]
mod tests;
