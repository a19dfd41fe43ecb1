//! One value of a document, as a view of the bytes where it stands.

use std::borrow::Cow;

use super::{Document, Span};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of RFC 8259")]
pub enum Kind {
    Null,
    True,
    False,
    Number,
    String,
    Array,
    Object,
}

/// A value in the index. Values stand there as in the document: each before what is in it, so that `after`, the
/// first that is not in it, is also its next sibling.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) after: u32,
    /// The list or object that it is in; its own number for the root.
    pub(super) parent: u32,
    /// The name of a member, with its quotes; `0..0` else.
    pub(super) key_start: u32,
    pub(super) key_end: u32,
}

/// A value of a document.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    document: &'a Document,
    index: u32,
}

impl<'a> Node<'a> {
    pub(super) fn new(document: &'a Document, index: u32) -> Self {
        Self { document, index }
    }

    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// The number of the first value behind it that is not in it.
    pub(super) fn after(&self) -> u32 {
        self.slot().after
    }

    fn slot(&self) -> &'a Slot {
        &self.document.nodes[self.index as usize]
    }

    /// The document that it stands in.
    pub fn document(&self) -> &'a Document {
        self.document
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.slot().kind
    }

    /// Where it stands.
    pub fn span(&self) -> Span {
        let slot = self.slot();
        Span {
            start: slot.start as usize,
            end: slot.end as usize,
        }
    }

    /// Its bytes, as they stand there.
    pub fn raw(&self) -> &'a [u8] {
        let span = self.span();
        &self.document.bytes[span.start..span.end]
    }

    /// Where the name of this member stands, quotes included; none for what is no member.
    pub fn key_span(&self) -> Option<Span> {
        let slot = self.slot();
        (slot.key_end > 0).then_some(Span {
            start: slot.key_start as usize,
            end: slot.key_end as usize,
        })
    }

    /// The name of this member.
    pub fn key(&self) -> Option<Cow<'a, str>> {
        let span = self.key_span()?;
        Some(decode(&self.document.bytes[span.start..span.end]))
    }

    /// The list or the object that it is in.
    pub fn parent(&self) -> Option<Node<'a>> {
        let parent = self.slot().parent;
        (parent != self.index).then(|| Self::new(self.document, parent))
    }

    /// The elements of a list, the members of an object, in their order.
    pub fn children(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let (document, after) = (self.document, self.slot().after);
        let mut next = self.index + 1;
        std::iter::from_fn(move || {
            let index = (next < after).then_some(next)?;
            next = document.nodes[index as usize].after;
            Some(Self::new(document, index))
        })
    }

    /// The elements, if it is a list.
    pub fn elements(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        let is_list = self.kind() == Kind::Array;
        self.children().take_while(move |_| is_list)
    }

    /// The member of this name; the last of several, as most readers have it. `null` is a value too: see
    /// [`Node::field`].
    pub fn get(&self, name: &str) -> Option<Node<'a>> {
        if self.kind() != Kind::Object {
            return None;
        }
        self.children()
            .filter(|child| child.key().is_some_and(|key| key == name))
            .last()
    }

    /// The member of this name, unless it is `null`, which means the same as no member (image-spec,
    /// considerations.md).
    pub fn field(&self, name: &str) -> Option<Node<'a>> {
        self.get(name).filter(|node| node.kind() != Kind::Null)
    }

    /// The element with this number, counted from 0.
    pub fn at(&self, index: usize) -> Option<Node<'a>> {
        self.elements().nth(index)
    }

    /// A text, decoded. What is no text is none.
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        (self.kind() == Kind::String).then(|| decode(self.raw()))
    }

    /// A whole number from 0 that is written as one: `1e3` and `1.0` are none, as readers in Go have it.
    pub fn as_u64(&self) -> Option<u64> {
        self.digits()?.parse().ok()
    }

    /// A whole number that is written as one.
    pub fn as_i64(&self) -> Option<i64> {
        self.digits()?.parse().ok()
    }

    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    fn digits(&self) -> Option<&'a str> {
        (self.kind() == Kind::Number)
            .then(|| str::from_utf8(self.raw()).ok())
            .flatten()
    }

    /// The JSON pointer of this value (RFC 6901).
    pub fn pointer(&self) -> String {
        let mut steps = Vec::new();
        let mut node = *self;
        while let Some(parent) = node.parent() {
            steps.push(match node.key() {
                Some(key) => escape_step(&key),
                None => {
                    let number = parent.children().position(|child| child.index == node.index);
                    number.unwrap_or_default().to_string()
                }
            });
            node = parent;
        }
        steps.iter().rev().flat_map(|step| ["/", step]).collect()
    }
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.raw()))
    }
}

/// A step of a JSON pointer (RFC 6901, section 3).
pub(crate) fn escape_step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The text of a token that the parser has checked, quotes included. What is not UTF-8, and halves of surrogate
/// pairs, are U+FFFD.
pub(super) fn decode(token: &[u8]) -> Cow<'_, str> {
    let body = token.strip_prefix(b"\"").unwrap_or(token);
    let body = body.strip_suffix(b"\"").unwrap_or(body);
    if !body.contains(&b'\\') {
        return String::from_utf8_lossy(body);
    }
    let mut text = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        text.push_str(&String::from_utf8_lossy(&rest[..at]));
        let (c, length) = escaped(&rest[at..]);
        text.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = &rest[at + length..];
    }
    text.push_str(&String::from_utf8_lossy(rest));
    Cow::Owned(text)
}

/// The character of the escape that `bytes` begin with, and its length; none for half of a surrogate pair.
pub(super) fn escaped(bytes: &[u8]) -> (Option<char>, usize) {
    let c = match bytes.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(bytes),
        Some(&other) => char::from(other),
        None => return (None, bytes.len()),
    };
    (Some(c), 2)
}

fn unicode(bytes: &[u8]) -> (Option<char>, usize) {
    let Some(unit) = hex4(bytes.get(2..6)) else {
        return (None, bytes.len().min(2));
    };
    if let 0xd800..0xdc00 = unit
        && bytes.get(6..8) == Some(b"\\u")
        && let Some(low @ 0xdc00..0xe000) = hex4(bytes.get(8..12))
    {
        return (
            char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)),
            12,
        );
    }
    (char::from_u32(unit), 6)
}

fn hex4(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0, |unit, &digit| {
        Some(unit << 4 | char::from(digit).to_digit(16)?)
    })
}
