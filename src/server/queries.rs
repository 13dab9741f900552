//! Queries as they come from clients: read, and held to the server's limits.

use std::borrow::Cow;

use dunlin_index::SpaceKind;
use dunlin_query::{Focus, Query, Question, QuestionError};
use serde_json::Value;

use super::cooccurrence::{CooccurrenceError, CooccurrenceQuery};
use super::error::QueryError;
use super::options::Limits;

/// A query that may stand.
#[derive(Debug)]
pub(crate) enum Checked {
    /// kNN, within or inside, by its id.
    Standing(String),
    /// Co-occurrence.
    Cooccurrence(CooccurrenceQuery),
}

/// Reads a query that is to stand.
pub(crate) fn check(text: &str, space: SpaceKind, limits: &Limits) -> Result<Checked, QueryError> {
    let value = value(text, limits)?;
    if value.get("cooccurrence").is_some() {
        let query = CooccurrenceQuery::from_json(text)?;
        check_name("id", &query.id, limits)?;
        return Ok(Checked::Cooccurrence(query));
    }
    check_vertices(&value, limits)?;
    let Query { id, question } = Query::from_json(text, space)?;
    check_name("id", &id, limits)?;
    check_question(&question, limits)?;
    Ok(Checked::Standing(id))
}

/// Reads a question that is asked once, with an id or without.
pub(crate) fn check_once(
    text: &str,
    space: SpaceKind,
    limits: &Limits,
) -> Result<Question, QueryError> {
    let mut value = value(text, limits)?;
    check_vertices(&value, limits)?;
    if let Some(object) = value.as_object_mut() {
        object.entry("id").or_insert_with(|| Value::from("once"));
    }
    let Query { question, .. } = Query::from_json(&value.to_string(), space)?;
    check_question(&question, limits)?;
    Ok(question)
}

fn value(text: &str, limits: &Limits) -> Result<Value, QueryError> {
    let (bytes, max) = (text.len(), limits.query_bytes_max);
    if bytes > max {
        let detail = format!("the query has {bytes} bytes; this server takes up to {max}");
        return Err(QueryError::Limit { field: "query", detail });
    }
    serde_json::from_str(text).map_err(|error| QuestionError::Json(error).into())
}

fn check_name(field: &'static str, name: &str, limits: &Limits) -> Result<(), QueryError> {
    let max = limits.name_bytes_max;
    if (1..=max).contains(&name.len()) {
        return Ok(());
    }
    let detail = format!("\"{field}\" has {} bytes; it must have 1 to {max}", name.len());
    Err(QueryError::Limit { field, detail })
}

fn check_question(question: &Question, limits: &Limits) -> Result<(), QueryError> {
    if let Question::Knn { k, .. } = question
        && *k > limits.k_max
    {
        let detail = format!("k is {k}; this server answers up to {}", limits.k_max);
        return Err(QueryError::Limit { field: "k", detail });
    }
    match question {
        Question::Knn { focus: Focus::Object(name), .. }
        | Question::Within { focus: Focus::Object(name), .. } => check_name("object", name, limits),
        _ => Ok(()),
    }
}

fn check_vertices(query: &Value, limits: &Limits) -> Result<(), QueryError> {
    let count = query.pointer("/inside/area/coordinates").map_or(0, vertices);
    let max = limits.vertices_max;
    if count <= max {
        return Ok(());
    }
    let detail = format!("the area has {count} vertices; this server takes up to {max}");
    Err(QueryError::Limit { field: "area", detail })
}

/// The positions in nested lists of numbers.
fn vertices(value: &Value) -> usize {
    match value.as_array() {
        Some(items) if items.first().is_some_and(Value::is_number) => 1,
        Some(items) => items.iter().map(vertices).sum(),
        None => 0,
    }
}

impl QueryError {
    /// The field that is wrong, where one is.
    pub(crate) fn field(&self) -> Option<Cow<'static, str>> {
        let field = match self {
            Self::Question(QuestionError::Json(error))
            | Self::Cooccurrence(CooccurrenceError::Json(error)) => {
                return named_in(&error.to_string()).map(|name| name.to_owned().into());
            }
            Self::Limit { field, .. } => field,
            Self::Question(QuestionError::K(_)) => "k",
            Self::Question(QuestionError::Radius(_)) => "radius",
            Self::Question(QuestionError::Position(_) | QuestionError::Focus(_)) => "at",
            Self::Question(QuestionError::Area(_)) => "area",
            Self::Cooccurrence(error) => error.field()?,
            Self::Taken => "id",
            _ => return None,
        };
        Some(field.into())
    }
}

/// The field that serde says is missing or unknown.
fn named_in(message: &str) -> Option<&str> {
    let (_, name) = message.split_once(" field `")?;
    name.split_once('`').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (Option<Cow<'static, str>>, String) {
        let limits = Limits { k_max: 50, vertices_max: 5, name_bytes_max: 4, ..Limits::default() };
        let error = check(text, SpaceKind::Sphere, &limits).map(drop).unwrap_err();
        (error.field(), error.to_string())
    }

    #[test]
    fn limits_are_held_and_the_field_is_named() {
        let ring = "[[[0,0],[1,0],[1,1],[0,1],[0,2],[0,0]]]";
        let inside = |coordinates: &str| {
            format!(
                r#"{{"id":"a","inside":{{"area":{{"type":"Polygon","coordinates":{coordinates}}}}}}}"#
            )
        };
        for (text, field, word) in [
            (r#"{"id":"a","knn":{"k":51,"at":[0,0]}}"#.to_owned(), Some("k"), "up to 50"),
            (r#"{"id":"abcde","knn":{"k":5,"at":[0,0]}}"#.to_owned(), Some("id"), "1 to 4"),
            (r#"{"id":"","knn":{"k":5,"at":[0,0]}}"#.to_owned(), Some("id"), "1 to 4"),
            (r#"{"id":"a","knn":{"k":5,"object":"abcde"}}"#.to_owned(), Some("object"), "1 to 4"),
            (inside(ring), Some("area"), "6 vertices"),
            (inside("[[[0,0],[1,0]]]"), Some("area"), "at least four"),
            (r#"{"id":"a","knn":{"k":5,"at":[0,99]}}"#.to_owned(), Some("at"), "latitude"),
            (r#"{"id":"a","within":{"radius":-1,"at":[0,9]}}"#.to_owned(), Some("radius"), "-1"),
            ("nonsense".to_owned(), None, "expected"),
            ("{}".to_owned(), Some("id"), "missing"),
            (r#"{"id":"a","knn":{"at":[0,0]}}"#.to_owned(), Some("k"), "missing"),
            (r#"{"id":"a","knnn":{}}"#.to_owned(), Some("knnn"), "unknown"),
            (format!("{{\"id\":{}", " ".repeat(600 << 10)), Some("query"), "bytes"),
        ] {
            let (named, message) = refused(&text);
            assert_eq!(named.as_deref(), field, "{text}: {message}");
            assert!(message.contains(word), "{text}: {message}");
        }
    }

    #[test]
    fn a_question_asked_once_needs_no_id() {
        let once = |text| check_once(text, SpaceKind::Plane, &Limits::default());
        assert!(once(r#"{"knn":{"k":5,"at":[0,0]}}"#).is_ok());
        assert!(once(r#"{"id":"a","knn":{"k":5,"at":[0,0]}}"#).is_ok());
        assert!(once(r#"{"knn":{"k":10001,"at":[0,0]}}"#).is_err());
        assert!(once("[]").is_err());
    }
}
