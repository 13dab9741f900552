//! A batch of passages: who was seen in which stream, and when.

use dunlin_stream::event_time::RowsOfTime;
use dunlin_stream::{Key, Strings, Timestamp};
use serde::{Deserialize, Serialize};

/// Passages in columns, by name, as they lie in the log.
///
/// ```
/// use dunlin_cep::topology::PassageBatch;
/// use dunlin_stream::Timestamp;
///
/// let mut batch = PassageBatch::default();
/// batch.push(Timestamp::from_millis(1_000)?, "camera 7", "B 123");
/// batch.push(Timestamp::from_millis(1_400)?, "camera 7", ""); // nobody could read it
/// assert_eq!(batch.len(), 2);
/// # Ok::<(), dunlin_stream::ParseTimeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct PassageBatch {
    times: Vec<Timestamp>,
    streams: Strings,
    objects: Strings,
}

/// A batch as it lies in bytes that anybody may have written.
#[derive(Deserialize)]
#[serde(rename = "PassageBatch")]
struct Unchecked {
    times: Vec<Timestamp>,
    streams: Strings,
    objects: Strings,
}

impl TryFrom<Unchecked> for PassageBatch {
    type Error = &'static str;

    fn try_from(Unchecked { times, streams, objects }: Unchecked) -> Result<Self, Self::Error> {
        if times.len() == streams.len() && times.len() == objects.len() {
            Ok(Self { times, streams, objects })
        } else {
            Err("the columns are not of one length")
        }
    }
}

/// One row of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PassageRow<'a> {
    /// When.
    pub time: Timestamp,
    /// Where.
    pub stream: &'a str,
    /// Who; empty if it could not be read.
    pub object: &'a str,
}

impl PassageRow<'_> {
    /// Whether it says who was where, at a time that can be.
    fn is_fit(&self) -> bool {
        let can_be = (Timestamp::MIN..=Timestamp::MAX).contains(&self.time);
        can_be && !self.stream.is_empty() && !self.object.is_empty()
    }
}

impl PassageBatch {
    /// Adds a passage of `object` in `stream`; an unread plate is an empty object.
    ///
    /// # Panics
    /// If the names make more than 4 GiB then.
    pub fn push(&mut self, time: Timestamp, stream: &str, object: &str) {
        self.times.push(time);
        self.streams.push(stream);
        self.objects.push(object);
    }

    /// How many passages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The passages, in order.
    pub fn iter(&self) -> impl Iterator<Item = PassageRow<'_>> {
        let names = self.streams.iter().zip(self.objects.iter());
        let rows = self.times.iter().zip(names);
        rows.map(|(&time, (stream, object))| PassageRow { time, stream, object })
    }

    /// Deals the passages out to lanes, by a hash of the object, in order.
    ///
    /// # Panics
    /// If there is no lane.
    #[must_use]
    pub fn into_lanes(self, lanes: usize) -> Vec<Self> {
        let mut dealt = vec![Self::default(); lanes];
        for PassageRow { time, stream, object } in self.iter() {
            let lane = Key::of_bytes(object.as_bytes()).lane(lanes);
            dealt[lane].push(time, stream, object);
        }
        dealt
    }

    /// Drops the passages that are not fit for the state, and says how many they were: unread
    /// plates, streams without a name, times that no calendar has.
    pub(crate) fn drop_unfit(&mut self) -> u64 {
        let marks: Vec<bool> = self.iter().map(|row| !row.is_fit()).collect();
        let unfit = marks.iter().filter(|&&is_unfit| is_unfit).count();
        if unfit > 0 {
            self.take_rows(&marks);
        }
        unfit as u64
    }
}

impl RowsOfTime for PassageBatch {
    fn rows(&self) -> usize {
        self.len()
    }

    fn times(&self) -> &[Timestamp] {
        &self.times
    }

    fn take_rows(&mut self, marks: &[bool]) -> Self {
        let (streams, objects) = (self.streams.take_rows(marks), self.objects.take_rows(marks));
        let with = |mark| {
            let rows = self.times.iter().zip(marks).filter(move |row| *row.1 == mark);
            rows.map(|row| *row.0).collect()
        };
        let times = with(true);
        self.times = with(false);
        Self { times, streams, objects }
    }
}

#[cfg(test)]
mod tests {
    use dunlin_stream::wire;

    use super::*;

    fn batch(rows: &[(i64, &str, &str)]) -> PassageBatch {
        rows.iter().fold(PassageBatch::default(), |mut batch, &(time, stream, object)| {
            batch.push(Timestamp::from_millis_unchecked(time), stream, object);
            batch
        })
    }

    #[test]
    fn rows_are_taken_whole() {
        let mut all = batch(&[(1, "a", "x"), (2, "b", "y"), (3, "c", "z")]);
        let taken = all.take_rows(&[true, false, true]);
        assert_eq!(taken, batch(&[(1, "a", "x"), (3, "c", "z")]));
        assert_eq!(all, batch(&[(2, "b", "y")]));
    }

    #[test]
    fn what_is_not_fit_is_dropped_and_counted() {
        let mut all = batch(&[(1, "a", ""), (2, "", "y"), (i64::MIN, "c", "z"), (4, "d", "w")]);
        assert_eq!(all.drop_unfit(), 3);
        assert_eq!(all, batch(&[(4, "d", "w")]));
        assert_eq!(all.drop_unfit(), 0);
    }

    #[test]
    fn columns_of_different_lengths_are_no_batch() {
        let one: Strings = ["a"].into_iter().collect();
        let two: Strings = ["a", "b"].into_iter().collect();
        let times = vec![Timestamp::MIN];
        assert!(wire::decode::<PassageBatch>(&wire::encode(&(&times, &one, &one))).is_ok());
        assert!(wire::decode::<PassageBatch>(&wire::encode(&(&times, &one, &two))).is_err());
        assert!(wire::decode::<PassageBatch>(&wire::encode(&(&times, &two, &one))).is_err());
    }

    #[test]
    fn an_object_has_one_lane() {
        let all = batch(&[(1, "a", "x"), (2, "b", "y"), (3, "b", "x"), (4, "c", "z")]);
        let lanes = all.clone().into_lanes(3);
        assert_eq!(lanes.iter().map(PassageBatch::len).sum::<usize>(), 4);
        let with_x = lanes.iter().filter(|lane| lane.iter().any(|row| row.object == "x"));
        assert_eq!(with_x.count(), 1);
        assert_eq!(all.clone().into_lanes(1), [all]);
    }
}
