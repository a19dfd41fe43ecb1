//! What is unpacked is what others unpack.

use handroll::native::{LayerBlob, PlaceError, Powers, UnpackError, unpack};

use super::rig::containerd::Containerd;
use super::rig::{everything, handroll, json, ok};
use super::runtimes::Runtimes;
use super::*;

const BASE: &str = r"
    dir etc
    file etc/passwd content=root mode=0600 mtime=1234.123456789
    file etc/shadow content=secret mode=0000 uid=0 gid=42
    dir home uid=1000 gid=1000 mode=0700 mtime=5
    file home/mine content=mine uid=1000 gid=1000 xattr.user.color=blue
    link home/same -> home/mine uid=1000 gid=1000
    file home/high content=h uid=4000000 gid=3000000
    dir bin
    file bin/su content=program mode=4755
    file bin/ping content=ping mode=0755 xattr.security.capability=\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00
    dir dev
    char dev/null 1:3 mode=0666
    link dev/zilch -> dev/null mode=0666
    block dev/loop 7:1 mode=0660 gid=6
    fifo dev/pipe mode=0620
    dir tmp mode=1777
    dir gone
    file gone/deep content=x
    dir veiled mode=0750 uid=3
    file veiled/old content=old
    dir both
    file both/below content=below
    file both/replaced content=old
    file becomes-directory content=file
    dir becomes-file
    file becomes-file/inner content=inner
    symlink link -> etc/passwd mtime=77.5
    symlink dangling -> /nowhere
    file sparse content=data sparse=1.0
";

const DELTA: &str = r"
    file .wh.gone
    dir veiled mode=0700 uid=4 xattr.user.kind=new
    file veiled/.wh..wh..opq
    file veiled/new content=new
    dir both
    file both/replaced content=new mode=0640 mtime=99.000000001
    link both/also -> both/replaced mode=0640 mtime=99.000000001
    file both/.wh.below
    dir becomes-directory
    file becomes-directory/inner content=inner
    file becomes-file content=file
    file home/added content=added
    file dev/.wh.pipe
";

#[test]
fn umoci_and_containerd_make_the_same_of_it() {
    let room = Room::new(&[BASE, DELTA]);
    let lines = |layer: &str| layer.lines().skip(1).map(|line| line.trim().to_owned()).collect();
    let case = Case {
        layers: vec![lines(BASE), lines(DELTA)],
        ..Case::default()
    };
    let [overlayfs, _, umoci] = Runtimes::start().read(&[case]).pop().unwrap();
    let started = now();
    let report = json(room.unpack().arg("--json"));
    assert_eq!(report["layers"], 2);
    assert_eq!(report["left_out"]["devices"].as_array().map(Vec::len), Some(0));
    let mut ours = shown(&room.target, started);
    assert!(ours.len() > 25, "{}", ours.len());
    for found in [overlayfs, umoci] {
        let Found::Shown(theirs) = found else {
            panic!("{found:?}")
        };
        // The root is nobody's entry, and umoci sets back the times of directories that got entries later.
        for path in [".", "home", "dev"] {
            ours.insert(path.to_owned(), theirs[path].clone());
        }
        assert_eq!(differences(&ours, &theirs), [""; 0]);
    }
}

#[test]
fn everything_that_a_layer_can_hold() {
    let space = support::tmpfs();
    let dir = space.path();
    everything(dir);
    let image = dir.join("image.tar");
    let name = "docker.io/library/everything:latest";
    let layer = |name: &str| dir.join(name);
    ok(handroll()
        .args([
            "build", "--owner", "keep", "--mtime", "keep", "--xattrs", "--name", name,
        ])
        .arg("--layer")
        .arg(layer("base"))
        .arg("--layer")
        .arg(layer("delta"))
        .args(["--whiteout", "/gone", "--opaque", "/replaced"])
        .arg("-o")
        .arg(&image));
    let started = now();
    let target = dir.join("target");
    ok(handroll().arg("unpack").arg(&image).arg(&target));
    let mut ours = shown(&target, started);
    let root = ours.remove(".").unwrap();
    assert!(root.starts_with('/'), "{root}");
    let layout = rig::judges::layout(dir, &image);
    let mut theirs = shown(&rig::judges::umoci_unpacks(dir, &layout), started);
    theirs.remove(".");
    assert_eq!(differences(&ours, &theirs), [""; 0]);
    let containerd = Containerd::start_in(support::tmpfs());
    containerd.import(&image);
    let mut theirs = containerd.mounted(name, |root| shown(root, started));
    theirs.remove(".");
    assert_eq!(differences(&ours, &theirs), [""; 0]);
    assert!(ours.len() > 100, "{}", ours.len());
}

/// What containerd's native snapshotter makes of it, but for what only its copies change: the times of directories, and
/// links of what is no regular file.
fn without_copies(lines: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let change = |line: String| {
        let is_plain = line.starts_with('\'') || line.starts_with('[') || line.is_empty();
        match line.rsplit_once(" =").or_else(|| line.rsplit_once("[=")) {
            Some((before, _)) if !is_plain && !line.starts_with('/') => before.to_owned(),
            _ => line.trim_end_matches(']').to_owned(),
        }
    };
    lines
        .into_iter()
        .map(|(path, line)| (path, change(line)))
        .collect()
}

/// The cases that readers read differently, and random ones: a directory has what the dialect says of containerd's
/// native snapshotter, which `dialects.rs` compares with the real one.
#[test]
fn stacks_are_unpacked_as_the_dialect_says() {
    let seed = support::random::seed();
    let count = std::env::var("HANDROLL_PAIRS").map_or(200, |text| text.parse().expect("a number"));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialects/cases.txt");
    let mut cases = cases::parse(&fs::read_to_string(file).unwrap());
    cases.extend((0..count).map(|number| generate::case(seed.wrapping_add(number))));
    let space = support::tmpfs();
    let started = now();
    let powers = Powers {
        userxattr: false,
        is_confined: false,
    };
    let (mut refused, mut unexpected) = (0, String::new());
    for (number, case) in cases.iter().enumerate() {
        let target = space.path().join(number.to_string());
        let layers: Vec<Content> = case.tars().into_iter().map(Content::inline).collect();
        let blob = |tar: &Content| LayerBlob {
            diff_id: None,
            blob: tar.clone(),
        };
        let blobs: Vec<LayerBlob> = layers.iter().map(blob).collect();
        let ours = unpack(&blobs, &target, powers, &mut |_, _| {});
        let is_explained = case.differs.iter().any(|(who, _)| who == "native");
        let text = match (apply(Dialect::ContainerdNative, layers).result, ours) {
            (Ok(fs), Ok(_)) => {
                let said = without_copies(cases::describe(&fs, false));
                let found = without_copies(without_times(&target, started));
                differences(&found, &said).join("\n")
            }
            (Err(failure), Err(UnpackError::Layer(PlaceError::Entry { why, .. }))) => {
                refused += 1;
                match failure.why == why {
                    true => String::new(),
                    false => format!("we say {why}, the dialect {}", failure.why),
                }
            }
            (said, found) => format!("we: {found:?}, the dialect: {}", said.is_ok()),
        };
        if !text.is_empty() && !is_explained {
            unexpected += &format!("HANDROLL_SEED={seed}, {}:\n{text}\n", case.text());
        }
        let _ = fs::remove_dir_all(&target);
        let left: Vec<_> = fs::read_dir(space.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
    println!("{} stacks, {refused} of which are refused", cases.len());
    assert!(unexpected.is_empty(), "\n{unexpected}");
}

/// What shows, but for the times of directories.
fn without_times(root: &Path, started: SystemTime) -> BTreeMap<String, String> {
    let is_time = |fact: &str| fact == "now" || fact.starts_with('@');
    let change = |line: String| match line.strip_prefix("/[").and_then(|rest| rest.strip_suffix(']')) {
        None => line,
        Some(facts) => {
            let facts: Vec<&str> = facts.split(' ').filter(|fact| !is_time(fact)).collect();
            match facts.is_empty() {
                true => "/".to_owned(),
                false => format!("/[{}]", facts.join(" ")),
            }
        }
    };
    let lines = shown(root, started).into_iter();
    lines.map(|(path, line)| (path, change(line))).collect()
}

#[test]
fn platforms_and_names_are_chosen_as_elsewhere() {
    let room = Room::new(&["file first"]);
    let case = |name: &str| Case {
        layers: vec![vec![format!("file {name}")]],
        ..Case::default()
    };
    fs::remove_dir_all(&room.image).unwrap();
    runtimes::write_layout(&room.image, &[case("first").tars(), case("second").tars()]);
    rig::fails(
        &mut room.unpack(),
        2,
        "choose an image with --image or --platform",
    );
    ok(room.unpack().args(["--image", "2"]));
    assert!(room.target.join("second").exists());
    // A tar is one layer, whatever its name.
    let tar = room.space.path().join("layer");
    fs::write(&tar, &case("alone").tars()[0]).unwrap();
    let there = room.space.path().join("there");
    ok(handroll().arg("unpack").arg(&tar).arg(&there));
    assert!(there.join("alone").exists());
}
