//! Deep and wide layers: what must neither overflow a stack nor take the square of the time.

use std::time::{Duration, Instant};

use super::tests::{finish, make, operation, write};
use super::*;
use crate::image::json;
use crate::tree::{Directory, Metadata, Node, Time, Tree, TreePath};

/// Far more than any of these takes, and far less than the square of their sizes would.
const PATIENCE: Duration = Duration::from_secs(20);

fn session() -> Workbench {
    let mut workbench = Workbench::new();
    let (image, layer) = (1, 1);
    let create = Action::CreateImage {
        image,
        name: "large".into(),
    };
    workbench.apply(operation(create)).unwrap();
    for layer in [layer, layer + 1] {
        let name = format!("layer {layer}");
        let position = None;
        workbench
            .apply(operation(Action::AddLayer {
                image,
                layer,
                name,
                position,
            }))
            .unwrap();
    }
    workbench
}

fn with_parents(action: Action) -> Action {
    match action {
        Action::Make {
            layer,
            path,
            entry,
            attributes,
            replace,
            ..
        } => Action::Make {
            layer,
            path,
            entry,
            attributes,
            parents: true,
            replace,
        },
        action => action,
    }
}

fn place(layer: LayerId, path: &str) -> Place {
    Place {
        layer,
        path: path.into(),
    }
}

fn ask(workbench: &mut Workbench, query: &str) -> Answer {
    workbench
        .query(&json::read(query.as_bytes(), 1 << 20).unwrap())
        .unwrap()
}

#[test]
fn a_hundred_thousand_directories_in_one_another() {
    const DEPTH: usize = 100_000;
    let began = Instant::now();
    let mut workbench = session();
    let deep = "/d".repeat(DEPTH);
    for action in [
        with_parents(make(1, &deep, NewEntry::Fifo)),
        Action::Whiteout {
            layer: 2,
            path: deep.clone(),
            parents: true,
        },
        Action::Move {
            from: place(1, "/d"),
            to: place(1, "/e"),
        },
        Action::Copy {
            from: place(1, "/e"),
            to: place(2, "/d/e"),
        },
        Action::Delete {
            layer: 1,
            path: "/e".into(),
        },
    ] {
        workbench.apply(operation(action)).unwrap();
    }
    let entries = |workbench: &Workbench| {
        let trees = workbench
            .state()
            .layers()
            .map(|layer| layer.layer.tree().counts().entries);
        trees.collect::<Vec<_>>()
    };
    assert_eq!(entries(&workbench), [0, 2 * DEPTH as u64 - 1]);
    while workbench.undo() {}
    while workbench.redo() {}
    assert_eq!(entries(&workbench), [0, 2 * DEPTH as u64 - 1]);
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

#[test]
fn a_path_as_long_as_the_kernel_takes_is_hashed_and_shown() {
    const DEPTH: usize = 2000;
    let began = Instant::now();
    let mut workbench = session();
    let deep = "/d".repeat(DEPTH);
    let text = NewEntry::File {
        content: ContentRef::Text { text: "deep".into() },
    };
    workbench
        .apply(operation(with_parents(make(1, &format!("{deep}/file"), text))))
        .unwrap();
    finish(&mut workbench);
    assert!(matches!(workbench.blob_state(1), BlobState::Known(_)));
    let found = ask(
        &mut workbench,
        r#"{"query":"find","image":1,"text":"file","limit":9}"#,
    );
    assert!(matches!(found, Answer::Find(found) if found.len() == 1 && found[0].visible));
    let row = ask(
        &mut workbench,
        &format!(r#"{{"query":"row_of","image":1,"path":"{deep}/file"}}"#),
    );
    assert!(matches!(row, Answer::RowOf(Some(DEPTH))));
    let rows = r#"{"query":"rows","image":1,"from":0,"to":99,"filter":"file"}"#;
    assert!(matches!(ask(&mut workbench, rows), Answer::Rows { total, .. } if total == DEPTH + 1));
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

#[test]
fn fifty_thousand_files_in_one_directory() {
    const FILES: usize = 50_000;
    let began = Instant::now();
    let metadata = Metadata::new(0o644, 0, 0, Time::at(0));
    let mut tree = Tree::new(metadata.clone(), 0);
    let path = |text: &str| TreePath::parse(text).unwrap();
    let directory = Node::Directory(Directory::default());
    tree.make(&path("/d"), directory, metadata.clone()).unwrap();
    for number in 0..FILES {
        tree.make(&path(&format!("/d/{number:06}")), Node::Fifo, metadata.clone())
            .unwrap();
    }
    let mut workbench = session();
    workbench
        .apply(import_tree(1, 3, "wide", &tree, |_| {
            unreachable!("there is no file")
        }))
        .unwrap();
    assert_eq!(
        workbench.state().layer(3).unwrap().layer.tree().counts(),
        tree.counts()
    );
    workbench
        .apply(operation(Action::Copy {
            from: place(3, "/d"),
            to: place(1, "/d"),
        }))
        .unwrap();
    workbench.set_open(1, "/d", true);
    let rows = r#"{"query":"rows","image":1,"from":49990,"to":50001}"#;
    let Answer::Rows { rows, total, .. } = ask(&mut workbench, rows) else {
        panic!("rows were asked for")
    };
    assert_eq!((total, rows.len()), (FILES + 1, 11));
    assert_eq!(rows[10].path, "/d/049999");
    let found = ask(
        &mut workbench,
        r#"{"query":"find","image":1,"text":"04999","limit":20}"#,
    );
    assert!(matches!(found, Answer::Find(found) if found.len() == 20));
    finish(&mut workbench);
    let digest = |workbench: &Workbench, layer| match workbench.blob_state(layer) {
        BlobState::Known(blob) => blob.diff_size,
        _ => panic!("layer {layer} is not known"),
    };
    assert!(digest(&workbench, 1) > 512 * FILES as u64);
    assert!(workbench.undo() && workbench.undo());
    assert!(began.elapsed() < 2 * PATIENCE, "{:?}", began.elapsed());
}

#[test]
fn a_find_has_no_more_than_was_asked_for() {
    let mut workbench = session();
    for (layer, path) in [(1, "/aa"), (1, "/ab"), (2, "/aa")] {
        workbench
            .apply(operation(make(layer, path, NewEntry::Directory)))
            .unwrap();
    }
    workbench.apply(operation(write(1, "/no", ""))).unwrap_err();
    for limit in 0..4 {
        let query = format!(r#"{{"query":"find","image":1,"text":"a","limit":{limit}}}"#);
        let found = ask(&mut workbench, &query);
        assert!(
            matches!(found, Answer::Find(found) if found.len() == limit),
            "{limit}"
        );
    }
}
