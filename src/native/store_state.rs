//! A store's metadata as the one file that stands for containerd's databases: JSON with a version, so that a later
//! handroll can tell.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::content::{Content, ContentError};
use crate::store::{
    Blob, Container, Descriptor, Image, Labels, Lease, Namespace, Snapshot, SnapshotKind, Store, Table, Task,
    Usage,
};
use crate::tree::Time;

/// What the member `handroll_store` says of files like this.
pub(super) const VERSION: u64 = 1;

/// The most bytes of a container's configuration: handroll's own have a few thousand.
const SPEC_LIMIT: u64 = 16 << 20;

/// A file that is no metadata of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StateError {
    /// It is no JSON, or nothing of handroll's.
    #[error("it is not a handroll store's: {reason}")]
    Foreign { reason: String },
    /// A newer handroll wrote it.
    #[error("its version is {found}, and this handroll knows {VERSION}: use a newer handroll")]
    Version { found: u64 },
    /// Something in it is not as it must be.
    #[error("at {place}: expected {expected}")]
    Member { place: String, expected: &'static str },
}

type Result<T> = std::result::Result<T, StateError>;

fn time(time: Time) -> Value {
    json!([time.seconds, time.nanos])
}

fn table<T>(table: &Table<T>, row: impl Fn(&T) -> Value) -> Value {
    let rows = table.iter().map(|(key, value)| (key.to_owned(), row(value)));
    Value::Object(rows.collect())
}

/// The file of a store.
pub(super) fn encode(store: &Store) -> std::result::Result<Vec<u8>, ContentError> {
    let mut namespaces = Map::new();
    for (name, namespace) in store.namespaces.iter() {
        namespaces.insert(name.to_owned(), encode_namespace(namespace)?);
    }
    let json = json!({
        "handroll_store": VERSION,
        "last_directory": store.last_directory,
        "last_unique": store.last_unique,
        "is_dirty": store.is_dirty,
        "blobs": table(&store.blobs, |size| json!(size)),
        "directories": *store.directories,
        "namespaces": namespaces,
    });
    Ok(json.to_string().into_bytes())
}

fn encode_namespace(namespace: &Namespace) -> std::result::Result<Value, ContentError> {
    let mut containers = Map::new();
    for (id, container) in namespace.containers.iter() {
        containers.insert(id.to_owned(), encode_container(container)?);
    }
    Ok(json!({
        "labels": namespace.labels,
        "last_snapshot": namespace.last_snapshot,
        "content": table(&namespace.content, |blob: &Blob| json!({
            "size": blob.size,
            "labels": blob.labels,
            "created": time(blob.created),
            "updated": time(blob.updated),
        })),
        "images": table(&namespace.images, |image: &Image| json!({
            "target": encode_descriptor(&image.target),
            "labels": image.labels,
            "created": time(image.created),
            "updated": time(image.updated),
        })),
        "snapshots": table(&namespace.snapshots, |snapshot: &Snapshot| json!({
            "parent": snapshot.parent,
            "kind": snapshot.kind.name(),
            "labels": snapshot.labels,
            "number": snapshot.number,
            "name": snapshot.name,
            "usage": snapshot.usage.map(|usage| json!([usage.size, usage.inodes])),
            "created": time(snapshot.created),
            "updated": time(snapshot.updated),
        })),
        "leases": table(&namespace.leases, |lease: &Lease| json!({
            "labels": lease.labels,
            "created": time(lease.created),
            "content": lease.content,
            "snapshots": lease.snapshots,
        })),
        "containers": containers,
    }))
}

fn encode_descriptor(descriptor: &Descriptor) -> Value {
    json!({
        "media_type": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
        "platform": descriptor.platform.as_ref().map(|platform| json!({
            "os": platform.os,
            "architecture": platform.architecture,
            "variant": platform.variant,
        })),
        "annotations": descriptor.annotations,
    })
}

fn encode_container(container: &Container) -> std::result::Result<Value, ContentError> {
    let spec = container.spec.read_all(SPEC_LIMIT)?;
    Ok(json!({
        "image": container.image,
        "runtime": container.runtime,
        "snapshotter": container.snapshotter,
        "snapshot": container.snapshot,
        "labels": container.labels,
        // A configuration is JSON, so it is text.
        "spec": String::from_utf8_lossy(&spec),
        "created": time(container.created),
        "updated": time(container.updated),
        "task": container.task.map(|task| json!([task.pid, task.exit])),
    }))
}

/// Directories are looked for by halves, and what is not found is swept.
fn in_order(mut directories: Vec<u64>) -> Vec<u64> {
    directories.sort_unstable();
    directories.dedup();
    directories
}

/// The store of a file.
pub(super) fn decode(bytes: &[u8]) -> Result<Store> {
    let foreign = |reason: String| StateError::Foreign { reason };
    let json: Value = serde_json::from_slice(bytes).map_err(|error| foreign(error.to_string()))?;
    let root = Reader {
        json: &json,
        place: String::new(),
    };
    match json.get("handroll_store").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(found) => return Err(StateError::Version { found }),
        None => return Err(foreign("the member `handroll_store` is missing".to_owned())),
    }
    Ok(Store {
        namespaces: root.member("namespaces").table(decode_namespace)?,
        blobs: root.member("blobs").table(|size| size.number())?,
        directories: Arc::new(in_order(
            root.member("directories").list(|number| number.number())?,
        )),
        last_directory: root.member("last_directory").number()?,
        last_unique: root.member("last_unique").number()?,
        is_dirty: root.member("is_dirty").is_true()?,
    })
}

/// A value, and where it stands.
struct Reader<'a> {
    json: &'a Value,
    place: String,
}

impl<'a> Reader<'a> {
    fn expected<T>(&self, expected: &'static str, found: Option<T>) -> Result<T> {
        found.ok_or_else(|| StateError::Member {
            place: self.place.clone(),
            expected,
        })
    }

    /// A member; `null` if there is none.
    fn member(&self, name: &str) -> Self {
        Self {
            json: self.json.get(name).unwrap_or(&Value::Null),
            place: format!("{}/{name}", self.place),
        }
    }

    fn element(&self, number: usize) -> Self {
        Self {
            json: self.json.get(number).unwrap_or(&Value::Null),
            place: format!("{}/{number}", self.place),
        }
    }

    fn present(self) -> Option<Self> {
        (!self.json.is_null()).then_some(self)
    }

    fn number(&self) -> Result<u64> {
        self.expected("a number", self.json.as_u64())
    }

    fn number_32(&self) -> Result<u32> {
        let number = self.json.as_u64().and_then(|number| number.try_into().ok());
        self.expected("a number of 32 bits", number)
    }

    fn signed(&self) -> Result<i64> {
        self.expected("a number", self.json.as_i64())
    }

    fn is_true(&self) -> Result<bool> {
        self.expected("true or false", self.json.as_bool())
    }

    fn text(&self) -> Result<String> {
        self.expected("a text", self.json.as_str().map(str::to_owned))
    }

    fn list<T>(&self, element: impl Fn(&Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.expected("a list", self.json.as_array().map(Vec::len))?;
        (0..count).map(|number| element(&self.element(number))).collect()
    }

    fn members(&self) -> Result<impl Iterator<Item = (&'a str, Self)>> {
        let members = self.expected("an object", self.json.as_object())?;
        let place = self.place.clone();
        Ok(members.iter().map(move |(name, json)| {
            let place = format!("{place}/{name}");
            (name.as_str(), Self { json, place })
        }))
    }

    fn table<T>(&self, row: impl Fn(&Self) -> Result<T>) -> Result<Table<T>> {
        let mut table = Table::default();
        for (key, member) in self.members()? {
            table.put(key, row(&member)?);
        }
        Ok(table)
    }

    fn labels(&self) -> Result<Labels> {
        self.members()?
            .map(|(key, value)| Ok((key.to_owned(), value.text()?)))
            .collect()
    }

    fn time(&self) -> Result<Time> {
        Ok(Time {
            seconds: self.element(0).signed()?,
            nanos: self.element(1).number_32()?,
        })
    }
}

fn decode_namespace(json: &Reader<'_>) -> Result<Namespace> {
    Ok(Namespace {
        labels: json.member("labels").labels()?,
        last_snapshot: json.member("last_snapshot").number()?,
        content: json.member("content").table(|blob| {
            Ok(Blob {
                size: blob.member("size").number()?,
                labels: blob.member("labels").labels()?,
                created: blob.member("created").time()?,
                updated: blob.member("updated").time()?,
            })
        })?,
        images: json.member("images").table(|image| {
            Ok(Image {
                target: decode_descriptor(&image.member("target"))?,
                labels: image.member("labels").labels()?,
                created: image.member("created").time()?,
                updated: image.member("updated").time()?,
            })
        })?,
        snapshots: json.member("snapshots").table(decode_snapshot)?,
        containers: json.member("containers").table(decode_container)?,
        leases: json.member("leases").table(|lease| {
            let keys = |name: &str| lease.member(name).list(|key| key.text());
            Ok(Lease {
                labels: lease.member("labels").labels()?,
                created: lease.member("created").time()?,
                content: keys("content")?.into_iter().collect(),
                snapshots: keys("snapshots")?.into_iter().collect(),
            })
        })?,
    })
}

fn decode_descriptor(json: &Reader<'_>) -> Result<Descriptor> {
    let platform = json.member("platform").present().map(|platform| {
        let variant = platform.member("variant").present();
        Ok(crate::image::Platform {
            os: platform.member("os").text()?,
            architecture: platform.member("architecture").text()?,
            variant: variant.map(|variant| variant.text()).transpose()?,
        })
    });
    Ok(Descriptor {
        media_type: json.member("media_type").text()?,
        digest: json.member("digest").text()?,
        size: json.member("size").signed()?,
        platform: platform.transpose()?,
        annotations: json.member("annotations").labels()?,
    })
}

fn decode_snapshot(json: &Reader<'_>) -> Result<Snapshot> {
    let kind = json.member("kind");
    let kinds = [SnapshotKind::Committed, SnapshotKind::Active, SnapshotKind::View];
    let named = kind.text()?;
    let known = kinds.into_iter().find(|kind| kind.name() == named);
    let usage = json.member("usage").present().map(|usage| {
        Ok(Usage {
            size: usage.element(0).number()?,
            inodes: usage.element(1).number()?,
        })
    });
    Ok(Snapshot {
        parent: json.member("parent").text()?,
        kind: kind.expected("a kind of snapshots", known)?,
        labels: json.member("labels").labels()?,
        number: json.member("number").number()?,
        name: json.member("name").text()?,
        usage: usage.transpose()?,
        created: json.member("created").time()?,
        updated: json.member("updated").time()?,
    })
}

fn decode_container(json: &Reader<'_>) -> Result<Container> {
    let task = json.member("task").present().map(|task| {
        let exit = task.element(1).present();
        Ok(Task {
            pid: task.element(0).number_32()?,
            exit: exit.map(|exit| exit.number_32()).transpose()?,
        })
    });
    Ok(Container {
        image: json.member("image").text()?,
        runtime: json.member("runtime").text()?,
        snapshotter: json.member("snapshotter").text()?,
        snapshot: json.member("snapshot").text()?,
        labels: json.member("labels").labels()?,
        spec: Content::inline(json.member("spec").text()?.into_bytes()),
        created: json.member("created").time()?,
        updated: json.member("updated").time()?,
        task: task.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Store {
        let labels: Labels = [("a".to_owned(), "b \"c\"".to_owned())].into();
        let at = |seconds| Time { seconds, nanos: 5 };
        let mut namespace = Namespace {
            labels: labels.clone(),
            last_snapshot: 3,
            ..Namespace::default()
        };
        let blob = Blob {
            size: u64::MAX,
            labels: labels.clone(),
            created: at(-1),
            updated: at(2),
        };
        namespace.content.put("sha256:00", blob);
        let target = Descriptor {
            media_type: "m".to_owned(),
            digest: "sha256:00".to_owned(),
            size: -1,
            platform: Some(crate::image::Platform::default()),
            annotations: labels.clone(),
        };
        let image = Image {
            target,
            labels: labels.clone(),
            created: at(1),
            updated: at(2),
        };
        namespace.images.put("é", image);
        for (key, kind, usage) in [
            ("one", SnapshotKind::Committed, Some(Usage { size: 1, inodes: 2 })),
            ("two", SnapshotKind::Active, None),
        ] {
            let snapshot = Snapshot {
                parent: String::new(),
                kind,
                labels: labels.clone(),
                number: 7,
                name: format!("ns/1/{key}"),
                usage,
                created: at(1),
                updated: at(2),
            };
            namespace.snapshots.put(key, snapshot);
        }
        let task = |exit| Some(Task { pid: 5, exit });
        for (id, task) in [("a", None), ("b", task(None)), ("c", task(Some(3)))] {
            let container = Container {
                image: "i".to_owned(),
                runtime: "r".to_owned(),
                snapshotter: "s".to_owned(),
                snapshot: "k".to_owned(),
                labels: labels.clone(),
                spec: Content::inline(*b"{\"a\":1}"),
                created: at(1),
                updated: at(2),
                task,
            };
            namespace.containers.put(id, container);
        }
        let lease = Lease {
            labels,
            created: at(1),
            content: ["sha256:00".to_owned()].into(),
            snapshots: ["one".to_owned(), "two".to_owned()].into(),
        };
        namespace.leases.put("l", lease);
        let mut store = Store {
            directories: Arc::new(vec![7]),
            last_directory: 7,
            last_unique: 9,
            is_dirty: true,
            ..Store::default()
        };
        store.namespaces.put("default", namespace);
        store.blobs.put("sha256:00", 5);
        store
    }

    #[test]
    fn a_store_comes_back_as_it_was() {
        let bytes = encode(&full()).unwrap();
        let back = decode(&bytes).unwrap();
        assert_eq!(encode(&back).unwrap(), bytes);
        assert_eq!(format!("{back:?}").len(), format!("{:?}", full()).len());
    }

    /// Whatever member is missing or of another kind is told with its place.
    #[test]
    fn what_is_not_as_it_must_be_has_a_place() {
        let bytes = encode(&full()).unwrap();
        let json: Value = serde_json::from_slice(&bytes).unwrap();
        let mut places = Vec::new();
        paths(&json, String::new(), &mut places);
        assert!(places.len() > 50);
        for place in places {
            let mut changed = json.clone();
            *changed.pointer_mut(&place).unwrap() = json!({"no": ["such"]});
            if let Err(error) = decode(changed.to_string().as_bytes()) {
                let error = error.to_string();
                let is_told =
                    error.contains(place.split('/').nth(1).unwrap()) || error.contains("handroll_store");
                assert!(is_told, "{place}: {error}");
            }
        }
        let future = json!({"handroll_store": 2}).to_string();
        assert_eq!(
            decode(future.as_bytes()).err(),
            Some(StateError::Version { found: 2 })
        );
        for foreign in ["", "{}", "[]", "bolt"] {
            let error = decode(foreign.as_bytes()).err();
            assert!(matches!(error, Some(StateError::Foreign { .. })), "{foreign}");
        }
    }

    fn paths(json: &Value, path: String, found: &mut Vec<String>) {
        if !path.is_empty() {
            found.push(path.clone());
        }
        match json {
            Value::Object(members) => {
                for (name, value) in members {
                    paths(
                        value,
                        format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")),
                        found,
                    );
                }
            }
            Value::Array(values) => {
                for (number, value) in values.iter().enumerate() {
                    paths(value, format!("{path}/{number}"), found);
                }
            }
            _ => {}
        }
    }
}
