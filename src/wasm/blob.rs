//! Parts become a Blob: ranges of files stay where they are, small parts are gathered.

use wasm_bindgen::JsValue;

use crate::content::Content;
use crate::layer::Bytes;
use crate::workbench::{Exported, WorkbenchError};

use super::{file, refused};

/// Bytes are handed over when so many are gathered.
const GATHER: usize = 1 << 20;

pub fn of_parts(parts: Exported) -> Result<web_sys::Blob, JsValue> {
    let (array, mut gathered) = (js_sys::Array::new(), Vec::new());
    for part in parts {
        match part {
            Bytes::Owned(bytes) => gathered.extend_from_slice(&bytes),
            Bytes::Zeros(count) => gathered.resize(gathered.len() + count as usize, 0),
            Bytes::Content(content) => {
                let slice = match &content {
                    Content::Range {
                        source,
                        offset,
                        length,
                    } => file::slice(&**source, *offset, *length),
                    Content::Inline(_) => None,
                };
                match slice {
                    Some(slice) => {
                        flush(&array, &mut gathered);
                        array.push(&slice);
                    }
                    None => content
                        .for_each_window(|bytes| gathered.extend_from_slice(bytes))
                        .map_err(|error| refused(WorkbenchError::from(error)))?,
                }
            }
        }
        if gathered.len() >= GATHER {
            flush(&array, &mut gathered);
        }
    }
    flush(&array, &mut gathered);
    let options = web_sys::BlobPropertyBag::new();
    options.set_type("application/octet-stream");
    web_sys::Blob::new_with_u8_array_sequence_and_options(&array, &options)
}

fn flush(array: &js_sys::Array, gathered: &mut Vec<u8>) {
    if !gathered.is_empty() {
        array.push(&js_sys::Uint8Array::from(&gathered[..]));
        gathered.clear();
    }
}
