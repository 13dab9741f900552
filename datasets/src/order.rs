//! The order of rows by time, for all tables.

use dunlin_stream::Timestamp;
use rayon::prelude::*;

/// Orders the times, and returns the rows where they stood, of equal times in their order; `None`
/// when they are in order as they are. All threads of the pool take part.
///
/// ```text
/// key      time since the first | row        mostly fit in 64 bits: a year takes 35, 10⁸ rows 27
/// ```
///
/// So there are no two equal keys, and they are ordered in place: new memory costs as much as the
/// ordering.
pub(crate) fn sort(times: &mut [Timestamp]) -> Option<Vec<u64>> {
    if times.is_sorted() {
        return None;
    }
    let millis = |time: &Timestamp| time.as_millis();
    let first = times.par_iter().map(millis).min()?;
    let last = times.par_iter().map(millis).max()?;
    let since = |millis: i64| millis.wrapping_sub(first).cast_unsigned();
    let row_bits = u64::BITS - (times.len() as u64).leading_zeros();
    if since(last).leading_zeros() < row_bits {
        return Some(sort_pairs(times));
    }
    let rows = times.par_iter().enumerate();
    let key = |(row, time)| since(millis(time)) << row_bits | row as u64;
    let mut keys: Vec<u64> = rows.map(key).collect();
    keys.par_sort_unstable();
    times.par_iter_mut().zip(&mut keys).for_each(|(time, key)| {
        *time = Timestamp::from_millis_unchecked((*key >> row_bits).cast_signed() + first);
        *key &= (1 << row_bits) - 1;
    });
    Some(keys)
}

/// As [`sort`], where times and rows do not fit in one number.
#[cold]
fn sort_pairs(times: &mut [Timestamp]) -> Vec<u64> {
    let mut pairs: Vec<(Timestamp, u64)> = times.iter().copied().zip(0..).collect();
    pairs.par_sort_unstable();
    times.iter_mut().zip(&pairs).for_each(|(time, pair)| *time = pair.0);
    pairs.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Times near each other, and such that do not fit in one number with their rows.
    fn times() -> impl Strategy<Value = Vec<i64>> {
        let time = prop_oneof![4 => -3i64..3, 1 => any::<i64>(), 1 => prop::num::i64::ANY];
        prop_oneof![
            prop::collection::vec(-3i64..3, 0..40),
            prop::collection::vec(i64::MIN..i64::MIN + 5, 0..40),
            prop::collection::vec(time, 0..40),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn rows_are_ordered_by_time_and_then_by_row(times in times()) {
            let mut expected: Vec<(i64, u64)> = times.iter().copied().zip(0..).collect();
            expected.sort();
            let mut sorted: Vec<_> =
                times.iter().map(|&time| Timestamp::from_millis_unchecked(time)).collect();
            let order = sort(&mut sorted);
            prop_assert_eq!(order.is_none(), times.is_sorted());
            let rows = order.unwrap_or_else(|| (0..times.len() as u64).collect());
            let found = sorted.iter().map(|time| time.as_millis()).zip(rows);
            prop_assert_eq!(found.collect::<Vec<_>>(), expected);
        }
    }
}
