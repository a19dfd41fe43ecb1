//! Patterns: words become the names that match them, or stay as they were typed (glob(7), as bash does it).

use super::job::{Job, join};
use super::lex::{Part, Variable, Word};

/// How many names the words of one command may become.
const LIMIT: usize = 100_000;

/// A byte of a pattern, and whether it can stand for more than itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glyph {
    pub byte: u8,
    pub is_plain: bool,
}

/// How many bytes the words of one command may have, as execve(2) takes them.
pub(super) const WORDS_LIMIT: usize = 2 << 20;

/// The words that one word becomes.
pub(super) fn expand(job: &mut Job<'_>, word: &Word) -> Result<Vec<Vec<u8>>, String> {
    let mut words = Vec::new();
    for glyphs in fields(job, word)? {
        let found = match has_pattern(&glyphs) {
            true => matches(job, &glyphs)?,
            false => Vec::new(),
        };
        match found.is_empty() {
            true => words.push(bytes(&glyphs)),
            false => words.extend(found),
        }
        if words.len() > LIMIT {
            return Err(format!("more than {LIMIT} words"));
        }
    }
    Ok(words)
}

/// The one word that the value of an assignment becomes: neither split nor matched with names.
pub(super) fn expand_whole(job: &mut Job<'_>, word: &Word) -> Result<Vec<u8>, String> {
    let mut value = Vec::new();
    for part in word {
        match part {
            Part::Nothing => {}
            Part::Byte { byte, .. } => value.push(*byte),
            part => value.extend(expansion(job, part)?),
        }
        if value.len() > WORDS_LIMIT {
            return Err(format!("a value of more than {WORDS_LIMIT} bytes"));
        }
    }
    Ok(value)
}

fn bytes(glyphs: &[Glyph]) -> Vec<u8> {
    glyphs.iter().map(|glyph| glyph.byte).collect()
}

/// What a word becomes before names are matched: what is not quoted is split at blanks, where it was expanded.
fn fields(job: &mut Job<'_>, word: &Word) -> Result<Vec<Vec<Glyph>>, String> {
    let mut fields = Vec::new();
    let mut field: Option<Vec<Glyph>> = None;
    let mut length = 0;
    for part in word {
        match part {
            Part::Nothing => drop(field.get_or_insert_default()),
            Part::Byte { byte, is_quoted } => field.get_or_insert_default().push(Glyph {
                byte: *byte,
                is_plain: !is_quoted,
            }),
            Part::Variable { is_quoted, .. } | Part::Substitution { is_quoted, .. } => {
                let value = expansion(job, part)?;
                length += value.len();
                if length > WORDS_LIMIT {
                    return Err("Argument list too long".to_owned());
                }
                for byte in value {
                    if !is_quoted && b" \t\n".contains(&byte) {
                        fields.extend(field.take());
                    } else {
                        let is_plain = !is_quoted;
                        field.get_or_insert_default().push(Glyph { byte, is_plain });
                    }
                }
            }
        }
    }
    fields.extend(field);
    Ok(fields)
}

/// What stands for a variable or a substitution.
fn expansion(job: &mut Job<'_>, part: &Part) -> Result<Vec<u8>, String> {
    match part {
        Part::Nothing => Ok(Vec::new()),
        Part::Byte { byte, .. } => Ok(vec![*byte]),
        Part::Substitution { list, .. } => super::run::substitution(job, list),
        Part::Variable { variable, .. } => match super::inside::value(job, variable) {
            Some(value) => Ok(value),
            // A container's shell goes on with nothing, as it would; who types here has mistyped.
            None if job.kind().is_some() => Ok(Vec::new()),
            None => {
                job.exits = Some(1);
                let Variable::Named(name) = variable else {
                    return Ok(Vec::new());
                };
                Err(format!("{}: unbound variable", String::from_utf8_lossy(name)))
            }
        },
    }
}

fn has_pattern(glyphs: &[Glyph]) -> bool {
    glyphs
        .iter()
        .any(|glyph| glyph.is_plain && b"*?[".contains(&glyph.byte))
}

/// All paths that match, in the order of their bytes.
fn matches(job: &mut Job<'_>, glyphs: &[Glyph]) -> Result<Vec<Vec<u8>>, String> {
    let components: Vec<&[Glyph]> = glyphs.split(|glyph| glyph.byte == b'/').collect();
    let mut found = vec![Vec::new()];
    for (position, component) in components.iter().enumerate() {
        let mut next = Vec::new();
        for directory in &found {
            // The slash before every component but the first stands as it was typed.
            let prefix = match position {
                0 => Vec::new(),
                _ => [directory, &b"/"[..]].concat(),
            };
            if !has_pattern(component) {
                let name: Vec<u8> = component.iter().map(|glyph| glyph.byte).collect();
                next.push([prefix, name].concat());
                continue;
            }
            let listed = match &prefix[..] {
                b"" => job.names(b"."),
                prefix => job.names(prefix),
            };
            let names = listed.unwrap_or_default();
            let fitting = names.iter().filter(|name| is_shown(component, name));
            next.extend(fitting.map(|name| join(&prefix, name)));
            if next.len() > LIMIT {
                return Err(format!("a pattern matches more than {LIMIT} names"));
            }
        }
        found = next;
    }
    // What was not listed may not be there.
    let is_listed = components.last().is_some_and(|last| has_pattern(last));
    if !is_listed {
        found.retain(|path| job.stat(path, path.ends_with(b"/")).is_ok());
    }
    found.sort();
    Ok(found)
}

/// Whether a pattern gives a name: hidden ones only if it begins with a dot itself.
fn is_shown(pattern: &[Glyph], name: &[u8]) -> bool {
    let is_asked = pattern.first().is_some_and(|glyph| glyph.byte == b'.');
    (is_asked || !name.starts_with(b".")) && fits(pattern, name)
}

/// Whether a pattern of plain bytes fits a name: `find -name`.
pub(super) fn fits_bytes(pattern: &[u8], name: &[u8]) -> bool {
    let mut glyphs = Vec::new();
    let mut rest = pattern.iter();
    while let Some(&byte) = rest.next() {
        let (byte, is_plain) = match byte {
            b'\\' => (rest.next().copied().unwrap_or(b'\\'), false),
            _ => (byte, true),
        };
        glyphs.push(Glyph { byte, is_plain });
    }
    fits(&glyphs, name)
}

/// Whether a pattern fits a whole name. A star that fails is tried again one byte further: at most as many steps
/// as the product of the lengths.
fn fits(pattern: &[Glyph], name: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while position < name.len() {
        let step = match pattern.get(at) {
            Some(glyph) if glyph.is_plain && glyph.byte == b'*' => {
                star = Some((at, position));
                at += 1;
                continue;
            }
            Some(_) => fits_one(&pattern[at..], name[position]),
            None => None,
        };
        match (step, star) {
            (Some(length), _) => {
                at += length;
                position += 1;
            }
            (None, Some((star_at, from))) => {
                star = Some((star_at, from + 1));
                at = star_at + 1;
                position = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[at..]
        .iter()
        .all(|glyph| glyph.is_plain && glyph.byte == b'*')
}

/// How much of the pattern's beginning stands for this byte, if it does.
fn fits_one(pattern: &[Glyph], byte: u8) -> Option<usize> {
    let first = pattern[0];
    if first.is_plain && first.byte == b'?' {
        return Some(1);
    }
    if first.is_plain
        && first.byte == b'['
        && let Some((length, is_in)) = bracket(pattern, byte)
    {
        return is_in.then_some(length);
    }
    (first.byte == byte).then_some(1)
}

/// A bracket expression: its length, and whether it holds the byte. Nothing if it does not end.
fn bracket(pattern: &[Glyph], byte: u8) -> Option<(usize, bool)> {
    let is_negated = matches!(pattern.get(1), Some(glyph) if glyph.is_plain && b"!^".contains(&glyph.byte));
    let start = 1 + usize::from(is_negated);
    let mut at = start;
    let mut is_in = false;
    loop {
        let glyph = pattern.get(at)?;
        if glyph.byte == b']' && glyph.is_plain && at > start {
            return Some((at + 1, is_in != is_negated));
        }
        if let Some((length, class)) = class(&pattern[at..]) {
            is_in |= class(&byte);
            at += length;
            continue;
        }
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(dash), Some(end)) if dash.byte == b'-' && dash.is_plain && end.byte != b']' => {
                is_in |= (glyph.byte..=end.byte).contains(&byte);
                at += 3;
            }
            _ => {
                is_in |= glyph.byte == byte;
                at += 1;
            }
        }
    }
}

type Class = fn(&u8) -> bool;

/// A class, as `[:digit:]`, and its length.
fn class(pattern: &[Glyph]) -> Option<(usize, Class)> {
    let classes: [(&[u8], Class); 6] = [
        (b"[:alpha:]", u8::is_ascii_alphabetic),
        (b"[:digit:]", u8::is_ascii_digit),
        (b"[:alnum:]", u8::is_ascii_alphanumeric),
        (b"[:upper:]", u8::is_ascii_uppercase),
        (b"[:lower:]", u8::is_ascii_lowercase),
        (b"[:space:]", u8::is_ascii_whitespace),
    ];
    let begins = |name: &[u8]| {
        name.len() <= pattern.len() && name.iter().zip(pattern).all(|(byte, glyph)| *byte == glyph.byte)
    };
    let found = classes.into_iter().find(|(name, _)| begins(name));
    found.map(|(name, class)| (name.len(), class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names() {
        for (pattern, name, is_fit) in [
            ("*", "", true),
            ("a*", "a", true),
            ("*.txt", "hello.txt", true),
            ("*.txt", "hello.txt~", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "", false),
            ("?b", "ab", true),
            ("[abc]", "b", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]", "b", false),
            ("[^a-c]", "d", true),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("[[:digit:]x]*", "7up", true),
            ("[a-]", "-", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("***a", "bba", true),
        ] {
            assert_eq!(
                fits_bytes(pattern.as_bytes(), name.as_bytes()),
                is_fit,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn many_stars_come_to_an_end() {
        let pattern = b"*a".repeat(100);
        assert!(!fits_bytes(&pattern, &[b'a'; 99]));
        assert!(fits_bytes(&pattern, &[b'a'; 100]));
    }

    #[test]
    fn hidden_names_are_asked_for() {
        let star = [Glyph {
            byte: b'*',
            is_plain: true,
        }];
        assert!(!is_shown(&star, b".a"));
        let dot = [
            Glyph {
                byte: b'.',
                is_plain: true,
            },
            star[0],
        ];
        assert!(is_shown(&dot, b".a"));
    }
}
