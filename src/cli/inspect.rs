//! `handroll inspect`: what an image says of itself, and whether it is true.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use handroll::image::inspect::{ImageReport, Inspection, LayerReport, inspect};
use handroll::text::escape;

use super::open::{IMAGE_HELP, open_image};
use super::{Failure, Verdict};

/// Show an image, and verify every digest in it
#[derive(Args, Debug)]
#[command(after_help = "Exit code 1 if something in it is not what the image says it is.")]
pub struct InspectArgs {
    #[arg(value_name = "IMAGE", help = IMAGE_HELP)]
    pub image: PathBuf,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the subcommand.
pub fn run(arguments: &InspectArgs) -> Result<Verdict, Failure> {
    let catalog = open_image(&arguments.image)?;
    let inspection = inspect(&catalog).map_err(Failure::work)?;
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&inspection).map_err(Failure::work)? + "\n",
        false => describe(&inspection),
    };
    super::output::print(&text)?;
    match inspection.verified() {
        true => Ok(Verdict::Fine),
        false => Ok(Verdict::Findings),
    }
}

fn describe(inspection: &Inspection) -> String {
    let mut text = String::new();
    for image in &inspection.images {
        describe_image(&mut text, inspection.format, image).expect("a string takes all");
        text.push('\n');
    }
    if inspection.images.is_empty() {
        text.push_str("no images\n");
    }
    for problem in &inspection.problems {
        let place = match (&problem.file, &problem.pointer) {
            (Some(file), Some(pointer)) => format!("{file} {}: ", escape(pointer.as_bytes())),
            (Some(file), None) => format!("{file}: "),
            (None, _) => String::new(),
        };
        writeln!(
            text,
            "{}: {place}{} ({})",
            problem.severity, problem.message, problem.clause
        )
        .expect("a string takes all");
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn describe_image(out: &mut String, format: &str, image: &ImageReport) -> std::fmt::Result {
    let shown = |text: &str| escape(text.as_bytes());
    let names = match image.names.is_empty() {
        true => "(no name)".to_owned(),
        false => shown(&image.names.join(", ")),
    };
    writeln!(out, "name      {names}")?;
    writeln!(out, "format    {format}")?;
    let platform = image.platform.as_deref().unwrap_or("(not said)");
    writeln!(out, "platform  {}", shown(platform))?;
    if let Some(digest) = image.manifest_digest {
        writeln!(out, "manifest  {digest}")?;
    }
    if let Some(digest) = image.config_digest {
        writeln!(out, "config    {digest}")?;
    }
    let config = image.config.as_ref().and_then(|config| config.get("config"));
    for (field, value) in config.and_then(|config| config.as_object()).into_iter().flatten() {
        writeln!(out, "  {}: {value}", shown(field))?;
    }
    for (index, layer) in image.layers.iter().enumerate() {
        describe_layer(out, index, layer)?;
    }
    Ok(())
}

fn describe_layer(out: &mut String, index: usize, layer: &LayerReport) -> std::fmt::Result {
    let digest = layer.digest.as_deref().unwrap_or("(no digest)");
    match layer.size {
        Some(size) => writeln!(out, "layer {index}   {digest} ({size} bytes)")?,
        None => writeln!(out, "layer {index}   {digest}")?,
    }
    let diff_id = layer.diff_id.as_deref().unwrap_or("(not said)");
    writeln!(out, "  diff id {diff_id}")?;
    if let Some(chain_id) = layer.chain_id {
        writeln!(out, "  chain   {chain_id}")?;
    }
    writeln!(out, "  type    {}", escape(layer.media_type.as_bytes()))?;
    match &layer.problem {
        None => writeln!(out, "  verified"),
        Some(problem) => writeln!(out, "  NOT VERIFIED: {problem}"),
    }
}
