//! The files of an image that came from outside: a tar (OCI layout, `docker save`, or both in one), or whatever
//! else answers to [`Files`]. Knows paths and contents, not what they mean.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

use crate::compress::gzip::{Gunzip, GzipError};
use crate::content::{Content, ContentError, ScratchSpace};

/// The first bytes of a gzip stream.
pub const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes taken or given at a time.
const WINDOW: usize = 128 << 10;

/// Why the files of an image can't be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The bytes could not be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It begins as gzip, but is damaged.
    #[error("the gzip stream is damaged: {0}")]
    Gzip(#[from] GzipError),
    /// It is no tar.
    #[error("this is no tar archive: {reason}")]
    Tar {
        /// What the reader of tars says.
        reason: String,
    },
}

/// Files by their paths in an image: `index.json`, `blobs/sha256/…`.
pub trait Files {
    /// The file at `path`; `None` if there is none.
    fn open(&self, path: &str) -> Result<Option<Content>, ContentError>;
}

/// An image's tar, indexed: where each of its files lies.
pub struct TarFiles {
    files: BTreeMap<Vec<u8>, Content>,
    links: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl TarFiles {
    /// Indexes a tar; one in gzip is inflated to scratch first. Reads headers only.
    pub fn index(archive: &Content, space: &dyn ScratchSpace) -> Result<Self, OpenError> {
        let archive = plain(archive, space)?;
        let broken = |error: io::Error| OpenError::Tar {
            reason: error.to_string(),
        };
        let mut files = BTreeMap::new();
        let mut links = BTreeMap::new();
        let reader = Reader {
            content: archive.clone(),
            at: 0,
        };
        let mut tar = tar::Archive::new(reader);
        for entry in tar.entries_with_seek().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let path = clean(&entry.path_bytes());
            match entry.header().entry_type() {
                kind if kind.is_file() => {
                    let (at, size) = (entry.raw_file_position(), entry.size());
                    if at.checked_add(size).is_none_or(|end| end > archive.len()) {
                        return Err(OpenError::Tar {
                            reason: format!("{} is cut off", crate::text::escape(&path)),
                        });
                    }
                    files.insert(path, archive.slice(at, size));
                }
                // Old `docker save` has layers that occur twice as links to the first.
                kind if kind.is_symlink() => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let parent = path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
                    let target = clean(&[&path[..parent], &target].concat());
                    links.insert(path, target);
                }
                _ => {}
            }
        }
        if files.is_empty() {
            return Err(OpenError::Tar {
                reason: "it holds no files".to_owned(),
            });
        }
        Ok(Self { files, links })
    }
}

impl Files for TarFiles {
    fn open(&self, path: &str) -> Result<Option<Content>, ContentError> {
        let path = path.as_bytes();
        let path = self.links.get(path).map_or(path, Vec::as_slice);
        Ok(self.files.get(path).cloned())
    }
}

/// A path without `.`, empty components and a slash in front; `..` goes up, but not out.
fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
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
    mut take: impl FnMut(&[u8]) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let mut gunzip = Gunzip::new();
    let mut output = vec![0; WINDOW];
    let mut failed = Ok(());
    let mut drain = |input: &[u8]| -> Result<(), OpenError> {
        let mut input = input;
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
pub fn plain(content: &Content, space: &dyn ScratchSpace) -> Result<Content, OpenError> {
    if !starts_with(content, &GZIP_MAGIC)? {
        return Ok(content.clone());
    }
    let scratch = space.create()?;
    for_each_inflated(content, |bytes| {
        scratch.append(bytes)?;
        Ok(())
    })?;
    Ok(Content::whole(scratch))
}

/// A content as the reader of tars wants it.
struct Reader {
    content: Content,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.content.len().saturating_sub(self.at);
        let length = left.min(into.len() as u64) as usize;
        self.content
            .read_at(self.at.min(self.content.len()), &mut into[..length])
            .map_err(io::Error::other)?;
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.content.len(), by),
        };
        let outside = || io::Error::other("a position outside the archive");
        self.at = base.checked_add_signed(by).ok_or_else(outside)?;
        Ok(self.at)
    }
}
