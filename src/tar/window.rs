//! A window on a tar's bytes: many small headers in one read, and no read of the contents between large ones.

use std::ops::Range;

use crate::content::{Content, ContentError, WINDOW};

/// What is read after a jump: a few headers.
const SMALLEST: usize = 8 << 10;

/// The bytes around the place where a tar is being read.
pub(crate) struct Window {
    content: Content,
    buffer: Vec<u8>,
    start: u64,
    /// How much is read next time.
    size: usize,
}

impl Window {
    pub(crate) fn new(content: Content) -> Self {
        Self {
            content,
            buffer: Vec::new(),
            start: 0,
            size: SMALLEST,
        }
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// Some bytes; none if the content ends before.
    pub(crate) fn get(&mut self, range: Range<u64>) -> Result<Option<&[u8]>, ContentError> {
        if range.end > self.content.len() {
            return Ok(None);
        }
        let end = self.start + self.buffer.len() as u64;
        if range.start < self.start || range.end > end {
            self.fill(&range, end)?;
        }
        let from = (range.start - self.start) as usize;
        let to = (range.end - self.start) as usize;
        Ok(Some(&self.buffer[from..to]))
    }

    /// Moves the window to `range`. It grows while entries are small, and shrinks when one is jumped over.
    fn fill(&mut self, range: &Range<u64>, end: u64) -> Result<(), ContentError> {
        let is_near = range.start >= self.start && range.start <= end + self.size as u64;
        self.size = if is_near {
            WINDOW.min(4 * self.size)
        } else {
            SMALLEST
        };
        let wanted = (self.size as u64).max(range.end - range.start);
        let length = wanted.min(self.content.len() - range.start);
        self.buffer.clear();
        self.buffer.resize(length as usize, 0);
        self.start = range.start;
        self.content.read_at(self.start, &mut self.buffer)
    }
}
