//! Where scratches come from: memory, for hosts that have nothing better, and one file that many share.

mod memory;
pub mod shared;

pub use memory::MemorySpace;

use std::sync::atomic::{AtomicU64, Ordering};

/// The ids of hosts' sources count up from the bottom; those of scratches stand far above them.
static NEXT: AtomicU64 = AtomicU64::new(1 << 63);

fn next_id() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}
