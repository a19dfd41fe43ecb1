//! containerd and a store to which the same is done, and what both have then.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use handroll::content::Content;
use handroll::overlay::mount::{Detail, Upper};
use handroll::scratch::MemorySpace;
use handroll::store::{
    self, Client, Import, MemoryDisk, Namespace, Platforms, SnapshotKind, Store, Summaries, files_of,
    snapshots_of,
};
use handroll::text::escape;
use handroll::tree::Time;

use super::cases::{self, Seen};
use super::rig::containerd::Containerd;
use super::rig::{ok, text};
use super::runtimes::{Found, look};
use super::support::tmpfs;

const NAMESPACE: &str = "handroll";
/// When everything happens in the store.
const NOW: Time = Time::at(1_650_000_000);

/// containerd, and a store to which the same is done.
pub struct Both {
    pub containerd: Containerd,
    started: SystemTime,
    pub store: Store,
    disk: MemoryDisk,
}

/// What came of a command: what failed, in the words after `ctr: `.
pub type Outcome = Result<(), String>;

impl Both {
    pub fn start() -> Self {
        Self {
            containerd: Containerd::start_in(tmpfs()),
            started: SystemTime::now() - Duration::from_secs(1),
            store: Store::default(),
            disk: MemoryDisk::new(Arc::new(MemorySpace)),
        }
    }

    pub fn client(&mut self) -> Client<'_> {
        Client::new(&mut self.store, &mut self.disk, NAMESPACE, NOW)
    }

    /// `ctr images import` of both, with the same outcome.
    pub fn import(&mut self, archive: &Path, flags: &[&str], how: &Import, unpack: bool) -> Outcome {
        let mut ctr = self.containerd.ctr(&["images", "import"]);
        if !unpack {
            ctr.arg("--no-unpack");
        }
        let theirs = outcome(ctr.args(flags).arg(archive));
        let mut client = self.client();
        let ours = import(&mut client, archive, how, unpack);
        assert!(is_same(&ours, &theirs), "we: {ours:?}\nit: {theirs:?}");
        ours
    }

    pub fn imports(&mut self, archive: &Path) {
        self.import(archive, &[], &Import::default(), true).unwrap();
        self.compare();
    }

    /// Another `ctr` of both, with the same outcome.
    pub fn does(
        &mut self,
        arguments: &[&str],
        work: impl FnOnce(&mut Client<'_>) -> store::Result<()>,
    ) -> Outcome {
        let theirs = outcome(&mut self.containerd.ctr(arguments));
        let ours = work(&mut self.client()).map_err(|error| error.to_string());
        assert!(
            is_same(&ours, &theirs),
            "{arguments:?}\nwe: {ours:?}\nit: {theirs:?}"
        );
        ours
    }

    /// Garbage is collected in both: containerd does it when it is asked to wait for it.
    pub fn collect(&mut self) {
        ok(&mut self.containerd.ctr(&["leases", "create", "--id", "last"]));
        ok(&mut self.containerd.ctr(&["leases", "rm", "--sync", "last"]));
        self.client().collect_garbage().unwrap();
    }

    /// All images go, and what was prepared.
    pub fn clear(&mut self) {
        let here = self.client().here();
        let names: Vec<&str> = here.images.keys().collect();
        ok(self.containerd.ctr(&["images", "rm"]).args(&names));
        for name in names {
            self.client().remove_image(name).unwrap();
        }
        self.compare();
        assert!(self.store.directories.is_empty() && self.store.blobs.is_empty());
    }

    /// Both have the same, once garbage is collected.
    pub fn compare(&mut self) {
        self.collect();
        let here = self.client().here();
        self.compare_images(&here);
        self.compare_content(&here);
        self.compare_snapshots(&here);
        self.compare_directories();
    }

    fn compare_images(&mut self, here: &Namespace) {
        let client = self.client();
        let ours: Vec<Vec<String>> = here
            .images
            .iter()
            .map(|(name, image)| {
                let target = &image.target;
                let platforms = Summaries::new(&client)
                    .of(target)
                    .platforms
                    .clone()
                    .unwrap()
                    .join(",");
                vec![
                    name.to_owned(),
                    target.media_type.clone(),
                    target.digest.clone(),
                    platforms,
                ]
            })
            .collect();
        let listed = text(&mut self.containerd.ctr(&["images", "ls"]));
        let theirs: Vec<Vec<String>> = listed.lines().skip(1).map(columns_of_image).collect();
        assert_eq!(ours, theirs);
    }

    fn compare_content(&self, here: &Namespace) {
        let listed = text(&mut self.containerd.ctr(&["content", "ls"]));
        let lines = listed.lines().skip(1).map(|line| {
            let columns: Vec<&str> = line.split('\t').filter(|column| !column.is_empty()).collect();
            let labels = columns[3].split(',').filter(|label| *label != "-");
            (columns[0].to_owned(), labels.map(str::to_owned).collect())
        });
        let theirs: BTreeMap<String, BTreeSet<String>> = lines.collect();
        let ours = here.content.iter().map(|(digest, blob)| {
            let labels = blob.labels.iter().map(|(key, value)| format!("{key}={value}"));
            (digest.to_owned(), labels.collect())
        });
        assert_eq!(ours.collect::<BTreeMap<_, BTreeSet<String>>>(), theirs);
        let root = self
            .containerd
            .root()
            .join("io.containerd.content.v1.content/blobs/sha256");
        let files =
            fs::read_dir(root).map_or_else(|_| Vec::new(), |files| files.map(Result::unwrap).collect());
        let files = files.iter().map(|file| {
            let name = format!("sha256:{}", file.file_name().to_str().unwrap());
            (name, file.metadata().unwrap().len())
        });
        let blobs = self
            .store
            .blobs
            .iter()
            .map(|(digest, size)| (digest.to_owned(), **size));
        assert_eq!(
            blobs.collect::<BTreeMap<_, _>>(),
            files.collect::<BTreeMap<_, _>>()
        );
    }

    pub fn compare_snapshots(&mut self, here: &Namespace) {
        let listed = text(&mut self.containerd.ctr(&["snapshots", "ls"]));
        let ours = here.snapshots.iter().map(|(key, snapshot)| {
            let words = [key, &snapshot.parent, snapshot.kind.name()];
            let words = words.into_iter().filter(|word| !word.is_empty());
            words.map(str::to_owned).collect::<Vec<String>>()
        });
        let theirs = listed.lines().skip(1);
        let theirs = theirs.map(|line| line.split_whitespace().map(str::to_owned).collect());
        assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<Vec<String>>>());
        let root = self.containerd.root().to_str().unwrap().to_owned();
        let listed = text(&mut self.containerd.ctr(&["snapshots", "usage"]));
        let listed = listed.lines().skip(1).map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[0].to_owned(), words[3].to_owned())
        });
        let inodes: BTreeMap<String, String> = listed.collect();
        let mut committed = 0;
        for (key, snapshot) in here.snapshots.iter() {
            let usage = self.client().usage(key).unwrap();
            assert_eq!(Some(&usage.inodes.to_string()), inodes.get(key), "{key}");
            // What is committed has no mounts; the error has the snapshotter's own name for it.
            committed += u32::from(snapshot.kind == SnapshotKind::Committed);
            if snapshot.kind == SnapshotKind::Committed && committed > 5 {
                continue;
            }
            let client = self.client();
            let ours = client.mounts(key).map(|mount| mount.command("/there"));
            let ours = ours.map_err(|error| error.to_string());
            let mut ctr = self.containerd.ctr(&["snapshots", "mounts", "/there", key]);
            let theirs = ctr.output().unwrap();
            let theirs = match theirs.status.success() {
                true => Ok(String::from_utf8(theirs.stdout).unwrap().trim_end().to_owned()),
                false => Err(said(&theirs.stderr)),
            };
            assert_eq!(
                ours.map(|mount| mount.replace("/var/lib/containerd", &root)),
                theirs
            );
        }
    }

    /// Directory by directory, by the numbers that containerd gave them.
    fn compare_directories(&self) {
        let root = snapshots_of(self.containerd.root().to_str().unwrap());
        let directories = fs::read_dir(&root).map_or_else(
            |_| BTreeSet::new(),
            |found| {
                let names = found.map(|entry| entry.unwrap().file_name());
                names
                    .map(|name| name.to_str().unwrap().parse().unwrap())
                    .collect()
            },
        );
        let ours: BTreeSet<u64> = self.store.directories.iter().copied().collect();
        assert_eq!(ours, directories);
        for number in ours {
            let fs = Path::new(&root).join(number.to_string()).join("fs");
            let Found::Shown(theirs) = look(&fs, self.started) else {
                panic!("a directory is shown");
            };
            let ours = shown(self.disk.directory(number).expect("it is listed"));
            let paths: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for path in paths {
                assert_eq!(ours.get(path), theirs.get(path), "{number}: {path}");
            }
        }
    }
}

/// The same outcome. Of an entry that cannot be applied containerd also names the system call, the name, and paths on
/// its disk.
fn is_same(ours: &Outcome, theirs: &Outcome) -> bool {
    let (Err(ours), Err(theirs)) = (ours, theirs) else {
        return ours == theirs;
    };
    if ours == theirs {
        return true;
    }
    let parts = |text: &str| {
        let (layer, why) = text
            .strip_prefix("failed to extract layer ")?
            .split_at_checked(73)?;
        Some((layer.to_owned(), why.strip_suffix(": unknown")?.to_owned()))
    };
    match (parts(ours), parts(theirs)) {
        (Some((layer, ours)), Some((same, theirs))) => layer == same && theirs.contains(&ours),
        _ => false,
    }
}

/// What a command failed with.
pub fn outcome(ctr: &mut Command) -> Outcome {
    let output = ctr.output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(said(&output.stderr)),
    }
}

/// The line of standard error that begins with `ctr: `.
fn said(stderr: &[u8]) -> String {
    let stderr = String::from_utf8_lossy(stderr);
    let line = stderr.lines().find_map(|line| line.strip_prefix("ctr: "));
    line.unwrap_or_else(|| panic!("ctr gives no reason: {stderr}"))
        .to_owned()
}

/// What `ctr images import` does.
fn import(client: &mut Client<'_>, archive: &Path, how: &Import, unpack: bool) -> Outcome {
    let files = files_of(&Content::inline(fs::read(archive).unwrap()));
    let images = files.and_then(|files| client.import(&files, how));
    let images = images.map_err(|error| error.to_string())?;
    for (_, target) in images.iter().filter(|_| unpack) {
        let done = client.unpack(target, &Platforms::default());
        done.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Name, media type, digest and platforms of a line of `ctr images ls`; the size is two words.
fn columns_of_image(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    [0, 1, 2, 5].map(|column| words[column].to_owned()).to_vec()
}

/// A directory of the store, as [`look`] says it of one on disk.
fn shown(upper: &Upper) -> BTreeMap<String, String> {
    let mut firsts = BTreeMap::new();
    let lines = upper.rows().into_iter().map(|row| {
        let path = match &row.path[..] {
            b"/" => ".".to_owned(),
            path => escape(&path[1..]),
        };
        let (kind, what) = match &row.detail {
            Detail::Directory => ('d', String::new()),
            Detail::File(content) => (
                'f',
                cases::short(content.len(), || content.read_all(u64::MAX).unwrap()),
            ),
            Detail::Symlink(target) => ('l', escape(target)),
            Detail::CharDevice(device) => ('c', format!("{}:{}", device.major, device.minor)),
            Detail::BlockDevice(device) => ('b', format!("{}:{}", device.major, device.minor)),
            Detail::Fifo => ('p', String::new()),
            Detail::Whiteout => ('c', "0:0".to_owned()),
            Detail::Socket | Detail::Missing(_) => panic!("no layer has such"),
        };
        let first = firsts.entry(row.ino).or_insert_with(|| path.clone()).clone();
        let seen = Seen {
            kind,
            mode: row.mode.into(),
            uid: row.uid,
            gid: row.gid,
            mtime: (row.mtime != NOW).then_some((row.mtime.seconds, row.mtime.nanos)),
            xattrs: row.xattrs.into_iter().collect(),
            what,
            same_as: (first != path).then_some(first),
        };
        (path, seen.line(escape, true))
    });
    lines.collect()
}
