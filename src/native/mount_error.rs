//! Why an overlay could not be mounted, with the cause and the mend.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use super::overlay_mount::MAX_LOWERS;

/// What a directory is to an overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A layer below, from the top, counted from 1 on.
    Lower(usize),
    /// The directory that is written to.
    Upper,
    /// The kernel's directory for what is not done yet.
    Work,
    /// Where it is mounted.
    Target,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lower(number) => write!(f, "lower directory {number} from the top"),
            Self::Upper => f.write_str("upper directory"),
            Self::Work => f.write_str("work directory"),
            Self::Target => f.write_str("mount point"),
        }
    }
}

/// An overlay could not be mounted, or not be unmounted. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// More layers than the kernel takes.
    #[error("{count} layers are more than the kernel's overlayfs takes ({MAX_LOWERS}); squash some of them")]
    TooManyLowers {
        /// How many there are.
        count: usize,
    },
    /// The kernel wants an upper directory, or two lower ones.
    #[error("an overlay needs an upper directory or two lower ones, and there are {lowers} lower ones alone")]
    TooFewLowers {
        /// How many lower directories there are.
        lowers: usize,
    },
    /// These two options exclude each other.
    #[error("{one} and {other} exclude each other")]
    Excluding {
        /// One of them.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// The option string would be cut.
    #[error(
        "this kernel takes the options of an overlay as one string only, and {length} bytes of {limit} are too many \
         for it; shorten the paths of the layers, squash layers, or use Linux 6.8 or later"
    )]
    OptionsTooLong {
        /// Bytes of the string with its terminating zero.
        length: usize,
        /// How many it may have.
        limit: usize,
    },
    /// A directory can't be opened.
    #[error("the {role} {}: {}", path.display(), explain_open(*role, *errno))]
    Directory {
        /// What it is for.
        role: Role,
        /// Which.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// The kernel refused.
    #[error("the kernel refuses to {step}: {}", explain(*errno, messages))]
    Refused {
        /// What it was to do.
        step: &'static str,
        /// What it answered.
        errno: Errno,
        /// What it said about it.
        messages: Vec<String>,
    },
}

/// An error number in words.
pub(super) fn words(errno: Errno) -> String {
    io::Error::from(errno).to_string()
}

fn explain_open(role: Role, errno: Errno) -> String {
    let more = match errno {
        Errno::NOTDIR => "; it has to be a directory",
        Errno::NOENT if role == Role::Target => "; make it first",
        Errno::LOOP => "; its symbolic links lead in a circle",
        _ => "",
    };
    words(errno) + more
}

fn explain(errno: Errno, messages: &[String]) -> String {
    let more = match errno {
        Errno::PERM | Errno::ACCESS => {
            "; mounting needs root (CAP_SYS_ADMIN) or a user namespace of one's own, in which `handroll mount … -- CMD` \
             runs CMD"
        }
        Errno::BUSY => "; a directory of it is in use by another mount",
        Errno::LOOP => "; directories of it are the same, or one is inside of another",
        Errno::NODEV | Errno::NOSYS => {
            "; this kernel has no overlayfs, or its module is not loaded (modprobe overlay)"
        }
        Errno::XDEV => "; the upper and the work directory have to be on one file system",
        Errno::INVAL
            if messages
                .iter()
                .any(|message| message.contains("not supported as upperdir")) =>
        {
            "; the upper directory has to be on another file system, such as ext4, XFS or tmpfs"
        }
        Errno::INVAL if messages.is_empty() => {
            "; the upper and the work directory must be apart, on one mount, and on a file system that can be an upper \
             one (not an overlay, not NFS); the kernel's log has more"
        }
        _ => "",
    };
    let said: String = messages.iter().map(|message| format!(" ({message})")).collect();
    words(errno) + &said + more
}
