//! How layers look when they are stacked. Knows layers' trees; nothing of images or of who looks.

mod diff;
#[cfg(test)]
mod diff_tests;
mod listing;
mod merge;
pub mod mount;
#[cfg(test)]
pub(crate) mod naive;
mod root;
pub mod script;
mod story;

pub use diff::{DiffLayer, Difference, Differences, Place};
pub use listing::Listing;
pub use merge::{Change, Spot, SpotEntry, Stack, StackCell};
pub use story::{Chapter, Deed, Hiding, weigh};
