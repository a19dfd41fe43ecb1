//! The machine in a session: images imported, containers run, events walked back, all of it taken back.

use serde_json::{Value, json};

use crate::image::json::read;
use crate::tree::Time;

use super::{Caller, Operation, Query, Workbench, WorkbenchError};

fn apply(workbench: &mut Workbench, action: &str) -> Result<(), WorkbenchError> {
    workbench.apply(Operation {
        time: Time::at(1_700_000_000),
        caller: Caller::ROOT,
        action: read(action.as_bytes(), 10_000).unwrap(),
    })
}

fn ask(workbench: &mut Workbench, query: &str) -> Value {
    let query: Query = read(query.as_bytes(), 10_000).unwrap();
    serde_json::to_value(workbench.query(&query).unwrap()).unwrap()
}

/// Two images on one base, not imported.
fn session() -> Workbench {
    let mut workbench = Workbench::new();
    for (image, name, first) in [(1, "a", 1), (2, "b:1", 11)] {
        for action in [
            format!(r#"{{"op":"create_image","image":{image},"name":"{name}"}}"#),
            format!(r#"{{"op":"add_layer","image":{image},"layer":{first},"name":"base"}}"#),
            format!(
                r#"{{"op":"make","layer":{first},"path":"/d/x","entry":{{"kind":"file","content":{{"text":"below"}}}},"parents":true}}"#
            ),
            format!(
                r#"{{"op":"add_layer","image":{image},"layer":{},"name":"top"}}"#,
                first + 1
            ),
            format!(
                r#"{{"op":"make","layer":{},"path":"/{name}","entry":{{"kind":"file","content":{{"text":"top"}}}}}}"#,
                first + 1
            ),
            format!(
                r#"{{"op":"whiteout","layer":{},"path":"/d/x","parents":true}}"#,
                first + 1
            ),
            format!(r#"{{"op":"set_config","image":{image},"set":{{"field":"cmd","value":["/bin/sh"]}}}}"#),
        ] {
            apply(&mut workbench, &action).unwrap();
        }
    }
    workbench
}

fn imported() -> Workbench {
    let mut workbench = session();
    for image in [1, 2] {
        let action = format!(r#"{{"op":"import_image","image":{image},"unpack":true}}"#);
        apply(&mut workbench, &action).unwrap();
    }
    workbench
}

fn rules(workbench: &mut Workbench) -> Vec<String> {
    let events = ask(workbench, r#"{"query":"events","from":0,"to":999}"#);
    let events = events.as_array().unwrap().iter();
    events
        .map(|event| event["rule"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_import_is_a_sequence_of_events() {
    let mut workbench = imported();
    let rules = rules(&mut workbench);
    let first = [
        "lease.created",
        "content.ingested", // index.json
        "content.ingested", // the manifest
        "content.ingested", // the configuration
        "content.ingested",
        "content.ingested",
        "label.gc_ref", // of the index
        "label.gc_ref", // of the manifest
        "label.gc_ref",
        "label.gc_ref",
        "image.created",
        "lease.removed",
        "lease.created",
        "snapshot.prepared_bind",
        "layer.applied",
        "diffid.verified",
        "snapshot.committed",
        "label.uncompressed",
        "snapshot.prepared_overlay",
        "layer.applied",
        "diffid.verified",
        "snapshot.committed",
        "label.uncompressed",
        "label.gc_snapshot",
        "lease.removed",
    ];
    assert_eq!(rules[..first.len()], first);
    let second = &rules[first.len()..];
    let count = |rule: &str| second.iter().filter(|other| *other == rule).count();
    assert_eq!((count("content.exists"), count("snapshot.exists")), (1, 1));
    assert_eq!((count("layer.applied"), count("snapshot.prepared_bind")), (1, 0));
    let events = ask(&mut workbench, r#"{"query":"events","from":19,"to":20}"#);
    let whiteout = json!({"sign": "+", "path": "/d/x", "what": "whiteout: a character device 0:0"});
    assert!(
        events[0]["disk"].as_array().unwrap().contains(&whiteout),
        "{events}"
    );
    assert_eq!(events[0]["number"], 20);
    assert_eq!(events[0]["group_title"], "ctr images import a.tar");
}

#[test]
fn the_machine_is_looked_at_after_any_event() {
    let mut workbench = imported();
    let now = ask(&mut workbench, r#"{"query":"machine"}"#);
    let count = |view: &Value, what: &str| view[what].as_array().unwrap().len();
    assert_eq!((count(&now, "images"), count(&now, "snapshots")), (2, 3));
    assert_eq!(now["images"][1]["name"], "docker.io/library/b:1");
    assert_eq!(now["images"][1]["platforms"], json!(["linux/amd64"]));
    let base = now["snapshots"].as_array().unwrap().iter();
    let base = base.clone().find(|row| row["depth"] == 0).unwrap();
    assert_eq!(base["layer"], 1);
    assert_eq!(count(base, "images"), 2);
    workbench.show_event(14);
    let then = ask(&mut workbench, r#"{"query":"machine"}"#);
    assert_eq!((then["at"].as_u64(), count(&then, "leases")), (Some(14), 1));
    let prepared = &then["snapshots"][0];
    assert_eq!(
        (prepared["kind"].as_str(), prepared["new"].as_bool()),
        (Some("active"), Some(true))
    );
    let mounts = prepared["mounts"].as_str().unwrap();
    let fs = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs";
    assert_eq!(mounts, format!("mount -t bind {fs} DIR -o rw,rbind"));
    let key = prepared["key"].as_str().unwrap();
    assert!(key.starts_with("extract-0-"), "{key}");
    workbench.show_event(0);
    let nothing = ask(&mut workbench, r#"{"query":"machine"}"#);
    assert_eq!(count(&nothing, "content"), 0);
    workbench.show_event(999);
    assert_eq!(ask(&mut workbench, r#"{"query":"machine"}"#)["at"], now["at"]);
    assert!(workbench.undo());
    assert_eq!(count(&ask(&mut workbench, r#"{"query":"machine"}"#), "images"), 1);
    assert!(workbench.undo());
    assert!(ask(&mut workbench, r#"{"query":"overview"}"#)["machine"].is_null());
    assert!(workbench.redo() && workbench.redo());
    assert_eq!(ask(&mut workbench, r#"{"query":"machine"}"#), now);
}

#[test]
fn garbage_and_sharing_are_told_with_reasons() {
    let mut workbench = imported();
    let sharing = ask(&mut workbench, r#"{"query":"sharing"}"#);
    assert_eq!(sharing["layers"].as_array().unwrap().len(), 3);
    let base = &sharing["layers"][0];
    assert_eq!(sharing["saved_wire"], base["size_wire"]);
    assert_eq!(sharing["saved_disk"], base["size_disk"]);
    assert_eq!(sharing["images"][0]["shared_disk"], base["size_disk"]);
    let garbage = |workbench: &mut Workbench| -> Vec<(String, String)> {
        let rows = ask(workbench, r#"{"query":"garbage"}"#);
        let removed = rows
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["removed"] == true);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        removed
            .map(|row| (text(&row["kind"]), text(&row["key"])))
            .collect()
    };
    let indexes = garbage(&mut workbench);
    assert_eq!(indexes.len(), 2, "the two index.json: {indexes:?}");
    apply(&mut workbench, r#"{"op":"collect_garbage"}"#).unwrap();
    assert_eq!(garbage(&mut workbench), []);
    let rm = r#"{"op":"remove_image_of_machine","name":"docker.io/library/a:latest"}"#;
    apply(&mut workbench, rm).unwrap();
    // The manifest, the configuration, the upper layer, and its snapshot.
    assert_eq!(garbage(&mut workbench).len(), 4);
    apply(&mut workbench, r#"{"op":"collect_garbage"}"#).unwrap();
    let view = ask(&mut workbench, r#"{"query":"machine"}"#);
    assert_eq!(view["snapshots"].as_array().unwrap().len(), 2);
    assert!(rules(&mut workbench).contains(&"gc.directory".to_owned()));
    assert_eq!(apply(&mut workbench, rm).unwrap_err().code(), "store_not_found");
}

#[test]
fn a_container_of_the_machine_is_one_of_the_session() {
    let mut workbench = imported();
    let run =
        r#"{"op":"run_container","name":"docker.io/library/a:latest","id":"demo","container":9,"layer":9}"#;
    apply(&mut workbench, run).unwrap();
    apply(
        &mut workbench,
        r#"{"op":"run_line","container":9,"line":"echo new > /d/y; ls / /d"}"#,
    )
    .unwrap();
    let step = ask(&mut workbench, r#"{"query":"step","container":9,"step":0}"#);
    // What runc makes for its mounts is there, and config.txt is not.
    assert_eq!(
        step["output"][0]["text"],
        "/:\na\nd\ndev\nproc\nrun\nsys\n\n/d:\ny\n"
    );
    let detail = ask(&mut workbench, r#"{"query":"container","container":9}"#);
    let options = detail["mounts"][0]["options"].as_str().unwrap();
    let snapshots = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";
    assert_eq!(
        options,
        format!(
            "index=off,workdir={snapshots}/4/work,upperdir={snapshots}/4/fs,lowerdir={snapshots}/2/fs:{snapshots}/1/fs"
        )
    );
    let view = ask(&mut workbench, r#"{"query":"machine"}"#);
    let container = &view["containers"][0];
    assert_eq!(
        (container["container"].as_u64(), container["status"].as_str()),
        (Some(9), Some("RUNNING"))
    );
    let active = view["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["key"] == "demo");
    assert_eq!(active.unwrap()["layer"], 9);
    let steps = ask(&mut workbench, r#"{"query":"runtime_steps","id":"demo"}"#);
    let roots = steps.as_array().unwrap().iter().map(|step| &step["root"]);
    assert!(roots.clone().any(|root| root == "container"), "{steps}");
    assert_eq!(apply(&mut workbench, run).unwrap_err().code(), "id_taken");
    let again = run.replace(":9", ":19");
    assert_eq!(apply(&mut workbench, &again).unwrap_err().code(), "store_exists");
    let commit = r#"{"op":"commit_container","container":9,"layer":20,"name":"written"}"#;
    apply(&mut workbench, commit).unwrap();
    apply(
        &mut workbench,
        r#"{"op":"remove_container_of_machine","id":"demo"}"#,
    )
    .unwrap();
    let view = ask(&mut workbench, r#"{"query":"machine"}"#);
    assert_eq!(view["containers"], json!([]));
    assert!(workbench.state().containers.is_empty());
    assert!(workbench.undo());
    apply(&mut workbench, r#"{"op":"discard_container","container":9}"#).unwrap();
    assert_eq!(ask(&mut workbench, r#"{"query":"machine"}"#), view);
}
