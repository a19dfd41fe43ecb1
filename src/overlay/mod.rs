//! How layers look when they are stacked. Knows layers' trees; nothing of images or of who looks.

mod merge;
#[cfg(test)]
pub(crate) mod naive;

pub use merge::{Change, Spot, SpotEntry, Stack, StackCell};
