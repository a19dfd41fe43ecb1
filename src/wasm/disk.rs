//! A file of the browser's private file system as the one file of all scratches. Like a `File`, its handle is no
//! object that can be `Send`: it stands in this thread.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::{FileSystemReadWriteOptions, FileSystemSyncAccessHandle};

use crate::content::ScratchSpace;
use crate::scratch::MemorySpace;
use crate::scratch::shared::{Disk, SharedFile};

thread_local! {
    static HANDLE: RefCell<Option<FileSystemSyncAccessHandle>> = const { RefCell::new(None) };
    /// All sessions of this thread share it, since there is one file only.
    static SPACE: RefCell<Option<Arc<SharedFile>>> = const { RefCell::new(None) };
    /// How long the file may be at most, in bytes.
    static LIMIT: Cell<f64> = const { Cell::new(f64::INFINITY) };
}

/// Keeps what sessions that are made from now on cannot hold in memory in a file that is nobody else's.
#[wasm_bindgen]
pub fn use_scratch(handle: FileSystemSyncAccessHandle) {
    HANDLE.set(Some(handle));
    SPACE.set(Some(Arc::new(SharedFile::new(Handle))));
}

/// From now on that file may grow to `limit` bytes. What it has already stays.
#[wasm_bindgen]
pub fn limit_scratch(limit: f64) {
    LIMIT.set(limit);
}

/// Where sessions keep what they cannot hold in memory: that file, or memory all the same.
pub fn space() -> Arc<dyn ScratchSpace> {
    match SPACE.with_borrow(Clone::clone) {
        Some(space) => space,
        None => Arc::new(MemorySpace),
    }
}

struct Handle;

impl Handle {
    fn with<T>(
        &self,
        act: impl FnOnce(&FileSystemSyncAccessHandle) -> Result<T, JsValue>,
    ) -> Result<T, JsValue> {
        HANDLE.with_borrow(|handle| match handle {
            Some(handle) => act(handle),
            None => Err(js_sys::Error::new("there is no file for it").into()),
        })
    }
}

fn reason(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{error:?}"),
    }
}

/// What a file that cannot be `length` bytes long is told of, in whole MB: what prints fractions is large.
fn no_room(length: f64, given: &str) -> String {
    format!(
        "{} MB are wanted for all that is open, and the browser {given}. Open this page in an ordinary window, not \
         a private one, on a disk with room, or unpack the file first",
        (length / 1e6).ceil() as u64,
    )
}

/// As `reason`, where `length` bytes were wanted.
fn growing(error: &JsValue, length: f64) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) if error.name() == "QuotaExceededError" => no_room(length, "has no room for them"),
        _ => reason(error),
    }
}

fn at(offset: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at(offset as f64);
    options
}

fn all(count: f64, of: usize) -> Result<(), JsValue> {
    match count == of as f64 {
        true => Ok(()),
        false => Err(js_sys::Error::new("not all bytes went through").into()),
    }
}

impl Disk for Handle {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), String> {
        let read = self.with(|handle| {
            all(
                handle.read_with_u8_array_and_options(into, &at(offset))?,
                into.len(),
            )
        });
        read.map_err(|error| reason(&error))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), String> {
        let written = self.with(|handle| {
            all(
                handle.write_with_u8_array_and_options(bytes, &at(offset))?,
                bytes.len(),
            )
        });
        written.map_err(|error| growing(&error, offset as f64 + bytes.len() as f64))
    }

    fn resize(&self, length: u64) -> Result<(), String> {
        let (length, limit) = (length as f64, LIMIT.get());
        self.with(|handle| {
            // A browser that keeps the file in its memory ends when that is full: it is asked for less.
            if length > limit && length > handle.get_size()? {
                return Ok(Err(no_room(
                    length,
                    &format!("has {} MB that are safe to take", (limit / 1e6) as u64),
                )));
            }
            handle.truncate_with_f64(length).map(Ok)
        })
        .unwrap_or_else(|error| Err(growing(&error, length)))
    }
}
