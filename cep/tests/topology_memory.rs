//! What a shard holds is bounded by what counts; and what it reads back is checked.

use dunlin_cep::topology::{CooccurrenceShard, Passages};
use dunlin_cep::{CooccurrenceTopology, PassageBatch, Rule, RuleError};
use dunlin_stream::event_time::EventTimeRule;
use dunlin_stream::{Epoch, KeyRange, Operator, Timestamp, Topology};
use proptest::prelude::*;

const ANY: EventTimeRule = EventTimeRule::ANY;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis_unchecked(millis)
}

fn topology() -> CooccurrenceTopology {
    let event_time = EventTimeRule { lateness_ms: 10_000, ..ANY };
    CooccurrenceTopology::new(Rule::new(5_000, 100_000, 3), event_time).expect("a rule")
}

fn apply(shard: &mut CooccurrenceShard, rows: impl Iterator<Item = (i64, String, String)>) {
    let mut batch = PassageBatch::default();
    rows.for_each(|(time, stream, object)| batch.push(at(time), &stream, &object));
    let passages = Passages { range: KeyRange::ALL, batches: vec![batch.into()] };
    shard.apply(Epoch(0), &passages, &mut Vec::new());
}

#[test]
fn endless_new_plates_and_cameras_do_not_grow_the_memory() {
    let mut shard = topology().operator();
    let mut state_bytes = 0;
    for round in 0..400i64 {
        let time = round * 1_000;
        let row = |n: i64| {
            (time + n, format!("camera {} {}", round / 50, n % 7), format!("plate {round} {n}"))
        };
        apply(&mut shard, (0..100).map(row));
        shard.watermark(at(time - 10_000), &mut Vec::new());
        // 110 s of events count or wait, and what is expired waits for a sweep after an eighth.
        assert!(shard.events() <= 12_600, "{} events after {round} rounds", shard.events());
        assert!(shard.names() <= 12_600, "{} names after {round} rounds", shard.names());
        assert!(shard.bytes() <= 4_500_000, "{} bytes after {round} rounds", shard.bytes());
        state_bytes = shard.snapshot().len();
        assert!(state_bytes <= 450_000, "{state_bytes} bytes of state after {round} rounds");
    }
    assert!(state_bytes > 100_000, "{state_bytes} bytes of state");
    shard.watermark(Timestamp::END, &mut Vec::new());
    assert_eq!((shard.events(), shard.names()), (0, 0));
    assert!(shard.snapshot().len() < 50);
}

#[test]
fn without_a_watermark_nothing_could_be_told() {
    let refused = CooccurrenceTopology::new(Rule::new(1, 1, 1), ANY);
    assert!(matches!(refused, Err(RuleError::Span { name: "lateness", .. })), "{refused:?}");
    let rule = EventTimeRule { lateness_ms: -1, ..ANY };
    assert!(CooccurrenceTopology::new(Rule::new(1, 1, 1), rule).is_err());
    let rule = EventTimeRule { lateness_ms: 0, ..ANY };
    assert!(CooccurrenceTopology::new(Rule::new(1, 1, 0), rule).is_err());
}

proptest! {
    /// A state that was damaged is refused, or leads to one that can go on.
    #[test]
    fn no_state_makes_a_shard_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        waits in 0..9_000i64,
    ) {
        let mut shard = topology().operator();
        let row = |n: i64| (n * 700, format!("c{}", n % 3), format!("p{}", n % 5));
        apply(&mut shard, (0..20).map(row));
        shard.watermark(at(waits), &mut Vec::new());
        let mut state = shard.snapshot();
        for (place, byte) in flips {
            let place = place.index(state.len());
            state[place] = byte;
        }
        let mut restored = topology().operator();
        if restored.restore(&state).is_ok() {
            apply(&mut restored, (10..40).map(row));
            restored.watermark(Timestamp::END, &mut Vec::new());
            let again = restored.snapshot();
            prop_assert_eq!(topology().operator().restore(&again), Ok(()));
        }
    }
}
