//! Namespaces of this process.

use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Gives this process mounts of its own, which nobody else sees, and which are gone when it and its children
/// are. Only the calling thread moves: call it before there are others.
pub fn unshare_mounts() -> Result<(), Errno> {
    unshare(UnshareFlags::NEWNS)?;
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", flags)
}

#[allow(unsafe_code, reason = "there is no safe call")]
fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    // Safety: the only danger of unshare(2) is `CLONE_FILES`, which takes descriptors from other threads.
    assert!(!flags.contains(UnshareFlags::FILES));
    unsafe { unshare_unsafe(flags) }
}
