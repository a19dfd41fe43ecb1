//! Mounting the kernel's overlayfs by the mount API of file descriptors: layers are given one by one
//! (`lowerdir+`), so that hundreds of them and any byte in a path work. Kernels without it get one string of
//! options, escaped, and refused where mount(2) would cut it.
//!
//! ```no_run
//! use handroll::native::{OverlayMount, OverlayOptions};
//!
//! # fn main() -> Result<(), handroll::native::MountError> {
//! let mount = OverlayMount::new(OverlayOptions::default())
//!     .lower("/layers/2") // the topmost first
//!     .lower("/layers/1")
//!     .upper("/upper", "/work");
//! // Nowhere attached, seen by this process alone, gone when the value is dropped:
//! let detached = mount.detached()?;
//! // At a place for all to see; dropping the guard unmounts it, `keep` does not.
//! let mounted = mount.mount("/target")?;
//! mounted.unmount()?;
//! # drop(detached);
//! # Ok(())
//! # }
//! ```

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, move_mount, unmount,
};

use super::mount_error::{MountError, Role};

/// The most lower layers that the kernel takes (`OVL_MAX_STACK`).
pub const MAX_LOWERS: usize = 500;
/// A string of options with its terminating zero fills a page at most: what is beyond, mount(2) does not see.
const OPTIONS_LIMIT: usize = 4096;
/// The longest string that fsconfig(2) takes, without its terminating zero.
const STRING_LIMIT: usize = 255;

/// What overlayfs makes of directories that are renamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedirectDir {
    /// As the kernel is configured: mostly redirects are followed and not made.
    #[default]
    Default,
    /// Redirects are followed and made.
    On,
    /// Redirects are neither made nor followed.
    NoFollow,
}

/// By which of the kernel's interfaces an overlay is mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MountApi {
    /// The best that the kernel has.
    #[default]
    Best,
    /// `lowerdir+` with open directories (Linux 6.13).
    Descriptors,
    /// `lowerdir+` with paths (Linux 6.8).
    Paths,
    /// One string of options, by mount(2).
    OptionString,
}

/// How an overlay is mounted. The default is what containerd asks for: `index=off` and nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct OverlayOptions {
    /// `redirect_dir`.
    pub redirect_dir: RedirectDir,
    /// Marks are xattrs `user.overlay.*`, which needs no privilege.
    pub userxattr: bool,
    /// Nothing is synchronised: for uppers that are thrown away.
    pub volatile: bool,
    /// Nobody can write through this mount.
    pub read_only: bool,
    /// Set-user-id, set-group-id and capabilities of programs don't count.
    pub no_suid: bool,
    /// Devices can't be opened.
    pub no_dev: bool,
    /// By which interface.
    pub api: MountApi,
}

impl OverlayOptions {
    /// The options but for the directories; a value that is none makes a flag.
    fn settings(&self) -> Vec<(&'static str, Option<&'static str>)> {
        let mut settings = vec![("index", Some("off"))];
        match self.redirect_dir {
            RedirectDir::Default => {}
            RedirectDir::On => settings.push(("redirect_dir", Some("on"))),
            RedirectDir::NoFollow => settings.push(("redirect_dir", Some("nofollow"))),
        }
        if self.userxattr {
            settings.push(("userxattr", None));
        }
        if self.volatile {
            settings.push(("volatile", None));
        }
        settings
    }

    fn attributes(&self) -> MountAttrFlags {
        let mut flags = MountAttrFlags::empty();
        flags.set(MountAttrFlags::MOUNT_ATTR_RDONLY, self.read_only);
        flags.set(MountAttrFlags::MOUNT_ATTR_NOSUID, self.no_suid);
        flags.set(MountAttrFlags::MOUNT_ATTR_NODEV, self.no_dev);
        flags
    }

    fn flags(&self) -> MountFlags {
        let mut flags = MountFlags::empty();
        flags.set(MountFlags::RDONLY, self.read_only);
        flags.set(MountFlags::NOSUID, self.no_suid);
        flags.set(MountFlags::NODEV, self.no_dev);
        flags
    }
}

/// A directory of an overlay: by its path, or open.
#[derive(Debug)]
pub enum LayerDirectory {
    /// Links in the path are followed.
    Path(PathBuf),
    /// Opened for reading (not `O_PATH`).
    Open(OwnedFd),
}

impl From<PathBuf> for LayerDirectory {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for LayerDirectory {
    fn from(path: &P) -> Self {
        Self::Path(path.as_ref().to_owned())
    }
}

impl From<OwnedFd> for LayerDirectory {
    fn from(fd: OwnedFd) -> Self {
        Self::Open(fd)
    }
}

/// An overlay to be mounted.
#[derive(Debug)]
pub struct OverlayMount {
    lowers: Vec<LayerDirectory>,
    upper: Option<(LayerDirectory, LayerDirectory)>,
    options: OverlayOptions,
}

impl OverlayMount {
    /// An overlay without layers yet.
    pub fn new(options: OverlayOptions) -> Self {
        Self {
            lowers: Vec::new(),
            upper: None,
            options,
        }
    }

    /// One more lower layer, under those that were given before.
    #[must_use]
    pub fn lower(mut self, directory: impl Into<LayerDirectory>) -> Self {
        self.lowers.push(directory.into());
        self
    }

    /// The upper directory, and the work directory beside it on the same mount.
    #[must_use]
    pub fn upper(mut self, upper: impl Into<LayerDirectory>, work: impl Into<LayerDirectory>) -> Self {
        self.upper = Some((upper.into(), work.into()));
        self
    }

    /// What the kernel refuses with nothing but EINVAL.
    fn check(&self) -> Result<(), MountError> {
        let count = self.lowers.len();
        if count > MAX_LOWERS {
            return Err(MountError::TooManyLowers { count });
        }
        if count == 0 || count == 1 && self.upper.is_none() {
            return Err(MountError::TooFewLowers { lowers: count });
        }
        let OverlayOptions {
            redirect_dir,
            userxattr,
            ..
        } = self.options;
        match userxattr && redirect_dir == RedirectDir::On {
            true => Err(MountError::Excluding {
                one: "redirect_dir=on",
                other: "userxattr",
            }),
            false => Ok(()),
        }
    }

    /// All directories with the names of their options, in the order in which they are set.
    fn directories(&self) -> impl Iterator<Item = (Role, &'static str, &LayerDirectory)> {
        let lowers = self.lowers.iter().enumerate();
        let lowers = lowers.map(|(at, layer)| (Role::Lower(at + 1), "lowerdir+", layer));
        let upper = self
            .upper
            .iter()
            .flat_map(|(upper, work)| [(Role::Upper, "upperdir", upper), (Role::Work, "workdir", work)]);
        lowers.chain(upper)
    }

    /// Mounts it for this process alone: paths under the descriptor (openat(2), `/proc/self/fd/N/…`) see it, no
    /// mount point does. It is gone with the value.
    pub fn detached(&self) -> Result<Detached, MountError> {
        self.check()?;
        match self.options.api {
            MountApi::OptionString => Err(refused("mount an overlay nowhere by mount(2)", Errno::OPNOTSUPP)),
            _ => self.by_descriptors_or_paths().map_err(|(error, _)| error),
        }
    }

    /// A detached mount; or why not, and whether only the interface is missing.
    fn by_descriptors_or_paths(&self) -> Result<Detached, (MountError, bool)> {
        let attempt = |api| {
            let made = self.try_detached(api);
            made.map_err(|error| {
                let is_missing = is_interface_missing(&error, api);
                (error, is_missing)
            })
        };
        match self.options.api {
            MountApi::Best => match attempt(MountApi::Descriptors) {
                Err((_, true)) => attempt(MountApi::Paths),
                result => result,
            },
            api => attempt(api),
        }
    }

    fn try_detached(&self, api: MountApi) -> Result<Detached, MountError> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
            .map_err(|errno| refused("open a context for an overlay", errno))?;
        let set = |step, result: Result<(), Errno>| {
            result.map_err(|errno| MountError::Refused {
                step,
                errno,
                messages: messages(&context),
            })
        };
        set(
            "name its source",
            fsconfig_set_string(&context, "source", "overlay"),
        )?;
        for (key, value) in self.options.settings() {
            let result = match value {
                Some(value) => fsconfig_set_string(&context, key, value),
                None => fsconfig_set_flag(&context, key),
            };
            set("take the options of this overlay", result)?;
        }
        for (role, key, layer) in self.directories() {
            let opened = Opened::open(role, layer)?;
            let step = match role {
                Role::Lower(_) => LOWER,
                _ => "take the upper and the work directory",
            };
            let result = match api {
                MountApi::Paths => fsconfig_set_string(&context, key, opened.path(role)),
                _ => fsconfig_set_fd(&context, key, opened.as_fd()),
            };
            set(step, result)?;
        }
        set(MAKE, fsconfig_create(&context))?;
        let fd = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, self.options.attributes());
        let fd = fd.map_err(|errno| refused("mount the overlay", errno))?;
        Ok(Detached { fd })
    }

    /// Mounts it at a directory.
    pub fn mount(&self, target: impl AsRef<Path>) -> Result<Mounted, MountError> {
        let target = target.as_ref();
        self.check()?;
        let fail = |errno| MountError::Directory {
            role: Role::Target,
            path: target.to_owned(),
            errno,
        };
        let absolute = std::fs::canonicalize(target)
            .map_err(|error| fail(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = openat(CWD, &absolute, flags, Mode::empty()).map_err(fail)?;
        match self.options.api {
            MountApi::OptionString => self.mount_by_string(&place)?,
            api => match self.by_descriptors_or_paths() {
                Ok(detached) => detached.attach(&place)?,
                Err((_, true)) if api == MountApi::Best => self.mount_by_string(&place)?,
                Err((error, _)) => return Err(error),
            },
        }
        Ok(Mounted {
            target: absolute,
            is_kept: false,
        })
    }

    /// The options as one string, as mount(2) reads it.
    pub fn option_string(&self) -> Result<Vec<u8>, MountError> {
        let mut text = Vec::new();
        for (key, value) in self.options.settings() {
            text.extend_from_slice(key.as_bytes());
            if let Some(value) = value {
                text.extend_from_slice(&[b"=", value.as_bytes()].concat());
            }
            text.push(b',');
        }
        for (role, key, layer) in self.directories() {
            let path = match layer {
                LayerDirectory::Path(path) => path.as_os_str().as_bytes().to_vec(),
                LayerDirectory::Open(fd) => proc_path(fd.as_fd()),
            };
            let key = match role {
                Role::Lower(1) => b"lowerdir=",
                Role::Lower(_) => &b":"[..],
                _ => &[b",", key.as_bytes(), b"="].concat()[..],
            };
            text.extend_from_slice(key);
            text.extend(escaped(&path, matches!(role, Role::Lower(_))));
        }
        match text.len() + 1 {
            length if length > OPTIONS_LIMIT => Err(MountError::OptionsTooLong {
                length,
                limit: OPTIONS_LIMIT,
            }),
            _ => Ok(text),
        }
    }

    fn mount_by_string(&self, place: &OwnedFd) -> Result<(), MountError> {
        for (role, _, layer) in self.directories() {
            Opened::open(role, layer)?;
        }
        let options = self.option_string()?;
        let step = "mount the overlay";
        let options = CString::new(options).map_err(|_| refused(step, Errno::INVAL))?;
        let target = proc_path(place.as_fd());
        mount(
            "overlay",
            target,
            "overlay",
            self.options.flags(),
            options.as_c_str(),
        )
        .map_err(|errno| refused(step, errno))
    }
}

/// The steps at which older kernels fail.
const LOWER: &str = "take a lower directory";
const MAKE: &str = "make the overlay";

/// Whether an error says that the kernel lacks the interface: the system calls, the option, descriptors as its
/// value; or, before Linux 6.5, all options but those of mount(2), which is found out when the overlay is made,
/// without a word.
fn is_interface_missing(error: &MountError, api: MountApi) -> bool {
    let MountError::Refused {
        step,
        errno,
        messages,
    } = error
    else {
        return false;
    };
    let is_about_option = |message: &String| {
        let texts = ["Unknown parameter", "Bad value", "Parameter type"];
        texts.iter().any(|text| message.contains(text))
    };
    match (*errno, *step) {
        (Errno::NOSYS, _) => true,
        (Errno::INVAL, LOWER) => messages.is_empty() || messages.iter().any(is_about_option),
        (Errno::INVAL, MAKE) => api == MountApi::Paths && messages.is_empty(),
        _ => false,
    }
}

fn refused(step: &'static str, errno: Errno) -> MountError {
    MountError::Refused {
        step,
        errno,
        messages: Vec::new(),
    }
}

/// What the kernel says about a context: `e overlay: …`, one message at a time.
fn messages(context: &OwnedFd) -> Vec<String> {
    let mut messages = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = rustix::io::read(context, &mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]);
        let text = text.trim_end();
        messages.push(text.strip_prefix("e ").unwrap_or(text).to_owned());
    }
    messages
}

/// A path of an open descriptor that leads to what it has open.
pub(super) fn proc_path(fd: BorrowedFd) -> Vec<u8> {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into_bytes()
}

/// A path in an option string (overlayfs.rst): `:` parts lower directories, `,` options, `\` escapes both and
/// itself; the paths of the upper and the work directory are not parted.
fn escaped(path: &[u8], is_lower: bool) -> Vec<u8> {
    let is_special = |byte| matches!(byte, b',' | b'\\') || byte == b':' && is_lower;
    let escape = |&byte: &u8| match is_special(byte) {
        true => vec![b'\\', byte],
        false => vec![byte],
    };
    path.iter().flat_map(escape).collect()
}

/// A layer that is open.
enum Opened<'a> {
    Here(OwnedFd, &'a Path),
    There(&'a OwnedFd),
}

impl<'a> Opened<'a> {
    fn open(role: Role, layer: &'a LayerDirectory) -> Result<Self, MountError> {
        match layer {
            LayerDirectory::Open(fd) => Ok(Self::There(fd)),
            LayerDirectory::Path(path) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let fd = openat(CWD, path, flags, Mode::empty());
                let fd = fd.map_err(|errno| MountError::Directory {
                    role,
                    path: path.clone(),
                    errno,
                })?;
                Ok(Self::Here(fd, path))
            }
        }
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Here(fd, _) => fd.as_fd(),
            Self::There(fd) => fd.as_fd(),
        }
    }

    /// What fsconfig(2) takes as a string: the path, or one through /proc if that is too long. Of lower
    /// directories it is taken as it stands.
    fn path(&self, role: Role) -> Vec<u8> {
        let path = match self {
            Self::Here(_, path) if matches!(role, Role::Lower(_)) => path.as_os_str().as_bytes().to_vec(),
            Self::Here(_, path) => {
                let bytes = path.as_os_str().as_bytes();
                bytes
                    .iter()
                    .flat_map(|&byte| match byte {
                        b'\\' => vec![b'\\', byte],
                        _ => vec![byte],
                    })
                    .collect()
            }
            Self::There(fd) => proc_path(fd.as_fd()),
        };
        match path.len() {
            0..=STRING_LIMIT => path,
            _ => proc_path(self.as_fd()),
        }
    }
}

/// An overlay that is attached nowhere. Dropping it unmounts it.
#[derive(Debug)]
pub struct Detached {
    fd: OwnedFd,
}

impl Detached {
    fn attach(self, place: &OwnedFd) -> Result<(), MountError> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&self.fd, "", place, "", flags).map_err(|errno| refused("attach the overlay", errno))
    }
}

impl AsFd for Detached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// An overlay that is mounted somewhere. Dropping it unmounts it, lazily if it is in use.
#[derive(Debug)]
pub struct Mounted {
    target: PathBuf,
    is_kept: bool,
}

impl Mounted {
    /// Where it is: an absolute path without links.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Lets it be.
    pub fn keep(mut self) {
        self.is_kept = true;
    }

    /// Unmounts it, unless it is in use.
    pub fn unmount(mut self) -> Result<(), MountError> {
        self.is_kept = true;
        unmount(&self.target, UnmountFlags::NOFOLLOW).map_err(|errno| refused("unmount the overlay", errno))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.is_kept && unmount(&self.target, UnmountFlags::NOFOLLOW).is_err() {
            // Somebody uses it; nobody will find it any more.
            let _ = unmount(&self.target, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH);
        }
    }
}
