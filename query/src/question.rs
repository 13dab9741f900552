//! Questions, and the JSON in which they are put.
//!
//! ```text
//! {"id":"q1","knn":{"k":10,"at":[116.39,39.91]}}           {"id":"q2","knn":{"k":5,"object":"1131"}}
//! {"id":"q3","within":{"radius":500,"at":[116.39,39.91]}}  {"id":"q4","inside":{"area":<Polygon>}}
//! ```

use dunlin_index::{Coord, PositionError, SpaceKind, Window};
use serde::Deserialize;

use crate::area::{Area, AreaError};
use crate::json::{JsonObject, whole_number};

/// Where a question looks from.
#[derive(Clone, Debug, PartialEq)]
pub enum Focus {
    /// A fixed point.
    Point(Coord),
    /// An object, by name; itself it is never in the answer.
    Object(String),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// The `k` objects nearest the focus.
    Knn {
        /// How many, 1 to [`Question::K_MAX`].
        k: usize,
        /// From where.
        focus: Focus,
    },
    /// All objects at most `radius` from the focus.
    Within {
        /// Metres, or units of the plane; finite and not negative.
        radius: f64,
        /// From where.
        focus: Focus,
    },
    /// All objects inside an area or on its boundary.
    Inside(Area),
}

impl Question {
    /// The largest k: more neighbours than that are a dump, not a question.
    pub const K_MAX: usize = 1_000_000;

    /// Where the question looks: its point, or the corner of its area's box with the least x and y;
    /// `None` if it looks from an object.
    #[must_use]
    pub fn place(&self) -> Option<Coord> {
        match self {
            Self::Knn { focus, .. } | Self::Within { focus, .. } => match focus {
                Focus::Point(at) => Some(*at),
                Focus::Object(_) => None,
            },
            Self::Inside(area) => {
                let Window { x: [x, _], y } = area.window();
                Some(Coord { x: x.min, y: y.min })
            }
        }
    }
}

/// A question with the name under which it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Its name, unique among the registered.
    pub id: String,
    /// What it asks.
    pub question: Question,
}

/// Why a text is no query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// Not the JSON of a query.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// No question, or more than one.
    #[error("a query asks one of \"knn\", \"within\" or \"inside\"; this one asks {0}")]
    Kinds(usize),
    /// Neither a point nor an object to look from, or both.
    #[error("\"{0}\" needs either \"at\":[x,y] or \"object\":\"name\"")]
    Focus(&'static str),
    /// k is zero or too large.
    #[error("k is {0}; it must be from 1 to 1000000")]
    K(u64),
    /// The radius is negative.
    #[error("radius is {0}; it must not be negative")]
    Radius(f64),
    /// The point is not in the space.
    #[error("\"at\": {0}")]
    Position(#[from] PositionError),
    /// The area is none.
    #[error("\"area\": {0}")]
    Area(#[from] AreaError),
}

impl Query {
    /// Reads one query from its JSON.
    ///
    /// # Errors
    /// What is wrong with it, in words for who wrote it.
    pub fn from_json(text: &str, space: SpaceKind) -> Result<Self, QuestionError> {
        let JsonObject(line): JsonObject<Line> = serde_json::from_str(text)?;
        let question = match (line.knn, line.within, line.inside) {
            (Some(JsonObject(knn)), None, None) => {
                let k = usize::try_from(knn.k).unwrap_or(usize::MAX);
                if !(1..=Question::K_MAX).contains(&k) {
                    return Err(QuestionError::K(knn.k));
                }
                Question::Knn { k, focus: focus("knn", knn.at, knn.object, space)? }
            }
            (None, Some(JsonObject(within)), None) => {
                if within.radius.is_nan() || within.radius < 0.0 {
                    return Err(QuestionError::Radius(within.radius));
                }
                let focus = focus("within", within.at, within.object, space)?;
                Question::Within { radius: within.radius, focus }
            }
            (None, None, Some(JsonObject(inside))) => {
                Question::Inside(Area::from_geojson(inside.area, space)?)
            }
            (knn, within, inside) => {
                let kinds = [knn.is_some(), within.is_some(), inside.is_some()];
                return Err(QuestionError::Kinds(kinds.iter().filter(|&&asked| asked).count()));
            }
        };
        Ok(Self { id: line.id, question })
    }
}

fn focus(
    kind: &'static str,
    at: Option<[f64; 2]>,
    object: Option<String>,
    space: SpaceKind,
) -> Result<Focus, QuestionError> {
    match (at, object) {
        (Some([x, y]), None) => Ok(Focus::Point(space.check(Coord { x, y })?)),
        (None, Some(object)) => Ok(Focus::Object(object)),
        _ => Err(QuestionError::Focus(kind)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    knn: Option<JsonObject<KnnLine>>,
    within: Option<JsonObject<WithinLine>>,
    inside: Option<JsonObject<InsideLine>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KnnLine {
    #[serde(deserialize_with = "whole_number")]
    k: u64,
    at: Option<[f64; 2]>,
    object: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithinLine {
    radius: f64,
    at: Option<[f64; 2]>,
    object: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InsideLine {
    area: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Query, String> {
        Query::from_json(text, SpaceKind::Sphere).map_err(|error| error.to_string())
    }

    #[test]
    fn the_documented_forms_read() {
        let query = read(r#"{"id":"q1","knn":{"k":10,"at":[116.39,39.91]}}"#).expect("knn");
        let focus = Focus::Point(Coord { x: 116.39, y: 39.91 });
        assert_eq!(query.question, Question::Knn { k: 10, focus });
        for k in ["10.0", "1e1"] {
            let same = read(&format!(r#"{{"id":"q1","knn":{{"k":{k},"at":[116.39,39.91]}}}}"#));
            assert_eq!(same.expect("a whole number").question, query.question);
        }
        let query = read(r#"{"id":"q2","knn":{"k":5,"object":"1131"}}"#).expect("object");
        assert_eq!(query.id, "q2");
        assert!(read(r#"{"id":"q3","within":{"radius":500,"at":[116.39,39.91]}}"#).is_ok());
        let ring = "[[[0,0],[1,0],[1,1],[0,0]]]";
        let inside = format!(
            r#"{{"id":"é 4","inside":{{"area":{{"type":"Polygon","coordinates":{ring}}}}}}}"#
        );
        assert!(matches!(read(&inside).expect("inside").question, Question::Inside(_)));
    }

    /// Rounded a little otherwise, a distance would differ from anybody else's.
    #[test]
    fn numbers_are_the_nearest_to_what_is_written() {
        let query = read(r#"{"id":"q","knn":{"k":1,"at":[-110.17981398790963,0.1]}}"#);
        let query = query.expect("a query");
        let place = query.question.place().expect("a point");
        assert_eq!(Ok(place.x), "-110.17981398790963".parse());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("{", "EOF"),
            (r#"{"id":"a"}"#, "asks 0"),
            (r#"{"knn":{"k":1,"at":[0,0]}}"#, "id"),
            (r#"{"id":"a","knn":{"k":1,"at":[0,0]},"within":{"radius":1,"at":[0,0]}}"#, "asks 2"),
            (r#"{"id":"a","knn":{"k":0,"at":[0,0]}}"#, "k is 0"),
            (r#"{"id":"a","knn":{"k":1000001,"at":[0,0]}}"#, "k is 1000001"),
            (r#"{"id":"a","knn":{"k":-1,"at":[0,0]}}"#, "-1"),
            (r#"{"id":"a","knn":{"k":2.5,"at":[0,0]}}"#, "2.5"),
            (r#"{"id":"a","knn":{"k":1e300,"at":[0,0]}}"#, "1e+300"),
            (r#"{"id":"a","knn":{"k":"3","at":[0,0]}}"#, "whole number"),
            (r#"{"id":"a","knn":{"k":1}}"#, "either"),
            (r#"["a",{"k":1,"at":[0,0]},null,null]"#, "an object"),
            (r#"{"id":"a","knn":[1,[0,0],null]}"#, "an object"),
            (r#"{"id":"a","within":[1,[0,0],null]}"#, "an object"),
            (r#"{"id":"a","inside":[{}]}"#, "an object"),
            (r#"{"id":"a","knn":{"k":1,"at":[0,0],"object":"b"}}"#, "either"),
            (r#"{"id":"a","knn":{"k":1,"at":[0]}}"#, "length"),
            (r#"{"id":"a","knn":{"k":1,"at":[0,91]}}"#, "latitude"),
            (r#"{"id":"a","knn":{"k":1,"to":[0,9]}}"#, "unknown field"),
            (r#"{"id":"a","within":{"radius":-1,"at":[0,0]}}"#, "radius is -1"),
            (r#"{"id":"a","inside":{"area":{"type":"Point","coordinates":[0,0]}}}"#, "Point"),
        ] {
            let message = read(text).expect_err(text);
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
