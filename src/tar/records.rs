//! What the PAX records before an entry say of it: by keyword, own over global, and what in them is odd.

use std::collections::BTreeMap;

use super::error::TarError;
use super::oddity::Oddity;
use super::pax;
use super::raw::{until_nul, wrap_id};
use super::sparse::SparseError;
use crate::text::escape;
use crate::tree::Time;

/// The records of one header, or of several: of each keyword the last.
#[derive(Clone, Default)]
pub(super) struct Records {
    by_keyword: BTreeMap<Vec<u8>, Record>,
    /// The records of sparse format 0.0, which stand many times: offset, length, offset, length, …
    pub(super) pieces: Vec<u64>,
    /// How many bytes all keywords and values have.
    pub(super) length: u64,
    /// Where the latest of them begin.
    start: u64,
}

#[derive(Clone)]
pub(super) struct Record {
    /// Where it stands in the tar.
    pub(super) offset: u64,
    pub(super) value: Vec<u8>,
}

/// Records that describe no more than is known, or than anyone asks for. The rest is [`Oddity::UnreadRecord`].
const IDLE: [&[u8]; 13] = [
    b"atime",
    b"charset",
    b"comment",
    b"ctime",
    b"gname",
    b"hdrcharset",
    b"uname",
    b"LIBARCHIVE.creationtime",
    b"SCHILY.dev",
    b"SCHILY.devmajor",
    b"SCHILY.devminor",
    b"SCHILY.ino",
    b"SCHILY.nlink",
];

/// Records that set attributes here.
const READ: [&[u8]; 6] = [b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"];

const SPARSE: &[u8] = b"GNU.sparse.";

impl Records {
    /// Whether any of them says something about an entry; comments do not.
    pub(super) fn set_attributes(&self) -> bool {
        self.by_keyword.keys().any(|keyword| keyword != b"comment")
    }

    /// The records in the data of a header, which begin at `start` in the tar.
    pub(super) fn parse(data: &[u8], start: u64, odd: &mut Vec<Oddity>) -> Result<Self, TarError> {
        let mut records = Self {
            length: data.len() as u64,
            start,
            ..Self::default()
        };
        let mut offset = start;
        let mut all = pax::records(data);
        while let Some(record) = all.next() {
            let (keyword, value) = record.map_err(|(at, reason)| TarError::Record {
                offset: start + at as u64,
                reason,
            })?;
            records.take(keyword, value, offset, odd)?;
            offset = start + all.offset() as u64;
        }
        Ok(records)
    }

    fn take(
        &mut self,
        keyword: &[u8],
        value: &[u8],
        offset: u64,
        odd: &mut Vec<Oddity>,
    ) -> Result<(), TarError> {
        if matches!(keyword, b"GNU.sparse.offset" | b"GNU.sparse.numbytes") {
            let is_length = keyword == b"GNU.sparse.numbytes";
            let reason = match pax::decimal(value) {
                Some(number) if is_length == (self.pieces.len() % 2 == 1) => {
                    self.pieces.push(number);
                    return Ok(());
                }
                Some(_) => SparseError::Unpaired,
                None => SparseError::Number,
            };
            return Err(TarError::Sparse { offset, reason });
        }
        let is_name = matches!(keyword, b"path" | b"linkpath");
        let owned = || keyword.to_vec();
        if (is_name && value.contains(&0)) || keyword.contains(&0) {
            odd.push(Oddity::NulInRecord {
                offset,
                keyword: owned(),
            });
        }
        if value.is_empty() && (READ.contains(&keyword) || keyword.starts_with(pax::XATTR_PREFIX)) {
            odd.push(Oddity::EmptyValue {
                offset,
                keyword: owned(),
            });
        }
        for (field, of) in [("uid", b"uid"), ("gid", b"gid")] {
            if keyword == of && value.starts_with(b"-") {
                odd.push(Oddity::NegativeId { offset, field });
            }
        }
        let escapes: [&[u8]; 3] = [b"%25", b"%3D", b"%3d"];
        if keyword.starts_with(pax::XATTR_PREFIX) && keyword.windows(3).any(|part| escapes.contains(&part)) {
            odd.push(Oddity::EscapedXattr {
                offset,
                keyword: owned(),
            });
        }
        let is_known = READ.contains(&keyword)
            || IDLE.contains(&keyword)
            || keyword.starts_with(pax::XATTR_PREFIX)
            || keyword.starts_with(SPARSE);
        if !is_known {
            odd.push(Oddity::UnreadRecord {
                offset,
                keyword: owned(),
            });
        }
        let value = value.to_vec();
        if self
            .by_keyword
            .insert(owned(), Record { offset, value })
            .is_some()
        {
            odd.push(Oddity::TwoRecords {
                offset,
                keyword: owned(),
            });
        }
        Ok(())
    }

    /// Adds later ones.
    pub(super) fn extend(&mut self, later: Self) {
        self.length += later.length;
        self.start = later.start;
        self.by_keyword.extend(later.by_keyword);
    }

    pub(super) fn get(&self, keyword: &str) -> Option<&Record> {
        self.by_keyword.get(keyword.as_bytes())
    }

    /// The value of a sparse record, which global headers have none of. Empty ones say nothing.
    pub(super) fn sparse(&self, name: &str) -> Option<&[u8]> {
        let value = &self.by_keyword.get(&[SPARSE, name.as_bytes()].concat())?.value;
        (!value.is_empty()).then_some(value)
    }

    pub(super) fn has_sparse(&self) -> bool {
        let mut from = self.by_keyword.range(SPARSE.to_vec()..);
        !self.pieces.is_empty()
            || from
                .next()
                .is_some_and(|(keyword, _)| keyword.starts_with(SPARSE))
    }
}

/// What records say about one entry. An empty value says nothing.
pub(super) struct Facts<'a> {
    pub(super) own: &'a Records,
    pub(super) globals: &'a Records,
    /// Where the entry's first header begins.
    pub(super) offset: u64,
}

impl Facts<'_> {
    /// The record that counts: an own one, even if it only takes back a global one.
    pub(super) fn record(&self, keyword: &str) -> Option<&Record> {
        let own = self.own.get(keyword);
        let record = own.or_else(|| self.globals.get(keyword));
        record.filter(|record| !record.value.is_empty())
    }

    pub(super) fn bytes(&self, keyword: &str) -> Option<Vec<u8>> {
        self.record(keyword)
            .map(|record| until_nul(&record.value).to_vec())
    }

    fn parse<T>(
        &self,
        keyword: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, TarError> {
        let Some(record) = self.record(keyword) else {
            return Ok(None);
        };
        parse(&record.value).map(Some).ok_or_else(|| TarError::Value {
            offset: self.offset,
            keyword,
            found: escape(&record.value),
            expected,
        })
    }

    pub(super) fn size(&self) -> Result<Option<u64>, TarError> {
        self.parse("size", "a decimal number", pax::decimal)
    }

    pub(super) fn id(&self, keyword: &'static str) -> Result<Option<u32>, TarError> {
        let parse = |value: &[u8]| match value {
            [b'-', rest @ ..] => wrap_id(0_i64.checked_sub_unsigned(pax::decimal(rest)?)?),
            value => pax::decimal(value)?.try_into().ok(),
        };
        self.parse(keyword, "a decimal number of at most 32 bits", parse)
    }

    pub(super) fn time(&self) -> Result<Option<Time>, TarError> {
        self.parse(
            "mtime",
            "seconds in decimal, with a fraction or without",
            pax::parse_time,
        )
    }

    /// The records of xattrs, by their names. Unlike others, they count without a value too.
    pub(super) fn xattr_records(&self) -> BTreeMap<Vec<u8>, &Record> {
        let all = self.globals.by_keyword.iter().chain(&self.own.by_keyword);
        all.filter_map(|(keyword, record)| Some((pax::xattr_name(keyword)?, record)))
            .collect()
    }

    pub(super) fn xattrs(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let records = self.xattr_records().into_iter();
        records
            .map(|(name, record)| (name, record.value.clone()))
            .collect()
    }

    /// The global records that this entry follows.
    pub(super) fn oddities(&self, found: &mut Vec<Oddity>) {
        for (keyword, record) in &self.globals.by_keyword {
            let sets = READ.contains(&&keyword[..]) || keyword.starts_with(pax::XATTR_PREFIX);
            if sets && !record.value.is_empty() && !self.own.by_keyword.contains_key(keyword) {
                let (offset, keyword) = (record.offset, keyword.clone());
                if offset < self.globals.start {
                    let keyword = keyword.clone();
                    found.push(Oddity::GlobalNotRepeated { offset, keyword });
                }
                found.push(Oddity::GlobalRecord { offset, keyword });
            }
        }
    }
}
