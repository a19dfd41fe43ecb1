//! Reading a tar of anyone: V7, ustar, star, GNU and PAX, as GNU tar and Go's archive/tar (containerd, umoci)
//! read them.
//!
//! Where readers differ, what is done here:
//!
//! - A PAX record wins over a GNU long name, and over the header; an own record wins over a global one. Of two
//!   `x` headers of one entry the last holds. `GNU.sparse.name` wins over all other names.
//! - Directories, links, devices and fifos have no content, whatever their size says.
//! - The first zero block ends the archive, and so does the end of the bytes.
//! - An xattr with an empty value exists. For other keywords an empty value means that the header's field holds
//!   (POSIX, pax, "pax Extended Header").
//! - Names are bytes, whatever `hdrcharset` says: a layer's names are what is written there.
//!
//! Who does otherwise is told entry by entry, as an [`Oddity`].

use std::sync::Arc;

use super::entry::{Ending, Entry, ReadType};
use super::error::TarError;
use super::oddity::{ODDITY_LIMIT, Oddity, Part};
use super::raw::{self, Raw, has_hidden, until_nul};
use super::records::{Facts, Records};
use super::sparse::{Map, Wrong};
use super::window::Window;
use super::{BLOCK, field, padding};
use crate::content::Content;
use crate::text::escape;
use crate::tree::Time;

/// The most bytes that a long name, or the records of one entry, may have. Linux takes paths of 4096 bytes
/// and xattrs of 64 KiB; what is longer is an attack on memory.
pub const NAME_LIMIT: u64 = 1 << 20;

/// The most bytes that all global headers together may have: each entry is asked about them.
pub const GLOBAL_LIMIT: u64 = 64 << 10;

/// The most headers of long names and records that may stand before one entry.
pub const HEADER_LIMIT: usize = 256;

/// The entries of a tar, in its order. After an error it yields nothing more.
pub struct Entries {
    window: Window,
    offset: u64,
    globals: Arc<Records>,
    /// Where the last entry ends.
    start: u64,
    state: State,
}

/// A place between two entries, from which reading can go on.
#[derive(Clone)]
pub struct Place {
    /// Where it is.
    pub offset: u64,
    pub(super) globals: Arc<Records>,
}

#[derive(PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

/// What headers before an entry say about it.
#[derive(Default)]
struct Extension {
    offset: Option<u64>,
    name: Option<Long>,
    link_name: Option<Long>,
    records: Option<Records>,
    oddities: Vec<Oddity>,
}

/// A name of a GNU header, and where that begins.
struct Long {
    offset: u64,
    name: Vec<u8>,
}

impl Entries {
    /// The entries of an uncompressed tar. One of no bytes has none.
    pub fn new(content: Content) -> Self {
        let globals = Arc::default();
        Self::resume(content, Place { offset: 0, globals })
    }

    /// The entries from a place on at which reading was before.
    pub fn resume(content: Content, place: Place) -> Self {
        Self {
            window: Window::new(content),
            offset: place.offset,
            start: place.offset,
            globals: place.globals,
            state: State::Reading,
        }
    }

    /// Where reading is: before the next entry and the headers that belong to it.
    pub fn place(&self) -> Place {
        Place {
            offset: self.offset,
            globals: self.globals.clone(),
        }
    }

    /// Whether global PAX headers so far set attributes of entries; comments do not.
    pub fn has_global_attributes(&self) -> bool {
        self.globals.set_attributes()
    }

    /// Where the next header would begin; after the last entry, where the end begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes the tar has.
    pub fn length(&self) -> u64 {
        self.window.content().len()
    }

    /// What stands behind the last entry; none before that is reached, or if reading failed. Reads what is
    /// there as far as it is zeros.
    pub fn ending(&mut self) -> Result<Option<Ending>, TarError> {
        if self.state != State::Ended {
            return Ok(None);
        }
        let length = self.window.content().len();
        let mut ending = Ending {
            start: self.start,
            offset: self.offset,
            marker: 0,
            rest: self.offset,
            length: length - self.offset,
            data: None,
        };
        let mut at = self.offset;
        while at < length && ending.data.is_none() {
            let block = at..length.min(at + BLOCK);
            let size = block.end - block.start;
            let bytes = self.window.get(block)?.expect("inside the content");
            if let Some(first) = bytes.iter().position(|&byte| byte != 0) {
                ending.data = Some(at + first as u64);
            } else if ending.marker < 2 && size == BLOCK {
                ending.marker += 1;
                ending.rest += BLOCK;
                ending.length -= BLOCK;
            }
            at += size;
        }
        Ok(Some(ending))
    }

    fn read(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extension = Extension::default();
        for _ in 0..=HEADER_LIMIT {
            let at = self.offset;
            let Some(raw) = self.header()? else {
                return match extension.offset {
                    Some(offset) => Err(TarError::Dangling { offset }),
                    None => Ok(None),
                };
            };
            let flag = raw.flag();
            raw.oddities(&mut extension.oddities);
            let is_second = match flag {
                b'L' => {
                    let long = self.long_name(&raw, Part::Path, &mut extension)?;
                    extension.name.replace(long).is_some()
                }
                b'K' => {
                    let long = self.long_name(&raw, Part::Target, &mut extension)?;
                    extension.link_name.replace(long).is_some()
                }
                b'x' | b'X' => {
                    if flag == b'X' {
                        extension.oddities.push(Oddity::SolarisHeader { offset: at });
                    }
                    let records = self.records(&raw, &mut extension)?;
                    extension.records.replace(records).is_some()
                }
                b'g' => {
                    self.take_global(&raw, &mut extension)?;
                    continue;
                }
                _ => return self.entry(&raw, extension).map(Some),
            };
            if is_second {
                extension.oddities.push(Oddity::TwoHeaders { offset: at, flag });
            }
            extension.trim();
            extension.offset.get_or_insert(at);
        }
        Err(TarError::Headers {
            offset: self.offset,
            limit: HEADER_LIMIT,
        })
    }

    /// The next header block; none at the end.
    fn header(&mut self) -> Result<Option<Raw>, TarError> {
        let (offset, length) = (self.offset, self.window.content().len());
        if offset >= length {
            return Ok(None);
        }
        let end = length.min(offset + BLOCK);
        let bytes = self.window.get(offset..end)?.expect("inside the content");
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let not_tar = || TarError::NotTar {
            found: escape(&bytes[..bytes.len().min(16)]),
        };
        let Ok(block) = <[u8; BLOCK as usize]>::try_from(bytes) else {
            return Err(match offset {
                0 => not_tar(),
                offset => TarError::Truncated {
                    offset,
                    length,
                    inside: "a header",
                },
            });
        };
        match Raw::new(block, offset) {
            Err(_) if offset == 0 => Err(not_tar()),
            Err(error) => Err(error),
            Ok(raw) => {
                self.offset += BLOCK;
                Ok(Some(raw))
            }
        }
    }

    /// The data of an extension's header, behind which reading goes on.
    fn data(&mut self, raw: &Raw, what: &'static str) -> Result<Vec<u8>, TarError> {
        let size = raw.size()?;
        if size > NAME_LIMIT {
            return Err(TarError::TooLong {
                offset: raw.offset,
                what,
                length: size,
                limit: NAME_LIMIT,
            });
        }
        let start = self.offset;
        let data = self.window.get(start..start + size)?.map(<[u8]>::to_vec);
        self.offset += size + padding(size);
        data.ok_or(TarError::Truncated {
            offset: raw.offset,
            length: self.window.content().len(),
            inside: "an extended header",
        })
    }

    fn long_name(&mut self, raw: &Raw, part: Part, extension: &mut Extension) -> Result<Long, TarError> {
        let what = match part {
            Part::Path => "name",
            Part::Target => "link target",
        };
        let mut name = self.data(raw, what)?;
        let offset = raw.offset;
        if has_hidden(&name) {
            extension.oddities.push(Oddity::BehindNul { offset, part });
        }
        name.truncate(until_nul(&name).len());
        Ok(Long { offset, name })
    }

    fn records(&mut self, raw: &Raw, extension: &mut Extension) -> Result<Records, TarError> {
        let start = self.offset;
        let data = self.data(raw, "PAX records")?;
        Records::parse(&data, start, &mut extension.oddities)
    }

    fn take_global(&mut self, raw: &Raw, extension: &mut Extension) -> Result<(), TarError> {
        let offset = raw.offset;
        let records = self.records(raw, extension)?;
        let length = self.globals.length + records.length;
        if length > GLOBAL_LIMIT {
            return Err(TarError::Globals {
                offset,
                length,
                limit: GLOBAL_LIMIT,
            });
        }
        Arc::make_mut(&mut self.globals).extend(records);
        extension.oddities.push(match extension.offset {
            Some(_) => Oddity::GlobalBetween { offset },
            None => Oddity::GlobalHeader { offset },
        });
        extension.trim();
        Ok(())
    }

    fn entry(&mut self, raw: &Raw, extension: Extension) -> Result<Entry, TarError> {
        let offset = extension.offset.unwrap_or(raw.offset);
        let mut odd = extension.oddities;
        let own = extension.records.unwrap_or_default();
        let facts = Facts {
            own: &own,
            globals: &self.globals,
            offset,
        };
        let name = choose(&facts, Part::Path, extension.name, &mut odd).unwrap_or_else(|| raw.name());
        let link_name = choose(&facts, Part::Target, extension.link_name, &mut odd)
            .unwrap_or_else(|| raw.link_name().to_vec());
        let entry_type = raw.entry_type(&name);
        raw.entry_oddities(entry_type, &name, &mut odd);
        facts.oddities(&mut odd);
        let (uname, gname) = raw.owner_names();
        let mut entry = Entry {
            offset,
            header: raw.offset,
            data: self.offset,
            end: self.offset,
            name,
            entry_type,
            link_name,
            mode: raw.number::<u32>("mode", raw::MODE)? & 0o7777,
            uid: facts.id("uid")?.map_or_else(|| raw.id("uid", raw::UID), Ok)?,
            gid: facts.id("gid")?.map_or_else(|| raw.id("gid", raw::GID), Ok)?,
            uname: facts.bytes("uname").unwrap_or_else(|| uname.to_vec()),
            gname: facts.bytes("gname").unwrap_or_else(|| gname.to_vec()),
            mtime: match facts.time()? {
                Some(time) => time,
                None => Time::at(raw.number("mtime", raw::MTIME)?),
            },
            device: raw.device(entry_type)?,
            xattrs: facts.xattrs(),
            size: 0,
            stored: 0,
            content: self.window.content().slice(0, 0),
            oddities: odd,
        };
        attribute_oddities(raw, &mut entry);
        let stored = stored_size(raw, &facts, entry_type, &mut entry.oddities)?;
        self.take_content(raw, &own, stored, &mut entry)?;
        trim(&mut entry.oddities);
        self.offset = entry.end;
        Ok(entry)
    }

    /// Finds the content, of which `stored` bytes stand next.
    fn take_content(
        &mut self,
        raw: &Raw,
        own: &Records,
        stored: u64,
        entry: &mut Entry,
    ) -> Result<(), TarError> {
        let (offset, length) = (raw.offset, self.window.content().len());
        let truncated = TarError::Truncated {
            offset,
            length,
            inside: "an entry",
        };
        if stored > length - entry.data.min(length) {
            return Err(truncated);
        }
        let map = self.map(raw, own, stored, entry)?;
        // An old map stands before what is stored, one of PAX 1.0 is part of it.
        let start = match &map {
            Some(map) if raw.flag() == b'S' => map.data,
            _ => entry.data,
        };
        let end = start.checked_add(stored).filter(|&end| end <= length);
        let end = end.ok_or(truncated)?;
        entry.end = length.min(end + padding(stored));
        entry.data = map.as_ref().map_or(start, |map| map.data);
        entry.stored = end - entry.data;
        entry.content = self.window.content().slice(entry.data, entry.stored);
        if let Some(map) = map {
            entry.oddities.push(Oddity::Sparse {
                offset,
                form: map.form,
            });
            let expanded = map.expand(entry.content.clone());
            entry.content = expanded.map_err(|reason| TarError::Sparse { offset, reason })?;
        }
        entry.size = entry.content.len();
        Ok(())
    }

    /// The sparse map of an entry, if it has one; then also the name that goes with it.
    fn map(
        &mut self,
        raw: &Raw,
        own: &Records,
        stored: u64,
        entry: &mut Entry,
    ) -> Result<Option<Map>, TarError> {
        let offset = raw.offset;
        let wrong = |wrong: Wrong| wrong.at(offset);
        if raw.flag() == b'S' {
            return Map::old_gnu(raw, &mut self.window).map(Some).map_err(wrong);
        }
        if !own.has_sparse() {
            return Ok(None);
        }
        let map = match entry.entry_type {
            ReadType::Regular => Map::of_records(own, &mut self.window, entry.data, stored).map_err(wrong)?,
            _ => None,
        };
        if map.is_none() {
            entry.oddities.push(Oddity::SparseIgnored { offset });
        } else if let Some(name) = own.sparse("name") {
            entry.name = until_nul(name).to_vec();
            if let Some(path) = own.get("path").filter(|path| path.value != name) {
                entry.oddities.push(Oddity::TwoNames {
                    offset: path.offset,
                    part: Part::Path,
                });
            }
        }
        Ok(map)
    }
}

/// The name that a record or a GNU header says, if one does.
fn choose(facts: &Facts<'_>, part: Part, long: Option<Long>, odd: &mut Vec<Oddity>) -> Option<Vec<u8>> {
    let keyword = match part {
        Part::Path => "path",
        Part::Target => "linkpath",
    };
    match (facts.bytes(keyword), long) {
        (Some(record), Some(Long { offset, name })) if record != name => {
            odd.push(Oddity::TwoNames { offset, part });
            Some(record)
        }
        (Some(record), _) => Some(record),
        (None, long) => long.map(|long| long.name),
    }
}

/// What in the attributes of an entry readers take differently.
fn attribute_oddities(raw: &Raw, entry: &mut Entry) {
    let offset = raw.offset;
    for (field, id, place) in [("uid", entry.uid, raw::UID), ("gid", entry.gid, raw::GID)] {
        if field::number(raw.field(place)).is_some_and(|id| id < 0) {
            entry.oddities.push(Oddity::NegativeId { offset, field });
        }
        if id == u32::MAX {
            entry.oddities.push(Oddity::UnsetId { offset, field });
        }
    }
    if entry.name.is_empty() {
        let part = Part::Path;
        entry.oddities.push(Oddity::EmptyName { offset, part });
    }
    let is_link = matches!(entry.entry_type, ReadType::HardLink | ReadType::Symlink);
    if is_link && entry.link_name.is_empty() {
        let part = Part::Target;
        entry.oddities.push(Oddity::EmptyName { offset, part });
    }
}

/// How many bytes of content are stored behind a header.
fn stored_size(
    raw: &Raw,
    facts: &Facts<'_>,
    entry_type: ReadType,
    odd: &mut Vec<Oddity>,
) -> Result<u64, TarError> {
    let header = raw.size()?;
    let record = facts.size()?;
    if !entry_type.has_content() {
        let (offset, size) = (raw.offset, record.unwrap_or(header));
        if size > 0 {
            odd.push(Oddity::SizeWithoutContent { offset, size });
        }
        return Ok(0);
    }
    let Some(record) = record else {
        return Ok(header);
    };
    let could_hold = header != 0 || record <= field::MAX_OCTAL_12;
    if let (true, Some(found)) = (header != record && could_hold, facts.record("size")) {
        odd.push(Oddity::TwoSizes {
            offset: found.offset,
            header,
            record,
        });
    }
    Ok(record)
}

/// Cuts a list of oddities that got too long.
fn trim(oddities: &mut Vec<Oddity>) {
    if oddities.len() > ODDITY_LIMIT {
        oddities.truncate(ODDITY_LIMIT - 1);
        oddities.push(Oddity::More);
    }
}

impl Extension {
    fn trim(&mut self) {
        trim(&mut self.oddities);
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, TarError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state != State::Reading {
            return None;
        }
        self.start = self.offset;
        let entry = self.read().transpose();
        match entry {
            Some(Ok(_)) => {}
            Some(Err(_)) => self.state = State::Failed,
            None => self.state = State::Ended,
        }
        entry
    }
}
