//! System calls of the runtime as values, printed as strace(1) prints them.

use std::fmt;

/// A system call that succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "each is a system call, its fields are the call's arguments"
)]
pub enum SystemCall {
    /// Of namespaces, by the names of runtime-spec.
    Unshare {
        namespaces: Vec<&'static str>,
    },
    Setsid,
    Mount {
        source: String,
        target: String,
        /// None where the call has no use for it.
        kind: Option<&'static str>,
        /// `MS_NOSUID`, in the order of their bits.
        flags: Vec<&'static str>,
        data: String,
    },
    Mkdir {
        path: String,
        mode: u16,
    },
    Mknod {
        path: String,
        mode: u16,
        major: u32,
        minor: u32,
    },
    Symlink {
        target: &'static str,
        path: String,
    },
    Chmod {
        path: String,
        mode: u16,
    },
    Chdir {
        path: String,
    },
    PivotRoot {
        new: &'static str,
        old: &'static str,
    },
    Umount {
        path: &'static str,
    },
    /// prctl(2), PR_SET_NO_NEW_PRIVS.
    NoNewPrivileges,
    Setgroups {
        gids: Vec<u32>,
    },
    Setgid {
        gid: u32,
    },
    Setuid {
        uid: u32,
    },
    Execve {
        args: Vec<String>,
    },
}

/// The flags of mount(2) that runtimes use, in the order of their bits, and the options that mean them.
const FLAGS: [(&str, &str); 9] = [
    ("MS_RDONLY", "ro"),
    ("MS_NOSUID", "nosuid"),
    ("MS_NODEV", "nodev"),
    ("MS_NOEXEC", "noexec"),
    ("MS_REMOUNT", "remount"),
    ("MS_BIND", "bind"),
    ("MS_REC", "rec"),
    ("MS_SLAVE", "slave"),
    ("MS_STRICTATIME", "strictatime"),
];

/// The flags that these options mean, in order, and the options that are the file system's own.
pub(super) fn flags_of<'a>(options: impl IntoIterator<Item = &'a str>) -> (Vec<&'static str>, Vec<&'a str>) {
    let (known, own): (Vec<&str>, Vec<&str>) = options
        .into_iter()
        .partition(|option| FLAGS.iter().any(|(_, name)| name == option));
    let flags = FLAGS.iter().filter(|(_, name)| known.contains(name));
    (flags.map(|(flag, _)| *flag).collect(), own)
}

impl fmt::Display for SystemCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unshare { namespaces } => write!(f, "unshare({})", namespaces.join("|")),
            Self::Setsid => f.write_str("setsid()"),
            Self::Mount {
                source,
                target,
                kind,
                flags,
                data,
            } => {
                write!(f, "mount({source:?}, {target:?}, ")?;
                match kind {
                    Some(kind) => write!(f, "{kind:?}, ")?,
                    None => f.write_str("NULL, ")?,
                }
                match flags.is_empty() {
                    true => f.write_str("0, ")?,
                    false => write!(f, "{}, ", flags.join("|"))?,
                }
                match data.is_empty() {
                    true => f.write_str("NULL)"),
                    false => write!(f, "{data:?})"),
                }
            }
            Self::Mkdir { path, mode } => write!(f, "mkdir({path:?}, 0{mode:o})"),
            Self::Mknod {
                path,
                mode,
                major,
                minor,
            } => write!(f, "mknod({path:?}, S_IFCHR|0{mode:o}, makedev({major}, {minor}))"),
            Self::Symlink { target, path } => write!(f, "symlink({target:?}, {path:?})"),
            Self::Chmod { path, mode } => write!(f, "chmod({path:?}, 0{mode:o})"),
            Self::Chdir { path } => write!(f, "chdir({path:?})"),
            Self::PivotRoot { new, old } => write!(f, "pivot_root({new:?}, {old:?})"),
            Self::Umount { path } => write!(f, "umount2({path:?}, MNT_DETACH)"),
            Self::NoNewPrivileges => f.write_str("prctl(PR_SET_NO_NEW_PRIVS, 1)"),
            Self::Setgroups { gids } => {
                let gids: Vec<String> = gids.iter().map(u32::to_string).collect();
                write!(f, "setgroups({}, [{}])", gids.len(), gids.join(", "))
            }
            Self::Setgid { gid } => write!(f, "setgid({gid})"),
            Self::Setuid { uid } => write!(f, "setuid({uid})"),
            Self::Execve { args } => {
                write!(
                    f,
                    "execve({:?}, {args:?})",
                    args.first().map_or("", String::as_str)
                )
            }
        }
    }
}
