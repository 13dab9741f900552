//! The Seg-tree: unexpired segments as paths of objects, with shared prefixes (Yu et al., EDBT
//! 2015).
//!
//! ```text
//! header        root
//!  a ──────────> a ─────── b ── c  [segment 1]
//!  b ──────────────────────┘ ╎  └─ d  [segments 4, 6]
//!  b ──────────> b ── d  [segment 2]      nodes of one object form a chain
//! ```
//!
//! A segment's objects, each once, in the order of their first events, are a path from the root;
//! its last node bears the segment. A path that holds an object goes through exactly one node of
//! the object's chain, so a walk along the chain, up to the root and down to the bearers, meets
//! every segment with that object once. Expired segments are dropped where a walk meets them, and
//! by the sweep; a node that bears nothing and has no child goes. Invariant: every leaf bears a
//! segment; every node but the root is in the chain of its object.

mod nodes;

use crate::{SegmentId, Slot};
pub use nodes::NodeId;
use nodes::{Nodes, ROOT};

/// A prefix tree of segments.
///
/// ```
/// use dunlin_index::{SegTree, SegmentId, Slot};
///
/// let mut tree = SegTree::default();
/// let [car, van, bus] = [Slot(0), Slot(1), Slot(2)];
/// tree.insert([car, van], SegmentId(0));
/// tree.insert([car, van, bus], SegmentId(1));
/// tree.insert([bus], SegmentId(2));
/// assert_eq!(tree.len(), 4);
///
/// let mut found = Vec::new();
/// tree.segments_with(bus, |_| true, |segment, path| found.push((segment, path.to_vec())));
/// found.sort();
/// assert_eq!(found, [(SegmentId(1), vec![car, van, bus]), (SegmentId(2), vec![bus])]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct SegTree {
    nodes: Nodes,
    /// The path of a walk, reused.
    path: Vec<Slot>,
}

impl SegTree {
    /// Adds a segment of these objects, each once, and says which node bears it.
    pub fn insert(
        &mut self,
        objects: impl IntoIterator<Item = Slot>,
        segment: SegmentId,
    ) -> NodeId {
        let node = objects.into_iter().fold(ROOT, |node, object| self.nodes.child(node, object));
        self.nodes.bear(node, segment);
        node
    }

    /// Lets a segment that `bearer` bears grow by an object that it does not have yet; says which
    /// node bears it now.
    pub fn extend(&mut self, bearer: NodeId, segment: SegmentId, object: Slot) -> NodeId {
        let node = self.nodes.child(bearer, object);
        self.nodes.unbear(bearer, segment);
        self.nodes.bear(node, segment);
        node
    }

    /// Calls `each` with every live segment that has `object`, and all its objects; drops those
    /// that are met and not live.
    pub fn segments_with(
        &mut self,
        object: Slot,
        is_live: impl Fn(SegmentId) -> bool,
        mut each: impl FnMut(SegmentId, &[Slot]),
    ) {
        let mut next = self.nodes.chain(object);
        while let Some(node) = next {
            let mut path = std::mem::take(&mut self.path);
            self.nodes.path(node, &mut path);
            self.below(node, &mut path, &is_live, &mut each);
            self.path = path;
            // Pruning takes away nodes of this path alone; only the last can be of the chain.
            next = self.nodes.next_in_chain(node);
            self.nodes.prune(node);
        }
    }

    /// Visits the bearers at and below a node, depth first; `path` leads to it.
    fn below(
        &mut self,
        top: NodeId,
        path: &mut Vec<Slot>,
        is_live: &impl Fn(SegmentId) -> bool,
        each: &mut impl FnMut(SegmentId, &[Slot]),
    ) {
        let mut node = top;
        loop {
            self.nodes.retain_borne(node, is_live);
            self.nodes.borne(node).iter().for_each(|&segment| each(segment, path));
            let mut next = self.nodes.first_child(node);
            while next.is_none() && node != top {
                path.pop();
                next = self.nodes.next_sibling(node);
                let parent = self.nodes.parent(node);
                if self.nodes.is_bare(node) {
                    self.nodes.remove(node);
                }
                node = parent;
            }
            let Some(next) = next else { return };
            path.push(self.nodes.object(next));
            node = next;
        }
    }

    /// Drops every segment that is not live, and the nodes that are needed no more.
    pub fn sweep(&mut self, is_live: impl Fn(SegmentId) -> bool) {
        self.below(ROOT, &mut Vec::new(), &is_live, &mut |_, _| ());
    }

    /// How many nodes there are, the root left out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no segment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
#[path = "seg_tree_tests.rs"]
mod tests;
