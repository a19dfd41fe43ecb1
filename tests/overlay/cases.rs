//! Random layers and random calls.

use handroll::content::Content;
use handroll::overlay::mount::{
    Call, Caller, Io, NodeType, OnDescriptor, OpenFlags, Options, Overlay, Path, Reply, SetTime, SetXattr,
};
use handroll::tree::{Device, Directory, Metadata, Node, Time, Tree, TreePath};

use super::compare::Way;
use super::random::Random;

/// Layers, calls, and how they are mounted.
#[derive(Clone)]
pub struct Case {
    pub lowers: Vec<Tree>,
    pub upper: Tree,
    pub options: Options,
    pub calls: Vec<(Caller, Call)>,
    /// Whether others than root make calls, too.
    pub has_users: bool,
    /// Whether files stay open.
    pub has_open: bool,
    /// Whether everything is looked at before the first call, which leaves marks in the upper.
    pub looks_first: bool,
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Everything happens at one time: what is compared here is not times.
pub fn caller() -> Caller {
    Caller::root(Time::at(1_700_000_000))
}

/// Who makes the next call.
pub fn any_caller(random: &mut Random, case: &Case) -> Caller {
    let (uid, gid, umask) = match (case.has_users, random.below(6)) {
        (true, 1 | 2) => (1000, 1000, 0o022),
        (true, 3) => (1001, 1000, 0o002),
        (true, 4) => (1001, 1001, 0o077),
        _ => (0, 0, 0o022),
    };
    Caller {
        uid,
        gid,
        umask,
        ..caller()
    }
}

/// What layers are made of.
#[derive(Clone, Copy)]
struct Kind {
    way: Way,
    has_users: bool,
}

pub fn layers(random: &mut Random, way: Way) -> Case {
    let kind = Kind {
        way,
        has_users: !way.is_in_user_namespace() && random.once_in(2),
    };
    let (least, end) = way.layers();
    let lowers = (0..least + random.below(end - least))
        .map(|_| tree(random, kind))
        .collect();
    let upper = match way.has_made_upper() || random.once_in(4) {
        true => tree(random, kind),
        false => Tree::new(root_metadata(random, kind), 0),
    };
    Case {
        lowers,
        upper,
        options: way.options(),
        calls: Vec::new(),
        has_users: kind.has_users,
        has_open: random.once_in(3),
        looks_first: random.once_in(4),
    }
}

fn metadata(random: &mut Random, mode: u16) -> Metadata {
    let time = Time {
        seconds: 1_000_000 + random.below(1000) as i64,
        nanos: random.below(1000) as u32,
    };
    Metadata::new(mode, 0, 0, time)
}

/// Of the root of a layer: mostly one that others can work in.
fn root_metadata(random: &mut Random, kind: Kind) -> Metadata {
    let mode = match kind.has_users {
        true => random.pick(&[0o777, 0o1777, 0o2775, 0o777, 0o755, 0o710]),
        false => 0o755,
    };
    let mut metadata = metadata(random, mode);
    if kind.has_users {
        (metadata.uid, metadata.gid) = owner(random);
    }
    metadata
}

/// One of those who make calls, or somebody else.
fn owner(random: &mut Random) -> (u32, u32) {
    (
        random.pick(&[0, 1000, 1000, 1001, 5]),
        random.pick(&[0, 1000, 1000, 1001, 5]),
    )
}

/// A layer of a few names, three deep.
fn tree(random: &mut Random, kind: Kind) -> Tree {
    let way = kind.way;
    let mut tree = Tree::new(root_metadata(random, kind), 0);
    // A directory that was moved here: its lower part is at `/e`, where this layer has a whiteout. Nothing else
    // leads there, as the kernel has one inode for it only.
    let mut redirect = None;
    let old = TreePath::parse("/e").expect("a path");
    if way.has_redirects() {
        match random.below(3) {
            0 => {
                tree.whiteout(&old).expect("a new name");
                redirect = Some(b"/e".to_vec());
            }
            1 => {
                let attributes = metadata(random, 0o755);
                tree.make(&old, Node::Directory(Directory::default()), attributes)
                    .expect("a new name");
                fill(random, kind, &mut tree, &old, 1, &mut None);
            }
            _ => {}
        }
    }
    fill(random, kind, &mut tree, &TreePath::ROOT, 3, &mut redirect);
    let is_opaque_root = random.once_in(30);
    if is_opaque_root {
        tree.set_opaque(&TreePath::ROOT, true)
            .expect("the root is a directory");
    }
    tree
}

fn fill(
    random: &mut Random,
    kind: Kind,
    tree: &mut Tree,
    at: &TreePath,
    depth: usize,
    redirect: &mut Option<Vec<u8>>,
) {
    let way = kind.way;
    for name in NAMES {
        let path = TreePath::parse(&format!(
            "{}/{name}",
            if at.is_root() {
                String::new()
            } else {
                at.to_string()
            }
        ))
        .expect("a path");
        let mode = random_mode(random, kind.has_users);
        let mut attributes = metadata(random, mode);
        if kind.has_users {
            (attributes.uid, attributes.gid) = owner(random);
        } else if !way.is_in_user_namespace() && random.once_in(3) {
            (attributes.uid, attributes.gid) = (random.below(3) as u32, random.below(3) as u32);
        }
        if random.once_in(8) {
            set_xattr(&mut attributes, b"user.x", b"1");
        }
        if !way.is_in_user_namespace() && random.once_in(8) {
            set_xattr(&mut attributes, b"trusted.t", b"y");
        }
        match random.below(100) {
            0..10 if way == Way::XattrWhiteouts => {
                set_xattr(&mut attributes, b"trusted.overlay.whiteout", b"");
                tree.make(&path, Node::File(Content::inline(*b"")), attributes)
                    .expect("a new name");
            }
            0..28 => {
                let text = [b"x".repeat(random.below(5)), name.as_bytes().to_vec()].concat();
                tree.make(&path, Node::File(Content::inline(text)), attributes)
                    .expect("a new name");
            }
            28..53 => {
                attributes.mode |= match kind.has_users {
                    true => random.pick(&[0, 0, 0, 0o2000, 0o3777]),
                    false => random.pick(&[0, 0, 0, 0, 0, 0, 0, 0o2000]),
                };
                if let (Some(target), true) = (redirect.clone(), random.once_in(4)) {
                    set_xattr(&mut attributes, b"trusted.overlay.redirect", &target);
                    *redirect = None;
                }
                tree.make(&path, Node::Directory(Directory::default()), attributes)
                    .expect("a new name");
                if way == Way::XattrWhiteouts && random.once_in(3) {
                    tree.set_metadata(&path, |metadata| {
                        set_xattr(metadata, b"trusted.overlay.opaque", b"x");
                    })
                    .expect("a directory");
                } else if random.once_in(5) {
                    tree.set_opaque(&path, true).expect("a directory");
                }
                if depth > 1 {
                    fill(random, kind, tree, &path, depth - 1, redirect);
                }
            }
            53..58 => {
                let targets = [&b"a"[..], b"/b", b"../a", b"nowhere", b"c/d", b"."];
                let mut attributes = attributes;
                attributes.mode = 0o777;
                attributes.xattrs = Default::default();
                tree.make(&path, Node::Symlink(random.pick(&targets).into()), attributes)
                    .expect("a new name");
            }
            58..65 => tree.whiteout(&path).expect("a new name"),
            65..67 => {
                attributes.xattrs = Default::default();
                tree.make(&path, Node::Fifo, attributes).expect("a new name");
            }
            67..69 if !way.is_in_user_namespace() => {
                let device = Device { major: 1, minor: 3 };
                attributes.xattrs = Default::default();
                tree.make(&path, Node::CharDevice(device), attributes)
                    .expect("a new name");
            }
            69..72 => {
                let other = TreePath::parse(&format!("/{}", random.pick(&NAMES))).expect("a path");
                // A link to what is not there, or is a directory, is not made: other names will do.
                let _ = tree.link(&path, &other);
            }
            _ => {}
        }
    }
}

fn set_xattr(metadata: &mut Metadata, name: &[u8], value: &[u8]) {
    let xattrs = std::sync::Arc::make_mut(&mut metadata.xattrs);
    xattrs.insert(name.to_vec(), value.to_vec());
}

fn random_mode(random: &mut Random, has_users: bool) -> u16 {
    match has_users && random.once_in(2) {
        true => random.pick(&[
            0o777, 0o666, 0o775, 0o1777, 0o3777, 0o6777, 0o2767, 0o664, 0o571, 0o026,
        ]),
        false => random.pick(&[0o644, 0o600, 0o755, 0o700, 0o4755, 0o2755, 0o1777]),
    }
}

/// A path of up to three names, mostly one that is there.
fn path(random: &mut Random, overlay: &Overlay) -> Path {
    let mut overlay = overlay.clone();
    let mut path = Vec::new();
    let depth = 1 + random.below(3);
    for _ in 0..depth {
        let at = if path.is_empty() { &b"/"[..] } else { &path };
        let list = Call::Readdir { path: at.into() };
        let names = match overlay.call(caller(), &list).result {
            Ok(Reply::Names(names)) => names,
            // Mostly the path ends at what is no directory.
            Err(_) if !random.once_in(8) => break,
            _ => Vec::new(),
        };
        let name = match random.below(10) < 7 && !names.is_empty() {
            true => &names[random.below(names.len())],
            false => random.pick(&NAMES).as_bytes(),
        };
        path = [&path, &b"/"[..], name].concat();
    }
    match random.below(40) {
        0 => path.push(b'/'),
        1 => path.extend_from_slice(b"/."),
        2 => path.extend_from_slice(b"/.."),
        _ => {}
    }
    path.into()
}

/// The next call, for an overlay in this state.
pub fn call(random: &mut Random, overlay: &Overlay, case: &Case) -> Call {
    let follow = !random.once_in(3);
    let target = match last_opened(case).filter(|_| random.once_in(3)) {
        Some(opened) => opened,
        None => path(random, overlay),
    };
    let mode = random_mode(random, case.has_users);
    if case.has_open && random.once_in(3) {
        return match random.below(5) {
            0..3 => on_descriptor(random, mode),
            _ => Call::Open {
                path: target,
                flags: OpenFlags {
                    read: true,
                    write: random.once_in(4),
                    ..OpenFlags::default()
                },
                mode,
                io: Io::Keep(random.below(2) as u8),
            },
        };
    }
    match random.below(100) {
        0..12 => open(random, target, mode),
        12..15 => Call::Truncate {
            path: target,
            length: random.below(6) as i64 - 1,
        },
        15..23 => Call::Mkdir { path: target, mode },
        23..27 => Call::Mknod {
            path: target,
            node: random.pick(&[
                NodeType::File,
                NodeType::Fifo,
                NodeType::Socket,
                NodeType::CharDevice(Device { major: 0, minor: 0 }),
                NodeType::CharDevice(Device { major: 1, minor: 3 }),
                NodeType::BlockDevice(Device { major: 0, minor: 0 }),
            ]),
            mode,
        },
        27..30 => Call::Symlink {
            target: random.pick(&[&b"a"[..], b"/b/c", b"..", b"d/", b"c/../d"]).into(),
            path: target,
        },
        30..36 => Call::Link {
            old: target,
            new: path(random, overlay),
            follow: random.once_in(3),
        },
        36..46 => Call::Unlink { path: target },
        46..54 => Call::Rmdir { path: target },
        54..76 => Call::Rename {
            old: target,
            new: match last_opened(case).filter(|_| random.once_in(4)) {
                Some(opened) => opened,
                None => path(random, overlay),
            },
            flags: random.pick(&[0, 0, 0, 0, 1, 2, 2, 3, 4]),
        },
        76..80 => Call::Chmod { path: target, mode },
        80..83 => {
            let ids: &[Option<u32>] = match (case.options.user_namespace, case.has_users) {
                (true, _) => &[None, Some(0), Some(5)],
                (_, false) => &[None, Some(0), Some(1), Some(5)],
                (_, true) => &[None, None, Some(0), Some(1000), Some(1001)],
            };
            Call::Chown {
                path: target,
                uid: random.pick(ids),
                gid: random.pick(ids),
                follow,
            }
        }
        83..86 => {
            let times = [SetTime::Now, SetTime::Omit, SetTime::At(Time::at(5))];
            Call::Utimes {
                path: target,
                atime: random.pick(&times),
                mtime: random.pick(&times),
                follow,
            }
        }
        86..92 => xattr(random, target, follow),
        92..95 => Call::Readdir { path: target },
        95..98 => Call::Stat { path: target, follow },
        _ if random.once_in(2) => Call::Readlink { path: target },
        _ => Call::Remount { options: None },
    }
}

/// The name of what was opened last to stay open, as it was then.
fn last_opened(case: &Case) -> Option<Path> {
    let mut calls = case.calls.iter().rev();
    calls.find_map(|(_, call)| match call {
        Call::Open {
            path,
            io: Io::Keep(_),
            ..
        } => Some(path.clone()),
        _ => None,
    })
}

/// A call on one of two descriptors.
fn on_descriptor(random: &mut Random, mode: u16) -> Call {
    let what = match random.below(10) {
        0..3 => OnDescriptor::Read,
        3..5 => OnDescriptor::Write(random.below(6) as u64, Content::inline(*b"fd")),
        5 => OnDescriptor::Stat,
        6 => OnDescriptor::Truncate(random.below(6) as i64 - 1),
        7..9 => OnDescriptor::Chmod(mode),
        _ => OnDescriptor::Close,
    };
    Call::Descriptor {
        number: random.below(2) as u8,
        what,
    }
}

fn open(random: &mut Random, path: Path, mode: u16) -> Call {
    let write = !random.once_in(3);
    let flags = OpenFlags {
        read: !write || random.once_in(3),
        write,
        create: random.once_in(2),
        exclusive: random.once_in(6),
        truncate: random.once_in(4),
        append: random.once_in(4),
        directory: random.once_in(12),
        nofollow: random.once_in(8),
    };
    // What O_EXCL does without O_CREAT is undefined (open(2)).
    let exclusive = flags.exclusive && flags.create;
    let io = match (flags.write, random.below(3)) {
        (_, 0) => Io::Nothing,
        (true, _) => Io::Write(random.below(4) as u64, Content::inline(*b"new")),
        (false, _) => Io::Read,
    };
    Call::Open {
        path,
        flags: OpenFlags { exclusive, ..flags },
        mode,
        io,
    }
}

fn xattr(random: &mut Random, path: Path, follow: bool) -> Call {
    let names = [
        &b"user.x"[..],
        b"user.y",
        b"user.",
        b"trusted.t",
        b"trusted.overlay.opaque",
        b"user.overlay.opaque",
        b"security.x",
        b"nonsense",
        b"other.x",
        b"",
    ];
    let name = random.pick(&names).to_vec();
    match random.below(5) {
        0..3 => Call::Setxattr {
            path,
            name,
            value: random.pick(&[&b"y"[..], b"", b"value"]).to_vec(),
            how: random.pick(&[SetXattr::Any, SetXattr::Create, SetXattr::Replace]),
            follow,
        },
        3 => Call::Removexattr { path, name, follow },
        _ if random.once_in(2) => Call::Getxattr { path, name, follow },
        _ => Call::Listxattr { path, follow },
    }
}
