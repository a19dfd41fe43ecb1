//! Entries ⇄ bytes of a tar. Knows headers and their dialects; knows no tree, no layer, no whiteout.
//!
//! What is written is what GNU tar 1.34 writes, byte for byte, in two of its formats ([`Format`]);
//! what is read is what anyone wrote. The crate `tar` lends its header structs, names for the fields of
//! 512 bytes. Its functions on paths are not used: they differ between targets and rewrite what they are
//! given.

pub mod anatomy;
mod entry;
mod error;
mod field;
mod header;
mod oddity;
pub mod pax;
mod raw;
mod read;
#[cfg(test)]
mod read_tests;
mod readers;
mod records;
mod sparse;
mod window;

pub use entry::{Ending, Entry, ReadType};
pub use error::TarError;
pub use header::{EntryHeader, EntryType, Format, encode};
pub use oddity::{ODDITY_LIMIT, Oddity, Part, SparseForm};
pub use read::{Entries, GLOBAL_LIMIT, HEADER_LIMIT, NAME_LIMIT, Place};
pub(crate) use sparse::expand;
pub use sparse::{FILE_LIMIT, PIECE_LIMIT, SparseError};
pub(crate) use window::Window;

/// A tar is made of blocks of this many bytes (POSIX, pax, "ustar Interchange Format").
pub const BLOCK: u64 = 512;

/// GNU tar writes records of twenty blocks (GNU tar manual, "The Blocking Factor of an Archive").
const RECORD: u64 = 20 * BLOCK;

/// How many zero bytes follow a content of `size` bytes, up to the next block.
pub const fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK
}

/// How many zero bytes end an archive whose entries take `size_so_far` bytes: two blocks at least, and as
/// many as fill the last record.
pub const fn end_padding(size_so_far: u64) -> u64 {
    let end = size_so_far + 2 * BLOCK;
    2 * BLOCK + (RECORD - end % RECORD) % RECORD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paddings() {
        for (size, expected) in [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)] {
            assert_eq!(padding(size), expected, "{size}");
        }
        for (blocks, total) in [
            (0, 20),
            (17, 20),
            (18, 20),
            (19, 40),
            (20, 40),
            (38, 40),
            (39, 60),
        ] {
            assert_eq!(end_padding(blocks * BLOCK), (total - blocks) * BLOCK, "{blocks}");
        }
    }
}
