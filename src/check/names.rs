//! How an entry's name is spelled.

use super::Check;
use super::layer::LayerCheck;
use crate::tar::Entry;
use crate::tree::{NAME_MAX, WHITEOUT_PREFIX};

/// Room that is left for where an image is unpacked, of the 4096 bytes of a path.
const ROOM: usize = 256;
pub(super) const PATH_MAX: usize = 4096;

impl LayerCheck {
    pub(super) fn names(&mut self, entry: &Entry, path: &[u8]) {
        let name = &entry.name[..];
        let inner = name.strip_prefix(b"./").unwrap_or(name);
        let inner = inner.strip_suffix(b"/").unwrap_or(inner);
        let parts = || inner.split(|&byte| byte == b'/');
        let is_unclean = |part: &[u8]| matches!(part, b"" | b".");
        let found = [
            (Check::NameEmpty, name.is_empty()),
            (Check::NameAbsolute, name.starts_with(b"/")),
            (Check::NameDotdot, parts().any(|part| part == b"..")),
            (
                Check::NameUnclean,
                parts().skip(usize::from(name.starts_with(b"/"))).any(is_unclean)
                    && !matches!(inner, b"" | b"."),
            ),
            (Check::NameNotUtf8, str::from_utf8(name).is_err()),
            (Check::NameControl, name.iter().any(u8::is_ascii_control)),
            (Check::NameTooLong, parts().any(|part| part.len() > NAME_MAX)),
            (Check::PathTooLong, path.len() > PATH_MAX - ROOM),
        ];
        for (check, is_found) in found {
            if is_found {
                let fix = match check {
                    Check::NameAbsolute | Check::NameUnclean | Check::NameDotdot => self.normalise(),
                    _ => None,
                };
                self.find(check, entry, path, fix);
            }
        }
        self.prefix_inside(entry, path);
    }

    /// The prefix of whiteouts in a name that is not the last.
    fn prefix_inside(&mut self, entry: &Entry, path: &[u8]) {
        let mut above = super::layer::ancestors(path).map(super::layer::base);
        if let Some(name) = above.find(|name| name.starts_with(WHITEOUT_PREFIX)) {
            let is_aufs = name[WHITEOUT_PREFIX.len()..].starts_with(WHITEOUT_PREFIX);
            match is_aufs {
                true => self.find(Check::AufsMark, entry, path, self.normalise()),
                false => self.find(Check::WhiteoutPrefixInside, entry, path, None),
            }
        }
    }
}
