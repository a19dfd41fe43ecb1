//! A line as words.

use crate::text::unescape;

/// The words of a line, as bytes: apart by spaces, or in double quotes; `#` at the beginning of a word ends the
/// line. The error says what is wrong.
pub fn words(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '#' {
            break;
        }
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_word(quoted)?,
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        words.push(unescape(&word).map_err(|error| error.to_string())?);
        rest = after.trim_start();
    }
    Ok(words)
}

/// A word up to its closing quote, with `\n` and `\"` as what they stand for, and what follows it.
fn quoted_word(text: &str) -> Result<(String, &str), String> {
    let mut word = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let after = &text[at + 1..];
                return match after.chars().next() {
                    Some(next) if !next.is_whitespace() => {
                        Err("a space must follow a closing quote".to_owned())
                    }
                    _ => Ok((word, after)),
                };
            }
            '\\' => match chars.next() {
                Some((_, 'n')) => word.push('\n'),
                Some((_, '"')) => word.push('"'),
                Some((_, next)) => word.extend(['\\', next]),
                None => return Err("a closing quote is missing".to_owned()),
            },
            c => word.push(c),
        }
    }
    Err("a closing quote is missing".to_owned())
}

/// A word as it stands in a script.
pub(super) fn quote(word: &[u8]) -> String {
    let text = crate::text::escape(word);
    let is_plain = |c: char| !c.is_whitespace() && c != '"';
    match !text.is_empty() && text.chars().all(is_plain) && !text.starts_with('#') {
        true => text,
        false => format!("\"{}\"", text.replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_as_they_were_written() {
        for word in [
            &b"a"[..],
            b"",
            b"a b",
            b"\"",
            b"#a",
            b"\\",
            b"\xff\n",
            "ü \t".as_bytes(),
            b"a\"b c\\d",
        ] {
            let line = format!("  x {} y # remark", quote(word));
            assert_eq!(words(&line).unwrap(), [b"x", word, b"y"], "{line}");
        }
        assert_eq!(words(r#""a\nb""#).unwrap(), [b"a\nb"]);
        for line in ["\"a", "\"a\"b", "\\", "\"a\\"] {
            assert!(words(line).is_err(), "{line}");
        }
    }
}
