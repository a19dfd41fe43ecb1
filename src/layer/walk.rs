//! The canonical layer: the entries of a tree in the order and the form that GNU tar writes them.
//!
//! Depth first, a directory's contents right after it, siblings by the unsigned bytes of their names, as
//! `tar --sort=name` does. Whiteouts are empty regular files under their `.wh.` names, sorted like any name;
//! `.wh..wh..opq` stands right after its directory, where every runtime reads it alike.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use crate::content::{Content, ContentError};
use crate::tar::{EntryHeader, EntryType, Format, encode, end_padding, padding};
use crate::tree::{Directory, Ino, Inode, Name, Node, Time, Tree, WHITEOUT_PREFIX};

/// The name of the entry that makes its directory opaque (image-spec, layer.md, "Opaque Whiteout").
pub const OPAQUE_NAME: &[u8] = b".wh..wh..opq";

/// As many zeros as ever stand in a row: the end of the archive, filled up to the record size.
pub(super) static ZEROS: [u8; 10240 + 1024] = [0; 10240 + 1024];

/// One entry of a layer: its header blocks, and the content that follows them.
pub struct Piece {
    /// Whole blocks: long-name or PAX records if needed, then the header.
    pub header: Vec<u8>,
    /// The bytes after the header, to be padded to whole blocks.
    pub content: Option<Content>,
    /// The entry's name as it stands in the tar, `./` in front.
    pub name: Vec<u8>,
}

impl Piece {
    /// How many bytes of the tar this entry takes.
    pub fn size(&self) -> u64 {
        let content = self.content.as_ref().map_or(0, Content::len);
        self.header.len() as u64 + content + padding(content)
    }
}

/// The entries of a tree, in order. Holds a clone of the tree, so the tree can be edited meanwhile.
pub struct Walk {
    tree: Tree,
    format: Format,
    /// The directories that the walk is in, and how far it is in each.
    stack: Vec<Frame>,
    /// The name of the innermost directory of `stack`: `./`, `./data/`.
    path: Vec<u8>,
    /// Where the content of a hard-linked file was written.
    first_names: BTreeMap<Ino, Vec<u8>>,
    root_is_due: bool,
    opaque_is_due: bool,
}

struct Frame {
    directory: Ino,
    last_entry: Option<Name>,
    last_whiteout: Option<Name>,
    path_len: usize,
}

/// What comes next in a directory.
enum Next {
    Entry(Name, Ino),
    Whiteout(Name),
}

impl Walk {
    /// A walk over all of `tree`, its root first.
    pub fn new(tree: &Tree) -> Self {
        Self::of_directory(tree, Ino::ROOT)
    }

    /// A walk over one directory as if it were the root.
    pub fn of_directory(tree: &Tree, directory: Ino) -> Self {
        Self {
            tree: tree.clone(),
            format: format_of(tree),
            stack: vec![Frame::new(directory, 2)],
            path: b"./".to_vec(),
            first_names: BTreeMap::new(),
            root_is_due: true,
            opaque_is_due: false,
        }
    }

    /// What comes next in the innermost directory, by the names as the tar has them.
    fn advance(&mut self) -> Option<Next> {
        let frame = self.stack.last_mut()?;
        let directory = self
            .tree
            .directory(frame.directory)
            .expect("only directories are entered");
        let entry = after(directory.entries(), &frame.last_entry);
        let whiteout = match &frame.last_whiteout {
            None => directory.whiteouts().get_min(),
            Some(last) => directory
                .whiteouts()
                .range((Excluded(last.clone()), Unbounded))
                .next(),
        };
        let whiteout_is_next = match (&entry, whiteout) {
            (None, None) => return None,
            (Some((name, _)), Some(whiteout)) => WHITEOUT_PREFIX
                .iter()
                .chain(whiteout.as_bytes())
                .lt(name.as_bytes()),
            (entry, _) => entry.is_none(),
        };
        if whiteout_is_next {
            frame.last_whiteout = whiteout.cloned();
            return whiteout.cloned().map(Next::Whiteout);
        }
        let (name, ino) = entry.expect("one of the two is there");
        frame.last_entry = Some(name.clone());
        Some(Next::Entry(name, ino))
    }

    fn marker(&self, name: Vec<u8>) -> Piece {
        marker(&self.tree, name, self.format)
    }

    fn entry(&mut self, name: Vec<u8>, ino: Ino) -> Piece {
        let tree = self.tree.clone();
        let inode = tree.inode(ino);
        let linkable = is_linkable(inode);
        let first = if linkable {
            self.first_names.get(&ino)
        } else {
            None
        };
        let piece = piece(inode, name, first.map(Vec::as_slice), self.format);
        if linkable && first.is_none() {
            self.first_names.insert(ino, piece.name.clone());
        }
        piece
    }

    fn directory_entered(&mut self, directory: Ino) {
        self.opaque_is_due = self.tree.directory(directory).is_some_and(Directory::opaque);
    }

    /// Whether it is a directory that has no entry of its own.
    fn is_implied(&self, ino: Ino) -> bool {
        self.tree.directory(ino).is_some_and(Directory::implied)
    }
}

impl Iterator for Walk {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if std::mem::take(&mut self.root_is_due) {
            let root = self.stack[0].directory;
            self.directory_entered(root);
            if !self.is_implied(root) {
                return Some(self.entry(self.path.clone(), root));
            }
        }
        loop {
            if std::mem::take(&mut self.opaque_is_due) {
                return Some(self.marker([&self.path, OPAQUE_NAME].concat()));
            }
            let Some(next) = self.advance() else {
                self.stack.pop();
                self.path.truncate(self.stack.last()?.path_len);
                continue;
            };
            let piece = match next {
                Next::Whiteout(name) => self.marker([&self.path, WHITEOUT_PREFIX, name.as_bytes()].concat()),
                Next::Entry(name, ino) if self.tree.directory(ino).is_some() => {
                    self.path.extend_from_slice(name.as_bytes());
                    self.path.push(b'/');
                    self.stack.push(Frame::new(ino, self.path.len()));
                    self.directory_entered(ino);
                    if self.is_implied(ino) {
                        continue;
                    }
                    self.entry(self.path.clone(), ino)
                }
                Next::Entry(name, ino) => self.entry([&self.path, name.as_bytes()].concat(), ino),
            };
            return Some(piece);
        }
    }
}

impl Frame {
    fn new(directory: Ino, path_len: usize) -> Self {
        Self {
            directory,
            last_entry: None,
            last_whiteout: None,
            path_len,
        }
    }
}

/// One layer, one format: PAX as soon as something in it needs PAX (see the profile in the documentation).
pub fn format_of(tree: &Tree) -> Format {
    if tree.counts().need_pax == 0 {
        Format::Gnu
    } else {
        Format::Pax
    }
}

fn after(entries: &imbl::OrdMap<Name, Ino>, last: &Option<Name>) -> Option<(Name, Ino)> {
    let next = match last {
        None => entries.get_min().map(|(name, ino)| (name, ino)),
        Some(last) => entries.range((Excluded(last.clone()), Unbounded)).next(),
    };
    next.map(|(name, ino)| (name.clone(), *ino))
}

/// Whether further names of an inode are hard links to the first. Devices and fifos with several names are written
/// as often as they have names, as GNU tar does.
pub(crate) fn is_linkable(inode: &Inode) -> bool {
    matches!(inode.node, Node::File(_) | Node::Symlink(_)) && inode.links() > 1
}

/// A whiteout or an opaque mark called `name`.
pub(super) fn marker(tree: &Tree, name: Vec<u8>, format: Format) -> Piece {
    let header = EntryHeader {
        name: &name,
        entry_type: EntryType::Regular,
        link_name: b"",
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Time::at(tree.whiteout_time()),
        size: 0,
        device: (0, 0),
        xattrs: &BTreeMap::new(),
    };
    let mut blocks = Vec::with_capacity(512);
    encode(&header, format, &mut blocks);
    Piece {
        header: blocks,
        content: None,
        name,
    }
}

/// An inode as an entry called `name`; as a hard link if it was written before, as `first`.
pub(super) fn piece(inode: &Inode, name: Vec<u8>, first: Option<&[u8]>, format: Format) -> Piece {
    let (mut entry_type, mut link_name, mut content) = match &inode.node {
        Node::Directory(_) => (EntryType::Directory, &[][..], None),
        Node::File(content) => (EntryType::Regular, &[][..], Some(content)),
        Node::Symlink(target) => (EntryType::Symlink, &target[..], None),
        Node::CharDevice(_) => (EntryType::CharDevice, &[][..], None),
        Node::BlockDevice(_) => (EntryType::BlockDevice, &[][..], None),
        Node::Fifo => (EntryType::Fifo, &[][..], None),
    };
    if let Some(first) = first {
        (entry_type, link_name, content) = (EntryType::HardLink, first, None);
    }
    let metadata = &inode.metadata;
    let header = EntryHeader {
        name: &name,
        entry_type,
        link_name,
        mode: metadata.mode.into(),
        uid: metadata.uid,
        gid: metadata.gid,
        mtime: metadata.mtime,
        size: content.map_or(0, Content::len),
        device: inode
            .node
            .device()
            .map_or((0, 0), |device| (device.major, device.minor)),
        xattrs: &metadata.xattrs,
    };
    let mut blocks = Vec::with_capacity(512);
    encode(&header, format, &mut blocks);
    Piece {
        header: blocks,
        content: content.filter(|content| !content.is_empty()).cloned(),
        name,
    }
}

/// Writes a whole layer, window by window.
pub fn write_tar<E: From<ContentError>>(
    walk: Walk,
    mut out: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut written = 0;
    for piece in walk {
        written += piece.size();
        out(&piece.header)?;
        if let Some(content) = &piece.content {
            let mut result = Ok(());
            content.for_each_window(|bytes| {
                if result.is_ok() {
                    result = out(bytes);
                }
            })?;
            result?;
            out(&ZEROS[..padding(content.len()) as usize])?;
        }
    }
    out(&ZEROS[..end_padding(written) as usize])
}
