//! What is shown of an opened archive: its graph, its documents, its history, what became of its blobs, and what each
//! layer does to those below. The shapes are mirrored in `www/src/core/protocol.ts`, which documents them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::Digest;
use crate::image::archive::Document;
use crate::image::catalog::rebuild::Rebuilt;
use crate::image::catalog::{Catalog, NodeId, NodeKind, Severity, State as NodeState};
use crate::layer::{ReadError, Reading};
use crate::overlay::Stack;
use crate::text;

use super::Workbench;
use super::effects::{Effect, size_of, walk};
use super::error::WorkbenchError;
use super::opened::is_reused;
use super::operation::{ArchiveId, ImageId, LayerId};
use super::rows::stack_of;
use super::state::{ArchiveState, ImageState, LayerState};
use super::view::DocumentDigest;

/// The most bytes of a document's text that are shown.
const TEXT_LIMIT: usize = 1 << 20;

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct ArchiveView {
    pub id: ArchiveId,
    pub name: String,
    pub format: &'static str,
    pub images: Vec<ImageId>,
    pub errors: usize,
    pub warnings: usize,
    pub untouched: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[allow(missing_docs, reason = "documented in the protocol")]
pub enum ReadingView {
    Read,
    Waiting,
    Working {
        stage: &'static str,
        done: u64,
        total: u64,
    },
    Damaged {
        message: String,
        no_room: bool,
    },
    Missing {
        message: String,
        foreign: bool,
    },
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct LayerOrigin {
    pub archive: ArchiveId,
    pub node: Option<u32>,
    pub media_type: String,
    pub packing: Option<&'static str>,
    pub digest: Option<String>,
    pub diff_id: Option<String>,
    pub size: u64,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Graph {
    pub nodes: Vec<GraphNode>,
    pub links: Vec<GraphLink>,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct GraphLink {
    pub from: u32,
    pub to: u32,
    pub pointer: String,
    pub platform: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct GraphNode {
    pub node: u32,
    pub path: String,
    pub parent: Option<u32>,
    pub pointer: String,
    pub kind: &'static str,
    pub media_type: String,
    pub digest: Option<String>,
    pub size: Option<u64>,
    pub actual: Option<Digest>,
    pub state: &'static str,
    pub platform: Option<String>,
    pub names: Vec<String>,
    pub annotations: BTreeMap<String, String>,
    pub image: Option<ImageId>,
    pub layer: Option<LayerId>,
    pub reused: bool,
    pub problems: usize,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct RawDocument {
    pub text: String,
    pub truncated: bool,
    pub digest: Digest,
    pub size: u64,
    pub now: Option<super::view::DocumentView>,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct HistoryRow {
    pub created: Option<String>,
    pub created_by: Option<String>,
    pub comment: Option<String>,
    pub author: Option<String>,
    pub empty: bool,
    pub layer: Option<LayerId>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct LayerSummary {
    pub added: u64,
    pub changed: u64,
    pub hidden: u64,
    pub added_bytes: u64,
    pub changed_bytes: u64,
    pub wasted_bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Change {
    pub what: &'static str,
    pub layer: Option<LayerId>,
    pub name: String,
    pub before: Option<BlobName>,
    pub after: Option<BlobName>,
    pub state: &'static str,
}

/// What names a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct BlobName {
    pub digest: String,
    pub size: u64,
}

impl From<&Document> for BlobName {
    fn from(document: &Document) -> Self {
        Self {
            digest: document.digest.to_string(),
            size: document.bytes.len() as u64,
        }
    }
}

impl Workbench {
    pub(super) fn archive_view(&self, archive: &ArchiveState) -> ArchiveView {
        let count = |severity: Severity| {
            let problems = archive.catalog.problems.iter();
            problems.filter(|problem| problem.severity() == severity).count()
        };
        let images: Vec<_> = self.state.images_of(archive.id).map(|(_, image)| image).collect();
        let whole = images.len() == archive.catalog.images.len();
        ArchiveView {
            id: archive.id,
            name: archive.name.clone(),
            format: archive.catalog.format.name(),
            images: images.iter().map(|image| image.id).collect(),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            untouched: whole && images.iter().all(|image| is_untouched(image)),
        }
    }

    pub(super) fn reading_view(&self, layer: &LayerState) -> ReadingView {
        let Some(origin) = layer.layer.origin() else {
            return ReadingView::Read;
        };
        match (origin.read(), self.readings.at(&layer.layer)) {
            (Some(read), _) => match &read.damage {
                None => ReadingView::Read,
                Some(ReadError::Missing { reason }) => ReadingView::Missing {
                    message: reason.clone(),
                    foreign: reason.contains("can be had from"),
                },
                Some(error) => ReadingView::Damaged {
                    message: error.to_string(),
                    no_room: error.is_no_room(),
                },
            },
            (None, Some(Reading::Unpacking { done, total })) => ReadingView::Working {
                stage: "unpacking",
                done,
                total,
            },
            (None, Some(Reading::Indexing { done, total })) => ReadingView::Working {
                stage: "indexing",
                done,
                total,
            },
            (None, _) => ReadingView::Waiting,
        }
    }

    pub(super) fn layer_origin(&self, layer: &LayerState) -> Option<LayerOrigin> {
        let came = layer.came.as_ref()?;
        let archive = self.state.archive(came.archive).ok()?;
        let entry = &archive.catalog.images[came.image].layers[came.layer];
        let node = archive.catalog.node(entry.node);
        let link = entry.link.map(|link| archive.catalog.link(link));
        let annotations = link.map_or(&[][..], |link| &link.annotations);
        let packing = layer.layer.origin().filter(|_| node.content.is_some());
        Some(LayerOrigin {
            archive: came.archive,
            node: Some(entry.node.0),
            media_type: link.and_then(|link| link.media_type.clone()).unwrap_or_default(),
            packing: packing.map(|origin| origin.packing().name()),
            digest: link
                .and_then(|link| link.digest.as_ref())
                .map(|claim| claim.text().to_owned()),
            diff_id: entry.diff_id.as_ref().map(|claim| claim.text().to_owned()),
            size: node.size().or(link.and_then(|link| link.size)).unwrap_or(0),
            annotations: annotations.iter().cloned().collect(),
        })
    }

    pub(super) fn graph(&self, archive: ArchiveId) -> Result<Graph, WorkbenchError> {
        let archive = self.state.archive(archive)?.clone();
        let catalog = &archive.catalog;
        let digests = self.digests_of(&archive);
        let rebuilt = self.rebuild(&archive, None).ok().flatten();
        let mut images = BTreeMap::new();
        let mut layers = BTreeMap::new();
        for (number, image) in self.state.images_of(archive.id) {
            let entry = &catalog.images[number];
            images.extend(entry.manifest.or(entry.config).map(|node| (node, image.id)));
            for layer in &image.layers {
                let came = layer
                    .came
                    .as_ref()
                    .filter(|came| (came.archive, came.image) == (archive.id, number));
                layers.extend(came.map(|came| (entry.layers[came.layer].node, (layer.id, is_reused(layer)))));
            }
        }
        let nodes = catalog.node_ids().map(|(id, _)| {
            let actual = digests.get(&id).copied();
            let mut node = graph_node(catalog, id, actual);
            node.image = images.get(&id).copied();
            let layer = layers.get(&id);
            node.layer = layer.map(|(layer, _)| *layer);
            let changed = rebuilt.as_ref().is_some_and(|rebuilt| is_changed(rebuilt, id));
            node.reused = layer.map_or(!changed, |(_, reused)| *reused);
            node
        });
        let links = catalog.links.iter().map(|link| GraphLink {
            from: link.from.0,
            to: link.to.0,
            pointer: link.pointer.clone(),
            platform: link.platform.as_ref().map(ToString::to_string),
        });
        Ok(Graph {
            nodes: nodes.collect(),
            links: links.collect(),
        })
    }

    pub(super) fn raw(&self, archive: ArchiveId, node: u32) -> Result<RawDocument, WorkbenchError> {
        let archive = self.state.archive(archive)?.clone();
        let missing = || WorkbenchError::NoNode { node };
        let found = archive.catalog.nodes.get(node as usize).ok_or_else(missing)?;
        let content = found.content.as_ref().ok_or_else(missing)?;
        let shown = content.slice(0, content.len().min(TEXT_LIMIT as u64));
        let bytes = shown.read_all(TEXT_LIMIT as u64)?;
        let rebuilt = self.rebuild(&archive, None).ok().flatten();
        let now = rebuilt
            .as_ref()
            .and_then(|rebuilt| rebuilt.changed.get(&NodeId(node)));
        Ok(RawDocument {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            truncated: content.len() > TEXT_LIMIT as u64,
            digest: match found.actual {
                Some(actual) => actual,
                None => content.digest()?,
            },
            size: content.len(),
            now: now.map(|document| super::view::DocumentView {
                text: String::from_utf8_lossy(&document.bytes[..document.bytes.len().min(TEXT_LIMIT)])
                    .into_owned(),
                digest: document.digest,
                size: document.bytes.len() as u64,
            }),
        })
    }

    pub(super) fn history(&self, image: ImageId) -> Result<Vec<HistoryRow>, WorkbenchError> {
        let image = self.state.image(image)?;
        let Some(opened) = image.opened().filter(|opened| !opened.entry().history.is_empty()) else {
            let row = |layer: &std::sync::Arc<LayerState>| HistoryRow {
                created: image.settings.created.clone(),
                created_by: layer.created_by.clone(),
                comment: layer.comment.clone(),
                author: None,
                empty: false,
                layer: Some(layer.id),
            };
            return Ok(image.layers.iter().map(row).collect());
        };
        let layer_at = |number: usize| {
            let is_it = |layer: &&std::sync::Arc<LayerState>| {
                layer.came.as_ref().is_some_and(|came| {
                    (came.archive, came.image, came.layer) == (opened.archive, opened.number, number)
                })
            };
            image.layers.iter().find(is_it).map(|layer| layer.id)
        };
        let rows = opened.entry().history.iter().map(|line| HistoryRow {
            created: line.created.clone(),
            created_by: line.created_by.clone(),
            comment: line.comment.clone(),
            author: line.author.clone(),
            empty: line.empty_layer,
            layer: line.layer.and_then(layer_at),
        });
        Ok(rows.collect())
    }

    pub(super) fn summary(&self, layer: LayerId) -> Result<LayerSummary, WorkbenchError> {
        let (image, position) = self.state.place_of(layer)?;
        Ok(summary(&stack_of(self.state.image(image)?), position))
    }

    /// The image's blobs before and after what was done.
    pub(super) fn changes(&self, image: ImageId) -> Result<Vec<Change>, WorkbenchError> {
        let image = self.state.image(image)?.clone();
        let Some(opened) = image.opened() else {
            return Ok(Vec::new());
        };
        let archive = self.state.archive(opened.archive)?.clone();
        let (catalog, entry) = (&opened.catalog, opened.entry());
        let rebuilt = self.rebuild(&archive, None)?;
        let mut changes = Vec::new();
        let mut seen = vec![false; entry.layers.len()];
        for layer in &image.layers {
            let came = layer
                .came
                .as_ref()
                .filter(|came| (came.archive, came.image) == (opened.archive, opened.number));
            came.iter().for_each(|came| seen[came.layer] = true);
            let before =
                came.and_then(|came| self.layer_name_before(catalog, entry.layers[came.layer].node, layer));
            let after = match is_reused(layer) {
                true => before.clone(),
                false => self.blobs.known(layer.id).map(|blob| BlobName {
                    digest: blob.digest.to_string(),
                    size: blob.size,
                }),
            };
            changes.push(change(
                "layer",
                Some(layer.id),
                layer.name.clone(),
                before,
                after,
                is_reused(layer),
            ));
        }
        for (number, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
            let node = entry.layers[number].node;
            let before = claimed_name(catalog, node);
            changes.push(Change {
                what: "layer",
                layer: None,
                name: format!("layer {}", number + 1),
                before,
                after: None,
                state: "gone",
            });
        }
        let documents = rebuilt
            .as_ref()
            .and_then(|rebuilt| rebuilt.images.get(opened.number)?.as_ref());
        let before = |node: Option<NodeId>| node.and_then(|node| claimed_name(catalog, node));
        let config = documents
            .and_then(|documents| documents.config.as_ref())
            .map(BlobName::from);
        let manifest = documents
            .and_then(|documents| documents.manifest.as_ref())
            .map(BlobName::from);
        for (what, node, after) in [
            ("config", entry.config, config),
            ("manifest", entry.manifest, manifest),
        ] {
            let before = before(node);
            let same = before.is_some() && before == after;
            changes.push(change(what, None, what.to_owned(), before, after, same));
        }
        let indexes = entry.path.iter().rev().map(|link| catalog.link(*link).from);
        for node in indexes {
            let before = claimed_name(catalog, node);
            let now = rebuilt
                .as_ref()
                .map(|rebuilt| rebuilt.changed.get(&node).map(BlobName::from));
            let after = now.map(|now| now.or_else(|| before.clone())).unwrap_or_default();
            let same = before == after;
            let name = String::from_utf8_lossy(&catalog.node(node).path).into_owned();
            changes.push(change("index", None, name, before, after, same));
        }
        Ok(changes)
    }

    fn layer_name_before(&self, catalog: &Catalog, node: NodeId, layer: &LayerState) -> Option<BlobName> {
        claimed_name(catalog, node).or_else(|| {
            let read = layer.layer.as_read()?;
            let known = self
                .blobs
                .known(layer.id)
                .filter(|_| is_reused(layer))
                .map(|blob| blob.digest);
            let digest = read.sums.map(|sums| sums.digest).or(known)?;
            Some(BlobName {
                digest: digest.to_string(),
                size: catalog.node(node).size().unwrap_or(0),
            })
        })
    }

    /// An image's documents by the names that the protocol has for them, once they are known.
    pub(super) fn named_documents(&self, image: &ImageState) -> Result<Option<Named>, WorkbenchError> {
        let Some(opened) = image.opened() else {
            let documents = self.documents(image).map(|(documents, _)| documents);
            return Ok(documents.map(|documents| {
                BTreeMap::from([
                    ("config", documents.config),
                    ("manifest", documents.manifest),
                    ("index", documents.index),
                    ("oci-layout", documents.layout),
                    ("manifest.json", documents.docker),
                ])
            }));
        };
        let archive = self.state.archive(opened.archive)?.clone();
        let Some(rebuilt) = self.rebuild(&archive, None)? else {
            return Ok(None);
        };
        let mut named = Named::new();
        if let Some(own) = rebuilt.images.get(opened.number).and_then(Option::as_ref) {
            named.extend(own.config.clone().map(|document| ("config", document)));
            named.extend(own.manifest.clone().map(|document| ("manifest", document)));
        }
        for (name, path) in [
            ("index", "index.json"),
            ("oci-layout", "oci-layout"),
            ("manifest.json", "manifest.json"),
        ] {
            let file = rebuilt.files.iter().find(|file| file.path == path.as_bytes());
            let bytes = file.map(|file| match &file.body {
                crate::image::catalog::rebuild::Body::Bytes(bytes) => Ok(bytes.clone()),
                crate::image::catalog::rebuild::Body::Kept(content) => {
                    content.read_all(crate::image::json::SIZE_LIMIT)
                }
                crate::image::catalog::rebuild::Body::Layer(..) => Ok(Vec::new()),
            });
            named.extend(bytes.transpose()?.map(|bytes| (name, Document::from(bytes))));
        }
        Ok(Some(named))
    }
}

/// Documents by the names that the protocol has for them.
pub(super) type Named = BTreeMap<&'static str, Document>;

impl From<&Document> for DocumentDigest {
    fn from(document: &Document) -> Self {
        Self {
            digest: document.digest,
            size: document.bytes.len() as u64,
        }
    }
}

fn change(
    what: &'static str,
    layer: Option<LayerId>,
    name: String,
    before: Option<BlobName>,
    after: Option<BlobName>,
    is_same: bool,
) -> Change {
    let state = match (&before, &after) {
        _ if is_same => "reused",
        (Some(before), Some(after)) if before == after => "reused",
        (_, None) => "unknown",
        (None, Some(_)) => "new",
        (Some(_), Some(_)) => "changed",
    };
    Change {
        what,
        layer,
        name,
        before,
        after,
        state,
    }
}

/// What names a node where it is named, else what its bytes give.
fn claimed_name(catalog: &Catalog, id: NodeId) -> Option<BlobName> {
    let node = catalog.node(id);
    let link = node.links_in.first().map(|link| catalog.link(*link));
    let claimed = link
        .and_then(|link| link.digest.as_ref())
        .map(|claim| claim.text().to_owned());
    let digest = claimed.or_else(|| node.actual.map(|digest| digest.to_string()))?;
    let size = link.and_then(|link| link.size).or(node.size())?;
    Some(BlobName { digest, size })
}

fn is_untouched(image: &ImageState) -> bool {
    let Some(opened) = image.opened() else {
        return false;
    };
    image.settings == opened.settings
        && image.reference.canonical() == opened.reference.canonical()
        && image.layers.len() == opened.entry().layers.len()
        && image.layers.iter().enumerate().all(|(at, layer)| {
            let came = layer.came.as_ref();
            is_reused(layer)
                && came.is_some_and(|came| {
                    (came.layer, &came.created_by, &came.comment) == (at, &layer.created_by, &layer.comment)
                })
        })
}

fn is_changed(rebuilt: &Rebuilt, id: NodeId) -> bool {
    rebuilt.changed.contains_key(&id) || rebuilt.gone.contains(&id)
}

fn graph_node(catalog: &Catalog, id: NodeId, hashed: Option<Digest>) -> GraphNode {
    let node = catalog.node(id);
    let link = node.links_in.first().map(|link| catalog.link(*link));
    let claim = link.and_then(|link| link.digest.as_ref());
    let actual = node.actual.or(hashed);
    let size_fits = link
        .and_then(|link| link.size)
        .is_none_or(|size| node.size().is_none_or(|real| real == size));
    let computed = claim.and_then(|claim| claim.sha256());
    let state = match (&node.state, actual, computed) {
        (NodeState::Missing | NodeState::Unreadable { .. }, ..) => "missing",
        (NodeState::Foreign { .. }, ..) => "foreign",
        (_, Some(actual), Some(claimed)) if actual != claimed => "mismatch",
        _ if !size_fits => "mismatch",
        (_, _, None) if claim.is_some() => "uncomputed",
        (_, Some(_), _) => "verified",
        (_, None, _) => "unverified",
    };
    let names = catalog
        .images
        .iter()
        .filter(|image| image.manifest.or(image.config) == Some(id));
    let names = names.flat_map(|image| &image.names).map(|name| name.text.clone());
    GraphNode {
        node: id.0,
        path: text::escape(&node.path),
        parent: link.map(|link| link.from.0),
        pointer: link.map(|link| link.pointer.clone()).unwrap_or_default(),
        kind: kind_name(node.kind),
        media_type: link.and_then(|link| link.media_type.clone()).unwrap_or_default(),
        digest: claim.map(|claim| claim.text().to_owned()),
        size: link.and_then(|link| link.size).or(node.size()),
        actual,
        state,
        platform: link
            .and_then(|link| link.platform.as_ref())
            .map(ToString::to_string),
        names: names.collect(),
        annotations: link
            .map(|link| link.annotations.iter().cloned().collect())
            .unwrap_or_default(),
        image: None,
        layer: None,
        reused: true,
        problems: catalog.problems_of(id).count(),
    }
}

fn kind_name(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Index => "index",
        NodeKind::Manifest => "manifest",
        NodeKind::Attestation => "attestation",
        NodeKind::DockerManifest => "docker_manifest",
        NodeKind::Config => "config",
        NodeKind::Layer => "layer",
        NodeKind::Marker | NodeKind::Artifact | NodeKind::Repositories | NodeKind::Blob => "other",
    }
}

/// What the layer at a position does to those below it, and what is hidden of it by those above.
fn summary(stack: &Stack, position: usize) -> LayerSummary {
    let mut summary = LayerSummary::default();
    let tree = stack.trees()[position];
    walk(stack.trees(), position, |place| {
        let size = place.own.map_or(0, |own| size_of(tree, own));
        match place.effect {
            Some(Effect::Added) => {
                summary.added += 1;
                summary.added_bytes += size;
            }
            Some(Effect::Changed) => {
                summary.changed += 1;
                summary.changed_bytes += size;
            }
            Some(Effect::Hides) => summary.hidden += 1,
            None => {}
        }
        if place.spot.cells[position].is_some_and(|cell| cell.hidden_by.is_some()) {
            summary.wasted_bytes += size;
        }
    });
    summary
}
