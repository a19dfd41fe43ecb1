//! Scratch space in temporary files that have no name, so that nothing is left behind however the process ends.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::content::{ContentError, Scratch, ScratchSpace, Source};

/// Scratches in the system's directory for temporary files.
#[derive(Debug, Clone, Copy, Default)]
pub struct TemporaryFiles;

impl ScratchSpace for TemporaryFiles {
    fn create(&self) -> Result<Arc<dyn Scratch>, ContentError> {
        let file = tempfile::tempfile().map_err(|error| ContentError::Write {
            length: 0,
            reason: error.to_string(),
        })?;
        Ok(Arc::new(TemporaryFile {
            id: super::next_source_id(),
            file,
            length: AtomicU64::new(0),
        }))
    }
}

struct TemporaryFile {
    id: u64,
    file: File,
    length: AtomicU64,
}

impl Source for TemporaryFile {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        "a temporary file"
    }

    fn len(&self) -> u64 {
        self.length.load(Ordering::Acquire)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        self.file
            .read_exact_at(into, offset)
            .map_err(|error| ContentError::Read {
                name: self.name().to_owned(),
                offset,
                length: into.len() as u64,
                reason: error.to_string(),
            })
    }
}

impl Scratch for TemporaryFile {
    fn append(&self, bytes: &[u8]) -> Result<u64, ContentError> {
        let length = bytes.len() as u64;
        // Claimed first: appends from several threads get places of their own.
        let offset = self.length.fetch_add(length, Ordering::AcqRel);
        self.file
            .write_all_at(bytes, offset)
            .map_err(|error| ContentError::Write {
                length,
                reason: error.to_string(),
            })?;
        Ok(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_reads_back() {
        let scratch = TemporaryFiles.create().unwrap();
        assert!(scratch.is_empty());
        assert_eq!(scratch.append(b"one").unwrap(), 0);
        assert_eq!(scratch.append(b"two").unwrap(), 3);
        let mut bytes = [0; 4];
        scratch.read_at(2, &mut bytes).unwrap();
        assert_eq!(&bytes, b"etwo");
        assert!(scratch.read_at(3, &mut bytes).is_err());
    }
}
