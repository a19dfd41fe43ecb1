//! Parts become a Blob: ranges of files stay where they are; the others are copied, step by step, into Blobs of
//! which the browser takes care. (A range of the file of all scratches could be named too, but it would be
//! unreadable as soon as the next scratch is written.)

use wasm_bindgen::prelude::*;

use crate::content::Content;
use crate::layer::Bytes;
use crate::workbench::{Exported, WorkbenchError};

use super::{file, refused};

/// Bytes are handed over when so many are gathered.
const GATHER: usize = 4 << 20;
/// Fewer bytes, as those between two ranges of files, are not worth a Blob of their own.
const SMALL: usize = 64 << 10;
/// How many bytes are copied at once.
const WINDOW: u64 = 1 << 20;

/// An export on its way into a Blob. What it is of does not change any more.
#[wasm_bindgen]
pub struct Parts {
    parts: std::vec::IntoIter<Bytes>,
    /// What is being copied, and how far.
    copying: Option<(Content, u64)>,
    done: js_sys::Array,
    gathered: Vec<u8>,
}

#[wasm_bindgen]
impl Parts {
    /// Copies the next bytes, about a MiB; true while there are more.
    pub fn step(&mut self) -> Result<bool, JsValue> {
        if let Some((content, offset)) = &mut self.copying {
            let start = self.gathered.len();
            let length = WINDOW.min(content.len() - *offset);
            self.gathered.resize(start + length as usize, 0);
            let read = content.read_at(*offset, &mut self.gathered[start..]);
            read.map_err(|error| refused(WorkbenchError::from(error)))?;
            *offset += length;
            if *offset == content.len() {
                self.copying = None;
            }
        } else {
            match self.parts.next() {
                None => return Ok(false),
                Some(Bytes::Owned(bytes)) => self.gathered.extend_from_slice(&bytes),
                Some(Bytes::Zeros(count)) => self.gathered.resize(self.gathered.len() + count as usize, 0),
                Some(Bytes::Content(content)) => match slice(&content) {
                    Some(slice) => {
                        self.hand_over()?;
                        self.done.push(&slice);
                    }
                    None if content.is_empty() => {}
                    None => self.copying = Some((content, 0)),
                },
            }
        }
        if self.gathered.len() >= GATHER {
            self.hand_over()?;
        }
        Ok(true)
    }

    /// The Blob, when all is copied.
    pub fn blob(mut self) -> Result<web_sys::Blob, JsValue> {
        self.hand_over()?;
        let options = web_sys::BlobPropertyBag::new();
        options.set_type("application/octet-stream");
        web_sys::Blob::new_with_blob_sequence_and_options(&self.done, &options)
    }

    /// What is large becomes a Blob at once: its bytes are the browser's then, which has room for them on its disk.
    fn hand_over(&mut self) -> Result<(), JsValue> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let bytes = js_sys::Uint8Array::from(&self.gathered[..]);
        if self.gathered.len() < SMALL {
            self.done.push(&bytes);
        } else {
            let blob = web_sys::Blob::new_with_u8_array_sequence(&js_sys::Array::of1(&bytes))?;
            self.done.push(&blob);
        }
        self.gathered.clear();
        Ok(())
    }
}

impl Parts {
    pub(super) fn new(parts: Exported) -> Self {
        Self {
            parts: parts.into_iter(),
            copying: None,
            done: js_sys::Array::new(),
            gathered: Vec::new(),
        }
    }
}

fn slice(content: &Content) -> Option<web_sys::Blob> {
    match content {
        Content::Range {
            source,
            offset,
            length,
        } => file::slice(&**source, *offset, *length),
        Content::Inline(_) => None,
    }
}
