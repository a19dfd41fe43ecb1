//! One header block as it stands there: its fields by their places, nothing merged yet.
//!
//! The kind of header is told by its magic, as GNU tar and Go do: `ustar` and a NUL is POSIX (the version is
//! not looked at), `ustar` and two spaces and a NUL is GNU, all else is V7. star's has the bytes `tar` at its
//! end, and times where POSIX has the end of the prefix.

use super::error::TarError;
use super::oddity::{Oddity, Part};
use super::{BLOCK, ReadType, field};
use crate::text::escape;

/// Where a field lies in a block.
pub(super) type Place = std::ops::Range<usize>;

pub(super) const NAME: Place = 0..100;
pub(super) const MODE: Place = 100..108;
pub(super) const UID: Place = 108..116;
pub(super) const GID: Place = 116..124;
pub(super) const SIZE: Place = 124..136;
pub(super) const MTIME: Place = 136..148;
pub(super) const CHECKSUM: Place = 148..156;
pub(super) const TYPE_FLAG: usize = 156;
pub(super) const LINK_NAME: Place = 157..257;
pub(super) const MAGIC: Place = 257..265;
pub(super) const UNAME: Place = 265..297;
pub(super) const GNAME: Place = 297..329;
pub(super) const DEV_MAJOR: Place = 329..337;
pub(super) const DEV_MINOR: Place = 337..345;
pub(super) const PREFIX: Place = 345..500;
pub(super) const STAR_PREFIX: Place = 345..476;
pub(super) const GNU_ATIME: Place = 345..357;
pub(super) const GNU_CTIME: Place = 357..369;
/// GNU's old sparse map: four pieces, then whether more follow, then the size of the file.
pub(super) const SPARSE: Place = 386..482;
pub(super) const SPARSE_MORE: usize = 482;
pub(super) const REAL_SIZE: Place = 483..495;

/// Whose header it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// A header block, and where it begins.
pub(super) struct Raw {
    pub(super) block: [u8; BLOCK as usize],
    pub(super) offset: u64,
    /// Whether its checksum is right only if its bytes are summed as signed numbers.
    pub(super) has_signed_sum: bool,
}

impl Raw {
    /// A block, if it has a header's checksum.
    pub(super) fn new(block: [u8; BLOCK as usize], offset: u64) -> Result<Self, TarError> {
        let mut raw = Self {
            block,
            offset,
            has_signed_sum: false,
        };
        raw.has_signed_sum = raw.check_sum()?;
        Ok(raw)
    }

    pub(super) fn field(&self, place: Place) -> &[u8] {
        &self.block[place]
    }

    pub(super) fn flag(&self) -> u8 {
        self.block[TYPE_FLAG]
    }

    pub(super) fn dialect(&self) -> Dialect {
        match &self.block[MAGIC] {
            b"ustar  \0" => Dialect::Gnu,
            magic if !magic.starts_with(b"ustar\0") => Dialect::V7,
            _ if self.block.ends_with(b"tar\0") => Dialect::Star,
            _ => Dialect::Ustar,
        }
    }

    /// A number, if it is one that `T` can hold.
    pub(super) fn number<T: TryFrom<i128>>(&self, name: &'static str, place: Place) -> Result<T, TarError> {
        let bytes = &self.block[place];
        field::number(bytes)
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| TarError::Field {
                offset: self.offset,
                field: name,
                found: escape(bytes),
            })
    }

    /// The owner or group.
    pub(super) fn id(&self, name: &'static str, place: Place) -> Result<u32, TarError> {
        let id = self.number(name, place.clone()).ok().and_then(wrap_id);
        match id {
            Some(id) => Ok(id),
            None => self.number(name, place),
        }
    }

    pub(super) fn size(&self) -> Result<u64, TarError> {
        self.number("size", SIZE)
    }

    pub(super) fn prefix(&self) -> &[u8] {
        match self.dialect() {
            Dialect::Ustar => until_nul(self.field(PREFIX)),
            Dialect::Star => until_nul(self.field(STAR_PREFIX)),
            Dialect::V7 | Dialect::Gnu => b"",
        }
    }

    pub(super) fn name(&self) -> Vec<u8> {
        let name = until_nul(self.field(NAME));
        match self.prefix() {
            b"" => name.to_vec(),
            prefix => [prefix, b"/", name].concat(),
        }
    }

    pub(super) fn link_name(&self) -> &[u8] {
        until_nul(self.field(LINK_NAME))
    }

    /// Names of owner and group, for those who want to see them.
    pub(super) fn owner_names(&self) -> (&[u8], &[u8]) {
        match self.dialect() {
            Dialect::V7 => (b"", b""),
            _ => (until_nul(self.field(UNAME)), until_nul(self.field(GNAME))),
        }
    }

    pub(super) fn entry_type(&self, name: &[u8]) -> ReadType {
        match self.flag() {
            // V7 tells directories by their names.
            0 if name.ends_with(b"/") => ReadType::Directory,
            0 | b'0' | b'7' | b'S' => ReadType::Regular,
            b'1' => ReadType::HardLink,
            b'2' => ReadType::Symlink,
            b'3' => ReadType::CharDevice,
            b'4' => ReadType::BlockDevice,
            b'5' => ReadType::Directory,
            b'6' => ReadType::Fifo,
            flag => ReadType::Other(flag),
        }
    }

    pub(super) fn device(&self, entry_type: ReadType) -> Result<(u32, u32), TarError> {
        let is_device = matches!(entry_type, ReadType::CharDevice | ReadType::BlockDevice);
        if !is_device || self.dialect() == Dialect::V7 {
            return Ok((0, 0));
        }
        Ok((
            self.number("devmajor", DEV_MAJOR)?,
            self.number("devminor", DEV_MINOR)?,
        ))
    }

    /// Compares the checksum with the sum of the block's bytes, with spaces for the field itself: taken as
    /// unsigned numbers as POSIX asks, or as signed ones as old tars did. Whether only the latter is right.
    fn check_sum(&self) -> Result<bool, TarError> {
        let (mut expected, mut signed) = (0_u32, 0_i64);
        for (at, &byte) in self.block.iter().enumerate() {
            let byte = if CHECKSUM.contains(&at) { b' ' } else { byte };
            expected += u32::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        let found: u32 = self.number("checksum", CHECKSUM)?;
        if found == expected {
            return Ok(false);
        }
        if i64::from(found) == signed {
            return Ok(true);
        }
        Err(TarError::Checksum {
            offset: self.offset,
            expected,
            found,
        })
    }

    /// What in the block itself readers take differently, be it an entry's or one of those before.
    pub(super) fn oddities(&self, found: &mut Vec<Oddity>) {
        let offset = self.offset;
        if self.has_signed_sum {
            found.push(Oddity::SignedSum { offset });
        }
        for (field, place) in [
            ("mode", MODE),
            ("uid", UID),
            ("gid", GID),
            ("size", SIZE),
            ("mtime", MTIME),
            ("chksum", CHECKSUM),
            ("devmajor", DEV_MAJOR),
            ("devminor", DEV_MINOR),
        ] {
            if !field::is_strict(self.field(place)) {
                found.push(Oddity::LooseNumber { offset, field });
            }
        }
    }

    /// What in the header of an entry readers take differently.
    pub(super) fn entry_oddities(&self, entry_type: ReadType, name: &[u8], found: &mut Vec<Oddity>) {
        let offset = self.offset;
        let is_posix = matches!(self.dialect(), Dialect::Ustar | Dialect::Star);
        if !is_posix && self.flag() != b'S' && self.block[PREFIX.start] != 0 {
            let field = "prefix";
            found.push(Oddity::ForeignField { offset, field });
        }
        let is_device = matches!(entry_type, ReadType::CharDevice | ReadType::BlockDevice);
        if is_device && self.dialect() == Dialect::V7 && self.block[DEV_MAJOR.start..DEV_MINOR.end] != [0; 16]
        {
            let field = "devmajor";
            found.push(Oddity::ForeignField { offset, field });
        }
        for (part, place) in [(Part::Path, NAME), (Part::Target, LINK_NAME)] {
            if has_hidden(self.field(place)) {
                found.push(Oddity::BehindNul { offset, part });
            }
        }
        let flag = self.flag();
        if flag == b'7' || matches!(entry_type, ReadType::Other(_)) {
            found.push(Oddity::RareType { offset, flag });
        }
        let has_slash = name.ends_with(b"/");
        let is_odd = match flag {
            0 => has_slash != until_nul(self.field(NAME)).ends_with(b"/"),
            b'0' | b'7' => has_slash,
            _ => false,
        };
        if is_odd {
            found.push(Oddity::TrailingSlash { offset });
        }
    }
}

/// An id of 32 bits. Some write −2 for 4294967294, and the kernel takes one for the other.
pub(super) fn wrap_id(id: i64) -> Option<u32> {
    match i32::try_from(id) {
        Ok(negative) if negative < 0 => Some(negative.cast_unsigned()),
        _ => u32::try_from(id).ok(),
    }
}

pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Whether something stands behind the NUL that ends a name.
pub(super) fn has_hidden(bytes: &[u8]) -> bool {
    bytes[until_nul(bytes).len()..].iter().any(|&byte| byte != 0)
}
