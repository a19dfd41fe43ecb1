//! The kernel's overlayfs as a [`System`]: layers written to directories, mounted, and asked by real calls.
//!
//! All of it lies on a tmpfs of its own in mounts of the calling thread, which lives with its root directory in
//! the mount while calls are made. So a thread that has one must have called [`super::unshare_mounts`] before,
//! and does nothing else with paths meanwhile.

mod layer;
mod system_call;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno as RawErrno;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::{chroot, fchdir};

use super::mount_error::MountError;
use super::overlay_mount::{Mounted, OverlayMount, OverlayOptions, RedirectDir};
use crate::overlay::mount::{Call, Caller, Errno, Marks, Options, Redirect, Reply, Row, SETTINGS, System};
use crate::tree::Tree;
use layer::{read_rows, write_layer};
pub use system_call::Process;
use system_call::{Files, run_as};

/// A real overlay, unmounted when it is dropped.
pub struct Kernel {
    base: PathBuf,
    outside: OwnedFd,
    mounted: Option<Mounted>,
    lowers: usize,
    has_upper: bool,
    options: Options,
    /// Files that stay open, by the numbers that callers chose.
    files: Files,
}

/// A real overlay could not be made.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A call on the layers' directories failed.
    #[error("{path}: {source}")]
    Io {
        /// The path.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The mount failed.
    #[error(transparent)]
    Mount(#[from] MountError),
}

fn at<T>(path: &Path, result: Result<T, RawErrno>) -> Result<T, KernelError> {
    result.map_err(|errno| KernelError::Io {
        path: path.display().to_string(),
        source: errno.into(),
    })
}

impl Kernel {
    /// Writes the layers, the bottom one first, and the upper to a new tmpfs at the directory `base`, and mounts
    /// them.
    pub fn mount(
        base: &Path,
        lowers: &[Tree],
        upper: Option<&Tree>,
        options: Options,
    ) -> Result<Self, KernelError> {
        let mounted = rustix::mount::mount("tmpfs", base, "tmpfs", MountFlags::empty(), None);
        at(base, mounted)?;
        let outside = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let mut kernel = Self {
            base: base.to_owned(),
            outside: at(base, outside)?,
            mounted: None,
            lowers: lowers.len(),
            has_upper: upper.is_some(),
            options,
            files: Files::new(),
        };
        let marks = Marks::of(options);
        for (position, tree) in lowers.iter().enumerate() {
            write_layer(&kernel.lower(position), tree, marks)?;
        }
        if let Some(tree) = upper {
            write_layer(&kernel.base.join("upper"), tree, marks)?;
            let work = kernel.base.join("work");
            at(&work, rustix::fs::mkdir(&work, Mode::from_raw_mode(0o755)))?;
        }
        let target = kernel.base.join("merged");
        at(&target, rustix::fs::mkdir(&target, Mode::from_raw_mode(0o755)))?;
        kernel.enter()?;
        Ok(kernel)
    }

    fn lower(&self, position: usize) -> PathBuf {
        self.base.join(format!("lower{position}"))
    }

    /// Mounts the overlay and makes it this thread's root directory.
    fn enter(&mut self) -> Result<(), KernelError> {
        let options = OverlayOptions {
            redirect_dir: match self.options.redirect {
                Redirect::NoFollow if self.options.userxattr => RedirectDir::Default,
                Redirect::Follow => RedirectDir::Default,
                Redirect::On => RedirectDir::On,
                Redirect::NoFollow => RedirectDir::NoFollow,
            },
            userxattr: self.options.userxattr,
            ..OverlayOptions::default()
        };
        let mut overlay = OverlayMount::new(options);
        for position in (0..self.lowers).rev() {
            overlay = overlay.lower(self.lower(position));
        }
        if self.has_upper {
            overlay = overlay.upper(self.base.join("upper"), self.base.join("work"));
        }
        let target = self.base.join("merged");
        self.mounted = Some(overlay.mount(&target)?);
        at(&target, chroot(&target))?;
        at(Path::new("/"), rustix::process::chdir("/"))
    }

    fn leave(&mut self) -> Result<(), KernelError> {
        self.files.clear();
        at(Path::new("/"), fchdir(&self.outside))?;
        at(Path::new("/"), chroot("."))?;
        match self.mounted.take() {
            Some(mounted) => Ok(mounted.unmount()?),
            None => Ok(()),
        }
    }

    /// Mounts again, as before if the new options are refused.
    fn remount(&mut self, options: Option<Options>) -> Result<Reply, Errno> {
        let before = self.options;
        let mut enter = |options| {
            self.options = options;
            self.leave()?;
            self.enter()
        };
        match enter(options.unwrap_or(before)) {
            Ok(()) => Ok(Reply::Done),
            Err(_) => {
                enter(before).expect("it was mounted so before");
                Err(Errno::EINVAL)
            }
        }
    }

    /// All that the upperdir holds, as it lies on the disk.
    pub fn upper_rows(&mut self) -> Result<Vec<Row>, KernelError> {
        self.outside_do(|kernel| {
            let mut rows = Vec::new();
            read_rows(&kernel.base.join("upper"), &mut rows)?;
            Ok(rows)
        })
    }

    /// Does something with the paths outside of the mount.
    fn outside_do<T>(
        &mut self,
        work: impl FnOnce(&Self) -> Result<T, KernelError>,
    ) -> Result<T, KernelError> {
        let inside = at(
            Path::new("/"),
            rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()),
        )?;
        at(Path::new("/"), fchdir(&self.outside))?;
        at(Path::new("/"), chroot("."))?;
        let result = work(self);
        at(Path::new("/"), fchdir(&inside))?;
        at(Path::new("/"), chroot("."))?;
        result
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // A guard has nobody to tell; what stays mounted goes with the thread's mounts.
        let _ = self.leave();
        let _ = rustix::mount::unmount(&self.base, UnmountFlags::DETACH);
    }
}

impl System for Kernel {
    fn call(&mut self, caller: Caller, call: &Call) -> Result<Reply, Errno> {
        if let Call::Remount { options } = call {
            return self.remount(*options);
        }
        run_as(caller, call, &mut self.files)
    }
}

/// The settings of this machine that are not as they are simulated, each in a sentence.
pub fn other_settings() -> Vec<String> {
    let told = SETTINGS.iter().map(|(name, simulated)| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let here = std::fs::read_to_string(path).unwrap_or_default();
        match here.trim() == simulated.to_string() {
            true => None,
            false => Some(format!(
                "{name} is {} here, {simulated} is simulated",
                here.trim()
            )),
        }
    });
    told.flatten().collect()
}
