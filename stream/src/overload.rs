//! Overload: what becomes of records while more come in than are applied.
//!
//! A source may have so many records in the log that were not applied yet: its credit, given back as
//! epochs are run. When it is used up, its policy decides, and nothing waits in an unbounded queue:
//!
//! - [`Policy::Block`]: the sender waits; nothing is lost.
//! - [`Policy::Latest`]: records wait in a table that keeps only the newest of each object; those
//!   that a newer one replaces are counted as superseded.
//! - [`Policy::Shed`]: records of this class are dropped and counted as shed, from the share of the
//!   credit on that the class declares, so that more important classes keep the rest.

use compact_str::CompactString;
use foldhash::fast::FixedState;
use indexmap::IndexMap;

use crate::event_time::RowsOfTime;

/// What to do with a source's records under pressure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Have the sender wait.
    Block,
    /// Keep the newest record of each object, for so many objects at most; then have it wait.
    Latest {
        /// How many objects may wait.
        objects_max: usize,
    },
    /// Drop records when this many per cent of the credit are in use.
    Shed {
        /// From 0 to 100.
        from_percent: u8,
    },
}

/// Rows of named objects.
pub trait RowsOfObjects: RowsOfTime {
    /// The object of a row.
    fn object(&self, row: usize) -> &str;

    /// Adds a row of another batch at the end.
    fn push_row(&mut self, from: &Self, row: usize);

    /// Replaces a row by one of another batch that is of the same object.
    fn replace_row(&mut self, at: usize, from: &Self, row: usize);
}

/// How many records may be in the log unapplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    limit: u64,
    used: u64,
}

impl Credit {
    /// A credit of so many records.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// Whether `records` more fit. A batch that is greater than the whole credit fits when nothing
    /// else is in use, or it would wait for ever.
    #[must_use]
    pub fn has_room_for(&self, records: u64) -> bool {
        self.used == 0 || self.used.saturating_add(records) <= self.limit
    }

    /// The share in use, in per cent.
    #[must_use]
    pub fn percent(&self) -> u64 {
        self.used.saturating_mul(100).checked_div(self.limit).unwrap_or(100)
    }

    /// A credit that is never used up, in place of this one.
    #[must_use]
    pub fn unlimited(&self) -> Self {
        Self { limit: u64::MAX, used: 0 }
    }

    /// Uses some of it.
    pub fn take(&mut self, records: u64) {
        self.used = self.used.saturating_add(records);
    }

    /// Gets back what was applied.
    pub fn give_back(&mut self, records: u64) {
        self.used = self.used.saturating_sub(records);
    }
}

/// What became of the records offered to a gate. `offered` is the sum of the others and of what
/// waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateCounts {
    /// Records of batches that were not turned back.
    pub offered: u64,
    /// Records that went through.
    pub admitted: u64,
    /// Records that a newer one of the same object replaced while they waited.
    pub superseded: u64,
    /// Records that were dropped.
    pub shed: u64,
}

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission<B> {
    /// Append it.
    Append(B),
    /// There is no credit: offer it again when some was given back.
    Wait(B),
    /// Its records wait in the gate, as far as they are the newest.
    Held,
    /// It was dropped.
    Shed,
}

/// The gate of one source.
#[derive(Clone, Debug)]
pub struct Gate<B> {
    policy: Policy,
    held: B,
    rows: IndexMap<CompactString, usize, FixedState>,
    counts: GateCounts,
}

impl<B: RowsOfObjects + Default> Gate<B> {
    /// An open gate.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let (held, rows) = (B::default(), IndexMap::default());
        Self { policy, held, rows, counts: GateCounts::default() }
    }

    /// What became of the records.
    #[must_use]
    pub fn counts(&self) -> GateCounts {
        self.counts
    }

    /// How many records wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.held.rows() as u64
    }

    /// Decides over a batch. What waits goes first: call [`Gate::release`] before.
    pub fn offer(&mut self, batch: B, credit: &mut Credit) -> Admission<B> {
        let records = batch.rows() as u64;
        let room = credit.has_room_for(records) && self.rows.is_empty();
        let admission = match self.policy {
            Policy::Shed { from_percent } if credit.percent() >= u64::from(from_percent) => {
                self.counts.shed += records;
                Admission::Shed
            }
            _ if room => {
                credit.take(records);
                self.counts.admitted += records;
                Admission::Append(batch)
            }
            Policy::Latest { objects_max } if self.rows_with(&batch) <= objects_max => {
                self.hold(&batch);
                Admission::Held
            }
            _ => return Admission::Wait(batch),
        };
        self.counts.offered += records;
        admission
    }

    /// The records that wait, once there is credit for them.
    pub fn release(&mut self, credit: &mut Credit) -> Option<B> {
        let records = self.waiting();
        if records == 0 || !credit.has_room_for(records) {
            return None;
        }
        credit.take(records);
        self.counts.admitted += records;
        self.rows.clear();
        Some(std::mem::take(&mut self.held))
    }

    /// How many rows would wait with those of a batch, at most.
    fn rows_with(&self, batch: &B) -> usize {
        let is_new = |row: &usize| !self.rows.contains_key(batch.object(*row));
        self.rows.len() + (0..batch.rows()).filter(is_new).count()
    }

    fn hold(&mut self, batch: &B) {
        for row in 0..batch.rows() {
            let object = batch.object(row);
            let Some(&at) = self.rows.get(object) else {
                self.rows.insert(object.into(), self.held.rows());
                self.held.push_row(batch, row);
                continue;
            };
            self.counts.superseded += 1;
            // Records without a time are newer than those that came before.
            let newer = batch.times().get(row) >= self.held.times().get(at);
            if newer {
                self.held.replace_row(at, batch, row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Strings, Timestamp};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Reports {
        objects: Strings,
        times: Vec<Timestamp>,
        values: Vec<u32>,
    }

    impl RowsOfTime for Reports {
        fn rows(&self) -> usize {
            self.times.len()
        }

        fn times(&self) -> &[Timestamp] {
            &self.times
        }

        fn take_rows(&mut self, _: &[bool]) -> Self {
            unreachable!("a gate takes no rows out")
        }
    }

    impl RowsOfObjects for Reports {
        fn object(&self, row: usize) -> &str {
            self.objects.get(row)
        }

        fn push_row(&mut self, from: &Self, row: usize) {
            self.objects.push(from.object(row));
            self.times.push(from.times[row]);
            self.values.push(from.values[row]);
        }

        fn replace_row(&mut self, at: usize, from: &Self, row: usize) {
            assert_eq!(self.object(at), from.object(row));
            (self.times[at], self.values[at]) = (from.times[row], from.values[row]);
        }
    }

    fn reports(rows: &[(u8, i64)], value: &mut u32) -> Reports {
        let mut batch = Reports::default();
        for &(object, time) in rows {
            *value += 1;
            batch.objects.push(&object.to_string());
            batch.times.push(Timestamp::from_millis_unchecked(time));
            batch.values.push(*value);
        }
        batch
    }

    #[test]
    fn a_class_is_shed_from_its_share_on() {
        let (mut credit, mut value) = (Credit::new(10), 0);
        let mut less = Gate::<Reports>::new(Policy::Shed { from_percent: 50 });
        let mut more = Gate::<Reports>::new(Policy::Block);
        let batch = |value: &mut u32| reports(&[(1, 1), (2, 1), (3, 1), (4, 1)], value);
        for _ in 0..2 {
            assert!(matches!(less.offer(batch(&mut value), &mut credit), Admission::Append(_)));
        }
        assert_eq!(less.offer(batch(&mut value), &mut credit), Admission::Shed);
        assert!(matches!(more.offer(batch(&mut value), &mut credit), Admission::Wait(_)));
        credit.give_back(4);
        assert!(matches!(more.offer(batch(&mut value), &mut credit), Admission::Append(_)));
        assert_eq!(less.counts(), GateCounts { offered: 12, admitted: 8, superseded: 0, shed: 4 });
        assert_eq!(more.counts(), GateCounts { offered: 4, admitted: 4, superseded: 0, shed: 0 });
    }

    #[test]
    fn a_batch_greater_than_the_credit_goes_alone() {
        let mut credit = Credit::new(1);
        let mut gate = Gate::<Reports>::new(Policy::Block);
        let batch = reports(&[(1, 1), (2, 1)], &mut 0);
        assert!(matches!(gate.offer(batch.clone(), &mut credit), Admission::Append(_)));
        assert!(matches!(gate.offer(batch.clone(), &mut credit), Admission::Wait(_)));
        credit.give_back(2);
        assert!(matches!(gate.offer(batch, &mut credit), Admission::Append(_)));
    }

    #[test]
    fn a_full_table_still_takes_newer_records_of_its_objects() {
        let (mut credit, mut value) = (Credit::new(1), 0);
        credit.take(1);
        let mut gate = Gate::<Reports>::new(Policy::Latest { objects_max: 2 });
        for time in 1..4 {
            let batch = reports(&[(1, time), (2, time)], &mut value);
            assert_eq!(gate.offer(batch, &mut credit), Admission::Held);
        }
        let third = reports(&[(3, 9)], &mut value);
        assert!(matches!(gate.offer(third, &mut credit), Admission::Wait(_)));
        assert_eq!((gate.waiting(), gate.counts().superseded), (2, 4));
    }

    proptest! {
        #[test]
        fn the_latest_of_each_object_gets_through_and_every_record_is_counted(
            batches in proptest::collection::vec(
                (proptest::collection::vec((0u8..6, 0i64..9), 1..6), 0u64..8), 1..40),
            limit in 1u64..12,
            objects_max in 0usize..12,
        ) {
            let mut credit = Credit::new(limit);
            let mut gate = Gate::<Reports>::new(Policy::Latest { objects_max });
            let (mut value, mut sent, mut offered) = (0, Vec::new(), 0);
            // The newest record of each object that was not turned back, and of those that went on.
            let (mut newest, mut arrived) = (BTreeMap::new(), BTreeMap::new());
            let mut arrive = |batch: &Reports, sent: &mut Vec<u32>| {
                for row in 0..batch.rows() {
                    sent.push(batch.values[row]);
                    let record = (batch.times[row], batch.values[row]);
                    let last = arrived.entry(batch.object(row).to_owned()).or_insert(record);
                    *last = record.max(*last);
                }
            };
            for (rows, applied) in batches {
                credit.give_back(applied);
                if let Some(batch) = gate.release(&mut credit) {
                    arrive(&batch, &mut sent);
                }
                let batch = reports(&rows, &mut value);
                let before = gate.counts();
                let taken = match gate.offer(batch.clone(), &mut credit) {
                    Admission::Append(batch) => {
                        arrive(&batch, &mut sent);
                        true
                    }
                    Admission::Held => true,
                    Admission::Wait(back) => {
                        prop_assert_eq!(&back, &batch);
                        prop_assert_eq!(gate.counts(), before);
                        false
                    }
                    Admission::Shed => unreachable!("nothing is shed here"),
                };
                if taken {
                    offered += batch.rows() as u64;
                    for row in 0..batch.rows() {
                        let record = (batch.times[row], batch.values[row]);
                        let last = newest.entry(batch.object(row).to_owned()).or_insert(record);
                        *last = record.max(*last);
                    }
                }
                let counts = gate.counts();
                prop_assert!(gate.waiting() as usize <= objects_max);
                prop_assert_eq!(counts.offered, offered);
                prop_assert_eq!(counts.admitted, sent.len() as u64);
                prop_assert_eq!(counts.offered, counts.admitted + counts.superseded + gate.waiting());
            }
            credit.give_back(u64::MAX);
            if let Some(batch) = gate.release(&mut credit) {
                arrive(&batch, &mut sent);
            }
            prop_assert_eq!(newest, arrived);
            prop_assert!(sent.iter().collect::<std::collections::BTreeSet<_>>().len() == sent.len());
        }
    }
}
