//! `ctr run`: a container with its snapshot, and what is to be started. Starting it is the machine's.

use super::command::{COMMAND, Command, Run};
use super::import::{platform, unpack};
use super::option::{Args, Flags, flag, label, text, texts};
use super::{Exit, Job, Ran, SNAPSHOTTER_FLAG, chain_of, fail};
use crate::content::Content;
use crate::runtime::{Arguments, ImageConfig, Manner, Request, convert};
use crate::store::{Client, Labels, Platforms, StoreError};

/// A container's process that is to be started: its bundle has the container's `spec` as `config.json`, and its
/// snapshot mounted as `rootfs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// The namespace of the container.
    pub namespace: String,
    /// The container.
    pub id: String,
    /// Whether nobody waits for it.
    pub is_detached: bool,
    /// Whether the container goes when it has ended.
    pub removes_container: bool,
}

/// What containerd's `ctr` can say of a container beyond what is offered here.
const REFUSED: &[&str] = &[
    "snapshotter-label",
    "config",
    "c",
    "env-file",
    "annotation",
    "mount",
    "net-host",
    "privileged",
    "runtime",
    "runtime-config-path",
    "with-ns",
    "pid-file",
    "gpus",
    "allow-new-privs",
    "memory-limit",
    "device",
    "cap-add",
    "cap-drop",
    "seccomp",
    "seccomp-profile",
    "apparmor-default-profile",
    "apparmor-profile",
    "rdt-class",
    "rootfs",
    "no-pivot",
    "cpu-quota",
    "cpu-period",
    "rootfs-propagation",
    "null-io",
    "log-uri",
    "fifo-dir",
    "cgroup",
    "cni",
    "runc-binary",
    "runc-root",
    "runc-systemd-cgroup",
    "uidmap",
    "gidmap",
    "remap-labels",
    "cpus",
    "cpu-shares",
];

/// The options of `ctr containers create`.
pub(super) const CREATE_FLAGS: Flags = Flags {
    offered: &[
        text(&["platform"], "run image for specific platform"),
        SNAPSHOTTER_FLAG,
        text(&["cwd"], "specify the working directory of the process"),
        texts(
            &["env"],
            "specify additional container environment variables (e.g. FOO=bar)",
        ),
        texts(&["label"], "specify additional labels (e.g. foo=bar)"),
        flag(&["read-only"], "set the containers filesystem as readonly"),
        flag(&["tty", "t"], "allocate a TTY for the container"),
    ],
    refused: REFUSED,
};

pub(super) const RUN: Command = Command {
    name: "run",
    about: "run a container",
    arguments: "[flags] Image|RootFS ID [COMMAND] [ARG...]",
    flags: Flags {
        offered: &[
            flag(
                &["rm"],
                "remove the container after running, cannot be used with --detach",
            ),
            flag(
                &["detach", "d"],
                "detach from the task after it has started execution, cannot be used with --rm",
            ),
            text(&["platform"], "run image for specific platform"),
            SNAPSHOTTER_FLAG,
            text(&["cwd"], "specify the working directory of the process"),
            texts(
                &["env"],
                "specify additional container environment variables (e.g. FOO=bar)",
            ),
            texts(&["label"], "specify additional labels (e.g. foo=bar)"),
            flag(&["read-only"], "set the containers filesystem as readonly"),
            flag(&["tty", "t"], "allocate a TTY for the container"),
        ],
        refused: REFUSED,
    },
    keeps_order: true,
    run: Run::Action(run),
    ..COMMAND
};

fn run(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    args.needed(0, "image ref must be provided")?;
    let id = args.needed(1, "container id must be provided")?;
    let (removes_container, is_detached) = (args.has("rm"), args.has("detach"));
    if removes_container && is_detached {
        return Err(Exit::failed(
            "flags --detach and --rm cannot be specified together",
        ));
    }
    create_container(job, args)?;
    job.task = Some(NewTask {
        namespace: job.client.namespace.clone(),
        id: id.to_owned(),
        is_detached,
        removes_container,
    });
    Ok(())
}

/// Makes a container of an image, with an active snapshot on its layers (cmd/ctr/commands/run/run_unix.go,
/// `NewContainer`).
pub(super) fn create_container(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let (name, id) = (args.argument(0), args.argument(1));
    let image = job.client.image(name)?;
    let wanted = match args.text("platform") {
        Some(text) => Platforms::Only(platform(text)?),
        None => Platforms::default(),
    };
    let mut chain = chain_of(job, &image.target, &wanted)?;
    if !job.client.here().snapshots.has(&chain) {
        chain = unpack(job, &image.target, &wanted)?;
    }
    job.check_snapshotter()?;
    let (_, document) = job.client.config(&image.target, &wanted)?;
    let config = ImageConfig::read(&document).map_err(Exit::failed)?;
    let mut labels: Labels = config.labels.clone();
    labels.extend(image.labels);
    labels.extend(args.values("label").map(label));
    let stop_signal = match config.stop_signal.as_str() {
        "" => "SIGTERM",
        signal => signal,
    };
    labels.insert(STOP_SIGNAL.to_owned(), stop_signal.to_owned());
    job.client.prepare(id, &chain, Labels::new())?;
    let request = Request {
        arguments: match args.rest.get(2..) {
            None | Some([]) => Arguments::Image,
            Some(arguments) => Arguments::All(arguments.to_vec()),
        },
        env: args.values("env").map(str::to_owned).collect(),
        cwd: args.text("cwd").map(str::to_owned),
        terminal: args.has("tty"),
        read_only: args.has("read-only"),
        cgroups_path: Some(format!("/{}/{id}", job.client.namespace)),
        ..Request::new(Manner::Containerd)
    };
    let directories = job.client.parents(id)?;
    let view = job.host.view(&directories).map_err(Exit::Failed)?;
    let spec = convert(&config, &request, &*view).map_err(Exit::failed)?;
    drop(view);
    let spec = Content::inline(spec.document());
    let created = job.client.create_container(id, name, id, labels, spec);
    created.map_err(|error| match error {
        StoreError::Identifier { .. } | StoreError::LongIdentifier { .. } => {
            Exit::failed(format_args!("create container failed validation: {error}"))
        }
        error => error.into(),
    })
}

/// The label that says which signal asks a container to end.
pub(super) const STOP_SIGNAL: &str = "io.containerd.image.config.stop-signal";

/// What a line goes on to do when the task that it started has ended with an exit code, or could not be started.
pub fn ended(client: &mut Client<'_>, task: &NewTask, outcome: Result<u32, String>) -> Ran {
    let mut ran = Ran::default();
    let done = match &outcome {
        Ok(code) => client
            .end_task(&task.id, *code)
            .and_then(|()| client.delete_task(&task.id).map(drop)),
        Err(_) => Ok(()),
    };
    let done = done.and_then(|()| match task.removes_container {
        true => client.remove_container(&task.id),
        false => Ok(()),
    });
    let done = done.and_then(|()| client.collect_if_dirty());
    match (outcome, done) {
        (Err(reason), _) => fail(&mut ran, &reason),
        (_, Err(error)) => fail(&mut ran, &error.to_string()),
        (Ok(code), Ok(())) => ran.status = u8::try_from(code).unwrap_or(u8::MAX),
    }
    ran
}
