//! Random trees on a tmpfs, made of all that has ever tripped a writer of tars, and the tools that judge.

#![allow(dead_code, reason = "each test takes what it needs")]

#[path = "../../src/random.rs"]
pub mod random;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat,
    lgetxattr, linkat, llistxattr, lsetxattr, makedev, mkdirat, mknodat, openat, statfs, symlinkat,
    utimensat,
};
use tempfile::TempDir;

use random::Random;

/// A directory on a tmpfs: ext4 would clamp times. Panics if there is none, or without root, since devices,
/// owners and xattrs of `trusted.` need that.
pub fn tmpfs() -> TempDir {
    let uid = std::fs::metadata("/proc/self").expect("/proc is mounted").uid();
    assert_eq!(uid, 0, "this test makes devices and sets owners: run it as root");
    let base = std::env::var_os("HANDROLL_TMPFS").unwrap_or_else(|| "/dev/shm".into());
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    let found = statfs(Path::new(&base)).expect("the tmpfs is there").f_type;
    assert_eq!(
        found as u64,
        TMPFS_MAGIC,
        "{} is not a tmpfs: name one in HANDROLL_TMPFS",
        base.display()
    );
    TempDir::with_prefix_in("handroll-", base).expect("the tmpfs can be written")
}

/// What may be in a tree.
#[derive(Clone, Copy)]
pub struct Wishes {
    /// xattrs, ACLs, and fractions of seconds.
    pub extended: bool,
    /// Whiteouts and opaque marks, spelled as they will be written at this time.
    pub marks_at: Option<i64>,
    /// Paths longer than the kernel takes at once, which only tools with handles of directories can read.
    pub endless_paths: bool,
    /// Times that some tools cannot set, and sockets.
    pub odd: bool,
}

/// Makes random trees.
pub struct Maker {
    pub random: Random,
    wishes: Wishes,
}

/// A directory that is being filled.
struct Place {
    fd: OwnedFd,
    /// How long its path is, `./` and a slash at the end included.
    path_length: usize,
    names: Vec<Vec<u8>>,
}

/// How long a path is that gets no more endless directories. A layer's reader takes 16 KiB, and the thirty that a tree can
/// have besides are at most half of that.
const LONGEST_PATH: usize = 8 << 10;

/// Names that sort otherwise than one might think, or need quoting somewhere.
const NAMES: &[&[u8]] = &[
    b"a",
    b"a.b",
    b"a-b",
    b"a b",
    b"a!",
    b"aa",
    b"A",
    b"b",
    b"z",
    b"bin",
    b"etc",
    b"-x",
    b"--help",
    b"@file",
    b"*",
    b" ",
    b"\n",
    b"a\nb",
    b"\t",
    b"'",
    b"\"",
    b"\\",
    b"\\n",
    b"a\\",
    b"\x7f",
    b"\x01",
    b"\xff",
    b"a\xff\xfe",
    b"\xc3",
    "\u{e9}".as_bytes(),
    "\u{65e5}\u{672c}".as_bytes(),
    b"...",
    b".hidden",
    b"PaxHeaders",
    b"@LongLink",
    b"x=y",
    b"50%",
    b"..a",
    b"~",
    b"#",
    b".whatever",
    b".wg",
    b".wi",
];

impl Maker {
    pub fn new(seed: u64, wishes: Wishes) -> Self {
        Self {
            random: Random::new(seed),
            wishes,
        }
    }

    /// Fills an existing directory.
    pub fn fill(&mut self, root: &Path) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, root, flags, Mode::empty()).unwrap();
        let mut places = vec![Place {
            fd,
            path_length: 2,
            names: Vec::new(),
        }];
        // Where hard links can point to: place and name.
        let mut files: Vec<(usize, Vec<u8>)> = Vec::new();
        for _ in 0..self.random.below(30) {
            let at = match self.random.once_in(3) {
                true => places.len() - 1,
                false => self.random.below(places.len()),
            };
            let name = self.name(&places[at]);
            if places[at].names.contains(&name) {
                continue;
            }
            places[at].names.push(name.clone());
            match self.random.below(16) {
                0..5 => places.push(self.directory(&places[at], &name)),
                5..7 if !files.is_empty() => {
                    let (from, old) = &files[self.random.below(files.len())];
                    let (from, to) = (&places[*from].fd, &places[at].fd);
                    linkat(from, &old[..], to, &name[..], AtFlags::empty()).unwrap();
                }
                _ => {
                    self.file(&places[at], &name);
                    files.push((at, name));
                }
            }
        }
        if let Some(time) = self.wishes.marks_at {
            self.marks(&mut places, time);
        }
        // Directories last: what is made in them changes their times. Children come after their parents.
        for place in places.iter().rev() {
            self.times(&place.fd, b".");
        }
    }

    fn name(&mut self, place: &Place) -> Vec<u8> {
        let filled = |random: &mut Random, length: usize| vec![b'a' + random.below(3) as u8; length];
        match self.random.below(12) {
            0 => filled(&mut self.random, 255),
            1 | 2 => {
                // As many bytes as make the whole path about as long as the field for it.
                let whole = 98 + self.random.below(5);
                let length = whole.saturating_sub(place.path_length).clamp(1, 255);
                filled(&mut self.random, length)
            }
            3 => {
                let length = 1 + self.random.below(12);
                let mut byte = || match self.random.next() as u8 {
                    0 | b'/' => b'_',
                    byte => byte,
                };
                let mut name: Vec<u8> = (0..length).map(|_| byte()).collect();
                if name.iter().all(|&byte| byte == b'.') || name.starts_with(b".wh.") {
                    name = b"dots".to_vec();
                }
                name
            }
            _ => self.random.pick(NAMES).to_vec(),
        }
    }

    fn directory(&mut self, place: &Place, name: &[u8]) -> Place {
        mkdirat(&place.fd, name, Mode::from(0o700)).unwrap();
        self.attributes(&place.fd, name, FileType::Directory);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut inner = Place {
            fd: openat(&place.fd, name, flags, Mode::empty()).unwrap(),
            path_length: place.path_length + name.len() + 1,
            names: Vec::new(),
        };
        if self.random.once_in(20) {
            let most = if self.wishes.endless_paths { 24 } else { 3 };
            for _ in 0..1 + self.random.below(most) {
                let name = vec![b'd'; 200 + self.random.below(56)];
                // With what else can be put into it, no path becomes longer than a layer's reader takes.
                if inner.path_length > LONGEST_PATH {
                    break;
                }
                mkdirat(&inner.fd, &name[..], Mode::from(0o755)).unwrap();
                self.times(&inner.fd, &name);
                inner.fd = openat(&inner.fd, &name[..], flags, Mode::empty()).unwrap();
                inner.path_length += name.len() + 1;
            }
        }
        inner
    }

    fn file(&mut self, place: &Place, name: &[u8]) {
        let fd = &place.fd;
        let make = |kind, device| mknodat(fd, name, kind, Mode::from(0o600), device).unwrap();
        let kind = match self.random.below(12) {
            0 => FileType::CharacterDevice,
            1 => FileType::BlockDevice,
            2 => FileType::Fifo,
            3 if self.wishes.odd => FileType::Socket,
            4..6 => FileType::Symlink,
            _ => FileType::RegularFile,
        };
        match kind {
            FileType::CharacterDevice => {
                // 0:0 would be a whiteout.
                make(
                    kind,
                    makedev(
                        1 + self.random.below(4095) as u32,
                        self.random.below(1 << 20) as u32,
                    ),
                );
            }
            FileType::BlockDevice => make(
                kind,
                makedev(self.random.below(4096) as u32, self.random.below(300) as u32),
            ),
            FileType::Symlink => symlinkat(&self.target()[..], fd, name).unwrap(),
            FileType::RegularFile => self.content(place, name),
            kind => make(kind, 0),
        }
        self.attributes(fd, name, kind);
    }

    fn target(&mut self) -> Vec<u8> {
        match self.random.below(6) {
            0 => vec![b't'; 99 + self.random.below(3)],
            1 => vec![b't'; 1 + self.random.below(3000)],
            2 => self
                .random
                .pick(&[&b"x/"[..], b"..//a", b"/", b".", b"/etc/passwd"])
                .to_vec(),
            _ => self.random.pick(NAMES).to_vec(),
        }
    }

    fn content(&mut self, place: &Place, name: &[u8]) {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file: File = openat(&place.fd, name, flags, Mode::from(0o600)).unwrap().into();
        let length = match self.random.below(8) {
            0 => 511,
            1 => 512,
            2 => 513,
            3 => 1024,
            4 => self.random.below(40_000),
            5 => self.random.below(600),
            _ => 0,
        };
        if self.random.once_in(10) {
            // A hole, which is written in full.
            file.set_len(length as u64).unwrap();
            return;
        }
        let bytes: Vec<u8> = (0..length).map(|_| self.random.next() as u8).collect();
        file.write_all(&bytes).unwrap();
    }

    fn attributes(&mut self, fd: &OwnedFd, name: &[u8], kind: FileType) {
        let ids = [0, 1, 1000, 65_534, 2_097_151, 2_097_152, 4_294_967_294];
        let mut id = || {
            ids[if self.random.once_in(3) {
                self.random.below(ids.len())
            } else {
                0
            }]
        };
        let (uid, gid) = (Uid::from_raw(id()), Gid::from_raw(id()));
        chownat(fd, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).unwrap();
        if self.wishes.extended && self.random.once_in(3) {
            self.xattrs(fd, name, kind);
        }
        // After the owner, whose change takes setuid away, and the ACL, which is the group's bits.
        if kind != FileType::Symlink {
            let mode = match self.random.below(3) {
                0 => self.random.below(0o10000) as u32,
                1 => 0o644,
                _ => 0o755,
            };
            chmodat(fd, name, Mode::from(mode), AtFlags::empty()).unwrap();
        }
        self.times(fd, name);
    }

    fn xattrs(&mut self, fd: &OwnedFd, name: &[u8], kind: FileType) {
        let path = [format!("/proc/self/fd/{}/", fd.as_raw_fd()).as_bytes(), name].concat();
        let set = |xattr: &[u8], value: &[u8]| lsetxattr(&path, xattr, value, XattrFlags::empty()).unwrap();
        for _ in 0..1 + self.random.below(4) {
            let length = [0, 1, 5, 100, 2000][self.random.below(5)];
            let mut value: Vec<u8> = (0..length).map(|_| self.random.next() as u8).collect();
            if self.random.once_in(3) {
                value = b"\n22 linkpath=/etc/evil\n".to_vec();
            }
            let label = self.random.pick(&[
                &b"a"[..],
                b"b",
                b"z",
                b"B",
                b"with=equals",
                b"50%",
                b"%3D",
                b"\xc3\xa9",
                b"a b",
            ]);
            match kind {
                FileType::RegularFile | FileType::Directory => set(&[b"user.", label].concat(), &value),
                _ => set(&[b"trusted.", label].concat(), &value),
            }
        }
        match kind {
            FileType::RegularFile if self.random.once_in(3) => set(
                b"security.capability",
                b"\x01\0\0\x02\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            ),
            FileType::Directory if self.random.once_in(3) => set(b"system.posix_acl_default", ACL),
            _ => {}
        }
        if kind != FileType::Symlink && self.random.once_in(4) {
            set(b"system.posix_acl_access", ACL);
        }
    }

    fn times(&mut self, fd: &OwnedFd, name: &[u8]) {
        let odd = self.wishes.odd;
        let seconds = match self.random.below(8) {
            0 if odd => -(self.random.below(3) as i64),
            1 if odd => -(self.random.below(1 << 33) as i64),
            2 if odd => (1 << 33) - 2 + self.random.below(4) as i64,
            3 if odd => (1 << 33) + self.random.below(1 << 40) as i64,
            4 => self.random.below(3) as i64,
            _ => 1_700_000_000 + self.random.below(1 << 20) as i64,
        };
        let nanos = match self.random.below(4) {
            0 if self.wishes.extended => self.random.below(1_000_000_000) as i64,
            1 if self.wishes.extended => 500_000_000,
            _ => 0,
        };
        set_time(fd, name, seconds, nanos);
    }

    /// Whiteouts in the one spelling that is written, and opaque marks.
    fn marks(&mut self, places: &mut [Place], time: i64) {
        for place in places {
            for _ in 0..self.random.below(3) {
                let hidden = self.random.pick(NAMES);
                if !place.names.iter().any(|name| name == hidden) {
                    mark(place, hidden, time);
                    place.names.push(hidden.to_vec());
                }
            }
            if self.random.once_in(4) {
                mark(place, b".wh..opq", time);
            }
        }
    }
}

fn mark(place: &Place, hidden: &[u8], time: i64) {
    let name = [b".wh.", hidden].concat();
    mknodat(&place.fd, &name[..], FileType::RegularFile, Mode::from(0o644), 0).unwrap();
    chmodat(&place.fd, &name[..], Mode::from(0o644), AtFlags::empty()).unwrap();
    set_time(&place.fd, &name, time, 0);
}

pub fn set_time(fd: impl std::os::fd::AsFd, name: &[u8], seconds: i64, nanos: i64) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanos,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(fd, name, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// `user::rwx,user:7:rwx,group::r-x,mask::rwx,other::r-x` as the kernel keeps it.
const ACL: &[u8] = b"\x02\0\0\0\
    \x01\0\x07\0\xff\xff\xff\xff\
    \x02\0\x07\0\x07\0\0\0\
    \x04\0\x05\0\xff\xff\xff\xff\
    \x10\0\x07\0\xff\xff\xff\xff\
    \x20\0\x05\0\xff\xff\xff\xff";

/// The options of the three comparisons.
pub const GNU: &[&str] = &["--format=gnu", "--sort=name", "--numeric-owner"];
pub const POSIX: &[&str] = &[
    "--format=posix",
    "--pax-option=delete=atime,delete=ctime",
    "--xattrs",
    "--xattrs-include=*",
    "--sort=name",
    "--numeric-owner",
];

/// What GNU tar prints for a directory. Its language is English and its time zone UTC.
pub fn gnu_tar(directory: &Path, options: &[&str]) -> Vec<u8> {
    let mut command = Command::new("tar");
    command
        .arg("-C")
        .arg(directory)
        .args(options)
        .args(["-cf", "-", "."]);
    output(command.env("LC_ALL", "C").env("TZ", "UTC"), b"")
}

/// What GNU tar prints for a directory whose names it is handed, in this order.
pub fn gnu_tar_of_names(directory: &Path, options: &[&str], names: &[u8]) -> Vec<u8> {
    let mut command = Command::new("tar");
    command.arg("-C").arg(directory).args(options);
    command.args([
        "--no-recursion",
        "--null",
        "--verbatim-files-from",
        "-T",
        "-",
        "-cf",
        "-",
    ]);
    output(command.env("LC_ALL", "C").env("TZ", "UTC"), names)
}

/// Runs a program that must succeed.
pub fn output(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    });
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The names of a directory in the order of a layer: `--sort=name`, but the opaque mark first. NUL after each.
pub fn names(root: &Path) -> Vec<u8> {
    let mut out = b".\0".to_vec();
    names_in(root, b"./", &mut out);
    out
}

fn names_in(directory: &Path, prefix: &[u8], out: &mut Vec<u8>) {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    entries.sort_by_key(|name| (name.as_bytes() != b".wh..wh..opq", name.clone()));
    for name in entries {
        let path: PathBuf = directory.join(&name);
        out.extend_from_slice(prefix);
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        if path.symlink_metadata().unwrap().is_dir() {
            names_in(&path, &[prefix, name.as_bytes(), b"/"].concat(), out);
        }
    }
}

/// All xattrs of a file; links are not followed.
pub fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut buffer = vec![0; 65_536];
    let length = llistxattr(path, &mut buffer[..]).unwrap();
    let names: Vec<Vec<u8>> = buffer[..length]
        .split(|&byte| byte == 0)
        .map(<[u8]>::to_vec)
        .collect();
    let read = |name: Vec<u8>| {
        let mut value = vec![0; 65_536];
        let length = lgetxattr(path, &name[..], &mut value[..]).unwrap();
        (name, value[..length].to_vec())
    };
    names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(read)
        .collect()
}
