//! Words with their quotes understood, and the operators between them.

use super::parse::{List, ParseError, Parser};

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A byte; only plain ones make patterns.
    Byte { byte: u8, is_quoted: bool },
    /// What a variable holds; without quotes it is split at blanks and makes patterns.
    Variable { variable: Variable, is_quoted: bool },
    /// What commands print, without the new lines at the end.
    Substitution { list: List, is_quoted: bool },
    /// Quotes with nothing in them: the word is there, and empty.
    Nothing,
}

/// What stands for something else in a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// `$?`
    Status,
    /// `$PWD`
    Cwd,
    /// `$HOME` and `~`
    Home,
    /// One of the shell's, of the environment, or an argument by its number.
    Named(Vec<u8>),
}

pub(super) type Word = Vec<Part>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    Operator(&'static str),
}

/// Operators, the longer ones first.
const OPERATORS: &[&str] = &[
    "&>>", "2>&1", "1>&2", ">&2", "2>>", "1>>", "&&", "||", ";;", "&>", ">>", "2>", "1>", "<<", ";", "|",
    "&", ">", "<", "(", ")", "\n",
];

/// The next token of a text, and what follows it; none at its end. `depth` is how deep substitutions are already.
pub(super) fn token(mut rest: &[u8], depth: usize) -> Result<Option<(Token, &[u8])>, ParseError> {
    while let Some(&first) = rest.first() {
        match first {
            b' ' | b'\t' | b'\r' => rest = &rest[1..],
            b'#' => {
                let end = rest.iter().position(|&byte| byte == b'\n');
                rest = &rest[end.unwrap_or(rest.len())..];
            }
            b'\\' if rest.get(1) == Some(&b'\n') => rest = &rest[2..],
            _ => {
                if let Some(operator) = OPERATORS.iter().find(|o| rest.starts_with(o.as_bytes())) {
                    return Ok(Some((Token::Operator(operator), &rest[operator.len()..])));
                }
                let (word, after) = word(rest, depth)?;
                return Ok(Some((Token::Word(word), after)));
            }
        }
    }
    Ok(None)
}

/// The bytes of a word of which nothing is quoted and nothing expanded: only such a one is reserved.
pub(super) fn literal(word: &Word) -> Option<String> {
    let bytes: Option<Vec<u8>> = word
        .iter()
        .map(|part| match part {
            Part::Byte {
                byte,
                is_quoted: false,
            } => Some(*byte),
            _ => None,
        })
        .collect();
    String::from_utf8(bytes?).ok()
}

/// Whether a variable can be called so.
pub(super) fn is_name(name: &[u8]) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let mut rest = name.iter();
    rest.next().is_some_and(is_first) && rest.all(|byte| is_first(byte) || byte.is_ascii_digit())
}

/// `NAME=VALUE`, if a word is that.
pub(super) fn assignment(word: &Word) -> Option<(Vec<u8>, Word)> {
    let plain = |part: &Part| match part {
        Part::Byte {
            byte,
            is_quoted: false,
        } => Some(*byte),
        _ => None,
    };
    let end = word.iter().position(|part| plain(part) == Some(b'='))?;
    let name: Vec<u8> = word[..end].iter().map(plain).collect::<Option<_>>()?;
    let mut value = word[end + 1..].to_vec();
    // After the sign too, `~` is a home.
    let is_alone = value.get(1).is_none_or(|part| plain(part) == Some(b'/'));
    if value.first().and_then(plain) == Some(b'~') && is_alone {
        value[0] = Part::Variable {
            variable: Variable::Home,
            is_quoted: true,
        };
    }
    is_name(&name).then_some((name, value))
}

/// One word, and what follows it.
fn word(mut rest: &[u8], depth: usize) -> Result<(Word, &[u8]), ParseError> {
    let mut word = Word::new();
    while let Some(&first) = rest.first() {
        match first {
            b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => break,
            b'\\' => {
                match rest.get(1) {
                    Some(b'\n') => {}
                    Some(&byte) => word.push(quoted(byte)),
                    None => word.push(quoted(b'\\')),
                }
                rest = &rest[rest.len().min(2)..];
            }
            b'\'' => {
                let end = rest[1..].iter().position(|&byte| byte == b'\'');
                let end = end.ok_or(ParseError::Unclosed { quote: '\'' })?;
                word.push(Part::Nothing);
                word.extend(rest[1..=end].iter().map(|&byte| quoted(byte)));
                rest = &rest[end + 2..];
            }
            b'"' => rest = double_quoted(&rest[1..], &mut word, depth)?,
            b'`' => rest = backquoted(&rest[1..], &mut word, false, depth)?,
            b'$' if rest.get(1) == Some(&b'\'') => rest = dollar_quoted(&rest[2..], &mut word)?,
            b'$' => rest = variable(rest, &mut word, false, depth)?,
            b'~' if word.is_empty() && is_home(rest) => {
                word.push(Part::Variable {
                    variable: Variable::Home,
                    is_quoted: true,
                });
                rest = &rest[1..];
            }
            byte => {
                word.push(Part::Byte {
                    byte,
                    is_quoted: false,
                });
                rest = &rest[1..];
            }
        }
    }
    Ok((word, rest))
}

fn quoted(byte: u8) -> Part {
    Part::Byte {
        byte,
        is_quoted: true,
    }
}

fn is_home(rest: &[u8]) -> bool {
    matches!(
        rest.get(1),
        None | Some(b'/' | b' ' | b'\t' | b'\n' | b';' | b'&' | b'|')
    )
}

/// What follows the first double quote up to the second.
fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Word, depth: usize) -> Result<&'a [u8], ParseError> {
    word.push(Part::Nothing);
    loop {
        match rest {
            [] => return Err(ParseError::Unclosed { quote: '"' }),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'\n', after @ ..] => rest = after,
            [b'\\', byte @ (b'$' | b'`' | b'"' | b'\\'), after @ ..] => {
                word.push(quoted(*byte));
                rest = after;
            }
            [b'`', after @ ..] => rest = backquoted(after, word, true, depth)?,
            [b'$', ..] => rest = variable(rest, word, true, depth)?,
            [byte, after @ ..] => {
                word.push(quoted(*byte));
                rest = after;
            }
        }
    }
}

/// What follows `$'` up to the quote: the escapes of C.
fn dollar_quoted<'a>(mut rest: &'a [u8], word: &mut Word) -> Result<&'a [u8], ParseError> {
    word.push(Part::Nothing);
    loop {
        match rest {
            [] => return Err(ParseError::Unclosed { quote: '\'' }),
            [b'\'', after @ ..] => return Ok(after),
            [b'\\', ..] => {
                let (bytes, after) = super::words::escape_sequence(rest, false);
                word.extend(bytes.into_iter().map(quoted));
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(quoted(*byte));
                rest = after;
            }
        }
    }
}

/// What follows the first backquote up to the second: commands, in which a backslash stands before what it hides.
fn backquoted<'a>(
    rest: &'a [u8],
    word: &mut Word,
    is_quoted: bool,
    depth: usize,
) -> Result<&'a [u8], ParseError> {
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        match &rest[at..] {
            [] => return Err(ParseError::Unclosed { quote: '`' }),
            [b'`', ..] => break,
            [b'\\', byte @ (b'`' | b'\\' | b'$'), ..] => {
                text.push(*byte);
                at += 2;
            }
            [byte, ..] => {
                text.push(*byte);
                at += 1;
            }
        }
    }
    let mut parser = Parser::new(&text, depth + 1)?;
    let list = parser.all()?;
    word.push(Part::Substitution { list, is_quoted });
    Ok(&rest[at + 1..])
}

/// What begins with `$`.
fn variable<'a>(
    rest: &'a [u8],
    word: &mut Word,
    is_quoted: bool,
    depth: usize,
) -> Result<&'a [u8], ParseError> {
    let after = &rest[1..];
    if after.starts_with(b"((") {
        return Err(ParseError::NotSupported {
            what: "arithmetic is",
            instead: "nothing counts",
        });
    }
    if let Some(inner) = after.strip_prefix(b"(") {
        let mut parser = Parser::new(inner, depth + 1)?;
        let list = parser.up_to(")")?;
        word.push(Part::Substitution { list, is_quoted });
        return Ok(parser.rest());
    }
    let (name, after) = match after.strip_prefix(b"{") {
        Some(inner) => {
            let end = inner.iter().position(|&byte| byte == b'}');
            let end = end.ok_or(ParseError::Unclosed { quote: '}' })?;
            (&inner[..end], &inner[end + 1..])
        }
        None if after
            .first()
            .is_some_and(|byte| byte.is_ascii_digit() || *byte == b'?') =>
        {
            after.split_at(1)
        }
        None => {
            let is_end = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'_';
            after.split_at(after.iter().position(is_end).unwrap_or(after.len()))
        }
    };
    let is_number = !name.is_empty() && name.iter().all(u8::is_ascii_digit);
    let variable = match name {
        b"" => {
            word.push(quoted(b'$'));
            return Ok(after);
        }
        b"?" => Variable::Status,
        b"PWD" => Variable::Cwd,
        b"HOME" => Variable::Home,
        name if is_name(name) || is_number => Variable::Named(name.to_vec()),
        name => {
            return Err(ParseError::NotAName {
                name: crate::text::escape(name),
            });
        }
    };
    word.push(Part::Variable { variable, is_quoted });
    Ok(after)
}
