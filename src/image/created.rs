//! Dates as the documents of an image write them (RFC 3339, section 5.6). Pure arithmetic: there is no clock.

/// The date of a number of seconds since 1970, in UTC: `2025-01-01T00:00:00Z`. `None` outside the years
/// 0 to 9999, which RFC 3339 has no way to write.
pub fn from_seconds(seconds: i64) -> Option<String> {
    let days = seconds.div_euclid(86_400);
    let of_day = seconds.rem_euclid(86_400);
    let (year, month, day) = civil(days)?;
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    ))
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar: eras of 400 years that
/// begin in March, so that the leap day is the last of its year.
fn civil(days: i64) -> Option<(i64, i64, i64)> {
    let days = days.checked_add(719_468)?;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (0..=9999).contains(&year).then_some((year, month, day))
}

/// Whether `text` is a date that readers of images parse: RFC 3339 with a `T` and a `Z` or an offset, as Go
/// reads it (upper case, no leap seconds).
pub fn is_date_time(text: &str) -> bool {
    parse(text.as_bytes()).is_some()
}

fn parse(text: &[u8]) -> Option<()> {
    let (date, time) = text.split_at_checked(10)?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *date else {
        return None;
    };
    let year = two(y0, y1)? * 100 + two(y2, y3)?;
    let month = two(m0, m1)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => return None,
    };
    let (clock, zone) = time.split_at_checked(9)?;
    let [b'T', h0, h1, b':', n0, n1, b':', s0, s1] = *clock else {
        return None;
    };
    let in_range =
        (1..=days).contains(&two(d0, d1)?) && two(h0, h1)? < 24 && two(n0, n1)? < 60 && two(s0, s1)? < 60;
    (in_range && is_zone(after_fraction(zone)?)?).then_some(())
}

/// What follows an optional fraction of a second: a dot and at least one digit.
fn after_fraction(text: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = text.strip_prefix(b".") else {
        return Some(text);
    };
    let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    (digits > 0).then(|| &fraction[digits..])
}

fn is_zone(text: &[u8]) -> Option<bool> {
    match *text {
        [b'Z'] => Some(true),
        [b'+' | b'-', h0, h1, b':', m0, m1] => Some(two(h0, h1)? < 24 && two(m0, m1)? < 60),
        _ => None,
    }
}

fn two(high: u8, low: u8) -> Option<u32> {
    let digit = |d: u8| (d as char).to_digit(10);
    Some(digit(high)? * 10 + digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_seconds() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
        ] {
            assert_eq!(from_seconds(seconds).as_deref(), Some(text));
            assert!(is_date_time(text), "{text}");
        }
        for seconds in [i64::MIN, -62_167_219_201, 253_402_300_800, i64::MAX] {
            assert_eq!(from_seconds(seconds), None);
        }
    }

    #[test]
    fn texts_that_are_dates_and_texts_that_are_not() {
        for text in [
            "2015-10-31T22:22:56.015925234Z",
            "2024-02-29T00:00:00+05:30",
            "2024-01-01T00:00:00.1-00:00",
        ] {
            assert!(is_date_time(text), "{text}");
        }
        for text in [
            "",
            "2024",
            "2024-01-01",
            "2024-01-01 00:00:00Z",
            "2024-01-01t00:00:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00z",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+0530",
            "2024-01-01T00:00:00+25:00",
            "+024-01-01T00:00:00Z",
            "2024-01-01T00:00:00ZZ",
            "yesterday, at n\u{f6}on!",
        ] {
            assert!(!is_date_time(text), "{text}");
        }
    }
}
