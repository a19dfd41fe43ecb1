//! Random numbers for tests, in here and in `tests/`: the same for the same seed (SplitMix64).

#![allow(dead_code, reason = "each test takes what it needs")]

pub struct Random(u64);

/// The seed of this run: `HANDROLL_SEED`, or else the time. Printed, so that a failure can be seen again.
pub fn seed() -> u64 {
    let seed = match std::env::var("HANDROLL_SEED") {
        Ok(text) => text.parse().expect("HANDROLL_SEED must be a number"),
        Err(_) => std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64,
    };
    println!("HANDROLL_SEED={seed}");
    seed
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Numbers of this run's [`seed`].
    pub fn of_run() -> Self {
        Self::new(seed())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Whether something that happens once in `n` times happens.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}
