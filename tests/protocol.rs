//! The two sides of the worker's border: what the core says and understands, and what
//! `www/src/core/protocol.ts` says that it does. The names of fields and operations are compared.

use std::collections::BTreeSet;

use handroll::image::json::{FromJson, read};
use handroll::tree::Time;
use handroll::workbench::{Action, Caller, Export, Operation, Query, Workbench, sample};
use serde_json::Value;

const PROTOCOL: &str = include_str!("../www/src/core/protocol.ts");

/// The lines of a TypeScript declaration, from its head to the line that ends it, comments left out.
fn declaration(head: &str) -> Vec<&'static str> {
    let start = PROTOCOL
        .find(head)
        .unwrap_or_else(|| panic!("protocol.ts has no `{head}`"));
    let end = if head.starts_with("interface") {
        "\n}"
    } else {
        ";\n\n"
    };
    let length = PROTOCOL[start..].find(end).expect("declarations end");
    let lines = PROTOCOL[start..start + length].lines();
    lines
        .filter(|line| !line.trim_start().starts_with(['*', '/']))
        .collect()
}

/// The fields of an interface: the names at one level of indentation.
fn fields(interface: &str) -> BTreeSet<String> {
    let lines = declaration(&format!("interface {interface} {{"))
        .into_iter()
        .skip(1);
    let fields = lines.filter_map(|line| line.strip_prefix("  ")?.split_once(':'));
    let fields = fields.filter(|(name, _)| !name.starts_with([' ', '}', '|']));
    fields
        .map(|(name, _)| name.trim_end_matches('?').to_owned())
        .collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("{value} is no object"))
        .keys()
        .cloned()
        .collect()
}

/// The values of `tag` that a union in the protocol has: `op: 'write'`, `op: 'a' | 'b'`.
fn tags(union: &str, tag: &str) -> BTreeSet<String> {
    let text = declaration(&format!("type {union} =")).join("\n");
    let mut tags = BTreeSet::new();
    for part in text.split(&format!("{{ {tag}: ")).skip(1) {
        let names = part
            .split([';', '}'])
            .next()
            .expect("split gives one part at least");
        tags.extend(
            names
                .split('|')
                .map(|name| name.trim().trim_matches('\'').to_owned()),
        );
    }
    tags
}

/// The variants that are read, as the error for another one lists them.
fn variants<T: FromJson>(tag: &str) -> BTreeSet<String> {
    let wrong = format!(r#"{{"{tag}":"no such thing"}}"#);
    let error = read::<T>(wrong.as_bytes(), 100)
        .err()
        .expect("there is no such thing")
        .to_string();
    let (_, known) = error
        .split_once("expected one of ")
        .expect("the error lists what is known");
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn session() -> Workbench {
    let mut workbench = Workbench::new();
    let action = sample(1, 1, "amd64").unwrap();
    workbench
        .apply(Operation {
            time: Time::at(0),
            caller: Caller::ROOT,
            action,
        })
        .unwrap();
    while workbench.step(u64::MAX) {}
    workbench
}

fn ask(workbench: &mut Workbench, query: &str) -> Value {
    let query: Query = read(query.as_bytes(), 1000).unwrap();
    serde_json::to_value(workbench.query(&query).unwrap()).unwrap()
}

#[test]
fn operations_and_questions_have_the_same_names_on_both_sides() {
    assert_eq!(variants::<Action>("op"), tags("Action", "op"));
    assert_eq!(variants::<Query>("query"), tags("Query", "query"));
    assert_eq!(variants::<Export>("export"), tags("Export", "export"));
    assert_eq!(
        variants::<handroll::image::ConfigField>("field"),
        tags("ConfigField", "field")
    );
    assert_eq!(
        variants::<handroll::workbench::NewEntry>("kind"),
        tags("NewEntry", "kind")
    );
}

#[test]
fn answers_have_the_fields_that_the_protocol_promises() {
    let mut workbench = session();
    let overview = ask(&mut workbench, r#"{"query":"overview"}"#);
    let image = &overview["images"][0];
    let rows = ask(&mut workbench, r#"{"query":"rows","image":1,"from":0,"to":9}"#);
    let column = ask(
        &mut workbench,
        r#"{"query":"column","image":1,"path":"/hello.txt"}"#,
    );
    let found = ask(
        &mut workbench,
        r#"{"query":"find","image":1,"text":"hello","limit":9}"#,
    );
    let findings = ask(&mut workbench, r#"{"query":"preflight","image":1}"#);
    let action = |text: &str| Operation {
        time: Time::at(0),
        caller: Caller::ROOT,
        action: read(text.as_bytes(), 1000).unwrap(),
    };
    for text in [
        r#"{"op":"start_container","container":9,"image":1,"layer":9,"options":""}"#,
        r#"{"op":"run_line","container":9,"line":"echo x > hello.txt; cat nothing"}"#,
    ] {
        workbench.apply(action(text)).unwrap();
    }
    let containers = ask(&mut workbench, r#"{"query":"overview"}"#);
    let detail = ask(&mut workbench, r#"{"query":"container","container":9}"#);
    let step = ask(&mut workbench, r#"{"query":"step","container":9,"step":0}"#);
    let upper = ask(&mut workbench, r#"{"query":"upper","container":9}"#);
    for text in [
        r#"{"op":"import_image","image":1,"unpack":true}"#,
        r#"{"op":"run_on_machine","line":"ctr run -t docker.io/library/handroll:latest demo","container":19,"layer":19}"#,
    ] {
        workbench.apply(action(text)).unwrap();
    }
    let glance = ask(&mut workbench, r#"{"query":"overview"}"#)["machine"].clone();
    workbench.show_event(1);
    let leases = ask(&mut workbench, r#"{"query":"machine"}"#)["leases"].clone();
    workbench.show_event(usize::MAX);
    let machine = ask(&mut workbench, r#"{"query":"machine"}"#);
    let events = ask(&mut workbench, r#"{"query":"events","from":0,"to":9}"#);
    let runtime = ask(&mut workbench, r#"{"query":"runtime_steps","id":"demo"}"#);
    let sharing = ask(&mut workbench, r#"{"query":"sharing"}"#);
    let garbage = ask(&mut workbench, r#"{"query":"garbage"}"#);
    let with_events = step["calls"].as_array().unwrap().iter();
    let traced = with_events.clone().find(|call| call["events"][0].is_object());
    for (interface, value) in [
        ("Overview", &overview),
        ("ImageView", image),
        ("Reference", &image["reference"]),
        ("LayerView", &image["layers"][0]),
        ("Rows", &rows),
        ("Row", &rows["rows"][0]),
        ("Cell", &rows["rows"][0]["cells"][0]),
        ("Column", &column),
        ("ColumnLayer", &column["layers"][0]),
        ("Deed", &column["layers"][0]["deed"]),
        ("EntryView", &column["layers"][0]["entry"]),
        ("Found", &found[0]),
        ("Finding", &findings[0]),
        ("ContainerView", &containers["containers"][0]),
        ("ContainerDetail", &detail),
        ("StepView", &step),
        ("CallView", &step["calls"][0]),
        (
            "TraceEvent",
            &traced.expect("something was copied up")["events"][0],
        ),
        ("UpperRow", &upper[0]),
        ("MachineGlance", &glance),
        ("MachineView", &machine),
        ("BlobRow", &machine["content"][0]),
        ("ImageRow", &machine["images"][0]),
        ("SnapshotRow", &machine["snapshots"][0]),
        ("ContainerRow", &machine["containers"][0]),
        ("LeaseRow", &leases[0]),
        ("MachineEvent", &events[0]),
        ("RuntimeStep", &runtime[0]),
        ("Sharing", &sharing),
        ("GarbageRow", &garbage[0]),
    ] {
        assert_eq!(keys(value), fields(interface), "{interface}");
    }
    let documents = tags_of_names(&declaration("type DocumentName =").join(" "));
    assert_eq!(keys(&image["documents"]), documents);
}

fn tags_of_names(text: &str) -> BTreeSet<String> {
    text.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}
