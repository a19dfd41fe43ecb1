//! Making known what writing needs: hashes of what is new, on all processors, and no more of what came than the
//! archive's form asks for.

use std::sync::{Arc, Mutex, PoisonError};

use handroll::content::ContentError;
use handroll::layer::{Compression, DeflateTask, Task};
use handroll::workbench::{BlobState, LayerState, Workbench, WorkbenchError};

use super::Failure;
use super::open::STEP;
use super::progress::Progress;
use super::session::read_origins;

/// Whether a layer's blob is written as it came.
pub fn is_kept(layer: &LayerState) -> bool {
    layer.came.is_some() && layer.compression.of(&layer.layer) == Compression::Original
}

/// Hashes until `export` has what it needs, and gives what it gave.
pub fn settle<T>(
    workbench: &mut Workbench,
    export: impl Fn(&Workbench) -> Result<T, WorkbenchError>,
) -> Result<T, Failure> {
    let new: Vec<Arc<LayerState>> = workbench
        .state()
        .layers()
        .filter(|layer| !is_kept(layer))
        .cloned()
        .collect();
    read_origins(&new);
    for layer in &new {
        // Whatever could be read of it must not go for all of it.
        let whole = layer.layer.check_whole();
        whole.map_err(|error| Failure::Work(format!("layer `{}`: {error}", layer.name)))?;
    }
    workbench.fill(deflate_all).map_err(Failure::work)?;
    run(workbench, Workbench::hash);
    let mut exported = export(workbench);
    if let Err(WorkbenchError::Busy { .. }) = exported {
        // The digests of what came are needed too: no document tells them.
        let all: Vec<_> = workbench.state().layers().cloned().collect();
        read_origins(&all);
        run(workbench, Workbench::step);
        exported = export(workbench);
    }
    for layer in &new {
        if let BlobState::Failed(error) = workbench.blob_state(layer.id) {
            return Err(Failure::Work(format!("layer `{}`: {error}", layer.name)));
        }
    }
    exported.map_err(Failure::work)
}

/// Works until there is no more.
pub fn run(workbench: &mut Workbench, step: impl Fn(&mut Workbench, u64) -> bool) {
    let mut progress = Progress::new();
    while step(workbench, STEP) {
        if !progress.is_due() {
            continue;
        }
        let mut states = workbench
            .state()
            .layers()
            .map(|layer| workbench.blob_state(layer.id));
        let at_work = states.find_map(|state| match state {
            &BlobState::Working { done, total } => Some((done, total)),
            _ => None,
        });
        if let Some((done, total)) = at_work {
            progress.show("hashing", done, total);
        }
    }
}

/// Deflates segments on all processors.
fn deflate_all(tasks: Vec<DeflateTask>) -> Vec<Result<Task, ContentError>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(tasks.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        let work = || std::iter::from_fn(next).map(DeflateTask::run).collect::<Vec<_>>();
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let results = workers
            .into_iter()
            .map(|worker| worker.join().expect("deflating does not panic"));
        results.flatten().collect()
    })
}
