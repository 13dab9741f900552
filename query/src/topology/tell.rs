//! What a shard says at the end of an epoch: the answers of its queries, where they are other lists
//! than those told before.

use std::sync::Arc;

use dunlin_index::{Coord, Slot, Space};
use rayon::prelude::*;

use super::message::Found;
use super::output::{QueryAnswer, Rows, StandingOutput};
use super::shard::StandingShard;
use crate::question::Question;

/// An answer to be told: one whose objects are all here is yet to be written out.
enum News {
    Own(u32),
    Made(QueryAnswer),
}

/// Answers whose objects are read ahead together.
const READ_AHEAD: usize = 16;
/// The least number of these bundles in one piece of parallel work.
const PIECE: usize = 4;

/// An object that may be in the answer of a query.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    key: f64,
    id: u32,
    at: Coord,
    name: String,
}

impl Candidate {
    pub(super) fn new(found: &Found, name: &str) -> Self {
        Self { key: found.key, id: found.id, at: found.at(), name: name.to_owned() }
    }
}

impl<S: Space> StandingShard<S> {
    /// Tells the answers that are other lists than before, in order of queries.
    pub(super) fn tell(&mut self, out: &mut Vec<StandingOutput>) {
        let mut numbers = self.queries.reordered().to_vec();
        if !(self.told.is_empty() && self.spread.is_empty() && self.emptied.is_empty()) {
            let others = self.told.keys().chain(self.spread.keys()).chain(&self.emptied);
            numbers.extend(others.map(|&number| number as usize));
            numbers.sort_unstable();
            numbers.dedup();
        }
        let mut news = Vec::with_capacity(numbers.len());
        for number in numbers {
            let number = number as u32;
            if let Some(others) = self.spread.remove(&number) {
                news.extend(self.merged(number, others).map(News::Made));
            } else if self.emptied.remove(&number) {
                news.push(News::Made(self.answer_of(number, Rows::default())));
            } else if self.is_news(number) {
                news.push(News::Own(number));
            }
        }
        let make = |news| match news {
            News::Own(number) => self.own_answer(number),
            News::Made(answer) => answer,
        };
        let pieces = news.into_par_iter().chunks(READ_AHEAD).with_min_len(PIECE);
        out.par_extend(pieces.flat_map_iter(|news| {
            self.read_ahead(&news);
            news.into_iter().map(make).map(StandingOutput::Answer)
        }));
    }

    /// Reads ahead where the objects of answers are and what they are called: memory answers many
    /// reads at a time, while writing out one after the other would wait.
    fn read_ahead(&self, news: &[News]) {
        let members = news.iter().flat_map(|news| match news {
            News::Own(number) => self.queries.answer(*number as usize),
            News::Made(_) => &[],
        });
        let slots: Vec<Slot> = members.map(|member| member.slot).collect();
        self.queries.index().read_ahead(&slots);
        self.queries.names().read_ahead(&slots);
    }

    /// Whether a query whose objects are all here has another list of them than it told. From now on
    /// what it told is its answer here.
    fn is_news(&mut self, number: u32) -> bool {
        let Some(told) = self.told.remove(&number) else { return true };
        let answer = self.queries.answer(number as usize).iter().map(|member| member.slot.0);
        told.is_none_or(|told| !answer.eq(told))
    }

    /// The answer here merged with the objects of other shards, if it is another list than was told.
    fn merged(&mut self, number: u32, others: Vec<Candidate>) -> Option<QueryAnswer> {
        let all = self.merge_candidates(number, others);
        let ids: Vec<u32> = all.iter().map(|candidate| candidate.id).collect();
        let before = self.queries.answer_before(number).iter().map(|member| member.slot.0);
        let is_news = match self.told.get(&number) {
            Some(told) => told.as_ref() != Some(&ids),
            None => !before.eq(ids.iter().copied()),
        };
        self.told.insert(number, Some(ids));
        if !is_news {
            return None;
        }
        let has_distances = self.queries.has_distances(number as usize);
        let mut rows = Rows::with_capacity(all.len(), has_distances);
        for Candidate { key, at, name, .. } in &all {
            rows.push(name, has_distances.then(|| S::distance(*key)), *at);
        }
        Some(self.answer_of(number, rows))
    }

    fn merge_candidates(&self, number: u32, mut all: Vec<Candidate>) -> Vec<Candidate> {
        let members = self.queries.answer(number as usize).iter();
        all.extend(members.map(|member| Candidate {
            key: member.key,
            id: member.slot.0,
            at: self.queries.position_of(member),
            name: self.queries.names().name(member.slot).to_owned(),
        }));
        all.sort_unstable_by(|a, b| {
            a.key.total_cmp(&b.key).then_with(|| a.name.as_bytes().cmp(b.name.as_bytes()))
        });
        if let Some(Question::Knn { k, .. }) = self.catalog.get(number).map(|it| &it.question) {
            all.truncate(*k);
        }
        all
    }

    fn answer_of(&self, number: u32, rows: Rows) -> QueryAnswer {
        let id = self.catalog.id(number).unwrap_or_default();
        QueryAnswer { query: number, id, rows: Arc::new(rows) }
    }

    /// The answer of a query whose objects are all here.
    fn own_answer(&self, number: u32) -> QueryAnswer {
        let has_distances = self.queries.has_distances(number as usize);
        let members = self.queries.answer(number as usize);
        let mut rows = Rows::with_capacity(members.len(), has_distances);
        for member in members {
            let distance = has_distances.then(|| S::distance(member.key));
            let name = self.queries.names().name(member.slot);
            rows.push(name, distance, self.queries.position_of(member));
        }
        self.answer_of(number, rows)
    }
}
