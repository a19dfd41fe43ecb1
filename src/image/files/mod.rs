//! The files of an image that came from outside, by their paths: those of a tar, plain or packed, or of a
//! directory that the host lists. Knows paths, links and contents, not what they mean.
//!
//! Nothing here is all or nothing: a tar that is damaged gives what stands before the damage, and a [`Fault`]
//! says where that is.

mod index;

use std::collections::BTreeMap;

use crate::content::Content;
use crate::tar::Oddity;

pub use index::{FilesError, IndexJob, Indexed, Indexing, Stage};

/// The most files of an archive whose places are kept. An image has some dozens; what has more is a layer.
pub const FILE_LIMIT: usize = 1 << 18;
/// The most entries that are looked at.
pub const ENTRY_LIMIT: u64 = 10_000_000;
/// The most bytes that the paths and targets of all of them have together.
const PATHS_LIMIT: usize = 64 << 20;
/// The longest path that is kept, in bytes: Linux' limit.
pub const PATH_LIMIT: usize = 4096;
/// How many links a path may lead through: Linux' limit.
const LINK_LIMIT: usize = 40;
/// The most faults that are kept.
const FAULT_LIMIT: usize = 1000;

/// What is wrong with an archive as a container of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It holds two files of one path; the last is taken, as readers that unpack it do.
    Duplicate {
        /// The path.
        path: Vec<u8>,
        /// Where the first stands in the tar; none in a directory.
        first: Option<u64>,
        /// Where the last stands.
        last: Option<u64>,
    },
    /// It cannot be read to its end.
    Damaged {
        /// How many bytes of the tar could be read.
        offset: u64,
        /// What is wrong, with the place.
        reason: String,
    },
    /// Nothing is wrong in it, but the zeros that should end it are not there, so that more may be missing.
    NoEnd {
        /// Where they should be.
        offset: u64,
    },
    /// It has more files than are kept, or their paths are longer together.
    Files {
        /// How many entries were seen when it was one too many.
        entries: u64,
    },
    /// It has more entries than are looked at.
    Entries {
        /// Where the next would stand.
        offset: u64,
    },
    /// Readers of tars see another file here, or none.
    Differs {
        /// The path, as it is read here.
        path: Vec<u8>,
        /// What they take differently.
        oddity: Oddity,
    },
    /// A directory could not be listed, or a link not be read.
    Unlisted {
        /// Its path.
        path: Vec<u8>,
        /// What the system said.
        reason: String,
    },
    /// A path that is longer than any system takes.
    LongPath {
        /// Where its entry stands.
        offset: Option<u64>,
        /// Its length in bytes.
        length: usize,
    },
}

impl Fault {
    /// Where it is in the tar, if it is at one place.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Damaged { offset, .. } | Self::NoEnd { offset } | Self::Entries { offset } => Some(*offset),
            Self::Duplicate { last, .. } => *last,
            Self::LongPath { offset, .. } => *offset,
            Self::Differs { oddity, .. } => oddity.offset(),
            Self::Files { .. } | Self::Unlisted { .. } => None,
        }
    }
}

/// A file's place.
#[derive(Debug, Clone)]
struct Entry {
    what: What,
    offset: Option<u64>,
}

#[derive(Debug, Clone)]
enum What {
    File(Content),
    /// The path that it leads to, seen from the root.
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
}

impl What {
    fn target(&self) -> &[u8] {
        match self {
            Self::File(_) => b"",
            Self::Symlink(target) | Self::HardLink(target) => target,
        }
    }
}

/// A kind of link that a file was found through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of tar")]
pub enum Via {
    Symlink,
    HardLink,
}

/// A file that was looked up.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its own path, links followed.
    pub path: Vec<u8>,
    /// Its bytes.
    pub content: Content,
    /// Where its entry begins in the tar, uncompressed; none in a directory.
    pub offset: Option<u64>,
    /// Whether there was a link on the way: the last one's kind.
    pub via: Option<Via>,
}

/// What a look-up gives.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// The file.
    Found(Found),
    /// Nothing is there, or a link leads nowhere.
    Missing,
    /// Links lead in a circle, or through more links than any system follows.
    Circle,
}

/// The files of an image. Paths have no `.`, no `..`, no slash in front.
#[derive(Debug, Clone, Default)]
pub struct Files {
    entries: BTreeMap<Vec<u8>, Entry>,
    faults: Vec<Fault>,
    /// How many faults there were that are not kept.
    more_faults: usize,
    /// How many bytes their paths and targets have.
    bytes: usize,
    /// Whether the limit of files was told of.
    is_full: bool,
}

impl Files {
    /// No files; to be filled by a host that lists a directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    pub fn file(&mut self, path: &[u8], content: Content) {
        self.add(path, What::File(content), None, 0);
    }

    /// Adds a symbolic link with its target as it stands there. It is followed inside of these files only.
    pub fn symlink(&mut self, path: &[u8], target: &[u8]) {
        self.add_symlink(path, target, None, 0);
    }

    /// Says that a directory could not be listed, or a link not be read.
    pub fn unlisted(&mut self, path: &[u8], reason: String) {
        let path = path.to_vec();
        self.fault(Fault::Unlisted { path, reason });
    }

    fn add_symlink(&mut self, path: &[u8], target: &[u8], offset: Option<u64>, entries: u64) {
        let directory = path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
        let target = match target.starts_with(b"/") {
            true => clean(target),
            false => clean(&[&path[..directory], target].concat()),
        };
        self.add(path, What::Symlink(target), offset, entries);
    }

    fn add(&mut self, path: &[u8], what: What, offset: Option<u64>, entries: u64) {
        if path.len() > PATH_LIMIT {
            let length = path.len();
            return self.fault(Fault::LongPath { offset, length });
        }
        let path = clean(path);
        let bytes = path.len() + what.target().len();
        // What every image has is kept, however late it comes.
        let factor = if is_of_image(&path) { 2 } else { 1 };
        if self.entries.len() >= factor * FILE_LIMIT || self.bytes + bytes > factor * PATHS_LIMIT {
            if !std::mem::replace(&mut self.is_full, true) {
                self.fault(Fault::Files { entries });
            }
            return;
        }
        self.bytes += bytes;
        let before = self.entries.insert(path.clone(), Entry { what, offset });
        if let Some(before) = before {
            self.fault(Fault::Duplicate {
                path,
                first: before.offset,
                last: offset,
            });
        }
    }

    fn fault(&mut self, fault: Fault) {
        // What there is once at most is kept in any case.
        let is_single = matches!(
            fault,
            Fault::Damaged { .. } | Fault::NoEnd { .. } | Fault::Entries { .. } | Fault::Files { .. }
        );
        match self.faults.len() < FAULT_LIMIT || is_single {
            true => self.faults.push(fault),
            false => self.more_faults += 1,
        }
    }

    /// How many paths there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no path at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is wrong with them, and how many faults more there are.
    pub fn faults(&self) -> (&[Fault], usize) {
        (&self.faults, self.more_faults)
    }

    /// All paths, links included, in their order as bytes.
    pub fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.keys().map(Vec::as_slice)
    }

    /// All paths that begin with `prefix`.
    pub fn paths_under<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let from = self.entries.range(prefix.to_vec()..);
        from.map(|(path, _)| path.as_slice())
            .take_while(move |path| path.starts_with(prefix))
    }

    /// Looks a path up, and follows links, of directories too, as long as they stay inside.
    pub fn find(&self, path: &[u8]) -> Lookup {
        let (mut path, mut via) = (clean(path), None);
        for _ in 0..LINK_LIMIT {
            if let Some(Entry { what, offset }) = self.entries.get(&path) {
                match what {
                    What::File(content) => {
                        return Lookup::Found(Found {
                            path,
                            content: content.clone(),
                            offset: *offset,
                            via,
                        });
                    }
                    What::Symlink(target) => (path, via) = (target.clone(), Some(Via::Symlink)),
                    What::HardLink(target) => (path, via) = (target.clone(), Some(Via::HardLink)),
                }
                continue;
            }
            let slashes = (0..path.len()).filter(|&at| path[at] == b'/');
            let link = slashes
                .into_iter()
                .find_map(|at| match self.entries.get(&path[..at])?.what {
                    What::Symlink(ref target) => Some([target, &path[at..]].concat()),
                    _ => None,
                });
            match link {
                None => return Lookup::Missing,
                Some(target) => (path, via) = (clean(&target), Some(Via::Symlink)),
            }
        }
        Lookup::Circle
    }

    /// The content of the file at a path, if there is one.
    pub fn get(&self, path: &[u8]) -> Option<Content> {
        match self.find(path) {
            Lookup::Found(found) => Some(found.content),
            Lookup::Missing | Lookup::Circle => None,
        }
    }

    /// The directory that all files are in: `image/`, or nothing. Files that macOS puts beside (`._image`) do
    /// not count.
    pub(super) fn common_directory(&self) -> Vec<u8> {
        let mut common: Option<&[u8]> = None;
        for path in self.paths() {
            let name = path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
            if path[name..].starts_with(b"._") {
                continue;
            }
            let directory = &path[..name];
            common = Some(match common {
                None => directory,
                Some(common) => {
                    let alike = common.iter().zip(directory).take_while(|(a, b)| a == b).count();
                    let end = common[..alike].iter().rposition(|&byte| byte == b'/');
                    &common[..end.map_or(0, |at| at + 1)]
                }
            });
        }
        common.unwrap_or_default().to_vec()
    }

    /// The files below a directory, by their paths from there.
    pub(super) fn below(self, directory: &[u8]) -> Self {
        let cut = |path: &[u8]| path.strip_prefix(directory).map(<[u8]>::to_vec);
        let entries = self.entries.into_iter().filter_map(|(path, entry)| {
            let what = match entry.what {
                // A target outside becomes one that is not there.
                What::Symlink(target) => What::Symlink(cut(&target).unwrap_or_default()),
                What::HardLink(target) => What::HardLink(cut(&target).unwrap_or_default()),
                file => file,
            };
            Some((cut(&path)?, Entry { what, ..entry }))
        });
        Self {
            entries: entries.collect(),
            ..self
        }
    }
}

/// Whether a path looks like one that images have, whatever else there is.
fn is_of_image(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    matches!(
        name,
        b"index.json" | b"oci-layout" | b"manifest.json" | b"repositories"
    ) || path.windows(6).any(|part| part == b"blobs/")
}

/// A path without `.`, empty components and a slash in front; `..` goes up, but not out.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
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
#[path = "tests.rs"]
pub(super) mod tests;
