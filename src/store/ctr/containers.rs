//! `ctr containers`: what is to be run. See `tasks` for what runs of it.

use super::command::{COMMAND, Command, Run, flags, refused};
use super::filter::Filters;
use super::format::{indented, instant, json};
use super::option::{Args, Flags, flag};
use super::run::{CREATE_FLAGS, create_container};
use super::snapshots::{labels_object, object};
use super::{Exit, Job, joined, table};
use crate::store::Container;

/// The most bytes of a configuration that are printed: those of handroll's are a few thousand.
const SPEC_LIMIT: u64 = 16 << 20;

pub(super) const GROUP: Command = Command {
    name: "containers",
    aliases: &["c", "container"],
    about: "manage containers",
    run: Run::Group(&[
        Command {
            name: "create",
            about: "create container",
            arguments: "[flags] Image|RootFS CONTAINER [COMMAND] [ARG...]",
            flags: CREATE_FLAGS,
            run: Run::Action(create),
            ..COMMAND
        },
        Command {
            name: "delete",
            aliases: &["del", "remove", "rm"],
            about: "delete one or more existing containers",
            arguments: "[flags] CONTAINER [CONTAINER, ...]",
            flags: Flags {
                offered: &[],
                refused: &["keep-snapshot"],
            },
            run: Run::Action(delete),
            ..COMMAND
        },
        Command {
            name: "info",
            about: "get info about a container",
            arguments: "CONTAINER",
            flags: flags(&[flag(&["spec"], "only display the spec")]),
            run: Run::Action(info),
            ..COMMAND
        },
        Command {
            name: "list",
            aliases: &["ls"],
            about: "list containers",
            arguments: "[flags] [<filter>, ...]",
            flags: flags(&[flag(&["quiet", "q"], "print only the container id")]),
            run: Run::Action(list),
            ..COMMAND
        },
        Command {
            name: "label",
            about: "set and clear labels for a container",
            arguments: "[flags] CONTAINER [<key>=<value>, ...]",
            description: "set and clear labels for a container",
            run: Run::Action(label),
            ..COMMAND
        },
        refused("checkpoint", "that takes CRIU"),
        refused("restore", "that takes CRIU"),
    ]),
    ..COMMAND
};

pub(super) const NO_ID: &str = "container id must be provided: invalid argument";

fn create(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    args.needed(0, "image ref must be provided: invalid argument")?;
    args.needed(1, NO_ID)?;
    create_container(job, args, None).map(drop)
}

fn field(id: &str, container: &Container, path: &[&str]) -> Option<String> {
    let text = match path {
        ["id"] => id,
        ["image"] => &container.image,
        ["runtime", "name"] => &container.runtime,
        ["labels", key @ ..] => return container.labels.get(&key.join(".")).cloned(),
        _ => return None,
    };
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn list(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let filters = Filters::parse(&args.rest);
    let filters = filters.map_err(|error| Exit::failed(format_args!("{error}: invalid argument")))?;
    let here = job.client.here();
    let is_quiet = args.has("quiet");
    let mut text = match is_quiet {
        true => String::new(),
        false => "CONTAINER\tIMAGE\tRUNTIME\t\n".to_owned(),
    };
    for (id, container) in here.containers.iter() {
        if !filters.match_fields(&|path| field(id, container, path)) {
            continue;
        }
        let image = match container.image.as_str() {
            "" => "-",
            image => image,
        };
        text += &match is_quiet {
            true => format!("{id}\n"),
            false => format!("{id}\t{image}\t{}\t\n", container.runtime),
        };
    }
    job.print(&table::WIDE.format(&text));
    Ok(())
}

fn info(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let id = args.needed(0, NO_ID)?;
    let container = job.client.container(id)?;
    let spec = container.spec.read_all(SPEC_LIMIT).map_err(Exit::failed)?;
    let spec = String::from_utf8_lossy(&spec).into_owned();
    if args.has("spec") {
        job.print(&indented(&spec));
        return Ok(());
    }
    let options = object(&[("type_url", json("containerd.runc.v1.Options"))]);
    let runtime = object(&[("Name", json(&container.runtime)), ("Options", options)]);
    job.print(&indented(&object(&[
        ("ID", json(id)),
        ("Labels", labels_object(&container.labels)),
        ("Image", json(&container.image)),
        ("Runtime", runtime),
        ("SnapshotKey", json(&container.snapshot)),
        ("Snapshotter", json(&container.snapshotter)),
        ("CreatedAt", json(&instant(container.created))),
        ("UpdatedAt", json(&instant(container.updated))),
        ("Extensions", "null".to_owned()),
        ("Spec", spec),
    ])));
    Ok(())
}

fn delete(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    if args.rest.is_empty() {
        return Err(Exit::failed(
            "must specify at least one container to delete: invalid argument",
        ));
    }
    let mut failed = Ok(());
    for id in &args.rest {
        if let Err(error) = delete_one(job, id) {
            job.log(
                "error",
                &format!("failed to delete container {id:?}"),
                &[("error", &error)],
            );
            failed = failed.and(Err(Exit::Failed(error)));
        }
    }
    failed
}

fn delete_one(job: &mut Job<'_, '_>, id: &str) -> Result<(), String> {
    let told = |error: crate::store::StoreError| error.to_string();
    let task = job.client.container(id).map_err(told)?.task;
    if let Some(task) = task {
        if task.exit.is_none() {
            return Err(
                "cannot delete a non stopped container: {running 0 0001-01-01 00:00:00 +0000 UTC}".to_owned(),
            );
        }
        job.delete_task(id).map_err(told)?;
    }
    job.client.remove_container(id).map_err(told)
}

fn label(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let id = args.needed(0, NO_ID)?;
    job.client.container(id)?;
    let set = args.labels(1);
    if set.is_empty() {
        return Err(Exit::failed(
            "container.Snapshotter field is immutable: invalid argument",
        ));
    }
    job.client.label_container(id, &set)?;
    let labels = joined(&job.client.container(id)?.labels, "");
    job.print(&format!("{labels}\n"));
    Ok(())
}
