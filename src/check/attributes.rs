//! What an entry says of the file: its kind, permissions, owner, time, extended attributes.

use super::layer::LayerCheck;
use super::{Check, Fix, quoted, relative};
use crate::layer::dialect::{Fs, Kind, xattr};
use crate::tar::{Entry, ReadType};
use crate::tree::Time;

/// The last time that nanoseconds in 64 bits reach.
const LAST: Time = Time {
    seconds: i64::MAX / 1_000_000_000,
    nanos: (i64::MAX % 1_000_000_000) as u32,
};

/// A file is a bomb if it has so many bytes, and so many for each that is stored.
const HUGE: u64 = 1 << 30;
const HUGE_RATIO: u64 = 100;

impl LayerCheck {
    pub(super) fn attributes(&mut self, entry: &Entry, path: &[u8]) {
        match entry.entry_type {
            ReadType::CharDevice if entry.device == (0, 0) => {
                self.find(Check::OverlayWhiteoutDevice, entry, path, self.delete(path));
            }
            ReadType::CharDevice | ReadType::BlockDevice => {
                self.find(Check::Device, entry, path, self.delete(path));
                if entry.device.0 > 0xfff || entry.device.1 > 0xf_ffff {
                    self.find(Check::DeviceNumber, entry, path, self.delete(path));
                }
            }
            ReadType::Symlink if entry.link_name.is_empty() => {
                self.find(Check::SymlinkEmpty, entry, path, self.delete(path));
            }
            ReadType::Regular | ReadType::Directory => self.permissions(entry, path),
            _ => {}
        }
        if entry.size >= HUGE && entry.size / entry.stored.max(1) >= HUGE_RATIO {
            let detail = format!("{} bytes, of which {} are stored", entry.size, entry.stored);
            self.find_detail(Check::HugeFile, entry, path, Some(detail), self.delete(path));
        }
        if entry.entry_type == ReadType::HardLink {
            return;
        }
        match entry.uid.max(entry.gid) {
            u32::MAX => self.find(Check::OwnerUnchanged, entry, path, None),
            0x8000_0000.. => self.find(Check::OwnerLarge, entry, path, None),
            _ => {}
        }
        let strip = Some(Fix::StripTimes { layer: self.layer });
        if entry.mtime < Time::at(0) {
            self.find(Check::TimeBefore1970, entry, path, strip);
        } else if entry.mtime > LAST {
            self.find(Check::TimeAfter2262, entry, path, strip);
        }
        for (name, value) in &entry.xattrs {
            self.xattr(entry, path, name, value);
        }
    }

    fn permissions(&mut self, entry: &Entry, path: &[u8]) {
        const SETUID: u32 = 0o4000;
        const SETGID_AND_RUN: u32 = 0o2010;
        const OTHERS_WRITE: u32 = 0o002;
        const STICKY: u32 = 0o1000;
        let mode = entry.mode;
        let set = |mode| {
            Some(Fix::SetMode {
                layer: self.layer,
                path: relative(path),
                mode,
            })
        };
        let is_file = entry.entry_type == ReadType::Regular;
        if is_file && (mode & SETUID != 0 || mode & SETGID_AND_RUN == SETGID_AND_RUN) {
            self.find(Check::Setuid, entry, path, set(mode & 0o1777));
        } else if is_file && mode & OTHERS_WRITE != 0 {
            self.find(Check::WorldWritableFile, entry, path, set(mode & !OTHERS_WRITE));
        } else if !is_file && mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
            self.find(Check::WorldWritableDirectory, entry, path, set(mode | STICKY));
        }
    }

    fn xattr(&mut self, entry: &Entry, path: &[u8], name: &[u8], value: &[u8]) {
        let can_hold = matches!(entry.entry_type, ReadType::Regular | ReadType::Directory);
        let is_symlink = entry.entry_type == ReadType::Symlink;
        let is_bad = |errno| !matches!(errno, xattr::Errno::ENOTSUP);
        let is_user = name.starts_with(b"user.");
        let check = match xattr::check(name, value, can_hold, is_symlink) {
            _ if name.starts_with(xattr::OVERLAY_PREFIX) || name.starts_with(b"user.overlay.") => {
                Check::XattrOverlay
            }
            _ if is_user && !can_hold => Check::XattrOnSpecial,
            Err(errno) if is_bad(errno) => Check::XattrInvalid,
            _ if name.starts_with(b"trusted.") => Check::XattrTrusted,
            _ if name == xattr::CAPABILITY => Check::Capabilities,
            _ if !is_user => Check::XattrNotPortable,
            _ if value.is_empty() => Check::XattrEmpty,
            _ => return,
        };
        let fix = match check {
            // Trees do not have them, so there is nothing to be removed.
            Check::XattrOverlay => self.normalise(),
            _ => Some(Fix::RemoveXattr {
                layer: self.layer,
                path: relative(path),
                name: name.to_vec(),
            }),
        };
        self.find_detail(check, entry, path, Some(quoted(name)), fix);
    }

    /// A directory that is below too, with attributes that this entry does not repeat.
    pub(super) fn directory_below(&mut self, entry: &Entry, path: &[u8], below: &Fs) {
        let Some(Kind::Directory(_)) = self.below(path, below) else {
            return;
        };
        let lower = below.at(path).map(|number| &below.inode(number).xattrs);
        if let Some(name) = lower
            .into_iter()
            .flat_map(|xattrs| xattrs.keys())
            .find(|name| !name.starts_with(b"trusted.") && !entry.xattrs.contains_key(*name))
        {
            self.find_detail(Check::XattrsLeftBelow, entry, path, Some(quoted(name)), None);
        }
    }
}
