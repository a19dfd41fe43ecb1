//! Containers: a writable mount on the layers of an image, as they were when it was started. Every step of its
//! history keeps the whole mount, which costs what the step changed.

use std::sync::Arc;

use crate::layer::{Compression, Layer};
use crate::overlay::Stack;
use crate::overlay::mount::{
    Attributes, Call, Caller, Committed, Errno, Event, Lower, Options, Overlay, Upper,
};
use crate::overlay::script::Script;
use crate::runtime::ProcMounts;
use crate::shell::{MountInfo, Ran, Shell, Traced};
use crate::text::unescape;
use crate::tree::{Ino, Metadata, Tree, TreePath, Xattrs};

use super::apply::{Applier, Result, layer_name};
use super::error::WorkbenchError;
use super::lean::whole;
use super::machine::{OnMachine, steps_key};
use super::operation::{ImageId, LayerId};
use super::state::LayerState;

/// The most steps of one container.
const STEPS: usize = 10_000;
/// System calls of one line, and of how many of them a record is kept.
pub(super) const CALLS: u64 = 200_000;
pub(super) const RECORDED: usize = 1_000;

/// A container.
#[derive(Clone, Debug)]
pub struct ContainerState {
    /// Which; images and containers have their ids from one place.
    pub id: ImageId,
    /// The image that it was started from.
    pub image: ImageId,
    /// The id of its writable sheet among the layers.
    pub layer: LayerId,
    /// The layers as they were when it was started, bottom first.
    pub layers: Vec<Arc<LayerState>>,
    /// How it is mounted.
    pub options: Options,
    /// The mount before the first step.
    pub start: Overlay,
    /// What was done in it.
    pub steps: Vec<Arc<ContainerStep>>,
    /// The shell after the last step.
    pub shell: Shell,
    /// If it is one of the machine's: which.
    pub on_machine: Option<OnMachine>,
}

/// Something that was done in a container.
#[derive(Clone, Debug)]
pub struct ContainerStep {
    /// The line of the shell, or the call.
    pub input: String,
    /// What came of it.
    pub done: Done,
    /// The mount afterwards.
    pub after: Overlay,
}

/// What came of a step.
#[derive(Clone, Debug)]
pub enum Done {
    /// A line of the shell, with the events of each call that is recorded.
    Line(Ran, Vec<Vec<Event>>),
    /// A single call.
    Call(Call, std::result::Result<(), Errno>, Vec<Event>),
}

impl ContainerState {
    /// Whether it is a container of the machine, with this id in this namespace.
    pub(super) fn is_on_machine(&self, namespace: &str, id: &str) -> bool {
        let on = self.on_machine.as_ref();
        on.is_some_and(|on| on.namespace == namespace && on.id == id)
    }

    /// The mount after so many steps; all of them if there are fewer.
    pub fn at(&self, step: usize) -> &Overlay {
        match step.min(self.steps.len()).checked_sub(1) {
            None => &self.start,
            Some(last) => &self.steps[last].after,
        }
    }

    /// The mount as it is now.
    pub fn now(&self) -> &Overlay {
        self.at(self.steps.len())
    }

    /// Its writable sheet after so many steps, as a layer.
    pub fn sheet(&self, step: usize) -> Committed {
        let overlay = self.at(step);
        overlay.commit(0).expect("a container has an upperdir")
    }
}

/// A layer's tree as a runtime unpacks it on those below: a directory without an entry of its own has the
/// attributes that show below.
fn unpacked(trees: &[&Tree], position: usize) -> Tree {
    let mut tree = trees[position].clone();
    let below = Stack::new(trees[..position].to_vec());
    let mut pending = vec![(TreePath::ROOT, Ino::ROOT)];
    while let Some((path, ino)) = pending.pop() {
        let Some(directory) = trees[position].directory(ino) else {
            continue;
        };
        if directory.implied() {
            let shown = below.lookup(&path).map(|inode| inode.metadata.clone());
            let metadata = shown.unwrap_or_else(|| Metadata::new(0o755, 0, 0, Default::default()));
            tree.set_metadata_of(ino, |own| *own = metadata);
        }
        let children = directory.entries().iter();
        let directories = children.filter(|(_, child)| trees[position].directory(**child).is_some());
        pending.extend(directories.map(|(name, child)| (path.join(name.clone()), *child)));
    }
    tree
}

fn has_implied(tree: &Tree) -> bool {
    let mut pending = vec![Ino::ROOT];
    while let Some(ino) = pending.pop() {
        if let Some(directory) = tree.directory(ino) {
            if directory.implied() {
                return true;
            }
            pending.extend(directory.entries().values());
        }
    }
    false
}

impl Applier<'_> {
    pub(super) fn start_container(
        &mut self,
        container: ImageId,
        image: ImageId,
        layer: LayerId,
        options: &str,
    ) -> Result<()> {
        whole()?;
        if self.state.has_image(container) {
            return Err(WorkbenchError::ImageTaken { image: container });
        }
        if self.state.has_layer(layer) {
            return Err(WorkbenchError::LayerTaken { layer });
        }
        if let Some(top) = self.state.image(image)?.layers.last() {
            self.ensure_read(top.id)?;
        }
        let layers = self.state.image(image)?.layers.clone();
        let options = Options::parse(options)?;
        let trees: Vec<&Tree> = layers.iter().map(|layer| layer.layer.tree()).collect();
        let lower = |position: usize| match has_implied(trees[position]) {
            true => unpacked(&trees, position),
            false => trees[position].clone(),
        };
        let lowers = (0..trees.len()).map(|position| Lower::new(lower(position)));
        // As containerd makes it: a new directory with the owner of the layer's below.
        let owner = trees.last().map(|tree| &tree.inode(Ino::ROOT).metadata);
        let root = Attributes {
            mode: 0o755,
            uid: owner.map_or(0, |metadata| metadata.uid),
            gid: owner.map_or(0, |metadata| metadata.gid),
            atime: self.time,
            mtime: self.time,
            ctime: self.time,
            xattrs: Xattrs::default(),
        };
        let start = Overlay::mount(lowers.collect(), Some(Upper::new(root)), options, self.time)?;
        let mut shell = Shell::new(mount_info(layers.len(), options));
        (shell.limits.calls, shell.limits.recorded) = (CALLS, RECORDED);
        let state = ContainerState {
            id: container,
            image,
            layer,
            layers,
            options,
            start,
            steps: Vec::new(),
            shell,
            on_machine: None,
        };
        self.state.containers.push(Arc::new(state));
        Ok(())
    }

    fn system_caller(&self) -> Caller {
        Caller {
            uid: self.caller.uid,
            gid: self.caller.gid,
            umask: self.caller.umask,
            now: self.time,
        }
    }

    /// Runs a line of the shell in a container. Whatever it does, it was done: errors are its output.
    pub(super) fn run_line(&mut self, container: ImageId, line: &str) -> Result<()> {
        whole()?;
        let caller = self.system_caller();
        let bytes = unescape(line)?;
        let on = self.state.container(container)?.on_machine.as_ref();
        let steps = on.and_then(|on| {
            let machine = self.state.machine()?;
            machine.steps.get(&steps_key(&on.namespace, &on.id))
        });
        let proc = steps.and_then(|steps| ProcMounts::new(steps, self.time));
        self.step(container, line, |state, overlay| {
            let traced = Traced::new(overlay, state.shell.limits.recorded);
            let mut traced = traced.with_proc(proc.as_ref());
            let ran = state.shell.run(&mut traced, caller, &bytes);
            Done::Line(ran, traced.events)
        })
    }

    /// Makes one call in a container.
    pub(super) fn call_in(&mut self, container: ImageId, call: &str) -> Result<()> {
        whole()?;
        let caller = self.system_caller();
        let parsed = Script::parse_call(call).map_err(|reason| WorkbenchError::Call { reason })?;
        self.step(container, call, |_, overlay| {
            let outcome = overlay.call(caller, &parsed);
            Done::Call(parsed, outcome.result.map(|_| ()), outcome.events)
        })
    }

    fn step(
        &mut self,
        container: ImageId,
        input: &str,
        work: impl FnOnce(&mut ContainerState, &mut Overlay) -> Done,
    ) -> Result<()> {
        let state = self.state.container_mut(container)?;
        if state.steps.len() == STEPS {
            return Err(WorkbenchError::TooManySteps { limit: STEPS });
        }
        let mut after = state.now().clone();
        let done = work(state, &mut after);
        state.steps.push(Arc::new(ContainerStep {
            input: input.to_owned(),
            done,
            after,
        }));
        self.keep_written(container)
    }

    pub(super) fn discard_container(&mut self, container: ImageId) -> Result<()> {
        whole()?;
        let on = self.state.container(container)?.on_machine.clone();
        if let Some(on) = on {
            return self.remove_container_of_machine(&on.id);
        }
        self.state.containers.retain(|state| state.id != container);
        Ok(())
    }

    /// Makes what was written in a container the top layer of its image.
    pub(super) fn commit_container(&mut self, container: ImageId, layer: LayerId, name: &str) -> Result<()> {
        whole()?;
        let state = self.state.container(container)?.clone();
        let committed = state
            .now()
            .commit(self.time.seconds)
            .expect("a container has an upperdir");
        let layer = LayerState {
            id: layer,
            name: layer_name(name)?,
            layer: Layer::from_tree(committed.tree),
            compression: Compression::default(),
            created_by: Some("handroll commit".to_owned()),
            comment: None,
            came: None,
            absorbed: Vec::new(),
        };
        self.insert_layer(state.image, layer, None)
    }
}

fn mount_info(layers: usize, options: Options) -> MountInfo {
    use crate::overlay::mount::{Engine, shown_options};
    MountInfo {
        options: shown_options(&Engine::Containerd.directories(layers), options),
        ..MountInfo::default()
    }
}
