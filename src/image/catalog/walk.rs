//! The walk from the roots to all that they lead to: each document is read once, by its own descriptor's
//! word for what it is. A queue instead of recursion, and limits on all that hostile documents multiply.

use std::collections::{BTreeMap, VecDeque};

use super::link::NewLink;
use super::open::holds;
use super::problem::{BlobProblem, DocumentProblem, LayoutProblem, Place, Problem, ProblemKind};
use super::{
    Catalog, DOCUMENTS_LIMIT, Format, LINKS_LIMIT, Link, LinkId, Node, NodeId, NodeKind, PROBLEMS_LIMIT,
    Role, State, checks, docker, images, schema,
};
use crate::compress::inflate::Packing;
use crate::content::Content;
use crate::digest::Digest;
use crate::image::files::{Fault, Files, Lookup, Via};
use crate::image::json::{self, Document};

/// What a blob is put to: the same bytes, named as a manifest and as a layer, are two nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// An index or a manifest.
    Pointing,
    Config,
    Layer,
    Blob,
    /// A file of the layout itself.
    File,
}

/// The walk, between two documents.
pub(super) struct Walk {
    pub(super) catalog: Catalog,
    /// By the path that was asked for, and by the file's own.
    pub(super) known: BTreeMap<(Vec<u8>, Class), NodeId>,
    queue: VecDeque<(NodeId, usize)>,
    /// Bytes of documents that may still be read.
    bytes_left: u64,
    is_full: bool,
    documents_read: u64,
}

/// Where a link leads, before it is looked at.
pub(super) struct Target {
    pub(super) class: Class,
    pub(super) kind: NodeKind,
    pub(super) path: Vec<u8>,
    /// How deep it lies in indexes.
    pub(super) depth: usize,
}

impl Walk {
    pub(super) fn new(
        format: Format,
        files: Files,
        directory: Vec<u8>,
        packing: Packing,
        tar: Option<Content>,
    ) -> Self {
        let mut walk = Self {
            catalog: Catalog {
                format,
                packing,
                directory,
                files,
                tar,
                nodes: Vec::new(),
                links: Vec::new(),
                roots: Vec::new(),
                images: Vec::new(),
                docker: Vec::new(),
                problems: Vec::new(),
                more_problems: 0,
            },
            known: BTreeMap::new(),
            queue: VecDeque::new(),
            bytes_left: DOCUMENTS_LIMIT,
            is_full: false,
            documents_read: 0,
        };
        walk.container_problems();
        walk.begin();
        walk
    }

    /// Queues the roots.
    fn begin(&mut self) {
        let roots: &[(&str, NodeKind)] = match self.catalog.format {
            Format::Oci => &[("oci-layout", NodeKind::Marker), ("index.json", NodeKind::Index)],
            Format::OciAndDocker => &[
                ("oci-layout", NodeKind::Marker),
                ("index.json", NodeKind::Index),
                ("manifest.json", NodeKind::DockerManifest),
                ("repositories", NodeKind::Repositories),
            ],
            Format::Docker => &[
                ("manifest.json", NodeKind::DockerManifest),
                ("repositories", NodeKind::Repositories),
            ],
            Format::DockerLegacy => &[("repositories", NodeKind::Repositories)],
            Format::Dir => match holds(&self.catalog.files, "manifest.json", &["manifests"]) {
                Some(true) => &[("manifest.json", NodeKind::Index)],
                _ => &[("manifest.json", NodeKind::Manifest)],
            },
            Format::Layer => &[],
        };
        for &(path, kind) in roots {
            let is_optional = kind == NodeKind::Repositories;
            if is_optional && self.catalog.files.get(path.as_bytes()).is_none() {
                continue;
            }
            let root = self.node(Target {
                class: Class::File,
                kind,
                path: path.as_bytes().to_vec(),
                depth: 0,
            });
            self.catalog.roots.push(root);
            if self.catalog.node(root).state == State::Missing {
                let missing = match kind {
                    NodeKind::Marker => LayoutProblem::MarkerMissing,
                    _ => LayoutProblem::IndexMissing,
                };
                self.problem(missing, Place::of(root));
            }
        }
    }

    /// A tar that is no image is a layer: an image of that layer alone.
    pub(super) fn bare_layer(&mut self, archive: &Content) {
        let files = &self.catalog.files;
        let layout = files.paths().find_map(|path| {
            let directory = path.strip_suffix(b"oci-layout")?;
            let index = [directory, b"index.json"].concat();
            files.get(&index).is_some().then(|| directory.to_vec())
        });
        if let Some(directory) = layout {
            self.problem(LayoutProblem::NestedLayouts { directory }, Place::default());
        }
        self.catalog.files = Files::new();
        let node = self.add_node(Node {
            kind: NodeKind::Layer,
            path: Vec::new(),
            offset: None,
            content: Some(archive.clone()),
            state: State::Present,
            packing: Some(self.catalog.packing),
            document: None,
            actual: None,
            links_in: Vec::new(),
            links_out: Vec::new(),
        });
        self.catalog.roots.push(node);
        self.catalog.images.push(images::of_bare_layer(node));
    }

    /// Reads the next document, and gives how many bytes it has. None when all are read.
    pub(super) fn step(&mut self) -> Option<u64> {
        let (id, depth) = self.queue.pop_front()?;
        self.documents_read += 1;
        let Some(document) = self.read(id) else {
            return Some(0);
        };
        match self.catalog.node(id).kind {
            NodeKind::Index => self.index(id, &document, depth),
            NodeKind::Manifest | NodeKind::Attestation | NodeKind::Artifact => {
                self.manifest(id, &document, depth);
            }
            NodeKind::DockerManifest => docker::list(self, id, &document),
            NodeKind::Repositories if self.catalog.format == Format::DockerLegacy => {
                docker::repositories(self, id, &document);
            }
            _ => {}
        }
        schema::check(self, id, &document);
        Some(document.bytes().len() as u64)
    }

    /// How many documents are read, and how many are known of.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.documents_read, self.documents_read + self.queue.len() as u64)
    }

    /// What was found.
    pub(super) fn finish(mut self: Box<Self>) -> Catalog {
        self.check_links();
        images::find(&mut self);
        checks::check(&mut self);
        self.catalog.problems.sort_by_key(|problem| problem.place.order());
        self.catalog
    }

    pub(super) fn problem(&mut self, kind: impl Into<ProblemKind>, place: Place) {
        let kind = kind.into();
        match self.catalog.problems.len() < PROBLEMS_LIMIT {
            true => self.catalog.problems.push(Problem { kind, place }),
            false => self.catalog.more_problems += 1,
        }
    }

    /// A problem at a value of a node's document.
    pub(super) fn problem_at(&mut self, kind: impl Into<ProblemKind>, id: NodeId, value: json::Node<'_>) {
        self.problem(kind, Place::at(id, value));
    }

    fn container_problems(&mut self) {
        let (faults, more) = self.catalog.files.faults();
        let mut faults = faults.to_vec();
        match self.catalog.format {
            // What a layer holds is for those who read layers; here only its end may matter.
            Format::Layer => {
                faults.retain(|fault| matches!(fault, Fault::Damaged { .. } | Fault::Entries { .. }))
            }
            _ => self.catalog.more_problems += more,
        }
        for fault in faults {
            let place = Place {
                offset: fault.offset(),
                ..Place::default()
            };
            self.problem(fault, place);
        }
        if !self.catalog.directory.is_empty() {
            let directory = self.catalog.directory.clone();
            self.problem(LayoutProblem::InDirectory { directory }, Place::default());
        }
    }

    fn add_node(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.catalog.nodes.len() as u32);
        self.catalog.nodes.push(node);
        id
    }

    /// The node for a file, put to one use. A new one is looked up, and queued if it is a document.
    fn node(&mut self, target: Target) -> NodeId {
        let key = (target.path, target.class);
        if let Some(&id) = self.known.get(&key) {
            return id;
        }
        let lookup = match key.0.is_empty() {
            true => Lookup::Missing,
            false => self.catalog.files.find(&key.0),
        };
        let mut node = Node {
            kind: target.kind,
            path: key.0.clone(),
            offset: None,
            content: None,
            state: State::Missing,
            packing: None,
            document: None,
            actual: None,
            links_in: Vec::new(),
            links_out: Vec::new(),
        };
        let mut trouble = None;
        match lookup {
            Lookup::Missing => {}
            Lookup::Circle => {
                let path = key.0.clone();
                trouble = Some(LayoutProblem::LinkCircle { path });
            }
            Lookup::Found(found) => {
                if let Some(via) = found.via {
                    trouble = self.link_trouble(via, &key.0, &found.path);
                }
                if target.class == Class::Layer {
                    match Packing::of(&found.content) {
                        Ok(packing) => node.packing = Some(packing),
                        Err(error) => {
                            let reason = error.to_string();
                            node.state = State::Unreadable { reason };
                        }
                    }
                }
                if node.state == State::Missing {
                    node.state = State::Present;
                }
                node.path = found.path;
                node.offset = found.offset;
                node.content = Some(found.content);
            }
        }
        // Found through a link, it may be known by its own path.
        let own = (node.path.clone(), target.class);
        let id = match self.known.get(&own) {
            Some(&id) => id,
            None => {
                let is_read = node.kind.is_document() && node.content.is_some();
                let id = self.add_node(node);
                self.known.insert(own, id);
                if is_read {
                    self.queue.push_back((id, target.depth));
                }
                id
            }
        };
        self.known.insert(key, id);
        if let Some(kind) = trouble {
            self.problem(kind, Place::of(id));
        }
        id
    }

    /// containerd passes over links but for those of Docker's old layout.
    fn link_trouble(&self, via: Via, path: &[u8], target: &[u8]) -> Option<LayoutProblem> {
        let is_docker = matches!(self.catalog.format, Format::Docker | Format::DockerLegacy);
        if self.catalog.tar.is_none() || (via == Via::Symlink && is_docker) {
            return None;
        }
        Some(LayoutProblem::BlobIsLink {
            path: path.to_vec(),
            target: target.to_vec(),
            via,
        })
    }

    /// A link from a node, and where it leads. None when there are too many.
    pub(super) fn link(&mut self, link: NewLink, target: Target) -> Option<LinkId> {
        if self.catalog.links.len() >= LINKS_LIMIT {
            if !std::mem::replace(&mut self.is_full, true) {
                self.problem(LayoutProblem::TooManyLinks, Place::of(link.from));
            }
            return None;
        }
        let to = self.node(target);
        let id = LinkId(self.catalog.links.len() as u32);
        self.catalog.links.push(Link {
            from: link.from,
            pointer: link.pointer,
            offset: link.offset,
            role: link.role,
            to,
            media_type: link.media_type,
            digest: link.digest,
            size: link.size,
            platform: link.platform,
            artifact_type: link.artifact_type,
            annotations: link.annotations,
        });
        self.catalog.nodes[link.from.0 as usize].links_out.push(id);
        self.catalog.nodes[to.0 as usize].links_in.push(id);
        Some(id)
    }

    /// Reads a node's document, and says what is wrong with it as JSON. None if it is not read.
    fn read(&mut self, id: NodeId) -> Option<Document> {
        let content = self.catalog.node(id).content.clone()?;
        let size = content.len();
        if size > json::SIZE_LIMIT {
            self.problem(DocumentProblem::DocumentTooLarge { size }, Place::of(id));
            return None;
        }
        if size > self.bytes_left {
            self.problem(DocumentProblem::DocumentsTooLarge { size }, Place::of(id));
            return None;
        }
        self.bytes_left -= size;
        let bytes = match content.read_all(size) {
            Ok(bytes) => bytes,
            Err(error) => {
                let reason = error.to_string();
                // Of others it is told where they are named.
                if self.catalog.roots.contains(&id) {
                    let reason = reason.clone();
                    self.problem(BlobProblem::Unreadable { reason }, Place::of(id));
                }
                self.catalog.nodes[id.0 as usize].state = State::Unreadable { reason };
                return None;
            }
        };
        let actual = Digest::of(&bytes);
        let document = Document::parse(bytes);
        for fault in document.faults() {
            let place = Place::in_document(id, &document, fault.offset);
            self.problem(fault.kind.clone(), place);
        }
        if let Some(error) = document.error() {
            let place = Place::in_document(id, &document, Problem::offset_of(error));
            self.problem(DocumentProblem::NotJson(error.clone()), place);
        }
        let node = &mut self.catalog.nodes[id.0 as usize];
        node.actual = Some(actual);
        node.document = Some(document.clone());
        Some(document)
    }

    /// A document that is looked into and not kept.
    pub(super) fn small_document(&mut self, path: &str) -> Option<Document> {
        let content = self.catalog.files.get(path.as_bytes())?;
        let bytes = content.read_all(json::SIZE_LIMIT.min(self.bytes_left)).ok()?;
        self.bytes_left -= bytes.len() as u64;
        Some(Document::parse(bytes))
    }

    /// Lets a document be read that was not there when its node was made.
    pub(super) fn queue(&mut self, id: NodeId, depth: usize) {
        self.queue.push_back((id, depth));
    }

    /// Whether no more links are taken.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Compares what links claim with what is there.
    fn check_links(&mut self) {
        for index in 0..self.catalog.links.len() {
            let link = &self.catalog.links[index];
            let node = self.catalog.node(link.to);
            let place = Place::of_link(link);
            let mut found = Vec::new();
            match &node.state {
                State::Missing if link.role != Role::Subject => found.push(BlobProblem::Missing {
                    path: node.path.clone(),
                    role: link.role,
                }),
                State::Foreign { urls } => found.push(BlobProblem::Foreign { urls: urls.clone() }),
                State::Unreadable { reason } => found.push(BlobProblem::Unreadable {
                    reason: reason.clone(),
                }),
                _ => {}
            }
            if let (Some(claimed), Some(actual)) = (link.size, node.size())
                && claimed != actual
            {
                found.push(BlobProblem::Size { claimed, actual });
            }
            if let (Some(claimed), Some(actual)) = (&link.digest, node.actual)
                && claimed.sha256().is_some_and(|claimed| claimed != actual)
            {
                let claimed = claimed.clone();
                found.push(BlobProblem::Digest { claimed, actual });
            }
            for kind in found {
                self.problem(kind, place.clone());
            }
        }
    }
}
