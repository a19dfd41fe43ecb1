//! Streams of every packing through the same steps.

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;
use crate::compress::gz1;
use crate::compress::gzip::tests::noise;
use crate::scratch::MemorySpace;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = gz1::HEADER.to_vec();
    let mut deflater = gz1::SegmentDeflater::new();
    deflater.push(bytes, &mut out);
    let sum = deflater.finish(&mut out);
    out.extend_from_slice(&sum.trailer());
    out
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

fn inflate(bytes: &[u8], limit: u64) -> (Vec<u8>, Result<Inflate, InflateError>) {
    let mut inflate = Inflate::new(&Content::inline(bytes), limit).unwrap();
    let mut out = Vec::new();
    loop {
        let (written, offset) = (inflate.written(), inflate.offset());
        let more = inflate.step(|bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        match more {
            Err(error) => return (out, Err(error)),
            Ok(false) => return (out, Ok(inflate)),
            Ok(true) => {}
        }
        let (given, taken) = (inflate.written() - written, inflate.offset() - offset);
        assert!(given <= GIVEN as u64 && taken <= READ as u64 && given + taken > 0);
    }
}

#[test]
fn packing_is_told_by_the_first_bytes() {
    for (start, packing) in [
        (&b""[..], Packing::Plain),
        (b"\x1f\x8b", Packing::Plain),
        (b"\x1f\x8b\x09", Packing::Plain),
        (b"\x1f\x8b\x08", Packing::Gzip),
        (b"\x28\xb5\x2f\xfd", Packing::Zstd),
        (b"\x5f\x2a\x4d\x18....", Packing::Zstd),
        (b"\x60\x2a\x4d\x18....", Packing::Plain),
        (b"./\0\0\0", Packing::Plain),
    ] {
        assert_eq!(Packing::of(&Content::inline(start)), Ok(packing), "{start:?}");
    }
}

#[test]
fn all_packings_give_the_same_bytes() {
    let bytes = noise(1, 1_000_000);
    for (packed, packing) in [
        (bytes.clone(), Packing::Plain),
        (gzip(&bytes), Packing::Gzip),
        (zstd(&bytes), Packing::Zstd),
    ] {
        let (out, inflate) = inflate(&packed, bytes.len() as u64);
        let inflate = inflate.unwrap();
        assert!(out == bytes, "{packing:?}");
        assert_eq!((inflate.packing(), inflate.notes()), (packing, vec![]));
        assert_eq!(
            (inflate.offset(), inflate.written()),
            (packed.len() as u64, bytes.len() as u64)
        );
        let pairs: Vec<_> = inflate.offsets().pairs().collect();
        assert!(
            pairs.len() > 5 && pairs.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1),
            "{packing:?}: {pairs:?}"
        );
        assert_eq!(pairs.last(), Some(&(bytes.len() as u64, packed.len() as u64)));
        let plain = plain(&Content::inline(&packed[..]), &MemorySpace).unwrap();
        assert!(plain.read_all(1 << 20).unwrap() == bytes);
    }
}

#[test]
fn what_others_read_otherwise_is_noted() {
    let notes = |bytes: &[u8]| inflate(bytes, 99).1.unwrap().notes();
    let (member, frame) = (gzip(b"content"), zstd(b"content"));
    let size = member.len() as u64;
    assert_eq!(
        notes(&[&member[..], &member, &[0; 30]].concat()),
        [
            PackingNote::Pieces { count: 2 },
            PackingNote::Padding {
                offset: 2 * size,
                length: 30
            }
        ]
    );
    let skipped = Skipped {
        offset: 2 * frame.len() as u64,
        count: 1,
        bytes: 11,
    };
    assert_eq!(
        notes(&[&frame[..], &frame, b"\x50\x2a\x4d\x18\x03\0\0\0abc"].concat()),
        [PackingNote::Pieces { count: 2 }, PackingNote::Skippable(skipped)]
    );
    assert_eq!(notes(b"plain"), []);
}

#[test]
fn what_came_before_an_error_was_given() {
    let bytes = noise(2, 700_000);
    for packed in [gzip(&bytes), zstd(&bytes)] {
        let half = packed.len() / 2;
        let (out, cut) = inflate(&packed[..half], u64::MAX);
        assert!(out.len() > 200_000 && bytes.starts_with(&out), "{}", out.len());
        assert!(matches!(
            cut,
            Err(InflateError::Gzip(GzipError::Truncated { .. })
                | InflateError::Zstd(ZstdError::Truncated { .. }))
        ));
        // Damaged data may inflate to something for a while.
        let mut damaged = packed.clone();
        damaged[half..half + 100].fill(0xff);
        let (out, error) = inflate(&damaged, 1 << 20);
        assert!(out.starts_with(&bytes[..200_000]) && error.is_err());
        let (out, large) = inflate(&packed, 200_000);
        assert!(out.len() > 100_000 && bytes.starts_with(&out));
        assert!(matches!(large, Err(InflateError::TooLarge { limit: 200_000, offset }) if offset > 0));
    }
}
