//! Files of events: CSV and JSON lines with their oddities, unread plates, and a model of them all.

mod support;

use dunlin_datasets::{
    EventColumns, EventOptions, Events, Field, ReadError, Rejected, RowError, read_events,
};
use dunlin_stream::ParseTimeError;
use proptest::prelude::*;
use support::{Folder, examples, gzip};

fn read(content: impl AsRef<[u8]>) -> Result<(Events, Rejected), ReadError> {
    read_with(content, &EventOptions::default())
}

fn read_with(
    content: impl AsRef<[u8]>,
    options: &EventOptions,
) -> Result<(Events, Rejected), ReadError> {
    let folder = Folder::new();
    read_events(&[folder.file("passages", content)], options, &mut |_| ())
}

fn strict() -> EventOptions {
    EventOptions { strict: true, ..EventOptions::default() }
}

/// The rows as text: `stream object milliseconds`.
fn rows(events: &Events) -> Vec<String> {
    assert_eq!((events.len(), events.len()), (events.streams.len(), events.objects.len()));
    (0..events.len())
        .map(|row| {
            let stream = events.stream_names.name(events.streams[row]);
            let object = events.object_names.name(events.objects[row]);
            format!("{stream} {object} {}", events.times[row].as_millis())
        })
        .collect()
}

#[test]
fn columns_are_found_by_name() {
    let text = "object,speed, time ,stream\nB1,80,10,c1\nB2,,2016-09-19 08:00:01.25,c2,more\n";
    let (events, rejected) = read(text).unwrap();
    assert_eq!(rows(&events), ["c1 B1 10000", "c2 B2 1474272001250"]);
    assert_eq!(rejected, Rejected::default());

    let columns = EventColumns::parse("stream=link,object=vehicle").unwrap();
    let options = EventOptions { columns, ..EventOptions::default() };
    let (events, _) = read_with("link,vehicle,time\n100,x,7\n", &options).unwrap();
    assert_eq!(rows(&events), ["100 x 7000"]);
    let json =
        "{\"link\":100,\"vehicle\":\"x\",\"time\":7}\n{\"stream\":1,\"object\":2,\"time\":8}";
    assert_eq!(rows(&read_with(json, &options).unwrap().0), ["100 x 7000", "1 2 8000"]);
}

#[test]
fn line_ends_and_byte_order_mark_do_not_show() {
    let text = "\u{feff}stream,object,time\r\nc1,B1,10\r\n\r\nc2,B2,11";
    assert_eq!(rows(&read(text).unwrap().0), ["c1 B1 10000", "c2 B2 11000"]);
    let text = "\u{feff}\r\n{\"stream\":\"c1\",\"object\":\"B1\",\"time\":10}\r\n";
    assert_eq!(rows(&read(text).unwrap().0), ["c1 B1 10000"]);
}

#[test]
fn quoted_fields_keep_commas_lines_and_quotes() {
    let text = "stream,\"object\",time\n\"c, \"\"1\"\"\",\"B\n1\",10\nc2,\"\",11\n,\"B\",12\n";
    let (events, rejected) = read(text).unwrap();
    assert_eq!(rows(&events), ["c, \"1\" B\n1 10000"]);
    assert_eq!(rejected.without_object(), 1);
    assert_eq!(examples(&rejected), [(5, RowError::EmptyStream)]);
}

#[test]
fn names_are_kept_as_they_stand() {
    let text = "stream,object,time\n c1 , B 1 ,10\nκάμερα,津A·001,11\n007,7,12\n";
    let expected = [" c1   B 1  10000", "κάμερα 津A·001 11000", "007 7 12000"];
    assert_eq!(rows(&read(text).unwrap().0), expected);
}

#[test]
fn nothing_is_no_events() {
    for text in ["", "\n\r\n\n", "\u{feff}", "stream,object,time", "stream,object,time\r\n"] {
        let (events, rejected) = read_with(text, &strict()).unwrap();
        assert!(events.is_empty() && rejected == Rejected::default(), "{text:?}");
    }
}

#[test]
fn a_missing_column_says_what_the_file_has() {
    let error = read("link,object,time\n1,a,1\n").unwrap_err();
    let ReadError::MissingColumn { line, ref column, ref found, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((line, column.as_str()), (1, "stream"));
    assert_eq!(found, &["link", "object", "time"]);
    let message = error.to_string();
    assert!(message.contains("--columns stream=CAM,object=PLATE,time=T"), "{message}");
}

#[test]
fn bad_rows_are_counted_by_reason_with_their_lines() {
    let text = b"stream,object,time\n\
        c1,B1,1\n\
        c1,B1\n\
        ,B1,1\n\
        c1,B1,soon\n\
        c1,,soon\n\
        \xff,B1,1\n\
        c1,\xff,1\n\
        c1\n\
        c1,B1,99999999999999999999\n\
        \"c1,B1,1\n";
    let (events, rejected) = read(text).unwrap();
    assert_eq!(rows(&events), ["c1 B1 1000"]);
    let expected = [
        (RowError::MissingField(Field::Time), 1),
        (RowError::EmptyStream, 1),
        (RowError::Time(ParseTimeError::Form), 2),
        (RowError::NotText(Field::Stream), 1),
        (RowError::NotText(Field::Object), 1),
        (RowError::MissingField(Field::Object), 1),
        (RowError::Time(ParseTimeError::Range), 1),
        (RowError::OpenQuote, 1),
    ];
    assert_eq!(rejected.reasons(), expected);
    assert_eq!((rejected.total(), rejected.without_object()), (9, 0));
    let lines: Vec<u64> = rejected.examples().iter().map(|row| row.line).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7]);
}

#[test]
fn bad_lines_of_json_are_counted_too() {
    let text = concat!(
        "{\"stream\":\"c1\",\"object\":\"B1\",\"time\":\"2016-09-19T08:00:01Z\"}\n",
        "{\"stream\":\"c1\",\"object\":\"\",\"time\":1}\n",
        "{\"stream\":\"c1\",\"object\":null,\"time\":1}\n",
        "{\"stream\":\"c1\",\"time\":1}\n",
        "{\"stream\":null,\"object\":\"B1\",\"time\":1}\n",
        "{\"stream\":\"\",\"object\":\"\",\"time\":1}\n",
        "{\"stream\":[],\"object\":\"B1\",\"time\":1}\n",
        "{\"stream\":\"c1\",\"object\":\"\",\"time\":1.5}\n",
        "{\"stream\":\n",
    );
    let (events, rejected) = read(text).unwrap();
    assert_eq!(rows(&events), ["c1 B1 1474272001000"]);
    assert_eq!(rejected.without_object(), 2);
    let expected = [
        (RowError::MissingField(Field::Object), 1),
        (RowError::MissingField(Field::Stream), 1),
        (RowError::EmptyStream, 1),
        (RowError::NotAnId(Field::Stream), 1),
        (RowError::Time(ParseTimeError::Form), 1),
        (RowError::NotJson, 1),
    ];
    assert_eq!(rejected.reasons(), expected);
}

#[test]
fn an_unread_plate_is_no_event_and_no_error() {
    let text = "stream,object,time\nc1,,10\nc2,B1,11\nc1,\"\",12\n";
    let (events, rejected) = read_with(text, &strict()).unwrap();
    assert_eq!(rows(&events), ["c2 B1 11000"]);
    assert_eq!((rejected.total(), rejected.without_object()), (0, 2));
    assert_eq!((events.stream_names.len(), events.object_names.len()), (1, 1));
    assert_eq!((events.streams[0].0, events.objects[0].0), (0, 0));
}

#[test]
fn strict_reading_stops_at_the_first_bad_row() {
    let error = read_with("stream,object,time\nc1,,1\n\n,B1,1\nc1,B1,x\n", &strict()).unwrap_err();
    let ReadError::Row { line, reason, .. } = error else { panic!("{error}") };
    assert_eq!((line, reason), (4, RowError::EmptyStream));
    assert!(error.to_string().contains("passages:4: stream is empty"), "{error}");
}

#[test]
fn gzip_is_known_by_its_content() {
    let mut text = "stream,object,time\n".to_owned();
    (0..50_000).for_each(|row| text += &format!("c{},B{},{row}\n", row % 97, row % 1_009));
    let (plain, packed) = (read(&text).unwrap().0, read(gzip(&text)).unwrap().0);
    assert_eq!(plain.len(), 50_000);
    assert_eq!(rows(&plain), rows(&packed));
    let mut cut = gzip(&text);
    cut.truncate(cut.len() - 9);
    assert!(matches!(read(cut), Err(ReadError::Gzip { .. })));
}

#[test]
fn files_are_read_in_the_order_given_and_sort_stably() {
    let folder = Folder::new();
    let b = folder.file("b.csv", "stream,object,time\nc2,B,5\nc2,A,4\n");
    let a = folder.file("a", "{\"stream\":\"c1\",\"object\":\"A\",\"time\":5}");
    let paths = [b, folder.file("empty", ""), a];
    let (mut events, _) = read_events(&paths, &strict(), &mut |_| ()).unwrap();
    assert_eq!(rows(&events), ["c2 B 5000", "c2 A 4000", "c1 A 5000"]);
    events.sort_by_time();
    assert_eq!(rows(&events), ["c2 A 4000", "c2 B 5000", "c1 A 5000"]);
    let missing = read_events(&[folder.path("missing")], &strict(), &mut |_| ());
    assert!(matches!(missing, Err(ReadError::Open { .. })));
}

fn quoted(field: &str) -> String {
    format!("\"{}\"", field.replace('"', "\"\""))
}

proptest! {
    /// What is written as CSV and as JSON lines reads back alike, whatever the names are.
    #[test]
    fn both_formats_say_the_same(
        written in proptest::collection::vec(("\\PC{0,6}", "\\PC{0,6}", 0i64..4_000_000_000), 0..20),
    ) {
        let (mut csv, mut json) = ("time,stream,object\n".to_owned(), String::new());
        let (mut expected, mut unread) = (Vec::new(), 0);
        for (stream, object, second) in &written {
            csv += &format!("{second},{},{}\n", quoted(stream), quoted(object));
            let fields = [stream, object].map(|name| serde_json::to_string(name).unwrap());
            let [stream_json, object_json] = fields;
            json += &format!(
                "{{\"stream\":{stream_json},\"object\":{object_json},\"time\":{second}}}\n"
            );
            match (stream.is_empty(), object.is_empty()) {
                (true, _) => {}
                (false, true) => unread += 1,
                (false, false) => expected.push(format!("{stream} {object} {}", second * 1000)),
            }
        }
        let bad = written.iter().filter(|(stream, ..)| stream.is_empty()).count() as u64;
        for text in [csv, json] {
            let (events, rejected) = read(text).unwrap();
            prop_assert_eq!(rows(&events), expected.clone());
            prop_assert_eq!((rejected.without_object(), rejected.total()), (unread, bad));
        }
    }
}
