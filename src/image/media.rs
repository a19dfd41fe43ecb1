//! Media types: what a descriptor says that a blob is (image-spec, media-types.md), and Docker's names for the
//! same things.

use super::manifest;
use crate::compress::inflate::Packing;

/// The media type of `{}`, which stands where something is required and nothing is meant (manifest.md,
/// "Guidance for an Empty Descriptor").
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The annotation that says what a manifest in an index is to another (BuildKit, attestation-storage.md).
pub const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The annotation that says to which one.
pub const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// A media type that images are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// An image index, or Docker's manifest list.
    Index,
    /// A manifest.
    Manifest,
    /// Docker's manifest of before 2016, which holds no digests of configurations.
    OldManifest,
    /// A configuration.
    Config,
    /// A layer.
    Layer(LayerType),
    /// [`EMPTY`].
    Empty,
    /// Something else.
    Other,
}

/// What the media type of a layer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerType {
    /// How it is packed.
    pub packing: Packing,
    /// Whether it need not be where the image is.
    pub is_foreign: bool,
    /// Whether it is one of Docker's names, whose readers look at the bytes for how they are packed.
    pub is_docker: bool,
}

impl Media {
    /// What a media type stands for. Parameters (`; charset=…`) do not count.
    pub fn of(text: &str) -> Self {
        let name = text.split(';').next().unwrap_or_default().trim();
        match name {
            manifest::INDEX | "application/vnd.docker.distribution.manifest.list.v2+json" => Self::Index,
            manifest::MANIFEST | "application/vnd.docker.distribution.manifest.v2+json" => Self::Manifest,
            "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws" => Self::OldManifest,
            manifest::CONFIG | "application/vnd.docker.container.image.v1+json" => Self::Config,
            EMPTY => Self::Empty,
            _ => layer(name).map_or(Self::Other, Self::Layer),
        }
    }
}

fn layer(name: &str) -> Option<LayerType> {
    let forms = [
        ("application/vnd.oci.image.layer.v1.tar", false, false),
        (
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            true,
            false,
        ),
        ("application/vnd.docker.image.rootfs.diff.tar", false, true),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar", true, true),
    ];
    forms.into_iter().find_map(|(prefix, is_foreign, is_docker)| {
        let packing = match (name.strip_prefix(prefix)?, is_docker) {
            ("", _) => Packing::Plain,
            ("+gzip", false) | (".gzip", true) => Packing::Gzip,
            ("+zstd", false) | (".zstd", true) => Packing::Zstd,
            _ => return None,
        };
        Some(LayerType {
            packing,
            is_foreign,
            is_docker,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_of_layers() {
        for (text, packing, is_foreign, is_docker) in [
            (manifest::LAYER_TAR, Packing::Plain, false, false),
            (manifest::LAYER_GZIP, Packing::Gzip, false, false),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
                Packing::Zstd,
                true,
                false,
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                Packing::Gzip,
                false,
                true,
            ),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip; x=y",
                Packing::Gzip,
                true,
                true,
            ),
        ] {
            let expected = LayerType {
                packing,
                is_foreign,
                is_docker,
            };
            assert_eq!(Media::of(text), Media::Layer(expected), "{text}");
        }
        for text in [
            "",
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
            "application/vnd.oci.image.layer.v1.tar.gzip",
        ] {
            assert_eq!(Media::of(text), Media::Other, "{text}");
        }
    }
}
