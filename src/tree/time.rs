//! Points in time as file systems keep them.

use serde::Serialize;

/// A time: `seconds` since 1970 (negative before), and `nanos` after that second, 0 to 999,999,999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Time {
    /// Whole seconds since 1970-01-01T00:00:00Z, floored.
    pub seconds: i64,
    /// Nanoseconds after `seconds`.
    pub nanos: u32,
}

impl Time {
    /// A whole second.
    pub const fn at(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }
}
