//! The tree of one layer: a virtual file system as a persistent value.

mod time;

pub use time::Time;
