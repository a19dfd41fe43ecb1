//! Which compressed bytes became which uncompressed ones, sparsely: what draws a blob's compressed extents.

/// Pairs stand about so many uncompressed bytes apart, as long as there are few.
const INTERVAL: u64 = 64 << 10;
/// The most pairs; when there are more, every second one goes and the interval doubles.
const MOST: usize = 1 << 16;

/// Pairs of an uncompressed and a compressed offset, both rising, from (0, 0) on: what lies before the one was
/// made from what lies before the other. A decoder holds some of what it read, so a pair may be late by the
/// deflate window (32 KiB of output) or by a zstd block (128 KiB).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offsets {
    pairs: Vec<(u64, u64)>,
    interval: u64,
    /// The furthest pair, which may be too near to the last one to be kept.
    end: (u64, u64),
}

impl Default for Offsets {
    fn default() -> Self {
        Self {
            pairs: vec![(0, 0)],
            interval: INTERVAL,
            end: (0, 0),
        }
    }
}

impl Offsets {
    /// Notes how far a decoder is.
    pub(super) fn reach(&mut self, uncompressed: u64, compressed: u64) {
        self.end = (self.end.0.max(uncompressed), self.end.1.max(compressed));
        let last = self.pairs[self.pairs.len() - 1].0;
        if uncompressed < last + self.interval {
            return;
        }
        self.pairs.push(self.end);
        if self.pairs.len() > MOST {
            let mut index = 0;
            self.pairs.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.interval *= 2;
        }
    }

    /// The pairs, the end of both included.
    pub fn pairs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let is_kept = self.pairs.last() == Some(&self.end);
        let end = (!is_kept).then_some(self.end);
        self.pairs.iter().copied().chain(end)
    }

    /// Where, about, the compressed bytes of an uncompressed offset lie: on the line between the pairs
    /// around it.
    pub fn compressed(&self, uncompressed: u64) -> u64 {
        let after = self.pairs.partition_point(|pair| pair.0 <= uncompressed);
        let (from, start) = self.pairs[after - 1];
        let (to, end) = self.pairs.get(after).copied().unwrap_or(self.end);
        if to <= from {
            return end;
        }
        let part = u128::from(uncompressed.min(to) - from) * u128::from(end - start) / u128::from(to - from);
        start + part as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_rise_and_stay_few() {
        let mut offsets = Offsets::default();
        assert_eq!((offsets.compressed(0), offsets.compressed(9)), (0, 0));
        for step in 1..=300_000 {
            offsets.reach(step * 50_000, step * 10_000);
        }
        let pairs: Vec<_> = offsets.pairs().collect();
        assert!(pairs.len() <= MOST + 1 && pairs.len() > MOST / 4);
        assert!(pairs.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
        assert_eq!(
            (pairs[0], pairs[pairs.len() - 1]),
            ((0, 0), (15_000_000_000, 3_000_000_000))
        );
        for uncompressed in [0, 1, 50_000, 777_777_777, 14_999_999_999, 15_000_000_000] {
            assert_eq!(offsets.compressed(uncompressed), uncompressed / 5);
        }
        assert_eq!(offsets.compressed(u64::MAX), 3_000_000_000);
    }
}
