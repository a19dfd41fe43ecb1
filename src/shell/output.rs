//! Where output goes: pieces for whoever looks, files, what is held for another command, or nowhere.

use crate::content::{Content, WINDOW};
use crate::layer::{Bytes, joined};
use crate::overlay::mount::Path;

/// A stream that a command prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// What was asked for.
    Stdout,
    /// What went wrong.
    Stderr,
}

/// Bytes that were printed at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where to.
    pub stream: Stream,
    /// What.
    pub bytes: Vec<u8>,
}

/// Where a stream leads.
#[derive(Clone, Debug)]
pub(super) enum Sink {
    Shown(Stream),
    Nowhere,
    File(usize),
    Held(usize),
}

/// A file that output was redirected to.
#[derive(Clone, Debug)]
pub(super) struct OutFile {
    pub path: Path,
    pub append: bool,
    /// What was written to it so far.
    pub written: u64,
    /// What was printed and not yet written, as a process' buffer.
    pub pending: Vec<u8>,
    pub ino: Option<u64>,
}

impl OutFile {
    pub fn is_full(&self) -> bool {
        self.pending.len() >= WINDOW
    }

    pub fn take(&mut self) -> Option<Content> {
        let bytes = std::mem::take(&mut self.pending);
        (!bytes.is_empty()).then(|| Content::inline(bytes))
    }
}

/// What is shown, as far as there is room.
#[derive(Debug)]
pub(super) struct Shown {
    pub pieces: Vec<Piece>,
    pub left: usize,
    pub is_cut: bool,
}

impl Shown {
    pub fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let fits = bytes.len().min(self.left);
        self.is_cut |= fits < bytes.len();
        self.left -= fits;
        self.push_always(stream, &bytes[..fits]);
    }

    pub fn push_always(&mut self, stream: Stream, bytes: &[u8]) {
        match self.pieces.last_mut() {
            Some(piece) if piece.stream == stream => piece.bytes.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            _ => self.pieces.push(Piece {
                stream,
                bytes: bytes.to_vec(),
            }),
        }
    }
}

/// The most bytes that are held for another command; contents that lie elsewhere do not count.
const HELD_LIMIT: usize = 64 << 20;
/// From how many bytes on a content is held as it is.
const LARGE: u64 = 4096;

/// What a pipe or a substitution carries.
#[derive(Default)]
pub(super) struct Held {
    parts: Vec<Bytes>,
    pending: Vec<u8>,
    length: usize,
}

impl Held {
    /// Adds bytes; false if there is no room for them.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > HELD_LIMIT - self.length {
            return false;
        }
        self.length += bytes.len();
        self.pending.extend_from_slice(bytes);
        true
    }

    /// Takes a large content as it is; a small one is to be read.
    pub fn takes(&mut self, content: &Content) -> bool {
        if content.len() < LARGE {
            return false;
        }
        self.close();
        self.parts.push(Bytes::Content(content.clone()));
        true
    }

    fn close(&mut self) {
        if !self.pending.is_empty() {
            self.parts.push(Bytes::Owned(std::mem::take(&mut self.pending)));
        }
    }

    /// All of it.
    pub fn content(mut self) -> Content {
        self.close();
        joined(self.parts)
    }
}
