//! The hub against what its subscribers must know.

use super::told::Event;
use super::topic::{BEHIND_MS_MAX, BUFFER, REPLAY_MAX, REPORTS_KEPT};
use super::*;
use crate::server::json::tests::{answer_of, apply};
use proptest::prelude::*;
use serde_json::Value;
use tokio::sync::mpsc::error::TryRecvError;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis_unchecked(millis)
}

fn told(epoch: i64, query: &str, number: u32, names: &[&str]) -> Told {
    let content = Content::Answer(answer_of(query, number, names));
    Told { tag: Tag { epoch, index: 3 }, time: at(epoch * 20 + 20), content }
}

fn tell(hub: &mut Hub, query: &str, told: Told) {
    hub.tell(&query.into(), told);
}

fn report(epoch: i64, index: u32) -> Told {
    let objects = vec![format!("{epoch}.{index}")];
    let report = NamedReport { time: at(epoch), objects, occurrences: Vec::new() };
    Told { tag: Tag { epoch, index }, time: at(epoch), content: Content::Report(report) }
}

/// What a client knows.
#[derive(Debug, Default)]
struct Client {
    list: Vec<String>,
    last: Option<Tag>,
    deltas: usize,
    wholes: usize,
}

impl Client {
    fn hear(&mut self, event: &Event) {
        assert!(self.last <= Some(event.tag), "{event:?} after {:?}", self.last);
        let json: Value = serde_json::from_str(&event.text).unwrap();
        match event.kind {
            EventKind::Delta => {
                assert!(self.last < Some(event.tag), "{event:?} twice");
                apply(&mut self.list, &json);
                self.deltas += 1;
            }
            EventKind::Answer => {
                let objects = json["objects"].as_array().unwrap().iter();
                self.list = objects.map(|it| it["id"].as_str().unwrap().to_owned()).collect();
                self.wholes += 1;
            }
        }
        self.last = Some(event.tag);
    }

    fn read(&mut self, receiver: &mut Receiver<SharedEvent>, most: usize) -> bool {
        for _ in 0..most {
            match receiver.try_recv() {
                Ok(event) => self.hear(&event),
                Err(error) => return error == TryRecvError::Empty,
            }
        }
        true
    }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever a client does, once it has read all it knows the newest list; and one that resumes in
    /// time gets deltas alone.
    #[test]
    fn who_reads_on_knows_the_newest_list(
        steps in prop::collection::vec(
            (prop::sample::subsequence(NAMES.to_vec(), 0..6).prop_shuffle(), 0usize..4, 0u8..12),
            1..300,
        ),
        ring in prop_oneof![Just(0usize), Just(2_000), Just(1 << 20)],
    ) {
        let mut hub = Hub::new(HubLimits { ring_bytes_max: ring, ..HubLimits::default() });
        tell(&mut hub, "q", told(0, "q", 7, &[]));
        let (mut client, mut newest) = (Client::default(), Vec::new());
        let (mut id, mut receiver) = hub.subscribe("q", None, None, at(0)).unwrap();
        for (epoch, (list, reads, act)) in (1..).zip(steps) {
            newest = list;
            tell(&mut hub, "q", told(epoch, "q", 7, &newest));
            hub.end_epoch(at(epoch * 20 + 20));
            prop_assert!(client.read(&mut receiver, reads));
            if act == 0 {
                hub.unsubscribe("q", id);
                (id, receiver) = hub.subscribe("q", client.last, None, at(epoch)).unwrap();
            }
        }
        prop_assert!(client.read(&mut receiver, 1_000));
        hub.end_epoch(at(1_000_000));
        prop_assert!(client.read(&mut receiver, 1_000));
        prop_assert_eq!(client.list, newest);
        prop_assert!(hub.ring_bytes <= ring);
        prop_assert_eq!(hub.order.len(), hub.topics["q"].spare_count());
    }
}

#[test]
fn a_subscriber_who_resumes_sees_every_delta_once() {
    let mut hub = Hub::default();
    tell(&mut hub, "q", told(0, "q", 0, &["a"]));
    let (id, mut receiver) = hub.subscribe("q", None, None, at(0)).unwrap();
    let mut client = Client::default();
    for epoch in 1..400 {
        tell(&mut hub, "q", told(epoch, "q", 0, &[NAMES[epoch as usize % 6]]));
        if epoch == 30 {
            assert!(client.read(&mut receiver, 10));
            hub.unsubscribe("q", id);
        }
    }
    let (_, mut receiver) = hub.subscribe("q", client.last, None, at(0)).unwrap();
    client.read(&mut receiver, 1_000);
    assert_eq!((client.wholes, client.deltas), (1, 399));
    assert_eq!(client.list, [NAMES[399 % 6]]);
}

#[test]
fn too_much_to_resume_is_a_whole_answer() {
    let mut hub = Hub::default();
    for epoch in 0..REPLAY_MAX as i64 + 2 {
        tell(&mut hub, "q", told(epoch, "q", 0, &[NAMES[epoch as usize % 6]]));
    }
    let mut resume = |epoch: i64| {
        let after = Tag { epoch, index: 3 };
        let (_, mut events) = hub.subscribe("q", Some(after), None, at(0)).unwrap();
        let first = events.try_recv().unwrap().kind;
        (first, 1 + std::iter::from_fn(|| events.try_recv().ok()).count())
    };
    assert_eq!(resume(0), (EventKind::Answer, 1));
    assert_eq!(resume(1), (EventKind::Delta, REPLAY_MAX));
    assert_eq!(resume(-1), (EventKind::Answer, 1));
}

#[test]
fn what_was_never_known_is_not_replayed() {
    let mut hub = Hub::default();
    for epoch in 5..9 {
        tell(&mut hub, "q", told(epoch, "q", 0, &[NAMES[epoch as usize % 6]]));
    }
    let before = Some(Tag { epoch: 4, index: 9 });
    let (_, mut events) = hub.subscribe("q", before, None, at(0)).unwrap();
    let first = events.try_recv().unwrap();
    assert_eq!((first.kind, first.tag.epoch), (EventKind::Answer, 8));
    assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn who_does_not_read_takes_no_memory_and_is_cut() {
    let mut hub = Hub::default();
    tell(&mut hub, "q", told(0, "q", 0, &[]));
    let (_, mut lazy) = hub.subscribe("q", None, None, at(0)).unwrap();
    for epoch in 1..=1_000 {
        tell(&mut hub, "q", told(epoch, "q", 0, &[NAMES[epoch as usize % 6]]));
        hub.end_epoch(at(epoch * 20));
    }
    assert_eq!(lazy.len(), BUFFER + 1);
    // It reads again in time, and gets the whole answer instead of what it missed.
    let mut client = Client::default();
    assert!(client.read(&mut lazy, 1_000));
    hub.end_epoch(at(20_020));
    assert!(client.read(&mut lazy, 1_000));
    assert_eq!((client.wholes, client.list), (2, vec![NAMES[1_000 % 6].to_owned()]));
    // Once more behind, it does not read and is cut.
    for epoch in 1_001..=1_200 {
        tell(&mut hub, "q", told(epoch, "q", 0, &[NAMES[epoch as usize % 6]]));
        hub.end_epoch(at(epoch * 20));
    }
    hub.end_epoch(at(1_200 * 20 + BEHIND_MS_MAX));
    let left = std::iter::from_fn(|| lazy.try_recv().ok()).count();
    assert!(left <= BUFFER + 1, "{left} events");
    assert_eq!(lazy.try_recv(), Err(TryRecvError::Disconnected));
}

#[test]
fn there_is_a_limit_to_subscribers() {
    let limits =
        HubLimits { subscribers_per_query_max: 2, subscribers_max: 3, ..HubLimits::default() };
    let mut hub = Hub::new(limits);
    tell(&mut hub, "p", told(0, "p", 0, &[]));
    tell(&mut hub, "q", told(0, "q", 1, &[]));
    let mut subscribe = |query| hub.subscribe(query, None, None, at(0)).map(|it| it.0);
    let first = subscribe("p").unwrap();
    subscribe("p").unwrap();
    assert_eq!(subscribe("p"), Err(SubscribeError::PerQuery(2)));
    subscribe("q").unwrap();
    assert_eq!(subscribe("q"), Err(SubscribeError::All(3)));
    assert_eq!(subscribe("r"), Err(SubscribeError::Unknown));
    hub.unsubscribe("p", first);
    assert!(hub.subscribe("q", None, None, at(0)).is_ok());
}

#[test]
fn queries_that_come_and_go_leave_nothing() {
    let mut hub = Hub::default();
    let mut number = 0;
    for round in 0..500 {
        for query in ["p", "q"] {
            for turn in 0..3 {
                tell(&mut hub, query, told(round * 3 + turn, query, number, &["a"]));
            }
            number += 1;
        }
        hub.close("p");
        if round % 7 == 0 {
            hub.close("q");
        }
    }
    hub.close("q");
    assert_eq!((hub.topics.len(), hub.ring_bytes), (0, 0));
    assert!(hub.order.len() < 20 && hub.gone.len() <= 2, "{} entries", hub.order.len());
}

#[test]
fn a_query_that_is_registered_anew_begins_anew() {
    let mut hub = Hub::default();
    tell(&mut hub, "q", told(1, "q", 4, &["a"]));
    let (_, mut old) = hub.subscribe("q", None, None, at(0)).unwrap();
    tell(&mut hub, "q", told(2, "q", 9, &["b"]));
    old.try_recv().unwrap();
    assert_eq!(old.try_recv(), Err(TryRecvError::Disconnected));
    let (_, mut new) = hub.subscribe("q", Some(Tag { epoch: 1, index: 3 }), None, at(0)).unwrap();
    assert_eq!(new.try_recv().unwrap().kind, EventKind::Answer);
    // What the old one told last comes too late.
    tell(&mut hub, "q", told(3, "q", 4, &["c"]));
    assert_eq!(new.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_query_that_told_nothing_yet_is_filled_from_the_engine() {
    let mut hub = Hub::default();
    hub.open("q", TopicKind::Answers, Tag::START);
    let mut fresh = told(9, "q", 5, &["a", "b"]);
    fresh.tag = Tag::behind(9);
    let (_, mut events) = hub.subscribe("q", None, Some(fresh), at(0)).unwrap();
    let mut client = Client::default();
    client.read(&mut events, 9);
    assert_eq!(client.list, ["a", "b"]);
    // An epoch that the engine had run already is on its way.
    tell(&mut hub, "q", told(9, "q", 5, &["a"]));
    tell(&mut hub, "q", told(10, "q", 5, &["b"]));
    client.read(&mut events, 9);
    assert_eq!((client.list.len(), client.deltas), (1, 1));
}

#[test]
fn reports_are_kept_and_resumed() {
    let mut hub = Hub::default();
    hub.open("c", TopicKind::Reports, Tag::behind(0));
    for epoch in 1..=REPORTS_KEPT as i64 {
        tell(&mut hub, "c", report(epoch, 0));
        tell(&mut hub, "c", report(epoch, 1));
    }
    assert_eq!(hub.reports("c").count(), REPORTS_KEPT);
    let last = REPORTS_KEPT as i64;
    let (_, mut events) =
        hub.subscribe("c", Some(Tag { epoch: last, index: 0 }), None, at(0)).unwrap();
    let event = events.try_recv().unwrap();
    assert_eq!((event.kind, event.tag), (EventKind::Delta, Tag { epoch: last, index: 1 }));
    assert!(event.text.contains(&format!("\"{last}.1\"")), "{}", event.text);
    assert!(events.try_recv().is_err());
    let (_, mut events) = hub.subscribe("c", Some(Tag::START), None, at(0)).unwrap();
    let whole: Value = serde_json::from_str(&events.try_recv().unwrap().text).unwrap();
    assert_eq!(whole["reports"].as_array().map(Vec::len), Some(REPORTS_KEPT));
}
