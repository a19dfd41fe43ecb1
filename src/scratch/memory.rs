//! Scratch in memory, for hosts that have nothing better.

use std::sync::{Arc, RwLock};

use crate::content::{ContentError, Scratch, ScratchSpace, Source, own_id};

/// The most bytes that one scratch takes: what an address space of 32 bits can bear.
const LIMIT: u64 = 1 << 30;

/// Scratches in memory, a GiB each at most.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemorySpace;

impl ScratchSpace for MemorySpace {
    fn create(&self) -> Result<Arc<dyn Scratch>, ContentError> {
        Ok(Arc::new(Memory {
            id: own_id(),
            bytes: RwLock::default(),
        }))
    }
}

struct Memory {
    id: u64,
    bytes: RwLock<Vec<u8>>,
}

impl Source for Memory {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        "memory"
    }

    fn len(&self) -> u64 {
        self.bytes.read().map_or(0, |bytes| bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        let outside = || ContentError::Read {
            name: self.name().to_owned(),
            offset,
            length: into.len() as u64,
            reason: "there are not so many bytes".to_owned(),
        };
        let bytes = self.bytes.read().map_err(|_| outside())?;
        let start = usize::try_from(offset).map_err(|_| outside())?;
        let end = start.checked_add(into.len()).ok_or_else(outside)?;
        into.copy_from_slice(bytes.get(start..end).ok_or_else(outside)?);
        Ok(())
    }
}

impl Scratch for Memory {
    fn append(&self, more: &[u8]) -> Result<u64, ContentError> {
        let full = || ContentError::TooLarge {
            length: self.len() + more.len() as u64,
            limit: LIMIT,
        };
        if self.len() + more.len() as u64 > LIMIT {
            return Err(full());
        }
        let mut bytes = self.bytes.write().map_err(|_| full())?;
        let offset = bytes.len() as u64;
        bytes.extend_from_slice(more);
        Ok(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read() {
        let (one, other) = (MemorySpace.create().unwrap(), MemorySpace.create().unwrap());
        assert_ne!(one.id(), other.id());
        assert_eq!((one.append(b"abc").unwrap(), one.append(b"def").unwrap()), (0, 3));
        let mut read = [0; 4];
        one.read_at(1, &mut read).unwrap();
        assert_eq!(&read, b"bcde");
        assert!(one.read_at(3, &mut read).is_err() && one.read_at(u64::MAX, &mut read).is_err());
    }
}
