//! How the list of steps is made: what runc 1.1.5 does with a configuration, in its order.

use std::collections::BTreeSet;

use super::RuntimeError;
use super::mount_point::{MountPoint, shown_flags, super_options};
use super::spec::{Mount, Spec};
use super::step::{Machine, SeenRoot, Step, StepRule};
use super::system_call::{SystemCall, flags_of};
use crate::image::root::{Root, RootKind};
use crate::overlay::mount::Call;
use crate::text::escape;

/// The steps from `runc run` to the end of the container. `view` is the root file system as it is before, `root` how
/// it is mounted, as the container sees it at `/`.
pub fn steps(
    spec: &Spec,
    view: &dyn Root,
    root: &MountPoint,
    machine: &Machine,
) -> Result<Vec<Step>, RuntimeError> {
    let mut start = Start {
        view,
        machine,
        steps: Vec::new(),
        root: SeenRoot::Host,
        namespaces: Vec::new(),
        mounted: Vec::new(),
        made: BTreeSet::new(),
        dev: "/dev".to_owned(),
    };
    start.namespaces(spec);
    start.bind(root);
    for mount in &spec.mounts {
        start.mount(mount)?;
    }
    start.devices()?;
    start.pivot();
    start.inside(spec);
    start.run(spec);
    Ok(start.steps)
}

/// The most symbolic links on the way to a mount point (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// The directory of the root file system, in calls before it is `/`.
const ROOTFS: &str = "rootfs";

struct Start<'a> {
    view: &'a dyn Root,
    machine: &'a Machine,
    steps: Vec<Step>,
    root: SeenRoot,
    namespaces: Vec<&'static str>,
    mounted: Vec<MountPoint>,
    /// Directories that were made, in the root file system or in what is mounted there.
    made: BTreeSet<Vec<u8>>,
    /// Where `/dev` is, without links.
    dev: String,
}

impl Start<'_> {
    fn step(&mut self, rule: StepRule, text: impl Into<String>, calls: Vec<SystemCall>) -> &mut Step {
        self.steps.push(Step {
            rule,
            text: text.into(),
            calls,
            root: self.root,
            namespaces: self.namespaces.clone(),
            mounts: Vec::new(),
            upper: Vec::new(),
        });
        self.steps.last_mut().expect("just pushed")
    }

    fn mounts(&mut self, rule: StepRule, text: &str, calls: Vec<SystemCall>, mount: MountPoint) {
        self.mounted.push(mount.clone());
        self.step(rule, text, calls).mounts.push(mount);
    }

    /// The mount that a path of the container is in.
    fn mount_of(&self, path: &str) -> Option<&MountPoint> {
        let is_in = |mount: &&MountPoint| {
            let rest = path.strip_prefix(&mount.target[..]);
            mount.target == "/" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mounts = self.mounted.iter().filter(is_in);
        // Of those at one place, the last.
        mounts.max_by_key(|mount| mount.target.len())
    }

    fn is_mounted_over(&self, path: &str) -> bool {
        self.mount_of(path).is_some_and(|mount| mount.target != "/")
    }

    fn namespaces(&mut self, spec: &Spec) {
        self.step(StepRule::BundleRead, "", Vec::new());
        if spec.linux.resources.is_some() {
            let path = spec.linux.cgroups_path.as_deref();
            self.step(
                StepRule::CgroupMade,
                path.unwrap_or("named by the container's id"),
                Vec::new(),
            );
        }
        self.step(StepRule::InitStarted, "", Vec::new());
        let mut namespaces: Vec<&str> = spec
            .linux
            .namespaces
            .iter()
            .map(|namespace| namespace.kind)
            .collect();
        if namespaces.contains(&"user") {
            self.namespaces.push("user");
            let maps = spec.linux.uid_mappings.iter();
            let maps = maps.map(|map| {
                format!(
                    "user {} is the host's {}, {} of them",
                    map.container_id, map.host_id, map.size
                )
            });
            let text = maps.collect::<Vec<_>>().join("; ");
            let namespaces = vec!["user"];
            self.step(
                StepRule::UsersMapped,
                text,
                vec![SystemCall::Unshare { namespaces }],
            );
            // runc leaves the user namespace first, the others together.
            self.namespaces.clear();
        }
        namespaces.retain(|kind| *kind != "user");
        let text = namespaces.join(", ");
        self.root = SeenRoot::HostCopy;
        self.namespaces = spec
            .linux
            .namespaces
            .iter()
            .map(|namespace| namespace.kind)
            .collect();
        self.step(
            StepRule::NamespacesLeft,
            text,
            vec![SystemCall::Unshare { namespaces }],
        );
        self.step(StepRule::InitForked, "", vec![SystemCall::Setsid]);
        if self.namespaces.contains(&"network") {
            self.step(StepRule::Loopback, "", Vec::new());
        }
    }

    fn bind(&mut self, root: &MountPoint) {
        let slave = change("", "/", &["slave", "rec"]);
        self.step(StepRule::RootSlave, "", vec![slave]);
        let bind = change(ROOTFS, ROOTFS, &["bind", "rec"]);
        self.mounts(StepRule::RootBound, "", vec![bind], root.clone());
    }

    /// Makes a path where it is missing. The path, without links; and the mode of what was there.
    fn make_directory(&mut self, path: &str, is_cwd: bool) -> Result<(String, Option<u32>), RuntimeError> {
        let mut at: Vec<u8> = Vec::new();
        let mut mode = None;
        let mut links = 0;
        // What is left to walk, last name first.
        let mut rest: Vec<Vec<u8>> = names(path.as_bytes());
        while let Some(name) = rest.pop() {
            if name == b".." {
                at.truncate(at.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                continue;
            }
            let next = [&at[..], b"/", &name].concat();
            let text = String::from_utf8_lossy(&next).into_owned();
            let is_inside = self.is_mounted_over(&text);
            let is_known = self.made.contains(&next) || is_inside && self.is_target(&text);
            // What runc has made, or mounted, is empty.
            let found = match is_inside || is_known || self.made.contains(&at) {
                true => None,
                false => self.view.lookup(&next),
            };
            mode = None;
            match found.map(|entry| (entry.kind, entry.mode)) {
                None if is_known => at = next,
                None => {
                    // Where the program starts is made by its own path, through the links in it.
                    let literal = is_cwd.then(|| without_last(path, rest.len()));
                    self.make(&next, literal, is_inside);
                    at = next;
                }
                Some((RootKind::Directory, found)) => {
                    mode = Some(found);
                    at = next;
                }
                Some((RootKind::Symlink(target), _)) if links < MAX_LINKS => {
                    links += 1;
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    rest.extend(names(&target));
                }
                Some((kind, _)) => return Err(in_the_way(path, &next, &kind)),
            }
        }
        let path = if at.is_empty() { b"/".to_vec() } else { at };
        Ok((String::from_utf8_lossy(&path).into_owned(), mode))
    }

    fn is_target(&self, path: &str) -> bool {
        self.mounted.iter().any(|mount| mount.target == path)
    }

    fn make(&mut self, path: &[u8], of_cwd: Option<String>, is_inside: bool) {
        self.made.insert(path.to_vec());
        let rule = match (&of_cwd, is_inside) {
            (None, false) => StepRule::MountPointMade,
            (None, true) => StepRule::MountPointMadeInside,
            (Some(_), false) => StepRule::CwdMade,
            (Some(_), true) => StepRule::CwdMadeInside,
        };
        let text = of_cwd.unwrap_or_else(|| String::from_utf8_lossy(path).into_owned());
        let call = SystemCall::Mkdir {
            path: self.shown(&text),
            mode: 0o755,
        };
        let upper = Call::Mkdir {
            path: text.as_bytes().into(),
            mode: 0o755,
        };
        let step = self.step(rule, text, vec![call]);
        if !is_inside {
            step.upper.push(upper);
        }
    }

    /// A path of the container as a call has it.
    fn shown(&self, path: &str) -> String {
        match self.root {
            SeenRoot::Container => path.to_owned(),
            _ => format!("{ROOTFS}{path}"),
        }
    }

    fn mount(&mut self, mount: &Mount) -> Result<(), RuntimeError> {
        let there = self.view.lookup(mount.destination.as_bytes());
        let is_link = there.is_some_and(|entry| matches!(entry.kind, RootKind::Symlink(_)));
        if is_link && matches!(mount.kind, "proc" | "sysfs") {
            // What such a link leads to could be somebody else's (CVE-2019-19921).
            return Err(RuntimeError::MountPoint {
                path: mount.destination.clone(),
                reason: "it is a symbolic link".to_owned(),
            });
        }
        let (target, mode) = self.make_directory(&mount.destination, false)?;
        let options = mount.options.iter().map(String::as_str);
        let is_volume = mount.options.iter().any(|option| option == "tmpcopyup");
        let (flags, data) = flags_of(options.filter(|option| *option != "tmpcopyup"));
        let call = SystemCall::Mount {
            source: mount.source.to_owned(),
            target: self.shown(&target),
            kind: Some(mount.kind),
            flags: flags.clone(),
            data: data.join(","),
        };
        let rule = match (mount.kind, &mount.destination[..]) {
            ("proc", _) => StepRule::MountProc,
            ("tmpfs", "/dev") => StepRule::MountDev,
            ("devpts", _) => StepRule::MountPts,
            ("tmpfs", "/dev/shm") => StepRule::MountShm,
            ("mqueue", _) => StepRule::MountMqueue,
            ("sysfs", _) => StepRule::MountSys,
            _ if is_volume => StepRule::MountVolume,
            _ => StepRule::MountTmpfs,
        };
        let point = MountPoint {
            root: "/".to_owned(),
            target: target.clone(),
            options: shown_flags(&flags),
            kind: mount.kind.to_owned(),
            source: mount.source.to_owned(),
            super_options: super_options(mount.kind, flags.contains(&"MS_RDONLY"), &data),
        };
        self.mounts(rule, &target, vec![call], point);
        if let (Some(mode), "tmpfs") = (mode, mount.kind) {
            let call = SystemCall::Chmod {
                path: self.shown(&target),
                mode: mode as u16,
            };
            self.step(StepRule::MountMode, &target, vec![call]);
        }
        Ok(())
    }

    fn devices(&mut self) -> Result<(), RuntimeError> {
        (self.dev, _) = self.make_directory("/dev", false)?;
        let nodes = [
            ("null", 1, 3),
            ("random", 1, 8),
            ("full", 1, 7),
            ("tty", 5, 0),
            ("zero", 1, 5),
            ("urandom", 1, 9),
        ];
        let calls = nodes.map(|(name, major, minor)| SystemCall::Mknod {
            path: self.shown(&format!("{}/{name}", self.dev)),
            mode: 0o666,
            major,
            minor,
        });
        let names = nodes.map(|(name, ..)| name);
        self.step(StepRule::DevNodes, names.join(", "), calls.into());
        let mut links = vec![
            ("pts/ptmx", "ptmx"),
            ("/proc/self/fd", "fd"),
            ("/proc/self/fd/0", "stdin"),
            ("/proc/self/fd/1", "stdout"),
            ("/proc/self/fd/2", "stderr"),
        ];
        if self.machine.is_directory("/proc/kcore").is_some() {
            links.push(("/proc/kcore", "core"));
        }
        let call = |&(target, name): &(&'static str, &str)| SystemCall::Symlink {
            target,
            path: self.shown(&format!("/dev/{name}")),
        };
        let calls = links.iter().map(call).collect();
        let names: Vec<&str> = links.iter().map(|(_, name)| *name).collect();
        self.step(StepRule::DevLinks, names.join(", "), calls);
        Ok(())
    }

    fn pivot(&mut self) {
        self.root = SeenRoot::Stacked;
        let chdir = SystemCall::Chdir {
            path: ROOTFS.to_owned(),
        };
        let pivot = SystemCall::PivotRoot { new: ".", old: "." };
        self.step(StepRule::RootPivoted, "", vec![chdir, pivot]);
        self.root = SeenRoot::Container;
        let slave = change("", ".", &["slave", "rec"]);
        let umount = SystemCall::Umount { path: "." };
        let chdir = SystemCall::Chdir { path: "/".to_owned() };
        self.step(StepRule::RootDetached, "", vec![slave, umount, chdir]);
    }

    /// What is left to do once `/` is the container's.
    fn inside(&mut self, spec: &Spec) {
        // What stands in the way there is found when the program is started, and not here.
        let _ = self.make_directory(&spec.process.cwd, true);
        if spec.process.terminal {
            self.console();
        }
        if spec.root.readonly {
            let call = change("", "/", &["ro", "remount", "bind"]);
            self.step(StepRule::RootReadOnly, "", vec![call]);
        }
        for path in &spec.linux.readonly_paths {
            if self.has(path) {
                self.read_only(path);
            }
        }
        for path in &spec.linux.masked_paths {
            if self.has(path) {
                self.mask(path);
            }
        }
    }

    fn has(&self, path: &str) -> bool {
        self.machine.is_directory(path).is_some()
    }

    /// A path that is bound to itself or to another, in the mount that it is in.
    fn bound(&self, source: &str, target: &str, flags: Option<&[&'static str]>) -> Option<MountPoint> {
        let from = self.mount_of(source)?;
        let inside = source.strip_prefix(&from.target[..])?;
        Some(MountPoint {
            root: inside.to_owned(),
            target: target.to_owned(),
            options: flags.map_or_else(|| from.options.clone(), shown_flags),
            ..from.clone()
        })
    }

    fn console(&mut self) {
        let (source, target) = ("/dev/pts/0", "/dev/console");
        let [real_source, real_target] = ["pts/0", "console"].map(|name| format!("{}/{name}", self.dev));
        if let Some(mount) = self.bound(&real_source, &real_target, None) {
            let bind = change(source, target, &["bind"]);
            self.mounts(StepRule::Console, target, vec![bind], mount);
        }
    }

    fn read_only(&mut self, path: &str) {
        let Some(from) = self.mount_of(path) else {
            return;
        };
        let (flags, _) = flags_of(from.options.split(',').chain(["ro"]));
        let (remount, _) = flags_of(from.options.split(',').chain(["ro", "remount", "bind"]));
        let remount = SystemCall::Mount {
            source: path.to_owned(),
            target: path.to_owned(),
            kind: None,
            flags: remount,
            data: String::new(),
        };
        let calls = vec![change(path, path, &["bind", "rec"]), remount];
        if let Some(mount) = self.bound(path, path, Some(&flags)) {
            self.mounts(StepRule::PathReadOnly, path, calls, mount);
        }
    }

    fn mask(&mut self, path: &str) {
        if self.machine.is_directory(path) == Some(true) {
            let call = SystemCall::Mount {
                source: "tmpfs".to_owned(),
                target: path.to_owned(),
                kind: Some("tmpfs"),
                flags: vec!["MS_RDONLY"],
                data: String::new(),
            };
            let mount = MountPoint {
                root: "/".to_owned(),
                target: path.to_owned(),
                options: "ro,relatime".to_owned(),
                kind: "tmpfs".to_owned(),
                source: "tmpfs".to_owned(),
                super_options: "ro".to_owned(),
            };
            self.mounts(StepRule::PathMaskedDirectory, path, vec![call], mount);
        } else if let Some(mount) = self.bound(&format!("{}/null", self.dev), path, None) {
            let bind = change("/dev/null", path, &["bind"]);
            self.mounts(StepRule::PathMasked, path, vec![bind], mount);
        }
    }

    /// The process becomes the program.
    fn run(&mut self, spec: &Spec) {
        let process = &spec.process;
        if process.no_new_privileges {
            self.step(StepRule::NoNewPrivileges, "", vec![SystemCall::NoNewPrivileges]);
        }
        let user = &process.user;
        let chdir = SystemCall::Chdir {
            path: process.cwd.clone(),
        };
        let mut calls = vec![chdir];
        if !self.namespaces.contains(&"user") {
            let gids = user.additional_gids.clone();
            calls.push(SystemCall::Setgroups { gids });
        }
        calls.extend([
            SystemCall::Setgid { gid: user.gid },
            SystemCall::Setuid { uid: user.uid },
        ]);
        let names = process.capabilities.bounding.iter();
        let names: Vec<&str> = names.map(|name| name.trim_start_matches("CAP_")).collect();
        let text = format!(
            "{}; it is user {} and group {} now, in {}",
            names.join(", "),
            user.uid,
            user.gid,
            process.cwd
        );
        self.step(StepRule::RightsDropped, text, calls);
        let args = process.args.clone();
        let text = process.args.join(" ");
        self.step(StepRule::Started, text, vec![SystemCall::Execve { args }]);
        self.step(StepRule::Ended, "", Vec::new());
        self.root = SeenRoot::Host;
        self.namespaces.clear();
        self.step(StepRule::Removed, "", Vec::new());
    }
}

/// The names of a path, last first.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|&byte| byte == b'/').rev();
    names
        .filter(|name| !matches!(*name, b"" | b"."))
        .map(<[u8]>::to_vec)
        .collect()
}

/// A path without its last names.
fn without_last(path: &str, count: usize) -> String {
    let names: Vec<&str> = path
        .split('/')
        .filter(|name| !matches!(*name, "" | "."))
        .collect();
    let kept = names[..names.len().saturating_sub(count)].iter();
    kept.flat_map(|name| ["/", name]).collect()
}

fn in_the_way(path: &str, found: &[u8], kind: &RootKind) -> RuntimeError {
    let what = match kind {
        RootKind::Symlink(_) => "one link too many",
        _ => "not a directory",
    };
    RuntimeError::MountPoint {
        path: path.to_owned(),
        reason: format!("{} is {what}", escape(found)),
    }
}

/// mount(2) that changes or binds what is there.
fn change(source: &str, target: &str, options: &[&'static str]) -> SystemCall {
    SystemCall::Mount {
        source: source.to_owned(),
        target: target.to_owned(),
        kind: None,
        flags: flags_of(options.iter().copied()).0,
        data: String::new(),
    }
}
