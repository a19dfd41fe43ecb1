//! Compressed streams: the gzip that is written here, the gzip and zstd of anyone. Knows bytes only.

pub mod crc32;
pub mod gz1;
pub mod gzip;
pub mod inflate;
pub mod offsets;
pub mod zstd;

/// What one step of a decoder did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes of the input were taken.
    pub consumed: usize,
    /// How many bytes of the output were filled.
    pub written: usize,
}
