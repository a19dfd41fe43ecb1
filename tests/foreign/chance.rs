//! Random tars: entries of all dialects with headers of all kinds before them, and damage.

use super::maker::{GNU, Header, USTAR, extended, long};
use super::support::random::Random;

const NAMES: &[&[u8]] = &[
    b"a",
    b"b",
    b"./c",
    b"d/",
    b"dir/e",
    b"/abs",
    b"..",
    b"x y",
    b"new\nline",
    b"\xff\xfe",
    "\u{e9}".as_bytes(),
    b"q\"\\",
];

/// A tar of some entries.
pub fn tar(random: &mut Random) -> Vec<u8> {
    let mut tar = Vec::new();
    for _ in 0..1 + random.below(6) {
        while random.once_in(2) {
            before(random, &mut tar);
        }
        tar.extend(entry(random));
    }
    if random.once_in(3) {
        damage(random, &mut tar);
    }
    tar.resize(tar.len() + random.pick(&[0, 512, 1024, 10_240]), 0);
    tar
}

fn name(random: &mut Random) -> Vec<u8> {
    match random.below(8) {
        0 => vec![b'n'; random.pick(&[99, 100, 101, 155, 256, 5000])],
        1 => [&[b'p'; 90][..], b"/", &[b'q'; 90]].concat(),
        _ => random.pick(NAMES).to_vec(),
    }
}

/// A header that describes the entry that follows.
fn before(random: &mut Random, tar: &mut Vec<u8>) {
    let name = name(random);
    if random.once_in(3) {
        return tar.extend(long(random.pick(b"LK"), &name));
    }
    let digits: &[&[u8]] = &[b"0", b"7", b"70000", b"2097152", b"4294967294", b"-2", b""];
    let mut records: Vec<(&str, Vec<u8>)> = Vec::new();
    for _ in 0..random.below(5) {
        records.push(match random.below(9) {
            0 => ("path", name.clone()),
            1 => ("linkpath", name.clone()),
            2 => ("uid", random.pick(digits).to_vec()),
            3 => ("gid", random.pick(digits).to_vec()),
            4 => (
                "mtime",
                random.pick(&[&b"5"[..], b"1700000000.125", b"-7", b""]).to_vec(),
            ),
            5 => (
                "size",
                random.pick(&[&b"0"[..], b"7", b"512", b"513", b"1024"]).to_vec(),
            ),
            6 => (
                "SCHILY.xattr.user.x",
                random
                    .pick(&[&b"v"[..], b"a\n12 path=no\n", b"", b"%3D"])
                    .to_vec(),
            ),
            7 => ("SCHILY.xattr.user.%3D%25", b"v".to_vec()),
            _ => ("comment", b"none".to_vec()),
        });
    }
    let records: Vec<(&str, &[u8])> = records
        .iter()
        .map(|(keyword, value)| (*keyword, &value[..]))
        .collect();
    let flag = if random.once_in(8) { b'g' } else { b'x' };
    tar.extend(extended(flag, &records));
}

fn entry(random: &mut Random) -> Vec<u8> {
    let flag = random.pick(b"000000\x00\x00112345567");
    let name = name(random);
    let magic = random.pick(&[USTAR, GNU, b"\0\0\0\0\0\0\0\0"]);
    let mut header = Header::new(&name[..name.len().min(100)], flag, 0).at(257, magic);
    if matches!(flag, b'1' | b'2') {
        header = header.at(157, random.pick(NAMES));
    }
    if matches!(flag, b'3' | b'4') {
        header = header.at(329, b"0000010\0").at(337, b"0000377\0");
    }
    if magic == USTAR && random.once_in(4) {
        header = header.at(345, random.pick(NAMES));
    }
    for (place, values) in [
        (
            100,
            &[&b"0000755\0"[..], b"   755 \0", b"0107777\0", b"\0\0\0\0\0\0\0\0"][..],
        ),
        (
            108,
            &[
                b"0001750\0",
                b"\x80\0\0\0\xff\xff\xff\xfe",
                b"7777777\0",
                b"      7 ",
            ],
        ),
        (
            136,
            &[
                b"14000000000\0",
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0",
                b"           5",
            ],
        ),
    ] {
        if random.once_in(3) {
            header = header.at(place, random.pick(values));
        }
    }
    let length = match flag {
        b'0' | 0 | b'7' => random.pick(&[0, 1, 511, 512, 513, 2000]),
        _ if random.once_in(6) => 512,
        _ => 0,
    };
    // What has no content has no header in it either, for those who look there.
    let content: Vec<u8> = (0..length).map(|_| random.next() as u8 | 1).collect();
    match random.once_in(40) {
        true => header.signed(),
        false => header.with(&content),
    }
}

/// Other bytes in the fields of some block; as a rule its checksum is made right.
fn damage(random: &mut Random, tar: &mut [u8]) {
    for _ in 0..1 + random.below(3) {
        let block = random.below(tar.len() / 512) * 512;
        let at = random.pick(&[
            0, 99, 100, 106, 108, 115, 116, 124, 130, 135, 136, 146, 156, 157, 257, 262, 263, 345, 500,
        ]);
        tar[block + at] = random.pick(b"\0 /07912345xgLKS\xff\x80-");
        if random.below(10) > 0 {
            let header = Header::new(b"", 0, 0).at(0, &tar[block..block + 512]).done();
            tar[block..block + 512].copy_from_slice(&header);
        }
    }
}
