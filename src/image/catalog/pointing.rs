//! The documents that point: what indexes and manifests name, and where that leads.

use super::link::NewLink;
use super::problem::{BlobProblem, DocumentProblem, Place};
use super::walk::{Class, Target, Walk};
use super::{Claim, DEPTH_LIMIT, Format, NodeId, NodeKind, Role, State};
use crate::compress::inflate::Packing;
use crate::content::Content;
use crate::digest::Digest;
use crate::image::json::{self, Document};
use crate::image::media::{self, Media};

impl Walk {
    pub(super) fn index(&mut self, id: NodeId, document: &Document, depth: usize) {
        let Some(root) = document.root() else { return };
        let Some(manifests) = root.field("manifests") else {
            return self.other_shape(id, document, depth);
        };
        if root.field("layers").is_some() || root.field("config").is_some() {
            self.problem_at(DocumentProblem::TypeConfusion { is_index: true }, id, root);
        }
        for (number, descriptor) in manifests.elements().enumerate() {
            let pointer = format!("/manifests/{number}");
            let link = NewLink::of(id, pointer, Role::Entry, descriptor);
            let media = link.media();
            let kind = match media {
                Some(Media::Index) => NodeKind::Index,
                Some(Media::Manifest) => match is_attestation(&link) {
                    true => NodeKind::Attestation,
                    false => NodeKind::Manifest,
                },
                // A descriptor without a type: what is in the document tells.
                None => NodeKind::Manifest,
                Some(_) => NodeKind::Blob,
            };
            if kind == NodeKind::Index && depth == DEPTH_LIMIT {
                let place = Place {
                    node: Some(id),
                    pointer: Some(link.pointer),
                    offset: Some(link.offset),
                };
                self.problem(BlobProblem::TooDeep, place);
                continue;
            }
            self.follow(link, kind, depth + 1);
        }
    }

    pub(super) fn manifest(&mut self, id: NodeId, document: &Document, depth: usize) {
        let Some(root) = document.root() else { return };
        let (config, layers) = (root.field("config"), root.field("layers"));
        if config.is_none() && layers.is_none() {
            return self.other_shape(id, document, depth);
        }
        if root.field("manifests").is_some() {
            self.problem_at(DocumentProblem::TypeConfusion { is_index: false }, id, root);
        }
        let config = config.map(|config| NewLink::of(id, "/config".to_owned(), Role::Config, config));
        let is_image = config
            .as_ref()
            .is_none_or(|config| matches!(config.media(), Some(Media::Config) | None));
        let node = &mut self.catalog.nodes[id.0 as usize];
        if !is_image && node.kind == NodeKind::Manifest {
            node.kind = NodeKind::Artifact;
        }
        let layer_kind = match node.kind {
            NodeKind::Manifest => NodeKind::Layer,
            _ => NodeKind::Blob,
        };
        if let Some(config) = config {
            let kind = if is_image {
                NodeKind::Config
            } else {
                NodeKind::Blob
            };
            self.follow(config, kind, depth);
        }
        for (number, layer) in layers.iter().flat_map(json::Node::elements).enumerate() {
            let pointer = format!("/layers/{number}");
            let link = NewLink::of(id, pointer, Role::Layer(number), layer);
            let kind = match link.media() {
                Some(Media::Layer(_)) => NodeKind::Layer,
                _ => layer_kind,
            };
            self.follow(link, kind, depth);
        }
        if let Some(subject) = root.field("subject") {
            let link = NewLink::of(id, "/subject".to_owned(), Role::Subject, subject);
            // What a manifest is about is no part of it: it is followed only if an index names it too.
            self.follow(link, NodeKind::Blob, depth);
        }
    }

    /// A document that has not the members of what it is said to be: read as what it looks like.
    fn other_shape(&mut self, id: NodeId, document: &Document, depth: usize) {
        let Some(root) = document.root() else { return };
        let node = &mut self.catalog.nodes[id.0 as usize];
        let is_index = root.field("manifests").is_some();
        let is_manifest = root.field("layers").is_some() || root.field("config").is_some();
        match (is_index, is_manifest) {
            (true, false) => node.kind = NodeKind::Index,
            (false, true) => node.kind = NodeKind::Manifest,
            // Neither: what is missing, the schema says.
            _ => return,
        }
        let claims_type = node
            .links_in
            .iter()
            .any(|&link| self.catalog.links[link.0 as usize].media_type.is_some());
        if claims_type || self.catalog.roots.contains(&id) {
            let kind = DocumentProblem::TypeConfusion { is_index: !is_index };
            self.problem_at(kind, id, root);
        }
        match is_index {
            true if depth > DEPTH_LIMIT => self.problem_at(BlobProblem::TooDeep, id, root),
            true => self.index(id, document, depth),
            false => self.manifest(id, document, depth),
        }
    }

    /// Follows a descriptor. Its blob lies where its digest says, or is in the descriptor itself.
    fn follow(&mut self, link: NewLink, kind: NodeKind, depth: usize) {
        let class = match kind {
            NodeKind::Index | NodeKind::Manifest | NodeKind::Attestation | NodeKind::Artifact => {
                Class::Pointing
            }
            NodeKind::Config => Class::Config,
            NodeKind::Layer => Class::Layer,
            _ => Class::Blob,
        };
        let path = link
            .digest
            .as_ref()
            .and_then(|claim| self.blob_path(claim, class));
        let path = path.unwrap_or_default().into_bytes();
        let data = self.data(&link);
        let urls = link.urls.clone();
        let target = Target {
            class,
            kind,
            path,
            depth,
        };
        let Some(id) = self.link(link, target) else { return };
        let to = self.catalog.link(id).to;
        if self.catalog.node(to).state != State::Missing {
            return;
        }
        if let Some(data) = data {
            let node = &mut self.catalog.nodes[to.0 as usize];
            node.content = Some(Content::inline(data));
            node.state = State::Embedded;
            if node.kind.is_document() {
                self.queue(to, depth);
            } else if node.kind == NodeKind::Layer {
                node.packing = node
                    .content
                    .as_ref()
                    .and_then(|content| Packing::of(content).ok());
            }
        } else if !urls.is_empty() {
            self.catalog.nodes[to.0 as usize].state = State::Foreign { urls };
        }
    }

    /// Where the blob of a digest lies.
    fn blob_path(&self, claim: &Claim, class: Class) -> Option<String> {
        match self.catalog.format {
            Format::Dir => {
                let (_, encoded) = claim.parts()?;
                let suffix = if class == Class::Pointing {
                    ".manifest.json"
                } else {
                    ""
                };
                Some(format!("{encoded}{suffix}"))
            }
            _ => claim.path(),
        }
    }

    /// The bytes that a descriptor holds itself, if they are those that it describes.
    fn data(&mut self, link: &NewLink) -> Option<Vec<u8>> {
        let reason = match link.data.clone()? {
            Err(reason) => format!("this is no base64: {reason}"),
            Ok(data) => {
                let (size, digest) = (data.len() as u64, Digest::of(&data));
                let claimed = link.digest.as_ref().and_then(Claim::sha256);
                match (link.size == Some(size), claimed == Some(digest)) {
                    (true, true) => return Some(data),
                    (false, _) => format!("there are {size} bytes"),
                    (_, false) => format!("their digest is {digest}"),
                }
            }
        };
        let place = Place {
            node: Some(link.from),
            pointer: Some(format!("{}/data", link.pointer)),
            offset: Some(link.offset),
        };
        self.problem(BlobProblem::Data { reason }, place);
        None
    }
}

/// Whether a descriptor says that its manifest is no image, but tells of one (BuildKit's attestation storage).
fn is_attestation(link: &NewLink) -> bool {
    let mut annotations = link.annotations.iter();
    annotations.any(|(key, value)| key == media::REFERENCE_TYPE && value == "attestation-manifest")
}
