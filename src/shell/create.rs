//! Commands that make things: mkdir, ln, touch, mknod, truncate.

use super::job::{Job, base_name, join, q, trim_slashes};
use super::mode;
use super::option::{Args, Command, Run, flag, missing, valued};
use super::quote;
use super::time::{parse_date, parse_stamp};
use crate::overlay::mount::{Call, Errno, FileType, Io, NodeType, OpenFlags, SetTime};
use crate::tree::Device;

pub(super) const MKDIR: Command = Command {
    name: "mkdir",
    usage: "[OPTION]... DIRECTORY...",
    about: "Make directories.",
    options: &[
        valued('m', "mode", "MODE", "with these permissions, as of chmod"),
        flag('p', "parents", "with those above, and no error if it is there"),
        flag('v', "verbose", "tell each"),
    ],
    run: Run::Parsed(mkdir),
    misuse: 1,
};

pub(super) const LN: Command = Command {
    name: "ln",
    usage: "[OPTION]... TARGET... LINK|DIRECTORY",
    about: "Give a file one more name, or make symbolic links.",
    options: &[
        flag('f', "force", "replace what is there"),
        flag(
            'n',
            "no-dereference",
            "a link to a directory as LINK is replaced itself",
        ),
        flag('s', "symbolic", "a symbolic link"),
        flag(
            'T',
            "no-target-directory",
            "LINK is never a directory to put it in",
        ),
        flag('v', "verbose", "tell each"),
    ],
    run: Run::Parsed(ln),
    misuse: 1,
};

pub(super) const TOUCH: Command = Command {
    name: "touch",
    usage: "[OPTION]... FILE...",
    about: "Give files the time of now, and make those that are not there.",
    options: &[
        flag('a', "", "the time of reading only"),
        flag('m', "", "the time of changing only"),
        flag('c', "no-create", "make nothing"),
        flag('h', "no-dereference", "links themselves"),
        valued(
            'd',
            "date",
            "DATE",
            "this time: YYYY-MM-DD HH:MM:SS, in UTC, or @SECONDS",
        ),
        valued('t', "", "STAMP", "this time: [[CC]YY]MMDDhhmm[.ss]"),
        valued('r', "reference", "FILE", "this file's times"),
    ],
    run: Run::Parsed(touch),
    misuse: 1,
};

pub(super) const MKNOD: Command = Command {
    name: "mknod",
    usage: "[-m MODE] NAME b|c|p [MAJOR MINOR]",
    about: "Make a device or a pipe. Overlayfs takes a character device 0 0 of a layer for a whiteout.",
    options: &[valued('m', "mode", "MODE", "with these permissions, as of chmod")],
    run: Run::Parsed(mknod),
    misuse: 1,
};

pub(super) const TRUNCATE: Command = Command {
    name: "truncate",
    usage: "-s SIZE FILE...",
    about: "Cut files off, or lengthen them with zeros. SIZE is in bytes, or as 1K, 1M; +N and -N are relative.",
    options: &[
        valued('s', "size", "SIZE", "this size"),
        flag('c', "no-create", "make nothing"),
    ],
    run: Run::Parsed(truncate),
    misuse: 1,
};

/// The mode that `-m` says, for something new.
fn mode_option(job: &mut Job<'_>, args: &Args, base: u16) -> Result<Option<u16>, ()> {
    let Some(text) = args.value('m') else {
        return Ok(None);
    };
    match mode::parse(text) {
        Some(change) => Ok(Some(change.apply(base, false, job.caller.umask))),
        None => {
            match job.command {
                "mkdir" => job.complain(&format!("invalid mode {}", quote::word(text))),
                _ => job.complain("invalid mode"),
            }
            Err(())
        }
    }
}

fn mkdir(job: &mut Job<'_>, args: Args) -> u8 {
    if args.operands.is_empty() {
        return missing(job, "", None);
    }
    let Ok(mode) = mode_option(job, &args, 0o777) else {
        return 1;
    };
    let mut status = 0;
    for name in &args.operands {
        let made = match args.has('p') {
            true => make_parents(job, &args, name),
            false => Ok(()),
        };
        let made =
            made.and_then(|()| make_last(job, &args, name, mode).map_err(|errno| (name.clone(), errno)));
        if let Err((name, errno)) = made {
            job.complain_of(&format!("cannot create directory {}", q(&name)), errno);
            status = 1;
        }
    }
    status
}

fn make_last(job: &mut Job<'_>, args: &Args, name: &[u8], mode: Option<u16>) -> Result<(), Errno> {
    let path = job.path(name);
    let made = job.call(Call::Mkdir {
        path: path.clone(),
        mode: mode.unwrap_or(0o777),
    });
    match made {
        Err(Errno::EEXIST) if args.has('p') && job.is_directory(name) => return Ok(()),
        made => made?,
    };
    tell_made(job, args, name);
    if let Some(mode) = mode {
        job.call(Call::Chmod { path, mode })?;
    }
    Ok(())
}

fn tell_made(job: &mut Job<'_>, args: &Args, name: &[u8]) {
    if args.has('v') {
        let command = job.command;
        job.print(format!("{command}: created directory {}\n", q(name)));
    }
}

/// Makes the directories above a path; an error tells which could not be made.
fn make_parents(job: &mut Job<'_>, args: &Args, name: &[u8]) -> Result<(), (Vec<u8>, Errno)> {
    let trimmed = trim_slashes(name);
    for (position, _) in trimmed.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
        let parent = &trimmed[..position];
        if parent.is_empty() || parent.ends_with(b"/") {
            continue;
        }
        let path = job.path(parent);
        match job.call(Call::Mkdir { path, mode: 0o777 }) {
            Ok(_) => tell_made(job, args, parent),
            Err(Errno::EEXIST) if job.is_directory(parent) => {}
            Err(Errno::EEXIST) => return Err((parent.to_vec(), Errno::ENOTDIR)),
            Err(errno) => return Err((parent.to_vec(), errno)),
        }
    }
    Ok(())
}

fn ln(job: &mut Job<'_>, args: Args) -> u8 {
    let mut operands = args.operands.clone();
    let into = match &operands[..] {
        [] => return missing(job, "file ", None),
        [only] if args.has('T') => return missing(job, "destination file ", Some(only)),
        [_, _, third, ..] if args.has('T') => {
            let shown = quote::word(third);
            job.misused(&format!("extra operand {shown}"));
            return 1;
        }
        [_] => Some(b".".to_vec()),
        [.., last] if args.has('T') => {
            let last = last.clone();
            operands.pop();
            return ln_one(job, &args, &operands[0], &last);
        }
        [.., last] => {
            let last = last.clone();
            let is_link = args.has('n')
                && job
                    .stat(&last, false)
                    .is_ok_and(|stat| stat.file_type == FileType::Symlink);
            let is_directory = !is_link && job.is_directory(&last);
            if !is_directory && operands.len() > 2 {
                let errno = job.stat(&last, true).err().unwrap_or(Errno::ENOTDIR);
                job.complain_of(&format!("target {}", q(&last)), errno);
                return 1;
            }
            operands.pop();
            if !is_directory {
                return ln_one(job, &args, &operands[0], &last);
            }
            Some(last)
        }
    };
    let into = into.unwrap_or_default();
    let mut status = 0;
    for target in &operands {
        let link = join(&into, base_name(target));
        status |= ln_one(job, &args, target, &link);
    }
    status
}

fn ln_one(job: &mut Job<'_>, args: &Args, target: &[u8], link: &[u8]) -> u8 {
    let is_symbolic = args.has('s');
    let source = match is_symbolic {
        true => None,
        false => match job.stat(target, false) {
            Ok(stat) if stat.file_type == FileType::Directory => {
                job.complain(&format!(
                    "{}: hard link not allowed for directory",
                    quote::if_needed(target, true)
                ));
                return 1;
            }
            Ok(stat) => Some(stat),
            Err(errno) => {
                job.complain_of(&format!("failed to access {}", q(target)), errno);
                return 1;
            }
        },
    };
    let make = |job: &mut Job<'_>, name: &[u8]| {
        let path = job.path(name);
        job.call(match is_symbolic {
            true => Call::Symlink {
                target: target.into(),
                path,
            },
            false => Call::Link {
                old: job.path(target),
                new: path,
                follow: false,
            },
        })
    };
    let mut made = make(job, link);
    if made.as_ref().err() == Some(&Errno::EEXIST) && args.has('f') {
        let there = job.stat(link, false);
        match (&there, source) {
            (Ok(there), _) if there.file_type == FileType::Directory => {
                job.complain(&format!(
                    "{}: cannot overwrite directory",
                    quote::if_needed(link, true)
                ));
                return 1;
            }
            (Ok(there), Some(source)) if there.ino == source.ino => {
                job.complain(&format!("{} and {} are the same file", q(target), q(link)));
                return 1;
            }
            _ => {}
        }
        // In one step, by way of a name beside it, as ln does.
        let beside = join(parent_of(link), b"CuXXXXXX");
        made = make(job, &beside).and_then(|_| {
            let (old, new) = (job.path(&beside), job.path(link));
            job.call(Call::Rename { old, new, flags: 0 })
        });
    }
    match made {
        Ok(_) => {
            if args.has('v') {
                let arrow = if is_symbolic { "->" } else { "=>" };
                job.print(format!("{} {arrow} {}\n", q(link), q(target)));
            }
            0
        }
        Err(errno) => {
            let text = match (is_symbolic, errno) {
                (true, _) if target.is_empty() || errno == Errno::ENAMETOOLONG => {
                    format!("failed to create symbolic link {} -> {}", q(link), q(target))
                }
                (true, _) => format!("failed to create symbolic link {}", q(link)),
                (false, Errno::EEXIST | Errno::ENOSPC | Errno::EROFS) => {
                    format!("failed to create hard link {}", q(link))
                }
                (false, _) => format!("failed to create hard link {} => {}", q(link), q(target)),
            };
            job.complain_of(&text, errno);
            1
        }
    }
}

/// The directory that a path's last name is in, as it was typed.
fn parent_of(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) => b"/",
        Some(end) => &path[..end],
        None => b".",
    }
}

fn touch(job: &mut Job<'_>, args: Args) -> u8 {
    let (atime, mtime) = match touch_times(job, &args) {
        Ok(times) => times,
        Err(()) => return 1,
    };
    if args.operands.is_empty() {
        return missing(job, "file ", None);
    }
    let atime = if args.has('m') && !args.has('a') {
        SetTime::Omit
    } else {
        atime
    };
    let mtime = if args.has('a') && !args.has('m') {
        SetTime::Omit
    } else {
        mtime
    };
    let mut status = 0;
    for name in &args.operands {
        let flags = OpenFlags {
            write: true,
            create: true,
            ..OpenFlags::default()
        };
        let makes = !args.has('c') && !args.has('h');
        let opened = makes
            .then(|| job.open(name, flags, 0o666, Io::Nothing).err())
            .flatten();
        let set = Call::Utimes {
            path: job.path(name),
            atime,
            mtime,
            follow: !args.has('h'),
        };
        let Err(errno) = job.call(set) else { continue };
        match opened {
            Some(errno) => job.complain_of(&format!("cannot touch {}", q(name)), errno),
            None if errno == Errno::ENOENT && args.has('c') => continue,
            None => job.complain_of(&format!("setting times of {}", q(name)), errno),
        }
        status = 1;
    }
    status
}

fn touch_times(job: &mut Job<'_>, args: &Args) -> Result<(SetTime, SetTime), ()> {
    let now = job.caller.now;
    if let Some(file) = args.value('r') {
        return match job.stat(file, !args.has('h')) {
            Ok(stat) => Ok((SetTime::At(stat.atime), SetTime::At(stat.mtime))),
            Err(errno) => {
                job.complain_of(&format!("failed to get attributes of {}", q(file)), errno);
                Err(())
            }
        };
    }
    let (text, time) = match (args.value('t'), args.value('d')) {
        (Some(text), _) => (text, parse_stamp(text, now)),
        (None, Some(text)) => (text, parse_date(text, now)),
        (None, None) => return Ok((SetTime::Now, SetTime::Now)),
    };
    match time {
        Some(time) => Ok((SetTime::At(time), SetTime::At(time))),
        None => {
            job.complain(&format!("invalid date format {}", quote::word(text)));
            Err(())
        }
    }
}

fn mknod(job: &mut Job<'_>, args: Args) -> u8 {
    let Ok(mode) = mode_option(job, &args, 0o666) else {
        return 1;
    };
    let operands: Vec<&[u8]> = args.operands.iter().map(Vec::as_slice).collect();
    let kind = operands.get(1).and_then(|kind| kind.first().copied());
    let expected = if kind == Some(b'p') { 2 } else { 4 };
    if operands.len() < expected || operands.len() > expected {
        mknod_misused(job, &operands, expected);
        return 1;
    }
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u32>().ok();
    let mut device = Device::default();
    if expected == 4 {
        for (which, text) in [("major", operands[2]), ("minor", operands[3])] {
            let Some(number) = number(text) else {
                job.complain(&format!("invalid {which} device number {}", quote::word(text)));
                return 1;
            };
            match which {
                "major" => device.major = number,
                _ => device.minor = number,
            }
        }
    }
    let node = match kind {
        Some(b'p') => NodeType::Fifo,
        Some(b'c' | b'u') => NodeType::CharDevice(device),
        Some(b'b') => NodeType::BlockDevice(device),
        _ => {
            job.misused(&format!("invalid device type {}", quote::word(operands[1])));
            return 1;
        }
    };
    let path = job.path(operands[0]);
    let made = job.call(Call::Mknod {
        path: path.clone(),
        node,
        mode: mode.unwrap_or(0o666),
    });
    let changed =
        made.and_then(|_| mode.map_or(Ok(()), |mode| job.call(Call::Chmod { path, mode }).map(drop)));
    if let Err(errno) = changed {
        job.complain_of(&quote::if_needed(operands[0], true), errno);
        return 1;
    }
    0
}

fn mknod_misused(job: &mut Job<'_>, operands: &[&[u8]], expected: usize) {
    let command = job.command;
    let note = match (operands.len() < expected, expected) {
        (true, 4) if operands.len() == 2 => Some("Special files require major and minor device numbers."),
        (false, 2) if operands.len() == 4 => Some("Fifos do not have major and minor device numbers."),
        _ => None,
    };
    match operands.len() < expected {
        true => match operands.last() {
            None => job.complain("missing operand"),
            Some(last) => job.complain(&format!("missing operand after {}", quote::word(last))),
        },
        false => job.complain(&format!("extra operand {}", quote::word(operands[expected]))),
    }
    if let Some(note) = note {
        job.error_line(note);
    }
    job.error_line(&format!("Try '{command} --help' for more information."));
}

/// A number of bytes with a unit: `10`, `1K`, `1KB`, `2MiB`.
pub(super) fn parse_size(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: u64 = match digits {
        "" => return None,
        digits => digits.parse().ok()?,
    };
    let mut letters = unit.chars();
    let power = match letters.next() {
        None => return Some(number),
        Some('b') if unit == "b" => return number.checked_mul(512),
        Some('k' | 'K') => 1,
        Some('M') => 2,
        Some('G') => 3,
        Some('T') => 4,
        Some('P') => 5,
        Some(_) => return None,
    };
    let base: u64 = match letters.as_str() {
        "" | "iB" => 1024,
        "B" => 1000,
        _ => return None,
    };
    number.checked_mul(base.pow(power))
}

fn truncate(job: &mut Job<'_>, args: Args) -> u8 {
    let Some(text) = args.value('s') else {
        job.misused("you must specify either '--size' or '--reference'");
        return 1;
    };
    let (sign, digits) = match text {
        [sign @ (b'+' | b'-' | b'<' | b'>'), digits @ ..] => (*sign, digits),
        digits => (b'=', digits),
    };
    let Some(size) = parse_size(digits).and_then(|size| i64::try_from(size).ok()) else {
        job.complain(&format!("Invalid number: {}", q(text)));
        return 1;
    };
    if args.operands.is_empty() {
        return missing(job, "file ", None);
    }
    let mut status = 0;
    for name in &args.operands {
        if let Err(Some((text, errno))) = truncate_one(job, &args, name, sign, size) {
            job.complain_of(&text, errno);
            status = 1;
        }
    }
    status
}

/// What could not be done; nothing if that is no error.
fn truncate_one(
    job: &mut Job<'_>,
    args: &Args,
    name: &[u8],
    sign: u8,
    size: i64,
) -> Result<(), Option<(String, Errno)>> {
    let flags = OpenFlags {
        write: true,
        create: !args.has('c'),
        ..OpenFlags::default()
    };
    if let Err(errno) = job.open(name, flags, 0o666, Io::Nothing) {
        let is_fine = args.has('c') && errno == Errno::ENOENT;
        let text = format!("cannot open {} for writing", q(name));
        return Err((!is_fine).then_some((text, errno)));
    }
    let old = job.stat(name, true).map_or(0, |stat| stat.size as i64);
    let length = match sign {
        b'+' => old.checked_add(size),
        b'-' => Some(old.saturating_sub(size).max(0)),
        b'<' => Some(old.min(size)),
        b'>' => Some(old.max(size)),
        _ => Some(size),
    };
    let failed = |errno| Some((format!("failed to truncate {} at {size} bytes", q(name)), errno));
    let Some(length) = length else {
        return Err(failed(Errno::EFBIG));
    };
    let path = job.path(name);
    job.call(Call::Truncate { path, length }).map_err(failed)?;
    Ok(())
}
