//! Copy-up: before something of a lower layer changes, it is copied to the upper, after all directories on the
//! way (fs/overlayfs/copy_up.c).

use std::sync::Arc;

use imbl::OrdMap;

use super::data::Data;
use super::event::Rule;
use super::lookup::{Dentry, Real};
use super::op::{Op, chain_path, upper_of};
use super::upper::UpperKind;
use super::{FileType, Lower};
use crate::content::Content;
use crate::tree::Node;

impl Op<'_> {
    /// Brings the last of a chain into the upper, and before it all above it.
    pub fn copy_up(&mut self, chain: &mut [Dentry]) {
        self.copy_up_with(chain, true);
    }

    /// As [`Op::copy_up`]; the bytes of a file that is to be emptied anyway are not copied.
    pub fn copy_up_with(&mut self, chain: &mut [Dentry], with_data: bool) {
        for depth in 1..chain.len() {
            if chain[depth].upper.is_none() {
                let is_last = depth + 1 == chain.len();
                let (parents, rest) = chain.split_at_mut(depth);
                self.copy_one(parents, &mut rest[0], is_last, with_data || !is_last);
            }
        }
    }

    fn copy_one(&mut self, parents: &[Dentry], dentry: &mut Dentry, is_last: bool, with_data: bool) {
        let lower = dentry.lower[0];
        let is_directory = self.fs.file_type(lower) == FileType::Directory;
        self.set_impure(parents);
        let (kind, bytes) = copied(&self.fs.lowers[lower.layer - 1], lower, with_data);
        let mut attributes = self.fs.attributes(lower);
        attributes.ctime = self.caller.now;
        let marks = self.fs.marks();
        let is_hidden = |name: &[u8]| self.fs.options.user_namespace && name.starts_with(b"trusted.");
        if !attributes.xattrs.is_empty() {
            // What is overlayfs' own stays behind, but for what a process once set through a mount.
            let xattrs = Arc::make_mut(&mut attributes.xattrs);
            xattrs.retain(|name, _| marks.unescape(name).is_some() && !is_hidden(name));
        }
        let number = self.upper().make(kind, attributes);
        let rule = match (is_directory, is_last, with_data) {
            (true, false, _) => Rule::CopyUpAncestor,
            (true, true, _) => Rule::CopyUpDirectory,
            (false, _, false) => Rule::CopyUpWithoutData,
            (false, ..) if bytes.is_some() => Rule::CopyUpFile,
            (false, ..) => Rule::CopyUpSpecial,
        };
        let (layer, reason) = (self.fs.layer_name(lower.layer), self.reason);
        let event = self.event_at(rule, parents, &dentry.name, reason.as_bytes());
        event.layer = Some(layer);
        event.bytes = bytes;
        let parent = upper_of(parents);
        // The directory's times are put back: copying up is not a change that a process would see.
        let times = self.upper().inode(parent).attributes.mtime;
        self.upper().put(parent, &dentry.name, number);
        self.changed(parent);
        self.upper()
            .change(parent, |inode| inode.attributes.mtime = times);
        dentry.upper = Some(number);
        let links = match is_directory {
            true => 1,
            false => self.fs.lowers[lower.layer - 1].inode(lower.number).links(),
        };
        if links == 1 {
            self.set_origin(number, lower, parents, &dentry.name);
        } else {
            dentry.lower.clear();
            self.event_at(Rule::CopyUpLinkBroken, parents, &dentry.name, b"")
                .bytes = Some(links.into());
        }
        dentry.has_whiteouts = is_directory;
        self.opened_is_copied(parents, dentry);
    }

    /// Replaces a directory that shows nothing, but holds whiteouts, by an opaque one without any, before it is
    /// removed or replaced (`ovl_clear_empty`).
    pub fn clear_whiteouts(&mut self, parents: &[Dentry], dentry: &mut Dentry) {
        let number = dentry.upper.expect("the whiteouts stand in the upper");
        let mut attributes = self.upper().inode(number).attributes.clone();
        attributes.ctime = self.caller.now;
        let marks = self.fs.marks();
        Arc::make_mut(&mut attributes.xattrs).retain(|name, _| marks.unescape(name).is_some());
        let cleared = self.upper().make(UpperKind::Directory(OrdMap::new()), attributes);
        let parent = upper_of(parents);
        self.upper().put(parent, &dentry.name, cleared);
        self.modified(parent);
        let mut chain = parents.to_vec();
        chain.push(dentry.clone());
        self.set_opaque(cleared, Rule::OpaqueClear, chain_path(&chain));
        dentry.upper = Some(cleared);
        dentry.lower.clear();
        dentry.opaque = true;
    }
}

/// What a copy holds, and of a file how many bytes are copied.
fn copied(lower: &Lower, real: Real, with_data: bool) -> (UpperKind, Option<u64>) {
    match &lower.inode(real.number).node {
        Node::Directory(_) => (UpperKind::Directory(OrdMap::new()), None),
        Node::File(content) => {
            let content = match with_data {
                true => content.clone(),
                false => Content::inline(*b""),
            };
            let length = content.len();
            (UpperKind::File(Data::new(content)), Some(length))
        }
        Node::Symlink(target) => (UpperKind::Symlink(target.clone()), None),
        Node::CharDevice(device) => (UpperKind::CharDevice(*device), None),
        Node::BlockDevice(device) => (UpperKind::BlockDevice(*device), None),
        Node::Fifo => (UpperKind::Fifo, None),
    }
}
