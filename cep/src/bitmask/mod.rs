//! The default algorithm: bit masks of who met the arriving object, in one pass over its postings.
//!
//! ```text
//! arrival (s, o, T)
//!    visits    where o was in [T − τ, T]                 one posting list
//!    members   who is in s within ξ of T, and met o      one look at the end of the stream's ring,
//!              in θ − 1 other streams                    one posting list for each who is there
//!    rows      for each visit and window of ξ a mask     members that met o there, all at once
//!    sets      what rows have in common                  AND, mostly by choices of θ − 1 streams
//! ```
//!
//! Rows are made of the events' own times and windows no wider than ξ, so the sets that are found
//! are exact. Most arrivals end early: o was in too few streams, or nobody met it in enough of
//! them. Where all that counts now counted before, which is nearly always, a new set met o in θ − 1
//! other streams exactly (`plain`); the rest is searched set by set (`search`).
//!
//! Arrivals do not depend on one another: they are looked at in parallel, and those of one stream
//! after each other, since they have most company in common, which then lies in the cache.
//!
//! Cost per arrival: a posting list for each object that is there, each of its postings one table
//! look-up; then some words for each row and set.

mod bits;
mod by_stream;
mod gather;
mod plain;
mod rows;
mod search;
mod witness;

use std::iter::once;

use dunlin_index::EventStore;
use rayon::prelude::*;
use smallvec::SmallVec;

use crate::miner::{Arrival, Miner};
use crate::report::Report;
use crate::rule::Rule;
use crate::share::{Share, Whole};
use bits::Bits;
use gather::Surroundings;
use plain::Plain;
use search::{Room, Search};

/// Arrivals that one thread looks at in one go.
const PIECE: usize = 256;

/// Mining by bit masks.
#[derive(Debug, Default)]
pub struct Bitmask {
    /// The stream and the number of each arrival.
    order: Vec<u64>,
    scratch: Scratch,
}

/// What is reused from one arrival to the next.
#[derive(Debug, Default)]
struct Scratch {
    around: Surroundings,
    plain: Plain,
    narrow: Room<u64>,
    wide: Room<Vec<u64>>,
    out: Vec<Report>,
    cut: u64,
}

impl Miner for Bitmask {
    fn mine(
        &mut self,
        store: &EventStore,
        rule: &Rule,
        arrivals: &[Arrival],
        out: &mut Vec<Report>,
    ) -> u64 {
        self.mine_share((store, rule), arrivals, &Whole, out)
    }
}

impl Bitmask {
    /// As [`Miner::mine`], but tells the sets of a share only, and counts only those cut arrivals
    /// whose object the share owns.
    pub(crate) fn mine_share(
        &mut self,
        (store, rule): (&EventStore, &Rule),
        arrivals: &[Arrival],
        share: &impl Share,
        out: &mut Vec<Report>,
    ) -> u64 {
        self.put_in_order(arrivals);
        let arrivals = Ordered { arrivals, order: &self.order };
        if rayon::current_num_threads() == 1 || arrivals.order.len() <= PIECE {
            self.scratch.take(store, rule, arrivals, share);
            out.append(&mut self.scratch.out);
            return std::mem::take(&mut self.scratch.cut);
        }
        let look = |scratch: &mut Scratch, order: &[u64]| {
            scratch.take(store, rule, Ordered { order, ..arrivals }, share);
            (std::mem::take(&mut scratch.out), std::mem::take(&mut scratch.cut))
        };
        let pieces = self.order.par_chunks(PIECE).map_init(Scratch::default, look);
        let pieces: Vec<(Vec<Report>, u64)> = pieces.collect();
        pieces.into_iter().map(|(mut reports, cut)| (out.append(&mut reports), cut).1).sum()
    }

    /// Orders arrivals by stream, then as they are.
    fn put_in_order(&mut self, arrivals: &[Arrival]) {
        let keys = arrivals
            .iter()
            .zip(0..)
            .map(|(arrival, number): (_, u64)| u64::from(arrival.event.stream.0) << 32 | number);
        self.order.clear();
        self.order.extend(keys);
        self.order.sort_unstable();
    }
}

/// Arrivals in the order in which they are looked at.
#[derive(Clone, Copy)]
struct Ordered<'a> {
    arrivals: &'a [Arrival],
    /// Stream and number of each.
    order: &'a [u64],
}

impl Scratch {
    fn take(
        &mut self,
        store: &EventStore,
        rule: &Rule,
        Ordered { arrivals, order }: Ordered<'_>,
        share: &impl Share,
    ) {
        for keys in order.chunks(gather::READ_AHEAD) {
            let arrivals = keys.iter().map(|&key| arrivals[key as u32 as usize]);
            let arrivals: SmallVec<[Arrival; gather::READ_AHEAD]> = arrivals.collect();
            let all = gather::all_together(store, rule, &arrivals);
            for (arrival, together) in arrivals.iter().zip(all) {
                let object = arrival.event.object;
                let may_tell = together.iter().any(|p| share.may_begin(p.object, object));
                if may_tell && self.around.look(store, rule, arrival, together) {
                    self.complete(rule, arrival, share);
                }
            }
        }
    }

    fn complete(&mut self, rule: &Rule, arrival: &Arrival, share: &impl Share) {
        let Self { around, plain, narrow, wide, out, cut } = self;
        let object = arrival.event.object;
        let mut objects = once(object).chain(around.members.iter().map(|member| member.object));
        if !objects.any(|first| share.may_begin(first, object)) {
            return;
        }
        let at = (arrival.event.time, arrival.event.stream);
        if plain.find(around, rule, at, &mut narrow.rows, &mut narrow.found) {
            if !narrow.found.is_empty() {
                around.group_hits();
                tell((rule, share), arrival, around, narrow, out);
            }
            return;
        }
        around.order_members();
        around.order_hits();
        let is_whole = if around.members.len() <= 64 {
            complete((rule, share), arrival, around, narrow, out)
        } else {
            complete((rule, share), arrival, around, wide, out)
        };
        *cut += u64::from(!is_whole && share.owns(object));
    }
}

/// Tells the sets that an arrival completes: the heart. Says whether that was all.
fn complete<B: Bits>(
    (rule, share): (&Rule, &impl Share),
    arrival: &Arrival,
    around: &Surroundings,
    room: &mut Room<B>,
    out: &mut Vec<Report>,
) -> bool {
    let event = &arrival.event;
    let members = around.members.len();
    rows::rows(around, rule, event.time, event.stream, &mut room.rows);
    let (stream, nodes_left) = (event.stream, rule.sets_max);
    let mut search = Search { rule, stream, members, nodes_left, room };
    let mut open = B::none(members);
    for (bit, member) in around.members.iter().enumerate() {
        if !member.is_elsewhere {
            open.insert(bit);
        }
    }
    let is_whole = search.run(open);
    tell((rule, share), arrival, around, room, out);
    is_whole
}

/// Tells the sets that were found.
fn tell<B: Bits>(
    (rule, share): (&Rule, &impl Share),
    arrival: &Arrival,
    around: &Surroundings,
    room: &Room<B>,
    out: &mut Vec<Report>,
) {
    let event = &arrival.event;
    let is_told = |set: &&B| {
        let others = around.members.iter().enumerate().filter(|(bit, _)| set.contains(*bit));
        share.tells(once(event.object).chain(others.map(|(_, member)| member.object)))
    };
    let told = room.found.iter().filter(is_told);
    out.extend(told.map(|set| witness::report(around, rule, event, (set, &room.rows))));
}
