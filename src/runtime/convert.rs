//! From an image's configuration to the runtime's (image-spec, conversion.md), with containerd's defaults for all
//! that it leaves open (oci/spec.go, oci/mounts.go, `ctr run`).

use std::collections::BTreeMap;

use super::RuntimeError;
use super::config::ImageConfig;
use super::spec::{
    Capabilities, Cpu, DeviceRule, IdMapping, Linux, Mount, Namespace, Process, Resources, Rlimit, Root,
    Spec, User,
};
use super::user::user;
use crate::image::root::{Root as View, resolve};

/// By whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As image-spec's conversion.md has it: the rest of the configuration becomes annotations, volumes become
    /// mounts, the groups of a user count only where `User` names no group (config.md), and programs are found
    /// even if `Env` has no PATH.
    Specification,
    /// As `ctr run` has it, which does none of these.
    Containerd,
}

/// What is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Arguments {
    /// What the image says: Entrypoint, then Cmd.
    #[default]
    Image,
    /// Entrypoint, then these.
    Cmd(Vec<String>),
    /// These alone, as `ctr run` takes them.
    All(Vec<String>),
}

/// Whose users the container's are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Users {
    /// Those of whoever starts the runtime.
    #[default]
    Same,
    /// The same, but that is a user namespace with these users and groups, which may not manage cgroups.
    Inside(Vec<IdMapping>, Vec<IdMapping>),
    /// A new user namespace with these users and groups, made by somebody who is not root.
    New(Vec<IdMapping>, Vec<IdMapping>),
}

/// What is asked for beside what the image says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// By whose rules.
    pub manner: Manner,
    /// What is run.
    pub arguments: Arguments,
    /// Variables that take the place of the image's or join them, `KEY=VALUE`; a name alone takes one away.
    pub env: Vec<String>,
    /// Another directory to start in.
    pub cwd: Option<String>,
    /// Another user.
    pub user: Option<String>,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// Whether nobody can write to the root file system.
    pub read_only: bool,
    /// Where the cgroup is.
    pub cgroups_path: Option<String>,
    /// Whose users the container's are.
    pub users: Users,
}

impl Request {
    /// What the image says, and nothing else.
    pub fn new(manner: Manner) -> Self {
        Self {
            manner,
            arguments: Arguments::Image,
            env: Vec::new(),
            cwd: None,
            user: None,
            terminal: false,
            read_only: false,
            cgroups_path: None,
            users: Users::Same,
        }
    }
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const TERM: &str = "TERM=xterm";

/// The runtime's configuration for a container of an image with this merged view.
pub fn convert(config: &ImageConfig, request: &Request, view: &dyn View) -> Result<Spec, RuntimeError> {
    let mut user = user(
        request.user.as_deref().unwrap_or(&config.user),
        request.manner,
        view,
    )?;
    restrict(&mut user, &request.users)?;
    Ok(Spec {
        oci_version: "1.0.2-dev",
        process: Process {
            terminal: request.terminal,
            user,
            args: args(config, &request.arguments)?,
            env: env(config, request)?,
            cwd: cwd(config, request)?,
            capabilities: Capabilities {
                bounding: CAPABILITIES.to_vec(),
                effective: CAPABILITIES.to_vec(),
                permitted: CAPABILITIES.to_vec(),
            },
            rlimits: vec![Rlimit {
                kind: "RLIMIT_NOFILE",
                hard: 1024,
                soft: 1024,
            }],
            no_new_privileges: true,
        },
        root: Root {
            path: "rootfs".to_owned(),
            readonly: request.read_only,
        },
        mounts: mounts(config, request, view)?,
        annotations: match request.manner {
            Manner::Specification => annotations(config),
            Manner::Containerd => BTreeMap::new(),
        },
        linux: linux(request),
    })
}

fn is_mapped(maps: &[IdMapping], id: u32) -> bool {
    let has = |map: &IdMapping| map.container_id <= id && id - map.container_id < map.size;
    maps.iter().any(has)
}

/// What is left of a user in a user namespace.
fn restrict(user: &mut User, users: &Users) -> Result<(), RuntimeError> {
    let (uids, gids) = match users {
        Users::Same => return Ok(()),
        Users::Inside(uids, gids) | Users::New(uids, gids) => (uids, gids),
    };
    for (what, maps, id) in [("user", uids, user.uid), ("group", gids, user.gid)] {
        if !is_mapped(maps, id) {
            return Err(RuntimeError::Unmapped { what, id });
        }
    }
    match users {
        // Who is not root may set no groups, and runc refuses to start.
        Users::New(..) => user.additional_gids.clear(),
        _ => user.additional_gids.retain(|&gid| is_mapped(gids, gid)),
    }
    Ok(())
}

fn without_nul(place: impl FnOnce() -> String, value: &str) -> Result<(), RuntimeError> {
    match value.contains('\0') {
        false => Ok(()),
        true => Err(RuntimeError::Nul {
            place: place(),
            value: value.to_owned(),
        }),
    }
}

fn args(config: &ImageConfig, arguments: &Arguments) -> Result<Vec<String>, RuntimeError> {
    let args = match arguments {
        Arguments::Image => [&config.entrypoint[..], &config.cmd].concat(),
        Arguments::Cmd(cmd) => [&config.entrypoint[..], cmd].concat(),
        Arguments::All(args) => args.clone(),
    };
    for (number, arg) in args.iter().enumerate() {
        without_nul(|| format!("argument {number}"), arg)?;
    }
    // An empty name is one that the runtime does not find, and says so.
    match args.is_empty() {
        true => Err(RuntimeError::NoCommand),
        false => Ok(args),
    }
}

fn key(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(key, _)| key)
}

fn env(config: &ImageConfig, request: &Request) -> Result<Vec<String>, RuntimeError> {
    let mut env = config.env.clone();
    for (number, variable) in env.iter().enumerate() {
        let place = || format!("Env[{number}]");
        without_nul(place, variable)?;
        if !variable.contains('=') || key(variable).is_empty() {
            return Err(RuntimeError::Variable {
                place: place(),
                value: variable.clone(),
            });
        }
    }
    if env.is_empty() {
        env.push(PATH.to_owned());
    }
    for variable in &request.env {
        without_nul(|| "a variable".to_owned(), variable)?;
        if key(variable).is_empty() {
            return Err(RuntimeError::Variable {
                place: "a variable that was given".to_owned(),
                value: variable.clone(),
            });
        }
        let has_value = variable.contains('=');
        match env.iter_mut().find(|old| key(old) == key(variable)) {
            Some(old) if has_value => old.clone_from(variable),
            Some(_) => env.retain(|old| key(old) != key(variable)),
            None if has_value => env.push(variable.clone()),
            None => {}
        }
    }
    let has = |env: &[String], default: &str| env.iter().any(|variable| key(variable) == key(default));
    if request.manner == Manner::Specification && !has(&env, PATH) {
        env.push(PATH.to_owned());
    }
    // `ctr run -t` adds it even to an image's own.
    if request.terminal && (request.manner == Manner::Containerd || !has(&env, TERM)) {
        env.push(TERM.to_owned());
    }
    Ok(env)
}

fn absolute(place: &'static str, path: &str) -> Result<String, RuntimeError> {
    without_nul(|| place.to_owned(), path)?;
    match path.starts_with('/') {
        true => Ok(path.to_owned()),
        false => Err(RuntimeError::Relative {
            place,
            value: path.to_owned(),
        }),
    }
}

fn cwd(config: &ImageConfig, request: &Request) -> Result<String, RuntimeError> {
    match (&request.cwd, &config.working_dir[..]) {
        (Some(cwd), _) => absolute("the directory to start in", cwd),
        (None, "") => Ok("/".to_owned()),
        (None, cwd) => absolute("WorkingDir", cwd),
    }
}

/// oci/spec.go, `defaultUnixCaps`.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// oci/mounts.go: destination, type, source, options.
const MOUNTS: [(&str, &str, &str, &[&str]); 7] = [
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    (
        "/dev",
        "tmpfs",
        "tmpfs",
        &["nosuid", "strictatime", "mode=755", "size=65536k"],
    ),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &[
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            TTY_GROUP,
        ],
    ),
    (
        "/dev/shm",
        "tmpfs",
        "shm",
        &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
    ),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    (
        "/run",
        "tmpfs",
        "tmpfs",
        &["nosuid", "strictatime", "mode=755", "size=65536k"],
    ),
];
/// The group `tty` of most systems.
const TTY_GROUP: &str = "gid=5";

fn mounts(config: &ImageConfig, request: &Request, view: &dyn View) -> Result<Vec<Mount>, RuntimeError> {
    let has_tty_group = match &request.users {
        Users::Same => true,
        Users::Inside(_, gids) | Users::New(_, gids) => is_mapped(gids, 5),
    };
    let option = |option: &&&str| **option != TTY_GROUP || has_tty_group;
    let mut mounts: Vec<Mount> = MOUNTS
        .iter()
        .map(|&(destination, kind, source, options)| Mount {
            destination: destination.to_owned(),
            kind,
            source,
            options: options
                .iter()
                .filter(option)
                .map(|&option| option.to_owned())
                .collect(),
        })
        .collect();
    if request.manner == Manner::Specification {
        for volume in &config.volumes {
            let volume = volume_mount(absolute("Volumes", volume)?, view);
            if !mounts.iter().any(|mount| mount.destination == volume.destination) {
                mounts.push(volume);
            }
        }
    }
    Ok(mounts)
}

/// A volume is a tmpfs that begins with what the image has there (`tmpcopyup` of runc and crun), so that what is
/// written stays out of the root file system, and out of an image that is made of the container.
fn volume_mount(destination: String, view: &dyn View) -> Mount {
    let mut options = vec!["nosuid".to_owned(), "nodev".to_owned(), "tmpcopyup".to_owned()];
    let (mode, uid, gid) = match resolve(view, destination.as_bytes()) {
        Ok((_, entry)) => (entry.mode, entry.uid, entry.gid),
        Err(_) => (0o755, 0, 0),
    };
    options.push(format!("mode={mode:o}"));
    if (uid, gid) != (0, 0) {
        options.extend([format!("uid={uid}"), format!("gid={gid}")]);
    }
    Mount {
        destination,
        kind: "tmpfs",
        source: "tmpfs",
        options,
    }
}

/// Annotations on which runtimes act: crun's settings, properties of systemd's units and configurations of CRIU that
/// runc takes. An image must not choose those (conversion.md, Annotations).
const ACTED_ON: [&str; 3] = ["run.oci.", "org.systemd.property.", "org.criu."];

/// The labels that do not become annotations, since runtimes would act on them.
pub fn unsafe_labels(config: &ImageConfig) -> impl Iterator<Item = &str> {
    let labels = config.labels.keys().map(String::as_str);
    labels.filter(|label| ACTED_ON.iter().any(|start| label.starts_with(start)))
}

/// conversion.md, Annotations: labels take precedence over everything else.
fn annotations(config: &ImageConfig) -> BTreeMap<String, String> {
    let implicit = [
        ("os", &config.os),
        ("architecture", &config.architecture),
        ("variant", &config.variant),
        ("os.version", &config.os_version),
        ("os.features", &config.os_features.join(",")),
        ("author", &config.author),
        ("created", &config.created),
        ("stopSignal", &config.stop_signal),
        ("exposedPorts", &config.exposed_ports.join(",")),
    ];
    let said = implicit.into_iter().filter(|(_, value)| !value.is_empty());
    let said = said.map(|(name, value)| (format!("org.opencontainers.image.{name}"), value.clone()));
    let mut annotations: BTreeMap<String, String> = said.chain(config.labels.clone()).collect();
    for label in unsafe_labels(config) {
        annotations.remove(label);
    }
    annotations
}

const NAMESPACES: [&str; 5] = ["pid", "ipc", "uts", "mount", "network"];

/// oci/spec.go, `populateDefaultUnixSpec`.
const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/proc/scsi",
];
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// oci/spec_opts.go, `WithDefaultUnixDevices`: null, random, full, tty, zero, urandom, console, the terminals, ptmx.
const DEVICES: [(u32, Option<u32>); 9] = [
    (1, Some(3)),
    (1, Some(8)),
    (1, Some(7)),
    (5, Some(0)),
    (1, Some(5)),
    (1, Some(9)),
    (5, Some(1)),
    (136, None),
    (5, Some(2)),
];

fn linux(request: &Request) -> Linux {
    let mut namespaces: Vec<Namespace> = NAMESPACES.iter().map(|&kind| Namespace { kind }).collect();
    let (mut uid_mappings, mut gid_mappings) = (Vec::new(), Vec::new());
    if let Users::New(uids, gids) = &request.users {
        namespaces.push(Namespace { kind: "user" });
        (uid_mappings, gid_mappings) = (uids.clone(), gids.clone());
    }
    Linux {
        uid_mappings,
        gid_mappings,
        // Who is not root has no cgroup to limit.
        resources: (request.users == Users::Same).then(resources),
        cgroups_path: request.cgroups_path.clone(),
        namespaces,
        masked_paths: MASKED.to_vec(),
        readonly_paths: READ_ONLY.to_vec(),
    }
}

fn resources() -> Resources {
    let none = DeviceRule {
        allow: false,
        kind: None,
        major: None,
        minor: None,
        access: "rwm",
    };
    let allowed = DEVICES.iter().map(|&(major, minor)| DeviceRule {
        allow: true,
        kind: Some("c"),
        major: Some(major),
        minor,
        access: "rwm",
    });
    Resources {
        devices: [none].into_iter().chain(allowed).collect(),
        cpu: Some(Cpu { shares: 1024 }),
    }
}
