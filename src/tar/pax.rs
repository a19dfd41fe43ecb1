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
