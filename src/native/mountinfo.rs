//! What is mounted: the lines of `/proc/…/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// A mount of this thread's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MountLine {
    /// Which directory of the file system.
    pub root: PathBuf,
    /// Where.
    pub target: PathBuf,
    /// The type of the file system.
    pub kind: Vec<u8>,
    /// Options of the file system: names and values.
    options: Vec<(Vec<u8>, Vec<u8>)>,
}

/// All mounts, what was mounted first first.
pub(super) fn read() -> io::Result<Vec<MountLine>> {
    read_of(Path::new("/proc/thread-self/mountinfo"))
}

/// Those of a process, in its file.
pub(super) fn read_of(file: &Path) -> io::Result<Vec<MountLine>> {
    let text = std::fs::read(file)?;
    Ok(text.split(|&byte| byte == b'\n').filter_map(parse).collect())
}

/// The mount that is seen at a path.
pub(super) fn at(target: &Path) -> io::Result<Option<MountLine>> {
    let mut lines = read()?.into_iter();
    Ok(lines.rfind(|line| line.target == target))
}

fn parse(line: &[u8]) -> Option<MountLine> {
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let dash = words.iter().position(|word| *word == b"-")?;
    let options = words.get(dash + 3)?.split(|&byte| byte == b',').map(|option| {
        let cut = option.iter().position(|&byte| byte == b'=');
        let (name, value) = option.split_at(cut.unwrap_or(option.len()));
        (name.to_vec(), unescape(value.get(1..).unwrap_or_default()))
    });
    Some(MountLine {
        root: PathBuf::from(OsString::from_vec(unescape(words.get(3)?))),
        target: PathBuf::from(OsString::from_vec(unescape(words.get(4)?))),
        kind: words.get(dash + 1)?.to_vec(),
        options: options.collect(),
    })
}

/// `\040` and the like.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let code = (*first == b'\\').then(|| octal(after)).flatten();
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    bytes
}

/// What overlayfs makes of a path with `\` before some bytes.
fn without_escapes(path: &[u8]) -> Vec<u8> {
    let mut is_escaped = false;
    let mut bytes = path.to_vec();
    bytes.retain(|&byte| {
        is_escaped = byte == b'\\' && !is_escaped;
        !is_escaped
    });
    bytes
}

/// The parts of a list with `:` between them, but for those after a `\`.
fn colon_separated(list: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut is_escaped = false;
    for &byte in list {
        match byte {
            b':' if !is_escaped => parts.push(Vec::new()),
            _ => parts.last_mut().expect("there is one").push(byte),
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    parts
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digits = digits.get(..3)?;
    let text = std::str::from_utf8(digits).ok()?;
    u8::from_str_radix(text, 8).ok()
}

impl MountLine {
    fn value(&self, name: &[u8]) -> Option<&[u8]> {
        let mut options = self.options.iter();
        options.find(|(key, _)| key == name).map(|(_, value)| &value[..])
    }

    /// Whether it is the hierarchy of cgroups with these controllers, as /proc/…/cgroup names them; version 2 has none.
    pub fn has_cgroups(&self, controllers: &str) -> bool {
        let is_set = |controller: &str| {
            let (name, value) = controller.split_once('=').unwrap_or((controller, ""));
            self.value(name.as_bytes()) == Some(value.as_bytes())
        };
        match controllers {
            "" => self.kind == b"cgroup2",
            controllers => self.kind == b"cgroup" && controllers.split(',').all(is_set),
        }
    }

    /// Whether it is an overlay that writes to this directory. Kernels show the path as it was given: escaped, if
    /// it was.
    pub fn has_upper(&self, path: &Path) -> bool {
        let Some(value) = self.value(b"upperdir").filter(|_| self.kind == b"overlay") else {
            return false;
        };
        let path = path.as_os_str().as_bytes();
        value == path || without_escapes(value) == path
    }

    /// Whether it is an overlay that writes somewhere, but was not told where by a path that stays: paths that
    /// were too long for the kernel were given through /proc.
    pub fn has_unknown_upper(&self) -> bool {
        let upper = self.value(b"upperdir");
        self.kind == b"overlay" && upper.is_some_and(|path| path.starts_with(b"/proc/self/fd/"))
    }

    /// The lower directories of an overlay. Where the kernel shows them in one string it shows it as it was given,
    /// with escapes that a path can have as well: then a path is told both ways.
    pub fn lowers(&self) -> Vec<PathBuf> {
        if self.kind != b"overlay" {
            return Vec::new();
        }
        let mut lowers = Vec::new();
        for (name, value) in &self.options {
            let parts = match &name[..] {
                b"lowerdir+" => vec![value.clone()],
                b"lowerdir" => colon_separated(value),
                _ => continue,
            };
            for part in parts {
                lowers.extend(
                    [without_escapes(&part), part].map(|path| PathBuf::from(OsString::from_vec(path))),
                );
            }
        }
        lowers
    }

    /// Whether it is an overlay whose topmost lower directory lies in `place`.
    pub fn is_of(&self, place: &Path) -> bool {
        let lower = self.value(b"lowerdir+").or_else(|| self.value(b"lowerdir"));
        let is_inside = |path: &[u8]| Path::new(OsStr::from_bytes(path)).starts_with(place);
        let is_inside = |path: &[u8]| is_inside(path) || is_inside(&without_escapes(path));
        self.kind == b"overlay" && lower.is_some_and(is_inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        let line = br"36 35 0:42 / /a\040b\134c rw,relatime shared:1 master:2 - overlay overlay rw,lowerdir+=/p/l\0541,lowerdir+=/q,upperdir=/u\012,index=off";
        let line = parse(line).unwrap();
        assert_eq!(line.target, Path::new("/a b\\c"));
        assert!(line.has_upper(Path::new("/u\n")) && !line.has_upper(Path::new("/u")));
        assert!(line.is_of(Path::new("/p")) && !line.is_of(Path::new("/q")));
        assert_eq!(line.value(b"lowerdir+").unwrap(), b"/p/l,1");
        assert_eq!(parse(b"36 35"), None);
        let paths: Vec<PathBuf> = ["/p/l,1", "/p/l,1", "/q", "/q"].map(PathBuf::from).into();
        assert_eq!(line.lowers(), paths);
        let listed = br"36 35 0:42 / /a rw - overlay overlay rw,lowerdir=/a\134:b:/c";
        let listed = parse(listed).unwrap().lowers();
        assert_eq!(listed.len(), 4);
        assert!(listed.contains(&PathBuf::from("/a:b")) && listed.contains(&PathBuf::from("/c")));
        assert_eq!(unescape(br"\04\999\"), br"\04\999\");
        assert_eq!(without_escapes(br"/a\\b\,c\"), br"/a\b,c");
    }
}
