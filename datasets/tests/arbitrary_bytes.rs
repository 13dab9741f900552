//! No bytes make a reader panic, and every row that comes out fits its space.

mod support;

use dunlin_datasets::{Format, ReadOptions};
use dunlin_index::SpaceKind;
use proptest::prelude::*;
use support::{gzip, read};

const FORMATS: [Format; 6] =
    [Format::Auto, Format::Csv, Format::TDrive, Format::GeoLife, Format::Ndjson, Format::GeoJson];

/// Scraps of all formats, so that generated files often get past the first check.
const SCRAPS: [&[u8]; 28] = [
    b"object,time,lon,lat\n",
    b"a,1,2,3\n",
    b"a,",
    b"1,2008-02-02 13:30:00,116.5,39.5\n",
    b"\"",
    b"\"\"",
    b",",
    b"\n",
    b"\r\n",
    b"\r",
    b"nan",
    b"1e400",
    b"-0",
    b"\xff\xfe",
    b"\x1f\x8b",
    b"\xef\xbb\xbf",
    b"Geolife trajectory\n\n\n\n\n\n",
    b"39.9,116.3,0,0,3.0,2008-10-23,02:53:04\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b"{\"object\":\"a\",\"at\":[1,2],\"time\":1}",
    b"{\"type\":\"FeatureCollection\",\"features\":[",
    b"\"type\":\"Feature\"",
    b":",
    b"{\"type\":\"Feature\",\"geometry\":{\"type\":\"Point\",\"coordinates\":[1,2]},\"id\":1}",
    b"\\u0000",
];

fn content() -> impl Strategy<Value = Vec<u8>> {
    let scrap = prop_oneof![
        8 => proptest::sample::select(SCRAPS.to_vec()).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    let scraps = proptest::collection::vec(scrap, 0..40).prop_map(|scraps| scraps.concat());
    (scraps, any::<bool>()).prop_map(|(bytes, packed)| if packed { gzip(bytes) } else { bytes })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_panic(
        content in content(),
        name in proptest::sample::select(vec!["a", "a.plt", "a.geojson", "a.csv.gz"]),
        plane in any::<bool>(),
        strict in any::<bool>(),
    ) {
        let space = if plane { SpaceKind::Plane } else { SpaceKind::Sphere };
        for format in FORMATS {
            let options = ReadOptions { format, strict, ..ReadOptions::for_space(space) };
            let Ok((trace, rejected)) = read(name, &content, &options) else { continue };
            prop_assert!(!strict || rejected.total() == 0);
            let counted: u64 = rejected.reasons().iter().map(|(_, count)| count).sum();
            prop_assert_eq!(counted, rejected.total());
            prop_assert_eq!(trace.len(), trace.at.len());
            prop_assert_eq!(trace.len(), trace.objects.len());
            prop_assert!(trace.at.iter().all(|&at| space.check(at).is_ok()));
        }
    }
}
