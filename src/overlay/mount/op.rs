//! One call while it runs: the overlay, who asked, and what has happened so far.

use super::call::Caller;
use super::event::{Event, Rule};
use super::lookup::{Dentry, Real};
use super::origin;
use super::upper::{Attributes, Upper};
use super::{FileType, Overlay};

/// A call that runs.
pub(super) struct Op<'o> {
    pub fs: &'o mut Overlay,
    pub caller: Caller,
    /// The call's name, which is why things are copied up.
    pub reason: &'static str,
    pub events: Vec<Event>,
}

/// Why a call fails: the rule, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub rule: Rule,
    pub path: Vec<u8>,
}

pub(super) type Done<T> = Result<T, Fault>;

impl Op<'_> {
    pub fn fail<T>(&self, rule: Rule, path: &[u8]) -> Done<T> {
        Err(Fault {
            rule,
            path: path.to_vec(),
        })
    }

    /// The path of a name in a directory.
    pub fn path_of(&self, parents: &[Dentry], name: &[u8]) -> Vec<u8> {
        let mut path = chain_path(parents);
        if path.last() != Some(&b'/') {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }

    /// Notes what happened to a path.
    pub fn event(&mut self, rule: Rule, path: Vec<u8>) -> &mut Event {
        self.events.push(Event::new(rule, path));
        self.events.last_mut().expect("just pushed")
    }

    /// Notes what happened to a name in a directory.
    pub fn event_at(&mut self, rule: Rule, parents: &[Dentry], name: &[u8], text: &[u8]) -> &mut Event {
        let path = self.path_of(parents, name);
        let event = self.event(rule, path);
        event.text = text.to_vec();
        event
    }

    /// Fails on a mount without an upper.
    pub fn want_write(&self, path: &[u8]) -> Done<()> {
        match self.fs.upper {
            Some(_) => Ok(()),
            None => self.fail(Rule::ErrnoReadOnly, path),
        }
    }

    pub fn upper(&mut self) -> &mut Upper {
        self.fs.upper.as_mut().expect("what writes has asked for it")
    }

    /// Sets one of overlayfs' own attributes in the upper.
    pub fn set_mark(&mut self, number: u64, mark: &[u8], value: &[u8]) {
        let name = self.fs.marks().name(mark);
        self.upper().set_xattr(number, &name, Some(value));
    }

    /// Marks a directory of the upper as one with copied-up things in it (`ovl_set_impure`).
    pub fn set_impure(&mut self, chain: &[Dentry]) {
        let number = upper_of(chain);
        if self.fs.can_mark() && self.fs.upper_mark(number, b"impure").is_none() {
            self.set_mark(number, b"impure", b"y");
            self.event(Rule::XattrImpure, chain_path(chain));
        }
    }

    /// Notes what an inode of the upper was copied from (`ovl_set_origin_fh`).
    pub fn set_origin(&mut self, upper: u64, lower: Real, parents: &[Dentry], name: &[u8]) {
        self.fs.origins.insert((upper_of(parents), name.into()), lower);
        let is_plain = matches!(self.fs.file_type(lower), FileType::Directory | FileType::File);
        // user.* attributes stand on files and directories only (xattr(7)); overlayfs does without then.
        if !self.fs.can_mark() || (self.fs.options.userxattr && !is_plain) {
            return;
        }
        let layer = self.fs.layer_name(lower.layer);
        let (rule, value) = match self.fs.options.user_namespace {
            true => (Rule::XattrOriginUnknown, Vec::new()),
            false => (Rule::XattrOrigin, origin::encode(lower)),
        };
        self.set_mark(upper, b"origin", &value);
        self.event_at(rule, parents, name, b"").layer = Some(layer);
    }

    /// Makes a directory of the upper hide what is below.
    pub fn set_opaque(&mut self, upper: u64, rule: Rule, path: Vec<u8>) {
        self.set_mark(upper, b"opaque", b"y");
        self.event(rule, path);
    }

    /// A directory's content has changed: so have its times.
    pub fn modified(&mut self, directory: u64) {
        let now = self.caller.now;
        self.upper().change(directory, |inode| {
            (inode.attributes.mtime, inode.attributes.ctime) = (now, now);
        });
    }

    /// Something of an inode has changed, but not its content: its attributes, or how many names it has.
    pub fn changed(&mut self, number: u64) {
        let now = self.caller.now;
        self.upper().change(number, |inode| inode.attributes.ctime = now);
    }

    /// The attributes of something new in a directory of the mount.
    pub fn fresh(&self, parent: &Dentry, mode: u16) -> Attributes {
        let now = self.caller.now;
        let directory = self.fs.owned(parent.real().expect("it is a directory"));
        let gid = directory.group_of_new(self.caller.gid);
        Attributes {
            mode,
            uid: self.caller.uid,
            gid,
            atime: now,
            mtime: now,
            ctime: now,
            xattrs: Default::default(),
        }
    }
}

/// The number in the upper of the last of a chain that was copied up.
pub(super) fn upper_of(chain: &[Dentry]) -> u64 {
    let last = chain.last().expect("the root is there");
    last.upper.expect("it was copied up")
}

/// The path of the last of a chain.
pub(super) fn chain_path(chain: &[Dentry]) -> Vec<u8> {
    let mut path = Vec::new();
    for dentry in &chain[1..] {
        path.push(b'/');
        path.extend_from_slice(&dentry.name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}
