//! What is written is read alike by those who read tars and layers: GNU tar, Python's tarfile, umoci and
//! containerd, and gzip reads the gz1 profile. Where one of them is known to read otherwise, it is said here.
//!
//! Runs as root, on a tmpfs, with Debian's python3, umoci, containerd and gzip. `HANDROLL_SEED` repeats a run.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use handroll::content::{Content, ContentError};
use handroll::digest::Digest;
use handroll::image::archive::{documents, layout};
use handroll::image::{LayerBlob, Part, Reference, Settings};
use handroll::layer::{Blob, BlobJob, Bytes, Compression, Layer, SegmentCache, Walk, write_tar};
use handroll::native::{DiskOptions, read_dir};
use handroll::tar::{Entries, Entry, pax};
use handroll::tree::Tree;
use support::random::seed;
use support::{GNU, Maker, POSIX, Wishes, gnu_tar, output, tmpfs, xattrs};
use tempfile::TempDir;

/// Paths that fit one system call: these readers pass them whole.
const READABLE: Wishes = Wishes {
    extended: true,
    marks_at: None,
    endless_paths: false,
    odd: true,
};

fn write(tree: &Tree) -> Vec<u8> {
    let mut tar = Vec::new();
    let write = |bytes: &[u8]| -> Result<(), ContentError> {
        tar.extend_from_slice(bytes);
        Ok(())
    };
    write_tar(Walk::new(tree), write).unwrap();
    tar
}

/// A directory with one random tree.
fn random_tree(space: &TempDir, seed: u64, wishes: Wishes) -> PathBuf {
    let root = space.path().join("tree");
    fs::create_dir(&root).unwrap();
    Maker::new(seed, wishes).fill(&root);
    root
}

#[test]
fn gnu_tar_extracts_what_was_there() {
    let seed = seed();
    for number in 0..100 {
        let what = format!("HANDROLL_SEED={seed}, tree {number}");
        let space = tmpfs();
        let root = random_tree(&space, seed.wrapping_add(number), READABLE);
        for (options, gnu, extract) in [
            (DiskOptions::kept(), GNU, &["-p"][..]),
            (
                DiskOptions::exact(),
                POSIX,
                &["-p", "--xattrs", "--xattrs-include=*"],
            ),
        ] {
            let read = read_dir(&root, &options).unwrap();
            let tar = write(&read.tree);
            let gnu = if read.tree.counts().need_pax == 0 {
                GNU
            } else {
                gnu
            };
            let out = TempDir::new_in(space.path()).unwrap();
            let mut command = Command::new("tar");
            command.args(["--same-owner", "--numeric-owner"]).args(extract);
            output(command.arg("-C").arg(out.path()).args(["-xf", "-"]), &tar);
            assert!(gnu_tar(out.path(), gnu) == tar, "{what}: {gnu:?}");
        }
    }
}

/// Python's view of an entry, beside our own.
#[test]
fn python_lists_what_we_list() {
    let seed = seed();
    let space = tmpfs();
    let (mut tars, mut expected) = (Vec::new(), Vec::new());
    for number in 0..100 {
        let wishes = Wishes {
            endless_paths: true,
            ..READABLE
        };
        let root = random_tree(&space, seed.wrapping_add(number), wishes);
        for (name, options) in [("kept", DiskOptions::kept()), ("exact", DiskOptions::exact())] {
            let tar = write(&read_dir(&root, &options).unwrap().tree);
            let path = space.path().join(format!("{number}-{name}.tar"));
            fs::write(&path, &tar).unwrap();
            tars.push(path);
            expected.extend(Entries::new(Content::inline(tar)).map(|entry| python_facts(&entry.unwrap())));
        }
        fs::remove_dir_all(&root).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/list_tars.py");
    let listed = output(Command::new("python3").arg(script).args(&tars), b"");
    let listed: Vec<serde_json::Value> = String::from_utf8(listed)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(listed.len(), expected.len(), "HANDROLL_SEED={seed}");
    for (listed, expected) in listed.iter().zip(&expected) {
        assert_eq!(listed, expected, "HANDROLL_SEED={seed}");
    }
}

fn python_facts(entry: &Entry) -> serde_json::Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // It knows nothing of GNU's escapes in the names of xattrs.
    let escaped = |name: &[u8]| {
        let mut record = Vec::new();
        pax::put_xattr(&mut record, name, b"");
        let start = record.iter().position(|&byte| byte == b' ').unwrap() + 1 + pax::XATTR_PREFIX.len();
        hex(&record[start..record.len() - 2])
    };
    let xattrs: BTreeMap<_, _> = entry
        .xattrs
        .iter()
        .map(|(name, value)| (escaped(name), hex(value)))
        .collect();
    let name = entry.name.strip_suffix(b"/").unwrap_or(&entry.name);
    serde_json::json!({
        "name": hex(name),
        "kind": format!("{:?}", entry.entry_type),
        "link": hex(&entry.link_name),
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime": pax::time_value(entry.mtime),
        "device": [entry.device.0, entry.device.1],
        // The size of a hard link is its file's, as Python sees it.
        "size": entry.size,
        "sha256": entry.content.digest().unwrap().hex(),
        "xattrs": xattrs,
    })
}

/// What a file is to somebody who looks at it.
#[derive(Clone, PartialEq, Eq)]
struct Facts {
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: (i64, i64),
    device: u64,
    target: Vec<u8>,
    content: Option<Digest>,
    /// The first of its names.
    first_name: Vec<u8>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes: &[u8]| handroll::text::escape(&bytes[..bytes.len().min(40)]);
        write!(f, "{:o} {}:{} {:?}", self.mode, self.uid, self.gid, self.mtime)?;
        write!(f, " device {:x} target {}", self.device, text(&self.target))?;
        write!(f, " content {:?} first {}", self.content, text(&self.first_name))?;
        for (name, value) in &self.xattrs {
            write!(f, " {}={}", text(name), text(value))?;
        }
        Ok(())
    }
}

/// All that is under `root`, by path, seen by nothing but the standard library.
fn facts(root: &Path) -> BTreeMap<Vec<u8>, Facts> {
    let mut all = BTreeMap::new();
    let mut first_names = BTreeMap::new();
    let mut pending = vec![(root.to_owned(), Vec::new())];
    while let Some((path, name)) = pending.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let kind = metadata.file_type();
        if kind.is_socket() {
            continue;
        }
        if kind.is_dir() {
            let children = fs::read_dir(&path).unwrap().map(|child| child.unwrap());
            let mut children: Vec<_> = children.map(|child| child.file_name()).collect();
            children.sort();
            pending.extend(children.iter().rev().map(|child| {
                let name = [&name[..], b"/", child.as_bytes()].concat();
                (path.join(child), name)
            }));
        }
        let linkable = kind.is_file() || kind.is_symlink();
        let first_name = match linkable && metadata.nlink() > 1 {
            true => first_names
                .entry(metadata.ino())
                .or_insert_with(|| name.clone())
                .clone(),
            false => name.clone(),
        };
        let is_device = kind.is_char_device() || kind.is_block_device();
        let seen = Facts {
            mode: metadata.mode(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            device: if is_device { metadata.rdev() } else { 0 },
            target: match kind.is_symlink() {
                true => fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec(),
                false => Vec::new(),
            },
            content: kind.is_file().then(|| Digest::of(&fs::read(&path).unwrap())),
            first_name,
            xattrs: xattrs(&path),
        };
        all.insert(name, seen);
    }
    all
}

/// An image of one layer, as a directory.
fn image(directory: &Path, root: &Path, compression: Compression) -> Reference {
    let layer = Layer::from_tree(read_dir(root, &DiskOptions::exact()).unwrap().tree);
    let blob = BlobJob::new(&layer, compression, None)
        .run(&mut SegmentCache::in_memory())
        .unwrap();
    let described = LayerBlob {
        diff_id: blob.diff_id,
        digest: blob.digest,
        size: blob.size,
        media_type: blob.media_type,
        created_by: None,
        comment: None,
    };
    let reference = Reference::parse("docker.io/library/read-back:latest").unwrap();
    let layers = [described];
    for entry in layout(&documents(&Settings::default(), &reference, &layers), &layers) {
        let path = directory.join(&entry.path);
        match entry.content {
            None => fs::create_dir_all(&path).unwrap(),
            Some(Part::Bytes(bytes)) => fs::write(&path, bytes).unwrap(),
            Some(Part::Blob(_)) => fs::write(&path, bytes_of(&blob, &layer)).unwrap(),
        }
    }
    reference
}

fn bytes_of(blob: &Blob, layer: &Layer) -> Vec<u8> {
    let mut all = Vec::new();
    for bytes in blob.bytes(layer) {
        match bytes {
            Bytes::Owned(bytes) => all.extend(bytes),
            Bytes::Content(content) => all.extend(content.read_all(u64::MAX).unwrap()),
            Bytes::Zeros(count) => all.resize(all.len() + count as usize, 0),
        }
    }
    all
}

/// A directory with many random trees in it.
fn forest(space: &TempDir, seed: u64) -> PathBuf {
    let root = space.path().join("forest");
    fs::create_dir(&root).unwrap();
    for number in 0..60 {
        let tree = root.join(number.to_string());
        fs::create_dir(&tree).unwrap();
        Maker::new(seed.wrapping_add(number), READABLE).fill(&tree);
    }
    root
}

fn same(extracted: &BTreeMap<Vec<u8>, Facts>, expected: &BTreeMap<Vec<u8>, Facts>, what: &str) {
    let show = |name: &Vec<u8>| handroll::text::escape(name);
    let extra: Vec<_> = extracted
        .keys()
        .filter(|name| !expected.contains_key(*name))
        .map(show)
        .collect();
    assert!(extra.is_empty(), "{what}: extra {extra:?}");
    let mut different = Vec::new();
    for (name, expected) in expected {
        match extracted.get(name) {
            Some(found) if found == expected => {}
            found => different.push(format!(
                "{}:\n  expected {expected:?}\n  found    {}",
                show(name),
                found.map_or_else(|| "nothing".to_owned(), |found| format!("{found:?}"))
            )),
        }
    }
    assert!(
        different.is_empty(),
        "{what}: {} differ, such as\n{}",
        different.len(),
        different[0]
    );
}

/// umoci and containerd know nothing of the escapes that GNU tar writes in the names of xattrs.
fn escaped(name: &[u8]) -> Vec<u8> {
    let text = name.iter().map(|&byte| match byte {
        b'%' => b"%25".to_vec(),
        b'=' => b"%3D".to_vec(),
        byte => vec![byte],
    });
    text.collect::<Vec<_>>().concat()
}

/// What somebody makes of `facts` who keeps only some xattrs, by name and value.
fn with_xattrs(
    mut facts: BTreeMap<Vec<u8>, Facts>,
    keeps: impl Fn(&[u8], &[u8]) -> bool,
) -> BTreeMap<Vec<u8>, Facts> {
    for facts in facts.values_mut() {
        let xattrs = std::mem::take(&mut facts.xattrs).into_iter();
        let kept = xattrs.filter(|(name, value)| keeps(name, value));
        facts.xattrs = kept.map(|(name, value)| (escaped(&name), value)).collect();
    }
    facts
}

/// umoci counts nanoseconds since 1970 in 64 bits: times after 2262 and before 1678 come out as others.
fn in_64_bits_of_nanoseconds((seconds, nanos): (i64, i64)) -> (i64, i64) {
    let wrapped = seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos);
    (
        wrapped.div_euclid(1_000_000_000),
        wrapped.rem_euclid(1_000_000_000),
    )
}

#[test]
fn umoci_unpacks_what_was_there() {
    let seed = seed();
    let space = tmpfs();
    let root = forest(&space, seed);
    // An xattr without a value is none to it (Go's archive/tar takes such a record for a deletion).
    let mut expected = with_xattrs(facts(&root), |_, value| !value.is_empty());
    for facts in expected.values_mut() {
        facts.mtime = in_64_bits_of_nanoseconds(facts.mtime);
    }
    for compression in [Compression::Gz1, Compression::None] {
        let directory = TempDir::new_in(space.path()).unwrap();
        let (image_path, bundle) = (directory.path().join("image"), directory.path().join("bundle"));
        fs::create_dir(&image_path).unwrap();
        let reference = image(&image_path, &root, compression);
        let image = format!("{}:{}", image_path.display(), reference.tag());
        output(
            Command::new("umoci")
                .args(["unpack", "--image", &image])
                .arg(&bundle),
            b"",
        );
        let found = facts(&bundle.join("rootfs"));
        same(
            &found,
            &expected,
            &format!("HANDROLL_SEED={seed}, umoci, {compression:?}"),
        );
    }
}

/// A containerd of our own, which ends with the test.
struct Containerd {
    child: Child,
    directory: TempDir,
}

impl Containerd {
    fn start(space: &TempDir) -> Self {
        let directory = TempDir::new_in(space.path()).unwrap();
        let base = directory.path().to_owned();
        let path = |name: &str| base.join(name).display().to_string();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = {:?}\n",
            path("root"),
            path("state"),
            path("socket")
        );
        fs::write(path("config.toml"), config).unwrap();
        let log = fs::File::create(path("log")).unwrap();
        let child = Command::new("containerd")
            .args(["-c", &path("config.toml")])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("containerd is installed");
        let containerd = Self { child, directory };
        for _ in 0..200 {
            let mut version = containerd.command();
            if version
                .arg("version")
                .output()
                .is_ok_and(|output| output.status.success())
            {
                return containerd;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!(
            "containerd does not answer: {}",
            fs::read_to_string(path("log")).unwrap()
        );
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ctr");
        command.arg("-a").arg(self.directory.path().join("socket"));
        command.args(["-n", "handroll"]);
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        String::from_utf8(output(self.command().args(arguments), b"")).unwrap()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn containerd_applies_what_was_there() {
    let seed = seed();
    let space = tmpfs();
    let root = forest(&space, seed);
    // What only the administrator can set is not taken from an archive (archive/tar_unix.go, `setxattr`).
    let mut expected = with_xattrs(facts(&root), |name, _| !name.starts_with(b"trusted."));
    for facts in expected.values_mut() {
        // containerd takes times outside of 64 bits of nanoseconds after 1970 for 1970 (archive/time.go).
        let nanos = i128::from(facts.mtime.0) * 1_000_000_000 + i128::from(facts.mtime.1);
        if !(0..=i64::MAX.into()).contains(&nanos) {
            facts.mtime = (0, 0);
        }
    }
    let containerd = Containerd::start(&space);
    let directory = TempDir::new_in(space.path()).unwrap();
    image(directory.path(), &root, Compression::Gz1);
    let archive = space.path().join("image.tar");
    output(
        Command::new("tar")
            .arg("-C")
            .arg(directory.path())
            .arg("-cf")
            .arg(&archive)
            .arg("."),
        b"",
    );
    containerd.run(&["images", "import", archive.to_str().unwrap()]);
    // With one layer, the DiffID is the ChainID, which names the snapshot.
    let layer = Layer::from_tree(read_dir(&root, &DiskOptions::exact()).unwrap().tree);
    let blob = BlobJob::new(&layer, Compression::None, None)
        .run(&mut SegmentCache::in_memory())
        .unwrap();
    let mounts = containerd.run(&["snapshots", "view", "--mounts", "view", &blob.diff_id.to_string()]);
    let mounts: serde_json::Value = serde_json::from_str(&mounts).unwrap();
    let source = mounts[0]["Source"].as_str().expect("a bind mount");
    // It sets the owner again for every hard link, and thereby takes the file's capabilities away.
    let links = expected.iter().filter(|(name, facts)| facts.first_name != **name);
    let links: BTreeSet<Vec<u8>> = links.map(|(_, facts)| facts.first_name.clone()).collect();
    for facts in expected
        .values_mut()
        .filter(|facts| links.contains(&facts.first_name))
    {
        facts.xattrs.remove(&b"security.capability"[..]);
    }
    let mut found = facts(Path::new(source));
    for (name, found) in &mut found {
        // What it makes in a directory with a default ACL inherits that, and it leaves that there.
        let expected = &expected[name].xattrs;
        found
            .xattrs
            .retain(|name, _| !name.starts_with(b"system.posix_acl_") || expected.contains_key(name));
    }
    // The snapshot's root keeps the time at which it was made.
    let root = &b""[..];
    expected.get_mut(root).unwrap().mtime = found[root].mtime;
    same(&found, &expected, &format!("HANDROLL_SEED={seed}, containerd"));
}

#[test]
fn gzip_and_python_read_gz1() {
    let space = tmpfs();
    let root = forest(&space, seed());
    let layer = Layer::from_tree(read_dir(&root, &DiskOptions::exact()).unwrap().tree);
    let tar = write(layer.tree());
    let blob = BlobJob::new(&layer, Compression::Gz1, None)
        .run(&mut SegmentCache::in_memory())
        .unwrap();
    let gzip = bytes_of(&blob, &layer);
    assert_eq!((Digest::of(&gzip), Digest::of(&tar)), (blob.digest, blob.diff_id));
    assert!(output(Command::new("gzip").arg("-dc"), &gzip) == tar);
    output(Command::new("gzip").arg("-t"), &gzip);
    let script = "import gzip, sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
    assert!(output(Command::new("python3").args(["-c", script]), &gzip) == tar);
}
