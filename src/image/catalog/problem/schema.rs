//! What is wrong with a member of a document, by the document's schema.

use super::{Facts, Severity, shown};
use crate::image::json::Kind;

const SCHEMA: &str = "image-spec, schema";

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

impl SchemaFault {
    pub(super) fn facts(&self) -> Facts {
        use Severity::{Error, Warning};
        match self {
            Self::Missing { .. } => ("field_missing", Error, SCHEMA),
            Self::Type { .. } => ("field_type", Error, SCHEMA),
            Self::Value { .. } => ("field_value", Error, SCHEMA),
            Self::ListForMap => (
                "map_is_list",
                Error,
                "image-spec, config.md, Volumes and ExposedPorts; media-types.md",
            ),
            Self::Time { .. } => (
                "time_form",
                Error,
                "image-spec, config.md, created; RFC 3339, section 5.6",
            ),
            Self::MediaType { .. } => ("media_type_form", Error, "RFC 6838, section 4.2"),
            Self::Version { .. } => (
                "schema_version",
                Error,
                "image-spec, manifest.md and image-index.md, schemaVersion",
            ),
            Self::LayoutVersion { .. } => (
                "layout_version",
                Error,
                "image-spec, image-layout.md, oci-layout file",
            ),
            Self::Case { .. } => (
                "field_case",
                Warning,
                "RFC 8259, section 8.3; readers in Go take names without regard to case",
            ),
        }
    }

    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Missing { field } => format!("`{field}` must be here, and is not."),
            Self::Type { expected, found } => {
                format!("Here must be {expected}, but there is {}.", kind(*found))
            }
            Self::Value { expected, found } => {
                format!("Here must be {expected}, but there is `{}`.", shown(found))
            }
            Self::ListForMap => {
                "This must be an object with an empty object for each name, as in {\"/data\":{}}, not a list."
                    .to_owned()
            }
            Self::Time { found } => format!(
                "`{}` is no date and time as images have it: 2025-01-01T00:00:00Z.",
                shown(found)
            ),
            Self::MediaType { found } => format!(
                "`{}` is no media type: it must be a type, `/` and a subtype, of letters, digits and a few signs.",
                shown(found)
            ),
            Self::Version { found } => format!("`schemaVersion` must be 2, but is {}.", shown(found)),
            Self::LayoutVersion { found } => {
                format!(
                    "The layout is of version {}; tools know 1.0.0 only.",
                    shown(found)
                )
            }
            Self::Case { known, found } => format!(
                "`{}` is not `{known}`: some tools take it for that, others pass over it.",
                shown(found)
            ),
        }
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::True | Kind::False => "true or false",
        Kind::Number => "a number",
        Kind::String => "a text",
        Kind::Array => "a list",
        Kind::Object => "an object",
    }
}
