//! Garbage collection: what no root leads to goes (containerd, metadata/gc.go). Roots are images, containers, leases,
//! and what is labelled `containerd.io/gc.root`; labels `containerd.io/gc.ref.…` and parents lead on.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::content::blob_path;
use super::event::{Changes, Event, Kind, Rule, Sign};
use super::snapshot::snapshots_of;
use super::{Client, Labels, Lease, Namespace, Result, Store};
use crate::image::created;
use crate::tree::Time;

/// The label that makes a root.
const ROOT: &str = "containerd.io/gc.root";
/// What labels begin with that lead to blobs, and to snapshots of this snapshotter.
const CONTENT: &str = "containerd.io/gc.ref.content";
const SNAPSHOT: &str = "containerd.io/gc.ref.snapshot.overlayfs";

/// What is kept or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A blob, by its digest.
    Blob,
    /// A snapshot, by its key.
    Snapshot,
    /// A lease, by its id; only such as have expired are told.
    Lease,
    /// A file of the content store that no namespace has, by its digest.
    File,
    /// A directory that no snapshot has, by its number.
    Directory,
}

impl Resource {
    /// A stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Snapshot => "snapshot",
            Self::Lease => "lease",
            Self::File => "file",
            Self::Directory => "directory",
        }
    }
}

/// Why something is kept, by the first way that leads to it; or that nothing does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The image of this name is it.
    Image(String),
    /// The container of this id has it.
    Container(String),
    /// The lease of this id keeps it.
    Lease(String),
    /// It is labelled `containerd.io/gc.root`.
    RootLabel,
    /// A label of something that is kept names it.
    Label {
        /// What has the label.
        of: String,
        /// The label.
        label: String,
    },
    /// A snapshot that is kept stands on it.
    Child(String),
    /// No root leads to it.
    Unreached,
    /// It was removed from its namespace, and lies on the disk only.
    Leftover,
    /// It has expired.
    Expired,
}

impl Reason {
    /// Whether it goes.
    pub fn is_removed(&self) -> bool {
        matches!(self, Self::Unreached | Self::Leftover | Self::Expired)
    }

    /// The reason in a sentence, without its subject.
    pub fn sentence(&self) -> String {
        match self {
            Self::Image(name) => format!("The image {name} names it."),
            Self::Container(id) => format!("The container {id} writes to it."),
            Self::Lease(id) => format!("The lease {id} keeps it."),
            Self::RootLabel => format!("It has the label {ROOT}."),
            Self::Label { of, label } => format!("{of}, which is kept, leads to it by the label {label}."),
            Self::Child(key) => format!("The snapshot {key}, which is kept, stands on it."),
            Self::Unreached => "No image, container or lease leads to it.".to_owned(),
            Self::Leftover => "It was removed already; only the disk still has it.".to_owned(),
            Self::Expired => "Its time has passed.".to_owned(),
        }
    }
}

/// What garbage collection makes of one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The namespace that it is in; none for what lies on the disk only.
    pub namespace: String,
    /// What it is.
    pub resource: Resource,
    /// Which.
    pub key: String,
    /// Bytes on the disk, as far as they are known.
    pub size: u64,
    /// Why it stays or goes.
    pub reason: Reason,
}

/// What was reached, in one namespace: kinds and keys, with the way that led there.
type Reached = BTreeMap<(Resource, String), Reason>;

struct Mark<'a> {
    here: &'a Namespace,
    reached: Reached,
    /// What was reached and is not followed yet; whether its labels are followed too.
    pending: Vec<(Resource, String, bool)>,
}

impl Mark<'_> {
    fn reach(&mut self, resource: Resource, key: &str, flat: bool, reason: Reason) {
        if let Entry::Vacant(place) = self.reached.entry((resource, key.to_owned())) {
            place.insert(reason);
            self.pending.push((resource, key.to_owned(), flat));
        }
    }

    fn labels(&mut self, of: &str, labels: &Labels) {
        for (label, value) in labels {
            let leads = |prefix: &str| {
                let rest = label.strip_prefix(prefix);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
            };
            let reason = || Reason::Label {
                of: of.to_owned(),
                label: label.clone(),
            };
            if leads(CONTENT) {
                self.reach(Resource::Blob, value, false, reason());
            }
            if label
                .strip_prefix(SNAPSHOT)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            {
                self.reach(Resource::Snapshot, value, false, reason());
            }
        }
    }

    fn lease(&mut self, id: &str, lease: &Lease) {
        let flat = lease.labels.contains_key("containerd.io/gc.flat");
        for digest in lease.content.keys() {
            self.reach(Resource::Blob, digest, flat, Reason::Lease(id.to_owned()));
        }
        for key in lease.snapshots.keys() {
            self.reach(Resource::Snapshot, key, flat, Reason::Lease(id.to_owned()));
        }
    }

    fn roots(&mut self, now: Time) {
        let here = self.here;
        for (name, image) in here.images.iter() {
            let reason = Reason::Image(name.to_owned());
            self.reach(Resource::Blob, &image.target.digest, false, reason);
            self.labels(name, &image.labels);
        }
        for (id, container) in here.containers.iter() {
            if !container.snapshot.is_empty() {
                let reason = Reason::Container(id.to_owned());
                self.reach(Resource::Snapshot, &container.snapshot, false, reason);
            }
            self.labels(id, &container.labels);
        }
        for (id, lease) in here.leases.iter() {
            if !has_expired(lease, now) {
                self.lease(id, lease);
            }
        }
        for (digest, blob) in here.content.iter() {
            if blob.labels.contains_key(ROOT) {
                self.reach(Resource::Blob, digest, false, Reason::RootLabel);
            }
        }
        for (key, snapshot) in here.snapshots.iter() {
            if snapshot.labels.contains_key(ROOT) {
                self.reach(Resource::Snapshot, key, false, Reason::RootLabel);
            }
        }
    }

    fn follow(&mut self) {
        let here = self.here;
        while let Some((resource, key, flat)) = self.pending.pop() {
            match resource {
                Resource::Blob => {
                    if let Some(blob) = here.content.get(&key).filter(|_| !flat) {
                        self.labels(&key, &blob.labels);
                    }
                }
                _ => {
                    let Some(snapshot) = here.snapshots.get(&key) else {
                        continue;
                    };
                    if !snapshot.parent.is_empty() {
                        let reason = Reason::Child(key.clone());
                        self.reach(Resource::Snapshot, &snapshot.parent, flat, reason);
                    }
                    if !flat {
                        self.labels(&key, &snapshot.labels);
                    }
                }
            }
        }
    }
}

/// A lease holds until the time of its label, if it has one that can be read: in UTC, as containerd writes it.
fn has_expired(lease: &Lease, now: Time) -> bool {
    let label = lease.labels.get("containerd.io/gc.expire");
    let end = label.filter(|end| created::is_date_time(end) && end.ends_with('Z'));
    let now = created::from_seconds(now.seconds);
    end.zip(now).is_some_and(|(end, now)| *end < now)
}

impl Namespace {
    /// How many things a blob leads to, itself among them.
    pub(super) fn reach_of(&self, digest: &str) -> usize {
        let mut mark = Mark {
            here: self,
            reached: Reached::new(),
            pending: Vec::new(),
        };
        mark.reach(Resource::Blob, digest, false, Reason::Unreached);
        mark.follow();
        mark.reached.len()
    }

    /// All that an image leads to: blobs and snapshots, by kind and key.
    pub fn reached_from(&self, image: &str) -> Vec<(Resource, String)> {
        let mut mark = Mark {
            here: self,
            reached: Reached::new(),
            pending: Vec::new(),
        };
        if let Some(found) = self.images.get(image) {
            let reason = Reason::Image(image.to_owned());
            mark.reach(Resource::Blob, &found.target.digest, false, reason);
            mark.labels(image, &found.labels);
        }
        mark.follow();
        mark.reached.into_keys().collect()
    }
}

fn mark(here: &Namespace, now: Time) -> Reached {
    let mut mark = Mark {
        here,
        reached: Reached::new(),
        pending: Vec::new(),
    };
    mark.roots(now);
    mark.follow();
    mark.reached
}

impl Store {
    /// What garbage collection would make of everything, and why: blobs first, then snapshots, expired leases, and
    /// what lies on the disk only.
    pub fn garbage(&self, now: Time) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for (name, here) in self.namespaces.iter() {
            let mut reached = mark(here, now);
            let mut judge = |resource: Resource, key: &str, size: u64| {
                let reason = reached.remove(&(resource, key.to_owned()));
                verdicts.push(Verdict {
                    namespace: name.to_owned(),
                    resource,
                    key: key.to_owned(),
                    size,
                    reason: reason.unwrap_or(Reason::Unreached),
                });
            };
            for (digest, blob) in here.content.iter() {
                judge(Resource::Blob, digest, blob.size);
            }
            for (key, snapshot) in here.snapshots.iter() {
                let size = snapshot.usage.map_or(0, |usage| usage.size);
                judge(Resource::Snapshot, key, size);
            }
            let expired = here.leases.iter().filter(|(_, lease)| has_expired(lease, now));
            verdicts.extend(expired.map(|(id, _)| Verdict {
                namespace: name.to_owned(),
                resource: Resource::Lease,
                key: id.to_owned(),
                size: 0,
                reason: Reason::Expired,
            }));
        }
        verdicts.extend(self.leftovers());
        verdicts
    }

    /// What lies on the disk and is in no namespace.
    fn leftovers(&self) -> Vec<Verdict> {
        let leftover = |resource: Resource, key: String, size: u64| Verdict {
            namespace: String::new(),
            resource,
            key,
            size,
            reason: Reason::Leftover,
        };
        let is_listed = |digest: &str| {
            let mut namespaces = self.namespaces.iter();
            namespaces.any(|(_, here)| here.content.has(digest))
        };
        let files = self.blobs.iter().filter(|(digest, _)| !is_listed(digest));
        let files = files.map(|(digest, size)| leftover(Resource::File, digest.to_owned(), **size));
        let namespaces = self.namespaces.iter();
        let snapshots = namespaces.flat_map(|(_, here)| here.snapshots.iter());
        let mut used: Vec<u64> = snapshots.map(|(_, snapshot)| snapshot.number).collect();
        used.sort_unstable();
        let directories = self.directories.iter();
        let directories = directories.filter(|number| used.binary_search(number).is_err());
        let directories = directories.map(|number| leftover(Resource::Directory, number.to_string(), 0));
        files.chain(directories).collect()
    }
}

impl Client<'_> {
    /// Collects garbage, in all namespaces.
    pub fn collect_garbage(&mut self) -> Result<()> {
        let verdicts = self.store.garbage(self.now);
        let kept = verdicts.iter().filter(|verdict| !verdict.reason.is_removed());
        let marked = Event::new(Rule::GcMarked, Kind::Blob, "");
        let marked = marked.count(kept.count() as u64);
        self.tell(marked);
        let here = self.namespace.clone();
        for verdict in verdicts.iter().filter(|verdict| verdict.reason.is_removed()) {
            self.namespace.clone_from(&verdict.namespace);
            self.drop_from_namespace(verdict);
        }
        self.namespace = here;
        for verdict in self.store.leftovers() {
            self.drop_from_disk(&verdict)?;
        }
        self.store.is_dirty = false;
        Ok(())
    }

    /// Collects garbage if something was removed since it was last done, as containerd does within a second.
    pub fn collect_if_dirty(&mut self) -> Result<()> {
        match self.store.is_dirty {
            true => self.collect_garbage(),
            false => Ok(()),
        }
    }

    fn drop_from_namespace(&mut self, verdict: &Verdict) {
        let here = self.store.namespaces.get_mut(&verdict.namespace);
        let Some(here) = here else {
            return;
        };
        let kind = match verdict.resource {
            Resource::Blob => {
                here.content.remove(&verdict.key);
                Kind::Blob
            }
            Resource::Snapshot => {
                here.snapshots.remove(&verdict.key);
                Kind::Snapshot
            }
            Resource::Lease => {
                here.leases.remove(&verdict.key);
                Kind::Lease
            }
            Resource::File | Resource::Directory => return,
        };
        self.tell(Event::new(Rule::GcRemoved, kind, &verdict.key));
    }

    fn drop_from_disk(&mut self, verdict: &Verdict) -> Result<()> {
        if verdict.resource == Resource::File {
            if let Ok(digest) = verdict.key.parse() {
                self.disk.remove_blob(digest)?;
            }
            self.store.blobs.remove(&verdict.key);
            let path = blob_path(&verdict.key);
            let disk = Changes::one(Sign::Removed, path, format!("{} bytes", verdict.size));
            let event = Event::new(Rule::GcBlob, Kind::Blob, &verdict.key);
            self.tell(event.count(verdict.size).disk(disk));
            return Ok(());
        }
        let number: u64 = verdict.key.parse().unwrap_or_default();
        self.disk.remove(number)?;
        Arc::make_mut(&mut self.store.directories).retain(|other| *other != number);
        let path = format!("{}/{number}", snapshots_of("/var/lib/containerd"));
        let disk = Changes::one(Sign::Removed, path, "directory");
        let event = Event::new(Rule::GcDirectory, Kind::Snapshot, &verdict.key);
        self.tell(event.count(number).disk(disk));
        Ok(())
    }
}
