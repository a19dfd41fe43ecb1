//! The image: what stands around the layers. Its name, its documents, and the archive that holds them all.
//! Knows layers only by their digests and sizes; the bytes of their blobs never pass through here.

pub mod reference;
pub mod config;
pub mod created;
pub mod manifest;
pub mod archive;
pub mod json;
pub mod files;
pub mod media;
pub mod catalog;
pub mod inspect;
pub mod elf;
pub mod root;
pub mod preflight;

pub use archive::{Archive, Documents, LayerBlob, Part};
pub use config::{ConfigError, ConfigField, Platform, Settings};
pub use preflight::{Finding, Severity};
pub use reference::{Reference, ReferenceError};
