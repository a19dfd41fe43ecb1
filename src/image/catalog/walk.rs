//! The walk from the roots to all that they lead to: each document is read once, by its own descriptor's
//! word for what it is. A queue instead of recursion, and limits on all that hostile documents multiply.

use std::collections::{BTreeMap, VecDeque};

use super::open::holds;
use super::problem::{Place, Problem, ProblemKind};
use super::{
    Catalog, Claim, DEPTH_LIMIT, DOCUMENTS_LIMIT, Format, LINKS_LIMIT, Link, LinkId, Node, NodeId, NodeKind,
    PROBLEMS_LIMIT, Role, State, checks, docker, images, schema,
};
use crate::compress::inflate::Packing;
use crate::content::Content;
use crate::digest::Digest;
use crate::image::config::Platform;
use crate::image::files::{Files, Lookup, Via};
use crate::image::json::{self, Document, Kind};
use crate::image::media::{self, Media};

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
                    NodeKind::Marker => ProblemKind::MarkerMissing,
                    _ => ProblemKind::IndexMissing,
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
            self.problem(ProblemKind::NestedLayouts { directory }, Place::default());
        }
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

    pub(super) fn problem(&mut self, kind: ProblemKind, place: Place) {
        match self.catalog.problems.len() < PROBLEMS_LIMIT {
            true => self.catalog.problems.push(Problem { kind, place }),
            false => self.catalog.more_problems += 1,
        }
    }

    /// A problem at a value of a node's document.
    pub(super) fn problem_at(&mut self, kind: ProblemKind, id: NodeId, value: json::Node<'_>) {
        self.problem(kind, Place::at(id, value));
    }

    fn container_problems(&mut self) {
        let (faults, more) = self.catalog.files.faults();
        let faults = faults.to_vec();
        self.catalog.more_problems += more;
        for fault in faults {
            self.problem(ProblemKind::Archive(fault), Place::default());
        }
        if !self.catalog.directory.is_empty() {
            let directory = self.catalog.directory.clone();
            self.problem(ProblemKind::InDirectory { directory }, Place::default());
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
                trouble = Some(ProblemKind::LinkCircle { path });
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
    fn link_trouble(&self, via: Via, path: &[u8], target: &[u8]) -> Option<ProblemKind> {
        let is_docker = matches!(self.catalog.format, Format::Docker | Format::DockerLegacy);
        if self.catalog.tar.is_none() || (via == Via::Symlink && is_docker) {
            return None;
        }
        Some(ProblemKind::BlobIsLink {
            path: path.to_vec(),
            target: target.to_vec(),
            via,
        })
    }

    /// A link from a node, and where it leads. None when there are too many.
    pub(super) fn link(&mut self, link: NewLink, target: Target) -> Option<LinkId> {
        if self.catalog.links.len() >= LINKS_LIMIT {
            if !std::mem::replace(&mut self.is_full, true) {
                self.problem(ProblemKind::TooManyLinks, Place::of(link.from));
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
            self.problem(ProblemKind::DocumentTooLarge { size }, Place::of(id));
            return None;
        }
        if size > self.bytes_left {
            self.problem(ProblemKind::DocumentsTooLarge { size }, Place::of(id));
            return None;
        }
        self.bytes_left -= size;
        let bytes = match content.read_all(size) {
            Ok(bytes) => bytes,
            Err(error) => {
                let reason = error.to_string();
                self.catalog.nodes[id.0 as usize].state = State::Unreadable { reason };
                return None;
            }
        };
        let actual = Digest::of(&bytes);
        let document = Document::parse(bytes);
        for fault in document.faults() {
            let place = Place::in_document(id, &document, fault.offset);
            self.problem(ProblemKind::Json(fault.kind.clone()), place);
        }
        if let Some(error) = document.error() {
            let place = Place::in_document(id, &document, Problem::offset_of(error));
            self.problem(ProblemKind::NotJson(error.clone()), place);
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

    fn index(&mut self, id: NodeId, document: &Document, depth: usize) {
        let Some(root) = document.root() else { return };
        let Some(manifests) = root.field("manifests") else {
            return self.other_shape(id, document, depth);
        };
        if root.field("layers").is_some() || root.field("config").is_some() {
            self.problem_at(ProblemKind::TypeConfusion { is_index: true }, id, root);
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
                self.problem(ProblemKind::TooDeep, place);
                continue;
            }
            self.follow(link, kind, depth + 1);
        }
    }

    fn manifest(&mut self, id: NodeId, document: &Document, depth: usize) {
        let Some(root) = document.root() else { return };
        let (config, layers) = (root.field("config"), root.field("layers"));
        if config.is_none() && layers.is_none() {
            return self.other_shape(id, document, depth);
        }
        if root.field("manifests").is_some() {
            self.problem_at(ProblemKind::TypeConfusion { is_index: false }, id, root);
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
        if claims_type || node_is_root(&self.catalog, id) {
            let kind = ProblemKind::TypeConfusion { is_index: !is_index };
            self.problem_at(kind, id, root);
        }
        match is_index {
            true if depth > DEPTH_LIMIT => self.problem_at(ProblemKind::TooDeep, id, root),
            true => self.index(id, document, depth),
            false => self.manifest(id, document, depth),
        }
    }

    /// Whether no more links are taken.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
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
                self.queue.push_back((to, depth));
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
        self.problem(ProblemKind::Data { reason }, place);
        None
    }

    /// Compares what links claim with what is there.
    fn check_links(&mut self) {
        for index in 0..self.catalog.links.len() {
            let link = &self.catalog.links[index];
            let node = self.catalog.node(link.to);
            let place = Place::of_link(link);
            let mut found = Vec::new();
            match &node.state {
                State::Missing if link.role != Role::Subject => found.push(ProblemKind::Missing {
                    path: node.path.clone(),
                    role: link.role,
                }),
                State::Foreign { urls } => found.push(ProblemKind::Foreign { urls: urls.clone() }),
                State::Unreadable { reason } => found.push(ProblemKind::Unreadable {
                    reason: reason.clone(),
                }),
                _ => {}
            }
            if let (Some(claimed), Some(actual)) = (link.size, node.size())
                && claimed != actual
            {
                found.push(ProblemKind::Size { claimed, actual });
            }
            if let (Some(claimed), Some(actual)) = (&link.digest, node.actual)
                && claimed.sha256().is_some_and(|claimed| claimed != actual)
            {
                let claimed = claimed.clone();
                found.push(ProblemKind::Digest { claimed, actual });
            }
            for kind in found {
                self.problem(kind, place.clone());
            }
        }
    }
}

fn node_is_root(catalog: &Catalog, id: NodeId) -> bool {
    catalog.roots.contains(&id)
}

/// Whether a descriptor says that its manifest is no image, but tells of one (BuildKit's attestation storage).
fn is_attestation(link: &NewLink) -> bool {
    let mut annotations = link.annotations.iter();
    annotations.any(|(key, value)| key == media::REFERENCE_TYPE && value == "attestation-manifest")
}

/// A descriptor as it was read.
pub(super) struct NewLink {
    pub(super) from: NodeId,
    pub(super) pointer: String,
    pub(super) offset: u64,
    pub(super) role: Role,
    pub(super) media_type: Option<String>,
    pub(super) digest: Option<Claim>,
    pub(super) size: Option<u64>,
    pub(super) platform: Option<Platform>,
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: Vec<(String, String)>,
    urls: Vec<String>,
    /// The bytes themselves, or what is wrong with them.
    data: Option<Result<Vec<u8>, &'static str>>,
}

impl NewLink {
    /// A path in Docker's list.
    pub(super) fn path(
        from: NodeId,
        pointer: String,
        value: json::Node<'_>,
        role: Role,
        digest: Option<Claim>,
    ) -> Self {
        Self {
            from,
            pointer,
            offset: value.span().start as u64,
            role,
            media_type: None,
            digest,
            size: None,
            platform: None,
            artifact_type: None,
            annotations: Vec::new(),
            urls: Vec::new(),
            data: None,
        }
    }

    fn of(from: NodeId, pointer: String, role: Role, descriptor: json::Node<'_>) -> Self {
        let text = |node: json::Node<'_>, name: &str| {
            let value = node.field(name)?;
            value.as_str().map(|text| text.into_owned())
        };
        let annotations = descriptor.field("annotations");
        let annotations = annotations.iter().flat_map(|annotations| annotations.children());
        let annotations = annotations.filter_map(|value| Some((value.key()?, value.as_str()?)));
        let platform = descriptor.field("platform").and_then(|platform| {
            Some(Platform {
                os: text(platform, "os")?,
                architecture: text(platform, "architecture")?,
                variant: text(platform, "variant").filter(|variant| !variant.is_empty()),
            })
        });
        let urls = descriptor.field("urls");
        let urls = urls.iter().flat_map(|urls| urls.elements());
        Self {
            from,
            pointer,
            offset: descriptor.span().start as u64,
            role,
            media_type: text(descriptor, "mediaType").filter(|text| !text.is_empty()),
            digest: text(descriptor, "digest").map(Claim::new),
            size: descriptor.field("size").and_then(|size| size.as_u64()),
            platform,
            artifact_type: text(descriptor, "artifactType"),
            annotations: annotations
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect(),
            urls: urls
                .filter_map(|url| url.as_str())
                .map(|url| url.into_owned())
                .collect(),
            data: text(descriptor, "data").map(|text| crate::base64::decode(&text)),
        }
    }

    fn media(&self) -> Option<Media> {
        self.media_type.as_deref().map(Media::of)
    }
}

/// A text at a member of an object.
pub(super) fn text_of(object: json::Node<'_>, name: &str) -> Option<String> {
    let value = object.field(name)?;
    (value.kind() == Kind::String)
        .then(|| value.as_str())
        .flatten()
        .map(|text| text.into_owned())
}
