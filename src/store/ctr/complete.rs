//! How a line of `ctr` could go on.

use super::command::{Run, follow};
use super::option::Takes;
use super::{DEFAULT_NAMESPACE, ROOT};
use crate::store::Store;

/// What a line of `ctr` could go on with: `words` are those that are finished, without `ctr` itself, `start` is how
/// the next begins. None where it is a file's name.
pub fn complete(store: &Store, words: &[String], start: &str) -> Option<Vec<String>> {
    let global = ROOT.flags.parse(words).unwrap_or_default();
    let namespace = global.value("namespace").unwrap_or(DEFAULT_NAMESPACE);
    let (command, arguments) = follow(&ROOT, words);
    let mut found: Vec<String> = match command.run {
        _ if start.starts_with('-') => {
            let names = command.flags.offered.iter().flat_map(|flag| flag.names);
            let dashed = names.map(|name| match name.len() {
                1 => format!("-{name}"),
                _ => format!("--{name}"),
            });
            dashed.collect()
        }
        _ if awaits_value(words) => store.namespaces.iter().map(|(name, _)| name.to_owned()).collect(),
        Run::Group(commands) => {
            let offered = commands
                .iter()
                .filter(|command| !matches!(command.run, Run::Refused(_)));
            offered.map(|command| command.name.to_owned()).collect()
        }
        Run::Action(_) => subjects(store, namespace, command.arguments, arguments.len())?,
        Run::Refused(_) => Vec::new(),
    };
    found.retain(|candidate| candidate.starts_with(start));
    found.sort();
    Some(found)
}

/// Whether the last word is an option that takes the next.
fn awaits_value(words: &[String]) -> bool {
    let Some(name) = words.last().and_then(|word| word.strip_prefix('-')) else {
        return false;
    };
    let name = name.strip_prefix('-').unwrap_or(name);
    let mut offered = ROOT.flags.offered.iter();
    offered.any(|flag| flag.takes != Takes::Nothing && flag.names.contains(&name))
}

/// What the argument of a number is taken from; none for files. The help says what a command's arguments are.
fn subjects(store: &Store, namespace: &str, arguments: &str, number: usize) -> Option<Vec<String>> {
    let here = store.namespace(namespace);
    let here = here
        .map(|here| super::super::Namespace::clone(here))
        .unwrap_or_default();
    let arguments = arguments.strip_prefix("[flags] ").unwrap_or(arguments);
    let words: Vec<&str> = arguments.split(' ').collect();
    let word = words.get(number).or(words.last()).copied().unwrap_or_default();
    let word = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    Some(match word {
        "in" | "out" | "target" => return None,
        "image" | "ref" | "source_ref" | "target_ref" | "Image|RootFS" => {
            here.images.iter().map(|(name, _)| name.to_owned()).collect()
        }
        "digest" => here.content.iter().map(|(digest, _)| digest.to_owned()).collect(),
        "key" | "parent" | "active" => here.snapshots.iter().map(|(key, _)| key.to_owned()).collect(),
        "CONTAINER" => here.containers.iter().map(|(id, _)| id.to_owned()).collect(),
        _ => Vec::new(),
    })
}
