//! Files as sources, and how a file is told from another one in its place.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, Stat, fstat, openat};

use super::next_source_id;
use crate::content::{ContentError, Source};
use crate::tree::Time;

/// What tells that a file is still the one that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    ino: u64,
    length: u64,
    mtime: Time,
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            ino: stat.st_ino,
            length: stat.st_size.cast_unsigned(),
            mtime: mtime(stat),
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads from a file that must still be what this stamp says, after the reading too.
    pub(super) fn read(&self, file: &File, offset: u64, into: &mut [u8]) -> Result<(), String> {
        let changed = || "the file changed on disk after it was opened or listed".to_owned();
        match file.read_exact_at(into, offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(changed()),
            result => result.map_err(|error| error.to_string())?,
        }
        let now = fstat(file).map_err(|errno| errno.to_string())?;
        if Self::of(&now) == *self {
            Ok(())
        } else {
            Err(changed())
        }
    }
}

pub(super) fn mtime(stat: &Stat) -> Time {
    Time {
        seconds: stat.st_mtime,
        nanos: stat.st_mtime_nsec as u32,
    }
}

/// Opens a file for reading, without waiting for the writer of a fifo.
pub fn open_at_once(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?.into())
}

/// A file that stays open, as a source. It must not change: reading fails if it did.
pub struct FileSource {
    id: u64,
    name: String,
    file: File,
    stamp: Stamp,
}

impl FileSource {
    /// Opens a file; another kind of file is an error, a fifo without a writer too.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(open_at_once(path)?, path.to_string_lossy().into_owned())
    }

    /// Takes a file that is open for reading; `name` is for errors.
    pub fn new(file: File, name: String) -> io::Result<Self> {
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let stamp = Stamp::of(&fstat(&file)?);
        Ok(Self {
            id: next_source_id(),
            name,
            file,
            stamp,
        })
    }
}

impl Source for FileSource {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.stamp.length
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        let read = self.stamp.read(&self.file, offset, into);
        read.map_err(|reason| ContentError::Read {
            name: self.name.clone(),
            offset,
            length: into.len() as u64,
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::content::Content;

    #[test]
    fn a_file_that_changes_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, b"content").unwrap();
        let content = Content::whole(Arc::new(FileSource::open(&path).unwrap()));
        assert_eq!(content.slice(3, 4).read_all(9).unwrap(), b"tent");
        std::fs::write(&path, b"con").unwrap();
        for range in [content.slice(0, 2), content.clone()] {
            let error = range.read_all(9).unwrap_err();
            assert!(error.to_string().contains("changed on disk"), "{error}");
        }
        assert!(FileSource::open(directory.path()).is_err());
    }
}
