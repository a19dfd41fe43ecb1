//! JSON without loss: a document's own bytes, and where in them each value stands. Knows RFC 8259, nothing of
//! images.
//!
//! A document's digest is that of its bytes, so nothing here turns values into text again: [`Document`] is an
//! index over bytes that stay as they are, and [`Edits`] writes new ones in which all that was not touched
//! stands as it stood: order, blanks, unknown members, forms of numbers and escapes.
//!
//! What readers of images differ in is no error here but a [`Fault`] with its place: members that occur twice,
//! bytes that are not UTF-8, half surrogates, numbers that no integer holds, a byte order mark. A document that
//! breaks the grammar is read up to there.

mod edit;
mod node;
mod parse;
mod read;

use std::sync::Arc;

pub use edit::{EditError, Edits, Item, Value};
pub(crate) use node::escape_step;
pub use node::{Kind, Node};
pub use read::{FromJson, ReadError, read};
pub(crate) use read::{Members, fields, from_name, from_object, from_tagged};

/// The largest document that is read: what containerd takes.
pub const SIZE_LIMIT: u64 = 20 << 20;
/// How deep lists and objects may lie in each other.
pub const DEPTH_LIMIT: usize = 128;
/// The most values in one document.
pub const NODE_LIMIT: usize = 1 << 20;
/// The most faults that are told of one document.
const FAULT_LIMIT: usize = 100;

/// A place in a document, in bytes from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

/// Why a document cannot be read further than to here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The grammar wants something else.
    #[error("byte {offset} (line {line}, column {column}): {found} stands where {expected} is expected")]
    Syntax {
        /// Where, in bytes from the beginning.
        offset: usize,
        /// The line, counted from 1.
        line: usize,
        /// The column in bytes, counted from 1.
        column: usize,
        /// What could stand there.
        expected: &'static str,
        /// What does: a byte, or the end.
        found: String,
    },
    /// Lists and objects in each other.
    #[error("byte {offset}: more than {DEPTH_LIMIT} lists and objects lie in each other")]
    Depth {
        /// Where the one too many begins.
        offset: usize,
    },
    /// More values than are kept.
    #[error("byte {offset}: the document has more than {limit} values")]
    Nodes {
        /// Where the one too many begins.
        offset: usize,
        /// How many are kept.
        limit: usize,
    },
    /// More bytes than are read.
    #[error("the document has {length} bytes, more than the {limit} that are read")]
    Size {
        /// Its length.
        length: u64,
        /// How many are read.
        limit: u64,
    },
}

/// Something that the grammar allows, or that readers let pass, but that they do not all read alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it begins, in bytes.
    pub offset: usize,
    /// What it is.
    pub kind: FaultKind,
}

/// The kinds of [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// An object has two members of one name (RFC 8259, section 4). `get` finds the last, as most readers do.
    Duplicate {
        /// The name.
        name: String,
        /// Where the first one's name begins.
        first: usize,
    },
    /// A text holds a byte that is not UTF-8 (RFC 8259, section 8.1). It is read as U+FFFD.
    NotUtf8,
    /// A text holds half of a surrogate pair (RFC 8259, section 8.2). It is read as U+FFFD.
    LoneSurrogate,
    /// An integer beyond 64 bits with a sign (RFC 7493, section 2.2): readers round it or refuse it.
    Number,
    /// The document begins with a byte order mark, which writers must not write (RFC 8259, section 8.1).
    ByteOrderMark,
}

/// A document: its bytes, and an index of the values in them. Cloning is cheap.
#[derive(Clone)]
pub struct Document {
    bytes: Arc<[u8]>,
    nodes: Arc<[node::Slot]>,
    faults: Arc<[Fault]>,
    error: Option<JsonError>,
}

impl Document {
    /// Reads a document. Always gives one: if the bytes break the grammar or a limit, what stands before that.
    pub fn parse(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::parse_within(bytes, SIZE_LIMIT, NODE_LIMIT)
    }

    /// Reads a document with limits of its own: bytes, and values.
    pub fn parse_within(bytes: impl Into<Arc<[u8]>>, size: u64, nodes: usize) -> Self {
        let bytes = bytes.into();
        let parsed = parse::parse(&bytes, size, nodes);
        Self {
            nodes: parsed.nodes.into(),
            faults: parsed.faults.into(),
            error: parsed.error,
            bytes,
        }
    }

    /// The bytes, as they came.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Why the document was not read to its end, if it was not.
    pub fn error(&self) -> Option<&JsonError> {
        self.error.as_ref()
    }

    /// What readers may differ in, in the order of their places.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How many values it has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The outermost value; none if not even that could be read.
    pub fn root(&self) -> Option<Node<'_>> {
        (!self.nodes.is_empty()).then(|| Node::new(self, 0))
    }

    /// The value at a JSON pointer (RFC 6901): `/manifests/0/digest`, or the empty text for the root.
    pub fn at(&self, pointer: &str) -> Option<Node<'_>> {
        let root = self.root()?;
        let Some(steps) = pointer.strip_prefix('/') else {
            return pointer.is_empty().then_some(root);
        };
        steps.split('/').try_fold(root, |node, step| match node.kind() {
            Kind::Array => node.at(array_index(step)?),
            _ => node.get(&step.replace("~1", "/").replace("~0", "~")),
        })
    }

    /// The innermost value that covers a byte. A member's name belongs to the object.
    pub fn node_at(&self, offset: usize) -> Option<Node<'_>> {
        let covers = |node: &Node<'_>| node.span().start <= offset && offset < node.span().end;
        let mut node = self.root().filter(covers)?;
        while let Some(inner) = node.children().find(covers) {
            node = inner;
        }
        Some(node)
    }

    /// The line and the column of a byte, both counted from 1, columns in bytes.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        line_and_column(&self.bytes, offset)
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Document({} bytes, {} values)",
            self.bytes.len(),
            self.nodes.len()
        )
    }
}

fn line_and_column(bytes: &[u8], offset: usize) -> (usize, usize) {
    let before = &bytes[..offset.min(bytes.len())];
    let lines = before.iter().filter(|&&byte| byte == b'\n').count();
    let start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    (lines + 1, before.len() - start + 1)
}

/// RFC 6901, section 4: digits without leading zeros.
fn array_index(step: &str) -> Option<usize> {
    let canonical = step == "0" || (!step.starts_with(['0', '+']) && !step.is_empty());
    canonical.then(|| step.parse().ok()).flatten()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
