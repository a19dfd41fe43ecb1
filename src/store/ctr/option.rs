//! Options as `ctr` reads them: Go's package flag under urfave/cli v1, which moves options before arguments.

use super::Exit;

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing, or `=true` and `=false`.
    Nothing,
    /// Text; the last counts.
    Text,
    /// Text, as often as it is given.
    Texts,
    /// A time span as Go writes it: `1h30m`.
    Span,
}

/// An option of a command.
pub(super) struct Flag {
    /// Its names, the first of which is asked for.
    pub names: &'static [&'static str],
    pub takes: Takes,
    pub about: &'static str,
    /// What it is if it is not given, for the help.
    pub default: &'static str,
}

pub(super) const fn flag(names: &'static [&'static str], about: &'static str) -> Flag {
    taking(names, Takes::Nothing, about)
}

pub(super) const fn text(names: &'static [&'static str], about: &'static str) -> Flag {
    taking(names, Takes::Text, about)
}

pub(super) const fn texts(names: &'static [&'static str], about: &'static str) -> Flag {
    taking(names, Takes::Texts, about)
}

pub(super) const fn taking(names: &'static [&'static str], takes: Takes, about: &'static str) -> Flag {
    Flag {
        names,
        takes,
        about,
        default: "",
    }
}

/// Which every command has.
pub(super) const HELP: Flag = flag(&["help", "h"], "show help");

/// The options that a command takes.
#[derive(Clone, Copy)]
pub(super) struct Flags {
    pub offered: &'static [Flag],
    /// Names of options that containerd's `ctr` has and this one refuses.
    pub refused: &'static [&'static str],
}

/// Why options cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misuse {
    #[error("flag provided but not defined: -{name}")]
    Unknown { name: String },
    #[error("flag needs an argument: -{name}")]
    NoValue { name: String },
    #[error("bad flag syntax: {argument}")]
    Syntax { argument: String },
    #[error("invalid boolean value {value:?} for -{name}: parse error")]
    NoBoolean { name: String, value: String },
    #[error("invalid value {value:?} for flag -{name}: parse error")]
    NoSpan { name: String, value: String },
    /// containerd's `ctr` has it.
    #[error("the option --{name} is not offered here")]
    Refused { name: String },
}

/// What a command was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Args {
    given: Vec<(&'static str, String)>,
    /// The arguments that are no options.
    pub rest: Vec<String>,
}

impl Args {
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value == "true")
    }

    /// The value that was given last.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.given.iter().rfind(|(given, _)| *given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The value that was given last, if it is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name).filter(|value| !value.is_empty())
    }

    /// All values in their order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let given = self.given.iter().filter(move |(given, _)| *given == name);
        given.map(|(_, value)| value.as_str())
    }

    /// An argument; empty if there is none.
    pub fn argument(&self, number: usize) -> &str {
        self.rest.get(number).map_or("", String::as_str)
    }

    /// An argument that must be there.
    pub fn needed(&self, number: usize, otherwise: &'static str) -> Result<&str, Exit> {
        match self.argument(number) {
            "" => Err(Exit::failed(otherwise)),
            argument => Ok(argument),
        }
    }

    /// The arguments from one on, as labels: `KEY=VALUE`, or `KEY` for `KEY=true`.
    pub fn labels(&self, from: usize) -> Vec<(String, String)> {
        let arguments = self.rest.iter().skip(from);
        arguments.map(|argument| label(argument)).collect()
    }
}

/// `KEY=VALUE`, or `KEY` for `KEY=true`.
pub(super) fn label(argument: &str) -> (String, String) {
    let (key, value) = argument.split_once('=').unwrap_or((argument, "true"));
    (key.to_owned(), value.to_owned())
}

impl Flags {
    fn find(&self, name: &str) -> Option<&'static Flag> {
        let mut offered = self.offered.iter().chain([&HELP]);
        offered.find(|flag| flag.names.contains(&name))
    }

    /// Reads options up to the first argument that is none.
    pub fn parse(&self, arguments: &[String]) -> Result<Args, Misuse> {
        let mut args = Args::default();
        let mut rest = arguments;
        while let Some((argument, after)) = rest.split_first() {
            let Some(dashed) = argument.strip_prefix('-').filter(|dashed| !dashed.is_empty()) else {
                break;
            };
            rest = after;
            if dashed == "-" {
                break;
            }
            let option = dashed.strip_prefix('-').unwrap_or(dashed);
            if option.starts_with(['-', '=']) {
                let argument = argument.clone();
                return Err(Misuse::Syntax { argument });
            }
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (option, None),
            };
            let Some(flag) = self.find(name) else {
                let name = name.to_owned();
                return Err(match self.refused.contains(&name.as_str()) {
                    true => Misuse::Refused { name },
                    false => Misuse::Unknown { name },
                });
            };
            let value = match (flag.takes, value) {
                (Takes::Nothing, value) => boolean(name, value.unwrap_or("true"))?.to_string(),
                (_, Some(value)) => value.to_owned(),
                (_, None) => match rest.split_first() {
                    None => {
                        return Err(Misuse::NoValue {
                            name: name.to_owned(),
                        });
                    }
                    Some((value, after)) => {
                        rest = after;
                        value.clone()
                    }
                },
            };
            if flag.takes == Takes::Span && span(&value).is_none() {
                let name = name.to_owned();
                return Err(Misuse::NoSpan { name, value });
            }
            args.given.push((flag.names[0], value));
        }
        args.rest = rest.to_vec();
        Ok(args)
    }

    /// The arguments with options first, each with the argument behind it, whether it takes one or not:
    /// urfave/cli's `reorderArgs`.
    pub fn reordered(&self, arguments: &[String]) -> Vec<String> {
        let (mut options, mut others) = (Vec::new(), Vec::new());
        let mut may_be_value = false;
        for (number, argument) in arguments.iter().enumerate() {
            let is_option = self.is_option(argument);
            if may_be_value && !is_option {
                may_be_value = false;
                options.push(argument.clone());
            } else if argument == "--" {
                others.insert(0, argument.clone());
                others.extend_from_slice(&arguments[number + 1..]);
                break;
            } else if is_option {
                may_be_value = !argument.contains('=');
                options.push(argument.clone());
            } else {
                others.push(argument.clone());
            }
        }
        options.append(&mut others);
        options
    }

    fn is_option(&self, argument: &str) -> bool {
        let Some(dashed) = argument.strip_prefix('-') else {
            return false;
        };
        let name = dashed.strip_prefix('-').unwrap_or(dashed);
        let name = name.split('=').next().unwrap_or_default();
        self.find(name).is_some() || self.refused.contains(&name)
    }
}

fn boolean(name: &str, value: &str) -> Result<bool, Misuse> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(Misuse::NoBoolean {
            name: name.to_owned(),
            value: value.to_owned(),
        }),
    }
}

/// The whole seconds of a time span as Go writes it, such as `1h30m` or `0`.
pub(super) fn span(text: &str) -> Option<i64> {
    const UNITS: [(&str, u128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut nanos = 0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|letter: char| letter.is_ascii_digit() || letter == '.');
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos += of_unit(number, *factor)?;
        // Go holds spans in 64 bits.
        i64::try_from(nanos).ok()?;
        rest = after;
    }
    (nanos > 0).then_some(sign * (nanos / 1_000_000_000) as i64)
}

/// So many of a unit, which has so many nanoseconds: digits with a point between, before or behind them.
fn of_unit(number: &str, nanos: u128) -> Option<u128> {
    /// More digits behind the point are below a nanosecond.
    const DIGITS: usize = 18;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_number = number != "." && part.bytes().all(|byte| byte.is_ascii_digit());
    let part = &part[..part.len().min(DIGITS)];
    let value = |digits: &str| match digits {
        "" => Some(0),
        _ => digits.parse::<u64>().ok().map(u128::from),
    };
    let part_nanos = value(part)? * nanos / 10_u128.pow(part.len() as u32);
    is_number.then_some(value(whole)? * nanos + part_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: Flags = Flags {
        offered: &[
            flag(&["quiet", "q"], ""),
            text(&["target", "t"], ""),
            texts(&["label"], ""),
            taking(&["expires", "x"], Takes::Span, ""),
        ],
        refused: &["gpus"],
    };

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// Seen with the real `ctr`, or of Go's own documentation.
    #[test]
    fn options_are_read_as_go_reads_them() {
        for (line, expected) in [
            ("a b", "|a b"),
            ("-q a -t x", "quiet=true|a -t x"),
            ("--target x -target=y a", "target=x target=y|a"),
            ("-q=F --q=1 -", "quiet=false quiet=true|-"),
            ("-t -q a", "target=-q|a"),
            ("--label a --label=b=c", "label=a label=b=c|"),
            ("-q -- -q", "quiet=true|-q"),
            ("-h", "help=true|"),
            ("-x 1h30m", "expires=1h30m|"),
            ("-qt x", "flag provided but not defined: -qt"),
            ("--nope=1", "flag provided but not defined: -nope"),
            ("---q", "bad flag syntax: ---q"),
            ("-=", "bad flag syntax: -="),
            ("a -t", "|a -t"),
            ("-t", "flag needs an argument: -t"),
            ("-q=x", "invalid boolean value \"x\" for -q: parse error"),
            (
                "-expires 10",
                "invalid value \"10\" for flag -expires: parse error",
            ),
            ("--gpus 1", "the option --gpus is not offered here"),
        ] {
            let shown = match FLAGS.parse(&words(line)) {
                Ok(args) => {
                    let given = args.given.iter().map(|(name, value)| format!("{name}={value}"));
                    format!("{}|{}", given.collect::<Vec<_>>().join(" "), args.rest.join(" "))
                }
                Err(misuse) => misuse.to_string(),
            };
            assert_eq!(shown, expected, "{line}");
        }
    }

    #[test]
    fn options_come_first_with_what_is_behind_them() {
        for (line, expected) in [
            ("a b -q", "-q a b"),
            ("a -q b", "-q b a"),
            ("a -t x b", "-t x a b"),
            ("a -t=x b", "-t=x a b"),
            ("x -t", "-t x"),
            ("a --nope b", "a --nope b"),
            ("a -- -q", "-- a -q"),
            ("a -q -- -t", "-q -- -t a"),
        ] {
            assert_eq!(FLAGS.reordered(&words(line)), words(expected), "{line}");
        }
    }

    #[test]
    fn spans_are_gos() {
        for (text, seconds) in [
            ("24h", Some(86_400)),
            ("1h30m1.5s", Some(5_401)),
            ("0", Some(0)),
            ("-1m", Some(-60)),
            ("", None),
            ("10", None),
            ("1d", None),
            (".5h", Some(1_800)),
            ("1.h", Some(3_600)),
            ("1.2.3h", None),
            ("1.9999999999999999999s", Some(1)),
            ("99999999999999999999s", None),
            (".h", None),
            ("9999999h", None),
        ] {
            assert_eq!(span(text), seconds, "{text}");
        }
    }
}
