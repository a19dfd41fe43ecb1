//! A store of images of the test's own, which buildah and podman share; its overlay is the kernel's.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::rig::{ok, program, text};

/// Where buildah and podman keep their images.
pub struct Store {
    root: PathBuf,
    run: PathBuf,
}

impl Store {
    /// A store in a directory. Needs root.
    pub fn new(directory: &Path) -> Self {
        let (root, run) = (directory.join("store"), directory.join("store-run"));
        Self { root, run }
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = program(name);
        command
            .arg("--root")
            .arg(&self.root)
            .arg("--runroot")
            .arg(&self.run);
        command.args(["--storage-driver", "overlay"]).args(arguments);
        command
    }

    /// `buildah` with these arguments.
    pub fn buildah(&self, arguments: &[&str]) -> Command {
        self.tool("buildah", arguments)
    }

    /// `podman` with these arguments.
    pub fn podman(&self, arguments: &[&str]) -> Command {
        self.tool("podman", arguments)
    }

    /// A working container of an image.
    pub fn from(&self, image: &str) -> String {
        text(&mut self.buildah(&["from", image])).trim().to_owned()
    }

    /// Calls `change` with the root of a working container.
    pub fn changed(&self, container: &str, change: impl FnOnce(&Path)) {
        let root = text(&mut self.buildah(&["mount", container]));
        change(Path::new(root.trim()));
        ok(&mut self.buildah(&["umount", container]));
    }

    /// Makes an image of a working container.
    pub fn commit(&self, container: &str, image: &str, options: &[&str]) {
        ok(self.buildah(&["commit"]).args(options).args([container, image]));
        ok(&mut self.buildah(&["rm", container]));
    }
}
