//! What a user interface is shown: sessions, images, layers and entries at a glance. The shapes are mirrored in
//! `www/src/core/protocol.ts`, which documents them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::Digest;
use crate::image::Settings;
use crate::layer::Compression;
use crate::text::escape;
use crate::tree::{Device, Ino, Kind, Node, Time, Tree, TreePath};

use super::blobs::BlobState;
use super::container_view::ContainerView;
use super::machine_view::MachineGlance;
use super::opened_view::{ArchiveView, LayerOrigin, ReadingView};
use super::operation::{ArchiveId, ImageId, LayerId};
use super::state::LayerState;

/// The session at a glance.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Overview {
    pub revision: u64,
    pub archives: Vec<ArchiveView>,
    pub images: Vec<ImageView>,
    pub containers: Vec<ContainerView>,
    pub machine: Option<MachineGlance>,
    pub undo: Option<String>,
    pub redo: Option<String>,
    pub busy: bool,
}

/// An image at a glance.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct ImageView {
    pub id: ImageId,
    pub archive: Option<ArchiveId>,
    pub reference: ReferenceView,
    pub config: Settings,
    pub layers: Vec<LayerView>,
    pub documents: BTreeMap<&'static str, Option<DocumentDigest>>,
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
pub struct DocumentDigest {
    pub digest: Digest,
    pub size: u64,
}

/// A layer at a glance.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct LayerView {
    pub id: LayerId,
    pub name: String,
    pub reading: ReadingView,
    pub origin: Option<LayerOrigin>,
    pub reused: bool,
    pub entries: u64,
    pub whiteouts: u64,
    pub opaques: u64,
    pub compression: Compression,
    pub format: &'static str,
    pub history: HistoryView,
    pub notes: Vec<String>,
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

pub(super) fn blob_view(state: &BlobState, chain_id: Option<Digest>) -> BlobView {
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
            media_type: blob.media_type,
            segments: blob.segment_count(),
            segments_reused: blob.segments_reused,
        },
    }
}

pub(super) fn entry_view(layer: &LayerState, ino: Ino, path: &TreePath) -> EntryView {
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
pub(super) fn for_each_path(tree: &Tree, visit: &mut dyn FnMut(&str, Option<Ino>) -> bool) {
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
