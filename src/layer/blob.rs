//! From a layer to its blob: DiffID, digest and the compressed segments, in small steps that can be dropped.
//!
//! An edit costs what it touched. Segments whose bytes are the same as before are told by keys that need no
//! reading; up to the first one that differs, the hashes go on from midstates that were kept; after it,
//! contents are hashed again but only segments that are not in the cache are deflated.

use std::sync::Arc;

use serde::Serialize;

use super::Layer;
use super::cache::{Deflated, STEP, SegmentCache, key_of, next_segment, read_window};
use super::chunks::{Bytes, Chunks};
use super::origin::{Read, Sums};
use super::read::ReadError;
use crate::compress::gz1;
use crate::compress::inflate::Packing;
use crate::content::ContentError;
use crate::digest::{Digest, Hasher};

/// How a layer is stored in the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// The tar itself: its digest is the DiffID.
    None,
    /// gzip, by the profile gz1.
    #[default]
    Gz1,
    /// The blob as it came, while the layer is not edited; then the tar itself if that is what came, else gz1.
    Original,
}

impl Compression {
    /// How `layer` is stored as it is now.
    pub fn of(self, layer: &Layer) -> Self {
        match (self, layer.origin()) {
            (Self::Original, Some(_)) if layer.is_original() => Self::Original,
            (Self::Original, Some(origin)) if origin.packing() == Packing::Plain => Self::None,
            (Self::Original, _) => Self::Gz1,
            (chosen, _) => chosen,
        }
    }

    /// The media type of `layer` if it is stored so (image-spec, layer.md).
    pub fn media_type(self, layer: &Layer) -> &'static str {
        let packing = layer.origin().map_or(Packing::Plain, |origin| origin.packing());
        match (self.of(layer), packing) {
            (Self::None, _) | (Self::Original, Packing::Plain) => "application/vnd.oci.image.layer.v1.tar",
            (Self::Original, Packing::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (Self::Gz1, _) | (Self::Original, Packing::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
        }
    }
}

/// A layer could not be made into a blob, or not be edited.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LayerError {
    /// A content could not be read or kept.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It was opened, and is still to be read.
    #[error("the layer has not been read yet")]
    Unread,
    /// It could not be read wholly.
    #[error("the layer could not be read to its end, so it stays as it came: {0}")]
    Damaged(ReadError),
}

/// One segment of a blob, and the state of both hashes after it.
struct Segment {
    key: Digest,
    raw_size: u64,
    deflated: Option<Deflated>,
    diff_after: Hasher,
    blob_after: Hasher,
}

/// A layer as it is stored: what names it, and its compressed bytes.
pub struct Blob {
    /// The digest of the tar.
    pub diff_id: Digest,
    /// Bytes of the tar.
    pub diff_size: u64,
    /// The digest of the blob as stored.
    pub digest: Digest,
    /// Bytes of the blob as stored.
    pub size: u64,
    /// How it is stored.
    pub compression: Compression,
    /// The media type that says so.
    pub media_type: &'static str,
    /// How many of its segments were not deflated anew.
    pub segments_reused: usize,
    segments: Vec<Segment>,
    sum: gz1::SegmentSum,
}

impl Blob {
    /// How many segments the canonical gzip has.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The bytes of the blob, in order. `layer` is the layer that it was made of.
    pub fn bytes(&self, layer: &Layer) -> Box<dyn Iterator<Item = Bytes> + '_> {
        match (self.compression, layer.origin()) {
            (Compression::None, _) => return Box::new(layer.chunks().map(|chunk| chunk.bytes)),
            (Compression::Original, Some(origin)) => {
                return Box::new(std::iter::once(Bytes::Content(origin.blob().clone())));
            }
            _ => {}
        }
        let head = Bytes::Owned(gz1::HEADER.to_vec());
        let tail = Bytes::Owned(self.sum.trailer().to_vec());
        let deflated = self
            .segments
            .iter()
            .filter_map(|segment| segment.deflated.as_ref());
        let body = deflated.map(|deflated| Bytes::Content(deflated.bytes.clone()));
        Box::new(std::iter::once(head).chain(body).chain(std::iter::once(tail)))
    }
}

/// How far a job is.
pub enum Progress {
    /// Not done: bytes of the tar that were passed, and about how many there are.
    Working {
        /// Bytes passed.
        done: u64,
        /// Bytes expected.
        total: u64,
    },
    /// Done.
    Done(Arc<Blob>),
}

/// The work of making a blob. Dropping it drops the work; what was deflated stays in the cache.
pub struct BlobJob {
    compression: Compression,
    media_type: &'static str,
    /// The layer, if it is stored as it came: it is only hashed.
    original: Option<Original>,
    chunks: std::iter::Peekable<Chunks>,
    previous: Option<Arc<Blob>>,
    same_so_far: bool,
    current: Option<Current>,
    segments: Vec<Segment>,
    segments_reused: usize,
    diff: Hasher,
    blob: Hasher,
    sum: gz1::SegmentSum,
    diff_size: u64,
    size: u64,
    total: u64,
}

/// The segment that is being read.
struct Current {
    key: Digest,
    bytes: Vec<Bytes>,
    part: usize,
    offset: u64,
    raw_size: u64,
    cached: Option<Deflated>,
    deflater: Option<gz1::SegmentDeflater>,
    out: Vec<u8>,
}

/// How many bytes can be hashed in the time that one takes to be deflated.
const HASH_DISCOUNT: u64 = 16;

impl BlobJob {
    /// The work for `layer` as it is now. `previous` is the blob that the layer had before.
    pub fn new(layer: &Layer, compression: Compression, previous: Option<Arc<Blob>>) -> Self {
        let media_type = compression.media_type(layer);
        let compression = compression.of(layer);
        let previous = previous.filter(|blob| blob.compression == compression);
        let mut blob = Hasher::new();
        let mut size = 0;
        if compression == Compression::Gz1 {
            blob.update(&gz1::HEADER);
            size = gz1::HEADER.len() as u64;
        }
        Self {
            compression,
            media_type,
            original: (compression == Compression::Original).then(|| Original::new(layer)),
            chunks: layer.chunks().peekable(),
            same_so_far: previous.is_some(),
            previous,
            current: None,
            segments: Vec::new(),
            segments_reused: 0,
            diff: Hasher::new(),
            blob,
            sum: gz1::SegmentSum::default(),
            diff_size: 0,
            size,
            total: layer.expected_size(),
        }
    }

    /// Works for about as long as `budget` bytes take to be deflated.
    pub fn step(&mut self, budget: u64, cache: &mut SegmentCache) -> Result<Progress, LayerError> {
        if let Some(original) = &mut self.original {
            return original.step(budget);
        }
        let mut spent = 0;
        while spent < budget {
            let Some(current) = &mut self.current else {
                let Some(segment) = next_segment(&mut self.chunks) else {
                    return Ok(Progress::Done(self.finish()));
                };
                spent += segment.iter().map(Bytes::len).sum::<u64>().min(STEP) / HASH_DISCOUNT + 1;
                self.begin(segment, cache);
                continue;
            };
            spent += current.read(&mut self.diff)?;
            if current.part == current.bytes.len() {
                self.end_segment(cache)?;
            }
        }
        let done = self.diff_size + self.current.as_ref().map_or(0, |current| current.raw_size);
        Ok(Progress::Working {
            done,
            total: self.total.max(done),
        })
    }

    fn begin(&mut self, bytes: Vec<Bytes>, cache: &mut SegmentCache) {
        let key = key_of(&bytes);
        let before = self
            .previous
            .as_ref()
            .and_then(|blob| blob.segments.get(self.segments.len()));
        self.same_so_far &= before.is_some_and(|segment| segment.key == key);
        if let Some(segment) = before.filter(|_| self.same_so_far) {
            (self.diff, self.blob) = (segment.diff_after.clone(), segment.blob_after.clone());
            let (raw_size, deflated) = (segment.raw_size, segment.deflated.clone());
            self.segments_reused += 1;
            self.push(key, raw_size, deflated);
            return;
        }
        let gz1 = self.compression == Compression::Gz1;
        let cached = if gz1 { cache.get(&key) } else { None };
        let deflater = (gz1 && cached.is_none()).then(gz1::SegmentDeflater::new);
        self.current = Some(Current {
            key,
            bytes,
            part: 0,
            offset: 0,
            raw_size: 0,
            cached,
            deflater,
            out: Vec::new(),
        });
    }

    fn end_segment(&mut self, cache: &mut SegmentCache) -> Result<(), LayerError> {
        let Current {
            key,
            raw_size,
            cached,
            deflater,
            mut out,
            ..
        } = self.current.take().expect("a segment was read");
        let deflated = match deflater {
            Some(deflater) => {
                let sum = deflater.finish(&mut out);
                self.blob.update(&out);
                Some(cache.insert(key, out, sum)?)
            }
            None => {
                if let Some(cached) = &cached {
                    cached.bytes.for_each_window(|bytes| self.blob.update(bytes))?;
                    self.segments_reused += 1;
                }
                cached
            }
        };
        self.push(key, raw_size, deflated);
        Ok(())
    }

    fn push(&mut self, key: Digest, raw_size: u64, deflated: Option<Deflated>) {
        self.diff_size += raw_size;
        if let Some(deflated) = &deflated {
            self.size += deflated.bytes.len();
            self.sum.append(&deflated.sum);
        }
        self.segments.push(Segment {
            key,
            raw_size,
            deflated,
            diff_after: self.diff.clone(),
            blob_after: self.blob.clone(),
        });
    }

    fn finish(&mut self) -> Arc<Blob> {
        let diff_id = std::mem::take(&mut self.diff).finish();
        let mut blob = std::mem::take(&mut self.blob);
        let (digest, size) = match self.compression {
            Compression::None | Compression::Original => (diff_id, self.diff_size),
            Compression::Gz1 => {
                let trailer = self.sum.trailer();
                blob.update(&trailer);
                (blob.finish(), self.size + trailer.len() as u64)
            }
        };
        Arc::new(Blob {
            diff_id,
            diff_size: self.diff_size,
            digest,
            size,
            compression: self.compression,
            media_type: self.media_type,
            segments_reused: self.segments_reused,
            segments: std::mem::take(&mut self.segments),
            sum: std::mem::take(&mut self.sum),
        })
    }

    /// Works until the end, for hosts that have nothing else to do.
    pub fn run(mut self, cache: &mut SegmentCache) -> Result<Arc<Blob>, LayerError> {
        loop {
            if let Progress::Done(blob) = self.step(u64::MAX, cache)? {
                return Ok(blob);
            }
        }
    }
}

/// The hashing of a layer that is stored as it came. What was packed was hashed when it was read.
struct Original {
    layer: Layer,
    hasher: Hasher,
    offset: u64,
}

impl Original {
    fn new(layer: &Layer) -> Self {
        Self {
            layer: layer.clone(),
            hasher: Hasher::new(),
            offset: 0,
        }
    }

    fn step(&mut self, budget: u64) -> Result<Progress, LayerError> {
        let read = self.layer.as_read().ok_or(LayerError::Unread)?;
        if let Some(error) = &read.damage {
            return Err(LayerError::Damaged(error.clone()));
        }
        if let Some(Sums { digest, diff_id }) = read.sums {
            return Ok(self.done(read, digest, diff_id.unwrap_or(digest)));
        }
        let total = read.tar.len();
        let tar = Bytes::Content(read.tar.clone());
        let end = total.min(self.offset.saturating_add(budget.saturating_mul(HASH_DISCOUNT)));
        while self.offset < end {
            let window = read_window(&tar, self.offset)?;
            self.hasher.update(&window);
            self.offset += window.len() as u64;
        }
        if self.offset < total {
            return Ok(Progress::Working {
                done: self.offset,
                total,
            });
        }
        let digest = std::mem::take(&mut self.hasher).finish();
        Ok(self.done(read, digest, digest))
    }

    fn done(&self, read: &Read, digest: Digest, diff_id: Digest) -> Progress {
        let origin = self.layer.origin().expect("it comes from somewhere");
        Progress::Done(Arc::new(Blob {
            diff_id,
            diff_size: read.tar.len(),
            digest,
            size: origin.blob().len(),
            compression: Compression::Original,
            media_type: Compression::Original.media_type(&self.layer),
            segments_reused: 0,
            segments: Vec::new(),
            sum: gz1::SegmentSum::default(),
        }))
    }
}

impl Current {
    /// Reads a window, hashes it, and deflates it if it must be. Returns what that cost.
    fn read(&mut self, diff: &mut Hasher) -> Result<u64, LayerError> {
        let part = &self.bytes[self.part];
        let window = read_window(part, self.offset)?;
        let length = window.len() as u64;
        diff.update(&window);
        self.offset += length;
        self.raw_size += length;
        if self.offset == part.len() {
            (self.part, self.offset) = (self.part + 1, 0);
        }
        match &mut self.deflater {
            None => Ok(length / HASH_DISCOUNT + 1),
            Some(deflater) => {
                deflater.push(&window, &mut self.out);
                Ok(length + 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::gzip::Gunzip;
    use crate::content::Content;
    use crate::layer::{DeflateTask, Walk, write_tar};
    use crate::tree::{Directory, Metadata, Node, Time, Tree, TreePath};

    /// A layer of several segments: small files, and one of some MiB, made of bytes that compress a little.
    fn layer() -> Layer {
        let metadata = Metadata::new(0o644, 0, 0, Time::at(0));
        let mut tree = Tree::new(metadata.clone(), 0);
        let mut word = 1u64;
        let mut bytes = |length: usize| -> Vec<u8> {
            let mut next = || {
                word = word
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                b"0123456789abcdef"[(word >> 60) as usize]
            };
            (0..length).map(|_| next()).collect()
        };
        for directory in 0..8 {
            let path = TreePath::parse(&format!("/{directory}")).unwrap();
            tree.make(&path, Node::Directory(Directory::default()), metadata.clone())
                .unwrap();
            for file in 0..100 {
                let path = TreePath::parse(&format!("/{directory}/{file}")).unwrap();
                let content = Content::inline(bytes(file * 100));
                tree.make(&path, Node::File(content), metadata.clone()).unwrap();
            }
        }
        let large = Content::inline(bytes((3 << 20) + 7));
        tree.make(&TreePath::parse("/5/large").unwrap(), Node::File(large), metadata)
            .unwrap();
        Layer::from_tree(tree)
    }

    fn tar_of(layer: &Layer) -> Vec<u8> {
        let mut tar = Vec::new();
        write_tar::<ContentError>(Walk::new(layer.tree()), |bytes| {
            tar.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
        tar
    }

    fn blob_of(blob: &Blob, layer: &Layer) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in blob.bytes(layer) {
            let mut offset = 0;
            while offset < part.len() {
                let window = read_window(&part, offset).unwrap();
                bytes.extend_from_slice(&window);
                offset += window.len() as u64;
            }
        }
        bytes
    }

    fn gunzip(gzip: &[u8], size: usize) -> Vec<u8> {
        let (mut out, mut gunzip, mut at, mut written) = (vec![0; size + 1], Gunzip::new(), 0, 0);
        loop {
            let step = gunzip.step(&gzip[at..], &mut out[written..]).unwrap();
            (at, written) = (at + step.consumed, written + step.written);
            if (step.consumed, step.written) == (0, 0) {
                break;
            }
        }
        gunzip.finish().unwrap();
        out.truncate(written);
        out
    }

    #[test]
    fn a_blob_is_the_tar_whatever_the_steps() {
        let layer = layer();
        let tar = tar_of(&layer);
        let whole = BlobJob::new(&layer, Compression::Gz1, None)
            .run(&mut SegmentCache::in_memory())
            .unwrap();
        assert_eq!(
            (whole.diff_id, whole.diff_size),
            (Digest::of(&tar), tar.len() as u64)
        );
        let gzip = blob_of(&whole, &layer);
        assert_eq!((whole.digest, whole.size), (Digest::of(&gzip), gzip.len() as u64));
        assert_eq!(gunzip(&gzip, tar.len()), tar);
        assert!(whole.segment_count() >= 5, "{}", whole.segment_count());

        let (mut job, mut steps) = (BlobJob::new(&layer, Compression::Gz1, None), 0);
        let mut cache = SegmentCache::in_memory();
        let stepped = loop {
            steps += 1;
            if let Progress::Done(blob) = job.step(10_000, &mut cache).unwrap() {
                break blob;
            }
        };
        assert_eq!(stepped.digest, whole.digest);
        assert!(steps > 20, "{steps}");

        let plain = BlobJob::new(&layer, Compression::None, None)
            .run(&mut cache)
            .unwrap();
        assert_eq!((plain.digest, plain.size), (whole.diff_id, tar.len() as u64));
        assert_eq!(blob_of(&plain, &layer), tar);
    }

    #[test]
    fn an_edit_deflates_its_own_segment_and_changes_no_byte_of_the_result() {
        let mut layer = layer();
        let mut cache = SegmentCache::in_memory();
        let mut blob = BlobJob::new(&layer, Compression::Gz1, None)
            .run(&mut cache)
            .unwrap();
        let edits: [(&str, &[u8]); 4] = [
            ("/0/99", b"early"),
            ("/5/large", b"small now"),
            ("/7/1", b""),
            ("/3/50", &[7; 50_000]),
        ];
        for (path, bytes) in edits {
            layer
                .edit()
                .unwrap()
                .write(&TreePath::parse(path).unwrap(), Content::inline(bytes))
                .unwrap();
            let edited = BlobJob::new(&layer, Compression::Gz1, Some(blob.clone()))
                .run(&mut cache)
                .unwrap();
            let fresh = BlobJob::new(&layer, Compression::Gz1, None)
                .run(&mut SegmentCache::in_memory())
                .unwrap();
            assert_eq!(
                (edited.digest, edited.diff_id),
                (fresh.digest, fresh.diff_id),
                "{path}"
            );
            assert_ne!(edited.diff_id, blob.diff_id);
            let deflated = edited.segment_count() - edited.segments_reused;
            assert!(
                deflated <= 2,
                "{path}: {deflated} of {} segments deflated",
                edited.segment_count()
            );
            assert_eq!(blob_of(&edited, &layer), blob_of(&fresh, &layer));
            blob = edited;
        }
    }

    #[test]
    fn threads_fill_the_cache_with_the_same_segments() {
        let layer = layer();
        let mut cache = SegmentCache::in_memory();
        cache
            .fill(&layer, |tasks| {
                tasks.into_iter().rev().map(DeflateTask::run).collect()
            })
            .unwrap();
        let filled = BlobJob::new(&layer, Compression::Gz1, None)
            .run(&mut cache)
            .unwrap();
        assert_eq!(filled.segments_reused, filled.segment_count());
        let fresh = BlobJob::new(&layer, Compression::Gz1, None)
            .run(&mut SegmentCache::in_memory())
            .unwrap();
        assert_eq!(filled.digest, fresh.digest);
    }
}
