//! The store against a plain list of events.

use proptest::prelude::*;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis_unchecked(millis)
}

/// What a list of events says about one stream or object.
fn listed(events: &[Event], keep: impl Fn(&Event) -> bool, before: i64) -> Vec<Event> {
    let live = events.iter().filter(|event| event.time >= at(before));
    live.filter(|event| keep(event)).copied().collect()
}

proptest! {
    #[test]
    fn rings_and_postings_hold_the_events_that_are_not_expired(
        steps in prop::collection::vec((0..4i64, 0..3u32, 0..12u32), 1..200),
        keep_ms in 0..40i64,
        sweep_ms in 0..20i64,
    ) {
        let mut store = EventStore::default();
        let (mut events, mut numbers, mut now) = (Vec::new(), Vec::new(), 0);
        for (wait, stream, object) in steps {
            now += wait;
            store.expire(at(now - keep_ms), sweep_ms);
            let event = Event { time: at(now), stream: Slot(stream), object: Slot(object) };
            numbers.push(store.insert(event));
            events.push(event);

            let before = now - keep_ms;
            for object in (0..12).map(Slot) {
                let live = listed(&events, |event| event.object == object, before);
                let postings = store.postings(object).iter().filter(|p| { p.time } >= at(before));
                let found: Vec<Event> = postings
                    .map(|posting| {
                        Event { time: posting.time, stream: posting.stream, object }
                    })
                    .collect();
                prop_assert_eq!(found, live);
            }
            let rings = store.rings().flat_map(|(stream, ring)| {
                let passages = ring.between(at(before), Timestamp::END).iter();
                passages.map(move |p| Event { time: p.time, stream, object: p.object })
            });
            let mut live = listed(&events, |_| true, before);
            live.sort_by_key(|event| event.stream);
            prop_assert_eq!(rings.collect::<Vec<_>>(), live);
            for (event, &number) in events.iter().zip(&numbers) {
                if event.time < at(before) {
                    continue;
                }
                let to = at(event.time.as_millis() + 5);
                let near = store.ring(event.stream).near(number, at(before), to);
                let live = listed(&events, |e| e.stream == event.stream && e.time <= to, before);
                let expected: Vec<Slot> = live.iter().map(|event| event.object).collect();
                let found: Vec<Slot> = near.iter().map(|passage| passage.object).collect();
                prop_assert_eq!(&found, &expected);
                let between = store.ring(event.stream).between(at(before), to);
                prop_assert_eq!(near, between);
                let own = store.ring(event.stream).passage(number);
                prop_assert_eq!((own.time, own.object), (event.time, event.object));
                let lists = near.iter().map(|p| (store.list(p.list), store.postings(p.object)));
                prop_assert!(lists.into_iter().all(|(list, postings)| list == postings));
            }
            prop_assert!(store.len() <= events.len());
        }
        // The sweep leaves nothing behind, in streams and of objects that fell silent too.
        store.expire(at(now + 1), 0);
        store.expire(at(now + 2), 0);
        prop_assert_eq!(store.len(), 0);
        prop_assert!((0..12).all(|object| store.postings(Slot(object)).is_empty()));
    }
}

#[test]
fn memory_is_given_back() {
    let mut store = EventStore::default();
    for round in 0..50 {
        store.expire(at(round * 100_000), 1_000);
        for number in 0..1_000u32 {
            let object = Slot(number + u32::try_from(round).unwrap() * 1_000);
            store.insert(Event { time: at(round * 100_000), stream: Slot(number % 7), object });
        }
        assert_eq!(store.len(), 1_000);
        assert!(store.bytes() < 400_000, "{} bytes after {round} rounds", store.bytes());
    }
}

/// Without a sweep: what is expired goes when there is no room for what comes.
#[test]
fn a_steady_stream_takes_room_for_its_live_events_only() {
    let mut store = EventStore::default();
    for time in 0..100_000 {
        store.expire(at(time - 1_000), i64::MAX);
        let object = Slot(u32::try_from(time % 7).unwrap());
        store.insert(Event { time: at(time), stream: Slot(0), object });
    }
    assert!(store.len() <= 2_048, "{} passages", store.len());
    assert!(store.bytes() < 80_000, "{} bytes", store.bytes());
}
