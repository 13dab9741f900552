//! The other formats, each found out by itself.

mod support;

use dunlin_datasets::{Columns, Field, Format, ReadError, ReadOptions, RowError, read_positions};
use dunlin_index::{PositionError, SpaceKind};
use dunlin_stream::ParseTimeError;
use support::{Folder, examples, options, read, rows};

#[test]
fn tdrive_has_no_header() {
    let text =
        "1,2008-02-02 13:30:00,116.5,39.5\r\n\n 2 , 2008-02-02 13:30:01 ,116,39\n2,x,1,1\n3\n";
    for format in [Format::Auto, Format::TDrive] {
        let (trace, rejected) = read("1.txt", text, &options(format)).unwrap();
        assert_eq!(rows(&trace), ["1 1201959000 116.5 39.5", "2 1201959001 116 39"]);
        let time = RowError::Time(ParseTimeError::Form);
        assert_eq!(examples(&rejected), [(4, time), (5, RowError::MissingField(Field::Time))]);
    }
}

const PLT: &str = "Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n\
    0,2,255,My Track,0,0,2,8421376\r\n0\r\n\
    39.984702,116.318417,0,492,39744.1201851852,2008-10-23,02:53:04\r\n\
    400.166666666667,116.3,0,0,39744.12,2008-10-23,02:53:10\r\n\
    39.9,116.3,0,0,39744.12,2008-10-23\r\n";

#[test]
fn geolife_names_the_user_and_has_latitude_first() {
    let folder = Folder::new();
    for (name, object) in [("017/Trajectory/2008.plt", "017"), ("tracks/walk.plt", "walk")] {
        let path = folder.file(name, PLT);
        let (trace, rejected) =
            read_positions(&[path], &ReadOptions::default(), &mut |_| ()).unwrap();
        assert_eq!(rows(&trace), [format!("{object} 1224730384 116.318417 39.984702")]);
        let latitude = RowError::Position(PositionError::Latitude);
        let no_time = RowError::MissingField(Field::Time);
        assert_eq!(examples(&rejected), [(8, latitude), (9, no_time)]);
    }
}

#[test]
fn json_lines_take_strings_and_integers() {
    let text = r#"{"object":"t7","at":[116.39,39.91],"time":"2008-02-02T13:30:00Z"}

        {"time":1201959000123,"at":[116,39,50.5],"object":8,"speed":3}
        {"object":"t9","lon":1.5,"lat":2,"time":"10"}
"#;
    let (trace, rejected) = read("a.ndjson", text, &ReadOptions::default()).unwrap();
    let expected = ["t7 1201959000 116.39 39.91", "8 1201959000.123 116 39", "t9 10 1.5 2"];
    assert_eq!(rows(&trace), expected);
    assert_eq!(rejected.total(), 0);
}

#[test]
fn json_keys_follow_the_columns() {
    let columns = Columns::parse("object=id,time=ts,x=e,y=n", SpaceKind::Plane).unwrap();
    let options = ReadOptions { columns, ..ReadOptions::for_space(SpaceKind::Plane) };
    let text = r#"{"id":-5,"ts":10,"e":1000,"n":2}
        {"object":"a","time":11,"at":[3,4]}"#;
    let (trace, _) = read("a.json", text, &options).unwrap();
    assert_eq!(rows(&trace), ["-5 10 1000 2", "a 11 3 4"]);
}

#[test]
fn bad_json_lines_are_counted() {
    let text = r#"{"object":"a","at":[1,2],"time":1}
{"object":"a","at":[1,2],"time":1
[1,2]
{"object":1.5,"at":[1,2],"time":1}
{"object":"","at":[1,2],"time":1}
{"object":null,"at":[1,2],"time":1}
{"object":"a","at":[1],"time":1}
{"object":"a","at":["1",2],"time":1}
{"object":"a","at":7,"time":1}
{"object":"a","at":[1,2],"time":1.5}
{"object":"a","at":[1,2],"time":true}
{"object":"a","at":[1,91],"time":1}
{"object":"a","at":[1,1e999],"time":1}
{"object":"a","lon":1,"time":1}
"#;
    let (trace, rejected) = read("a", text, &ReadOptions::default()).unwrap();
    assert_eq!(rows(&trace), ["a 1 1 2"]);
    let expected = [
        (RowError::NotJson, 3),
        (RowError::NotAnId(Field::Object), 1),
        (RowError::EmptyObject, 1),
        (RowError::MissingField(Field::Object), 1),
        (RowError::MissingField(Field::Y), 2),
        (RowError::NotANumber(Field::X), 1),
        (RowError::NotAPair, 1),
        (RowError::Time(ParseTimeError::Form), 2),
        (RowError::Position(PositionError::Latitude), 1),
    ];
    assert_eq!(rejected.reasons(), expected);
    assert_eq!(examples(&rejected)[..2], [(2, RowError::NotJson), (3, RowError::NotJson)]);
}

#[test]
fn deep_json_is_a_bad_line() {
    let deep = format!("{{\"at\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let text = format!("{deep}\n{{\"object\":\"a\",\"at\":[1,2],\"time\":1}}\n");
    let (trace, rejected) = read("a", text, &options(Format::Ndjson)).unwrap();
    assert_eq!(rows(&trace), ["a 1 1 2"]);
    assert_eq!(examples(&rejected), [(1, RowError::NotJson)]);
    let error = read("a", &deep, &options(Format::GeoJson)).unwrap_err();
    assert!(matches!(error, ReadError::Json { .. } | ReadError::NotGeoJson { .. }), "{error}");
}

fn feature(object: &str, coordinates: &str) -> String {
    format!(
        r#"{{"type":"Feature","properties":{{{object}"time":"1970-01-01T00:00:10Z"}},
            "geometry":{{"type":"Point","coordinates":{coordinates}}},"id":77}}"#
    )
}

#[test]
fn geojson_takes_points_of_a_collection() {
    let text = format!(
        r#"{{"features":[{},{},
            {{"type":"Feature","properties":null,"geometry":null}},
            {{"type":"Feature","geometry":{{"type":"LineString","coordinates":[[1,2],[3,4]]}}}},
            {{"type":"Feature","geometry":{{"type":"Point","coordinates":[]}}}},
            17
        ],"bbox":[0,0,1,1],"type":"FeatureCollection"}}"#,
        feature(r#""object":"a","#, "[116.5,39.5,12]"),
        feature("", "[1,2]"),
    );
    for (name, format) in [("a.json", Format::Auto), ("a", Format::GeoJson)] {
        let (trace, rejected) = read(name, &text, &options(format)).unwrap();
        assert_eq!(rows(&trace), ["a 10 116.5 39.5", "77 10 1 2"]);
        let expected = [
            (3, RowError::NotAPoint),
            (4, RowError::NotAPoint),
            (5, RowError::MissingField(Field::X)),
            (6, RowError::NotJson),
        ];
        assert_eq!(examples(&rejected), expected);
    }
}

#[test]
fn geojson_takes_one_feature_or_one_a_line() {
    let one = feature(r#""object":"a","#, "[1,2]");
    let (trace, _) = read("a.geojson", &one, &ReadOptions::default()).unwrap();
    assert_eq!(rows(&trace), ["a 10 1 2"]);

    let line = one.replace('\n', " ");
    let text = format!("{line}\n{{broken\n{line}\n");
    for format in [Format::Auto, Format::GeoJson, Format::Ndjson] {
        let (trace, rejected) = read("a.geojson", &text, &options(format)).unwrap();
        assert_eq!(rows(&trace), ["a 10 1 2", "a 10 1 2"], "{format}");
        assert_eq!(examples(&rejected), [(2, RowError::NotJson)]);
    }
}

#[test]
fn what_is_no_whole_geojson_is_an_error() {
    let whole = format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, feature("", "[1,2]"));
    for (text, expected) in [
        (&whole[..whole.len() - 2], "not a whole GeoJSON document"),
        (&format!("{whole}{whole}"), "not a whole GeoJSON document"),
        (r#"{"type":"Point","coordinates":[1,2]}"#, "neither a GeoJSON FeatureCollection"),
        (r#"{"features":{}}"#, "not a whole GeoJSON document"),
        ("[]", "not a whole GeoJSON document"),
    ] {
        let error = read("a", text, &options(Format::GeoJson)).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for text in ["", " \n\t "] {
        assert!(read("a", text, &options(Format::GeoJson)).unwrap().0.is_empty());
    }
}

#[test]
fn a_bad_feature_stops_strict_reading() {
    let text = format!(
        r#"{{"type":"FeatureCollection","features":[{},{}]}}"#,
        feature("", "[1,2]"),
        feature("", "[1,91]")
    );
    let strict = ReadOptions { strict: true, ..ReadOptions::default() };
    let error = read("a", text, &strict).unwrap_err();
    let ReadError::Row { line, reason, .. } = error else { panic!("{error}") };
    assert_eq!((line, reason), (2, RowError::Position(PositionError::Latitude)));
}

#[test]
fn positions_have_the_same_bits_in_every_format() {
    for number in ["116.39150999999999", "0.1", "-122.39488", "7.2057594037927933e1", "5e-324"] {
        let csv = format!("object,time,lon,lat\na,1,{number},0\n");
        let json = format!("{{\"object\":\"a\",\"time\":1,\"at\":[{number},0]}}");
        let at = |text: String| read("a", text, &ReadOptions::default()).unwrap().0.at[0].x;
        assert_eq!(at(csv).to_bits(), at(json).to_bits(), "{number}");
    }
}
