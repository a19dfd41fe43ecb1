//! The checksum of gzip (RFC 1952, section 8), of bytes while they pass.

/// A CRC-32 on its way, and how many bytes it is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crc32 {
    sum: u32,
    length: u64,
}

impl Crc32 {
    /// That of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut crc = Self::default();
        crc.update(bytes);
        crc
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sum = update(self.sum, bytes);
        self.length += bytes.len() as u64;
    }

    /// Adds the bytes that `next` was made of, without seeing them.
    pub fn append(&mut self, next: Self) {
        let hasher = |crc: Self| crc32fast::Hasher::new_with_initial_len(crc.sum, crc.length);
        let mut both = hasher(*self);
        both.combine(&hasher(next));
        self.sum = both.finalize();
        self.length += next.length;
    }

    /// The checksum of all bytes taken.
    pub fn sum(self) -> u32 {
        self.sum
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn update(sum: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(sum);
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(target_arch = "wasm32")]
use tables::update;

/// For processors without instructions for it. The tables are made when they are first needed: they are noise to
/// gzip, and would be a sixteenth of what the page loads.
#[cfg(any(target_arch = "wasm32", test))]
mod tables {
    use std::sync::OnceLock;

    /// `TABLES[n][byte]` is what a byte with `n` bytes behind it adds.
    type Tables = [[u32; 256]; 16];

    static TABLES: OnceLock<Box<Tables>> = OnceLock::new();

    /// The polynomial, its lowest coefficient in the highest bit.
    const POLYNOMIAL: u32 = 0xedb8_8320;

    fn make() -> Box<Tables> {
        let mut tables = Box::new([[0; 256]; 16]);
        for byte in 0..256 {
            let mut sum = byte as u32;
            for _ in 0..8 {
                sum = (sum >> 1) ^ (POLYNOMIAL & (sum & 1).wrapping_neg());
            }
            tables[0][byte] = sum;
        }
        for n in 1..16 {
            for byte in 0..256 {
                let before = tables[n - 1][byte];
                tables[n][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            }
        }
        tables
    }

    /// What the byte of `block` adds that has `behind` bytes behind it.
    #[inline(always)]
    fn add(t: &Tables, block: u128, behind: usize) -> u32 {
        t[behind][(block >> (8 * (15 - behind))) as usize & 0xff]
    }

    pub fn update(sum: u32, bytes: &[u8]) -> u32 {
        let t = TABLES.get_or_init(make);
        let mut sum = !sum;
        let (blocks, rest) = bytes.as_chunks::<16>();
        for block in blocks {
            let block = u128::from_le_bytes(*block) ^ u128::from(sum);
            // Written out: what is optimised for size does not unroll loops.
            sum = (add(t, block, 15) ^ add(t, block, 14) ^ add(t, block, 13) ^ add(t, block, 12))
                ^ (add(t, block, 11) ^ add(t, block, 10) ^ add(t, block, 9) ^ add(t, block, 8))
                ^ (add(t, block, 7) ^ add(t, block, 6) ^ add(t, block, 5) ^ add(t, block, 4))
                ^ (add(t, block, 3) ^ add(t, block, 2) ^ add(t, block, 1) ^ add(t, block, 0));
        }
        for byte in rest {
            sum = (sum >> 8) ^ t[0][usize::from(sum as u8 ^ byte)];
        }
        !sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn tables_and_instructions_agree() {
        // The check value that catalogues of CRCs give for CRC-32/ISO-HDLC.
        assert_eq!(Crc32::of(b"123456789").sum(), 0xcbf4_3926);
        assert_eq!(tables::update(0, b"123456789"), 0xcbf4_3926);
        let mut random = Random::new(1);
        for length in 0..300 {
            let bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
            let (one, other) = bytes.split_at(random.below(length + 1));
            let by_tables = tables::update(tables::update(0, one), other);
            let mut both = Crc32::of(one);
            both.append(Crc32::of(other));
            assert_eq!((by_tables, both), (crc32fast::hash(&bytes), Crc32::of(&bytes)));
        }
    }
}
