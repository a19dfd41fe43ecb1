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
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, move_mount, unmount,
};

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
pub enum Layer {
    /// Links in the path are followed.
    Path(PathBuf),
    /// Opened for reading (not `O_PATH`).
    Open(OwnedFd),
}

impl From<PathBuf> for Layer {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Layer {
    fn from(path: &P) -> Self {
        Self::Path(path.as_ref().to_owned())
    }
}

impl From<OwnedFd> for Layer {
    fn from(fd: OwnedFd) -> Self {
        Self::Open(fd)
    }
}

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
    #[error("the {role} {}: {}", path.display(), explain_open(*errno))]
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

fn explain_open(errno: Errno) -> String {
    let more = match errno {
        Errno::NOTDIR => "; it has to be a directory",
        Errno::NOENT => "; make it first",
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
        Errno::INVAL if messages.is_empty() => {
            "; the upper and the work directory must be apart, on one mount, and on a file system that can be an upper \
             one (not an overlay, not NFS); the kernel's log has more"
        }
        _ => "",
    };
    let said: String = messages.iter().map(|message| format!(" ({message})")).collect();
    words(errno) + &said + more
}

/// An overlay to be mounted.
#[derive(Debug)]
pub struct OverlayMount {
    lowers: Vec<Layer>,
    upper: Option<(Layer, Layer)>,
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
    pub fn lower(mut self, directory: impl Into<Layer>) -> Self {
        self.lowers.push(directory.into());
        self
    }

    /// The upper directory, and the work directory beside it on the same mount.
    #[must_use]
    pub fn upper(mut self, upper: impl Into<Layer>, work: impl Into<Layer>) -> Self {
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
    fn directories(&self) -> impl Iterator<Item = (Role, &'static str, &Layer)> {
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
        let apis: &[MountApi] = match self.options.api {
            MountApi::Best => &[MountApi::Descriptors, MountApi::Paths],
            MountApi::OptionString => {
                return Err(refused("mount an overlay nowhere by mount(2)", Errno::OPNOTSUPP));
            }
            ref api => std::slice::from_ref(api),
        };
        let mut result = Err(refused("make an overlay", Errno::NOSYS));
        for &api in apis {
            result = self.try_detached(api);
            if !matches!(&result, Err(error) if is_unknown(error)) {
                break;
            }
        }
        result
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
        set("make the overlay", fsconfig_create(&context))?;
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
        let detached = match self.options.api {
            MountApi::OptionString => None,
            api => match self.detached() {
                Err(error) if api == MountApi::Best && is_unknown(&error) => None,
                result => Some(result?),
            },
        };
        match detached {
            Some(detached) => detached.attach(&place)?,
            None => self.mount_by_string(&place)?,
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
                Layer::Path(path) => path.as_os_str().as_bytes().to_vec(),
                Layer::Open(fd) => proc_path(fd.as_fd()),
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

/// The step that older kernels do not know.
const LOWER: &str = "take a lower directory";

/// Whether an error may mean that the kernel does not know the interface.
fn is_unknown(error: &MountError) -> bool {
    match error {
        MountError::Refused {
            step,
            errno,
            messages,
        } => {
            let is_parameter = |message: &String| message.contains("Unknown parameter");
            *errno == Errno::NOSYS
                || *step == LOWER && (*errno == Errno::INVAL || messages.iter().any(is_parameter))
        }
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
    fn open(role: Role, layer: &'a Layer) -> Result<Self, MountError> {
        match layer {
            Layer::Open(fd) => Ok(Self::There(fd)),
            Layer::Path(path) => {
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
