//! Lines of JSON, a position each: `{"object":"t7","at":[116.39,39.91],"time":"…"}`.
//!
//! A line is read where it lies: its name is borrowed unless it has an escape in it, and nothing is
//! allocated. Other fields are passed over.

use std::borrow::Cow;
use std::fmt;

use dunlin_index::Coord;
use dunlin_query::JsonObject;
use dunlin_stream::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

use super::{Intake, Reason};
use crate::server::error::QueryError;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    at: At,
    time: Option<Time>,
}

/// Two numbers; a third, a height, is passed over.
pub(super) struct At(pub(super) Coord);

/// A time as text or as a whole number.
pub(super) struct Time(pub(super) Timestamp);

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(AtVisitor)
    }
}

struct AtVisitor;

impl<'de> Visitor<'de> for AtVisitor {
    type Value = At;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of two numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<At, A::Error> {
        let mut number = |place| {
            let number: Option<f64> = seq.next_element()?;
            number.ok_or_else(|| A::Error::invalid_length(place, &self))
        };
        let (x, y) = (number(0)?, number(1)?);
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(At(Coord { x, y }))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimeVisitor)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time as text or as a whole number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
        text.parse().map(Time).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Time, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Time, E> {
        self.visit_str(&number.to_string())
    }
}

/// The lines of a body that are not blank, with their numbers from 1.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = Some(body);
    let lines = std::iter::from_fn(move || {
        let left = rest?;
        let end = memchr::memchr(b'\n', left);
        rest = end.map(|end| &left[end + 1..]);
        Some(&left[..end.unwrap_or(left.len())])
    });
    (1..).zip(lines).filter(|(_, line)| !line.trim_ascii().is_empty())
}

/// The words of a JSON error about one line.
pub(super) fn words(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// Takes the lines of a body.
pub(crate) fn read_lines(body: &[u8], intake: &mut Intake<'_>) -> Result<(), QueryError> {
    for (number, line) in lines(body) {
        match serde_json::from_slice::<JsonObject<Line<'_>>>(line) {
            Ok(JsonObject(Line { object, at, time })) => {
                intake.push(number, &object, at.0, time.map(|time| time.0))?;
            }
            Err(error) => intake.reject(number, &Reason::Form(words(&error))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_and_mistakes_are_named() {
        let line = |text: &str| {
            serde_json::from_slice::<JsonObject<Line<'_>>>(text.as_bytes()).map(
                |JsonObject(line)| {
                    (line.object.into_owned(), line.at.0, line.time.map(|time| time.0.as_millis()))
                },
            )
        };
        let at = Coord { x: 116.39, y: 39.91 };
        for (text, object, time) in [
            (
                r#"{"object":"t7","at":[116.39,39.91],"time":"2008-02-02T12:00:00Z"}"#,
                "t7",
                Some(1_201_953_600_000),
            ),
            (
                r#"{"time":1201953600,"speed":3,"at":[116.39,39.91,50,"x"],"object":"é\""}"#,
                "é\"",
                Some(1_201_953_600_000),
            ),
            (r#" {"object":"t7","at":[116.39,39.91],"time":null} "#, "t7", None),
            (r#"{"object":"t7","at":[116.39,39.91]}"#, "t7", None),
        ] {
            assert_eq!(line(text).unwrap(), (object.to_owned(), at, time), "{text}");
        }
        for (text, word) in [
            ("{", "EOF"),
            (r#"["t7",[1,2],null]"#, "an object of JSON"),
            (r#"{"object":"t7"}"#, "missing field `at`"),
            (r#"{"at":[1,2]}"#, "missing field `object`"),
            (r#"{"object":"t7","at":[1]}"#, "invalid length 1"),
            (r#"{"object":7,"at":[1,2]}"#, "invalid type"),
            (r#"{"object":"t7","at":[1,2],"time":"soon"}"#, "not a time"),
            (r#"{"object":"t7","at":[1,2],"time":1.5}"#, "a whole number"),
            (r#"{"object":"t7","at":[1e999,2]}"#, "out of range"),
        ] {
            let error = words(&line(text).unwrap_err());
            assert!(error.contains(word) && !error.contains("line 1"), "{text}: {error}");
        }
    }

    #[test]
    fn names_without_an_escape_are_borrowed() {
        let text = br#"{"object":"t7","at":[1,2]}"#;
        let JsonObject(line): JsonObject<Line<'_>> = serde_json::from_slice(text).unwrap();
        assert!(matches!(line.object, Cow::Borrowed("t7")));
    }

    #[test]
    fn blank_lines_count_and_say_nothing() {
        let found: Vec<_> =
            lines(b"a\r\n\n  \nb\n").map(|(number, line)| (number, line.trim_ascii())).collect();
        assert_eq!(found, [(1, &b"a"[..]), (4, b"b")]);
        assert_eq!(lines(b"").count(), 0);
    }
}
