//! `handroll inspect`: what an image says of itself, and whether it is true.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use handroll::content::{Content, ContentError, ScratchSpace as _};
use handroll::image::inspect::{ImageReport, Inspection, inspect};
use handroll::image::open::{Files, TarFiles};
use handroll::native::{FileSource, TemporaryFiles};

use super::{Failure, Verdict};

/// Show an image, and verify every digest in it
#[derive(Args, Debug)]
#[command(after_help = "Exit code 1 if a layer is not what the image says it is.")]
pub struct InspectArgs {
    /// An OCI layout (a directory or a tar), a `docker save` tar, plain or gzip, or `-` for standard input
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the subcommand.
pub fn run(arguments: &InspectArgs) -> Result<Verdict, Failure> {
    let shown = arguments.image.display();
    let fail = |error: &dyn std::fmt::Display| Failure::Work(format!("{shown}: {error}"));
    let inspection = match &arguments.image {
        path if path.is_dir() => inspect(&Layout(path)),
        path => {
            let content = if path.as_os_str() == "-" {
                standard_input()
            } else {
                open(path)
            };
            let content = content.map_err(|error| fail(&error))?;
            let files = TarFiles::index(&content, &TemporaryFiles).map_err(|error| fail(&error))?;
            inspect(&files)
        }
    };
    let inspection = inspection.map_err(|error| fail(&error))?;
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

fn open(path: &Path) -> Result<Content, ContentError> {
    let source = FileSource::open(path).map_err(|error| ContentError::Read {
        name: path.display().to_string(),
        offset: 0,
        length: 0,
        reason: error.to_string(),
    })?;
    Ok(Content::whole(Arc::new(source)))
}

/// All of standard input, kept in scratch: an archive has to be read out of order.
fn standard_input() -> Result<Content, ContentError> {
    let scratch = TemporaryFiles.create()?;
    let mut window = vec![0; 1 << 20];
    let mut input = io::stdin().lock();
    let mut offset = 0;
    loop {
        let length = input.read(&mut window).map_err(|error| ContentError::Read {
            name: "standard input".to_owned(),
            offset,
            length: window.len() as u64,
            reason: error.to_string(),
        })?;
        if length == 0 {
            return Ok(Content::whole(scratch));
        }
        scratch.append(&window[..length])?;
        offset += length as u64;
    }
}

/// A layout in a directory.
struct Layout<'a>(&'a Path);

impl Files for Layout<'_> {
    fn open(&self, path: &str) -> Result<Option<Content>, ContentError> {
        // Names come from the image: none may lead out of the directory.
        let unsafe_name = path.starts_with('/') || path.split('/').any(|part| part == "..");
        let path = self.0.join(path);
        match !unsafe_name && path.is_file() {
            true => open(&path).map(Some),
            false => Ok(None),
        }
    }
}

fn describe(inspection: &Inspection) -> String {
    let mut text = String::new();
    for (index, image) in inspection.images.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        describe_image(&mut text, inspection.format, image).expect("a string takes all");
    }
    if inspection.images.is_empty() {
        text.push_str("no images\n");
    }
    text
}

fn describe_image(out: &mut String, format: &str, image: &ImageReport) -> std::fmt::Result {
    let names = match image.names.is_empty() {
        true => "(no name)".to_owned(),
        false => image.names.join(", "),
    };
    writeln!(out, "name      {names}")?;
    writeln!(out, "format    {format}")?;
    writeln!(
        out,
        "platform  {}",
        image.platform.as_deref().unwrap_or("(not said)")
    )?;
    if let Some(digest) = image.manifest_digest {
        writeln!(out, "manifest  {digest}")?;
    }
    writeln!(out, "config    {}", image.config_digest)?;
    if let Some(config) = image.config.get("config").and_then(|config| config.as_object()) {
        for (field, value) in config {
            writeln!(out, "  {field}: {value}")?;
        }
    }
    for (index, layer) in image.layers.iter().enumerate() {
        writeln!(out, "layer {index}   {} ({} bytes)", layer.digest, layer.size)?;
        writeln!(
            out,
            "  diff id {}",
            layer.diff_id.as_deref().unwrap_or("(not said)")
        )?;
        if let Some(chain_id) = layer.chain_id {
            writeln!(out, "  chain   {chain_id}")?;
        }
        writeln!(out, "  type    {}", layer.media_type)?;
        match &layer.problem {
            None => writeln!(out, "  verified")?,
            Some(problem) => writeln!(out, "  NOT VERIFIED: {problem}")?,
        }
    }
    Ok(())
}
