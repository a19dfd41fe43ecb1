//! From a tar, plain or packed, to its files, in small steps. Reads headers only.

use std::sync::Arc;

use super::{ENTRY_LIMIT, Fault, Files, What, clean};
use crate::compress::inflate::{Inflate, InflateError, Packing, limit_for};
use crate::content::{Content, ContentError, Scratch, ScratchSpace};
use crate::tar::{Ending, Entries, ReadType, TarError};

/// Why there are no files at all.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The bytes could not be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It could not be inflated, not even its beginning.
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// It is no tar.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// It is packed, and packed again, which nobody unpacks twice.
    #[error("this is packed twice, {inner} in {outer}: unpack it once, as no tool does it twice")]
    PackedTwice {
        /// How it is packed.
        outer: &'static str,
        /// How what is in it is packed.
        inner: &'static str,
    },
    /// It has no bytes.
    #[error("this file is empty")]
    Empty,
}

/// The work of indexing a tar. Dropping it drops the work.
pub struct IndexJob {
    stage: Work,
    packing: Packing,
}

enum Work {
    Inflating {
        inflate: Inflate,
        size: u64,
        scratch: Arc<dyn Scratch>,
    },
    Indexing(Reader),
    Finished,
}

struct Reader {
    entries: Entries,
    tar: Content,
    files: Files,
    count: u64,
    damage: Option<Fault>,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The archive is inflated into scratch.
    Unpacking,
    /// Its entries are looked at.
    Indexing,
    /// The documents are read.
    Reading,
}

impl Stage {
    /// What it is called: `unpacking`, `indexing`, `reading`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unpacking => "unpacking",
            Self::Indexing => "indexing",
            Self::Reading => "reading",
        }
    }
}

/// How far indexing is.
pub enum Indexing {
    /// Not there yet: bytes done, and all; of the packed archive first, then of the tar.
    Working {
        /// What is being done.
        stage: Stage,
        /// Bytes done.
        done: u64,
        /// All bytes.
        total: u64,
    },
    /// There.
    Done(Indexed),
}

/// An archive whose files are known.
pub struct Indexed {
    /// Its files.
    pub files: Files,
    /// The tar, unpacked.
    pub tar: Content,
    /// How it was packed.
    pub packing: Packing,
    /// How many entries it has.
    pub entries: u64,
}

/// What looking at one entry costs, in bytes that are inflated in the same time.
const ENTRY_COST: u64 = 2048;

impl IndexJob {
    /// The work for an archive. What it inflates to is kept in scratch.
    pub fn new(archive: &Content, space: &dyn ScratchSpace) -> Result<Self, FilesError> {
        if archive.is_empty() {
            return Err(FilesError::Empty);
        }
        let packing = Packing::of(archive)?;
        let stage = match packing {
            Packing::Plain => Work::Indexing(Reader::new(archive.clone(), None)),
            Packing::Gzip | Packing::Zstd => Work::Inflating {
                inflate: Inflate::new(archive, limit_for(archive.len()))?,
                size: archive.len(),
                scratch: space.create()?,
            },
        };
        Ok(Self { stage, packing })
    }

    /// Works for about as long as `budget` bytes take to be inflated. Not to be called again once it is done.
    pub fn step(&mut self, budget: u64) -> Result<Indexing, FilesError> {
        let mut spent = 0;
        while spent < budget {
            match &mut self.stage {
                Work::Inflating { inflate, scratch, .. } => {
                    let before = scratch.len();
                    let damage = match inflate.step(|bytes| scratch.append(bytes).map(drop)) {
                        Ok(true) => {
                            spent += scratch.len() - before + 1;
                            continue;
                        }
                        Ok(false) => None,
                        Err(InflateError::Content(error @ ContentError::Read { .. })) => {
                            return Err(error.into());
                        }
                        Err(error) if scratch.is_empty() => return Err(error.into()),
                        Err(error) => Some(Fault::Damaged {
                            offset: scratch.len(),
                            reason: error.to_string(),
                        }),
                    };
                    let tar = Content::whole(scratch.clone());
                    self.stage = Work::Indexing(Reader::new(tar, damage));
                }
                Work::Indexing(reader) => match reader.step() {
                    Ok(true) => spent += ENTRY_COST,
                    Ok(false) => return Ok(self.finish()),
                    Err(error) => return Err(packed_twice(self.packing, &reader.tar).unwrap_or(error)),
                },
                Work::Finished => unreachable!("a finished job is not stepped"),
            }
        }
        let (stage, done, total) = match &self.stage {
            Work::Inflating { inflate, size, .. } => (Stage::Unpacking, inflate.offset(), *size),
            Work::Indexing(reader) => (Stage::Indexing, reader.entries.offset(), reader.tar.len()),
            Work::Finished => unreachable!("left above"),
        };
        Ok(Indexing::Working { stage, done, total })
    }

    fn finish(&mut self) -> Indexing {
        let Work::Indexing(mut reader) = std::mem::replace(&mut self.stage, Work::Finished) else {
            unreachable!("called when all is indexed");
        };
        if let Some(damage) = reader.damage {
            reader.files.fault(damage);
        }
        Indexing::Done(Indexed {
            files: reader.files,
            tar: reader.tar,
            packing: self.packing,
            entries: reader.count,
        })
    }

    /// Works until the end, for hosts that have nothing else to do.
    pub fn run(mut self) -> Result<Indexed, FilesError> {
        loop {
            if let Indexing::Done(indexed) = self.step(u64::MAX)? {
                return Ok(indexed);
            }
        }
    }
}

/// What is wrong with a tar that is none because it is packed itself.
fn packed_twice(outer: Packing, tar: &Content) -> Option<FilesError> {
    let inner = Packing::of(tar).ok().filter(|&inner| inner != Packing::Plain)?;
    let (outer, inner) = (outer.name(), inner.name());
    Some(FilesError::PackedTwice { outer, inner })
}

impl Reader {
    fn new(tar: Content, damage: Option<Fault>) -> Self {
        Self {
            entries: Entries::new(tar.clone()),
            tar,
            files: Files::new(),
            count: 0,
            damage,
        }
    }

    /// Looks at one entry. False at the end.
    fn step(&mut self) -> Result<bool, FilesError> {
        let offset = self.entries.offset();
        if self.count == ENTRY_LIMIT {
            self.damage.get_or_insert(Fault::Entries { offset });
            return Ok(false);
        }
        let entry = match self.entries.next() {
            None => {
                if let Ok(Some(Ending {
                    offset, marker: 0, ..
                })) = self.entries.ending()
                {
                    self.damage.get_or_insert(Fault::NoEnd { offset });
                }
                return Ok(false);
            }
            Some(Ok(entry)) => entry,
            Some(Err(TarError::Content(error))) => return Err(error.into()),
            Some(Err(error @ TarError::NotTar { .. })) => return Err(error.into()),
            Some(Err(error)) => {
                let reason = error.to_string();
                self.damage.get_or_insert(Fault::Damaged { offset, reason });
                return Ok(false);
            }
        };
        self.count += 1;
        let offset = Some(entry.offset);
        for oddity in entry.oddities.iter().filter(|oddity| oddity.changes_files()) {
            let (path, oddity) = (entry.name.clone(), oddity.clone());
            self.files.fault(Fault::Differs { path, oddity });
        }
        match entry.entry_type {
            ReadType::Regular => {
                let what = What::File(entry.content);
                self.files.add(&entry.name, what, offset, self.count);
            }
            ReadType::Symlink => {
                let (path, target) = (&entry.name, &entry.link_name);
                self.files.add_symlink(path, target, offset, self.count);
            }
            ReadType::HardLink => {
                let what = What::HardLink(clean(&entry.link_name));
                self.files.add(&entry.name, what, offset, self.count);
            }
            _ => {}
        }
        Ok(true)
    }
}
