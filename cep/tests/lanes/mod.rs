//! Passages on their way into an engine, and a plain model of what a lane makes of them.

use std::collections::BTreeMap;

use dunlin_cep::{CooccurrenceTopology, NamedReport, PassageBatch};
use dunlin_index::{Event, Slot};
use dunlin_stream::event_time::EventTimeRule;
use dunlin_stream::lane::Envelope;
use dunlin_stream::log::Entry;
use dunlin_stream::{Engine, Epoch, Key, RecordCounts, ShardTable, Timestamp, wire};

use crate::oracle::at;

/// Objects by slot; not in the order of their bytes, one of them too long to be kept inline.
pub(crate) const OBJECTS: [&str; 6] =
    ["van", "B 1", "an object with a very long name", "ä", "b", "B 12"];
/// Streams by slot.
pub(crate) const STREAMS: [&str; 4] = ["south", "c9", "c10", "north, where the long names are"];
/// A slot that stands for an unread plate.
pub(crate) const UNREAD: u32 = 6;

const IDLE_MS: i64 = 1_000_000;

/// A passage, who sends it, and what ends with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) event: Event,
    pub(crate) producer: u64,
    pub(crate) ends: Ends,
}

/// What ends behind a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Nothing,
    Batch,
    /// A batch that is sent twice.
    Twice,
    /// The batch and the epoch.
    Epoch,
}

/// What is done to the engine between two epochs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Nothing,
    Split(u64),
    Merge(usize),
    Restore,
}

/// What came of a run.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ran {
    /// The reports of each epoch.
    pub(crate) told: Vec<Vec<NamedReport>>,
    /// Late rows, sorted.
    pub(crate) late: Vec<(i64, String, String)>,
    pub(crate) counts: RecordCounts,
    /// Taken, repeated, late and cut, over all shards.
    pub(crate) shards: [u64; 4],
    /// The states of the shards in the end.
    pub(crate) states: Vec<Vec<u8>>,
}

fn batch(rows: &[&Row]) -> PassageBatch {
    rows.iter().fold(PassageBatch::default(), |mut batch, row| {
        let Event { time, stream, object } = row.event;
        let object = OBJECTS.get(object.index()).copied().unwrap_or_default();
        batch.push(time, STREAMS[stream.index()], object);
        batch
    })
}

fn lane_of(row: &Row, lanes: usize) -> usize {
    let whole = batch(&[row]);
    whole.into_lanes(lanes).iter().position(|lane| !lane.is_empty()).expect("one of them")
}

/// The rows of each epoch, in batches, each perhaps twice.
fn epochs(rows: &[Row]) -> Vec<Vec<&[Row]>> {
    let mut epochs = Vec::new();
    for epoch in rows.split_inclusive(|row| row.ends == Ends::Epoch) {
        let mut batches = Vec::new();
        for batch in epoch.split_inclusive(|row| row.ends != Ends::Nothing) {
            batches.push(batch);
        }
        epochs.push(batches);
    }
    epochs
}

/// The batches of each epoch as they lie in the lanes.
fn entries(rows: &[Row], lanes: usize) -> Vec<Vec<Vec<Entry>>> {
    let mut sequences = BTreeMap::<(usize, u64), u64>::new();
    let mut made = Vec::new();
    for (epoch, batches) in (0..).zip(epochs(rows)) {
        let mut in_lanes = vec![Vec::new(); lanes];
        for rows in batches {
            let is_twice = rows.last().is_some_and(|row| row.ends == Ends::Twice);
            for (lane, producer) in (0..lanes).flat_map(|lane| [(lane, 1), (lane, 2)]) {
                let is_in = |row: &&Row| row.producer == producer && lane_of(row, lanes) == lane;
                let rows: Vec<&Row> = rows.iter().filter(is_in).collect();
                if rows.is_empty() {
                    continue;
                }
                let sequence = sequences.entry((lane, producer)).or_default();
                *sequence += 1;
                let envelope = Envelope { producer, sequence: *sequence, batch: batch(&rows) };
                let payload = wire::encode(&envelope);
                let entry = Entry { sequence: 0, stamp: at(epoch), payload: payload.into() };
                in_lanes[lane].extend(vec![entry; if is_twice { 2 } else { 1 }]);
            }
        }
        made.push(in_lanes);
    }
    made
}

pub(crate) fn topology(rule: &dunlin_cep::Rule, lateness_ms: i64) -> CooccurrenceTopology {
    let event_time = EventTimeRule { lateness_ms, idle_ms: IDLE_MS, skew_ms: IDLE_MS };
    CooccurrenceTopology::new(rule.clone(), event_time).expect("a rule")
}

/// Runs rows through an engine, acting on it between epochs.
pub(crate) fn run(
    topology: &CooccurrenceTopology,
    rows: &[Row],
    (lanes, shards): (usize, u32),
    acts: &[Act],
) -> Ran {
    let mut engine = Engine::new(topology.clone(), lanes, ShardTable::even(shards));
    let mut ran = Ran::default();
    let mut epochs = entries(rows, lanes);
    epochs.push(vec![Vec::new(); lanes]);
    let last = epochs.len() - 1;
    for (number, lanes) in epochs.iter().enumerate() {
        let epoch = i64::try_from(number).expect("few epochs");
        let end = if number == last { at(10 * IDLE_MS) } else { at(epoch + 1) };
        let result = engine.step(Epoch(epoch), end, lanes);
        ran.counts.add(result.counts);
        ran.late.extend(result.late.iter().flat_map(|bytes| late_rows(bytes)));
        ran.told.push(result.outputs);
        act(&mut engine, topology, acts.get(number).copied().unwrap_or(Act::Nothing));
    }
    ran.late.sort();
    for shard in engine.shards() {
        let counts = shard.counts();
        let all = [counts.taken, counts.repeated, counts.late, counts.cut];
        ran.shards.iter_mut().zip(all).for_each(|(sum, count)| *sum += count);
    }
    ran.states = engine.snapshot().shards;
    ran
}

fn act(engine: &mut Engine<CooccurrenceTopology>, topology: &CooccurrenceTopology, act: Act) {
    match act {
        Act::Nothing => {}
        Act::Split(at) => drop(engine.split(Key(at))),
        Act::Merge(shard) => drop(engine.merge(shard)),
        Act::Restore => {
            let state = engine.snapshot();
            *engine = Engine::restore(topology.clone(), &state).expect("its own state");
            assert_eq!(engine.snapshot(), state);
        }
    }
}

fn late_rows(bytes: &[u8]) -> Vec<(i64, String, String)> {
    let batch: PassageBatch = wire::decode(bytes).expect("a batch as of the input");
    batch.iter().map(|r| (r.time.as_millis(), r.stream.to_owned(), r.object.to_owned())).collect()
}

/// What should become of rows.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// Events that count.
    pub(crate) kept: Vec<Event>,
    /// Late by their lane's rule, sorted.
    pub(crate) late: Vec<(i64, String, String)>,
    /// In time for their lane, but behind what all lanes had promised.
    pub(crate) behind: u64,
    pub(crate) unread: u64,
    pub(crate) duplicate: u64,
}

/// What a lane has seen of each producer, and what it promised.
#[derive(Clone, Default)]
struct Promise {
    newest: BTreeMap<u64, Timestamp>,
    watermark: Option<Timestamp>,
}

/// The rule of lateness, row by row.
pub(crate) fn fate(rows: &[Row], lanes: usize, lateness_ms: i64) -> Fate {
    let (mut fate, mut common) = (Fate::default(), None);
    let mut promises = vec![Promise::default(); lanes];
    for batches in epochs(rows) {
        for batch in batches {
            let is_twice = batch.last().is_some_and(|row| row.ends == Ends::Twice);
            fate.duplicate += if is_twice { batch.len() as u64 } else { 0 };
            for row in batch {
                let (lane, time) = (&mut promises[lane_of(row, lanes)], row.event.time);
                if lane.watermark.is_some_and(|watermark| time < watermark) {
                    fate.late.extend(late_rows(&wire::encode(&self::batch(&[row]))));
                    continue;
                }
                let newest = lane.newest.entry(row.producer).or_insert(time);
                *newest = time.max(*newest);
                if row.event.object == Slot(UNREAD) {
                    fate.unread += 1;
                } else if common.is_some_and(|common| time < common) {
                    fate.behind += 1;
                } else {
                    fate.kept.push(row.event);
                }
            }
        }
        for lane in &mut promises {
            let slowest = lane.newest.values().min();
            let promised = slowest.map(|slowest| at(slowest.as_millis() - lateness_ms));
            lane.watermark = lane.watermark.max(promised);
        }
        common = common.max(promises.iter().filter_map(|lane| lane.watermark).min());
    }
    fate.late.sort();
    fate
}
