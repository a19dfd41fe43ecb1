//! Numbers and times as Go's `archive/tar` parses them.

use crate::tree::Time;

/// A field in base-256 or octal.
pub(super) fn numeric(field: &[u8]) -> Option<i64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 == 0 {
        return octal(field);
    }
    let invert = if first & 0x40 == 0 { 0 } else { 0xff };
    let start = u64::from((first ^ invert) & 0x7f);
    let value = rest.iter().try_fold(start, |value, &byte| {
        (value >> 56 == 0).then_some(value << 8 | u64::from(byte ^ invert))
    })?;
    let value = i64::try_from(value).ok()?;
    Some(if invert == 0 { value } else { !value })
}

/// A field in octal, with spaces and zero bytes around it; an empty one is 0.
pub(super) fn octal(field: &[u8]) -> Option<i64> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = field.iter().position(|byte| !is_blank(byte)) else {
        return Some(0);
    };
    let end = field.iter().rposition(|byte| !is_blank(byte)).unwrap_or(start);
    let digits = field[start..=end].split(|&byte| byte == 0).next()?;
    let value = digits.iter().try_fold(0u64, |value, byte| match byte {
        b'0'..=b'7' if value >> 61 == 0 => Some(value << 3 | u64::from(byte - b'0')),
        _ => None,
    })?;
    Some(value.cast_signed())
}

/// `strconv.ParseInt(…, 10, 64)`.
pub(super) fn parse_int(text: &[u8]) -> Option<i64> {
    let digits = text
        .strip_prefix(b"-")
        .or(text.strip_prefix(b"+"))
        .unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}

/// A time in decimal, its fraction cut off after nanoseconds.
pub(super) fn pax_time(text: &[u8]) -> Option<Time> {
    let dot = text.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match dot {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    let seconds = parse_int(whole)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let padded = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanos = padded.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    Some(match nanos {
        nanos if nanos != 0 && whole.starts_with(b"-") => Time {
            seconds: seconds.wrapping_sub(1),
            nanos: 1_000_000_000 - nanos,
        },
        nanos => Time { seconds, nanos },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_records() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b" 644 \0\0\0", Some(0o644)),
            (b"644\0junk", Some(0o644)),
            (b"6 4\0\0\0\0\0", None),
            (b"\0\0\0\0", Some(0)),
            (b"\x80\0\0\0\0\x20\0\0", Some(1 << 21)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfa", Some(-6)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"-1\0", None),
        ] {
            assert_eq!(numeric(field), expected, "{field:?}");
        }
        assert_eq!(parse_int(b"+5"), Some(5));
        assert_eq!(parse_int(b"5_0"), None);
        assert_eq!(parse_int(b"9223372036854775808"), None);
        let time = |seconds, nanos| Some(Time { seconds, nanos });
        for (text, expected) in [
            ("-5.5", time(-6, 500_000_000)),
            ("-0.25", time(-1, 750_000_000)),
            ("1.0000000019", time(1, 1)),
            ("1.", time(1, 0)),
            (".5", None),
            ("1.5x", None),
        ] {
            assert_eq!(pax_time(text.as_bytes()), expected, "{text}");
        }
    }
}
