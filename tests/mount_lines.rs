//! Mounts as text: what the simulator says that containerd and `/proc/self/mountinfo` would show is what they show.
//! Runs as root.

mod rig;
mod support;

use handroll::native::{MountApi, OverlayMount, OverlayOptions, RedirectDir, unshare_mounts};
use handroll::overlay::mount::{Directories, Engine, Options, Redirect, shown_options};
use rig::containerd::Containerd;
use rig::text;
use support::tmpfs;

/// The options of the overlay at `target`, as the kernel shows them, without those of every mount.
fn shown(target: &std::path::Path) -> String {
    let all = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    let here = |line: &&str| line.split(' ').nth(4) == target.to_str();
    let line = all.lines().rfind(here).expect("it is mounted");
    line.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn the_kernel_shows_these_options() {
    unshare_mounts().expect("root may");
    let space = tmpfs();
    let target = space.path().join("target");
    std::fs::create_dir(&target).unwrap();
    for (case, (redirect, userxattr, has_upper, name)) in [
        (Redirect::Follow, false, true, "plain"),
        (Redirect::On, false, true, "plain"),
        (Redirect::NoFollow, false, true, "plain"),
        (Redirect::NoFollow, true, true, "plain"),
        (Redirect::Follow, false, false, "plain"),
        (Redirect::Follow, false, true, "a b:c,d\\e#f\tg"),
    ]
    .into_iter()
    .enumerate()
    {
        let base = space.path().join(format!("{case}"));
        let make = |part: &str| {
            let path = base.join(format!("{name}-{part}"));
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let lowers = [make("2"), make("1")];
        let options = OverlayOptions {
            redirect_dir: match redirect {
                Redirect::On => RedirectDir::On,
                Redirect::NoFollow if !userxattr => RedirectDir::NoFollow,
                _ => RedirectDir::Default,
            },
            userxattr,
            api: MountApi::OptionString,
            ..OverlayOptions::default()
        };
        let mut mount = OverlayMount::new(options).lower(&lowers[0]).lower(&lowers[1]);
        let mut directories = Directories {
            lowers: lowers
                .iter()
                .map(|path| path.to_str().unwrap().as_bytes().to_vec())
                .collect(),
            upper: None,
        };
        if has_upper {
            let (upper, work) = (make("upper"), make("work"));
            mount = mount.upper(&upper, &work);
            let bytes = |path: &std::path::Path| path.to_str().unwrap().as_bytes().to_vec();
            directories.upper = Some((bytes(&upper), bytes(&work)));
        }
        let mounted = mount.mount(&target).unwrap();
        let simulated = Options {
            redirect,
            userxattr,
            user_namespace: false,
        };
        let ours = String::from_utf8(shown_options(&directories, simulated)).unwrap();
        assert_eq!(ours, shown(&target), "case {case}");
        mounted.unmount().unwrap();
    }
}

/// containerd numbers its snapshots: 1 and 2 for the layers, 3 for the container, on a machine without others.
#[test]
fn containerd_mounts_with_these_options() {
    let containerd = Containerd::start();
    let snapshots = |arguments: &[&str]| text(&mut containerd.ctr(&[&["snapshots"], arguments].concat()));
    snapshots(&["prepare", "layer-1"]);
    snapshots(&["commit", "one", "layer-1"]);
    snapshots(&["prepare", "layer-2", "one"]);
    snapshots(&["commit", "two", "layer-2"]);
    snapshots(&["prepare", "container", "two"]);
    let printed = snapshots(&["mounts", "/target", "container"]);
    let (_, theirs) = printed.trim().split_once(" -o ").expect("options");
    let options = Engine::Containerd.option_string(&Engine::Containerd.directories(2), Options::default());
    let ours = String::from_utf8(options).unwrap();
    // It lies elsewhere here than where it is installed.
    let snapshotter = "io.containerd.snapshotter.v1.overlayfs";
    let root = theirs
        .split(['=', ':', ','])
        .find_map(|path| path.split_once(snapshotter));
    let root = root.expect("a path of a snapshot").0;
    assert_eq!(ours.replace("/var/lib/containerd/", root), theirs);
}
