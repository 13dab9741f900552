//! Files as such: compression, damage, several at once, progress, and what cannot be opened.

mod support;

use std::path::PathBuf;

use dunlin_datasets::{Format, Progress, ReadError, ReadOptions, Trace, read_positions};
use support::{Folder, gzip, options, read, rows};

const HEADER: &str = "object,time,lon,lat\n";

fn many_rows(count: u32) -> String {
    let rows = (0..count).map(|row| format!("t{},{row},{}.25,1\n", row % 97, row % 180));
    HEADER.to_owned() + &rows.collect::<String>()
}

fn read_all(paths: &[PathBuf]) -> Result<Trace, ReadError> {
    read_positions(paths, &ReadOptions::default(), &mut |_| ()).map(|(trace, _)| trace)
}

#[test]
fn gzip_is_known_by_its_content() {
    let text = many_rows(100_000);
    let plain = read("a.gz", &text, &options(Format::Csv)).unwrap().0;
    let packed = read("a.csv", gzip(&text), &options(Format::Csv)).unwrap().0;
    assert_eq!(plain.len(), 100_000);
    assert_eq!(rows(&plain), rows(&packed));
}

#[test]
fn gzip_members_follow_each_other() {
    let text = many_rows(1_000);
    let (start, end) = text.split_at(7_777);
    let packed = [gzip(start), gzip(""), gzip(end)].concat();
    assert_eq!(read("a", packed, &ReadOptions::default()).unwrap().0.len(), 1_000);
}

/// Reads `packed` cut short and altered in several ways.
fn assert_damage_shows(packed: &[u8]) {
    let altered = |place: usize| {
        let mut altered = packed.to_vec();
        altered[place..place + 4].iter_mut().for_each(|byte| *byte ^= 0xff);
        altered
    };
    let cut = |end: usize| packed[..end].to_vec();
    let end = packed.len();
    for content in [cut(3), cut(end / 2), cut(end - 1), altered(end / 2), altered(end - 8)] {
        let error = read("taxis.csv.gz", content, &ReadOptions::default());
        let error = error.expect_err("damage shows");
        assert!(matches!(error, ReadError::Gzip { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("taxis.csv.gz") && message.contains("gzip -t"), "{message}");
    }
}

#[test]
fn a_cut_or_altered_gzip_file_is_an_error() {
    let (small, large) = (gzip(many_rows(1_000)), gzip(many_rows(300_000)));
    assert!(small.len() < 100_000 && large.len() > 500_000, "{} {}", small.len(), large.len());
    assert_damage_shows(&small);
    assert_damage_shows(&large);
}

#[test]
fn a_cut_gzip_geojson_is_a_gzip_error() {
    let packed = gzip(format!("{{\"features\":[{}", " ".repeat(1_000_000)));
    let error = read("a.geojson", &packed[..packed.len() - 9], &ReadOptions::default());
    assert!(matches!(error, Err(ReadError::Gzip { .. })), "{error:?}");
}

#[test]
fn files_are_read_in_the_order_given() {
    let folder = Folder::new();
    let b = folder.file("b.csv", "object,time,lon,lat\nb,5,1,1\n");
    let a = folder.file("a.ndjson", "{\"object\":\"a\",\"time\":5,\"at\":[1,1]}");
    let empty = folder.file("empty", "");
    let mut trace = read_all(&[b, empty, a]).unwrap();
    assert_eq!(rows(&trace), ["b 5 1 1", "a 5 1 1"]);
    trace.sort_by_time();
    assert_eq!(rows(&trace), ["b 5 1 1", "a 5 1 1"]);
    assert!(read_all(&[]).unwrap().is_empty());
}

#[test]
fn paths_that_are_no_files_are_refused_first() {
    let folder = Folder::new();
    let good = folder.file("a.csv", HEADER);
    let error = read_all(&[good.clone(), folder.path("")]).unwrap_err();
    assert!(matches!(error, ReadError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("name the files in it"), "{error}");
    let error = read_all(&[good, folder.path("missing.csv")]).unwrap_err();
    assert!(matches!(error, ReadError::Open { .. }), "{error}");
    assert!(error.to_string().contains("missing.csv"), "{error}");
}

#[test]
fn progress_grows_to_the_total() {
    let folder = Folder::new();
    let content = many_rows(200_000);
    let paths = [folder.file("a.csv", &content), folder.file("b.csv", &content)];
    let mut seen: Vec<Progress> = Vec::new();
    read_positions(&paths, &ReadOptions::default(), &mut |progress| seen.push(progress)).unwrap();
    let bytes_total = 2 * content.len() as u64;
    assert!(seen.iter().all(|progress| progress.bytes_total == bytes_total));
    assert!(seen.is_sorted_by_key(|progress| progress.bytes_read));
    assert_eq!(seen.last().map(|progress| progress.bytes_read), Some(bytes_total));
    let calls = seen.len() as u64;
    assert!((3..=bytes_total / (1 << 20) + 1).contains(&calls), "{calls} calls");
}
