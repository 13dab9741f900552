//! Fuzz targets of what reads bytes back: batches of the log, outputs, checkpoints, states of tasks.
//!
//! As tests they run on random damage for a while; `cargo bolero test --engine libfuzzer NAME` looks
//! for damage that leads further. Nothing may panic, and what is accepted must be what was written.

use std::sync::Arc;

use dunlin_stream::checkpoint::{Checkpoint, Checkpoints, LanePosition};
use dunlin_stream::engine::{EngineHead, EngineState};
use dunlin_stream::lane::Envelope;
use dunlin_stream::log::{Append, Entry, Log, MemoryLog};
use dunlin_stream::outputs::{self, OutputLane};
use dunlin_stream::{Engine, Epoch, ShardTable, Strings, Timestamp, wire};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

#[path = "../examples/word_count.rs"]
#[allow(dead_code, reason = "an example has a main function")]
mod word_count;
use word_count::WordCount;

/// Bytes that are other ones, each at its place in the whole, and where the whole is cut.
type Damage = (Vec<(u16, u8)>, Option<u16>);

fn damaged(bytes: &[u8], (edits, cut): &Damage) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let len = bytes.len();
    for &(place, byte) in edits {
        if let Some(there) = bytes.get_mut(usize::from(place) % len.max(1)) {
            *there = byte;
        }
    }
    bytes.truncate(cut.map_or(len, |cut| usize::from(cut) % (len + 1)));
    bytes
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis_unchecked(millis)
}

fn words() -> Strings {
    ["turn", "as", "one", "turn", "flock"].into_iter().collect()
}

fn entry(sequence: u64, payload: Vec<u8>) -> Entry {
    Entry { sequence, stamp: at(5), payload: payload.into() }
}

fn batch() -> Vec<u8> {
    wire::encode(&Envelope { producer: 7, sequence: 3, batch: words() })
}

fn counted() -> Engine<WordCount> {
    let mut engine = Engine::new(WordCount, 1, ShardTable::even(2));
    engine.step(Epoch(0), at(20), &[vec![entry(0, batch())]]);
    engine
}

#[test]
fn fuzz_batches() {
    let whole = batch();
    bolero::check!().with_type::<Damage>().for_each(|damage| {
        let mut engine = counted();
        let entries = vec![entry(1, damaged(&whole, damage)), entry(2, whole.clone())];
        let counts = engine.step(Epoch(1), at(40), &[entries]).counts;
        // Something becomes of every record, and of a batch whose records cannot be counted.
        let known = counts.applied + counts.late + counts.duplicate + counts.rejected();
        assert_eq!(counts.read + counts.unreadable, known, "{counts:?}");
    });
}

#[test]
fn fuzz_states() {
    let whole = counted().snapshot();
    bolero::check!().with_type::<(u8, Damage)>().for_each(|(which, damage)| {
        let mut state = whole.clone();
        let pieces = state.lanes.len() + state.shards.len();
        let EngineState { lanes, shards, .. } = &mut state;
        let piece = lanes.iter_mut().chain(shards).nth(usize::from(*which) % pieces);
        let piece = piece.expect("it is below their number");
        *piece = damaged(piece, damage);
        if let Ok(mut engine) = Engine::restore(WordCount, &state) {
            engine.step(Epoch(1), at(40), &[vec![entry(4, batch())]]);
        }
    });
}

#[test]
fn fuzz_outputs() {
    let log = MemoryLog::default();
    let lane = log.lane("outputs").expect("a new lane");
    let mut written = OutputLane::open(&log, lane).expect("an empty lane");
    let said = vec!["turn".to_owned(), "as one".to_owned()];
    written.append(&log, (Epoch(3), at(20)), &said, &[]).expect("memory takes it");
    let whole = log.read(lane, 0, 0).expect("it is there")[0].payload.clone();
    bolero::check!().with_type::<Vec<Damage>>().for_each(|batches| {
        let log = MemoryLog::default();
        let lane = log.lane("outputs").expect("a new lane");
        for damage in batches {
            let payload = damaged(&whole, damage);
            let append = Append { lane, expected: None, stamp: at(20), payload: &payload };
            log.append(&[append]).expect("memory takes it");
        }
        drop(OutputLane::open(&log, lane));
        drop(outputs::next_epoch(&log, lane, 0));
        drop(outputs::read::<String>(&log, lane, 0, 1 << 20));
    });
}

fn checkpoint(epoch: i64) -> Checkpoint {
    let head = EngineHead { table: ShardTable::even(2), watermark: Some(at(7)) };
    let lanes = vec![b"lane".to_vec()];
    let shards = vec![vec![epoch as u8; 40], b"s".to_vec()];
    let position = LanePosition { next: 7, last: Some(Epoch(epoch)) };
    let state = EngineState { head, lanes, shards };
    Checkpoint { epoch: Epoch(epoch), positions: vec![position], state }
}

#[test]
fn fuzz_checkpoints() {
    use futures::executor::block_on;
    use futures::{StreamExt, TryStreamExt};
    let store = Arc::new(InMemory::new());
    let checkpoints = Checkpoints::in_store(store.clone());
    checkpoints.write(checkpoint(1)).expect("memory takes it");
    let first: Vec<_> = names(&store);
    checkpoints.write(checkpoint(2)).expect("memory takes it");
    let newer: Vec<Path> = names(&store).into_iter().filter(|it| !first.contains(it)).collect();
    let read = |name: &Path| {
        let bytes = block_on(async { store.get(name).await?.bytes().await });
        bytes.expect("it is there").to_vec()
    };
    let whole: Vec<Vec<u8>> = newer.iter().map(read).collect();

    // With `true` the damage is below a checksum that fits.
    bolero::check!().with_type::<(u8, bool, Damage)>().for_each(|(which, is_framed, damage)| {
        let which = usize::from(*which) % newer.len();
        let bytes = match (is_framed, wire::unframe(&whole[which])) {
            (true, Ok(payload)) => wire::frame(&damaged(payload, damage)),
            _ => damaged(&whole[which], damage),
        };
        let store = Arc::new(InMemory::new());
        let checkpoints = Checkpoints::in_store(store.clone());
        checkpoints.write(checkpoint(1)).expect("memory takes it");
        for (number, (name, whole)) in newer.iter().zip(&whole).enumerate() {
            let bytes = if number == which { &bytes } else { whole };
            block_on(store.put(name, bytes.clone().into())).expect("memory takes it");
        }
        let (found, unusable) = checkpoints.newest().expect("the store answers");
        let found = found.expect("the older one is whole");
        if found.epoch == Epoch(1) {
            assert_eq!((found, unusable.len()), (checkpoint(1), 1));
        } else if bytes != whole[which] {
            // A manifest that was written anew may say other things; a part may not.
            assert!(newer[which].as_ref().ends_with("manifest"), "{}", newer[which]);
        }
    });

    fn names(store: &InMemory) -> Vec<Path> {
        let all = store.list(None).map(|it| it.map(|it| it.location)).try_collect();
        block_on(all).expect("memory says what it has")
    }
}
