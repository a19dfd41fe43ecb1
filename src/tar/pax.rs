//! PAX records, `length keyword=value\n`, and what GNU tar does with them.
//!
//! POSIX, pax, "pax Extended Header": the length counts the whole record, its own digits included, and is
//! the only thing that ends a value, for a value may hold newlines.
//!
//! What GNU tar 1.34 does beyond that, seen by running it:
//!
//! - A name that is not ASCII gets a `path` record even where it fits the header; a link target does not.
//! - An xattr travels as `SCHILY.xattr.` and its name, in which `%` is written `%25` and `=` is `%3D`, and
//!   its value as it is, be it empty. `--xattrs --xattrs-include='*'` carries all namespaces:
//!   `security.capability`, and the ACLs as `system.posix_acl_access` and `system.posix_acl_default` (in the
//!   kernel's binary form). Symlinks, devices and fifos have theirs; an entry that is a hard link has none.
//! - The xattrs stand in the order in which the file system lists them. A tmpfs lists first the ACLs, then
//!   all others by descending names (Linux, fs/xattr.c, `simple_xattr_list`), and GNU tar on a tmpfs is our
//!   judge: [`xattr_order`] is that order.

use std::cmp::Ordering;
use std::io::Write as _;

use crate::tree::Time;

/// What stands before an xattr's name in a keyword.
pub const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// Appends one record.
pub fn put_record(out: &mut Vec<u8>, keyword: &[u8], value: &[u8]) {
    let rest = keyword.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + decimal_digits(length) {
        length = rest + decimal_digits(length);
    }
    write!(out, "{length} ").expect("a vector takes all");
    out.extend_from_slice(keyword);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn decimal_digits(number: usize) -> usize {
    number.ilog10() as usize + 1
}

/// Appends the record of one xattr.
pub fn put_xattr(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let mut keyword = XATTR_PREFIX.to_vec();
    for &byte in name {
        match byte {
            b'%' => keyword.extend_from_slice(b"%25"),
            b'=' => keyword.extend_from_slice(b"%3D"),
            byte => keyword.push(byte),
        }
    }
    put_record(out, &keyword, value);
}

/// The order in which the xattrs of one entry are written.
pub fn xattr_order(a: &[u8], b: &[u8]) -> Ordering {
    let is_acl = |name: &[u8]| name.starts_with(b"system.posix_acl_");
    match (is_acl(a), is_acl(b)) {
        (true, true) => a.cmp(b),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => b.cmp(a),
    }
}

/// The xattr that a keyword names, if it names one: the opposite of [`put_xattr`].
pub fn xattr_name(keyword: &[u8]) -> Option<Vec<u8>> {
    let mut rest = keyword.strip_prefix(XATTR_PREFIX)?;
    let mut name = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        (rest, _) = match rest {
            [b'%', b'2', b'5', tail @ ..] => (tail, name.push(b'%')),
            [b'%', b'3', b'D' | b'd', tail @ ..] => (tail, name.push(b'=')),
            _ => (after, name.push(byte)),
        };
    }
    Some(name)
}

/// Why some bytes are no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It does not begin with a number and a space.
    #[error("expected the record's length in decimal digits and a space")]
    Length,
    /// The length is more than what is left, or less than the record needs.
    #[error("its length {length} does not fit: {left} bytes are left")]
    Range {
        /// What the record says.
        length: u64,
        /// What there is.
        left: u64,
    },
    /// There is no `=`.
    #[error("expected `=` after its keyword")]
    Equals,
    /// The byte where the record should end is something else.
    #[error("expected a newline where its length says that it ends")]
    Newline,
}

/// The records in `bytes`, and the offset of the first that is none.
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The records of an extended header's data.
pub fn records(bytes: &[u8]) -> Records<'_> {
    Records { bytes, at: 0 }
}

impl Records<'_> {
    /// How many bytes were passed: where the next record begins.
    pub fn offset(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Records<'a> {
    /// Keyword and value, or where in the data a record is wrong and how.
    type Item = Result<(&'a [u8], &'a [u8]), (usize, RecordError)>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return None;
        }
        match record(rest) {
            Ok((keyword, value, length)) => {
                self.at += length;
                Some(Ok((keyword, value)))
            }
            Err(error) => {
                let at = std::mem::replace(&mut self.at, self.bytes.len());
                Some(Err((at, error)))
            }
        }
    }
}

/// The first record of `bytes`: keyword, value and length.
fn record(bytes: &[u8]) -> Result<(&[u8], &[u8], usize), RecordError> {
    let space = bytes
        .iter()
        .take(20)
        .position(|&byte| byte == b' ')
        .ok_or(RecordError::Length)?;
    let length = decimal(&bytes[..space]).ok_or(RecordError::Length)?;
    let range = RecordError::Range {
        length,
        left: bytes.len() as u64,
    };
    // The shortest record has a space, one byte of keyword, `=` and the newline.
    if length > bytes.len() as u64 || length < space as u64 + 4 {
        return Err(range);
    }
    let (last, body) = bytes[space + 1..length as usize].split_last().ok_or(range)?;
    if *last != b'\n' {
        return Err(RecordError::Newline);
    }
    let equals = body
        .iter()
        .position(|&byte| byte == b'=')
        .ok_or(RecordError::Equals)?;
    Ok((&body[..equals], &body[equals + 1..], length as usize))
}

/// A number in decimal digits only.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

/// A time in a record's value; the opposite of [`time_value`]. Digits below a nanosecond are floored away.
pub fn parse_time(value: &[u8]) -> Option<Time> {
    let (negative, value) = match value {
        [b'-', rest @ ..] => (true, rest),
        value => (false, value),
    };
    let point = value.iter().position(|&byte| byte == b'.').unwrap_or(value.len());
    let fraction = value.get(point + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Wider than a time, since the earliest one has no opposite.
    let seconds = i128::from(decimal(&value[..point])?);
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0'));
    let nanos = digits
        .take(9)
        .fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    let below = fraction.iter().skip(9).any(|&digit| digit != b'0');
    let (seconds, nanos) = match (negative, nanos + u32::from(below)) {
        (false, _) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, nanos) => (-seconds - 1, 1_000_000_000 - nanos),
    };
    let seconds = i64::try_from(seconds).ok()?;
    Some(Time { seconds, nanos })
}

/// A time as a record's value: `-5.5` is five and a half seconds before 1970.
pub fn time_value(time: Time) -> String {
    if time.nanos == 0 {
        return time.seconds.to_string();
    }
    let (sign, seconds, nanos) = if time.seconds < 0 {
        ("-", -(time.seconds + 1), 1_000_000_000 - time.nanos)
    } else {
        ("", time.seconds, time.nanos)
    };
    let fraction = format!("{nanos:09}");
    format!("{sign}{seconds}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_counts_its_own_digits() {
        for value in 0..2000 {
            let mut out = Vec::new();
            put_record(&mut out, b"k", &vec![b'v'; value]);
            let space = out.iter().position(|&byte| byte == b' ').unwrap();
            let length: usize = str::from_utf8(&out[..space]).unwrap().parse().unwrap();
            assert_eq!(length, out.len());
        }
    }

    #[test]
    fn times_as_gnu_tar_writes_them() {
        for (seconds, nanos, text) in [
            (7, 0, "7"),
            (-5, 0, "-5"),
            (-6, 500_000_000, "-5.5"),
            (-1, 500_000_000, "-0.5"),
            (0, 500_000_000, "0.5"),
            (1, 10, "1.00000001"),
            (-1, 999_999_999, "-0.000000001"),
            (i64::MIN, 1, "-9223372036854775807.999999999"),
        ] {
            assert_eq!(time_value(Time { seconds, nanos }), text);
            assert_eq!(parse_time(text.as_bytes()), Some(Time { seconds, nanos }));
        }
        for (text, seconds, nanos) in [
            ("1.0000000019", 1, 1),
            ("-1.0000000011", -2, 999_999_998),
            ("-0.9999999999", -1, 0),
            ("3.", 3, 0),
        ] {
            assert_eq!(
                parse_time(text.as_bytes()),
                Some(Time { seconds, nanos }),
                "{text}"
            );
        }
        for text in ["", "-", ".", "+1", "1e3", "--1", "1.-5", "99999999999999999999"] {
            assert_eq!(parse_time(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn records_are_told_by_their_length() {
        let mut bytes = Vec::new();
        let smuggled = b"\n22 linkpath=/etc/evil\n";
        put_xattr(&mut bytes, b"user.%25=", smuggled);
        put_record(&mut bytes, b"path", b"a=b");
        let all: Vec<_> = records(&bytes).map(Result::unwrap).collect();
        assert_eq!(all[0].1, smuggled);
        assert_eq!(xattr_name(all[0].0).unwrap(), b"user.%25=");
        assert_eq!(all[1..], [(&b"path"[..], &b"a=b"[..])]);
        let (length, left) = (7, 6);
        for (bytes, at, error) in [
            (&b"x"[..], 0, RecordError::Length),
            (b"+6 a=b\n", 0, RecordError::Length),
            (b"6 a=b\n7 a=b\n", 6, RecordError::Range { length, left }),
            (b"4 a=b\n", 0, RecordError::Range { length: 4, left }),
            (b"6 a=bc", 0, RecordError::Newline),
            (b"6 abc\n", 0, RecordError::Equals),
            (b"6 a=b\n\0\0", 6, RecordError::Length),
        ] {
            let last = records(bytes).last().unwrap();
            assert_eq!(last, Err((at, error)), "{}", crate::text::escape(bytes));
        }
    }

    #[test]
    fn xattrs_as_gnu_tar_writes_them() {
        let mut out = Vec::new();
        put_xattr(&mut out, b"user.e=q%25x", b"hi");
        put_xattr(&mut out, b"user.b", b"");
        assert_eq!(
            out,
            b"36 SCHILY.xattr.user.e%3Dq%2525x=hi\n24 SCHILY.xattr.user.b=\n"
        );
        let mut names = [
            &b"user.a"[..],
            b"system.posix_acl_default",
            b"user.z",
            b"security.x",
            b"system.posix_acl_access",
        ];
        names.sort_by(|a, b| xattr_order(a, b));
        assert_eq!(
            names,
            [
                &b"system.posix_acl_access"[..],
                b"system.posix_acl_default",
                b"user.z",
                b"user.a",
                b"security.x"
            ]
        );
    }
}
