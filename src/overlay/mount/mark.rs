//! The marks that overlayfs keeps in extended attributes, under one of two prefixes.

use super::Options;
use crate::tree::Metadata;

/// Which extended attributes are overlayfs' own: `trusted.overlay.*`, or with `userxattr` `user.overlay.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    pub(super) user: bool,
}

impl Marks {
    /// Those of a mount with these options.
    pub fn of(options: Options) -> Self {
        Self {
            user: options.userxattr,
        }
    }

    /// What their names begin with.
    pub fn prefix(self) -> &'static [u8] {
        match self.user {
            true => b"user.overlay.",
            false => b"trusted.overlay.",
        }
    }

    /// The name of the attribute that holds a mark.
    pub fn name(self, mark: &[u8]) -> Vec<u8> {
        [self.prefix(), mark].concat()
    }

    /// Whether an attribute is overlayfs' own.
    pub fn is_own(self, name: &[u8]) -> bool {
        name.starts_with(self.prefix())
    }

    /// The name under which the upperdir keeps an attribute that a process set: one that looks like a mark is
    /// kept apart (fs/overlayfs/xattrs.c, "escape").
    pub fn escape(self, name: &[u8]) -> Vec<u8> {
        match name.strip_prefix(self.prefix()) {
            Some(mark) => [self.prefix(), b"overlay.", mark].concat(),
            None => name.to_vec(),
        }
    }

    /// The name that a process sees of a kept attribute; none of the marks themselves.
    pub fn unescape(self, name: &[u8]) -> Option<Vec<u8>> {
        match name.strip_prefix(self.prefix()) {
            Some(own) => own.strip_prefix(b"overlay.").map(|mark| self.name(mark)),
            None => Some(name.to_vec()),
        }
    }

    pub(super) fn get<'m>(self, metadata: &'m Metadata, mark: &[u8]) -> Option<&'m [u8]> {
        if metadata.xattrs.is_empty() {
            return None;
        }
        metadata.xattrs.get(&self.name(mark)).map(Vec::as_slice)
    }
}
