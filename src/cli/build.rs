//! `handroll build`: an image from directories and tars, or on top of another image.

use handroll::digest::{Digest, chain_id};
use handroll::text::escape;
use handroll::workbench::{Answer, BlobView, Export, ImageId, Query, Workbench};
use serde::Serialize;

use super::args::{BuildArgs, source_date_epoch};
use super::assemble::{Session, assemble};
use super::layer_args::LayerArg;
use super::output::{self, Output, Written};
use super::settle::settle;
use super::{Failure, Verdict};

/// Runs the subcommand.
pub fn run(arguments: &BuildArgs, layers: Vec<LayerArg>) -> Result<Verdict, Failure> {
    let output = Output::of(&arguments.output);
    output.check(arguments.json)?;
    if arguments.name.is_none() && arguments.recipe.is_none() && arguments.from.is_none() {
        return Err(Failure::Usage(
            "an image needs --name, or a --recipe or a --from that has one".to_owned(),
        ));
    }
    let epoch = source_date_epoch()?;
    let Session {
        mut workbench,
        image,
        notes,
        ..
    } = assemble(arguments, &layers, epoch)?;
    for note in &notes {
        eprintln!("handroll: {note}");
    }
    let written = settle(&mut workbench, |workbench| match &output {
        Output::Directory(_) => workbench.export_layout(image).map(Written::Layout),
        _ => workbench.export(&Export::Image { image }).map(Written::Archive),
    })?;
    output.write(written)?;
    let report = Report::of(&mut workbench, image)?;
    if arguments.json {
        output::print(&(serde_json::to_string_pretty(&report).map_err(Failure::work)? + "\n"))?;
    } else if output != Output::Stdout {
        output::print(&report.describe())?;
    }
    Ok(Verdict::Fine)
}

/// What `--json` prints. Stable: fields are added, never changed.
#[derive(Serialize)]
struct Report {
    name: String,
    platform: String,
    config_digest: Option<Digest>,
    manifest_digest: Option<Digest>,
    layers: Vec<LayerReport>,
}

#[derive(Serialize)]
struct LayerReport {
    diff_id: Option<String>,
    chain_id: Option<String>,
    digest: Option<String>,
    size: u64,
    media_type: String,
}

impl Report {
    fn of(workbench: &mut Workbench, image: ImageId) -> Result<Self, Failure> {
        let Ok(Answer::Overview(overview)) = workbench.query(&Query::Overview) else {
            unreachable!("there is always an overview");
        };
        let mut images = overview.images.into_iter();
        let image = images.find(|view| view.id == image).expect("the image was made");
        let digest = |name| {
            image
                .documents
                .get(name)?
                .as_ref()
                .map(|document| document.digest)
        };
        let mut report = Self {
            name: image.reference.canonical,
            platform: image.config.platform.to_string(),
            config_digest: digest("config"),
            manifest_digest: digest("manifest"),
            layers: Vec::new(),
        };
        let mut below = Some(None);
        for layer in image.layers {
            // What is as it came is what its documents say of it; what they do not say was computed.
            let claimed = layer.origin.filter(|_| layer.reused);
            let mut of_layer = LayerReport {
                diff_id: claimed.as_ref().and_then(|origin| origin.diff_id.clone()),
                chain_id: None,
                digest: claimed.as_ref().and_then(|origin| origin.digest.clone()),
                size: claimed.as_ref().map_or(0, |origin| origin.size),
                media_type: claimed.map(|origin| origin.media_type).unwrap_or_default(),
            };
            if let BlobView::Known {
                diff_id,
                digest,
                size,
                media_type,
                ..
            } = layer.blob
            {
                of_layer.diff_id.get_or_insert(diff_id.to_string());
                of_layer.digest.get_or_insert(digest.to_string());
                of_layer.size = size;
                if of_layer.media_type.is_empty() {
                    of_layer.media_type = media_type.to_owned();
                }
            }
            let diff_id = of_layer.diff_id.as_ref().and_then(|diff_id| diff_id.parse().ok());
            below = below
                .zip(diff_id)
                .map(|(below, diff_id)| Some(chain_id(below, diff_id)));
            of_layer.chain_id = below.flatten().map(|digest| digest.to_string());
            report.layers.push(of_layer);
        }
        Ok(report)
    }

    fn describe(&self) -> String {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "(not said)".to_owned());
        let mut text = format!("{} for {}\n", self.name, escape(self.platform.as_bytes()));
        for (number, layer) in (1..).zip(&self.layers) {
            text += &format!(
                "layer {number}   {} ({} bytes)\n  diff id {}\n",
                shown(&layer.digest),
                layer.size,
                shown(&layer.diff_id)
            );
        }
        for (what, digest) in [("config", self.config_digest), ("manifest", self.manifest_digest)] {
            text += &digest.map_or(String::new(), |digest| format!("{what:<9} {digest}\n"));
        }
        text
    }
}
