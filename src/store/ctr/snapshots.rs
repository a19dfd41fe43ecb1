//! `ctr snapshots`.

use std::collections::BTreeMap;

use super::command::{COMMAND, Command, Run, flags, refused};
use super::format::{bytes, indented, instant, json, second};
use super::import::unpack as unpack_image;
use super::option::{Args, Flag, flag, text};
use super::{Exit, Job, SNAPSHOTTER_FLAG, joined, table};
use crate::store::{Labels, Mount, Platforms, SnapshotKind};

/// By which something is kept that nothing else names.
const GC_ROOT: &str = "containerd.io/gc.root";

pub(super) const GROUP: Command = Command {
    name: "snapshots",
    aliases: &["snapshot"],
    about: "manage snapshots",
    flags: flags(&[SNAPSHOTTER_FLAG]),
    run: Run::Group(&[
        Command {
            name: "commit",
            about: "commit an active snapshot into the provided name",
            arguments: "<key> <active>",
            run: Run::Action(commit),
            ..COMMAND
        },
        Command {
            name: "info",
            about: "get info about a snapshot",
            arguments: "<key>",
            run: Run::Action(info),
            ..COMMAND
        },
        Command {
            name: "list",
            aliases: &["ls"],
            about: "list snapshots",
            run: Run::Action(list),
            ..COMMAND
        },
        Command {
            name: "mounts",
            aliases: &["m", "mount"],
            about: "mount gets mount commands for the snapshots",
            arguments: "<target> <key>",
            run: Run::Action(mounts),
            ..COMMAND
        },
        Command {
            name: "prepare",
            about: "prepare a snapshot from a committed snapshot",
            arguments: "[flags] <key> [<parent>]",
            flags: flags(MADE),
            run: Run::Action(|job, args| make(job, args, SnapshotKind::Active)),
            ..COMMAND
        },
        Command {
            name: "delete",
            aliases: &["del", "remove", "rm"],
            about: "remove snapshots",
            arguments: "<key> [<key>, ...]",
            run: Run::Action(remove),
            ..COMMAND
        },
        Command {
            name: "label",
            about: "add labels to content",
            arguments: "<name> [<label>=<value> ...]",
            description: "labels snapshots in the snapshotter",
            run: Run::Action(label),
            ..COMMAND
        },
        Command {
            name: "tree",
            about: "display tree view of snapshot branches",
            run: Run::Action(tree),
            ..COMMAND
        },
        Command {
            name: "unpack",
            about: "unpack applies layers from a manifest to a snapshot",
            arguments: "[flags] <digest>",
            flags: flags(&[SNAPSHOTTER_FLAG]),
            run: Run::Action(unpack),
            ..COMMAND
        },
        Command {
            name: "usage",
            about: "usage snapshots",
            arguments: "[flags] [<key>, ...]",
            flags: flags(&[flag(&["b"], "display size in bytes")]),
            run: Run::Action(usage),
            ..COMMAND
        },
        Command {
            name: "view",
            about: "create a read-only snapshot from a committed snapshot",
            arguments: "[flags] <key> [<parent>]",
            flags: flags(MADE),
            run: Run::Action(|job, args| make(job, args, SnapshotKind::View)),
            ..COMMAND
        },
        refused("diff", "see `handroll diff`"),
    ]),
    ..COMMAND
};

/// The options of what makes a snapshot.
const MADE: &[Flag] = &[
    text(
        &["target", "t"],
        "mount target path, will print mount, if provided",
    ),
    flag(&["mounts"], "Print out snapshot mounts as JSON"),
];

/// Other numbers of arguments get the help.
fn counted(args: &Args, counts: std::ops::RangeInclusive<usize>) -> Result<(), Exit> {
    match counts.contains(&args.rest.len()) {
        true => Ok(()),
        false => Err(Exit::help()),
    }
}

fn list(job: &mut Job<'_, '_>, _: &Args) -> Result<(), Exit> {
    job.check_snapshotter()?;
    let mut text = "KEY\tPARENT\tKIND\t\n".to_owned();
    for (key, snapshot) in job.client.here().snapshots.iter() {
        text += &format!("{key}\t{}\t{}\t\n", snapshot.parent, snapshot.kind.name());
    }
    job.print(&table::BY_SPACE.format(&text));
    Ok(())
}

fn tree(job: &mut Job<'_, '_>, _: &Args) -> Result<(), Exit> {
    job.check_snapshotter()?;
    let here = job.client.here();
    let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    // In the order in which they are named first, as a parent or by themselves.
    let mut pending: Vec<(&str, usize)> = Vec::new();
    let mut named = std::collections::BTreeSet::new();
    for (key, snapshot) in here.snapshots.iter() {
        for name in [key, snapshot.parent.as_str()] {
            let is_root = here
                .snapshots
                .get(name)
                .is_some_and(|found| found.parent.is_empty());
            if named.insert(name) && is_root {
                pending.push((name, 0));
            }
        }
        children.entry(&snapshot.parent).or_default().push(key);
    }
    pending.reverse();
    let mut text = String::new();
    while let Some((key, level)) = pending.pop() {
        let indent = "  ".repeat(level);
        let branch = if level > 0 { "\\_" } else { "" };
        text += &format!("{indent}{branch} {key}\n");
        let below = children.get(key).into_iter().flatten().rev();
        pending.extend(below.map(|child| (*child, level + 1)));
    }
    job.print(&text);
    Ok(())
}

fn info(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    counted(args, 1..=1)?;
    job.check_snapshotter()?;
    let key = args.argument(0);
    let snapshot = job.client.snapshot(key)?;
    let mut members = vec![("Kind", json(snapshot.kind.name())), ("Name", json(key))];
    if !snapshot.parent.is_empty() {
        members.push(("Parent", json(&snapshot.parent)));
    }
    if !snapshot.labels.is_empty() {
        members.push(("Labels", labels_object(&snapshot.labels)));
    }
    members.push(("Created", json(&instant(snapshot.created))));
    members.push(("Updated", json(&instant(snapshot.updated))));
    job.print(&indented(&object(&members)));
    Ok(())
}

/// An object of members whose values are JSON.
pub(super) fn object(members: &[(&str, String)]) -> String {
    let members = members
        .iter()
        .map(|(key, value)| format!("{}:{value}", json(key)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

pub(super) fn labels_object(labels: &Labels) -> String {
    let members: Vec<_> = labels
        .iter()
        .map(|(key, value)| (key.as_str(), json(value)))
        .collect();
    object(&members)
}

fn mounts(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    counted(args, 2..=2)?;
    job.check_snapshotter()?;
    let mount = job.client.mounts(args.argument(1))?;
    job.print(&format!("{}\n", mount.command(args.argument(0))));
    Ok(())
}

fn make(job: &mut Job<'_, '_>, args: &Args, kind: SnapshotKind) -> Result<(), Exit> {
    counted(args, 1..=2)?;
    job.check_snapshotter()?;
    let (key, parent) = (args.argument(0), args.argument(1));
    if key.is_empty() {
        return Err(Exit::failed("bucket name required: unknown"));
    }
    let mount = match kind {
        SnapshotKind::View => job.client.view(key, parent, Labels::new())?,
        _ => job.client.prepare(key, parent, root_label(job))?,
    };
    if let Some(target) = args.text("target") {
        job.print(&format!("{}\n", mount.command(target)));
    }
    if args.has("mounts") {
        job.print(&indented(&format!("[{}]", mount_object(&mount))));
    }
    Ok(())
}

fn root_label(job: &Job<'_, '_>) -> Labels {
    [(GC_ROOT.to_owned(), second(job.client.now))].into()
}

fn mount_object(mount: &Mount) -> String {
    let options: Vec<_> = mount.options.iter().map(|option| json(option)).collect();
    object(&[
        ("Type", json(mount.kind)),
        ("Source", json(&mount.source)),
        ("Options", format!("[{}]", options.join(","))),
    ])
}

fn commit(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    counted(args, 2..=2)?;
    job.check_snapshotter()?;
    let labels = root_label(job);
    Ok(job.client.commit(args.argument(0), args.argument(1), labels)?)
}

fn remove(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    job.check_snapshotter()?;
    for key in &args.rest {
        let removed = job.client.remove_snapshot(key);
        removed.map_err(|error| Exit::failed(format_args!("failed to remove {key:?}: {error}")))?;
    }
    Ok(())
}

fn label(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    job.check_snapshotter()?;
    let key = args.argument(0);
    let set = args.labels(1);
    if !set.is_empty() {
        job.client.label_snapshot(key, &set)?;
    }
    let labels = joined(&job.client.snapshot(key)?.labels, "");
    job.print(&format!("{labels}\n"));
    Ok(())
}

fn usage(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    job.check_snapshotter()?;
    let here = job.client.here();
    let keys: Vec<&str> = match args.rest.is_empty() {
        true => here.snapshots.iter().map(|(key, _)| key).collect(),
        false => args.rest.iter().map(String::as_str).collect(),
    };
    let mut text = "KEY\tSIZE\tINODES\t\n".to_owned();
    for key in keys {
        let usage = job.client.usage(key)?;
        let size = match args.has("b") {
            true => usage.size.to_string(),
            false => bytes(usage.size),
        };
        text += &format!("{key}\t{size}\t{}\t\n", usage.inodes);
    }
    job.print(&table::BY_SPACE.format(&text));
    Ok(())
}

fn unpack(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let digest = args.argument(0);
    super::content::check_digest(digest)?;
    let here = job.client.here();
    let found = here
        .images
        .iter()
        .find(|(_, image)| image.target.digest == digest);
    let Some((_, image)) = found else {
        return Err(Exit::failed("manifest not found"));
    };
    job.print(&format!("unpacking {digest} ({})...", image.target.media_type));
    let unpacked = unpack_image(job, &image.target, &Platforms::default());
    job.print(if unpacked.is_ok() { "done\n" } else { "\n" });
    unpacked.map(drop)
}
