//! What a container reads of its mounts in `/proc`: the one thing of what runc mounts that this core knows the inside
//! of. All else that is mounted there stays what it is on the root file system, an empty directory.

use super::mount_point::MountPoint;
use super::step::Step;
use crate::content::Content;
use crate::overlay::mount::{Call, Errno, FileType, Io, Reply, Stat};
use crate::text::escape;
use crate::tree::Time;

/// The files of `/proc` that tell of mounts (proc_pid_mountinfo(5), proc_pid_mounts(5)).
#[derive(Debug, Clone)]
pub struct ProcMounts {
    mountinfo: Content,
    mounts: Content,
    now: Time,
}

impl ProcMounts {
    /// What they tell once the steps are done; none if they mount no proc.
    pub fn new(steps: &[Step], now: Time) -> Option<Self> {
        let mounts: Vec<&MountPoint> = steps.iter().flat_map(|step| &step.mounts).collect();
        if !mounts
            .iter()
            .any(|mount| mount.kind == "proc" && mount.target == "/proc")
        {
            return None;
        }
        Some(Self {
            mountinfo: Content::inline(mountinfo(&mounts)),
            mounts: Content::inline(lines(&mounts)),
            now,
        })
    }

    /// What the kernel answers to a call about one of them; none if it is about something else.
    pub fn call(&self, call: &Call) -> Option<Result<Reply, Errno>> {
        let (Call::Stat { path, .. } | Call::Open { path, .. }) = call else {
            return None;
        };
        let content = self.file(path)?;
        Some(match call {
            Call::Open { io: Io::Read, .. } => Ok(Reply::Content(content.clone())),
            Call::Open {
                io: Io::Nothing,
                flags,
                ..
            } if !flags.write => Ok(Reply::Done),
            Call::Open { .. } => Err(Errno::EACCES),
            _ => Ok(Reply::Stat(self.stat(content))),
        })
    }

    fn file(&self, path: &[u8]) -> Option<&Content> {
        let names = path.split(|&byte| byte == b'/');
        let names: Vec<&[u8]> = names.filter(|name| !matches!(*name, b"" | b".")).collect();
        match names[..] {
            [b"proc", b"1" | b"self", b"mountinfo"] => Some(&self.mountinfo),
            [b"proc", b"mounts"] | [b"proc", b"1" | b"self", b"mounts"] => Some(&self.mounts),
            _ => None,
        }
    }

    /// As proc has it: a file whose size nobody knows before it is read.
    fn stat(&self, content: &Content) -> Stat {
        let is_first = content.is_same(&self.mountinfo);
        Stat {
            file_type: FileType::File,
            mode: 0o444,
            uid: 0,
            gid: 0,
            size: 0,
            // Far from those that files of layers get.
            ino: u64::MAX - u64::from(is_first),
            nlink: 1,
            device: None,
            atime: self.now,
            mtime: self.now,
            ctime: self.now,
        }
    }
}

/// The number of the first mount, and of its device: on a machine they are what was free.
const FIRST: usize = 100;

fn mountinfo(mounts: &[&MountPoint]) -> Vec<u8> {
    let mut text = String::new();
    for (number, mount) in mounts.iter().enumerate() {
        let MountPoint {
            root,
            target,
            options,
            kind,
            source,
            super_options,
        } = mount;
        let is_in = |other: &MountPoint| {
            let rest = target.strip_prefix(&other.target[..]);
            other.target == "/" || rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let before = mounts[..number]
            .iter()
            .enumerate()
            .filter(|(_, other)| is_in(other));
        let parent = before.max_by_key(|(_, other)| other.target.len());
        let parent = parent.map_or(FIRST - 1, |(parent, _)| FIRST + parent);
        let device = mounts
            .iter()
            .position(|other| other.kind == *kind && other.source == *source);
        let (id, minor) = (FIRST + number, FIRST + device.unwrap_or(number));
        let target = shown(target);
        text +=
            &format!("{id} {parent} 0:{minor} {root} {target} {options} - {kind} {source} {super_options}\n");
    }
    text.into_bytes()
}

fn lines(mounts: &[&MountPoint]) -> Vec<u8> {
    let line = |mount: &&MountPoint| {
        // What both levels tell is told once, and that the file system is writable by its mount.
        let more = mount
            .super_options
            .split(',')
            .filter(|option| !matches!(*option, "rw" | "ro"));
        let options: Vec<&str> = std::iter::once(&mount.options[..]).chain(more).collect();
        format!(
            "{} {} {} {} 0 0\n",
            mount.source,
            shown(&mount.target),
            mount.kind,
            options.join(",")
        )
    };
    mounts.iter().map(line).collect::<String>().into_bytes()
}

/// A path as the kernel shows it there: blanks and backslashes in octal.
fn shown(path: &str) -> String {
    let escaped = path.bytes().map(|byte| match byte {
        b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}"),
        byte => char::from(byte).to_string(),
    });
    match path.is_ascii() {
        true => escaped.collect(),
        false => escape(path.as_bytes()),
    }
}
