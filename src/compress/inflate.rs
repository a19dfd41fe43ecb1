//! A content without its gzip. Knows where contents lie and where scratch is to be had, not what is in them.

use super::gzip::{Gunzip, GzipError};
use crate::content::{Content, ContentError, ScratchSpace};

/// The first bytes of a gzip stream (RFC 1952, 2.3.1).
pub const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The most bytes that a gzip may inflate to: no layer is so large, but a few MiB can claim to be.
pub const LIMIT: u64 = 64 << 30;
/// Bytes read, and given, at a time.
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
    let (mut gunzip, mut output) = (Gunzip::new(), vec![0; WINDOW]);
    let mut window = vec![0; content.len().min(WINDOW as u64) as usize];
    let mut at = 0;
    while at < content.len() {
        let length = (content.len() - at).min(WINDOW as u64) as usize;
        content.read_at(at, &mut window[..length])?;
        at += length as u64;
        let mut input = &window[..length];
        loop {
            let progress = gunzip.step(input, &mut output)?;
            take(&output[..progress.written])?;
            input = &input[progress.consumed..];
            if progress.consumed == 0 && progress.written == 0 {
                break;
            }
        }
    }
    Ok(gunzip.finish()?)
}

/// A content without its gzip: itself if it has none, else what it inflates to, kept in scratch.
pub fn plain(content: &Content, space: &dyn ScratchSpace) -> Result<Content, InflateError> {
    if !starts_with(content, &GZIP_MAGIC)? {
        return Ok(content.clone());
    }
    let scratch = space.create()?;
    for_each_inflated(content, |bytes| {
        let length = scratch.append(bytes)? + bytes.len() as u64;
        match length > LIMIT {
            true => Err(ContentError::TooLarge { length, limit: LIMIT }),
            false => Ok(()),
        }
    })?;
    Ok(Content::whole(scratch))
}
