//! Containers: what is to be run, with what snapshot; and their tasks, what runs of them.

use super::event::{Changes, Event, Kind, Rule};
use super::{Client, Labels, Result, SNAPSHOTTER, StoreError, check_identifier, check_labels, set_labels};
use crate::content::Content;
use crate::tree::Time;

/// The runtime of containers, if nothing else is said.
pub const RUNTIME: &str = "io.containerd.runc.v2";

/// A container.
#[derive(Clone, Debug)]
pub struct Container {
    /// The name of its image; empty if it has none.
    pub image: String,
    /// Who runs it.
    pub runtime: String,
    /// The snapshotter of its snapshot.
    pub snapshotter: String,
    /// The key of its snapshot.
    pub snapshot: String,
    /// What people note on it.
    pub labels: Labels,
    /// Its configuration for the runtime, `config.json`.
    pub spec: Content,
    /// When it was made.
    pub created: Time,
    /// When it was last changed.
    pub updated: Time,
    /// What runs of it. containerd does not keep this in its database: the shim knows.
    pub task: Option<Task>,
}

/// What runs of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its first process.
    pub pid: u32,
    /// With what it ended, if it has.
    pub exit: Option<u32>,
}

impl Task {
    /// As `ctr tasks ls` prints it.
    pub fn status(&self) -> &'static str {
        match self.exit {
            None => "RUNNING",
            Some(_) => "STOPPED",
        }
    }
}

impl Client<'_> {
    /// A container.
    pub fn container(&self, id: &str) -> Result<Container> {
        let found = self
            .here()
            .containers
            .get(id)
            .map(|found| Container::clone(found));
        found.ok_or_else(|| self.no_container(id))
    }

    fn no_container(&self, id: &str) -> StoreError {
        StoreError::NoContainer {
            id: id.to_owned(),
            namespace: self.namespace.clone(),
        }
    }

    /// Makes a container. Its snapshot, if `snapshot` names one, must be there.
    pub fn create_container(
        &mut self,
        id: &str,
        image: &str,
        snapshot: &str,
        labels: Labels,
        spec: Content,
    ) -> Result<()> {
        check_identifier("create container failed validation: container.ID: ", id)?;
        check_labels(&labels)?;
        if self.here().containers.has(id) {
            return Err(StoreError::ContainerTaken { id: id.to_owned() });
        }
        if !snapshot.is_empty() {
            self.snapshot(snapshot)?;
        }
        let now = self.now;
        let container = Container {
            image: image.to_owned(),
            runtime: RUNTIME.to_owned(),
            snapshotter: SNAPSHOTTER.to_owned(),
            snapshot: snapshot.to_owned(),
            labels,
            spec,
            created: now,
            updated: now,
            task: None,
        };
        self.here_mut().containers.put(id, container);
        let event = Event::new(Rule::ContainerCreated, Kind::Container, id);
        self.tell(event.text(image).other(snapshot));
        Ok(())
    }

    /// Removes a container whose task has been deleted, and its snapshot with it.
    pub fn remove_container(&mut self, id: &str) -> Result<()> {
        let container = self.container(id)?;
        if container.task.is_some_and(|task| task.exit.is_none()) {
            return Err(StoreError::TaskRunning { id: id.to_owned() });
        }
        if self.here().snapshots.has(&container.snapshot) {
            self.remove_snapshot(&container.snapshot)?;
        }
        self.here_mut().containers.remove(id);
        self.store.is_dirty = true;
        let event = Event::new(Rule::ContainerRemoved, Kind::Container, id);
        self.tell(event.text(container.snapshot));
        Ok(())
    }

    /// Sets labels of a container; an empty value takes one off.
    pub fn label_container(&mut self, id: &str, set: &[(String, String)]) -> Result<()> {
        let now = self.now;
        let mut labels = self.container(id)?.labels;
        set_labels(&mut labels, set)?;
        let container = self.container_mut(id)?;
        container.labels = labels;
        container.updated = now;
        for (label, value) in set {
            let rule = match value.is_empty() {
                true => Rule::LabelRemoved,
                false => Rule::LabelSet,
            };
            self.tell(Event::new(rule, Kind::Container, id).text(label).other(value));
        }
        Ok(())
    }

    fn container_mut(&mut self, id: &str) -> Result<&mut Container> {
        self.container(id)?;
        let found = self.here_mut().containers.get_mut(id);
        Ok(found.expect("it was there a moment ago"))
    }

    /// Notes that a container's first process runs.
    pub fn start_task(&mut self, id: &str, pid: u32) -> Result<()> {
        let container = self.container_mut(id)?;
        if container.task.is_some() {
            return Err(StoreError::TaskTaken { id: id.to_owned() });
        }
        container.task = Some(Task { pid, exit: None });
        let event = Event::new(Rule::TaskStarted, Kind::Container, id);
        self.tell(event.count(u64::from(pid)));
        Ok(())
    }

    /// Notes what a system call of a container's process did to its snapshot's directory.
    pub fn task_wrote(&mut self, id: &str, call: &str, what: &str, disk: Changes) {
        let event = Event::new(Rule::TaskWrote, Kind::Container, id);
        self.tell(event.text(call).other(what).disk(disk));
    }

    /// Notes that it has ended.
    pub fn end_task(&mut self, id: &str, exit: u32) -> Result<()> {
        let container = self.container_mut(id)?;
        let task = container.task.as_mut();
        let task = task.ok_or_else(|| StoreError::NoTask { id: id.to_owned() })?;
        task.exit = Some(exit);
        let event = Event::new(Rule::TaskExited, Kind::Container, id);
        self.tell(event.count(u64::from(exit)));
        Ok(())
    }

    /// Forgets a task that has ended; with what it did.
    pub fn delete_task(&mut self, id: &str) -> Result<u32> {
        let task = self.container(id)?.task;
        match task {
            None => Err(StoreError::NoTask { id: id.to_owned() }),
            Some(Task { exit: None, .. }) => Err(StoreError::TaskRunning { id: id.to_owned() }),
            Some(Task { exit: Some(exit), .. }) => {
                self.container_mut(id)?.task = None;
                self.tell(Event::new(Rule::TaskDeleted, Kind::Container, id));
                Ok(exit)
            }
        }
    }
}
