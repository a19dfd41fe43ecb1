//! What only a native program can do: files of this machine as sources, temporary files as scratch,
//! directories as trees. The core knows none of it.

mod cgroup;
mod command;
mod container;
mod disk;
mod disk_usage;
mod file;
mod kernel;
mod layer_root;
mod left_out;
mod listing;
mod mount_error;
mod mountinfo;
mod namespace;
mod note;
mod overlay_mount;
mod place;
mod prune;
mod remove;
mod root;
mod root_view;
mod scratch;
mod session;
mod signal;
mod store_disk;
mod store_place;
mod store_state;
mod store_task;
mod store_view;
mod truncate;
mod unpack;
mod watcher;
mod xattr;

use std::sync::atomic::{AtomicU64, Ordering};

pub use command::run_to_end;
pub use container::{Bundle, Ended, Runtime, find_runtime};
pub use disk::{DiskError, DiskOptions, DiskTree, Owner, Times, read_dir};
pub use file::{FileSource, open_at_once};
pub use kernel::{Kernel, KernelError, Process, other_settings};
pub use layer_root::{LeftOut, Powers};
pub use listing::read_files;
pub use mount_error::{MountError, Role};
pub use namespace::{
    MappedIds, NamespaceError, UserNamespace, enter_user_namespace, id_maps, may_mount, unshare_mounts,
    user_namespace,
};
pub use note::{Note, Spelling};
pub use overlay_mount::{
    Detached, LayerDirectory, MAX_LOWERS, MountApi, Mounted, OverlayMount, OverlayOptions, RedirectDir,
};
pub use place::{LayerBlob, Place, PlaceError, UnpackedLayer, Unpacking};
pub use prune::{Pruned, Users, kinds, prune};
pub use remove::remove_tree;
pub use root_view::RootView;
pub use scratch::TemporaryFiles;
pub use session::{Session, UnmountError, Unmounted, Upper, unmount_at};
pub use signal::{Held, raise};
pub use store_disk::{StoreDisk, StoreDiskError};
pub use store_place::StorePlace;
pub use store_task::{StoreTask, TaskLock};
pub use unpack::{UnpackError, UnpackedRoot, unpack};

/// A number for a new source, used once in this process.
pub fn next_source_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
