//! What is wrong with an image's documents, each with its place: what `check` shows of them.

use super::{Claim, NodeId, Role};
use crate::digest::Digest;
use crate::image::files::{ENTRY_LIMIT, FILE_LIMIT, Fault, PATH_LIMIT, Via};
use crate::image::json::{self, FaultKind, JsonError};
use crate::text::escape;

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

impl ProblemKind {
    fn facts(&self) -> (&'static str, Severity, &'static str) {
        use Severity::{Error, Info, Warning};
        match self {
            Self::Archive(Fault::Duplicate { .. }) => (
                "archive_duplicate_path",
                Warning,
                "POSIX pax; containerd and umoci take the last, some readers the first",
            ),
            Self::Archive(Fault::Damaged { .. }) => ("archive_damaged", Error, "POSIX pax; RFC 1952"),
            Self::Archive(Fault::Files { .. }) => ("archive_too_many_files", Warning, "a limit of handroll"),
            Self::Archive(Fault::Entries { .. }) => {
                ("archive_too_many_entries", Error, "a limit of handroll")
            }
            Self::Archive(Fault::LongPath { .. }) => ("archive_long_path", Warning, "Linux, PATH_MAX"),
            Self::InDirectory { .. } => ("image_in_directory", Warning, "image-spec, image-layout.md"),
            Self::LinkCircle { .. } => ("link_circle", Error, "path_resolution(7)"),
            Self::BlobIsLink { .. } => (
                "blob_is_link",
                Warning,
                "containerd passes over links in an image's archive",
            ),
            Self::MarkerMissing => (
                "layout_marker_missing",
                Error,
                "image-spec, image-layout.md, oci-layout file",
            ),
            Self::IndexMissing => (
                "index_missing",
                Error,
                "image-spec, image-layout.md, index.json file",
            ),
            Self::TooManyLinks => ("too_many_descriptors", Error, "a limit of handroll"),
            Self::TooDeep => ("index_too_deep", Error, "a limit of handroll"),
            Self::DocumentTooLarge { .. } => ("document_too_large", Error, "containerd's limit"),
            Self::DocumentsTooLarge { .. } => ("documents_too_large", Error, "a limit of handroll"),
            Self::NotJson(_) => ("not_json", Error, "RFC 8259"),
            Self::Json(FaultKind::Duplicate { .. }) => (
                "json_duplicate_member",
                Warning,
                "RFC 8259, section 4; RFC 7493, section 2.3",
            ),
            Self::Json(FaultKind::NotUtf8) => ("json_not_utf8", Warning, "RFC 8259, section 8.1"),
            Self::Json(FaultKind::LoneSurrogate) => ("json_lone_surrogate", Warning, "RFC 8259, section 8.2"),
            Self::Json(FaultKind::Number) => ("json_number_too_large", Warning, "RFC 7493, section 2.2"),
            Self::Json(FaultKind::ByteOrderMark) => ("json_byte_order_mark", Error, "RFC 8259, section 8.1"),
            Self::TypeConfusion { .. } => {
                ("type_confusion", Error, "image-spec, manifest.md; CVE-2021-41190")
            }
            Self::Missing {
                role: Role::Entry, ..
            } => ("manifest_missing", Warning, "image-spec, image-layout.md, Blobs"),
            Self::Missing { .. } => ("blob_missing", Error, "image-spec, image-layout.md, Blobs"),
            Self::Foreign { .. } => ("blob_elsewhere", Info, "image-spec, descriptor.md, urls"),
            Self::Unreadable { .. } => ("blob_unreadable", Error, "image-spec, image-layout.md, Blobs"),
            Self::Size { .. } => ("size_mismatch", Error, "image-spec, descriptor.md, size"),
            Self::Digest { .. } => (
                "digest_mismatch",
                Error,
                "image-spec, descriptor.md, Verification",
            ),
            Self::DiffIdCount { .. } => ("diff_id_count", Error, "image-spec, config.md, rootfs"),
            Self::HistoryCount { .. } => ("history_count", Warning, "image-spec, config.md, history"),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Archive(fault) => archive_sentence(fault),
            Self::InDirectory { directory } => format!(
                "The image lies in the directory {} of the archive, where tools do not look for it.",
                escape(directory)
            ),
            Self::LinkCircle { path } => format!("The links from {} lead in a circle.", escape(path)),
            Self::BlobIsLink { path, target, via } => format!(
                "{} is not a file of its own in the archive but a {} to {}, which some tools do not follow.",
                escape(path),
                match via {
                    Via::Symlink => "symbolic link",
                    Via::HardLink => "hard link",
                },
                escape(target)
            ),
            Self::MarkerMissing => {
                "The file oci-layout is missing: by it tools know that this is an image.".to_owned()
            }
            Self::IndexMissing => {
                "The file index.json is missing: nothing says which images are in here.".to_owned()
            }
            Self::TooManyLinks => format!(
                "The documents name more than {} things; what comes after is not looked at.",
                super::LINKS_LIMIT
            ),
            Self::TooDeep => format!(
                "This index lies more than {} deep in other indexes, and is not looked into.",
                super::DEPTH_LIMIT
            ),
            Self::DocumentTooLarge { size } => format!(
                "This document has {size} bytes; no more than {} are read, here and in containerd.",
                json::SIZE_LIMIT
            ),
            Self::DocumentsTooLarge { size } => format!(
                "With the {size} bytes of this document all documents are larger than the {} that are read.",
                super::DOCUMENTS_LIMIT
            ),
            Self::NotJson(error) => format!("This document is damaged: {error}."),
            Self::Json(fault) => json_sentence(fault),
            Self::TypeConfusion { is_index: true } => {
                "This is said to be an index, but it holds what a manifest holds: tools may read different \
                 images from it."
                    .to_owned()
            }
            Self::TypeConfusion { is_index: false } => {
                "This is said to be a manifest, but it holds what an index holds: tools may read different \
                 images from it."
                    .to_owned()
            }
            Self::Missing { path, role } => {
                let what = match role {
                    Role::Entry => "A manifest",
                    Role::Config => "The configuration",
                    Role::Layer(_) => "A layer",
                    Role::Subject => "The subject",
                };
                match path.is_empty() {
                    true => format!("{what} has no digest that says where it is."),
                    false => format!("{what} is not in the archive: {} is missing.", escape(path)),
                }
            }
            Self::Foreign { urls } => format!(
                "This blob is not in the archive; it is to be had from {}.",
                escape(urls.join(", ").as_bytes())
            ),
            Self::Unreadable { reason } => format!("This blob cannot be read: {reason}."),
            Self::Size { claimed, actual } => {
                format!("The size is said to be {claimed} bytes, but there are {actual}.")
            }
            Self::Digest { claimed, actual } => {
                format!("The digest is said to be {claimed}, but the bytes give {actual}.")
            }
            Self::DiffIdCount { diff_ids, layers } => {
                format!("The configuration has {diff_ids} DiffIDs for {layers} layers; each layer needs one.")
            }
            Self::HistoryCount { history, layers } => format!(
                "The history tells of {history} layers, but there are {layers}: which entry made which layer \
                 is a guess."
            ),
        }
    }
}

fn archive_sentence(fault: &Fault) -> String {
    match fault {
        Fault::Duplicate { path, .. } => format!(
            "The archive holds {} twice: some tools take the first, some the last.",
            escape(path)
        ),
        Fault::Damaged { reason, .. } => {
            format!("The archive cannot be read to its end, what stands before that is shown: {reason}.")
        }
        Fault::Files { .. } => {
            format!("The archive has more than {FILE_LIMIT} files; the rest are not listed.")
        }
        Fault::Entries { .. } => {
            format!("The archive has more than {ENTRY_LIMIT} entries; the rest are not looked at.")
        }
        Fault::LongPath { length, .. } => format!(
            "A path of {length} bytes is longer than the {PATH_LIMIT} that systems take, and is passed over."
        ),
    }
}

fn json_sentence(fault: &FaultKind) -> String {
    match fault {
        FaultKind::Duplicate { name, .. } => format!(
            "The member `{}` occurs twice in one object: some tools take the first, most the last.",
            escape(name.as_bytes())
        ),
        FaultKind::NotUtf8 => "This text holds bytes that are not UTF-8.".to_owned(),
        FaultKind::LoneSurrogate => {
            "This text holds half of a surrogate pair, which is no character.".to_owned()
        }
        FaultKind::Number => "This number is too large for the integers that tools read it into.".to_owned(),
        FaultKind::ByteOrderMark => {
            "The document begins with a byte order mark, at which tools written in Go fail.".to_owned()
        }
    }
}
