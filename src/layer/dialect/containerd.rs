//! containerd 1.6.20: `archive.Apply` (archive/tar.go), with the two snapshotters that give it a directory.
//!
//! The native snapshotter copies the parent's directory and applies into the copy, removing what whiteouts
//! name. The overlayfs snapshotter applies each layer but the lowest into an empty upperdir, without looking
//! through the mount: whiteouts become devices, opaque marks an xattr, and what shows is the kernel's merged
//! view. Both give a container one more, empty snapshot on top, which is what [`super::Outcome`] describes.

use super::errno::Errno;
use super::fs::{ByBytes, Fs, Kind, Number};
use super::go_tar::GoEntry;
use super::path::{clean, join, root_path, split};
use super::rule::{Notes, Rule};
use super::{Fault, Remains, Unpack, Why, go_types, overlayfs, xattr};
use crate::layer::OPAQUE_NAME;
use crate::tree::{Time, WHITEOUT_PREFIX};

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
    /// Directories of this layer, whose times are set at its end.
    directories: Vec<Directory>,
    /// Paths that entries of this layer stand at.
    unpacked: ByBytes,
}

struct Directory {
    offset: u64,
    name: Vec<u8>,
    mtime: Time,
}

impl Containerd {
    pub(super) fn new(snapshotter: Snapshotter) -> Self {
        Self {
            snapshotter,
            below: Vec::new(),
            fs: Fs::new(true),
            layers: 0,
            directories: Vec::new(),
            unpacked: ByBytes::new(),
        }
    }

    /// A snapshot on top of what is there.
    fn prepare(&mut self, notes: &mut Notes) {
        match self.snapshotter {
            Snapshotter::Native => copy(&mut self.fs, notes),
            Snapshotter::Overlayfs => self.below.push(std::mem::replace(&mut self.fs, Fs::new(true))),
        }
    }

    /// Whiteouts become marks of overlayfs, but in the lowest layer: it is mounted without an overlay, and so
    /// applied as to any directory (diff/apply/apply_linux.go).
    fn makes_marks(&self) -> bool {
        self.snapshotter == Snapshotter::Overlayfs && self.layers > 1
    }

    fn apply(&mut self, entry: &GoEntry, notes: &mut Notes) -> Result<(), Why> {
        let name = clean(&entry.name);
        let (parent, base) = split(&name);
        let parent = root_path(&self.fs, parent)?;
        let path = join(&parent, &join(b"/", base));
        if path == b"/" {
            notes.add(Rule::ContainerdRootSkipped);
            return Ok(());
        }
        if parent != b"/" {
            self.make_parent(&parent, notes)?;
        }
        if let Some(hidden) = base.strip_prefix(WHITEOUT_PREFIX) {
            return self.whiteout(entry, &parent, base, hidden, notes);
        }
        let is_directory = entry.typeflag == b'5';
        if let Ok(old) = self.fs.lstat(&path)
            && !(is_directory && self.fs.inode(old).is_directory())
        {
            if entry.typeflag == b'g' {
                notes.add(Rule::ContainerdGlobalRemoves);
            }
            self.fs.remove_all(&path)?;
        }
        self.create(entry, &path, notes)?;
        if is_directory {
            self.directories.push(Directory {
                offset: entry.offset,
                name,
                mtime: bound(entry.mtime),
            });
        }
        self.unpacked.insert(path, entry.offset);
        Ok(())
    }

    fn whiteout(
        &mut self,
        entry: &GoEntry,
        parent: &[u8],
        base: &[u8],
        hidden: &[u8],
        notes: &mut Notes,
    ) -> Result<(), Why> {
        if base == OPAQUE_NAME {
            return match self.makes_marks() {
                true => {
                    let directory = self.fs.lstat(parent)?;
                    Ok(self.fs.set_xattr(directory, xattr::OPAQUE, b"y")?)
                }
                false => self.remove_all_but_unpacked(parent, notes),
            };
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Why::InvalidWhiteout);
        }
        let path = join(parent, hidden);
        if !self.makes_marks() {
            if self.unpacked.contains_key(&path) {
                notes.add(Rule::NativeWhiteoutRemovesOwn);
            }
            return Ok(self.fs.remove_all(&path)?);
        }
        notes.add(Rule::OverlayfsWhiteoutIsDevice);
        let device = self.fs.mknod(&path, Kind::CharDevice(0, 0), 0)?;
        self.fs.lchown(device, entry.uid as u32, entry.gid as u32);
        Ok(())
    }

    /// An opaque mark where it is applied to a plain directory: entries of this layer stay, and only they.
    fn remove_all_but_unpacked(&mut self, directory: &[u8], notes: &mut Notes) -> Result<(), Why> {
        let mut pending = vec![directory.to_vec()];
        while let Some(path) = pending.pop() {
            let number = self.fs.lstat(&path)?;
            let names: Vec<_> = self.fs.names(number).map(|(name, _)| join(&path, name)).collect();
            for child in names {
                if self.unpacked.contains_key(&child) {
                    pending.push(child);
                    continue;
                }
                let inside = [&child[..], b"/"].concat();
                let next = self.unpacked.range(inside.clone()..).next();
                if next.is_some_and(|(next, _)| next.starts_with(&inside)) {
                    notes.add(Rule::NativeOpaqueRemovesImplied);
                }
                self.fs.remove_all(&child)?;
            }
        }
        Ok(())
    }

    /// Makes a directory without an entry, and those above it (`mkparent`).
    fn make_parent(&mut self, path: &[u8], notes: &mut Notes) -> Result<(), Why> {
        match self.fs.lstat(path) {
            Ok(number) if self.fs.inode(number).is_directory() => return Ok(()),
            Ok(_) => return Err(Errno::ENOTDIR.into()),
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let ends = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/');
        for end in ends.map(|(at, _)| at).chain([path.len()]) {
            let path = &path[..end];
            match self.fs.lstat(path) {
                Ok(number) if self.fs.inode(number).is_directory() => continue,
                Ok(_) => return Err(Errno::ENOTDIR.into()),
                Err(Errno::ENOENT) => {}
                Err(error) => return Err(error.into()),
            }
            let made = self.fs.mkdir(path, 0o755)?;
            self.fs.inode_mut(made).mode = 0o755;
            if self.makes_marks() {
                self.copy_attributes(path, made, notes)?;
            }
        }
        Ok(())
    }

    /// What a directory without an entry gets from the topmost layer below that has the path, whatever hides
    /// it from the merged view.
    fn copy_attributes(&mut self, path: &[u8], made: Number, notes: &mut Notes) -> Result<(), Why> {
        for lower in self.below.iter().rev() {
            let found = root_path(lower, path)?;
            let number = match lower.lstat(&found) {
                Err(Errno::ENOENT) => continue,
                found => found?,
            };
            let inode = lower.inode(number);
            if inode.is_directory() {
                notes.add(match found == path {
                    true => Rule::OverlayfsParentCopied,
                    false => Rule::OverlayfsLinkReplaced,
                });
                let made = self.fs.inode_mut(made);
                (made.mode, made.uid, made.gid) = (inode.mode, inode.uid, inode.gid);
                made.mtime = inode.mtime;
                for (name, value) in &inode.xattrs {
                    if !name.starts_with(b"trusted.") {
                        made.xattrs.insert(name.clone(), value.clone());
                    }
                }
            }
            break;
        }
        Ok(())
    }

    /// `createTarFile`.
    fn create(&mut self, entry: &GoEntry, path: &[u8], notes: &mut Notes) -> Result<(), Why> {
        let number = match entry.typeflag {
            b'0' => self.fs.create(path, entry.data.clone()?)?,
            b'1' => {
                notes.add(Rule::ContainerdLinkSetsAttributes);
                let target = self.link_target(&entry.link_name)?;
                self.fs.link(&target, path)?
            }
            b'2' => self.fs.symlink(&entry.link_name, path)?,
            b'3' | b'4' | b'6' => self.fs.mknod(path, go_types::node(entry), 0)?,
            b'5' => match self.fs.lstat(path) {
                Ok(number) => {
                    self.fs.restate(number);
                    if !self.fs.inode(number).xattrs.is_empty() {
                        notes.add(Rule::ContainerdXattrsStay);
                    }
                    number
                }
                Err(_) => self.fs.mkdir(path, entry.permissions())?,
            },
            b'g' => return Ok(()),
            flag => return Err(Why::UnhandledType(flag)),
        };
        self.fs.lchown(number, entry.uid as u32, entry.gid as u32);
        for (name, value) in entry.xattrs(false) {
            self.set_xattr(number, name, value, notes)?;
        }
        let inode = self.fs.inode_mut(number);
        if !matches!(inode.kind, Kind::Symlink(_)) {
            inode.mode = entry.permissions();
        }
        let mtime = bound(entry.mtime);
        if mtime != entry.mtime {
            notes.add(Rule::ContainerdTimeBounded);
        }
        inode.mtime = Some(mtime);
        Ok(())
    }

    fn set_xattr(&mut self, number: Number, name: &[u8], value: &[u8], notes: &mut Notes) -> Result<(), Why> {
        let set = match name.starts_with(b"trusted.") {
            true => Err(Errno::ENOTSUP),
            false => self.fs.set_xattr(number, name, value),
        };
        let cannot_hold = !matches!(self.fs.inode(number).kind, Kind::Directory(_) | Kind::File(_));
        match set {
            Err(Errno::ENOTSUP) => notes.add(Rule::ContainerdXattrDropped),
            Err(Errno::EPERM) if name.starts_with(b"user.") && cannot_hold => {
                notes.add(Rule::ContainerdXattrDropped);
            }
            set => set?,
        }
        Ok(())
    }

    /// `hardlinkRootPath`: the last name is not followed.
    fn link_target(&self, link_name: &[u8]) -> Result<Vec<u8>, Why> {
        let (parent, base) = split(link_name);
        let parent = root_path(&self.fs, parent)?;
        Ok(join(&parent, base))
    }

    /// Directories get their times at the end of the layer, wherever their names lead to by then.
    fn set_times(&mut self, notes: &mut Notes) -> Result<(), Fault> {
        for directory in std::mem::take(&mut self.directories) {
            notes.at(directory.offset);
            let found = root_path(&self.fs, &directory.name).map_err(Why::from);
            let found = found.and_then(|path| Ok(self.fs.lstat(&path)?));
            let number = found.map_err(|why| Fault {
                offset: directory.offset,
                name: directory.name,
                why,
            })?;
            if !self.fs.inode(number).is_directory() {
                notes.add(Rule::ContainerdTimeOfReplaced);
            }
            self.fs.inode_mut(number).mtime = Some(directory.mtime);
        }
        self.unpacked.clear();
        Ok(())
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
        self.apply(entry, notes)
    }

    fn end(&mut self, notes: &mut Notes) -> Result<(), Fault> {
        self.set_times(notes)
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

    fn finish(mut self: Box<Self>, notes: &mut Notes) -> Fs {
        self.prepare(notes);
        match self.snapshotter {
            Snapshotter::Native => self.fs,
            Snapshotter::Overlayfs => overlayfs::merge(&self.below, notes),
        }
    }
}

/// Times outside of 64 bits of nanoseconds after 1970 become 1970 (archive/time.go).
fn bound(time: Time) -> Time {
    const LAST: Time = Time {
        seconds: i64::MAX / 1_000_000_000,
        nanos: (i64::MAX % 1_000_000_000) as u32,
    };
    match (Time::at(0)..=LAST).contains(&time) {
        true => time,
        false => Time::at(0),
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
