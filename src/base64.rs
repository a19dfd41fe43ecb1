//! base64, as small contents travel in JSON (RFC 4648, section 4).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text of some bytes, with padding.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for index in 0..4 {
            match index <= group.len() {
                true => text.push(ALPHABET[(word >> (18 - 6 * index)) as usize & 63] as char),
                false => text.push('='),
            }
        }
    }
    text
}

/// The bytes of a text with padding, or what is wrong with it.
pub fn decode(text: &str) -> Result<Vec<u8>, &'static str> {
    if !text.len().is_multiple_of(4) {
        return Err("its length is no multiple of 4");
    }
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return Err("it ends in more than two `=`");
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    for group in digits.as_bytes().chunks(4) {
        let mut word = 0;
        for &digit in group {
            word = word << 6 | value(digit).ok_or("it holds other characters")?;
        }
        word <<= 6 * (4 - group.len());
        let whole = group.len() * 6 / 8;
        let [_, all @ ..] = word.to_be_bytes();
        if all[whole..].iter().any(|&byte| byte != 0) {
            return Err("its last character stands for more bits than there are");
        }
        bytes.extend_from_slice(&all[..whole]);
    }
    Ok(bytes)
}

fn value(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
        }
        for wrong in ["Z", "Zg=", "Zg=a", "Zh==", "Z===", "Zm 9", "===="] {
            assert!(decode(wrong).is_err(), "{wrong}");
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
    }
}
