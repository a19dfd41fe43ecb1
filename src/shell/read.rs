//! Commands that read: cat, head, tail, wc, sha256sum, readlink.

use super::inside::Kind;
use super::job::{Job, join, q};
use super::option::{Args, Command, Opt, Run, flag, missing, parse, valued};
use super::quote;
use crate::content::{Content, WINDOW};
use crate::digest::Hasher;
use crate::overlay::mount::{Errno, FileType, Stat};

pub(super) const CAT: Command = Command {
    name: "cat",
    usage: "[FILE]...",
    about: "Print files one after another.",
    options: &[flag('n', "number", "number the lines")],
    run: Run::Parsed(cat),
    misuse: 1,
};

const ENDS: &[Opt] = &[
    valued('n', "lines", "NUM", "so many lines (10)"),
    valued('c', "bytes", "NUM", "so many bytes"),
    flag('q', "quiet", "no file names"),
    flag('v', "verbose", "always file names"),
];

pub(super) const HEAD: Command = Command {
    name: "head",
    usage: "[OPTION]... FILE...",
    about: "Print the beginning of files; with a number like -2 all but the end.",
    options: ENDS,
    run: Run::Raw(head),
    misuse: 1,
};

pub(super) const TAIL: Command = Command {
    name: "tail",
    usage: "[OPTION]... FILE...",
    about: "Print the end of files; with a number like +2 all from there.",
    options: ENDS,
    run: Run::Raw(tail),
    misuse: 1,
};

pub(super) const WC: Command = Command {
    name: "wc",
    usage: "[OPTION]... FILE...",
    about: "Count lines, words and bytes.",
    options: &[
        flag('l', "lines", "lines only"),
        flag('w', "words", "words only"),
        flag('c', "bytes", "bytes only"),
    ],
    run: Run::Parsed(wc),
    misuse: 1,
};

pub(super) const SHA256SUM: Command = Command {
    name: "sha256sum",
    usage: "FILE...",
    about: "Print the SHA-256 digest of files, as the digests of layers are made.",
    options: &[],
    run: Run::Parsed(sha256sum),
    misuse: 1,
};

pub(super) const READLINK: Command = Command {
    name: "readlink",
    usage: "[-fn] FILE...",
    about: "Print where symbolic links lead.",
    options: &[
        flag(
            'f',
            "canonicalize",
            "follow all links, and print the path in the end",
        ),
        flag('n', "no-newline", "no new line at the end"),
    ],
    run: Run::Parsed(readlink),
    misuse: 1,
};

/// The operands, or standard input.
pub(super) fn inputs(args: &Args) -> Vec<Vec<u8>> {
    match args.operands.is_empty() {
        true => vec![b"-".to_vec()],
        false => args.operands.clone(),
    }
}

pub(super) fn input(job: &mut Job<'_>, name: &[u8]) -> Result<Content, Errno> {
    match name {
        b"-" => Ok(job.take_stdin()),
        name => job.content(name),
    }
}

fn cat(job: &mut Job<'_>, args: Args) -> u8 {
    let mut status = 0;
    let mut numbering = Numbering::default();
    let stdout = job.stdout_ino();
    for name in inputs(&args) {
        let shown = quote::if_needed(&name, true);
        let content = match input(job, &name) {
            Ok(content) => content,
            Err(errno) => {
                job.complain_of(&shown, errno);
                status = 1;
                continue;
            }
        };
        if stdout.is_some() && !content.is_empty() && job.stat(&name, true).ok().map(|s| s.ino) == stdout {
            job.complain(&format!("{shown}: input file is output file"));
            status = 1;
            continue;
        }
        let printed = match args.has('n') {
            true => numbering.print(job, &content),
            false => job.print_content(&content),
        };
        if let Err(errno) = printed {
            job.complain_of(&shown, errno);
            status = 1;
        }
    }
    status
}

/// Lines with their numbers, counted over all files.
#[derive(Default)]
struct Numbering {
    line: u64,
    is_inside: bool,
}

impl Numbering {
    fn print(&mut self, job: &mut Job<'_>, content: &Content) -> Result<(), Errno> {
        let mut offset = 0;
        while offset < content.len() && job.has_room() && job.works_on() {
            let window = window_at(content, offset)?;
            offset += window.len() as u64;
            let mut text = Vec::new();
            for line in window.split_inclusive(|&byte| byte == b'\n') {
                if !self.is_inside {
                    self.line += 1;
                    text.extend(format!("{:6}\t", self.line).bytes());
                }
                text.extend_from_slice(line);
                self.is_inside = !line.ends_with(b"\n");
            }
            job.print(text);
        }
        Ok(())
    }
}

/// The bytes of one window.
fn window_at(content: &Content, offset: u64) -> Result<Vec<u8>, Errno> {
    let mut window = vec![0; (content.len() - offset).min(WINDOW as u64) as usize];
    content.read_at(offset, &mut window).map_err(|_| Errno::EIO)?;
    Ok(window)
}

/// How much of a file is printed.
#[derive(Clone, Copy)]
struct Amount {
    count: u64,
    of_lines: bool,
    /// `-n -2` of head, `-n +2` of tail: counted from the other end.
    is_rest: bool,
}

fn head(job: &mut Job<'_>, arguments: &[Vec<u8>]) -> u8 {
    ends(job, arguments, b'-', |job, content, amount| {
        let end = match (amount.of_lines, amount.is_rest) {
            (true, false) => after_lines(job, content, amount.count)?,
            (true, true) => before_last_lines(job, content, amount.count)?,
            (false, false) => amount.count.min(content.len()),
            (false, true) => content.len().saturating_sub(amount.count),
        };
        job.print_content(&content.slice(0, end))
    })
}

fn tail(job: &mut Job<'_>, arguments: &[Vec<u8>]) -> u8 {
    ends(job, arguments, b'+', |job, content, amount| {
        let length = content.len();
        let start = match (amount.of_lines, amount.is_rest) {
            (true, false) => before_last_lines(job, content, amount.count)?,
            (true, true) => after_lines(job, content, amount.count.saturating_sub(1))?,
            (false, false) => length.saturating_sub(amount.count),
            (false, true) => amount.count.saturating_sub(1).min(length),
        };
        job.print_content(&content.slice(start, length - start))
    })
}

/// Where so many lines end, from the beginning.
fn after_lines(job: &mut Job<'_>, content: &Content, count: u64) -> Result<u64, Errno> {
    let (mut seen, mut end) = (0, 0);
    if count == 0 {
        return Ok(0);
    }
    job.read(content, |bytes| {
        for byte in bytes {
            end += 1;
            seen += u64::from(*byte == b'\n');
            if seen == count {
                return false;
            }
        }
        true
    })?;
    Ok(end)
}

/// Where the last so many lines begin: read from the end, window by window. A last line need not end.
fn before_last_lines(job: &mut Job<'_>, content: &Content, count: u64) -> Result<u64, Errno> {
    let length = content.len();
    if count == 0 {
        return Ok(length);
    }
    let mut seen = 0;
    let mut end = length;
    while end > 0 && job.works_on() {
        let size = end.min(WINDOW as u64);
        let window = window_at(&content.slice(end - size, size), 0)?;
        for (position, byte) in window.iter().enumerate().rev() {
            let at = end - size + position as u64;
            if *byte == b'\n' && at + 1 < length {
                seen += 1;
                if seen == count {
                    return Ok(at + 1);
                }
            }
        }
        end -= size;
    }
    Ok(0)
}

fn ends(
    job: &mut Job<'_>,
    arguments: &[Vec<u8>],
    sign: u8,
    print: fn(&mut Job<'_>, &Content, Amount) -> Result<(), Errno>,
) -> u8 {
    // The old form: -5 for -n 5.
    let mut arguments = arguments.to_vec();
    if let Some([b'-', digits @ ..]) = arguments.first().map(Vec::as_slice)
        && !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
    {
        arguments[0] = [b"-n", digits].concat();
    }
    let Ok(args) = parse(job, ENDS, arguments) else {
        return 1;
    };
    let mut amount = Amount {
        count: 10,
        of_lines: true,
        is_rest: false,
    };
    for (option, value) in &args.options {
        let of_lines = match option {
            'n' => true,
            'c' => false,
            _ => continue,
        };
        let is_rest = value.first() == Some(&sign);
        let digits = match value.first() {
            Some(b'-' | b'+') if is_rest || value[0] != sign => &value[1..],
            _ => value,
        };
        let Some(count) = super::create::parse_size(digits) else {
            let what = if of_lines { "lines" } else { "bytes" };
            job.complain(&format!("invalid number of {what}: {}", quote::word(value)));
            return 1;
        };
        amount = Amount {
            count,
            of_lines,
            is_rest,
        };
    }
    let names = inputs(&args);
    let has_headers = match args.last_of("qv") {
        Some('q') => false,
        Some(_) => true,
        None => names.len() > 1,
    };
    let (mut status, mut is_first) = (0, true);
    let mut opened = 0;
    for name in names {
        let is_directory = job.is_directory(&name);
        let content = match input(job, &name) {
            Err(errno) if !is_directory => {
                job.complain_of(&format!("cannot open {} for reading", q(&name)), errno);
                status = 1;
                continue;
            }
            content => content,
        };
        opened += 1;
        if has_headers {
            let shown: &[u8] = if name == b"-" { b"standard input" } else { &name };
            let gap: &[u8] = if is_first { b"" } else { b"\n" };
            job.print([gap, b"==> ", shown, b" <==\n"].concat());
        }
        is_first = false;
        if let Err(errno) = content.and_then(|content| print(job, &content, amount)) {
            job.complain_of(&format!("error reading {}", q(&name)), errno);
            status = 1;
        }
    }
    if opened == 0 && job.command == "tail" && job.kind() == Some(Kind::Busybox) {
        job.complain("no files");
    }
    status
}

fn wc(job: &mut Job<'_>, args: Args) -> u8 {
    let names = inputs(&args);
    let is_all = args.options.is_empty();
    let shows: Vec<bool> = "lwc".chars().map(|letter| is_all || args.has(letter)).collect();
    let columns = shows.iter().filter(|is_shown| **is_shown).count();
    let stats: Vec<Stat> = names
        .iter()
        .filter_map(|name| job.stat(name, true).ok())
        .collect();
    let mut width = 1;
    if names.len() > 1 || columns > 1 {
        let total: u64 = stats
            .iter()
            .filter(|s| s.file_type == FileType::File)
            .map(|s| s.size)
            .sum();
        let has_other = stats.iter().any(|stat| stat.file_type != FileType::File);
        width = total.to_string().len().max(if has_other { 7 } else { 1 });
    }
    if args.operands.is_empty() && columns > 1 {
        width = 7;
    }
    if job.kind() == Some(Kind::Busybox) {
        width = if names.len() > 1 || columns > 1 { 9 } else { 1 };
    }
    let (mut status, mut totals) = (0, [0; 3]);
    let line = |job: &mut Job<'_>, counts: [u64; 3], name: &[u8]| {
        let shown = counts.iter().zip(&shows).filter(|(_, is_shown)| **is_shown);
        let shown: Vec<String> = shown.map(|(count, _)| format!("{count:width$}")).collect();
        let mut text = shown.join(" ").into_bytes();
        if !name.is_empty() {
            text.push(b' ');
            text.extend_from_slice(name);
        }
        text.push(b'\n');
        job.print(text);
    };
    for name in &names {
        let mut counts = Counts::default();
        let counted = input(job, name).and_then(|content| counts.count(job, &content));
        if let Err(errno) = counted {
            job.complain_of(&quote::if_needed(name, true), errno);
            status = 1;
            if errno != Errno::EISDIR {
                continue;
            }
        }
        let counts = [counts.lines, counts.words, counts.bytes];
        (0..3).for_each(|column| totals[column] += counts[column]);
        line(job, counts, if args.operands.is_empty() { b"" } else { name });
    }
    if names.len() > 1 {
        line(job, totals, b"total");
    }
    status
}

#[derive(Default)]
struct Counts {
    lines: u64,
    words: u64,
    bytes: u64,
    is_in_word: bool,
}

impl Counts {
    fn count(&mut self, job: &mut Job<'_>, content: &Content) -> Result<(), Errno> {
        job.read(content, |bytes| {
            for byte in bytes {
                self.bytes += 1;
                self.lines += u64::from(*byte == b'\n');
                match byte {
                    b' ' | b'\t'..=b'\r' => self.is_in_word = false,
                    byte if byte.is_ascii_graphic() && !self.is_in_word => {
                        self.words += 1;
                        self.is_in_word = true;
                    }
                    _ => {}
                }
            }
            true
        })
    }
}

fn sha256sum(job: &mut Job<'_>, args: Args) -> u8 {
    let mut status = 0;
    for name in inputs(&args) {
        let mut hasher = Hasher::new();
        let hashed = input(job, &name).and_then(|content| {
            job.read(&content, |bytes| {
                hasher.update(bytes);
                true
            })
        });
        if let Err(errno) = hashed {
            job.complain_of(&quote::if_needed(&name, true), errno);
            status = 1;
            continue;
        }
        let mut line = Vec::new();
        if name.iter().any(|byte| b"\\\n\r".contains(byte)) {
            line.push(b'\\');
        }
        line.extend(format!("{}  ", hasher.finish().hex()).bytes());
        for byte in &name {
            match byte {
                b'\\' => line.extend(b"\\\\"),
                b'\n' => line.extend(b"\\n"),
                b'\r' => line.extend(b"\\r"),
                byte => line.push(*byte),
            }
        }
        line.push(b'\n');
        job.print(line);
    }
    status
}

fn readlink(job: &mut Job<'_>, args: Args) -> u8 {
    if args.operands.is_empty() {
        return missing(job, "", None);
    }
    let mut status = 0;
    for name in &args.operands {
        let target = match args.has('f') {
            true => resolved(job, name),
            false => job.target(name),
        };
        match target {
            Err(_) => status = 1,
            Ok(mut target) => {
                if !args.has('n') || args.operands.len() > 1 {
                    target.push(b'\n');
                }
                job.print(target);
            }
        }
    }
    status
}

/// How many links are followed in one path, as the kernel does (MAXSYMLINKS).
const MAX_LINKS: usize = 40;

/// A path without links and dots; its last name need not be there.
pub(super) fn resolved(job: &mut Job<'_>, typed: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut path = b"/".to_vec();
    let split = |path: &[u8]| -> Vec<Vec<u8>> {
        let names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
        names.rev().map(<[u8]>::to_vec).collect()
    };
    if typed.is_empty() {
        return Err(Errno::ENOENT);
    }
    let mut rest = split(&job.path(typed));
    let mut links = 0;
    while let Some(name) = rest.pop() {
        match &name[..] {
            b"." => {}
            b".." => {
                let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                path.truncate(end.max(1));
            }
            _ => {
                let next = join(&path, &name);
                match job.stat(&next, false) {
                    Err(Errno::ENOENT) if rest.is_empty() => path = next,
                    Err(errno) => return Err(errno),
                    Ok(stat) if stat.file_type == FileType::Symlink => {
                        links += 1;
                        if links > MAX_LINKS {
                            return Err(Errno::ELOOP);
                        }
                        let target = job.target(&next)?;
                        if target.starts_with(b"/") {
                            path = b"/".to_vec();
                        }
                        rest.extend(split(&target));
                    }
                    Ok(stat) if stat.file_type != FileType::Directory && !rest.is_empty() => {
                        return Err(Errno::ENOTDIR);
                    }
                    Ok(_) => path = next,
                }
            }
        }
    }
    Ok(path)
}
