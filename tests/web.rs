//! The core in a real browser's worker, judged by the browser: SubtleCrypto for digests, DecompressionStream
//! for gzip, File and FileReaderSync for sources. And the same golden digests as the native tests.

#![cfg(target_arch = "wasm32")]

use handroll::wasm::{Session, use_scratch};
use js_sys::{Array, Function, JSON, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

// FileReaderSync exists in workers only, and that is where the core runs.
wasm_bindgen_test_configure!(run_in_dedicated_worker);

fn json(text: &str) -> JsValue {
    JSON::parse(text).unwrap()
}

/// Calls the body of a JavaScript function with one argument, and waits for what it promises.
async fn ask(body: &str, argument: &JsValue) -> JsValue {
    let answer = Function::new_with_args("it", body)
        .call1(&JsValue::NULL, argument)
        .unwrap();
    JsFuture::from(Promise::resolve(&answer)).await.unwrap()
}

async fn subtle(bytes: &JsValue) -> String {
    let body = "return crypto.subtle.digest('SHA-256', it).then((d) => 'sha256:' + \
        [...new Uint8Array(d)].map((b) => b.toString(16).padStart(2, '0')).join(''))";
    ask(body, bytes).await.as_string().unwrap()
}

async fn bytes_of(blob: &JsValue) -> JsValue {
    ask("return it.arrayBuffer().then((b) => new Uint8Array(b))", blob).await
}

fn apply(session: &mut Session, action: JsValue) -> Result<(), JsValue> {
    let operation =
        json(r#"{"time":{"seconds":1735689600,"nanos":0},"caller":{"uid":0,"gid":0,"umask":18}}"#);
    Reflect::set(&operation, &"action".into(), &action).unwrap();
    session.apply(operation)
}

fn sample() -> Session {
    let mut session = Session::new();
    let action = session.sample(1, 1, "amd64").unwrap();
    apply(&mut session, action).unwrap();
    while session.step(64) {}
    session
}

fn get(value: &JsValue, path: &str) -> JsValue {
    path.split('.').fold(value.clone(), |value, key| {
        Reflect::get(&value, &key.into()).unwrap()
    })
}

fn text(value: &JsValue, path: &str) -> String {
    get(value, path)
        .as_string()
        .unwrap_or_else(|| panic!("{path} is no text"))
}

fn overview(session: &mut Session) -> JsValue {
    session.query(json(r#"{"query":"overview"}"#)).unwrap()
}

/// An export, as a Blob.
fn export(session: &Session, what: &str) -> Result<web_sys::Blob, JsValue> {
    let mut parts = session.export(json(what))?;
    while parts.step()? {}
    parts.blob()
}

fn code(error: &JsValue) -> String {
    text(error, "code")
}

/// A File of `length` bytes that follow from their place.
fn file(name: &str, length: u32) -> (web_sys::File, Uint8Array) {
    let bytes: Vec<u8> = (0..length)
        .map(|n| (n.wrapping_mul(2654435761) >> 13) as u8)
        .collect();
    let bytes = Uint8Array::from(&bytes[..]);
    (
        web_sys::File::new_with_u8_array_sequence(&Array::of1(&bytes), name).unwrap(),
        bytes,
    )
}

#[wasm_bindgen_test]
fn the_sample_has_the_same_digests_as_natively() {
    let mut session = sample();
    let view = get(&overview(&mut session), "images.0");
    let digests = [
        "documents.config.digest",
        "documents.manifest.digest",
        "layers.0.blob.diff_id",
        "layers.0.blob.digest",
        "layers.1.blob.diff_id",
        "layers.1.blob.digest",
    ];
    let digests: Vec<String> = digests.iter().map(|path| text(&view, path)).collect();
    assert_eq!(
        digests,
        include_str!("golden/sample.txt").lines().collect::<Vec<_>>()
    );
}

#[wasm_bindgen_test]
async fn digests_are_those_of_subtle_crypto() {
    let mut session = sample();
    let view = get(&overview(&mut session), "images.0");
    for layer in 0..2 {
        let blob = get(&view, &format!("layers.{layer}.blob"));
        let id = get(&view, &format!("layers.{layer}.id")).as_f64().unwrap();
        for (what, digest, size) in [
            ("layer_tar", "diff_id", "diff_size"),
            ("layer_blob", "digest", "size"),
        ] {
            let what = format!(r#"{{"export":"{what}","layer":{id}}}"#);
            let exported = export(&session, &what).unwrap();
            assert_eq!(exported.size(), get(&blob, size).as_f64().unwrap());
            assert_eq!(subtle(&bytes_of(&exported).await).await, text(&blob, digest));
        }
    }
    for document in ["config", "manifest", "index", "oci-layout", "manifest.json"] {
        let query = json(&format!(
            r#"{{"query":"document","image":1,"document":"{document}"}}"#
        ));
        let answer = session.query(query).unwrap();
        let bytes = ask("return new TextEncoder().encode(it)", &get(&answer, "text")).await;
        assert_eq!(subtle(&bytes).await, text(&answer, "digest"), "{document}");
    }
}

#[wasm_bindgen_test]
async fn the_browser_inflates_what_we_deflated() {
    let mut session = sample();
    let (big, _) = file("big", 3_000_000);
    session.open_source(1, big).unwrap();
    let content = r#"{"source":1,"offset":5,"length":2900000}"#;
    let make =
        format!(r#"{{"op":"make","layer":2,"path":"/big","entry":{{"kind":"file","content":{content}}}}}"#);
    apply(&mut session, json(&make)).unwrap();
    let mut steps = 0;
    while session.step(64) {
        steps += 1;
    }
    assert!(steps > 10, "work comes in steps: {steps}");
    let blob = export(&session, r#"{"export":"layer_blob","layer":2}"#).unwrap();
    let body = "return new Response(it.stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer()";
    let inflated = ask(body, &blob).await;
    let view = overview(&mut session);
    assert_eq!(
        subtle(&inflated).await,
        text(&view, "images.0.layers.1.blob.diff_id")
    );
}

#[wasm_bindgen_test]
async fn files_are_read_where_they_are() {
    let mut session = sample();
    let (big, bytes) = file("big", 2_500_000);
    session.open_source(7, big).unwrap();
    for (path, offset, length) in [("/a", 0, 2_500_000), ("/b", 1_048_570, 12), ("/c", 2_500_000, 0)] {
        let make = format!(
            r#"{{"op":"make","layer":1,"path":"{path}","entry":{{"kind":"file","content":{{"source":7,"offset":{offset},"length":{length}}}}}}}"#
        );
        apply(&mut session, json(&make)).unwrap();
        let read = session.content(1, path, 0.0, 1e9).unwrap();
        assert_eq!(
            read.to_vec(),
            bytes.slice(offset, offset + length).to_vec(),
            "{path}"
        );
        let what = format!(r#"{{"export":"file","layer":1,"path":"{path}"}}"#);
        let exported = export(&session, &what).unwrap();
        let exported: Uint8Array = bytes_of(&exported).await.unchecked_into();
        assert_eq!(exported.to_vec(), read.to_vec());
    }
    let outside = r#"{"op":"make","layer":1,"path":"/d","entry":{"kind":"file","content":{"source":7,"offset":2499999,"length":2}}}"#;
    assert_eq!(
        code(&apply(&mut session, json(outside)).unwrap_err()),
        "no_source"
    );
}

#[wasm_bindgen_test]
fn the_order_of_edits_leaves_no_trace() {
    let edits = [
        r#"{"op":"make","layer":2,"path":"/x","entry":{"kind":"directory"}}"#,
        r#"{"op":"make","layer":2,"path":"/y","entry":{"kind":"symlink","target":"x"}}"#,
        r#"{"op":"whiteout","layer":2,"path":"/bin/ls","parents":true}"#,
        r#"{"op":"write","layer":2,"path":"/hello.txt","content":{"text":"other"}}"#,
    ];
    let digest = |order: &[usize], stepping: bool| {
        let mut session = sample();
        for &edit in order {
            apply(&mut session, json(edits[edit])).unwrap();
            while stepping && session.step(1) {}
        }
        while session.step(64) {}
        text(&overview(&mut session), "images.0.documents.manifest.digest")
    };
    let first = digest(&[0, 1, 2, 3], false);
    for order in [[3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        assert_eq!(digest(&order, true), first);
    }
}

#[wasm_bindgen_test]
fn what_is_refused_is_thrown_as_code_and_sentence() {
    let mut session = sample();
    let before = JSON::stringify(&overview(&mut session)).unwrap();
    for (action, expected) in [
        (
            r#"{"op":"make","layer":2,"path":"/.wh.x","entry":{"kind":"directory"}}"#,
            "name_reserved",
        ),
        (
            r#"{"op":"make","layer":2,"path":"/hello.txt","entry":{"kind":"directory"}}"#,
            "exists",
        ),
        (r#"{"op":"delete","layer":9,"path":"/x"}"#, "no_layer"),
        (r#"{"op":"no such thing"}"#, "bad_request"),
        (
            r#"{"op":"set_attributes","layer":2,"path":"/hello.txt","attributes":{"mode":4096}}"#,
            "bad_mode",
        ),
        (
            r#"{"op":"set_attributes","layer":2,"path":"/hello.txt","attributes":{"mode":1.5}}"#,
            "bad_request",
        ),
    ] {
        let error = apply(&mut session, json(action)).unwrap_err();
        assert_eq!(code(&error), expected);
        assert!(text(&error, "message").len() > 10);
    }
    assert_eq!(
        JSON::stringify(&overview(&mut session)).unwrap(),
        before,
        "nothing changed"
    );
    assert!(session.undo() && !session.undo());
    assert!(session.redo() && !session.redo());
    assert_eq!(
        code(&export(&session, r#"{"export":"image","image":5}"#).unwrap_err()),
        "no_image"
    );
}

#[wasm_bindgen_test]
fn numbers_and_absences_cross_as_the_page_expects_them() {
    let mut session = sample();
    let image = get(&overview(&mut session), "images.0");
    assert!(get(&image, "config.entrypoint").is_null());
    assert_eq!(
        get(&image, "layers.0.blob.size").js_typeof(),
        JsValue::from_str("number")
    );
    assert_eq!(
        text(&image, "reference.canonical"),
        "docker.io/library/handroll:latest"
    );
    let time = r#"{"op":"set_attributes","layer":2,"path":"/hello.txt","attributes":{"mtime":{"seconds":-62135596800,"nanos":5}}}"#;
    apply(&mut session, json(time)).unwrap();
    let column = session
        .query(json(r#"{"query":"column","image":1,"path":"/hello.txt"}"#))
        .unwrap();
    assert_eq!(
        get(&column, "layers.1.entry.mtime.seconds").as_f64(),
        Some(-62135596800.0)
    );
    assert_eq!(text(&overview(&mut session), "images.0.layers.1.format"), "pax");
}

#[wasm_bindgen_test]
async fn a_recipe_survives_a_file() {
    let mut session = sample();
    let (big, _) = file("big", 100_000);
    session.open_source(1, big).unwrap();
    let make = r#"{"op":"make","layer":2,"path":"/big","entry":{"kind":"file","content":{"source":1,"offset":0,"length":100000}}}"#;
    apply(&mut session, json(make)).unwrap();
    while session.step(64) {}
    let recipe = export(&session, r#"{"export":"recipe"}"#).unwrap();
    let file = web_sys::File::new_with_blob_sequence(&Array::of1(&recipe), "recipe.tar").unwrap();
    let mut other = Session::new();
    other.open_source(4, file).unwrap();
    let operations: Array = other.load_recipe(4).unwrap().unchecked_into();
    for operation in operations.iter() {
        other.apply(operation).unwrap();
    }
    while other.step(64) {}
    let path = "images.0.documents.manifest.digest";
    assert_eq!(
        text(&overview(&mut other), path),
        text(&overview(&mut session), path)
    );
}

#[wasm_bindgen_test]
async fn what_is_inflated_lies_in_a_private_file() {
    let body = "return navigator.storage.getDirectory().then((root) => root.getFileHandle(crypto.randomUUID(), \
        { create: true })).then((file) => file.createSyncAccessHandle())";
    let handle = ask(body, &JsValue::NULL).await;
    use_scratch(handle.clone().unchecked_into());
    let size = || {
        get(&handle, "getSize")
            .unchecked_into::<Function>()
            .call0(&handle)
            .unwrap()
            .as_f64()
    };
    let mut session = sample();
    let (big, bytes) = file("big", 6_000_000);
    session.open_source(1, big).unwrap();
    let make = r#"{"op":"make","layer":2,"path":"/big","entry":{"kind":"file","content":{"source":1,"offset":0,"length":6000000}}}"#;
    apply(&mut session, json(make)).unwrap();
    while session.step(64) {}
    assert!(size() >= Some(1e6), "deflated segments lie there: {:?}", size());
    // The layer as a file comes back as a layer, inflated.
    let blob = export(&session, r#"{"export":"layer_blob","layer":2}"#).unwrap();
    let packed = web_sys::File::new_with_blob_sequence(&Array::of1(&blob), "layer.tar.gz").unwrap();
    let (length, before) = (packed.size(), size().unwrap());
    session.open_source(2, packed).unwrap();
    let add = format!(
        r#"{{"op":"add_layer_tar","image":1,"layer":9,"name":"again","content":{{"source":2,"offset":0,"length":{length}}}}}"#
    );
    apply(&mut session, json(&add)).unwrap();
    assert!(size().unwrap() >= before + 6e6);
    while session.step(64) {}
    let view = overview(&mut session);
    let diff_id = |layer| text(&view, &format!("images.0.layers.{layer}.blob.diff_id"));
    assert_eq!(diff_id(1), diff_id(2));
    assert_eq!(
        session.content(9, "/big", 0.0, 1e9).unwrap().to_vec(),
        bytes.to_vec()
    );
    let tar = export(&session, r#"{"export":"layer_tar","layer":9}"#).unwrap();
    assert_eq!(subtle(&bytes_of(&tar).await).await, diff_id(2));
    drop(session);
    assert_eq!(size(), Some(0.0), "what nobody needs is no longer in the file");
}
