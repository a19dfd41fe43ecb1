//! `handroll mount` and `handroll umount`: an image by the kernel's own overlayfs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};
use handroll::native::{
    Held, MappedIds, MountApi, Mounted, OverlayMount, OverlayOptions, Place, Powers, Pruned, RedirectDir,
    Session, UnpackedLayer, Upper, enter_user_namespace, kinds, may_mount, prune, run_to_end, unmount_at,
    unshare_mounts, user_namespace,
};

use super::layers::{self, PlaceArgs, code_of, kind_of, mountable, tell_left_out, unpack};
use super::open::ImageArgs;
use super::{Failure, Verdict, session};

/// Mount an image by the kernel's overlayfs
#[derive(Args, Debug)]
#[command(
    after_help = "Layers are unpacked once, into a private place: /var/lib/handroll for root, \
                        $XDG_DATA_HOME/handroll for others. Without root give a command: it runs in a user \
                        namespace, and the mount is gone when it ends, as it is not seen outside."
)]
pub struct MountArgs {
    #[command(flatten)]
    pub image: ImageArgs,
    /// Where
    #[arg(value_name = "DIR")]
    pub target: PathBuf,
    /// Write into this directory, which stays; a work directory comes beside it [default: a private one, which
    /// `umount` removes]
    #[arg(long, value_name = "DIR", conflicts_with = "read_only")]
    pub upper: Option<PathBuf>,
    /// Nobody can write
    #[arg(long)]
    pub read_only: bool,
    /// Whether renamed directories are redirected [default: as the kernel is configured]
    #[arg(long, value_name = "on|nofollow")]
    pub redirect_dir: Option<Redirect>,
    /// Keep overlayfs's marks in xattrs of users; always so in a user namespace
    #[arg(long)]
    pub userxattr: bool,
    /// Let set-user-id programs and devices of the image work for everybody who sees the mount
    #[arg(long)]
    pub trusted: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    /// The kernel's interface, for tests
    #[arg(long, hide = true, value_enum, default_value = "best")]
    pub mount_api: Api,
    /// Run this, in mounts of its own, and unmount when it ends
    #[arg(value_name = "CMD", last = true)]
    pub command: Vec<OsString>,
}

/// Unmount what `handroll mount` mounted, and remove its private upper directory
#[derive(Args, Debug)]
pub struct UmountArgs {
    /// Where
    #[arg(value_name = "DIR", required_unless_present = "prune")]
    pub target: Option<PathBuf>,
    /// Remove the unpacked layers that no mount needs, after unmounting if a DIR is given
    #[arg(long)]
    pub prune: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum Redirect {
    On,
    Nofollow,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum Api {
    Best,
    Descriptors,
    Paths,
    String,
}

impl MountArgs {
    fn options(&self, powers: Powers) -> OverlayOptions {
        // What only the command sees can harm nobody else.
        let is_seen = self.command.is_empty();
        OverlayOptions {
            redirect_dir: match self.redirect_dir {
                None => RedirectDir::Default,
                Some(Redirect::On) => RedirectDir::On,
                Some(Redirect::Nofollow) => RedirectDir::NoFollow,
            },
            userxattr: powers.userxattr,
            volatile: false,
            read_only: self.read_only,
            no_suid: is_seen && !self.trusted,
            no_dev: is_seen && !self.trusted,
            api: match self.mount_api {
                Api::Best => MountApi::Best,
                Api::Descriptors => MountApi::Descriptors,
                Api::Paths => MountApi::Paths,
                Api::String => MountApi::OptionString,
            },
        }
    }
}

/// Runs `handroll mount`.
pub fn run(arguments: &MountArgs) -> Result<Verdict, Failure> {
    let base = arguments.place.base()?;
    check_target(&arguments.target)?;
    let is_able = may_mount();
    if !is_able && arguments.command.is_empty() {
        return Err(Failure::Work(format!(
            "mounting at {} needs root (CAP_SYS_ADMIN): run this as root, or give a command, which runs in a user \
             namespace: handroll mount IMAGE DIR -- CMD …",
            arguments.target.display()
        )));
    }
    let image = session::open_image(&arguments.image)?;
    let blobs = mountable(&image)?;
    let (kind, powers) = enter(arguments, is_able)?;
    let place = Place::open(&base, &kind, powers).map_err(Failure::work)?;
    let users = place.users().map_err(Failure::work)?;
    let stack = unpack(&place, &blobs)?;
    tell_left_out(&stack);
    let (mounted, own) = mount(arguments, &place, &stack, powers)?;
    match arguments.command.is_empty() {
        true => {
            announce(&mounted, own.as_ref(), arguments, stack.len());
            mounted.keep();
            if let Some((session, _)) = own {
                session.keep();
            }
            Ok(Verdict::Fine)
        }
        false => {
            users.share().map_err(Failure::work)?;
            run_command(&arguments.command, mounted, own.map(|(session, _)| session))
        }
    }
}

/// Goes into the namespaces that are needed. The kind of layers that there are there, and what is kept of them.
fn enter(arguments: &MountArgs, is_able: bool) -> Result<(String, Powers), Failure> {
    let namespace = match is_able {
        true => user_namespace().map_err(Failure::work)?,
        false => {
            let namespace = enter_user_namespace(MappedIds::Subordinate).map_err(Failure::work)?;
            if let Some(reason) = namespace.single {
                eprintln!("handroll: only your own user and group are mapped: {reason}");
            }
            Some(namespace.name)
        }
    };
    if is_able && !arguments.command.is_empty() {
        unshare_mounts().map_err(Failure::work)?;
    }
    Ok(kind_of(namespace, arguments.userxattr))
}

fn check_target(target: &Path) -> Result<(), Failure> {
    let fail = |reason: &str| {
        Err(Failure::Work(format!(
            "the mount point {}: {reason}",
            target.display()
        )))
    };
    match std::fs::metadata(target) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => fail("it is not a directory"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fail("it is not there; make the directory first")
        }
        Err(error) => fail(&error.to_string()),
    }
}

/// The mount, and what it writes to.
fn mount(
    arguments: &MountArgs,
    place: &Place,
    stack: &[UnpackedLayer],
    powers: Powers,
) -> Result<(Mounted, Option<(Session, Upper)>), Failure> {
    let mut overlay = OverlayMount::new(arguments.options(powers));
    for layer in stack.iter().rev() {
        overlay = overlay.lower(&layer.directory);
    }
    // The kernel wants one lower directory, and two if there is no upper one.
    let wanted = 1 + usize::from(arguments.read_only);
    for number in stack.len()..wanted {
        overlay = overlay.lower(place.empty(number).map_err(Failure::work)?);
    }
    let mut own = None;
    if !arguments.read_only {
        let (session, upper) = place.session(arguments.upper.as_deref()).map_err(Failure::work)?;
        overlay = overlay.upper(&upper.upper, &upper.work);
        if arguments.command.is_empty() {
            let target = std::fs::canonicalize(&arguments.target).map_err(Failure::work)?;
            session.record(&target).map_err(Failure::work)?;
        } else {
            session.share_lock().map_err(Failure::work)?;
        }
        own = Some((session, upper));
    }
    let mounted = overlay.mount(&arguments.target).map_err(Failure::work)?;
    Ok((mounted, own))
}

fn announce(mounted: &Mounted, own: Option<&(Session, Upper)>, arguments: &MountArgs, layers: usize) {
    let target = mounted.target().display();
    println!("{target}: {} mounted", layers::count(layers));
    match (own, &arguments.upper) {
        (None, _) => println!("read-only"),
        (Some((_, upper)), Some(_)) => println!("writes go to {}", upper.upper.display()),
        (Some((_, upper)), None) => println!(
            "writes go to {}, which `handroll umount` removes",
            upper.upper.display()
        ),
    }
}

/// Runs the command in these mounts, unmounts, and ends as it ended.
fn run_command(command: &[OsString], mounted: Mounted, own: Option<Session>) -> Result<Verdict, Failure> {
    let (program, arguments) = command.split_first().expect("there is a command");
    // Until all is cleaned up.
    let held = Held::new().map_err(Failure::work)?;
    let ended = run_to_end(Command::new(program).args(arguments), &held);
    drop(mounted);
    if let Some(session) = own {
        session.free().map_err(Failure::work)?;
    }
    match ended {
        Ok(status) => Ok(Verdict::Code(code_of(status))),
        Err(error) => {
            eprintln!("handroll: {}: {error}", program.display());
            // As shells have it: not found, or not to be run.
            Ok(Verdict::Code(match error.kind() {
                std::io::ErrorKind::NotFound => 127,
                _ => 126,
            }))
        }
    }
}

/// Runs `handroll umount`.
pub fn run_umount(arguments: &UmountArgs) -> Result<Verdict, Failure> {
    let base = arguments.place.base()?;
    if let Some(target) = &arguments.target {
        umount(&base, target)?;
    }
    match arguments.prune {
        true => prune_place(&base),
        false => Ok(Verdict::Fine),
    }
}

fn umount(base: &Path, target: &Path) -> Result<(), Failure> {
    let unmounted = unmount_at(base, target).map_err(Failure::work)?;
    let target = unmounted.target.display();
    match unmounted.was_mounted {
        true => println!("{target}: unmounted"),
        false => println!("{target}: nothing was mounted there any more"),
    }
    match (&unmounted.kept_upper, unmounted.freed_upper) {
        (Some(upper), _) => println!("what was written is in {}", upper.display()),
        (None, true) => println!("its private upper directory is removed"),
        (None, false) => {}
    }
    Ok(())
}

/// Removes the layers that nothing needs: root's all, those of others as they were unpacked, in their namespace.
fn prune_place(base: &Path) -> Result<Verdict, Failure> {
    if !base.is_dir() {
        println!("no layers are unpacked");
        return Ok(Verdict::Fine);
    }
    let kinds = match may_mount() {
        true => kinds(base).map_err(Failure::work)?,
        false => {
            let own = enter_user_namespace(MappedIds::Subordinate)
                .map_err(Failure::work)?
                .name;
            let mut kinds = kinds(base).map_err(Failure::work)?;
            kinds.retain(|kind| *kind == own);
            kinds
        }
    };
    let (mut all_removed, mut all_kept) = (0, 0);
    for kind in kinds {
        match prune(base, &kind).map_err(Failure::work)? {
            Pruned::Done { removed, kept } => {
                all_removed += removed;
                all_kept += kept;
            }
            Pruned::InUse => {
                println!(
                    "{kind}: nothing is removed: a command runs in a mount of its own, or one is being made"
                );
            }
            Pruned::Unknown(target) => println!(
                "{kind}: nothing is removed: what is mounted at {} does not say with which layers",
                target.display()
            ),
        }
    }
    println!("removed {}, {all_kept} in use", layers::count(all_removed));
    Ok(Verdict::Fine)
}
