//! The runtimes that judge: many images in one layout, read by all of them.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use handroll::digest::{Digest, chain_id};
use handroll::layer::dialect::Dialect;
use handroll::text::escape;
use rustix::fs::{lgetxattr, llistxattr, major, minor};
use serde_json::json;
use tempfile::TempDir;

use super::cases::{Case, Seen, short};
use super::rig::containerd::Containerd;
use super::rig::{ok, program};
use super::support::tmpfs;

/// The dialects that are judged, in the order of the answers.
pub const JUDGED: [Dialect; 3] = [
    Dialect::ContainerdOverlayfs,
    Dialect::ContainerdNative,
    Dialect::Umoci,
];

/// What a runtime made of a case.
#[derive(Debug)]
pub enum Found {
    /// A line for each path.
    Shown(BTreeMap<String, String>),
    /// What it printed, and whether the directory is still there in which it unpacked.
    Failed { text: String, remains: bool },
}

/// containerd, and room for layouts.
pub struct Runtimes {
    space: TempDir,
    containerd: Containerd,
    next: AtomicUsize,
    started: SystemTime,
}

/// Mounts something for as long as it lives.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a program that another thread is just starting may hold a copy of a descriptor in it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A case's image.
pub struct Image {
    /// The tag that names it in the layout.
    pub tag: String,
    manifest: Digest,
    chain: Digest,
}

impl Runtimes {
    pub fn start() -> Self {
        Self {
            space: tmpfs(),
            containerd: Containerd::start_in(tmpfs()),
            next: AtomicUsize::new(0),
            started: SystemTime::now() - Duration::from_secs(1),
        }
    }

    /// What each judged runtime makes of each case.
    pub fn read(&self, cases: &[Case]) -> Vec<[Found; 3]> {
        self.read_tars(&cases.iter().map(Case::tars).collect::<Vec<_>>())
    }

    /// The same of the tars of each image's layers.
    pub fn read_tars(&self, stacks: &[Vec<Vec<u8>>]) -> Vec<[Found; 3]> {
        let directory = self.directory();
        let layout = directory.join("layout");
        let images = write_layout(&layout, stacks);
        let archive = directory.join("images.tar");
        ok(program("tar")
            .arg("-C")
            .arg(&layout)
            .arg("-cf")
            .arg(&archive)
            .arg("."));
        ok(self
            .containerd
            .ctr(&["images", "import", "--no-unpack"])
            .arg(&archive));
        let results: Mutex<BTreeMap<usize, [Found; 3]>> = Mutex::default();
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
                scope.spawn(|| {
                    while let Some(image) = {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        images.get(number).map(|image| (number, image))
                    } {
                        let found = [
                            self.containerd("overlayfs", image.1),
                            self.containerd("native", image.1),
                            self.umoci(&layout, image.1),
                        ];
                        results.lock().unwrap().insert(image.0, found);
                    }
                });
            }
        });
        fs::remove_dir_all(&directory).unwrap();
        let results = results.into_inner().unwrap();
        assert_eq!(results.len(), stacks.len());
        results.into_values().collect()
    }

    fn directory(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let directory = self.space.path().join(number.to_string());
        fs::create_dir(&directory).unwrap();
        directory
    }

    fn containerd(&self, snapshotter: &str, image: &Image) -> Found {
        let manifest = image.manifest.to_string();
        let unpack = ["snapshots", "unpack", "--snapshotter", snapshotter, &manifest];
        if let Err(text) = run(&mut self.containerd.ctr(&unpack)) {
            return Found::Failed { text, remains: true };
        }
        let key = format!("look-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let chain = image.chain.to_string();
        let prepare = [
            "snapshots",
            "--snapshotter",
            snapshotter,
            "prepare",
            "--mounts",
            &key,
            &chain,
        ];
        let mounts = ok(&mut self.containerd.ctr(&prepare)).stdout;
        let mounts: serde_json::Value = serde_json::from_slice(&mounts).expect("mounts as JSON");
        let mount = &mounts[0];
        if mount["Type"] == "bind" {
            return self.look(Path::new(mount["Source"].as_str().expect("a path")));
        }
        let options: Vec<&str> = mount["Options"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|option| option.as_str().expect("text"))
            .collect();
        let target = self.directory();
        ok(program("mount")
            .args(["-t", "overlay", "overlay", "-o", &options.join(",")])
            .arg(&target));
        let mounted = Mounted(target);
        self.look(&mounted.0)
    }

    fn umoci(&self, layout: &Path, image: &Image) -> Found {
        // What leads out of the root file system must find a directory that may be lost.
        let inner = self.directory().join("inner");
        fs::create_dir(&inner).unwrap();
        let root = inner.join("rootfs");
        let name = format!("{}:{}", layout.display(), image.tag);
        let mut command = Command::new("umoci");
        command.args(["raw", "unpack", "--image", &name]).arg(&root);
        match run(&mut command) {
            Ok(()) => self.look(&root),
            Err(text) => Found::Failed {
                text,
                remains: inner.exists(),
            },
        }
    }

    fn look(&self, root: &Path) -> Found {
        look(root, self.started)
    }
}

/// All that is under `root`. What is younger than `started` was made now.
pub fn look(root: &Path, started: SystemTime) -> Found {
    let mut firsts = BTreeMap::new();
    let mut lines = BTreeMap::new();
    if !root.exists() {
        return Found::Shown(lines);
    }
    let mut pending = vec![(root.to_owned(), ".".to_owned())];
    while let Some((path, name)) = pending.pop() {
        let Ok(metadata) = path.symlink_metadata() else {
            lines.insert(name, "?".to_owned());
            continue;
        };
        if metadata.is_dir() {
            let children = fs::read_dir(&path)
                .unwrap()
                .map(|child| child.unwrap().file_name());
            let children: BTreeSet<_> = children.collect();
            pending.extend(children.iter().rev().map(|child| {
                let below = escape(child.as_bytes());
                let below = if name == "." {
                    below
                } else {
                    format!("{name}/{below}")
                };
                (path.join(child), below)
            }));
        }
        let first = firsts
            .entry((metadata.dev(), metadata.ino()))
            .or_insert_with(|| name.clone());
        let same_as = (*first != name && !metadata.is_dir()).then(|| first.clone());
        let seen = seen(&path, &metadata, same_as, started);
        lines.insert(name, seen.line(escape, true));
    }
    Found::Shown(lines)
}

fn seen(path: &Path, metadata: &fs::Metadata, same_as: Option<String>, started: SystemTime) -> Seen {
    let kind = metadata.file_type();
    let device = || format!("{}:{}", major(metadata.rdev()), minor(metadata.rdev()));
    let target = || fs::read_link(path).unwrap();
    let (kind, what) = match () {
        () if kind.is_dir() => ('d', String::new()),
        () if kind.is_file() => ('f', short(metadata.len(), || fs::read(path).unwrap())),
        () if kind.is_symlink() => ('l', escape(target().as_os_str().as_bytes())),
        () if kind.is_char_device() => ('c', device()),
        () if kind.is_block_device() => ('b', device()),
        () if kind.is_fifo() => ('p', String::new()),
        () => ('s', String::new()),
    };
    let is_now = metadata.modified().is_ok_and(|time| {
        time.duration_since(started)
            .is_ok_and(|since| since < Duration::from_secs(86_400))
    });
    let mtime = (metadata.mtime(), metadata.mtime_nsec() as u32);
    Seen {
        kind,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: (!is_now).then_some(mtime),
        xattrs: xattrs(path),
        what,
        same_as,
    }
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut buffer = vec![0; 65_536];
    let length = llistxattr(path, &mut buffer[..]).unwrap();
    let names = buffer[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 65_536];
            let length = lgetxattr(path, name, &mut value[..]).unwrap();
            (name.to_vec(), value[..length].to_vec())
        })
        .collect()
}

/// Runs a command; what it printed if it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()),
    }
}

/// An OCI layout with an image of each stack of layers, uncompressed tars.
pub fn write_layout(layout: &Path, stacks: &[Vec<Vec<u8>>]) -> Vec<Image> {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        digest
    };
    let described = |media_type: &str, bytes: &[u8]| json!({"mediaType": format!("application/vnd.oci.image.{media_type}"), "digest": put(bytes).to_string(), "size": bytes.len()});
    let mut manifests = Vec::new();
    let mut images = Vec::new();
    for (number, tars) in stacks.iter().enumerate() {
        let diff_ids: Vec<Digest> = tars.iter().map(|tar| Digest::of(tar)).collect();
        let ids: Vec<String> = diff_ids.iter().map(Digest::to_string).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux",
            // Else equal cases would be one image of many names.
            "config": {"Labels": {"case": number.to_string()}},
            "rootfs": {"type": "layers", "diff_ids": ids},
        });
        let layers: Vec<_> = tars.iter().map(|tar| described("layer.v1.tar", tar)).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described("config.v1+json", config.to_string().as_bytes()),
            "layers": layers,
        });
        let manifest = manifest.to_string();
        let tag = format!("case-{number}");
        let mut descriptor = described("manifest.v1+json", manifest.as_bytes());
        descriptor["annotations"] = json!({
            "org.opencontainers.image.ref.name": tag,
            "io.containerd.image.name": format!("docker.io/library/cases:{tag}"),
        });
        manifests.push(descriptor);
        images.push(Image {
            tag,
            manifest: Digest::of(manifest.as_bytes()),
            chain: diff_ids
                .iter()
                .fold(None, |below, &diff_id| Some(chain_id(below, diff_id)))
                .unwrap_or(Digest::of(b"no layer")),
        });
    }
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    images
}
