//! Settings ⇄ the configuration's document: read leniently, as anyone wrote them, and written field by field
//! where they differ.

use std::collections::{BTreeMap, BTreeSet};

use super::config::set_texts;
use crate::image::catalog::link::text_of;
use crate::image::config::{Platform, Settings};
use crate::image::json::{Edits, Kind, Node, Value};

impl Settings {
    /// The settings that a configuration holds. Values are taken as they stand; what has another type than it
    /// should is as if it were not there. Without a platform, the image is taken to be for the default one.
    pub fn from_config(root: Node<'_>) -> Self {
        let config = root.field("config");
        let text = |name: &str| filled(config.and_then(|config| text_of(config, name)));
        let list = |name: &str| config.and_then(|config| texts(config.field(name)?));
        let keys = |name: &str| {
            let object = config.and_then(|config| config.field(name));
            let object = object.filter(|node| node.kind() == Kind::Object);
            let members = object
                .iter()
                .flat_map(Node::children)
                .filter_map(|node| node.key());
            members.map(|key| key.into_owned()).collect::<BTreeSet<_>>()
        };
        let labels = config.and_then(|config| config.field("Labels"));
        let labels = labels.iter().flat_map(Node::children).filter_map(|label| {
            let (key, value) = (label.key()?, label.as_str()?);
            Some((key.into_owned(), value.into_owned()))
        });
        let default = Platform::default();
        Self {
            cmd: list("Cmd").filter(|list| !list.is_empty()),
            entrypoint: list("Entrypoint").filter(|list| !list.is_empty()),
            env: list("Env").unwrap_or_default(),
            working_dir: text("WorkingDir"),
            user: text("User"),
            stop_signal: text("StopSignal"),
            author: filled(text_of(root, "author")),
            created: filled(text_of(root, "created")),
            labels: labels.collect(),
            exposed_ports: keys("ExposedPorts"),
            volumes: keys("Volumes"),
            platform: Platform {
                os: filled(text_of(root, "os")).unwrap_or(default.os),
                architecture: filled(text_of(root, "architecture")).unwrap_or(default.architecture),
                variant: filled(text_of(root, "variant")),
            },
        }
    }
}

/// A text, unless it is empty, which means the same as none.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn texts(list: Node<'_>) -> Option<Vec<String>> {
    let is_list = list.kind() == Kind::Array;
    let texts = list.elements().filter_map(|node| node.as_str());
    is_list.then(|| texts.map(|text| text.into_owned()).collect())
}

/// Writes the fields in which the settings differ.
pub(super) fn edit<'a>(edits: &mut Edits<'a>, root: Node<'a>, before: &Settings, after: &Settings) {
    let text = |edits: &mut Edits<'a>, name, before: &Option<String>, after: &Option<String>| {
        if before != after {
            set_text(edits, root, name, after.as_ref());
        }
    };
    text(edits, "created", &before.created, &after.created);
    text(edits, "author", &before.author, &after.author);
    let (old, new) = (&before.platform, &after.platform);
    for (name, old, new) in [
        ("architecture", &old.architecture, &new.architecture),
        ("os", &old.os, &new.os),
    ] {
        if old != new {
            edits.set_member(root, name, new.clone());
        }
    }
    text(edits, "variant", &old.variant, &new.variant);
    match root.field("config").filter(|node| node.kind() == Kind::Object) {
        Some(config) => edit_execution(edits, config, before, after),
        None => {
            let members = execution(after);
            if !members.is_empty() && members != execution(before) {
                edits.set_member(root, "config", Value::object(members));
            }
        }
    }
}

fn set_text<'a>(edits: &mut Edits<'a>, object: Node<'a>, name: &str, text: Option<&String>) {
    match text {
        Some(text) => edits.set_member(object, name, text.clone()),
        None => edits.remove_member(object, name),
    }
}

/// The members of `config`.
fn edit_execution<'a>(edits: &mut Edits<'a>, config: Node<'a>, before: &Settings, after: &Settings) {
    for (name, before, after) in [
        ("User", &before.user, &after.user),
        ("WorkingDir", &before.working_dir, &after.working_dir),
        ("StopSignal", &before.stop_signal, &after.stop_signal),
    ] {
        if before != after {
            set_text(edits, config, name, after.as_ref());
        }
    }
    let (env_before, env_after) = (Some(before.env.clone()), Some(after.env.clone()));
    for (name, before, after) in [
        ("Env", &env_before, &env_after),
        ("Entrypoint", &before.entrypoint, &after.entrypoint),
        ("Cmd", &before.cmd, &after.cmd),
    ] {
        match after {
            _ if before == after => {}
            Some(texts) if !texts.is_empty() => set_texts(edits, config, name, texts.clone()),
            _ => edits.remove_member(config, name),
        }
    }
    for (name, before, after) in [
        ("ExposedPorts", &before.exposed_ports, &after.exposed_ports),
        ("Volumes", &before.volumes, &after.volumes),
    ] {
        edit_map(edits, config, name, &empties(before), &empties(after));
    }
    let values = |labels: &BTreeMap<String, String>| {
        let values = labels
            .iter()
            .map(|(key, text)| (key.clone(), text.clone().into()));
        values.collect()
    };
    edit_map(
        edits,
        config,
        "Labels",
        &values(&before.labels),
        &values(&after.labels),
    );
}

type Members = BTreeMap<String, Value>;

/// A set as the specification keeps it: an object with empty objects as values.
fn empties(keys: &BTreeSet<String>) -> Members {
    let empty = |key: &String| (key.clone(), Value::Object(Vec::new()));
    keys.iter().map(empty).collect()
}

/// Writes the members in which two maps differ.
fn edit_map<'a>(edits: &mut Edits<'a>, config: Node<'a>, name: &str, before: &Members, after: &Members) {
    if before == after {
        return;
    }
    let object = config.field(name).filter(|node| node.kind() == Kind::Object);
    let Some(object) = object.filter(|_| !after.is_empty()) else {
        return match after.is_empty() {
            true => edits.remove_member(config, name),
            false => {
                let members = after.iter().map(|(key, value)| (key.clone(), value.clone()));
                edits.set_member(config, name, Value::Object(members.collect()));
            }
        };
    };
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        edits.remove_member(object, key);
    }
    for (key, value) in after {
        if before.get(key) != Some(value) {
            edits.set_member(object, key, value.clone());
        }
    }
}

/// The members of a `config` that is made anew, in the specification's order.
fn execution(settings: &Settings) -> Vec<(&'static str, Value)> {
    let text = |text: &Option<String>| text.clone().map(Value::String);
    let list = |texts: &[String]| {
        let values = texts.iter().cloned().map(Value::String).collect();
        (!texts.is_empty()).then_some(Value::Array(values))
    };
    let map = |members: Members| {
        let is_empty = members.is_empty();
        (!is_empty).then(|| Value::Object(members.into_iter().collect()))
    };
    let labels = settings
        .labels
        .iter()
        .map(|(key, text)| (key.clone(), text.clone().into()));
    let members = [
        ("User", text(&settings.user)),
        ("ExposedPorts", map(empties(&settings.exposed_ports))),
        ("Env", list(&settings.env)),
        ("Entrypoint", settings.entrypoint.as_deref().and_then(list)),
        ("Cmd", settings.cmd.as_deref().and_then(list)),
        ("Volumes", map(empties(&settings.volumes))),
        ("WorkingDir", text(&settings.working_dir)),
        ("Labels", map(labels.collect())),
        ("StopSignal", text(&settings.stop_signal)),
    ];
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
