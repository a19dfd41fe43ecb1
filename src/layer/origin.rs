//! Where a layer that was opened comes from: its blob as it came, and what reading it gave. Kept for as long as the
//! layer lives, so that what nobody edited can be written back byte for byte.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::compress::inflate::{Packing, PackingNote};
use crate::compress::offsets::Offsets;
use crate::content::{Content, ContentError};
use crate::digest::Digest;
use crate::tree::{Ino, Metadata, Name, Time, Tree, TreePath};

use super::read::{Note, ReadError};

/// A blob from outside, and what it holds once it is read.
pub struct Origin {
    blob: Content,
    packing: Packing,
    read: OnceLock<Read>,
    unread: Tree,
}

/// What reading a blob gave.
pub struct Read {
    /// The uncompressed tar.
    pub tar: Content,
    /// What is in it.
    pub tree: Tree,
    /// Its entries, in the order of the tar.
    pub(super) entries: Vec<Original>,
    /// For how many entries it takes memory.
    pub held: usize,
    /// `./` if names in the tar begin so, else nothing.
    pub(super) prefix: &'static [u8],
    /// Whether global PAX headers set attributes: entries of ours could not stand among the others.
    pub(super) has_globals: bool,
    /// Whether entries undo others that further ones depend on: a directory or a symbolic link is replaced, a hard link
    /// names what is replaced later, something has no place for what is replaced later. Then an edit keeps only those that still count.
    pub(super) is_tangled: bool,
    /// What was read otherwise than it stands there, in the order of the tar.
    pub notes: Arc<[Note]>,
    /// The digests of the blob and of the tar, if they were computed on the way.
    pub sums: Option<Sums>,
    /// Why not all of it could be read.
    pub damage: Option<ReadError>,
    /// What is peculiar about its compression.
    pub packing_notes: Vec<PackingNote>,
    /// Where in the blob the tar's bytes come from.
    pub offsets: Offsets,
}

/// What names a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// The digest of the blob.
    pub digest: Digest,
    /// The digest of the tar; none if the blob could not be unpacked.
    pub diff_id: Option<Digest>,
}

/// An entry of the tar as it came.
pub(super) struct Original {
    /// Where its first header begins, long names and PAX records included.
    pub(super) offset: u64,
    /// Where its padding ends.
    pub(super) end: u64,
    pub(super) role: Role,
    /// The directories that its names lead to through symbolic links of the layer, and elsewhere when these change.
    pub(super) ways: Box<[Box<[u8]>]>,
}

/// What an entry does in the tree.
pub(super) enum Role {
    /// The attributes of the root.
    Root,
    /// `name` in the directory `parent` is `ino`; unless a later entry took its place.
    Entry { parent: Ino, name: Name, ino: Ino },
    /// The same, as a hard link to the name `target`.
    Link {
        parent: Ino,
        name: Name,
        ino: Ino,
        target: (Ino, Name),
    },
    /// `name` in the directory `parent` is whited out.
    Whiteout { parent: Ino, name: Name },
    /// The directory is opaque.
    Opaque { directory: Ino },
    /// Nothing that the tree shows, in no tree or (`depends`) not in this one: the entry's name, cleaned.
    Kept { name: Box<[u8]>, depends: bool },
}

impl Origin {
    /// A blob that is still to be read.
    pub fn new(blob: Content, packing: Packing) -> Self {
        Self {
            blob,
            packing,
            read: OnceLock::new(),
            unread: Tree::new(Metadata::new(0o755, 0, 0, Time::at(0)), 0),
        }
    }

    /// A blob that is not there, and why.
    pub fn missing(reason: String) -> Self {
        let origin = Self::new(Content::inline([]), Packing::Plain);
        origin.set_damaged(ReadError::Missing { reason });
        origin
    }

    /// Says that nothing of the blob can be read.
    pub fn set_unreadable(&self, error: ContentError) {
        self.set_damaged(error.into());
    }

    fn set_damaged(&self, damage: ReadError) {
        self.set(Read {
            tar: Content::inline([]),
            tree: self.unread.clone(),
            entries: Vec::new(),
            held: 0,
            prefix: b"",
            has_globals: false,
            is_tangled: false,
            notes: Arc::default(),
            sums: None,
            damage: Some(damage),
            packing_notes: Vec::new(),
            offsets: Offsets::default(),
        });
    }

    /// The blob as it came.
    pub fn blob(&self) -> &Content {
        &self.blob
    }

    /// How the blob is packed.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// What reading it gave, once it is read.
    pub fn read(&self) -> Option<&Read> {
        self.read.get()
    }

    /// Keeps what reading gave. All clones of the layer see it; a second reading changes nothing.
    pub fn set(&self, read: Read) {
        let _ = self.read.set(read);
    }

    pub(super) fn tree(&self) -> &Tree {
        self.read().map_or(&self.unread, |read| &read.tree)
    }
}

impl Read {
    /// Whether some entry that the tree does not show is at `path` or under it.
    pub(super) fn mentions(&self, path: &TreePath) -> bool {
        let path = path.to_bytes();
        let is_under = |name: &[u8]| {
            let rest = name.strip_prefix(&path[..]);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        let mut places: BTreeMap<Ino, Vec<u8>> = BTreeMap::from([(Ino::ROOT, Vec::new())]);
        self.entries.iter().any(|entry| match &entry.role {
            Role::Kept { name, .. } => is_under(name),
            Role::Entry { parent, name, ino }
            | Role::Link {
                parent, name, ino, ..
            } => {
                let above = places.get(parent).map_or(&[][..], Vec::as_slice);
                let path = match above {
                    [] => name.as_bytes().to_vec(),
                    above => [above, b"/", name.as_bytes()].concat(),
                };
                let is_replaced = self.tree.child(*parent, name) != Some(*ino) && is_under(&path);
                if self
                    .tree
                    .get(*ino)
                    .is_none_or(|inode| inode.node.as_directory().is_some())
                {
                    places.insert(*ino, path);
                }
                is_replaced
            }
            _ => false,
        })
    }
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Origin({:?}, {:?})", self.packing, self.blob)
    }
}
