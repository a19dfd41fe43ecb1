//! A content without its gzip. Knows where contents lie and where scratch is to be had, not what is in them.

use super::gzip::{Gunzip, GzipError};
use crate::content::{Content, ContentError, Scratch, ScratchSpace};

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

/// A gzip stream on its way to its bytes, window by window.
pub struct Inflate {
    content: Content,
    gunzip: Gunzip,
    window: Vec<u8>,
    output: Vec<u8>,
    at: u64,
}

impl Inflate {
    /// Before the first byte.
    pub fn new(content: &Content) -> Self {
        Self {
            content: content.clone(),
            gunzip: Gunzip::new(),
            window: vec![0; content.len().min(WINDOW as u64) as usize],
            output: vec![0; WINDOW],
            at: 0,
        }
    }

    /// How many compressed bytes were passed.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// Reads the next window and passes on what it inflates to. False at the end.
    pub fn step(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), ContentError>,
    ) -> Result<bool, InflateError> {
        let length = (self.content.len() - self.at).min(WINDOW as u64) as usize;
        if length == 0 {
            self.gunzip.finish()?;
            return Ok(false);
        }
        self.content.read_at(self.at, &mut self.window[..length])?;
        self.at += length as u64;
        let mut input = &self.window[..length];
        loop {
            let progress = self.gunzip.step(input, &mut self.output)?;
            take(&self.output[..progress.written])?;
            input = &input[progress.consumed..];
            if progress.consumed == 0 && progress.written == 0 {
                return Ok(true);
            }
        }
    }
}

/// Inflates a gzip stream and passes its bytes on, window by window.
pub fn for_each_inflated(
    content: &Content,
    mut take: impl FnMut(&[u8]) -> Result<(), ContentError>,
) -> Result<(), InflateError> {
    let mut inflate = Inflate::new(content);
    while inflate.step(&mut take)? {}
    Ok(())
}

/// Keeps the next inflated bytes, if they are not more than a gzip may claim.
pub fn keep(scratch: &dyn Scratch, bytes: &[u8]) -> Result<(), ContentError> {
    let length = scratch.append(bytes)? + bytes.len() as u64;
    match length > LIMIT {
        true => Err(ContentError::TooLarge { length, limit: LIMIT }),
        false => Ok(()),
    }
}

/// A content without its gzip: itself if it has none, else what it inflates to, kept in scratch.
pub fn plain(content: &Content, space: &dyn ScratchSpace) -> Result<Content, InflateError> {
    if !starts_with(content, &GZIP_MAGIC)? {
        return Ok(content.clone());
    }
    let scratch = space.create()?;
    for_each_inflated(content, |bytes| keep(&*scratch, bytes))?;
    Ok(Content::whole(scratch))
}
