//! Opening what IMAGE names: an archive, a directory or standard input; and choosing one of its images.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use handroll::content::{Content, ContentError, ScratchSpace as _};
use handroll::image::catalog::{Catalog, ImageEntry, OpenError, OpenJob, Opening};
use handroll::image::{Platform, Reference};
use handroll::native::{FileSource, TemporaryFiles, open_at_once, read_files};
use handroll::text::escape;
use rustix::fs::{OFlags, fcntl_setfl};

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
                true => all_of(io::stdin().lock(), "standard input"),
                false => read_from(path),
            };
            OpenJob::archive(&content.map_err(|error| fail(&error))?, &TemporaryFiles)
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

/// A file, or all that comes from a pipe: one that the shell made, as in `<(…)`, or a fifo that somebody writes to.
fn read_from(path: &Path) -> Result<Content, String> {
    let name = path.to_string_lossy().into_owned();
    let open = || -> io::Result<_> {
        let file = open_at_once(path)?;
        let is_pipe = file.metadata()?.file_type().is_fifo();
        if is_pipe {
            fcntl_setfl(&file, OFlags::empty())?;
        }
        Ok((file, is_pipe))
    };
    match open().map_err(|error| error.to_string())? {
        (pipe, true) => all_of(pipe, &name),
        (file, false) => {
            let source = FileSource::new(file, name).map_err(|error| error.to_string())?;
            Ok(Content::whole(Arc::new(source)))
        }
    }
}

/// All that comes in, kept in scratch: an archive has to be read out of order.
fn all_of(mut input: impl io::Read, name: &str) -> Result<Content, String> {
    let fail = |error: ContentError| error.to_string();
    let scratch = TemporaryFiles.create().map_err(fail)?;
    let mut window = vec![0; 1 << 20];
    let mut offset = 0;
    loop {
        let length = match input.read(&mut window) {
            Ok(0) => return Ok(Content::whole(scratch)),
            Ok(length) => length,
            Err(error) => return Err(format!("{name} cannot be read on from byte {offset}: {error}")),
        };
        scratch.append(&window[..length]).map_err(fail)?;
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
