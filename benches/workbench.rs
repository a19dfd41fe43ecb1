//! What an edit costs in a layer of 100,000 entries: `cargo bench --bench workbench`.
//!
//! Each figure is the minimum, the median and the maximum of several runs in this very process, so the
//! machine's noise shows. Undo is beside the edit that it takes back and beside a walk over the whole tree,
//! which is what it would cost without a persistent tree.

use std::time::{Duration, Instant};

use handroll::layer::{Layer, Walk};
use handroll::tree::{Directory, Metadata, Node, Time, Tree, TreePath};
use handroll::workbench::{Action, Caller, ContentRef, ImageId, LayerId, Operation, Workbench, import_tree};

const DIRECTORIES: usize = 1000;
const FILES: usize = 99;
const RUNS: usize = 21;
const IMAGE: ImageId = 1;
const LAYER: LayerId = 1;

fn main() {
    let tree = tree();
    println!(
        "a layer of {} entries, {} bytes of content",
        tree.counts().entries,
        tree.counts().content_bytes
    );
    let mut workbench = Workbench::new();
    apply(
        &mut workbench,
        Action::CreateImage {
            image: IMAGE,
            name: "bench".into(),
        },
    );
    let import = import_tree(IMAGE, LAYER, "many", &tree, |_| {
        unreachable!("contents are inline")
    });
    workbench.apply(import).expect("the image is empty");
    measure(
        "walk the whole tree, headers and all",
        || (),
        |()| Walk::new(&tree).count(),
    );
    measure("clone the layer", || (), |()| Layer::from_tree(tree.clone()));
    let first = Instant::now();
    while workbench.step(u64::MAX) {}
    println!(
        "{:<44} {:>9.3} ms",
        "hash and deflate it for the first time",
        millis(first.elapsed())
    );

    let mut applied = Vec::new();
    let (mut undone, mut redone, mut known, mut again) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        let path = format!("/dir{:04}/file{:03}", run * 40, run);
        let content = ContentRef::Text {
            text: format!("edited {run}"),
        };
        let edit = Action::Write {
            layer: LAYER,
            path,
            content,
        };
        applied.push(time(|| apply(&mut workbench, edit)));
        known.push(time(|| while workbench.step(u64::MAX) {}));
        undone.push(time(|| workbench.undo()));
        redone.push(time(|| workbench.redo()));
        again.push(time(|| workbench.step(u64::MAX)));
    }
    report("edit one file", applied);
    report("know its hashes again", known);
    report("undo", undone);
    report("redo", redone);
    report("know what is known", again);
}

fn tree() -> Tree {
    let metadata = Metadata::new(0o644, 0, 0, Time::at(0));
    let mut tree = Tree::new(metadata.clone(), 0);
    for directory in 0..DIRECTORIES {
        let parent = TreePath::parse(&format!("/dir{directory:04}")).expect("a path");
        tree.make(&parent, Node::Directory(Directory::default()), metadata.clone())
            .expect("it is free");
        for file in 0..FILES {
            let path = TreePath::parse(&format!("/dir{directory:04}/file{file:03}")).expect("a path");
            let content = handroll::content::Content::inline(format!("{path} ").repeat(20).into_bytes());
            tree.make(&path, Node::File(content), metadata.clone())
                .expect("it is free");
        }
    }
    tree
}

fn apply(workbench: &mut Workbench, action: Action) {
    let operation = Operation {
        time: Time::at(0),
        caller: Caller::ROOT,
        action,
    };
    workbench
        .apply(operation)
        .expect("the bench does what can be done");
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

fn measure<I, T>(what: &str, prepare: impl Fn() -> I, work: impl Fn(I) -> T) {
    let runs = (0..RUNS).map(|_| {
        let input = prepare();
        time(|| work(input))
    });
    report(what, runs.collect());
}

fn report(what: &str, mut runs: Vec<Duration>) {
    runs.sort_unstable();
    let (first, middle, last) = (runs[0], runs[runs.len() / 2], runs[runs.len() - 1]);
    println!(
        "{what:<44} {:>9.3} {:>9.3} {:>9.3} ms",
        millis(first),
        millis(middle),
        millis(last)
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
