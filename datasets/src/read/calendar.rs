//! The commonest layouts of a time, read without a general parser.
//!
//! ```text
//! 2008-02-02 13:30:00    2008-02-02T13:30:00Z    2008-02-02T13:30:00.250Z    1201959000
//! ```
//!
//! Everything else, valid or not, is left to [`Timestamp`]'s own reading, which says the same of
//! these layouts but takes five times as long.

use dunlin_stream::Timestamp;

/// The time in one of the layouts above; `None` for any other text.
#[inline]
pub(crate) fn fixed(text: &[u8]) -> Option<Timestamp> {
    match <&[u8; 10]>::try_from(text) {
        Ok(text) => seconds(text),
        Err(_) => calendar(text),
    }
}

/// Ten digits, which are seconds since 1970: from 2001 to 2286 there are as many.
#[inline]
fn seconds(text: &[u8; 10]) -> Option<Timestamp> {
    let seconds = text.iter().try_fold(0, |seconds, &byte| Some(10 * seconds + digit(byte)?))?;
    Timestamp::from_millis(seconds * 1000).ok()
}

#[inline]
fn calendar(text: &[u8]) -> Option<Timestamp> {
    let (calendar, rest) = text.split_first_chunk::<19>()?;
    let marks = [calendar[4], calendar[7], calendar[13], calendar[16]];
    if marks != *b"--::" || !matches!(calendar[10], b' ' | b'T') {
        return None;
    }
    let pair = |place: usize| Some(10 * digit(calendar[place])? + digit(calendar[place + 1])?);
    let (year, month, day) = (100 * pair(0)? + pair(2)?, pair(5)?, pair(8)?);
    let (hour, minute, second) = (pair(11)?, pair(14)?, pair(17)?);
    // The ends of months and the leap second are left to the general parser.
    let plain = (1..=12).contains(&month) && (1..=28).contains(&day);
    if !(plain && hour < 24 && minute < 60 && second < 60) {
        return None;
    }
    let fraction = match rest {
        [] | [b'Z'] => 0,
        [b'.', a, b, c] | [b'.', a, b, c, b'Z'] => 100 * digit(*a)? + 10 * digit(*b)? + digit(*c)?,
        _ => return None,
    };
    let seconds = (day_number(year, month, day) * 24 + hour) * 3600 + minute * 60 + second;
    Timestamp::from_millis(seconds * 1000 + fraction).ok()
}

#[inline]
fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

/// Days since 1970 of a date of the Gregorian calendar, year 0 or later. Years are counted from
/// March, so that the leap day is the last one of its year.
#[inline]
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    /// From 0000-03-01 to 1970-01-01.
    const DAYS_TO_1970: i64 = 719_468;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // Months from March on have 31, 30, 31, 30, 31 days, over and over.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin_stream::ParseTimeError;
    use proptest::prelude::*;

    /// Reads a time in any form.
    fn parse(text: &str) -> Result<Timestamp, ParseTimeError> {
        fixed(text.as_bytes()).map_or_else(|| text.parse(), Ok)
    }

    #[test]
    fn every_day_is_the_general_parsers() {
        for year in [0, 1, 3, 4, 99, 100, 400, 1600, 1900, 1969, 1970, 2000, 2023, 2024, 9998, 9999]
        {
            for (month, day) in (1..=12).flat_map(|month| (0..=31).map(move |day| (month, day))) {
                let text = format!("{year:04}-{month:02}-{day:02}T23:59:58Z");
                assert_eq!(parse(&text), text.parse(), "{text}");
            }
        }
        assert!(fixed(b"2024-02-28 00:00:00").is_some());
    }

    proptest! {
        #[test]
        fn printed_times_read_back(at in Timestamp::MIN.as_millis()..=Timestamp::MAX.as_millis()) {
            let at = Timestamp::from_millis_unchecked(at);
            prop_assert_eq!(parse(&at.to_string()), Ok(at));
        }

        #[test]
        fn seconds_are_the_general_parsers(text in "[-+ ]?[0-9]{8,12}") {
            prop_assert_eq!(parse(&text), text.parse());
            let is_plain = text.len() == 10 && !text.starts_with(['-', '+', ' ']);
            prop_assert_eq!(fixed(text.as_bytes()).is_some(), is_plain);
        }

        #[test]
        fn near_misses_are_the_general_parsers(
            text in "[0-9]{3,5}-[019][0-9]-[0-39][0-9][ Tt][0-2][0-9]:[0-6][0-9]:[0-6][0-9]\
                     ((\\.[0-9]{0,4})?(Z|z|\\+01:00| )?)?",
            place in 0usize..24,
            letter in "[ -~]?",
        ) {
            prop_assert_eq!(parse(&text), text.parse());
            let mut altered = text;
            if place < altered.len() {
                altered.replace_range(place..=place, &letter);
            }
            prop_assert_eq!(parse(&altered), altered.parse());
        }
    }
}
