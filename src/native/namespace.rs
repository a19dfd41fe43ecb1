//! Namespaces of this process: mounts of its own, and a user namespace in which somebody who is not root may
//! mount. Only the calling thread moves: there must not be others.

use std::fs;
use std::io::{self, Write as _};
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{getgid, getpid, getuid};
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities, unshare_unsafe};

use crate::digest::Digest;
use crate::runtime::IdMapping;

/// Whether this process may mount.
pub fn may_mount() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Gives this process mounts of its own, which nobody else sees, and which are gone when it and its children
/// are.
pub fn unshare_mounts() -> Result<(), Errno> {
    unshare(UnshareFlags::NEWNS)?;
    private_mounts()
}

fn private_mounts() -> Result<(), Errno> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", flags)
}

#[allow(unsafe_code, reason = "there is no safe call")]
fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    // Safety: the only danger of unshare(2) is `CLONE_FILES`, which takes descriptors from other threads.
    assert!(!flags.contains(UnshareFlags::FILES));
    unsafe { unshare_unsafe(flags) }
}

/// A user namespace that this process is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserNamespace {
    /// Names the ids that it maps: the same for the same ids.
    pub name: String,
    /// Why it maps no ids but that of the user; none if it maps subordinate ids too.
    pub single: Option<String>,
}

/// There is no user namespace to be had.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// The kernel refuses.
    #[error("cannot make a user namespace: {}{}", super::mount_error::words(*errno), mend(*errno))]
    Refused {
        /// What it answered.
        errno: Errno,
    },
    /// The ids cannot be mapped.
    #[error("cannot map ids in the user namespace: {error}")]
    Map {
        /// What the system said.
        #[from]
        error: io::Error,
    },
}

fn mend(errno: Errno) -> &'static str {
    match errno {
        Errno::PERM | Errno::ACCESS | Errno::NOSPC | Errno::USERS => {
            "; this machine does not let users have them (sysctl user.max_user_namespaces, \
             kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns): run it as root"
        }
        Errno::INVAL => "; this kernel has none, or the process has several threads",
        _ => "",
    }
}

/// Which ids a user namespace maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MappedIds {
    /// The user's own, as root: all that is made in it belongs to the user outside too.
    Own,
    /// Subordinate ids as well, from 1 on, if /etc/subuid and /etc/subgid give some and newuidmap(1) and newgidmap(1)
    /// map them.
    Subordinate,
}

/// Moves this process into a user namespace with mounts of its own, in which the user is root.
pub fn enter_user_namespace(ids: MappedIds) -> Result<UserNamespace, NamespaceError> {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let mappers = match ids {
        MappedIds::Own => Err("no others were asked for".to_owned()),
        MappedIds::Subordinate => mappers(uid, gid),
    };
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)
        .map_err(|errno| NamespaceError::Refused { errno })?;
    let single = mappers.and_then(|[users, groups]| {
        users.map()?;
        groups.map()
    });
    let single = single.err();
    if single.is_some() {
        // The one map that anybody may write: of oneself.
        if fs::read_to_string("/proc/self/uid_map")?.is_empty() {
            fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        }
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
    }
    private_mounts().map_err(|errno| NamespaceError::Refused { errno })?;
    Ok(UserNamespace {
        name: name_of_maps()?,
        single,
    })
}

/// The name of the user namespace that this process is in already; none if it is the system's.
pub fn user_namespace() -> Result<Option<String>, NamespaceError> {
    let map = fs::read_to_string("/proc/self/uid_map")?;
    let is_all = map.split_whitespace().eq(["0", "0", "4294967295"]);
    Ok(if is_all { None } else { Some(name_of_maps()?) })
}

/// The ids that this process's user namespace maps, by the file `uid_map` or `gid_map`.
pub fn id_maps(file: &str) -> io::Result<Vec<IdMapping>> {
    let text = fs::read_to_string(format!("/proc/self/{file}"))?;
    let mapping = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(IdMapping {
            container_id: next()?,
            host_id: next()?,
            size: next()?,
        })
    };
    Ok(text.lines().filter_map(mapping).collect())
}

fn name_of_maps() -> io::Result<String> {
    let [users, groups] = ["uid_map", "gid_map"].map(|name| fs::read(format!("/proc/self/{name}")));
    let digest = Digest::of(&[users?, groups?].join(&b'\n'));
    Ok(format!("user-{}", &digest.hex()[..16]))
}

/// One of the two set-user-id programs, started before this process leaves its namespace and waiting for that.
struct Mapper {
    program: &'static str,
    child: Child,
}

fn mappers(uid: u32, gid: u32) -> Result<[Mapper; 2], String> {
    let name = user_name(uid);
    let start = |program, file, id| {
        let ranges = ranges(file, name.as_deref(), uid)?;
        Mapper::start(program, id, &ranges)
    };
    Ok([
        start("newuidmap", "/etc/subuid", uid)?,
        start("newgidmap", "/etc/subgid", gid)?,
    ])
}

/// The name of a user by /etc/passwd.
fn user_name(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|fields| fields.get(2).is_some_and(|field| field.parse() == Ok(uid)))?;
    Some(line[0].to_owned())
}

/// The subordinate ids of a user (subuid(5)): first ids and counts.
fn ranges(file: &str, name: Option<&str>, uid: u32) -> Result<Vec<(u32, u32)>, String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let ranges: Vec<_> = text.lines().filter_map(|line| range(line, name, uid)).collect();
    match ranges.is_empty() {
        true => Err(format!("{file} gives this user no subordinate ids")),
        false => Ok(ranges),
    }
}

fn range(line: &str, name: Option<&str>, uid: u32) -> Option<(u32, u32)> {
    let mut fields = line.split(':');
    let who = fields.next()?;
    let is_user = Some(who) == name || who.parse() == Ok(uid);
    let range = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
    is_user.then_some(range)
}

impl Mapper {
    fn start(program: &'static str, id: u32, ranges: &[(u32, u32)]) -> Result<Self, String> {
        let mut map = vec![(0, id, 1)];
        let mut inside = 1_u32;
        for &(outside, count) in ranges {
            map.push((inside, outside, count));
            inside = inside.saturating_add(count);
        }
        let numbers = map
            .iter()
            .flat_map(|&(inside, outside, count)| [inside, outside, count]);
        let child = Command::new("sh")
            .args(["-c", r#"read -r go && exec "$@""#, "sh", program])
            .arg(getpid().as_raw_nonzero().to_string())
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let child = child.map_err(|error| format!("cannot start {program}: {error}"))?;
        Ok(Self { program, child })
    }

    fn map(mut self) -> Result<(), String> {
        let program = self.program;
        let told = self.child.stdin.take().map(|mut input| input.write_all(b"go\n"));
        let ended = self.child.wait_with_output();
        match (told, ended) {
            (Some(Ok(())), Ok(output)) if output.status.success() => Ok(()),
            (_, Ok(output)) => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(format!("{program} failed: {}", said.trim()))
            }
            (_, Err(error)) => Err(format!("{program} failed: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subordinate_ids_are_read() {
        assert_eq!(
            range("anna:100000:65536", Some("anna"), 7),
            Some((100_000, 65_536))
        );
        assert_eq!(range("7:1:2", Some("anna"), 7), Some((1, 2)));
        assert_eq!(range("bert:1:2", Some("anna"), 7), None);
        assert_eq!(range("anna:1", Some("anna"), 7), None);
        assert!(ranges("/nowhere", None, 7).unwrap_err().contains("/nowhere"));
        let error = NamespaceError::Refused { errno: Errno::NOSPC };
        assert!(error.to_string().contains("user.max_user_namespaces"));
    }
}
