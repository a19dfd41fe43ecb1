//! What the reader makes of headers of every kind, and of damage.

use std::collections::BTreeMap;

use super::*;
use crate::compress::gzip::tests::{noise, random};
use crate::content::Content;
use crate::tar::{EntryHeader, EntryType, Format, SparseError, encode, end_padding};
use crate::tree::Time;

fn entries(bytes: &[u8]) -> Result<Vec<Entry>, TarError> {
    Entries::new(Content::inline(bytes)).collect()
}

pub(in crate::tar) fn header<'a>(name: &'a [u8], xattrs: &'a BTreeMap<Vec<u8>, Vec<u8>>) -> EntryHeader<'a> {
    EntryHeader {
        name,
        entry_type: EntryType::Regular,
        link_name: b"",
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Time::at(0),
        size: 0,
        device: (0, 0),
        xattrs,
    }
}

pub(in crate::tar) fn put(out: &mut Vec<u8>, header: &EntryHeader<'_>, content: &[u8], format: Format) {
    let header = EntryHeader {
        size: content.len() as u64,
        ..*header
    };
    encode(&header, format, out);
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

/// Sets the checksum after a change to the header at `at`.
pub(in crate::tar) fn fix_sum(tar: &mut [u8], at: usize) {
    tar[at + 148..at + 156].fill(b' ');
    let sum: u32 = tar[at..at + 512].iter().map(|&byte| u32::from(byte)).sum();
    tar[at + 148..at + 155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

/// A tar with one `x` header of these data before an entry `a`.
pub(in crate::tar) fn with_records(data: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    let none = BTreeMap::new();
    put(&mut tar, &header(b"x", &none), data, Format::Gnu);
    tar[156] = b'x';
    fix_sum(&mut tar, 0);
    put(&mut tar, &header(b"a", &none), b"content", Format::Gnu);
    tar
}

/// A global header of these records.
pub(in crate::tar) fn global(data: &[u8]) -> Vec<u8> {
    let mut tar = with_records(data);
    tar[156] = b'g';
    fix_sum(&mut tar, 0);
    tar.truncate(512 + data.len().next_multiple_of(512));
    tar
}

#[test]
fn what_is_written_is_read() {
    let xattrs = BTreeMap::from([
        (b"user.a=%".to_vec(), b"\n22 linkpath=/etc/evil\n".to_vec()),
        (b"user.b".to_vec(), Vec::new()),
    ]);
    let (none, long) = (BTreeMap::new(), vec![b'n'; 5000]);
    for format in [Format::Gnu, Format::Pax] {
        let mut tar = Vec::new();
        let device = EntryHeader {
            entry_type: EntryType::CharDevice,
            device: (4095, 1_048_575),
            ..header(b"./dev", &none)
        };
        let link = EntryHeader {
            entry_type: EntryType::HardLink,
            link_name: &long,
            uid: u32::MAX,
            gid: 2_097_152,
            mtime: Time::at(-77),
            ..header(&long, &none)
        };
        put(&mut tar, &device, b"", format);
        put(&mut tar, &link, b"", format);
        put(
            &mut tar,
            &header("./\u{e9}\n".as_bytes(), &xattrs),
            b"content",
            format,
        );
        tar.resize(tar.len() + end_padding(tar.len() as u64) as usize, 0);
        let read = entries(&tar).unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!(
            (read[0].entry_type, read[0].device),
            (ReadType::CharDevice, (4095, 1_048_575))
        );
        assert_eq!((&read[1].name, &read[1].link_name), (&long, &long));
        assert_eq!(
            (read[1].uid, read[1].gid, read[1].mtime),
            (u32::MAX, 2_097_152, Time::at(-77))
        );
        assert_eq!(read[2].name, "./\u{e9}\n".as_bytes());
        assert_eq!(read[2].content.read_all(9).unwrap(), b"content");
        assert_eq!(read[2].xattrs == xattrs, format == Format::Pax);
        assert!(read.windows(2).all(|pair| pair[0].end == pair[1].offset));
    }
}

#[test]
fn headers_of_others() {
    assert_eq!(entries(b"").unwrap().len(), 0);
    assert_eq!(entries(&[0; 1024]).unwrap().len(), 0);
    // V7: no magic, a directory by its name.
    let mut v7 = Vec::new();
    put(&mut v7, &header(b"d/", &BTreeMap::new()), b"", Format::Gnu);
    v7[257..265].fill(0);
    v7[156] = 0;
    fix_sum(&mut v7, 0);
    assert_eq!(entries(&v7).unwrap()[0].entry_type, ReadType::Directory);
    // ustar's prefix; GNU's header has other things there.
    let mut ustar = Vec::new();
    put(&mut ustar, &header(b"base", &BTreeMap::new()), b"", Format::Pax);
    ustar[345..348].copy_from_slice(b"dir");
    fix_sum(&mut ustar, 0);
    assert_eq!(entries(&ustar).unwrap()[0].name, b"dir/base");
    ustar[257..265].copy_from_slice(b"ustar  \0");
    fix_sum(&mut ustar, 0);
    assert_eq!(entries(&ustar).unwrap()[0].name, b"base");
    // The sum of signed bytes.
    let mut signed = Vec::new();
    put(
        &mut signed,
        &header(b"\xff\xff", &BTreeMap::new()),
        b"",
        Format::Gnu,
    );
    let sum = u32::from_str_radix(str::from_utf8(&signed[148..154]).unwrap(), 8).unwrap() - 512;
    signed[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    assert_eq!(entries(&signed).unwrap()[0].name, b"\xff\xff");
    // What has no content has none, whatever its size says.
    let mut sized = Vec::new();
    put(&mut sized, &header(b"l", &BTreeMap::new()), b"", Format::Gnu);
    sized[156] = b'2';
    sized[124..135].copy_from_slice(b"00000001000");
    fix_sum(&mut sized, 0);
    put(&mut sized, &header(b"next", &BTreeMap::new()), b"", Format::Gnu);
    assert_eq!(entries(&sized).unwrap()[1].name, b"next");
}

#[test]
fn records_over_headers() {
    let read = |data: &[u8]| entries(&with_records(data)).unwrap().remove(0);
    let entry = read(b"9 path=b\n9 path=c\n10 size=3\n");
    assert_eq!((&entry.name[..], entry.size), (&b"c"[..], 3));
    assert_eq!(entry.content.read_all(9).unwrap(), b"con");
    assert_eq!(read(b"8 path=\n16 comment=what\n").name, b"a");
    assert_eq!(
        read(b"13 uid=70000\n14 mtime=-5.5\n").mtime,
        Time {
            seconds: -6,
            nanos: 500_000_000
        }
    );
    // A global record holds until one of an entry's own says otherwise.
    let mut global = with_records(b"9 path=g\n14 mtime=1234\n");
    global.splice(..1024, self::global(b"9 path=g\n14 mtime=1234\n"));
    global.extend(with_records(b"9 path=l\n"));
    let all = entries(&global).unwrap();
    assert_eq!((&all[0].name[..], all[0].offset), (&b"g"[..], 1024));
    assert_eq!((&all[1].name[..], all[1].mtime), (&b"l"[..], Time::at(1234)));
}

#[test]
fn errors_say_what_and_where() {
    let good = with_records(b"9 path=b\n");
    let changed = |at: usize, bytes: &[u8], fix: Option<usize>| {
        let mut tar = good.clone();
        tar[at..at + bytes.len()].copy_from_slice(bytes);
        if let Some(header) = fix {
            fix_sum(&mut tar, header);
        }
        entries(&tar).unwrap_err()
    };
    assert!(matches!(changed(0, b"?", None), TarError::NotTar { .. }));
    assert!(matches!(entries(b"short").unwrap_err(), TarError::NotTar { found } if found == "short"));
    assert!(matches!(
        changed(1030, b"?", None),
        TarError::Checksum { offset: 1024, .. }
    ));
    let field = changed(1024 + 108, b"89", Some(1024));
    assert!(
        matches!(
            field,
            TarError::Field {
                offset: 1024,
                field: "uid",
                ..
            }
        ),
        "{field}"
    );
    let long = changed(124, b"77777777777", Some(0));
    assert!(
        matches!(
            long,
            TarError::TooLong {
                offset: 0,
                limit: NAME_LIMIT,
                ..
            }
        ),
        "{long}"
    );
    assert!(matches!(
        changed(512, b"8", None),
        TarError::Record { offset: 512, .. }
    ));
    let size = changed(1024 + 124, b"00000001001", Some(1024));
    assert!(matches!(size, TarError::Truncated { offset: 1024, .. }), "{size}");
    assert!(matches!(
        changed(1024 + 156, b"S", Some(1024)),
        TarError::Sparse {
            offset: 1024,
            reason: SparseError::Stored { pieces: 0, stored: 7 }
        }
    ));
    assert_eq!(
        entries(&good[..1024]).unwrap_err(),
        TarError::Dangling { offset: 0 }
    );
    let cut = entries(&good[..1500]).unwrap_err();
    assert!(matches!(
        cut,
        TarError::Truncated {
            offset: 1024,
            length: 1500,
            ..
        }
    ));
    let error = |data: &[u8]| entries(&with_records(data)).unwrap_err();
    assert!(matches!(
        error(b"10 size=x\n"),
        TarError::Value { keyword: "size", .. }
    ));
    assert!(matches!(
        error(b"18 uid=4294967296\n"),
        TarError::Value { keyword: "uid", .. }
    ));
    let sparse = error(b"24 GNU.sparse.map=0,9,3\n");
    let reason = SparseError::Unpaired;
    assert_eq!(sparse, TarError::Sparse { offset: 1024, reason });
}

#[test]
fn damage_is_no_panic() {
    let mut good = with_records(b"13 uid=70000\n14 mtime=-5.5\n25 SCHILY.xattr.user.q=4\n");
    good.extend(with_records(b"9 path=b\n"));
    let none = BTreeMap::new();
    put(
        &mut good,
        &header(&[b'l'; 300], &none),
        &noise(2, 3000),
        Format::Gnu,
    );
    let mut random = random(4);
    for _ in 0..10_000 {
        let mut tar = good.clone();
        for _ in 0..1 + random() % 4 {
            let at = random() as usize % tar.len();
            tar[at] = random() as u8;
        }
        for at in (0..tar.len()).step_by(512) {
            if random().is_multiple_of(2) {
                fix_sum(&mut tar, at);
            }
        }
        tar.truncate(random() as usize % (2 * tar.len()));
        let _ = entries(&tar);
    }
}
