//! Scratches that share one file, for hosts that have one file only: a browser's page. The file is cut into
//! extents, every scratch takes one after the other, and those of a scratch that is gone are taken again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::content::{ContentError, Scratch, ScratchSpace, Source};
use crate::windows::Windows;

/// What a scratch takes at once, in bytes.
pub const EXTENT: u64 = 1 << 20;

/// The file. It says in words why it fails.
pub trait Disk: Send + Sync {
    /// Fills `into` with what stands at `offset`.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), String>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), String>;
    /// Makes the file as long as this; an error if there is no room for it.
    fn resize(&self, length: u64) -> Result<(), String>;
}

/// Scratches in one file.
pub struct SharedFile {
    file: Arc<Mutex<File>>,
}

impl SharedFile {
    /// Scratches in `disk`, whose bytes are nobody's.
    pub fn new(disk: impl Disk + 'static) -> Self {
        let file = File {
            disk: Box::new(disk),
            used: Vec::new(),
            pending: None,
            windows: Windows::new(),
        };
        Self {
            file: Arc::new(Mutex::new(file)),
        }
    }
}

impl ScratchSpace for SharedFile {
    fn create(&self) -> Result<Arc<dyn Scratch>, ContentError> {
        Ok(Arc::new(Part {
            id: super::next_id(),
            file: self.file.clone(),
            place: Mutex::default(),
        }))
    }
}

struct File {
    disk: Box<dyn Disk>,
    /// Which extents are some scratch's, from the first to the last of the file.
    used: Vec<bool>,
    /// What was appended last. It is written when its extent is full, or another one's bytes come: a write is dear.
    pending: Option<Pending>,
    windows: Windows,
}

struct Pending {
    extent: usize,
    /// Where in the extent the bytes belong.
    from: u64,
    bytes: Vec<u8>,
}

impl File {
    /// An extent for whoever asks.
    fn take(&mut self) -> Result<usize, String> {
        if let Some(free) = self.used.iter().position(|used| !used) {
            self.used[free] = true;
            return Ok(free);
        }
        // Now, so that it is the appending one that hears that there is no room.
        self.disk.resize((self.used.len() as u64 + 1) * EXTENT)?;
        self.used.push(true);
        Ok(self.used.len() - 1)
    }

    /// Takes extents back. What is free at the end of the file goes.
    fn give_back(&mut self, extents: &[usize]) {
        for &extent in extents {
            self.used[extent] = false;
            self.pending.take_if(|pending| pending.extent == extent);
        }
        let before = self.used.len();
        while self.used.last() == Some(&false) {
            self.used.pop();
        }
        if self.used.len() < before {
            // A file that stays too long costs room, no more.
            let _ = self.disk.resize(self.used.len() as u64 * EXTENT);
        }
    }

    /// Writes into an extent, `at` bytes from its beginning.
    fn write(&mut self, extent: usize, at: u64, bytes: &[u8]) -> Result<(), String> {
        let goes_on =
            |pending: &Pending| pending.extent == extent && pending.from + pending.bytes.len() as u64 == at;
        if !self.pending.as_ref().is_some_and(goes_on) {
            self.flush()?;
        }
        let pending = self.pending.get_or_insert_with(|| Pending {
            extent,
            from: at,
            bytes: Vec::with_capacity((EXTENT - at) as usize),
        });
        pending.bytes.extend_from_slice(bytes);
        match at + bytes.len() as u64 {
            EXTENT => self.flush(),
            _ => Ok(()),
        }
    }

    /// Writes what is pending. If that fails, it stays pending.
    fn flush(&mut self) -> Result<(), String> {
        if let Some(pending) = &self.pending {
            let offset = pending.extent as u64 * EXTENT + pending.from;
            self.disk.write_at(offset, &pending.bytes)?;
            self.pending = None;
        }
        Ok(())
    }

    /// Reads from an extent, `at` bytes from its beginning.
    fn read(&self, extent: usize, at: u64, into: &mut [u8]) -> Result<(), String> {
        let offset = extent as u64 * EXTENT + at;
        let Some(pending) = self.pending.as_ref().filter(|pending| pending.extent == extent) else {
            return self.disk.read_at(offset, into);
        };
        let written = (pending.from.saturating_sub(at) as usize).min(into.len());
        let (written, waiting) = into.split_at_mut(written);
        if !written.is_empty() {
            self.disk.read_at(offset, written)?;
        }
        if !waiting.is_empty() {
            let from = (at + written.len() as u64 - pending.from) as usize;
            waiting.copy_from_slice(&pending.bytes[from..from + waiting.len()]);
        }
        Ok(())
    }
}

/// One scratch.
struct Part {
    id: u64,
    file: Arc<Mutex<File>>,
    place: Mutex<Place>,
}

#[derive(Default)]
struct Place {
    extents: Vec<usize>,
    length: u64,
}

/// Nobody panics with the lock, but if so, what is in it is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Source for Part {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        "what was kept for later"
    }

    fn len(&self) -> u64 {
        lock(&self.place).length
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        let failed = |offset: u64, length: usize, reason: String| ContentError::Read {
            name: self.name().to_owned(),
            offset,
            length: length as u64,
            reason,
        };
        let (mut file, place) = (lock(&self.file), lock(&self.place));
        if offset
            .checked_add(into.len() as u64)
            .is_none_or(|end| end > place.length)
        {
            return Err(failed(
                offset,
                into.len(),
                "there are not so many bytes".to_owned(),
            ));
        }
        let mut windows = std::mem::take(&mut file.windows);
        let read = windows.read(
            (self.id, place.length),
            offset,
            into,
            &mut |mut offset, mut into| {
                while !into.is_empty() {
                    let at = offset % EXTENT;
                    let (now, later) = into.split_at_mut(into.len().min((EXTENT - at) as usize));
                    let extent = place.extents[(offset / EXTENT) as usize];
                    let read = file.read(extent, at, now);
                    read.map_err(|reason| failed(offset, now.len(), reason))?;
                    offset += now.len() as u64;
                    into = later;
                }
                Ok(())
            },
        );
        file.windows = windows;
        read
    }
}

impl Scratch for Part {
    fn append(&self, bytes: &[u8]) -> Result<u64, ContentError> {
        let (mut file, mut place) = (lock(&self.file), lock(&self.place));
        let (start, extents) = (place.length, place.extents.len());
        let mut rest = bytes;
        let appended = loop {
            if rest.is_empty() {
                break Ok(());
            }
            let at = place.length % EXTENT;
            if place.length == place.extents.len() as u64 * EXTENT {
                match file.take() {
                    Ok(extent) => place.extents.push(extent),
                    Err(reason) => break Err(reason),
                }
            }
            let extent = place.extents[place.extents.len() - 1];
            let (now, later) = rest.split_at(rest.len().min((EXTENT - at) as usize));
            if let Err(reason) = file.write(extent, at, now) {
                break Err(reason);
            }
            place.length += now.len() as u64;
            rest = later;
        };
        appended.map(|()| start).map_err(|reason| {
            file.give_back(&place.extents.split_off(extents));
            place.length = start;
            ContentError::Write {
                length: bytes.len() as u64,
                reason,
            }
        })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut file = lock(&self.file);
        file.windows.forget(self.id);
        file.give_back(&lock(&self.place).extents);
    }
}

#[cfg(test)]
#[path = "shared_tests.rs"]
mod tests;
