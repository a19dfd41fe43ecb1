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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Scratch, Source};
    use crate::image::archive::{LayerBlob, Part, archive_plan, documents};
    use crate::image::inspect::inspect;
    use crate::image::{Reference, Settings};

    struct NoScratch;

    impl ScratchSpace for NoScratch {
        fn create(&self) -> Result<std::sync::Arc<dyn Scratch>, ContentError> {
            Err(ContentError::Write {
                length: 0,
                reason: "nothing here is compressed".to_owned(),
            })
        }
    }

    fn archive() -> Vec<u8> {
        let layers = [LayerBlob::of_tests(b"layer")];
        let reference = Reference::parse("handroll").unwrap();
        let plan = archive_plan(&documents(&Settings::default(), &reference, &layers), &layers);
        let parts = plan.parts.into_iter().map(|part| match part {
            Part::Bytes(bytes) => bytes,
            Part::Blob(_) => b"layer".to_vec(),
        });
        parts.flatten().collect()
    }

    #[test]
    fn an_archive_opens() {
        let files = TarFiles::index(&Content::inline(archive()), &NoScratch).unwrap();
        assert!(inspect(&files).unwrap().verified());
        assert!(files.open("./index.json").unwrap().is_none());
        for bytes in [&b""[..], b"hello", &[0; 1024], &[7; 2048]] {
            let tried = TarFiles::index(&Content::inline(bytes), &NoScratch);
            assert!(matches!(tried, Err(OpenError::Tar { .. })));
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let good = archive();
        for at in (0..good.len()).filter(|at| at % 512 < 265) {
            // The type of an entry, and the digits of its numbers.
            let values: &[u8] = if at % 512 == 156 {
                b"012345L7KSxg"
            } else {
                b"\x007\xff"
            };
            for &value in values {
                let mut bytes = good.clone();
                bytes[at] = value;
                // A header's checksum is set right again, so that the value is looked at.
                let block = at / 512 * 512;
                let header = tar::Header::from_byte_slice(&bytes[block..block + 512]);
                if header.as_gnu().is_some() && !(148..156).contains(&(at % 512)) {
                    let mut header = header.clone();
                    header.set_cksum();
                    bytes[block..block + 512].copy_from_slice(header.as_bytes());
                }
                if let Ok(files) = TarFiles::index(&Content::inline(bytes), &NoScratch) {
                    let _ = inspect(&files);
                }
            }
        }
        for length in (0..good.len()).step_by(101) {
            if let Ok(files) = TarFiles::index(&Content::inline(&good[..length]), &NoScratch) {
                let _ = inspect(&files);
            }
        }
    }

    #[test]
    fn paths_are_cleaned_and_links_followed_once() {
        for (path, cleaned) in [
            ("./a//b/", "a/b"),
            ("/a/../b", "b"),
            ("../../a", "a"),
            ("x/../../y", "y"),
        ] {
            assert_eq!(clean(path.as_bytes()), cleaned.as_bytes());
        }
        let files = TarFiles {
            files: BTreeMap::from([(b"one/layer.tar".to_vec(), Content::inline(&b"x"[..]))]),
            links: BTreeMap::from([(b"two/layer.tar".to_vec(), b"one/layer.tar".to_vec())]),
        };
        assert_eq!(
            files.open("two/layer.tar").unwrap().map(|content| content.len()),
            Some(1)
        );
    }

    #[test]
    fn positions_outside_are_the_end() {
        struct Three;
        impl Source for Three {
            fn id(&self) -> u64 {
                0
            }
            fn name(&self) -> &str {
                "three"
            }
            fn len(&self) -> u64 {
                3
            }
            fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
                into.copy_from_slice(&b"abc"[offset as usize..offset as usize + into.len()]);
                Ok(())
            }
        }
        let content = Content::whole(std::sync::Arc::new(Three));
        let mut reader = Reader { content, at: 0 };
        let mut bytes = [0; 8];
        assert_eq!(reader.seek(SeekFrom::Start(2)).unwrap(), 2);
        assert_eq!(reader.read(&mut bytes).unwrap(), 1);
        assert_eq!(reader.seek(SeekFrom::End(5)).unwrap(), 8);
        assert_eq!(reader.read(&mut bytes).unwrap(), 0);
        assert!(reader.seek(SeekFrom::Current(-9)).is_err());
    }
}
