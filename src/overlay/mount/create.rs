//! Calls that make names: mkdir, mknod, symlink, link, and open with O_CREAT (fs/overlayfs/dir.c,
//! `ovl_create_or_link`).

use imbl::OrdMap;

use super::call::NodeType;
use super::data::Data;
use super::event::Rule;
use super::lookup::Dentry;
use super::op::{Done, Op, upper_of};
use super::upper::UpperKind;
use super::walk::{Last, Place};
use super::{FileType, Reply};
use crate::tree::Device;

/// What gets a name.
pub(super) enum Newcomer {
    /// Something new, with these permissions.
    Fresh(UpperKind, u16),
    /// A further name of an inode of the upper; whether that inode was copied up.
    Link(u64, bool),
}

impl Op<'_> {
    pub fn mkdir(&mut self, path: &[u8], mode: u16) -> Done<Reply> {
        let place = self.place(path)?;
        let (parents, dentry) = self.vacant(place, true)?;
        self.want_create(&parents)?;
        let mode = mode & 0o1777 & !self.caller.umask;
        let kind = UpperKind::Directory(OrdMap::new());
        self.make(parents, &dentry, Newcomer::Fresh(kind, mode))?;
        Ok(Reply::Done)
    }

    pub fn mknod(&mut self, path: &[u8], node: NodeType, mode: u16) -> Done<Reply> {
        let place = self.place(path)?;
        let (parents, dentry) = self.vacant(place, false)?;
        self.want_create(&parents)?;
        let path = self.path_of(&parents, &dentry.name);
        let is_device = matches!(node, NodeType::CharDevice(_) | NodeType::BlockDevice(_));
        if node == NodeType::CharDevice(Device { major: 0, minor: 0 }) {
            return self.fail(Rule::ErrnoMknodWhiteout, &path);
        }
        if is_device && (self.fs.options.user_namespace || self.caller.uid != 0) {
            return self.fail(Rule::ErrnoMknodDevice, &path);
        }
        let kind = match node {
            NodeType::File => UpperKind::File(Data::default()),
            NodeType::Fifo => UpperKind::Fifo,
            NodeType::Socket => UpperKind::Socket,
            NodeType::CharDevice(device) => UpperKind::CharDevice(device),
            NodeType::BlockDevice(device) => UpperKind::BlockDevice(device),
        };
        let mode = self.new_mode(parents.last().expect("the root is there"), mode);
        self.make(parents, &dentry, Newcomer::Fresh(kind, mode))?;
        Ok(Reply::Done)
    }

    pub fn symlink(&mut self, target: &[u8], path: &[u8]) -> Done<Reply> {
        if target.is_empty() {
            return self.fail(Rule::ErrnoMissing, path);
        }
        if target.len() >= 4096 {
            return self.fail(Rule::ErrnoNameTooLong, target);
        }
        let place = self.place(path)?;
        let (parents, dentry) = self.vacant(place, false)?;
        self.want_create(&parents)?;
        let kind = UpperKind::Symlink(target.into());
        self.make(parents, &dentry, Newcomer::Fresh(kind, 0o777))?;
        Ok(Reply::Done)
    }

    pub fn link(&mut self, old: &[u8], new: &[u8], follow: bool) -> Done<Reply> {
        let mut source = self.find(old, follow)?;
        let place = self.place(new)?;
        let (mut parents, dentry) = self.vacant(place, false)?;
        self.want_link(&source)?;
        self.want_create(&parents)?;
        let last = source.last().expect("the root is there");
        if self.dentry_type(last) == Some(FileType::Directory) {
            return self.fail(Rule::ErrnoLinkDirectory, old);
        }
        self.copy_up(&mut source);
        let last = source.last().expect("the root is there");
        let newcomer = Newcomer::Link(upper_of(&source), self.has_origin(last));
        // The directories of the new name can be among those that were just copied up.
        self.refresh(&mut parents);
        self.make(parents, &dentry, newcomer)?;
        Ok(Reply::Done)
    }

    /// Looks directories up again that another part of the call may have copied up.
    pub fn refresh(&mut self, chain: &mut [Dentry]) {
        for depth in 1..chain.len() {
            let (parents, rest) = chain.split_at_mut(depth);
            let parent = upper_if_any(parents);
            if let (None, Some(parent)) = (rest[0].upper, parent) {
                rest[0].upper = self.fs.upper().child(parent, &rest[0].name);
                rest[0].has_whiteouts |= rest[0].upper.is_some();
            }
        }
    }

    /// Whether something in the upper is known to be copied up (OVL_TYPE_ORIGIN).
    pub fn has_origin(&self, dentry: &Dentry) -> bool {
        dentry.upper.is_some() && !dentry.lower.is_empty()
    }

    /// The place of a name that is not there yet (`filename_create`).
    fn vacant(&mut self, place: Place, is_directory: bool) -> Done<(Vec<Dentry>, Dentry)> {
        let Last::Name(name) = &place.last else {
            return self.fail(Rule::ErrnoExists, &super::op::chain_path(&place.parents));
        };
        let dentry = self.lookup(&place.parents, name, true)?;
        let path = self.path_of(&place.parents, name);
        if dentry.exists() {
            return self.fail(Rule::ErrnoExists, &path);
        }
        if place.has_slash && !is_directory {
            return self.fail(Rule::ErrnoMissing, &path);
        }
        self.want_write(&path)?;
        Ok((place.parents, dentry))
    }

    /// Gives a newcomer a name that nothing has, over a whiteout or in an empty place. Returns its number.
    pub fn make(&mut self, mut parents: Vec<Dentry>, dentry: &Dentry, newcomer: Newcomer) -> Done<u64> {
        let path = self.path_of(&parents, &dentry.name);
        self.copy_up(&mut parents);
        let directory = upper_of(&parents);
        let parent = parents.last().expect("the root is there");
        let is_merged = !parent.lower.is_empty();
        if let Newcomer::Link(_, true) = newcomer {
            self.set_impure(&parents);
        }
        let is_new_directory = matches!(&newcomer, Newcomer::Fresh(UpperKind::Directory(_), _));
        if is_new_directory && dentry.is_whiteout() && !self.fs.can_mark() {
            return self.fail(Rule::ErrnoMkdirWithoutXattrs, &path);
        }
        let (number, rule) = match newcomer {
            Newcomer::Fresh(kind, mode) => {
                let mut attributes = self.fresh(parent, mode);
                let parent_mode = self.fs.attributes(parent.real().expect("it is a directory")).mode;
                if is_new_directory {
                    attributes.mode |= parent_mode & 0o2000;
                }
                (self.upper().make(kind, attributes), Rule::UpperCreate)
            }
            Newcomer::Link(number, _) => {
                self.changed(number);
                (number, Rule::UpperLink)
            }
        };
        self.event(rule, path.clone());
        if dentry.is_whiteout() {
            self.event(Rule::WhiteoutReplaced, path.clone());
            if is_new_directory {
                self.set_opaque(number, Rule::OpaqueMkdir, path);
            }
        } else if is_new_directory && is_merged && self.fs.options.redirect.creates() && self.fs.can_mark() {
            self.set_opaque(number, Rule::OpaqueFeatures, path);
        }
        self.upper().put(directory, &dentry.name, number);
        self.modified(directory);
        Ok(number)
    }
}

fn upper_if_any(chain: &[Dentry]) -> Option<u64> {
    chain.last().and_then(|dentry| dentry.upper)
}
