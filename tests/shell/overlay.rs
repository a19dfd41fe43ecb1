//! Random lines on the simulated overlay and on the kernel's.

use std::time::UNIX_EPOCH;

use handroll::content::Content;
use handroll::native::{Kernel, unshare_mounts};
use handroll::overlay::mount::{Caller, Lower, Marks, Options, Overlay, Redirect, Row, System, Upper, walk};
use handroll::shell::{MountInfo, Ran, Shell, Stream};
use handroll::tree::{Directory, Metadata, Node, Time, Tree, TreePath};

use super::random::{Random, seed};

/// How many mounts, and lines on each.
const MOUNTS: usize = 400;
const LINES: usize = 20;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

pub fn compare_random() {
    unshare_mounts().expect("root may");
    let base = tempfile::tempdir().expect("a temporary directory");
    let mut random = Random::new(seed());
    let mut fine = 0;
    'mounts: for number in 0..MOUNTS {
        let lowers: Vec<Tree> = (0..1 + random.below(3)).map(|_| tree(&mut random)).collect();
        let options = Options {
            redirect: random.pick(&[Redirect::Follow, Redirect::Follow, Redirect::On]),
            ..Options::default()
        };
        let lines: Vec<String> = (0..LINES).map(|_| line(&mut random)).collect();
        let mut system = Kernel::mount(base.path(), &lowers, Some(&empty()), options)
            .expect("what is mounted here can be mounted there");
        let marks = Marks::of(options);
        let now = caller().now;
        let upper = Upper::from_layer(&empty(), marks, now);
        let trees = lowers.iter().cloned().map(Lower::new).collect();
        let mut overlay = Overlay::mount(trees, Some(upper), options, now).expect("options that go together");
        let (mut here, mut there) = (Shell::new(MountInfo::default()), Shell::new(MountInfo::default()));
        for (position, line) in lines.iter().enumerate() {
            let ours = here.run(&mut overlay, caller(), line.as_bytes());
            let theirs = there.run(&mut system, caller(), line.as_bytes());
            fine += usize::from(ours.status == 0);
            // A copy into itself ends where it meets itself: what was copied before depends on the order of names.
            if is_into_itself(&ours) && is_into_itself(&theirs) {
                continue 'mounts;
            }
            let before = lines[..position].join("\n");
            let shown = format!("mount {number} with {options:?}, after\n{before}\n$ {line}");
            assert_eq!(text(&ours), text(&theirs), "{shown}");
            assert_eq!(here.cwd(), there.cwd(), "{shown}");
        }
        let all = lines.join("\n");
        let rows = |rows: Vec<Row>| -> Vec<String> { rows.iter().map(|row| row.line(marks)).collect() };
        let ours = rows(overlay.upperdir().expect("it has one").rows());
        let theirs = rows(
            system
                .upper_rows()
                .expect("root can read it")
                .into_iter()
                .map(comparable)
                .collect(),
        );
        assert_eq!(ours, theirs, "the upperdir after\n{all}");
        let merged = |system: &mut dyn System| rows(walk(system, caller()));
        assert_eq!(
            merged(&mut overlay),
            merged(&mut system),
            "the merged view after\n{all}"
        );
    }
    let share = fine * 100 / (MOUNTS * LINES);
    assert!(share >= 30, "only {share} of 100 lines did what they should");
}

fn caller() -> Caller {
    let now = UNIX_EPOCH.elapsed().expect("after 1970");
    Caller::root(Time::at(now.as_secs() as i64))
}

fn is_into_itself(ran: &Ran) -> bool {
    String::from_utf8_lossy(&ran.bytes(Stream::Stderr)).contains("into itself")
}

/// Without what the kernel writes of its own accord.
fn comparable(mut row: Row) -> Row {
    row.xattrs.retain(|(name, _)| !name.ends_with(b".overlay.uuid"));
    row
}

/// What was printed; the kernel's order of names is its own affair, so the lines are sorted.
fn text(ran: &Ran) -> (Vec<String>, Vec<String>, u8) {
    let lines = |stream| {
        let bytes = ran.bytes(stream);
        let mut lines: Vec<String> = String::from_utf8_lossy(&bytes)
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    (lines(Stream::Stdout), lines(Stream::Stderr), ran.status)
}

fn metadata(mode: u16) -> Metadata {
    Metadata::new(mode, 0, 0, Time::at(1_000_000))
}

fn empty() -> Tree {
    Tree::new(metadata(0o755), 0)
}

fn tree(random: &mut Random) -> Tree {
    let mut tree = empty();
    fill(random, &mut tree, &TreePath::ROOT, 3);
    tree
}

fn fill(random: &mut Random, tree: &mut Tree, at: &TreePath, depth: usize) {
    for name in NAMES {
        let prefix = if at.is_root() {
            String::new()
        } else {
            at.to_string()
        };
        let path = TreePath::parse(&format!("{prefix}/{name}")).expect("a path");
        let mut make = |node, mode| tree.make(&path, node, metadata(mode)).expect("a new name");
        match random.below(10) {
            0..3 => {
                let text = format!("{name}\n").repeat(random.below(4));
                make(Node::File(Content::inline(text.into_bytes())), 0o644);
            }
            3..6 => {
                make(Node::Directory(Directory::default()), 0o755);
                if random.once_in(6) {
                    tree.set_opaque(&path, true).expect("a directory");
                }
                if depth > 1 {
                    fill(random, tree, &path, depth - 1);
                }
            }
            6 => {
                make(Node::Symlink(random.pick(&NAMES).as_bytes().into()), 0o777);
            }
            7 => tree.whiteout(&path).expect("a new name"),
            _ => {}
        }
    }
}

fn path(random: &mut Random) -> String {
    let names: Vec<&str> = (0..1 + random.below(3)).map(|_| random.pick(&NAMES)).collect();
    match random.below(12) {
        0 => format!("/{}", names.join("/")),
        1 => format!("{}/", names.join("/")),
        2 => "*".to_owned(),
        3 => format!("{}/*", names[0]),
        _ => names.join("/"),
    }
}

fn line(random: &mut Random) -> String {
    let (p, q) = (path(random), path(random));
    let templates = [
        format!("rm -r {p}"),
        format!("rm -rf {p}"),
        format!("rm {p}"),
        format!("rmdir {p}"),
        format!("mkdir {p}"),
        format!("mkdir -p {p}"),
        format!("mv {p} {q}"),
        format!("mv {p} {q}"),
        format!("mv -v {p} {q}"),
        format!("mv -T {p} {q}"),
        format!("cp {p} {q}"),
        format!("cp -r {p} {q}"),
        format!("cp -a {p} {q}"),
        format!("ln {p} {q}"),
        format!("ln -s {p} {q}"),
        format!("ln -sf {p} {q}"),
        format!("ln -f {p} {q}"),
        format!("touch -d @1000 {p}"),
        format!("echo text > {p}"),
        format!("echo more >> {p}"),
        format!("cat {p} > {q}"),
        format!("truncate -s 3 {p}"),
        format!("chmod 700 {p}"),
        format!("chmod -R g+w {p}"),
        format!("chown -R 1:2 {p}"),
        format!("chown 3 {p}"),
        format!("setfattr -n user.x -v 1 {p}"),
        format!("getfattr -d {p}"),
        format!("mknod {p} c 0 0"),
        format!("mknod {p} p"),
        format!("ls -a {p}"),
        format!("ls -RF {p}"),
        format!("cat {p} {q}"),
        format!("wc {p}"),
        format!("sha256sum {p}"),
        format!("stat -c '%n %F %a %u:%g %s %h' {p}"),
        format!("find {p}"),
        format!("find {p} -type f -delete"),
        format!("tree {p}"),
        format!("du -a {p}"),
        format!("readlink -f {p}"),
        format!("cd {p}"),
        "cd /".to_owned(),
        "pwd".to_owned(),
        format!("cd {p} && ls && cd -"),
    ];
    let mut line = templates[random.below(templates.len())].clone();
    if random.once_in(5) {
        line += &format!(" && echo fine || echo {q}");
    }
    line
}
