//! The number fields of a header: octal digits, or base-256 where they do not suffice.
//!
//! POSIX has octal only. GNU's extension (GNU tar manual, "Large or Negative Values"): if the top bit of
//! the first byte is set, the field is a two's complement number, big-endian, whose sign is the next bit.

/// Writes `value` as octal digits and a NUL that together fill `field`; false if it has too many digits.
pub(super) fn put_octal(field: &mut [u8], value: u64) -> bool {
    let digits = field.len() - 1;
    if value >> (3 * digits) != 0 {
        return false;
    }
    for (at, byte) in field[..digits].iter_mut().rev().enumerate() {
        *byte = b'0' + (value >> (3 * at) & 7) as u8;
    }
    field[digits] = 0;
    true
}

/// Writes `value` in octal, or in base-256 if it is negative or has too many digits for that.
pub(super) fn put_number(field: &mut [u8], value: i64) {
    if u64::try_from(value).is_ok_and(|value| put_octal(field, value)) {
        return;
    }
    let bytes = value.to_be_bytes();
    let short = field.len().min(bytes.len());
    field.fill(if value < 0 { 0xff } else { 0 });
    let start = field.len() - short;
    field[start..].copy_from_slice(&bytes[bytes.len() - short..]);
    field[0] |= 0x80;
}

/// Reads a number in octal or base-256; none if it is neither. As GNU tar reads, spaces and NULs may stand
/// before the digits, a space or NUL ends them, and an empty field is 0.
pub(super) fn number(field: &[u8]) -> Option<i128> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let sign = if first & 0x40 == 0 {
            i128::from(first & 0x3f)
        } else {
            i128::from(first.cast_signed())
        };
        return Some(
            rest.iter()
                .fold(sign, |number, &byte| number << 8 | i128::from(byte)),
        );
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field
        .iter()
        .position(|byte| !is_blank(byte))
        .unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(is_blank).unwrap_or(digits.len());
    digits[..end].iter().try_fold(0, |number, byte| match byte {
        b'0'..=b'7' => Some(number << 3 | i128::from(byte - b'0')),
        _ => None,
    })
}

/// Whether a field is the same number to everybody: octal digits with spaces before, and blanks and what stands
/// behind a NUL after them; or base-256.
pub(super) fn is_strict(field: &[u8]) -> bool {
    if field.first().is_some_and(|first| first & 0x80 != 0) {
        return true;
    }
    let text = field.split(|&byte| byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return field.iter().all(|&byte| byte == 0);
    }
    let digits = text.trim_ascii();
    !digits.is_empty() && digits.iter().all(|byte| matches!(byte, b'0'..=b'7'))
}

/// The largest number that a field of 12 bytes takes in octal.
pub(super) const MAX_OCTAL_12: u64 = (1 << 33) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_return() {
        for value in [0, 1, -1, 1 << 21, 1 << 33, -(1 << 33), i64::MAX, i64::MIN] {
            let mut field = [0xaa; 12];
            put_number(&mut field, value);
            assert_eq!(number(&field), Some(value.into()));
        }
        for (field, expected) in [
            (&b"        "[..], Some(0)),
            (b"\0\0\0\0", Some(0)),
            (b"  644 \0", Some(0o644)),
            (b"0000644", Some(0o644)),
            (b"644\0junk", Some(0o644)),
            (b"648\0", None),
            (b"-1\0", None),
            (b"", None),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
        for (field, strict) in [
            (&b"  644 \0"[..], true),
            (b"644\0junk", true),
            (b"644 junk", false),
            (b"\xffabc", true),
            (b"\0\0\0", true),
            (b"\0 7", false),
            (b"   ", false),
        ] {
            assert_eq!(is_strict(field), strict, "{field:?}");
        }
    }

    #[test]
    fn numbers_as_gnu_tar_writes_them() {
        let mut field = [0xaa; 8];
        for (value, expected) in [
            (0, *b"0000000\0"),
            (2_097_151, *b"7777777\0"),
            (2_097_152, *b"\x80\0\0\0\0\x20\0\0"),
            (4_294_967_294, *b"\x80\0\0\0\xff\xff\xff\xfe"),
        ] {
            put_number(&mut field, value);
            assert_eq!(field, expected, "{value}");
        }
        let mut field = [0xaa; 12];
        for (value, expected) in [
            (8_589_934_591, *b"77777777777\0"),
            (8_589_934_592, *b"\x80\0\0\0\0\0\0\x02\0\0\0\0"),
            (-1, [0xff; 12]),
            (-6, *b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfa"),
        ] {
            put_number(&mut field, value);
            assert_eq!(field, expected, "{value}");
        }
    }
}
