//! The traffic of the demo: vehicles on roads, convoys behind some of them, cameras at junctions.
//!
//! ```text
//! v0 ...........>o        where the leader is
//! v0-a     .......>o      where it was two seconds ago
//! v0-b  ....>o            where it was four seconds ago
//! ```
//!
//! A camera sees who comes near it. It can read the plates of convoys and of every tenth other vehicle,
//! so that in a small city not everybody keeps meeting everybody.

use std::collections::VecDeque;

use dunlin::datasets::generate::{
    City, Movement, NetworkMovement, RoadError, RoadGraph, Travellers,
};
use dunlin::index::{Coord, Interval, Slot, StripIndex};
use dunlin::server::proto::{EventBatch, PositionBatch};

/// Blocks of the city on a side, and its seconds in one of ours.
const SIDE: usize = 24;
const TIME_LAPSE: f64 = 4.0;
/// Every how many junctions there is a camera, and how near one must come, in degrees: about 30 m.
const JUNCTIONS_PER_CAMERA: usize = 4;
const SIGHT: f64 = 0.000_3;
/// Leaders of convoys, members of each, and steps from one to the next: two seconds.
const CONVOYS: usize = 6;
const MEMBERS: usize = 3;
const STEPS_BEHIND: usize = 10;
/// Every how many vehicles has a plate that can be read.
const READABLE: usize = 10;

/// See the module documentation.
pub(super) struct Traffic {
    movement: NetworkMovement,
    names: Vec<String>,
    at: Vec<Coord>,
    /// Where each leader was, the oldest first.
    trails: Vec<VecDeque<Coord>>,
    cameras: StripIndex,
    camera_at: Vec<Coord>,
    /// Which camera each vehicle is at.
    near: Vec<Option<Slot>>,
    passed: EventBatch,
}

/// The made-up city.
pub(super) fn city(seed: u64) -> Result<RoadGraph, RoadError> {
    City { seed, side: SIDE, ..City::default() }.build()
}

impl Traffic {
    pub(super) fn new(graph: RoadGraph, objects: usize, seed: u64) -> Result<Self, RoadError> {
        let junctions = graph.nodes().iter().copied().step_by(JUNCTIONS_PER_CAMERA);
        let camera_at: Vec<Coord> = junctions.collect();
        let slots: Vec<Slot> = (0..).map(Slot).take(camera_at.len()).collect();
        let mut cameras = StripIndex::default();
        cameras.apply(&slots, &camera_at);
        let speeds = [8.0, 14.0, 22.0];
        let movement = NetworkMovement::new(graph, Travellers { objects, seed, speeds })?;
        let mut names: Vec<String> = (0..objects).map(|number| format!("v{number}")).collect();
        for leader in 0..CONVOYS {
            let members = ('a'..).take(MEMBERS - 1);
            names.extend(members.map(|member| format!("v{leader}-{member}")));
        }
        let mut traffic = Self {
            at: Vec::new(),
            near: vec![None; names.len()],
            trails: vec![VecDeque::new(); CONVOYS],
            movement,
            names,
            cameras,
            camera_at,
            passed: EventBatch::default(),
        };
        traffic.place();
        Ok(traffic)
    }

    /// Lets so many of our seconds go by.
    pub(super) fn step(&mut self, seconds: f64) {
        self.movement.step(seconds * TIME_LAPSE);
        self.place();
        self.watch();
    }

    /// Puts all where they are: convoys where their leader was.
    fn place(&mut self) {
        self.at.clear();
        self.at.extend_from_slice(self.movement.positions());
        for leader in 0..CONVOYS {
            let trail = &mut self.trails[leader];
            trail.push_back(self.at[leader]);
            if trail.len() > STEPS_BEHIND * MEMBERS {
                trail.pop_front();
            }
            let member = |place: usize| {
                trail.len().checked_sub(1 + place * STEPS_BEHIND).map_or(trail[0], |it| trail[it])
            };
            self.at.extend((1..MEMBERS).map(member));
        }
    }

    /// Notes who has come near a camera.
    fn watch(&mut self) {
        let leaders = self.movement.positions().len();
        for vehicle in 0..self.at.len() {
            if vehicle < leaders && vehicle >= CONVOYS && vehicle % READABLE != 0 {
                continue;
            }
            let near = self.camera_near(self.at[vehicle]);
            if near.is_some() && near != self.near[vehicle] {
                let camera = near.map_or(0, |slot| slot.0);
                self.passed.streams.push(format!("camera {camera}"));
                self.passed.objects.push(self.names[vehicle].clone());
            }
            self.near[vehicle] = near;
        }
    }

    /// The camera that sees a place.
    fn camera_near(&self, at: Coord) -> Option<Slot> {
        let strips = [-SIGHT, SIGHT].map(|way| self.cameras.strip_at(at.x + way));
        let y = Interval { min: at.y - SIGHT, max: at.y + SIGHT };
        let rows = (strips[0]..=strips[1]).flat_map(|strip| self.cameras.rows(strip, y));
        let slots = rows.filter(|row| !row.x.is_nan()).map(|row| row.slot);
        let distance = |slot: &Slot| {
            let camera = self.camera_at[slot.index()];
            (camera.x - at.x).hypot(camera.y - at.y)
        };
        let nearest = slots.min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        (distance(&nearest) <= SIGHT).then_some(nearest)
    }

    /// Where all are, for the server.
    pub(super) fn positions(&self) -> PositionBatch {
        let mut batch = PositionBatch::default();
        self.names.iter().zip(&self.at).for_each(|(name, &at)| batch.push(name, at));
        batch
    }

    /// Who passed a camera since this was asked last.
    pub(super) fn passages(&mut self) -> EventBatch {
        std::mem::take(&mut self.passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn convoys_follow_their_leader_past_cameras() {
        let mut traffic = Traffic::new(city(7).unwrap(), 60, 7).unwrap();
        let (leaders, mut was) = (60, Vec::new());
        let mut cameras = BTreeMap::<String, Vec<String>>::new();
        for step in 0..900 {
            was.push(traffic.at[0]);
            traffic.step(0.2);
            if step > 2 * STEPS_BEHIND {
                assert_eq!(traffic.at[leaders], was[was.len() - STEPS_BEHIND]);
            }
            let EventBatch { streams, objects, .. } = traffic.passages();
            for (camera, object) in streams.into_iter().zip(objects) {
                cameras.entry(object).or_default().push(camera);
            }
        }
        // In three minutes a leader and its convoy pass several cameras, in the same order.
        let (leader, last) = (&cameras["v0"], &cameras["v0-b"]);
        assert!(last.len() >= 3, "{last:?}");
        assert_eq!(leader[..last.len()], last[..]);
        assert!(!cameras.contains_key("v17") && cameras.contains_key("v20"));
        assert_eq!(traffic.positions().rows(), 60 + CONVOYS * (MEMBERS - 1));
    }
}
