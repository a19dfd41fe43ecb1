//! What images share: blobs by digest, snapshots by ChainID, with what that saves; and what they nearly share, and why not.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::document::Descriptor;
use super::gc::Resource;
use super::{Client, MemoryDisk, Namespace, SnapshotKind, Store, Table};
use crate::content::Content;
use crate::digest::chain_id;
use crate::overlay::mount::{Detail, Row};
use crate::tree::Time;

/// The most pairs of directories that are compared, and the most bytes of files that are read for it: what is larger is
/// not told of.
const PAIRS: usize = 100;
const BYTES: u64 = 64 << 20;

/// What the images of a namespace share. Sizes are bytes; *wire* is what is downloaded, *disk* what the directories take.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sharing {
    /// Each image.
    pub images: Vec<ImageShare>,
    /// Each layer that is unpacked.
    pub layers: Vec<LayerShare>,
    /// What would have to be downloaded more if nothing were shared.
    pub saved_wire: u64,
    /// What directories would take more.
    pub saved_disk: u64,
    /// Layers that are nearly the same.
    pub near: Vec<Near>,
}

/// What an image has for itself, and what others have too.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "`Sharing` says what the words mean")]
pub struct ImageShare {
    pub name: String,
    pub unique_wire: u64,
    pub shared_wire: u64,
    pub unique_disk: u64,
    pub shared_disk: u64,
}

/// A layer that is unpacked.
#[derive(Clone, Debug, Serialize)]
pub struct LayerShare {
    /// The name of its snapshot.
    pub chain_id: String,
    /// Its own.
    pub diff_id: String,
    /// The blobs that it came as.
    pub digests: Vec<String>,
    /// The number of its directory.
    pub number: u64,
    /// The names of the images that stand on it.
    pub images: Vec<String>,
    /// The snapshot that it stands on; empty for none.
    pub parent: String,
    /// What its directory takes.
    pub size_disk: u64,
    /// The size of its blobs.
    pub size_wire: u64,
}

/// Two layers, or two blobs, that are the same but for one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Near {
    /// The one, a ChainID or a digest.
    pub a: String,
    /// The other.
    pub b: String,
    /// What differs: `compression`, `parent`, `owner`, `mode`, `xattrs`, `mtime` or `order`.
    pub reason: &'static str,
    /// What that means.
    pub sentence: &'static str,
}

const SENTENCES: [(&str, &str); 7] = [
    (
        "compression",
        "The same tar, packed in two ways: two blobs to download and keep, one directory.",
    ),
    (
        "parent",
        "The same layer on top of different ones: one blob, but two ChainIDs, so two directories.",
    ),
    ("owner", "The same files with other owners: nothing is shared."),
    (
        "mode",
        "The same files with other permissions: nothing is shared.",
    ),
    (
        "xattrs",
        "The same files with other extended attributes: nothing is shared.",
    ),
    ("mtime", "The same files with other times: nothing is shared."),
    (
        "order",
        "The same files with the same attributes, but the tars differ, in their order or in how they are written: nothing is shared.",
    ),
];

fn near(a: &str, b: &str, reason: &str) -> Near {
    let found = SENTENCES.iter().find(|(name, _)| *name == reason);
    let (reason, sentence) = *found.expect("all reasons have a sentence");
    Near {
        a: a.to_owned(),
        b: b.to_owned(),
        reason,
        sentence,
    }
}

/// What the images of a namespace share.
pub fn sharing(store: &Store, disk: &MemoryDisk, namespace: &str, now: Time) -> Sharing {
    let (mut store, mut disk_now) = (store.clone(), disk.clone());
    let client = Client::new(&mut store, &mut disk_now, namespace, now);
    let here = client.here();
    let reached: Vec<(String, BTreeSet<(Resource, String)>)> = here
        .images
        .iter()
        .map(|(name, _)| (name.to_owned(), here.reached_from(name).into_iter().collect()))
        .collect();
    let mut found = Sharing {
        layers: layers(&client, &here, &reached),
        ..Sharing::default()
    };
    let mut users: BTreeMap<&(Resource, String), u64> = BTreeMap::new();
    for place in reached.iter().flat_map(|(_, own)| own) {
        *users.entry(place).or_default() += 1;
    }
    for (name, own) in &reached {
        let mut share = ImageShare {
            name: name.clone(),
            ..ImageShare::default()
        };
        for place in own {
            let (wire, disk) = sizes(&here, place);
            let (unique, shared) = match users[place] {
                1 => ((wire, disk), (0, 0)),
                _ => ((0, 0), (wire, disk)),
            };
            share.unique_wire += unique.0;
            share.unique_disk += unique.1;
            share.shared_wire += shared.0;
            share.shared_disk += shared.1;
        }
        found.images.push(share);
    }
    for (place, users) in users {
        let (wire, disk) = sizes(&here, place);
        found.saved_wire += (users - 1) * wire;
        found.saved_disk += (users - 1) * disk;
    }
    found.near = nearly(&found.layers, disk);
    found
}

/// What something takes: as a blob, as a directory.
fn sizes(here: &Namespace, (resource, key): &(Resource, String)) -> (u64, u64) {
    let blob = here.content.get(key).filter(|_| *resource == Resource::Blob);
    let snapshot = here
        .snapshots
        .get(key)
        .filter(|_| *resource == Resource::Snapshot);
    let usage = snapshot.and_then(|snapshot| snapshot.usage);
    (
        blob.map_or(0, |blob| blob.size),
        usage.map_or(0, |usage| usage.size),
    )
}

/// The snapshots that images were unpacked to, for any platform.
fn layers(
    client: &Client<'_>,
    here: &Namespace,
    reached: &[(String, BTreeSet<(Resource, String)>)],
) -> Vec<LayerShare> {
    let mut found: Table<LayerShare> = Table::default();
    let targets = here.images.iter().map(|(_, image)| &image.target);
    let targets: BTreeMap<&str, &Descriptor> = targets.map(|target| (&target.digest[..], target)).collect();
    let manifests = targets.into_values().flat_map(|target| client.manifests(target));
    for manifest in manifests {
        let diff_ids = client.diff_ids(&manifest.config).unwrap_or_default();
        let mut below = None;
        for (layer, diff_id) in manifest.layers.iter().zip(&diff_ids) {
            let Ok(parsed) = diff_id.parse() else { break };
            let chain = chain_id(below, parsed);
            below = Some(chain);
            let key = chain.to_string();
            let Some(snapshot) = here.snapshots.get(&key) else {
                break;
            };
            if snapshot.kind != SnapshotKind::Committed {
                break;
            }
            if !found.has(&key) {
                let place = (Resource::Snapshot, key.clone());
                let users = reached.iter().filter(|(_, own)| own.contains(&place));
                let share = LayerShare {
                    chain_id: key.clone(),
                    diff_id: diff_id.clone(),
                    digests: Vec::new(),
                    number: snapshot.number,
                    images: users.map(|(name, _)| name.clone()).collect(),
                    parent: snapshot.parent.clone(),
                    size_disk: snapshot.usage.map_or(0, |usage| usage.size),
                    size_wire: 0,
                };
                found.put(&key, share);
            }
            if let Some(share) = found.get_mut(&key)
                && !share.digests.contains(&layer.digest)
            {
                share.digests.push(layer.digest.clone());
                share.size_wire += here.content.get(&layer.digest).map_or(0, |blob| blob.size);
            }
        }
    }
    let mut layers: Vec<LayerShare> = found.iter().map(|(_, share)| LayerShare::clone(share)).collect();
    layers.sort_by_key(|layer| layer.number);
    layers
}

/// Pairs that are the same but for one thing.
fn nearly(layers: &[LayerShare], disk: &MemoryDisk) -> Vec<Near> {
    let mut found = Vec::new();
    for layer in layers {
        for pair in layer.digests.windows(2) {
            found.push(near(&pair[0], &pair[1], "compression"));
        }
    }
    let mut pairs = 0;
    let mut budget = BYTES;
    for (index, a) in layers.iter().enumerate() {
        for b in &layers[index + 1..] {
            if a.diff_id == b.diff_id {
                found.push(near(&a.chain_id, &b.chain_id, "parent"));
                continue;
            }
            if a.size_disk != b.size_disk || pairs == PAIRS {
                continue;
            }
            pairs += 1;
            if let Some(reason) = differs_in(disk, a.number, b.number, &mut budget) {
                found.push(near(&a.chain_id, &b.chain_id, reason));
            }
        }
    }
    found
}

/// In what two directories of the same files differ; none if they are not of the same files, or too large to be compared.
fn differs_in(disk: &MemoryDisk, a: u64, b: u64, budget: &mut u64) -> Option<&'static str> {
    let (a, b) = (disk.directory(a)?, disk.directory(b)?);
    if a.len() != b.len() || a.is_empty() {
        return None;
    }
    let (a, b) = (a.rows(), b.rows());
    if a.len() != b.len() {
        return None;
    }
    let mut reasons = BTreeSet::new();
    for (a, b) in a.iter().zip(&b) {
        if a.path != b.path || !is_same_thing(&a.detail, &b.detail, budget) {
            return None;
        }
        reasons.extend(differing(a, b));
    }
    let order = ["owner", "mode", "xattrs", "mtime"];
    let first = order.into_iter().find(|reason| reasons.contains(reason));
    Some(first.unwrap_or("order"))
}

fn differing(a: &Row, b: &Row) -> Vec<&'static str> {
    let is_directory = matches!(a.detail, Detail::Directory);
    // Whiteouts have the time at which they were made, and directories without an entry too.
    let is_made = matches!(a.detail, Detail::Whiteout);
    let differences = [
        (!is_made && (a.uid, a.gid) != (b.uid, b.gid), "owner"),
        (!is_made && a.mode != b.mode, "mode"),
        (a.xattrs != b.xattrs, "xattrs"),
        (!is_made && !is_directory && a.mtime != b.mtime, "mtime"),
    ];
    let found = differences.into_iter().filter(|(differs, _)| *differs);
    found.map(|(_, reason)| reason).collect()
}

fn is_same_thing(a: &Detail, b: &Detail, budget: &mut u64) -> bool {
    match (a, b) {
        (Detail::File(a), Detail::File(b)) => is_same_content(a, b, budget),
        (Detail::Symlink(a), Detail::Symlink(b)) => a == b,
        (Detail::CharDevice(a), Detail::CharDevice(b)) => a == b,
        (Detail::BlockDevice(a), Detail::BlockDevice(b)) => a == b,
        (Detail::Directory, Detail::Directory)
        | (Detail::Fifo, Detail::Fifo)
        | (Detail::Whiteout, Detail::Whiteout) => true,
        _ => false,
    }
}

fn is_same_content(a: &Content, b: &Content, budget: &mut u64) -> bool {
    if a.len() != b.len() || *budget < a.len() {
        return false;
    }
    if a.is_same(b) {
        return true;
    }
    *budget -= a.len();
    matches!((a.digest(), b.digest()), (Ok(a), Ok(b)) if a == b)
}
