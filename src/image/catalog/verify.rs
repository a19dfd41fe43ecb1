//! Layers against what the documents claim of them, once somebody has read them.

use super::problem::{BlobProblem, LayerProblem, Place, Problem};
use super::{Catalog, Claim, ImageEntry, Link, NodeId};
use crate::digest::Digest;

/// What reading a layer's blob gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFacts {
    /// The digest of the blob.
    pub digest: Digest,
    /// The digest of what it unpacks to, or why it does not.
    pub diff_id: Result<Digest, String>,
}

/// What does not fit: problems at all descriptors, and at all DiffIDs, that claim something else of a blob.
pub fn layer(catalog: &Catalog, node: NodeId, facts: &LayerFacts) -> Vec<Problem> {
    let links = catalog.node(node).links_in.iter();
    let mut problems: Vec<Problem> = links
        .filter_map(|&link| digest(catalog.link(link), facts))
        .collect();
    problems.extend(unpacking(node, facts));
    for image in &catalog.images {
        let layers = image.layers.iter().enumerate();
        let numbers = layers.filter(|(_, layer)| layer.node == node);
        problems.extend(numbers.filter_map(|(number, _)| diff_id(image, number, facts)));
    }
    problems.dedup();
    problems
}

/// The same at what one image claims of its layer of this number, from 0 on.
pub fn layer_of(catalog: &Catalog, image: &ImageEntry, number: usize, facts: &LayerFacts) -> Vec<Problem> {
    let layer = &image.layers[number];
    let digest = layer.link.and_then(|link| digest(catalog.link(link), facts));
    let found = [
        digest,
        unpacking(layer.node, facts),
        diff_id(image, number, facts),
    ];
    found.into_iter().flatten().collect()
}

/// That a layer is not read to its end, since what is kept of it would be too much.
pub fn too_much(node: NodeId, reason: String) -> Problem {
    Problem {
        kind: LayerProblem::TooMuch { reason }.into(),
        place: Place::of(node),
    }
}

fn digest(link: &Link, facts: &LayerFacts) -> Option<Problem> {
    let claimed = link.digest.as_ref()?;
    let problem = BlobProblem::Digest {
        claimed: claimed.clone(),
        actual: facts.digest,
    };
    differs(claimed, facts.digest).then(|| Problem {
        kind: problem.into(),
        place: Place::of_link(link),
    })
}

fn unpacking(node: NodeId, facts: &LayerFacts) -> Option<Problem> {
    let reason = facts.diff_id.clone().err()?;
    Some(Problem {
        kind: LayerProblem::Unpack { reason }.into(),
        place: Place::of(node),
    })
}

fn diff_id(image: &ImageEntry, number: usize, facts: &LayerFacts) -> Option<Problem> {
    let (claimed, actual) = (
        image.layers[number].diff_id.as_ref()?,
        *facts.diff_id.as_ref().ok()?,
    );
    let place = Place::pointer(image.config?, format!("/rootfs/diff_ids/{number}"));
    let problem = LayerProblem::DiffId {
        claimed: claimed.clone(),
        actual,
    };
    differs(claimed, actual).then(|| Problem {
        kind: problem.into(),
        place,
    })
}

/// Digests that cannot be computed here are not compared.
fn differs(claimed: &Claim, actual: Digest) -> bool {
    claimed.sha256().is_some_and(|claimed| claimed != actual)
}
