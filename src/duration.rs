//! Durations as people write them: a number with a unit, `200ms 10s 1.5m 1h 7d`, above zero.
//!
//! Numbers are whole or decimal and are read exactly: a duration that is no whole number of
//! milliseconds is an error, not rounded.

use dunlin_stream::EpochClock;

/// A unit by its name, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", DAY_MS)];
const DAY_MS: u64 = 86_400_000;
/// The span of all times that are accepted: ten thousand years.
const MS_MAX: u64 = 10_000 * 365 * DAY_MS;

/// The longest span across events: a hundred years.
const SPAN_MS_MAX: u64 = 100 * 365 * DAY_MS;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// A number alone.
    #[error("add a unit: {0}ms, {0}s, {0}m, {0}h or {0}d")]
    NoUnit(String),
    /// Neither number nor unit, or another unit.
    #[error("write a number and a unit, such as 200ms, 10s, 1.5m, 1h or 7d")]
    Form,
    /// Less than nothing.
    #[error("a duration cannot be negative")]
    Negative,
    /// Nothing.
    #[error("a duration must be longer than zero")]
    Zero,
    /// A part of a millisecond.
    #[error("a duration must be a whole number of milliseconds")]
    TooFine,
    /// Longer than can be.
    #[error("too long: at most {max_days} days")]
    TooLong {
        /// The longest.
        max_days: u64,
    },
}

/// Reads a duration, in milliseconds.
pub fn parse(text: &str) -> Result<i64, DurationError> {
    parse_up_to(text, MS_MAX)
}

/// Reads the length of an epoch, in milliseconds.
pub fn parse_epoch(text: &str) -> Result<i64, DurationError> {
    parse_up_to(text, EpochClock::LENGTH_MS_MAX.unsigned_abs())
}

/// Reads a span of time, which may be zero, in milliseconds.
pub fn parse_span(text: &str) -> Result<i64, DurationError> {
    match parse_up_to(text, SPAN_MS_MAX) {
        Err(DurationError::Zero) => Ok(0),
        span => span,
    }
}

fn parse_up_to(text: &str, max_ms: u64) -> Result<i64, DurationError> {
    if text.starts_with('-') {
        return Err(DurationError::Negative);
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(DurationError::Form);
    }
    if unit.is_empty() {
        return Err(DurationError::NoUnit(number.to_owned()));
    }
    let unit = UNITS.iter().find(|(name, _)| *name == unit).ok_or(DurationError::Form)?.1;
    let too_long = DurationError::TooLong { max_days: max_ms / DAY_MS };
    let whole = whole.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let ms = whole.ok_or(too_long.clone())?.saturating_add(fraction_ms(fraction, unit)?);
    match ms {
        0 => Err(DurationError::Zero),
        ms if ms > max_ms => Err(too_long),
        ms => Ok(i64::try_from(ms).expect("the longest duration fits")),
    }
}

/// The decimals of a number of units; digits beyond the twelfth are below any unit's millisecond.
fn fraction_ms(digits: &str, unit: u64) -> Result<u64, DurationError> {
    let digits = digits.trim_end_matches('0');
    if digits.len() > 12 {
        return Err(DurationError::TooFine);
    }
    let (mut ms, mut scale) = (0, 1);
    for digit in digits.bytes() {
        ms = ms * 10 + u128::from(digit - b'0') * u128::from(unit);
        scale *= 10;
    }
    if ms % scale != 0 {
        return Err(DurationError::TooFine);
    }
    Ok(u64::try_from(ms / scale).expect("a part of a unit fits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_read_exactly() {
        for (text, ms) in [
            ("200ms", 200),
            ("10s", 10_000),
            ("10m", 600_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("0.5s", 500),
            ("1.50m", 90_000),
            ("0.0010s", 1),
            ("0.00000001157407407407d", 0),
            ("365d", EpochClock::LENGTH_MS_MAX),
        ] {
            let expected = if ms == 0 { Err(DurationError::TooFine) } else { Ok(ms) };
            assert_eq!(parse_epoch(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let message = |text| parse_epoch(text).expect_err(text).to_string();
        assert!(message("10").contains("10ms, 10s"), "{}", message("10"));
        assert!(message("1.5").contains("1.5s"));
        for text in ["", "s", ".5s", "1.s", "1.2.3s", "10 s", "10sec", "10S", "1e3s", "ten"] {
            assert!(message(text).contains("such as"), "{text}");
        }
        assert!(message("-1s").contains("negative"));
        assert!(message("0s").contains("longer than zero"));
        assert!(message("0.0s").contains("longer than zero"));
        assert!(message("0.5ms").contains("whole number"));
        for text in ["366d", "365.1d", "99999999999999999999d", "18446744073709551615s"] {
            assert!(message(text).contains("at most 365 days"), "{text}");
        }
        assert_eq!(parse("366d"), Ok(366 * 86_400_000));
        assert!(parse("4000000d").is_err());
        assert_eq!((parse_span("0s"), parse_span("2m")), (Ok(0), Ok(120_000)));
        assert!(parse_span("36501d").is_err());
    }
}
