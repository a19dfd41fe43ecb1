//! What Go programs make of an entry's type and numbers.

use super::fs::Kind;
use super::go_tar::GoEntry;

/// The node of a device or a fifo. The kernel takes 12 bits of a major number and 20 of a minor, and Go passes
/// it no more.
pub(super) fn node(entry: &GoEntry) -> Kind {
    let (major, minor) = (entry.device.0 as u32 & 0xfff, entry.device.1 as u32 & 0xf_ffff);
    match entry.typeflag {
        b'3' => Kind::CharDevice(major, minor),
        b'4' => Kind::BlockDevice(major, minor),
        _ => Kind::Fifo,
    }
}
