//! From some bytes, or the files of a directory, to a catalog, in small steps. What the bytes are is told by
//! what is in them, never by a file's name.

use super::walk::Walk;
use super::{Catalog, Format};
use crate::compress::inflate::Packing;
use crate::content::{Content, ScratchSpace};
use crate::image::files::{Files, FilesError, IndexJob, Indexed, Indexing, Stage};
use crate::image::json::{Document, Kind, SIZE_LIMIT};

/// Why there is nothing to show at all. All else is a problem in the catalog.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is no archive.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A directory that holds no image. (A tar that holds none is a layer.)
    #[error("this is no image: it holds neither index.json (OCI layout) nor manifest.json (docker save)")]
    NoImage,
}

/// The work of opening an archive. Dropping it drops the work.
pub struct OpenJob(Work);

enum Work {
    Indexing(Box<IndexJob>, Content),
    Walking(Box<Walk>),
    Finished,
}

/// How far opening is.
pub enum Opening {
    /// Not there yet.
    Working {
        /// What is being done.
        stage: Stage,
        /// How much is done: bytes of the archive, or documents.
        done: u64,
        /// How much there is, as far as is known.
        total: u64,
    },
    /// There.
    Done(Box<Catalog>),
}

/// What reading one document costs, in bytes that are inflated in the same time, beside its size.
const DOCUMENT_COST: u64 = 4096;

impl OpenJob {
    /// The work for an archive: a tar, plain or packed. What it inflates to is kept in scratch.
    pub fn archive(archive: &Content, space: &dyn ScratchSpace) -> Result<Self, OpenError> {
        let job = IndexJob::new(archive, space)?;
        Ok(Self(Work::Indexing(Box::new(job), archive.clone())))
    }

    /// The work for the files of a directory.
    pub fn files(files: Files) -> Result<Self, OpenError> {
        let (format, files, directory) = detect(files);
        match format {
            Format::Layer => Err(OpenError::NoImage),
            _ => Ok(Self(Work::Walking(Box::new(Walk::new(
                format,
                files,
                directory,
                Packing::Plain,
                None,
            ))))),
        }
    }

    /// Works for about as long as `budget` bytes take to be inflated. Not to be called again once it is done.
    pub fn step(&mut self, budget: u64) -> Result<Opening, OpenError> {
        let mut spent = 0;
        loop {
            match &mut self.0 {
                Work::Indexing(job, archive) => match job.step(budget - spent)? {
                    Indexing::Working { stage, done, total } => {
                        return Ok(Opening::Working { stage, done, total });
                    }
                    Indexing::Done(indexed) => self.0 = Work::Walking(Box::new(begin(indexed, archive))),
                },
                Work::Walking(walk) => match walk.step() {
                    Some(read) => spent += read + DOCUMENT_COST,
                    None => return Ok(self.finish()),
                },
                Work::Finished => unreachable!("a finished job is not stepped"),
            }
            if spent >= budget
                && let Work::Walking(walk) = &self.0
            {
                let (done, total) = walk.progress();
                let stage = Stage::Reading;
                return Ok(Opening::Working { stage, done, total });
            }
        }
    }

    fn finish(&mut self) -> Opening {
        match std::mem::replace(&mut self.0, Work::Finished) {
            Work::Walking(walk) => Opening::Done(Box::new(walk.finish())),
            _ => unreachable!("called when all is read"),
        }
    }

    /// Works until the end, for hosts that have nothing else to do.
    pub fn run(mut self) -> Result<Catalog, OpenError> {
        loop {
            if let Opening::Done(catalog) = self.step(u64::MAX)? {
                return Ok(*catalog);
            }
        }
    }
}

fn begin(indexed: Indexed, archive: &Content) -> Walk {
    let (format, files, directory) = detect(indexed.files);
    let tar = indexed.tar;
    let mut walk = Walk::new(format, files, directory, indexed.packing, Some(tar));
    if format == Format::Layer {
        walk.bare_layer(archive);
    }
    walk
}

/// The files by which an image is told.
const MARKS: [&str; 4] = ["oci-layout", "index.json", "manifest.json", "repositories"];

/// What the files are, and where: the image may lie in a directory that holds all of them.
fn detect(files: Files) -> (Format, Files, Vec<u8>) {
    let format = format_of(&files);
    if format != Format::Layer {
        return (format, files, Vec::new());
    }
    let directory = files.common_directory();
    // Most tars without an image are layers with very many files: these are not copied to be looked at.
    let has_mark = MARKS.iter().any(|mark| {
        let path = [&directory[..], mark.as_bytes()].concat();
        files.get(&path).is_some()
    });
    if directory.is_empty() || !has_mark {
        return (format, files, Vec::new());
    }
    let inner = files.clone().below(&directory);
    match format_of(&inner) {
        Format::Layer => (Format::Layer, files, Vec::new()),
        format => (format, inner, directory),
    }
}

fn format_of(files: &Files) -> Format {
    let has = |path: &str| files.get(path.as_bytes()).is_some();
    let has_blobs = files.paths_under(b"blobs/").next().is_some();
    let has_old_layers = || files.paths().any(|path| path.ends_with(b"/layer.tar"));
    let is_oci = match has("index.json") {
        true => has("oci-layout") || has_blobs || holds(files, "index.json", &["manifests"]) == Some(true),
        false => has("oci-layout") && has_blobs,
    };
    let is_dir = is_dir(files);
    // A list that is damaged, or empty, is told by what is around it.
    let is_docker = has("manifest.json")
        && !is_dir
        && holds(files, "manifest.json", &["Layers", "Config"])
            .unwrap_or_else(|| is_oci || has("repositories") || has_old_layers());
    match (is_oci, is_docker) {
        (true, true) if has("index.json") => Format::OciAndDocker,
        (_, true) => Format::Docker,
        (true, false) => Format::Oci,
        (false, false) if has("repositories") && has_old_layers() => Format::DockerLegacy,
        (false, false) if is_dir => Format::Dir,
        (false, false) => Format::Layer,
    }
}

/// Whether `manifest.json` is a manifest, or an index, and no list of Docker's.
fn is_dir(files: &Files) -> bool {
    let holds = |members| holds(files, "manifest.json", members) == Some(true);
    holds(&["schemaVersion"]) && holds(&["config", "layers", "manifests"])
}

/// Whether a document is an object, or a list of objects, with one of these members. None if it is damaged, or
/// an empty list.
pub(super) fn holds(files: &Files, path: &str, members: &[&str]) -> Option<bool> {
    let content = files.get(path.as_bytes())?;
    let document = Document::parse(content.read_all(SIZE_LIMIT).ok()?);
    let root = document.root()?;
    let object = match root.kind() {
        Kind::Array => root.at(0)?,
        _ => root,
    };
    match members.iter().any(|member| object.get(member).is_some()) {
        true => Some(true),
        false => document.error().is_none().then_some(false),
    }
}
