//! What lets a step be left out: a hash of its inputs, kept from the last time it was done.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::places::Places;
use crate::run::{Failure, Outcome};

/// The inputs of one step as they are now.
pub struct Stamp {
    file: PathBuf,
    value: String,
}

impl Stamp {
    /// Hashes the inputs of the step of this name. A directory stands for all that is in it,
    /// but for what is named in `except`.
    pub fn of(places: &Places, name: &str, inputs: &[PathBuf], except: &[PathBuf]) -> Outcome<Self> {
        let mut hasher = DefaultHasher::new();
        for input in inputs {
            hash_path(input, except, &mut hasher)?;
        }
        Ok(Self {
            file: places.work().join(format!("{name}.stamp")),
            value: format!("{:016x}", hasher.finish()),
        })
    }

    /// Whether the step was done with just these inputs.
    pub fn is_current(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|last| last == self.value)
    }

    /// Notes that the step is done. Until then the inputs count as new: a step that failed is done again.
    pub fn record(&self) -> Outcome {
        write(&self.file, &self.value)
    }
}

/// Writes a file, and the directories that it needs.
pub fn write(file: &Path, text: &str) -> Outcome {
    if let Some(parent) = file.parent() {
        make_directory(parent)?;
    }
    fs::write(file, text).map_err(|error| Failure::at(file, &error))
}

/// Makes a directory and its parents.
pub fn make_directory(directory: &Path) -> Outcome {
    fs::create_dir_all(directory).map_err(|error| Failure::at(directory, &error))
}

fn hash_path(path: &Path, except: &[PathBuf], hasher: &mut DefaultHasher) -> Outcome {
    if except.iter().any(|left_out| left_out == path) {
        return Ok(());
    }
    path.hash(hasher);
    if !path.is_dir() {
        let bytes = fs::read(path).map_err(|error| Failure::at(path, &error))?;
        bytes.hash(hasher);
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(|error| Failure::at(path, &error))?;
    let mut children = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::at(path, &error))?;
    children.sort();
    children
        .iter()
        .try_for_each(|child| hash_path(child, except, hasher))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> Places {
        let root = std::env::temp_dir().join(format!("handroll-xtask-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        Places {
            target: root.join("target"),
            cache: root.join("cache"),
            root,
        }
    }

    #[test]
    fn a_step_is_current_until_an_input_changes() {
        let places = scratch("stamp");
        let source = places.root.join("source");
        write(&source.join("a/b"), "one").unwrap();
        write(&source.join("out/c"), "made").unwrap();
        let stamp = || {
            Stamp::of(
                &places,
                "step",
                std::slice::from_ref(&source),
                &[source.join("out")],
            )
            .unwrap()
        };

        assert!(!stamp().is_current(), "never done");
        stamp().record().unwrap();
        assert!(stamp().is_current());
        write(&source.join("out/c"), "made again").unwrap();
        assert!(stamp().is_current(), "what is left out does not count");
        write(&source.join("a/b"), "two").unwrap();
        assert!(!stamp().is_current());
        write(&source.join("a/b"), "one").unwrap();
        assert!(
            stamp().is_current(),
            "it is the content that counts, not the time"
        );
        write(&source.join("a/new"), "").unwrap();
        assert!(!stamp().is_current());
        fs::remove_dir_all(&places.root).unwrap();
    }

    #[test]
    fn an_input_that_is_missing_is_an_error() {
        let places = scratch("missing");
        assert!(Stamp::of(&places, "step", &[places.root.join("nothing")], &[]).is_err());
    }
}
