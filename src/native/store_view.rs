//! What is seen through a snapshot: mounted by the kernel, at no place that others see.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::overlay_mount::{Detached, OverlayMount, OverlayOptions, proc_path};
use super::root_view::RootView;
use crate::image::root::{Root, RootEntry};

/// A view, and the mount that it is of, if it takes one.
struct SnapshotView {
    view: RootView,
    _mount: Option<Detached>,
}

/// What is seen through an active snapshot on layers, the topmost first. As containerd does it, this mounts it once
/// before its container does: the kernel shows the option `uuid=on` for the first mount of a new upper directory.
pub(super) fn snapshot_view(lowers: &[PathBuf], upper: &Path, work: &Path) -> Result<Box<dyn Root>, String> {
    let open = |path: &Path| {
        let said = |errno| format!("{}: {}", path.display(), io::Error::from(errno));
        RootView::open(path).map_err(said)
    };
    if lowers.is_empty() {
        return Ok(Box::new(SnapshotView {
            view: open(upper)?,
            _mount: None,
        }));
    }
    let mount = OverlayMount::new(OverlayOptions::default()).upper(upper, work);
    let mount = lowers.iter().fold(mount, |mount, lower| mount.lower(lower));
    let mount = mount.detached().map_err(|error| error.to_string())?;
    Ok(Box::new(SnapshotView {
        view: open(Path::new(OsStr::from_bytes(&proc_path(mount.as_fd()))))?,
        _mount: Some(mount),
    }))
}

impl Root for SnapshotView {
    fn lookup(&self, path: &[u8]) -> Option<RootEntry> {
        self.view.lookup(path)
    }
}
