//! Changes to whole layers: a path out of all of them, several into one, one into two, times away.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::layer::Layer;
use crate::overlay::{Spot, SpotEntry, Stack};
use crate::tree::{Directory, Ino, Metadata, Name, Node, Tree, TreePath};

use super::apply::{Applier, Result};
use super::error::WorkbenchError;
use super::opened::lines_of;
use super::operation::{ImageId, LayerId};
use super::state::LayerState;

impl Applier<'_> {
    pub(super) fn remove_path(&mut self, image: ImageId, path: &str) -> Result<()> {
        let path = TreePath::parse(path)?;
        if path.is_root() {
            return Err(WorkbenchError::WholeLayer);
        }
        let layers: Vec<LayerId> = self
            .state
            .image(image)?
            .layers
            .iter()
            .map(|layer| layer.id)
            .collect();
        let mut found = false;
        for id in layers {
            self.ensure_read(id)?;
            let layer = &mut self.state.layer_mut(id)?.layer;
            let (is_there, is_whiteout) = (
                layer.tree().lookup(&path).is_some(),
                layer.tree().is_whiteout(&path),
            );
            let is_mentioned = layer.mentions(&path);
            if !(is_there || is_whiteout || is_mentioned) {
                // Of a layer that could not be read wholly nobody can say what is in it.
                layer.check_whole()?;
                continue;
            }
            found = true;
            if is_there {
                layer.edit()?.delete(&path)?;
            }
            if is_whiteout {
                layer.edit()?.clear_whiteout(&path)?;
            }
            if is_mentioned {
                layer.scrub(path.clone())?;
            }
        }
        match found {
            true => Ok(()),
            false => Err(WorkbenchError::NotInImage {
                path: path.to_string(),
            }),
        }
    }

    pub(super) fn squash_layers(&mut self, bottom: LayerId, top: LayerId) -> Result<()> {
        let ((image, from), (other, to)) = (self.state.place_of(bottom)?, self.state.place_of(top)?);
        if image != other || from >= to {
            let name = |layer| {
                self.state
                    .layer(layer)
                    .map_or(String::new(), |layer| layer.name.clone())
            };
            return Err(WorkbenchError::NotBelow {
                bottom: name(bottom),
                top: name(top),
            });
        }
        self.ensure_read(top)?;
        let state = self.state.image(image)?.clone();
        let layers = &state.layers[from..=to];
        layers.iter().try_for_each(|layer| layer.layer.check_whole())?;
        let tree = squash(&layers.iter().map(|layer| layer.layer.tree()).collect::<Vec<_>>());
        let absorbed = layers[1..].iter().flat_map(|layer| lines_of(&state, layer));
        let absorbed: Vec<usize> = absorbed.collect();
        let layers = &mut self.state.image_mut(image)?.layers;
        layers.drain(from + 1..=to);
        let merged = Arc::make_mut(&mut layers[from]);
        merged.layer = Layer::from_tree(tree);
        merged.absorbed.extend(absorbed);
        Ok(())
    }

    pub(super) fn split_layer(
        &mut self,
        layer: LayerId,
        new_layer: LayerId,
        name: &str,
        paths: &[String],
    ) -> Result<()> {
        self.ensure_read(layer)?;
        let (image, position) = self.state.place_of(layer)?;
        let split = LayerState {
            id: new_layer,
            name: super::apply::layer_name(name)?,
            layer: Layer::new(self.time),
            created_by: None,
            comment: None,
            came: None,
            absorbed: Vec::new(),
            ..LayerState::clone(self.state.layer(layer)?)
        };
        self.insert_layer(image, split, Some(position + 1))?;
        for path in paths {
            let path = TreePath::parse(path)?;
            if path.is_root() {
                return Err(WorkbenchError::WholeLayer);
            }
            // The directories above it look as they do below, so that the view stays what it was.
            self.make_parents(new_layer, &path)?;
            let origin = self.state.layer(layer)?.layer.tree().clone();
            if origin.is_whiteout(&path) {
                self.tree(layer)?.clear_whiteout(&path)?;
                self.tree(new_layer)?.whiteout(&path)?;
            } else {
                self.tree(new_layer)?.copy(&origin, &path, &path)?;
                self.tree(layer)?.delete(&path)?;
            }
        }
        Ok(())
    }

    pub(super) fn strip_times(&mut self, layer: LayerId) -> Result<()> {
        let time = self.time;
        self.tree(layer)?.set_times(time);
        Ok(())
    }
}

/// One tree that does to whatever lies below what these trees do one after another, bottom first.
fn squash(trees: &[&Tree]) -> Tree {
    let stack = Stack::new(trees.to_vec());
    let root = stack.root();
    let (position, ino) = root.visible().expect("every layer has a root");
    let time = trees
        .iter()
        .rev()
        .map(|tree| tree.whiteout_time())
        .next()
        .unwrap_or(0);
    let mut squash = Squash {
        tree: Tree::new(trees[position].inode(ino).metadata.clone(), time),
        stack,
        copies: BTreeMap::new(),
    };
    let is_opaque = |tree: &&&Tree| tree.directory(Ino::ROOT).is_some_and(Directory::opaque);
    if trees.iter().any(|tree| is_opaque(&tree)) {
        squash.tree.set_opaque_of(Ino::ROOT, true);
    }
    if trees[position].directory(ino).is_some_and(Directory::implied) {
        squash.tree.imply_root();
    }
    let mut pending = vec![(Ino::ROOT, root)];
    while let Some((parent, spot)) = pending.pop() {
        for name in squash.stack.names(&spot) {
            let child = squash.stack.child(&spot, &name);
            if let Some(ino) = squash.put(parent, name, &child) {
                pending.push((ino, child));
            }
        }
    }
    squash.tree
}

struct Squash<'a> {
    tree: Tree,
    stack: Stack<'a>,
    /// Names of one file stay names of one file.
    copies: BTreeMap<(usize, Ino), Ino>,
}

impl Squash<'_> {
    /// Puts what the stack has of a name into a directory. Returns the directory that was made of it, if one was.
    fn put(&mut self, parent: Ino, name: Name, spot: &Spot) -> Option<Ino> {
        let cells = spot.cells.iter().flatten();
        let inode_of = |position: usize, ino: Ino| self.stack.trees()[position].inode(ino);
        let Some((position, ino)) = spot.visible() else {
            let hides = cells.clone().any(|cell| cell.entry == SpotEntry::Whiteout);
            if hides && !self.tree.directory(parent).is_some_and(Directory::opaque) {
                self.tree.add_whiteout(parent, name);
            }
            return None;
        };
        let inode = inode_of(position, ino);
        if inode.node.as_directory().is_none() {
            match self.copies.get(&(position, ino)) {
                Some(copy) => self.tree.add_link(parent, name, *copy),
                None => {
                    let copy = self
                        .tree
                        .add(parent, name, inode.node.clone(), inode.metadata.clone());
                    self.copies.insert((position, ino), copy);
                }
            }
            return None;
        }
        // It hides what lies below if any of the layers does there.
        let hides = spot
            .cells
            .iter()
            .enumerate()
            .any(|(position, cell)| match cell.map(|cell| cell.entry) {
                None => false,
                Some(SpotEntry::Whiteout) => true,
                Some(SpotEntry::Inode(ino)) => inode_of(position, ino)
                    .node
                    .as_directory()
                    .is_none_or(Directory::opaque),
            });
        let implied = inode.node.as_directory().is_some_and(Directory::implied);
        let metadata: Metadata = inode.metadata.clone();
        let copy = match implied {
            true => self.tree.imply(parent, name),
            false => self
                .tree
                .add(parent, name, Node::Directory(Directory::default()), metadata),
        };
        let covered = self.tree.directory(parent).is_some_and(Directory::opaque);
        if hides && !covered {
            self.tree.set_opaque_of(copy, true);
        }
        Some(copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overlay::naive::{merged_listing, random_tree};
    use crate::random::Random;

    #[test]
    fn a_squashed_layer_does_what_its_layers_did() {
        let mut random = Random::of_run();
        for number in 0..1500 {
            let mut tree = || random_tree(&mut random);
            let (below, above) = (tree(), tree());
            let layers: Vec<Tree> = (0..2 + number % 3).map(|_| tree()).collect();
            let squashed = squash(&layers.iter().collect::<Vec<_>>());
            let mut all = vec![below.clone()];
            all.extend(layers);
            all.push(above.clone());
            let expected = merged_listing(&all);
            assert_eq!(
                merged_listing(&[below, squashed, above]),
                expected,
                "stack {number}"
            );
        }
    }
}
