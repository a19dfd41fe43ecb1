//! Commands of few words: cd, pwd, echo, true, false, test, whoami, id, mount, help.

use super::help;
use super::job::{Job, base_name, join, q};
use super::names::{group_name, user_name};
use super::option::{Args, Command, Run, flag};
use crate::overlay::mount::{Errno, FileType};

pub(super) const CD: Command = Command {
    name: "cd",
    usage: "[DIRECTORY]",
    about: "Go to a directory; without one, to /root; with - to the one before.",
    options: &[],
    run: Run::Raw(cd),
    misuse: 2,
};

pub(super) const PWD: Command = Command {
    name: "pwd",
    usage: "[-P]",
    about: "Tell the working directory.",
    options: &[
        flag('L', "", "as it was gone to"),
        flag('P', "", "with links followed"),
    ],
    run: Run::Parsed(pwd),
    misuse: 2,
};

pub(super) const ECHO: Command = Command {
    name: "echo",
    usage: "[-neE] [WORD]...",
    about: "Print words. With > FILE they become a file's content, with >> FILE they are added to it.",
    options: &[
        flag('n', "", "no new line at the end"),
        flag('e', "", "understand \\n, \\t, \\0NNN, \\xHH and so on"),
        flag('E', "", "do not (the default)"),
    ],
    run: Run::Raw(echo),
    misuse: 1,
};

pub(super) const TRUE: Command = Command {
    name: "true",
    usage: "",
    about: "Do nothing, successfully.",
    options: &[],
    run: Run::Raw(|_, _| 0),
    misuse: 1,
};

pub(super) const FALSE: Command = Command {
    name: "false",
    usage: "",
    about: "Do nothing, and fail.",
    options: &[],
    run: Run::Raw(|_, _| 1),
    misuse: 1,
};

pub(super) const TEST: Command = Command {
    name: "test",
    usage: "[!] -e|-f|-d|-L|-s FILE | -n|-z WORD | WORD =|!= WORD",
    about: "Tell by the exit status whether something is so; [ ... ] is the same.",
    options: &[],
    run: Run::Raw(test),
    misuse: 2,
};

pub(super) const BRACKET: Command = Command {
    name: "[",
    usage: "EXPRESSION ]",
    about: "The same as test.",
    options: &[],
    run: Run::Raw(bracket),
    misuse: 2,
};

pub(super) const WHOAMI: Command = Command {
    name: "whoami",
    usage: "",
    about: "Tell the name of the user.",
    options: &[],
    run: Run::Parsed(whoami),
    misuse: 1,
};

pub(super) const ID: Command = Command {
    name: "id",
    usage: "[-u|-g]",
    about: "Tell the numbers and names of user and group.",
    options: &[
        flag('u', "user", "the user's number only"),
        flag('g', "group", "the group's number only"),
    ],
    run: Run::Parsed(id),
    misuse: 1,
};

pub(super) const MOUNT: Command = Command {
    name: "mount",
    usage: "",
    about: "Tell how the file system is mounted.",
    options: &[],
    run: Run::Parsed(mount),
    misuse: 1,
};

pub(super) const HELP: Command = Command {
    name: "help",
    usage: "[COMMAND]",
    about: "Tell what there is, or more of one command.",
    options: &[],
    run: Run::Raw(help),
    misuse: 1,
};

fn cd(job: &mut Job<'_>, arguments: &[Vec<u8>]) -> u8 {
    let arguments = match arguments {
        [first, rest @ ..] if first == b"--" => rest,
        all => all,
    };
    let (target, is_told) = match arguments {
        [] => (b"/root".to_vec(), false),
        [only] if only == b"-" => match job.shell.previous.clone() {
            Some(previous) => (previous, true),
            None => {
                job.error_line("cd: OLDPWD not set");
                return 1;
            }
        },
        [only] if only.is_empty() => return 0,
        [only] => (only.clone(), false),
        _ => {
            job.error_line("cd: too many arguments");
            return 1;
        }
    };
    let path = logical(&job.shell.cwd, &target);
    let stat = job.stat(&path, true).and_then(|stat| match stat.file_type {
        FileType::Directory => Ok(()),
        _ => Err(Errno::ENOTDIR),
    });
    if let Err(errno) = stat {
        let shown = String::from_utf8_lossy(&target).into_owned();
        return job.cannot_go(&shown, errno);
    }
    if is_told {
        job.print([&path[..], b"\n"].concat());
    }
    job.shell.previous = Some(std::mem::replace(&mut job.shell.cwd, path));
    0
}

/// A path without dots, from the root: `..` goes back the way it was come.
fn logical(cwd: &[u8], target: &[u8]) -> Vec<u8> {
    let whole = match target {
        [b'/', ..] => target.to_vec(),
        _ => join(cwd, target),
    };
    let mut names: Vec<&[u8]> = Vec::new();
    for name in whole.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    [b"/", &names.join(&b'/')[..]].concat()
}

fn pwd(job: &mut Job<'_>, args: Args) -> u8 {
    let mut path = job.shell.cwd.clone();
    if args.last_of("LP") == Some('P') {
        path = super::read::resolved(job, &path).unwrap_or(path);
    }
    path.push(b'\n');
    job.print(path);
    0
}

fn echo(job: &mut Job<'_>, arguments: &[Vec<u8>]) -> u8 {
    let is_option = |word: &&Vec<u8>| {
        word.len() > 1 && word[0] == b'-' && word[1..].iter().all(|letter| b"neE".contains(letter))
    };
    let count = arguments.iter().take_while(is_option).count();
    let letters: Vec<u8> = arguments[..count].concat();
    let mut text = arguments[count..].join(&b' ');
    let mut has_end = !letters.contains(&b'n');
    let escapes = letters.iter().rfind(|letter| b"eE".contains(letter));
    if escapes == Some(&b'e') {
        (text, has_end) = unescaped(&text, has_end);
    }
    if has_end {
        text.push(b'\n');
    }
    job.print(text);
    0
}

/// With escapes understood; `\c` ends it all.
fn unescaped(text: &[u8], has_end: bool) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(&first) = rest.first() {
        match first {
            b'\\' if rest.get(1) == Some(&b'c') => return (bytes, false),
            b'\\' => {
                let (found, after) = escape_sequence(rest, true);
                bytes.extend(found);
                rest = after;
            }
            byte => {
                bytes.push(byte);
                rest = &rest[1..];
            }
        }
    }
    (bytes, has_end)
}

/// The bytes of what begins with a backslash, and what follows. Octal numbers begin with a zero in `echo -e`.
pub(super) fn escape_sequence(text: &[u8], is_echo: bool) -> (Vec<u8>, &[u8]) {
    let Some(&letter) = text.get(1) else {
        return (b"\\".to_vec(), &[]);
    };
    let after = &text[2..];
    let number = |digits: &[u8], radix: u32, most: usize| {
        let digits = digits.iter().take(most);
        let count = digits
            .clone()
            .take_while(|digit| (**digit as char).is_digit(radix))
            .count();
        let value = digits.take(count).fold(0_u32, |value, digit| {
            value * radix + (*digit as char).to_digit(radix).unwrap_or(0)
        });
        (value as u8, count)
    };
    let simple = |byte: u8| (vec![byte], after);
    match letter {
        b'a' => simple(7),
        b'b' => simple(8),
        b'e' | b'E' => simple(27),
        b'f' => simple(12),
        b'n' => simple(b'\n'),
        b'r' => simple(b'\r'),
        b't' => simple(b'\t'),
        b'v' => simple(11),
        b'\\' => simple(b'\\'),
        b'\'' | b'"' if !is_echo => simple(letter),
        b'x' => match number(after, 16, 2) {
            (_, 0) => (b"\\x".to_vec(), after),
            (value, count) => (vec![value], &after[count..]),
        },
        b'0' if is_echo => {
            let (value, count) = number(after, 8, 3);
            (vec![value], &after[count..])
        }
        b'0'..=b'7' if !is_echo => {
            let (value, count) = number(&text[1..], 8, 3);
            (vec![value], &text[1 + count..])
        }
        _ => (vec![b'\\', letter], after),
    }
}

fn bracket(job: &mut Job<'_>, arguments: &[Vec<u8>]) -> u8 {
    match arguments.split_last() {
        Some((last, rest)) if last == b"]" => test(job, rest),
        _ => {
            job.complain("missing `]'");
            2
        }
    }
}

fn test(job: &mut Job<'_>, arguments: &[Vec<u8>]) -> u8 {
    let (arguments, is_not) = match arguments {
        [first, rest @ ..] if first == b"!" && !rest.is_empty() => (rest, true),
        all => (all, false),
    };
    let is_so = match arguments {
        [] => false,
        [word] => !word.is_empty(),
        [operator, word] => match unary(job, operator, word) {
            Some(is_so) => is_so,
            None => {
                let shown = String::from_utf8_lossy(operator).into_owned();
                job.complain(&format!("{shown}: unary operator expected"));
                return 2;
            }
        },
        [a, operator, b] if operator == b"=" || operator == b"==" => a == b,
        [a, operator, b] if operator == b"!=" => a != b,
        [_, operator, _] => {
            let shown = String::from_utf8_lossy(operator).into_owned();
            job.complain(&format!("{shown}: binary operator expected"));
            return 2;
        }
        _ => {
            job.complain("too many arguments");
            return 2;
        }
    };
    u8::from(is_so == is_not)
}

fn unary(job: &mut Job<'_>, operator: &[u8], word: &[u8]) -> Option<bool> {
    let wanted = match operator {
        b"-n" => return Some(!word.is_empty()),
        b"-z" => return Some(word.is_empty()),
        b"-L" | b"-h" => {
            let stat = job.stat(word, false);
            return Some(stat.is_ok_and(|stat| stat.file_type == FileType::Symlink));
        }
        b"-s" => {
            return Some(
                job.stat(word, true)
                    .is_ok_and(|stat| super::list::size(&stat) > 0),
            );
        }
        b"-e" => return Some(job.stat(word, true).is_ok()),
        b"-f" => FileType::File,
        b"-d" => FileType::Directory,
        b"-p" => FileType::Fifo,
        b"-c" => FileType::CharDevice,
        b"-b" => FileType::BlockDevice,
        _ => return None,
    };
    Some(job.stat(word, true).is_ok_and(|stat| stat.file_type == wanted))
}

fn whoami(job: &mut Job<'_>, _: Args) -> u8 {
    let uid = job.caller.uid;
    match user_name(job, uid) {
        Some(name) => {
            job.print([&name[..], b"\n"].concat());
            0
        }
        None => {
            job.complain(&format!("cannot find name for user ID {uid}"));
            1
        }
    }
}

fn id(job: &mut Job<'_>, args: Args) -> u8 {
    let (uid, gid) = (job.caller.uid, job.caller.gid);
    match args.last_of("ug") {
        Some('u') => job.print(format!("{uid}\n")),
        Some(_) => job.print(format!("{gid}\n")),
        None => {
            let named = |name: Option<Vec<u8>>| {
                name.map_or_else(String::new, |name| {
                    format!("({})", String::from_utf8_lossy(&name))
                })
            };
            let user = named(user_name(job, uid));
            let group = named(group_name(job, gid));
            job.print(format!("uid={uid}{user} gid={gid}{group} groups={gid}{group}\n"));
        }
    }
    0
}

fn mount(job: &mut Job<'_>, args: Args) -> u8 {
    if let Some(operand) = args.operands.first() {
        let shown = q(operand);
        job.complain(&format!(
            "{shown}: nothing can be mounted here, only the overlay's line is shown"
        ));
        return 1;
    }
    if job.shell.mount.options.is_empty() {
        // Nothing is known of how it is mounted.
        return 0;
    }
    let line = [
        b"overlay on / type overlay (",
        &job.shell.mount.options[..],
        b")\n",
    ]
    .concat();
    job.print(line);
    0
}

fn help(job: &mut Job<'_>, arguments: &[Vec<u8>]) -> u8 {
    let [name, ..] = arguments else {
        let text = help::overview(job.programs());
        job.print(text);
        return 0;
    };
    match help::COMMANDS
        .iter()
        .find(|command| command.name.as_bytes() == base_name(name))
    {
        Some(command) => {
            job.print(help::text(command));
            0
        }
        None => {
            let shown = q(name);
            job.complain(&format!("there is no command {shown}; `help` lists all"));
            1
        }
    }
}
