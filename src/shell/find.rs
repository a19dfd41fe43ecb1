//! find.

use super::glob::fits_bytes;
use super::job::{Job, Visit, Walk, base_name, q};
use super::mode::type_letter;
use super::option::{Command, Run};
use crate::overlay::mount::{Call, FileType, Stat};
use crate::tree::Time;

pub(super) const FIND: Command = Command {
    name: "find",
    usage: "[PATH]... [-maxdepth N] [-mindepth N] [TEST]...",
    about: "List all that is below paths, in the order of the directories. Tests: -name PATTERN, -iname PATTERN, \
            -path PATTERN, -type f|d|l|p|c|b|s, -size N[ckMG], -links N, -inum N, -empty, -newer FILE; ! TEST, \
            TEST -o TEST. Then -print, -print0 or -delete.",
    options: &[],
    run: Run::Raw(find),
    misuse: 1,
};

enum Test {
    Name(Vec<u8>),
    NameOfAnyCase(Vec<u8>),
    Path(Vec<u8>),
    Type(Vec<u8>),
    /// Whether more, the same or less, how many, of how many bytes.
    Size(i8, u64, u64),
    Links(i8, u64),
    Inode(i8, u64),
    Empty,
    Newer(Time),
    Print(u8),
    Delete,
}

/// What is asked: one of several lists of tests, all of which hold.
#[derive(Default)]
struct Query {
    any_of: Vec<Vec<(bool, Test)>>,
    max_depth: Option<usize>,
    min_depth: usize,
    acts: bool,
    deletes: bool,
}

fn find(job: &mut Job<'_>, arguments: &[Vec<u8>]) -> u8 {
    let is_test = |word: &Vec<u8>| (word.starts_with(b"-") && word.len() > 1) || word == b"!";
    let count = arguments.iter().position(is_test).unwrap_or(arguments.len());
    let (tops, tests) = arguments.split_at(count);
    let query = match parse(job, tests) {
        Ok(query) => query,
        Err(text) => {
            job.complain(&text);
            return 1;
        }
    };
    let default = [b".".to_vec()];
    let tops = if tops.is_empty() { &default[..] } else { tops };
    let mut status = 0;
    for top in tops {
        status |= below(job, top, &query);
    }
    status
}

fn below(job: &mut Job<'_>, top: &[u8], query: &Query) -> u8 {
    let mut status = 0;
    let mut walk = Walk::new(top);
    while let Some(visit) = walk.next(job) {
        let (path, stat, depth) = match visit {
            Visit::Enter { path, stat, depth } => {
                let is_directory = stat.file_type == FileType::Directory;
                let is_last = query.max_depth.is_some_and(|max| depth >= max);
                if is_directory && is_last {
                    walk.skip();
                } else if is_directory && query.deletes {
                    continue; // what is in it comes first
                }
                (path, stat, depth)
            }
            Visit::Leave { path, stat, depth } if query.deletes => (path, stat, depth),
            Visit::Leave { .. } => continue,
            Visit::Failed { path, errno, .. } => {
                job.complain_of(&q(&path), errno);
                status = 1;
                continue;
            }
        };
        if depth < query.min_depth {
            continue;
        }
        let holds = query.any_of.iter().any(|tests| {
            let mut all = tests.iter();
            all.all(|(wanted, test)| holds(job, test, &path, &stat, &mut status) == *wanted)
        });
        if holds && !query.acts {
            job.print([&path[..], b"\n"].concat());
        }
    }
    status
}

fn holds(job: &mut Job<'_>, test: &Test, path: &[u8], stat: &Stat, status: &mut u8) -> bool {
    let compare = |sign: &i8, number: &u64, found: u64| match sign {
        0 => found == *number,
        1 => found > *number,
        _ => found < *number,
    };
    match test {
        Test::Name(pattern) => fits_bytes(pattern, base_name(path)),
        Test::NameOfAnyCase(pattern) => fits_bytes(pattern, &base_name(path).to_ascii_lowercase()),
        Test::Path(pattern) => fits_bytes(pattern, path),
        Test::Type(letters) => letters.contains(&match type_letter(stat.file_type) {
            '-' => b'f',
            letter => letter as u8,
        }),
        Test::Size(sign, number, unit) => compare(sign, number, super::list::size(stat).div_ceil(*unit)),
        Test::Links(sign, number) => compare(sign, number, stat.nlink.into()),
        Test::Inode(sign, number) => compare(sign, number, stat.ino),
        Test::Empty => match stat.file_type {
            FileType::Directory => job.names(path).is_ok_and(|names| names.is_empty()),
            FileType::File => stat.size == 0,
            _ => false,
        },
        Test::Newer(time) => stat.mtime > *time,
        Test::Print(end) => {
            job.print([path, &[*end]].concat());
            true
        }
        Test::Delete => delete(job, path, stat, status),
    }
}

fn delete(job: &mut Job<'_>, path: &[u8], stat: &Stat, status: &mut u8) -> bool {
    if path == b"." {
        return true;
    }
    let real = job.path(path);
    let removed = job.call(match stat.file_type {
        FileType::Directory => Call::Rmdir { path: real },
        _ => Call::Unlink { path: real },
    });
    if let Err(errno) = removed {
        job.complain_of(&format!("cannot delete {}", q(path)), errno);
        *status = 1;
        return false;
    }
    true
}

fn parse(job: &mut Job<'_>, words: &[Vec<u8>]) -> Result<Query, String> {
    let mut query = Query {
        any_of: vec![Vec::new()],
        ..Query::default()
    };
    let mut rest = words.iter();
    let mut wanted = true;
    while let Some(word) = rest.next() {
        let shown = crate::text::escape(word);
        let mut value = || {
            rest.next()
                .ok_or_else(|| format!("missing argument to `{shown}'"))
        };
        let test = match &word[..] {
            b"!" | b"-not" => {
                wanted = !wanted;
                continue;
            }
            b"-a" | b"-and" => continue,
            b"-o" | b"-or" => {
                query.any_of.push(Vec::new());
                continue;
            }
            b"-depth" => {
                query.deletes = true;
                continue;
            }
            b"-xdev" | b"-mount" => continue,
            b"-maxdepth" => {
                query.max_depth = Some(depth(&shown, value()?)?);
                continue;
            }
            b"-mindepth" => {
                query.min_depth = depth(&shown, value()?)?;
                continue;
            }
            b"-name" => Test::Name(value()?.clone()),
            b"-iname" => Test::NameOfAnyCase(value()?.to_ascii_lowercase()),
            b"-path" | b"-wholename" => Test::Path(value()?.clone()),
            b"-type" => Test::Type(types(value()?)?),
            b"-size" => size(value()?)?,
            b"-links" => {
                let (sign, number) = number(&shown, value()?)?;
                Test::Links(sign, number)
            }
            b"-inum" => {
                let (sign, number) = number(&shown, value()?)?;
                Test::Inode(sign, number)
            }
            b"-empty" => Test::Empty,
            b"-newer" => {
                let file = value()?.clone();
                let stat = job
                    .stat(&file, false)
                    .map_err(|errno| format!("{}: {}", q(&file), errno.text()))?;
                Test::Newer(stat.mtime)
            }
            b"-print" => Test::Print(b'\n'),
            b"-print0" => Test::Print(0),
            b"-delete" => Test::Delete,
            [b'-', ..] => return Err(format!("unknown predicate `{shown}'")),
            _ => return Err(format!("paths must precede expression: `{shown}'")),
        };
        query.acts |= matches!(test, Test::Print(_) | Test::Delete);
        query.deletes |= matches!(test, Test::Delete);
        query
            .any_of
            .last_mut()
            .expect("there is one")
            .push((std::mem::replace(&mut wanted, true), test));
    }
    Ok(query)
}

fn depth(option: &str, text: &[u8]) -> Result<usize, String> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        format!(
            "Expected a positive decimal integer argument to {option}, but got {}",
            super::quote::word(text)
        )
    })
}

fn types(text: &[u8]) -> Result<Vec<u8>, String> {
    let letters: Vec<u8> = text.iter().copied().filter(|byte| *byte != b',').collect();
    match letters.iter().find(|letter| !b"fdlpcbs".contains(letter)) {
        None if !letters.is_empty() => Ok(letters),
        _ => Err(format!(
            "Unknown argument to -type: {}",
            crate::text::escape(text)
        )),
    }
}

fn number(option: &str, text: &[u8]) -> Result<(i8, u64), String> {
    let (sign, digits) = match text {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        digits => (0, digits),
    };
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok());
    let shown = crate::text::escape(text);
    number
        .map(|number| (sign, number))
        .ok_or_else(|| format!("non-numeric argument to {option}: `{shown}'"))
}

fn size(text: &[u8]) -> Result<Test, String> {
    let invalid = || format!("Invalid argument `{}' to -size", crate::text::escape(text));
    let (unit, digits) = match text.split_last() {
        Some((b'c', digits)) => (1, digits),
        Some((b'k', digits)) => (1 << 10, digits),
        Some((b'M', digits)) => (1 << 20, digits),
        Some((b'G', digits)) => (1 << 30, digits),
        Some((b'b', digits)) => (512, digits),
        _ => (512, text),
    };
    let (sign, number) = number("-size", digits).map_err(|_| invalid())?;
    Ok(Test::Size(sign, number, unit))
}
