//! containerd 1.6.20 with the two snapshotters that give [`Archive`] a directory.
//!
//! The native snapshotter copies the parent's directory and applies into the copy, removing what whiteouts
//! name. The overlayfs snapshotter applies each layer but the lowest into an empty upperdir, without looking
//! through the mount: whiteouts become devices, opaque marks an xattr, and what shows is the kernel's merged
//! view. Both give a container one more, empty snapshot on top, which is what [`super::Outcome`] describes.

use super::archive::{Archive, Target};
use super::fs::{Fs, Kind, Number};
use super::go_tar::GoEntry;
use super::rule::{Notes, Rule};
use super::{Fault, Remains, Unpack, Why, overlayfs};

/// Where layers are applied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Snapshotter {
    Native,
    Overlayfs,
}

pub(super) struct Containerd {
    snapshotter: Snapshotter,
    /// The layers below, bottom first, if they are kept apart.
    below: Vec<Fs>,
    fs: Fs,
    layers: usize,
    archive: Archive,
}

impl Containerd {
    pub(super) fn new(snapshotter: Snapshotter) -> Self {
        Self {
            snapshotter,
            below: Vec::new(),
            fs: Fs::new(true),
            layers: 0,
            archive: Archive::default(),
        }
    }

    /// A snapshot on top of what is there.
    fn prepare(&mut self, notes: &mut Notes) {
        match self.snapshotter {
            Snapshotter::Native => copy(&mut self.fs, notes),
            Snapshotter::Overlayfs => self.below.push(std::mem::replace(&mut self.fs, Fs::new(true))),
        }
    }

    /// The archive at work, and where its entries go. In the lowest layer whiteouts make no marks: it is mounted
    /// without an overlay, and so applied as to any directory (diff/apply/apply_linux.go).
    fn parts<'a>(&'a mut self, notes: &'a mut Notes) -> (&'a mut Archive, Target<'a, Fs>) {
        let target = Target {
            makes_marks: self.snapshotter == Snapshotter::Overlayfs && self.layers > 1,
            fs: &mut self.fs,
            below: &self.below,
            notes,
            watch: None,
        };
        (&mut self.archive, target)
    }
}

impl Unpack for Containerd {
    fn start(&mut self, notes: &mut Notes) {
        if self.layers > 0 {
            self.prepare(notes);
        }
        self.layers += 1;
    }

    fn entry(&mut self, entry: &GoEntry, notes: &mut Notes) -> Result<(), Why> {
        self.fs.work_on(notes.at(entry.offset));
        let (archive, mut target) = self.parts(notes);
        archive.entry(entry, &mut target)
    }

    fn end(&mut self, notes: &mut Notes) -> Result<(), Fault> {
        let (archive, mut target) = self.parts(notes);
        archive.end(&mut target)
    }

    fn remains(&self) -> Remains {
        Remains::Layers(self.layers - 1)
    }

    fn cost(&self) -> u64 {
        self.below.iter().map(Fs::lookups).sum::<u64>() + self.fs.lookups()
    }

    fn inodes(&self) -> usize {
        self.below.iter().map(Fs::len).sum::<usize>() + self.fs.len()
    }

    fn bytes(&self) -> u64 {
        self.below.iter().map(Fs::bytes).sum::<u64>() + self.fs.bytes() + self.archive.bytes()
    }

    fn finish(mut self: Box<Self>, notes: &mut Notes) -> Fs {
        self.prepare(notes);
        match self.snapshotter {
            Snapshotter::Native => self.fs,
            Snapshotter::Overlayfs => overlayfs::merge(&self.below, notes),
        }
    }
}

/// What the native snapshotter's copy changes (continuity/fs/copy.go): a directory gets its time before what
/// is in it, and of things with several names only regular files stay linked.
fn copy(fs: &mut Fs, notes: &mut Notes) {
    let mut pending: Vec<Number> = fs.root().into_iter().collect();
    let mut seen = vec![false; fs.len()];
    while let Some(directory) = pending.pop() {
        let names: Vec<(Vec<u8>, Number)> = fs
            .names(directory)
            .map(|(name, number)| (name.to_vec(), number))
            .collect();
        if !names.is_empty() {
            fs.inode_mut(directory).mtime = None;
        }
        for (name, number) in names {
            let inode = fs.inode(number);
            match inode.kind {
                Kind::Directory(_) => pending.push(number),
                Kind::File(_) => {}
                _ if inode.links() > 1 && std::mem::replace(&mut seen[number as usize], true) => {
                    notes.add(Rule::NativeCopyBreaksLinks);
                    let inode = inode.clone();
                    let own = fs.adopt(&inode);
                    fs.relink(directory, &name, own);
                }
                _ => {}
            }
        }
    }
}
