//! `handroll build`: an image from directories and tars.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use handroll::digest::{Digest, chain_id};
use handroll::image::LayerBlob;
use handroll::workbench::{Export, Exported};
use serde::Serialize;

use super::args::{BuildArgs, source_date_epoch};
use super::assemble::{Session, assemble};
use super::layer_args::LayerArg;
use super::output::{self, Output};
use super::{Failure, Verdict};

/// Runs the subcommand.
pub fn run(arguments: &BuildArgs, layers: Vec<LayerArg>) -> Result<Verdict, Failure> {
    let output = Output::of(&arguments.output);
    if output == Output::Stdout && arguments.json {
        return Err(Failure::Usage(
            "--json prints to standard output, and -o - writes the image there".to_owned(),
        ));
    }
    if arguments.name.is_none() && arguments.recipe.is_none() {
        return Err(Failure::Usage(
            "an image needs --name, or a --recipe that has one".to_owned(),
        ));
    }
    let epoch = source_date_epoch()?;
    let session = assemble(arguments, &layers, epoch)?;
    for note in &session.notes {
        eprintln!("handroll: {note}");
    }
    write(&session, &output)?;
    let report = Report::of(&session)?;
    if arguments.json {
        output::print(&(serde_json::to_string_pretty(&report).map_err(Failure::work)? + "\n"))?;
    } else if output != Output::Stdout {
        output::print(&report.describe())?;
    }
    Ok(Verdict::Fine)
}

fn write(session: &Session, to: &Output) -> Result<(), Failure> {
    let (workbench, image) = session.workbench();
    let archive = || workbench.export(&Export::Image { image }).map_err(Failure::work);
    match to {
        Output::Stdout => {
            let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
            output::parts(archive()?, &mut out)
                .and_then(|()| out.flush())
                .map_err(Failure::work)
        }
        Output::File(path) => {
            let parts = archive()?;
            output::file(path, |out| output::parts(parts, out)).map_err(Failure::work)
        }
        Output::Directory(path) => {
            let files = workbench.export_layout(image).map_err(Failure::work)?;
            output::directory(path, |at| write_layout(files, at)).map_err(Failure::work)
        }
    }
}

fn write_layout(files: Vec<(String, Exported)>, directory: &Path) -> io::Result<()> {
    for (name, parts) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(directory))?;
        let mut out = BufWriter::with_capacity(1 << 20, File::create_new(path)?);
        output::parts(parts, &mut out)?;
        out.flush()?;
    }
    Ok(())
}

/// What `--json` prints. Stable: fields are added, never changed.
#[derive(Serialize)]
struct Report {
    name: String,
    platform: String,
    config_digest: Digest,
    manifest_digest: Digest,
    layers: Vec<LayerReport>,
}

#[derive(Serialize)]
struct LayerReport {
    diff_id: Digest,
    chain_id: Digest,
    digest: Digest,
    size: u64,
    media_type: &'static str,
}

impl Report {
    fn of(session: &Session) -> Result<Self, Failure> {
        let (name, platform, documents, layers) = session.documents()?;
        let mut chain = None;
        let layer = |blob: &LayerBlob| {
            let chain_id = chain_id(chain, blob.diff_id);
            chain = Some(chain_id);
            LayerReport {
                diff_id: blob.diff_id,
                chain_id,
                digest: blob.digest,
                size: blob.size,
                media_type: blob.media_type,
            }
        };
        Ok(Self {
            name,
            platform,
            config_digest: documents.config.digest,
            manifest_digest: documents.manifest.digest,
            layers: layers.iter().map(layer).collect(),
        })
    }

    fn describe(&self) -> String {
        let mut text = format!("{} for {}\n", self.name, self.platform);
        for (number, layer) in (1..).zip(&self.layers) {
            text += &format!(
                "layer {number}   {} ({} bytes)\n  diff id {}\n",
                layer.digest, layer.size, layer.diff_id
            );
        }
        text + &format!(
            "config    {}\nmanifest  {}\n",
            self.config_digest, self.manifest_digest
        )
    }
}
