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

#[test]
fn what_stands_behind_the_last_entry() {
    let mut tar = with_records(b"9 path=b\n");
    let start = tar.len() as u64;
    let ending = |tar: &[u8]| {
        let mut entries = Entries::new(Content::inline(tar));
        assert_eq!(entries.ending(), Ok(None));
        assert_eq!(entries.by_ref().count(), 1);
        let ending = entries.ending().unwrap().unwrap();
        assert_eq!(ending.start, start);
        (
            ending.offset - start,
            ending.marker,
            ending.rest - start,
            ending.length,
            ending.data,
        )
    };
    assert_eq!(ending(&tar), (0, 0, 0, 0, None));
    tar.resize(tar.len() + 300, 0);
    assert_eq!(ending(&tar), (0, 0, 0, 300, None));
    tar.resize(tar.len() + 212, 0);
    assert_eq!(ending(&tar), (0, 1, 512, 0, None));
    tar.resize(tar.len() + 1024, 0);
    assert_eq!(ending(&tar), (0, 2, 1024, 512, None));
    tar.push(7);
    assert_eq!(ending(&tar), (0, 2, 1024, 513, Some(start + 1536)));
    tar[start as usize + 700] = 7;
    assert_eq!(ending(&tar), (0, 1, 512, 1025, Some(start + 700)));
    tar.splice(start as usize..start as usize, global(b"13 comment=c\n"));
    assert_eq!(ending(&tar), (1024, 1, 1536, 1025, Some(start + 1724)));
    // After an error nothing is known of what follows.
    let mut entries = Entries::new(Content::inline(&tar[..700]));
    assert!(entries.next().unwrap().is_err());
    assert!(entries.next().is_none() && entries.ending() == Ok(None));
}

#[test]
fn reading_goes_on_from_any_place() {
    let mut tar = global(b"14 mtime=1234\n");
    for number in 0..10 {
        tar.extend(with_records(format!("11 path={number}0\n").as_bytes()));
    }
    let content = Content::inline(tar);
    let mut entries = Entries::new(content.clone());
    let mut places = Vec::new();
    let mut names = Vec::new();
    loop {
        places.push(entries.place());
        let Some(entry) = entries.next() else { break };
        names.push(entry.unwrap().name);
    }
    for (index, place) in places.into_iter().enumerate() {
        let rest: Vec<Entry> = Entries::resume(content.clone(), place)
            .map(Result::unwrap)
            .collect();
        let found: Vec<_> = rest.iter().map(|entry| entry.name.clone()).collect();
        assert_eq!(found, names[index..]);
        assert!(rest.iter().all(|entry| entry.mtime == Time::at(1234)));
    }
}

#[test]
fn what_describes_an_entry_is_bounded() {
    let extended = |count: usize| -> Vec<u8> {
        let one = with_records(b"9 path=b\n");
        [&one[..1024].repeat(count), &one[1024..]].concat()
    };
    assert_eq!(entries(&extended(HEADER_LIMIT)).unwrap().len(), 1);
    let limit = HEADER_LIMIT;
    let error = entries(&extended(HEADER_LIMIT + 1)).unwrap_err();
    assert_eq!(
        error,
        TarError::Headers {
            offset: 1024 * 257,
            limit
        }
    );
    let mut records = b"40009 comment=".to_vec();
    records.resize(40_008, b'x');
    records.push(b'\n');
    let twice = [global(&records), global(&records), with_records(b"")].concat();
    assert!(matches!(
        entries(&twice).unwrap_err(),
        TarError::Globals {
            offset: 40_960,
            length: 80_018,
            limit: GLOBAL_LIMIT
        }
    ));
}

/// A tar with a file whose sparse map is this, in the way of PAX 0.1, and which stores seven bytes.
fn sparse(map: &str, size: u64) -> Result<Vec<Entry>, TarError> {
    let mut records = Vec::new();
    let size = size.to_string();
    for (keyword, value) in [("map", map), ("size", &size)] {
        let keyword = format!("GNU.sparse.{keyword}");
        crate::tar::pax::put_record(&mut records, keyword.as_bytes(), value.as_bytes());
    }
    entries(&with_records(&records))
}

#[test]
fn sparse_maps_that_make_no_file() {
    use SparseError::{Number, Order, Stored, TooLarge, Unpaired};
    let entry = sparse("0,3,5,0,8,4,20,0", 20).unwrap().remove(0);
    assert_eq!(
        entry.content.read_all(99).unwrap(),
        b"con\0\0\0\0\0tent\0\0\0\0\0\0\0\0"
    );
    assert_eq!((entry.size, entry.stored), (20, 7));
    let whole = sparse("0,7", 7).unwrap().remove(0).content;
    assert!(
        matches!(whole, Content::Inline(_)),
        "a file without holes is what is stored"
    );
    let length = crate::tar::FILE_LIMIT + 1;
    for (map, size, expected) in [
        ("0,3,2,4", 20, Order { at: 2, length: 4 }),
        ("0,7,21,0", 20, Order { at: 21, length: 0 }),
        ("0,7", 6, Order { at: 0, length: 7 }),
        (
            "18446744073709551615,7",
            20,
            Order {
                at: u64::MAX,
                length: 7,
            },
        ),
        ("0,6", 20, Stored { pieces: 6, stored: 7 }),
        ("0,8", 20, Stored { pieces: 8, stored: 7 }),
        ("0,7,9", 20, Unpaired),
        ("0,-7", 20, Number),
        ("0,7,", 20, Number),
        ("0,7", length, TooLarge { length }),
    ] {
        let Err(TarError::Sparse { offset: 1024, reason }) = sparse(map, size) else {
            panic!("{map} of {size} makes a file");
        };
        assert_eq!(reason, expected, "{map}");
    }
}
