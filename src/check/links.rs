//! Hard links: whether what they name is there, and what they do to it.

use super::layer::{Known, LayerCheck};
use super::{Check, quoted, relative};
use crate::layer::dialect::Fs;
use crate::layer::dialect::path::{join, secure_join};
use crate::tar::{Entry, ReadType};

/// A link whose target this layer did not have when it came.
pub(super) struct PendingLink {
    offset: u64,
    path: Vec<u8>,
    target: Vec<u8>,
}

impl LayerCheck {
    /// Looks at a hard link; what is remembered of it is what is known of the file.
    pub(super) fn link(&mut self, entry: &Entry, path: &[u8]) -> Known {
        let own = Known {
            kind: ReadType::Regular,
            ..Known::of(entry)
        };
        let target = join(b"/", &entry.link_name);
        if target == path {
            self.find(Check::LinkToItself, entry, path, self.normalise());
            return own;
        }
        let Some(&file) = self.known.get(&target) else {
            match target == b"/" || self.implied.get(&target).is_some() {
                true => self.find(Check::LinkToDirectory, entry, path, self.delete(path)),
                false => self.links.push(PendingLink {
                    offset: entry.offset,
                    path: path.to_vec(),
                    target,
                }),
            }
            return own;
        };
        match file.kind {
            ReadType::Directory => {
                self.find(Check::LinkToDirectory, entry, path, self.delete(path));
                return own;
            }
            ReadType::Regular => {}
            _ => self.find(Check::LinkToSymlink, entry, path, None),
        }
        let attributes = |known: &Known| (known.mode, known.owner, known.mtime);
        let adds = own.xattrs != file.xattrs && !entry.xattrs.is_empty();
        if attributes(&own) != attributes(&file) || adds {
            let detail = Some(quoted(&entry.link_name));
            self.find_detail(Check::LinkAttributes, entry, path, detail, self.normalise());
        }
        if file.has_capability {
            self.find(Check::LinkLosesCapabilities, entry, path, None);
        }
        // What is said of one name is said of the other.
        if self.findings.is_about(&relative(path)) {
            self.findings.remember(relative(&target), false, self.layer);
        }
        Known {
            offset: entry.offset,
            ..file
        }
    }

    /// Links whose target had not come: it came later, or is below, or nowhere.
    pub(super) fn end_of_links(&mut self, below: &Fs) {
        for PendingLink { offset, path, target } in std::mem::take(&mut self.links) {
            let lower = |target: &[u8]| {
                let (parent, base) = target.split_at(target.iter().rposition(|&byte| byte == b'/')? + 1);
                below.at(&join(&secure_join(below, parent).ok()?, base))
            };
            let is_through_link = super::layer::ancestors(&target)
                .filter_map(|above| self.known.get(above))
                .any(|known| known.kind == ReadType::Symlink);
            let check = match self.known.get(&target) {
                Some(_) => Check::LinkBeforeTarget,
                // Where it leads to is known only when all is applied.
                None if is_through_link => continue,
                None => match lower(&target) {
                    Some(_) if self.marks.hides(&target) => Check::LinkToRemoved,
                    Some(_) => Check::LinkToLower,
                    None => Check::LinkMissing,
                },
            };
            let fix = match check {
                Check::LinkBeforeTarget => self.normalise(),
                Check::LinkToLower => None,
                _ => self.delete(&path),
            };
            self.find_at(check, offset, Some(&path), fix);
        }
    }
}
