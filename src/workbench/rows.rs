//! The stack as rows for a user interface: every path once, with what each layer says of it. Flattened when
//! something changed, then handed out in windows.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::overlay::{Change, Spot, SpotEntry, Stack, StackCell};
use crate::text::escape;
use crate::tree::{Kind, Node, TreePath};

use super::effects::{Effect, walk};
use super::error::WorkbenchError;
use super::operation::{ImageId, LayerId};
use super::state::ImageState;

/// Up to so many entries in an image, all directories are open until they are folded; above, none is.
const OPEN_LIMIT: u64 = 400;
/// Contents up to this size are compared for a row.
const COMPARE_LIMIT: u64 = 64 << 10;

/// Which rows are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowsOf {
    /// Only the rows at which this layer has something.
    pub layer: Option<LayerId>,
    /// Only paths whose name contains this, and what is above them.
    pub filter: Option<String>,
    /// Only what shows in the merged view.
    pub merged: bool,
    /// Only where that layer does this to those below it, and what is above.
    pub only: Option<Effect>,
}

/// What one layer says of one path.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Cell {
    pub what: &'static str,
    pub kind: Option<Kind>,
    pub size: u64,
    pub mode: u16,
    pub target: Option<String>,
    pub opaque: bool,
    pub links: u32,
    pub visible: bool,
    pub hidden_by: Option<LayerId>,
    pub changed: Vec<Change>,
}

/// One path of the stack.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Row {
    pub path: String,
    pub name: String,
    pub depth: usize,
    pub expandable: bool,
    pub open: bool,
    pub visible: Option<LayerId>,
    pub kind: Option<Kind>,
    pub cells: Vec<Option<Cell>>,
    pub frosted: Vec<LayerId>,
}

/// A row before it is asked for.
struct Flat {
    path: String,
    name: String,
    depth: usize,
    expandable: bool,
    open: bool,
    spot: Spot,
}

/// The rows of the last question, and which directories are open.
#[derive(Default)]
pub(super) struct Rows {
    open: BTreeMap<(ImageId, String), bool>,
    folds: u64,
    key: Option<(u64, u64, ImageId, RowsOf)>,
    flat: Vec<Flat>,
}

impl Rows {
    /// Opens or folds a directory.
    pub(super) fn set_open(&mut self, image: ImageId, path: String, open: bool) {
        self.open.insert((image, path), open);
        self.folds += 1;
    }

    /// How many rows there are.
    pub(super) fn total(&mut self, revision: u64, image: &ImageState, of: &RowsOf) -> usize {
        let key = (revision, self.folds, image.id, of.clone());
        if self.key.as_ref() != Some(&key) {
            self.flat = self.flatten(image, of);
            self.key = Some(key);
        }
        self.flat.len()
    }

    /// The rows from `from` up to `to`. [`Self::total`] was asked before.
    pub(super) fn window(
        &self,
        image: &ImageState,
        from: usize,
        to: usize,
    ) -> Result<Vec<Row>, WorkbenchError> {
        let stack = stack_of(image);
        let to = to.min(self.flat.len());
        let from = from.min(to);
        let mut above = self.directories_above(from);
        self.flat[from..to]
            .iter()
            .map(|flat| {
                above.retain(|directory| directory.depth < flat.depth);
                above.push(flat);
                let opaque = |layer: &usize| {
                    let spots = above.iter().map(|directory| &directory.spot);
                    spots
                        .chain([&stack.root()])
                        .any(|spot| stack.is_opaque(spot, *layer))
                };
                let frosted = (0..image.layers.len()).filter(opaque).collect();
                row(image, &stack, flat, frosted)
            })
            .collect()
    }

    /// The rows of the directories that the row number `index` is in, outermost first.
    fn directories_above(&self, index: usize) -> Vec<&Flat> {
        let mut depth = self.flat.get(index).map_or(0, |flat| flat.depth);
        let mut above = Vec::new();
        for flat in self.flat[..index].iter().rev() {
            if depth == 0 {
                break;
            }
            if flat.depth < depth {
                depth = flat.depth;
                above.push(flat);
            }
        }
        above.reverse();
        above
    }

    /// The number of a path's row.
    pub(super) fn position(&self, path: &str) -> Option<usize> {
        self.flat.iter().position(|flat| flat.path == path)
    }

    fn flatten(&self, image: &ImageState, of: &RowsOf) -> Vec<Flat> {
        let entries: u64 = image
            .layers
            .iter()
            .map(|layer| layer.layer.tree().counts().entries)
            .sum();
        let open_by_default = entries <= OPEN_LIMIT;
        let filter = of.filter.as_deref().unwrap_or_default().to_ascii_lowercase();
        let stack = stack_of(image);
        let position = of
            .layer
            .and_then(|id| image.layers.iter().position(|layer| layer.id == id));
        let wanted = of
            .only
            .zip(position)
            .map(|(effect, position)| paths_where(&stack, position, effect));
        let shows = |spot: &Spot| match (of.layer, of.merged) {
            // What a layer hides is not in it.
            _ if wanted.is_some() => true,
            (Some(_), _) => position.is_some_and(|position| spot.cells[position].is_some()),
            (None, true) => spot.visible().is_some(),
            (None, false) => true,
        };
        let mut flat = Vec::new();
        let mut pending = vec![(String::new(), 0, stack.root())];
        while let Some((path, depth, spot)) = pending.pop() {
            let (mut expandable, mut open) = (true, true);
            if !path.is_empty() {
                expandable = match (of.layer, of.merged) {
                    (None, false) => stack.has_children(&spot),
                    // What hides in other layers is no reason for something to be opened.
                    _ => stack
                        .names(&spot)
                        .iter()
                        .any(|name| shows(&stack.child(&spot, name))),
                };
                let chosen = self.open.get(&(image.id, path.clone())).copied();
                let searched = !filter.is_empty() || wanted.is_some();
                open = expandable && (searched || chosen.unwrap_or(open_by_default));
            }
            if open {
                for name in stack.names(&spot).iter().rev() {
                    let child = stack.child(&spot, name);
                    if shows(&child) {
                        pending.push((format!("{path}/{name}"), depth + 1, child));
                    }
                }
            }
            if !path.is_empty() {
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                flat.push(Flat {
                    name,
                    path,
                    depth: depth - 1,
                    expandable,
                    open,
                    spot,
                });
            }
        }
        if let Some(wanted) = wanted {
            keep(&mut flat, |row| wanted.contains(&row.path));
        }
        if !filter.is_empty() {
            keep(&mut flat, |row| row.name.to_ascii_lowercase().contains(&filter));
        }
        flat
    }
}

/// The paths at which a layer does this.
fn paths_where(stack: &Stack, position: usize, effect: Effect) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    walk(stack.trees(), position, |place| {
        if place.effect == Some(effect) {
            paths.insert(place.path.to_owned());
        }
    });
    paths
}

/// Keeps these rows, and the directories that they are in.
fn keep(flat: &mut Vec<Flat>, is_wanted: impl Fn(&Flat) -> bool) {
    let mut wanted_depth = None;
    for row in std::mem::take(flat).into_iter().rev() {
        let holds_match = wanted_depth.is_some_and(|depth| row.depth < depth);
        if holds_match || is_wanted(&row) {
            wanted_depth = Some(row.depth);
            flat.push(row);
        }
    }
    flat.reverse();
}

pub(super) fn stack_of(image: &ImageState) -> Stack<'_> {
    Stack::new(image.layers.iter().map(|layer| layer.layer.tree()).collect())
}

/// `frosted`: the positions of the layers in which it, or a directory that it is in, is opaque.
fn row(image: &ImageState, stack: &Stack, flat: &Flat, frosted: Vec<usize>) -> Result<Row, WorkbenchError> {
    let visible = flat.spot.visible();
    let kind = visible
        .or(flat.spot.topmost())
        .map(|(at, ino)| stack.trees()[at].inode(ino).node.kind());
    let cells = (0..image.layers.len())
        .map(|position| cell(image, stack, &flat.spot, position, COMPARE_LIMIT))
        .collect::<Result<_, _>>()?;
    Ok(Row {
        path: flat.path.clone(),
        name: flat.name.clone(),
        depth: flat.depth,
        expandable: flat.expandable,
        open: flat.open,
        visible: visible.map(|(at, _)| image.layers[at].id),
        kind,
        cells,
        frosted: frosted.into_iter().map(|at| image.layers[at].id).collect(),
    })
}

/// What a layer says of a spot. Contents up to `limit` bytes are read to tell what it changed.
pub(super) fn cell(
    image: &ImageState,
    stack: &Stack,
    spot: &Spot,
    position: usize,
    limit: u64,
) -> Result<Option<Cell>, WorkbenchError> {
    let Some(StackCell {
        entry,
        hidden_by,
        implied,
    }) = spot.cells[position]
    else {
        return Ok(None);
    };
    let visible = hidden_by.is_none();
    let hidden_by = hidden_by.map(|at| image.layers[at].id);
    let SpotEntry::Inode(ino) = entry else {
        return Ok(Some(Cell {
            what: "whiteout",
            kind: None,
            size: 0,
            mode: 0,
            target: None,
            opaque: false,
            links: 0,
            visible,
            hidden_by,
            changed: Vec::new(),
        }));
    };
    let inode = stack.trees()[position].inode(ino);
    let (size, target, opaque) = match &inode.node {
        Node::File(content) => (content.len(), None, false),
        Node::Symlink(target) => (0, Some(escape(target)), false),
        Node::Directory(directory) => (0, None, directory.opaque()),
        _ => (0, None, false),
    };
    Ok(Some(Cell {
        what: if implied { "implied" } else { "entry" },
        kind: Some(inode.node.kind()),
        size,
        mode: inode.metadata.mode,
        target,
        opaque,
        links: inode.links(),
        visible,
        hidden_by,
        changed: match implied {
            true => Vec::new(),
            false => stack.changes(spot, position, limit),
        },
    }))
}

/// The paths of the directories above `path`, outermost first.
pub(super) fn ancestors(path: &TreePath) -> impl Iterator<Item = String> + '_ {
    (1..path.names().len()).map(|depth| {
        path.names()[..depth]
            .iter()
            .cloned()
            .collect::<TreePath>()
            .to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{make, operation, session};
    use super::super::{Action, Answer, NewEntry, Query};
    use super::RowsOf;

    #[test]
    fn a_panel_covers_the_same_rows_in_every_window() {
        let mut workbench = session();
        for action in [
            make(1, "/bin/deep", NewEntry::Directory),
            make(1, "/bin/deep/fifo", NewEntry::Fifo),
            Action::SetOpaque {
                layer: 2,
                path: "/bin".into(),
                opaque: true,
                parents: true,
            },
        ] {
            workbench.apply(operation(action)).unwrap();
        }
        let mut frosted = |from, to| {
            let of = RowsOf::default();
            let query = Query::Rows {
                image: 1,
                from,
                to,
                of,
            };
            let Answer::Rows { rows, .. } = workbench.query(&query).unwrap() else {
                panic!("rows were asked for")
            };
            let rows = rows.into_iter().map(|row| (row.path, row.frosted));
            rows.collect::<Vec<_>>()
        };
        let whole = frosted(0, 99);
        for (path, frosted) in &whole {
            let expected: &[u32] = if path.starts_with("/bin") { &[2] } else { &[] };
            assert_eq!(frosted, expected, "{path}");
        }
        assert_eq!(whole.iter().filter(|row| !row.1.is_empty()).count(), 6);
        for from in 0..=whole.len() {
            assert_eq!(frosted(from, 99), whole[from..]);
        }
        // Of the root it covers all.
        let root = Action::SetOpaque {
            layer: 2,
            path: "/".into(),
            opaque: true,
            parents: false,
        };
        workbench.apply(operation(root)).unwrap();
        let query = Query::Rows {
            image: 1,
            from: 5,
            to: 99,
            of: RowsOf::default(),
        };
        let Answer::Rows { rows, .. } = workbench.query(&query).unwrap() else {
            panic!("rows were asked for")
        };
        assert!(!rows.is_empty() && rows.iter().all(|row| row.frosted == [2]));
    }
}
