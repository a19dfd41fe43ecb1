//! An image that was opened, in a session of its own. Its layers are read when they are asked for, several at a
//! time, and nothing is hashed that need not be.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use handroll::image::catalog::Catalog;
use handroll::image::json::Document;
use handroll::layer::{Origin, ReadJob, Reading};
use handroll::native::TemporaryFiles;
use handroll::overlay::Stack;
use handroll::tree::Time;
use handroll::workbench::{
    Action, ArchiveFiles, ArchiveId, Caller, ImageId, ImageState, LayerId, LayerState, Operation, Workbench,
};

use super::open::{ImageArgs, STEP, open};
use super::progress::Progress;
use super::{Failure, Verdict};

/// An empty session that keeps what it must keep in temporary files.
pub fn workbench() -> Workbench {
    Workbench::with_scratches(Arc::new(TemporaryFiles))
}

/// The ids that an archive, its images and their layers get. By default they are numbers as people see them: from
/// 1 on, the layers counted on from image to image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The archive.
    pub archive: ArchiveId,
    /// The first image.
    pub image: ImageId,
    /// The first image's lowest layer.
    pub layer: LayerId,
}

impl Ids {
    /// From 1 on.
    pub const DEFAULT: Self = Self {
        archive: 1,
        image: 1,
        layer: 1,
    };
}

/// Takes an opened archive into a session.
pub fn admit(workbench: &mut Workbench, catalog: Catalog, name: String, ids: Ids) -> Result<(), Failure> {
    // The session is not saved: nobody will ask where the bytes came from.
    let from = ArchiveFiles::Directory { files: Vec::new() };
    workbench.opened_ahead(from.clone(), Arc::new(catalog));
    let action = Action::OpenArchive {
        archive: ids.archive,
        name,
        from,
        first_image: ids.image,
        first_layer: ids.layer,
    };
    apply(workbench, Time::at(0), action)
}

/// Does something as root.
pub fn apply(workbench: &mut Workbench, time: Time, action: Action) -> Result<(), Failure> {
    let caller = Caller::ROOT;
    let operation = Operation { time, caller, action };
    workbench.apply(operation).map_err(Failure::work)
}

/// The one image that was asked for.
pub fn open_image(arguments: &ImageArgs) -> Result<Arc<ImageState>, Failure> {
    Ok(open_with_config(arguments)?.0)
}

/// The one image that was asked for, and its configuration as it stands there; the tar of a layer has none.
pub fn open_with_config(arguments: &ImageArgs) -> Result<(Arc<ImageState>, Option<Document>), Failure> {
    let catalog = open(&arguments.file)?;
    let number = arguments.choice.one(&catalog)?;
    let config = catalog.images[number].config;
    let config = config.and_then(|node| catalog.node(node).document.clone());
    let mut workbench = workbench();
    let name = arguments.file.display().to_string();
    admit(&mut workbench, catalog, name, Ids::DEFAULT)?;
    Ok((workbench.state().images[number].clone(), config))
}

/// The layer with this number, from 1 on.
pub fn layer_of(image: &ImageState, number: usize) -> Result<&Arc<LayerState>, Failure> {
    let layer = number
        .checked_sub(1)
        .and_then(|position| image.layers.get(position));
    layer.ok_or_else(|| {
        let layers = match image.layers.len() {
            1 => "1 layer".to_owned(),
            count => format!("{count} layers, counted from the bottom"),
        };
        Failure::Usage(format!("there is no layer {number}: the image has {layers}"))
    })
}

/// The layers of an image as a stack. They were read before.
pub fn stack_of(image: &ImageState) -> Stack<'_> {
    Stack::new(image.layers.iter().map(|layer| layer.layer.tree()).collect())
}

/// Reads layers of an image. What could not be read to its end is told on standard error, and is a finding.
pub fn read<'a>(image: &ImageState, layers: impl IntoIterator<Item = &'a Arc<LayerState>>) -> Verdict {
    let layers: Vec<_> = layers.into_iter().collect();
    read_origins(layers.iter().copied());
    let mut verdict = Verdict::Fine;
    for layer in layers {
        if let Some(damage) = layer.layer.as_read().and_then(|read| read.damage.as_ref()) {
            let position = image.layers.iter().position(|other| other.id == layer.id);
            let number = position.map_or(0, |position| position + 1);
            eprintln!("handroll: layer {number} could not be read to its end: {damage}");
            verdict = Verdict::Findings;
        }
    }
    verdict
}

/// Reads those of the layers that have not been read, on all processors.
pub fn read_origins<'a>(layers: impl IntoIterator<Item = &'a Arc<LayerState>>) {
    let mut origins: Vec<Arc<Origin>> = Vec::new();
    for layer in layers.into_iter().filter(|layer| !layer.layer.is_read()) {
        let origin = layer
            .layer
            .origin()
            .expect("what is not read came from somewhere");
        if !origins.iter().any(|other| Arc::ptr_eq(other, origin)) {
            origins.push(origin.clone());
        }
    }
    // What was read counts for those that are begun after it.
    let held = AtomicUsize::new(0);
    let total = origins.iter().map(|origin| origin.blob().len()).sum();
    let done = AtomicU64::new(0);
    let progress = Mutex::new(Progress::new());
    let show = |more: u64| {
        let done = done.fetch_add(more, Ordering::Relaxed) + more;
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.show("reading layers", done, total);
    };
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(origins.len());
    let queue = Mutex::new(origins.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| std::iter::from_fn(next).for_each(|origin| read_origin(&origin, &held, &show)));
        }
    });
}

fn read_origin(origin: &Arc<Origin>, held: &AtomicUsize, show: &dyn Fn(u64)) {
    let mut job = match ReadJob::new(origin, held.load(Ordering::Relaxed), &TemporaryFiles) {
        Ok(job) => job,
        Err(error) => return origin.set_unreadable(error),
    };
    let mut passed = 0;
    loop {
        let reading = job.step(STEP);
        let now = match reading {
            Reading::Unpacking { done, .. } => done,
            // Indexing what was unpacked takes no time to speak of.
            Reading::Indexing { done, .. } => done.min(origin.blob().len()).max(passed),
            Reading::Done => origin.blob().len(),
        };
        show(now.saturating_sub(passed));
        passed = now.max(passed);
        if reading == Reading::Done {
            held.fetch_add(origin.read().map_or(0, |read| read.held), Ordering::Relaxed);
            return;
        }
    }
}
