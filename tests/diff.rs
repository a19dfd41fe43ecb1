//! Layers that are made of differences, and of what a container wrote, applied by umoci and by containerd with its
//! overlayfs snapshotter: what shows is the second tree, and what the simulated container saw. Many cases stand in
//! one image, each under a directory of its own.
//!
//! Runs as root, on a tmpfs. `HANDROLL_SEED` repeats a run, `HANDROLL_PAIRS` says how many cases there are.

mod rig;
mod support;
#[path = "../src/layer/dialect/cases.rs"]
mod cases;
#[path = "dialects/runtimes.rs"]
mod runtimes;
#[path = "../src/overlay/diff_cases.rs"]
mod trees;
#[allow(dead_code, reason = "what compares with the kernel is not used here")]
mod overlay {
    pub mod cases;
    pub mod compare;
    pub use crate::support::random;
}

use std::collections::BTreeMap;
use std::fs;

use cases::{Seen, short};
use handroll::content::{Content, ContentError};
use handroll::layer::dialect::{Dialect, Failure, Fs, Kind, Remains, apply};
use handroll::layer::{Walk, write_tar};
use handroll::overlay::Stack;
use handroll::overlay::mount::{
    Call, Detail, LeftOut, Lower, Marks, NodeType, Overlay, Redirect, Reply, Unfit, Upper, walk,
};
use handroll::overlay::script::{Script, Step};
use handroll::text::escape;
use handroll::tree::{Device, Directory, Ino, Metadata, Node, Time, Tree, TreePath};
use overlay::cases::caller;
use overlay::compare::Way;
use rig::{fails, handroll, json, ok, program, text};

use runtimes::{Found, Runtimes};
use support::random::{Random, seed};

/// Paths and what is there.
type Lines = BTreeMap<String, String>;

fn count() -> usize {
    std::env::var("HANDROLL_PAIRS").map_or(400, |text| text.parse().expect("a number"))
}

fn tar(tree: &Tree) -> Vec<u8> {
    let mut tar = Vec::new();
    write_tar::<ContentError>(Walk::new(tree), |bytes| {
        tar.extend_from_slice(bytes);
        Ok(())
    })
    .unwrap();
    tar
}

fn case_name(number: usize) -> String {
    format!("{number:05}")
}

/// Trees side by side in one, each in a directory that has its root's attributes and marks.
fn batch(trees: &[&Tree]) -> Tree {
    let mut all = Tree::new(Metadata::new(0o755, 0, 0, Time::at(0)), 0);
    for (number, tree) in trees.iter().enumerate() {
        let mut copies: BTreeMap<Ino, Ino> = BTreeMap::new();
        let path = TreePath::from_bytes(case_name(number).as_bytes()).unwrap();
        let node = Node::Directory(Directory::default());
        let root = all
            .make(&path, node, tree.inode(Ino::ROOT).metadata.clone())
            .unwrap();
        let mut pending = vec![(Ino::ROOT, root)];
        while let Some((from, to)) = pending.pop() {
            let directory = tree.directory(from).unwrap();
            all.set_opaque_of(to, directory.opaque());
            for name in directory.whiteouts() {
                all.add_whiteout(to, name.clone());
            }
            for (name, ino) in directory.entries() {
                if let Some(copy) = copies.get(ino) {
                    all.add_link(to, name.clone(), *copy);
                    continue;
                }
                let inode = tree.inode(*ino);
                let is_directory = inode.node.as_directory().is_some();
                let node = match is_directory {
                    true => Node::Directory(Directory::default()),
                    false => inode.node.clone(),
                };
                let copy = all.add(to, name.clone(), node, inode.metadata.clone());
                match is_directory {
                    true => pending.push((*ino, copy)),
                    false => drop(copies.insert(*ino, copy)),
                }
            }
        }
    }
    all
}

/// What shows of one case of a batch; its root is `.`.
fn part(lines: &Lines, number: usize) -> Lines {
    let name = case_name(number);
    let below = format!("{name}/");
    let mut part = Lines::new();
    for (path, line) in lines {
        let path = match path.strip_prefix(&below) {
            Some(path) => path,
            None if *path == name => ".",
            None => continue,
        };
        // A name that is listed but not there is not there; which name a link is told by is relative too.
        if line != "?" {
            part.insert(path.to_owned(), line.replace(&format!("={below}"), "="));
        }
    }
    part
}

fn compare(who: &str, number: usize, found: &Lines, expected: &Lines) -> Result<(), String> {
    let paths: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let mut text = String::new();
    for path in paths {
        let (theirs, ours) = (found.get(path), expected.get(path));
        if theirs != ours {
            text += &format!("  {path}: {who} shows {theirs:?}, expected {ours:?}\n");
        }
    }
    match text.is_empty() {
        true => Ok(()),
        false => Err(format!("case {number}:\n{text}")),
    }
}

/// What containerd (overlayfs) and umoci show of one stack of layers.
fn read(runtimes: &Runtimes, layers: &[Tree]) -> [(&'static str, Lines); 2] {
    let tars = layers.iter().map(tar).collect();
    let [overlayfs, _, umoci] = runtimes.read_tars(&[tars]).pop().unwrap();
    [("containerd", overlayfs), ("umoci", umoci)].map(|(who, found)| match found {
        Found::Shown(lines) => (who, lines),
        Found::Failed { text, .. } => panic!("{who}: {text}"),
    })
}

#[test]
fn a_layer_of_differences_makes_the_one_tree_of_the_other() {
    let mut random = Random::new(seed());
    let mut steps: [Vec<Tree>; 3] = Default::default();
    for _ in 0..count() {
        let first = trees::tree(&mut random);
        let second = trees::changed(&mut random, &first);
        let third = match random.once_in(2) {
            true => trees::tree(&mut random),
            false => trees::changed(&mut random, &second),
        };
        for (step, tree) in steps.iter_mut().zip([first, second, third]) {
            step.push(tree);
        }
    }
    let views = steps.map(|trees| batch(&trees.iter().collect::<Vec<_>>()));
    let mut layers = vec![views[0].clone()];
    for pair in views.windows(2) {
        let [before, after] = [&pair[0], &pair[1]].map(|tree| Stack::new(vec![tree]));
        layers.push(before.layer_to(&after, 0));
    }
    let sizes: Vec<u64> = layers.iter().map(|layer| layer.counts().entries).collect();
    println!("{} trees, three times, in layers of {sizes:?} entries", count());
    let runtimes = Runtimes::start();
    for position in 1..3 {
        let expected = trees::describe(&Stack::new(vec![&views[position]]), false);
        for (who, found) in read(&runtimes, &layers[..=position]) {
            for number in 0..count() {
                compare(who, number, &part(&found, number), &part(&expected, number)).unwrap();
            }
        }
    }
}

/// A container: what it stands on, what it did, and what it showed in the end.
struct Container {
    script: Script,
    layer: Tree,
    shown: Lines,
}

/// Layers as everybody reads them, which show the same.
fn portable(trees: &[Tree]) -> Vec<Tree> {
    let view = |count: usize| Stack::new(trees[..count].iter().collect());
    (0..trees.len())
        .map(|at| view(at).layer_to(&view(at + 1), 0))
        .collect()
}

fn container(random: &mut Random) -> Container {
    let options = random
        .pick(&[Way::Default, Way::Default, Way::RedirectOn, Way::Userxattr])
        .options();
    let mut case = overlay::cases::layers(random, Way::Default);
    // The kernel ignores that a root is opaque; everybody else does not.
    case.upper.set_opaque(&TreePath::ROOT, false).unwrap();
    let lowers: Vec<Lower> = portable(&case.lowers).into_iter().map(Lower::new).collect();
    let upper = Upper::from_layer(&case.upper, Marks::of(options), caller().now);
    let mut overlay = Overlay::mount(lowers.clone(), Some(upper), options, caller().now).unwrap();
    let mut steps = Vec::new();
    for number in 0..24 {
        let call = match random.below(40) {
            0 => Call::Mkdir {
                path: (*b"/.wh.a").into(),
                mode: 0o755,
            },
            1 => Call::Mknod {
                path: random
                    .pick(&[&b"/.wh..wh..opq"[..], b"/a/.wh.b", b"/b/.wh..wh..opq"])
                    .into(),
                node: NodeType::File,
                mode: 0o644,
            },
            _ => overlay::cases::call(random, &overlay, &case),
        };
        let caller = overlay::cases::any_caller(random, &case);
        overlay.call(caller, &call);
        steps.push(Step {
            line: number,
            caller,
            call,
        });
    }
    let committed = overlay.commit(0).unwrap();
    let left_out: Vec<_> = committed.left_out.iter().collect();
    let script = Script {
        lowers: portable(&case.lowers),
        upper: Some(case.upper),
        options,
        steps,
    };
    let shown = shown(&mut overlay, &left_out);
    Container {
        script,
        layer: committed.tree,
        shown,
    }
}

/// What the container sees, without what cannot be in a layer: that has to be told, and is nowhere else.
fn shown(overlay: &mut Overlay, left_out: &[&LeftOut]) -> Lines {
    let is_gone = |path: &[u8]| {
        left_out.iter().any(|left| {
            let rest = path.strip_prefix(&left.path[..]);
            let is_at = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
            matches!(left.why, Unfit::Socket | Unfit::Name) && is_at
        })
    };
    let is_told = |why: Unfit| left_out.iter().any(|left| left.why == why);
    let mut firsts: BTreeMap<u64, String> = BTreeMap::new();
    let mut lines = Lines::new();
    let mut rows = walk(overlay, caller());
    rows.sort_by(|a, b| a.path.cmp(&b.path));
    for row in rows {
        let (kind, what) = match &row.detail {
            Detail::Directory => ('d', String::new()),
            Detail::File(content) => ('f', short(content.len(), || content.read_all(1 << 20).unwrap())),
            Detail::Symlink(target) => ('l', escape(target)),
            Detail::CharDevice(device) => ('c', format!("{}:{}", device.major, device.minor)),
            Detail::BlockDevice(device) => ('b', format!("{}:{}", device.major, device.minor)),
            Detail::Fifo => ('p', String::new()),
            Detail::Socket | Detail::Whiteout => ('s', String::new()),
            Detail::Missing(_) => continue,
        };
        if is_gone(&row.path) {
            continue;
        }
        let name = match row.path.strip_prefix(b"/") {
            Some(b"") | None => ".".to_owned(),
            Some(name) => escape(name),
        };
        let mut xattrs = BTreeMap::new();
        for (attribute, value) in row.xattrs {
            let is_mark = [&b"trusted.overlay."[..], b"user.overlay."]
                .iter()
                .any(|prefix| attribute.starts_with(prefix));
            match (is_mark, value.is_empty()) {
                (true, _) => assert!(is_told(Unfit::Mark), "{name}"),
                (_, true) => assert!(is_told(Unfit::EmptyXattr), "{name}"),
                _ => drop(xattrs.insert(attribute, value)),
            }
        }
        let first = match kind {
            'f' | 'l' => {
                let path = row.path.clone().into();
                let stat = overlay.call(caller(), &Call::Stat { path, follow: false });
                let Ok(Reply::Stat(stat)) = stat.result else {
                    panic!("{name} was there a moment ago");
                };
                firsts.entry(stat.ino).or_insert_with(|| name.clone()).clone()
            }
            _ => name.clone(),
        };
        let seen = Seen {
            kind,
            mode: row.mode.into(),
            uid: row.uid,
            gid: row.gid,
            mtime: Some((row.mtime.seconds, row.mtime.nanos)),
            xattrs,
            what,
            same_as: (first != name).then_some(first),
        };
        lines.insert(name, seen.line(escape, true));
    }
    lines
}

/// containerd takes no `trusted.` attributes from a layer (archive/tar_unix.go).
fn without_trusted(lines: &Lines) -> Lines {
    let strip = |line: &String| {
        let line = line.replace(" trusted.t=value", "").replace(" trusted.t=y", "");
        line.replace("[trusted.t=value]", "").replace("[trusted.t=y]", "")
    };
    lines
        .iter()
        .map(|(path, line)| (path.clone(), strip(line)))
        .collect()
}

/// Without which names are one file, of the lines for which that is wanted.
fn without_links(lines: &Lines, is_wanted: impl Fn(&str) -> bool) -> Lines {
    let strip = |line: &String| {
        let at = line.rfind(" =").or(line.rfind("[="));
        match at.filter(|_| is_wanted(line)) {
            None => line.clone(),
            Some(at) if line.as_bytes()[at] == b'[' => line[..at].to_owned(),
            Some(at) => format!("{}]", &line[..at]),
        }
    };
    lines
        .iter()
        .map(|(path, line)| (path.clone(), strip(line)))
        .collect()
}

#[test]
fn what_a_container_wrote_shows_again_as_a_layer() {
    let mut random = Random::new(seed());
    let containers: Vec<Container> = (0..count()).map(|_| container(&mut random)).collect();
    let empty = Tree::new(Metadata::default(), 0);
    let mut layers: Vec<Tree> = (0..3)
        .map(|position| {
            let lower = |container: &&Container| container.script.lowers.get(position).cloned();
            let trees: Vec<Option<Tree>> = containers.iter().map(|it| lower(&it)).collect();
            let trees: Vec<&Tree> = trees.iter().map(|tree| tree.as_ref().unwrap_or(&empty)).collect();
            batch(&trees)
        })
        .collect();
    layers.push(batch(
        &containers
            .iter()
            .map(|container| &container.layer)
            .collect::<Vec<_>>(),
    ));
    let runtimes = Runtimes::start();
    let mut wrong = String::new();
    for (who, found) in read(&runtimes, &layers) {
        for (number, container) in containers.iter().enumerate() {
            let (mut found, mut expected) = (part(&found, number), container.shown.clone());
            if who == "containerd" {
                expected = without_trusted(&expected);
            }
            // A file that a directory took along, and that has a name elsewhere too, becomes two. And the number
            // of a symlink that was copied up without an origin, as `user.` attributes cannot be on it, is told
            // name by name.
            let options = container.script.options;
            let is_unsure =
                |line: &str| options.redirect == Redirect::On || options.userxattr && line.starts_with("->");
            [found, expected] = [&found, &expected].map(|lines| without_links(lines, is_unsure));
            if let Err(text) = compare(who, number, &found, &expected) {
                wrong += &format!("{text}{}\n", container.script);
            }
        }
    }
    let paths: usize = containers.iter().map(|container| container.shown.len()).sum();
    println!("{} containers, {paths} paths", containers.len());
    assert!(paths > 5 * containers.len() && wrong.is_empty(), "{wrong}");
}

/// The command on directories that GNU tar made, with everything that a disk has.
#[test]
fn the_command_compares_directories() {
    let mut random = Random::new(seed());
    let [mut before, mut after] = [Vec::new(), Vec::new()];
    for _ in 0..100 {
        let tree = trees::tree(&mut random);
        after.push(trees::changed(&mut random, &tree));
        before.push(tree);
    }
    let space = support::tmpfs();
    let [before, after] = [("a", before), ("b", after)].map(|(name, trees)| {
        let tree = batch(&trees.iter().collect::<Vec<_>>());
        let at = space.path().join(name);
        fs::create_dir(&at).unwrap();
        fs::write(at.with_extension("tar"), tar(&tree)).unwrap();
        let mut command = program("tar");
        command.args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"]);
        ok(command.arg(at.with_extension("tar")).arg("-C").arg(&at));
        tree
    });
    let diff = |arguments: &[&str]| {
        let mut command = handroll();
        command.arg("diff").args(arguments).current_dir(space.path());
        command.output().unwrap()
    };
    let output = diff(&["a", "b", "-o", "layer.tar"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    // As many lines as the trees have differences, told without a disk.
    let [before_view, after_view] = [&before, &after].map(|tree| Stack::new(vec![tree]));
    let expected = before_view.differences(&after_view, u64::MAX).count();
    assert_eq!(output.stdout.split(|&byte| byte == b'\n').count() - 1, expected);
    let layer = fs::read(space.path().join("layer.tar")).unwrap();
    let shown = Runtimes::start().read_tars(&[vec![tar(&before), layer]]);
    let expected = trees::describe(&after_view, false);
    let [overlayfs, _, umoci] = shown.into_iter().next().unwrap();
    for (who, found) in [("containerd", overlayfs), ("umoci", umoci)] {
        let Found::Shown(found) = found else {
            panic!("{who}: {found:?}")
        };
        for number in 0..100 {
            compare(who, number, &part(&found, number), &part(&expected, number)).unwrap();
        }
    }
    // Packed and unpacked they are the same; a directory and the archive of it are too.
    diff(&["a", "b", "-o", "layer.tar.gz"]);
    let unpacked = ok(program("gzip")
        .args(["-dc", "layer.tar.gz"])
        .current_dir(space.path()))
    .stdout;
    assert_eq!(unpacked, fs::read(space.path().join("layer.tar")).unwrap());
    assert_eq!(diff(&["a", "b", "-o", "-"]).stdout, unpacked);
    assert_eq!(diff(&["b", "b.tar"]).status.code(), Some(0));
    assert_eq!(diff(&["a", "b.tar", "-o", "-"]).stdout, unpacked);
}

/// What is equal makes the empty tar, as GNU tar has it.
#[test]
fn equal_directories_make_an_empty_layer() {
    let space = support::tmpfs();
    rig::article_files(space.path());
    let at = |name: &str| space.path().join(name);
    ok(program("cp").arg("-a").arg(at("base")).arg(at("copy")));
    let printed = text(
        handroll()
            .arg("diff")
            .args([at("base"), at("copy")])
            .arg("-o")
            .arg(at("layer.tar")),
    );
    assert_eq!(printed, "");
    ok(program("tar")
        .arg("-cf")
        .arg(at("empty.tar"))
        .args(["-T", "/dev/null"]));
    assert_eq!(
        fs::read(at("layer.tar")).unwrap(),
        fs::read(at("empty.tar")).unwrap()
    );
    let compared = json(handroll().args(["diff", "--json"]).args([at("base"), at("copy")]));
    assert_eq!(compared, serde_json::json!({"differences": []}));
}

/// An image beside itself without its top layer: that layer's essence.
#[test]
fn two_points_of_an_image() {
    let space = support::tmpfs();
    rig::article_files(space.path());
    let run = |arguments: &[&str]| {
        let mut command = handroll();
        command.args(arguments).current_dir(space.path());
        command
    };
    ok(&mut run(&[
        "build",
        "--name",
        "x",
        "--layer",
        "base/",
        "--layer",
        "delta/",
        "-o",
        "image.tar",
    ]));
    let output = run(&["diff", "image.tar", "image.tar", "--layers-a", "1"])
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        lines,
        "- /data/config.txt\n~ /hello.txt: content (16 → 17 bytes)\n"
    );
    assert_eq!(output.status.code(), Some(1));
    ok(&mut run(&["diff", "image.tar", "image.tar"]));
    let is_wrong = |arguments: &[&str], code: i32, says: &str| fails(&mut run(arguments), code, says);
    is_wrong(
        &["diff", "image.tar", "image.tar", "--layers-b", "3"],
        2,
        "the image has 2",
    );
    is_wrong(
        &["diff", "base", "image.tar", "--layers-a", "1"],
        2,
        "directory of files",
    );
    is_wrong(&["diff", "-", "-"], 2, "standard input");
    is_wrong(
        &["diff", "base", "delta", "-o", "base/"],
        2,
        "this is a directory",
    );
    is_wrong(&["diff", "base", "delta", "-o", "-", "--json"], 2, "-o -");
    is_wrong(&["diff", "base", "none.tar"], 3, "none.tar");
}
