//! Convoys, planted before the fleet sets out.
//!
//! ```text
//! camera   c17          c4               c250
//! leader   |            |                |            t, when the route says
//! member 1 |   x        |    x           |  x         t + its place + a little, within the span
//! member 2 |       x    |      x         |       x
//! ```

use dunlin_index::{ObjectNames, Slot};
use dunlin_stream::Timestamp;

use super::fleet::{TRIP_MS, draw_limit, speed};
use super::network::{Arrival, Network, Trip};
use super::recorder::Recorder;
use super::{CameraOptions, Convoy, ConvoyPassage};
use crate::generate::noise::Draw;

/// How long before a convoy leaves its members are on no other trip, and how long it may take.
const GATHERING_MS: i64 = 20 * 60_000;
const TRIP_MS_MAX: i64 = 40 * 60_000;
/// A route with so many cameras is taken; without one, the best of a few.
const CAMERAS_WANTED: usize = 4;
const ROUTE_TRIES: usize = 16;
/// The share of the span that is a member's place; the rest is left to chance at each camera.
const PLACE_SHARE: f64 = 0.8;

const NO_CONVOY: u32 = u32::MAX;

/// The convoys, and who is where because of them.
pub(super) struct Planted {
    convoys: Vec<Convoy>,
    /// The trips of each convoy, by time.
    trips: Vec<Vec<ConvoyTrip>>,
    /// The convoy of each vehicle.
    convoy_of: Vec<u32>,
}

#[derive(Clone, Copy)]
struct ConvoyTrip {
    depart_ms: i64,
    arrival: Arrival,
}

/// Draws members and routes and has every passage recorded.
pub(super) fn plant(
    network: &Network,
    options: &CameraOptions,
    recorder: &mut Recorder,
    mut draw: Draw,
) -> Planted {
    let mut planted = Planted { convoys: Vec::new(), trips: Vec::new(), convoy_of: Vec::new() };
    planted.convoy_of = vec![NO_CONVOY; options.plates as usize];
    for convoy in 0..options.convoys {
        let members = planted.draw_members(convoy, options, &mut draw);
        let mut planting = Planting { network, options, recorder, draw: &mut draw };
        let (trips, passages) = planting.trips(&members);
        planted.convoys.push(Convoy { objects: members, passages });
        planted.trips.push(trips);
    }
    planted
}

impl Planted {
    /// The last arrival of a vehicle's convoy before a time.
    pub(super) fn last_before(&self, vehicle: u32, ms: i64) -> Option<Arrival> {
        let arrivals = self.trips_of(vehicle).iter().map(|trip| trip.arrival);
        arrivals.take_while(|arrival| arrival.ms <= ms).last()
    }

    /// Whether a trip from one time to another would get in the way of a vehicle's convoy.
    pub(super) fn is_busy(&self, vehicle: u32, from_ms: i64, to_ms: i64) -> bool {
        let clashes = |trip: &ConvoyTrip| {
            from_ms <= trip.arrival.ms && to_ms >= trip.depart_ms - GATHERING_MS
        };
        self.trips_of(vehicle).iter().any(clashes)
    }

    /// The convoys, members by name.
    pub(super) fn into_convoys(self, names: &ObjectNames) -> Vec<Convoy> {
        let mut convoys = self.convoys;
        for convoy in &mut convoys {
            convoy.objects.sort_by(|&a, &b| names.compare(a, b));
            convoy.passages.sort_by_key(|passage| (passage.from, passage.to, passage.stream));
        }
        convoys
    }

    fn trips_of(&self, vehicle: u32) -> &[ConvoyTrip] {
        match self.convoy_of[vehicle as usize] {
            NO_CONVOY => &[],
            convoy => &self.trips[convoy as usize],
        }
    }

    /// Draws vehicles that are in no convoy yet.
    fn draw_members(&mut self, convoy: u32, options: &CameraOptions, draw: &mut Draw) -> Vec<Slot> {
        let (least, most) = (*options.convoy_size.start(), *options.convoy_size.end());
        let size = least as usize + draw.below((most - least) as usize + 1);
        let mut members = Vec::with_capacity(size);
        while members.len() < size {
            let mut vehicle = draw.below(self.convoy_of.len());
            while self.convoy_of[vehicle] != NO_CONVOY {
                vehicle = (vehicle + 1) % self.convoy_of.len();
            }
            self.convoy_of[vehicle] = convoy;
            members.push(Slot(vehicle as u32));
        }
        members
    }
}

/// One convoy being planted.
struct Planting<'a> {
    network: &'a Network<'a>,
    options: &'a CameraOptions,
    recorder: &'a mut Recorder,
    draw: &'a mut Draw,
}

impl Planting<'_> {
    /// All trips, one in each of as many equal parts of the time.
    fn trips(&mut self, members: &[Slot]) -> (Vec<ConvoyTrip>, Vec<ConvoyPassage>) {
        let fitting = (self.options.duration_ms / (TRIP_MS_MAX + GATHERING_MS)).max(1);
        let count = i64::from(self.options.convoy_trips).min(fitting);
        let (mut trips, mut passages) = (Vec::new(), Vec::new());
        for part in 0..count {
            let part_ms = self.options.duration_ms / count;
            let spare_ms = (part_ms - TRIP_MS_MAX).max(1);
            let from_ms = self.options.start.as_millis() + part * part_ms;
            let depart_ms = from_ms + self.draw.below(spare_ms as usize) as i64;
            let Some((cameras, arrival)) = self.route(members, depart_ms) else { continue };
            self.drive(members, &cameras, &mut passages);
            trips.push(ConvoyTrip { depart_ms, arrival });
        }
        (trips, passages)
    }

    /// A route with enough cameras, or the best found: each camera with the leader's time.
    fn route(&mut self, members: &[Slot], depart_ms: i64) -> Option<(Vec<(u32, i64)>, Arrival)> {
        // The slowest sets the speed.
        let speed = members.iter().map(|member| speed(member.0)).fold(f64::INFINITY, f64::min);
        let mut best: Option<(Vec<(u32, i64)>, Arrival)> = None;
        for _ in 0..ROUTE_TRIES {
            let from = self.network.draw_junction(self.draw);
            let Some(hub) = self.network.draw_hub(from, self.draw) else { continue };
            let limit_ms = draw_limit(self.draw).max(TRIP_MS[1] / 2);
            let trip = Trip { from, hub, depart_ms, limit_ms, speed };
            let mut cameras = Vec::new();
            let arrival =
                self.network.drive(trip, self.draw, |camera, ms| cameras.push((camera, ms)));
            let enough = cameras.len() >= CAMERAS_WANTED;
            if best.as_ref().is_none_or(|(least, _)| cameras.len() > least.len()) {
                best = Some((cameras, arrival));
            }
            if enough {
                break;
            }
        }
        let (cameras, mut arrival) = best?;
        arrival.ms += i64::from(self.options.convoy_span_ms);
        Some((cameras, arrival))
    }

    /// Has every member pass every camera.
    fn drive(
        &mut self,
        members: &[Slot],
        cameras: &[(u32, i64)],
        passages: &mut Vec<ConvoyPassage>,
    ) {
        let span_ms = f64::from(self.options.convoy_span_ms);
        let places: Vec<f64> = members.iter().map(|_| self.draw.share() * PLACE_SHARE).collect();
        for &(camera, ms) in cameras {
            let mut seen: Option<(Timestamp, Timestamp)> = None;
            let mut all = true;
            for (&member, place) in members.iter().zip(&places) {
                let behind = place + self.draw.share() * (1.0 - PLACE_SHARE);
                let ms = ms + (behind * span_ms) as i64;
                let Some(time) = self.recorder.record(camera, ms, member) else {
                    all = false;
                    continue;
                };
                let (from, to) = seen.unwrap_or((time, time));
                seen = Some((from.min(time), to.max(time)));
            }
            if let Some((from, to)) = seen.filter(|_| all) {
                passages.push(ConvoyPassage { stream: Slot(camera), from, to });
            }
        }
    }
}
