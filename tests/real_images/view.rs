//! What a root file system shows, path by path with all attributes: of a directory on disk, of an image's layers as
//! handroll shows them, and as it says that a runtime reads them. In bytes, so that no name is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fmt, fs};

use handroll::digest::Digest;
use handroll::layer::dialect::{Fs, Kind};
use handroll::overlay::Stack;
use handroll::text::escape;
use handroll::tree::{Device, Name, Node, Time, Tree};
use handroll::workbench::ImageState;
use rustix::fs::{major, minor};

use super::support::xattrs;

/// What stands at one path: attributes by their names.
pub type Shown = BTreeMap<String, String>;

/// All paths below a root; the root itself is the empty path.
pub type View = BTreeMap<Vec<u8>, Shown>;

/// A time that is no attribute, but the moment of unpacking.
const NOW: &str = "now";

/// An attribute in which two views differ.
pub struct Difference {
    /// What it is called, and of which path; `kind` is absent where there is nothing.
    pub what: String,
    /// What each view shows.
    values: [String; 2],
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = &self.values;
        write!(f, "{} is {one}, not {other}", self.what)
    }
}

/// In what two views differ, in the order of the paths.
pub fn differences(one: &View, other: &View) -> Vec<Difference> {
    let paths: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let mut found = Vec::new();
    for path in paths {
        let shown = [one.get(path), other.get(path)];
        let names: BTreeSet<&str> = match shown {
            [Some(one), Some(other)] => one.keys().chain(other.keys()).map(|name| &name[..]).collect(),
            _ => BTreeSet::from(["kind"]),
        };
        for name in names {
            let value = |shown: Option<&Shown>| shown.and_then(|shown| shown.get(name)).cloned();
            let values = shown.map(|shown| value(shown).unwrap_or_else(|| "absent".to_owned()));
            if values[0] != values[1] {
                let what = format!("{name} of /{}", escape(path));
                found.push(Difference { what, values });
            }
        }
    }
    found
}

/// The attributes of one path, but for its name.
struct Facts<'a> {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    /// None for the moment of unpacking.
    mtime: Option<Time>,
    /// Size and digest of a file, target of a link, number of a device.
    what: String,
    xattrs: &'a BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A view that grows; names of one inode are told by the first of them.
struct Views<Inode> {
    view: View,
    inodes: BTreeMap<Inode, Vec<u8>>,
}

impl<Inode: Ord> Views<Inode> {
    fn new() -> Self {
        let (view, inodes) = (View::new(), BTreeMap::new());
        Self { view, inodes }
    }

    fn add(&mut self, path: Vec<u8>, inode: Inode, facts: &Facts) {
        let first = self.inodes.entry(inode).or_insert_with(|| path.clone());
        let mtime = facts.mtime.map_or_else(
            || NOW.to_owned(),
            |time| format!("{}.{:09}", time.seconds, time.nanos),
        );
        let attributes = [
            ("kind", facts.kind.to_owned()),
            ("mode", format!("{:04o}", facts.mode)),
            ("owner", format!("{}:{}", facts.owner.0, facts.owner.1)),
            ("mtime", mtime),
            ("content", facts.what.clone()),
            ("first name", escape(first)),
        ];
        let mut shown: Shown = attributes.map(|(name, value)| (name.to_owned(), value)).into();
        shown.extend(
            facts
                .xattrs
                .iter()
                .map(|(name, value)| (escape(name), escape(value))),
        );
        self.view.insert(path, shown);
    }
}

/// The path of a name in a directory.
fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        [] => name.to_vec(),
        directory => [directory, b"/", name].concat(),
    }
}

fn sized(size: u64, digest: Digest) -> String {
    format!("{size} bytes, {digest}")
}

/// The view of a directory on disk. What was modified after `start` and before now was so by unpacking.
pub fn on_disk(root: &Path, start: SystemTime) -> View {
    let unpacking = since_1970(start)..since_1970(SystemTime::now());
    let mut views = Views::new();
    let mut pending = vec![(root.to_owned(), Vec::new())];
    while let Some((path, name)) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            let children = fs::read_dir(&path)
                .unwrap()
                .map(|child| child.unwrap().file_name());
            let children: BTreeSet<_> = children.collect();
            let child = |child: &OsString| (path.join(child), joined(&name, child.as_bytes()));
            pending.extend(children.iter().rev().map(child));
        }
        let (kind, what) = kind_on_disk(&path, &metadata);
        let mtime = Time {
            seconds: metadata.mtime(),
            nanos: metadata.mtime_nsec() as u32,
        };
        let facts = Facts {
            kind,
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            mtime: (!unpacking.contains(&mtime)).then_some(mtime),
            what,
            xattrs: &xattrs(&path),
        };
        views.add(name, (metadata.dev(), metadata.ino()), &facts);
    }
    views.view
}

fn since_1970(time: SystemTime) -> Time {
    let since = time.duration_since(UNIX_EPOCH).expect("it is after 1970");
    Time {
        seconds: since.as_secs() as i64,
        nanos: since.subsec_nanos(),
    }
}

fn kind_on_disk(path: &Path, metadata: &fs::Metadata) -> (&'static str, String) {
    let kind = metadata.file_type();
    let device = || format!("{}:{}", major(metadata.rdev()), minor(metadata.rdev()));
    match () {
        () if kind.is_dir() => ("directory", String::new()),
        () if kind.is_symlink() => (
            "symlink",
            escape(fs::read_link(path).unwrap().as_os_str().as_bytes()),
        ),
        () if kind.is_file() => {
            let bytes = fs::read(path).unwrap();
            ("file", sized(bytes.len() as u64, Digest::of(&bytes)))
        }
        () if kind.is_char_device() => ("char", device()),
        () if kind.is_block_device() => ("block", device()),
        () if kind.is_fifo() => ("fifo", String::new()),
        () => ("socket", String::new()),
    }
}

/// The merged view of an image's layers, all of which have been read.
pub fn of_image(image: &ImageState) -> View {
    let trees: Vec<&Tree> = image.layers.iter().map(|layer| layer.layer.tree()).collect();
    let stack = Stack::new(trees);
    let mut views = Views::new();
    let mut pending = vec![(stack.root(), Vec::new())];
    while let Some((spot, name)) = pending.pop() {
        let Some((position, ino)) = spot.visible() else {
            continue;
        };
        let inode = stack.trees()[position].inode(ino);
        if inode.node.as_directory().is_some() {
            let children = stack.names(&spot).into_iter().rev();
            let child = |child: Name| (stack.child(&spot, &child), joined(&name, child.as_bytes()));
            pending.extend(children.map(child));
        }
        let device = |device: &Device| format!("{}:{}", device.major, device.minor);
        let (kind, what) = match &inode.node {
            Node::Directory(_) => ("directory", String::new()),
            Node::File(content) => ("file", sized(content.len(), content.digest().unwrap())),
            Node::Symlink(target) => ("symlink", escape(target)),
            Node::CharDevice(number) => ("char", device(number)),
            Node::BlockDevice(number) => ("block", device(number)),
            Node::Fifo => ("fifo", String::new()),
        };
        let metadata = &inode.metadata;
        let facts = Facts {
            kind,
            mode: metadata.mode.into(),
            owner: (metadata.uid, metadata.gid),
            mtime: Some(metadata.mtime),
            what,
            xattrs: &metadata.xattrs,
        };
        views.add(name, (position, ino), &facts);
    }
    views.view
}

/// The view of what a dialect makes of layers.
pub fn of_dialect(fs: &Fs) -> View {
    let mut views = Views::new();
    for (path, number) in fs.walk() {
        let inode = fs.inode(number);
        let (kind, what) = match &inode.kind {
            Kind::Directory(_) => ("directory", String::new()),
            Kind::File(content) => ("file", sized(content.len(), content.digest().unwrap())),
            Kind::Symlink(target) => ("symlink", escape(target)),
            Kind::CharDevice(major, minor) => ("char", format!("{major}:{minor}")),
            Kind::BlockDevice(major, minor) => ("block", format!("{major}:{minor}")),
            Kind::Fifo => ("fifo", String::new()),
            Kind::Ghost => ("ghost", String::new()),
        };
        let facts = Facts {
            kind,
            mode: inode.mode,
            owner: (inode.uid, inode.gid),
            mtime: inode.mtime,
            what,
            xattrs: &inode.xattrs,
        };
        views.add(path, number, &facts);
    }
    views.view
}
