//! open(2), and what is done with the file before it is closed (fs/overlayfs/file.c).

use super::call::{Io, OpenFlags};
use super::create::Newcomer;
use super::data::Data;
use super::event::Rule;
use super::lookup::Dentry;
use super::op::{Done, Op, chain_path};
use super::permission::{READ, WRITE};
use super::upper::UpperKind;
use super::walk::Last;
use super::{FileType, Reply};
use crate::content::Content;
use crate::tree::Node;

impl Op<'_> {
    pub fn open(&mut self, path: &[u8], flags: OpenFlags, mode: u16, io: Io) -> Done<Reply> {
        if !flags.create {
            let chain = self.find(path, !flags.nofollow)?;
            return self.open_existing(chain, flags, io);
        }
        if flags.directory {
            return self.fail(Rule::ErrnoOpenFlags, path);
        }
        let follow = !flags.nofollow && !flags.exclusive;
        let (place, found) = self.find_or_place(path, follow)?;
        let (Last::Name(name), Some(dentry)) = (&place.last, found) else {
            let rule = match flags.exclusive && !place.has_slash {
                true => Rule::ErrnoExists,
                false => Rule::ErrnoIsDirectory,
            };
            return self.fail(rule, path);
        };
        let full = self.path_of(&place.parents, name);
        if dentry.exists() {
            if flags.exclusive {
                return self.fail(Rule::ErrnoExists, &full);
            }
            if self.dentry_type(&dentry) == Some(FileType::Directory) {
                return self.fail(Rule::ErrnoIsDirectory, &full);
            }
            let mut chain = place.parents;
            chain.push(dentry);
            return self.open_existing(chain, flags, io);
        }
        self.want_write(&full)?;
        self.want_create(&place.parents)?;
        let mode = self.new_mode(place.parents.last().expect("the root is there"), mode);
        let newcomer = Newcomer::Fresh(UpperKind::File(Data::default()), mode);
        let mut dentry = dentry;
        let number = self.make(place.parents.clone(), &dentry, newcomer)?;
        (dentry.upper, dentry.opaque) = (Some(number), false);
        if let Io::Keep(descriptor) = io {
            let mut chain = place.parents;
            chain.push(dentry.clone());
            self.keep(descriptor, &chain, flags);
        }
        Ok(self.transfer(&dentry, full, flags, io))
    }

    fn open_existing(&mut self, mut chain: Vec<Dentry>, flags: OpenFlags, io: Io) -> Done<Reply> {
        let path = chain_path(&chain);
        let last = chain.last().expect("the root is there");
        let file_type = self.dentry_type(last);
        let is_path_only = !flags.read && !flags.write;
        let changes = flags.write || flags.truncate;
        let mut wanted = 0;
        if flags.read {
            wanted |= READ;
        }
        if changes {
            wanted |= WRITE;
        }
        match file_type {
            Some(FileType::Symlink) if flags.create && self.is_foreign_in_sticky(&chain) => {
                return self.fail(Rule::ErrnoStickyLink, &path);
            }
            Some(file_type) if flags.directory && file_type != FileType::Directory => {
                return self.fail(Rule::ErrnoNotDirectory, &path);
            }
            Some(FileType::Symlink) if !is_path_only => return self.fail(Rule::ErrnoLoop, &path),
            Some(FileType::Directory) if changes => return self.fail(Rule::ErrnoIsDirectory, &path),
            Some(FileType::Directory) if !is_path_only => {
                self.want_access(&chain, wanted)?;
                return Ok(Reply::Done);
            }
            _ if is_path_only => return Ok(Reply::Done),
            Some(FileType::File) if changes => self.want_write(&path)?,
            _ => {}
        }
        self.want_access(&chain, wanted)?;
        if file_type != Some(FileType::File) {
            return self.fail(Rule::ErrnoOpenSpecial, &path);
        }
        if changes {
            self.copy_up_with(&mut chain, !flags.truncate);
        }
        let last = chain.last().expect("the root is there");
        if let (true, Some(number)) = (flags.truncate, last.upper) {
            self.resize(number, 0, &path);
            self.written(number);
        }
        if let Io::Keep(descriptor) = io {
            self.keep(descriptor, &chain, flags);
        }
        Ok(self.transfer(last, path, flags, io))
    }

    /// Whether it is somebody else's in a directory where all may write, but only owners remove: with O_CREAT
    /// such things are not opened, whoever asks (`may_create_in_sticky`; files and pipes are open to it unless
    /// fs.protected_regular and fs.protected_fifos say otherwise, which a plain kernel does not).
    fn is_foreign_in_sticky(&self, chain: &[Dentry]) -> bool {
        let [.., parent, last] = chain else { return false };
        let attributes = |dentry: &Dentry| dentry.real().map(|real| self.fs.attributes(real));
        let (Some(parent), Some(last)) = (attributes(parent), attributes(last)) else {
            return false;
        };
        parent.mode & 0o1002 == 0o1002 && last.uid != parent.uid && last.uid != self.caller.uid
    }

    /// Reads or writes what was opened.
    pub fn transfer(&mut self, dentry: &Dentry, path: Vec<u8>, flags: OpenFlags, io: Io) -> Reply {
        match (io, dentry.upper) {
            (Io::Read, None) => {
                let real = dentry.lower[0];
                match &self.fs.lowers[real.layer - 1].inode(real.number).node {
                    Node::File(content) => Reply::Content(content.clone()),
                    _ => Reply::Done,
                }
            }
            (Io::Read, Some(number)) => match &self.fs.upper().inode(number).kind {
                UpperKind::File(data) => Reply::Content(data.content()),
                _ => Reply::Done,
            },
            (Io::Write(offset, bytes), Some(number)) if flags.write && !bytes.is_empty() => {
                self.write(number, offset, bytes, path, flags.append);
                Reply::Done
            }
            _ => Reply::Done,
        }
    }

    fn write(&mut self, number: u64, offset: u64, bytes: Content, path: Vec<u8>, append: bool) {
        let length = bytes.len();
        self.upper().change(number, |inode| {
            if let UpperKind::File(data) = &mut inode.kind {
                let offset = if append { data.len() } else { offset };
                data.write(offset, bytes);
            }
        });
        self.written(number);
        self.drop_rights(number, &path);
        self.event(Rule::UpperWrite, path).bytes = Some(length);
    }

    /// The content of a file has changed, if only in name: so have its times.
    pub fn written(&mut self, number: u64) {
        let now = self.caller.now;
        self.upper().change(number, |inode| {
            (inode.attributes.mtime, inode.attributes.ctime) = (now, now);
        });
    }
}
