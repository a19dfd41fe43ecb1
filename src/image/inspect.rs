//! What an image from outside says of itself, and whether it is true: the catalog with every layer read, its
//! digest and its DiffID computed again.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::catalog::verify::{self, LayerFacts};
use super::catalog::{Catalog, ImageEntry, LayerEntry, NodeId, Problem, Severity, State};
use super::manifest::{LAYER_GZIP, LAYER_TAR, LAYER_ZSTD};
use crate::compress::inflate::{Inflate, InflateError, Packing, limit_for};
use crate::content::{Content, ContentError};
use crate::digest::{Digest, Hasher};
use crate::text::escape;

/// All that an archive or a layout holds.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// `oci`, `docker`, `oci+docker` or `layer`.
    pub format: &'static str,
    /// Its images.
    pub images: Vec<ImageReport>,
    /// What is wrong with it.
    pub problems: Vec<ProblemReport>,
}

/// One image.
#[derive(Debug, Clone, Serialize)]
pub struct ImageReport {
    /// The names it has there.
    pub names: Vec<String>,
    /// `os/architecture[/variant]`.
    pub platform: Option<String>,
    /// Digest of the manifest; `docker save` archives of old have none.
    pub manifest_digest: Option<Digest>,
    /// Digest of the configuration: the image's id. None for a bare layer.
    pub config_digest: Option<Digest>,
    /// The configuration as it stands in the image.
    pub config: Option<Value>,
    /// Layers, bottom first.
    pub layers: Vec<LayerReport>,
}

/// One layer, as it is named and as it is.
#[derive(Debug, Clone, Serialize)]
pub struct LayerReport {
    /// What the manifest says it is; found by looking where there is no manifest.
    pub media_type: String,
    /// The blob's digest by the manifest; computed where there is no manifest.
    pub digest: Option<String>,
    /// The blob's size, likewise.
    pub size: Option<u64>,
    /// Digest of the uncompressed tar by the configuration; computed for a bare layer.
    pub diff_id: Option<String>,
    /// Digest of the stack up to here, by the configuration's DiffIDs.
    pub chain_id: Option<Digest>,
    /// Whether digest, size and DiffID are what the bytes give.
    pub verified: bool,
    /// What does not fit, or could not be looked at.
    pub problem: Option<String>,
}

/// Something that is wrong.
#[derive(Debug, Clone, Serialize)]
pub struct ProblemReport {
    /// A stable name of the kind of problem.
    pub id: &'static str,
    /// `info`, `warning` or `error`.
    pub severity: &'static str,
    /// One sentence.
    pub message: String,
    /// The file that it is in; none if it is the archive as a whole.
    pub file: Option<String>,
    /// A JSON pointer into that file.
    pub pointer: Option<String>,
    /// The byte in that file, or in the archive.
    pub offset: Option<u64>,
    /// The clause that it goes against, or the tools that differ.
    pub clause: &'static str,
}

impl Inspection {
    /// Whether every layer of every image is what it says it is, and nothing else is an error.
    pub fn verified(&self) -> bool {
        let mut layers = self.images.iter().flat_map(|image| &image.layers);
        let mut problems = self.problems.iter();
        layers.all(|layer| layer.verified)
            && problems.all(|problem| problem.severity != Severity::Error.name())
    }
}

/// Reads all layers, each once, and says what does not fit. `progress` is told, now and then, how many bytes are
/// passed and how many there are.
pub fn inspect(catalog: &Catalog, progress: &mut dyn FnMut(u64, u64)) -> Result<Inspection, ContentError> {
    let layers = catalog.images.iter().flat_map(|image| &image.layers);
    let layers: BTreeSet<NodeId> = layers.map(|layer| layer.node).collect();
    let contents = layers
        .iter()
        .filter_map(|&node| Some((node, catalog.node(node).content.as_ref()?)));
    let total = contents.clone().map(|(_, content)| content.len()).sum();
    let mut facts = BTreeMap::new();
    let mut problems = catalog.problems.clone();
    let mut done = 0;
    for (node, content) in contents {
        let seen = look(content, &mut |passed| progress(done + passed, total))?;
        done += content.len();
        problems.extend(verify::layer(catalog, node, &seen));
        facts.insert(node, seen);
    }
    let of_layers = of_layers(&problems);
    let images = catalog.images.iter();
    Ok(Inspection {
        format: catalog.format.name(),
        images: images
            .map(|image| report(catalog, image, &facts, &of_layers))
            .collect(),
        problems: problems
            .iter()
            .map(|problem| problem_report(catalog, problem))
            .collect(),
    })
}

/// What a blob's bytes give. `passed` is told how many of them were passed.
fn look(content: &Content, passed: &mut dyn FnMut(u64)) -> Result<LayerFacts, ContentError> {
    let mut hasher = Hasher::new();
    if Packing::of(content)? == Packing::Plain {
        let mut done = 0;
        content.for_each_window(|bytes| {
            hasher.update(bytes);
            done += bytes.len() as u64;
            passed(done);
        })?;
        let digest = hasher.finish();
        let diff_id = Ok(digest);
        return Ok(LayerFacts { digest, diff_id });
    }
    let digest = content.digest()?;
    let mut inflate = Inflate::new(content, limit_for(content.len()))?;
    let mut hash = |bytes: &[u8]| {
        hasher.update(bytes);
        Ok(())
    };
    let diff_id = loop {
        match inflate.step(&mut hash) {
            Ok(true) => passed(inflate.offset()),
            Ok(false) => break Ok(hasher.finish()),
            Err(InflateError::Content(error)) => return Err(error),
            Err(error) => break Err(error.to_string()),
        }
    };
    Ok(LayerFacts { digest, diff_id })
}

type Facts = BTreeMap<NodeId, LayerFacts>;
/// What does not fit in layers, by the node and the pointer where it is said.
type OfLayers = BTreeMap<(NodeId, String), String>;

fn of_layers(problems: &[Problem]) -> OfLayers {
    let mut found = OfLayers::new();
    for problem in problems {
        let is_of_bytes = matches!(
            problem.id(),
            "size_mismatch"
                | "digest_mismatch"
                | "blob_missing"
                | "blob_unreadable"
                | "blob_elsewhere"
                | "diff_id_mismatch"
                | "layer_does_not_unpack"
        );
        if let Some(node) = problem.place.node.filter(|_| is_of_bytes) {
            let pointer = problem.place.pointer.clone().unwrap_or_default();
            found.entry((node, pointer)).or_insert_with(|| problem.sentence());
        }
    }
    found
}

fn report(catalog: &Catalog, image: &ImageEntry, facts: &Facts, problems: &OfLayers) -> ImageReport {
    let digest = |node: Option<NodeId>| node.and_then(|node| catalog.node(node).actual);
    let config = image.config.and_then(|node| catalog.node(node).document.as_ref());
    let layers = image.layers.iter().enumerate();
    ImageReport {
        names: image.names.iter().map(|name| name.text.clone()).collect(),
        platform: image.platform.as_ref().map(ToString::to_string),
        manifest_digest: digest(image.manifest),
        config_digest: digest(image.config),
        config: config.and_then(|document| serde_json::from_slice(document.bytes()).ok()),
        layers: layers
            .map(|(number, layer)| layer_report(catalog, image, number, layer, facts, problems))
            .collect(),
    }
}

fn layer_report(
    catalog: &Catalog,
    image: &ImageEntry,
    number: usize,
    layer: &LayerEntry,
    facts: &Facts,
    problems: &OfLayers,
) -> LayerReport {
    let node = catalog.node(layer.node);
    let link = layer.link.map(|link| catalog.link(link));
    let seen = facts.get(&layer.node);
    let media_type = link.and_then(|link| link.media_type.clone()).unwrap_or_else(|| {
        let found = match node.packing {
            Some(Packing::Gzip) => LAYER_GZIP,
            Some(Packing::Zstd) => LAYER_ZSTD,
            Some(Packing::Plain) | None => LAYER_TAR,
        };
        found.to_owned()
    });
    let claimed = link.and_then(|link| link.digest.as_ref());
    let digest = claimed.map(ToString::to_string);
    let computed = seen.map(|seen| seen.digest.to_string());
    // A bare layer's DiffID is claimed by nobody.
    let own = seen
        .filter(|_| image.config.is_none())
        .and_then(|seen| seen.diff_id.clone().ok());
    let diff_id = layer.diff_id.as_ref().map(ToString::to_string);
    let at = |node: NodeId, pointer: &str| problems.get(&(node, pointer.to_owned()));
    let problem = (link.and_then(|link| at(link.from, &link.pointer)))
        .or_else(|| at(layer.node, ""))
        .or_else(|| at(image.config?, &format!("/rootfs/diff_ids/{number}")))
        .cloned();
    let problem = problem.or_else(|| match (&node.state, image.config, &layer.diff_id) {
        (State::Present | State::Embedded, Some(_), None) => {
            Some("The configuration has no DiffID for this layer.".to_owned())
        }
        _ => None,
    });
    LayerReport {
        media_type,
        digest: digest.or(computed),
        size: link.and_then(|link| link.size).or(node.size()),
        diff_id: diff_id.or(own.map(|digest| digest.to_string())),
        chain_id: layer.chain_id.or(own),
        verified: problem.is_none() && seen.is_some(),
        problem,
    }
}

fn problem_report(catalog: &Catalog, problem: &Problem) -> ProblemReport {
    let file = problem.place.node.map(|node| escape(&catalog.node(node).path));
    ProblemReport {
        id: problem.id(),
        severity: problem.severity().name(),
        message: problem.sentence(),
        file,
        pointer: problem.place.pointer.clone(),
        offset: problem.place.offset,
        clause: problem.clause(),
    }
}
