//! Names in messages, quoted as coreutils does in the locale C (gnulib, quotearg.c: shell-escape styles).

/// Quoted in any case: `'a'`.
pub(super) fn always(name: &[u8]) -> String {
    restyle(name, false, false).expect("quotes are not left out")
}

/// Quoted if a shell would need it. Before a colon, a colon in the name counts too.
pub(super) fn if_needed(name: &[u8], before_colon: bool) -> String {
    restyle(name, true, before_colon).unwrap_or_else(|| always(name))
}

/// As messages quote what was typed that is no name of a file (`quote`, the locale's style).
pub(super) fn word(text: &[u8]) -> String {
    let mut quoted = "'".to_owned();
    for &byte in text {
        match byte {
            b'\'' => quoted.push_str("\\'"),
            b'\\' => quoted.push_str("\\\\"),
            _ => match letter(byte) {
                Some(letter) => quoted.extend(['\\', letter]),
                None if byte == b' ' || byte.is_ascii_graphic() => quoted.push(byte as char),
                None => quoted.push_str(&format!("\\{byte:03o}")),
            },
        }
    }
    quoted + "'"
}

/// The letter by which a backslash names a control character.
pub(super) fn letter(byte: u8) -> Option<char> {
    let at = b"\x07\x08\x0c\n\r\t\x0b"
        .iter()
        .position(|&control| control == byte)?;
    Some(b"abfnrtv"[at] as char)
}

/// The name in quotes; nothing if they were to be left out and are needed.
fn restyle(name: &[u8], elide: bool, before_colon: bool) -> Option<String> {
    let mut quoted = String::new();
    // Whether the text stands in `'$'…''` just now.
    let mut is_escaped = false;
    let mut is_fit_for_double = true;
    let mut has_quote = false;
    for (position, &byte) in name.iter().enumerate() {
        let escape = match letter(byte) {
            Some(letter) => Some(letter.to_string()),
            None if byte == b' ' || byte.is_ascii_graphic() => None,
            None => Some(format!("{byte:03o}")),
        };
        let is_special = match byte {
            b'#' | b'~' => position == 0,
            b'{' | b'}' => name.len() == 1,
            b':' => before_colon,
            _ => b" !\"$&()*;<=>?[^`|'".contains(&byte),
        };
        if elide && (escape.is_some() || is_special) {
            return None;
        }
        is_fit_for_double &= escape.is_none() && !b"!\"#$&()*;<=>?[^`|\\{}~".contains(&byte);
        match escape {
            Some(escape) => {
                quoted.push_str(if is_escaped { "\\" } else { "'$'\\" });
                quoted.push_str(&escape);
                is_escaped = true;
            }
            None => {
                // A quote closes what was escaped by itself.
                if std::mem::take(&mut is_escaped) && byte != b'\'' {
                    quoted.push_str("''");
                }
                match byte {
                    b'\'' => quoted.push_str("'\\''"),
                    _ => quoted.push(byte as char),
                }
            }
        }
        has_quote |= byte == b'\'';
    }
    match elide {
        true if name.is_empty() => None,
        true => Some(quoted),
        false if has_quote && is_fit_for_double => Some(format!("\"{}\"", String::from_utf8_lossy(name))),
        false => Some(format!("'{quoted}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_coreutils_does() {
        // What `ls: cannot access` prints of names that are not there.
        for (name, text) in [
            (&b"a"[..], "'a'"),
            (b"", "''"),
            (b"a b", "'a b'"),
            (b"it's", "\"it's\""),
            (b"it's $x", "'it'\\''s $x'"),
            (b"a\nb", "'a'$'\\n''b'"),
            (b"\n\x01b", "''$'\\n\\001''b'"),
            (b"\xc3\xa9", "''$'\\303\\251'"),
            (b"a\n'b", "'a'$'\\n'\\''b'"),
            (b"\\", "'\\'"),
        ] {
            assert_eq!(always(name), text);
        }
        assert_eq!(if_needed(b"a:b", false), "a:b");
        assert_eq!(if_needed(b"a:b", true), "'a:b'");
        assert_eq!(if_needed(b"a~#{}", false), "a~#{}");
        assert_eq!(if_needed(b"~", false), "'~'");
        assert_eq!(word(b"it's\n"), "'it\\'s\\n'");
    }
}
