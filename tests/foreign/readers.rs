//! What is in a tar, as four readers see it: ours, GNU tar, Python's tarfile, and Go's archive/tar in umoci.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use handroll::content::Content;
use handroll::digest::Digest;
use handroll::tar::{Ending, Entries, Entry, ReadType, TarError};
use handroll::text::escape;
use serde_json::Value;

type Bytes = Vec<u8>;

/// What one entry is to a reader. Names are without a slash at the end.
#[derive(Clone, PartialEq)]
pub struct Facts {
    pub name: Bytes,
    pub kind: String,
    pub link: Bytes,
    pub mode: u32,
    pub owner: (i64, i64),
    /// In thousandths of a second.
    pub mtime: i64,
    pub device: (u32, u32),
    pub size: u64,
    /// Not known of GNU tar's.
    pub digest: Option<String>,
    /// Not known of GNU tar's.
    pub xattrs: Option<BTreeMap<Bytes, Bytes>>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, link) = (escape(&self.name), escape(&self.link));
        let Self {
            kind,
            mode,
            owner,
            mtime,
            device,
            size,
            ..
        } = self;
        write!(
            f,
            "{kind} `{name}` -> `{link}` {mode:04o} {owner:?} {mtime} {device:?} {size} "
        )?;
        write!(f, "{:?} {:?}", self.digest, self.xattrs)
    }
}

/// What a reader says of a tar: its entries, and whether it complained.
#[derive(Debug, Default)]
pub struct View {
    pub entries: Vec<Facts>,
    pub error: Option<String>,
}

/// Our own view, with all that belongs to it.
pub struct Ours {
    pub entries: Vec<Entry>,
    pub error: Option<TarError>,
    pub ending: Option<Ending>,
}

pub fn ours(tar: &[u8]) -> Ours {
    let mut reader = Entries::new(Content::inline(tar));
    let (mut entries, mut error) = (Vec::new(), None);
    for entry in &mut reader {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(failed) => error = Some(failed),
        }
    }
    let ending = reader.ending().unwrap();
    Ours {
        entries,
        error,
        ending,
    }
}

pub fn without_slash(name: &[u8]) -> Bytes {
    name.strip_suffix(b"/").unwrap_or(name).to_vec()
}

pub fn facts(entry: &Entry) -> Facts {
    let is_link = matches!(entry.entry_type, ReadType::HardLink | ReadType::Symlink);
    let kind = match entry.entry_type {
        ReadType::Other(_) => "Other".to_owned(),
        known => format!("{known:?}"),
    };
    let is_regular = kind == "Regular";
    Facts {
        name: without_slash(&entry.name),
        kind,
        link: if is_link {
            entry.link_name.clone()
        } else {
            Bytes::new()
        },
        mode: entry.mode,
        owner: (entry.uid.into(), entry.gid.into()),
        mtime: entry
            .mtime
            .seconds
            .saturating_mul(1000)
            .saturating_add((entry.mtime.nanos / 1_000_000).into()),
        device: entry.device,
        size: if is_regular { entry.size } else { 0 },
        digest: is_regular.then(|| entry.content.digest().unwrap().hex()),
        xattrs: Some(entry.xattrs.clone()),
    }
}

/// Python's views of some tars.
pub fn python(tars: &[PathBuf]) -> Vec<View> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/read_tars.py");
    let listed = crate::support::output(Command::new("python3").arg(script).args(tars), b"");
    let documents = str::from_utf8(&listed).unwrap().lines();
    documents
        .map(|line| python_view(&serde_json::from_str(line).unwrap()))
        .collect()
}

fn python_view(document: &Value) -> View {
    let hex = |text: &str| -> Bytes {
        let digits = (0..text.len()).step_by(2);
        digits
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    };
    // Python's integers are as long as it takes.
    let number = |value: &Value| value.as_i64().unwrap_or(value.as_f64().unwrap() as i64);
    let entries = document["entries"].as_array().unwrap();
    let entries = entries.iter().map(|entry| {
        let bytes = |key: &str| hex(entry[key].as_str().unwrap());
        let kind = entry["kind"].as_str().unwrap().to_owned();
        let xattrs = entry["xattrs"].as_object().unwrap();
        Facts {
            name: without_slash(&bytes("name")),
            link: bytes("link"),
            mode: number(&entry["mode"]) as u32,
            owner: (number(&entry["uid"]), number(&entry["gid"])),
            mtime: (entry["mtime"].as_f64().unwrap() * 1000.0).round() as i64,
            device: (
                number(&entry["device"][0]) as u32,
                number(&entry["device"][1]) as u32,
            ),
            size: number(&entry["size"]).cast_unsigned(),
            digest: (kind == "Regular").then(|| entry["sha256"].as_str().unwrap().to_owned()),
            xattrs: Some(
                xattrs
                    .iter()
                    .map(|(name, value)| (hex(name), hex(value.as_str().unwrap())))
                    .collect(),
            ),
            kind,
        }
    });
    View {
        entries: entries.collect(),
        error: document["error"].as_str().map(str::to_owned),
    }
}

fn gnu_tar(arguments: &[&str], tar: &Path) -> std::process::Output {
    let mut command = Command::new("tar");
    command
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .args(arguments)
        .arg("-f")
        .arg(tar);
    command.output().expect("GNU tar is here")
}

/// GNU tar's view, from its listing.
pub fn gnu(tar: &Path) -> View {
    let listing = gnu_tar(
        &["-tvP", "--numeric-owner", "--full-time", "--quoting-style=c"],
        tar,
    );
    let lines = listing
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty());
    let error = String::from_utf8_lossy(&listing.stderr).into_owned();
    View {
        entries: lines.map(gnu_line).collect(),
        error: (!listing.status.success()).then_some(error),
    }
}

/// The contents of all regular files, one after another, as GNU tar extracts them.
pub fn gnu_contents(tar: &Path) -> Bytes {
    gnu_tar(&["-xOP"], tar).stdout
}

/// One line, such as `-rw-r--r-- 0/0  7 1970-01-01 00:08:32.5 "a" link to "b"`.
fn gnu_line(line: &[u8]) -> Facts {
    let quote = line
        .iter()
        .position(|&byte| byte == b'"')
        .expect("a name in quotes");
    let words: Vec<&str> = str::from_utf8(&line[..quote])
        .unwrap()
        .split_whitespace()
        .collect();
    // What has no year that it knows is a number of seconds.
    let (permissions, owner, size, mtime) = match words[..] {
        [permissions, owner, size, date, time] => (permissions, owner, size, milliseconds(date, time)),
        [permissions, owner, size, seconds] => (
            permissions,
            owner,
            size,
            seconds.parse::<i64>().unwrap().saturating_mul(1000),
        ),
        _ => panic!("{words:?}"),
    };
    let (name, rest) = unquote(&line[quote..]);
    let link = rest
        .iter()
        .position(|&byte| byte == b'"')
        .map(|at| unquote(&rest[at..]).0);
    let kind = match permissions.as_bytes()[0] {
        b'-' | b'C' => "Regular",
        b'h' => "HardLink",
        b'l' => "Symlink",
        b'c' => "CharDevice",
        b'b' => "BlockDevice",
        b'd' => "Directory",
        b'p' => "Fifo",
        _ => "Other",
    };
    let pair = |text: &str, by: char| -> (i64, i64) {
        let (a, b) = text.split_once(by).unwrap();
        (a.parse().unwrap(), b.parse().unwrap())
    };
    let device = if size.contains(',') {
        pair(size, ',')
    } else {
        (0, 0)
    };
    Facts {
        name: without_slash(&name),
        kind: kind.to_owned(),
        link: link.unwrap_or_default(),
        mode: mode(&permissions.as_bytes()[1..10]),
        owner: pair(owner, '/'),
        mtime,
        device: (device.0 as u32, device.1 as u32),
        size: if kind == "Regular" {
            size.parse().unwrap()
        } else {
            0
        },
        digest: None,
        xattrs: None,
    }
}

fn mode(letters: &[u8]) -> u32 {
    let mut mode = 0;
    for (at, &letter) in letters.iter().enumerate() {
        let bit = 0o400 >> at;
        let special = 0o4000 >> (at / 3);
        mode |= match letter {
            b'-' => 0,
            b's' | b't' => bit | special,
            b'S' | b'T' => special,
            _ => bit,
        };
    }
    mode
}

/// A date and a time in UTC. The days from 1970 are counted by years that begin in March.
fn milliseconds(date: &str, time: &str) -> i64 {
    let (date, sign) = date.strip_prefix('-').map_or((date, 1), |date| (date, -1));
    let mut numbers = date.split('-').map(|text| text.parse::<i64>().unwrap());
    let mut number = || numbers.next().unwrap();
    let (year, month, day) = (sign * number(), number(), number());
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = 365 * year + leaps + (153 * month + 2) / 5 + day - 1 - 719_468;
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let seconds = whole
        .split(':')
        .fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap());
    let thousandths: i64 = format!("{fraction:0<3}")[..3].parse().unwrap();
    (days * 86_400 + seconds) * 1000 + thousandths
}

/// A string in C's quotes, and what stands behind it.
fn unquote(text: &[u8]) -> (Bytes, &[u8]) {
    let (mut out, mut at) = (Bytes::new(), 1);
    while text[at] != b'"' {
        if text[at] != b'\\' {
            out.push(text[at]);
            at += 1;
            continue;
        }
        let plain = b"a\x07b\x08f\x0cn\nr\rt\tv\x0b\\\\\"\"??";
        if let Some(pair) = plain.chunks(2).find(|pair| pair[0] == text[at + 1]) {
            out.push(pair[1]);
            at += 2;
        } else {
            let octal = str::from_utf8(&text[at + 1..at + 4]).unwrap();
            out.push(u8::from_str_radix(octal, 8).unwrap());
            at += 4;
        }
    }
    (out, &text[at + 1..])
}

/// What umoci makes of a tar as the only layer of an image: the files by their paths; or what it said.
pub fn umoci(space: &Path, tar: &Path) -> Result<BTreeMap<Bytes, Facts>, String> {
    let place = tempfile::TempDir::new_in(space).unwrap();
    let tar = tar.to_str().unwrap();
    for arguments in [
        &["init", "--layout", "image"][..],
        &["new", "--image", "image:tag"],
        &["raw", "add-layer", "--image", "image:tag", tar],
        &["unpack", "--image", "image:tag", "bundle"],
    ] {
        let mut command = Command::new("umoci");
        let output = command
            .current_dir(place.path())
            .args(arguments)
            .output()
            .expect("umoci is here");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    let root = place.path().join("bundle/rootfs");
    let mut found = BTreeMap::new();
    walk(&root, &root, &mut found);
    Ok(found)
}

fn walk(root: &Path, directory: &Path, found: &mut BTreeMap<Bytes, Facts>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let facts = on_disk(root, &path);
        if facts.kind == "Directory" {
            walk(root, &path, found);
        }
        found.insert(facts.name.clone(), facts);
    }
}

fn on_disk(root: &Path, path: &Path) -> Facts {
    let status = path.symlink_metadata().unwrap();
    let kind = match status.file_type() {
        kind if kind.is_dir() => "Directory",
        kind if kind.is_symlink() => "Symlink",
        kind if kind.is_char_device() => "CharDevice",
        kind if kind.is_fifo() => "Fifo",
        _ => "Regular",
    };
    let is_regular = kind == "Regular";
    let device = if kind == "CharDevice" { status.rdev() } else { 0 };
    Facts {
        name: path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec(),
        kind: kind.to_owned(),
        link: fs::read_link(path)
            .map(|link| link.into_os_string().into_vec())
            .unwrap_or_default(),
        mode: status.mode() & 0o7777,
        owner: (status.uid().into(), status.gid().into()),
        mtime: status.mtime() * 1000 + status.mtime_nsec() / 1_000_000,
        device: (rustix::fs::major(device), rustix::fs::minor(device)),
        size: if is_regular { status.size() } else { 0 },
        digest: is_regular.then(|| Digest::of(&fs::read(path).unwrap()).hex()),
        xattrs: Some(crate::support::xattrs(path)),
    }
}
