//! The nodes of a Seg-tree: one flat table, linked by numbers.
//!
//! Each node has its parent, its children as a list of siblings, and its neighbours in the chain of
//! its object. A hash table finds a child by (parent, object). Places of removed nodes are used
//! again.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::{SegmentId, Slot};

/// The place of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(u32);

pub(super) const ROOT: NodeId = NodeId(0);

impl NodeId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Clone, Debug)]
struct Node {
    object: Slot,
    parent: NodeId,
    first_child: Option<NodeId>,
    siblings: Neighbours,
    chain: Neighbours,
    borne: SmallVec<[SegmentId; 1]>,
}

/// The nodes before and after one in a list.
#[derive(Clone, Copy, Debug, Default)]
struct Neighbours {
    before: Option<NodeId>,
    after: Option<NodeId>,
}

impl Node {
    fn new(object: Slot, parent: NodeId) -> Self {
        Self {
            object,
            parent,
            first_child: None,
            siblings: Neighbours::default(),
            chain: Neighbours::default(),
            borne: SmallVec::new(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    /// Nodes by (parent, object).
    children: HashTable<NodeId>,
    /// The first node of each object's chain.
    header: HashTable<(Slot, NodeId)>,
}

impl Default for Nodes {
    fn default() -> Self {
        // The root has no object; nobody asks for its.
        let root = Node::new(Slot(u32::MAX), ROOT);
        Self {
            nodes: vec![root],
            free: Vec::new(),
            children: HashTable::new(),
            header: HashTable::new(),
        }
    }
}

impl Nodes {
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - 1 - self.free.len()
    }

    pub(super) fn object(&self, node: NodeId) -> Slot {
        self.nodes[node.index()].object
    }

    pub(super) fn parent(&self, node: NodeId) -> NodeId {
        self.nodes[node.index()].parent
    }

    pub(super) fn first_child(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node.index()].first_child
    }

    pub(super) fn next_sibling(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node.index()].siblings.after
    }

    pub(super) fn next_in_chain(&self, node: NodeId) -> Option<NodeId> {
        self.nodes[node.index()].chain.after
    }

    /// The first node of an object's chain.
    pub(super) fn chain(&self, object: Slot) -> Option<NodeId> {
        self.header.find(hash_object(object), |(of, _)| *of == object).map(|(_, node)| *node)
    }

    pub(super) fn borne(&self, node: NodeId) -> &[SegmentId] {
        &self.nodes[node.index()].borne
    }

    pub(super) fn bear(&mut self, node: NodeId, segment: SegmentId) {
        self.nodes[node.index()].borne.push(segment);
    }

    pub(super) fn unbear(&mut self, node: NodeId, segment: SegmentId) {
        self.retain_borne(node, &|borne| borne != segment);
    }

    pub(super) fn retain_borne(&mut self, node: NodeId, keep: &impl Fn(SegmentId) -> bool) {
        self.nodes[node.index()].borne.retain(|segment| keep(*segment));
    }

    /// Whether a node bears nothing and has no child.
    pub(super) fn is_bare(&self, node: NodeId) -> bool {
        let node = &self.nodes[node.index()];
        node.borne.is_empty() && node.first_child.is_none()
    }

    /// Writes the objects on the way from the root to a node, its own included.
    pub(super) fn path(&self, mut node: NodeId, path: &mut Vec<Slot>) {
        path.clear();
        while node != ROOT {
            path.push(self.object(node));
            node = self.nodes[node.index()].parent;
        }
        path.reverse();
    }

    /// The child of a node with an object, a new one if there is none.
    pub(super) fn child(&mut self, parent: NodeId, object: Slot) -> NodeId {
        let nodes = &self.nodes;
        let is_it = |node: &NodeId| {
            let node = &nodes[node.index()];
            node.parent == parent && node.object == object
        };
        let found = self.children.find(hash_child(parent, object), is_it);
        found.copied().unwrap_or_else(|| self.add(parent, object))
    }

    fn add(&mut self, parent: NodeId, object: Slot) -> NodeId {
        let node = Node::new(object, parent);
        let id = match self.free.pop() {
            Some(id) => {
                self.nodes[id.index()] = node;
                id
            }
            None => {
                self.nodes.push(node);
                NodeId(u32::try_from(self.nodes.len() - 1).expect("fewer than 2^32 nodes"))
            }
        };
        let sibling = self.nodes[parent.index()].first_child.replace(id);
        self.nodes[id.index()].siblings.after = sibling;
        if let Some(sibling) = sibling {
            self.nodes[sibling.index()].siblings.before = Some(id);
        }
        let next = self.chain(object);
        self.nodes[id.index()].chain.after = next;
        if let Some(next) = next {
            self.nodes[next.index()].chain.before = Some(id);
        }
        self.set_chain(object, Some(id));
        let nodes = &self.nodes;
        let rehash = |node: &NodeId| {
            let node = &nodes[node.index()];
            hash_child(node.parent, node.object)
        };
        self.children.insert_unique(hash_child(parent, object), id, rehash);
        id
    }

    /// Makes a node the first of an object's chain, or leaves the object without one.
    fn set_chain(&mut self, object: Slot, first: Option<NodeId>) {
        let hash = hash_object(object);
        let entry = self.header.entry(hash, |(of, _)| *of == object, |(of, _)| hash_object(*of));
        match (entry, first) {
            (hashbrown::hash_table::Entry::Occupied(mut entry), Some(node)) => {
                entry.get_mut().1 = node;
            }
            (hashbrown::hash_table::Entry::Occupied(entry), None) => {
                entry.remove();
            }
            (hashbrown::hash_table::Entry::Vacant(entry), Some(node)) => {
                entry.insert((object, node));
            }
            (hashbrown::hash_table::Entry::Vacant(_), None) => {}
        }
    }

    /// Removes a bare node, and its ancestors as far as that leaves them bare.
    pub(super) fn prune(&mut self, mut node: NodeId) {
        while node != ROOT && self.is_bare(node) {
            let parent = self.nodes[node.index()].parent;
            self.remove(node);
            node = parent;
        }
    }

    /// Removes a bare node from its parent, its chain and the table.
    pub(super) fn remove(&mut self, id: NodeId) {
        debug_assert!(id != ROOT && self.is_bare(id));
        let Node { object, parent, siblings, chain, .. } = self.nodes[id.index()].clone();
        match siblings.before {
            Some(before) => self.nodes[before.index()].siblings.after = siblings.after,
            None => self.nodes[parent.index()].first_child = siblings.after,
        }
        if let Some(after) = siblings.after {
            self.nodes[after.index()].siblings.before = siblings.before;
        }
        match chain.before {
            Some(before) => self.nodes[before.index()].chain.after = chain.after,
            None => self.set_chain(object, chain.after),
        }
        if let Some(after) = chain.after {
            self.nodes[after.index()].chain.before = chain.before;
        }
        if let Ok(entry) = self.children.find_entry(hash_child(parent, object), |node| *node == id)
        {
            entry.remove();
        }
        self.free.push(id);
    }
}

fn hash_object(object: Slot) -> u64 {
    FixedState::default().hash_one(object.0)
}

fn hash_child(parent: NodeId, object: Slot) -> u64 {
    FixedState::default().hash_one(u64::from(parent.0) << 32 | u64::from(object.0))
}
