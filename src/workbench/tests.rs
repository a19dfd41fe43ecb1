//! Whole sessions: the sample, edits, undo, recipes.

use std::sync::Arc;

use super::*;
use crate::digest::Digest;
use crate::image::json;
use crate::layer::Bytes;
use crate::tree::Time;

pub(super) fn operation(action: Action) -> Operation {
    Operation {
        time: Time::at(1_735_689_600),
        caller: Caller::ROOT,
        action,
    }
}

fn question(text: &str) -> Query {
    json::read(text.as_bytes(), 1 << 20).unwrap()
}

pub(super) fn session() -> Workbench {
    let mut workbench = Workbench::new();
    workbench
        .apply(operation(sample(1, 1, "amd64").unwrap()))
        .unwrap();
    finish(&mut workbench);
    workbench
}

pub(super) fn finish(workbench: &mut Workbench) {
    while workbench.step(1 << 16) {}
}

pub(super) fn write(layer: LayerId, path: &str, text: &str) -> Action {
    Action::Write {
        layer,
        path: path.into(),
        content: ContentRef::Text { text: text.into() },
    }
}

pub(super) fn make(layer: LayerId, path: &str, entry: NewEntry) -> Action {
    let attributes = Attributes::default();
    Action::Make {
        layer,
        path: path.into(),
        entry,
        attributes,
        parents: false,
        replace: false,
    }
}

/// Config, manifest and the layers' digests of the image.
fn digests(workbench: &Workbench) -> Vec<Digest> {
    let image = workbench.state().image(1).unwrap();
    let (documents, layers) = workbench.documents(image).expect("all is known");
    let layers = layers.iter().flat_map(|layer| [layer.diff_id, layer.digest]);
    [documents.config.digest, documents.manifest.digest]
        .into_iter()
        .chain(layers)
        .collect()
}

pub(super) fn bytes(parts: Exported) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        match part {
            Bytes::Owned(bytes) => all.extend(bytes),
            Bytes::Content(content) => content.for_each_window(|bytes| all.extend(bytes)).unwrap(),
            Bytes::Zeros(count) => all.resize(all.len() + count as usize, 0),
        }
    }
    all
}

pub(super) struct Memory(pub(super) Vec<u8>);

impl Source for Memory {
    fn id(&self) -> u64 {
        7
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

#[test]
fn the_sample_has_these_digests_forever() {
    let digests = digests(&session());
    let texts: Vec<String> = digests.iter().map(Digest::to_string).collect();
    let golden = include_str!("../../tests/golden/sample.txt");
    assert_eq!(texts, golden.lines().collect::<Vec<_>>());
}

#[test]
fn an_edit_touches_its_layer_and_what_stands_on_it() {
    let mut workbench = session();
    let before = digests(&workbench);
    workbench
        .apply(operation(write(2, "/hello.txt", "hello\n")))
        .unwrap();
    assert!(
        matches!(workbench.blob_state(1), BlobState::Known(_)),
        "the base was not touched"
    );
    assert!(matches!(workbench.blob_state(2), BlobState::Stale));
    assert!(workbench.documents(workbench.state().image(1).unwrap()).is_none());
    finish(&mut workbench);
    let after = digests(&workbench);
    let changed: Vec<bool> = before.iter().zip(&after).map(|(a, b)| a != b).collect();
    assert_eq!(changed, [true, true, false, false, true, true]);
    assert!(workbench.undo());
    assert_eq!(digests(&workbench), before, "known again at once");
    assert!(workbench.redo());
    assert_eq!(digests(&workbench), after);
    assert!(!workbench.redo());
}

#[test]
fn recompressing_leaves_the_image_id_alone() {
    let mut workbench = session();
    let before = digests(&workbench);
    let none = Action::SetCompression {
        layer: 1,
        compression: crate::layer::Compression::None,
    };
    workbench.apply(operation(none)).unwrap();
    finish(&mut workbench);
    let after = digests(&workbench);
    assert_eq!(before[0], after[0], "the config stands on DiffIDs only");
    assert_ne!(before[1], after[1]);
    assert_eq!((before[2], after[2]), (after[3], after[2]));
}

#[test]
fn a_group_is_done_wholly_or_not_at_all() {
    let mut workbench = session();
    let before = digests(&workbench);
    let actions = vec![
        write(2, "/hello.txt", "changed"),
        make(2, "/.wh.x", NewEntry::Directory),
    ];
    let error = workbench
        .apply(operation(Action::Group {
            label: "two".into(),
            actions,
        }))
        .unwrap_err();
    assert_eq!(error.code(), "name_reserved");
    assert_eq!(digests(&workbench), before);
    assert!(
        workbench.undo() && !workbench.undo(),
        "only the sample is in the journal"
    );
    assert!(workbench.state().images.is_empty());
}

#[test]
fn a_recipe_replays_to_identical_bytes() {
    let mut workbench = session();
    let source: Arc<dyn Source> = Arc::new(Memory(
        (0..100_000u32).map(|n| (n.wrapping_mul(n) >> 3) as u8).collect(),
    ));
    workbench.open_source(3, source).unwrap();
    let content = ContentRef::Source {
        source: 3,
        offset: 100,
        length: 90_000,
    };
    for action in [
        make(1, "/data/big", NewEntry::File { content }),
        Action::Move {
            from: Place {
                layer: 1,
                path: "/data/big".into(),
            },
            to: Place {
                layer: 2,
                path: "/data/moved \\xff".into(),
            },
        },
        Action::SetOpaque {
            layer: 2,
            path: "/data".into(),
            opaque: true,
            parents: false,
        },
        Action::SetXattr {
            layer: 2,
            path: "/data".into(),
            name: "user.a".into(),
            value: Some("\\x00\n".into()),
        },
        write(1, "/hello.txt", "undone"),
    ] {
        workbench.apply(operation(action)).unwrap();
    }
    workbench.undo();
    finish(&mut workbench);
    let archive = bytes(workbench.export(&Export::Image { image: 1 }).unwrap());
    let recipe = bytes(workbench.export(&Export::Recipe).unwrap());

    let mut replayed = Workbench::new();
    replayed.open_source(9, Arc::new(Memory(recipe))).unwrap();
    for operation in replayed.load_recipe(9).unwrap() {
        replayed.apply(operation).unwrap();
    }
    finish(&mut replayed);
    assert_eq!(
        bytes(replayed.export(&Export::Image { image: 1 }).unwrap()),
        archive
    );
}

#[test]
fn a_recipe_without_its_contents_lists_them() {
    let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
    let make = |path: &str, blob: Digest| {
        make(
            1,
            path,
            NewEntry::File {
                content: ContentRef::Blob { blob, size: 3 },
            },
        )
    };
    let actions = vec![make("/a", one), make("/b", two)];
    let operations = vec![operation(Action::Group {
        label: "both".into(),
        actions,
    })];
    let document = serde_json::to_vec(&Recipe {
        version: 1,
        operations,
    })
    .unwrap();
    let mut header = ::tar::Header::new_gnu();
    header.set_size(document.len() as u64);
    header.as_old_mut().name[..11].copy_from_slice(b"recipe.json");
    header.set_cksum();
    let mut tar = [&header.as_bytes()[..], &document].concat();
    tar.resize(tar.len().next_multiple_of(512), 0);
    let error = Recipe::read(1, Arc::new(Memory(tar))).unwrap_err().to_string();
    assert!(
        error.contains(&one.to_string()) && error.contains(&format!("{two} (3 bytes)")),
        "{error}"
    );
}

#[test]
fn bad_recipes_say_what_is_wrong() {
    let mut workbench = Workbench::new();
    for (id, bytes, word) in [(1, &b""[..], "no recipe.json"), (2, &[1; 600], "recipe")] {
        let source = Arc::new(Memory(bytes.to_vec()));
        workbench.open_source(id, source.clone()).unwrap();
        assert_eq!(workbench.open_source(id, source).unwrap_err().code(), "id_taken");
        let error = workbench.load_recipe(id).unwrap_err();
        assert_eq!(error.code(), "bad_recipe");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn what_is_wrong_gets_a_name_and_changes_nothing() {
    let mut workbench = session();
    let attributes = |attributes| Action::SetAttributes {
        layer: 2,
        path: "/hello.txt".into(),
        attributes,
    };
    let xattr = |name: &str, value: &str| Action::SetXattr {
        layer: 2,
        path: "/hello.txt".into(),
        name: name.into(),
        value: Some(value.into()),
    };
    let cases = [
        (make(2, "/data/", NewEntry::Directory), "name_empty"),
        (make(2, "x", NewEntry::Directory), "path_not_absolute"),
        (make(2, "/x/../y", NewEntry::Directory), "name_dots"),
        (
            make(2, &format!("/{}", "n".repeat(256)), NewEntry::Directory),
            "name_too_long",
        ),
        (make(2, "/a\\x00", NewEntry::Directory), "name_nul"),
        (make(2, "/a\\q", NewEntry::Directory), "bad_escape"),
        (make(2, "//", NewEntry::Directory), "name_empty"),
        (
            make(
                2,
                "/l",
                NewEntry::HardLink {
                    target: "/data".into(),
                },
            ),
            "link_to_directory",
        ),
        (
            make(2, "/d", NewEntry::CharDevice { major: 0, minor: 0 }),
            "device_zero",
        ),
        (
            attributes(Attributes {
                mode: Some(0o10000),
                ..Attributes::default()
            }),
            "bad_mode",
        ),
        (
            attributes(Attributes {
                mode: Some(-1),
                ..Attributes::default()
            }),
            "bad_mode",
        ),
        (
            attributes(Attributes {
                uid: Some(1 << 32),
                ..Attributes::default()
            }),
            "bad_number",
        ),
        (
            attributes(Attributes {
                mtime: Some(Time {
                    seconds: 0,
                    nanos: 1_000_000_000,
                }),
                ..Attributes::default()
            }),
            "bad_time",
        ),
        (
            attributes(Attributes {
                mtime: Some(Time::at(1 << 53)),
                ..Attributes::default()
            }),
            "bad_time",
        ),
        (xattr("plain", "x"), "xattr_name"),
        (xattr("trusted.overlay.opaque", "y"), "xattr_name"),
        (xattr("user.a", &"x".repeat(65537)), "xattr_value"),
        (
            Action::SetName {
                image: 1,
                name: "Upper".into(),
            },
            "reference_uppercase",
        ),
        (Action::RemoveLayer { layer: 9 }, "no_layer"),
        (
            Action::RenameLayer {
                layer: 1,
                name: " ".into(),
            },
            "bad_layer_name",
        ),
        (
            Action::MoveLayer {
                layer: 1,
                position: 2,
            },
            "bad_position",
        ),
        (
            Action::DuplicateLayer {
                layer: 1,
                copy: 2,
                name: "x".into(),
            },
            "id_taken",
        ),
    ];
    let before = digests(&workbench);
    for (action, code) in cases {
        let error = workbench.apply(operation(action.clone())).unwrap_err();
        if code.starts_with("reference") {
            continue;
        }
        assert_eq!(error.code(), code, "{action:?}: {error}");
    }
    assert_eq!(digests(&workbench), before);
}

/// A tar of one entry: the article's whiteout, a character device.
fn device_whiteout() -> Vec<u8> {
    let mut header = ::tar::Header::new_gnu();
    header.as_old_mut().name[..20].copy_from_slice(b"data/.wh.config.txt\0");
    header.set_entry_type(::tar::EntryType::Char);
    header.set_mode(0o644);
    header.set_size(0);
    header.set_cksum();
    [&header.as_bytes()[..], &[0; 1024]].concat()
}

#[test]
fn a_tar_keeps_its_bytes_and_its_notes_until_it_is_edited() {
    let mut workbench = session();
    let tar = device_whiteout();
    workbench.open_source(5, Arc::new(Memory(tar.clone()))).unwrap();
    let content = ContentRef::Source {
        source: 5,
        offset: 0,
        length: tar.len() as u64,
    };
    let add = Action::AddLayerTar {
        image: 1,
        layer: 9,
        name: "came".into(),
        content,
        position: None,
    };
    workbench.apply(operation(add)).unwrap();
    finish(&mut workbench);
    let layer = workbench.state().layer(9).unwrap();
    assert!(
        layer.notes()[0]
            .text
            .contains("`data/.wh.config.txt` is a whiteout, but not"),
        "{:?}",
        layer.notes()
    );
    assert_eq!(
        bytes(workbench.export(&Export::LayerTar { layer: 9 }).unwrap()),
        tar
    );
    let opaque = Action::SetOpaque {
        layer: 9,
        path: "/bin/deep".into(),
        opaque: true,
        parents: true,
    };
    workbench.apply(operation(opaque)).unwrap();
    let written = bytes(workbench.export(&Export::LayerTar { layer: 9 }).unwrap());
    let names: Vec<_> = crate::tar::Entries::new(Content::inline(written))
        .map(|entry| String::from_utf8(entry.unwrap().name).unwrap())
        .collect();
    let expected = [
        "data/.wh.config.txt",
        "bin/",
        "bin/deep/",
        "bin/deep/.wh..wh..opq",
    ];
    assert_eq!(
        names, expected,
        "what came stays in its place, and what is new follows"
    );
}

#[test]
fn a_tar_is_read_ahead_in_steps() {
    let mut files = session();
    for number in 0..200 {
        let content = ContentRef::Text {
            text: "x".repeat(number * 50),
        };
        files
            .apply(operation(make(
                1,
                &format!("/f{number}"),
                NewEntry::File { content },
            )))
            .unwrap();
    }
    finish(&mut files);
    for export in [Export::LayerTar { layer: 1 }, Export::LayerBlob { layer: 1 }] {
        let exported = bytes(files.export(&export).unwrap());
        let mut workbench = session();
        let content = ContentRef::Source {
            source: 5,
            offset: 0,
            length: exported.len() as u64,
        };
        workbench.open_source(5, Arc::new(Memory(exported))).unwrap();
        let (mut steps, mut last) = (0, 0.0);
        while let Some((done, total)) = workbench.read_ahead(&content, 4096).unwrap() {
            assert!(done <= total && total > 0);
            (steps, last) = (steps + 1, done as f64 / total as f64);
        }
        assert!(steps > 20 && last > 0.5, "{steps} {last}");
        let add = Action::AddLayerTar {
            image: 1,
            layer: 9,
            name: "came".into(),
            content,
            position: None,
        };
        workbench.apply(operation(add)).unwrap();
        finish(&mut workbench);
        let diff_id = |workbench: &Workbench, layer| workbench.blobs.known(layer).unwrap().diff_id;
        assert_eq!(diff_id(&workbench, 9), diff_id(&files, 1));
    }
    let mut workbench = session();
    workbench.open_source(5, Arc::new(Memory(vec![7; 1024]))).unwrap();
    let wrong = ContentRef::Source {
        source: 5,
        offset: 0,
        length: 1024,
    };
    assert_eq!(workbench.read_ahead(&wrong, 1).unwrap_err().code(), "bad_tar");
}

#[test]
fn rows_are_windows_of_the_whole_stack() {
    let mut workbench = session();
    let query = |text: &str| question(text);
    let rows = |workbench: &mut Workbench, text: &str| match workbench.query(&query(text)).unwrap() {
        Answer::Rows { rows, total, .. } => {
            let visible = rows
                .iter()
                .map(|row| format!("{}{}", row.path, if row.visible.is_none() { "!" } else { "" }));
            (visible.collect::<Vec<_>>().join(" "), total)
        }
        answer => panic!("{answer:?}"),
    };
    let all = "/bin /bin/cat /bin/ls /bin/show /data /data/config.txt! /hello.txt";
    assert_eq!(
        rows(&mut workbench, r#"{"query":"rows","image":1,"from":0,"to":99}"#),
        (all.into(), 7)
    );
    assert_eq!(
        rows(&mut workbench, r#"{"query":"rows","image":1,"from":2,"to":3}"#),
        ("/bin/ls".into(), 7)
    );
    assert_eq!(
        rows(
            &mut workbench,
            r#"{"query":"rows","image":1,"from":0,"to":99,"layer":2}"#
        )
        .0,
        "/data /data/config.txt! /hello.txt"
    );
    assert_eq!(
        rows(
            &mut workbench,
            r#"{"query":"rows","image":1,"from":0,"to":99,"filter":"CONF"}"#
        )
        .0,
        "/data /data/config.txt!"
    );
    for (only, paths) in [
        ("added", ""),
        ("changed", "/hello.txt"),
        ("hides", "/data /data/config.txt!"),
    ] {
        let query = format!(r#"{{"query":"rows","image":1,"from":0,"to":99,"layer":2,"only":"{only}"}}"#);
        assert_eq!(rows(&mut workbench, &query).0, paths, "{only}");
    }
    assert_eq!(
        rows(
            &mut workbench,
            r#"{"query":"rows","image":1,"from":0,"to":99,"merged":true}"#
        )
        .1,
        6
    );
    workbench.set_open(1, "/bin", false);
    assert_eq!(
        rows(&mut workbench, r#"{"query":"rows","image":1,"from":0,"to":99}"#).1,
        4
    );
    let row = workbench
        .query(&query(r#"{"query":"row_of","image":1,"path":"/bin/show"}"#))
        .unwrap();
    assert!(matches!(row, Answer::RowOf(Some(3))));
    let found = workbench
        .query(&query(r#"{"query":"find","image":1,"text":"config","limit":9}"#))
        .unwrap();
    let Answer::Find(found) = found else {
        panic!("{found:?}")
    };
    let found: Vec<_> = found
        .iter()
        .map(|found| (found.layer, found.kind.is_some(), found.visible))
        .collect();
    assert_eq!(found, [(2, false, true), (1, true, false)]);
}

#[test]
fn the_other_processor_brings_the_other_program() {
    let mut workbench = session();
    let platform = crate::image::Platform {
        os: "linux".into(),
        architecture: "arm64".into(),
        variant: None,
    };
    let action = switch_platform(&workbench, 1, platform).unwrap();
    workbench.apply(operation(action)).unwrap();
    finish(&mut workbench);
    let mut direct = Workbench::new();
    direct.apply(operation(sample(1, 1, "arm64").unwrap())).unwrap();
    finish(&mut direct);
    assert_eq!(digests(&workbench), digests(&direct));
    let Answer::Preflight(findings) = workbench.query(&Query::Preflight { image: 1 }).unwrap() else {
        panic!()
    };
    assert!(
        findings
            .iter()
            .all(|finding| finding.severity <= crate::image::Severity::Info),
        "{findings:?}"
    );
}

/// A source that cannot be read while its switch is off.
struct Flaky(Arc<std::sync::atomic::AtomicBool>);

impl Source for Flaky {
    fn id(&self) -> u64 {
        8
    }
    fn name(&self) -> &str {
        "flaky"
    }
    fn len(&self) -> u64 {
        4
    }
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        if self.0.load(std::sync::atomic::Ordering::Relaxed) {
            into.fill(b'x');
            return Ok(());
        }
        Err(ContentError::Read {
            name: "flaky".into(),
            offset,
            length: into.len() as u64,
            reason: "it was taken away".into(),
        })
    }
}

#[test]
fn what_cannot_be_read_fails_alone_and_is_tried_again() {
    let mut workbench = session();
    let is_there = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let source = Arc::new(Flaky(is_there.clone()));
    workbench.open_source(1, source).unwrap();
    let content = ContentRef::Source {
        source: 1,
        offset: 0,
        length: 4,
    };
    for (layer, content) in [(1, ContentRef::Text { text: "xxxx".into() }), (2, content)] {
        let entry = NewEntry::File { content };
        workbench.apply(operation(make(layer, "/data/x", entry))).unwrap();
    }
    finish(&mut workbench);
    assert!(matches!(workbench.blob_state(1), BlobState::Known(_)));
    assert!(matches!(workbench.blob_state(2), BlobState::Failed(_)));
    let error = workbench.export(&Export::Image { image: 1 }).err().unwrap();
    assert!(error.to_string().contains("it was taken away"), "{error}");
    let rows = r#"{"query":"rows","image":1,"from":0,"to":99,"filter":"x"}"#;
    let Answer::Rows { rows, .. } = workbench.query(&question(rows)).unwrap() else {
        panic!("rows were asked for")
    };
    let row = rows.iter().find(|row| row.path == "/data/x").unwrap();
    let cell = row.cells[1].as_ref().unwrap();
    assert_eq!(cell.changed, [crate::overlay::Change::ContentUnread]);

    is_there.store(true, std::sync::atomic::Ordering::Relaxed);
    workbench
        .apply(operation(make(1, "/data/y", NewEntry::Fifo)))
        .unwrap();
    finish(&mut workbench);
    assert!(matches!(workbench.blob_state(2), BlobState::Known(_)));
    workbench.export(&Export::Image { image: 1 }).unwrap();
}

#[test]
fn a_row_opens_only_if_something_shows_in_it() {
    let mut workbench = session();
    for action in [
        Action::Delete {
            layer: 2,
            path: "/data".into(),
        },
        make(2, "/data", NewEntry::Fifo),
        make(2, "/bin", NewEntry::Directory),
    ] {
        workbench.apply(operation(action)).unwrap();
    }
    let mut expandable = |of: &str| {
        let query = format!(r#"{{"query":"rows","image":1,"from":0,"to":99{of}}}"#);
        let Answer::Rows { rows, .. } = workbench.query(&question(&query)).unwrap() else {
            panic!("rows were asked for")
        };
        let rows = rows.iter().filter(|row| row.expandable);
        rows.map(|row| row.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(expandable(""), ["/bin", "/data"]);
    assert_eq!(expandable(r#","merged":true"#), ["/bin"]);
    assert_eq!(expandable(r#","layer":2"#), Vec::<String>::new());
}

#[test]
fn a_tar_keeps_its_bytes_until_it_is_edited_and_gets_them_back() {
    let mut workbench = session();
    // What stands behind the end of a tar is read by nobody, and is a part of its digest.
    let mut tar = bytes(workbench.export(&Export::LayerTar { layer: 2 }).unwrap());
    tar.extend(vec![b'!'; 3 << 20]);
    let original = Digest::of(&tar);
    let content = ContentRef::Source {
        source: 1,
        offset: 0,
        length: tar.len() as u64,
    };
    workbench.open_source(1, Arc::new(Memory(tar))).unwrap();
    let (image, layer, name) = (1, 3, "from a tar".to_owned());
    let add = Action::AddLayerTar {
        image,
        layer,
        name: name.clone(),
        content,
        position: None,
    };
    let duplicate = Action::DuplicateLayer { layer, copy: 4, name };
    for action in [add, duplicate] {
        workbench.apply(operation(action)).unwrap();
    }
    finish(&mut workbench);
    let diff_id = |workbench: &Workbench, layer| match workbench.blob_state(layer) {
        BlobState::Known(blob) => Some(blob.diff_id),
        _ => None,
    };
    let archive = |workbench: &Workbench| bytes(workbench.export(&Export::Image { image: 1 }).unwrap());
    assert_eq!(
        [3, 4].map(|layer| diff_id(&workbench, layer)),
        [Some(original); 2]
    );
    let before = archive(&workbench);

    let edit = write(3, "/hello.txt", "hello from delta\n");
    workbench.apply(operation(edit)).unwrap();
    finish(&mut workbench);
    assert_eq!(
        diff_id(&workbench, 3),
        Some(original),
        "the entry is written anew, with what it had; what stands around it and behind the end stays"
    );
    workbench
        .apply(operation(write(3, "/hello.txt", "hello")))
        .unwrap();
    workbench
        .apply(operation(Action::Normalise { layer: 3 }))
        .unwrap();
    workbench
        .apply(operation(write(3, "/hello.txt", "hello from delta\n")))
        .unwrap();
    finish(&mut workbench);
    assert_eq!(
        diff_id(&workbench, 3),
        diff_id(&workbench, 2),
        "written canonically"
    );
    assert_eq!(
        diff_id(&workbench, 4),
        Some(original),
        "the copy is another layer"
    );
    (0..4).for_each(|_| assert!(workbench.undo()));
    assert_eq!(diff_id(&workbench, 3), Some(original), "known again at once");
    assert!(archive(&workbench) == before);

    let recipe = bytes(workbench.export(&Export::Recipe).unwrap());
    let mut replayed = Workbench::new();
    replayed.open_source(1, Arc::new(Memory(recipe))).unwrap();
    for operation in replayed.load_recipe(1).unwrap() {
        replayed.apply(operation).unwrap();
    }
    finish(&mut replayed);
    assert!(archive(&replayed) == before);
}
