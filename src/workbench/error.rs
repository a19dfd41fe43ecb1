//! What an operation or a question can be refused for.

use crate::content::ContentError;
use crate::image::catalog::{OpenError, rebuild::RebuildError};
use crate::image::config::ConfigError;
use crate::image::reference::ReferenceError;
use crate::layer::{LayerError, ReadError};
use crate::overlay::mount::OptionError;
use crate::runtime::RuntimeError;
use crate::store::{Class, StoreError};
use crate::text::UnescapeError;
use crate::tree::{EditError, NameError, NameRule, PathError};

use super::operation::{ArchiveId, ImageId, LayerId, SourceId};

/// An operation that was not applied, or a question without an answer. Nothing was changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "fields are what the variant's text names")]
pub enum WorkbenchError {
    #[error("this takes the whole core, and this is the lean one")]
    NeedsWhole,
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Text(#[from] UnescapeError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error("{what} {value} is not a whole number from 0 to {limit}")]
    Number {
        what: &'static str,
        value: i64,
        limit: u32,
    },
    #[error("mode {value} is not a number of at most four octal digits, 0 to 7777")]
    Mode { value: i64 },
    #[error("a time's nanoseconds are 0 to 999999999, not {nanos}")]
    Nanos { nanos: u32 },
    #[error("a time's seconds are between -2^53 and 2^53, which JSON keeps exactly, not {seconds}")]
    Seconds { seconds: i64 },
    #[error("`{name}` is not a name for an extended attribute: {rule}")]
    XattrName { name: String, rule: &'static str },
    #[error("the value of `{name}` cannot be kept: {rule}")]
    XattrValue { name: String, rule: &'static str },
    #[error("a character device 0:0 is how overlayfs keeps a whiteout on disk: mark a whiteout instead")]
    DeviceZero,
    #[error("{reason}")]
    NotAnArchive { reason: String },
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    #[error("there is no archive {archive}")]
    NoArchive { archive: ArchiveId },
    #[error("there is an archive {archive} already: ids are used once")]
    ArchiveTaken { archive: ArchiveId },
    #[error("the archive has no node {node}, or its bytes are not there")]
    NoNode { node: u32 },
    #[error("there is no container {container}")]
    NoContainer { container: ImageId },
    #[error("this is not a call: {reason}")]
    Call { reason: String },
    #[error(transparent)]
    Mount(#[from] OptionError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Runtime(#[from] RuntimeError),
    #[error("nothing was imported to the machine yet")]
    NoMachine,
    #[error("an image is imported by an operation of its own, not in a group")]
    InGroup,
    #[error("`{given}` are no platforms: `default` or `all`")]
    Platforms { given: String },
    #[error("a container takes at most {limit} steps; commit it and start another")]
    TooManySteps { limit: usize },
    #[error("layer `{bottom}` is not below layer `{top}` in the same image")]
    NotBelow { bottom: String, top: String },
    #[error("`{path}` is in no layer of the image")]
    NotInImage { path: String },
    #[error("the root of a layer stays; name what is in it")]
    WholeLayer,
    #[error("there is no image {image}")]
    NoImage { image: ImageId },
    #[error("there is no layer {layer}")]
    NoLayer { layer: LayerId },
    #[error("there is an image {image} already: ids are used once")]
    ImageTaken { image: ImageId },
    #[error("there is a layer {layer} already: ids are used once")]
    LayerTaken { layer: LayerId },
    #[error("there is a source {source_id} already: ids are used once")]
    SourceTaken { source_id: SourceId },
    #[error("no file was opened as source {source_id}")]
    NoSource { source_id: SourceId },
    #[error("{length} bytes at {offset} are not inside {name}, which has {size}")]
    OutsideSource {
        name: String,
        offset: u64,
        length: u64,
        size: u64,
    },
    #[error("the recipe has no blob {blob}")]
    NoBlob { blob: crate::digest::Digest },
    #[error("this is not base64: {reason}")]
    Base64 { reason: &'static str },
    #[error("position {position} is beyond the {layers} layers of the image")]
    Position { position: usize, layers: usize },
    #[error("`{name}` is no name for a layer: it must have 1 to 100 characters, all visible")]
    LayerName { name: String },
    #[error("the hashes of layer `{layer}` are not known yet")]
    Busy { layer: String },
    #[error("groups are nested more than {limit} deep")]
    NestedTooDeep { limit: usize },
    #[error("`{path}` is not in layer `{layer}`, or not of the kind that is asked for")]
    NotThere { path: String, layer: String },
    #[error("this is not a recipe: {reason}")]
    Recipe { reason: String },
    #[error("the sample has a program for linux/amd64 and linux/arm64, not for {platform}")]
    NoProgram { platform: String },
}

impl From<OpenError> for WorkbenchError {
    fn from(error: OpenError) -> Self {
        Self::NotAnArchive {
            reason: error.to_string(),
        }
    }
}

impl WorkbenchError {
    /// A stable name of the kind of error, for callers that choose by it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NeedsWhole => "needs_whole",
            Self::Edit(error) => edit_code(error),
            Self::Path(PathError::Name(error)) => name_code(error),
            Self::Path(PathError::NotAbsolute { .. }) => "path_not_absolute",
            Self::Path(PathError::Escape(_)) | Self::Text(_) => "bad_escape",
            Self::Layer(LayerError::Damaged(_)) => "damaged",
            Self::Content(_) | Self::Layer(_) => "content_unreadable",
            Self::Reference(error) => error.code(),
            Self::Config(error) => error.code(),
            Self::Read(error) => error.code(),
            Self::Number { .. } => "bad_number",
            Self::Mode { .. } => "bad_mode",
            Self::Nanos { .. } | Self::Seconds { .. } => "bad_time",
            Self::XattrName { .. } => "xattr_name",
            Self::XattrValue { .. } => "xattr_value",
            Self::DeviceZero => "device_zero",
            Self::NotAnArchive { .. } => "not_an_archive",
            Self::Rebuild(_) => "cannot_rebuild",
            Self::NoArchive { .. } | Self::NoNode { .. } => "no_archive",
            Self::NoContainer { .. } => "no_container",
            Self::Call { .. } => "bad_call",
            Self::Mount(_) => "cannot_mount",
            Self::Store(error) => store_code(error),
            Self::Runtime(_) => "cannot_run",
            Self::NoMachine => "no_machine",
            Self::InGroup => "in_group",
            Self::Platforms { .. } => "bad_platforms",
            Self::TooManySteps { .. } => "too_many_steps",
            Self::NotBelow { .. } => "bad_position",
            Self::WholeLayer => "root",
            Self::NoImage { .. } => "no_image",
            Self::NoLayer { .. } => "no_layer",
            Self::ArchiveTaken { .. }
            | Self::ImageTaken { .. }
            | Self::LayerTaken { .. }
            | Self::SourceTaken { .. } => "id_taken",
            Self::NoSource { .. } | Self::OutsideSource { .. } | Self::NoBlob { .. } => "no_source",
            Self::Base64 { .. } => "bad_base64",
            Self::Position { .. } => "bad_position",
            Self::LayerName { .. } => "bad_layer_name",
            Self::Busy { .. } => "busy",
            Self::NestedTooDeep { .. } => "nested_too_deep",
            Self::NotThere { .. } | Self::NotInImage { .. } => "not_found",
            Self::Recipe { .. } => "bad_recipe",
            Self::NoProgram { .. } => "no_program",
        }
    }
}

fn store_code(error: &StoreError) -> &'static str {
    match error.class() {
        Class::NotFound => "store_not_found",
        Class::AlreadyExists => "store_exists",
        Class::FailedPrecondition => "store_precondition",
        Class::InvalidArgument => "store_argument",
        Class::Unknown => "store_failed",
    }
}

fn name_code(error: &NameError) -> &'static str {
    match error.rule {
        NameRule::Empty => "name_empty",
        NameRule::Dots => "name_dots",
        NameRule::Slash => "name_slash",
        NameRule::Nul => "name_nul",
        NameRule::TooLong => "name_too_long",
        NameRule::Reserved => "name_reserved",
    }
}

fn edit_code(error: &EditError) -> &'static str {
    match error {
        EditError::Name(error) => name_code(error),
        EditError::NotFound { .. } => "not_found",
        EditError::NotDirectory { .. } => "not_directory",
        EditError::Exists { .. } => "exists",
        EditError::NotFile { .. } => "not_file",
        EditError::NotSymlink { .. } => "not_symlink",
        EditError::BadTarget { .. } => "bad_target",
        EditError::LinkToDirectory { .. } => "link_to_directory",
        EditError::IntoItself { .. } => "into_itself",
        EditError::Root => "root",
        EditError::WhiteoutOfOwn { .. } => "whiteout_of_own",
        EditError::NotWhiteout { .. } => "not_whiteout",
    }
}
