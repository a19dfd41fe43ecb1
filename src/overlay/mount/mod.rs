//! A mounted overlay: lower layers, an upperdir that is written to, and the kernel's answers to every system
//! call, with the upperdir's content afterwards and a trace of what happened and why.
//!
//! The rules are those of Linux 6.18, fs/overlayfs; `tests/overlay_kernel.rs` runs random calls here and in the
//! kernel. Not simulated, and refused as options: metacopy, index, xino, nfs_export, data-only layers. POSIX ACLs
//! are bytes that nothing obeys.

mod attribute;
mod call;
mod commit;
mod convert;
mod copy_up;
mod create;
mod data;
mod descriptor;
mod errno;
mod event;
mod line;
mod lookup;
mod lower;
mod mark;
mod op;
mod open;
mod options;
mod origin;
mod permission;
mod readdir;
mod remove;
mod rename;
mod row;
mod system;
mod upper;
mod walk;
mod xattr;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;

pub use call::{
    Call, Caller, FileType, Io, NodeType, OnDescriptor, OpenFlags, Outcome, Path, Reply, SetTime, SetXattr,
    Stat,
};
pub use commit::{Committed, LeftOut, Unfit};
pub use data::Data;
use descriptor::Descriptor;
pub use errno::Errno;
pub use event::{Event, Layer, Rule};
pub use line::{Directories, Engine, shown_options};
use lookup::Real;
pub use lower::Lower;
pub use mark::Marks;
use op::Op;
pub use options::{OptionError, Options, Redirect};
pub use permission::SETTINGS;
pub use row::{Detail, Row};
pub use system::{Executed, System, walk};
pub use upper::{Attributes, FileName, Slot, Upper, UpperInode, UpperKind};

use crate::tree::Time;

/// A mounted overlay. A clone costs nothing: it is how the steps of a container's history are kept.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// Top first.
    lowers: Arc<[Lower]>,
    upper: Option<Upper>,
    options: Options,
    /// When the lower layers were unpacked.
    unpacked: Time,
    /// What names of the upper were copied from, known as long as the overlay is mounted: the number of the
    /// directory and the name. A further name of a file is not known to be copied unless a mark says so.
    origins: OrdMap<(u64, FileName), Real>,
    /// Files that stay open, by numbers that callers choose.
    descriptors: BTreeMap<u8, Descriptor>,
    /// The layers in which directories with whiteouts by xattr were met since it was mounted.
    has_xwhiteouts: BTreeSet<usize>,
}

impl Overlay {
    /// Mounts layers, the bottom one first, below an upper, or read-only without one. Kernels take up to 500
    /// lower layers, at least one and, without an upper, two.
    pub fn mount(
        lowers: Vec<Lower>,
        upper: Option<Upper>,
        options: Options,
        now: Time,
    ) -> Result<Self, OptionError> {
        options.check(lowers.len(), upper.is_some())?;
        let mut overlay = Self {
            lowers: lowers.into_iter().rev().collect(),
            upper,
            options,
            unpacked: now,
            origins: OrdMap::new(),
            descriptors: BTreeMap::new(),
            has_xwhiteouts: BTreeSet::new(),
        };
        overlay.note_roots();
        Ok(overlay)
    }

    fn note_roots(&mut self) {
        let marks = self.marks();
        let roots = self.lowers.iter().enumerate();
        let marked = roots.filter(|(_, lower)| lower.opaque(0, marks) == Some(b'x'));
        self.has_xwhiteouts = marked.map(|(position, _)| position + 1).collect();
    }

    /// The options it is mounted with.
    pub fn options(&self) -> Options {
        self.options
    }

    /// The upperdir as it is now.
    pub fn upperdir(&self) -> Option<&Upper> {
        self.upper.as_ref()
    }

    /// Which attributes are overlayfs' own here.
    pub fn marks(&self) -> Marks {
        Marks::of(self.options)
    }

    /// Whether overlayfs can keep its marks: trusted attributes need rights outside of a user namespace.
    fn can_mark(&self) -> bool {
        self.upper.is_some() && (self.options.userxattr || !self.options.user_namespace)
    }

    fn upper(&self) -> &Upper {
        self.upper.as_ref().expect("callers come from something in it")
    }

    /// Makes one system call.
    pub fn call(&mut self, caller: Caller, call: &Call) -> Outcome {
        if let Call::Remount { options } = call {
            return self.remount(*options);
        }
        let mut op = Op {
            fs: self,
            caller,
            reason: call.name(),
            events: Vec::new(),
        };
        let done = op.run(call);
        let mut events = op.events;
        let result = done.map_err(|fault| {
            let errno = fault.rule.errno().expect("only rules with one are failures");
            events.push(Event::new(fault.rule, fault.path));
            errno
        });
        Outcome { result, events }
    }

    /// umount and mount again, for which all is closed: what was only known while it was mounted is forgotten. With options that the kernel
    /// refuses it is mounted as before.
    fn remount(&mut self, options: Option<Options>) -> Outcome {
        self.origins = OrdMap::new();
        self.close_all();
        let options = options.unwrap_or(self.options);
        let is_refused = options.check(self.lowers.len(), self.upper.is_some()).is_err();
        if !is_refused {
            self.options = options;
        }
        self.note_roots();
        match is_refused {
            true => Outcome {
                result: Err(Errno::EINVAL),
                events: vec![Event::new(Rule::ErrnoMountOptions, b"/".to_vec())],
            },
            false => Outcome {
                result: Ok(Reply::Done),
                events: Vec::new(),
            },
        }
    }
}

impl Op<'_> {
    fn run(&mut self, call: &Call) -> op::Done<Reply> {
        match call {
            Call::Open {
                path,
                flags,
                mode,
                io,
            } => self.open(path, *flags, *mode, io.clone()),
            Call::Descriptor { number, what } => self.on_descriptor(*number, what),
            Call::Truncate { path, length } => self.truncate(path, *length),
            Call::Mkdir { path, mode } => self.mkdir(path, *mode),
            Call::Mknod { path, node, mode } => self.mknod(path, *node, *mode),
            Call::Symlink { target, path } => self.symlink(target, path),
            Call::Link { old, new, follow } => self.link(old, new, *follow),
            Call::Unlink { path } => self.unlink(path),
            Call::Rmdir { path } => self.rmdir(path),
            Call::Rename { old, new, flags } => self.rename(old, new, *flags),
            Call::Chmod { path, mode } => self.chmod(path, *mode),
            Call::Chown {
                path,
                uid,
                gid,
                follow,
            } => self.chown(path, *uid, *gid, *follow),
            Call::Utimes {
                path,
                atime,
                mtime,
                follow,
            } => self.utimes(path, *atime, *mtime, *follow),
            Call::Setxattr {
                path,
                name,
                value,
                how,
                follow,
            } => self.setxattr(path, name, value, *how, *follow),
            Call::Removexattr { path, name, follow } => self.removexattr(path, name, *follow),
            Call::Getxattr { path, name, follow } => self.getxattr(path, name, *follow),
            Call::Listxattr { path, follow } => self.listxattr(path, *follow),
            Call::Readdir { path } => self.readdir(path),
            Call::Stat { path, follow } => self.stat(path, *follow),
            Call::Readlink { path } => self.readlink(path),
            Call::Remount { .. } => unreachable!("not a call on a file"),
        }
    }
}
