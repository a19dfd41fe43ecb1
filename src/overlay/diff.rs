//! What differs between two merged views, and the smallest layer that makes the one of the other.
//!
//! Such a layer says only what every reader takes alike. What is gone is a whiteout by name, which is what the
//! specification asks of generators (layer.md, "Opaque Whiteout"), and never an opaque directory: it would be shorter
//! where all of a directory went, but readers differ in what they make of it. A name is never both whited out and
//! there: something of another kind replaces what was there by itself. Every directory on the way to a change has its
//! entry, though nothing of it changed, since unpacking into it touches its time. And of a file with several names
//! either none or all of those that it ends up with are in the layer, since no layer can link to one below it.

use std::collections::{BTreeMap, BTreeSet, btree_set};

use super::merge::changes_between;
use super::{Change, Spot, Stack};
use crate::layer::is_linkable;
use crate::tree::{Directory, Ino, Inode, Kind, Name, Node, Tree, TreePath};

/// Where something of a view is from: the position of the layer, and the inode's number in it.
pub type Place = (usize, Ino);

/// A path on which two views differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path, with a slash in front; the root's is `/`.
    pub path: Vec<u8>,
    /// What the first view shows.
    pub before: Option<Place>,
    /// What the second view shows.
    pub after: Option<Place>,
    /// In what the two differ, if both show something.
    pub changes: Vec<Change>,
    /// Whether it is gone only because the directory is gone that it was in.
    pub is_within: bool,
}

/// The differences of two views, each directory before what is in it, names in the order of their bytes. What is
/// kept meanwhile grows with the depth, with the directories on the way, and with the files that have several names.
pub struct Differences<'s, 'a> {
    /// The first view and the second.
    views: [&'s Stack<'a>; 2],
    limit: u64,
    /// How many pairs of contents may still be read.
    reads: u64,
    /// How many layers from the bottom are the same values in both.
    shared: usize,
    links: Links,
    root_is_due: bool,
    path: Vec<u8>,
    open: Vec<Frame>,
}

/// A directory of one of the views or of both, while it is gone through.
struct Frame {
    path_length: usize,
    spots: [Option<Spot>; 2],
    names: btree_set::IntoIter<Name>,
}

impl<'a> Stack<'a> {
    /// In what `after` differs from this view. Contents of one size are read to compare them, up to `limit` bytes:
    /// what is beyond differs perhaps ([`Change::ContentUnread`]). Directories without an entry of their own have no
    /// attributes to compare.
    pub fn differences<'s>(&'s self, after: &'s Stack<'a>, limit: u64) -> Differences<'s, 'a> {
        self.differences_within(after, limit, u64::MAX)
    }

    /// As [`Self::differences`], but no more than so many pairs of contents are read; the others differ perhaps.
    pub fn differences_within<'s>(
        &'s self,
        after: &'s Stack<'a>,
        limit: u64,
        reads: u64,
    ) -> Differences<'s, 'a> {
        let pairs = self.trees().iter().zip(after.trees());
        let mut differences = Differences {
            views: [self, after],
            limit,
            reads,
            shared: pairs.take_while(|(a, b)| a.is_same(b)).count(),
            links: Links::default(),
            root_is_due: true,
            path: Vec::new(),
            open: Vec::new(),
        };
        differences.find_links();
        differences
    }

    /// The smallest layer that makes `after` of this view. Its whiteouts get the time `whiteout_time`, in seconds.
    /// Of equal views it is empty.
    pub fn layer_to(&self, after: &Stack<'a>, whiteout_time: i64) -> Tree {
        let mut layer = DiffLayer::new(after, whiteout_time);
        for difference in self.differences(after, u64::MAX) {
            layer.add(&difference);
        }
        layer.finish()
    }

    fn inode(&self, (position, ino): Place) -> &'a Inode {
        self.trees()[position].inode(ino)
    }

    fn visible(&self, path: &[u8]) -> Option<Place> {
        let path = TreePath::from_bytes(path).expect("it came from a tree");
        self.spot(&path).visible()
    }
}

/// Which files of the second view have other names than in the first.
#[derive(Default)]
struct Links {
    relinked: BTreeSet<Place>,
    /// What was compared of files with several names, so that their contents are read once.
    compared: BTreeMap<[Place; 2], Vec<Change>>,
}

/// The paths of each file that shows more than once.
fn groups(view: &Stack) -> BTreeMap<Place, Vec<Vec<u8>>> {
    let mut groups: BTreeMap<Place, Vec<Vec<u8>>> = BTreeMap::new();
    if !view.trees().iter().any(|tree| tree.has_links()) {
        return groups;
    }
    for (path, spot) in view.listing(&TreePath::ROOT, true) {
        let place = spot.visible().expect("only what shows is listed");
        if is_linkable(view.inode(place)) {
            groups.entry(place).or_default().push(path);
        }
    }
    groups.retain(|_, paths| paths.len() > 1);
    groups
}

/// Whether it is a directory without an entry of its own, and so without attributes.
fn is_implied(inode: &Inode) -> bool {
    inode.node.as_directory().is_some_and(Directory::implied)
}

impl Differences<'_, '_> {
    /// Finds the files that have to be written anew for their names' sake. A file of the first view goes on as one of
    /// the second at most, as that which is like it and has most of its names; all others get an inode of their own.
    fn find_links(&mut self) {
        let [before, after] = self.views;
        for (new, paths) in groups(after) {
            let olds: BTreeSet<_> = paths.iter().map(|path| before.visible(path)).collect();
            if olds.len() > 1 {
                self.links.relinked.insert(new);
            }
        }
        for (old, paths) in groups(before) {
            let mut heirs: BTreeMap<Place, usize> = BTreeMap::new();
            for new in paths.iter().filter_map(|path| after.visible(path)) {
                let can_be_linked = matches!(after.inode(new).node, Node::File(_) | Node::Symlink(_));
                if can_be_linked && !self.links.relinked.contains(&new) {
                    *heirs.entry(new).or_default() += 1;
                }
            }
            if heirs.len() > 1 {
                let is_like = |this: &mut Self, new| this.compare(old, new).is_empty();
                let best = heirs
                    .iter()
                    .map(|(new, names)| (is_like(self, *new), *names, *new))
                    .max();
                let others = heirs
                    .into_keys()
                    .filter(|new| best.is_some_and(|best| best.2 != *new));
                self.links.relinked.extend(others);
            }
        }
    }

    /// Up to how many bytes two contents are compared. Those that are told apart without being read cost nothing.
    fn limit_of(&mut self, a: &Inode, b: &Inode) -> u64 {
        if let (Node::File(a), Node::File(b)) = (&a.node, &b.node)
            && a.len() == b.len()
            && !a.is_same(b)
            && !a.is_empty()
        {
            match self.reads.checked_sub(1) {
                Some(left) => self.reads = left,
                None => return 0,
            }
        }
        self.limit
    }

    /// In what two inodes differ, without their names.
    fn compare(&mut self, old: Place, new: Place) -> Vec<Change> {
        if old == new && old.0 < self.shared {
            return Vec::new();
        }
        let (a, b) = (self.views[0].inode(old), self.views[1].inode(new));
        if is_linkable(a) || is_linkable(b) {
            if let Some(known) = self.links.compared.get(&[old, new]) {
                return known.clone();
            }
            let limit = self.limit_of(a, b);
            let changes = changes_between(a, b, limit);
            self.links.compared.insert([old, new], changes.clone());
            return changes;
        }
        let is_directory = |inode: &Inode| inode.node.kind() == Kind::Directory;
        match is_directory(a) && is_directory(b) {
            true if is_implied(b) => Vec::new(),
            // Nobody knows the time of a directory without an entry.
            true if is_implied(a) => {
                let mut changes = changes_between(a, b, 0);
                if !changes.contains(&Change::Time) {
                    changes.push(Change::Time);
                }
                changes
            }
            _ => {
                let limit = self.limit_of(a, b);
                changes_between(a, b, limit)
            }
        }
    }

    /// Goes to a path: enters it if a view has a directory there, and gives the difference if there is one.
    fn reach(&mut self, spots: [Spot; 2], is_within: bool) -> Option<Difference> {
        let places = [spots[0].visible(), spots[1].visible()];
        if places == [None, None] || self.is_alike(&spots) {
            return None;
        }
        let changes = match places {
            [Some(old), Some(new)] => {
                let mut changes = self.compare(old, new);
                if self.links.relinked.contains(&new) {
                    changes.push(Change::Links);
                }
                changes
            }
            _ => Vec::new(),
        };
        self.enter(spots, places);
        let differs = !changes.is_empty() || places.contains(&None);
        differs.then(|| Difference {
            path: match self.path.is_empty() {
                true => b"/".to_vec(),
                false => self.path.clone(),
            },
            before: places[0],
            after: places[1],
            changes,
            is_within: is_within && places[1].is_none(),
        })
    }

    /// Whether everything at and under a path is the same, as nothing but shared layers has to do with it.
    fn is_alike(&self, [a, b]: &[Spot; 2]) -> bool {
        let is_bare = |spot: &Spot| spot.cells[self.shared..].iter().all(Option::is_none);
        self.links.relinked.is_empty()
            && a.cells[..self.shared] == b.cells[..self.shared]
            && is_bare(a)
            && is_bare(b)
    }

    fn enter(&mut self, spots: [Spot; 2], places: [Option<Place>; 2]) {
        let mut names = BTreeSet::new();
        let [before, after] = spots;
        let mut directory = |spot: Spot, side: usize| {
            let place = places[side]?;
            let view = self.views[side];
            view.inode(place).node.as_directory()?;
            names.append(&mut view.names(&spot));
            Some(spot)
        };
        let spots = [directory(before, 0), directory(after, 1)];
        if !names.is_empty() {
            self.open.push(Frame {
                path_length: self.path.len(),
                spots,
                names: names.into_iter(),
            });
        }
    }
}

impl Iterator for Differences<'_, '_> {
    type Item = Difference;

    fn next(&mut self) -> Option<Difference> {
        if std::mem::take(&mut self.root_is_due) {
            let roots = self.views.map(Stack::root);
            if let Some(difference) = self.reach(roots, false) {
                return Some(difference);
            }
        }
        while let Some(frame) = self.open.last_mut() {
            let Some(name) = frame.names.next() else {
                self.open.pop();
                continue;
            };
            let child = |side: usize| match &frame.spots[side] {
                Some(spot) => self.views[side].child(spot, &name),
                None => Spot {
                    cells: vec![None; self.views[side].trees().len()],
                },
            };
            let (spots, is_within) = ([child(0), child(1)], frame.spots[1].is_none());
            self.path.truncate(frame.path_length);
            self.path.push(b'/');
            self.path.extend_from_slice(name.as_bytes());
            let reached = self.reach(spots, is_within);
            if reached.is_some() {
                return reached;
            }
        }
        None
    }
}

/// The layer of differences, which come in their order.
pub struct DiffLayer<'s, 'a> {
    after: &'s Stack<'a>,
    tree: Tree,
    /// The directories down to the last difference's: their names, their numbers in the layer, and their spots.
    chain: Vec<(Name, Ino, Spot)>,
    root: Spot,
    linked: BTreeMap<Place, Ino>,
}

impl<'s, 'a> DiffLayer<'s, 'a> {
    /// An empty layer on the way to this view.
    pub fn new(after: &'s Stack<'a>, whiteout_time: i64) -> Self {
        let root = after.root();
        let metadata = root.visible().map(|place| after.inode(place).metadata.clone());
        let mut tree = Tree::new(metadata.unwrap_or_default(), whiteout_time);
        tree.imply_root();
        Self {
            after,
            tree,
            chain: Vec::new(),
            root,
            linked: BTreeMap::new(),
        }
    }

    /// Takes in the next difference.
    pub fn add(&mut self, difference: &Difference) {
        self.claim_root();
        let path = TreePath::from_bytes(&difference.path).expect("it came from a tree");
        let Some((name, parents)) = path.names().split_last() else {
            return;
        };
        let Some(place) = difference.after else {
            if !difference.is_within {
                let parent = self.directory(parents);
                self.tree.add_whiteout(parent, name.clone());
            }
            return;
        };
        let parent = self.directory(parents);
        if let Some(ino) = self.linked.get(&place) {
            self.tree.add_link(parent, name.clone(), *ino);
            return;
        }
        let inode = self.after.inode(place);
        let node = match &inode.node {
            Node::Directory(_) => Node::Directory(Directory::default()),
            node => node.clone(),
        };
        let ino = self.tree.add(parent, name.clone(), node, inode.metadata.clone());
        if is_linkable(inode) {
            self.linked.insert(place, ino);
        }
    }

    /// The layer.
    pub fn finish(self) -> Tree {
        self.tree
    }

    /// The root gets the entry that the view has of it, if it has one.
    fn claim_root(&mut self) {
        let shown = self.root.visible().map(|place| self.after.inode(place));
        if is_implied(self.tree.inode(Ino::ROOT)) && shown.is_some_and(|root| !is_implied(root)) {
            self.tree.set_metadata_of(Ino::ROOT, |_| {});
        }
    }

    /// A directory of the layer; those that are missing on the way are made as the view has them.
    fn directory(&mut self, names: &[Name]) -> Ino {
        let known = self.chain.iter().zip(names);
        let known = known.take_while(|((known, ..), name)| known == *name).count();
        self.chain.truncate(known);
        for name in &names[known..] {
            let above = self.chain.last();
            let (parent, spot) = above.map_or((Ino::ROOT, &self.root), |(_, ino, spot)| (*ino, spot));
            let spot = self.after.child(spot, name);
            let ino = match self.tree.child(parent, name) {
                Some(ino) => ino,
                None => self.restate(parent, name, &spot),
            };
            self.chain.push((name.clone(), ino, spot));
        }
        self.chain.last().map_or(Ino::ROOT, |(_, ino, _)| *ino)
    }

    /// A directory in which something changes, with the attributes that it has anyway.
    fn restate(&mut self, parent: Ino, name: &Name, spot: &Spot) -> Ino {
        let place = spot.visible().expect("something in it differs");
        let inode = self.after.inode(place);
        match is_implied(inode) {
            true => self.tree.imply(parent, name.clone()),
            false => {
                let node = Node::Directory(Directory::default());
                self.tree.add(parent, name.clone(), node, inode.metadata.clone())
            }
        }
    }
}
