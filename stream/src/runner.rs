//! Drives an operator over an ordered stream, inside one process and on the caller's thread.
//!
//! ```text
//! stamps ──EpochClock──> runs of one epoch ──batch──> Operator ──outputs──> sink
//! ```

use std::ops::Range;

use crate::{EpochClock, Operator, Timestamp};

/// Runs `operator` over records stamped `stamps`, epoch by epoch; epochs without a record are
/// skipped.
///
/// `batch` lends the records of a range of positions in `stamps`. After every epoch `sink` gets
/// what the operator emitted in it; an error of the sink ends the run. At the end of the stream the
/// watermark passes all, and the sink gets what was held back for it.
///
/// # Errors
/// The first error of `sink`.
pub fn run<'b, O: Operator, E>(
    operator: &mut O,
    mut clock: EpochClock,
    stamps: &[Timestamp],
    batch: impl Fn(Range<usize>) -> O::Batch<'b>,
    mut sink: impl FnMut(&O, Timestamp, &[O::Output]) -> Result<(), E>,
) -> Result<(), E> {
    let mut out = Vec::new();
    let mut start = 0;
    while start < stamps.len() {
        let epoch = clock.assign(stamps[start]);
        let len = stamps[start..].iter().take_while(|&&at| clock.assign(at) == epoch).count();
        let end = clock.end(epoch);
        operator.apply(epoch, batch(start..start + len), &mut out);
        operator.end_epoch(epoch, end, &mut out);
        sink(operator, end, &out)?;
        out.clear();
        start += len;
    }
    operator.watermark(Timestamp::END, &mut out);
    if out.is_empty() { Ok(()) } else { sink(operator, Timestamp::END, &out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Epoch;

    /// Counts words, the smallest operator.
    #[derive(Default)]
    struct WordCount(std::collections::BTreeMap<String, usize>);

    impl Operator for WordCount {
        type Batch<'a> = &'a [&'a str];
        type Message = ();
        type Output = (String, usize);

        fn apply(&mut self, _: Epoch, batch: &[&str], _: &mut Vec<(String, usize)>) {
            for &word in batch {
                *self.0.entry(word.to_owned()).or_default() += 1;
            }
        }

        fn end_epoch(&mut self, _: Epoch, _: Timestamp, out: &mut Vec<(String, usize)>) {
            out.extend(std::mem::take(&mut self.0));
        }
    }

    #[test]
    fn every_epoch_with_records_is_applied_once_and_in_order() {
        let words = ["a", "b", "a", "c", "c"];
        let stamps = [0, 900, 999, 5_000, 2_000].map(Timestamp::from_millis_unchecked);
        let mut epochs = Vec::new();
        let sink = |_: &WordCount, end: Timestamp, out: &[(String, usize)]| {
            epochs.push((end.as_millis(), out.to_vec()));
            Ok::<_, ()>(())
        };
        run(
            &mut WordCount::default(),
            EpochClock::new(1_000),
            &stamps,
            |range| &words[range],
            sink,
        )
        .expect("the sink takes all");
        let count = |word: &str, count| (word.to_owned(), count);
        assert_eq!(
            epochs,
            [(1_000, vec![count("a", 2), count("b", 1)]), (6_000, vec![count("c", 2)])]
        );
    }

    /// Holds everything back until the watermark.
    #[derive(Default)]
    struct Patient(Vec<&'static str>);

    impl Operator for Patient {
        type Batch<'a> = &'a [&'static str];
        type Message = ();
        type Output = &'static str;

        fn apply(&mut self, _: Epoch, batch: &[&'static str], _: &mut Vec<&'static str>) {
            self.0.extend(batch);
        }

        fn watermark(&mut self, at: Timestamp, out: &mut Vec<&'static str>) {
            assert_eq!(at, Timestamp::END);
            out.append(&mut self.0);
        }
    }

    #[test]
    fn what_waits_for_the_watermark_comes_at_the_end() {
        let words = ["a", "b"];
        let stamps = [0, 1_000].map(Timestamp::from_millis_unchecked);
        let mut told = Vec::new();
        let sink = |_: &Patient, end: Timestamp, out: &[&'static str]| {
            told.push((end, out.to_vec()));
            Ok::<_, ()>(())
        };
        let clock = EpochClock::new(1_000);
        run(&mut Patient::default(), clock, &stamps, |range| &words[range], sink)
            .expect("the sink takes all");
        let ends = [1_000, 2_000].map(Timestamp::from_millis_unchecked);
        let expected = [(ends[0], vec![]), (ends[1], vec![]), (Timestamp::END, vec!["a", "b"])];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_error_of_the_sink_ends_the_run() {
        let stamps = [0, 1_000].map(Timestamp::from_millis_unchecked);
        let mut calls = 0;
        let sink = |_: &WordCount, _: Timestamp, _: &[(String, usize)]| {
            calls += 1;
            Err("full")
        };
        let words = ["a", "b"];
        let ran = run(
            &mut WordCount::default(),
            EpochClock::new(1_000),
            &stamps,
            |range| &words[range],
            sink,
        );
        assert_eq!((ran, calls), (Err("full"), 1));
    }
}
