//! Frames made by hand and by ruzstd's encoder; the zstd of others is in `tests/compressed.rs`.

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;
use crate::compress::gzip::tests::{noise, random};

/// Decodes with windows of these sizes.
fn unzstd(stream: &[u8], window: usize, room: usize) -> Result<(Vec<u8>, Unzstd), ZstdError> {
    let (mut unzstd, mut out, mut buffer) = (Unzstd::new(), Vec::new(), vec![0; room]);
    for mut input in stream.chunks(window).chain([&[][..]]) {
        if input.is_empty() {
            unzstd.end();
        }
        loop {
            let step = unzstd.step(input, &mut buffer)?;
            out.extend_from_slice(&buffer[..step.written]);
            input = &input[step.consumed..];
            if (step.consumed, step.written) == (0, 0) {
                assert!(input.is_empty());
                break;
            }
        }
    }
    Ok((out, unzstd))
}

fn frame(descriptor: u8, fields: &[u8], blocks: &[&[u8]]) -> Vec<u8> {
    [&MAGIC[..], &[descriptor], fields, &blocks.concat()].concat()
}

/// A block of `size` times the same byte.
fn run(is_last: bool, byte: u8, size: u32) -> Vec<u8> {
    let header = u32::from(is_last) | 1 << 1 | size << 3;
    [&header.to_le_bytes()[..3], &[byte]].concat()
}

fn skippable(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_le_bytes();
    [&b"\x5a\x2a\x4d\x18"[..], &length, content].concat()
}

#[test]
fn frames_in_windows_of_all_sizes() {
    let content = noise(1, 400_000);
    let encoded = compress_to_vec(&content[..], CompressionLevel::Fastest);
    let hand = frame(0, &[0x40], &[&run(false, b'a', 131_072), &run(true, b'b', 3)]);
    let stream = [
        &skippable(b"first")[..],
        &encoded,
        &skippable(b""),
        &hand,
        &frame(0x20, &[0], &[&run(true, 0, 0)]),
        &encoded,
    ]
    .concat();
    let expected = [&content[..], &[b'a'; 131_072], b"bbb", &content].concat();
    for (window, room) in [
        (1, 70_000),
        (7, 3000),
        (4096, 1),
        (100_000, 65_536),
        (usize::MAX, (1 << 28) - 1),
    ] {
        let (out, unzstd) = unzstd(&stream, window, room).unwrap();
        assert!(out == expected, "{window} {room}");
        let skipped = Skipped {
            offset: 0,
            count: 2,
            bytes: 21,
        };
        assert_eq!((unzstd.frames(), unzstd.skipped()), (4, skipped));
        assert_eq!(unzstd.reached(), (expected.len() as u64, stream.len() as u64));
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let error = |stream: &[u8]| unzstd(stream, 5, 5).err().unwrap();
    let one = run(true, b'x', 9);
    assert_eq!(error(&frame(8, &[0], &[&one])), ZstdError::Reserved { offset: 0 });
    let big = [&skippable(b""), &frame(0, &[0x89], &[&one])[..]].concat();
    let (offset, window) = (8, (128 << 20) + (16 << 20));
    assert_eq!(error(&big), ZstdError::Window { offset, window });
    let huge = frame(0xe0, &[0xff; 8], &[&one]);
    assert_eq!(
        error(&huge),
        ZstdError::Window {
            offset: 0,
            window: u64::MAX
        }
    );
    assert_eq!(
        error(&frame(1, &[0, 7], &[&one])),
        ZstdError::Dictionary { offset: 0, id: 7 }
    );
    let (expected, found) = (8, 5);
    assert_eq!(
        error(&frame(0x20, &[8], &[&run(true, b'x', 5)])),
        ZstdError::ContentSize {
            offset: 10,
            expected,
            found
        }
    );
    assert!(matches!(
        error(&frame(
            0x40,
            &[0, 0, 0],
            &[&run(false, b'x', 200), &run(true, b'x', 200)]
        )),
        ZstdError::ContentSize {
            expected: 256,
            found: 257..=400,
            ..
        }
    ));
    assert_eq!(error(&frame(0x20, &[8], &[&one])), ZstdError::Block { offset: 6 });
    assert_eq!(
        error(&frame(0, &[0], &[b"\x07\0\0"])),
        ZstdError::Block { offset: 6 }
    );
    assert_eq!(
        error(b"junk"),
        ZstdError::Magic {
            offset: 0,
            found: 0x6b6e_756a
        }
    );
    let good = [&frame(4, &[0], &[&one])[..], &[0; 4]].concat();
    assert!(matches!(
        error(&good),
        ZstdError::Checksum {
            offset: 14,
            expected: 0,
            ..
        }
    ));
    for end in 1..good.len() {
        let error = error(&good[..end]);
        assert!(
            matches!(error, ZstdError::Truncated { offset, .. } if offset == end as u64),
            "{error}"
        );
    }
    assert!(matches!(
        error(&skippable(b"abc")[..9]),
        ZstdError::Truncated { offset: 9, .. }
    ));
}

/// A frame that may refer far back is kept as long as it says, and not longer.
#[test]
fn only_the_window_is_kept() {
    let blocks: Vec<_> = (0..50).map(|at| run(at == 49, at, 131_072)).collect();
    let blocks: Vec<&[u8]> = blocks.iter().map(|block| &block[..]).collect();
    // A window of a MiB.
    let stream = frame(0, &[10 << 3], &blocks);
    let (mut unzstd, mut buffer, mut written) = (Unzstd::new(), vec![0; 10_000], 0);
    for byte in stream.chunks(1) {
        let mut input = byte;
        loop {
            let step = unzstd.step(input, &mut buffer).unwrap();
            input = &input[step.consumed..];
            written += step.written as u64;
            if (step.consumed, step.written) == (0, 0) {
                break;
            }
        }
        let held = unzstd.reached().0 - written;
        assert!(held <= 1 << 20, "{held}");
        assert!(unzstd.reached().0 < 2 << 20 || held == 1 << 20 || written == 50 * 131_072);
    }
    assert_eq!(written, 50 * 131_072);
}

/// Damage is an error or goes unnoticed; it is never a panic, and never other content under a checksum.
#[test]
fn mutations_are_noticed() {
    let content = noise(2, 20_000);
    let mut good = compress_to_vec(&content[..], CompressionLevel::Fastest);
    assert_ne!(good[4] & CHECKSUM, 0, "the encoder writes checksums");
    good.extend(skippable(b"abc"));
    let mut random = random(3);
    for _ in 0..3000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random() % 3 {
            let at = random() as usize % bytes.len();
            bytes[at] = random() as u8;
        }
        if let Ok((out, _)) = unzstd(&bytes, 1 + random() as usize % 30_000, 1 << 16) {
            assert!(out == content || bytes[4] & CHECKSUM == 0);
        }
    }
}
