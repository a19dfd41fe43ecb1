//! umoci 0.4.7, `umoci unpack` as root (oci/layer/tar_extract.go): all layers are applied to one directory,
//! and what a layer has made is remembered, so that its own whiteouts spare it.

use super::errno::Errno;
use super::fs::{ByBytes, Fs, Kind, Number, components, kept};
use super::go_tar::{GoEntry, ZERO_TIME};
use super::path::{clean, join, secure_join, split};
use super::rule::{Notes, Rule};
use super::{Fault, Remains, Unpack, Why, go_types};
use crate::layer::OPAQUE_NAME;
use crate::tree::{Time, WHITEOUT_PREFIX};

/// Attributes that it neither sets nor takes away (oci/layer/tar_generate.go, `ignoreXattrs`).
const IGNORED: [&[u8]; 9] = [
    b"security.selinux",
    b"system.nfs4_acl",
    b"trusted.overlay.opaque",
    b"trusted.overlay.redirect",
    b"trusted.overlay.origin",
    b"trusted.overlay.impure",
    b"trusted.overlay.nlink",
    b"trusted.overlay.upper",
    b"trusted.overlay.metacopy",
];

pub(super) struct Umoci {
    fs: Fs,
    /// What this layer has made, and the directories above it.
    upper: ByBytes,
    /// About how many bytes that keeps.
    upper_bytes: u64,
    /// Whether the directory is gone in which the root file system stood.
    is_lost: bool,
}

impl Umoci {
    pub(super) fn new() -> Self {
        let mut fs = Fs::new(true);
        if let Some(root) = fs.root() {
            fs.inode_mut(root).mtime = Some(Time::at(0));
        }
        Self {
            fs,
            upper: ByBytes::new(),
            upper_bytes: 0,
            is_lost: false,
        }
    }

    /// `UnpackEntry`.
    fn apply(&mut self, entry: &GoEntry, notes: &mut Notes) -> Result<(), Why> {
        let name = clean(&join(b"/", &entry.name));
        if name == b"/" {
            if entry.typeflag != b'5' {
                return Err(Why::RootType);
            }
            notes.add(Rule::UmociRootApplied);
            self.make_all(b"/", notes)?;
            let root = self.fs.lstat(b"/")?;
            return self.restore(root, entry, notes);
        }
        let (parent, base) = split(&name);
        let directory = secure_join(&self.fs, parent)?;
        let before = match self.fs.lstat(&directory) {
            Ok(number) => Some(self.fs.inode(number).mtime),
            Err(_) => None,
        };
        let done = self.place(entry, &directory, base, notes);
        if let Some(mtime) = before {
            // Also after an error, but that one counts.
            let number = self.fs.lstat(&directory);
            match (done, number) {
                (Ok(()), Ok(number)) => self.fs.inode_mut(number).mtime = mtime,
                (Ok(()), Err(_)) => return Err(Why::ParentLost),
                (error, _) => return error,
            }
            return Ok(());
        }
        done
    }

    fn place(
        &mut self,
        entry: &GoEntry,
        directory: &[u8],
        base: &[u8],
        notes: &mut Notes,
    ) -> Result<(), Why> {
        if base.starts_with(WHITEOUT_PREFIX) {
            return self.whiteout(directory, base, notes);
        }
        let path = join(directory, base);
        let is_directory = match self.fs.lstat(&path) {
            Ok(number) => self.fs.inode(number).is_directory(),
            Err(_) => entry.typeflag == b'5',
        };
        self.make_all(directory, notes)?;
        if !is_directory || entry.typeflag != b'5' {
            self.fs.remove_all(&path)?;
        }
        let made = self.create(entry, &path, notes)?;
        if entry.typeflag != b'1' {
            self.restore(made, entry, notes)?;
        } else {
            notes.add(Rule::UmociLinkAttributesIgnored);
        }
        for (at, _) in path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/') {
            if !self.upper.contains_key(&path[..at]) {
                self.upper_bytes += kept(&path[..at]);
                self.upper.insert(path[..at].to_vec(), entry.offset);
            }
        }
        self.upper_bytes += kept(&path);
        self.upper.insert(path, entry.offset);
        Ok(())
    }

    fn create(&mut self, entry: &GoEntry, path: &[u8], notes: &mut Notes) -> Result<Number, Why> {
        Ok(match entry.typeflag {
            b'0' => self.fs.create(path, entry.data.clone()?)?,
            b'1' => {
                let name = clean(&join(b"/", &entry.link_name));
                let (parent, base) = split(&name);
                let parent = secure_join(&self.fs, parent)?;
                self.fs.link(&join(&parent, base), path)?
            }
            b'2' => self.fs.symlink(&entry.link_name, path)?,
            b'3' | b'4' | b'6' => {
                check_type_bits(entry)?;
                self.fs.mknod(path, go_types::node(entry), 0)?
            }
            b'5' => {
                self.make_all(path, notes)?;
                let number = self.fs.lstat(path)?;
                self.fs.restate(number);
                number
            }
            flag => return Err(Why::UnknownTypeflag(flag)),
        })
    }

    /// `os.MkdirAll` with 0777, under the usual umask of 022.
    fn make_all(&mut self, path: &[u8], notes: &mut Notes) -> Result<(), Why> {
        if let Ok(number) = self.fs.lstat(path) {
            return match self.fs.inode(number).is_directory() {
                true => Ok(()),
                false => Err(Errno::ENOTDIR.into()),
            };
        }
        if self.fs.root().is_none() {
            self.fs.revive_root();
            self.is_lost = false;
        }
        let mut at = Vec::new();
        for name in components(path) {
            at.push(b'/');
            at.extend_from_slice(name);
            match self.fs.lstat(&at) {
                Ok(number) if self.fs.inode(number).is_directory() => {}
                Ok(_) => return Err(Errno::ENOTDIR.into()),
                Err(Errno::ENOENT) => {
                    if at != path {
                        notes.add(Rule::UmociParentMade);
                    }
                    self.fs.mkdir(&at, 0o755)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// `ociWhiteout`: nothing that is not there is missed, and nothing that this layer has made is removed.
    fn whiteout(&mut self, directory: &[u8], base: &[u8], notes: &mut Notes) -> Result<(), Why> {
        let is_opaque = base == OPAQUE_NAME;
        let hidden = base.strip_prefix(WHITEOUT_PREFIX).unwrap_or(base);
        let path = match is_opaque {
            true => directory.to_vec(),
            false => join(directory, hidden),
        };
        if hidden == b".." && directory == b"/" {
            notes.add(Rule::UmociWhiteoutEscapes);
            self.is_lost = true;
            self.fs.remove_all(b"/")?;
            return Ok(());
        }
        match self.fs.lstat(&path) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
            found => found?,
        };
        let mut pending = vec![path.clone()];
        while let Some(at) = pending.pop() {
            let spared = self.upper.contains_key(&at);
            if !(spared || is_opaque && at == path) {
                if at == b"/" || directory.starts_with(&at) {
                    notes.add(Rule::UmociWhiteoutOfParent);
                }
                self.fs.remove_all(&at)?;
                continue;
            }
            if spared {
                notes.add(Rule::UmociOwnSpared);
            }
            let number = self.fs.lstat(&at)?;
            pending.extend(self.fs.names(number).map(|(name, _)| join(&at, name)));
        }
        Ok(())
    }

    /// `restoreMetadata`: owner, mode, xattrs, time.
    fn restore(&mut self, number: Number, entry: &GoEntry, notes: &mut Notes) -> Result<(), Why> {
        self.fs.lchown(number, entry.uid as u32, entry.gid as u32);
        let inode = self.fs.inode_mut(number);
        if !matches!(inode.kind, Kind::Symlink(_)) {
            inode.mode = entry.permissions();
        }
        inode.xattrs.retain(|name, _| IGNORED.contains(&&name[..]));
        for (name, value) in entry.xattrs(true) {
            if IGNORED.contains(&name) {
                notes.add(Rule::UmociXattrIgnored);
                continue;
            }
            match self.fs.set_xattr(number, name, value) {
                Err(Errno::ENOTSUP) => {}
                set => set?,
            }
        }
        if entry.xattrs(false).any(|(_, value)| value.is_empty()) {
            notes.add(Rule::UmociEmptyXattrDropped);
        }
        let mtime = in_64_bits(entry.mtime);
        if mtime != entry.mtime {
            notes.add(Rule::UmociTimeWraps);
        }
        self.fs.inode_mut(number).mtime = (entry.mtime != ZERO_TIME).then_some(mtime);
        Ok(())
    }
}

/// mknod(2) gets the type bits that some archives write into the mode as well, and refuses two types.
fn check_type_bits(entry: &GoEntry) -> Result<(), Errno> {
    const TYPES: u32 = 0o170_000;
    let own = match entry.typeflag {
        b'3' => 0o020_000,
        b'4' => 0o060_000,
        _ => 0o010_000,
    };
    match (entry.mode as u32 | own) & TYPES {
        bits if bits == own => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// It counts nanoseconds since 1970 in 64 bits: other times come out as others.
fn in_64_bits(time: Time) -> Time {
    const SECOND: i64 = 1_000_000_000;
    let wrapped = time.seconds.wrapping_mul(SECOND).wrapping_add(time.nanos.into());
    Time {
        seconds: wrapped.div_euclid(SECOND),
        nanos: wrapped.rem_euclid(SECOND) as u32,
    }
}

impl Unpack for Umoci {
    fn start(&mut self, _: &mut Notes) {
        self.upper.clear();
        self.upper_bytes = 0;
    }

    fn entry(&mut self, entry: &GoEntry, notes: &mut Notes) -> Result<(), Why> {
        self.fs.work_on(notes.at(entry.offset));
        self.apply(entry, notes)
    }

    fn end(&mut self, _: &mut Notes) -> Result<(), Fault> {
        Ok(())
    }

    fn remains(&self) -> Remains {
        match self.is_lost {
            true => Remains::LessThanNothing,
            false => Remains::Nothing,
        }
    }

    fn cost(&self) -> u64 {
        self.fs.lookups()
    }

    fn inodes(&self) -> usize {
        self.fs.len()
    }

    fn bytes(&self) -> u64 {
        self.fs.bytes() + self.upper_bytes
    }

    fn finish(self: Box<Self>, _: &mut Notes) -> Fs {
        self.fs
    }
}
