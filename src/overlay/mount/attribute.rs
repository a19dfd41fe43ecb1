//! Calls on attributes: chmod, chown, utimes, truncate, stat, readlink (fs/overlayfs/inode.c, `ovl_setattr`).

use super::call::SetTime;
use super::event::Rule;
use super::lookup::{Dentry, Real};
use super::op::{Done, Op, chain_path, upper_of};
use super::permission::{WRITE, last};
use super::upper::{Attributes, UpperKind};
use super::{FileType, Overlay, Reply, Stat};
use crate::tree::{Device, Node, Time};

impl Op<'_> {
    pub fn chmod(&mut self, path: &[u8], mode: u16) -> Done<Reply> {
        let chain = self.find(path, true)?;
        self.want_write(path)?;
        let full = chain_path(&chain);
        self.want_owner(last(&chain), &full)?;
        let mode = self.settable_mode(last(&chain), &full, mode & 0o7777);
        let number = self.writable(chain);
        self.set(number, |attributes| attributes.mode = mode);
        Ok(Reply::Done)
    }

    pub fn chown(&mut self, path: &[u8], uid: Option<u32>, gid: Option<u32>, follow: bool) -> Done<Reply> {
        let chain = self.find(path, follow)?;
        self.want_write(path)?;
        // A user namespace that was made by `unshare -r` knows root only.
        let is_unmapped = |id: Option<u32>| id.is_some_and(|id| id != 0);
        if self.fs.options.user_namespace && (is_unmapped(uid) || is_unmapped(gid)) {
            return self.fail(Rule::ErrnoUnmapped, path);
        }
        self.want_chown(&chain, uid, gid)?;
        let full = chain_path(&chain);
        let number = self.writable(chain);
        let before = self.fs.owned(Real { layer: 0, number });
        self.set(number, |attributes| {
            attributes.uid = uid.unwrap_or(attributes.uid);
            attributes.gid = gid.unwrap_or(attributes.gid);
        });
        self.take_rights(number, before, &full);
        Ok(Reply::Done)
    }

    pub fn utimes(&mut self, path: &[u8], atime: SetTime, mtime: SetTime, follow: bool) -> Done<Reply> {
        if (atime, mtime) == (SetTime::Omit, SetTime::Omit) {
            return Ok(Reply::Done);
        }
        let chain = self.find(path, follow)?;
        self.want_write(path)?;
        // Who may write a file may say that it was written now; any other time is the owner's affair.
        let is_owner = self.want_owner(last(&chain), &chain_path(&chain));
        match (atime, mtime) {
            (SetTime::Now, SetTime::Now) if is_owner.is_err() => self.want_access(&chain, WRITE)?,
            _ => is_owner?,
        }
        let number = self.writable(chain);
        let now = self.caller.now;
        let set = |time: SetTime, before: Time| match time {
            SetTime::Now => now,
            SetTime::Omit => before,
            SetTime::At(time) => time,
        };
        self.set(number, |attributes| {
            attributes.atime = set(atime, attributes.atime);
            attributes.mtime = set(mtime, attributes.mtime);
        });
        Ok(Reply::Done)
    }

    pub fn truncate(&mut self, path: &[u8], length: i64) -> Done<Reply> {
        let Ok(length) = u64::try_from(length) else {
            return self.fail(Rule::ErrnoNegativeLength, path);
        };
        let mut chain = self.find(path, true)?;
        let last = chain.last().expect("the root is there");
        match self.dentry_type(last) {
            Some(FileType::File) => {}
            Some(FileType::Directory) => return self.fail(Rule::ErrnoIsDirectory, path),
            _ => return self.fail(Rule::ErrnoNotAFile, path),
        }
        self.want_write(path)?;
        self.want_access(&chain, WRITE)?;
        self.copy_up(&mut chain);
        self.resize(upper_of(&chain), length, &chain_path(&chain));
        Ok(Reply::Done)
    }

    /// Sets the length of a file in the upper.
    pub fn resize(&mut self, number: u64, length: u64, path: &[u8]) {
        let now = self.caller.now;
        self.upper().change(number, |inode| {
            let UpperKind::File(data) = &mut inode.kind else {
                return;
            };
            // tmpfs frees what lies behind the end, and counts that as a change even if nothing does; a file that
            // has no pages at all stays as it is.
            if data.len() != length || data.is_held() {
                data.truncate(length);
                (inode.attributes.mtime, inode.attributes.ctime) = (now, now);
            }
        });
        self.drop_rights(number, path);
    }

    pub fn stat(&mut self, path: &[u8], follow: bool) -> Done<Reply> {
        let chain = self.find(path, follow)?;
        let last = chain.last().expect("the root is there");
        Ok(Reply::Stat(self.fs.stat_of(last)))
    }

    pub fn readlink(&mut self, path: &[u8]) -> Done<Reply> {
        let chain = self.find(path, false)?;
        let last = chain.last().expect("the root is there");
        match self.dentry_type(last) {
            Some(FileType::Symlink) => Ok(Reply::Bytes(self.target(last))),
            _ => self.fail(Rule::ErrnoNotALink, path),
        }
    }

    /// The number in the upper of the last of a chain, copied up if need be.
    fn writable(&mut self, mut chain: Vec<Dentry>) -> u64 {
        self.copy_up(&mut chain);
        let number = upper_of(&chain);
        self.event(Rule::UpperAttributes, chain_path(&chain));
        number
    }

    pub fn set(&mut self, number: u64, change: impl FnOnce(&mut Attributes)) {
        let now = self.caller.now;
        self.upper().change(number, |inode| {
            change(&mut inode.attributes);
            inode.attributes.ctime = now;
        });
    }
}

impl Overlay {
    pub(super) fn file_type(&self, real: Real) -> FileType {
        match real.layer {
            0 => match &self.upper().inode(real.number).kind {
                UpperKind::Directory(_) => FileType::Directory,
                UpperKind::File(_) => FileType::File,
                UpperKind::Symlink(_) => FileType::Symlink,
                UpperKind::CharDevice(_) => FileType::CharDevice,
                UpperKind::BlockDevice(_) => FileType::BlockDevice,
                UpperKind::Fifo => FileType::Fifo,
                UpperKind::Socket => FileType::Socket,
            },
            layer => match &self.lowers[layer - 1].inode(real.number).node {
                Node::Directory(_) => FileType::Directory,
                Node::File(_) => FileType::File,
                Node::Symlink(_) => FileType::Symlink,
                Node::CharDevice(_) => FileType::CharDevice,
                Node::BlockDevice(_) => FileType::BlockDevice,
                Node::Fifo => FileType::Fifo,
            },
        }
    }

    /// The attributes of an inode of a layer. An image says nothing of when a file was read or its inode changed:
    /// it was when the layers were unpacked.
    pub(super) fn attributes(&self, real: Real) -> Attributes {
        if real.layer == 0 {
            return self.upper().inode(real.number).attributes.clone();
        }
        let metadata = self.lowers[real.layer - 1].metadata(real.number);
        Attributes {
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            atime: metadata.mtime,
            mtime: metadata.mtime,
            ctime: self.unpacked,
            xattrs: metadata.xattrs.clone(),
        }
    }

    fn device(&self, real: Real) -> Option<Device> {
        match real.layer {
            0 => match self.upper().inode(real.number).kind {
                UpperKind::CharDevice(device) | UpperKind::BlockDevice(device) => Some(device),
                _ => None,
            },
            layer => self.lowers[layer - 1].inode(real.number).node.device(),
        }
    }

    fn size(&self, real: Real) -> u64 {
        match real.layer {
            0 => match &self.upper().inode(real.number).kind {
                UpperKind::File(data) => data.len(),
                UpperKind::Symlink(target) => target.len() as u64,
                _ => 0,
            },
            layer => match &self.lowers[layer - 1].inode(real.number).node {
                Node::File(content) => content.len(),
                Node::Symlink(target) => target.len() as u64,
                _ => 0,
            },
        }
    }

    fn links(&self, real: Real, is_directory: bool, merges: bool) -> u32 {
        match (is_directory, real.layer) {
            (true, _) if merges => 1,
            (true, 0) => 2 + self.upper().subdirectories(real.number),
            (true, layer) => 2 + self.lowers[layer - 1].subdirectories(real.number),
            (false, 0) => self.upper().inode(real.number).links,
            (false, layer) => self.lowers[layer - 1].inode(real.number).links(),
        }
    }

    pub(super) fn stat_of(&self, dentry: &Dentry) -> Stat {
        let real = dentry.real().expect("what exists has one");
        let attributes = self.attributes(real);
        let file_type = self.file_type(real);
        let is_directory = file_type == FileType::Directory;
        let merges = dentry.lower.len() + usize::from(dentry.upper.is_some()) > 1;
        let is_root = dentry.name.is_empty();
        // What was copied up keeps the number that it had below; the root's is the upper root's.
        let numbered = match dentry.lower.first() {
            Some(lower) if !is_root => *lower,
            _ => real,
        };
        Stat {
            file_type,
            mode: attributes.mode,
            uid: attributes.uid,
            gid: attributes.gid,
            size: self.size(real),
            ino: (numbered.layer as u64) << 40 | numbered.number,
            nlink: self.links(real, is_directory, merges),
            device: self.device(real),
            atime: attributes.atime,
            mtime: attributes.mtime,
            ctime: attributes.ctime,
        }
    }
}
