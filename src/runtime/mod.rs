//! What an OCI runtime is told of a container, and what it does then: an image's configuration becomes a
//! [`Spec`], the runtime's `config.json`, and that a list of [`Step`]s, the system calls by which runc starts the
//! container. Knows images and the merged view; runs nothing.
//!
//! The rules are those of image-spec's conversion.md, with the defaults of containerd's `ctr run`
//! ([`Manner`]). containerd 1.6.20 and runc 1.1.5 judge both (`tests/bundle.rs`).

mod config;
mod convert;
mod mount_point;
mod proc;
mod spec;
mod start;
mod step;
mod system_call;
#[cfg(test)]
mod tests;
mod user;

use crate::image::json::ReadError;
use crate::text::escape;

pub use config::ImageConfig;
pub use convert::{Arguments, Manner, Request, Users, convert, unsafe_labels};
pub use mount_point::MountPoint;
pub use proc::ProcMounts;
pub use spec::{
    Capabilities, Cpu, DeviceRule, IdMapping, Linux, Mount, Namespace, Process, Resources, Rlimit, Root,
    Spec, User,
};
pub use start::steps;
pub use step::{Machine, SeenRoot, Step, StepRule};
pub use system_call::SystemCall;
pub use user::{home_of, user};

/// An image's configuration, or what was asked for beside it, cannot become a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// The configuration is not what image-spec's config.md asks for.
    #[error("the image's configuration, {0}")]
    Config(#[from] ReadError),
    /// There is nothing to run.
    #[error("there is nothing to run: the image has neither Entrypoint nor Cmd, and no command was given")]
    NoCommand,
    /// A variable of the environment is none.
    #[error("{place}: `{}` is no variable; expected KEY=VALUE with a key that is not empty", escape(value.as_bytes()))]
    Variable {
        /// Where it stands: `Env[2]`.
        place: String,
        /// What stands there.
        value: String,
    },
    /// A text that a process is given cannot hold this byte.
    #[error("{place}: `{}` holds a NUL byte, which ends it", escape(value.as_bytes()))]
    Nul {
        /// Where it stands.
        place: String,
        /// What stands there.
        value: String,
    },
    /// A path is not absolute.
    #[error("{place}: `{}` is relative; expected a path that begins with `/`", escape(value.as_bytes()))]
    Relative {
        /// Where it stands: `WorkingDir`.
        place: &'static str,
        /// What stands there.
        value: String,
    },
    /// A user or group is written in a way that means nothing.
    #[error(
        "User: `{}` is no user; expected a name or a number up to 2147483647, and perhaps `:` with a group", escape(value.as_bytes())
    )]
    UserForm {
        /// What stands there.
        value: String,
    },
    /// The image knows no such user or group.
    #[error("User: the image has no {what} `{}`: no line of {file} has this name{}", escape(name.as_bytes()), of_file(reason.as_ref()))]
    Unknown {
        /// `user` or `group`.
        what: &'static str,
        /// The name.
        name: String,
        /// Where it was looked for.
        file: &'static str,
        /// Why the file could not be read, if it could not.
        reason: Option<String>,
    },
    /// The user namespace has no such user or group.
    #[error(
        "User: the user namespace maps no {what} {id}; run this as root, or choose a user that is mapped (root is)"
    )]
    Unmapped {
        /// `user` or `group`.
        what: &'static str,
        /// Its number.
        id: u32,
    },
    /// A file of the image that says who users are cannot be read.
    #[error("{file}: {reason}")]
    UserFile {
        /// Which.
        file: &'static str,
        /// Why.
        reason: String,
    },
    /// Something stands where a file system is to be mounted.
    #[error("{} cannot be mounted: {reason}; runc wants a directory there, or nothing", escape(path.as_bytes()))]
    MountPoint {
        /// Where.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

fn of_file(reason: Option<&String>) -> String {
    reason.map_or_else(String::new, |reason| format!(" ({reason})"))
}
