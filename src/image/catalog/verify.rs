//! Layers against what the documents claim of them, once somebody has read them.

use super::problem::{BlobProblem, LayerProblem, Place, Problem, ProblemKind};
use super::{Catalog, Claim, NodeId};
use crate::digest::Digest;

/// What reading a layer's blob gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFacts {
    /// The digest of the blob.
    pub digest: Digest,
    /// The digest of what it unpacks to, or why it does not.
    pub diff_id: Result<Digest, String>,
}

/// What does not fit: problems at the descriptors, and at the DiffIDs, that claim something else.
pub fn layer(catalog: &Catalog, node: NodeId, facts: &LayerFacts) -> Vec<Problem> {
    let mut problems = Vec::new();
    for &link in &catalog.node(node).links_in {
        let link = catalog.link(link);
        if let Some(claimed) = &link.digest
            && differs(claimed, facts.digest)
        {
            problems.push(Problem {
                kind: ProblemKind::Blob(BlobProblem::Digest {
                    claimed: claimed.clone(),
                    actual: facts.digest,
                }),
                place: Place::of_link(link),
            });
        }
    }
    let diff_id = match &facts.diff_id {
        Ok(diff_id) => *diff_id,
        Err(reason) => {
            let reason = reason.clone();
            problems.push(Problem {
                kind: ProblemKind::Layer(LayerProblem::Unpack { reason }),
                place: Place::of(node),
            });
            return problems;
        }
    };
    for image in &catalog.images {
        let Some(config) = image.config else { continue };
        for (number, layer) in image.layers.iter().enumerate() {
            if let Some(claimed) = layer.diff_id.as_ref().filter(|_| layer.node == node)
                && differs(claimed, diff_id)
            {
                problems.push(Problem {
                    kind: ProblemKind::Layer(LayerProblem::DiffId {
                        claimed: claimed.clone(),
                        actual: diff_id,
                    }),
                    place: Place::pointer(config, format!("/rootfs/diff_ids/{number}")),
                });
            }
        }
    }
    problems.dedup();
    problems
}

/// Digests that cannot be computed here are not compared.
fn differs(claimed: &Claim, actual: Digest) -> bool {
    claimed.sha256().is_some_and(|claimed| claimed != actual)
}
