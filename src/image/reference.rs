//! Names of images, by the grammar that all tools share (distribution/reference, `reference.go` and
//! `normalize.go`): `[registry[:port]/]repository[:tag]`. Knows texts only; asks no registry.
//!
//! A short name means what Docker made it mean: `handroll` is `docker.io/library/handroll:latest`. containerd
//! takes names as they are and finds only what is asked for in full, so an image is always written with its
//! canonical name.

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

/// The registry of a name that has none.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of a name that has none.
pub const DEFAULT_TAG: &str = "latest";
/// Docker's old name for its registry, still understood.
const LEGACY_REGISTRY: &str = "index.docker.io";
/// The namespace of one-word repositories of the default registry.
const OFFICIAL: &str = "library/";
/// Most bytes of `registry/repository`. The grammar's later editions count the repository alone; the stricter
/// reading is accepted by tools of every age.
const NAME_LIMIT: usize = 255;
/// Most bytes of a tag: the grammar's `[\w][\w.-]{0,127}`.
const TAG_LIMIT: usize = 128;

/// The name of an image, taken apart and completed. Made by [`Reference::parse`] alone, so it is always valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    text: String,
    registry: String,
    repository: String,
    tag: String,
}

/// Why a text is not the name of an image: the part that is wrong, and its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// There is nothing, or nothing before the tag.
    #[error("`{text}` has no repository: an image name is `[registry/]repository[:tag]`")]
    NoRepository {
        /// The text as it was given.
        text: String,
    },
    /// A digest was given.
    #[error(
        "`{text}` has a digest (`@{digest}`): an image gets its digest from its bytes, its name has only a tag"
    )]
    Digest {
        /// The text as it was given.
        text: String,
        /// What stands after the `@`.
        digest: String,
    },
    /// The registry is no host with an optional port.
    #[error(
        "`{text}`: the registry `{registry}` is no host name: parts of letters, digits and inner dashes, \
         joined by single dots, or an IPv6 address in brackets, then optionally `:` and a port number"
    )]
    Registry {
        /// The text as it was given.
        text: String,
        /// The part that is wrong.
        registry: String,
    },
    /// Upper case in the repository, the most frequent mistake.
    #[error("`{text}`: the repository `{repository}` has upper-case letters: only lower case is allowed")]
    Uppercase {
        /// The text as it was given.
        text: String,
        /// The part that is wrong.
        repository: String,
    },
    /// A component of the repository breaks the grammar.
    #[error(
        "`{text}`: `{component}` can't be a part of a repository: it must be lower-case letters and digits, \
         with `.`, `_`, `__` or dashes only between them"
    )]
    Component {
        /// The text as it was given.
        text: String,
        /// The part between slashes that is wrong.
        component: String,
    },
    /// Sixty-four hex digits look like an image id to every tool.
    #[error("`{text}` is 64 hex digits: that would be taken for an image id, not for a name")]
    Identifier {
        /// The text as it was given.
        text: String,
    },
    /// The tag breaks the grammar.
    #[error(
        "`{text}`: the tag `{tag}` must begin with a letter, a digit or `_`, followed by letters, digits, \
         `_`, `.` and `-`"
    )]
    Tag {
        /// The text as it was given.
        text: String,
        /// The part that is wrong.
        tag: String,
    },
    /// A part is too long.
    #[error("the {part} is {length} bytes long: at most {limit} are allowed")]
    TooLong {
        /// `name` (registry and repository) or `tag`.
        part: &'static str,
        /// Its length.
        length: usize,
        /// The most there may be.
        limit: usize,
    },
}

impl Reference {
    /// Takes `text` apart and fills in what it leaves out: the registry `docker.io`, there `library/` for a
    /// one-word repository, and the tag `latest`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let owned = || text.to_owned();
        if let Some((_, digest)) = text.split_once('@') {
            return Err(ReferenceError::Digest {
                text: owned(),
                digest: digest.to_owned(),
            });
        }
        if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ReferenceError::Identifier { text: owned() });
        }
        let (registry, rest) = split_registry(text);
        // What is left of the registry holds no port, so its first colon begins the tag.
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, tag),
            None => (rest, DEFAULT_TAG),
        };
        if repository.is_empty() {
            return Err(ReferenceError::NoRepository { text: owned() });
        }
        if !is_host(registry) {
            return Err(ReferenceError::Registry {
                text: owned(),
                registry: registry.to_owned(),
            });
        }
        check_repository(text, repository)?;
        check_tag(text, tag)?;
        let official = if registry == DEFAULT_REGISTRY && !repository.contains('/') {
            OFFICIAL
        } else {
            ""
        };
        let repository = format!("{official}{repository}");
        let length = registry.len() + 1 + repository.len();
        if length > NAME_LIMIT {
            return Err(ReferenceError::TooLong {
                part: "name",
                length,
                limit: NAME_LIMIT,
            });
        }
        Ok(Self {
            text: owned(),
            registry: registry.to_owned(),
            repository,
            tag: tag.to_owned(),
        })
    }

    /// The name as it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The registry's host, with its port if it has one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository in the registry: `library/handroll`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The whole name with nothing left out: what containerd wants.
    pub fn canonical(&self) -> String {
        format!("{}/{}:{}", self.registry, self.repository, self.tag)
    }

    /// The shortest name that means the same: what Docker shows and writes into its archives.
    pub fn familiar(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.canonical();
        }
        let short = match self.repository.strip_prefix(OFFICIAL) {
            Some(one) if !one.contains('/') => one,
            _ => &self.repository,
        };
        // `docker.io/localhost/x` can't be shortened: `localhost/x` is another registry's.
        if split_registry(short).0 != DEFAULT_REGISTRY {
            return self.canonical();
        }
        format!("{short}:{}", self.tag)
    }
}

/// The registry and the rest. What stands before the first slash is a registry if it can't be a repository's
/// part: it has a dot, a colon or upper case, or is `localhost` (`splitDockerDomain`).
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((LEGACY_REGISTRY, rest)) => (DEFAULT_REGISTRY, rest),
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, text),
    }
}

fn is_host(registry: &str) -> bool {
    let (host, port) = match registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, after)) => {
            // The grammar's `\[(?:[a-fA-F0-9:]+)\]`: brackets tell it, the address itself is the resolver's.
            let hex = |b: u8| b.is_ascii_hexdigit() || b == b':';
            if address.is_empty() || !address.bytes().all(hex) {
                return false;
            }
            match after.strip_prefix(':') {
                Some(port) => ("", Some(port)),
                None if after.is_empty() => ("", None),
                None => return false,
            }
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    let bracketed = registry.starts_with('[');
    (bracketed || host.split('.').all(is_host_part))
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

fn is_host_part(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('-')
        && !part.ends_with('-')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn check_repository(text: &str, repository: &str) -> Result<(), ReferenceError> {
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(ReferenceError::Uppercase {
            text: text.to_owned(),
            repository: repository.to_owned(),
        });
    }
    match repository.split('/').find(|part| !is_component(part)) {
        None => Ok(()),
        Some(component) => Err(ReferenceError::Component {
            text: text.to_owned(),
            component: component.to_owned(),
        }),
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(part: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let separators = part.split(|c: char| c.is_ascii() && word(c as u8));
    // Splitting at every letter leaves the separators, and empty texts between neighbours and at the ends.
    let good = |s: &str| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-');
    let edge = |b: Option<u8>| b.is_some_and(word);
    edge(part.bytes().next()) && edge(part.bytes().next_back()) && { separators }.all(good)
}

fn check_tag(text: &str, tag: &str) -> Result<(), ReferenceError> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let first = tag.bytes().next().is_some_and(word);
    if !first || !tag.bytes().all(|b| word(b) || b == b'.' || b == b'-') {
        return Err(ReferenceError::Tag {
            text: text.to_owned(),
            tag: tag.to_owned(),
        });
    }
    if tag.len() > TAG_LIMIT {
        return Err(ReferenceError::TooLong {
            part: "tag",
            length: tag.len(),
            limit: TAG_LIMIT,
        });
    }
    Ok(())
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

/// The protocol's `Reference`.
impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Reference", 6)?;
        out.serialize_field("text", &self.text)?;
        out.serialize_field("registry", &self.registry)?;
        out.serialize_field("repository", &self.repository)?;
        out.serialize_field("tag", &self.tag)?;
        out.serialize_field("canonical", &self.canonical())?;
        out.serialize_field("familiar", &self.familiar())?;
        out.end()
    }
}

impl ReferenceError {
    /// A stable name of the kind of error, for callers that choose by it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRepository { .. } => "reference_empty",
            Self::Digest { .. } => "reference_digest",
            Self::Registry { .. } => "reference_registry",
            Self::Uppercase { .. } => "reference_uppercase",
            Self::Component { .. } => "reference_repository",
            Self::Identifier { .. } => "reference_identifier",
            Self::Tag { .. } => "reference_tag",
            Self::TooLong { .. } => "reference_too_long",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_and_shortened() {
        // Cases of distribution/reference's own tables (normalize_test.go, reference_test.go).
        for (text, canonical, familiar) in [
            ("handroll", "docker.io/library/handroll:latest", "handroll:latest"),
            ("a", "docker.io/library/a:latest", "a:latest"),
            ("fooo/bar", "docker.io/fooo/bar:latest", "fooo/bar:latest"),
            ("library/foo:1", "docker.io/library/foo:1", "foo:1"),
            ("docker.io/foo", "docker.io/library/foo:latest", "foo:latest"),
            (
                "index.docker.io/foo",
                "docker.io/library/foo:latest",
                "foo:latest",
            ),
            ("docker.io/a/b/c:T", "docker.io/a/b/c:T", "a/b/c:T"),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            (
                "localhost:5000/x:v1",
                "localhost:5000/x:v1",
                "localhost:5000/x:v1",
            ),
            (
                "test_com/foo",
                "docker.io/test_com/foo:latest",
                "test_com/foo:latest",
            ),
            (
                "test.com:8080/foo:tag",
                "test.com:8080/foo:tag",
                "test.com:8080/foo:tag",
            ),
            ("test:5000/repo", "test:5000/repo:latest", "test:5000/repo:latest"),
            (
                "sub-dom1.foo.com/bar/baz/quux:some-long-tag",
                "sub-dom1.foo.com/bar/baz/quux:some-long-tag",
                "sub-dom1.foo.com/bar/baz/quux:some-long-tag",
            ),
            (
                "xn--n3h.com/myimage:xn--n3h.com",
                "xn--n3h.com/myimage:xn--n3h.com",
                "xn--n3h.com/myimage:xn--n3h.com",
            ),
            (
                "foo_bar.com:8080",
                "docker.io/library/foo_bar.com:8080",
                "foo_bar.com:8080",
            ),
            (
                "foo/foo_bar.com:8080",
                "docker.io/foo/foo_bar.com:8080",
                "foo/foo_bar.com:8080",
            ),
            (
                "192.168.1.1:5000/repo",
                "192.168.1.1:5000/repo:latest",
                "192.168.1.1:5000/repo:latest",
            ),
            (
                "[2001:db8::1]:5000/repo",
                "[2001:db8::1]:5000/repo:latest",
                "[2001:db8::1]:5000/repo:latest",
            ),
            ("[fe80::1]/repo", "[fe80::1]/repo:latest", "[fe80::1]/repo:latest"),
            ("Foo/bar", "Foo/bar:latest", "Foo/bar:latest"),
            (
                "a__b/c--d/e.f:_x",
                "docker.io/a__b/c--d/e.f:_x",
                "a__b/c--d/e.f:_x",
            ),
            (
                "docker.io/localhost/x",
                "docker.io/localhost/x:latest",
                "docker.io/localhost/x:latest",
            ),
            (
                "docker.io/library/a/b",
                "docker.io/library/a/b:latest",
                "library/a/b:latest",
            ),
        ] {
            let reference = Reference::parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(reference.canonical(), canonical, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
            for again in [canonical, familiar] {
                assert_eq!(Reference::parse(again).unwrap().canonical(), canonical);
            }
        }
    }

    #[test]
    fn what_is_no_name_is_refused_for_its_reason() {
        for (text, code) in [
            ("", "reference_empty"),
            (":tag", "reference_empty"),
            ("foo.com/", "reference_empty"),
            ("@sha256:ff", "reference_digest"),
            ("repo@sha256:ffff", "reference_digest"),
            ("Uppercase:tag", "reference_uppercase"),
            ("test:5000/Uppercase/lowercase:tag", "reference_uppercase"),
            ("lowercase:Upper case", "reference_tag"),
            ("a//b", "reference_repository"),
            ("/a", "reference_repository"),
            ("a/", "reference_repository"),
            ("a_/b", "reference_repository"),
            ("a..b", "reference_repository"),
            ("a___b", "reference_repository"),
            ("a._b", "reference_repository"),
            ("a b", "reference_repository"),
            ("caf\u{e9}", "reference_repository"),
            ("-foo/bar", "reference_repository"),
            ("foo/-bar", "reference_repository"),
            ("foo.com:http/bar", "reference_registry"),
            ("-foo.com/bar", "reference_registry"),
            ("foo..com/bar", "reference_registry"),
            ("foo.com:/bar", "reference_registry"),
            ("[fe80::1%eth0]/bar", "reference_registry"),
            ("[]:80/bar", "reference_registry"),
            ("[::1]x/bar", "reference_registry"),
            ("foo:", "reference_tag"),
            ("foo:a:b", "reference_tag"),
            ("foo:-x", "reference_tag"),
            ("foo:x/y", "reference_registry"),
            (&"a".repeat(64), "reference_identifier"),
            (&format!("foo:{}", "a".repeat(129)), "reference_too_long"),
            (
                &format!("docker.io/library/{}", "x".repeat(238)),
                "reference_too_long",
            ),
        ] {
            let error = Reference::parse(text).expect_err(text);
            assert_eq!(error.code(), code, "{text}: {error}");
        }
        assert!(Reference::parse(&format!("docker.io/library/{}", "x".repeat(237))).is_ok());
        assert!(Reference::parse(&format!("foo:{}", "a".repeat(128))).is_ok());
    }

    #[test]
    fn the_page_gets_all_parts() {
        let json = serde_json::to_string(&Reference::parse("localhost:5000/x").unwrap()).unwrap();
        assert_eq!(
            json,
            r#"{"text":"localhost:5000/x","registry":"localhost:5000","repository":"x","tag":"latest","canonical":"localhost:5000/x:latest","familiar":"localhost:5000/x:latest"}"#
        );
    }
}
