//! Snapshots: directories that stand on each other, prepared, written to, committed. The metadata of the overlayfs
//! snapshotter and what it hands to mount(8).

use std::sync::Arc;

use super::event::{Changes, Event, Kind, Rule, Sign};
use super::{Client, Labels, Result, StoreError, check_labels, set_labels};
use crate::tree::Time;

/// What a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    /// Written to by nobody any more: others stand on it.
    Committed,
    /// Can be written to.
    Active,
    /// Can be read only, and not be stood on.
    View,
}

impl SnapshotKind {
    /// As containerd prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Committed => "Committed",
            Self::Active => "Active",
            Self::View => "View",
        }
    }
}

/// How much is in a directory, as continuity counts it (fs/du.go): each inode once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the blocks that are taken.
    pub size: u64,
    /// Inodes.
    pub inodes: u64,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The key of the one that it stands on; empty for none.
    pub parent: String,
    /// What it is.
    pub kind: SnapshotKind,
    /// What people note on it.
    pub labels: Labels,
    /// The number of its directory.
    pub number: u64,
    /// What the snapshotter itself calls it: the namespace, a number, the key.
    pub name: String,
    /// How much is in it; of one that is not committed, nobody knows before asking the disk.
    pub usage: Option<Usage>,
    /// When it was made, or committed.
    pub created: Time,
    /// When it was last changed.
    pub updated: Time,
}

/// What has to be mounted for a snapshot to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `bind` or `overlay`.
    pub kind: &'static str,
    /// A directory, or `overlay`.
    pub source: String,
    /// Each for itself.
    pub options: Vec<String>,
}

impl Mount {
    /// The command that mounts it at `target`, as `ctr snapshots mounts` prints it.
    pub fn command(&self, target: &str) -> String {
        let options = self.options.join(",");
        format!("mount -t {} {} {target} -o {options}", self.kind, self.source)
    }
}

impl Client<'_> {
    /// A snapshot.
    pub fn snapshot(&self, key: &str) -> Result<Arc<Snapshot>> {
        let found = self.here().snapshots.get(key).cloned();
        found.ok_or_else(|| StoreError::NoSnapshot { key: key.to_owned() })
    }

    /// The numbers of the directories that a snapshot stands on, the nearest first; its own is not among them.
    pub fn parents(&self, key: &str) -> Result<Vec<u64>> {
        let here = self.here();
        let mut numbers = Vec::new();
        let mut parent = self.snapshot(key)?.parent.clone();
        // A chain is not longer than the table; one that goes in a circle ends there.
        while !parent.is_empty() && numbers.len() <= here.snapshots.len() {
            let found = here.snapshots.get(&parent);
            let found = found.ok_or_else(|| StoreError::NoParent {
                parent: parent.clone(),
            })?;
            numbers.push(found.number);
            parent.clone_from(&found.parent);
        }
        Ok(numbers)
    }

    /// Makes an active snapshot on a committed one, or on nothing if `parent` is empty.
    pub fn prepare(&mut self, key: &str, parent: &str, labels: Labels) -> Result<Mount> {
        self.make_snapshot(SnapshotKind::Active, key, parent, labels)
    }

    /// Makes a read-only view of a committed snapshot.
    pub fn view(&mut self, key: &str, parent: &str, labels: Labels) -> Result<Mount> {
        self.make_snapshot(SnapshotKind::View, key, parent, labels)
    }

    fn make_snapshot(
        &mut self,
        kind: SnapshotKind,
        key: &str,
        parent: &str,
        labels: Labels,
    ) -> Result<Mount> {
        check_labels(&labels)?;
        let here = self.here();
        if here.snapshots.has(key) {
            return Err(StoreError::SnapshotTaken { key: key.to_owned() });
        }
        let below = match parent {
            "" => None,
            parent => Some(here.snapshots.get(parent).ok_or_else(|| StoreError::NoParent {
                parent: parent.to_owned(),
            })?),
        };
        let name = self.snapshotter_name(key);
        if let Some(below) = below.filter(|below| below.kind != SnapshotKind::Committed) {
            return Err(StoreError::ParentNotCommitted {
                name: below.name.clone(),
            });
        }
        let number = self.store.last_directory + 1;
        let has_work = kind == SnapshotKind::Active;
        self.disk
            .make(number, below.map(|below| below.number), has_work, self.now)?;
        self.store.last_directory = number;
        Arc::make_mut(&mut self.store.directories).push(number);
        let now = self.now;
        let snapshot = Snapshot {
            parent: parent.to_owned(),
            kind,
            labels,
            number,
            name,
            usage: None,
            created: now,
            updated: now,
        };
        self.here_mut().snapshots.put(key, snapshot);
        self.keep_snapshot(key, true);
        let mount = self.mounts(key)?;
        let rule = match (kind, mount.kind) {
            (SnapshotKind::View, _) => Rule::SnapshotViewed,
            (_, "bind") => Rule::SnapshotPreparedBind,
            _ => Rule::SnapshotPreparedOverlay,
        };
        let event = Event::new(rule, Kind::Snapshot, key);
        let event = event.text(mount.command("DIR")).other(parent).count(number);
        self.tell(event.disk(made(number, has_work)));
        Ok(mount)
    }

    /// The snapshotter's own name for a key: the namespace's next number makes it unlike all others
    /// (metadata/snapshot.go, `createKey`).
    fn snapshotter_name(&mut self, key: &str) -> String {
        let here = self.here_mut();
        here.last_snapshot += 1;
        let number = here.last_snapshot;
        format!("{}/{number}/{key}", self.namespace)
    }

    /// What has to be mounted to see an active snapshot or a view (snapshots/overlay/overlay.go, `mounts`).
    pub fn mounts(&self, key: &str) -> Result<Mount> {
        let snapshot = self.snapshot(key)?;
        let fs = |number: u64| format!("{}/{number}/fs", snapshots_of(self.disk.root()));
        let bind = |source: String, mode: &str| Mount {
            kind: "bind",
            source,
            options: vec![mode.to_owned(), "rbind".to_owned()],
        };
        let parents = self.parents(key)?;
        let mut options = vec!["index=off".to_owned()];
        match (snapshot.kind, &parents[..]) {
            (SnapshotKind::Committed, _) => {
                return Err(StoreError::NoMounts {
                    name: snapshot.name.clone(),
                });
            }
            (SnapshotKind::View, []) => return Ok(bind(fs(snapshot.number), "ro")),
            (SnapshotKind::View, [parent]) => return Ok(bind(fs(*parent), "ro")),
            (SnapshotKind::Active, []) => return Ok(bind(fs(snapshot.number), "rw")),
            (SnapshotKind::View, _) => {}
            (SnapshotKind::Active, _) => {
                let work = format!("{}/{}/work", snapshots_of(self.disk.root()), snapshot.number);
                options.push(format!("workdir={work}"));
                options.push(format!("upperdir={}", fs(snapshot.number)));
            }
        }
        let lowers: Vec<String> = parents.iter().map(|number| fs(*number)).collect();
        options.push(format!("lowerdir={}", lowers.join(":")));
        Ok(Mount {
            kind: "overlay",
            source: "overlay".to_owned(),
            options,
        })
    }

    /// Commits an active snapshot under a name. Its directory stays where it is, its `work` too.
    pub fn commit(&mut self, name: &str, key: &str, labels: Labels) -> Result<()> {
        check_labels(&labels)?;
        if self.here().snapshots.has(name) {
            return Err(StoreError::SnapshotTaken { key: name.to_owned() });
        }
        let snapshot = self.snapshot(key)?;
        if snapshot.kind != SnapshotKind::Active {
            return Err(StoreError::NotActive {
                name: snapshot.name.clone(),
            });
        }
        let usage = self.disk.usage(snapshot.number)?;
        let own = self.snapshotter_name(name);
        let now = self.now;
        let here = self.here_mut();
        here.snapshots.remove(key);
        let committed = Snapshot {
            parent: snapshot.parent.clone(),
            kind: SnapshotKind::Committed,
            labels,
            number: snapshot.number,
            name: own,
            usage: Some(usage),
            created: now,
            updated: now,
        };
        here.snapshots.put(name, committed);
        self.keep_snapshot(key, false);
        self.keep_snapshot(name, true);
        let event = Event::new(Rule::SnapshotCommitted, Kind::Snapshot, name);
        self.tell(event.text(key).count(snapshot.number));
        Ok(())
    }

    /// Takes a snapshot that nothing stands on out of the namespace. Its directory goes when garbage is collected.
    pub fn remove_snapshot(&mut self, key: &str) -> Result<()> {
        let snapshot = self.snapshot(key)?;
        let here = self.here_mut();
        if here.snapshots.iter().any(|(_, other)| other.parent == key) {
            return Err(StoreError::HasChildren { key: key.to_owned() });
        }
        here.snapshots.remove(key);
        self.keep_snapshot(key, false);
        self.store.is_dirty = true;
        let event = Event::new(Rule::SnapshotRemoved, Kind::Snapshot, key);
        self.tell(event.count(snapshot.number));
        Ok(())
    }

    /// How much is in a snapshot: of a committed one as it was then, else as it is now.
    pub fn usage(&self, key: &str) -> Result<Usage> {
        let snapshot = self.snapshot(key)?;
        match (snapshot.kind, snapshot.usage) {
            (_, Some(usage)) => Ok(usage),
            (SnapshotKind::Active, None) => Ok(self.disk.usage(snapshot.number)?),
            (_, None) => Ok(Usage::default()),
        }
    }

    /// Sets labels of a snapshot; an empty value takes one off.
    pub fn label_snapshot(&mut self, key: &str, set: &[(String, String)]) -> Result<()> {
        let now = self.now;
        let snapshot = self.found_mut().and_then(|here| here.snapshots.get_mut(key));
        let snapshot = snapshot.ok_or_else(|| StoreError::NoSnapshot { key: key.to_owned() })?;
        let mut labels = snapshot.labels.clone();
        set_labels(&mut labels, set)?;
        snapshot.labels = labels;
        snapshot.updated = now;
        for (label, value) in set {
            let rule = match value.is_empty() {
                true => Rule::LabelRemoved,
                false => Rule::LabelSet,
            };
            self.tell(Event::new(rule, Kind::Snapshot, key).text(label).other(value));
        }
        Ok(())
    }
}

/// Where the directories of snapshots are, in the directory of containerd.
pub fn snapshots_of(root: &str) -> String {
    format!("{root}/io.containerd.snapshotter.v1.overlayfs/snapshots")
}

/// What making a directory does on the disk.
fn made(number: u64, has_work: bool) -> Changes {
    let path = format!("{}/{number}", snapshots_of("/var/lib/containerd"));
    let mut changes = Changes::one(Sign::Added, format!("{path}/fs"), "directory");
    if has_work {
        changes.add(
            Sign::Added,
            format!("{path}/work").into_bytes(),
            "directory".to_owned(),
        );
    }
    changes
}
