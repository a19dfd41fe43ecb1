//! What is wrong with a descriptor, or with the blob that it points to.

use super::{Facts, Severity, shown};
use crate::digest::Digest;
use crate::image::catalog::{Claim, ClaimFault, DEPTH_LIMIT, Role};
use crate::text::escape;

const LIMIT: &str = "a limit of handroll";
const DIGESTS: &str = "image-spec, descriptor.md, Digests";
const PLATFORM: &str = "image-spec, image-index.md, platform";
const REF_NAME: &str = "image-spec, annotations.md, org.opencontainers.image.ref.name";

/// What can be wrong with a descriptor, or with what it points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobProblem {
    /// A blob is not there.
    Missing {
        /// Where it should be.
        path: Vec<u8>,
        /// What for.
        role: Role,
    },
    /// A blob is elsewhere.
    Foreign {
        /// Where.
        urls: Vec<String>,
    },
    /// A blob could not be read.
    Unreadable {
        /// What the system said.
        reason: String,
    },
    /// The size is not the one that is claimed.
    Size {
        /// What is claimed, in bytes.
        claimed: u64,
        /// What there is.
        actual: u64,
    },
    /// The digest is not the one that is claimed.
    Digest {
        /// What is claimed.
        claimed: Claim,
        /// What the bytes give.
        actual: Digest,
    },
    /// The digest has not the form of one.
    DigestForm {
        /// What is claimed.
        claimed: Claim,
        /// What is wrong with it.
        fault: ClaimFault,
    },
    /// A good digest of an algorithm that is not computed here.
    DigestUnverified {
        /// What is claimed.
        claimed: Claim,
    },
    /// The `data` of a descriptor is not the bytes that it stands for.
    Data {
        /// What is wrong with it.
        reason: String,
    },
    /// The media type of `{}` for something else.
    NotEmpty,
    /// The document's own media type is not the one that its descriptor gives.
    MediaTypeMismatch {
        /// By the descriptor.
        claimed: String,
        /// By the document.
        own: String,
    },
    /// A manifest of Docker's first schema.
    OldManifest,
    /// An index lies too deep in others.
    TooDeep,
    /// The name of a reference has other characters than it may.
    RefNameForm {
        /// The name.
        name: String,
    },
    /// The name of a reference where none is looked for.
    RefNameMisplaced,
    /// A processor is not called as images call it.
    PlatformAlias {
        /// As it is called.
        name: String,
        /// As it should be called.
        go_name: &'static str,
    },
    /// Two manifests of one index are for the same platform.
    SamePlatform {
        /// The platform.
        platform: String,
    },
    /// An attestation of a manifest that is not in its index.
    AttestationSubject {
        /// The digest that it names.
        digest: Option<String>,
    },
}

impl BlobProblem {
    pub(super) fn facts(&self) -> Facts {
        use Severity::{Error, Info, Warning};
        match self {
            Self::Missing {
                role: Role::Entry, ..
            } => ("manifest_missing", Warning, "image-spec, image-layout.md, Blobs"),
            Self::Missing { .. } => ("blob_missing", Error, "image-spec, image-layout.md, Blobs"),
            Self::Foreign { .. } => ("blob_elsewhere", Info, "image-spec, descriptor.md, urls"),
            Self::Unreadable { .. } => ("blob_unreadable", Error, "image-spec, image-layout.md, Blobs"),
            Self::Size { .. } => ("size_mismatch", Error, "image-spec, descriptor.md, size"),
            Self::Digest { .. } => (
                "digest_mismatch",
                Error,
                "image-spec, descriptor.md, Verification",
            ),
            Self::DigestForm { fault, .. } => digest_form(*fault),
            Self::DigestUnverified { .. } => ("digest_unverified", Info, DIGESTS),
            Self::Data { .. } => (
                "data_mismatch",
                Error,
                "image-spec, descriptor.md, Embedded Content",
            ),
            Self::NotEmpty => (
                "empty_descriptor",
                Warning,
                "image-spec, manifest.md, Guidance for an Empty Descriptor",
            ),
            Self::MediaTypeMismatch { .. } => (
                "media_type_mismatch",
                Error,
                "image-spec, manifest.md and image-index.md, mediaType",
            ),
            Self::OldManifest => (
                "manifest_schema_1",
                Error,
                "distribution, manifest-v2-1.md: deprecated, and no longer read by current engines",
            ),
            Self::TooDeep => ("index_too_deep", Error, LIMIT),
            Self::RefNameForm { .. } => ("ref_name_form", Warning, REF_NAME),
            Self::RefNameMisplaced => ("ref_name_misplaced", Info, REF_NAME),
            Self::PlatformAlias { .. } => ("platform_alias", Warning, PLATFORM),
            Self::SamePlatform { .. } => ("platform_twice", Info, PLATFORM),
            Self::AttestationSubject { .. } => {
                ("attestation_subject", Warning, "BuildKit, attestation-storage.md")
            }
        }
    }

    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Missing { path, role } => missing(path, *role),
            Self::Foreign { urls } => format!(
                "This blob is not in the archive; it is to be had from {}.",
                shown(&urls.join(", "))
            ),
            Self::Unreadable { reason } => format!("This file cannot be read: {reason}."),
            Self::Size { claimed, actual } => {
                format!("The size is said to be {claimed} bytes, but there are {actual}.")
            }
            Self::Digest { claimed, actual } => {
                format!(
                    "The digest is said to be {claimed}, but the bytes give {actual}: they are not what was meant."
                )
            }
            Self::DigestForm { claimed, fault } => digest_sentence(&shown(claimed.text()), *fault),
            Self::DigestUnverified { claimed } => format!(
                "Whether {} is right is not known: handroll computes sha256 only.",
                shown(claimed.text())
            ),
            Self::Data { reason } => {
                format!(
                    "The descriptor holds the bytes themselves in `data`, but they are not what it describes: {reason}."
                )
            }
            Self::NotEmpty => {
                "The media type says that this is `{}`, the empty document, but its digest is another one."
                    .to_owned()
            }
            Self::MediaTypeMismatch { claimed, own } => format!(
                "The descriptor says that this is `{}`, the document itself says `{}`.",
                shown(claimed),
                shown(own)
            ),
            Self::OldManifest => {
                "This manifest has a form from before 2016 that today's tools no longer read.".to_owned()
            }
            Self::TooDeep => format!(
                "This index lies more than {DEPTH_LIMIT} deep in other indexes, and is not looked into."
            ),
            Self::RefNameForm { name } => format!(
                "`{}` has characters that a reference may not have, so tools may not find the image by it.",
                shown(name)
            ),
            Self::RefNameMisplaced => {
                "A name of a reference counts only in index.json; here nobody looks for it.".to_owned()
            }
            Self::PlatformAlias { name, go_name } => format!(
                "The processor is called {} here; in images it is {go_name}, and no tool chooses it otherwise.",
                shown(name)
            ),
            Self::SamePlatform { platform } => format!(
                "Another manifest of this index is for {} too: tools take the first.",
                shown(platform)
            ),
            Self::AttestationSubject { digest } => match digest {
                Some(digest) => format!(
                    "This attestation is about the manifest {}, which is not in the same index.",
                    shown(digest)
                ),
                None => "This attestation does not say which manifest it is about.".to_owned(),
            },
        }
    }
}

fn digest_form(fault: ClaimFault) -> Facts {
    use Severity::{Error, Warning};
    match fault {
        ClaimFault::Grammar | ClaimFault::Length { .. } => ("digest_form", Error, DIGESTS),
        ClaimFault::Uppercase => ("digest_uppercase", Error, DIGESTS),
        ClaimFault::Algorithm => (
            "digest_algorithm",
            Warning,
            "image-spec, descriptor.md, Registered algorithms",
        ),
    }
}

fn missing(path: &[u8], role: Role) -> String {
    let what = match role {
        Role::Entry => "A manifest",
        Role::Config => "The configuration",
        Role::Layer(_) => "A layer",
        Role::Subject => "The subject",
    };
    match path.is_empty() {
        true => format!("{what} cannot be found: what should name it has no digest of the right form."),
        false => format!("{what} is missing: {} is not in the archive.", escape(path)),
    }
}

fn digest_sentence(claimed: &str, fault: ClaimFault) -> String {
    match fault {
        ClaimFault::Grammar => {
            format!(
                "`{claimed}` is no digest: it must be an algorithm, `:` and the hash, as in sha256:2c26…."
            )
        }
        ClaimFault::Uppercase => {
            format!("The digest `{claimed}` is written in upper case; only lower case is allowed.")
        }
        ClaimFault::Length { expected } => {
            format!(
                "The digest `{claimed}` is too long or too short: its algorithm gives {expected} hex digits."
            )
        }
        ClaimFault::Algorithm => {
            format!("The digest `{claimed}` is of an algorithm that tools need not know.")
        }
    }
}
