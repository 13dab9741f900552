//! Event time: milliseconds since 1970-01-01 UTC.
//!
//! Text is read in the three forms that position feeds use (RFC 3339, `YYYY-MM-DD HH:MM:SS[.fff]`
//! without a zone, integer seconds or milliseconds) and written in one: RFC 3339 with three
//! decimals and `Z`. Years 0 to 9998 are accepted, so every time and every epoch's end prints.

use std::fmt;

use jiff::civil;
use serde::{Deserialize, Serialize};

/// An instant of event time, in milliseconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use dunlin_stream::Timestamp;
///
/// let noon: Timestamp = "2008-02-02 12:00:00".parse()?;
/// assert_eq!(noon, "2008-02-02T13:00:00+01:00".parse()?);
/// assert_eq!(noon, "1201953600".parse()?);
/// assert_eq!(noon.to_string(), "2008-02-02T12:00:00.000Z");
/// # Ok::<(), dunlin_stream::ParseTimeError>(())
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Timestamp(i64);

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTimeError {
    /// The text has none of the accepted forms.
    #[error("not a time (RFC 3339, YYYY-MM-DD HH:MM:SS, or seconds or milliseconds since 1970)")]
    Form,
    /// The text is a time outside the years 0 to 9998.
    #[error("time outside the years 0 to 9998")]
    Range,
}

/// Integers at least this large (in absolute value) count milliseconds, smaller ones seconds.
const MILLISECONDS_FROM: u64 = 100_000_000_000;

/// Length of `YYYY-MM-DD HH:MM:SS`, the shortest calendar form.
const CALENDAR_LEN: usize = 19;

impl Timestamp {
    /// The first accepted instant: 0000-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_167_219_200_000);
    /// The last accepted instant: 9998-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_370_764_799_999);

    /// The first instant after all accepted ones: the watermark of a stream that has ended.
    pub const END: Self = Self(Self::MAX.0 + 1);

    /// An instant from milliseconds since 1970.
    ///
    /// # Errors
    /// [`ParseTimeError::Range`] outside [`Timestamp::MIN`] to [`Timestamp::MAX`].
    pub fn from_millis(millis: i64) -> Result<Self, ParseTimeError> {
        let instant = Self(millis);
        if (Self::MIN..=Self::MAX).contains(&instant) {
            Ok(instant)
        } else {
            Err(ParseTimeError::Range)
        }
    }

    /// An instant that the caller computed from accepted ones, such as the end of an epoch.
    #[must_use]
    pub const fn from_millis_unchecked(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    fn from_integer(number: i64) -> Result<Self, ParseTimeError> {
        let scale = if number.unsigned_abs() >= MILLISECONDS_FROM { 1 } else { 1000 };
        Self::from_millis(number * scale)
    }

    fn from_calendar(text: &str) -> Result<Self, ParseTimeError> {
        if text.len() < CALENDAR_LEN || !text.is_ascii() {
            return Err(ParseTimeError::Form);
        }
        let zone = text[CALENDAR_LEN..].contains(['Z', 'z', '+', '-', '[']);
        let instant = if zone {
            text.parse::<jiff::Timestamp>().map_err(|_| ParseTimeError::Form)?
        } else {
            let local = text.parse::<civil::DateTime>().map_err(|_| ParseTimeError::Form)?;
            jiff::tz::TimeZone::UTC.to_timestamp(local).map_err(|_| ParseTimeError::Range)?
        };
        let (seconds, nanos) = (instant.as_second(), instant.subsec_nanosecond());
        Self::from_millis(seconds * 1000 + i64::from((nanos + 500_000).div_euclid(1_000_000)))
    }
}

impl std::str::FromStr for Timestamp {
    type Err = ParseTimeError;

    /// Reads one of the accepted forms; surrounding white space is ignored, fractions finer than
    /// a millisecond are rounded.
    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        let text = text.trim();
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::from_integer(text.parse().map_err(|_| ParseTimeError::Range)?);
        }
        Self::from_calendar(text)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with three decimals: `2008-02-02T13:40:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => write!(f, "{} ms since 1970", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(text: &str) -> Result<i64, ParseTimeError> {
        text.parse().map(Timestamp::as_millis)
    }

    #[test]
    fn every_form_reads() {
        let noon = 1_201_953_600_000;
        for text in [
            "2008-02-02T12:00:00Z",
            "2008-02-02t12:00:00z",
            "2008-02-02 12:00:00",
            " 2008-02-02T12:00:00.000 ",
            "2008-02-02 12:00:00Z",
            "2008-02-02T20:00:00+08:00",
            "2008-02-02T06:30:00-05:30",
            "1201953600",
            "1201953600000",
        ] {
            assert_eq!(millis(text), Ok(noon), "{text}");
        }
        assert_eq!(millis("2008-02-02 12:00:00.5"), Ok(noon + 500));
        assert_eq!(millis("2008-02-02 12:00:00.0006"), Ok(noon + 1));
        assert_eq!(millis("1969-12-31 23:59:59.9996"), Ok(0));
        assert_eq!(millis("1969-12-31 23:59:59.250"), Ok(-750));
        assert_eq!(millis("-5"), Ok(-5000));
    }

    #[test]
    fn seconds_end_where_milliseconds_begin() {
        assert_eq!(millis("99999999999"), Ok(99_999_999_999_000));
        assert_eq!(millis("100000000000"), Ok(100_000_000_000));
        assert_eq!(millis("-100000000000"), Ok(-100_000_000_000));
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in
            ["", " ", "-", "now", "2008-02-02", "2008-02-02 12:00", "12.5", "1e9", "２００８"]
        {
            assert_eq!(millis(text), Err(ParseTimeError::Form), "{text}");
        }
        for text in ["2008-02-30 12:00:00", "2008-02-02 25:00:00", "2008-02-02 12:00:00 nonsense"] {
            assert_eq!(millis(text), Err(ParseTimeError::Form), "{text}");
        }
        for text in ["9223372036854775807", "99999999999999999999", "9999-06-01 00:00:00"] {
            assert_eq!(millis(text), Err(ParseTimeError::Range), "{text}");
        }
    }

    proptest! {
        #[test]
        fn printed_times_read_back(at in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let printed = Timestamp(at).to_string();
            prop_assert_eq!(millis(&printed), Ok(at), "{}", printed);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = millis(&text);
        }
    }
}
