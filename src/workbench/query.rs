//! What a user interface asks. The answers' shapes are mirrored in `www/src/core/protocol.ts`.

use serde::Serialize;

use crate::digest::{Digest, chain_id};
use crate::image::preflight::{Finding, preflight};
use crate::layer::{Form, Format};
use crate::store::Sharing;
use crate::tree::TreePath;

use super::Workbench;
use super::blobs::BlobState;
use super::checking::CheckView;
use super::column::{Column, column};
use super::compare::{Comparison, Point};
use super::container_view::{CompletionView, ContainerDetail, StepView, UpperRow};
use super::error::WorkbenchError;
use super::machine_prompt::PromptView;
use super::machine_view::{GarbageRow, MachineEvent, MachineView, RuntimeStep};
use super::opened::is_reused;
use super::opened_view::{Change, Graph, HistoryRow, LayerSummary, RawDocument};
use super::operation::{ArchiveId, ImageId, LayerId};
use super::ribbon::{BlockField, Blocks};
use super::rows::{Row, RowsOf, ancestors, stack_of};
use super::state::{ImageState, LayerState};
use super::view::{
    DocumentDigest, DocumentView, Found, HistoryView, ImageView, LayerView, Overview, ReferenceView,
    blob_view, for_each_path,
};

/// The most rows or finds that one answer has.
const WINDOW_LIMIT: usize = 2000;

/// A question.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub enum Query {
    Overview,
    Rows {
        image: ImageId,
        from: usize,
        to: usize,
        of: RowsOf,
    },
    RowOf {
        image: ImageId,
        path: String,
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
    Graph {
        archive: ArchiveId,
    },
    Raw {
        archive: ArchiveId,
        node: u32,
    },
    History {
        image: ImageId,
    },
    Check {
        image: ImageId,
    },
    Summary {
        layer: LayerId,
    },
    Blocks {
        layer: LayerId,
        from: usize,
        limit: usize,
    },
    EntryOf {
        layer: LayerId,
        path: String,
    },
    EntryAt {
        layer: LayerId,
        offset: u64,
    },
    Fields {
        layer: LayerId,
        offset: u64,
    },
    Changes {
        image: ImageId,
    },
    Compare {
        before: Point,
        after: Point,
        from: usize,
        to: usize,
    },
    Container {
        container: ImageId,
    },
    Step {
        container: ImageId,
        step: usize,
    },
    Upper {
        container: ImageId,
    },
    Complete {
        container: ImageId,
        line: String,
        cursor: usize,
    },
    Machine,
    Prompt,
    CompleteOnMachine {
        line: String,
        cursor: usize,
    },
    Events {
        from: usize,
        to: usize,
    },
    RuntimeSteps {
        id: String,
    },
    Sharing,
    Garbage,
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
    Graph(Graph),
    Raw(RawDocument),
    History(Vec<HistoryRow>),
    Check(CheckView),
    Summary(LayerSummary),
    Blocks(Blocks),
    Entry(Option<usize>),
    Fields(Vec<BlockField>),
    Changes(Vec<Change>),
    Compare(Comparison),
    Container(ContainerDetail),
    Step(Option<StepView>),
    Upper(Vec<UpperRow>),
    Complete(CompletionView),
    Machine(MachineView),
    Prompt(PromptView),
    Events(Vec<MachineEvent>),
    RuntimeSteps(Vec<RuntimeStep>),
    Sharing(Sharing),
    Garbage(Vec<GarbageRow>),
}

impl Workbench {
    /// Answers a question. Changes nothing but which rows are kept ready.
    pub fn query(&mut self, query: &Query) -> Result<Answer, WorkbenchError> {
        Ok(match query {
            Query::Overview => Answer::Overview(self.overview()),
            Query::Rows { image, from, to, of } => {
                let image = self.stack_image(*image)?;
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
            Query::Column { image, path } => Answer::Column(column(&*self.stack_image(*image)?, path)?),
            Query::Document { image, document } => Answer::Document(self.document(*image, document)?),
            Query::Find { image, text, limit } => Answer::Find(find(
                &*self.stack_image(*image)?,
                text,
                (*limit).min(WINDOW_LIMIT),
            )),
            Query::Preflight { image } => {
                let image = self.state.image(*image)?;
                Answer::Preflight(preflight(&image.settings, &stack_of(image)))
            }
            Query::Journal => {
                let (labels, done) = self.journal.labels();
                Answer::Journal { labels, done }
            }
            Query::Graph { archive } => Answer::Graph(self.graph(*archive)?),
            Query::Raw { archive, node } => Answer::Raw(self.raw(*archive, *node)?),
            Query::History { image } => Answer::History(self.history(*image)?),
            Query::Check { image } => Answer::Check(self.check(*image)?),
            Query::Summary { layer } => Answer::Summary(self.summary(*layer)?),
            Query::Blocks { layer, from, limit } => Answer::Blocks(self.blocks(*layer, *from, *limit)?),
            Query::EntryOf { layer, path } => Answer::Entry(self.entry_of(*layer, path)?),
            Query::EntryAt { layer, offset } => Answer::Entry(self.entry_at(*layer, *offset)?),
            Query::Fields { layer, offset } => Answer::Fields(self.fields(*layer, *offset)?),
            Query::Changes { image } => Answer::Changes(self.changes(*image)?),
            Query::Compare {
                before,
                after,
                from,
                to,
            } => Answer::Compare(self.compare(*before, *after, *from, *to)?),
            Query::Container { container } => Answer::Container(self.container_detail(*container)?),
            Query::Step { container, step } => Answer::Step(self.step_view(*container, *step)?),
            Query::Upper { container } => Answer::Upper(self.upper_rows(*container)?),
            Query::Complete {
                container,
                line,
                cursor,
            } => Answer::Complete(self.complete(*container, line, *cursor)?),
            Query::Prompt => Answer::Prompt(self.prompt()?),
            Query::CompleteOnMachine { line, cursor } => {
                Answer::Complete(self.complete_on_machine(line, *cursor)?)
            }
            Query::Machine => Answer::Machine(self.machine_view()?),
            Query::Events { from, to } => Answer::Events(self.machine_events(*from, *to)?),
            Query::RuntimeSteps { id } => Answer::RuntimeSteps(self.runtime_steps(id)?),
            Query::Sharing => Answer::Sharing(self.sharing()?),
            Query::Garbage => Answer::Garbage(self.garbage_rows()?),
        })
    }

    /// Opens or folds a directory's rows. No change to the session: the journal does not know of it.
    pub fn set_open(&mut self, image: ImageId, path: &str, open: bool) {
        self.rows.set_open(image, path.to_owned(), open);
    }

    fn row_of(&mut self, image: ImageId, path: &str, of: &RowsOf) -> Result<Answer, WorkbenchError> {
        let image = self.stack_image(image)?;
        for ancestor in ancestors(&TreePath::parse(path)?) {
            self.rows.set_open(image.id, ancestor, true);
        }
        self.rows.total(self.revision, &image, of);
        Ok(Answer::RowOf(self.rows.position(path)))
    }

    fn overview(&self) -> Overview {
        Overview {
            revision: self.revision,
            archives: self
                .state
                .archives()
                .iter()
                .map(|archive| self.archive_view(archive))
                .collect(),
            images: self
                .state
                .images
                .iter()
                .map(|image| self.image_view(image))
                .collect(),
            containers: self.container_views(),
            machine: self.machine_glance(),
            undo: self.journal.undo_label(),
            redo: self.journal.redo_label(),
            busy: self.blobs.busy() || self.state.layers().any(|layer| !layer.layer.is_read()),
        }
    }

    fn image_view(&self, image: &ImageState) -> ImageView {
        // What cannot be written is told of when it is asked for.
        let documents = self.named_documents(image).ok().flatten();
        let archive_size = self.archive_size(image);
        let mut below = Some(None);
        let layers = image
            .layers
            .iter()
            .map(|layer| self.layer_view(layer, &mut below))
            .collect();
        let reference = &image.reference;
        ImageView {
            id: image.id,
            archive: image.opened().map(|opened| opened.archive),
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
                .map(|name| {
                    let document = documents.as_ref().and_then(|documents| documents.get(name));
                    (*name, document.map(DocumentDigest::from))
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
            reading: self.reading_view(state),
            origin: self.layer_origin(state),
            reused: is_reused(state),
            entries: counts.entries,
            whiteouts: counts.whiteouts,
            opaques: counts.opaques,
            compression: state.compression,
            format: match state.layer.form() {
                Form::Original => "original",
                Form::Mixed => "mixed",
                Form::Canonical(Format::Gnu) => "gnu",
                Form::Canonical(Format::Pax) => "pax",
            },
            notes: state.notes().iter().map(|note| note.text.clone()).collect(),
            history: HistoryView {
                created_by: state.created_by.clone(),
                comment: state.comment.clone(),
            },
            blob: blob_view(blob, below.flatten()),
        }
    }

    fn document(&self, image: ImageId, name: &str) -> Result<Option<DocumentView>, WorkbenchError> {
        let documents = self.named_documents(self.state.image(image)?)?;
        let document = documents.as_ref().and_then(|documents| documents.get(name));
        Ok(document.map(|document| DocumentView {
            text: String::from_utf8_lossy(&document.bytes).into_owned(),
            digest: document.digest,
            size: document.bytes.len() as u64,
        }))
    }
}

/// The documents by the names that the protocol has for them.
const DOCUMENTS: [&str; 5] = ["config", "manifest", "index", "oci-layout", "manifest.json"];

fn find(image: &ImageState, text: &str, limit: usize) -> Vec<Found> {
    let text = text.to_ascii_lowercase();
    let stack = stack_of(image);
    let mut found = Vec::new();
    for layer in image.layers.iter().rev() {
        let tree = layer.layer.tree();
        for_each_path(tree, &mut |path, ino| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let wanted = if text.contains('/') { path } else { name };
            if found.len() < limit && !text.is_empty() && wanted.to_ascii_lowercase().contains(&text) {
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
