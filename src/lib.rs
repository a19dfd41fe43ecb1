//! handroll: container images made and understood by hand.
//!
//! The modules stand in the order of the data's path, and each knows only those above it:
//! a digest names bytes, contents are bytes that may lie elsewhere, a tree is a file system,
//! a tar is how a tree travels, a layer is one changeset of a stack, an image is the stack with
//! its documents, and the workbench is one person's session with all of it.

/// Whether this core is the lean one, which the page starts with: it builds images, and refuses what takes more code
/// with [`workbench::WorkbenchError::NeedsWhole`]. Asked at the few doors to that code, so that the linker leaves it
/// out.
pub const LEAN: bool = cfg!(feature = "lean");

#[cfg(all(feature = "lean", feature = "native"))]
compile_error!("the lean core is for the page: the command line needs the whole one");

pub mod digest;
pub mod content;
pub mod windows;
pub mod scratch;
pub mod text;
mod rules;
mod base64;
pub mod tree;
pub mod tar;
pub mod compress;
pub mod layer;
pub mod image;
pub mod overlay;
pub mod runtime;
pub mod store;
pub mod shell;
pub mod check;
pub mod workbench;
#[cfg(test)]
mod random;
#[cfg(target_arch = "wasm32")]
pub mod wasm;
#[cfg(feature = "native")]
pub mod native;
