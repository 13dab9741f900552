//! What every vehicle does all day: trips from where it stands towards hubs.
//!
//! Departures follow the hours of the day. How many trips make the wanted number of passages is
//! found by a few thousand trial trips. The fleet sets out before recording begins, so that the
//! roads are as full at the start as later.

use dunlin_index::Slot;

use super::convoys::Planted;
use super::network::{Arrival, Network, Trip};
use super::recorder::Recorder;
use super::{CameraOptions, CameraOptionsError};
use crate::generate::noise::Draw;

const MINUTE_MS: i64 = 60_000;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;
/// How long trips take, at least and at most.
pub(super) const TRIP_MS: [i64; 2] = [5 * MINUTE_MS, 30 * MINUTE_MS];
/// Free speeds of cars, quick cars and lorries, in metres per second.
const SPEEDS: [f64; 3] = [15.0, 18.0, 12.0];
/// One vehicle in ten, a taxi or a van, makes four times as many trips.
const BUSY_SHARE: f64 = 0.1;
const BUSY_TRIPS: f64 = 4.0;
/// The greatest share of its time that a vehicle can be asked to drive.
const DRIVING_MAX: f64 = 0.7;
const TRIALS: usize = 4_000;
/// Traffic in each hour of the day (UTC), relative to 8 to 9 o'clock.
const HOURS: [f64; 24] = [
    0.12, 0.08, 0.06, 0.06, 0.10, 0.25, 0.55, 0.90, 1.00, 0.80, 0.65, 0.62, 0.65, 0.65, 0.65, 0.70,
    0.85, 1.00, 0.90, 0.70, 0.50, 0.40, 0.30, 0.20,
];

/// All vehicles.
pub(super) struct Fleet<'a> {
    network: &'a Network<'a>,
    plates: u32,
    /// When vehicles set out, in milliseconds.
    from_ms: i64,
    to_ms: i64,
    /// Trips of a vehicle that is not busy, on average.
    trips: f64,
    draw: Draw,
}

/// The speed at which the vehicle in `slot` likes to drive, in metres per second.
pub(super) fn speed(slot: u32) -> f64 {
    SPEEDS[slot as usize % SPEEDS.len()]
}

/// How long a trip takes at most, in milliseconds.
pub(super) fn draw_limit(draw: &mut Draw) -> i64 {
    let [least, most] = TRIP_MS;
    least + draw.below((most - least) as usize) as i64
}

impl<'a> Fleet<'a> {
    /// A fleet that makes about so many passages while they are recorded.
    pub(super) fn new(
        network: &'a Network<'a>,
        options: &CameraOptions,
        passages: u64,
        mut draw: Draw,
    ) -> Result<Self, CameraOptionsError> {
        let (passages_per_trip, trip_ms) = trial(network, &mut draw);
        let from_ms = options.start.as_millis() - TRIP_MS[1];
        let to_ms = options.start.as_millis() + options.duration_ms;
        // Trips are lost before the start, as many a minute as are made later.
        let window_ms = (to_ms - from_ms) as f64;
        let recorded_ms = options.duration_ms as f64;
        let weight = 1.0 + BUSY_SHARE * (BUSY_TRIPS - 1.0);
        let vehicles = f64::from(options.plates) * weight;
        let trips_max = DRIVING_MAX * window_ms / (BUSY_TRIPS * trip_ms);
        let possible = (trips_max * vehicles * passages_per_trip * recorded_ms / window_ms) as u64;
        if passages > possible {
            let possible = options.passages - passages + possible;
            return Err(CameraOptionsError::TooBusy { passages: options.passages, possible });
        }
        let made = passages as f64 / passages_per_trip.max(1e-9);
        let trips = made * window_ms / recorded_ms / vehicles.max(weight);
        Ok(Self { network, plates: options.plates, from_ms, to_ms, trips, draw })
    }

    /// Drives all day.
    pub(super) fn drive(
        mut self,
        planted: &Planted,
        recorder: &mut Recorder,
        progress: &mut dyn FnMut(u64),
    ) {
        const REPORT_VEHICLES: u32 = 1_024;
        let mut departures = Vec::new();
        for vehicle in 0..self.plates {
            self.plan(&mut departures);
            self.drive_one(vehicle, &departures, planted, recorder);
            if vehicle % REPORT_VEHICLES == 0 {
                progress(recorder.passages.len() as u64);
            }
        }
    }

    /// When a vehicle would like to set out.
    fn plan(&mut self, departures: &mut Vec<i64>) {
        let busy = self.draw.share() < BUSY_SHARE;
        let trips = if busy { BUSY_TRIPS * self.trips } else { self.trips };
        let count = (trips + self.draw.share()).floor() as usize;
        departures.clear();
        departures.extend((0..count).map(|_| self.draw_departure()));
        departures.sort_unstable();
    }

    fn draw_departure(&mut self) -> i64 {
        loop {
            let ms = self.from_ms + self.draw.below((self.to_ms - self.from_ms) as usize) as i64;
            let hour = ms.div_euclid(HOUR_MS).rem_euclid(24);
            if self.draw.share() < HOURS[hour as usize] {
                return ms;
            }
        }
    }

    fn drive_one(
        &mut self,
        vehicle: u32,
        departures: &[i64],
        planted: &Planted,
        recorder: &mut Recorder,
    ) {
        let (network, draw) = (self.network, &mut self.draw);
        let mut at = Arrival { node: network.draw_junction(draw), ms: i64::MIN };
        for &wish_ms in departures {
            // A vehicle that has not arrived yet leaves some minutes after it has.
            let rest_ms = MINUTE_MS * (1 + draw.below(5) as i64);
            let mut depart_ms = wish_ms.max(at.ms.saturating_add(rest_ms));
            let met = planted.last_before(vehicle, depart_ms).filter(|met| met.ms > at.ms);
            if let Some(met) = met {
                at = met;
                depart_ms = depart_ms.max(met.ms + rest_ms);
            }
            let limit_ms = draw_limit(draw);
            if planted.is_busy(vehicle, depart_ms, depart_ms + limit_ms) {
                continue;
            }
            let Some(hub) = network.draw_hub(at.node, draw) else { continue };
            let speed = speed(vehicle);
            let trip = Trip { from: at.node, hub, depart_ms, limit_ms, speed };
            at = network.drive(trip, draw, |camera, ms| {
                recorder.record(camera, ms, Slot(vehicle));
            });
        }
    }
}

/// Passages and milliseconds of a trip, on average over a chain of trips.
fn trial(network: &Network, draw: &mut Draw) -> (f64, f64) {
    let (mut passages, mut spent_ms) = (0, 0);
    let mut from = network.draw_junction(draw);
    for trial in 0..TRIALS {
        if trial % 8 == 0 {
            from = network.draw_junction(draw);
        }
        let limit_ms = draw_limit(draw);
        let Some(hub) = network.draw_hub(from, draw) else { continue };
        let trip = Trip { from, hub, depart_ms: 0, limit_ms, speed: speed(trial as u32) };
        let arrival = network.drive(trip, draw, |_, _| passages += 1);
        (from, spent_ms) = (arrival.node, spent_ms + arrival.ms);
    }
    (f64::from(passages) / TRIALS as f64, spent_ms as f64 / TRIALS as f64)
}
