//! Two points of a session compared: an image's layers, steps of a container, and the layer between them.

use serde_json::Value;

use crate::image::json::read;
use crate::tree::Time;

use super::{Caller, Export, Operation, Query, Workbench, WorkbenchError};

fn apply(workbench: &mut Workbench, action: &str) -> Result<(), WorkbenchError> {
    workbench.apply(Operation {
        time: Time::at(1_700_000_000),
        caller: Caller::ROOT,
        action: read(action.as_bytes(), 10_000).unwrap(),
    })
}

/// Two layers, and a container on them in which three steps were done.
fn session() -> Workbench {
    let mut workbench = Workbench::new();
    for action in [
        r#"{"op":"create_image","image":1,"name":"a"}"#,
        r#"{"op":"add_layer","image":1,"layer":1,"name":"base"}"#,
        r#"{"op":"make","layer":1,"path":"/d/x","entry":{"kind":"file","content":{"text":"below"}},"parents":true}"#,
        r#"{"op":"make","layer":1,"path":"/d/y","entry":{"kind":"hard_link","target":"/d/x"}}"#,
        r#"{"op":"make","layer":1,"path":"/gone/z","entry":{"kind":"fifo"},"parents":true}"#,
        r#"{"op":"add_layer","image":1,"layer":2,"name":"top"}"#,
        r#"{"op":"make","layer":2,"path":"/d","entry":{"kind":"directory"}}"#,
        r#"{"op":"make","layer":2,"path":"/d/new","entry":{"kind":"symlink","target":"x"}}"#,
        r#"{"op":"whiteout","layer":2,"path":"/gone"}"#,
        r#"{"op":"start_container","container":2,"image":1,"layer":3,"options":""}"#,
        r#"{"op":"call_in","container":2,"call":"chmod /d/x 0600"}"#,
        r#"{"op":"call_in","container":2,"call":"write /d/x other"}"#,
        r#"{"op":"call_in","container":2,"call":"unlink /d/new"}"#,
    ] {
        apply(&mut workbench, action).unwrap();
    }
    workbench
}

fn compare(workbench: &mut Workbench, before: &str, after: &str) -> Value {
    let query = format!(r#"{{"query":"compare","before":{before},"after":{after},"from":0,"to":99}}"#);
    let query: Query = read(query.as_bytes(), 10_000).unwrap();
    serde_json::to_value(workbench.query(&query).unwrap()).unwrap()
}

/// `+` added, `-` removed, `~` changed, and in what.
fn told(workbench: &mut Workbench, before: &str, after: &str) -> Vec<String> {
    let compared = compare(workbench, before, after);
    let line = |row: &Value| {
        let path = row["path"].as_str().unwrap();
        match (row["before"].is_null(), row["after"].is_null()) {
            (true, _) => format!("+ {path}"),
            (_, true) => format!("- {path}"),
            _ => format!("~ {path} {}", row["changed"]),
        }
    };
    compared["rows"].as_array().unwrap().iter().map(line).collect()
}

const BASE: &str = r#"{"image":1,"layers":1}"#;
const TOP: &str = r#"{"image":1,"layers":2}"#;

fn step(step: usize) -> String {
    format!(r#"{{"container":2,"step":{step}}}"#)
}

#[test]
fn layers_and_steps_are_compared() {
    let mut workbench = session();
    let forth = ["+ /d/new", "- /gone", "- /gone/z"];
    assert_eq!(told(&mut workbench, BASE, TOP), forth);
    assert_eq!(
        told(&mut workbench, TOP, BASE),
        ["- /d/new", "+ /gone", "+ /gone/z"]
    );
    assert_eq!(told(&mut workbench, TOP, TOP), [""; 0]);
    // The name that is written through is a file of its own from then on.
    assert_eq!(
        told(&mut workbench, TOP, &step(1)),
        [r#"~ /d/x ["mode","links"]"#]
    );
    let changed = told(&mut workbench, &step(1), &step(2));
    assert_eq!(changed, [r#"~ /d/x ["content"]"#]);
    let all = compare(&mut workbench, TOP, &step(9));
    let counts = ["total", "added", "removed", "changed"].map(|name| all[name].as_u64().unwrap());
    assert_eq!(counts, [2, 0, 1, 1]);
    assert_eq!(all["rows"][1]["before"]["layer"], 1);
    assert_eq!(all["rows"][1]["after"]["layer"], 3);
    assert_eq!(all["rows"][0]["before"]["target"], "x");
}

#[test]
fn what_was_found_is_found_again_after_a_change() {
    let mut workbench = session();
    let before = told(&mut workbench, TOP, &step(9)).len();
    apply(
        &mut workbench,
        r#"{"op":"call_in","container":2,"call":"mkdir /more"}"#,
    )
    .unwrap();
    assert_eq!(told(&mut workbench, TOP, &step(9)).len(), before + 1);
    assert!(workbench.undo());
    assert_eq!(told(&mut workbench, TOP, &step(9)).len(), before);
}

#[test]
fn the_difference_as_a_layer_makes_the_one_of_the_other() {
    let mut workbench = session();
    let action = format!(
        r#"{{"op":"add_difference","image":1,"layer":4,"name":"diff","before":{TOP},"after":{}}}"#,
        step(3)
    );
    apply(&mut workbench, &action).unwrap();
    let with = r#"{"image":1,"layers":3}"#;
    assert_eq!(told(&mut workbench, with, &step(3)), [""; 0]);
    let layer = workbench.state().layer(4).unwrap().layer.tree().counts();
    assert_eq!((layer.entries, layer.whiteouts), (2, 1));
    // Downwards too: what is gone above comes back.
    apply(
        &mut workbench,
        &action
            .replace(r#""layer":4"#, r#""layer":5"#)
            .replace(TOP, with)
            .replace(&step(3), BASE),
    )
    .unwrap();
    assert_eq!(told(&mut workbench, BASE, r#"{"image":1,"layers":4}"#), [""; 0]);
}

#[test]
fn the_tar_is_that_of_the_layer() {
    let workbench = session();
    let export = format!(r#"{{"export":"difference_tar","before":{BASE},"after":{TOP}}}"#);
    let export: Export = read(export.as_bytes(), 1000).unwrap();
    let parts = workbench.export(&export).unwrap();
    let size: u64 = parts.iter().map(crate::layer::Bytes::len).sum();
    // The root, /d, /d/new, the whiteout, and two blocks of zeros, filled up to a record.
    assert_eq!(size, 10240);
}

#[test]
fn what_is_not_there_is_refused() {
    let mut workbench = session();
    for (before, after, code) in [
        (r#"{"image":1,"layers":3}"#, BASE, "bad_position"),
        (BASE, r#"{"image":7,"layers":0}"#, "no_image"),
        (BASE, r#"{"container":1,"step":0}"#, "no_container"),
    ] {
        let query = format!(r#"{{"query":"compare","before":{before},"after":{after},"from":0,"to":9}}"#);
        let query: Query = read(query.as_bytes(), 10_000).unwrap();
        assert_eq!(workbench.query(&query).unwrap_err().code(), code);
    }
}
