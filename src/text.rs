//! Bytes as text, without loss: how names, targets and xattr values cross a boundary that has only strings.
//!
//! UTF-8 stands for itself, but a backslash is `\\`, and a control character or a byte that is not UTF-8 is
//! `\xNN`. The text is fit to be shown as it is.

use std::fmt::Write as _;

/// The text of `bytes`.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_control() => c
                    .encode_utf8(&mut [0; 4])
                    .bytes()
                    .for_each(|byte| write!(text, "\\x{byte:02x}").expect("a string takes all")),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("a string takes all");
        }
    }
    text
}

/// A text whose backslashes are not of the form that [`escape`] writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: after a backslash at byte {at}, expected `\\` or `x` and two hex digits")]
pub struct UnescapeError {
    /// The text as it was given.
    pub text: String,
    /// Where its backslash stands, in bytes.
    pub at: usize,
}

/// The bytes that a text of [`escape`] stands for. Control characters may also stand for themselves.
pub fn unescape(text: &str) -> Result<Vec<u8>, UnescapeError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'\\' {
            bytes.push(first);
            rest = after;
            continue;
        }
        (rest, _) = match after {
            [b'\\', tail @ ..] => (tail, bytes.push(b'\\')),
            [b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |d: u8| (d as char).to_digit(16).expect("checked") as u8;
                (tail, bytes.push(digit(*high) << 4 | digit(*low)))
            }
            _ => {
                return Err(UnescapeError {
                    text: text.to_owned(),
                    at: text.len() - rest.len(),
                });
            }
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_bytes() {
        for (bytes, text) in [
            (&b"plain"[..], "plain"),
            (b"a\\b\nc", "a\\\\b\\x0ac"),
            (b"\xff\xc3\xa9", "\\xff\u{e9}"),
            ("\u{85}".as_bytes(), "\\xc2\\x85"),
        ] {
            assert_eq!(escape(bytes), text);
            assert_eq!(unescape(text).unwrap(), bytes);
        }
        assert_eq!(
            unescape("a\\q"),
            Err(UnescapeError {
                text: "a\\q".into(),
                at: 1
            })
        );
        assert!(unescape("\\x4").is_err());
    }

    #[test]
    fn every_byte_returns() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        assert_eq!(unescape(&escape(&all)).unwrap(), all);
    }
}
