//! grep: lines that match.

use super::job::Job;
use super::option::{Args, Command, Run, flag, valued};
use super::read::input;
use super::regex::{Extent, Regex, Syntax};
use crate::content::{Content, WINDOW};
use crate::overlay::mount::Errno;

pub(super) const GREP: Command = Command {
    name: "grep",
    usage: "[OPTION]... PATTERNS [FILE]...",
    about: "Print the lines that match a pattern.",
    options: &[
        flag(
            'E',
            "extended-regexp",
            "a pattern is an extended expression: ( | ) + ? {n} without \\",
        ),
        flag('F', "fixed-strings", "a pattern is itself"),
        flag(
            'G',
            "basic-regexp",
            "a pattern is a basic expression, as without this",
        ),
        valued('e', "regexp", "PATTERNS", "one more pattern"),
        flag('i', "ignore-case", "capitals or not"),
        flag('v', "invert-match", "the lines that do not match"),
        flag('w', "word-regexp", "matches of whole words only"),
        flag('x', "line-regexp", "matches of whole lines only"),
        flag('c', "count", "count the lines"),
        flag('l', "files-with-matches", "names of files only"),
        flag('L', "files-without-match", "names of files without a match only"),
        valued('m', "max-count", "NUM", "end after so many lines"),
        flag('o', "only-matching", "the part that matches only"),
        flag('q', "quiet", "print nothing: the status tells"),
        flag('s', "no-messages", "do not complain of files"),
        flag('n', "line-number", "with numbers of lines"),
        flag('H', "with-filename", "with names of files"),
        flag('h', "no-filename", "without names of files"),
    ],
    run: Run::Parsed(grep),
    misuse: 2,
};

/// The longest line.
const LINE_LIMIT: usize = 16 << 20;
/// So much of a file tells whether it is text.
const LOOKED_AT: u64 = 32 << 10;
/// States that are tried for one unit of a line's work.
const STEPS: usize = 1 << 20;

struct Search<'a> {
    args: &'a Args,
    regex: Regex,
    most: u64,
    has_names: bool,
}

fn grep(job: &mut Job<'_>, mut args: Args) -> u8 {
    let mut patterns: Vec<Vec<u8>> = Vec::new();
    let given: Vec<Vec<u8>> = (args.options.iter())
        .filter(|(option, _)| *option == 'e')
        .map(|(_, value)| value.clone())
        .collect();
    let given = match (given.is_empty(), args.operands.is_empty()) {
        (false, _) => given,
        (true, false) => vec![args.operands.remove(0)],
        (true, true) => {
            job.error_line("Usage: grep [OPTION]... PATTERNS [FILE]...");
            job.error_line("Try 'grep --help' for more information.");
            return 2;
        }
    };
    for text in given {
        patterns.extend(text.split(|&byte| byte == b'\n').map(<[u8]>::to_vec));
    }
    let syntax = match args.last_of("EFG") {
        Some('E') => Syntax::Extended,
        Some('F') => Syntax::Fixed,
        _ => Syntax::Basic,
    };
    let extent = match (args.has('x'), args.has('w')) {
        (true, _) => Extent::Line,
        (false, true) => Extent::Words,
        (false, false) => Extent::Anything,
    };
    let regex = match Regex::new(&patterns, syntax, args.has('i'), extent) {
        Ok(regex) => regex,
        Err(error) => {
            job.complain(&error.to_string());
            return 2;
        }
    };
    let most = match args.value('m').map(super::create::parse_size) {
        None => u64::MAX,
        Some(Some(most)) => most,
        Some(None) => {
            job.complain("invalid max count");
            return 2;
        }
    };
    let names = match args.operands.is_empty() {
        true => vec![b"-".to_vec()],
        false => args.operands.clone(),
    };
    let search = Search {
        has_names: match args.last_of("hH") {
            Some('H') => true,
            Some(_) => false,
            None => names.len() > 1,
        },
        args: &args,
        regex,
        most,
    };
    let (mut has_match, mut has_failed) = (false, false);
    for name in names {
        let found = input(job, &name).and_then(|content| search.file(job, &name, &content));
        match found {
            Ok(found) => has_match |= found != args.has('L'),
            Err(errno) => {
                has_failed = true;
                if !args.has('s') {
                    job.complain_of(&String::from_utf8_lossy(&name), errno);
                }
            }
        }
        if has_match && args.has('q') {
            return 0;
        }
    }
    match (has_failed, has_match) {
        (true, _) => 2,
        (false, true) => 0,
        (false, false) => 1,
    }
}

impl Search<'_> {
    /// Searches a file; whether a line was selected.
    fn file(&self, job: &mut Job<'_>, name: &[u8], content: &Content) -> Result<bool, Errno> {
        let shown: &[u8] = if name == b"-" { b"(standard input)" } else { name };
        let head = content.slice(0, content.len().min(LOOKED_AT)).read_all(LOOKED_AT);
        let mut is_binary = head.map_err(|_| Errno::EIO)?.contains(&0);
        let lists = self.args.has('l') || self.args.has('L');
        let prints = !lists && !self.args.has('c') && !self.args.has('q');
        let (mut count, mut number, mut steps) = (0, 0, 0);
        let mut lines = Lines::new(content);
        while let Some(line) = lines.next(job)? {
            if count == self.most || !job.has_room() {
                break;
            }
            number += 1;
            steps += (line.len() + 1) * self.regex.cost();
            if steps > STEPS {
                steps = 0;
                if !job.works_on() {
                    break;
                }
            }
            if self.regex.is_in(&line) == self.args.has('v') {
                continue;
            }
            count += 1;
            is_binary |= line.contains(&0);
            if prints && is_binary {
                job.complain(&format!(
                    "{}: binary file matches",
                    String::from_utf8_lossy(shown)
                ));
                break;
            }
            if prints {
                self.print(job, shown, number, &line);
            } else if !self.args.has('c') {
                break;
            }
        }
        if lists && (count > 0) == self.args.has('l') {
            job.print([shown, b"\n"].concat());
        } else if self.args.has('c') && !lists && !self.args.has('q') {
            let mut text = Vec::new();
            if self.has_names {
                text.extend([shown, b":"].concat());
            }
            text.extend(format!("{count}\n").bytes());
            job.print(text);
        }
        Ok(count > 0)
    }

    fn print(&self, job: &mut Job<'_>, shown: &[u8], number: u64, line: &[u8]) {
        let mut prefix = Vec::new();
        if self.has_names {
            prefix.extend([shown, b":"].concat());
        }
        if self.args.has('n') {
            prefix.extend(format!("{number}:").bytes());
        }
        if !self.args.has('o') {
            job.print([&prefix, line, b"\n"].concat());
            return;
        }
        if self.args.has('v') {
            return;
        }
        let (mut from, mut steps) = (0, 0);
        while from < line.len() {
            // Every byte is a beginning: lines without a match were not tried.
            steps += (line.len() - from) * self.regex.cost();
            if steps > STEPS {
                steps = 0;
                if !job.works_on() {
                    return;
                }
            }
            match self.regex.longest(line, from).filter(|end| *end > from) {
                Some(end) => {
                    job.print([&prefix, &line[from..end], b"\n"].concat());
                    from = end;
                }
                None => from += 1,
            }
        }
    }
}

/// The lines of a content, without their ends, window by window.
struct Lines<'a> {
    content: &'a Content,
    offset: u64,
    window: Vec<u8>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn new(content: &'a Content) -> Self {
        Self {
            content,
            offset: 0,
            window: Vec::new(),
            at: 0,
        }
    }

    fn next(&mut self, job: &mut Job<'_>) -> Result<Option<Vec<u8>>, Errno> {
        let mut line: Option<Vec<u8>> = None;
        loop {
            if self.at == self.window.len() {
                if self.offset == self.content.len() || !job.works_on() {
                    return Ok(line);
                }
                let length = (self.content.len() - self.offset).min(WINDOW as u64) as usize;
                self.window.resize(length, 0);
                let read = self.content.read_at(self.offset, &mut self.window);
                read.map_err(|_| Errno::EIO)?;
                self.offset += length as u64;
                self.at = 0;
            }
            let rest = &self.window[self.at..];
            let end = rest.iter().position(|&byte| byte == b'\n');
            let part = &rest[..end.unwrap_or(rest.len())];
            let held = line.get_or_insert_default();
            if held.len() + part.len() > LINE_LIMIT {
                return Err(Errno::EFBIG);
            }
            held.extend_from_slice(part);
            self.at += part.len() + usize::from(end.is_some());
            if end.is_some() {
                return Ok(line);
            }
        }
    }
}
