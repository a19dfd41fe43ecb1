//! What is wrong with an image's documents, each with its place: what `check` shows of them.

mod facts;
mod sentence;

use super::{Claim, ClaimFault, Link, NodeId, Role};
use crate::compress::inflate::Packing;
use crate::digest::Digest;
use crate::image::files::{Fault, Via};
use crate::image::json::{self, FaultKind, JsonError, Kind};

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Tools differ in what they make of it.
    Warning,
    /// It breaks a rule, or some tool fails at it.
    Error,
}

impl Severity {
    /// `info`, `warning` or `error`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Where a problem is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The node; none if it is the archive as a whole.
    pub node: Option<NodeId>,
    /// A JSON pointer into the node's document.
    pub pointer: Option<String>,
    /// The byte in the document; without a node, in the archive's tar, unpacked.
    pub offset: Option<u64>,
}

impl Place {
    /// A node as a whole.
    pub fn of(node: NodeId) -> Self {
        Self {
            node: Some(node),
            ..Self::default()
        }
    }

    /// A value in a node's document.
    pub fn at(node: NodeId, value: json::Node<'_>) -> Self {
        Self {
            node: Some(node),
            pointer: Some(value.pointer()),
            offset: Some(value.span().start as u64),
        }
    }

    /// A descriptor.
    pub(super) fn of_link(link: &Link) -> Self {
        Self {
            node: Some(link.from),
            pointer: Some(link.pointer.clone()),
            offset: Some(link.offset),
        }
    }

    /// A value whose pointer is known.
    pub(super) fn pointer(node: NodeId, pointer: String) -> Self {
        Self {
            node: Some(node),
            pointer: Some(pointer),
            offset: None,
        }
    }

    /// A byte of a node's document.
    pub(super) fn in_document(node: NodeId, document: &json::Document, offset: usize) -> Self {
        Self {
            node: Some(node),
            pointer: document.node_at(offset).map(|value| value.pointer()),
            offset: Some(offset as u64),
        }
    }

    /// What places are sorted by.
    pub(super) fn order(&self) -> (Option<NodeId>, Option<u64>) {
        (self.node, self.offset)
    }
}

/// Something wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub kind: ProblemKind,
    /// Where.
    pub place: Place,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    /// The archive as a container of files.
    Archive(Fault),
    /// The image lies in a directory of the archive.
    InDirectory {
        /// The directory, with a slash at its end.
        directory: Vec<u8>,
    },
    /// Links lead in a circle.
    LinkCircle {
        /// The path that was looked up.
        path: Vec<u8>,
    },
    /// A file of the image is a link in the archive.
    BlobIsLink {
        /// The link.
        path: Vec<u8>,
        /// The file.
        target: Vec<u8>,
        /// What kind of link.
        via: Via,
    },
    /// There is no `oci-layout`.
    MarkerMissing,
    /// There is no `index.json`.
    IndexMissing,
    /// There are more descriptors than are followed.
    TooManyLinks,
    /// An index lies too deep in others.
    TooDeep,
    /// A document is larger than is read.
    DocumentTooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// All documents together are larger than is read.
    DocumentsTooLarge {
        /// The size of the one too many, in bytes.
        size: u64,
    },
    /// A document is no JSON, or not to its end.
    NotJson(JsonError),
    /// JSON that readers differ in.
    Json(FaultKind),
    /// A document has the members of another kind of document.
    TypeConfusion {
        /// Whether it is said to be an index.
        is_index: bool,
    },
    /// A blob is not there.
    Missing {
        /// Where it should be.
        path: Vec<u8>,
        /// What for.
        role: Role,
    },
    /// A blob is elsewhere.
    Foreign {
        /// Where.
        urls: Vec<String>,
    },
    /// A blob could not be read.
    Unreadable {
        /// What the system said.
        reason: String,
    },
    /// The size is not the one that is claimed.
    Size {
        /// What is claimed, in bytes.
        claimed: u64,
        /// What there is.
        actual: u64,
    },
    /// The digest is not the one that is claimed.
    Digest {
        /// What is claimed.
        claimed: Claim,
        /// What the bytes give.
        actual: Digest,
    },
    /// A member breaks the schema of its document.
    Schema(SchemaFault),
    /// The digest has not the form of one.
    DigestForm {
        /// What is claimed.
        claimed: Claim,
        /// What is wrong with it.
        fault: ClaimFault,
    },
    /// A good digest of an algorithm that is not computed here.
    DigestUnverified {
        /// What is claimed.
        claimed: Claim,
    },
    /// The `data` of a descriptor is not the bytes that it stands for.
    Data {
        /// What is wrong with it.
        reason: String,
    },
    /// The media type of `{}` for something else.
    NotEmpty,
    /// The document says nothing of its own media type.
    NoMediaType,
    /// The document's own media type is not the one that its descriptor gives.
    MediaTypeMismatch {
        /// By the descriptor.
        claimed: String,
        /// By the document.
        own: String,
    },
    /// A manifest of Docker's first schema.
    OldManifest,
    /// A manifest without layers.
    NoLayers,
    /// An artifact that does not say what it is.
    NoArtifactType,
    /// A manifest or an index larger than registries take.
    LargeForRegistries {
        /// Its size in bytes.
        size: u64,
    },
    /// A layer of a media type that is none of a layer.
    LayerType {
        /// The media type.
        media_type: String,
    },
    /// A media type that the specification advises against.
    NonDistributable,
    /// A layer that is packed otherwise than its media type says.
    Packing {
        /// What the media type says.
        claimed: Packing,
        /// What the bytes are.
        actual: Packing,
        /// Whether the media type is one of Docker's, whose readers look at the bytes.
        is_docker: bool,
    },
    /// A layer in zstd.
    ZstdLayer,
    /// The name of a reference has other characters than it may.
    RefNameForm {
        /// The name.
        name: String,
    },
    /// The name of a reference where none is looked for.
    RefNameMisplaced,
    /// Two images of one name.
    SameName {
        /// The name.
        name: String,
    },
    /// An image without a name.
    Unnamed,
    /// An image whose only name is a tag.
    BareTag {
        /// The tag.
        tag: String,
    },
    /// containerd's name is not complete.
    NameNotCanonical {
        /// The name.
        name: String,
        /// The complete one, if it is a name at all.
        canonical: Option<String>,
    },
    /// Several images in a layout that is no docker archive.
    SeveralImages {
        /// How many.
        count: usize,
    },
    /// The descriptor and the configuration differ in the platform.
    PlatformMismatch {
        /// By the descriptor.
        claimed: String,
        /// By the configuration.
        config: String,
    },
    /// A processor is not called as images call it.
    PlatformAlias {
        /// As it is called.
        name: String,
        /// As it should be called.
        go_name: &'static str,
    },
    /// Two manifests of one index are for the same platform.
    SamePlatform {
        /// The platform.
        platform: String,
    },
    /// An attestation of a manifest that is not in its index.
    AttestationSubject {
        /// The digest that it names.
        digest: Option<String>,
    },
    /// Blobs that no document names.
    UnnamedBlobs {
        /// How many.
        count: usize,
        /// The first of them.
        first: Vec<u8>,
    },
    /// Files among the blobs whose names are no digests.
    StrayFiles {
        /// How many.
        count: usize,
        /// The first of them.
        first: Vec<u8>,
    },
    /// Docker's list names another image than the index.
    ViewsDisagree,
    /// An entry of Docker's list has a name that is none.
    DockerTag {
        /// The name.
        tag: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The layer that another stands on is not there.
    ParentMissing {
        /// The layer.
        layer: String,
    },
    /// The root file system is not made of layers.
    RootfsType {
        /// What is said.
        found: String,
    },
    /// A variable without a name or a value.
    EnvForm {
        /// The variable.
        variable: String,
    },
    /// A port that is none.
    PortForm {
        /// The port.
        port: String,
    },
    /// A tar that is a layer, or holds whole images.
    NestedLayouts {
        /// The directory of the first.
        directory: Vec<u8>,
    },
    /// A layer's blob does not unpack.
    Unpack {
        /// Why.
        reason: String,
    },
    /// The DiffID is not the one that is claimed.
    DiffId {
        /// What the configuration claims.
        claimed: Claim,
        /// What the unpacked bytes give.
        actual: Digest,
    },
    /// As many DiffIDs as layers are needed.
    DiffIdCount {
        /// How many the configuration has.
        diff_ids: usize,
        /// How many layers there are.
        layers: usize,
    },
    /// As many entries of the history that are not empty as layers are needed.
    HistoryCount {
        /// How many there are.
        history: usize,
        /// How many layers there are.
        layers: usize,
    },
}

/// What is wrong with a member, by the schema of its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaFault {
    /// It is not there, and must be.
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// It has another type than it must.
    Type {
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: Kind,
    },
    /// It has the right type, but not a value that may be.
    Value {
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// It is a list where a map is asked for: `["/data"]` for `{"/data":{}}`.
    ListForMap,
    /// It is no date and time of RFC 3339.
    Time {
        /// What it is.
        found: String,
    },
    /// It is no media type.
    MediaType {
        /// What it is.
        found: String,
    },
    /// The version of the schema is another one.
    Version {
        /// What it is.
        found: String,
    },
    /// The version of the layout is another one.
    LayoutVersion {
        /// What it is.
        found: String,
    },
    /// Its name differs from a known one in upper and lower case only.
    Case {
        /// The known name.
        known: &'static str,
        /// As it is written.
        found: String,
    },
}

impl Problem {
    /// A stable name of the kind of problem.
    pub fn id(&self) -> &'static str {
        self.kind.facts().0
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        self.kind.facts().1
    }

    /// The clause that it goes against, or the tools that differ.
    pub fn clause(&self) -> &'static str {
        self.kind.facts().2
    }

    /// One sentence for someone who sees images for the first time.
    pub fn sentence(&self) -> String {
        self.kind.sentence()
    }

    /// Where a JSON error is.
    pub(super) fn offset_of(error: &JsonError) -> usize {
        match *error {
            JsonError::Syntax { offset, .. }
            | JsonError::Depth { offset }
            | JsonError::Nodes { offset, .. } => offset,
            JsonError::Size { .. } => 0,
        }
    }
}
