//! Parts that follow one another, as one content. Knows nothing of where they come from.

use std::sync::Arc;

use super::Bytes;
use crate::content::{Content, ContentError, Source, own_id};

/// Parts that follow one another as one content, which reads them where they are.
pub(crate) fn joined(parts: Vec<Bytes>) -> Content {
    let mut joined = Joined {
        id: own_id(),
        parts: Vec::new(),
        length: 0,
    };
    for part in parts {
        joined.length += part.len();
        joined.parts.push((joined.length, part));
    }
    match &joined.parts[..] {
        [(_, Bytes::Content(content))] => content.clone(),
        [(_, Bytes::Owned(bytes))] => Content::inline(&bytes[..]),
        _ => Content::whole(Arc::new(joined)),
    }
}

/// Parts as a source.
struct Joined {
    id: u64,
    /// Each with where it ends.
    parts: Vec<(u64, Bytes)>,
    length: u64,
}

impl Source for Joined {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        "parts of a session"
    }

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, mut into: &mut [u8]) -> Result<(), ContentError> {
        let first = self.parts.partition_point(|(end, _)| *end <= offset);
        let mut offset = offset;
        for (end, part) in &self.parts[first..] {
            if into.is_empty() {
                break;
            }
            let from = offset - (end - part.len());
            let length = (end - offset).min(into.len() as u64) as usize;
            let (here, rest) = into.split_at_mut(length);
            match part {
                Bytes::Owned(bytes) => here.copy_from_slice(&bytes[from as usize..][..length]),
                Bytes::Content(content) => content.read_at(from, here)?,
                Bytes::Zeros(_) => here.fill(0),
            }
            (into, offset) = (rest, offset + length as u64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_one() {
        let parts = vec![
            Bytes::Owned(b"ab".to_vec()),
            Bytes::Zeros(2),
            Bytes::Owned(Vec::new()),
            Bytes::Content(Content::inline(*b"cdef").slice(1, 2)),
        ];
        let (content, all) = (joined(parts), b"ab\0\0de");
        for from in 0..=all.len() {
            for to in from..=all.len() {
                let mut read = vec![1; to - from];
                content.read_at(from as u64, &mut read).unwrap();
                assert_eq!(read, all[from..to]);
            }
        }
    }
}
