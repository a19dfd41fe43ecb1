//! `handroll inspect`: what an image says of itself, and whether it is true.

use std::fmt::Write as _;

use clap::Args;
use handroll::image::catalog::Catalog;
use handroll::image::inspect::{ImageReport, Inspection, LayerReport, inspect};
use handroll::text::escape;

use super::open::{ImageArgs, open};
use super::progress::Progress;
use super::{Failure, Verdict};

/// Show an image, and verify every digest in it
#[derive(Args, Debug)]
#[command(
    after_help = "Exit code 1 if something in it is not what the image says it is, or if there is no image in it."
)]
pub struct InspectArgs {
    #[command(flatten)]
    pub image: ImageArgs,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the subcommand.
pub fn run(arguments: &InspectArgs) -> Result<Verdict, Failure> {
    let mut catalog = open(&arguments.image.file)?;
    let chosen = arguments.image.choice.all(&catalog)?;
    let titles = titles(&catalog);
    let mut number = 0..;
    catalog
        .images
        .retain(|_| number.next().is_some_and(|number| chosen.contains(&number)));
    let mut progress = Progress::new();
    let inspected = inspect(&catalog, &mut |done, total| {
        progress.show("verifying", done, total)
    });
    drop(progress);
    let inspection = inspected.map_err(Failure::work)?;
    let titles: Vec<_> = chosen.iter().map(|&number| titles[number]).collect();
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&inspection).map_err(Failure::work)? + "\n",
        false => describe(&inspection, &titles),
    };
    super::output::print(&text)?;
    match inspection.verified() && !inspection.images.is_empty() {
        true => Ok(Verdict::Fine),
        false => Ok(Verdict::Findings),
    }
}

/// What tells an image from the others in its archive.
#[derive(Clone, Copy)]
struct Title {
    number: usize,
    of: usize,
    /// The number of its lowest layer, counted through all images.
    first_layer: usize,
}

fn titles(catalog: &Catalog) -> Vec<Title> {
    let mut first_layer = 1;
    let images = (1..).zip(&catalog.images).map(|(number, image)| {
        let title = Title {
            number,
            of: catalog.images.len(),
            first_layer,
        };
        first_layer += image.layers.len();
        title
    });
    images.collect()
}

fn describe(inspection: &Inspection, titles: &[Title]) -> String {
    let mut text = String::new();
    for (image, title) in inspection.images.iter().zip(titles) {
        describe_image(&mut text, inspection.format, image, *title).expect("a string takes all");
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

fn describe_image(out: &mut String, format: &str, image: &ImageReport, title: Title) -> std::fmt::Result {
    let shown = |text: &str| escape(text.as_bytes());
    let names = match image.names.is_empty() {
        true => "(no name)".to_owned(),
        false => shown(&image.names.join(", ")),
    };
    if title.of > 1 {
        writeln!(out, "image     {} of {}", title.number, title.of)?;
    }
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
    for (number, layer) in (1..).zip(&image.layers) {
        describe_layer(out, number, layer)?;
        if title.first_layer > 1 {
            writeln!(out, "  id      {}", title.first_layer + number - 1)?;
        }
    }
    Ok(())
}

fn describe_layer(out: &mut String, number: usize, layer: &LayerReport) -> std::fmt::Result {
    let digest = layer.digest.as_deref().unwrap_or("(no digest)");
    match layer.size {
        Some(size) => writeln!(out, "layer {number}   {digest} ({size} bytes)")?,
        None => writeln!(out, "layer {number}   {digest}")?,
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
