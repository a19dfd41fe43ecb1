//! Calls that take names away: unlink and rmdir (fs/overlayfs/dir.c, `ovl_do_remove`).

use imbl::OrdMap;

use super::event::Rule;
use super::lookup::Dentry;
use super::op::{Done, Op, upper_of};
use super::upper::{Attributes, FileName, UpperKind};
use super::walk::Last;
use super::{FileType, Reply};
use crate::tree::{Device, Xattrs};

impl Op<'_> {
    pub fn unlink(&mut self, path: &[u8]) -> Done<Reply> {
        let place = self.place(path)?;
        let Last::Name(name) = &place.last else {
            return self.fail(Rule::ErrnoIsDirectory, path);
        };
        let full = self.path_of(&place.parents, name);
        self.want_write(&full)?;
        let dentry = self.lookup(&place.parents, name, true)?;
        match (self.dentry_type(&dentry), place.has_slash) {
            (None, _) => return self.fail(Rule::ErrnoMissing, &full),
            (Some(FileType::Directory), true) => return self.fail(Rule::ErrnoIsDirectory, &full),
            (_, true) => return self.fail(Rule::ErrnoNotDirectory, &full),
            _ => {}
        }
        self.want_delete(&place.parents, &dentry)?;
        if self.dentry_type(&dentry) == Some(FileType::Directory) {
            return self.fail(Rule::ErrnoIsDirectory, &full);
        }
        self.remove(place.parents, dentry, Vec::new())
    }

    pub fn rmdir(&mut self, path: &[u8]) -> Done<Reply> {
        let place = self.place(path)?;
        let name = match &place.last {
            Last::Name(name) => name,
            Last::Dot => return self.fail(Rule::ErrnoRmdirDot, path),
            Last::DotDot => return self.fail(Rule::ErrnoNotEmpty, path),
            Last::Root => return self.fail(Rule::ErrnoBusyRoot, path),
        };
        let full = self.path_of(&place.parents, name);
        self.want_write(&full)?;
        let dentry = self.lookup(&place.parents, name, true)?;
        match self.dentry_type(&dentry) {
            None => return self.fail(Rule::ErrnoMissing, &full),
            Some(file_type) => {
                self.want_delete(&place.parents, &dentry)?;
                if file_type != FileType::Directory {
                    return self.fail(Rule::ErrnoNotDirectory, &full);
                }
            }
        }
        let parent = place.parents.last().expect("the root is there");
        let mut whiteouts = Vec::new();
        if self.fs.is_lower_positive(parent, &dentry) || !is_pure_upper(&dentry) {
            whiteouts = self.check_empty(&place.parents, &dentry)?;
        }
        self.remove(place.parents, dentry, whiteouts)
    }

    /// Fails unless a directory shows nothing; else the whiteouts that its upper part holds
    /// (`ovl_check_empty_dir`).
    pub fn check_empty(&mut self, parents: &[Dentry], dentry: &Dentry) -> Done<Vec<FileName>> {
        let names = self.fs.merged_names(dentry);
        if names.iter().any(|entry| !entry.is_whiteout) {
            let path = self.path_of(parents, &dentry.name);
            return self.fail(Rule::ErrnoNotEmpty, &path);
        }
        let in_upper = names.into_iter().filter(|entry| entry.layer == 0);
        Ok(in_upper.map(|entry| entry.name).collect())
    }

    fn remove(
        &mut self,
        mut parents: Vec<Dentry>,
        mut dentry: Dentry,
        whiteouts: Vec<FileName>,
    ) -> Done<Reply> {
        let path = self.path_of(&parents, &dentry.name);
        let gone = path.clone();
        let parent = parents.last().expect("the root is there");
        let is_lower_positive = self.fs.is_lower_positive(parent, &dentry);
        let is_directory = self.dentry_type(&dentry) == Some(FileType::Directory);
        let hidden: Vec<_> = self.fs.below(parent, &dentry.name);
        self.copy_up(&mut parents);
        if !whiteouts.is_empty() {
            self.clear_whiteouts(&parents, &mut dentry);
        }
        let directory = upper_of(&parents);
        if !is_lower_positive {
            let upper = dentry.upper.expect("only the upper has it");
            let is_empty = self
                .fs
                .upper()
                .inode(upper)
                .entries()
                .is_none_or(OrdMap::is_empty);
            if !is_empty {
                return self.fail(Rule::ErrnoNotEmptyRaw, &path);
            }
            self.event(Rule::UpperRemove, path.clone());
            self.changed(upper);
            self.upper().remove(directory, &dentry.name);
            self.event(Rule::WhiteoutNotNeeded, path);
        } else {
            if let Some(upper) = dentry.upper {
                self.event(Rule::UpperRemove, path.clone());
                self.changed(upper);
            }
            let rule = match is_directory {
                true => Rule::WhiteoutRmdir,
                false => Rule::WhiteoutUnlink,
            };
            self.event(rule, path.clone());
            self.put_whiteout(directory, &dentry.name, 0);
            for real in hidden {
                let layer = self.fs.layer_name(real.layer);
                self.event(Rule::HiddenByWhiteout, path.clone()).layer = Some(layer);
            }
        }
        self.fs.origins.remove(&(directory, dentry.name.clone()));
        self.opened_is_gone(&gone, directory);
        self.modified(directory);
        Ok(Reply::Done)
    }

    /// Puts a whiteout of root and a group at a name of the upper, in place of what is there.
    pub fn put_whiteout(&mut self, directory: u64, name: &FileName, gid: u32) {
        let now = self.caller.now;
        let attributes = Attributes {
            mode: 0,
            uid: 0,
            gid,
            atime: now,
            mtime: now,
            ctime: now,
            xattrs: Xattrs::default(),
        };
        let kind = UpperKind::CharDevice(Device { major: 0, minor: 0 });
        let whiteout = self.upper().make(kind, attributes);
        self.upper().put(directory, name, whiteout);
    }
}

/// Whether a directory is only in the upper and cannot hold whiteouts (`ovl_pure_upper`).
pub(super) fn is_pure_upper(dentry: &Dentry) -> bool {
    dentry.lower.is_empty() && !dentry.has_whiteouts
}
