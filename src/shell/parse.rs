//! From a line to commands: words with their quotes understood, how commands are joined, and redirections.

use super::inside::not_known;

/// How a command follows the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    /// `;`
    Always,
    /// `&&`
    IfFine,
    /// `||`
    IfFailed,
}

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A byte; only plain ones make patterns.
    Byte {
        byte: u8,
        is_quoted: bool,
    },
    Variable(Variable),
    /// Quotes with nothing in them: the word is there, and empty.
    Nothing,
}

/// What a shell without variables of its own knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// `$?`
    Status,
    /// `$PWD`
    Cwd,
    /// `$HOME` and `~`
    Home,
    /// Of a process: one of its environment, or an argument by its number.
    Named { name: Vec<u8>, is_quoted: bool },
}

pub(super) type Word = Vec<Part>;

/// Where output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// `>` and `>>`, `2>` and `2>>`, `&>`.
    File {
        streams: &'static [usize],
        append: bool,
        target: Word,
    },
    /// `2>&1` and `>&2`.
    Same { stream: usize, other: usize },
}

/// One command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Simple {
    pub words: Vec<Word>,
    pub redirects: Vec<Redirect>,
}

/// A line that is no list of commands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseError {
    /// A quote without its end.
    #[error("unexpected EOF while looking for matching `{quote}'")]
    Unclosed { quote: char },
    /// An operator where a command or a word should be.
    #[error("syntax error near unexpected token `{token}'")]
    Unexpected { token: String },
    /// Nothing after `&&` or `||`.
    #[error("syntax error: unexpected end of file")]
    Unfinished,
    /// What a shell could do, and this one does not.
    #[error("{what} not supported here: {instead}")]
    NotSupported {
        what: &'static str,
        instead: &'static str,
    },
    /// A reserved word, or an assignment: what stands between them would be run as if they were not there.
    #[error("`{word}` is not known here, so nothing of the line is run")]
    NotKnown { word: String },
    #[error("${name}: only $?, $PWD and $HOME are known here")]
    UnknownVariable { name: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(Word),
    Operator(&'static str),
}

/// Operators, the longer ones first.
const OPERATORS: &[&str] = &[
    "&>>", "2>&1", "1>&2", ">&2", "2>>", "1>>", "&&", "||", ";;", "&>", ">>", "2>", "1>", "<<", ";", "|",
    "&", ">", "<", "(", ")", "\n",
];

/// The commands of a line in a shell that knows no variables but its own.
pub(super) fn parse(line: &[u8]) -> Result<List, ParseError> {
    let list = parse_inside(line)?;
    if let Some(word) = list.iter().find_map(|(_, simple)| not_known(simple)) {
        return Err(ParseError::NotKnown { word });
    }
    let mut words = list.iter().flat_map(|(_, simple)| {
        let targets = simple.redirects.iter().filter_map(|redirect| match redirect {
            Redirect::File { target, .. } => Some(target),
            Redirect::Same { .. } => None,
        });
        simple.words.iter().chain(targets)
    });
    let named = words.find_map(|word| {
        word.iter().find_map(|part| match part {
            Part::Variable(Variable::Named { name, .. }) => Some(name),
            _ => None,
        })
    });
    match named {
        Some(name) => Err(ParseError::UnknownVariable {
            name: crate::text::escape(name),
        }),
        None => Ok(list),
    }
}

/// The commands of a line, each with how it follows the one before.
pub(super) type List = Vec<(Joint, Simple)>;

/// The commands of a line in a shell with an environment.
pub(super) fn parse_inside(line: &[u8]) -> Result<List, ParseError> {
    let tokens = tokens(line)?;
    let mut list = Vec::new();
    let mut simple = Simple::default();
    let mut joint = Joint::Always;
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        let operator = match token {
            Token::Word(word) => {
                simple.words.push(word);
                continue;
            }
            Token::Operator(operator) => operator,
        };
        let next = match operator {
            ";" | "\n" => Joint::Always,
            "&&" => Joint::IfFine,
            "||" => Joint::IfFailed,
            _ => {
                let target = match rest.peek() {
                    Some(Token::Word(word)) if is_redirect(operator) => Some(word.clone()),
                    _ => None,
                };
                let next = rest.peek().cloned();
                simple
                    .redirects
                    .push(redirect(operator, target.as_ref(), next.as_ref())?);
                if target.is_some() {
                    rest.next();
                }
                continue;
            }
        };
        let is_empty = simple == Simple::default();
        if is_empty && operator == "\n" {
            continue;
        }
        if is_empty {
            return Err(unexpected(operator));
        }
        list.push((joint, std::mem::take(&mut simple)));
        joint = next;
    }
    match (simple == Simple::default(), joint) {
        (true, Joint::Always) => Ok(list),
        (true, _) => Err(ParseError::Unfinished),
        (false, _) => {
            list.push((joint, simple));
            Ok(list)
        }
    }
}

fn unexpected(operator: &str) -> ParseError {
    let token = if operator == "\n" { "newline" } else { operator };
    ParseError::Unexpected {
        token: token.to_owned(),
    }
}

fn is_redirect(operator: &str) -> bool {
    operator.contains('>') && !operator.contains("&1") && !operator.contains("&2")
}

fn redirect(operator: &str, target: Option<&Word>, next: Option<&Token>) -> Result<Redirect, ParseError> {
    let not_supported = |what, instead| Err(ParseError::NotSupported { what, instead });
    match operator {
        "2>&1" => return Ok(Redirect::Same { stream: 2, other: 1 }),
        "1>&2" | ">&2" => return Ok(Redirect::Same { stream: 1, other: 2 }),
        "|" => return not_supported("pipes are", "write to a file with > and read that"),
        "&" => return not_supported("jobs are", "commands run one after another, with ; or &&"),
        "<" | "<<" => return not_supported("input is", "give the file as an argument"),
        "(" => return not_supported("subshells are", "commands stand alone"),
        ")" | ";;" => return Err(unexpected(operator)),
        _ => {}
    }
    let Some(target) = target else {
        return Err(match next {
            Some(Token::Operator(operator)) => unexpected(operator),
            _ => unexpected("\n"),
        });
    };
    Ok(Redirect::File {
        streams: match operator.as_bytes()[0] {
            b'2' => &[2],
            b'&' => &[1, 2],
            _ => &[1],
        },
        append: operator.ends_with(">>"),
        target: target.clone(),
    })
}

fn tokens(line: &[u8]) -> Result<Vec<Token>, ParseError> {
    let mut tokens = Vec::new();
    let mut rest = line;
    while let Some(&first) = rest.first() {
        match first {
            b' ' | b'\t' | b'\r' => rest = &rest[1..],
            b'#' => {
                let end = rest.iter().position(|&byte| byte == b'\n');
                rest = &rest[end.unwrap_or(rest.len())..];
            }
            b'\\' if rest.get(1) == Some(&b'\n') => rest = &rest[2..],
            _ => match OPERATORS.iter().find(|o| rest.starts_with(o.as_bytes())) {
                Some(operator) => {
                    tokens.push(Token::Operator(operator));
                    rest = &rest[operator.len()..];
                }
                None => {
                    let (word, after) = word(rest)?;
                    tokens.push(Token::Word(word));
                    rest = after;
                }
            },
        }
    }
    Ok(tokens)
}

/// One word, and what follows it.
fn word(mut rest: &[u8]) -> Result<(Word, &[u8]), ParseError> {
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
            b'"' => rest = double_quoted(&rest[1..], &mut word)?,
            b'`' => return Err(SUBSTITUTION),
            b'$' if rest.get(1) == Some(&b'\'') => rest = dollar_quoted(&rest[2..], &mut word)?,
            b'$' => rest = variable(rest, &mut word, false)?,
            b'~' if word.is_empty() && is_home(rest) => {
                word.push(Part::Variable(Variable::Home));
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

const SUBSTITUTION: ParseError = ParseError::NotSupported {
    what: "command substitution is",
    instead: "commands stand alone",
};

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
fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Word) -> Result<&'a [u8], ParseError> {
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
            [b'`', ..] => return Err(SUBSTITUTION),
            [b'$', ..] => rest = variable(rest, word, true)?,
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

fn variable<'a>(rest: &'a [u8], word: &mut Word, is_quoted: bool) -> Result<&'a [u8], ParseError> {
    let after = &rest[1..];
    if after.starts_with(b"(") {
        return Err(SUBSTITUTION);
    }
    if let Some(after) = after.strip_prefix(b"?") {
        word.push(Part::Variable(Variable::Status));
        return Ok(after);
    }
    let (name, after) = match after.strip_prefix(b"{") {
        Some(inner) => {
            let end = inner.iter().position(|&byte| byte == b'}');
            let end = end.ok_or(ParseError::Unclosed { quote: '}' })?;
            (&inner[..end], &inner[end + 1..])
        }
        None if after.first().is_some_and(|byte| byte.is_ascii_digit()) => after.split_at(1),
        None => {
            let end = after
                .iter()
                .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
            after.split_at(end.unwrap_or(after.len()))
        }
    };
    match name {
        b"" => word.push(quoted(b'$')),
        b"PWD" => word.push(Part::Variable(Variable::Cwd)),
        b"HOME" => word.push(Part::Variable(Variable::Home)),
        b"?" => word.push(Part::Variable(Variable::Status)),
        name if name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') =>
        {
            word.push(Part::Variable(Variable::Named {
                name: name.to_vec(),
                is_quoted,
            }));
        }
        _ => {
            return Err(ParseError::UnknownVariable {
                name: crate::text::escape(name),
            });
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(word: &Word) -> String {
        let text = word.iter().map(|part| match part {
            Part::Byte { byte, is_quoted } => match is_quoted {
                true => format!("'{}'", *byte as char),
                false => (*byte as char).to_string(),
            },
            Part::Variable(variable) => format!("<{variable:?}>"),
            Part::Nothing => "_".to_owned(),
        });
        text.collect()
    }

    fn words(line: &str) -> Vec<String> {
        let list = parse(line.as_bytes()).unwrap();
        list[0].1.words.iter().map(plain).collect()
    }

    #[test]
    fn words_know_what_was_quoted() {
        assert_eq!(
            words("a 'b*' \"c\\\"d\" e\\ f"),
            ["a", "_'b''*'", "_'c''\"''d'", "e' 'f"]
        );
        assert_eq!(
            words("'' \"$?\"x ~/a a~ $PWD"),
            ["_", "_<Status>x", "<Home>/a", "a~", "<Cwd>"]
        );
        assert_eq!(words("$'a\\n' # no more"), ["_'a''\n'"]);
        assert_eq!(words("a#b \\# \\\n c"), ["a#b", "'#'", "c"]);
    }

    #[test]
    fn commands_are_joined() {
        let list = parse(b"a; b && c || d\n\ne;").unwrap();
        let joints: Vec<Joint> = list.iter().map(|(joint, _)| *joint).collect();
        use Joint::{Always, IfFailed, IfFine};
        assert_eq!(joints, [Always, Always, IfFine, IfFailed, Always]);
    }

    #[test]
    fn redirections_are_no_words() {
        let list = parse(b"echo a>x 2>>y 2>&1 file2>z").unwrap();
        let simple = &list[0].1;
        assert_eq!(
            simple.words.iter().map(plain).collect::<Vec<_>>(),
            ["echo", "a", "file2"]
        );
        let kinds = simple.redirects.iter().map(|redirect| match redirect {
            Redirect::File {
                streams,
                append,
                target,
            } => format!("{streams:?} {append} {}", plain(target)),
            Redirect::Same { stream, other } => format!("{stream} as {other}"),
        });
        assert_eq!(
            kinds.collect::<Vec<_>>(),
            ["[1] false x", "[2] true y", "2 as 1", "[1] false z"]
        );
    }

    #[test]
    fn what_is_no_list_says_so() {
        for (line, text) in [
            ("echo 'a", "unexpected EOF while looking for matching `''"),
            ("echo \"a", "unexpected EOF while looking for matching `\"'"),
            ("; a", "syntax error near unexpected token `;'"),
            ("a &&", "syntax error: unexpected end of file"),
            ("a && || b", "syntax error near unexpected token `||'"),
            ("a >", "syntax error near unexpected token `newline'"),
            ("a > ; b", "syntax error near unexpected token `;'"),
            ("(a)", "subshells are not supported here: commands stand alone"),
            ("a )", "syntax error near unexpected token `)'"),
            (
                "a | b",
                "pipes are not supported here: write to a file with > and read that",
            ),
            (
                "a $(b)",
                "command substitution is not supported here: commands stand alone",
            ),
            (
                "a \"`b`\"",
                "command substitution is not supported here: commands stand alone",
            ),
            (
                "if false\nthen\nrm x\nfi",
                "`if` is not known here, so nothing of the line is run",
            ),
            ("a; X=1", "`X=` is not known here, so nothing of the line is run"),
            ("a $X", "$X: only $?, $PWD and $HOME are known here"),
        ] {
            assert_eq!(parse(line.as_bytes()).unwrap_err().to_string(), text, "{line}");
        }
        assert_eq!(parse(b" \n # nothing").unwrap(), []);
    }
}
