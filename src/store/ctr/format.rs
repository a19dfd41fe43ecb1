//! Sizes, ages, lines of the log and JSON as `ctr` prints them.

use crate::image::created::from_seconds;
use crate::tree::Time;

/// A size in powers of 1024: `1009.3 KiB` (containerd's pkg/progress).
pub(super) fn bytes(size: u64) -> String {
    const UNITS: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];
    let (size, unit) = scaled(size, 1024.0, &UNITS);
    format!("{} {unit}", decimal(size, 1))
}

/// A size in powers of 1000, with four digits: `1.033MB` (`HumanSize` of go-units).
pub(super) fn human_size(size: u64) -> String {
    const UNITS: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
    let (size, unit) = scaled(size, 1000.0, &UNITS);
    let decimals = match size {
        100.0.. => 1,
        10.0.. => 2,
        _ => 3,
    };
    let digits = decimal(size, decimals);
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits}{unit}")
}

fn scaled(size: u64, base: f64, units: &[&'static str]) -> (f64, &'static str) {
    let mut scaled = size as f64;
    let mut units = units.iter();
    let mut unit = units.next().expect("there are units");
    while scaled >= base {
        scaled /= base;
        unit = units.next().expect("64 bits end before them");
    }
    (scaled, unit)
}

/// What `{value:.decimals$}` gives, for values from 0 to 1024 and at most three decimals. The formatting of floats
/// that the library has is for all of them, and takes 12 kB of the page's wasm.
fn decimal(value: f64, decimals: u32) -> String {
    // The last decimal is what is left of the bits behind 2^-64, of which such a value has none but for the
    // tiniest: exact, and so are halves, which go to the even neighbour.
    const ONE: f64 = (1_u128 << 64) as f64;
    let power = 10_u64.pow(decimals);
    let scaled = (value * ONE) as u128 * u128::from(power);
    let (whole, rest) = ((scaled >> 64) as u64, scaled as u64);
    let half = 1 << 63;
    let rounded = whole + u64::from(rest > half || rest == half && whole % 2 == 1);
    let width = decimals as usize;
    format!("{}.{:0width$}", rounded / power, rounded % power)
}

/// How long something took: `HumanDuration` of go-units. A clock that went back shows no time.
pub(super) fn age(since: Time, now: Time) -> String {
    let borrowed = i64::from(now.nanos < since.nanos);
    let seconds = now.seconds.saturating_sub(since.seconds).saturating_sub(borrowed);
    let hours = seconds.saturating_add(1800) / 3600;
    match (seconds, seconds / 60, hours) {
        (..=0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (..=59, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, minutes @ ..=59, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., ..=47) => format!("{hours} hours"),
        (.., ..=335) => format!("{} days", hours / 24),
        (.., ..=1439) => format!("{} weeks", hours / 24 / 7),
        (.., ..=17519) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// A time as the log and the labels have it: whole seconds in UTC.
pub(super) fn second(time: Time) -> String {
    from_seconds(time.seconds).unwrap_or_else(|| time.seconds.to_string())
}

/// A time as Go writes it in JSON: with as many digits of a second as it needs.
pub(super) fn instant(time: Time) -> String {
    let second = second(time);
    let fraction = format!("{:09}", time.nanos);
    match (fraction.trim_end_matches('0'), second.strip_suffix('Z')) {
        ("", _) | (_, None) => second,
        (fraction, Some(date)) => format!("{date}.{fraction}Z"),
    }
}

/// A line of the log, as logrus writes it to what is no terminal.
pub(super) fn log_line(now: Time, level: &str, message: &str, fields: &[(&str, &str)]) -> String {
    let mut line = format!(
        "time={} level={level} msg={}",
        logged(&second(now)),
        logged(message)
    );
    for (key, value) in fields {
        line += &format!(" {key}={}", logged(value));
    }
    line + "\n"
}

/// A value of a line of the log: in quotes unless it is a plain word.
fn logged(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/@^+".contains(&byte);
    match value.bytes().all(is_plain) {
        true => value.to_owned(),
        false => quoted(value),
    }
}

/// A string in quotes as Go has it (`%q`).
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            '\r' => out += "\\r",
            letter if letter.is_control() => out += &format!("\\x{:02x}", u32::from(letter)),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// A text as JSON has it.
pub(super) fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a text is always JSON")
}

/// A compact JSON document as Go's `MarshalIndent` writes it: four blanks for each level, and what HTML reads
/// escaped.
pub(super) fn indented(compact: &str) -> String {
    let mut out = String::new();
    let mut level = 0_usize;
    let mut letters = compact.chars().peekable();
    let mut is_string = false;
    let line = |out: &mut String, level| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", level));
    };
    while let Some(letter) = letters.next() {
        match letter {
            '<' | '>' | '&' => out += &format!("\\u{:04x}", u32::from(letter)),
            '\\' => {
                out.push(letter);
                out.extend(letters.next());
            }
            '"' => {
                is_string = !is_string;
                out.push(letter);
            }
            letter if is_string => out.push(letter),
            '{' | '[' => {
                out.push(letter);
                match letters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        level += 1;
                        line(&mut out, level);
                    }
                }
            }
            '}' | ']' => {
                level = level.saturating_sub(1);
                line(&mut out, level);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                line(&mut out, level);
            }
            ':' => out += ": ",
            letter => out.push(letter),
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn sizes_have_the_digits_of_go() {
        for (size, binary, human) in [
            (0, "0.0 B", "0B"),
            (187, "187.0 B", "187B"),
            (999, "999.0 B", "999B"),
            (1000, "1000.0 B", "1kB"),
            (1_032_541, "1008.3 KiB", "1.033MB"),
            (12_288, "12.0 KiB", "12.29kB"),
            (999_999, "976.6 KiB", "1000kB"),
            (2_002_944, "1.9 MiB", "2.003MB"),
            (u64::MAX, "16.0 EiB", "18.45EB"),
        ] {
            assert_eq!(
                (bytes(size), human_size(size)),
                (binary.to_owned(), human.to_owned())
            );
        }
    }

    #[test]
    fn decimals_are_those_of_the_library() {
        let mut random = Random::new(3);
        for base in [1000.0, 1024.0] {
            for _ in 0..20_000 {
                let size = (1 << random.below(63)) + random.below(1 << 20) as u64;
                let (size, _) = scaled(size, base, &[""; 9]);
                for decimals in 1..=3 {
                    let expected = format!("{size:.0$}", decimals as usize);
                    assert_eq!(decimal(size, decimals), expected);
                }
            }
        }
    }

    #[test]
    fn ages_grow() {
        for (seconds, expected) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (120, "2 minutes"),
            (3_599, "59 minutes"),
            (3_600, "About an hour"),
            (5_400, "2 hours"),
            (172_800, "2 days"),
            (86_400 * 14, "2 weeks"),
            (86_400 * 60, "2 months"),
            (86_400 * 365 * 2, "2 years"),
        ] {
            assert_eq!(
                age(Time::at(1000), Time::at(1000 + seconds)),
                expected,
                "{seconds}"
            );
        }
        let late = Time { seconds: 0, nanos: 5 };
        assert_eq!(age(late, Time::at(1)), "Less than a second");
    }

    #[test]
    fn the_log_is_logruss() {
        let error = "container \"nope\" in namespace \"demo\": not found";
        let line = log_line(
            Time::at(1_735_689_600),
            "error",
            "failed to delete container \"nope\"",
            &[("error", error)],
        );
        let expected = "time=\"2025-01-01T00:00:00Z\" level=error msg=\"failed to delete container \\\"nope\\\"\" \
                        error=\"container \\\"nope\\\" in namespace \\\"demo\\\": not found\"\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn fractions_end_without_zeros() {
        let at = |nanos| instant(Time { seconds: 0, nanos });
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(153_343_180), "1970-01-01T00:00:00.15334318Z");
    }

    #[test]
    fn documents_are_indented() {
        let compact = r#"{"a":[],"b":{"c":[1,"x,y:{}\"<"]},"d":{}}"#;
        let expected = "{\n    \"a\": [],\n    \"b\": {\n        \"c\": [\n            1,\n            \
                        \"x,y:{}\\\"\\u003c\"\n        ]\n    },\n    \"d\": {}\n}\n";
        assert_eq!(indented(compact), expected);
    }
}
