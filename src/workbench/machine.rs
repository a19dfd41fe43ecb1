//! The machine: a containerd to which images are imported and on which containers are run, with all that happened on it.
//! Each event keeps the whole store as it was then, which costs what the event changed.

use std::sync::Arc;

use crate::content::Content;
use crate::digest::Digest;
use crate::overlay::mount::Directories;
use crate::runtime::{Spec, Step};
use crate::store::{
    ArchiveFile, Client, DEFAULT_NAMESPACE, Import, MemoryDisk, Moment, Platforms, Store, Table, snapshots_of,
};
use crate::text::escape;
use crate::tree::Time;

use super::apply::{Applier, Result};
use super::error::WorkbenchError;
use super::lean::whole;
use super::machine_prompt::PromptState;
use super::operation::{ImageId, LayerId};
use super::state::LayerState;

/// The machine, and all that happened on it.
#[derive(Clone, Debug)]
pub struct MachineState {
    /// containerd's database.
    pub store: Store,
    /// Its disk.
    pub disk: MemoryDisk,
    /// What was done, in order.
    pub groups: Vec<Arc<Group>>,
    /// The layers of the session that were imported, by ChainID, as they were then: the first is the one that was
    /// unpacked.
    pub layers: Table<Vec<Arc<LayerState>>>,
    /// The images of the session that were imported, by the ChainID of all their layers.
    pub images: Table<ImageId>,
    /// By the namespaces and ids of containers, the steps by which runc started them.
    pub steps: Table<Vec<Step>>,
    /// By the same, their configurations.
    pub specs: Table<Spec>,
    /// The time of what was done last.
    pub now: Time,
    /// The namespace in which that was done.
    pub namespace: String,
    /// What was typed on it.
    pub prompt: PromptState,
}

/// What one operation did on the machine.
#[derive(Clone, Debug)]
pub struct Group {
    /// The command that does it.
    pub title: String,
    /// The namespace that it works in.
    pub namespace: String,
    /// How many events there were before it.
    pub first: usize,
    /// What happened.
    pub moments: Vec<Moment>,
    /// Why it was not done to its end. What had been done by then stays.
    pub error: Option<String>,
}

/// That a container of the session is one of the machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnMachine {
    /// The namespace of containerd that it is in.
    pub namespace: String,
    /// Its id there.
    pub id: String,
    /// The number of its snapshot's directory.
    pub number: u64,
    /// Those of the snapshots below, the nearest first.
    pub parents: Vec<u64>,
}

/// An image of the session as an archive that can be imported.
pub(super) struct Importable {
    /// What the archive is called.
    pub title: String,
    /// Its files, in order.
    pub files: Vec<ArchiveFile>,
    /// Blobs that were made here: their digests, and what they are without packing.
    pub known: Vec<(Digest, Content, Content)>,
    /// The images that are in it, each with its layers by their ChainIDs.
    pub images: Vec<(ImageId, Chain)>,
}

/// Layers by their ChainIDs, bottom first.
pub(super) type Chain = Vec<(Digest, Arc<LayerState>)>;

impl MachineState {
    pub(super) fn new(disk: MemoryDisk) -> Self {
        Self {
            store: Store::default(),
            disk,
            groups: Vec::new(),
            layers: Table::default(),
            images: Table::default(),
            steps: Table::default(),
            specs: Table::default(),
            now: Time::default(),
            namespace: DEFAULT_NAMESPACE.to_owned(),
            prompt: PromptState::default(),
        }
    }

    /// Keeps what is known of an archive that is about to be imported.
    pub(super) fn take_in(&mut self, archive: &Importable) {
        for (digest, content, unpacked) in &archive.known {
            self.disk.know(*digest, content.clone(), unpacked.clone());
        }
        for (image, layers) in &archive.images {
            for (chain, layer) in layers {
                let key = chain.to_string();
                match self.layers.get_mut(&key) {
                    Some(same) => same.push(layer.clone()),
                    None => self.layers.put(&key, vec![layer.clone()]),
                }
            }
            let top = layers.last().map(|(chain, _)| chain.to_string());
            self.images.put(&top.unwrap_or_default(), *image);
        }
    }

    /// Notes what an operation did, if it did something.
    pub(super) fn add_group(
        &mut self,
        title: String,
        moments: Vec<Moment>,
        error: Option<String>,
        now: Time,
        namespace: &str,
    ) {
        if moments.is_empty() {
            return;
        }
        let first = self.events();
        self.namespace = namespace.to_owned();
        self.groups.push(Arc::new(Group {
            title,
            namespace: namespace.to_owned(),
            first,
            moments,
            error,
        }));
        self.now = now;
    }

    /// Whether it has a container.
    pub(super) fn has_container(&self, namespace: &str, id: &str) -> bool {
        let found = self.store.namespace(namespace);
        found.is_some_and(|found| found.containers.has(id))
    }

    /// `ctr`, as it is called for the namespace that was worked in last.
    fn ctr(&self) -> String {
        match &self.namespace[..] {
            DEFAULT_NAMESPACE => "ctr".to_owned(),
            namespace => format!("ctr -n {namespace}"),
        }
    }

    /// How many events there were.
    pub fn events(&self) -> usize {
        let last = self.groups.last();
        last.map_or(0, |group| group.first + group.moments.len())
    }

    /// An event by its number, from 1 on, with the group that it is in.
    pub fn moment(&self, number: usize) -> Option<(&Group, &Moment)> {
        let index = number.checked_sub(1)?;
        let after = self.groups.partition_point(|group| group.first <= index);
        let group = self.groups.get(after.checked_sub(1)?)?;
        Some((group, group.moments.get(index - group.first)?))
    }

    /// What there was after so many events.
    pub fn at(&self, events: usize) -> Store {
        let found = self.moment(events);
        found.map_or_else(Store::default, |(_, moment)| moment.after.clone())
    }
}

/// The directories of a mount, as paths of the machine.
pub(super) fn directories(on: &OnMachine) -> Directories {
    let snapshots = snapshots_of("/var/lib/containerd");
    let of = |number: u64, name: &str| format!("{snapshots}/{number}/{name}").into_bytes();
    Directories {
        lowers: on.parents.iter().map(|parent| of(*parent, "fs")).collect(),
        upper: Some((of(on.number, "fs"), of(on.number, "work"))),
    }
}

/// An operation on the machine at work.
struct Work<'a> {
    machine: &'a mut MachineState,
    now: Time,
    /// The lease that holds.
    lease: Option<String>,
    /// What has happened.
    moments: Vec<Moment>,
}

impl Work<'_> {
    fn client<T>(&mut self, work: impl FnOnce(&mut Client<'_>) -> Result<T>) -> Result<T> {
        let MachineState {
            store,
            disk,
            namespace,
            ..
        } = self.machine;
        let mut client = Client::new(store, disk, namespace, self.now);
        client.lease.clone_from(&self.lease);
        let done = work(&mut client);
        self.lease = client.lease;
        self.moments.append(&mut client.moments);
        done
    }
}

impl Applier<'_> {
    /// The machine, to be changed; a new one if there is none.
    pub(super) fn machine_mut(&mut self) -> &mut MachineState {
        let scratches = self.contents.scratches();
        let machine = self
            .state
            .machine
            .get_or_insert_with(|| Arc::new(MachineState::new(MemoryDisk::new(scratches))));
        Arc::make_mut(machine)
    }

    /// Works on the machine. What fails after something has happened was done as far as it went, and says so; what
    /// fails at once is not done at all.
    fn on_machine(&mut self, title: String, work: &mut dyn FnMut(&mut Work<'_>) -> Result<()>) -> Result<()> {
        let now = self.time;
        let machine = self.machine_mut();
        let mut at_work = Work {
            machine,
            now,
            lease: None,
            moments: Vec::new(),
        };
        let done = work(&mut at_work);
        let moments = at_work.moments;
        if moments.is_empty() {
            return done;
        }
        let error = done.err().map(|error| error.to_string());
        let namespace = machine.namespace.clone();
        machine.add_group(title, moments, error, now, &namespace);
        Ok(())
    }

    pub(super) fn import_image(
        &mut self,
        image: ImageId,
        name: Option<&str>,
        platforms: Option<&str>,
        unpack: bool,
    ) -> Result<()> {
        whole()?;
        let image = self.state.image(image)?.clone();
        let archive = self.contents.importable(&image)?;
        let mut how = Import::default();
        let mut title = format!("{} images import", self.machine_mut().ctr());
        match platforms {
            None | Some("default") => {}
            Some("all") => {
                how.platforms = Platforms::All;
                title.push_str(" --all-platforms");
            }
            Some(other) => {
                return Err(WorkbenchError::Platforms {
                    given: other.to_owned(),
                });
            }
        }
        if !unpack {
            title.push_str(" --no-unpack");
        }
        title.push(' ');
        title.push_str(&archive.title);
        self.machine_mut().take_in(&archive);
        let done = self.on_machine(title, &mut |work| {
            work.client(|client| {
                let mut images = client.import(&archive.files, &how)?;
                if let (Some(name), Some((_, target))) = (name, images.first().cloned()) {
                    client.set_image(name, target.clone())?;
                    images.push((name.to_owned(), target));
                }
                if unpack {
                    for (_, target) in &images {
                        client.unpack(target, &Platforms::default())?;
                    }
                }
                Ok(())
            })
        });
        self.machine_mut().disk.forget();
        done
    }

    /// Whether nothing has the ids that a new container is to have.
    pub(super) fn check_free(&self, container: Option<ImageId>, layer: Option<LayerId>) -> Result<()> {
        if let Some(image) = container.filter(|container| self.state.has_image(*container)) {
            return Err(WorkbenchError::ImageTaken { image });
        }
        match layer.filter(|layer| self.state.has_layer(*layer)) {
            Some(layer) => Err(WorkbenchError::LayerTaken { layer }),
            None => Ok(()),
        }
    }

    pub(super) fn remove_image_of_machine(&mut self, name: &str) -> Result<()> {
        whole()?;
        let title = format!(
            "{} images rm {}",
            self.machine_mut().ctr(),
            escape(name.as_bytes())
        );
        self.on_machine(title, &mut |work| {
            work.client(|client| Ok(client.remove_image(name)?))
        })
    }

    pub(super) fn collect_garbage(&mut self) -> Result<()> {
        whole()?;
        self.on_machine("garbage collection".to_owned(), &mut |work| {
            work.client(|client| Ok(client.collect_garbage()?))
        })
    }

    /// What is no container of the machine any more is none of the session's.
    pub(super) fn forget_removed(&mut self) {
        let Some(machine) = self.state.machine.clone() else {
            return;
        };
        self.state.containers.retain(|state| {
            let on = state.on_machine.as_ref();
            on.is_none_or(|on| machine.has_container(&on.namespace, &on.id))
        });
    }

    /// Keeps on the machine what was written in one of its containers.
    pub(super) fn keep_written(&mut self, container: ImageId) -> Result<()> {
        let state = self.state.container(container)?;
        let written = state.now().upperdir().cloned();
        if let (Some(on), Some(upper)) = (state.on_machine.clone(), written) {
            self.machine_mut().disk.set_directory(on.number, upper);
        }
        Ok(())
    }

    /// Ends a container and removes it, with its snapshot.
    pub(super) fn remove_container_of_machine(&mut self, id: &str) -> Result<()> {
        whole()?;
        let (ctr, shown) = (self.machine_mut().ctr(), escape(id.as_bytes()));
        let title = format!("{ctr} tasks kill -s SIGKILL {shown}; {ctr} containers rm {shown}");
        self.on_machine(title, &mut |work| {
            work.client(|client| {
                if client.container(id)?.task.is_some_and(|task| task.exit.is_none()) {
                    client.end_task(id, KILLED)?;
                }
                client.delete_task(id)?;
                Ok(client.remove_container(id)?)
            })
        })?;
        self.forget_removed();
        Ok(())
    }
}

/// Where the steps of a container are kept.
pub(super) fn steps_key(namespace: &str, id: &str) -> String {
    format!("{namespace}/{id}")
}

/// What a process ends with that is killed: 128, and SIGKILL.
const KILLED: u32 = 137;

/// The number of a container's first process. Nobody could foretell the kernel's; here the number of the directory
/// makes them differ.
pub(super) fn process_id(number: u64) -> u32 {
    u32::try_from(number)
        .unwrap_or_default()
        .saturating_add(FIRST_PID)
}

/// No number of a process on the machine is below.
const FIRST_PID: u32 = 1000;
