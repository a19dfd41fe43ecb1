//! What a user interface sees of the machine, after any of its events. The shapes are mirrored in
//! `www/src/core/protocol.ts`, which documents them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::runtime::Step;
use crate::store::{
    Changes, Client, Event, MemoryDisk, Namespace, Resource, Sharing, Sign, Snapshot, SnapshotKind, Store,
    Summaries, Table, sharing, snapshots_of,
};
use crate::text::escape;

use super::Workbench;
use super::error::WorkbenchError;
use super::lean::whole;
use super::machine::{Group, MachineState, steps_key};
use super::operation::{ImageId, LayerId};
use super::state::LayerState;

/// The most events that one answer has.
const EVENTS: usize = 1_000;

/// The machine, in the overview.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct MachineGlance {
    pub events: usize,
    pub shown: usize,
    pub images: usize,
    pub snapshots: usize,
    pub blobs: usize,
    pub garbage_bytes: u64,
    pub error: Option<String>,
}

/// The machine after some event.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct MachineView {
    pub at: usize,
    pub events: usize,
    pub namespace: String,
    pub content: Vec<BlobRow>,
    pub images: Vec<ImageRow>,
    pub snapshots: Vec<SnapshotRow>,
    pub containers: Vec<ContainerRow>,
    pub leases: Vec<LeaseRow>,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct BlobRow {
    pub digest: String,
    pub size: u64,
    pub labels: Vec<(String, String)>,
    pub what: &'static str,
    pub images: Vec<String>,
    pub new: bool,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct ImageRow {
    pub name: String,
    pub digest: String,
    pub media_type: String,
    pub size: i64,
    pub platforms: Vec<String>,
    pub labels: Vec<(String, String)>,
    pub new: bool,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct SnapshotRow {
    pub key: String,
    pub parent: String,
    pub kind: &'static str,
    pub number: u64,
    pub directory: String,
    pub labels: Vec<(String, String)>,
    pub size: u64,
    pub inodes: u64,
    pub mounts: String,
    pub layer: Option<LayerId>,
    pub images: Vec<String>,
    pub depth: usize,
    pub new: bool,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct ContainerRow {
    pub id: String,
    pub image: String,
    pub snapshot: String,
    pub runtime: String,
    pub status: &'static str,
    pub pid: Option<u32>,
    pub container: Option<ImageId>,
    pub new: bool,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct LeaseRow {
    pub id: String,
    pub labels: Vec<(String, String)>,
    pub content: usize,
    pub snapshots: usize,
    pub new: bool,
}

/// An event of the machine.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct MachineEvent {
    pub number: usize,
    pub rule: &'static str,
    pub group: usize,
    pub group_title: String,
    pub group_error: Option<String>,
    pub sentence: String,
    pub source: &'static str,
    pub subject: Option<SubjectView>,
    pub disk: Vec<DiskChange>,
    pub more: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct SubjectView {
    pub kind: &'static str,
    pub key: String,
}

#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct DiskChange {
    pub sign: &'static str,
    pub path: String,
    pub what: String,
}

/// What garbage collection would make of something.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct GarbageRow {
    pub kind: &'static str,
    pub key: String,
    pub size: u64,
    pub removed: bool,
    pub reason: String,
}

/// A step by which runc started a container.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "documented in the protocol")]
pub struct RuntimeStep {
    pub step: &'static str,
    pub sentence: String,
    pub source: &'static str,
    pub calls: Vec<String>,
    pub root: &'static str,
    pub mounts: Vec<String>,
    pub upper: Vec<String>,
    pub namespaces: Vec<&'static str>,
}

/// The machine as it was after an event, for questions.
pub(super) struct Moment<'a> {
    pub machine: &'a MachineState,
    pub at: usize,
    pub store: Store,
    /// The namespace in which something happened then.
    pub namespace: &'a str,
    /// One event before.
    before: Store,
}

impl Moment<'_> {
    pub fn here(&self) -> Namespace {
        here(&self.store, self.namespace)
    }
}

fn here(store: &Store, namespace: &str) -> Namespace {
    let found = store.namespace(namespace);
    found.map(|found| Namespace::clone(found)).unwrap_or_default()
}

fn labels(labels: &crate::store::Labels) -> Vec<(String, String)> {
    labels
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

impl Workbench {
    /// Says after which of its events the machine is looked at. No change to the session.
    pub fn show_event(&mut self, number: usize) {
        let last = self.state.machine().map_or(0, |machine| machine.events());
        self.shown_event = (number < last).then_some(number);
        self.revision += 1;
    }

    pub(super) fn machine_glance(&self) -> Option<MachineGlance> {
        let machine = self.state.machine()?;
        let here = here(&machine.store, &machine.namespace);
        let garbage = machine.store.garbage(machine.now);
        let garbage = garbage.iter().filter(|verdict| verdict.reason.is_removed());
        Some(MachineGlance {
            events: machine.events(),
            shown: self.moment_of(machine).at,
            images: here.images.len(),
            snapshots: here.snapshots.len(),
            blobs: here.content.len(),
            garbage_bytes: garbage.map(|verdict| verdict.size).sum(),
            error: machine.groups.last().and_then(|group| group.error.clone()),
        })
    }

    fn moment_of<'a>(&self, machine: &'a MachineState) -> Moment<'a> {
        let last = machine.events();
        let at = self.shown_event.map_or(last, |number| number.min(last));
        Moment {
            machine,
            at,
            store: machine.at(at),
            namespace: (machine.moment(at)).map_or(&machine.namespace, |(group, _)| &group.namespace),
            before: machine.at(at.saturating_sub(1)),
        }
    }

    pub(super) fn moment(&self) -> Result<Moment<'_>, WorkbenchError> {
        whole()?;
        let machine = self.state.machine().ok_or(WorkbenchError::NoMachine)?;
        Ok(self.moment_of(machine))
    }

    pub(super) fn machine_view(&self) -> Result<MachineView, WorkbenchError> {
        let moment = self.moment()?;
        let (here, before) = (moment.here(), here(&moment.before, moment.namespace));
        let users = Users::of(&here);
        let what = Purposes::of(&[&here, &self::here(&moment.machine.store, moment.namespace)]);
        let content = here.content.iter().map(|(digest, blob)| BlobRow {
            digest: digest.to_owned(),
            size: blob.size,
            labels: labels(&blob.labels),
            what: what.of_blob(digest),
            images: users.of_key(Resource::Blob, digest),
            new: before.content.get(digest).is_none_or(|old| **old != **blob),
        });
        let leases = here.leases.iter().map(|(id, lease)| LeaseRow {
            id: id.to_owned(),
            labels: labels(&lease.labels),
            content: lease.content.len(),
            snapshots: lease.snapshots.len(),
            new: !before.leases.has(id),
        });
        Ok(MachineView {
            at: moment.at,
            events: moment.machine.events(),
            namespace: moment.namespace.to_owned(),
            content: content.collect(),
            images: self.image_rows(&moment, &before),
            snapshots: self.snapshot_rows(&moment, &before, &users),
            containers: self.container_rows(moment.namespace, &here, &before),
            leases: leases.collect(),
        })
    }

    fn image_rows(&self, moment: &Moment<'_>, before: &Namespace) -> Vec<ImageRow> {
        let (mut store, mut disk) = (moment.store.clone(), moment.machine.disk.clone());
        let client = Client::new(&mut store, &mut disk, moment.namespace, moment.machine.now);
        let here = client.here();
        let mut summaries = Summaries::new(&client);
        let rows = here.images.iter().map(|(name, image)| {
            let target = &image.target;
            let summary = summaries.of(target);
            ImageRow {
                name: name.to_owned(),
                digest: target.digest.clone(),
                media_type: target.media_type.clone(),
                // What is not there any more, or is broken, has no size; `ctr images ls` says so in its log.
                size: summary.size,
                platforms: summary.platforms.clone().unwrap_or_default(),
                labels: labels(&image.labels),
                new: before.images.get(name).is_none_or(|old| **old != **image),
            }
        });
        rows.collect()
    }

    fn snapshot_rows(&self, moment: &Moment<'_>, before: &Namespace, users: &Users) -> Vec<SnapshotRow> {
        let (mut store, mut disk) = (moment.store.clone(), moment.machine.disk.clone());
        let client = Client::new(&mut store, &mut disk, moment.namespace, moment.machine.now);
        let here = client.here();
        let rows = here.snapshots.iter().map(|(key, snapshot)| {
            let usage = client.usage(key).unwrap_or_default();
            let mounts = client.mounts(key).map(|mount| mount.command("DIR"));
            SnapshotRow {
                key: key.to_owned(),
                parent: snapshot.parent.clone(),
                kind: kind(snapshot),
                number: snapshot.number,
                directory: format!("{}/{}", snapshots_of("/var/lib/containerd"), snapshot.number),
                labels: labels(&snapshot.labels),
                size: usage.size,
                inodes: usage.inodes,
                mounts: mounts.unwrap_or_default(),
                layer: self.layer_of(moment.machine, moment.namespace, key),
                images: users.of_key(Resource::Snapshot, key),
                depth: client.parents(key).map_or(0, |parents| parents.len()),
                new: before.snapshots.get(key).is_none_or(|old| **old != **snapshot),
            }
        });
        rows.collect()
    }

    /// The layer of the session that a snapshot was unpacked from, if it still is what it was; of a container's
    /// snapshot its sheet.
    pub(super) fn layer_of(&self, machine: &MachineState, namespace: &str, key: &str) -> Option<LayerId> {
        let mut containers = self.state.containers().iter();
        let of_container = containers.find(|state| state.is_on_machine(namespace, key));
        if let Some(container) = of_container {
            return Some(container.layer);
        }
        let is_same = |kept: &&Arc<LayerState>| {
            let now = self.state.layer(kept.id);
            now.is_ok_and(|now| now.layer.is_same(&kept.layer))
        };
        machine.layers.get(key)?.iter().find(is_same).map(|kept| kept.id)
    }

    fn container_rows(&self, namespace: &str, here: &Namespace, before: &Namespace) -> Vec<ContainerRow> {
        let rows = here.containers.iter().map(|(id, container)| {
            let mut containers = self.state.containers().iter();
            let own = containers.find(|state| state.is_on_machine(namespace, id));
            ContainerRow {
                id: id.to_owned(),
                image: container.image.clone(),
                snapshot: container.snapshot.clone(),
                runtime: container.runtime.clone(),
                status: container.task.map_or("CREATED", |task| task.status()),
                pid: container.task.map(|task| task.pid),
                container: own.map(|state| state.id),
                new: before
                    .containers
                    .get(id)
                    .is_none_or(|old| old.task != container.task),
            }
        });
        rows.collect()
    }

    pub(super) fn machine_events(&self, from: usize, to: usize) -> Result<Vec<MachineEvent>, WorkbenchError> {
        let machine = self.moment()?.machine;
        let to = to.min(from.saturating_add(EVENTS)).min(machine.events());
        let numbers = from + 1..=to;
        let found = numbers.filter_map(|number| {
            let (group, moment) = machine.moment(number)?;
            Some(event_view(number, group, machine, &moment.event))
        });
        Ok(found.collect())
    }

    pub(super) fn garbage_rows(&self) -> Result<Vec<GarbageRow>, WorkbenchError> {
        let moment = self.moment()?;
        let verdicts = moment.store.garbage(moment.machine.now);
        let rows = verdicts.into_iter().map(|verdict| GarbageRow {
            kind: verdict.resource.name(),
            size: match verdict.resource {
                Resource::Snapshot | Resource::Directory => {
                    size_on(&moment.machine.disk, &moment.store, &verdict)
                }
                _ => verdict.size,
            },
            key: verdict.key,
            removed: verdict.reason.is_removed(),
            reason: escape(verdict.reason.sentence().as_bytes()),
        });
        Ok(rows.collect())
    }

    pub(super) fn sharing(&self) -> Result<Sharing, WorkbenchError> {
        let moment = self.moment()?;
        let Moment { machine, store, .. } = &moment;
        Ok(sharing(store, &machine.disk, moment.namespace, machine.now))
    }

    pub(super) fn runtime_steps(&self, id: &str) -> Result<Vec<RuntimeStep>, WorkbenchError> {
        let moment = self.moment()?;
        let steps = moment.machine.steps.get(&steps_key(moment.namespace, id));
        let steps = steps.into_iter().flat_map(|steps| steps.iter());
        Ok(steps.map(step_view).collect())
    }
}

/// The size of a directory, which is not known of all.
fn size_on(disk: &MemoryDisk, store: &Store, verdict: &crate::store::Verdict) -> u64 {
    use crate::store::Disk;
    let number = match verdict.resource {
        Resource::Directory => verdict.key.parse().ok(),
        _ => here(store, &verdict.namespace)
            .snapshots
            .get(&verdict.key)
            .map(|snapshot| snapshot.number),
    };
    let usage = number.and_then(|number| disk.usage(number).ok());
    usage.map_or(verdict.size, |usage| usage.size)
}

fn kind(snapshot: &Snapshot) -> &'static str {
    match snapshot.kind {
        SnapshotKind::Committed => "committed",
        SnapshotKind::Active => "active",
        SnapshotKind::View => "view",
    }
}

fn event_view(number: usize, group: &Group, machine: &MachineState, event: &Event) -> MachineEvent {
    let groups = machine.groups.iter();
    let index = groups.take_while(|other| other.first < group.first).count();
    let Changes { kept, count } = &event.disk;
    MachineEvent {
        number,
        rule: event.rule.id(),
        group: index,
        group_title: group.title.clone(),
        group_error: group.error.clone(),
        sentence: event.sentence(),
        source: event.rule.source(),
        subject: (!event.key.is_empty()).then(|| SubjectView {
            kind: event.kind.name(),
            key: event.key.clone(),
        }),
        disk: kept
            .iter()
            .map(|change| DiskChange {
                sign: match change.sign {
                    Sign::Added => "+",
                    Sign::Removed => "-",
                    Sign::Changed => "~",
                },
                path: escape(&change.path),
                what: change.what.clone(),
            })
            .collect(),
        more: count - kept.len() as u64,
        bytes: event.count,
    }
}

fn step_view(step: &Step) -> RuntimeStep {
    RuntimeStep {
        step: step.rule.id(),
        sentence: step.sentence(),
        source: step.rule.source(),
        calls: step.calls.iter().map(ToString::to_string).collect(),
        root: step.root.id(),
        mounts: step
            .mounts
            .iter()
            .map(|mount| {
                let crate::runtime::MountPoint {
                    root,
                    target,
                    options,
                    kind,
                    source,
                    super_options,
                } = mount;
                format!("{root} {target} {options} - {kind} {source} {super_options}")
            })
            .collect(),
        upper: step.upper.iter().map(ToString::to_string).collect(),
        namespaces: step.namespaces.clone(),
    }
}

/// Which images lead to what: names of images, in order.
pub(super) struct Users(BTreeMap<(Resource, String), Vec<String>>);

impl Users {
    pub fn of(here: &Namespace) -> Self {
        let mut users: BTreeMap<(Resource, String), Vec<String>> = BTreeMap::new();
        for name in here.images.keys() {
            for place in here.reached_from(name) {
                users.entry(place).or_default().push(name.to_owned());
            }
        }
        Self(users)
    }

    /// The names of the images that lead to something, in their order.
    pub fn of_key(&self, resource: Resource, key: &str) -> Vec<String> {
        let found = self.0.get(&(resource, key.to_owned()));
        found.cloned().unwrap_or_default()
    }
}

/// What blobs are, as far as somebody says it: whoever names them.
struct Purposes(Table<&'static str>);

impl Purposes {
    fn of(stores: &[&Namespace]) -> Self {
        let mut found = Table::default();
        for here in stores {
            for (_, image) in here.images.iter() {
                found.put(&image.target.digest, purpose_of(image.target.what()));
            }
            for (digest, blob) in here.content.iter() {
                for (label, value) in &blob.labels {
                    if let Some(rest) = label.strip_prefix("containerd.io/gc.ref.content.") {
                        let what = match rest.split('.').next() {
                            Some("config") => "config",
                            Some("l") => "layer",
                            Some("m") => "manifest",
                            _ => "blob",
                        };
                        found.put(value, what);
                        if what == "manifest" {
                            found.put(digest, "index");
                        }
                    }
                }
            }
        }
        Self(found)
    }

    fn of_blob(&self, digest: &str) -> &'static str {
        self.0.get(digest).map_or("blob", |what| **what)
    }
}

fn purpose_of(what: &str) -> &'static str {
    match what {
        "an index" => "index",
        "a manifest" => "manifest",
        _ => "blob",
    }
}
