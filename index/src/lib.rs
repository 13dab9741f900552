//! Index structures for moving objects: spaces and distances, object names, the strip index.

pub mod names;
pub mod space;
pub mod strip;

pub use geo::Coord;
pub use names::{ObjectNames, Slot};
pub use space::{Interval, Plane, PositionError, Sieve, Space, SpaceKind, Sphere, Window};
pub use strip::{Occupancy, Row, StripIndex};
