//! `ctr run`: a container with its snapshot, and what is to be started. Starting it is the machine's.

use super::command::{COMMAND, Command, Run};
use super::import::{platform, unpack};
use super::option::{Args, Flags, flag, label, text, texts};
use super::{Exit, Host, Job, Ran, SNAPSHOTTER_FLAG, chain_of, fail};
use crate::content::Content;
use crate::runtime::{Arguments, Cpu, ImageConfig, Manner, Request, Spec, convert};
use crate::store::{Client, Labels, Platforms};

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
    /// Whether the line says what is to be run; if not, the image does.
    pub has_command: bool,
    /// The container's configuration, if this line made it.
    pub spec: Option<Spec>,
}

/// One more process that is to be started in a container whose task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProcess {
    /// The namespace of the container.
    pub namespace: String,
    /// The container.
    pub id: String,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Another directory to start in.
    pub cwd: Option<String>,
    /// Another user.
    pub user: Option<String>,
}

/// What an error begins with when runc cannot start a container's process.
pub const CREATE_FAILED: &str = "failed to create shim task: OCI runtime create failed: runc create failed: \
    unable to start container process";
/// The same of one more process.
pub const EXEC_FAILED: &str = "OCI runtime exec failed: exec failed";

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
    if is_detached {
        job.host.check_detach().map_err(Exit::Failed)?;
    }
    let spec = create_container(job, args, Some(CPU_SHARES))?;
    job.task = Some(NewTask {
        namespace: job.client.namespace.clone(),
        id: id.to_owned(),
        is_detached,
        removes_container,
        has_command: args.rest.len() > 2,
        spec: Some(spec),
    });
    Ok(())
}

/// Makes a container of an image, with an active snapshot on its layers (cmd/ctr/commands/run/run_unix.go,
/// `NewContainer`).
pub(super) fn create_container(
    job: &mut Job<'_, '_>,
    args: &Args,
    cpu_shares: Option<u64>,
) -> Result<Spec, Exit> {
    // What is made for a container that does not come to be is garbage.
    job.under_lease(|job| create_under_lease(job, args, cpu_shares))
}

fn create_under_lease(job: &mut Job<'_, '_>, args: &Args, cpu_shares: Option<u64>) -> Result<Spec, Exit> {
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
    let number = job.client.snapshot(id)?.number;
    let parents = job.client.parents(id)?;
    let view = job.host.view(number, &parents).map_err(Exit::Failed)?;
    let mut spec = convert(&config, &request, &*view).map_err(Exit::failed)?;
    drop(view);
    if let Some(resources) = &mut spec.linux.resources {
        resources.cpu = cpu_shares.map(|shares| Cpu { shares });
    }
    spec.annotations.extend(args.values("label").map(label));
    let document = Content::inline(spec.document());
    job.client.create_container(id, name, id, labels, document)?;
    Ok(spec)
}

/// The weight beside others that `ctr run` gives, and `ctr containers create` does not.
const CPU_SHARES: u64 = 1024;

/// The label that says which signal asks a container to end.
pub(super) const STOP_SIGNAL: &str = "io.containerd.image.config.stop-signal";

/// What stands for the exit code of a process that was not started.
const NOT_STARTED: u32 = 255;

/// What a line goes on to do when the task that it started has ended with an exit code, or could not be started.
/// `is_current` says that no other line has deleted it meanwhile: if one has, the container may have the next by now.
pub fn ended(
    client: &mut Client<'_>,
    host: &mut dyn Host,
    task: &NewTask,
    outcome: Result<u32, String>,
    is_current: bool,
) -> Ran {
    let mut ran = Ran::default();
    client.namespace.clone_from(&task.namespace);
    let code = outcome.as_ref().map_or(NOT_STARTED, |code| *code);
    // One that could not be started may have no task.
    let has_task = |client: &Client<'_>| {
        let container = client.container(&task.id);
        container.is_ok_and(|container| container.task.is_some())
    };
    let mut done = Ok(());
    if is_current {
        if has_task(client) {
            done = (client.end_task(&task.id, code)).and_then(|()| client.delete_task(&task.id).map(drop));
        }
        host.forget(&task.namespace, &task.id);
    }
    let done = done.and_then(|()| match task.removes_container && !has_task(client) {
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
