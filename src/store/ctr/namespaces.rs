//! `ctr namespaces`.

use super::command::{COMMAND, Command, Run, flags};
use super::option::{Args, Flags, flag};
use super::{Exit, Job, joined, table};
use crate::store::{Namespace, SNAPSHOTTER, check_identifier};

pub(super) const GROUP: Command = Command {
    name: "namespaces",
    aliases: &["namespace", "ns"],
    about: "manage namespaces",
    run: Run::Group(&[
        Command {
            name: "create",
            aliases: &["c"],
            about: "create a new namespace",
            arguments: "<name> [<key>=<value>]",
            description: "create a new namespace. it must be unique",
            run: Run::Action(create),
            ..COMMAND
        },
        Command {
            name: "list",
            aliases: &["ls"],
            about: "list namespaces",
            arguments: "[flags]",
            description: "list namespaces",
            flags: flags(&[flag(&["quiet", "q"], "print only the namespace name")]),
            run: Run::Action(list),
            ..COMMAND
        },
        Command {
            name: "remove",
            aliases: &["rm"],
            about: "remove one or more namespaces",
            arguments: "<name> [<name>, ...]",
            description: "remove one or more namespaces. for now, the namespace must be empty",
            flags: Flags {
                offered: &[],
                refused: &["cgroup", "c"],
            },
            run: Run::Action(remove),
            ..COMMAND
        },
        Command {
            name: "label",
            about: "set and clear labels for a namespace",
            arguments: "<name> [<key>=<value>, ...]",
            description: "set and clear labels for a namespace. empty value clears the label",
            run: Run::Action(label),
            ..COMMAND
        },
    ]),
    ..COMMAND
};

const NO_NAME: &str = "please specify a namespace";

fn list(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let is_quiet = args.has("quiet");
    let mut text = match is_quiet {
        true => String::new(),
        false => "NAME\tLABELS\t\n".to_owned(),
    };
    for (name, namespace) in job.client.store.namespaces.iter() {
        text += &match is_quiet {
            true => format!("{name}\n"),
            false => format!("{name}\t{}\t\n", joined(&namespace.labels, "")),
        };
    }
    job.print(&table::BY_SPACE.format(&text));
    Ok(())
}

fn create(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let name = args.needed(0, NO_NAME)?;
    check_identifier("", name)?;
    let namespaces = &mut job.client.store.namespaces;
    if namespaces.has(name) {
        return Err(Exit::failed(format_args!("namespace {name:?}: already exists")));
    }
    let namespace = Namespace {
        labels: args.labels(1).into_iter().collect(),
        ..Namespace::default()
    };
    namespaces.put(name, namespace);
    Ok(())
}

fn label(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let name = args.needed(0, NO_NAME)?;
    let set = args.labels(1);
    if set.is_empty() {
        return Ok(());
    }
    check_identifier("", name)?;
    let namespaces = &mut job.client.store.namespaces;
    // Labels make a namespace, as anything that is put into it does.
    let found = namespaces.get(name).map(|namespace| Namespace::clone(namespace));
    let mut namespace = found.unwrap_or_default();
    for (key, value) in set {
        match value.is_empty() {
            true => namespace.labels.remove(&key),
            false => namespace.labels.insert(key, value),
        };
    }
    namespaces.put(name, namespace);
    Ok(())
}

fn remove(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let mut failed = Ok(());
    for name in &args.rest {
        let held = job.client.store.namespace(name).map(|namespace| holds(namespace));
        if let Some(held) = held.filter(|held| !held.is_empty()) {
            let error = format!(
                "namespace {name:?} must be empty, but it still has {}: failed precondition",
                held.join(", ")
            );
            let message = format!("unable to delete {name}");
            job.log("error", &message, &[("error", &error)]);
            failed = failed.and(Err(Exit::failed(format_args!("{message}: {error}"))));
            continue;
        }
        job.client.store.namespaces.remove(name);
        job.print(&format!("{name}\n"));
    }
    failed
}

/// What is still in a namespace.
fn holds(namespace: &Namespace) -> Vec<String> {
    let snapshots = format!("snapshots on {SNAPSHOTTER:?} snapshotter");
    let held = [
        (namespace.images.is_empty(), "images"),
        (namespace.content.is_empty(), "blobs"),
        (namespace.containers.is_empty(), "containers"),
        (namespace.snapshots.is_empty(), &snapshots),
    ];
    let held = held.into_iter().filter(|(is_empty, _)| !is_empty);
    held.map(|(_, what)| what.to_owned()).collect()
}
