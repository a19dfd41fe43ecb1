//! The runtime's configuration, `config.json` (runtime-spec 1.0.2): what of it containers here have, in the order in
//! which Go writes it.

use std::collections::BTreeMap;

use serde::Serialize;

/// `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// The version of runtime-spec that it is written by.
    pub oci_version: &'static str,
    /// The process.
    pub process: Process,
    /// Its root file system.
    pub root: Root,
    /// What is mounted, in this order.
    pub mounts: Vec<Mount>,
    /// Free metadata.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What only Linux has.
    pub linux: Linux,
}

/// The process that is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Whether it gets a terminal.
    #[serde(skip_serializing_if = "is_false")]
    pub terminal: bool,
    /// As whom.
    pub user: User,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `KEY=VALUE`.
    pub env: Vec<String>,
    /// Where it starts.
    pub cwd: String,
    /// What it may do.
    pub capabilities: Capabilities,
    /// Limits (getrlimit(2)).
    pub rlimits: Vec<Rlimit>,
    /// Whether set-user-id programs give it no further rights.
    pub no_new_privileges: bool,
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names say it")]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_gids: Vec<u32>,
}

/// Sets of capabilities (capabilities(7)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names of capabilities(7)")]
pub struct Capabilities {
    pub bounding: Vec<&'static str>,
    pub effective: Vec<&'static str>,
    pub permitted: Vec<&'static str>,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names of getrlimit(2)")]
pub struct Rlimit {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub hard: u64,
    pub soft: u64,
}

/// The root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Root {
    /// Where: from the bundle on.
    pub path: String,
    /// Whether nobody can write to it.
    #[serde(skip_serializing_if = "is_false")]
    pub readonly: bool,
}

/// Something that is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Where, in the container.
    pub destination: String,
    /// The type of file system.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What; a mere name for file systems without a device.
    pub source: &'static str,
    /// Options of mount(8).
    pub options: Vec<String>,
}

/// What only Linux has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Linux {
    /// Users of the container as users of the host, in a new user namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    /// Likewise groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
    /// Limits of the cgroup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where the cgroup is; none for what the runtime chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroups_path: Option<String>,
    /// New ones.
    pub namespaces: Vec<Namespace>,
    /// What nobody shall read.
    pub masked_paths: Vec<&'static str>,
    /// What nobody shall write.
    pub readonly_paths: Vec<&'static str>,
}

/// A range of ids (user_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IdMapping {
    /// The first in the container.
    #[serde(rename = "containerID")]
    pub container_id: u32,
    /// The first on the host.
    #[serde(rename = "hostID")]
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

/// Limits of a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Which devices may be used; the last rule that fits counts.
    pub devices: Vec<DeviceRule>,
    /// Of the processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
}

/// A rule for devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DeviceRule {
    /// Whether they may.
    pub allow: bool,
    /// `c` or `b`; none for all.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// None for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major: Option<u32>,
    /// None for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,
    /// `r`, `w` and `m`, making them.
    pub access: &'static str,
}

/// How much of the processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cpu {
    /// The weight beside others.
    pub shares: u64,
}

/// A new namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// `pid`, `ipc`, `uts`, `mount`, `network`, `user`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Spec {
    /// `config.json`, as containerd writes it: without blanks.
    pub fn document(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, numbers and lists are always JSON")
    }
}
