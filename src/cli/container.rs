//! What `bundle` and `run` have in common: how a container is asked for, and its configuration.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;
use handroll::image::json::Document;
use handroll::native::{
    MountApi, Mounted, OverlayMount, OverlayOptions, Place, Powers, RootView, UnpackedLayer, Upper,
};
use handroll::runtime::{Arguments, ImageConfig, Manner, Request, Spec, Users, convert, unsafe_labels};
use handroll::text::escape;

use super::Failure;

/// What a container has beside what its image says.
#[derive(Args, Debug)]
pub struct ContainerArgs {
    /// Set a variable, or take one of the image's away by its name alone
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub env: Vec<String>,
    /// Run as this user instead of the image's
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Start in this directory instead of the image's
    #[arg(short, long, alias = "working-dir", value_name = "PATH")]
    pub workdir: Option<String>,
    /// Nobody can write to the root file system
    #[arg(long)]
    pub read_only: bool,
    /// Run this instead of the image's Cmd; the image's Entrypoint stays in front of it
    #[arg(value_name = "CMD", last = true)]
    pub command: Vec<OsString>,
}

impl ContainerArgs {
    /// What is asked for.
    pub fn request(&self, terminal: bool, users: Users) -> Result<Request, Failure> {
        let text = |argument: &OsString| {
            let text = argument.to_str().map(str::to_owned);
            text.ok_or_else(|| {
                Failure::Usage(format!("{}: a config.json holds UTF-8 only", argument.display()))
            })
        };
        let command: Vec<String> = self.command.iter().map(text).collect::<Result<_, _>>()?;
        Ok(Request {
            arguments: match command.is_empty() {
                true => Arguments::Image,
                false => Arguments::Cmd(command),
            },
            env: self.env.clone(),
            cwd: self.workdir.clone(),
            user: self.user.clone(),
            terminal,
            read_only: self.read_only,
            users,
            ..Request::new(Manner::Specification)
        })
    }
}

/// An image's configuration; the tar of a layer says nothing. Labels that are not passed on are told.
pub fn config(document: Option<&Document>) -> Result<ImageConfig, Failure> {
    let config = document.map_or_else(|| Ok(ImageConfig::default()), ImageConfig::read);
    let config = config.map_err(Failure::work)?;
    for label in unsafe_labels(&config) {
        let label = escape(label.as_bytes());
        eprintln!("handroll: the label `{label}` does not become an annotation: runtimes act on it");
    }
    Ok(config)
}

/// The runtime's configuration for a root file system that is there.
pub fn spec(config: &ImageConfig, request: &Request, rootfs: &Path) -> Result<Spec, Failure> {
    let view = RootView::open(rootfs)
        .map_err(|errno| Failure::Work(format!("{}: {}", rootfs.display(), std::io::Error::from(errno))))?;
    convert(config, request, &view).map_err(Failure::work)
}

/// Layers as containerd mounts them for a container: set-user-id programs and devices count, so nobody else may be able
/// to look at the mount.
pub struct RootMount {
    overlay: OverlayMount,
}

impl RootMount {
    /// Layers, bottom first, under an upper directory.
    pub fn new(
        place: &Place,
        stack: &[UnpackedLayer],
        upper: &Upper,
        powers: Powers,
    ) -> Result<Self, Failure> {
        let empty = match stack {
            [] => Some(place.empty(0).map_err(Failure::work)?),
            _ => None,
        };
        let overlay = |api| {
            let options = OverlayOptions {
                userxattr: powers.userxattr,
                api,
                ..OverlayOptions::default()
            };
            let layers = stack.iter().rev().map(|layer| &layer.directory).chain(&empty);
            let overlay = layers.fold(OverlayMount::new(options), OverlayMount::lower);
            overlay.upper(&upper.upper, &upper.work)
        };
        // So that mountinfo says what it says in containerd's containers; few layers fit in.
        let by_string = overlay(MountApi::OptionString);
        Ok(Self {
            overlay: match by_string.option_string() {
                Ok(_) => by_string,
                Err(_) => overlay(MountApi::Best),
            },
        })
    }

    /// Mounts it, and tells the configuration for a container in it. It is mounted once to look at users, and once more
    /// for the container, as containerd has it: the kernel does not show `uuid=on` the second time.
    pub fn mount(
        &self,
        rootfs: &Path,
        config: &ImageConfig,
        request: &Request,
    ) -> Result<(Mounted, Spec), Failure> {
        let mounted = self.overlay.mount(rootfs).map_err(Failure::work)?;
        let spec = spec(config, request, rootfs)?;
        mounted.unmount().map_err(Failure::work)?;
        Ok((self.overlay.mount(rootfs).map_err(Failure::work)?, spec))
    }
}
