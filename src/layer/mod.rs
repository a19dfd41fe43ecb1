//! Layers: a tree as a changeset, and the bytes it travels as. Knows trees, tar and compression; nothing of images.
//!
//! From the tree down: [`Walk`] gives the entries of the canonical layer in order, [`Chunks`] says where its
//! segments begin, and [`BlobJob`] hashes and deflates them in small steps, reusing what an edit left alone.
//! [`ReadJob`] is the way back, from anyone's blob to a tree; a layer that was opened keeps its [`Origin`], and once
//! it is edited, what nobody touched is still written from there.

mod blob;
mod cache;
mod chunks;
mod joined;
pub mod dialect;
mod origin;
mod read;
mod read_job;
mod rewrite;
mod walk;

use std::sync::Arc;

use crate::LEAN;
use crate::compress::inflate::Packing;
use crate::content::{Content, ContentError, ScratchSpace};
use crate::tree::{Metadata, Time, Tree, TreePath};

pub use crate::tar::Format;
pub use blob::{Blob, BlobJob, Compression, LayerError, Progress};
pub use cache::{DeflateTask, SegmentCache, Task};
pub use chunks::{Bytes, Chunk, Chunks, SEGMENT};
pub(crate) use joined::joined;
pub use origin::{Origin, Read, Sums};
pub use read::{ENTRY_LIMIT, Note, ReadError};
pub use read_job::{HELD_LIMIT, ReadJob, Reading};
pub(crate) use walk::is_linkable;
pub use walk::{OPAQUE_NAME, Piece, Walk, format_of, write_tar};

/// One layer of a stack: its tree, and where it came from if it was opened. Until it is edited its tree is the one
/// that was read, so that a layer can stand in a stack before it is read.
#[derive(Clone, Debug)]
pub struct Layer {
    /// What it was made or edited to; none while it is as it came.
    tree: Option<Tree>,
    origin: Option<Arc<Origin>>,
    /// Paths that are to be gone from the bytes as they came too, where the tree does not show them.
    scrubbed: Arc<[TreePath]>,
}

/// How a layer's tar is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The bytes that it came with.
    Original,
    /// Edited entries among those that stayed as they came.
    Mixed,
    /// Canonically, in one of its formats.
    Canonical(Format),
}

impl Layer {
    /// An empty layer. Its root directory and its whiteouts get the time `time`.
    pub fn new(time: Time) -> Self {
        Self::from_tree(Tree::new(Metadata::new(0o755, 0, 0, time), time.seconds))
    }

    /// A layer that will be written canonically.
    pub fn from_tree(tree: Tree) -> Self {
        Self {
            tree: Some(tree),
            origin: None,
            scrubbed: Arc::default(),
        }
    }

    /// A layer that comes from a blob, read or not.
    pub fn from_origin(origin: Arc<Origin>) -> Self {
        Self {
            tree: None,
            origin: Some(origin),
            scrubbed: Arc::default(),
        }
    }

    /// Reads a blob to the end as a layer, whatever there is of it.
    pub fn read(blob: &Content, space: &dyn ScratchSpace) -> Result<Self, ContentError> {
        let origin = Arc::new(Origin::new(blob.clone(), Packing::of(blob)?));
        ReadJob::new(&origin, 0, space)?.run();
        Ok(Self::from_origin(origin))
    }

    /// What is in it; nothing before it is read.
    pub fn tree(&self) -> &Tree {
        match (&self.tree, self.origin()) {
            (Some(tree), _) => tree,
            (None, Some(origin)) => origin.tree(),
            (None, None) => unreachable!("a layer has a tree or comes from somewhere"),
        }
    }

    /// Where it comes from, if it was opened.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        match LEAN {
            true => None,
            false => self.origin.as_ref(),
        }
    }

    /// What was read, if it was opened and has been read.
    pub fn as_read(&self) -> Option<&Read> {
        self.origin()?.read()
    }

    /// Whether what is in it is known.
    pub fn is_read(&self) -> bool {
        self.tree.is_some() || self.as_read().is_some()
    }

    /// What is in it, to be edited. A layer that could not be read wholly cannot be: what was not understood would
    /// be lost.
    pub fn edit(&mut self) -> Result<&mut Tree, LayerError> {
        self.check_whole()?;
        let tree = self.tree().clone();
        Ok(self.tree.insert(tree))
    }

    /// Takes a path out of what is written from the bytes as they came, where the tree does not show it: entries
    /// that later ones replaced, whiteouts under whiteouts.
    pub fn scrub(&mut self, path: TreePath) -> Result<(), LayerError> {
        self.edit()?;
        if self.origin().is_some() {
            self.scrubbed = self.scrubbed.iter().cloned().chain([path]).collect();
        }
        Ok(())
    }

    /// Whether the bytes as they came name a path that the tree does not show.
    pub fn mentions(&self, path: &TreePath) -> bool {
        !self.scrubbed.contains(path) && self.as_read().is_some_and(|read| read.mentions(path))
    }

    /// An error if it could not be read wholly, or not at all.
    pub fn check_whole(&self) -> Result<(), LayerError> {
        let Some(origin) = self.origin() else {
            return Ok(());
        };
        let read = origin.read().ok_or(LayerError::Unread)?;
        match &read.damage {
            Some(error) => Err(LayerError::Damaged(error.clone())),
            None => Ok(()),
        }
    }

    /// Forgets the bytes as they came: from now on the layer is written canonically.
    pub fn normalise(&mut self) -> Result<&mut Tree, LayerError> {
        self.edit()?;
        self.origin = None;
        self.scrubbed = Arc::default();
        self.edit()
    }

    /// Whether its tar is still the one that it came from.
    pub fn is_original(&self) -> bool {
        match (&self.tree, self.origin()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(tree), Some(origin)) => tree.is_same(origin.tree()) && self.scrubbed.is_empty(),
        }
    }

    /// How its tar is made.
    pub fn form(&self) -> Form {
        if self.is_original() {
            return Form::Original;
        }
        match self.as_read() {
            Some(read) if !read.has_globals => Form::Mixed,
            _ => Form::Canonical(format_of(self.tree())),
        }
    }

    /// Whether two layers are the same value, and so the same bytes.
    pub fn is_same(&self, other: &Self) -> bool {
        let origins = match (self.origin(), other.origin()) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        let trees = match (&self.tree, &other.tree) {
            (None, None) => true,
            _ => self.tree().is_same(other.tree()),
        };
        origins && trees && self.scrubbed == other.scrubbed
    }

    /// The bytes of its tar, in chunks. Of a layer that has not been read there are none.
    pub fn chunks(&self) -> Chunks {
        match (self.form(), self.origin()) {
            (Form::Original, _) => {
                let tar = self.as_read().map(|read| read.tar.clone());
                Chunks::of_original(tar.unwrap_or_else(|| Content::inline([])))
            }
            (Form::Mixed, Some(origin)) => Chunks::of_edited(origin, self.tree(), &self.scrubbed),
            _ => Chunks::of_walk(Walk::new(self.tree())),
        }
    }

    /// About how many bytes its tar has, told without walking it: exact for an original, else a guess.
    fn expected_size(&self) -> u64 {
        match self.as_read() {
            Some(read) => read.tar.len(),
            None => {
                let counts = self.tree().counts();
                counts.content_bytes + 1024 * (counts.entries + counts.whiteouts) + 10240
            }
        }
    }
}
