//! Mounts as the kernel shows them in mountinfo (proc_pid_mountinfo(5)).

/// A line of `/proc/…/mountinfo` (proc_pid_mountinfo(5)), without its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountPoint {
    /// What of the file system is mounted: `/`, or the path that was bound.
    pub root: String,
    /// Where.
    pub target: String,
    /// Options of the mount: `rw,nosuid`.
    pub options: String,
    /// The type of file system.
    pub kind: String,
    /// What is mounted; a mere name for file systems without a device.
    pub source: String,
    /// Options of the file system.
    pub super_options: String,
}

/// Flags as mountinfo shows them.
pub(super) fn shown_flags(flags: &[&'static str]) -> String {
    let has = |flag: &str| flags.contains(&flag);
    let mut shown = vec![if has("MS_RDONLY") { "ro" } else { "rw" }];
    for (flag, name) in [
        ("MS_NOSUID", "nosuid"),
        ("MS_NODEV", "nodev"),
        ("MS_NOEXEC", "noexec"),
    ] {
        if has(flag) {
            shown.push(name);
        }
    }
    // The default, unless access times are kept strictly.
    if !has("MS_STRICTATIME") {
        shown.push("relatime");
    }
    shown.join(",")
}

/// Options of a file system as the kernel shows them: in its own order, without zeros in front, and without what is
/// the default (shmem_show_options, devpts_show_options).
pub(super) fn super_options(kind: &str, is_read_only: bool, data: &[&str]) -> String {
    let order: &[(&str, &str)] = match kind {
        "tmpfs" => &[("size", ""), ("mode", "1777"), ("uid", "0"), ("gid", "0")],
        "devpts" => &[("gid", ""), ("mode", ""), ("ptmxmode", "")],
        _ => &[],
    };
    let mut shown = vec![if is_read_only { "ro" } else { "rw" }.to_owned()];
    for (name, default) in order {
        let given = data.iter().filter_map(|option| option.split_once('='));
        let value = given
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value)
            .next_back();
        let value = value.map(|value| match value.trim_start_matches('0') {
            "" => "0",
            trimmed => trimmed,
        });
        if let Some(value) = value.filter(|value| value != default) {
            shown.push(format!("{name}={value}"));
        }
    }
    shown.join(",")
}
