//! A file of the browser's private file system as the one file of all scratches. Like a `File`, its handle is no
//! object that can be `Send`: it stands in this thread.

use std::cell::RefCell;
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
}

/// Keeps what sessions that are made from now on cannot hold in memory in a file that is nobody else's.
/// `quota` is how many bytes the browser gives this page.
#[wasm_bindgen]
pub fn use_scratch(handle: FileSystemSyncAccessHandle, quota: f64) {
    HANDLE.set(Some(handle));
    SPACE.set(Some(Arc::new(SharedFile::new(Handle { quota }))));
}

/// Where sessions keep what they cannot hold in memory: that file, or memory all the same.
pub fn space() -> Arc<dyn ScratchSpace> {
    match SPACE.with_borrow(Clone::clone) {
        Some(space) => space,
        None => Arc::new(MemorySpace),
    }
}

struct Handle {
    quota: f64,
}

impl Handle {
    fn with<T>(
        &self,
        act: impl FnOnce(&FileSystemSyncAccessHandle) -> Result<T, JsValue>,
    ) -> Result<T, String> {
        HANDLE.with_borrow(|handle| match handle {
            Some(handle) => act(handle).map_err(|error| self.reason(&error)),
            None => Err("there is no file for it".to_owned()),
        })
    }

    fn reason(&self, error: &JsValue) -> String {
        let Some(error) = error.dyn_ref::<js_sys::Error>() else {
            return format!("{error:?}");
        };
        if error.name() == "QuotaExceededError" {
            // In whole tenths: what prints fractions is large.
            let tenths = (self.quota / 1e8) as u64;
            let (whole, tenth) = (tenths / 10, tenths % 10);
            return format!("the browser gives this page {whole}.{tenth} GB of the disk, and no more");
        }
        String::from(error.message())
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
        self.with(|handle| {
            all(
                handle.read_with_u8_array_and_options(into, &at(offset))?,
                into.len(),
            )
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), String> {
        self.with(|handle| {
            all(
                handle.write_with_u8_array_and_options(bytes, &at(offset))?,
                bytes.len(),
            )
        })
    }

    fn resize(&self, length: u64) -> Result<(), String> {
        self.with(|handle| handle.truncate_with_f64(length as f64))
    }
}
