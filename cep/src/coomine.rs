//! CooMine (Yu et al., EDBT 2015): filter on the Seg-tree, then refine.
//!
//! ```text
//! filter   chain of the arriving object in the tree ──> per live segment the longest common
//!          pattern: what the segment shares with those who are together now
//! refine   subsets of the longest common patterns, depth first; each on the events' own times
//! ```
//!
//! The open segment of a stream is in the tree as it stands: its last node moves down as it grows.

use dunlin_index::{Event, EventStore, Growth, NodeId, SegTree, SegmentId, Segments, Slot};
use dunlin_stream::Timestamp;

use crate::maximal::with;
use crate::miner::{Arrival, Miner};
use crate::refine::{Setting, by_time};
use crate::report::Report;
use crate::rule::Rule;
use crate::span::Span;

/// Mining by a Seg-tree.
#[derive(Debug, Default)]
pub struct CooMine {
    forest: Option<Forest>,
}

/// The tree, and what it takes to let it grow.
#[derive(Debug)]
struct Forest {
    segments: Segments,
    tree: SegTree,
    /// By stream, the open segment in the tree.
    open: Vec<Option<OpenPath>>,
    sweep_ms: i64,
    swept: Option<Timestamp>,
}

#[derive(Debug)]
struct OpenPath {
    bearer: NodeId,
    objects: Vec<Slot>,
}

/// What a segment shares with those who are together now, sorted.
struct CommonPattern {
    stream: Slot,
    objects: Vec<Slot>,
}

/// A set, the patterns that hold it, and from which candidate on it may still grow.
struct Node {
    objects: Vec<Slot>,
    patterns: Vec<usize>,
    next: usize,
}

impl Forest {
    fn new(rule: &Rule) -> Self {
        Self {
            segments: Segments::new(rule.xi_ms),
            tree: SegTree::default(),
            open: Vec::new(),
            sweep_ms: rule.tau_ms / 8 + 1,
            swept: None,
        }
    }

    fn push(&mut self, event: Event) {
        if self.open.len() <= event.stream.index() {
            self.open.resize_with(event.stream.index() + 1, || None);
        }
        let open = &mut self.open[event.stream.index()];
        match (self.segments.push(event), open) {
            (Growth::Continued(id), Some(path)) => {
                if !path.objects.contains(&event.object) {
                    path.objects.push(event.object);
                    path.bearer = self.tree.extend(path.bearer, id, event.object);
                }
            }
            (Growth::Began(id, events), open) => {
                let objects = distinct(events.iter());
                let bearer = self.tree.insert(objects.iter().copied(), id);
                *open = Some(OpenPath { bearer, objects });
            }
            (Growth::Continued(_), None) => unreachable!("a segment that goes on has begun"),
        }
    }

    fn expire(&mut self, before: Timestamp) {
        self.segments.expire(before);
        let since = *self.swept.get_or_insert(before);
        if before.as_millis() - since.as_millis() >= self.sweep_ms {
            self.swept = Some(before);
            let segments = &self.segments;
            self.tree.sweep(|id| segments.get(id).is_some());
        }
    }

    /// The filter: per live segment with the arriving object, what it shares with `together`.
    fn common_patterns(&mut self, setting: &Setting) -> Vec<CommonPattern> {
        let event = &setting.arrival.event;
        let from = Span::at(event.time, setting.rule).from;
        let segments = &self.segments;
        let is_live = |id: SegmentId| segments.get(id).is_some();
        let mut patterns = Vec::new();
        self.tree.segments_with(event.object, is_live, |id, path| {
            let Some(segment) = segments.get(id).filter(|segment| segment.end >= from) else {
                return;
            };
            let shared =
                path.iter().filter(|object| setting.together.binary_search(object).is_ok());
            let mut objects: Vec<Slot> = shared.copied().collect();
            objects.sort_unstable();
            patterns.push(CommonPattern { stream: segment.stream, objects });
        });
        patterns.sort_by_key(|pattern| pattern.stream);
        patterns
    }

    /// Tells the sets that an arrival completes; whether that was all.
    fn complete(&mut self, setting: &Setting, out: &mut Vec<Report>) -> bool {
        let patterns = self.common_patterns(setting);
        let Setting { rule, arrival, .. } = setting;
        let all: Vec<usize> = (0..patterns.len()).collect();
        let holding = |patterns_of: &[usize], object: &Slot| -> Option<Vec<usize>> {
            let holds = |index: &&usize| patterns[**index].objects.binary_search(object).is_ok();
            let holding: Vec<usize> = patterns_of.iter().filter(holds).copied().collect();
            let streams = holding.chunk_by(|a, b| patterns[*a].stream == patterns[*b].stream);
            (streams.count() >= rule.theta as usize).then_some(holding)
        };
        let mut candidates = setting.candidates();
        candidates.retain(|object| holding(&all, object).is_some());
        let mut left = rule.sets_max;
        let mut way = vec![Node { objects: vec![arrival.event.object], patterns: all, next: 0 }];
        while let Some(node) = way.last_mut() {
            let is_full = rule.is_beyond(node.objects.len() + 1);
            let Some(object) = candidates.get(node.next).filter(|_| !is_full) else {
                way.pop();
                continue;
            };
            let Some(less) = left.checked_sub(1) else { return false };
            left = less;
            node.next += 1;
            let Some(patterns) = holding(&node.patterns, object) else { continue };
            let objects = with(&node.objects, *object).expect("another object");
            if setting.refine(&objects, out) {
                let next = node.next;
                way.push(Node { objects, patterns, next });
            }
        }
        true
    }
}

/// The objects of events, each once, in the order of their first.
fn distinct<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<Slot> {
    events.fold(Vec::new(), |mut objects, event| {
        if !objects.contains(&event.object) {
            objects.push(event.object);
        }
        objects
    })
}

impl Miner for CooMine {
    fn mine(
        &mut self,
        store: &EventStore,
        rule: &Rule,
        arrivals: &[Arrival],
        out: &mut Vec<Report>,
    ) -> u64 {
        let forest = self.forest.get_or_insert_with(|| Forest::new(rule));
        let mut cut = 0;
        for together in by_time(arrivals) {
            forest.expire(Span::at(together[0].event.time, rule).from);
            together.iter().for_each(|arrival| forest.push(arrival.event));
            for arrival in together {
                let setting = Setting::of(store, rule, arrival);
                cut += u64::from(!forest.complete(&setting, out));
            }
        }
        cut
    }
}
