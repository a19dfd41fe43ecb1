//! What a user interface asks. The answers' shapes are mirrored in `www/src/core/protocol.ts`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, chain_id};
use crate::image::archive::archive_plan;
use crate::image::preflight::{Finding, Root, RootEntry, RootKind, preflight};
use crate::image::{Documents, Settings};
use crate::layer::{Compression, Format, format_of};
use crate::overlay::{SpotEntry, Stack};
use crate::text::escape;
use crate::tree::{Device, Ino, Kind, Node, Time, Tree, TreePath};

use super::Workbench;
use super::blobs::BlobState;
use super::error::WorkbenchError;
use super::operation::{ImageId, LayerId};
use super::rows::{Cell, Row, RowsOf, ancestors, cell, stack_of};
use super::state::{ImageState, LayerState};

/// The most rows or finds that one answer has.
const WINDOW_LIMIT: usize = 2000;

/// A question.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "query", rename_all = "snake_case")]
#[allow(missing_docs, reason = "documented in the protocol")]
pub enum Query {
    Overview,
    Rows {
        image: ImageId,
        from: usize,
        to: usize,
        #[serde(flatten)]
        of: RowsOf,
    },
    RowOf {
        image: ImageId,
        path: String,
        #[serde(flatten)]
        of: RowsOf,
    },
    Column {
        image: ImageId,
        path: String,
    },
    Document {
        image: ImageId,
        document: String,
    },
    Find {
        image: ImageId,
        text: String,
        limit: usize,
    },
    Preflight {
        image: ImageId,
    },
    Journal,
}

/// An answer, in the shape that the protocol has for its question.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub enum Answer {
    Overview(Overview),
    Rows {
        revision: u64,
        total: usize,
        from: usize,
        rows: Vec<Row>,
    },
    RowOf(Option<usize>),
    Column(Column),
    Document(Option<DocumentView>),
    Find(Vec<Found>),
    Preflight(Vec<Finding>),
    Journal {
        labels: Vec<String>,
        done: usize,
    },
}

/// The session at a glance.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Overview {
    pub revision: u64,
    pub images: Vec<ImageView>,
    pub undo: Option<String>,
    pub redo: Option<String>,
    pub busy: bool,
}

/// An image at a glance.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct ImageView {
    pub id: ImageId,
    pub reference: ReferenceView,
    pub config: Settings,
    pub layers: Vec<LayerView>,
    pub documents: BTreeMap<&'static str, Option<Sized>>,
    pub archive_size: Option<u64>,
}

/// A name, taken apart.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct ReferenceView {
    pub text: String,
    pub registry: String,
    pub repository: String,
    pub tag: String,
    pub canonical: String,
    pub familiar: String,
}

/// A document's name and size.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Sized {
    pub digest: Digest,
    pub size: u64,
}

/// A layer at a glance.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct LayerView {
    pub id: LayerId,
    pub name: String,
    pub entries: u64,
    pub whiteouts: u64,
    pub opaques: u64,
    pub compression: Compression,
    pub format: &'static str,
    pub history: HistoryView,
    pub blob: BlobView,
}

/// A layer's line in the history.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct HistoryView {
    pub created_by: Option<String>,
    pub comment: Option<String>,
}

/// Where a layer's hashes stand.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[allow(missing_docs, reason = "documented in the protocol")]
pub enum BlobView {
    Stale,
    Working {
        done: u64,
        total: u64,
    },
    Failed {
        message: String,
    },
    Known {
        diff_id: Digest,
        diff_size: u64,
        chain_id: Option<Digest>,
        digest: Digest,
        size: u64,
        media_type: &'static str,
        segments: usize,
        segments_reused: usize,
    },
}

/// A path through the whole stack.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Column {
    pub path: String,
    pub visible: Option<LayerId>,
    pub layers: Vec<ColumnLayer>,
}

/// One layer of a column.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct ColumnLayer {
    pub layer: LayerId,
    pub cell: Option<Cell>,
    pub entry: Option<EntryView>,
}

/// An entry with its attributes.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct EntryView {
    pub layer: LayerId,
    pub path: String,
    pub kind: Kind,
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Time,
    pub xattrs: Vec<XattrView>,
    pub size: u64,
    pub target: Option<String>,
    pub device: Option<DeviceView>,
    pub opaque: bool,
    pub names: Vec<String>,
    pub children: usize,
}

/// An extended attribute.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct XattrView {
    pub name: String,
    pub value: String,
}

/// A device's number.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct DeviceView {
    pub major: u32,
    pub minor: u32,
}

/// A document's text.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct DocumentView {
    pub text: String,
    pub digest: Digest,
    pub size: u64,
}

/// A path that was found.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Found {
    pub layer: LayerId,
    pub path: String,
    pub kind: Option<Kind>,
    pub visible: bool,
}

impl Workbench {
    /// Answers a question. Changes nothing but which rows are kept ready.
    pub fn query(&mut self, query: &Query) -> Result<Answer, WorkbenchError> {
        Ok(match query {
            Query::Overview => Answer::Overview(self.overview()),
            Query::Rows { image, from, to, of } => {
                let image = self.state.image(*image)?.clone();
                let total = self.rows.total(self.revision, &image, of);
                let to = (*to).min(from.saturating_add(WINDOW_LIMIT));
                let rows = self.rows.window(&image, *from, to)?;
                Answer::Rows {
                    revision: self.revision,
                    total,
                    from: *from,
                    rows,
                }
            }
            Query::RowOf { image, path, of } => self.row_of(*image, path, of)?,
            Query::Column { image, path } => Answer::Column(column(self.state.image(*image)?, path)?),
            Query::Document { image, document } => Answer::Document(self.document(*image, document)?),
            Query::Find { image, text, limit } => {
                Answer::Find(find(self.state.image(*image)?, text, (*limit).min(WINDOW_LIMIT)))
            }
            Query::Preflight { image } => {
                let image = self.state.image(*image)?;
                Answer::Preflight(preflight(&image.settings, &MergedRoot(stack_of(image))))
            }
            Query::Journal => {
                let (labels, done) = self.journal.labels();
                Answer::Journal { labels, done }
            }
        })
    }

    /// Opens or folds a directory's rows. No change to the session: the journal does not know of it.
    pub fn set_open(&mut self, image: ImageId, path: &str, open: bool) {
        self.rows.set_open(image, path.to_owned(), open);
    }

    fn row_of(&mut self, image: ImageId, path: &str, of: &RowsOf) -> Result<Answer, WorkbenchError> {
        let image = self.state.image(image)?.clone();
        for ancestor in ancestors(&TreePath::parse(path)?) {
            self.rows.set_open(image.id, ancestor, true);
        }
        self.rows.total(self.revision, &image, of);
        Ok(Answer::RowOf(self.rows.position(path)))
    }

    fn overview(&self) -> Overview {
        Overview {
            revision: self.revision,
            images: self
                .state
                .images
                .iter()
                .map(|image| self.image_view(image))
                .collect(),
            undo: self.journal.undo_label(),
            redo: self.journal.redo_label(),
            busy: self.blobs.busy(),
        }
    }

    fn image_view(&self, image: &ImageState) -> ImageView {
        let documents = self.documents(image);
        let archive_size = documents
            .as_ref()
            .map(|(documents, layers)| archive_plan(documents, layers).size);
        let mut below = Some(None);
        let layers = image
            .layers
            .iter()
            .map(|layer| self.layer_view(layer, &mut below))
            .collect();
        let reference = &image.reference;
        ImageView {
            id: image.id,
            reference: ReferenceView {
                text: reference.text().to_owned(),
                registry: reference.registry().to_owned(),
                repository: reference.repository().to_owned(),
                tag: reference.tag().to_owned(),
                canonical: reference.canonical(),
                familiar: reference.familiar(),
            },
            config: image.settings.clone(),
            layers,
            documents: DOCUMENTS
                .iter()
                .map(|(name, get)| {
                    let document = documents.as_ref().map(|(documents, _)| get(documents));
                    let sized = document.map(|document| Sized {
                        digest: document.digest,
                        size: document.bytes.len() as u64,
                    });
                    (*name, sized)
                })
                .collect(),
            archive_size,
        }
    }

    /// `below` is the ChainID of the layers below: none of them yet, or unknown for good.
    fn layer_view(&self, state: &LayerState, below: &mut Option<Option<Digest>>) -> LayerView {
        let blob = self.blobs.state(state.id);
        *below = match blob {
            BlobState::Known(blob) => below.map(|below| Some(chain_id(below, blob.diff_id))),
            _ => None,
        };
        let counts = state.layer.tree().counts();
        LayerView {
            id: state.id,
            name: state.name.clone(),
            entries: counts.entries,
            whiteouts: counts.whiteouts,
            opaques: counts.opaques,
            compression: state.compression,
            format: match (state.layer.is_original(), format_of(state.layer.tree())) {
                (true, _) => "original",
                (false, Format::Gnu) => "gnu",
                (false, Format::Pax) => "pax",
            },
            history: HistoryView {
                created_by: state.created_by.clone(),
                comment: state.comment.clone(),
            },
            blob: blob_view(blob, below.flatten()),
        }
    }

    fn document(&self, image: ImageId, name: &str) -> Result<Option<DocumentView>, WorkbenchError> {
        let documents = self.documents(self.state.image(image)?);
        let get = DOCUMENTS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, get)| get);
        Ok(documents.as_ref().zip(get).map(|((documents, _), get)| {
            let document = get(documents);
            DocumentView {
                text: String::from_utf8_lossy(&document.bytes).into_owned(),
                digest: document.digest,
                size: document.bytes.len() as u64,
            }
        }))
    }
}

type Get = fn(&Documents) -> &crate::image::archive::Document;

/// The documents by the names that the protocol has for them.
const DOCUMENTS: [(&str, Get); 5] = [
    ("config", |documents| &documents.config),
    ("manifest", |documents| &documents.manifest),
    ("index", |documents| &documents.index),
    ("oci-layout", |documents| &documents.layout),
    ("manifest.json", |documents| &documents.docker),
];

fn blob_view(state: &BlobState, chain_id: Option<Digest>) -> BlobView {
    match state {
        BlobState::Stale => BlobView::Stale,
        &BlobState::Working { done, total } => BlobView::Working { done, total },
        BlobState::Failed(error) => BlobView::Failed {
            message: error.to_string(),
        },
        BlobState::Known(blob) => BlobView::Known {
            diff_id: blob.diff_id,
            diff_size: blob.diff_size,
            chain_id,
            digest: blob.digest,
            size: blob.size,
            media_type: blob.compression.media_type(),
            segments: blob.segment_count(),
            segments_reused: blob.segments_reused,
        },
    }
}

fn column(image: &ImageState, path: &str) -> Result<Column, WorkbenchError> {
    /// A person looks at one path: much can be read to say what changed.
    const COMPARE_LIMIT: u64 = 16 << 20;
    let path = TreePath::parse(path)?;
    let stack = stack_of(image);
    let spot = stack.spot(&path);
    let layers = image.layers.iter().enumerate().map(|(position, layer)| {
        let entry = match spot.cells[position].map(|cell| cell.entry) {
            Some(SpotEntry::Inode(ino)) => Some(entry_view(layer, ino, &path)),
            _ => None,
        };
        let cell = cell(image, &stack, &spot, position, COMPARE_LIMIT)?;
        Ok(ColumnLayer {
            layer: layer.id,
            cell,
            entry,
        })
    });
    Ok(Column {
        path: path.to_string(),
        visible: spot.visible().map(|(position, _)| image.layers[position].id),
        layers: layers.collect::<Result<_, WorkbenchError>>()?,
    })
}

fn entry_view(layer: &LayerState, ino: Ino, path: &TreePath) -> EntryView {
    let tree = layer.layer.tree();
    let inode = tree.inode(ino);
    let metadata = &inode.metadata;
    let (size, target, opaque, children) = match &inode.node {
        Node::File(content) => (content.len(), None, false, 0),
        Node::Symlink(target) => (0, Some(escape(target)), false, 0),
        Node::Directory(directory) => (0, None, directory.opaque(), directory.entries().len()),
        _ => (0, None, false, 0),
    };
    let xattr = |(name, value): (&Vec<u8>, &Vec<u8>)| XattrView {
        name: escape(name),
        value: escape(value),
    };
    EntryView {
        layer: layer.id,
        path: path.to_string(),
        kind: inode.node.kind(),
        mode: metadata.mode,
        uid: metadata.uid,
        gid: metadata.gid,
        mtime: metadata.mtime,
        xattrs: metadata.xattrs.iter().map(xattr).collect(),
        size,
        target,
        device: inode
            .node
            .device()
            .map(|Device { major, minor }| DeviceView { major, minor }),
        opaque,
        names: if inode.links() > 1 && ino != Ino::ROOT {
            names_of(tree, ino)
        } else {
            vec![path.to_string()]
        },
        children,
    }
}

/// All paths of an inode, in the order of the tar.
fn names_of(tree: &Tree, wanted: Ino) -> Vec<String> {
    let mut names = Vec::new();
    for_each_path(tree, &mut |path, ino| {
        if ino == Some(wanted) {
            names.push(path.to_owned());
        }
        true
    });
    names
}

/// Calls `visit` with every path of a tree and its inode, whiteouts with none, until it says stop.
fn for_each_path(tree: &Tree, visit: &mut dyn FnMut(&str, Option<Ino>) -> bool) {
    // One path that grows and shrinks: of each only its last name is made.
    let mut path = String::new();
    let mut pending = Vec::new();
    let mut at = Some(Ino::ROOT);
    loop {
        if let Some(directory) = at.and_then(|ino| tree.directory(ino)) {
            let (from, parent) = (pending.len(), path.len());
            let entries = directory.entries().iter();
            pending.extend(entries.map(|(name, ino)| (parent, name.clone(), Some(*ino))));
            let whiteouts = directory.whiteouts().iter();
            pending.extend(whiteouts.map(|name| (parent, name.clone(), None)));
            pending[from..].reverse();
        }
        let Some((parent, name, ino)) = pending.pop() else {
            return;
        };
        path.truncate(parent);
        path.push('/');
        path.push_str(&escape(name.as_bytes()));
        if !visit(&path, ino) {
            return;
        }
        at = ino;
    }
}

fn find(image: &ImageState, text: &str, limit: usize) -> Vec<Found> {
    let text = text.to_lowercase();
    let stack = stack_of(image);
    let mut found = Vec::new();
    for layer in image.layers.iter().rev() {
        let tree = layer.layer.tree();
        for_each_path(tree, &mut |path, ino| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let wanted = if text.contains('/') { path } else { name };
            if found.len() < limit && !text.is_empty() && wanted.to_lowercase().contains(&text) {
                found.push(Found {
                    layer: layer.id,
                    path: path.to_owned(),
                    kind: ino.map(|ino| tree.inode(ino).node.kind()),
                    visible: false,
                });
            }
            found.len() < limit
        });
    }
    for found in &mut found {
        let Ok(path) = TreePath::parse(&found.path) else {
            continue;
        };
        let position = image.layers.iter().position(|layer| layer.id == found.layer);
        let cell = position.and_then(|position| stack.spot(&path).cells[position]);
        found.visible = cell.is_some_and(|cell| cell.hidden_by.is_none());
    }
    found
}

/// The merged view, for the preflight.
struct MergedRoot<'a>(Stack<'a>);

impl Root for MergedRoot<'_> {
    fn lookup(&self, path: &[u8]) -> Option<RootEntry> {
        let inode = self.0.lookup(&TreePath::from_bytes(path).ok()?)?;
        let kind = match &inode.node {
            Node::Directory(_) => RootKind::Directory,
            Node::File(content) => RootKind::File(content.clone()),
            Node::Symlink(target) => RootKind::Symlink(target.to_vec()),
            _ => RootKind::Other,
        };
        let metadata = &inode.metadata;
        Some(RootEntry {
            kind,
            mode: metadata.mode.into(),
            uid: metadata.uid,
            gid: metadata.gid,
        })
    }
}
