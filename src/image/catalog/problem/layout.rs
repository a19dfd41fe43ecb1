//! What is wrong with an archive as an image: its layout, its lists, and what nobody names.

use super::{Facts, Severity, shown};
use crate::image::catalog::LINKS_LIMIT;
use crate::image::files::Via;
use crate::text::escape;

const LIMIT: &str = "a limit of handroll";
const LAYOUT: &str = "image-spec, image-layout.md";
const DOCKER: &str = "docker save, manifest.json";

/// What can be wrong with an archive as an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayoutProblem {
    /// The image lies in a directory of the archive.
    InDirectory {
        /// The directory, with a slash at its end.
        directory: Vec<u8>,
    },
    /// A tar that is a layer, or holds whole images.
    NestedLayouts {
        /// The directory of the first.
        directory: Vec<u8>,
    },
    /// Links lead in a circle.
    LinkCircle {
        /// The path that was looked up.
        path: Vec<u8>,
    },
    /// A file of the image is a link in the archive.
    BlobIsLink {
        /// The link.
        path: Vec<u8>,
        /// The file.
        target: Vec<u8>,
        /// What kind of link.
        via: Via,
    },
    /// There is no `oci-layout`.
    MarkerMissing,
    /// There is no `index.json`.
    IndexMissing,
    /// There are more descriptors than are followed.
    TooManyLinks,
    /// Blobs that no document names.
    UnnamedBlobs {
        /// How many.
        count: usize,
        /// The first of them.
        first: Vec<u8>,
    },
    /// Files among the blobs whose names are no digests.
    StrayFiles {
        /// How many.
        count: usize,
        /// The first of them.
        first: Vec<u8>,
    },
    /// Several images in a layout that is no docker archive.
    SeveralImages {
        /// How many.
        count: usize,
    },
    /// Docker's list names another image than the index.
    ViewsDisagree,
    /// An entry of Docker's list has a name that is none.
    DockerTag {
        /// The name.
        tag: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The layer that another stands on is not there.
    ParentMissing {
        /// The layer.
        layer: String,
    },
}

impl LayoutProblem {
    pub(super) fn facts(&self) -> Facts {
        use Severity::{Error, Info, Warning};
        match self {
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
            Self::UnnamedBlobs { .. } => ("blobs_unnamed", Info, "image-spec, image-layout.md, Blobs"),
            Self::StrayFiles { .. } => ("blobs_stray", Info, "image-spec, image-layout.md, Blobs"),
            Self::SeveralImages { .. } => (
                "several_images",
                Warning,
                "podman load takes an OCI archive of one image only",
            ),
            Self::ViewsDisagree => (
                "views_disagree",
                Warning,
                "containerd reads index.json, docker load of old manifest.json",
            ),
            Self::DockerTag { .. } => ("docker_tag", Error, DOCKER),
            Self::ParentMissing { .. } => ("parent_missing", Error, "docker save before 1.10, <id>/json"),
        }
    }

    pub(super) fn sentence(&self) -> String {
        match self {
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
            Self::MarkerMissing => {
                "The file oci-layout is missing: by it tools know that this is an image.".to_owned()
            }
            Self::IndexMissing => {
                "The file index.json is missing: nothing says which images are in here.".to_owned()
            }
            Self::TooManyLinks => format!(
                "The documents name more than {LINKS_LIMIT} things; what comes after is not looked at."
            ),
            Self::UnnamedBlobs { count, first } => format!(
                "{count} of the blobs are named by no document ({} is the first): they take room and do nothing.",
                escape(first)
            ),
            Self::StrayFiles { count, first } => format!(
                "{count} of the files in blobs/ have no digest as their name ({} is the first).",
                escape(first)
            ),
            Self::SeveralImages { count } => format!(
                "There are {count} entries in index.json and no manifest.json beside it: podman loads none of them."
            ),
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
        }
    }
}
