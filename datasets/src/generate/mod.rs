//! Objects that move, made from a seed.
//!
//! | movement | what it is like |
//! |---|---|
//! | [`Uniform`] | everywhere alike, straight ways between the borders |
//! | [`GaussianClusters`] | crowds around centres, each object near its home |
//! | [`DriftingHotSpot`] | one dense crowd that wanders through the area |
//! | [`NetworkMovement`] | shortest ways through a network of roads, in classes of speed |
//!
//! [`CameraTraffic`] is vehicles as the cameras along such roads see them: passages, with convoys.
//!
//! The same seed gives the same positions, bit for bit, on every machine: starting places come from
//! ChaCha8, steps from a counter hashed by SplitMix64, and functions from `libm`.
//!
//! ```
//! use dunlin_datasets::generate::{Area, Movement, Population, Uniform};
//! use dunlin_index::{Coord, SpaceKind};
//!
//! let area = Area::new(SpaceKind::Plane, Coord { x: 0.0, y: 0.0 }, Coord { x: 100.0, y: 50.0 })?;
//! let mut birds = Uniform::new(area, Population { objects: 3, seed: 7, speed: 0.01 });
//! let before = birds.positions().to_vec();
//! birds.step(1.0);
//! for (was, is) in before.iter().zip(birds.positions()) {
//!     assert!((was.x - is.x).abs() <= 1.0 && area.contains(*is));
//! }
//! # Ok::<(), dunlin_datasets::generate::AreaError>(())
//! ```

mod area;
mod cameras;
mod city;
mod clusters;
mod export;
mod hot_spot;
mod network;
mod noise;
mod road_files;
mod roads;
mod routes;
mod uniform;
mod wander;

use dunlin_index::Coord;

pub use area::{Area, AreaError};
pub use cameras::{
    CameraError, CameraOptions, CameraOptionsError, CameraTraffic, Convoy, ConvoyPassage,
};
pub use city::City;
pub use clusters::{Clusters, GaussianClusters};
pub use export::{CsvOptions, write_csv};
pub use hot_spot::{DriftingHotSpot, HotSpot};
pub use network::{NetworkMovement, Travellers};
pub use roads::{Road, RoadError, RoadGraph};
pub use uniform::Uniform;

/// Objects that move.
pub trait Movement {
    /// Where every object is now: one position per object, always in the same order.
    fn positions(&self) -> &[Coord];

    /// Lets `seconds` go by.
    ///
    /// # Panics
    /// If `seconds` is not in 0 to 10¹².
    fn step(&mut self, seconds: f64);
}

/// How many objects move in an area, from which seed and how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Population {
    /// How many objects there are.
    pub objects: usize,
    /// What decides everything that looks random.
    pub seed: u64,
    /// The greatest speed along x and along y, as a share of the area's extent per second: 0 to
    /// 10⁶, or the movements' constructors panic.
    pub speed: f64,
}

/// The longest step: some 30 000 years.
const SECONDS_MAX: f64 = 1e12;
const SPEED_MAX: f64 = 1e6;

fn assert_seconds(seconds: f64) {
    assert!((0.0..=SECONDS_MAX).contains(&seconds), "a step of {seconds} seconds");
}

fn assert_speed(speed: f64) {
    assert!((0.0..=SPEED_MAX).contains(&speed), "a speed of {speed} extents per second");
}

fn assert_share(share: f64, what: &str) {
    assert!((0.0..=1.0).contains(&share), "a {what} of {share}");
}
