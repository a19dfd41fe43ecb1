//! Tars of all dialects, field by field: what the writers of the world make, and what no writer would.

/// A header block whose fields are set by place; the checksum comes last.
#[derive(Clone)]
pub struct Header([u8; 512]);

pub const USTAR: &[u8; 8] = b"ustar\x0000";
pub const GNU: &[u8; 8] = b"ustar  \0";

impl Header {
    pub fn new(name: &[u8], flag: u8, size: usize) -> Self {
        Self([0; 512])
            .at(0, name)
            .at(100, b"0000644\0")
            .at(108, b"0000000\0")
            .at(116, b"0000000\0")
            .at(124, format!("{size:011o}\0").as_bytes())
            .at(136, b"00000001000\0")
            .at(156, &[flag])
            .at(257, USTAR)
    }

    pub fn at(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn summed(mut self, of_byte: impl Fn(u8) -> i64) -> Vec<u8> {
        self.0[148..156].fill(b' ');
        let sum: i64 = self.0.iter().map(|&byte| of_byte(byte)).sum();
        self.at(148, format!("{sum:06o}\0 ").as_bytes()).0.to_vec()
    }

    pub fn done(self) -> Vec<u8> {
        self.summed(i64::from)
    }

    pub fn signed(self) -> Vec<u8> {
        self.summed(|byte| i64::from(byte.cast_signed()))
    }

    /// The header and a content, as long as that is.
    pub fn with(self, content: &[u8]) -> Vec<u8> {
        let size = format!("{:011o}\0", content.len());
        [self.at(124, size.as_bytes()).done(), padded(content)].concat()
    }
}

pub fn padded(content: &[u8]) -> Vec<u8> {
    let mut padded = content.to_vec();
    padded.resize(content.len().next_multiple_of(512), 0);
    padded
}

pub fn file(name: &[u8]) -> Header {
    Header::new(name, b'0', 0)
}

pub fn records(all: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (keyword, value) in all {
        let rest = keyword.len() + value.len() + 3;
        let length = (rest + 1..).find(|length| *length == rest + length.to_string().len());
        out.extend(format!("{} {keyword}=", length.unwrap()).into_bytes());
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out
}

/// A header of PAX records: `x`, `g`, `X`.
pub fn extended(flag: u8, all: &[(&str, &[u8])]) -> Vec<u8> {
    Header::new(b"x", flag, 0).with(&records(all))
}

/// A GNU header of a long name (`L`) or target (`K`).
pub fn long(flag: u8, name: &[u8]) -> Vec<u8> {
    let header = Header::new(b"././@LongLink", flag, 0).at(257, GNU);
    header.with(&[name, b"\0"].concat())
}
