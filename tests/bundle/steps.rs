//! The steps by which a container starts are those that runc takes: its system calls as strace(1) sees them, what it
//! leaves in the upper directory, and what is mounted in the container.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

use handroll::native::{DiskOptions, RootView, read_dir};
use handroll::overlay::mount::{Attributes, Caller, Detail, Lower, Options, Overlay, Upper};
use handroll::runtime::{
    Arguments, Machine, Manner, MountPoint, Request, SeenRoot, Step, StepRule, SystemCall, convert, steps,
};
use handroll::tree::Time;

use super::article::without_places;
use super::rig::containerd::Containerd;
use super::rig::text;
use super::*;

/// What this machine's kernel shows.
fn machine() -> Machine {
    let request = Request::new(Manner::Containerd);
    let spec = convert(&Default::default(), &with_command(request, &["x"]), &Nothing).unwrap();
    let paths = spec.linux.masked_paths.iter().chain(&spec.linux.readonly_paths);
    let found = |path: &&'static str| Some(((*path).to_owned(), fs::metadata(path).ok()?.is_dir()));
    Machine {
        paths: paths.filter_map(found).collect(),
    }
}

struct Nothing;

impl handroll::image::root::Root for Nothing {
    fn lookup(&self, _: &[u8]) -> Option<handroll::image::root::RootEntry> {
        None
    }
}

fn with_command(request: Request, command: &[&str]) -> Request {
    Request {
        arguments: Arguments::All(command.iter().map(|&text| text.to_owned()).collect()),
        ..request
    }
}

/// How the root file system is mounted, as far as the kernel's own words go.
fn root_mount() -> MountPoint {
    MountPoint {
        root: "/".to_owned(),
        target: "/".to_owned(),
        options: "rw,relatime".to_owned(),
        kind: "overlay".to_owned(),
        source: "overlay".to_owned(),
        super_options: "rw,lowerdir=a:b,upperdir=/upper,workdir=/work".to_owned(),
    }
}

/// The steps for a root file system that lies there, with the request that they are for.
fn steps_of(image: &Path, root: &Path, request: &Request) -> Vec<Step> {
    let view = RootView::open(root).unwrap();
    let spec = convert(&config_of(image), request, &view).unwrap();
    steps(&spec, &view, &root_mount(), &machine()).unwrap()
}

/// Images whose directories are in runc's way, or are not there: layers, and options of `build`.
fn images(room: &Room) -> Vec<(PathBuf, Request)> {
    room.article(&[]);
    let script = "umask 022; mkdir -p in/linked/dev in/proc in/sys in/srv/app; chmod 700 in/linked/dev; chmod 711 in/sys
        ln -s linked/dev in/dev; ln -s /moved/later/run in/run; mkdir none";
    ok(program("sh").args(["-ec", script]).current_dir(room.space.path()));
    let plain = Request::new(Manner::Specification);
    let mut images = Vec::new();
    for (number, (layer, options)) in [
        ("none", &[][..]),
        ("none", &["--working-dir", "/made/by/runc"]),
        ("in", &["--working-dir", "/srv/app"]),
        ("in", &["--working-dir", "/run/inside"]),
    ]
    .into_iter()
    .enumerate()
    {
        let image = room.path(&format!("{number}.tar"));
        room.build(&image, "steps", &["base", layer], options);
        let read_only = number == 2;
        images.push((
            image,
            Request {
                read_only,
                ..plain.clone()
            },
        ));
    }
    images
}

/// A line of strace, in the form of ours; none for what we do not tell of.
fn told(line: &str, descriptors: &mut BTreeMap<String, String>, rootfs: &str) -> Option<String> {
    let call = line.split_once(' ')?.1.trim_start();
    let (call, result) = call.rsplit_once(" = ")?;
    let (name, arguments) = call.trim_end().split_once('(')?;
    let arguments = arguments.trim_end_matches(')').replace(rootfs, "rootfs");
    let texts: Vec<String> = quoted(&arguments);
    let path = |number: usize| {
        let path = texts.get(number).cloned().unwrap_or_default();
        descriptors.get(&path).cloned().unwrap_or(path)
    };
    if name == "openat" && arguments.contains("O_PATH") {
        descriptors.insert(format!("/proc/self/fd/{result}"), path(0));
        return None;
    }
    if result.starts_with('-') {
        return None;
    }
    let after = |text: &str| arguments.split_once(text).map_or("", |(_, rest)| rest).to_owned();
    Some(match name {
        "mount" => {
            let rest = arguments.splitn(3, ", ").nth(2)?.to_owned();
            let (kind, rest) = rest.split_once(", ")?;
            // What is no type is an address of no meaning.
            let kind = if kind.starts_with('"') { kind } else { "NULL" };
            let (flags, data) = rest.split_once(", ")?;
            format!("mount({:?}, {:?}, {kind}, {flags}, {data})", path(0), path(1))
        }
        "mkdirat" => format!("mkdir({:?}, {})", path(0), after("\", ")),
        "mknodat" => {
            let device = after("makedev(").replace([')', '('], "");
            let numbers: Vec<u32> = device.split(", ").filter_map(number).collect();
            format!(
                "mknod({:?}, S_IFCHR|0666, makedev({}, {}))",
                path(0),
                numbers[0],
                numbers[1]
            )
        }
        "symlinkat" => format!("symlink({:?}, {:?})", path(0), path(1)),
        "fchmodat" => format!("chmod({:?}, {})", path(0), after("\", ").split(", ").next()?),
        "chdir" | "pivot_root" | "umount2" | "setgroups" | "setgid" | "setuid" => {
            format!("{name}({arguments})")
        }
        "setsid" => "setsid()".to_owned(),
        "prctl" if arguments.starts_with("PR_SET_NO_NEW_PRIVS") => "prctl(PR_SET_NO_NEW_PRIVS, 1)".to_owned(),
        "unshare" => {
            let flags = [
                ("CLONE_NEWPID", "pid"),
                ("CLONE_NEWIPC", "ipc"),
                ("CLONE_NEWUTS", "uts"),
                ("CLONE_NEWNS", "mount"),
                ("CLONE_NEWNET", "network"),
            ];
            let names = flags
                .iter()
                .filter(|(flag, _)| arguments.split('|').any(|word| word == *flag));
            format!(
                "unshare({})",
                names.map(|(_, name)| *name).collect::<Vec<_>>().join("|")
            )
        }
        "execve" => format!("execve({}", arguments.split(", 0x").next()?) + ")",
        _ => return None,
    })
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The texts in quotes.
fn quoted(arguments: &str) -> Vec<String> {
    let texts = arguments.split('"').skip(1).step_by(2);
    texts.map(str::to_owned).collect()
}

/// The calls of the process that becomes the container, from the moment when it leaves the host's namespaces.
fn calls_of_runc(log: &str, rootfs: &str) -> Vec<String> {
    let unshare = log.find("unshare(").expect("namespaces are left");
    let begin = log[..unshare].rfind('\n').map_or(0, |at| at + 1);
    let mut descriptors = BTreeMap::new();
    let mut calls: Vec<String> = Vec::new();
    for line in joined(&log[begin..]) {
        if let Some(call) = told(&line, &mut descriptors, rootfs) {
            let is_end = call.starts_with("execve(");
            calls.push(call);
            if is_end {
                break;
            }
        }
    }
    // As root of the user namespace that it is in already: that is told as one with the end.
    let first = calls.iter().position(|call| call.starts_with("mount(")).unwrap();
    let mut number = 0;
    calls.retain(|call| {
        number += 1;
        number > first || !call.starts_with("setuid") && !call.starts_with("setgid")
    });
    calls
}

/// Calls that strace shows in two parts, as one.
fn joined(log: &str) -> Vec<String> {
    let mut waiting: BTreeMap<&str, &str> = BTreeMap::new();
    let mut lines = Vec::new();
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        if let Some(begin) = rest.trim_start().strip_suffix(" <unfinished ...>") {
            waiting.insert(pid, begin);
        } else if let Some((_, end)) = rest.split_once(" resumed>") {
            if let Some(begin) = waiting.remove(pid) {
                lines.push(format!("{pid} {begin}{end}"));
            }
        } else {
            lines.push(line.to_owned());
        }
    }
    lines
}

#[test]
fn they_are_the_calls_that_runc_makes() {
    let room = Room::new();
    let traced = "mount,unshare,setsid,pivot_root,chdir,umount2,mkdirat,mknodat,symlinkat,execve,fchmodat,setgroups,\
                  setgid,setuid,prctl,openat";
    for (number, (image, request)) in images(&room).into_iter().enumerate() {
        let bundle = room.path(&format!("bundle{number}"));
        let mut make = room.handroll("bundle");
        make.arg(&image).arg(&bundle).arg("--unpack");
        if request.read_only {
            make.arg("--read-only");
        }
        ok(make.args(["--", "/bin/ls", "/"]));
        let rootfs = bundle.join("rootfs");
        let expected = steps_of(&image, &rootfs, &with_command(request, &["/bin/ls", "/"]));
        let log = room.path("log");
        ok(program("strace")
            .args(["-f", "-s", "400", "-e", &format!("trace={traced}"), "-o"])
            .arg(&log)
            .args(["runc", "--root"])
            .arg(room.path("runc"))
            .args(["run", "-b"])
            .arg(&bundle)
            .arg(format!("traced{number}-{}", std::process::id())));
        let log = fs::read_to_string(&log).unwrap();
        let theirs = calls_of_runc(&log, rootfs.to_str().unwrap());
        let ours: Vec<String> = expected
            .iter()
            .flat_map(|step| &step.calls)
            .map(SystemCall::to_string)
            .collect();
        assert_eq!(ours.join("\n"), theirs.join("\n"));
        assert!(ours.len() > 40, "{}", ours.len());
    }
}

/// The upper directory of a real container: paths with types, modes and owners.
fn on_disk(root: &Path) -> Vec<String> {
    let found = rig::tree::describe(root);
    let line = |path: &String| {
        let metadata = fs::symlink_metadata(root.join(path)).unwrap();
        assert!(metadata.is_dir(), "{path}");
        format!(
            "/{path} {:o} {}:{}",
            metadata.mode() & 0o7777,
            metadata.uid(),
            metadata.gid()
        )
    };
    let mut lines: Vec<String> = found.keys().map(line).collect();
    lines.sort();
    lines
}

/// The upper directory of a simulated one.
fn simulated(room: &Room, layers: &[&str], steps: &[Step]) -> Vec<String> {
    let options = DiskOptions::pinned(Time::at(1_735_689_600));
    let lower = |layer: &&str| Lower::new(read_dir(&room.path(layer), &options).unwrap().tree);
    let root = Attributes {
        mode: 0o755,
        uid: 0,
        gid: 0,
        atime: Time::at(0),
        mtime: Time::at(0),
        ctime: Time::at(0),
        xattrs: Default::default(),
    };
    let lowers = layers.iter().map(lower).collect();
    let mut overlay =
        Overlay::mount(lowers, Some(Upper::new(root)), Options::default(), Time::at(0)).unwrap();
    let caller = Caller::root(Time::at(1));
    for call in steps.iter().flat_map(|step| &step.upper) {
        overlay.call(caller, call).result.unwrap();
    }
    let rows = overlay.upperdir().unwrap().rows();
    let line = |row: &handroll::overlay::mount::Row| {
        assert!(matches!(row.detail, Detail::Directory));
        let path = String::from_utf8(row.path.clone()).unwrap();
        format!("{path} {:o} {}:{}", row.mode, row.uid, row.gid)
    };
    let mut lines: Vec<String> = rows.iter().filter(|row| row.path != b"/").map(line).collect();
    lines.sort();
    lines
}

#[test]
fn the_upper_directory_is_left_as_runc_leaves_it() {
    let room = Room::new();
    for (number, (image, request)) in images(&room).into_iter().enumerate() {
        let layer = if number < 2 { "none" } else { "in" };
        let bundle = room.path(&format!("bundle{number}"));
        ok(room
            .handroll("bundle")
            .arg(&image)
            .arg(&bundle)
            .args(["--", "/bin/ls", "/"]));
        let upper = room.sessions()[0].join("upper");
        assert!(rig::tree::describe(&upper).is_empty());
        let request = with_command(request, &["/bin/ls", "/"]);
        let expected = steps_of(&image, &bundle.join("rootfs"), &request);
        ok(program("runc")
            .arg("--root")
            .arg(room.path("runc"))
            .args(["run", "-b"])
            .arg(&bundle)
            .arg(format!("upper{number}-{}", std::process::id())));
        let ours = simulated(&room, &["base", layer], &expected);
        assert_eq!(ours, on_disk(&upper), "{number}");
        assert!(!ours.is_empty());
        ok(room.handroll("umount").arg(bundle.join("rootfs")));
    }
    // And as containerd's container leaves it.
    let containerd = Containerd::start_in(support::tmpfs());
    containerd.import(&room.path("image.tar"));
    ok(&mut containerd.ctr(&["run", "docker.io/library/handroll:latest", "left", "/bin/ls", "/"]));
    let mounts = text(&mut containerd.ctr(&["snapshots", "mounts", "/nowhere", "left"]));
    let upper = mounts
        .split(',')
        .find_map(|option| option.strip_prefix("upperdir="))
        .unwrap();
    let request = with_command(Request::new(Manner::Containerd), &["/bin/ls", "/"]);
    let root = room.path("root");
    ok(room.handroll("unpack").arg(room.path("image.tar")).arg(&root));
    let expected = steps_of(&room.path("image.tar"), &root, &request);
    assert_eq!(
        simulated(&room, &["base", "delta"], &expected),
        on_disk(Path::new(upper))
    );
}

#[test]
fn the_mounts_are_those_of_the_container() {
    let room = Room::new();
    for (number, (image, request)) in images(&room).into_iter().enumerate() {
        let root = room.path(&format!("root{number}"));
        ok(room.handroll("unpack").arg(&image).arg(&root));
        let mut run = room.handroll("run");
        run.arg(&image);
        if request.read_only {
            run.arg("--read-only");
        }
        let seen = text(run.args(["--", "/bin/cat", "/proc/1/mountinfo"]));
        let expected = steps_of(&image, &root, &with_command(request.clone(), &["x"]));
        let line = |mount: &MountPoint| {
            let MountPoint {
                root,
                target,
                options,
                kind,
                source,
                super_options,
            } = mount;
            let is_root_read_only = request.read_only && target == "/";
            let options = if is_root_read_only { "ro,relatime" } else { options };
            format!("0 0 0:0 {root} {target} {options} - {kind} {source} {super_options}")
        };
        let mounts = expected.iter().flat_map(|step| &step.mounts);
        let ours = mounts.map(line).collect::<Vec<_>>().join("\n");
        assert_eq!(without_places(&ours), without_places(&seen), "{number}");
    }
}

#[test]
fn what_the_root_is_at_each_moment() {
    let room = Room::new();
    let (image, request) = images(&room).remove(0);
    let root = room.path("root");
    ok(room.handroll("unpack").arg(&image).arg(&root));
    let steps = steps_of(&image, &root, &with_command(request, &["x"]));
    let mut moments: Vec<(SeenRoot, StepRule)> = Vec::new();
    for step in &steps {
        if moments.last().is_none_or(|(root, _)| *root != step.root) {
            moments.push((step.root, step.rule));
        }
    }
    assert_eq!(
        moments,
        [
            (SeenRoot::Host, StepRule::BundleRead),
            (SeenRoot::HostCopy, StepRule::NamespacesLeft),
            (SeenRoot::Stacked, StepRule::RootPivoted),
            (SeenRoot::Container, StepRule::RootDetached),
            (SeenRoot::Host, StepRule::Removed),
        ]
    );
    // The documents repeat the table.
    let page = include_str!("../../docs/runtime.md");
    for rule in StepRule::ALL {
        let sentence = rule.sentence().replace("{text}", "<text>");
        let row = format!("| `{}` | {sentence} | {} |", rule.id(), rule.source());
        assert!(page.contains(&row), "docs/runtime.md must have:\n{row}");
    }
}
