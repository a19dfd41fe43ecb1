//! `handroll edit`: an image with changes to its layers and its configuration, everything else as it came.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use handroll::image::catalog::Catalog;
use handroll::layer::Compression;
use handroll::text::escape;
use handroll::tree::Time;
use handroll::workbench::{
    Action, Answer, ArchiveId, BlobName, Export, ImageId, ImageState, LayerId, Query, Workbench,
};
use serde::Serialize;

use super::args::{ConfigArgs, source_date_epoch};
use super::layer_args::absolute;
use super::open::{ImageArgs, open};
use super::output::{self, Output, Written};
use super::session::{self, Ids, layer_of};
use super::settle::settle;
use super::{Failure, Verdict, recipe};

/// Change an image: remove paths, drop, squash, split and recompress layers, set configuration
#[derive(Args, Debug)]
#[command(after_long_help = "\
What is not touched comes out as it came: blobs byte for byte, unknown fields of documents, and in a layer that is \
edited every entry that the edit leaves alone. The recipe is done first, then what the options say, in this order: \
--remove, --drop, --squash, --strip-times, --compression, --name, and the configuration. Numbers of layers are those \
of `handroll ls --layer`: 1 is the lowest, and they stay while options are done.

The time of what is made is SOURCE_DATE_EPOCH from the environment, else 0 (1970).

Examples:
  handroll edit image.tar --remove /root/.cache -o smaller.tar
  handroll edit image.tar --squash 2..4 --env DEBUG=1 -o squashed.tar")]
pub struct EditArgs {
    #[command(flatten)]
    pub image: ImageArgs,
    /// What is to be done: a recipe that the page saved, or JSON, {\"version\":1,\"operations\":[…]}
    #[arg(long, value_name = "FILE", help_heading = "Changes")]
    pub recipe: Option<PathBuf>,
    /// Take a path and all that is in it out of every layer, so that it is not only hidden
    #[arg(long, value_name = "PATH", help_heading = "Changes")]
    pub remove: Vec<OsString>,
    /// Take a layer out
    #[arg(long, value_name = "N", help_heading = "Changes")]
    pub drop: Vec<usize>,
    /// Merge the layers from A to B into one, with the same view
    #[arg(long, value_name = "A..B", value_parser = range, help_heading = "Changes")]
    pub squash: Vec<(usize, usize)>,
    /// Give every entry of every layer one time
    #[arg(long, help_heading = "Changes")]
    pub strip_times: bool,
    /// Store every layer so
    #[arg(long, value_name = "none|gzip", value_parser = ["none", "gzip"], help_heading = "Changes")]
    pub compression: Option<String>,
    /// Another name
    #[arg(long, value_name = "NAME", help_heading = "Changes")]
    pub name: Option<String>,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Where the image goes: a tar, a layout directory (`DIR/`), or `-` for standard output
    #[arg(short, long, value_name = "FILE|DIR/|-", help_heading = "Output")]
    pub output: PathBuf,
    /// Write a directory, whatever OUTPUT looks like
    #[arg(long, help_heading = "Output")]
    pub dir: bool,
    /// Print as JSON what is new and what is as it came
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

/// Reads `A..B`.
fn range(text: &str) -> Result<(usize, usize), String> {
    let numbers = text
        .split_once("..")
        .map(|(bottom, top)| (bottom.parse(), top.parse()));
    match numbers {
        Some((Ok(bottom), Ok(top))) if bottom < top => Ok((bottom, top)),
        _ => Err("expected two numbers of layers, the lower one first, such as 2..4".to_owned()),
    }
}

/// Runs the subcommand.
pub fn run(arguments: &EditArgs) -> Result<Verdict, Failure> {
    let output = match arguments.dir {
        true => Output::Directory(arguments.output.clone()),
        false => Output::of(&arguments.output),
    };
    output.check(arguments.json)?;
    let time = Time::at(source_date_epoch()?.unwrap_or(0));
    let mut workbench = session::workbench();
    let recipe = arguments.recipe.as_deref();
    let mut recipe = recipe
        .map(|path| recipe::read(path, &mut workbench, time))
        .transpose()?;
    let ids = recipe
        .as_mut()
        .map(|recipe| recipe.take_ids())
        .transpose()?
        .flatten();
    let ids = ids.unwrap_or(Ids::DEFAULT);
    let catalog = open(&arguments.image.file)?;
    let chosen = arguments.chosen(&catalog)?;
    let name = arguments.image.file.display().to_string();
    session::admit(&mut workbench, catalog, name, ids)?;
    if let Some(recipe) = recipe {
        recipe.apply(&mut workbench)?;
    }
    if let Some(number) = chosen {
        let image = workbench.state().image(ids.image + number as ImageId);
        let actions = arguments.actions(image.map_err(Failure::work)?)?;
        actions
            .into_iter()
            .try_for_each(|action| session::apply(&mut workbench, time, action))?;
    }
    let archive = ids.archive;
    let written = settle(&mut workbench, |workbench| match &output {
        Output::Directory(_) => workbench.archive_layout(archive, None).map(Written::Layout),
        _ => workbench
            .export(&Export::Archive { archive })
            .map(Written::Archive),
    })?;
    let report = Report::of(&mut workbench, archive)?;
    output.write(written)?;
    if arguments.json {
        output::print(&(serde_json::to_string_pretty(&report).map_err(Failure::work)? + "\n"))?;
    } else if output != Output::Stdout {
        output::print(&report.describe())?;
    }
    Ok(Verdict::Fine)
}

impl EditArgs {
    /// The number of the image that the options are about; none if there are none, and the recipe says it all.
    fn chosen(&self, catalog: &Catalog) -> Result<Option<usize>, Failure> {
        let layers = !self.drop.is_empty() || !self.squash.is_empty() || self.strip_times;
        let others = !self.remove.is_empty() || self.compression.is_some() || self.name.is_some();
        match layers || others || self.config.is_given() || self.image.choice.is_given() {
            true => self.image.choice.one(catalog).map(Some),
            false => Ok(None),
        }
    }

    /// What the options ask for, in their order.
    fn actions(&self, image: &ImageState) -> Result<Vec<Action>, Failure> {
        let id = image.id;
        let layer = |number: usize| layer_of(image, number).map(|layer| layer.id);
        let mut actions = Vec::new();
        for path in &self.remove {
            let path = escape(&absolute(path.as_bytes()));
            actions.push(Action::RemovePath { image: id, path });
        }
        for &number in &self.drop {
            let layer = layer(number)?;
            actions.push(Action::RemoveLayer { layer });
        }
        let mut left: Vec<LayerId> = image.layers.iter().map(|layer| layer.id).collect();
        for &(bottom, top) in &self.squash {
            let (bottom, top) = (layer(bottom)?, layer(top)?);
            left.retain(|id| !(bottom + 1..=top).contains(id));
            actions.push(Action::SquashLayers { bottom, top });
        }
        for number in &self.drop {
            let dropped = layer(*number)?;
            left.retain(|id| *id != dropped);
        }
        if self.strip_times {
            actions.extend(left.iter().map(|&layer| Action::StripTimes { layer }));
        }
        if let Some(compression) = &self.compression {
            let compression = match compression.as_str() {
                "none" => Compression::None,
                _ => Compression::Gz1,
            };
            let set = |&layer| Action::SetCompression { layer, compression };
            actions.extend(left.iter().map(set));
        }
        actions.extend(self.name.clone().map(|name| Action::SetName { image: id, name }));
        let fields = self.config.fields(&image.settings)?.into_iter();
        actions.extend(fields.map(|set| Action::SetConfig { image: id, set }));
        Ok(actions)
    }
}

/// What `--json` prints. Stable: fields are added, never changed.
#[derive(Serialize)]
struct Report {
    images: Vec<ImageReport>,
    /// Numbers of the images that are no longer in the archive.
    removed: Vec<usize>,
}

#[derive(Serialize)]
struct ImageReport {
    image: usize,
    name: String,
    platform: String,
    changes: Vec<ChangeReport>,
}

#[derive(Serialize)]
struct ChangeReport {
    what: &'static str,
    /// The number of a layer in the image as it is written.
    layer: Option<usize>,
    name: String,
    before: Option<BlobReport>,
    after: Option<BlobReport>,
    state: &'static str,
}

#[derive(Serialize)]
struct BlobReport {
    digest: String,
    size: u64,
}

impl Report {
    fn of(workbench: &mut Workbench, archive: ArchiveId) -> Result<Self, Failure> {
        let state = workbench.state();
        let count = state
            .archive(archive)
            .map_err(Failure::work)?
            .catalog
            .images
            .len();
        let images: Vec<(usize, Arc<ImageState>)> = state
            .images_of(archive)
            .map(|(number, image)| (number, image.clone()))
            .collect();
        let removed = (0..count).filter(|number| !images.iter().any(|(left, _)| left == number));
        Ok(Self {
            removed: removed.map(|number| number + 1).collect(),
            images: images
                .into_iter()
                .map(|(number, image)| ImageReport::of(workbench, number + 1, &image))
                .collect::<Result<_, _>>()?,
        })
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for image in &self.images {
            text += &format!("{} for {}\n", image.name, escape(image.platform.as_bytes()));
            for change in &image.changes {
                text += &change.describe();
            }
        }
        for number in &self.removed {
            text += &format!("image {number} was removed\n");
        }
        text
    }
}

impl ImageReport {
    fn of(workbench: &mut Workbench, number: usize, image: &ImageState) -> Result<Self, Failure> {
        let answer = workbench
            .query(&Query::Changes { image: image.id })
            .map_err(Failure::work)?;
        let Answer::Changes(changes) = answer else {
            unreachable!("the answer is that of the question");
        };
        let changes = changes
            .into_iter()
            .filter(|change| change.before.is_some() || change.after.is_some());
        let changes = changes.map(|change| {
            let position = image
                .layers
                .iter()
                .position(|layer| Some(layer.id) == change.layer);
            let blob = |blob: Option<_>| blob.map(|BlobName { digest, size }| BlobReport { digest, size });
            ChangeReport {
                what: change.what,
                layer: position.map(|position| position + 1),
                name: change.name,
                before: blob(change.before),
                after: blob(change.after),
                state: change.state,
            }
        });
        Ok(Self {
            image: number,
            name: image.reference.canonical(),
            platform: image.settings.platform.to_string(),
            changes: changes.collect(),
        })
    }
}

impl ChangeReport {
    fn describe(&self) -> String {
        let what = match self.layer {
            Some(number) => format!("layer {number}"),
            None if self.what == "layer" => format!("old {}", self.name),
            None => self.what.to_owned(),
        };
        let mut text = format!("{what:<11} {}\n", self.state);
        let blob = |label: &str, blob: &Option<BlobReport>| {
            let blob = blob.as_ref();
            blob.map_or(String::new(), |blob| {
                format!("  {label:<9} {} ({} bytes)\n", blob.digest, blob.size)
            })
        };
        if self.state != "reused" {
            text += &blob("was", &self.before);
        }
        text += &blob("is", &self.after);
        text
    }
}
