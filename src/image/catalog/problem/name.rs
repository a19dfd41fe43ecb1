//! What is wrong with the names and the platform of an image.

use super::{Facts, Severity, shown};

const PLATFORM: &str = "image-spec, image-index.md, platform";
const REF_NAME: &str = "image-spec, annotations.md, org.opencontainers.image.ref.name";

/// What can be wrong with how an image is called, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameProblem {
    /// An image without a name.
    Unnamed,
    /// An image whose only name is a tag.
    BareTag {
        /// The tag.
        tag: String,
    },
    /// Two images of one name.
    SameName {
        /// The name.
        name: String,
    },
    /// containerd's name is not complete.
    NameNotCanonical {
        /// The name.
        name: String,
        /// The complete one, if it is a name at all.
        canonical: Option<String>,
    },
    /// The descriptor and the configuration differ in the platform.
    PlatformMismatch {
        /// By the descriptor.
        claimed: String,
        /// By the configuration.
        config: String,
    },
}

impl NameProblem {
    pub(super) fn facts(&self) -> Facts {
        use Severity::{Info, Warning};
        match self {
            Self::Unnamed => (
                "no_name",
                Info,
                "containerd, ctr images import: no image is made of it",
            ),
            Self::BareTag { .. } => (
                "name_is_bare_tag",
                Info,
                "containerd, ctr images import: it becomes import-DATE:TAG",
            ),
            Self::SameName { .. } => ("name_twice", Info, REF_NAME),
            Self::NameNotCanonical { .. } => (
                "name_not_canonical",
                Warning,
                "containerd takes io.containerd.image.name as it stands",
            ),
            Self::PlatformMismatch { .. } => ("platform_mismatch", Warning, PLATFORM),
        }
    }

    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Unnamed => {
                "The image has no name: containerd loads its blobs and lists no image.".to_owned()
            }
            Self::BareTag { tag } => format!(
                "The image's only name is the tag `{}`: each tool puts another name before it.",
                shown(tag)
            ),
            Self::SameName { name } => format!(
                "Another image has the name `{}` too: which one is meant is left to the tool.",
                shown(name)
            ),
            Self::NameNotCanonical { name, canonical } => match canonical {
                Some(canonical) => format!(
                    "containerd takes the name `{}` as it stands, so that people who ask for {canonical} do not find it.",
                    shown(name)
                ),
                None => format!("`{}` is no name of an image that tools can ask for.", shown(name)),
            },
            Self::PlatformMismatch { claimed, config } => format!(
                "The index says that this image is for {}, its configuration says {}.",
                shown(claimed),
                shown(config)
            ),
        }
    }
}
