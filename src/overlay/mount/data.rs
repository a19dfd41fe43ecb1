//! The bytes of a file that is written to, piece by piece: what a lower layer gave stays where it lies.

use std::sync::Arc;

use crate::content::{Content, ContentError, Source, own_id};

/// Up to here, bytes that are written next to each other are put together.
const TOGETHER: u64 = 64 << 10;

/// Bytes of a file, in pieces.
#[derive(Clone, Debug, Default)]
pub struct Data {
    pieces: Arc<Vec<Piece>>,
    length: u64,
}

/// Bytes that follow one another.
#[derive(Clone, Debug)]
enum Piece {
    Bytes(Content),
    /// So many zeros, which nothing holds.
    Hole(u64),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(content) => content.len(),
            Self::Hole(length) => *length,
        }
    }

    fn part(&self, from: u64, length: u64) -> Self {
        match self {
            Self::Bytes(content) => Self::Bytes(content.slice(from, length)),
            Self::Hole(_) => Self::Hole(length),
        }
    }

    /// This piece and the next one as one, if both are small bytes or both are holes.
    fn with(&self, next: &Self) -> Option<Self> {
        match (self, next) {
            (Self::Hole(a), Self::Hole(b)) => Some(Self::Hole(a + b)),
            (Self::Bytes(Content::Inline(a)), Self::Bytes(Content::Inline(b)))
                if (a.len() + b.len()) as u64 <= TOGETHER =>
            {
                Some(Self::Bytes(Content::inline([&a[..], &b[..]].concat())))
            }
            _ => None,
        }
    }
}

impl Data {
    /// All of a content.
    pub fn new(content: Content) -> Self {
        let mut data = Self::default();
        data.set([Piece::Bytes(content)]);
        data
    }

    /// Number of bytes, holes too.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether something holds its bytes: it is more than a hole.
    pub(super) fn is_held(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Bytes(_)))
    }

    fn set(&mut self, pieces: impl IntoIterator<Item = Piece>) {
        let mut joined: Vec<Piece> = Vec::new();
        for piece in pieces.into_iter().filter(|piece| piece.len() > 0) {
            match joined.last().and_then(|last| last.with(&piece)) {
                Some(both) => *joined.last_mut().expect("it has a last one") = both,
                None => joined.push(piece),
            }
        }
        self.length = joined.iter().map(Piece::len).sum();
        self.pieces = Arc::new(joined);
    }

    /// The pieces of the bytes from `from` up to `to`.
    fn range(&self, from: u64, to: u64) -> Vec<Piece> {
        let mut found = Vec::new();
        let mut at = 0;
        for piece in self.pieces.iter() {
            let (start, end) = (from.max(at), to.min(at + piece.len()));
            if start < end {
                found.push(piece.part(start - at, end - start));
            }
            at += piece.len();
        }
        found
    }

    /// Puts `bytes` at `offset`; what lies between the end and there becomes zeros, as write(2) has it.
    pub fn write(&mut self, offset: u64, bytes: Content) {
        let end = offset + bytes.len();
        let mut pieces = self.range(0, offset);
        if offset > self.length {
            pieces.push(Piece::Hole(offset - self.length));
        }
        pieces.push(Piece::Bytes(bytes));
        pieces.extend(self.range(end, self.length.max(end)));
        self.set(pieces);
    }

    /// Cuts the end off, or adds zeros.
    pub fn truncate(&mut self, length: u64) {
        let mut pieces = self.range(0, length);
        pieces.push(Piece::Hole(length.saturating_sub(self.length)));
        self.set(pieces);
    }

    /// The bytes as a content.
    pub fn content(&self) -> Content {
        match &self.pieces[..] {
            [] => Content::inline(*b""),
            [Piece::Bytes(content)] => content.clone(),
            _ => Content::whole(Arc::new(Pieces {
                id: own_id(),
                data: self.clone(),
            })),
        }
    }
}

/// Pieces as a source, read without being put together.
struct Pieces {
    id: u64,
    data: Data,
}

impl Source for Pieces {
    fn id(&self) -> u64 {
        self.id
    }

    fn name(&self) -> &str {
        "a file written in the container"
    }

    fn len(&self) -> u64 {
        self.data.length
    }

    fn read_at(&self, offset: u64, mut into: &mut [u8]) -> Result<(), ContentError> {
        for piece in self.data.range(offset, offset + into.len() as u64) {
            let (here, rest) = into.split_at_mut(piece.len() as usize);
            match piece {
                Piece::Bytes(content) => content.read_at(0, here)?,
                Piece::Hole(_) => here.fill(0),
            }
            into = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn random_writes_are_those_of_a_vector() {
        let mut random = Random::of_run();
        for _ in 0..500 {
            let (mut data, mut plain) = (Data::default(), Vec::new());
            for _ in 0..random.below(12) {
                let at = random.below(40);
                if random.once_in(4) {
                    data.truncate(at as u64);
                    plain.resize(at, 0);
                } else {
                    let bytes = vec![b'a' + random.below(26) as u8; random.below(9)];
                    if bytes.is_empty() {
                        continue; // write(2) of nothing changes nothing
                    }
                    plain.resize(plain.len().max(at + bytes.len()), 0);
                    plain[at..at + bytes.len()].copy_from_slice(&bytes);
                    data.write(at as u64, Content::inline(bytes));
                }
                assert_eq!(data.content().read_all(100).unwrap(), plain);
                assert_eq!(data.len(), plain.len() as u64);
            }
        }
    }

    #[test]
    fn what_is_large_is_not_put_together() {
        let mut data = Data::new(Content::inline(vec![1; 70_000]));
        for _ in 0..100 {
            data.write(data.len(), Content::inline([2; 100]));
        }
        assert_eq!((data.pieces.len(), data.len()), (2, 80_000));
        let end = data.content().slice(69_999, 3).read_all(3).unwrap();
        assert_eq!(end, [1, 2, 2]);
    }
}
