//! GeoJSON: points with a property `object` and perhaps `time`, as a `FeatureCollection`, as one
//! `Feature`, or as some of either, one behind the other.

use dunlin_index::Coord;
use dunlin_stream::Timestamp;
use geojson::{Feature, GeoJson, GeometryValue};
use serde_json::Value;

use super::{Intake, Reason};
use crate::server::error::QueryError;

/// Takes the features of a body; their numbers count from 1.
pub(crate) fn read_features(body: &[u8], intake: &mut Intake<'_>) -> Result<(), QueryError> {
    for (number, feature) in (1..).zip(&features(body)?) {
        match report(feature) {
            Ok((object, at, time)) => intake.push(number, object, at, time)?,
            Err(reason) => intake.reject(number, &reason),
        }
    }
    Ok(())
}

fn features(body: &[u8]) -> Result<Vec<Feature>, QueryError> {
    let wrong = |what: String| QueryError::Limit {
        field: "body",
        detail: format!("the body is no GeoJSON Feature or FeatureCollection: {what}"),
    };
    let mut features = Vec::new();
    for part in serde_json::Deserializer::from_slice(body).into_iter::<GeoJson>() {
        match part.map_err(|error| wrong(error.to_string()))? {
            GeoJson::FeatureCollection(collection) => features.extend(collection.features),
            GeoJson::Feature(feature) => features.push(feature),
            GeoJson::Geometry(_) => return Err(wrong("a geometry has no object".to_owned())),
        }
    }
    if features.is_empty() && body.trim_ascii().is_empty() {
        return Err(wrong("there is nothing".to_owned()));
    }
    Ok(features)
}

fn report(feature: &Feature) -> Result<(&str, Coord, Option<Timestamp>), Reason> {
    let form = |what: &str| Reason::Form(what.to_owned());
    let at = match feature.geometry.as_ref().map(|geometry| &geometry.value) {
        Some(GeometryValue::Point { coordinates }) => match *coordinates.as_slice() {
            [x, y, ..] => Coord { x, y },
            _ => return Err(form("a point has fewer than two numbers")),
        },
        _ => return Err(form("the geometry is no Point")),
    };
    let property = |name: &str| feature.properties.as_ref().and_then(|it| it.get(name));
    let object = property("object").and_then(Value::as_str);
    let time = match property("time") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.parse().map_err(Reason::Time)?),
        Some(number) => Some(number.to_string().parse().map_err(Reason::Time)?),
    };
    Ok((object.ok_or_else(|| form("the property \"object\" is missing"))?, at, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Coord, Option<i64>), String> {
        let feature: Feature = serde_json::from_str(text).unwrap();
        let report = report(&feature).map_err(|reason| reason.to_string());
        report.map(|(object, at, time)| (object.to_owned(), at, time.map(Timestamp::as_millis)))
    }

    #[test]
    fn features_come_alone_in_a_collection_or_in_lines() {
        let feature = r#"{"type":"Feature","geometry":null,"properties":null}"#;
        let collection = format!(r#"{{"type":"FeatureCollection","features":[{feature}]}}"#);
        for (body, count) in [
            (feature.to_owned(), 1),
            (collection.clone(), 1),
            (format!("{feature}\n{collection}\n {feature}\n"), 3),
            (r#"{"type":"FeatureCollection","features":[]}"#.to_owned(), 0),
        ] {
            assert_eq!(features(body.as_bytes()).unwrap().len(), count, "{body}");
        }
        for body in ["", " \n", "{", "[]", r#"{"type":"Point","coordinates":[1,2]}"#] {
            let error = features(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("no GeoJSON Feature"), "{body}: {error}");
        }
    }

    #[test]
    fn points_with_an_object_read() {
        let feature = |geometry: &str, properties: &str| {
            format!(r#"{{"type":"Feature","geometry":{geometry},"properties":{properties}}}"#)
        };
        let point = r#"{"type":"Point","coordinates":[1.5,2,7]}"#;
        let at = Coord { x: 1.5, y: 2.0 };
        let found = read(&feature(point, r#"{"object":"a","time":1201953600}"#));
        assert_eq!(found, Ok(("a".to_owned(), at, Some(1_201_953_600_000))));
        assert_eq!(read(&feature(point, r#"{"object":"a"}"#)), Ok(("a".to_owned(), at, None)));
        for (geometry, properties, word) in [
            (point, "{}", "object"),
            (point, "null", "object"),
            (point, r#"{"object":"a","time":"soon"}"#, "not a time"),
            ("null", r#"{"object":"a"}"#, "no Point"),
            (
                r#"{"type":"LineString","coordinates":[[1,2],[3,4]]}"#,
                r#"{"object":"a"}"#,
                "no Point",
            ),
        ] {
            let reason = read(&feature(geometry, properties)).unwrap_err();
            assert!(reason.contains(word), "{reason}");
        }
    }
}
