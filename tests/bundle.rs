//! `handroll bundle` and `handroll run`, and what the core says of containers, beside containerd and runc: the
//! configuration, the article's section 8, the steps by which runc starts a container, what they leave in the upper
//! directory, and every way to end.
//!
//! Runs as root with Debian's containerd, runc, busybox and strace.

mod rig;
mod support;
#[path = "bundle/article.rs"]
mod article;
#[path = "bundle/config.rs"]
mod config;
#[path = "bundle/end.rs"]
mod end;
#[path = "bundle/made.rs"]
mod made;
#[path = "bundle/steps.rs"]
mod steps;
#[path = "bundle/user.rs"]
mod user;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use handroll::image::json::Document;
use handroll::native::unshare_mounts;
use handroll::runtime::ImageConfig;
use rig::{handroll, json, ok, program};
use tempfile::TempDir;

/// Room for images, and a place for layers; in mounts of this thread's own, which are gone with it.
struct Room {
    space: TempDir,
}

impl Room {
    fn new() -> Self {
        unshare_mounts().expect("root may");
        Self {
            space: support::tmpfs(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.space.path().join(name)
    }

    /// The article's image, under the name that it says containerd gives it, with more options of `build`.
    fn article(&self, options: &[&str]) -> PathBuf {
        rig::article(self.space.path());
        let image = self.path("image.tar");
        self.build(&image, "handroll", &["base", "delta"], options);
        image
    }

    fn build(&self, image: &Path, name: &str, layers: &[&str], options: &[&str]) {
        let mut build = handroll();
        build.args(["build", "--mtime", rig::ARTICLE_TIME, "--cmd", "/bin/sh"]);
        build
            .arg("--name")
            .arg(format!("docker.io/library/{name}:latest"));
        for layer in layers {
            build.arg("--layer").arg(self.path(layer));
        }
        ok(build.args(options).arg("-o").arg(image));
    }

    fn handroll(&self, subcommand: &str) -> Command {
        let mut run = handroll();
        run.env("HANDROLL_PLACE", self.path("place")).arg(subcommand);
        run
    }

    /// `handroll run IMAGE -- CMD`.
    fn run(&self, image: &Path, command: &[&str]) -> Command {
        let mut run = self.handroll("run");
        run.arg(image).arg("--").args(command);
        run
    }

    /// What mounts and containers have left in the place.
    fn sessions(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("place/trusted/mounts"))
            .into_iter()
            .flatten();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_dir()).collect()
    }

    /// Nothing is mounted, and nothing is left of a container.
    fn is_clean(&self) {
        assert_eq!(self.sessions(), Vec::<PathBuf>::new());
        let unpacking = fs::read_dir(self.path("place/trusted/work"));
        let unpacking = unpacking.into_iter().flatten().map(|entry| entry.unwrap().path());
        assert_eq!(unpacking.collect::<Vec<_>>(), Vec::<PathBuf>::new());
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let ours = self.space.path().to_str().unwrap();
        let left: Vec<_> = mounts.lines().filter(|line| line.contains(ours)).collect();
        assert_eq!(left, [""; 0]);
    }
}

/// An image's configuration.
fn config_of(image: &Path) -> ImageConfig {
    let seen = json(handroll().args(["inspect", "--json"]).arg(image));
    let config = seen["images"][0]["config"].to_string();
    ImageConfig::read(&Document::parse(config.as_bytes())).unwrap()
}

/// What a shell is run with, as a terminal's user types it.
fn in_terminal(command: &Command) -> Command {
    let mut words = vec![command.get_program()];
    words.extend(command.get_args());
    let quoted = words
        .iter()
        .map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''")));
    let mut script = program("script");
    script.args(["-qec", &quoted.collect::<Vec<_>>().join(" "), "/dev/null"]);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script
}
