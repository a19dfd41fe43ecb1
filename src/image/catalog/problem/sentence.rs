//! Each problem in one sentence for someone who sees images for the first time.

use super::{ProblemKind, SchemaFault};
use crate::compress::inflate::Packing;
use crate::image::catalog::{ClaimFault, DEPTH_LIMIT, DOCUMENTS_LIMIT, LINKS_LIMIT, Role};
use crate::image::files::{ENTRY_LIMIT, FILE_LIMIT, Fault, PATH_LIMIT, Via};
use crate::image::json::{self, FaultKind, Kind};
use crate::text::escape;

/// A text from a document, fit to be shown, and not too long for that.
fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let end = text.char_indices().map(|(at, _)| at).find(|&at| at >= LONGEST);
    match end {
        Some(end) => escape(&text.as_bytes()[..end]) + "…",
        None => escape(text.as_bytes()),
    }
}

impl ProblemKind {
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Archive(fault) => archive(fault),
            Self::Json(fault) => json_fault(fault),
            Self::Schema(fault) => schema(fault),
            Self::MarkerMissing => {
                "The file oci-layout is missing: by it tools know that this is an image.".to_owned()
            }
            Self::IndexMissing => {
                "The file index.json is missing: nothing says which images are in here.".to_owned()
            }
            Self::InDirectory { directory } => format!(
                "The image lies in the directory {}, where tools do not look for it.",
                escape(directory)
            ),
            Self::NestedLayouts { directory } => format!(
                "This is taken for a layer, though there is an image in its directory {}: open that for the image.",
                escape(directory)
            ),
            Self::LinkCircle { path } => format!("The links from {} lead in a circle.", escape(path)),
            Self::BlobIsLink { path, target, via } => {
                let via = match via {
                    Via::Symlink => "symbolic link",
                    Via::HardLink => "hard link",
                };
                format!(
                    "{} is no file of its own but a {via} to {}, and some tools do not follow links here.",
                    escape(path),
                    escape(target)
                )
            }
            Self::TooManyLinks => format!(
                "The documents name more than {LINKS_LIMIT} things; what comes after is not looked at."
            ),
            Self::TooDeep => format!(
                "This index lies more than {DEPTH_LIMIT} deep in other indexes, and is not looked into."
            ),
            Self::DocumentTooLarge { size } => format!(
                "This document has {size} bytes; no more than {} are read, here and in containerd.",
                json::SIZE_LIMIT
            ),
            Self::DocumentsTooLarge { size } => format!(
                "With the {size} bytes of this document, all documents have more than the {DOCUMENTS_LIMIT} \
                 bytes that are read."
            ),
            Self::NotJson(error) => format!("This document is damaged: {error}."),
            Self::ViewsDisagree => {
                "Docker's list manifest.json names another image than index.json does: which \
                                    one is loaded depends on the tool."
                    .to_owned()
            }
            Self::DockerTag { tag, reason } => {
                format!(
                    "`{}` is no name for an image, so docker load stops here: {reason}.",
                    shown(tag)
                )
            }
            Self::ParentMissing { layer } => format!(
                "The layer {} names a layer below it that is not in the archive, or itself.",
                shown(layer)
            ),
            Self::UnnamedBlobs { count, first } => format!(
                "{count} of the blobs are named by no document ({} is the first): they take room and do nothing.",
                escape(first)
            ),
            Self::StrayFiles { count, first } => format!(
                "{count} of the files in blobs/ have no digest as their name ({} is the first).",
                escape(first)
            ),
            _ => self.of_descriptor(),
        }
    }

    /// What is wrong with a descriptor, or with what it points to.
    fn of_descriptor(&self) -> String {
        match self {
            Self::Missing { path, role } => missing(path, *role),
            Self::Foreign { urls } => format!(
                "This blob is not in the archive; it is to be had from {}.",
                shown(&urls.join(", "))
            ),
            Self::Unreadable { reason } => format!("This blob cannot be read: {reason}."),
            Self::Size { claimed, actual } => {
                format!("The size is said to be {claimed} bytes, but there are {actual}.")
            }
            Self::Digest { claimed, actual } => {
                format!("The digest is said to be {claimed}, but the bytes give {actual}: they are not what was meant.")
            }
            Self::DigestForm { claimed, fault } => digest_form(&shown(claimed.text()), *fault),
            Self::DigestUnverified { claimed } => format!(
                "Whether {} is right is not known: handroll computes sha256 only.",
                shown(claimed.text())
            ),
            Self::Data { reason } => {
                format!("The descriptor holds the bytes themselves in `data`, but they are not what it describes: {reason}.")
            }
            Self::NotEmpty => "The media type says that this is `{}`, the empty document, but its digest is another one."
                .to_owned(),
            Self::LayerType { media_type } => format!(
                "`{}` is no media type of a layer that tools agree on: they may pass over this layer or stop at it.",
                shown(media_type)
            ),
            Self::NonDistributable => {
                "This layer is of a kind that was not to be passed on; such media types are no longer to be used."
                    .to_owned()
            }
            Self::Packing { claimed, actual, .. } => format!(
                "The media type says that this layer is {}, but its bytes are {}.",
                packing(*claimed),
                packing(*actual)
            ),
            Self::ZstdLayer => "This layer is compressed with zstd, which older tools do not read.".to_owned(),
            Self::Unpack { reason } => format!("This layer does not unpack: {reason}."),
            Self::AttestationSubject { digest } => match digest {
                Some(digest) => format!(
                    "This attestation is about the manifest {}, which is not in the same index.",
                    shown(digest)
                ),
                None => "This attestation does not say which manifest it is about.".to_owned(),
            },
            Self::RefNameForm { name } => format!(
                "`{}` has characters that a reference may not have, so tools may not find the image by it.",
                shown(name)
            ),
            Self::RefNameMisplaced => {
                "A name of a reference counts only in index.json; here nobody looks for it.".to_owned()
            }
            Self::SameName { name } => format!(
                "Another image has the name `{}` too: which one is meant is left to the tool.",
                shown(name)
            ),
            Self::PlatformAlias { name, go_name } => format!(
                "The processor is called {} here; in images it is {go_name}, and no tool chooses it otherwise.",
                shown(name)
            ),
            Self::SamePlatform { platform } => format!(
                "Another manifest of this index is for {} too: tools take the first.",
                shown(platform)
            ),
            _ => self.of_image(),
        }
    }

    /// What is wrong with a document, or with an image as a whole.
    fn of_image(&self) -> String {
        match self {
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
            Self::MediaTypeMismatch { claimed, own } => format!(
                "The descriptor says that this is `{}`, the document itself says `{}`.",
                shown(claimed),
                shown(own)
            ),
            Self::OldManifest => {
                "This manifest has a form from before 2016 that today's tools no longer read.".to_owned()
            }
            Self::NoLayers => "The manifest has no layers, which some tools refuse.".to_owned(),
            Self::NoArtifactType => {
                "The manifest has an empty configuration, so `artifactType` must say what it is, and does not."
                    .to_owned()
            }
            Self::LargeForRegistries { size } => {
                format!("This document has {size} bytes, and registries refuse more than 4 MiB.")
            }
            Self::Unnamed => "The image has no name: containerd loads its blobs and lists no image.".to_owned(),
            Self::BareTag { tag } => format!(
                "The image's only name is the tag `{}`: each tool puts another name before it.",
                shown(tag)
            ),
            Self::NameNotCanonical { name, canonical } => match canonical {
                Some(canonical) => format!(
                    "containerd takes the name `{}` as it stands, so that people who ask for {canonical} do not find it.",
                    shown(name)
                ),
                None => format!("`{}` is no name of an image that tools can ask for.", shown(name)),
            },
            Self::SeveralImages { count } => format!(
                "There are {count} entries in index.json and no manifest.json beside it: podman loads none of them."
            ),
            Self::PlatformMismatch { claimed, config } => format!(
                "The index says that this image is for {}, its configuration says {}.",
                shown(claimed),
                shown(config)
            ),
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
            Self::DiffId { claimed, actual } => format!(
                "The DiffID of this layer is said to be {}, but its unpacked bytes give {actual}.",
                shown(claimed.text())
            ),
            Self::DiffIdCount { diff_ids, layers } => {
                format!("The configuration has {diff_ids} DiffIDs for {layers} layers; each layer needs one.")
            }
            Self::HistoryCount { history, layers } => format!(
                "The history tells of {history} layers, but there are {layers}: which entry made which layer is a guess."
            ),
            _ => unreachable!("`sentence` and `of_descriptor` have the others"),
        }
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

fn packing(packing: Packing) -> &'static str {
    match packing {
        Packing::Plain => "not compressed",
        Packing::Gzip => "compressed with gzip",
        Packing::Zstd => "compressed with zstd",
    }
}

fn digest_form(claimed: &str, fault: ClaimFault) -> String {
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

fn archive(fault: &Fault) -> String {
    match fault {
        Fault::Duplicate { path, .. } => format!(
            "The archive holds {} twice: some tools take the first, some the last.",
            escape(path)
        ),
        Fault::Damaged { reason, .. } => {
            format!(
                "The archive cannot be read to its end; what stands before the damage is shown: {reason}."
            )
        }
        Fault::Files { .. } => {
            format!("The archive has more than {FILE_LIMIT} files; the rest are not listed.")
        }
        Fault::Entries { .. } => {
            format!("The archive has more than {ENTRY_LIMIT} entries; the rest are not looked at.")
        }
        Fault::LongPath { length, .. } => format!(
            "A path of {length} bytes is longer than the {PATH_LIMIT} that systems take, and is passed over."
        ),
    }
}

fn json_fault(fault: &FaultKind) -> String {
    match fault {
        FaultKind::Duplicate { name, .. } => format!(
            "`{}` occurs twice in one object: some tools take the first, most the last.",
            shown(name)
        ),
        FaultKind::NotUtf8 => {
            "This text holds bytes that are not UTF-8: some tools refuse it, some change it.".to_owned()
        }
        FaultKind::LoneSurrogate => {
            "This text holds half of a pair of surrogates, which is no character.".to_owned()
        }
        FaultKind::Number => "This number is too large for the integers that tools read it into.".to_owned(),
        FaultKind::ByteOrderMark => {
            "The document begins with a byte order mark, at which many tools stop.".to_owned()
        }
    }
}

fn schema(fault: &SchemaFault) -> String {
    match fault {
        SchemaFault::Missing { field } => format!("`{field}` must be here, and is not."),
        SchemaFault::Type { expected, found } => {
            format!("Here must be {expected}, but there is {}.", kind(*found))
        }
        SchemaFault::Value { expected, found } => {
            format!("Here must be {expected}, but there is `{}`.", shown(found))
        }
        SchemaFault::ListForMap => {
            "This must be an object with an empty object for each name, as in {\"/data\":{}}, not a list."
                .to_owned()
        }
        SchemaFault::Time { found } => format!(
            "`{}` is no date and time as images have it: 2025-01-01T00:00:00Z.",
            shown(found)
        ),
        SchemaFault::MediaType { found } => format!(
            "`{}` is no media type: it must be a type, `/` and a subtype, of letters, digits and a few signs.",
            shown(found)
        ),
        SchemaFault::Version { found } => format!("`schemaVersion` must be 2, but is {}.", shown(found)),
        SchemaFault::LayoutVersion { found } => {
            format!(
                "The layout is of version {}; tools know 1.0.0 only.",
                shown(found)
            )
        }
        SchemaFault::Case { known, found } => format!(
            "`{}` is not `{known}`: some tools take it for that, others pass over it.",
            shown(found)
        ),
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
