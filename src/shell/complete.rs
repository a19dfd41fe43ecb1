//! What a word that is being typed could go on as: commands in front, names elsewhere.

use super::help::COMMANDS;
use super::job::Job;
use crate::overlay::mount::FileType;

/// How many candidates are told.
const LIMIT: usize = 1000;

/// What could stand in place of a part of the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The bytes of the line that are replaced, from and to.
    pub from: usize,
    /// The cursor.
    pub to: usize,
    /// What could stand there, as it would be typed, in order; a directory ends in a slash, all else in a space
    /// that only the sole candidate needs.
    pub candidates: Vec<Vec<u8>>,
}

/// The last word of a line that is not finished.
struct Unfinished {
    start: usize,
    /// Without its quotes.
    text: Vec<u8>,
    quote: Option<u8>,
    is_command: bool,
}

pub(super) fn complete(job: &mut Job<'_>, line: &[u8]) -> Completion {
    let word = last_word(line);
    let mut found = Completion {
        from: word.start,
        to: line.len(),
        candidates: Vec::new(),
    };
    let before = words_before(&line[..word.start]);
    if let Some((name, _)) = before.split_first()
        && job.has_program(name)
        && let Some(candidates) = job.complete_program(&before, &word.text)
    {
        let typed = candidates.iter().map(|text| typed(text, word.quote, false));
        found.candidates = typed.take(LIMIT).collect();
        return found;
    }
    if before.is_empty() && word.is_command | job.has_programs() && !word.text.contains(&b'/') {
        let programs = job.programs().iter().map(|name| name.as_bytes());
        let names = COMMANDS
            .iter()
            .map(|command| command.name.as_bytes())
            .chain(programs);
        let fitting = names.filter(|name| name.starts_with(&word.text));
        found.candidates = fitting.map(|name| [name, b" "].concat()).collect();
        found.candidates.sort();
        return found;
    }
    let split = word
        .text
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |at| at + 1);
    let (directory, start) = word.text.split_at(split);
    let listed = match directory {
        b"" => job.names(b"."),
        directory => job.names(directory),
    };
    let mut names = listed.unwrap_or_default();
    names.retain(|name| name.starts_with(start) && (!name.starts_with(b".") || start.starts_with(b".")));
    names.sort();
    for name in names.iter().take(LIMIT) {
        let path = [directory, name].concat();
        let is_directory = job
            .stat(&path, true)
            .is_ok_and(|stat| stat.file_type == FileType::Directory);
        found.candidates.push(typed(&path, word.quote, is_directory));
    }
    found
}

/// The finished words of the command that is typed, but for `sudo` in front. Quotes part no words here.
fn words_before(line: &[u8]) -> Vec<Vec<u8>> {
    let begin = line.iter().rposition(|byte| b";&|\n".contains(byte));
    let line = &line[begin.map_or(0, |at| at + 1)..];
    let words = line.split(|byte| b" \t".contains(byte));
    let words = words.filter(|word| !word.is_empty()).map(|word| {
        let unquoted = word.iter().filter(|byte| !b"'\"".contains(byte));
        unquoted.copied().collect::<Vec<u8>>()
    });
    words.skip_while(|word| word == b"sudo").collect()
}

/// The word at the end of a line, read as the shell would, as far as that goes.
fn last_word(line: &[u8]) -> Unfinished {
    let mut word = Unfinished {
        start: line.len(),
        text: Vec::new(),
        quote: None,
        is_command: true,
    };
    let mut is_inside = false;
    let mut position = 0;
    while position < line.len() {
        let byte = line[position];
        match (word.quote, byte) {
            (Some(quote), byte) if byte == quote => word.quote = None,
            (Some(b'\''), byte) => word.text.push(byte),
            (_, b'\\') => {
                if !is_inside {
                    (is_inside, word.start) = (true, position);
                }
                position += 1;
                word.text.extend(line.get(position));
            }
            (Some(_), byte) => word.text.push(byte),
            (None, b' ' | b'\t') => {
                if is_inside {
                    word.is_command = false;
                }
                is_inside = false;
            }
            (None, b';' | b'&' | b'|' | b'\n') => {
                is_inside = false;
                word.is_command = true;
            }
            (None, b'>' | b'<') => {
                is_inside = false;
                word.is_command = false;
            }
            (None, byte) => {
                if !is_inside {
                    (is_inside, word.start) = (true, position);
                    word.text.clear();
                }
                match byte {
                    b'\'' | b'"' => word.quote = Some(byte),
                    b'$' if line[position..].starts_with(b"$'") => {
                        let left = dollar_quoted(&line[position + 2..], &mut word.text);
                        position = line.len() - left - 1;
                    }
                    byte => word.text.push(byte),
                }
            }
        }
        position += 1;
        if !is_inside {
            word.text.clear();
            word.start = position;
        }
    }
    word
}

/// What stands after `$'`, up to the quote; how many bytes follow it.
fn dollar_quoted(mut rest: &[u8], text: &mut Vec<u8>) -> usize {
    loop {
        match rest {
            [] => return 0,
            [b'\'', after @ ..] => return after.len(),
            [b'\\', ..] => {
                let (bytes, after) = super::words::escape_sequence(rest, false);
                text.extend(bytes);
                rest = after;
            }
            [byte, after @ ..] => {
                text.push(*byte);
                rest = after;
            }
        }
    }
}

/// A path as one would type it, in the quotes that were begun; bytes that no key types by their numbers.
fn typed(path: &[u8], quote: Option<u8>, is_directory: bool) -> Vec<u8> {
    let mut text: Vec<u8> = quote.into_iter().collect();
    for chunk in path.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            match quote {
                _ if byte.is_ascii_control() => by_number(&mut text, quote, byte),
                Some(b'\'') if byte == b'\'' => text.extend(b"'\\''"),
                Some(b'"') if b"\"$`\\".contains(&byte) => text.extend([b'\\', byte]),
                Some(_) => text.push(byte),
                None if b" \t\\'\"`$&|;<>()*?[]#~!{}".contains(&byte) => text.extend([b'\\', byte]),
                None => text.push(byte),
            }
        }
        for &byte in chunk.invalid() {
            by_number(&mut text, quote, byte);
        }
    }
    if is_directory {
        text.push(b'/');
        return text;
    }
    text.extend(quote);
    text.push(b' ');
    text
}

/// A byte as `$'\xNN'`, between the quotes that are open.
fn by_number(text: &mut Vec<u8>, quote: Option<u8>, byte: u8) {
    text.extend(quote);
    text.extend(format!("$'\\x{byte:02x}'").bytes());
    text.extend(quote);
}

#[cfg(test)]
mod tests {
    use crate::content::Content;
    use crate::overlay::mount::{Caller, Lower, Marks, Options, Overlay, Upper};
    use crate::shell::{MountInfo, Shell};
    use crate::tree::{Directory, Metadata, Node, Time, Tree, TreePath};

    fn complete(line: &str) -> (usize, Vec<String>) {
        let metadata = || Metadata::new(0o755, 0, 0, Time::at(1));
        let mut tree = Tree::new(metadata(), 0);
        let empty = || Node::File(Content::inline(*b""));
        for (path, node) in [
            ("/data", Node::Directory(Directory::default())),
            ("/data/config.txt", empty()),
            ("/data/.hidden", empty()),
            ("/data/a b", empty()),
            ("/data/l\\xe9s", empty()),
            ("/date", empty()),
        ] {
            tree.make(&TreePath::parse(path).unwrap(), node, metadata())
                .unwrap();
        }
        let upper = Upper::from_layer(
            &Tree::new(metadata(), 0),
            Marks::of(Options::default()),
            Time::at(1),
        );
        let mut overlay = Overlay::mount(
            vec![Lower::new(tree)],
            Some(upper),
            Options::default(),
            Time::at(1),
        )
        .unwrap();
        let mut shell = Shell::new(MountInfo::default());
        let caller = Caller::root(Time::at(2));
        let found = shell.complete(&mut overlay, caller, line.as_bytes(), line.len());
        assert_eq!(found.to, line.len());
        let texts = found.candidates.into_iter();
        (
            found.from,
            texts.map(|text| String::from_utf8(text).unwrap()).collect(),
        )
    }

    #[test]
    fn words_go_on() {
        for (line, from, candidates) in [
            ("mkd", 0, &["mkdir "][..]),
            ("ls; wh", 4, &["whoami "]),
            ("ls da", 3, &["data/", "date "]),
            ("cat /data/c", 4, &["/data/config.txt "]),
            (
                "cat data/",
                4,
                &["data/a\\ b ", "data/config.txt ", "data/l$'\\xe9's "],
            ),
            ("cat data/l$'\\xe9'", 4, &["data/l$'\\xe9's "]),
            ("cat data/l$'\\x", 4, &[]),
            ("cat 'data/l", 4, &["'data/l'$'\\xe9''s' "]),
            ("cat data/.", 4, &["data/.hidden "]),
            ("cat data/a\\ ", 4, &["data/a\\ b "]),
            ("cat 'data/a ", 4, &["'data/a b' "]),
            ("cat \"dat", 4, &["\"data/", "\"date\" "]),
            ("echo x > dat", 9, &["data/", "date "]),
            ("cat nothing", 4, &[]),
            ("cat x ", 6, &["data/", "date "]),
            ("/da", 0, &["/data/", "/date "]),
        ] {
            let expected = candidates.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(complete(line), (from, expected), "{line}");
        }
    }
}
