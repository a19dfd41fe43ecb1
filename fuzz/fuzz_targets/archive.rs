//! Archives of anything: opening, reading, showing, checking, editing and writing back end, and never panic.
#![no_main]

use std::sync::Arc;

use handroll::content::{ContentError, Source};
use handroll::tree::Time;
use handroll::workbench::{
    Action, Answer, ArchiveFiles, Caller, ContentRef, Export, Operation, Query, Workbench,
};
use libfuzzer_sys::fuzz_target;

struct Memory(Vec<u8>);

impl Source for Memory {
    fn id(&self) -> u64 {
        1
    }
    fn name(&self) -> &str {
        "memory"
    }
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        into.copy_from_slice(&self.0[offset as usize..][..into.len()]);
        Ok(())
    }
}

fn operation(action: Action) -> Operation {
    let (time, caller) = (Time::at(0), Caller::ROOT);
    Operation { time, caller, action }
}

fuzz_target!(|bytes: &[u8]| {
    let mut workbench = Workbench::new();
    let length = bytes.len() as u64;
    workbench.open_source(1, Arc::new(Memory(bytes.to_vec()))).unwrap();
    let content = ContentRef::Source { source: 1, offset: 0, length };
    let open = Action::OpenArchive {
        archive: 1,
        name: "fuzzed.tar".to_owned(),
        from: ArchiveFiles::Tar { content },
        first_image: 0,
        first_layer: 0,
    };
    if workbench.apply(operation(open)).is_err() {
        return;
    }
    let images: Vec<_> = workbench.state().images.iter().map(|image| image.id).collect();
    let layers: Vec<_> = workbench.state().layers().map(|layer| layer.id).collect();
    while workbench.step(1 << 20) {}
    let Ok(Answer::Overview(overview)) = workbench.query(&Query::Overview) else {
        panic!("there is always an overview");
    };
    assert!(!overview.busy);
    let _ = workbench.query(&Query::Graph { archive: 1 });
    for &image in images.iter().take(4) {
        let _ = workbench.query(&Query::History { image });
        let _ = workbench.query(&Query::Changes { image });
        for _ in 0..50 {
            let _ = workbench.query(&Query::Check { image });
        }
    }
    let _ = workbench.export(&Export::Archive { archive: 1 });
    for &layer in layers.iter().take(4) {
        let _ = workbench.query(&Query::Blocks { layer, from: 0, limit: 50 });
        let _ = workbench.query(&Query::Summary { layer });
        let _ = workbench.apply(operation(Action::StripTimes { layer }));
    }
    while workbench.step(1 << 20) {}
    let _ = workbench.export(&Export::Archive { archive: 1 });
});
