//! What is wrong with an image's documents, each with its place: what `check` shows of them.

mod blob;
mod container;
mod document;
mod layer;
mod layout;
mod name;
mod schema;

use super::{Link, NodeId};
use crate::image::files::Fault;
use crate::image::json::{self, FaultKind, JsonError};
use crate::text::escape;

pub use blob::BlobProblem;
pub use document::DocumentProblem;
pub use layer::LayerProblem;
pub use layout::LayoutProblem;
pub use name::NameProblem;
pub use schema::SchemaFault;

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
    /// The archive as an image.
    Layout(LayoutProblem),
    /// JSON that readers differ in.
    Json(FaultKind),
    /// A member breaks the schema of its document.
    Schema(SchemaFault),
    /// A document by itself.
    Document(DocumentProblem),
    /// A descriptor, or what it points to.
    Blob(BlobProblem),
    /// The layers of an image.
    Layer(LayerProblem),
    /// How an image is called, and what it is for.
    Name(NameProblem),
}

macro_rules! kinds {
    ($($variant:ident($problem:ident),)*) => {
        $(impl From<$problem> for ProblemKind {
            fn from(problem: $problem) -> Self {
                Self::$variant(problem)
            }
        })*
    };
}

kinds! {
    Archive(Fault),
    Layout(LayoutProblem),
    Json(FaultKind),
    Schema(SchemaFault),
    Document(DocumentProblem),
    Blob(BlobProblem),
    Layer(LayerProblem),
    Name(NameProblem),
}

/// A kind's stable name, how much it matters, and the clause or the tools that say so.
type Facts = (&'static str, Severity, &'static str);

impl Problem {
    /// A stable name of the kind of problem.
    pub fn id(&self) -> &'static str {
        self.facts().0
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        self.facts().1
    }

    /// The clause that it goes against, or the tools that differ.
    pub fn clause(&self) -> &'static str {
        self.facts().2
    }

    /// One sentence for someone who sees images for the first time.
    pub fn sentence(&self) -> String {
        match &self.kind {
            ProblemKind::Archive(fault) => container::archive_sentence(fault),
            ProblemKind::Layout(problem) => problem.sentence(),
            ProblemKind::Json(fault) => container::json_sentence(fault),
            ProblemKind::Schema(fault) => fault.sentence(),
            ProblemKind::Document(problem) => problem.sentence(),
            ProblemKind::Blob(problem) => problem.sentence(),
            ProblemKind::Layer(problem) => problem.sentence(),
            ProblemKind::Name(problem) => problem.sentence(),
        }
    }

    fn facts(&self) -> Facts {
        match &self.kind {
            ProblemKind::Archive(fault) => container::archive_facts(fault),
            ProblemKind::Layout(problem) => problem.facts(),
            ProblemKind::Json(fault) => container::json_facts(fault),
            ProblemKind::Schema(fault) => fault.facts(),
            ProblemKind::Document(problem) => problem.facts(),
            ProblemKind::Blob(problem) => problem.facts(),
            ProblemKind::Layer(problem) => problem.facts(),
            ProblemKind::Name(problem) => problem.facts(),
        }
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

/// A text from a document, fit to be shown, and not too long for that.
fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let end = text.char_indices().map(|(at, _)| at).find(|&at| at >= LONGEST);
    match end {
        Some(end) => escape(&text.as_bytes()[..end]) + "…",
        None => escape(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests;
