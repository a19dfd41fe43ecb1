//! Permissions: as `ls -l` shows them, and as `chmod` takes them.

use crate::overlay::mount::FileType;

/// The letter of a type.
pub(super) fn type_letter(file_type: FileType) -> char {
    match file_type {
        FileType::Directory => 'd',
        FileType::File => '-',
        FileType::Symlink => 'l',
        FileType::CharDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
    }
}

/// The bits of a type in `st_mode`.
pub(super) fn type_bits(file_type: FileType) -> u32 {
    match file_type {
        FileType::Fifo => 0o010_000,
        FileType::CharDevice => 0o020_000,
        FileType::Directory => 0o040_000,
        FileType::BlockDevice => 0o060_000,
        FileType::File => 0o100_000,
        FileType::Symlink => 0o120_000,
        FileType::Socket => 0o140_000,
    }
}

/// `-rw-r--r--`.
pub(super) fn text(file_type: FileType, mode: u16) -> String {
    let mut text = String::from(type_letter(file_type));
    for (shift, special, letters) in [(6, 0o4000, "sS"), (3, 0o2000, "sS"), (0, 0o1000, "tT")] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letters.as_bytes()[0] as char,
            (false, true) => letters.as_bytes()[1] as char,
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// A change of permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// These, and of directories whether set-uid and set-gid were named too.
    Octal {
        mode: u16,
        names_all: bool,
    },
    Symbolic(Vec<Clause>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    /// The bits that it is about.
    who: u16,
    /// Whether nobody was named, so that the umask counts.
    is_masked: bool,
    operator: u8,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// Bits for all; `X` gives execution to directories and programs.
    Bits { bits: u16, has_x: bool },
    /// Those that the user, group or others have: a shift.
    CopyOf(u16),
}

pub(super) fn parse(text: &[u8]) -> Option<Change> {
    if text.first().is_some_and(u8::is_ascii_digit) {
        let text = std::str::from_utf8(text).ok()?;
        let mode = u16::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777)?;
        return Some(Change::Octal {
            mode,
            names_all: text.len() > 4,
        });
    }
    let mut clauses = Vec::new();
    for part in text.split(|&byte| byte == b',') {
        let operators = |byte: &u8| b"+-=".contains(byte);
        let start = part.iter().position(operators)?;
        let who = part[..start].iter().try_fold(0, |who, letter| {
            Some(
                who | match letter {
                    b'u' => 0o4700,
                    b'g' => 0o2070,
                    b'o' => 0o1007,
                    b'a' => 0o7777,
                    _ => return None,
                },
            )
        })?;
        let mut rest = &part[start..];
        while let Some((&operator, after)) = rest.split_first() {
            let end = after.iter().position(operators).unwrap_or(after.len());
            clauses.push(Clause {
                who: if who == 0 { 0o7777 } else { who },
                is_masked: who == 0,
                operator,
                what: what(&after[..end])?,
            });
            rest = &after[end..];
        }
    }
    Some(Change::Symbolic(clauses))
}

fn what(letters: &[u8]) -> Option<What> {
    match letters {
        b"u" => return Some(What::CopyOf(6)),
        b"g" => return Some(What::CopyOf(3)),
        b"o" => return Some(What::CopyOf(0)),
        _ => {}
    }
    let mut bits = 0;
    for letter in letters {
        bits |= match letter {
            b'r' => 0o444,
            b'w' => 0o222,
            b'x' => 0o111,
            b's' => 0o6000,
            b't' => 0o1000,
            b'X' => 0,
            _ => return None,
        };
    }
    Some(What::Bits {
        bits,
        has_x: letters.contains(&b'X'),
    })
}

impl Change {
    /// The permissions that become of `old` (gnulib, mode_adjust).
    pub fn apply(&self, old: u16, is_directory: bool, umask: u16) -> u16 {
        let clauses = match self {
            Self::Octal { mode, names_all } => {
                let kept = if is_directory && !names_all {
                    old & 0o6000
                } else {
                    0
                };
                return mode | kept;
            }
            Self::Symbolic(clauses) => clauses,
        };
        let mut mode = old;
        for clause in clauses {
            let mut bits = match clause.what {
                What::CopyOf(shift) => {
                    let bits = mode >> shift & 7;
                    bits << 6 | bits << 3 | bits
                }
                What::Bits { bits, has_x } => {
                    let runs = has_x && (is_directory || mode & 0o111 != 0);
                    bits | if runs { 0o111 } else { 0 }
                }
            };
            bits &= clause.who;
            if clause.is_masked {
                bits &= !umask;
            }
            // Of a directory, `=` keeps what was not named: its set-uid and set-gid.
            let named = match clause.what {
                What::Bits { bits, .. } => bits & 0o6000,
                What::CopyOf(_) => 0,
            };
            let kept = if is_directory { 0o6000 & !named } else { 0 };
            match clause.operator {
                b'+' => mode |= bits,
                b'-' => mode &= !bits,
                _ => mode = mode & (!clause.who | kept) | bits,
            }
        }
        mode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_as_text() {
        assert_eq!(text(FileType::File, 0o644), "-rw-r--r--");
        assert_eq!(text(FileType::Directory, 0o1777), "drwxrwxrwt");
        assert_eq!(text(FileType::File, 0o7000), "---S--S--T");
        assert_eq!(text(FileType::File, 0o6755), "-rwsr-sr-x");
    }

    #[test]
    fn changes_are_applied() {
        for (change, old, is_directory, new) in [
            ("755", 0o600, false, 0o755),
            ("755", 0o2700, true, 0o2755),
            ("00755", 0o2700, true, 0o755),
            ("u+x", 0o644, false, 0o744),
            ("+x", 0o644, false, 0o755),
            ("+w", 0o444, false, 0o644),
            ("a+w", 0o444, false, 0o666),
            ("go-rwx,u=rw", 0o777, false, 0o600),
            ("g=u", 0o750, false, 0o770),
            ("a+X", 0o644, false, 0o644),
            ("a+X", 0o644, true, 0o755),
            ("u+s,+t", 0o755, false, 0o5755),
            ("u=rwx", 0o4000, false, 0o700),
            ("o=", 0o777, false, 0o770),
        ] {
            let parsed = parse(change.as_bytes()).unwrap();
            assert_eq!(parsed.apply(old, is_directory, 0o022), new, "{change}");
        }
        for text in ["", "9", "17777", "q+x", "u+q", "u", "u+x,", "+x+y"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
