//! What a layer does to those below it, path by path: one walk for the sums that are shown of it, and for the
//! rows that are looked at alone.

use crate::overlay::{Spot, SpotEntry, Stack};
use crate::tree::{Ino, Kind, Node, Tree};

/// What a layer does at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It has an entry, and nothing below shows one.
    Added,
    /// It has an entry in the place of one that shows below; of a directory, with other attributes.
    Changed,
    /// What shows below no longer does, and it has nothing in its place.
    Hides,
}

/// What [`walk`] comes to.
pub(super) struct Place<'a> {
    /// Absolute, as text.
    pub path: &'a str,
    /// None where it has an entry that says nothing new, or nothing.
    pub effect: Option<Effect>,
    /// Its own entry, if it has one.
    pub own: Option<Ino>,
    /// The same path in all layers.
    pub spot: &'a Spot,
}

/// Visits every path that the layer at `position` or one below it knows.
pub(super) fn walk(trees: &[&Tree], position: usize, mut visit: impl FnMut(&Place<'_>)) {
    let below = Stack::new(trees[..position].to_vec());
    let with = Stack::new(trees[..=position].to_vec());
    let all = Stack::new(trees.to_vec());
    let mut pending = vec![(String::new(), below.root(), with.root(), all.root())];
    while let Some((directory, spot_below, spot_with, spot_all)) = pending.pop() {
        for name in with.names(&spot_with) {
            let path = format!("{directory}/{name}");
            let under = below.child(&spot_below, &name);
            let spot = with.child(&spot_with, &name);
            let in_all = all.child(&spot_all, &name);
            let own = spot.cells[position].and_then(|cell| match cell.entry {
                SpotEntry::Inode(ino) if !cell.implied => Some(ino),
                _ => None,
            });
            visit(&Place {
                path: &path,
                effect: effect(&with, &under, &spot, own),
                own,
                spot: &in_all,
            });
            if with.has_children(&spot) {
                pending.push((path, under, spot, in_all));
            }
        }
    }
}

fn effect(with: &Stack, under: &Spot, spot: &Spot, own: Option<Ino>) -> Option<Effect> {
    let position = spot.cells.len() - 1;
    let shown = under.visible();
    match (own, shown) {
        (None, None) => None,
        (None, Some(_)) => spot.visible().is_none().then_some(Effect::Hides),
        (Some(_), None) => Some(Effect::Added),
        (Some(own), Some((at, before))) => {
            let kind = |at: usize, ino: Ino| with.trees()[at].inode(ino).node.kind();
            let merges = [kind(at, before), kind(position, own)] == [Kind::Directory; 2];
            (!merges || !with.changes(spot, position, 0).is_empty()).then_some(Effect::Changed)
        }
    }
}

/// The bytes of a file; nothing else holds any.
pub(super) fn size_of(tree: &Tree, ino: Ino) -> u64 {
    match &tree.inode(ino).node {
        Node::File(content) => content.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use crate::tree::{Directory, Metadata, Time, TreePath};

    /// A tree of lines: a directory ends in `/`, an opaque one in `//`, a whiteout begins with `-`.
    fn tree(lines: &[&str]) -> Tree {
        let metadata = |mode| Metadata::new(mode, 0, 0, Time::default());
        let mut tree = Tree::new(metadata(0o755), 0);
        for line in lines {
            let path = TreePath::parse(line.trim_start_matches('-').trim_end_matches('/')).unwrap();
            if line.starts_with('-') {
                tree.whiteout(&path).unwrap();
            } else if line.ends_with('/') {
                let node = Node::Directory(Directory::default());
                tree.make(&path, node, metadata(0o755)).unwrap();
                tree.set_opaque(&path, line.ends_with("//")).unwrap();
            } else {
                let node = Node::File(Content::inline(b"xyz".to_vec()));
                tree.make(&path, node, metadata(0o644)).unwrap();
            }
        }
        tree
    }

    fn effects(trees: &[&Tree], position: usize) -> Vec<String> {
        let mut found = Vec::new();
        walk(trees, position, |place| {
            found.extend(place.effect.map(|effect| format!("{} {effect:?}", place.path)));
        });
        found.sort();
        found
    }

    #[test]
    fn what_layers_do_to_those_below() {
        let bottom = tree(&["/a", "/d/", "/d/x", "/d/y", "/gone/", "/gone/z"]);
        let middle = tree(&["-/a", "/d/", "/d/x", "-/gone", "/new"]);
        let top = tree(&["/a", "/d//", "/d/x", "/gone/"]);
        let trees = [&bottom, &middle, &top];
        assert_eq!(effects(&trees, 0).len(), 6);
        assert!(effects(&trees, 0).iter().all(|effect| effect.ends_with("Added")));
        assert_eq!(
            effects(&trees, 1),
            [
                "/a Hides",
                "/d/x Changed",
                "/gone Hides",
                "/gone/z Hides",
                "/new Added"
            ]
        );
        // What was hidden before is hidden by whoever hid it first, and what comes back is new.
        assert_eq!(
            effects(&trees, 2),
            ["/a Added", "/d/x Changed", "/d/y Hides", "/gone Added"]
        );
    }
}
