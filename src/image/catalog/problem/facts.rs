//! Of each kind of problem: its stable name, how much it matters, and the clause or the tools that say so.

use super::{ProblemKind, SchemaFault, Severity};
use crate::image::catalog::{ClaimFault, Role};
use crate::image::files::Fault;
use crate::image::json::FaultKind;

type Facts = (&'static str, Severity, &'static str);

const LIMIT: &str = "a limit of handroll";
const LAYOUT: &str = "image-spec, image-layout.md";
const DIGESTS: &str = "image-spec, descriptor.md, Digests";
const PLATFORM: &str = "image-spec, image-index.md, platform";
const REF_NAME: &str = "image-spec, annotations.md, org.opencontainers.image.ref.name";
const SCHEMA: &str = "image-spec, schema";
const DOCKER: &str = "docker save, manifest.json";

impl ProblemKind {
    pub(super) fn facts(&self) -> Facts {
        use Severity::{Error, Info, Warning};
        match self {
            Self::Archive(fault) => archive(fault),
            Self::Json(fault) => json(fault),
            Self::Schema(fault) => schema(fault),
            Self::DigestForm { fault, .. } => digest_form(*fault),
            Self::InDirectory { .. } => ("image_in_directory", Warning, LAYOUT),
            Self::NestedLayouts { .. } => ("layouts_in_layer", Info, LAYOUT),
            Self::LinkCircle { .. } => ("link_circle", Error, "path_resolution(7)"),
            Self::BlobIsLink { .. } => (
                "blob_is_link",
                Warning,
                "containerd passes over links in the archive of an image",
            ),
            Self::MarkerMissing => (
                "layout_marker_missing",
                Error,
                "image-spec, image-layout.md, oci-layout file",
            ),
            Self::IndexMissing => (
                "index_missing",
                Error,
                "image-spec, image-layout.md, index.json file",
            ),
            Self::TooManyLinks => ("too_many_descriptors", Error, LIMIT),
            Self::TooDeep => ("index_too_deep", Error, LIMIT),
            Self::DocumentTooLarge { .. } => ("document_too_large", Error, "containerd's limit"),
            Self::DocumentsTooLarge { .. } => ("documents_too_large", Error, LIMIT),
            Self::LargeForRegistries { .. } => (
                "document_large",
                Warning,
                "distribution-spec, Pushing Manifests: registries may refuse more than 4 MiB",
            ),
            Self::NotJson(_) => ("not_json", Error, "RFC 8259"),
            Self::TypeConfusion { .. } => {
                ("type_confusion", Error, "image-spec, manifest.md; CVE-2021-41190")
            }
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
            Self::NoMediaType => (
                "media_type_absent",
                Info,
                "image-spec, manifest.md and image-index.md, mediaType",
            ),
            Self::MediaTypeMismatch { .. } => (
                "media_type_mismatch",
                Error,
                "image-spec, manifest.md and image-index.md, mediaType",
            ),
            Self::OldManifest => (
                "manifest_schema_1",
                Error,
                "distribution, manifest-v2-1.md; containerd 2 and Docker 28 do not read it",
            ),
            Self::NoLayers => ("no_layers", Warning, "image-spec, schema of the manifest"),
            Self::NoArtifactType => (
                "artifact_type_missing",
                Error,
                "image-spec, manifest.md, artifactType",
            ),
            Self::LayerType { .. } => ("layer_type_unknown", Warning, "image-spec, manifest.md, layers"),
            Self::NonDistributable => (
                "layer_not_distributable",
                Info,
                "image-spec, layer.md, Non-Distributable Layers",
            ),
            Self::Packing { is_docker: false, .. } => (
                "layer_packing_mismatch",
                Error,
                "image-spec, media-types.md; umoci refuses it, containerd what is said to be plain and is not",
            ),
            Self::Packing { .. } => (
                "layer_packing_mismatch",
                Warning,
                "Docker and containerd look at the bytes, others at the media type",
            ),
            Self::ZstdLayer => (
                "layer_zstd",
                Info,
                "image-spec, layer.md, +zstd Media Types: readers SHOULD support it; Docker does since 23.0",
            ),
            Self::RefNameForm { .. } => ("ref_name_form", Warning, REF_NAME),
            Self::RefNameMisplaced => ("ref_name_misplaced", Info, REF_NAME),
            Self::SameName { .. } => ("name_twice", Info, REF_NAME),
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
            Self::NameNotCanonical { .. } => (
                "name_not_canonical",
                Warning,
                "containerd takes io.containerd.image.name as it stands",
            ),
            Self::SeveralImages { .. } => (
                "several_images",
                Warning,
                "podman load takes an OCI archive of one image only",
            ),
            Self::PlatformMismatch { .. } => ("platform_mismatch", Warning, PLATFORM),
            Self::PlatformAlias { .. } => ("platform_alias", Warning, PLATFORM),
            Self::SamePlatform { .. } => ("platform_twice", Info, PLATFORM),
            Self::AttestationSubject { .. } => {
                ("attestation_subject", Warning, "BuildKit, attestation-storage.md")
            }
            Self::UnnamedBlobs { .. } => ("blobs_unnamed", Info, "image-spec, image-layout.md, Blobs"),
            Self::StrayFiles { .. } => ("blobs_stray", Info, "image-spec, image-layout.md, Blobs"),
            Self::ViewsDisagree => (
                "views_disagree",
                Warning,
                "containerd reads index.json, docker load of old manifest.json",
            ),
            Self::DockerTag { .. } => ("docker_tag", Error, DOCKER),
            Self::ParentMissing { .. } => ("parent_missing", Error, "docker save before 1.10, <id>/json"),
            Self::RootfsType { .. } => ("rootfs_type", Error, "image-spec, config.md, rootfs"),
            Self::EnvForm { .. } => ("env_form", Warning, "image-spec, config.md, Env"),
            Self::PortForm { .. } => ("port_form", Warning, "image-spec, config.md, ExposedPorts"),
            Self::Unpack { .. } => ("layer_does_not_unpack", Error, "RFC 1952; RFC 8878"),
            Self::DiffId { .. } => ("diff_id_mismatch", Error, "image-spec, config.md, Layer DiffID"),
            Self::DiffIdCount { .. } => ("diff_id_count", Error, "image-spec, config.md, rootfs"),
            Self::HistoryCount { .. } => ("history_count", Warning, "image-spec, config.md, history"),
        }
    }
}

fn archive(fault: &Fault) -> Facts {
    use Severity::{Error, Warning};
    match fault {
        Fault::Duplicate { .. } => (
            "archive_duplicate_path",
            Warning,
            "POSIX, pax; who unpacks an archive takes the last, who searches it may take the first",
        ),
        Fault::Damaged { .. } => ("archive_damaged", Error, "POSIX, pax; RFC 1952; RFC 8878"),
        Fault::Files { .. } => ("archive_too_many_files", Warning, LIMIT),
        Fault::Entries { .. } => ("archive_too_many_entries", Error, LIMIT),
        Fault::LongPath { .. } => ("archive_long_path", Warning, "Linux, PATH_MAX"),
    }
}

fn json(fault: &FaultKind) -> Facts {
    use Severity::{Error, Warning};
    match fault {
        FaultKind::Duplicate { .. } => (
            "json_duplicate_member",
            Warning,
            "RFC 8259, section 4; RFC 7493, section 2.3",
        ),
        FaultKind::NotUtf8 => ("json_not_utf8", Warning, "RFC 8259, section 8.1"),
        FaultKind::LoneSurrogate => ("json_lone_surrogate", Warning, "RFC 8259, section 8.2"),
        FaultKind::Number => ("json_number_too_large", Warning, "RFC 7493, section 2.2"),
        FaultKind::ByteOrderMark => ("json_byte_order_mark", Error, "RFC 8259, section 8.1"),
    }
}

fn schema(fault: &SchemaFault) -> Facts {
    use Severity::{Error, Warning};
    match fault {
        SchemaFault::Missing { .. } => ("field_missing", Error, SCHEMA),
        SchemaFault::Type { .. } => ("field_type", Error, SCHEMA),
        SchemaFault::Value { .. } => ("field_value", Error, SCHEMA),
        SchemaFault::ListForMap => (
            "map_is_list",
            Error,
            "image-spec, config.md, Volumes and ExposedPorts; media-types.md",
        ),
        SchemaFault::Time { .. } => (
            "time_form",
            Error,
            "image-spec, config.md, created; RFC 3339, section 5.6",
        ),
        SchemaFault::MediaType { .. } => ("media_type_form", Error, "RFC 6838, section 4.2"),
        SchemaFault::Version { .. } => (
            "schema_version",
            Error,
            "image-spec, manifest.md and image-index.md, schemaVersion",
        ),
        SchemaFault::LayoutVersion { .. } => (
            "layout_version",
            Error,
            "image-spec, image-layout.md, oci-layout file",
        ),
        SchemaFault::Case { .. } => (
            "field_case",
            Warning,
            "RFC 8259, section 8.3; readers in Go take names without regard to case",
        ),
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
