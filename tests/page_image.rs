//! What the built page downloads is what it showed, runs in real runtimes, and is what the command line makes of
//! the same recipe.
//!
//! Runs as root, with node, Chromium, containerd, runc, podman, skopeo and umoci, after the page was built into
//! `www/dist`. `www/scripts/download-sample.mjs` is the person at the page.

mod rig;

use std::path::{Path, PathBuf};

use rig::containerd::Containerd;
use rig::{handroll, json, judges, ok, program};
use serde_json::Value;
use tempfile::TempDir;

const NAME: &str = "docker.io/library/handroll:latest";

/// A download of the page, with its recipe and what the page showed of it.
struct Download {
    directory: TempDir,
    archive: PathBuf,
    recipe: PathBuf,
    shown: Value,
}

fn download(options: &[&str]) -> Download {
    let www = Path::new(env!("CARGO_MANIFEST_DIR")).join("www");
    assert!(www.join("dist/index.html").is_file(), "the page is built first");
    let directory = TempDir::new().unwrap();
    let (archive, recipe) = (
        directory.path().join("page.tar"),
        directory.path().join("recipe.tar"),
    );
    let mut command = program("node");
    command
        .current_dir(&www)
        .arg("scripts/download-sample.mjs")
        .arg(&archive);
    let shown = json(command.args(options).arg("--recipe").arg(&recipe));
    Download {
        directory,
        archive,
        recipe,
        shown,
    }
}

impl Download {
    /// The archive holds what the page showed.
    fn is_what_was_shown(&self) {
        let found = judges::inspect(&self.archive);
        assert_eq!(found["manifest_digest"], self.shown["manifest"]);
        assert_eq!(found["config_digest"], self.shown["config"]);
        let layers = self.shown["layers"].as_array().unwrap();
        assert_eq!(found["layers"].as_array().unwrap().len(), layers.len());
        for shown in layers {
            let same = |layer: &&Value| layer["diff_id"] == shown["diff_id"];
            let layer = found["layers"]
                .as_array()
                .unwrap()
                .iter()
                .find(same)
                .expect("the DiffID is in the archive");
            assert_eq!(layer["digest"], shown["digest"]);
        }
        let index = ok(program("tar").arg("-xOf").arg(&self.archive).arg("index.json")).stdout;
        assert_eq!(
            handroll::digest::Digest::of(&index).to_string(),
            self.shown["index"]
        );
    }

    /// The command line makes the same bytes of the same recipe.
    fn is_what_the_command_line_makes(&self) {
        let built = self.directory.path().join("built.tar");
        ok(handroll()
            .args(["build", "--recipe"])
            .arg(&self.recipe)
            .arg("-o")
            .arg(&built));
        let (page, cli) = (
            std::fs::read(&self.archive).unwrap(),
            std::fs::read(&built).unwrap(),
        );
        assert!(page == cli, "the same recipe, other bytes");
    }

    /// podman, skopeo and umoci take it; what umoci unpacked.
    fn is_taken_by_all(&self) -> PathBuf {
        let directory = self.directory.path();
        judges::podman_loads(directory, &self.archive, NAME);
        judges::skopeo_reads_and_copies(directory, &self.archive);
        judges::umoci_unpacks(directory, &judges::layout(directory, &self.archive))
    }
}

#[test]
fn the_edited_sample_runs_with_nothing_added() {
    let download = download(&[]);
    download.is_what_was_shown();
    download.is_what_the_command_line_makes();
    let containerd = Containerd::start();
    containerd.import(&download.archive);
    assert_eq!(containerd.names(), [NAME]);
    let printed = containerd.run(NAME, &[]);
    let hello = download.shown["hello"].as_str().unwrap();
    assert!(printed.starts_with(hello), "{printed}");
    for gone in ["config.txt", "extra.txt"] {
        assert!(!printed.contains(gone), "{printed}");
    }
    let root = download.is_taken_by_all();
    assert_eq!(std::fs::read_to_string(root.join("hello.txt")).unwrap(), hello);
    assert_eq!(std::fs::read_dir(root.join("data")).unwrap().count(), 0);
}

#[test]
fn with_busybox_dropped_in_it_runs_as_in_the_article() {
    let download = download(&["--busybox", "/bin/busybox"]);
    download.is_what_was_shown();
    download.is_what_the_command_line_makes();
    let containerd = Containerd::start();
    containerd.import(&download.archive);
    let printed = containerd.run(NAME, &["/bin/sh", "-c", "cat /hello.txt; ls /data; ls /bin"]);
    let hello = download.shown["hello"].as_str().unwrap();
    assert_eq!(printed, format!("{hello}busybox\ncat\nls\nsh\nshow\n"));
    let config = &judges::inspect(&download.archive)["config"]["config"];
    assert_eq!(config["Cmd"][0], "/bin/sh");
    download.is_taken_by_all();
}
