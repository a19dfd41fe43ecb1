//! The article's own trees, made by the article's own commands: its DiffIDs are ours.
//!
//! Runs as root (for mknod), with Debian's busybox-static, under TZ=UTC and umask 022.

mod support;

use std::path::Path;
use std::process::Command;

use handroll::content::ContentError;
use handroll::digest::{Digest, Hasher};
use handroll::layer::{Walk, write_tar};
use handroll::native::{DiskOptions, DiskTree, read_dir};
use handroll::tree::{Time, TreePath};
use support::{output, tmpfs};

/// "How container images work", sections 2 and 3, as far as the DiffIDs. Only `sudo` is left out, and the
/// command that makes the whiteout is put in.
const COMMANDS: &str = r#"
set -eu
umask 022
mkdir -p "$WORKDIR/build/base" "$WORKDIR/build/delta"
mkdir -p "$WORKDIR/build/base/bin"
cp /bin/busybox "$WORKDIR/build/base/bin/busybox"
for cmd in sh ls cat; do
  ln -sf busybox "$WORKDIR/build/base/bin/$cmd"
done
echo "hello from base" > "$WORKDIR/build/base/hello.txt"
mkdir -p "$WORKDIR/build/base/data"
echo "base config" > "$WORKDIR/build/base/data/config.txt"
echo "hello from delta" > "$WORKDIR/build/delta/hello.txt"
mkdir -p "$WORKDIR/build/delta/data"
WHITEOUT
tar -C "$WORKDIR/build/base" \
  --sort=name --mtime="2025-01-01 00:00:00" \
  --owner=0 --group=0 --numeric-owner \
  -cf "$WORKDIR/base-layer.tar" .
tar -C "$WORKDIR/build/delta" \
  --sort=name --mtime="2025-01-01 00:00:00" \
  --owner=0 --group=0 --numeric-owner \
  -cf "$WORKDIR/delta-layer.tar" .
BASE_DIFFID="sha256:$(sha256sum "$WORKDIR/base-layer.tar" | cut -d' ' -f1)"
DELTA_DIFFID="sha256:$(sha256sum "$WORKDIR/delta-layer.tar" | cut -d' ' -f1)"
echo "$BASE_DIFFID"
echo "$DELTA_DIFFID"
"#;

/// The article's whiteout.
const MKNOD: &str = r#"mknod "$WORKDIR/build/delta/data/.wh.config.txt" c 0 0"#;
/// The specification's.
const EMPTY: &str = r#": > "$WORKDIR/build/delta/data/.wh.config.txt""#;

/// Runs the commands in `directory`; the DiffIDs of base and delta.
fn commands(directory: &Path, whiteout: &str) -> [Digest; 2] {
    let script = COMMANDS.replace("WHITEOUT", whiteout);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .env("WORKDIR", directory)
        .env("TZ", "UTC");
    let printed = String::from_utf8(output(&mut shell, b"")).unwrap();
    let ids: Vec<Digest> = printed.lines().map(|line| line.parse().unwrap()).collect();
    ids.try_into().expect("two DiffIDs")
}

fn read(directory: &Path) -> DiskTree {
    // 2025-01-01T00:00:00Z, the article's time.
    read_dir(directory, &DiskOptions::pinned(Time::at(1_735_689_600))).unwrap()
}

fn diff_id(read: &DiskTree) -> Digest {
    let mut hasher = Hasher::new();
    let hash = |bytes: &[u8]| -> Result<(), ContentError> {
        hasher.update(bytes);
        Ok(())
    };
    write_tar(Walk::new(&read.tree), hash).unwrap();
    hasher.finish()
}

#[test]
fn the_specifications_whiteout_gives_the_terminals_diff_ids() {
    let space = tmpfs();
    let [base, delta] = commands(space.path(), EMPTY);
    let ours = [
        read(&space.path().join("build/base")),
        read(&space.path().join("build/delta")),
    ];
    assert_eq!(ours.each_ref().map(diff_id), [base, delta]);
    assert!(ours.iter().all(|read| read.notes.is_empty()));
}

#[test]
fn the_articles_whiteout_is_understood_and_the_difference_told() {
    let (space, other) = (tmpfs(), tmpfs());
    let [base, device_delta] = commands(space.path(), MKNOD);
    let [other_base, empty_delta] = commands(other.path(), EMPTY);
    assert_eq!(base, other_base);
    assert_ne!(device_delta, empty_delta);
    let delta = read(&space.path().join("build/delta"));
    assert_eq!(diff_id(&delta), empty_delta);
    assert!(
        delta
            .tree
            .is_whiteout(&TreePath::parse("/data/config.txt").unwrap())
    );
    let notes: Vec<String> = delta.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "read `data/.wh.config.txt`, a character device, as the whiteout of `data/config.txt`; it will be \
             written as an empty regular file, so this layer's DiffID differs from what tar prints for the same \
             directory"
        ]
    );
}
