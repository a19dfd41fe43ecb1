//! A layer's tar as bytes that can be looked at: which blocks it has, and which field sets which attribute. For
//! every layer, as it would be written now: one that came and was not edited has the bytes that came.

use std::sync::Arc;

use serde::Serialize;

use crate::content::{Content, ContentError, Source, own_id};
use crate::layer::{Bytes, Compression, Layer};
use crate::tar::anatomy::{self, Attribute, BlockKind, Run};
use crate::tar::{Entries, Entry, Place, TarError};
use crate::text::escape;
use crate::tree::{Name, TreePath, WHITEOUT_PREFIX};

use super::Workbench;
use super::error::WorkbenchError;
use super::lean::whole;
use super::operation::LayerId;
use super::state::LayerState;

/// The most entries that one answer has.
const ENTRIES_LIMIT: usize = 500;
/// A place is kept before every so many entries.
const STRIDE: usize = 32;

/// The blocks of some entries.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Blocks {
    pub size: u64,
    pub packed_size: u64,
    pub entries: usize,
    pub from: usize,
    pub runs: Vec<BlockRun>,
}

/// Blocks of one kind in a row.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct BlockRun {
    pub kind: &'static str,
    pub offset: u64,
    pub blocks: u64,
    pub used: u64,
    pub entry: Option<u64>,
    pub name: Option<String>,
    pub path: Option<String>,
    pub packed: Option<(u64, u64)>,
}

/// A field of a header or a record.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct BlockField {
    pub name: String,
    pub offset: u64,
    pub length: u64,
    pub value: String,
    pub attribute: Option<&'static str>,
    pub overridden: bool,
}

/// The tar of the layer that was looked at last, and where its entries are.
pub(super) struct Ribbon {
    layer: Layer,
    tar: Content,
    places: Vec<Place>,
    entries: usize,
}

impl Ribbon {
    fn new(layer: &Layer) -> Result<Self, WorkbenchError> {
        let tar = tar_of(layer);
        let mut ribbon = Self {
            layer: layer.clone(),
            tar: tar.clone(),
            places: Vec::new(),
            entries: 0,
        };
        let mut entries = Entries::new(tar);
        loop {
            if ribbon.entries.is_multiple_of(STRIDE) {
                ribbon.places.push(entries.place());
            }
            // What is damaged ends what can be shown.
            match entries.next() {
                Some(Ok(_)) => ribbon.entries += 1,
                _ => return Ok(ribbon),
            }
        }
    }

    /// The entries from this one on, and those before it as far as they must be passed.
    fn from(&self, number: usize) -> (Entries, usize) {
        let at = (number / STRIDE).min(self.places.len() - 1);
        let entries = Entries::resume(self.tar.clone(), self.places[at].clone());
        (entries, at * STRIDE)
    }

    fn run(&self, run: &Run, entry: Option<(u64, &Entry)>) -> BlockRun {
        let end = run.offset + run.blocks * 512;
        let read = self.layer.as_read().filter(|_| self.layer.is_original());
        let offsets = read
            .map(|read| &read.offsets)
            .filter(|offsets| offsets.pairs().nth(1).is_some());
        BlockRun {
            kind: kind_name(run.kind),
            offset: run.offset,
            blocks: run.blocks,
            used: run.used,
            entry: entry.map(|(start, _)| start),
            name: entry.map(|(_, entry)| escape(&entry.name)),
            path: entry.and_then(|(_, entry)| path_of(&entry.name)),
            packed: offsets.map(|offsets| (offsets.compressed(run.offset), offsets.compressed(end))),
        }
    }

    fn blocks(&self, from: usize, limit: usize) -> Result<Blocks, TarError> {
        let to = from.saturating_add(limit.min(ENTRIES_LIMIT)).min(self.entries);
        let (mut entries, mut number) = self.from(from);
        let mut runs = Vec::new();
        while number < to {
            let start = entries.offset();
            let Some(entry) = entries.next().transpose()? else {
                break;
            };
            if number >= from {
                let found = anatomy::runs(&self.tar, start, &entry)?;
                runs.extend(found.iter().map(|run| self.run(run, Some((start, &entry)))));
            }
            number += 1;
        }
        if to == self.entries
            && entries.next().is_none()
            && let Some(ending) = entries.ending()?
        {
            runs.extend(
                anatomy::ending_runs(&self.tar, &ending)?
                    .iter()
                    .map(|run| self.run(run, None)),
            );
        }
        let packed = self.layer.origin().filter(|_| self.layer.is_original());
        Ok(Blocks {
            size: self.tar.len(),
            packed_size: packed.map_or(self.tar.len(), |origin| origin.blob().len()),
            entries: self.entries,
            from,
            runs,
        })
    }

    /// The number of the last entry that `is_it`.
    fn find(&self, mut is_it: impl FnMut(&Entry, u64, u64) -> bool) -> Option<usize> {
        let mut entries = Entries::new(self.tar.clone());
        let (mut number, mut found) = (0, None);
        loop {
            let start = entries.offset();
            let Some(Ok(entry)) = entries.next() else {
                return found;
            };
            if is_it(&entry, start, entries.offset()) {
                found = Some(number);
            }
            number += 1;
        }
    }
}

/// A layer's tar as it would be written now.
pub(super) fn tar_of(layer: &Layer) -> Content {
    match layer.as_read().filter(|_| layer.is_original()) {
        Some(read) => read.tar.clone(),
        None => Content::whole(Arc::new(TarSource::new(layer))),
    }
}

/// The path that an entry's name means; of a whiteout, what it hides.
fn path_of(name: &[u8]) -> Option<String> {
    let mut names = Vec::new();
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            b".wh..wh..opq" => {}
            part => names.push(Name::new(part.strip_prefix(WHITEOUT_PREFIX).unwrap_or(part)).ok()?),
        }
    }
    Some(names.into_iter().collect::<TreePath>().to_string())
}

impl Workbench {
    /// The ribbon of a layer, made if it is not the one that was looked at last.
    fn ribbon(&mut self, layer: LayerId) -> Result<&Ribbon, WorkbenchError> {
        whole()?;
        let wanted = &self.state.layer(layer)?.layer;
        if !wanted.is_read() {
            return Err(crate::layer::LayerError::Unread.into());
        }
        if !self
            .ribbon
            .as_ref()
            .is_some_and(|ribbon| ribbon.layer.is_same(wanted))
        {
            self.ribbon = Some(Ribbon::new(wanted)?);
        }
        Ok(self.ribbon.as_ref().expect("it was just made"))
    }

    pub(super) fn blocks(
        &mut self,
        layer: LayerId,
        from: usize,
        limit: usize,
    ) -> Result<Blocks, WorkbenchError> {
        let size = self.blob_size(layer)?;
        let ribbon = self.ribbon(layer)?;
        let mut blocks = ribbon.blocks(from, limit).map_err(unreadable)?;
        if let Some(size) = size {
            blocks.packed_size = size;
        }
        Ok(blocks)
    }

    /// The size of a layer's blob, if it is known.
    fn blob_size(&self, layer: LayerId) -> Result<Option<u64>, WorkbenchError> {
        let state: &LayerState = self.state.layer(layer)?;
        let known = self
            .blobs
            .known(layer)
            .filter(|_| state.compression != Compression::None);
        Ok(known.map(|blob| blob.size))
    }

    /// The number of the entry at a path; the last, if there are several.
    pub(super) fn entry_of(&mut self, layer: LayerId, path: &str) -> Result<Option<usize>, WorkbenchError> {
        let path = TreePath::parse(path)?.to_string();
        let ribbon = self.ribbon(layer)?;
        Ok(ribbon.find(|entry, _, _| path_of(&entry.name).is_some_and(|found| found == path)))
    }

    /// The number of the entry that a byte of the tar belongs to.
    pub(super) fn entry_at(&mut self, layer: LayerId, offset: u64) -> Result<Option<usize>, WorkbenchError> {
        let ribbon = self.ribbon(layer)?;
        Ok(ribbon.find(|_, start, end| (start..end).contains(&offset)))
    }

    /// The fields of the entry that begins at a byte of the tar.
    pub(super) fn fields(&mut self, layer: LayerId, offset: u64) -> Result<Vec<BlockField>, WorkbenchError> {
        let ribbon = self.ribbon(layer)?;
        let after = ribbon.places.partition_point(|place| place.offset <= offset);
        let place = ribbon.places[after.saturating_sub(1)].clone();
        let mut entries = Entries::resume(ribbon.tar.clone(), place);
        while entries.offset() < offset {
            match entries.next() {
                Some(Ok(_)) => {}
                _ => return Ok(Vec::new()),
            }
        }
        let fields = anatomy::fields(&ribbon.tar, &entries.place()).map_err(unreadable)?;
        let field = |field: anatomy::Field| BlockField {
            attribute: field.attribute.as_ref().and_then(attribute_name),
            name: field.name,
            offset: field.offset,
            length: field.length,
            value: field.value,
            overridden: field.overridden,
        };
        Ok(fields.fields.into_iter().map(field).collect())
    }

    /// At most a MiB of a layer's tar, from `offset`.
    pub fn tar_bytes(&mut self, layer: LayerId, offset: u64, length: u64) -> Result<Vec<u8>, WorkbenchError> {
        let tar = self.ribbon(layer)?.tar.clone();
        let offset = offset.min(tar.len());
        let length = length.min(1 << 20).min(tar.len() - offset);
        Ok(tar.slice(offset, length).read_all(length)?)
    }
}

fn kind_name(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Header => "header",
        BlockKind::LongName => "long_name",
        BlockKind::PaxHeader => "pax_header",
        BlockKind::GlobalHeader => "global_header",
        BlockKind::PaxRecords => "pax_records",
        BlockKind::SparseMap => "sparse_map",
        BlockKind::Data => "data",
        BlockKind::End => "end",
        BlockKind::Trailing => "trailing",
    }
}

fn attribute_name(attribute: &Attribute) -> Option<&'static str> {
    Some(match attribute {
        Attribute::Path => "path",
        Attribute::Kind => "kind",
        Attribute::Mode => "mode",
        Attribute::Uid => "uid",
        Attribute::Gid => "gid",
        Attribute::Mtime => "mtime",
        Attribute::Size => "size",
        Attribute::Target => "target",
        Attribute::Device => "device",
        Attribute::Xattr(_) => "xattr",
        Attribute::Checksum => return None,
    })
}

fn unreadable(error: TarError) -> WorkbenchError {
    WorkbenchError::Read(error.into())
}

/// A tar as it would be written, read like a file.
struct TarSource {
    id: u64,
    /// Where each part begins.
    parts: Vec<(u64, Bytes)>,
    length: u64,
}

impl TarSource {
    fn new(layer: &Layer) -> Self {
        let mut length = 0;
        let parts = layer.chunks().map(|chunk| {
            let at = length;
            length += chunk.bytes.len();
            (at, chunk.bytes)
        });
        Self {
            id: own_id(),
            parts: parts.collect(),
            length,
        }
    }
}

impl Source for TarSource {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        "the layer's tar"
    }

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        let mut at = self
            .parts
            .partition_point(|(start, _)| *start <= offset)
            .saturating_sub(1);
        let mut done = 0;
        while done < into.len() {
            let Some((start, bytes)) = self.parts.get(at) else {
                return Err(ContentError::Read {
                    name: self.name().to_owned(),
                    offset,
                    length: into.len() as u64,
                    reason: "it ends before".to_owned(),
                });
            };
            let from = offset + done as u64 - start;
            let length = (bytes.len().saturating_sub(from)).min((into.len() - done) as u64) as usize;
            let part = &mut into[done..done + length];
            match bytes {
                Bytes::Owned(bytes) => part.copy_from_slice(&bytes[from as usize..][..length]),
                Bytes::Content(content) => content.read_at(from, part)?,
                Bytes::Zeros(_) => part.fill(0),
            }
            done += length;
            at += 1;
        }
        Ok(())
    }
}
