//! One layer, entry by entry: how its entries fit together and what stands in each.

use super::links::PendingLink;
use super::marks::Marks;
use super::names::PATH_MAX;
use super::secret::Secret;
use super::{Check, Finding, Findings, Fix, Place, Reading, relative};
use crate::compress::crc32::Crc32;
use crate::layer::dialect::{ByBytes, Fs, Kind, path::join, path::secure_join};
use crate::tar::{Ending, Entry, ReadType, TarError};
use crate::tree::{Time, WHITEOUT_PREFIX};

/// What is remembered of an entry.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub offset: u64,
    pub kind: ReadType,
    pub mode: u32,
    pub owner: (u32, u32),
    pub mtime: Time,
    /// A checksum of the extended attributes.
    pub xattrs: u32,
    pub has_capability: bool,
}

/// A directory that something is in, without an entry so far.
pub(super) struct Implied {
    /// The first entry that needs it.
    pub offset: u64,
    pub is_below: bool,
}

/// A file whose bytes are in the tar.
pub(super) struct StoredFile {
    pub offset: u64,
    /// How many bytes of it are stored.
    pub stored: u64,
    /// Its path, if it is large.
    pub path: Option<Vec<u8>>,
}

/// Values by path.
pub(super) struct Table<T> {
    pub index: ByBytes,
    values: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            index: ByBytes::new(),
            values: Vec::new(),
        }
    }
}

impl<T> Table<T> {
    pub fn get(&self, path: &[u8]) -> Option<&T> {
        self.index.get(path).map(|&at| &self.values[at as usize])
    }

    /// Sets a path's value; true if it had one.
    pub fn insert(&mut self, path: &[u8], value: T) -> bool {
        let at = self.values.len() as u64;
        self.values.push(value);
        self.index.insert(path.to_vec(), at).is_some()
    }
}

/// What stands in the way to a path, or nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Free,
    OwnLink,
    OwnFile,
    LowerLink,
    LowerFile,
}

/// The check of one layer. Its memory is that of its paths, of about a million entries at most.
pub struct LayerCheck {
    pub(super) layer: usize,
    pub(super) findings: Findings,
    /// What entries made, by path from the root; the last of each.
    pub(super) known: Table<Known>,
    pub(super) implied: Table<Implied>,
    pub(super) marks: Marks,
    pub(super) links: Vec<PendingLink>,
    /// In the order of the tar.
    pub(super) files: Vec<StoredFile>,
    pub(super) secrets: Vec<Secret>,
    /// How much was done, in entries: what takes long or is long counts as several.
    cost: u64,
    pub(super) limit: u64,
    is_full: bool,
    /// Where the last entry ended.
    end: u64,
}

/// The most entries whose paths are remembered.
pub const MAX_ENTRIES: u64 = 1 << 20;
/// How many bytes of paths that are kept, and of paths that are looked up, count as one entry.
const KEPT_BYTES: u64 = 256;
const LOOKED_UP_BYTES: u64 = 2048;

/// From how many stored bytes on a file that nobody sees is told of by its name.
const LARGE: u64 = 1 << 20;

impl LayerCheck {
    /// The check of the layer of this number, bottom first.
    pub fn new(layer: usize) -> Self {
        Self {
            layer,
            findings: Findings::default(),
            known: Table::default(),
            implied: Table::default(),
            marks: Marks::default(),
            links: Vec::new(),
            files: Vec::new(),
            secrets: Vec::new(),
            cost: 0,
            limit: MAX_ENTRIES,
            is_full: false,
            end: 0,
        }
    }

    /// Something about an entry.
    pub(super) fn find(&mut self, check: Check, entry: &Entry, path: &[u8], fix: Option<Fix>) {
        self.find_detail(check, entry, path, None, fix);
    }

    pub(super) fn find_detail(
        &mut self,
        check: Check,
        entry: &Entry,
        path: &[u8],
        detail: Option<String>,
        fix: Option<Fix>,
    ) {
        self.findings.push(Finding {
            check,
            detail,
            place: Place {
                layer: self.layer,
                offset: Some(entry.offset),
                entry: Some(entry.name.clone()),
                path: Some(relative(path)),
            },
            readings: Vec::new(),
            fix,
        });
    }

    /// Something about a place in the tar, or an entry that was remembered.
    pub(super) fn find_at(&mut self, check: Check, offset: u64, path: Option<&[u8]>, fix: Option<Fix>) {
        self.find_read(check, offset, path, fix, Vec::new());
    }

    pub(super) fn find_read(
        &mut self,
        check: Check,
        offset: u64,
        path: Option<&[u8]>,
        fix: Option<Fix>,
        readings: Vec<Reading>,
    ) {
        self.findings.push(Finding {
            check,
            detail: None,
            place: Place {
                layer: self.layer,
                offset: Some(offset),
                entry: None,
                path: path.map(relative),
            },
            readings,
            fix,
        });
    }

    pub(super) fn normalise(&self) -> Option<Fix> {
        Some(Fix::Normalise { layer: self.layer })
    }

    pub(super) fn delete(&self, path: &[u8]) -> Option<Fix> {
        Some(Fix::DeletePath {
            layer: self.layer,
            path: relative(path),
        })
    }

    /// Looks at the next entry. `below` is what the layers below show.
    pub fn entry(&mut self, entry: &Entry, below: &Fs) {
        let path = join(b"/", &entry.name);
        self.gap(entry.offset);
        self.end = entry.end;
        self.names(entry, &path);
        self.oddities(entry, &path);
        // No runtime takes it, and all the paths above it would be as long.
        if path.len() > PATH_MAX {
            return;
        }
        let above: usize = ancestors(&path).map(<[u8]>::len).sum();
        self.cost += 1 + path.len() as u64 / KEPT_BYTES + above as u64 / LOOKED_UP_BYTES;
        if self.cost > self.limit {
            if !std::mem::replace(&mut self.is_full, true) {
                self.find(Check::TooManyEntries, entry, &path, None);
            }
            return;
        }
        if path == b"/" {
            return self.root(entry);
        }
        let way = self.way(entry.offset, &path, below);
        if base(&path).starts_with(WHITEOUT_PREFIX) {
            return self.mark(entry, &path, way, below);
        }
        self.obstacle(entry, &path, way, below);
        self.attributes(entry, &path);
        if entry.entry_type == ReadType::Directory {
            self.directory_below(entry, &path, below);
        }
        let known = match entry.entry_type {
            ReadType::HardLink => self.link(entry, &path),
            _ => Known::of(entry),
        };
        if self.known.insert(&path, known) {
            self.find(Check::DuplicatePath, entry, &path, self.normalise());
        }
        if entry.entry_type == ReadType::Regular {
            self.file(entry, path);
        }
    }

    fn file(&mut self, entry: &Entry, path: Vec<u8>) {
        if let Some(what) = super::secret::look(&path, &entry.content) {
            self.secrets.push(Secret {
                offset: entry.offset,
                path: path.clone(),
                what,
            });
        }
        self.files.push(StoredFile {
            offset: entry.offset,
            stored: entry.stored,
            path: (entry.stored >= LARGE).then_some(path),
        });
    }

    /// Between two entries there is nothing but headers about all that follow.
    fn gap(&mut self, offset: u64) {
        if offset > self.end {
            self.find_at(Check::GlobalHeader, self.end, None, self.normalise());
        }
    }

    fn root(&mut self, entry: &Entry) {
        if entry.entry_type != ReadType::Directory {
            self.find(Check::RootNotDirectory, entry, b"/", self.normalise());
        } else if (entry.mode, entry.uid, entry.gid) != (0o755, 0, 0) || !entry.xattrs.is_empty() {
            self.find(Check::RootAttributes, entry, b"/", None);
        }
    }

    /// What the layers below show at a path, if this layer has not hidden it so far.
    pub(super) fn below<'a>(&self, path: &[u8], below: &'a Fs) -> Option<&'a Kind> {
        let number = below.at(path).filter(|_| !self.marks.hides(path))?;
        Some(&below.inode(number).kind)
    }

    /// Looks at the directories above a path, and remembers those without an entry.
    fn way(&mut self, offset: u64, path: &[u8], below: &Fs) -> Way {
        for above in ancestors(path) {
            if self.implied.get(above).is_some() {
                continue;
            }
            match self.known.get(above).map(|known| known.kind) {
                Some(ReadType::Directory) => continue,
                Some(ReadType::Symlink) => return Way::OwnLink,
                Some(_) => return Way::OwnFile,
                None => {}
            }
            let is_below = match self.below(above, below) {
                Some(Kind::Symlink(_)) => return Way::LowerLink,
                Some(Kind::Directory(_)) => true,
                Some(_) => return Way::LowerFile,
                None => false,
            };
            self.cost += above.len() as u64 / KEPT_BYTES;
            self.implied.insert(above, Implied { offset, is_below });
        }
        Way::Free
    }

    /// Something in the way: what lies behind it is somewhere else for some.
    pub(super) fn obstacle(&mut self, entry: &Entry, path: &[u8], way: Way, below: &Fs) {
        let check = match way {
            Way::Free => return,
            Way::OwnLink => Check::SymlinkParent,
            Way::OwnFile => Check::ChildOfFile,
            Way::LowerLink => Check::LowerSymlinkParent,
            Way::LowerFile => Check::ChildOfLowerFile,
        };
        self.find(check, entry, path, None);
        let blocked =
            ancestors(path).find(|above| self.implied.get(above).is_none() && !self.is_directory(above));
        let blocked = blocked.map(relative);
        let resolved = secure_join(below, path).ok().map(|path| relative(&path));
        for tree in blocked.into_iter().chain(resolved) {
            self.findings.remember(tree, true, self.layer);
        }
    }

    fn is_directory(&self, path: &[u8]) -> bool {
        let known = self.known.get(path);
        known.is_some_and(|known| known.kind == ReadType::Directory)
    }

    /// The tar cannot be read further.
    pub fn damaged(&mut self, offset: u64, error: &TarError) {
        self.findings.push(Finding {
            check: Check::Damaged,
            detail: Some(error.to_string()),
            place: Place {
                layer: self.layer,
                offset: Some(offset),
                ..Place::default()
            },
            readings: Vec::new(),
            fix: None,
        });
    }

    /// Looks at what only shows at the end. `ending` is what stands behind the last entry, if the tar could be
    /// read to there.
    pub fn finish(&mut self, ending: Option<Ending>, below: &Fs) {
        self.end_of_links(below);
        self.end_of_marks(below);
        let Some(ending) = ending else { return };
        self.gap(ending.offset);
        match (ending.marker, ending.length) {
            (0, _) => self.find_at(Check::NoEndMarker, ending.offset, None, self.normalise()),
            (1, 1..) => {
                return self.find_at(Check::DataAfterZeroBlock, ending.offset, None, self.normalise());
            }
            _ => {}
        }
        if let Some(data) = ending.data {
            self.find_at(Check::DataAfterEnd, data, None, self.normalise());
        }
    }
}

impl Known {
    pub(super) fn of(entry: &Entry) -> Self {
        let mut xattrs = Crc32::default();
        for (name, value) in &entry.xattrs {
            for bytes in [name, value] {
                xattrs.update(&(bytes.len() as u64).to_le_bytes());
                xattrs.update(bytes);
            }
        }
        Self {
            offset: entry.offset,
            kind: entry.entry_type,
            mode: entry.mode,
            owner: (entry.uid, entry.gid),
            mtime: entry.mtime,
            xattrs: xattrs.sum(),
            has_capability: entry.xattrs.contains_key(&b"security.capability"[..]),
        }
    }
}

/// The last name of a path.
pub(super) fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

/// The directory that a path stands in; of one in the root, `/`.
pub(super) fn parent(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        None | Some(0) => b"/",
        Some(slash) => &path[..slash],
    }
}

/// The directories above a path but for the root, from the top down.
pub(super) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/');
    slashes.map(|(at, _)| &path[..at])
}
