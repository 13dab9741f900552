//! Which layout a file has, from its name and its first lines.

use std::path::Path;

use serde_json::Value;

use super::{geolife, tdrive};
use crate::options::Format;

/// How the bytes of one file are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Values under a header.
    Csv,
    /// T-Drive's rows without a header.
    TDrive,
    /// A GeoLife track.
    GeoLife,
    /// One JSON object a line, positions or features.
    JsonLines,
    /// One GeoJSON document.
    GeoJson,
}

/// The layout of the file at `path` whose content begins with `start`.
pub(crate) fn layout(format: Format, path: &Path, start: &[u8]) -> Layout {
    match format {
        Format::Csv => Layout::Csv,
        Format::TDrive => Layout::TDrive,
        Format::GeoLife => Layout::GeoLife,
        Format::Ndjson => Layout::JsonLines,
        Format::GeoJson if is_feature_per_line(start) => Layout::JsonLines,
        Format::GeoJson => Layout::GeoJson,
        Format::Auto => guess(path, start),
    }
}

fn guess(path: &Path, start: &[u8]) -> Layout {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let (first, _) = first_line(start);
    if name.ends_with(".plt") || geolife::is_header(first) {
        Layout::GeoLife
    } else if first.trim_ascii_start().starts_with(b"{") {
        guess_json(name, start)
    } else if tdrive::is_row(first) {
        Layout::TDrive
    } else {
        Layout::Csv
    }
}

/// Lines, unless the name or the content tells of one GeoJSON document.
fn guess_json(name: &str, start: &[u8]) -> Layout {
    let (first, rest) = first_line(start);
    let document = match serde_json::from_slice::<Value>(first) {
        Ok(json) if rest.trim_ascii().is_empty() => {
            let kind = json.get("type").and_then(Value::as_str);
            matches!(kind, Some("FeatureCollection" | "Feature"))
        }
        Ok(_) => false,
        // The first line is not all of it, or it is no JSON: look for what a document would have.
        Err(_) => {
            name.ends_with(".geojson")
                || [&b"\"FeatureCollection\""[..], b"\"Feature\""]
                    .iter()
                    .any(|kind| memchr::memmem::find(start, kind).is_some())
        }
    };
    if document { Layout::GeoJson } else { Layout::JsonLines }
}

/// Whether the first line is a whole feature and others follow.
fn is_feature_per_line(start: &[u8]) -> bool {
    let (first, rest) = first_line(start);
    let json = serde_json::from_slice::<Value>(first);
    let is_feature = json.is_ok_and(|json| json.get("type").is_some_and(|kind| kind == "Feature"));
    is_feature && !rest.trim_ascii().is_empty()
}

/// The first line with anything in it, and what follows.
fn first_line(start: &[u8]) -> (&[u8], &[u8]) {
    let start = start.trim_ascii_start();
    let end = memchr::memchr(b'\n', start).unwrap_or(start.len());
    let (first, rest) = start.split_at(end);
    (first.trim_ascii_end(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(name: &str, start: &str) -> Layout {
        layout(Format::Auto, Path::new(name), start.as_bytes())
    }

    #[test]
    fn names_and_first_lines_tell_the_layout() {
        assert_eq!(auto("a/walk.PLT.gz", "anything"), Layout::GeoLife);
        assert_eq!(auto("a", "Geolife trajectory\r\nWGS 84"), Layout::GeoLife);
        assert_eq!(auto("a.csv", "\n\n1,2008-02-02 13:47:30,0.0,0.0\n"), Layout::TDrive);
        assert_eq!(auto("a.txt", "object,time,lon,lat\n"), Layout::Csv);
        assert_eq!(auto("a", ""), Layout::Csv);
    }

    #[test]
    fn json_lines_are_told_from_documents() {
        let feature = r#"{"type":"Feature","properties":{}}"#;
        let position = r#"{"object":"Feature","at":[1,2],"time":3}"#;
        for (name, start, expected) in [
            ("a", position.to_owned(), Layout::JsonLines),
            ("a.geojson", format!("{position}\n{position}"), Layout::JsonLines),
            ("a", format!(" {feature}\n\n"), Layout::GeoJson),
            ("a", format!("{feature}\n{feature}\n"), Layout::JsonLines),
            ("a", "{\n  \"type\": \"FeatureCollection\",".to_owned(), Layout::GeoJson),
            ("a", r#"{"type":"FeatureCollection","features":[]}"#.to_owned(), Layout::GeoJson),
            ("a", format!(r#"{{"features":[{feature},{{"#), Layout::GeoJson),
            ("a", "{broken\n".to_owned(), Layout::JsonLines),
            ("a.geojson.gz", "{\n".to_owned(), Layout::GeoJson),
        ] {
            assert_eq!(auto(name, &start), expected, "{name} {start}");
        }
    }

    #[test]
    fn one_feature_a_line_is_geojson_too() {
        let lines = b"{\"type\":\"Feature\"}\n{\"type\":\"Feature\"}";
        assert_eq!(layout(Format::GeoJson, Path::new("a"), lines), Layout::JsonLines);
        let single = b"{\"type\":\"Feature\"}\n";
        assert_eq!(layout(Format::GeoJson, Path::new("a"), single), Layout::GeoJson);
    }
}
