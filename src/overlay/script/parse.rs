//! From words to a script.

use super::layer::put;
use super::{NOW, Script, ScriptError, Step, words};
use crate::content::Content;
use crate::overlay::mount::{
    Call, Caller, Io, NodeType, OnDescriptor, OpenFlags, Options, Path, Redirect, SetTime, SetXattr,
};
use crate::text::escape;
use crate::tree::{Device, Metadata, Time, Tree};

/// The most lines of a script.
const LINES: usize = 100_000;

/// Where a script has got to.
enum Part {
    Lower,
    Upper,
    Calls,
}

/// The arguments of one directive, taken from the left.
pub(super) struct Arguments<'w> {
    rest: &'w [Vec<u8>],
}

impl<'w> Arguments<'w> {
    /// The next argument.
    pub fn next(&mut self, what: &str) -> Result<&'w [u8], String> {
        let (first, rest) = self
            .rest
            .split_first()
            .ok_or_else(|| format!("expected {what}"))?;
        self.rest = rest;
        Ok(first)
    }

    /// Whether the next argument is this word, which is taken then.
    pub fn takes(&mut self, word: &[u8]) -> bool {
        let is_next = self.rest.first().is_some_and(|first| first == word);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    /// The value of the next argument if it is of the form `key=value`.
    pub fn value(&mut self, key: &[u8]) -> Option<&'w [u8]> {
        let value = self.rest.first()?.strip_prefix(key)?.strip_prefix(b"=")?;
        self.rest = &self.rest[1..];
        Some(value)
    }

    /// The next argument of the form `key=value`, whatever the key.
    pub fn pair(&mut self) -> Option<(&'w [u8], &'w [u8])> {
        let first: &'w [u8] = self.rest.first()?;
        let at = first.iter().position(|&byte| byte == b'=')?;
        self.rest = &self.rest[1..];
        Some((&first[..at], &first[at + 1..]))
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn path(&mut self) -> Result<Path, String> {
        Ok(self.next("a path")?.into())
    }

    fn end(&self) -> Result<(), String> {
        match self.rest.first() {
            None => Ok(()),
            Some(word) => Err(format!("`{}` is one argument too many", escape(word))),
        }
    }
}

pub(super) fn number(word: &[u8], radix: u32, what: &str) -> Result<u64, String> {
    let text = std::str::from_utf8(word).unwrap_or_default();
    u64::from_str_radix(text, radix).map_err(|_| format!("`{}` is no {what}", escape(word)))
}

/// Permissions: octal, up to 7777.
pub(super) fn mode(word: &[u8]) -> Result<u16, String> {
    match number(word, 8, "mode, as 0755")? {
        mode @ 0..=0o7777 => Ok(mode as u16),
        _ => Err(format!("`{}` is no mode, as 0755", escape(word))),
    }
}

/// Two numbers with a colon between them.
pub(super) fn couple(word: &[u8], what: &str) -> Result<(u32, u32), String> {
    let expected = || format!("`{}` is no {what}", escape(word));
    let at = word.iter().position(|&byte| byte == b':').ok_or_else(expected)?;
    let part = |word| u32::try_from(number(word, 10, what)?).map_err(|_| expected());
    Ok((part(&word[..at])?, part(&word[at + 1..])?))
}

/// Seconds since 1970, perhaps with a fraction.
pub(super) fn time(word: &[u8]) -> Result<Time, String> {
    let text = std::str::from_utf8(word).unwrap_or_default();
    let expected = || format!("`{}` is no time in seconds since 1970", escape(word));
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_fraction = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !is_fraction {
        return Err(expected());
    }
    Ok(Time {
        seconds: seconds.parse().map_err(|_| expected())?,
        nanos: format!("{fraction:0<9}").parse().map_err(|_| expected())?,
    })
}

impl Script {
    /// Reads a script.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line_number = number + 1;
            let parsed = words(line).map_err(|problem| ScriptError {
                line: line_number,
                problem,
            })?;
            lines.push(parsed);
        }
        Self::from_words(&lines)
    }

    /// A script whose lines are words already.
    pub fn from_words(lines: &[Vec<Vec<u8>>]) -> Result<Self, ScriptError> {
        let mut script = Self {
            lowers: Vec::new(),
            upper: Some(Tree::new(Metadata::new(0o755, 0, 0, NOW), NOW.seconds)),
            options: Options::default(),
            steps: Vec::new(),
        };
        if lines.len() > LINES {
            return Err(ScriptError {
                line: LINES + 1,
                problem: format!("a script has at most {LINES} lines"),
            });
        }
        let mut part = Part::Calls;
        let mut caller = Caller::root(NOW);
        for (number, line) in lines.iter().enumerate() {
            let Some((directive, rest)) = line.split_first() else {
                continue;
            };
            let mut arguments = Arguments { rest };
            let done = match (&part, &directive[..]) {
                (Part::Calls, b"as") => set_caller(&mut caller, script.options, &mut arguments),
                _ => script.directive(&mut part, (number + 1, caller), directive, &mut arguments),
            };
            done.and_then(|()| arguments.end())
                .map_err(|problem| ScriptError {
                    line: number + 1,
                    problem,
                })?;
        }
        Ok(script)
    }

    fn directive(
        &mut self,
        part: &mut Part,
        (line, caller): (usize, Caller),
        directive: &[u8],
        arguments: &mut Arguments,
    ) -> Result<(), String> {
        let has_begun = !self.steps.is_empty();
        let empty = || Tree::new(Metadata::new(0o755, 0, 0, NOW), NOW.seconds);
        match directive {
            b"layer" | b"upper" | b"mount" if has_begun => {
                Err(format!("`{}` has to stand before the calls", escape(directive)))
            }
            b"layer" => {
                self.lowers.push(empty());
                *part = Part::Lower;
                Ok(())
            }
            b"upper" => {
                self.upper = Some(empty());
                *part = Part::Upper;
                Ok(())
            }
            b"mount" => {
                *part = Part::Calls;
                self.set_mount(arguments)
            }
            _ => match (part, &mut self.upper) {
                (Part::Lower, _) if super::layer::is_entry(directive) => {
                    let tree = self.lowers.last_mut().expect("`layer` made one");
                    put(tree, directive, arguments)
                }
                (Part::Upper, Some(tree)) if super::layer::is_entry(directive) => {
                    put(tree, directive, arguments)
                }
                (Part::Calls, _) => {
                    let call = call(directive, arguments)?;
                    self.steps.push(Step { line, caller, call });
                    Ok(())
                }
                _ => Err(format!(
                    "`{}` is no entry of a layer; calls come after `mount`",
                    escape(directive)
                )),
            },
        }
    }

    fn set_mount(&mut self, arguments: &mut Arguments) -> Result<(), String> {
        while !arguments.is_empty() {
            if arguments.takes(b"read-only") {
                self.upper = None;
            } else if arguments.takes(b"in-user-namespace") {
                self.options.user_namespace = true;
            } else {
                self.options = options(arguments, self.options.user_namespace)?;
            }
        }
        Ok(())
    }
}

/// Who makes the calls that follow.
fn set_caller(caller: &mut Caller, options: Options, arguments: &mut Arguments) -> Result<(), String> {
    let (uid, gid) = couple(
        arguments.next("a user and group, as 1000:1000")?,
        "user and group, as 1000:1000",
    )?;
    if uid == u32::MAX || gid == u32::MAX {
        return Err("4294967295 is nobody's number: chown(2) takes it for no change".to_owned());
    }
    if options.user_namespace && (uid, gid) != (0, 0) {
        return Err("the user namespace knows root only, so nobody else makes calls".to_owned());
    }
    let umask = arguments.value(b"umask").map_or(Ok(0o022), mode)?;
    *caller = Caller {
        uid,
        gid,
        umask: umask & 0o777,
        now: NOW,
    };
    Ok(())
}

fn options(arguments: &mut Arguments, user_namespace: bool) -> Result<Options, String> {
    let word = arguments.next("options, as redirect_dir=on")?;
    let options = Options::parse(&escape(word)).map_err(|error| error.to_string())?;
    Ok(Options {
        user_namespace,
        ..options
    })
}

/// The directives that are calls.
pub(super) const CALLS: [&str; 24] = [
    "open",
    "fd",
    "write",
    "append",
    "read",
    "truncate",
    "mkdir",
    "mknod",
    "symlink",
    "link",
    "unlink",
    "rmdir",
    "rename",
    "chmod",
    "chown",
    "utimes",
    "setxattr",
    "removexattr",
    "getxattr",
    "listxattr",
    "readdir",
    "stat",
    "readlink",
    "remount",
];

/// One call.
fn call(directive: &[u8], a: &mut Arguments) -> Result<Call, String> {
    let follow = |a: &mut Arguments| !a.takes(b"nofollow");
    Ok(match directive {
        b"open" => open(a)?,
        b"fd" => on_descriptor(a)?,
        b"write" => written(a, true)?,
        b"append" => written(a, false)?,
        b"read" => Call::Open {
            path: a.path()?,
            flags: OpenFlags {
                read: true,
                ..OpenFlags::default()
            },
            mode: 0,
            io: Io::Read,
        },
        b"truncate" => Call::Truncate {
            path: a.path()?,
            length: length(a)?,
        },
        b"mkdir" => Call::Mkdir {
            path: a.path()?,
            mode: a.value(b"mode").map_or(Ok(0o777), mode)?,
        },
        b"mknod" => mknod(a)?,
        b"symlink" => Call::Symlink {
            target: a.path()?,
            path: a.path()?,
        },
        b"link" => Call::Link {
            old: a.path()?,
            new: a.path()?,
            follow: a.takes(b"follow"),
        },
        b"unlink" => Call::Unlink { path: a.path()? },
        b"rmdir" => Call::Rmdir { path: a.path()? },
        b"rename" => Call::Rename {
            old: a.path()?,
            new: a.path()?,
            flags: flags(a, &[(b"noreplace", 1), (b"exchange", 2), (b"whiteout", 4)]),
        },
        b"chmod" => Call::Chmod {
            path: a.path()?,
            mode: mode(a.next("a mode, as 0755")?)?,
        },
        b"chown" => {
            let path = a.path()?;
            let (uid, gid) = owner(a.next("an owner, as 0:0 or -:5")?)?;
            let follow = follow(a);
            Call::Chown {
                path,
                uid,
                gid,
                follow,
            }
        }
        b"utimes" => Call::Utimes {
            path: a.path()?,
            atime: set_time(a.next("a time, now or omit")?)?,
            mtime: set_time(a.next("a time, now or omit")?)?,
            follow: follow(a),
        },
        b"setxattr" => Call::Setxattr {
            path: a.path()?,
            name: a.next("a name")?.to_vec(),
            value: a.next("a value")?.to_vec(),
            how: match (a.takes(b"create"), a.takes(b"replace")) {
                (true, _) => SetXattr::Create,
                (_, true) => SetXattr::Replace,
                _ => SetXattr::Any,
            },
            follow: follow(a),
        },
        b"removexattr" => Call::Removexattr {
            path: a.path()?,
            name: a.next("a name")?.to_vec(),
            follow: follow(a),
        },
        b"getxattr" => Call::Getxattr {
            path: a.path()?,
            name: a.next("a name")?.to_vec(),
            follow: follow(a),
        },
        b"listxattr" => Call::Listxattr {
            path: a.path()?,
            follow: follow(a),
        },
        b"readdir" => Call::Readdir { path: a.path()? },
        b"stat" => Call::Stat {
            path: a.path()?,
            follow: follow(a),
        },
        b"readlink" => Call::Readlink { path: a.path()? },
        b"remount" => Call::Remount {
            options: match a.is_empty() {
                true => None,
                false => {
                    let in_namespace = a.takes(b"in-user-namespace");
                    Some(options(a, in_namespace)?)
                }
            },
        },
        _ => {
            return Err(format!(
                "`{}` is no directive; a call is one of {}",
                escape(directive),
                CALLS.join(", ")
            ));
        }
    })
}

fn flags(a: &mut Arguments, names: &[(&[u8], u32)]) -> u32 {
    let mut bits = 0;
    while let Some((_, bit)) = names.iter().find(|(name, _)| a.takes(name)) {
        bits |= bit;
    }
    bits
}

/// `write` makes or empties a file, `append` makes it or adds to it, as a shell does by `>` and `>>`.
fn written(a: &mut Arguments, is_new: bool) -> Result<Call, String> {
    Ok(Call::Open {
        path: a.path()?,
        flags: OpenFlags {
            write: true,
            create: true,
            truncate: is_new,
            append: !is_new,
            ..OpenFlags::default()
        },
        io: Io::Write(0, Content::inline(a.next("what is written")?)),
        mode: 0o666,
    })
}

/// The number of a file that stays open.
fn descriptor(word: &[u8]) -> Result<u8, String> {
    let expected = |_| format!("`{}` is no number of a descriptor: 0 to 255", escape(word));
    u8::try_from(number(word, 10, "number of a descriptor")?).map_err(expected)
}

/// A call on a file that stayed open.
fn on_descriptor(a: &mut Arguments) -> Result<Call, String> {
    let number_word = a.next("the number of a descriptor")?;
    let what = match a.next("read, write, stat, truncate, chmod or close")? {
        b"read" => OnDescriptor::Read,
        b"write" => {
            let text = Content::inline(a.next("what is written")?);
            let offset = a.value(b"offset");
            let offset = offset.map_or(Ok(0), |word| number(word, 10, "offset"))?;
            OnDescriptor::Write(offset, text)
        }
        b"stat" => OnDescriptor::Stat,
        b"truncate" => OnDescriptor::Truncate(length(a)?),
        b"chmod" => OnDescriptor::Chmod(mode(a.next("a mode, as 0755")?)?),
        b"close" => OnDescriptor::Close,
        word => {
            return Err(format!(
                "`{}` is none of read, write, stat, truncate, chmod, close",
                escape(word)
            ));
        }
    };
    let number = descriptor(number_word)?;
    Ok(Call::Descriptor { number, what })
}

fn length(a: &mut Arguments) -> Result<i64, String> {
    let word = a.next("a length")?;
    let text = std::str::from_utf8(word).unwrap_or_default();
    text.parse()
        .map_err(|_| format!("`{}` is no length", escape(word)))
}

fn open(a: &mut Arguments) -> Result<Call, String> {
    let path = a.path()?;
    let names: [(&[u8], u32); 8] = [
        (b"read", 1),
        (b"write", 2),
        (b"create", 4),
        (b"exclusive", 8),
        (b"truncate", 16),
        (b"append", 32),
        (b"directory", 64),
        (b"nofollow", 128),
    ];
    let bits = flags(a, &names);
    let mode = a.value(b"mode").map_or(Ok(0o666), mode)?;
    let offset = a
        .value(b"offset")
        .map_or(Ok(0), |word| number(word, 10, "offset"))?;
    let kept = a.value(b"fd").map(descriptor).transpose()?;
    let io = match (a.value(b"text"), bits & 1) {
        _ if kept.is_some() => Io::Keep(kept.unwrap_or_default()),
        (Some(text), _) => Io::Write(offset, Content::inline(text)),
        (None, 1) if a.takes(b"all") => Io::Read,
        _ => Io::Nothing,
    };
    Ok(Call::Open {
        path,
        flags: OpenFlags {
            read: bits & 1 != 0,
            write: bits & 2 != 0,
            create: bits & 4 != 0,
            exclusive: bits & 8 != 0,
            truncate: bits & 16 != 0,
            append: bits & 32 != 0,
            directory: bits & 64 != 0,
            nofollow: bits & 128 != 0,
        },
        mode,
        io,
    })
}

fn mknod(a: &mut Arguments) -> Result<Call, String> {
    let path = a.path()?;
    let kind = a.next("file, fifo, socket, char or block")?;
    let mut device = || -> Result<Device, String> {
        let (major, minor) = couple(a.next("a device, as 1:3")?, "device, as 1:3")?;
        Ok(Device { major, minor })
    };
    let node = match kind {
        b"file" => NodeType::File,
        b"fifo" => NodeType::Fifo,
        b"socket" => NodeType::Socket,
        b"char" => NodeType::CharDevice(device()?),
        b"block" => NodeType::BlockDevice(device()?),
        _ => {
            return Err(format!(
                "`{}` is none of file, fifo, socket, char, block",
                escape(kind)
            ));
        }
    };
    let mode = a.value(b"mode").map_or(Ok(0o666), mode)?;
    Ok(Call::Mknod { path, node, mode })
}

/// `UID:GID`, with `-` for one that stays.
fn owner(word: &[u8]) -> Result<(Option<u32>, Option<u32>), String> {
    let expected = || format!("`{}` is no owner, as 0:0 or -:5", escape(word));
    let at = word.iter().position(|&byte| byte == b':').ok_or_else(expected)?;
    let part = |word: &[u8]| -> Result<Option<u32>, String> {
        match word {
            b"-" => Ok(None),
            _ => Ok(Some(
                u32::try_from(number(word, 10, "owner")?).map_err(|_| expected())?,
            )),
        }
    };
    Ok((part(&word[..at])?, part(&word[at + 1..])?))
}

fn set_time(word: &[u8]) -> Result<SetTime, String> {
    Ok(match word {
        b"now" => SetTime::Now,
        b"omit" => SetTime::Omit,
        _ => SetTime::At(time(word)?),
    })
}

/// The options as `mount` takes them.
pub(super) fn option_words(options: Options) -> Vec<String> {
    let redirect = match options.redirect {
        Redirect::Follow => None,
        Redirect::On => Some("redirect_dir=on"),
        Redirect::NoFollow if options.userxattr => None,
        Redirect::NoFollow => Some("redirect_dir=nofollow"),
    };
    let user = options.userxattr.then_some("userxattr");
    let words: Vec<_> = redirect.into_iter().chain(user).collect();
    let mut all = Vec::new();
    if options.user_namespace {
        all.push("in-user-namespace".to_owned());
    }
    if !words.is_empty() {
        all.push(words.join(","));
    }
    all
}

impl Script {
    /// One call, as it stands on a line of a script.
    pub fn parse_call(line: &str) -> Result<Call, String> {
        let line = words(line)?;
        let (directive, rest) = line.split_first().ok_or("expected a call")?;
        let mut arguments = Arguments { rest };
        let call = call(directive, &mut arguments)?;
        arguments.end()?;
        Ok(call)
    }
}
