//! A descriptor as it is read: leniently, member by member.

use super::{Claim, NodeId, Role};
use crate::image::config::Platform;
use crate::image::json;
use crate::image::media::Media;

/// A descriptor as it was read.
pub(super) struct NewLink {
    pub(super) from: NodeId,
    pub(super) pointer: String,
    pub(super) offset: u64,
    pub(super) role: Role,
    pub(super) media_type: Option<String>,
    pub(super) digest: Option<Claim>,
    pub(super) size: Option<u64>,
    pub(super) platform: Option<Platform>,
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: Vec<(String, String)>,
    pub(super) urls: Vec<String>,
    /// The bytes themselves, or what is wrong with them.
    pub(super) data: Option<Result<Vec<u8>, &'static str>>,
}

impl NewLink {
    /// A path in Docker's list.
    pub(super) fn path(
        from: NodeId,
        pointer: String,
        value: json::Node<'_>,
        role: Role,
        digest: Option<Claim>,
    ) -> Self {
        Self {
            from,
            pointer,
            offset: value.span().start as u64,
            role,
            media_type: None,
            digest,
            size: None,
            platform: None,
            artifact_type: None,
            annotations: Vec::new(),
            urls: Vec::new(),
            data: None,
        }
    }

    /// A descriptor.
    pub(super) fn of(from: NodeId, pointer: String, role: Role, descriptor: json::Node<'_>) -> Self {
        let annotations = descriptor.field("annotations");
        let annotations = annotations.iter().flat_map(|annotations| annotations.children());
        let annotations = annotations.filter_map(|value| Some((value.key()?, value.as_str()?)));
        let platform = descriptor.field("platform").and_then(|platform| {
            Some(Platform {
                os: text_of(platform, "os")?,
                architecture: text_of(platform, "architecture")?,
                variant: text_of(platform, "variant").filter(|variant| !variant.is_empty()),
            })
        });
        let urls = descriptor.field("urls");
        let urls = urls.iter().flat_map(|urls| urls.elements());
        Self {
            from,
            pointer,
            offset: descriptor.span().start as u64,
            role,
            media_type: text_of(descriptor, "mediaType").filter(|text| !text.is_empty()),
            digest: text_of(descriptor, "digest").map(Claim::new),
            size: descriptor.field("size").and_then(|size| size.as_u64()),
            platform,
            artifact_type: text_of(descriptor, "artifactType"),
            annotations: annotations
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect(),
            urls: urls
                .filter_map(|url| url.as_str())
                .map(|url| url.into_owned())
                .collect(),
            data: text_of(descriptor, "data").map(|text| crate::base64::decode(&text)),
        }
    }

    /// What its media type stands for.
    pub(super) fn media(&self) -> Option<Media> {
        self.media_type.as_deref().map(Media::of)
    }
}

/// A text at a member of an object.
pub(super) fn text_of(object: json::Node<'_>, name: &str) -> Option<String> {
    Some(object.field(name)?.as_str()?.into_owned())
}
