//! A digest as a document claims it: a text that may be none (image-spec, descriptor.md, "Digests").

use crate::digest::Digest;

/// A digest that is claimed, whether it is well formed or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim(String);

/// What is wrong with a claimed digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimFault {
    /// It has not the form `algorithm:encoded`.
    Grammar,
    /// Its hex digits are upper case.
    Uppercase,
    /// It has not as many hex digits as its algorithm gives.
    Length {
        /// How many it should have.
        expected: usize,
    },
    /// Its algorithm is not one that the specification registers. It may be good all the same.
    Algorithm,
}

impl Claim {
    /// A claimed digest.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it stands there.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The digest, if it is a well-formed SHA-256: the one that handroll computes.
    pub fn sha256(&self) -> Option<Digest> {
        self.0.parse().ok()
    }

    /// Its algorithm and its encoded part, if it has the form of a digest.
    pub fn parts(&self) -> Option<(&str, &str)> {
        let (algorithm, encoded) = self.0.split_once(':')?;
        let component = |part: &str| {
            let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            !part.is_empty() && part.bytes().all(letter)
        };
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b'_' | b'-');
        let is_good = algorithm.split(['+', '.', '_', '-']).all(component)
            && !encoded.is_empty()
            && encoded.bytes().all(letter);
        is_good.then_some((algorithm, encoded))
    }

    /// What is wrong with it.
    pub fn fault(&self) -> Option<ClaimFault> {
        let Some((algorithm, encoded)) = self.parts() else {
            return Some(ClaimFault::Grammar);
        };
        let expected = match algorithm {
            "sha256" | "blake3" => 64,
            "sha512" => 128,
            _ => return Some(ClaimFault::Algorithm),
        };
        let is_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if encoded.len() == expected && encoded.bytes().all(is_hex) {
            return None;
        }
        Some(if encoded.len() != expected {
            ClaimFault::Length { expected }
        } else if encoded.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            ClaimFault::Uppercase
        } else {
            ClaimFault::Grammar
        })
    }

    /// Where the blob lies in a layout (image-layout.md, "Blobs"). None for what has not the form of a digest,
    /// so that no path leads elsewhere.
    pub fn path(&self) -> Option<String> {
        let (algorithm, encoded) = self.parts()?;
        Some(format!("blobs/{algorithm}/{encoded}"))
    }
}

impl From<Digest> for Claim {
    fn from(digest: Digest) -> Self {
        Self(digest.to_string())
    }
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::text::escape(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_all_forms() {
        // The table of descriptor.md, "Examples", and what it forbids.
        let hex = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";
        let case = |text: &str| Claim::new(text).fault();
        assert_eq!(case(&format!("sha256:{hex}")), None);
        assert_eq!(case(&format!("blake3:{hex}")), None);
        assert_eq!(case(&format!("sha512:{hex}{hex}")), None);
        assert_eq!(
            case("multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8"),
            Some(ClaimFault::Algorithm)
        );
        assert_eq!(
            case("sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564"),
            Some(ClaimFault::Algorithm)
        );
        assert_eq!(
            case(&format!("sha256:{}", hex.to_uppercase())),
            Some(ClaimFault::Uppercase)
        );
        assert_eq!(case("sha256:ab"), Some(ClaimFault::Length { expected: 64 }));
        assert_eq!(case(&format!("sha256:{}g", &hex[1..])), Some(ClaimFault::Grammar));
        for text in [
            "",
            "sha256",
            "sha256:",
            ":ab",
            "SHA256:ab",
            "a..b:c",
            "a:b/c",
            "a:../../x",
            "a b:c",
        ] {
            assert_eq!(case(text), Some(ClaimFault::Grammar), "{text}");
            assert_eq!(Claim::new(text).path(), None, "{text}");
        }
    }
}
