//! What gzip(1) and zstd(1) write is read back to the same bytes, at every level and in every form that layers
//! come in: several members or frames, skippable frames, long windows. And what they refuse is refused.

mod support;

use std::process::{Command, Stdio};

use handroll::compress::inflate::{Inflate, InflateError, Packing, PackingNote};
use handroll::content::Content;
use support::output;
use support::random::Random;

fn inflated(packed: &[u8]) -> Result<(Vec<u8>, Inflate), InflateError> {
    let (mut inflate, mut out) = (Inflate::new(&Content::inline(packed), 1 << 30)?, Vec::new());
    while inflate.step(|bytes| {
        out.extend_from_slice(bytes);
        Ok(())
    })? {}
    Ok((out, inflate))
}

/// Bytes like those of layers: words, repeats from far and near, some noise.
fn bytes(random: &mut Random, length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 70_000);
    while bytes.len() < length {
        match random.below(4) {
            0 if !bytes.is_empty() => {
                let from = random.below(bytes.len());
                let to = bytes.len().min(from + random.below(5000));
                bytes.extend_from_within(from..to);
            }
            1 => bytes.resize(bytes.len() + random.below(20_000), random.next() as u8),
            2 => (0..random.below(300)).for_each(|_| bytes.push(random.next() as u8)),
            _ => bytes.extend_from_slice(b"/usr/share/doc/some-package/copyright\n"),
        }
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn what_gzip_and_zstd_write_is_read() {
    let mut random = Random::of_run();
    let tools: &[&[&str]] = &[
        &["gzip", "-1"],
        &["gzip", "-9"],
        &["zstd", "--fast=9"],
        &["zstd", "-1", "--no-check"],
        &["zstd", "-3", "--zstd=wlog=10"],
        &["zstd", "-12", "--long=27"],
        &["zstd", "-19", "-B65536"],
        &["zstd", "--ultra", "-22"],
    ];
    for length in [0, 1, 1000, 131_072, 131_073, 3_000_000 + random.below(1_000_000)] {
        let plain = bytes(&mut random, length);
        for tool in tools {
            let packed = output(Command::new(tool[0]).arg("-c").args(&tool[1..]), &plain);
            let (out, inflate) = inflated(&packed).unwrap_or_else(|error| panic!("{tool:?}: {error}"));
            assert!(out == plain, "{tool:?} of {length}: other bytes");
            assert_eq!(inflate.notes(), [], "{tool:?}");
            let packing = if tool[0] == "gzip" {
                Packing::Gzip
            } else {
                Packing::Zstd
            };
            assert_eq!(inflate.packing(), packing);
            let pairs: Vec<_> = inflate.offsets().pairs().collect();
            assert_eq!(
                pairs[pairs.len() - 1],
                (length as u64, packed.len() as u64),
                "{tool:?}"
            );
            assert!(
                pairs.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 3 * 131_072),
                "{tool:?}: {pairs:?}"
            );
        }
    }
}

/// What both the tools and we read, and what both refuse.
#[test]
fn the_tools_agree_on_what_is_damaged() {
    let mut random = Random::of_run();
    let plain = bytes(&mut random, 300_000);
    let skippable = b"\x53\x2a\x4d\x18\x05\0\0\0table";
    for tool in ["gzip", "zstd"] {
        let packed = output(Command::new(tool).arg("-c"), &plain);
        let mut several = [&packed[..], &packed].concat();
        if tool == "zstd" {
            several.extend_from_slice(skippable);
        }
        let (out, inflate) = inflated(&several).unwrap();
        assert!(out == [&plain[..], &plain].concat());
        assert_eq!(inflate.notes()[0], PackingNote::Pieces { count: 2 });
        assert!(accepts(tool, &several));
        for _ in 0..40 {
            let mut damaged = packed.clone();
            if random.once_in(3) {
                damaged.truncate(1 + random.below(packed.len() - 1));
            } else {
                // Behind the header, where gzip has fields that nobody checks.
                let at = 10 + random.below(packed.len() - 10);
                damaged[at] ^= 1 << random.below(8);
            }
            let ours = inflated(&damaged);
            assert_eq!(ours.is_ok(), accepts(tool, &damaged), "{tool}: {:?}", ours.err());
        }
    }
}

fn accepts(tool: &str, packed: &[u8]) -> bool {
    use std::io::Write as _;
    let mut child = Command::new(tool)
        .arg("-tq")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool}: {error}"));
    // A tool that has seen enough closes its end.
    let _ = child.stdin.take().expect("piped").write_all(packed);
    child.wait().expect("it was started").success()
}
