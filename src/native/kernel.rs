//! The kernel's overlayfs as a [`System`]: layers written to directories, mounted, and asked by real calls.
//!
//! All of it lies on a tmpfs of its own in mounts of the calling thread, which lives with its root directory in
//! the mount while calls are made. So a thread that has one must have called [`super::unshare_mounts`] before,
//! and does nothing else with paths meanwhile.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType as RawType, Gid, Mode, OFlags, RawDir, RenameFlags, Timespec, Timestamps,
    UTIME_NOW, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::Errno as RawErrno;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::{chroot, fchdir};

use super::mount_error::MountError;
use super::overlay_mount::{Mounted, OverlayMount, OverlayOptions, RedirectDir};
use crate::content::Content;
use crate::overlay::mount::{
    Call, Caller, Detail, Errno, FileType, Io, Marks, NodeType, OnDescriptor, OpenFlags, Options, Redirect,
    Reply, Row, SETTINGS, SetTime, SetXattr, Stat, System,
};
use crate::tree::{Device, Ino, Inode, Metadata, Node, Time, Tree};

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

type Files = BTreeMap<u8, OwnedFd>;

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

/// The files that this thread sees, as they are, as a [`System`]. None stays open.
pub struct Process;

impl System for Process {
    fn call(&mut self, caller: Caller, call: &Call) -> Result<Reply, Errno> {
        if let Call::Remount { .. } = call {
            return Err(Errno::EINVAL);
        }
        run_as(caller, call, &mut Files::new())
    }
}

/// Makes a call as somebody: this thread, which has root's rights, has them not meanwhile if the caller is not
/// root.
fn run_as(caller: Caller, call: &Call, files: &mut Files) -> Result<Reply, Errno> {
    rustix::process::umask(Mode::from_raw_mode(caller.umask.into()));
    let result = match (caller.uid, caller.gid) {
        (0, 0) => run(call, files),
        (uid, gid) => become_user(uid, gid).and_then(|()| {
            let result = run(call, files);
            become_user(0, 0).expect("the saved user is root");
            result
        }),
    };
    result.map_err(|errno| Errno(errno.raw_os_error()))
}

/// Gives this thread an effective user and group, and no other groups. The kernel takes the effective rights away
/// with user 0, and gives them back with it (capabilities(7)).
fn become_user(uid: u32, gid: u32) -> Result<(), RawErrno> {
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    let root = (Uid::ROOT, Gid::ROOT);
    if uid == 0 {
        set_thread_res_uid(root.0, root.0, root.0)?;
    }
    set_thread_groups(&[])?;
    set_thread_res_gid(root.1, Gid::from_raw(gid), root.1)?;
    set_thread_res_uid(root.0, Uid::from_raw(uid), root.0)
}

fn c(path: &[u8]) -> Result<CString, RawErrno> {
    CString::new(path).map_err(|_| RawErrno::INVAL)
}

fn follow_flag(follow: bool) -> AtFlags {
    match follow {
        true => AtFlags::empty(),
        false => AtFlags::SYMLINK_NOFOLLOW,
    }
}

/// Makes one call.
fn run(call: &Call, files: &mut Files) -> Result<Reply, RawErrno> {
    let mode = |mode: u16| Mode::from_raw_mode(mode.into());
    match call {
        Call::Open {
            path,
            flags,
            mode,
            io,
        } => return open(path, *flags, *mode, io, files),
        Call::Descriptor { number, what } => return on_descriptor(*number, what, files),
        Call::Truncate { path, length } => super::truncate::truncate(&c(path)?, *length)?,
        Call::Mkdir { path, mode: bits } => rustix::fs::mkdir(c(path)?, mode(*bits))?,
        Call::Mknod {
            path,
            node,
            mode: bits,
        } => {
            let (kind, device) = match node {
                NodeType::File => (RawType::RegularFile, 0),
                NodeType::Fifo => (RawType::Fifo, 0),
                NodeType::Socket => (RawType::Socket, 0),
                NodeType::CharDevice(device) => (RawType::CharacterDevice, raw_device(*device)),
                NodeType::BlockDevice(device) => (RawType::BlockDevice, raw_device(*device)),
            };
            rustix::fs::mknodat(CWD, c(path)?, kind, mode(*bits), device)?;
        }
        Call::Symlink { target, path } => rustix::fs::symlink(c(target)?, c(path)?)?,
        Call::Link { old, new, follow } => {
            let flags = match follow {
                true => AtFlags::SYMLINK_FOLLOW,
                false => AtFlags::empty(),
            };
            rustix::fs::linkat(CWD, c(old)?, CWD, c(new)?, flags)?;
        }
        Call::Unlink { path } => rustix::fs::unlink(c(path)?)?,
        Call::Rmdir { path } => rustix::fs::rmdir(c(path)?)?,
        Call::Rename { old, new, flags } => {
            let flags = RenameFlags::from_bits_retain(*flags);
            rustix::fs::renameat_with(CWD, c(old)?, CWD, c(new)?, flags)?;
        }
        Call::Chmod { path, mode: bits } => rustix::fs::chmod(c(path)?, mode(*bits))?,
        Call::Chown {
            path,
            uid,
            gid,
            follow,
        } => {
            let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
            rustix::fs::chownat(CWD, c(path)?, uid, gid, follow_flag(*follow))?;
        }
        Call::Utimes {
            path,
            atime,
            mtime,
            follow,
        } => {
            let times = Timestamps {
                last_access: timespec(*atime),
                last_modification: timespec(*mtime),
            };
            rustix::fs::utimensat(CWD, c(path)?, &times, follow_flag(*follow))?;
        }
        Call::Setxattr {
            path,
            name,
            value,
            how,
            follow,
        } => {
            let flags = match how {
                SetXattr::Any => XattrFlags::empty(),
                SetXattr::Create => XattrFlags::CREATE,
                SetXattr::Replace => XattrFlags::REPLACE,
            };
            match follow {
                true => rustix::fs::setxattr(c(path)?, c(name)?, value, flags)?,
                false => rustix::fs::lsetxattr(c(path)?, c(name)?, value, flags)?,
            }
        }
        Call::Removexattr { path, name, follow } => match follow {
            true => rustix::fs::removexattr(c(path)?, c(name)?)?,
            false => rustix::fs::lremovexattr(c(path)?, c(name)?)?,
        },
        Call::Getxattr { path, name, follow } => {
            return Ok(Reply::Bytes(getxattr(&c(path)?, &c(name)?, *follow)?));
        }
        Call::Listxattr { path, follow } => {
            let names = listxattr(&c(path)?, *follow)?;
            return Ok(Reply::Names(names.into_iter().map(Into::into).collect()));
        }
        Call::Readdir { path } => return readdir(path),
        Call::Stat { path, follow } => {
            let stat = rustix::fs::statat(CWD, c(path)?, follow_flag(*follow))?;
            return Ok(Reply::Stat(stat_of(&stat)));
        }
        Call::Readlink { path } => {
            let target = rustix::fs::readlink(c(path)?, Vec::new())?;
            return Ok(Reply::Bytes(target.into_bytes()));
        }
        Call::Remount { .. } => unreachable!("not a call on a file"),
    }
    Ok(Reply::Done)
}

fn raw_device(device: Device) -> rustix::fs::Dev {
    rustix::fs::makedev(device.major, device.minor)
}

fn timespec(time: SetTime) -> Timespec {
    let (tv_sec, tv_nsec) = match time {
        SetTime::Now => (0, UTIME_NOW as _),
        SetTime::Omit => (0, UTIME_OMIT as _),
        SetTime::At(time) => (time.seconds, time.nanos.into()),
    };
    Timespec { tv_sec, tv_nsec }
}

fn open(path: &[u8], flags: OpenFlags, mode: u16, io: &Io, files: &mut Files) -> Result<Reply, RawErrno> {
    let mut bits = match (flags.read, flags.write) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (true, false) => OFlags::RDONLY,
        (false, false) => OFlags::PATH,
    };
    bits |= OFlags::CLOEXEC | OFlags::NONBLOCK;
    for (is_set, bit) in [
        (flags.create, OFlags::CREATE),
        (flags.exclusive, OFlags::EXCL),
        (flags.truncate, OFlags::TRUNC),
        (flags.append, OFlags::APPEND),
        (flags.directory, OFlags::DIRECTORY),
        (flags.nofollow, OFlags::NOFOLLOW),
    ] {
        bits.set(bit, is_set);
    }
    let file = rustix::fs::open(c(path)?, bits, Mode::from_raw_mode(mode.into()))?;
    match io {
        Io::Keep(number) if (flags.read || flags.write) && is_file(&file)? => {
            files.insert(*number, file);
            Ok(Reply::Done)
        }
        Io::Read if flags.read && is_file(&file)? => read(&file),
        Io::Write(offset, content) if flags.write && is_file(&file)? => {
            let bytes = content.read_all(1 << 30).map_err(|_| RawErrno::IO)?;
            write(&file, *offset, &bytes, flags.append)?;
            Ok(Reply::Done)
        }
        _ => Ok(Reply::Done),
    }
}

fn on_descriptor(number: u8, what: &OnDescriptor, files: &mut Files) -> Result<Reply, RawErrno> {
    let file = files.get(&number).ok_or(RawErrno::BADF)?;
    match what {
        OnDescriptor::Read => return read(file),
        OnDescriptor::Write(offset, content) => {
            let bytes = content.read_all(1 << 30).map_err(|_| RawErrno::IO)?;
            if bytes.is_empty() {
                rustix::io::write(file, &[])?;
            }
            // On Linux that is at the end, wherever the offset, if it was opened to append.
            write(file, *offset, &bytes, false)?;
        }
        OnDescriptor::Stat => return Ok(Reply::Stat(stat_of(&rustix::fs::fstat(file)?))),
        OnDescriptor::Truncate(length) => rustix::fs::ftruncate(file, *length as u64)?,
        OnDescriptor::Chmod(mode) => rustix::fs::fchmod(file, Mode::from_raw_mode((*mode).into()))?,
        OnDescriptor::Close => drop(files.remove(&number)),
    }
    Ok(Reply::Done)
}

fn is_file(file: &OwnedFd) -> Result<bool, RawErrno> {
    let stat = rustix::fs::fstat(file)?;
    Ok(RawType::from_raw_mode(stat.st_mode) == RawType::RegularFile)
}

fn read(file: &OwnedFd) -> Result<Reply, RawErrno> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::pread(file, &mut buffer[..], bytes.len() as u64)? {
            0 => return Ok(Reply::Content(Content::inline(bytes))),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

fn write(file: &OwnedFd, mut offset: u64, mut bytes: &[u8], append: bool) -> Result<(), RawErrno> {
    while !bytes.is_empty() {
        let count = match append {
            true => rustix::io::write(file, bytes)?,
            false => rustix::io::pwrite(file, bytes, offset)?,
        };
        offset += count as u64;
        bytes = &bytes[count..];
    }
    Ok(())
}

fn readdir(path: &[u8]) -> Result<Reply, RawErrno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(c(path)?, flags, Mode::empty())?;
    Ok(Reply::Names(
        names_in(directory)?.into_iter().map(Into::into).collect(),
    ))
}

fn names_in(directory: OwnedFd) -> Result<Vec<Vec<u8>>, RawErrno> {
    let mut names = Vec::new();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    Ok(names)
}

fn getxattr(path: &CString, name: &CString, follow: bool) -> Result<Vec<u8>, RawErrno> {
    in_buffer(|buffer| match follow {
        true => rustix::fs::getxattr(path, name, buffer),
        false => rustix::fs::lgetxattr(path, name, buffer),
    })
}

/// What a call writes into a buffer: most is short, and a large buffer takes longer than the call.
fn in_buffer(call: impl Fn(&mut [u8]) -> Result<usize, RawErrno>) -> Result<Vec<u8>, RawErrno> {
    let mut short = [0; 256];
    match call(&mut short) {
        Err(RawErrno::RANGE) => {
            let mut long = vec![0; 65_536];
            let length = call(&mut long)?;
            long.truncate(length);
            Ok(long)
        }
        length => Ok(short[..length?].to_vec()),
    }
}

fn listxattr(path: &CString, follow: bool) -> Result<Vec<Vec<u8>>, RawErrno> {
    let names = in_buffer(|buffer| match follow {
        true => rustix::fs::listxattr(path, buffer),
        false => rustix::fs::llistxattr(path, buffer),
    })?;
    let names = names.split(|&byte| byte == 0);
    Ok(names
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect())
}

fn stat_of(stat: &rustix::fs::Stat) -> Stat {
    let file_type = match RawType::from_raw_mode(stat.st_mode) {
        RawType::Directory => FileType::Directory,
        RawType::RegularFile => FileType::File,
        RawType::Symlink => FileType::Symlink,
        RawType::CharacterDevice => FileType::CharDevice,
        RawType::BlockDevice => FileType::BlockDevice,
        RawType::Socket => FileType::Socket,
        _ => FileType::Fifo,
    };
    let is_device = matches!(file_type, FileType::CharDevice | FileType::BlockDevice);
    let time = |seconds: i64, nanos: u64| Time {
        seconds,
        nanos: nanos as u32,
    };
    Stat {
        file_type,
        mode: (stat.st_mode & 0o7777) as u16,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: match file_type {
            FileType::File | FileType::Symlink => stat.st_size as u64,
            _ => 0,
        },
        ino: stat.st_ino,
        nlink: stat.st_nlink as u32,
        device: is_device.then(|| Device {
            major: rustix::fs::major(stat.st_rdev),
            minor: rustix::fs::minor(stat.st_rdev),
        }),
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// Reads a directory of the disk, without following anything.
fn read_rows(top: &Path, rows: &mut Vec<Row>) -> Result<(), KernelError> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut pending = vec![b"/".to_vec()];
    while let Some(path) = pending.pop() {
        let real = top.join(std::ffi::OsStr::from_bytes(&path[1..]));
        let raw = at(&real, rustix::fs::lstat(&real))?;
        let stat = stat_of(&raw);
        let c_path = at(&real, c(real.as_os_str().as_bytes()))?;
        let detail = match stat.file_type {
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let directory = at(&real, rustix::fs::open(&real, flags, Mode::empty()))?;
                let mut names = at(&real, names_in(directory))?;
                names.sort();
                let prefix = path.strip_suffix(b"/").unwrap_or(&path).to_vec();
                let children = names.iter().rev().map(|name| [&prefix[..], b"/", name].concat());
                pending.extend(children);
                Detail::Directory
            }
            FileType::File => {
                let bytes = std::fs::read(&real).map_err(|source| KernelError::Io {
                    path: real.display().to_string(),
                    source,
                })?;
                Detail::File(Content::inline(bytes))
            }
            FileType::Symlink => {
                let target = at(&real, rustix::fs::readlink(&real, Vec::new()))?;
                Detail::Symlink(target.into_bytes())
            }
            FileType::CharDevice if raw.st_rdev == 0 => Detail::Whiteout,
            FileType::CharDevice => Detail::CharDevice(stat.device.expect("it is one")),
            FileType::BlockDevice => Detail::BlockDevice(stat.device.expect("it is one")),
            FileType::Fifo => Detail::Fifo,
            FileType::Socket => Detail::Socket,
        };
        let mut names = at(&real, listxattr(&c_path, false))?;
        names.sort();
        let mut xattrs = Vec::new();
        for name in names {
            let value = match getxattr(&c_path, &at(&real, c(&name))?, false) {
                // Capabilities that are none: anybody can set empty ones, and nobody can read them.
                Err(RawErrno::INVAL) => Vec::new(),
                value => at(&real, value)?,
            };
            xattrs.push((name, value));
        }
        rows.push(Row {
            nlink: (stat.file_type != FileType::Directory).then_some(stat.nlink),
            path,
            detail,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            mtime: stat.mtime,
            ino: stat.ino,
            xattrs,
        });
    }
    Ok(())
}

/// Writes a layer's tree to a new directory, as a runtime does that unpacks it for overlayfs: whiteouts as
/// devices 0:0, opaque directories with the mark.
///
/// Names are made in the reverse order of their bytes: tmpfs lists the newest first, so it lists them in order.
fn write_layer(top: &Path, tree: &Tree, marks: Marks) -> Result<(), KernelError> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut made: BTreeMap<Ino, PathBuf> = BTreeMap::new();
    let mut directories = Vec::new();
    let mut pending = vec![(Some(Ino::ROOT), top.to_owned())];
    while let Some((ino, path)) = pending.pop() {
        let Some(ino) = ino else {
            let made = rustix::fs::mknodat(CWD, &path, RawType::CharacterDevice, Mode::empty(), 0);
            at(&path, made)?;
            continue;
        };
        let inode = tree.inode(ino);
        if let Some(first) = made.get(&ino) {
            at(&path, rustix::fs::link(first, &path))?;
            continue;
        }
        made.insert(ino, path.clone());
        make_node(&path, inode)?;
        let Some(directory) = inode.node.as_directory() else {
            set_metadata(&path, &inode.metadata)?;
            continue;
        };
        if directory.opaque() {
            let name = at(&path, c(&marks.name(b"opaque")))?;
            at(
                &path,
                rustix::fs::lsetxattr(&path, name, b"y", XattrFlags::empty()),
            )?;
        }
        let child = |name: &[u8]| path.join(std::ffi::OsStr::from_bytes(name));
        let entries = directory.entries().iter().map(|(name, ino)| (name, Some(*ino)));
        let whiteouts = directory.whiteouts().iter().map(|name| (name, None));
        let mut names: Vec<_> = entries.chain(whiteouts).collect();
        names.sort();
        // The last one pushed is made first.
        pending.extend(names.into_iter().map(|(name, ino)| (ino, child(name.as_bytes()))));
        directories.push((path.clone(), inode.metadata.clone()));
    }
    // What is made in a directory changes its times, so they come last, the innermost first.
    for (path, metadata) in directories.iter().rev() {
        set_metadata(path, metadata)?;
    }
    Ok(())
}

fn make_node(path: &Path, inode: &Inode) -> Result<(), KernelError> {
    let mode = Mode::from_raw_mode(0o700);
    let made = match &inode.node {
        Node::Directory(_) => rustix::fs::mkdir(path, mode),
        Node::File(content) => {
            let bytes = content.read_all(1 << 30).unwrap_or_default();
            std::fs::write(path, bytes).map_err(|source| KernelError::Io {
                path: path.display().to_string(),
                source,
            })?;
            Ok(())
        }
        Node::Symlink(target) => rustix::fs::symlink(&**target, path),
        Node::CharDevice(device) => {
            rustix::fs::mknodat(CWD, path, RawType::CharacterDevice, mode, raw_device(*device))
        }
        Node::BlockDevice(device) => {
            rustix::fs::mknodat(CWD, path, RawType::BlockDevice, mode, raw_device(*device))
        }
        Node::Fifo => rustix::fs::mknodat(CWD, path, RawType::Fifo, mode, 0),
    };
    at(path, made)
}

fn set_metadata(path: &Path, metadata: &Metadata) -> Result<(), KernelError> {
    let is_link = path.is_symlink();
    let (uid, gid) = (Uid::from_raw(metadata.uid), Gid::from_raw(metadata.gid));
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    at(path, rustix::fs::chownat(CWD, path, Some(uid), Some(gid), flags))?;
    if !is_link {
        let mode = Mode::from_raw_mode(metadata.mode.into());
        at(path, rustix::fs::chmod(path, mode))?;
    }
    for (name, value) in metadata.xattrs.iter() {
        let name = at(path, c(name))?;
        at(
            path,
            rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()),
        )?;
    }
    let time = timespec(SetTime::At(metadata.mtime));
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    at(path, rustix::fs::utimensat(CWD, path, &times, flags))
}
