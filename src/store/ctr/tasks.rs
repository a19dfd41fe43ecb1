//! `ctr tasks`: what runs of containers.

use super::command::{COMMAND, Command, Run, flags, refused};
use super::option::{Args, Flags, flag, text};
use super::run::{EXEC_FAILED, NewProcess, NewTask, STOP_SIGNAL};
use super::{Exit, Job, check_identifier, table};

pub(super) const GROUP: Command = Command {
    name: "tasks",
    aliases: &["t", "task"],
    about: "manage tasks",
    run: Run::Group(&[
        Command {
            name: "delete",
            aliases: &["del", "remove", "rm"],
            about: "delete one or more tasks",
            arguments: "CONTAINER [CONTAINER, ...]",
            flags: Flags {
                offered: &[flag(&["force", "f"], "force delete task process")],
                refused: &["exec-id"],
            },
            run: Run::Action(delete),
            ..COMMAND
        },
        Command {
            name: "list",
            aliases: &["ls"],
            about: "list tasks",
            arguments: "[flags]",
            flags: flags(&[flag(&["quiet", "q"], "print only the task id")]),
            run: Run::Action(list),
            ..COMMAND
        },
        Command {
            name: "kill",
            about: "signal a container (default: SIGTERM)",
            arguments: "[flags] CONTAINER",
            flags: Flags {
                offered: &[text(&["signal", "s"], "signal to send to the container")],
                refused: &["exec-id", "all", "a"],
            },
            run: Run::Action(kill),
            ..COMMAND
        },
        Command {
            name: "start",
            about: "start a container that has been created",
            arguments: "CONTAINER",
            flags: Flags {
                offered: &[flag(
                    &["detach", "d"],
                    "detach from the task after it has started execution",
                )],
                refused: &["null-io", "log-uri", "fifo-dir", "pid-file"],
            },
            run: Run::Action(start),
            ..COMMAND
        },
        refused("attach", "a task keeps the terminal that it was started in"),
        refused("checkpoint", "that takes CRIU"),
        Command {
            name: "exec",
            about: "execute additional processes in an existing container",
            arguments: "[flags] CONTAINER CMD [ARG...]",
            flags: Flags {
                offered: &[
                    text(&["cwd"], "working directory of the new process"),
                    flag(&["tty", "t"], "allocate a TTY for the container"),
                    flag(
                        &["detach", "d"],
                        "detach from the task after it has started execution",
                    ),
                    text(&["exec-id"], "exec specific id for the process"),
                    text(&["user"], "user id or name"),
                ],
                refused: &["fifo-dir", "log-uri"],
            },
            keeps_order: true,
            run: Run::Action(exec),
            ..COMMAND
        },
        refused("pause", "that takes a daemon"),
        refused("ps", "see `ctr tasks ls` for the first process"),
        refused("resume", "that takes a daemon"),
        refused("metrics", "nothing is measured"),
    ]),
    ..COMMAND
};

/// Signals by their names without SIG, as Linux numbers them on all machines that containers run on.
const SIGNALS: [(&str, u8); 12] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("CONT", 18),
    ("STOP", 19),
];

fn list(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let is_quiet = args.has("quiet");
    let mut text = match is_quiet {
        true => String::new(),
        false => "TASK\tPID\tSTATUS\t\n".to_owned(),
    };
    for (id, container) in job.client.here().containers.iter() {
        if let Some(task) = container.task {
            text += &match is_quiet {
                true => format!("{id}\n"),
                false => format!("{id}\t{}\t{}\n", task.pid, task.status()),
            };
        }
    }
    job.print(&table::WIDE.format(&text));
    Ok(())
}

fn start(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let id = args.needed(0, "container id must be provided")?;
    let container = job.client.container(id)?;
    if container.task.is_some() {
        return Err(Exit::failed(format_args!("task {id}: already exists")));
    }
    if args.has("detach") {
        job.host.check_detach().map_err(Exit::Failed)?;
    }
    job.task = Some(NewTask {
        namespace: job.client.namespace.clone(),
        id: id.to_owned(),
        is_detached: args.has("detach"),
        removes_container: false,
        has_command: false,
        spec: None,
    });
    Ok(())
}

/// One more process of a task that runs.
fn exec(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    if args.value("exec-id").is_none() {
        return Err(Exit::Help {
            otherwise: Some("Required flag \"exec-id\" not set".to_owned()),
        });
    }
    let id = args.needed(0, "container id must be provided")?;
    let container = job.client.container(id)?;
    let task = container.task.ok_or_else(|| no_task(id))?;
    let exec_id = args.value("exec-id").unwrap_or_default();
    check_identifier("", exec_id)
        .map_err(|error| Exit::failed(format_args!("invalid exec id {exec_id}: {error}")))?;
    if task.exit.is_some() {
        return Err(Exit::failed("cannot exec in a stopped state: unknown"));
    }
    let words = args.rest[1..].to_vec();
    if words.is_empty() {
        return Err(Exit::failed(format_args!(
            "{EXEC_FAILED}: args must not be empty: unknown"
        )));
    }
    job.host.check_exec().map_err(Exit::Failed)?;
    job.exec = Some(NewProcess {
        namespace: job.client.namespace.clone(),
        id: id.to_owned(),
        args: words,
        cwd: args.text("cwd").map(str::to_owned),
        user: args.text("user").map(str::to_owned),
    });
    Ok(())
}

fn no_task(id: &str) -> Exit {
    Exit::failed(format_args!(
        "no running task found: task {id} not found: not found"
    ))
}

/// The number of a signal: `KILL`, `SIGKILL` or `9`.
fn signal(text: &str) -> Option<u8> {
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let named = SIGNALS.iter().find(|(known, _)| *known == name);
    let number = text.parse().ok().filter(|number| (1..=64).contains(number));
    named.map(|(_, number)| *number).or(number)
}

fn kill(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let id = args.needed(0, "container id must be provided")?;
    let container = job.client.container(id)?;
    let label = container.labels.get(STOP_SIGNAL);
    let wanted = args
        .text("signal")
        .or(label.map(String::as_str))
        .unwrap_or("SIGTERM");
    let number = signal(wanted);
    let number = number.ok_or_else(|| Exit::failed(format_args!("invalid signal: {wanted}")))?;
    let task = container.task;
    let task = task.ok_or_else(|| no_task(id))?;
    if task.exit.is_some() {
        return Err(Exit::failed("process already finished: not found"));
    }
    let namespace = job.client.namespace.clone();
    let is_over = job
        .host
        .signal(&namespace, id, task.pid, number)
        .map_err(Exit::Failed)?;
    if is_over {
        job.client.end_task(id, 128 + u32::from(number))?;
    }
    Ok(())
}

fn delete(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let mut failed = Ok(());
    for id in &args.rest {
        if let Err(exit) = delete_one(job, id, args.has("force")) {
            failed = failed.and(Err(exit));
        }
    }
    failed
}

fn delete_one(job: &mut Job<'_, '_>, id: &str, is_forced: bool) -> Result<(), Exit> {
    let task = match job.client.container(id) {
        Err(error) => Err(error.to_string()),
        Ok(container) => container
            .task
            .ok_or_else(|| format!("no running task found: task {id} not found: not found")),
    };
    let task = task.map_err(|error| {
        job.log(
            "error",
            &format!("failed to load task from {id}"),
            &[("error", &error)],
        );
        Exit::Failed(error)
    })?;
    if task.exit.is_none() {
        if !is_forced {
            let error = "task must be stopped before deletion: running: failed precondition";
            job.log("error", &format!("unable to delete {id}"), &[("error", error)]);
            return Err(Exit::failed(error));
        }
        let namespace = job.client.namespace.clone();
        job.host
            .signal(&namespace, id, task.pid, 9)
            .map_err(Exit::Failed)?;
        job.client.end_task(id, 137)?;
    }
    let code = job.delete_task(id)?;
    if code != 0 {
        let message = format!("task {id} exit with non-zero exit code {code}");
        job.log("warning", &message, &[]);
    }
    Ok(())
}
