//! Layers: a tree as a changeset, and the bytes it travels as. Knows trees, tar and gzip; nothing of images.
//!
//! From the tree down: [`Walk`] gives the entries of the canonical layer in order, [`Chunks`] says where its
//! segments begin, and [`BlobJob`] hashes and deflates them in small steps, reusing what an edit left alone.
//! [`read_tar`] is the way back, from anyone's tar to a tree.

mod blob;
mod cache;
mod chunks;
mod read;
mod walk;

use crate::content::Content;
use crate::tree::{Metadata, Time, Tree};

pub use crate::tar::Format;
pub use blob::{Blob, BlobJob, Compression, LayerError, Progress};
pub use cache::{DeflateTask, SegmentCache, Task};
pub use chunks::{Bytes, Chunk, Chunks, SEGMENT};
pub use read::{Note, ReadError, ReadJob, ReadTar, Reading, read_tar};
pub use walk::{OPAQUE_NAME, Piece, Walk, format_of, write_tar};

/// One layer of a stack: its tree, and while nobody has edited it, the tar that it came from.
#[derive(Clone, Debug)]
pub struct Layer {
    tree: Tree,
    original: Option<Content>,
}

impl Layer {
    /// An empty layer. Its root directory and its whiteouts get the time `time`.
    pub fn new(time: Time) -> Self {
        Self::from_tree(Tree::new(Metadata::new(0o755, 0, 0, time), time.seconds))
    }

    /// A layer that will be written canonically.
    pub fn from_tree(tree: Tree) -> Self {
        Self { tree, original: None }
    }

    /// A layer that was read from `tar`, whose bytes stay as they are until the tree is edited.
    pub fn from_tar(tree: Tree, tar: Content) -> Self {
        Self {
            tree,
            original: Some(tar),
        }
    }

    /// What is in it.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What is in it, to be edited: from now on the layer is written canonically.
    pub fn edit(&mut self) -> &mut Tree {
        self.original = None;
        &mut self.tree
    }

    /// Whether its tar is still the one that it came from.
    pub fn is_original(&self) -> bool {
        self.original.is_some()
    }

    /// Whether two layers are the same value, and so the same bytes.
    pub fn is_same(&self, other: &Self) -> bool {
        let originals = match (&self.original, &other.original) {
            (None, None) => true,
            (Some(a), Some(b)) => a.is_same(b),
            _ => false,
        };
        originals && self.tree.is_same(&other.tree)
    }

    /// The bytes of its tar, in chunks.
    pub fn chunks(&self) -> Chunks {
        match &self.original {
            None => Chunks::of_walk(Walk::new(&self.tree)),
            Some(tar) => Chunks::of_original(tar.clone()),
        }
    }

    /// About how many bytes its tar has, told without walking it: exact for an original, else a guess.
    fn expected_size(&self) -> u64 {
        match &self.original {
            Some(tar) => tar.len(),
            None => {
                let counts = self.tree.counts();
                counts.content_bytes + 1024 * (counts.entries + counts.whiteouts) + 10240
            }
        }
    }
}
