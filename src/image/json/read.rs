//! From documents to values of Rust: by member, with errors that name the place. Plain functions over one kind
//! of document, since what derives over any kind of input are a third of the page's core.

use std::collections::BTreeMap;

use super::{Document, FaultKind, JsonError, Kind, Node};

/// The most values of a document that is read as one value of Rust: 20 bytes of index each.
const NODES: usize = 1 << 23;

/// A document is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is JSON of a kind that readers read differently: a member twice, half a character.
    #[error("byte {offset}: {}", said(fault))]
    Fault {
        /// Where, in bytes from the beginning.
        offset: usize,
        /// What it is.
        fault: FaultKind,
    },
    /// A value is not what is wanted there.
    #[error("byte {offset} (`{pointer}`): {reason}")]
    Value {
        /// Where, in bytes from the beginning.
        offset: usize,
        /// Where, as a JSON pointer (RFC 6901).
        pointer: String,
        /// What is wanted.
        reason: String,
    },
}

impl ReadError {
    /// `node` cannot be used, for this reason.
    pub fn at(node: Node<'_>, reason: impl Into<String>) -> Self {
        Self::Value {
            offset: node.span().start,
            pointer: node.pointer(),
            reason: reason.into(),
        }
    }
}

fn said(fault: &FaultKind) -> &'static str {
    match fault {
        FaultKind::Duplicate { .. } => "this member was there before",
        FaultKind::NotUtf8 => "this text is not UTF-8",
        FaultKind::LoneSurrogate => "this is half of a surrogate pair",
        FaultKind::Number => "this number has more than 64 bits",
        FaultKind::ByteOrderMark => "a byte order mark is no JSON",
    }
}

/// What can be read from JSON.
pub trait FromJson: Sized {
    /// Reads a value.
    fn from_json(node: Node<'_>) -> Result<Self, ReadError>;

    /// What it means if there is no such member; none if there must be one.
    fn absent() -> Option<Self> {
        None
    }
}

/// Reads a whole document of at most `limit` bytes.
pub fn read<T: FromJson>(bytes: &[u8], limit: u64) -> Result<T, ReadError> {
    let document = Document::parse_within(bytes, limit, NODES);
    if let Some(error) = document.error() {
        return Err(error.clone().into());
    }
    if let Some(fault) = document.faults().first() {
        return Err(ReadError::Fault {
            offset: fault.offset,
            fault: fault.kind.clone(),
        });
    }
    T::from_json(document.root().expect("what has no error has a value"))
}

/// The members of an object on their way into a value's fields.
pub struct Members<'a> {
    node: Node<'a>,
    taken: Vec<&'static str>,
}

impl<'a> Members<'a> {
    /// Before the first.
    pub fn of(node: Node<'a>) -> Result<Self, ReadError> {
        match node.kind() {
            Kind::Object => Ok(Self {
                node,
                taken: Vec::new(),
            }),
            _ => Err(ReadError::at(node, "an object is wanted here")),
        }
    }

    /// The member of this name.
    pub fn take<T: FromJson>(&mut self, name: &'static str) -> Result<T, ReadError> {
        match self.get(name) {
            Some(node) => T::from_json(node),
            None => T::absent().ok_or_else(|| self.error(format!("`{name}` is missing"))),
        }
    }

    /// The member of this name, or the default if there is none.
    pub fn take_or_default<T: FromJson + Default>(&mut self, name: &'static str) -> Result<T, ReadError> {
        self.get(name).map_or_else(|| Ok(T::default()), T::from_json)
    }

    /// The member that says which of several forms the object has.
    pub fn tag(&mut self, name: &'static str) -> Result<String, ReadError> {
        self.take(name)
    }

    /// The error for a tag that is none of those that are known.
    pub fn unknown(&self, name: &str, tag: &str, known: &[&str]) -> ReadError {
        self.error(format!(
            "{name} `{tag}` is unknown: expected one of `{}`",
            known.join("`, `")
        ))
    }

    /// After the last: an error if there is a member that was not taken.
    pub fn end(self) -> Result<(), ReadError> {
        let other = |node: &Node<'_>| {
            !self
                .taken
                .iter()
                .any(|name| node.key().is_some_and(|key| key == *name))
        };
        match self.node.children().find(other) {
            None => Ok(()),
            Some(node) => Err(ReadError::at(node, "there should be no such member")),
        }
    }

    fn get(&mut self, name: &'static str) -> Option<Node<'a>> {
        self.taken.push(name);
        self.node.get(name)
    }

    fn error(&self, reason: String) -> ReadError {
        ReadError::at(self.node, reason)
    }
}

/// `fields!(members => Type { must, be, there; may, be, absent })`: a value of `Type` whose fields are the members
/// of their names.
macro_rules! fields {
    ($members:ident => $($type:ident)::+ { $($must:ident),* $(; $($may:ident),+)? }) => {
        $($type)::+ {
            $($must: $members.take(stringify!($must))?,)*
            $($($may: $members.take_or_default(stringify!($may))?,)+)?
        }
    };
}

/// Objects whose members are the fields of a structure, in the form that `fields!` has.
macro_rules! from_object {
    ($($type:ident { $($fields:tt)* })*) => {$(
        impl FromJson for $type {
            fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
                let mut members = Members::of(node)?;
                let value = fields!(members => $type { $($fields)* });
                members.end()?;
                Ok(value)
            }
        }
    )*};
}

/// Objects in which the member `$tag` says which variant of an enumeration they are; the others are its fields.
macro_rules! from_tagged {
    ($type:ident by $tag:literal, $members:ident { $($name:literal => $value:expr,)* }) => {
        impl FromJson for $type {
            fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
                let mut $members = Members::of(node)?;
                let tag = $members.tag($tag)?;
                let value = match tag.as_str() {
                    $($name => $value,)*
                    tag => return Err($members.unknown($tag, tag, &[$($name),*])),
                };
                $members.end()?;
                Ok(value)
            }
        }
    };
}

/// Texts that name the variants of an enumeration.
macro_rules! from_name {
    ($type:ident { $($name:literal => $value:ident,)* }) => {
        impl FromJson for $type {
            fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
                match node.as_str().as_deref() {
                    $(Some($name) => Ok(Self::$value),)*
                    _ => Err(ReadError::at(node, concat!("expected one of" $(, " `", $name, "`")*))),
                }
            }
        }
    };
}

pub(crate) use {fields, from_name, from_object, from_tagged};

impl FromJson for String {
    fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
        let text = node.as_str().map(std::borrow::Cow::into_owned);
        text.ok_or_else(|| ReadError::at(node, "a text is wanted here"))
    }
}

impl FromJson for bool {
    fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
        node.as_bool()
            .ok_or_else(|| ReadError::at(node, "true or false is wanted here"))
    }
}

impl FromJson for i64 {
    fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
        node.as_i64()
            .ok_or_else(|| ReadError::at(node, "a whole number is wanted here"))
    }
}

fn unsigned(node: Node<'_>, max: u64) -> Result<u64, ReadError> {
    node.as_u64()
        .filter(|number| *number <= max)
        .ok_or_else(|| ReadError::at(node, format!("a whole number from 0 to {max} is wanted here")))
}

macro_rules! from_unsigned {
    ($($type:ident)*) => {$(
        impl FromJson for $type {
            fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
                Ok(unsigned(node, $type::MAX as u64)? as $type)
            }
        }
    )*};
}

from_unsigned!(u16 u32 u64 usize);

impl<T: FromJson> FromJson for Option<T> {
    fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
        match node.kind() {
            Kind::Null => Ok(None),
            _ => T::from_json(node).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
        match node.kind() {
            Kind::Array => node.children().map(T::from_json).collect(),
            _ => Err(ReadError::at(node, "a list is wanted here")),
        }
    }
}

impl<T: FromJson> FromJson for BTreeMap<String, T> {
    fn from_json(node: Node<'_>) -> Result<Self, ReadError> {
        if node.kind() != Kind::Object {
            return Err(ReadError::at(node, "an object is wanted here"));
        }
        let mut map = Self::new();
        for child in node.children() {
            map.insert(child.key().unwrap_or_default().into_owned(), T::from_json(child)?);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Point {
        x: u16,
        y: Option<i64>,
        z: bool,
    }

    from_object! { Point { x, y; z } }

    #[derive(Debug, PartialEq)]
    enum Shape {
        Dot,
        Line { to: Vec<Point> },
    }

    from_tagged! { Shape by "shape", it {
        "dot" => Self::Dot,
        "line" => fields!(it => Self::Line { to }),
    }}

    fn shape(text: &str) -> Result<Shape, String> {
        read(text.as_bytes(), 1000).map_err(|error| error.to_string())
    }

    #[test]
    fn members_become_fields() {
        assert_eq!(shape(r#"{"shape":"dot"}"#), Ok(Shape::Dot));
        let to = vec![
            Point {
                x: 65535,
                y: None,
                z: false,
            },
            Point {
                x: 0,
                y: Some(-1),
                z: true,
            },
        ];
        let text = r#"{"to":[{"x":65535},{"z":true,"y":-1,"x":0}],"shape":"line"}"#;
        assert_eq!(shape(text), Ok(Shape::Line { to }));
    }

    #[test]
    fn errors_name_the_place() {
        for (text, error) in [
            (
                "",
                "byte 0 (line 1, column 1): the end stands where a value is expected",
            ),
            ("[]", "byte 0 (``): an object is wanted here"),
            (r#"{"shape":1}"#, "byte 9 (`/shape`): a text is wanted here"),
            (
                r#"{"shape":"dot","a":0}"#,
                "byte 19 (`/a`): there should be no such member",
            ),
            (
                r#"{"shape":"box"}"#,
                "byte 0 (``): shape `box` is unknown: expected one of `dot`, `line`",
            ),
            (r#"{"shape":"line"}"#, "byte 0 (``): `to` is missing"),
            (
                r#"{"shape":"line","to":[{"x":1},{"x":65536}]}"#,
                "byte 35 (`/to/1/x`): a whole number from 0 to 65535 is wanted here",
            ),
            (
                r#"{"shape":"line","to":[{"x":1,"z":null}]}"#,
                "byte 33 (`/to/0/z`): true or false is wanted here",
            ),
        ] {
            assert_eq!(shape(text), Err(error.to_owned()), "{text}");
        }
        assert!(
            shape(r#"{"shape":"dot","shape":"line"}"#)
                .unwrap_err()
                .contains("was there before")
        );
        assert!(shape(&format!(r#"{{"shape":"dot"}}{}"#, " ".repeat(1000))).is_err());
    }
}
