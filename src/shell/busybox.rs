//! Where BusyBox 1.35 has other words than GNU's tools for what this shell's commands say.

use super::job::Job;
use super::names::{group_name, user_name};
use super::{list, mode, time};
use crate::overlay::mount::{Errno, Stat};

/// The commands of this shell that it does not have.
const MISSING: [&[u8]; 4] = [b"tree", b"getfattr", b"setfattr", b"help"];

/// Whether it has a command.
pub(super) fn has(name: &[u8]) -> bool {
    let mut commands = super::help::COMMANDS.iter();
    commands.any(|command| command.name.as_bytes() == name) && !MISSING.contains(&name)
}

/// A complaint about a name, in its words.
pub(super) fn words(command: &str, text: &str, errno: Errno) -> String {
    let bare = |name: &str| name.trim_matches('\'').to_owned();
    let after = |starts: &[&str]| starts.iter().find_map(|start| text.strip_prefix(start));
    let opened = after(&["cannot open "]).and_then(|text| text.strip_suffix(" for reading"));
    let what = match command {
        "rm" if errno == Errno::EISDIR => {
            return format!("{} is a directory", after(&["cannot remove "]).unwrap_or(text));
        }
        "cat" if errno == Errno::EISDIR => "read error".to_owned(),
        "cat" | "sha256sum" => format!("can't open '{}'", bare(text)),
        "ls" if let Some(name) = after(&["cannot open directory "]) => format!("can't open {name}"),
        "head" if let Some(name) = opened => bare(name),
        "tail" if let Some(name) = opened => format!("can't open {name}"),
        "rmdir" => after(&["failed to remove "]).unwrap_or(text).to_owned(),
        "mv" if let Some(name) = after(&["cannot stat "]) => format!("can't rename {name}"),
        "ls" | "chmod" | "chown" | "chgrp" | "touch" | "du" | "find" => {
            let starts = [
                "cannot access ",
                "cannot touch ",
                "changing permissions of ",
                "changing ownership of ",
                "changing group of ",
            ];
            bare(after(&starts).unwrap_or(text))
        }
        "stat" => text.replacen("cannot statx ", "can't stat ", 1),
        _ => text.replacen("cannot ", "can't ", 1),
    };
    format!("{what}: {}", errno.text())
}

/// A line of `ls -l` up to the name.
pub(super) fn long_line(job: &mut Job<'_>, stat: &Stat, is_numeric: bool, is_human: bool) -> String {
    let name = |found: Option<Vec<u8>>, number: u32| match found {
        Some(name) if !is_numeric => String::from_utf8_lossy(&name).into_owned(),
        _ => number.to_string(),
    };
    let user = user_name(job, stat.uid);
    let group = group_name(job, stat.gid);
    let size = match (stat.device, is_human) {
        (Some(device), _) => format!("{:>4}, {:>3}", device.major, device.minor),
        (None, true) => format!("{:>9}", list::human(list::size(stat))),
        (None, false) => format!("{:>9}", list::size(stat)),
    };
    let time = time::listed(stat.mtime, job.caller.now);
    format!(
        "{} {:>4} {:<8.8} {:<8.8} {size} {time} ",
        mode::text(stat.file_type, stat.mode),
        stat.nlink,
        name(user, stat.uid),
        name(group, stat.gid),
    )
}
