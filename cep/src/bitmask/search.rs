//! Depth first through the sets of members, from the rows: which of them became frequent.
//!
//! A node is a set with the rows that hold it. Its support is the number of streams of these rows,
//! and one for the arrival's own. What makes it short:
//!
//! - no set of a branch is frequent if its root is not (Apriori);
//! - no set of a branch is new if the union of all that may still be added was frequent before,
//!   or has met before in the arrival's stream (then another arrival made it frequent);
//! - members that all rows share go in at once, since a set without them is not closed; if one of
//!   them has had its own branch already, the whole branch was there.

use dunlin_index::Slot;

use super::bits::Bits;
use super::rows::Row;
use crate::rule::{ReportKind, Rule};

/// One search; `found` gets the sets.
pub(super) struct Search<'a, B> {
    pub(super) rule: &'a Rule,
    pub(super) rows: &'a [Row<B>],
    /// The arrival's stream.
    pub(super) stream: Slot,
    /// How many members there are.
    pub(super) members: usize,
    /// How many more nodes may be looked at.
    pub(super) nodes_left: u64,
    /// Rows of the nodes on the way down, one list behind the other.
    pub(super) stack: &'a mut Vec<u32>,
    pub(super) found: Vec<B>,
}

/// A set of members, and what may still be added to it.
struct Node<B> {
    set: B,
    open: B,
    /// Where its rows begin on the stack.
    rows: usize,
}

/// What adding one member would come to.
struct Tally<B> {
    /// The support of the set itself.
    support: u32,
    /// The members with which it is still frequent.
    frequent: B,
    /// The members with which its support is the same.
    same: B,
    /// The members that are in all rows that count now.
    shared: B,
}

impl<B: Bits> Search<'_, B> {
    /// Finds the sets of members, `open` ones only, that became frequent with the arriving object.
    /// Says whether that was all.
    pub(super) fn run(&mut self, open: B) -> bool {
        self.stack.clear();
        self.stack.extend((0..).zip(self.rows).map(|(row, _)| row));
        self.visit(Node { set: B::none(self.members), open, rows: 0 }).is_some()
    }

    fn visit(&mut self, node: Node<B>) -> Option<()> {
        self.nodes_left = self.nodes_left.checked_sub(1)?;
        let Node { set, mut open, rows } = node;
        let tally = self.tally(&set, rows);
        open.intersect(&tally.frequent);
        let mut greatest = set.clone();
        greatest.union(&open);
        if greatest.is_empty() || !self.is_new(&greatest, rows) {
            return Some(());
        }
        let size = set.len() + 1;
        if self.rule.report != ReportKind::All {
            let mut forced = tally.shared.clone();
            forced.subtract(&set);
            if !forced.is_empty() {
                return self.take_at_once(set, open, &forced, rows);
            }
        }
        if self.is_told(&set, size, &tally, rows) {
            self.found.push(set.clone());
        }
        if self.rule.is_beyond(size + 1) {
            return Some(());
        }
        self.branch(&set, open, rows)
    }

    /// Goes on with `forced` in the set, unless one of them is not open.
    fn take_at_once(&mut self, mut set: B, mut open: B, forced: &B, rows: usize) -> Option<()> {
        set.union(forced);
        if !forced.is_subset(&open) || self.rule.is_beyond(set.len() + 1) {
            return Some(());
        }
        open.subtract(forced);
        self.descend(set, open, rows)
    }

    fn branch(&mut self, set: &B, open: B, rows: usize) -> Option<()> {
        let mut rest = open.clone();
        let mut all = Some(());
        open.for_each(|bit| {
            rest.remove(bit);
            if all.is_some() {
                let mut grown = set.clone();
                grown.insert(bit);
                all = self.descend(grown, rest.clone(), rows);
            }
        });
        all
    }

    /// Visits a set that has grown, with those of the rows that hold it.
    fn descend(&mut self, set: B, open: B, rows: usize) -> Option<()> {
        let start = self.stack.len();
        for index in rows..start {
            let row = self.stack[index];
            if set.is_subset(&self.rows[row as usize].members) {
                self.stack.push(row);
            }
        }
        let all = self.visit(Node { set, open, rows: start });
        self.stack.truncate(start);
        all
    }

    /// Whether a set becomes frequent here: it did not occur before in the arrival's stream, and
    /// was not frequent. Whatever its supersets are, its subsets are not, if it is not.
    fn is_new(&self, set: &B, rows: usize) -> bool {
        let (mut streams, mut last) = (0, None);
        for row in self.rows_from(rows).filter(|row| row.was_before && set.is_subset(&row.members))
        {
            if row.stream == self.stream {
                return false;
            }
            streams += u32::from(last.replace(row.stream) != Some(row.stream));
        }
        streams < self.rule.theta
    }

    fn is_told(&self, set: &B, size: usize, tally: &Tally<B>, rows: usize) -> bool {
        let stands_out = match self.rule.report {
            ReportKind::All => true,
            ReportKind::Closed => tally.same.is_empty(),
            ReportKind::Maximal => tally.frequent.is_empty(),
        };
        stands_out
            && self.rule.takes(size)
            && tally.support >= self.rule.theta
            && self.is_new(set, rows)
    }

    fn rows_from(&self, start: usize) -> impl Iterator<Item = &Row<B>> {
        self.stack[start..].iter().map(|&row| &self.rows[row as usize])
    }

    fn tally(&self, set: &B, rows: usize) -> Tally<B> {
        let mut support = 1;
        let mut shared = B::all(self.members);
        let mut counts = smallvec::SmallVec::<[u32; 64]>::from_elem(1, self.members);
        let mut streams = self.rows_from(rows).filter(|row| row.is_now).peekable();
        while let Some(row) = streams.next() {
            support += 1;
            let mut met = row.members.clone();
            shared.intersect(&row.members);
            while let Some(more) = streams.next_if(|next| next.stream == row.stream) {
                met.union(&more.members);
                shared.intersect(&more.members);
            }
            met.for_each(|bit| counts[bit] += 1);
        }
        let (mut frequent, mut same) = (B::none(self.members), B::none(self.members));
        for (bit, &count) in counts.iter().enumerate().filter(|(bit, _)| !set.contains(*bit)) {
            if count >= self.rule.theta {
                frequent.insert(bit);
            }
            if count == support {
                same.insert(bit);
            }
        }
        Tally { support, frequent, same, shared }
    }
}
