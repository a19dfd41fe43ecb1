//! What an image from outside holds, whatever its form: a graph of documents and blobs, the images that can be
//! run, and every problem in its place. Knows what documents claim and what they are; the bytes of layers it
//! only points to.
//!
//! [`OpenJob`] makes a [`Catalog`] in small steps, and never all or nothing: what can be read is there, and a
//! [`Problem`] says what cannot, and why. A [`Node`] is a document or a blob, once for each use that it is put
//! to; a [`Link`] is a descriptor, or a path in Docker's list: what one node claims of another. Documents keep
//! their bytes, and have their digests computed at once, as they are small. Layers are not read here.
//!
//! A catalog is a value that does not change. It is cheap to share behind an `Arc`.

mod checks;
mod claim;
mod docker;
mod images;
mod link;
mod open;
mod pointing;
mod problem;
pub mod rebuild;
mod schema;
pub mod verify;
mod walk;

use std::collections::BTreeSet;

use crate::compress::inflate::Packing;
use crate::content::Content;
use crate::digest::Digest;

use super::config::Platform;
use super::files::Files;
use super::json;

pub use claim::{Claim, ClaimFault};
pub use open::{OpenError, OpenJob, Opening};
pub use problem::{
    BlobProblem, DocumentProblem, LayerProblem, LayoutProblem, NameProblem, Place, Problem, ProblemKind,
    SchemaFault, Severity,
};

/// How deep an index may lie in others. Digests make circles impossible, but not towers.
pub const DEPTH_LIMIT: usize = 8;
/// The most bytes that all documents of one archive may have.
pub const DOCUMENTS_LIMIT: u64 = 128 << 20;
/// The most descriptors that are followed in one archive.
pub const LINKS_LIMIT: usize = 1 << 16;
/// The most problems that are kept of one archive.
pub const PROBLEMS_LIMIT: usize = 10_000;

/// A node's number: its place in [`Catalog::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A link's number: its place in [`Catalog::links`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u32);

/// What an archive was found to be, by what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An OCI image layout.
    Oci,
    /// What `docker save` writes.
    Docker,
    /// Both in one. The OCI layout is what counts, as in containerd.
    OciAndDocker,
    /// What `docker save` wrote before version 1.10: `repositories`, and a directory for each layer.
    DockerLegacy,
    /// A manifest and its blobs in one directory: what skopeo and podman call `dir`.
    Dir,
    /// No image around it: a tar that is taken for a layer.
    Layer,
}

impl Format {
    /// As the page and `inspect` call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::Docker | Self::DockerLegacy => "docker",
            Self::OciAndDocker => "oci+docker",
            Self::Dir => "dir",
            Self::Layer => "layer",
        }
    }
}

/// What a node is, by the descriptors that name it and by what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeKind {
    /// The file `oci-layout`.
    Marker,
    /// `index.json`, or an image index in it.
    Index,
    /// A manifest of an image.
    Manifest,
    /// A manifest that says how an image was built, or what is in it: no image itself.
    Attestation,
    /// A manifest of something else than an image.
    Artifact,
    /// `manifest.json`, Docker's list of images.
    DockerManifest,
    /// `repositories`, Docker's list of names.
    Repositories,
    /// A configuration. Of a legacy archive, the file `<id>/json`.
    Config,
    /// A layer of an image.
    Layer,
    /// A blob that means nothing to an image: an artifact's, or one of an unknown type.
    Blob,
}

impl NodeKind {
    /// Whether it is a manifest of one kind or another.
    pub fn is_manifest(self) -> bool {
        matches!(self, Self::Manifest | Self::Attestation | Self::Artifact)
    }

    /// Whether it is a document that is read.
    pub fn is_document(self) -> bool {
        !matches!(self, Self::Layer | Self::Blob)
    }
}

/// Whether a node's bytes are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// They are in the archive.
    Present,
    /// They are not in the archive, but in the `data` of the descriptor.
    Embedded,
    /// They are not there.
    Missing,
    /// They are not there, and need not be: they can be had elsewhere.
    Foreign {
        /// Where.
        urls: Vec<String>,
    },
    /// They are there, but could not be read.
    Unreadable {
        /// What the system said.
        reason: String,
    },
}

/// A document or a blob.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Where it lies in the archive, or would; links followed. Empty if its descriptor gives no place.
    pub path: Vec<u8>,
    /// Where its entry begins in the archive's tar, unpacked.
    pub offset: Option<u64>,
    /// Its bytes, as they came.
    pub content: Option<Content>,
    /// Whether they are there.
    pub state: State,
    /// How they are packed. None for documents, and for what is not there.
    pub packing: Option<Packing>,
    /// The document that they are. None for blobs, and for what is too large.
    pub document: Option<json::Document>,
    /// The digest of the bytes, if they are a document's.
    pub actual: Option<Digest>,
    /// The links that lead here. None for the roots.
    pub links_in: Vec<LinkId>,
    /// The links that lead from here, in the order of the document.
    pub links_out: Vec<LinkId>,
}

impl Node {
    /// How many bytes there are.
    pub fn size(&self) -> Option<u64> {
        self.content.as_ref().map(Content::len)
    }

    /// The value at a JSON pointer, unless it is `null`.
    pub fn at(&self, pointer: &str) -> Option<json::Node<'_>> {
        let node = self.document.as_ref()?.at(pointer)?;
        (node.kind() != json::Kind::Null).then_some(node)
    }
}

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An element of an index.
    Entry,
    /// The configuration of a manifest, or of an image in Docker's list.
    Config,
    /// The layer with this number, counted from the bottom.
    Layer(usize),
    /// What a manifest is about.
    Subject,
}

/// What one node claims of another: a descriptor, or a path in Docker's list.
#[derive(Debug, Clone)]
pub struct Link {
    /// The node that has it.
    pub from: NodeId,
    /// Where in its document: a JSON pointer.
    pub pointer: String,
    /// Where in its document: the first byte of the descriptor.
    pub offset: u64,
    /// What it is for.
    pub role: Role,
    /// The node that it leads to.
    pub to: NodeId,
    /// The media type that is claimed.
    pub media_type: Option<String>,
    /// The digest that is claimed; of a path in Docker's list, if the file is named by its digest.
    pub digest: Option<Claim>,
    /// The size that is claimed.
    pub size: Option<u64>,
    /// The platform that is claimed.
    pub platform: Option<Platform>,
    /// What kind of artifact it leads to.
    pub artifact_type: Option<String>,
    /// Notes on this use, in their order.
    pub annotations: Vec<(String, String)>,
}

impl Link {
    /// An annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        let mut found = self.annotations.iter().rev();
        found
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

/// Where a name of an image was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameSource {
    /// `io.containerd.image.name`: taken as it stands.
    Containerd,
    /// `org.opencontainers.image.ref.name`: a tag, as a rule.
    RefName,
    /// Docker's list, or `repositories`.
    Docker,
}

/// A name of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// As it stands there.
    pub text: String,
    /// Where it was found.
    pub source: NameSource,
}

/// An image that can be run: a manifest with its configuration and its layers.
#[derive(Debug, Clone)]
pub struct ImageEntry {
    /// Its names; the same image may have several.
    pub names: Vec<Name>,
    /// Its manifest. None in a docker archive, and for a bare layer.
    pub manifest: Option<NodeId>,
    /// Its configuration. None for a bare layer, and if the manifest names none.
    pub config: Option<NodeId>,
    /// What it runs on: by its descriptor in the index, else by its configuration.
    pub platform: Option<Platform>,
    /// Its layers, bottom first.
    pub layers: Vec<LayerEntry>,
    /// How it was made, the oldest first.
    pub history: Vec<HistoryEntry>,
    /// The links that lead to its manifest, from the root's on. Empty in a docker archive.
    pub path: Vec<LinkId>,
    /// Its number in Docker's list, if it is there.
    pub docker: Option<usize>,
}

impl ImageEntry {
    /// Its manifest, its configuration and its layers.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        let layers = self.layers.iter().map(|layer| layer.node);
        self.manifest.into_iter().chain(self.config).chain(layers)
    }
}

/// A layer of an image.
#[derive(Debug, Clone)]
pub struct LayerEntry {
    /// The blob.
    pub node: NodeId,
    /// The link that names it. None for a bare layer.
    pub link: Option<LinkId>,
    /// The digest of its tar, as the configuration claims.
    pub diff_id: Option<Claim>,
    /// The digest of the stack up to here, if the DiffIDs up to here are digests.
    pub chain_id: Option<Digest>,
    /// The number of its entry in the history.
    pub history: Option<usize>,
}

/// An entry of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When.
    pub created: Option<String>,
    /// By what.
    pub created_by: Option<String>,
    /// By whom.
    pub author: Option<String>,
    /// A remark.
    pub comment: Option<String>,
    /// Whether it says that it made no layer.
    pub empty_layer: bool,
    /// The number of the layer that it made.
    pub layer: Option<usize>,
}

/// An image of Docker's list.
#[derive(Debug, Clone)]
pub struct DockerEntry {
    /// Its configuration.
    pub config: Option<LinkId>,
    /// Its layers, bottom first.
    pub layers: Vec<LinkId>,
    /// Its names.
    pub tags: Vec<String>,
}

/// All that an archive holds.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// What it was found to be.
    pub format: Format,
    /// How the archive itself is packed.
    pub packing: Packing,
    /// The directory in it that everything lies in, with a slash at the end; empty as a rule.
    pub directory: Vec<u8>,
    /// Its files, by their paths in that directory. None of a bare layer.
    pub files: Files,
    /// The archive's tar, unpacked; none for a directory.
    pub tar: Option<Content>,
    /// Documents and blobs: the roots, then all that they lead to.
    pub nodes: Vec<Node>,
    /// Who names whom.
    pub links: Vec<Link>,
    /// The nodes that no other names: `oci-layout`, `index.json`, `manifest.json`, `repositories`.
    pub roots: Vec<NodeId>,
    /// The images that can be run.
    pub images: Vec<ImageEntry>,
    /// Docker's list, as it stands there.
    pub docker: Vec<DockerEntry>,
    /// What is wrong, in the order of the nodes and of the places in them.
    pub problems: Vec<Problem>,
    /// How many problems there are that are not kept.
    pub more_problems: usize,
}

impl Catalog {
    /// What is wrong with the archive and with documents that are no image's own.
    pub fn shared_problems(&self) -> impl Iterator<Item = &Problem> {
        let own: BTreeSet<NodeId> = self.images.iter().flat_map(ImageEntry::nodes).collect();
        let problems = self.problems.iter();
        problems.filter(move |problem| problem.place.node.is_none_or(|node| !own.contains(&node)))
    }

    /// What is wrong with an image's own documents and blobs.
    pub fn problems_in(&self, image: &ImageEntry) -> impl Iterator<Item = &Problem> {
        let own: BTreeSet<NodeId> = image.nodes().collect();
        own.into_iter().flat_map(|node| self.problems_of(node))
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// A link.
    pub fn link(&self, id: LinkId) -> &Link {
        &self.links[id.0 as usize]
    }

    /// All nodes with their numbers.
    pub fn node_ids(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes
            .iter()
            .enumerate()
            .map(|(index, node)| (NodeId(index as u32), node))
    }

    /// The root with this path: `index.json`.
    pub fn root(&self, path: &str) -> Option<NodeId> {
        let mut roots = self.roots.iter().copied();
        roots.find(|&id| self.node(id).path == path.as_bytes())
    }

    /// The descriptor, or Docker's path, that a link is, as it stands in its document.
    pub fn descriptor(&self, link: LinkId) -> Option<json::Node<'_>> {
        let link = self.link(link);
        self.node(link.from).document.as_ref()?.at(&link.pointer)
    }

    /// The problems whose place is in a node.
    pub fn problems_of(&self, node: NodeId) -> impl Iterator<Item = &Problem> {
        let begin = self
            .problems
            .partition_point(|other| other.place.node < Some(node));
        let problems = self.problems[begin..].iter();
        problems.take_while(move |other| other.place.node == Some(node))
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
#[cfg(test)]
mod document_tests;
#[cfg(test)]
mod problem_tests;
