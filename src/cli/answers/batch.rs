//! The answers of many epochs as flat columns of numbers.
//!
//! ```text
//! answers   query, time, end ──┐         members   key, place ──┐        places   slot, at
//!           query, time, end ──┴─ up to ─>         key, place ──┴─ row ─>         slot, at
//! ```
//!
//! Positions are copied as they are collected, since objects move on. An object that stands in
//! many answers has one place for as long as it does not move.

use dunlin::index::{Coord, Slot, StripIndex};
use dunlin::query::Member;
use dunlin::stream::Timestamp;

/// One line to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) query: u32,
    /// Where its members end.
    pub(super) end: u32,
    pub(super) time: Timestamp,
}

/// An object in a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchMember {
    pub(super) key: f64,
    pub(super) place: u32,
}

/// Where an object was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) slot: Slot,
    pub(super) at: Coord,
}

/// A line to be, of one of several batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) batch: u32,
    pub(super) row: u32,
}

/// Answers that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    answers: Vec<Answer>,
    members: Vec<BatchMember>,
    places: Vec<Place>,
    /// By slot, its newest place; of another object if the slot has none in this batch.
    newest: Vec<u32>,
}

impl Batch {
    /// How much it holds: members, and lines, which cost something even without members.
    pub(crate) fn len(&self) -> usize {
        self.members.len() + self.answers.len()
    }

    /// Adds the answer to a query; its members stand in `index`.
    pub(crate) fn add(
        &mut self,
        query: usize,
        time: Timestamp,
        members: &[Member],
        index: &StripIndex,
    ) {
        for member in members {
            let at = index.position(member.slot).expect("members of answers are present");
            let place = self.place(Place { slot: member.slot, at });
            self.members.push(BatchMember { key: member.key, place });
        }
        let small = |number: usize| u32::try_from(number).expect("a batch is small");
        let end = small(self.members.len());
        self.answers.push(Answer { query: small(query), end, time });
    }

    fn place(&mut self, now: Place) -> u32 {
        if now.slot.index() >= self.newest.len() {
            self.newest.resize(now.slot.index() + 1, 0);
        }
        let newest = &mut self.newest[now.slot.index()];
        match self.places.get(*newest as usize) {
            Some(last) if last.slot == now.slot && last.at == now.at => {}
            _ => {
                *newest = u32::try_from(self.places.len()).expect("a batch is small");
                self.places.push(now);
            }
        }
        *newest
    }

    pub(super) fn clear(&mut self) {
        self.answers.clear();
        self.members.clear();
        self.places.clear();
    }

    pub(super) fn answers(&self) -> &[Answer] {
        &self.answers
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    /// The members of the answer at `row`.
    pub(super) fn members(&self, row: usize) -> &[BatchMember] {
        let start = row.checked_sub(1).map_or(0, |before| self.answers[before].end);
        &self.members[start as usize..self.answers[row].end as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis_unchecked(0);

    fn index(places: &[(f64, f64)]) -> StripIndex {
        let mut index = StripIndex::default();
        let slots: Vec<Slot> = (0..).map(Slot).take(places.len()).collect();
        let at: Vec<Coord> = places.iter().copied().map(Coord::from).collect();
        index.apply(&slots, &at);
        index
    }

    fn member(slot: u32) -> Member {
        Member { key: 1.0, slot: Slot(slot) }
    }

    #[test]
    fn an_object_has_one_place_until_it_moves() {
        let mut batch = Batch::default();
        let (before, after) = (index(&[(1.0, 1.0), (2.0, 2.0)]), index(&[(1.0, 1.0), (3.0, 2.0)]));
        batch.add(0, NOON, &[member(0), member(1)], &before);
        batch.add(1, NOON, &[member(1)], &before);
        batch.add(1, NOON, &[member(0), member(1)], &after);
        let places: Vec<_> =
            batch.places().iter().map(|place| (place.slot.0, place.at.x)).collect();
        assert_eq!(places, [(0, 1.0), (1, 2.0), (1, 3.0)]);
        let rows = |row| batch.members(row).iter().map(|member| member.place).collect::<Vec<_>>();
        assert_eq!((rows(0), rows(1), rows(2)), (vec![0, 1], vec![1], vec![0, 2]));

        batch.clear();
        batch.add(0, NOON, &[member(1)], &before);
        assert_eq!(batch.places()[0].slot, Slot(1));
    }
}
