//! Random sequences of operations: every log gives exactly what a trivial model gives.

mod places;

use dunlin_stream::log::{LaneId, Log, LogError};
use places::{Faulty, Local, Memory, Place, Tiny, batch};
use proptest::prelude::*;

const LANES: usize = 4;

/// What is done to the log; lanes are named by their index and need not exist.
#[derive(Clone, Debug)]
enum Operation {
    Lane(usize),
    Append(Vec<Piece>),
    Read { lane: usize, from: u64, bytes_max: usize },
    Truncate { lane: usize, below: u64 },
    Sync,
    Reopen,
}

/// One batch of a group; `ahead` is by how much its condition is off, if it has one.
#[derive(Clone, Debug)]
struct Piece {
    lane: usize,
    ahead: Option<u64>,
    stamp: i64,
    payload: Vec<u8>,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let ahead = prop_oneof![4 => Just(None), 3 => Just(Some(0)), 1 => (1..3_u64).prop_map(Some)];
    let payload = prop::collection::vec(any::<u8>(), 0..40);
    let piece = (0..LANES, ahead, any::<i64>(), payload)
        .prop_map(|(lane, ahead, stamp, payload)| Piece { lane, ahead, stamp, payload });
    let operation = prop_oneof![
        2 => (0..LANES).prop_map(Operation::Lane),
        6 => prop::collection::vec(piece, 0..5).prop_map(Operation::Append),
        4 => (0..LANES, 0..20_u64, 0..100_usize)
            .prop_map(|(lane, from, bytes_max)| Operation::Read { lane, from, bytes_max }),
        3 => (0..LANES, 0..20_u64)
            .prop_map(|(lane, below)| Operation::Truncate { lane, below }),
        1 => Just(Operation::Sync),
        1 => Just(Operation::Reopen),
    ];
    prop::collection::vec(operation, 1..40)
}

/// Lanes in the order of their making.
#[derive(Default)]
struct Model {
    lanes: Vec<ModelLane>,
}

/// Which lane it is, all that was ever appended to it, and the first number kept.
type ModelLane = (usize, Vec<(i64, Vec<u8>)>, u64);

impl Model {
    fn find(&mut self, lane: usize) -> Option<&mut ModelLane> {
        self.lanes.iter_mut().find(|(index, ..)| *index == lane)
    }

    /// What an append answers; the numbers are the lengths that the lanes had.
    fn append(&mut self, pieces: &[Piece]) -> Result<Vec<u64>, &'static str> {
        let before: Vec<_> = self.lanes.iter().map(|(_, all, _)| all.len()).collect();
        let result: Result<Vec<u64>, _> = pieces
            .iter()
            .map(|piece| {
                let (_, all, _) = self.find(piece.lane).ok_or("unknown")?;
                if piece.ahead.is_some_and(|ahead| ahead > 0) {
                    return Err("conflict");
                }
                all.push((piece.stamp, piece.payload.clone()));
                Ok(all.len() as u64 - 1)
            })
            .collect();
        if result.is_err() {
            for ((_, all, _), len) in self.lanes.iter_mut().zip(before) {
                all.truncate(len);
            }
        }
        result
    }

    /// What a read answers: (number, stamp, payload).
    fn read(&mut self, lane: usize, from: u64, bytes_max: usize) -> Result<Vec<Row>, &'static str> {
        let (_, all, first) = self.find(lane).ok_or("unknown")?;
        if from < *first {
            return Err("truncated");
        }
        let rest = all.iter().enumerate().skip(from as usize);
        let mut rows: Vec<Row> =
            rest.map(|(i, (stamp, payload))| (i as u64, *stamp, payload.clone())).collect();
        while rows.len() > 1 && rows.iter().map(|row| row.2.len()).sum::<usize>() > bytes_max {
            rows.pop();
        }
        Ok(rows)
    }
}

type Row = (u64, i64, Vec<u8>);

fn word(error: LogError) -> &'static str {
    match error {
        LogError::Conflict { .. } => "conflict",
        LogError::Truncated { .. } => "truncated",
        LogError::UnknownLane(_) => "unknown",
        other => panic!("{other}"),
    }
}

/// Appends pieces whose conditions are as far off as they say.
fn append(log: &dyn Log, lanes: &[LaneId], pieces: &[Piece]) -> Result<Vec<u64>, &'static str> {
    let mut ahead_of = [0; LANES];
    let mut group = Vec::new();
    for piece in pieces {
        let lane = lanes[piece.lane];
        let next = log.range(lane).map_or(0, |range| range.end) + ahead_of[piece.lane];
        ahead_of[piece.lane] += 1;
        let mut append = batch(lane, piece.stamp, &piece.payload);
        append.expected = piece.ahead.map(|ahead| next + ahead);
        group.push(append);
    }
    log.append(&group).map_err(word)
}

fn read(log: &dyn Log, lane: LaneId, from: u64, max: usize) -> Result<Vec<Row>, &'static str> {
    let rows = log.read(lane, from, max).map_err(word)?;
    Ok(rows
        .into_iter()
        .map(|row| (row.sequence, row.stamp.as_millis(), row.payload.to_vec()))
        .collect())
}

fn check(mut place: impl Place, operations: Vec<Operation>) -> Result<(), TestCaseError> {
    let (mut log, mut model) = (place.open(), Model::default());
    let mut lanes = [LaneId(u32::MAX); LANES];
    for operation in operations {
        match operation {
            Operation::Lane(lane) => {
                let known = model.find(lane).is_some();
                let id = log.lane(&lane.to_string()).expect("a lane");
                prop_assert_eq!(known, lanes[lane] == id);
                lanes[lane] = id;
                if !known {
                    model.lanes.push((lane, Vec::new(), 0));
                }
            }
            Operation::Append(pieces) => {
                let numbers = append(&*log, &lanes, &pieces);
                prop_assert_eq!(numbers, model.append(&pieces));
            }
            Operation::Read { lane, from, bytes_max } => {
                let rows = read(&*log, lanes[lane], from, bytes_max);
                prop_assert_eq!(rows, model.read(lane, from, bytes_max));
            }
            Operation::Truncate { lane, below } => {
                let done = log.truncate(lanes[lane], below).map_err(word);
                let expected = model.find(lane).ok_or("unknown").map(|(_, all, first)| {
                    *first = below.min(all.len() as u64).max(*first);
                });
                prop_assert_eq!(done, expected);
            }
            Operation::Sync => log.sync().expect("the log syncs"),
            Operation::Reopen => log = place.reopen(log),
        }
        for &(lane, ref all, first) in &model.lanes {
            let range = log.range(lanes[lane]).map_err(word);
            prop_assert_eq!(range, Ok(first..all.len() as u64));
        }
    }
    let log = place.reopen(log);
    for (lane, &id) in lanes.iter().enumerate() {
        let from = model.find(lane).map_or(0, |(_, _, first)| *first);
        let rows = read(&*log, id, from, usize::MAX);
        prop_assert_eq!(rows, model.read(lane, from, usize::MAX));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn memory_does_what_the_model_does(operations in operations()) {
        check(Memory, operations)?;
    }

    #[test]
    fn faulty_does_what_the_model_does(operations in operations()) {
        check(Faulty::default(), operations)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn local_does_what_the_model_does(operations in operations()) {
        check(Local::default(), operations)?;
    }

    #[test]
    fn local_tiny_does_what_the_model_does(operations in operations()) {
        check(Tiny::default(), operations)?;
    }
}
