//! Files that stay open: what a descriptor stands for while its file is copied up, renamed or removed
//! (fs/overlayfs/file.c).
//!
//! The kernel holds on to the dentry that was opened. A file that was opened in a lower layer is read there until
//! it is copied up by that very dentry, then in the upper. So a descriptor follows its name through renames, and
//! once the name is gone nothing changes any more what it reads.

use super::call::{Io, OnDescriptor, OpenFlags};
use super::event::Rule;
use super::lookup::Dentry;
use super::op::{Done, Op, chain_path, upper_of};
use super::upper::FileName;
use super::{Overlay, Reply};

/// A descriptor.
#[derive(Clone, Debug)]
pub(super) struct Descriptor {
    dentry: Dentry,
    flags: OpenFlags,
    /// Where its name is, or was at last.
    path: Vec<u8>,
    /// The directory of the upper in which the name was removed or replaced.
    gone_from: Option<u64>,
}

impl Descriptor {
    fn is_at(&self, path: &[u8]) -> bool {
        self.gone_from.is_none() && self.path == path
    }
}

impl Overlay {
    /// Closes a descriptor, if it is open.
    pub(super) fn close(&mut self, descriptor: u8) -> bool {
        let Some(closed) = self.descriptors.remove(&descriptor) else {
            return false;
        };
        if let (Some(number), Some(upper)) = (closed.dentry.upper, &mut self.upper) {
            upper.release(number);
        }
        true
    }

    pub(super) fn close_all(&mut self) {
        let open: Vec<u8> = self.descriptors.keys().copied().collect();
        for descriptor in open {
            self.close(descriptor);
        }
    }
}

impl Op<'_> {
    /// Leaves a file open that was just opened.
    pub fn keep(&mut self, descriptor: u8, chain: &[Dentry], flags: OpenFlags) {
        self.fs.close(descriptor);
        let dentry = chain.last().expect("the root is there").clone();
        if let Some(number) = dentry.upper {
            self.upper().hold(number);
        }
        let kept = Descriptor {
            dentry,
            flags,
            path: chain_path(chain),
            gone_from: None,
        };
        self.fs.descriptors.insert(descriptor, kept);
    }

    /// A call on a descriptor.
    pub fn on_descriptor(&mut self, descriptor: u8, what: &OnDescriptor) -> Done<Reply> {
        let Some(open) = self.fs.descriptors.get(&descriptor).cloned() else {
            return self.fail(
                Rule::ErrnoBadDescriptor,
                format!("descriptor {descriptor}").as_bytes(),
            );
        };
        let (path, flags) = (open.path.clone(), open.flags);
        match what {
            OnDescriptor::Read if !flags.read => self.fail(Rule::ErrnoBadDescriptor, &path),
            OnDescriptor::Write(..) if !flags.write => self.fail(Rule::ErrnoBadDescriptor, &path),
            OnDescriptor::Truncate(length) if !flags.write || *length < 0 => {
                self.fail(Rule::ErrnoNegativeLength, &path)
            }
            OnDescriptor::Read => Ok(self.transfer(&open.dentry, path, flags, Io::Read)),
            OnDescriptor::Write(offset, bytes) => {
                Ok(self.transfer(&open.dentry, path, flags, Io::Write(*offset, bytes.clone())))
            }
            OnDescriptor::Stat => Ok(Reply::Stat(self.fs.stat_of(&open.dentry))),
            OnDescriptor::Truncate(length) => {
                let number = open.dentry.upper.expect("it was opened to be written");
                self.resize(number, *length as u64, &path);
                self.written(number);
                Ok(Reply::Done)
            }
            OnDescriptor::Chmod(mode) => self.fchmod(open, &path, *mode),
            OnDescriptor::Close => {
                self.fs.close(descriptor);
                Ok(Reply::Done)
            }
        }
    }

    fn fchmod(&mut self, open: Descriptor, path: &[u8], mode: u16) -> Done<Reply> {
        self.want_write(path)?;
        self.want_owner(&open.dentry, path)?;
        let mode = self.settable_mode(&open.dentry, path, mode & 0o7777);
        let number = match (open.dentry.upper, open.gone_from) {
            (Some(number), _) => number,
            (None, Some(directory)) => return self.copy_up_gone(directory, path),
            (None, None) => {
                let mut chain = vec![self.fs.root()];
                for name in path.split(|&byte| byte == b'/').skip(1) {
                    let name = FileName::from(name);
                    let found = self.lookup(&chain, &name, false)?;
                    if !found.exists() {
                        return self.fail(Rule::ErrnoMissing, path);
                    }
                    chain.push(found);
                }
                self.copy_up(&mut chain);
                upper_of(&chain)
            }
        };
        self.event(Rule::UpperAttributes, path.to_vec());
        self.set(number, |attributes| attributes.mode = mode);
        Ok(Reply::Done)
    }

    /// A file of a lower layer whose name is gone cannot be copied up: it is to get its name, where something else
    /// is, if only a whiteout, or not even the directory is there any more.
    fn copy_up_gone(&mut self, directory: u64, path: &[u8]) -> Done<Reply> {
        if !self.fs.upper().has(directory) {
            return self.fail(Rule::ErrnoMissing, path);
        }
        if self.fs.can_mark() && self.fs.upper_mark(directory, b"impure").is_none() {
            self.set_mark(directory, b"impure", b"y");
            let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            self.event(Rule::XattrImpure, path[..end.max(1)].to_vec());
        }
        self.fail(Rule::ErrnoCopyUpGone, path)
    }

    /// A file was copied up: descriptors that were opened by this name stand for the copy.
    pub fn opened_is_copied(&mut self, parents: &[Dentry], copied: &Dentry) {
        if self.fs.descriptors.is_empty() {
            return;
        }
        let path = self.path_of(parents, &copied.name);
        let mut held = Vec::new();
        let fs = &mut *self.fs;
        for open in fs.descriptors.values_mut() {
            if open.is_at(&path) && open.dentry.upper.is_none() {
                open.dentry.upper = copied.upper;
                open.dentry.lower.clone_from(&copied.lower);
                held.extend(copied.upper);
            }
        }
        for number in held {
            self.upper().hold(number);
        }
    }

    /// A name was taken away, or something else has it now.
    pub fn opened_is_gone(&mut self, path: &[u8], directory: u64) {
        for open in self.fs.descriptors.values_mut() {
            if open.is_at(path) {
                open.gone_from = Some(directory);
            }
        }
    }

    /// A name was moved, and with a directory all that is in it; when two names change places, both.
    pub fn opened_is_moved(&mut self, from: &[u8], to: &[u8], is_exchange: bool) {
        let moved = |path: &[u8], from: &[u8], to: &[u8]| {
            let rest = path.strip_prefix(from)?;
            let is_inside = rest.is_empty() || rest.starts_with(b"/");
            is_inside.then(|| [to, rest].concat())
        };
        for open in self.fs.descriptors.values_mut() {
            let back = is_exchange.then(|| moved(&open.path, to, from)).flatten();
            if let Some(new) = moved(&open.path, from, to).or(back) {
                open.path = new;
            }
        }
    }
}
