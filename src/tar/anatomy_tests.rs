//! That blocks and fields are what the reader makes of them: every byte belongs to one run, and a field that is
//! said to set an attribute sets that one.

use super::*;
use crate::compress::gzip::tests::noise;
use crate::tar::read_tests::{fix_sum, global, header, put, with_records};
use crate::tar::{EntryHeader, EntryType, Format};
use std::collections::BTreeMap as Map;

/// PAX records.
fn records(all: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (keyword, value) in all {
        pax::put_record(&mut out, keyword.as_bytes(), value.as_bytes());
    }
    out
}

/// All runs of a tar, and of each entry where it begins and its fields.
fn dissect(tar: &[u8]) -> (Vec<Run>, Vec<(Entry, Fields)>) {
    let content = Content::inline(tar);
    let mut entries = Entries::new(content.clone());
    let (mut all, mut found) = (Vec::new(), Vec::new());
    loop {
        let place = entries.place();
        let Some(entry) = entries.next() else { break };
        let entry = entry.unwrap();
        all.extend(runs(&content, place.offset, &entry).unwrap());
        found.push((entry, fields(&content, &place).unwrap()));
    }
    let ending = entries.ending().unwrap().unwrap();
    all.extend(ending_runs(&content, &ending).unwrap());
    (all, found)
}

fn example() -> Vec<u8> {
    let xattrs = Map::from([(b"user.a=".to_vec(), b"1\n2".to_vec())]);
    let none = Map::new();
    let mut tar = global(&records(&[
        ("uid", "700000"),
        ("mtime", "1234"),
        ("comment", "hello"),
    ]));
    let long = EntryHeader {
        entry_type: EntryType::HardLink,
        link_name: &[b'k'; 700],
        ..header(&[b'n'; 101], &none)
    };
    put(&mut tar, &long, b"", Format::Gnu);
    put(
        &mut tar,
        &header("\u{e9}z".as_bytes(), &xattrs),
        &noise(1, 1000),
        Format::Pax,
    );
    let device = EntryHeader {
        entry_type: EntryType::BlockDevice,
        device: (8, 1),
        ..header(b"dev", &none)
    };
    put(&mut tar, &device, b"", Format::Pax);
    tar.extend(with_records(&records(&[
        ("path", "b"),
        ("path", "c"),
        ("size", "3"),
        ("gid", "5"),
        ("SCHILY.xattr.user.x", ""),
    ])));
    let map = records(&[
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "r"),
        ("GNU.sparse.realsize", "900"),
    ]);
    let sparse = tar.len() + 1024;
    tar.extend(with_records(&map));
    tar.truncate(sparse + 512);
    tar.extend(b"1\n500\n7\n");
    tar.resize(sparse + 1024, 0);
    tar.extend(b"content");
    tar.resize(sparse + 1536, 0);
    tar[sparse + 124..sparse + 135].copy_from_slice(b"00000001007");
    fix_sum(&mut tar, sparse);
    tar.extend(global(&records(&[("comment", "no entry follows")])));
    tar.resize(tar.len() + 1024, 0);
    tar.extend(b"end");
    tar
}

#[test]
fn zeros_that_fill_a_record_are_the_end() {
    let (runs, _) = dissect(&[0; 10_240]);
    assert!(runs.iter().all(|run| run.kind == BlockKind::End), "{runs:?}");
}

#[test]
fn every_block_is_something() {
    let tar = example();
    let (runs, _) = dissect(&tar);
    let mut at = 0;
    for run in &runs {
        assert_eq!(run.offset, at, "{runs:?}");
        assert!(run.blocks > 0 && (1..=512).contains(&run.used));
        at += run.blocks * 512;
    }
    assert_eq!(at, (tar.len() as u64).next_multiple_of(512));
    use BlockKind::*;
    let kinds: Vec<_> = runs.iter().map(|run| (run.kind, run.blocks, run.used)).collect();
    assert_eq!(
        kinds,
        [
            (GlobalHeader, 1, 512),
            (PaxRecords, 1, 45),
            (LongName, 1, 512),
            (LongName, 2, 189),
            (LongName, 1, 512),
            (LongName, 1, 102),
            (Header, 1, 512),
            (PaxHeader, 1, 512),
            (PaxRecords, 1, 42),
            (Header, 1, 512),
            (Data, 2, 488),
            (Header, 1, 512),
            (PaxHeader, 1, 512),
            (PaxRecords, 1, 59),
            (Header, 1, 512),
            (Data, 1, 3),
            (PaxHeader, 1, 512),
            (PaxRecords, 1, 92),
            (Header, 1, 512),
            (SparseMap, 1, 512),
            (Data, 1, 7),
            (GlobalHeader, 1, 512),
            (PaxRecords, 1, 28),
            (End, 2, 512),
            (Trailing, 1, 3),
        ]
    );
}

/// What an attribute of an entry is, as text.
fn attribute(entry: &Entry, attribute: &Attribute) -> String {
    match attribute {
        Attribute::Path => escape(&entry.name),
        Attribute::Kind => format!("{:?}", entry.entry_type),
        Attribute::Mode => format!("{:04o}", entry.mode),
        Attribute::Uid => entry.uid.to_string(),
        Attribute::Gid => entry.gid.to_string(),
        Attribute::Mtime => entry.mtime.seconds.to_string(),
        Attribute::Size => entry.size.to_string(),
        Attribute::Target => escape(&entry.link_name),
        Attribute::Device => format!("{:?}", entry.device),
        Attribute::Xattr(name) => escape(&entry.xattrs[name]),
        Attribute::Checksum => String::new(),
    }
}

/// Each attribute is set by one field (a prefix and the two numbers of a device apart), and it says so.
#[test]
fn fields_say_what_they_set() {
    let (_, found) = dissect(&example());
    for (entry, Fields { fields, more }) in &found {
        assert!(!more);
        let mut setters: Vec<&Field> = Vec::new();
        for field in fields {
            let Some(sets) = field.attribute.as_ref().filter(|_| !field.overridden) else {
                continue;
            };
            let twice = setters.iter().any(|other| other.attribute == field.attribute);
            assert!(!twice || *sets == Attribute::Device, "{field:?}");
            setters.push(field);
            match sets {
                Attribute::Kind | Attribute::Device | Attribute::Checksum => {}
                sets => assert_eq!(field.value, attribute(entry, sets), "{field:?}"),
            }
        }
        // A global record may stand before another entry, and set these.
        let is_global = |odd: &Oddity| matches!(odd, Oddity::GlobalRecord { .. });
        let globals = entry.oddities.iter().filter(|odd| is_global(odd)).count();
        let needed = [
            Attribute::Path,
            Attribute::Kind,
            Attribute::Mode,
            Attribute::Uid,
            Attribute::Mtime,
        ];
        let is_set = |sets: &Attribute| setters.iter().any(|field| field.attribute.as_ref() == Some(sets));
        let missing: Vec<_> = needed.iter().filter(|sets| !is_set(sets)).collect();
        assert!(missing.is_empty() || missing == [&Attribute::Uid, &Attribute::Mtime] && globals == 2);
        let xattrs = setters
            .iter()
            .filter(|field| matches!(field.attribute, Some(Attribute::Xattr(_))));
        assert_eq!(xattrs.count(), entry.xattrs.len());
        assert!(
            fields.is_sorted_by(|a, b| a.offset < b.offset),
            "fields stand in order"
        );
    }
}

/// A byte that is changed inside a field changes what the field is said to set, and nothing else.
#[test]
fn changing_a_field_changes_its_attribute() {
    let tar = example();
    let (_, before) = dissect(&tar);
    let mut changed = 0;
    for (index, (entry, Fields { fields, .. })) in before.iter().enumerate() {
        for field in fields {
            // Other types, sizes and sums make other tars, or none.
            let is_frame = |name: &str| matches!(name, "chksum" | "typeflag" | "size" | "magic" | "sparse");
            if is_frame(&field.name) || field.name.starts_with("GNU.sparse") {
                continue;
            }
            let mut bytes = field.offset as usize..(field.offset + field.length) as usize;
            let Some(at) = bytes.rfind(|&at| tar[at].is_ascii_alphanumeric()) else {
                continue;
            };
            let mut other = tar.clone();
            other[at] ^= 1;
            let mut headers = (0..=at / 512 * 512).rev().step_by(512);
            let header = headers.find(|&at| tar[at + 257..].starts_with(b"ustar"));
            fix_sum(&mut other, header.unwrap());
            let (_, after) = dissect(&other);
            let is_set = |sets: &Attribute| field.attribute.as_ref() == Some(sets) && !field.overridden;
            for sets in [
                Attribute::Path,
                Attribute::Kind,
                Attribute::Mode,
                Attribute::Uid,
                Attribute::Gid,
                Attribute::Mtime,
                Attribute::Size,
                Attribute::Target,
                Attribute::Device,
            ] {
                let differs = attribute(entry, &sets) != attribute(&after[index].0, &sets);
                assert_eq!(differs, is_set(&sets), "{field:?} and {sets:?}");
                changed += usize::from(differs);
            }
        }
    }
    assert!(changed > 15, "{changed}");
}

#[test]
fn what_is_listed_is_bounded() {
    let records = b"5 a=\n".repeat(200_000);
    let tar = with_records(&records[..1_000_000]);
    let (_, found) = dissect(&tar);
    assert!(found[0].1.more && found[0].1.fields.len() == FIELD_LIMIT);
    assert_eq!(found[0].0.oddities.len(), crate::tar::ODDITY_LIMIT);
    let mut long = b"20005 path=".to_vec();
    long.resize(20_004, 0xff);
    long.push(b'\n');
    let (_, found) = dissect(&with_records(&long));
    let field = found[0]
        .1
        .fields
        .iter()
        .find(|field| field.name == "path")
        .unwrap();
    assert_eq!((field.length, field.value.len()), (20_005, 4 * VALUE_LIMIT));
}
