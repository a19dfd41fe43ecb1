//! What a user interface sees of containers. The shapes are mirrored in `www/src/core/protocol.ts`, which
//! documents them.
//!
//! A container is looked at as an image with one layer more, its writable sheet, after any of its steps: rows,
//! columns and searches take its id for that of an image.

use std::sync::Arc;

use serde::Serialize;

use crate::layer::{Compression, Layer};
use crate::overlay::mount::{Caller, Engine, Event, Layer as EventLayer, Row, shown_options};
use crate::shell::{Made, Ran, Stream};
use crate::text::escape;
use crate::tree::Time;

use super::Workbench;
use super::container::{ContainerState, ContainerStep, Done};
use super::error::WorkbenchError;
use super::machine::directories;
use super::operation::{ImageId, LayerId};
use super::state::{ImageState, LayerState};

/// The most rows of an upperdir that one answer has; `ContainerView::written` says how many there are.
const UPPER_ROWS: usize = 5_000;

/// A container as a stack with its sheet on top, at a revision of the session.
pub(super) type Sheeted = (ImageId, u64, Arc<ImageState>);

/// A container, in the overview.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct ContainerView {
    pub id: ImageId,
    pub image: ImageId,
    pub layer: LayerId,
    pub layers: Vec<LayerId>,
    pub names: Vec<String>,
    pub steps: usize,
    pub shown: usize,
    pub moved_on: bool,
    pub cwd: String,
    pub written: usize,
    pub on_machine: Option<String>,
}

/// A container with its history.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct ContainerDetail {
    pub mounts: Vec<MountView>,
    pub shown_options: String,
    pub steps: Vec<StepLine>,
}

/// How an engine would mount it.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct MountView {
    pub engine: &'static str,
    pub options: String,
}

/// A step in the list of them.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct StepLine {
    pub input: String,
    pub by_shell: bool,
    pub status: u8,
    pub changed: bool,
}

/// A step with all that happened.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct StepView {
    pub input: String,
    pub by_shell: bool,
    pub status: u8,
    pub output: Vec<PieceView>,
    pub calls: Vec<CallView>,
    pub call_count: u64,
}

/// What a line printed.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct PieceView {
    pub stream: &'static str,
    pub text: String,
}

/// A system call and its trace.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct CallView {
    pub call: String,
    pub errno: Option<String>,
    pub events: Vec<EventView>,
}

/// One event of a trace.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct EventView {
    pub rule: &'static str,
    pub path: String,
    pub layer: Option<LayerId>,
    pub bytes: Option<u64>,
    pub sentence: String,
    pub source: &'static str,
}

/// Something in the upperdir as it lies on the disk.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct UpperRow {
    pub path: String,
    pub what: String,
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub nlink: Option<u32>,
    pub mtime: Time,
    pub xattrs: Vec<(String, String)>,
}

/// What a word of a line could go on as.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct CompletionView {
    pub from: usize,
    pub words: Vec<String>,
}

impl Workbench {
    /// Says after which of its steps a container is looked at. No change to the session.
    pub fn show_step(&mut self, container: ImageId, step: usize) {
        let last = self
            .state
            .container(container)
            .map_or(0, |state| state.steps.len());
        match step < last {
            true => self.shown_steps.insert(container, step),
            false => self.shown_steps.remove(&container),
        };
        self.revision += 1;
    }

    fn shown_step(&self, container: &ContainerState) -> usize {
        let last = container.steps.len();
        self.shown_steps
            .get(&container.id)
            .map_or(last, |step| last.min(*step))
    }

    /// An image, or a container as one: its layers with its sheet on top.
    pub(super) fn stack_image(&mut self, id: ImageId) -> Result<Arc<ImageState>, WorkbenchError> {
        if let Ok(image) = self.state.image(id) {
            return Ok(image.clone());
        }
        let Ok(container) = self.state.container(id) else {
            return Err(WorkbenchError::NoImage { image: id });
        };
        if let Some((cached, revision, image)) = &self.sheeted
            && (*cached, *revision) == (id, self.revision)
        {
            return Ok(image.clone());
        }
        let mut layers = container.layers.clone();
        layers.push(Arc::new(sheet(container, self.shown_step(container))));
        let image = Arc::new(ImageState {
            id,
            reference: crate::image::Reference::parse("container")?,
            settings: Default::default(),
            layers,
            opened: None,
        });
        self.sheeted = Some((id, self.revision, image.clone()));
        Ok(image)
    }

    /// A layer, or the sheet of a container.
    pub fn layer_or_sheet(&self, layer: LayerId) -> Result<Arc<LayerState>, WorkbenchError> {
        let of_container = self.state.containers().iter().find(|state| state.layer == layer);
        match of_container {
            Some(container) => Ok(Arc::new(sheet(container, self.shown_step(container)))),
            None => match self.state.layer(layer) {
                Ok(layer) => Ok(layer.clone()),
                // A container keeps layers that its image no longer has.
                Err(error) => {
                    let kept = self.state.containers().iter().flat_map(|state| &state.layers);
                    kept.clone().find(|state| state.id == layer).cloned().ok_or(error)
                }
            },
        }
    }

    pub(super) fn container_views(&self) -> Vec<ContainerView> {
        let view = |state: &Arc<ContainerState>| ContainerView {
            id: state.id,
            image: state.image,
            layer: state.layer,
            layers: state.layers.iter().map(|layer| layer.id).collect(),
            names: state.layers.iter().map(|layer| layer.name.clone()).collect(),
            steps: state.steps.len(),
            shown: self.shown_step(state),
            moved_on: self.has_moved_on(state),
            cwd: escape(state.shell.cwd()),
            on_machine: state.on_machine.as_ref().map(|on| on.id.clone()),
            written: state.now().upperdir().map_or(0, |upper| upper.len() - 1),
        };
        self.state.containers().iter().map(view).collect()
    }

    /// Whether the image has other layers now than when the container was started.
    fn has_moved_on(&self, container: &ContainerState) -> bool {
        let Ok(image) = self.state.image(container.image) else {
            return true;
        };
        let is_same = |(now, then): (&Arc<LayerState>, &Arc<LayerState>)| now.layer.is_same(&then.layer);
        image.layers.len() != container.layers.len()
            || !image.layers.iter().zip(&container.layers).all(is_same)
    }

    pub(super) fn container_detail(&self, container: ImageId) -> Result<ContainerDetail, WorkbenchError> {
        let state = self.state.container(container)?;
        let count = state.layers.len();
        let directories = |engine: Engine| match (&state.on_machine, engine) {
            (Some(on), Engine::Containerd) => directories(on),
            _ => engine.directories(count),
        };
        let mounts = Engine::ALL.map(|engine| MountView {
            engine: engine.name(),
            options: escape(&engine.option_string(&directories(engine), state.options)),
        });
        let line = |(number, step): (usize, &Arc<ContainerStep>)| StepLine {
            input: step.input.clone(),
            by_shell: is_by_shell(&step.done),
            status: status(&step.done),
            changed: match (state.at(number).upperdir(), step.after.upperdir()) {
                (Some(before), Some(after)) => !before.is_same(after),
                _ => false,
            },
        };
        Ok(ContainerDetail {
            mounts: mounts.to_vec(),
            shown_options: escape(&shown_options(&directories(Engine::Containerd), state.options)),
            steps: state.steps.iter().enumerate().map(line).collect(),
        })
    }

    pub(super) fn step_view(
        &self,
        container: ImageId,
        step: usize,
    ) -> Result<Option<StepView>, WorkbenchError> {
        let state = self.state.container(container)?;
        let Some(step) = state.steps.get(step) else {
            return Ok(None);
        };
        let (output, calls, call_count) = match &step.done {
            Done::Line(ran, events) => {
                let calls = ran.calls.iter().zip(events);
                let calls = calls.map(|(made, events)| {
                    let Made { call, result } = made;
                    call_view(
                        state,
                        call.to_string(),
                        result.err().map(|errno| errno.name()),
                        events,
                    )
                });
                (pieces(ran), calls.collect(), ran.call_count)
            }
            Done::Call(call, result, events) => {
                let errno = result.err().map(|errno| errno.name());
                (
                    Vec::new(),
                    vec![call_view(state, call.to_string(), errno, events)],
                    1,
                )
            }
        };
        Ok(Some(StepView {
            input: step.input.clone(),
            by_shell: is_by_shell(&step.done),
            status: status(&step.done),
            output,
            calls,
            call_count,
        }))
    }

    pub(super) fn upper_rows(&self, container: ImageId) -> Result<Vec<UpperRow>, WorkbenchError> {
        let state = self.state.container(container)?;
        let overlay = state.at(self.shown_step(state));
        let rows = overlay.upperdir().map(|upper| upper.rows()).unwrap_or_default();
        let view = |row: Row| UpperRow {
            path: escape(&row.path),
            what: row.detail.to_string(),
            mode: row.mode,
            uid: row.uid,
            gid: row.gid,
            nlink: row.nlink,
            mtime: row.mtime,
            xattrs: row.shown_xattrs(overlay.marks()),
        };
        Ok(rows.into_iter().take(UPPER_ROWS).map(view).collect())
    }

    pub(super) fn complete(
        &self,
        container: ImageId,
        line: &str,
        cursor: usize,
    ) -> Result<CompletionView, WorkbenchError> {
        let state = self.state.container(container)?;
        let (mut shell, mut overlay) = (state.shell.clone(), state.now().clone());
        let caller = Caller::root(Time::default());
        let completion = shell.complete(&mut overlay, caller, line.as_bytes(), cursor);
        Ok(CompletionView {
            from: completion.from,
            words: completion.candidates.iter().map(|word| escape(word)).collect(),
        })
    }
}

/// What a line printed.
pub(super) fn pieces(ran: &Ran) -> Vec<PieceView> {
    let pieces = ran.output.iter().map(|piece| PieceView {
        stream: match piece.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        },
        text: String::from_utf8_lossy(&piece.bytes).into_owned(),
    });
    pieces.collect()
}

/// The writable sheet as a layer among the others.
fn sheet(container: &ContainerState, step: usize) -> LayerState {
    LayerState {
        id: container.layer,
        name: "container".to_owned(),
        layer: Layer::from_tree(container.sheet(step).tree),
        compression: Compression::default(),
        created_by: None,
        comment: None,
        came: None,
        absorbed: Vec::new(),
    }
}

fn status(done: &Done) -> u8 {
    match done {
        Done::Line(ran, _) => ran.status,
        Done::Call(_, result, _) => u8::from(result.is_err()),
    }
}

fn is_by_shell(done: &Done) -> bool {
    matches!(done, Done::Line(..))
}

fn call_view(state: &ContainerState, call: String, errno: Option<String>, events: &[Event]) -> CallView {
    let event = |event: &Event| EventView {
        rule: event.rule.id(),
        path: escape(&event.path),
        layer: event.layer.and_then(|layer| match layer {
            EventLayer::Upper => Some(state.layer),
            // Of what was imported from a blob of the store the session has no layer.
            EventLayer::Lower(position) => state.layers.get(position).map(|layer| layer.id),
        }),
        bytes: event.bytes,
        sentence: event.sentence(),
        source: event.rule.source(),
    };
    CallView {
        call,
        errno,
        events: events.iter().map(event).collect(),
    }
}
