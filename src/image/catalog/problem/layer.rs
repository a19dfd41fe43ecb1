//! What is wrong with the layers of an image.

use super::{Facts, Severity, shown};
use crate::compress::inflate::Packing;
use crate::digest::Digest;
use crate::image::catalog::Claim;

/// What can be wrong with the layers of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerProblem {
    /// A layer of a media type that is none of a layer.
    LayerType {
        /// The media type.
        media_type: String,
    },
    /// A media type that the specification advises against.
    NonDistributable,
    /// A layer that is packed otherwise than its media type says.
    Packing {
        /// What the media type says.
        claimed: Packing,
        /// What the bytes are.
        actual: Packing,
        /// Whether the media type is one of Docker's, whose readers look at the bytes.
        is_docker: bool,
    },
    /// A layer in zstd.
    ZstdLayer,
    /// A layer's blob does not unpack.
    Unpack {
        /// Why.
        reason: String,
    },
    /// A layer is not read to its end, as what is kept of it would take too much memory.
    TooMuch {
        /// How much is kept, and where the rest begins.
        reason: String,
    },
    /// The DiffID is not the one that is claimed.
    DiffId {
        /// What the configuration claims.
        claimed: Claim,
        /// What the unpacked bytes give.
        actual: Digest,
    },
    /// As many DiffIDs as layers are needed.
    DiffIdCount {
        /// How many the configuration has.
        diff_ids: usize,
        /// How many layers there are.
        layers: usize,
    },
    /// As many entries of the history that are not empty as layers are needed.
    HistoryCount {
        /// How many there are.
        history: usize,
        /// How many layers there are.
        layers: usize,
    },
}

impl LayerProblem {
    pub(super) fn facts(&self) -> Facts {
        use Severity::{Error, Info, Warning};
        match self {
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
            Self::Unpack { .. } => ("layer_does_not_unpack", Error, "RFC 1952; RFC 8878"),
            Self::TooMuch { .. } => ("layer_too_large", Warning, "a limit of handroll"),
            Self::DiffId { .. } => ("diff_id_mismatch", Error, "image-spec, config.md, Layer DiffID"),
            Self::DiffIdCount { .. } => ("diff_id_count", Error, "image-spec, config.md, rootfs"),
            Self::HistoryCount { .. } => ("history_count", Warning, "image-spec, config.md, history"),
        }
    }

    pub(super) fn sentence(&self) -> String {
        match self {
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
            Self::TooMuch { reason } => format!("The rest of this layer is not read: {reason}."),
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
        }
    }
}

fn packing(packing: Packing) -> &'static str {
    match packing {
        Packing::Plain => "not compressed",
        Packing::Gzip => "compressed with gzip",
        Packing::Zstd => "compressed with zstd",
    }
}
