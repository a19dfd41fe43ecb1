//! `handroll bundle`: an OCI runtime bundle of an image.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use clap::Args;
use handroll::native::{Bundle, LayerBlob, Place, may_mount, remove_tree, user_namespace};
use handroll::runtime::{IdMapping, ImageConfig, Request, Users};
use rustix::process::{getegid, geteuid};

use super::container::{self, ContainerArgs, RootMount};
use super::layers::{self, PlaceArgs};
use super::open::ImageArgs;
use super::{Failure, Verdict, session, unpack};

/// Make an OCI runtime bundle of an image, for `runc run --bundle DIR ID`
#[derive(Args, Debug)]
#[command(
    after_help = "As root, DIR/rootfs is an overlay mount, which `handroll umount DIR/rootfs` takes away with what was \
                  written to it. Without root it is unpacked, everything in it is yours, and config.json asks for a user \
                  namespace in which you are root. DIR is made for its owner alone."
)]
pub struct BundleArgs {
    #[command(flatten)]
    pub image: ImageArgs,
    /// Where: a directory that is empty or not there
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Unpack the root file system instead of mounting it
    #[arg(long)]
    pub unpack: bool,
    /// Give the container a terminal
    #[arg(short, long)]
    pub tty: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub container: ContainerArgs,
}

/// Runs the subcommand.
pub fn run(arguments: &BundleArgs) -> Result<Verdict, Failure> {
    let (image, document) = session::open_with_config(&arguments.image)?;
    let config = container::config(document.as_ref())?;
    let is_root = geteuid().is_root();
    let users = match is_root {
        true => Users::Same,
        false => own_ids(geteuid().as_raw(), getegid().as_raw()),
    };
    let request = arguments.container.request(arguments.tty, users)?;
    let blobs = layers::blobs(&image)?;
    let is_unpacked = arguments.unpack || !is_root;
    if !is_unpacked && !may_mount() {
        return Err(Failure::Work(
            "mounting the root file system needs CAP_SYS_ADMIN: give --unpack".to_owned(),
        ));
    }
    let base = match is_unpacked {
        true => None,
        false => Some(arguments.place.base()?),
    };
    let made = Made::new(&arguments.directory)?;
    let bundle = Bundle::at(&made.directory);
    match base {
        None => unpacked(&blobs, &bundle, &config, &request)?,
        Some(base) => mounted(&base, &blobs, &bundle, &config, &request)?,
    }
    println!("{}: {}", made.directory.display(), layers::count(blobs.len()));
    match is_unpacked {
        true => println!("{}: unpacked", bundle.rootfs().display()),
        false => println!(
            "{0}: mounted; `handroll umount {0}` takes it away, with what was written to it",
            bundle.rootfs().display()
        ),
    }
    println!("start it: runc run --bundle {} NAME", made.directory.display());
    made.keep();
    Ok(Verdict::Fine)
}

/// A user namespace in which root is this user, and nobody else is there.
fn own_ids(uid: u32, gid: u32) -> Users {
    let own = |host_id| {
        vec![IdMapping {
            container_id: 0,
            host_id,
            size: 1,
        }]
    };
    Users::New(own(uid), own(gid))
}

/// The bundle's directory, which is removed with the value, unless it is kept.
struct Made {
    directory: PathBuf,
    was_there: bool,
    is_kept: bool,
}

impl Made {
    fn new(path: &Path) -> Result<Self, Failure> {
        let fail = |reason: &dyn std::fmt::Display| Failure::Work(format!("{}: {reason}", path.display()));
        let was_there = match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => false,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => true,
            Err(error) => return Err(fail(&error)),
        };
        let mut entries = fs::read_dir(path).map_err(|error| fail(&error))?;
        if entries.next().is_some() {
            return Err(fail(&"it is not empty; expected an empty directory, or none"));
        }
        let directory = fs::canonicalize(path).map_err(|error| fail(&error))?;
        fs::set_permissions(&directory, Permissions::from_mode(0o700)).map_err(|error| fail(&error))?;
        Ok(Self {
            directory,
            was_there,
            is_kept: false,
        })
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // Whoever failed before has taken away what was in it, or has said why not.
        let _ = fs::remove_file(self.directory.join("config.json"));
        let _ = fs::remove_dir(self.directory.join("rootfs"));
        if !self.was_there {
            let _ = fs::remove_dir(&self.directory);
        }
    }
}

fn unpacked(
    blobs: &[LayerBlob],
    bundle: &Bundle,
    config: &ImageConfig,
    request: &Request,
) -> Result<(), Failure> {
    let rootfs = bundle.rootfs();
    let root = unpack::to_directory(blobs, &rootfs, unpack::enter()?)?;
    layers::tell(&root.left_out);
    let written =
        container::spec(config, request, &rootfs).and_then(|spec| bundle.write(&spec).map_err(Failure::work));
    if written.is_err() {
        remove_tree(&rootfs).map_err(Failure::work)?;
    }
    written
}

fn mounted(
    base: &Path,
    blobs: &[LayerBlob],
    bundle: &Bundle,
    config: &ImageConfig,
    request: &Request,
) -> Result<(), Failure> {
    let (kind, powers) = layers::kind_of(user_namespace().map_err(Failure::work)?, false);
    let place = Place::open(base, &kind, powers).map_err(Failure::work)?;
    let _users = place.users().map_err(Failure::work)?;
    let stack = layers::unpack(&place, blobs)?;
    layers::tell_left_out(&stack);
    let rootfs = bundle.rootfs();
    fs::create_dir(&rootfs).map_err(Failure::work)?;
    let (session, upper) = place.session(None).map_err(Failure::work)?;
    session.record(&rootfs).map_err(Failure::work)?;
    let root = RootMount::new(&place, &stack, &upper, powers)?;
    let (mounted, spec) = root.mount(&rootfs, config, request)?;
    bundle.write(&spec).map_err(Failure::work)?;
    mounted.keep();
    session.keep();
    Ok(())
}
