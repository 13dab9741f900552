//! The task of a lane: each object's last report, and what an epoch means for each shard.
//!
//! ```text
//! reports ──> slot of the name ──> newer than its last? ──> pending, one row for each object
//! end of the epoch: pending rows and silent objects ──> entered | moved | left, by shard
//! ```
//!
//! Of the reports of an object the one with the greatest event time counts, of equals the later in
//! the log; older ones are late. A shard hears only what became of an object in the whole epoch.
//! An object that was silent for longer than `ttl` leaves and is forgotten: its name goes, and in a
//! later epoch its slot, and so its id, may be another's.

use std::marker::PhantomData;

use dunlin_index::{Coord, ObjectNames, SharedNames, Slot, Space};
use dunlin_stream::wire::{self, DecodeError, Frozen};
use dunlin_stream::{
    AsStrings, Epoch, Key, RecordCounts, Router, Routes, ShardTable, Strings, Timestamp,
};
use serde::{Deserialize, Serialize, Serializer};

use super::batch::{Command, PositionBatch};
use super::columns::{Eights, eights};
use super::times::{Near, Times};
use crate::silence::SilenceWatch;

/// What a lane tells a shard of one epoch. Objects go by ids that are the same in all shards.
#[derive(Clone, Debug, Default)]
pub struct PositionOps {
    /// Objects that are new in the shard's range, in columns.
    pub(super) entered: Vec<u32>,
    pub(super) entered_names: Strings,
    pub(super) entered_at: Vec<Coord>,
    /// Objects that stay in the range.
    pub(super) moved: Vec<u32>,
    pub(super) moved_to: Vec<Coord>,
    /// Objects that leave the range, and the shard that has them now, if any has.
    pub(super) left: Vec<(u32, Option<usize>)>,
    /// The same for all shards.
    pub(super) commands: Vec<Command>,
}

/// The state of a lane of positions; see the module documentation.
#[derive(Debug)]
pub struct PositionRouter<S: Space> {
    lane: u32,
    /// How many lanes carry positions.
    lanes: u32,
    names: ObjectNames,
    objects: Vec<LastReport>,
    times: Times,
    /// Slots without an object.
    free: Vec<Slot>,
    watch: Option<SilenceWatch>,
    /// This epoch's objects and positions.
    pending: Vec<Pending>,
    found: Vec<Option<Slot>>,
    space: PhantomData<S>,
}

/// Twelve bytes: there is one for each object, and reports find them in no order of memory.
#[derive(Clone, Copy, Debug)]
struct LastReport {
    place: Place,
    time: Near,
}

/// An object that reported in this epoch.
#[derive(Clone, Copy, Debug)]
struct Pending {
    slot: Slot,
    at: Coord,
    /// Where it was at the end of the last epoch.
    was: f64,
}

const NOBODY: LastReport = LastReport { place: Place::NOWHERE, time: Near::NEVER };

/// Where an object was at the end of the last epoch, as far as routing asks: x, or nowhere. Once it
/// has reported in this epoch: its row in `pending`, which knows. A row is a NaN with a mark. In two
/// halves, the lower first, which may lie at any multiple of four bytes.
#[derive(Clone, Copy, Debug)]
struct Place([u32; 2]);

impl Place {
    const NOWHERE: Self = Self([0, 0x7ff8_0000]);
    const MARK: u32 = 0x7ff8_1000;

    fn at(x: f64) -> Self {
        if x.is_nan() {
            return Self::NOWHERE;
        }
        let bits = x.to_bits();
        Self([bits as u32, (bits >> 32) as u32])
    }

    #[inline]
    fn pending(row: u32) -> Self {
        Self([row, Self::MARK])
    }

    /// The row of an object that has reported.
    #[inline]
    fn row(self) -> Option<usize> {
        (self.0[1] == Self::MARK).then_some(self.0[0] as usize)
    }

    /// The x of one that has not; NaN if nowhere.
    #[inline]
    fn x(self) -> f64 {
        f64::from_bits(u64::from(self.0[1]) << 32 | u64::from(self.0[0]))
    }
}

/// The columns of a state, by slot; a free slot has an empty name.
#[derive(Deserialize)]
struct RouterState {
    names: Strings,
    #[serde(with = "eights")]
    times: Vec<Timestamp>,
    #[serde(with = "eights")]
    x: Vec<f64>,
    free: Vec<u32>,
}

/// A [`RouterState`] on its way into bytes.
struct FrozenRouter {
    names: SharedNames,
    /// In milliseconds.
    times: Vec<i64>,
    x: Vec<f64>,
    free: Vec<u32>,
}

impl Serialize for FrozenRouter {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let names = (0..self.x.len()).map(|slot| self.names.name(Slot(slot as u32)));
        (AsStrings(names), Eights(&self.times), Eights(&self.x), &self.free).serialize(serializer)
    }
}

impl<S: Space> PositionRouter<S> {
    /// Lane number `lane` of `lanes` with positions; one with a greater number takes commands only.
    /// Without a `ttl_ms`, objects stay for ever.
    pub(super) fn new(lane: u32, lanes: u32, ttl_ms: Option<i64>) -> Self {
        Self {
            lane,
            lanes,
            names: ObjectNames::default(),
            objects: Vec::new(),
            times: Times::default(),
            free: Vec::new(),
            watch: ttl_ms.map(SilenceWatch::new),
            pending: Vec::new(),
            found: Vec::new(),
            space: PhantomData,
        }
    }

    /// How many objects are present.
    #[must_use]
    pub fn object_count(&self) -> usize {
        self.objects.len() - self.free.len()
    }

    /// The id, last report and x of an object by its name, if a shard has it.
    pub(super) fn find(&self, name: &str) -> Option<(u32, Timestamp, f64)> {
        if name.is_empty() {
            return None;
        }
        let slot = self.names.slot(name)?;
        let x = self.objects[slot.index()].place.x();
        (!x.is_nan()).then(|| (self.id(slot), self.time(slot), x))
    }

    fn slots(&self) -> impl Iterator<Item = Slot> + use<S> {
        (0..self.objects.len() as u32).map(Slot)
    }

    /// The time of an object's last report.
    fn time(&self, slot: Slot) -> Timestamp {
        self.times.get(slot, self.objects[slot.index()].time)
    }

    /// The slot of an object that reports, a new one if it has none.
    fn slot(&mut self, name: &str, found: Option<Slot>) -> Slot {
        // It may have come earlier in the batch.
        if let Some(slot) = found.or_else(|| self.names.slot(name)) {
            return slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.objects.push(NOBODY);
            Slot(u32::try_from(self.objects.len() - 1).expect("fewer than 2^32 objects"))
        });
        self.names.intern_at(slot, name);
        slot
    }

    /// Takes a report; whether it is no older than the object's last.
    #[inline]
    fn report(&mut self, slot: Slot, time: Timestamp, at: Coord) -> bool {
        let last = &mut self.objects[slot.index()];
        let LastReport { place, time: near } = *last;
        if time < self.times.get(slot, near) {
            return false;
        }
        last.time = self.times.put(slot, near, time);
        if let Some(row) = place.row() {
            self.pending[row].at = at;
        } else {
            last.place = Place::pending(self.pending.len() as u32);
            self.pending.push(Pending { slot, at, was: place.x() });
        }
        true
    }

    /// Reads the last reports of slots, and does nothing with them: memory answers many such reads
    /// at a time, while one report after the other would wait for them.
    fn read_ahead(&self, found: &[Option<Slot>]) {
        let touch = |seen: u64, slot: &Slot| seen ^ self.objects[slot.index()].place.x().to_bits();
        std::hint::black_box(found.iter().flatten().fold(0, touch));
    }

    /// Objects that are silent for too long leave; their slots, which nobody may use yet.
    fn expire(&mut self, end: Timestamp, to: &mut Routes<'_, PositionOps>) -> Vec<Slot> {
        let Some(mut watch) = self.watch.take() else { return Vec::new() };
        for pending in self.pending.iter().filter(|pending| pending.was.is_nan()) {
            watch.watch(pending.slot, self.time(pending.slot));
        }
        let gone = watch.silent(end, |slot| self.time(slot));
        self.watch = Some(watch);
        for &slot in &gone {
            let id = self.id(slot);
            let object = std::mem::replace(&mut self.objects[slot.index()], NOBODY);
            self.times.forget(slot, object.time);
            let x = match object.place.row() {
                Some(row) => {
                    self.pending[row].at = NOWHERE;
                    self.pending[row].was
                }
                None => object.place.x(),
            };
            if !x.is_nan() {
                to.by_key(Key::of_f64(x)).left.push((id, None));
            }
        }
        gone
    }

    fn id(&self, slot: Slot) -> u32 {
        let id = u64::from(slot.0) * u64::from(self.lanes) + u64::from(self.lane);
        u32::try_from(id).expect("fewer than 2^32 objects")
    }

    /// Tells the shards what became of the objects that reported.
    fn tell(&mut self, to: &mut Routes<'_, PositionOps>) {
        let pending = std::mem::take(&mut self.pending);
        let table = to.table();
        to.to_all().for_each(|ops| ops.reserve(pending.len() / table.len()));
        for &Pending { slot, at, was } in &pending {
            if at.x.is_nan() {
                continue;
            }
            let id = self.id(slot);
            self.objects[slot.index()].place = Place::at(at.x);
            let shard = shard_of(table, at.x);
            let shard_was = if was.is_nan() { None } else { Some(shard_of(table, was)) };
            if shard_was == Some(shard) {
                to.to(shard).moved(id, at);
                continue;
            }
            if let Some(shard_was) = shard_was {
                to.to(shard_was).left.push((id, Some(shard)));
            }
            to.to(shard).entered(id, self.names.name(slot), at);
        }
        self.pending = pending;
        self.pending.clear();
    }
}

/// The position of an object that is gone.
const NOWHERE: Coord = Coord { x: f64::NAN, y: f64::NAN };

#[inline]
fn shard_of(table: &ShardTable, x: f64) -> usize {
    if table.len() == 1 { 0 } else { table.shard_of(Key::of_f64(x)) }
}

impl PositionOps {
    fn reserve(&mut self, rows: usize) {
        self.moved.reserve(rows);
        self.moved_to.reserve(rows);
    }

    fn moved(&mut self, id: u32, at: Coord) {
        self.moved.push(id);
        self.moved_to.push(at);
    }

    fn entered(&mut self, id: u32, name: &str, at: Coord) {
        self.entered.push(id);
        self.entered_names.push(name);
        self.entered_at.push(at);
    }
}

impl<S: Space> Router for PositionRouter<S> {
    type Batch = PositionBatch;
    type Ops = PositionOps;

    /// Rejects reports without a name, at a time that does not print, or at a position that is not in
    /// the space.
    fn route(&mut self, _: Epoch, batch: PositionBatch, to: &mut Routes<'_, PositionOps>) {
        for command in &batch.commands {
            to.to_all().for_each(|ops| ops.commands.push(command.clone()));
        }
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        self.names.slots(batch.names.iter(), &mut found);
        self.read_ahead(&found);
        let mut heard = None;
        for ((name, time, at), &found) in batch.reports().zip(&found) {
            let fit = !name.is_empty() && Timestamp::from_millis(time.as_millis()).is_ok();
            match S::check(at) {
                Ok(at) if fit && self.lane < self.lanes => {
                    let slot = self.slot(name, found);
                    if self.report(slot, time, at) {
                        heard = Some(time);
                    } else {
                        take_back(to.counts).late += 1;
                    }
                }
                _ => take_back(to.counts).unfit += 1,
            }
        }
        self.found = found;
        if let Some(heard) = heard
            && self.times.is_elsewhere(self.objects.len())
        {
            let nears = self.objects.iter_mut().map(|object| &mut object.time);
            self.times.count_from(heard, (0..).map(Slot).zip(nears));
        }
    }

    fn end_epoch(&mut self, _: Epoch, end: Timestamp, to: &mut Routes<'_, PositionOps>) {
        let gone = self.expire(end, to);
        self.tell(to);
        for &slot in &gone {
            self.names.remove(slot);
        }
        self.free.extend(gone);
    }

    fn snapshot(&self) -> Vec<u8> {
        self.freeze().encode()
    }

    fn freeze(&self) -> Frozen {
        Frozen::of(FrozenRouter {
            names: self.names.share(),
            times: self.slots().map(|slot| self.time(slot).as_millis()).collect(),
            x: self.objects.iter().map(|object| object.place.x()).collect(),
            free: self.free.iter().map(|slot| slot.0).collect(),
        })
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), DecodeError> {
        let state: RouterState = wire::decode(state)?;
        if let Some(flaw) = flaw(&state) {
            return Err(DecodeError::Value(flaw.to_owned()));
        }
        let objects = (0..).map(Slot).zip(state.times.iter().zip(&state.x));
        self.times = Times::default();
        let times = &mut self.times;
        let report = |(slot, (&time, &x)): (Slot, (&Timestamp, &f64))| {
            let time = if x.is_nan() { Near::NEVER } else { times.put(slot, Near::NEVER, time) };
            LastReport { place: Place::at(x), time }
        };
        self.objects = objects.map(report).collect();
        for (slot, name) in (0..).map(Slot).zip(state.names.iter()) {
            if self.names.slot(name).is_some() {
                return Err(DecodeError::Value("two objects of one name".to_owned()));
            }
            if name.is_empty() {
                self.names.label(slot, name);
                continue;
            }
            self.names.intern_at(slot, name);
            if let Some(watch) = &mut self.watch {
                watch.watch(slot, state.times[slot.index()]);
            }
        }
        self.free = state.free.into_iter().map(Slot).collect();
        Ok(())
    }
}

/// What is wrong with a state.
fn flaw(state: &RouterState) -> Option<&'static str> {
    let rows = state.names.len();
    if state.times.len() != rows || state.x.len() != rows {
        return Some("columns that differ in length");
    }
    let mut free = state.free.clone();
    free.sort_unstable();
    let nameless = (0..).zip(state.names.iter()).filter(|(_, name)| name.is_empty());
    if !free.into_iter().eq(nameless.map(|(slot, _)| slot)) {
        return Some("free slots that are not those without a name");
    }
    let homeless = state.names.iter().zip(&state.x).any(|(name, x)| name.is_empty() != x.is_nan());
    homeless.then_some("an object without a position")
}

/// A record that was counted as applied is something else.
fn take_back(counts: &mut RecordCounts) -> &mut RecordCounts {
    counts.applied -= 1;
    counts
}
