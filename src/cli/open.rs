//! Opening what IMAGE names: an archive, a directory or standard input; and choosing one of its images.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use handroll::content::{Content, ContentError, ScratchSpace as _};
use handroll::image::catalog::{Catalog, ImageEntry, OpenError, OpenJob, Opening};
use handroll::image::{Platform, Reference};
use handroll::native::{FileSource, TemporaryFiles, read_files};
use handroll::text::escape;

use super::Failure;
use super::progress::Progress;

/// The help of an argument IMAGE.
const IMAGE_HELP: &str = "An OCI layout (a directory or a tar), a `docker save` tar, or the tar of a layer; plain, \
                          gzip or zstd; `-` is standard input";
/// How much is done between two looks at the progress: bytes that are inflated in the same time.
pub const STEP: u64 = 16 << 20;

/// An image in a file.
#[derive(Args, Debug, Clone)]
pub struct ImageArgs {
    #[arg(value_name = "IMAGE", help = IMAGE_HELP)]
    pub file: PathBuf,
    #[command(flatten)]
    pub choice: ChoiceArgs,
}

/// Which image, where there are several.
#[derive(Args, Debug, Clone, Default)]
pub struct ChoiceArgs {
    /// Which of several images: its name, its digest, or its number, from 1 on
    #[arg(long, value_name = "NAME|DIGEST|N")]
    pub image: Option<String>,
    /// Which of several images: the one for this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
}

/// Opens what is in a file, a directory or standard input. Layers are not read.
pub fn open(path: &Path) -> Result<Catalog, Failure> {
    let fail = |error: &dyn std::fmt::Display| Failure::Work(format!("{}: {error}", path.display()));
    let job = match path.is_dir() {
        true => OpenJob::files(read_files(path).map_err(|error| fail(&error))?),
        false => {
            let content = match path.as_os_str() == "-" {
                true => standard_input().map_err(|error| fail(&error)),
                false => FileSource::open(path)
                    .map(|source| Content::whole(Arc::new(source)))
                    .map_err(|error| fail(&error)),
            };
            OpenJob::archive(&content?, &TemporaryFiles)
        }
    };
    job.and_then(run).map_err(|error| fail(&error))
}

fn run(mut job: OpenJob) -> Result<Catalog, OpenError> {
    let mut progress = Progress::new();
    loop {
        match job.step(STEP)? {
            Opening::Working { stage, done, total } => progress.show(stage.name(), done, total),
            Opening::Done(catalog) => return Ok(*catalog),
        }
    }
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

impl ChoiceArgs {
    /// Whether anything is chosen.
    pub fn is_given(&self) -> bool {
        self.image.is_some() || self.platform.is_some()
    }

    /// The numbers of the images that are meant, from 0 on: all if nothing is chosen.
    pub fn all(&self, catalog: &Catalog) -> Result<Vec<usize>, Failure> {
        let platform = self.platform.as_deref().map(platform_of).transpose()?;
        let images = catalog.images.iter().enumerate();
        let fits = |image: &ImageEntry| match (&platform, &image.platform) {
            (None, _) => true,
            (Some(wanted), Some(platform)) => is_platform(wanted, platform),
            (Some(_), None) => false,
        };
        let found: Vec<usize> = images
            .filter(|(_, image)| fits(image))
            .map(|(at, _)| at)
            .collect();
        let found = match &self.image {
            None => found,
            Some(wanted) => named(catalog, &found, wanted),
        };
        match found.is_empty() && self.is_given() {
            true => Err(Failure::Usage(format!(
                "there is no such image; {}",
                list(catalog)
            ))),
            false => Ok(found),
        }
    }

    /// The number of the one image that is meant, from 0 on.
    pub fn one(&self, catalog: &Catalog) -> Result<usize, Failure> {
        match self.all(catalog)?[..] {
            [one] => Ok(one),
            [] => Err(Failure::Work(
                "there is no image in it (`handroll check` tells what there is instead)".to_owned(),
            )),
            _ => Err(Failure::Usage(format!(
                "choose an image with --image or --platform; {}",
                list(catalog)
            ))),
        }
    }
}

/// The images of this name or digest; else the one of this number.
fn named(catalog: &Catalog, among: &[usize], wanted: &str) -> Vec<usize> {
    let canonical = |text: &str| Reference::parse(text).ok().map(|name| name.canonical());
    let wanted_name = canonical(wanted);
    let is_it = |image: &ImageEntry| {
        let mut names = image.names.iter();
        let is_name = names
            .any(|name| name.text == wanted || wanted_name.is_some() && canonical(&name.text) == wanted_name);
        let nodes = [image.manifest, image.config].into_iter().flatten();
        let mut digests = nodes.filter_map(|node| catalog.node(node).actual);
        is_name || digests.any(|digest| digest.to_string() == wanted)
    };
    let by_name = among.iter().copied().filter(|&at| is_it(&catalog.images[at]));
    let by_name: Vec<usize> = by_name.collect();
    let number = wanted
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_sub(1));
    match number.filter(|number| by_name.is_empty() && among.contains(number)) {
        Some(number) => vec![number],
        None => by_name,
    }
}

/// A platform is the wanted one; without a variant, any variant is.
fn is_platform(wanted: &Platform, platform: &Platform) -> bool {
    (&wanted.os, &wanted.architecture) == (&platform.os, &platform.architecture)
        && (wanted.variant.is_none() || wanted.variant == platform.variant)
}

/// All images, for those who have to choose.
fn list(catalog: &Catalog) -> String {
    /// Nobody reads more.
    const LIMIT: usize = 30;
    let images = catalog.images.iter().enumerate().map(|(number, image)| {
        let platform = image.platform.as_ref().map(|platform| format!(" ({platform})"));
        let name = match image.names.first() {
            Some(name) => name.text.clone(),
            None => "without a name".to_owned(),
        };
        let text = format!("{} {name}{}", number + 1, platform.unwrap_or_default());
        escape(text.as_bytes())
    });
    let mut listed: Vec<_> = images.take(LIMIT).collect();
    let more = catalog.images.len() - listed.len();
    if more > 0 {
        listed.push(format!("and {more} more"));
    }
    match listed.is_empty() {
        true => "there are no images".to_owned(),
        false => format!("there are: {}", listed.join(", ")),
    }
}

/// Reads `OS/ARCH[/VARIANT]`.
pub fn platform_of(text: &str) -> Result<Platform, Failure> {
    let mut parts = text.split('/').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(os), Some(architecture), variant, None) => Ok(Platform {
            os,
            architecture,
            variant,
        }),
        _ => Err(Failure::Usage(format!(
            "--platform {text}: expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/amd64"
        ))),
    }
}
