//! The work of reading a blob: unpacking it into scratch and hashing it on the way, then indexing the tar's entries.
//! In small steps that can be dropped. Damage ends a stage, not the work: what could be read is kept.

use std::sync::Arc;

use crate::compress::inflate::{Inflate, InflateError, Packing, limit_for};
use crate::content::{Content, ContentError, Scratch, ScratchSpace, window};
use crate::digest::Hasher;
use crate::tar::Entries;

use super::origin::{Origin, Read, Sums};
use super::read::{ENTRY_LIMIT, ReadError, Reader};

/// The most entries of all layers together that are held at once: a gigabyte and a half.
pub const HELD_LIMIT: usize = ENTRY_LIMIT / 2 * 3;
/// What reading one entry costs, in bytes that are inflated in the same time.
const ENTRY_COST: u64 = 2048;
/// How many bytes can be hashed in the time that one takes to be inflated.
const HASH_DISCOUNT: u64 = 2;

/// How far reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Bytes of the blob that were passed, and how many there are.
    Unpacking {
        /// Bytes passed.
        done: u64,
        /// All bytes.
        total: u64,
    },
    /// Bytes of the tar that were passed, and how many there are.
    Indexing {
        /// Bytes passed.
        done: u64,
        /// All bytes.
        total: u64,
    },
    /// The origin has been read.
    Done,
}

/// The work of reading one blob. Dropping it drops the work.
pub struct ReadJob {
    origin: Arc<Origin>,
    /// For how many entries there is memory.
    room: usize,
    stage: Stage,
    unpacked: Unpacked,
}

/// What unpacking gave.
#[derive(Default)]
struct Unpacked {
    sums: Option<Sums>,
    damage: Option<ReadError>,
    notes: Vec<crate::compress::inflate::PackingNote>,
    offsets: crate::compress::offsets::Offsets,
}

enum Stage {
    Unpacking {
        inflate: Box<Inflate>,
        scratch: Arc<dyn Scratch>,
        blob: Hashed,
        diff: Hasher,
    },
    /// The rest of a damaged blob, for its digest.
    Hashing { tar: Content, blob: Hashed },
    Indexing {
        entries: Entries,
        reader: Reader,
        tar: Content,
    },
}

/// The first bytes of a content, hashed.
struct Hashed {
    hasher: Hasher,
    offset: u64,
    buffer: Vec<u8>,
}

impl Hashed {
    fn new() -> Self {
        Self {
            hasher: Hasher::new(),
            offset: 0,
            buffer: Vec::new(),
        }
    }

    /// Hashes on, up to `end`.
    fn reach(&mut self, content: &Content, end: u64) -> Result<(), ContentError> {
        while self.offset < end {
            let length = window(end - self.offset);
            self.buffer.resize(length, 0);
            content.read_at(self.offset, &mut self.buffer)?;
            self.hasher.update(&self.buffer);
            self.offset += length as u64;
        }
        Ok(())
    }
}

impl ReadJob {
    /// The work for `origin`. What a packed blob inflates to is kept in scratch. `held` are the entries of the
    /// other layers that are held in memory: all together have a limit.
    pub fn new(origin: &Arc<Origin>, held: usize, space: &dyn ScratchSpace) -> Result<Self, ContentError> {
        let room = HELD_LIMIT.saturating_sub(held).min(ENTRY_LIMIT);
        let stage = match origin.packing() {
            Packing::Plain => Stage::indexing(origin.blob().clone(), room),
            Packing::Gzip | Packing::Zstd => Stage::Unpacking {
                inflate: Box::new(Inflate::new(origin.blob(), limit_for(origin.blob().len()))?),
                scratch: space.create()?,
                blob: Hashed::new(),
                diff: Hasher::new(),
            },
        };
        Ok(Self {
            origin: origin.clone(),
            room,
            stage,
            unpacked: Unpacked::default(),
        })
    }

    /// Works for about as long as `budget` bytes take to be inflated.
    pub fn step(&mut self, budget: u64) -> Reading {
        let mut left = budget;
        loop {
            let spent = match &mut self.stage {
                Stage::Unpacking { .. } => self.unpack(),
                Stage::Hashing { .. } => self.hash_rest(),
                Stage::Indexing { .. } => match self.index() {
                    Some(spent) => spent,
                    None => return Reading::Done,
                },
            };
            left = left.saturating_sub(spent);
            if left == 0 {
                return self.progress();
            }
        }
    }

    /// Works until the end, for hosts that have nothing else to do.
    pub fn run(mut self) {
        while self.step(u64::MAX) != Reading::Done {}
    }

    fn progress(&self) -> Reading {
        let total = self.origin.blob().len();
        match &self.stage {
            Stage::Unpacking { inflate, .. } => Reading::Unpacking {
                done: inflate.offset(),
                total,
            },
            Stage::Hashing { blob, .. } => Reading::Unpacking {
                done: blob.offset,
                total,
            },
            Stage::Indexing { entries, tar, .. } => Reading::Indexing {
                done: entries.offset(),
                total: tar.len(),
            },
        }
    }

    fn unpack(&mut self) -> u64 {
        let Stage::Unpacking {
            inflate,
            scratch,
            blob,
            diff,
        } = &mut self.stage
        else {
            unreachable!("the stage was looked at");
        };
        let before = inflate.written();
        let stepped = inflate.step(|bytes| {
            diff.update(bytes);
            scratch.append(bytes).map(|_| ())
        });
        let hashed = blob.reach(self.origin.blob(), inflate.offset());
        let spent = inflate.written() - before + 1;
        let is_more = match (stepped, hashed) {
            (Ok(is_more), Ok(())) => is_more,
            (Err(error), _) => {
                self.unpacked.damage = Some(error.into());
                false
            }
            (_, Err(error)) => {
                self.unpacked.damage = Some(error.into());
                false
            }
        };
        if is_more {
            return spent;
        }
        self.unpacked.notes = inflate.notes();
        self.unpacked.offsets = inflate.offsets().clone();
        let tar = Content::whole(scratch.clone());
        let blob = std::mem::replace(blob, Hashed::new());
        let diff = std::mem::take(diff);
        self.stage = match &self.unpacked.damage {
            // What cannot be read, or kept, can't be hashed either.
            Some(ReadError::Content(_) | ReadError::Inflate(InflateError::Content(_))) => {
                Stage::indexing(tar, self.room)
            }
            Some(_) => Stage::Hashing { tar, blob },
            None => {
                self.unpacked.sums = Some(Sums {
                    digest: blob.hasher.finish(),
                    diff_id: Some(diff.finish()),
                });
                Stage::indexing(tar, self.room)
            }
        };
        spent
    }

    fn hash_rest(&mut self) -> u64 {
        let Stage::Hashing { tar, blob } = &mut self.stage else {
            unreachable!("the stage was looked at");
        };
        let content = self.origin.blob();
        let end = content.len().min(blob.offset + (1 << 20));
        let hashed = blob.reach(content, end);
        if hashed.is_ok() && end < content.len() {
            return (1 << 20) / HASH_DISCOUNT;
        }
        if hashed.is_ok() {
            self.unpacked.sums = Some(Sums {
                digest: std::mem::take(&mut blob.hasher).finish(),
                diff_id: None,
            });
        }
        self.stage = Stage::indexing(tar.clone(), self.room);
        1
    }

    /// Reads an entry; none after the last.
    fn index(&mut self) -> Option<u64> {
        let Stage::Indexing { entries, reader, tar } = &mut self.stage else {
            unreachable!("the stage was looked at");
        };
        let damage = match entries.next() {
            None => None,
            Some(Err(error)) => Some(ReadError::from(error)),
            Some(Ok(entry)) => match reader.entry(entry) {
                Ok(()) => return Some(ENTRY_COST),
                Err(error) => Some(error),
            },
        };
        let reader = std::mem::replace(reader, Reader::new(0));
        let unpacked = std::mem::take(&mut self.unpacked);
        // Bytes that end too early end for this reason, if there is one.
        let damage = unpacked.damage.or(damage);
        self.origin.set(Read {
            has_globals: entries.has_global_attributes(),
            sums: unpacked.sums,
            packing_notes: unpacked.notes,
            offsets: unpacked.offsets,
            ..reader.finish(tar.clone(), damage)
        });
        None
    }
}

impl Stage {
    fn indexing(tar: Content, room: usize) -> Self {
        Self::Indexing {
            entries: Entries::new(tar.clone()),
            reader: Reader::new(room),
            tar,
        }
    }
}
