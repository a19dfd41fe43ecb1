//! getfattr, setfattr.

use super::job::{Job, Visit, Walk};
use super::option::{Args, Command, Run, flag, valued};
use crate::base64;
use crate::overlay::mount::{Call, Errno, Reply, SetXattr};

pub(super) const GETFATTR: Command = Command {
    name: "getfattr",
    usage: "[OPTION]... FILE...",
    about: "Tell the extended attributes of files; without options the names of those that begin with user.",
    options: &[
        flag('d', "dump", "values too"),
        flag('h', "no-dereference", "of links themselves"),
        valued(
            'm',
            "match",
            "PATTERN",
            "names that match: - for all, ^trusted for those that begin so",
        ),
        valued('n', "name", "NAME", "this attribute"),
        flag('R', "recursive", "directories with all that is in them"),
    ],
    run: Run::Parsed(getfattr),
    misuse: 2,
};

pub(super) const SETFATTR: Command = Command {
    name: "setfattr",
    usage: "-n NAME [-v VALUE] | -x NAME [-h] FILE...",
    about: "Set or remove an extended attribute. VALUE is text, or hexadecimal as 0x01, or base64 as 0sAQ==.",
    options: &[
        flag('h', "no-dereference", "of links themselves"),
        valued('n', "name", "NAME", "set this attribute"),
        valued('v', "value", "VALUE", "to this value"),
        valued('x', "remove", "NAME", "remove this attribute"),
    ],
    run: Run::Parsed(setfattr),
    misuse: 2,
};

/// strerror(3) has other words for ENODATA than attr's tools.
fn text(errno: Errno) -> String {
    match errno {
        Errno::ENODATA => "No such attribute".to_owned(),
        errno => errno.text(),
    }
}

fn usage(job: &mut Job<'_>) -> u8 {
    match job.command {
        "setfattr" => {
            job.error_line("Usage: setfattr {-n name} [-v value] [-h] file...");
            job.error_line("       setfattr {-x name} [-h] file...");
        }
        _ => job.error_line("Usage: getfattr [-hRLP] [-n name|-d] [-e en] [-m pattern] path..."),
    }
    let command = job.command;
    job.error_line(&format!("Try `{command} --help' for more information."));
    2
}

fn setfattr(job: &mut Job<'_>, args: Args) -> u8 {
    let (name, is_removal) = match (args.value('n'), args.value('x')) {
        (Some(name), None) => (name.to_vec(), false),
        (None, Some(name)) => (name.to_vec(), true),
        _ => return usage(job),
    };
    if args.operands.is_empty() {
        return usage(job);
    }
    let Some(value) = decoded(args.value('v').unwrap_or_default()) else {
        job.error_line("bad input encoding");
        return 1;
    };
    let mut status = 0;
    for file in &args.operands {
        let path = job.path(file);
        let follow = !args.has('h');
        let name = name.clone();
        let call = match is_removal {
            true => Call::Removexattr { path, name, follow },
            false => Call::Setxattr {
                path,
                name,
                value: value.clone(),
                how: SetXattr::Any,
                follow,
            },
        };
        if let Err(errno) = job.call(call) {
            let shown = quote_file(file);
            job.complain(&format!("{shown}: {}", text(errno)));
            status = 1;
        }
    }
    status
}

fn quote_file(file: &[u8]) -> String {
    String::from_utf8_lossy(file).into_owned()
}

/// The bytes of a value as it is typed; nothing if its encoding is wrong.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    match text {
        [b'0', b'x' | b'X', digits @ ..] => {
            let digit = |byte: u8| (byte as char).to_digit(16);
            let pairs = digits.chunks(2).map(|pair| match pair {
                [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
                _ => None,
            });
            pairs.collect()
        }
        [b'0', b's' | b'S', rest @ ..] => base64::decode(std::str::from_utf8(rest).ok()?).ok(),
        [b'"', inner @ .., b'"'] => Some(unescaped(inner)),
        plain => Some(unescaped(plain)),
    }
}

/// `\\`, `\"` and `\NNN` as what they stand for.
fn unescaped(mut text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((&first, after)) = text.split_first() {
        text = after;
        match (first, after) {
            (b'\\', [a @ b'0'..=b'7', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                text = rest;
            }
            (b'\\', [byte @ (b'\\' | b'"'), rest @ ..]) => {
                bytes.push(*byte);
                text = rest;
            }
            _ => bytes.push(first),
        }
    }
    bytes
}

fn getfattr(job: &mut Job<'_>, args: Args) -> u8 {
    if args.operands.is_empty() {
        return usage(job);
    }
    let mut status = 0;
    for file in &args.operands {
        if !args.has('R') {
            status |= show(job, &args, file, !args.has('h'));
            continue;
        }
        let mut walk = Walk::new(file);
        while let Some(visit) = walk.next(job) {
            match visit {
                Visit::Enter { path, .. } => status |= show(job, &args, &path, false),
                Visit::Leave { .. } => {}
                Visit::Failed { path, errno, .. } => {
                    let shown = quote_file(&path);
                    job.complain(&format!("{shown}: {}", text(errno)));
                    status = 1;
                }
            }
        }
    }
    status
}

fn show(job: &mut Job<'_>, args: &Args, file: &[u8], follow: bool) -> u8 {
    let path = job.path(file);
    let names = match args.value('n') {
        Some(name) => Ok(vec![name.to_vec()]),
        None => job
            .call(Call::Listxattr {
                path: path.clone(),
                follow,
            })
            .map(|reply| match reply {
                Reply::Names(names) => names.iter().map(|name| name.to_vec()).collect(),
                _ => Vec::new(),
            }),
    };
    let shown = quote_file(file);
    let mut names: Vec<Vec<u8>> = match names {
        Ok(names) => names,
        Err(errno) => {
            job.complain(&format!("{shown}: {}", text(errno)));
            return 1;
        }
    };
    if args.value('n').is_none() {
        let pattern = args.value('m').unwrap_or(b"^user\\.");
        names.retain(|name| fits(pattern, name));
        names.sort();
    }
    let mut lines = Vec::new();
    let mut status = 0;
    for name in names {
        if args.value('n').is_none() && !args.has('d') {
            lines.extend([&name[..], b"\n"].concat());
            continue;
        }
        let get = Call::Getxattr {
            path: path.clone(),
            name: name.clone(),
            follow,
        };
        match job.call(get) {
            Ok(Reply::Bytes(value)) if value.is_empty() => lines.extend([&name[..], b"=\"\"\n"].concat()),
            Ok(Reply::Bytes(value)) => lines.extend([&name[..], b"=", &encoded(&value), b"\n"].concat()),
            Ok(_) => {}
            Err(errno) => {
                let name = String::from_utf8_lossy(&name).into_owned();
                job.error_line(&format!("{shown}: {name}: {}", text(errno)));
                status = 1;
            }
        }
    }
    if !lines.is_empty() {
        let relative: &[u8] = match file.iter().position(|&byte| byte != b'/') {
            Some(start) => &file[start..],
            None => b".",
        };
        if relative.len() < file.len() {
            job.error_line("getfattr: Removing leading '/' from absolute path names");
        }
        job.print([b"# file: ", relative, b"\n", &lines[..], b"\n"].concat());
    }
    status
}

/// Whether a name matches: of regular expressions only what is needed, a text and `^` before it.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    if matches!(pattern, b"-" | b"." | b"") {
        return true;
    }
    let (is_start, text) = match pattern {
        [b'^', text @ ..] => (true, text),
        text => (false, text),
    };
    let text: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'\\').collect();
    match is_start {
        true => name.starts_with(&text),
        false => name.windows(text.len().max(1)).any(|window| window == text),
    }
}

/// A value as getfattr prints it: as text where that can be read, else in base64.
fn encoded(value: &[u8]) -> Vec<u8> {
    let odd = value
        .iter()
        .filter(|byte| !byte.is_ascii_graphic() && **byte != b' ')
        .count();
    // attr's `well_enough_printable`: few odd bytes are shown by their numbers.
    let ends_in_zero = value.last() == Some(&0);
    let odd = odd - usize::from(ends_in_zero && odd > 0);
    if odd * 8 >= value.len().max(1) {
        return [b"0s", base64::encode(value).as_bytes()].concat();
    }
    let mut text = b"\"".to_vec();
    for &byte in value {
        match byte {
            b'\\' => text.extend(b"\\\\"),
            b'"' => text.extend(b"\\\""),
            0 | b'\n' | b'\r' => text.extend(format!("\\{byte:03o}").bytes()),
            byte => text.push(byte),
        }
    }
    text.push(b'"');
    text
}
