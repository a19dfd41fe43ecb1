//! The image specification, read as leniently as it can be read without contradicting it: whiteouts first,
//! then entries in their order, each replacing what stands at its name (layer.md, "Applying Changesets").
//! Where it says nothing, attributes are what the archive says, and names that lead out of the root stay in it.

use super::Why;
use super::errno::Errno;
use super::fs::{ByBytes, Fs, Kind, Number, components};
use super::path::{join, secure_join, split};
use super::rule::{EntryPlace, Notes, Rule};
use crate::layer::OPAQUE_NAME;
use crate::tar::{Entry, ReadType};
use crate::tree::WHITEOUT_PREFIX;

pub(super) struct Spec {
    fs: Fs,
}

impl Spec {
    pub(super) fn new() -> Self {
        Self { fs: Fs::new(false) }
    }

    pub(super) fn fs(&self) -> &Fs {
        &self.fs
    }

    pub(super) fn into_fs(self) -> Fs {
        self.fs
    }

    pub(super) fn take_gone(&mut self) -> Vec<EntryPlace> {
        self.fs.take_gone()
    }

    /// Whether an entry of this name is a mark, by the last name of its path.
    pub(super) fn is_mark(name: &[u8]) -> bool {
        split(&join(b"/", name)).1.starts_with(WHITEOUT_PREFIX)
    }

    /// Applies a whiteout or an opaque mark.
    pub(super) fn mark(&mut self, name: &[u8], notes: &mut Notes) -> Result<(), Why> {
        let path = join(b"/", name);
        let (parent, base) = split(&path);
        let hidden = base.strip_prefix(WHITEOUT_PREFIX).unwrap_or(base);
        let parent = secure_join(&self.fs, parent)?;
        let directory = self.fs.lstat(&parent).ok();
        if base == OPAQUE_NAME {
            notes.add(Rule::SpecOpaqueFirst);
            let Some(directory) = directory else { return Ok(()) };
            let names: Vec<Vec<u8>> = self.fs.names(directory).map(|(name, _)| name.to_vec()).collect();
            names.iter().for_each(|name| self.fs.remove(directory, name));
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Why::InvalidWhiteout);
        }
        if hidden.starts_with(WHITEOUT_PREFIX) {
            notes.add(Rule::SpecAufsMark);
            return Ok(());
        }
        notes.add(Rule::SpecWhiteoutsFirst);
        if let Some(directory) = directory {
            self.fs.remove(directory, hidden);
        }
        Ok(())
    }

    /// Applies an entry that is no mark.
    pub(super) fn entry(&mut self, entry: &Entry, notes: &mut Notes) -> Result<(), Why> {
        self.fs.work_on(notes.at(entry.offset));
        let path = &join(b"/", &entry.name)[..];
        let is_directory = entry.entry_type == ReadType::Directory;
        if path == b"/" {
            let root = self.fs.lstat(path)?;
            if !is_directory {
                return Err(Why::RootType);
            }
            self.attributes(root, entry);
            return Ok(());
        }
        let (parent, base) = split(path);
        let parent = secure_join(&self.fs, parent)?;
        self.make_parents(&parent, notes)?;
        let path = join(&parent, base);
        let old = self.fs.lstat(&path).ok();
        if let Some(old) = old
            && is_directory
            && self.fs.inode(old).is_directory()
        {
            self.attributes(old, entry);
            return Ok(());
        }
        let kind = match entry.entry_type {
            ReadType::HardLink => return self.link(entry, &path),
            ReadType::Other(_) => {
                notes.add(Rule::SpecTypeSkipped);
                return Ok(());
            }
            ReadType::Regular => Kind::File(entry.content.clone()),
            ReadType::Symlink => Kind::Symlink(entry.link_name.as_slice().into()),
            ReadType::Directory => Kind::Directory(ByBytes::new()),
            ReadType::CharDevice => Kind::CharDevice(entry.device.0, entry.device.1),
            ReadType::BlockDevice => Kind::BlockDevice(entry.device.0, entry.device.1),
            ReadType::Fifo => Kind::Fifo,
        };
        self.fs.remove_all(&path)?;
        let made = self.fs.mknod(&path, kind, 0o777)?;
        self.attributes(made, entry);
        Ok(())
    }

    fn link(&mut self, entry: &Entry, path: &[u8]) -> Result<(), Why> {
        let target = join(b"/", &entry.link_name);
        let (parent, base) = split(&target);
        let target = join(&secure_join(&self.fs, parent)?, base);
        let number = self.fs.lstat(&target)?;
        if self.fs.inode(number).is_directory() {
            return Err(Errno::EPERM.into());
        }
        if target != path {
            self.fs.remove_all(path)?;
            self.fs.link(&target, path)?;
        }
        Ok(())
    }

    fn attributes(&mut self, number: Number, entry: &Entry) {
        self.fs.restate(number);
        let inode = self.fs.inode_mut(number);
        if !matches!(inode.kind, Kind::Symlink(_)) {
            inode.mode = entry.mode;
        }
        (inode.uid, inode.gid) = (entry.uid, entry.gid);
        inode.mtime = Some(entry.mtime);
        self.fs.replace_xattrs(number, entry.xattrs.clone());
    }

    fn make_parents(&mut self, path: &[u8], notes: &mut Notes) -> Result<(), Why> {
        let mut at = Vec::new();
        for name in components(path) {
            at.push(b'/');
            at.extend_from_slice(name);
            match self.fs.lstat(&at) {
                Ok(number) if self.fs.inode(number).is_directory() => continue,
                Ok(_) => {
                    notes.add(Rule::SpecParentReplaces);
                    self.fs.remove_all(&at)?;
                }
                Err(Errno::ENOENT) => notes.add(Rule::SpecParentMade),
                Err(error) => return Err(error.into()),
            }
            self.fs.mkdir(&at, 0o755)?;
        }
        Ok(())
    }
}
