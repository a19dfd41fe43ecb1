//! `handroll ctr` beside the real `ctr` of containerd 1.6.20: the same lines on a store directory and on a containerd
//! of the test's own, with what is printed, error texts and exit codes.
//!
//! Runs as root on Linux with overlayfs. Nothing is skipped: a program that is missing is a failure.

mod rig;

#[path = "ctr/archives.rs"]
mod archives;
#[path = "ctr/disk.rs"]
mod disk;
#[path = "ctr/lines.rs"]
mod lines;
#[path = "ctr/prompt.rs"]
mod prompt;
