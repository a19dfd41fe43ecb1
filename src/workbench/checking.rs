//! The check of an image: what is wrong with its documents, with its layers, and with the two together. A job that
//! goes on whenever it is asked for.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::check::{Checking, Finding, Fix, LayerInput, Packed, Report, StackCheck};
use crate::compress::inflate::Packing;
use crate::image::catalog::verify::{self, LayerFacts};
use crate::image::catalog::{NodeId, Problem};
use crate::layer::{Compression, Layer, ReadError};
use crate::text::escape;

use super::Workbench;
use super::blobs::BlobState;
use super::error::WorkbenchError;
use super::lean::whole;
use super::opened::is_reused;
use super::operation::{Action, Attributes, ImageId, LayerId};
use super::ribbon::tar_of;
use super::state::{ImageState, LayerState};

/// How much is done each time it is asked for: entries.
const BUDGET: u64 = 10_000;

/// What was found.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct CheckView {
    pub progress: Option<CheckProgress>,
    pub findings: Vec<CheckFinding>,
    pub more: BTreeMap<&'static str, u64>,
}

/// How far a check is.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct CheckProgress {
    pub done: u64,
    pub total: u64,
}

/// Something that was found.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct CheckFinding {
    pub id: &'static str,
    pub severity: &'static str,
    pub message: String,
    pub place: CheckPlace,
    pub clause: String,
    pub runtimes: Vec<RuntimeReads>,
    pub fix: Option<CheckFix>,
}

/// Where it is.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct CheckPlace {
    pub image: Option<ImageId>,
    pub layer: Option<LayerId>,
    pub node: Option<u32>,
    pub pointer: Option<String>,
    pub entry: Option<String>,
    pub path: Option<String>,
    pub offset: Option<u64>,
}

/// How one runtime reads it.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct RuntimeReads {
    pub runtime: &'static str,
    pub reads: String,
}

/// What would mend it.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct CheckFix {
    pub label: &'static str,
    pub action: Action,
}

/// The check of the layers of an image, at work or done.
pub(super) struct LayersCheck {
    image: ImageId,
    /// The layers that it is about, as they were.
    layers: Vec<Layer>,
    work: Work,
}

enum Work {
    Checking(Box<StackCheck>, CheckProgress),
    Done(Report),
}

impl Workbench {
    /// Goes on with the check of an image, begins it, or begins it anew if its layers changed. What is wrong with
    /// the archive that it came in stands first.
    pub(super) fn check(&mut self, image: ImageId) -> Result<CheckView, WorkbenchError> {
        let mut view = self.check_own(image)?;
        let image = self.state.image(image)?;
        if let Some(opened) = image.opened() {
            let shared = opened.catalog.shared_problems();
            let mut findings: Vec<_> = shared
                .map(|problem| document_finding(image, problem, None))
                .collect();
            findings.append(&mut view.findings);
            view.findings = findings;
        }
        Ok(view)
    }

    /// The same for what is the image's own, without its archive: for hosts that check many images of one.
    pub fn check_own(&mut self, image: ImageId) -> Result<CheckView, WorkbenchError> {
        whole()?;
        let image = self.state.image(image)?.clone();
        let mut view = CheckView {
            findings: self.document_findings(&image),
            ..CheckView::default()
        };
        let unread = image.layers.iter().filter(|layer| !layer.layer.is_read()).count() as u64;
        if unread > 0 {
            let total = image.layers.len() as u64;
            let done = total - unread;
            view.progress = Some(CheckProgress { done, total });
            return Ok(view);
        }
        let is_same = self.layers_check.as_ref().is_some_and(|check| {
            check.image == image.id
                && check.layers.len() == image.layers.len()
                && check
                    .layers
                    .iter()
                    .zip(&image.layers)
                    .all(|(was, is)| was.is_same(&is.layer))
        });
        if !is_same {
            let inputs = image.layers.iter().map(|layer| self.input(layer)).collect();
            self.layers_check = Some(LayersCheck {
                image: image.id,
                layers: image.layers.iter().map(|layer| layer.layer.clone()).collect(),
                work: Work::Checking(
                    Box::new(StackCheck::new(inputs)),
                    CheckProgress { done: 0, total: 1 },
                ),
            });
        }
        let check = self.layers_check.as_mut().expect("it was just made");
        if let Work::Checking(work, progress) = &mut check.work {
            match work.step(BUDGET) {
                Checking::Working { done, total } => *progress = CheckProgress { done, total },
                Checking::Done(report) => check.work = Work::Done(report),
            }
        }
        match &check.work {
            Work::Checking(_, progress) => view.progress = Some(*progress),
            Work::Done(report) => {
                let found = report
                    .findings
                    .iter()
                    .map(|finding| layer_finding(&image, finding));
                view.findings.extend(found);
                view.more = report
                    .more
                    .iter()
                    .map(|(check, count)| (check.id(), *count))
                    .collect();
            }
        }
        Ok(view)
    }

    fn input(&self, layer: &LayerState) -> LayerInput {
        let origin = layer.layer.origin().filter(|_| is_reused(layer));
        let came = origin.filter(|origin| origin.packing() != Packing::Plain);
        let came = came.map(|origin| Packed {
            size: origin.blob().len(),
            notes: origin
                .read()
                .map_or_else(Vec::new, |read| read.packing_notes.clone()),
        });
        let blob = self.blobs.known(layer.id);
        let ours = blob.filter(|blob| blob.compression == Compression::Gz1);
        let ours = ours.map(|blob| Packed {
            size: blob.size,
            notes: Vec::new(),
        });
        let damage = layer.layer.as_read().and_then(|read| read.damage.as_ref());
        LayerInput {
            tar: tar_of(&layer.layer),
            // Damage of the tar itself is found in it.
            is_cut: damage
                .is_some_and(|damage| !matches!(damage, ReadError::Tar(_) | ReadError::TooMany { .. })),
            packed: came.or(ours),
        }
    }

    /// What is wrong with an opened image's own documents, and between them and the layers.
    fn document_findings(&self, image: &ImageState) -> Vec<CheckFinding> {
        let Some(opened) = image.opened() else {
            return Vec::new();
        };
        let (catalog, entry) = (&opened.catalog, opened.entry());
        let mut findings: Vec<_> = catalog
            .problems_in(entry)
            .map(|problem| document_finding(image, problem, None))
            .collect();
        for layer in &image.layers {
            let came = layer.came.as_ref();
            let here = came.filter(|came| (came.archive, came.image) == (opened.archive, opened.number));
            let (Some(came), true) = (here, is_reused(layer)) else {
                continue;
            };
            let damage = layer.layer.as_read().and_then(|read| read.damage.as_ref());
            if let Some(full @ ReadError::TooMany { .. }) = damage {
                let problem = verify::too_much(entry.layers[came.layer].node, full.to_string());
                findings.push(document_finding(image, &problem, Some(layer.id)));
            }
            if let Some(facts) = self.facts(layer) {
                let found = verify::layer_of(catalog, entry, came.layer, &facts);
                findings.extend(
                    found
                        .iter()
                        .map(|problem| document_finding(image, problem, Some(layer.id))),
                );
            }
        }
        findings
    }

    /// What reading a layer's blob gave, if it is known.
    fn facts(&self, layer: &LayerState) -> Option<LayerFacts> {
        let read = layer.layer.as_read()?;
        // Of what is damaged nothing else is computed.
        if let (Some(sums), Some(damage)) = (&read.sums, &read.damage) {
            return Some(LayerFacts {
                digest: sums.digest,
                diff_id: sums.diff_id.ok_or_else(|| damage.to_string()),
            });
        }
        match self.blobs.state(layer.id) {
            BlobState::Known(blob) => Some(LayerFacts {
                digest: blob.digest,
                diff_id: Ok(blob.diff_id),
            }),
            _ => None,
        }
    }
}

fn document_finding(image: &ImageState, problem: &Problem, layer: Option<LayerId>) -> CheckFinding {
    let entry = image.opened().map(|opened| opened.entry());
    let layer_of = |node: NodeId| {
        let number = entry?.layers.iter().position(|layer| layer.node == node)?;
        let is_it = |layer: &&std::sync::Arc<LayerState>| {
            layer.came.as_ref().is_some_and(|came| came.layer == number)
        };
        image.layers.iter().find(is_it).map(|layer| layer.id)
    };
    let layer = layer.or_else(|| problem.place.node.and_then(layer_of));
    let can_be_named = matches!(problem.id(), "digest_mismatch" | "diff_id_mismatch");
    CheckFinding {
        id: problem.id(),
        severity: problem.severity().name(),
        message: problem.sentence(),
        place: CheckPlace {
            image: Some(image.id),
            layer,
            node: problem.place.node.map(|node| node.0),
            pointer: problem.place.pointer.clone(),
            offset: problem.place.offset,
            ..CheckPlace::default()
        },
        clause: problem.clause().to_owned(),
        runtimes: Vec::new(),
        fix: layer.filter(|_| can_be_named).map(|layer| CheckFix {
            label: "Write the layer anew, with digests that fit",
            action: Action::SetCompression {
                layer,
                compression: Compression::Gz1,
            },
        }),
    }
}

fn layer_finding(image: &ImageState, finding: &Finding) -> CheckFinding {
    let layer = image.layers.get(finding.place.layer).map(|layer| layer.id);
    CheckFinding {
        id: finding.check.id(),
        severity: finding.check.severity().name(),
        message: finding.message(),
        place: CheckPlace {
            image: Some(image.id),
            layer,
            entry: finding.place.entry.as_deref().map(escape),
            path: finding.place.path.as_deref().map(absolute),
            offset: finding.place.offset,
            ..CheckPlace::default()
        },
        clause: finding.check.clause().to_owned(),
        runtimes: finding
            .readings
            .iter()
            .map(|reading| RuntimeReads {
                runtime: reading.reader,
                reads: reading.reads.to_string(),
            })
            .collect(),
        fix: finding.fix.as_ref().and_then(|fix| fix_of(image, fix)),
    }
}

fn absolute(path: &[u8]) -> String {
    format!("/{}", escape(path))
}

/// A fix as an action of the session. None for a layer that cannot be edited.
fn fix_of(image: &ImageState, fix: &Fix) -> Option<CheckFix> {
    let layer_at = |number: usize| {
        let layer = image
            .layers
            .get(number)
            .filter(|layer| layer.layer.check_whole().is_ok());
        layer.map(|layer| layer.id)
    };
    let (label, action) = match fix {
        Fix::Normalise { layer } => {
            let layer = layer_at(*layer)?;
            ("Write the layer canonically", Action::Normalise { layer })
        }
        Fix::DeletePath { layer, path } => {
            let layer = layer_at(*layer)?;
            let path = absolute(path);
            let parsed = crate::tree::TreePath::parse(&path).ok()?;
            let tree = image.layers.iter().find(|state| state.id == layer)?.layer.tree();
            match tree.is_whiteout(&parsed) {
                true => (
                    "Take the deletion out of the layer",
                    Action::ClearWhiteout { layer, path },
                ),
                false if tree.lookup(&parsed).is_some() => {
                    ("Take it out of the layer", Action::Delete { layer, path })
                }
                false => ("Write the layer canonically", Action::Normalise { layer }),
            }
        }
        Fix::RemovePath { path } => (
            "Remove it from every layer",
            Action::RemovePath {
                image: image.id,
                path: absolute(path),
            },
        ),
        Fix::SetMode { layer, path, mode } => (
            "Change its permissions",
            Action::SetAttributes {
                layer: layer_at(*layer)?,
                path: absolute(path),
                attributes: Attributes {
                    mode: Some(i64::from(*mode)),
                    ..Attributes::default()
                },
            },
        ),
        Fix::RemoveXattr { layer, path, name } => (
            "Remove the attribute",
            Action::SetXattr {
                layer: layer_at(*layer)?,
                path: absolute(path),
                name: escape(name),
                value: None,
            },
        ),
        Fix::StripTimes { layer } => (
            "Give everything one time",
            Action::StripTimes {
                layer: layer_at(*layer)?,
            },
        ),
    };
    Some(CheckFix { label, action })
}
