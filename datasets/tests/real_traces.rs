//! The real traces, row for row: `DUNLIN_DATA` names their folder.

use std::path::PathBuf;

use dunlin_datasets::generate::{Movement, NetworkMovement, RoadGraph, Travellers};
use dunlin_datasets::{
    Columns, EventColumns, EventOptions, Format, ReadOptions, Rejected, Trace, read_events,
    read_positions,
};
use dunlin_index::SpaceKind;

fn data(name: &str) -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    std::env::var_os("DUNLIN_DATA").map_or_else(beside, PathBuf::from).join(name)
}

fn read(name: &str, space: SpaceKind, columns: &str) -> (Trace, Rejected) {
    let columns = Columns::parse(columns, space).expect("columns are well written");
    let options = ReadOptions { columns, ..ReadOptions::for_space(space) };
    read_positions(&[data(name)], &options, &mut |_| ()).expect("the trace reads")
}

fn counts((trace, rejected): &(Trace, Rejected)) -> (usize, usize, u64) {
    (trace.len(), trace.names.len(), rejected.total())
}

const CABS: &str = "object=id,time=ts,lon=lon,lat=lat";

#[test]
#[ignore = "needs the real traces; scripts/test runs it"]
fn cabs_of_san_francisco() {
    let (mut trace, rejected) = read("cabspotting-week-a.csv.gz", SpaceKind::Sphere, CABS);
    assert_eq!((trace.len(), trace.names.len(), rejected.total()), (3_375_087, 517, 0));
    assert!(!trace.times.is_sorted());
    trace.sort_by_time();
    assert!(trace.times.is_sorted());
    assert_eq!(trace.times[0].to_string(), "2008-05-18T00:00:00.000Z");
    let hours = read("cabspotting-2h.csv.gz", SpaceKind::Sphere, CABS);
    assert_eq!(counts(&hours), (46_630, 467, 0));
}

#[test]
#[ignore = "needs the real traces; scripts/test runs it"]
fn taxis_of_beijing() {
    let hour = read("tdrive-1h.csv.gz", SpaceKind::Sphere, "object=id");
    assert_eq!(counts(&hour), (151_007, 8_643, 0));
    let options = ReadOptions { format: Format::Auto, ..ReadOptions::default() };
    let path = data("tdrive-raw-taxi-2237.txt.gz");
    let taxi = read_positions(&[path], &options, &mut |_| ()).unwrap();
    assert_eq!(counts(&taxi), (52_939, 1, 0));
}

#[test]
#[ignore = "needs the real traces; scripts/test runs it"]
fn pedestrians_in_the_plane() {
    let eth = read("pedestrians-eth.csv.gz", SpaceKind::Plane, "");
    assert_eq!(counts(&eth), (8_908, 360, 0));
    let zara = read("pedestrians-zara01.csv.gz", SpaceKind::Plane, "");
    assert_eq!(counts(&zara), (5_024, 148, 0));
}

#[test]
#[ignore = "needs the real traces; scripts/test runs it"]
fn roads_of_california() {
    let [nodes, roads] =
        ["roads-california-cal.cnode.gz", "roads-california-cal.cedge.gz"].map(data);
    let graph = RoadGraph::read(&nodes, &roads).unwrap();
    assert_eq!((graph.node_count(), graph.road_count(), graph.part_count()), (21_048, 21_693, 1));
    let travellers = Travellers { objects: 10_000, ..Travellers::default() };
    let mut movement = NetworkMovement::new(graph, travellers).unwrap();
    (0..10).for_each(|_| movement.step(60.0));
    assert_eq!(movement.positions().len(), 10_000);
}

#[test]
#[ignore = "needs the real traces; scripts/test runs it"]
fn passages_at_tollgates() {
    let columns = EventColumns::parse("stream=link,object=vehicle").expect("columns are written");
    let options = EventOptions { columns, strict: true };
    let path = data("tollgates-passes.csv.gz");
    let (events, rejected) = read_events(&[path], &options, &mut |_| ()).expect("the file reads");
    assert_eq!((events.len(), rejected.without_object()), (72_491, 0));
    assert_eq!((events.object_names.len(), events.stream_names.len()), (8_864, 24));
}
