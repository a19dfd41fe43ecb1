//! Whatever answers system calls: the simulated mount, or a real one.

use super::call::{Call, Caller, Io, OpenFlags, Reply};
use super::row::{Detail, Row};
use super::upper::FileName;
use super::{Errno, FileType, Overlay};
use crate::content::Content;

/// A file system that a process sees.
pub trait System {
    /// Makes one system call.
    fn call(&mut self, caller: Caller, call: &Call) -> Result<Reply, Errno>;

    /// The programs that can be executed here: whoever answers calls for a mount has none.
    fn programs(&self) -> &'static [&'static str] {
        &[]
    }

    /// Executes one of the programs, in a directory, with its name and arguments.
    fn execute(&mut self, _: Caller, _: &[u8], _: &[Vec<u8>]) -> Executed {
        Executed::default()
    }

    /// What the next argument of a program could be that begins with `start`, after its name and the arguments that
    /// are complete; none if it is a file.
    fn complete(&self, _: &[Vec<u8>], _: &[u8]) -> Option<Vec<Vec<u8>>> {
        None
    }
}

/// What a program did.
#[derive(Clone, Debug, Default)]
pub struct Executed {
    /// What it printed, in order; true for standard error.
    pub output: Vec<(bool, Content)>,
    /// Its exit status.
    pub status: u8,
}

impl System for Overlay {
    fn call(&mut self, caller: Caller, call: &Call) -> Result<Reply, Errno> {
        Self::call(self, caller, call).result
    }
}

/// All that a process sees, found by listing every directory: paths in the order in which they are found, with
/// names that are listed but not there. Looking changes marks in the upper.
pub fn walk(system: &mut dyn System, caller: Caller) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut pending = vec![b"/".to_vec()];
    while let Some(path) = pending.pop() {
        let row = look(system, caller, &path);
        if let Detail::Directory = row.detail {
            let mut names = names_in(system, caller, &path);
            names.sort();
            let prefix = path.strip_suffix(b"/").unwrap_or(&path).to_vec();
            let children = names.iter().rev().map(|name| [&prefix[..], b"/", name].concat());
            pending.extend(children);
        }
        rows.push(row);
    }
    rows
}

fn names_in(system: &mut dyn System, caller: Caller, path: &[u8]) -> Vec<FileName> {
    let call = Call::Readdir { path: path.into() };
    match system.call(caller, &call) {
        Ok(Reply::Names(names)) => names,
        _ => Vec::new(),
    }
}

/// What a process sees at a path.
fn look(system: &mut dyn System, caller: Caller, path: &[u8]) -> Row {
    let stat = Call::Stat {
        path: path.into(),
        follow: false,
    };
    let stat = match system.call(caller, &stat) {
        Ok(Reply::Stat(stat)) => stat,
        Ok(_) => unreachable!("stat gives attributes"),
        Err(errno) => return Row::missing(path.to_vec(), errno),
    };
    let detail = match stat.file_type {
        FileType::Directory => Detail::Directory,
        FileType::File => {
            let open = Call::Open {
                path: path.into(),
                flags: OpenFlags {
                    read: true,
                    ..OpenFlags::default()
                },
                mode: 0,
                io: Io::Read,
            };
            match system.call(caller, &open) {
                Ok(Reply::Content(content)) => Detail::File(content),
                _ => Detail::File(Content::inline(*b"")),
            }
        }
        FileType::Symlink => match system.call(caller, &Call::Readlink { path: path.into() }) {
            Ok(Reply::Bytes(target)) => Detail::Symlink(target),
            _ => Detail::Symlink(Vec::new()),
        },
        FileType::CharDevice => Detail::CharDevice(stat.device.expect("a device has a number")),
        FileType::BlockDevice => Detail::BlockDevice(stat.device.expect("a device has a number")),
        FileType::Fifo => Detail::Fifo,
        FileType::Socket => Detail::Socket,
    };
    Row {
        path: path.to_vec(),
        detail,
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        nlink: Some(stat.nlink),
        mtime: stat.mtime,
        ino: stat.ino,
        xattrs: xattrs_of(system, caller, path),
    }
}

fn xattrs_of(system: &mut dyn System, caller: Caller, path: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let list = Call::Listxattr {
        path: path.into(),
        follow: false,
    };
    let Ok(Reply::Names(mut names)) = system.call(caller, &list) else {
        return Vec::new();
    };
    names.sort();
    let value = |name: FileName| {
        let get = Call::Getxattr {
            path: path.into(),
            name: name.to_vec(),
            follow: false,
        };
        match system.call(caller, &get) {
            Ok(Reply::Bytes(value)) => (name.to_vec(), value),
            _ => (name.to_vec(), b"?".to_vec()),
        }
    };
    names.into_iter().map(value).collect()
}
