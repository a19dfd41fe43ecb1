//! New bytes of a document in which all that was not touched stands as it stood, and what is put in looks like
//! what is around it: compact or indented, with the blanks that are there.

use std::collections::BTreeMap;

use super::node::{Kind, Node};
use super::{Document, JsonError};

/// Why an edit cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A document that was not read to its end has no whole to write.
    #[error("the document is damaged and cannot be edited: {0}")]
    Damaged(JsonError),
    /// No value is there.
    #[error("the document has nothing at `{pointer}`")]
    NotThere {
        /// The JSON pointer.
        pointer: String,
    },
}

/// A value to be put in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of RFC 8259")]
pub enum Value {
    Null,
    Bool(bool),
    Number(u64),
    String(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
    /// The bytes of a value, as they stand elsewhere.
    Raw(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<Node<'_>> for Value {
    fn from(node: Node<'_>) -> Self {
        Self::Raw(node.raw().to_vec())
    }
}

impl Value {
    /// An object with these members, in this order.
    pub fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self::Object(members.collect())
    }

    /// The value as a document of its own, without blanks.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write(self, &Style::default(), &mut out);
        out
    }
}

/// An element of a list that is made anew.
#[derive(Debug, Clone)]
pub enum Item<'a> {
    /// An element that the list has already, as it stands there.
    Keep(Node<'a>),
    /// A new one.
    New(Value),
}

/// Changes to a document. Nodes given to it must be of that document.
pub struct Edits<'a> {
    document: &'a Document,
    changes: BTreeMap<u32, Change>,
}

enum Change {
    Value(Value),
    Children(Vec<Child>),
}

#[derive(Clone)]
enum Child {
    Kept(u32),
    New(Option<String>, Value),
}

impl<'a> Edits<'a> {
    /// No changes yet. A damaged document cannot be edited.
    pub fn new(document: &'a Document) -> Result<Self, EditError> {
        match document.error() {
            Some(error) => Err(EditError::Damaged(error.clone())),
            None => Ok(Self {
                document,
                changes: BTreeMap::new(),
            }),
        }
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Replaces a value.
    pub fn set(&mut self, node: Node<'a>, value: impl Into<Value>) {
        self.changes.insert(node.index(), Change::Value(value.into()));
    }

    /// Replaces the value at a JSON pointer.
    pub fn set_at(&mut self, pointer: &str, value: impl Into<Value>) -> Result<(), EditError> {
        let node = self.document.at(pointer).ok_or_else(|| EditError::NotThere {
            pointer: pointer.to_owned(),
        })?;
        self.set(node, value);
        Ok(())
    }

    /// Gives an object's member a value: the one that it has, else a new one behind all others.
    pub fn set_member(&mut self, object: Node<'a>, name: &str, value: impl Into<Value>) {
        let value = value.into();
        match object.get(name) {
            Some(member) => self.set(member, value),
            None => {
                let new = Child::New(Some(name.to_owned()), value);
                self.children(object).push(new);
            }
        }
    }

    /// Puts an element into a list, before the one that has this number now, or behind the last.
    pub fn insert(&mut self, list: Node<'a>, index: usize, value: impl Into<Value>) {
        let value = value.into();
        let children = self.children(list);
        children.insert(index.min(children.len()), Child::New(None, value));
    }

    /// Takes an element out of its list, a member out of its object. The root stays.
    pub fn remove(&mut self, node: Node<'a>) {
        if let Some(parent) = node.parent() {
            self.children(parent)
                .retain(|child| !matches!(child, Child::Kept(index) if *index == node.index()));
        }
    }

    /// Takes all members of a name out of an object.
    pub fn remove_member(&mut self, object: Node<'a>, name: &str) {
        for child in object.children() {
            if child.key().is_some_and(|key| key == name) {
                self.remove(child);
            }
        }
    }

    /// Makes a list of these elements: of those that it had, and new ones.
    pub fn set_elements(&mut self, list: Node<'a>, items: impl IntoIterator<Item = Item<'a>>) {
        let items = items.into_iter().map(|item| match item {
            Item::Keep(node) => Child::Kept(node.index()),
            Item::New(value) => Child::New(None, value),
        });
        self.changes
            .insert(list.index(), Change::Children(items.collect()));
    }

    fn children(&mut self, container: Node<'a>) -> &mut Vec<Child> {
        let change = self.changes.entry(container.index());
        let all = || {
            container
                .children()
                .map(|child| Child::Kept(child.index()))
                .collect()
        };
        let change = change.or_insert_with(|| Change::Children(all()));
        if let Change::Value(_) = change {
            *change = Change::Children(all());
        }
        match change {
            Change::Children(children) => children,
            Change::Value(_) => unreachable!("made into children above"),
        }
    }

    /// The document with the changes made.
    pub fn finish(self) -> Vec<u8> {
        let bytes = self.document.bytes();
        let Some(root) = self.document.root() else {
            return bytes.to_vec();
        };
        let style = Style::of(root);
        let mut out = Vec::with_capacity(bytes.len() + 256);
        out.extend_from_slice(&bytes[..root.span().start]);
        self.render(root, &style, &mut out);
        out.extend_from_slice(&bytes[root.span().end..]);
        out
    }

    /// Recursion is as deep as the document, which the parser limits.
    fn render(&self, node: Node<'a>, style: &Style, out: &mut Vec<u8>) {
        let index = node.index();
        match self.changes.get(&index) {
            Some(Change::Value(value)) => write(value, style, out),
            Some(Change::Children(children)) => self.container(node, children, style, out),
            None if self.changes.range(index..node.after()).next().is_none() => {
                out.extend_from_slice(node.raw());
            }
            None => {
                let all: Vec<_> = node.children().map(|child| Child::Kept(child.index())).collect();
                self.container(node, &all, style, out);
            }
        }
    }

    fn container(&self, node: Node<'a>, children: &[Child], style: &Style, out: &mut Vec<u8>) {
        let old = Blanks::of(node);
        if children.is_empty() && old.children.is_empty() {
            return out.extend_from_slice(node.raw());
        }
        let is_inline = old.is_inline();
        let style = if is_inline { &style.inline() } else { style };
        let outer = line_indent(out);
        let brackets = if node.kind() == Kind::Object { b"{}" } else { b"[]" };
        out.push(brackets[0]);
        for (number, child) in children.iter().enumerate() {
            let gap = match child {
                Child::Kept(index) => old.before(*index),
                Child::New(..) => None,
            };
            match (number, gap) {
                (0, _) => old.lead(style, &outer, out),
                (_, Some(gap)) => out.extend_from_slice(gap),
                (_, None) => old.gap(style, &outer, out),
            }
            match child {
                Child::Kept(index) => {
                    let child = Node::new(self.document, *index);
                    out.extend_from_slice(&self.document.bytes()[member_start(child)..child.span().start]);
                    self.render(child, style, out);
                }
                Child::New(name, value) => {
                    if let Some(name) = name {
                        write_string(name, out);
                        out.extend_from_slice(&style.colon);
                    }
                    write(value, style, out);
                }
            }
        }
        if !children.is_empty() {
            old.tail(style, &outer, out);
        }
        out.push(brackets[1]);
    }
}

fn member_start(node: Node<'_>) -> usize {
    node.key_span().unwrap_or(node.span()).start
}

/// What stands between the children of a list or an object.
struct Blanks<'a> {
    bytes: &'a [u8],
    /// Of each child: its number in the index, where it begins and where it ends.
    children: Vec<(u32, usize, usize)>,
    start: usize,
    end: usize,
}

impl<'a> Blanks<'a> {
    fn of(node: Node<'a>) -> Self {
        let children = node
            .children()
            .map(|child| (child.index(), member_start(child), child.span().end));
        Self {
            bytes: node.document().bytes(),
            children: children.collect(),
            start: node.span().start + 1,
            end: node.span().end - 1,
        }
    }

    fn old_lead(&self) -> Option<&'a [u8]> {
        let first = self.children.first()?;
        Some(&self.bytes[self.start..first.1])
    }

    /// Whether what is in it stands on the line where it begins.
    fn is_inline(&self) -> bool {
        self.old_lead().is_some_and(|lead| !lead.contains(&b'\n'))
    }

    /// Comma and blanks before a child that is not the first.
    fn before(&self, index: u32) -> Option<&'a [u8]> {
        let at = self
            .children
            .binary_search_by_key(&index, |&(index, ..)| index)
            .ok()?;
        let previous = self.children.get(at.checked_sub(1)?)?;
        Some(&self.bytes[previous.2..self.children[at].1])
    }

    fn lead(&self, style: &Style, outer: &[u8], out: &mut Vec<u8>) {
        match self.old_lead() {
            Some(lead) => out.extend_from_slice(lead),
            None => style.line(outer, 1, out),
        }
    }

    fn gap(&self, style: &Style, outer: &[u8], out: &mut Vec<u8>) {
        match (self.children.get(1), self.old_lead()) {
            (Some(second), _) => out.extend_from_slice(&self.bytes[self.children[0].2..second.1]),
            (None, Some(lead)) if lead.contains(&b'\n') => {
                out.push(b',');
                out.extend_from_slice(lead);
            }
            _ => style.gap(outer, out),
        }
    }

    fn tail(&self, style: &Style, outer: &[u8], out: &mut Vec<u8>) {
        match self.children.last() {
            Some(last) => out.extend_from_slice(&self.bytes[last.2..self.end]),
            None => style.line(outer, 0, out),
        }
    }
}

/// How a document writes what is in lists and objects.
#[derive(Clone)]
struct Style {
    /// The end of a line and one step of indentation; none if all stands on one line.
    lines: Option<(Vec<u8>, Vec<u8>)>,
    /// Between elements on one line.
    comma: Vec<u8>,
    /// Between a name and its value.
    colon: Vec<u8>,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            lines: None,
            comma: b",".to_vec(),
            colon: b":".to_vec(),
        }
    }
}

impl Style {
    /// The style of a document: what its first values show of it.
    fn of(root: Node<'_>) -> Self {
        let mut style = Self::default();
        let bytes = root.document().bytes();
        let blanks = Blanks::of(root);
        if let Some(lead) = blanks.old_lead()
            && let Some(at) = lead.iter().rposition(|&byte| byte == b'\n')
        {
            let end = if lead[..at].ends_with(b"\r") {
                &b"\r\n"[..]
            } else {
                b"\n"
            };
            style.lines = Some((end.to_vec(), lead[at + 1..].to_vec()));
        } else if let [first, second, ..] = blanks.children[..] {
            style.comma = bytes[first.2..second.1].to_vec();
        }
        let mut node = Some(root);
        while let Some(container) = node {
            let first = container.children().next();
            if let Some(child) = first
                && let Some(key) = child.key_span()
            {
                style.colon = bytes[key.end..child.span().start].to_vec();
                break;
            }
            node = first;
        }
        style
    }

    fn inline(&self) -> Self {
        Self {
            lines: None,
            ..self.clone()
        }
    }

    /// A new line, so many steps deeper than `outer`; nothing if all stands on one line.
    fn line(&self, outer: &[u8], steps: usize, out: &mut Vec<u8>) {
        if let Some((end, step)) = &self.lines {
            out.extend_from_slice(end);
            out.extend_from_slice(outer);
            (0..steps).for_each(|_| out.extend_from_slice(step));
        }
    }

    fn gap(&self, outer: &[u8], out: &mut Vec<u8>) {
        match self.lines {
            Some(_) => {
                out.push(b',');
                self.line(outer, 1, out);
            }
            None => out.extend_from_slice(&self.comma),
        }
    }
}

/// The blanks that the last line of `out` begins with.
fn line_indent(out: &[u8]) -> Vec<u8> {
    let start = out.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let blanks = out[start..]
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'));
    blanks.copied().collect()
}

fn write(value: &Value, style: &Style, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => write_string(text, out),
        Value::Raw(bytes) => out.extend_from_slice(bytes),
        Value::Array(elements) => {
            let elements = elements.iter().map(|element| (None, element));
            write_container(*b"[]", elements, style, out);
        }
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (Some(&name[..]), value));
            write_container(*b"{}", members, style, out);
        }
    }
}

fn write_container<'v>(
    brackets: [u8; 2],
    children: impl Iterator<Item = (Option<&'v str>, &'v Value)>,
    style: &Style,
    out: &mut Vec<u8>,
) {
    let outer = line_indent(out);
    out.push(brackets[0]);
    let mut is_empty = true;
    for (name, value) in children {
        match is_empty {
            true => style.line(&outer, 1, out),
            false => style.gap(&outer, out),
        }
        is_empty = false;
        if let Some(name) = name {
            write_string(name, out);
            out.extend_from_slice(&style.colon);
        }
        write(value, style, out);
    }
    if !is_empty {
        style.line(&outer, 0, out);
    }
    out.push(brackets[1]);
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}
