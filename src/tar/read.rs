//! Reading a tar of anyone: V7, ustar, GNU and PAX, as GNU tar and Go's archive/tar (containerd, umoci) read
//! them.
//!
//! Where readers differ:
//!
//! - A PAX record wins over a GNU long name, and over the header, as in GNU tar; in Go the long name wins, in
//!   Python what stands first. Of two `x` headers of one entry the last holds.
//! - Directories, links, devices and fifos have no content, whatever their size says, as in Go and Python; GNU
//!   tar passes over that many bytes after symlinks, devices and fifos.
//! - The first zero block ends the archive, and so does the end of the bytes.
//! - An xattr with an empty value exists; Go passes over it. For other keywords an empty value means that the
//!   header's field holds (POSIX, pax, "pax Extended Header").

use std::collections::BTreeMap;

use tar::Header;

use super::error::TarError;
use super::window::Window;
use super::{BLOCK, field, padding, pax};
use crate::content::Content;
use crate::text::escape;
use crate::tree::Time;

/// The most bytes that a long name, or the records of one entry, may have. Linux takes paths of 4096 bytes
/// and xattrs of 64 KiB; what is longer is an attack on memory.
pub const NAME_LIMIT: u64 = 1 << 20;

/// What kind of file an entry makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of `EntryType`")]
pub enum ReadType {
    Regular,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
    /// Something that is not a file of a layer, by its type flag. Its content was skipped.
    Other(u8),
}

impl ReadType {
    fn has_content(self) -> bool {
        matches!(self, Self::Regular | Self::Other(_))
    }
}

/// One entry as it was read. Names are bytes as they stand there: nothing is cleaned.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where its first header block begins.
    pub offset: u64,
    /// Where it ends, padding included.
    pub end: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// What it is.
    pub entry_type: ReadType,
    /// The target of a symlink, the other name of a hard link; else empty as a rule.
    pub link_name: Vec<u8>,
    /// Permission bits with setuid, setgid and sticky; the file type that some write is dropped.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The owner's group.
    pub gid: u32,
    /// When it was modified.
    pub mtime: Time,
    /// Major and minor number; 0 for what is no device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// How many bytes of content it has.
    pub size: u64,
    /// The content.
    pub content: Content,
}

/// The entries of a tar, in its order. After an error it yields nothing more.
pub struct Entries {
    window: Window,
    offset: u64,
    globals: Records,
    is_done: bool,
}

/// PAX records by keyword: the last of each.
type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// What headers before an entry say about it.
#[derive(Default)]
struct Extension {
    offset: Option<u64>,
    name: Option<Vec<u8>>,
    link_name: Option<Vec<u8>>,
    records: Records,
}

impl Entries {
    /// The entries of an uncompressed tar. One of no bytes has none.
    pub fn new(content: Content) -> Self {
        Self {
            window: Window::new(content),
            offset: 0,
            globals: Records::new(),
            is_done: false,
        }
    }

    /// Where the next header would begin; after the last entry, where the end begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn read(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extension = Extension::default();
        loop {
            let at = self.offset;
            let Some(header) = self.header()? else {
                return match extension.offset {
                    Some(offset) => Err(TarError::Dangling { offset }),
                    None => Ok(None),
                };
            };
            let raw = Raw {
                header: &header,
                offset: at,
            };
            match header.as_old().linkflag[0] {
                b'L' => extension.name = Some(self.long_name(&raw, "name")?),
                b'K' => extension.link_name = Some(self.long_name(&raw, "link target")?),
                b'x' | b'X' => extension.records = self.records(&raw)?,
                b'g' => {
                    let records = self.records(&raw)?;
                    self.globals.extend(records);
                    continue;
                }
                _ => return self.entry(&raw, extension).map(Some),
            }
            extension.offset.get_or_insert(at);
        }
    }

    /// The next header block; none at the end.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
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
        if bytes.len() < BLOCK as usize {
            return Err(match offset {
                0 => not_tar(),
                offset => TarError::Truncated {
                    offset,
                    length,
                    inside: "a header",
                },
            });
        }
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(bytes);
        match check_sum(&header, offset) {
            Err(_) if offset == 0 => Err(not_tar()),
            Err(error) => Err(error),
            Ok(()) => {
                self.offset += BLOCK;
                Ok(Some(header))
            }
        }
    }

    /// The data of an extension's header, behind which reading goes on.
    fn data(&mut self, raw: &Raw<'_>, what: &'static str) -> Result<Vec<u8>, TarError> {
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

    fn long_name(&mut self, raw: &Raw<'_>, what: &'static str) -> Result<Vec<u8>, TarError> {
        Ok(until_nul(&self.data(raw, what)?).to_vec())
    }

    fn records(&mut self, raw: &Raw<'_>) -> Result<Records, TarError> {
        let start = self.offset;
        let data = self.data(raw, "PAX records")?;
        let mut records = Records::new();
        for record in pax::records(&data) {
            let (keyword, value) = record.map_err(|(at, reason)| TarError::Record {
                offset: start + at as u64,
                reason,
            })?;
            records.insert(keyword.to_vec(), value.to_vec());
        }
        Ok(records)
    }

    fn entry(&mut self, raw: &Raw<'_>, extension: Extension) -> Result<Entry, TarError> {
        let offset = extension.offset.unwrap_or(raw.offset);
        let facts = Facts {
            own: &extension.records,
            globals: &self.globals,
            offset,
        };
        let name = facts
            .bytes("path")
            .or(extension.name)
            .unwrap_or_else(|| raw.name());
        raw.refuse_sparse(&extension.records, &name, offset)?;
        let link_name = facts
            .bytes("linkpath")
            .or(extension.link_name)
            .unwrap_or_else(|| until_nul(&raw.header.as_old().linkname).to_vec());
        let entry_type = raw.entry_type(&name);
        let old = raw.header.as_old();
        let size = match facts.number("size")? {
            _ if !entry_type.has_content() => 0,
            Some(size) => size,
            None => raw.size()?,
        };
        let (content, end) = self.content(raw, size)?;
        let entry = Entry {
            offset,
            end,
            name,
            entry_type,
            link_name,
            mode: raw.number::<u32>("mode", &old.mode)? & 0o7777,
            uid: facts.id("uid")?.map_or_else(|| raw.number("uid", &old.uid), Ok)?,
            gid: facts.id("gid")?.map_or_else(|| raw.number("gid", &old.gid), Ok)?,
            mtime: match facts.time()? {
                Some(time) => time,
                None => Time::at(raw.number("mtime", &old.mtime)?),
            },
            device: raw.device(entry_type)?,
            xattrs: facts.xattrs(),
            size,
            content,
        };
        self.offset = end;
        Ok(entry)
    }

    /// The content of `size` bytes that stands next, and where its padding ends.
    fn content(&self, raw: &Raw<'_>, size: u64) -> Result<(Content, u64), TarError> {
        let (start, length) = (self.offset, self.window.content().len());
        if size > length - start {
            return Err(TarError::Truncated {
                offset: raw.offset,
                length,
                inside: "an entry",
            });
        }
        let end = length.min(start + size + padding(size));
        Ok((self.window.content().slice(start, size), end))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, TarError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let entry = self.read().transpose();
        self.is_done = !matches!(entry, Some(Ok(_)));
        entry
    }
}

/// A header block as it stands there, and where.
struct Raw<'a> {
    header: &'a Header,
    offset: u64,
}

impl Raw<'_> {
    fn number<T: TryFrom<i128>>(&self, name: &'static str, bytes: &[u8]) -> Result<T, TarError> {
        field::number(bytes)
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| TarError::Field {
                offset: self.offset,
                field: name,
                found: escape(bytes),
            })
    }

    fn size(&self) -> Result<u64, TarError> {
        self.number("size", &self.header.as_old().size)
    }

    /// The name and its prefix. GNU's headers have times where ustar has the prefix, and those of star have
    /// them in its last 24 bytes, which a mark at the end tells.
    fn name(&self) -> Vec<u8> {
        let name = until_nul(&self.header.as_old().name);
        let prefix = match self.header.as_ustar() {
            Some(_) if self.header.as_bytes().ends_with(b"tar\0") => &self.header.as_bytes()[345..476],
            Some(ustar) => &ustar.prefix[..],
            None => b"",
        };
        match until_nul(prefix) {
            b"" => name.to_vec(),
            prefix => [prefix, b"/", name].concat(),
        }
    }

    fn entry_type(&self, name: &[u8]) -> ReadType {
        match self.header.as_old().linkflag[0] {
            // V7 tells directories by their names.
            0 if name.ends_with(b"/") => ReadType::Directory,
            0 | b'0' | b'7' => ReadType::Regular,
            b'1' => ReadType::HardLink,
            b'2' => ReadType::Symlink,
            b'3' => ReadType::CharDevice,
            b'4' => ReadType::BlockDevice,
            b'5' => ReadType::Directory,
            b'6' => ReadType::Fifo,
            flag => ReadType::Other(flag),
        }
    }

    fn device(&self, entry_type: ReadType) -> Result<(u32, u32), TarError> {
        let is_device = matches!(entry_type, ReadType::CharDevice | ReadType::BlockDevice);
        let bytes = self.header.as_bytes();
        // In both kinds of header they stand at the same place, after a magic that begins alike.
        if !is_device || !bytes[257..].starts_with(b"ustar") {
            return Ok((0, 0));
        }
        Ok((
            self.number("devmajor", &bytes[329..337])?,
            self.number("devminor", &bytes[337..345])?,
        ))
    }

    fn refuse_sparse(&self, records: &Records, name: &[u8], offset: u64) -> Result<(), TarError> {
        let (name, form) = if self.header.as_old().linkflag[0] == b'S' {
            (name, "GNU type S")
        } else if records.keys().any(|keyword| keyword.starts_with(b"GNU.sparse.")) {
            let real = records.get(&b"GNU.sparse.name"[..]);
            (real.map_or(name, |name| name), "PAX records GNU.sparse.*")
        } else {
            return Ok(());
        };
        Err(TarError::Sparse {
            name: escape(name),
            offset,
            form,
        })
    }
}

/// What PAX records say about an entry. An empty value says nothing.
struct Facts<'a> {
    own: &'a Records,
    globals: &'a Records,
    offset: u64,
}

impl Facts<'_> {
    fn value(&self, keyword: &str) -> Option<&Vec<u8>> {
        let keyword = keyword.as_bytes();
        let value = self.own.get(keyword).or_else(|| self.globals.get(keyword));
        value.filter(|value| !value.is_empty())
    }

    fn bytes(&self, keyword: &str) -> Option<Vec<u8>> {
        self.value(keyword).map(|value| until_nul(value).to_vec())
    }

    fn parse<T>(
        &self,
        keyword: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, TarError> {
        let Some(value) = self.value(keyword) else {
            return Ok(None);
        };
        parse(value).map(Some).ok_or_else(|| TarError::Value {
            offset: self.offset,
            keyword,
            found: escape(value),
            expected,
        })
    }

    fn number(&self, keyword: &'static str) -> Result<Option<u64>, TarError> {
        self.parse(keyword, "a decimal number", pax::decimal)
    }

    fn id(&self, keyword: &'static str) -> Result<Option<u32>, TarError> {
        let parse = |value: &[u8]| pax::decimal(value)?.try_into().ok();
        self.parse(keyword, "a decimal number of at most 32 bits", parse)
    }

    fn time(&self) -> Result<Option<Time>, TarError> {
        self.parse(
            "mtime",
            "seconds in decimal, with a fraction or without",
            pax::parse_time,
        )
    }

    fn xattrs(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.globals
            .iter()
            .chain(self.own)
            .filter_map(|(keyword, value)| Some((pax::xattr_name(keyword)?, value.clone())))
            .collect()
    }
}

/// Compares a header's checksum with the sum of its bytes, taken as unsigned numbers as POSIX asks, or as
/// signed ones as old tars did.
fn check_sum(header: &Header, offset: u64) -> Result<(), TarError> {
    let mut summed = header.clone();
    summed.as_old_mut().cksum = *b"        ";
    let bytes = summed.as_bytes();
    let expected: u32 = bytes.iter().map(|&byte| u32::from(byte)).sum();
    let signed: i32 = bytes.iter().map(|&byte| i32::from(byte.cast_signed())).sum();
    let raw = Raw { header, offset };
    let found: u32 = raw.number("checksum", &header.as_old().cksum)?;
    if found == expected || i64::from(found) == i64::from(signed) {
        return Ok(());
    }
    Err(TarError::Checksum {
        offset,
        expected,
        found,
    })
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
