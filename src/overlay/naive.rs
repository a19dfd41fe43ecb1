//! The judge of the merged view: layers applied one after the other to a plain map, as image-spec's layer.md
//! ("Applying Changesets") says it, path by path.

use std::collections::{BTreeMap, BTreeSet};

use super::{Spot, Stack};
use crate::random::Random;
use crate::tree::{Directory, Ino, Metadata, Node, Tree, TreePath};

/// What one layer has, path by path, without its root.
#[derive(Default)]
pub struct Listing<T> {
    /// Whether it is a directory, and what stands for it.
    pub entries: BTreeMap<TreePath, (bool, T)>,
    pub whiteouts: BTreeSet<TreePath>,
    pub opaque: BTreeSet<TreePath>,
}

/// What shows, and whether that is a directory.
pub fn flatten<T: Clone>(layers: &[Listing<T>]) -> BTreeMap<TreePath, (bool, T)> {
    let mut shown: BTreeMap<TreePath, (bool, T)> = BTreeMap::new();
    for layer in layers {
        for path in &layer.whiteouts {
            shown.retain(|shown, _| !shown.starts_with(path));
        }
        for path in &layer.opaque {
            shown.retain(|shown, _| shown == path || !shown.starts_with(path));
        }
        for (path, (is_directory, what)) in &layer.entries {
            if !(*is_directory && shown.get(path).is_some_and(|(below, _)| *below)) {
                shown.retain(|shown, _| !shown.starts_with(path));
            }
            shown.insert(path.clone(), (*is_directory, what.clone()));
        }
    }
    shown
}

fn listing(tree: &Tree, position: usize) -> Listing<(usize, Ino)> {
    let mut listing = Listing {
        entries: BTreeMap::new(),
        whiteouts: BTreeSet::new(),
        opaque: BTreeSet::new(),
    };
    let mut pending = vec![(TreePath::ROOT, Ino::ROOT)];
    while let Some((path, ino)) = pending.pop() {
        let directory = tree.directory(ino);
        if !path.is_root() {
            let entry = (directory.is_some(), (position, ino));
            listing.entries.insert(path.clone(), entry);
        }
        let Some(directory) = directory else { continue };
        if directory.opaque() {
            listing.opaque.insert(path.clone());
        }
        let whiteouts = directory.whiteouts().iter();
        listing
            .whiteouts
            .extend(whiteouts.map(|name| path.join(name.clone())));
        let entries = directory.entries().iter();
        pending.extend(entries.map(|(name, ino)| (path.join(name.clone()), *ino)));
    }
    listing
}

/// What the stack shows, by walking it.
fn walked(stack: &Stack) -> BTreeMap<TreePath, (bool, (usize, Ino))> {
    let mut shown = BTreeMap::new();
    let mut pending: Vec<(TreePath, Spot)> = vec![(TreePath::ROOT, stack.root())];
    while let Some((path, spot)) = pending.pop() {
        for name in stack.names(&spot) {
            let (path, spot) = (path.join(name.clone()), stack.child(&spot, &name));
            if let Some((position, ino)) = spot.visible() {
                let is_directory = stack.trees()[position].directory(ino).is_some();
                shown.insert(path.clone(), (is_directory, (position, ino)));
            }
            pending.push((path, spot));
        }
    }
    shown
}

/// What a stack of these trees shows: paths with their kinds and attributes.
pub fn merged_listing(trees: &[Tree]) -> Vec<String> {
    let stack = Stack::new(trees.iter().collect());
    let shown = walked(&stack).into_iter().map(|(path, (_, (position, ino)))| {
        let inode = trees[position].inode(ino);
        format!(
            "{path} {:?} {:?} {:?}",
            inode.node.kind(),
            inode.node.device(),
            inode.metadata
        )
    });
    shown.collect()
}

pub fn random_path(random: &mut Random) -> TreePath {
    let names = ["a", "b", "b.c", "d"];
    let depth = 1 + random.below(4);
    let text: String = (0..depth).map(|_| format!("/{}", random.pick(&names))).collect();
    TreePath::parse(&text).unwrap()
}

/// A small tree with every mark of a layer.
pub fn random_tree(random: &mut Random) -> Tree {
    let mut tree = Tree::new(Metadata::default(), 0);
    for _ in 0..random.below(25) {
        let path = random_path(random);
        // What cannot be done there is not done: other paths will do.
        let _ = match random.below(8) {
            0..=3 => tree
                .make(&path, Node::Directory(Directory::default()), Metadata::default())
                .map(|_| ()),
            4 | 5 => tree.make(&path, Node::Fifo, Metadata::default()).map(|_| ()),
            6 => tree.whiteout(&path),
            _ => tree.set_opaque(&path, true),
        };
    }
    if random.once_in(12) {
        tree.set_opaque(&TreePath::ROOT, true).unwrap();
    }
    tree
}

#[test]
fn random_stacks_show_what_applying_them_leaves() {
    let mut random = Random::of_run();
    let mut seen = 0;
    for number in 0..1500 {
        let trees: Vec<Tree> = (0..1 + random.below(5))
            .map(|_| random_tree(&mut random))
            .collect();
        let stack = Stack::new(trees.iter().collect());
        let listings: Vec<_> = trees
            .iter()
            .enumerate()
            .map(|(position, tree)| listing(tree, position))
            .collect();
        let expected = flatten(&listings);
        assert_eq!(walked(&stack), expected, "stack {number}: {listings:?}");
        for _ in 0..5 {
            let path = random_path(&mut random);
            let visible = stack.spot(&path).visible();
            assert_eq!(
                visible,
                expected.get(&path).map(|(_, at)| *at),
                "stack {number}: {path}"
            );
        }
        seen += expected.len();
    }
    assert!(seen > 1500, "the stacks showed {seen} paths only");
}

impl<T: std::fmt::Debug> std::fmt::Debug for Listing<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.entries.iter().map(|(path, (is_directory, _))| {
            let end = if *is_directory { "/" } else { "" };
            format!("{path}{end}")
        });
        let whiteouts = self.whiteouts.iter().map(|path| format!("-{path}"));
        let opaque = self.opaque.iter().map(|path| format!("{path}/!"));
        f.debug_list()
            .entries(names.chain(whiteouts).chain(opaque))
            .finish()
    }
}
