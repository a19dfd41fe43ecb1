//! The files of an image that came from outside: a tar (OCI layout, `docker save`, or both in one), or whatever
//! else answers to [`Files`]. Knows paths and contents, not what they mean.

use std::collections::BTreeMap;

use crate::compress::inflate::{InflateError, plain};
use crate::content::{Content, ContentError, ScratchSpace};
use crate::tar::{Entries, ReadType, TarError};

/// Why the files of an image can't be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The bytes could not be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It could not be inflated.
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// It is no tar, or a damaged one.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A tar without files.
    #[error("this tar holds no files")]
    Empty,
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
        let (mut files, mut links) = (BTreeMap::new(), BTreeMap::new());
        for entry in Entries::new(archive) {
            let entry = entry?;
            let path = clean(&entry.name);
            match entry.entry_type {
                ReadType::Regular => {
                    files.insert(path, entry.content);
                }
                // Old `docker save` has layers that occur twice as links to the first.
                ReadType::Symlink => {
                    let parent = path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
                    let target = clean(&[&path[..parent], &entry.link_name].concat());
                    links.insert(path, target);
                }
                _ => {}
            }
        }
        if files.is_empty() {
            return Err(OpenError::Empty);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Scratch;
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
            assert!(matches!(tried, Err(OpenError::Tar(_) | OpenError::Empty)));
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
}
