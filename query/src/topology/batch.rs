//! What lies in the lanes of the log: reports of positions, and commands.

use dunlin_index::Coord;
use dunlin_stream::event_time::RowsOfTime;
use dunlin_stream::overload::RowsOfObjects;
use dunlin_stream::{Strings, Timestamp};
use serde::{Deserialize, Serialize};

use super::columns::{deltas, eights};

/// Reports of positions, in columns, and commands, which take effect with the epoch's end.
///
/// ```
/// use dunlin_query::topology::{Command, PositionBatch};
/// use dunlin_stream::{Timestamp, wire};
///
/// let mut batch = PositionBatch::default();
/// batch.push("taxi 7", Timestamp::from_millis(1_000)?, (116.39, 39.91).into());
/// let query = r#"{"id":"q","knn":{"k":1,"at":[116.4,39.9]}}"#;
/// batch.command(Command::Register { query: query.to_owned() });
/// assert_eq!(wire::decode(&wire::encode(&batch)), Ok(batch));
/// # Ok::<(), dunlin_stream::ParseTimeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WireBatch")]
pub struct PositionBatch {
    pub(super) names: Strings,
    #[serde(with = "deltas")]
    pub(super) times: Vec<Timestamp>,
    #[serde(with = "eights")]
    pub(super) x: Vec<f64>,
    #[serde(with = "eights")]
    pub(super) y: Vec<f64>,
    pub(super) commands: Vec<Command>,
}

/// A change of the set of queries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Lets a query stand. A text that is no query, or a query under an id that is taken, is refused.
    Register {
        /// Its JSON.
        query: String,
    },
    /// Removes a query. An id that no query has is refused.
    Remove {
        /// Its id.
        id: String,
    },
}

/// A batch as it is read, unchecked.
#[derive(Deserialize)]
struct WireBatch {
    names: Strings,
    #[serde(with = "deltas")]
    times: Vec<Timestamp>,
    #[serde(with = "eights")]
    x: Vec<f64>,
    #[serde(with = "eights")]
    y: Vec<f64>,
    commands: Vec<Command>,
}

impl TryFrom<WireBatch> for PositionBatch {
    type Error = &'static str;

    fn try_from(batch: WireBatch) -> Result<Self, Self::Error> {
        let WireBatch { names, times, x, y, commands } = batch;
        if [times.len(), x.len(), y.len()].iter().all(|&len| len == names.len()) {
            Ok(Self { names, times, x, y, commands })
        } else {
            Err("columns that differ in length")
        }
    }
}

impl PositionBatch {
    /// Adds a report.
    ///
    /// # Panics
    /// After 4 GiB of names.
    pub fn push(&mut self, name: &str, time: Timestamp, at: Coord) {
        self.names.push(name);
        self.times.push(time);
        self.x.push(at.x);
        self.y.push(at.y);
    }

    /// Gives all reports one event time.
    pub fn fill_times(&mut self, time: Timestamp) {
        self.times.fill(time);
    }

    /// Adds a command.
    pub fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// The reports, in order: object, event time, position.
    pub fn reports(&self) -> impl ExactSizeIterator<Item = (&str, Timestamp, Coord)> {
        (0..self.rows()).map(|row| {
            let at = Coord { x: self.x[row], y: self.y[row] };
            (self.names.get(row), self.times[row], at)
        })
    }

    /// The commands, in order.
    #[must_use]
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }
}

impl RowsOfTime for PositionBatch {
    fn rows(&self) -> usize {
        self.times.len()
    }

    fn times(&self) -> &[Timestamp] {
        &self.times
    }

    /// Takes reports; commands have no event time and stay.
    fn take_rows(&mut self, marks: &[bool]) -> Self {
        let (mut taken, mut kept) = (Self::default(), Self::default());
        for ((name, time, at), &marked) in self.reports().zip(marks) {
            if marked { &mut taken } else { &mut kept }.push(name, time, at);
        }
        kept.commands = std::mem::take(&mut self.commands);
        *self = kept;
        taken
    }
}

impl RowsOfObjects for PositionBatch {
    fn object(&self, row: usize) -> &str {
        self.names.get(row)
    }

    fn push_row(&mut self, from: &Self, row: usize) {
        self.names.push(from.names.get(row));
        self.times.push(from.times[row]);
        self.x.push(from.x[row]);
        self.y.push(from.y[row]);
    }

    fn replace_row(&mut self, at: usize, from: &Self, row: usize) {
        self.times[at] = from.times[row];
        (self.x[at], self.y[at]) = (from.x[row], from.y[row]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin_stream::wire;
    use proptest::prelude::*;

    fn batches() -> impl Strategy<Value = PositionBatch> {
        let coordinate = prop_oneof![-180.0..180.0, prop::num::f64::NORMAL];
        let report = ("[aé]{0,20}", any::<i64>(), coordinate.clone(), coordinate);
        let command = ("[a-z]{0,5}", any::<bool>()).prop_map(|(text, registers)| {
            if registers { Command::Register { query: text } } else { Command::Remove { id: text } }
        });
        let commands = prop::collection::vec(command, 0..3);
        (prop::collection::vec(report, 0..30), commands).prop_map(|(reports, commands)| {
            let mut batch = PositionBatch::default();
            for (name, time, x, y) in reports {
                batch.push(&name, Timestamp::from_millis_unchecked(time), Coord { x, y });
            }
            commands.into_iter().for_each(|command| batch.command(command));
            batch
        })
    }

    proptest! {
        #[test]
        fn a_batch_reads_back_and_damage_is_no_panic(
            batch in batches(), at in 0usize..2_000, flip in 1u8..=255,
        ) {
            let mut bytes = wire::encode(&batch);
            prop_assert_eq!(wire::decode::<PositionBatch>(&bytes), Ok(batch));
            let at = at % bytes.len();
            bytes[at] ^= flip;
            if let Ok(damaged) = wire::decode::<PositionBatch>(&bytes) {
                prop_assert_eq!(damaged.reports().len(), damaged.names.iter().count());
            }
            prop_assert!(wire::decode::<PositionBatch>(&bytes[..at]).is_err());
        }

        #[test]
        fn marked_rows_are_taken_in_order(batch in batches(), marks in prop::collection::vec(any::<bool>(), 30)) {
            let marks = &marks[..batch.rows()];
            let rows = |wanted: bool| {
                let rows = batch.reports().zip(marks).filter(|&(_, &marked)| marked == wanted);
                rows.map(|(row, _)| format!("{row:?}")).collect::<Vec<_>>()
            };
            let mut kept = batch.clone();
            let taken = kept.take_rows(marks);
            let all = |batch: &PositionBatch| {
                batch.reports().map(|row| format!("{row:?}")).collect::<Vec<_>>()
            };
            prop_assert_eq!(all(&taken), rows(true));
            prop_assert_eq!(all(&kept), rows(false));
            prop_assert_eq!((kept.commands(), taken.commands().len()), (batch.commands(), 0));
        }
    }

    #[test]
    fn columns_of_different_length_are_no_batch() {
        let mut batch = PositionBatch::default();
        batch.push("a", Timestamp::default(), Coord { x: 1.0, y: 2.0 });
        batch.y.push(3.0);
        assert!(wire::decode::<PositionBatch>(&wire::encode(&batch)).is_err());
    }

    #[test]
    fn a_row_costs_its_name_and_some_twenty_bytes() {
        let mut batch = PositionBatch::default();
        for i in 0..1_000i64 {
            let time = Timestamp::from_millis_unchecked(1_200_000_000_000 + i / 3);
            batch.push("v123456", time, Coord { x: i as f64, y: 0.5 });
        }
        let bytes = wire::encode(&batch).len();
        assert!(bytes < 1_000 * (7 + 1 + 1 + 16) + 32, "{bytes}");
    }
}
