//! A stack path by path: each directory before what is in it, names in the order of their bytes.

use std::collections::btree_set;

use super::{Spot, Stack};
use crate::tree::{Name, TreePath};

/// The paths at and under a path of a stack. What is kept meanwhile grows with the depth and not with the number
/// of paths, but for the names of the directories on the way.
pub struct Listing<'s, 'a> {
    stack: &'s Stack<'a>,
    shown_only: bool,
    first: Option<Spot>,
    path: Vec<u8>,
    /// Directories that are being listed: how long their path is, their spot, and their names that are left.
    open: Vec<(usize, Spot, btree_set::IntoIter<Name>)>,
}

impl<'a> Stack<'a> {
    /// All that stands at `path` and under it in any layer, or only what shows in the merged view. Paths begin
    /// with a slash; the root's is empty.
    pub fn listing<'s>(&'s self, path: &TreePath, shown_only: bool) -> Listing<'s, 'a> {
        let mut bytes = path.to_bytes();
        if !path.is_root() {
            bytes.insert(0, b'/');
        }
        Listing {
            stack: self,
            shown_only,
            first: Some(self.spot(path)),
            path: bytes,
            open: Vec::new(),
        }
    }
}

impl Listing<'_, '_> {
    /// Gives the path that was reached, and goes on with what is in it.
    fn reach(&mut self, spot: Spot) -> Option<(Vec<u8>, Spot)> {
        let is_wanted = match self.shown_only {
            true => spot.visible().is_some(),
            false => spot.cells.iter().any(Option::is_some),
        };
        if !is_wanted {
            return None;
        }
        if self.stack.has_children(&spot) {
            let names = self.stack.names(&spot).into_iter();
            self.open.push((self.path.len(), spot.clone(), names));
        }
        Some((self.path.clone(), spot))
    }
}

impl Iterator for Listing<'_, '_> {
    type Item = (Vec<u8>, Spot);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(spot) = self.first.take() {
            return self.reach(spot);
        }
        while let Some((length, parent, names)) = self.open.last_mut() {
            let Some(name) = names.next() else {
                self.open.pop();
                continue;
            };
            let spot = self.stack.child(parent, &name);
            self.path.truncate(*length);
            self.path.push(b'/');
            self.path.extend_from_slice(name.as_bytes());
            let reached = self.reach(spot);
            if reached.is_some() {
                return reached;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::naive::{merged_listing, random_tree};
    use crate::random::Random;
    use crate::tree::Tree;

    #[test]
    fn a_listing_is_the_merged_view_in_order() {
        let mut random = Random::of_run();
        for number in 0..500 {
            let trees: Vec<Tree> = (0..1 + random.below(4))
                .map(|_| random_tree(&mut random))
                .collect();
            let stack = Stack::new(trees.iter().collect());
            let listed = stack.listing(&TreePath::ROOT, true).skip(1).map(|(path, spot)| {
                let (position, ino) = spot.visible().expect("only what shows is listed");
                let inode = trees[position].inode(ino);
                let path = TreePath::from_bytes(&path).unwrap();
                let (kind, device) = (inode.node.kind(), inode.node.device());
                format!("{path} {kind:?} {device:?} {:?}", inode.metadata)
            });
            let expected = merged_listing(&trees);
            assert_eq!(listed.collect::<Vec<_>>(), expected, "stack {number}");
            // A part of it is that part of the whole, and all of it has the rest too.
            let part = TreePath::parse("/a/b").unwrap();
            let paths = |path: &TreePath, shown| stack.listing(path, shown).map(|(path, _)| path);
            let is_under = |path: &Vec<u8>| path == b"/a/b" || path.starts_with(b"/a/b/");
            for shown in [true, false] {
                let whole = paths(&TreePath::ROOT, shown).filter(is_under);
                assert!(paths(&part, shown).eq(whole), "stack {number}");
            }
            let all: Vec<_> = paths(&TreePath::ROOT, false).collect();
            assert!(paths(&TreePath::ROOT, true).all(|path| all.contains(&path)));
        }
    }
}
