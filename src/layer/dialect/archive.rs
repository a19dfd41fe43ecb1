//! containerd 1.6.20: `archive.Apply` (archive/tar.go): the system calls that it makes for the entries of one
//! layer, on whatever file system is given.

use super::errno::Errno;
use super::fs::{ByBytes, Kind, kept};
use super::go_tar::{GoEntries, GoEntry};
use super::path::{clean, join, root_path, split};
use super::rule::{Notes, Rule};
use super::system::{FileSystem, Sort};
use super::{Fault, Why, go_types, within_limits};
use crate::content::Content;
use crate::layer::OPAQUE_NAME;
use crate::text::escape;
use crate::tree::{Time, WHITEOUT_PREFIX};

/// Where the entries of a layer go.
pub(super) struct Target<'a, F> {
    /// The layer's directory.
    pub fs: &'a mut F,
    /// The layers below, bottom first, if they are kept apart.
    pub below: &'a [F],
    /// Whether whiteouts become marks of overlayfs.
    pub makes_marks: bool,
    /// The rules that count.
    pub notes: &'a mut Notes,
    /// Who wants to know what is done, if anybody does.
    pub watch: Option<&'a mut dyn Watch>,
}

/// What an entry of a layer did to the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Something new was made.
    Made,
    /// Something that was there is another now.
    Changed,
    /// Something was taken away.
    Removed,
}

/// Who wants to know what becomes of a layer's entries.
pub(crate) trait Watch {
    /// The next entry is applied.
    fn entry(&mut self);
    /// What it did: to which path of the directory, and what is there now, or was.
    fn did(&mut self, act: Act, path: &[u8], what: String);
}

/// The work of applying one layer.
#[derive(Default)]
pub(super) struct Archive {
    /// Directories of this layer, whose times are set at its end.
    directories: Vec<Directory>,
    /// Paths that entries of this layer stand at.
    unpacked: ByBytes,
    /// About how many bytes both keep.
    bytes: u64,
}

struct Directory {
    offset: u64,
    name: Vec<u8>,
    mtime: Time,
}

/// Applies a whole layer, an uncompressed tar, as the overlayfs snapshotter has it applied: to the empty
/// directory that `fs` is, with the layers `below`, bottom first. The lowest gets no marks: nothing is under
/// it.
pub(crate) fn apply_layer<F: FileSystem>(
    tar: &Content,
    fs: &mut F,
    below: &[F],
    watch: Option<&mut dyn Watch>,
) -> Result<(), Fault> {
    let mut archive = Archive::default();
    let mut notes = Notes::default();
    let mut target = Target {
        fs,
        below,
        makes_marks: !below.is_empty(),
        notes: &mut notes,
        watch: watch.map(|watch| watch as &mut dyn Watch),
    };
    let mut entries = GoEntries::new(tar.clone());
    loop {
        let at = entries.offset();
        let next = entries.next();
        let Some(entry) = next.map_err(|error| Fault::of_archive(at, error.into()))? else {
            return archive.end(&mut target);
        };
        if let Some(watch) = &mut target.watch {
            watch.entry();
        }
        let done = archive.entry(&entry, &mut target);
        let done = done.and_then(|()| within_limits(0, 0, target.fs.lookups()));
        done.map_err(|why| Fault {
            offset: entry.offset,
            name: entry.name,
            why,
        })?;
    }
}

impl Archive {
    /// About how many bytes of paths are kept.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Applies one entry.
    pub(super) fn entry<F: FileSystem>(
        &mut self,
        entry: &GoEntry,
        to: &mut Target<'_, F>,
    ) -> Result<(), Why> {
        let name = clean(&entry.name);
        let (parent, base) = split(&name);
        let parent = root_path(to.fs, parent)?;
        let path = join(&parent, &join(b"/", base));
        if path == b"/" {
            to.notes.add(Rule::ContainerdRootSkipped);
            return Ok(());
        }
        if parent != b"/" {
            to.make_parent(&parent)?;
        }
        if let Some(hidden) = base.strip_prefix(WHITEOUT_PREFIX) {
            return self.whiteout(entry, &parent, base, hidden, to);
        }
        let is_directory = entry.typeflag == b'5';
        let mut act = Act::Made;
        if let Ok(old) = to.fs.lstat(&path) {
            act = Act::Changed;
            if !(is_directory && to.fs.sort(&old) == Sort::Directory) {
                if entry.typeflag == b'g' {
                    to.notes.add(Rule::ContainerdGlobalRemoves);
                    act = Act::Removed;
                }
                to.fs.remove_all(&path)?;
            }
        }
        to.create(entry, &path)?;
        if entry.typeflag != b'g' || act == Act::Removed {
            to.tell(act, &path, || described(entry));
        }
        if is_directory {
            self.bytes += kept(&name);
            self.directories.push(Directory {
                offset: entry.offset,
                name,
                mtime: bound(entry.mtime),
            });
        }
        self.bytes += kept(&path);
        self.unpacked.insert(path, entry.offset);
        Ok(())
    }

    fn whiteout<F: FileSystem>(
        &mut self,
        entry: &GoEntry,
        parent: &[u8],
        base: &[u8],
        hidden: &[u8],
        to: &mut Target<'_, F>,
    ) -> Result<(), Why> {
        if base == OPAQUE_NAME {
            return match to.makes_marks {
                true => {
                    let directory = to.fs.lstat(parent)?;
                    to.fs.mark_opaque(&directory)?;
                    to.tell(Act::Changed, parent, || {
                        "opaque: the attribute trusted.overlay.opaque=y".to_owned()
                    });
                    Ok(())
                }
                false => self.remove_all_but_unpacked(parent, to),
            };
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Why::InvalidWhiteout);
        }
        let path = join(parent, hidden);
        if !to.makes_marks {
            if self.unpacked.contains_key(&path) {
                to.notes.add(Rule::NativeWhiteoutRemovesOwn);
            }
            return to.remove(&path);
        }
        to.notes.add(Rule::OverlayfsWhiteoutIsDevice);
        if let Some(device) = to.fs.mknod(&path, Kind::CharDevice(0, 0), 0)? {
            to.fs.lchown(&device, entry.uid as u32, entry.gid as u32)?;
        }
        to.tell(Act::Made, &path, || "whiteout: a character device 0:0".to_owned());
        Ok(())
    }

    /// An opaque mark where it is applied to a plain directory: entries of this layer stay, and only they.
    fn remove_all_but_unpacked<F: FileSystem>(
        &mut self,
        directory: &[u8],
        to: &mut Target<'_, F>,
    ) -> Result<(), Why> {
        let mut pending = vec![directory.to_vec()];
        while let Some(path) = pending.pop() {
            let node = to.fs.lstat(&path)?;
            for name in to.fs.names(&node)? {
                let child = join(&path, &name);
                if self.unpacked.contains_key(&child) {
                    pending.push(child);
                    continue;
                }
                let inside = [&child[..], b"/"].concat();
                let next = self.unpacked.range(inside.clone()..).next();
                if next.is_some_and(|(next, _)| next.starts_with(&inside)) {
                    to.notes.add(Rule::NativeOpaqueRemovesImplied);
                }
                to.remove(&child)?;
            }
        }
        Ok(())
    }

    /// Ends the layer: directories get their times, wherever their names lead to by now.
    pub(super) fn end<F: FileSystem>(&mut self, to: &mut Target<'_, F>) -> Result<(), Fault> {
        for directory in std::mem::take(&mut self.directories) {
            to.notes.at(directory.offset);
            to.set_time(&directory).map_err(|why| Fault {
                offset: directory.offset,
                name: directory.name,
                why,
            })?;
        }
        self.unpacked.clear();
        self.bytes = 0;
        Ok(())
    }
}

impl<F: FileSystem> Target<'_, F> {
    fn tell(&mut self, act: Act, path: &[u8], what: impl FnOnce() -> String) {
        if let Some(watch) = &mut self.watch {
            watch.did(act, path, what());
        }
    }

    /// Removes what a whiteout names where nothing lies below.
    fn remove(&mut self, path: &[u8]) -> Result<(), Why> {
        let is_there = self.watch.is_some() && self.fs.lstat(path).is_ok();
        self.fs.remove_all(path)?;
        if is_there {
            self.tell(Act::Removed, path, || "by a whiteout".to_owned());
        }
        Ok(())
    }

    fn is_directory(&self, path: &[u8]) -> Result<bool, Errno> {
        match self.fs.lstat(path) {
            Ok(node) if self.fs.sort(&node) == Sort::Directory => Ok(true),
            Ok(_) => Err(Errno::ENOTDIR),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a directory without an entry, and those above it (`mkparent`).
    fn make_parent(&mut self, path: &[u8]) -> Result<(), Why> {
        if self.is_directory(path)? {
            return Ok(());
        }
        let ends = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/');
        for end in ends.map(|(at, _)| at).chain([path.len()]) {
            let path = &path[..end];
            if self.is_directory(path)? {
                continue;
            }
            let made = self.fs.mkdir(path, 0o755)?;
            self.fs.chmod(&made, 0o755)?;
            if self.makes_marks {
                self.copy_attributes(path, &made)?;
            }
            self.tell(Act::Made, path, || {
                "directory, without an entry of its own".to_owned()
            });
        }
        Ok(())
    }

    /// What a directory without an entry gets from the topmost layer below that has the path, whatever hides
    /// it from the merged view.
    fn copy_attributes(&mut self, path: &[u8], made: &F::Node) -> Result<(), Why> {
        for lower in self.below.iter().rev() {
            let found = root_path(lower, path)?;
            let node = match lower.lstat(&found) {
                Err(Errno::ENOENT) => continue,
                found => found?,
            };
            if lower.sort(&node) != Sort::Directory {
                break;
            }
            self.notes.add(match found == path {
                true => Rule::OverlayfsParentCopied,
                false => Rule::OverlayfsLinkReplaced,
            });
            let attributes = lower.attributes(&node)?;
            self.fs.lchown(made, attributes.uid, attributes.gid)?;
            self.fs.chmod(made, attributes.mode)?;
            for (name, value) in &attributes.xattrs {
                if !name.starts_with(b"trusted.") {
                    self.fs.set_xattr(made, name, value)?;
                }
            }
            if let Some(mtime) = attributes.mtime {
                self.fs.set_mtime(made, mtime)?;
            }
            break;
        }
        Ok(())
    }

    /// `createTarFile`.
    fn create(&mut self, entry: &GoEntry, path: &[u8]) -> Result<(), Why> {
        let node = match entry.typeflag {
            b'0' => Some(self.fs.create(path, entry.data.clone()?)?),
            b'1' => {
                self.notes.add(Rule::ContainerdLinkSetsAttributes);
                let target = self.link_target(&entry.link_name)?;
                self.fs.link(&target, path)?
            }
            b'2' => Some(self.fs.symlink(&entry.link_name, path)?),
            b'3' | b'4' | b'6' => self.fs.mknod(path, go_types::node(entry), 0)?,
            b'5' => match self.fs.lstat(path) {
                Ok(node) => {
                    self.fs.restate(&node);
                    if self.fs.has_xattrs(&node) {
                        self.notes.add(Rule::ContainerdXattrsStay);
                    }
                    Some(node)
                }
                Err(_) => Some(self.fs.mkdir(path, entry.permissions())?),
            },
            b'g' => None,
            flag => return Err(Why::UnhandledType(flag)),
        };
        match node {
            Some(node) => self.set_attributes(entry, &node),
            None => Ok(()),
        }
    }

    fn set_attributes(&mut self, entry: &GoEntry, node: &F::Node) -> Result<(), Why> {
        self.fs.lchown(node, entry.uid as u32, entry.gid as u32)?;
        for (name, value) in entry.xattrs(false) {
            self.set_xattr(node, name, value)?;
        }
        if self.fs.sort(node) != Sort::Symlink {
            self.fs.chmod(node, entry.permissions())?;
        }
        let mtime = bound(entry.mtime);
        if mtime != entry.mtime {
            self.notes.add(Rule::ContainerdTimeBounded);
        }
        Ok(self.fs.set_mtime(node, mtime)?)
    }

    fn set_xattr(&mut self, node: &F::Node, name: &[u8], value: &[u8]) -> Result<(), Why> {
        let set = match name.starts_with(b"trusted.") {
            true => Err(Errno::ENOTSUP),
            false => self.fs.set_xattr(node, name, value),
        };
        let cannot_hold = !matches!(self.fs.sort(node), Sort::Directory | Sort::File);
        match set {
            Err(Errno::ENOTSUP) => self.notes.add(Rule::ContainerdXattrDropped),
            Err(Errno::EPERM) if name.starts_with(b"user.") && cannot_hold => {
                self.notes.add(Rule::ContainerdXattrDropped);
            }
            set => set?,
        }
        Ok(())
    }

    /// `hardlinkRootPath`: the last name is not followed.
    fn link_target(&self, link_name: &[u8]) -> Result<Vec<u8>, Why> {
        let (parent, base) = split(link_name);
        let parent = root_path(self.fs, parent)?;
        Ok(join(&parent, base))
    }

    fn set_time(&mut self, directory: &Directory) -> Result<(), Why> {
        let path = root_path(self.fs, &directory.name)?;
        let node = self.fs.lstat(&path)?;
        if self.fs.sort(&node) != Sort::Directory {
            self.notes.add(Rule::ContainerdTimeOfReplaced);
        }
        Ok(self.fs.set_mtime(&node, directory.mtime)?)
    }
}

/// What an entry makes, in words.
fn described(entry: &GoEntry) -> String {
    let (major, minor) = entry.device;
    match entry.typeflag {
        b'0' => format!("file, {} bytes", entry.size),
        b'1' => format!("hard link to {}", escape(&entry.link_name)),
        b'2' => format!("symbolic link to {}", escape(&entry.link_name)),
        b'3' => format!("character device {major}:{minor}"),
        b'4' => format!("block device {major}:{minor}"),
        b'5' => "directory".to_owned(),
        b'6' => "named pipe".to_owned(),
        _ => "a global header".to_owned(),
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
