//! Which questions an epoch concerns, and by which touches.
//!
//! ```text
//! newest     [-  2  -  ∅  3 …]      by place: a question's newest entry, ∅ none, - not concerned
//! entries    [a  b  c  d]           a touch, and which entry is before it in the same inbox
//!                └──<──┘
//! ```
//!
//! Flat columns, so that a mover that concerns several questions touches none of their states.

/// The newest entry of a question with an empty inbox, and of one that is not concerned.
const EMPTY: u32 = u32::MAX;
const UNMARKED: u32 = u32::MAX - 1;

/// A touch in an inbox.
#[derive(Clone, Copy, Debug)]
struct Entry {
    number: u32,
    /// The entry before it in the same inbox; none if there is no entry of that number.
    before: u32,
}

/// The inboxes of all questions, by place.
#[derive(Debug, Default)]
pub(crate) struct Inboxes {
    newest: Vec<u32>,
    entries: Vec<Entry>,
    marked: Vec<u32>,
}

impl Inboxes {
    /// Makes room for the question at a new last place.
    pub(super) fn push(&mut self) {
        self.newest.push(UNMARKED);
    }

    /// Forgets the last place, and everything else.
    pub(super) fn pop(&mut self) {
        self.clear();
        self.newest.pop();
    }

    /// Forgets the last epoch.
    pub(super) fn clear(&mut self) {
        for place in self.marked.drain(..) {
            self.newest[place as usize] = UNMARKED;
        }
        self.entries.clear();
    }

    /// Marks the question at `place` as concerned.
    #[inline]
    pub(super) fn mark(&mut self, place: u32) {
        let newest = &mut self.newest[place as usize];
        if *newest == UNMARKED {
            *newest = EMPTY;
            self.marked.push(place);
        }
    }

    /// Marks all questions as concerned, by everything.
    pub(super) fn mark_all(&mut self) {
        self.entries.clear();
        self.newest.fill(EMPTY);
        self.marked.clear();
        self.marked.extend(0..self.newest.len() as u32);
    }

    /// Puts the touch of a number into the inbox at `place`, which is marked then.
    #[inline]
    pub(super) fn put(&mut self, place: u32, number: u32) {
        let newest = &mut self.newest[place as usize];
        assert!(self.entries.len() < UNMARKED as usize, "fewer than 2^32 touches in inboxes");
        let before = std::mem::replace(newest, self.entries.len() as u32);
        if before == UNMARKED {
            self.marked.push(place);
        }
        self.entries.push(Entry { number, before });
    }

    /// The same, unless it was the last that was put there.
    #[inline]
    pub(super) fn put_once(&mut self, place: u32, number: u32) {
        if self.of(place).next() != Some(number) {
            self.put(place, number);
        }
    }

    /// Whether the question at `place` is concerned.
    #[inline]
    pub(super) fn is_marked(&self, place: u32) -> bool {
        self.newest[place as usize] != UNMARKED
    }

    /// The places that are marked, in the order in which they were.
    pub(super) fn marked(&self) -> &[u32] {
        &self.marked
    }

    /// The numbers of the touches in the inbox at `place`, the newest first.
    #[inline]
    pub(crate) fn of(&self, place: u32) -> impl Iterator<Item = u32> {
        let mut next = self.newest[place as usize];
        std::iter::from_fn(move || {
            let entry = self.entries.get(next as usize)?;
            next = entry.before;
            Some(entry.number)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Query, StandingQueries};
    use dunlin_index::{Coord, Plane, SpaceKind};

    #[test]
    fn inboxes_hold_what_was_put_there_and_no_more() {
        let mut inboxes = Inboxes::default();
        (0..4).for_each(|_| inboxes.push());
        for (place, number) in [(2, 7), (0, 7), (2, 8), (0, 9)] {
            inboxes.put(place, number);
        }
        (0..3).for_each(|_| inboxes.put_once(2, 9));
        inboxes.mark(3);
        inboxes.mark(2);
        let of = |inboxes: &Inboxes, place| inboxes.of(place).collect::<Vec<_>>();
        assert_eq!(of(&inboxes, 2), [9, 8, 7]);
        assert_eq!(of(&inboxes, 0), [9, 7]);
        assert!(of(&inboxes, 1).is_empty() && of(&inboxes, 3).is_empty());
        assert_eq!(inboxes.marked(), [2, 0, 3]);
        assert_eq!([0, 1, 2, 3].map(|place| inboxes.is_marked(place)), [true, false, true, true]);

        inboxes.clear();
        inboxes.put(1, 5);
        assert_eq!((of(&inboxes, 1), of(&inboxes, 2)), (vec![5], vec![]));
        assert_eq!(inboxes.marked(), [1]);
        inboxes.mark_all();
        assert_eq!((of(&inboxes, 1), inboxes.marked()), (vec![], &[0, 1, 2, 3][..]));
        inboxes.pop();
        assert!(inboxes.marked().is_empty() && !inboxes.is_marked(2));
    }

    #[test]
    fn an_object_where_boxes_of_one_area_overlap_is_in_the_answer_once() {
        // Two triangles in opposite corners of a square: their boxes overlap, and they do not.
        let area = r#"{"id":"a","inside":{"area":{"type":"MultiPolygon","coordinates":[
            [[[0,0],[9,0],[0,9],[0,0]]],[[[10,10],[1,10],[10,1],[10,10]]]]}}}"#;
        // Found by lists, not by the screen.
        let mut standing = StandingQueries::<Plane>::default().with_screened_strips_max(0);
        standing.register(Query::from_json(area, SpaceKind::Plane).unwrap()).unwrap();
        let object = standing.names_mut().intern("o");
        let at = |x: f64| Coord { x, y: 4.0 };
        standing.advance(&[object], &[at(20.0)], &[]);
        for (x, count) in [(4.0, 1), (4.5, 1), (7.5, 1), (5.5, 0), (4.0, 1)] {
            standing.advance(&[object], &[at(x)], &[]);
            assert_eq!(standing.answer(0).len(), count, "at {x}");
        }
    }
}
