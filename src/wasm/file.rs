//! A browser's `File` as a source. A source must be `Send`, which a JavaScript object is not: the files stand
//! in a table of this thread, and a source holds a number.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use wasm_bindgen::{JsCast, JsValue};
use web_sys::FileReaderSync;

use crate::content::{ContentError, Source};
use crate::windows::Windows;

thread_local! {
    static FILES: RefCell<BTreeMap<u64, web_sys::File>> = const { RefCell::new(BTreeMap::new()) };
    /// Numbers are used once: what is cached under one must never be another file's.
    static NEXT: Cell<u64> = const { Cell::new(1) };
    static WINDOWS: RefCell<Windows> = const { RefCell::new(Windows::new()) };
}

/// A file of the browser. It can be read in a worker only.
pub struct FileSource {
    id: u64,
    name: String,
    length: u64,
}

impl FileSource {
    pub fn new(file: web_sys::File) -> Self {
        let (name, length) = (file.name(), file.size() as u64);
        let id = NEXT.replace(NEXT.get() + 1);
        FILES.with_borrow_mut(|files| files.insert(id, file));
        Self { id, name, length }
    }

    fn error(&self, offset: u64, length: usize, reason: &JsValue) -> ContentError {
        let reason = match reason.dyn_ref::<js_sys::Error>() {
            Some(error) => String::from(error.message()),
            None => format!("{reason:?}"),
        };
        ContentError::Read {
            name: self.name.clone(),
            offset,
            length: length as u64,
            reason,
        }
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), JsValue> {
        let array = FILES.with_borrow(|files| {
            let slice =
                files[&self.id].slice_with_f64_and_f64(offset as f64, (offset + into.len() as u64) as f64)?;
            FileReaderSync::new()?.read_as_array_buffer(&slice)
        })?;
        let bytes = js_sys::Uint8Array::new(&array);
        if bytes.length() as usize != into.len() {
            return Err(js_sys::Error::new("the file is shorter than it was").into());
        }
        bytes.copy_to(into);
        // What was read is the garbage collector's, and that looks when JavaScript's own heap grows, which it does
        // not here: without this, Chromium has read 800 MB and holds all of it; with it, never more than 100 MB.
        js_sys::Array::new_with_length((into.len() / 32) as u32);
        Ok(())
    }
}

impl Drop for FileSource {
    fn drop(&mut self) {
        FILES.with_borrow_mut(|files| files.remove(&self.id));
        WINDOWS.with_borrow_mut(|windows| windows.forget(self.id));
    }
}

impl Source for FileSource {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), ContentError> {
        WINDOWS.with_borrow_mut(|windows| {
            windows.read((self.id, self.length), offset, into, &mut |offset, into| {
                self.read(offset, into)
                    .map_err(|reason| self.error(offset, into.len(), &reason))
            })
        })
    }
}

/// A range of a file as a part of a Blob, without reading it; none if the source is not a file.
pub fn slice(source: &dyn Source, offset: u64, length: u64) -> Option<web_sys::Blob> {
    FILES.with_borrow(|files| {
        files
            .get(&source.id())?
            .slice_with_f64_and_f64(offset as f64, (offset + length) as f64)
            .ok()
    })
}
