//! Times as text, in UTC, and back.

use crate::tree::Time;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

const DAY: i64 = 86_400;

/// Half of a mean Gregorian year, in seconds: what is older is listed with its year.
const HALF_YEAR: i64 = 31_556_952 / 2;

/// The years that are reckoned with; farther ones are shown as seconds.
const YEARS: std::ops::RangeInclusive<i64> = -9_999..=99_999;

struct Civil {
    year: i64,
    month: i64,
    day: i64,
    /// Seconds of the day.
    rest: i64,
}

/// The date of a number of seconds since 1970: the era arithmetic of 400-year cycles that begin in March.
fn civil(seconds: i64) -> Civil {
    let days = seconds.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: of_year - (153 * from_march + 2) / 5 + 1,
        rest: seconds.rem_euclid(DAY),
    }
}

/// The seconds since 1970 at the beginning of a date.
fn seconds_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    (era * 146_097 + of_era - 719_468) * DAY
}

/// As `ls -l` has it: with the hour if it is of the last half year, else with the year.
pub(super) fn listed(time: Time, now: Time) -> String {
    let date = civil(time.seconds);
    if !YEARS.contains(&date.year) {
        return time.seconds.to_string();
    }
    let month = MONTHS[date.month as usize - 1];
    let is_recent = time <= now && now.seconds.saturating_sub(HALF_YEAR) < time.seconds;
    match is_recent {
        true => format!(
            "{month} {:2} {:02}:{:02}",
            date.day,
            date.rest / 3600,
            date.rest / 60 % 60
        ),
        false => format!("{month} {:2} {:5}", date.day, date.year),
    }
}

/// As `stat` has it.
pub(super) fn whole(time: Time) -> String {
    let date = civil(time.seconds);
    if !YEARS.contains(&date.year) {
        return format!("{}.{:09}", time.seconds, time.nanos);
    }
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:09} +0000",
        date.year,
        date.month,
        date.day,
        date.rest / 3600,
        date.rest / 60 % 60,
        date.rest % 60,
        time.nanos
    )
}

/// The number of ASCII digits that make up all of a text.
fn digits(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn date_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let seconds = ((1..=12).contains(&month) && day >= 1).then(|| seconds_of(year, month, day))?;
    let date = civil(seconds);
    (date.year == year && date.month == month && date.day == day).then_some(seconds)
}

fn clock_of(hours: i64, minutes: i64, seconds: i64) -> Option<i64> {
    let is_valid = hours < 24 && minutes < 60 && seconds <= 60;
    is_valid.then_some(hours * 3600 + minutes * 60 + seconds)
}

/// `touch -t`: `[[CC]YY]MMDDhhmm[.ss]`.
pub(super) fn parse_stamp(text: &[u8], now: Time) -> Option<Time> {
    let text = std::str::from_utf8(text).ok()?;
    let (stamp, seconds) = match text.split_once('.') {
        Some((stamp, seconds)) if seconds.len() == 2 => (stamp, digits(seconds)?),
        Some(_) => return None,
        None => (text, 0),
    };
    let number = digits(stamp)?;
    let year = match stamp.len() {
        8 => civil(now.seconds).year,
        10 => {
            let year = number / 100_000_000;
            if year < 69 { 2000 + year } else { 1900 + year }
        }
        12 => number / 100_000_000,
        _ => return None,
    };
    let date = date_of(year, number / 1_000_000 % 100, number / 10_000 % 100)?;
    let clock = clock_of(number / 100 % 100, number % 100, seconds)?;
    Some(Time::at(date + clock))
}

/// `touch -d`, of the many forms that people write: `@SECONDS`, `now`, and a date with or without a time of day.
pub(super) fn parse_date(text: &[u8], now: Time) -> Option<Time> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if text == "now" {
        return Some(now);
    }
    if let Some(seconds) = text.strip_prefix('@') {
        let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
        let (digits_only, is_negative) = match whole.strip_prefix('-') {
            Some(whole) => (whole, true),
            None => (whole, false),
        };
        let seconds = digits(digits_only)?;
        let nanos = nanos_of(fraction)?;
        return Some(match (is_negative, nanos) {
            (false, nanos) => Time { seconds, nanos },
            (true, 0) => Time::at(-seconds),
            (true, nanos) => Time {
                seconds: -seconds - 1,
                nanos: 1_000_000_000 - nanos,
            },
        });
    }
    let text = ["Z", " UTC", " +0000"]
        .iter()
        .find_map(|zone| text.strip_suffix(zone))
        .unwrap_or(text);
    let (date, clock) = text.split_once([' ', 'T']).unwrap_or((text, "0:0"));
    let mut parts = date.split('-').map(digits);
    let [year, month, day] = [parts.next()??, parts.next()??, parts.next()??];
    if parts.next().is_some() {
        return None;
    }
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.trim().split(':');
    let hours = digits(parts.next()?)?;
    let minutes = digits(parts.next()?)?;
    let seconds = parts.next().map_or(Some(0), digits)?;
    if parts.next().is_some() {
        return None;
    }
    Some(Time {
        seconds: date_of(year, month, day)? + clock_of(hours, minutes, seconds)?,
        nanos: nanos_of(fraction)?,
    })
}

/// A fraction of a second; digits after the ninth are cut off.
fn nanos_of(fraction: &str) -> Option<u32> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    padded.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_and_go() {
        // date -u -d @SECONDS
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (1_700_000_000, "2023-11-14 22:13:20"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(whole(Time::at(seconds)), format!("{text}.000000000 +0000"));
            assert_eq!(parse_date(text.as_bytes(), Time::at(5)), Some(Time::at(seconds)));
        }
        assert_eq!(whole(Time::at(i64::MAX)), format!("{}.000000000", i64::MAX));
        assert_eq!(listed(Time::at(i64::MIN), Time::at(0)), i64::MIN.to_string());
    }

    #[test]
    fn what_is_no_date() {
        let now = Time::at(1_700_000_000);
        for text in [
            "",
            "x",
            "2023-02-29",
            "2023-13-01",
            "2023-01-01 25:00",
            "@",
            "@x",
            "2023-1",
        ] {
            assert_eq!(parse_date(text.as_bytes(), now), None, "{text}");
        }
        assert_eq!(
            parse_date(b"2023-11-14T22:13:20.5Z", now).unwrap().nanos,
            500_000_000
        );
        assert_eq!(
            parse_date(b"@-1.5", now),
            Some(Time {
                seconds: -2,
                nanos: 500_000_000
            })
        );
        assert_eq!(parse_stamp(b"202311142213.20", now), Some(now));
        assert_eq!(parse_stamp(b"2311142213.20", now), Some(now));
        assert_eq!(parse_stamp(b"11142213.20", now), Some(now));
        for text in ["", "1", "13142213", "202311142213.2"] {
            assert_eq!(parse_stamp(text.as_bytes(), now), None, "{text}");
        }
    }
}
