//! An edited layer among the bytes that it came with: entries that nobody touched stay as they were and where they
//! were, odd headers, unknown records and all; touched ones are written canonically in their places; new ones
//! follow at the end, parents first.
//!
//! An entry is untouched if its name still leads to the same inode with the same attributes and content. Inode
//! numbers are never used again, so this is told by comparing numbers, without comparing trees.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::content::Content;
use crate::tar::{Format, end_padding};
use crate::tree::{Directory, Ino, Inode, Name, Tree, TreePath, WHITEOUT_PREFIX};

use super::origin::{Origin, Original, Read, Role};
use super::walk::{OPAQUE_NAME, Piece, is_linkable, marker, piece};

/// A part of the tar.
pub(super) enum Part {
    /// Bytes as they came, from this offset.
    Raw(u64, Content),
    /// An entry of ours.
    Entry(Piece),
    /// What ends the archive, after the last entry.
    Zeros(u64),
}

/// The parts of an edited layer's tar, in order.
pub(super) struct Rewrite {
    origin: Arc<Origin>,
    tree: Tree,
    scrubbed: Arc<[TreePath]>,
    /// Where the next entry as it came is, and where the bytes before it begin.
    at: usize,
    offset: u64,
    /// Directories whose entries are where they were; and where that is.
    stays: BTreeSet<Ino>,
    places: BTreeMap<Ino, (Ino, Name)>,
    /// Directories whose opaque mark is an entry of the tar.
    marked: BTreeSet<Ino>,
    /// The names under which hard-linked inodes were written.
    names: BTreeMap<Ino, Vec<u8>>,
    /// What comes before the next entry.
    due: VecDeque<Part>,
    /// The directories whose new entries are still to be written, with their names; none before the first.
    new: Option<Vec<(Ino, Vec<u8>)>>,
    written: u64,
    ended: bool,
}

/// What becomes of an entry.
enum Fate {
    Stays,
    Goes,
    Changes,
}

impl Rewrite {
    pub(super) fn new(origin: &Arc<Origin>, tree: &Tree, scrubbed: &Arc<[TreePath]>) -> Self {
        let read = origin.read().expect("only what was read is edited");
        let marks = read.entries.iter().filter_map(|entry| match entry.role {
            Role::Opaque { directory } => Some(directory),
            _ => None,
        });
        let mut rewrite = Self {
            tree: tree.clone(),
            scrubbed: scrubbed.clone(),
            at: 0,
            offset: 0,
            stays: BTreeSet::from([Ino::ROOT]),
            places: BTreeMap::new(),
            marked: marks.collect(),
            names: BTreeMap::new(),
            due: VecDeque::new(),
            new: None,
            written: 0,
            ended: false,
            origin: origin.clone(),
        };
        // A whiteout can stand before the directory that it is in.
        for entry in &read.entries {
            if let Role::Entry { parent, name, ino } = &entry.role {
                rewrite.fate(read, *parent, name, *ino);
            }
        }
        rewrite
    }

    fn is_untouched(&self, read: &Read, ino: Ino) -> bool {
        match (read.tree.get(ino), self.tree.get(ino)) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now) || before.is_like(now),
            _ => false,
        }
    }

    /// Whether the name leads where it led in the end, to something that nobody touched.
    fn is_settled(&self, read: &Read, parent: Ino, name: &Name) -> bool {
        let now = self.tree.child(parent, name);
        self.stays.contains(&parent)
            && now == read.tree.child(parent, name)
            && now.is_none_or(|ino| self.is_untouched(read, ino))
    }

    /// What becomes of an entry of a name, and of what is under it.
    fn fate(&mut self, read: &Read, parent: Ino, name: &Name, ino: Ino) -> Fate {
        let fate = if !self.stays.contains(&parent) {
            Fate::Goes
        } else if read.tree.child(parent, name) != Some(ino) {
            // A later entry took the place of this one, or of a directory above it.
            let stays = !read.is_tangled && self.is_settled(read, parent, name);
            match stays && !self.is_scrubbed(&self.name(b"", parent, name)) {
                true => Fate::Stays,
                false => Fate::Goes,
            }
        } else if self.tree.child(parent, name) != Some(ino) {
            Fate::Goes
        } else if self.is_untouched(read, ino) {
            Fate::Stays
        } else {
            Fate::Changes
        };
        let is_directory = |inode: &Arc<Inode>| inode.node.as_directory().is_some();
        if !matches!(fate, Fate::Goes) && read.tree.get(ino).is_none_or(is_directory) {
            self.stays.insert(ino);
            self.places.insert(ino, (parent, name.clone()));
        }
        fate
    }

    fn is_scrubbed(&self, name: &[u8]) -> bool {
        self.scrubbed.iter().any(|path| {
            let path = path.to_bytes();
            let rest = name.strip_prefix(&path[..]);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
    }

    /// The name of a place, behind `prefix`.
    fn name(&self, prefix: &[u8], mut parent: Ino, name: &Name) -> Vec<u8> {
        let mut names = vec![name.as_bytes()];
        while parent != Ino::ROOT {
            let (above, name) = &self.places[&parent];
            names.push(name.as_bytes());
            parent = *above;
        }
        let mut path = prefix.to_vec();
        for name in names.iter().rev() {
            path.extend_from_slice(name);
            path.push(b'/');
        }
        path.pop();
        path
    }

    fn format(&self, ino: Ino) -> Format {
        match self.tree.inode(ino).metadata.needs_pax() {
            true => Format::Pax,
            false => Format::Gnu,
        }
    }

    /// An entry of ours for an inode: a hard link if it has been written under another name.
    fn write(&mut self, ino: Ino, mut name: Vec<u8>) -> Part {
        let inode = self.tree.inode(ino);
        if inode.node.as_directory().is_some() {
            name.push(b'/');
        }
        let linkable = is_linkable(inode);
        let first = self.names.get(&ino).filter(|_| linkable);
        let piece = piece(inode, name, first.map(Vec::as_slice), self.format(ino));
        if linkable && first.is_none() {
            self.names.insert(ino, piece.name.clone());
        }
        Part::Entry(piece)
    }

    /// The opaque mark of a directory of that name.
    fn mark(&self, directory: &[u8]) -> Part {
        self.marker([directory, b"/", OPAQUE_NAME].concat())
    }

    fn marker(&self, name: Vec<u8>) -> Part {
        Part::Entry(marker(&self.tree, name, Format::Gnu))
    }

    fn directory(&self, ino: Ino) -> Option<&Directory> {
        self.tree.get(ino)?.node.as_directory()
    }

    /// Whether a directory is opaque, and no entry as it came says so.
    fn lacks_mark(&self, read: &Read, ino: Ino) -> bool {
        let was_opaque = read.tree.get(ino).and_then(|inode| inode.node.as_directory());
        let said_so = was_opaque.is_some_and(Directory::opaque)
            && self.is_untouched(read, ino)
            && !is_hollow(&self.tree, ino);
        self.directory(ino).is_some_and(Directory::opaque) && !self.marked.contains(&ino) && !said_so
    }

    /// Does the next entry as it came. False after the last.
    fn original(&mut self) -> bool {
        let origin = self.origin.clone();
        let read = origin.read().expect("only what was read is edited");
        let Some(entry) = read.entries.get(self.at) else {
            return false;
        };
        self.at += 1;
        // What stands between entries are global headers.
        if entry.offset > self.offset {
            let between = read.tar.slice(self.offset, entry.offset - self.offset);
            self.due.push_back(Part::Raw(self.offset, between));
        }
        self.offset = self.offset.max(entry.end);
        let has_same_way = entry
            .ways
            .iter()
            .all(|way| !read.is_tangled && self.has_same_way(read, way));
        match &entry.role {
            Role::Root => {
                let fate = match self.is_untouched(read, Ino::ROOT) {
                    true => Fate::Stays,
                    false => Fate::Changes,
                };
                self.settle(read, entry, Ino::ROOT, fate, |_| b".".to_vec());
            }
            Role::Entry { parent, name, ino } => {
                let mut fate = self.fate(read, *parent, name, *ino);
                if matches!(fate, Fate::Stays) && !has_same_way {
                    fate = self.anew(*parent, name, *ino);
                }
                self.settle(read, entry, *ino, fate, |this| {
                    this.name(read.prefix, *parent, name)
                });
            }
            Role::Link {
                parent,
                name,
                ino,
                target,
            } => {
                let mut fate = self.fate(read, *parent, name, *ino);
                let is_same = has_same_way && self.leads_to(read, target, *ino);
                if matches!(fate, Fate::Stays) && !is_same {
                    fate = self.anew(*parent, name, *ino);
                }
                self.settle(read, entry, *ino, fate, |this| {
                    this.name(read.prefix, *parent, name)
                });
            }
            Role::Whiteout { parent, name } => {
                let stays = match read.tree.child(*parent, name) {
                    Some(_) => self.is_settled(read, *parent, name),
                    None => self
                        .directory(*parent)
                        .is_some_and(|directory| directory.whiteouts().contains(name)),
                };
                let stays = stays && self.stays.contains(parent);
                self.keep_if(read, entry, stays && has_same_way);
                if stays && !has_same_way {
                    self.whiteout_anew(read, *parent, name);
                }
            }
            Role::Opaque { directory } => {
                let stays = self.directory(*directory).is_none_or(Directory::opaque);
                let stays = stays && self.stays.contains(directory);
                self.keep_if(read, entry, stays && has_same_way);
                if let Some((parent, name)) = self.places.get(directory).filter(|_| stays && !has_same_way) {
                    let part = self.mark(&self.name(read.prefix, *parent, name));
                    self.due.push_back(part);
                }
            }
            Role::Kept { name, depends } => {
                let means_nothing = !depends || (!read.is_tangled && self.has_same_way(read, name));
                let stays = means_nothing && !self.is_scrubbed(name);
                self.keep_if(read, entry, stays);
            }
        }
        true
    }

    /// What becomes of an entry that would mean something else if it stayed as it came.
    fn anew(&self, parent: Ino, name: &Name, ino: Ino) -> Fate {
        match self.tree.child(parent, name) == Some(ino) {
            true => Fate::Changes,
            false => Fate::Goes,
        }
    }

    /// A whiteout that would mean something else if it stayed as it came. Beside a directory of its own it meant that
    /// this is opaque.
    fn whiteout_anew(&mut self, read: &Read, parent: Ino, name: &Name) {
        let path = self.name(read.prefix, parent, name);
        let part = match self.tree.child(parent, name) {
            None => {
                let (above, name) = path.split_at(path.len() - name.as_bytes().len());
                self.marker([above, WHITEOUT_PREFIX, name].concat())
            }
            Some(own) if self.directory(own).is_some_and(Directory::opaque) => self.mark(&path),
            Some(_) => return,
        };
        self.due.push_back(part);
    }

    /// Whether the way to a name is what it was: an entry that had no place in the tree could get one otherwise.
    fn has_same_way(&self, read: &Read, name: &[u8]) -> bool {
        let mut ino = Ino::ROOT;
        for name in name.split(|&byte| byte == b'/') {
            let (Some(before), Some(now)) = (read.tree.directory(ino), self.tree.directory(ino)) else {
                return true;
            };
            if before.whiteouts().contains(name) != now.whiteouts().contains(name) {
                return false;
            }
            match (before.entries().get(name), now.entries().get(name)) {
                (None, None) => return true,
                (Some(before), Some(now)) if before == now && self.is_untouched(read, *now) => ino = *now,
                _ => return false,
            }
        }
        true
    }

    /// Whether the name that a hard link as it came names is still the same file when the link is read.
    fn leads_to(&self, read: &Read, (parent, name): &(Ino, Name), ino: Ino) -> bool {
        self.stays.contains(parent)
            && read.tree.child(*parent, name) == Some(ino)
            && self.tree.child(*parent, name) == Some(ino)
    }

    fn keep_if(&mut self, read: &Read, entry: &Original, stays: bool) {
        if stays && entry.end > entry.offset {
            let bytes = read.tar.slice(entry.offset, entry.end - entry.offset);
            self.due.push_back(Part::Raw(entry.offset, bytes));
        }
    }

    fn settle(
        &mut self,
        read: &Read,
        entry: &Original,
        ino: Ino,
        fate: Fate,
        name: impl Fn(&Self) -> Vec<u8>,
    ) {
        match fate {
            Fate::Goes => return,
            Fate::Stays => {
                self.keep_if(read, entry, true);
                if self.tree.get(ino).is_some_and(|inode| is_linkable(inode)) {
                    let name = name(self);
                    self.names.entry(ino).or_insert(name);
                }
            }
            // A directory without an entry gets none for being made opaque.
            Fate::Changes if self.directory(ino).is_some_and(Directory::implied) => {}
            Fate::Changes => {
                let part = self.write(ino, name(self));
                self.due.push_back(part);
            }
        }
        if self.lacks_mark(read, ino) {
            let mark = self.mark(&name(self));
            self.due.push_back(mark);
            self.marked.insert(ino);
        }
    }

    /// Writes what the tree has in one directory and no entry as it came says. False after the last.
    fn news(&mut self) -> bool {
        let origin = self.origin.clone();
        let read = origin.read().expect("only what was read is edited");
        let mut new = match self.new.take() {
            Some(new) => new,
            None => {
                self.new_root(read);
                vec![(Ino::ROOT, read.prefix.to_vec())]
            }
        };
        let next = new.pop();
        if let Some((ino, prefix)) = &next {
            self.new_entries(read, *ino, prefix, &mut new);
        }
        self.new = Some(new);
        next.is_some()
    }

    /// The root's own entry and mark, if it had none and has them now.
    fn new_root(&mut self, read: &Read) {
        let was_implied = read.tree.directory(Ino::ROOT).is_some_and(Directory::implied);
        if was_implied && self.directory(Ino::ROOT).is_some_and(|root| !root.implied()) {
            let part = self.write(Ino::ROOT, b".".to_vec());
            self.due.push_back(part);
        }
        if self.lacks_mark(read, Ino::ROOT) {
            self.due.push_back(self.mark(b"."));
        }
    }

    fn new_entries(&mut self, read: &Read, ino: Ino, prefix: &[u8], new: &mut Vec<(Ino, Vec<u8>)>) {
        let tree = self.tree.clone();
        let before = read.tree.get(ino).filter(|_| self.stays.contains(&ino));
        let before = before.and_then(|inode| inode.node.as_directory());
        let directory = tree.directory(ino).expect("only directories are pushed");
        for name in directory.whiteouts() {
            if !before.is_some_and(|before| before.whiteouts().contains(name)) {
                let part = self.marker([prefix, WHITEOUT_PREFIX, name.as_bytes()].concat());
                self.due.push_back(part);
            }
        }
        let from = new.len();
        for (name, &child) in directory.entries() {
            let is_known = before.is_some_and(|before| before.entries().get(name) == Some(&child));
            let own = tree.directory(child);
            if is_known && own.is_none() {
                continue;
            }
            let mut path = [prefix, name.as_bytes()].concat();
            if !is_known && !own.is_some_and(Directory::implied) {
                let part = self.write(child, path.clone());
                self.due.push_back(part);
            }
            if let Some(own) = own {
                if !is_known && own.opaque() {
                    self.due.push_back(self.mark(&path));
                }
                path.push(b'/');
                new.push((child, path));
            }
        }
        new[from..].reverse();
    }

    /// The end as it came, if there is one; else two zero blocks and what fills the record.
    fn end(&self) -> Part {
        let read = self.origin.read().expect("only what was read is edited");
        let rest = read.tar.slice(self.offset, read.tar.len() - self.offset);
        match rest.len() >= 1024 {
            true => Part::Raw(self.offset, rest),
            false => Part::Zeros(end_padding(self.written)),
        }
    }
}

/// Whether a directory has no entry, and nothing in it has one: no entry of a tar would make it.
fn is_hollow(tree: &Tree, ino: Ino) -> bool {
    let mut pending = vec![ino];
    while let Some(ino) = pending.pop() {
        match tree.directory(ino) {
            Some(directory) if directory.implied() => pending.extend(directory.entries().values()),
            _ => return false,
        }
    }
    true
}

impl Iterator for Rewrite {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        loop {
            if let Some(part) = self.due.pop_front() {
                self.written += match &part {
                    Part::Raw(_, bytes) => bytes.len(),
                    Part::Entry(piece) => piece.size(),
                    Part::Zeros(length) => *length,
                };
                return Some(part);
            }
            if self.original() || self.news() {
                continue;
            }
            return match std::mem::replace(&mut self.ended, true) {
                true => None,
                false => Some(self.end()),
            };
        }
    }
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
