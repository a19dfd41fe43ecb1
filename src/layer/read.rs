//! From anyone's tar to a tree. Every spelling of a whiteout is understood: `.wh.` names of any file type,
//! and the marks that overlayfs keeps on disk (character device 0:0, opaque xattrs). What the canonical layer
//! would write otherwise is told in notes, with the place where it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::compress::inflate::{Inflate, InflateError, LIMIT, Packing};
use crate::content::{Content, ContentError, Scratch, ScratchSpace};
use crate::tar::{Entries, Entry, ReadType, TarError};
use crate::text::escape;
use crate::tree::{
    Device, Directory, EditError, Ino, Metadata, Name, NameError, Node, Time, Tree, TreePath, WHITEOUT_PREFIX,
};

use super::Layer;
use super::walk::OPAQUE_NAME;

/// A layer as it was read.
pub struct ReadTar {
    /// What is in it.
    pub tree: Tree,
    /// What would be written otherwise than it was read, in the order of the tar.
    pub notes: Vec<Note>,
}

/// Something that was read, and would be written otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where the entry begins in the tar.
    pub offset: u64,
    /// One sentence that names the entry.
    pub text: String,
}

/// Why some bytes are not a layer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "fields are what the texts name")]
pub enum ReadError {
    #[error(transparent)]
    Tar(#[from] TarError),
    #[error("entry at byte {offset}: {error}")]
    Name { offset: u64, error: NameError },
    #[error("entry at byte {offset}: {error}")]
    Edit { offset: u64, error: EditError },
    #[error("entry at byte {offset}: `{name}` is a whiteout of nothing: a name must follow `.wh.`")]
    EmptyWhiteout { offset: u64, name: String },
    #[error("entry at byte {offset}: the root of a layer must be a directory")]
    RootNotDirectory { offset: u64 },
    #[error(transparent)]
    Inflate(#[from] InflateError),
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl ReadError {
    /// A stable name of the kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tar(_) => "bad_tar",
            Self::Inflate(InflateError::Gzip(_)) => "bad_gzip",
            Self::Inflate(InflateError::Zstd(_)) => "bad_zstd",
            Self::Inflate(InflateError::TooLarge { .. }) => "too_large",
            Self::Inflate(InflateError::Content(_)) | Self::Content(_) => "content_unreadable",
            _ => "bad_layer",
        }
    }
}

/// Reads an uncompressed tar as a layer. Its contents become ranges of `tar`.
pub fn read_tar(tar: &Content) -> Result<ReadTar, ReadError> {
    let mut reader = Reader::new();
    Entries::new(tar.clone()).try_for_each(|entry| reader.entry(entry?))?;
    reader.finish()
}

/// The work of reading a tar, plain, gzip or zstd, as a layer, in small steps. Dropping it drops the work.
pub struct ReadJob(Box<Stage>);

enum Stage {
    Inflating {
        inflate: Inflate,
        size: u64,
        scratch: Arc<dyn Scratch>,
    },
    Reading {
        entries: Entries,
        reader: Reader,
        tar: Content,
    },
}

/// How far reading is.
pub enum Reading {
    /// Bytes that were passed, and how many there are: of what is compressed first, then of the tar.
    Working {
        /// Bytes passed.
        done: u64,
        /// All bytes.
        total: u64,
    },
    /// The layer, which keeps the tar's bytes, and what would be written otherwise.
    Done(Layer, Vec<Note>),
}

/// What reading one entry costs, in bytes that are inflated in the same time.
const ENTRY_COST: u64 = 2048;

impl ReadJob {
    /// The work for `tar`. What it inflates to, if it is compressed, is kept in scratch.
    pub fn new(tar: &Content, space: &dyn ScratchSpace) -> Result<Self, ReadError> {
        if Packing::of(tar)? == Packing::Plain {
            return Ok(Self(Box::new(Stage::reading(tar.clone()))));
        }
        let (inflate, scratch) = (Inflate::new(tar, LIMIT)?, space.create()?);
        Ok(Self(Box::new(Stage::Inflating {
            inflate,
            size: tar.len(),
            scratch,
        })))
    }

    /// Works for about as long as `budget` bytes take to be inflated.
    pub fn step(&mut self, budget: u64) -> Result<Reading, ReadError> {
        let mut spent = 0;
        while spent < budget {
            match &mut *self.0 {
                Stage::Inflating { inflate, scratch, .. } => {
                    let before = inflate.written() + inflate.offset();
                    if !inflate.step(|bytes| scratch.append(bytes).map(drop))? {
                        *self.0 = Stage::reading(Content::whole(scratch.clone()));
                        continue;
                    }
                    spent += inflate.written() + inflate.offset() - before;
                }
                Stage::Reading { entries, reader, tar } => match entries.next() {
                    Some(entry) => {
                        reader.entry(entry?)?;
                        spent += ENTRY_COST;
                    }
                    None => {
                        let read = std::mem::replace(reader, Reader::new()).finish()?;
                        return Ok(Reading::Done(Layer::from_tar(read.tree, tar.clone()), read.notes));
                    }
                },
            }
        }
        let (done, total) = match &*self.0 {
            Stage::Inflating { inflate, size, .. } => (inflate.offset(), *size),
            Stage::Reading { entries, tar, .. } => (entries.offset(), tar.len()),
        };
        Ok(Reading::Working { done, total })
    }

    /// Works until the end, for hosts that have nothing else to do.
    pub fn run(mut self) -> Result<(Layer, Vec<Note>), ReadError> {
        loop {
            if let Reading::Done(layer, notes) = self.step(u64::MAX)? {
                return Ok((layer, notes));
            }
        }
    }
}

impl Stage {
    fn reading(tar: Content) -> Self {
        Self::Reading {
            entries: Entries::new(tar.clone()),
            reader: Reader::new(),
            tar,
        }
    }
}

struct Reader {
    tree: Tree,
    notes: Vec<Note>,
    /// Names that were whited out; applied at the end, since they do not hide entries of this very layer.
    whiteouts: BTreeSet<TreePath>,
    /// Directories that were made for what is in them, and by which entry.
    implied: BTreeMap<TreePath, u64>,
    whiteout_time: Option<i64>,
    offset: u64,
}

impl Reader {
    fn new() -> Self {
        Self {
            tree: Tree::new(Metadata::new(0o755, 0, 0, Time::at(0)), 0),
            notes: Vec::new(),
            whiteouts: BTreeSet::new(),
            implied: BTreeMap::new(),
            whiteout_time: None,
            offset: 0,
        }
    }

    fn note(&mut self, text: String) {
        self.notes.push(Note {
            offset: self.offset,
            text,
        });
    }

    fn edit<T>(&self, result: Result<T, EditError>) -> Result<T, ReadError> {
        result.map_err(|error| ReadError::Edit {
            offset: self.offset,
            error,
        })
    }

    /// The path that a name in the tar means: `.` and empty components mean nothing, `..` is refused.
    fn path(&self, name: &[u8]) -> Result<TreePath, ReadError> {
        name.split(|&byte| byte == b'/')
            .filter(|component| !matches!(*component, b"" | b"."))
            .map(Name::new)
            .collect::<Result<_, _>>()
            .map_err(|error| ReadError::Name {
                offset: self.offset,
                error,
            })
    }

    fn entry(&mut self, entry: Entry) -> Result<(), ReadError> {
        self.offset = entry.offset;
        let trimmed = entry.name.strip_suffix(b"/").unwrap_or(&entry.name);
        let cut = trimmed
            .iter()
            .rposition(|&byte| byte == b'/')
            .map_or(0, |slash| slash + 1);
        let (parent, base) = trimmed.split_at(cut);
        if let Some(name) = base.strip_prefix(WHITEOUT_PREFIX) {
            return self.marker(&entry, parent, base, name);
        }
        let path = self.path(&entry.name)?;
        if matches!(entry.entry_type, ReadType::CharDevice) && entry.device == (0, 0) {
            self.note(format!(
                "`{path}` is a character device 0:0, which overlayfs reads as a whiteout"
            ));
            return self.whiteout(&entry, path);
        }
        self.file(entry, path)
    }

    /// An entry whose name begins with `.wh.`.
    fn marker(&mut self, entry: &Entry, parent: &[u8], base: &[u8], name: &[u8]) -> Result<(), ReadError> {
        let plain = matches!(entry.entry_type, ReadType::Regular) && entry.size == 0;
        let shown = escape(&entry.name);
        let parent = self.path(parent)?;
        if base == OPAQUE_NAME {
            self.parents(&parent)?;
            self.whiteout_time.get_or_insert(entry.mtime.seconds);
            let result = self.tree.set_opaque(&parent, true);
            return self.edit(result);
        }
        if name.starts_with(WHITEOUT_PREFIX) {
            self.note(format!(
                "`{shown}` is a mark that AUFS kept for itself; it is left out"
            ));
            return Ok(());
        }
        if matches!(name, b"" | b"." | b"..") {
            return Err(ReadError::EmptyWhiteout {
                offset: self.offset,
                name: shown,
            });
        }
        if !plain {
            self.note(format!(
                "`{shown}` is a whiteout, but not the empty file that the specification asks for"
            ));
        }
        let name = Name::new(name).map_err(|error| ReadError::Name {
            offset: self.offset,
            error,
        })?;
        self.whiteout(entry, parent.join(name))
    }

    fn whiteout(&mut self, entry: &Entry, path: TreePath) -> Result<(), ReadError> {
        self.whiteout_time.get_or_insert(entry.mtime.seconds);
        self.whiteouts.insert(path);
        Ok(())
    }

    /// Makes `path` and what is above it, as runtimes do for directories without an entry.
    fn parents(&mut self, path: &TreePath) -> Result<(), ReadError> {
        let implied = Metadata::new(0o755, 0, 0, Time::at(0));
        if self.tree.lookup(path).is_some() {
            return Ok(());
        }
        self.implied.insert(path.clone(), self.offset);
        let result = self.tree.make_parents(path, |_| implied.clone());
        self.edit(result)?;
        let result = self
            .tree
            .make(path, Node::Directory(Directory::default()), implied);
        self.edit(result).map(|_| ())
    }

    fn file(&mut self, entry: Entry, path: TreePath) -> Result<(), ReadError> {
        let is_directory = matches!(entry.entry_type, ReadType::Directory);
        let (metadata, opaque) = self.metadata(&entry, &path);
        let exists = self.tree.lookup(&path);
        if path.is_root() || (is_directory && exists.is_some_and(|ino| self.tree.directory(ino).is_some())) {
            if !is_directory {
                return Err(ReadError::RootNotDirectory { offset: self.offset });
            }
            self.implied.remove(&path);
            let result = self.tree.set_metadata(&path, |old| *old = metadata);
            self.edit(result)?;
        } else {
            self.place(entry, &path, metadata, exists)?;
        }
        if opaque && is_directory {
            let result = self.tree.set_opaque(&path, true);
            self.edit(result)?;
        }
        Ok(())
    }

    fn place(
        &mut self,
        entry: Entry,
        path: &TreePath,
        metadata: Metadata,
        exists: Option<Ino>,
    ) -> Result<(), ReadError> {
        if let Some((parent, _)) = path.split_last() {
            self.parents(&parent)?;
        }
        let node = match entry.entry_type {
            ReadType::Regular => Node::File(entry.content),
            ReadType::Directory => Node::Directory(Directory::default()),
            ReadType::Symlink => Node::from(&entry.link_name[..]),
            ReadType::CharDevice => Node::CharDevice(device(entry.device)),
            ReadType::BlockDevice => Node::BlockDevice(device(entry.device)),
            ReadType::Fifo => Node::Fifo,
            ReadType::HardLink => return self.hard_link(&entry.link_name, path, exists),
            ReadType::Other(flag) => {
                self.note(format!(
                    "`{path}` is of the unknown type {}; it is left out",
                    escape(&[flag])
                ));
                return Ok(());
            }
        };
        self.give_way(path, exists)?;
        let result = self.tree.make(path, node, metadata);
        self.edit(result).map(|_| ())
    }

    fn hard_link(&mut self, link: &[u8], path: &TreePath, exists: Option<Ino>) -> Result<(), ReadError> {
        let target = self.path(link)?;
        let result = self.tree.resolve(&target);
        self.edit(result)?;
        if target == *path {
            return Ok(());
        }
        self.give_way(path, exists)?;
        let result = self.tree.link(path, &target);
        self.edit(result)
    }

    /// A later entry of a name replaces an earlier one, in every runtime.
    fn give_way(&mut self, path: &TreePath, exists: Option<Ino>) -> Result<(), ReadError> {
        if exists.is_none() {
            return Ok(());
        }
        self.note(format!("`{path}` occurs twice; the last one counts"));
        let result = self.tree.delete(path);
        self.edit(result)
    }

    /// The attributes of an entry without overlayfs's own marks, and whether these say that it is opaque.
    fn metadata(&mut self, entry: &Entry, path: &TreePath) -> (Metadata, bool) {
        let mut xattrs = entry.xattrs.clone();
        let mut opaque = false;
        let overlay: Vec<Vec<u8>> = xattrs
            .keys()
            .filter(|name| name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay."))
            .cloned()
            .collect();
        for name in overlay {
            let value = xattrs.remove(&name);
            opaque |= name.ends_with(b".opaque") && value.as_deref() == Some(b"y");
            self.note(format!(
                "`{path}` has overlayfs's own mark {}; it is not kept as such",
                escape(&name)
            ));
        }
        let mode = (entry.mode & 0o7777) as u16;
        let mut metadata = Metadata::new(mode, entry.uid, entry.gid, entry.mtime);
        metadata.xattrs = Arc::new(xattrs);
        (metadata, opaque)
    }

    /// Whether a directory above `path` is whited out. To put anything into it would bring it back.
    fn is_under_whiteout(&self, path: &TreePath) -> bool {
        let mut ino = Ino::ROOT;
        for name in path.names() {
            let Some(directory) = self.tree.directory(ino) else {
                return false;
            };
            match directory.entries().get(name) {
                Some(&child) => ino = child,
                None => return directory.whiteouts().contains(name),
            }
        }
        false
    }

    fn finish(mut self) -> Result<ReadTar, ReadError> {
        if let Some(time) = self.whiteout_time {
            self.tree.set_whiteout_time(time);
        }
        for path in std::mem::take(&mut self.whiteouts) {
            if self.is_under_whiteout(&path) {
                self.note(format!(
                    "`{path}` is whited out, and so is a directory above it; it is left out"
                ));
                continue;
            }
            let Some(own) = self.tree.lookup(&path) else {
                if let Some((parent, _)) = path.split_last() {
                    self.parents(&parent)?;
                }
                let result = self.tree.whiteout(&path);
                self.edit(result)?;
                continue;
            };
            // A whiteout hides what is below only: with a directory of its own that is an opaque directory,
            // and anything else hides what is below by itself.
            self.note(format!(
                "`{path}` and its whiteout are both in this layer, which runtimes read differently"
            ));
            if self.tree.directory(own).is_some() {
                let result = self.tree.set_opaque(&path, true);
                self.edit(result)?;
            }
        }
        for (path, offset) in std::mem::take(&mut self.implied) {
            let text = format!(
                "`{path}` has no entry, so runtimes give it what the layers below say; it would be written as 0755, 0:0"
            );
            self.notes.push(Note { offset, text });
        }
        // In the order of the tar, of one entry in the order of their finding.
        self.notes.sort_by_key(|note| note.offset);
        Ok(ReadTar {
            tree: self.tree,
            notes: self.notes,
        })
    }
}

fn device((major, minor): (u32, u32)) -> Device {
    Device { major, minor }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
