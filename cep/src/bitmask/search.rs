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

use super::bits::Bits;
use super::rows::Row;
use crate::rule::{ReportKind, Rule};
use dunlin_index::Slot;

/// One search.
pub(super) struct Search<'a, B> {
    pub(super) rule: &'a Rule,
    /// The arrival's stream.
    pub(super) stream: Slot,
    /// How many members there are.
    pub(super) members: usize,
    /// How many more sets may be looked at, each one of at most 64 members.
    pub(super) nodes_left: u64,
    pub(super) room: &'a mut Room<B>,
}

/// What a search works on, and is reused by the next.
#[derive(Debug, Default)]
pub(super) struct Room<B> {
    pub(super) rows: Vec<Row<B>>,
    /// The nodes on the way down.
    way: Vec<Node<B>>,
    /// Their rows, one list behind the other.
    stack: Vec<u32>,
    /// Of a node, at i the members that are in more than i of the streams so far.
    in_more: Vec<B>,
    /// The sets that were found.
    pub(super) found: Vec<B>,
}

/// A set of members, what may still be added to it, and its rows.
#[derive(Debug)]
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
        let Room { rows, way, stack, found, .. } = &mut *self.room;
        way.clear();
        found.clear();
        stack.clear();
        stack.extend((0..).zip(rows).map(|(row, _)| row));
        // Where there are many members, to look at a set costs more.
        let cost = 1 + self.members as u64 / 64;
        let mut next = Some(Node { set: B::none(self.members), open, rows: 0 });
        loop {
            if let Some(node) = next.take() {
                let Some(left) = self.nodes_left.checked_sub(cost) else { return false };
                self.nodes_left = left;
                let node = self.visit(node);
                self.room.way.extend(node);
            }
            let Some(node) = self.room.way.last_mut() else { return true };
            let Some(bit) = node.open.first() else {
                self.room.stack.truncate(node.rows);
                self.room.way.pop();
                continue;
            };
            node.open.remove(bit);
            let mut set = node.set.clone();
            set.insert(bit);
            let (open, rows) = (node.open.clone(), node.rows);
            next = Some(self.grown(set, open, rows));
        }
    }

    /// A set that has grown, with those of the rows that hold it.
    fn grown(&mut self, set: B, open: B, rows: usize) -> Node<B> {
        let Room { rows: all, stack, .. } = &mut *self.room;
        let start = stack.len();
        for index in rows..start {
            let row = stack[index];
            if set.is_subset(&all[row as usize].members) {
                stack.push(row);
            }
        }
        Node { set, open, rows: start }
    }

    /// Looks at a node: tells its set if it is to be told, and gives the node back with what is
    /// worth adding; nothing, and its rows taken off the stack, if the branch ends here.
    fn visit(&mut self, mut node: Node<B>) -> Option<Node<B>> {
        loop {
            let tally = self.tally(&node.set, node.rows);
            node.open.intersect(&tally.frequent);
            let mut greatest = node.set.clone();
            greatest.union(&node.open);
            if greatest.is_empty() || !self.is_new(&greatest, node.rows) {
                return self.end(&node);
            }
            let mut forced = tally.shared.clone();
            forced.subtract(&node.set);
            if self.rule.report == ReportKind::All || forced.is_empty() {
                let size = node.set.len() + 1;
                if self.is_told(&node.set, size, &tally, node.rows) {
                    self.room.found.push(node.set.clone());
                }
                let is_greatest = node.open.is_empty() || self.rule.is_beyond(size + 1);
                return if is_greatest { self.end(&node) } else { Some(node) };
            }
            if !forced.is_subset(&node.open) {
                return self.end(&node);
            }
            node.set.union(&forced);
            node.open.subtract(&forced);
            if self.rule.is_beyond(node.set.len() + 1) {
                return self.end(&node);
            }
            self.keep_rows(&node);
        }
    }

    /// Takes a node's rows off the stack.
    fn end(&mut self, node: &Node<B>) -> Option<Node<B>> {
        self.room.stack.truncate(node.rows);
        None
    }

    /// Drops those of a node's rows that do not hold its set.
    fn keep_rows(&mut self, node: &Node<B>) {
        let Room { rows, stack, .. } = &mut *self.room;
        let mut kept = node.rows;
        for index in node.rows..stack.len() {
            let row = stack[index];
            if node.set.is_subset(&rows[row as usize].members) {
                stack[kept] = row;
                kept += 1;
            }
        }
        stack.truncate(kept);
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
        named(&self.room.rows, &self.room.stack[start..])
    }

    fn tally(&mut self, set: &B, rows: usize) -> Tally<B> {
        let all = B::all(self.members);
        let mut tally = Tally { support: 1, frequent: all.clone(), same: all.clone(), shared: all };
        let Room { rows: all_rows, stack, in_more, .. } = &mut *self.room;
        in_more.clear();
        let needed = self.rule.theta as usize - 1;
        let rows = named(all_rows, &stack[rows..]);
        let mut rows = rows.filter(|row| row.is_now).peekable();
        while let Some(row) = rows.next() {
            let mut met = row.members.clone();
            tally.shared.intersect(&row.members);
            while let Some(more) = rows.next_if(|next| next.stream == row.stream) {
                met.union(&more.members);
                tally.shared.intersect(&more.members);
            }
            tally.support += 1;
            tally.same.intersect(&met);
            if in_more.len() < needed {
                in_more.push(B::none(self.members));
            }
            for index in (1..in_more.len()).rev() {
                let mut more = in_more[index - 1].clone();
                more.intersect(&met);
                in_more[index].union(&more);
            }
            if let Some(in_one) = in_more.first_mut() {
                in_one.union(&met);
            }
        }
        if needed > 0 {
            let enough = in_more.get(needed - 1).cloned();
            tally.frequent = enough.unwrap_or_else(|| B::none(self.members));
        }
        tally.frequent.subtract(set);
        tally.same.subtract(set);
        tally
    }
}

/// The rows of these numbers.
#[inline]
fn named<'a, B>(rows: &'a [Row<B>], numbers: &'a [u32]) -> impl Iterator<Item = &'a Row<B>> {
    numbers.iter().map(|&row| &rows[row as usize])
}
