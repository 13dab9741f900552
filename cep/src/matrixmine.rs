//! MatrixMine, the pairwise baseline: a matrix of objects and segments.
//!
//! ```text
//!            segments  0 1 2 3 4 …
//! object a             1 1 0 0 1        a row is a compressed bit map
//! object b             1 0 0 1 1        a pair: AND of two rows, count the streams
//! ```
//!
//! Of those who are together every pair is looked up; a set can be frequent only if each of its
//! pairs is. Sets of such objects are refined on the events' times.

use dunlin_index::{Event, EventStore, Growth, SegmentId, Segments, Slot};
use dunlin_stream::Timestamp;
use indexmap::IndexMap;
use roaring::RoaringTreemap;

use crate::maximal::with;
use crate::miner::{Arrival, Miner};
use crate::refine::{Setting, by_time};
use crate::report::Report;
use crate::rule::Rule;
use crate::span::Span;

/// Mining by a matrix of pairs.
#[derive(Debug, Default)]
pub struct MatrixMine {
    matrix: Option<Matrix>,
}

/// A row of segments for each object.
#[derive(Debug)]
struct Matrix {
    segments: Segments,
    rows: IndexMap<Slot, RoaringTreemap, foldhash::fast::FixedState>,
    sweep_ms: i64,
    swept: Option<Timestamp>,
}

/// A set, and from which object on it may still grow.
struct Node {
    objects: Vec<Slot>,
    next: usize,
}

impl Matrix {
    fn new(rule: &Rule) -> Self {
        Self {
            segments: Segments::new(rule.xi_ms),
            rows: IndexMap::default(),
            sweep_ms: rule.tau_ms / 8 + 1,
            swept: None,
        }
    }

    fn push(&mut self, event: Event) {
        let rows = &mut self.rows;
        match self.segments.push(event) {
            Growth::Continued(id) => {
                rows.entry(event.object).or_default().insert(id.0);
            }
            Growth::Began(id, events) => events.iter().for_each(|event| {
                rows.entry(event.object).or_default().insert(id.0);
            }),
        }
    }

    fn expire(&mut self, before: Timestamp) {
        self.segments.expire(before);
        let since = *self.swept.get_or_insert(before);
        if before.as_millis() - since.as_millis() >= self.sweep_ms {
            self.swept = Some(before);
            let segments = &self.segments;
            self.rows.retain(|_, row| {
                let dead = row.iter().take_while(|id| segments.get(SegmentId(*id)).is_none());
                if let Some(last) = dead.last() {
                    row.remove_range(..=last);
                }
                !row.is_empty()
            });
        }
    }

    /// Whether two objects share live segments of enough streams.
    fn is_frequent_pair(&self, setting: &Setting, a: Slot, b: Slot) -> bool {
        let (Some(a), Some(b)) = (self.rows.get(&a), self.rows.get(&b)) else { return false };
        let from = Span::at(setting.arrival.event.time, setting.rule).from;
        let shared = a & b;
        let shared = shared.iter().filter_map(|id| self.segments.get(SegmentId(id)));
        let mut streams: Vec<Slot> =
            shared.filter(|segment| segment.end >= from).map(|segment| segment.stream).collect();
        streams.sort_unstable();
        streams.dedup();
        streams.len() >= setting.rule.theta as usize
    }

    /// Tells the sets that an arrival completes; whether that was all.
    fn complete(&self, setting: &Setting, out: &mut Vec<Report>) -> bool {
        let own = setting.arrival.event.object;
        let objects = setting.candidates();
        let pairs: Vec<Vec<bool>> = objects
            .iter()
            .enumerate()
            .map(|(a, &object)| {
                objects[..a].iter().map(|&b| self.is_frequent_pair(setting, object, b)).collect()
            })
            .collect();
        let with_own: Vec<bool> =
            objects.iter().map(|&object| self.is_frequent_pair(setting, own, object)).collect();
        let place = |object: &Slot| objects.binary_search(object).expect("one of them");
        let mut left = setting.rule.sets_max;
        let mut way = vec![Node { objects: vec![own], next: 0 }];
        while let Some(node) = way.last_mut() {
            let is_full = setting.rule.is_beyond(node.objects.len() + 1);
            let at = node.next;
            let Some(object) = objects.get(at).filter(|_| !is_full) else {
                way.pop();
                continue;
            };
            let Some(less) = left.checked_sub(1) else { return false };
            left = less;
            node.next += 1;
            let mut others = node.objects.iter().filter(|object| **object != own);
            if !with_own[at] || !others.all(|other| pairs[at][place(other)]) {
                continue;
            }
            let grown = with(&node.objects, *object).expect("another object");
            if setting.refine(&grown, out) {
                let next = node.next;
                way.push(Node { objects: grown, next });
            }
        }
        true
    }
}

impl Miner for MatrixMine {
    fn mine(
        &mut self,
        store: &EventStore,
        rule: &Rule,
        arrivals: &[Arrival],
        out: &mut Vec<Report>,
    ) -> u64 {
        let matrix = self.matrix.get_or_insert_with(|| Matrix::new(rule));
        let mut cut = 0;
        for together in by_time(arrivals) {
            matrix.expire(Span::at(together[0].event.time, rule).from);
            together.iter().for_each(|arrival| matrix.push(arrival.event));
            for arrival in together {
                let setting = Setting::of(store, rule, arrival);
                cut += u64::from(!matrix.complete(&setting, out));
            }
        }
        cut
    }
}
