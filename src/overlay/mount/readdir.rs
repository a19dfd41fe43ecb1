//! Listing a directory: the union of its layers, less the whiteouts that the kernel notices
//! (fs/overlayfs/readdir.c).

use std::collections::BTreeMap;

use super::event::Rule;
use super::lookup::{Dentry, Real};
use super::lower::Child;
use super::op::{Done, Op, chain_path};
use super::permission::READ;
use super::upper::FileName;
use super::{FileType, Overlay, Reply};

/// A name in a merged listing.
pub(super) struct Entry {
    pub name: FileName,
    /// The topmost layer that has it.
    pub layer: usize,
    /// Whether that is a whiteout, a device 0:0.
    pub is_whiteout: bool,
    /// Whether it is looked up before it is shown, since it may be a whiteout by xattr.
    is_looked_up: bool,
}

impl Overlay {
    /// The names in the layers of one directory, in the kernel's order: those of the lowest layer first, in its
    /// order, then those that the upper adds, then the layers between (`ovl_dir_read_merged`).
    pub(super) fn merged_names(&self, dentry: &Dentry) -> Vec<Entry> {
        let upper = dentry.upper.map(|number| Real { layer: 0, number });
        let reals: Vec<Real> = upper.into_iter().chain(dentry.lower.iter().copied()).collect();
        let mut places: BTreeMap<FileName, usize> = BTreeMap::new();
        let mut entries: Vec<Option<Entry>> = Vec::new();
        let mut lowest = Vec::new();
        for (position, real) in reals.iter().enumerate() {
            let is_lowest = position + 1 == reals.len();
            let is_checked = dentry.has_xwhiteouts && self.has_xwhiteouts.contains(&real.layer);
            for name in self.listing(*real) {
                let place = *places.entry(name.clone()).or_insert(entries.len());
                if place == entries.len() {
                    let child = self.child(*real, &name);
                    let is_file = match child {
                        Child::Inode(number) => {
                            let layer = real.layer;
                            self.file_type(Real { layer, number }) == FileType::File
                        }
                        Child::Whiteout { by_xattr } => by_xattr,
                        Child::None => false,
                    };
                    entries.push(Some(Entry {
                        layer: real.layer,
                        is_whiteout: child == Child::Whiteout { by_xattr: false },
                        is_looked_up: is_checked && is_file,
                        name,
                    }));
                }
                if is_lowest {
                    lowest.extend(entries[place].take());
                }
            }
        }
        lowest.extend(entries.into_iter().flatten());
        lowest
    }

    /// The raw names in a directory of one layer.
    fn listing(&self, real: Real) -> Vec<FileName> {
        match real.layer {
            0 => self.upper().listing(real.number),
            layer => self.lowers[layer - 1].listing(real.number),
        }
    }

    /// What the lower layers have at a name, shown or not, down to where the kernel stops looking.
    pub(super) fn below(&self, parent: &Dentry, name: &[u8]) -> Vec<Real> {
        let mut found = Vec::new();
        for directory in &parent.lower {
            match self.child(*directory, name) {
                Child::None => {}
                Child::Whiteout { .. } => break,
                Child::Inode(number) => {
                    let real = Real {
                        layer: directory.layer,
                        number,
                    };
                    found.push(real);
                    let is_directory = self.file_type(real) == FileType::Directory;
                    if !is_directory || self.opaque(real) == Some(b'y') {
                        break;
                    }
                }
            }
        }
        found
    }
}

impl Op<'_> {
    pub fn readdir(&mut self, path: &[u8]) -> Done<Reply> {
        let chain = self.find(path, true)?;
        let dentry = chain.last().expect("the root is there").clone();
        if self.dentry_type(&dentry) != Some(FileType::Directory) {
            return self.fail(Rule::ErrnoNotDirectory, path);
        }
        self.want_access(&chain, READ)?;
        let is_impure = dentry
            .upper
            .is_some_and(|upper| self.fs.upper_mark(upper, b"impure").is_some());
        if !dentry.has_whiteouts {
            return self.read_real(&chain, &dentry, is_impure);
        }
        let mut names = Vec::new();
        // An entry that cannot be looked up is left out, and ends what getdents(2) gives at once. If that is
        // nothing, the error is given; `.` and `..` come first.
        let mut has_given = true;
        for entry in self.fs.merged_names(&dentry) {
            if entry.is_whiteout {
                continue;
            }
            // The number of what is in the upper may be that of its origin, so it is looked up.
            if entry.is_looked_up || (entry.layer == 0 && is_impure) {
                match self.lookup(&chain, &entry.name, false) {
                    Ok(found) if found.exists() => {}
                    Ok(_) => continue,
                    Err(fault) if !has_given => return Err(fault),
                    Err(_) => {
                        has_given = false;
                        continue;
                    }
                }
            }
            has_given = true;
            names.push(entry.name);
        }
        Ok(Reply::Names(names))
    }

    /// A directory of one layer is listed as that layer lists it, whiteouts and all. If it says that it holds
    /// copied-up things and does not, the mark is taken off on the occasion (`ovl_cache_get_impure`).
    fn read_real(&mut self, chain: &[Dentry], dentry: &Dentry, is_impure: bool) -> Done<Reply> {
        let real = dentry.real().expect("it exists");
        let names = self.fs.listing(real);
        for name in &names {
            if matches!(self.fs.child(real, name), Child::Whiteout { .. }) {
                self.event_at(Rule::ReaddirGhost, chain, name, b"");
            }
        }
        if let (true, Some(upper)) = (is_impure, dentry.upper) {
            let mut has_copied = false;
            for name in &names {
                let found = self.lookup(chain, name, false)?;
                has_copied |= self.has_origin(&found);
            }
            if !has_copied {
                let name = self.fs.marks().name(b"impure");
                self.upper().set_xattr(upper, &name, None);
                self.event(Rule::XattrImpureRemoved, chain_path(chain));
            }
        }
        Ok(Reply::Names(names))
    }
}
