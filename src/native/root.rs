//! The directory that is read, and the files in it as sources that are opened only while they are read.
//!
//! Everything is opened component by component from the root's handle, so that paths of any length work and
//! no symbolic link is followed, even if one is put in place meanwhile.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::file::Stamp;
use super::next_source_id;
use crate::content::{ContentError, Source};
use crate::tree::{Name, TreePath};

/// An open directory whose paths are looked up without following links.
pub(super) struct Root {
    fd: Arc<OwnedFd>,
    /// The directory that was opened last: what is asked for next is likely in it or under it.
    last: Mutex<(TreePath, Arc<OwnedFd>)>,
}

impl Root {
    /// Opens the root itself; here a link is followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = Arc::new(openat(CWD, path, flags, Mode::empty())?);
        Ok(Self {
            last: Mutex::new((TreePath::ROOT, fd.clone())),
            fd,
        })
    }

    /// A handle (`O_PATH`) of a directory under the root.
    pub(super) fn directory(&self, path: &TreePath) -> io::Result<Arc<OwnedFd>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut fd, from) = if path.starts_with(&last.0) {
            (last.1.clone(), last.0.names().len())
        } else {
            (self.fd.clone(), 0)
        };
        for name in &path.names()[from..] {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            fd = Arc::new(openat(&fd, name.as_bytes(), flags, Mode::empty())?);
        }
        if from < path.names().len() || last.0.names().len() > from {
            *last = (path.clone(), fd.clone());
        }
        Ok(fd)
    }
}

/// A file under a root, opened anew for each read: there may be more of them than a process can hold open.
pub(super) struct DiskFile {
    id: u64,
    /// What it is called in errors.
    label: String,
    root: Arc<Root>,
    directory: Arc<TreePath>,
    name: Name,
    stamp: Stamp,
}

impl DiskFile {
    pub(super) fn new(
        root: Arc<Root>,
        directory: Arc<TreePath>,
        name: Name,
        stamp: Stamp,
        label: String,
    ) -> Self {
        Self {
            id: next_source_id(),
            label,
            root,
            directory,
            name,
            stamp,
        }
    }

    fn open(&self) -> io::Result<File> {
        let directory = self.root.directory(&self.directory)?;
        // Should a fifo have taken its place, opening must not wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(openat(&directory, self.name.as_bytes(), flags, Mode::empty())?.into())
    }
}

impl Source for DiskFile {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        &self.label
    }

    fn len(&self) -> u64 {
        self.stamp.length()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        let file = self.open().map_err(|error| error.to_string());
        let read = file.and_then(|file| self.stamp.read(&file, offset, into));
        read.map_err(|reason| ContentError::Read {
            name: self.label.clone(),
            offset,
            length: into.len() as u64,
            reason,
        })
    }
}
