//! The merged view: for every path what each layer says of it, what shows, and what hides the rest.
//!
//! The rules are the image specification's (layer.md, "Applying Changesets"): a whiteout hides its name in
//! the layers below, an opaque directory hides all that the layers below have in it, a directory on a
//! directory merges and the upper one's attributes count, anything else on anything replaces it. Lookups go
//! on where a kernel's would stop, so that what is hidden is known, and by what.

use std::collections::BTreeSet;

use crate::content::{Content, ContentError, window};
use crate::tree::{Directory, Ino, Inode, Name, Node, Tree, TreePath};

/// The trees of a stack, bottom first.
pub struct Stack<'a> {
    trees: Vec<&'a Tree>,
}

/// What one layer says of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackCell {
    /// An inode of that layer's tree, or a whiteout.
    pub entry: SpotEntry,
    /// The position of the layer that hides it, if one does. A whiteout that is not hidden is at work.
    pub hidden_by: Option<usize>,
    /// Whether it is a directory without an entry of its own: its attributes are those of the layers below.
    pub implied: bool,
}

/// An entry or its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpotEntry {
    /// The inode of that number in the layer's tree.
    Inode(Ino),
    /// The name is deleted from the layers below.
    Whiteout,
}

/// One path of the stack: a cell for each layer, bottom first.
#[derive(Clone, Debug)]
pub struct Spot {
    /// What each layer says.
    pub cells: Vec<Option<StackCell>>,
}

impl Spot {
    /// The position and the inode of what shows in the merged view; of directories that merge, the topmost that
    /// has an entry, and so attributes, of its own.
    pub fn visible(&self) -> Option<(usize, Ino)> {
        let shown = |with_implied: bool| {
            let mut cells = self.cells.iter().enumerate().rev();
            cells.find_map(|(position, cell)| match cell {
                Some(StackCell {
                    entry: SpotEntry::Inode(ino),
                    hidden_by: None,
                    implied,
                }) if with_implied || !implied => Some((position, *ino)),
                _ => None,
            })
        };
        shown(false).or_else(|| shown(true))
    }

    /// The position and the inode of the topmost entry, hidden or not.
    pub fn topmost(&self) -> Option<(usize, Ino)> {
        self.cells
            .iter()
            .enumerate()
            .rev()
            .find_map(|(position, cell)| match cell {
                Some(StackCell {
                    entry: SpotEntry::Inode(ino),
                    ..
                }) => Some((position, *ino)),
                _ => None,
            })
    }
}

/// In what an entry differs from the one that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is the name of an attribute")]
pub enum Change {
    Kind,
    Content,
    /// Both contents are of one size, and too large to be compared or not to be read: perhaps they differ.
    ContentUnread,
    Target,
    Device,
    Mode,
    Owner,
    Time,
    Xattrs,
    /// Which names are names of this one file.
    Links,
}

impl<'a> Stack<'a> {
    /// A stack of these trees, bottom first.
    pub fn new(trees: Vec<&'a Tree>) -> Self {
        Self { trees }
    }

    /// The trees, bottom first.
    pub fn trees(&self) -> &[&'a Tree] {
        &self.trees
    }

    /// The root of all layers: it is in each of them and merges, down to the topmost that is opaque.
    pub fn root(&self) -> Spot {
        let opaque = |tree: &&Tree| tree.directory(Ino::ROOT).is_some_and(|root| root.opaque());
        let topmost = self.trees.iter().rposition(opaque);
        let cell = |position: usize| StackCell {
            entry: SpotEntry::Inode(Ino::ROOT),
            hidden_by: topmost.filter(|opaque| position < *opaque),
            implied: self.trees[position]
                .directory(Ino::ROOT)
                .is_some_and(Directory::implied),
        };
        Spot {
            cells: (0..self.trees.len())
                .map(|position| Some(cell(position)))
                .collect(),
        }
    }

    /// The directory that layer `position` has at this spot.
    fn directory(&self, spot: &Spot, position: usize) -> Option<&'a Directory> {
        match spot.cells[position]?.entry {
            SpotEntry::Inode(ino) => self.trees[position].directory(ino),
            SpotEntry::Whiteout => None,
        }
    }

    /// Whether layer `position` has an opaque directory at this spot: nothing of it in the layers below shows.
    pub fn is_opaque(&self, spot: &Spot, position: usize) -> bool {
        self.directory(spot, position).is_some_and(Directory::opaque)
    }

    /// All names that any layer has in the directory at `spot`, whited out ones too, in order.
    pub fn names(&self, spot: &Spot) -> BTreeSet<Name> {
        let mut names = BTreeSet::new();
        for position in 0..self.trees.len() {
            if let Some(directory) = self.directory(spot, position) {
                names.extend(directory.entries().keys().cloned());
                names.extend(directory.whiteouts().iter().cloned());
            }
        }
        names
    }

    /// Whether anything stands under `spot` in any layer.
    pub fn has_children(&self, spot: &Spot) -> bool {
        (0..self.trees.len())
            .filter_map(|position| self.directory(spot, position))
            .any(|directory| !directory.entries().is_empty() || !directory.whiteouts().is_empty())
    }

    /// The spot of one name in the directory at `parent`.
    pub fn child(&self, parent: &Spot, name: &Name) -> Spot {
        let mut cells = vec![None; self.trees.len()];
        // From the top down: what hides this name in every layer further down, for one reason or another.
        let mut hider: Option<usize> = None;
        let mut directory_above: Option<usize> = None;
        for position in (0..self.trees.len()).rev() {
            let Some(directory) = self.directory(parent, position) else {
                continue;
            };
            let parent_hidden = parent.cells[position].and_then(|cell| cell.hidden_by);
            let mut hidden_by = parent_hidden.max(hider);
            let mut implied = false;
            let entry = if let Some(&ino) = directory.entries().get(name) {
                let own = self.trees[position].directory(ino);
                implied = own.is_some_and(Directory::implied);
                match own {
                    Some(own) if hidden_by.is_none() => {
                        directory_above = directory_above.or(Some(position));
                        if own.opaque() {
                            hider = Some(position);
                        }
                    }
                    Some(_) => {}
                    None => {
                        hidden_by = hidden_by.max(directory_above);
                        hider = hider.or(Some(position));
                    }
                }
                SpotEntry::Inode(ino)
            } else if directory.whiteouts().contains(name) {
                hider = hider.or(Some(position));
                SpotEntry::Whiteout
            } else {
                continue;
            };
            cells[position] = Some(StackCell {
                entry,
                hidden_by,
                implied,
            });
        }
        Spot { cells }
    }

    /// The spot of a path; none of its cells is set when no layer knows it.
    pub fn spot(&self, path: &TreePath) -> Spot {
        path.names()
            .iter()
            .fold(self.root(), |spot, name| self.child(&spot, name))
    }

    /// The inode of the merged view at `path`, if something shows there.
    pub fn lookup(&self, path: &TreePath) -> Option<&'a Inode> {
        let (position, ino) = self.spot(path).visible()?;
        Some(self.trees[position].inode(ino))
    }

    /// In what the entry of layer `position` differs from the next one below it; nothing if there is none or
    /// a whiteout stands between. Contents of one size are read to compare them, up to `limit` bytes.
    pub fn changes(&self, spot: &Spot, position: usize, limit: u64) -> Vec<Change> {
        let inode_at = |position: usize| match spot.cells[position]?.entry {
            SpotEntry::Inode(ino) => Some(self.trees[position].inode(ino)),
            SpotEntry::Whiteout => None,
        };
        let below = (0..position).rev().find(|&below| spot.cells[below].is_some());
        match (inode_at(position), below.and_then(inode_at)) {
            (Some(upper), Some(lower)) => changes_between(lower, upper, limit),
            _ => Vec::new(),
        }
    }
}

pub(super) fn changes_between(lower: &Inode, upper: &Inode, limit: u64) -> Vec<Change> {
    let mut changes = Vec::new();
    match (&lower.node, &upper.node) {
        (Node::Directory(_), Node::Directory(_)) | (Node::Fifo, Node::Fifo) => {}
        (Node::File(a), Node::File(b)) => changes.extend(content_change(a, b, limit)),
        (Node::Symlink(a), Node::Symlink(b)) if a == b => {}
        (Node::Symlink(_), Node::Symlink(_)) => changes.push(Change::Target),
        (a, b) if a.kind() != b.kind() => changes.push(Change::Kind),
        (a, b) if a.device() == b.device() => {}
        _ => changes.push(Change::Device),
    }
    let (a, b) = (&lower.metadata, &upper.metadata);
    let differs = [
        (a.mode != b.mode, Change::Mode),
        ((a.uid, a.gid) != (b.uid, b.gid), Change::Owner),
        (a.mtime != b.mtime, Change::Time),
        (a.xattrs != b.xattrs, Change::Xattrs),
    ];
    changes.extend(
        differs
            .into_iter()
            .filter_map(|(differs, change)| differs.then_some(change)),
    );
    changes
}

/// A content that cannot be read is not compared: the view of all the others must not fail for it.
fn content_change(a: &Content, b: &Content, limit: u64) -> Option<Change> {
    if a.len() != b.len() {
        return Some(Change::Content);
    }
    if a.is_same(b) {
        return None;
    }
    match equal_up_to(a, b, limit) {
        Ok(false) => Some(Change::Content),
        Ok(true) if a.len() <= limit => None,
        _ => Some(Change::ContentUnread),
    }
}

/// Whether two contents of one length begin with the same `limit` bytes.
fn equal_up_to(a: &Content, b: &Content, limit: u64) -> Result<bool, ContentError> {
    let end = a.len().min(limit);
    let (mut left, mut right) = (vec![0; window(end)], vec![0; window(end)]);
    let mut offset = 0;
    while offset < end {
        let length = window(end - offset);
        a.read_at(offset, &mut left[..length])?;
        b.read_at(offset, &mut right[..length])?;
        if left[..length] != right[..length] {
            return Ok(false);
        }
        offset += length as u64;
    }
    Ok(true)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::tree::Metadata;

    /// A tree of words: `dir/`, `file`, `-whiteout`, `dir/!` for an opaque directory.
    pub fn tree(words: &str) -> Tree {
        let mut tree = Tree::new(Metadata::default(), 0);
        for word in words.split_whitespace() {
            let path = |text: &str| TreePath::from_bytes(text.as_bytes()).unwrap();
            if let Some(name) = word.strip_prefix('-') {
                tree.whiteout(&path(name)).unwrap();
            } else if let Some(name) = word.strip_suffix("/!") {
                tree.set_opaque(&path(name), true).unwrap();
            } else {
                let node = match word.ends_with('/') {
                    true => Node::Directory(Directory::default()),
                    false => Node::File(Content::inline(word.as_bytes())),
                };
                tree.make(&path(word), node, Metadata::default()).unwrap();
            }
        }
        tree
    }

    /// What the cells of a path are, bottom first: `A` shows, `a` hidden (and by which), `-` a whiteout.
    fn cells(layers: &[&str], path: &str) -> String {
        let trees: Vec<Tree> = layers.iter().map(|words| tree(words)).collect();
        let stack = Stack::new(trees.iter().collect());
        let spot = stack.spot(&TreePath::parse(path).unwrap());
        let texts = spot.cells.iter().map(|cell| match cell {
            None => ".".to_owned(),
            Some(StackCell { entry, hidden_by, .. }) => {
                let what = if *entry == SpotEntry::Whiteout { "-" } else { "+" };
                hidden_by.map_or(what.to_owned(), |by| format!("{what}{by}"))
            }
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_shows_and_what_hides_the_rest() {
        for (layers, path, expected) in [
            (&["a", "a"][..], "/a", "+1 +"),
            (&["d/ d/x", "d/ -d/x"], "/d/x", "+1 -"),
            (&["d/ d/x", "d/ -d/x", "d/ d/x"], "/d/x", "+2 -2 +"),
            (&["d/ d/x", "d/ d/!"], "/d/x", "+1 ."),
            (&["d/ d/x", "d/ d/!"], "/d", "+1 +"),
            (&["d/ d/x", "d/ d/!", "d/"], "/d", "+1 + +"),
            (&["d/ d/x", "d/ -d/x", "d/ d/!"], "/d/x", "+2 -2 ."),
            (&["d/ d/x", "d/ d/! d/x"], "/d/x", "+1 +"),
            (&["d/ d/x", "d"], "/d/x", "+1 ."),
            (&["d/ d/x", "d"], "/d", "+1 +"),
            (&["d/ d/x", "d/"], "/d", "+ +"),
            (&["d", "d/"], "/d", "+1 +"),
            (&["d/ d/x", "d", "d/"], "/d/x", "+1 . ."),
            (&["d/ d/x", "d", "d/"], "/d", "+1 +2 +"),
            (&["d/ d/e/ d/e/x", "-d"], "/d/e/x", "+1 ."),
            (&["d/ d/e/ d/e/x", "d/ d/!", "d/ d/e/"], "/d/e/x", "+1 . ."),
            (&["a", "b"], "/c", ". ."),
        ] {
            assert_eq!(cells(layers, path), expected, "{layers:?} {path}");
        }
    }

    #[test]
    fn changes_name_the_attributes() {
        let (lower, mut upper) = (tree("a b"), tree("a b"));
        let path = |text: &str| TreePath::parse(text).unwrap();
        upper
            .set_metadata(&path("/a"), |metadata| metadata.uid = 1)
            .unwrap();
        upper.write(&path("/b"), Content::inline(*b"c")).unwrap();
        let stack = Stack::new(vec![&lower, &upper]);
        let changes = |text| stack.changes(&stack.spot(&path(text)), 1, 1 << 20);
        assert_eq!(
            (changes("/a"), changes("/b")),
            (vec![Change::Owner], vec![Change::Content])
        );
        assert_eq!(changes("/"), vec![]);
    }
}
