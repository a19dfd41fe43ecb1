//! What only a native program can do: files of this machine as sources, temporary files as scratch.
//! The core knows none of it.

mod scratch;

use std::sync::atomic::{AtomicU64, Ordering};

pub use scratch::TemporaryFiles;

/// A number for a new source, used once in this process.
pub fn next_source_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
