//! Recipes for `edit`: a tar as the page saves it, or JSON that a person wrote. In the latter an operation may leave
//! out its time and its caller, may be the action alone, and may name a file on disk as a content.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use handroll::content::Content;
use handroll::image::json::{self, FromJson, Node, ReadError};
use handroll::native::FileSource;
use handroll::tree::Time;
use handroll::workbench::{Action, Caller, Operation, RECIPE_LIMIT, SourceId, Workbench};
use serde_json::{Value, json};

use super::Failure;
use super::session::Ids;

/// The operations of a recipe.
pub struct Recipe {
    path: PathBuf,
    operations: Vec<Operation>,
}

/// Reads a recipe. The files that it names become sources of the session.
pub fn read(path: &Path, workbench: &mut Workbench, time: Time) -> Result<Recipe, Failure> {
    let fail = |error: &dyn std::fmt::Display| Failure::Work(format!("{}: {error}", path.display()));
    let mut sources = Sources { workbench, next: 0 };
    let (id, content) = sources.open(path).map_err(|error| fail(&error))?;
    let mut start = vec![0; content.len().min(64) as usize];
    content.read_at(0, &mut start).map_err(|error| fail(&error))?;
    let operations = match start.trim_ascii_start().starts_with(b"{") {
        false => sources.workbench.load_recipe(id).map_err(|error| fail(&error))?,
        true => {
            let bytes = content.read_all(RECIPE_LIMIT).map_err(|error| fail(&error))?;
            let directory = path.parent().unwrap_or(Path::new("."));
            let read = written(&bytes, directory, &mut sources, time);
            read.map_err(|message| fail(&message))?
        }
    };
    Ok(Recipe {
        path: path.to_owned(),
        operations,
    })
}

/// Files that were opened for a recipe.
struct Sources<'a> {
    workbench: &'a mut Workbench,
    next: SourceId,
}

impl Sources<'_> {
    fn open(&mut self, path: &Path) -> std::io::Result<(SourceId, Content)> {
        let source = Arc::new(FileSource::open(path)?);
        let id = self.next;
        self.next += 1;
        self.workbench
            .open_source(id, source.clone())
            .expect("ids are counted up");
        Ok((id, Content::whole(source)))
    }
}

/// Reads `{"version":1,"operations":[…]}`. Errors are sentences.
fn written(
    bytes: &[u8],
    directory: &Path,
    sources: &mut Sources<'_>,
    time: Time,
) -> Result<Vec<Operation>, String> {
    // First as what it is: with its places, and nothing twice.
    json::read::<Anything>(bytes, RECIPE_LIMIT).map_err(|error| error.to_string())?;
    let document: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let members = document.as_object().into_iter().flat_map(|object| object.keys());
    let mut others = members.filter(|name| !matches!(name.as_str(), "version" | "operations"));
    if let Some(other) = others.next() {
        return Err(format!("a recipe has `version` and `operations`, no `{other}`"));
    }
    if document["version"] != 1 {
        return Err("a recipe has the member `version`, which is 1".to_owned());
    }
    let Some(operations) = document["operations"].as_array() else {
        return Err("a recipe has the member `operations`, which is a list".to_owned());
    };
    let operations = (1..).zip(operations).map(|(number, operation)| {
        let mut operation = operation.clone();
        complete(&mut operation, time);
        put_files(&mut operation, directory, sources)
            .and_then(|()| read_one(&operation))
            .map_err(|reason| format!("operation {number}: {reason}"))
    });
    operations.collect()
}

/// Whatever is JSON.
struct Anything;

impl FromJson for Anything {
    fn from_json(_: Node<'_>) -> Result<Self, ReadError> {
        Ok(Self)
    }
}

/// Says what an operation left out.
fn complete(operation: &mut Value, time: Time) {
    if operation.get("op").is_some() && operation.get("action").is_none() {
        *operation = json!({ "action": operation.take() });
    }
    let Some(members) = operation.as_object_mut() else {
        return;
    };
    members.entry("time").or_insert(json!(time));
    members.entry("caller").or_insert(json!(Caller::ROOT));
}

/// Puts the bytes of files on disk where `{"file": PATH}` stands for a content.
fn put_files(value: &mut Value, directory: &Path, sources: &mut Sources<'_>) -> Result<(), String> {
    match value {
        Value::Array(values) => values
            .iter_mut()
            .try_for_each(|value| put_files(value, directory, sources)),
        Value::Object(members) => {
            let file = members.get("content").and_then(|content| content.as_object());
            let file = file
                .filter(|content| content.len() == 1)
                .and_then(|content| content.get("file"));
            if let Some(file) = file.and_then(Value::as_str) {
                let path = directory.join(file);
                let opened = sources.open(&path);
                let (source, content) = opened.map_err(|error| format!("{}: {error}", path.display()))?;
                let range = json!({ "source": source, "offset": 0, "length": content.len() });
                members.insert("content".to_owned(), range);
            }
            members
                .values_mut()
                .try_for_each(|value| put_files(value, directory, sources))
        }
        _ => Ok(()),
    }
}

/// Reads an operation. Its text is ours by now: places are told by members, not by bytes.
fn read_one(operation: &Value) -> Result<Operation, String> {
    let text = operation.to_string();
    json::read(text.as_bytes(), RECIPE_LIMIT).map_err(|error| match error {
        ReadError::Value { pointer, reason, .. } => match pointer.strip_prefix("/action").unwrap_or(&pointer)
        {
            "" => reason,
            pointer => format!("`{pointer}`: {reason}"),
        },
        other => other.to_string(),
    })
}

impl Recipe {
    /// The ids that the recipe gives to the archive that it opens, if it opens one: what it did to that archive it
    /// is to do to another now. That operation is taken out.
    pub fn take_ids(&mut self) -> Result<Option<Ids>, Failure> {
        let opens = |operation: &Operation| matches!(operation.action, Action::OpenArchive { .. });
        let Some(at) = self.operations.iter().position(opens) else {
            return Ok(None);
        };
        let Action::OpenArchive {
            archive,
            first_image,
            first_layer,
            ..
        } = self.operations.remove(at).action
        else {
            unreachable!("it was looked for");
        };
        match self.operations.iter().any(opens) {
            true => Err(Failure::Work(format!(
                "{}: the recipe opens several archives, so none of them is IMAGE",
                self.path.display()
            ))),
            false => Ok(Some(Ids {
                archive,
                image: first_image,
                layer: first_layer,
            })),
        }
    }

    /// Does all that the recipe says.
    pub fn apply(self, workbench: &mut Workbench) -> Result<(), Failure> {
        for (number, operation) in (1..).zip(self.operations) {
            workbench.apply(operation).map_err(|error| {
                Failure::Work(format!("{}: operation {number}: {error}", self.path.display()))
            })?;
        }
        Ok(())
    }
}
