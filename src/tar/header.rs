//! One entry's header blocks, as GNU tar 1.34 writes them.
//!
//! In the format `gnu`, a link target over 100 bytes goes before in a `K` header and a name in an `L`, in
//! that order; numbers that overflow are base-256; fractions of seconds and xattrs are lost. In the format
//! `posix`, all that does not fit goes before in one `x` header of PAX records, in the order linkpath, path,
//! uid, gid, size, mtime, xattrs, and a number that overflows is 0 in the header itself. Neither uses the
//! prefix field, and both floor times.

use std::collections::BTreeMap;

use tar::{GnuHeader, Header, UstarHeader};

use super::field::{MAX_OCTAL_12, put_number, put_octal};
use super::{BLOCK, padding, pax};
use crate::tree::Time;

/// A way of writing entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `--format=gnu`: no xattrs, no fractions of seconds.
    Gnu,
    /// `--format=posix --pax-option=delete=atime,delete=ctime --xattrs --xattrs-include='*'`.
    Pax,
}

/// What kind of file an entry makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryType {
    /// A file with content.
    Regular,
    /// Another name of an entry written before.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

impl EntryType {
    /// The byte that stands for it in a header.
    pub const fn flag(self) -> u8 {
        match self {
            Self::Regular => b'0',
            Self::HardLink => b'1',
            Self::Symlink => b'2',
            Self::CharDevice => b'3',
            Self::BlockDevice => b'4',
            Self::Directory => b'5',
            Self::Fifo => b'6',
        }
    }

    const fn is_device(self) -> bool {
        matches!(self, Self::CharDevice | Self::BlockDevice)
    }
}

/// What one entry says of itself.
#[derive(Clone, Copy, Debug)]
pub struct EntryHeader<'a> {
    /// The name as written: `./`, `./a/`, `./a/b`.
    pub name: &'a [u8],
    /// What it is.
    pub entry_type: EntryType,
    /// The target of a symlink, the name that a hard link repeats; else empty.
    pub link_name: &'a [u8],
    /// Permission bits with setuid, setgid and sticky; others are dropped.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The owner's group.
    pub gid: u32,
    /// When it was modified.
    pub mtime: Time,
    /// How many bytes of content follow; 0 for all but regular files.
    pub size: u64,
    /// Major and minor number of a device; else not looked at.
    pub device: (u32, u32),
    /// Extended attributes, which only [`Format::Pax`] carries, and not on hard links.
    pub xattrs: &'a BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Appends all header blocks of one entry.
pub fn encode(header: &EntryHeader<'_>, format: Format, out: &mut Vec<u8>) {
    match format {
        Format::Gnu => encode_gnu(header, out),
        Format::Pax => encode_pax(header, out),
    }
}

/// The room for a name, or a link target, in a header. A name that fills it has no NUL.
const NAME_FIELD: usize = 100;

fn encode_gnu(entry: &EntryHeader<'_>, out: &mut Vec<u8>) {
    for (flag, long) in [(b'K', entry.link_name), (b'L', entry.name)] {
        if long.len() > NAME_FIELD {
            encode_long_name(flag, long, out);
        }
    }
    let mut block = Header::new_gnu();
    let gnu = block.as_gnu_mut().expect("made as GNU");
    put_gnu_common(gnu, entry.name, entry.entry_type.flag());
    put_bytes(&mut gnu.linkname, entry.link_name);
    put_octal(&mut gnu.mode, u64::from(entry.mode & 0o7777));
    put_number(&mut gnu.uid, i64::from(entry.uid));
    put_number(&mut gnu.gid, i64::from(entry.gid));
    put_number(&mut gnu.size, entry.size.cast_signed());
    put_number(&mut gnu.mtime, entry.mtime.seconds);
    if entry.entry_type.is_device() {
        put_number(&mut gnu.dev_major, i64::from(entry.device.0));
        put_number(&mut gnu.dev_minor, i64::from(entry.device.1));
    }
    finish(block, out);
}

/// A `K` or `L` header and its data: the name and a NUL (GNU tar manual, "Basic Tar Format").
fn encode_long_name(flag: u8, name: &[u8], out: &mut Vec<u8>) {
    let size = name.len() as u64 + 1;
    let mut block = Header::new_gnu();
    let gnu = block.as_gnu_mut().expect("made as GNU");
    put_gnu_common(gnu, b"././@LongLink", flag);
    put_octal(&mut gnu.mode, 0o644);
    put_octal(&mut gnu.uid, 0);
    put_octal(&mut gnu.gid, 0);
    put_octal(&mut gnu.size, size);
    put_octal(&mut gnu.mtime, 0);
    finish(block, out);
    out.extend_from_slice(name);
    out.resize(out.len() + 1 + padding(size) as usize, 0);
}

fn put_gnu_common(gnu: &mut GnuHeader, name: &[u8], flag: u8) {
    put_bytes(&mut gnu.name, name);
    gnu.typeflag = [flag];
    gnu.magic = *b"ustar ";
    gnu.version = *b" \0";
}

fn encode_pax(entry: &EntryHeader<'_>, out: &mut Vec<u8>) {
    let records = pax_records(entry);
    let seconds = u64::try_from(entry.mtime.seconds).unwrap_or(0);
    if !records.is_empty() {
        let mut block = Header::new_ustar();
        let ustar = block.as_ustar_mut().expect("made as ustar");
        put_bytes(&mut ustar.name, &pax_header_name(entry.name));
        ustar.typeflag = [b'x'];
        put_octal(&mut ustar.mode, 0o644);
        put_octal(&mut ustar.uid, 0);
        put_octal(&mut ustar.gid, 0);
        put_octal(&mut ustar.size, records.len() as u64);
        put_octal(&mut ustar.mtime, seconds.min(MAX_OCTAL_12));
        finish(block, out);
        let padding = padding(records.len() as u64) as usize;
        out.extend_from_slice(&records);
        out.resize(out.len() + padding, 0);
    }
    let mut block = Header::new_ustar();
    let ustar = block.as_ustar_mut().expect("made as ustar");
    put_bytes(&mut ustar.name, entry.name);
    put_bytes(&mut ustar.linkname, entry.link_name);
    ustar.typeflag = [entry.entry_type.flag()];
    put_octal(&mut ustar.mode, u64::from(entry.mode & 0o7777));
    put_octal_or_zero(&mut ustar.uid, u64::from(entry.uid));
    put_octal_or_zero(&mut ustar.gid, u64::from(entry.gid));
    put_octal_or_zero(&mut ustar.size, entry.size);
    put_octal_or_zero(&mut ustar.mtime, seconds);
    put_device_pax(ustar, entry);
    finish(block, out);
}

/// Unlike in the format `gnu`, the fields are filled in every entry.
fn put_device_pax(ustar: &mut UstarHeader, entry: &EntryHeader<'_>) {
    let (major, minor) = if entry.entry_type.is_device() {
        entry.device
    } else {
        (0, 0)
    };
    put_number(&mut ustar.dev_major, i64::from(major));
    put_number(&mut ustar.dev_minor, i64::from(minor));
}

fn pax_records(entry: &EntryHeader<'_>) -> Vec<u8> {
    const MAX_OCTAL_8: u32 = (1 << 21) - 1;
    let mut records = Vec::new();
    if entry.link_name.len() > NAME_FIELD {
        pax::put_record(&mut records, b"linkpath", entry.link_name);
    }
    if entry.name.len() > NAME_FIELD || !entry.name.is_ascii() {
        pax::put_record(&mut records, b"path", entry.name);
    }
    for (keyword, id) in [(&b"uid"[..], entry.uid), (b"gid", entry.gid)] {
        if id > MAX_OCTAL_8 {
            pax::put_record(&mut records, keyword, id.to_string().as_bytes());
        }
    }
    if entry.size > MAX_OCTAL_12 {
        pax::put_record(&mut records, b"size", entry.size.to_string().as_bytes());
    }
    let Time { seconds, nanos } = entry.mtime;
    if nanos != 0 || u64::try_from(seconds).map_or(true, |seconds| seconds > MAX_OCTAL_12) {
        pax::put_record(&mut records, b"mtime", pax::time_value(entry.mtime).as_bytes());
    }
    if entry.entry_type != EntryType::HardLink {
        let mut xattrs: Vec<_> = entry.xattrs.iter().collect();
        xattrs.sort_by(|a, b| pax::xattr_order(a.0, b.0));
        for (name, value) in xattrs {
            pax::put_xattr(&mut records, name, value);
        }
    }
    records
}

/// `dir/PaxHeaders/base` for the entry `dir/base` (GNU tar manual, "Controlling Extended Header Keywords":
/// `exthdr.name`), which the header cuts at 100 bytes.
fn pax_header_name(name: &[u8]) -> Vec<u8> {
    let name = match name {
        [rest @ .., b'/'] => rest,
        name => name,
    };
    let (directory, base) = match name.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&name[..slash], &name[slash + 1..]),
        None => (&b"."[..], name),
    };
    [directory, b"/PaxHeaders/", base].concat()
}

fn put_octal_or_zero(field: &mut [u8], value: u64) {
    if !put_octal(field, value) {
        put_octal(field, 0);
    }
}

/// Copies what fits.
fn put_bytes(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    field.fill(0);
    field[..length].copy_from_slice(&bytes[..length]);
}

/// Fills in the checksum, the sum of all bytes with the field itself as spaces (POSIX), in the way of GNU tar:
/// six digits, a NUL and a space.
fn finish(mut block: Header, out: &mut Vec<u8>) {
    block.as_old_mut().cksum = *b"        ";
    let sum: u64 = block.as_bytes().iter().map(|&byte| u64::from(byte)).sum();
    put_octal(&mut block.as_old_mut().cksum[..7], sum);
    out.extend_from_slice(block.as_bytes());
    debug_assert_eq!(out.len() as u64 % BLOCK, 0);
}
