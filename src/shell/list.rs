//! ls.

use super::busybox;
use super::inside::Kind;
use super::job::{Job, join, q};
use super::mode;
use super::names::{group_name, user_name};
use super::option::{Args, Command, Run, flag};
use super::time::listed;
use crate::overlay::mount::{Errno, FileType, Stat};

pub(super) const LS: Command = Command {
    name: "ls",
    usage: "[OPTION]... [FILE]...",
    about: "List what is in directories, one name a line.",
    options: &[
        flag('a', "all", "show names that begin with a dot"),
        flag('A', "almost-all", "the same without . and .."),
        flag(
            'd',
            "directory",
            "show directories themselves, not what is in them",
        ),
        flag(
            'F',
            "classify",
            "mark types: / directory, @ link, * program, | pipe, = socket",
        ),
        flag('h', "human-readable", "sizes as 1.5K"),
        flag('i', "inode", "show inode numbers"),
        flag('l', "", "show type, permissions, names, owner, group, size, time"),
        flag(
            'n',
            "numeric-uid-gid",
            "like -l, with numbers for owner and group",
        ),
        flag('r', "reverse", "the other way round"),
        flag('R', "recursive", "go into directories"),
        flag('S', "", "largest first"),
        flag('t', "", "newest first"),
        flag('U', "", "in the order of the directory"),
        flag('1', "", "one name a line, as always here"),
    ],
    run: Run::Parsed(ls),
    misuse: 2,
};

/// The size of a block on most file systems, in bytes.
const BLOCK: u64 = 4096;

/// How long the target of a link can be before it needs a block, as on ext4.
const SHORT_TARGET: u64 = 60;

/// How many bytes something takes on a disk: whole blocks, as on ext4. System calls of an overlay tell what the
/// file system below them says, and there is none below a simulated one.
pub(super) fn taken(stat: &Stat) -> u64 {
    match stat.file_type {
        FileType::Directory => BLOCK,
        FileType::Symlink if stat.size < SHORT_TARGET => 0,
        FileType::Symlink => BLOCK,
        FileType::File => stat.size.div_ceil(BLOCK) * BLOCK,
        _ => 0,
    }
}

/// The size that is shown: a directory's is that of one block.
pub(super) fn size(stat: &Stat) -> u64 {
    match stat.file_type {
        FileType::Directory => BLOCK,
        _ => stat.size,
    }
}

/// A size as `1.5K`, rounded up (gnulib, human_readable).
pub(super) fn human(bytes: u64) -> String {
    if bytes < 1024 {
        return bytes.to_string();
    }
    let mut unit = 1024_u128;
    for letter in "KMGTPE".chars() {
        let tenths = (u128::from(bytes) * 10).div_ceil(unit);
        if tenths < 100 {
            return format!("{}.{}{letter}", tenths / 10, tenths % 10);
        }
        let whole = u128::from(bytes).div_ceil(unit);
        if whole < 1024 {
            return format!("{whole}{letter}");
        }
        unit *= 1024;
    }
    bytes.to_string()
}

struct Entry {
    name: Vec<u8>,
    path: Vec<u8>,
    stat: Option<Stat>,
}

struct List<'a> {
    args: &'a Args,
    is_long: bool,
    needs_stat: bool,
    sort: Option<char>,
    status: u8,
}

fn ls(job: &mut Job<'_>, args: Args) -> u8 {
    let is_long = args.has('l') || args.has('n');
    let sort = args.last_of("StU");
    let needs_stat =
        is_long || args.has('i') || args.has('R') || args.has('F') || matches!(sort, Some('S' | 't'));
    let mut list = List {
        args: &args,
        is_long,
        needs_stat,
        sort,
        status: 0,
    };
    let mut operands = args.operands.clone();
    if operands.is_empty() {
        operands.push(b".".to_vec());
    }
    let has_headers = operands.len() > 1 || args.has('R');
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    for name in operands {
        match list.operand(job, &name) {
            Ok(stat) => {
                let is_directory = stat.file_type == FileType::Directory && !args.has('d');
                let into = if is_directory {
                    &mut directories
                } else {
                    &mut files
                };
                into.push(Entry {
                    path: name.clone(),
                    name,
                    stat: Some(stat),
                });
            }
            Err(errno) => {
                job.complain_of(&format!("cannot access {}", q(&name)), errno);
                list.status = 2;
            }
        }
    }
    list.sort(&mut files);
    list.sort(&mut directories);
    list.print(job, &files);
    let mut is_first = files.is_empty();
    let mut pending: Vec<(Vec<u8>, bool)> = directories
        .into_iter()
        .rev()
        .map(|entry| (entry.path, true))
        .collect();
    while let Some((path, is_operand)) = pending.pop() {
        let header = if has_headers {
            Some((&path[..], is_first))
        } else {
            None
        };
        let Some(entries) = list.directory(job, &path, header, is_operand) else {
            continue;
        };
        is_first = false;
        if args.has('R') {
            let inner = entries.iter().rev().filter(|entry| {
                let is_directory = entry
                    .stat
                    .as_ref()
                    .is_some_and(|stat| stat.file_type == FileType::Directory);
                is_directory && entry.name != b"." && entry.name != b".."
            });
            pending.extend(inner.map(|entry| (entry.path.clone(), false)));
        }
    }
    // BusyBox knows one way to fail.
    match job.kind() {
        Some(Kind::Busybox) => list.status.min(1),
        _ => list.status,
    }
}

impl List<'_> {
    /// What an operand is: a link to a directory is that directory, unless the link itself is asked for.
    fn operand(&self, job: &mut Job<'_>, name: &[u8]) -> Result<Stat, Errno> {
        if !self.is_long && !self.args.has('d') && !self.args.has('F') {
            match job.stat(name, true) {
                Ok(stat) if stat.file_type != FileType::Directory => {}
                Err(Errno::ENOENT) => {}
                followed => return followed,
            }
        }
        job.stat(name, false)
    }

    fn directory(
        &mut self,
        job: &mut Job<'_>,
        path: &[u8],
        header: Option<(&[u8], bool)>,
        is_operand: bool,
    ) -> Option<Vec<Entry>> {
        let names = match job.names(path) {
            Ok(names) => names,
            Err(errno) => {
                job.complain_of(&format!("cannot open directory {}", q(path)), errno);
                self.status = self.status.max(if is_operand { 2 } else { 1 });
                return None;
            }
        };
        if let Some((path, is_first)) = header {
            job.print(if is_first { "" } else { "\n" });
            job.print([path, b":\n"].concat());
        }
        let dots: &[&[u8]] = if self.args.last_of("aA") == Some('a') {
            &[b".", b".."]
        } else {
            &[]
        };
        let has_hidden = self.args.has('a') || self.args.has('A');
        let all = dots.iter().copied().chain(names.iter().map(|name| &name[..]));
        let mut entries = Vec::new();
        for name in all.filter(|name| has_hidden || !name.starts_with(b".")) {
            let inner = join(path, name);
            let stat = match self.needs_stat.then(|| job.stat(&inner, false)) {
                None => None,
                Some(Ok(stat)) => Some(stat),
                Some(Err(errno)) => {
                    job.complain_of(&format!("cannot access {}", q(&inner)), errno);
                    self.status = self.status.max(1);
                    None
                }
            };
            entries.push(Entry {
                name: name.to_vec(),
                path: inner,
                stat,
            });
        }
        self.sort(&mut entries);
        if self.is_long {
            let total: u64 = entries
                .iter()
                .filter_map(|entry| entry.stat.as_ref())
                .map(taken)
                .sum();
            let total = match self.args.has('h') {
                true => human(total),
                false => (total / 1024).to_string(),
            };
            job.print(format!("total {total}\n"));
        }
        self.print(job, &entries);
        Some(entries)
    }

    fn sort(&self, entries: &mut [Entry]) {
        let stat = |entry: &Entry| entry.stat.as_ref().map(|stat| (stat.mtime, size(stat)));
        match self.sort {
            Some('U') => return,
            Some('t') => entries.sort_by(|a, b| {
                let by_time = stat(b).map(|s| s.0).cmp(&stat(a).map(|s| s.0));
                by_time.then_with(|| a.name.cmp(&b.name))
            }),
            Some(_) => entries.sort_by(|a, b| {
                let by_size = stat(b).map(|s| s.1).cmp(&stat(a).map(|s| s.1));
                by_size.then_with(|| a.name.cmp(&b.name))
            }),
            None => entries.sort_by(|a, b| a.name.cmp(&b.name)),
        }
        if self.args.has('r') {
            entries.reverse();
        }
    }

    fn print(&self, job: &mut Job<'_>, entries: &[Entry]) {
        let rows: Vec<Vec<String>> = entries.iter().map(|entry| self.columns(job, entry)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
        // A device's two numbers share the column of the sizes.
        if let [.., size, major, minor, _] = &mut widths[..]
            && *minor > 0
        {
            *size = (*size).max(*major + 2 + *minor);
        }
        for (entry, row) in entries.iter().zip(&rows) {
            let mut line = String::new();
            if self.args.has('i') {
                line += &format!("{:>1$} ", row[0], widths[0]);
            }
            if self.is_long
                && job.kind() == Some(Kind::Busybox)
                && let Some(stat) = &entry.stat
            {
                line += &busybox::long_line(job, stat, self.args.has('n'), self.args.has('h'));
            } else if self.is_long {
                line += &long_columns(&row[1..], &widths[1..]);
            }
            let mut line = line.into_bytes();
            line.extend_from_slice(&entry.name);
            line.extend(self.suffix(job, entry));
            line.push(b'\n');
            job.print(line);
        }
    }

    /// Number, permissions, names, owner, group, size, a device's two numbers, time.
    fn columns(&self, job: &mut Job<'_>, entry: &Entry) -> Vec<String> {
        let Some(stat) = &entry.stat else {
            return ["?", "??????????", "?", "?", "?", "?", "", "", "           ?"]
                .map(str::to_owned)
                .to_vec();
        };
        let mut row = vec![stat.ino.to_string()];
        if !self.is_long {
            row.resize(9, String::new());
            return row;
        }
        let is_numeric = self.args.has('n');
        let name = |found: Option<Vec<u8>>, number: u32| match found {
            Some(name) if !is_numeric => String::from_utf8_lossy(&name).into_owned(),
            _ => number.to_string(),
        };
        let user = if is_numeric {
            None
        } else {
            user_name(job, stat.uid)
        };
        let group = if is_numeric {
            None
        } else {
            group_name(job, stat.gid)
        };
        row.push(mode::text(stat.file_type, stat.mode));
        row.push(stat.nlink.to_string());
        row.push(name(user, stat.uid));
        row.push(name(group, stat.gid));
        match stat.device {
            Some(device) => row.extend([String::new(), device.major.to_string(), device.minor.to_string()]),
            None => {
                let size = size(stat);
                let size = if self.args.has('h') {
                    human(size)
                } else {
                    size.to_string()
                };
                row.extend([size, String::new(), String::new()]);
            }
        }
        row.push(listed(stat.mtime, job.caller.now));
        row
    }

    fn suffix(&self, job: &mut Job<'_>, entry: &Entry) -> Vec<u8> {
        let Some(stat) = &entry.stat else {
            return Vec::new();
        };
        if self.is_long && stat.file_type == FileType::Symlink {
            let target = job.target(&entry.path).unwrap_or_default();
            let mark = match self.args.has('F').then(|| job.stat(&entry.path, true)) {
                Some(Ok(stat)) => mark(&stat),
                _ => "",
            };
            return [b" -> ", &target[..], mark.as_bytes()].concat();
        }
        match self.args.has('F') {
            true => mark(stat).as_bytes().to_vec(),
            false => Vec::new(),
        }
    }
}

fn mark(stat: &Stat) -> &'static str {
    match stat.file_type {
        FileType::Directory => "/",
        FileType::Symlink => "@",
        FileType::Fifo => "|",
        FileType::Socket => "=",
        FileType::File if stat.mode & 0o111 != 0 => "*",
        _ => "",
    }
}

fn long_columns(row: &[String], widths: &[usize]) -> String {
    let size = match row[5].is_empty() {
        true => format!("{:>1$}", row[4], widths[4]),
        false => {
            let major = widths[4] - 2 - widths[6];
            format!("{:>major$}, {:>minor$}", row[5], row[6], minor = widths[6])
        }
    };
    format!(
        "{} {:>nlink$} {:user$} {:group$} {size} {} ",
        row[0],
        row[1],
        row[2],
        row[3],
        row[7],
        nlink = widths[1],
        user = widths[2],
        group = widths[3]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        // ls -lh of sparse files of these sizes.
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1025, "1.1K"),
            (10_239, "10K"),
            (10_241, "11K"),
            (1_047_553, "1.0M"),
            (u64::MAX, "16E"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }
}
