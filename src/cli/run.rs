//! `handroll run`: a container of an image, from mount to end.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io::IsTerminal as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use clap::Args;
use handroll::native::{
    Bundle, Ended, Held, MappedIds, Place, enter_user_namespace, find_runtime, id_maps, may_mount,
    unshare_mounts, user_namespace,
};
use handroll::runtime::Users;

use super::container::{self, ContainerArgs, RootMount};
use super::layers::{self, PlaceArgs};
use super::open::ImageArgs;
use super::{Failure, Verdict, session};

/// The exit code of failures that are not the container's, as `docker run` has it.
const OWN_FAILURE: u8 = 125;

/// Run a container of an image by runc or crun
#[derive(Args, Debug)]
#[command(
    after_help = "Layers are unpacked once, as by `mount`. The container gets a writable layer of its own, and nothing \
                  of it is left when it ends, however that is. Exit code: the container's, 128 and the number of the \
                  signal that ended it, or 125 where it could not be started. Without root it runs in a user namespace."
)]
pub struct RunArgs {
    #[command(flatten)]
    pub image: ImageArgs,
    /// The OCI runtime [default: runc, else crun]
    #[arg(long, value_name = "NAME|PATH")]
    pub runtime: Option<OsString>,
    /// Give the container a terminal [default: if standard input and output are one]
    #[arg(short, long, overrides_with = "no_tty")]
    pub tty: bool,
    /// Give it none
    #[arg(long, overrides_with = "tty")]
    pub no_tty: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub container: ContainerArgs,
}

/// Runs the subcommand.
pub fn run(arguments: &RunArgs) -> Result<Verdict, Failure> {
    match run_container(arguments) {
        Ok(Ended::Container(code)) => Ok(Verdict::Code(code)),
        // The runtime itself has said why.
        Ok(Ended::NotStarted) => Ok(Verdict::Code(OWN_FAILURE)),
        Ok(Ended::Killed(signal)) => {
            eprintln!("handroll: the runtime was ended by signal {signal}; its container is removed");
            Ok(Verdict::Code(OWN_FAILURE))
        }
        Err(Failure::Work(message)) => {
            eprintln!("handroll: {message}");
            Ok(Verdict::Code(OWN_FAILURE))
        }
        Err(usage) => Err(usage),
    }
}

impl RunArgs {
    fn has_terminal(&self) -> Result<bool, Failure> {
        let has_both = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        match self.tty && !std::io::stdin().is_terminal() {
            true => Err(Failure::Usage("--tty: standard input is no terminal".to_owned())),
            false => Ok(!self.no_tty && (self.tty || has_both)),
        }
    }
}

/// Goes into namespaces in which nobody else sees the mounts. The name of the user namespace, if it is one.
fn enter() -> Result<Option<String>, Failure> {
    if may_mount() {
        unshare_mounts().map_err(Failure::work)?;
        return user_namespace().map_err(Failure::work);
    }
    let namespace = enter_user_namespace(MappedIds::Subordinate).map_err(Failure::work)?;
    if let Some(reason) = namespace.single {
        eprintln!("handroll: only your own user and group are mapped: {reason}");
    }
    Ok(Some(namespace.name))
}

fn run_container(arguments: &RunArgs) -> Result<Ended, Failure> {
    let has_terminal = arguments.has_terminal()?;
    let base = arguments.place.base()?;
    let (image, document) = session::open_with_config(&arguments.image)?;
    let config = container::config(document.as_ref())?;
    let blobs = layers::mountable(&image)?;
    let program = find_runtime(arguments.runtime.as_deref()).map_err(Failure::Work)?;
    let namespace = enter()?;
    let ids = match namespace {
        None => Users::Same,
        Some(_) => {
            let maps = |file| id_maps(file).map_err(Failure::work);
            Users::Inside(maps("uid_map")?, maps("gid_map")?)
        }
    };
    let request = arguments.container.request(has_terminal, ids)?;
    let (kind, powers) = layers::kind_of(namespace, false);
    let place = Place::open(&base, &kind, powers).map_err(Failure::work)?;
    let users = place.users().map_err(Failure::work)?;
    let stack = layers::unpack(&place, &blobs)?;
    layers::tell_left_out(&stack);
    // From here on there is something to clean up.
    let held = Held::new().map_err(Failure::work)?;
    let (mut session, upper) = place.session(None).map_err(Failure::work)?;
    session.watch().map_err(Failure::work)?;
    let runtime = session.runtime(&program).map_err(Failure::work)?;
    session.share_lock().map_err(Failure::work)?;
    users.share().map_err(Failure::work)?;
    let bundle = Bundle::at(directory(&session.directory().join("bundle"))?);
    let rootfs = &bundle.rootfs();
    directory(rootfs)?;
    let root = RootMount::new(&place, &stack, &upper, powers)?;
    let (mounted, spec) = root.mount(rootfs, &config, &request)?;
    bundle.write(&spec).map_err(Failure::work)?;
    let id = format!("handroll-{}", std::process::id());
    if let Some(signal) = held.stopped() {
        return Err(Failure::Signal(signal.as_raw()));
    }
    let ended = runtime.run(&id, &held);
    drop(mounted);
    session.free().map_err(Failure::work)?;
    ended.map_err(|error| Failure::Work(format!("{}: {error}", program.display())))
}

fn directory(path: &Path) -> Result<&Path, Failure> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(Failure::work)?;
    Ok(path)
}
