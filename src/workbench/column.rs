//! One path through the whole stack: what each layer has there, and what it did. The shapes are mirrored in
//! `www/src/core/protocol.ts`, which documents them.

use serde::Serialize;

use crate::overlay::{Change, Chapter, Deed, Hiding, SpotEntry, weigh};
use crate::tree::TreePath;

use super::error::WorkbenchError;
use super::operation::LayerId;
use super::rows::{Cell, cell, stack_of};
use super::state::ImageState;
use super::view::{EntryView, entry_view};

/// A person looks at one path: so many bytes of a file are read to say what changed.
const COMPARE_LIMIT: u64 = 16 << 20;

/// A path through the whole stack.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct Column {
    pub path: String,
    pub visible: Option<LayerId>,
    pub layers: Vec<ColumnLayer>,
}

/// One layer of a column.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct ColumnLayer {
    pub layer: LayerId,
    pub cell: Option<Cell>,
    pub entry: Option<EntryView>,
    pub deed: Option<DeedView>,
}

/// What a layer did to a path.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct DeedView {
    pub does: &'static str,
    pub changed: Vec<Change>,
    pub merges: bool,
    pub at: Option<String>,
    pub how: Option<Hiding>,
    pub hidden_by: Option<LayerId>,
    pub bytes: u64,
    pub files: u64,
}

/// What is at a path in every layer of an image.
pub(super) fn column(image: &ImageState, path: &str) -> Result<Column, WorkbenchError> {
    let path = TreePath::parse(path)?;
    let stack = stack_of(image);
    let spot = stack.spot(&path);
    let mut story = stack.story(&path, COMPARE_LIMIT).into_iter().peekable();
    let layers = image.layers.iter().enumerate().map(|(position, layer)| {
        let entry = match spot.cells[position].map(|cell| cell.entry) {
            Some(SpotEntry::Inode(ino)) => Some(entry_view(layer, ino, &path)),
            _ => None,
        };
        let cell = cell(image, &stack, &spot, position, COMPARE_LIMIT)?;
        let chapter = story.next_if(|chapter| chapter.position == position);
        Ok(ColumnLayer {
            layer: layer.id,
            cell,
            entry,
            deed: chapter.map(|chapter| deed_view(image, chapter)),
        })
    });
    Ok(Column {
        path: path.to_string(),
        visible: spot.visible().map(|(position, _)| image.layers[position].id),
        layers: layers.collect::<Result<_, WorkbenchError>>()?,
    })
}

fn deed_view(image: &ImageState, chapter: Chapter) -> DeedView {
    let tree = image.layers[chapter.position].layer.tree();
    let (bytes, files) = chapter.entry.map_or((0, 0), |ino| weigh(tree, ino));
    let mut view = DeedView {
        does: "makes",
        changed: Vec::new(),
        merges: false,
        at: None,
        how: None,
        hidden_by: chapter.hidden_by.map(|position| image.layers[position].id),
        bytes,
        files,
    };
    match chapter.deed {
        Deed::Makes => {}
        Deed::Changes { changes, merges, .. } => {
            (view.does, view.changed, view.merges) = ("changes", changes, merges);
        }
        Deed::Passes => view.does = "passes",
        Deed::Deletes => view.does = "deletes",
        Deed::DeletesNothing => view.does = "deletes_nothing",
        Deed::Hides { at, how } => {
            (view.does, view.at, view.how) = ("hides", Some(at.to_string()), Some(how));
        }
    }
    view
}

#[cfg(test)]
mod tests {
    use super::super::tests::{make, operation, session};
    use super::super::{Action, Answer, NewEntry, Query, Workbench};

    /// What the layers do to a path, bottom first, and what of them is hidden by which.
    fn told(workbench: &mut Workbench, path: &str) -> String {
        let path = path.to_owned();
        let Answer::Column(column) = workbench.query(&Query::Column { image: 1, path }).unwrap() else {
            panic!("a column was asked for")
        };
        let layers = column.layers.iter().map(|layer| {
            let Some(deed) = &layer.deed else {
                return "-".to_owned();
            };
            let at = deed.at.as_deref().unwrap_or_default();
            let hidden = deed.hidden_by.map(|by| format!(" hidden by {by}"));
            let weight = (deed.files > 0).then(|| format!(" {} in {}", deed.bytes, deed.files));
            let rest = hidden.unwrap_or_default() + &weight.unwrap_or_default();
            format!("{}{}{at}{rest}", deed.does, if at.is_empty() { "" } else { " " })
        });
        layers.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_column_tells_what_each_layer_did() {
        let mut workbench = session();
        for action in [
            Action::AddLayer {
                image: 1,
                layer: 3,
                name: "opaque".into(),
                position: None,
            },
            Action::SetOpaque {
                layer: 3,
                path: "/bin".into(),
                opaque: true,
                parents: true,
            },
            make(3, "/data", NewEntry::Fifo),
            Action::Whiteout {
                layer: 3,
                path: "/nothing".into(),
                parents: false,
            },
        ] {
            workbench.apply(operation(action)).unwrap();
        }
        let show = crate::workbench::sample_program("amd64").unwrap().len();
        for (path, expected) in [
            (
                "/hello.txt",
                "makes hidden by 2 16 in 1; changes 17 in 1; -".to_owned(),
            ),
            (
                "/data/config.txt",
                "makes hidden by 2 12 in 1; deletes; -".to_owned(),
            ),
            (
                "/data",
                "makes hidden by 3 12 in 1; changes hidden by 3; changes".to_owned(),
            ),
            (
                "/bin/show",
                format!("makes hidden by 3 {show} in 1; -; hides /bin"),
            ),
            ("/nothing", "-; -; deletes_nothing".to_owned()),
            ("/nowhere", "-; -; -".to_owned()),
        ] {
            assert_eq!(told(&mut workbench, path), expected, "{path}");
        }
    }
}
