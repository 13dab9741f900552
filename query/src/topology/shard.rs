//! The task of a shard: the objects of a range of x, and the queries that are at home there.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_index::{Coord, ObjectNames, Slot, Space, Window};
use dunlin_stream::wire::{self, DecodeError, Frozen};
use dunlin_stream::{
    Epoch, Key, KeyRange, Letter, Mail, Operator, ShardLoad, ShardTable, Timestamp,
};

use super::batch::Command;
use super::catalog::{Catalog, Done, Place};
use super::message::{Ask, Found, ShardMessage};
use super::output::StandingOutput;
use super::router::PositionOps;
use super::tell::Candidate;
use crate::query_state::Reach;
use crate::standing::StandingQueries;

/// The state of a shard; see the [module](super) documentation.
#[derive(Debug)]
pub struct StandingShard<S: Space> {
    pub(super) catalog: Catalog,
    /// The objects, by id, and the queries that are at home here, by number.
    pub(super) queries: StandingQueries<S>,
    /// The ids that a query last told, where that is not its answer in `queries` of the epoch before;
    /// `None` if it never told any.
    pub(super) told: BTreeMap<u32, Option<Vec<u32>>>,
    /// The queries that look from objects here.
    pub(super) followers: BTreeMap<Slot, Vec<u32>>,
    changes: Changes,
    /// What other shards have for the queries that asked them in this epoch.
    pub(super) spread: BTreeMap<u32, Vec<Candidate>>,
    /// Queries that are at home nowhere, of which this shard must say so in this epoch.
    pub(super) emptied: BTreeSet<u32>,
    pub(super) refused: Vec<StandingOutput>,
    /// Objects moved and answers told.
    work: u64,
}

/// What the lanes say of an epoch.
#[derive(Debug, Default)]
struct Changes {
    slots: Vec<Slot>,
    to: Vec<Coord>,
    entered: Vec<Slot>,
    gone: Vec<Slot>,
    /// Where those that are gone went, if another shard has them.
    gone_to: Vec<Option<usize>>,
    commands: Vec<Command>,
}

impl<S: Space> Default for StandingShard<S> {
    fn default() -> Self {
        Self {
            catalog: Catalog::default(),
            queries: StandingQueries::default(),
            told: BTreeMap::new(),
            followers: BTreeMap::new(),
            changes: Changes::default(),
            spread: BTreeMap::new(),
            emptied: BTreeSet::new(),
            refused: Vec::new(),
            work: 0,
        }
    }
}

/// Messages by receiver.
type Outbox = BTreeMap<usize, ShardMessage>;

impl<S: Space> StandingShard<S> {
    /// A shard with objects and queries, none of which is at home here yet.
    pub(super) fn new(catalog: Catalog, queries: StandingQueries<S>) -> Self {
        Self { catalog, queries, ..Self::default() }
    }

    /// How many objects the shard has.
    #[must_use]
    pub fn object_count(&self) -> usize {
        self.queries.index().len()
    }

    /// How many queries are at home here.
    #[must_use]
    pub fn query_count(&self) -> usize {
        self.queries.query_count()
    }

    /// Round 0: brings objects, queries and answers to the end of the epoch, as far as they are
    /// here, and asks the others. The heart.
    fn begin(&mut self, mail: &Mail<'_, ShardMessage>) -> Outbox {
        let mut outbox = Outbox::new();
        let mut changes = std::mem::take(&mut self.changes);
        self.let_followers_go(&changes, &mut outbox);
        self.take_followers_in(&changes.entered);
        let new = self.follow_commands(&mut changes.commands, mail.shard);
        self.settle(&new, &changes, mail, &mut outbox);
        self.queries.advance(&changes.slots, &changes.to, &changes.gone);
        self.work += (changes.slots.len() + changes.gone.len()) as u64;
        self.changes = changes.cleared();
        if mail.table.len() > 1 {
            self.ask(mail, &mut outbox);
        }
        outbox
    }

    /// Queries whose object leaves go with it, or nowhere.
    fn let_followers_go(&mut self, changes: &Changes, outbox: &mut Outbox) {
        if self.followers.is_empty() {
            return;
        }
        for (slot, shard) in changes.gone.iter().zip(&changes.gone_to) {
            for number in self.followers.remove(slot).unwrap_or_default() {
                let told = self.let_go(number);
                match shard {
                    Some(shard) => outbox.entry(*shard).or_default().told.push((number, told)),
                    None if told.is_empty() => {}
                    None => {
                        self.emptied.insert(number);
                    }
                }
            }
        }
    }

    /// Queries whose object enters are at home here. What they told comes in the next round, if
    /// another shard had the object; else they told that there is none.
    fn take_followers_in(&mut self, entered: &[Slot]) {
        if self.catalog.has_no_followers() {
            return;
        }
        for &slot in entered {
            let numbers = self.catalog.followers(self.queries.names().name(slot)).to_vec();
            numbers.into_iter().for_each(|number| self.take_in(number, Some(slot), Some(vec![])));
        }
    }

    /// Carries out the epoch's commands; the queries that are new after all of them.
    fn follow_commands(&mut self, commands: &mut Vec<Command>, shard: usize) -> Vec<u32> {
        let mut new = Vec::new();
        for (command, place) in commands.drain(..).zip(0..) {
            match self.catalog.apply(command, S::KIND) {
                Done::Registered(number) => new.push(number),
                Done::Removed(number) => {
                    new.retain(|&other| other != number);
                    self.forget(number);
                }
                // All shards know; one says so.
                Done::Refused(reason) if shard == 0 => {
                    self.refused.push(StandingOutput::Refused { command: place, reason });
                }
                Done::Refused(_) => {}
            }
        }
        new
    }

    /// Finds new queries their home.
    fn settle(
        &mut self,
        new: &[u32],
        changes: &Changes,
        mail: &Mail<'_, ShardMessage>,
        outbox: &mut Outbox,
    ) {
        let mut followers = Vec::new();
        for &number in new {
            match self.catalog.place(number) {
                Place::X(x) if mail.table.shard_of(Key::of_f64(x)) == mail.shard => {
                    self.take_in(number, None, None);
                }
                Place::X(_) => {}
                Place::Object(_) => followers.push(number),
            }
        }
        if followers.is_empty() {
            return;
        }
        let objects = self.objects_of(&followers, changes);
        for number in followers {
            match objects.get(&number) {
                Some(&slot) => {
                    self.take_in(number, Some(slot), None);
                    if mail.shard > 0 {
                        outbox.entry(0).or_default().claims.push(number);
                    }
                }
                // Unless another shard claims it.
                None if mail.shard == 0 => {
                    self.emptied.insert(number);
                }
                None => {}
            }
        }
    }

    /// The objects here that queries look from. O(objects), though two milliseconds for a million.
    fn objects_of(&self, followers: &[u32], changes: &Changes) -> BTreeMap<u32, Slot> {
        let mut wanted = ObjectNames::default();
        let mut numbers: Vec<Vec<u32>> = Vec::new();
        for &number in followers {
            if let Place::Object(name) = self.catalog.place(number) {
                let row = wanted.intern(name).index();
                numbers.resize(numbers.len().max(row + 1), Vec::new());
                numbers[row].push(number);
            }
        }
        let gone: BTreeSet<Slot> = changes.gone.iter().copied().collect();
        let entered: BTreeSet<Slot> = changes.entered.iter().copied().collect();
        let index = self.queries.index();
        let is_here = |slot: &Slot| {
            entered.contains(slot) || (index.position(*slot).is_some() && !gone.contains(slot))
        };
        let named = self.queries.names().named_as(&wanted).into_iter();
        let here = named.filter(|(slot, _)| is_here(slot));
        here.flat_map(|(slot, row)| numbers[row.index()].iter().map(move |&it| (it, slot)))
            .collect()
    }

    /// Makes the shard the home of a query.
    pub(super) fn take_in(&mut self, number: u32, focus: Option<Slot>, told: Option<Vec<u32>>) {
        self.queries.insert(number, "".into(), self.catalog.kind(number, focus));
        if let Some(slot) = focus {
            self.followers.entry(slot).or_default().push(number);
        }
        self.told.insert(number, told);
    }

    /// Gives up being the home of a query, between epochs; the ids that it last told.
    fn let_go(&mut self, number: u32) -> Vec<u32> {
        let told = self.told_by(number);
        self.told.remove(&number);
        self.queries.remove_number(number);
        told
    }

    /// The ids that a query last told, between epochs.
    pub(super) fn told_by(&self, number: u32) -> Vec<u32> {
        match self.told.get(&number) {
            Some(told) => told.clone().unwrap_or_default(),
            None => self.queries.answer(number as usize).iter().map(|it| it.slot.0).collect(),
        }
    }

    /// Forgets a query that was removed.
    fn forget(&mut self, number: u32) {
        self.emptied.remove(&number);
        if !self.queries.stands(number) {
            return;
        }
        if let Some(slot) = self.queries.focus_slot(number)
            && let Some(followers) = self.followers.get_mut(&slot)
        {
            followers.retain(|&follower| follower != number);
            if followers.is_empty() {
                self.followers.remove(&slot);
            }
        }
        self.told.remove(&number);
        self.queries.remove_number(number);
    }

    /// Asks the shards that discs reach into.
    fn ask(&mut self, mail: &Mail<'_, ShardMessage>, outbox: &mut Outbox) {
        let range = mail.table.range(mail.shard);
        for (query, reach) in self.queries.reaching(|window| is_inside(range, window)) {
            let Reach { at: Coord { x, y }, bound, window } = reach;
            self.spread.insert(query, Vec::new());
            for shard in shards_of(mail.table, &window) {
                if shard != mail.shard {
                    outbox.entry(shard).or_default().asks.push(Ask { query, x, y, bound });
                }
            }
        }
    }

    /// Round 1: takes over what queries told elsewhere, and answers those that ask.
    fn answer(&mut self, inbox: Vec<Letter<ShardMessage>>) -> Outbox {
        let mut outbox = Outbox::new();
        for Letter { from, message } in inbox {
            for (number, told) in message.told {
                // It may have been removed meanwhile.
                if self.queries.stands(number) {
                    self.told.insert(number, Some(told));
                }
            }
            for number in message.claims {
                self.emptied.remove(&number);
            }
            for ask in message.asks {
                self.find(&ask, outbox.entry(from).or_default());
            }
        }
        outbox
    }

    fn find(&mut self, ask: &Ask, message: &mut ShardMessage) {
        let Some(query) = self.catalog.get(ask.query) else { return };
        self.queries.candidates(&query.question, ask.at(), ask.bound);
        for member in self.queries.found() {
            let Coord { x, y } = self.queries.position_of(member);
            let (id, key) = (member.slot.0, member.key);
            message.found.push(Found { query: ask.query, id, key, x, y });
            message.names.push(self.queries.names().name(member.slot));
        }
    }

    /// Round 2: takes what the others found.
    fn take_found(&mut self, inbox: Vec<Letter<ShardMessage>>) {
        for Letter { message, .. } in inbox {
            for (found, name) in message.found.iter().zip(message.names.iter()) {
                let candidates = self.spread.get_mut(&found.query).expect("who was asked answers");
                candidates.push(Candidate::new(found, name));
            }
        }
    }
}

/// Whether positions in a window have their keys in a range.
fn is_inside(range: KeyRange, window: &Window) -> bool {
    window.x.iter().all(|x| {
        x.is_empty() || (range.contains(Key::of_f64(x.min)) && range.contains(Key::of_f64(x.max)))
    })
}

/// The shards that have positions in a window.
pub(super) fn shards_of(table: &ShardTable, window: &Window) -> BTreeSet<usize> {
    let parts = window.x.iter().filter(|x| !x.is_empty());
    parts.flat_map(|x| table.shards_between(Key::of_f64(x.min), Key::of_f64(x.max))).collect()
}

impl Changes {
    fn cleared(mut self) -> Self {
        self.slots.clear();
        self.to.clear();
        self.entered.clear();
        self.gone.clear();
        self.gone_to.clear();
        self.commands.clear();
        self
    }
}

impl<S: Space> Operator for StandingShard<S> {
    type Batch<'a> = &'a PositionOps;
    type Message = ShardMessage;
    type Output = StandingOutput;

    const ROUNDS: usize = 2;

    /// Notes what a lane says; the first round acts on it.
    fn apply(&mut self, _: Epoch, ops: &PositionOps, _: &mut Vec<StandingOutput>) {
        let changes = &mut self.changes;
        let slots = |ids: &[u32]| ids.iter().map(|&id| Slot(id)).collect::<Vec<_>>();
        changes.slots.extend(ops.moved.iter().map(|&id| Slot(id)));
        changes.to.extend_from_slice(&ops.moved_to);
        let entered = slots(&ops.entered);
        for (&slot, name) in entered.iter().zip(ops.entered_names.iter()) {
            self.queries.names_mut().label(slot, name);
        }
        changes.slots.extend_from_slice(&entered);
        changes.to.extend_from_slice(&ops.entered_at);
        changes.entered.extend(entered);
        changes.gone.extend(ops.left.iter().map(|&(id, _)| Slot(id)));
        changes.gone_to.extend(ops.left.iter().map(|&(_, shard)| shard));
        changes.commands.extend_from_slice(&ops.commands);
    }

    fn exchange(&mut self, inbox: Vec<Letter<ShardMessage>>, mail: &mut Mail<'_, ShardMessage>) {
        let outbox = match mail.round {
            0 => self.begin(mail),
            1 => self.answer(inbox),
            _ => {
                self.take_found(inbox);
                Outbox::new()
            }
        };
        for (shard, message) in outbox.into_iter().filter(|(_, message)| !message.is_empty()) {
            mail.send(shard, message);
        }
    }

    fn end_epoch(&mut self, _: Epoch, _: Timestamp, out: &mut Vec<StandingOutput>) {
        out.append(&mut self.refused);
        self.tell(out);
        self.work += out.len() as u64;
    }

    fn load(&self) -> ShardLoad {
        ShardLoad { keys: self.object_count() as u64, work: self.work }
    }

    fn snapshot(&self) -> Vec<u8> {
        self.freeze().encode()
    }

    fn freeze(&self) -> Frozen {
        Frozen::of(self.parts())
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), DecodeError> {
        *self = Self::of_state(wire::decode(state)?)?;
        Ok(())
    }

    fn split(&mut self, at: Key, upper: &mut Self) {
        let (below, above) = self.state().cut(at, &self.catalog);
        *self = Self::of_state(below).expect("a part of a state is a state");
        *upper = Self::of_state(above).expect("a part of a state is a state");
    }

    fn merge(&mut self, upper: Self) {
        let joined = self.state().join(upper.state());
        *self = Self::of_state(joined).expect("neighbours make a state");
    }
}
