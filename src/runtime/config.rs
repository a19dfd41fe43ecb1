//! An image's configuration (image-spec, config.md) as far as a runtime asks for it.

use std::collections::BTreeMap;

use super::RuntimeError;
use crate::image::json::{Document, Kind, Node, ReadError};

/// What an image says of the containers that are made of it. What is empty was not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the field of config.md that has its name")]
pub struct ImageConfig {
    pub architecture: String,
    pub os: String,
    pub os_version: String,
    pub os_features: Vec<String>,
    pub variant: String,
    pub author: String,
    pub created: String,
    pub user: String,
    /// The keys.
    pub exposed_ports: Vec<String>,
    pub env: Vec<String>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    /// The keys.
    pub volumes: Vec<String>,
    pub working_dir: String,
    pub labels: BTreeMap<String, String>,
    pub stop_signal: String,
}

impl ImageConfig {
    /// Reads a configuration. Of members that occur twice the last counts, `null` is the same as no member, and
    /// members that are not known are passed over, as containerd has all three.
    pub fn read(document: &Document) -> Result<Self, RuntimeError> {
        if let Some(error) = document.error() {
            return Err(ReadError::Json(error.clone()).into());
        }
        let root = document.root().expect("what has no error has a value");
        Ok(Self::of(root)?)
    }

    fn of(root: Node<'_>) -> Result<Self, ReadError> {
        object(root)?;
        let config = root.field("config");
        config.map_or(Ok(()), object)?;
        let of_config = |name| config.and_then(|config| config.field(name));
        Ok(Self {
            architecture: text(root.field("architecture"))?,
            os: text(root.field("os"))?,
            os_version: text(root.field("os.version"))?,
            os_features: texts(root.field("os.features"))?,
            variant: text(root.field("variant"))?,
            author: text(root.field("author"))?,
            created: text(root.field("created"))?,
            user: text(of_config("User"))?,
            exposed_ports: keys(of_config("ExposedPorts"))?,
            env: texts(of_config("Env"))?,
            entrypoint: texts(of_config("Entrypoint"))?,
            cmd: texts(of_config("Cmd"))?,
            volumes: keys(of_config("Volumes"))?,
            working_dir: text(of_config("WorkingDir"))?,
            labels: labels(of_config("Labels"))?,
            stop_signal: text(of_config("StopSignal"))?,
        })
    }
}

fn object(node: Node<'_>) -> Result<(), ReadError> {
    match node.kind() {
        Kind::Object => Ok(()),
        _ => Err(ReadError::at(node, "an object is wanted here")),
    }
}

fn text(node: Option<Node<'_>>) -> Result<String, ReadError> {
    match node.map(|node| (node, node.as_str())) {
        None => Ok(String::new()),
        Some((_, Some(text))) => Ok(text.into_owned()),
        Some((node, None)) => Err(ReadError::at(node, "a text is wanted here")),
    }
}

fn texts(node: Option<Node<'_>>) -> Result<Vec<String>, ReadError> {
    let Some(list) = node else {
        return Ok(Vec::new());
    };
    match list.kind() {
        Kind::Array => list.elements().map(|element| text(Some(element))).collect(),
        _ => Err(ReadError::at(list, "a list of texts is wanted here")),
    }
}

fn keys(node: Option<Node<'_>>) -> Result<Vec<String>, ReadError> {
    let Some(map) = node else {
        return Ok(Vec::new());
    };
    object(map)?;
    let mut keys: Vec<String> = map
        .children()
        .filter_map(|member| Some(member.key()?.into_owned()))
        .collect();
    keys.sort();
    keys.dedup();
    Ok(keys)
}

fn labels(node: Option<Node<'_>>) -> Result<BTreeMap<String, String>, ReadError> {
    let Some(map) = node else {
        return Ok(BTreeMap::new());
    };
    object(map)?;
    let label = |member: Node<'_>| Ok((member.key().unwrap_or_default().into_owned(), text(Some(member))?));
    map.children().map(label).collect()
}
