//! stat.

use super::job::{Job, q};
use super::list::{size, taken};
use super::mode;
use super::names::{group_name, user_name};
use super::option::{Args, Command, Run, flag, missing, valued};
use super::quote;
use super::time::whole;
use crate::overlay::mount::{FileType, Stat};

pub(super) const STAT: Command = Command {
    name: "stat",
    usage: "[OPTION]... FILE...",
    about: "Tell all attributes of files.",
    options: &[
        flag('L', "dereference", "of what links lead to"),
        valued(
            'c',
            "format",
            "FORMAT",
            "as this says: %n name, %N with target, %F type, %a %A permissions, %u %U %g %G owner, %s size, %h \
             names, %i inode, %x %y %z times, %X %Y %Z in seconds, %t %T device",
        ),
    ],
    run: Run::Parsed(stat),
    misuse: 1,
};

const DEFAULT: &[u8] = b"  File: %N\n  Size: %-10s\tBlocks: %-10b IO Block: %-6o %F\n\
    Device: %Hd,%Ld\tInode: %-11i Links: %h\n\
    Access: (%04a/%10.10A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)\n\
    Access: %x\nModify: %y\nChange: %z\n Birth: %w\n";

const DEVICE: &[u8] = b"  File: %N\n  Size: %-10s\tBlocks: %-10b IO Block: %-6o %F\n\
    Device: %Hd,%Ld\tInode: %-11i Links: %-5h Device type: %Hr,%Lr\n\
    Access: (%04a/%10.10A)  Uid: (%5u/%8U)   Gid: (%5g/%8G)\n\
    Access: %x\nModify: %y\nChange: %z\n Birth: %w\n";

fn stat(job: &mut Job<'_>, args: Args) -> u8 {
    if args.operands.is_empty() {
        return missing(job, "", None);
    }
    let mut status = 0;
    for name in &args.operands {
        let stat = match job.stat(name, args.has('L')) {
            Ok(stat) => stat,
            Err(errno) => {
                job.complain_of(&format!("cannot statx {}", q(name)), errno);
                status = 1;
                continue;
            }
        };
        let text = match args.value('c') {
            Some(format) => [&filled(job, name, &stat, format, q)[..], b"\n"].concat(),
            None if stat.device.is_some() => filled(job, name, &stat, DEVICE, quote_if_needed),
            None => filled(job, name, &stat, DEFAULT, quote_if_needed),
        };
        job.print(text);
    }
    status
}

fn quote_if_needed(name: &[u8]) -> String {
    quote::if_needed(name, false)
}

/// A format with the file's values in it, names quoted in a way.
fn filled(
    job: &mut Job<'_>,
    name: &[u8],
    stat: &Stat,
    format: &[u8],
    quoted: fn(&[u8]) -> String,
) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = format;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            text.push(byte);
            continue;
        }
        let is_flag = |byte: &u8| b"-0".contains(byte) || byte.is_ascii_digit() || *byte == b'.';
        let end = rest.iter().position(|byte| !is_flag(byte)).unwrap_or(rest.len());
        let (flags, after) = rest.split_at(end);
        let (half, after) = match after {
            [half @ (b'H' | b'L'), after @ ..] => (*half, after),
            after => (0, after),
        };
        let Some((&letter, after)) = after.split_first() else {
            text.push(b'%');
            break;
        };
        rest = after;
        let value = match (letter, stat.file_type) {
            (b'N', FileType::Symlink) => {
                let target = job.target(name).unwrap_or_default();
                Some(format!("{} -> {}", quoted(name), quoted(&target)).into_bytes())
            }
            (b'N', _) => Some(quoted(name).into_bytes()),
            _ => value(job, name, stat, letter, half),
        };
        match value {
            Some(value) => text.extend(padded(value, flags)),
            None => text.push(b'?'),
        }
    }
    text
}

fn value(job: &mut Job<'_>, name: &[u8], stat: &Stat, letter: u8, half: u8) -> Option<Vec<u8>> {
    let device = match letter {
        b'd' => job.shell.mount.device,
        _ => stat.device.unwrap_or_default(),
    };
    let text = match (letter, half) {
        (b'd' | b'r', b'H') => device.major.to_string(),
        (b'd' | b'r', b'L') => device.minor.to_string(),
        (b'%', _) => "%".to_owned(),
        (b'n', _) => return Some(name.to_vec()),
        (b'F', _) => type_name(stat).to_owned(),
        (b'a', _) => format!("{:o}", stat.mode),
        (b'A', _) => mode::text(stat.file_type, stat.mode),
        (b'f', _) => format!("{:x}", mode::type_bits(stat.file_type) | u32::from(stat.mode)),
        (b'u', _) => stat.uid.to_string(),
        (b'g', _) => stat.gid.to_string(),
        (b'U', _) => return Some(user_name(job, stat.uid).unwrap_or_else(|| b"UNKNOWN".to_vec())),
        (b'G', _) => return Some(group_name(job, stat.gid).unwrap_or_else(|| b"UNKNOWN".to_vec())),
        (b's', _) => size(stat).to_string(),
        (b'b', _) => (taken(stat) / 512).to_string(),
        (b'B', _) => "512".to_owned(),
        (b'o', _) => "4096".to_owned(),
        (b'h', _) => stat.nlink.to_string(),
        (b'i', _) => stat.ino.to_string(),
        (b't', _) => format!("{:x}", device.major),
        (b'T', _) => format!("{:x}", device.minor),
        (b'x', _) => whole(stat.atime),
        (b'y', _) => whole(stat.mtime),
        (b'z', _) => whole(stat.ctime),
        (b'X', _) => stat.atime.seconds.to_string(),
        (b'Y', _) => stat.mtime.seconds.to_string(),
        (b'Z', _) => stat.ctime.seconds.to_string(),
        // When it was made: overlayfs does not tell.
        (b'w', _) => "-".to_owned(),
        (b'W', _) => "0".to_owned(),
        _ => return None,
    };
    Some(text.into_bytes())
}

/// As printf(3) does with flags, width and precision; a width beyond reason is cut.
fn padded(mut value: Vec<u8>, flags: &[u8]) -> Vec<u8> {
    let is_left = flags.contains(&b'-');
    let digits: Vec<u8> = flags.iter().copied().skip_while(|byte| *byte == b'-').collect();
    let fill = if digits.first() == Some(&b'0') && !is_left {
        b'0'
    } else {
        b' '
    };
    let width = digits.split(|&byte| byte == b'.').next().unwrap_or_default();
    let width: usize = std::str::from_utf8(width)
        .ok()
        .and_then(|width| width.parse().ok())
        .unwrap_or(0);
    let missing = width.min(4096).saturating_sub(value.len());
    let padding = vec![fill; missing];
    match is_left {
        true => {
            value.extend(padding);
            value
        }
        false => [padding, value].concat(),
    }
}

fn type_name(stat: &Stat) -> &'static str {
    match stat.file_type {
        FileType::Directory => "directory",
        FileType::File if stat.size == 0 => "regular empty file",
        FileType::File => "regular file",
        FileType::Symlink => "symbolic link",
        FileType::CharDevice => "character special file",
        FileType::BlockDevice => "block special file",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
    }
}
