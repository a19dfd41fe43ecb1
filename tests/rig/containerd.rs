//! A containerd of the test's own: its root, state and socket in a temporary directory, gone with the test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::program;

/// A running containerd.
pub struct Containerd {
    directory: TempDir,
    process: Child,
}

impl Containerd {
    /// Starts one and waits until it answers. Needs root.
    pub fn start() -> Self {
        Self::start_in(TempDir::new().unwrap())
    }

    /// The same in a directory of the caller's, which decides what file system it works on.
    pub fn start_in(directory: TempDir) -> Self {
        Self::start_with(directory, "schedule_delay = \"1h\"")
    }

    /// Starts one that collects garbage as soon as something was removed, and at no other time.
    pub fn start_collecting() -> Self {
        Self::start_with(TempDir::new().unwrap(), "mutation_threshold = 0")
    }

    fn start_with(directory: TempDir, gc: &str) -> Self {
        let at = |name: &str| directory.path().join(name);
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\n  address = {:?}\n[plugins.\"io.containerd.internal.v1.opt\"]\n  path = {:?}\n\
             [plugins.\"io.containerd.gc.v1.scheduler\"]\n  {gc}\n",
            at("root"),
            at("state"),
            at("socket"),
            at("opt")
        );
        fs::write(at("config.toml"), config).unwrap();
        let log = File::create(at("log")).unwrap();
        let process = Command::new("containerd")
            .arg("-c")
            .arg(at("config.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("containerd is installed");
        let containerd = Self { directory, process };
        let start = Instant::now();
        while !containerd
            .ctr(&["version"])
            .output()
            .is_ok_and(|output| output.status.success())
        {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "containerd says nothing: {}",
                containerd.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        containerd
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Where it keeps everything: its `/var/lib/containerd`.
    pub fn root(&self) -> std::path::PathBuf {
        self.directory.path().join("root")
    }

    /// `ctr` with these arguments.
    pub fn ctr(&self, arguments: &[&str]) -> Command {
        let mut command = program("ctr");
        command
            .arg("-a")
            .arg(self.directory.path().join("socket"))
            .args(["-n", "handroll"])
            .args(arguments);
        command
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// Waits until garbage is collected, which ends no sooner than one that was begun before.
    pub fn collect_garbage(&self) {
        super::ok(&mut self.ctr(&["leases", "create", "--id", "garbage"]));
        super::ok(&mut self.ctr(&["leases", "rm", "--sync", "garbage"]));
    }

    /// The directory of the bundle of a task that runs.
    pub fn bundle(&self, id: &str) -> PathBuf {
        let tasks = self.directory.path().join("state/io.containerd.runtime.v2.task");
        tasks.join("handroll").join(id)
    }

    /// Imports an archive.
    pub fn import(&self, archive: &Path) {
        super::ok(self.ctr(&["images", "import"]).arg(archive));
    }

    /// The names of all images.
    pub fn names(&self) -> Vec<String> {
        super::text(&mut self.ctr(&["images", "ls", "-q"]))
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Changes the only image's root file system, script by script, mounted at `target`; what each of them changed, as
    /// containerd's own layers, packed by gzip.
    pub fn diffs(&self, target: &Path, scripts: &[&str], change: impl Fn(&str, &Path)) -> Vec<Vec<u8>> {
        let tree = super::text(&mut self.ctr(&["snapshots", "ls"]));
        let first = tree.lines().nth(1).and_then(|line| line.split(' ').next());
        let mut parent = first.expect("a snapshot").to_owned();
        fs::create_dir_all(target).unwrap();
        let mut layers = Vec::new();
        for (number, script) in scripts.iter().enumerate() {
            let key = format!("change-{number}");
            let mounts = super::json(&mut self.ctr(&["snapshots", "prepare", "--mounts", &key, &parent]));
            let options = mounts[0]["Options"].as_array().expect("a list");
            let options: Vec<_> = options.iter().filter_map(Value::as_str).collect();
            let mut mount = program("mount");
            super::ok(
                mount
                    .args(["-t", "overlay", "overlay", "-o", &options.join(",")])
                    .arg(target),
            );
            change(script, target);
            super::ok(program("umount").arg(target));
            layers.push(super::ok(&mut self.ctr(&["snapshots", "diff", &key])).stdout);
            parent = format!("changed-{number}");
            super::ok(&mut self.ctr(&["snapshots", "commit", &parent, &key]));
        }
        layers
    }

    /// Runs a container and gives what it printed; with no command, the image's own.
    pub fn run(&self, image: &str, command: &[&str]) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = format!("c{}", NEXT.fetch_add(1, Ordering::Relaxed));
        super::text(self.ctr(&["run", "--rm", image, &id]).args(command))
    }

    /// Calls `look` with the image's merged view, as the overlayfs snapshotter mounts it.
    pub fn mounted<T>(&self, image: &str, look: impl FnOnce(&Path) -> T) -> T {
        let target = self.directory.path().join("mounted");
        fs::create_dir_all(&target).unwrap();
        super::ok(self.ctr(&["images", "mount", image]).arg(&target));
        let seen = look(&target);
        super::ok(self.ctr(&["images", "unmount", "--rm"]).arg(&target));
        seen
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
