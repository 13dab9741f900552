//! Vehicles that pass cameras on a network of roads, some of them in convoys.
//!
//! ```text
//! RoadGraph ──hubs, trees──> Network ──convoys, then the fleet──> passages ──sort──> CameraTraffic
//! ```
//!
//! Every vehicle makes trips of 5 to 30 minutes over the day, each on the fastest way towards a hub
//! from where the last one ended. A convoy is a few of them that go some trips together, within a
//! given span at every camera; else its members are like all others. A camera's clock may be off,
//! and a plate be read wrong or not at all. What was planted is known: [`Convoy`].
//!
//! Ways to the hubs are trees found once, so a trip costs a look-up per road.

mod convoys;
mod export;
mod fleet;
mod network;
mod plates;
mod recorder;

use std::ops::RangeInclusive;

use dunlin_index::{ObjectNames, Slot};
use dunlin_stream::Timestamp;

use super::assert_share;
use super::city::City;
use super::noise::{Draw, mix};
use super::roads::{RoadError, RoadGraph};
use crate::Events;
use network::Network;
use recorder::{Passage, Recorder};

/// Who drives, past how many cameras, for how long, and what goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraOptions {
    /// How many cameras there are, each at a junction of its own.
    pub cameras: u32,
    /// How many vehicles there are, each with a plate of its own.
    pub plates: u32,
    /// About how many passages there are, over all cameras.
    pub passages: u64,
    /// How many convoys there are; no vehicle is in two.
    pub convoys: u32,
    /// How many vehicles are in a convoy, at least and at most.
    pub convoy_size: RangeInclusive<u32>,
    /// How many trips a convoy makes if the time suffices; each on a route of its own.
    pub convoy_trips: u32,
    /// How far the members of a convoy are apart at most at a camera, in milliseconds.
    pub convoy_span_ms: u32,
    /// The share of passages whose plate is not read right: half of it not at all, half with one
    /// wrong character.
    pub read_errors: f64,
    /// How far a camera's clock is off at most, in milliseconds.
    pub clock_skew_ms: u32,
    /// When passages begin.
    pub start: Timestamp,
    /// How long they go on, in milliseconds, above 0.
    pub duration_ms: i64,
    /// What decides everything that looks random.
    pub seed: u64,
}

impl CameraOptions {
    /// One day in a city with so many cameras: 100 vehicles and 6 000 passages a camera, a convoy of
    /// two to five for every second one, 2 % of plates misread, clocks off by up to 2 s.
    #[must_use]
    pub fn day(cameras: u32) -> Self {
        Self {
            cameras,
            plates: cameras.saturating_mul(100),
            passages: u64::from(cameras) * 6_000,
            convoys: cameras / 2,
            convoy_size: 2..=5,
            convoy_trips: 3,
            convoy_span_ms: 20_000,
            read_errors: 0.02,
            clock_skew_ms: 2_000,
            // Friday, 2024-03-01T00:00:00Z.
            start: Timestamp::from_millis_unchecked(1_709_251_200_000),
            duration_ms: 86_400_000,
            seed: 0,
        }
    }
}

/// Why there is no such traffic.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CameraError {
    /// There is no network to drive on.
    #[error(transparent)]
    Roads(#[from] RoadError),
    /// The options do not fit each other or the network.
    #[error(transparent)]
    Options(#[from] CameraOptionsError),
}

/// Why options do not fit each other or the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CameraOptionsError {
    /// More cameras than places for them.
    #[error("{cameras} cameras, but only {junctions} junctions: use fewer, or a larger network")]
    TooManyCameras {
        /// How many cameras.
        cameras: u32,
        /// How many junctions have a road.
        junctions: usize,
    },
    /// More plates than can be told apart.
    #[error("{plates} plates are too many: use at most {max}")]
    TooManyPlates {
        /// How many plates.
        plates: u32,
        /// How many there can be.
        max: u32,
    },
    /// The convoys have more members than there are vehicles.
    #[error("the convoys may need {members} vehicles: use fewer convoys, or more plates")]
    TooFewPlates {
        /// How many members there may be.
        members: u64,
    },
    /// A convoy of nobody or of one, or a range that is empty.
    #[error("a convoy has at least 2 vehicles, and not fewer at most than at least")]
    ConvoySize,
    /// More passages than can be kept.
    #[error("{passages} passages are too many: ask for at most {PASSAGES_MAX}")]
    TooManyPassages {
        /// How many passages.
        passages: u64,
    },
    /// The vehicles would have to be on the road all the time.
    #[error(
        "so few vehicles cannot make {passages} passages: use more plates, or ask for {possible} \
         passages at most"
    )]
    TooBusy {
        /// How many passages.
        passages: u64,
        /// How many they can make.
        possible: u64,
    },
    /// Nothing lasts that long.
    #[error("the passages would be outside the years 0 to 9998: use another start, or less time")]
    Times,
}

/// Vehicles that went one way together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convoy {
    /// Its members by slot, ordered by name.
    pub objects: Vec<Slot>,
    /// Where and when all of them were read right, by time.
    pub passages: Vec<ConvoyPassage>,
}

/// A camera at which every member of a convoy was read right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvoyPassage {
    /// The camera.
    pub stream: Slot,
    /// When the first member passed, by the camera's clock.
    pub from: Timestamp,
    /// When the last one did.
    pub to: Timestamp,
}

/// Passages ordered by time, and the convoys among them.
#[derive(Clone, Debug)]
pub struct CameraTraffic {
    passages: Vec<Passage>,
    cameras: ObjectNames,
    /// All plates, also of vehicles that passed no camera; then what misread ones look like.
    plates: ObjectNames,
    convoys: Vec<Convoy>,
}

impl CameraTraffic {
    /// Traffic in a made-up city that is large enough for the cameras: about every twelfth junction
    /// has one. `progress` is told the number of passages now and then.
    ///
    /// ```
    /// use dunlin_datasets::generate::{CameraOptions, CameraTraffic};
    ///
    /// let options = CameraOptions { plates: 500, passages: 2_000, ..CameraOptions::day(20) };
    /// let traffic = CameraTraffic::in_city(&options, &mut |_| ())?;
    /// assert_eq!(traffic.convoys().len(), 10);
    /// let (events, _) = traffic.into_events();
    /// assert!(events.len() > 1_500 && events.times.is_sorted());
    /// # Ok::<(), dunlin_datasets::generate::CameraError>(())
    /// ```
    ///
    /// # Errors
    /// As [`CameraTraffic::generate`].
    pub fn in_city(
        options: &CameraOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, CameraError> {
        let side = (JUNCTIONS_PER_CAMERA * f64::from(options.cameras)).sqrt().ceil() as usize;
        let side = side.clamp(CITY_SIDE_MIN, CITY_SIDE_MAX);
        let city = City { seed: options.seed, side, ..City::default() }.build()?;
        Self::generate(&city, options, progress)
    }

    /// Traffic on a network. `progress` is told the number of passages now and then.
    ///
    /// # Errors
    /// Options that do not fit each other or the network; see [`CameraError`].
    ///
    /// # Panics
    /// If the share of read errors is not in 0 to 1 or the duration not above 0.
    pub fn generate(
        graph: &RoadGraph,
        options: &CameraOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, CameraError> {
        options.check()?;
        let mut draws = Parts(options.seed);
        let network = Network::new(graph, options.cameras, &mut draws.next())?;
        let plates = plates::all(options.plates);
        let mut recorder = Recorder::new(options, plates, draws.next());
        let planted = convoys::plant(&network, options, &mut recorder, draws.next());
        let left = options.passages.saturating_sub(recorder.passages.len() as u64);
        let fleet = fleet::Fleet::new(&network, options, left, draws.next())?;
        fleet.drive(&planted, &mut recorder, progress);
        let Recorder { mut passages, plates, .. } = recorder;
        passages.sort_unstable();
        progress(passages.len() as u64);
        let mut cameras = ObjectNames::default();
        for camera in 1..=options.cameras {
            cameras.intern(&format!("c{camera}"));
        }
        let convoys = planted.into_convoys(&plates);
        Ok(Self { passages, cameras, plates, convoys })
    }

    /// How many passages there are, unread ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.passages.len()
    }

    /// Whether nobody passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.passages.is_empty()
    }

    /// At how many passages no plate was read.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.passages.iter().filter(|passage| passage.plate().is_none()).count()
    }

    /// The convoys.
    #[must_use]
    pub fn convoys(&self) -> &[Convoy] {
        &self.convoys
    }

    /// The passages with a plate as events, ordered by time, and the convoys: as reading the CSV
    /// gives them, but for the numbers of the slots.
    #[must_use]
    pub fn into_events(self) -> (Events, Vec<Convoy>) {
        let mut events = Events::default();
        for passage in &self.passages {
            if let Some(plate) = passage.plate() {
                events.times.push(passage.time);
                events.streams.push(Slot(passage.camera));
                events.objects.push(plate);
            }
        }
        (events.stream_names, events.object_names) = (self.cameras, self.plates);
        (events, self.convoys)
    }
}

/// How large the city is for its cameras.
const JUNCTIONS_PER_CAMERA: f64 = 12.0;
const PASSAGES_MAX: u64 = 1_000_000_000;
const CITY_SIDE_MIN: usize = 12;
const CITY_SIDE_MAX: usize = 4_096;

impl CameraOptions {
    fn check(&self) -> Result<(), CameraOptionsError> {
        assert_share(self.read_errors, "share of read errors");
        assert!(self.duration_ms > 0, "a duration of {} ms", self.duration_ms);
        if self.passages > PASSAGES_MAX {
            return Err(CameraOptionsError::TooManyPassages { passages: self.passages });
        }
        if self.plates > plates::COUNT_MAX {
            let (plates, max) = (self.plates, plates::COUNT_MAX);
            return Err(CameraOptionsError::TooManyPlates { plates, max });
        }
        if *self.convoy_size.start() < 2 || self.convoy_size.is_empty() {
            return Err(CameraOptionsError::ConvoySize);
        }
        let members = u64::from(self.convoys) * u64::from(*self.convoy_size.end());
        if members > u64::from(self.plates) {
            return Err(CameraOptionsError::TooFewPlates { members });
        }
        let margin = i64::from(self.clock_skew_ms) + i64::from(self.convoy_span_ms);
        let end = self.start.as_millis().checked_add(self.duration_ms);
        let fits = |ms: i64| Timestamp::from_millis(ms).is_ok();
        let start = self.start.as_millis() - margin;
        let end =
            end.and_then(|end| end.checked_add(margin)).filter(|&end| fits(start) && fits(end));
        end.map(drop).ok_or(CameraOptionsError::Times)
    }
}

/// Draws for one part after the other, so that a change in one leaves the others as they were.
struct Parts(u64);

impl Parts {
    fn next(&mut self) -> Draw {
        self.0 = mix(self.0.wrapping_add(1));
        Draw::new(self.0)
    }
}
