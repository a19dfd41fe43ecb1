//! `handroll cat`: a file of an image.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use clap::Args;
use handroll::layer::Bytes;

use super::open::ImageArgs;
use super::output;
use super::place::{LayerArgs, Place};
use super::{Failure, Verdict};

/// Write a file of an image to standard output
#[derive(Args, Debug)]
#[command(
    after_help = "Symbolic links are followed as in a container: inside of the image, or of the layer."
)]
pub struct CatArgs {
    #[command(flatten)]
    pub image: ImageArgs,
    /// The file
    #[arg(value_name = "PATH")]
    pub path: OsString,
    #[command(flatten)]
    pub layer: LayerArgs,
}

/// Runs the subcommand.
pub fn run(arguments: &CatArgs) -> Result<Verdict, Failure> {
    let place = Place::open(&arguments.image, &arguments.layer)?;
    let content = place.content(&place.stack(), arguments.path.as_bytes())?;
    output::stdout(|out| output::parts(vec![Bytes::Content(content)], out))?;
    Ok(place.verdict)
}
