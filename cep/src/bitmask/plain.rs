//! The plain case, which most arrivals are: what counts at their instant counted before.
//!
//! Then a set that became frequent has met the arriving object in exactly θ − 1 other streams: it is
//! part of what one row of each of these has in common, and no row of a further stream holds it. It
//! is closed, and maximal, if no greater one is part of the same. So all choices of θ − 1 streams are
//! gone through: few, for the θ that are asked for. Elsewhere [`Search`](super::search::Search)
//! goes through the sets.
//!
//! ```text
//! θ = 3    rows     s1 {a b c}     s2 {a b d}     s3 {a c d}     s4 {a b}
//!          common   s1 s3 {a c}    s2 s3 {a d}    s1 s2 {a b}, but s4 holds that too, …
//! ```

use dunlin_index::Slot;
use dunlin_stream::Timestamp;

use super::bits::Bits;
use super::gather::{Hit, PLAIN_MAX, Surroundings};
use super::rows::{Row, windows};
use crate::rule::{ReportKind, Rule};
use crate::span::Span;

/// So many choices are gone through at most.
const CHOICES_MAX: u64 = 1_024;
/// So many rows fit in a word.
const ROWS_MAX: usize = 64;

/// What the plain case works on; reused from one arrival to the next.
#[derive(Debug, Default)]
pub(super) struct Plain {
    /// By visit.
    met: Vec<Met>,
    /// The hits of one visit, by time.
    hits: Vec<Hit>,
    masks: Masks,
}

/// Who met the arriving object at a visit, and when.
#[derive(Clone, Copy, Debug)]
struct Met {
    members: u64,
    /// The first and the last time, the visit's own included.
    span: Span,
}

impl Plain {
    /// Finds the rows of an arrival at `time` in `stream`, those of a stream beside each other, and
    /// the sets of members that became frequent with the arriving object. Says whether the case is
    /// plain; if it is not, neither is of use.
    pub(super) fn find(
        &mut self,
        around: &Surroundings,
        rule: &Rule,
        (time, stream): (Timestamp, Slot),
        rows: &mut Vec<Row<u64>>,
        found: &mut Vec<u64>,
    ) -> bool {
        rule.theta > 1
            && around.members.len() <= PLAIN_MAX
            && around.members.iter().all(|member| !member.is_elsewhere)
            && self.meet(around, rule, (time, stream))
            && {
                self.rows(around, rule, rows);
                choose(rule, around.members.len(), rows, &mut self.masks, found)
            }
    }

    /// Finds who met the arriving object at its visits; says whether the case is plain.
    fn meet(
        &mut self,
        around: &Surroundings,
        rule: &Rule,
        (time, stream): (Timestamp, Slot),
    ) -> bool {
        let both = Span { to: Span::before(time, rule).to, ..Span::at(time, rule) };
        self.met.clear();
        self.met.extend(
            around
                .visits
                .iter()
                .map(|visit| Met { members: 0, span: Span { from: visit.time, to: visit.time } }),
        );
        for hit in &around.hits {
            let Met { members, span } = &mut self.met[hit.visit as usize];
            members.insert(hit.member as usize);
            *span = Span { from: span.from.min(hit.time), to: span.to.max(hit.time) };
        }
        let mut met = around.visits.iter().zip(&self.met).filter(|(_, met)| met.members != 0);
        met.all(|(visit, Met { span, .. })| {
            visit.stream != stream && both.contains(span.from) && both.contains(span.to)
        })
    }

    /// Makes the rows: mostly one window holds all hits of a visit.
    fn rows(&mut self, around: &Surroundings, rule: &Rule, rows: &mut Vec<Row<u64>>) {
        let Self { met, hits, .. } = self;
        rows.clear();
        for (number, (visit, met)) in (0..).zip(around.visits.iter().zip(&*met)) {
            let mut add = |members| {
                let (stream, visit, is_now, was_before) = (visit.stream, number, true, true);
                rows.push(Row { members, stream, visit, is_now, was_before });
            };
            let Span { from, to } = met.span;
            if met.members == 0 {
                continue;
            }
            if to.as_millis() - from.as_millis() <= rule.xi_ms {
                add(met.members);
                continue;
            }
            hits.clear();
            hits.extend(around.hits.iter().filter(|hit| hit.visit == number));
            hits.sort_unstable();
            windows(hits, met.span, visit.time, rule.xi_ms, |window| {
                add(window.iter().fold(0, |members, hit| members | 1 << hit.member));
            });
        }
    }
}

/// Finds the sets of exactly θ − 1 streams. Says whether there are not too many choices.
fn choose(
    rule: &Rule,
    members: usize,
    rows: &[Row<u64>],
    masks: &mut Masks,
    found: &mut Vec<u64>,
) -> bool {
    let others = rule.theta - 1;
    let count = choices(rows.len() as u64, u64::from(others));
    if rows.len() > ROWS_MAX || count > CHOICES_MAX.min(rule.sets_max) {
        return false;
    }
    let is_single = masks.fill(members, rows);
    found.clear();
    let mut choices = Choices { rule, masks, is_single, sets_left: rule.sets_max, found };
    if !choices.choose(0, others, u64::all(members), 0) {
        return false;
    }
    if !is_single {
        drop_repeated(rule, found);
    }
    found.retain(|set| rule.takes(set.len() + 1));
    true
}

/// Where a stream has several rows, one choice may hold what another does and more.
fn drop_repeated(rule: &Rule, found: &mut Vec<u64>) {
    if rule.report == ReportKind::All {
        found.sort_unstable();
        found.dedup();
        return;
    }
    found.sort_unstable_by_key(|set| set.count_ones());
    for index in (0..found.len()).rev() {
        let (set, greater) = (found[index], &found[index + 1..]);
        if greater.iter().any(|of| set.is_subset(of)) {
            found.remove(index);
        }
    }
}

/// In how many ways `chosen` of `count` can be chosen, or something above [`CHOICES_MAX`].
fn choices(count: u64, chosen: u64) -> u64 {
    let mut choices = 1;
    for step in 0..chosen {
        choices = choices * count.saturating_sub(step) / (step + 1);
        if choices == 0 || choices > CHOICES_MAX {
            break;
        }
    }
    choices
}

/// The rows as choosing wants them, by number.
#[derive(Debug, Default)]
struct Masks {
    members: Vec<u64>,
    /// All rows of the stream.
    of_stream: Vec<u64>,
    /// By member, the rows that hold it.
    with: Vec<u64>,
}

impl Masks {
    /// Takes rows of so many members; says whether each stream has one.
    fn fill(&mut self, count: usize, rows: &[Row<u64>]) -> bool {
        let Self { members, of_stream, with } = self;
        members.clear();
        of_stream.clear();
        with.clear();
        with.resize(count, 0);
        for rows in rows.chunk_by(|a, b| a.stream == b.stream) {
            let start = members.len();
            let all = u64::all(start + rows.len()) & !u64::all(start);
            for row in rows {
                let bit = members.len();
                row.members.for_each(|member| with[member].insert(bit));
                members.push(row.members);
                of_stream.push(all);
            }
        }
        of_stream.iter().all(|rows| rows.len() == 1)
    }
}

/// Going through the choices.
struct Choices<'a> {
    rule: &'a Rule,
    masks: &'a Masks,
    /// Whether each stream has one row.
    is_single: bool,
    /// How many more parts of what is common may be looked at.
    sets_left: u64,
    found: &'a mut Vec<u64>,
}

impl Choices<'_> {
    /// Chooses `left` more streams, among those of the rows from `start` on, each with one row.
    /// `common` is what the rows so far have in common, and `chosen` are all rows of their streams.
    /// Says whether that was all.
    fn choose(&mut self, start: usize, left: u32, common: u64, chosen: u64) -> bool {
        // What is common was frequent, and so were its parts.
        if self.is_single && self.holders(common).len() >= self.rule.theta as usize {
            return true;
        }
        let Masks { members, of_stream, .. } = self.masks;
        let rows = members[start..].iter().zip(&of_stream[start..]);
        for (row, (members, of_stream)) in (start..).zip(rows) {
            let common = common & members;
            if common == 0 || chosen.contains(row) {
                continue;
            }
            let chosen = chosen | of_stream;
            let is_all = if left > 1 {
                self.choose(row + 1, left - 1, common, chosen)
            } else if !self.is_only_in(common, chosen) {
                true
            } else if self.rule.report == ReportKind::All {
                self.grow(0, common, !chosen)
            } else {
                self.found.push(common);
                true
            };
            if !is_all {
                return false;
            }
        }
        true
    }

    /// Finds the sets that are `set` and some of `open`, and that no row outside of the choice
    /// holds; of these rows, `holders` hold `set`. Says whether that was all.
    fn grow(&mut self, set: u64, mut open: u64, holders: u64) -> bool {
        let size = set.len() + 2;
        while let Some(bit) = open.first() {
            open.remove(bit);
            let set = set | 1 << bit;
            let holders = holders & self.masks.with[bit];
            let Some(left) = self.sets_left.checked_sub(1) else { return false };
            self.sets_left = left;
            if holders == 0 {
                self.found.push(set);
            } else if !self.is_only_in(open, !holders) {
                continue;
            }
            if !self.rule.is_beyond(size + 1) && !self.grow(set, open, holders) {
                return false;
            }
        }
        true
    }

    /// The rows that hold a set, and all there could be if it is empty.
    #[inline]
    fn holders(&self, set: u64) -> u64 {
        let mut holders = u64::MAX;
        set.for_each(|member| holders &= self.masks.with[member]);
        holders
    }

    /// Whether only rows that are `chosen` hold a set.
    #[inline]
    fn is_only_in(&self, set: u64, chosen: u64) -> bool {
        self.holders(set) & !chosen == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_counted_up_to_a_bound() {
        assert_eq!([0, 1, 2, 3].map(|chosen| choices(6, chosen)), [1, 6, 15, 20]);
        assert_eq!([(2, 3), (0, 1), (64, 1), (45, 2)].map(|(n, k)| choices(n, k)), [0, 0, 64, 990]);
        assert!(choices(64, 3) > CHOICES_MAX && choices(u64::from(u32::MAX), 9) > CHOICES_MAX);
    }
}
