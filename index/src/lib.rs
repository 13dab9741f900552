//! Index structures for moving objects and for events: spaces and distances, names, the strip index,
//! unexpired events, segments and the Seg-tree.

pub mod events;
pub mod names;
pub mod seg_tree;
pub mod segments;
pub mod space;
pub mod strip;

pub use events::{Event, EventStore, ListId, Passage, Posting, Ring};
pub use geo::Coord;
pub use names::{ObjectNames, SharedNames, Slot};
pub use seg_tree::{NodeId, SegTree};
pub use segments::{Growth, Segment, SegmentId, Segments};
pub use space::{Interval, Plane, PositionError, Sieve, Space, SpaceKind, Sphere, Window};
pub use strip::{Ahead, Occupancy, Row, StripIndex, prefetch_neighbours, prefetch_rows};
