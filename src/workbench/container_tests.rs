//! Containers in a session: started, worked in, looked at after every step, committed, thrown away, taken back.

use serde_json::Value;

use crate::image::json::read;
use crate::tree::{Time, TreePath};

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

/// An image of two layers with a container on it.
fn started() -> Workbench {
    let mut workbench = Workbench::new();
    for action in [
        r#"{"op":"create_image","image":1,"name":"a"}"#,
        r#"{"op":"add_layer","image":1,"layer":1,"name":"base"}"#,
        r#"{"op":"make","layer":1,"path":"/d/x","entry":{"kind":"file","content":{"text":"below"}},"parents":true}"#,
        r#"{"op":"add_layer","image":1,"layer":2,"name":"top"}"#,
        r#"{"op":"start_container","container":2,"image":1,"layer":3,"options":""}"#,
    ] {
        apply(&mut workbench, action).unwrap();
    }
    workbench
}

fn call(workbench: &mut Workbench, call: &str) {
    let text = format!(r#"{{"op":"call_in","container":2,"call":"{call}"}}"#);
    apply(workbench, &text).unwrap();
}

fn paths(workbench: &mut Workbench) -> Vec<String> {
    let rows = ask(workbench, r#"{"query":"rows","image":2,"from":0,"to":99}"#);
    let text = |row: &Value| {
        let top = &row["cells"][2];
        format!(
            "{} {}",
            row["path"].as_str().unwrap(),
            top["what"].as_str().unwrap_or("-")
        )
    };
    rows["rows"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn every_step_is_kept_and_can_be_looked_at() {
    let mut workbench = started();
    assert_eq!(paths(&mut workbench), ["/d -", "/d/x -"]);
    call(&mut workbench, "write /d/y new");
    call(&mut workbench, "unlink /d/x");
    call(&mut workbench, "unlink /d/x");
    assert_eq!(paths(&mut workbench), ["/d entry", "/d/x whiteout", "/d/y entry"]);
    let detail = ask(&mut workbench, r#"{"query":"container","container":2}"#);
    let steps = detail["steps"].as_array().unwrap().iter();
    let steps: Vec<_> = steps
        .map(|step| (step["changed"].as_bool(), step["status"].as_u64()))
        .collect();
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(steps, [(yes, Some(0)), (yes, Some(0)), (no, Some(1))]);
    let last = ask(&mut workbench, r#"{"query":"step","container":2,"step":2}"#);
    assert_eq!(last["calls"][0]["errno"], "ENOENT");
    assert_eq!(last["by_shell"], false);
    workbench.show_step(2, 1);
    assert_eq!(paths(&mut workbench), ["/d entry", "/d/x -", "/d/y entry"]);
    workbench.show_step(2, 0);
    assert_eq!(paths(&mut workbench), ["/d -", "/d/x -"]);
    workbench.show_step(2, 9);
    assert!(workbench.undo() && workbench.undo());
    assert_eq!(paths(&mut workbench), ["/d entry", "/d/x -", "/d/y entry"]);
}

#[test]
fn a_container_keeps_its_layers_and_becomes_one() {
    let mut workbench = started();
    call(&mut workbench, "unlink /d/x");
    let edit = r#"{"op":"write","layer":1,"path":"/d/x","content":{"text":"another"}}"#;
    apply(&mut workbench, edit).unwrap();
    let overview = ask(&mut workbench, r#"{"query":"overview"}"#);
    assert_eq!(overview["containers"][0]["moved_on"], true);
    call(&mut workbench, "rename /d /e");
    let last = ask(&mut workbench, r#"{"query":"step","container":2,"step":1}"#);
    let events = last["calls"][0]["events"].as_array().unwrap();
    assert_eq!(events.last().unwrap()["rule"], "errno.rename_lower_directory");
    apply(
        &mut workbench,
        r#"{"op":"commit_container","container":2,"layer":4,"name":"written"}"#,
    )
    .unwrap();
    let image = workbench.state().image(1).unwrap();
    let path = TreePath::parse("/d/x").unwrap();
    assert!(image.layers[2].layer.tree().is_whiteout(&path));
    apply(&mut workbench, r#"{"op":"discard_container","container":2}"#).unwrap();
    assert!(workbench.state().containers.is_empty());
}

#[test]
fn what_cannot_be_is_refused() {
    let mut workbench = started();
    for (action, code) in [
        (
            r#"{"op":"start_container","container":1,"image":1,"layer":9,"options":""}"#,
            "id_taken",
        ),
        (
            r#"{"op":"start_container","container":2,"image":1,"layer":9,"options":""}"#,
            "id_taken",
        ),
        (
            r#"{"op":"start_container","container":9,"image":1,"layer":3,"options":""}"#,
            "id_taken",
        ),
        (
            r#"{"op":"start_container","container":9,"image":1,"layer":9,"options":"metacopy=on"}"#,
            "cannot_mount",
        ),
        (
            r#"{"op":"start_container","container":9,"image":8,"layer":9,"options":""}"#,
            "no_image",
        ),
        (r#"{"op":"create_image","image":2,"name":"a"}"#, "id_taken"),
        (r#"{"op":"add_layer","image":1,"layer":3,"name":"a"}"#, "id_taken"),
        (r#"{"op":"call_in","container":2,"call":"fly /d"}"#, "bad_call"),
        (
            r#"{"op":"call_in","container":1,"call":"rmdir /d"}"#,
            "no_container",
        ),
        (
            r#"{"op":"commit_container","container":2,"layer":1,"name":"a"}"#,
            "id_taken",
        ),
    ] {
        assert_eq!(
            apply(&mut workbench, action).unwrap_err().code(),
            code,
            "{action}"
        );
    }
    apply(
        &mut workbench,
        r#"{"op":"create_image","image":5,"name":"empty"}"#,
    )
    .unwrap();
    let on_nothing = r#"{"op":"start_container","container":6,"image":5,"layer":9,"options":""}"#;
    assert_eq!(
        apply(&mut workbench, on_nothing).unwrap_err().code(),
        "cannot_mount"
    );
}

/// What a line of the shell prints in the container, and its exit status.
fn run(workbench: &mut Workbench, line: &str) -> (String, u64) {
    let text = serde_json::to_string(line).unwrap();
    let action = format!(r#"{{"op":"run_line","container":9,"line":{text}}}"#);
    apply(workbench, &action).unwrap();
    let steps = workbench.state().container(9).unwrap().steps.len();
    let query = format!(r#"{{"query":"step","container":9,"step":{}}}"#, steps - 1);
    let step = ask(workbench, &query);
    let pieces = step["output"].as_array().unwrap().iter();
    let text = pieces.map(|piece| piece["text"].as_str().unwrap()).collect();
    (text, step["status"].as_u64().unwrap())
}

/// The article's sections 6 and 8, typed in a container on its image: what it prints there, it prints here. What
/// containerd adds when it runs one (`/dev`, `/etc`, `/proc`, `/sys`) is not of the mount.
#[test]
fn the_articles_container() {
    let mut workbench = Workbench::new();
    let action = super::sample(1, 1, "amd64").unwrap();
    workbench
        .apply(Operation {
            time: Time::at(1_735_689_600),
            caller: Caller::ROOT,
            action,
        })
        .unwrap();
    let start = r#"{"op":"start_container","container":9,"image":1,"layer":9,"options":""}"#;
    apply(&mut workbench, start).unwrap();
    for (line, prints) in [
        ("ls /", "bin\ndata\nhello.txt\n"),
        ("cat /hello.txt", "hello from delta\n"),
        ("ls /bin/", "cat\nls\nshow\n"),
        ("ls /data/", ""),
    ] {
        assert_eq!(run(&mut workbench, line), (prints.to_owned(), 0), "{line}");
    }
    // The base layer is whole all the same.
    let (gone, status) = run(&mut workbench, "cat /data/config.txt");
    assert_eq!(
        (&gone[..], status),
        ("cat: /data/config.txt: No such file or directory\n", 1)
    );
    let base = workbench.layer_or_sheet(1).unwrap();
    let path = TreePath::parse("/data/config.txt").unwrap();
    let ino = base.layer.tree().resolve(&path).unwrap();
    let crate::tree::Node::File(content) = &base.layer.tree().inode(ino).node else {
        panic!("it is a file");
    };
    assert_eq!(content.read_all(100).unwrap(), b"base config\n");
    // The mount, the upper snapshot's directory above the two layers', the delta first.
    let (mount, _) = run(&mut workbench, "mount");
    let snapshots = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";
    let expected = format!(
        "lowerdir={snapshots}/2/fs:{snapshots}/1/fs,upperdir={snapshots}/3/fs,workdir={snapshots}/3/work"
    );
    assert!(mount.contains(" on / type overlay (rw,"), "{mount}");
    assert!(mount.contains(&expected), "{mount}");
    // What is written lies in the container's own sheet.
    assert_eq!(
        run(&mut workbench, "echo mine > /data/mine && rm /hello.txt").1,
        0
    );
    let upper = ask(&mut workbench, r#"{"query":"upper","container":9}"#);
    let upper = upper.as_array().unwrap().iter();
    let paths: Vec<_> = upper
        .map(|row| (row["path"].as_str().unwrap(), row["what"].as_str().unwrap()))
        .collect();
    let expected = [
        ("/", "directory"),
        ("/data", "directory"),
        ("/data/mine", "file 5 \"mine\\x0a\""),
        ("/hello.txt", "whiteout"),
    ];
    assert_eq!(paths, expected);
}
