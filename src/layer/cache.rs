//! Segments on their way: read in windows, deflated, and kept so that the same bytes are not deflated twice.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;

use super::chunks::{Bytes, Chunk, Chunks, KeyHasher};
use super::walk::ZEROS;
use super::{Layer, LayerError};
use crate::compress::gz1;
use crate::content::{Content, ContentError, Scratch, ScratchSpace};
use crate::digest::Digest;

/// How many bytes are read at once: small, because a step should be short.
pub(super) const STEP: u64 = 128 << 10;

/// A segment's compressed bytes, and what the trailer needs to know of it.
#[derive(Clone)]
pub(super) struct Deflated {
    pub(super) bytes: Content,
    pub(super) sum: gz1::SegmentSum,
}

/// Deflated segments by the key of their bytes. What is in it changes how long work takes, never its result.
#[derive(Default)]
pub struct SegmentCache {
    segments: BTreeMap<Digest, (u64, Deflated)>,
    scratches: Option<Scratches>,
    held: u64,
    clock: u64,
}

/// Where segments lie that are not in memory: one scratch after another, so that one can go when its segments did.
struct Scratches {
    space: Arc<dyn ScratchSpace>,
    last: Option<Arc<dyn Scratch>>,
}

impl Scratches {
    /// After so many bytes comes another scratch.
    const SIZE: u64 = 64 << 20;

    fn keep(&mut self, bytes: &[u8]) -> Result<Content, ContentError> {
        let scratch = match self.last.take() {
            Some(last) if last.len() < Self::SIZE => last,
            _ => self.space.create()?,
        };
        let source = self.last.insert(scratch).clone();
        let offset = source.append(bytes)?;
        let length = bytes.len() as u64;
        Ok(Content::Range {
            source,
            offset,
            length,
        })
    }
}

impl SegmentCache {
    /// How many bytes of segments are held in memory when there is no scratch.
    const MEMORY: u64 = 256 << 20;
    /// How many bytes of segments are held in scratches.
    const SCRATCHES: u64 = 4 << 30;
    /// How many segments [`Self::fill`] hands out at once.
    const BATCH: usize = 64;

    /// A cache that keeps segments in memory, the least recently used ones going when they get too many.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// A cache whose bytes lie in scratches; there too the least recently used ones go when they get too many.
    pub fn in_scratches(space: Arc<dyn ScratchSpace>) -> Self {
        Self {
            scratches: Some(Scratches { space, last: None }),
            ..Self::default()
        }
    }

    pub(super) fn get(&mut self, key: &Digest) -> Option<Deflated> {
        self.clock += 1;
        let (used, deflated) = self.segments.get_mut(key)?;
        *used = self.clock;
        Some(deflated.clone())
    }

    pub(super) fn insert(
        &mut self,
        key: Digest,
        bytes: Vec<u8>,
        sum: gz1::SegmentSum,
    ) -> Result<Deflated, LayerError> {
        let (bytes, limit) = match &mut self.scratches {
            None => (Content::inline(bytes), Self::MEMORY),
            Some(scratches) => (scratches.keep(&bytes)?, Self::SCRATCHES),
        };
        let deflated = Deflated { bytes, sum };
        self.clock += 1;
        self.held += deflated.bytes.len();
        let replaced = self.segments.insert(key, (self.clock, deflated.clone()));
        self.held -= replaced.map_or(0, |(_, replaced)| replaced.bytes.len());
        if self.held > limit {
            self.drop_older_half();
        }
        Ok(deflated)
    }

    fn drop_older_half(&mut self) {
        let mut uses: Vec<u64> = self.segments.values().map(|(used, _)| *used).collect();
        let middle = uses.len() / 2;
        let (_, &mut median, _) = uses.select_nth_unstable(middle);
        self.segments.retain(|_, (used, _)| *used >= median);
        self.held = self
            .segments
            .values()
            .map(|(_, deflated)| deflated.bytes.len())
            .sum();
    }

    /// Deflates segments that are not in the cache yet, a batch at a time by `run`, which runs each task and
    /// hands back what they return, in any order. For hosts with threads; a [`super::BlobJob`] then finds them here.
    pub fn fill(
        &mut self,
        layer: &Layer,
        mut run: impl FnMut(Vec<DeflateTask>) -> Vec<Result<Task, ContentError>>,
    ) -> Result<(), LayerError> {
        let mut chunks = layer.chunks().peekable();
        let mut more = true;
        while more {
            let mut tasks = Vec::new();
            while tasks.len() < Self::BATCH && more {
                let Some(segment) = next_segment(&mut chunks) else {
                    more = false;
                    continue;
                };
                let key = key_of(&segment);
                if !self.segments.contains_key(&key) {
                    tasks.push(DeflateTask { key, segment });
                }
            }
            for done in run(tasks) {
                let Task { key, bytes, sum } = done?;
                self.insert(key, bytes, sum)?;
            }
        }
        Ok(())
    }
}

/// One segment that waits to be deflated.
pub struct DeflateTask {
    key: Digest,
    segment: Vec<Bytes>,
}

/// One segment that was deflated.
pub struct Task {
    key: Digest,
    bytes: Vec<u8>,
    sum: gz1::SegmentSum,
}

impl DeflateTask {
    /// Reads and deflates the segment.
    pub fn run(self) -> Result<Task, ContentError> {
        let mut deflater = gz1::SegmentDeflater::new();
        let mut bytes = Vec::new();
        for part in &self.segment {
            let mut offset = 0;
            while offset < part.len() {
                let window = read_window(part, offset)?;
                offset += window.len() as u64;
                deflater.push(&window, &mut bytes);
            }
        }
        let sum = deflater.finish(&mut bytes);
        Ok(Task {
            key: self.key,
            bytes,
            sum,
        })
    }
}

/// At most [`STEP`] bytes of a part.
pub(super) fn read_window(part: &Bytes, offset: u64) -> Result<Cow<'_, [u8]>, ContentError> {
    let length = STEP.min(part.len() - offset);
    let range = offset as usize..(offset + length) as usize;
    Ok(match part {
        Bytes::Owned(bytes) => bytes[range].into(),
        Bytes::Content(Content::Inline(bytes)) => bytes[range].into(),
        Bytes::Content(content) => {
            let mut window = vec![0; length as usize];
            content.read_at(offset, &mut window)?;
            window.into()
        }
        Bytes::Zeros(_) => ZEROS[..length as usize].into(),
    })
}

pub(super) fn next_segment(chunks: &mut Peekable<Chunks>) -> Option<Vec<Bytes>> {
    let mut segment = vec![chunks.next()?.bytes];
    while let Some(Chunk { bytes, .. }) = chunks.next_if(|chunk| !chunk.begins_segment) {
        segment.push(bytes);
    }
    Some(segment)
}

pub(super) fn key_of(segment: &[Bytes]) -> Digest {
    let mut key = KeyHasher::new();
    segment.iter().for_each(|bytes| key.take(bytes));
    key.finish()
}
