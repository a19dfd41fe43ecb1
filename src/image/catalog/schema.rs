//! The schemas of the documents, as tables: which members they have, which of them must be there, and what may
//! be in them (image-spec, schema/*.json, and the texts beside them). `null` is the same as no member.

use super::problem::{BlobProblem, DocumentProblem, Place, ProblemKind, SchemaFault};
use super::walk::Walk;
use super::{Claim, Format, NodeId, NodeKind};
use crate::image::created::is_date_time;
use crate::image::json::{self, Document, Kind, escape_step};

/// A member of an object.
struct Rule {
    name: &'static str,
    must: bool,
    check: Check,
}

/// What may be in a member.
enum Check {
    /// Anything at all.
    Any,
    Text,
    Bool,
    /// A whole number that is not negative.
    Size,
    /// `schemaVersion`: 2.
    Version,
    /// `imageLayoutVersion`: 1.0.0.
    LayoutVersion,
    /// `rootfs.type`: layers.
    Layers,
    MediaType,
    Digest,
    Time,
    Variable,
    /// An object whose values are texts.
    TextMap,
    /// An object whose values are empty objects.
    Set,
    /// Such an object, with ports as names.
    Ports,
    List(&'static Check),
    Object(&'static [Rule]),
}

const fn must(name: &'static str, check: Check) -> Rule {
    Rule {
        name,
        must: true,
        check,
    }
}

const fn may(name: &'static str, check: Check) -> Rule {
    Rule {
        name,
        must: false,
        check,
    }
}

static TEXT: Check = Check::Text;
static VARIABLE: Check = Check::Variable;
static DIGEST: Check = Check::Digest;

static MARKER: Check = Check::Object(&[must("imageLayoutVersion", Check::LayoutVersion)]);

static PLATFORM: &[Rule] = &[
    must("architecture", Check::Text),
    must("os", Check::Text),
    may("os.version", Check::Text),
    may("os.features", Check::List(&TEXT)),
    may("variant", Check::Text),
    may("features", Check::List(&TEXT)),
];

/// What all descriptors have, in both forms.
macro_rules! descriptor {
    ($($more:expr),*) => {
        &[
            must("mediaType", Check::MediaType),
            must("digest", Check::Digest),
            must("size", Check::Size),
            may("urls", Check::List(&TEXT)),
            may("annotations", Check::TextMap),
            may("data", Check::Text),
            may("artifactType", Check::MediaType),
            $($more),*
        ]
    };
}

static DESCRIPTOR: &[Rule] = descriptor!();
static BLOB: Check = Check::Object(DESCRIPTOR);
static ENTRY: Check = Check::Object(descriptor!(may("platform", Check::Object(PLATFORM))));

static INDEX: Check = Check::Object(&[
    must("schemaVersion", Check::Version),
    may("mediaType", Check::MediaType),
    may("artifactType", Check::MediaType),
    must("manifests", Check::List(&ENTRY)),
    may("subject", Check::Object(DESCRIPTOR)),
    may("annotations", Check::TextMap),
]);

static MANIFEST: Check = Check::Object(&[
    must("schemaVersion", Check::Version),
    may("mediaType", Check::MediaType),
    may("artifactType", Check::MediaType),
    must("config", Check::Object(DESCRIPTOR)),
    must("layers", Check::List(&BLOB)),
    may("subject", Check::Object(DESCRIPTOR)),
    may("annotations", Check::TextMap),
]);

static EXECUTION: &[Rule] = &[
    may("User", Check::Text),
    may("ExposedPorts", Check::Ports),
    may("Env", Check::List(&VARIABLE)),
    may("Entrypoint", Check::List(&TEXT)),
    may("Cmd", Check::List(&TEXT)),
    may("Volumes", Check::Set),
    may("WorkingDir", Check::Text),
    may("Labels", Check::TextMap),
    may("StopSignal", Check::Text),
    may("ArgsEscaped", Check::Bool),
];

static ROOTFS: &[Rule] = &[
    must("type", Check::Layers),
    must("diff_ids", Check::List(&DIGEST)),
];

static HISTORY: Check = Check::Object(&[
    may("created", Check::Time),
    may("author", Check::Text),
    may("created_by", Check::Text),
    may("comment", Check::Text),
    may("empty_layer", Check::Bool),
]);

static CONFIG: Check = Check::Object(&[
    may("created", Check::Time),
    may("author", Check::Text),
    must("architecture", Check::Text),
    must("os", Check::Text),
    may("os.version", Check::Text),
    may("os.features", Check::List(&TEXT)),
    may("variant", Check::Text),
    may("config", Check::Object(EXECUTION)),
    must("rootfs", Check::Object(ROOTFS)),
    may("history", Check::List(&HISTORY)),
]);

static DOCKER_LIST: Check = Check::List(&Check::Object(&[
    must("Config", Check::Text),
    may("RepoTags", Check::List(&TEXT)),
    must("Layers", Check::List(&TEXT)),
    may("Parent", Check::Text),
    may("LayerSources", Check::Any),
]));

/// Checks a document, and tells the walk what is wrong.
pub(super) fn check(walk: &mut Walk, id: NodeId, document: &Document) {
    let Some(root) = document.root() else { return };
    let check = match walk.catalog.node(id).kind {
        NodeKind::Marker => &MARKER,
        NodeKind::Index => &INDEX,
        NodeKind::Manifest | NodeKind::Attestation | NodeKind::Artifact => &MANIFEST,
        NodeKind::Config => &CONFIG,
        NodeKind::DockerManifest => &DOCKER_LIST,
        NodeKind::Repositories | NodeKind::Layer | NodeKind::Blob => return,
    };
    let is_whole = document.error().is_none() && walk.catalog.format != Format::DockerLegacy;
    let mut checker = Checker {
        walk,
        id,
        path: String::new(),
        is_whole,
    };
    checker.value(root, check);
}

struct Checker<'a> {
    walk: &'a mut Walk,
    id: NodeId,
    /// The pointer of the value that is looked at. Finding it anew for each of many would take long.
    path: String,
    /// Whether members that are not there are missing: not where the document could not be read to its end,
    /// nor in what Docker wrote before there were schemas.
    is_whole: bool,
}

impl Checker<'_> {
    fn problem(&mut self, kind: impl Into<ProblemKind>, value: json::Node<'_>) {
        let place = Place {
            node: Some(self.id),
            pointer: Some(self.path.clone()),
            offset: Some(value.span().start as u64),
        };
        self.walk.problem(kind, place);
    }

    fn fault(&mut self, fault: SchemaFault, value: json::Node<'_>) {
        self.problem(fault, value);
    }

    fn of_type(&mut self, value: json::Node<'_>, kind: Kind, expected: &'static str) -> bool {
        let found = value.kind();
        if found != kind {
            self.fault(SchemaFault::Type { expected, found }, value);
        }
        found == kind
    }

    /// Looks at what is in a value, with its step added to the path.
    fn inside(&mut self, step: &str, look: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push('/');
        self.path.push_str(step);
        look(self);
        self.path.truncate(length);
    }

    /// Recursion is as deep as the tables.
    fn value(&mut self, value: json::Node<'_>, check: &'static Check) {
        if value.kind() == Kind::Null {
            return;
        }
        match check {
            Check::Any => {}
            Check::Object(rules) => self.object(value, rules),
            Check::List(element) => {
                if self.of_type(value, Kind::Array, "a list") {
                    for (number, node) in value.elements().enumerate() {
                        self.inside(&number.to_string(), |checker| checker.value(node, element));
                    }
                }
            }
            Check::TextMap => {
                if self.of_type(value, Kind::Object, "an object with texts") {
                    self.members(value, |checker, member| {
                        checker.of_type(member, Kind::String, "a text");
                    });
                }
            }
            Check::Set | Check::Ports => self.set(value, matches!(check, Check::Ports)),
            Check::Bool => {
                if value.as_bool().is_none() {
                    let (expected, found) = ("true or false", value.kind());
                    self.fault(SchemaFault::Type { expected, found }, value);
                }
            }
            Check::Size | Check::Version => self.number(value, matches!(check, Check::Version)),
            _ => {
                if self.of_type(value, Kind::String, "a text")
                    && let Some(text) = value.as_str()
                {
                    self.text(value, &text, check);
                }
            }
        }
    }

    fn members(&mut self, object: json::Node<'_>, mut look: impl FnMut(&mut Self, json::Node<'_>)) {
        for member in object.children() {
            let step = escape_step(&member.key().unwrap_or_default());
            self.inside(&step, |checker| look(checker, member));
        }
    }

    fn object(&mut self, object: json::Node<'_>, rules: &'static [Rule]) {
        if !self.of_type(object, Kind::Object, "an object") {
            return;
        }
        let mut seen = 0_u32;
        self.members(object, |checker, member| {
            let Some(key) = member.key() else { return };
            if let Some(at) = rules.iter().position(|rule| rule.name == key) {
                seen |= u32::from(member.kind() != Kind::Null) << at;
                return checker.value(member, &rules[at].check);
            }
            if let Some(rule) = rules.iter().find(|rule| rule.name.eq_ignore_ascii_case(&key)) {
                let fault = SchemaFault::Case {
                    known: rule.name,
                    found: key.into_owned(),
                };
                checker.fault(fault, member);
            }
        });
        for (at, rule) in rules.iter().enumerate() {
            if rule.must && seen >> at & 1 == 0 && self.is_whole {
                self.fault(SchemaFault::Missing { field: rule.name }, object);
            }
        }
    }

    fn set(&mut self, value: json::Node<'_>, are_ports: bool) {
        if value.kind() == Kind::Array {
            return self.fault(SchemaFault::ListForMap, value);
        }
        if !self.of_type(
            value,
            Kind::Object,
            "an object with an empty object for each name",
        ) {
            return;
        }
        self.members(value, |checker, member| {
            checker.of_type(member, Kind::Object, "an empty object");
            let port = member.key().unwrap_or_default();
            if are_ports && !is_port(&port) {
                let port = port.into_owned();
                checker.problem(DocumentProblem::PortForm { port }, member);
            }
        });
    }

    fn number(&mut self, value: json::Node<'_>, is_version: bool) {
        let found = || String::from_utf8_lossy(value.raw()).into_owned();
        if !is_version && !self.of_type(value, Kind::Number, "a whole number") {
            return;
        }
        // Readers in Go take 64 bits with a sign.
        let number = value.as_i64().filter(|&number| number >= 0);
        match is_version {
            true if number == Some(2) => {}
            true => self.fault(SchemaFault::Version { found: found() }, value),
            false if number.is_some() => {}
            false => {
                let expected = "a whole number, not negative, of 63 bits at most";
                let found = found();
                self.fault(SchemaFault::Value { expected, found }, value);
            }
        }
    }

    fn text(&mut self, value: json::Node<'_>, text: &str, check: &Check) {
        let found = || text.to_owned();
        match check {
            Check::LayoutVersion if text != "1.0.0" => {
                self.fault(SchemaFault::LayoutVersion { found: found() }, value);
            }
            Check::Layers if text != "layers" => {
                self.problem(DocumentProblem::RootfsType { found: found() }, value);
            }
            Check::MediaType if !is_media_type(text) => {
                self.fault(SchemaFault::MediaType { found: found() }, value);
            }
            Check::Time if !is_date_time(text) => self.fault(SchemaFault::Time { found: found() }, value),
            Check::Variable if text.find('=').unwrap_or(0) == 0 => {
                self.problem(DocumentProblem::EnvForm { variable: found() }, value);
            }
            Check::Digest => self.digest(value, Claim::new(text)),
            _ => {}
        }
    }

    fn digest(&mut self, value: json::Node<'_>, claimed: Claim) {
        match claimed.fault() {
            None if claimed.sha256().is_some() => {}
            None => self.problem(BlobProblem::DigestUnverified { claimed }, value),
            Some(fault) => {
                self.problem(BlobProblem::DigestForm { claimed, fault }, value);
            }
        }
    }
}

/// RFC 6838, section 4.2: two names of at most 127 characters.
fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        (1..=127).contains(&name.len())
            && name.as_bytes()[0].is_ascii_alphanumeric()
            && name.bytes().all(legal)
    };
    text.split_once('/')
        .is_some_and(|(main, sub)| is_name(main) && is_name(sub))
}

/// config.md, `ExposedPorts`: `port/tcp`, `port/udp`, `port`; Docker takes sctp too.
fn is_port(text: &str) -> bool {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    matches!(protocol, "tcp" | "udp" | "sctp")
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse().is_ok_and(|port: u16| port > 0)
}
