//! Recipes: a saved file of operations and their contents, which replays to identical digests anywhere.
//!
//! A recipe is a tar: `recipe.json` first, `{"version":1,"operations":[…]}`, then each content that is not
//! written in the operations themselves as `blobs/sha256/<hex>`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::content::{Content, ContentError, Source};
use crate::digest::Digest;
use crate::image::json;
use crate::image::manifest::blob_path;
use crate::layer::Bytes;
use crate::tar::{Entries, EntryHeader, EntryType, Format, encode, end_padding, padding};
use crate::tree::Time;

use super::Workbench;
use super::apply::Contents;
use super::error::WorkbenchError;
use super::export::Exported;
use super::lean::whole;
use super::operation::{Action, ArchiveFiles, ContentRef, NewEntry, Operation, SourceId};

/// The most bytes that `recipe.json` may have.
pub const RECIPE_LIMIT: u64 = 256 << 20;

const DOCUMENT: &str = "recipe.json";

/// The document of a recipe.
#[derive(Debug, Serialize)]
pub struct Recipe {
    /// The form of the document: 1.
    pub version: u32,
    /// What is to be done, in order.
    pub operations: Vec<Operation>,
}

impl Recipe {
    /// Reads a recipe that was opened as source `id`. In the operations, contents become ranges of it. Every
    /// content is hashed and compared with its name.
    pub fn read(id: SourceId, source: std::sync::Arc<dyn Source>) -> Result<Self, WorkbenchError> {
        let error = |reason: String| WorkbenchError::Recipe { reason };
        let mut recipe: Option<Self> = None;
        let mut blobs = BTreeMap::new();
        for entry in Entries::new(Content::whole(source)) {
            let entry = entry.map_err(|failed| error(failed.to_string()))?;
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            let name = name.strip_prefix("./").unwrap_or(&name);
            if name == DOCUMENT {
                let document = entry.content.read_all(RECIPE_LIMIT)?;
                let read = json::read(&document, RECIPE_LIMIT);
                recipe = Some(read.map_err(|failed| error(format!("recipe.json: {failed}")))?);
            } else if let Some(hex) = name.strip_prefix("blobs/sha256/").filter(|hex| !hex.is_empty()) {
                let digest: Digest = format!("sha256:{hex}")
                    .parse()
                    .map_err(|_| error(format!("`{name}` is no digest")))?;
                let found = entry.content.digest()?;
                if found != digest {
                    return Err(error(format!("`{name}` holds {found}")));
                }
                if let Content::Range { offset, length, .. } = entry.content {
                    blobs.insert(digest, (offset, length));
                }
            }
        }
        let mut recipe = recipe.ok_or_else(|| error("it holds no recipe.json".to_owned()))?;
        if recipe.version != 1 {
            return Err(error(format!(
                "it is of version {}; this handroll reads version 1",
                recipe.version
            )));
        }
        let mut missing = BTreeMap::new();
        for operation in &mut recipe.operations {
            for_each_content(&mut operation.action, &mut |content| {
                let ContentRef::Blob { blob, size } = content else {
                    return Ok(());
                };
                match blobs.get(blob) {
                    Some(&(offset, length)) => {
                        *content = ContentRef::Source {
                            source: id,
                            offset,
                            length,
                        }
                    }
                    None => drop(missing.insert(*blob, *size)),
                }
                Ok(())
            })?;
        }
        if !missing.is_empty() {
            let missing: Vec<_> = missing
                .iter()
                .map(|(blob, size)| format!("{blob} ({size} bytes)"))
                .collect();
            return Err(error(format!("it lacks the contents {}", missing.join(", "))));
        }
        Ok(recipe)
    }
}

impl Workbench {
    /// The operations of a recipe that was opened as a source, ready to be applied one by one.
    pub fn load_recipe(&self, id: SourceId) -> Result<Vec<Operation>, WorkbenchError> {
        whole()?;
        let source = self
            .sources
            .get(&id)
            .ok_or(WorkbenchError::NoSource { source_id: id })?;
        Ok(Recipe::read(id, source.clone())?.operations)
    }

    pub(super) fn export_recipe(&self) -> Result<Exported, WorkbenchError> {
        let mut blobs: BTreeMap<Digest, Content> = BTreeMap::new();
        let mut operations = Vec::new();
        for operation in self.journal.operations() {
            let mut operation = operation.clone();
            for_each_content(&mut operation.action, &mut |reference| {
                if matches!(reference, ContentRef::Source { .. }) {
                    let content = self.content(reference)?;
                    let (blob, size) = (content.digest()?, content.len());
                    *reference = ContentRef::Blob { blob, size };
                    blobs.insert(blob, content);
                }
                Ok(())
            })?;
            operations.push(operation);
        }
        let recipe = Recipe {
            version: 1,
            operations,
        };
        let document = serde_json::to_vec(&recipe).expect("operations are plain data");
        // Better to say so now than to save what cannot be opened again.
        if document.len() as u64 > RECIPE_LIMIT {
            let (length, limit) = (document.len() as u64, RECIPE_LIMIT);
            return Err(ContentError::TooLarge { length, limit }.into());
        }
        let document = (DOCUMENT.to_owned(), Content::inline(document));
        let blobs = blobs
            .into_iter()
            .map(|(digest, content)| (blob_path(digest), content));
        let (mut parts, mut written) = (Exported::new(), 0);
        for (name, content) in std::iter::once(document).chain(blobs) {
            let header = header(&name, content.len());
            let zeros = padding(content.len());
            written += header.len() as u64 + content.len() + zeros;
            parts.extend([Bytes::Owned(header), Bytes::Content(content), Bytes::Zeros(zeros)]);
        }
        parts.push(Bytes::Zeros(end_padding(written)));
        Ok(parts)
    }
}

fn header(name: &str, size: u64) -> Vec<u8> {
    let header = EntryHeader {
        name: name.as_bytes(),
        entry_type: EntryType::Regular,
        link_name: b"",
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Time::at(0),
        size,
        device: (0, 0),
        xattrs: &BTreeMap::new(),
    };
    let mut blocks = Vec::new();
    encode(&header, Format::Gnu, &mut blocks);
    blocks
}

/// Calls `visit` with every content that an action names.
fn for_each_content(
    action: &mut Action,
    visit: &mut dyn FnMut(&mut ContentRef) -> Result<(), WorkbenchError>,
) -> Result<(), WorkbenchError> {
    match action {
        Action::Make {
            entry: NewEntry::File { content },
            ..
        }
        | Action::Write { content, .. }
        | Action::AddLayerTar { content, .. } => visit(content),
        Action::OpenArchive { from, .. } => match from {
            ArchiveFiles::Tar { content } => visit(content),
            ArchiveFiles::Directory { files } => {
                files.iter_mut().try_for_each(|file| visit(&mut file.content))
            }
        },
        Action::Group { actions, .. } => actions
            .iter_mut()
            .try_for_each(|action| for_each_content(action, visit)),
        _ => Ok(()),
    }
}
