//! From a script to text: how a failing test is shown, so that it can be run again.

use std::fmt;

use super::Script;
use super::layer;
use super::parse::option_words;
use super::words::quote;
use crate::overlay::mount::{Call, Io, NodeType, OnDescriptor, OpenFlags, SetTime, SetXattr};

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for tree in &self.lowers {
            writeln!(f, "layer")?;
            layer::print(tree)
                .iter()
                .try_for_each(|line| writeln!(f, "{line}"))?;
        }
        let mut mount = option_words(self.options);
        match &self.upper {
            Some(tree) => {
                writeln!(f, "upper")?;
                layer::print(tree)
                    .iter()
                    .try_for_each(|line| writeln!(f, "{line}"))?;
            }
            None => mount.insert(0, "read-only".to_owned()),
        }
        writeln!(f, "mount {}", mount.join(" "))?;
        let mut before = (0, 0, 0o022);
        for step in &self.steps {
            let who = (step.caller.uid, step.caller.gid, step.caller.umask);
            if who != before {
                before = who;
                write!(f, "as {}:{}", who.0, who.1)?;
                match who.2 {
                    0o022 => writeln!(f)?,
                    umask => writeln!(f, " umask={umask:04o}")?,
                }
            }
            writeln!(f, "{}", step.call)?;
        }
        Ok(())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nofollow = |follow: bool| if follow { "" } else { " nofollow" };
        match self {
            Self::Open {
                path,
                flags,
                mode,
                io,
            } => open(f, path, *flags, *mode, io),
            Self::Descriptor { number, what } => {
                write!(f, "fd {number} ")?;
                match what {
                    OnDescriptor::Read => f.write_str("read"),
                    OnDescriptor::Write(offset, content) => {
                        let bytes = content.read_all(1 << 20).unwrap_or_default();
                        write!(f, "write {} offset={offset}", quote(&bytes))
                    }
                    OnDescriptor::Stat => f.write_str("stat"),
                    OnDescriptor::Truncate(length) => write!(f, "truncate {length}"),
                    OnDescriptor::Chmod(mode) => write!(f, "chmod {mode:04o}"),
                    OnDescriptor::Close => f.write_str("close"),
                }
            }
            Self::Truncate { path, length } => write!(f, "truncate {} {length}", quote(path)),
            Self::Mkdir { path, mode } => write!(f, "mkdir {} mode={mode:04o}", quote(path)),
            Self::Mknod { path, node, mode } => {
                let node = match node {
                    NodeType::File => "file".to_owned(),
                    NodeType::Fifo => "fifo".to_owned(),
                    NodeType::Socket => "socket".to_owned(),
                    NodeType::CharDevice(device) => format!("char {}:{}", device.major, device.minor),
                    NodeType::BlockDevice(device) => format!("block {}:{}", device.major, device.minor),
                };
                write!(f, "mknod {} {node} mode={mode:04o}", quote(path))
            }
            Self::Symlink { target, path } => write!(f, "symlink {} {}", quote(target), quote(path)),
            Self::Link { old, new, follow } => {
                let follow = if *follow { " follow" } else { "" };
                write!(f, "link {} {}{follow}", quote(old), quote(new))
            }
            Self::Unlink { path } => write!(f, "unlink {}", quote(path)),
            Self::Rmdir { path } => write!(f, "rmdir {}", quote(path)),
            Self::Rename { old, new, flags } => {
                write!(f, "rename {} {}", quote(old), quote(new))?;
                let names = [(1, "noreplace"), (2, "exchange"), (4, "whiteout")];
                let set = names.iter().filter(|(bit, _)| flags & bit != 0);
                set.into_iter().try_for_each(|(_, name)| write!(f, " {name}"))
            }
            Self::Chmod { path, mode } => write!(f, "chmod {} {mode:04o}", quote(path)),
            Self::Chown {
                path,
                uid,
                gid,
                follow,
            } => {
                let id = |id: &Option<u32>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
                write!(
                    f,
                    "chown {} {}:{}{}",
                    quote(path),
                    id(uid),
                    id(gid),
                    nofollow(*follow)
                )
            }
            Self::Utimes {
                path,
                atime,
                mtime,
                follow,
            } => {
                let (atime, mtime) = (time(*atime), time(*mtime));
                write!(f, "utimes {} {atime} {mtime}{}", quote(path), nofollow(*follow))
            }
            Self::Setxattr {
                path,
                name,
                value,
                how,
                follow,
            } => {
                let how = match how {
                    SetXattr::Any => "",
                    SetXattr::Create => " create",
                    SetXattr::Replace => " replace",
                };
                let (path, name, value) = (quote(path), quote(name), quote(value));
                write!(f, "setxattr {path} {name} {value}{how}{}", nofollow(*follow))
            }
            Self::Removexattr { path, name, follow } => {
                write!(
                    f,
                    "removexattr {} {}{}",
                    quote(path),
                    quote(name),
                    nofollow(*follow)
                )
            }
            Self::Getxattr { path, name, follow } => {
                write!(f, "getxattr {} {}{}", quote(path), quote(name), nofollow(*follow))
            }
            Self::Listxattr { path, follow } => write!(f, "listxattr {}{}", quote(path), nofollow(*follow)),
            Self::Readdir { path } => write!(f, "readdir {}", quote(path)),
            Self::Stat { path, follow } => write!(f, "stat {}{}", quote(path), nofollow(*follow)),
            Self::Readlink { path } => write!(f, "readlink {}", quote(path)),
            Self::Remount { options: None } => f.write_str("remount"),
            Self::Remount {
                options: Some(options),
            } => write!(f, "remount {}", option_words(*options).join(" ")),
        }
    }
}

fn open(f: &mut fmt::Formatter<'_>, path: &[u8], flags: OpenFlags, mode: u16, io: &Io) -> fmt::Result {
    write!(f, "open {}", quote(path))?;
    for (is_set, name) in [
        (flags.read, "read"),
        (flags.write, "write"),
        (flags.create, "create"),
        (flags.exclusive, "exclusive"),
        (flags.truncate, "truncate"),
        (flags.append, "append"),
        (flags.directory, "directory"),
        (flags.nofollow, "nofollow"),
    ] {
        if is_set {
            write!(f, " {name}")?;
        }
    }
    write!(f, " mode={mode:04o}")?;
    match io {
        Io::Nothing => Ok(()),
        Io::Keep(number) => write!(f, " fd={number}"),
        Io::Read => f.write_str(" all"),
        Io::Write(offset, content) => {
            let bytes = content.read_all(1 << 20).unwrap_or_default();
            write!(f, " offset={offset} {}", quote(&[b"text=", &bytes[..]].concat()))
        }
    }
}

fn time(time: SetTime) -> String {
    match time {
        SetTime::Now => "now".to_owned(),
        SetTime::Omit => "omit".to_owned(),
        SetTime::At(time) => format!("{}.{:09}", time.seconds, time.nanos),
    }
}
