//! A configuration with other DiffIDs, another history or other settings, all else as it stands: fields that
//! handroll does not know are Docker's, or someone else's, and mean something to them.

use std::collections::{BTreeMap, VecDeque};

use super::settings;
use crate::digest::Digest;
use crate::image::config::Settings;
use crate::image::json::{self, EditError, Edits, Item, Node, Value};

/// Changes to a configuration. What is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct ConfigEdits<'a> {
    /// The DiffIDs of all layers, bottom first.
    pub diff_ids: Option<Vec<Digest>>,
    /// The history, the oldest first.
    pub history: Option<Vec<HistorySlot>>,
    /// The settings as they were read, and as they are to be: the fields that differ are written.
    pub settings: Option<(&'a Settings, &'a Settings)>,
}

/// An entry of an edited history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistorySlot {
    /// The entry that had this number, as it stands there.
    Keep(usize),
    /// The same, but it made no layer: the layer is gone.
    Emptied(usize),
    /// A new one.
    New(NewHistory),
}

/// A new entry of a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewHistory {
    /// When.
    pub created: Option<String>,
    /// By what.
    pub created_by: Option<String>,
    /// A remark.
    pub comment: Option<String>,
    /// Whether it made no layer.
    pub empty_layer: bool,
}

/// The configuration with these changes.
pub fn edit_config(config: &json::Document, changes: &ConfigEdits<'_>) -> Result<Vec<u8>, EditError> {
    let mut edits = Edits::new(config)?;
    let root = config.root().ok_or_else(|| EditError::NotThere {
        pointer: String::new(),
    })?;
    if let Some((before, after)) = changes.settings {
        settings::edit(&mut edits, root, before, after);
    }
    if let Some(diff_ids) = &changes.diff_ids {
        edit_diff_ids(&mut edits, root, diff_ids);
    }
    if let Some(history) = &changes.history {
        edit_history(&mut edits, root, history)?;
    }
    Ok(edits.finish())
}

fn edit_diff_ids<'a>(edits: &mut Edits<'a>, root: Node<'a>, diff_ids: &[Digest]) {
    let texts = diff_ids.iter().map(Digest::to_string).collect();
    let Some(rootfs) = root.field("rootfs") else {
        let diff_ids = Value::Array(diff_ids.iter().map(|id| id.to_string().into()).collect());
        let rootfs = Value::object([("type", "layers".into()), ("diff_ids", diff_ids)]);
        return edits.set_member(root, "rootfs", rootfs);
    };
    set_texts(edits, rootfs, "diff_ids", texts);
}

/// Makes an object's member a list of these texts. Those that stand there already stay as they stand.
pub(super) fn set_texts<'a>(edits: &mut Edits<'a>, object: Node<'a>, name: &str, texts: Vec<String>) {
    let Some(list) = object.field(name).filter(|node| node.kind() == json::Kind::Array) else {
        let values = texts.into_iter().map(Value::String).collect();
        return edits.set_member(object, name, Value::Array(values));
    };
    let mut old: BTreeMap<String, VecDeque<Node<'a>>> = BTreeMap::new();
    for (node, text) in list.elements().filter_map(|node| Some((node, node.as_str()?))) {
        old.entry(text.into_owned()).or_default().push_back(node);
    }
    let items = texts
        .into_iter()
        .map(|text| match old.get_mut(&text).and_then(VecDeque::pop_front) {
            Some(node) => Item::Keep(node),
            None => Item::New(Value::String(text)),
        });
    let items: Vec<_> = items.collect();
    edits.set_elements(list, items);
}

fn edit_history<'a>(edits: &mut Edits<'a>, root: Node<'a>, history: &[HistorySlot]) -> Result<(), EditError> {
    let list = root
        .field("history")
        .filter(|node| node.kind() == json::Kind::Array);
    let old: Vec<_> = list.iter().flat_map(Node::elements).collect();
    let entry = |number: usize| {
        old.get(number).copied().ok_or_else(|| EditError::NotThere {
            pointer: format!("/history/{number}"),
        })
    };
    let mut items = Vec::new();
    for slot in history {
        items.push(match slot {
            HistorySlot::Keep(number) => Item::Keep(entry(*number)?),
            HistorySlot::Emptied(number) => {
                let entry = entry(*number)?;
                edits.set_member(entry, "empty_layer", Value::Bool(true));
                Item::Keep(entry)
            }
            HistorySlot::New(new) => Item::New(new.value()),
        });
    }
    match list {
        Some(list) => edits.set_elements(list, items),
        None if items.is_empty() => {}
        None => {
            let values = items.into_iter().map(|item| match item {
                Item::Keep(node) => node.into(),
                Item::New(value) => value,
            });
            edits.set_member(root, "history", Value::Array(values.collect()));
        }
    }
    Ok(())
}

impl NewHistory {
    fn value(&self) -> Value {
        let texts = [
            ("created", &self.created),
            ("created_by", &self.created_by),
            ("comment", &self.comment),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| {
            let text = text.clone()?;
            Some((name, Value::String(text)))
        });
        let empty = self.empty_layer.then_some(("empty_layer", Value::Bool(true)));
        Value::object(texts.chain(empty))
    }
}
