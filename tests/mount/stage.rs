//! Where an image is mounted as root: room for it, a place for its layers, and a mount point.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::rig::handroll;
use super::{directory, layout, mount_line, space};

/// Room for images, a place for layers, and a mount point.
pub struct Stage {
    pub space: TempDir,
    pub target: PathBuf,
}

impl Stage {
    pub fn new() -> Self {
        let space = space();
        let target = directory(space.path().join("target"));
        Self { space, target }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.space.path().join(name)
    }

    pub fn layout(&self, layers: &[&str]) -> PathBuf {
        layout(&self.path("layout"), layers)
    }

    pub fn run(&self, command: &str) -> Command {
        let mut run = handroll();
        run.env("HANDROLL_PLACE", self.path("place")).arg(command);
        run
    }

    /// `handroll mount IMAGE` at the target.
    pub fn mount(&self, image: &Path) -> Command {
        let mut run = self.run("mount");
        run.arg(image).arg(&self.target);
        run
    }

    pub fn umount(&self) -> Command {
        let mut run = self.run("umount");
        run.arg(&self.target);
        run
    }

    /// The names in a directory of the place.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path("place/trusted").join(path))
            .into_iter()
            .flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| name != "lock");
        names.sort();
        names
    }

    /// Nothing is mounted, half done, or left of a mount.
    pub fn is_clean(&self) {
        assert_eq!(mount_line(&self.target), None);
        assert_eq!((self.names("work"), self.names("mounts")), (vec![], vec![]));
    }
}
