//! What real CSV files look like: every oddity that the reader promises to survive.

mod support;

use dunlin_datasets::{Columns, Field, Format, ReadError, ReadOptions, RowError};
use dunlin_index::{PositionError, SpaceKind};
use dunlin_stream::ParseTimeError;
use support::{csv, examples, options, read, rows};

#[test]
fn line_ends_and_byte_order_mark_do_not_show() {
    let text = "\u{feff}object,time,lon,lat\r\nt1,10,116.5,39.5\r\n\r\nt2,11,116,39";
    assert_eq!(rows(&csv(text).0), ["t1 10 116.5 39.5", "t2 11 116 39"]);
}

#[test]
fn columns_are_found_by_name() {
    let text = "lat, lon ,speed,time,object,time\n39,116,9,10,t1,77\n38,115,,11,t2,78,more\n";
    let (trace, rejected) = csv(text);
    assert_eq!(rows(&trace), ["t1 10 116 39", "t2 11 115 38"]);
    assert_eq!(rejected.total(), 0);
}

#[test]
fn quoted_fields_keep_commas_lines_and_quotes() {
    let text = concat!(
        "object,\"time\",lon,lat\n",
        "\"a, \"\"b\"\"\r\nc\",10,\"1\",2\n",
        "x,10,1,\n",
        "mid\"dle,11,1,2\n",
        "\"late\"st,12,1,2\n"
    );
    let (trace, rejected) = csv(text);
    let expected = ["a, \"b\"\r\nc 10 1 2", "mid\"dle 11 1 2", "latest 12 1 2"];
    assert_eq!(rows(&trace), expected);
    // The quoted row takes lines 2 and 3.
    assert_eq!(examples(&rejected), [(4, RowError::NotANumber(Field::Y))]);
}

#[test]
fn an_open_quote_costs_one_row() {
    let (trace, rejected) = csv("object,time,lon,lat\na,1,1,1\n\"b,1,1,1\nc,1,1,1\n");
    assert_eq!(rows(&trace), ["a 1 1 1"]);
    assert_eq!(examples(&rejected), [(3, RowError::OpenQuote)]);

    let mut long = "object,time,lon,lat\n\"b,1,1,1\n".to_owned();
    (0..100_000).for_each(|row| long += &format!("c,{row},1,1\n"));
    let (trace, rejected) = csv(&long);
    assert_eq!(examples(&rejected), [(2, RowError::TooLong)]);
    assert!(trace.len() > 1_000, "{} rows after the quote", trace.len());
}

#[test]
fn ids_are_kept_as_they_stand() {
    let text = "object,time,lon,lat\n taxi 7 ,10,1,2\nДома,11,1,2\n出租车,12,1,2\n007,13,1,2\n";
    let expected = [" taxi 7  10 1 2", "Дома 11 1 2", "出租车 12 1 2", "007 13 1 2"];
    assert_eq!(rows(&csv(text).0), expected);
}

#[test]
fn numbers_and_times_are_trimmed() {
    let text = "object,time,lon,lat\na, 2008-02-02 13:30:00 , 1.5 ,\t-2e0\n";
    assert_eq!(rows(&csv(text).0), ["a 1201959000 1.5 -2"]);
}

#[test]
fn nothing_is_no_records() {
    for text in ["", "\n\r\n\n", "object,time,lon,lat", "\u{feff}object,time,lon,lat\r\n"] {
        let (trace, rejected) = csv(text);
        assert!(trace.is_empty() && rejected.total() == 0, "{text:?}");
    }
}

#[test]
fn a_missing_column_says_what_the_file_has() {
    let error = read("a.csv", "\nid,time,lon,lat\n", &ReadOptions::default()).unwrap_err();
    let ReadError::MissingColumn { line, ref column, ref found, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((line, column.as_str()), (2, "object"));
    assert_eq!(found, &["id", "time", "lon", "lat"]);
    let message = error.to_string();
    assert!(message.contains("a.csv:2: no column \"object\" among \"id\", \"time\""), "{message}");
    assert!(message.contains("--columns object=ID,time=T,lon=LON,lat=LAT"), "{message}");
}

#[test]
fn columns_may_have_other_names_and_the_plane() {
    let columns = Columns::parse("object=\"taxi, no\",x=east", SpaceKind::Plane).unwrap();
    let options = ReadOptions { columns, ..ReadOptions::for_space(SpaceKind::Plane) };
    let text = "\"taxi, no\",time,east,y\na,1,1000,-2000\nb,1,1e200,0\n";
    let (trace, rejected) = read("a.csv", text, &options).unwrap();
    assert_eq!(rows(&trace), ["a 1 1000 -2000"]);
    assert_eq!(examples(&rejected), [(3, RowError::Position(PositionError::TooLarge))]);
}

#[test]
fn bad_rows_are_counted_by_reason_with_their_lines() {
    let text = b"object,time,lon,lat\n\
        a,1,1,1\n\
        a,1,1\n\
        ,1,1,1\n\
        a,soon,1,1\n\
        a,1,east,1\n\
        a,1,nan,1\n\
        a,1,1,-inf\n\
        a,1,181,1\n\
        a,1,1,90.5\n\
        \xff,1,1,1\n\
        a\n\
        a,99999999999999999999,1,1\n\
        b,1,1,1\n";
    let (trace, rejected) = csv(text);
    assert_eq!(rows(&trace), ["a 1 1 1", "b 1 1 1"]);
    let expected = [
        (RowError::MissingField(Field::Y), 1),
        (RowError::EmptyObject, 1),
        (RowError::Time(ParseTimeError::Form), 1),
        (RowError::NotANumber(Field::X), 1),
        (RowError::Position(PositionError::NotFinite), 2),
        (RowError::Position(PositionError::Longitude), 1),
        (RowError::Position(PositionError::Latitude), 1),
        (RowError::NotText(Field::Object), 1),
        (RowError::MissingField(Field::Time), 1),
        (RowError::Time(ParseTimeError::Range), 1),
    ];
    assert_eq!(rejected.reasons(), expected);
    assert_eq!(rejected.total(), 11);
    let lines: Vec<u64> = rejected.examples().iter().map(|row| row.line).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7]);
}

#[test]
fn strict_reading_stops_at_the_first_bad_row() {
    let strict = ReadOptions { strict: true, ..options(Format::Csv) };
    let text = "object,time,lon,lat\na,1,1,1\n\na,1,200,1\n";
    let error = read("a.csv", text, &strict).unwrap_err();
    let ReadError::Row { line, reason, .. } = error else { panic!("{error}") };
    assert_eq!((line, reason), (4, RowError::Position(PositionError::Longitude)));
    assert!(error.to_string().contains("a.csv:4: longitude outside"), "{error}");
}

#[test]
fn unsorted_rows_sort_stably() {
    let (mut trace, _) = csv("object,time,lon,lat\nb,2,1,1\na,1,2,2\nb,1,3,3\na,2,4,4\n");
    trace.sort_by_time();
    assert_eq!(rows(&trace), ["a 1 2 2", "b 1 3 3", "b 2 1 1", "a 2 4 4"]);
}

#[test]
fn a_huge_line_is_one_bad_row() {
    let text = format!("object,time,lon,lat\na,1,1,{}\nb,1,1,1\n", "1".repeat(3 << 20));
    let (trace, rejected) = csv(text);
    assert_eq!(rows(&trace), ["b 1 1 1"]);
    assert_eq!(examples(&rejected), [(2, RowError::TooLong)]);
}
