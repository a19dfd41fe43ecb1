//! The machine in a session: images imported, containers run, events walked back, all of it taken back.

use serde_json::{Value, json};

use crate::base64;
use crate::image::elf;
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

/// A program that could be started, in base64.
fn program() -> String {
    let machine = elf::Machine {
        number: 62,
        wide: true,
        big_endian: false,
    };
    base64::encode(&elf::of_tests(machine, None))
}

/// Two images on one base, not imported.
fn session() -> Workbench {
    let mut workbench = Workbench::new();
    let program = program();
    for (image, name, first) in [(1, "a", 1), (2, "b:1", 11)] {
        for action in [
            format!(r#"{{"op":"create_image","image":{image},"name":"{name}"}}"#),
            format!(r#"{{"op":"add_layer","image":{image},"layer":{first},"name":"base"}}"#),
            format!(
                r#"{{"op":"make","layer":{first},"path":"/d/x","entry":{{"kind":"file","content":{{"text":"below"}}}},"parents":true}}"#
            ),
            format!(
                r#"{{"op":"make","layer":{first},"path":"/bin/sh","entry":{{"kind":"file","content":{{"base64":"{program}"}}}},"parents":true}}"#
            ),
            format!(
                r#"{{"op":"set_attributes","layer":{first},"path":"/bin/sh","attributes":{{"mode":493}}}}"#
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
    let run = "ctr run -t docker.io/library/a:latest demo";
    typed(&mut workbench, run);
    apply(
        &mut workbench,
        r#"{"op":"run_line","container":9,"line":"echo new > /d/y; ls / /d"}"#,
    )
    .unwrap();
    let step = ask(&mut workbench, r#"{"query":"step","container":9,"step":0}"#);
    // What runc makes for its mounts is there, and config.txt is not.
    assert_eq!(
        step["output"][0]["text"],
        "/:\na\nbin\nd\ndev\nproc\nrun\nsys\n\n/d:\ny\n"
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
    let other = run.replace("demo", "other");
    let other = json!({"op": "run_on_machine", "line": other, "container": 9, "layer": 19});
    let taken = apply(&mut workbench, &other.to_string());
    assert_eq!(taken.unwrap_err().code(), "id_taken");
    let again = json!({"op": "run_on_machine", "line": run, "container": 19, "layer": 19}).to_string();
    apply(&mut workbench, &again).unwrap();
    let prompt = ask(&mut workbench, r#"{"query":"prompt"}"#);
    assert_eq!(
        prompt["lines"][1]["output"][0]["text"],
        "ctr: snapshot \"demo\": already exists\n"
    );
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

/// What a line at the prompt prints, and its status.
fn typed(workbench: &mut Workbench, line: &str) -> (String, u64) {
    let action = json!({"op": "run_on_machine", "line": line, "container": 9, "layer": 9});
    apply(workbench, &action.to_string()).unwrap();
    let prompt = ask(workbench, r#"{"query":"prompt"}"#);
    let last = prompt["lines"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["input"], line);
    let pieces = last["output"].as_array().unwrap().iter();
    let text = pieces.map(|piece| piece["text"].as_str().unwrap().to_owned());
    (text.collect(), last["status"].as_u64().unwrap())
}

#[test]
fn an_image_that_is_not_unpacked_is_unpacked_and_looked_into_by_run() {
    let mut workbench = session();
    for action in [
        r#"{"op":"make","layer":1,"path":"/etc/passwd","entry":{"kind":"file","content":{"text":"anna:x:7:8::/:/bin/sh\n"}},"parents":true}"#,
        r#"{"op":"set_config","image":1,"set":{"field":"user","value":"anna"}}"#,
        r#"{"op":"import_image","image":1,"unpack":false}"#,
    ] {
        apply(&mut workbench, action).unwrap();
    }
    let ran = typed(&mut workbench, "ctr run -d docker.io/library/a:latest demo");
    assert_eq!(ran, (String::new(), 0));
    let steps = ask(&mut workbench, r#"{"query":"runtime_steps","id":"demo"}"#).to_string();
    assert!(steps.contains("setuid(7)"), "{steps}");
}

/// The article's section 7, line by line.
#[test]
fn an_archive_that_is_not_hashed_is_imported_by_a_name_in_quotes() {
    for line in [
        r#"ctr images import a".t"ar"#,
        "ctr images import a'.'tar",
        r"ctr images import \\a.tar",
        r"ctr images import a\\.tar",
    ] {
        let (output, status) = typed(&mut session(), line);
        assert_eq!(status, 0, "{line}: {output}");
    }
}

#[test]
fn the_article_is_typed_at_the_machines_prompt() {
    let mut workbench = session();
    assert_eq!(
        typed(&mut workbench, "pwd; ls"),
        ("/root\na.tar\nb.tar\n".to_owned(), 0)
    );
    let (text, status) = typed(&mut workbench, "sudo ctr images import a.tar");
    assert!(
        text.starts_with("unpacking docker.io/library/a:latest (sha256:"),
        "{text}"
    );
    assert!(text.ends_with(")...done\n") && status == 0, "{text}");
    let (text, _) = typed(&mut workbench, "ctr images ls -q; ctr snapshots ls | wc");
    assert_eq!(text, "docker.io/library/a:latest\n      3       8     465\n");
    // As the article has it, new lines and all.
    let (text, status) = typed(
        &mut workbench,
        r#"SNAPSHOTS_ROOT="/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"
sudo ls "$SNAPSHOTS_ROOT"

# inspect each snapshot's contents
for snap in $(sudo ls "$SNAPSHOTS_ROOT"); do
  echo "--- snapshot $snap ---"
  sudo ls "$SNAPSHOTS_ROOT/$snap/fs/"
  if sudo test -f "$SNAPSHOTS_ROOT/$snap/fs/d/x"; then
    echo "x = $(sudo cat "$SNAPSHOTS_ROOT/$snap/fs/d/x")"
  fi
done"#,
    );
    let expected = "1\n2\n--- snapshot 1 ---\nbin\nd\nx = below\n--- snapshot 2 ---\na\nd\n";
    assert_eq!((&text[..], status), (expected, 0));
    // What is assigned stays for the next line.
    let (text, _) = typed(
        &mut workbench,
        r#"sudo ctr -n "$CTR_NAMESPACE" snapshots ls | grep -c Committed; ls $WORKDIR; echo $SNAPSHOTS_ROOT | wc -l"#,
    );
    assert_eq!(text, "2\na.tar\nb.tar\n1\n");
    let (text, _) = typed(
        &mut workbench,
        "cd /var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots; sudo ls; ls *; ls 1/fs 2/fs",
    );
    assert_eq!(
        text,
        "1\n2\n1:\nfs\nwork\n\n2:\nfs\nwork\n1/fs:\nbin\nd\n\n2/fs:\na\nd\n"
    );
    let (text, _) = typed(&mut workbench, "cat 1/fs/d/x; stat -c '%F %t:%T' 2/fs/d/x");
    assert_eq!(text, "belowcharacter special file 0:0\n");
    let (text, status) = typed(
        &mut workbench,
        "echo x > 2/fs/d/y; mkdir 3; rm -r 1; touch /root/x",
    );
    assert_eq!(text.matches("Read-only file system").count(), 6, "{text}");
    assert_eq!(status, 1);
    let (text, _) = typed(
        &mut workbench,
        "cd; cd ../var/lib/containerd/io.containerd.content.v1.content/blobs/sha256; sha256sum *",
    );
    let sums: Vec<_> = text.lines().map(|line| line.split_once("  ").unwrap()).collect();
    assert!(
        sums.len() == 4 && sums.iter().all(|(sum, name)| sum == name),
        "{text}"
    );
    let (text, _) = typed(&mut workbench, "test -f $PWD/nothing || ctr content ls -q");
    assert_eq!(text.lines().count(), 4, "the archive's index was garbage: {text}");
}

#[test]
fn a_container_is_run_at_the_prompt() {
    let mut workbench = session();
    typed(&mut workbench, "ctr images import a.tar");
    let before = ask(&mut workbench, r#"{"query":"machine"}"#);
    let (text, status) = typed(
        &mut workbench,
        "ctr run -t docker.io/library/a:latest demo /bin/sh",
    );
    assert!(
        status == 0 && text.starts_with("No program runs here") && text.contains("In the container demo"),
        "{text}"
    );
    let (text, _) = typed(&mut workbench, "ctr tasks ls");
    assert_eq!(text, "TASK    PID     STATUS    \ndemo    1003    RUNNING\n");
    let line =
        r#"{"op":"run_line","container":9,"line":"echo new > /d/y; cat /proc/1/mountinfo | grep overlay"}"#;
    apply(&mut workbench, line).unwrap();
    let view = ask(&mut workbench, r#"{"query":"step","container":9,"step":0}"#).to_string();
    assert!(
        view.contains("100 99 0:100 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib"),
        "{view}"
    );
    let (text, _) = typed(
        &mut workbench,
        "cat /var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/3/fs/d/y",
    );
    assert_eq!(text, "new\n");
    let (text, status) = typed(&mut workbench, "ctr containers rm demo");
    assert!(text.contains("cannot delete a non stopped container"), "{text}");
    assert_eq!(status, 1);
    typed(
        &mut workbench,
        "ctr tasks kill demo; ctr tasks ls; ctr containers rm demo",
    );
    assert!(workbench.state().containers.is_empty());
    let after = ask(&mut workbench, r#"{"query":"machine"}"#);
    assert_eq!(
        after["snapshots"].as_array().unwrap().len(),
        before["snapshots"].as_array().unwrap().len()
    );
    typed(
        &mut workbench,
        "ctr run --rm docker.io/library/a:latest gone; ctr tasks kill gone",
    );
    assert_eq!(
        typed(&mut workbench, "ctr containers ls -q; ctr tasks ls -q").0,
        ""
    );
    let (_, status) = typed(
        &mut workbench,
        "ctr run docker.io/library/a:latest other; ctr run docker.io/library/a:latest more",
    );
    assert_eq!(status, 1, "one container for a line");
    assert_eq!(typed(&mut workbench, "ctr containers ls -q").0, "more\nother\n");
    assert!(workbench.undo() && workbench.undo());
    assert!(workbench.state().containers.is_empty());
}

#[test]
fn what_a_program_writes_is_an_event_and_stays_without_rm() {
    let mut workbench = session();
    typed(&mut workbench, "ctr images import a.tar");
    let before = rules(&mut workbench).len();
    let script = "echo new > /d/y; echo more >> /a; ls; exit 3";
    let run = format!("ctr run --rm docker.io/library/a:latest demo sh -c '{script}'");
    let (text, status) = typed(&mut workbench, &run);
    let (note, text) = text.split_once('\n').unwrap();
    assert!(
        note.starts_with("handroll: no code of an image is executed here."),
        "{note}"
    );
    // The image has no ls, and its shell none of its own.
    assert_eq!((text, status), ("sh: 1: ls: not found\n", 3));
    let wrote = [
        "task.started",
        "task.wrote", // /d/y is made
        "task.wrote", // and written
        "task.wrote", // /a is copied up
        "task.wrote", // and written
        "task.exited",
        "task.deleted",
        "snapshot.removed",
        "container.removed",
    ];
    let after = rules(&mut workbench);
    let from = before
        + after[before..]
            .iter()
            .position(|rule| rule == "task.started")
            .unwrap();
    assert_eq!(after[from..from + wrote.len()], wrote);
    let query = format!(r#"{{"query":"events","from":{},"to":{}}}"#, from + 3, from + 4);
    let event = ask(&mut workbench, &query)[0].clone();
    let sentence = event["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("are copied from layer 2 to the upper directory"),
        "{sentence}"
    );
    assert_eq!(
        event["disk"][0],
        json!({"sign": "+", "path": "/a", "what": "copy_up.file"})
    );
    assert!(workbench.state().containers.is_empty());
    // Without --rm the container stays, and what was done in it is a step of its history.
    typed(&mut workbench, &run.replace("--rm ", ""));
    let step = ask(&mut workbench, r#"{"query":"step","container":9,"step":0}"#);
    assert_eq!(
        (&step["input"], &step["status"]),
        (&json!(run.replace("--rm ", "")), &json!(3))
    );
    let (text, _) = typed(&mut workbench, "ctr tasks ls -q; ctr containers ls -q");
    assert_eq!(text, "demo\n");
    let view = ask(&mut workbench, r#"{"query":"container","container":9}"#);
    assert_eq!(view["steps"].as_array().unwrap().len(), 1);
    let (text, status) = typed(
        &mut workbench,
        "ctr run --rm docker.io/library/a:latest x bin/nope",
    );
    assert!(
        text.ends_with("exec: \"bin/nope\": stat bin/nope: no such file or directory: unknown\n"),
        "{text}"
    );
    assert_eq!(
        (status, typed(&mut workbench, "ctr containers ls -q").0),
        (1, "demo\n".to_owned())
    );
}

#[test]
fn the_machine_shows_the_namespace_that_was_worked_in() {
    let mut workbench = session();
    typed(
        &mut workbench,
        "ctr images import a.tar; ctr images tag docker.io/library/a:latest b",
    );
    let (text, status) = typed(
        &mut workbench,
        "ctr -n b images import a.tar; ctr -n b run docker.io/library/a:latest demo",
    );
    assert!(status == 0 && text.contains("No program runs here"), "{text}");
    let machine = ask(&mut workbench, r#"{"query":"machine"}"#);
    assert_eq!(machine["namespace"], "b");
    assert_eq!(machine["images"].as_array().unwrap().len(), 1);
    assert_eq!(machine["containers"][0]["id"], "demo");
    assert_eq!(machine["containers"][0]["container"], 9);
    let steps = ask(&mut workbench, r#"{"query":"runtime_steps","id":"demo"}"#);
    assert!(!steps.as_array().unwrap().is_empty());
    // What is asked elsewhere has nothing to do with who waits for the container.
    let (text, _) = typed(&mut workbench, "ctr -n none images ls; ctr containers ls -q");
    assert_eq!(text, "REF TYPE DIGEST SIZE PLATFORMS LABELS \n");
    assert_eq!(workbench.state().containers.len(), 1);
    // Buttons work in the namespace that is shown, and an earlier event shows its own.
    apply(
        &mut workbench,
        r#"{"op":"remove_container_of_machine","id":"demo"}"#,
    )
    .unwrap();
    assert!(workbench.state().containers.is_empty());
    let last = ask(&mut workbench, r#"{"query":"events","from":0,"to":1000}"#);
    let title = last.as_array().unwrap().last().unwrap()["group_title"].clone();
    assert_eq!(
        title,
        "ctr -n b tasks kill -s SIGKILL demo; ctr -n b containers rm demo"
    );
    workbench.show_event(3);
    assert_eq!(
        ask(&mut workbench, r#"{"query":"machine"}"#)["namespace"],
        "default"
    );
}

#[test]
fn words_go_on_at_the_prompt() {
    let mut workbench = session();
    let mut words = |line: &str| {
        let query = json!({"query": "complete_on_machine", "line": line, "cursor": line.len()});
        ask(&mut workbench, &query.to_string())["words"].clone()
    };
    assert_eq!(words("ct"), json!(["ctr "]));
    assert_eq!(words("sudo ct"), json!(["ctr "]));
    assert_eq!(words("ctr im"), json!(["images "]));
    assert_eq!(words("ctr -n default snapshots m"), json!(["mounts "]));
    assert_eq!(words("ctr images import --a"), json!(["--all-platforms "]));
    assert_eq!(words("sudo ctr images import a"), json!(["a.tar "]));
    assert_eq!(words("cat /var/l"), json!(["/var/lib/"]));
    typed(&mut workbench, "ctr images import a.tar");
    let mut words = |line: &str| {
        let query = json!({"query": "complete_on_machine", "line": line, "cursor": line.len()});
        ask(&mut workbench, &query.to_string())["words"].clone()
    };
    assert_eq!(words("ctr images rm d"), json!(["docker.io/library/a:latest "]));
    assert_eq!(words("ctr snapshots info sha256:").as_array().unwrap().len(), 2);
}

#[test]
fn why_something_is_not_shared_is_told() {
    let mut workbench = Workbench::new();
    let mut image = |number: u32, changes: &[&str]| {
        let layer = number * 10;
        let mut actions = vec![
            format!(r#"{{"op":"create_image","image":{number},"name":"i{number}"}}"#),
            format!(r#"{{"op":"add_layer","image":{number},"layer":{layer},"name":"base"}}"#),
            format!(
                r#"{{"op":"make","layer":{layer},"path":"/a","entry":{{"kind":"file","content":{{"text":"a"}}}}}}"#
            ),
        ];
        actions.extend(
            changes
                .iter()
                .map(|change| change.replace("LAYER", &layer.to_string())),
        );
        actions.push(format!(
            r#"{{"op":"import_image","image":{number},"unpack":true}}"#
        ));
        for action in &actions {
            apply(&mut workbench, action).unwrap();
        }
    };
    let attributes = |attributes: &str| {
        format!(r#"{{"op":"set_attributes","layer":LAYER,"path":"/a","attributes":{attributes}}}"#)
    };
    image(1, &[]);
    image(
        2,
        &[r#"{"op":"set_compression","layer":LAYER,"compression":"none"}"#],
    );
    image(3, &[&attributes(r#"{"mtime":{"seconds":5,"nanos":0}}"#)]);
    image(4, &[&attributes(r#"{"uid":7,"mtime":{"seconds":6,"nanos":0}}"#)]);
    image(5, &[&attributes(r#"{"mode":384}"#)]);
    image(
        6,
        &[r#"{"op":"write","layer":LAYER,"path":"/a","content":{"text":"b"}}"#],
    );
    let sharing = ask(&mut workbench, r#"{"query":"sharing"}"#);
    let near = sharing["near"].as_array().unwrap();
    let count = |reason: &str| near.iter().filter(|pair| pair["reason"] == reason).count();
    // Of the four directories with the same file one has other times, one another owner, one another mode; the owner is
    // told before the mode, the mode before the time.
    assert_eq!(
        ["compression", "mtime", "owner", "mode", "order", "parent"].map(count),
        [1, 1, 3, 2, 0, 0],
        "{sharing}"
    );
    // One snapshot, two blobs.
    let layers = sharing["layers"].as_array().unwrap();
    let both = layers
        .iter()
        .find(|layer| layer["digests"].as_array().unwrap().len() == 2);
    assert_eq!(both.unwrap()["images"].as_array().unwrap().len(), 2);
    assert_eq!(sharing["saved_disk"], both.unwrap()["size_disk"]);
}

#[test]
fn the_layers_of_another_platform_are_shared_too() {
    let mut workbench = session();
    let platform = r#"{"op":"set_config","image":1,"set":{"field":"platform","value":{"os":"linux","architecture":"arm64","variant":null}}}"#;
    apply(&mut workbench, platform).unwrap();
    let (text, status) = typed(
        &mut workbench,
        "ctr images import --platform linux/arm64 --index-name index a.tar",
    );
    assert_eq!(status, 0, "{text}");
    let (text, status) = typed(&mut workbench, "ctr images rm docker.io/library/a:latest");
    assert_eq!(status, 0, "{text}");
    let sharing = ask(&mut workbench, r#"{"query":"sharing"}"#);
    assert_eq!(sharing["layers"].as_array().unwrap().len(), 2);
    assert_eq!(sharing["layers"][0]["images"], json!(["index"]));
}

#[test]
fn what_fails_midway_was_done_as_far_as_it_went() {
    let mut workbench = session();
    let platform = r#"{"op":"set_config","image":1,"set":{"field":"platform","value":{"os":"linux","architecture":"arm64","variant":null}}}"#;
    apply(&mut workbench, platform).unwrap();
    let import = r#"{"op":"import_image","image":1,"unpack":true}"#;
    let group = format!(r#"{{"op":"group","label":"g","actions":[{import}]}}"#);
    assert_eq!(apply(&mut workbench, &group).unwrap_err().code(), "in_group");
    let other = import.replace(r#""unpack""#, r#""platforms":"some","unpack""#);
    assert_eq!(apply(&mut workbench, &other).unwrap_err().code(), "bad_platforms");
    assert!(ask(&mut workbench, r#"{"query":"overview"}"#)["machine"].is_null());
    // The manifest is not for this machine: its blobs were kept before that was known.
    apply(&mut workbench, import).unwrap();
    let machine = ask(&mut workbench, r#"{"query":"overview"}"#)["machine"].clone();
    assert_eq!(machine["error"], "image might be filtered out");
    assert_eq!((&machine["images"], &machine["blobs"]), (&json!(0), &json!(5)));
    apply(&mut workbench, &import.replace(":1,", ":2,")).unwrap();
    typed(&mut workbench, "ctr run -t docker.io/library/b:1 'a b'");
    assert!(workbench.state().containers.is_empty());
}
