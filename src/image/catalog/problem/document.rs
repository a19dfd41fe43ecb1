//! What is wrong with a document, by itself.

use super::{Facts, Severity, shown};
use crate::image::catalog::DOCUMENTS_LIMIT;
use crate::image::json::{JsonError, SIZE_LIMIT};

const LIMIT: &str = "a limit of handroll";

/// What can be wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentProblem {
    /// A document is no JSON, or not to its end.
    NotJson(JsonError),
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
    /// A manifest or an index larger than registries take.
    LargeForRegistries {
        /// Its size in bytes.
        size: u64,
    },
    /// A document has the members of another kind of document.
    TypeConfusion {
        /// Whether it is said to be an index.
        is_index: bool,
    },
    /// The document says nothing of its own media type.
    NoMediaType,
    /// A manifest without layers.
    NoLayers,
    /// An artifact that does not say what it is.
    NoArtifactType,
    /// The root file system is not made of layers.
    RootfsType {
        /// What is said.
        found: String,
    },
    /// A variable without a name or a value.
    EnvForm {
        /// The variable.
        variable: String,
    },
    /// A port that is none.
    PortForm {
        /// The port.
        port: String,
    },
}

impl DocumentProblem {
    pub(super) fn facts(&self) -> Facts {
        use Severity::{Error, Info, Warning};
        match self {
            Self::NotJson(_) => ("not_json", Error, "RFC 8259"),
            Self::DocumentTooLarge { .. } => ("document_too_large", Error, "containerd's limit"),
            Self::DocumentsTooLarge { .. } => ("documents_too_large", Error, LIMIT),
            Self::LargeForRegistries { .. } => (
                "document_large",
                Warning,
                "distribution-spec, Pushing Manifests: registries need not take more than 4 MiB",
            ),
            Self::TypeConfusion { .. } => {
                ("type_confusion", Error, "image-spec, manifest.md; CVE-2021-41190")
            }
            Self::NoMediaType => (
                "media_type_absent",
                Info,
                "image-spec, manifest.md and image-index.md, mediaType",
            ),
            Self::NoLayers => ("no_layers", Warning, "image-spec, schema of the manifest"),
            Self::NoArtifactType => (
                "artifact_type_missing",
                Error,
                "image-spec, manifest.md, artifactType",
            ),
            Self::RootfsType { .. } => ("rootfs_type", Error, "image-spec, config.md, rootfs"),
            Self::EnvForm { .. } => ("env_form", Warning, "image-spec, config.md, Env"),
            Self::PortForm { .. } => ("port_form", Warning, "image-spec, config.md, ExposedPorts"),
        }
    }

    pub(super) fn sentence(&self) -> String {
        match self {
            Self::NotJson(error) => format!("This document is damaged: {error}."),
            Self::DocumentTooLarge { size } => format!(
                "This document has {size} bytes; no more than {} are read, here and in containerd.",
                SIZE_LIMIT
            ),
            Self::DocumentsTooLarge { size } => format!(
                "With the {size} bytes of this document, all documents have more than the {DOCUMENTS_LIMIT} \
                 bytes that are read."
            ),
            Self::LargeForRegistries { size } => {
                format!("This document has {size} bytes, and registries need not take more than 4 MiB.")
            }
            Self::TypeConfusion { is_index } => {
                let (said, held) = match is_index {
                    true => ("an index", "a manifest"),
                    false => ("a manifest", "an index"),
                };
                format!(
                    "This is said to be {said}, but it holds what {held} holds: tools may see different images in it."
                )
            }
            Self::NoMediaType => {
                "The document does not say what it is itself; only what points to it does.".to_owned()
            }
            Self::NoLayers => "The manifest has no layers, which some tools refuse.".to_owned(),
            Self::NoArtifactType => {
                "The manifest has an empty configuration, so `artifactType` must say what it is, and does not."
                    .to_owned()
            }
            Self::RootfsType { found } => format!(
                "The root file system is said to be of the type `{}`; there is no other than `layers`.",
                shown(found)
            ),
            Self::EnvForm { variable } => format!(
                "`{}` is no variable: it must be a name, `=` and a value.",
                shown(variable)
            ),
            Self::PortForm { port } => format!(
                "`{}` is no port: it must be a number up to 65535, and may end in /tcp or /udp.",
                shown(port)
            ),
        }
    }
}
