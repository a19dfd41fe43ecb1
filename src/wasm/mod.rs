//! The core as JavaScript sees it: one class, `Session`, in a worker. Translates arguments, results and
//! errors, and has no logic; only here are `wasm_bindgen`, `js_sys` and `web_sys`. The shapes of what crosses
//! are in `www/src/core/protocol.ts`.

// wasm-bindgen's macros write glue that reads raw memory; nothing here is written by hand.
#![allow(unsafe_code)]

mod blob;
mod disk;
mod file;

use std::sync::Arc;

use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::image::Platform;
use crate::image::json::{self, FromJson};
use crate::tree::{Node, TreePath};
use crate::workbench::{
    self, ArchiveFiles, ContentRef, Export, OpeningAhead, Operation, Query, SourceId, Workbench,
    WorkbenchError,
};

pub use blob::Parts;
pub use disk::{limit_scratch, use_scratch};
use file::FileSource;

/// How far reading a tar is.
#[derive(Serialize)]
struct ReadProgress {
    done: u64,
    total: u64,
}

/// How far opening an archive is.
#[derive(Serialize)]
struct OpenProgress {
    stage: &'static str,
    done: u64,
    total: u64,
}

/// What an archive was found to be.
#[derive(Serialize)]
struct Opened {
    format: &'static str,
}

/// What a method that fails throws.
#[derive(Serialize)]
struct CoreError<'a> {
    code: &'a str,
    message: String,
}

fn thrown(code: &str, message: String) -> JsValue {
    serde_wasm_bindgen::to_value(&CoreError { code, message }).unwrap_or(JsValue::NULL)
}

fn refused(error: WorkbenchError) -> JsValue {
    thrown(error.code(), error.to_string())
}

/// Values cross as JSON: the core reads and writes it anyway, for recipes, so that this costs no code for a
/// second form, and no more time.
fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    let text = serde_json::to_string(value).map_err(|error| JsValue::from_str(&error.to_string()))?;
    js_sys::JSON::parse(&text)
}

fn from_js<T: FromJson>(value: JsValue) -> Result<T, JsValue> {
    let text = String::from(js_sys::JSON::stringify(&value)?);
    json::read(text.as_bytes(), u64::MAX).map_err(|error| thrown("bad_request", error.to_string()))
}

/// Sends the text of a panic to the console before the trap that follows it.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| {
        web_sys::console::error_1(&JsValue::from_str(&panic.to_string()));
    }));
}

/// One session.
#[wasm_bindgen]
pub struct Session {
    workbench: Workbench,
}

#[wasm_bindgen]
impl Session {
    /// An empty session.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript knows no default")]
    pub fn new() -> Self {
        Self {
            workbench: Workbench::with_scratches(disk::space()),
        }
    }

    /// Does an operation wholly, or throws and changes nothing.
    pub fn apply(&mut self, operation: JsValue) -> Result<(), JsValue> {
        let operation: Operation = from_js(operation)?;
        self.workbench.apply(operation).map_err(refused)
    }

    /// Takes the last operation back; false when there is none.
    pub fn undo(&mut self) -> bool {
        self.workbench.undo()
    }

    /// Does again what was taken back; false when there is nothing.
    pub fn redo(&mut self) -> bool {
        self.workbench.redo()
    }

    /// Answers a question.
    pub fn query(&mut self, query: JsValue) -> Result<JsValue, JsValue> {
        let query: Query = from_js(query)?;
        to_js(&self.workbench.query(&query).map_err(refused)?)
    }

    /// Opens or folds a directory's rows.
    pub fn set_open(&mut self, image: u32, path: &str, open: bool) {
        self.workbench.set_open(image, path, open);
    }

    /// Says after which of its steps a container is looked at.
    pub fn show_step(&mut self, container: u32, step: u32) {
        self.workbench.show_step(container, step as usize);
    }

    /// Says after which of its events the machine is looked at.
    pub fn show_event(&mut self, number: u32) {
        self.workbench.show_event(number as usize);
    }

    /// Makes a file's bytes available to operations.
    pub fn open_source(&mut self, id: SourceId, file: web_sys::File) -> Result<(), JsValue> {
        let source = Arc::new(FileSource::new(file));
        self.workbench.open_source(id, source).map_err(refused)
    }

    /// Reads a tar ahead of the operation that makes a layer of it: `{done, total}` while there is more to
    /// read, null when the operation can come.
    pub fn read_ahead(&mut self, content: JsValue, budget: u32) -> Result<JsValue, JsValue> {
        let content: ContentRef = from_js(content)?;
        let progress = self
            .workbench
            .read_ahead(&content, u64::from(budget) << 10)
            .map_err(refused)?;
        to_js(&progress.map(|(done, total)| ReadProgress { done, total }))
    }

    /// Opens an archive ahead of the operation that asks for it: `{stage, done, total}` while there is more to do,
    /// `{format}` when the operation can come.
    pub fn open_ahead(&mut self, from: JsValue, budget: u32) -> Result<JsValue, JsValue> {
        let from: ArchiveFiles = from_js(from)?;
        let at = self
            .workbench
            .open_ahead(&from, u64::from(budget) << 10)
            .map_err(refused)?;
        match at {
            OpeningAhead::Working { stage, done, total } => to_js(&OpenProgress {
                stage: stage.name(),
                done,
                total,
            }),
            OpeningAhead::Done(format) => to_js(&Opened {
                format: format.name(),
            }),
        }
    }

    /// Bytes of a layer's tar, as it would be written now.
    pub fn tar_bytes(&mut self, layer: u32, offset: f64, length: f64) -> Result<js_sys::Uint8Array, JsValue> {
        let bytes = self.workbench.tar_bytes(layer, offset as u64, length as u64);
        Ok(js_sys::Uint8Array::from(&bytes.map_err(refused)?[..]))
    }

    /// Drops what is being read ahead.
    pub fn drop_read_ahead(&mut self) {
        self.workbench.drop_read_ahead();
    }

    /// Does about as much work as deflating `budget` KiB is; true while some is left.
    pub fn step(&mut self, budget: u32) -> bool {
        self.workbench.step(u64::from(budget) << 10)
    }

    /// At most `length` bytes of a file of a layer, from `offset`.
    pub fn content(
        &self,
        layer: u32,
        path: &str,
        offset: f64,
        length: f64,
    ) -> Result<js_sys::Uint8Array, JsValue> {
        let refuse = |error| refused(error);
        let layer = self.workbench.layer_or_sheet(layer).map_err(refuse)?;
        let tree = layer.layer.tree();
        let ino = TreePath::parse(path)
            .map_err(WorkbenchError::from)
            .and_then(|path| tree.resolve(&path).map_err(WorkbenchError::from))
            .map_err(refuse)?;
        let Node::File(content) = &tree.inode(ino).node else {
            return Err(thrown(
                "not_file",
                format!("`{path}` is not a file, so it has no content"),
            ));
        };
        let offset = (offset as u64).min(content.len());
        let part = content.slice(offset, (length as u64).min(content.len() - offset));
        let bytes = part
            .read_all(CONTENT_LIMIT)
            .map_err(|error| refused(error.into()))?;
        Ok(js_sys::Uint8Array::from(&bytes[..]))
    }

    /// What is taken out of the session, on its way into a Blob.
    pub fn export(&self, what: JsValue) -> Result<Parts, JsValue> {
        let what: Export = from_js(what)?;
        Ok(Parts::new(self.workbench.export(&what).map_err(refused)?))
    }

    /// The action that makes the article's image.
    pub fn sample(&self, image: u32, first_layer: u32, architecture: &str) -> Result<JsValue, JsValue> {
        to_js(&workbench::sample(image, first_layer, architecture).map_err(refused)?)
    }

    /// The action that gives an image another platform, and its sample program with it.
    pub fn switch_platform(
        &self,
        image: u32,
        os: String,
        architecture: String,
        variant: Option<String>,
    ) -> Result<JsValue, JsValue> {
        let platform = Platform {
            os,
            architecture,
            variant,
        };
        to_js(&workbench::switch_platform(&self.workbench, image, platform).map_err(refused)?)
    }

    /// The operations of a recipe that was opened as a source.
    pub fn load_recipe(&self, source: SourceId) -> Result<JsValue, JsValue> {
        to_js(&self.workbench.load_recipe(source).map_err(refused)?)
    }

    /// Panics, so that the page's way out of it can be tested.
    pub fn provoke_panic(&self) {
        panic!("this panic was provoked, to test the page");
    }
}

/// The most bytes of a file that cross at once.
const CONTENT_LIMIT: u64 = 64 << 20;
