//! What traffic past cameras promises: its seed decides, its convoys are there, clocks and plates
//! are as wrong as asked, and it reads back.

mod support;

use std::collections::BTreeMap;

use dunlin_datasets::generate::{
    CameraError, CameraOptions, CameraOptionsError, CameraTraffic, Convoy,
};
use dunlin_datasets::{EventOptions, Events, read_events};
use dunlin_index::Slot;
use support::Folder;

const HOUR_MS: i64 = 3_600_000;

fn options(cameras: u32) -> CameraOptions {
    CameraOptions { plates: 3_000, passages: 40_000, convoys: 20, ..CameraOptions::day(cameras) }
}

/// Nothing goes wrong.
fn faultless(cameras: u32) -> CameraOptions {
    CameraOptions { read_errors: 0.0, clock_skew_ms: 0, ..options(cameras) }
}

fn traffic(options: &CameraOptions) -> CameraTraffic {
    CameraTraffic::in_city(options, &mut |_| ()).expect("options fit each other")
}

fn events(options: &CameraOptions) -> (Events, Vec<Convoy>) {
    traffic(options).into_events()
}

fn written(options: &CameraOptions) -> [String; 2] {
    let (traffic, mut csv, mut truth) = (traffic(options), Vec::new(), Vec::new());
    traffic.write_csv(&mut csv, &mut |_| ()).expect("memory takes all");
    traffic.write_convoys(&mut truth).expect("memory takes all");
    [csv, truth].map(|bytes| String::from_utf8(bytes).expect("text"))
}

/// The times of each plate at each camera, in milliseconds.
fn visits(events: &Events) -> BTreeMap<(u32, u32), Vec<i64>> {
    let mut visits = BTreeMap::<_, Vec<i64>>::new();
    for row in 0..events.len() {
        let place = (events.streams[row].0, events.objects[row].0);
        visits.entry(place).or_default().push(events.times[row].as_millis());
    }
    visits
}

#[test]
fn the_seed_decides_every_byte() {
    let seeded = |seed| CameraOptions { seed, ..options(20) };
    assert!(written(&seeded(7)) == written(&seeded(7)));
    assert!(written(&seeded(7)) != written(&seeded(8)));
}

#[test]
fn passages_are_the_same_on_every_machine() {
    // Sums of the bytes, noted once: another machine, another compiler or another version of a
    // dependency must give the same.
    let sums = written(&options(20)).map(|text| {
        text.bytes().fold(0u64, |sum, byte| sum.rotate_left(5).wrapping_mul(31) ^ u64::from(byte))
    });
    assert_eq!(sums, [8_704_172_051_735_519_650, 10_715_469_292_882_969_626]);
}

#[test]
fn there_are_about_as_many_passages_as_asked_in_the_given_time() {
    for (cameras, plates, passages, hours) in
        [(20, 3_000, 40_000, 24), (50, 5_000, 3_000, 1), (5, 2_000, 9_000, 5), (1, 500, 900, 24)]
    {
        let duration_ms = hours * HOUR_MS;
        let options =
            CameraOptions { plates, passages, duration_ms, convoys: 3, ..faultless(cameras) };
        let traffic = traffic(&options);
        let share = traffic.len() as f64 / passages as f64;
        assert!((0.8..1.2).contains(&share), "{share} of {passages} passages, {cameras} cameras");
        let (events, _) = traffic.into_events();
        let start = options.start.as_millis();
        assert!(events.times.is_sorted());
        let first = events.times[0].as_millis();
        let last = events.times[events.len() - 1].as_millis();
        assert!(first >= start && last < start + duration_ms, "{first} to {last}");
        assert_eq!(events.stream_names.len(), cameras as usize);
    }
}

#[test]
fn traffic_follows_the_hours_and_prefers_some_cameras() {
    let options = faultless(50);
    let (events, _) = events(&options);
    let (mut hours, mut cameras) = ([0; 24], [0; 50]);
    for row in 0..events.len() {
        hours[((events.times[row].as_millis() - options.start.as_millis()) / HOUR_MS) as usize] +=
            1;
        cameras[events.streams[row].index()] += 1;
    }
    assert!(hours[8] > 5 * hours[3] && hours[8] > 3 * hours[23] / 2, "{hours:?}");
    cameras.sort_unstable();
    assert!(cameras[0] > 0 && cameras[49] > 2 * cameras[25], "{cameras:?}");
}

#[test]
fn convoys_are_where_the_truth_says() {
    let options = CameraOptions { seed: 3, convoy_size: 2..=4, ..options(30) };
    let (events, convoys) = events(&options);
    let visits = visits(&events);
    assert_eq!(convoys.len(), 20);
    let mut members: Vec<Slot> = Vec::new();
    for convoy in &convoys {
        assert!((2..=4).contains(&convoy.objects.len()));
        assert!(convoy.passages.len() >= 3, "only {} passages", convoy.passages.len());
        assert!(convoy.passages.is_sorted_by_key(|passage| passage.from));
        let name = |slot: &Slot| events.object_names.name(*slot);
        assert!(convoy.objects.is_sorted_by_key(name));
        members.extend(&convoy.objects);
        for passage in &convoy.passages {
            let (from, to) = (passage.from.as_millis(), passage.to.as_millis());
            assert!(to - from <= i64::from(options.convoy_span_ms), "{from} to {to}");
            let seen = convoy.objects.iter().map(|object| {
                let times = &visits[&(passage.stream.0, object.0)];
                *times.iter().find(|time| (from..=to).contains(time)).expect("the member passed")
            });
            let seen: Vec<i64> = seen.collect();
            assert_eq!((seen.iter().min(), seen.iter().max()), (Some(&from), Some(&to)));
        }
    }
    let count = members.len();
    members.sort_unstable();
    members.dedup();
    assert_eq!(members.len(), count, "a vehicle is in two convoys");
}

#[test]
fn the_truth_leaves_out_what_was_misread() {
    let planted = |read_errors| {
        let (_, convoys) = events(&CameraOptions { read_errors, ..faultless(30) });
        convoys.iter().map(|convoy| convoy.passages.len()).sum::<usize>()
    };
    let (all, most) = (planted(0.0), planted(0.1));
    assert!(most > all / 2 && most < all * 9 / 10, "{most} of {all}");
    assert_eq!(planted(1.0), 0);
}

#[test]
fn plates_are_misread_as_often_as_asked() {
    let options = CameraOptions { read_errors: 0.1, ..options(20) };
    let traffic = traffic(&options);
    let (all, unread) = (traffic.len() as f64, traffic.unread() as f64);
    assert!((0.045..0.055).contains(&(unread / all)), "{unread} of {all} unread");
    let (events, _) = traffic.into_events();
    // Hardly any misread plate is another vehicle's.
    let wrong = events.objects.iter().filter(|object| object.0 >= options.plates).count() as f64;
    assert!((0.045..0.055).contains(&(wrong / all)), "{wrong} of {all} wrong");
}

#[test]
fn a_clock_is_off_by_a_constant() {
    let right = visits(&events(&faultless(20)).0);
    let wrong = visits(&events(&CameraOptions { clock_skew_ms: 2_000, ..faultless(20) }).0);
    let mut skews = BTreeMap::new();
    assert!(right.keys().eq(wrong.keys()));
    for ((place, right), wrong) in right.iter().zip(wrong.values()) {
        assert_eq!(right.len(), wrong.len());
        for (right, wrong) in right.iter().zip(wrong) {
            let skew = *skews.entry(place.0).or_insert(wrong - right);
            assert!(wrong - right == skew && skew.abs() <= 2_000, "camera {}", place.0);
        }
    }
    assert!(skews.values().min() < Some(&-500) && skews.values().max() > Some(&500));
}

#[test]
fn nobody_is_in_two_places() {
    let few = CameraOptions { plates: 400, convoy_span_ms: 500, convoys: 100, ..faultless(60) };
    let few = CameraOptions { convoy_trips: 8, convoy_size: 2..=3, passages: 30_000, ..few };
    let (events, _) = events(&few);
    let mut last = BTreeMap::new();
    for row in 0..events.len() {
        let (time, stream) = (events.times[row].as_millis(), events.streams[row]);
        if let Some((before, at)) = last.insert(events.objects[row], (time, stream)) {
            // Junctions are 125 m apart at least, and nobody does more than 22 m/s.
            assert!(at == stream || time - before > 5_000, "{at:?} {before}, {stream:?} {time}");
        }
    }
}

#[test]
fn what_is_written_reads_back() {
    let options = options(20);
    let [csv, truth] = written(&options);
    let folder = Folder::new();
    let strict = EventOptions { strict: true, ..EventOptions::default() };
    let paths = [folder.file("passages.csv", &csv)];
    let (read, rejected) = read_events(&paths, &strict, &mut |_| ()).unwrap();
    let traffic = traffic(&options);
    assert_eq!(rejected.without_object(), traffic.unread() as u64);
    let (made, convoys) = traffic.into_events();
    assert_eq!(read.times, made.times);
    for row in 0..read.len() {
        let names = |events: &Events| {
            let stream = events.stream_names.name(events.streams[row]).to_owned();
            (stream, events.object_names.name(events.objects[row]).to_owned())
        };
        assert_eq!(names(&read), names(&made));
    }
    assert_eq!(truth.lines().count(), convoys.len());
    for (line, convoy) in truth.lines().zip(&convoys) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let passages = line["passages"].as_array().unwrap();
        assert_eq!(passages.len(), convoy.passages.len());
        for (written, passage) in passages.iter().zip(&convoy.passages) {
            assert_eq!(written["stream"], made.stream_names.name(passage.stream));
            assert_eq!(written["from"], passage.from.to_string());
            assert_eq!(written["to"], passage.to.to_string());
        }
        let names = convoy.objects.iter().map(|&slot| made.object_names.name(slot));
        assert!(line["objects"].as_array().unwrap().iter().eq(names));
    }
}

#[test]
fn options_without_sense_are_refused() {
    use CameraOptionsError as E;
    let refused = |change: fn(&mut CameraOptions)| {
        let mut options = options(20);
        change(&mut options);
        match CameraTraffic::in_city(&options, &mut |_| ()) {
            Err(CameraError::Options(error)) => error,
            other => panic!("{:?}", other.map(|traffic| traffic.len())),
        }
    };
    assert_eq!(refused(|o| o.plates = 60), E::TooFewPlates { members: 100 });
    assert_eq!(refused(|o| o.convoy_size = 1..=3), E::ConvoySize);
    let E::TooBusy { passages: 40_000, possible } = refused(|o| (o.plates, o.convoys) = (100, 0))
    else {
        panic!("a hundred vehicles make 40 000 passages");
    };
    let fewer = CameraOptions { plates: 100, convoys: 0, passages: possible, ..options(20) };
    let made = CameraTraffic::in_city(&fewer, &mut |_| ()).unwrap().len() as f64;
    assert!((made / possible as f64 - 1.0).abs() < 0.2, "{made} of {possible}");
    assert_eq!(refused(|o| o.duration_ms = i64::MAX), E::Times);
    let many = 1_000_000_001;
    assert_eq!(refused(|o| o.passages = 1_000_000_001), E::TooManyPassages { passages: many });
    assert!(matches!(refused(|o| o.plates = 57_600_001), E::TooManyPlates { .. }));
}
