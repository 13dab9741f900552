//! Opening a log after whatever happened to it.
//!
//! The journal loses its tail if the machine stops, and the database takes what is damaged in the
//! middle of a journal for such a tail. Tables are written out only when the journal behind them is
//! on stable storage, so what is missing was in the journals that are there now, and lies no
//! further from the end than these are long. Of a damaged journal more may be missing: then the index
//! shows it, which loses its end alone. So the walk begins at the earlier of the two: a record begins
//! where the one before ended, or everything from there on is cut. Entries of the index are mended on
//! the way, since the index may have lost more than the records or less.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::record::Record;
use super::store::{self, Mark, Place, Store, index_key};
use super::{Lane, Lanes, LocalOptions, NOWHERE, verify};
use crate::log::{LaneId, LogError};

/// How many keys are removed in one write batch.
const CHUNK: usize = 4096;
const FORMAT: u64 = 1;

/// Batches of the stretch that is walked, by lane and number.
type Found = BTreeMap<LaneId, BTreeMap<u64, Place>>;

/// Opens the database and makes it a log again; returns what the lanes hold, and the low end.
pub(super) fn open(path: &Path, options: &LocalOptions) -> Result<(Store, Lanes, u64), LogError> {
    verify::prepare(path)?;
    let journal_bytes = journal_bytes(path)?;
    let store = Store::open(path, options)?;
    check_format(&store)?;
    let names = store.names()?;
    let low = store.mark(Mark::Low)?.unwrap_or(0);
    let lanes = names.iter().map(|&(_, lane)| lane).collect();
    let indexed = indexed_up_to(&store, &lanes)?;
    let Walked { found, end } = cut_behind_gaps(&store, &lanes, low, (indexed, journal_bytes))?;
    mend_index(&store, &found)?;
    let mut lanes = Lanes { end, ..Lanes::default() };
    for (name, lane) in names {
        let state = lane_state(&store, lane, low, end)?;
        lanes.by_name.insert(name, lane);
        lanes.lanes.insert(lane, state);
    }
    store.drop_below(low)?;
    Ok((store, lanes, low))
}

/// How much all journals of a folder can hold.
fn journal_bytes(path: &Path) -> Result<u64, LogError> {
    let mut bytes = 0;
    if path.is_dir() {
        for journal in verify::journals(path)? {
            bytes += fs::metadata(journal)?.len();
        }
    }
    Ok(bytes)
}

fn check_format(store: &Store) -> Result<(), LogError> {
    match store.mark(Mark::Format)? {
        Some(FORMAT) => Ok(()),
        Some(other) => Err(store::damaged(&format!("format {other} is not known; {FORMAT} is"))),
        None => {
            let mut batch = store.batch();
            store.put_mark(&mut batch, Mark::Format, FORMAT);
            Store::commit(batch)
        }
    }
}

/// The position of the last record that the index knows.
fn indexed_up_to(store: &Store, lanes: &BTreeSet<LaneId>) -> Result<u64, LogError> {
    let mut last = 0;
    for &lane in lanes {
        last = last.max(store.last_place(lane)?.map_or(0, |place| place.position));
    }
    Ok(last)
}

/// Cuts until there is no gap; returns what was walked over then.
fn cut_behind_gaps(
    store: &Store,
    lanes: &BTreeSet<LaneId>,
    low: u64,
    (indexed, journal_bytes): (u64, u64),
) -> Result<Walked, LogError> {
    loop {
        let end = match store.record_before(NOWHERE)? {
            Some((position, bytes)) => low.max(position + bytes.len() as u64),
            None => low,
        };
        // Journals are as long as what lies in them without a gap, so each cut shows the next gap.
        let from = indexed.min(end.saturating_sub(journal_bytes));
        let walked = walk(store, lanes, low, from)?;
        if walked.end == end {
            return Ok(walked);
        }
        cut(store, walked.end)?;
    }
}

struct Walked {
    found: Found,
    end: u64,
}

/// Walks over the records from before `from` on to the first gap.
fn walk(store: &Store, lanes: &BTreeSet<LaneId>, low: u64, from: u64) -> Result<Walked, LogError> {
    let before = store.record_before(from)?.map_or(low, |(position, _)| position);
    let mut walked = Walked { found: Found::new(), end: before.max(low) };
    for record in store.records_from(walked.end) {
        let (position, bytes) = record?;
        let Ok(record) = Record::decode(position, &bytes) else { break };
        if position != walked.end || !lanes.contains(&record.lane) {
            break;
        }
        let len = u32::try_from(bytes.len()).expect("a record was written with such a length");
        let lane = walked.found.entry(record.lane).or_default();
        lane.insert(record.sequence, Place { position, len });
        walked.end += u64::from(len);
    }
    Ok(walked)
}

/// Removes all records from a position on, the last ones first: an interruption leaves a gap.
fn cut(store: &Store, from: u64) -> Result<(), LogError> {
    loop {
        let last: Vec<u64> = store
            .records_from(from)
            .rev()
            .take(CHUNK)
            .map(|record| record.map(|(position, _)| position))
            .collect::<Result<_, _>>()?;
        if last.is_empty() {
            return store.sync();
        }
        let mut batch = store.batch();
        for position in last {
            batch.remove(&store.records, position.to_be_bytes());
        }
        Store::commit(batch)?;
    }
}

/// Puts places that the index has lost.
fn mend_index(store: &Store, found: &Found) -> Result<(), LogError> {
    for (&lane, places) in found {
        let first = store.mark(Mark::First(lane))?.unwrap_or(0);
        let needed = places.range(first..);
        let Some((&from, _)) = needed.clone().next() else { continue };
        let known: BTreeMap<u64, Place> =
            store.places(lane, from..u64::MAX).collect::<Result<_, _>>()?;
        let lost: Vec<_> =
            needed.filter(|(number, place)| known.get(number) != Some(place)).collect();
        for lost in lost.chunks(CHUNK) {
            let mut batch = store.batch();
            for &(&sequence, &place) in lost {
                store.put_place(&mut batch, (lane, sequence), place);
            }
            Store::commit(batch)?;
        }
    }
    Ok(())
}

/// What a lane holds; entries of the index that lead behind the end are removed.
fn lane_state(store: &Store, lane: LaneId, low: u64, end: u64) -> Result<Lane, LogError> {
    let first = store.mark(Mark::First(lane))?.unwrap_or(0);
    let mut batch = store.batch();
    let mut next = first;
    for place in store.places(lane, first..u64::MAX).rev() {
        let (sequence, place) = place?;
        if place.position < end {
            next = sequence + 1;
            break;
        }
        batch.remove(&store.index, index_key(lane, sequence));
    }
    Store::commit(batch)?;
    let mut state = Lane { next, ..Lane::empty(first) };
    state.front = first_not_kept(store, lane, &state, low)?;
    state.front_position = store.place(lane, state.front)?.map_or(NOWHERE, |place| place.position);
    Ok(state)
}

/// The first number whose record is at or above the low end: positions grow with numbers.
fn first_not_kept(store: &Store, lane: LaneId, state: &Lane, low: u64) -> Result<u64, LogError> {
    let (mut kept_below, mut above) = (state.first, state.next);
    while kept_below < above {
        let middle = kept_below + (above - kept_below) / 2;
        let place = store.place(lane, middle)?;
        if place.is_none_or(|place| place.position >= low) {
            above = middle;
        } else {
            kept_below = middle + 1;
        }
    }
    Ok(above)
}
