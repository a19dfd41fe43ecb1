//! `handroll unpack`: an image's root file system in a directory.

use std::path::{Path, PathBuf};

use clap::Args;
use handroll::native::{
    LayerBlob, LeftOut, MappedIds, Powers, UnpackError, UnpackedRoot, enter_user_namespace, unpack,
    user_namespace,
};
use serde::Serialize;

use super::open::ImageArgs;
use super::progress::Progress;
use super::{Failure, Verdict, layers, output, session};

/// Unpack an image's root file system to a directory
#[derive(Args, Debug)]
#[command(
    after_help = "The directory appears when it is complete; it is filled beside its place, in .NAME.handroll. Without \
                  root everything in it belongs to you, there are no devices, and what could not be kept is listed. As \
                  root, set-user-id programs and devices of the image are set-user-id programs and devices of this \
                  machine: unpack images that you do not trust where others cannot look."
)]
pub struct UnpackArgs {
    #[command(flatten)]
    pub image: ImageArgs,
    /// Where: a directory that is empty or not there
    #[arg(value_name = "DIR")]
    pub target: PathBuf,
    /// Print what was unpacked, and what could not be kept, as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the subcommand.
pub fn run(arguments: &UnpackArgs) -> Result<Verdict, Failure> {
    let image = session::open_image(&arguments.image)?;
    let blobs = layers::blobs(&image)?;
    let unpacked = to_directory(&blobs, &arguments.target, enter()?)?;
    match arguments.json {
        true => output::stdout(|out| {
            serde_json::to_writer(&mut *out, &Report::of(&unpacked, blobs.len()))
                .map_err(std::io::Error::from)?;
            out.write_all(b"\n")
        })?,
        false => {
            layers::tell(&unpacked.left_out);
            let count = layers::count(blobs.len());
            println!("{}: {count} unpacked", unpacked.directory.display());
        }
    }
    Ok(Verdict::Fine)
}

/// Goes into a user namespace if this is not root, and tells what is kept here.
pub fn enter() -> Result<Powers, Failure> {
    let is_confined = match rustix::process::geteuid().is_root() {
        true => user_namespace().map_err(Failure::work)?.is_some(),
        false => {
            enter_user_namespace(MappedIds::Own).map_err(Failure::work)?;
            true
        }
    };
    Ok(Powers {
        userxattr: false,
        is_confined,
    })
}

/// Unpacks layers to a directory.
pub fn to_directory(blobs: &[LayerBlob], target: &Path, powers: Powers) -> Result<UnpackedRoot, Failure> {
    let mut progress = Progress::new();
    let unpacked = unpack(blobs, target, powers, &mut |done, total| {
        progress.show("unpacking layers", done, total);
    });
    drop(progress);
    unpacked.map_err(|error| match error {
        UnpackError::Layer(error) => layers::failure(error),
        error => Failure::work(error),
    })
}

/// What was unpacked. Stable in `--json`: fields are added, never changed.
#[derive(Serialize)]
struct Report {
    directory: String,
    layers: usize,
    chain_id: Option<String>,
    left_out: LeftOutReport,
}

/// What could not be kept, with names escaped.
#[derive(Serialize)]
struct LeftOutReport {
    owners: Vec<OwnerReport>,
    devices: Vec<String>,
    xattrs: Vec<XattrReport>,
}

#[derive(Serialize)]
struct OwnerReport {
    uid: u32,
    gid: u32,
    files: u64,
}

#[derive(Serialize)]
struct XattrReport {
    name: String,
    files: u64,
}

impl Report {
    fn of(unpacked: &UnpackedRoot, layers: usize) -> Self {
        let LeftOut {
            owners,
            devices,
            xattrs,
        } = &unpacked.left_out;
        let escape = handroll::text::escape;
        let owner = |(&(uid, gid), &files)| OwnerReport { uid, gid, files };
        let xattr = |(name, &files): (&Vec<u8>, &u64)| XattrReport {
            name: escape(name),
            files,
        };
        Self {
            directory: unpacked.directory.display().to_string(),
            layers,
            chain_id: unpacked.chain_id.map(|digest| digest.to_string()),
            left_out: LeftOutReport {
                owners: owners.iter().map(owner).collect(),
                devices: devices.iter().map(|path| escape(path)).collect(),
                xattrs: xattrs.iter().map(xattr).collect(),
            },
        }
    }
}
