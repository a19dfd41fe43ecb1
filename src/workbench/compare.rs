//! Any two points of the session's stacks held against each other: the lowest layers of an image, or a container after
//! one of its steps. What differs, path by path, and the smallest layer that makes the one of the other.

use serde::Serialize;

use crate::layer::{Compression, Layer};
use crate::overlay::{Change, DiffLayer, Difference, Place, Stack};
use crate::text::escape;
use crate::tree::{Device, Inode, Kind, Node, Time, Tree};

use super::Workbench;
use super::apply::{Applier, Result, layer_name};
use super::container::ContainerState;
use super::error::WorkbenchError;
use super::lean::whole;
use super::operation::{ImageId, LayerId};
use super::state::{ImageState, LayerState, State};

/// The most differences that are told; the layer of them has them all.
const LIMIT: usize = 100_000;
/// Contents of one size are compared up to so many bytes for the list. For a layer all of them are.
const COMPARE_LIMIT: u64 = 4 << 20;
/// And of so many pairs: in a browser each takes a third of a millisecond.
const COMPARED: u64 = 2_000;
/// The most rows of one answer.
const WINDOW_LIMIT: usize = 2000;

/// A file system at one point of its making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Point {
    /// The lowest layers of an image.
    Layers {
        /// Which image.
        image: ImageId,
        /// How many of its layers, from the bottom.
        layers: usize,
    },
    /// A container after some of its steps.
    Step {
        /// Which container.
        container: ImageId,
        /// After how many of its steps; all of them if there are fewer.
        step: usize,
    },
}

/// The trees of a point, bottom first, and the ids of their layers.
struct Side {
    trees: Vec<Tree>,
    layers: Vec<LayerId>,
}

/// What was found of two points, at a revision of the session.
pub(super) struct Compared {
    of: (u64, Point, Point),
    sides: [Side; 2],
    found: Vec<Difference>,
    more: bool,
}

/// What differs.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Comparison {
    pub total: usize,
    pub more: bool,
    pub added: usize,
    pub removed: usize,
    pub changed: usize,
    pub unread: usize,
    pub from: usize,
    pub rows: Vec<ComparedPath>,
}

/// A path on which two points differ.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct ComparedPath {
    pub path: String,
    pub changed: Vec<Change>,
    pub within: bool,
    pub before: Option<Shown>,
    pub after: Option<Shown>,
}

/// What a point shows at a path.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Shown {
    pub layer: LayerId,
    pub kind: Kind,
    pub size: u64,
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Time,
    pub target: Option<String>,
    pub device: Option<(u32, u32)>,
    pub xattrs: Vec<(String, String)>,
}

impl Side {
    fn of(state: &State, point: Point) -> Result<Self> {
        match point {
            Point::Layers { image, layers } => {
                let image = state.image(image)?;
                let lowest = image.layers.get(..layers).ok_or(WorkbenchError::Position {
                    position: layers,
                    layers: image.layers.len(),
                })?;
                Ok(Self::of_layers(lowest.iter().map(|layer| &**layer)))
            }
            Point::Step { container, step } => {
                let container: &ContainerState = state.container(container)?;
                let mut side = Self::of_layers(container.layers.iter().map(|layer| &**layer));
                side.trees.push(container.sheet(step).tree);
                side.layers.push(container.layer);
                Ok(side)
            }
        }
    }

    fn of_layers<'a>(layers: impl Iterator<Item = &'a LayerState>) -> Self {
        let (trees, layers) = layers.map(|layer| (layer.layer.tree().clone(), layer.id)).unzip();
        Self { trees, layers }
    }

    fn stack(&self) -> Stack<'_> {
        Stack::new(self.trees.iter().collect())
    }

    fn shown(&self, (position, ino): Place) -> Shown {
        Shown::of(self.layers[position], self.trees[position].inode(ino))
    }
}

impl Shown {
    fn of(layer: LayerId, inode: &Inode) -> Self {
        let metadata = &inode.metadata;
        let xattrs = metadata.xattrs.iter();
        Self {
            layer,
            kind: inode.node.kind(),
            size: match &inode.node {
                Node::File(content) => content.len(),
                _ => 0,
            },
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            mtime: metadata.mtime,
            target: match &inode.node {
                Node::Symlink(target) => Some(escape(target)),
                _ => None,
            },
            device: (inode.node.device()).map(|Device { major, minor }| (major, minor)),
            xattrs: xattrs
                .map(|(name, value)| (escape(name), escape(value)))
                .collect(),
        }
    }
}

impl Compared {
    fn new(state: &State, of: (u64, Point, Point)) -> Result<Self> {
        let sides = [Side::of(state, of.1)?, Side::of(state, of.2)?];
        let (a, b) = (sides[0].stack(), sides[1].stack());
        let mut differences = a.differences_within(&b, COMPARE_LIMIT, COMPARED);
        let found: Vec<_> = differences.by_ref().take(LIMIT).collect();
        let more = differences.next().is_some();
        drop(differences);
        Ok(Self {
            of,
            sides,
            found,
            more,
        })
    }

    fn window(&self, from: usize, to: usize) -> Comparison {
        let total = self.found.len();
        let to = to.min(from.saturating_add(WINDOW_LIMIT)).min(total);
        let from = from.min(to);
        let row = |difference: &Difference| {
            let [before, after] = [(0, difference.before), (1, difference.after)].map(
                |(side, place): (usize, Option<Place>)| place.map(|place| self.sides[side].shown(place)),
            );
            ComparedPath {
                path: escape(&difference.path),
                changed: difference.changes.clone(),
                within: difference.is_within,
                before,
                after,
            }
        };
        let removed = self.found.iter().filter(|path| path.after.is_none()).count();
        let added = self.found.iter().filter(|path| path.before.is_none()).count();
        let unread = |path: &&Difference| path.changes.contains(&Change::ContentUnread);
        Comparison {
            unread: self.found.iter().filter(unread).count(),
            total,
            more: self.more,
            added,
            removed,
            changed: total - added - removed,
            from,
            rows: self.found[from..to].iter().map(row).collect(),
        }
    }
}

/// The smallest layer that makes `after` of `before`. Its whiteouts get this time, in seconds.
fn layer_between(state: &State, before: Point, after: Point, whiteout_time: i64) -> Result<Tree> {
    let (before, after) = (Side::of(state, before)?, Side::of(state, after)?);
    let (a, b) = (before.stack(), after.stack());
    let mut layer = DiffLayer::new(&b, whiteout_time);
    for difference in a.differences(&b, u64::MAX) {
        layer.add(&difference);
    }
    Ok(layer.finish())
}

/// What a point stands on, if all of that has been read.
fn check_read(state: &State, point: Point) -> Result<()> {
    let Point::Layers { image, .. } = point else {
        return Ok(());
    };
    let image: &ImageState = state.image(image)?;
    match image.layers.iter().find(|layer| !layer.layer.is_read()) {
        Some(layer) => Err(WorkbenchError::Busy {
            layer: layer.name.clone(),
        }),
        None => Ok(()),
    }
}

impl Workbench {
    /// What differs between two points, a window of it.
    pub(super) fn compare(
        &mut self,
        before: Point,
        after: Point,
        from: usize,
        to: usize,
    ) -> Result<Comparison> {
        whole()?;
        let of = (self.revision, before, after);
        if self.compared.as_ref().is_none_or(|compared| compared.of != of) {
            self.compared = Some(Compared::new(&self.state, of)?);
        }
        let compared = self.compared.as_ref().expect("it was just made");
        Ok(compared.window(from, to))
    }

    /// The layer between two points; its whiteouts have the time 0.
    pub(super) fn difference_layer(&self, before: Point, after: Point) -> Result<Layer> {
        whole()?;
        check_read(&self.state, before)?;
        check_read(&self.state, after)?;
        Ok(Layer::from_tree(layer_between(&self.state, before, after, 0)?))
    }
}

impl Applier<'_> {
    /// Puts the layer that makes `after` of `before` on top of an image.
    pub(super) fn add_difference(
        &mut self,
        image: ImageId,
        layer: LayerId,
        name: &str,
        before: Point,
        after: Point,
    ) -> Result<()> {
        whole()?;
        for point in [before, after] {
            if let Point::Layers { image, .. } = point
                && let Some(top) = self.state.image(image)?.layers.last()
            {
                self.ensure_read(top.id)?;
            }
        }
        let tree = layer_between(self.state, before, after, self.time.seconds)?;
        let layer = LayerState {
            id: layer,
            name: layer_name(name)?,
            layer: Layer::from_tree(tree),
            compression: Compression::default(),
            created_by: Some("handroll diff".to_owned()),
            comment: None,
            came: None,
            absorbed: Vec::new(),
        };
        self.insert_layer(image, layer, None)
    }
}
