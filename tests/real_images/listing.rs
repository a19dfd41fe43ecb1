//! What `tar -tvvv` prints of a tar, line for line, made from the entries as handroll reads them.

use std::io::Write as _;
use std::path::Path;

use handroll::content::Content;
use handroll::tar::{Entries, Entry, ReadType};
use handroll::text::escape;

use super::rig::program;

/// GNU tar's list of a tar of `size` bytes, which may be packed by gzip or zstd: modes, numeric owners, sizes, full
/// times, names and targets as bytes, and the extended attributes of every entry.
pub fn by_gnu_tar(file: &Path, size: u64) -> Vec<u8> {
    let mut command = program("tar");
    command.args(["--numeric-owner", "--full-time", "--quoting-style=literal"]);
    command.args(["--xattrs", "--xattrs-include=*", "-tvvvf"]);
    let output = command.arg(file).output().expect("GNU tar runs");
    // umoci leaves out the padding at the very end; then GNU tar lists all the same, and complains.
    let said = String::from_utf8_lossy(&output.stderr);
    let is_cut = !size.is_multiple_of(512) && said.contains("Unexpected EOF in archive");
    assert!(output.status.success() || is_cut, "{said}");
    output.stdout
}

/// The same list of the entries that handroll reads.
pub fn by_handroll(tar: &Content) -> Vec<u8> {
    let mut columns = Columns { owner: 19, time: 19 };
    let mut out = Vec::new();
    for entry in Entries::new(tar.clone()) {
        columns.line(&entry.unwrap(), &mut out);
    }
    out
}

/// Panics with the first line that differs.
pub fn assert_same(ours: &[u8], theirs: &[u8]) {
    let lines = |text: &[u8]| text.split(|&byte| byte == b'\n').map(escape).collect::<Vec<_>>();
    if ours != theirs {
        let (ours, theirs) = (lines(ours), lines(theirs));
        let differ = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
        panic!(
            "GNU tar lists {} lines, handroll {}: {differ:?}",
            theirs.len(),
            ours.len()
        );
    }
}

/// How wide GNU tar's columns are: they grow from line to line.
struct Columns {
    owner: usize,
    time: usize,
}

impl Columns {
    fn line(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        let (uid, gid) = (entry.uid.to_string(), entry.gid.to_string());
        let size = match entry.entry_type {
            ReadType::CharDevice | ReadType::BlockDevice => format!("{},{}", entry.device.0, entry.device.1),
            _ => entry.size.to_string(),
        };
        let owner = uid.len() + gid.len() + size.len() + 2;
        self.owner = self.owner.max(owner);
        let width = self.owner - owner + size.len();
        let time = time(entry);
        self.time = self.time.max(time.len());
        let mark = if entry.xattrs.is_empty() { ' ' } else { '*' };
        let (mode, columns) = (mode(entry), self.time);
        write!(out, "{mode}{mark} {uid}/{gid} {size:>width$} {time:<columns$} ").unwrap();
        out.extend(&entry.name);
        match entry.entry_type {
            ReadType::Symlink => out.extend([b" -> ", &entry.link_name[..]].concat()),
            ReadType::HardLink => out.extend([b" link to ", &entry.link_name[..]].concat()),
            _ => {}
        }
        out.push(b'\n');
        for (name, value) in &entry.xattrs {
            writeln!(out, "  x: {} {}", value.len(), String::from_utf8_lossy(name)).unwrap();
        }
    }
}

fn mode(entry: &Entry) -> String {
    let kind = match entry.entry_type {
        ReadType::Regular => '-',
        ReadType::HardLink => 'h',
        ReadType::Symlink => 'l',
        ReadType::CharDevice => 'c',
        ReadType::BlockDevice => 'b',
        ReadType::Directory => 'd',
        ReadType::Fifo => 'p',
        ReadType::Other(flag) => panic!("no real tool writes the type {flag}"),
    };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = entry.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (entry.mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// The time of an entry in UTC, with what there is of a fraction.
fn time(entry: &Entry) -> String {
    let seconds = entry.mtime.seconds;
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let time = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    match entry.mtime.nanos {
        0 => time,
        nanos => format!("{time}.{nanos:09}").trim_end_matches('0').to_owned(),
    }
}

/// Year, month and day of a day counted from 1970, by counting years and months.
fn date(mut day: i64) -> (i64, usize, i64) {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while day < 0 {
        year -= 1;
        day += 365 + i64::from(is_leap(year));
    }
    while day >= 365 + i64::from(is_leap(year)) {
        day -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + i64::from(is_leap(year));
    let mut month = 0;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        month += 1;
        if day < length {
            break;
        }
        day -= length;
    }
    (year, month, day + 1)
}
