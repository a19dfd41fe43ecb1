//! A real root file system: Debian, made by debootstrap from the package registry that this machine's apt uses, and
//! made an image by buildah. It takes minutes, so the image is kept in the project's cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;

use super::rig::{ok, program, text};
use super::store::Store;

/// Raise it when what is below makes another image.
const VERSION: u32 = 1;
/// More than the smallest Debian, for programs with hard links, setuid and capabilities, and for its size.
const PACKAGES: &str = "perl,python3-minimal,iputils-ping,libcap2-bin,ca-certificates";

/// The image, an OCI archive with one layer and the tag `base`. Needs root.
pub fn image() -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _alone = MAKING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let suite = suite();
    let cache = cache();
    let image = cache.join(format!("debian-{suite}-{VERSION}.oci.tar"));
    if !image.exists() {
        fs::create_dir_all(&cache).unwrap();
        let work = TempDir::new_in(&cache).unwrap();
        let root = work.path().join("root");
        debootstrap(&suite, &root);
        let made = work.path().join("image.tar");
        commit(work.path(), &root, &made);
        fs::rename(made, &image).unwrap();
    }
    image
}

/// Where the project keeps what takes minutes to make: the place that `cargo xtask` uses.
fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").expect("there is a home")).join(".cache");
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty());
    base.map_or_else(home, PathBuf::from).join("handroll")
}

/// The release of Debian that this machine runs.
fn suite() -> String {
    let release = fs::read_to_string("/etc/os-release").expect("a system with /etc/os-release");
    let mut lines = release.lines();
    let name = lines.find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.expect("a release of Debian with a name").to_owned()
}

fn debootstrap(suite: &str, root: &Path) {
    let sources = text(program("apt-get").args(["--print-uris", "update"]));
    let index = format!("/dists/{suite}/InRelease");
    let mut uris = sources.lines().filter_map(|line| line.split('\'').nth(1));
    let mirror = uris.find_map(|uri| uri.strip_suffix(&index));
    let mirror = mirror.unwrap_or_else(|| panic!("apt has no source of {suite}: {sources}"));
    let include = format!("--include={PACKAGES}");
    let mut command = program("debootstrap");
    ok(command
        .args(["--variant=minbase", &include, suite])
        .arg(root)
        .arg(mirror));
    // What apt can have again is the larger half, and is another at every hour.
    for cached in ["var/cache/apt", "var/lib/apt/lists"] {
        fs::remove_dir_all(root.join(cached)).unwrap();
        fs::create_dir(root.join(cached)).unwrap();
    }
}

fn commit(work: &Path, root: &Path, image: &Path) {
    let store = Store::new(work);
    let tar = work.join("root.tar");
    let mut command = program("tar");
    command.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "--sort=name"]);
    ok(command.arg("-C").arg(root).arg("-cf").arg(&tar).arg("."));
    let container = store.from("scratch");
    ok(store.buildah(&["add", &container]).arg(&tar).arg("/"));
    store.commit(&container, "debian", &[]);
    let target = format!("oci-archive:{}:base", image.display());
    ok(&mut store.buildah(&["push", "debian", &target]));
}
