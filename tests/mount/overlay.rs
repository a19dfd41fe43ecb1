//! The kernel's overlayfs by every interface that it has, from the library.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};

use handroll::native::{MAX_LOWERS, MountApi, MountError, OverlayMount, OverlayOptions, RedirectDir};

use super::{directory, mount_line, space};

/// Directories `0`, `1`, … under `at`, of which each holds a file of its name, and one `top` with its name in it.
fn lowers(at: &Path, count: usize) -> Vec<PathBuf> {
    let make = |number: usize| {
        let path = at.join(number.to_string());
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(number.to_string()), "").unwrap();
        fs::write(path.join("top"), number.to_string()).unwrap();
        path
    };
    (0..count).map(make).collect()
}

fn overlay(lowers: &[PathBuf], options: OverlayOptions) -> OverlayMount {
    lowers
        .iter()
        .fold(OverlayMount::new(options), |mount, lower| mount.lower(lower))
}

const APIS: [MountApi; 3] = [MountApi::Descriptors, MountApi::Paths, MountApi::OptionString];

#[test]
fn every_interface_mounts_the_same() {
    let space = space();
    let lowers = lowers(space.path(), 3);
    let target = directory(space.path().join("target"));
    for api in APIS {
        let [upper, work] =
            ["upper", "work"].map(|name| directory(space.path().join(format!("{api:?}-{name}"))));
        let options = OverlayOptions {
            api,
            ..OverlayOptions::default()
        };
        let mounted = overlay(&lowers, options)
            .upper(&upper, &work)
            .mount(&target)
            .unwrap();
        let line = mount_line(&target).unwrap();
        for name in ["0", "1", "2"] {
            assert!(target.join(name).exists(), "{api:?} {name}");
        }
        assert_eq!(fs::read(target.join("top")).unwrap(), b"0");
        fs::write(target.join("new"), "new").unwrap();
        assert_eq!(fs::read(upper.join("new")).unwrap(), b"new");
        let [first, second, third] = [&lowers[0], &lowers[1], &lowers[2]].map(|path| path.display());
        let shown = match api {
            MountApi::OptionString => format!("lowerdir={first}:{second}:{third}"),
            _ => format!("lowerdir+={first},lowerdir+={second},lowerdir+={third}"),
        };
        let expected = format!(
            "rw,relatime - overlay overlay rw,{shown},upperdir={},workdir={},uuid=on",
            upper.display(),
            work.display()
        );
        assert_eq!(line, expected, "{api:?}");
        mounted.unmount().unwrap();
        assert_eq!(mount_line(&target), None);
    }
}

#[test]
fn any_byte_is_taken_in_paths() {
    let space = space();
    let target = directory(space.path().join("target"));
    let long = "n".repeat(200);
    let names = [
        "co:lon",
        "com,ma",
        "back\\slash",
        "sp ace",
        "new\nline",
        "all :,\\\n",
        long.as_str(),
    ];
    for api in APIS {
        for name in names {
            // Over 255 bytes for the long one: fsconfig takes no string of that length.
            let base = space.path().join(format!("{api:?}")).join(name).join(name);
            let lowers = lowers(&base, 2);
            let [upper, work] = ["upper", "work"].map(|name| directory(base.join(name)));
            let options = OverlayOptions {
                api,
                ..OverlayOptions::default()
            };
            let mounted = overlay(&lowers, options).upper(&upper, work).mount(&target);
            let mounted = mounted.unwrap_or_else(|error| panic!("{api:?} {name:?}: {error}"));
            assert!(target.join("1").exists(), "{api:?} {name:?}");
            fs::write(target.join("new"), "").unwrap();
            assert!(upper.join("new").exists(), "{api:?} {name:?}");
            mounted.unmount().unwrap();
        }
    }
}

#[test]
fn hundreds_of_layers_and_no_more() {
    let space = space();
    let target = directory(space.path().join("target"));
    let lowers = lowers(space.path(), MAX_LOWERS + 1);
    for api in [MountApi::Descriptors, MountApi::Paths] {
        let options = OverlayOptions {
            api,
            ..OverlayOptions::default()
        };
        let mounted = overlay(&lowers[..MAX_LOWERS], options).mount(&target).unwrap();
        for number in 0..MAX_LOWERS {
            assert!(target.join(number.to_string()).exists(), "{number}");
        }
        drop(mounted);
        assert_eq!(mount_line(&target), None);
        let error = overlay(&lowers, options).mount(&target).unwrap_err();
        assert!(
            matches!(error, MountError::TooManyLowers { count: 501 }),
            "{error}"
        );
    }
    // A page of options is not cut: what would be is refused.
    let options = OverlayOptions {
        api: MountApi::OptionString,
        ..OverlayOptions::default()
    };
    let mut most = 0;
    for count in 2..MAX_LOWERS {
        let overlay = overlay(&lowers[..count], options);
        match overlay.option_string() {
            Ok(text) => {
                assert!(text.len() < 4096);
                most = count;
            }
            Err(MountError::OptionsTooLong { length, limit: 4096 }) => {
                assert!(length > 4096);
                let error = overlay.mount(&target).unwrap_err();
                assert!(error.to_string().contains("Linux 6.8"), "{error}");
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let mounted = overlay(&lowers[..most], options).mount(&target).unwrap();
    assert!(target.join((most - 1).to_string()).exists());
    mounted.unmount().unwrap();
    assert_eq!(mount_line(&target), None);
}

#[test]
fn a_detached_overlay_is_seen_through_its_descriptor_alone() {
    let space = space();
    let lowers = lowers(space.path(), 2);
    let [upper, work] = ["upper", "work"].map(|name| directory(space.path().join(name)));
    let before = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    let mount = overlay(&lowers, OverlayOptions::default()).upper(&upper, &work);
    let detached = mount.detached().unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", detached.as_fd().as_raw_fd()));
    assert_eq!(fs::read(path.join("top")).unwrap(), b"0");
    fs::remove_file(path.join("1")).unwrap();
    assert_eq!(fs::read_to_string("/proc/thread-self/mountinfo").unwrap(), before);
    drop(detached);
    // The upper is free again, and keeps what was done.
    let detached = mount.detached().unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", detached.as_fd().as_raw_fd()));
    assert!(!path.join("1").exists());
}

#[test]
fn what_the_kernel_refuses_is_said_and_nothing_stays_mounted() {
    let space = space();
    let path = |name: &str| space.path().join(name);
    let lowers = lowers(space.path(), 2);
    let target = directory(path("target"));
    fs::write(path("file"), "").unwrap();
    let [upper, work] = ["upper", "upper/work"].map(|name| directory(path(name)));
    let default = OverlayOptions::default();
    let both = |options| overlay(&lowers, options);
    let cases = [
        (
            overlay(&lowers[..1], default),
            "needs an upper directory or two lower ones",
        ),
        (OverlayMount::new(default), "there are 0 lower ones"),
        (
            both(default).lower(path("file")),
            "lower directory 3 from the top",
        ),
        (both(default).lower(path("file")), "Not a directory"),
        (both(default).lower(path("missing")), "No such file or directory"),
        (both(default).lower(&lowers[0]), "directories of it are the same"),
        (both(default).upper(&upper, &work), "must be apart"),
        (both(default).upper(&upper, path("missing")), "work directory"),
        (
            both(OverlayOptions {
                userxattr: true,
                redirect_dir: RedirectDir::On,
                ..default
            }),
            "exclude each other",
        ),
    ];
    for (mount, expected) in cases {
        let error = mount.mount(&target).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(mount_line(&target), None);
    }
    for (target, expected) in [("file", "Not a directory"), ("missing", "make it first")] {
        let error = both(default).mount(path(target)).unwrap_err().to_string();
        assert!(
            error.contains("mount point") && error.contains(expected),
            "{error}"
        );
    }
}
