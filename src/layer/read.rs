//! From anyone's tar to a tree. Every spelling of a whiteout is understood: `.wh.` names of any file type,
//! and the marks that overlayfs keeps on disk (character device 0:0, opaque xattrs).
//!
//! Reading goes on past every entry that means nothing to a tree, or that runtimes refuse: its bytes stay, and a
//! note tells what was read otherwise than it stands there, and where. Names are understood as runtimes extract
//! them: cleaned, `..` kept inside of the root, directories above an entry through symbolic links of this layer.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::compress::inflate::InflateError;
use crate::content::{Content, ContentError};
use crate::tar::{Entry, ReadType, TarError};
use crate::text::escape;
use crate::tree::{
    Device, Directory, Ino, Metadata, Name, NameError, Node, Time, Tree, TreePath, WHITEOUT_PREFIX,
};

use super::origin::{Original, Read, Role};
use super::walk::OPAQUE_NAME;

/// The most entries that a layer is read to, implied directories too. The largest images have some hundred thousand;
/// each costs about half a kilobyte of memory, and what is longer counts as several.
pub const ENTRY_LIMIT: usize = 2_000_000;
/// How many bytes of names, targets and extended attributes count as one entry.
const ENTRY_BYTES: usize = 512;
/// The longest name of an entry that gets a place: four times what Linux takes at once (PATH_MAX, limits.h). GNU tar
/// can go down further, step by step; no runtime does, and paths without a bound cost memory without one.
const NAME_LIMIT: usize = 4 * 4096;
/// How many symbolic links a path may lead through (Linux, MAXSYMLINKS).
const LINK_LIMIT: usize = 40;

/// Something that was read otherwise than it stands in the tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where the entry begins in the tar.
    pub offset: u64,
    /// One sentence that names the entry.
    pub text: String,
}

/// Why some bytes are not a layer, or not all of it could be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "fields are what the texts name")]
pub enum ReadError {
    #[error(transparent)]
    Tar(#[from] TarError),
    #[error(
        "what is kept of entries takes memory for {limit} of them, and that is taken: the next begins at byte {offset}"
    )]
    TooMany { offset: u64, limit: usize },
    #[error("{reason}")]
    Missing { reason: String },
    #[error(transparent)]
    Inflate(#[from] InflateError),
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl ReadError {
    /// True if nothing is wrong with the layer, but there was no room for what it unpacks to.
    pub fn is_no_room(&self) -> bool {
        let (Self::Content(error) | Self::Inflate(InflateError::Content(error))) = self else {
            return false;
        };
        matches!(error, ContentError::Write { .. } | ContentError::TooLarge { .. })
    }

    /// A stable name of the kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tar(_) => "bad_tar",
            Self::TooMany { .. } => "too_many_entries",
            Self::Missing { .. } => "missing_blob",
            Self::Inflate(InflateError::Content(_)) | Self::Content(_) => "content_unreadable",
            Self::Inflate(InflateError::Zstd(_)) => "bad_zstd",
            Self::Inflate(_) => "bad_gzip",
        }
    }
}

/// Why an entry has no place in the tree.
struct Skip {
    /// One sentence.
    reason: String,
    /// Whether it could have one in another tree.
    depends: bool,
}

impl Skip {
    /// What has no place in any tree.
    fn always(reason: String) -> Self {
        Self {
            reason,
            depends: false,
        }
    }

    /// What has no place in this tree.
    fn here(reason: String) -> Self {
        Self {
            reason,
            depends: true,
        }
    }
}

impl From<NameError> for Skip {
    fn from(error: NameError) -> Self {
        Self::always(error.to_string())
    }
}

/// For how many entries more the bytes of one count.
fn long(entry: &Entry) -> usize {
    let xattrs = entry.xattrs.iter().map(|(name, value)| name.len() + value.len());
    let bytes = entry.name.len() + entry.link_name.len() + xattrs.sum::<usize>();
    bytes / ENTRY_BYTES
}

/// A tree in the making.
pub(super) struct Reader {
    tree: Tree,
    entries: Vec<Original>,
    notes: Vec<Note>,
    /// Names that were whited out, with their entries; applied at the end, since they do not hide entries of this
    /// very layer.
    whiteouts: BTreeMap<TreePath, Vec<usize>>,
    whiteout_time: Option<i64>,
    is_tangled: bool,
    prefix: Option<&'static [u8]>,
    offset: u64,
    /// Where the names of the entry at hand led through symbolic links.
    ways: Vec<Box<[u8]>>,
    replaced: bool,
    /// For how many entries there is memory, and for how many what is long counts beside its own entry.
    limit: usize,
    long: usize,
}

impl Reader {
    /// A tree of at most so many entries, or fewer long ones.
    pub(super) fn new(limit: usize) -> Self {
        let mut tree = Tree::new(Metadata::new(0o755, 0, 0, Time::at(0)), 0);
        tree.imply_root();
        Self {
            tree,
            entries: Vec::new(),
            notes: Vec::new(),
            whiteouts: BTreeMap::new(),
            whiteout_time: None,
            is_tangled: false,
            prefix: None,
            offset: 0,
            ways: Vec::new(),
            replaced: false,
            limit,
            long: 0,
        }
    }

    fn note(&mut self, text: String) {
        self.notes.push(Note {
            offset: self.offset,
            text,
        });
    }

    fn check_room(&self, offset: u64) -> Result<(), ReadError> {
        let limit = self.limit;
        match self.entries.len() + self.long < limit {
            true => Ok(()),
            false => Err(ReadError::TooMany { offset, limit }),
        }
    }

    /// Takes the next entry.
    pub(super) fn entry(&mut self, entry: Entry) -> Result<(), ReadError> {
        self.check_room(entry.offset)?;
        self.long += long(&entry);
        self.offset = entry.offset;
        let (offset, end) = (entry.offset, entry.end);
        let prefix: &[u8] = if entry.name.starts_with(b"./") { b"./" } else { b"" };
        self.prefix.get_or_insert(prefix);
        let names = clean(&entry.name);
        let kept = |depends| Role::Kept {
            name: names.join(&b'/').into(),
            depends,
        };
        let role = match self.role(&entry, &names) {
            Ok(role) => role.unwrap_or_else(|| kept(true)),
            Err(Skip { reason, depends }) => {
                self.note(reason);
                kept(depends)
            }
        };
        let ways = std::mem::take(&mut self.ways).into();
        self.entries.push(Original {
            offset,
            end,
            role,
            ways,
        });
        Ok(())
    }

    /// What an entry does; none if that is told at the end, or nothing.
    fn role(&mut self, entry: &Entry, names: &[&[u8]]) -> Result<Option<Role>, Skip> {
        if entry.name.len() > NAME_LIMIT {
            let shown = escape(&entry.name[..64]);
            let length = entry.name.len();
            return Err(Skip::always(format!(
                "`{shown}…` is {length} bytes long, more than {NAME_LIMIT}; it is left out"
            )));
        }
        let Some((base, parents)) = names.split_last() else {
            return self.root(entry).map(Some);
        };
        if base.starts_with(WHITEOUT_PREFIX) {
            return self.marker(entry, parents, base);
        }
        if matches!(entry.entry_type, ReadType::CharDevice) && entry.device == (0, 0) {
            let shown = escape(&entry.name);
            self.note(format!(
                "`{shown}` is a character device 0:0, which overlayfs reads as a whiteout"
            ));
            return self.whiteout(entry, parents, base);
        }
        let name = Name::new(base)?;
        let parent = self.directory(parents)?;
        self.file(entry, parent, name).map(Some)
    }

    fn root(&mut self, entry: &Entry) -> Result<Role, Skip> {
        if !matches!(entry.entry_type, ReadType::Directory) {
            return Err(Skip::always(
                "the root of a layer can only be a directory".to_owned(),
            ));
        }
        let (metadata, opaque) = self.metadata(entry);
        self.tree.set_metadata_of(Ino::ROOT, |old| *old = metadata);
        if opaque {
            self.tree.set_opaque_of(Ino::ROOT, true);
        }
        Ok(Role::Root)
    }

    /// An entry whose name begins with `.wh.`.
    fn marker(&mut self, entry: &Entry, parents: &[&[u8]], base: &[u8]) -> Result<Option<Role>, Skip> {
        let shown = escape(&entry.name);
        if base == OPAQUE_NAME {
            let directory = self.directory(parents)?;
            self.whiteout_time.get_or_insert(entry.mtime.seconds);
            self.tree.set_opaque_of(directory, true);
            return Ok(Some(Role::Opaque { directory }));
        }
        let name = &base[WHITEOUT_PREFIX.len()..];
        if name.starts_with(WHITEOUT_PREFIX) {
            return Err(Skip::always(format!(
                "`{shown}` is a mark that AUFS kept for itself; it is left out"
            )));
        }
        if matches!(name, b"" | b"." | b"..") {
            return Err(Skip::always(format!(
                "`{shown}` is a whiteout of nothing: a name must follow `.wh.`; it is left out"
            )));
        }
        if !matches!(entry.entry_type, ReadType::Regular) || entry.size > 0 {
            self.note(format!(
                "`{shown}` is a whiteout, but not the empty file that the specification asks for"
            ));
        }
        self.whiteout(entry, parents, name)
    }

    fn whiteout(&mut self, entry: &Entry, parents: &[&[u8]], name: &[u8]) -> Result<Option<Role>, Skip> {
        // Its path is kept name by name.
        self.long += parents.len() / 8;
        self.whiteout_time.get_or_insert(entry.mtime.seconds);
        let names = parents.iter().copied().chain([name]).map(Name::new);
        let path: TreePath = names.collect::<Result<_, _>>()?;
        self.whiteouts.entry(path).or_default().push(self.entries.len());
        Ok(None)
    }

    /// The directory of these names, made as an implied one where it is missing.
    fn directory(&mut self, names: &[&[u8]]) -> Result<Ino, Skip> {
        self.walk(names, true)
    }

    /// Goes down from the root, through the symbolic links of this layer; what is missing is made with `make`.
    fn walk(&mut self, names: &[&[u8]], make: bool) -> Result<Ino, Skip> {
        let mut above = vec![Ino::ROOT];
        let mut pending: Vec<Vec<u8>> = names.iter().rev().map(|name| name.to_vec()).collect();
        let mut links = 0;
        while let Some(name) = pending.pop() {
            let at = *above.last().expect("the root stays");
            if name == b".." {
                above.truncate((above.len() - 1).max(1));
                continue;
            }
            let name = Name::new(&name)?;
            let child = match self.tree.child(at, &name) {
                Some(child) => child,
                None if make => self.imply(at, name.clone()),
                None => return Err(Skip::here(format!("`{name}` is not in this layer"))),
            };
            match &self.tree.inode(child).node {
                Node::Directory(_) => above.push(child),
                Node::Symlink(target) => {
                    links += 1;
                    if links > LINK_LIMIT {
                        return Err(Skip::here(format!(
                            "`{name}` leads through too many symbolic links"
                        )));
                    }
                    if target.starts_with(b"/") {
                        above.truncate(1);
                    }
                    let names = target.split(|&byte| byte == b'/');
                    let names = names.filter(|name| !matches!(*name, b"" | b"."));
                    pending.extend(names.rev().map(<[u8]>::to_vec));
                }
                _ => {
                    let reason = format!("`{name}` is not a directory, so nothing can be in it");
                    return Err(Skip::here(reason));
                }
            }
        }
        if links > 0 {
            self.ways.push(names.join(&b'/').into());
        }
        Ok(*above.last().expect("the root stays"))
    }

    fn imply(&mut self, parent: Ino, name: Name) -> Ino {
        let ino = self.tree.imply(parent, name.clone());
        self.entries.push(Original {
            offset: self.offset,
            end: self.offset,
            role: Role::Entry { parent, name, ino },
            ways: Box::default(),
        });
        ino
    }

    fn file(&mut self, entry: &Entry, parent: Ino, name: Name) -> Result<Role, Skip> {
        let is_directory = matches!(entry.entry_type, ReadType::Directory);
        let existing = self.tree.child(parent, &name);
        let (metadata, opaque) = self.metadata(entry);
        let ino = match existing.filter(|ino| is_directory && self.tree.directory(*ino).is_some()) {
            Some(ino) => {
                self.tree.set_metadata_of(ino, |old| *old = metadata);
                ino
            }
            None => {
                let shown = escape(&entry.name);
                let node = match entry.entry_type {
                    ReadType::Regular => Node::File(entry.content.clone()),
                    ReadType::Directory => Node::Directory(Directory::default()),
                    ReadType::Symlink if entry.link_name.is_empty() => {
                        return Err(Skip::always(format!(
                            "`{shown}` is a symbolic link to nothing; it is left out"
                        )));
                    }
                    ReadType::Symlink => Node::from(&entry.link_name[..]),
                    ReadType::CharDevice => Node::CharDevice(device(entry.device)),
                    ReadType::BlockDevice => Node::BlockDevice(device(entry.device)),
                    ReadType::Fifo => Node::Fifo,
                    ReadType::HardLink => return self.hard_link(&entry.link_name, parent, name, &shown),
                    ReadType::Other(flag) => {
                        let flag = escape(&[flag]);
                        return Err(Skip::always(format!(
                            "`{shown}` is of the unknown type {flag}; it is left out"
                        )));
                    }
                };
                self.give_way(parent, &name, &shown);
                self.tree.add(parent, name.clone(), node, metadata)
            }
        };
        if opaque && is_directory {
            self.tree.set_opaque_of(ino, true);
        }
        Ok(Role::Entry { parent, name, ino })
    }

    fn hard_link(&mut self, link: &[u8], parent: Ino, name: Name, shown: &str) -> Result<Role, Skip> {
        let broken = |reason: String| {
            let link = escape(link);
            Skip::here(format!(
                "`{shown}` is a hard link to `{link}`, but {reason}; it is left out"
            ))
        };
        let names = clean(link);
        let Some((base, parents)) = names.split_last() else {
            return Err(broken("that is the root".to_owned()));
        };
        let target = self
            .walk(parents, false)
            .and_then(|directory| Ok((directory, Name::new(base)?)))
            .map_err(|skip| broken(skip.reason))?;
        let Some(ino) = self.tree.child(target.0, &target.1) else {
            return Err(broken("that is not in this layer before it".to_owned()));
        };
        if self.tree.directory(ino).is_some() {
            return Err(broken("that is a directory".to_owned()));
        }
        if target == (parent, name.clone()) {
            return Ok(Role::Entry { parent, name, ino });
        }
        self.give_way(parent, &name, shown);
        if self.tree.get(ino).is_none() {
            self.is_tangled = true;
            return Err(broken("that was in what it replaces".to_owned()));
        }
        self.tree.add_link(parent, name.clone(), ino);
        Ok(Role::Link {
            parent,
            name,
            ino,
            target,
        })
    }

    /// A later entry of a name replaces an earlier one, in every runtime.
    fn give_way(&mut self, parent: Ino, name: &Name, shown: &str) {
        if let Some(ino) = self.tree.child(parent, name) {
            // Other entries may have been understood by way of it.
            let node = &self.tree.inode(ino).node;
            self.is_tangled |= matches!(node, Node::Directory(_) | Node::Symlink(_));
            self.replaced = true;
            self.note(format!("`{shown}` occurs twice; the last one counts"));
            self.tree.remove(parent, name);
        }
    }

    /// The attributes of an entry without overlayfs's own marks, and whether these say that it is opaque.
    fn metadata(&mut self, entry: &Entry) -> (Metadata, bool) {
        let is_own =
            |name: &[u8]| name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
        let mut xattrs = entry.xattrs.clone();
        let mut opaque = false;
        for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_own(name)) {
            xattrs.remove(name);
            opaque |= name.ends_with(b".opaque") && value == b"y";
            self.note(format!(
                "`{}` has overlayfs's own mark {}; it is not taken for an attribute",
                escape(&entry.name),
                escape(name)
            ));
        }
        let mode = (entry.mode & 0o7777) as u16;
        let mut metadata = Metadata::new(mode, entry.uid, entry.gid, entry.mtime);
        if !xattrs.is_empty() {
            metadata.xattrs = Arc::new(xattrs);
        }
        (metadata, opaque)
    }

    /// Whether a directory above the last of these names is whited out. To put anything into it would bring it back.
    fn is_under_whiteout(&self, path: &TreePath) -> bool {
        let mut ino = Ino::ROOT;
        for name in &path.names()[..path.names().len() - 1] {
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

    fn place_whiteout(&mut self, path: &TreePath) -> Result<Role, Skip> {
        if self.is_under_whiteout(path) {
            return Err(Skip::here(format!(
                "`{path}` is whited out, and so is a directory above it; it is left out"
            )));
        }
        let names: Vec<&[u8]> = path.names().iter().map(Name::as_bytes).collect();
        let (_, parents) = names.split_last().expect("a whiteout has a name");
        let parent = self.directory(parents)?;
        let name = path.names().last().expect("a whiteout has a name").clone();
        // A whiteout hides what is below only: with a directory of its own that is an opaque directory,
        // and anything else hides what is below by itself.
        match self.tree.child(parent, &name) {
            None => self.tree.add_whiteout(parent, name.clone()),
            Some(own) => {
                self.note(format!(
                    "`{path}` and its whiteout are both in this layer, which runtimes read differently"
                ));
                if self.tree.directory(own).is_some() {
                    self.tree.set_opaque_of(own, true);
                }
            }
        }
        Ok(Role::Whiteout { parent, name })
    }

    /// What was read; the caller adds where from.
    pub(super) fn finish(mut self, tar: Content, mut damage: Option<ReadError>) -> Read {
        if let Some(time) = self.whiteout_time {
            self.tree.set_whiteout_time(time);
        }
        for (path, entries) in std::mem::take(&mut self.whiteouts) {
            for entry in entries {
                self.offset = self.entries[entry].offset;
                // Directories are made for whiteouts too.
                if let Err(full) = self.check_room(self.offset) {
                    damage.get_or_insert(full);
                    break;
                }
                match self.place_whiteout(&path) {
                    Ok(role) => {
                        self.entries[entry].role = role;
                        self.entries[entry].ways = std::mem::take(&mut self.ways).into();
                    }
                    Err(skip) => self.note(skip.reason),
                }
            }
        }
        // Directories that whiteouts imply stand before them.
        self.entries
            .sort_by_key(|entry| (entry.offset, entry.end > entry.offset));
        let is_caught = |entry: &Original| match &entry.role {
            Role::Link {
                ino,
                target: (parent, name),
                ..
            } => self.tree.child(*parent, name) != Some(*ino),
            Role::Kept { depends, .. } => *depends && self.replaced,
            _ => false,
        };
        let is_tangled = self.is_tangled || self.entries.iter().any(is_caught);
        // In the order of the tar, of one entry in the order of their finding.
        self.notes.sort_by_key(|note| note.offset);
        Read {
            tar,
            tree: self.tree,
            held: self.entries.len() + self.long,
            entries: self.entries,
            prefix: self.prefix.unwrap_or(b"./"),
            has_globals: false,
            is_tangled,
            notes: self.notes.into(),
            sums: None,
            damage,
            packing_notes: Vec::new(),
            offsets: Default::default(),
        }
    }
}

/// The names of a path as runtimes clean it: nothing empty, no `.`, and `..` goes up but not out.
fn clean(name: &[u8]) -> Vec<&[u8]> {
    let mut names = Vec::new();
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            part => names.push(part),
        }
    }
    names
}

fn device((major, minor): (u32, u32)) -> Device {
    Device { major, minor }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
