//! The calls of [`Call`] as system calls of this thread, made as whoever calls.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, CWD, FileType as RawType, Gid, Mode, OFlags, RawDir, RenameFlags, Timespec, Timestamps,
    UTIME_NOW, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::Errno as RawErrno;

use crate::content::Content;
use crate::native::truncate::truncate;
use crate::overlay::mount::{
    Call, Caller, Errno, FileType, Io, NodeType, OnDescriptor, OpenFlags, Reply, SetTime, SetXattr, Stat,
    System,
};
use crate::tree::{Device, Time};

/// Files that are open, by the numbers that callers chose.
pub(super) type Files = BTreeMap<u8, OwnedFd>;

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
pub(super) fn run_as(caller: Caller, call: &Call, files: &mut Files) -> Result<Reply, Errno> {
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

pub(super) fn c(path: &[u8]) -> Result<CString, RawErrno> {
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
        Call::Truncate { path, length } => truncate(&c(path)?, *length)?,
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

pub(super) fn raw_device(device: Device) -> rustix::fs::Dev {
    rustix::fs::makedev(device.major, device.minor)
}

pub(super) fn timespec(time: SetTime) -> Timespec {
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

pub(super) fn names_in(directory: OwnedFd) -> Result<Vec<Vec<u8>>, RawErrno> {
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

pub(super) fn getxattr(path: &CString, name: &CString, follow: bool) -> Result<Vec<u8>, RawErrno> {
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

pub(super) fn listxattr(path: &CString, follow: bool) -> Result<Vec<Vec<u8>>, RawErrno> {
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

pub(super) fn stat_of(stat: &rustix::fs::Stat) -> Stat {
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
