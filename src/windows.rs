//! Windows on sources of which every read is dear: a browser's file takes about a millisecond for each, however
//! small it is. Knows where bytes were read and where they will probably be read next.

use crate::content::ContentError;

/// Reads what stands at an offset.
pub type Fetch<'a> = dyn FnMut(u64, &mut [u8]) -> Result<(), ContentError> + 'a;

/// How many windows are kept, of all sources.
const KEPT: usize = 4;
/// What is read after a jump, in bytes: about what comes in the time that any read takes.
const SMALLEST: u64 = 64 << 10;
/// The most that is read ahead, in bytes.
const LARGEST: u64 = 8 << 20;

/// The windows that were used last.
#[derive(Default)]
pub struct Windows {
    /// The one that was used last stands at the end.
    kept: Vec<Window>,
}

struct Window {
    source: u64,
    offset: u64,
    bytes: Vec<u8>,
    /// How much was read to get here. More than `bytes` has, if they went right to where they were wanted.
    size: u64,
}

impl Window {
    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

impl Windows {
    /// No window yet.
    pub const fn new() -> Self {
        Self { kept: Vec::new() }
    }

    /// Fills `into` with what stands at `offset` of `source`, which has `length` bytes. What is not in a window is
    /// read by `fetch`: more than is wanted, and the more the longer reads follow one another.
    pub fn read(
        &mut self,
        (source, length): (u64, u64),
        mut offset: u64,
        mut into: &mut [u8],
        fetch: &mut Fetch<'_>,
    ) -> Result<(), ContentError> {
        while !into.is_empty() {
            let covers =
                |window: &Window| window.source == source && window.offset <= offset && offset < window.end();
            let Some(at) = self.kept.iter().rposition(covers) else {
                let wanted = into.len() as u64;
                let size = self.follow(source, offset).max(SMALLEST);
                if wanted >= size {
                    fetch(offset, into)?;
                    self.keep(source, offset + wanted, Vec::new(), wanted);
                    return Ok(());
                }
                let mut bytes = vec![0; size.min(length.saturating_sub(offset)).max(wanted) as usize];
                fetch(offset, &mut bytes)?;
                self.keep(source, offset, bytes, size);
                continue;
            };
            let window = self.kept.remove(at);
            let from = (offset - window.offset) as usize;
            let count = into.len().min(window.bytes.len() - from);
            let (now, later) = into.split_at_mut(count);
            now.copy_from_slice(&window.bytes[from..from + count]);
            (into, offset) = (later, offset + count as u64);
            self.kept.push(window);
        }
        Ok(())
    }

    /// Forgets a source.
    pub fn forget(&mut self, source: u64) {
        self.kept.retain(|window| window.source != source);
    }

    /// How much to read at `offset` when that goes on where a window ends, or soon after it, and takes that window
    /// away; 0 after a jump.
    fn follow(&mut self, source: u64, offset: u64) -> u64 {
        let goes_on = |window: &Window| {
            window.source == source && window.end() <= offset && offset - window.end() <= window.size
        };
        let before = self.kept.iter().rposition(goes_on);
        before.map_or(0, |at| (4 * self.kept.remove(at).size).min(LARGEST))
    }

    fn keep(&mut self, source: u64, offset: u64, bytes: Vec<u8>, size: u64) {
        if self.kept.len() == KEPT {
            self.kept.remove(0);
        }
        self.kept.push(Window {
            source,
            offset,
            bytes,
            size,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Sources without end whose bytes follow from their place.
    fn byte(source: u64, offset: u64) -> u8 {
        (offset.wrapping_mul(31).wrapping_add(offset >> 9) ^ source) as u8
    }

    struct Probe {
        windows: Windows,
        fetched: Vec<(u64, usize)>,
    }

    impl Probe {
        fn new() -> Self {
            let windows = Windows::new();
            Self {
                windows,
                fetched: Vec::new(),
            }
        }

        fn read(&mut self, source: u64, length: u64, offset: u64, count: usize) {
            let mut into = vec![0; count];
            let mut fetch = |offset: u64, into: &mut [u8]| {
                assert!(
                    offset + into.len() as u64 <= length,
                    "nothing is read behind the end"
                );
                self.fetched.push((offset, into.len()));
                (offset..)
                    .zip(into)
                    .for_each(|(offset, to)| *to = byte(source, offset));
                Ok(())
            };
            self.windows
                .read((source, length), offset, &mut into, &mut fetch)
                .unwrap();
            let wanted: Vec<u8> = (offset..)
                .take(count)
                .map(|offset| byte(source, offset))
                .collect();
            assert!(into == wanted, "{count} bytes at {offset} of {source}");
        }
    }

    #[test]
    fn reads_that_follow_one_another_become_fewer_and_larger() {
        let (mut probe, length) = (Probe::new(), 64 << 20);
        for at in (0..length).step_by(4096) {
            probe.read(1, length, at, 512);
        }
        assert!(probe.fetched.len() < 20, "{}", probe.fetched.len());
        assert!(probe.fetched.iter().all(|(_, size)| *size as u64 <= LARGEST));
        let total: usize = probe.fetched.iter().map(|(_, size)| size).sum();
        assert!(total as u64 <= length);
    }

    #[test]
    fn jumps_read_little_and_come_back_for_nothing() {
        let (mut probe, length) = (Probe::new(), 1 << 40);
        for at in [0, 5 << 30, 1 << 35, 1 << 39, 100, (5 << 30) + 7, 1 << 35] {
            probe.read(1, length, at, 512);
        }
        assert_eq!(probe.fetched.len(), 4);
        assert!(probe.fetched.iter().all(|(_, size)| *size as u64 == SMALLEST));
    }

    #[test]
    fn large_reads_go_where_they_are_wanted() {
        let (mut probe, length) = (Probe::new(), 100 << 20);
        probe.read(1, length, 1, 10 << 20);
        assert_eq!(probe.fetched, [(1, 10 << 20)]);
        assert!(probe.windows.kept[0].bytes.is_empty());
    }

    #[test]
    fn a_failed_read_is_no_window() {
        let mut windows = Windows::new();
        let mut fail = |_: u64, _: &mut [u8]| {
            Err(ContentError::Write {
                length: 0,
                reason: String::new(),
            })
        };
        assert!(windows.read((1, 100), 0, &mut [0; 10], &mut fail).is_err());
        assert!(windows.kept.is_empty());
    }

    #[test]
    fn whatever_is_read_is_what_stands_there() {
        let mut random = Random::of_run();
        let mut probe = Probe::new();
        let mut at = [0; 3];
        for _ in 0..3000 {
            let source = random.below(3);
            let length = (source as u64 + 1) << 20;
            if random.once_in(3) {
                at[source] = random.below(length as usize) as u64;
            }
            let most = if random.once_in(20) { 1 << 20 } else { 3000 };
            let count = random.below(most).min((length - at[source]) as usize);
            probe.read(source as u64, length, at[source], count);
            at[source] += count as u64;
            if random.once_in(100) {
                probe.windows.forget(source as u64);
            }
            assert!(probe.windows.kept.len() <= KEPT);
        }
    }
}
