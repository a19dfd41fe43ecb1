//! The machine: a containerd to which images are imported and on which containers are run, with all that happened on it.
//! Each event keeps the whole store as it was then, which costs what the event changed.

use std::sync::Arc;

use crate::content::Content;
use crate::digest::{Digest, chain_id};
use crate::overlay::Stack;
use crate::overlay::mount::{Caller, Directories, Lower, Options, Overlay, Upper, shown_options};
use crate::runtime::{self, Arguments, ImageConfig, Manner, MountPoint, Request, Spec, Step};
use crate::shell::{MountInfo, Shell};
use crate::store::{
    ArchiveFile, Client, DEFAULT_NAMESPACE, Descriptor, Import, Labels, MemoryDisk, Moment, Platforms, Store,
    StoreError, Table, snapshots_of,
};
use crate::text::escape;
use crate::tree::{Time, Tree};

use super::apply::{Applier, Result};
use super::container::{CALLS, ContainerState, RECORDED};
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

    /// Runs a container: a snapshot on top of an image's, mounted, with the mount points that runc makes in it.
    pub(super) fn run_container(
        &mut self,
        name: &str,
        id: &str,
        container: ImageId,
        layer: LayerId,
        args: &[String],
    ) -> Result<()> {
        whole()?;
        self.check_free(Some(container), Some(layer))?;
        let ctr = self.machine_mut().ctr();
        let title = [&ctr, "run -t", name, id].into_iter();
        let words: Vec<&str> = title.chain(args.iter().map(String::as_str)).collect();
        let title = escape(words.join(" ").as_bytes());
        let mut made = None;
        self.on_machine(title, &mut |work| {
            made = Some(run(work, name, id, args)?);
            Ok(())
        })?;
        match made {
            Some(made) => self.adopt(made, container, layer),
            // What had been done by then is told; there is no container.
            None => Ok(()),
        }
    }

    /// Makes a container of the machine one of the session's, mounted on the snapshots' directories.
    pub(super) fn adopt(&mut self, made: Started, container: ImageId, layer: LayerId) -> Result<()> {
        let (caller, time) = (Caller::root(self.time), self.time);
        let machine = self.machine_mut();
        let missing = || WorkbenchError::NoContainer { container };
        let on = made.on;
        let lowers = made.trees.into_iter().map(Lower::new).collect();
        let upper: Upper = machine.disk.directory(on.number).ok_or_else(missing)?.clone();
        let options = Options::default();
        let mut start = Overlay::mount(lowers, Some(upper), options, time)?;
        for call in made.steps.iter().flat_map(|step| &step.upper) {
            start.call(caller, call);
        }
        if let Some(upper) = start.upperdir() {
            machine.disk.set_directory(on.number, upper.clone());
        }
        machine.steps.put(&steps_key(&on.namespace, &on.id), made.steps);
        let layers = made
            .chain
            .iter()
            .filter_map(|chain| machine.layers.get(chain)?.first());
        let layers = layers.cloned().collect();
        let top = made.chain.last().map(String::as_str).unwrap_or_default();
        let image = machine.images.get(top).map_or(0, |image| **image);
        let mut shell = Shell::new(MountInfo {
            options: shown_options(&directories(&on), options),
            ..MountInfo::default()
        });
        (shell.limits.calls, shell.limits.recorded) = (CALLS, RECORDED);
        self.state.containers.push(Arc::new(ContainerState {
            id: container,
            image,
            layer,
            layers,
            options,
            start,
            steps: Vec::new(),
            shell,
            on_machine: Some(on),
        }));
        Ok(())
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

/// A container that was started.
pub(super) struct Started {
    on: OnMachine,
    /// The ChainIDs of its layers, bottom first.
    chain: Vec<String>,
    /// The directories below its own, as layers, bottom first.
    trees: Vec<Tree>,
    steps: Vec<Step>,
}

/// What `ctr run` does: the container is made under a lease, then its task is started.
fn run(work: &mut Work<'_>, name: &str, id: &str, args: &[String]) -> Result<Started> {
    let target = work.client(|client| {
        let target = client.image(name)?.target;
        // What would fail with nothing but a lease to show for it is refused.
        match client.snapshot(id) {
            Ok(_) => Err(StoreError::SnapshotTaken { key: id.to_owned() }.into()),
            Err(_) => Ok(target),
        }
    })?;
    let lease = work.client(|client| Ok(client.begin_lease()?))?;
    let made = make(work, name, id, args, &target);
    work.client(|client| Ok(client.end_lease(&lease)?))?;
    let made = made?;
    let pid = process_id(made.on.number);
    work.client(|client| Ok(client.start_task(id, pid)?))?;
    Ok(made)
}

/// Makes a container with its snapshot.
fn make(work: &mut Work<'_>, name: &str, id: &str, args: &[String], target: &Descriptor) -> Result<Started> {
    let (chain, config, on) = work.client(|client| {
        let chain = chain_of(client, target)?;
        let top = chain.last().cloned().unwrap_or_default();
        if !top.is_empty() && client.snapshot(&top).is_err() {
            client.unpack(target, &Platforms::default())?;
        }
        let (_, document) = client.config(target, &Platforms::default())?;
        client.prepare(id, &top, Labels::new())?;
        let on = OnMachine {
            namespace: client.namespace.clone(),
            id: id.to_owned(),
            number: client.snapshot(id)?.number,
            parents: client.parents(id)?,
        };
        Ok((chain, ImageConfig::read(&document)?, on))
    })?;
    let trees = trees_of(&work.machine.disk, &on.parents);
    let steps = create(work, &config, name, &on, args, &trees)?;
    Ok(Started {
        on,
        chain,
        trees,
        steps,
    })
}

/// The ChainIDs of an image's layers, bottom first.
fn chain_of(client: &Client<'_>, target: &Descriptor) -> Result<Vec<String>> {
    let manifest = client.manifest(target, &Platforms::default())?;
    let mut below = None;
    let mut chain = Vec::new();
    for diff_id in client.diff_ids(&manifest.config)? {
        let parsed = diff_id.parse();
        let parsed = parsed.map_err(|_| StoreError::BadDigest { text: diff_id })?;
        let this = chain_id(below, parsed);
        below = Some(this);
        chain.push(this.to_string());
    }
    Ok(chain)
}

/// Makes the container: the steps that runc will take.
fn create(
    work: &mut Work<'_>,
    config: &ImageConfig,
    name: &str,
    on: &OnMachine,
    args: &[String],
    trees: &[Tree],
) -> Result<Vec<Step>> {
    let view = Stack::new(trees.iter().collect());
    let mut request = Request::new(Manner::Containerd);
    request.terminal = true;
    if !args.is_empty() {
        request.arguments = Arguments::All(args.to_vec());
    }
    let spec = runtime::convert(config, &request, &view)?;
    let steps = steps_of(&spec, &view, on)?;
    let signal = match &config.stop_signal[..] {
        "" => "SIGTERM",
        signal => signal,
    };
    let label = (
        "io.containerd.image.config.stop-signal".to_owned(),
        signal.to_owned(),
    );
    work.client(|client| {
        let spec = Content::inline(spec.document());
        Ok(client.create_container(&on.id, name, &on.id, Labels::from([label]), spec)?)
    })?;
    Ok(steps)
}

/// The number of a container's first process. Nobody could foretell the kernel's; here the number of the directory
/// makes them differ.
pub(super) fn process_id(number: u64) -> u32 {
    u32::try_from(number)
        .unwrap_or_default()
        .saturating_add(FIRST_PID)
}

/// No number of a process on the machine is below.
const FIRST_PID: u32 = 1000;

/// The steps by which runc starts a container on its mount.
fn steps_of(spec: &Spec, view: &Stack<'_>, on: &OnMachine) -> Result<Vec<Step>> {
    let root = MountPoint {
        root: "/".to_owned(),
        target: "/".to_owned(),
        options: "rw,relatime".to_owned(),
        kind: "overlay".to_owned(),
        source: "overlay".to_owned(),
        super_options: escape(&shown_options(&directories(on), Options::default())),
    };
    Ok(runtime::steps(spec, view, &root, &runtime::Machine::default())?)
}

/// What directories hold, as layers, bottom first; they are given the nearest first.
fn trees_of(disk: &MemoryDisk, parents: &[u64]) -> Vec<Tree> {
    parents
        .iter()
        .rev()
        .filter_map(|&parent| disk.tree(parent))
        .collect()
}

impl Started {
    /// What was started of a container that the machine has.
    pub(super) fn of(machine: &mut MachineState, namespace: &str, id: &str, spec: &Spec) -> Result<Self> {
        let now = machine.now;
        let MachineState { store, disk, .. } = machine;
        let client = Client::new(store, disk, namespace, now);
        let container = client.container(id)?;
        let on = OnMachine {
            namespace: namespace.to_owned(),
            id: id.to_owned(),
            number: client.snapshot(&container.snapshot)?.number,
            parents: client.parents(&container.snapshot)?,
        };
        let chain = chain_of(&client, &client.image(&container.image)?.target)?;
        let trees = trees_of(disk, &on.parents);
        let steps = steps_of(spec, &Stack::new(trees.iter().collect()), &on)?;
        Ok(Self {
            on,
            chain,
            trees,
            steps,
        })
    }
}
