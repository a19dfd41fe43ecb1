//! What is asked of every image: it opens with nothing to complain of; its documents are those that skopeo reads, its
//! layers have the entries that GNU tar lists, all together they show what umoci unpacks and containerd mounts; and it
//! is written back as it came.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use handroll::content::Content;
use handroll::digest::Digest;
use handroll::layer::dialect::{Dialect, apply};
use handroll::workbench::ImageState;
use serde_json::Value;
use tempfile::TempDir;

use super::listing;
use super::opened::{Opened, write_to};
use super::rig::containerd::Containerd;
use super::rig::judges::compare_with_skopeo;
use super::rig::{handroll, json, ok, program, text};
use super::support::tmpfs;
use super::view::{self, View};

/// An image, or several, as a tool wrote it.
pub struct Made<'a> {
    /// The file or directory.
    pub path: PathBuf,
    /// What skopeo calls the images that are in it, in their order.
    pub references: Vec<String>,
    /// The problems that its documents have, by their ids.
    pub warnings: &'a [&'a str],
    /// What is noted of its layers.
    pub notes: &'a [&'a str],
}

impl Made<'_> {
    /// An image with which nothing is wrong.
    pub fn new(transport: &str, path: PathBuf, name: &str) -> Self {
        let reference = format!("{transport}:{}{name}", path.display());
        Self {
            path,
            references: vec![reference],
            warnings: &[],
            notes: &[],
        }
    }
}

/// The DiffIDs of an image's layers: those that are equal unpack to the same.
type Chain = Vec<String>;

/// What a runtime shows, or what it says when it refuses.
type Unpacked = Result<View, String>;

/// The judges, who remember what they have seen.
pub struct Court {
    work: TempDir,
    containerd: Containerd,
    /// What was modified since then was so by unpacking.
    started: SystemTime,
    /// What runtimes make of layers, or why they refuse.
    unpacked: BTreeMap<Chain, [(Dialect, Unpacked); 2]>,
    /// What `handroll unpack` makes of them.
    plain: BTreeMap<Chain, Unpacked>,
    /// The digests of layers' blobs that were compared with what GNU tar lists.
    listed: BTreeSet<Digest>,
    /// In what runtimes show something else than handroll.
    differing: BTreeSet<String>,
}

impl Court {
    /// Calls the judges together. The images are made before, so that no time in them is later.
    pub fn new() -> Self {
        Self {
            work: tmpfs(),
            containerd: Containerd::start_in(tmpfs()),
            started: SystemTime::now(),
            unpacked: BTreeMap::new(),
            plain: BTreeMap::new(),
            listed: BTreeSet::new(),
            differing: BTreeSet::new(),
        }
    }

    /// Lets the runtimes unpack the images with these tags of a layout directory, and judges it.
    pub fn unpack_and_judge(&mut self, layout: &Made, tags: &[&str]) -> Opened {
        let archive = self.work.path().join("archive.tar");
        ok(program("tar")
            .arg("-C")
            .arg(&layout.path)
            .arg("-cf")
            .arg(&archive)
            .arg("."));
        let import = ["images", "import", "--no-unpack", "--all-platforms"];
        ok(self.containerd.ctr(&import).arg(&archive));
        let names = self.containerd.names();
        for tag in tags {
            let image = format!("{}:{tag}", layout.path.display());
            let config =
                json(program("skopeo").args(["inspect", "--config", "--raw", &format!("oci:{image}")]));
            let platform = format!(
                "linux/{}",
                config["architecture"].as_str().expect("an architecture")
            );
            // A tag alone has got a name before it.
            let is_asked = |name: &&String| {
                name.strip_suffix(tag)
                    .is_some_and(|start| start.is_empty() || start.ends_with(':'))
            };
            let name = names.iter().find(is_asked);
            let views = [
                (
                    Dialect::ContainerdOverlayfs,
                    self.by_containerd(
                        name.unwrap_or_else(|| panic!("{tag} is not in {names:?}")),
                        &platform,
                    ),
                ),
                (Dialect::Umoci, self.by_umoci(&image)),
            ];
            self.plain
                .insert(chain(&config), self.by_handroll(&layout.path, tag));
            self.unpacked.insert(chain(&config), views);
        }
        let opened = self.judge(layout);
        for image in opened.images() {
            self.compare_with_dialects(image);
            self.compare_unpacked(image);
        }
        opened
    }

    fn by_containerd(&self, image: &str, platform: &str) -> Unpacked {
        let target = self.work.path().join("mounted");
        fs::create_dir_all(&target).unwrap();
        run(self
            .containerd
            .ctr(&["images", "mount", "--platform", platform, image])
            .arg(&target))?;
        let view = view::on_disk(&target, self.started);
        ok(self.containerd.ctr(&["images", "unmount", "--rm"]).arg(&target));
        Ok(view)
    }

    fn by_umoci(&self, image: &str) -> Unpacked {
        let root = self.work.path().join("unpacked");
        run(program("umoci")
            .args(["raw", "unpack", "--image", image])
            .arg(&root))?;
        let view = view::on_disk(&root, self.started);
        fs::remove_dir_all(&root).unwrap();
        Ok(view)
    }

    fn by_handroll(&self, layout: &Path, tag: &str) -> Unpacked {
        let root = self.work.path().join("plain");
        run(handroll().args(["unpack", "--image", tag]).arg(layout).arg(&root))?;
        let view = view::on_disk(&root, self.started);
        fs::remove_dir_all(&root).unwrap();
        Ok(view)
    }

    /// What is unpacked is what containerd mounts, but for the time of the root, which is nobody's entry; where it is
    /// refused, containerd's native snapshotter refuses it.
    fn compare_unpacked(&self, image: &ImageState) {
        let chain = chain_of(image);
        match (&self.plain[&chain], &self.unpacked[&chain][0].1) {
            (Ok(ours), Ok(theirs)) => {
                let found = view::differences(ours, theirs).into_iter();
                let found: Vec<String> = found.map(|found| found.to_string()).collect();
                let others: Vec<_> = found
                    .iter()
                    .filter(|text| !text.starts_with("mtime of / "))
                    .collect();
                assert!(others.is_empty(), "{others:?}");
                assert!(ours.len() > 5_000, "{}", ours.len());
            }
            (Err(ours), _) => {
                let said = apply(Dialect::ContainerdNative, tars_of(image)).result;
                let why = said.map(drop).expect_err("it cannot be unpacked").why.to_string();
                assert!(ours.contains(&why), "{ours}; {why}");
            }
            (Ok(_), Err(theirs)) => panic!("containerd refuses it: {theirs}"),
        }
    }

    /// handroll says of each runtime what it really does.
    fn compare_with_dialects(&self, image: &ImageState) {
        let tars = tars_of(image);
        for (dialect, shown) in &self.unpacked[&chain_of(image)] {
            match (apply(*dialect, tars.clone()).result, shown) {
                (Ok(said), Ok(shown)) => {
                    let first = view::differences(&view::of_dialect(&said), shown)
                        .into_iter()
                        .next();
                    assert!(first.is_none(), "{dialect}: {}", first.unwrap());
                }
                (Err(said), Err(shown)) => assert!(shown.contains(&said.why.to_string()), "{said}; {shown}"),
                (said, shown) => {
                    let (said, shown) = (said.map(drop), shown.as_ref().map(drop));
                    panic!("{dialect}: handroll says {said:?}, it is {shown:?}");
                }
            }
        }
    }

    /// Judges images of which layers with the same DiffIDs were unpacked before.
    pub fn judge(&mut self, made: &Made) -> Opened {
        let opened = Opened::read(&made.path);
        assert_eq!(
            opened.warnings(),
            made.warnings,
            "{:?}",
            opened.catalog().problems
        );
        assert_eq!(opened.notes(), made.notes);
        opened.assert_verified();
        assert_eq!(
            opened.catalog().images.len(),
            made.references.len(),
            "{}",
            made.path.display()
        );
        for (number, reference) in made.references.iter().enumerate() {
            compare_with_skopeo(opened.catalog(), number, reference);
        }
        self.compare_listings(&opened);
        self.compare_views(&opened);
        self.compare_written(&opened, &made.path);
        opened
    }

    /// Every layer has the entries that GNU tar lists.
    fn compare_listings(&mut self, opened: &Opened) {
        let file = self.work.path().join("layer");
        for layer in opened.layers() {
            if self.listed.insert(opened.blob(layer).digest) {
                let origin = layer.layer.origin().unwrap();
                write_to(origin.blob(), &mut File::create(&file).unwrap());
                let tar = &origin.read().unwrap().tar;
                listing::assert_same(&listing::by_handroll(tar), &listing::by_gnu_tar(&file, tar.len()));
            }
        }
    }

    /// Runtimes show what handroll shows, but for what is remembered.
    fn compare_views(&mut self, opened: &Opened) {
        for image in opened.images() {
            let ours = view::of_image(image);
            for (reader, theirs) in &self.unpacked[&chain_of(image)] {
                match theirs {
                    Ok(theirs) => {
                        let differences = view::differences(&ours, theirs).into_iter();
                        self.differing
                            .extend(differences.map(|found| format!("{reader}: {}", found.what)));
                    }
                    Err(_) => drop(
                        self.differing
                            .insert(format!("{reader} refuses {} layers", image.layers.len())),
                    ),
                }
            }
        }
    }

    /// In what runtimes showed something else than handroll so far.
    pub fn differing(&self) -> Vec<&str> {
        self.differing.iter().map(|text| &text[..]).collect()
    }

    /// Written without a change it is the same.
    fn compare_written(&self, opened: &Opened, path: &Path) {
        let copy = self.work.path().join("copy.tar");
        opened.write(&copy);
        assert_eq!(
            Opened::open(&copy).documents(),
            opened.documents(),
            "{}",
            path.display()
        );
        let [copy, original] = [&copy, path].map(|path| self.sums(path));
        assert_eq!(copy, original, "{}", path.display());
    }

    /// The SHA-256 of every file of an image, as tar(1) and sha256sum(1) have them.
    fn sums(&self, path: &Path) -> String {
        let unpacked = TempDir::new_in(&self.work).unwrap();
        let root = match path.is_dir() {
            true => path,
            false => {
                ok(program("tar").arg("-C").arg(unpacked.path()).arg("-xf").arg(path));
                unpacked.path()
            }
        };
        let files = "find -L . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum";
        text(program("sh").args(["-c", files]).current_dir(root))
    }
}

/// The tars of an image's layers.
fn tars_of(image: &ImageState) -> Vec<Content> {
    let layers = image.layers.iter();
    layers
        .map(|layer| layer.layer.as_read().unwrap().tar.clone())
        .collect()
}

/// The DiffIDs in a configuration.
fn chain(config: &Value) -> Chain {
    let diff_ids = config["rootfs"]["diff_ids"].as_array().expect("a list").iter();
    diff_ids
        .map(|diff_id| diff_id.as_str().expect("text").to_owned())
        .collect()
}

/// The DiffIDs that an image's configuration claims.
fn chain_of(image: &ImageState) -> Chain {
    let layers = image.opened().unwrap().entry().layers.iter();
    layers
        .map(|layer| layer.diff_id.as_ref().unwrap().text().to_owned())
        .collect()
}

/// Runs a command; what it said if it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
