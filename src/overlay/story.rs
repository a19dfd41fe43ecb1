//! The story of a path: what each layer did to it, from the bottom up, and how what is gone went away.

use std::collections::BTreeSet;

use super::merge::changes_between;
use super::{Change, SpotEntry, Stack};
use crate::tree::{Directory, Ino, Node, Tree, TreePath};

/// What one layer did to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// The layer's position, from the bottom.
    pub position: usize,
    /// What it did.
    pub deed: Deed,
    /// What it has there itself.
    pub entry: Option<Ino>,
    /// The position of the first layer above that hides this entry, if one does.
    pub hidden_by: Option<usize>,
}

/// What a layer can do to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Makes what the layers below do not show.
    Makes,
    /// Puts an entry over what the layers below show.
    Changes {
        /// The position of the layer that showed it.
        below: usize,
        /// In what the two differ.
        changes: Vec<Change>,
        /// Whether both are directories that are one in the merged view.
        merges: bool,
    },
    /// Has only a directory on the way to something: attributes and content stay as they were.
    Passes,
    /// Takes away what the layers below show, with a whiteout of just that name.
    Deletes,
    /// Has a whiteout of what no layer below shows.
    DeletesNothing,
    /// Hides what the layers below show, by what it does to a directory above.
    Hides {
        /// That directory.
        at: TreePath,
        /// What it does to it.
        how: Hiding,
    },
}

/// How a layer hides what is in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hiding {
    /// It deletes the directory.
    Whiteout,
    /// It has the directory as an opaque one.
    Opaque,
    /// It has something else in the directory's place.
    Replaced,
}

impl<'a> Stack<'a> {
    /// What the layers did to a path, bottom first; layers that have nothing to do with it are left out. Contents
    /// up to `limit` bytes are read to be compared.
    pub fn story(&self, path: &TreePath, limit: u64) -> Vec<Chapter> {
        let spot = self.spot(path);
        let chapter = |position: usize| {
            let cell = spot.cells[position];
            let (deed, entry) = match cell.map(|cell| cell.entry) {
                Some(SpotEntry::Inode(ino)) => (self.put(path, position, ino, limit), Some(ino)),
                Some(SpotEntry::Whiteout) => match self.shown_up_to(position, path) {
                    Some(_) => (Deed::Deletes, None),
                    None => (Deed::DeletesNothing, None),
                },
                None => {
                    self.shown_up_to(position, path)?;
                    (self.hide(path, position)?, None)
                }
            };
            Some(Chapter {
                position,
                deed,
                entry,
                hidden_by: entry.and_then(|_| self.hider(path, position)),
            })
        };
        (0..self.trees().len()).filter_map(chapter).collect()
    }

    /// The lowest `count` layers.
    fn lowest(&self, count: usize) -> Stack<'a> {
        Stack::new(self.trees()[..count].to_vec())
    }

    /// What the layers below `position` show.
    fn shown_up_to(&self, position: usize, path: &TreePath) -> Option<(usize, Ino)> {
        self.lowest(position).spot(path).visible()
    }

    /// The first layer that hides what the layer at `position` has there.
    fn hider(&self, path: &TreePath, position: usize) -> Option<usize> {
        (position + 1..self.trees().len()).find(|&above| {
            let cell = self.lowest(above + 1).spot(path).cells[position];
            cell.is_some_and(|cell| cell.hidden_by.is_some())
        })
    }

    /// What an entry does to what the layers below show.
    fn put(&self, path: &TreePath, position: usize, ino: Ino, limit: u64) -> Deed {
        let Some((below, lower)) = self.shown_up_to(position, path) else {
            return Deed::Makes;
        };
        let (lower, upper) = (
            self.trees()[below].inode(lower),
            self.trees()[position].inode(ino),
        );
        let up_to = self.lowest(position + 1).spot(path);
        let merges = up_to.cells[below].is_some_and(|cell| cell.hidden_by.is_none());
        let is_implied = upper.node.as_directory().is_some_and(Directory::implied);
        match is_implied && merges {
            true => Deed::Passes,
            false => Deed::Changes {
                below,
                changes: changes_between(lower, upper, limit),
                merges,
            },
        }
    }

    /// What the layer does to a directory above a path, so that what was in it no longer shows.
    fn hide(&self, path: &TreePath, position: usize) -> Option<Deed> {
        let tree = self.trees()[position];
        let hiding = |at: &TreePath| {
            if tree.is_whiteout(at) {
                return Some(Hiding::Whiteout);
            }
            match &tree.inode(tree.lookup(at)?).node {
                Node::Directory(directory) => directory.opaque().then_some(Hiding::Opaque),
                _ => Some(Hiding::Replaced),
            }
        };
        (0..path.names().len()).find_map(|depth| {
            let at: TreePath = path.names()[..depth].iter().cloned().collect();
            let how = hiding(&at)?;
            Some(Deed::Hides { at, how })
        })
    }
}

/// Bytes and number of the files that an inode is or has in it; each once, however many names it has.
pub fn weigh(tree: &Tree, ino: Ino) -> (u64, u64) {
    let (mut bytes, mut files) = (0, 0);
    let mut seen = BTreeSet::new();
    let mut pending = vec![ino];
    while let Some(ino) = pending.pop() {
        let inode = tree.inode(ino);
        match &inode.node {
            Node::Directory(directory) => pending.extend(directory.entries().values()),
            Node::File(content) if inode.links() < 2 || seen.insert(ino) => {
                bytes += content.len();
                files += 1;
            }
            _ => {}
        }
    }
    (bytes, files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::naive::{random_path, random_tree};
    use crate::random::Random;
    use crate::tree::Metadata;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    /// Trees of words: `dir/`, `file`, `-whiteout`, `dir/!` for an opaque directory.
    fn trees(layers: &[&str]) -> Vec<Tree> {
        layers
            .iter()
            .map(|words| super::super::merge::tests::tree(words))
            .collect()
    }

    #[test]
    fn each_deed_is_told() {
        let hides = |at: &str, how| Deed::Hides { at: path(at), how };
        let changes = |below, changes: &[Change], merges| Deed::Changes {
            below,
            changes: changes.to_vec(),
            merges,
        };
        for (layers, at, expected) in [
            (&["f"][..], "/f", vec![(0, Deed::Makes)]),
            (
                &["f", "f"],
                "/f",
                vec![(0, Deed::Makes), (1, changes(0, &[], false))],
            ),
            (
                &["d/", "d", "-d", "d/ d/x"],
                "/d",
                vec![
                    (0, Deed::Makes),
                    (1, changes(0, &[Change::Kind], false)),
                    (2, Deed::Deletes),
                    (3, Deed::Makes),
                ],
            ),
            (
                &["d/", "d/"],
                "/d",
                vec![(0, Deed::Makes), (1, changes(0, &[], true))],
            ),
            (&["a", "-b"], "/b", vec![(1, Deed::DeletesNothing)]),
            (
                &["d/ d/e/ d/e/f", "a", "-d", "d/"],
                "/d/e/f",
                vec![(0, Deed::Makes), (2, hides("/d", Hiding::Whiteout))],
            ),
            (
                &["d/ d/e/ d/e/f", "d/ d/e/ d/e/!"],
                "/d/e/f",
                vec![(0, Deed::Makes), (1, hides("/d/e", Hiding::Opaque))],
            ),
            (
                &["d/ d/e/ d/e/f", "d"],
                "/d/e/f",
                vec![(0, Deed::Makes), (1, hides("/d", Hiding::Replaced))],
            ),
            (&["a"], "/b", vec![]),
        ] {
            let trees = trees(layers);
            let told = Stack::new(trees.iter().collect()).story(&path(at), 1 << 20);
            assert!(
                told.iter()
                    .all(|chapter| chapter.hidden_by.is_none_or(|by| by > chapter.position))
            );
            let told: Vec<_> = told
                .into_iter()
                .map(|chapter| (chapter.position, chapter.deed))
                .collect();
            assert_eq!(told, expected, "{layers:?} {at}");
        }
    }

    #[test]
    fn a_directory_without_an_entry_passes() {
        let lower = trees(&["d/"]).remove(0);
        let mut upper = Tree::new(Metadata::default(), 0);
        let name = path("/d").names()[0].clone();
        upper.imply(Ino::ROOT, name);
        let deeds = |trees: Vec<&Tree>| {
            let told = Stack::new(trees).story(&path("/d"), 0);
            told.into_iter().map(|chapter| chapter.deed).collect::<Vec<_>>()
        };
        assert_eq!(deeds(vec![&lower, &upper]), [Deed::Makes, Deed::Passes]);
        assert_eq!(deeds(vec![&upper]), [Deed::Makes]);
    }

    /// What shows after each layer is what the deeds say of it.
    #[test]
    fn stories_are_what_happened() {
        let mut random = Random::of_run();
        let mut told = 0;
        for number in 0..1500 {
            let trees: Vec<Tree> = (0..1 + random.below(5))
                .map(|_| random_tree(&mut random))
                .collect();
            let stack = Stack::new(trees.iter().collect());
            for _ in 0..5 {
                let path = random_path(&mut random);
                let story = stack.story(&path, 0);
                told += story.len();
                for position in 0..trees.len() {
                    let shown =
                        |layers: usize| Stack::new(trees[..layers].iter().collect()).spot(&path).visible();
                    let (before, after) = (shown(position), shown(position + 1));
                    let chapter = story.iter().find(|chapter| chapter.position == position);
                    let fits = match chapter.map(|chapter| &chapter.deed) {
                        None => before == after,
                        Some(Deed::Makes) => before.is_none() && after.is_some(),
                        Some(Deed::Changes { below, .. }) => {
                            before.is_some_and(|(at, _)| at == *below)
                                && after.is_some_and(|(at, _)| at == position)
                        }
                        Some(Deed::Passes) => before.is_some() && before == after,
                        Some(Deed::Deletes | Deed::Hides { .. }) => before.is_some() && after.is_none(),
                        Some(Deed::DeletesNothing) => before.is_none() && after.is_none(),
                    };
                    assert!(fits, "stack {number}, {path}, layer {position}: {story:?}");
                    if let Some(by) = chapter.and_then(|chapter| chapter.hidden_by) {
                        let hides = |layers: usize| {
                            let spot = Stack::new(trees[..layers].iter().collect()).spot(&path);
                            spot.cells[position].unwrap().hidden_by.is_some()
                        };
                        assert!(!hides(by) && hides(by + 1), "stack {number}, {path}: {story:?}");
                    }
                }
            }
        }
        assert!(told > 1500, "only {told} chapters");
    }
}
