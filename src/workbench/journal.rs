//! The journal: what was done, in order, and the value before each, so that undo costs nothing.

use super::apply::short;
use super::operation::{Action, NewEntry, Operation};
use super::state::State;

/// What was done and can be taken back, and what was taken back and can be done again.
#[derive(Default)]
pub(super) struct Journal {
    entries: Vec<Entry>,
    done: usize,
}

struct Entry {
    operation: Operation,
    /// The state on the other side: before the operation while it is done, after it while it is taken back.
    other: State,
}

impl Journal {
    /// Notes what was done to the state `before`. What was taken back is forgotten.
    pub(super) fn push(&mut self, operation: Operation, before: State) {
        self.entries.truncate(self.done);
        self.entries.push(Entry {
            operation,
            other: before,
        });
        self.done += 1;
    }

    pub(super) fn undo(&mut self, state: &mut State) -> bool {
        let Some(before) = self.done.checked_sub(1) else {
            return false;
        };
        self.done = before;
        std::mem::swap(&mut self.entries[before].other, state);
        true
    }

    pub(super) fn redo(&mut self, state: &mut State) -> bool {
        let Some(entry) = self.entries.get_mut(self.done) else {
            return false;
        };
        self.done += 1;
        std::mem::swap(&mut entry.other, state);
        true
    }

    /// What would be taken back.
    pub(super) fn undo_label(&self) -> Option<String> {
        self.done
            .checked_sub(1)
            .map(|last| label(&self.entries[last].operation.action))
    }

    /// What would be done again.
    pub(super) fn redo_label(&self) -> Option<String> {
        self.entries
            .get(self.done)
            .map(|entry| label(&entry.operation.action))
    }

    /// All labels, and how many of them are done.
    pub(super) fn labels(&self) -> (Vec<String>, usize) {
        (
            self.entries
                .iter()
                .map(|entry| label(&entry.operation.action))
                .collect(),
            self.done,
        )
    }

    /// The operations that are done.
    pub(super) fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.entries[..self.done].iter().map(|entry| &entry.operation)
    }
}

/// A few words for an action.
fn label(action: &Action) -> String {
    match action {
        Action::CreateImage { name, .. } => format!("new image {name}"),
        Action::SetName { name, .. } => format!("name {name}"),
        Action::SetConfig { set, .. } => format!("set {}", set.name()),
        Action::AddLayer { name, .. } => format!("new layer {name}"),
        Action::AddLayerTar { name, .. } => format!("layer {name} from a tar"),
        Action::DuplicateLayer { name, .. } => format!("duplicate as {name}"),
        Action::RemoveLayer { .. } => "remove layer".to_owned(),
        Action::RenameLayer { name, .. } => format!("rename layer to {name}"),
        Action::OpenArchive { name, .. } => format!("open {name}"),
        Action::CloseArchive { .. } => "close archive".to_owned(),
        Action::RemoveImage { .. } => "remove image".to_owned(),
        Action::RemovePath { path, .. } => format!("remove {} from every layer", short(path)),
        Action::SquashLayers { .. } => "squash layers".to_owned(),
        Action::SplitLayer { name, .. } => format!("split off layer {name}"),
        Action::StripTimes { .. } => "strip times".to_owned(),
        Action::Normalise { .. } => "write layer canonically".to_owned(),
        Action::MoveLayer { .. } => "move layer".to_owned(),
        Action::SetCompression { .. } => "set compression".to_owned(),
        Action::SetHistory { .. } => "set history".to_owned(),
        Action::Make { path, entry, .. } => match entry {
            NewEntry::Directory => format!("new directory {}", short(path)),
            NewEntry::HardLink { .. } => format!("hard link {}", short(path)),
            NewEntry::Symlink { .. } => format!("symlink {}", short(path)),
            _ => format!("new {}", short(path)),
        },
        Action::Write { path, .. } => format!("edit {}", short(path)),
        Action::SetTarget { path, .. } => format!("retarget {}", short(path)),
        Action::Delete { path, .. } => format!("delete {}", short(path)),
        Action::Move { from, to } if from.layer == to.layer => {
            format!("rename {} to {}", short(&from.path), short(&to.path))
        }
        Action::Move { from, .. } => format!("move {}", short(&from.path)),
        Action::Copy { from, .. } => format!("copy {}", short(&from.path)),
        Action::SetAttributes { path, .. } => format!("attributes of {}", short(path)),
        Action::SetXattr { path, .. } => format!("xattrs of {}", short(path)),
        Action::Whiteout { path, .. } => format!("white out {}", short(path)),
        Action::ClearWhiteout { path, .. } => format!("clear whiteout of {}", short(path)),
        Action::SetOpaque {
            path, opaque: true, ..
        } => format!("make {} opaque", short(path)),
        Action::SetOpaque { path, .. } => format!("make {} not opaque", short(path)),
        Action::StartContainer { .. } => "start a container".to_owned(),
        Action::RunLine { line, .. } => format!("$ {line}"),
        Action::CallIn { call, .. } => call.clone(),
        Action::ImportImage { .. } => "import to the machine".to_owned(),
        Action::RunOnMachine { line, .. } => format!("# {line}"),
        Action::RemoveImageOfMachine { name } => format!("ctr images rm {name}"),
        Action::CollectGarbage => "collect garbage".to_owned(),
        Action::RemoveContainerOfMachine { id } => format!("ctr containers rm {id}"),
        Action::DiscardContainer { .. } => "throw a container away".to_owned(),
        Action::CommitContainer { name, .. } => format!("commit as layer {name}"),
        Action::AddDifference { name, .. } => format!("the difference as layer {name}"),
        Action::Group { label, .. } => label.clone(),
    }
}
