//! The profile gz1: the one way in which a tar is compressed here, so that its digest is everyone's.
//!
//! One gzip member (RFC 1952): a fixed header; then segment after segment, each deflated on its own by
//! miniz_oxide at level 6 and ended by a sync flush, an empty stored block that aligns to a byte; then an
//! empty final block, CRC and length. A segment without bytes writes nothing. So a segment's bytes depend on
//! its content alone: segments can be deflated in any order, kept, and put together again.
//!
//! miniz_oxide's exact version is part of the profile, see Cargo.toml: another one may compress differently.

use miniz_oxide::DataFormat;
use miniz_oxide::deflate::CompressionLevel;
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output};

use super::crc32::Crc32;

/// What every stream begins with: deflate, no flags, no time, no extra flags, an unknown system
/// (RFC 1952, 2.3.1).
pub const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Deflates one segment while its bytes pass. What it writes does not depend on how they are cut.
pub struct SegmentDeflater {
    compressor: Box<CompressorOxide>,
    sum: SegmentSum,
}

/// What a segment adds to the stream's trailer.
#[derive(Clone, Debug, Default)]
pub struct SegmentSum {
    /// The CRC-32 of its bytes, combinable with that of the segments before.
    pub crc: Crc32,
    /// How many bytes they are, before compression.
    pub length: u64,
}

impl SegmentSum {
    /// Adds the segment that follows.
    pub fn append(&mut self, next: &Self) {
        self.crc.append(next.crc);
        self.length += next.length;
    }

    /// The end of a stream of these bytes.
    pub fn trailer(&self) -> [u8; 10] {
        trailer(self.crc.sum(), self.length)
    }
}

impl Default for SegmentDeflater {
    fn default() -> Self {
        Self::new()
    }
}

impl SegmentDeflater {
    /// A segment without bytes yet.
    pub fn new() -> Self {
        Self {
            compressor: Box::new(CompressorOxide::with_format_and_level(
                DataFormat::Raw,
                CompressionLevel::DefaultLevel,
            )),
            sum: SegmentSum::default(),
        }
    }

    /// Takes the next bytes; appends to `out` what is ready.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.sum.crc.update(bytes);
        self.sum.length += bytes.len() as u64;
        self.run(bytes, TDEFLFlush::None, out);
    }

    /// Ends the segment; appends the rest to `out`.
    pub fn finish(mut self, out: &mut Vec<u8>) -> SegmentSum {
        if self.sum.length > 0 {
            self.run(&[], TDEFLFlush::Sync, out);
        }
        self.sum
    }

    fn run(&mut self, bytes: &[u8], flush: TDEFLFlush, out: &mut Vec<u8>) {
        let (status, consumed) = compress_to_output(&mut self.compressor, bytes, flush, |deflated| {
            out.extend_from_slice(deflated);
            true
        });
        assert!(
            status == TDEFLStatus::Okay && consumed == bytes.len(),
            "{status:?}"
        );
    }
}

/// The end of a stream of `length` bytes with the CRC-32 `crc`: an empty final block, made of a fixed-Huffman
/// block's header and its end mark (RFC 1951, 3.2.3 and 3.2.6), then CRC and length modulo 2^32.
pub fn trailer(crc: u32, length: u64) -> [u8; 10] {
    let [a, b, c, d] = crc.to_le_bytes();
    let [e, f, g, h] = (length as u32).to_le_bytes();
    [0x03, 0x00, a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::gzip::tests::{gunzip, noise};
    use crate::digest::Digest;

    fn deflate(segments: &[&[u8]], chunk: usize) -> Vec<u8> {
        let (mut out, mut sum) = (HEADER.to_vec(), SegmentSum::default());
        for segment in segments {
            let mut deflater = SegmentDeflater::new();
            for bytes in segment.chunks(chunk) {
                deflater.push(bytes, &mut out);
            }
            sum.append(&deflater.finish(&mut out));
        }
        out.extend_from_slice(&sum.trailer());
        out
    }

    #[test]
    fn an_empty_stream_and_empty_segments() {
        let empty = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0\0\0\0\0\0\0\0\0";
        assert_eq!(deflate(&[], 1), empty);
        assert_eq!(deflate(&[b"", b""], 1), empty);
        assert_eq!(deflate(&[b"a", b"", b"b"], 1), deflate(&[b"a", b"b"], 1));
    }

    #[test]
    fn how_bytes_are_cut_does_not_matter() {
        for (seed, length) in [(1, 1), (2, 513), (3, 40_000), (4, 300_000), (5, 1 << 20)] {
            let bytes = noise(seed, length);
            let whole = deflate(&[&bytes], usize::MAX);
            for chunk in [1 + length / 7, 1000, 4096, 65_536]
                .into_iter()
                .chain((length < 100_000).then_some(1))
            {
                assert_eq!(deflate(&[&bytes], chunk), whole, "{length} by {chunk}");
            }
            assert_eq!(gunzip(&whole, 777, 999).unwrap(), bytes);
        }
    }

    #[test]
    fn segments_make_one_stream() {
        let (a, b, c) = (noise(6, 100_000), noise(7, 5), noise(8, 70_000));
        let stream = deflate(&[&a, &b, &c], 8192);
        assert_eq!(gunzip(&stream, 8192, 8192).unwrap(), [a, b, c].concat());
    }

    /// If this fails, the encoder changed, and with it every digest: that is another profile, not an update.
    #[test]
    fn golden() {
        let stream = deflate(&[&noise(9, 200_000), b"the next one"], usize::MAX);
        assert_eq!(
            (stream.len(), Digest::of(&stream).hex().as_str()),
            (
                66922,
                "387119cba6808f81f7f05bc6a6004a0d0757639c79d37b508ad20e9c08cb4234"
            )
        );
    }
}
