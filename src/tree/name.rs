//! Names and paths inside a tree: bytes, checked once, so that whoever holds one need not ask again.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::text::{UnescapeError, escape, unescape};

/// What begins the name of a whiteout in a tar (image-spec, layer.md, "Whiteouts"); no real entry may.
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";

/// The longest name that Linux file systems take, in bytes (NAME_MAX).
pub const NAME_MAX: usize = 255;

/// One component of a path: not empty, not `.` or `..`, without `/` and NUL, at most 255 bytes, and not
/// reserved for whiteouts. Ordered by unsigned bytes, as GNU tar's `--sort=name` orders siblings.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<[u8]>);

impl Name {
    /// Checks a name.
    pub fn new(bytes: &[u8]) -> Result<Self, NameError> {
        let error = |rule| NameError {
            name: escape(bytes),
            rule,
        };
        match bytes {
            b"" => Err(error(NameRule::Empty)),
            b"." | b".." => Err(error(NameRule::Dots)),
            _ if bytes.contains(&b'/') => Err(error(NameRule::Slash)),
            _ if bytes.contains(&0) => Err(error(NameRule::Nul)),
            _ if bytes.len() > NAME_MAX => Err(error(NameRule::TooLong)),
            _ if bytes.starts_with(WHITEOUT_PREFIX) => Err(error(NameRule::Reserved)),
            _ => Ok(Self(bytes.into())),
        }
    }

    /// The name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", escape(&self.0))
    }
}

/// The rule that a name breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameRule {
    /// No bytes.
    #[error("a name cannot be empty")]
    Empty,
    /// `.` or `..`.
    #[error("`.` and `..` mean a directory and the one above it, so nothing can be called that")]
    Dots,
    /// A slash.
    #[error("a name cannot hold `/`, which separates names")]
    Slash,
    /// A zero byte.
    #[error("a name cannot hold a zero byte, which ends it for the kernel")]
    Nul,
    /// Over [`NAME_MAX`] bytes.
    #[error("a name can have at most 255 bytes")]
    TooLong,
    /// Begins like a whiteout.
    #[error("names that begin with `.wh.` are whiteouts in a layer's tar, so no file can be called that")]
    Reserved,
}

/// A name that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}`: {rule}")]
pub struct NameError {
    /// The name, escaped.
    pub name: String,
    /// What it breaks.
    pub rule: NameRule,
}

/// A text that is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// One component is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The escapes in the text are wrong.
    #[error(transparent)]
    Escape(#[from] UnescapeError),
    /// The path does not begin at the root.
    #[error("`{path}` must begin with `/`: paths in a layer start at its root")]
    NotAbsolute {
        /// The path, escaped.
        path: String,
    },
}

/// A path from the root of a tree: its names, in order. Without names it is the root.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Vec<Name>);

impl TreePath {
    /// The root.
    pub const ROOT: Self = Self(Vec::new());

    /// The path that a text of `/`-separated, escaped names stands for; see [`crate::text`]. A `/` at the end
    /// is an empty name, which someone forgot to type.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if !text.starts_with('/') {
            return Err(PathError::NotAbsolute {
                path: text.to_owned(),
            });
        }
        let bytes = unescape(text)?;
        match &bytes[1..] {
            b"" => Ok(Self::ROOT),
            names => Ok(Self::split(names)?),
        }
    }

    /// The path of `bytes`, a leading or trailing `/` or none. `a//b` is refused like any empty name.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NameError> {
        let bytes = bytes.strip_prefix(b"/").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
        if bytes.is_empty() {
            return Ok(Self::ROOT);
        }
        Self::split(bytes)
    }

    fn split(names: &[u8]) -> Result<Self, NameError> {
        names
            .split(|&byte| byte == b'/')
            .map(Name::new)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The names from the root down.
    pub fn names(&self) -> &[Name] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last name and the path of the directory that it is in; none for the root.
    pub fn split_last(&self) -> Option<(Self, &Name)> {
        let (last, parents) = self.0.split_last()?;
        Some((Self(parents.to_vec()), last))
    }

    /// This path and one more name.
    pub fn join(&self, name: Name) -> Self {
        let mut names = self.0.clone();
        names.push(name);
        Self(names)
    }

    /// Whether `self` is `other` or lies under it.
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The names joined by `/`, without one in front.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().map(Name::as_bytes).collect::<Vec<_>>().join(&b'/')
    }
}

impl FromIterator<Name> for TreePath {
    fn from_iter<I: IntoIterator<Item = Name>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        self.0.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_cannot_be() {
        let long = vec![b'n'; 256];
        for (name, rule) in [
            (&b""[..], NameRule::Empty),
            (b".", NameRule::Dots),
            (b"..", NameRule::Dots),
            (b"a/b", NameRule::Slash),
            (b"a\0", NameRule::Nul),
            (&long, NameRule::TooLong),
            (b".wh.x", NameRule::Reserved),
            (b".wh..wh..opq", NameRule::Reserved),
        ] {
            assert_eq!(Name::new(name).unwrap_err().rule, rule);
        }
        for name in [&b"..."[..], b".wh", b"\xff", b"a b\n", &long[..255]] {
            assert_eq!(Name::new(name).unwrap().as_bytes(), name);
        }
    }

    #[test]
    fn paths_read_and_write() {
        for text in ["/", "/a", "/a/b c", "/\\xff/\\\\"] {
            assert_eq!(TreePath::parse(text).unwrap().to_string(), text);
        }
        assert!(TreePath::parse("a").is_err());
        assert!(TreePath::parse("/a//b").is_err());
        assert!(TreePath::parse("/a/../b").is_err());
        assert!(TreePath::parse("").is_err());
    }
}
