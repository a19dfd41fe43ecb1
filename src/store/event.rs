//! What happens in a store, in order, by rules with stable names.

use crate::rules::{fill, rules};
use crate::text::escape;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A blob of the content store, by its digest.
    Blob,
    /// An image, by its name.
    Image,
    /// A snapshot, by its key.
    Snapshot,
    /// A container, by its id.
    Container,
    /// A lease, by its id.
    Lease,
}

impl Kind {
    /// A stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Image => "image",
            Self::Snapshot => "snapshot",
            Self::Container => "container",
            Self::Lease => "lease",
        }
    }
}

/// What became of something on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It was made.
    Added,
    /// It was taken away.
    Removed,
    /// It was there and is another now.
    Changed,
}

/// One change on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What became of it.
    pub sign: Sign,
    /// Where: from the root of the machine, or, of what a layer does, from its snapshot's directory.
    pub path: Vec<u8>,
    /// What it is.
    pub what: String,
}

/// The most changes of one event that are kept; the others are counted.
pub const CHANGES: usize = 200;

/// Changes on the disk, of which the first are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The first [`CHANGES`].
    pub kept: Vec<Change>,
    /// How many there were.
    pub count: u64,
}

impl Changes {
    /// Notes one.
    pub fn add(&mut self, sign: Sign, path: Vec<u8>, what: String) {
        if self.kept.len() < CHANGES {
            self.kept.push(Change { sign, path, what });
        }
        self.count += 1;
    }

    /// A single one.
    pub fn one(sign: Sign, path: impl Into<Vec<u8>>, what: impl Into<String>) -> Self {
        let mut changes = Self::default();
        changes.add(sign, path.into(), what.into());
        changes
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// By which rule.
    pub rule: Rule,
    /// What it is about.
    pub kind: Kind,
    /// Which one.
    pub key: String,
    /// A further name or digest, as the rule has it.
    pub text: String,
    /// One more.
    pub other: String,
    /// How many bytes, entries or things, as the rule has it.
    pub count: u64,
    /// What it did on the disk.
    pub disk: Changes,
}

impl Event {
    /// An event without anything else.
    pub fn new(rule: Rule, kind: Kind, key: impl Into<String>) -> Self {
        Self {
            rule,
            kind,
            key: key.into(),
            text: String::new(),
            other: String::new(),
            count: 0,
            disk: Changes::default(),
        }
    }

    /// With a further name.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// With one more.
    pub fn other(mut self, other: impl Into<String>) -> Self {
        self.other = other.into();
        self
    }

    /// With a number.
    pub fn count(mut self, count: u64) -> Self {
        self.count = count;
        self
    }

    /// With what it did on the disk.
    pub fn disk(mut self, disk: Changes) -> Self {
        self.disk = disk;
        self
    }

    /// What happened, in one sentence; digests are shortened to twelve digits.
    pub fn sentence(&self) -> String {
        let parts = [
            ("{key}", shown(&self.key)),
            ("{text}", shown(&self.text)),
            ("{other}", shown(&self.other)),
            ("{count}", self.count.to_string()),
        ];
        fill(self.rule.sentence(), &parts)
    }
}

/// A text with its digests shortened.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("sha256:") {
        let digits = at + "sha256:".len();
        let hex = rest[digits..].bytes().take_while(u8::is_ascii_hexdigit).count();
        shown.push_str(&rest[..digits + hex.min(12)]);
        if hex > 12 {
            shown.push('…');
        }
        rest = &rest[digits + hex..];
    }
    shown.push_str(rest);
    escape(shown.as_bytes())
}

rules! {
    /// A rule of containerd by which something happens. Its sentence has `{key}`, `{text}`, `{other}` and `{count}`;
    /// its source is a file and function of containerd 1.6.20, or a specification.
    Rule;
    LeaseCreated "lease.created": "{key}: a lease begins; what is written meanwhile is kept, though nothing names it yet.", "containerd, lease.go, WithLease";
    LeaseRemoved "lease.removed": "{key}: the lease ends; from now on only what something names is kept.", "containerd, lease.go, WithLease";
    ContentIngested "content.ingested": "{key}: the {count} bytes of {text} are written to the content store and hashed on the way; the digest becomes the name of the file.", "containerd, images/archive/importer.go, onUntarBlob";
    ContentExists "content.exists": "{key}: {text} has the digest of a blob that is there already, so nothing is kept twice.", "containerd, content/helpers.go, Copy";
    ContentRemoved "content.removed": "{key}: taken out of the list of blobs; its file stays until garbage is collected.", "containerd, metadata/content.go, Delete";
    LabelRef "label.gc_ref": "{key}: labelled {text}, so that whoever keeps this keeps {other} too.", "containerd, images/handlers.go, SetChildrenLabels";
    LabelUncompressed "label.uncompressed": "{key}: labelled {text}: unpacked it is {other}, which has been verified.", "containerd, image.go, Unpack";
    LabelSnapshot "label.gc_snapshot": "{key}: the configuration is labelled {text}, so that whoever keeps it keeps the snapshot {other} with all below.", "containerd, image.go, Unpack";
    LabelSet "label.set": "{key}: labelled {text}={other}.", "containerd, metadata/boltutil/helpers.go, WriteLabels";
    LabelRemoved "label.removed": "{key}: the label {text} is taken off.", "containerd, metadata/boltutil/helpers.go, WriteLabels";
    ImageCreated "image.created": "{key} names {text}, {other}.", "containerd, import.go, Import";
    ImageUpdated "image.updated": "{key} was there; it names {text} from now on, {other}.", "containerd, import.go, Import";
    ImageRemoved "image.removed": "{key}: the name is gone, and nothing else; what nothing names any more is garbage now.", "containerd, metadata/images.go, Delete";
    SnapshotExists "snapshot.exists": "{key}: the layer {text} is there already on top of the same layers, so it is not unpacked again.", "containerd, rootfs/apply.go, ApplyLayerWithOpts";
    SnapshotPreparedBind "snapshot.prepared_bind": "{key}: an empty directory with the number {count}, to be written to; nothing lies below, so its mount is a bind mount: {text}", "containerd, snapshots/overlay/overlay.go, mounts";
    SnapshotPreparedOverlay "snapshot.prepared_overlay": "{key}: an empty directory with the number {count}, to be written to, on top of {other}; its mount is an overlay: {text}", "containerd, snapshots/overlay/overlay.go, mounts";
    SnapshotViewed "snapshot.viewed": "{key}: a read-only view of {other}; its mount: {text}", "containerd, snapshots/overlay/overlay.go, View";
    LayerApplied "layer.applied": "{key}: {count} entries of the layer {text} are unpacked into {other}.", "containerd, archive/tar.go, applyNaive";
    LayerFailed "layer.failed": "{key}: the layer {text} cannot be unpacked: {other}", "containerd, rootfs/apply.go, applyLayers";
    DiffIdVerified "diffid.verified": "{key}: the unpacked tar has {count} bytes and the digest {text}, which is the DiffID that the configuration says.", "containerd, rootfs/apply.go, applyLayers";
    DiffIdWrong "diffid.wrong": "{key}: the unpacked tar has the digest {text}, and the configuration says {other}: this layer is given up, those below stay.", "containerd, rootfs/apply.go, applyLayers";
    SnapshotCommitted "snapshot.committed": "{key}: what was prepared as {text} is committed under this name; directory {count} stays where it is, and nothing is written to it any more.", "containerd, snapshots/overlay/overlay.go, Commit";
    SnapshotRemoved "snapshot.removed": "{key}: taken out of the list of snapshots; directory {count} stays until garbage is collected.", "containerd, metadata/snapshot.go, Remove";
    ContainerCreated "container.created": "{key}: a container of {text} with the snapshot {other}; its config.json is kept with it.", "containerd, client.go, NewContainer";
    ContainerRemoved "container.removed": "{key}: the container is gone; its snapshot {text} goes with it.", "containerd, container_opts.go, WithSnapshotCleanup";
    TaskStarted "task.started": "{key}: the shim has runc make the container and start it, as process {count}.", "containerd, task.go, Start";
    TaskWrote "task.wrote": "{key}: its process calls {text}; {other}", "overlayfs: docs/overlay.md has its rules";
    TaskExited "task.exited": "{key}: the process has ended with {count}; its mounts are taken down.", "containerd, runtime/v2/runc/container.go, Delete";
    TaskDeleted "task.deleted": "{key}: the task is deleted, with its shim and its bundle; the container is left, with what was written.", "containerd, task.go, Delete";
    GcMarked "gc.marked": "Garbage collection begins at the roots (images, containers, leases, what is labelled containerd.io/gc.root) and reaches {count} blobs and snapshots; they stay.", "containerd, metadata/gc.go, scanRoots";
    GcRemoved "gc.removed": "{key}: no root leads to it, so it goes.", "containerd, metadata/gc.go, remove";
    GcBlob "gc.blob": "{key}: no namespace has the blob any more, so its file of {count} bytes is deleted.", "containerd, metadata/content.go, garbageCollect";
    GcDirectory "gc.directory": "{key}: no snapshot has directory {count} any more, so it is deleted with all that is in it.", "containerd, snapshots/overlay/overlay.go, Cleanup";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_have_short_digests() {
        let digest = crate::digest::Digest::of(b"").to_string();
        let event = Event::new(Rule::LabelSet, Kind::Blob, &digest)
            .text("a{other}")
            .other("sha256:12");
        assert_eq!(
            event.sentence(),
            "sha256:e3b0c44298fc…: labelled a{other}=sha256:12."
        );
    }

    #[test]
    fn the_documentation_has_every_rule() {
        let page = include_str!("../../docs/store.md");
        let rows: Vec<String> = Rule::ALL
            .iter()
            .map(|rule| {
                let sentence = rule.sentence().replace('{', "<").replace('}', ">");
                format!("| `{}` | {sentence} | {} |", rule.id(), rule.source())
            })
            .collect();
        let missing: Vec<&String> = rows
            .iter()
            .filter(|row| !page.lines().any(|line| line == *row))
            .collect();
        let listed = page.lines().filter(|line| line.starts_with("| `")).count();
        assert!(
            missing.is_empty() && listed == rows.len(),
            "docs/store.md must have:\n{}",
            rows.join("\n")
        );
    }
}
