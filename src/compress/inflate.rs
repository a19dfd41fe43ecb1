//! A content without its gzip. Knows where contents lie and where scratch is to be had, not what is in them.

use super::gzip::{Gunzip, GzipError};
use crate::content::{Content, ContentError, ScratchSpace};

/// The first bytes of a gzip stream (RFC 1952, 2.3.1).
pub const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes given at a time.
const WINDOW: usize = 128 << 10;

/// A content could not be inflated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// Its bytes could not be read, or what they inflate to could not be kept.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It begins as gzip, but is damaged.
    #[error("the gzip stream is damaged: {0}")]
    Gzip(#[from] GzipError),
}

/// Whether a content begins with these bytes.
pub fn starts_with(content: &Content, magic: &[u8]) -> Result<bool, ContentError> {
    if content.len() < magic.len() as u64 {
        return Ok(false);
    }
    let mut start = vec![0; magic.len()];
    content.read_at(0, &mut start)?;
    Ok(start == magic)
}

/// Inflates a gzip stream and passes its bytes on, window by window.
pub fn for_each_inflated(
    content: &Content,
    mut take: impl FnMut(&[u8]) -> Result<(), ContentError>,
) -> Result<(), InflateError> {
    let mut gunzip = Gunzip::new();
    let mut output = vec![0; WINDOW];
    let mut failed = Ok(());
    let mut drain = |mut input: &[u8]| -> Result<(), InflateError> {
        loop {
            let progress = gunzip.step(input, &mut output)?;
            take(&output[..progress.written])?;
            input = &input[progress.consumed..];
            if progress.consumed == 0 && progress.written == 0 {
                return Ok(());
            }
        }
    };
    content.for_each_window(|input| {
        if failed.is_ok() {
            failed = drain(input);
        }
    })?;
    failed?;
    Ok(gunzip.finish()?)
}

/// A content without its gzip: itself if it has none, else what it inflates to, kept in scratch.
pub fn plain(content: &Content, space: &dyn ScratchSpace) -> Result<Content, InflateError> {
    if !starts_with(content, &GZIP_MAGIC)? {
        return Ok(content.clone());
    }
    let scratch = space.create()?;
    for_each_inflated(content, |bytes| scratch.append(bytes).map(|_| ()))?;
    Ok(Content::whole(scratch))
}
