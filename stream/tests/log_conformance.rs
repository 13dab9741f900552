//! What every log does: one suite over all implementations. Against a model: `log_model.rs`.

mod places;

use std::thread;

use dunlin_stream::log::{LogError, PAYLOAD_BYTES_MAX};
use places::{Faulty, Local, Memory, Place, Tiny, append_each, batch, batch_if, read_all, texts};

/// Runs the named functions, each over an empty log, as tests of the place.
macro_rules! suite {
    ($place:ident, $module:ident: $($name:ident)*) => {
        mod $module {
            $(#[test]
            fn $name() {
                super::$name(super::$place::default());
            })*
        }
    };
}

/// Names a suite for each place.
macro_rules! suites {
    ($($module:ident: $place:ident;)*) => {
        $(suite! { $place, $module:
            numbers_count_per_lane_from_0
            a_group_is_appended_in_order
            a_group_is_appended_all_or_none
            an_append_of_nothing_is_nothing
            a_condition_is_the_number_that_the_batch_gets
            a_condition_counts_earlier_batches_of_its_group
            a_conflict_says_who_is_right
            a_batch_too_large_is_refused
            a_lane_never_given_out_is_refused
            a_read_stays_within_its_limit
            a_read_past_the_end_is_empty
            a_read_of_what_was_let_go_says_so
            truncation_keeps_the_next_number
            truncation_never_goes_back_or_too_far
            lanes_do_not_mix
            payloads_may_be_empty
            stamps_are_kept
            a_name_is_a_lane_for_ever
            appenders_and_readers_go_side_by_side
        })*
    };
}

suites! {
    memory: Memory;
    faulty: Faulty;
    local: Local;
    local_tiny: Tiny;
}

fn numbers_count_per_lane_from_0(mut place: impl Place) {
    let log = place.open();
    let (a, b) = (log.lane("a").expect("a lane"), log.lane("b").expect("a lane"));
    assert_eq!(log.range(a).expect("a range"), 0..0);
    assert_eq!(append_each(&*log, a, &[b"0", b"1"]), [0, 1]);
    assert_eq!(append_each(&*log, b, &[b"0"]), [0]);
    let log = place.reopen(log);
    assert_eq!(append_each(&*log, a, &[b"2"]), [2]);
    assert_eq!(log.range(a).expect("a range"), 0..3);
    assert_eq!(log.range(b).expect("a range"), 0..1);
    assert_eq!(texts(&*log, a), ["0", "1", "2"]);
}

fn a_group_is_appended_in_order(mut place: impl Place) {
    let log = place.open();
    let (a, b) = (log.lane("a").expect("a lane"), log.lane("b").expect("a lane"));
    let group = [batch(a, 0, b"x"), batch(b, 0, b"y"), batch(a, 0, b"z")];
    assert_eq!(log.append(&group).expect("a group"), [0, 0, 1]);
    log.sync().expect("the log syncs");
    let log = place.reopen(log);
    assert_eq!(texts(&*log, a), ["x", "z"]);
    assert_eq!(texts(&*log, b), ["y"]);
}

fn a_group_is_appended_all_or_none(mut place: impl Place) {
    let log = place.open();
    let (a, b) = (log.lane("a").expect("a lane"), log.lane("b").expect("a lane"));
    let large = vec![0; PAYLOAD_BYTES_MAX + 1];
    for bad in [batch_if(b, 7, b"y"), batch(b, 0, &large)] {
        log.append(&[batch(a, 0, b"x"), bad, batch(a, 0, b"z")]).expect_err("a bad batch");
        assert_eq!(log.range(a).expect("a range"), 0..0);
        assert_eq!(log.range(b).expect("a range"), 0..0);
    }
    let log = place.reopen(log);
    assert_eq!(texts(&*log, a), [""; 0]);
    assert_eq!(append_each(&*log, a, &[b"first"]), [0]);
    assert_eq!(texts(&*log, a), ["first"]);
}

fn an_append_of_nothing_is_nothing(mut place: impl Place) {
    let log = place.open();
    let lane = log.lane("a").expect("a lane");
    assert_eq!(log.append(&[]).expect("nothing"), [0; 0]);
    assert_eq!(log.range(lane).expect("a range"), 0..0);
}

fn a_condition_is_the_number_that_the_batch_gets(mut place: impl Place) {
    let log = place.open();
    let lane = log.lane("a").expect("a lane");
    assert_eq!(log.append(&[batch_if(lane, 0, b"0")]).expect("right"), [0]);
    assert_eq!(log.append(&[batch_if(lane, 1, b"1")]).expect("right"), [1]);
    log.append(&[batch_if(lane, 1, b"again")]).expect_err("a zombie");
    log.append(&[batch_if(lane, 3, b"too early")]).expect_err("a gap");
    let log = place.reopen(log);
    assert_eq!(log.append(&[batch_if(lane, 2, b"2")]).expect("right"), [2]);
    assert_eq!(texts(&*log, lane), ["0", "1", "2"]);
}

fn a_condition_counts_earlier_batches_of_its_group(mut place: impl Place) {
    let log = place.open();
    let (a, b) = (log.lane("a").expect("a lane"), log.lane("b").expect("a lane"));
    append_each(&*log, a, &[b"0"]);
    let group =
        [batch_if(a, 1, b"1"), batch_if(b, 0, b"0"), batch(a, 0, b"2"), batch_if(a, 3, b"3")];
    assert_eq!(log.append(&group).expect("right"), [1, 0, 2, 3]);
    let twice = [batch_if(a, 4, b"4"), batch_if(a, 4, b"4")];
    log.append(&twice).expect_err("the second one is number 5");
    assert_eq!(texts(&*log, a), ["0", "1", "2", "3"]);
}

fn a_conflict_says_who_is_right(mut place: impl Place) {
    let log = place.open();
    log.lane("other").expect("a lane");
    let lane = log.lane("a").expect("a lane");
    append_each(&*log, lane, &[b"0", b"1"]);
    let error = log.append(&[batch_if(lane, 5, b"")]).expect_err("a gap");
    let LogError::Conflict { lane: number, expected: 5, next: 2 } = error else {
        panic!("{error}");
    };
    assert_eq!(number, lane.0);
}

fn a_batch_too_large_is_refused(mut place: impl Place) {
    let log = place.open();
    let lane = log.lane("a").expect("a lane");
    let large = vec![7; PAYLOAD_BYTES_MAX + 1];
    let error = log.append(&[batch(lane, 0, &large)]).expect_err("too large");
    assert!(matches!(error, LogError::TooLarge { bytes } if bytes == large.len()), "{error}");
    let greatest = &large[1..];
    assert_eq!(append_each(&*log, lane, &[greatest]), [0]);
    let log = place.reopen(log);
    assert_eq!(log.read(lane, 0, 0).expect("a batch")[0].payload, greatest);
}

fn a_lane_never_given_out_is_refused(mut place: impl Place) {
    let log = place.open();
    log.lane("a").expect("a lane");
    let ghost = dunlin_stream::log::LaneId(1);
    let errors = [
        log.append(&[batch(ghost, 0, b"")]).expect_err("no lane"),
        log.read(ghost, 0, 1).expect_err("no lane"),
        log.range(ghost).expect_err("no lane"),
        log.truncate(ghost, 1).expect_err("no lane"),
    ];
    for error in errors {
        assert!(matches!(error, LogError::UnknownLane(1)), "{error}");
    }
}

fn a_read_stays_within_its_limit(mut place: impl Place) {
    let log = place.open();
    let lane = log.lane("a").expect("a lane");
    append_each(&*log, lane, &[b"four", b"", b"four", b"four"]);
    for (from, bytes_max, count) in
        [(0, 0, 1), (0, 3, 1), (0, 4, 2), (0, 7, 2), (0, 8, 3), (0, 12, 4), (1, 3, 1), (1, 4, 2)]
    {
        let read = log.read(lane, from, bytes_max).expect("the lane can be read");
        let numbers: Vec<u64> = read.iter().map(|entry| entry.sequence).collect();
        let expected: Vec<u64> = (from..from + count).collect();
        assert_eq!(numbers, expected, "from {from}, {bytes_max} bytes");
    }
    assert_eq!(read_all(&*log, lane, 5).expect("a lane").len(), 4);
}

fn a_read_past_the_end_is_empty(mut place: impl Place) {
    let log = place.open();
    let lane = log.lane("a").expect("a lane");
    append_each(&*log, lane, &[b"0"]);
    for from in [1, 2, u64::MAX] {
        assert_eq!(log.read(lane, from, 100).expect("an empty read"), []);
    }
}

fn a_read_of_what_was_let_go_says_so(mut place: impl Place) {
    let log = place.open();
    let lane = log.lane("a").expect("a lane");
    append_each(&*log, lane, &[b"0", b"1", b"2"]);
    log.truncate(lane, 2).expect("the log truncates");
    let log = place.reopen(log);
    let error = log.read(lane, 1, 100).expect_err("gone");
    assert!(matches!(error, LogError::Truncated { from: 1, first: 2, .. }), "{error}");
    assert_eq!(texts(&*log, lane), ["2"]);
}

fn truncation_keeps_the_next_number(mut place: impl Place) {
    let log = place.open();
    let (a, b) = (log.lane("a").expect("a lane"), log.lane("b").expect("a lane"));
    append_each(&*log, a, &[b"0", b"1", b"2"]);
    append_each(&*log, b, &[b"0"]);
    log.truncate(a, 3).expect("the log truncates");
    assert_eq!(log.range(a).expect("a range"), 3..3);
    let log = place.reopen(log);
    assert_eq!(log.range(a).expect("a range"), 3..3);
    assert_eq!(log.read(a, 3, 100).expect("an empty read"), []);
    assert_eq!(log.append(&[batch_if(a, 3, b"3")]).expect("right"), [3]);
    let log = place.reopen(log);
    assert_eq!(log.range(a).expect("a range"), 3..4);
    assert_eq!(texts(&*log, a), ["3"]);
    assert_eq!(texts(&*log, b), ["0"]);
}

fn truncation_never_goes_back_or_too_far(mut place: impl Place) {
    let log = place.open();
    let lane = log.lane("a").expect("a lane");
    append_each(&*log, lane, &[b"0", b"1", b"2"]);
    for (below, first) in [(0, 0), (2, 2), (1, 2), (2, 2), (u64::MAX, 3)] {
        log.truncate(lane, below).expect("the log truncates");
        assert_eq!(log.range(lane).expect("a range"), first..3);
    }
}

fn lanes_do_not_mix(mut place: impl Place) {
    let log = place.open();
    let names: Vec<String> = (0..300).map(|i| format!("lane {i}")).collect();
    let lanes: Vec<_> = names.iter().map(|name| log.lane(name).expect("a lane")).collect();
    for round in 0..3 {
        let payloads: Vec<String> = names.iter().map(|name| format!("{name} {round}")).collect();
        let both = lanes.iter().zip(&payloads);
        let group: Vec<_> = both.map(|(&lane, text)| batch(lane, 0, text.as_bytes())).collect();
        assert_eq!(log.append(&group).expect("a group"), vec![round; lanes.len()]);
    }
    log.truncate(lanes[7], 2).expect("the log truncates");
    let log = place.reopen(log);
    for (i, (name, &lane)) in names.iter().zip(&lanes).enumerate() {
        let first = if i == 7 { 2 } else { 0 };
        let expected: Vec<String> = (first..3).map(|round| format!("{name} {round}")).collect();
        assert_eq!(texts(&*log, lane), expected);
    }
}

fn payloads_may_be_empty(mut place: impl Place) {
    let log = place.open();
    let lane = log.lane("a").expect("a lane");
    append_each(&*log, lane, &[b"", b"", b"x"]);
    let log = place.reopen(log);
    assert_eq!(log.read(lane, 0, 0).expect("all that fit").len(), 2);
    assert_eq!(texts(&*log, lane), ["", "", "x"]);
}

fn stamps_are_kept(mut place: impl Place) {
    let log = place.open();
    let lane = log.lane("a").expect("a lane");
    let stamps = [0, -1, 1_201_953_600_000, -62_167_219_200_000, i64::MIN, i64::MAX, 5];
    for stamp in stamps {
        log.append(&[batch(lane, stamp, b"")]).expect("the log appends");
    }
    let log = place.reopen(log);
    let all = read_all(&*log, lane, 0).expect("the lane can be read");
    let kept: Vec<i64> = all.iter().map(|entry| entry.stamp.as_millis()).collect();
    assert_eq!(kept, stamps);
}

fn a_name_is_a_lane_for_ever(mut place: impl Place) {
    let log = place.open();
    let names = ["a", "b", "", "a/b", "ab", "größer", "\0", &"long".repeat(200)];
    let lanes: Vec<_> = names.iter().map(|name| log.lane(name).expect("a lane")).collect();
    append_each(&*log, lanes[1], &[b"b"]);
    let log = place.reopen(log);
    for (i, name) in names.iter().enumerate().rev() {
        assert_eq!(log.lane(name).expect("a lane"), lanes[i], "{name}");
        assert_eq!(lanes.iter().filter(|lane| **lane == lanes[i]).count(), 1);
    }
    assert_eq!(texts(&*log, lanes[1]), ["b"]);
    let fresh = log.lane("fresh").expect("a lane");
    assert!(!lanes.contains(&fresh));
}

fn appenders_and_readers_go_side_by_side(mut place: impl Place) {
    const EACH: u64 = 200;
    let log = place.open();
    let shared = log.lane("shared").expect("a lane");
    let own = ["0", "1", "2"].map(|name| log.lane(name).expect("a lane"));
    let log_ref = &*log;
    thread::scope(|scope| {
        for (i, &lane) in own.iter().enumerate() {
            scope.spawn(move || {
                for round in 0..EACH {
                    let text = format!("{i} {round}");
                    let group = [batch(shared, 0, text.as_bytes()), batch_if(lane, round, b"")];
                    let numbers = log_ref.append(&group).expect("nobody else writes this lane");
                    assert_eq!(numbers[1], round);
                }
            });
        }
        scope.spawn(move || {
            let mut seen = 0;
            while seen < 3 * EACH {
                let read = log_ref.read(shared, seen, 64).expect("the lane can be read");
                for entry in read {
                    assert_eq!(entry.sequence, seen);
                    seen += 1;
                }
            }
        });
    });
    let log = place.reopen(log);
    let all = texts(&*log, shared);
    for i in 0..3 {
        let own: Vec<_> = all.iter().filter(|text| text.starts_with(&format!("{i} "))).collect();
        let expected: Vec<String> = (0..EACH).map(|round| format!("{i} {round}")).collect();
        assert_eq!(own, expected.iter().collect::<Vec<_>>());
    }
}
